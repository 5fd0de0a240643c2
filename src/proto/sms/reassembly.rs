//! Concatenated short messages put together (TS 23.040 9.2.3.24.1, 9.2.3.24.8): parts come in any order, twice, or never.
//!
//! Which messages belong together says a key of the caller's (sender and recipient), the reference and the number of parts.
//! What has come of a message is given up, and given back, when its next part takes too long, when there is no room for more, and when
//! another message begins with its reference.

use super::limits::{MAX_GIVEN_UP, MAX_INCOMPLETE, MAX_KEPT_PARTS, PART_PATIENCE};
use crate::base::time::{Duration, Instant};
use crate::wire::gsm::concat::{Concat, Reference};
use crate::wire::gsm::user_data::{UserData, UserDataBuf};
use std::collections::VecDeque;

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

/// What has come of a message whose other parts are not waited for any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GivenUp<K> {
    /// The parties.
    pub key: K,
    /// The parts in their order.
    pub parts: Vec<UserDataBuf>,
    /// How many are missing.
    pub missing: u8,
    /// When the last one came.
    pub last_at: Instant,
}

/// Messages of which parts are missing.
#[derive(Debug)]
pub struct Reassembler<K> {
    messages: Vec<Incomplete<K>>,
    patience: Duration,
    given_up: VecDeque<GivenUp<K>>,
    dropped: u64,
}

impl<K> Default for Reassembler<K> {
    fn default() -> Self {
        Reassembler::with_patience(PART_PATIENCE)
    }
}

impl<K> Reassembler<K> {
    /// One whose messages wait so long for their next part.
    pub fn with_patience(patience: Duration) -> Self {
        Reassembler { messages: Vec::new(), patience, given_up: VecDeque::new(), dropped: 0 }
    }

    /// The next message that was given up. To be asked after [`Reassembler::take`] and [`Reassembler::tick`].
    pub fn pop_given_up(&mut self) -> Option<GivenUp<K>> {
        self.given_up.pop_front()
    }

    /// When [`Reassembler::tick`] has something to give up.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.messages.iter().map(|m| m.last_at + self.patience).min()
    }
}

impl<K: PartialEq> Reassembler<K> {
    /// Takes user data that came at `now` between the parties that `key` names.
    pub fn take(&mut self, now: Instant, key: K, user_data: UserData<'_>) -> Arrival {
        self.tick(now);
        let Some(Concat { reference, total, number }) = user_data.concat().filter(|c| c.total > 1) else {
            return Arrival::Single;
        };
        let same = |m: &Incomplete<K>| m.key == key && m.reference == reference && m.total == total;
        let mut at = self.messages.iter().position(same);
        let known = at.and_then(|at| self.messages[at].parts.iter().find(|(n, _)| *n == number));
        match known {
            Some((_, part)) if part.view() == user_data => return Arrival::Repeated,
            // the reference is used again, for another message
            Some(_) => at.take().into_iter().for_each(|at| self.give_up(at)),
            None => {}
        }
        let at = at.unwrap_or_else(|| {
            self.messages.push(Incomplete { key, reference, total, parts: Vec::new(), last_at: now });
            self.messages.len() - 1
        });
        let message = &mut self.messages[at];
        message.last_at = now;
        let place = message.parts.partition_point(|(n, _)| *n < number);
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

    /// Gives up what waits too long.
    pub fn tick(&mut self, now: Instant) {
        while let Some(at) = self.messages.iter().position(|m| now.since(m.last_at) >= self.patience) {
            self.give_up(at);
        }
    }

    fn give_up(&mut self, at: usize) {
        let Incomplete { key, total, parts, last_at, .. } = self.messages.remove(at);
        let missing = total - parts.len() as u8;
        let parts = parts.into_iter().map(|(_, part)| part).collect();
        self.dropped += 1;
        if self.given_up.len() == MAX_GIVEN_UP {
            self.given_up.pop_front();
        }
        self.given_up.push_back(GivenUp { key, parts, missing, last_at });
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
            self.give_up(oldest);
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
        let given_up = joiner.pop_given_up().expect("two parts had come");
        assert_eq!((given_up.missing, given_up.last_at), (1, at(patience - 1)));
        assert_eq!(given_up.parts[..], parts[..2]);
        assert_eq!(joiner.pop_given_up(), None);
        assert_eq!(joiner.next_deadline(), Some(at(3 * patience)));
        joiner.tick(at(3 * patience));
        assert_eq!(joiner.pop_given_up().map(|given_up| given_up.missing), Some(2));
        assert_eq!((joiner.next_deadline(), joiner.incomplete()), (None, 0));
    }

    #[test]
    fn a_reference_that_is_used_again_begins_another_message() {
        let (first, second) =
            (parts(&"a".repeat(400), Reference::Eight(1)), parts(&"b".repeat(400), Reference::Eight(1)));
        let mut joiner = Reassembler::default();
        joiner.take(at(0), (), first[0].view());
        joiner.take(at(0), (), first[1].view());
        assert_eq!(joiner.take(at(1), (), first[1].view()), Arrival::Repeated);
        assert_eq!(joiner.take(at(1), (), second[0].view()), Arrival::Missing(2));
        assert_eq!(joiner.pop_given_up().map(|given_up| given_up.parts.len()), Some(2));
        joiner.take(at(1), (), second[2].view());
        assert_eq!(whole(joiner.take(at(1), (), second[1].view())), Some("b".repeat(400)));
    }

    #[test]
    fn what_was_given_up_and_is_not_asked_for_is_bounded() {
        let mut joiner = Reassembler::default();
        for n in 0..3 * MAX_INCOMPLETE as u64 {
            let parts = parts(&"a".repeat(200), Reference::Sixteen(n as u16));
            joiner.take(at(n), n, parts[0].view());
        }
        assert_eq!(joiner.pop_given_up().map(|given_up| given_up.key), Some(MAX_INCOMPLETE as u64));
        assert_eq!(joiner.given_up.len(), MAX_GIVEN_UP - 1);
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
