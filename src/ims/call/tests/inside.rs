//! Requests inside a call, passed end to end.

use super::*;

const HELD: &str = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";

#[test]
fn hold_and_resume_by_reinvite_from_the_caller() {
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    w.request(&mut alice, "INVITE", "Contact: <sip:alice@192.0.2.1:5061>\r\n", HELD);
    w.expect(ALICE, "SIP/2.0 100");
    let invite = w.expect(BOB, "INVITE sip:bob@192.0.2.2:5060");
    assert_eq!((header(&invite, HeaderId::CSeq).as_str(), body(&invite)), ("2 INVITE", HELD));
    w.answer(BOB, &invite, 200, "", &HELD.replace("sendonly", "recvonly"));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(header(&ok, HeaderId::CSeq), "2 INVITE");
    assert!(body(&ok).contains("a=recvonly"));
    w.ack(&alice, 2, "");
    let ack = w.expect(BOB, "ACK");
    assert_eq!(header(&ack, HeaderId::CSeq), "2 ACK");
    assert_eq!(w.states(), ["hold", "hold"]);
    let view = &w.core.dialog_views(w.now)[0];
    assert_eq!((view.medias[0].kind, view.medias[0].dir), ("audio", "sendonly"));
    w.request(&mut alice, "UPDATE", "", SDP);
    let update = w.expect(BOB, "UPDATE");
    assert_eq!((header(&update, HeaderId::CSeq).as_str(), body(&update)), ("3 UPDATE", SDP));
    w.answer(BOB, &update, 200, "", SDP);
    w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(w.states(), ["start", "start"]);
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn the_callee_renegotiates_and_the_new_target_is_used() {
    let mut w = World::registered();
    let (mut alice, mut bob) = w.call();
    w.request(&mut bob, "INVITE", "Contact: <sip:bob@192.0.2.2:6666>\r\n", SDP);
    w.expect(BOB, "SIP/2.0 100");
    let invite = w.expect(ALICE, "INVITE sip:alice@192.0.2.1:5060");
    assert_eq!(header(&invite, HeaderId::CSeq), "1 INVITE", "our first request to Alice");
    assert_eq!(header(&invite, HeaderId::CallId), alice.call_id);
    w.answer(ALICE, &invite, 200, "", SDP);
    w.expect(BOB, "SIP/2.0 200");
    w.ack(&bob, 101, "");
    w.expect(ALICE, "ACK");
    w.request(&mut alice, "INFO", "", "");
    w.expect(BOB, "INFO sip:bob@192.0.2.2:6666");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn other_requests_pass_in_both_directions_with_their_bodies() {
    let mut w = World::registered();
    let (mut alice, mut bob) = w.call();
    for (n, method) in ["INFO", "MESSAGE", "REFER", "NOTIFY", "OPTIONS"].into_iter().enumerate() {
        let headers = "X-Odd: 1\r\nContent-Disposition: render\r\n";
        w.request(&mut alice, method, headers, "hello");
        let passed = w.expect(BOB, method);
        assert_eq!(
            (header(&passed, HeaderId::CSeq), body(&passed)),
            (format!("{} {method}", n + 2), "hello")
        );
        assert!(passed.contains("X-Odd: 1\r\nContent-Disposition: render\r\n"), "{passed}");
        w.answer(BOB, &passed, 200, "X-Even: 2\r\n", "there");
        let ok = w.expect(ALICE, "SIP/2.0 200");
        assert!(ok.contains("X-Even: 2\r\n") && body(&ok) == "there", "{ok}");
        w.request(&mut bob, method, "", "back");
        let passed = w.expect(ALICE, method);
        w.answer(ALICE, &passed, 405, "", "");
        w.expect(BOB, "SIP/2.0 405");
        assert_eq!(w.states(), ["start", "start"]);
    }
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn reliable_provisional_answers_and_their_prack_pass() {
    let mut w = World::registered();
    let mut alice =
        w.invite(ALICE, "sip:bob@ims.test", "Supported: 100rel, precondition, sec-agree\r\n", SDP);
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(header(&invite, HeaderId::Supported), "100rel,precondition,timer");
    let progress = "Require: 100rel,precondition\r\nRSeq: 77\r\n";
    w.answer(BOB, &invite, 183, progress, SDP);
    let early = w.expect(ALICE, "SIP/2.0 183");
    assert_eq!(
        (header(&early, HeaderId::RSeq), header(&early, HeaderId::Require)),
        ("77".into(), "100rel,precondition".into())
    );
    w.answer(BOB, &invite, 183, progress, SDP);
    assert_eq!(w.expect(ALICE, "SIP/2.0 183"), early, "repeated as it comes");
    alice.learn(&early);

    w.request(&mut alice, "PRACK", "RAck: 76 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 481");
    w.request(&mut alice, "PRACK", "RAck: 77 9 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 481");

    w.request(&mut alice, "PRACK", "RAck: 77 1 INVITE\r\n", "");
    let prack = w.expect(BOB, "PRACK sip:bob@192.0.2.2:5060");
    assert_eq!(header(&prack, HeaderId::RAck), "77 1 INVITE");
    w.answer(BOB, &prack, 200, "", "");
    w.expect(ALICE, "SIP/2.0 200");

    w.request(&mut alice, "UPDATE", "Require: precondition,sec-agree\r\n", SDP);
    let update = w.expect(BOB, "UPDATE");
    assert_eq!(header(&update, HeaderId::Require), "precondition");
    w.answer(BOB, &update, 200, "", SDP);
    assert_eq!(body(&w.expect(ALICE, "SIP/2.0 200")), SDP);

    let mut bob = Side::callee(BOB, &invite);
    w.request(&mut bob, "UPDATE", "", SDP);
    let update = w.expect(ALICE, "UPDATE");
    w.answer(ALICE, &update, 200, "", SDP);
    w.expect(BOB, "SIP/2.0 200");

    w.answer(BOB, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.answer(BOB, &invite, 200, "", "");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(header(&ok, HeaderId::To), alice.remote);
    w.ack(&alice, 1, "");
    let ack = w.expect(BOB, "ACK");
    assert_eq!(header(&ack, HeaderId::CSeq), "1 ACK");
    w.expect_nothing();
    w.request(&mut alice, "BYE", "", "");
    let cseq = header(&w.expect(BOB, "BYE"), HeaderId::CSeq);
    assert_eq!(cseq, "4 BYE", "PRACK and UPDATE came before");
    w.quiet();
}

#[test]
fn glare_is_the_phones_business() {
    let mut w = World::registered();
    let (mut alice, mut bob) = w.call();
    w.request(&mut alice, "INVITE", "", SDP);
    w.expect(ALICE, "SIP/2.0 100");
    let to_bob = w.expect(BOB, "INVITE");
    w.request(&mut bob, "INVITE", "", SDP);
    w.expect(BOB, "SIP/2.0 100");
    let to_alice = w.expect(ALICE, "INVITE");
    w.answer(BOB, &to_bob, 491, "", "");
    w.answer(ALICE, &to_alice, 491, "", "");
    w.expect(BOB, "ACK");
    w.expect(ALICE, "SIP/2.0 491");
    w.expect(ALICE, "ACK");
    w.expect(BOB, "SIP/2.0 491");
    assert_eq!(w.states(), ["start", "start"], "both phones try again later");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_second_invite_before_the_first_is_answered_is_refused() {
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    w.request(&mut alice, "INVITE", "", SDP);
    w.expect(ALICE, "SIP/2.0 100");
    w.expect(BOB, "INVITE");
    w.request(&mut alice, "INVITE", "", SDP);
    let refused = w.expect(ALICE, "SIP/2.0 500");
    assert_ne!(header(&refused, HeaderId::RetryAfter), "");
    w.expect_nothing();
    w.quiet();
}

#[test]
fn the_order_of_requests_is_kept() {
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    alice.cseq = 0;
    w.request(&mut alice, "INFO", "", "");
    w.expect(ALICE, "SIP/2.0 500");
    w.expect_nothing();
    w.request(&mut alice, "BYE", "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.quiet();
}

#[test]
fn a_reinvite_can_be_cancelled() {
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    w.request(&mut alice, "INVITE", "", SDP);
    let branch = w.branch;
    w.expect(ALICE, "SIP/2.0 100");
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.send(ALICE, &alice.text("CANCEL", alice.cseq, branch, "", ""));
    w.expect(ALICE, "SIP/2.0 200");
    let cancel = w.expect(BOB, "CANCEL");
    w.answer(BOB, &cancel, 200, "", "");
    w.answer(BOB, &invite, 487, "", "");
    w.expect(BOB, "ACK");
    w.expect(ALICE, "SIP/2.0 487");
    assert_eq!(w.states(), ["start", "start"], "the call goes on");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn bye_answers_what_is_still_open() {
    let mut w = World::registered();
    let (mut alice, mut bob) = w.call();
    w.request(&mut alice, "INVITE", "", SDP);
    w.expect(ALICE, "SIP/2.0 100");
    let invite = w.expect(BOB, "INVITE");
    w.request(&mut bob, "BYE", "", "");
    w.expect(BOB, "SIP/2.0 200");
    w.expect(ALICE, "SIP/2.0 487");
    w.expect(ALICE, "BYE");
    // Bob had accepted the re-INVITE in the same moment
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect(BOB, "ACK");
    w.quiet();
}

/// RFC 3515: what a phone asks of the other one in the call, and what it hears of it, is between them.
#[test]
fn a_transfer_is_asked_for_and_told_of_in_the_call() {
    let mut w = World::registered();
    let (mut alice, mut bob) = w.call();
    let refer =
        "Refer-To: <tel:+33600000009>\r\nReferred-By: <sip:alice@ims.test>\r\nSupported: norefersub\r\n";
    w.request(&mut alice, "REFER", refer, "");
    let passed = w.expect(BOB, "REFER sip:bob@192.0.2.2:5060");
    for line in refer.split_inclusive("\r\n").take(2) {
        assert!(passed.contains(line), "{passed}");
    }
    w.answer(BOB, &passed, 202, "", "");
    w.expect(ALICE, "SIP/2.0 202");
    for (state, fragment, answer) in [
        ("active;expires=60", "SIP/2.0 100 Trying\r\n", 200),
        ("terminated;reason=noresource", "SIP/2.0 486 Busy Here\r\n", 200),
        // the subscription is over: the phone says so, and the call goes on (RFC 6665 4.1.3, RFC 5057 5.1)
        ("active", "SIP/2.0 200 OK\r\n", 489),
    ] {
        let headers = format!("Event: refer;id=2\r\nSubscription-State: {state}\r\n");
        w.request(&mut bob, "NOTIFY", &headers, fragment);
        let text = w.expect(ALICE, "NOTIFY sip:alice@192.0.2.1:5060");
        assert!(text.contains(&headers) && body(&text) == fragment, "{text}");
        w.answer(ALICE, &text, answer, "", "");
        w.expect(BOB, &format!("SIP/2.0 {answer}"));
        assert_eq!(w.states(), ["start", "start"]);
    }
    w.request(&mut bob, "REFER", refer, "");
    let passed = w.expect(ALICE, "REFER");
    w.answer(ALICE, &passed, 603, "", "");
    w.expect(BOB, "SIP/2.0 603");
    w.request(&mut alice, "OPTIONS", "Accept: application/sdp\r\n", "");
    let passed = w.expect(BOB, "OPTIONS");
    w.answer(BOB, &passed, 200, "Allow: INVITE, REFER\r\nAccept: application/sdp\r\n", SDP);
    let able = w.expect(ALICE, "SIP/2.0 200");
    assert!(
        able.contains("Allow: INVITE, REFER\r\n") && body(&able) == SDP,
        "it is the phone's answer: {able}"
    );
    assert_eq!(w.states(), ["start", "start"]);
    w.request(&mut alice, "BYE", "", "");
    w.expect(BOB, "BYE");
    // of a call that is over nothing is asked
    for method in ["REFER", "NOTIFY", "OPTIONS"] {
        w.request(&mut alice, method, refer, "");
        assert!(w.find(ALICE, "SIP/2.0 481").is_some(), "{method}");
    }
    w.quiet();
}
