//! Protected ports (TS 33.203 7.1): for each address two server ports, for each of these four client ports, so that a set that is
//! renewed keeps its server port and gets another client port.

use crate::config::model::IpsecSettings;
use crate::node::listener::{Listener, TcpEnd};
use crate::node::sockets::{Sockets, open_both};
use crate::node::start::StartError;
use crate::node::udp_port::UdpPort;
use crate::proto::flow::LocalId;
use crate::proto::locals::Locals;
use std::net::{IpAddr, SocketAddr};

const SERVER_PORTS: u16 = IpsecSettings::SERVER_PORTS;
const CLIENT_PORTS: u16 = IpsecSettings::CLIENT_PORTS;
/// The properties that give the ports.
const PORT_S: &str = "ipsec_port_s";
const PORT_C: &str = "ipsec_port_c";

/// A server port with its client ports.
struct Group {
    server: UdpPort,
    listener: Listener,
    clients: Vec<UdpPort>,
}

/// Opens the protected ports of one address and adds them to the sockets and to `locals`. What had to be left out, in words.
pub fn open(
    sockets: &mut Sockets,
    locals: &mut Locals,
    clear: LocalId,
    ip: IpAddr,
    settings: &IpsecSettings,
) -> Vec<String> {
    let mut problems = Vec::new();
    for index in 0..SERVER_PORTS {
        let opened = Group::open(sockets.udp.len(), ip, index, settings);
        if let Err(problem) = opened.and_then(|group| group.add(sockets, locals, clear)) {
            let port = settings.port_s.saturating_add(index);
            problems.push(format!("protected port {port} of {ip} is left out: {problem}"));
        }
    }
    problems
}

impl Group {
    /// `next` is the number that the server port will have; those of the client ports follow.
    fn open(next: usize, ip: IpAddr, index: u16, settings: &IpsecSettings) -> Result<Group, String> {
        let too_many = || "there are more addresses than can be numbered".to_owned();
        let local = |offset: u16| u8::try_from(next + usize::from(offset)).map(LocalId);
        let addr = |first: u16, offset: u16, property| match first {
            0 => Ok(SocketAddr::new(ip, 0)),
            _ => first
                .checked_add(offset)
                .map(|port| SocketAddr::new(ip, port))
                .ok_or_else(|| format!("{property} is too high: ports end at 65535")),
        };
        let at = addr(settings.port_s, index, PORT_S)?;
        let id = local(0).map_err(|_| too_many())?;
        let (server, listener) = open_both(
            at.port() == 0,
            || UdpPort::open_protected(id, at, PORT_S),
            |at| Listener::open(at, PORT_S),
        )
        .map_err(|e| e.to_string())?;
        let mut clients = Vec::new();
        for client in 0..CLIENT_PORTS {
            let at = addr(settings.port_c, index * CLIENT_PORTS + client, PORT_C)?;
            let id = local(1 + client).map_err(|_| too_many())?;
            clients.push(open_client(id, at).map_err(|e| e.to_string())?);
        }
        Ok(Group { server, listener, clients })
    }

    fn add(self, sockets: &mut Sockets, locals: &mut Locals, clear: LocalId) -> Result<(), String> {
        let clients: Vec<SocketAddr> = self.clients.iter().map(UdpPort::addr).collect();
        locals
            .add_protected(clear, self.server.addr(), &clients)
            .map_err(|_| "there are more addresses than can be numbered".to_owned())?;
        sockets.udp.push(self.server);
        sockets.tcp.push(TcpEnd { listener: Some(self.listener), from: None, is_protected: true });
        sockets.udp.extend(self.clients);
        let client = |from| TcpEnd { listener: None, from: Some(from), is_protected: true };
        sockets.tcp.extend(clients.into_iter().map(client));
        Ok(())
    }
}

fn open_client(local: LocalId, addr: SocketAddr) -> Result<UdpPort, StartError> {
    let check = |addr| {
        let property = PORT_C.to_owned();
        platform::socket::check_connect_from(addr).map_err(|error| StartError::Bind {
            property,
            transport: "TCP",
            addr,
            error,
        })
    };
    open_both(addr.port() == 0, || UdpPort::open_protected(local, addr, PORT_C), check).map(|(port, ())| port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::SipSocket;
    use crate::proto::locals::Role;

    const ANY_PORT: IpsecSettings =
        IpsecSettings { port_s: 0, port_c: 0, integrity: Vec::new(), encryption: Vec::new(), policy: POLICY };
    const POLICY: crate::proto::sip::sec_agree::Policy = crate::proto::sip::sec_agree::Policy::Optional;

    fn clear(hosts: &[&str]) -> (Sockets, Locals) {
        let mut sip: Vec<SipSocket> = hosts.iter().map(|h| SipSocket::new(h.parse().unwrap(), 0)).collect();
        let sockets = Sockets::open(&mut sip).unwrap();
        (sockets, Locals::clear(sip.iter().map(|s| s.addr)))
    }

    #[test]
    fn every_end_has_its_socket_under_its_number() {
        let (mut sockets, mut locals) = clear(&["127.0.0.1", "::1"]);
        for (id, host) in [(0, "127.0.0.1"), (1, "::1")] {
            assert!(
                open(&mut sockets, &mut locals, LocalId(id), host.parse().unwrap(), &ANY_PORT).is_empty()
            );
        }
        let count = 2 + 2 * usize::from(SERVER_PORTS * (1 + CLIENT_PORTS));
        assert_eq!((sockets.udp.len(), sockets.tcp.len(), locals.iter().count()), (count, count, count));
        for ((id, local), (udp, tcp)) in locals.iter().zip(sockets.udp.iter().zip(&sockets.tcp)) {
            assert_eq!((udp.local(), udp.addr()), (id, local.own));
            let listens = tcp.listener.as_ref().map(Listener::addr);
            match local.role {
                Role::Clear => assert!(listens == Some(local.own) && tcp.from.unwrap().port() == 0),
                Role::Server => assert!(listens == Some(local.own) && tcp.from.is_none()),
                Role::Client { .. } => assert!(listens.is_none() && tcp.from == Some(local.own)),
            }
            assert_eq!(tcp.is_protected, local.role != Role::Clear);
        }
    }

    #[test]
    fn a_port_that_is_in_use_leaves_out_its_group_alone_and_is_named() {
        let (mut sockets, mut locals) = clear(&["127.0.0.1"]);
        let host: IpAddr = "127.0.0.1".parse().unwrap();
        let held = std::net::UdpSocket::bind((host, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        // the second server port is 0 plus one: only the first can be asked for by number here
        let settings = IpsecSettings { port_s: port, ..ANY_PORT };
        let first = Group::open(1, host, 0, &settings).err().unwrap();
        assert!(
            first.contains(&format!("cannot bind UDP 127.0.0.1:{port}: the address is in use")),
            "{first}"
        );
        let listens = std::net::TcpListener::bind((host, 0)).unwrap();
        let settings = IpsecSettings { port_c: listens.local_addr().unwrap().port(), ..ANY_PORT };
        let problems = open(&mut sockets, &mut locals, LocalId(0), host, &settings);
        assert!(problems[0].contains("ipsec_port_c: cannot bind TCP 127.0.0.1:"), "{problems:?}");
        let last = IpsecSettings { port_s: u16::MAX, ..ANY_PORT };
        assert!(Group::open(1, host, 1, &last).err().unwrap().contains("ipsec_port_s is too high"));
    }

    #[test]
    fn what_has_no_number_is_left_out() {
        let (mut sockets, mut locals) = clear(&["127.0.0.1"; 248]);
        let problems = open(&mut sockets, &mut locals, LocalId(0), "127.0.0.1".parse().unwrap(), &ANY_PORT);
        assert!(matches!(&problems[..], [one] if one.contains("more addresses")), "{problems:?}");
        assert_eq!((sockets.udp.len(), sockets.tcp.len(), locals.iter().count()), (253, 253, 253));
    }
}
