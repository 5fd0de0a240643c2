//! How many wrong answers a host may give: beyond it, its credentials are turned away unread until its time is over.
//!
//! A failure costs us several hashes and a search for its cause, and it is a guess at somebody's key. It counts against the host
//! that got the challenge, as far as that is known: an address that is merely written on a datagram gets no challenge, so nobody
//! is shut out by what others send in its name.

use crate::base::time::Instant;
use crate::ims::limits::{FAILURE_WINDOW, MAX_FAILING_SOURCES, MAX_FAILURES_PER_SOURCE};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// What a host has failed at in its window.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    until: Instant,
    /// Wrong answers to challenges of ours.
    wrong: u32,
    /// Answers to nonces that were never ours, which help a guesser as long as we say whether the password was right.
    stray: u32,
}

/// The hosts that have failed lately. All windows are of one length, so they end in the order in which they were opened.
#[derive(Debug, Default)]
pub struct Throttle {
    of_host: BTreeMap<IpAddr, Failures>,
    oldest_first: VecDeque<IpAddr>,
}

impl Throttle {
    /// How many more seconds the host's credentials are turned away, if they are.
    pub fn wait_secs(&self, host: IpAddr, now: Instant) -> Option<u64> {
        let failures = self.of_host.get(&host).filter(|f| f.until > now)?;
        let left = failures.until.since(now);
        (failures.wrong >= MAX_FAILURES_PER_SOURCE)
            .then(|| left.as_secs() + u64::from(left.subsec_nanos() > 0))
    }

    /// Counts a wrong answer; whether it is the one that closes the door.
    pub fn on_wrong(&mut self, host: IpAddr, now: Instant) -> bool {
        let failures = self.failures(host, now);
        failures.wrong += 1;
        failures.wrong == MAX_FAILURES_PER_SOURCE
    }

    /// Counts an answer to a nonce that is not ours; whether the host may still hear if its password is right.
    pub fn on_stray(&mut self, host: IpAddr, now: Instant) -> bool {
        let failures = self.failures(host, now);
        failures.stray = failures.stray.saturating_add(1);
        failures.stray <= MAX_FAILURES_PER_SOURCE
    }

    fn failures(&mut self, host: IpAddr, now: Instant) -> &mut Failures {
        let is_over = |of_host: &BTreeMap<IpAddr, Failures>, host: &IpAddr| {
            of_host.get(host).is_none_or(|failures| failures.until <= now)
        };
        while let Some(oldest) = self.oldest_first.front()
            && (is_over(&self.of_host, oldest)
                || self.of_host.len() >= MAX_FAILING_SOURCES && *oldest != host)
        {
            self.of_host.remove(oldest);
            self.oldest_first.pop_front();
        }
        self.of_host.entry(host).or_insert_with(|| {
            self.oldest_first.push_back(host);
            Failures { until: now + FAILURE_WINDOW, ..Failures::default() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;

    fn host(n: usize) -> IpAddr {
        IpAddr::from((n as u32).to_be_bytes())
    }

    #[test]
    fn the_door_closes_at_the_limit_for_that_host_and_opens_with_its_window() {
        let mut throttle = Throttle::default();
        let start = Instant::from_nanos(5);
        for n in 1..MAX_FAILURES_PER_SOURCE {
            assert!(!throttle.on_wrong(host(1), start), "{n}");
            assert_eq!(throttle.wait_secs(host(1), start), None);
        }
        assert!(throttle.on_wrong(host(1), start));
        let window = FAILURE_WINDOW.as_secs();
        assert_eq!(throttle.wait_secs(host(1), start), Some(window));
        assert_eq!(throttle.wait_secs(host(2), start), None);
        assert_eq!(throttle.wait_secs(host(1), start + FAILURE_WINDOW - Duration::from_nanos(1)), Some(1));
        let over = start + FAILURE_WINDOW;
        assert_eq!(throttle.wait_secs(host(1), over), None);
        assert!(!throttle.on_wrong(host(1), over), "counted anew");
    }

    #[test]
    fn answers_to_strange_nonces_close_no_door_but_get_no_hint_any_more() {
        let mut throttle = Throttle::default();
        let start = Instant::from_nanos(5);
        for _ in 0..MAX_FAILURES_PER_SOURCE {
            assert!(throttle.on_stray(host(1), start));
        }
        assert!(!throttle.on_stray(host(1), start));
        assert_eq!(throttle.wait_secs(host(1), start), None);
    }

    #[test]
    fn the_table_is_bounded_and_the_oldest_window_goes_first() {
        let mut throttle = Throttle::default();
        for n in 0..MAX_FAILING_SOURCES + 10 {
            throttle.on_wrong(host(n), Instant::from_nanos(n as u64));
        }
        assert_eq!(
            (throttle.of_host.len(), throttle.oldest_first.len()),
            (MAX_FAILING_SOURCES, MAX_FAILING_SOURCES)
        );
        assert!(!throttle.of_host.contains_key(&host(9)) && throttle.of_host.contains_key(&host(10)));
        throttle.on_wrong(host(10), Instant::from_nanos(1));
        assert_eq!(throttle.of_host[&host(10)].wrong, 2, "a known host needs no room");
        throttle.on_wrong(host(0), Instant::ZERO + FAILURE_WINDOW * 2);
        assert_eq!(
            (throttle.of_host.len(), throttle.oldest_first.len()),
            (1, 1),
            "windows that are over are gone"
        );
    }
}
