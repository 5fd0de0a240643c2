//! The hot path allocates nothing after warm-up: parsing, reading headers, and echoing RTP.

#[path = "support/vectors.rs"]
mod vectors;

use imsbox::base::time::{Duration, Instant};
use imsbox::proto::flow::LocalId;
use imsbox::proto::media::table::{MediaTable, PacketVerdict, Remote};
use imsbox::proto::sip::digest::Credentials;
use imsbox::wire::sdp::Sdp;
use imsbox::wire::sip::{HeaderId, Index, Message, Uri, Via, Writer};
use platform::counting::Counting;
use std::hint::black_box;

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
