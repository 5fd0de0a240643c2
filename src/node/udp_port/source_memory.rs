//! On a wildcard socket: which of our addresses each peer talks to, so that answers leave from there.

use std::collections::HashMap;
use std::mem::take;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Peers remembered in each of the two generations: 64 Ki entries are some 4 MiB.
const GENERATION: usize = 65_536;

/// Two generations of entries: when the young one is full it becomes the old one, and the old one goes. A peer that is heard
/// of stays.
#[derive(Debug, Default)]
pub struct SourceMemory {
    young: HashMap<SocketAddr, IpAddr>,
    old: HashMap<SocketAddr, IpAddr>,
    /// For peers not heard of.
    usual: Option<IpAddr>,
}

impl SourceMemory {
    /// Nobody is known; `usual` is the address that the configuration gives to phones. It is used towards unknown peers, unless it
    /// is not of this machine (an address translator in front of us has it).
    pub fn new(usual: IpAddr) -> Self {
        let is_ours = !usual.is_unspecified() && UdpSocket::bind((usual, 0)).is_ok();
        SourceMemory { usual: is_ours.then_some(usual), ..SourceMemory::default() }
    }

    /// `peer` has sent to our address `ours`.
    pub fn learn(&mut self, peer: SocketAddr, ours: IpAddr) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&peer) {
            self.old = take(&mut self.young);
        }
        self.young.insert(peer, ours);
    }

    /// Our address that `peer` knows; `None`: the kernel may choose.
    pub fn get(&self, peer: SocketAddr) -> Option<IpAddr> {
        self.young.get(&peer).or_else(|| self.old.get(&peer)).copied().or(self.usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_peer_is_addressed_from_the_configured_address_if_it_is_ours() {
        let peer = "192.0.2.1:5060".parse().unwrap();
        let usual = |ip: &str| SourceMemory::new(ip.parse().unwrap()).get(peer);
        assert_eq!(usual("127.0.0.1"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(usual("192.0.2.77"), None, "a documentation address is nobody's");
        assert_eq!(usual("0.0.0.0"), None);
    }

    #[test]
    fn a_peer_is_answered_from_where_it_sent_last_and_memory_is_bounded() {
        let peer = |n: u32| SocketAddr::new(IpAddr::from(n.to_be_bytes()), 5060);
        let (one, two): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let mut memory = SourceMemory::default();
        memory.learn(peer(1), one);
        memory.learn(peer(1), two);
        assert_eq!((memory.get(peer(1)), memory.get(peer(2))), (Some(two), None));
        (2..GENERATION as u32 + 10).for_each(|n| memory.learn(peer(n), one));
        assert_eq!(memory.get(peer(1)), Some(two), "in the old generation");
        (GENERATION as u32 + 10..3 * GENERATION as u32).for_each(|n| memory.learn(peer(n), one));
        assert_eq!(memory.get(peer(1)), None);
        assert!(memory.young.len() + memory.old.len() <= 2 * GENERATION);
    }
}
