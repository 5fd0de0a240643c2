//! Texts from outside: phones speak SIP to the core, the clock is virtual.

mod echo;
mod forks;
mod refusals;
mod relay;

use crate::base::time::Duration;
use crate::base::trace::Level;
use crate::config::model::{AuthentType, Config, Impu, SipSocket, User};
use crate::ims::tests::{Lab, Sent, udp};

/// A phone: where it is, and who uses it.
#[derive(Clone, Copy, Debug)]
struct Phone {
    addr: &'static str,
    user: &'static str,
}

const ALICE: Phone = Phone { addr: "192.0.2.1:5060", user: "alice" };
const BOB: Phone = Phone { addr: "192.0.2.2:5060", user: "bob" };
const BOB_TABLET: Phone = Phone { addr: "192.0.2.3:5060", user: "bob" };
const BOBS_NUMBER: &str = "tel:+33600000002";

/// The core, and what it has sent that nobody has looked at.
struct World {
    lab: Lab,
    sent: Vec<Sent>,
    number: u32,
}

impl World {
    fn with(change: impl FnOnce(&mut Config)) -> World {
        let user = |name: &str, number: &str| User {
            impi: format!("{name}@ims.test"),
            domain: "ims.test".to_owned(),
            impus: vec![Impu::new(format!("sip:{name}@ims.test")), Impu::new(format!("tel:{number}"))],
            authent_type: AuthentType::None,
            auth_on_register_only: true,
            ..User::default()
        };
        let mut config = Config {
            sip: vec![SipSocket::new("198.51.100.1".parse().expect("an address"), 5060)],
            users: vec![user("alice", "+33600000001"), user("bob", "+33600000002")],
            echo: vec![Impu::new("tel:666")],
            ..Config::default()
        };
        change(&mut config);
        World { lab: Lab::new(config), sent: Vec::new(), number: 0 }
    }

    /// Alice and Bob are registered.
    fn registered(change: impl FnOnce(&mut Config)) -> World {
        let mut w = World::with(change);
        w.register(ALICE, "");
        w.register(BOB, "");
        w
    }

    fn register(&mut self, phone: Phone, contact_params: &str) {
        self.number += 1;
        let (Phone { addr, user }, n) = (phone, self.number);
        let text = format!(
            "REGISTER sip:ims.test SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bKr{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@ims.test>;tag=r\r\nTo: <sip:{user}@ims.test>\r\nCall-ID: reg{n}\r\nCSeq: 1 REGISTER\r\n\
             Contact: <sip:{user}@{addr}>{contact_params}\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(self.lab.ask(udp(addr), text).status(), 200);
    }

    /// A phone sends a text; its octets.
    fn text(&mut self, from: Phone, uri: &str, headers: &str, body: &str) -> String {
        self.number += 1;
        let (Phone { addr, user }, n) = (from, self.number);
        let kind = if headers.contains("Content-Type") { "" } else { "Content-Type: text/plain\r\n" };
        let text = format!(
            "MESSAGE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bKm{n};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@ims.test>;tag=f{n}\r\nTo: <{uri}>\r\nCall-ID: m{n}\r\nCSeq: 7 MESSAGE\r\n{headers}{kind}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.send(from, &text);
        text
    }

    fn send(&mut self, from: Phone, text: &str) {
        let sent = self.lab.on_sip(udp(from.addr), text);
        self.sent.extend(sent);
    }

    /// A phone answers a MESSAGE.
    fn answer(&mut self, phone: Phone, message: &Sent, status: u16, headers: &str) {
        let one = |name| message.one(name);
        let text = format!(
            "SIP/2.0 {status} Phone says\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=t{}\r\nCall-ID: {}\r\nCSeq: {}\r\n{headers}\
             Content-Length: 0\r\n\r\n",
            one("Via"),
            one("From"),
            one("To"),
            phone.user,
            one("Call-ID"),
            one("CSeq"),
        );
        self.send(phone, &text);
    }

    /// The next message to a phone; it must start like this.
    fn expect(&mut self, to: Phone, start: &str) -> Sent {
        let at = self.sent.iter().position(|s| s.flow.remote.to_string() == to.addr);
        let at = at.unwrap_or_else(|| panic!("{start} to {to:?}: nothing was sent\n{:#?}", self.lab.log.0));
        let sent = self.sent.remove(at);
        assert!(sent.text.starts_with(start), "{start} to {to:?} expected, got {}", sent.text);
        sent
    }

    fn expect_nothing(&self) {
        assert_eq!(self.sent, []);
    }

    fn pass(&mut self, time: Duration) {
        let sent = self.lab.pass(time);
        self.sent.extend(sent);
    }

    /// Lets time pass in which nothing but repetitions of requests is sent.
    fn pass_silently(&mut self, time: Duration) {
        self.pass(time);
        self.sent.retain(|s| !s.text.starts_with("MESSAGE "));
        self.expect_nothing();
    }

    /// The lines about texts.
    fn lines(&self) -> Vec<&str> {
        let lines = self.lab.lines(Level::Info).into_iter();
        lines.filter(|l| l.starts_with("Message ")).collect()
    }

    /// Waits for everything to die down, after which nothing is left.
    fn quiet(&mut self) {
        self.pass(Duration::from_secs(300));
        let load = self.lab.core.load();
        let left = (load.messages, load.server_transactions, load.client_transactions);
        assert_eq!(left, (0, 0, 0), "texts and transactions are left");
    }
}

/// What follows the headers.
fn body(sent: &Sent) -> &str {
    sent.text.split_once("\r\n\r\n").expect("a message has an empty line").1
}
