//! All SIP UDP sockets, and the buffers that they share.

use crate::ims::core::Core;
use crate::node::udp_port::{MAX_DATAGRAM, UdpPort};
use crate::node::world::World;
use crate::proto::flow::LocalId;
use mio::Registry;
use platform::batch::{BATCH, RecvBatch};
use std::io;
use std::net::SocketAddr;

/// The sockets by `LocalId`.
#[derive(Debug)]
pub struct UdpPlane {
    ports: Vec<UdpPort>,
    buffers: RecvBatch,
}

impl UdpPlane {
    /// Takes the sockets over and watches them.
    pub fn new(ports: Vec<UdpPort>, registry: &Registry) -> io::Result<Self> {
        ports.iter().try_for_each(|port| port.register(registry))?;
        Ok(UdpPlane { ports, buffers: RecvBatch::new(BATCH, MAX_DATAGRAM) })
    }

    /// The bound addresses.
    pub fn addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.ports.iter().map(UdpPort::addr)
    }

    /// Gives the core what has come in on one socket, up to a limit. Whether there may be more.
    pub fn drain(&mut self, slot: u32, core: &mut Core, world: &mut World) -> bool {
        self.ports.get_mut(slot as usize).is_some_and(|port| port.drain(&mut self.buffers, core, world))
    }

    /// Tells the core about datagrams of one socket that came back as ICMP errors.
    pub fn take_errors(&mut self, slot: u32, core: &mut Core, world: &mut World) {
        if let Some(port) = self.ports.get_mut(slot as usize) {
            port.take_errors(core, world);
        }
    }

    /// The socket, unless there is none of that number.
    pub fn port(&mut self, local: LocalId) -> Option<&mut UdpPort> {
        self.ports.get_mut(usize::from(local.0))
    }
}
