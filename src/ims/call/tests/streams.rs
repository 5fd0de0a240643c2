//! Calls over TCP: connections that come and go.

use super::*;
use crate::proto::flow::ConnId;

/// Bob's phone on a connection of its own.
const CONN: ConnId = ConnId(7);

fn on_stream(w: &mut World, from: Phone, conn: ConnId, text: &str) {
    let flow = Flow::tcp(LocalId(0), from.addr.parse().unwrap(), Some(conn));
    let text = text.replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    w.input(|core, cx| core.on_sip(cx, flow, text.as_bytes()));
}

fn register(w: &mut World, phone: Phone, conn: ConnId) {
    let branch = w.branch();
    let text = format!(
        "REGISTER sip:ims.test SIP/2.0\r\nVia: SIP/2.0/UDP {0};branch=z9hG4bKr{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:{1}@ims.test>;tag=r\r\nTo: <sip:{1}@ims.test>\r\nCall-ID: reg{branch}\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:{1}@192.0.2.2:5060;transport=tcp>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
        phone.addr, phone.user
    );
    on_stream(w, phone, conn, &text);
    w.expect(phone, "SIP/2.0 200");
}

#[test]
fn a_call_between_udp_and_tcp_shows_each_phone_its_own_transport() {
    let mut w = World::new();
    w.register(ALICE, "");
    register(&mut w, BOB, CONN);
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE sip:bob@192.0.2.2:5060;transport=tcp");
    assert_eq!(w.last_flow, Flow::tcp(LocalId(0), BOB.addr.parse().unwrap(), Some(CONN)));
    assert!(
        header(&invite, HeaderId::Contact).starts_with("<sip:ims@198.51.100.1:5060;transport=tcp>"),
        "{invite}"
    );
    on_stream(&mut w, BOB, CONN, &reply(BOB, &invite, 200, "", SDP));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert!(header(&ok, HeaderId::Contact).starts_with("<sip:ims@198.51.100.1:5060>"), "{ok}");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_call_follows_its_phone_to_another_connection() {
    let mut w = World::new();
    w.register(ALICE, "");
    register(&mut w, BOB, CONN);
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    on_stream(&mut w, BOB, CONN, &reply(BOB, &invite, 200, "", SDP));
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    // Bob's phone loses its connection and registers again over another, from another port
    let moved = Phone { addr: "192.0.2.2:40000", ..BOB };
    w.input(|core, cx| core.on_stream_closed(cx, CONN));
    register(&mut w, moved, ConnId(8));
    w.request(&mut alice, "INFO", "", "");
    let info = w.expect(BOB, "INFO");
    assert_eq!(w.last_flow.conn, Some(ConnId(8)), "over the new connection, whose far port does not matter");
    on_stream(&mut w, moved, ConnId(8), &reply(moved, &info, 200, "", ""));
    w.expect(ALICE, "SIP/2.0 200");
    w.request(&mut alice, "BYE", "", "");
    w.expect(BOB, "BYE");
    assert_eq!(w.last_flow.conn, Some(ConnId(8)));
    w.quiet();
}

#[test]
fn a_caller_that_is_not_registered_is_found_where_it_spoke_last() {
    let mut w = World::with(|c| c.echo[0].anonymous = true);
    let first = Phone { addr: "192.0.2.8:1111", user: "alice" };
    let mut alice = Side {
        phone: first,
        call_id: "c".into(),
        local: "<sip:anonymous@anonymous.invalid>;tag=x".into(),
        remote: "<tel:666>".into(),
        target: "tel:666".into(),
        cseq: 1,
    };
    let invite = alice.text("INVITE", 1, 1, "Contact: <sip:a@192.0.2.8:1111;transport=tcp>\r\n", SDP);
    on_stream(&mut w, first, ConnId(1), &invite);
    w.expect(first, "SIP/2.0 100");
    alice.learn(&w.expect(first, "SIP/2.0 200"));
    on_stream(&mut w, first, ConnId(1), &alice.text("ACK", 1, 2, "", ""));
    let second = Phone { addr: "192.0.2.8:2222", user: "alice" };
    alice.phone = second;
    on_stream(&mut w, second, ConnId(2), &alice.text("INFO", 2, 3, "", ""));
    w.expect(second, "SIP/2.0 200");
    let index = w.core.dialog_views(w.now)[0].index;
    w.input(|core, cx| core.stop_dialog(cx, index)).unwrap();
    w.expect(second, "BYE");
    w.quiet();
}

#[test]
fn a_caller_on_a_connection_of_its_own_is_called_back_where_it_is_registered() {
    let mut w = World::registered();
    let from = Phone { addr: "192.0.2.1:50000", ..ALICE };
    let mut alice = Side {
        phone: from,
        call_id: "c".into(),
        local: "<sip:alice@ims.test>;tag=x".into(),
        remote: "<sip:bob@ims.test>".into(),
        target: "sip:bob@ims.test".into(),
        cseq: 1,
    };
    // too long for UDP: this INVITE alone comes over TCP
    on_stream(
        &mut w,
        from,
        ConnId(1),
        &alice.text("INVITE", 1, 1, "Contact: <sip:alice@192.0.2.1:5060>\r\n", SDP),
    );
    w.expect(from, "SIP/2.0 100");
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", SDP);
    alice.learn(&w.expect(from, "SIP/2.0 200"));
    alice.phone = ALICE;
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    let mut bob = Side::callee(BOB, &invite);
    w.request(&mut bob, "BYE", "", "");
    w.expect(BOB, "SIP/2.0 200");
    w.expect(ALICE, "BYE");
    assert_eq!(w.last_flow, Flow::udp(LocalId(0), ALICE.addr.parse().unwrap()));
    w.quiet();
}
