//! What every layer uses and no protocol is known in: time, arenas, alarms, random numbers, the trace vocabulary,
//! regular expressions, keyed hashing.

pub mod arena;
pub mod ere;
pub mod hash;
pub mod rng;
pub mod time;
pub mod timer;
pub mod trace;
