//! What a run that did not end cleanly left behind, told from what belongs to others and to runs that go on.

use super::set::GUARD_PRIORITY;
use super::{Action, Direction, Policy, PolicyInfo, Removed, StateId, Xfrm};
use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

/// What is left at a local address and port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// A process that goes on has it.
    Nothing,
    /// It is ours: the guards are new, the sets that are not held are old.
    Sets,
    /// Nobody has it.
    All,
}

impl Xfrm {
    /// Finds and removes the sets and guards that nobody holds any more: policies with one of our numbers, or of a guard's rank,
    /// whose local address and port are `left`, with their states; and states of ours at these addresses without
    /// any policy. Which is ours is told by `reqids` and the local addresses; a process that goes on is told by its ports. What is
    /// `held` stays.
    pub fn remove_left(
        &mut self,
        reqids: &RangeInclusive<u32>,
        addresses: &[IpAddr],
        held: &HashSet<StateId>,
        mut left_at: impl FnMut(SocketAddr) -> Left,
    ) -> io::Result<Removed> {
        // states first: a set that somebody installs meanwhile has its policies by the time that they are listed
        let states = self.states()?;
        let policies = self.policies()?;
        let mut kept: HashSet<StateId> = HashSet::new();
        let mut left = Vec::new();
        for info in &policies {
            let end = local_end(info, reqids).filter(|end| addresses.contains(&end.ip()));
            let state = named_state(info);
            let is_left = end.is_some_and(|end| match left_at(end) {
                Left::Nothing => false,
                Left::Sets => state.is_some_and(|state| !held.contains(&state)),
                Left::All => state.is_none_or(|state| !held.contains(&state)),
            });
            if is_left {
                left.extend(policy(info));
            } else {
                kept.extend(state);
            }
        }
        let ours = states.iter().filter(|s| {
            let is_here = [s.id.source, s.id.destination].iter().any(|ip| addresses.contains(ip));
            reqids.contains(&s.reqid) && is_here && !kept.contains(&s.id) && !held.contains(&s.id)
        });
        let ours = ours.map(|s| (s.id, s.bound)).collect();
        self.delete_all(ours, left)
    }
}

/// Our address and port of a policy that may be ours.
fn local_end(info: &PolicyInfo, reqids: &RangeInclusive<u32>) -> Option<SocketAddr> {
    let is_candidate = match info.action? {
        Action::Protect(template) => reqids.contains(&template.reqid),
        Action::Block => info.priority == GUARD_PRIORITY,
    };
    let selector = &info.selector;
    let (ip, port) = match info.direction? {
        Direction::In => (selector.destination.address, selector.destination_port),
        Direction::Out => (selector.source.address, selector.source_port),
    };
    Some(SocketAddr::new(ip, port?)).filter(|_| is_candidate)
}

fn policy(info: &PolicyInfo) -> Option<Policy> {
    let (action, direction) = (info.action?, info.direction?);
    let PolicyInfo { selector, priority, lifetime, bound, .. } = *info;
    Some(Policy { selector, direction, priority, action, lifetime, bound })
}

fn named_state(info: &PolicyInfo) -> Option<StateId> {
    match info.action? {
        Action::Protect(t) => Some(StateId { source: t.source, destination: t.destination, spi: t.spi }),
        Action::Block => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xfrm::{Bound, Lifetime, Traffic, guard};

    fn info(policy: Policy) -> PolicyInfo {
        let Policy { selector, direction, priority, action, lifetime, bound } = policy;
        PolicyInfo { selector, direction: Some(direction), priority, action: Some(action), lifetime, bound }
    }

    #[test]
    fn the_local_end_is_told_from_direction_and_others_have_none() {
        let (here, there) = ("192.0.2.1:6100".parse().unwrap(), "192.0.2.77:31112".parse().unwrap());
        for (direction, from, to) in [(Direction::In, there, here), (Direction::Out, here, there)] {
            let traffic = Traffic { direction, from, to, spi: 7, reqid: 0x100 };
            let info = info(traffic.policy(Lifetime::ENDLESS));
            assert_eq!(local_end(&info, &(0x100..=0x1ff)), Some(here));
            assert_eq!(local_end(&info, &(0x200..=0x2ff)), None);
            assert_eq!(named_state(&info), Some(traffic.state_id()));
            assert_eq!(policy(&info), Some(traffic.policy(Lifetime::ENDLESS)));
        }
        for block in guard(here) {
            assert_eq!(local_end(&info(block), &(0..=0)), Some(here));
            let foreign = Policy { priority: 1, bound: Bound::default(), ..block };
            assert_eq!(local_end(&info(foreign), &(0..=u32::MAX)), None);
        }
    }
}
