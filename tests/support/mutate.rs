//! Messages as they go wrong: octets changed, lost, repeated, or of another message.

use imsbox::base::rng::Rng;

/// Octets that mean something to some parser.
const SPECIAL: &[u8] = b"\r\n\t :;,=<>\"\\@[]()?%/*-.0\x00\xff";

/// A number below `bound`.
pub fn below(rng: &mut Rng, bound: usize) -> usize {
    rng.below(bound as u64) as usize
}

/// A range inside a text of this length, mostly short.
fn range(rng: &mut Rng, len: usize) -> std::ops::Range<usize> {
    let start = below(rng, len + 1);
    let longest = if rng.below(4) == 0 { len - start } else { (len - start).min(12) };
    start..start + below(rng, longest + 1)
}

/// Changes `text` in one of the ways that messages go wrong.
pub fn mutate(rng: &mut Rng, text: &mut Vec<u8>, other: &[u8]) {
    let at = below(rng, text.len().max(1));
    let some = range(rng, text.len());
    match rng.below(8) {
        0 if !text.is_empty() => text[at] ^= 1 << rng.below(8),
        1 if !text.is_empty() => text[at] = SPECIAL[below(rng, SPECIAL.len())],
        2 => text.insert(at.min(text.len()), SPECIAL[below(rng, SPECIAL.len())]),
        3 => drop(text.drain(some)),
        4 => {
            let copy = text[some.clone()].to_vec();
            text.splice(some.start..some.start, copy);
        }
        5 => {
            let foreign = other[range(rng, other.len())].to_vec();
            text.splice(some, foreign);
        }
        6 => text.truncate(at),
        _ => {
            let fill = SPECIAL[below(rng, SPECIAL.len())];
            text[some].fill(fill);
        }
    }
}
