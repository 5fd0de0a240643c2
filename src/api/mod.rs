//! The one command table behind JSON API and monitor, the snapshots it answers with, and the language and lines of the log.

pub mod cx;
pub mod log_line;
pub mod log_options;
