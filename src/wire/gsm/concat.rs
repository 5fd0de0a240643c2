//! Concatenated short messages (TS 23.040 9.2.3.24.1 and .8): which part of which message this one is.

use super::udh::{CONCAT_8, CONCAT_16, Udh};

/// The number that the parts of one message share.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Reference {
    /// Of 8 bits.
    Eight(u8),
    /// Of 16 bits.
    Sixteen(u16),
}

/// Place of a part.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Concat {
    /// The message.
    pub reference: Reference,
    /// Parts of the message, at least 1.
    pub total: u8,
    /// This part, 1 to `total`.
    pub number: u8,
}

impl Concat {
    /// What the header says; `None` when it says nothing, or a part number that there cannot be: that element is ignored.
    pub fn of(header: Udh<'_>) -> Option<Concat> {
        let last = header.elements().filter(|e| matches!(e.id, CONCAT_8 | CONCAT_16)).last()?;
        let (reference, total, number) = match (last.id, last.data) {
            (CONCAT_8, &[reference, total, number]) => (Reference::Eight(reference), total, number),
            (CONCAT_16, &[high, low, total, number]) => {
                (Reference::Sixteen(u16::from_be_bytes([high, low])), total, number)
            }
            _ => return None,
        };
        (1..=total).contains(&number).then_some(Concat { reference, total, number })
    }

    /// Appends the information element.
    pub fn write(self, out: &mut Vec<u8>) {
        match self.reference {
            Reference::Eight(reference) => out.extend([CONCAT_8, 3, reference]),
            Reference::Sixteen(reference) => {
                let [high, low] = reference.to_be_bytes();
                out.extend([CONCAT_16, 4, high, low]);
            }
        }
        out.extend([self.total, self.number]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_come_back() {
        for reference in [Reference::Eight(0x6f), Reference::Sixteen(0x1234)] {
            let part = Concat { reference, total: 3, number: 2 };
            let mut octets = Vec::new();
            part.write(&mut octets);
            assert_eq!(Concat::of(Udh::new(&octets)), Some(part));
        }
    }

    #[test]
    fn part_numbers_that_cannot_be_are_ignored() {
        for octets in [[0, 3, 1, 0, 0], [0, 3, 1, 2, 0], [0, 3, 1, 2, 3]] {
            assert_eq!(Concat::of(Udh::new(&octets)), None, "{octets:?}");
        }
        assert_eq!(Concat::of(Udh::new(&[0, 2, 1, 1])), None, "too short");
        assert_eq!(Concat::of(Udh::new(&[])), None);
    }
}
