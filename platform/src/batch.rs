//! Batches of datagrams: one `recvmmsg` in, one `sendmmsg` out, no allocation after construction.
//!
//! What came in can go out from the same octets: a [`SendBatch`] borrows from the [`RecvBatch`].

use crate::addr::RawAddr;
use crate::cmsg::{self, Control};
use std::io;
use std::mem::{MaybeUninit, zeroed};
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

    /// Receives up to `most` datagrams, and no more than [`RecvBatch::slots`], and returns how many, at least one. Fewer than
    /// asked for: there are no more, or an error waits. `WouldBlock`: there is none. An asynchronous error of the socket (ICMP)
    /// comes as an error too, once.
    pub fn recv(&mut self, fd: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
        self.received = 0;
        let mut names = [const { MaybeUninit::<RawAddr>::uninit() }; BATCH];
        let mut controls = [const { MaybeUninit::<Control>::uninit() }; BATCH];
        let mut iovecs = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
        let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
        let slots = most.clamp(1, self.meta.len());
        let chunks = self.octets.chunks_exact_mut(self.slot_len.max(1));
        for ((((chunk, name), control), iovec), header) in
            chunks.zip(&mut names).zip(&mut controls).zip(&mut iovecs).zip(&mut headers).take(slots)
        {
            let iovec =
                iovec.write(libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: chunk.len() });
            let header = header.write(empty_header());
            header.msg_hdr.msg_name = (&raw mut *name.write(RawAddr::empty())).cast();
            header.msg_hdr.msg_namelen = RawAddr::CAPACITY;
            header.msg_hdr.msg_iov = iovec;
            header.msg_hdr.msg_iovlen = 1;
            control.write(Control::empty()).attach(&mut header.msg_hdr);
        }
        // SAFETY: the first `slots` headers are initialised and point at names, controls, iovecs and buffers of the lengths they
        // state, all of which live and stay in place until the end of this function; the other headers are not counted in.
        let n = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                headers.as_mut_ptr().cast(),
                slots as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                null_mut(),
            )
        };
        let n = usize::try_from(n).map_err(|_| io::Error::last_os_error())?;
        for ((meta, header), name) in self.meta.iter_mut().zip(&headers).zip(&names).take(n.min(slots)) {
            // SAFETY: the first `slots` headers and names were initialised above, and recvmmsg has only overwritten them.
            let (header, name) = unsafe { (header.assume_init_ref(), name.assume_init_ref()) };
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

/// One datagram to be sent.
#[derive(Clone, Copy)]
struct Outgoing<'a> {
    to: SocketAddr,
    source: Option<IpAddr>,
    octets: &'a [u8],
}

/// Datagrams to be sent, borrowed from wherever they lie.
pub struct SendBatch<'a> {
    /// The first `len` are initialised.
    items: [MaybeUninit<Outgoing<'a>>; BATCH],
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
        SendBatch { items: [const { MaybeUninit::uninit() }; BATCH], len: 0 }
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
        self.items[self.len].write(Outgoing { to, source, octets });
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
        // SAFETY: the first `len` items are initialised: each was written before `len` was raised over it.
        let items = unsafe { &*(&raw const self.items[..self.len] as *const [Outgoing<'_>]) };
        self.len = 0;
        let (mut next, mut retried) = (0, None);
        while next < items.len() {
            match send_some(fd, &items[next..]) {
                Ok(n) => next += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    (next..items.len()).for_each(|i| failed(i, items[i].octets, &e));
                    break;
                }
                Err(_) if retried != Some(next) => retried = Some(next),
                Err(e) => {
                    failed(next, items[next].octets, &e);
                    next += 1;
                }
            }
        }
    }
}

/// Hands datagrams, at least one, to the kernel; how many it took.
fn send_some(fd: BorrowedFd<'_>, items: &[Outgoing<'_>]) -> io::Result<usize> {
    match items {
        [Outgoing { to, source: None, octets }] => send_one(fd, *to, octets).map(|()| 1),
        _ => send_many(fd, items),
    }
}

/// The short way for what is most common: one packet of a stream.
fn send_one(fd: BorrowedFd<'_>, to: SocketAddr, octets: &[u8]) -> io::Result<()> {
    let (name, name_len) = RawAddr::new(to);
    // SAFETY: both pointers and lengths are those of `octets` and `name`, which live through the call and are only read.
    let rc = unsafe {
        libc::sendto(
            fd.as_raw_fd(),
            octets.as_ptr().cast(),
            octets.len(),
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            (&raw const name).cast(),
            name_len,
        )
    };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn send_many(fd: BorrowedFd<'_>, items: &[Outgoing<'_>]) -> io::Result<usize> {
    let mut names = [const { MaybeUninit::<RawAddr>::uninit() }; BATCH];
    let mut controls = [const { MaybeUninit::<Control>::uninit() }; BATCH];
    let mut iovecs = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
    let count = items.len().min(BATCH);
    for ((((item, name), control), iovec), header) in
        items.iter().zip(&mut names).zip(&mut controls).zip(&mut iovecs).zip(&mut headers)
    {
        let (raw, name_len) = RawAddr::new(item.to);
        // the kernel only reads through this pointer
        let base = item.octets.as_ptr().cast_mut().cast();
        let iovec = iovec.write(libc::iovec { iov_base: base, iov_len: item.octets.len() });
        let header = header.write(empty_header());
        header.msg_hdr.msg_name = (&raw mut *name.write(raw)).cast();
        header.msg_hdr.msg_namelen = name_len;
        header.msg_hdr.msg_iov = iovec;
        header.msg_hdr.msg_iovlen = 1;
        if let Some(source) = item.source {
            control.write(Control::empty()).attach_source(&mut header.msg_hdr, source);
        }
    }
    // SAFETY: the first `count` headers are initialised and point at names, controls, iovecs and octets of the lengths they state,
    // all of which live and stay in place until the end of this function; sendmmsg writes to the headers only.
    let n = unsafe {
        libc::sendmmsg(
            fd.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            count as libc::c_uint,
            (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
        )
    };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// A header of nothing.
fn empty_header() -> libc::mmsghdr {
    // SAFETY: mmsghdr is plain integers and pointers, for which all-zero is valid.
    unsafe { zeroed() }
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
            assert_eq!(batch.recv(b.as_fd(), BATCH).unwrap(), BATCH, "an empty datagram is one too");
            for (d, payload) in batch.datagrams().zip(&payloads) {
                assert_eq!(
                    (d.octets, d.from, d.to, d.truncated),
                    (&payload[..], a.local_addr().unwrap(), None, false)
                );
            }
            assert_eq!(batch.recv(b.as_fd(), BATCH).unwrap_err().kind(), io::ErrorKind::WouldBlock);
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
        assert_eq!(batch.recv(server.as_fd(), BATCH).unwrap(), 3);
        let mut out = SendBatch::new();
        batch.datagrams().for_each(|d| out.push(d.from, None, d.octets));
        send_all(&mut out, &server);
        let mut echo = RecvBatch::new(BATCH, 2048);
        echo.recv(phone.as_fd(), BATCH).unwrap();
        let texts: Vec<_> = echo.datagrams().map(|d| d.octets).collect();
        assert_eq!(texts, [&b"one"[..], b"two", b"three"]);
    }

    #[test]
    fn a_datagram_longer_than_its_slot_is_marked() {
        let (a, b) = (socket("127.0.0.1", false), socket("127.0.0.1", false));
        a.send_to(&[7; 17], b.local_addr().unwrap()).unwrap();
        let mut batch = RecvBatch::new(4, 16);
        batch.recv(b.as_fd(), BATCH).unwrap();
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
            batch.recv(server.as_fd(), BATCH).unwrap();
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
        assert_eq!(batch.recv(b.as_fd(), BATCH).unwrap(), 2);
    }
}
