//! Short messages: TS 23.038 (alphabets, data coding), TS 23.040 (TPDUs), TS 24.011 (relay and control protocol).
//!
//! Parsing borrows the octets, allocates nothing and never panics. It is lenient: spare bits, unknown information elements and
//! octets behind the end are no error, lengths that do not fit are a named one ([`Malformed`]). Writing is strict.

pub mod address;
pub mod alphabet;
pub mod concat;
pub mod cp;
pub mod dcs;
pub mod error;
pub mod failure;
pub mod pid;
pub mod reader;
pub mod rp;
pub mod septets;
pub mod text;
pub mod time;
pub mod tpdu;
pub mod udh;
pub mod user_data;
pub mod validity;

pub use address::Address;
pub use concat::{Concat, Reference};
pub use cp::{Cp, CpCause, Cpdu};
pub use dcs::{Alphabet, Dcs};
pub use error::Malformed;
pub use failure::FailureCause;
pub use pid::Pid;
pub use rp::{Rp, RpCause, Rpdu};
pub use time::Timestamp;
pub use tpdu::{
    Carrier, Command, Deliver, DeliverReport, Parameters, StatusReport, Submit, SubmitReport, Tpdu,
};
pub use udh::Udh;
pub use user_data::{UserData, UserDataBuf};
pub use validity::Validity;

/// Which way a PDU goes: the meaning of a message type depends on it (TS 24.011 8.2.2, TS 23.040 9.2.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// From the phone to the network.
    Up,
    /// From the network to the phone.
    Down,
}
