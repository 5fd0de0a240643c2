//! Texts: the coding that fits, parts when a text is long, and the text of parts put together (TS 23.040 9.2.3.24.1, TS 23.038).

use super::alphabet::{self, ESCAPE};
use super::concat::{Concat, Reference};
use super::dcs::{Alphabet, Dcs};
use super::septets;
use super::user_data::{MAX_OCTETS, MAX_SEPTETS, UserData, UserDataBuf};

/// Parts that one text has at most: their number is an octet.
pub const MAX_PARTS: usize = 255;

/// The user data of `text`: one, or the parts of a concatenated message with this reference. The default alphabet is used when
/// it has all characters, else UCS2. Neither an escape nor a surrogate pair is cut. `None` when it takes over [`MAX_PARTS`].
pub fn split(text: &str, reference: Reference) -> Option<Vec<UserDataBuf>> {
    let mut septets = Vec::with_capacity(text.len());
    if alphabet::encode_text(text, &mut septets) {
        let longest = |header: usize| (MAX_OCTETS * 8 - header * 8 - septets::fill_bits(header)) / 7;
        let room = if septets.len() <= MAX_SEPTETS { MAX_SEPTETS } else { longest(header_len(reference)) };
        let pieces = pieces(&septets, room, |s| *s == ESCAPE);
        return parts(&pieces, reference, |header, piece| UserDataBuf::of_septets(Dcs::GSM7, header, piece));
    }
    let units: Vec<u16> = text.encode_utf16().collect();
    let one = MAX_OCTETS / 2;
    let room = if units.len() <= one { one } else { (MAX_OCTETS - header_len(reference)) / 2 };
    let pieces = pieces(&units, room, |u| (0xd800..0xdc00).contains(u));
    parts(&pieces, reference, |header, piece| UserDataBuf::of_units(Dcs::UCS2, header, piece))
}

/// Octets of a header with nothing but the place of a part.
const fn header_len(reference: Reference) -> usize {
    match reference {
        Reference::Eight(_) => 6,
        Reference::Sixteen(_) => 7,
    }
}

/// Cuts into pieces of at most `room` units, never behind a unit that begins a pair. At least one piece.
fn pieces<T>(units: &[T], room: usize, begins_pair: impl Fn(&T) -> bool) -> Vec<&[T]> {
    let (mut pieces, mut rest) = (Vec::new(), units);
    while rest.len() > room {
        let at = if begins_pair(&rest[room - 1]) { room - 1 } else { room };
        let (piece, later) = rest.split_at(at);
        pieces.push(piece);
        rest = later;
    }
    pieces.push(rest);
    pieces
}

fn parts<T>(
    pieces: &[&[T]],
    reference: Reference,
    make: impl Fn(&[u8], &[T]) -> Option<UserDataBuf>,
) -> Option<Vec<UserDataBuf>> {
    let total = u8::try_from(pieces.len()).ok()?;
    let mut header = Vec::new();
    let part = |(piece, number): (&&[T], u8)| {
        header.clear();
        if total > 1 {
            Concat { reference, total, number }.write(&mut header);
        }
        make(&header, piece)
    };
    pieces.iter().zip(1..=total).map(part).collect()
}

/// The text of user data in its order, as if they were one: a pair that a sender has cut is whole again. `None` when one of
/// them is no text.
pub fn join<'a>(parts: impl IntoIterator<Item = UserData<'a>>) -> Option<String> {
    let mut pending = Pending::default();
    for part in parts {
        match part.dcs().alphabet() {
            Alphabet::Octets => return None,
            _ if part.dcs().is_compressed() => return None,
            Alphabet::Gsm7 => {
                pending.end_units();
                pending.septets.extend(part.septets());
            }
            Alphabet::Ucs2 => {
                pending.end_septets();
                pending.units.extend(part.units());
            }
        }
    }
    pending.end_units();
    pending.end_septets();
    Some(pending.text)
}

/// Text so far, and units of one alphabet that are not decoded yet.
#[derive(Default)]
struct Pending {
    text: String,
    septets: Vec<u8>,
    units: Vec<u16>,
}

impl Pending {
    fn end_septets(&mut self) {
        alphabet::decode(self.septets.drain(..), &mut self.text);
    }

    fn end_units(&mut self) {
        let characters = char::decode_utf16(self.units.drain(..));
        self.text.extend(characters.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    const REFERENCES: [Reference; 2] = [Reference::Eight(7), Reference::Sixteen(0x0107)];

    fn joined(parts: &[UserDataBuf]) -> Option<String> {
        join(parts.iter().map(UserDataBuf::view))
    }

    fn lengths(text: &str, reference: Reference) -> Vec<u8> {
        split(text, reference).expect("not too long").iter().map(|p| p.view().length()).collect()
    }

    #[test]
    fn the_coding_is_the_default_alphabet_when_it_has_all_characters() {
        for (text, dcs) in
            [("Hello €{}", Dcs::GSM7), ("", Dcs::GSM7), ("naïve", Dcs::UCS2), ("😀", Dcs::UCS2)]
        {
            let parts = split(text, REFERENCES[0]).expect("short");
            assert_eq!(
                (parts.len(), parts[0].view().dcs(), parts[0].view().header()),
                (1, dcs, None),
                "{text}"
            );
            assert_eq!(joined(&parts).as_deref(), Some(text));
        }
    }

    #[test]
    fn parts_are_as_long_as_they_can_be() {
        let [eight, sixteen] = REFERENCES;
        assert_eq!(lengths(&"a".repeat(160), eight), [160]);
        assert_eq!(lengths(&"a".repeat(161), eight), [160, 15]);
        assert_eq!(lengths(&"a".repeat(161), sixteen), [160, 17], "152 septets and 8 of the header");
        assert_eq!(lengths(&"中".repeat(70), eight), [140]);
        assert_eq!(lengths(&"中".repeat(71), eight), [140, 14]);
        assert_eq!(lengths(&"中".repeat(71), sixteen), [139, 17]);
    }

    #[test]
    fn pairs_are_not_cut() {
        let euros = "a".repeat(152) + "€€€€€€";
        assert_eq!(lengths(&euros, REFERENCES[0]), [159, 19]);
        let emoji = "é中".repeat(33) + "😀😀😀";
        assert_eq!(lengths(&emoji, REFERENCES[0]), [138, 18]);
        for part in split(&emoji, REFERENCES[0]).expect("short") {
            assert!(!part.view().text().expect("text").contains('\u{fffd}'));
        }
    }

    #[test]
    fn the_number_of_parts_is_an_octet() {
        assert_eq!(split(&"a".repeat(153 * 255), REFERENCES[0]).map(|p| p.len()), Some(MAX_PARTS));
        assert_eq!(split(&"a".repeat(153 * 255 + 1), REFERENCES[0]), None);
        assert_eq!(split(&"中".repeat(67 * 255 + 1), REFERENCES[0]), None);
    }

    #[test]
    fn whatever_the_text_its_parts_give_it_again_and_say_which_they_are() {
        const CHARACTERS: [&str; 2] = ["abc@£€{}[]~^|\\\nñÜ", "ab€中é😀👍🏽ж\u{200d}"];
        for seed in 0..400 {
            let mut rng = Rng::from_seed(seed);
            let all: Vec<char> = CHARACTERS[seed as usize % 2].chars().collect();
            let count = rng.below(700);
            let text: String = (0..count).map(|_| all[rng.below(all.len() as u64) as usize]).collect();
            let reference = REFERENCES[seed as usize / 2 % 2];
            let parts = split(&text, reference).expect("not too long");
            assert_eq!(joined(&parts), Some(text), "seed {seed}");
            for (part, number) in parts.iter().zip(1..).filter(|_| parts.len() > 1) {
                let place = Concat { reference, total: parts.len() as u8, number };
                assert_eq!(part.view().concat(), Some(place), "seed {seed}");
            }
        }
    }

    #[test]
    fn a_pair_that_a_sender_has_cut_is_whole_when_the_parts_are_joined() {
        let units: Vec<u16> = "a😀b".encode_utf16().collect();
        let part = |units: &[u16]| UserDataBuf::of_units(Dcs::UCS2, &[], units).expect("short");
        assert_eq!(joined(&[part(&units[..2]), part(&units[2..])]).as_deref(), Some("a😀b"));
        let septets = |s: &[u8]| UserDataBuf::of_septets(Dcs::GSM7, &[], s).expect("short");
        assert_eq!(joined(&[septets(&[0x41, 0x1b]), septets(&[0x65])]).as_deref(), Some("A€"));
        assert_eq!(joined(&[septets(&[0x41]), part(&units)]).as_deref(), Some("Aa😀b"));
        let octets = UserDataBuf::of_octets(Dcs::OCTETS, &[], b"x").expect("short");
        assert_eq!(joined(&[septets(&[0x41]), octets]), None);
    }
}
