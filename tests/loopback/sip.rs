//! SIP requests that the whole program answers: OPTIONS needs no user.

use crate::harness::{PATIENCE, Running, receive, udp};
use imsbox::config::model::{Config, SipSocket};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// An OPTIONS with a branch and a Call-ID of its own.
fn options(number: usize, transport: &str, from: SocketAddr, node: SocketAddr) -> String {
    format!(
        "OPTIONS sip:{node} SIP/2.0\r\n\
         Via: SIP/2.0/{transport} {from};branch=z9hG4bK-{number};rport\r\n\
         From: <sip:tester@example.org>;tag=t{number}\r\n\
         To: <sip:{node}>\r\n\
         Call-ID: call-{number}@{from}\r\n\
         CSeq: 1 OPTIONS\r\n\
         Max-Forwards: 70\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// Whether this is the 200 to the OPTIONS of that number.
fn is_answer(octets: &[u8], number: usize) -> bool {
    let text = std::str::from_utf8(octets).unwrap();
    text.starts_with("SIP/2.0 200 ") && text.contains(&format!("Call-ID: call-{number}@"))
}

fn connect(node: SocketAddr) -> TcpStream {
    let phone = TcpStream::connect(node).unwrap();
    phone.set_read_timeout(Some(PATIENCE)).unwrap();
    phone.set_nodelay(true).unwrap();
    phone
}

/// One answer, which has no body.
fn read_answer(phone: &mut TcpStream) -> Vec<u8> {
    let (mut octets, mut one) = (Vec::new(), [0]);
    while !octets.ends_with(b"\r\n\r\n") {
        phone.read_exact(&mut one).unwrap();
        octets.push(one[0]);
    }
    octets
}

#[test]
fn a_datagram_is_answered_to_where_it_came_from() {
    for host in ["127.0.0.1", "::1"] {
        let node = Running::start(&[host]);
        let (phone, addr) = (udp(host), node.addrs[0]);
        for keep_alive in [&b""[..], b"\r\n\r\n", b"\0\0\0\0"] {
            phone.send_to(keep_alive, addr).unwrap();
        }
        let request = format!("\r\n{}", options(1, "UDP", phone.local_addr().unwrap(), addr));
        phone.send_to(request.as_bytes(), addr).unwrap();
        let (answer, from) = receive(&phone);
        assert!(is_answer(&answer, 1) && from == addr);
        node.stop();
    }
}

#[test]
fn a_burst_of_datagrams_is_answered_whole() {
    let node = Running::start(&["127.0.0.1"]);
    let (phone, addr) = (udp("127.0.0.1"), node.addrs[0]);
    let from = phone.local_addr().unwrap();
    for burst in 0..5 {
        for n in 0..50 {
            phone.send_to(options(burst * 50 + n, "UDP", from, addr).as_bytes(), addr).unwrap();
        }
        for n in 0..50 {
            assert!(is_answer(&receive(&phone).0, burst * 50 + n));
        }
    }
    node.stop();
}

#[test]
fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
    for (bind, used, asked) in [("0.0.0.0:0", "127.0.0.1", "127.0.0.7"), ("[::]:0", "::1", "::1")] {
        let sip = SipSocket { bind: bind.parse().unwrap(), ..SipSocket::new(used.parse().unwrap(), 0) };
        let node = Running::with_config(Config { sip: vec![sip], ..Config::default() });
        let addr = SocketAddr::new(asked.parse().unwrap(), node.addrs[0].port());
        let phone = udp(used);
        phone.send_to(options(1, "UDP", phone.local_addr().unwrap(), addr).as_bytes(), addr).unwrap();
        let (answer, from) = receive(&phone);
        assert!(is_answer(&answer, 1));
        assert_eq!(from, addr);
        node.stop();
    }
}

#[test]
fn a_stream_cut_anywhere_is_answered_message_by_message() {
    for host in ["127.0.0.1", "::1"] {
        let node = Running::start(&[host]);
        let addr = node.addrs[0];
        let mut phone = connect(addr);
        let from = phone.local_addr().unwrap();
        let stream: String = (0..20).map(|n| options(n, "TCP", from, addr)).collect();
        for piece in stream.as_bytes().chunks(97) {
            phone.write_all(piece).unwrap();
        }
        for n in 0..20 {
            assert!(is_answer(&read_answer(&mut phone), n));
        }
        node.stop();
    }
}

#[test]
fn a_phone_that_closes_its_side_still_gets_the_answer() {
    let node = Running::start(&["127.0.0.1"]);
    let mut phone = connect(node.addrs[0]);
    let request = options(1, "TCP", phone.local_addr().unwrap(), node.addrs[0]);
    phone.write_all(request.as_bytes()).unwrap();
    phone.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    phone.read_to_end(&mut answer).unwrap();
    assert!(is_answer(&answer, 1));
    node.stop();
}

#[test]
fn many_connections_are_served_side_by_side() {
    let node = Running::start(&["127.0.0.1"]);
    let addr = node.addrs[0];
    let mut phones: Vec<TcpStream> = (0..100).map(|_| connect(addr)).collect();
    for round in 0..3 {
        for (n, phone) in phones.iter_mut().enumerate() {
            let request = options(round * 100 + n, "TCP", phone.local_addr().unwrap(), addr);
            phone.write_all(request.as_bytes()).unwrap();
        }
        for (n, phone) in phones.iter_mut().enumerate() {
            assert!(is_answer(&read_answer(phone), round * 100 + n));
        }
    }
    node.stop();
}
