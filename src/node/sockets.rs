//! The SIP sockets of the configuration, bound before anything else is made: what cannot be bound is known first.

use crate::config::model::SipSocket;
use crate::node::listener::Listener;
use crate::node::start::StartError;
use crate::node::udp_port::UdpPort;
use crate::proto::flow::LocalId;
use std::io;

/// How often another port is tried when the kernel's choice for UDP is in use for TCP.
const PORT_ATTEMPTS: usize = 16;

/// A UDP socket and a TCP listener on the same address and port, for each entry of `sip_addr`.
#[derive(Debug)]
pub struct Sockets {
    pub(super) udp: Vec<UdpPort>,
    pub(super) listeners: Vec<Listener>,
}

impl Sockets {
    /// Binds all sockets. Where port 0 leaves the choice to the kernel, its choice is written into `sip`, so that a core made of
    /// it names the right port.
    pub fn open(sip: &mut [SipSocket]) -> Result<Self, StartError> {
        let count = sip.len();
        let (mut udp, mut listeners) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (index, socket) in sip.iter_mut().enumerate() {
            let local = LocalId(u8::try_from(index).map_err(|_| StartError::TooManySockets(count))?);
            let (port, listener) = open_both(local, socket, &property(index, socket))?;
            for addr in [&mut socket.addr, &mut socket.bind] {
                if addr.port() == 0 {
                    addr.set_port(port.addr().port());
                }
            }
            udp.push(port);
            listeners.push(listener);
        }
        Ok(Sockets { udp, listeners })
    }
}

fn open_both(local: LocalId, socket: &SipSocket, property: &str) -> Result<(UdpPort, Listener), StartError> {
    let mut attempts = if socket.bind.port() == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        let port = UdpPort::open(local, socket, property)?;
        match Listener::open(port.addr(), property) {
            Err(StartError::Bind { error, .. })
                if attempts > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            listener => return Ok((port, listener?)),
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
        for ((config, udp), tcp) in sip.iter().zip(&sockets.udp).zip(&sockets.listeners) {
            assert_ne!(config.addr.port(), 0);
            assert_eq!((config.addr, config.bind), (udp.addr(), udp.addr()));
            assert_eq!(tcp.addr(), udp.addr());
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
