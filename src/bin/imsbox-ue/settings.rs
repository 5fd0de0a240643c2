//! What the phone is and does: made of options, checked as a whole.

mod ipsec;
mod sms;

pub use ipsec::{Ipsec, Protect, Trick};
pub use sms::{Centre, Sms, Way};

use crate::options::Opt;
use crate::phone::codec::{self, Codec};
use crate::usim::Functions;
use imsbox::crypto::hex::decode_array;
use imsbox::crypto::milenage::derive_opc;
use imsbox::crypto::tuak::{Key, derive_topc};
use imsbox::proto::sip::digest::Algorithm;
use imsbox::wire::sip::uri::host_port;
use imsbox::wire::sip::{Host, Refresher, Uri};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

/// The port of SIP.
pub const SIP_PORT: u16 = 5060;

/// The transport of the phone's own requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

impl Transport {
    /// As in a Via.
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }
}

/// Whether provisional responses are reliable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliable {
    /// They are not.
    Off,
    /// With who can have it so.
    Supported,
    /// With everybody, or there is no call.
    Required,
}

/// What the phone proves itself with.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// A password.
    Password(String),
    /// A card, and the length of its RES.
    Card(Functions, usize),
}

impl std::fmt::Debug for Secret {
    /// Shows no secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Secret::Password(_) => f.write_str("a password"),
            Secret::Card(functions, _) => write!(f, "{functions:?}"),
        }
    }
}

/// Everything that the options say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Private identity.
    pub impi: String,
    /// Public identity, a SIP URI.
    pub impu: String,
    /// Home domain.
    pub domain: String,
    /// What the phone proves itself with.
    pub secret: Secret,
    /// The algorithm of the digest that the first REGISTER asks for, if it does.
    pub digest: Option<Algorithm>,
    /// Where the card's sequence numbers are kept, if they are.
    pub state: Option<PathBuf>,
    /// The P-CSCF.
    pub pcscf: SocketAddr,
    /// The own address and port, where they are given; port 0 is any.
    pub local: Option<SocketAddr>,
    /// How requests go out.
    pub transport: Transport,
    /// The registration time asked for, in seconds.
    pub expires_secs: u32,
    /// The codecs that are offered, in this order.
    pub codecs: Vec<Codec>,
    /// Whether provisional responses are reliable (RFC 3262).
    pub reliable: Reliable,
    /// Whether calls wait for resources (RFC 3312).
    pub precondition: bool,
    /// How long our resources take to come.
    pub bearer_delay: Duration,
    /// The time of a session that is offered, in seconds; 0 for no timer (RFC 4028).
    pub session_secs: u32,
    /// The shortest time of a session that is taken, in seconds.
    pub min_se_secs: u32,
    /// How texts go.
    pub sms: Sms,
    /// Who is to refresh sessions.
    pub refresher: Option<Refresher>,
    /// Whether calls may have pictures.
    pub video: bool,
    /// The sound to send.
    pub wav: Option<PathBuf>,
    /// Where the sound of a call is kept.
    pub record: Option<PathBuf>,
    /// Which device it is: the URN of `+sip.instance`.
    pub instance: String,
    /// The value of P-Access-Network-Info, when it is sent.
    pub access: Option<String>,
    /// Whether the registration is watched (RFC 3680).
    pub reg_event: bool,
    /// T1 (RFC 3261 17.1.1.2).
    pub t1: Duration,
    /// Security associations with the P-CSCF.
    pub ipsec: Ipsec,
    /// Whether SIP messages are printed.
    pub verbose: bool,
}

/// The texts of the options that were given, each checked for its kind.
pub type Given = BTreeMap<&'static str, String>;

/// Something that is wrong with an option or with what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The option that it is about.
    pub option: &'static str,
    /// In words.
    pub words: String,
}

fn trouble<T>(option: &'static str, words: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble { option, words: words.into() })
}

/// Makes settings of options; the first thing that is wrong is told.
pub fn build(given: &Given) -> Result<Settings, Trouble> {
    let text = |name: &'static str| given.get(name).map(String::as_str);
    let imsi = text("imsi");
    let domain = match (text("domain"), text("impi").and_then(|i| i.split_once('@')), imsi) {
        (Some(domain), _, _) => domain.to_owned(),
        (None, Some((_, domain)), _) => domain.to_owned(),
        (None, None, Some(imsi)) => domain_of(imsi),
        (None, None, None) if text("impi").is_some() => {
            return trouble("domain", "is missing: the home domain of the user");
        }
        (None, None, None) => {
            return trouble("imsi", "is missing: say who the phone is, by --config FILE, --imsi or --impi");
        }
    };
    let impi = match (text("impi"), imsi) {
        (Some(impi), _) => impi.to_owned(),
        (None, Some(imsi)) => format!("{imsi}@{domain}"),
        (None, None) => return trouble("impi", "is missing: say who the phone is, with an IMPI or an IMSI"),
    };
    let user = imsi.unwrap_or_else(|| impi.split('@').next().unwrap_or_default());
    let pcscf = match text("pcscf") {
        Some(text) => address("pcscf", text, SIP_PORT)?,
        None => SocketAddr::from((Ipv4Addr::LOCALHOST, SIP_PORT)),
    };
    let transport = if text("transport") == Some("tcp") { Transport::Tcp } else { Transport::Udp };
    let secret = secret(given)?;
    Ok(Settings {
        impu: impu(text("impu"), user, &domain)?,
        digest: digest(text("digest"), &secret)?,
        ipsec: ipsec::build(given, matches!(secret, Secret::Card(..)), transport)?,
        sms: sms::build(given, matches!(secret, Secret::Card(..)), &domain)?,
        secret,
        state: state(text("state"), imsi),
        local: local(text("local"), pcscf.ip())?,
        pcscf,
        transport,
        expires_secs: number(text("expires"), 3600),
        codecs: codecs(text("codecs"))?,
        reliable: reliable(text("100rel")),
        precondition: precondition(given)?,
        bearer_delay: Duration::from_millis(u64::from(number(text("bearer_delay"), 200))),
        session_secs: session_secs(given)?,
        min_se_secs: number(text("min_se"), MIN_SE),
        refresher: refresher(text("refresher")),
        video: is_on(text("video"), true),
        wav: text("wav").map(PathBuf::from),
        record: text("record").map(PathBuf::from),
        instance: crate::device::urn(text("imei"), imsi.unwrap_or(&impi)),
        reg_event: is_on(text("reg_event"), true),
        access: access(text("access")),
        t1: Duration::from_millis(u64::from(number(text("timer_t1"), 500))),
        verbose: text("verbose") == Some("true"),
        domain,
        impi,
    })
}

/// The text of a flag or property as it is stored, or what is wrong with it.
pub fn taken(option: &Opt, text: &str) -> Result<String, Trouble> {
    match option.kind.check(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(words) => trouble(option.name, words),
    }
}

/// TS 23.003 13.2. The IMSI does not say how long its MNC is; two digits are taken.
fn domain_of(imsi: &str) -> String {
    let (mcc, mnc) = (imsi.get(..3).unwrap_or_default(), imsi.get(3..5).unwrap_or_default());
    format!("ims.mnc0{mnc}.mcc{mcc}.3gppnetwork.org")
}

fn impu(given: Option<&str>, user: &str, domain: &str) -> Result<String, Trouble> {
    let impu = match given {
        None => format!("sip:{user}@{domain}"),
        // a number is not registered but comes with the identity that is (TS 24.229 5.1.1.2)
        Some(text) if text.starts_with("tel:") => format!("sip:{user}@{domain}"),
        Some(text) if !text.contains(':') => format!("sip:{text}@{domain}"),
        // `sip:alice`, as in ue_db
        Some(text) if text.starts_with("sip:") && !text.contains('@') => format!("{text}@{domain}"),
        Some(text) => text.to_owned(),
    };
    match Uri::parse(impu.as_bytes()) {
        Some(_) => Ok(impu),
        None => trouble("impu", format!("`{impu}` is no URI")),
    }
}

fn reliable(text: Option<&str>) -> Reliable {
    match text {
        Some("off" | "false") => Reliable::Off,
        Some("required") => Reliable::Required,
        _ => Reliable::Supported,
    }
}

/// RFC 3312 11: an answer that waits for resources is a reliable one.
fn precondition(given: &Given) -> Result<bool, Trouble> {
    let text = |name: &'static str| given.get(name).map(String::as_str);
    let wanted = is_on(text("precondition"), false);
    if wanted && reliable(text("100rel")) == Reliable::Off {
        return trouble("precondition", "needs 100rel, which is off");
    }
    Ok(wanted)
}

/// RFC 4028 5: the shortest time of a session that anybody may ask for.
const MIN_SE: u32 = 90;

fn session_secs(given: &Given) -> Result<u32, Trouble> {
    let number = |name: &str, default| number(given.get(name).map(String::as_str), default);
    let (secs, least) = (number("session_expires", 1800), number("min_se", MIN_SE));
    match secs {
        0 => Ok(0),
        secs if secs < least => trouble("session_expires", format!("is below min_se, {least} s; 0 is none")),
        secs => Ok(secs),
    }
}

fn refresher(text: Option<&str>) -> Option<Refresher> {
    match text {
        Some("uac") => Some(Refresher::Uac),
        Some("uas") => Some(Refresher::Uas),
        _ => None,
    }
}

fn is_on(text: Option<&str>, default: bool) -> bool {
    text.map_or(default, |text| matches!(text, "on" | "true"))
}

fn number(text: Option<&str>, default: u32) -> u32 {
    text.and_then(|t| t.parse().ok()).unwrap_or(default)
}

fn address(option: &'static str, text: &str, port: u16) -> Result<SocketAddr, Trouble> {
    // an IPv6 address without brackets has no port
    let bare = text.parse::<IpAddr>().ok().map(|ip| (ip, None));
    let parsed = bare.or_else(|| match host_port(text.as_bytes())? {
        (Host::Ip(ip), port) => Some((ip, port)),
        (Host::Name(_), _) => None,
    });
    match parsed {
        Some((ip, given)) => Ok(SocketAddr::new(ip, given.unwrap_or(port))),
        None => trouble(option, format!("`{text}` is no IP address with an optional port")),
    }
}

fn local(text: Option<&str>, pcscf: IpAddr) -> Result<Option<SocketAddr>, Trouble> {
    let Some(text) = text else { return Ok(None) };
    let local = address("local", text, 0)?;
    if local.is_ipv4() != pcscf.is_ipv4() {
        return trouble("local", format!("{local} and the P-CSCF {pcscf} are not of one IP version"));
    }
    Ok(Some(local))
}

fn state(text: Option<&str>, imsi: Option<&str>) -> Option<PathBuf> {
    match (text, imsi) {
        (Some("none"), _) => None,
        (Some(path), _) => Some(PathBuf::from(path)),
        (None, Some(imsi)) => crate::memory::default_path(imsi),
        (None, None) => None,
    }
}

/// A cell of the test network (TS 23.003 19.6), which any phone without a radio may be in.
const CELL: &str = "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100010000101";

fn access(text: Option<&str>) -> Option<String> {
    match text {
        Some("none") => None,
        text => Some(text.unwrap_or(CELL).to_owned()),
    }
}

fn codecs(text: Option<&str>) -> Result<Vec<Codec>, Trouble> {
    let Some(text) = text else { return Ok(codec::ALL.to_vec()) };
    let mut codecs = Vec::new();
    for name in text.split([',', ' ']).filter(|n| !n.is_empty()) {
        match Codec::from_name(name.as_bytes()) {
            Some(codec) if codec.is_video() => return trouble("codecs", format!("{name} is for pictures")),
            Some(codec) if !codecs.contains(&codec) => codecs.push(codec),
            Some(_) => return trouble("codecs", format!("{name} is there twice")),
            None => return trouble("codecs", format!("`{name}` is none of PCMA, PCMU, AMR-WB, AMR")),
        }
    }
    if codecs.is_empty() { trouble("codecs", "at least one is needed") } else { Ok(codecs) }
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode_array(text.strip_prefix("0x").unwrap_or(text).as_bytes())
}

fn secret(given: &Given) -> Result<Secret, Trouble> {
    let text = |name: &'static str| given.get(name).map(String::as_str);
    let key = match (text("K"), text("pwd")) {
        (Some(key), _) => key,
        (None, Some(password)) => return Ok(Secret::Password(password.to_owned())),
        (None, None) if text("imsi").is_some() => {
            return trouble("K", "is missing: the key of the SIM (or --password, for a phone without one)");
        }
        (None, None) => return trouble("pwd", "is missing (or --k, for a phone with a SIM)"),
    };
    let guessed = match (text("op").or(text("opc")), text("top").or(text("topc"))) {
        (Some(_), _) => "milenage",
        (None, Some(_)) => "tuak",
        (None, None) => "xor",
    };
    let algorithm = text("sim_algo").unwrap_or(guessed);
    let res_len = number(text("res_len"), 8) as usize;
    if algorithm == "tuak" && !matches!(res_len, 4 | 8 | 16) {
        return trouble("res_len", "with TUAK RES has 4, 8 or 16 octets");
    }
    let functions = match algorithm {
        "tuak" => tuak(key, given)?,
        other => {
            let Some(k) = hex(key) else {
                return trouble("K", format!("{other} needs a key of 32 hexadecimal digits"));
            };
            if other == "xor" { Functions::Xor { k } } else { milenage(k, given)? }
        }
    };
    Ok(Secret::Card(functions, res_len))
}

/// One that the phone has a secret for.
fn digest(text: Option<&str>, secret: &Secret) -> Result<Option<Algorithm>, Trouble> {
    let Some(text) = text else { return Ok(None) };
    let has_card = matches!(secret, Secret::Card(..));
    let fits = |a: &Algorithm| a.aka().is_some() == has_card && !a.is_session();
    let Some(found) = Algorithm::parse(text.as_bytes()).filter(fits) else {
        let all: Vec<&str> = Algorithm::ALL.iter().filter(|a| fits(a)).map(|a| a.name()).collect();
        let what = if has_card { "a SIM" } else { "a password" };
        return trouble("digest", format!("`{text}` is none of {}, which {what} can do", all.join(", ")));
    };
    Ok(Some(found))
}

fn milenage(k: [u8; 16], given: &Given) -> Result<Functions, Trouble> {
    let code = |name: &str| given.get(name).and_then(|t| hex(t));
    let opc = code("opc").or_else(|| code("op").map(|op| derive_opc(&k, &op)));
    opc.map(|opc| Functions::Milenage { k, opc })
        .ok_or(Trouble { option: "op", words: "is missing: Milenage needs op or opc".to_owned() })
}

fn tuak(key: &str, given: &Given) -> Result<Functions, Trouble> {
    let key = match (hex(key), hex(key)) {
        (Some(short), _) => Key::K128(short),
        (None, Some(long)) => Key::K256(long),
        (None, None) => return trouble("K", "TUAK needs a key of 32 or 64 hexadecimal digits"),
    };
    let code = |name: &str| given.get(name).and_then(|t| hex(t));
    let iterations = number(given.get("keccak_iter").map(String::as_str), 1);
    let iterations = u8::try_from(iterations).ok().and_then(NonZeroU8::new).unwrap_or(NonZeroU8::MIN);
    let topc = code("topc").or_else(|| code("top").map(|top| derive_topc(&key, &top, iterations)));
    topc.map(|topc| Functions::Tuak { key, topc, iterations })
        .ok_or(Trouble { option: "top", words: "is missing: TUAK needs top or topc".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(options: &[(&'static str, &str)]) -> Result<Settings, Trouble> {
        build(&options.iter().map(|(name, text)| (*name, (*text).to_owned())).collect())
    }

    const K: (&str, &str) = ("K", "00112233445566778899aabbccddeeff");
    const IMSI: (&str, &str) = ("imsi", "001010123456789");

    #[test]
    fn all_identities_follow_from_the_imsi() {
        let s = built(&[IMSI, K, ("state", "none")]).unwrap();
        assert_eq!(s.domain, "ims.mnc001.mcc001.3gppnetwork.org");
        assert_eq!(s.impi, "001010123456789@ims.mnc001.mcc001.3gppnetwork.org");
        assert_eq!(s.impu, "sip:001010123456789@ims.mnc001.mcc001.3gppnetwork.org");
        assert_eq!(s.pcscf.to_string(), "127.0.0.1:5060");
        assert_eq!((s.transport, s.expires_secs, s.state), (Transport::Udp, 3600, None));
        assert_eq!(s.t1, Duration::from_millis(500));
    }

    #[test]
    fn a_user_with_a_password_needs_a_name_and_a_domain() {
        let s = built(&[("impi", "alice"), ("domain", "example.org"), ("pwd", "p")]).unwrap();
        assert_eq!((s.impi.as_str(), s.impu.as_str()), ("alice", "sip:alice@example.org"));
        assert_eq!(s.secret, Secret::Password("p".to_owned()));
        let s = built(&[("impi", "carol@example.org"), ("impu", "sip:c"), ("pwd", "p")]).unwrap();
        assert_eq!((s.domain.as_str(), s.impu.as_str()), ("example.org", "sip:c@example.org"));
    }

    #[test]
    fn the_operator_code_tells_the_algorithm() {
        let code = |name, text: &'static str| built(&[IMSI, K, (name, text)]).unwrap().secret;
        let short = "000102030405060708090a0b0c0d0e0f";
        let Secret::Card(Functions::Milenage { opc, .. }, 8) = code("opc", short) else { panic!() };
        assert_eq!(opc[15], 15);
        let Secret::Card(Functions::Milenage { opc, .. }, 8) = code("op", short) else { panic!() };
        assert_ne!(opc[15], 15);
        let long = "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f";
        assert!(matches!(code("topc", long), Secret::Card(Functions::Tuak { .. }, 8)));
    }

    #[test]
    fn addresses_of_both_versions_with_and_without_port() {
        for (text, address) in [
            ("10.0.0.1", "10.0.0.1:5060"),
            ("10.0.0.1:5070", "10.0.0.1:5070"),
            ("::1", "[::1]:5060"),
            ("[::1]:5070", "[::1]:5070"),
        ] {
            let s = built(&[IMSI, K, ("pcscf", text)]).unwrap();
            assert_eq!(s.pcscf.to_string(), address);
        }
    }

    #[test]
    fn what_is_wrong_names_its_option() {
        let long = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        for (option, options) in [
            ("imsi", &[][..]),
            ("domain", &[("impi", "a"), ("pwd", "p")]),
            ("impi", &[("domain", "d"), ("pwd", "p")]),
            ("K", &[IMSI]),
            ("pwd", &[("impi", "a@d")]),
            ("impu", &[IMSI, K, ("impu", "sip:a b@c")]),
            ("op", &[IMSI, K, ("sim_algo", "milenage")]),
            ("top", &[IMSI, K, ("sim_algo", "tuak")]),
            ("K", &[IMSI, ("K", long)]),
            ("res_len", &[IMSI, K, ("sim_algo", "tuak"), ("res_len", "9")]),
            ("pcscf", &[IMSI, K, ("pcscf", "ims.example.org")]),
            ("local", &[IMSI, K, ("local", "::1")]),
            ("codecs", &[IMSI, K, ("codecs", "PCMA,EVS")]),
            ("codecs", &[IMSI, K, ("codecs", ",")]),
            ("codecs", &[IMSI, K, ("codecs", "PCMA,H264")]),
            ("precondition", &[IMSI, K, ("precondition", "on"), ("100rel", "off")]),
            ("session_expires", &[IMSI, K, ("session_expires", "80")]),
            ("digest", &[IMSI, K, ("digest", "MD5")]),
            ("digest", &[("impi", "a@d"), ("pwd", "p"), ("digest", "AKAv1-MD5")]),
            ("digest", &[("impi", "a@d"), ("pwd", "p"), ("digest", "SHA-3")]),
        ] {
            assert_eq!(built(options).unwrap_err().option, option);
        }
    }
}
