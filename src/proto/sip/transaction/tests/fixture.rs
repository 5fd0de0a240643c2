//! A layer, a virtual clock, and the messages of a peer.

use crate::base::rng::Rng;
use crate::base::time::{Duration, Instant, UnixTime};
use crate::base::trace::Silent;
use crate::proto::cx::Cx;
use crate::proto::flow::{ConnId, Flow, LocalId};
use crate::proto::outbox::{Outbox, Output};
use crate::proto::sip::transaction::*;
use crate::wire::sip::{Index, Message, Method};
use std::net::SocketAddr;

/// The TU's name for a transaction.
pub type Owner = u32;
pub type Server = crate::base::arena::Id<ServerTx<Owner>>;
pub type Client = crate::base::arena::Id<ClientTx<Owner>>;

/// One message that the layer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub flow: Flow,
    pub text: String,
    pub tag: u64,
}

impl Sent {
    /// The first line.
    pub fn start(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The value of the first header line of this name.
    pub fn header(&self, name: &str) -> &str {
        let line = self.text.lines().find(|l| l.split(':').next() == Some(name));
        line.and_then(|l| l.split_once(": ")).map_or("", |(_, value)| value)
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.text.lines().filter(|l| l.split(':').next() == Some(name));
        lines.filter_map(|l| l.split_once(": ")).map(|(_, value)| value).collect()
    }

    /// The branch of the topmost Via.
    pub fn branch(&self) -> &str {
        let via = self.header("Via");
        via.split(';').find_map(|p| p.strip_prefix("branch=")).unwrap_or_default()
    }
}

pub struct Fixture {
    pub txs: Transactions<Owner>,
    pub now: Instant,
    pub rng: Rng,
    pub out: Outbox,
    index: Index,
    given_up: Vec<Flow>,
}

pub const LOCAL: &str = "127.0.0.1:5060";
pub const PHONE: &str = "127.0.0.2:5080";

pub fn udp() -> Flow {
    Flow::udp(LocalId(0), PHONE.parse().unwrap())
}

pub fn tcp() -> Flow {
    Flow::tcp(LocalId(0), "127.0.0.2:40000".parse().unwrap(), Some(ConnId(1)))
}

pub fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Fixture {
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub fn with_limits(limits: Limits) -> Self {
        let mut rng = Rng::from_seed(42);
        let locals: Vec<SocketAddr> = vec![LOCAL.parse().unwrap(), "[::1]:5070".parse().unwrap()];
        let txs = Transactions::new(locals, Timers::default(), limits, 1300, &mut rng);
        let now = Instant::from_nanos(1_000);
        Fixture { txs, now, rng, out: Outbox::new(), index: Index::new(), given_up: Vec::new() }
    }

    /// Runs one call of the layer; returns what it gave and what it sent.
    pub fn run<T>(
        &mut self,
        call: impl FnOnce(&mut Transactions<Owner>, &mut Cx<'_>) -> T,
    ) -> (T, Vec<Sent>) {
        let mut cx = Cx {
            now: self.now,
            wall: UnixTime::default(),
            rng: &mut self.rng,
            out: &mut self.out,
            sink: &mut Silent,
        };
        let given = call(&mut self.txs, &mut cx);
        self.txs.check_invariants();
        let mut sent = Vec::new();
        for item in self.out.items() {
            match item {
                Output::Send { flow, range, tag } => sent.push(Sent {
                    flow: *flow,
                    text: String::from_utf8(self.out.bytes(range).to_vec()).unwrap(),
                    tag: *tag,
                }),
                Output::GiveUpConnecting(flow) => self.given_up.push(*flow),
                other => panic!("unexpected {other:?}"),
            }
        }
        self.out.clear();
        (given, sent)
    }

    pub fn receive(&mut self, flow: Flow, text: &str) -> (Verdict<Owner>, Vec<Sent>) {
        let mut index = std::mem::take(&mut self.index);
        let msg = Message::parse(text.as_bytes(), &mut index).unwrap();
        let got = self.run(|txs, cx| txs.on_request(cx, flow, &msg));
        self.index = index;
        got
    }

    /// Receives a request that must be new.
    pub fn receive_new(&mut self, flow: Flow, text: &str) -> Server {
        match self.receive(flow, text) {
            (Verdict::New(id), sent) if sent.is_empty() => id,
            other => panic!("not new: {other:?}"),
        }
    }

    pub fn answer(&mut self, flow: Flow, text: &str) -> (Answer<Owner>, Vec<Sent>) {
        let mut index = std::mem::take(&mut self.index);
        let msg = Message::parse(text.as_bytes(), &mut index).unwrap();
        let got = self.run(|txs, cx| txs.on_response(cx, flow, &msg));
        self.index = index;
        got
    }

    pub fn respond(&mut self, id: Server, status: u16) -> Vec<Sent> {
        self.run(|txs, cx| txs.respond(cx, id, status, None, b"ours", |w| w.finish())).1
    }

    /// Sends a request to `flow`; the TU's name is 7.
    pub fn request(
        &mut self,
        flow: Flow,
        method: Method,
        tcp_allowed: bool,
        padding: usize,
    ) -> (Client, Sent) {
        let name = method.name();
        let (id, sent) = self.run(|txs, cx| {
            txs.request(cx, flow, name.as_bytes(), b"sip:b@127.0.0.2:5080", tcp_allowed, 7, |mut w| {
                w.header("Max-Forwards", "70").header("Route", "<sip:p1;lr>").header("Route", "<sip:p2;lr>");
                w.header("From", "<sip:a@ims.test>;tag=f").header("To", "<sip:b@ims.test>");
                w.header("Call-ID", "call-1").header_fmt("CSeq", format_args!("3 {name}"));
                w.header("X-Padding", "x".repeat(padding));
                w.finish();
            })
        });
        let [sent] = <[Sent; 1]>::try_from(sent).unwrap();
        (id.unwrap(), sent)
    }

    /// Advances the clock to each deadline up to `limit` from now; returns what was sent, with the milliseconds from now.
    pub fn pass(&mut self, limit: Duration) -> Vec<(u64, Sent)> {
        let start = self.now;
        let mut all = Vec::new();
        while let Some(at) = self.txs.next_deadline().filter(|&at| at <= start + limit) {
            self.now = self.now.max(at);
            let (_, sent) = self.run(|txs, cx| txs.tick(cx));
            let ms = self.now.since(start).as_millis() as u64;
            all.extend(sent.into_iter().map(|s| (ms, s)));
        }
        self.now = start + limit;
        all
    }

    /// Like [`Fixture::pass`], keeping the times and start lines only.
    pub fn pass_lines(&mut self, limit: Duration) -> Vec<(u64, String)> {
        self.pass(limit).into_iter().map(|(ms, s)| (ms, s.start().to_owned())).collect()
    }

    pub fn events(&mut self) -> Vec<TxEvent<Owner>> {
        std::iter::from_fn(|| self.txs.pop_event()).collect()
    }

    /// The flows whose connections the layer has given up, since it was asked last.
    pub fn given_up(&mut self) -> Vec<Flow> {
        std::mem::take(&mut self.given_up)
    }

    pub fn assert_empty(&self) {
        self.txs.check_invariants();
        assert_eq!((self.txs.server_count(), self.txs.client_count()), (0, 0));
        assert_eq!(self.txs.next_deadline(), None);
    }
}

/// A request as a phone sends it.
pub fn incoming(method: &str, branch: &str) -> String {
    let cseq = if method == "ACK" { "1 ACK" } else { &format!("1 {method}") };
    format!(
        "{method} sip:b@ims.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:5080;branch={branch};rport\r\n\
         From: <sip:a@ims.test>;tag=a1\r\nTo: <sip:b@ims.test>\r\nCall-ID: in-1\r\nCSeq: {cseq}\r\n\
         Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

/// A response to a request that the layer sent.
pub fn response(request: &Sent, status: u16) -> String {
    format!(
        "SIP/2.0 {status} x\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=b{status}\r\nCall-ID: {}\r\nCSeq: {}\r\nContent-Length: 0\r\n\r\n",
        request.header("Via"),
        request.header("From"),
        request.header("To"),
        request.header("Call-ID"),
        request.header("CSeq"),
    )
}
