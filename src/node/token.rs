//! What a poll event is about, in the one number that mio hands back.

use mio::Token;

/// The kinds of sources.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Kind {
    /// A SIP UDP socket; the slot is its `LocalId`.
    Udp,
    /// A SIP TCP listener; the slot is its `LocalId`.
    Listener,
    /// A SIP TCP connection.
    Stream,
    /// The RTP socket of a media session.
    Rtp,
    /// The RTCP socket of a media session.
    Rtcp,
    /// The signal descriptor.
    Signal,
    /// The command endpoint; the slot is its own affair.
    Endpoint,
    /// The storage; the slot is its own affair.
    Storage,
    /// What the kernel says of security associations.
    Sas,
    /// The SCTP listener of SGs.
    SctpListener,
    /// An association with an MME.
    Sctp,
}

impl Kind {
    const ALL: [Kind; 11] = [
        Kind::Udp,
        Kind::Listener,
        Kind::Stream,
        Kind::Rtp,
        Kind::Rtcp,
        Kind::Signal,
        Kind::Endpoint,
        Kind::Storage,
        Kind::Sas,
        Kind::SctpListener,
        Kind::Sctp,
    ];
}

/// Bits of the generation that fit beside the kind and the slot.
const GENERATION_BITS: u32 = 28;

/// Names a source: its kind, its place among its kind, and which of the successive owners of that place it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Source {
    /// The kind.
    pub kind: Kind,
    /// The place.
    pub slot: u32,
    /// The low 28 bits of the owner's generation, so that a late event does not reach the next owner.
    pub generation: u32,
}

impl Source {
    /// The source of a kind without generations.
    pub const fn fixed(kind: Kind, slot: u32) -> Self {
        Source { kind, slot, generation: 0 }
    }

    /// The source that an arena id names.
    pub fn of<T>(kind: Kind, id: crate::base::arena::Id<T>) -> Self {
        let generation = (id.to_bits() >> 32) as u32 & ((1 << GENERATION_BITS) - 1);
        Source { kind, slot: id.slot(), generation }
    }

    /// The number for mio.
    pub const fn token(self) -> Token {
        Token((self.kind as usize) << 60 | (self.generation as usize) << 32 | self.slot as usize)
    }

    /// The source whose number this is; `None` if it was not made by [`Source::token`].
    pub fn from_token(Token(bits): Token) -> Option<Self> {
        let kind = *Kind::ALL.get(bits >> 60)?;
        let generation = (bits >> 32) as u32 & ((1 << GENERATION_BITS) - 1);
        Some(Source { kind, slot: bits as u32, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::arena::{Arena, Id};

    #[test]
    fn a_source_survives_the_token() {
        for kind in Kind::ALL {
            for (slot, generation) in [(0, 0), (7, 1), (u32::MAX, (1 << GENERATION_BITS) - 1)] {
                let source = Source { kind, slot, generation };
                assert_eq!(Source::from_token(source.token()), Some(source));
            }
        }
        assert_eq!(Source::from_token(Token(usize::MAX)), None);
    }

    #[test]
    fn the_next_owner_of_a_slot_has_another_token() {
        let mut arena = Arena::with_cap(1);
        let one: Id<u8> = arena.insert(1).unwrap();
        arena.remove(one);
        let two = arena.insert(2).unwrap();
        assert_eq!(one.slot(), two.slot());
        assert_ne!(Source::of(Kind::Stream, one).token(), Source::of(Kind::Stream, two).token());
    }
}
