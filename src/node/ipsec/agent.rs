//! The sets of security associations that are in the kernel for us, and what takes them out again.

use super::convert;
use crate::api::cx::SetReader;
use crate::node::token::{Kind, Source};
use crate::proto::flow::LocalId;
use crate::proto::locals::Locals;
use crate::proto::sip::sec_agree::{SaFailure, SaNumbers, SaSet, SetCounters, SetNumbers};
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use platform::netlink::{Refusal, errno};
use platform::xfrm::{Expiries, Family, Lack, StateId, StateInfo, Traffic, Xfrm, guard};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// How often what the kernel says is asked for again when some of it was lost.
const NEWS_TRIES: usize = 8;
/// What the kernel counts of IPsec, of the network namespace of the thread that reads it.
const STATISTICS: &str = "/proc/thread-self/net/xfrm_stat";

/// A set that the kernel has.
#[derive(Debug)]
pub(super) struct Held {
    set: Box<SaSet>,
    pub(super) traffic: [Traffic; 4],
}

/// Our side of the kernel's IPsec; without any, it refuses every set.
///
/// Nothing of ours stays in the kernel when it is dropped. Connections at protected ports are to be closed before.
#[derive(Debug, Default)]
pub struct Agent {
    pub(super) kernel: Option<Kernel>,
    pub(super) sets: HashMap<u64, Held>,
    /// The set that each number of a pair belongs to.
    by_reqid: HashMap<u32, u64>,
    pub(super) locals: HashMap<SocketAddr, LocalId>,
}

#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) xfrm: Xfrm,
    expiries: Expiries,
}

/// What became of a set whose life was to be longer.
#[derive(Debug)]
pub enum Extended {
    /// It lives longer. Where its sequence numbers are, if the kernel has said so.
    Done(Option<SetNumbers>),
    /// The kernel does not have it any more.
    Lost,
    /// The kernel would not: it ends when it was to end.
    Refused(io::Error),
}

impl Agent {
    /// Takes over a kernel that can do IPsec, and puts guards before the protected ports of `locals`: nothing passes there
    /// outside of a set.
    pub fn new(mut xfrm: Xfrm, locals: &Locals) -> io::Result<Agent> {
        let protected = locals.iter().filter(|(id, _)| locals.is_protected(*id));
        let locals: HashMap<SocketAddr, LocalId> = protected.map(|(id, local)| (local.own, id)).collect();
        let expiries = Expiries::listen()?;
        let mut guards = locals.keys().flat_map(|own| guard(*own));
        // nothing to be undone when one fails: what has been added is dropped with the agent
        let guarded = guards.try_for_each(|g| xfrm.update_policy(&g));
        let mut agent = Agent::default();
        (agent.kernel, agent.locals) = (Some(Kernel { xfrm, expiries }), locals);
        guarded.map(|()| agent)
    }

    /// Lets the poll watch what the kernel says by itself.
    pub fn register(&self, registry: &Registry) -> io::Result<()> {
        let Some(kernel) = &self.kernel else { return Ok(()) };
        let fd = kernel.expiries.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&fd), Source::fixed(Kind::Sas, 0).token(), Interest::READABLE)
    }

    /// Puts a set into the kernel, whole or not at all.
    pub fn install(&mut self, set: &SaSet) -> Result<(), SaFailure> {
        let Some(kernel) = &mut self.kernel else {
            return Err(SaFailure { is_taken: false, words: "there is no IPsec here".to_owned() });
        };
        let traffic = convert::traffic(set);
        if let Err(e) = kernel.xfrm.install(&traffic, &convert::protection(set, set.lifetime)) {
            if refusal(&e).is_none() {
                kernel.take_back(&traffic);
            }
            return Err(failure(&e, &traffic));
        }
        self.hold(set, traffic);
        Ok(())
    }

    /// The kernel has this set.
    pub(super) fn hold(&mut self, set: &SaSet, traffic: [Traffic; 4]) {
        for t in &traffic {
            self.by_reqid.insert(t.reqid, set.id);
        }
        self.sets.insert(set.id, Held { set: Box::new(set.clone()), traffic });
    }

    /// Lets a set live for so long from now on.
    pub fn extend(&mut self, id: u64, lifetime: Duration) -> Extended {
        let (Some(kernel), Some(held)) = (&mut self.kernel, self.sets.get(&id)) else {
            return Extended::Lost;
        };
        match kernel.xfrm.extend(&held.traffic, &convert::protection(&held.set, lifetime)) {
            Ok(states) => {
                let numbers: Option<Vec<_>> = states.iter().map(convert::numbers).collect();
                Extended::Done(numbers.and_then(|numbers| numbers.try_into().ok()))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Extended::Lost,
            Err(e) => Extended::Refused(e),
        }
    }

    /// Takes a set out of the kernel, and says what it has counted; `None`: it was not there any more, or not whole.
    pub fn remove(&mut self, id: u64) -> Option<SetCounters> {
        let counters = self.counters(id);
        let held = self.sets.remove(&id)?;
        held.traffic.iter().for_each(|t| {
            self.by_reqid.remove(&t.reqid);
        });
        // what cannot be removed ends by itself
        let _ = self.kernel.as_mut()?.xfrm.remove(&held.traffic);
        counters
    }

    /// The protected ends of ours that a set has connections at, each with the end of the phone.
    pub fn connections(&self, id: u64) -> impl Iterator<Item = (LocalId, SocketAddr)> + use<> {
        // the first association comes in at the server port, the last at the client port
        let ends =
            self.sets.get(&id).map(|held| [&held.traffic[0], &held.traffic[3]].map(|t| (t.to, t.from)));
        let ends = ends.into_iter().flatten();
        let named: Vec<_> = ends.filter_map(|(own, ue)| Some((*self.locals.get(&own)?, ue))).collect();
        named.into_iter()
    }

    /// The sets of which the kernel has said that they ended by themselves.
    pub fn ended(&mut self) -> Vec<u64> {
        let Some(kernel) = &mut self.kernel else { return Vec::new() };
        let (mut ended, mut lost_news) = (HashSet::new(), false);
        for _ in 0..NEWS_TRIES {
            match kernel.expiries.take() {
                Ok(news) => {
                    let hard = news.iter().filter(|n| n.hard);
                    let of = |state: &StateId, reqid| {
                        let id = self.by_reqid.get(&reqid)?;
                        self.sets.get(id)?.traffic.iter().any(|t| t.state_id() == *state).then_some(*id)
                    };
                    ended.extend(hard.filter_map(|n| of(&n.id, n.reqid)));
                    break;
                }
                Err(_) => lost_news = true,
            }
        }
        if lost_news {
            ended.extend(self.missing());
        }
        ended.into_iter().collect()
    }

    /// Where the sequence numbers of the sets are of which the kernel has every part.
    pub fn numbers(&mut self) -> Vec<(u64, SetNumbers)> {
        let Some(Ok(states)) = self.kernel.as_mut().map(|k| k.xfrm.states()) else { return Vec::new() };
        let all: HashMap<StateId, SaNumbers> =
            states.iter().filter_map(|s| Some((s.id, convert::numbers(s)?))).collect();
        let of = |held: &Held| {
            let numbers: Option<Vec<_>> =
                held.traffic.iter().map(|t| all.get(&t.state_id()).copied()).collect();
            numbers?.try_into().ok()
        };
        self.sets.iter().filter_map(|(id, held)| Some((*id, of(held)?))).collect()
    }

    /// The sets of which the kernel does not have every part.
    fn missing(&mut self) -> Vec<u64> {
        let Some(Ok(states)) = self.kernel.as_mut().map(|k| k.xfrm.states()) else { return Vec::new() };
        let there: HashSet<StateId> = states.into_iter().map(|s| s.id).collect();
        let is_whole = |held: &Held| held.traffic.iter().all(|t| there.contains(&t.state_id()));
        self.sets.iter().filter(|(_, held)| !is_whole(held)).map(|(id, _)| *id).collect()
    }

    /// Takes everything of ours out of the kernel: sets, then guards.
    pub fn clear(&mut self) {
        let Some(mut kernel) = self.kernel.take() else { return };
        let all: Vec<Traffic> = self.sets.drain().flat_map(|(_, held)| held.traffic).collect();
        self.by_reqid.clear();
        // what cannot be removed is found by the next start
        let _ = kernel.xfrm.remove(&all);
        for policy in self.locals.keys().flat_map(|own| guard(*own)) {
            let _ = kernel.xfrm.delete_policy(&policy);
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.clear();
    }
}

impl SetReader for Agent {
    fn counters(&mut self, set: u64) -> Option<SetCounters> {
        let traffic = &self.sets.get(&set)?.traffic;
        let states = self.kernel.as_mut()?.xfrm.read(traffic).ok()?;
        let counters: Option<Vec<_>> = states.iter().map(|s| s.as_ref().map(convert::counters)).collect();
        counters?.try_into().ok()
    }

    fn unknown_spi(&mut self) -> Option<u64> {
        self.kernel.as_ref()?;
        no_states(&std::fs::read_to_string(STATISTICS).ok()?)
    }
}

impl Kernel {
    /// Removes what is there of a set of which the kernel did not say whether it took it, or which it has not whole.
    pub(super) fn take_back(&mut self, traffic: &[Traffic; 4]) {
        let Ok(states) = self.xfrm.read(traffic) else { return };
        let is_ours = |(t, s): &(&Traffic, Option<StateInfo>)| s.as_ref().is_some_and(|s| s.reqid == t.reqid);
        let ours: Vec<Traffic> = traffic.iter().zip(states).filter(is_ours).map(|(t, _)| *t).collect();
        let _ = self.xfrm.remove(&ours);
    }
}

fn refusal(error: &io::Error) -> Option<&Refusal> {
    error.get_ref()?.downcast_ref()
}

/// Why the kernel would not take a set, and what to do.
pub(super) fn failure(error: &io::Error, traffic: &[Traffic; 4]) -> SaFailure {
    let is_taken = error.kind() == io::ErrorKind::AlreadyExists;
    let lack = Lack::of(error, Family::of(traffic[0].to.ip()));
    let is_short =
        errno(error).is_some_and(|code| platform::socket::is_congestion(&io::Error::from_raw_os_error(code)));
    let words = match lack {
        _ if is_taken => error.to_string(),
        _ if error.kind() == io::ErrorKind::WouldBlock => "the kernel does not answer".to_owned(),
        _ if is_short => format!("{error}: the kernel is short of memory, see `free` and `dmesg`"),
        Lack::Other(_) => error.to_string(),
        lack => format!("{error}: {lack}"),
    };
    SaFailure { is_taken, words }
}

/// XfrmInNoStates of the kernel's statistics (Documentation/networking/xfrm_proc.rst).
fn no_states(statistics: &str) -> Option<u64> {
    let mut rows = statistics.lines().map(str::split_whitespace);
    rows.find_map(|mut row| (row.next()? == "XfrmInNoStates").then(|| row.next()?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(errno: i32) -> SaFailure {
        let at = |text: &str| text.parse().unwrap();
        let traffic = Traffic {
            direction: platform::xfrm::Direction::In,
            from: at("192.0.2.77:31112"),
            to: at("192.0.2.1:6100"),
            spi: 4097,
            reqid: 1,
        };
        failure(&Refusal { errno, words: String::new() }.into(), &[traffic; 4])
    }

    #[test]
    fn a_refusal_says_whether_other_numbers_may_do_and_else_what_to_do() {
        let [eperm, enomem, eexist, einval, enobufs] = [1, 12, 17, 22, 105];
        assert!(refused(eexist).is_taken);
        for (errno, words) in
            [(eperm, "CAP_NET_ADMIN"), (enomem, "memory"), (enobufs, "memory"), (einval, "")]
        {
            let failure = refused(errno);
            assert!(!failure.is_taken && failure.words.contains(words), "{failure:?}");
        }
    }

    #[test]
    fn packets_of_unknown_associations_are_counted_by_the_kernel() {
        let text = "XfrmInError             \t0\nXfrmInNoStates          \t17\nXfrmOutNoStates\t3\n";
        assert_eq!((no_states(text), no_states("XfrmInError 0\n")), (Some(17), None));
    }

    #[test]
    fn without_a_kernel_every_set_is_refused_and_nothing_counted() {
        let mut agent = Agent::default();
        assert!(matches!(agent.extend(1, Duration::from_secs(1)), Extended::Lost));
        assert_eq!((agent.remove(1), agent.counters(1), agent.unknown_spi()), (None, None, None));
        assert_eq!((agent.connections(1).count(), agent.ended()), (0, Vec::new()));
    }
}
