//! SIP, tel and urn URIs (RFC 3261 19.1, RFC 3966, RFC 5031).

use super::params::Params;
use super::text::{decimal, is_lws, percent_decode, split_once};
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A URI scheme that we tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the variants are the schemes' names")]
pub enum Scheme {
    Sip,
    Sips,
    Tel,
    Urn,
    /// Any other: 416 in a Request-URI.
    Other,
}

/// A host part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Host<'a> {
    /// A domain name.
    Name(&'a [u8]),
    /// An IPv4 address or an IPv6 reference.
    Ip(IpAddr),
}

impl Host<'_> {
    /// Whether both name the same host: names without case, addresses by value.
    pub fn same(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Host::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            (Host::Ip(a), Host::Ip(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(&String::from_utf8_lossy(name)),
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// A URI's parts, borrowed from its text.
///
/// For `tel:` the number is the `user`, for `urn:` what stands before any semicolon is (phones put parameters behind
/// `urn:service:sos`); the host is then an empty name. For other schemes all is `user`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uri<'a> {
    /// The whole text.
    pub text: &'a [u8],
    /// Scheme.
    pub scheme: Scheme,
    /// User part as it came: escapes, and any parameters inside it, kept.
    pub user: &'a [u8],
    /// Password.
    pub password: Option<&'a [u8]>,
    /// Host.
    pub host: Host<'a>,
    /// Port.
    pub port: Option<u16>,
    /// URI parameters.
    pub params: Params<'a>,
    /// Headers after `?`.
    pub headers: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Parses a URI without brackets around it. `None` when it does not follow its scheme's grammar.
    pub fn parse(text: &'a [u8]) -> Option<Uri<'a>> {
        let (scheme, rest) = split_once(text, b':')?;
        let mut letters = scheme.iter();
        let well_formed = letters.next().is_some_and(u8::is_ascii_alphabetic)
            && letters.all(|o| o.is_ascii_alphanumeric() || matches!(o, b'+' | b'-' | b'.'));
        // no early end: the compiler looks at many octets at once
        let foreign = |o: u8| is_lws(o) | (o == b'<') | (o == b'>') | (o == b'"');
        if !well_formed || text.iter().fold(false, |found, &o| found | foreign(o)) {
            return None;
        }
        match scheme {
            s if s.eq_ignore_ascii_case(b"sip") => Self::parse_sip(text, Scheme::Sip, rest),
            s if s.eq_ignore_ascii_case(b"sips") => Self::parse_sip(text, Scheme::Sips, rest),
            s if s.eq_ignore_ascii_case(b"tel") => Self::parse_tel(text, rest),
            s if s.eq_ignore_ascii_case(b"urn") => {
                let (name, params) = Params::split(rest);
                Some(Uri { params, ..Self::opaque(text, Scheme::Urn, name) })
            }
            _ => Some(Self::opaque(text, Scheme::Other, rest)),
        }
    }

    /// The user part with its escapes decoded.
    pub fn user_decoded(&self) -> Cow<'a, [u8]> {
        percent_decode(self.user)
    }

    /// Host and port as a socket address, when the host is an address; the scheme's default port is 5060 or 5061.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self.host {
            Host::Ip(ip) => Some(SocketAddr::new(ip, self.port.unwrap_or(self.default_port()))),
            Host::Name(_) => None,
        }
    }

    /// Whether it is `urn:service:sos` or one of its sub-services (RFC 5031 4.2; labels have no case).
    pub fn is_sos(&self) -> bool {
        const SOS: &[u8] = b"service:sos";
        let (head, rest) = self.user.split_at(SOS.len().min(self.user.len()));
        self.scheme == Scheme::Urn
            && head.eq_ignore_ascii_case(SOS)
            && rest.first().is_none_or(|&octet| octet == b'.')
    }

    /// 5061 for sips, else 5060 (RFC 3261 19.1.2).
    pub fn default_port(&self) -> u16 {
        if self.scheme == Scheme::Sips { 5061 } else { 5060 }
    }

    fn parse_sip(text: &'a [u8], scheme: Scheme, rest: &'a [u8]) -> Option<Uri<'a>> {
        // the user part may hold ';' and '?' (RFC 3261 25.1 user-unreserved), so '@' is looked for first
        let (userinfo, rest) = match memchr::memchr(b'@', rest) {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        let (rest, headers) = split_once(rest, b'?').unwrap_or((rest, &[]));
        let hostport_end = memchr::memchr(b';', rest).unwrap_or(rest.len());
        let (host, port) = host_port(&rest[..hostport_end])?;
        let (user, password) = match userinfo {
            Some(info) => match split_once(info, b':') {
                Some((user, password)) => (user, Some(password)),
                None => (info, None),
            },
            None => (&[][..], None),
        };
        if userinfo.is_some() && user.is_empty() {
            return None;
        }
        let params = Params::new(&rest[hostport_end..]);
        Some(Uri { text, scheme, user, password, host, port, params, headers })
    }

    fn parse_tel(text: &'a [u8], rest: &'a [u8]) -> Option<Uri<'a>> {
        let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
        let number = &rest[..end];
        if number.is_empty() || !number.iter().all(|&o| is_phone_octet(o)) {
            return None;
        }
        let mut uri = Self::opaque(text, Scheme::Tel, number);
        uri.params = Params::new(&rest[end..]);
        Some(uri)
    }

    fn opaque(text: &'a [u8], scheme: Scheme, user: &'a [u8]) -> Uri<'a> {
        let params = Params::default();
        Uri { text, scheme, user, password: None, host: Host::Name(&[]), port: None, params, headers: &[] }
    }
}

/// Digits, `+`, visual separators, DTMF letters and escapes (RFC 3966 3; `%23` is a dialled `#`).
fn is_phone_octet(octet: u8) -> bool {
    octet.is_ascii_hexdigit() || matches!(octet, b'+' | b'-' | b'.' | b'(' | b')' | b'*' | b'#' | b'%')
}

/// Parses `host[:port]` with IPv6 references in brackets (RFC 3261 25.1 hostport).
pub fn host_port(text: &[u8]) -> Option<(Host<'_>, Option<u16>)> {
    let (host, port) = match text {
        [b'[', inner @ ..] => {
            let (address, rest) = split_once(inner, b']')?;
            let address: std::net::Ipv6Addr = std::str::from_utf8(address).ok()?.parse().ok()?;
            let port = match rest {
                [] => None,
                [b':', digits @ ..] => Some(digits),
                _ => return None,
            };
            (Host::Ip(IpAddr::V6(address)), port)
        }
        _ => {
            let (name, port) = match split_once(text, b':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            };
            (host_name(name)?, port)
        }
    };
    match port {
        None => Some((host, None)),
        Some(digits) => Some((host, Some(u16::try_from(decimal(digits)?).ok()?))),
    }
}

fn host_name(name: &[u8]) -> Option<Host<'_>> {
    let allowed = |o: u8| o.is_ascii_alphanumeric() | (o == b'-') | (o == b'.') | (o == b'_');
    if !name.iter().fold(true, |all, &o| all & allowed(o)) {
        return None;
    }
    if !name.first()?.is_ascii_digit() {
        return Some(Host::Name(name));
    }
    let ip = std::str::from_utf8(name).ok().and_then(|s| s.parse().ok());
    Some(ip.map_or(Host::Name(name), |v4| Host::Ip(IpAddr::V4(v4))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sip_uri_with_everything() {
        let u = Uri::parse(b"sip:+331;phone-context=a.b@[2001:db8::1]:5070;user=phone;lr?Route=x").unwrap();
        assert_eq!(u.scheme, Scheme::Sip);
        assert_eq!(u.user, b"+331;phone-context=a.b");
        assert_eq!(u.socket_addr(), Some("[2001:db8::1]:5070".parse().unwrap()));
        assert_eq!(u.params.get("user"), Some(&b"phone"[..]));
        assert!(u.params.has("lr"));
        assert_eq!(u.headers, b"Route=x");
    }

    #[test]
    fn tel_and_urn() {
        let u = Uri::parse(b"tel:0612;phone-context=ims.mnc001.mcc001.3gppnetwork.org").unwrap();
        assert_eq!((u.scheme, u.user), (Scheme::Tel, &b"0612"[..]));
        assert!(u.params.has("phone-context"));
        let u = Uri::parse(b"urn:service:sos.police").unwrap();
        assert_eq!((u.scheme, u.user), (Scheme::Urn, &b"service:sos.police"[..]));
        let u = Uri::parse(b"urn:service:sos;phone-context=a.b@a.b;user=phone").unwrap();
        assert_eq!((u.user, u.params.get("user")), (&b"service:sos"[..], Some(&b"phone"[..])));
        assert_eq!(Uri::parse(b"tel:hello"), None);
    }

    #[test]
    fn services_of_emergency() {
        for (text, is_sos) in [
            ("urn:service:sos", true),
            ("URN:Service:SOS.ecall.automatic", true),
            ("urn:service:sos;phone-context=a.b@a.b;user=phone", true),
            ("urn:service:sosta", false),
            ("urn:service:counseling", false),
            ("urn:x", false),
            ("sip:service:sos@h", false),
        ] {
            assert_eq!(Uri::parse(text.as_bytes()).map(|uri| uri.is_sos()), Some(is_sos), "{text}");
        }
    }

    #[test]
    fn refused() {
        for bad in [
            "",
            "sip",
            ":x",
            "sip:",
            "sip:@h",
            "sip:a@",
            "sip:a@h:99999",
            "sip:a@h:x",
            "sip:2001:db8::10",
            "sip:a@[2001:db8:::192.0.2.1]",
            "sip:a b@h",
            "<sip:a@h>",
            "sip:a@h;p=\"x",
        ] {
            assert_eq!(Uri::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
