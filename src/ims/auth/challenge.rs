//! Challenges that wait for their answer: which nonces are ours, what they were made of, and how often each was used.
//!
//! Anybody can have challenges made for a user, so few of them are kept; one that was pushed out comes back by the seal in
//! its nonce (`seal`). For that the RANDs that have served are remembered, and only the user's own keys can fill that memory.

use super::card::Card;
use crate::base::time::Instant;
use crate::base::timer::{Alarm, AlarmQueue};
use crate::crypto::aka::Vector;
use crate::ims::limits::{AWAIT_AUTH, MAX_CHALLENGES_PER_USER, MAX_SPENT_PER_USER};
use crate::ims::subscriber::UserId;
use crate::proto::sip::digest::Algorithm;
use arrayvec::ArrayString;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The text of a nonce: base64 of RAND and AUTN, or 32 hexadecimal digits.
pub type NonceText = ArrayString<44>;

/// A challenge that has been sent.
#[derive(Debug)]
pub struct Pending {
    /// The card that is to answer it.
    pub card: Card,
    /// The host that it went to.
    pub source: IpAddr,
    /// Its nonce.
    pub nonce: NonceText,
    /// What the nonce is made of: the RAND of AKA.
    pub rand: [u8; 16],
    /// The algorithm it names.
    pub algorithm: Algorithm,
    /// The vector behind it, for AKA.
    pub vector: Option<Vector>,
    /// Until when it may be answered.
    pub expires_at: Instant,
    /// Wrong answers that led to it.
    pub wrong: u8,
    /// Re-synchronisations that led to it.
    pub resyncs: u8,
    /// The highest nonce count that has been accepted with it; 0 as long as it is unanswered (RFC 7616 3.3 nc).
    pub accepted_count: u32,
    /// Whether its answer counts only through security associations.
    pub is_protected: bool,
}

impl Pending {
    fn is(&self, card: Card, nonce: &[u8]) -> bool {
        self.card == card && self.nonce.as_bytes() == nonce
    }
}

/// A challenge that has served, and until when its seal may hold.
#[derive(Debug)]
struct Spent {
    rand: [u8; 16],
    until: Instant,
}

#[derive(Debug, Default)]
struct OfUser {
    pending: Vec<Pending>,
    /// Oldest first.
    spent: Vec<Spent>,
    alarm: Alarm,
}

impl OfUser {
    /// Forgets the oldest one beyond the cap. Nothing comes back as long as there are that many (see
    /// [`Challenges::may_return`]), and when there are fewer again, the forgotten one's time is over too.
    fn spend(&mut self, rand: [u8; 16], until: Instant) {
        if self.spent.len() >= MAX_SPENT_PER_USER {
            self.spent.remove(0);
        }
        self.spent.push(Spent { rand, until });
    }
}

/// The challenges of all users, few for each, oldest first.
#[derive(Debug, Default)]
pub struct Challenges {
    of_user: BTreeMap<UserId, OfUser>,
    alarms: AlarmQueue<UserId>,
}

impl Challenges {
    /// Remembers a challenge of the card's user; beyond the cap the user's oldest one is forgotten, if there is one that nobody answered.
    pub fn add(&mut self, challenge: Pending) {
        let user = challenge.card.user;
        let entry = self.of_user.entry(user).or_default();
        if entry.pending.len() >= MAX_CHALLENGES_PER_USER {
            let unanswered = entry.pending.iter().position(|p| p.accepted_count == 0);
            let oldest = entry.pending.remove(unanswered.unwrap_or(0));
            if oldest.accepted_count > 0 {
                // its counts are forgotten, so it must not come back
                entry.spend(oldest.rand, oldest.expires_at);
            }
        }
        entry.pending.push(challenge);
        self.set_alarm(user);
    }

    /// The user's challenge with this nonce, whichever card it is of.
    pub fn of_nonce(&mut self, user: UserId, nonce: &[u8]) -> Option<&mut Pending> {
        let pending = &mut self.of_user.get_mut(&user)?.pending;
        pending.iter_mut().find(|p| p.nonce.as_bytes() == nonce)
    }

    /// The card's challenge with this nonce, while it may be answered.
    pub fn find(&mut self, card: Card, nonce: &[u8], now: Instant) -> Option<&mut Pending> {
        let pending = &mut self.of_user.get_mut(&card.user)?.pending;
        pending.iter_mut().find(|p| p.is(card, nonce) && p.expires_at > now)
    }

    /// Takes the card's challenge with this nonce away.
    pub fn take(&mut self, card: Card, nonce: &[u8]) -> Option<Pending> {
        let pending = &mut self.of_user.get_mut(&card.user)?.pending;
        let at = pending.iter().position(|p| p.is(card, nonce))?;
        let taken = pending.remove(at);
        self.set_alarm(card.user);
        Some(taken)
    }

    /// Remembers that a challenge of the user's with this RAND has served.
    pub fn spend(&mut self, user: UserId, rand: [u8; 16], now: Instant) {
        self.of_user.entry(user).or_default().spend(rand, now + AWAIT_AUTH);
        self.set_alarm(user);
    }

    /// Lets none of the user's challenges serve again that have served once.
    pub fn spend_used(&mut self, user: UserId, now: Instant) {
        let Some(entry) = self.of_user.get_mut(&user) else { return };
        let used: Vec<[u8; 16]> =
            entry.pending.iter().filter(|p| p.accepted_count > 0).map(|p| p.rand).collect();
        entry.pending.retain(|p| p.accepted_count == 0);
        used.iter().for_each(|rand| entry.spend(*rand, now + AWAIT_AUTH));
        self.set_alarm(user);
    }

    /// Whether a challenge with this RAND may come back by its seal: it has not served, as far as all that did are known.
    pub fn may_return(&self, user: UserId, rand: &[u8; 16]) -> bool {
        let spent = self.of_user.get(&user).map_or(&[][..], |entry| &entry.spent[..]);
        spent.len() < MAX_SPENT_PER_USER && spent.iter().all(|s| s.rand != *rand)
    }

    /// Takes away a challenge whose time is over.
    pub fn pop_expired(&mut self, now: Instant) -> Option<(UserId, Pending)> {
        while let Some(user) = self.alarms.due(now) {
            let entry = self.of_user.get_mut(&user)?;
            entry.spent.retain(|s| s.until > now);
            let at = entry.pending.iter().position(|p| p.expires_at <= now);
            let expired = at.map(|at| entry.pending.remove(at));
            self.set_alarm(user);
            if let Some(expired) = expired {
                return Some((user, expired));
            }
        }
        None
    }

    /// When [`Challenges::pop_expired`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.alarms.next_deadline()
    }

    /// How many challenges there are.
    pub fn len(&self) -> usize {
        self.of_user.values().map(|entry| entry.pending.len()).sum()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.of_user.is_empty()
    }

    fn set_alarm(&mut self, user: UserId) {
        let Some(entry) = self.of_user.get_mut(&user) else { return };
        let ends = entry.pending.iter().map(|p| p.expires_at).chain(entry.spent.iter().map(|s| s.until));
        let earliest = ends.min();
        self.alarms.set(&mut entry.alarm, user, earliest);
        if earliest.is_none() {
            self.of_user.remove(&user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(nonce: &str, expires_at: u64) -> Pending {
        Pending {
            card: Card::common(UserId(0)),
            source: IpAddr::from([10, 0, 0, 1]),
            nonce: NonceText::from(nonce).expect("short"),
            rand: [0; 16],
            algorithm: Algorithm::Md5,
            vector: None,
            expires_at: Instant::from_nanos(expires_at),
            wrong: 0,
            resyncs: 0,
            accepted_count: 0,
            is_protected: false,
        }
    }

    #[test]
    fn a_nonce_is_found_for_its_user_until_it_expires() {
        let mut challenges = Challenges::default();
        let card = |n| Card::common(UserId(n));
        let (a, b, now) = (card(1), card(2), Instant::from_nanos(5));
        challenges.add(Pending { card: a, ..pending("x", 10) });
        challenges.add(Pending { card: a, ..pending("y", 8) });
        assert!(challenges.find(a, b"x", now).is_some());
        assert!(challenges.find(b, b"x", now).is_none());
        assert_eq!(challenges.next_deadline(), Some(Instant::from_nanos(8)));
        let later = Instant::from_nanos(10);
        assert!(challenges.find(a, b"x", later).is_none());
        let expired: Vec<_> =
            std::iter::from_fn(|| challenges.pop_expired(later)).map(|(_, p)| p.nonce).collect();
        assert_eq!(expired.len(), 2);
        assert!(challenges.is_empty() && challenges.next_deadline().is_none());
    }

    #[test]
    fn the_oldest_challenge_makes_room() {
        let mut challenges = Challenges::default();
        for i in 0..=MAX_CHALLENGES_PER_USER {
            challenges.add(pending(&i.to_string(), 10));
        }
        assert_eq!(challenges.len(), MAX_CHALLENGES_PER_USER);
        assert!(challenges.take(Card::common(UserId(0)), b"0").is_none());
        assert!(challenges.take(Card::common(UserId(0)), b"1").is_some());
    }

    #[test]
    fn what_has_served_does_not_come_back_and_is_forgotten_in_time() {
        let mut challenges = Challenges::default();
        let (user, start) = (UserId(0), Instant::from_nanos(1));
        let rand = |n: usize| [n as u8; 16];
        challenges.spend(user, rand(1), start);
        assert!(!challenges.may_return(user, &rand(1)) && challenges.may_return(user, &rand(2)));
        assert!(challenges.may_return(UserId(1), &rand(1)));
        for n in 2..=MAX_SPENT_PER_USER {
            challenges.spend(user, rand(n), start + AWAIT_AUTH / 2);
        }
        assert!(!challenges.may_return(user, &rand(200)), "full: nothing comes back");
        assert!(challenges.pop_expired(start + AWAIT_AUTH).is_none());
        assert!(challenges.may_return(user, &rand(200)) && !challenges.may_return(user, &rand(2)));
        assert!(challenges.pop_expired(start + AWAIT_AUTH * 2).is_none());
        assert!(challenges.is_empty() && challenges.next_deadline().is_none());
    }

    #[test]
    fn a_nonce_in_use_outlives_those_that_nobody_answers() {
        let mut challenges = Challenges::default();
        let user = UserId(0);
        challenges.add(Pending { accepted_count: 3, rand: [7; 16], ..pending("used", 10) });
        for i in 0..100 {
            challenges.add(pending(&i.to_string(), 10));
        }
        let used =
            challenges.find(Card::common(user), b"used", Instant::from_nanos(1)).map(|p| p.accepted_count);
        assert_eq!((used, challenges.may_return(user, &[7; 16])), (Some(3), true));
        for i in 0..MAX_CHALLENGES_PER_USER {
            challenges.add(Pending { accepted_count: 1, ..pending(&format!("n{i}"), 10) });
        }
        assert!(!challenges.may_return(user, &[7; 16]), "pushed out by others in use");
    }
}
