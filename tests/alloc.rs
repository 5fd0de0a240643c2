//! The hot path allocates nothing after warm-up: parsing, reading headers, absorbing retransmissions, matching the ACK of a
//! dialog, echoing and relaying RTP.

#[path = "support/vectors.rs"]
mod vectors;

use imsbox::base::rng::Rng;
use imsbox::base::time::{Duration, Instant, UnixTime};
use imsbox::base::trace::Silent;
use imsbox::proto::cx::Cx;
use imsbox::proto::flow::{Flow, LocalId};
use imsbox::proto::media::held::Held;
use imsbox::proto::media::table::{Action, MediaTable, PacketVerdict, Remote, Treatment};
use imsbox::proto::outbox::Outbox;
use imsbox::proto::sip::dialog::{Dialog, DialogKey};
use imsbox::proto::sip::digest::Credentials;
use imsbox::proto::sip::transaction::{Answer, Limits, Timers, Transactions, Verdict};
use imsbox::wire::gsm::{Rp, Rpdu, Submit};
use imsbox::wire::sdp::Sdp;
use imsbox::wire::sip::{HeaderId, Index, Message, Uri, Via, Writer};
use platform::counting::Counting;
use std::hint::black_box;
use std::net::SocketAddr;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `work` makes.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = Counting::allocations();
    work();
    Counting::allocations() - before
}

fn all_vectors() -> Vec<(String, Vec<u8>)> {
    let folders = ["phones", "sip_torture/valid", "sip_torture/invalid", "sip_torture/volte"];
    folders.into_iter().flat_map(vectors::messages).collect()
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 1);
}

#[test]
fn parsing_and_checking_any_message_allocates_nothing() {
    let mut index = Index::new();
    for (name, octets) in all_vectors() {
        let count = allocations(|| {
            let _ = black_box(Message::parse(&octets, &mut index).map(|m| m.check()));
        });
        assert_eq!(count, 0, "{name}");
    }
}

/// Reads what a transaction, a dialog, the registrar and a call look at.
fn read(m: &Message<'_>) {
    black_box((
        m.via().map(|v| v.unique_branch().is_some()),
        m.cseq(),
        m.call_id(),
        m.max_forwards(),
        m.expires(),
    ));
    black_box((
        m.from().map(|a| a.tag().is_some()),
        m.to().map(|a| a.tag().is_some()),
        Uri::parse(m.request_uri()),
    ));
    black_box(m.values(HeaderId::Via).filter_map(Via::parse).count());
    black_box(m.addresses(HeaderId::Route).count());
    black_box((m.lists(HeaderId::Supported, "100rel"), m.lists(HeaderId::Require, "precondition")));
    for contact in m.registered_contacts() {
        black_box((contact.q(), contact.expires_secs(), contact.imei(), contact.has_icsi("urn:urn-7:x")));
    }
    black_box(
        m.mechanisms(HeaderId::SecurityClient)
            .filter(|s| s.spi_c().is_some() && s.port_s().is_some())
            .count(),
    );
    black_box((
        m.session_expires(),
        m.rack(),
        m.rseq(),
        m.privacy(),
        m.reasons().count(),
        m.access_networks().count(),
    ));
    black_box(m.header(HeaderId::Authorization).and_then(Credentials::parse));
    if let Some(Ok(sdp)) = m.body_of("application/sdp").map(Sdp::parse) {
        for media in sdp.medias() {
            black_box((media.rtp_addr(), media.rtcp_addr(), media.direction(), media.qos_lines().count()));
            black_box(media.formats().filter_map(|f| media.rtpmap(f)).count());
        }
    }
}

#[test]
fn reading_the_headers_of_a_phone_allocates_nothing() {
    let mut index = Index::new();
    for (name, octets) in vectors::messages("phones") {
        let m = Message::parse(&octets, &mut index).unwrap();
        assert_eq!(allocations(|| read(&m)), 0, "{name}");
    }
}

#[test]
fn answering_from_a_warm_buffer_allocates_nothing() {
    let mut index = Index::new();
    let mut out = Vec::with_capacity(4096);
    for (name, octets) in vectors::messages("phones") {
        let m = Message::parse(&octets, &mut index).unwrap();
        let count = allocations(|| {
            let mut w = Writer::response_to(&mut out, &m, 200, None, None, Some(b"tag"));
            w.header_fmt("Expires", format_args!("{}", 3600)).copy(&m, HeaderId::Supported);
            w.finish();
        });
        assert_eq!(count, 0, "{name}");
    }
}

#[test]
fn reading_a_short_message_allocates_nothing() {
    let mut index = Index::new();
    let mut read = 0;
    for (name, octets) in vectors::messages("phones") {
        let m = Message::parse(&octets, &mut index).unwrap();
        let Some(body) = m.body_of("application/vnd.3gpp.sms") else { continue };
        let count = allocations(|| {
            let rpdu = Rpdu::parse(body).expect("an RPDU");
            match rpdu.message {
                Rp::Data { user_data, .. } => {
                    let submit = Submit::parse(user_data).expect("a SUBMIT");
                    black_box((submit.destination.number(), submit.user_data.septets().count()));
                }
                other => drop(black_box(other)),
            }
        });
        assert_eq!(count, 0, "{name}");
        read += 1;
    }
    assert_eq!(read, 2);
}

#[test]
fn echoing_rtp_and_rtcp_allocates_nothing() {
    const RTP: [u8; 12] = [0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7];
    const RTCP: [u8; 8] = [0x80, 200, 0, 1, 0, 0, 0, 7];
    let mut table = MediaTable::new(4, [(10_000, 10_009)]);
    let (session, _) = table.open(Instant::ZERO, LocalId(0)).unwrap();
    let peer = "192.0.2.1:4000".parse().unwrap();
    table.set_remote(session, Some(Remote::new(peer)));
    let count = allocations(|| {
        for packet in 0..1000 {
            let now = Instant::ZERO + Duration::from_millis(20 * packet);
            for (rtcp, octets) in [(false, &RTP[..]), (true, &RTCP[..])] {
                let verdict = table.on_packet(now, session, rtcp, peer, octets);
                assert_eq!(verdict, PacketVerdict::Send { session, rtcp, to: peer });
            }
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn relaying_and_holding_back_rtp_and_rtcp_allocates_nothing() {
    const RTP: [u8; 12] = [0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7];
    const RTCP: [u8; 8] = [0x80, 200, 0, 1, 0, 0, 0, 7];
    let mut table = MediaTable::new(4, [(10_000, 10_009), (10_000, 10_009)]);
    let peers: [SocketAddr; 2] = ["192.0.2.1:4000", "[2001:db8::1]:5000"].map(|a| a.parse().unwrap());
    let sessions = [0, 1].map(|local| table.open(Instant::ZERO, LocalId(local)).unwrap().0);
    for n in 0..2 {
        table.set_action(sessions[n], Action::Forward { to: sessions[1 - n] });
        table.set_remote(sessions[n], Some(Remote::muxed(peers[n])));
    }
    let delay = Duration::from_secs(1);
    let mut held = Held::new();
    let mut sent = 0;
    let count = allocations(|| {
        for packet in 0..1000 {
            let now = Instant::ZERO + Duration::from_millis(20 * packet);
            for n in 0..2 {
                if packet == 500 {
                    table.set_treatment(sessions[n], Treatment { delay, ..Treatment::default() });
                }
                for octets in [&RTP[..], &RTCP[..]] {
                    match table.on_packet(now, sessions[n], false, peers[n], octets) {
                        PacketVerdict::Send { to, .. } => sent += usize::from(to == peers[1 - n]),
                        PacketVerdict::Hold { until } => {
                            assert!(held.keep(until, sessions[n], false, octets));
                        }
                        PacketVerdict::Drop(why) => panic!("{why}"),
                    }
                }
            }
            while let Some(due) = held.due(now) {
                let verdict = table.on_due(due.session, due.rtcp, held.packet(&due));
                sent += usize::from(matches!(verdict, PacketVerdict::Send { .. }));
                held.free(due);
            }
        }
    });
    assert_eq!(count, 0);
    assert_eq!(sent, 4 * (1000 - 50), "those of the last second are still held");
}

/// A transaction layer with what it needs, one turn at a time.
struct Layer {
    txs: Transactions<u32>,
    rng: Rng,
    out: Outbox,
    index: Index,
    now: Instant,
}

impl Layer {
    fn new() -> Self {
        let mut rng = Rng::from_seed(1);
        let locals = vec!["127.0.0.1:5060".parse().unwrap()];
        let txs = Transactions::new(locals, Timers::default(), Limits::default(), 1300, &mut rng);
        Layer { txs, rng, out: Outbox::new(), index: Index::new(), now: Instant::ZERO }
    }

    fn turn<T>(&mut self, work: impl FnOnce(&mut Transactions<u32>, &mut Cx<'_>, &mut Index) -> T) -> T {
        self.out.clear();
        let (rng, out) = (&mut self.rng, &mut self.out);
        let mut cx = Cx { now: self.now, wall: UnixTime::default(), rng, out, sink: &mut Silent };
        work(&mut self.txs, &mut cx, &mut self.index)
    }

    fn request(&mut self, octets: &[u8]) -> Verdict<u32> {
        self.turn(|txs, cx, index| txs.on_request(cx, phone(), &Message::parse(octets, index).unwrap()))
    }

    fn response(&mut self, octets: &[u8]) -> Answer<u32> {
        self.turn(|txs, cx, index| txs.on_response(cx, phone(), &Message::parse(octets, index).unwrap()))
    }
}

fn phone() -> Flow {
    Flow::udp(LocalId(0), "127.0.0.2:5080".parse().unwrap())
}

fn from_phone(method: &str, branch: &str) -> Vec<u8> {
    format!(
        "{method} sip:b@ims.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:5080;branch={branch};rport\r\n\
         From: <sip:a@ims.test>;tag=a1\r\nTo: <sip:b@ims.test>;tag=b1\r\nCall-ID: in-1\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:a@127.0.0.2:5080>\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

#[test]
fn absorbing_a_retransmission_and_answering_it_again_allocates_nothing() {
    for branch in ["z9hG4bKa", "no-cookie"] {
        let mut layer = Layer::new();
        let text = from_phone("INVITE", branch);
        let Verdict::New(id) = layer.request(&text) else { panic!("it is new") };
        layer.turn(|txs, cx, _| txs.respond(cx, id, 180, None, b"b1", |w| w.finish()));
        assert_eq!(layer.request(&text), Verdict::Absorbed);
        assert_eq!(allocations(|| assert_eq!(layer.request(&text), Verdict::Absorbed)), 0, "{branch}");
        assert_eq!(layer.out.items().len(), 1, "the response goes out again");
    }
}

#[test]
fn matching_the_ack_of_a_dialog_allocates_nothing() {
    let mut layer = Layer::new();
    let invite = from_phone("INVITE", "z9hG4bKi");
    let Verdict::New(id) = layer.request(&invite) else { panic!("it is new") };
    layer.turn(|txs, cx, _| txs.respond(cx, id, 200, None, b"b1", |w| w.finish()));
    let mut dialog = Dialog::uas(&layer.txs.server(id).unwrap().request(), b"b1", phone());
    let ack = from_phone("ACK", "z9hG4bKack");
    let mut matched: Option<DialogKey> = None;
    let count = allocations(|| {
        assert_eq!(layer.request(&ack), Verdict::Ack);
        let msg = Message::parse(&ack, &mut layer.index).unwrap();
        matched = Dialog::key_of(&msg);
        dialog.on_request(&msg).unwrap();
    });
    assert_eq!((count, matched), (0, Some(dialog.id())));
}

#[test]
fn sending_a_request_again_and_acknowledging_a_failure_again_allocates_nothing() {
    let mut layer = Layer::new();
    let sent = layer.turn(|txs, cx, _| {
        txs.request(cx, phone(), b"INVITE", b"sip:b@127.0.0.2", false, 1, |mut w| {
            w.header("From", "<sip:a@h>;tag=1").header("To", "<sip:b@h>");
            w.header("Call-ID", "out-1").header("CSeq", "1 INVITE");
            w.finish();
        })
    });
    let client = sent.unwrap();
    let count = allocations(|| {
        for _ in 0..4 {
            layer.now = layer.txs.next_deadline().unwrap();
            layer.turn(|txs, cx, _| txs.tick(cx));
            assert_eq!(layer.out.items().len(), 1, "timer A sends it again");
        }
    });
    assert_eq!(count, 0);
    let mut busy = Vec::new();
    let request = layer.txs.client(client).unwrap().request();
    Writer::response_to(&mut busy, &request, 486, None, None, Some(b"t")).finish();
    assert_eq!(layer.response(&busy), Answer::Final { id: client, owner: 1 });
    assert_eq!(allocations(|| assert_eq!(layer.response(&busy), Answer::Absorbed)), 0);
    assert_eq!(layer.out.items().len(), 1, "the ACK goes out again");
}
