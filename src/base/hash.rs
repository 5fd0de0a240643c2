//! Keyed hashing to 128 bits (SipHash-2-4), for tables whose keys a peer chooses.
//!
//! With a key that no peer knows, two different inputs never meet in practice, so the hash itself may serve as the key of a
//! table: looking up costs one pass over the fields and no allocation. Not a signature; nothing secret is derived from it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table whose keys are already hashes of a [`SecretHasher`].
pub type HashedMap<V> = HashMap<u128, V, BuildHasherDefault<AlreadyHashed>>;

/// The key of a [`SecretHasher`].
#[derive(Clone, Copy)]
pub struct HashKey(u64, u64);

impl HashKey {
    /// A key from two random numbers.
    pub const fn new(k0: u64, k1: u64) -> Self {
        HashKey(k0, k1)
    }

    /// Starts a hash.
    pub const fn hasher(self) -> SecretHasher {
        SecretHasher {
            state: [
                self.0 ^ 0x736f_6d65_7073_6575,
                self.1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
                self.0 ^ 0x6c79_6765_6e65_7261,
                self.1 ^ 0x7465_6462_7974_6573,
            ],
            pending: 0,
            length: 0,
        }
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey")
    }
}

/// A running SipHash-2-4 with a result of 128 bits.
#[derive(Clone, Debug)]
pub struct SecretHasher {
    state: [u64; 4],
    pending: u64,
    length: usize,
}

impl SecretHasher {
    /// Adds octets as they are.
    pub fn octets(&mut self, octets: &[u8]) -> &mut Self {
        for &octet in octets {
            self.pending |= u64::from(octet) << (self.length % 8 * 8);
            self.length = self.length.wrapping_add(1);
            if self.length.is_multiple_of(8) {
                let word = std::mem::take(&mut self.pending);
                self.compress(word);
            }
        }
        self
    }

    /// Adds one field: its length and its octets, so that neighbouring fields cannot be cut in another place.
    pub fn field(&mut self, octets: &[u8]) -> &mut Self {
        self.number(octets.len() as u64).octets(octets)
    }

    /// Adds one field without regard to ASCII case.
    pub fn field_no_case(&mut self, octets: &[u8]) -> &mut Self {
        self.number(octets.len() as u64);
        for octet in octets {
            self.octets(&[octet.to_ascii_lowercase()]);
        }
        self
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.octets(&number.to_le_bytes())
    }

    /// The hash of what was added.
    pub fn finish(&self) -> u128 {
        let mut last = self.clone();
        let word = last.pending | (last.length as u64) << 56;
        last.compress(word);
        last.state[2] ^= 0xee;
        let low = last.squeeze();
        last.state[1] ^= 0xdd;
        u128::from(last.squeeze()) << 64 | u128::from(low)
    }

    fn compress(&mut self, word: u64) {
        self.state[3] ^= word;
        self.round();
        self.round();
        self.state[0] ^= word;
    }

    fn squeeze(&mut self) -> u64 {
        for _ in 0..4 {
            self.round();
        }
        self.state.iter().fold(0, |all, word| all ^ word)
    }

    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.state;
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b = b.rotate_left(13) ^ a;
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32);
        c = c.wrapping_add(b);
        a = a.wrapping_add(d);
        b = b.rotate_left(17) ^ c;
        d = d.rotate_left(21) ^ a;
        c = c.rotate_left(32);
        self.state = [a, b, c, d];
    }
}

/// The hasher of a [`HashedMap`]: takes the low half of the key as it is.
#[derive(Clone, Copy, Default, Debug)]
pub struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.0 = self.0.rotate_left(8) ^ u64::from(octet);
        }
    }
    fn write_u128(&mut self, number: u128) {
        self.0 = number as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference_key() -> HashKey {
        HashKey::new(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)
    }

    /// The first vectors of the reference implementation: key 00..0f, inputs of 0, 1 and 2 octets counting up.
    #[test]
    fn reference_vectors() {
        let want: [[u8; 16]; 3] = [
            [0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93],
            [0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45],
            [0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff, 0xe4],
        ];
        for (length, want) in want.iter().enumerate() {
            let input: Vec<u8> = (0..length as u8).collect();
            assert_eq!(reference_key().hasher().octets(&input).finish().to_le_bytes(), *want, "{length}");
        }
    }

    #[test]
    fn fields_are_told_apart_and_case_only_where_asked() {
        let hash = |add: &dyn Fn(&mut SecretHasher)| {
            let mut h = reference_key().hasher();
            add(&mut h);
            h.finish()
        };
        assert_ne!(hash(&|h| _ = h.field(b"ab").field(b"c")), hash(&|h| _ = h.field(b"a").field(b"bc")));
        assert_ne!(hash(&|h| _ = h.field(b"A")), hash(&|h| _ = h.field(b"a")));
        assert_eq!(hash(&|h| _ = h.field_no_case(b"Ab")), hash(&|h| _ = h.field(b"ab")));
    }
}
