//! RTP and RTCP through the node.

use crate::harness::{Running, receive, udp};
use imsbox::config::model::{Config, SipSocket};
use imsbox::proto::flow::LocalId;
use imsbox::proto::media::table::{Action, Counters, Remote};
use imsbox::proto::outbox::Output;
use std::net::{SocketAddr, UdpSocket};

const RTCP: [u8; 8] = [0x80, 200, 0, 1, 0, 0, 0, 7];

/// An RTP packet of 172 octets.
fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x55; 172];
    packet[..4].copy_from_slice(&[0x80, 8, (sequence >> 8) as u8, sequence as u8]);
    packet
}

/// A node whose media ports lie below those that the kernel gives to others, at a place of this test's own.
fn start(host: &str, place: u16) -> Running {
    let offset = (std::process::id() % 40) as u16 * 200;
    let port_min = 20_000 + offset + place * 20;
    let sip = SipSocket { port_min, port_max: port_min + 19, ..SipSocket::new(host.parse().unwrap(), 0) };
    Running::with_config(Config { sip: vec![sip], ..Config::default() })
}

/// An open media session; pairs that another program holds are passed over.
struct Session {
    id: u64,
    rtp: SocketAddr,
    rtcp: SocketAddr,
}

fn open(node: &Running) -> Session {
    for _ in 0..10 {
        let (id, port) = node.ask(|cx| {
            let (id, port) = cx.core.media_mut().open(cx.now, LocalId(0)).unwrap();
            cx.out.push(Output::OpenMedia { session: id, local: LocalId(0), port });
            (id, port)
        });
        node.ask(|_| ());
        if !node.lines.any(&format!("media ports {port} and")) {
            let at = |port| SocketAddr::new(node.addrs[0].ip(), port);
            return Session { id, rtp: at(port), rtcp: at(port + 1) };
        }
    }
    panic!("no free pair of ports");
}

fn counters(node: &Running, session: u64) -> Counters {
    node.ask(move |cx| cx.core.media_mut().view(session).unwrap().counters)
}

#[test]
fn echo_returns_every_packet_of_a_burst() {
    for (place, host) in [(0, "127.0.0.1"), (1, "::1")] {
        let node = start(host, place);
        let session = open(&node);
        let phone = udp(host);
        for burst in 0..5 {
            (0..100)
                .for_each(|n| assert_eq!(phone.send_to(&rtp(burst * 100 + n), session.rtp).unwrap(), 172));
            for n in 0..100 {
                assert_eq!(receive(&phone), (rtp(burst * 100 + n), session.rtp));
            }
        }
        let control = udp(host);
        control.send_to(&RTCP, session.rtcp).unwrap();
        assert_eq!(receive(&control), (RTCP.to_vec(), session.rtcp));
        phone.send_to(&RTCP, session.rtp).unwrap();
        assert_eq!(receive(&phone), (RTCP.to_vec(), session.rtp), "RTCP on the RTP port");
        let expected = Counters { rtp_recv: 500, rtp_send: 500, rtcp_recv: 2, rtcp_send: 2, dropped: 0 };
        assert_eq!(counters(&node, session.id), expected);
        node.stop();
    }
}

/// Allocations of the loop's thread so far, noted within a turn.
fn note_allocations(node: &Running) -> u64 {
    node.ask(|_| platform::counting::Counting::allocations())
}

#[test]
fn no_packet_of_an_echo_allocates() {
    let node = start("127.0.0.1", 8);
    let session = open(&node);
    let (phone, control) = (udp("127.0.0.1"), udp("127.0.0.1"));
    let run = |packets: u16| {
        let before = note_allocations(&node);
        for n in 0..packets {
            phone.send_to(&rtp(n), session.rtp).unwrap();
            control.send_to(&RTCP, session.rtcp).unwrap();
            if n % 10 == 9 {
                (0..10).for_each(|_| drop((receive(&phone), receive(&control))));
            }
        }
        note_allocations(&node) - before
    };
    run(200);
    // asking costs some allocations, the same each time
    let asking = run(0);
    assert_eq!(run(1000), asking);
    node.stop();
}

#[test]
fn many_sessions_keep_apart() {
    let node = start("127.0.0.1", 2);
    let sessions: Vec<(Session, UdpSocket)> = (0..8).map(|_| (open(&node), udp("127.0.0.1"))).collect();
    for n in 0..20 {
        for (session, phone) in &sessions {
            phone.send_to(&rtp(n), session.rtp).unwrap();
        }
    }
    for (session, phone) in &sessions {
        (0..20).for_each(|n| assert_eq!(receive(phone), (rtp(n), session.rtp)));
        assert_eq!(counters(&node, session.id).rtp_send, 20);
    }
    node.stop();
}

#[test]
fn strangers_and_strange_packets_get_no_echo() {
    let node = start("127.0.0.1", 3);
    let session = open(&node);
    let (phone, stranger) = (udp("127.0.0.1"), udp("127.0.0.1"));
    phone.send_to(b"not RTP", session.rtp).unwrap();
    phone.send_to(&[0x80; 5000], session.rtp).unwrap();
    phone.send_to(&rtp(1), session.rtp).unwrap();
    assert_eq!(receive(&phone).0, rtp(1));
    stranger.send_to(&rtp(2), session.rtp).unwrap();
    phone.send_to(&rtp(3), session.rtp).unwrap();
    assert_eq!(receive(&phone).0, rtp(3));
    stranger.set_nonblocking(true).unwrap();
    assert!(stranger.recv(&mut [0; 8]).is_err());
    let expected = Counters { rtp_recv: 2, rtp_send: 2, dropped: 3, ..Counters::default() };
    assert_eq!(counters(&node, session.id), expected);
    node.stop();
}

#[test]
fn two_sessions_relay_to_each_other_s_peer() {
    let node = start("127.0.0.1", 4);
    let (a, b) = (open(&node), open(&node));
    let (alice, bob) = (udp("127.0.0.1"), udp("127.0.0.1"));
    let (to_a, to_b) = (alice.local_addr().unwrap(), bob.local_addr().unwrap());
    let (id_a, id_b) = (a.id, b.id);
    node.ask(move |cx| {
        let media = cx.core.media_mut();
        for (session, other, peer) in [(id_a, id_b, to_a), (id_b, id_a, to_b)] {
            media.set_action(session, Action::Forward { to: other });
            media.set_remote(session, Some(Remote::new(peer)));
        }
    });
    (0..40).for_each(|n| assert_eq!(alice.send_to(&rtp(n), a.rtp).unwrap(), 172));
    (0..40).for_each(|n| assert_eq!(receive(&bob), (rtp(n), b.rtp)));
    bob.send_to(&rtp(99), b.rtp).unwrap();
    assert_eq!(receive(&alice), (rtp(99), a.rtp));
    node.stop();
}

#[test]
fn a_packet_of_our_own_leaves_from_the_session_s_port() {
    let node = start("127.0.0.1", 5);
    let session = open(&node);
    let (phone, id) = (udp("127.0.0.1"), session.id);
    let to = phone.local_addr().unwrap();
    node.ask(move |cx| {
        for (rtcp, packet) in [(false, &rtp(5)[..]), (true, &RTCP)] {
            let range = cx.out.append(packet);
            cx.out.push(Output::SendMedia { session: id, rtcp, to, range });
        }
    });
    assert_eq!(receive(&phone), (rtp(5), session.rtp));
    assert_eq!(receive(&phone), (RTCP.to_vec(), session.rtcp));
    node.stop();
}

#[test]
fn closed_ports_are_free_again() {
    let node = start("127.0.0.1", 6);
    let session = open(&node);
    let id = session.id;
    assert!(UdpSocket::bind(session.rtp).is_err());
    node.ask(move |cx| {
        let (local, port) = cx.core.media_mut().close(id).unwrap();
        cx.out.push(Output::CloseMedia { session: id, local, port });
    });
    node.ask(|_| ());
    UdpSocket::bind(session.rtp).unwrap();
    UdpSocket::bind(session.rtcp).unwrap();
    node.stop();
}

#[test]
fn a_pair_in_use_is_said() {
    let node = start("127.0.0.1", 7);
    let session = open(&node);
    let port = session.rtp.port();
    node.ask(move |cx| cx.out.push(Output::OpenMedia { session: 99, local: LocalId(0), port }));
    node.until_logged(&format!(
        "media ports {port} and {} cannot be opened: Address already in use",
        port + 1
    ));
    let phone = udp("127.0.0.1");
    phone.send_to(&rtp(1), session.rtp).unwrap();
    assert_eq!(receive(&phone).0, rtp(1), "the first session is not disturbed");
    node.stop();
}
