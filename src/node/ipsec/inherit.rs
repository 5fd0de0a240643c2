//! What a run finds in the kernel that an earlier one has left there: sets that the core still knows are taken over, or put there again
//! when they have gone; all else of ours is removed.

use super::agent::{Agent, failure};
use super::convert;
use super::prepare::Notice;
use crate::base::trace::Level;
use crate::proto::sip::sec_agree::{REQIDS, Restored, SaFailure, SaSet};
use platform::socket::{UdpOptions, bind_udp};
use platform::xfrm::{Left, Removed, StateId};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The most packets that go out through one association in a second, on the average of its life; SIP with one phone has a few. What an
/// association has sent cannot be known once the kernel has lost it, but is less than its age times this.
pub const HIGHEST_RATE: u64 = 1000;

/// Sequence numbers that an association must have left to be worth putting into the kernel again: four hours at the highest rate.
const WORTHWHILE: u64 = HIGHEST_RATE * 4 * 3600;

impl Agent {
    /// Takes over a set that was made `age` ago by an earlier run, with its counters and windows, when the kernel has all of it under
    /// the same keys; else puts it there again.
    ///
    /// Sequence numbers then go on where no packet has been (RFC 4303 2.2): a phone drops what has a number that it has seen, and a
    /// counter mode must not use one twice. Which packets of the phone had come is not known any more.
    pub fn restore(&mut self, set: &SaSet, age: Duration) -> Result<Restored, SaFailure> {
        let refused = |words: &str| SaFailure { is_taken: false, words: words.to_owned() };
        let Some(kernel) = &mut self.kernel else { return Err(refused("there is no IPsec here")) };
        let traffic = convert::traffic(set);
        let protection = convert::protection(set, set.lifetime);
        let is_there = kernel.xfrm.holds(&traffic, &protection.algorithms).unwrap_or(false);
        if is_there && kernel.xfrm.extend(&traffic, &protection).is_ok() {
            self.hold(set, traffic);
            return Ok(Restored::TakenOver);
        }
        let sent =
            first_number(age).ok_or_else(|| refused("too old: its sequence numbers may be used up"))?;
        // a part that is left, or one with other keys
        kernel.take_back(&traffic);
        kernel.xfrm.install_again(&traffic, &protection, sent).map_err(|e| failure(&e, &traffic))?;
        self.hold(set, traffic);
        Ok(Restored::Installed)
    }

    /// Removes what a run left behind that did not end cleanly, at ports that we have now and at those that nobody has: all but guards of
    /// ours and sets that are held. For the operator, what was done.
    pub fn remove_left(&mut self) -> Option<Notice> {
        let kernel = self.kernel.as_mut()?;
        let held: HashSet<StateId> =
            self.sets.values().flat_map(|held| held.traffic.map(|t| t.state_id())).collect();
        let addresses: Vec<IpAddr> =
            self.locals.keys().map(SocketAddr::ip).collect::<HashSet<_>>().into_iter().collect();
        let options = UdpOptions { buffer: 0, errors: false, local_address: false };
        let (locals, mut known) = (&self.locals, HashMap::new());
        let left_at = |end| match locals.contains_key(&end) {
            true => Left::Sets,
            false => *known.entry(end).or_insert_with(|| match bind_udp(end, options) {
                Ok(_) => Left::All,
                Err(_) => Left::Nothing,
            }),
        };
        let (level, text) = match kernel.xfrm.remove_left(&REQIDS, &addresses, &held, left_at) {
            Ok(Removed { states: 0, policies: 0 }) => return None,
            Ok(Removed { states, policies }) => (
                Level::Info,
                format!("{states} security associations and {policies} policies of an earlier run removed"),
            ),
            Err(e) => (Level::Warn, format!("what an earlier run left may be there still: {e}")),
        };
        Some(Notice { level, text })
    }
}

/// The sequence number that the packets of a set follow that is so old; none when too few are left.
fn first_number(age: Duration) -> Option<u32> {
    let most = u64::try_from(age.as_millis()).ok()?.checked_mul(HIGHEST_RATE)?.div_ceil(1000);
    // what is sent in the first moments of an association comes faster than on the average
    let sent = most + HIGHEST_RATE;
    u32::try_from(sent).ok().filter(|sent| u64::from(*sent) + WORTHWHILE <= u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_set_that_is_restored_again_and_again_never_repeat() {
        let mut used = 0;
        for hours in 0..1000 {
            let Some(sent) = first_number(Duration::from_secs(3600 * hours)) else { break };
            assert!(sent > used, "after {hours} h");
            // as fast as may be until the next time
            used = sent + 3600 * HIGHEST_RATE as u32 - 1;
        }
        assert!(first_number(Duration::from_secs(3600 * 1000)).is_some(), "a month and more");
        assert_eq!(first_number(Duration::from_secs(3600 * 24 * 50)), None);
        assert_eq!(first_number(Duration::MAX), None);
    }

    #[test]
    fn without_a_kernel_nothing_is_restored_and_nothing_left() {
        assert!(Agent::default().remove_left().is_none());
    }
}
