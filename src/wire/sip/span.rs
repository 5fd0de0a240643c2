//! Spans: where a piece of a message lies in its buffer.

/// A range of octets in a message of at most 65,535 octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// The span `start..end`; both at most 65,535, which `Message::parse` ensures.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end <= usize::from(u16::MAX));
        Span { start: start as u16, end: end as u16 }
    }

    /// The octets of the span in its buffer; empty if the buffer is not the one it was made for.
    pub fn of(self, octets: &[u8]) -> &[u8] {
        octets.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }

    /// First octet.
    pub fn start(self) -> usize {
        usize::from(self.start)
    }

    /// One past the last octet.
    pub fn end(self) -> usize {
        usize::from(self.end)
    }
}
