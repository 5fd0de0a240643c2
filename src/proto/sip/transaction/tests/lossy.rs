//! Two layers back to back over a link that loses, repeats, delays and refuses: every request gets one outcome, the one that the
//! far end gave, and nothing is left behind.

use super::fixture::millis;
use crate::base::arena::Id;
use crate::base::rng::Rng;
use crate::base::time::{Duration, Instant, UnixTime};
use crate::base::trace::Silent;
use crate::proto::cx::Cx;
use crate::proto::flow::{Flow, LocalId, Transport};
use crate::proto::outbox::{Outbox, Output};
use crate::proto::sip::transaction::*;
use crate::wire::sip::{HeaderId, Index, Message, Method};
use std::collections::{BTreeMap, HashMap};

type Tx = Transactions<u32>;
type Server = Id<ServerTx<u32>>;

/// Requests of one run.
const REQUESTS: u32 = 60;
/// The longest delay: shorter than T1, so that the last retransmission arrives while the far end still remembers the first.
const MAX_DELAY_MS: u64 = 450;

/// What the link does to a packet, in percent.
#[derive(Clone, Copy, Debug)]
struct Link {
    loss: u64,
    repeat: u64,
    refuse_tcp: u64,
    /// The connection breaks after a message was written on it; it is read all the same every other time.
    break_tcp: u64,
}

enum Happening {
    /// The client sends request number `n`.
    Request(u32),
    /// The client cancels request number `n`.
    Cancel(u32),
    /// Octets arrive at the server (or at the client).
    Packet { to_server: bool, flow: Flow, octets: Vec<u8> },
    /// A packet could not be sent.
    Refused { by_server: bool, flow: Flow, tag: u64 },
    /// The connection of a packet that was sent has gone.
    Broken { flow: Flow, tag: u64 },
    /// The server's TU says something.
    Say { id: Server, number: u32, status: u16 },
    /// The server's TU repeats its 2xx.
    Repeat2xx { id: Server, number: u32, interval: Duration },
}

#[derive(Default, Debug)]
struct Request {
    client: Option<Id<ClientTx<u32>>>,
    method: Option<Method>,
    /// How often it was new at the server.
    arrivals: u32,
    /// The final status that the server gave.
    given: Option<u16>,
    /// The outcomes at the client: a status, 0 for a timeout or a failure.
    outcomes: Vec<u16>,
    is_acked: bool,
}

struct World {
    now: Instant,
    rng: Rng,
    link: Link,
    client: Tx,
    server: Tx,
    out: Outbox,
    to_come: BTreeMap<(Instant, u64), Happening>,
    sequence: u64,
    requests: HashMap<u32, Request>,
    packets: u64,
}

fn address(server: bool) -> std::net::SocketAddr {
    if server { "127.0.0.2:5060" } else { "127.0.0.1:5060" }.parse().unwrap()
}

impl World {
    fn new(seed: u64, link: Link) -> Self {
        let mut rng = Rng::from_seed(seed);
        let mut layer = |local| {
            Tx::new(
                vec![address(local)],
                Timers::default(),
                Limits { server: 1000, client: 1000 },
                600,
                &mut rng,
            )
        };
        let (client, server) = (layer(false), layer(true));
        let mut world = World {
            now: Instant::ZERO,
            rng,
            link,
            client,
            server,
            out: Outbox::new(),
            to_come: BTreeMap::new(),
            sequence: 0,
            requests: HashMap::new(),
            packets: 0,
        };
        for number in 0..REQUESTS {
            let at = world.rng.below(60_000);
            world.after(millis(at), Happening::Request(number));
        }
        world
    }

    fn after(&mut self, delay: Duration, happening: Happening) {
        self.sequence += 1;
        self.to_come.insert((self.now + delay, self.sequence), happening);
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.rng.below(100) < chance
    }

    /// Calls one layer, then hands what it sent to the link.
    fn call<T>(&mut self, is_server: bool, call: impl FnOnce(&mut Tx, &mut Cx<'_>) -> T) -> T {
        let layer = if is_server { &mut self.server } else { &mut self.client };
        let (wall, sink) = (UnixTime::default(), &mut Silent);
        let mut cx = Cx { now: self.now, wall, rng: &mut self.rng, out: &mut self.out, sink };
        let given = call(layer, &mut cx);
        layer.check_invariants();
        let mut out = std::mem::take(&mut self.out);
        for item in out.items() {
            match item {
                Output::Send { flow, range, tag } => self.carry(is_server, *flow, out.bytes(range), *tag),
                // every connection is up at once, or refused
                Output::GiveUpConnecting(_) => {}
                other => panic!("{other:?}"),
            }
        }
        out.clear();
        self.out = out;
        given
    }

    fn carry(&mut self, by_server: bool, flow: Flow, octets: &[u8], tag: u64) {
        self.packets += 1;
        let is_tcp = flow.transport == Transport::Tcp;
        if is_tcp && !by_server && self.percent(self.link.refuse_tcp) {
            return self.after(millis(3), Happening::Refused { by_server, flow, tag });
        }
        let is_broken = is_tcp && !by_server && self.percent(self.link.break_tcp);
        if is_broken {
            let delay = millis(self.rng.below(2 * MAX_DELAY_MS));
            self.after(delay, Happening::Broken { flow, tag });
        }
        let copies = match is_tcp {
            true => u32::from(!is_broken || self.percent(50)),
            false if self.percent(self.link.loss) => 0,
            false if self.percent(self.link.repeat) => 2,
            false => 1,
        };
        for _ in 0..copies {
            let delay = millis(1 + self.rng.below(MAX_DELAY_MS));
            let back = Flow { remote: address(by_server), ..flow };
            let octets = octets.to_vec();
            self.after(delay, Happening::Packet { to_server: !by_server, flow: back, octets });
        }
    }

    fn run(&mut self) {
        for _ in 0..200_000 {
            let happening = self.to_come.first_key_value().map(|(&(at, _), _)| at);
            let timers = [self.client.next_deadline(), self.server.next_deadline()];
            let Some(next) = timers.into_iter().chain([happening]).flatten().min() else { return };
            self.now = self.now.max(next);
            if happening == Some(next) {
                let (_, happening) = self.to_come.pop_first().unwrap();
                self.happen(happening);
            }
            self.call(false, |t, cx| t.tick(cx));
            self.call(true, |t, cx| t.tick(cx));
            self.take_events();
        }
        panic!("it does not come to rest");
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Request(number) => self.send_request(number),
            Happening::Cancel(number) => {
                let client = self.requests[&number].client.unwrap();
                self.call(false, |t, cx| t.cancel(cx, client, None));
            }
            Happening::Refused { by_server, flow, tag } => {
                self.call(by_server, |t, cx| t.on_send_failed(cx, flow, tag));
            }
            Happening::Broken { flow, tag } => {
                self.call(false, |t, cx| t.on_connection_lost(cx, flow, tag));
            }
            Happening::Packet { to_server, flow, octets } => {
                let mut index = Index::new();
                let msg = Message::parse(&octets, &mut index).unwrap();
                assert_eq!(msg.check(), Ok(()), "{}", String::from_utf8_lossy(&octets));
                match (to_server, msg.is_request()) {
                    (true, true) => self.serve(flow, &msg),
                    (false, false) => self.take_answer(flow, &msg),
                    _ => panic!("went astray: {}", String::from_utf8_lossy(&octets)),
                }
            }
            Happening::Say { id, number, status } => self.say(id, number, status),
            Happening::Repeat2xx { id, number, interval } => {
                if !self.requests[&number].is_acked {
                    self.call(true, |t, cx| t.retransmit_2xx(cx, id));
                    let interval = (interval * 2).min(Timers::default().t2);
                    if self.server.server(id).is_some() {
                        self.after(interval, Happening::Repeat2xx { id, number, interval });
                    }
                }
            }
        }
    }

    fn send_request(&mut self, number: u32) {
        let method =
            [Method::Invite, Method::Invite, Method::Message, Method::Bye][self.rng.below(4) as usize];
        let is_long = self.percent(30);
        let flow = Flow::udp(LocalId(0), address(true));
        let id = self.call(false, |t, cx| {
            let name = method.name();
            t.request(cx, flow, name.as_bytes(), b"sip:b@127.0.0.2", true, number, |mut w| {
                w.header("From", "<sip:a@ims.test>;tag=f").header("To", "<sip:b@ims.test>");
                w.header_fmt("Call-ID", format_args!("{number}"));
                w.header_fmt("CSeq", format_args!("1 {name}")).header("Max-Forwards", "70");
                if is_long {
                    w.header("X-Padding", "x".repeat(600));
                }
                w.finish();
            })
        });
        let request = self.requests.entry(number).or_default();
        (request.client, request.method) = (Some(id.unwrap()), Some(method));
        if method == Method::Invite && self.percent(30) {
            let delay = millis(self.rng.below(8_000));
            self.after(delay, Happening::Cancel(number));
        }
    }

    /// The server's TU.
    fn serve(&mut self, flow: Flow, msg: &Message<'_>) {
        let number: u32 = std::str::from_utf8(msg.call_id().unwrap()).unwrap().parse().unwrap();
        match self.call(true, |t, cx| t.on_request(cx, flow, msg)) {
            Verdict::New(id) => {
                self.requests.get_mut(&number).unwrap().arrivals += 1;
                let thinking = self.rng.below(5_000);
                if msg.method() == Method::Invite {
                    self.say(id, number, 100);
                    let ringing = Happening::Say { id, number, status: 180 };
                    self.after(millis(thinking / 2), ringing);
                }
                let status = [200, 200, 404, 486, 500, 603][self.rng.below(6) as usize];
                self.after(millis(thinking), Happening::Say { id, number, status });
            }
            Verdict::Cancel { invite } => self.say(invite, number, 487),
            Verdict::Ack => self.requests.get_mut(&number).unwrap().is_acked = true,
            Verdict::Absorbed => {}
            // a CANCEL that comes after its INVITE is forgotten, or that overtakes it
            Verdict::Rejected(481) => assert_eq!(msg.method(), Method::Cancel),
            // a request read by TCP and sent again by UDP
            Verdict::Rejected(status) => panic!("{status} to {number}"),
        }
    }

    fn say(&mut self, id: Server, number: u32, status: u16) {
        let Some(tx) = self.server.server(id).filter(|tx| !tx.has_final()) else { return };
        let is_invite = tx.request().method() == Method::Invite;
        self.call(true, |t, cx| t.respond(cx, id, status, None, b"b", |w| w.finish()));
        if status >= 200 {
            let request = self.requests.get_mut(&number).unwrap();
            assert_eq!(request.given.replace(status), None, "{number} is answered twice");
            if is_invite && status < 300 {
                let interval = Timers::default().t1;
                self.after(interval, Happening::Repeat2xx { id, number, interval });
            }
        }
    }

    /// The client's TU.
    fn take_answer(&mut self, flow: Flow, msg: &Message<'_>) {
        let answer = self.call(false, |t, cx| t.on_response(cx, flow, msg));
        let is_2xx_of_invite = msg.method() == Method::Invite && (200..300).contains(&msg.status());
        match answer {
            Answer::Final { owner, .. } => self.end(owner, msg.status()),
            Answer::Repeat2xx { .. } => assert!(is_2xx_of_invite),
            Answer::Provisional { .. } => assert!(msg.status() < 200),
            Answer::Absorbed | Answer::Stray => return,
        }
        if is_2xx_of_invite {
            let call_id = msg.header(HeaderId::CallId).unwrap();
            self.call(false, |t, cx| {
                t.send_stateless(cx, Flow { conn: None, ..flow }, b"ACK", b"sip:b@127.0.0.2", |mut w| {
                    w.copy(msg, HeaderId::From).copy(msg, HeaderId::To);
                    w.header("Call-ID", call_id).header("CSeq", "1 ACK");
                    w.finish();
                })
            });
        }
    }

    fn end(&mut self, owner: u32, status: u16) {
        self.requests.get_mut(&owner).unwrap().outcomes.push(status);
    }

    fn take_events(&mut self) {
        while let Some(event) = self.client.pop_event() {
            match event {
                TxEvent::ClientTimeout { owner, .. } | TxEvent::ClientFailed { owner, .. } => {
                    self.end(owner, 0)
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(self.server.pop_event(), None, "no owner was given");
    }

    /// What must hold when nothing moves any more.
    fn check(&self, context: &str) {
        for layer in [&self.client, &self.server] {
            assert_eq!((layer.server_count(), layer.client_count()), (0, 0), "{context}: leak");
        }
        assert_eq!(self.requests.len(), REQUESTS as usize);
        for (number, request) in &self.requests {
            let context = format!("{context}: request {number} {request:?}");
            assert_eq!(request.outcomes.len(), 1, "{context}");
            assert!(request.arrivals <= 1, "{context}");
            match request.outcomes[0] {
                0 => {}
                status => assert_eq!(request.given, Some(status), "{context}"),
            }
        }
    }

    fn timeouts(&self) -> usize {
        self.requests.values().filter(|r| r.outcomes == [0]).count()
    }
}

fn run(seed: u64, link: Link) -> World {
    let mut world = World::new(seed, link);
    world.run();
    world.check(&format!("seed {seed}, {link:?}"));
    world
}

#[test]
fn every_request_gets_one_outcome_over_a_lossy_link() {
    let mut answered = 0;
    for seed in 0..48 {
        let mut rng = Rng::from_seed(seed);
        let link = Link {
            loss: rng.below(60),
            repeat: rng.below(30),
            refuse_tcp: rng.below(101),
            break_tcp: rng.below(101),
        };
        let world = run(seed, link);
        answered += REQUESTS as usize - world.timeouts();
    }
    // most get through even so: retransmission is there for that
    assert!(answered > 48 * REQUESTS as usize * 9 / 10, "only {answered}");
}

#[test]
fn over_a_good_link_nothing_times_out() {
    for seed in 0..8 {
        assert_eq!(
            run(seed, Link { loss: 0, repeat: 20, refuse_tcp: 50, break_tcp: 0 }).timeouts(),
            0,
            "seed {seed}"
        );
    }
}

#[test]
fn over_a_dead_link_everything_times_out() {
    let world = run(1, Link { loss: 100, repeat: 0, refuse_tcp: 100, break_tcp: 0 });
    assert_eq!(world.timeouts(), REQUESTS as usize);
}

#[test]
fn one_seed_gives_the_same_run_twice() {
    let link = Link { loss: 30, repeat: 10, refuse_tcp: 50, break_tcp: 20 };
    let (a, b) = (run(9, link), run(9, link));
    assert_eq!((a.packets, a.now), (b.packets, b.now));
    assert_ne!(a.packets, run(10, link).packets);
}
