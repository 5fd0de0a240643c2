//! Tests that need root and a kernel with ESP. They run by `scripts/test guest`, under the guest kernel of `scripts/guest/run`;
//! `cargo test` leaves them out.

mod agent;
mod algorithms;
mod attacks;
mod client;
mod lacking;
mod lifetime;
mod load;
mod network;
mod people;
mod plain;
mod program;
mod protected;
mod restart;
mod scene;
mod seen;
mod set;
mod sgs;
mod storage;
mod wire;
mod wrong;
