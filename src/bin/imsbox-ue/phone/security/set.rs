//! A set of security associations as the phone has it: four of them, two each way (TS 33.203 7.1).

use super::super::message::Peer;
use crate::settings::Transport;
use imsbox::base::time::Duration;
use imsbox::proto::sip::sec_agree::{Keys, Named as _, Parameters, Suite};
use std::fmt;
use std::net::SocketAddr;

/// An agreed set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// What the phone and its shell know it by.
    pub number: u32,
    /// The algorithms.
    pub suite: Suite,
    /// The phone's SPIs and ports.
    pub own: Parameters,
    /// The P-CSCF's SPIs and ports.
    pub theirs: Parameters,
    /// The values of Security-Server as they came, with commas between.
    pub server: String,
}

/// Traffic from one port to another that one association protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Whether it leaves this phone.
    pub is_outgoing: bool,
    /// The phone's port.
    pub ours: u16,
    /// The P-CSCF's port.
    pub theirs: u16,
    /// The receiver's number for the association.
    pub spi: u32,
}

/// What the kernel is asked to install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The number of the set.
    pub number: u32,
    /// The algorithms.
    pub suite: Suite,
    /// Their keys.
    pub keys: Keys,
    /// The four ways; the first two belong together, and the last two.
    pub ways: [Way; 4],
    /// How long it lives unless it is extended.
    pub lifetime: Duration,
}

impl Set {
    /// The way of the phone's own messages: from its client port to the P-CSCF's server port, at the address of `pcscf`.
    pub fn way(&self, transport: Transport, pcscf: SocketAddr) -> Peer {
        Peer::Protected(transport, self.own.port_c, SocketAddr::new(pcscf.ip(), self.theirs.port_s))
    }

    /// The four associations.
    pub fn ways(&self) -> [Way; 4] {
        let Set { own, theirs, .. } = self;
        let way = |is_outgoing, ours, theirs, spi| Way { is_outgoing, ours, theirs, spi };
        [
            way(true, own.port_c, theirs.port_s, theirs.spi_s),
            way(false, own.port_c, theirs.port_s, own.spi_c),
            way(false, own.port_s, theirs.port_c, own.spi_s),
            way(true, own.port_s, theirs.port_c, theirs.spi_c),
        ]
    }

    /// The algorithms by name.
    pub fn algorithms(&self) -> String {
        format!("{}/{}", self.suite.integrity().name(), self.suite.encryption().name())
    }

    /// The Security-Server with another SPI than it had: for tests of the network.
    pub fn changed_server(&self) -> String {
        let (was, is) = (self.theirs.spi_s, self.theirs.spi_s ^ 1);
        self.server.replace(&was.to_string(), &is.to_string())
    }
}

impl fmt::Display for Set {
    /// One line: algorithms, ports and SPIs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Set { own, theirs, .. } = self;
        write!(
            f,
            "IPsec {}, ports {} to {} and {} to {}, SPIs {} {} and {} {}",
            self.algorithms(),
            own.port_c,
            theirs.port_s,
            theirs.port_c,
            own.port_s,
            theirs.spi_s,
            own.spi_c,
            own.spi_s,
            theirs.spi_c
        )
    }
}
