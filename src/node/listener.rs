//! A SIP TCP listener: on the address and port of the UDP socket of the same number, unless that is a protected client port.

use crate::node::start::StartError;
use crate::node::token::{Kind, Source};
use crate::proto::flow::LocalId;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry};
use platform::socket::is_out_of_descriptors;
use std::fs::File;
use std::io;
use std::net::SocketAddr;

/// Connections that the kernel keeps for us until we take them.
const BACKLOG: u16 = 1024;

/// One listener.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    /// A descriptor to give up when there are no more, so that a connection can be taken and closed instead of being left to
    /// wait, unseen, for an edge that never comes.
    spare: Option<File>,
}

/// What TCP has to do with one of our ends.
#[derive(Debug)]
pub struct TcpEnd {
    /// Where connections are taken; none at a protected client port, from which no other could be opened then.
    pub listener: Option<Listener>,
    /// Where connections that we open start: none at a protected server port (TS 33.203 7.1), else port 0 is any.
    pub from: Option<SocketAddr>,
    /// Whether it is a port of IPsec.
    pub is_protected: bool,
}

/// What a listener had for us.
#[derive(Debug)]
pub enum Accepted {
    /// A connection.
    Stream(TcpStream, SocketAddr),
    /// A connection that had to be closed because there are no more descriptors.
    NoDescriptor,
    /// Nothing more.
    Nothing,
}

impl Listener {
    /// Listens on `addr`; `property` names it in errors.
    pub fn open(addr: SocketAddr, property: &str) -> Result<Self, StartError> {
        let bind_error =
            |error| StartError::Bind { property: property.to_owned(), transport: "TCP", addr, error };
        let socket = platform::socket::listen_tcp(addr, BACKLOG).map_err(bind_error)?;
        Ok(Listener { socket: TcpListener::from_std(socket), spare: spare() })
    }

    /// Lets the poll watch the socket.
    pub fn register(&mut self, local: LocalId, registry: &Registry) -> io::Result<()> {
        let token = Source::fixed(Kind::Listener, local.0.into()).token();
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    /// The address that it listens on, for tests.
    #[cfg(test)]
    pub fn addr(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket has an address")
    }

    /// The next connection, if there is one.
    pub fn accept(&mut self) -> io::Result<Accepted> {
        if self.spare.is_none() {
            self.spare = spare();
        }
        loop {
            match self.socket.accept() {
                Ok((stream, remote)) => return Ok(Accepted::Stream(stream, remote)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Accepted::Nothing),
                // the connection has gone again: accept(2) wants these to be passed over
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if is_out_of_descriptors(&e) && self.spare.take().is_some() => {
                    let refused = self.socket.accept();
                    drop(refused);
                    self.spare = spare();
                    return Ok(Accepted::NoDescriptor);
                }
                Err(e) => return Err(e),
            }
        }
    }
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}
