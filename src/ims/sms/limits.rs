//! What the SMS centre keeps at most, how long it waits, and what happens beyond it.

use crate::base::time::Duration;

/// How much the centre keeps. The default is what a network needs; a test gives one that it can fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Short messages that wait, of all users; beyond it a sender is told 42 (congestion) with TP-FCS C0 (SC busy), for TS 24.011 table
    /// 8.4 keeps 22 for a phone's own memory. At about 400 octets each: 80 MB.
    pub texts: usize,
    /// Short messages that wait for one user; beyond it a sender is told the same. A phone that was away for a day of alerts gets 1,000.
    pub texts_per_user: usize,
    /// Senders that wait until their text is on the disk; beyond it the next is told 42. At 4 KB each with their transaction: 16 MB.
    pub promises: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { texts: 200_000, texts_per_user: 1000, promises: 4096 }
    }
}

/// Outcomes of orders that nobody has asked for yet: the loop asks in each turn. Beyond it the oldest is forgotten.
pub const MAX_OUTCOMES: usize = 4096;

/// Repetitions of a text that wait with it; beyond it the next is told 42. A phone repeats once within TR1M.
pub const MAX_REPETITIONS: usize = 8;

/// How long a sender, or the operator, waits for the disk before it is told 41 (temporary failure): the phone gives up after TR1M, 35 s at least (TS
/// 24.011 10.3).
pub const DISK_PATIENCE: Duration = Duration::from_secs(15);

/// When what was stored before a restart is tried first.
pub const AFTER_RESTART: Duration = Duration::from_secs(2);

/// How long a phone has for its delivery report, from when the text was sent (TR1N, TS 24.011 10.3): longer than the TR2M of
/// its upper layer, 20 s at most, and than a repetition over UDP.
pub const REPORT_PATIENCE: Duration = Duration::from_secs(45);

/// The same for one that was handed to SGs, which tells itself when it has failed: two pages of 10 s, three CP-DATA of 8 s and TR1N, 40
/// s, are 84 s at most (`proto::sgsap::timers`).
pub const SGS_PATIENCE: Duration = Duration::from_secs(100);

/// How long a text that is not to be kept waits for its one attempt, behind others that are under way.
pub const ONCE_PATIENCE: Duration = Duration::from_secs(60);

/// MESSAGEs of a user that were given up and whose report still counts; beyond it the oldest is forgotten.
pub const MAX_LATE: usize = 4;

/// How long a submitted text is known, so that the same one again, because its sender has missed the RP-ACK, is acknowledged and not
/// delivered twice: TR1M and its repetition.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Submitted texts that are known so; beyond it the oldest is forgotten. At about 300 octets each: 1.2 MB.
pub const MAX_RECENT: usize = 4096;

/// The longest time that a text is kept, whatever its sender wants: the longest TP-VP (TS 23.040 9.2.3.12.1, 63 weeks).
pub const MAX_VALIDITY: Duration = Duration::from_secs(63 * 7 * 86_400);

/// How long a soft client's first part of a long text waits for the others, before what is there is delivered.
pub const PARTS_PATIENCE: Duration = Duration::from_secs(60);

/// How long a long text that clients of the remote API are to be told of waits for its next part, before they are told what has come:
/// phones send a part when the one before it is acknowledged, and repeat one within half a minute (TR1M).
pub const TELL_PATIENCE: Duration = Duration::from_secs(60);

/// Longest text of one order of the remote API or of a soft client, octets: 255 parts of 153 septets hold 39,015 characters.
pub const MAX_ORDER: usize = 40_000;
