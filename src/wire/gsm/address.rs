//! Addresses in their TP form (TS 23.040 9.1.2.5: counted in semi-octets, digits or a name) and in their RP form (TS 24.011
//! 8.2.5.1: counted in octets).

use super::alphabet;
use super::error::Malformed;
use super::reader::Reader;
use super::septets;
use crate::wire::telephone::Number;
use arrayvec::{ArrayString, ArrayVec};
use std::fmt::{self, Write as _};

/// Octets of digits that a TP address has at most (TS 23.040 9.1.2.5: 12 octets with length and type).
const MAX_OCTETS: usize = 10;

/// Digits that an address has at most.
pub const MAX_DIGITS: usize = MAX_OCTETS * 2;

/// Characters that an alphanumeric address has at most: as many septets as 10 octets hold.
pub const MAX_NAME: usize = MAX_OCTETS * 8 / 7;

/// Type of number of an international number (TS 23.040 9.1.2.5).
const INTERNATIONAL: u8 = 1;
/// Type of number of a name.
const ALPHANUMERIC: u8 = 5;
/// Semi-octet that fills up the last octet.
const FILLER: u8 = 0xf;
/// What the semi-octets mean (TS 23.040 9.1.2.3); the last is the filler.
const DIGITS: &[u8; 15] = b"0123456789*#abc";

/// A number or a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    kind: u8,
    semi_octets: u8,
    value: [u8; MAX_OCTETS],
}

impl Address {
    /// An address without a digit, of unknown type in the telephone numbering plan.
    pub const NONE: Address = Address { kind: 0x81, semi_octets: 0, value: [0; MAX_OCTETS] };

    /// The address of a number: international when it begins with `+`, else of unknown type; `None` when it has more digits
    /// than fit, or the letters D to F, which no semi-octet means.
    pub fn of_number(number: &Number) -> Option<Address> {
        let (kind, digits) = match number.as_str().strip_prefix('+') {
            Some(rest) => (0x91, rest),
            None => (0x81, number.as_str()),
        };
        Address::of_digits(kind, digits)
    }

    /// The address of the digits `0-9*#abc` under a type octet (TON, NPI); `None` for other characters or too many.
    pub fn of_digits(kind: u8, digits: &str) -> Option<Address> {
        let mut address = Address { kind: kind | 0x80, ..Address::NONE };
        for digit in digits.bytes().map(|d| d.to_ascii_lowercase()) {
            let semi_octet = DIGITS.iter().position(|d| *d == digit)? as u8;
            address.push(semi_octet)?;
        }
        address.fill_up();
        Some(address)
    }

    /// The address of a name in the default alphabet, 11 characters at most (TS 23.040 9.1.2.5).
    pub fn of_name(name: &str) -> Option<Address> {
        let (mut name_septets, mut packed) = (Vec::new(), Vec::new());
        if !alphabet::encode_text(name, &mut name_septets) || name_septets.len() > MAX_NAME {
            return None;
        }
        septets::pack(&name_septets, 0, &mut packed);
        let mut address = Address { kind: 0xd0, ..Address::NONE };
        address.semi_octets = (name_septets.len() * 7).div_ceil(4) as u8;
        address.value[..packed.len()].copy_from_slice(&packed);
        Some(address)
    }

    fn push(&mut self, semi_octet: u8) -> Option<()> {
        let at = usize::from(self.semi_octets);
        *self.value.get_mut(at / 2)? |= semi_octet << (at % 2 * 4);
        self.semi_octets += 1;
        Some(())
    }

    fn fill_up(&mut self) {
        if self.semi_octets % 2 == 1 && !self.is_name() {
            let last = &mut self.value[usize::from(self.semi_octets / 2)];
            *last = *last & 0xf | FILLER << 4;
        }
    }

    /// Type of number, 0 to 7 (TS 23.040 9.1.2.5): 0 unknown, 1 international, 2 national, 5 alphanumeric.
    pub const fn type_of_number(&self) -> u8 {
        self.kind >> 4 & 7
    }

    /// Numbering plan, 0 to 15: 1 telephone.
    pub const fn numbering_plan(&self) -> u8 {
        self.kind & 0xf
    }

    /// Whether it is a name and no number.
    pub const fn is_name(&self) -> bool {
        self.type_of_number() == ALPHANUMERIC
    }

    /// Whether it has neither a digit nor a letter.
    pub const fn is_empty(&self) -> bool {
        self.semi_octets == 0
    }

    /// The number, with `+` when it is international; `None` for a name and for an address without a digit.
    pub fn number(&self) -> Option<Number> {
        let mut text = ArrayString::<{ MAX_DIGITS + 1 }>::new();
        write!(text, "{self}").ok().filter(|()| !self.is_name())?;
        Number::parse(text.as_bytes())
    }

    fn octets(&self) -> &[u8] {
        &self.value[..usize::from(self.semi_octets).div_ceil(2)]
    }

    fn digits(&self) -> impl Iterator<Item = u8> + '_ {
        (0..usize::from(self.semi_octets)).map(|at| self.value[at / 2] >> (at % 2 * 4) & 0xf)
    }

    /// Reads the TP form of the part named.
    pub fn parse_tp(reader: &mut Reader<'_>, part: &'static str) -> Result<Address, Malformed> {
        let semi_octets = reader.octet(part)?;
        let kind = reader.octet(part)?;
        let value = reader.octets(usize::from(semi_octets).div_ceil(2), part)?;
        Address::read(kind, semi_octets, value, part)
    }

    /// Reads the RP form of the part named; `None` for length 0, which is no address.
    pub fn parse_rp(reader: &mut Reader<'_>, part: &'static str) -> Result<Option<Address>, Malformed> {
        let Some((&kind, value)) = reader.counted(part)?.split_first() else { return Ok(None) };
        // A filler before the last semi-octet ends the number as well: there are no digits behind it.
        let semi_octets = value.iter().flat_map(|o| [o & 0xf, o >> 4]).take_while(|s| *s != FILLER).count();
        let semi_octets = u8::try_from(semi_octets).map_err(|_| Malformed::TooLong(part))?;
        Address::read(kind, semi_octets, value, part).map(Some)
    }

    fn read(kind: u8, semi_octets: u8, value: &[u8], part: &'static str) -> Result<Address, Malformed> {
        let mut address = Address { kind: kind | 0x80, semi_octets, ..Address::NONE };
        let taken = usize::from(semi_octets).div_ceil(2);
        let value = value.get(..taken).ok_or(Malformed::Length(part))?;
        address.value.get_mut(..taken).ok_or(Malformed::TooLong(part))?.copy_from_slice(value);
        address.fill_up();
        Ok(address)
    }

    /// Appends the TP form.
    pub fn write_tp(&self, out: &mut Vec<u8>) {
        out.extend([self.semi_octets, self.kind]);
        out.extend_from_slice(self.octets());
    }

    /// Appends the RP form.
    pub fn write_rp(&self, out: &mut Vec<u8>) {
        out.extend([self.octets().len() as u8 + 1, self.kind]);
        out.extend_from_slice(self.octets());
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_name() {
            let mut name = String::new();
            let count = usize::from(self.semi_octets) * 4 / 7;
            alphabet::decode(septets::unpack(self.octets(), 0, count), &mut name);
            return f.write_str(&name);
        }
        if self.type_of_number() == INTERNATIONAL && !self.is_empty() {
            f.write_char('+')?;
        }
        let digits: ArrayVec<u8, MAX_DIGITS> =
            self.digits().map_while(|d| DIGITS.get(usize::from(d)).copied()).collect();
        digits.iter().try_for_each(|&d| f.write_char(char::from(d)))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:02x})", self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tp(octets: &[u8]) -> Result<Address, Malformed> {
        Address::parse_tp(&mut Reader::new(octets), "TP-DA")
    }

    fn rp(octets: &[u8]) -> Result<Option<Address>, Malformed> {
        Address::parse_rp(&mut Reader::new(octets), "RP-DA")
    }

    #[test]
    fn a_number_longer_than_an_address_is_none() {
        let number = |digits: usize| Number::parse("1".repeat(digits).as_bytes()).expect("digits");
        assert!(Address::of_number(&number(MAX_DIGITS)).is_some());
        assert_eq!(Address::of_number(&number(MAX_DIGITS + 1)), None);
        assert_eq!(Address::of_number(&Number::parse(b"12D").expect("a number")), None);
    }

    #[test]
    fn a_name_has_eleven_characters_of_the_alphabet() {
        assert_eq!(Address::of_name("MyCompany11").map(|a| a.to_string()).as_deref(), Some("MyCompany11"));
        assert_eq!(Address::of_name("MyCompany111"), None);
        assert_eq!(Address::of_name("Ελλάδα"), None);
        assert_eq!(Address::of_name("IMS").and_then(|a| a.number()), None);
    }

    #[test]
    fn lengths_that_do_not_fit_are_named() {
        assert_eq!(tp(&[]), Err(Malformed::Truncated("TP-DA")));
        assert_eq!(tp(&[4, 0x81, 0x21]), Err(Malformed::Truncated("TP-DA")));
        assert_eq!(tp(&[&[21, 0x81][..], &[0x11; 11]].concat()), Err(Malformed::TooLong("TP-DA")));
        assert_eq!(rp(&[2, 0x91]), Err(Malformed::Truncated("RP-DA")));
        assert_eq!(rp(&[&[12, 0x91][..], &[0x11; 11]].concat()), Err(Malformed::TooLong("RP-DA")));
    }

    #[test]
    fn odd_ends_are_read_and_written_as_they_should_be() {
        let mut out = Vec::new();
        tp(&[3, 0x01, 0x21, 0x03]).expect("no filler, no extension bit").write_tp(&mut out);
        assert_eq!(out, [3, 0x81, 0x21, 0xf3]);
        let short = rp(&[4, 0x91, 0x21, 0xff, 0xff]).expect("fillers").expect("digits");
        assert_eq!(short.to_string(), "+12");
        assert_eq!(rp(&[1, 0x81]).expect("a type alone"), Some(Address::NONE));
    }
}
