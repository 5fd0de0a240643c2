//! Reading octets from front to back: each step says what it reads, so that an end too early can be named.

use super::error::Malformed;

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads `octets`.
    pub const fn new(octets: &'a [u8]) -> Self {
        Reader(octets)
    }

    /// The octets not read yet.
    pub const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Whether nothing is left.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// One octet of the part named.
    pub fn octet(&mut self, part: &'static str) -> Result<u8, Malformed> {
        let (&first, rest) = self.0.split_first().ok_or(Malformed::Truncated(part))?;
        self.0 = rest;
        Ok(first)
    }

    /// `count` octets of the part named.
    pub fn octets(&mut self, count: usize, part: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::Truncated(part))?;
        self.0 = rest;
        Ok(taken)
    }

    /// As many octets as an array has.
    pub fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::Truncated(part))?;
        self.0 = rest;
        Ok(*taken)
    }

    /// A length octet and as many octets.
    pub fn counted(&mut self, part: &'static str) -> Result<&'a [u8], Malformed> {
        let count = self.octet(part)?;
        self.octets(usize::from(count), part)
    }
}
