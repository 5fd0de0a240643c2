//! Pure functions with published vectors: 3GPP authentication, the hashes of HTTP digest, hex, constant-time comparison.
//!
//! Primitives (AES, MD5, SHA-2, HMAC, Keccak-f) are those of the RustCrypto crates; what 3GPP builds of them is here.
//! Nothing here draws randomness, keeps state or knows a subscriber.

pub mod aka;
pub mod compare;
pub mod hash;
pub mod hex;
pub mod ipsec_keys;
pub mod milenage;
pub mod sqn;
pub mod tuak;
pub mod xor;

/// Hex fields of the vector files, for the tests of this layer.
#[cfg(test)]
pub(crate) mod vectors {
    use serde_json::Value;

    /// Reads a vector file of `tests/vectors`.
    pub(crate) fn load(name: &str) -> Value {
        let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// The rows of `list` in `file`; at least one.
    pub(crate) fn rows<'a>(file: &'a Value, list: &str) -> &'a [Value] {
        let rows = file[list].as_array().expect("a list of vectors");
        assert!(!rows.is_empty());
        rows
    }

    /// The octets of a hex field.
    pub(crate) fn octets(row: &Value, field: &str) -> Vec<u8> {
        let text = row[field].as_str().unwrap_or_else(|| panic!("{} has no {field}", row["id"]));
        assert!(text.len().is_multiple_of(2));
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex")).collect()
    }

    /// The octets of a hex field of known length.
    pub(crate) fn array<const N: usize>(row: &Value, field: &str) -> [u8; N] {
        octets(row, field).try_into().unwrap_or_else(|_| panic!("{} {field}: not {N} octets", row["id"]))
    }

    /// A 48-bit number.
    pub(crate) fn sqn(row: &Value, field: &str) -> u64 {
        array::<6>(row, field).iter().fold(0, |n, octet| n << 8 | u64::from(*octet))
    }
}

#[cfg(test)]
mod tests {
    use super::vectors::load;

    /// The lists of every vector file with their lengths: a list or a row that is new must find its test. `vectors` and
    /// `keys` of the files of this layer are tested beside their functions; those of the digest in `proto::sip::digest`,
    /// `netlink` in the crate `platform`, `esp` in `tests/esp.rs`.
    #[test]
    fn the_vector_files_hold_what_the_tests_go_through() {
        let expected: [(&str, &[(&str, usize)]); 6] = [
            ("milenage", &[("vectors", 21)]),
            ("tuak", &[("vectors", 5), ("keccak_f1600", 5), ("computed_vectors", 15)]),
            ("xor", &[("vectors", 12)]),
            ("aka_digest", &[("vectors", 44)]),
            ("digest_md5", &[("vectors", 31)]),
            ("ipsec_keys", &[("keys", 12), ("netlink", 31), ("esp", 10)]),
        ];
        for (name, lists) in expected {
            let file = load(name);
            let members = file.as_object().expect("an object");
            let is_list = |value: &serde_json::Value| value[0].is_object();
            let found = members.iter().filter(|(_, value)| is_list(value));
            let found: Vec<_> =
                found.map(|(list, rows)| (list.as_str(), rows.as_array().map_or(0, Vec::len))).collect();
            assert_eq!(found, lists, "{name}");
        }
    }
}
