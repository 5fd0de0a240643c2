//! State machines: time is passed in, output is pushed; nothing here knows what a subscriber is.

pub mod cx;
pub mod flow;
pub mod locals;
pub mod media;
pub mod outbox;
pub mod sgsap;
pub mod sip;
pub mod sms;
pub mod upgrade;
