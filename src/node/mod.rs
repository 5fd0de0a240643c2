//! Sockets and the loop: the only place that waits, and the only one that touches sockets and files.

pub mod control;
pub mod log_file;
pub mod storage;
