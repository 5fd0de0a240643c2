//! Requests of the phone before they are sent, and pieces of the messages that come in.

use crate::settings::Transport;
use imsbox::wire::sip::text::lossy;
use imsbox::wire::sip::{HeaderId, Host, Message, Method, Writer};
use std::net::{IpAddr, SocketAddr};

/// What the phone takes; sent as Allow.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, OPTIONS, MESSAGE, NOTIFY";
/// What the phone is.
pub const USER_AGENT: &str = concat!("imsbox-ue/", env!("CARGO_PKG_VERSION"));
/// The type of a session description.
pub const SDP: &str = "application/sdp";
/// The type of a text.
pub const PLAIN: &str = "text/plain";
/// The type of our texts.
pub const PLAIN_UTF8: &str = "text/plain;charset=UTF-8";
/// The type of an RPDU (TS 24.341).
pub const SHORT_MESSAGE: &str = "application/vnd.3gpp.sms";

/// Where a message goes, or came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The P-CSCF, over the transport of the phone's own requests.
    Server,
    /// An address over UDP.
    Udp(SocketAddr),
    /// A connection over TCP, by the number that the shell gave it.
    Stream(u32),
    /// Through a security association: this port of ours, and their address. Over TCP it is the connection between both.
    Protected(Transport, u16, SocketAddr),
}

impl Peer {
    /// Whether what is sent there arrives or an error comes back.
    pub fn is_reliable(self, transport: Transport) -> bool {
        match self {
            Peer::Server => transport == Transport::Tcp,
            Peer::Udp(_) => false,
            Peer::Stream(_) => true,
            Peer::Protected(transport, ..) => transport == Transport::Tcp,
        }
    }

    /// Whether it is a security association.
    pub fn is_protected(self) -> bool {
        matches!(self, Peer::Protected(..))
    }
}

/// A request: everything but its Via, which each sending gets anew.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Request-URI.
    pub uri: String,
    /// From, with its tag.
    pub from: String,
    /// To, with its tag inside a dialog.
    pub to: String,
    /// Call-ID.
    pub call_id: String,
    /// Number of CSeq.
    pub cseq: u32,
    /// The values of Route.
    pub route: Vec<String>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// A session description, a text or an RPDU; empty for none.
    pub body: Vec<u8>,
    /// The type of the body.
    pub kind: &'static str,
    /// How often it has been challenged.
    pub challenged: u8,
}

impl Request {
    /// The octets under this Via.
    pub fn octets(&self, via: &str) -> Vec<u8> {
        self.octets_with(via, &[])
    }

    /// The octets under this Via, with headers that only this sending has.
    pub fn octets_with(&self, via: &str, more: &[(&'static str, String)]) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        let mut w = Writer::request(&mut out, self.method.name().as_bytes(), self.uri.as_bytes());
        w.header("Via", via).header("Max-Forwards", "70");
        for route in &self.route {
            w.header("Route", route);
        }
        w.header("From", &self.from).header("To", &self.to).header("Call-ID", &self.call_id);
        w.header_fmt("CSeq", format_args!("{} {}", self.cseq, self.method.name()));
        for (name, value) in self.headers.iter().chain(more) {
            w.header(name, value);
        }
        w.header("User-Agent", USER_AGENT);
        if self.body.is_empty() {
            w.finish()
        } else {
            w.body(self.kind.as_bytes(), &self.body)
        }
        out
    }

    /// The CANCEL of this INVITE (RFC 3261 9.1).
    pub fn cancel(&self) -> Request {
        let headers = vec![("Reason", "SIP;cause=487;text=\"the caller gave up\"".to_owned())];
        Request { method: Method::Cancel, headers, body: Vec::new(), challenged: 0, ..self.clone() }
    }

    /// The ACK to an answer of 300 or more, which belongs to the INVITE's transaction (RFC 3261 17.1.1.3).
    pub fn ack_of_failure(&self, to: &str) -> Request {
        let (headers, body) = (Vec::new(), Vec::new());
        Request { method: Method::Ack, to: to.to_owned(), headers, body, challenged: 0, ..self.clone() }
    }
}

/// The text of a header; empty when it is not there.
pub fn text(message: &Message<'_>, id: HeaderId) -> String {
    message.header(id).map_or(String::new(), |v| lossy(v).into_owned())
}

/// The values of a header, commas apart.
pub fn texts(message: &Message<'_>, id: HeaderId) -> Vec<String> {
    message.values(id).map(|v| lossy(v).into_owned()).collect()
}

/// The URI of the first Contact.
pub fn contact(message: &Message<'_>) -> Option<String> {
    message.contacts().flatten().next().map(|c| lossy(c.uri_text).into_owned())
}

/// The tag of To; empty when there is none.
pub fn to_tag(message: &Message<'_>) -> String {
    message.to().and_then(|t| t.tag()).map_or(String::new(), |t| lossy(t).into_owned())
}

/// The branch of the topmost Via; empty when there is none.
pub fn branch(message: &Message<'_>) -> String {
    message.via().and_then(|v| v.branch()).map_or(String::new(), |b| lossy(b).into_owned())
}

/// Who somebody is, for a person: the number or the user's name, else the URI.
pub fn spoken(message: &Message<'_>, id: HeaderId) -> String {
    let Some(addr) = message.values(id).next().and_then(imsbox::wire::sip::NameAddr::parse) else {
        return "an unknown party".to_owned();
    };
    let display = lossy(addr.display).trim_matches('"').to_owned();
    let uri = lossy(addr.uri_text);
    if display.is_empty() { uri.into_owned() } else { format!("{display} ({uri})") }
}

/// Who sent a request: what the network says of it, else what it says itself.
pub fn sender(message: &Message<'_>) -> String {
    match message.header(HeaderId::PAssertedIdentity) {
        Some(_) => spoken(message, HeaderId::PAssertedIdentity),
        None => spoken(message, HeaderId::From),
    }
}

/// A refusal in words: the reason phrase, and what Warning says.
pub fn refusal(answer: &Message<'_>) -> String {
    let mut words = format!("{} {}", answer.status(), lossy(answer.reason()));
    for warning in texts(answer, HeaderId::Warning) {
        words += &format!(", {warning}");
    }
    words
}

/// Where the response to a request goes that came over UDP from `source` (RFC 3261 18.2.2, RFC 3581 4).
pub fn response_addr(request: &Message<'_>, source: SocketAddr) -> SocketAddr {
    match request.via() {
        Some(via) if via.rport().is_none() => SocketAddr::new(source.ip(), via.port.unwrap_or(5060)),
        _ => source,
    }
}

/// The topmost Via with `received` and `rport` of the source (RFC 3261 18.2.1, RFC 3581 4).
pub fn via_received(request: &Message<'_>, source: SocketAddr) -> Option<String> {
    let value = request.values(HeaderId::Via).next()?;
    let via = request.via()?;
    let mut text = lossy(value).into_owned();
    let same = matches!(via.host, Host::Ip(ip) if ip == source.ip());
    if via.rport() == Some(None) {
        text = text.replacen(";rport", &format!(";rport={}", source.port()), 1);
    }
    if !same || via.rport().is_some() {
        text += &format!(";received={}", source.ip());
    }
    Some(text)
}

/// An address as a host in a URI or a Via.
pub fn host(ip: IpAddr) -> String {
    Host::Ip(ip).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use imsbox::wire::sip::Index;

    fn with<T>(head: &str, check: impl FnOnce(&Message<'_>) -> T) -> T {
        let octets = format!("INVITE sip:a@h SIP/2.0\r\n{head}\r\n\r\n");
        let mut index = Index::new();
        check(&Message::parse(octets.as_bytes(), &mut index).unwrap())
    }

    #[test]
    fn a_response_goes_where_via_says() {
        let source: SocketAddr = "192.0.2.1:7000".parse().unwrap();
        for (via, to, stamped) in [
            ("SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa", "192.0.2.1:5070", ""),
            ("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa", "192.0.2.1:5060", ";received=192.0.2.1"),
            (
                "SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bKa",
                "192.0.2.1:7000",
                ";rport=7000;branch=z9hG4bKa;received=192.0.2.1",
            ),
        ] {
            with(&format!("Via: {via}"), |m| {
                assert_eq!(response_addr(m, source).to_string(), to);
                assert!(via_received(m, source).unwrap().ends_with(stamped));
            });
        }
    }

    #[test]
    fn a_cancel_is_the_invites_in_all_that_matters() {
        let invite = Request {
            method: Method::Invite,
            uri: "sip:b@h".to_owned(),
            from: "<sip:a@h>;tag=1".to_owned(),
            to: "<sip:b@h>".to_owned(),
            call_id: "c".to_owned(),
            cseq: 7,
            route: vec!["<sip:p;lr>".to_owned()],
            headers: vec![("Contact", "<sip:a@1>".to_owned())],
            body: b"v=0\r\n".to_vec(),
            kind: SDP,
            challenged: 1,
        };
        let text = String::from_utf8(invite.cancel().octets("SIP/2.0/UDP 1;branch=z9hG4bKx")).unwrap();
        for part in ["CANCEL sip:b@h SIP/2.0\r\n", "CSeq: 7 CANCEL", "Route: <sip:p;lr>", "To: <sip:b@h>\r\n"]
        {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("Contact") && text.ends_with("Content-Length: 0\r\n\r\n"));
        let text = String::from_utf8(invite.octets("v")).unwrap();
        assert!(
            text.ends_with("Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"),
            "{text}"
        );
    }

    #[test]
    fn a_party_is_spoken_of_by_name() {
        let name = |head: &str| with(head, |m| spoken(m, HeaderId::From));
        assert_eq!(name("From: \"Carol\" <sip:carol@h>;tag=1"), "Carol (sip:carol@h)");
        assert_eq!(name("From: <tel:+1555>;tag=1"), "tel:+1555");
        assert_eq!(name("To: x"), "an unknown party");
    }
}
