//! The service: the only layer that knows what a subscriber is.

pub mod core;
pub mod view;
