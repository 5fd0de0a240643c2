//! What is plugged into the loop: a command endpoint, the storage, and through them the rest of the program.

use crate::api::cx::{ApiCx, Logs};
use crate::base::time::Duration;
use mio::{Registry, Token};
use std::fmt::Debug;
use std::io;

/// Which way a source is ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Readiness {
    /// There is something to read, or the end of it.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
}

/// Where commands come from: the monitor's socket and its clients.
///
/// It registers its sources with the tokens of `Source::fixed(Kind::Endpoint, slot)`, the slots being its own. Readiness is edge-triggered:
/// what it is told once it must read, write or accept until `WouldBlock`.
pub trait Endpoint: Debug {
    /// Registers what is open from the start.
    fn register(&mut self, registry: &Registry) -> io::Result<()>;

    /// Something happened to the source of this slot.
    fn on_event(&mut self, registry: &Registry, slot: u32, ready: Readiness, cx: &mut ApiCx<'_>);

    /// The turn has ended, and its outputs are carried out: what a command waits for may be known.
    fn end_turn(&mut self, _registry: &Registry, _cx: &mut ApiCx<'_>) {}

    /// What it listens on, one line each, for the start-up banner.
    fn listening(&self) -> Vec<String>;
}

/// Where records of the state are kept.
pub trait Storage: Debug {
    /// Gives it a token, by which it may wake the loop (`mio::Waker`).
    fn register(&mut self, _registry: &Registry, _token: Token) -> io::Result<()> {
        Ok(())
    }

    /// Stores (`Some`) or deletes (`None`) a record, with all others of the turn or none of them. Must not block. That it is on the disk, or was refused, is said when the token is
    /// woken: `Core::on_durable`, `Core::on_storage`.
    fn put(&mut self, ticket: u64, key: &str, value: Option<&str>);

    /// Waits until everything that was put is on the disk, `patience` at most; whether it is. Only before the loop turns.
    fn wait(&mut self, _patience: Duration) -> bool {
        true
    }

    /// Its token was woken.
    fn on_wake(&mut self, _cx: &mut ApiCx<'_>) {}

    /// The turn has ended: what was put in it is to be written together.
    fn end_turn(&mut self) {}
}

/// What is plugged into the loop at construction.
pub struct Hooks {
    /// The log.
    pub log: Box<dyn Logs>,
    /// The command endpoint, if there is one.
    pub endpoint: Option<Box<dyn Endpoint>>,
    /// The storage, if the state is kept.
    pub storage: Option<Box<dyn Storage>>,
}
