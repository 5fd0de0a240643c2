//! The SIP sockets of the configuration, bound before anything else is made: what cannot be bound is known first.

use crate::config::model::SipSocket;
use crate::node::ipsec::agent::Agent;
use crate::node::listener::{Listener, TcpEnd};
use crate::node::sctp::SctpEnd;
use crate::node::start::StartError;
use crate::node::udp_port::UdpPort;
use crate::proto::flow::LocalId;
use std::io;
use std::net::SocketAddr;

/// How often another port is tried when the kernel's choice for UDP is in use for TCP.
const PORT_ATTEMPTS: usize = 16;

/// A UDP socket and a TCP listener on the same address and port, for each entry of `sip_addr`; then protected ports.
#[derive(Debug)]
pub struct Sockets {
    pub(super) udp: Vec<UdpPort>,
    pub(super) tcp: Vec<TcpEnd>,
    /// How many of them are those of `sip_addr`.
    pub(super) clear: usize,
    pub(super) agent: Agent,
    /// Where MMEs connect.
    pub(super) sctp: SctpEnd,
}

impl Sockets {
    /// Binds all sockets. Where port 0 leaves the choice to the kernel, its choice is written into `sip`, so that a core made of
    /// it names the right port.
    pub fn open(sip: &mut [SipSocket]) -> Result<Self, StartError> {
        let count = sip.len();
        let (mut udp, mut tcp) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (index, socket) in sip.iter_mut().enumerate() {
            let local = LocalId(u8::try_from(index).map_err(|_| StartError::TooManySockets(count))?);
            let property = property(index, socket);
            let (port, listener) = open_both(
                socket.bind.port() == 0,
                || UdpPort::open(local, socket, &property),
                |addr| Listener::open(addr, &property),
            )?;
            for addr in [&mut socket.addr, &mut socket.bind] {
                if addr.port() == 0 {
                    addr.set_port(port.addr().port());
                }
            }
            udp.push(port);
            let from = Some(SocketAddr::new(socket.bind.ip(), 0));
            tcp.push(TcpEnd { listener: Some(listener), from, is_protected: false });
        }
        Ok(Sockets { udp, tcp, clear: count, agent: Agent::default(), sctp: SctpEnd::Off })
    }

    /// Listens for MMEs, if an address is given; that the kernel has no SCTP is no error, and told at the start.
    pub fn listen_sctp(&mut self, addr: Option<SocketAddr>) -> Result<(), StartError> {
        self.sctp = SctpEnd::open(addr)?;
        Ok(())
    }

    /// Closes the protected ports.
    pub(super) fn keep_clear(&mut self) {
        self.udp.truncate(self.clear);
        self.tcp.truncate(self.clear);
    }
}

/// Opens a UDP port, and for TCP what belongs to its address and port. Where the port is the kernel's choice for UDP (`is_any`) and
/// in use for TCP, another is tried.
pub(super) fn open_both<T>(
    is_any: bool,
    udp: impl Fn() -> Result<UdpPort, StartError>,
    tcp: impl Fn(SocketAddr) -> Result<T, StartError>,
) -> Result<(UdpPort, T), StartError> {
    let mut attempts = if is_any { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        let port = udp()?;
        match tcp(port.addr()) {
            Err(StartError::Bind { error, .. })
                if attempts > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            result => return Ok((port, result?)),
        }
    }
}

/// The property that gives the bind address of the `index`-th SIP socket.
fn property(index: usize, socket: &SipSocket) -> String {
    let suffix = if socket.bind == socket.addr { "" } else { ".bind_addr" };
    format!("sip_addr[{index}]{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(addr: &str) -> SipSocket {
        let addr: std::net::SocketAddr = addr.parse().unwrap();
        SipSocket::new(addr.ip(), addr.port())
    }

    #[test]
    fn both_transports_get_the_port_that_the_kernel_chose() {
        let mut sip = [socket("127.0.0.1:0"), socket("[::1]:0")];
        let sockets = Sockets::open(&mut sip).unwrap();
        for ((config, udp), tcp) in sip.iter().zip(&sockets.udp).zip(&sockets.tcp) {
            assert_ne!(config.addr.port(), 0);
            assert_eq!((config.addr, config.bind), (udp.addr(), udp.addr()));
            assert_eq!(tcp.listener.as_ref().unwrap().addr(), udp.addr());
        }
    }

    #[test]
    fn the_property_at_fault_is_named() {
        let mut first = [socket("127.0.0.1:0")];
        let _held = Sockets::open(&mut first).unwrap();
        let mut again = [
            socket("127.0.0.1:0"),
            SipSocket { addr: "192.0.2.1:5060".parse().unwrap(), ..first[0].clone() },
        ];
        let error = Sockets::open(&mut again).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("sip_addr[1].bind_addr: cannot bind UDP {}", first[0].bind)),
            "{error}"
        );
    }

    #[test]
    fn a_port_taken_by_tcp_alone_is_an_error_too() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sip = [socket(&listener.local_addr().unwrap().to_string())];
        let error = Sockets::open(&mut sip).unwrap_err().to_string();
        assert!(error.contains("cannot bind TCP"), "{error}");
    }

    #[test]
    fn more_sockets_than_numbers_are_refused() {
        let mut sip = vec![socket("127.0.0.1:0"); 257];
        assert!(matches!(Sockets::open(&mut sip), Err(StartError::TooManySockets(257))));
    }
}
