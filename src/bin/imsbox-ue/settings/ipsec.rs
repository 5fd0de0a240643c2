//! What the options say of IPsec.

use super::{Given, Transport, Trouble, trouble};
use imsbox::proto::sip::sec_agree::{Encryption, Integrity, Named, Suite, Unknown};

/// Whether the phone protects what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protect {
    /// Never.
    Off,
    /// Where the kernel and the network can.
    Optional,
    /// Always, or not at all.
    Required,
}

/// Something that is done wrongly on purpose, so that a network can be tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// Security-Verify has another SPI than Security-Server had.
    WrongVerify,
    /// The answer to the challenge goes out in clear.
    ClearAnswer,
}

/// The options about IPsec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipsec {
    /// Whether.
    pub protect: Protect,
    /// The pairs to be offered, best first.
    pub suites: Vec<Suite>,
    /// The first protected client port; any if there is none.
    pub port_c: Option<u16>,
    /// The protected server port; any if there is none.
    pub port_s: Option<u16>,
    /// The first SPI of the client port; a random one if there is none.
    pub spi_c: Option<u32>,
    /// The first SPI of the server port; a random one if there is none.
    pub spi_s: Option<u32>,
    /// How a REGISTER goes out that is protected.
    pub register_transport: Transport,
    /// What is done wrongly.
    pub trick: Option<Trick>,
}

/// The options about IPsec of a phone with a card, or without one.
pub fn build(given: &Given, has_card: bool, transport: Transport) -> Result<Ipsec, Trouble> {
    let text = |name: &'static str| given.get(name).map(String::as_str);
    let protect = match text("ipsec") {
        Some("off") => Protect::Off,
        Some(_) if !has_card => {
            return trouble("ipsec", "needs a SIM (K): a password gives no keys for it");
        }
        Some("required") => Protect::Required,
        Some(_) => Protect::Optional,
        // TS 33.203 knows none without a card
        None => {
            if has_card {
                Protect::Optional
            } else {
                Protect::Off
            }
        }
    };
    let integrity: Vec<Integrity> = algorithms("ipsec_alg", text("ipsec_alg"))?;
    let encryption: Vec<Encryption> = algorithms("ipsec_ealg", text("ipsec_ealg"))?;
    let suites: Vec<Suite> =
        encryption.iter().flat_map(|e| integrity.iter().filter_map(|i| Suite::new(*i, *e))).collect();
    if suites.is_empty() {
        return trouble(
            "ipsec_alg",
            "and ipsec_ealg leave no pair: aes-gcm goes with null, aes-gmac with ealg null, all others with each other",
        );
    }
    let number = |name: &'static str| text(name).and_then(|t| t.parse::<u32>().ok());
    let port = |name: &'static str| number(name).and_then(|n| u16::try_from(n).ok());
    if port("port_c").is_some() && port("port_c") == port("port_s") {
        return trouble("port_s", "is port_c too: they have to differ");
    }
    Ok(Ipsec {
        protect,
        suites,
        port_c: port("port_c"),
        port_s: port("port_s"),
        spi_c: number("spi_c"),
        spi_s: number("spi_s"),
        register_transport: match text("register_transport") {
            Some("tcp") => Transport::Tcp,
            Some(_) => Transport::Udp,
            None => transport,
        },
        trick: match text("ipsec_test") {
            Some("wrong-verify") => Some(Trick::WrongVerify),
            Some(_) => Some(Trick::ClearAnswer),
            None => None,
        },
    })
}

/// The algorithms of a list, in its order; all without one.
fn algorithms<T: Named>(option: &'static str, list: Option<&str>) -> Result<Vec<T>, Trouble> {
    let Some(list) = list else { return Ok(T::all().to_vec()) };
    let mut found: Vec<T> = Vec::new();
    for name in list.split([',', ' ']).filter(|name| !name.is_empty()) {
        let words = match T::by_name(name.as_bytes()) {
            Ok(algorithm) if found.contains(&algorithm) => format!("{name} is there twice"),
            Ok(algorithm) => {
                found.push(algorithm);
                continue;
            }
            Err(Unknown::Undefined) => format!("{name}: no document says how its keys are made"),
            Err(Unknown::Withdrawn) => format!("{name} is withdrawn"),
            Err(Unknown::Name) => {
                let names: Vec<&str> = T::all().iter().map(|a| a.name()).collect();
                format!("`{name}` is none of {}", names.join(", "))
            }
        };
        return trouble(option, words);
    }
    if found.is_empty() { trouble(option, "at least one is needed") } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(has_card: bool, options: &[(&'static str, &str)]) -> Result<Ipsec, Trouble> {
        let given = options.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        build(&given, has_card, Transport::Udp)
    }

    #[test]
    fn a_card_has_it_where_it_can_and_a_password_never() {
        assert_eq!(built(true, &[]).unwrap().protect, Protect::Optional);
        assert_eq!(built(true, &[]).unwrap().suites, Suite::all().collect::<Vec<_>>());
        assert_eq!(built(false, &[]).unwrap().protect, Protect::Off);
        assert_eq!(built(false, &[("ipsec", "required")]).unwrap_err().option, "ipsec");
    }

    #[test]
    fn lists_make_pairs_in_their_order() {
        let pairs = |alg, ealg| {
            let suites = built(true, &[("ipsec_alg", alg), ("ipsec_ealg", ealg)]).unwrap().suites;
            suites
                .iter()
                .map(|s| format!("{}/{}", s.integrity().name(), s.encryption().name()))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(pairs("HMAC-MD5-96,hmac-sha-1-96", "null"), "hmac-md5-96/null hmac-sha-1-96/null");
        assert_eq!(pairs("aes-gmac,null", "aes-gcm,null"), "null/aes-gcm aes-gmac/null");
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (option, words, options) in [
            ("ipsec_alg", "`sha` is none of aes-gmac, ", &[("ipsec_alg", "sha")][..]),
            ("ipsec_ealg", "aes-ctr: no document", &[("ipsec_ealg", "aes-ctr")]),
            ("ipsec_ealg", "null is there twice", &[("ipsec_ealg", "null,null")]),
            ("ipsec_alg", "at least one", &[("ipsec_alg", ",")]),
            (
                "ipsec_alg",
                "and ipsec_ealg leave no pair",
                &[("ipsec_alg", "aes-gmac"), ("ipsec_ealg", "aes-cbc")],
            ),
            ("port_s", "is port_c too", &[("port_c", "7000"), ("port_s", "7000")]),
        ] {
            let trouble = built(true, options).unwrap_err();
            assert!(trouble.option == option && trouble.words.starts_with(words), "{trouble:?}");
        }
    }

    #[test]
    fn a_register_may_go_another_way_than_the_rest() {
        assert_eq!(built(true, &[]).unwrap().register_transport, Transport::Udp);
        let tcp = built(true, &[("register_transport", "tcp")]).unwrap();
        assert_eq!(tcp.register_transport, Transport::Tcp);
    }
}
