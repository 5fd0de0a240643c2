//! SCTP by one-to-one sockets (RFC 6458 4): messages with stream and payload protocol, and what the kernel tells of an association.
//!
//! Numbers and structures are those of Linux' `<linux/sctp.h>`; no library is needed, only the kernel's module `sctp`.

use crate::addr::RawAddr;
use crate::socket::{bind, open_with};
use crate::sockopt;
use std::io;
use std::mem::size_of;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Options of the level `IPPROTO_SCTP`.
const SCTP_INITMSG: i32 = 2;
const SCTP_NODELAY: i32 = 3;
const SCTP_EVENTS: i32 = 11;
const SCTP_STATUS: i32 = 14;
/// Control message with which a message is sent.
const SCTP_SNDINFO: i32 = 2;
/// Flag of what the kernel says itself.
const MSG_NOTIFICATION: i32 = 0x8000;
/// Kinds of notifications.
const SCTP_ASSOC_CHANGE: u16 = 0x8001;
const SCTP_SHUTDOWN_EVENT: u16 = 0x8005;

/// Streams that we offer in each direction; the peer may want fewer.
const STREAMS: u16 = 16;

/// `struct sctp_initmsg`.
#[repr(C)]
struct InitMsg {
    out_streams: u16,
    max_in_streams: u16,
    max_attempts: u16,
    max_init_timeout: u16,
}

/// `struct sctp_sndinfo`.
#[derive(Clone, Copy)]
#[repr(C)]
struct SndInfo {
    stream: u16,
    flags: u16,
    /// In network order.
    protocol: u32,
    context: u32,
    association: i32,
}

/// `struct sctp_event_subscribe`, as far as we subscribe: data, association, address, send failure, peer error, shutdown.
type Events = [u8; 6];

/// What was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// Octets of a message, as many as this.
    Message {
        /// How many of the buffer.
        len: usize,
        /// Whether they are its last: a message longer than the buffer comes in parts.
        is_end: bool,
    },
    /// The kernel says something of the association.
    News(News),
    /// The peer has ended the association in order.
    End,
}

/// News of an association.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    /// It is up.
    Up,
    /// It is lost: the peer does not answer, or has broken it off.
    Lost,
    /// The peer has started anew, and it is up again.
    Restarted,
    /// The peer ends it in order; nothing more can be sent.
    ShuttingDown,
    /// It has ended in order.
    Ended,
    /// Something that changes nothing.
    Other,
}

/// Listens for associations.
pub fn listen(addr: SocketAddr, backlog: u16) -> io::Result<OwnedFd> {
    let fd = open(addr)?;
    sockopt::set(fd.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    bind(&fd, addr)?;
    // SAFETY: no memory is passed; the descriptor is open.
    if unsafe { libc::listen(fd.as_raw_fd(), i32::from(backlog)) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(fd)
}

/// The next association of a listener, with the peer's address. It has the listener's options.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let (mut raw, mut len) = (RawAddr::empty(), RawAddr::CAPACITY);
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the kernel writes at most `len` octets, the size of `raw`; both live through the call.
    let fd = unsafe { libc::accept4(listener.as_raw_fd(), (&raw mut raw).cast(), &raw mut len, flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor has just been opened and nobody else knows it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // the listener's subscription is for what comes after this: ours is set here, whatever the kernel hands down
    prepare(fd.as_fd())?;
    let remote = raw.get().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
    Ok((fd, remote))
}

/// Starts an association from `from` to `to`. It is up once [`News::Up`] says so, or the socket can be written.
pub fn connect(from: SocketAddr, to: SocketAddr) -> io::Result<OwnedFd> {
    let fd = open(to)?;
    bind(&fd, from)?;
    let (raw, len) = RawAddr::new(to);
    // SAFETY: pointer and length are those of `raw`, which lives through the call; the descriptor is open.
    if unsafe { libc::connect(fd.as_raw_fd(), (&raw const raw).cast(), len) } != 0 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINPROGRESS) {
            return Err(error);
        }
    }
    Ok(fd)
}

/// The address that a socket is bound to.
pub fn local_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let (mut raw, mut len) = (RawAddr::empty(), RawAddr::CAPACITY);
    // SAFETY: the kernel writes at most `len` octets, the size of `raw`; both live through the call.
    let rc = unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut raw).cast(), &raw mut len) };
    if rc != 0 {
        return Err(io::Error::last_os_error());
    }
    raw.get().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// How many streams lead from us to the peer.
pub fn streams(fd: BorrowedFd<'_>) -> io::Result<u16> {
    // `struct sctp_status` has 176 octets; the number of outgoing streams stands at the 18th
    const OUT_STREAMS: usize = 18;
    let (mut status, mut len) = ([0u8; 256], 256 as libc::socklen_t);
    // SAFETY: the kernel writes at most `len` octets, the size of `status`; both live through the call.
    let rc = unsafe {
        let value = status.as_mut_ptr().cast();
        libc::getsockopt(fd.as_raw_fd(), libc::IPPROTO_SCTP, SCTP_STATUS, value, &raw mut len)
    };
    if rc != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u16::from_ne_bytes([status[OUT_STREAMS], status[OUT_STREAMS + 1]]))
}

/// Reads the next message, or a part of it, or news. `WouldBlock`: there is nothing.
pub fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all-zero is a valid msghdr: null pointers and zero lengths.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
    // SAFETY: the header points at `part`, and that at `buffer`, which both live through the call.
    let read = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, 0) };
    let Ok(len) = usize::try_from(read) else { return Err(io::Error::last_os_error()) };
    if header.msg_flags & MSG_NOTIFICATION != 0 {
        return Ok(Received::News(news(&buffer[..len])));
    }
    if len == 0 {
        return Ok(Received::End);
    }
    Ok(Received::Message { len, is_end: header.msg_flags & libc::MSG_EOR != 0 })
}

/// Sends one message on a stream. `WouldBlock`: the peer does not read, it was not sent.
pub fn send(fd: BorrowedFd<'_>, octets: &[u8], stream: u16, protocol: u32) -> io::Result<()> {
    let info = SndInfo { stream, flags: 0, protocol: protocol.to_be(), context: 0, association: 0 };
    let mut control = Control([0; CONTROL]);
    let mut part = libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
    // SAFETY: all-zero is a valid msghdr: null pointers and zero lengths.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL as _;
    // SAFETY: the header points at CONTROL writable octets aligned to 8, which is CMSG_SPACE of SndInfo's 16, so that the first
    // control message and its data lie inside.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(&raw const header);
        (*message).cmsg_level = libc::IPPROTO_SCTP;
        (*message).cmsg_type = SCTP_SNDINFO;
        (*message).cmsg_len = libc::CMSG_LEN(size_of::<SndInfo>() as u32) as _;
        libc::CMSG_DATA(message).cast::<SndInfo>().write_unaligned(info);
    }
    // SAFETY: the header points at `part`, that at `octets`, which sendmsg only reads, and at `control`; all live through the call.
    let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether the error says that the kernel has no SCTP.
pub fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EPROTONOSUPPORT | libc::ESOCKTNOSUPPORT | libc::EAFNOSUPPORT | libc::EPROTOTYPE)
    )
}

/// Room for one control message with an [`SndInfo`]: `CMSG_SPACE(16)`.
const CONTROL: usize = 32;

/// That room, aligned as `cmsghdr` wants.
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

fn open(addr: SocketAddr) -> io::Result<OwnedFd> {
    let fd = open_with(addr, libc::SOCK_STREAM, libc::IPPROTO_SCTP)?;
    let streams = InitMsg { out_streams: STREAMS, max_in_streams: 64, max_attempts: 0, max_init_timeout: 0 };
    set(fd.as_fd(), SCTP_INITMSG, &streams)?;
    prepare(fd.as_fd())?;
    Ok(fd)
}

/// Small messages leave at once, and the kernel tells what becomes of the association.
fn prepare(fd: BorrowedFd<'_>) -> io::Result<()> {
    sockopt::set(fd, libc::IPPROTO_SCTP, SCTP_NODELAY, 1)?;
    let events: Events = [0, 1, 0, 0, 0, 1];
    set(fd, SCTP_EVENTS, &events)
}

fn set<T>(fd: BorrowedFd<'_>, name: i32, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: pointer and length are those of `value`, which lives through the call; the descriptor is open.
    let rc = unsafe {
        let value = (&raw const *value).cast();
        libc::setsockopt(fd.as_raw_fd(), libc::IPPROTO_SCTP, name, value, len)
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads `union sctp_notification`: type, flags and length, then for a change of the association its state.
fn news(octets: &[u8]) -> News {
    let number = |at: usize| octets.get(at..at + 2).map(|o| u16::from_ne_bytes([o[0], o[1]]));
    match (number(0), number(8)) {
        (Some(SCTP_ASSOC_CHANGE), Some(0)) => News::Up,
        (Some(SCTP_ASSOC_CHANGE), Some(2)) => News::Restarted,
        (Some(SCTP_ASSOC_CHANGE), Some(3)) => News::Ended,
        (Some(SCTP_ASSOC_CHANGE), Some(_)) => News::Lost,
        (Some(SCTP_SHUTDOWN_EVENT), _) => News::ShuttingDown,
        _ => News::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_kernels_sizes_and_room() {
        assert_eq!((size_of::<InitMsg>(), size_of::<SndInfo>(), size_of::<Events>()), (8, 16, 6));
        // SAFETY: CMSG_SPACE computes with its argument only.
        assert_eq!(unsafe { libc::CMSG_SPACE(16) } as usize, CONTROL);
    }

    #[test]
    fn news_are_read_by_type_and_state() {
        let change = |state: u16| {
            let head = [SCTP_ASSOC_CHANGE.to_ne_bytes(), [0, 0], [20, 0], [0, 0], state.to_ne_bytes()];
            news(&[&head.concat()[..], &[0; 10]].concat())
        };
        let states = [News::Up, News::Lost, News::Restarted, News::Ended, News::Lost];
        assert_eq!([0, 1, 2, 3, 4].map(change), states);
        assert_eq!(news(&SCTP_SHUTDOWN_EVENT.to_ne_bytes()), News::ShuttingDown);
        assert_eq!((news(&[]), news(&[2, 0x80, 0, 0])), (News::Other, News::Other));
    }

    /// Waits for what comes: there is no clock in it, a guest is slow.
    fn wait(fd: &OwnedFd, buffer: &mut [u8]) -> Received {
        loop {
            match receive(fd.as_fd(), buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                other => return other.unwrap(),
            }
        }
    }

    /// On a kernel without SCTP what the error says is all that can be seen.
    fn listener(addr: &str) -> Option<OwnedFd> {
        match listen(addr.parse().unwrap(), 5) {
            Ok(fd) => Some(fd),
            Err(e) => {
                assert!(is_unsupported(&e), "{e}");
                None
            }
        }
    }

    #[test]
    fn messages_keep_their_bounds_and_news_tell_the_beginning_and_the_end() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Some(listener) = listener(host) else { return };
            let addr = local_addr(listener.as_fd()).unwrap();
            assert_eq!(accept(listener.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            let client = connect(host.parse().unwrap(), addr).unwrap();
            let mut buffer = [0; 64];
            assert_eq!(wait(&client, &mut buffer), Received::News(News::Up));
            let (server, remote) = loop {
                match accept(listener.as_fd()) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                    other => break other.unwrap(),
                }
            };
            assert_eq!(remote, local_addr(client.as_fd()).unwrap());
            assert_eq!(streams(server.as_fd()).unwrap(), STREAMS);
            send(client.as_fd(), b"one", 0, 0).unwrap();
            send(client.as_fd(), &[7; 100], 0, 0).unwrap();
            let mut next = || loop {
                match wait(&server, &mut buffer) {
                    Received::News(News::Up) => {}
                    other => return other,
                }
            };
            assert_eq!(next(), Received::Message { len: 3, is_end: true });
            assert_eq!(next(), Received::Message { len: 64, is_end: false });
            assert_eq!(next(), Received::Message { len: 36, is_end: true });
            send(server.as_fd(), b"answer", 3, 0).unwrap();
            assert_eq!(wait(&client, &mut buffer), Received::Message { len: 6, is_end: true });
            assert_eq!(&buffer[..6], b"answer");
            drop(server);
            let mut end = wait(&client, &mut buffer);
            while matches!(end, Received::News(News::ShuttingDown | News::Ended)) {
                end = wait(&client, &mut buffer);
            }
            assert_eq!(end, Received::End);
        }
    }
}
