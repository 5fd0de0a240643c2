//! Concatenated short messages put together (TS 23.040 9.2.3.24.1, 9.2.3.24.8): parts come in any order, twice, or never.
//!
//! Which messages belong together says a key of the caller's (sender and recipient), the reference and the number of parts.
//! It has no clock and no wish to be woken: what is too old is dropped when something comes.

use super::limits::{MAX_INCOMPLETE, MAX_KEPT_PARTS, PART_PATIENCE};
use crate::base::time::Instant;
use crate::wire::gsm::concat::{Concat, Reference};
use crate::wire::gsm::user_data::{UserData, UserDataBuf};

/// What the arrival of user data means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// It is no part: a message of its own.
    Single,
    /// Parts are still missing, so many.
    Missing(u8),
    /// It was there before.
    Repeated,
    /// It was the last one missing: all parts in their order.
    Whole(Vec<UserDataBuf>),
}

#[derive(Debug)]
struct Incomplete<K> {
    key: K,
    reference: Reference,
    total: u8,
    /// By number, from 1; only those that have come.
    parts: Vec<(u8, UserDataBuf)>,
    last_at: Instant,
}

/// Messages of which parts are missing.
#[derive(Debug)]
pub struct Reassembler<K> {
    messages: Vec<Incomplete<K>>,
    dropped: u64,
}

impl<K> Default for Reassembler<K> {
    fn default() -> Self {
        Reassembler { messages: Vec::new(), dropped: 0 }
    }
}

impl<K: PartialEq> Reassembler<K> {
    /// Takes user data that came at `now` between the parties that `key` names.
    pub fn take(&mut self, now: Instant, key: K, user_data: UserData<'_>) -> Arrival {
        self.forget(now);
        let Some(Concat { reference, total, number }) = user_data.concat().filter(|c| c.total > 1) else {
            return Arrival::Single;
        };
        let same = |m: &Incomplete<K>| m.key == key && m.reference == reference && m.total == total;
        let at = self.messages.iter().position(same).unwrap_or_else(|| {
            self.messages.push(Incomplete { key, reference, total, parts: Vec::new(), last_at: now });
            self.messages.len() - 1
        });
        let message = &mut self.messages[at];
        message.last_at = now;
        let Err(place) = message.parts.binary_search_by_key(&number, |(n, _)| *n) else {
            return Arrival::Repeated;
        };
        message.parts.insert(place, (number, user_data.to_buf()));
        let missing = total - message.parts.len() as u8;
        if missing == 0 {
            let parts = self.messages.swap_remove(at).parts;
            return Arrival::Whole(parts.into_iter().map(|(_, part)| part).collect());
        }
        self.make_room();
        Arrival::Missing(missing)
    }

    /// Messages of which parts are missing.
    pub fn incomplete(&self) -> usize {
        self.messages.len()
    }

    /// Messages that were given up since the start: too old, or out of room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn forget(&mut self, now: Instant) {
        let before = self.messages.len();
        self.messages.retain(|m| now.since(m.last_at) < PART_PATIENCE);
        self.dropped += (before - self.messages.len()) as u64;
    }

    /// Gives up those that have waited longest; never the one that a part has just come for, unless it alone is too much.
    fn make_room(&mut self) {
        let is_over = |messages: &[Incomplete<K>]| {
            let kept: usize = messages.iter().map(|m| m.parts.len()).sum();
            messages.len() > MAX_INCOMPLETE || kept > MAX_KEPT_PARTS
        };
        while is_over(&self.messages) {
            let oldest = self.messages.iter().enumerate().min_by_key(|(_, m)| m.last_at).map(|(at, _)| at);
            let Some(oldest) = oldest else { return };
            self.messages.remove(oldest);
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::base::time::Duration;
    use crate::wire::gsm::text;

    fn at(secs: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(secs)
    }

    fn parts(text: &str, reference: Reference) -> Vec<UserDataBuf> {
        text::split(text, reference).expect("not too long")
    }

    fn whole(arrival: Arrival) -> Option<String> {
        match arrival {
            Arrival::Whole(parts) => text::join(parts.iter().map(UserDataBuf::view)),
            _ => None,
        }
    }

    #[test]
    fn parts_in_any_order_and_twice_make_the_text_once() {
        for seed in 0..100 {
            let mut rng = Rng::from_seed(seed);
            let text = "long é€ 😀 ".repeat(1 + rng.below(60) as usize);
            let reference =
                if seed % 2 == 0 { Reference::Eight(seed as u8) } else { Reference::Sixteen(seed as u16) };
            let parts = parts(&text, reference);
            let mut order: Vec<usize> = (0..parts.len()).chain(0..parts.len()).collect();
            for from in (1..order.len()).rev() {
                order.swap(from, rng.below(from as u64 + 1) as usize);
            }
            let (mut joiner, mut texts) = (Reassembler::default(), Vec::new());
            let mut seen = std::collections::BTreeSet::new();
            for at_part in order {
                let is_new = seen.insert(at_part);
                let arrival = joiner.take(at(0), "bob", parts[at_part].view());
                match &arrival {
                    Arrival::Single => assert_eq!(parts.len(), 1, "seed {seed}"),
                    Arrival::Repeated => assert!(!is_new, "seed {seed}"),
                    Arrival::Missing(_) | Arrival::Whole(_) => {}
                }
                texts.extend(whole(arrival));
                if seen.len() == parts.len() {
                    break;
                }
            }
            assert!(parts.len() == 1 || texts == [text], "seed {seed}");
            assert_eq!(joiner.incomplete(), 0, "seed {seed}");
        }
    }

    #[test]
    fn messages_of_other_parties_and_references_are_not_mixed() {
        let (long, other) = ("a".repeat(200), "b".repeat(200));
        let mut joiner = Reassembler::default();
        let (a, b) = (parts(&long, Reference::Eight(1)), parts(&other, Reference::Eight(1)));
        let c = parts(&other, Reference::Sixteen(1));
        assert_eq!(joiner.take(at(0), "bob", a[0].view()), Arrival::Missing(1));
        assert_eq!(joiner.take(at(0), "carol", b[1].view()), Arrival::Missing(1));
        assert_eq!(joiner.take(at(0), "bob", c[1].view()), Arrival::Missing(1));
        assert_eq!(whole(joiner.take(at(0), "bob", a[1].view())), Some(long));
        assert_eq!(whole(joiner.take(at(0), "carol", b[0].view())), Some(other));
        assert_eq!(joiner.incomplete(), 1);
    }

    #[test]
    fn what_waits_too_long_is_given_up() {
        let parts = parts(&"a".repeat(400), Reference::Eight(1));
        let mut joiner = Reassembler::default();
        let patience = PART_PATIENCE.as_secs();
        assert_eq!(joiner.take(at(0), (), parts[0].view()), Arrival::Missing(2));
        assert_eq!(joiner.take(at(patience - 1), (), parts[1].view()), Arrival::Missing(1));
        assert_eq!(joiner.take(at(2 * patience), (), parts[2].view()), Arrival::Missing(2), "begun anew");
        assert_eq!((joiner.dropped(), joiner.incomplete()), (1, 1));
    }

    #[test]
    fn the_oldest_make_room() {
        let mut joiner = Reassembler::default();
        for n in 0..=MAX_INCOMPLETE as u64 {
            let parts = parts(&"a".repeat(200), Reference::Sixteen(n as u16));
            assert_eq!(joiner.take(at(n), (), parts[0].view()), Arrival::Missing(1));
        }
        assert_eq!((joiner.incomplete(), joiner.dropped()), (MAX_INCOMPLETE, 1));
        let first = parts(&"a".repeat(200), Reference::Sixteen(0));
        assert_eq!(joiner.take(at(70), (), first[1].view()), Arrival::Missing(1), "its first part has gone");
        let mut joiner = Reassembler::default();
        let long = "a".repeat(153 * 255);
        for n in 0..5u8 {
            for part in &parts(&long, Reference::Eight(n))[1..] {
                joiner.take(at(u64::from(n)), (), part.view());
            }
        }
        assert_eq!((joiner.incomplete(), joiner.dropped()), (4, 1));
    }
}
