//! How a node starts and ends.

use crate::harness::Running;
use imsbox::config::model::{Config, SipSocket};
use imsbox::node::event_loop::Node;
use imsbox::node::hooks::Hooks;
use imsbox::node::log_file::LogFile;
use imsbox::proto::outbox::Output;
use platform::signal::{Signal, raise};
use std::net::SocketAddr;

#[test]
fn a_termination_signal_ends_the_node_cleanly() {
    let mut node = Running::start(&["127.0.0.1"]);
    node.ask(|_| raise(Signal::Terminate).unwrap());
    node.join();
    assert!(node.lines.any("SIGTERM received"));
}

#[test]
fn a_user_signal_rotates_the_log() {
    let node = Running::start(&["127.0.0.1"]);
    node.ask(|_| raise(Signal::User1).unwrap());
    node.until_logged("rotated");
    node.stop();
}

#[test]
fn exit_carries_out_what_was_asked_before_it() {
    let phone = crate::harness::udp("127.0.0.1");
    let to = phone.local_addr().unwrap();
    let mut node = Running::start(&["127.0.0.1"]);
    node.ask(move |cx| {
        let flow = imsbox::proto::flow::Flow::udp(imsbox::proto::flow::LocalId(0), to);
        cx.out.send(flow, b"last words", 0);
        cx.out.push(Output::Exit);
    });
    node.join();
    assert_eq!(crate::harness::receive(&phone).0, b"last words");
}

#[test]
fn an_address_in_use_is_said_in_words() {
    let first = Running::start(&["127.0.0.1"]);
    let config = Config { sip: vec![socket(first.addrs[0])], ..Config::default() };
    let hooks = Hooks { log: Box::new(LogFile::none(Default::default())), endpoint: None, storage: None };
    let core = imsbox::ims::core::Core::new(config, &mut imsbox::base::rng::Rng::from_seed(1));
    let error = Node::new(core, hooks).err().unwrap().to_string();
    assert!(error.starts_with(&format!("sip_addr[0]: cannot bind UDP {}", first.addrs[0])), "{error}");
    assert!(error.contains("in use"), "{error}");
    first.stop();
}

fn socket(addr: SocketAddr) -> SipSocket {
    SipSocket::new(addr.ip(), addr.port())
}
