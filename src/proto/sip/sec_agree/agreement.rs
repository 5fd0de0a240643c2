//! What was agreed, and whether the UE says the same: Security-Server, Security-Verify, and Security-Client once more.

use super::algorithm::Named;
use super::choose::{Choice, Parameters, Preferences};
use crate::wire::sip::list;
use crate::wire::sip::sec_agree::{Mechanism, same_list};
use crate::wire::sip::text::lossy;
use std::fmt;

/// An agreement with one UE: what it offered, what was chosen, what it was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agreement {
    choice: Choice,
    own: Parameters,
    server: String,
    /// The values of Security-Client, with commas between.
    client: Vec<u8>,
}

/// What the UE says differently; the text of both sides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The parameter, `mechanism` for the name of the mechanism, or `list` when not one mechanism but their number or order is
    /// it.
    pub parameter: &'static str,
    /// What was sent or had come before; empty for a parameter that was not there.
    pub expected: String,
    /// What came; empty for a parameter that is not there.
    pub came: String,
}

/// Why a protected request is not what was agreed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mismatch {
    /// There is no Security-Verify.
    NoVerify,
    /// Security-Verify is not what Security-Server was.
    Verify(Difference),
    /// There is no Security-Client.
    NoClient,
    /// Security-Client is not the one of the first request: somebody may have changed that on its way.
    Client(Difference),
}

impl Agreement {
    /// Keeps what was chosen from the `offers` of Security-Client, and the SPIs and ports drawn for it.
    pub fn new<'a>(choice: Choice, own: Parameters, offers: impl Iterator<Item = &'a [u8]>) -> Agreement {
        let client = offers.collect::<Vec<_>>().join(&b',');
        Agreement { server: server_value(&choice, &own), choice, own, client }
    }

    /// Takes other SPIs and ports of the P-CSCF, before the UE was told of any.
    pub fn draw_again(&mut self, own: Parameters) {
        self.server = server_value(&self.choice, &own);
        self.own = own;
    }

    /// What was chosen.
    pub fn choice(&self) -> &Choice {
        &self.choice
    }

    /// What the UE offered: the values of Security-Client, with commas between.
    pub fn offers(&self) -> &[u8] {
        &self.client
    }

    /// The P-CSCF's SPIs and ports.
    pub fn own(&self) -> &Parameters {
        &self.own
    }

    /// The value of Security-Server: the one mechanism that was chosen, and no other (TS 33.203 7.2).
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Whether the values of Security-Verify in a protected request mirror Security-Server (RFC 3329 2.3.1). Otherwise the
    /// answer is 494 and the associations go, if the registration is not complete (TS 24.229 5.2.2).
    pub fn verify<'a>(&self, values: impl Iterator<Item = &'a [u8]> + Clone) -> Result<(), Mismatch> {
        match values.clone().next() {
            None => Err(Mismatch::NoVerify),
            Some(_) => match differ(list::values(self.server.as_bytes()), values) {
                None => Ok(()),
                Some(difference) => Err(Mismatch::Verify(difference)),
            },
        }
    }

    /// Whether the values of Security-Client in the protected answer to the challenge are those of the request that was
    /// challenged. The P-CSCF names one mechanism only, so this is what reveals that somebody took the better ones out of the
    /// unprotected request (TS 33.203 7.2, TS 24.229 5.2.2).
    pub fn same_offer<'a>(&self, values: impl Iterator<Item = &'a [u8]> + Clone) -> Result<(), Mismatch> {
        match values.clone().next() {
            None => Err(Mismatch::NoClient),
            Some(_) => match differ(list::values(&self.client), values) {
                None => Ok(()),
                Some(difference) => Err(Mismatch::Client(difference)),
            },
        }
    }
}

/// The values of Security-Server where nothing is agreed yet, in a 421 or 494: every pair that is accepted, best first by its
/// `q`, without SPIs and ports, whatever the UE offered (RFC 3329 2.3.1).
pub fn mechanisms(preferences: &Preferences) -> impl Iterator<Item = String> + '_ {
    let count = preferences.suites().len();
    preferences.suites().iter().enumerate().map(move |(at, suite)| {
        let (alg, ealg) = (suite.integrity().name(), suite.encryption().name());
        // fewer than a hundred pairs exist, so that two digits keep them apart
        format!("ipsec-3gpp;q=0.{:02};prot=esp;mod=trans;alg={alg};ealg={ealg}", count - at)
    })
}

/// `q` is there because phones know it from other networks; one mechanism alone needs none.
fn server_value(choice: &Choice, own: &Parameters) -> String {
    let Parameters { spi_c, spi_s, port_c, port_s } = own;
    let (alg, ealg) = (choice.suite.integrity().name(), choice.suite.encryption().name());
    let prot = if choice.prot { ";prot=esp" } else { "" };
    let mode = if choice.mode { ";mod=trans" } else { "" };
    format!(
        "ipsec-3gpp;q=0.1{prot}{mode};spi-c={spi_c};spi-s={spi_s};port-c={port_c};port-s={port_s};alg={alg};ealg={ealg}"
    )
}

/// The first difference of two lists of mechanisms; `None` when they are the same in any order. RFC 3329 2.3.1 would have the
/// same order too; phones are seen to change it, and each mechanism still has to be there.
fn differ<'a, 'b>(
    expected: impl Iterator<Item = &'a [u8]> + Clone,
    came: impl Iterator<Item = &'b [u8]> + Clone,
) -> Option<Difference> {
    // a value that cannot be parsed is the same as none, but what comes again just as it came is no change
    if expected.clone().eq(came.clone()) || same_list(expected.clone(), came.clone()) {
        return None;
    }
    let text = |values: &mut dyn Iterator<Item = &[u8]>| {
        values.map(|v| lossy(v).into_owned()).collect::<Vec<_>>().join(", ")
    };
    let pairs = expected.clone().filter_map(Mechanism::parse).zip(came.clone().filter_map(Mechanism::parse));
    let parameter = pairs.filter(|(a, b)| !a.same(b)).find_map(|(a, b)| parameter(&a, &b));
    let same_count = expected.clone().count() == came.clone().count();
    parameter.filter(|_| same_count).or_else(|| {
        Some(Difference {
            parameter: "list",
            expected: text(&mut expected.clone()),
            came: text(&mut came.clone()),
        })
    })
}

/// The first parameter that two mechanisms have differently, of those that mean something here.
fn parameter(expected: &Mechanism<'_>, came: &Mechanism<'_>) -> Option<Difference> {
    let difference = |parameter, a: &[u8], b: &[u8]| {
        Some(Difference { parameter, expected: lossy(a).into_owned(), came: lossy(b).into_owned() })
    };
    if !expected.name.eq_ignore_ascii_case(came.name) {
        return difference("mechanism", expected.name, came.name);
    }
    const NAMES: [&str; 9] = ["alg", "ealg", "prot", "mod", "spi-c", "spi-s", "port-c", "port-s", "q"];
    NAMES.into_iter().find_map(|name| {
        let (a, b) = (value(expected, name), value(came, name));
        if a == b { None } else { difference(name, &a, &b) }
    })
}

/// A parameter as it is compared: words in small letters, numbers without leading zeros (`q` in thousandths), defaults filled in.
fn value(m: &Mechanism<'_>, name: &str) -> Vec<u8> {
    let number = |n: Option<u32>| n.map_or(Vec::new(), |n| n.to_string().into_bytes());
    match name {
        "alg" => m.integrity().unwrap_or_default().to_ascii_lowercase(),
        "ealg" => m.encryption().to_ascii_lowercase(),
        "prot" => m.protocol().to_ascii_lowercase(),
        "mod" => m.mode().to_ascii_lowercase(),
        "q" => number(m.q().map(u32::from)),
        _ => number(m.params.number(name)),
    }
}

impl fmt::Display for Difference {
    /// `spi-c is 4096, came as 4095`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_nothing = |text: &str| if text.is_empty() { "missing".to_owned() } else { text.to_owned() };
        write!(f, "{} is {}, came as {}", self.parameter, or_nothing(&self.expected), or_nothing(&self.came))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::NoVerify => f.write_str("Security-Verify is missing"),
            Mismatch::Verify(d) => write!(f, "Security-Verify differs from Security-Server: {d}"),
            Mismatch::NoClient => f.write_str("Security-Client is missing"),
            Mismatch::Client(d) => write!(f, "Security-Client differs from the first one: {d}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::algorithm::{Encryption, Integrity};
    use super::super::choose::{Verdict, choose};
    use super::*;

    const OFFER: &str = "ipsec-3gpp; alg=hmac-md5-96; ealg=aes-cbc; spi-c=1028536224; spi-s=455113919; port-c=8034; port-s=8904,\
                         ipsec-3gpp; alg=hmac-sha-1-96; ealg=aes-cbc; spi-c=1028536224; spi-s=455113919; port-c=8034; port-s=8904";
    const OWN: Parameters = Parameters { spi_c: 4096, spi_s: 4097, port_c: 5062, port_s: 5063 };

    fn preferences() -> Preferences {
        Preferences::new(&Integrity::ALL, &Encryption::ALL, |_| true)
    }

    fn agree(offer: &str) -> Agreement {
        let Verdict::Chosen(choice) = choose(list::values(offer.as_bytes()), &preferences()) else {
            panic!("nothing chosen")
        };
        Agreement::new(choice, OWN, list::values(offer.as_bytes()))
    }

    fn verify(agreement: &Agreement, value: &str) -> Result<(), String> {
        agreement.verify(list::values(value.as_bytes())).map_err(|m| m.to_string())
    }

    #[test]
    fn security_server_names_the_one_pair_and_mirrors_what_the_offer_spelled_out() {
        let agreement = agree(OFFER);
        assert_eq!(
            agreement.server(),
            "ipsec-3gpp;q=0.1;spi-c=4096;spi-s=4097;port-c=5062;port-s=5063;alg=hmac-sha-1-96;ealg=aes-cbc"
        );
        assert_eq!((agreement.choice().ue.spi_c, agreement.own().port_s), (1_028_536_224, 5063));
        let spelled = agree(&OFFER.replace("ipsec-3gpp;", "ipsec-3gpp;mod=trans;prot=esp;"));
        assert_eq!(
            spelled.server(),
            "ipsec-3gpp;q=0.1;prot=esp;mod=trans;spi-c=4096;spi-s=4097;port-c=5062;port-s=5063;alg=hmac-sha-1-96;ealg=aes-cbc"
        );
    }

    #[test]
    fn security_verify_is_compared_parameter_by_parameter() {
        let agreement = agree(OFFER);
        let echo = "IPSEC-3gpp; ealg=aes-cbc; alg=HMAC-SHA-1-96; port-s=5063; port-c=5062; spi-s=4097; spi-c=04096; q=0.100; mod=trans";
        assert_eq!(verify(&agreement, echo), Ok(()));
        assert_eq!(verify(&agreement, agreement.server()), Ok(()));
        for (from, to, words) in [
            ("04096", "4095", "spi-c is 4096, came as 4095"),
            ("4097", "4098", "spi-s is 4097, came as 4098"),
            ("5062", "5060", "port-c is 5062, came as 5060"),
            ("port-s=5063; ", "", "port-s is 5063, came as missing"),
            ("SHA-1", "MD5", "alg is hmac-sha-1-96, came as hmac-md5-96"),
            ("ealg=aes-cbc; ", "", "ealg is aes-cbc, came as null"),
            ("trans", "tun", "mod is trans, came as tun"),
            ("IPSEC-3gpp", "tls", "mechanism is ipsec-3gpp, came as tls"),
            ("0.100", "0.2", "q is 100, came as 200"),
        ] {
            let changed = echo.replace(from, to);
            assert_ne!(changed, echo);
            let expected = format!("Security-Verify differs from Security-Server: {words}");
            assert_eq!(verify(&agreement, &changed), Err(expected));
        }
        assert_eq!(verify(&agreement, ""), Err("Security-Verify is missing".into()));
    }

    #[test]
    fn more_or_stranger_parameters_than_were_sent_are_refused_too() {
        let agreement = agree(OFFER);
        let twice = format!("{0}, {0}", agreement.server());
        assert!(verify(&agreement, &twice).unwrap_err().contains(": list is ipsec-3gpp;q=0.1;"));
        let stranger = format!("{};x=1", agreement.server());
        assert!(verify(&agreement, &stranger).unwrap_err().contains(": list is ipsec-3gpp;q=0.1;"));
        assert!(verify(&agreement, ";;").is_err());
    }

    #[test]
    fn an_offer_that_was_weakened_on_its_way_is_found_out() {
        let weak = OFFER.split(',').next().unwrap();
        let agreement = agree(weak);
        assert_eq!(agreement.choice().suite.integrity(), Integrity::HmacMd5_96);
        let again = |offer: &str| agreement.same_offer(list::values(offer.as_bytes()));
        assert!(matches!(again(OFFER), Err(Mismatch::Client(d)) if d.parameter == "list"));
        assert_eq!(again(&weak.replace("; ", ";")), Ok(()));
        assert_eq!(again(""), Err(Mismatch::NoClient));
        let odd = format!("=?=, {OFFER}");
        assert_eq!(agree(&odd).same_offer(list::values(odd.as_bytes())), Ok(()));
        // the order of several is no difference
        let (a, b) = OFFER.split_once(',').unwrap();
        assert_eq!(agree(OFFER).same_offer(list::values(format!("{b},{a}").as_bytes())), Ok(()));
    }

    #[test]
    fn the_list_of_a_494_ranks_all_pairs_and_has_no_spi() {
        let all: Vec<String> = mechanisms(&preferences()).collect();
        assert_eq!(all.len(), preferences().suites().len());
        assert_eq!(all[0], "ipsec-3gpp;q=0.22;prot=esp;mod=trans;alg=null;ealg=aes-gcm");
        let q: Vec<_> = all.iter().map(|v| Mechanism::parse(v.as_bytes()).unwrap().q().unwrap()).collect();
        assert!(q.is_sorted_by(|a, b| a > b));
        assert!(all.iter().all(|v| !v.contains("spi") && !v.contains("port")));
    }
}
