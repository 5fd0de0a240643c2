//! Our ends of all SIP flows: the sockets of the configuration, and beside them the protected ports of IPsec (TS 33.203 7.1).
//!
//! Each address has a few protected server ports, and each of these has client ports of its own. What leaves from a client port
//! shows the server port in Via and Contact: that is where the UE sends to (TS 24.229 5.2.6.4).

use crate::proto::flow::LocalId;
use std::net::{IpAddr, SocketAddr};

/// What a local end is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// SIP without IPsec.
    Clear,
    /// A protected server port: requests and responses of UEs come to it, over UDP and TCP.
    Server,
    /// A protected client port: datagrams leave from it, and TCP connections are opened from it.
    Client {
        /// The server port that it belongs to.
        server: LocalId,
    },
}

/// One local end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    /// Its own address and port.
    pub own: SocketAddr,
    /// The address and port that messages name.
    pub shown: SocketAddr,
    /// The socket of the configuration whose address it has: itself, for that one.
    pub clear: LocalId,
    /// What it is for.
    pub role: Role,
}

/// There are more ends than a [`LocalId`] can number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooMany;

/// All local ends by [`LocalId`]: first those of the configuration, in its order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Locals(Vec<Local>);

impl Locals {
    /// The sockets of the configuration, without IPsec. Those beyond what a [`LocalId`] can number are left out.
    pub fn clear(addrs: impl IntoIterator<Item = SocketAddr>) -> Locals {
        let numbered = (0..=u8::MAX).map(LocalId).zip(addrs);
        Locals(numbered.map(|(id, own)| Local { own, shown: own, clear: id, role: Role::Clear }).collect())
    }

    /// Adds a protected server port and its client ports, all of the address of `clear`. The server port's id; the client ports
    /// have the ids that follow.
    pub fn add_protected(
        &mut self,
        clear: LocalId,
        server: SocketAddr,
        clients: &[SocketAddr],
    ) -> Result<LocalId, TooMany> {
        let id = LocalId(u8::try_from(self.0.len()).map_err(|_| TooMany)?);
        if self.0.len() + 1 + clients.len() > usize::from(u8::MAX) + 1 {
            return Err(TooMany);
        }
        self.0.push(Local { own: server, shown: server, clear, role: Role::Server });
        let client = |&own| Local { own, shown: server, clear, role: Role::Client { server: id } };
        self.0.extend(clients.iter().map(client));
        Ok(id)
    }

    /// One of them.
    pub fn get(&self, id: LocalId) -> Option<&Local> {
        self.0.get(usize::from(id.0))
    }

    /// All of them, with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (LocalId, &Local)> {
        (0..=u8::MAX).map(LocalId).zip(&self.0)
    }

    /// What messages name, by id.
    pub fn shown(&self) -> Vec<SocketAddr> {
        self.0.iter().map(|local| local.shown).collect()
    }

    /// The socket of the configuration whose address this end has.
    pub fn clear_of(&self, id: LocalId) -> LocalId {
        self.get(id).map_or(id, |local| local.clear)
    }

    /// Whether it is a port of IPsec.
    pub fn is_protected(&self, id: LocalId) -> bool {
        self.get(id).is_some_and(|local| local.role != Role::Clear)
    }

    /// The protected server ports of an address.
    pub fn servers_of(&self, ip: IpAddr) -> impl Iterator<Item = LocalId> {
        self.iter().filter(move |(_, l)| l.role == Role::Server && l.own.ip() == ip).map(|(id, _)| id)
    }

    /// The client ports of a protected server port.
    pub fn clients_of(&self, server: LocalId) -> impl Iterator<Item = LocalId> {
        self.iter().filter(move |(_, l)| l.role == Role::Client { server }).map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn protected_ports_come_after_the_clear_ones_and_show_their_server_port() {
        let mut locals = Locals::clear([addr("10.0.0.1:5060"), addr("[2001:db8::1]:5060")]);
        let clients = [addr("[2001:db8::1]:5100"), addr("[2001:db8::1]:5101")];
        let server = locals.add_protected(LocalId(1), addr("[2001:db8::1]:6100"), &clients).unwrap();
        assert_eq!(server, LocalId(2));
        assert_eq!(locals.shown()[2..], [addr("[2001:db8::1]:6100"); 3]);
        assert_eq!(locals.get(LocalId(4)).unwrap().own, clients[1]);
        assert_eq!(locals.servers_of("2001:db8::1".parse().unwrap()).collect::<Vec<_>>(), [server]);
        assert_eq!(locals.servers_of("10.0.0.1".parse().unwrap()).count(), 0);
        assert_eq!(locals.clients_of(server).collect::<Vec<_>>(), [LocalId(3), LocalId(4)]);
        assert_eq!(
            [0, 1, 2, 4, 9].map(|id| locals.is_protected(LocalId(id))),
            [false, false, true, true, false]
        );
        assert_eq!([1, 3, 9].map(|id| locals.clear_of(LocalId(id)).0), [1, 1, 9]);
    }

    #[test]
    fn there_are_no_more_than_have_numbers() {
        let mut locals = Locals::clear(vec![addr("10.0.0.1:5060"); 254]);
        let client = [addr("10.0.0.1:5100")];
        assert_eq!(locals.add_protected(LocalId(0), addr("10.0.0.1:6100"), &client), Ok(LocalId(254)));
        assert_eq!(locals.add_protected(LocalId(0), addr("10.0.0.1:6101"), &client), Err(TooMany));
        assert_eq!(locals.iter().count(), 256);
        assert_eq!(Locals::clear(vec![addr("10.0.0.1:5060"); 300]).iter().count(), 256);
    }
}
