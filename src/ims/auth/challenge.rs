//! Challenges that wait for their answer: which nonces are ours, what they were made of, and how often each was used.

use crate::base::time::Instant;
use crate::base::timer::{Alarm, AlarmQueue};
use crate::crypto::aka::Vector;
use crate::ims::limits::MAX_CHALLENGES_PER_USER;
use crate::ims::subscriber::UserId;
use crate::proto::sip::digest::Algorithm;
use arrayvec::ArrayString;
use std::collections::BTreeMap;

/// The text of a nonce: base64 of RAND and AUTN, or 32 hexadecimal digits.
pub type NonceText = ArrayString<44>;

/// A challenge that has been sent.
#[derive(Debug)]
pub struct Pending {
    /// Its nonce.
    pub nonce: NonceText,
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
}

#[derive(Debug, Default)]
struct OfUser {
    pending: Vec<Pending>,
    alarm: Alarm,
}

/// The challenges of all users, few for each, oldest first.
#[derive(Debug, Default)]
pub struct Challenges {
    of_user: BTreeMap<UserId, OfUser>,
    alarms: AlarmQueue<UserId>,
}

impl Challenges {
    /// Remembers a challenge; beyond the cap the user's oldest one is forgotten.
    pub fn add(&mut self, user: UserId, challenge: Pending) {
        let entry = self.of_user.entry(user).or_default();
        if entry.pending.len() >= MAX_CHALLENGES_PER_USER {
            entry.pending.remove(0);
        }
        entry.pending.push(challenge);
        self.set_alarm(user);
    }

    /// The user's challenge with this nonce, while it may be answered.
    pub fn find(&mut self, user: UserId, nonce: &[u8], now: Instant) -> Option<&mut Pending> {
        let pending = &mut self.of_user.get_mut(&user)?.pending;
        pending.iter_mut().find(|p| p.nonce.as_bytes() == nonce && p.expires_at > now)
    }

    /// Takes the user's challenge with this nonce away.
    pub fn take(&mut self, user: UserId, nonce: &[u8]) -> Option<Pending> {
        let pending = &mut self.of_user.get_mut(&user)?.pending;
        let at = pending.iter().position(|p| p.nonce.as_bytes() == nonce)?;
        let taken = pending.remove(at);
        self.set_alarm(user);
        Some(taken)
    }

    /// Takes away a challenge whose time is over.
    pub fn pop_expired(&mut self, now: Instant) -> Option<(UserId, Pending)> {
        let user = self.alarms.due(now)?;
        let entry = self.of_user.get_mut(&user)?;
        let at = entry.pending.iter().position(|p| p.expires_at <= now)?;
        let expired = entry.pending.remove(at);
        self.set_alarm(user);
        Some((user, expired))
    }

    /// When the next challenge expires.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.alarms.next_deadline()
    }

    /// How many challenges there are.
    pub fn len(&self) -> usize {
        self.of_user.values().map(|entry| entry.pending.len()).sum()
    }

    /// Whether no challenge waits.
    pub fn is_empty(&self) -> bool {
        self.of_user.is_empty()
    }

    fn set_alarm(&mut self, user: UserId) {
        let Some(entry) = self.of_user.get_mut(&user) else { return };
        let earliest = entry.pending.iter().map(|p| p.expires_at).min();
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
            nonce: NonceText::from(nonce).expect("short"),
            algorithm: Algorithm::Md5,
            vector: None,
            expires_at: Instant::from_nanos(expires_at),
            wrong: 0,
            resyncs: 0,
            accepted_count: 0,
        }
    }

    #[test]
    fn a_nonce_is_found_for_its_user_until_it_expires() {
        let mut challenges = Challenges::default();
        let (a, b, now) = (UserId(1), UserId(2), Instant::from_nanos(5));
        challenges.add(a, pending("x", 10));
        challenges.add(a, pending("y", 8));
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
            challenges.add(UserId(0), pending(&i.to_string(), 10));
        }
        assert_eq!(challenges.len(), MAX_CHALLENGES_PER_USER);
        assert!(challenges.take(UserId(0), b"0").is_none());
        assert!(challenges.take(UserId(0), b"1").is_some());
    }
}
