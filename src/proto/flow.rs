//! Flows: where a message came from and where an answer goes.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A transport protocol of SIP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

impl Transport {
    /// The token in a Via's sent-protocol: upper case.
    pub const fn via_token(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }

    /// Whether the transport delivers reliably (RFC 3261 17).
    pub const fn is_reliable(self) -> bool {
        matches!(self, Transport::Tcp)
    }
}

/// One of our SIP server sockets, by its place in `Config::sip`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct LocalId(pub u8);

/// A stream connection, as numbered by the loop; never reused within a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// A path to a peer: our socket, the transport, the peer's address and, on TCP, the connection if one is known.
///
/// Sending on a TCP flow without a connection, or whose connection has gone, reuses any connection of the same local socket
/// to `remote`, else opens one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Our socket.
    pub local: LocalId,
    /// The transport.
    pub transport: Transport,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The connection, if it is known.
    pub conn: Option<ConnId>,
}

impl Flow {
    /// The UDP flow between our socket and `remote`.
    pub const fn udp(local: LocalId, remote: SocketAddr) -> Self {
        Flow { local, transport: Transport::Udp, remote, conn: None }
    }

    /// The TCP flow over the connection `conn`, or to `remote` by whatever connection there is.
    pub const fn tcp(local: LocalId, remote: SocketAddr, conn: Option<ConnId>) -> Self {
        Flow { local, transport: Transport::Tcp, remote, conn }
    }
}

/// The ways through one set of security associations (TS 33.203 7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ways {
    /// Our protected server port.
    pub server: LocalId,
    /// Our protected client port.
    pub client: LocalId,
    /// The UE's protected client port: its requests come from there.
    pub ue_client: SocketAddr,
    /// The UE's protected server port: requests for it go there.
    pub ue_server: SocketAddr,
}

impl Ways {
    /// From our client port to the UE's server port: requests for the UE, and over UDP responses too.
    pub const fn to_ue(&self, transport: Transport) -> Flow {
        Flow { local: self.client, transport, remote: self.ue_server, conn: None }
    }
}

/// How a message came: its flow, and the security associations if it came through some.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// Where from.
    pub flow: Flow,
    /// The ways of the set that it came through.
    pub ways: Option<Ways>,
}

impl Arrival {
    /// The UE whose security associations it came through.
    pub fn ue(&self) -> Option<IpAddr> {
        self.ways.map(|ways| ways.ue_client.ip())
    }
}

impl From<Flow> for Arrival {
    /// Without security associations.
    fn from(flow: Flow) -> Arrival {
        Arrival { flow, ways: None }
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.transport.via_token(), self.remote, self.local.0)?;
        self.conn.map_or(Ok(()), |c| write!(f, "#{}", c.0))
    }
}
