//! Netlink: requests to the kernel in messages of attributes, several in one call, each with its own answer.
//!
//! Messages are put together by safe code in a [`Batch`]; [`Netlink::transact`] sends them and waits for the kernel's verdict on
//! each, which is there when the call that sends returns. What the messages mean is known to [`crate::xfrm`].

use std::fmt;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Octets of a message's header.
pub(crate) const HEADER_LEN: usize = 16;
/// Messages that go out with one call: their answers (under 1 KiB each, kernel bookkeeping included) fit the receive buffer of
/// 208 KiB that sockets have by default.
const CHUNK: usize = 64;
/// Octets that are received with one call; the kernel's dumps come in pieces of at most 32 KiB.
const RECEIVE_LEN: usize = 64 * 1024;
/// How long an answer may take. The kernel answers at once, unless it loads modules first.
const ANSWER_SECS: libc::time_t = 10;

/// The kernel's refusal of a request; comes inside an [`io::Error`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The error number.
    pub errno: i32,
    /// What was refused and the kernel's own words about it; may be empty.
    pub words: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = io::Error::from_raw_os_error(self.errno);
        if self.words.is_empty() { write!(f, "{error}") } else { write!(f, "{}: {error}", self.words) }
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> io::Error {
        let kind = io::Error::from_raw_os_error(refusal.errno).kind();
        io::Error::new(kind, refusal)
    }
}

/// The error number of a failed system call or of a [`Refusal`].
pub fn errno(error: &io::Error) -> Option<i32> {
    let refusal = || error.get_ref()?.downcast_ref::<Refusal>();
    error.raw_os_error().or_else(|| refusal().map(|r| r.errno))
}

/// Requests, one after the other.
#[derive(Default, Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each message begins.
    starts: Vec<usize>,
}

impl Batch {
    /// A batch without requests.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The octets of all requests, without sequence numbers.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds a request of the type `kind` that `fill` writes the content of.
    pub(crate) fn push(&mut self, kind: u16, flags: u16, fill: impl FnOnce(&mut Content<'_>)) {
        let start = self.bytes.len();
        self.starts.push(start);
        let mut content = Content { bytes: &mut self.bytes };
        content.u32(0); // the length, below
        content.u16(kind);
        content.u16(flags | (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16);
        content.zeros(8); // sequence number and port
        fill(&mut content);
        let len = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&len.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// The content of a message that is being written.
pub(crate) struct Content<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Content<'_> {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn zeros(&mut self, count: usize) {
        self.bytes.resize(self.bytes.len() + count, 0);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Host byte order.
    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_ne_bytes());
    }

    /// Host byte order.
    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_ne_bytes());
    }

    /// Host byte order.
    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_ne_bytes());
    }

    /// An attribute of the type `kind` that `fill` writes the value of.
    pub(crate) fn attribute(&mut self, kind: u16, fill: impl FnOnce(&mut Content<'_>)) {
        // attributes are aligned to four octets; so is everything that comes before the first one
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        let start = self.bytes.len();
        self.u16(0); // the length, below
        self.u16(kind);
        fill(self);
        let len = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
    }
}

/// A socket to one of the kernel's netlink families.
#[derive(Debug)]
pub struct Netlink {
    fd: OwnedFd,
    sequence: u32,
    incoming: Vec<u8>,
}

/// What came of one request.
type Outcome = io::Result<()>;

impl Netlink {
    /// Opens a socket of the protocol, a member of the multicast groups of the bit mask. The error `EPROTONOSUPPORT` means that
    /// the kernel does not have the protocol.
    pub fn open(protocol: i32, groups: u32) -> io::Result<Netlink> {
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor has just been opened and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: sockaddr_nl is plain integers, for which all-zero is valid.
        let mut address: libc::sockaddr_nl = unsafe { zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        address.nl_groups = groups;
        let len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: pointer and length are those of `address`, which lives through the call; the descriptor is open.
        if unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // Refusals come without a copy of the request, and with words; kernels before 4.12 have neither and need neither.
        for option in [libc::NETLINK_CAP_ACK, libc::NETLINK_EXT_ACK] {
            let _ = crate::sockopt::set(fd.as_fd(), libc::SOL_NETLINK, option, 1);
        }
        let netlink = Netlink { fd, sequence: 0, incoming: vec![0; RECEIVE_LEN] };
        netlink.set_timeout(ANSWER_SECS)?;
        Ok(netlink)
    }

    /// Sends the requests in their order and waits for the outcome of each. Messages that answer a request go to `on_reply`, with
    /// the request's place in the batch, the message's type and its content. The outer error is one of the socket: then nothing
    /// is known of the requests.
    pub fn transact(
        &mut self,
        batch: &Batch,
        mut on_reply: impl FnMut(usize, u16, &[u8]),
    ) -> io::Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for chunk in batch.starts.chunks(CHUNK) {
            let first = outcomes.len();
            let end = batch.starts.get(first + chunk.len()).copied().unwrap_or(batch.bytes.len());
            let mut bytes = batch.bytes[chunk[0]..end].to_vec();
            let sequence = self.sequence.wrapping_add(1);
            self.sequence = self.sequence.wrapping_add(chunk.len() as u32);
            for (i, start) in chunk.iter().enumerate() {
                let at = start - chunk[0] + 8;
                bytes[at..at + 4].copy_from_slice(&sequence.wrapping_add(i as u32).to_ne_bytes());
            }
            self.send(&bytes)?;
            let mut got: Vec<Option<Outcome>> = chunk.iter().map(|_| None).collect();
            while got.iter().any(Option::is_none) {
                let len = self.receive(0)?;
                for message in messages(&self.incoming[..len]) {
                    let place = message.sequence.wrapping_sub(sequence) as usize;
                    let Some(slot) = got.get_mut(place) else { continue }; // of an earlier request that was given up
                    match message.kind {
                        kind if kind == libc::NLMSG_ERROR as u16 => *slot = Some(acknowledged(&message)),
                        kind if kind == libc::NLMSG_DONE as u16 => *slot = Some(finished(&message)),
                        kind => on_reply(first + place, kind, message.content),
                    }
                }
            }
            outcomes.extend(got.into_iter().flatten());
        }
        Ok(outcomes)
    }

    /// Takes what the kernel has sent by itself to the groups of this socket, if anything: type and content of each message.
    /// The error `ENOBUFS` says that some was lost.
    pub fn poll(&mut self, mut on_message: impl FnMut(u16, &[u8])) -> io::Result<()> {
        loop {
            let len = match self.receive(libc::MSG_DONTWAIT) {
                Ok(len) => len,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            };
            messages(&self.incoming[..len]).for_each(|m| on_message(m.kind, m.content));
        }
    }

    fn set_timeout(&self, secs: libc::time_t) -> io::Result<()> {
        let timeout = libc::timeval { tv_sec: secs, tv_usec: 0 };
        let len = size_of::<libc::timeval>() as libc::socklen_t;
        // SAFETY: the pointer and length are those of `timeout`, which lives through the call; the descriptor is open.
        let rc = unsafe {
            let value = (&raw const timeout).cast();
            libc::setsockopt(self.fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVTIMEO, value, len)
        };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// An unconnected netlink socket sends to the kernel.
    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        // SAFETY: pointer and length are those of `bytes`; the descriptor is open.
        let sent = unsafe { libc::send(self.fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Receives from the kernel into `incoming`; how much.
    fn receive(&mut self, flags: i32) -> io::Result<usize> {
        loop {
            // SAFETY: sockaddr_nl is plain integers, for which all-zero is valid.
            let mut from: libc::sockaddr_nl = unsafe { zeroed() };
            let mut from_len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
            let (buffer, len) = (self.incoming.as_mut_ptr().cast(), self.incoming.len());
            // SAFETY: the kernel writes at most `len` octets to the buffer and `from_len` to `from`, both of which live through
            // the call and have that size; the descriptor is open.
            let received = unsafe {
                let flags = flags | libc::MSG_TRUNC;
                let (from, from_len) = ((&raw mut from).cast(), &raw mut from_len);
                libc::recvfrom(self.fd.as_raw_fd(), buffer, len, flags, from, from_len)
            };
            match usize::try_from(received) {
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
                Ok(received) if received > len => return Err(io::ErrorKind::InvalidData.into()),
                // another process may write to the socket too: only the kernel's port is zero
                Ok(_) if from.nl_pid != 0 => {}
                Ok(received) => return Ok(received),
            }
        }
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A message that came.
struct Message<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    content: &'a [u8],
}

/// The messages of one datagram; what does not have the length that it says ends it.
fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let len = u32_at(rest, 0)? as usize;
        let content = rest.get(HEADER_LEN..len)?;
        let message =
            Message { kind: u16_at(rest, 4)?, flags: u16_at(rest, 6)?, sequence: u32_at(rest, 8)?, content };
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes in `bytes`: types without flags, and values.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let len = u16_at(rest, 0)? as usize;
        let value = rest.get(4..len)?;
        let kind = u16_at(rest, 2)? & libc::NLA_TYPE_MASK as u16;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The outcome that an acknowledgement says: an error number below zero, the request's header, attributes with words.
fn acknowledged(message: &Message<'_>) -> Outcome {
    let errno = -i32_at(message.content, 0).unwrap_or(-libc::EBADMSG);
    if errno == 0 {
        return Ok(());
    }
    const WORDS: u16 = 1; // NLMSGERR_ATTR_MSG
    let with_words = message.flags & libc::NLM_F_ACK_TLVS as u16 != 0;
    let words = with_words.then(|| message.content.get(4 + HEADER_LEN..).unwrap_or_default());
    let words = words.and_then(|bytes| attributes(bytes).find(|(kind, _)| *kind == WORDS));
    let words = words.map_or(String::new(), |(_, text)| {
        String::from_utf8_lossy(text).trim_end_matches('\0').trim().to_owned()
    });
    Err(Refusal { errno, words }.into())
}

/// The outcome that the end of a list says.
fn finished(message: &Message<'_>) -> Outcome {
    match i32_at(message.content, 0) {
        Some(errno) if errno < 0 => Err(Refusal { errno: -errno, words: String::new() }.into()),
        _ if message.flags & libc::NLM_F_DUMP_INTR as u16 != 0 => Err(io::ErrorKind::Interrupted.into()),
        _ => Ok(()),
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RTM_GETLINK of NETLINK_ROUTE with its struct ifinfomsg: what every kernel answers to everybody.
    fn get_link(batch: &mut Batch, flags: i32, index: u32) {
        batch.push(libc::RTM_GETLINK, flags as u16, |c| {
            c.zeros(4);
            c.u32(index);
            c.zeros(8);
        });
    }

    #[test]
    fn each_request_of_a_batch_has_its_own_outcome() {
        let mut netlink = Netlink::open(libc::NETLINK_ROUTE, 0).unwrap();
        let mut batch = Batch::new();
        // more than go out with one call; lo is number one, the other number nobody's
        let count = CHUNK * 2 + 3;
        for i in 0..count {
            get_link(&mut batch, 0, if i % 3 == 0 { 1 } else { 0x7fff_fff0 });
        }
        let mut replies = Vec::new();
        let outcomes = netlink.transact(&batch, |place, kind, _| replies.push((place, kind))).unwrap();
        assert_eq!(outcomes.len(), count);
        for (i, outcome) in outcomes.iter().enumerate() {
            let expected = if i % 3 == 0 { None } else { Some(libc::ENODEV) };
            assert_eq!(outcome.as_ref().err().and_then(errno), expected, "{i}");
        }
        let expected: Vec<_> = (0..count).step_by(3).map(|i| (i, libc::RTM_NEWLINK)).collect();
        assert_eq!(replies, expected);
    }

    #[test]
    fn a_list_ends_with_its_last_part() {
        let mut netlink = Netlink::open(libc::NETLINK_ROUTE, 0).unwrap();
        let mut batch = Batch::new();
        get_link(&mut batch, libc::NLM_F_DUMP, 0);
        let mut indices = Vec::new();
        let outcomes = netlink.transact(&batch, |_, _, content| indices.push(u32_at(content, 4))).unwrap();
        assert!(outcomes[0].is_ok());
        assert!(indices.contains(&Some(1)), "lo is missing: {indices:?}");
        netlink.poll(|kind, _| panic!("{kind}: nothing is left over")).unwrap();
    }

    #[test]
    fn a_protocol_that_no_kernel_has_is_refused() {
        let error = Netlink::open(31, 0).unwrap_err();
        assert_eq!(errno(&error), Some(libc::EPROTONOSUPPORT));
    }

    #[test]
    fn lengths_that_lie_end_the_reading() {
        let mut batch = Batch::new();
        batch.push(7, 0, |c| c.attribute(3, |c| c.bytes(b"abc")));
        batch.push(8, 0, |c| c.u8(1));
        let bytes = batch.as_bytes();
        let kinds: Vec<_> = messages(bytes).map(|m| m.kind).collect();
        assert_eq!((kinds, bytes.len()), (vec![7, 8], 24 + 20));
        let first = messages(bytes).next().unwrap();
        assert_eq!(attributes(first.content).collect::<Vec<_>>(), [(3, &b"abc"[..])]);
        for len in 0..bytes.len() {
            for message in messages(&bytes[..len]) {
                assert!(attributes(message.content).count() <= 1);
            }
        }
        for lie in [0, 3, 15, 25, u32::MAX] {
            let mut bytes = bytes.to_vec();
            bytes[..4].copy_from_slice(&lie.to_ne_bytes());
            assert!(messages(&bytes).count() <= 2, "{lie}");
        }
        assert_eq!(attributes(&[0; 64]).count(), 0, "an attribute shorter than its own header");
    }

    #[test]
    fn a_refusal_carries_number_and_words() {
        let mut content = (-libc::EPERM).to_ne_bytes().to_vec();
        content.resize(4 + HEADER_LEN, 0);
        content.extend([8, 0, 1, 0].into_iter().chain(*b"No.\0"));
        let message = |flags| Message { kind: 2, flags, sequence: 1, content: &content };
        let error = acknowledged(&message(libc::NLM_F_ACK_TLVS as u16)).unwrap_err();
        assert_eq!((errno(&error), error.kind()), (Some(libc::EPERM), io::ErrorKind::PermissionDenied));
        assert!(error.to_string().starts_with("No.: "), "{error}");
        let error = acknowledged(&message(0)).unwrap_err();
        assert_eq!(error.to_string(), io::Error::from_raw_os_error(libc::EPERM).to_string());
        assert!(acknowledged(&Message { kind: 2, flags: 0, sequence: 1, content: &[] }).is_err());
    }
}
