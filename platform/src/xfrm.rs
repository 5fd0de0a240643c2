//! The kernel's IPsec (NETLINK_XFRM): security associations, which the kernel calls states, and the policies that demand them;
//! ESP in transport mode, for IPv4 and IPv6.
//!
//! A [`State`] says how packets between two addresses are protected, a [`Policy`] which packets must be. [`Traffic`] is both for
//! one direction of traffic between two ports, and what most callers want: [`Xfrm::install`] puts all of a set into the kernel or
//! nothing. Selectors name ports without pinning UDP or TCP; the kernel compares ports of both then.
//!
//! The messages are built by safe code from these descriptions ([`encode`]). What is ours in a kernel that others use too is told
//! by its `reqid`. Everything here takes CAP_NET_ADMIN; [`Lack`] says in words what is missing otherwise. Not here: keys and where
//! they come from, SIP.

mod decode;
pub mod encode;
mod expiry;
mod info;
mod lack;
mod set;
mod stale;

pub use expiry::{Expired, Expiries};
pub use info::{Counters, PolicyInfo, Replay, StateInfo};
pub use lack::Lack;
pub use set::{Ours, Protection, Removed, Traffic, guard};
pub use stale::Left;

use crate::netlink::{Batch, Netlink};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// An IP version.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The version of an address.
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// The addresses that begin with the first `prefix` bits of an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Net {
    /// The address.
    pub address: IpAddr,
    /// How many bits of it count.
    pub prefix: u8,
}

impl Net {
    /// One address alone.
    pub fn host(address: IpAddr) -> Net {
        Net { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// All addresses of the version.
    pub fn any(family: Family) -> Net {
        let address = match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Net { address, prefix: 0 }
    }
}

/// Which packets. Both nets are of one IP version.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Selector {
    /// Where they come from.
    pub source: Net,
    /// Where they go.
    pub destination: Net,
    /// From which port; `None`: any.
    pub source_port: Option<u16>,
    /// To which port; `None`: any.
    pub destination_port: Option<u16>,
    /// IP protocol; 0: any, so that ports are those of UDP and TCP alike.
    pub protocol: u8,
}

impl Selector {
    /// UDP and TCP from one port to another.
    pub fn between(from: SocketAddr, to: SocketAddr) -> Selector {
        Selector {
            source: Net::host(from.ip()),
            destination: Net::host(to.ip()),
            source_port: Some(from.port()),
            destination_port: Some(to.port()),
            protocol: 0,
        }
    }
}

/// A mark of packets: those whose mark, cut to `mask`, is `value`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Mark {
    /// The value.
    pub value: u32,
    /// The bits that count.
    pub mask: u32,
}

/// What a state or policy is bound to besides addresses: only packets with that mark, only that XFRM interface. The default is
/// neither.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Bound {
    /// The mark of the packets.
    pub mark: Option<Mark>,
    /// The XFRM interface, or 0.
    pub if_id: u32,
}

/// When a state or policy ends by itself. Rounded up to whole seconds; `None`: never.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Lifetime {
    /// When the kernel says so (see [`Expiries`]), counted from when it was added.
    pub soft: Option<Duration>,
    /// When the kernel removes it, counted from when it was added.
    pub hard: Option<Duration>,
}

impl Lifetime {
    /// Without end.
    pub const ENDLESS: Lifetime = Lifetime { soft: None, hard: None };

    /// Removed after that time.
    pub fn hard(time: Duration) -> Lifetime {
        Lifetime { soft: None, hard: Some(time) }
    }
}

/// The algorithms of a state, by the kernel's names (at most 63 octets), and their keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Algorithms<'a> {
    /// Authentication and encryption by an algorithm each.
    Separate {
        /// Authentication: `hmac(sha1)`, ….
        integrity: &'a str,
        /// Its key.
        integrity_key: &'a [u8],
        /// Bits that the check value is cut to; `None`: what the kernel has for the algorithm.
        icv_bits: Option<u16>,
        /// Encryption: `cbc(aes)`, `ecb(cipher_null)`, ….
        encryption: &'a str,
        /// Its key.
        encryption_key: &'a [u8],
    },
    /// One algorithm for both: `rfc4106(gcm(aes))`, `rfc4543(gcm(aes))`, ….
    Aead {
        /// Its name.
        name: &'a str,
        /// Its key, salt at the end.
        key: &'a [u8],
        /// Bits of the check value.
        icv_bits: u16,
    },
}

impl std::fmt::Debug for Algorithms<'_> {
    /// The names, no key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Algorithms::Separate { integrity, encryption, .. } => write!(f, "{integrity} {encryption}"),
            Algorithms::Aead { name, .. } => f.write_str(name),
        }
    }
}

/// What the kernel knows a state by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StateId {
    /// Who sends.
    pub source: IpAddr,
    /// Who receives.
    pub destination: IpAddr,
    /// The receiver's number for it.
    pub spi: u32,
}

/// A security association: ESP in transport mode from one address to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State<'a> {
    /// What it is known by.
    pub id: StateId,
    /// What policies name it by, and whose it is.
    pub reqid: u32,
    /// How packets are protected.
    pub algorithms: Algorithms<'a>,
    /// When it ends.
    pub lifetime: Lifetime,
    /// Packets that may come late, 32 at most; 0: nothing is done against replay.
    pub replay_window: u8,
    /// Where its sequence numbers begin; nothing for a new association.
    pub replay: Replay,
    /// What else it is bound to.
    pub bound: Bound,
}

/// Which way packets go, for this machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// They come in, and end here.
    In,
    /// They go out.
    Out,
}

/// The states that a policy lets packets through by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Template {
    /// Who sends.
    pub source: IpAddr,
    /// Who receives.
    pub destination: IpAddr,
    /// The SPI; 0: any.
    pub spi: u32,
    /// The `reqid`; 0: any.
    pub reqid: u32,
}

/// What a policy does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Lets the packets through, protected by such a state; without one they are dropped.
    Protect(Template),
    /// Drops the packets.
    Block,
}

/// A rule for packets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Policy {
    /// Which packets.
    pub selector: Selector,
    /// Which way they go.
    pub direction: Direction,
    /// Of policies that fit a packet, the one with the lowest number counts.
    pub priority: u32,
    /// What is done.
    pub action: Action,
    /// When it ends.
    pub lifetime: Lifetime,
    /// What else it is bound to.
    pub bound: Bound,
}

/// How often a list is asked for again when it changed while it was read.
const LIST_TRIES: usize = 8;

/// The kernel's IPsec.
#[derive(Debug)]
pub struct Xfrm {
    netlink: Netlink,
}

impl Xfrm {
    /// Opens it. It takes no privilege to open, but each request does.
    pub fn open() -> io::Result<Xfrm> {
        Ok(Xfrm { netlink: Netlink::open(libc::NETLINK_XFRM, 0)? })
    }

    /// Adds a state; one with the same destination and SPI is an error (`AlreadyExists`).
    pub fn add_state(&mut self, state: &State<'_>) -> io::Result<()> {
        self.one(|batch| encode::add_state(batch, state))
    }

    /// Gives a state another lifetime, still counted from when it was added; its keys and counters stay.
    pub fn update_state(&mut self, state: &State<'_>) -> io::Result<()> {
        self.one(|batch| encode::update_state(batch, state))
    }

    /// Removes a state; whether there was one.
    pub fn delete_state(&mut self, id: &StateId, bound: Bound) -> io::Result<bool> {
        existed(self.one(|batch| encode::delete_state(batch, id, bound)))
    }

    /// What the kernel has of a state.
    pub fn get_state(&mut self, id: &StateId, bound: Bound) -> io::Result<Option<StateInfo>> {
        let mut batch = Batch::new();
        encode::get_state(&mut batch, id, bound);
        let mut found = None;
        let outcomes = self.netlink.transact(&batch, |_, _, content| found = decode::state(content))?;
        let there = existed(outcomes.into_iter().collect())?;
        Ok(found.filter(|_| there))
    }

    /// Adds a policy; one with the same selector, direction and bound is an error (`AlreadyExists`).
    pub fn add_policy(&mut self, policy: &Policy) -> io::Result<()> {
        self.one(|batch| encode::add_policy(batch, policy))
    }

    /// Adds a policy in place of the one with the same selector, direction and bound, if there is one.
    pub fn update_policy(&mut self, policy: &Policy) -> io::Result<()> {
        self.one(|batch| encode::update_policy(batch, policy))
    }

    /// Removes the policy with that selector, direction and bound; whether there was one.
    pub fn delete_policy(&mut self, policy: &Policy) -> io::Result<bool> {
        existed(self.one(|batch| encode::delete_policy(batch, policy)))
    }

    /// All states of the kernel, whoever added them.
    pub fn states(&mut self) -> io::Result<Vec<StateInfo>> {
        self.list(encode::list_states, decode::state)
    }

    /// All policies of the kernel, whoever added them; those of single sockets excepted.
    pub fn policies(&mut self) -> io::Result<Vec<PolicyInfo>> {
        self.list(encode::list_policies, decode::policy)
    }

    /// Removes all ESP states and all policies, whoever added them. For a network namespace that one has alone.
    pub fn flush(&mut self) -> io::Result<()> {
        let mut batch = Batch::new();
        encode::flush_states(&mut batch);
        encode::flush_policies(&mut batch);
        for outcome in self.netlink.transact(&batch, |_, _, _| {})? {
            existed(outcome)?;
        }
        Ok(())
    }

    /// Tries whether this process may, and the kernel can, do IPsec at all: with the plainest algorithms, which every kernel with
    /// ESP has. To be asked before [`Xfrm::probe`]: a kernel without ESP may lack an algorithm too, and says that first.
    pub fn available(&mut self, family: Family) -> Result<(), Lack> {
        let plainest = Algorithms::Separate {
            integrity: "hmac(sha1)",
            integrity_key: &[0; 20],
            icv_bits: Some(96),
            encryption: "ecb(cipher_null)",
            encryption_key: &[],
        };
        self.probe(family, plainest)
    }

    /// Tries whether this process may, and the kernel can, protect packets by the algorithms: adds a state between two addresses
    /// that nobody has, and removes it. The kernel loads the modules that it finds.
    pub fn probe(&mut self, family: Family, algorithms: Algorithms<'_>) -> Result<(), Lack> {
        // RFC 5737 and RFC 3849: addresses for documentation
        let (source, destination) = match family {
            Family::V4 => (Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::new(192, 0, 2, 2).into()),
            Family::V6 => {
                let address = |last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into();
                (address(1), address(2))
            }
        };
        let state = State {
            id: StateId { source, destination, spi: 0x7072_6f62 },
            reqid: 0,
            algorithms,
            lifetime: Lifetime::hard(Duration::from_secs(10)),
            replay_window: 0,
            replay: Replay::default(),
            bound: Bound::default(),
        };
        match self.add_state(&state) {
            Ok(()) => {}
            // the kernel looks at addresses last: someone else is trying the same
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            Err(e) => return Err(Lack::of(&e, family)),
        }
        self.delete_state(&state.id, state.bound).map(drop).map_err(|e| Lack::of(&e, family))
    }

    fn one(&mut self, fill: impl FnOnce(&mut Batch)) -> io::Result<()> {
        let mut batch = Batch::new();
        fill(&mut batch);
        self.netlink.transact(&batch, |_, _, _| {})?.into_iter().collect()
    }

    fn list<T>(&mut self, fill: fn(&mut Batch), decode: fn(&[u8]) -> Option<T>) -> io::Result<Vec<T>> {
        let mut batch = Batch::new();
        fill(&mut batch);
        for _ in 0..LIST_TRIES {
            let mut rows = Vec::new();
            let outcomes = self.netlink.transact(&batch, |_, _, content| rows.extend(decode(content)))?;
            match outcomes.into_iter().collect::<io::Result<()>>() {
                Ok(()) => return Ok(rows),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }
}

/// Whether what was to be removed or read was there.
fn existed(outcome: io::Result<()>) -> io::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(e) if matches!(crate::netlink::errno(&e), Some(libc::ESRCH | libc::ENOENT)) => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests;
