//! AKA in digest (RFC 3310, RFC 4169): the nonce that carries RAND and AUTN, the password, and AUTS.

use super::algorithm::{AkaVersion, Algorithm};
use crate::crypto::aka::{MAX_RES_LEN, Vector};
use arrayvec::{ArrayString, ArrayVec};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use std::fmt;
use std::ops::Deref;

/// Characters of an AKA nonce without server data.
pub const NONCE_LEN: usize = 44;

/// The text of an AKA nonce.
pub type Nonce = ArrayString<NONCE_LEN>;

/// Base64 that is written with padding, and read with or without it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The nonce of a challenge: base64 of RAND and AUTN (RFC 3310 3.2), without server data.
pub fn nonce(rand: &[u8; 16], autn: &[u8; 16]) -> Nonce {
    let mut octets = [0; 32];
    octets[..16].copy_from_slice(rand);
    octets[16..].copy_from_slice(autn);
    base64_text(&octets)
}

/// RAND and AUTN of a nonce, server data left out; `None` when they are not in it.
pub fn parse_nonce(nonce: &[u8]) -> Option<([u8; 16], [u8; 16])> {
    let octets = decode(&nonce[..nonce.len().min(NONCE_LEN)])?;
    Some((octets.get(..16)?.try_into().ok()?, octets.get(16..32)?.try_into().ok()?))
}

/// The 14 octets of an `auts` parameter (RFC 3310 3.4); `None` for any other text.
pub fn parse_auts(auts: &[u8]) -> Option<[u8; 14]> {
    decode(auts)?.as_slice().try_into().ok()
}

/// A digest password that AKA made; Debug does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(ArrayVec<u8, PASSWORD_LEN>);

/// Longest password: the base64 text of 32 octets.
const PASSWORD_LEN: usize = 44;

impl Deref for Password {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// The password that the answer to `vector` is computed with; `None` when `algorithm` is not AKA.
///
/// An answer with `auts` is computed with the empty password instead (RFC 3310 3.4).
pub fn password(algorithm: Algorithm, vector: &Vector) -> Option<Password> {
    Some(match algorithm.aka()? {
        // RFC 3310 3.3: RES itself, as octets that may hold any value.
        AkaVersion::V1 => Password(vector.xres.iter().copied().collect()),
        AkaVersion::V2 => v2(algorithm, vector),
    })
}

/// RFC 4169 2.1: base64 of a keyed hash of a fixed text under RES || IK || CK.
fn v2(algorithm: Algorithm, vector: &Vector) -> Password {
    let parts = [vector.xres.as_slice(), &vector.ik, &vector.ck];
    let key: ArrayVec<u8, { MAX_RES_LEN + 32 }> = parts.into_iter().flatten().copied().collect();
    let prf = algorithm.hash().hmac(&key, b"http-digest-akav2-password");
    Password(base64_text::<PASSWORD_LEN>(&prf).bytes().collect())
}

/// Base64 of at most 32 octets.
fn base64_text<const N: usize>(octets: &[u8]) -> ArrayString<N> {
    let mut text = [0; NONCE_LEN];
    let len = BASE64.encode_slice(octets, &mut text).expect("32 octets are 44 characters");
    text[..len].iter().map(|b| char::from(*b)).fold(ArrayString::new(), |mut all, c| {
        all.push(c);
        all
    })
}

/// The octets of a text of at most [`NONCE_LEN`] characters.
fn decode(text: &[u8]) -> Option<ArrayVec<u8, 36>> {
    let mut octets = [0; 36];
    let len = BASE64.decode_slice(text, &mut octets).ok()?;
    octets.into_iter().take(len).collect::<ArrayVec<u8, 36>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonce_survives_both_ways() {
        let (rand, autn) = ([0xa5; 16], [0x5a; 16]);
        let nonce = nonce(&rand, &autn);
        assert_eq!(nonce.len(), NONCE_LEN);
        assert_eq!(parse_nonce(nonce.as_bytes()), Some((rand, autn)));
        let unpadded = nonce.trim_end_matches('=');
        assert_eq!(parse_nonce(unpadded.as_bytes()), Some((rand, autn)), "padding may be missing");
    }

    #[test]
    fn server_data_of_any_length_is_left_out() {
        for extra in 0..100 {
            let octets: Vec<u8> = (0..32 + extra).collect();
            let text = BASE64.encode(&octets);
            let (rand, autn) = parse_nonce(text.as_bytes()).expect("an AKA nonce");
            assert_eq!([rand, autn].concat(), octets[..32]);
        }
    }

    #[test]
    fn texts_that_hold_no_rand_and_autn_are_refused() {
        for nonce in
            ["", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiT!0v", "===="]
        {
            assert_eq!(parse_nonce(nonce.as_bytes()), None, "{nonce}");
        }
    }

    #[test]
    fn auts_has_exactly_14_octets() {
        assert_eq!(
            parse_auts(b"M0RVZneIABEiM0RVZnc="),
            Some([0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77])
        );
        for auts in ["", "M0RVZneIABEiM0RVZg==", "M0RVZneIABEiM0RVZnd4", "not base64 at all!!!"] {
            assert_eq!(parse_auts(auts.as_bytes()), None, "{auts}");
        }
        assert_eq!(parse_auts(&[b'A'; 5000]), None);
    }

    #[test]
    fn only_aka_has_an_aka_password() {
        let vector = Vector {
            rand: [0; 16],
            autn: [0; 16],
            xres: [0u8, b':', 0xff, 1].into_iter().collect(),
            ck: [1; 16],
            ik: [2; 16],
        };
        for algorithm in Algorithm::ALL {
            assert_eq!(password(algorithm, &vector).is_some(), algorithm.aka().is_some());
        }
        let v1 = password(Algorithm::AkaV1Md5, &vector).expect("AKA");
        assert_eq!(&v1[..], [0, b':', 0xff, 1]);
        assert_eq!(format!("{v1:?}"), "Password(..)");
        let v2 = |algorithm| password(algorithm, &vector).expect("AKA").len();
        assert_eq!((v2(Algorithm::AkaV2Md5), v2(Algorithm::AkaV2Sha256)), (24, 44));
    }
}
