//! Socket addresses between std and the kernel.

use std::mem::size_of;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for an IPv4 or IPv6 socket address as the kernel writes it: 28 octets instead of `sockaddr_storage`'s 128.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) union RawAddr {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl RawAddr {
    /// The octets that the kernel may write.
    pub(crate) const CAPACITY: libc::socklen_t = size_of::<RawAddr>() as libc::socklen_t;

    /// No address: family 0.
    pub(crate) const fn empty() -> Self {
        let v6 = libc::sockaddr_in6 {
            sin6_family: 0,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        };
        RawAddr { v6 }
    }

    /// The kernel's form of `addr`, and how many of its octets count.
    pub(crate) fn new(addr: SocketAddr) -> (Self, libc::socklen_t) {
        let mut raw = Self::empty();
        match addr {
            SocketAddr::V4(a) => {
                raw.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: a.port().to_be(),
                    sin_addr: in_addr(*a.ip()),
                    sin_zero: [0; 8],
                };
                (raw, size_of::<libc::sockaddr_in>() as libc::socklen_t)
            }
            SocketAddr::V6(a) => {
                raw.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: a.port().to_be(),
                    sin6_flowinfo: a.flowinfo(),
                    sin6_addr: in6_addr(*a.ip()),
                    sin6_scope_id: a.scope_id(),
                };
                (raw, size_of::<libc::sockaddr_in6>() as libc::socklen_t)
            }
        }
    }

    /// The address, unless it is of another family than IPv4 and IPv6.
    pub(crate) fn get(&self) -> Option<SocketAddr> {
        // SAFETY: all three fields start with the family and are plain integers of which every octet was initialised by
        // `empty`, so that any of them may be read whatever was written last.
        let (family, v4, v6) = unsafe { (self.family, self.v4, self.v6) };
        match i32::from(family) {
            libc::AF_INET => {
                let ip = ipv4(v4.sin_addr);
                Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                let (ip, port) = (ipv6(v6.sin6_addr), u16::from_be(v6.sin6_port));
                Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// The kernel's form of an IPv4 address.
pub(crate) fn in_addr(ip: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) }
}

/// The kernel's form of an IPv6 address.
pub(crate) fn in6_addr(ip: Ipv6Addr) -> libc::in6_addr {
    libc::in6_addr { s6_addr: ip.octets() }
}

/// std's form of an IPv4 address.
pub(crate) fn ipv4(addr: libc::in_addr) -> Ipv4Addr {
    Ipv4Addr::from(addr.s_addr.to_ne_bytes())
}

/// std's form of an IPv6 address.
pub(crate) fn ipv6(addr: libc::in6_addr) -> Ipv6Addr {
    Ipv6Addr::from(addr.s6_addr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_cast() {
        let v6 = SocketAddrV6::new("fe80::1".parse().unwrap(), 5060, 7, 3);
        for addr in ["192.0.2.1:5060".parse().unwrap(), "[2001:db8::1]:65535".parse().unwrap(), v6.into()] {
            let (raw, _) = RawAddr::new(addr);
            assert_eq!(raw.get(), Some(addr));
        }
        assert_eq!(RawAddr::empty().get(), None);
        assert_eq!(RawAddr::new("1.2.3.4:5".parse().unwrap()).1, 16);
        assert_eq!(RawAddr::CAPACITY, 28);
    }
}
