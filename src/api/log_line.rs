//! The format of the log (the manual's section 8, as newer releases print it): one line a record, its content below.
//!
//! IMS and SIP: `time [LAYER] dir id message`; RX, CX and SGSAP: `time [LAYER] dir addr message`; MEDIA: `time [MEDIA] id dir
//! message`. Header lines start with `#`, content lines with a tab. Peers have a hand in the text, so control characters
//! are escaped: one record can never look like two.

use crate::api::log_options::{LayerConfig, LogConfig, TimeFormat};
use crate::base::time::UnixTime;
use crate::base::trace::{Dir, Layer, Level, Record, Subject};
use crate::wire::sgsap;
use std::fmt::{self, Write as _};

/// What turns a record's time into text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The program's start, from which `time=sec` counts.
    pub start: UnixTime,
    /// Local time is UTC plus this many seconds.
    pub utc_offset_secs: i32,
}

/// A broken-down local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year of the Gregorian calendar.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute.
    pub minute: u8,
    /// Second.
    pub second: u8,
    /// Microsecond.
    pub micros: u32,
}

impl Clock {
    /// The local time at `at`.
    pub fn civil(&self, at: UnixTime) -> Civil {
        let local = at.as_micros().saturating_add(i64::from(self.utc_offset_secs) * 1_000_000);
        let (days, micros) = (local.div_euclid(86_400_000_000), local.rem_euclid(86_400_000_000));
        let secs = (micros / 1_000_000) as u32;
        let (year, month, day) = date_of(days);
        Civil {
            year,
            month,
            day,
            hour: (secs / 3600) as u8,
            minute: (secs / 60 % 60) as u8,
            second: (secs % 60) as u8,
            micros: (micros % 1_000_000) as u32,
        }
    }
}

/// Appends a record: its line, and at debug level its content.
pub fn write_record(out: &mut Vec<u8>, record: &Record<'_>, config: &LogConfig, clock: &Clock) {
    write_time(out, record.at, config, clock);
    let mut line = Escaped(out);
    let dir = match record.dir {
        Dir::From => "FROM",
        Dir::To => "TO",
        Dir::None => "-",
    };
    let tag = record.layer.tag();
    // writing to a Vec cannot fail; a Display that does loses the rest of its own line and nothing else
    let _ = match record.layer {
        Layer::Media => write!(line, " [{tag}] {} {dir} {}", About(record.subject), record.text),
        _ => write!(line, " [{tag}] {dir} {} {}", About(record.subject), record.text),
    };
    out.push(b'\n');
    let layer = config.layer(record.layer);
    if layer.level == Level::Debug && layer.max_size != 0 && !record.content.is_empty() {
        match record.layer {
            Layer::Sgsap => write_sgsap(out, record.content, layer),
            _ => write_content(out, record.content, layer),
        }
    }
}

struct About(Subject);

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Subject::None => f.write_str("-"),
            Subject::Id(id) => write!(f, "{id:04x}"),
            Subject::Addr(addr) => write!(f, "{addr}"),
        }
    }
}

/// Writes text with control characters as `\xNN`.
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape_into(self.0, text.as_bytes());
        Ok(())
    }
}

fn escape_into(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &b in text {
        if (b < 0x20 && b != b'\t') || b == 0x7f {
            out.extend_from_slice(&[b'\\', b'x', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        } else {
            out.push(b);
        }
    }
}

fn write_time(out: &mut Vec<u8>, at: UnixTime, config: &LogConfig, clock: &Clock) {
    let mut line = Escaped(out);
    let c = clock.civil(at);
    let _ = match config.time {
        TimeFormat::Sec => {
            let since = at.as_micros().saturating_sub(clock.start.as_micros()).max(0);
            let (secs, micros) = (since / 1_000_000, since % 1_000_000);
            return write_fraction(&mut line, format_args!("{secs}"), micros as u32, config.time_us);
        }
        TimeFormat::Full => write!(line, "{:04}-{:02}-{:02} ", c.year, c.month, c.day),
        TimeFormat::Short => Ok(()),
    };
    let time = format_args!("{:02}:{:02}:{:02}", c.hour, c.minute, c.second);
    write_fraction(&mut line, time, c.micros, config.time_us);
}

fn write_fraction(line: &mut Escaped<'_>, whole: fmt::Arguments<'_>, micros: u32, us: bool) {
    let _ = match us {
        true => write!(line, "{whole}.{micros:06}"),
        false => write!(line, "{whole}.{:03}", micros / 1000),
    };
}

/// A message of SGs: its elements in words, and with `payload` all its octets.
fn write_sgsap(out: &mut Vec<u8>, content: &[u8], layer: &LayerConfig) {
    let message = sgsap::Message::parse(content);
    if let Ok(message) = message {
        write_text(out, sgsap::Details(message).to_string().as_bytes());
    }
    // what cannot be read is shown all the same
    if layer.payload || message.is_err() {
        write_hex(out, content, -1);
    }
}

/// A SIP message is text up to the blank line; its body may be anything (an SMS, a picture).
fn write_content(out: &mut Vec<u8>, content: &[u8], layer: &LayerConfig) {
    let body = memchr::memmem::find(content, b"\r\n\r\n").map_or(content.len(), |at| at + 4);
    let (head, body) = content.split_at(body);
    for part in [head, body] {
        if is_text(part) {
            write_text(out, part);
        } else {
            write_hex(out, part, layer.max_size);
        }
    }
}

fn is_text(part: &[u8]) -> bool {
    let control = |b: &u8| *b < 0x20 && !matches!(b, b'\r' | b'\n' | b'\t') || *b == 0x7f;
    !part.iter().any(control) && std::str::from_utf8(part).is_ok()
}

fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    if text.is_empty() {
        return;
    }
    for line in text.split(|b| *b == b'\n') {
        out.push(b'\t');
        escape_into(out, line.strip_suffix(b"\r").unwrap_or(line));
        out.push(b'\n');
    }
}

fn write_hex(out: &mut Vec<u8>, octets: &[u8], max_size: i64) {
    let shown = usize::try_from(max_size).unwrap_or(usize::MAX).min(octets.len());
    for (row, chunk) in octets[..shown].chunks(16).enumerate() {
        let mut line = Escaped(out);
        let _ = write!(line, "\t{:04x}: ", row * 16);
        for i in 0..16 {
            let _ = match chunk.get(i) {
                Some(b) => write!(line, " {b:02x}"),
                None => line.write_str("   "),
            };
        }
        out.extend_from_slice(b"  ");
        out.extend(chunk.iter().map(|b| if (0x20..0x7f).contains(b) { *b } else { b'.' }));
        out.push(b'\n');
    }
    if shown < octets.len() {
        let _ = writeln!(LineOut(out), "\t... {} more octets", octets.len() - shown);
    }
}

/// Plain text output into the buffer.
struct LineOut<'a>(&'a mut Vec<u8>);

impl fmt::Write for LineOut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Year, month and day of a day counted from 1970-01-01 (the proleptic Gregorian calendar, in eras of 400 years).
fn date_of(days: i64) -> (i64, u8, u8) {
    // days counted from 0000-03-01, so that the leap day is the last of its year
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixTime = UnixTime::from_micros(1_608_093_067_123_456);
    const CLOCK: Clock = Clock { start: UnixTime::from_micros(1_608_093_000_000_000), utc_offset_secs: 0 };

    fn record(layer: Layer, subject: Subject, content: &[u8], options: &str) -> String {
        let mut out = Vec::new();
        let (config, _) = LogConfig::parse(options).unwrap();
        let text = format_args!("REGISTER sip:example.org SIP/2.0");
        let record = Record { at: AT, layer, level: Level::Info, dir: Dir::From, subject, text, content };
        write_record(&mut out, &record, &config, &CLOCK);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_layer_has_its_order_of_fields() {
        let addr = Subject::Addr("192.0.2.1:3868".parse().unwrap());
        for (layer, subject, line) in [
            (Layer::Sip, Subject::Id(1), "04:31:07.123 [SIP] FROM 0001 REGISTER sip:example.org SIP/2.0\n"),
            (Layer::Ims, Subject::None, "04:31:07.123 [IMS] FROM - REGISTER sip:example.org SIP/2.0\n"),
            (
                Layer::Media,
                Subject::Id(0x12),
                "04:31:07.123 [MEDIA] 0012 FROM REGISTER sip:example.org SIP/2.0\n",
            ),
            (Layer::Cx, addr, "04:31:07.123 [CX] FROM 192.0.2.1:3868 REGISTER sip:example.org SIP/2.0\n"),
        ] {
            assert_eq!(record(layer, subject, b"", "all.level=info"), line);
        }
    }

    #[test]
    fn time_has_three_formats_and_microseconds() {
        let start =
            |options| record(Layer::Sip, Subject::None, b"", options).split(" [").next().unwrap().to_owned();
        assert_eq!(start("time=sec"), "67.123");
        assert_eq!(start("time=sec,time.us=1"), "67.123456");
        assert_eq!(start("time=full"), "2020-12-16 04:31:07.123");
        assert_eq!(start("time=full,time.us=1"), "2020-12-16 04:31:07.123456");
        let clock = Clock { utc_offset_secs: -5 * 3600, ..CLOCK };
        assert_eq!((clock.civil(AT).day, clock.civil(AT).hour), (15, 23));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_453, (2025, 12, 31)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date_of(days), date);
        }
    }

    #[test]
    fn text_content_is_indented_and_binary_content_is_hexadecimal() {
        let message = b"MESSAGE sip:a SIP/2.0\r\nContent-Length: 18\r\n\r\n\x00\x11ab\xff0123456789xyz";
        let all = record(Layer::Sip, Subject::None, message, "sip.level=debug,sip.max_size=-1");
        let below: Vec<&str> = all.lines().skip(1).collect();
        assert_eq!(
            below,
            [
                "\tMESSAGE sip:a SIP/2.0",
                "\tContent-Length: 18",
                "\t",
                "\t0000:  00 11 61 62 ff 30 31 32 33 34 35 36 37 38 39 78  ..ab.0123456789x",
                "\t0010:  79 7a                                            yz",
            ]
        );
        let short = record(Layer::Sip, Subject::None, message, "sip.level=debug,sip.max_size=2");
        assert!(short.ends_with("  ..\n\t... 16 more octets\n"), "{short}");
    }

    #[test]
    fn a_message_of_sgs_is_told_in_words_and_with_payload_in_octets() {
        let message = b"\x1b\x01\x08\x09\x10\x10\x10\x32\x54\x76\x98\x08\x01\x03";
        let words = record(Layer::Sgsap, Subject::None, message, "sgsap.level=debug,sgsap.max_size=1");
        let below: Vec<&str> = words.lines().skip(1).collect();
        assert_eq!(below, ["\tIMSI: 001010123456789", "\tSGs cause: 3 (IMSI unknown)"]);
        let both = record(Layer::Sgsap, Subject::None, message, "sgsap.level=debug,sgsap.payload=1");
        assert!(both.starts_with(&words), "{both}");
        assert!(
            both.ends_with("\t0000:  1b 01 08 09 10 10 10 32 54 76 98 08 01 03        .......2Tv....\n"),
            "{both}"
        );
        let broken = record(Layer::Sgsap, Subject::None, b"\x1b\x01", "sgsap.level=debug");
        assert_eq!(broken.lines().count(), 2, "{broken}");
        assert_eq!(record(Layer::Sgsap, Subject::None, message, "sgsap.level=info").lines().count(), 1);
    }

    #[test]
    fn content_needs_debug_level_and_a_size() {
        assert_eq!(record(Layer::Sip, Subject::None, b"x", "sip.level=info").lines().count(), 1);
        assert_eq!(
            record(Layer::Sip, Subject::None, b"x", "sip.level=debug,sip.max_size=0").lines().count(),
            1
        );
        assert_eq!(
            record(Layer::Sip, Subject::None, b"x", "sip.level=debug,sip.max_size=1").lines().count(),
            2
        );
    }

    #[test]
    fn a_peer_cannot_forge_a_line() {
        let mut out = Vec::new();
        let evil = "bob\r\n04:31:07.123 [IMS] - 0001 forged\x1b[2J";
        let record = Record {
            at: AT,
            layer: Layer::Ims,
            level: Level::Info,
            dir: Dir::None,
            subject: Subject::None,
            text: format_args!("user {evil}"),
            content: b"",
        };
        write_record(&mut out, &record, &LogConfig::default(), &CLOCK);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "04:31:07.123 [IMS] - - user bob\\x0d\\x0a04:31:07.123 [IMS] - 0001 forged\\x1b[2J\n"
        );
    }

    #[test]
    fn lone_line_feeds_in_content_stay_inside_the_record() {
        let text = record(Layer::Sip, Subject::None, b"a\nb\r\n\r\nv=0\r\n\r\n", "sip.level=debug");
        assert!(text.lines().skip(1).all(|l| l.starts_with('\t')), "{text}");
    }
}
