//! A core between phones that are nothing but captured messages and what belongs around them.

use crate::capture::{Text, header, message};
use imsbox::base::rng::Rng;
use imsbox::base::time::{Duration, Instant, UnixTime};
use imsbox::base::trace::Silent;
use imsbox::config::model::{AuthentType, Config, Impu, SipSocket, User};
use imsbox::ims::core::Core;
use imsbox::proto::cx::Cx;
use imsbox::proto::flow::{ConnId, Flow, LocalId};
use imsbox::proto::outbox::{Outbox, Output};
use imsbox::wire::sip::{HeaderId, Index, Message};
use std::net::SocketAddr;

/// The features of a VoLTE phone.
const VOLTE: &str = ";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\";audio;video";

/// A phone: the way to it, and the Contact that it registers.
#[derive(Clone, Debug)]
pub struct Phone {
    pub flow: Flow,
    aor: String,
    contact: String,
}

impl Phone {
    /// The phone that a captured request comes from: where its Via says, with the identity of From, and its own Contact.
    pub fn of(request: &[u8]) -> Phone {
        let mut index = Index::new();
        let msg = message(request, &mut index);
        let via = msg.via().expect("a Via");
        let address = format!("{}:{}", via.host, via.port.unwrap_or(5060)).parse().expect("an address");
        let aor = String::from_utf8_lossy(msg.from().expect("a From").uri_text).into_owned();
        Phone {
            flow: flow(via.transport == b"TCP", address),
            aor,
            contact: header(request, HeaderId::Contact),
        }
    }

    /// A VoLTE phone, over UDP.
    pub fn new(aor: &str, address: &str) -> Phone {
        let contact = format!("<sip:phone@{address}>{VOLTE}");
        Phone { flow: flow(false, address.parse().expect("an address")), aor: aor.to_owned(), contact }
    }

    /// The same phone with another Contact.
    pub fn with_contact(self, contact: &str) -> Phone {
        Phone { contact: contact.to_owned(), ..self }
    }
}

fn flow(is_tcp: bool, remote: SocketAddr) -> Flow {
    let local = LocalId(u8::from(remote.is_ipv6()));
    match is_tcp {
        true => Flow::tcp(local, remote, Some(ConnId(u64::from(remote.port())))),
        false => Flow::udp(local, remote),
    }
}

/// The core, its surroundings, and what it has sent.
pub struct Stage {
    core: Core,
    now: Instant,
    rng: Rng,
    out: Outbox,
    sent: Vec<(SocketAddr, Vec<u8>)>,
    number: u32,
}

impl Stage {
    /// A core on IPv4 and IPv6 with these users, each with its identities; nobody is asked for a password.
    pub fn new(users: &[&[&str]]) -> Stage {
        let user = |impus: &&[&str]| User {
            impi: format!("{}@ims.test", impus[0].replace([':', '@'], "-")),
            domain: "ims.test".to_owned(),
            impus: impus.iter().map(|uri| Impu::new(*uri)).collect(),
            authent_type: AuthentType::None,
            auth_on_register_only: true,
            ..User::default()
        };
        let socket = |ip: &str| SipSocket::new(ip.parse().expect("an address"), 5060);
        let config = Config {
            sip: vec![socket("198.51.100.1"), socket("2001:db8::1")],
            users: users.iter().map(user).collect(),
            ..Config::default()
        };
        let mut rng = Rng::from_seed(5);
        let (core, out) = (Core::new(config, &mut rng), Outbox::new());
        Stage { core, now: Instant::ZERO, rng, out, sent: Vec::new(), number: 0 }
    }

    fn input(&mut self, act: &mut dyn FnMut(&mut Core, &mut Cx<'_>)) {
        let wall = UnixTime::from_micros(1_700_000_000_000_000) + self.now.since(Instant::ZERO);
        let before = self.out.last_ticket();
        let mut cx = Cx { now: self.now, wall, rng: &mut self.rng, out: &mut self.out, sink: &mut Silent };
        act(&mut self.core, &mut cx);
        for item in self.out.items() {
            if let Output::Send { flow, range, .. } = item {
                let octets = self.out.bytes(range).to_vec();
                whole(&octets);
                self.sent.push((flow.remote, octets));
            }
        }
        self.out.clear();
        let ticket = self.out.last_ticket();
        if ticket > before {
            self.input(&mut |core, cx| core.on_durable(cx, ticket));
        }
    }

    /// A phone sends a message.
    pub fn send(&mut self, from: &Phone, octets: &[u8]) {
        self.input(&mut |core, cx| core.on_sip(cx, from.flow, octets));
    }

    /// The next message to a phone, which must start like this.
    pub fn expect(&mut self, to: &Phone, start: &str) -> Vec<u8> {
        let at = self.sent.iter().position(|(address, _)| *address == to.flow.remote);
        let Some(at) = at else { panic!("{start} to {}: nothing was sent; {}", to.flow.remote, self.left()) };
        let (_, octets) = self.sent.remove(at);
        assert!(octets.starts_with(start.as_bytes()), "{start} to {}, not {}", to.flow.remote, Text(&octets));
        octets
    }

    /// Nothing else was sent.
    pub fn expect_nothing(&self) {
        assert!(self.sent.is_empty(), "{}", self.left());
    }

    fn left(&self) -> String {
        let all = self.sent.iter().map(|(to, octets)| format!("to {to}: {}", Text(octets)));
        all.collect::<Vec<_>>().join("\n")
    }

    /// A number that was not there before.
    pub fn fresh(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    /// A phone registers, unasked for anything.
    pub fn register(&mut self, phone: &Phone) {
        let (Phone { flow, aor, contact }, number) = (phone, self.fresh());
        let (transport, address) = (flow.transport.via_token(), flow.remote);
        let text = format!(
            "REGISTER sip:ims.test SIP/2.0\r\nVia: SIP/2.0/{transport} {address};branch=z9hG4bKreg{number}\r\nMax-Forwards: 70\r\n\
             From: <{aor}>;tag=reg\r\nTo: <{aor}>\r\nCall-ID: reg{number}\r\nCSeq: 1 REGISTER\r\nContact: {contact}\r\n\
             Expires: 600000\r\nContent-Length: 0\r\n\r\n"
        );
        self.send(phone, text.as_bytes());
        self.expect(phone, "SIP/2.0 200");
    }

    /// Waits until nothing of a call can be left, and sees that nothing is.
    pub fn quiet(&mut self) {
        let end = self.now + Duration::from_secs(300);
        while let Some(at) = self.core.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(&mut Core::tick);
        }
        self.now = end;
        let load = self.core.load();
        assert_eq!((load.server_transactions, load.client_transactions), (0, 0), "transactions are left");
        assert_eq!(self.core.dialog_views(self.now), [], "a call is left");
    }
}

/// What is sent is a message without defect.
fn whole(octets: &[u8]) {
    let mut index = Index::new();
    let msg = Message::parse(octets, &mut index).unwrap_or_else(|e| panic!("{e}: {}", Text(octets)));
    assert_eq!(msg.check(), Ok(()), "{}", Text(octets));
    assert_eq!(msg.headers(HeaderId::ContentLength).count(), 1, "{}", Text(octets));
}
