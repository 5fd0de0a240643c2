//! How many sets there are, and how long they live.

use crate::base::time::Duration;
use crate::ims::limits::AWAIT_AUTH;

/// Sets of one user whose challenge waits for its answer; for a new one the oldest of the same host goes, if there is any. Anybody can have challenges made, and each
/// is eight objects in the kernel; phones that share a SIM need some.
pub const MAX_OFFERED_PER_USER: usize = 8;

/// Sets of all users whose challenge waits for its answer; for a new one the oldest goes. A kernel takes some thousand sets a second,
/// so that nobody's is pushed out within the seconds in which a phone answers, however many are asked for; and those that nobody
/// answers take less than 100 MiB of the kernel's memory, at eight objects of about 1 KiB each.
pub const MAX_OFFERED: usize = 8192;

/// How often other SPIs and ports are tried when the kernel says that something is in their place.
pub const MAX_INSTALLS: usize = 4;

/// How long the kernel may take to install or remove a set before it counts as refused, or as gone.
pub const KERNEL_PATIENCE: Duration = Duration::from_secs(5);

/// How long a set waits for the answer to its challenge (TS 24.229 table 7.8.1, reg-await-auth).
pub const OFFERED_LIFE: Duration = AWAIT_AUTH;

/// How much longer than its registration a set lives (TS 24.229 5.2.2).
pub const MARGIN: Duration = Duration::from_secs(30);

/// How long a set goes on when a newer one carries the registration: 64*T1 (TS 24.229 5.2.2, table 7.7.1).
pub const OLD_LIFE: Duration = Duration::from_secs(128);

/// How long a set goes on after its registration: the 200 to the de-registration is under way through it, may have to be repeated,
/// and the NOTIFY about it comes after. TS 24.229 5.2.5 would have 64*T1; a phone that comes back at once may use the same ports.
pub const LEAVING_LIFE: Duration = Duration::from_secs(10);

/// Sequence numbers of each association that goes out that are written off in the state file before they are used: after a crash it goes on
/// behind them. They last until the registration is refreshed, when the kernel is asked how far it is: 16 million packets to one phone
/// within half of seven days are 55 a second, and some 250 crashes that the kernel does not survive are within one registration.
pub const NUMBERS_AHEAD: u32 = 1 << 24;

/// The same at a clean end, when the kernel has just said how far it is: what its TCP may still send.
pub const NUMBERS_AT_END: u32 = 1 << 10;

/// How much longer the kernel keeps a set than the service, should the service not be there to remove it.
pub const KERNEL_MARGIN: Duration = Duration::from_secs(60);
