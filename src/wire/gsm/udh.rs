//! The user data header (TS 23.040 9.2.3.24): information elements in front of the text. All are kept, known or not.

/// Concatenated short messages, 8 bit reference.
pub const CONCAT_8: u8 = 0x00;
/// Special SMS message indication.
pub const SPECIAL_MESSAGE: u8 = 0x01;
/// Application ports, 8 bit.
pub const PORT_8: u8 = 0x04;
/// Application ports, 16 bit.
pub const PORT_16: u8 = 0x05;
/// SMSC control parameters.
pub const SMSC_CONTROL: u8 = 0x06;
/// Concatenated short messages, 16 bit reference.
pub const CONCAT_16: u8 = 0x08;
/// National language single shift.
pub const SINGLE_SHIFT: u8 = 0x24;
/// National language locking shift.
pub const LOCKING_SHIFT: u8 = 0x25;

/// An information element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Element<'a> {
    /// Its identifier.
    pub id: u8,
    /// Its data.
    pub data: &'a [u8],
}

/// A header without its length octet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Udh<'a>(&'a [u8]);

impl<'a> Udh<'a> {
    /// The header of these octets, which follow the length octet.
    pub const fn new(octets: &'a [u8]) -> Self {
        Udh(octets)
    }

    /// The octets behind the length octet.
    pub const fn octets(self) -> &'a [u8] {
        self.0
    }

    /// The elements in order. None when the last one has too few or too many octets: then the whole header is ignored
    /// (TS 23.040 9.2.3.24).
    pub fn elements(self) -> impl Iterator<Item = Element<'a>> {
        let whole = Elements(self.0).try_fold((), |(), e| e.map(|_| ())).is_some();
        Elements(if whole { self.0 } else { &[] }).flatten()
    }

    /// The element with this identifier: the last one if it is repeated (TS 23.040 9.2.3.24).
    pub fn element(self, id: u8) -> Option<Element<'a>> {
        self.elements().filter(|e| e.id == id).last()
    }

    /// Destination and source port, from either form (TS 23.040 9.2.3.24.3-4).
    pub fn ports(self) -> Option<(u16, u16)> {
        let wide = self.element(PORT_16).and_then(|e| <[u8; 4]>::try_from(e.data).ok());
        let narrow = self.element(PORT_8).and_then(|e| <[u8; 2]>::try_from(e.data).ok());
        match (wide, narrow) {
            (Some([a, b, c, d]), _) => Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))),
            (None, Some([to, from])) => Some((to.into(), from.into())),
            (None, None) => None,
        }
    }
}

/// Elements one after the other; `Some(None)` where the octets do not suffice.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = Option<Element<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&id, rest) = self.0.split_first()?;
        let split = rest.split_first().and_then(|(&len, rest)| rest.split_at_checked(usize::from(len)));
        self.0 = split.map_or(&[], |(_, rest)| rest);
        Some(split.map(|(data, _)| Element { id, data }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_elements_are_seen_and_the_last_of_a_kind_counts() {
        let header = Udh::new(&[0x70, 0, 0x05, 4, 0x0b, 0x84, 0x23, 0xf0, 0x05, 4, 0, 1, 0, 2]);
        assert_eq!(header.elements().map(|e| e.id).collect::<Vec<_>>(), [0x70, 5, 5]);
        assert_eq!(header.ports(), Some((1, 2)));
        assert_eq!(Udh::new(&[4, 2, 240, 10]).ports(), Some((240, 10)));
    }

    #[test]
    fn a_header_whose_last_element_does_not_fit_is_ignored_as_a_whole() {
        for octets in [&[0, 3, 1, 2, 1, 0x70][..], &[0, 3, 1, 2, 1, 0x70, 1], &[0, 4, 1, 2, 1]] {
            assert_eq!(Udh::new(octets).elements().count(), 0, "{octets:02x?}");
        }
    }
}
