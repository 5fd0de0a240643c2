//! What subscriptions may take and how long they last, with the arithmetic, and what happens beyond it.

use crate::base::time::Duration;

/// Subscriptions of all users; over it a SUBSCRIBE is answered 503 with Retry-After. As many as there may be bindings; at about
/// 1.5 KB each: 48 MB.
pub const MAX_SUBSCRIPTIONS: usize = 32_768;

/// Subscriptions of one user; over it 503 with Retry-After. As many as the user may have bindings.
pub const MAX_SUBSCRIPTIONS_PER_USER: usize = 64;

/// Subscriptions from one contact; over it the oldest is forgotten. A phone that restarts without unsubscribing leaves one behind
/// each time, for as long as it was granted: a week.
pub const MAX_SUBSCRIPTIONS_PER_CONTACT: usize = 4;

/// NOTIFYs of one subscription without an answer, when SUBSCRIBEs ask for more; beyond it the next one waits for an answer, so
/// that a phone which only asks does not use up everybody's transactions.
pub const MAX_UNANSWERED: u8 = 4;

/// The longest `id` of Event that comes back in NOTIFYs, octets; a longer one is left out.
pub const MAX_EVENT_ID: usize = 64;

/// How long a subscription lasts that does not say how long it wants to (RFC 3680 4.4).
pub const DEFAULT_EXPIRES: Duration = Duration::from_secs(3761);

/// The shortest subscription; less is answered 423 with Min-Expires (RFC 6665 4.2.1.1), unless `subscribe_expires` is less.
pub const MIN_EXPIRES: Duration = Duration::from_secs(60);

/// The longest subscription that is granted, ten days: what `subscribe_expires` goes up to. Phones ask for a week.
pub const MAX_EXPIRES: Duration = Duration::from_secs(864_000);

/// The least time between notifications of one subscription that changes cause (RFC 3680 4.10); an end, a registration
/// that the network shortens, and what a SUBSCRIBE asks for, do not wait.
pub const PACE: Duration = Duration::from_secs(5);

/// When a phone whose contact is on probation is to register again, seconds: `retry-after` of RFC 3680 5.1 and RFC 6665 4.1.3.
pub const PROBATION_SECS: u32 = 60;
