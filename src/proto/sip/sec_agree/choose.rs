//! The choice of one mechanism from those that a UE offers in Security-Client.

use super::algorithm::{Encryption, Integrity, Named, Suite};
use crate::wire::sip::sec_agree::Mechanism;

/// One side's SPIs and protected ports, of its client and its server port (TS 33.203 7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// SPI of what arrives at the client port.
    pub spi_c: u32,
    /// SPI of what arrives at the server port.
    pub spi_s: u32,
    /// Protected client port.
    pub port_c: u16,
    /// Protected server port.
    pub port_s: u16,
}

impl Parameters {
    /// Whether an SPI is one of `other`'s. TS 33.203 7.2 wants the SPIs that the P-CSCF draws to differ from those that the UE
    /// proposed.
    pub fn shares_spi_with(&self, other: &Parameters) -> bool {
        [self.spi_c, self.spi_s].iter().any(|spi| [other.spi_c, other.spi_s].contains(spi))
    }
}

/// What the server accepts, best first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preferences {
    suites: Vec<Suite>,
}

impl Preferences {
    /// The pairs of two lists of algorithms, each best first, without those that `has` denies (the kernel does not have them).
    ///
    /// The encryption decides first and the integrity among pairs of equal encryption: where the encryption authenticates too,
    /// the integrity is `null`, and would be the last choice however strong the pair.
    pub fn new(integrity: &[Integrity], encryption: &[Encryption], has: impl Fn(Suite) -> bool) -> Self {
        let mut suites = Vec::new();
        for &e in encryption {
            for &i in integrity {
                suites.extend(Suite::new(i, e).filter(|s| !suites.contains(s) && has(*s)));
            }
        }
        Preferences { suites }
    }

    /// The pairs, best first.
    pub fn suites(&self) -> &[Suite] {
        &self.suites
    }
}

/// A mechanism that both sides have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Choice {
    /// The algorithms.
    pub suite: Suite,
    /// The UE's SPIs and ports.
    pub ue: Parameters,
    /// Whether the UE wrote `prot` and `mod`, which have defaults. The answer does as the offer did: some phones refuse a
    /// parameter that they did not send.
    pub prot: bool,
    /// See `prot`.
    pub mode: bool,
}

/// What an offered mechanism lacks. The later in the list, the closer it came to being chosen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// It is no mechanism: the value cannot be parsed.
    Malformed,
    /// It is not `ipsec-3gpp`.
    OtherMechanism,
    /// `prot` is not `esp`.
    Protocol,
    /// `mod` is not `trans`. `UDP-enc-tun` is for UEs behind a NAT, which this P-CSCF does not serve.
    Mode,
    /// An SPI or a port is missing or zero, no number, or both SPIs are the same.
    Parameters,
    /// `alg` or `ealg` is missing or not known, or they do not go together.
    Algorithms,
    /// The pair is known, but not accepted: not configured, or the kernel does not have it.
    NotAccepted,
}

/// What became of an offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// There is no Security-Client.
    NotOffered,
    /// A mechanism that both sides have.
    Chosen(Choice),
    /// None of the mechanisms can be taken; the reason is that of the one that came closest.
    NoCommon(Fault),
}

/// Chooses from the values of Security-Client the pair that the server likes best; of several offers of it, the first. A `q` of
/// the UE's has no say: RFC 3329 2.3.1 wants clients to send none.
pub fn choose<'a>(offers: impl Iterator<Item = &'a [u8]>, preferences: &Preferences) -> Verdict {
    let mut best: Option<(usize, Choice)> = None;
    let mut fault: Option<Fault> = None;
    for offer in offers {
        match accept(offer, preferences) {
            Ok((rank, choice)) if best.is_none_or(|(other, _)| rank < other) => best = Some((rank, choice)),
            Ok(_) => {}
            Err(why) => fault = fault.max(Some(why)),
        }
    }
    match (best, fault) {
        (Some((_, choice)), _) => Verdict::Chosen(choice),
        (None, Some(fault)) => Verdict::NoCommon(fault),
        (None, None) => Verdict::NotOffered,
    }
}

/// The offer and its place in the order of preference.
fn accept(offer: &[u8], preferences: &Preferences) -> Result<(usize, Choice), Fault> {
    let m = Mechanism::parse(offer).ok_or(Fault::Malformed)?;
    if !m.is_ipsec_3gpp() {
        return Err(Fault::OtherMechanism);
    }
    if !m.protocol().eq_ignore_ascii_case(b"esp") {
        return Err(Fault::Protocol);
    }
    if !m.mode().eq_ignore_ascii_case(b"trans") {
        return Err(Fault::Mode);
    }
    let ue = parameters(&m).ok_or(Fault::Parameters)?;
    let suite = suite(&m).ok_or(Fault::Algorithms)?;
    let rank = preferences.suites.iter().position(|s| *s == suite).ok_or(Fault::NotAccepted)?;
    let (prot, mode) = (m.params.has("prot"), m.params.has("mod"));
    Ok((rank, Choice { suite, ue, prot, mode }))
}

/// SPIs below 256 are reserved (RFC 4303 2.1), but work, and are seen; zero never is on the wire.
fn parameters(m: &Mechanism<'_>) -> Option<Parameters> {
    let p = Parameters { spi_c: m.spi_c()?, spi_s: m.spi_s()?, port_c: m.port_c()?, port_s: m.port_s()? };
    // both SPIs are of associations to one address: only their difference keeps these apart (RFC 4301 4.1)
    (p.spi_c != 0 && p.spi_s != 0 && p.spi_c != p.spi_s && p.port_c != 0 && p.port_s != 0).then_some(p)
}

fn suite(m: &Mechanism<'_>) -> Option<Suite> {
    Suite::new(Integrity::by_name(m.integrity()?).ok()?, Encryption::by_name(m.encryption()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip::list;

    const SIX: &str = "ipsec-3gpp;alg=hmac-sha-1-96;prot=esp;mod=trans;ealg=des-ede3-cbc;spi-c=26157848;spi-s=69326023;port-c=31100;port-s=31800,\
                       ipsec-3gpp;alg=hmac-sha-1-96;prot=esp;mod=trans;ealg=aes-cbc;spi-c=26157848;spi-s=69326023;port-c=31100;port-s=31800,\
                       ipsec-3gpp;alg=hmac-sha-1-96;prot=esp;mod=trans;ealg=null;spi-c=26157848;spi-s=69326023;port-c=31100;port-s=31800,\
                       ipsec-3gpp;alg=hmac-md5-96;prot=esp;mod=trans;ealg=des-ede3-cbc;spi-c=26157848;spi-s=69326023;port-c=31100;port-s=31800,\
                       ipsec-3gpp;alg=hmac-md5-96;prot=esp;mod=trans;ealg=aes-cbc;spi-c=26157848;spi-s=69326023;port-c=31100;port-s=31800,\
                       ipsec-3gpp;alg=hmac-md5-96;prot=esp;mod=trans;ealg=null;spi-c=26157848;spi-s=69326023;port-c=31100;port-s=31800";
    const PLAIN: &str = "ipsec-3gpp;alg=hmac-sha-1-96;spi-c=4096;spi-s=4097;port-c=5103;port-s=5104";

    fn all() -> Preferences {
        Preferences::new(&Integrity::ALL, &Encryption::ALL, |_| true)
    }

    fn names(suite: Suite) -> (&'static str, &'static str) {
        (suite.integrity().name(), suite.encryption().name())
    }

    fn chosen(offer: &str, preferences: &Preferences) -> (&'static str, &'static str) {
        match choose(list::values(offer.as_bytes()), preferences) {
            Verdict::Chosen(choice) => names(choice.suite),
            other => panic!("{other:?}"),
        }
    }

    fn fault(offer: &str, preferences: &Preferences) -> Fault {
        match choose(list::values(offer.as_bytes()), preferences) {
            Verdict::NoCommon(fault) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_servers_order_decides_and_never_a_pair_that_was_not_offered() {
        use {Encryption as E, Integrity as I};
        assert_eq!(chosen(SIX, &all()), ("hmac-sha-1-96", "aes-cbc"));
        let lists = |i: &[Integrity], e: &[Encryption]| Preferences::new(i, e, |_| true);
        let readable = lists(&[I::HmacMd5_96, I::HmacSha1_96], &[E::Null, E::AesCbc]);
        assert_eq!(chosen(SIX, &readable), ("hmac-md5-96", "null"));
        let old = lists(&[I::AesGmac, I::HmacMd5_96], &[E::AesGcm, E::DesEde3Cbc]);
        assert_eq!(chosen(SIX, &old), ("hmac-md5-96", "des-ede3-cbc"));
        let modern = lists(&[I::AesGmac, I::Null], &[E::AesGcm, E::Null]);
        assert_eq!(fault(SIX, &modern), Fault::NotAccepted);
        // each half is offered, the pair is not
        let offer = "ipsec-3gpp;alg=hmac-md5-96;ealg=aes-cbc;spi-c=1;spi-s=2;port-c=3;port-s=4,\
                     ipsec-3gpp;alg=hmac-sha-1-96;ealg=null;spi-c=1;spi-s=2;port-c=3;port-s=4";
        assert_eq!(fault(offer, &lists(&[I::HmacSha1_96], &[E::AesCbc])), Fault::NotAccepted);
    }

    #[test]
    fn aes_gcm_wins_over_every_pair_with_integrity_of_its_own() {
        let gcm = "ipsec-3gpp;alg=null;ealg=aes-gcm;spi-c=9;spi-s=8;port-c=7;port-s=6";
        let offers = format!("{SIX},{gcm}");
        assert_eq!(chosen(&offers, &all()), ("null", "aes-gcm"));
        let Verdict::Chosen(choice) = choose(list::values(offers.as_bytes()), &all()) else { panic!() };
        assert_eq!(choice.ue, Parameters { spi_c: 9, spi_s: 8, port_c: 7, port_s: 6 });
    }

    #[test]
    fn what_the_kernel_lacks_is_not_chosen() {
        let kernel = Preferences::new(&Integrity::ALL, &Encryption::ALL, |s| {
            s.encryption() == Encryption::Null && s.integrity() != Integrity::HmacSha1_96
        });
        assert_eq!(chosen(SIX, &kernel), ("hmac-md5-96", "null"));
        let none = Preferences::new(&Integrity::ALL, &Encryption::ALL, |_| false);
        assert_eq!(fault(SIX, &none), Fault::NotAccepted);
    }

    #[test]
    fn lists_that_name_an_algorithm_twice_are_as_if_once() {
        let i = [Integrity::HmacMd5_96, Integrity::HmacMd5_96];
        assert_eq!(Preferences::new(&i, &[Encryption::Null, Encryption::Null], |_| true).suites().len(), 1);
        assert_eq!(all().suites(), Suite::all().collect::<Vec<_>>());
    }

    #[test]
    fn each_fault_is_named_and_the_closest_one_wins() {
        let with = |change: &str| format!("{PLAIN};{change}");
        let without = |parameter: &str| PLAIN.replace(parameter, "");
        let preferences = Preferences::new(&[Integrity::HmacMd5_96], &[Encryption::Null], |_| true);
        for (offer, expected) in [
            ("=?=".to_owned(), Fault::Malformed),
            ("tls".to_owned(), Fault::OtherMechanism),
            (with("prot=ah"), Fault::Protocol),
            (with("mod=UDP-enc-tun"), Fault::Mode),
            (without(";spi-c=4096"), Fault::Parameters),
            (PLAIN.replace("4097", "4096"), Fault::Parameters),
            (PLAIN.replace("4097", "0"), Fault::Parameters),
            (PLAIN.replace("4097", "4294967296"), Fault::Parameters),
            (PLAIN.replace("5103", "0"), Fault::Parameters),
            (PLAIN.replace("5104", "70000"), Fault::Parameters),
            (without(";alg=hmac-sha-1-96"), Fault::Algorithms),
            (with("ealg=aes-gcm"), Fault::Algorithms),
            (with("ealg=rot13"), Fault::Algorithms),
            (PLAIN.to_owned(), Fault::NotAccepted),
            (format!("tls,{PLAIN},digest"), Fault::NotAccepted),
        ] {
            assert_eq!(fault(&offer, &preferences), expected, "{offer}");
        }
        assert_eq!(choose(list::values(b""), &preferences), Verdict::NotOffered);
    }

    #[test]
    fn the_first_of_equal_offers_counts() {
        let later = PLAIN.replace("4096", "5000");
        let offers = format!("{PLAIN},{later}");
        let Verdict::Chosen(choice) = choose(list::values(offers.as_bytes()), &all()) else { panic!() };
        assert_eq!(choice.ue.spi_c, 4096);
    }

    #[test]
    fn spis_shared_with_the_other_side_are_seen() {
        let p = |spi_c, spi_s| Parameters { spi_c, spi_s, port_c: 1, port_s: 2 };
        assert!(p(1, 2).shares_spi_with(&p(3, 1)) && p(1, 2).shares_spi_with(&p(2, 3)));
        assert!(!p(1, 2).shares_spi_with(&p(3, 4)));
    }
}
