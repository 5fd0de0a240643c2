//! What was sent lately and whom a failure of it concerns, to be found when an ICMP error names the destination only.

use std::net::SocketAddr;

/// How many sent requests are remembered: more than leave within the round trip of an ICMP error.
const REMEMBERED: usize = 256;

/// A ring of the last tagged datagrams.
#[derive(Debug)]
pub struct Recent {
    ring: Vec<Option<(SocketAddr, u64)>>,
    next: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Recent { ring: vec![None; REMEMBERED], next: 0 }
    }
}

impl Recent {
    /// Remembers a datagram, unless its failure concerns nobody (tag 0).
    pub fn add(&mut self, to: SocketAddr, tag: u64) {
        if tag != 0 {
            self.ring[self.next] = Some((to, tag));
            self.next = (self.next + 1) % REMEMBERED;
        }
    }

    /// Takes the tag of a datagram to this destination, and forgets every other datagram with that tag.
    pub fn take(&mut self, to: SocketAddr) -> Option<u64> {
        let found = self.ring.iter().flatten().find(|(dest, _)| *dest == to)?.1;
        for entry in &mut self.ring {
            *entry = entry.filter(|(_, tag)| *tag != found);
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_one_destination_are_taken_once_each() {
        let (a, b) = ("192.0.2.1:1".parse().unwrap(), "192.0.2.1:2".parse().unwrap());
        let mut recent = Recent::default();
        for (to, tag) in [(a, 7), (b, 8), (a, 0), (a, 7), (a, 9)] {
            recent.add(to, tag);
        }
        assert_eq!((recent.take(a), recent.take(a), recent.take(a)), (Some(7), Some(9), None));
        assert_eq!((recent.take(b), recent.take(b)), (Some(8), None));
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let to = "192.0.2.1:1".parse().unwrap();
        let mut recent = Recent::default();
        (1..=REMEMBERED as u64 + 1).for_each(|tag| recent.add(to, tag));
        let taken: Vec<_> = std::iter::from_fn(|| recent.take(to)).collect();
        assert_eq!(taken.len(), REMEMBERED);
        assert!(!taken.contains(&1));
    }
}
