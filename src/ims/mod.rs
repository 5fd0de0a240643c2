//! The service: the only layer that knows what a subscriber is.

mod acknowledgement;
pub mod attempt;
pub mod auth;
pub mod call;
pub mod core;
pub mod disk;
pub mod dispatch;
pub mod emergency;
pub mod event;
mod gate;
pub mod identity;
pub mod limits;
pub mod load;
pub mod message;
mod numbers;
pub mod owner;
pub mod persist;
pub mod policy;
mod reauthentication;
pub mod reg_event;
pub mod registrar;
mod registration;
pub mod security;
pub mod sgs;
pub mod sms;
pub mod stranger;
pub mod subscriber;
pub mod tokens;
pub mod trouble;
pub mod trunk;
pub mod view;

#[cfg(test)]
mod tests;
