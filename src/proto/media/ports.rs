//! The media ports of one SIP socket: even for RTP, the next for RTCP (RFC 3550 11).

use std::collections::VecDeque;

/// The free port pairs of one range. A returned pair goes to the end of the queue, so that late packets of an ended call do not
/// reach the next one.
#[derive(Debug, Default)]
pub struct PortPool {
    free: VecDeque<u16>,
}

impl PortPool {
    /// The pairs that lie wholly in `min..=max`, lowest first; at most `(max - min + 1) / 2`.
    pub fn new(min: u16, max: u16) -> Self {
        // port 0 asks the kernel for any port: it is never one of ours
        let first = u32::from(min.max(2)).next_multiple_of(2);
        let free = (first..u32::from(max)).step_by(2).map(|p| p as u16).collect();
        PortPool { free }
    }

    /// Takes the pair that has been free for longest; its RTP port. `None`: all are in use.
    pub fn take(&mut self) -> Option<u16> {
        self.free.pop_front()
    }

    /// Gives a pair back. It must have come from [`PortPool::take`].
    pub fn give(&mut self, port: u16) {
        debug_assert!(port.is_multiple_of(2) && !self.free.contains(&port), "{port} was not taken");
        self.free.push_back(port);
    }

    /// How many pairs are free.
    pub fn available(&self) -> usize {
        self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_lie_wholly_in_the_range() {
        let all = |min, max| PortPool::new(min, max).free.into_iter().collect::<Vec<_>>();
        assert_eq!(all(10_000, 10_003), [10_000, 10_002]);
        assert_eq!(all(10_001, 10_004), [10_002], "10004 would need 10005");
        assert_eq!(all(65_532, 65_535), [65_532, 65_534]);
        assert_eq!(all(65_535, 65_535), [0; 0]);
        assert_eq!(all(0, 5), [2, 4]);
        assert_eq!(all(20_000, 10_000), [0; 0]);
    }

    #[test]
    fn a_returned_pair_is_reused_last() {
        let mut pool = PortPool::new(10, 15);
        assert_eq!((pool.take(), pool.take()), (Some(10), Some(12)));
        pool.give(10);
        assert_eq!((pool.take(), pool.take(), pool.take()), (Some(14), Some(10), None));
        assert_eq!(pool.available(), 0);
    }
}
