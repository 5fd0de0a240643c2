//! A set of security associations in one line of the log. Keys are there only where the log asks for them.

use crate::base::trace::{Layer, Sink};
use crate::crypto::hex;
use crate::crypto::ipsec_keys::{Key, MAX_LEN};
use crate::proto::sip::sec_agree::{Association, Keys, Named, SaSet, Suite};
use std::fmt;

/// Prints a set: addresses, ports and SPIs of both sides, algorithms, lifetime, and perhaps keys.
#[derive(Clone, Copy)]
pub struct SetText<'a> {
    associations: &'a [Association; 4],
    suite: Suite,
    /// Seconds until it ends.
    lifetime: u64,
    keys: Option<&'a Keys>,
}

impl<'a> SetText<'a> {
    /// The text of a set as the kernel is told of it, for a log that may want keys (`ipsec.key=1`).
    pub fn new(set: &'a SaSet, sink: &dyn Sink) -> Self {
        SetText {
            associations: &set.associations,
            suite: set.suite,
            lifetime: set.lifetime.as_secs(),
            keys: sink.shows_keys(Layer::Ipsec).then_some(&set.keys),
        }
    }
}

impl fmt::Display for SetText<'_> {
    /// `UE 10.0.0.1 (port-c 31112 spi-c 0x…, port-s 31113 spi-s 0x…), P-CSCF 192.0.2.1 (…), hmac-sha-1-96, aes-cbc, 270 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // TS 33.203 7.1: the SPI of each association is that of the port where it ends
        let [to_ps, to_uc, to_us, to_pc] = self.associations;
        for (who, client, server) in [("UE", to_uc, to_us), (", P-CSCF", to_pc, to_ps)] {
            write!(
                f,
                "{who} {} (port-c {} spi-c {:#010x}, port-s {} spi-s {:#010x})",
                client.to.ip(),
                client.to.port(),
                client.spi,
                server.to.port(),
                server.spi
            )?;
        }
        let (alg, ealg) = (self.suite.integrity().name(), self.suite.encryption().name());
        write!(f, ", alg {alg}, ealg {ealg}, {} s", self.lifetime)?;
        let Some(keys) = self.keys else { return Ok(()) };
        for (what, key) in [
            ("integrity key", &keys.integrity),
            ("encryption key", &keys.encryption),
            ("key and salt", &keys.aead),
        ] {
            if !key.as_bytes().is_empty() {
                write!(f, ", {what} 0x{}", Hex(key))?;
            }
        }
        Ok(())
    }
}

/// A key's digits.
struct Hex<'a>(&'a Key);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode::<{ 2 * MAX_LEN }>(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;
    use crate::base::trace::{Level, Record, Silent};
    use crate::proto::sip::sec_agree::{Encryption, Integrity, Parameters, associations};

    /// A log that wants keys.
    struct Open;

    impl Sink for Open {
        fn wants(&self, _: Layer, _: Level) -> bool {
            true
        }
        fn record(&mut self, _: &Record<'_>) {}
        fn shows_keys(&self, layer: Layer) -> bool {
            layer == Layer::Ipsec
        }
    }

    fn set(integrity: Integrity, encryption: Encryption) -> SaSet {
        let ue = Parameters { spi_c: 0x1001, spi_s: 0x1002, port_c: 31_112, port_s: 31_113 };
        let own = Parameters { spi_c: 0x2001, spi_s: 0x2002, port_c: 5100, port_s: 6100 };
        let suite = Suite::new(integrity, encryption).unwrap();
        SaSet {
            id: 1,
            reqid: 2,
            suite,
            keys: suite.keys(&[0xcc; 16], &[0x11; 16]),
            associations: associations(
                "2001:db8::7".parse().unwrap(),
                &ue,
                "2001:db8::1".parse().unwrap(),
                &own,
            ),
            lifetime: Duration::from_secs(240),
        }
    }

    #[test]
    fn a_set_says_whose_port_and_spi_is_which_and_no_key() {
        let set = set(Integrity::HmacSha1_96, Encryption::AesCbc);
        assert_eq!(
            SetText::new(&set, &Silent).to_string(),
            "UE 2001:db8::7 (port-c 31112 spi-c 0x00001001, port-s 31113 spi-s 0x00001002), \
             P-CSCF 2001:db8::1 (port-c 5100 spi-c 0x00002001, port-s 6100 spi-s 0x00002002), \
             alg hmac-sha-1-96, ealg aes-cbc, 240 s"
        );
    }

    #[test]
    fn keys_are_there_where_the_log_asks_for_them() {
        let ends = |integrity, encryption| {
            let text = SetText::new(&set(integrity, encryption), &Open).to_string();
            text.split_once(" s, ").map(|(_, keys)| keys.to_owned())
        };
        let integrity = format!("integrity key 0x{}", "11".repeat(16));
        assert_eq!(ends(Integrity::HmacMd5_96, Encryption::Null), Some(integrity.clone()));
        let both = format!("{integrity}00000000, encryption key 0x{}", "cc".repeat(16));
        assert_eq!(ends(Integrity::HmacSha1_96, Encryption::AesCbc), Some(both));
        let aead = ends(Integrity::Null, Encryption::AesGcm).unwrap();
        assert!(aead.starts_with(&format!("key and salt 0x{}", "cc".repeat(16))), "{aead}");
        assert_eq!(aead.len(), "key and salt 0x".len() + 40);
    }
}
