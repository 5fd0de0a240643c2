//! The kernel boundary of imsbox: every libc call and every `unsafe` block of the program.
//!
//! Safe functions that take `BorrowedFd`, plain structs and `io::Result`; no trait objects, no builders. Each `unsafe`
//! block says why it is sound. Not here: the loop, any SIP word, any policy. Linux only.
//!
//! `systemd/` beside this crate holds the unit, whose `Type=notify`, watchdog and capabilities are one contract with it, and the
//! sysctl and modules-load files that go with it.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(clippy::undocumented_unsafe_blocks)]

pub mod addr;
pub mod batch;
pub mod clock;
mod cmsg;
pub mod counting;
pub mod icmp;
pub mod lab;
pub mod limits;
pub mod netlink;
pub mod notify;
pub mod process;
pub mod sctp;
pub mod signal;
pub mod socket;
mod sockopt;
pub mod terminal;
pub mod unix;
pub mod xfrm;
