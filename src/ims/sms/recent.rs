//! The texts that phones have submitted lately: one that comes again because its sender missed the RP-ACK is not another one.

use super::limits::{DUPLICATE_WINDOW, MAX_RECENT};
use crate::base::time::Instant;
use crate::ims::subscriber::UserId;
use std::collections::{BTreeMap, VecDeque};

/// A sender, its RP-MR, its TP-MR.
type Key = (UserId, u8, u8);

/// Submitted texts.
#[derive(Debug, Default)]
pub(super) struct Recent {
    last: BTreeMap<Key, (Instant, Box<[u8]>)>,
    order: VecDeque<(Instant, Key)>,
}

/// TP-RD of a SUBMIT, which a phone may set when it repeats itself (TS 23.040 9.2.3.25).
const REJECT_DUPLICATES: u8 = 0x04;

impl Recent {
    /// Whether the same SUBMIT has come with the same references a short time ago.
    pub(super) fn has(&self, now: Instant, user: UserId, rp: u8, tpdu: &[u8]) -> bool {
        let Some((at, known)) = reference(tpdu).and_then(|tp| self.last.get(&(user, rp, tp))) else {
            return false;
        };
        let same = known.first().zip(tpdu.first()).is_some_and(|(a, b)| (a ^ b) & !REJECT_DUPLICATES == 0);
        same && known.get(1..) == tpdu.get(1..) && now.since(*at) < DUPLICATE_WINDOW
    }

    /// Takes note of a SUBMIT.
    pub(super) fn note(&mut self, now: Instant, user: UserId, rp: u8, tpdu: &[u8]) {
        let Some(tp) = reference(tpdu) else { return };
        self.last.insert((user, rp, tp), (now, tpdu.into()));
        self.order.push_back((now, (user, rp, tp)));
        while self.order.len() > MAX_RECENT {
            self.forget_first();
        }
    }

    /// A SUBMIT was not taken after all: when it comes again it is new.
    pub(super) fn forget(&mut self, user: UserId, rp: u8) {
        self.last.retain(|(of, with, _), _| (*of, *with) != (user, rp));
    }

    /// Forgets what is too old to come again.
    pub(super) fn tick(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(at, _)| now.since(*at) >= DUPLICATE_WINDOW) {
            self.forget_first();
        }
    }

    /// When there is something to forget.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.order.front().map(|(at, _)| *at + DUPLICATE_WINDOW)
    }

    fn forget_first(&mut self) {
        let Some((at, key)) = self.order.pop_front() else { return };
        if self.last.get(&key).is_some_and(|(last, _)| *last == at) {
            self.last.remove(&key);
        }
    }
}

/// TP-MR.
fn reference(tpdu: &[u8]) -> Option<u8> {
    tpdu.get(1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;

    #[test]
    fn the_same_again_is_known_for_a_while_and_anything_else_is_not() {
        let mut recent = Recent::default();
        let (user, now) = (UserId(1), Instant::from_nanos(1));
        recent.note(now, user, 7, &[0x01, 9, 1, 2]);
        assert!(recent.has(now, user, 7, &[0x01, 9, 1, 2]) && recent.has(now, user, 7, &[0x05, 9, 1, 2]));
        for (who, rp, tpdu) in [
            (2, 7, [0x01, 9, 1, 2]),
            (1, 8, [0x01, 9, 1, 2]),
            (1, 7, [0x01, 8, 1, 2]),
            (1, 7, [0x01, 9, 1, 3]),
        ] {
            assert!(!recent.has(now, UserId(who), rp, &tpdu), "{who} {rp} {tpdu:?}");
        }
        let later = now + DUPLICATE_WINDOW;
        assert!(recent.has(later - Duration::from_nanos(1), user, 7, &[0x01, 9, 1, 2]));
        recent.tick(later);
        assert!(!recent.has(later, user, 7, &[0x01, 9, 1, 2]) && recent.next_deadline().is_none());
    }

    #[test]
    fn no_more_is_kept_than_the_limit_says() {
        let mut recent = Recent::default();
        for n in 0..2 * MAX_RECENT as u32 {
            recent.note(Instant::from_nanos(n.into()), UserId(n), 0, &[1, 0]);
        }
        assert_eq!((recent.last.len(), recent.order.len()), (MAX_RECENT, MAX_RECENT));
    }
}
