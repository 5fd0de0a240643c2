//! RTP and RTCP through the node.

use crate::harness::{Running, receive, udp};
use imsbox::config::model::{Config, SipSocket};
use imsbox::proto::flow::LocalId;
use imsbox::proto::media::table::{Action, Counters, Remote, Treatment};
use imsbox::proto::outbox::Output;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const RTCP: [u8; 8] = [0x80, 200, 0, 1, 0, 0, 0, 7];

/// An RTP packet of 172 octets.
fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x55; 172];
    packet[..4].copy_from_slice(&[0x80, 8, (sequence >> 8) as u8, sequence as u8]);
    packet
}

/// A node whose media ports lie below those that the kernel gives to others, at a place of this test's own.
fn start(host: &str, place: u16) -> Running {
    start_all(&[host], place)
}

/// The same with several addresses.
fn start_all(hosts: &[&str], place: u16) -> Running {
    let offset = (std::process::id() % 40) as u16 * 300;
    let port_min = 18_000 + offset + place * 20;
    let socket = |host: &&str| SipSocket {
        port_min,
        port_max: port_min + 19,
        ..SipSocket::new(host.parse().unwrap(), 0)
    };
    Running::with_config(Config { sip: hosts.iter().map(socket).collect(), ..Config::default() })
}

/// An open media session; pairs that another program holds are passed over.
struct Session {
    id: u64,
    rtp: SocketAddr,
    rtcp: SocketAddr,
}

fn open(node: &Running) -> Session {
    open_at(node, LocalId(0))
}

fn open_at(node: &Running, local: LocalId) -> Session {
    for _ in 0..10 {
        let (id, port) = node.ask(move |cx| {
            let (id, port) = cx.core.media_mut().open(cx.now, local).unwrap();
            cx.out.push(Output::OpenMedia { session: id, local, port });
            (id, port)
        });
        node.ask(|_| ());
        if !node.lines.any(&format!("media ports {port} and")) {
            let at = |port| SocketAddr::new(node.addrs[usize::from(local.0)].ip(), port);
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

/// Two sessions that relay to each other, and the sockets of their phones.
struct Relay {
    sessions: [Session; 2],
    rtp: [UdpSocket; 2],
    rtcp: [UdpSocket; 2],
}

/// The node's first address faces the first phone, its last one the second.
fn relay(node: &Running, hosts: [&str; 2]) -> Relay {
    let last = LocalId(node.addrs.len() as u8 - 1);
    let sessions = [open(node), open_at(node, last)];
    let (rtp, rtcp) = (hosts.map(udp), hosts.map(udp));
    let ids = [sessions[0].id, sessions[1].id];
    let remotes =
        [0, 1].map(|n| Remote { rtp: rtp[n].local_addr().unwrap(), rtcp: rtcp[n].local_addr().unwrap() });
    node.ask(move |cx| {
        let media = cx.core.media_mut();
        for n in 0..2 {
            media.set_action(ids[n], Action::Forward { to: ids[1 - n] });
            media.set_remote(ids[n], Some(remotes[n]));
        }
    });
    Relay { sessions, rtp, rtcp }
}

const FAMILIES: [[&str; 2]; 4] =
    [["127.0.0.1", "127.0.0.1"], ["::1", "::1"], ["127.0.0.1", "::1"], ["::1", "127.0.0.1"]];

#[test]
fn two_sessions_relay_rtp_and_rtcp_to_each_other_s_peer_whatever_their_families() {
    for hosts in FAMILIES {
        let node = start_all(&hosts[..if hosts[0] == hosts[1] { 1 } else { 2 }], 4);
        let Relay { sessions: [a, b], rtp: [alice, bob], rtcp: [alice_control, bob_control] } =
            relay(&node, hosts);
        (0..40).for_each(|n| assert_eq!(alice.send_to(&rtp(n), a.rtp).unwrap(), 172));
        (0..40).for_each(|n| assert_eq!(receive(&bob), (rtp(n), b.rtp)));
        bob.send_to(&rtp(99), b.rtp).unwrap();
        assert_eq!(receive(&alice), (rtp(99), a.rtp));
        alice_control.send_to(&RTCP, a.rtcp).unwrap();
        assert_eq!(receive(&bob_control), (RTCP.to_vec(), b.rtcp));
        bob_control.send_to(&RTCP, b.rtcp).unwrap();
        assert_eq!(receive(&alice_control), (RTCP.to_vec(), a.rtcp));
        let one_way = Counters { rtp_recv: 40, rtp_send: 1, rtcp_recv: 1, rtcp_send: 1, dropped: 0 };
        assert_eq!(counters(&node, a.id), one_way);
        assert_eq!(counters(&node, b.id), Counters { rtp_recv: 1, rtp_send: 40, ..one_way });
        node.stop();
    }
}

#[test]
fn no_packet_of_a_relay_allocates() {
    let node = start_all(&["127.0.0.1", "::1"], 9);
    let relay = relay(&node, ["127.0.0.1", "::1"]);
    let run = |packets: u16| {
        let before = note_allocations(&node);
        for n in 0..packets {
            for from in [0, 1] {
                relay.rtp[from].send_to(&rtp(n), relay.sessions[from].rtp).unwrap();
                relay.rtcp[from].send_to(&RTCP, relay.sessions[from].rtcp).unwrap();
            }
            if n % 10 == 9 {
                let all = relay.rtp.iter().chain(&relay.rtcp);
                all.for_each(|socket| (0..10).for_each(|_| drop(receive(socket))));
            }
        }
        note_allocations(&node) - before
    };
    run(200);
    let asking = run(0);
    assert_eq!(run(1000), asking);
    node.stop();
}

/// What a phone's keys sound like on the wire (RFC 4733 2.3): an event with its duration, sent again with the end bit.
fn telephone_event(sequence: u16, event: u8, end: bool, duration: u16) -> Vec<u8> {
    let marker = if duration == 160 { 0x80 } else { 0 };
    let mut packet =
        vec![0x80, marker | 101, (sequence >> 8) as u8, sequence as u8, 0, 0, 3, 232, 1, 2, 3, 4];
    packet.extend([event, if end { 0x8a } else { 0x0a }, (duration >> 8) as u8, duration as u8]);
    packet
}

#[test]
fn the_tones_of_keys_come_back_from_the_echo_and_pass_the_relay_as_they_are() {
    let node = start_all(&["127.0.0.1", "::1"], 10);
    let (session, phone) = (open(&node), udp("127.0.0.1"));
    let Relay { sessions: [a, _], rtp: [alice, bob], .. } = relay(&node, ["127.0.0.1", "::1"]);
    for (n, (event, end, duration)) in
        [(5, false, 160), (5, false, 320), (5, true, 480), (5, true, 480), (11, false, 160)]
            .iter()
            .enumerate()
    {
        let packet = telephone_event(n as u16, *event, *end, *duration);
        phone.send_to(&packet, session.rtp).unwrap();
        assert_eq!(receive(&phone), (packet.clone(), session.rtp));
        alice.send_to(&packet, a.rtp).unwrap();
        assert_eq!(receive(&bob).0, packet);
    }
    node.stop();
}

/// Sets what is done to a session's packets.
fn treat(node: &Running, session: u64, treatment: Treatment) {
    node.ask(move |cx| cx.core.media_mut().set_treatment(session, treatment));
}

#[test]
fn packets_are_held_back_in_order_and_nothing_is_lost() {
    let node = start_all(&["127.0.0.1", "::1"], 11);
    let (session, phone) = (open(&node), udp("127.0.0.1"));
    let relay = relay(&node, ["127.0.0.1", "::1"]);
    let delay = Duration::from_millis(40);
    for id in [session.id, relay.sessions[0].id] {
        treat(&node, id, Treatment { delay, ..Treatment::default() });
    }
    let run = |packets: u16| {
        let before = note_allocations(&node);
        let began = Instant::now();
        for n in 0..packets {
            phone.send_to(&rtp(n), session.rtp).unwrap();
            relay.rtp[0].send_to(&rtp(n), relay.sessions[0].rtp).unwrap();
            relay.rtcp[0].send_to(&RTCP, relay.sessions[0].rtcp).unwrap();
        }
        for n in 0..packets {
            assert_eq!(receive(&phone), (rtp(n), session.rtp));
            assert_eq!(receive(&relay.rtp[1]), (rtp(n), relay.sessions[1].rtp));
            assert_eq!(receive(&relay.rtcp[1]).0, RTCP);
        }
        assert!(packets == 0 || began.elapsed() >= delay, "they came at once");
        note_allocations(&node) - before
    };
    run(50);
    let asking = run(0);
    assert_eq!(run(100), asking, "a packet that is held back allocates");
    // the way back has no delay of its own
    relay.rtp[1].send_to(&rtp(7), relay.sessions[1].rtp).unwrap();
    assert_eq!(receive(&relay.rtp[0]), (rtp(7), relay.sessions[0].rtp));
    let expected = Counters { rtp_recv: 150, rtp_send: 150, ..Counters::default() };
    assert_eq!(counters(&node, session.id), expected);
    node.stop();
}

#[test]
fn blocked_rtp_goes_nowhere_and_rtcp_still_does() {
    let node = start("127.0.0.1", 12);
    let Relay { sessions: [a, b], rtp: [alice, bob], rtcp: [alice_control, bob_control] } =
        relay(&node, ["127.0.0.1", "127.0.0.1"]);
    treat(&node, a.id, Treatment { rtp_block: true, ..Treatment::default() });
    alice.send_to(&rtp(1), a.rtp).unwrap();
    bob.send_to(&rtp(2), b.rtp).unwrap();
    assert_eq!(receive(&alice).0, rtp(2), "only what comes from her is blocked");
    alice_control.send_to(&RTCP, a.rtcp).unwrap();
    assert_eq!(receive(&bob_control).0, RTCP);
    treat(&node, a.id, Treatment::default());
    alice.send_to(&rtp(3), a.rtp).unwrap();
    assert_eq!(receive(&bob).0, rtp(3));
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
