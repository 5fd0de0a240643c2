//! Via (RFC 3261 20.42, RFC 3581).

use super::params::Params;
use super::text::{split_once, trim};
use super::uri::{Host, host_port};
use std::net::IpAddr;

/// The magic cookie that starts the branch of an RFC 3261 element.
pub const BRANCH_COOKIE: &[u8] = b"z9hG4bK";

/// One Via value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Via<'a> {
    /// Transport token as it came: `UDP`, `TCP`, ….
    pub transport: &'a [u8],
    /// sent-by host.
    pub host: Host<'a>,
    /// sent-by port.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Parses one Via value; white space around the slashes is taken.
    pub fn parse(value: &'a [u8]) -> Option<Via<'a>> {
        let (protocol, rest) = split_once(value, b'/')?;
        let (version, rest) = split_once(rest, b'/')?;
        if !trim(protocol).eq_ignore_ascii_case(b"SIP") || trim(version) != b"2.0" {
            return None;
        }
        let rest = trim(rest);
        let end = rest.iter().position(|&o| super::text::is_lws(o))?;
        let (transport, rest) = (&rest[..end], trim(&rest[end..]));
        let params_at = memchr::memchr(b';', rest).unwrap_or(rest.len());
        let (host, port) = sent_by(&rest[..params_at])?;
        Some(Via { transport, host, port, params: Params::new(&rest[params_at..]) })
    }

    /// The branch parameter.
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params.get("branch").filter(|b| !b.is_empty())
    }

    /// The branch, when it is unique by RFC 3261 8.1.1.7: the cookie and something behind it.
    pub fn unique_branch(&self) -> Option<&'a [u8]> {
        self.branch().filter(|b| {
            b.len() > BRANCH_COOKIE.len() && b[..BRANCH_COOKIE.len()].eq_ignore_ascii_case(BRANCH_COOKIE)
        })
    }

    /// Whether there is an `rport` parameter, and its value if it has one (RFC 3581).
    pub fn rport(&self) -> Option<Option<u16>> {
        let value = self.params.get("rport")?;
        Some(super::text::decimal(value).and_then(|p| u16::try_from(p).ok()))
    }

    /// The `received` parameter; an IPv6 address comes with or without brackets (RFC 5118 4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let value = self.params.get("received")?;
        let value = value.strip_prefix(b"[").and_then(|v| v.strip_suffix(b"]")).unwrap_or(value);
        std::str::from_utf8(value).ok()?.parse().ok()
    }
}

/// `host [: port]`, with white space allowed around the colon (RFC 3261 25.1 COLON).
fn sent_by(text: &[u8]) -> Option<(Host<'_>, Option<u16>)> {
    let text = trim(text);
    if let Some(parsed) = host_port(text) {
        return Some(parsed);
    }
    let colon = memchr::memrchr(b':', text)?;
    let (host, none) = host_port(trim(&text[..colon]))?;
    let port = super::text::decimal(trim(&text[colon + 1..]))?;
    none.is_none().then_some((host, Some(u16::try_from(port).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_odd_spacing() {
        let v = Via::parse(b"SIP  / 2.0\r\n / UDP  192.0.2.2 : 5070 ;branch=z9hG4bK1 ;rport").unwrap();
        assert_eq!(v.transport, b"UDP");
        assert_eq!((v.host, v.port), (Host::Ip("192.0.2.2".parse().unwrap()), Some(5070)));
        assert_eq!(v.unique_branch(), Some(&b"z9hG4bK1"[..]));
        assert_eq!(v.rport(), Some(None));
        let v = Via::parse(b"SIP/2.0/TCP [::1];received=[::2];rport=5;branch=z9hG4bK").unwrap();
        assert_eq!(v.received(), Some("::2".parse().unwrap()));
        assert_eq!(v.rport(), Some(Some(5)));
        assert_eq!(v.unique_branch(), None);
    }
}
