//! What the VLR keeps at most, with the arithmetic, and what happens beyond it.

use crate::base::time::Duration;

/// SCTP associations at a time; a further one is closed at once, which the log tells. A lab has one MME, a network's pool a dozen.
pub const MAX_ASSOCIATIONS: usize = 64;

/// MMEs that are known, connected or not; for a new one the one that went first is forgotten with its phones. Twice
/// [`MAX_ASSOCIATIONS`], so that there is always one that went.
pub const MAX_MMES: usize = 2 * MAX_ASSOCIATIONS;

/// Attached phones of all MMEs; beyond it a location update is rejected with cause 22, congestion. At about 250 octets each: 32 MB.
pub const MAX_UES: usize = 131_072;

/// Attached phones of one MME; beyond it a location update is rejected with cause 22, so that one of them leaves room for others.
pub const MAX_UES_PER_MME: usize = MAX_UES / 2;

/// How often a TMSI is drawn until one is free; if none was, the phone goes without. With [`MAX_UES`] of three thousand million
/// taken, that happens once in 10^35 times.
pub const MAX_TMSI_DRAWS: usize = 8;

/// Transactions that one phone has started and not ended; a further one is answered CP-ERROR 22, congestion. A phone sends one
/// message after the other, so a second one is an exception (TS 24.011 5.4).
pub const MAX_MO_TRANSACTIONS: usize = 4;

/// How long the acknowledgement of a phone's report waits for whoever stores what follows from it, who should have given up before;
/// then the transaction is broken off. The phone repeats its CP-DATA meanwhile (TS 24.011 5.3.2.1).
pub const CONFIRM_PATIENCE: Duration = Duration::from_secs(30);

/// Octets of the longest RPDU that a phone can be sent (TS 24.011 8.1.4.1); a longer one is refused.
pub const MAX_RPDU: usize = crate::wire::gsm::cp::MAX_USER_DATA;

/// Octets of the longest message that is taken from an MME; a longer one is left out, which the log tells. The longest that the
/// specification allows, an UPLINK-UNITDATA with all its elements, has 310.
pub const MAX_MESSAGE: usize = 2048;
