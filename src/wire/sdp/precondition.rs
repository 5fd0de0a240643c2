//! Precondition lines (RFC 3312, RFC 4032): `a=curr`, `a=des`, `a=conf` of type `qos`.

use super::attribute::attribute_value;
use std::fmt;

/// Whose resources a line speaks of, from the view of the description's sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the variants are the grammar's words")]
pub enum Status {
    E2e,
    Local,
    Remote,
}

/// How much a precondition is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the variants are the grammar's words")]
pub enum Strength {
    Mandatory,
    Optional,
    None,
    Failure,
    Unknown,
}

/// In which directions resources are there, or wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Directions {
    /// `send` or `sendrecv`.
    pub send: bool,
    /// `recv` or `sendrecv`.
    pub recv: bool,
}

impl Directions {
    /// `sendrecv`.
    pub const BOTH: Directions = Directions { send: true, recv: true };
    /// `none`.
    pub const NONE: Directions = Directions { send: false, recv: false };

    /// Whether all directions of `wanted` are here.
    pub const fn covers(self, wanted: Directions) -> bool {
        (self.send || !wanted.send) && (self.recv || !wanted.recv)
    }

    /// The same from the other side's view.
    pub const fn reversed(self) -> Directions {
        Directions { send: self.recv, recv: self.send }
    }
}

/// One line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QosLine {
    /// `a=curr:qos local none`.
    Current(Status, Directions),
    /// `a=des:qos mandatory local sendrecv`.
    Desired(Strength, Status, Directions),
    /// `a=conf:qos remote sendrecv`.
    Confirm(Status, Directions),
}

impl QosLine {
    /// Parses an `a=` value; `None` for other attributes and other precondition types.
    pub fn parse(attribute: &[u8]) -> Option<QosLine> {
        let named = |name| attribute_value(attribute, name);
        if let Some(value) = named("curr") {
            let [status, directions] = words(value)?;
            return Some(QosLine::Current(parse_status(status)?, parse_directions(directions)?));
        }
        if let Some(value) = named("conf") {
            let [status, directions] = words(value)?;
            return Some(QosLine::Confirm(parse_status(status)?, parse_directions(directions)?));
        }
        let [strength, status, directions] = words(named("des")?)?;
        Some(QosLine::Desired(
            parse_strength(strength)?,
            parse_status(status)?,
            parse_directions(directions)?,
        ))
    }
}

impl fmt::Display for QosLine {
    /// The `a=` value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QosLine::Current(s, d) => write!(f, "curr:qos {} {}", status_name(*s), directions_name(*d)),
            QosLine::Desired(g, s, d) => {
                write!(f, "des:qos {} {} {}", strength_name(*g), status_name(*s), directions_name(*d))
            }
            QosLine::Confirm(s, d) => write!(f, "conf:qos {} {}", status_name(*s), directions_name(*d)),
        }
    }
}

/// The words behind `qos`.
fn words<const N: usize>(value: &[u8]) -> Option<[&[u8]; N]> {
    let mut all = value.split(|&o| o == b' ').filter(|w| !w.is_empty());
    if !all.next()?.eq_ignore_ascii_case(b"qos") {
        return None;
    }
    let mut out = [&[][..]; N];
    for slot in &mut out {
        *slot = all.next()?;
    }
    Some(out)
}

fn parse_status(word: &[u8]) -> Option<Status> {
    [Status::E2e, Status::Local, Status::Remote].into_iter().find(|s| status_name(*s).as_bytes() == word)
}

const fn status_name(status: Status) -> &'static str {
    match status {
        Status::E2e => "e2e",
        Status::Local => "local",
        Status::Remote => "remote",
    }
}

fn parse_strength(word: &[u8]) -> Option<Strength> {
    use Strength::{Failure, Mandatory, None, Optional, Unknown};
    [Mandatory, Optional, None, Failure, Unknown].into_iter().find(|s| strength_name(*s).as_bytes() == word)
}

const fn strength_name(strength: Strength) -> &'static str {
    match strength {
        Strength::Mandatory => "mandatory",
        Strength::Optional => "optional",
        Strength::None => "none",
        Strength::Failure => "failure",
        Strength::Unknown => "unknown",
    }
}

fn parse_directions(word: &[u8]) -> Option<Directions> {
    Some(match word {
        b"none" => Directions::NONE,
        b"send" => Directions { send: true, recv: false },
        b"recv" => Directions { send: false, recv: true },
        b"sendrecv" => Directions::BOTH,
        _ => return None,
    })
}

const fn directions_name(directions: Directions) -> &'static str {
    match directions {
        Directions { send: false, recv: false } => "none",
        Directions { send: true, recv: false } => "send",
        Directions { send: false, recv: true } => "recv",
        Directions { send: true, recv: true } => "sendrecv",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_what_was_parsed_gives_the_text_again() {
        for text in [
            "curr:qos local none",
            "curr:qos e2e sendrecv",
            "des:qos mandatory local sendrecv",
            "des:qos optional remote send",
            "des:qos none e2e recv",
            "conf:qos remote sendrecv",
        ] {
            assert_eq!(QosLine::parse(text.as_bytes()).unwrap().to_string(), text);
        }
        for text in [
            "curr:sec local none",
            "curr:qos here none",
            "des:qos mandatory local",
            "rtpmap:1 x/1",
            "curr:qos",
        ] {
            assert_eq!(QosLine::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn covering() {
        assert!(Directions::BOTH.covers(Directions::NONE));
        assert!(!Directions::NONE.covers(Directions { send: true, recv: false }));
        assert!(
            Directions { send: true, recv: false }.reversed().covers(Directions { send: false, recv: true })
        );
    }
}
