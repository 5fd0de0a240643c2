//! IPsec between phones and us, as far as the kernel and sockets go: what this machine can do ([`prepare`]), protected ports, and
//! the sets of security associations that the core wants in the kernel ([`agent`]), those of an earlier run among them (`inherit`).
//!
//! What a set is, and when there is one, is the core's to decide (`ims::security`).

pub mod agent;
mod convert;
mod inherit;
mod ports;
pub mod prepare;
mod survey;
mod words;

pub use prepare::{Notice, Prepared, prepare};
