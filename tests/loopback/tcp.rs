//! SIP over TCP.

use crate::harness::{PATIENCE, Running};
use imsbox::proto::flow::{ConnId, Flow, LocalId};
use imsbox::proto::outbox::Output;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

fn connect(node: &Running) -> TcpStream {
    let phone = TcpStream::connect(node.addrs[0]).unwrap();
    phone.set_read_timeout(Some(PATIENCE)).unwrap();
    phone
}

fn listen(host: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((host, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut octets = vec![0; len];
    stream.read_exact(&mut octets).unwrap();
    octets
}

fn send(node: &Running, to: SocketAddr, octets: &[u8]) {
    let octets = octets.to_vec();
    node.ask(move |cx| cx.out.send(Flow::tcp(LocalId(0), to, None), &octets, 7));
}

/// Sends a ping and waits for its answer: the node has the connection then.
fn ping(phone: &mut TcpStream) {
    phone.write_all(b"\r\n\r\n").unwrap();
    assert_eq!(read(phone, 2), b"\r\n");
}

#[test]
fn a_ping_is_answered_also_in_pieces() {
    for host in ["127.0.0.1", "::1"] {
        let node = Running::start(&[host]);
        let mut phone = connect(&node);
        ping(&mut phone);
        phone.set_nodelay(true).unwrap();
        for piece in [b"\r", b"\n", b"\r", b"\n"] {
            phone.write_all(piece).unwrap();
        }
        assert_eq!(read(&mut phone, 2), b"\r\n");
        node.stop();
    }
}

#[test]
fn a_message_without_connection_opens_one_and_the_next_ones_use_it() {
    for host in ["127.0.0.1", "::1"] {
        let node = Running::start(&[host]);
        let (listener, addr) = listen(host);
        send(&node, addr, b"first,");
        let mut phone = accept(&listener);
        send(&node, addr, b"second,");
        send(&node, addr, b"third");
        assert_eq!(read(&mut phone, 18), b"first,second,third");
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(phone.peer_addr().unwrap().ip(), node.addrs[0].ip());
        node.stop();
    }
}

#[test]
fn a_connection_that_the_phone_opened_is_used_towards_it() {
    let node = Running::start(&["127.0.0.1"]);
    let mut phone = connect(&node);
    ping(&mut phone);
    send(&node, phone.local_addr().unwrap(), b"to you");
    assert_eq!(read(&mut phone, 6), b"to you");
    node.stop();
}

#[test]
fn a_flow_whose_connection_has_gone_gets_another_one() {
    let node = Running::start(&["127.0.0.1"]);
    let (listener, addr) = listen("127.0.0.1");
    let stale = Some(ConnId(u64::MAX));
    node.ask(move |cx| cx.out.send(Flow::tcp(LocalId(0), addr, stale), b"hello", 0));
    assert_eq!(read(&mut accept(&listener), 5), b"hello");
    node.stop();
}

#[test]
fn a_refused_connection_is_said() {
    let node = Running::start(&["127.0.0.1"]);
    let (listener, addr) = listen("127.0.0.1");
    drop(listener);
    send(&node, addr, b"anyone?");
    node.until_logged(&format!("with {addr}: failed: Connection refused"));
    node.stop();
}

#[test]
fn what_is_not_sip_closes_the_connection() {
    let node = Running::start(&["127.0.0.1"]);
    let mut phone = connect(&node);
    phone.write_all(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n").unwrap();
    assert_eq!(phone.read(&mut [0; 16]).unwrap(), 0);
    node.until_logged("closed by us: a message without Content-Length");
    node.stop();
}

#[test]
fn a_closed_stream_is_first_written_to_its_end() {
    let node = Running::start(&["127.0.0.1"]);
    let mut phone = connect(&node);
    ping(&mut phone);
    let to = phone.local_addr().unwrap();
    let octets = vec![b'x'; 1_000_000];
    // the connection's number is in its log line
    let conn = node.lines.number_after("TCP connection ").unwrap();
    node.ask(move |cx| {
        cx.out.send(Flow::tcp(LocalId(0), to, Some(ConnId(conn))), &octets, 0);
        cx.out.push(Output::CloseStream(ConnId(conn)));
    });
    let mut received = Vec::new();
    phone.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), 1_000_000);
    drop(phone);
    node.until_logged(&format!("TCP connection {conn} with {to}: closed"));
    node.stop();
}

#[test]
fn a_peer_that_does_not_read_is_cut_off_at_the_queue_s_cap() {
    let node = Running::start(&["127.0.0.1"]);
    let (listener, addr) = listen("127.0.0.1");
    send(&node, addr, b"start");
    let _phone = accept(&listener);
    let full = format!("with {addr}: closed by us: more than 1048576 octets wait");
    // the kernel's buffers take some megabytes before ours fills
    for _ in 0..100 {
        if node.lines.any(&full) {
            break;
        }
        send(&node, addr, &vec![b'x'; 500_000]);
    }
    node.until_logged(&full);
    node.stop();
}

#[test]
fn what_is_queued_leaves_before_the_end() {
    let mut node = Running::start(&["127.0.0.1"]);
    let mut phone = connect(&node);
    ping(&mut phone);
    let to = phone.local_addr().unwrap();
    node.ask(move |cx| {
        cx.out.send(Flow::tcp(LocalId(0), to, None), &vec![b'x'; 1_000_000], 0);
        cx.out.push(Output::Exit);
    });
    let mut received = Vec::new();
    phone.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), 1_000_000);
    node.join();
}

/// A listener whose queue is full: the kernel drops what else wants to connect, as a filter in front of a phone does.
fn black_hole() -> (TcpListener, Vec<TcpStream>) {
    let listener = platform::socket::listen_tcp("127.0.0.1:0".parse().unwrap(), 0).unwrap();
    let addr = listener.local_addr().unwrap();
    let in_the_way =
        (0..3).map(|_| platform::socket::connect_tcp(SocketAddr::from(([0; 4], 0)), addr).unwrap());
    let in_the_way = in_the_way.collect();
    (listener, in_the_way)
}

#[test]
fn only_a_connection_that_is_not_up_is_given_up() {
    let node = Running::start(&["127.0.0.1"]);
    let (hole, _in_the_way) = black_hole();
    let (listener, open) = listen("127.0.0.1");
    let dead = hole.local_addr().unwrap();
    for addr in [dead, open] {
        send(&node, addr, b"hello");
    }
    let mut phone = accept(&listener);
    assert_eq!(read(&mut phone, 5), b"hello");
    node.ask(move |cx| {
        for addr in [dead, open] {
            cx.out.push(Output::GiveUpConnecting(Flow::tcp(LocalId(0), addr, None)));
        }
    });
    node.until_logged(&format!("with {dead}: closed by us: timed out connecting"));
    send(&node, open, b"again");
    assert_eq!(read(&mut phone, 5), b"again");
    node.stop();
}
