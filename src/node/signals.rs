//! Signals: a clean end, a new log file.

use crate::node::token::{Kind, Source};
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use platform::signal::{Signal, SignalFd};
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd};

/// The signals that the loop takes. Threads that are started before the node must have them blocked (`platform::signal::block`).
pub const TAKEN: [Signal; 4] = [Signal::Interrupt, Signal::Terminate, Signal::Hangup, Signal::User1];

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// End the calls, store the state, exit.
    Stop,
    /// Start a new log file.
    RotateLog,
}

/// The signal descriptor.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    has_terminal: bool,
}

impl Signals {
    /// Takes the signals of the calling thread.
    pub fn new(registry: &Registry) -> io::Result<Self> {
        let fd = SignalFd::new(&TAKEN)?;
        let token = Source::fixed(Kind::Signal, 0).token();
        registry.register(&mut SourceFd(&fd.as_fd().as_raw_fd()), token, Interest::READABLE)?;
        Ok(Signals { fd, has_terminal: io::stdin().is_terminal() })
    }

    /// The next request, and the signal that made it.
    pub fn next(&self) -> Option<(Request, Signal)> {
        // reading fails only when the descriptor is not a signalfd
        let signal = self.fd.read().ok().flatten()?;
        Some((request(signal, self.has_terminal), signal))
    }
}

/// SIGHUP says that the terminal has gone, if there was one; else it is how a service is asked to reopen its files.
fn request(signal: Signal, has_terminal: bool) -> Request {
    match signal {
        Signal::Hangup if !has_terminal => Request::RotateLog,
        Signal::User1 | Signal::User2 => Request::RotateLog,
        Signal::Interrupt | Signal::Terminate | Signal::Hangup => Request::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hangup_means_another_thing_with_and_without_a_terminal() {
        assert_eq!(request(Signal::Hangup, true), Request::Stop);
        assert_eq!(request(Signal::Hangup, false), Request::RotateLog);
        assert_eq!(request(Signal::Terminate, false), Request::Stop);
        assert_eq!(request(Signal::User1, true), Request::RotateLog);
    }
}
