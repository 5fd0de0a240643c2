//! Keys by which a message finds its transaction (RFC 3261 17.1.3, 17.2.3), and the names that the layer invents.
//!
//! A key is a hash of the fields that the RFC compares, under a secret that no peer knows, so that looking a message up neither
//! allocates nor can be steered into collisions.

use crate::base::hash::{HashKey, SecretHasher};
use crate::base::rng::Rng;
use crate::proto::sip::transport::DEFAULT_PORT;
use crate::wire::sip::{Host, Message, Method, Via};
use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;

/// A key of the layer's tables.
pub type Key = u128;

/// A name that no peer can guess: 100 bits as 20 letters and digits. Good as a tag, a branch's tail, a Call-ID.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token([u8; Token::LEN]);

impl Token {
    /// How many octets a token has.
    pub const LEN: usize = 20;

    fn from_hash(mut hash: u128) -> Token {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        Token(std::array::from_fn(|_| {
            let letter = LETTERS[(hash & 31) as usize];
            hash >>= 5;
            letter
        }))
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a token is made of ASCII letters and digits")
    }
}

impl Deref for Token {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Token {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes keys and tokens.
#[derive(Debug)]
pub struct Keys {
    lookup: HashKey,
    invention: HashKey,
    invented: u64,
}

/// What is hashed, so that two kinds of key never meet.
#[derive(Clone, Copy)]
enum Kind {
    Server,
    ServerRfc2543,
    Merged,
    Protected,
    Client,
    Token,
    StatelessTag,
}

impl Keys {
    /// Draws the secrets.
    pub fn new(rng: &mut Rng) -> Self {
        Keys {
            lookup: HashKey::new(rng.next_u64(), rng.next_u64()),
            invention: HashKey::new(rng.next_u64(), rng.next_u64()),
            invented: 0,
        }
    }

    /// The key of the server transaction that a request belongs to; `via` is its topmost. An ACK belongs to an INVITE.
    pub fn server(&self, request: &Message<'_>, via: &Via<'_>) -> Key {
        let method = if request.method() == Method::Ack { b"INVITE" } else { request.method_token() };
        self.server_of_method(request, via, method)
    }

    /// The key of the INVITE that a CANCEL cancels (RFC 3261 9.2).
    pub fn cancelled(&self, cancel: &Message<'_>, via: &Via<'_>) -> Key {
        self.server_of_method(cancel, via, b"INVITE")
    }

    fn server_of_method(&self, request: &Message<'_>, via: &Via<'_>, method: &[u8]) -> Key {
        match via.unique_branch() {
            // RFC 3261 17.2.3: branch, sent-by and method
            Some(branch) => {
                let mut h = self.start(Kind::Server);
                h.field(branch);
                sent_by(&mut h, via);
                h.field(method).finish()
            }
            None => self.server_rfc2543(request, via, method),
        }
    }

    /// The key of requests that are one request by another way (RFC 3261 8.2.2.2): From tag, Call-ID and CSeq.
    pub fn merged(&self, request: &Message<'_>) -> Key {
        let mut h = self.start(Kind::Merged);
        dialog_fields(&mut h, request);
        h.field(request.method_token()).finish()
    }

    /// A key of requests that come through security associations of the UE at this address; `key` itself for those in clear. Who has
    /// only read a request cannot take its place, nor end it: to RFC 3261 17.2.3 the way it came adds whose it is.
    pub fn through(&self, key: Key, ue: Option<IpAddr>) -> Key {
        let Some(ue) = ue else { return key };
        let mut h = self.start(Kind::Protected);
        h.octets(&key.to_le_bytes());
        match ue {
            IpAddr::V4(ip) => h.field(&ip.octets()),
            IpAddr::V6(ip) => h.field(&ip.octets()),
        };
        h.finish()
    }

    /// The key of a client transaction (RFC 3261 17.1.3): our branch and the CSeq method.
    pub fn client(&self, branch: &[u8], method: &[u8]) -> Key {
        self.start(Kind::Client).field(branch).field(method).finish()
    }

    /// A new token.
    pub fn token(&mut self) -> Token {
        self.invented += 1;
        Token::from_hash(self.invention.hasher().number(Kind::Token as u64).number(self.invented).finish())
    }

    /// The tag of a response that no transaction remembers: the same for each repetition of the request (RFC 3261 8.2.7).
    pub fn stateless_tag(&self, request: Key) -> Token {
        let mut h = self.invention.hasher();
        h.number(Kind::StatelessTag as u64).octets(&request.to_le_bytes());
        Token::from_hash(h.finish())
    }

    /// RFC 3261 17.2.3 for branches without the cookie: Request-URI, From tag, Call-ID, CSeq number and topmost Via. The To tag
    /// is left out, since an ACK carries the one of our response and the request mostly none.
    fn server_rfc2543(&self, request: &Message<'_>, via: &Via<'_>, method: &[u8]) -> Key {
        let mut h = self.start(Kind::ServerRfc2543);
        h.field(method).field(request.request_uri());
        dialog_fields(&mut h, request);
        h.field_no_case(via.transport).field(via.branch().unwrap_or_default());
        sent_by(&mut h, via);
        h.finish()
    }

    fn start(&self, kind: Kind) -> SecretHasher {
        let mut h = self.lookup.hasher();
        h.number(kind as u64);
        h
    }
}

fn dialog_fields(h: &mut SecretHasher, request: &Message<'_>) {
    let from_tag = request.from().and_then(|f| f.tag()).unwrap_or_default();
    h.field(from_tag).field(request.call_id().unwrap_or_default());
    h.number(request.cseq().map_or(u64::MAX, |c| u64::from(c.number)));
}

fn sent_by(h: &mut SecretHasher, via: &Via<'_>) {
    match via.host {
        Host::Name(name) => h.field_no_case(name),
        Host::Ip(IpAddr::V4(ip)) => h.field(&ip.octets()),
        Host::Ip(IpAddr::V6(ip)) => h.field(&ip.octets()),
    };
    h.number(u64::from(via.port.unwrap_or(DEFAULT_PORT)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip::Index;

    struct Request<'a> {
        method: &'a str,
        uri: &'a str,
        via: &'a str,
        from_tag: &'a str,
        to: &'a str,
        cseq: u32,
    }

    const INVITE: Request<'_> = Request {
        method: "INVITE",
        uri: "sip:b@ims.test",
        via: "SIP/2.0/UDP phone.test:5060;branch=z9hG4bK77",
        from_tag: "f1",
        to: "<sip:b@ims.test>",
        cseq: 7,
    };
    const OLD_VIA: &str = "SIP/2.0/UDP phone.test;branch=77";

    fn keys() -> Keys {
        Keys::new(&mut Rng::from_seed(1))
    }

    fn with<T>(r: &Request<'_>, ask: impl FnOnce(&Message<'_>) -> T) -> T {
        let text = format!(
            "{} {} SIP/2.0\r\nVia: {}\r\nFrom: <sip:a@ims.test>;tag={}\r\nTo: {}\r\nCall-ID: c\r\nCSeq: {} {}\r\n\r\n",
            r.method, r.uri, r.via, r.from_tag, r.to, r.cseq, r.method
        );
        ask(&Message::parse(text.as_bytes(), &mut Index::new()).unwrap())
    }

    fn server(r: &Request<'_>) -> Key {
        with(r, |m| keys().server(m, &m.via().unwrap()))
    }

    fn cancelled(r: &Request<'_>) -> Key {
        with(r, |m| keys().cancelled(m, &m.via().unwrap()))
    }

    #[test]
    fn rfc3261_matching_is_branch_sent_by_and_method() {
        let invite = server(&INVITE);
        let same = [
            // nothing else counts
            Request { uri: "sip:c@x", from_tag: "f2", to: "<sip:z@x>;tag=t", cseq: 8, ..INVITE },
            Request { via: "SIP/2.0/TCP PHONE.test;branch=z9hG4bK77;rport", ..INVITE },
            Request { method: "ACK", ..INVITE },
        ];
        for r in &same {
            assert_eq!(server(r), invite, "{} {}", r.method, r.via);
        }
        let other = [
            Request { via: "SIP/2.0/UDP phone.test:5060;branch=z9hG4bK78", ..INVITE },
            Request { via: "SIP/2.0/UDP phone.test:5061;branch=z9hG4bK77", ..INVITE },
            Request { via: "SIP/2.0/UDP other.test:5060;branch=z9hG4bK77", ..INVITE },
            Request { method: "BYE", ..INVITE },
            Request { method: "CANCEL", ..INVITE },
        ];
        for r in &other {
            assert_ne!(server(r), invite, "{} {}", r.method, r.via);
        }
        assert_eq!(cancelled(&Request { method: "CANCEL", ..INVITE }), invite);
    }

    #[test]
    fn rfc2543_matching_takes_the_whole_request() {
        let old = Request { via: OLD_VIA, ..INVITE };
        let invite = server(&old);
        assert_eq!(server(&Request { method: "ACK", to: "<sip:b@ims.test>;tag=ours", ..old }), invite);
        assert_eq!(cancelled(&Request { method: "CANCEL", ..old }), invite);
        let other = [
            Request { method: "BYE", ..old },
            Request { uri: "sip:c@ims.test", ..old },
            Request { from_tag: "f2", ..old },
            Request { cseq: 8, ..old },
            Request { via: "SIP/2.0/UDP phone.test;branch=78", ..old },
            Request { via: "SIP/2.0/TCP phone.test;branch=77", ..old },
            Request { via: "SIP/2.0/UDP phone.test", ..old },
            INVITE,
        ];
        for r in &other {
            assert_ne!(server(r), invite, "{} {} {}", r.method, r.uri, r.via);
        }
    }

    #[test]
    fn merged_requests_differ_in_their_way_only() {
        let merged = |r: &Request<'_>| with(r, |m| keys().merged(m));
        let first = merged(&INVITE);
        assert_eq!(merged(&Request { via: OLD_VIA, uri: "sip:x@y", ..INVITE }), first);
        assert_ne!(merged(&Request { cseq: 8, ..INVITE }), first);
        assert_ne!(merged(&Request { from_tag: "g", ..INVITE }), first);
        assert_ne!(merged(&Request { method: "OPTIONS", ..INVITE }), first);
    }

    #[test]
    fn tokens_differ_and_stateless_tags_repeat() {
        let mut k = keys();
        let tokens: std::collections::HashSet<Token> = (0..1000).map(|_| k.token()).collect();
        assert_eq!(tokens.len(), 1000);
        assert_eq!(k.stateless_tag(5), k.stateless_tag(5));
        assert_ne!(k.stateless_tag(5), k.stateless_tag(6));
        assert!(k.stateless_tag(5).as_str().bytes().all(|o| o.is_ascii_alphanumeric()));
        assert_ne!(Keys::new(&mut Rng::from_seed(2)).token(), keys().token());
    }
}
