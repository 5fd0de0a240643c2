//! A SIP UDP socket: datagrams in, batches out, failures back.

mod recent;
mod source_memory;

use crate::base::trace::{Layer, Level, Subject};
use crate::config::model::SipSocket;
use crate::ims::core::Core;
use crate::node::start::StartError;
use crate::node::token::{Kind, Source};
use crate::node::world::World;
use crate::proto::flow::{Flow, LocalId};
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use platform::batch::{BATCH, RecvBatch, SendBatch};
use platform::icmp::{Returned, take_error};
use platform::socket::{UdpOptions, bind_udp};
use recent::Recent;
use source_memory::SourceMemory;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};

/// The longest datagram that is taken: what UDP can carry (RFC 3261 18.1.1 asks for 65,535 octets with the IP header).
pub const MAX_DATAGRAM: usize = 65_535;
/// Kernel buffer: some 2,000 REGISTERs of 1 KiB that wait, as the kernel counts (twice the octets asked for).
const KERNEL_BUFFER: usize = 2 << 20;
/// What every STUN message has after its first four octets (RFC 8489 5).
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// Datagrams taken from one socket before another source has its turn.
const DRAIN_LIMIT: usize = 2 * BATCH;
/// Errors without a known cause after which a turn does not try to receive any more.
const RECEIVE_ATTEMPTS: usize = 3;

/// One SIP UDP socket.
#[derive(Debug)]
pub struct UdpPort {
    local: LocalId,
    socket: UdpSocket,
    addr: SocketAddr,
    recent: Recent,
    /// Only for a socket that is bound to a wildcard.
    sources: Option<SourceMemory>,
}

impl UdpPort {
    /// Binds the socket of `config`. `property` names the address in errors.
    pub fn open(local: LocalId, config: &SipSocket, property: &str) -> Result<Self, StartError> {
        let shown = config.bind.ip().is_unspecified().then_some(config.addr.ip());
        Self::bind(local, config.bind, (shown, true), property)
    }

    /// Binds a protected port. ICMP is not heard there: it comes unprotected, so that anybody could end what is under way to a phone
    /// (RFC 4301 6.1).
    pub fn open_protected(local: LocalId, addr: SocketAddr, property: &str) -> Result<Self, StartError> {
        Self::bind(local, addr, (None, false), property)
    }

    /// `shown` is the address that datagrams are to leave from if `addr` is a wildcard; `errors` says whether ICMP is heard.
    fn bind(
        local: LocalId,
        addr: SocketAddr,
        (shown, errors): (Option<IpAddr>, bool),
        property: &str,
    ) -> Result<Self, StartError> {
        let options = UdpOptions { buffer: KERNEL_BUFFER, errors, local_address: shown.is_some() };
        let bind_error =
            |error| StartError::Bind { property: property.to_owned(), transport: "UDP", addr, error };
        let socket = bind_udp(addr, options).map_err(bind_error)?;
        let addr = socket.local_addr().map_err(StartError::system("read a socket's address"))?;
        let sources = shown.map(SourceMemory::new);
        Ok(UdpPort { local, socket, addr, recent: Recent::default(), sources })
    }

    /// Lets the poll watch the socket.
    pub fn register(&self, registry: &Registry) -> io::Result<()> {
        let token = Source::fixed(Kind::Udp, self.local.0.into()).token();
        registry.register(&mut SourceFd(&self.socket.as_raw_fd()), token, Interest::READABLE)
    }

    /// Its number, for tests.
    #[cfg(test)]
    pub fn local(&self) -> LocalId {
        self.local
    }

    /// The address that it is bound to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Gives the core what has come in, up to a limit. Whether there may be more.
    pub fn drain(&mut self, buffers: &mut RecvBatch, core: &mut Core, world: &mut World) -> bool {
        let (mut taken, mut failed) = (0, 0);
        while taken < DRAIN_LIMIT {
            match buffers.recv(self.socket.as_fd(), BATCH) {
                Ok(n) => {
                    taken += n;
                    self.deliver(buffers, core, world);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    // an ICMP error of an earlier datagram stands in the way once; its details are in the error queue
                    taken += 1;
                    if !self.take_errors(core, world) {
                        let text = format_args!("{}: receiving failed: {e}", self.addr);
                        world.trace(Layer::Sip, Level::Error, Subject::None, text);
                        failed += 1;
                        if failed == RECEIVE_ATTEMPTS {
                            return false; // until the next datagram comes
                        }
                    }
                }
            }
        }
        true
    }

    fn deliver(&mut self, buffers: &RecvBatch, core: &mut Core, world: &mut World) {
        for datagram in buffers.datagrams() {
            if datagram.truncated {
                let text = format_args!(
                    "datagram from {} dropped: longer than {MAX_DATAGRAM} octets",
                    datagram.from
                );
                world.trace(Layer::Sip, Level::Warn, Subject::None, text);
                continue;
            }
            let message = skip_line_ends(datagram.octets);
            if is_keep_alive(message) {
                continue;
            }
            if let (Some(sources), Some(to)) = (&mut self.sources, datagram.to) {
                sources.learn(datagram.from, to);
            }
            core.on_sip(&mut world.cx(), Flow::udp(self.local, datagram.from), message);
        }
    }

    /// Adds a message to a batch for this socket; `tag` is whom a failure concerns.
    pub fn push<'a>(&mut self, batch: &mut SendBatch<'a>, to: SocketAddr, octets: &'a [u8], tag: u64) {
        self.recent.add(to, tag);
        let source = self.sources.as_ref().and_then(|s| s.get(to));
        batch.push(to, source, octets);
    }

    /// Sends a batch. Each refused datagram is put in `failed` by its index.
    pub fn send(&mut self, batch: &mut SendBatch<'_>, mut failed: impl FnMut(usize, &io::Error)) {
        batch.send(self.socket.as_fd(), |index, _, error| failed(index, error));
    }

    /// Tells the core about datagrams that came back as ICMP errors. Whether there were any.
    pub fn take_errors(&mut self, core: &mut Core, world: &mut World) -> bool {
        let mut any = false;
        while let Some(Returned { to: remote, error, is_final }) = take_error(self.socket.as_fd()) {
            any = true;
            if !is_final {
                let text = format_args!("a datagram to {remote} was lost: {error}");
                world.trace(Layer::Sip, Level::Info, Subject::None, text);
                continue;
            }
            let text = format_args!("{remote} cannot be reached by UDP: {error}");
            world.trace(Layer::Sip, Level::Warn, Subject::None, text);
            // RFC 3261 18.4: a fatal ICMP error is a transport failure of what was sent there
            let flow = Flow::udp(self.local, remote);
            while let Some(tag) = self.recent.take(remote) {
                core.on_send_failed(&mut world.cx(), flow, tag);
            }
        }
        any
    }
}

/// RFC 3261 7.5: line ends before the start line are skipped.
fn skip_line_ends(octets: &[u8]) -> &[u8] {
    let start = octets.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(octets.len());
    &octets[start..]
}

/// Phones and their NAT helpers send nothing, line ends, zeros or STUN to keep a mapping open. None of it is answered: RFC 5626
/// 3.5.1 has line ends on streams only, and we do not offer STUN (4.4.2).
fn is_keep_alive(octets: &[u8]) -> bool {
    let is_blank = octets.len() <= 8 && octets.iter().all(|b| matches!(b, 0 | b' ' | b'\r' | b'\n'));
    is_blank || octets.get(4..8) == Some(&STUN_COOKIE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn icmp_is_heard_in_clear_and_not_at_a_protected_port() {
        let closed = UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).unwrap();
        let here: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let clear = UdpPort::open(LocalId(0), &SipSocket::new(here.ip(), 0), "sip_addr").unwrap();
        let protected = UdpPort::open_protected(LocalId(1), here, "ipsec_port_c").unwrap();
        for (mut port, hears) in [(clear, true), (protected, false)] {
            let mut batch = SendBatch::new();
            port.push(&mut batch, closed, b"hello", 7);
            port.send(&mut batch, |_, error| panic!("{error}"));
            assert_eq!(take_error(port.socket.as_fd()).is_some(), hears);
        }
    }

    #[test]
    fn keep_alives_are_told_from_messages() {
        for octets in [&b""[..], b"\r\n", b"\r\n\r\n", b"\0\0\0\0", b" "] {
            assert!(is_keep_alive(skip_line_ends(octets)), "{octets:?}");
        }
        let stun = [&[0, 1, 0, 0][..], &STUN_COOKIE, &[7; 12]].concat();
        assert!(is_keep_alive(&stun));
        assert!(!is_keep_alive(b"OPTIONS "));
        assert_eq!(skip_line_ends(b"\r\n\r\nOPTIONS"), b"OPTIONS");
    }
}
