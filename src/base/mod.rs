//! What every layer uses and no protocol is known in: time, arenas, alarms, random numbers, the trace vocabulary,
//! regular expressions, keyed hashing, sequence charts.

pub mod arena;
pub mod ere;
pub mod hash;
pub mod ladder;
pub mod rng;
pub mod time;
pub mod timer;
pub mod trace;
