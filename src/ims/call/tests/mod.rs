//! Calls from outside: phones speak SIP text to the core, the clock is virtual, nothing is looked up inside.

mod again;
mod anchored;
mod bearers;
mod bridge;
mod chaos;
mod crossing;
mod echo;
mod echo_control;
mod emergency;
mod emergency_flows;
mod faults;
mod flows;
mod forks;
mod identities;
mod inside;
mod mt;
mod numbers;
mod preconditions;
mod preferences;
mod privacy;
mod races;
mod reliable;
mod settings;
mod shared_sim;
mod siblings;
mod streams;
mod survive;
mod text;
mod timers;
mod trunk;
mod trust;
mod views;

use crate::base::ladder::{Ladder, Row, Step, Strokes};
use crate::base::rng::Rng;
use crate::base::time::{Duration, Instant, UnixTime};
use crate::base::trace::{Layer, Level, Record, Sink};
use crate::config::model::{AuthentType, Config, Impu, SipSocket, User};
use crate::ims::call::Action;
use crate::ims::core::Core;
use crate::ims::view::LadderStep;
use crate::proto::cx::Cx;
use crate::proto::flow::{Flow, LocalId};
use crate::proto::outbox::{Outbox, Output};
use crate::wire::sip::{HeaderId, Index, Message, Method};
use std::collections::VecDeque;

pub(super) const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n";
pub(super) const T1: Duration = Duration::from_millis(500);

/// A phone: where it is, and who uses it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phone {
    pub addr: &'static str,
    pub user: &'static str,
}

pub(super) const ALICE: Phone = Phone { addr: "192.0.2.1:5060", user: "alice" };
pub(super) const BOB: Phone = Phone { addr: "192.0.2.2:5060", user: "bob" };
pub(super) const BOB_TABLET: Phone = Phone { addr: "192.0.2.3:5060", user: "bob" };

/// The lines of the IMS layer.
#[derive(Debug, Default)]
struct Lines(Vec<String>);

impl Sink for Lines {
    fn wants(&self, layer: Layer, level: Level) -> bool {
        layer == Layer::Ims && level <= Level::Info
    }
    fn record(&mut self, record: &Record<'_>) {
        self.0.push(record.text.to_string());
    }
}

/// The core with its surroundings.
pub(super) struct World {
    pub core: Core,
    pub now: Instant,
    rng: Rng,
    out: Outbox,
    lines: Lines,
    /// Everything that has passed: the address, whether it came from there, and the message.
    wire: Vec<(String, bool, String)>,
    /// What was sent and not looked at yet.
    sent: VecDeque<(String, String)>,
    /// Ports: opened and not closed.
    pub open_ports: Vec<(u64, u16)>,
    /// Whether ports can be opened; `None` leaves the request for ports without an answer.
    pub ports_open: Option<bool>,
    /// Requests for ports without an answer.
    pub asked: Vec<u64>,
    branch: u32,
    /// The tag of the last message that was sent, for telling the core that it failed, and where it went.
    pub last_tag: u64,
    pub last_flow: Flow,
}

impl World {
    pub fn new() -> World {
        World::with(|_| {})
    }

    /// A world whose configuration is changed before its start.
    pub fn with(change: impl FnOnce(&mut Config)) -> World {
        let user = |name: &str, number: &str| User {
            impi: format!("{name}@ims.test"),
            domain: "ims.test".to_owned(),
            impus: vec![Impu::new(format!("sip:{name}@ims.test")), Impu::new(format!("tel:{number}"))],
            authent_type: AuthentType::None,
            auth_on_register_only: true,
            ..User::default()
        };
        let mut config = Config {
            sip: vec![
                SipSocket::new("198.51.100.1".parse().unwrap(), 5060),
                SipSocket::new("2001:db8::1".parse().unwrap(), 5060),
            ],
            users: vec![user("alice", "+33600000001"), user("bob", "+33600000002")],
            echo: vec![Impu::new("tel:666")],
            ..Config::default()
        };
        config.protocol.timer_t1 = T1;
        config.protocol.timer_t2 = Duration::from_secs(4);
        config.protocol.timer_t4 = Duration::from_secs(5);
        change(&mut config);
        let mut rng = Rng::from_seed(7);
        World {
            core: Core::new(config, &mut rng),
            now: Instant::ZERO,
            rng,
            out: Outbox::new(),
            lines: Lines::default(),
            wire: Vec::new(),
            sent: VecDeque::new(),
            open_ports: Vec::new(),
            ports_open: Some(true),
            asked: Vec::new(),
            branch: 0,
            last_tag: 0,
            last_flow: Flow::udp(LocalId(0), "0.0.0.0:0".parse().unwrap()),
        }
    }

    /// A world in which Alice and Bob are registered.
    pub fn registered() -> World {
        let mut w = World::new();
        w.register(ALICE, "");
        w.register(BOB, "");
        w
    }

    /// Gives the core one input and takes what it puts out; the ports that it asks for are opened, or not.
    pub fn input<R>(&mut self, f: impl FnOnce(&mut Core, &mut Cx<'_>) -> R) -> R {
        let (result, mut wanted) = self.turn(f);
        while !wanted.is_empty() {
            let (session, port) = wanted.remove(0);
            match self.ports_open {
                None => self.asked.push(session),
                Some(ok) => {
                    if ok && port != 0 {
                        self.open_ports.push((session, port));
                    }
                    wanted.extend(self.turn(|core, cx| core.on_media_opened(cx, session, ok)).1);
                }
            }
        }
        result
    }

    /// One input; what it gave, and the ports that it asks for.
    fn turn<R>(&mut self, f: impl FnOnce(&mut Core, &mut Cx<'_>) -> R) -> (R, Vec<(u64, u16)>) {
        let before = self.out.last_ticket();
        let mut cx = Cx {
            now: self.now,
            wall: UnixTime::from_micros(1_700_000_000_000_000) + self.now.since(Instant::ZERO),
            rng: &mut self.rng,
            out: &mut self.out,
            sink: &mut self.lines,
        };
        let result = f(&mut self.core, &mut cx);
        let mut opened = Vec::new();
        for item in self.out.items() {
            match item {
                Output::Send { flow, range, tag } => {
                    (self.last_flow, self.last_tag) = (*flow, *tag);
                    let text =
                        String::from_utf8(self.out.bytes(range).to_vec()).expect("what we send is text");
                    well_formed(&text);
                    self.wire.push((flow.remote.to_string(), false, text.clone()));
                    self.sent.push_back((flow.remote.to_string(), text));
                }
                Output::OpenMedia { session, port, .. } => opened.push((*session, *port)),
                Output::CloseMedia { session, .. } => {
                    self.open_ports.retain(|(s, _)| s != session);
                    // opened and closed in one turn: that it was open is told after that
                    opened.iter_mut().filter(|(s, _)| s == session).for_each(|(_, port)| *port = 0);
                }
                _ => {}
            }
        }
        self.out.clear();
        let ticket = self.out.last_ticket();
        if ticket > before {
            // the disk is fast
            opened.extend(self.stored(ticket));
        }
        (result, opened)
    }

    fn stored(&mut self, ticket: u64) -> Vec<(u64, u16)> {
        self.turn(|core, cx| core.on_durable(cx, ticket)).1
    }

    /// The operator does something to a call.
    pub fn set(&mut self, index: u32, action: Action) -> Result<(), String> {
        self.input(|core, cx| core.set_dialog(cx, index, action))
    }

    /// The operator ends a call.
    pub fn core_stop(&mut self, index: u32) -> Result<(), String> {
        self.input(|core, cx| core.stop_dialog(cx, index))
    }

    /// A phone sends octets.
    pub fn send(&mut self, from: Phone, text: &str) {
        let local = LocalId(u8::from(from.addr.starts_with('[')));
        let flow = Flow::udp(local, from.addr.parse().unwrap());
        self.wire.push((from.addr.to_owned(), true, text.to_owned()));
        self.input(|core, cx| core.on_sip(cx, flow, text.as_bytes()));
    }

    /// The next message to a phone; it must start like this.
    pub fn expect(&mut self, to: Phone, start: &str) -> String {
        let at = self.sent.iter().position(|(addr, _)| addr == to.addr);
        let (_, text) = at.and_then(|at| self.sent.remove(at)).unwrap_or_else(|| {
            panic!("{start} to {to:?}: nothing was sent\n{:#?}\n{:#?}", self.sent, self.lines)
        });
        assert!(text.starts_with(start), "{start} to {to:?} expected, got {text}");
        text
    }

    /// The first message to a phone that starts like this, if there is one.
    pub fn find(&mut self, to: Phone, start: &str) -> Option<String> {
        let at = self.sent.iter().position(|(addr, text)| addr == to.addr && text.starts_with(start))?;
        self.sent.remove(at).map(|(_, text)| text)
    }

    /// The next message to a phone that starts like this, which comes within this time.
    pub fn wait_for(&mut self, to: Phone, start: &str, within: Duration) -> String {
        let end = self.now + within;
        loop {
            match self.find(to, start) {
                Some(text) => return text,
                None => assert!(self.now < end, "{start} to {to:?}: nothing came within {within:?}"),
            }
            self.pass(Duration::from_millis(10));
        }
    }

    /// Nothing more was sent.
    pub fn expect_nothing(&self) {
        assert!(self.sent.is_empty(), "{:#?}", self.sent);
    }

    /// Forgets what was sent; how many messages it was.
    pub fn drop_all(&mut self) -> usize {
        self.sent.drain(..).count()
    }

    /// Lets time pass; every timer fires at its moment.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.core.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(|core, cx| core.tick(cx));
        }
        self.now = end;
    }

    /// Waits for everything to die down and checks that nothing is left of any call.
    pub fn quiet(&mut self) {
        self.pass(Duration::from_secs(300));
        self.drop_all();
        let load = self.core.load();
        assert_eq!((load.server_transactions, load.client_transactions), (0, 0), "transactions are left");
        assert_eq!(self.core.dialog_views(self.now), [], "calls are left");
        assert!(self.core.media_mut().is_empty(), "media sessions are left");
        assert_eq!(self.open_ports, [], "ports are left open");
        let left = self.core.next_deadline().map(|at| at.since(self.now));
        assert!(left.is_none_or(|l| l > Duration::from_secs(60)), "an alarm is left: {left:?}");
    }

    /// A new branch.
    pub fn branch(&mut self) -> u32 {
        self.branch += 1;
        self.branch
    }

    pub fn register(&mut self, phone: Phone, contact_params: &str) {
        let Phone { addr, user } = phone;
        let branch = self.branch();
        let text = format!(
            "REGISTER sip:ims.test SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bKr{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@ims.test>;tag=r\r\nTo: <sip:{user}@ims.test>\r\nCall-ID: reg{branch}\r\nCSeq: 1 REGISTER\r\n\
             Contact: <sip:{user}@{addr}>{contact_params}\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
        );
        self.send(phone, &text);
        self.expect(phone, "SIP/2.0 200");
    }

    /// A phone calls: the INVITE is sent and 100 came back. The dialog has no remote tag yet.
    pub fn invite(&mut self, from: Phone, uri: &str, headers: &str, body: &str) -> Side {
        let Phone { addr, user } = from;
        let branch = self.branch();
        let side = Side {
            phone: from,
            call_id: format!("call{branch}"),
            local: format!("<sip:{user}@ims.test>;tag=L{branch}"),
            remote: format!("<{uri}>"),
            target: uri.to_owned(),
            cseq: 1,
        };
        let contact = format!("Contact: <sip:{user}@{addr}>;audio\r\n{headers}");
        let text = side.text("INVITE", 1, branch, &contact, body);
        self.send(from, &text);
        self.expect(from, "SIP/2.0 100");
        side
    }

    /// A phone answers a request: with its tag if `status` is above 100.
    pub fn answer(&mut self, phone: Phone, request: &str, status: u16, headers: &str, body: &str) {
        let text = reply(phone, request, status, headers, body);
        self.send(phone, &text);
    }

    /// A phone sends a request in a dialog.
    pub fn request(&mut self, side: &mut Side, method: &str, headers: &str, body: &str) {
        side.cseq += 1;
        let (branch, cseq) = (self.branch(), side.cseq);
        let text = side.text(method, cseq, branch, headers, body);
        self.send(side.phone, &text);
    }

    /// A phone acknowledges a 2xx.
    pub fn ack(&mut self, side: &Side, cseq: u32, body: &str) {
        let branch = self.branch();
        let text = side.text("ACK", cseq, branch, "", body);
        self.send(side.phone, &text);
    }

    /// A phone acknowledges the refusal of the request that it has sent last.
    pub fn ack_failure(&mut self, side: &Side) {
        let text = side.text("ACK", side.cseq, self.branch, "", "");
        self.send(side.phone, &text);
    }

    /// Sets a call up between Alice and Bob, up to Bob's 200 and Alice's ACK.
    pub fn call(&mut self) -> (Side, Side) {
        let mut alice = self.invite(ALICE, "tel:+33600000002", "", SDP);
        let invite = self.expect(BOB, "INVITE");
        let bob = Side::callee(BOB, &invite);
        self.answer(BOB, &invite, 180, "", "");
        self.expect(ALICE, "SIP/2.0 180");
        self.answer(BOB, &invite, 200, "", SDP);
        let ok = self.expect(ALICE, "SIP/2.0 200");
        alice.learn(&ok);
        self.ack(&alice, 1, "");
        self.expect(BOB, "ACK");
        self.expect_nothing();
        (alice, bob)
    }

    /// The call that a dialog index belongs to, drawn as a ladder without times: what passed, and in which order.
    pub fn ladder(&self, index: u32) -> String {
        let view = self.core.ladder(index).unwrap_or_else(|| panic!("no dialog {index}"));
        let row = |s: &LadderStep| {
            let text = if s.times > 1 { format!("{} x{}", s.text, s.times) } else { s.text.clone() };
            let step = match s.ends {
                Some((from, to)) => Step::Arrow { from, to, text },
                None => Step::Note(text),
            };
            Row { time: String::new(), step }
        };
        let chart = Ladder { columns: view.parties.clone(), rows: view.steps.iter().map(row).collect() };
        format!("\n{}\n", chart.draw(80, &Strokes::ASCII).join("\n"))
    }

    /// What has passed between a phone and us since the start, drawn as the wire saw it, of calls or not.
    pub fn wire(&self, phone: Phone) -> String {
        let row = |(_, is_theirs, text): &(String, bool, String)| {
            let (from, to) = if *is_theirs { (0, 1) } else { (1, 0) };
            Row { time: String::new(), step: Step::Arrow { from, to, text: summary(text) } }
        };
        let passed = self.wire.iter().filter(|(addr, ..)| addr == phone.addr);
        let columns = vec![phone.user.to_owned(), "imsbox".to_owned()];
        let chart = Ladder { columns, rows: passed.map(row).collect() };
        format!("\n{}\n", chart.draw(80, &Strokes::ASCII).join("\n"))
    }

    /// The states of the dialogs, by index.
    pub fn states(&self) -> Vec<&'static str> {
        let mut views = self.core.dialog_views(self.now);
        views.sort_by_key(|v| v.index);
        views.iter().map(|v| v.state).collect()
    }

    /// Why the call ended, as views show it.
    pub fn reason(&self) -> String {
        self.core.dialog_views(self.now).first().map_or_else(String::new, |v| v.reason.clone())
    }
}

/// One phone's half of a dialog.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub phone: Phone,
    pub call_id: String,
    /// From value of its requests.
    pub local: String,
    /// To value of its requests.
    pub remote: String,
    pub target: String,
    pub cseq: u32,
}

impl Side {
    /// The half of the phone that was called with this INVITE.
    pub fn callee(phone: Phone, invite: &str) -> Side {
        Side {
            phone,
            call_id: header(invite, HeaderId::CallId),
            local: format!("{};tag=T{}", header(invite, HeaderId::To), phone.addr.replace([':', '.'], "")),
            remote: header(invite, HeaderId::From),
            target: contact(invite),
            cseq: 100,
        }
    }

    /// Takes the remote tag and target from a response.
    pub fn learn(&mut self, response: &str) {
        self.remote = header(response, HeaderId::To);
        self.target = contact(response);
    }

    /// A request of this side.
    pub fn text(&self, method: &str, cseq: u32, branch: u32, headers: &str, body: &str) -> String {
        let Side { phone, call_id, local, remote, target, .. } = self;
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\nFrom: {local}\r\nTo: {remote}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{headers}{kind}Content-Length: {}\r\n\r\n{body}",
            phone.addr,
            body.len()
        )
    }
}

/// A response of a phone to a request.
pub(super) fn reply(phone: Phone, request: &str, status: u16, headers: &str, body: &str) -> String {
    let Phone { addr, user } = phone;
    let to = header(request, HeaderId::To);
    let tag =
        if to.contains(";tag=") { String::new() } else { format!(";tag=T{}", addr.replace([':', '.'], "")) };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "SIP/2.0 {status} Phone says\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:{user}@{addr}>;video\r\n\
         {headers}{kind}Content-Length: {}\r\n\r\n{body}",
        header(request, HeaderId::Via),
        header(request, HeaderId::From),
        if status > 100 { tag } else { String::new() },
        header(request, HeaderId::CallId),
        header(request, HeaderId::CSeq),
        body.len()
    )
}

/// A message in a few words: what it is, and what it carries.
fn summary(text: &str) -> String {
    let mut index = Index::new();
    let msg = Message::parse(text.as_bytes(), &mut index).unwrap();
    let what = match msg.status() {
        0 => String::from_utf8_lossy(msg.method_token()).into_owned(),
        status => format!("{status} {}", msg.method().name()),
    };
    match header(text, HeaderId::ContentType).split('/').nth(1) {
        Some(kind) if !body(text).is_empty() => format!("{what} ({kind})"),
        _ => what,
    }
}

/// The value of a header of a message; empty when there is none.
pub(super) fn header(text: &str, id: HeaderId) -> String {
    let mut index = Index::new();
    let msg = Message::parse(text.as_bytes(), &mut index).unwrap();
    msg.header(id).map_or_else(String::new, |v| String::from_utf8(v.to_vec()).unwrap())
}

/// The body of a message.
pub(super) fn body(text: &str) -> &str {
    text.split_once("\r\n\r\n").unwrap().1
}

fn contact(text: &str) -> String {
    let mut index = Index::new();
    let msg = Message::parse(text.as_bytes(), &mut index).unwrap();
    let contact = msg.contacts().next().flatten().map(|c| c.uri_text.to_vec());
    contact.map_or_else(String::new, |c| String::from_utf8(c).unwrap())
}

/// Everything that is sent is a message without defect, with Content-Length and without a header twice that may stand once.
fn well_formed(text: &str) {
    let mut index = Index::new();
    let msg = Message::parse(text.as_bytes(), &mut index).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(msg.check(), Ok(()), "{text}");
    for id in [HeaderId::ContentLength, HeaderId::ContentType, HeaderId::MaxForwards, HeaderId::Contact] {
        let many = msg.status() / 100 == 3 || msg.method() == Method::Register;
        assert!(msg.headers(id).count() <= 1 || many, "{id:?} twice in {text}");
    }
    assert_eq!(msg.headers(HeaderId::ContentLength).count(), 1, "{text}");
    let creates_dialog = msg.method() == Method::Invite && (200..300).contains(&msg.status());
    assert!(!creates_dialog || msg.header(HeaderId::Contact).is_some(), "{text}");
}
