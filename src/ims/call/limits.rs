//! What a call may take, and what happens beyond it.

use crate::base::time::Duration;

/// Calls at a time, ended ones that can still be seen among them; beyond it the one that ended first is forgotten, and when all
/// run, an INVITE is answered 503 with Retry-After. At about 4 KB each: 64 MB. Fewer in unit tests, which fill it.
pub const MAX_CALLS: usize = if cfg!(test) { 256 } else { 16_384 };

/// Contacts of one callee that a call tries, all groups together; further ones are left alone. A user with more than a phone,
/// a watch, a tablet and a few soft clients has stale bindings.
pub const MAX_FORKS: usize = 8;

/// Further early dialogs of one call, beside the first of each contact: a PBX or a proxy behind a contact forks, and each phone
/// there answers under a To tag of its own. What rings under still another tag is neither passed nor acknowledged; the one
/// that answers has the call all the same.
pub const MAX_SIBLINGS: usize = 8;

/// Requests inside one call that wait for an answer from the other side; beyond it 500 with Retry-After (RFC 3261 14.2). Two
/// phones have at most an INVITE, an UPDATE or PRACK and an INFO under way each.
pub const MAX_RELAYS: usize = 8;

/// Provisional answers of a leg that wait until the caller has acknowledged the one before; beyond it the oldest goes. A phone has
/// 180, 182 and 183 to say.
pub const MAX_QUEUED_PROVISIONALS: usize = 4;

/// Reliable provisional answers of a phone that the caller has not acknowledged; of more the oldest is forgotten, and its PRACK
/// answered 481.
pub const MAX_OPEN_PROVISIONALS: usize = 16;

/// How many times `dialog_timeout` a call may still last after the last provisional answer of a phone, or after its 2xx that is kept
/// back, while requests come in it: bearers take a few steps, and a phone that sends UPDATE without end does not ring for ever.
pub const MAX_SETUP_TURNS: u32 = 2;

/// The shortest session that anybody may ask for, seconds (RFC 4028 4).
pub const MIN_SESSION_SECS: u32 = 90;

/// The shortest session that a phone is believed to have granted, seconds: what is less would make us ask every few seconds.
pub const MIN_GRANTED_SECS: u32 = 12;

/// The longest session, seconds; longer ones that a phone grants or demands count as this. A day.
pub const MAX_SESSION_SECS: u32 = 86_400;

/// How often a session that a phone finds too short is offered to it again; beyond it the phone has refused. Each time it has
/// asked for more than before, and one on the way may, too.
pub const MAX_TOO_SHORT: u8 = 3;

/// How long a refresh waits that cannot be sent while other requests are under way.
pub const REFRESH_WAITS: Duration = Duration::from_secs(2);

/// How long a refresh that was refused waits at least before it is tried again; it waits an eighth of the session if that is
/// more.
pub const REFRESH_PAUSE: Duration = Duration::from_secs(10);

/// Events that a call leg remembers for its view; beyond it the oldest after the first [`FIRST_EVENTS`] goes, and is counted.
pub const MAX_EVENTS: usize = 64;

/// Events of the beginning that stay: a set-up with preconditions and reliable answers, a repetition or two among them.
pub const FIRST_EVENTS: usize = 28;

/// Octets of the Request-URI that a leg remembers for its view; the rest is cut off.
pub const MAX_TARGET: usize = 160;

/// Streams whose codecs a leg remembers for its view; further ones are shown without.
pub const MAX_CODECS: usize = 8;

/// Events that wait for a client who asks for them; beyond it the oldest goes.
pub const MAX_NEWS: usize = 256;

/// After this number the CSeq counts in a dialog that a 2xx founds when its call has been forgotten: more requests than one a second
/// for an hour can have gone out in it before, PRACK and UPDATE, and RFC 3261 8.1.1.5 leaves room for far more.
pub const FORGOTTEN_CSEQ: u32 = 3600;

/// How long an ended call can be seen (manual 6.6, `dialog_get`).
pub const LINGER: Duration = Duration::from_secs(30);

/// Retry-After of a 503 or 500 for lack of room, seconds.
pub const RETRY_AFTER_SECS: u32 = 5;

/// Streams that our own user agent takes in one call; further ones of an offer are refused with port 0. Audio, video, text and
/// one more.
pub const MAX_STREAMS: usize = 4;

/// Streams of one leg that pass through us; further ones of an offer are refused with port 0. As for our own user agent.
pub const MAX_ANCHORED_STREAMS: usize = 4;

/// Values of Accept-Contact, and of Reject-Contact, that a request is looked at for; those beyond are passed over. Phones send one
/// or two.
pub const MAX_PREFERENCES: usize = 8;

/// How often an offer of ours inside a call is made again after a 491 before it is given up: two sides that draw their waits
/// (RFC 3261 14.1) meet again and again less often than once in a thousand times.
pub const MAX_GLARES: u8 = 5;
