//! `trunk`: the outside SIP server that calls to unknown numbers go to, and the socket that faces it.

use super::address;
use super::build::Builder;
use super::model::{SipSocket, Trunk};
use super::schema::Scope;
use super::section::Section;
use crate::proto::flow::LocalId;
use crate::proto::sip::transport::{DEFAULT_PORT, SentBy};
use crate::wire::sip::uri::host_port;
use std::net::SocketAddr;

impl Builder<'_> {
    /// `trunk`, which is reached from one of the sockets of `sip`.
    pub(super) fn trunk(&mut self, top: &Section<'_>, sip: &[SipSocket]) -> Option<Trunk> {
        let Some(section) = top.section("trunk", Scope::Trunk) else {
            if let Some(at) = sip.iter().position(|socket| socket.trunk) {
                self.warn(self.sockets_at[at], "this socket faces the SIP trunk, and there is no `trunk`");
            }
            return None;
        };
        let addr = address::parse(section.text("addr")?, DEFAULT_PORT)?;
        let local = self.trunk_socket(&section, addr, sip)?;
        let domain = section.string("domain").filter(|domain| !domain.is_empty());
        if let Some(domain) = domain.as_deref().filter(|domain| host_port(domain.as_bytes()).is_none()) {
            let message =
                format!("\"{domain}\" is no SIP domain: a name or an address, with an optional port");
            self.error(section.at("domain"), message);
        }
        let name = section.string("name").filter(|name| !name.is_empty());
        if let Some(name) = name.as_deref().filter(|name| !name.bytes().all(is_user_octet)) {
            let message = format!("\"{name}\" is no account: it becomes the part before the @ of a SIP URI");
            self.error(section.at("name"), message);
        }
        Some(Trunk {
            addr,
            local,
            name,
            domain: domain.unwrap_or_else(|| host(addr)),
            tcp_threshold: Some(section.count("tcp_threshold") as usize).filter(|octets| *octets > 0),
            anonymous: section.bool("anonymous"),
        })
    }

    /// The first socket of the trunk's IP version that is marked `trunk`, else the first of that version.
    fn trunk_socket(
        &mut self,
        section: &Section<'_>,
        addr: SocketAddr,
        sip: &[SipSocket],
    ) -> Option<LocalId> {
        if addr.ip().is_unspecified() || addr.ip().is_multicast() || addr.port() == 0 {
            self.error(section.at("addr"), format!("nothing can be sent to {addr}"));
            return None;
        }
        if sip.iter().any(|socket| [socket.addr, socket.bind].contains(&addr)) {
            self.error(
                section.at("addr"),
                format!("{addr} is in `sip_addr`: the trunk cannot be imsbox itself"),
            );
            return None;
        }
        let version = if addr.is_ipv4() { 4 } else { 6 };
        let fits = |socket: &SipSocket| socket.addr.is_ipv4() == addr.is_ipv4();
        for (at, _) in sip.iter().enumerate().filter(|(_, socket)| socket.trunk && !fits(socket)) {
            let message = format!("this socket cannot face the SIP trunk {addr}, which has IPv{version}");
            self.warn(self.sockets_at[at], message);
        }
        let at = sip.iter().position(|s| s.trunk && fits(s)).or_else(|| sip.iter().position(fits));
        let Some(at) = at else {
            // without any socket that is the fault which has been told
            if !sip.is_empty() {
                let message =
                    format!("there is no socket in `sip_addr` from which IPv{version} can be reached");
                self.error(section.at("addr"), message);
            }
            return None;
        };
        u8::try_from(at).ok().map(LocalId)
    }
}

/// The domain of a trunk that has none of its own: its address, as it stands in a URI.
fn host(addr: SocketAddr) -> String {
    let text = SentBy(addr).to_string();
    text.strip_suffix(&format!(":{DEFAULT_PORT}")).map_or(text.clone(), str::to_owned)
}

/// RFC 3261 25.1: what may stand in a user part as it is.
fn is_user_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,?/".contains(&octet)
}
