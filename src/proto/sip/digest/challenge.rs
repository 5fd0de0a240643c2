//! The value of WWW-Authenticate and Proxy-Authenticate (RFC 3261 20.44, 20.27) that a server sends.

use super::algorithm::Algorithm;
use super::response::Qop;

/// A digest challenge; one header per algorithm, the preferred one first (RFC 8760 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// The protection space: the home domain.
    pub realm: &'a str,
    /// The nonce; for AKA an [`super::aka::Nonce`].
    pub nonce: &'a str,
    /// The algorithm, always written: phones do not agree on what its absence means.
    pub algorithm: Algorithm,
    /// The qualities of protection that are offered; none leaves the parameter out.
    pub qop: &'a [Qop],
    /// Whether only the nonce of the rejected answer was wrong.
    pub stale: bool,
    /// A text that the client returns.
    pub opaque: Option<&'a str>,
}

impl Challenge<'_> {
    /// Appends the header value to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Digest realm=");
        quote(out, self.realm);
        out.extend_from_slice(b",nonce=");
        quote(out, self.nonce);
        if let Some(opaque) = self.opaque {
            out.extend_from_slice(b",opaque=");
            quote(out, opaque);
        }
        if self.stale {
            out.extend_from_slice(b",stale=true");
        }
        out.extend_from_slice(b",algorithm=");
        out.extend_from_slice(self.algorithm.name().as_bytes());
        for (i, qop) in self.qop.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b",qop=\"" } else { b"," });
            out.extend_from_slice(qop.name().as_bytes());
        }
        if !self.qop.is_empty() {
            out.push(b'"');
        }
    }
}

/// Appends `text` as a quoted string; control characters, which would end the header, are left out.
fn quote(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes().filter(|b| !b.is_ascii_control()) {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sip::digest::digest_params;

    const CHALLENGE: Challenge<'_> = Challenge {
        realm: "home.net",
        nonce: "abc=",
        algorithm: Algorithm::Md5,
        qop: &[],
        stale: false,
        opaque: None,
    };

    fn text(challenge: &Challenge<'_>) -> String {
        let mut out = Vec::new();
        challenge.write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn only_what_is_asked_for_is_written() {
        assert_eq!(text(&CHALLENGE), "Digest realm=\"home.net\",nonce=\"abc=\",algorithm=MD5");
        let full = Challenge { qop: &[Qop::Auth, Qop::AuthInt], stale: true, opaque: Some("o"), ..CHALLENGE };
        assert_eq!(
            text(&full),
            "Digest realm=\"home.net\",nonce=\"abc=\",opaque=\"o\",stale=true,algorithm=MD5,qop=\"auth,auth-int\""
        );
    }

    #[test]
    fn no_value_breaks_out_of_its_quotes_or_its_line() {
        let evil = Challenge { realm: "a\"b\\\r\nX: y", ..CHALLENGE };
        let value = text(&evil);
        assert!(!value.contains(['\r', '\n']));
        let params: Vec<_> = digest_params(value.as_bytes()).expect("digest").collect();
        assert_eq!(params.len(), 3);
        assert_eq!(params[0].value, br#"a\"b\\X: y"#);
    }
}
