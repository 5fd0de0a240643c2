//! The disk with the state file: it takes records in order, late if it must, and refuses them for a while if the faults say so.

use super::World;
use crate::net::{Arrival, Faults};
use imsbox::base::rng::Rng;
use imsbox::base::time::{Duration, Instant};

/// The longest that a slow disk takes for a record, and a full one for all that wait, in milliseconds.
const LATE_MS: u64 = 3000;
const FULL_MS: u64 = 8000;

/// What the disk has been given, and when it is done with that.
pub struct Disk {
    rng: Rng,
    busy_until: Instant,
    /// The last ticket that it was given, and the last that it promised an answer for.
    given: u64,
    promised: u64,
}

/// What the core is told of the disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskNews {
    Durable(u64),
    Refuses,
    Well,
}

impl Disk {
    pub fn new(seed: u64) -> Disk {
        Disk { rng: Rng::from_seed(seed.wrapping_mul(37)), busy_until: Instant::ZERO, given: 0, promised: 0 }
    }

    pub fn put(&mut self, ticket: u64) {
        assert_eq!(ticket, self.given + 1, "tickets are counted");
        self.given = ticket;
    }

    /// What comes of the records that were given since this was asked last, and when.
    pub fn work(&mut self, now: Instant, faults: &Faults) -> Vec<(Instant, DiskNews)> {
        if self.promised == self.given {
            return Vec::new();
        }
        self.promised = self.given;
        let Disk { rng, busy_until, .. } = self;
        let mut news = Vec::new();
        *busy_until = now.max(*busy_until);
        if rng.below(1000) < faults.disk_late {
            *busy_until = *busy_until + Duration::from_millis(rng.below(LATE_MS));
        }
        let refuses = rng.below(1000) < faults.disk_refuses;
        if refuses {
            news.push((*busy_until, DiskNews::Refuses));
            *busy_until = *busy_until + Duration::from_millis(rng.below(FULL_MS));
        }
        news.push((*busy_until, DiskNews::Durable(self.given)));
        if refuses {
            news.push((*busy_until, DiskNews::Well));
        }
        news
    }
}

impl World {
    /// Has the disk work on what it was given: at once where nothing is wrong with it.
    pub(super) fn run_disk(&mut self) {
        for (at, news) in self.disk.work(self.now, &self.net.faults) {
            match at == self.now {
                true => self.disk_tells(news),
                false => self.net.at(at, Arrival::Disk(news)),
            }
        }
    }

    pub(super) fn disk_tells(&mut self, news: DiskNews) {
        use imsbox::ims::disk::Condition;
        let refusal = || Condition::Refuses("no space left on device".to_owned());
        self.with_core(|core, cx| match news {
            DiskNews::Durable(ticket) => core.on_durable(cx, ticket),
            DiskNews::Refuses => core.on_storage(cx, refusal()),
            DiskNews::Well => core.on_storage(cx, Condition::Well),
        });
    }
}
