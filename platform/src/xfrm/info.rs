//! What the kernel says of states and policies.

use super::{Action, Bound, Direction, Lifetime, Selector, StateId};
use std::time::Duration;

/// What happened to a state.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Octets of packets that went through.
    pub octets: u64,
    /// Packets that went through.
    pub packets: u64,
    /// Packets dropped because they came again, or too late.
    pub replayed: u32,
    /// Packets dropped because their check value was wrong: both sides have different keys.
    pub integrity_failed: u32,
}

/// Where the sequence numbers of a state are (RFC 4303 3.3.3 and 3.4.3; struct xfrm_replay_state).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Replay {
    /// The last one that was sent.
    pub sent: u32,
    /// The highest one that has come.
    pub received: u32,
    /// Which of the last 32 have come, the highest in the lowest bit.
    pub window: u32,
}

/// A state as the kernel has it. Its keys are not read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateInfo {
    /// What it is known by.
    pub id: StateId,
    /// What policies name it by.
    pub reqid: u32,
    /// What else it is bound to.
    pub bound: Bound,
    /// Name of the authentication, or of the algorithm that does both.
    pub integrity: String,
    /// Name of the encryption; empty for one algorithm that does both.
    pub encryption: String,
    /// When it ends.
    pub lifetime: Lifetime,
    /// When it was added, since 1970-01-01T00:00:00Z.
    pub added: Duration,
    /// When a packet first went through, since 1970-01-01T00:00:00Z.
    pub used: Option<Duration>,
    /// What happened since.
    pub counters: Counters,
    /// Where its sequence numbers are; `None` where they have more than 32 bits.
    pub replay: Option<Replay>,
}

/// A policy as the kernel has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PolicyInfo {
    /// Which packets.
    pub selector: Selector,
    /// Which way they go; `None` for packets that are forwarded.
    pub direction: Option<Direction>,
    /// Its rank.
    pub priority: u32,
    /// What is done; `None` for a policy that lets packets through unprotected, or not by ESP.
    pub action: Option<Action>,
    /// When it ends.
    pub lifetime: Lifetime,
    /// What else it is bound to.
    pub bound: Bound,
}
