//! Messages drawn from the grammar of RFC 3261 25.1, and different ways to write the same one.
//!
//! A value holds two marks where white space is free: [`OPTIONAL`] and [`REQUIRED`]. A [`Style`] says what stands there, how
//! names are written and how lines end; whatever it chooses, the message means the same.

use imsbox::base::rng::Rng;

/// Here white space may stand.
const OPTIONAL: char = '\u{1}';
/// Here white space must stand.
const REQUIRED: char = '\u{2}';

/// A message without its outward form.
#[derive(Debug)]
pub struct Draft {
    /// Request line or status line.
    pub start: String,
    /// Long name, value with marks.
    pub fields: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// How a message is written.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Compact names where there are some.
    pub compact: bool,
    /// Names in upper, lower or their own case.
    pub odd_case: bool,
    /// White space and folding at the marks.
    pub spaced: bool,
    /// Lines end with a lone LF.
    pub bare_lf: bool,
    /// Empty lines in front, octets behind the body.
    pub framed: bool,
}

impl Style {
    /// As a tidy sender writes.
    pub const PLAIN: Style =
        Style { compact: false, odd_case: false, spaced: false, bare_lf: false, framed: false };

    /// Any style.
    pub fn draw(rng: &mut Rng) -> Style {
        let mut coin = || rng.below(2) == 0;
        Style { compact: coin(), odd_case: coin(), spaced: coin(), bare_lf: coin(), framed: coin() }
    }
}

/// Long and compact names (RFC 3261 7.3.3).
const COMPACT: [(&str, &str); 9] = [
    ("Via", "v"),
    ("From", "f"),
    ("To", "t"),
    ("Call-ID", "i"),
    ("Contact", "m"),
    ("Supported", "k"),
    ("Subject", "s"),
    ("Content-Type", "c"),
    ("Content-Length", "l"),
];

impl Draft {
    /// Writes the message.
    pub fn render(&self, style: Style, rng: &mut Rng) -> Vec<u8> {
        let end = if style.bare_lf { "\n" } else { "\r\n" };
        let mut out = String::new();
        if style.framed {
            out.push_str("\r\n\r\n");
        }
        out.push_str(&self.start);
        out.push_str(end);
        for (name, value) in &self.fields {
            out.push_str(&self::name(name, style, rng));
            out.push_str(if style.spaced && rng.below(2) == 0 { " :" } else { ":" });
            for mark in value.chars() {
                match mark {
                    OPTIONAL if style.spaced => out.push_str(&space(rng, "", end)),
                    OPTIONAL => {}
                    REQUIRED if style.spaced => out.push_str(&space(rng, " ", end)),
                    REQUIRED => out.push(' '),
                    plain => out.push(plain),
                }
            }
            out.push_str(end);
        }
        out.push_str(end);
        let mut octets = out.into_bytes();
        octets.extend_from_slice(&self.body);
        if style.framed {
            octets.extend_from_slice(b"INVITE sip:next@h SIP/2.0\r\n");
        }
        octets
    }
}

fn name(long: &str, style: Style, rng: &mut Rng) -> String {
    let compact = COMPACT.iter().find(|(l, _)| *l == long && style.compact).map(|(_, c)| *c);
    let name = compact.unwrap_or(long);
    match rng.below(3) {
        0 if style.odd_case => name.to_uppercase(),
        1 if style.odd_case => name.to_lowercase(),
        _ => name.to_string(),
    }
}

/// White space that may be `least`, or a line end followed by white space.
fn space(rng: &mut Rng, least: &str, end: &str) -> String {
    match rng.below(5) {
        0 => least.to_string(),
        1 => " \t ".to_string(),
        2 => format!("{end} "),
        3 => format!(" {end}\t"),
        _ => " ".to_string(),
    }
}

/// A request or a response that any element can use.
pub fn draw(rng: &mut Rng) -> Draft {
    let request = rng.below(3) > 0;
    let method = if rng.below(4) == 0 { word(rng) } else { pick(rng, &METHODS).to_string() };
    let start = if request {
        format!("{method} {} SIP/2.0", uri(rng))
    } else {
        let status = 100 + rng.below(600);
        format!("SIP/2.0 {status} {}", pick(rng, &["OK", "", "Nicht gefunden: jetzt", "応答"]))
    };
    let body = body(rng);
    let mut fields = vec![
        ("From", party(rng, true)),
        ("To", party(rng, false)),
        ("Call-ID", format!("{OPTIONAL}{}@{}", word(rng), host(rng))),
        ("CSeq", format!("{OPTIONAL}{}{REQUIRED}{method}", rng.below(1 << 31))),
        ("Max-Forwards", format!("{OPTIONAL}{}", rng.below(256))),
    ];
    for _ in 0..=rng.below(3) {
        fields.push(("Via", join(rng, via)));
    }
    optional_fields(rng, &mut fields);
    shuffle(rng, &mut fields);
    fields.push(("Content-Type", "application/octet-stream".to_string()));
    fields.push(("Content-Length", format!("{OPTIONAL}{}{OPTIONAL}", body.len())));
    Draft { start, fields, body }
}

const METHODS: [&str; 6] = ["INVITE", "REGISTER", "BYE", "MESSAGE", "OPTIONS", "PRACK"];

fn optional_fields(rng: &mut Rng, fields: &mut Vec<(&'static str, String)>) {
    let subject = format!("{OPTIONAL}{}", pick(rng, &["", "hello; \"there", ",,;;=", "größer"]));
    let candidates = [
        ("Contact", join(rng, |rng| party(rng, true))),
        ("Route", join(rng, |rng| party(rng, true))),
        ("Supported", join(rng, word)),
        ("Expires", rng.below(700_000).to_string()),
        ("Subject", subject),
        ("X-Unknown", format!("{}{REQUIRED}\"{}", word(rng), word(rng))),
    ];
    fields.extend(candidates.into_iter().filter(|_| rng.below(2) == 0));
}

fn body(rng: &mut Rng) -> Vec<u8> {
    let mut body = vec![0; rng.below(200) as usize];
    rng.fill(&mut body);
    body
}

/// One to three values with commas between.
fn join(rng: &mut Rng, one: fn(&mut Rng) -> String) -> String {
    let values: Vec<_> = (0..=rng.below(3)).map(|_| one(rng)).collect();
    values.join(&format!("{OPTIONAL},{OPTIONAL}"))
}

fn via(rng: &mut Rng) -> String {
    let o = OPTIONAL;
    let transport = pick(rng, &["UDP", "TCP", "TLS", "SCTP", "WS"]);
    let port = if rng.below(2) == 0 { format!("{o}:{o}{}", rng.below(65_536)) } else { String::new() };
    let host = host(rng);
    let branch = word(rng);
    format!(
        "SIP{o}/{o}2.0{o}/{o}{transport}{REQUIRED}{host}{port}{o};{o}branch{o}={o}z9hG4bK{branch}{}",
        params(rng)
    )
}

/// From, To, Contact or Route: with brackets, or without and then without parameters of the URI.
fn party(rng: &mut Rng, tagged: bool) -> String {
    let o = OPTIONAL;
    let tag = if tagged { format!("{o};{o}tag{o}={o}{}", word(rng)) } else { String::new() };
    match rng.below(4) {
        0 => format!("{o}sip:{}@{}{tag}", word(rng), host(rng)),
        1 => format!("{o}<{}>{tag}{}", uri(rng), params(rng)),
        2 => format!("{o}{}{REQUIRED}<{}>{tag}", word(rng), uri(rng)),
        _ => format!(
            "{o}\"{}\"{o}<{}>{tag}{}",
            pick(rng, &["A, B", "<x>;y", r#"\"q\" \\"#, "Ä ö"]),
            uri(rng),
            params(rng)
        ),
    }
}

fn uri(rng: &mut Rng) -> String {
    match rng.below(8) {
        0 => format!("tel:+{};phone-context={}", rng.below(1 << 40), name_host(rng)),
        1 => "urn:service:sos.police".to_string(),
        2 => format!("sip:{}", host(rng)),
        3 => format!("sips:{};x=y%20z,q@{}:{}", word(rng), host(rng), rng.below(65_536)),
        4 => format!("sip:{}:secret@{};transport=tcp?Subject=a%20b", word(rng), host(rng)),
        _ => format!("sip:%61{}@{};user=phone;lr", word(rng), host(rng)),
    }
}

fn host(rng: &mut Rng) -> String {
    match rng.below(3) {
        0 => format!("192.0.2.{}", rng.below(256)),
        1 => format!("[2001:db8::{:x}]", rng.below(65_536)),
        _ => name_host(rng),
    }
}

fn name_host(rng: &mut Rng) -> String {
    format!("h{}.Example.org", rng.below(1000))
}

fn params(rng: &mut Rng) -> String {
    let o = OPTIONAL;
    let mut out = String::new();
    for _ in 0..rng.below(3) {
        let value = match rng.below(3) {
            0 => String::new(),
            1 => format!("{o}={o}{}", word(rng)),
            _ => format!("{o}={o}\"{}\"", pick(rng, &["a;b", "c,d", r#"e\"f"#, "<g>", ""])),
        };
        out.push_str(&format!("{o};{o}p{}{value}", word(rng)));
    }
    out
}

/// A token that starts with a letter.
fn word(rng: &mut Rng) -> String {
    const OCTETS: &[u8] = b"abcXYZ0189-.!%*_+`'~";
    let tail = (0..rng.below(8))
        .map(|_| char::from(OCTETS[rng.below(OCTETS.len() as u64) as usize]))
        .collect::<String>();
    // a percent sign is part of a token, but escapes two digits in a URI: keep it away from the end
    format!("w{tail}").replace('%', "%25")
}

fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.below(from.len() as u64) as usize]
}

fn shuffle<T>(rng: &mut Rng, list: &mut [T]) {
    for last in (1..list.len()).rev() {
        list.swap(last, rng.below(last as u64 + 1) as usize);
    }
}
