//! What the core may use of the world, kept by the loop: clocks, randomness, the log, the outbox.

use crate::api::cx::{ApiCx, Logs, SetReader};
use crate::base::rng::Rng;
use crate::base::time::{Duration, Instant, UnixTime};
use crate::base::trace::{Dir, Layer, Level, Subject};
use crate::ims::core::Core;
use crate::node::files::Disk;
use crate::proto::cx::Cx;
use crate::proto::outbox::Outbox;
use std::fmt;
use std::io;

/// The clocks are read once a turn; all else is lent to the core and the commands.
pub struct World {
    started: Duration,
    /// The monotonic time of this turn.
    pub now: Instant,
    /// The wall-clock time of this turn.
    pub wall: UnixTime,
    /// Randomness.
    pub rng: Rng,
    /// What the core wants done.
    pub out: Outbox,
    /// The log.
    pub log: Box<dyn Logs>,
}

impl World {
    /// A world that starts now, seeded by the operating system.
    pub fn new(log: Box<dyn Logs>) -> io::Result<Self> {
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy).map_err(|e| io::Error::other(e.to_string()))?;
        let mut world = World {
            started: platform::clock::boot_time(),
            now: Instant::ZERO,
            wall: UnixTime::default(),
            rng: Rng::from_entropy(entropy),
            out: Outbox::new(),
            log,
        };
        world.read_clocks();
        Ok(world)
    }

    /// The monotonic time right now, for the one decision how long to sleep.
    pub fn clock(&self) -> Instant {
        Instant::ZERO + platform::clock::boot_time().saturating_sub(self.started)
    }

    /// Reads both clocks.
    pub fn read_clocks(&mut self) {
        self.now = self.clock();
        self.wall = UnixTime::from_micros(platform::clock::unix_micros());
    }

    /// The context of one input to the core.
    pub fn cx(&mut self) -> Cx<'_> {
        Cx { now: self.now, wall: self.wall, rng: &mut self.rng, out: &mut self.out, sink: &mut *self.log }
    }

    /// The context of one command.
    pub fn api_cx<'a>(&'a mut self, core: &'a mut Core, sas: &'a mut dyn SetReader) -> ApiCx<'a> {
        ApiCx {
            core,
            log: &mut *self.log,
            sas,
            files: &Disk,
            now: self.now,
            wall: self.wall,
            rng: &mut self.rng,
            out: &mut self.out,
        }
    }

    /// Traces a line about the sockets.
    pub fn trace(&mut self, layer: Layer, level: Level, subject: Subject, text: fmt::Arguments<'_>) {
        self.cx().trace(layer, level, Dir::None, subject, text);
    }
}
