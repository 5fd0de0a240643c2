//! The one control message we read and write: the local address of a datagram (`IP_PKTINFO`, `IPV6_PKTINFO`).

use crate::addr::{in_addr, in6_addr, ipv4, ipv6};
use std::mem::size_of;
use std::net::IpAddr;

/// Room for one packet-info message of either family: `CMSG_SPACE(sizeof(struct in6_pktinfo))` is 40.
const CAPACITY: usize = 40;

/// Room for control messages, aligned as `cmsghdr` wants.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Control([u8; CAPACITY]);

impl Control {
    /// All zero.
    pub(crate) const fn empty() -> Self {
        Control([0; CAPACITY])
    }

    /// Points a message header at this room, all of it writable.
    pub(crate) fn attach(&mut self, header: &mut libc::msghdr) {
        header.msg_control = self.0.as_mut_ptr().cast();
        header.msg_controllen = CAPACITY as _;
    }

    /// Writes the message that asks the kernel to send from `local`, and points `header` at it.
    pub(crate) fn attach_source(&mut self, header: &mut libc::msghdr, local: IpAddr) {
        self.attach(header);
        match local {
            IpAddr::V4(ip) => {
                let info =
                    libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: in_addr(ip), ipi_addr: in_addr(ip) };
                put(header, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
            }
            IpAddr::V6(ip) => {
                let info = libc::in6_pktinfo { ipi6_addr: in6_addr(ip), ipi6_ifindex: 0 };
                put(header, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
            }
        }
    }
}

/// Writes the only control message of `header`, whose control pointer is a whole [`Control`].
fn put<T: Copy>(header: &mut libc::msghdr, level: i32, kind: i32, value: T) {
    // SAFETY: CMSG_SPACE computes with its argument only.
    let space = unsafe { libc::CMSG_SPACE(size_of::<T>() as u32) } as usize;
    assert!(space <= CAPACITY, "room for one message of either family");
    // SAFETY: `attach` has pointed the header at CAPACITY writable octets aligned to 8, and CAPACITY holds `space` of them, so
    // that the first header and its data lie inside; the data is written unaligned because CMSG_DATA promises 8 at most.
    unsafe {
        let cmsg = libc::CMSG_FIRSTHDR(header);
        (*cmsg).cmsg_level = level;
        (*cmsg).cmsg_type = kind;
        (*cmsg).cmsg_len = libc::CMSG_LEN(size_of::<T>() as u32) as _;
        libc::CMSG_DATA(cmsg).cast::<T>().write_unaligned(value);
    }
    header.msg_controllen = space as _;
}

/// The address that a received datagram was sent to.
///
/// # Safety
/// `header` must have been filled by `recvmsg`, and its control pointer must still be the buffer it was filled with.
#[allow(clippy::unnecessary_cast)] // musl has 32 bits for cmsg_len
pub(crate) unsafe fn destination(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the kernel has written well-formed messages into the first `msg_controllen` octets of the caller's buffer; each
    // payload is read unaligned, and only after its level and type say what it is and its length that it is all there.
    unsafe {
        let mut cmsg = libc::CMSG_FIRSTHDR(header);
        while let Some(c) = cmsg.as_ref() {
            let holds = |size: usize| c.cmsg_len as usize >= libc::CMSG_LEN(size as u32) as usize;
            match (c.cmsg_level, c.cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) if holds(size_of::<libc::in_pktinfo>()) => {
                    let info = libc::CMSG_DATA(cmsg).cast::<libc::in_pktinfo>().read_unaligned();
                    return Some(IpAddr::V4(ipv4(info.ipi_addr)));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if holds(size_of::<libc::in6_pktinfo>()) => {
                    let info = libc::CMSG_DATA(cmsg).cast::<libc::in6_pktinfo>().read_unaligned();
                    return Some(IpAddr::V6(ipv6(info.ipi6_addr)));
                }
                _ => cmsg = libc::CMSG_NXTHDR(header, cmsg),
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_written_is_read_back() {
        for ip in ["192.0.2.7", "2001:db8::7"] {
            let ip: IpAddr = ip.parse().unwrap();
            // SAFETY: all-zero is a valid msghdr: null pointers and zero lengths.
            let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
            let mut control = Control::empty();
            control.attach_source(&mut header, ip);
            // SAFETY: the header points at `control`, filled just above in the form that recvmsg leaves.
            assert_eq!(unsafe { destination(&header) }, Some(ip));
        }
    }

    #[test]
    fn no_message_no_address() {
        // SAFETY: all-zero is a valid msghdr: null pointers and zero lengths.
        let header: libc::msghdr = unsafe { std::mem::zeroed() };
        // SAFETY: the header has no control messages.
        assert_eq!(unsafe { destination(&header) }, None);
    }
}
