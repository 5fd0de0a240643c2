//! Where requests for a contact go: the source of its REGISTER, or the address it names.
//!
//! RFC 3261 18, RFC 3263 4.1, RFC 3581, RFC 5626 5.3, and what phones do: some register over TCP from an ephemeral port and listen
//! on the Contact's port for both transports, some sit behind a NAT, some close the connection when they go idle.

use crate::ims::security::SetId;
use crate::proto::flow::{Arrival, Flow, Transport};
use crate::wire::sip::{Host, Uri};

/// The way to a contact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// Where requests go.
    pub flow: Flow,
    /// Whether long requests may go by TCP although the flow is UDP.
    pub tcp_allowed: bool,
    /// The security associations that it leads through.
    pub set: Option<SetId>,
}

/// How a REGISTER came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Came {
    /// The flow, and the ways of its security associations.
    pub arrival: Arrival,
    /// The security associations.
    pub set: Option<SetId>,
}

impl From<Flow> for Came {
    /// In clear.
    fn from(flow: Flow) -> Came {
        Came { arrival: flow.into(), set: None }
    }
}

/// Chooses the way to `contact`, which was registered by what came this way.
///
/// * A contact that names another host than the source, or a domain name, is behind a NAT or a proxy: only the source's own
///   flow reaches it.
/// * Else the contact's address is right, on the transport of the registration unless the URI names one. A connection is
///   used while it lives; when it has gone, a new one goes to the contact's port, where the phone listens.
/// * Through security associations there is one way, between our client port and the phone's server port, whatever Contact says
///   (TS 33.203 7.1). A request that is too long for UDP goes by UDP all the same: the phone may not take TCP.
/// * TCP is not tried towards a contact that says `transport=udp`, nor through a NAT.
pub fn choose(came: Came, contact: &Uri<'_>) -> Route {
    let (source, set) = (came.arrival.flow, came.set);
    let named = contact.params.get("transport");
    let udp_named = named.is_some_and(|t| t.eq_ignore_ascii_case(b"udp"));
    let tcp_named = named.is_some_and(|t| t.eq_ignore_ascii_case(b"tcp"));
    let transport = match source.transport {
        _ if udp_named => Transport::Udp,
        _ if tcp_named => Transport::Tcp,
        transport => transport,
    };
    if let Some(ways) = came.arrival.ways {
        return Route { flow: ways.to_ue(transport), tcp_allowed: false, set };
    }
    let Some(address) = contact.socket_addr().filter(|address| address.ip() == source.remote.ip()) else {
        return Route { flow: source, tcp_allowed: false, set };
    };
    let flow = Flow { transport, remote: address, conn: source.conn, ..source };
    match transport {
        Transport::Tcp => Route { flow, tcp_allowed: true, set },
        Transport::Udp => Route { flow: Flow { conn: None, ..flow }, tcp_allowed: !udp_named, set },
    }
}

/// The way that is left when a new connection to the contact failed: UDP, unless the contact asked for TCP.
pub fn without_tcp(flow: Flow, contact: &Uri<'_>) -> Option<Flow> {
    let tcp_named = contact.params.get("transport").is_some_and(|t| t.eq_ignore_ascii_case(b"tcp"));
    let direct = matches!(contact.host, Host::Ip(ip) if ip == flow.remote.ip());
    (flow.transport == Transport::Tcp && !tcp_named && direct).then(|| Flow::udp(flow.local, flow.remote))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::flow::{ConnId, LocalId};

    const LOCAL: LocalId = LocalId(0);

    fn udp(remote: &str) -> Flow {
        Flow::udp(LOCAL, remote.parse().expect("an address"))
    }

    fn tcp(remote: &str, conn: Option<u64>) -> Flow {
        Flow::tcp(LOCAL, remote.parse().expect("an address"), conn.map(ConnId))
    }

    #[test]
    fn each_kind_of_registration_has_its_way_back() {
        for (source, contact, flow, tcp_allowed) in [
            // plain phone on UDP
            (udp("10.0.0.1:5060"), "sip:a@10.0.0.1:5060", udp("10.0.0.1:5060"), true),
            (udp("10.0.0.1:5060"), "sip:a@10.0.0.1", udp("10.0.0.1:5060"), true),
            (udp("10.0.0.1:5060"), "sip:a@10.0.0.1;transport=udp", udp("10.0.0.1:5060"), false),
            // sends from one port, listens on another
            (udp("10.0.0.1:40000"), "sip:10.0.0.1:31113", udp("10.0.0.1:31113"), true),
            // NAT, or a name
            (udp("192.0.2.1:40000"), "sip:a@10.0.0.1:5060", udp("192.0.2.1:40000"), false),
            (udp("192.0.2.1:40000"), "sip:a@phone.local", udp("192.0.2.1:40000"), false),
            (tcp("192.0.2.1:4", Some(7)), "sip:a@10.0.0.1", tcp("192.0.2.1:4", Some(7)), false),
            // TCP from an ephemeral port: the connection now, the contact's port later
            (tcp("10.0.0.1:4000", Some(7)), "sip:a@10.0.0.1:5060", tcp("10.0.0.1:5060", Some(7)), true),
            (tcp("10.0.0.1:4000", Some(7)), "sip:a@10.0.0.1;transport=UDP", udp("10.0.0.1:5060"), false),
            (udp("10.0.0.1:5060"), "sip:a@10.0.0.1;transport=TCP", tcp("10.0.0.1:5060", None), true),
            (udp("[2001:db8::1]:5060"), "sip:a@[2001:DB8:0::1]", udp("[2001:db8::1]:5060"), true),
        ] {
            let uri = Uri::parse(contact.as_bytes()).expect("a URI");
            assert_eq!(
                choose(source.into(), &uri),
                Route { flow, tcp_allowed, set: None },
                "{source:?} {contact}"
            );
        }
    }

    #[test]
    fn failed_tcp_leaves_udp_unless_tcp_was_asked_for() {
        let left = |flow, contact: &str| without_tcp(flow, &Uri::parse(contact.as_bytes()).expect("a URI"));
        assert_eq!(left(tcp("10.0.0.1:5060", None), "sip:10.0.0.1"), Some(udp("10.0.0.1:5060")));
        assert_eq!(left(tcp("10.0.0.1:5060", None), "sip:10.0.0.1;transport=tcp"), None);
        assert_eq!(left(tcp("192.0.2.1:4", None), "sip:10.0.0.1"), None);
        assert_eq!(left(udp("10.0.0.1:5060"), "sip:10.0.0.1"), None);
    }
}
