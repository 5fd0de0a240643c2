//! States and policies that belong together, put into the kernel and taken out as one; and finding again what is ours.

use super::{
    Action, Algorithms, Bound, Direction, Family, Lifetime, Net, Policy, Replay, Selector, State, StateId,
    StateInfo, Template, Xfrm, decode, encode,
};
use crate::netlink::{Batch, Refusal, errno};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Rank of the policies of a set.
const PRIORITY: u32 = 2080;
/// Rank of the policies that block what no set lets through: after those of every set, and nobody else's number.
pub(super) const GUARD_PRIORITY: u32 = 0x696d_7362;
/// Packets that may come late, the most that the kernel's simple window has.
const REPLAY_WINDOW: u8 = 32;

/// One way of the traffic between two ports, UDP and TCP alike, that is protected by one state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Traffic {
    /// Which way.
    pub direction: Direction,
    /// Who sends.
    pub from: SocketAddr,
    /// Who receives; of the same IP version.
    pub to: SocketAddr,
    /// The receiver's number for the state.
    pub spi: u32,
    /// The number by which the policy and its state belong together, and are known as ours.
    pub reqid: u32,
}

/// How the traffic of a set is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protection<'a> {
    /// Algorithms and keys.
    pub algorithms: Algorithms<'a>,
    /// When states and policies end by themselves, counted from now.
    pub lifetime: Lifetime,
}

impl Traffic {
    /// Its state.
    pub fn state<'a>(&self, protection: &Protection<'a>) -> State<'a> {
        State {
            id: self.state_id(),
            reqid: self.reqid,
            algorithms: protection.algorithms,
            lifetime: protection.lifetime,
            replay_window: REPLAY_WINDOW,
            replay: Replay::default(),
            bound: Bound::default(),
        }
    }

    /// What its state is known by.
    pub fn state_id(&self) -> StateId {
        StateId { source: self.from.ip(), destination: self.to.ip(), spi: self.spi }
    }

    /// Its policy, which names the state by SPI: traffic of other ports between the same addresses has states of its own.
    pub fn policy(&self, lifetime: Lifetime) -> Policy {
        let StateId { source, destination, spi } = self.state_id();
        Policy {
            selector: Selector::between(self.from, self.to),
            direction: self.direction,
            priority: PRIORITY,
            action: Action::Protect(Template { source, destination, spi, reqid: self.reqid }),
            lifetime,
            bound: Bound::default(),
        }
    }
}

/// The policies that drop whatever comes to or leaves a local address and port, unless a set lets it through: what is sent after a
/// set has ended does not leave in clear, TCP's retransmissions least of all. Add them with [`Xfrm::update_policy`], which does no
/// harm where they are already.
pub fn guard(local: SocketAddr) -> [Policy; 2] {
    let (here, port) = (Net::host(local.ip()), Some(local.port()));
    let anywhere = Net::any(Family::of(local.ip()));
    let policy = |direction, selector| Policy {
        selector,
        direction,
        priority: GUARD_PRIORITY,
        action: Action::Block,
        lifetime: Lifetime::ENDLESS,
        bound: Bound::default(),
    };
    let inward = Selector {
        source: anywhere,
        destination: here,
        source_port: None,
        destination_port: port,
        protocol: 0,
    };
    let outward = Selector {
        source: here,
        destination: anywhere,
        source_port: port,
        destination_port: None,
        protocol: 0,
    };
    [policy(Direction::In, inward), policy(Direction::Out, outward)]
}

/// What is ours among the kernel's states and policies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ours<'a> {
    /// The numbers that we give.
    pub reqids: RangeInclusive<u32>,
    /// The local addresses that we use; none: all.
    pub addresses: &'a [IpAddr],
}

impl Ours<'_> {
    fn holds(&self, reqid: u32, source: IpAddr, destination: IpAddr) -> bool {
        self.reqids.contains(&reqid) && self.is_here(source, destination)
    }

    fn is_here(&self, source: IpAddr, destination: IpAddr) -> bool {
        self.addresses.is_empty() || self.addresses.iter().any(|a| *a == source || *a == destination)
    }
}

/// How much was removed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Removed {
    /// States.
    pub states: usize,
    /// Policies.
    pub policies: usize,
}

impl Xfrm {
    /// Puts the set into the kernel, states first; all of it or nothing. Something in its place already is an error
    /// (`AlreadyExists`): two sets need different SPIs, and of two ports one that differs.
    pub fn install(&mut self, set: &[Traffic], protection: &Protection<'_>) -> io::Result<()> {
        self.install_again(set, protection, &[])
    }

    /// As [`Xfrm::install`], for a set that was in use before: the sequence numbers of its states go on from here, in the order of the
    /// set. The other side drops what has a number that it has seen, some algorithms are broken by a number that is used twice, and
    /// packets of before are not taken again.
    pub fn install_again(
        &mut self,
        set: &[Traffic],
        protection: &Protection<'_>,
        replay: &[Replay],
    ) -> io::Result<()> {
        let mut batch = Batch::new();
        for (at, t) in set.iter().enumerate() {
            let replay = replay.get(at).copied().unwrap_or_default();
            encode::add_state(&mut batch, &State { replay, ..t.state(protection) });
        }
        set.iter().for_each(|t| encode::add_policy(&mut batch, &t.policy(protection.lifetime)));
        let outcomes = self.netlink.transact(&batch, |_, _, _| {})?;
        let Some(failed) = outcomes.iter().position(Result::is_err) else { return Ok(()) };
        let mut undo = Batch::new();
        for (i, _) in outcomes.iter().enumerate().filter(|(_, o)| o.is_ok()) {
            let traffic = &set[i % set.len()];
            match i < set.len() {
                true => encode::delete_state(&mut undo, &traffic.state_id(), Bound::default()),
                false => encode::delete_policy(&mut undo, &traffic.policy(Lifetime::ENDLESS)),
            }
        }
        self.netlink.transact(&undo, |_, _, _| {})?;
        let kind = if failed < set.len() { "security association" } else { "policy" };
        let error =
            outcomes.into_iter().nth(failed).and_then(Result::err).expect("it is the one that failed");
        Err(named(&error, kind, &set[failed % set.len()]))
    }

    /// What the kernel has of the state of each traffic of the set, in its order.
    pub fn read(&mut self, set: &[Traffic]) -> io::Result<Vec<Option<StateInfo>>> {
        let mut batch = Batch::new();
        set.iter().for_each(|t| encode::get_state(&mut batch, &t.state_id(), Bound::default()));
        let mut found: Vec<Option<StateInfo>> = set.iter().map(|_| None).collect();
        let outcomes = self.netlink.transact(&batch, |at, _, content| found[at] = decode::state(content))?;
        for (found, outcome) in found.iter_mut().zip(outcomes) {
            if !super::existed(outcome)? {
                *found = None;
            }
        }
        Ok(found)
    }

    /// Whether the kernel has the state of each traffic of the set, with its number, these algorithms and these keys. A kernel that
    /// shows no keys (lockdown) has none of them.
    pub fn holds(&mut self, set: &[Traffic], algorithms: &Algorithms<'_>) -> io::Result<bool> {
        let mut batch = Batch::new();
        set.iter().for_each(|t| encode::get_state(&mut batch, &t.state_id(), Bound::default()));
        let mut same = vec![false; set.len()];
        let outcomes = self.netlink.transact(&batch, |at, _, content| {
            let info = decode::state(content);
            let is_named = info.is_some_and(|s| s.reqid == set[at].reqid && s.id == set[at].state_id());
            same[at] = is_named && decode::has_algorithms(content, algorithms);
        })?;
        for (same, outcome) in same.iter_mut().zip(outcomes) {
            *same &= super::existed(outcome)?;
        }
        Ok(same.iter().all(|same| *same))
    }

    /// Lets the set live for the lifetime from now on. States keep their keys, counters and windows. Gives the states as they were. The
    /// error `NotFound` says that a state is not there any more.
    pub fn extend(&mut self, set: &[Traffic], protection: &Protection<'_>) -> io::Result<Vec<StateInfo>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let found = self.read(set)?;
        let mut batch = Batch::new();
        for (traffic, info) in set.iter().zip(&found) {
            let Some(info) = info else {
                let gone = Refusal { errno: libc::ESRCH, words: String::new() };
                return Err(named(&gone.into(), "security association", traffic));
            };
            // a state's time runs from when it was added, even when it gets another
            let age = now.saturating_sub(info.added);
            let later = |time: Option<Duration>| time.map(|t| t + age);
            let mut state = traffic.state(protection);
            state.lifetime =
                Lifetime { soft: later(protection.lifetime.soft), hard: later(protection.lifetime.hard) };
            encode::update_state(&mut batch, &state);
            encode::update_policy(&mut batch, &traffic.policy(protection.lifetime));
        }
        for (i, outcome) in self.netlink.transact(&batch, |_, _, _| {})?.into_iter().enumerate() {
            let kind = if i % 2 == 0 { "security association" } else { "policy" };
            outcome.map_err(|e| named(&e, kind, &set[i / 2]))?;
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Takes the set out of the kernel, as far as it is there: states first, so that nothing leaves in clear meanwhile.
    pub fn remove(&mut self, set: &[Traffic]) -> io::Result<Removed> {
        let states = set.iter().map(|t| (t.state_id(), Bound::default()));
        let policies = set.iter().map(|t| t.policy(Lifetime::ENDLESS));
        self.delete_all(states.collect(), policies.collect())
    }

    /// Finds and removes what is ours, guards included: what an earlier run left behind.
    pub fn remove_ours(&mut self, ours: &Ours<'_>) -> io::Result<Removed> {
        let states = self.states()?.into_iter();
        let states = states.filter(|s| ours.holds(s.reqid, s.id.source, s.id.destination));
        let policies = self.policies()?.into_iter().filter_map(|p| {
            let (action, direction) = (p.action?, p.direction?);
            let (source, destination) = (p.selector.source.address, p.selector.destination.address);
            let is_ours = match action {
                Action::Protect(template) => ours.holds(template.reqid, source, destination),
                Action::Block => p.priority == GUARD_PRIORITY && ours.is_here(source, destination),
            };
            let (selector, priority, lifetime, bound) = (p.selector, p.priority, p.lifetime, p.bound);
            is_ours.then_some(Policy { selector, direction, priority, action, lifetime, bound })
        });
        let states = states.map(|s| (s.id, s.bound)).collect();
        self.delete_all(states, policies.collect())
    }

    pub(super) fn delete_all(
        &mut self,
        states: Vec<(StateId, Bound)>,
        policies: Vec<Policy>,
    ) -> io::Result<Removed> {
        let mut batch = Batch::new();
        states.iter().for_each(|(id, bound)| encode::delete_state(&mut batch, id, *bound));
        policies.iter().for_each(|policy| encode::delete_policy(&mut batch, policy));
        let mut removed = Removed::default();
        for (i, outcome) in self.netlink.transact(&batch, |_, _, _| {})?.into_iter().enumerate() {
            let there = usize::from(super::existed(outcome)?);
            if i < states.len() {
                removed.states += there;
            } else {
                removed.policies += there;
            }
        }
        Ok(removed)
    }
}

/// The error, with what it is about.
fn named(error: &io::Error, kind: &str, traffic: &Traffic) -> io::Error {
    let Some(number) = errno(error) else { return io::Error::new(error.kind(), error.to_string()) };
    let Traffic { from, to, spi, .. } = traffic;
    let kernel = error.get_ref().and_then(|e| e.downcast_ref::<Refusal>()).map(|r| r.words.as_str());
    let kernel = kernel.filter(|w| !w.is_empty()).map_or(String::new(), |w| format!(" ({w})"));
    let words = format!("{kind} from {from} to {to}, SPI {spi}{kernel}");
    if number == libc::ESRCH {
        return io::Error::new(io::ErrorKind::NotFound, Refusal { errno: number, words });
    }
    Refusal { errno: number, words }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_covers_both_ways_of_one_port() {
        let [inward, outward] = guard("[2001:db8::1]:5063".parse().unwrap());
        assert_eq!((inward.direction, outward.direction), (Direction::In, Direction::Out));
        assert_eq!(
            (inward.selector.destination_port, inward.selector.source_port, inward.selector.source.prefix),
            (Some(5063), None, 0)
        );
        assert_eq!((outward.selector.source_port, outward.selector.destination.prefix), (Some(5063), 0));
        assert!(inward.priority > PRIORITY && inward.action == Action::Block);
    }

    #[test]
    fn ours_is_told_by_number_and_address() {
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.77".parse().unwrap());
        let addresses = [here];
        let ours = Ours { reqids: 0x100..=0x1ff, addresses: &addresses };
        assert!(ours.holds(0x100, here, there) && ours.holds(0x1ff, there, here));
        assert!(!ours.holds(0x200, here, there) && !ours.holds(0x100, there, there));
        assert!(Ours { reqids: 0..=1, addresses: &[] }.holds(1, there, there));
    }

    #[test]
    fn errors_name_the_traffic() {
        let traffic = Traffic {
            direction: Direction::In,
            from: "192.0.2.77:31112".parse().unwrap(),
            to: "192.0.2.1:5063".parse().unwrap(),
            spi: 4097,
            reqid: 1,
        };
        let refusal = Refusal { errno: libc::EEXIST, words: "here already".into() };
        let error = named(&refusal.into(), "policy", &traffic);
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        let words = error.to_string();
        assert!(
            words.starts_with("policy from 192.0.2.77:31112 to 192.0.2.1:5063, SPI 4097 (here already): ")
        );
        let gone = named(&Refusal { errno: libc::ESRCH, words: String::new() }.into(), "x", &traffic);
        assert_eq!((gone.kind(), errno(&gone)), (io::ErrorKind::NotFound, Some(libc::ESRCH)));
    }
}
