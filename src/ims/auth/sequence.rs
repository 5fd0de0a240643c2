//! The sequence numbers of the SIMs (TS 33.102 6.3, C.3.2), across restarts.
//!
//! A number must not serve twice: the SIM would refuse it. The number of a vector is on its way to the disk before its challenge
//! is on its way to the phone, yet the loop does not wait for the disk; what a crash loses in between is skipped.
//!
//! Phones that share a SIM (`multi_sim`) have copies that count for themselves. One that has proven itself has a number of its
//! own; before that it draws from the user's common one, so that nobody makes us remember phones that there are not.

use super::card::{Card, Equipment};
use super::policy::NoKeys;
use crate::config::model::{Sim, User};
use crate::crypto::sqn;
use crate::ims::limits::{MAX_PHONES_PER_SIM, SQN_SKIPPED};
use crate::ims::persist;
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use std::collections::BTreeMap;

/// SQN of a vector that a SIM must refuse: it takes a SEQ above the highest it has seen, and none is below 0 (C.2.2).
const REFUSED: u64 = 0;

/// The count of one card.
#[derive(Clone, Copy, Debug)]
struct Counter {
    /// The SQN of the last vector.
    last: u64,
    /// Whether the SIM has shown since the start that it takes our numbers, or has told its own.
    is_known_to_fit: bool,
}

/// The counts of a user's cards.
#[derive(Debug)]
struct OfUser {
    common: Counter,
    /// Those of the phones that have proven themselves, the one that was heard of last at the end.
    phones: Vec<(Equipment, Counter)>,
}

/// The SQN of each card's last vector, where it is not the configured one.
#[derive(Debug, Default)]
pub struct Sequences {
    of_user: BTreeMap<UserId, OfUser>,
}

impl Sequences {
    /// The number of the card's next vector; `sim` says where they start, and with `force_sqn_resync` the SIM is made to tell its
    /// own number first. The error says that there is none left.
    pub fn next(&mut self, cx: &mut Cx<'_>, card: Card, profile: &User, sim: &Sim) -> Result<u64, NoKeys> {
        let (kept_for, counter) = self.counter(card, sim.sqn);
        if sim.force_sqn_resync && !counter.is_known_to_fit {
            return Ok(REFUSED);
        }
        let last = counter.last;
        let next =
            sqn::next(last).ok_or_else(|| NoKeys(format!("SQN {last:012x} is the last one there is")))?;
        counter.last = next;
        persist::store_sqn(cx, &profile.impi, kept_for, next);
        Ok(next)
    }

    /// The SIM has answered with the right RES: it takes our numbers.
    pub fn confirm(&mut self, cx: &mut Cx<'_>, card: Card, profile: &User) {
        let configured = profile.sim.as_ref().map_or(0, |sim| sim.sqn);
        self.keep(cx, card, profile);
        self.counter(card, configured).1.is_known_to_fit = true;
    }

    /// Goes on from the number of the SIM itself (6.3.5), wherever that is.
    pub fn resynchronise(&mut self, cx: &mut Cx<'_>, card: Card, profile: &User, sqn_ms: u64) {
        self.keep(cx, card, profile);
        *self.counter(card, sqn_ms).1 = Counter { last: sqn_ms, is_known_to_fit: true };
    }

    /// Takes the number that was stored before a restart: the last one that is known to have been used. Some more may have been
    /// while the disk lagged behind, so [`SQN_SKIPPED`] are skipped; and since the skipping is on the disk before any request is
    /// taken (the start waits for that), another restart that ends as badly is no danger either. Never goes below the configured number.
    pub fn restore(&mut self, cx: &mut Cx<'_>, card: Card, profile: &User, stored: u64) {
        let configured = profile.sim.as_ref().map_or(0, |sim| sim.sqn);
        let skipped = (0..SQN_SKIPPED).try_fold(stored & sqn::MAX, |sqn, _| sqn::next(sqn));
        let last = skipped.unwrap_or(sqn::MAX).max(configured);
        self.keep(cx, card, profile);
        self.counter(card, configured).1.last = last;
        persist::store_sqn(cx, &profile.impi, card.phone, last);
    }

    /// The counter that a card draws from, and whose it is: the phone's own when it has one.
    fn counter(&mut self, card: Card, configured: u64) -> (Option<Equipment>, &mut Counter) {
        let OfUser { common, phones } = self.of_user(card.user, configured);
        match phones.iter_mut().find(|(phone, _)| Some(*phone) == card.phone) {
            Some((phone, counter)) => (Some(*phone), counter),
            None => (None, common),
        }
    }

    /// Sees to it that a phone has a number of its own, which goes on from where it drew so far. Beyond
    /// [`MAX_PHONES_PER_SIM`] the one that was not heard of for longest draws from the common number again.
    fn keep(&mut self, cx: &mut Cx<'_>, card: Card, profile: &User) {
        let Some(phone) = card.phone else { return };
        let configured = profile.sim.as_ref().map_or(0, |sim| sim.sqn);
        let OfUser { common, phones } = self.of_user(card.user, configured);
        if let Some(at) = phones.iter().position(|(other, _)| *other == phone) {
            let known = phones.remove(at);
            return phones.push(known);
        }
        if phones.len() >= MAX_PHONES_PER_SIM {
            let (oldest, _) = phones.remove(0);
            persist::forget_sqn(cx, &profile.impi, oldest);
        }
        persist::store_sqn(cx, &profile.impi, Some(phone), common.last);
        phones.push((phone, Counter { is_known_to_fit: false, ..*common }));
    }

    fn of_user(&mut self, user: UserId, configured: u64) -> &mut OfUser {
        let common = Counter { last: configured, is_known_to_fit: false };
        self.of_user.entry(user).or_insert(OfUser { common, phones: Vec::new() })
    }
}
