//! IP addresses with an optional port, as a configuration writes them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// `192.0.2.1`, `192.0.2.1:5060`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:5060`; `port` where none is given.
pub(super) fn parse(text: &str, port: u16) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, port));
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(|address| SocketAddr::new(address.into(), port));
    }
    text.parse::<SocketAddr>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_address() {
        for (text, expected) in [
            ("127.0.0.1", Some("127.0.0.1:5060")),
            ("127.0.0.1:6000", Some("127.0.0.1:6000")),
            ("::1", Some("[::1]:5060")),
            ("[::1]", Some("[::1]:5060")),
            ("[::1]:7", Some("[::1]:7")),
            ("2001:468:3000:1::", Some("[2001:468:3000:1::]:5060")),
            ("localhost", None),
            ("127.0.0.1:", None),
            ("127.0.0.1:70000", None),
            ("300.0.0.1", None),
            ("", None),
        ] {
            assert_eq!(parse(text, 5060).map(|address| address.to_string()).as_deref(), expected, "{text}");
        }
    }
}
