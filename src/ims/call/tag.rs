//! Local tags that carry the place of their dialog, so that an in-dialog request finds its call without an index.
//!
//! A tag is `SIDE LEG "-" CALL "-" TOKEN`, numbers hexadecimal: `a0-100000002-mzxw6ytboi5dcmrtgq2d`. The token is the randomness that
//! RFC 3261 19.3 asks for (at least 32 bits); the dialog's own identifier is compared after the look-up, so a guessed or
//! old tag finds nothing.

use super::Call;
use crate::base::arena::Id;
use crate::proto::sip::transaction::Token;
use arrayvec::ArrayVec;
use std::io::Write as _;

/// Which party of a call a dialog of ours faces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The caller: we are its UAS.
    Caller,
    /// The callee: we are its UAC.
    Callee,
}

impl Side {
    /// The other party.
    pub const fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }

    const fn letter(self) -> char {
        match self {
            Side::Caller => 'a',
            Side::Callee => 'b',
        }
    }
}

/// The dialog that a tag names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The call.
    pub call: Id<Call>,
    /// Which of its legs to the callee; 0 for an echo call.
    pub leg: u8,
    /// Towards whom.
    pub side: Side,
}

/// A tag's text.
pub type Tag = ArrayVec<u8, { 1 + 2 + 1 + 16 + 1 + Token::LEN }>;

/// Makes the tag of a dialog; the token makes it unguessable and unique.
pub fn make(place: Place, token: &Token) -> Tag {
    let mut tag = Tag::new();
    write!(tag, "{}{:x}-{:x}-{token}", place.side.letter(), place.leg, place.call.to_bits())
        .expect("a letter, two and sixteen digits, a token and two dashes fit");
    tag
}

/// The place that a tag of ours names; `None` for any other tag.
pub fn parse(tag: &[u8]) -> Option<Place> {
    let text = std::str::from_utf8(tag).ok()?;
    let (side, rest) = match text.split_at_checked(1)? {
        ("a", rest) => (Side::Caller, rest),
        ("b", rest) => (Side::Callee, rest),
        _ => return None,
    };
    let (leg, rest) = rest.split_once('-')?;
    let (call, _token) = rest.split_once('-')?;
    Some(Place {
        call: Id::from_bits(u64::from_str_radix(call, 16).ok()?),
        leg: u8::from_str_radix(leg, 16).ok()?,
        side,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::proto::sip::transaction::key::Keys;

    #[test]
    fn a_tag_names_its_place() {
        for side in [Side::Caller, Side::Callee] {
            let place = Place { call: Id::from_bits(u64::MAX), leg: u8::MAX, side };
            let tag = make(place, &Keys::new(&mut Rng::from_seed(1)).token());
            assert_eq!(parse(&tag), Some(place));
            assert!(crate::wire::sip::text::is_token(&tag), "a tag is a token");
        }
    }

    #[test]
    fn other_tags_name_nothing() {
        for tag in ["", "a", "c0-1-2", "a0", "a0-1", "a0-x-1", "axx-1-1", "a100-1-1", "é0-1-1"] {
            assert_eq!(parse(tag.as_bytes()), None, "{tag}");
        }
    }
}
