//! TP-User-Data (TS 23.040 9.2.3.16, 9.2.3.24): its length in the units of its coding, an optional header, then the text or octets.

use super::alphabet;
use super::concat::Concat;
use super::dcs::{Alphabet, Dcs};
use super::error::Malformed;
use super::reader::Reader;
use super::septets;
use super::udh::Udh;
use arrayvec::ArrayVec;

/// Octets that user data has at most (TS 23.040 9.2.3.16).
pub const MAX_OCTETS: usize = 140;

/// Septets that user data has at most.
pub const MAX_SEPTETS: usize = MAX_OCTETS * 8 / 7;

/// User data inside its TPDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserData<'a> {
    dcs: Dcs,
    length: u8,
    has_header: bool,
    octets: &'a [u8],
}

/// User data that is kept, or made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserDataBuf {
    dcs: Dcs,
    length: u8,
    has_header: bool,
    octets: ArrayVec<u8, MAX_OCTETS>,
}

impl<'a> UserData<'a> {
    /// Reads TP-UDL and TP-UD. `has_header` is the TP-UDHI.
    pub fn parse(dcs: Dcs, has_header: bool, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let length = reader.octet("TP-UDL")?;
        let count = if dcs.counts_septets() {
            septets::packed_len(usize::from(length), 0)
        } else {
            usize::from(length)
        };
        if count > MAX_OCTETS {
            return Err(Malformed::TooLong("TP-UD"));
        }
        let octets = reader.octets(count, "TP-UD")?;
        let header_fits = octets.first().is_some_and(|&len| usize::from(len) < octets.len());
        if has_header && !header_fits {
            return Err(Malformed::Length("TP-UDH"));
        }
        Ok(UserData { dcs, length, has_header, octets })
    }

    /// Appends TP-UDL and TP-UD.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(self.length);
        out.extend_from_slice(self.octets);
    }

    /// The coding; it stands elsewhere in the TPDU.
    pub const fn dcs(&self) -> Dcs {
        self.dcs
    }

    /// TP-UDL: septets of the default alphabet, else octets; the header and its fill bits are counted.
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// Whether it begins with a header: the TP-UDHI.
    pub const fn has_header(&self) -> bool {
        self.has_header
    }

    /// Octets that the header takes, its length octet included.
    fn header_len(&self) -> usize {
        match self.octets.first() {
            Some(&len) if self.has_header => usize::from(len) + 1,
            _ => 0,
        }
    }

    /// The header.
    pub fn header(&self) -> Option<Udh<'a>> {
        self.has_header.then(|| Udh::new(self.octets.get(1..self.header_len()).unwrap_or_default()))
    }

    /// The message that this is a part of.
    pub fn concat(&self) -> Option<Concat> {
        self.header().and_then(Concat::of)
    }

    /// The octets behind the header; of the default alphabet they hold fill bits and packed septets.
    pub fn payload(&self) -> &'a [u8] {
        self.octets.get(self.header_len()..).unwrap_or_default()
    }

    /// The septets behind the header; none unless the length counts septets.
    pub fn septets(&self) -> impl Iterator<Item = u8> + Clone + 'a {
        let fill = septets::fill_bits(self.header_len());
        let in_header = (self.header_len() * 8 + fill) / 7;
        let count =
            if self.dcs.counts_septets() { usize::from(self.length).saturating_sub(in_header) } else { 0 };
        septets::unpack(self.payload(), fill, count)
    }

    /// The UTF-16 units behind the header, an odd octet at the end left out; none unless the alphabet is UCS2.
    pub fn units(&self) -> impl Iterator<Item = u16> + 'a {
        let is_text = self.dcs.alphabet() == Alphabet::Ucs2 && !self.dcs.is_compressed();
        let octets = if is_text { self.payload() } else { &[] };
        octets.as_chunks().0.iter().map(|unit| u16::from_be_bytes(*unit))
    }

    /// The text; `None` for octets and what is compressed. Half a surrogate pair becomes U+FFFD.
    pub fn text(&self) -> Option<String> {
        super::text::join([*self])
    }

    /// A copy to keep.
    pub fn to_buf(&self) -> UserDataBuf {
        let octets = self.octets.iter().copied().collect();
        UserDataBuf { dcs: self.dcs, length: self.length, has_header: self.has_header, octets }
    }
}

impl UserDataBuf {
    /// The text in the alphabet of `dcs`, behind a header of the information elements `header` unless that is empty. `None`
    /// when a character is not in the alphabet, when it is too long, or when the coding is none of text.
    pub fn of_text(dcs: Dcs, header: &[u8], text: &str) -> Option<UserDataBuf> {
        match dcs.alphabet() {
            _ if dcs.is_compressed() => None,
            Alphabet::Gsm7 => {
                let mut septets = Vec::new();
                alphabet::encode_text(text, &mut septets)
                    .then(|| UserDataBuf::of_septets(dcs, header, &septets))?
            }
            Alphabet::Ucs2 => UserDataBuf::of_units(dcs, header, &text.encode_utf16().collect::<Vec<_>>()),
            Alphabet::Octets => None,
        }
    }

    /// Septets of the default alphabet, as [`UserDataBuf::of_text`].
    pub fn of_septets(dcs: Dcs, header: &[u8], septets: &[u8]) -> Option<UserDataBuf> {
        let mut octets = UserDataBuf::start(header);
        let fill = septets::fill_bits(octets.len());
        let length = (octets.len() * 8 + fill) / 7 + septets.len();
        septets::pack(septets, fill, &mut octets);
        UserDataBuf::end(dcs, header, length, &octets).filter(|_| dcs.counts_septets())
    }

    /// UTF-16 units, as [`UserDataBuf::of_text`].
    pub fn of_units(dcs: Dcs, header: &[u8], units: &[u16]) -> Option<UserDataBuf> {
        let octets: Vec<u8> = units.iter().flat_map(|u| u.to_be_bytes()).collect();
        UserDataBuf::of_octets(dcs, header, &octets)
    }

    /// Octets as they are, as [`UserDataBuf::of_text`]; `None` when the length would count septets.
    pub fn of_octets(dcs: Dcs, header: &[u8], data: &[u8]) -> Option<UserDataBuf> {
        let mut octets = UserDataBuf::start(header);
        octets.extend_from_slice(data);
        UserDataBuf::end(dcs, header, octets.len(), &octets).filter(|_| !dcs.counts_septets())
    }

    fn start(header: &[u8]) -> Vec<u8> {
        let mut octets = Vec::with_capacity(MAX_OCTETS);
        if !header.is_empty() {
            octets.push(header.len() as u8);
            octets.extend_from_slice(header);
        }
        octets
    }

    fn end(dcs: Dcs, header: &[u8], length: usize, octets: &[u8]) -> Option<UserDataBuf> {
        let length = u8::try_from(length).ok()?;
        let octets = ArrayVec::try_from(octets).ok()?;
        Some(UserDataBuf { dcs, length, has_header: !header.is_empty(), octets })
    }

    /// The user data as it is read and written.
    pub fn view(&self) -> UserData<'_> {
        let UserDataBuf { dcs, length, has_header, ref octets } = *self;
        UserData { dcs, length, has_header, octets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(dcs: Dcs, has_header: bool, octets: &[u8]) -> Result<UserData<'_>, Malformed> {
        UserData::parse(dcs, has_header, &mut Reader::new(octets))
    }

    #[test]
    fn lengths_that_do_not_fit_are_named() {
        assert_eq!(parse(Dcs::GSM7, false, &[]), Err(Malformed::Truncated("TP-UDL")));
        assert_eq!(parse(Dcs::GSM7, false, &[9, 0, 0, 0, 0, 0, 0, 0]), Err(Malformed::Truncated("TP-UD")));
        assert_eq!(parse(Dcs::GSM7, false, &[161; 200]), Err(Malformed::TooLong("TP-UD")));
        assert_eq!(parse(Dcs::UCS2, false, &[141; 200]), Err(Malformed::TooLong("TP-UD")));
        assert_eq!(parse(Dcs::OCTETS, true, &[0]), Err(Malformed::Length("TP-UDH")));
        assert_eq!(parse(Dcs::OCTETS, true, &[2, 2, 0]), Err(Malformed::Length("TP-UDH")));
        assert!(parse(Dcs::OCTETS, true, &[2, 1, 0]).is_ok_and(|u| u.payload().is_empty()));
    }

    #[test]
    fn what_is_too_long_or_of_another_alphabet_is_none() {
        let text = |dcs, header: &[u8], text: &str| UserDataBuf::of_text(dcs, header, text).is_some();
        assert!(text(Dcs::GSM7, &[], &"a".repeat(160)) && !text(Dcs::GSM7, &[], &"a".repeat(161)));
        assert!(text(Dcs::UCS2, &[], &"中".repeat(70)) && !text(Dcs::UCS2, &[], &"中".repeat(71)));
        let header = [0, 3, 1, 2, 1];
        assert!(text(Dcs::GSM7, &header, &"a".repeat(153)) && !text(Dcs::GSM7, &header, &"a".repeat(154)));
        assert!(!text(Dcs::GSM7, &[], "中") && !text(Dcs::OCTETS, &[], "a") && !text(Dcs(0x20), &[], "a"));
        assert_eq!(UserDataBuf::of_octets(Dcs::GSM7, &[], b"a"), None);
        assert_eq!(UserDataBuf::of_septets(Dcs::UCS2, &[], b"a"), None);
    }

    #[test]
    fn half_a_pair_and_an_odd_octet_do_no_harm() {
        let octets = [5, 0xd8, 0x3d, 0x00, 0x41, 0x00];
        assert_eq!(parse(Dcs::UCS2, false, &octets).map(|u| u.text()), Ok(Some("\u{fffd}A".into())));
    }
}
