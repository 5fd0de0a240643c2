//! The one command table behind JSON API and monitor, the snapshots it answers with, and the language and lines of the log.

pub mod calls;
pub mod command;
pub mod cx;
pub mod handlers;
pub mod log_line;
pub mod log_options;
pub mod message;
pub mod sms;
pub mod snapshot;

pub use command::COMMANDS;
pub use cx::ApiCx;
