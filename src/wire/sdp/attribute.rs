//! Attributes that a server reads: direction, rtpmap, fmtp.

use crate::wire::sip::text::{decimal, split_once, trim};

/// A media direction, from the view of the description's sender (RFC 8866 6.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Direction {
    /// `sendrecv`.
    #[default]
    SendRecv,
    /// `sendonly`.
    SendOnly,
    /// `recvonly`.
    RecvOnly,
    /// `inactive`.
    Inactive,
}

impl Direction {
    /// The direction that an `a=` value names.
    pub fn parse(attribute: &[u8]) -> Option<Direction> {
        Some(match trim(attribute) {
            b"sendrecv" => Direction::SendRecv,
            b"sendonly" => Direction::SendOnly,
            b"recvonly" => Direction::RecvOnly,
            b"inactive" => Direction::Inactive,
            _ => return None,
        })
    }

    /// The attribute's name.
    pub const fn name(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// The same stream from the other side: what an answer says when it wants all that was offered (RFC 3264 6.1).
    pub const fn reversed(self) -> Direction {
        match self {
            Direction::SendOnly => Direction::RecvOnly,
            Direction::RecvOnly => Direction::SendOnly,
            other => other,
        }
    }

    /// Whether the description's sender sends.
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the description's sender receives.
    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// What is left of it within another one: only what both do.
    pub const fn within(self, limit: Direction) -> Direction {
        match (self.sends() && limit.sends(), self.receives() && limit.receives()) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// The direction with receiving taken away.
    pub const fn without_receiving(self) -> Direction {
        if self.sends() { Direction::SendOnly } else { Direction::Inactive }
    }
}

/// The value of an `a=` line if its name is `name`; empty for a flag.
pub fn attribute_value<'a>(attribute: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (found, value) = split_once(attribute, b':').unwrap_or((attribute, &[]));
    (trim(found) == name.as_bytes()).then(|| trim(value))
}

/// `a=rtpmap:104 AMR-WB/16000/1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RtpMap<'a> {
    /// Payload type.
    pub format: &'a [u8],
    /// Encoding name.
    pub name: &'a [u8],
    /// Clock rate, Hz.
    pub clock_rate: u32,
    /// Encoding parameters: the channel count of audio.
    pub parameters: Option<&'a [u8]>,
}

impl<'a> RtpMap<'a> {
    /// Parses an `a=` value; a space before the slash is taken.
    pub fn parse(attribute: &'a [u8]) -> Option<RtpMap<'a>> {
        let (format, encoding) = split_once(attribute_value(attribute, "rtpmap")?, b' ')?;
        let (name, rest) = split_once(trim(encoding), b'/')?;
        let (rate, parameters) = match split_once(rest, b'/') {
            Some((rate, parameters)) => (rate, Some(trim(parameters))),
            None => (rest, None),
        };
        Some(RtpMap { format, name: trim(name), clock_rate: decimal(trim(rate))?, parameters })
    }
}

/// `a=fmtp:104 mode-set=0,1,2; octet-align=1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fmtp<'a> {
    /// Payload type.
    pub format: &'a [u8],
    /// Parameters as they came.
    pub value: &'a [u8],
}

impl<'a> Fmtp<'a> {
    /// Parses an `a=` value.
    pub fn parse(attribute: &'a [u8]) -> Option<Fmtp<'a>> {
        let (format, value) = split_once(attribute_value(attribute, "fmtp")?, b' ')?;
        Some(Fmtp { format, value: trim(value) })
    }

    /// A parameter's value; empty for a flag.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        crate::wire::sip::Params::new(self.value).get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reversing_twice_changes_nothing() {
        for d in [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive] {
            assert_eq!(d.reversed().reversed(), d);
            assert_eq!(Direction::parse(d.name().as_bytes()), Some(d));
            assert_eq!(d.reversed().sends(), d.receives());
            assert_eq!((d.within(d), d.within(Direction::SendRecv)), (d, d));
            assert_eq!(d.within(Direction::Inactive), Direction::Inactive);
        }
    }

    #[test]
    fn fmtp_parameters() {
        let f = Fmtp::parse(b"fmtp:104 mode-set=0,1,2; octet-align=1").unwrap();
        assert_eq!(f.get("octet-align"), Some(&b"1"[..]));
        assert_eq!(f.get("mode-set"), Some(&b"0,1,2"[..]));
        assert_eq!(Fmtp::parse(b"rtpmap:1 x/2"), None);
    }
}
