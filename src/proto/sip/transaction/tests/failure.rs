//! Messages that could not be sent: UDP after TCP, another connection, sent-by, and what the TU hears.

use super::fixture::*;
use crate::base::time::Duration;
use crate::proto::flow::{ConnId, Flow, LocalId};
use crate::proto::sip::transaction::*;
use crate::wire::sip::Method;

const FAILED: TxEvent<Owner> = TxEvent::ClientFailed { owner: 7, method: Method::Message };

fn fail(f: &mut Fixture, sent: &Sent) -> Vec<Sent> {
    f.run(|t, cx| t.on_send_failed(cx, sent.flow, sent.tag)).1
}

/// The TCP flow to the phone's own address, as requests that are too long for UDP take it.
fn to_phone() -> Flow {
    Flow::tcp(LocalId(0), PHONE.parse().unwrap(), None)
}

#[test]
fn unreachable_peer_fails_the_request() {
    let mut f = Fixture::new();
    let (_, sent) = f.request(udp(), Method::Message, true, 0);
    let elsewhere = Flow::udp(LocalId(0), "127.0.0.9:1".parse().unwrap());
    f.run(|t, cx| t.on_send_failed(cx, elsewhere, sent.tag));
    assert_eq!(f.events(), []);
    f.run(|t, cx| t.on_send_failed(cx, sent.flow, sent.tag));
    assert_eq!(f.events(), [TxEvent::ClientFailed { owner: 7, method: Method::Message }]);
    f.assert_empty();
    f.run(|t, cx| t.on_send_failed(cx, sent.flow, sent.tag));
    assert_eq!(f.events(), []);
}

#[test]
fn failure_of_the_ack_is_not_reported() {
    let mut f = Fixture::new();
    let (_, invite) = f.request(udp(), Method::Invite, false, 0);
    let ack = f.answer(udp(), &response(&invite, 486)).1.remove(0);
    f.run(|t, cx| t.on_send_failed(cx, ack.flow, ack.tag));
    assert_eq!(f.events(), []);
    f.assert_empty();
}

#[test]
fn long_request_goes_by_tcp_and_falls_back_to_udp_once() {
    let mut f = Fixture::new();
    let (id, sent) = f.request(udp(), Method::Invite, true, 1300);
    assert_eq!((sent.flow, &sent.header("Via")[..26]), (to_phone(), "SIP/2.0/TCP 127.0.0.1:5060"));
    assert_eq!(f.pass(Duration::from_secs(2)), vec![], "no retransmission over TCP");
    let again = fail(&mut f, &sent).remove(0);
    assert_eq!((again.flow, again.tag), (udp(), id.to_bits()));
    assert_eq!(
        again.text,
        sent.text.replace("SIP/2.0/TCP", "SIP/2.0/UDP"),
        "a peer that reads both absorbs one"
    );
    assert_eq!(fail(&mut f, &sent), vec![], "a late failure of the first attempt");
    assert_eq!(f.pass_lines(millis(500)).len(), 1);
    assert_eq!(f.answer(udp(), &response(&again, 180)).0, Answer::Provisional { id, owner: 7 });
    let (_, cancel) = f.run(|t, cx| t.cancel(cx, id, None));
    assert_eq!((cancel[0].branch(), cancel[0].flow), (again.branch(), udp()));
}

#[test]
fn long_request_waits_for_a_connection_only_so_long() {
    for method in [Method::Invite, Method::Message] {
        let mut f = Fixture::new();
        let (id, sent) = f.request(udp(), method, true, 1300);
        assert_eq!(f.txs.next_deadline(), Some(f.now + UPGRADE_PATIENCE));
        f.now = f.now + UPGRADE_PATIENCE;
        f.run(|t, cx| t.tick(cx));
        assert_eq!(f.given_up(), [to_phone()]);
        // there was none
        let again = fail(&mut f, &sent).remove(0);
        assert_eq!(again.flow, udp());
        assert_eq!(f.pass_lines(millis(1500)).len(), 2, "{method:?} is repeated over UDP");
        assert_eq!(f.answer(udp(), &response(&again, 200)).0, Answer::Final { id, owner: 7 });
        f.pass(Duration::from_secs(32));
        f.assert_empty();
    }
}

#[test]
fn long_request_on_a_connection_that_is_up_is_not_repeated() {
    for method in [Method::Invite, Method::Message] {
        let mut f = Fixture::new();
        f.request(udp(), method, true, 1300);
        assert_eq!(f.pass(Duration::from_secs(31)), vec![]);
        assert_eq!(f.events(), []);
        f.pass(Duration::from_secs(1));
        assert_eq!(f.events(), [TxEvent::ClientTimeout { owner: 7, method }]);
        f.assert_empty();
    }
}

#[test]
fn an_answer_by_tcp_keeps_udp_out() {
    for method in [Method::Invite, Method::Message] {
        let mut f = Fixture::new();
        let (id, sent) = f.request(udp(), method, true, 1300);
        assert_eq!(f.answer(to_phone(), &response(&sent, 100)).0, Answer::Provisional { id, owner: 7 });
        assert_eq!(f.pass(Duration::from_secs(20)), vec![], "{method:?}");
        assert_eq!(f.given_up(), []);
    }
}

#[test]
fn udp_failure_after_the_fallback_is_final() {
    let mut f = Fixture::new();
    let (_, sent) = f.request(udp(), Method::Message, true, 1300);
    let again = fail(&mut f, &sent).remove(0);
    fail(&mut f, &again);
    assert_eq!(f.events(), [FAILED]);
    f.assert_empty();
}

#[test]
fn length_alone_does_not_make_it_tcp() {
    let mut f = Fixture::new();
    assert_eq!(f.request(udp(), Method::Message, false, 1300).1.flow, udp());
    assert_eq!(f.request(udp(), Method::Message, true, 0).1.flow, udp());
    let (_, sent) = f.request(to_phone(), Method::Message, true, 1300);
    assert_eq!(sent.flow, to_phone());
    // a request that was to go by TCP has no UDP to fall back to
    fail(&mut f, &sent);
    assert_eq!(f.events(), [FAILED]);
}

/// A binding's flow names the connection, which comes from any port, and the contact's port for when it has gone.
#[test]
fn request_on_a_connection_that_breaks_gets_another_one_once() {
    let mut f = Fixture::new();
    let flow = Flow { conn: Some(ConnId(3)), ..to_phone() };
    let from = Flow::tcp(LocalId(0), "127.0.0.2:40000".parse().unwrap(), flow.conn);
    let (_, sent) = f.request(flow, Method::Message, false, 0);
    let (_, again) = f.run(|t, cx| t.on_send_failed(cx, from, sent.tag));
    assert_eq!((again[0].flow, &again[0].text), (to_phone(), &sent.text));
    assert_eq!(f.run(|t, cx| t.on_send_failed(cx, from, sent.tag)).1, vec![], "said twice");
    assert_eq!(f.events(), []);
    let new = Flow { conn: Some(ConnId(4)), ..to_phone() };
    assert_eq!(f.run(|t, cx| t.on_send_failed(cx, new, sent.tag)).1, vec![]);
    assert_eq!(f.events(), [FAILED]);
    f.assert_empty();
}

#[test]
fn unanswered_invite_is_sent_again_when_the_connection_goes_it_was_written_on() {
    let lost = |f: &mut Fixture, sent: &Sent| f.run(|t, cx| t.on_connection_lost(cx, sent.flow, sent.tag)).1;
    let mut f = Fixture::new();
    let (_, sent) = f.request(tcp(), Method::Invite, false, 0);
    let again = lost(&mut f, &sent).remove(0);
    assert_eq!((&again.text, again.flow), (&sent.text, Flow { conn: None, ..tcp() }));
    lost(&mut f, &again);
    assert_eq!(f.events(), [TxEvent::ClientFailed { owner: 7, method: Method::Invite }]);
    f.assert_empty();

    let (_, sent) = f.request(tcp(), Method::Message, false, 0);
    assert_eq!(lost(&mut f, &sent), vec![], "a message that may have been read is not sent twice");
    assert_eq!(f.events(), [FAILED]);

    for (method, status) in [(Method::Invite, 180), (Method::Message, 100), (Method::Message, 200)] {
        let (id, sent) = f.request(tcp(), method, false, 0);
        f.answer(tcp(), &response(&sent, status));
        assert_eq!(lost(&mut f, &sent), vec![], "{method:?} {status}");
        assert_eq!(fail(&mut f, &sent), vec![], "{method:?} {status}");
        assert_eq!((f.events(), f.txs.client(id).is_some()), (vec![], true));
    }
}

#[test]
fn response_names_its_connection_and_where_to_connect_without_it() {
    let mut f = Fixture::new();
    for method in ["INVITE", "MESSAGE"] {
        let id = f.receive_new(tcp(), &incoming(method, "z9hG4bKabc"));
        let sent = f.respond(id, 200).remove(0);
        assert_eq!(sent.flow, Flow { conn: tcp().conn, ..to_phone() }, "{method}");
        assert_eq!(f.txs.server(id).unwrap().flow(), tcp());
    }
    // also one that no transaction remembers
    let (_, sent) = f.receive(tcp(), &incoming("CANCEL", "z9hG4bKnone"));
    assert_eq!(sent[0].flow, Flow { conn: tcp().conn, ..to_phone() });
}

#[test]
fn response_without_connection_goes_to_sent_by_once() {
    let mut f = Fixture::new();
    let id = f.receive_new(tcp(), &incoming("INVITE", "z9hG4bKabc"));
    let sent = f.respond(id, 180).remove(0);
    let (_, again) = f.run(|t, cx| t.on_send_failed(cx, tcp(), sent.tag));
    assert_eq!((&again[0].text, again[0].flow), (&sent.text, to_phone()));
    // RFC 6026 7.1: the INVITE's transaction stays
    let new = Flow { conn: Some(ConnId(9)), ..to_phone() };
    assert_eq!(f.run(|t, cx| t.on_send_failed(cx, new, sent.tag)).1, vec![]);
    assert!(f.txs.server(id).is_some());
    // the connection had gone already and the new one, to sent-by, is refused
    let id = f.receive_new(tcp(), &incoming("INVITE", "z9hG4bKdef").replace("CSeq: 1", "CSeq: 2"));
    let sent = f.respond(id, 180).remove(0);
    assert_eq!(f.run(|t, cx| t.on_send_failed(cx, new, sent.tag)).1, vec![]);
    assert!(f.txs.server(id).is_some());
}
