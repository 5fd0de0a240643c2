//! ICMP errors that came back for datagrams sent (`IP_RECVERR`, `IPV6_RECVERR`).

use crate::addr::RawAddr;
use std::io;
use std::mem::zeroed;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A datagram that came back.
#[derive(Debug)]
pub struct Returned {
    /// Where it was sent.
    pub to: SocketAddr,
    /// What happened to it.
    pub error: io::Error,
    /// Whether others to the same place will come back too: it, its host or its port cannot be reached. Else this datagram is lost,
    /// and its repetition may arrive.
    pub is_final: bool,
}

/// Takes one error from the socket's error queue. `None`: there is no error.
pub fn take_error(fd: BorrowedFd<'_>) -> Option<Returned> {
    loop {
        // what is no error of a datagram is passed over
        if let Some(returned) = take_one(fd)? {
            return Some(returned);
        }
    }
}

/// RFC 3261 18.4: unreachable hosts, networks, ports and protocols, and parameter problems, are failures; all else is not, and
/// least of all "packet too big", upon which the next copy is sent in smaller fragments.
fn is_final(origin: u8, kind: u8, code: u8) -> bool {
    const FRAGMENTATION_NEEDED: u8 = 4; // RFC 792
    match (origin, kind) {
        (libc::SO_EE_ORIGIN_ICMP, 3) => code != FRAGMENTATION_NEEDED,
        (libc::SO_EE_ORIGIN_ICMP, 12) => true,
        (libc::SO_EE_ORIGIN_ICMP6, 1 | 4) => true, // RFC 4443 3.1, 3.4
        _ => false,
    }
}

/// Takes one message from the error queue; the outer `None`: there is none.
#[allow(clippy::unnecessary_cast)] // musl has 32 bits for cmsg_len
fn take_one(fd: BorrowedFd<'_>) -> Option<Option<Returned>> {
    #[repr(C, align(8))]
    struct Control([u8; 256]);
    let (mut name, mut control) = (RawAddr::empty(), Control([0; 256]));
    // SAFETY: msghdr is plain integers and pointers, for which all-zero is valid.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = RawAddr::CAPACITY;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = control.0.len() as _;
    // SAFETY: the header points at `name` and `control` with their lengths; both live until the end of this function. There is
    // no data buffer: the quoted datagram is cut away.
    let rc =
        unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
    if rc < 0 {
        return None;
    }
    // SAFETY: recvmsg has filled the header and the control buffer it points at; the payload is read unaligned, after its level
    // and type say what it is and its length that it is all there.
    let error = unsafe {
        let Some(cmsg) = libc::CMSG_FIRSTHDR(&raw const header).as_ref() else { return Some(None) };
        let wanted = libc::CMSG_LEN(size_of::<libc::sock_extended_err>() as u32) as usize;
        let is_error = matches!(
            (cmsg.cmsg_level, cmsg.cmsg_type),
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        );
        if !is_error || (cmsg.cmsg_len as usize) < wanted {
            return Some(None);
        }
        libc::CMSG_DATA(cmsg).cast::<libc::sock_extended_err>().read_unaligned()
    };
    let is_final = is_final(error.ee_origin, error.ee_type, error.ee_code);
    let error = io::Error::from_raw_os_error(error.ee_errno as i32);
    Some(name.get().map(|to| Returned { to, error, is_final }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::SendBatch;
    use crate::socket::{UdpOptions, bind_udp};
    use std::os::fd::AsFd;

    #[test]
    fn a_path_that_is_too_narrow_or_too_long_is_no_dead_end() {
        let (v4, v6, local) = (libc::SO_EE_ORIGIN_ICMP, libc::SO_EE_ORIGIN_ICMP6, libc::SO_EE_ORIGIN_LOCAL);
        for (origin, kind, code, expected) in [
            (v4, 3, 1, true),     // host unreachable
            (v4, 3, 3, true),     // port unreachable
            (v4, 3, 4, false),    // fragmentation needed
            (v4, 11, 0, false),   // time exceeded
            (v4, 12, 0, true),    // parameter problem
            (v6, 1, 4, true),     // port unreachable
            (v6, 2, 0, false),    // packet too big
            (v6, 3, 0, false),    // time exceeded
            (v6, 4, 1, true),     // parameter problem
            (local, 0, 0, false), // said by the call that sent it already
        ] {
            assert_eq!(is_final(origin, kind, code), expected, "{origin} {kind} {code}");
        }
    }

    #[test]
    fn a_closed_port_is_named_and_the_next_datagram_is_sent_all_the_same() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let options = UdpOptions { buffer: 65_536, errors: true, local_address: false };
            let bind = || bind_udp(host.parse().unwrap(), options).unwrap();
            let (a, b, gone) = (bind(), bind(), bind());
            let closed = gone.local_addr().unwrap();
            drop(gone);
            assert!(take_error(a.as_fd()).is_none());
            // on loopback the error is there before the call returns
            a.send_to(b"anyone?", closed).unwrap();
            let mut out = SendBatch::new();
            out.push(b.local_addr().unwrap(), None, b"you");
            out.send(a.as_fd(), |_, _, e| panic!("{e}"));
            assert_eq!(b.recv(&mut [0; 8]).unwrap(), 3);
            let back = take_error(a.as_fd()).unwrap();
            let expected = (closed, io::ErrorKind::ConnectionRefused, true);
            assert_eq!((back.to, back.error.kind(), back.is_final), expected);
            assert!(take_error(a.as_fd()).is_none());
        }
    }
}
