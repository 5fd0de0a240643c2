//! The kernel's side of IPsec, made up: it carries out commands one after another, late, or never in time, refuses some, loses some,
//! and lets a packet of a protected port pass only where both sides hold the same association under the same keys.

use crate::net::Faults;
use imsbox::base::rng::Rng;
use imsbox::base::time::{Duration, Instant};
use imsbox::proto::outbox::Output;
use imsbox::proto::sip::sec_agree::{Direction, Keys, SaCounters, SaFailure, SaSet, SetCounters};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// A packet's ESP, as far as it matters here: the association it is of, and the keys that it was made with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Esp {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub spi: u32,
    pub keys: Vec<u8>,
}

/// All keys of a set in a row.
pub fn key_octets(keys: &Keys) -> Vec<u8> {
    [keys.integrity.as_bytes(), keys.encryption.as_bytes(), keys.aead.as_bytes()].concat()
}

enum Command {
    Install(Box<SaSet>, Result<(), SaFailure>),
    Extend(u64, Duration),
    Remove(u64),
    /// Somebody else has removed it; here that is told.
    TellLost(u64),
}

/// What the core is told.
pub enum Told {
    Installed(u64, Result<(), SaFailure>),
    Removed(u64, Option<SetCounters>),
    Lost(u64),
}

struct Held {
    set: Box<SaSet>,
    until: Instant,
    counted: SetCounters,
}

#[derive(Default)]
pub struct Kernel {
    held: BTreeMap<u64, Held>,
    queue: VecDeque<(Instant, Command)>,
    /// Our SPIs of all sets that were ever taken.
    taken: HashSet<(u32, u32)>,
    pub late: u64,
    pub refused: u64,
    pub lost: u64,
    /// Packets that were of no association, and of one with other keys.
    pub dropped: u64,
    pub unreadable: u64,
}

impl Kernel {
    /// Takes a command; it is carried out after those before it.
    pub fn command(&mut self, now: Instant, rng: &mut Rng, faults: &Faults, output: &Output) {
        let command = match output {
            Output::InstallSas(set) => {
                let fails = |is_taken, words: &str| Err(SaFailure { is_taken, words: words.to_owned() });
                let outcome = match rng.below(1000) {
                    n if n < faults.kernel_taken => fails(true, "File exists"),
                    n if n < faults.kernel_taken + faults.kernel_refused => fails(false, "No such algorithm"),
                    _ => Ok(()),
                };
                self.refused += u64::from(outcome.is_err());
                Command::Install(set.clone(), outcome)
            }
            Output::ExtendSas { id, lifetime } => Command::Extend(*id, *lifetime),
            Output::RemoveSas { id } => Command::Remove(*id),
            other => panic!("no command to a kernel: {other:?}"),
        };
        let is_late = rng.below(1000) < faults.kernel_late;
        self.late += u64::from(is_late);
        // some of the late ones are later than anybody waits
        let most = if is_late { 12_000 } else { 5 };
        self.enqueue(now + Duration::from_millis(1 + rng.below(most)), command);
    }

    fn enqueue(&mut self, at: Instant, command: Command) {
        let at = self.queue.back().map_or(at, |(last, _)| at.max(*last));
        self.queue.push_back((at, command));
    }

    /// An administrator removes a set, or all (`ip xfrm state flush`).
    pub fn lose(&mut self, now: Instant, rng: &mut Rng) {
        let all = rng.below(4) == 0;
        let one = rng.below(self.held.len().max(1) as u64) as usize;
        let ids: Vec<u64> = self.held.keys().copied().collect();
        for id in ids.into_iter().enumerate().filter(|(at, _)| all || *at == one).map(|(_, id)| id) {
            self.held.remove(&id);
            self.lost += 1;
            self.enqueue(now + Duration::from_millis(1 + rng.below(2000)), Command::TellLost(id));
        }
    }

    pub fn next(&self) -> Option<Instant> {
        let expiry = self.held.values().map(|held| held.until).min();
        self.queue.front().map(|(at, _)| *at).into_iter().chain(expiry).min()
    }

    /// Carries out what is due, one command for each answer.
    pub fn pop(&mut self, now: Instant) -> Option<Told> {
        let over = self.held.iter().find(|(_, held)| held.until <= now).map(|(id, _)| *id);
        if let Some(id) = over {
            panic!("set {id:x} ended by itself in the kernel: the core takes it for alive");
        }
        while self.queue.front().is_some_and(|(at, _)| *at <= now) {
            let (_, command) = self.queue.pop_front().expect("it was seen");
            if let Some(told) = self.carry_out(now, command) {
                return Some(told);
            }
        }
        None
    }

    fn carry_out(&mut self, now: Instant, command: Command) -> Option<Told> {
        match command {
            Command::Install(set, outcome) => {
                let id = set.id;
                if outcome.is_ok() {
                    self.hold(now, set);
                }
                Some(Told::Installed(id, outcome))
            }
            Command::Extend(id, lifetime) => match self.held.get_mut(&id) {
                Some(held) => {
                    held.until = now + lifetime;
                    None
                }
                None => Some(Told::Lost(id)),
            },
            Command::Remove(id) => Some(Told::Removed(id, self.held.remove(&id).map(|held| held.counted))),
            Command::TellLost(id) => Some(Told::Lost(id)),
        }
    }

    /// Linux refuses a second association with the same SPI and destination, and a second policy with the same selector.
    fn hold(&mut self, now: Instant, set: Box<SaSet>) {
        for other in self.held.values().map(|held| &held.set) {
            assert!(other.reqid.abs_diff(set.reqid) > 1, "reqid {:x} twice", set.reqid);
            for (a, b) in set.associations.iter().flat_map(|a| other.associations.iter().map(move |b| (a, b)))
            {
                assert!((a.to.ip(), a.spi) != (b.to.ip(), b.spi), "SPI {} twice for {}", a.spi, a.to.ip());
                assert!(
                    (a.direction, a.from, a.to) != (b.direction, b.from, b.to),
                    "two policies from {} to {}",
                    a.from,
                    a.to
                );
            }
        }
        self.taken.insert((set.associations[3].spi, set.associations[0].spi));
        let until = now + set.lifetime;
        self.held.insert(set.id, Held { set, until, counted: SetCounters::default() });
    }

    /// Whether a packet of a phone passes.
    pub fn lets_in(&mut self, esp: &Esp) -> bool {
        for held in self.held.values_mut() {
            let at = held.set.associations.iter().position(|a| {
                (a.direction, a.from, a.to, a.spi) == (Direction::In, esp.from, esp.to, esp.spi)
            });
            let Some(at) = at else { continue };
            let is_right = key_octets(&held.set.keys) == esp.keys;
            let SaCounters { packets, integrity_failed, .. } = &mut held.counted[at];
            *packets += u64::from(is_right);
            *integrity_failed += u32::from(!is_right);
            self.unreadable += u64::from(!is_right);
            return is_right;
        }
        self.dropped += 1;
        false
    }

    /// What becomes of a packet that leaves a protected port; `None`: it does not leave.
    pub fn seal(&mut self, from: SocketAddr, to: SocketAddr) -> Option<Esp> {
        let of = |held: &Held| {
            let is_it = |a: &&imsbox::proto::sip::sec_agree::Association| {
                (a.direction, a.from, a.to) == (Direction::Out, from, to)
            };
            let spi = held.set.associations.iter().find(is_it)?.spi;
            Some(Esp { from, to, spi, keys: key_octets(&held.set.keys) })
        };
        let sealed = self.held.values().find_map(of);
        self.dropped += u64::from(sealed.is_none());
        sealed
    }

    /// Whether it ever took a set with these SPIs of ours.
    pub fn has_taken(&self, spi_c: u32, spi_s: u32) -> bool {
        self.taken.contains(&(spi_c, spi_s))
    }

    /// The ends of a set, ours first.
    pub fn ends(&self, id: u64) -> Vec<(SocketAddr, SocketAddr)> {
        let ends = |a: &imsbox::proto::sip::sec_agree::Association| match a.direction {
            Direction::In => (a.to, a.from),
            Direction::Out => (a.from, a.to),
        };
        self.held.get(&id).map_or(Vec::new(), |held| held.set.associations.iter().map(ends).collect())
    }

    /// The sets, when no command is under way.
    pub fn settled(&self) -> Option<Vec<u64>> {
        self.queue.is_empty().then(|| self.held.keys().copied().collect())
    }

    /// The UE's first SPIs of the sets with this address.
    pub fn spis_of(&self, ip: IpAddr) -> Vec<u32> {
        let of =
            |held: &Held| (held.set.associations[0].from.ip() == ip).then(|| held.set.associations[1].spi);
        self.held.values().filter_map(of).collect()
    }
}
