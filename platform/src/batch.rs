//! Batches of datagrams: one `recvmmsg` in, one `sendmmsg` out, no allocation after construction.
//!
//! What came in can go out from the same octets: a [`SendBatch`] borrows from the [`RecvBatch`].

use crate::addr::RawAddr;
use crate::cmsg::{self, Control};
use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null_mut;

/// Most datagrams of one batch.
pub const BATCH: usize = 32;

/// One received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// The address it was sent to, when the socket asks for it (`UdpOptions::local_address`).
    pub to: Option<IpAddr>,
    /// Its octets.
    pub octets: &'a [u8],
    /// Whether it was longer than the buffer, and is cut.
    pub truncated: bool,
}

#[derive(Clone, Copy)]
struct Meta {
    from: Option<SocketAddr>,
    to: Option<IpAddr>,
    len: usize,
    truncated: bool,
}

/// The buffers of a receiver.
pub struct RecvBatch {
    octets: Box<[u8]>,
    slot_len: usize,
    meta: Box<[Meta]>,
    received: usize,
}

impl std::fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecvBatch({} x {}, {} received)", self.meta.len(), self.slot_len, self.received)
    }
}

impl RecvBatch {
    /// Buffers for `slots` datagrams (at most [`BATCH`]) of `slot_len` octets each.
    pub fn new(slots: usize, slot_len: usize) -> Self {
        let slots = slots.clamp(1, BATCH);
        let meta = Meta { from: None, to: None, len: 0, truncated: false };
        RecvBatch {
            octets: vec![0; slots * slot_len].into_boxed_slice(),
            slot_len,
            meta: vec![meta; slots].into_boxed_slice(),
            received: 0,
        }
    }

    /// How many datagrams one [`RecvBatch::recv`] can take.
    pub fn slots(&self) -> usize {
        self.meta.len()
    }

    /// Receives up to [`RecvBatch::slots`] datagrams and returns how many, at least one. `WouldBlock`: there is none. An
    /// asynchronous error of the socket (ICMP) comes as an error too, once.
    pub fn recv(&mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        self.received = 0;
        let mut names = [RawAddr::empty(); BATCH];
        let mut controls = [Control::empty(); BATCH];
        // SAFETY: iovec and mmsghdr are plain integers and pointers, for which all-zero is valid.
        let (mut iovecs, mut headers): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) = unsafe { zeroed() };
        let slots = self.meta.len();
        let chunks = self.octets.chunks_exact_mut(self.slot_len.max(1));
        for ((((chunk, name), control), iovec), header) in
            chunks.zip(&mut names).zip(&mut controls).zip(&mut iovecs).zip(&mut headers).take(slots)
        {
            *iovec = libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: chunk.len() };
            let header = &mut header.msg_hdr;
            header.msg_name = (&raw mut *name).cast();
            header.msg_namelen = RawAddr::CAPACITY;
            header.msg_iov = iovec;
            header.msg_iovlen = 1;
            control.attach(header);
        }
        // SAFETY: the first `slots` headers point at names, controls, iovecs and buffers of the lengths they state, all of which
        // live and stay in place until the end of this function; the rest of the headers is not counted in.
        let n = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                headers.as_mut_ptr(),
                slots as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                null_mut(),
            )
        };
        let n = usize::try_from(n).map_err(|_| io::Error::last_os_error())?;
        for ((meta, header), name) in self.meta.iter_mut().zip(&headers).zip(&names).take(n) {
            *meta = Meta {
                from: name.get(),
                // SAFETY: recvmmsg has filled this header, and its control buffer is still in `controls`.
                to: unsafe { cmsg::destination(&header.msg_hdr) },
                len: (header.msg_len as usize).min(self.slot_len),
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            };
        }
        self.received = n;
        Ok(n)
    }

    /// The datagrams of the last [`RecvBatch::recv`], in order of arrival.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.octets.chunks_exact(self.slot_len.max(1)).zip(&self.meta).take(self.received).filter_map(
            |(octets, m)| {
                let octets = &octets[..m.len];
                Some(Datagram { from: m.from?, to: m.to, octets, truncated: m.truncated })
            },
        )
    }
}

/// Datagrams to be sent, borrowed from wherever they lie.
pub struct SendBatch<'a> {
    names: [(RawAddr, libc::socklen_t); BATCH],
    sources: [Option<IpAddr>; BATCH],
    octets: [&'a [u8]; BATCH],
    len: usize,
}

impl std::fmt::Debug for SendBatch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SendBatch({})", self.len)
    }
}

impl Default for SendBatch<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> SendBatch<'a> {
    /// An empty batch.
    pub fn new() -> Self {
        SendBatch {
            names: [(RawAddr::empty(), 0); BATCH],
            sources: [None; BATCH],
            octets: [&[]; BATCH],
            len: 0,
        }
    }

    /// How many datagrams there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no datagram.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether there is no room.
    pub fn is_full(&self) -> bool {
        self.len == BATCH
    }

    /// Adds a datagram to `to`, from the address `source` if that is given (for sockets bound to a wildcard).
    ///
    /// # Panics
    /// When the batch [is full](Self::is_full).
    pub fn push(&mut self, to: SocketAddr, source: Option<IpAddr>, octets: &'a [u8]) {
        assert!(self.len < BATCH, "the caller sends a full batch before it adds to it");
        self.names[self.len] = RawAddr::new(to);
        self.sources[self.len] = source;
        self.octets[self.len] = octets;
        self.len += 1;
    }

    /// Forgets all datagrams.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Sends all datagrams and empties the batch. What the kernel refuses is given to `failed`, index and octets, and the rest is
    /// tried none the less, save after `WouldBlock`: then all that is left is given to `failed`.
    ///
    /// A pending asynchronous error of the socket (ICMP, see [`crate::icmp`]) makes the kernel refuse one datagram that has
    /// nothing to do with it, so that each refusal is tried a second time.
    pub fn send(&mut self, fd: BorrowedFd<'_>, mut failed: impl FnMut(usize, &[u8], &io::Error)) {
        let (mut next, mut retried) = (0, None);
        while next < self.len {
            match self.send_from(fd, next) {
                Ok(n) => next += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    (next..self.len).for_each(|i| failed(i, self.octets[i], &e));
                    break;
                }
                Err(_) if retried != Some(next) => retried = Some(next),
                Err(e) => {
                    failed(next, self.octets[next], &e);
                    next += 1;
                }
            }
        }
        self.len = 0;
    }

    /// One `sendmmsg` of the datagrams from `first` on; how many were taken.
    fn send_from(&mut self, fd: BorrowedFd<'_>, first: usize) -> io::Result<usize> {
        let mut controls = [Control::empty(); BATCH];
        // SAFETY: iovec and mmsghdr are plain integers and pointers, for which all-zero is valid.
        let (mut iovecs, mut headers): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) = unsafe { zeroed() };
        let count = self.len - first;
        for i in 0..count {
            let octets = self.octets[first + i];
            // the kernel only reads through this pointer
            iovecs[i] = libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
            let (name, name_len) = &mut self.names[first + i];
            let header = &mut headers[i].msg_hdr;
            header.msg_name = (&raw mut *name).cast();
            header.msg_namelen = *name_len;
            header.msg_iov = &raw mut iovecs[i];
            header.msg_iovlen = 1;
            if let Some(source) = self.sources[first + i] {
                controls[i].attach_source(header, source);
            }
        }
        // SAFETY: the first `count` headers point at names, controls, iovecs and octets of the lengths they state, all of which
        // live and stay in place until the end of this function; sendmmsg writes to the headers only.
        let n = unsafe {
            libc::sendmmsg(
                fd.as_raw_fd(),
                headers.as_mut_ptr(),
                count as libc::c_uint,
                (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
            )
        };
        usize::try_from(n).map_err(|_| io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::{UdpOptions, bind_udp};
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    fn socket(host: &str, local_address: bool) -> UdpSocket {
        let options = UdpOptions { buffer: 1 << 20, errors: false, local_address };
        bind_udp(SocketAddr::new(host.parse().unwrap(), 0), options).unwrap()
    }

    fn send_all(batch: &mut SendBatch<'_>, socket: &UdpSocket) {
        batch.send(socket.as_fd(), |i, _, e| panic!("datagram {i}: {e}"));
    }

    #[test]
    fn a_batch_arrives_whole_and_in_order() {
        for host in ["127.0.0.1", "::1"] {
            let (a, b) = (socket(host, false), socket(host, false));
            let payloads: Vec<Vec<u8>> = (0..BATCH).map(|i| vec![i as u8; i * 7]).collect();
            let mut out = SendBatch::new();
            payloads.iter().for_each(|p| out.push(b.local_addr().unwrap(), None, p));
            assert!(out.is_full());
            send_all(&mut out, &a);
            assert!(out.is_empty());
            let mut batch = RecvBatch::new(BATCH, 2048);
            assert_eq!(batch.recv(b.as_fd()).unwrap(), BATCH, "an empty datagram is one too");
            for (d, payload) in batch.datagrams().zip(&payloads) {
                assert_eq!(
                    (d.octets, d.from, d.to, d.truncated),
                    (&payload[..], a.local_addr().unwrap(), None, false)
                );
            }
            assert_eq!(batch.recv(b.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            assert_eq!(batch.datagrams().count(), 0);
        }
    }

    #[test]
    fn what_came_in_goes_back_out_of_the_same_octets() {
        let (phone, server) = (socket("127.0.0.1", false), socket("127.0.0.1", false));
        for text in ["one", "two", "three"] {
            phone.send_to(text.as_bytes(), server.local_addr().unwrap()).unwrap();
        }
        let mut batch = RecvBatch::new(BATCH, 2048);
        assert_eq!(batch.recv(server.as_fd()).unwrap(), 3);
        let mut out = SendBatch::new();
        batch.datagrams().for_each(|d| out.push(d.from, None, d.octets));
        send_all(&mut out, &server);
        let mut echo = RecvBatch::new(BATCH, 2048);
        echo.recv(phone.as_fd()).unwrap();
        let texts: Vec<_> = echo.datagrams().map(|d| d.octets).collect();
        assert_eq!(texts, [&b"one"[..], b"two", b"three"]);
    }

    #[test]
    fn a_datagram_longer_than_its_slot_is_marked() {
        let (a, b) = (socket("127.0.0.1", false), socket("127.0.0.1", false));
        a.send_to(&[7; 17], b.local_addr().unwrap()).unwrap();
        let mut batch = RecvBatch::new(4, 16);
        batch.recv(b.as_fd()).unwrap();
        let d = batch.datagrams().next().unwrap();
        assert_eq!((d.octets, d.truncated), (&[7; 16][..], true));
    }

    #[test]
    fn a_wildcard_socket_learns_and_chooses_its_local_address() {
        for (wildcard, ours, host) in [("0.0.0.0", "127.0.0.5", "127.0.0.1"), ("::", "::1", "::1")] {
            let (server, phone) = (socket(wildcard, true), socket(host, false));
            let ours: IpAddr = ours.parse().unwrap();
            let target = SocketAddr::new(ours, server.local_addr().unwrap().port());
            phone.send_to(b"hello", target).unwrap();
            let mut batch = RecvBatch::new(4, 64);
            batch.recv(server.as_fd()).unwrap();
            let d = batch.datagrams().next().unwrap();
            assert_eq!(d.to, Some(ours));
            let mut out = SendBatch::new();
            out.push(d.from, d.to, b"answer");
            send_all(&mut out, &server);
            assert_eq!(phone.recv_from(&mut [0; 16]).unwrap(), (6, target));
        }
    }

    #[test]
    fn a_refused_datagram_does_not_stop_the_others() {
        let (a, b) = (socket("127.0.0.1", false), socket("127.0.0.1", false));
        let to = b.local_addr().unwrap();
        let too_long = vec![0; 70_000];
        let mut out = SendBatch::new();
        for octets in [&b"first"[..], &too_long, b"last"] {
            out.push(to, None, octets);
        }
        let mut failures = Vec::new();
        out.send(a.as_fd(), |i, octets, e| failures.push((i, octets.len(), e.raw_os_error())));
        assert_eq!(failures, [(1, 70_000, Some(libc::EMSGSIZE))]);
        let mut batch = RecvBatch::new(4, 64);
        assert_eq!(batch.recv(b.as_fd()).unwrap(), 2);
    }
}
