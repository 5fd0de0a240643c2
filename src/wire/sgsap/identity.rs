//! Identities as octets: the mobile identity of TS 24.008 10.5.1.4, and the IMEISV of TS 29.118 9.4.5.

use crate::wire::identities::Imsi;
use arrayvec::{ArrayString, ArrayVec};

/// A mobile identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MobileIdentity {
    /// An IMSI.
    Imsi(Imsi),
    /// A temporary identity.
    Tmsi(u32),
}

impl MobileIdentity {
    /// Reads an element's value; none for identities of equipment and for what is no identity.
    pub fn parse(value: &[u8]) -> Option<MobileIdentity> {
        match *value {
            [0xf4, a, b, c, d] => Some(MobileIdentity::Tmsi(u32::from_be_bytes([a, b, c, d]))),
            _ => imsi(value).map(MobileIdentity::Imsi),
        }
    }

    /// The element's value.
    pub fn octets(&self) -> ArrayVec<u8, 8> {
        match self {
            MobileIdentity::Imsi(imsi) => encode_imsi(imsi),
            MobileIdentity::Tmsi(tmsi) => std::iter::once(0xf4).chain(tmsi.to_be_bytes()).collect(),
        }
    }
}

/// Reads an IMSI: type 1 with a bit that says whether the digits are odd, the first digit above it, two digits an octet after it.
pub(super) fn imsi(value: &[u8]) -> Option<Imsi> {
    let (first, rest) = value.split_first()?;
    let is_odd = match first & 0x0f {
        9 => true,
        1 => false,
        _ => return None,
    };
    let mut nibbles = std::iter::once(first >> 4).chain(rest.iter().flat_map(|o| [o & 15, o >> 4]));
    let count = rest.len() * 2 + usize::from(is_odd);
    let mut digits = ArrayVec::<u8, 16>::new();
    for nibble in nibbles.by_ref().take(count) {
        digits.try_push(b'0' + nibble).ok()?;
    }
    // an even count leaves a filler over, of whatever value: 1111 is what it should have
    Imsi::parse(&digits)
}

/// The octets of an IMSI.
pub fn encode_imsi(imsi: &Imsi) -> ArrayVec<u8, 8> {
    let digits = imsi.as_str().as_bytes();
    let digit = |i: usize| digits.get(i).map_or(15, |d| d - b'0');
    let odd = if digits.len() % 2 == 1 { 9 } else { 1 };
    let first = digit(0) << 4 | odd;
    std::iter::once(first).chain((1..digits.len()).step_by(2).map(|i| digit(i) | digit(i + 1) << 4)).collect()
}

/// The 16 digits of an IMEISV: eight octets with two digits each, or as a mobile identity, which some send.
pub fn imeisv(value: &[u8]) -> Option<ArrayString<16>> {
    let is_identity = value.len() == 9 && value[0] & 0x07 == 3;
    let nibbles = value.iter().flat_map(|o| [o & 15, o >> 4]).skip(usize::from(is_identity));
    let mut digits = ArrayString::new();
    for nibble in nibbles.take(16) {
        digits.try_push(char::from_digit(nibble.into(), 10)?).ok()?;
    }
    (digits.len() == 16).then_some(digits)
}
