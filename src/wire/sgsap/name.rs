//! Names of MMEs and VLRs: domain names, coded as DNS labels (TS 29.118 9.4.13 and 9.4.22, RFC 1035 3.1 without the root).

use arrayvec::ArrayVec;
use std::fmt;

/// Longest label, octets.
const MAX_LABEL: usize = 63;
/// Longest name, octets as coded.
const MAX_NAME: usize = 255;

/// A name in a message. Shown with dots between its labels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// Reads an element's value: labels of visible characters that fill it; a root label at the end is passed over.
    pub fn parse(value: &'a [u8]) -> Option<Name<'a>> {
        let value = value.strip_suffix(&[0]).unwrap_or(value);
        let mut rest = value;
        while let [length, behind @ ..] = rest {
            let (label, behind) = behind.split_at_checked(usize::from(*length))?;
            let visible = label.iter().all(u8::is_ascii_graphic);
            if label.is_empty() || label.len() > MAX_LABEL || !visible {
                return None;
            }
            rest = behind;
        }
        (!value.is_empty()).then_some(Name(value))
    }

    /// The labels, one length octet before each.
    pub fn octets(self) -> &'a [u8] {
        self.0
    }

    fn labels(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (length, behind) = rest.split_first()?;
            let (label, behind) = behind.split_at_checked(usize::from(*length))?;
            rest = behind;
            Some(label)
        })
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, label) in self.labels().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            // `parse` has let visible characters pass alone
            f.write_str(std::str::from_utf8(label).unwrap_or("?"))?;
        }
        Ok(())
    }
}

/// A name that is kept, in its coded form.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NodeName(ArrayVec<u8, MAX_NAME>);

impl NodeName {
    /// Codes a name with dots. None when it is no domain name: a label without characters or with more than 63, more than 255
    /// octets in all, or characters that nobody could read.
    pub fn of_text(text: &str) -> Option<NodeName> {
        let mut octets = ArrayVec::new();
        for label in text.trim_end_matches('.').split('.') {
            let length = u8::try_from(label.len()).ok()?;
            octets.try_push(length).ok()?;
            octets.try_extend_from_slice(label.as_bytes()).ok()?;
        }
        Name::parse(&octets)?;
        Some(NodeName(octets))
    }

    /// Keeps a name that was read.
    pub fn of(name: Name<'_>) -> NodeName {
        NodeName(name.0.iter().copied().take(MAX_NAME).collect())
    }

    /// The name.
    pub fn name(&self) -> Name<'_> {
        Name(&self.0)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(f)
    }
}
