//! The VLR's side of SGs (TS 29.118): associations with MMEs, the phones behind them, paging, and the connection protocol of
//! short messages (TS 24.011 5).
//!
//! [`Vlr`] is the whole of it. It takes what the SCTP associations bring and what is to be sent to phones, and gives [`Event`]s.
//! Who is a subscriber it asks; what is in an RPDU it leaves to others, but for its type and reference.
//!
//! Not here: CS fallback. The state LA-UPDATE-PRESENT (4.2.2) does not last, since an update is answered within the input that
//! brings it.

mod alert;
mod cp;
mod event;
pub mod limits;
mod mme;
mod mobility;
mod paging;
mod peer;
mod policy;
mod sms;
pub mod timers;
mod tmsi;
mod ue;
mod view;
mod vlr;

pub use event::{Event, NotNow, Why};
pub use policy::{Action, CpPolicy, Rule};
pub use ue::State;
pub use view::{MmeView, UeView};
pub use vlr::{Admit, Vlr};

/// An SCTP association, as numbered by the loop; never reused within a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AssociationId(pub u64);

#[cfg(test)]
mod tests;
