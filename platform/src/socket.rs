//! IPv4 and IPv6 sockets with the options that std cannot set, all non-blocking and close-on-exec.
//!
//! IPv6 sockets never take IPv4 (`IPV6_V6ONLY`), so that `0.0.0.0` and `::` can be bound side by side.

use crate::addr::RawAddr;
use crate::sockopt;
use std::io;
use std::mem::size_of;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// What a UDP socket is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UdpOptions {
    /// Octets asked for in each kernel buffer; the kernel caps them (`net.core.rmem_max`) without CAP_NET_ADMIN.
    pub buffer: usize,
    /// Whether ICMP errors come back, see [`crate::icmp`].
    pub errors: bool,
    /// Whether each datagram tells the address it came to, see [`crate::batch`]. For wildcard binds.
    pub local_address: bool,
}

/// Binds a UDP socket. Long datagrams are fragmented rather than refused, whatever path MTU the kernel has learnt.
pub fn bind_udp(addr: SocketAddr, options: UdpOptions) -> io::Result<UdpSocket> {
    let fd = open(addr, libc::SOCK_DGRAM)?;
    let buffer = i32::try_from(options.buffer).unwrap_or(i32::MAX);
    for (forced, capped) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)]
    {
        // only a program that may administer the network gets what it asks for
        if sockopt::set(fd.as_fd(), libc::SOL_SOCKET, forced, buffer).is_err() {
            sockopt::set(fd.as_fd(), libc::SOL_SOCKET, capped, buffer)?;
        }
    }
    let (errors, local_address) = (i32::from(options.errors), i32::from(options.local_address));
    match addr {
        SocketAddr::V4(_) => {
            sockopt::set(fd.as_fd(), libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)?;
            sockopt::set(fd.as_fd(), libc::IPPROTO_IP, libc::IP_RECVERR, errors)?;
            sockopt::set(fd.as_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO, local_address)?;
        }
        SocketAddr::V6(_) => {
            sockopt::set(fd.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVERR, errors)?;
            sockopt::set(fd.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, local_address)?;
        }
    }
    bind(&fd, addr)?;
    Ok(UdpSocket::from(fd))
}

/// Listens for TCP connections, also while connections of an earlier run linger (`SO_REUSEADDR`).
pub fn listen_tcp(addr: SocketAddr, backlog: u16) -> io::Result<TcpListener> {
    let fd = open(addr, libc::SOCK_STREAM)?;
    sockopt::set(fd.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    bind(&fd, addr)?;
    // SAFETY: no memory is passed; the descriptor is open.
    if unsafe { libc::listen(fd.as_raw_fd(), i32::from(backlog)) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(TcpListener::from(fd))
}

/// Starts a TCP connection from `from` (port 0: any port) to `to`. It is up, or has failed (`TcpStream::take_error`), once the
/// stream is writable. Connections to different peers may start from the same port, while nobody listens there.
pub fn connect_tcp(from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let fd = open(to, libc::SOCK_STREAM)?;
    if from.is_ipv4() == to.is_ipv4() && !(from.ip().is_unspecified() && from.port() == 0) {
        // the port is then chosen at connect, unique per peer instead of per host
        sockopt::set(fd.as_fd(), libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
        if from.port() != 0 {
            sockopt::set(fd.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
        }
        bind(&fd, from)?;
    }
    let (raw, len) = RawAddr::new(to);
    // SAFETY: pointer and length are those of `raw`, which lives through the call; the descriptor is open.
    if unsafe { libc::connect(fd.as_raw_fd(), (&raw const raw).cast(), len) } != 0 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINPROGRESS) {
            return Err(error);
        }
    }
    Ok(TcpStream::from(fd))
}

/// Whether connections can be opened from the address and port: nobody listens there. They share it with each other.
pub fn check_connect_from(addr: SocketAddr) -> io::Result<()> {
    let fd = open(addr, libc::SOCK_STREAM)?;
    sockopt::set(fd.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    bind(&fd, addr)
}

/// Lets the connection end at once when it is closed (RST): what was not sent is forgotten, nothing is repeated, and its ports may
/// be used again.
pub fn set_abortive(fd: BorrowedFd<'_>) -> io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let len = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: pointer and length are those of `linger`, which lives through the call; the descriptor is open.
    let rc = unsafe {
        let value = (&raw const linger).cast();
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, value, len)
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Lets the kernel probe an idle connection after `idle` and close it after `count` probes went unanswered, one every tenth of
/// `idle` (a second at least). Nothing is sent when `idle` is zero.
pub fn set_keepalive(fd: BorrowedFd<'_>, idle: Duration, count: u32) -> io::Result<()> {
    if idle.is_zero() {
        return sockopt::set(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 0);
    }
    // the kernel's own upper bounds are 32,767 s, 32,767 s and 127
    let idle_secs = i32::try_from(idle.as_secs()).unwrap_or(i32::MAX).clamp(1, 32_767);
    let count = i32::try_from(count).unwrap_or(i32::MAX).clamp(1, 127);
    sockopt::set(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    sockopt::set(fd, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, idle_secs)?;
    sockopt::set(fd, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, (idle_secs / 10).max(1))?;
    sockopt::set(fd, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, count)
}

/// Whether the process (EMFILE) or the machine (ENFILE) has no descriptor left.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Whether the kernel has no memory or no room in a queue just now: what was to be sent is lost as on the way, and more of it
/// may go through later. An `ENOBUFS` of a full device queue is told to sockets that ask for ICMP errors only.
pub fn is_congestion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM))
}

/// Octets that the kernel's receive buffer holds, its own bookkeeping included.
pub fn receive_buffer(fd: BorrowedFd<'_>) -> io::Result<usize> {
    Ok(sockopt::get(fd, libc::SOL_SOCKET, libc::SO_RCVBUF)? as usize)
}

fn open(addr: SocketAddr, kind: i32) -> io::Result<OwnedFd> {
    open_with(addr, kind, 0)
}

/// A socket of the address's family, of this kind and protocol.
pub(crate) fn open_with(addr: SocketAddr, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: no memory is passed.
    let fd = unsafe { libc::socket(family, kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, protocol) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor has just been opened and nobody else knows it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    if addr.is_ipv6() {
        sockopt::set(fd.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    }
    Ok(fd)
}

/// Binds a socket.
pub(crate) fn bind(fd: &OwnedFd, addr: SocketAddr) -> io::Result<()> {
    let (raw, len) = RawAddr::new(addr);
    // SAFETY: pointer and length are those of `raw`, which lives through the call; the descriptor is open.
    let rc = unsafe { libc::bind(fd.as_raw_fd(), (&raw const raw).cast(), len) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: UdpOptions = UdpOptions { buffer: 64 * 1024, errors: false, local_address: false };

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn udp_buffers_are_sized_and_fragments_allowed() {
        let socket = bind_udp(addr("127.0.0.1:0"), OPTIONS).unwrap();
        assert!(receive_buffer(socket.as_fd()).unwrap() >= 64 * 1024);
        let mtu = sockopt::get(socket.as_fd(), libc::IPPROTO_IP, libc::IP_MTU_DISCOVER).unwrap();
        assert_eq!(mtu, libc::IP_PMTUDISC_DONT);
        let error = socket.recv_from(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_full_queue_is_congestion_and_a_closed_port_is_not() {
        let is = |code| is_congestion(&io::Error::from_raw_os_error(code));
        assert!([libc::EAGAIN, libc::ENOBUFS, libc::ENOMEM].into_iter().all(is));
        assert!(![libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::EMSGSIZE, libc::EPERM].into_iter().any(is));
    }

    #[test]
    fn a_port_in_use_is_an_error() {
        let first = bind_udp(addr("127.0.0.1:0"), OPTIONS).unwrap();
        let again = bind_udp(first.local_addr().unwrap(), OPTIONS).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
        let first = listen_tcp(addr("127.0.0.1:0"), 8).unwrap();
        let again = listen_tcp(first.local_addr().unwrap(), 8).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn both_families_share_a_port() {
        let v6 = bind_udp(addr("[::]:0"), OPTIONS).unwrap();
        let port = v6.local_addr().unwrap().port();
        // another test may hold the IPv4 port by chance; what matters is that the IPv6 socket alone never blocks it
        let v6_only = sockopt::get(v6.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY).unwrap();
        assert_eq!((v6_only, port != 0), (1, true));
    }

    #[test]
    fn a_connection_starts_from_the_bound_address() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let listener = listen_tcp(addr(host), 8).unwrap();
            listener.set_nonblocking(false).unwrap();
            let stream = connect_tcp(addr(host), listener.local_addr().unwrap()).unwrap();
            let (_, from) = listener.accept().unwrap();
            assert_eq!(from, stream.local_addr().unwrap());
            assert_eq!(from.ip(), addr(host).ip());
        }
    }

    #[test]
    fn connections_to_different_peers_share_a_port_that_nobody_listens_at() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let listeners = [(); 2].map(|()| listen_tcp(addr(host), 8).unwrap());
            let held = bind_udp(addr(host), OPTIONS).unwrap();
            let from = held.local_addr().unwrap();
            check_connect_from(from).unwrap();
            let connect = |l: &TcpListener| {
                l.set_nonblocking(false).unwrap();
                let stream = connect_tcp(from, l.local_addr().unwrap()).unwrap();
                (stream, l.accept().unwrap())
            };
            let up = listeners.each_ref().map(connect);
            assert!(up.iter().all(|(_, (_, peer))| *peer == from));
            let again = connect_tcp(from, listeners[0].local_addr().unwrap()).unwrap_err();
            assert_eq!(again.kind(), io::ErrorKind::AddrNotAvailable, "to the same peer there is one");
            let taken = check_connect_from(listeners[1].local_addr().unwrap()).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        }
    }

    #[test]
    fn an_aborted_connection_leaves_its_ports_free_at_once() {
        let listener = listen_tcp(addr("127.0.0.1:0"), 8).unwrap();
        listener.set_nonblocking(false).unwrap();
        let held = bind_udp(addr("127.0.0.1:0"), OPTIONS).unwrap();
        let (from, to) = (held.local_addr().unwrap(), listener.local_addr().unwrap());
        for _ in 0..3 {
            let ours = connect_tcp(from, to).unwrap();
            let (mut theirs, _) = listener.accept().unwrap();
            set_abortive(ours.as_fd()).unwrap();
            drop(ours);
            let error = io::Read::read(&mut theirs, &mut [0; 1]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
    }

    #[test]
    fn keepalive_options_reach_the_kernel() {
        let listener = listen_tcp(addr("127.0.0.1:0"), 8).unwrap();
        let stream = connect_tcp(addr("0.0.0.0:0"), listener.local_addr().unwrap()).unwrap();
        let get = |name| sockopt::get(stream.as_fd(), libc::IPPROTO_TCP, name).unwrap();
        set_keepalive(stream.as_fd(), Duration::from_secs(900), 2).unwrap();
        assert_eq!((get(libc::TCP_KEEPIDLE), get(libc::TCP_KEEPINTVL), get(libc::TCP_KEEPCNT)), (900, 90, 2));
        set_keepalive(stream.as_fd(), Duration::from_secs(1_000_000), 1000).unwrap();
        assert_eq!((get(libc::TCP_KEEPIDLE), get(libc::TCP_KEEPCNT)), (32_767, 127));
        set_keepalive(stream.as_fd(), Duration::ZERO, 2).unwrap();
        let on = sockopt::get(stream.as_fd(), libc::SOL_SOCKET, libc::SO_KEEPALIVE).unwrap();
        assert_eq!(on, 0);
    }
}
