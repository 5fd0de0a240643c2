//! ICMP errors that came back for datagrams sent (`IP_RECVERR`, `IPV6_RECVERR`).

use crate::addr::RawAddr;
use std::io;
use std::mem::zeroed;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Takes one error from the socket's error queue: where the datagram was sent, and what happened to it. `None`: there is no error.
#[allow(clippy::unnecessary_cast)] // musl has 32 bits for cmsg_len
pub fn take_error(fd: BorrowedFd<'_>) -> Option<(SocketAddr, io::Error)> {
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
    let code = unsafe {
        let cmsg = libc::CMSG_FIRSTHDR(&raw const header).as_ref()?;
        let wanted = libc::CMSG_LEN(size_of::<libc::sock_extended_err>() as u32) as usize;
        let is_error = matches!(
            (cmsg.cmsg_level, cmsg.cmsg_type),
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        );
        if !is_error || (cmsg.cmsg_len as usize) < wanted {
            return None;
        }
        libc::CMSG_DATA(cmsg).cast::<libc::sock_extended_err>().read_unaligned().ee_errno
    };
    Some((name.get()?, io::Error::from_raw_os_error(code as i32)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::SendBatch;
    use crate::socket::{UdpOptions, bind_udp};
    use std::os::fd::AsFd;

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
            let (who, what) = take_error(a.as_fd()).unwrap();
            assert_eq!((who, what.kind()), (closed, io::ErrorKind::ConnectionRefused));
            assert!(take_error(a.as_fd()).is_none());
        }
    }
}
