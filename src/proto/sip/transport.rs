//! Transport rules of SIP (RFC 3261 18, RFC 3581): what a Via says of the way back, and which names mean this server.
//!
//! `maddr` and `ttl` in a Via are not followed: with them a single packet could make the server send to an address that the
//! sender does not own, and no phone needs them.

use crate::proto::flow::{Arrival, Flow, Transport, Ways};
use crate::wire::sip::list;
use crate::wire::sip::text::trim_end;
use crate::wire::sip::{HeaderId, Host, Message, Scheme, Uri, Via};
use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

/// The port of UDP and TCP when none is written (RFC 3261 19.1.2).
pub const DEFAULT_PORT: u16 = 5060;

/// Formats an address as a Via's sent-by: host and port, IPv6 in brackets, without a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SentBy(pub SocketAddr);

impl fmt::Display for SentBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.ip() {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.0.port()),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.0.port()),
        }
    }
}

/// The text of a message's topmost Via value.
pub fn top_via_text<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    message.headers(HeaderId::Via).flat_map(list::values).next()
}

/// Writes the topmost Via value as a response carries it: with `received` when the sender is not where sent-by says, and with
/// `rport` filled in when the sender asked for it. `out` is cleared.
pub fn stamp_received(out: &mut Vec<u8>, via_text: &[u8], via: &Via<'_>, source: SocketAddr) {
    out.clear();
    let head = memchr::memchr(b';', via_text).unwrap_or(via_text.len());
    out.extend_from_slice(trim_end(&via_text[..head]));
    let mut asked = false;
    for param in via.params.iter() {
        // a `received` that the sender wrote about itself says nothing
        if param.name.eq_ignore_ascii_case(b"received") {
            continue;
        }
        out.push(b';');
        out.extend_from_slice(param.name);
        if param.name.eq_ignore_ascii_case(b"rport") {
            asked = true;
            write!(out, "={}", source.port()).expect("writing to a Vec cannot fail");
        } else if let Some(value) = param.value {
            out.push(b'=');
            out.extend_from_slice(value);
        }
    }
    // RFC 3261 18.2.1: when the host is a name or another address; RFC 3581 4: always beside rport
    let ip = source.ip().to_canonical();
    if asked || via.host != Host::Ip(ip) {
        write!(out, ";received={ip}").expect("writing to a Vec cannot fail");
    }
}

/// Where the responses to a request go that came this way under this topmost Via.
pub fn response_flow(arrival: Arrival, via: &Via<'_>) -> Flow {
    let flow = arrival.flow;
    match (flow.transport, arrival.ways) {
        // RFC 3261 18.2.2: the same connection
        (Transport::Tcp, _) => flow,
        (Transport::Udp, Some(ways)) => protected(&ways, via),
        // RFC 3581 4: the source port when rport is there, else sent-by's (RFC 3261 18.2.2); from the socket that was addressed
        (Transport::Udp, None) if via.rport().is_some() => flow,
        (Transport::Udp, None) => Flow { remote: sent_by_port(flow.remote, via), ..flow },
    }
}

/// TS 33.203 7.1, TS 24.229 5.1.1.2.2: a UE names its server port in Via and expects datagrams there, from our client port, with or
/// without `rport`. One that names its client port expects them where it sent the request from.
fn protected(ways: &Ways, via: &Via<'_>) -> Flow {
    let names_client = via.port == Some(ways.ue_client.port()) && ways.ue_client != ways.ue_server;
    if names_client { Flow::udp(ways.server, ways.ue_client) } else { ways.to_ue(Transport::Udp) }
}

/// Where a response over TCP goes when its connection has gone: a new one to the source address and sent-by's port (RFC 3261
/// 18.2.2), through security associations to the UE's server port. `None` over UDP.
pub fn response_fallback(arrival: Arrival, via: &Via<'_>) -> Option<Flow> {
    let flow = arrival.flow;
    match (flow.transport, arrival.ways) {
        (Transport::Tcp, Some(ways)) => Some(ways.to_ue(Transport::Tcp)),
        (Transport::Tcp, None) => Some(Flow::tcp(flow.local, sent_by_port(flow.remote, via), None)),
        (Transport::Udp, _) => None,
    }
}

/// The connection of `flow` while it lives, and the way of `fallback` when it has gone, in one flow: never a new connection to the
/// port that the peer's connection came from, where nobody listens.
pub fn with_fallback(flow: Flow, fallback: Option<Flow>) -> Flow {
    fallback.map_or(flow, |to| Flow { conn: flow.conn, ..to })
}

fn sent_by_port(source: SocketAddr, via: &Via<'_>) -> SocketAddr {
    let mut to = source;
    to.set_port(via.port.filter(|&p| p != 0).unwrap_or(DEFAULT_PORT));
    to
}

/// Whether a Via is one that this server wrote: its sent-by is one of our addresses (RFC 3261 18.1.2).
pub fn is_our_via(via: &Via<'_>, locals: &[SocketAddr]) -> bool {
    match via.host {
        Host::Ip(ip) => is_local(ip, via.port, locals),
        Host::Name(_) => false,
    }
}

/// Whether a Route value or a Request-URI names this server: one of our addresses, or one of our domains without a port or with
/// the port of one of our addresses. Addresses are compared as numbers, since IPv6 has many spellings.
pub fn names_us<'d>(
    uri: &Uri<'_>,
    locals: &[SocketAddr],
    domains: impl IntoIterator<Item = &'d str>,
) -> bool {
    if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
        return false;
    }
    match uri.host {
        Host::Ip(ip) => is_local(ip, uri.port, locals),
        Host::Name(name) => {
            let port_is_ours = uri.port.is_none_or(|p| locals.iter().any(|l| l.port() == p));
            let name = name.strip_suffix(b".").unwrap_or(name);
            port_is_ours && domains.into_iter().any(|d| name.eq_ignore_ascii_case(d.as_bytes()))
        }
    }
}

fn is_local(ip: IpAddr, port: Option<u16>, locals: &[SocketAddr]) -> bool {
    let port = port.unwrap_or(DEFAULT_PORT);
    locals.iter().any(|l| l.port() == port && l.ip().to_canonical() == ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::flow::{ConnId, LocalId};

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn stamped(via: &str, source: &str) -> String {
        let mut out = b"left over".to_vec();
        stamp_received(&mut out, via.as_bytes(), &Via::parse(via.as_bytes()).unwrap(), addr(source));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn received_is_written_when_the_source_differs() {
        let via = "SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bK1";
        assert_eq!(stamped(via, "10.0.0.1:9"), via);
        assert_eq!(stamped(via, "10.0.0.2:9"), format!("{via};received=10.0.0.2"));
        assert_eq!(
            stamped("SIP/2.0/UDP phone.test;branch=x", "10.0.0.2:9"),
            "SIP/2.0/UDP phone.test;branch=x;received=10.0.0.2"
        );
        // RFC 3261 25.1 via-received: no brackets
        assert_eq!(
            stamped("SIP/2.0/UDP [::1]:5;branch=x", "[::2]:5"),
            "SIP/2.0/UDP [::1]:5;branch=x;received=::2"
        );
        assert_eq!(stamped("SIP/2.0/UDP [0:0::1]:5;branch=x", "[::1]:5"), "SIP/2.0/UDP [0:0::1]:5;branch=x");
    }

    #[test]
    fn rport_is_filled_in_and_received_comes_with_it() {
        assert_eq!(
            stamped("SIP/2.0/UDP 10.0.0.1 ; rport ; branch=z9hG4bK1;alias", "10.0.0.1:4000"),
            "SIP/2.0/UDP 10.0.0.1;rport=4000;branch=z9hG4bK1;alias;received=10.0.0.1"
        );
    }

    #[test]
    fn what_the_sender_says_of_its_own_source_is_dropped() {
        assert_eq!(
            stamped("SIP/2.0/UDP 10.0.0.1;received=192.0.2.9;rport=1;branch=b", "10.0.0.1:2"),
            "SIP/2.0/UDP 10.0.0.1;rport=2;branch=b;received=10.0.0.1"
        );
    }

    #[test]
    fn responses_go_where_via_says() {
        let udp = Flow::udp(LocalId(1), addr("10.0.0.1:4000"));
        let to = |via: &str| response_flow(udp.into(), &Via::parse(via.as_bytes()).unwrap()).remote;
        assert_eq!(to("SIP/2.0/UDP 10.0.0.1:5062;rport;branch=b"), addr("10.0.0.1:4000"));
        assert_eq!(to("SIP/2.0/UDP 10.0.0.1:5062;branch=b"), addr("10.0.0.1:5062"));
        assert_eq!(to("SIP/2.0/UDP phone.test;branch=b"), addr("10.0.0.1:5060"));
        assert_eq!(to("SIP/2.0/UDP 10.0.0.1:0;branch=b"), addr("10.0.0.1:5060"));
        // neither a lying sent-by nor maddr sends a response to a third party
        assert_eq!(to("SIP/2.0/UDP 192.0.2.1:5062;maddr=192.0.2.2;ttl=1;branch=b"), addr("10.0.0.1:5062"));
    }

    #[test]
    fn tcp_responses_use_the_connection_and_then_sent_by() {
        let tcp = Flow::tcp(LocalId(0), addr("[::1]:40000"), Some(ConnId(7)));
        let via = Via::parse(b"SIP/2.0/TCP [::1]:5070;branch=b").unwrap();
        assert_eq!(response_flow(tcp.into(), &via), tcp);
        assert_eq!(
            response_fallback(tcp.into(), &via),
            Some(Flow::tcp(LocalId(0), addr("[::1]:5070"), None))
        );
        assert_eq!(
            with_fallback(tcp, response_fallback(tcp.into(), &via)),
            Flow::tcp(LocalId(0), addr("[::1]:5070"), Some(ConnId(7)))
        );
        let udp = Flow::udp(LocalId(0), addr("[::1]:4"));
        assert_eq!((response_fallback(udp.into(), &via), with_fallback(udp, None)), (None, udp));
    }

    #[test]
    fn protected_responses_go_to_the_port_that_via_names_from_its_counterpart() {
        let ways = Ways {
            server: LocalId(2),
            client: LocalId(3),
            ue_client: addr("10.0.0.9:31112"),
            ue_server: addr("10.0.0.9:31113"),
        };
        let udp = Arrival { flow: Flow::udp(LocalId(2), ways.ue_client), ways: Some(ways) };
        let to = |via: &str| response_flow(udp, &Via::parse(via.as_bytes()).unwrap());
        let (to_server, to_client) =
            (Flow::udp(LocalId(3), ways.ue_server), Flow::udp(LocalId(2), ways.ue_client));
        assert_eq!(to("SIP/2.0/UDP 10.0.0.9:31113;rport;branch=b"), to_server);
        assert_eq!(to("SIP/2.0/UDP 10.0.0.9:31112;rport;branch=b"), to_client);
        assert_eq!(to("SIP/2.0/UDP 10.0.0.9:5060;branch=b"), to_server);
        let flow = Flow::tcp(LocalId(2), ways.ue_client, Some(ConnId(7)));
        let tcp = Arrival { flow, ways: Some(ways) };
        let via = Via::parse(b"SIP/2.0/TCP 10.0.0.9:31113;branch=b").unwrap();
        assert_eq!(response_flow(tcp, &via), flow);
        assert_eq!(response_fallback(tcp, &via), Some(Flow::tcp(LocalId(3), ways.ue_server, None)));
    }

    #[test]
    fn our_own_via() {
        let locals = [addr("127.0.0.1:5060"), addr("[2001:db8::1]:5070")];
        let ours = |via: &str| is_our_via(&Via::parse(via.as_bytes()).unwrap(), &locals);
        assert!(ours("SIP/2.0/UDP 127.0.0.1;branch=x"));
        assert!(ours("SIP/2.0/TCP [2001:DB8:0::1]:5070;branch=x"));
        assert!(!ours("SIP/2.0/UDP [2001:db8::1];branch=x"));
        assert!(!ours("SIP/2.0/UDP 192.0.2.198;branch=x"));
        assert!(!ours("SIP/2.0/UDP localhost;branch=x"));
    }

    #[test]
    fn names_that_mean_this_server() {
        let locals = [addr("10.0.0.1:5060"), addr("[2001:db8::a]:5070")];
        let ours =
            |uri: &str| names_us(&Uri::parse(uri.as_bytes()).unwrap(), &locals, ["ims.test", "b.test"]);
        for uri in [
            "sip:10.0.0.1;lr",
            "sip:orig@10.0.0.1:5060",
            "sip:[2001:db8:0:0:0:0:0:A]:5070;lr",
            "sip:IMS.test",
            "sip:ims.test.",
            "sip:x@b.test:5070",
        ] {
            assert!(ours(uri), "{uri}");
        }
        for uri in ["sip:10.0.0.1:5070", "sip:[2001:db8::a]", "sip:c.test", "sip:ims.test:99", "tel:666"] {
            assert!(!ours(uri), "{uri}");
        }
    }

    #[test]
    fn sent_by_has_brackets_and_no_zone() {
        assert_eq!(SentBy(addr("10.0.0.1:5060")).to_string(), "10.0.0.1:5060");
        let zoned = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 5060, 0, 3);
        assert_eq!(SentBy(SocketAddr::V6(zoned)).to_string(), "[fe80::1]:5060");
    }
}
