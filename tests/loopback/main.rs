//! The node over real sockets of the loopback interface: ports chosen by the kernel, deadlines instead of sleeps.

mod harness;
mod life;
mod media;
mod sip;
mod tcp;
mod udp;

#[global_allocator]
static ALLOCATOR: platform::counting::Counting = platform::counting::Counting;
