//! Writing messages, elements in the order of the calls: IMSI first, then as TS 29.118 8 lists them.

use super::element::Tag;
use super::identity::encode_imsi;
use super::kind::Kind;
use super::name::NodeName;
use crate::wire::identities::Imsi;

/// Longest value of an element, octets.
const MAX_VALUE: usize = 255;

/// Writes one message.
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut Vec<u8>,
}

impl<'b> Writer<'b> {
    /// Starts a message in `out`, which is cleared.
    pub fn new(out: &'b mut Vec<u8>, kind: Kind) -> Self {
        out.clear();
        out.push(kind.code());
        Writer { out }
    }

    /// Starts a message about a phone.
    pub fn of(out: &'b mut Vec<u8>, kind: Kind, imsi: &Imsi) -> Self {
        Writer::new(out, kind).imsi(imsi)
    }

    /// Adds an IMSI.
    pub fn imsi(self, imsi: &Imsi) -> Self {
        self.element(Tag::Imsi, &encode_imsi(imsi))
    }

    /// Adds the name of a VLR or MME.
    pub fn name(self, tag: Tag, name: &NodeName) -> Self {
        self.element(tag, name.name().octets())
    }

    /// Adds an element of one octet.
    pub fn octet(self, tag: Tag, value: u8) -> Self {
        self.element(tag, &[value])
    }

    /// Adds an element. Of a value over 255 octets, which only an erroneous message can have, the beginning is kept.
    pub fn element(self, tag: Tag, value: &[u8]) -> Self {
        let value = &value[..value.len().min(MAX_VALUE)];
        debug_assert!(tag == Tag::ErroneousMessage || tag.lengths().contains(&value.len()), "{tag:?}");
        self.out.push(tag.code());
        self.out.push(value.len() as u8);
        self.out.extend_from_slice(value);
        self
    }
}
