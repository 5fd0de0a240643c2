//! The algorithms of `ipsec-3gpp` (TS 33.203 annex H) and their names: in SIP and in the configuration, in the kernel, how their
//! keys are made and how long they are. One row an algorithm, in the two tables below; nothing else knows a name.

use crate::crypto::ipsec_keys::{self, Expansion, Key};

/// How a packet is authenticated (`alg`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Integrity {
    /// AES-GMAC (RFC 4543).
    AesGmac,
    /// HMAC-SHA-1, its whole output (RFC 4595's name).
    HmacSha1_160,
    /// HMAC-SHA-1, cut to 96 bits (RFC 2404).
    HmacSha1_96,
    /// AES-CMAC, cut to 96 bits (RFC 4494).
    AesCmac96,
    /// HMAC-MD5, its whole output (RFC 4595's name).
    HmacMd5_128,
    /// HMAC-MD5, cut to 96 bits (RFC 2403); deprecated.
    HmacMd5_96,
    /// None of its own: the encryption authenticates.
    Null,
}

/// How a packet is encrypted (`ealg`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Encryption {
    /// AES-GCM (RFC 4106), which authenticates too.
    AesGcm,
    /// AES-CBC with 128 bits (RFC 3602).
    AesCbc,
    /// Triple DES (RFC 2451); deprecated.
    DesEde3Cbc,
    /// Blowfish with 128 bits (RFC 2451).
    Blowfish,
    /// Not at all (RFC 2410).
    Null,
}

/// One algorithm.
struct Row {
    /// In Security-Client, Security-Server, Security-Verify, `ipsec_aalg_list` and `ipsec_ealg_list`.
    name: &'static str,
    /// In the kernel; empty for an algorithm that the kernel is not told of.
    kernel: &'static str,
    /// How CK and IK become the key, and how many octets that has, salt included.
    expand: Expansion,
    key_octets: usize,
    /// Length of the check value; 0 where the algorithm has none.
    icv_bits: u16,
}

const fn row(
    name: &'static str,
    kernel: &'static str,
    expand: Expansion,
    key_octets: usize,
    icv_bits: u16,
) -> Row {
    Row { name, kernel, expand, key_octets, icv_bits }
}

impl Integrity {
    /// All of them, the strongest first: the order of preference where none is configured.
    pub const ALL: [Integrity; 7] = [
        Integrity::AesGmac,
        Integrity::HmacSha1_160,
        Integrity::HmacSha1_96,
        Integrity::AesCmac96,
        Integrity::HmacMd5_128,
        Integrity::HmacMd5_96,
        Integrity::Null,
    ];

    const fn row(self) -> Row {
        match self {
            Integrity::AesGmac => row("aes-gmac", "rfc4543(gcm(aes))", ipsec_keys::ik_salted, 20, 128),
            Integrity::HmacSha1_160 => row("hmac-sha-1-160", "hmac(sha1)", ipsec_keys::ik_padded, 20, 160),
            Integrity::HmacSha1_96 => row("hmac-sha-1-96", "hmac(sha1)", ipsec_keys::ik_padded, 20, 96),
            Integrity::AesCmac96 => row("aes-cmac-96", "cmac(aes)", ipsec_keys::ik, 16, 96),
            Integrity::HmacMd5_128 => row("hmac-md5-128", "hmac(md5)", ipsec_keys::ik, 16, 128),
            Integrity::HmacMd5_96 => row("hmac-md5-96", "hmac(md5)", ipsec_keys::ik, 16, 96),
            Integrity::Null => row("null", "", ipsec_keys::none, 0, 0),
        }
    }
}

impl Encryption {
    /// All of them, the strongest first: the order of preference where none is configured.
    pub const ALL: [Encryption; 5] = [
        Encryption::AesGcm,
        Encryption::AesCbc,
        Encryption::DesEde3Cbc,
        Encryption::Blowfish,
        Encryption::Null,
    ];

    const fn row(self) -> Row {
        match self {
            Encryption::AesGcm => row("aes-gcm", "rfc4106(gcm(aes))", ipsec_keys::ck_salted, 20, 128),
            Encryption::AesCbc => row("aes-cbc", "cbc(aes)", ipsec_keys::ck, 16, 0),
            Encryption::DesEde3Cbc => row("des-ede3-cbc", "cbc(des3_ede)", ipsec_keys::ck_ede, 24, 0),
            Encryption::Blowfish => row("blowfish", "cbc(blowfish)", ipsec_keys::ck, 16, 0),
            Encryption::Null => row("null", "ecb(cipher_null)", ipsec_keys::none, 0, 0),
        }
    }
}

/// A name that is no algorithm here, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unknown {
    /// No such algorithm.
    Name,
    /// An algorithm whose key or salt between UE and P-CSCF no published document defines, so that no two implementations need
    /// agree on it: the nonce of `aes-ctr` (RFC 3686), the salt of the `-us` variants.
    Undefined,
    /// DES with 56 bits, which nobody should use and newer releases of LTEIMS left.
    Withdrawn,
}

/// Algorithms that are known by name but cannot be had.
const NOT_HAD: [(&str, Unknown); 4] = [
    ("aes-gmac-us", Unknown::Undefined),
    ("aes-gcm-us", Unknown::Undefined),
    ("aes-ctr", Unknown::Undefined),
    ("des-cbc", Unknown::Withdrawn),
];

/// What both kinds of algorithms have in common: their names.
pub trait Named: Copy + PartialEq + 'static {
    /// All algorithms of the kind.
    fn all() -> &'static [Self];

    /// The name in SIP and in the configuration.
    fn name(self) -> &'static str;

    /// The algorithm of that name, whatever its case.
    fn by_name(name: &[u8]) -> Result<Self, Unknown> {
        let found = Self::all().iter().find(|a| name.eq_ignore_ascii_case(a.name().as_bytes()));
        found.copied().ok_or_else(|| {
            let row = NOT_HAD.iter().find(|(n, _)| name.eq_ignore_ascii_case(n.as_bytes()));
            row.map_or(Unknown::Name, |(_, why)| *why)
        })
    }
}

impl Named for Integrity {
    fn all() -> &'static [Self] {
        &Integrity::ALL
    }

    fn name(self) -> &'static str {
        self.row().name
    }
}

impl Named for Encryption {
    fn all() -> &'static [Self] {
        &Encryption::ALL
    }

    fn name(self) -> &'static str {
        self.row().name
    }
}

/// A pair of algorithms that makes sense: every packet is authenticated, once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Suite {
    integrity: Integrity,
    encryption: Encryption,
}

/// What the kernel is told of a suite: algorithms by its own names. Lengths of check values are in bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transform {
    /// Two algorithms with a key each.
    Separate {
        /// Authentication.
        integrity: &'static str,
        /// Length that its output is cut to.
        icv_bits: u16,
        /// Encryption.
        encryption: &'static str,
    },
    /// One algorithm that does both, or authenticates alone (RFC 4543).
    Aead {
        /// Its name.
        name: &'static str,
        /// Length of its check value.
        icv_bits: u16,
    },
}

/// The keys of a suite. One algorithm that does both has its key in `aead`, the others have none there.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Keys {
    /// For [`Transform::Separate`].
    pub integrity: Key,
    /// For [`Transform::Separate`].
    pub encryption: Key,
    /// For [`Transform::Aead`], salt included.
    pub aead: Key,
}

impl Suite {
    /// The pair, if it is one that may be used: AES-GCM and AES-GMAC stand alone, everything else needs authentication of its
    /// own. TS 33.203 annex H has `null` integrity for AES-GCM only; RFC 4303 3.2 forbids to have neither.
    pub fn new(integrity: Integrity, encryption: Encryption) -> Option<Suite> {
        let valid = match (integrity, encryption) {
            (Integrity::Null, encryption) => encryption == Encryption::AesGcm,
            (Integrity::AesGmac, encryption) => encryption == Encryption::Null,
            (_, encryption) => encryption != Encryption::AesGcm,
        };
        valid.then_some(Suite { integrity, encryption })
    }

    /// All pairs that may be used, the strongest first.
    pub fn all() -> impl Iterator<Item = Suite> {
        Encryption::ALL
            .into_iter()
            .flat_map(|e| Integrity::ALL.into_iter().filter_map(move |i| Suite::new(i, e)))
    }

    /// How its packets are authenticated.
    pub fn integrity(self) -> Integrity {
        self.integrity
    }

    /// How its packets are encrypted.
    pub fn encryption(self) -> Encryption {
        self.encryption
    }

    /// The kernel's names.
    pub fn transform(self) -> Transform {
        let (integrity, encryption) = (self.integrity.row(), self.encryption.row());
        match self.aead() {
            Some(row) => Transform::Aead { name: row.kernel, icv_bits: row.icv_bits },
            None => Transform::Separate {
                integrity: integrity.kernel,
                icv_bits: integrity.icv_bits,
                encryption: encryption.kernel,
            },
        }
    }

    /// The keys that CK and IK make (TS 33.203 annex I).
    pub fn keys(self, ck: &[u8; 16], ik: &[u8; 16]) -> Keys {
        let key = |row: Row| {
            let key = (row.expand)(ck, ik);
            debug_assert_eq!(key.as_bytes().len(), row.key_octets, "{}", row.name);
            key
        };
        match self.aead() {
            Some(row) => Keys { aead: key(row), ..Keys::default() },
            None => Keys {
                integrity: key(self.integrity.row()),
                encryption: key(self.encryption.row()),
                aead: Key::default(),
            },
        }
    }

    /// Keys that [`Suite::keys`] has made, from their octets; `None` when they are not as long as the algorithms need.
    pub fn keys_of(self, integrity: &[u8], encryption: &[u8], aead: &[u8]) -> Option<Keys> {
        let expected = self.keys(&[0; 16], &[0; 16]);
        let same_length = |(key, given): (&Key, &[u8])| {
            Key::of_octets(given).filter(|_| key.as_bytes().len() == given.len())
        };
        Some(Keys {
            integrity: same_length((&expected.integrity, integrity))?,
            encryption: same_length((&expected.encryption, encryption))?,
            aead: same_length((&expected.aead, aead))?,
        })
    }

    /// The algorithm that stands alone.
    fn aead(self) -> Option<Row> {
        match (self.integrity, self.encryption) {
            (Integrity::AesGmac, _) => Some(self.integrity.row()),
            (_, Encryption::AesGcm) => Some(self.encryption.row()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_is_nobody_elses() {
        for (at, a) in Integrity::ALL.iter().enumerate() {
            assert_eq!(Integrity::by_name(a.name().to_uppercase().as_bytes()), Ok(*a));
            assert!(Integrity::ALL[at + 1..].iter().all(|b| a.name() != b.name()));
        }
        for a in Encryption::ALL {
            assert_eq!(Encryption::by_name(a.name().as_bytes()), Ok(a));
        }
        assert_eq!(Integrity::by_name(b"aes-cbc"), Err(Unknown::Name));
        assert_eq!(Integrity::by_name(b"aes-gmac-us"), Err(Unknown::Undefined));
        assert_eq!(Encryption::by_name(b"AES-CTR"), Err(Unknown::Undefined));
        assert_eq!(Encryption::by_name(b"des-cbc"), Err(Unknown::Withdrawn));
    }

    #[test]
    fn keys_have_the_length_that_their_algorithm_needs() {
        let (ck, ik) = ([1; 16], [2; 16]);
        let rows = Integrity::ALL.map(Integrity::row).into_iter().chain(Encryption::ALL.map(Encryption::row));
        for row in rows {
            assert_eq!((row.expand)(&ck, &ik).as_bytes().len(), row.key_octets, "{}", row.name);
        }
    }

    #[test]
    fn every_pair_authenticates_each_packet_once() {
        let suites: Vec<Suite> = Suite::all().collect();
        // five algorithms with a key of their own and four ciphers that do not authenticate, AES-GCM, AES-GMAC
        assert_eq!(suites.len(), 5 * 4 + 2);
        for suite in &suites {
            let keys = suite.keys(&[1; 16], &[2; 16]);
            let lengths = [&keys.integrity, &keys.encryption, &keys.aead].map(|k| k.as_bytes().len());
            match suite.transform() {
                Transform::Separate { icv_bits, .. } => {
                    assert!(icv_bits >= 96 && lengths[0] >= 16 && lengths[2] == 0, "{suite:?}");
                }
                Transform::Aead { icv_bits, .. } => assert_eq!((icv_bits, lengths), (128, [0, 0, 20])),
            }
        }
        for (integrity, encryption) in [
            (Integrity::Null, Encryption::Null),
            (Integrity::Null, Encryption::AesCbc),
            (Integrity::AesGmac, Encryption::AesCbc),
            (Integrity::HmacSha1_96, Encryption::AesGcm),
        ] {
            assert_eq!(Suite::new(integrity, encryption), None);
        }
    }

    #[test]
    fn the_kernel_is_told_its_own_names() {
        let suite = Suite::new(Integrity::HmacMd5_96, Encryption::DesEde3Cbc).unwrap();
        let names = Transform::Separate { integrity: "hmac(md5)", icv_bits: 96, encryption: "cbc(des3_ede)" };
        assert_eq!(suite.transform(), names);
        let suite = Suite::new(Integrity::AesGmac, Encryption::Null).unwrap();
        assert_eq!(suite.transform(), Transform::Aead { name: "rfc4543(gcm(aes))", icv_bits: 128 });
    }
}
