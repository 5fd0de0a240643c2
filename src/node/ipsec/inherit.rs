//! What a run finds in the kernel that an earlier one has left there: sets that the core still knows are taken over, or put there again
//! when they have gone; all else of ours is removed.

use super::agent::{Agent, failure};
use super::convert;
use super::prepare::Notice;
use crate::base::trace::Level;
use crate::proto::sip::sec_agree::{REQIDS, Restored, SaFailure, SaSet, SetNumbers};
use platform::socket::{UdpOptions, bind_udp};
use platform::xfrm::{Left, Removed, StateId};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

impl Agent {
    /// Takes over a set that was made by an earlier run, with its counters and windows, when the kernel has all of it under the same
    /// keys; else puts it there again, where its sequence numbers go on (RFC 4303 2.2).
    pub fn restore(&mut self, set: &SaSet, numbers: &SetNumbers) -> Result<Restored, SaFailure> {
        let refused = |words: &str| SaFailure { is_taken: false, words: words.to_owned() };
        let Some(kernel) = &mut self.kernel else { return Err(refused("there is no IPsec here")) };
        let traffic = convert::traffic(set);
        let protection = convert::protection(set, set.lifetime);
        let is_there = kernel.xfrm.holds(&traffic, &protection.algorithms).unwrap_or(false);
        if is_there && kernel.xfrm.extend(&traffic, &protection).is_ok() {
            self.hold(set, traffic);
            return Ok(Restored::TakenOver);
        }
        // a part that is left, or one with other keys
        kernel.take_back(&traffic);
        let replay = numbers.each_ref().map(convert::replay);
        kernel.xfrm.install_again(&traffic, &protection, &replay).map_err(|e| failure(&e, &traffic))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_kernel_nothing_is_restored_and_nothing_left() {
        assert!(Agent::default().remove_left().is_none());
    }
}
