//! What the phone offers, and what it takes of the network's lists (RFC 3329 2.3.1, TS 33.203 annex H).

use imsbox::proto::sip::sec_agree::{Encryption, Integrity, Named as _, Parameters, Suite};
use imsbox::wire::sip::sec_agree::Mechanism;
use imsbox::wire::sip::text::lossy;
use std::fmt;

/// The pairs of algorithms that the phone may offer, best first.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Suites(Vec<Suite>);

impl Suites {
    /// These.
    pub fn new(suites: Vec<Suite>) -> Suites {
        Suites(suites)
    }

    /// All of them.
    pub fn all(&self) -> &[Suite] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps what a list of the network's names too; whether fewer are left than before, and any.
    pub fn narrow(&mut self, values: &[&[u8]]) -> bool {
        let before = self.0.len();
        let listed: Vec<Suite> = values.iter().filter_map(|value| suite(&Mechanism::parse(value)?)).collect();
        let common: Vec<Suite> = self.0.iter().copied().filter(|s| listed.contains(s)).collect();
        let is_narrower = !common.is_empty() && common.len() < before;
        if is_narrower {
            self.0 = common;
        }
        is_narrower
    }
}

impl fmt::Display for Suites {
    /// The pairs by name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |s: &Suite| format!("{}/{}", s.integrity().name(), s.encryption().name());
        f.write_str(&self.0.iter().map(name).collect::<Vec<_>>().join(", "))
    }
}

/// What a REGISTER offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The number of the set that may come of it.
    pub number: u32,
    /// SPIs and ports.
    pub own: Parameters,
    /// The pairs, best first.
    pub suites: Vec<Suite>,
}

/// What is taken of a Security-Server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The pair.
    pub suite: Suite,
    /// The network's SPIs and ports.
    pub theirs: Parameters,
}

impl Offer {
    /// The value of Security-Client: one mechanism for each pair, all with the same SPIs and ports.
    pub fn value(&self) -> String {
        let Parameters { spi_c, spi_s, port_c, port_s } = self.own;
        let one = |suite: &Suite| {
            let (alg, ealg) = (suite.integrity().name(), suite.encryption().name());
            format!(
                "ipsec-3gpp;alg={alg};ealg={ealg};spi-c={spi_c};spi-s={spi_s};port-c={port_c};port-s={port_s}"
            )
        };
        self.suites.iter().map(one).collect::<Vec<_>>().join(",")
    }

    /// Takes the best mechanism of a Security-Server, by its `q`, that was offered; the error says what is wrong with all.
    pub fn take(&self, values: &[&[u8]]) -> Result<Taken, String> {
        let mut read: Vec<Mechanism<'_>> =
            values.iter().filter_map(|value| Mechanism::parse(value)).collect();
        read.sort_by_key(|m| std::cmp::Reverse(m.q().unwrap_or(1000)));
        let fits = |m: &&Mechanism<'_>| suite(m).is_some_and(|s| self.suites.contains(&s));
        let Some(mechanism) = read.iter().find(fits) else {
            let names = names(values);
            return Err(format!("the network answers with {names}, which was not offered"));
        };
        let theirs = parameters(mechanism).ok_or_else(|| {
            "an SPI or a port of the network's Security-Server is missing or no number that may be one"
                .to_owned()
        })?;
        let suite = suite(mechanism).expect("it fits");
        Ok(Taken { suite, theirs })
    }
}

/// The pair of a mechanism, if it is one that may be used.
fn suite(m: &Mechanism<'_>) -> Option<Suite> {
    let is = |text: &[u8], word: &str| text.eq_ignore_ascii_case(word.as_bytes());
    if !m.is_ipsec_3gpp() || !is(m.protocol(), "esp") || !is(m.mode(), "trans") {
        return None;
    }
    Suite::new(Integrity::by_name(m.integrity()?).ok()?, Encryption::by_name(m.encryption()).ok()?)
}

fn parameters(m: &Mechanism<'_>) -> Option<Parameters> {
    // RFC 4303 2.1: 0 to 255 are reserved
    let spi = |spi: Option<u32>| spi.filter(|spi| *spi > 255);
    let port = |port: Option<u16>| port.filter(|port| *port > 0);
    Some(Parameters {
        spi_c: spi(m.spi_c())?,
        spi_s: spi(m.spi_s())?,
        port_c: port(m.port_c())?,
        port_s: port(m.port_s())?,
    })
}

/// The mechanisms of a list by their algorithms, for a person.
pub fn names(values: &[&[u8]]) -> String {
    let one = |value: &[u8]| match Mechanism::parse(value) {
        Some(m) if m.is_ipsec_3gpp() => {
            format!("{}/{}", lossy(m.integrity().unwrap_or(b"nothing")), lossy(m.encryption()))
        }
        _ => lossy(value).into_owned(),
    };
    let all: Vec<String> = values.iter().map(|value| one(value)).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}
