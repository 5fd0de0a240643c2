//! What parts of messages may take, and for how long.

use crate::base::time::Duration;

/// Messages of which parts are missing that are kept; the one that has waited longest for a part makes room for a new one.
pub const MAX_INCOMPLETE: usize = 64;

/// Parts that are kept of all of them: 1,024 of at most 144 octets, 147 kB. Messages make room as above.
pub const MAX_KEPT_PARTS: usize = 1024;

/// Messages that were given up and that nobody has asked for yet; beyond it the oldest is forgotten.
pub const MAX_GIVEN_UP: usize = MAX_INCOMPLETE;

/// How long a message waits for its next part, where its taker has no wish of its own; then what has come of it is given up. Networks keep a part that a phone cannot take for
/// hours and days, but a phone that has it comes for the rest within minutes.
pub const PART_PATIENCE: Duration = Duration::from_secs(3600);
