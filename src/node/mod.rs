//! Sockets and the loop: the only place that waits, and the only one that touches sockets and files.
//!
//! [`event_loop::Node`] owns the core and every descriptor. What others plug into it is in [`hooks`].

pub mod control;
pub mod event_loop;
pub mod files;
mod flush;
pub mod hooks;
pub mod ipsec;
mod listener;
pub mod log_file;
mod media_plane;
mod ready;
pub mod sctp;
mod sctp_queue;
mod service;
pub mod signals;
pub mod sockets;
pub mod start;
pub mod storage;
mod stream;
mod stream_plane;
pub mod token;
mod udp_plane;
mod udp_port;
mod world;
