//! The `algorithm` parameter (RFC 7616 3.3, RFC 8760 2.1, RFC 3310 3.1, RFC 4169 2, TS 33.203 Annex N).

use crate::crypto::hash::Hash;

/// How AKA makes the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AkaVersion {
    /// RES itself (RFC 3310).
    V1,
    /// A key derived from RES, IK and CK (RFC 4169).
    V2,
}

/// A digest algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `MD5`, which is also meant where the parameter is absent (RFC 2617 3.2.1).
    Md5,
    /// `MD5-sess`.
    Md5Sess,
    /// `SHA-256`.
    Sha256,
    /// `SHA-256-sess`.
    Sha256Sess,
    /// `SHA-512-256`.
    Sha512_256,
    /// `SHA-512-256-sess`.
    Sha512_256Sess,
    /// `AKAv1-MD5`.
    AkaV1Md5,
    /// `AKAv2-MD5`.
    AkaV2Md5,
    /// `AKAv2-SHA-256`.
    AkaV2Sha256,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Algorithm; 9] = [
        Algorithm::Md5,
        Algorithm::Md5Sess,
        Algorithm::Sha256,
        Algorithm::Sha256Sess,
        Algorithm::Sha512_256,
        Algorithm::Sha512_256Sess,
        Algorithm::AkaV1Md5,
        Algorithm::AkaV2Md5,
        Algorithm::AkaV2Sha256,
    ];

    /// The algorithm that `name` means, in any case; `None` for one that is not known.
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| name.eq_ignore_ascii_case(algorithm.name().as_bytes()))
    }

    /// The name that stands in a header.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Sess => "SHA-256-sess",
            Algorithm::Sha512_256 => "SHA-512-256",
            Algorithm::Sha512_256Sess => "SHA-512-256-sess",
            Algorithm::AkaV1Md5 => "AKAv1-MD5",
            Algorithm::AkaV2Md5 => "AKAv2-MD5",
            Algorithm::AkaV2Sha256 => "AKAv2-SHA-256",
        }
    }

    /// The hash function inside.
    pub fn hash(self) -> Hash {
        match self {
            Algorithm::Md5 | Algorithm::Md5Sess | Algorithm::AkaV1Md5 | Algorithm::AkaV2Md5 => Hash::Md5,
            Algorithm::Sha256 | Algorithm::Sha256Sess | Algorithm::AkaV2Sha256 => Hash::Sha256,
            Algorithm::Sha512_256 | Algorithm::Sha512_256Sess => Hash::Sha512_256,
        }
    }

    /// Whether A1 holds nonce and cnonce (RFC 7616 3.4.2).
    pub fn is_session(self) -> bool {
        matches!(self, Algorithm::Md5Sess | Algorithm::Sha256Sess | Algorithm::Sha512_256Sess)
    }

    /// The version of AKA, if it is AKA.
    pub fn aka(self) -> Option<AkaVersion> {
        match self {
            Algorithm::AkaV1Md5 => Some(AkaVersion::V1),
            Algorithm::AkaV2Md5 | Algorithm::AkaV2Sha256 => Some(AkaVersion::V2),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_in_any_case_to_its_algorithm() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.name().as_bytes()), Some(algorithm));
            assert_eq!(Algorithm::parse(algorithm.name().to_lowercase().as_bytes()), Some(algorithm));
            assert_eq!(Algorithm::parse(algorithm.name().to_uppercase().as_bytes()), Some(algorithm));
        }
    }

    #[test]
    fn other_names_are_not_guessed() {
        for name in ["", "MD", "MD5 ", "AKAv3-MD5", "AKAv1-SHA-256", "SHA-1", "token"] {
            assert_eq!(Algorithm::parse(name.as_bytes()), None, "{name}");
        }
    }
}
