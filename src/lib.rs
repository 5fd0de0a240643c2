//! imsbox: a whole IMS core (P-CSCF, I-CSCF, S-CSCF, HSS) in one program.
//!
//! # The architecture in one screen
//!
//! Layers are a total order; imports only go left: `base < crypto < wire < proto < config < ims < api < node < monitor, bin`
//! (`tests/tidy.rs` holds it). Everything left of `node` is sans-I/O: no socket, clock, OS randomness, environment or file.
//! Time, wall time and entropy come in through one context, [`proto::cx::Cx`]; inputs are method calls on
//! [`ims::core::Core`], outputs are pushed into its [`proto::outbox::Outbox`], which the loop in `node` flushes once a turn,
//! in order. A message parses into an index of spans over the receive buffer; what outlives the datagram is copied once.
//! State lives in capped arenas and is named by typed, generational ids. The kernel boundary is the crate `platform`.
#![forbid(unsafe_code)]

pub mod api;
pub mod base;
pub mod config;
pub mod crypto;
pub mod ims;
pub mod monitor;
pub mod node;
pub mod proto;
pub mod wire;
