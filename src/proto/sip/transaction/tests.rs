//! Scenarios of the layer: a fixture with a virtual clock, and what it saw in the outbox.

mod client;
mod failure;
mod fixture;
mod lossy;
mod server;
