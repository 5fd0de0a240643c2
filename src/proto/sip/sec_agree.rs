//! Security agreement between UE and P-CSCF (RFC 3329 as TS 33.203 and TS 24.229 5.2.2 use it): which of the mechanisms that a
//! UE offers is taken, what Security-Server says of it, whether what comes back is what was said, and the four security
//! associations that follow.
//!
//! [`choose()`] finds one pair of algorithms by the server's preference, [`decide`] makes of it what becomes of the request, an
//! [`Agreement`] is kept as long as the associations. Known is `ipsec-3gpp` with ESP in transport mode alone. Not here: who
//! draws SPIs and ports, the associations themselves, the registration.

mod agreement;
mod algorithm;
mod association;
mod choose;
mod decide;
mod set;

pub use agreement::{Agreement, Difference, Mismatch, mechanisms};
pub use algorithm::{Encryption, Integrity, Keys, Named, Suite, Transform, Unknown};
pub use association::{Association, Direction, associations};
pub use choose::{Choice, Fault, Parameters, Preferences, Verdict, choose};
pub use decide::{Conclusion, Policy, Refusal, Tags, decide};
pub use set::{MAX_SETS, REQIDS, Restored, SaCounters, SaFailure, SaNumbers, SaSet, SetCounters, SetNumbers};
