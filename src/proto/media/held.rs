//! Packets that are held back (`media_delay`): kept in memory that is taken once, and given back when they are due.
//!
//! What a packet's session wants of it is asked again when it is due; here are only the octets and the order.

use crate::base::time::Instant;
use crate::proto::media::limits::{MAX_HELD, MAX_HELD_LEN};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Whose packet it is, and how long.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    session: u64,
    rtcp: bool,
    len: u16,
}

/// One packet that has become due, to be read with [`Held::packet`] and given back with [`Held::free`].
#[derive(Debug)]
pub struct Due {
    /// The session that it came in on.
    pub session: u64,
    /// On the RTCP port.
    pub rtcp: bool,
    slot: u32,
    len: u16,
}

/// All packets that are held back.
#[derive(Debug)]
pub struct Held {
    /// [`MAX_HELD_LEN`] octets for each slot.
    octets: Box<[u8]>,
    entries: Box<[Entry]>,
    /// Slots without a packet: the one that was used last is used next, so that few are ever touched.
    free: Vec<u32>,
    /// When, in which order, where.
    queue: BinaryHeap<Reverse<(Instant, u64, u32)>>,
    taken: u64,
}

impl Default for Held {
    fn default() -> Self {
        Self::new()
    }
}

impl Held {
    /// Takes all the memory that it will ever use.
    pub fn new() -> Self {
        Held {
            octets: vec![0; MAX_HELD * MAX_HELD_LEN].into_boxed_slice(),
            entries: vec![Entry::default(); MAX_HELD].into_boxed_slice(),
            free: (0..MAX_HELD as u32).rev().collect(),
            queue: BinaryHeap::with_capacity(MAX_HELD),
            taken: 0,
        }
    }

    /// Keeps a copy of a packet until then. `false`: it is too long, or there is no room.
    pub fn keep(&mut self, until: Instant, session: u64, rtcp: bool, packet: &[u8]) -> bool {
        if packet.len() > MAX_HELD_LEN {
            return false;
        }
        let Some(slot) = self.free.pop() else { return false };
        let start = slot as usize * MAX_HELD_LEN;
        self.octets[start..start + packet.len()].copy_from_slice(packet);
        self.entries[slot as usize] = Entry { session, rtcp, len: packet.len() as u16 };
        self.queue.push(Reverse((until, self.taken, slot)));
        self.taken += 1;
        true
    }

    /// When the next packet is due, if there is one.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse((until, ..))| *until)
    }

    /// Takes the next packet that is due, packets of the same moment in the order in which they came.
    pub fn due(&mut self, now: Instant) -> Option<Due> {
        if self.next_deadline()? > now {
            return None;
        }
        let Reverse((_, _, slot)) = self.queue.pop()?;
        let Entry { session, rtcp, len } = self.entries[slot as usize];
        Some(Due { session, rtcp, slot, len })
    }

    /// The octets of a packet that was due and has not been given back.
    pub fn packet(&self, due: &Due) -> &[u8] {
        let start = due.slot as usize * MAX_HELD_LEN;
        &self.octets[start..start + usize::from(due.len)]
    }

    /// Makes room again.
    pub fn free(&mut self, due: Due) {
        self.free.push(due.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn all_due(held: &mut Held, now: Instant) -> Vec<(u64, bool, Vec<u8>)> {
        std::iter::from_fn(|| {
            let due = held.due(now)?;
            let packet = (due.session, due.rtcp, held.packet(&due).to_vec());
            held.free(due);
            Some(packet)
        })
        .collect()
    }

    #[test]
    fn packets_come_when_they_are_due_and_in_order() {
        let mut held = Held::new();
        assert!(held.keep(at(30), 1, false, b"late"));
        assert!(held.keep(at(20), 2, true, b"early"));
        assert!(held.keep(at(20), 2, false, b"early, too"));
        assert_eq!(held.next_deadline(), Some(at(20)));
        assert_eq!(all_due(&mut held, at(19)), []);
        let early = [(2, true, b"early".to_vec()), (2, false, b"early, too".to_vec())];
        assert_eq!(all_due(&mut held, at(20)), early);
        assert_eq!(all_due(&mut held, at(31)), [(1, false, b"late".to_vec())]);
        assert_eq!(held.next_deadline(), None);
    }

    #[test]
    fn what_finds_no_room_is_refused_and_room_comes_back() {
        let mut held = Held::new();
        assert!(!held.keep(at(1), 1, false, &[0; MAX_HELD_LEN + 1]));
        (0..MAX_HELD).for_each(|_| assert!(held.keep(at(1), 1, false, &[1; MAX_HELD_LEN])));
        assert!(!held.keep(at(1), 1, false, b"x"));
        let due = held.due(at(1)).unwrap();
        assert_eq!(held.packet(&due), [1; MAX_HELD_LEN]);
        assert!(!held.keep(at(1), 1, false, b"x"), "it has not been given back");
        held.free(due);
        assert!(held.keep(at(1), 1, false, b"x"));
    }
}
