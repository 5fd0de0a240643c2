//! Values that nobody may guess: nonces, RAND, tags.
//!
//! The context's generator is not made for secrecy: who saw enough of its output could run it on, or back. So nothing of it
//! leaves; what leaves is an HMAC, under a key drawn once, of a counter and a fresh draw.

use crate::base::rng::Rng;
use crate::crypto::compare::constant_time_eq;
use crate::crypto::hash::Hash;
use crate::crypto::hex;
use arrayvec::ArrayString;
use std::fmt;

/// A tag: 64 bits in hexadecimal (RFC 3261 19.3 asks for 32).
pub type Tag = ArrayString<16>;

/// Makes unguessable values.
pub struct Tokens {
    key: [u8; 32],
    counter: u64,
}

impl fmt::Debug for Tokens {
    /// Shows no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("counter", &self.counter).finish_non_exhaustive()
    }
}

impl Tokens {
    /// A maker whose key is drawn from `rng`.
    pub fn new(rng: &mut Rng) -> Self {
        let mut key = [0; 32];
        rng.fill(&mut key);
        Tokens { key, counter: 0 }
    }

    /// 32 octets that nobody can guess.
    pub fn octets(&mut self, rng: &mut Rng) -> [u8; 32] {
        self.counter += 1;
        let mut input = [0; 16];
        input[..8].copy_from_slice(&self.counter.to_le_bytes());
        input[8..].copy_from_slice(&rng.next_u64().to_le_bytes());
        let output = Hash::Sha256.hmac(&self.key, &input);
        std::array::from_fn(|i| output[i])
    }

    /// 64 bits that nobody can guess.
    pub fn bits(&mut self, rng: &mut Rng) -> u64 {
        let octets = self.octets(rng);
        u64::from_le_bytes(std::array::from_fn(|i| octets[i]))
    }

    /// 16 octets that nobody can guess, half of which are a seal over the other half and `label`.
    pub fn sealed(&mut self, rng: &mut Rng, label: &[u8; 16]) -> [u8; 16] {
        let octets = self.octets(rng);
        let free: [u8; 8] = std::array::from_fn(|i| octets[i]);
        let seal = self.seal(&free, label);
        std::array::from_fn(|i| if i < 8 { free[i] } else { seal[i - 8] })
    }

    /// Whether these octets were made by [`Tokens::sealed`] with this label.
    pub fn is_sealed(&self, octets: &[u8; 16], label: &[u8; 16]) -> bool {
        let (free, seal) = octets.split_at(8);
        constant_time_eq(seal, &self.seal(free, label))
    }

    /// Of 24 octets, so that no input of [`Tokens::octets`], of 16, has the same output.
    fn seal(&self, free: &[u8], label: &[u8; 16]) -> [u8; 8] {
        let mut input = [0; 24];
        input[..8].copy_from_slice(free);
        input[8..].copy_from_slice(label);
        let output = Hash::Sha256.hmac(&self.key, &input);
        std::array::from_fn(|i| output[i])
    }

    /// A tag for From or To.
    pub fn tag(&mut self, rng: &mut Rng) -> Tag {
        hex::encode(&self.octets(rng)[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_differ_and_follow_from_the_seed() {
        let draw = |seed| {
            let mut rng = Rng::from_seed(seed);
            let mut tokens = Tokens::new(&mut rng);
            [tokens.tag(&mut rng), tokens.tag(&mut rng), tokens.tag(&mut rng)]
        };
        let tags = draw(1);
        assert!(tags[0] != tags[1] && tags[1] != tags[2]);
        assert!(tags.iter().all(|t| t.len() == 16));
        assert_eq!(tags, draw(1));
        assert_ne!(tags, draw(2));
    }

    #[test]
    fn a_seal_holds_for_its_octets_and_its_label() {
        let mut rng = Rng::from_seed(1);
        let mut tokens = Tokens::new(&mut rng);
        let (label, other) = ([1; 16], [2; 16]);
        let sealed = tokens.sealed(&mut rng, &label);
        assert!(tokens.is_sealed(&sealed, &label));
        assert!(!tokens.is_sealed(&sealed, &other));
        for bit in 0..128 {
            let mut bent = sealed;
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(!tokens.is_sealed(&bent, &label), "{bit}");
        }
        assert!(!Tokens::new(&mut rng).is_sealed(&sealed, &label), "another key");
    }

    #[test]
    fn the_generators_own_output_does_not_leave() {
        let mut rng = Rng::from_seed(1);
        let mut shadow = rng.clone();
        let mut tokens = Tokens::new(&mut rng);
        let left = tokens.octets(&mut rng);
        let drawn: Vec<u8> = (0..8).flat_map(|_| shadow.next_u64().to_le_bytes()).collect();
        assert!(left.chunks(8).all(|chunk| !drawn.chunks(8).any(|d| d == chunk)));
    }
}
