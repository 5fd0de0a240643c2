//! Security mechanisms (RFC 3329): one value of Security-Client, Security-Server or Security-Verify, with the parameters of
//! `ipsec-3gpp` (RFC 3329 appendix A as TS 33.203 annex H has it). Choosing one is not done here.

use super::params::{Param, Params};
use super::text::{is_token, qvalue};

/// One mechanism of the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mechanism<'a> {
    /// Mechanism name as it came: `ipsec-3gpp`, `tls`, ….
    pub name: &'a [u8],
    /// Parameters as they came.
    pub params: Params<'a>,
}

/// Parameters that are words, with what counts when they are absent.
const WORDS: [(&str, &[u8]); 4] = [("alg", b""), ("ealg", b"null"), ("prot", b"esp"), ("mod", b"trans")];

/// Parameters that are numbers.
const NUMBERS: [&str; 4] = ["spi-c", "spi-s", "port-c", "port-s"];

impl<'a> Mechanism<'a> {
    /// Parses one value; white space around semicolons is taken.
    pub fn parse(value: &'a [u8]) -> Option<Mechanism<'a>> {
        let (name, params) = Params::split(value);
        is_token(name).then_some(Mechanism { name, params })
    }

    /// Whether it is `ipsec-3gpp`.
    pub fn is_ipsec_3gpp(&self) -> bool {
        self.name.eq_ignore_ascii_case(b"ipsec-3gpp")
    }

    /// The preference in thousandths, if there is one.
    pub fn q(&self) -> Option<u16> {
        self.params.get("q").and_then(qvalue)
    }

    /// Integrity algorithm (`alg`): `hmac-sha-1-96`, `hmac-md5-96`, …; it is mandatory.
    pub fn integrity(&self) -> Option<&'a [u8]> {
        self.params.get("alg")
    }

    /// Encryption algorithm (`ealg`); without one nothing is encrypted.
    pub fn encryption(&self) -> &'a [u8] {
        self.params.get("ealg").unwrap_or(b"null")
    }

    /// IPsec protocol (`prot`), ESP by default.
    pub fn protocol(&self) -> &'a [u8] {
        self.params.get("prot").unwrap_or(b"esp")
    }

    /// IPsec mode (`mod`), transport mode by default.
    pub fn mode(&self) -> &'a [u8] {
        self.params.get("mod").unwrap_or(b"trans")
    }

    /// SPI of the sender's client port.
    pub fn spi_c(&self) -> Option<u32> {
        self.params.number("spi-c")
    }

    /// SPI of the sender's server port.
    pub fn spi_s(&self) -> Option<u32> {
        self.params.number("spi-s")
    }

    /// The sender's protected client port.
    pub fn port_c(&self) -> Option<u16> {
        self.port("port-c")
    }

    /// The sender's protected server port.
    pub fn port_s(&self) -> Option<u16> {
        self.port("port-s")
    }

    fn port(&self, name: &str) -> Option<u16> {
        self.params.number(name).and_then(|n| u16::try_from(n).ok())
    }

    /// Whether both say the same: neither the order of parameters nor white space, case, leading zeros or defaults written out
    /// make a difference. Parameters that we do not know must be the same too, or the list could be tampered with
    /// (RFC 3329 2.3.1).
    pub fn same(&self, other: &Mechanism<'_>) -> bool {
        self.name.eq_ignore_ascii_case(other.name)
            && WORDS.iter().all(|&(name, default)| {
                let own = self.params.get(name).unwrap_or(default);
                own.eq_ignore_ascii_case(other.params.get(name).unwrap_or(default))
            })
            && NUMBERS.iter().all(|name| self.params.number(name) == other.params.number(name))
            && self.q() == other.q()
            && self.has_strangers_of(other)
            && other.has_strangers_of(self)
    }

    /// Whether each parameter of `other` that has no meaning here stands here with the same value.
    fn has_strangers_of(&self, other: &Mechanism<'_>) -> bool {
        let same = |a: Param<'_>, b: Param<'_>| {
            a.name.eq_ignore_ascii_case(b.name) && a.text().eq_ignore_ascii_case(b.text())
        };
        other.params.iter().filter(|p| !is_known(p.name)).all(|p| self.params.iter().any(|own| same(own, p)))
    }
}

fn is_known(name: &[u8]) -> bool {
    let words = WORDS.iter().map(|(name, _)| name);
    words.chain(&NUMBERS).chain(&["q"]).any(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

/// Whether two lists hold the same mechanisms, in any order: what a server asks of Security-Verify against the
/// Security-Server that it sent (RFC 3329 2.3.1). A value that cannot be parsed is the same as none.
pub fn same_list<'a, 'b>(
    a: impl Iterator<Item = &'a [u8]> + Clone,
    b: impl Iterator<Item = &'b [u8]> + Clone,
) -> bool {
    let times = |list: &mut dyn Iterator<Item = &[u8]>, wanted: &Mechanism<'_>| {
        list.filter_map(Mechanism::parse).filter(|m| m.same(wanted)).count()
    };
    a.clone().count() == b.clone().count()
        && a.clone().all(|value| {
            Mechanism::parse(value)
                .is_some_and(|wanted| times(&mut a.clone(), &wanted) == times(&mut b.clone(), &wanted))
        })
}

#[cfg(test)]
mod tests {
    use super::super::list;
    use super::*;

    const SENT: &str = "ipsec-3gpp;q=0.1;prot=esp;mod=trans;spi-c=4096;spi-s=4097;port-c=5103;port-s=5104;\
                        alg=hmac-sha-1-96;ealg=aes-cbc";

    fn same(a: &str, b: &str) -> bool {
        same_list(list::values(a.as_bytes()), list::values(b.as_bytes()))
    }

    #[test]
    fn parameters_of_an_offer_and_their_defaults() {
        let m = Mechanism::parse(
            b"ipsec-3gpp; alg=hmac-md5-96; spi-c=1028536224; spi-s=4294967295; port-c=8034; port-s=70000",
        )
        .unwrap();
        assert!(m.is_ipsec_3gpp());
        assert_eq!((m.integrity(), m.encryption()), (Some(&b"hmac-md5-96"[..]), &b"null"[..]));
        assert_eq!((m.protocol(), m.mode(), m.q()), (&b"esp"[..], &b"trans"[..], None));
        assert_eq!((m.spi_c(), m.spi_s()), (Some(1_028_536_224), Some(u32::MAX)));
        assert_eq!((m.port_c(), m.port_s()), (Some(8034), None));
        assert_eq!(Mechanism::parse(b";alg=x"), None);
    }

    #[test]
    fn order_space_case_and_defaults_make_no_difference() {
        let echoed = "IPsec-3gpp; alg=HMAC-SHA-1-96; ealg=aes-cbc; q=0.10; spi-c=0004096; spi-s=4097; port-c=5103; port-s=5104";
        assert!(same(SENT, echoed));
        assert!(same(&format!("tls;q=0.2,{SENT}"), &format!("{echoed} , TLS ; q=0.2")));
    }

    #[test]
    fn each_changed_parameter_makes_a_difference() {
        for (from, to) in [
            ("q=0.1", "q=0.2"),
            ("esp", "ah"),
            ("trans", "tun"),
            ("=4096", "=4095"),
            ("=4097", "=4098"),
            ("=5103", "=5102"),
            (";port-s=5104", ""),
            ("sha-1", "md5"),
            (";ealg=aes-cbc", ""),
            ("ipsec-3gpp", "tls"),
            ("aes-cbc", "aes-cbc;x=y"),
        ] {
            let changed = SENT.replace(from, to);
            assert_ne!(changed, SENT);
            assert!(!same(SENT, &changed) && !same(&changed, SENT), "{from} -> {to}");
        }
        assert!(!same(SENT, &format!("{SENT},{SENT}")));
        assert!(!same(&format!("{SENT},{SENT},tls"), &format!("{SENT},tls,tls")));
        assert!(!same(SENT, ""));
        assert!(same("x;y=1", "x;Y=\"1\""));
    }
}
