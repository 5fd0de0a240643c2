//! The core's only source of randomness: a seeded generator, so that one seed gives the same bytes twice.
//!
//! `node` seeds it from the operating system. The generator is xoshiro256** (Blackman, Vigna); what must not be guessable by
//! a peer (RAND, nonces) is drawn from a seed that the peer never sees, and hashed before it leaves (see `ims::auth`).

/// A seeded random number generator.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// A generator whose whole output follows from `seed`.
    pub fn from_seed(seed: u64) -> Self {
        let mut x = seed;
        // splitmix64 spreads the seed, so that close seeds give unrelated states and the state is never all zero
        let state = std::array::from_fn(|_| {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = x;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        Rng { state }
    }

    /// A generator from 32 octets of entropy.
    pub fn from_entropy(entropy: [u8; 32]) -> Self {
        let mut rng = Rng::from_seed(0);
        for (s, chunk) in rng.state.iter_mut().zip(entropy.chunks_exact(8)) {
            *s ^= u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
        }
        rng
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let out = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Fills `out` with random octets.
    pub fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_the_same_bytes_twice() {
        let (mut a, mut b, mut c) = (Rng::from_seed(7), Rng::from_seed(7), Rng::from_seed(8));
        let draw = |r: &mut Rng| (0..8).map(|_| r.next_u64()).collect::<Vec<_>>();
        let first = draw(&mut a);
        assert_eq!(first, draw(&mut b));
        assert_ne!(first, draw(&mut c));
    }

    #[test]
    fn below_stays_below() {
        let mut r = Rng::from_seed(1);
        assert!((0..1000).all(|_| r.below(3) < 3));
        assert_eq!(r.below(0), 0);
    }
}
