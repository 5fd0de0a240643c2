//! What a command may use: the core, the log, and the context of this turn.

use crate::api::log_options::{LogConfig, OptionError};
use crate::base::rng::Rng;
use crate::base::time::{Instant, UnixTime};
use crate::base::trace::Sink;
use crate::config::Files;
use crate::ims::core::Core;
use crate::proto::cx::Cx;
use crate::proto::outbox::Outbox;
use crate::proto::sip::sec_agree::SetCounters;
use std::path::PathBuf;

/// The world of one command, borrowed from the loop.
pub struct ApiCx<'a> {
    /// The service.
    pub core: &'a mut Core,
    /// The log.
    pub log: &'a mut dyn Logs,
    /// What the kernel counts of security associations.
    pub sas: &'a mut dyn SetReader,
    /// The files that a command may name.
    pub files: &'a dyn Files,
    /// The monotonic time of this turn.
    pub now: Instant,
    /// The wall-clock time of this turn.
    pub wall: UnixTime,
    /// Randomness.
    pub rng: &'a mut Rng,
    /// Where outputs go.
    pub out: &'a mut Outbox,
}

impl ApiCx<'_> {
    /// The core, and the context for an input to it.
    pub fn core_cx(&mut self) -> (&mut Core, Cx<'_>) {
        let cx = Cx {
            now: self.now,
            wall: self.wall,
            rng: &mut *self.rng,
            out: &mut *self.out,
            sink: &mut *self.log,
        };
        (&mut *self.core, cx)
    }
}

/// What the kernel counts of our security associations, asked when somebody wants to know.
pub trait SetReader {
    /// What has gone through a set, by the name that `Output::InstallSas` gave it; none when the kernel does not have it whole.
    fn counters(&mut self, set: u64) -> Option<SetCounters>;

    /// ESP packets that came for no association that the kernel has, since the machine started, of this network namespace; none
    /// when the kernel does not count.
    fn unknown_spi(&mut self) -> Option<u64>;
}

/// The reader where there is no IPsec.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct NoSets;

impl SetReader for NoSets {
    fn counters(&mut self, _set: u64) -> Option<SetCounters> {
        None
    }

    fn unknown_spi(&mut self) -> Option<u64> {
        None
    }
}

/// The log as the API governs it.
pub trait Logs: Sink {
    /// The configuration in force.
    fn config(&self) -> &LogConfig;

    /// Puts a configuration in force, from the next record on.
    fn configure(&mut self, config: LogConfig);

    /// Closes the file and starts it anew.
    fn cut(&mut self);

    /// Renames the file and starts a new one.
    fn rotate(&mut self);

    /// How the file fares.
    fn status(&self) -> LogStatus;
}

/// How the log file fares.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LogStatus {
    /// The file; none when nothing is logged.
    pub file: Option<PathBuf>,
    /// Records that were dropped because the queue was full.
    pub dropped: u64,
    /// Records that could not be written.
    pub failed: u64,
    /// The last error of writing or rotating, in words.
    pub last_error: Option<String>,
}

/// Applies a text of log options, also what it asks to be done once.
pub fn apply_log_options(log: &mut dyn Logs, options: &str) -> Result<(), OptionError> {
    let mut config = log.config().clone();
    let actions = config.apply(options)?;
    log.configure(config);
    if actions.rotate {
        log.rotate();
    }
    if actions.cut {
        log.cut();
    }
    Ok(())
}
