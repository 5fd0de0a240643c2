//! What texts may take, and what happens beyond it.

use crate::base::time::Duration;
use crate::proto::sip::framer::{MAX_HEADER, MAX_MESSAGE};

/// Longest body of a text, octets; longer ones are answered 413. What remains of the longest SIP message beside the longest head:
/// 48 KiB. (RFC 3428 8 has 1300 for paths whose congestion nobody watches; here the only path is the one to the phone.)
pub const MAX_BODY: usize = MAX_MESSAGE - MAX_HEADER;

/// Texts under way at a time; beyond it 503 with Retry-After. Each keeps its MESSAGE: at 1 KB 2 MB, at worst 128 MB. Fewer in unit
/// tests, which fill it.
pub const MAX_RELAYS: usize = if cfg!(test) { 80 } else { 2048 };

/// Texts of one sender that are under way; beyond it 503 with Retry-After. A phone waits for the answer to one before it sends the
/// next (RFC 3428 8); a program that sends for many has more.
pub const MAX_RELAYS_PER_SENDER: usize = 64;

/// When a text that no phone has answered is given up. The sender waits for 64*T1 and then hears nothing (RFC 4320 4.2), 32 s with
/// the T1 of RFC 3261: 4 s are left for the answer, and for one of its repetitions.
pub const PATIENCE: Duration = Duration::from_secs(28);

/// When the next contacts are tried too, because those with a higher q have not answered: three groups within [`PATIENCE`].
pub const GROUP_PATIENCE: Duration = Duration::from_secs(8);

/// Retry-After of a 503 for lack of room, seconds.
pub const RETRY_AFTER_SECS: u32 = 5;
