//! SIP over UDP.

use crate::harness::{Running, receive, udp};
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
