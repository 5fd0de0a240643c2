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
    /// How many of them are not protected.
    clear: usize,
    buffers: RecvBatch,
}

impl UdpPlane {
    /// Takes the sockets over and watches them. The first `clear` of them are those of the configuration.
    pub fn new(ports: Vec<UdpPort>, clear: usize, registry: &Registry) -> io::Result<Self> {
        ports.iter().try_for_each(|port| port.register(registry))?;
        Ok(UdpPlane { ports, clear, buffers: RecvBatch::new(BATCH, MAX_DATAGRAM) })
    }

    /// The bound addresses, without protected ports.
    pub fn addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.ports.iter().take(self.clear).map(UdpPort::addr)
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
