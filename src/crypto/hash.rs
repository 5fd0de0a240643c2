//! The hashes that digest authentication chooses from, behind one name, and HMAC over them.

use arrayvec::ArrayVec;
use hmac::digest::block_api::EagerHash;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha2::{Sha256, Sha512_256};
use std::fmt;

/// Longest output of a [`Hash`], in octets.
pub const MAX_LEN: usize = 32;

/// The output of a hash: 16 octets for MD5, else 32.
pub type Output = ArrayVec<u8, MAX_LEN>;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// MD5 (RFC 1321).
    Md5,
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// SHA-512 with its own start values, cut to 256 bits (FIPS 180-4 5.3.6.2).
    Sha512_256,
}

impl Hash {
    /// Starts a hash over octets that come in pieces.
    pub fn start(self) -> Hasher {
        Hasher(match self {
            Hash::Md5 => State::Md5(Md5::new()),
            Hash::Sha256 => State::Sha256(Sha256::new()),
            Hash::Sha512_256 => State::Sha512_256(Sha512_256::new()),
        })
    }

    /// The hash of `parts`, one after the other.
    pub fn of(self, parts: &[&[u8]]) -> Output {
        let mut hasher = self.start();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finish()
    }

    /// HMAC of `data` under `key` (RFC 2104).
    pub fn hmac(self, key: &[u8], data: &[u8]) -> Output {
        match self {
            Hash::Md5 => hmac::<Md5>(key, data),
            Hash::Sha256 => hmac::<Sha256>(key, data),
            Hash::Sha512_256 => hmac::<Sha512_256>(key, data),
        }
    }
}

/// A hash that is being computed; its input may be secret, so Debug does not show it.
pub struct Hasher(State);

enum State {
    Md5(Md5),
    Sha256(Sha256),
    Sha512_256(Sha512_256),
}

impl Hasher {
    /// Takes in the next octets.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Md5(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
            State::Sha512_256(state) => state.update(bytes),
        }
    }

    /// The hash of all octets taken in.
    pub fn finish(self) -> Output {
        match self.0 {
            State::Md5(state) => output(&state.finalize()),
            State::Sha256(state) => output(&state.finalize()),
            State::Sha512_256(state) => output(&state.finalize()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

fn hmac<D: EagerHash>(key: &[u8], data: &[u8]) -> Output {
    let mut mac = Hmac::<D>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    output(&mac.finalize().into_bytes())
}

fn output(bytes: &[u8]) -> Output {
    Output::try_from(bytes).expect("no hash of this enum is longer than MAX_LEN")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hex::encode;

    fn hex(output: &Output) -> String {
        encode::<64>(output).to_string()
    }

    #[test]
    fn known_hashes_of_abc() {
        // RFC 1321 A.5 and the FIPS 180-4 examples.
        let cases = [
            (Hash::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Hash::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (Hash::Sha512_256, "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"),
        ];
        for (hash, expected) in cases {
            assert_eq!(hex(&hash.of(&[b"abc"])), expected);
            assert_eq!(hash.of(&[b"a", b"", b"bc"]), hash.of(&[b"abc"]), "pieces do not matter");
        }
    }

    #[test]
    fn known_hmacs() {
        // RFC 2104 appendix, RFC 4231 4.3.
        let (key, data) = (b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex(&Hash::Md5.hmac(key, data)), "750c783e6ab0b503eaa86e310a5db738");
        assert_eq!(
            hex(&Hash::Sha256.hmac(key, data)),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
