//! The SMS centre from outside: phones speak SIP and the relay protocol to the core, the clock is virtual.

mod chaos;
mod commits;
mod deliver;
mod disk;
mod expiry;
mod hook;
mod identities;
mod interwork;
mod order;
mod plain;
mod refusal;
mod report;
mod soft;
mod submit;
mod told;

use crate::base::time::Duration;
use crate::base::trace::Level;
use crate::config::model::{AuthentType, Config, Impu, SipSocket, User};
use crate::ims::tests::{Lab, Sent, udp};
use crate::wire::gsm::{Address, Deliver, Reference, Rp, RpCause, Rpdu, Submit, UserDataBuf, text};

/// A phone: where it is, and who uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Phone {
    addr: &'static str,
    user: &'static str,
}

const ALICE: Phone = Phone { addr: "192.0.2.1:5060", user: "alice" };
const BOB: Phone = Phone { addr: "192.0.2.2:5060", user: "bob" };
const BOB_TABLET: Phone = Phone { addr: "192.0.2.3:5060", user: "bob" };
const BOBS_NUMBER: &str = "+33600000002";
/// What a VoLTE phone with SMS over IP registers.
const VOLTE: &str = ";+g.3gpp.smsip;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"";

/// The core, and what it has sent that nobody has looked at.
struct World {
    lab: Lab,
    sent: Vec<Sent>,
    number: u32,
}

fn config() -> Config {
    let user = |name: &str, number: &str| User {
        impi: format!("{name}@ims.test"),
        domain: "ims.test".to_owned(),
        impus: vec![Impu::new(format!("sip:{name}@ims.test")), Impu::new(format!("tel:{number}"))],
        authent_type: AuthentType::None,
        auth_on_register_only: true,
        ..User::default()
    };
    Config {
        sip: vec![SipSocket::new("198.51.100.1".parse().expect("an address"), 5060)],
        users: vec![
            user("alice", "+33600000001"),
            user("bob", "+33600000002"),
            user("carol", "+33600000003"),
        ],
        echo: vec![Impu::new("tel:666")],
        ..Config::default()
    }
}

/// An SMS-SUBMIT with a text that is one part.
fn submit(reference: u8, to: &str, what: &str) -> Vec<u8> {
    submit_with(reference, to, what, |_| {})
}

fn submit_with(reference: u8, to: &str, what: &str, change: impl FnOnce(&mut Submit<'_>)) -> Vec<u8> {
    let data = text::split(what, Reference::Eight(1)).expect("short").remove(0);
    submit_data(reference, to, &data, change)
}

fn submit_data(reference: u8, to: &str, data: &UserDataBuf, change: impl FnOnce(&mut Submit<'_>)) -> Vec<u8> {
    let kind = if to.starts_with('+') { 0x91 } else { 0x81 };
    let destination = Address::of_digits(kind, to.trim_start_matches('+')).expect("a number");
    let mut submit = Submit::new(reference, destination, data.view());
    change(&mut submit);
    submit.to_vec()
}

/// The RP-DATA of a phone.
fn rp_data(reference: u8, tpdu: &[u8]) -> Vec<u8> {
    let destination = Address::of_digits(0x91, "33609001390");
    let message = Rp::Data { originator: None, destination, user_data: tpdu };
    Rpdu { direction: crate::wire::gsm::Direction::Up, reference, message }.to_vec()
}

fn up(reference: u8, message: Rp<'_>) -> Vec<u8> {
    Rpdu { direction: crate::wire::gsm::Direction::Up, reference, message }.to_vec()
}

fn rp_error(reference: u8, cause: RpCause) -> Vec<u8> {
    up(reference, Rp::Error { cause, diagnostic: None, user_data: None })
}

fn rpdu(sent: &Sent) -> Rpdu<'_> {
    Rpdu::parse(&sent.body).unwrap_or_else(|e| panic!("{e}: {}", sent.text))
}

/// The DELIVER in a MESSAGE to a phone.
fn deliver(sent: &Sent) -> Deliver<'_> {
    match rpdu(sent).message {
        Rp::Data { user_data, .. } => Deliver::parse(user_data).expect("a DELIVER"),
        other => panic!("RP-DATA expected, got {other:?}"),
    }
}

impl World {
    fn with(change: impl FnOnce(&mut Config)) -> World {
        let mut config = config();
        change(&mut config);
        World { lab: Lab::new(config), sent: Vec::new(), number: 0 }
    }

    /// Alice and Bob are registered with phones that take short messages.
    fn registered(change: impl FnOnce(&mut Config)) -> World {
        let mut w = World::with(change);
        w.register(ALICE, VOLTE);
        w.register(BOB, VOLTE);
        w
    }

    fn register(&mut self, phone: Phone, contact_params: &str) {
        self.register_for(phone, contact_params, 3600);
    }

    fn deregister(&mut self, phone: Phone) {
        self.register_for(phone, "", 0);
    }

    fn register_for(&mut self, phone: Phone, contact_params: &str, secs: u32) {
        self.register_for_quietly(phone, contact_params, secs);
        self.expect(phone, "SIP/2.0 200");
    }

    fn register_for_quietly(&mut self, phone: Phone, contact_params: &str, secs: u32) {
        self.number += 1;
        let (Phone { addr, user }, n) = (phone, self.number);
        let text = format!(
            "REGISTER sip:ims.test SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bKr{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@ims.test>;tag=r\r\nTo: <sip:{user}@ims.test>\r\nCall-ID: reg{addr}\r\nCSeq: {n} REGISTER\r\n\
             Contact: <sip:{user}@{addr}>{contact_params}\r\nExpires: {secs}\r\nContent-Length: 0\r\n\r\n"
        );
        self.send(phone, text.as_bytes());
    }

    /// A phone sends an RPDU; the MESSAGE's Call-ID.
    fn send_rp(&mut self, from: Phone, uri: &str, headers: &str, rpdu: &[u8]) -> String {
        self.message(from, uri, &format!("{headers}Content-Type: application/vnd.3gpp.sms\r\n"), rpdu)
    }

    fn message(&mut self, from: Phone, uri: &str, headers: &str, body: &[u8]) -> String {
        self.number += 1;
        let (Phone { addr, user }, n) = (from, self.number);
        let mut octets = format!(
            "MESSAGE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bKm{n};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@ims.test>;tag=f{n}\r\nTo: <{uri}>\r\nCall-ID: m{n}\r\nCSeq: 7 MESSAGE\r\n{headers}\
             Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        octets.extend_from_slice(body);
        self.send(from, &octets);
        format!("m{n}")
    }

    /// A phone submits a text to a number; RP-MR and TP-MR are the same.
    fn submit(&mut self, from: Phone, reference: u8, to: &str, what: &str) -> String {
        self.send_rp(from, "tel:+33609001390", "", &rp_data(reference, &submit(reference, to, what)))
    }

    /// The same; its sender gets the 202 and the RP-ACK.
    fn submitted(&mut self, from: Phone, reference: u8, to: &str, what: &str) {
        let call_id = self.submit(from, reference, to, what);
        self.expect_taken(from, &call_id, reference);
    }

    /// A sender is told that its text is taken, by 202 and RP-ACK.
    fn expect_taken(&mut self, from: Phone, call_id: &str, reference: u8) {
        self.expect_where(from, "SIP/2.0 202", |s| s.one("Call-ID") == call_id);
        let report = self.expect_where(from, "MESSAGE", |s| s.all("In-Reply-To") == [call_id]);
        assert_eq!(rpdu(&report).reference, reference);
        assert!(matches!(rpdu(&report).message, Rp::Ack { .. }), "{:?}", rpdu(&report));
        self.answer(from, &report, 200);
    }

    /// A sender is told by 202 and RP-ERROR that its text is not taken.
    #[track_caller]
    fn expect_refused(&mut self, from: Phone, cause: RpCause) -> Sent {
        self.expect(from, "SIP/2.0 202");
        let report = self.expect(from, "MESSAGE");
        match rpdu(&report).message {
            Rp::Error { cause: got, .. } => assert_eq!(got, cause),
            other => panic!("RP-ERROR {cause} expected, got {other:?}"),
        }
        self.answer(from, &report, 200);
        report
    }

    /// A phone gets this text, answers its MESSAGE, and has not reported on it yet.
    #[track_caller]
    fn arrives(&mut self, phone: Phone, what: &str) -> Sent {
        let message = self.expect(phone, "MESSAGE");
        assert_eq!(deliver(&message).user_data.text().as_deref(), Some(what), "{}", message.text);
        self.answer(phone, &message, 200);
        message
    }

    /// A phone reports on a text.
    fn report(&mut self, phone: Phone, message: &Sent, report: impl FnOnce(u8) -> Vec<u8>) {
        let uri = message.one("P-Asserted-Identity").trim_matches(['<', '>']).to_owned();
        let headers = format!("In-Reply-To: {}\r\n", message.one("Call-ID"));
        let rpdu = report(rpdu(message).reference);
        let call_id = self.send_rp(phone, &uri, &headers, &rpdu);
        self.expect_where(phone, "SIP/2.0 202", |s| s.one("Call-ID") == call_id);
    }

    /// A phone gets this text, and has it.
    #[track_caller]
    fn is_delivered(&mut self, phone: Phone, what: &str) {
        let message = self.arrives(phone, what);
        self.report(phone, &message, |reference| up(reference, Rp::Ack { user_data: None }));
    }

    fn send(&mut self, from: Phone, octets: &[u8]) {
        let sent = self.lab.on_sip(udp(from.addr), octets);
        self.sent.extend(sent);
    }

    /// A phone answers a MESSAGE.
    fn answer(&mut self, phone: Phone, message: &Sent, status: u16) {
        let one = |name| message.one(name);
        let text = format!(
            "SIP/2.0 {status} Phone says\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=t{}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Content-Length: 0\r\n\r\n",
            one("Via"),
            one("From"),
            one("To"),
            phone.user,
            one("Call-ID"),
            one("CSeq"),
        );
        self.send(phone, text.as_bytes());
    }

    /// The first message to a phone that starts like this: the order of answers and texts is nobody's business.
    #[track_caller]
    fn expect(&mut self, to: Phone, start: &str) -> Sent {
        self.expect_where(to, start, |_| true)
    }

    #[track_caller]
    fn expect_where(&mut self, to: Phone, start: &str, what: impl Fn(&Sent) -> bool) -> Sent {
        let is_meant =
            |s: &Sent| s.flow.remote.to_string() == to.addr && s.text.starts_with(start) && what(s);
        let at = self.sent.iter().position(is_meant);
        let at =
            at.unwrap_or_else(|| panic!("no {start} to {to:?} in {:#?}\n{:#?}", self.sent, self.lab.log.0));
        self.sent.remove(at)
    }

    #[track_caller]
    fn expect_nothing(&self) {
        assert_eq!(self.sent, []);
    }

    fn pass(&mut self, time: Duration) {
        let sent = self.lab.pass(time);
        self.sent.extend(sent);
    }

    /// How many short messages wait.
    fn waiting(&self) -> usize {
        self.lab.core.load().sms
    }

    /// The lines about short messages.
    fn lines(&self) -> Vec<&str> {
        let levels = [Level::Warn, Level::Info];
        let lines = levels.into_iter().flat_map(|level| self.lab.lines(level));
        lines.filter(|l| l.starts_with("SMS")).collect()
    }

    /// Waits for everything to die down, after which nothing is left: no text, no transaction, no record, no alarm but those of
    /// registrations.
    #[track_caller]
    fn quiet(&mut self) {
        self.pass(Duration::from_secs(2 * 86_400));
        let load = self.lab.core.load();
        let left =
            (load.sms, load.messages, load.server_transactions, load.client_transactions, load.bindings);
        assert_eq!(left, (0, 0, 0, 0, 0), "something is left");
        assert_eq!(self.lab.core.next_deadline(), None);
        assert_eq!(self.lab.records.keys().filter(|key| key.starts_with("sms/")).count(), 0);
    }
}
