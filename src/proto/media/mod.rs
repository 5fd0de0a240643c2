//! Media without I/O: which port a session has, what is done with a packet that comes in, where it goes.
//!
//! `node` owns the sockets and asks [`table::MediaTable`] about every packet; the service opens, steers and closes sessions.

pub mod demux;
pub mod held;
pub mod limits;
pub mod ports;
pub mod session;
pub mod table;
