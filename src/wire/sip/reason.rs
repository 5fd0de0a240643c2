//! Reason (RFC 3326): why a request was sent, one value per protocol.

use super::params::Params;
use super::text::is_token;

/// One value of Reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reason<'a> {
    /// `SIP`, `Q.850`, or a name of a vendor's own such as `RELEASE_CAUSE`.
    pub protocol: &'a [u8],
    /// Parameters as they came.
    pub params: Params<'a>,
}

impl<'a> Reason<'a> {
    /// Parses one value; white space before semicolons is taken.
    pub fn parse(value: &'a [u8]) -> Option<Reason<'a>> {
        let (protocol, params) = Params::split(value);
        is_token(protocol).then_some(Reason { protocol, params })
    }

    /// Whether the protocol is this one; no case.
    pub fn is(&self, protocol: &str) -> bool {
        self.protocol.eq_ignore_ascii_case(protocol.as_bytes())
    }

    /// The cause: a status code for `SIP`, a cause value for `Q.850`.
    pub fn cause(&self) -> Option<u32> {
        self.params.number("cause")
    }

    /// The text, escapes kept.
    pub fn text(&self) -> Option<&'a [u8]> {
        self.params.get("text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_and_private_protocols() {
        let r = Reason::parse(b"SIP;cause=200;text=\"Call; done, elsewhere\"").unwrap();
        assert!(r.is("sip"));
        assert_eq!((r.cause(), r.text()), (Some(200), Some(&b"Call; done, elsewhere"[..])));
        let r = Reason::parse(b"RELEASE_CAUSE ;cause=1 ;text=\"User ends call\"").unwrap();
        assert_eq!((r.protocol, r.cause()), (&b"RELEASE_CAUSE"[..], Some(1)));
        let r = Reason::parse(b"USER;text=\"User Triggered\"").unwrap();
        assert_eq!((r.cause(), r.text()), (None, Some(&b"User Triggered"[..])));
        assert_eq!(Reason::parse(b";cause=1"), None);
    }
}
