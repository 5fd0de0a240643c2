//! What the service keeps at most, with the arithmetic, and what happens beyond it. The limits of calls are in `call::limits`.

use crate::base::time::Duration;

/// Bindings of all users; over it a REGISTER is answered 503 with Retry-After. At about 1 KB each: 128 MB.
pub const MAX_BINDINGS: usize = 131_072;

/// Bindings of one user; beyond it the oldest of the same host makes room, else 503 with Retry-After. A test SIM whose number
/// many phones share needs the most.
pub const MAX_BINDINGS_PER_USER: usize = 64;

/// 200s to REGISTERs that wait for the disk, and challenges, which take half of it at most; beyond it the next one leaves at once. At about 3 KB each with their transactions: 12 MB.
pub const MAX_ACKNOWLEDGEMENTS: usize = 4096;

/// How long a 200 to a REGISTER waits for the disk before it leaves all the same: a phone sends it again for 32 s (RFC 3261 17.1.2.2,
/// timer F), and its user watches it.
pub const REGISTER_PATIENCE: Duration = Duration::from_secs(4);

/// Contacts in one REGISTER; more are answered 413. Real ones hold one or two.
pub const MAX_CONTACTS_PER_REGISTER: usize = 16;

/// Longest Contact value that is kept, octets; longer ones are answered 413. Push parameters of soft clients reach 700.
pub const MAX_CONTACT: usize = 2048;

/// Longest Call-ID or Path of a REGISTER, octets; longer ones are answered 413.
pub const MAX_ORIGIN: usize = 1024;

/// What is kept of User-Agent, octets.
pub const MAX_USER_AGENT: usize = 200;

/// Challenges of one user that wait for their answer; for a new one the oldest is forgotten, and known again by its seal. At
/// about 300 octets each, for 100,000 users: 240 MB, should somebody have challenges made for all of them.
pub const MAX_CHALLENGES_PER_USER: usize = 8;

/// Served challenges of one user that are remembered for as long as their seals hold; with as many, no seal counts. Sixteen
/// registrations a minute.
pub const MAX_SPENT_PER_USER: usize = 64;

/// How long a challenge waits for its answer (TS 24.229 table 7.8.1, reg-await-auth and request-await-auth).
pub const AWAIT_AUTH: Duration = Duration::from_secs(240);

/// Fresh challenges after a wrong answer, before 403.
pub const MAX_WRONG_ANSWERS: u8 = 1;

/// Re-synchronisations of SQN in one attempt, before 403: a SIM needs one.
pub const MAX_RESYNCS: u8 = 2;

/// Phones with copies of one SIM (`multi_sim`) whose sequence numbers are kept apart; beyond it the one not heard of for longest
/// is counted with the unknown ones, and re-synchronises. As many as may be registered.
pub const MAX_PHONES_PER_SIM: usize = MAX_BINDINGS_PER_USER;

/// Wrong answers of one host within a [`FAILURE_WINDOW`]; with as many, its credentials are answered 503 with Retry-After until
/// the window ends. A phone with a wrong key gives two in an attempt and waits half a minute or more for the next one (TS 24.229
/// 5.1.1.2.1), so this is room for seven of them behind one address.
pub const MAX_FAILURES_PER_SOURCE: u32 = 30;

/// See [`MAX_FAILURES_PER_SOURCE`]: the longest that a phone whose key was put right has to wait.
pub const FAILURE_WINDOW: Duration = Duration::from_secs(60);

/// Hosts whose failures are counted; beyond it the one that began first is forgotten. At about 100 octets each: 400 KB.
pub const MAX_FAILING_SOURCES: usize = 4096;

/// How long a phone has that the operator asks to authenticate again, where the operator does not say: as long as one that has been
/// challenged (TS 24.229 5.4.1.6 leaves it open). It comes at half of it.
pub const REAUTHENTICATE_WITHIN: Duration = AWAIT_AUTH;

/// The least of that: a phone that comes at half of it has the other half for its two REGISTERs, with repetitions over UDP.
pub const REAUTHENTICATE_AT_LEAST: Duration = Duration::from_secs(10);

/// Sequence numbers that one record of the state file reserves for a SIM: a restart goes on behind them. A record is written for every
/// thirty-two of them.
pub const SQN_RESERVED: u64 = 64;

/// With fewer left than this more are reserved: the record is on the disk before the last of them are used.
pub const SQN_RESERVE_LEAST: u64 = SQN_RESERVED / 2;

/// Numbers a second that a SIM may use beyond those that are reserved, while the disk refuses or is slow. A restart skips as many for
/// each second since the record was written, whether they were used or not.
pub const SQN_PER_SECOND: u64 = 8;

/// Numbers that a SIM may use at once after a restart on a disk that refuses: those of the first second. The SIM asks for re-synchronisation
/// if the next restart comes sooner than that.
pub const SQN_AT_START: u64 = SQN_PER_SECOND;

/// The most that is used and skipped by the clock: a SIM refuses numbers that are 2^28 ahead of the last one (TS 33.102 C.2.1, C.3.2).
/// That is half a year without a record.
pub const MAX_SQN_BY_CLOCK: u64 = 1 << 27;

/// Server transactions; over it those that only absorb repetitions end early, the first answered first, and when there is none
/// the request is answered 503 with Retry-After. At 2 KB each with its request and answer: 64 MB.
pub const MAX_SERVER_TRANSACTIONS: usize = 32_768;

/// Troubles that may be told in the log at once, and after that one for each [`TROUBLE_GAP`]; the rest is counted.
pub const TROUBLE_BURST: u32 = 50;

/// See [`TROUBLE_BURST`].
pub const TROUBLE_GAP: Duration = Duration::from_millis(100);

/// Client transactions; over it what would start one fails with 503.
pub const MAX_CLIENT_TRANSACTIONS: usize = 16_384;

/// Retry-After of a 503 for lack of room, seconds.
pub const RETRY_AFTER_SECS: u32 = 5;

/// Sources whose garbage has been told in the log lately, so that each is told once a minute.
pub const MAX_STRANGERS: usize = 16;

/// How often garbage from one source is told.
pub const STRANGER_QUIET: Duration = Duration::from_secs(60);

/// Events that one input may route between the tables before the rest waits for the next one; far above what an input makes.
pub const MAX_SETTLE_STEPS: usize = 4096;

/// How long long requests go to the trunk by UDP once there was no TCP to it: a call that tries in vain waits for
/// `UPGRADE_PATIENCE`, one in so many minutes is bearable.
pub const TRUNK_TCP_PAUSE: Duration = Duration::from_secs(300);

/// Events that wait for the clients of the remote API; beyond it the oldest is forgotten.
pub const MAX_NEWS: usize = 1024;

/// How long the end of the program waits for calls to be ended.
pub const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(3);

/// Most media sessions at a time: two sockets each, so 8,192 descriptors.
pub const MAX_MEDIA_SESSIONS: usize = 4096;
