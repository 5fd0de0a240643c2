//! What can go wrong at the start, in words that say what to do.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// The node could not start.
#[derive(Debug)]
pub enum StartError {
    /// A socket could not be bound.
    Bind {
        /// The property that names the address, `sip_addr[0]` or `sip_addr[0].bind_addr`.
        property: String,
        /// `UDP`, `TCP` or `SCTP`.
        transport: &'static str,
        /// The address.
        addr: SocketAddr,
        /// What the kernel said.
        error: io::Error,
    },
    /// The configuration has more SIP sockets than a `LocalId` can number.
    TooManySockets(usize),
    /// Something that always works did not.
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}

impl StartError {
    /// For `map_err`: what was tried when the error came.
    pub fn system(what: &'static str) -> impl FnOnce(io::Error) -> StartError {
        move |error| StartError::System { what, error }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Bind { property, transport, addr, error } => {
                write!(f, "{property}: cannot bind {transport} {addr}: ")?;
                explain_bind(f, transport, *addr, error)
            }
            StartError::TooManySockets(n) => write!(f, "sip_addr: {n} sockets, at most 256 are possible"),
            StartError::System { what, error } => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

fn explain_bind(
    f: &mut fmt::Formatter<'_>,
    transport: &str,
    addr: SocketAddr,
    error: &io::Error,
) -> fmt::Result {
    let (ip, port) = (addr.ip(), addr.port());
    let ss = match transport {
        "UDP" => "ss -lunp",
        "SCTP" => "ss -lnp --sctp",
        _ => "ss -ltnp",
    };
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            write!(
                f,
                "the address is in use; is another server running on {addr}? see `{ss} sport = :{port}`"
            )
        }
        io::ErrorKind::AddrNotAvailable => write!(
            f,
            "this machine has no address {ip}; add it (`ip address add {ip} dev …`), or bind another one with bind_addr"
        ),
        io::ErrorKind::PermissionDenied if port < 1024 => {
            write!(
                f,
                "ports below 1024 need CAP_NET_BIND_SERVICE; use a port from 1024 on, or give the capability"
            )
        }
        _ => write!(f, "{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(kind: io::ErrorKind, addr: &str) -> String {
        let error = StartError::Bind {
            property: "sip_addr[0]".to_owned(),
            transport: "UDP",
            addr: addr.parse().unwrap(),
            error: kind.into(),
        };
        error.to_string()
    }

    #[test]
    fn a_bind_error_names_property_address_and_remedy() {
        let text = bind(io::ErrorKind::AddrInUse, "127.0.0.1:5060");
        for part in ["sip_addr[0]", "UDP 127.0.0.1:5060", "in use", "ss -lunp sport = :5060"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(bind(io::ErrorKind::AddrNotAvailable, "192.168.4.1:5060").contains("no address 192.168.4.1"));
        assert!(bind(io::ErrorKind::PermissionDenied, "127.0.0.1:506").contains("CAP_NET_BIND_SERVICE"));
        assert!(!bind(io::ErrorKind::PermissionDenied, "127.0.0.1:5060").contains("CAP_NET_BIND_SERVICE"));
    }
}
