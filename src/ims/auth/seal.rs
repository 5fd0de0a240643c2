//! Seals in nonces: a challenge of ours is known by its nonce alone, for about as long as challenges wait.
//!
//! Half of what a nonce is made of, the RAND of AKA, is drawn; the other half is a keyed hash of it, of the card and of the time
//! (as RFC 7616 5.4 advises). So a flood of first REGISTERs can push a user's challenge out of the table, but not keep its
//! answer from being judged.

use super::card::Card;
use super::challenge::{NonceText, Pending};
use super::policy;
use crate::base::time::{Duration, Instant};
use crate::config::model::User;
use crate::crypto::{aka, hex};
use crate::ims::limits::AWAIT_AUTH;
use crate::ims::tokens::Tokens;
use crate::proto::sip::digest::{Credentials, aka as aka_digest};
use std::net::IpAddr;

/// How many periods a seal holds: it is made in one of them and holds until the end of the last.
const PERIODS: u64 = 8;

/// One period.
const PERIOD: Duration = Duration::from_secs(AWAIT_AUTH.as_secs() / PERIODS);

/// What the seal of a nonce that is made now stands for. `is_protected`: its answer counts only through security associations.
pub fn label(card: Card, is_protected: bool, now: Instant) -> [u8; 16] {
    label_of(card, is_protected, period(now))
}

/// What the nonce is made of, when that is sealed for the card and its time is not over, and whether its answer counts only through
/// security associations.
pub fn open(tokens: &Tokens, card: Card, nonce: &[u8], now: Instant) -> Option<([u8; 16], bool)> {
    let rand = match aka_digest::parse_nonce(nonce) {
        Some((rand, _)) => rand,
        None => hex::decode_array(nonce)?,
    };
    let newest = period(now);
    let oldest = newest.saturating_sub(PERIODS - 1);
    let is_of = |is_protected: bool| {
        (oldest..=newest).any(|period| tokens.is_sealed(&rand, &label_of(card, is_protected, period)))
    };
    [false, true].into_iter().find(|kind| is_of(*kind)).map(|kind| (rand, kind))
}

/// The challenge that was made of what was opened, as far as its nonce tells: wrong answers before it are forgotten.
pub fn challenge(
    profile: &User,
    card: Card,
    given: &Credentials<'_>,
    (rand, is_protected): ([u8; 16], bool),
    source: IpAddr,
    now: Instant,
) -> Option<Pending> {
    let algorithm = policy::algorithm(profile, given.algorithm).ok()?;
    let is_aka = aka_digest::parse_nonce(given.nonce).is_some();
    if algorithm.aka().is_some() != is_aka {
        return None;
    }
    let vector = match &profile.sim {
        // RES does not follow from SQN
        Some(sim) if is_aka => Some(aka::generate(&policy::sim(sim).ok()?, &rand, 0)),
        _ => None,
    };
    Some(Pending {
        card,
        source,
        nonce: NonceText::from(std::str::from_utf8(given.nonce).ok()?).ok()?,
        rand,
        algorithm,
        vector,
        expires_at: now + AWAIT_AUTH,
        wrong: 0,
        resyncs: 0,
        accepted_count: 0,
        is_protected,
    })
}

fn period(now: Instant) -> u64 {
    now.as_nanos() / PERIOD.as_nanos() as u64
}

fn label_of(card: Card, is_protected: bool, period: u64) -> [u8; 16] {
    let mut label = [0; 16];
    label[..4].copy_from_slice(&card.user.0.to_le_bytes());
    // 31 bits of half minutes are two thousand years
    label[4..8].copy_from_slice(&((period as u32) << 1 | u32::from(is_protected)).to_le_bytes());
    label[8..].copy_from_slice(&card.octets());
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::ims::auth::card::Equipment;
    use crate::ims::subscriber::UserId;

    #[test]
    fn a_seal_holds_for_its_card_and_its_time() {
        let mut rng = Rng::from_seed(1);
        let mut tokens = Tokens::new(&mut rng);
        let made = Instant::ZERO + Duration::from_secs(1000);
        let rand = tokens.sealed(&mut rng, &label(Card::common(UserId(1)), true, made));
        let password = hex::encode::<32>(&rand);
        let sim = aka_digest::nonce(&rand, &[9; 16]);
        for nonce in [password.as_bytes(), sim.as_bytes()] {
            let open = |user, after| {
                open(&tokens, Card::common(UserId(user)), nonce, made + Duration::from_secs(after))
            };
            assert_eq!([open(1, 0), open(1, 100), open(1, 209)], [Some((rand, true)); 3]);
            assert_eq!([open(2, 0), open(1, 240)], [None; 2]);
        }
        let common = Card::common(UserId(1));
        assert_eq!(open(&tokens, common, b"", made), None);
        assert_eq!(open(&tokens, common, &[b'a'; 32], made), None);
        let phone = Card { phone: Equipment::of_imei("86130905000038"), ..common };
        assert_eq!(open(&tokens, phone, password.as_bytes(), made), None);
    }
}
