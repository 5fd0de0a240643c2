//! A set of security associations as the kernel is told of it, and what the kernel tells back.

use super::algorithm::{Keys, Suite};
use super::association::Association;
use crate::base::time::Duration;
use std::ops::RangeInclusive;

/// The four associations between a UE and the P-CSCF, which share their keys (TS 33.203 7.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SaSet {
    /// The core's name for it.
    pub id: u64,
    /// The number of the first pair of associations for the kernel; the second pair has the next one.
    pub reqid: u32,
    /// The algorithms.
    pub suite: Suite,
    /// The keys, which Debug does not show.
    pub keys: Keys,
    /// The associations, in the order of [`super::associations`].
    pub associations: [Association; 4],
    /// When they end by themselves, from now on.
    pub lifetime: Duration,
}

/// Why the kernel did not take a set. It holds nothing of it then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SaFailure {
    /// Something is in its place already: other SPIs or ports may do.
    pub is_taken: bool,
    /// What the kernel says.
    pub words: String,
}

/// How the kernel came to hold a set that an earlier run of the program has made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restored {
    /// It had it all the time.
    TakenOver,
    /// It had lost it, and was given it again.
    Installed,
}

/// What has gone through one association.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SaCounters {
    /// Packets whose integrity was right, or that were sent.
    pub packets: u64,
    /// Their octets.
    pub octets: u64,
    /// Packets that came a second time, or too late.
    pub replayed: u32,
    /// Packets whose integrity was wrong: the other side has other keys.
    pub integrity_failed: u32,
}

/// The counters of a set, in the order of [`SaSet::associations`].
pub type SetCounters = [SaCounters; 4];

/// The numbers that the pairs of associations have in the kernel, two for each set: by them our own are known from others.
pub const REQIDS: RangeInclusive<u32> = 0x494d_0000..=0x494e_ffff;

/// Where the sequence numbers of one association are (RFC 4303 3.3.3 and 3.4.3).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SaNumbers {
    /// None above this one has been sent.
    pub sent: u32,
    /// The highest one that has come.
    pub received: u32,
    /// Which of the last 32 have come, the highest in the lowest bit.
    pub window: u32,
}

/// The numbers of a set, in the order of [`SaSet::associations`].
pub type SetNumbers = [SaNumbers; 4];

/// As many sets as have numbers.
pub const MAX_SETS: usize = 65_536;
