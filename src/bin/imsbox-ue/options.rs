//! The options: one table for flags, configuration file and help.

/// What the text of an option has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text but an empty one.
    Text,
    /// So many hexadecimal digits.
    Hex(&'static [usize]),
    /// So many decimal digits, at least and at most.
    Digits(usize, usize),
    /// A number in a range.
    Number(u32, u32),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Yes or no; as a flag it has no value.
    Switch,
}

impl Kind {
    /// Says what is wrong with a text.
    pub fn check(self, text: &str) -> Result<(), String> {
        match self {
            Kind::Text if text.is_empty() || text.contains(['\r', '\n']) => {
                Err("expected a text of one line".to_owned())
            }
            Kind::Hex(lengths) => {
                let digits = text.strip_prefix("0x").unwrap_or(text);
                let right = lengths.contains(&digits.len()) && digits.bytes().all(|o| o.is_ascii_hexdigit());
                let lengths: Vec<String> = lengths.iter().map(usize::to_string).collect();
                right.then_some(()).ok_or_else(|| {
                    format!("expected {} hexadecimal digits, found {}", lengths.join(" or "), digits.len())
                })
            }
            Kind::Digits(least, most) => {
                let right = (least..=most).contains(&text.len()) && text.bytes().all(|o| o.is_ascii_digit());
                right.then_some(()).ok_or_else(|| format!("expected {least} to {most} digits"))
            }
            Kind::Number(least, most) => {
                let right = text.parse().is_ok_and(|n: u32| (least..=most).contains(&n));
                right.then_some(()).ok_or_else(|| format!("expected a number from {least} to {most}"))
            }
            Kind::Word(words) if !words.contains(&text) => {
                Err(format!("expected one of {}", words.join(", ")))
            }
            Kind::Switch if !matches!(text, "true" | "false") => Err("expected true or false".to_owned()),
            _ => Ok(()),
        }
    }
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Its name in a configuration file: that of `ue_db` where the meaning is the same.
    pub name: &'static str,
    /// Its flag, without the dashes.
    pub flag: &'static str,
    /// What stands for its value in the help.
    pub value: &'static str,
    /// What its text has to be.
    pub kind: Kind,
    /// What it does.
    pub doc: &'static str,
}

const fn opt(
    name: &'static str,
    flag: &'static str,
    value: &'static str,
    kind: Kind,
    doc: &'static str,
) -> Opt {
    Opt { name, flag, value, kind, doc }
}

const KEY: Kind = Kind::Hex(&[32]);
const ON_OFF: Kind = Kind::Word(&["on", "off", "true", "false"]);
const WIDE: Kind = Kind::Hex(&[64]);

/// Every option.
pub const OPTIONS: &[Opt] = &[
    opt("imsi", "imsi", "DIGITS", Kind::Digits(6, 15), "IMSI; impi, impu and domain follow from it"),
    opt("impi", "impi", "NAME", Kind::Text, "private identity: the user name of the digest"),
    opt("impu", "impu", "URI", Kind::Text, "public identity; sip:IMSI@DOMAIN or sip:IMPI by default"),
    opt("domain", "domain", "NAME", Kind::Text, "home domain; the IMSI gives one with an MNC of two digits"),
    opt("pwd", "password", "TEXT", Kind::Text, "password, for MD5 and SHA-256"),
    opt("K", "k", "HEX", Kind::Hex(&[32, 64]), "key of the SIM, for AKA"),
    opt("op", "op", "HEX", KEY, "Milenage: operator code"),
    opt("opc", "opc", "HEX", KEY, "Milenage: operator code made with K; wins over op"),
    opt("top", "top", "HEX", WIDE, "TUAK: operator code"),
    opt("topc", "topc", "HEX", WIDE, "TUAK: operator code made with K; wins over top"),
    opt("keccak_iter", "keccak-iter", "N", Kind::Number(1, 255), "TUAK: Keccak permutations, 1 by default"),
    opt(
        "sim_algo",
        "algo",
        "NAME",
        Kind::Word(&["xor", "milenage", "tuak"]),
        "algorithm of the SIM; by default what op, opc, top or topc say, else xor",
    ),
    opt("res_len", "res-len", "N", Kind::Number(4, 16), "octets of RES, 8 by default"),
    opt(
        "digest",
        "digest",
        "NAME",
        Kind::Text,
        "digest algorithm asked for, such as SHA-256 or AKAv2-MD5; by default the network has the choice",
    ),
    opt("state", "state", "FILE", Kind::Text, "where the SIM's sequence numbers are kept; `none`: nowhere"),
    opt("pcscf", "pcscf", "ADDR[:PORT]", Kind::Text, "the P-CSCF; 127.0.0.1:5060 by default"),
    opt(
        "local",
        "local",
        "ADDR[:PORT]",
        Kind::Text,
        "own address; by default the one that leads to the P-CSCF",
    ),
    opt("transport", "transport", "NAME", Kind::Word(&["udp", "tcp"]), "udp (the default) or tcp"),
    opt(
        "expires",
        "expires",
        "SECONDS",
        Kind::Number(1, 604_800),
        "registration time asked for; 3600 by default",
    ),
    opt("codecs", "codecs", "LIST", Kind::Text, "codecs offered; PCMA,PCMU,AMR-WB,AMR by default"),
    opt(
        "100rel",
        "100rel",
        "NAME",
        Kind::Word(&["off", "supported", "required", "true", "false"]),
        "reliable ringing (PRACK): off, supported (the default) or required",
    ),
    opt(
        "precondition",
        "precondition",
        "BOOL",
        ON_OFF,
        "calls wait for resources (RFC 3312); off by default",
    ),
    opt(
        "bearer_delay",
        "bearer-delay",
        "MS",
        Kind::Number(0, 60_000),
        "how long our resources, which are simulated, take to come; 200 by default",
    ),
    opt(
        "session_expires",
        "session-expires",
        "S",
        Kind::Number(0, 604_800),
        "session timer offered (RFC 4028) in seconds, 0: none; 1800 by default",
    ),
    opt(
        "min_se",
        "min-se",
        "S",
        Kind::Number(90, 604_800),
        "shortest session timer taken, in seconds; 90 by default",
    ),
    opt(
        "refresher",
        "refresher",
        "NAME",
        Kind::Word(&["uac", "uas", "auto"]),
        "who refreshes sessions where it is ours to say; auto by default",
    ),
    opt("video", "video", "BOOL", ON_OFF, "take video of calls that offer it; on by default"),
    opt(
        "wav",
        "wav",
        "FILE",
        Kind::Text,
        "sound to send: WAV, 8 kHz, mono, 16 bits; a tone of 440 Hz by default",
    ),
    opt(
        "record",
        "record",
        "FILE",
        Kind::Text,
        "where the sound that is heard in a call is kept, each in place of the last: WAV, of PCMA and PCMU",
    ),
    opt(
        "imei",
        "imei",
        "DIGITS",
        Kind::Digits(14, 15),
        "IMEI; without one the instance is a UUID made of the IMSI",
    ),
    opt(
        "access",
        "access",
        "TEXT",
        Kind::Text,
        "P-Access-Network-Info; a cell of the test network by default, `none`: not sent",
    ),
    opt("reg_event", "reg-event", "BOOL", ON_OFF, "subscribe to the own registration; on by default"),
    opt(
        "sms",
        "sms",
        "WORD",
        Kind::Word(&["ip", "mixed", "plain"]),
        "texts: ip (as short messages, SMS over IP; with a SIM the default), plain (text/plain, as a soft client), or mixed \
         (send plain ones and take both)",
    ),
    opt(
        "smsc",
        "smsc",
        "URI",
        Kind::Text,
        "service centre of SMS over IP: a number or a URI; +15550000 by default",
    ),
    opt(
        "timer_t1",
        "timer-t1",
        "MS",
        Kind::Number(10, 10_000),
        "SIP timer T1 in milliseconds; 500 by default",
    ),
    opt(
        "ipsec",
        "ipsec",
        "WORD",
        Kind::Word(&["off", "optional", "required"]),
        "IPsec: off, optional (with a SIM the default: if kernel and network can) or required",
    ),
    opt(
        "ipsec_alg",
        "ipsec-alg",
        "LIST",
        Kind::Text,
        "integrity algorithms offered; by default all that the kernel has",
    ),
    opt(
        "ipsec_ealg",
        "ipsec-ealg",
        "LIST",
        Kind::Text,
        "encryption algorithms offered; by default all that the kernel has",
    ),
    opt(
        "port_c",
        "port-c",
        "PORT",
        Kind::Number(1, 65_535),
        "protected client port; later sets count up from it; any by default",
    ),
    opt("port_s", "port-s", "PORT", Kind::Number(1, 65_535), "protected server port; any by default"),
    opt(
        "spi_c",
        "spi-c",
        "SPI",
        Kind::Number(256, u32::MAX),
        "SPI of the client port; later sets count up by two; random by default",
    ),
    opt(
        "spi_s",
        "spi-s",
        "SPI",
        Kind::Number(256, u32::MAX),
        "SPI of the server port; later sets count up by two; random by default",
    ),
    opt(
        "register_transport",
        "register-by",
        "NAME",
        Kind::Word(&["udp", "tcp"]),
        "transport of protected REGISTERs; by default that of other requests",
    ),
    opt(
        "ipsec_test",
        "ipsec-test",
        "WORD",
        Kind::Word(&["wrong-verify", "clear-answer"]),
        "break it on purpose, to test a network: wrong-verify (of Security-Verify) or clear-answer",
    ),
    opt("verbose", "verbose", "", Kind::Switch, "print the SIP messages"),
];

/// Properties of a `ue_db` entry that a phone does not need; they may stay in a copied entry.
pub const NOT_NEEDED: &[&str] =
    &["amf", "sqn", "multi_sim", "authent_type", "authent_qop", "count", "msisdn"];

/// The option of a flag.
pub fn by_flag(flag: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|o| o.flag == flag)
}

/// The option of a property.
pub fn by_name(name: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|o| o.name == name)
}

/// The options as the help shows them.
pub fn help() -> String {
    let row = |o: &Opt| {
        let flag = format!("--{} {}", o.flag, o.value);
        let name = if o.name == o.flag { String::new() } else { format!(" [{}]", o.name) };
        format!("  {flag:<21} {}{name}\n", o.doc)
    };
    OPTIONS.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_takes_what_it_says_and_nothing_else() {
        for (kind, good, bad) in [
            (Kind::Text, "a b", ""),
            (KEY, "0x00112233445566778899aabbccddeeff", "00112233445566778899aabbccddeefg"),
            (Kind::Hex(&[2, 4]), "abcd", "abc"),
            (Kind::Digits(2, 3), "001", "0x1"),
            (Kind::Number(4, 16), "16", "17"),
            (Kind::Word(&["udp", "tcp"]), "tcp", "TCP"),
            (Kind::Switch, "true", "yes"),
        ] {
            assert_eq!(kind.check(good), Ok(()), "{kind:?}");
            assert!(kind.check(bad).is_err(), "{kind:?}");
        }
    }

    #[test]
    fn names_and_flags_are_told_apart() {
        for (i, a) in OPTIONS.iter().enumerate() {
            assert!(OPTIONS[..i].iter().all(|b| a.name != b.name && a.flag != b.flag), "{}", a.name);
            assert!(!NOT_NEEDED.contains(&a.name));
        }
        assert_eq!(by_flag("k").map(|o| o.name), Some("K"));
        assert_eq!(by_name("K").map(|o| o.flag), Some("k"));
    }
}
