//! Keys of the security associations between UE and P-CSCF: what TS 33.203 annex I makes of IK and CK (IK_IM and CK_IM there,
//! 128 bits each) for each algorithm of RFC 3329's `ipsec-3gpp`.
//!
//! Algorithms that annex I does not name but whose key is as long as the AKA key, or that differ from one that it names in the
//! length of their check value alone, get their keys by the same rules; the functions say so. The same keys serve all four
//! associations of a set. Which algorithm has which name is not known here.

use super::hash::Hash;
use arrayvec::ArrayVec;
use std::fmt;

/// Longest key, in octets: three keys of DES.
pub const MAX_LEN: usize = 24;

/// A key as an IPsec implementation takes it, its salt (if any) at the end. Debug does not show it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Key(ArrayVec<u8, MAX_LEN>);

impl Key {
    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A key from its octets; `None` when they are too many.
    pub fn of_octets(octets: &[u8]) -> Option<Key> {
        octets.try_into().ok().map(Key)
    }

    fn of(parts: &[&[u8]]) -> Key {
        let mut key = ArrayVec::new();
        for part in parts {
            key.try_extend_from_slice(part).expect("no rule of this module makes more than MAX_LEN octets");
        }
        Key(key)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} octets)", self.0.len())
    }
}

/// How CK and IK, in this order, become a key.
pub type Expansion = fn(&[u8; 16], &[u8; 16]) -> Key;

/// No key: null integrity, null encryption.
pub fn none(_ck: &[u8; 16], _ik: &[u8; 16]) -> Key {
    Key::default()
}

/// HMAC-MD5 of any length of check value: IK. AES-CMAC, which annex I does not name and whose key has 128 bits: IK too.
pub fn ik(_ck: &[u8; 16], ik: &[u8; 16]) -> Key {
    Key::of(&[ik])
}

/// HMAC-SHA-1 of any length of check value: IK and 32 zero bits.
pub fn ik_padded(_ck: &[u8; 16], ik: &[u8; 16]) -> Key {
    Key::of(&[ik, &[0; 4]])
}

/// AES-GMAC: IK, then the salt.
pub fn ik_salted(ck: &[u8; 16], ik: &[u8; 16]) -> Key {
    Key::of(&[ik, &salt(ck, ik, 0x58, b"AES_GMAC_SALT")])
}

/// AES-CBC: CK. Blowfish-CBC, which annex I does not name, with keys of 128 bits (RFC 2451 2.2): CK too.
pub fn ck(ck: &[u8; 16], _ik: &[u8; 16]) -> Key {
    Key::of(&[ck])
}

/// DES-EDE3-CBC: both halves of CK and the first once more. The parity bits stay as they come: DES does not look at them.
pub fn ck_ede(ck: &[u8; 16], _ik: &[u8; 16]) -> Key {
    Key::of(&[ck, &ck[..8]])
}

/// AES-GCM: CK, then the salt.
pub fn ck_salted(ck: &[u8; 16], ik: &[u8; 16]) -> Key {
    Key::of(&[ck, &salt(ck, ik, 0x59, b"AES_GCM_SALT")])
}

/// The salt: the last four octets of the key derivation function of TS 33.220 annex B.2 with the function code `fc` and one
/// parameter, under CK || IK.
fn salt(ck: &[u8; 16], ik: &[u8; 16], fc: u8, parameter: &[u8]) -> [u8; 4] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(ck);
    key[16..].copy_from_slice(ik);
    let mut input: ArrayVec<u8, 32> = ArrayVec::new();
    input.push(fc);
    input.extend(parameter.iter().copied());
    input.extend((parameter.len() as u16).to_be_bytes());
    let output = Hash::Sha256.hmac(&key, &input);
    *output.last_chunk().expect("SHA-256 has 32 octets")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::vectors::{array, load, octets, rows};
    use serde_json::Value;

    fn check(row: &Value, kind: &str, name: &str, field: Option<&str>, expand: Expansion) {
        let (ck, ik) = (array(row, "CK_IM"), array(row, "IK_IM"));
        let expected = match field {
            Some(field) => octets(&row[kind][name], field),
            None => octets(&row[kind], name),
        };
        assert_eq!(expand(&ck, &ik).as_bytes(), expected, "{} {name}", row["id"]);
    }

    #[test]
    fn every_key_of_the_vectors() {
        let file = load("ipsec_keys");
        for row in rows(&file, "keys") {
            check(row, "integrity", "hmac-md5-96", None, ik);
            check(row, "integrity", "hmac-sha-1-96", None, ik_padded);
            check(row, "integrity", "aes-gmac", Some("linux_aead_key"), ik_salted);
            check(row, "integrity", "null", None, none);
            check(row, "encryption", "des-ede3-cbc", None, ck_ede);
            check(row, "encryption", "aes-cbc", None, ck);
            check(row, "encryption", "aes-gcm", Some("linux_aead_key"), ck_salted);
            check(row, "encryption", "null", None, none);
        }
    }

    #[test]
    fn the_parity_bits_left_alone_are_the_only_difference_to_keys_with_parity() {
        let file = load("ipsec_keys");
        for row in rows(&file, "keys") {
            let key = ck_ede(&array(row, "CK_IM"), &array(row, "IK_IM"));
            let adjusted = octets(&row["encryption"], "des-ede3-cbc_parity_adjusted");
            assert!(key.as_bytes().iter().zip(&adjusted).all(|(a, b)| a & 0xfe == b & 0xfe));
        }
    }

    #[test]
    fn a_key_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", ik_padded(&[1; 16], &[2; 16])), "Key(20 octets)");
    }
}
