//! Requests that cross, overtake or replace what should have come before them.

use super::*;

const VIDEO: &str = "m=video 4002 RTP/AVP 99\r\n";

#[test]
fn bye_instead_of_the_ack_ends_both_halves() {
    let mut w = World::registered();
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", SDP);
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.request(&mut alice, "BYE", "", "");
    w.expect(ALICE, "SIP/2.0 200");
    let ack = w.expect(BOB, "ACK");
    assert_eq!(header(&ack, HeaderId::CSeq), "1 ACK");
    let bye = w.expect(BOB, "BYE");
    w.answer(BOB, &bye, 200, "", "");
    w.expect_nothing();
    // that ACK was lost
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect(BOB, "ACK");
    w.expect_nothing();
    w.quiet();
}

#[test]
fn a_reinvite_that_bye_overtakes_is_acknowledged_for_the_phone_that_left() {
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    w.request(&mut alice, "INVITE", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", SDP);
    w.request(&mut alice, "BYE", "", "");
    let ack = w.expect(BOB, "ACK");
    assert_eq!(header(&ack, HeaderId::CSeq), "2 ACK");
    w.expect(BOB, "BYE");
    w.quiet();
}

#[test]
fn a_reinvite_before_the_ack_of_the_last_one_waits() {
    let mut w = World::registered();
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", SDP);
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.request(&mut alice, "INVITE", "", SDP);
    w.expect(ALICE, "SIP/2.0 491");
    w.expect_nothing();
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    w.request(&mut alice, "INVITE", "", SDP);
    w.expect(ALICE, "SIP/2.0 100");
    w.expect(BOB, "INVITE");
    w.quiet();
}

#[test]
fn what_waits_for_ports_is_answered_when_the_call_ends() {
    for method in ["INVITE", "UPDATE"] {
        let mut w = World::registered();
        let mut alice = w.invite(ALICE, "tel:666", "", SDP);
        alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
        w.ack(&alice, 1, "");
        w.ports_open = None;
        w.request(&mut alice, method, "", &format!("{SDP}{VIDEO}"));
        w.request(&mut alice, "BYE", "", "");
        let cseq = |text: String| header(&text, HeaderId::CSeq);
        let answers: Vec<String> = std::iter::from_fn(|| w.find(ALICE, "SIP/2.0 487")).map(cseq).collect();
        assert_eq!(answers, [format!("2 {method}")], "RFC 3261 15.1.2");
        w.expect(ALICE, "SIP/2.0 200");
        w.quiet();
    }
}

#[test]
fn an_echo_that_may_ring_only_reliably_does_not_ring() {
    let mut w = World::with(|c| c.echo[0].answer_delay = Duration::from_secs(3));
    w.register(ALICE, "");
    w.invite(ALICE, "tel:666", "Require: 100rel\r\n", SDP);
    w.expect_nothing();
    w.pass(Duration::from_secs(3));
    w.expect(ALICE, "SIP/2.0 200");
    w.quiet();
}

#[test]
fn reliable_answers_of_two_phones_are_acknowledged_each_in_its_own_dialog() {
    let mut w = World::registered();
    w.register(BOB_TABLET, "");
    let alice = w.invite(ALICE, "sip:bob@ims.test", "Supported: 100rel\r\n", SDP);
    let mut sides = Vec::new();
    // the same RSeq from both: each phone counts for itself
    for phone in [BOB, BOB_TABLET] {
        let invite = w.expect(phone, "INVITE");
        w.answer(phone, &invite, 183, "Require: 100rel\r\nRSeq: 5\r\n", SDP);
        let mut side = alice.clone();
        side.learn(&w.expect(ALICE, "SIP/2.0 183"));
        sides.push((phone, invite, side));
    }
    for (phone, _, side) in &mut sides {
        w.request(side, "PRACK", "RAck: 5 1 INVITE\r\n", "");
        let prack = w.expect(*phone, "PRACK");
        assert_eq!(
            (header(&prack, HeaderId::RAck), header(&prack, HeaderId::CSeq)),
            ("5 1 INVITE".into(), "2 PRACK".into())
        );
        w.answer(*phone, &prack, 200, "", "");
        w.expect(ALICE, "SIP/2.0 200");
    }
    let (_, invite, side) = &mut sides[1];
    w.answer(BOB_TABLET, invite, 200, "", "");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(header(&ok, HeaderId::To), side.remote);
    w.expect(BOB, "CANCEL");
    let (loser, mut winner) = (sides[0].2.clone(), sides[1].2.clone());
    w.request(&mut loser.clone(), "PRACK", "RAck: 6 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 481");
    w.ack(&winner, 1, "");
    w.expect(BOB_TABLET, "ACK");
    w.request(&mut winner, "BYE", "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.expect(BOB_TABLET, "BYE");
    w.quiet();
}

#[test]
fn an_offer_in_a_reliable_answer_is_answered_in_its_prack() {
    let mut w = World::registered();
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "Supported: 100rel\r\n", "");
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(body(&invite), "");
    w.answer(BOB, &invite, 183, "Require: 100rel\r\nRSeq: 1\r\n", SDP);
    alice.learn(&w.expect(ALICE, "SIP/2.0 183"));
    let answer = SDP.replace("4000", "4444");
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", &answer);
    let prack = w.expect(BOB, "PRACK");
    assert_eq!(body(&prack), answer);
    w.answer(BOB, &prack, 200, "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.answer(BOB, &invite, 200, "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.ack(&alice, 1, "");
    assert_eq!(body(&w.expect(BOB, "ACK")), "");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn update_crosses_a_reinvite_and_both_phones_say_so() {
    let mut w = World::registered();
    let (mut alice, mut bob) = w.call();
    w.request(&mut alice, "INVITE", "", SDP);
    w.expect(ALICE, "SIP/2.0 100");
    let invite = w.expect(BOB, "INVITE");
    w.request(&mut bob, "UPDATE", "", SDP);
    let update = w.expect(ALICE, "UPDATE");
    w.answer(ALICE, &update, 491, "", "");
    w.expect(BOB, "SIP/2.0 491");
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect(ALICE, "SIP/2.0 200");
    w.ack(&alice, 2, "");
    w.expect(BOB, "ACK");
    assert_eq!(w.states(), ["start", "start"]);
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_body_of_several_parts_passes_whole() {
    let mut w = World::registered();
    let parts = format!(
        "--b1\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b1\r\nContent-Type: application/pidf+xml\r\n\r\n<p/>\r\n--b1--\r\n"
    );
    let side = Side {
        phone: ALICE,
        call_id: "parts".into(),
        local: "<sip:alice@ims.test>;tag=a".into(),
        remote: "<sip:bob@ims.test>".into(),
        target: "sip:bob@ims.test".into(),
        cseq: 1,
    };
    let text = side.text("INVITE", 1, 1, "Contact: <sip:alice@192.0.2.1>\r\nMIME-Version: 1.0\r\n", &parts);
    let kind = "multipart/mixed;boundary=b1";
    w.send(ALICE, &text.replacen("Content-Type: application/sdp", &format!("Content-Type: {kind}"), 1));
    w.expect(ALICE, "SIP/2.0 100");
    let invite = w.expect(BOB, "INVITE");
    assert_eq!((header(&invite, HeaderId::ContentType), body(&invite)), (kind.into(), &parts[..]));
    assert!(invite.contains("MIME-Version: 1.0\r\n"));
    w.quiet();
}
