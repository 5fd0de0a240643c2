//! SIP over UDP.

use crate::harness::{Running, receive, udp};
use imsbox::config::model::{Config, SipSocket};
use imsbox::proto::flow::{Flow, LocalId};

#[test]
fn a_burst_leaves_in_order_from_the_bound_socket() {
    for host in ["127.0.0.1", "::1"] {
        let node = Running::start(&[host]);
        let phone = udp(host);
        let to = phone.local_addr().unwrap();
        node.ask(move |cx| {
            for n in 0..100u32 {
                cx.out.send(Flow::udp(LocalId(0), to), &n.to_be_bytes(), 0);
            }
        });
        for n in 0..100u32 {
            assert_eq!(receive(&phone), (n.to_be_bytes().to_vec(), node.addrs[0]));
        }
        node.stop();
    }
}

#[test]
fn each_socket_sends_from_its_own_address() {
    let node = Running::start(&["127.0.0.1", "::1"]);
    let phones = [udp("127.0.0.1"), udp("::1")];
    let to = phones.each_ref().map(|p| p.local_addr().unwrap());
    node.ask(move |cx| {
        for (local, to) in to.into_iter().enumerate() {
            cx.out.send(Flow::udp(LocalId(local as u8), to), b"hello", 0);
        }
    });
    for (phone, addr) in phones.iter().zip(&node.addrs) {
        assert_eq!(receive(phone).1, *addr);
    }
    node.stop();
}

#[test]
fn a_closed_port_is_noticed_and_disturbs_nobody() {
    for host in ["127.0.0.1", "::1"] {
        let node = Running::start(&[host]);
        let (phone, gone) = (udp(host), udp(host));
        let (to, closed) = (phone.local_addr().unwrap(), gone.local_addr().unwrap());
        drop(gone);
        node.ask(move |cx| {
            for remote in [closed, to, closed, to] {
                cx.out.send(Flow::udp(LocalId(0), remote), b"hello", 5);
            }
        });
        (0..2).for_each(|_| assert_eq!(receive(&phone).0, b"hello"));
        node.until_logged(&format!("{closed} cannot be reached by UDP: Connection refused"));
        node.stop();
    }
}

#[test]
fn a_message_longer_than_a_datagram_is_refused_and_the_rest_is_sent() {
    let node = Running::start(&["127.0.0.1"]);
    let phone = udp("127.0.0.1");
    let to = phone.local_addr().unwrap();
    node.ask(move |cx| {
        for octets in [&[b'x'; 66_000][..], b"short"] {
            cx.out.send(Flow::udp(LocalId(0), to), octets, 5);
        }
    });
    assert_eq!(receive(&phone).0, b"short");
    node.until_logged(&format!("sending to {to} by UDP failed: Message too long"));
    node.stop();
}

#[test]
fn a_wildcard_socket_sends_from_the_address_that_phones_use() {
    let bind = "0.0.0.0:0".parse().unwrap();
    let sip = SipSocket { bind, ..SipSocket::new("127.0.0.9".parse().unwrap(), 0) };
    let node = Running::with_config(Config { sip: vec![sip], ..Config::default() });
    let phone = udp("127.0.0.1");
    let to = phone.local_addr().unwrap();
    node.ask(move |cx| cx.out.send(Flow::udp(LocalId(0), to), b"hello", 0));
    let from = receive(&phone).1;
    assert_eq!((from.ip(), from.port()), ("127.0.0.9".parse().unwrap(), node.addrs[0].port()));
    node.stop();
}
