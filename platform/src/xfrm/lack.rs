//! What is missing for IPsec, and what to do about it, in words.

use super::Family;
use crate::netlink::errno;
use std::fmt;
use std::io;

/// What is missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lack {
    /// The process may not.
    Permission,
    /// The kernel has no NETLINK_XFRM.
    Interface,
    /// The kernel has no ESP for the IP version.
    Esp(Family),
    /// The kernel does not have the algorithm, or a part of it.
    Algorithm,
    /// The kernel does not have the IP version.
    Family(Family),
    /// Something else; the error in words.
    Other(String),
}

impl Lack {
    /// What the failure of [`super::Xfrm::open`], or to add a state of the IP version, means.
    pub fn of(error: &io::Error, family: Family) -> Lack {
        match errno(error) {
            Some(libc::EPERM | libc::EACCES) => Lack::Permission,
            // of the socket call: the system call's own number, not a refusal in a message
            Some(libc::EPROTONOSUPPORT) if error.raw_os_error().is_some() => Lack::Interface,
            Some(libc::EPROTONOSUPPORT) => Lack::Esp(family),
            // ENOSYS: not known as an algorithm for IPsec; ENOENT: known, but no module implements it
            Some(libc::ENOSYS | libc::ENOENT) => Lack::Algorithm,
            Some(libc::EAFNOSUPPORT) => Lack::Family(family),
            _ => Lack::Other(error.to_string()),
        }
    }

    /// Whether it is lacking for all algorithms alike.
    pub fn is_general(&self) -> bool {
        !matches!(self, Lack::Algorithm | Lack::Other(_))
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, module) = match self {
            Lack::Esp(Family::V6) | Lack::Family(Family::V6) => ("IPv6", "esp6"),
            _ => ("IPv4", "esp4"),
        };
        match self {
            Lack::Permission => f.write_str(
                "the process may not set up IPsec: it needs the capability CAP_NET_ADMIN (run it as root, by its systemd \
                 unit, or after `setcap cap_net_admin+ep`)",
            ),
            Lack::Interface => {
                f.write_str("the kernel has no interface to IPsec: load the module xfrm_user (`modprobe xfrm_user`)")
            }
            Lack::Esp(_) => {
                write!(f, "the kernel has no ESP for {version}: load the module {module} (`modprobe {module}`)")
            }
            Lack::Algorithm => f.write_str("the kernel does not have the algorithm, nor a module for it"),
            Lack::Family(_) => write!(f, "the kernel has no {version}"),
            Lack::Other(words) => f.write_str(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::Refusal;

    #[test]
    fn each_refusal_says_what_is_missing_and_how_to_get_it() {
        let refused = |errno| Lack::of(&Refusal { errno, words: String::new() }.into(), Family::V6);
        assert!(refused(libc::EPERM).to_string().contains("CAP_NET_ADMIN"));
        assert!(refused(libc::EPROTONOSUPPORT).to_string().contains("modprobe esp6"));
        assert!(refused(libc::EAFNOSUPPORT).to_string().ends_with("no IPv6"));
        assert_eq!((refused(libc::ENOSYS), refused(libc::ENOENT)), (Lack::Algorithm, Lack::Algorithm));
        let no_socket = Lack::of(&io::Error::from_raw_os_error(libc::EPROTONOSUPPORT), Family::V4);
        assert!(no_socket.to_string().contains("modprobe xfrm_user"));
        let other = Lack::of(&Refusal { errno: libc::ENOMEM, words: "state".into() }.into(), Family::V4);
        assert!(matches!(&other, Lack::Other(words) if words.starts_with("state: ")));
        assert!(Lack::Esp(Family::V4).is_general() && !Lack::Algorithm.is_general() && !other.is_general());
    }
}
