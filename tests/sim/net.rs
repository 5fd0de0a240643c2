//! The network: delay, loss, duplication, reordering, and connections that are reset.

use crate::kernel::Esp;
use crate::world::{Decision, DiskNews};
use imsbox::base::rng::Rng;
use imsbox::base::time::{Duration, Instant};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;

/// What goes wrong, in thousandths, until the faults end.
#[derive(Clone, Debug)]
pub struct Faults {
    pub loss: u64,
    pub duplication: u64,
    pub reordering: u64,
    pub reset: u64,
    pub media_refused: u64,
    /// Of the things that people do: how often a phone crashes, and the operator ends a call.
    pub crash: u64,
    pub stop: u64,
    /// Of policy sessions: refused or lost, and granted late or never.
    pub bearer_refused: u64,
    pub bearer_late: u64,
    /// How often a phone is out of reach for a while, of the things that people do.
    pub cut: u64,
    /// Of commands to the kernel: late, and refused because something is there or for good; of the things that people do: how often an
    /// administrator removes associations.
    pub kernel_late: u64,
    pub kernel_taken: u64,
    pub kernel_refused: u64,
    pub kernel_loses: u64,
    /// Of records for the disk: late, and refused for a while.
    pub disk_late: u64,
    pub disk_refuses: u64,
    /// How often somebody forges packets, of the things that people do. That is no fault: nothing may come of it.
    pub forgery: u64,
}

impl Faults {
    /// A perfect network.
    pub fn none() -> Self {
        Faults {
            loss: 0,
            duplication: 0,
            reordering: 0,
            reset: 0,
            media_refused: 0,
            crash: 0,
            stop: 0,
            bearer_refused: 0,
            bearer_late: 0,
            cut: 0,
            kernel_late: 0,
            kernel_taken: 0,
            kernel_refused: 0,
            kernel_loses: 0,
            disk_late: 0,
            disk_refuses: 0,
            forgery: 500,
        }
    }

    /// A perfect network, and a kernel that is slow and refuses much, but loses nothing.
    pub fn of_kernel(rng: &mut Rng) -> Self {
        let [kernel_late, kernel_taken, kernel_refused] = [300, 300, 200].map(|most| rng.below(most));
        Faults { kernel_late, kernel_taken, kernel_refused, ..Faults::none() }
    }

    /// Whether nothing goes wrong with messages.
    pub fn is_none(&self) -> bool {
        self.loss + self.duplication + self.reordering + self.reset == 0
    }

    /// A fault mix of its own for each seed: some have one kind only, some all.
    pub fn drawn(rng: &mut Rng) -> Self {
        let mut up_to = |most| if rng.below(3) == 0 { 0 } else { rng.below(most) };
        Faults {
            loss: up_to(350),
            duplication: up_to(300),
            reordering: up_to(400),
            reset: up_to(40),
            media_refused: up_to(200),
            crash: up_to(150),
            stop: up_to(200),
            bearer_refused: up_to(150),
            bearer_late: up_to(200),
            cut: up_to(150),
            kernel_late: up_to(200),
            kernel_taken: up_to(300),
            kernel_refused: up_to(150),
            kernel_loses: up_to(80),
            forgery: up_to(900),
            disk_late: up_to(400),
            disk_refuses: up_to(100),
        }
    }
}

/// One thing that arrives somewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arrival {
    /// A message from a phone at the server. `conn` is 0 on UDP.
    AtServer { phone: usize, conn: u64, octets: Vec<u8>, esp: Option<Esp> },
    /// A message from the server at a phone.
    AtPhone { phone: usize, octets: Vec<u8>, esp: Option<Esp> },
    /// A datagram in clear from somebody who writes a phone's address on it.
    Forged { from: SocketAddr, octets: Vec<u8> },
    /// The outcome of opening a port pair.
    MediaOpened { session: u64, ok: bool },
    /// What the policy server says of a session.
    Bearers { session: u64, decision: Decision },
    /// What the core is told of its disk.
    Disk(DiskNews),
    /// The server learns that a connection has gone.
    Closed { conn: u64 },
}

/// Everything that is under way, in the order of arrival.
pub struct Net {
    queue: BinaryHeap<Reverse<(Instant, u64, Arrival)>>,
    sequence: u64,
    /// When the last datagram to or from a phone arrives; a perfect network keeps their order.
    last: HashMap<(usize, bool), Instant>,
    pub faults: Faults,
    pub lost: u64,
    pub duplicated: u64,
}

impl Net {
    pub fn new(faults: Faults) -> Self {
        Net { queue: BinaryHeap::new(), sequence: 0, last: HashMap::new(), faults, lost: 0, duplicated: 0 }
    }

    /// Lets a datagram travel: it arrives never, once or twice, in any order when reordered.
    pub fn datagram(&mut self, now: Instant, rng: &mut Rng, arrival: Arrival) {
        if rng.below(1000) < self.faults.loss {
            self.lost += 1;
            return;
        }
        if rng.below(1000) < self.faults.duplication {
            self.duplicated += 1;
            let late = self.delay(rng) + Duration::from_millis(rng.below(3000));
            self.at(now + late, arrival.clone());
        }
        let mut at = now + self.delay(rng);
        let way = match &arrival {
            Arrival::AtServer { phone, .. } => Some((*phone, true)),
            Arrival::AtPhone { phone, .. } => Some((*phone, false)),
            _ => None,
        };
        if let Some(way) = way.filter(|_| self.faults.is_none()) {
            at = self.last.get(&way).map_or(at, |last| at.max(*last));
            self.last.insert(way, at);
        }
        self.at(at, arrival);
    }

    /// Lets a message travel on a stream: in order, never lost.
    pub fn stream(&mut self, now: Instant, arrival: Arrival) {
        self.at(now + Duration::from_millis(20), arrival);
    }

    pub fn at(&mut self, at: Instant, arrival: Arrival) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence, arrival)));
    }

    pub fn next(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse((at, _, _))| *at)
    }

    pub fn pop(&mut self, now: Instant) -> Option<Arrival> {
        (self.next()? <= now).then(|| self.queue.pop().expect("peeked").0.2)
    }

    fn delay(&self, rng: &mut Rng) -> Duration {
        let jitter = if rng.below(1000) < self.faults.reordering { rng.below(1500) } else { 0 };
        Duration::from_millis(10 + rng.below(30) + jitter)
    }
}
