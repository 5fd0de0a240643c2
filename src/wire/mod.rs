//! Bytes to values and back: no state, no time, no allocation on parse.

pub mod gsm;
pub mod identities;
pub mod sdp;
pub mod sgsap;
pub mod sip;
pub mod telephone;
