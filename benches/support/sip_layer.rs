//! A transaction layer with a peer, without sockets: what the benches drive.

use imsbox::base::arena::Id;
use imsbox::base::rng::Rng;
use imsbox::base::time::{Instant, UnixTime};
use imsbox::base::trace::Silent;
use imsbox::proto::cx::Cx;
use imsbox::proto::flow::{Flow, LocalId};
use imsbox::proto::outbox::{Outbox, Output};
use imsbox::proto::sip::dialog::{Dialog, DialogKey};
use imsbox::proto::sip::transaction::{Answer, Limits, ServerTx, Timers, Transactions, Verdict};
use imsbox::wire::sip::{Index, Message, Writer};

/// The layer and what it needs.
pub struct SipLayer {
    txs: Transactions<u32>,
    rng: Rng,
    out: Outbox,
    index: Index,
    now: Instant,
}

/// The peer's flow.
pub fn flow() -> Flow {
    Flow::udp(LocalId(0), ([127, 0, 0, 2], 5080).into())
}

impl SipLayer {
    /// An empty layer at 127.0.0.1:5060.
    pub fn new() -> Self {
        let mut rng = Rng::from_seed(1);
        let locals = vec![([127, 0, 0, 1], 5060).into()];
        let txs = Transactions::new(locals, Timers::default(), Limits::default(), 1300, &mut rng);
        SipLayer { txs, rng, out: Outbox::new(), index: Index::new(), now: Instant::from_nanos(1_000) }
    }

    /// Receives a request, from its octets to the verdict. Returns how many messages that sent, too.
    pub fn on_request(&mut self, octets: &[u8]) -> (Verdict<u32>, usize) {
        let SipLayer { txs, rng, out, index, now } = self;
        let message = Message::parse(octets, index).expect("a request");
        let mut cx = Cx { now: *now, wall: UnixTime::default(), rng, out, sink: &mut Silent };
        let verdict = txs.on_request(&mut cx, flow(), &message);
        (verdict, self.forget())
    }

    /// Receives a response, as [`SipLayer::on_request`].
    pub fn on_response(&mut self, octets: &[u8]) -> (Answer<u32>, usize) {
        let SipLayer { txs, rng, out, index, now } = self;
        let message = Message::parse(octets, index).expect("a response");
        let mut cx = Cx { now: *now, wall: UnixTime::default(), rng, out, sink: &mut Silent };
        let answer = txs.on_response(&mut cx, flow(), &message);
        (answer, self.forget())
    }

    /// Receives an ACK and finds the dialog that it belongs to.
    pub fn on_ack(&mut self, octets: &[u8], dialog: &mut Dialog) -> bool {
        let SipLayer { txs, rng, out, index, now } = self;
        let message = Message::parse(octets, index).expect("an ACK");
        let mut cx = Cx { now: *now, wall: UnixTime::default(), rng, out, sink: &mut Silent };
        txs.on_request(&mut cx, flow(), &message) == Verdict::Ack
            && Dialog::key_of(&message).map(DialogKey::to_bits) == Some(dialog.id().to_bits())
            && dialog.on_request(&message).is_ok()
    }

    /// Answers a transaction.
    pub fn respond(&mut self, id: Id<ServerTx<u32>>, status: u16) {
        let SipLayer { txs, rng, out, now, .. } = self;
        let mut cx = Cx { now: *now, wall: UnixTime::default(), rng, out, sink: &mut Silent };
        txs.respond(&mut cx, id, status, None, b"local", |w| w.finish());
        self.forget();
    }

    /// Sends a request; returns it as it left.
    pub fn send(&mut self, method: &str) -> Vec<u8> {
        let SipLayer { txs, rng, out, now, .. } = self;
        let mut cx = Cx { now: *now, wall: UnixTime::default(), rng, out, sink: &mut Silent };
        txs.request(&mut cx, flow(), method.as_bytes(), b"sip:b@127.0.0.2:5080", false, 7, |mut w| {
            w.header("From", "<sip:a@ims.test>;tag=1")
                .header("To", "<sip:b@ims.test>")
                .header("Call-ID", "c-1");
            w.header_fmt("CSeq", format_args!("1 {method}")).header("Max-Forwards", "70");
            w.finish();
        })
        .expect("room for a transaction");
        let sent = self.out.items().iter().find_map(|item| match item {
            Output::Send { range, .. } => Some(self.out.bytes(range).to_vec()),
            _ => None,
        });
        self.forget();
        sent.expect("a request was sent")
    }

    /// Lets time pass until every transaction that waits for nothing else has ended. Returns how many are left.
    pub fn pass(&mut self) -> usize {
        let SipLayer { txs, rng, out, now, .. } = self;
        while let Some(deadline) = txs.next_deadline() {
            *now = deadline;
            let mut cx = Cx { now: *now, wall: UnixTime::default(), rng, out, sink: &mut Silent };
            txs.tick(&mut cx);
        }
        while txs.pop_event().is_some() {}
        let left = txs.server_count() + txs.client_count();
        self.forget();
        left
    }

    /// Forgets what was put out, as the loop does at the end of a turn; how many messages that was.
    fn forget(&mut self) -> usize {
        let sent = self.out.items().iter().filter(|i| matches!(i, Output::Send { .. })).count();
        self.out.clear();
        sent
    }
}

/// The answer of a peer to a request that was sent to it.
pub fn answer(request: &[u8], status: u16) -> Vec<u8> {
    let mut index = Index::new();
    let message = Message::parse(request, &mut index).expect("a request");
    let mut octets = Vec::new();
    Writer::response_to(&mut octets, &message, status, None, None, Some(b"remote")).finish();
    octets
}

/// A request of the peer, in the size of a phone's.
pub fn from_peer(method: &str, branch: &str, to_tag: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut w = Writer::request(
        &mut octets,
        method.as_bytes(),
        b"sip:+8613800000906@ims.mnc001.mcc001.3gppnetwork.org",
    );
    w.header_fmt("Via", format_args!("SIP/2.0/UDP 127.0.0.2:5080;branch=z9hG4bK{branch};rport"));
    w.header("Max-Forwards", "70").header("Route", "<sip:127.0.0.1:5060;lr>");
    w.header("From", "<sip:001010123456712@ims.mnc001.mcc001.3gppnetwork.org>;tag=W8dcbT3");
    w.header_fmt("To", format_args!("<sip:001010123456712@ims.mnc001.mcc001.3gppnetwork.org>{to_tag}"));
    w.header("Call-ID", "Z7dcb95rP@127.0.0.2").header_fmt("CSeq", format_args!("1 {method}"));
    w.header(
        "Contact",
        "<sip:001010123456712@127.0.0.2:5080>;+sip.instance=\"<urn:gsma:imei:86130905-000038-0>\"",
    );
    w.header("P-Access-Network-Info", "3GPP-NR-TDD;utran-cell-id-3gpp=00101003132000134001");
    w.header("Supported", "100rel,histinfo,join,norefersub,precondition,replaces,timer,sec-agree");
    w.header("Allow", "INVITE,ACK,OPTIONS,BYE,CANCEL,UPDATE,PRACK,NOTIFY,MESSAGE,REFER");
    w.header("User-Agent", "IM-client/OMA1.0 HW-Rto/V1.0");
    w.finish();
    octets
}

/// The dialog that the peer's INVITE makes when it is answered with the tag `local`.
pub fn dialog(invite: &[u8]) -> Dialog {
    let mut index = Index::new();
    Dialog::uas(&Message::parse(invite, &mut index).expect("an INVITE"), b"local", flow())
}
