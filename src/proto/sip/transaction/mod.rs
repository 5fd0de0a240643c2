//! The transaction layer (RFC 3261 17, RFC 6026, RFC 4320): four machines, their timers, and the table that owns them.
//!
//! [`Transactions`] stands between the transport and the transaction user (TU). Requests go in by `on_request` and come out as a
//! [`Verdict`]; responses go in by `on_response` and come out as an [`Answer`]; what only time or a failure brings comes out of
//! `pop_event`. The machines' states are those of the RFC's figures: `client_invite`, `client`, `server_invite`, `server`.
//!
//! The layer sends what belongs to it: retransmissions, the ACK of a non-2xx, CANCEL and the answer to one, 482 to merged
//! requests, 503 over its caps. The ACK of a 2xx and the retransmission of a 2xx belong to the TU (RFC 3261 13.2.2.4, 13.3.1.4).

pub mod client;
pub mod client_invite;
mod client_side;
mod entry;
mod failure;
mod incoming;
pub mod key;
mod layer;
pub mod machine;
pub mod server;
pub mod server_invite;
mod server_side;
pub mod timers;
mod trace;

pub use entry::{ClientTx, ServerTx};
pub use failure::UPGRADE_PATIENCE;
pub use key::Token;
pub use layer::{Answer, Limits, MAX_TIMERS_PER_TICK, Overload, Transactions, TxEvent, Verdict};
pub use timers::Timers;
pub use trace::trace_id;

#[cfg(test)]
mod tests;
