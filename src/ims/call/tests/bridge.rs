//! Set-up and end of a call between two users.

use super::*;

#[test]
fn a_call_from_invite_to_bye_keeps_its_two_dialogs_apart() {
    let mut w = World::registered();
    let headers = "P-Preferred-Identity: <tel:+33600000001>\r\nX-Odd: kept\r\nP-Access-Network-Info: x\r\nUser-Agent: phone\r\n";
    let mut alice = w.invite(ALICE, "tel:+33600000002", headers, SDP);
    let invite = w.expect(BOB, "INVITE sip:bob@192.0.2.2:5060 SIP/2.0");
    assert_eq!(header(&invite, HeaderId::MaxForwards), "69");
    assert_ne!(header(&invite, HeaderId::CallId), alice.call_id);
    assert!(header(&invite, HeaderId::From).starts_with("<sip:alice@ims.test>;tag=b0-"), "{invite}");
    assert_eq!(header(&invite, HeaderId::To), "<tel:+33600000002>");
    assert_eq!(header(&invite, HeaderId::Contact), "<sip:ims@198.51.100.1:5060>;audio");
    assert!(invite.contains("\r\nX-Odd: kept\r\n") && !invite.contains("P-Access-Network-Info"), "{invite}");
    assert!(invite.contains("P-Asserted-Identity: <sip:+33600000001@ims.test;user=phone>\r\n"), "{invite}");
    assert!(invite.contains("P-Asserted-Identity: <tel:+33600000001>\r\n"), "{invite}");
    assert!(header(&invite, HeaderId::UserAgent).starts_with("imsbox/"));
    assert_eq!(body(&invite), SDP);

    w.answer(BOB, &invite, 180, "X-Ring: yes\r\n", "");
    let ringing = w.expect(ALICE, "SIP/2.0 180 Phone says");
    assert!(ringing.contains("\r\nX-Ring: yes\r\n"), "{ringing}");
    assert_eq!(w.states(), ["ringing", "ringing"]);
    w.answer(BOB, &invite, 200, "P-Preferred-Identity: <sip:bob@ims.test>\r\n", SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(header(&ok, HeaderId::To), header(&ringing, HeaderId::To), "one dialog");
    assert_eq!(header(&ok, HeaderId::Contact), "<sip:ims@198.51.100.1:5060>;video");
    assert_eq!(header(&ok, HeaderId::PAssertedIdentity), "<sip:bob@ims.test>");
    assert_eq!(body(&ok), SDP);
    w.expect_nothing();

    alice.learn(&ok);
    w.ack(&alice, 1, "");
    let ack = w.expect(BOB, "ACK sip:bob@192.0.2.2:5060 SIP/2.0");
    assert_eq!(header(&ack, HeaderId::CSeq), "1 ACK");
    assert_eq!(w.states(), ["start", "start"]);

    w.request(&mut alice, "BYE", "Reason: SIP;cause=200;text=\"User term the call.\"\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    let bye = w.expect(BOB, "BYE sip:bob@192.0.2.2:5060 SIP/2.0");
    assert_eq!(header(&bye, HeaderId::CSeq), "2 BYE");
    assert_eq!(header(&bye, HeaderId::Reason), "SIP;cause=200;text=\"User term the call.\"");
    w.answer(BOB, &bye, 200, "", "");
    assert_eq!((w.states(), w.reason()), (vec!["stop", "stop"], "the caller hung up".to_owned()));
    w.quiet();
}

#[test]
fn the_callee_hangs_up() {
    let mut w = World::registered();
    let (_, mut bob) = w.call();
    w.request(&mut bob, "BYE", "", "");
    w.expect(BOB, "SIP/2.0 200");
    let bye = w.expect(ALICE, "BYE sip:alice@192.0.2.1:5060");
    w.answer(ALICE, &bye, 200, "", "");
    assert_eq!(w.reason(), "the callee hung up");
    w.quiet();
}

#[test]
fn both_hang_up_at_once() {
    let mut w = World::registered();
    let (mut alice, mut bob) = w.call();
    w.request(&mut alice, "BYE", "", "");
    let to_bob = w.expect(BOB, "BYE");
    w.expect(ALICE, "SIP/2.0 200");
    w.request(&mut bob, "BYE", "", "");
    w.expect(BOB, "SIP/2.0 200");
    w.answer(BOB, &to_bob, 200, "", "");
    w.expect_nothing();
    w.quiet();
}

#[test]
fn a_late_bye_is_answered_481() {
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
    w.request(&mut alice, "BYE", "", "");
    w.expect(ALICE, "SIP/2.0 481");
    w.quiet();
}

#[test]
fn a_busy_callee_is_told_to_the_caller() {
    let mut w = World::registered();
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 486, "Warning: 399 x \"busy\"\r\n", "");
    w.expect(BOB, "ACK");
    let busy = w.expect(ALICE, "SIP/2.0 486 Phone says");
    assert!(busy.contains("Warning: 399 x \"busy\"\r\n"), "{busy}");
    assert_eq!(w.reason(), "486 Phone says");
    w.quiet();
}

#[test]
fn every_final_failure_passes_but_503_which_would_be_ours() {
    for (given, passed) in [
        (302, 302),
        (404, 404),
        (408, 408),
        // a session timer is between the callee's phone and us
        (422, 500),
        (488, 488),
        (491, 491),
        (503, 500),
        (580, 580),
        (603, 603),
    ] {
        let mut w = World::registered();
        let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
        let invite = w.expect(BOB, "INVITE");
        w.answer(BOB, &invite, given, "X-Why: so\r\n", "");
        w.expect(BOB, "ACK");
        let refused = w.expect(ALICE, &format!("SIP/2.0 {passed} "));
        assert_eq!(refused.contains("\r\nX-Why: so\r\n"), given != 422, "{refused}");
        assert_eq!(header(&refused, HeaderId::Contact).is_empty(), given != 302, "{refused}");
        w.quiet();
    }
}

#[test]
fn unknown_and_unregistered_callees() {
    let mut w = World::new();
    w.register(ALICE, "");
    for (uri, status) in [
        ("tel:+999", 404),
        ("sip:nobody@ims.test", 404),
        ("tel:+33600000002", 480),
        ("sip:alice@ims.test", 486),
    ] {
        let _ = w.invite(ALICE, uri, "", SDP);
        w.expect(ALICE, &format!("SIP/2.0 {status} "));
        w.expect_nothing();
    }
    w.quiet();
}

#[test]
fn the_callee_is_found_in_every_form_of_its_identity() {
    for uri in [
        "sip:bob@ims.test",
        "sip:bob@192.0.2.99",
        "tel:+33-600-00-00-02",
        "sip:+33600000002@ims.test;user=phone",
        "sip:+33600000002;phone-context=ims.test@ims.test;user=phone",
    ] {
        let mut w = World::registered();
        let _ = w.invite(ALICE, uri, "", SDP);
        let invite = w.expect(BOB, "INVITE sip:bob@192.0.2.2:5060");
        assert_eq!(header(&invite, HeaderId::To), format!("<{uri}>"));
    }
}

#[test]
fn cancel_before_the_answer() {
    let mut w = World::registered();
    let alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    let cancel = alice.text("CANCEL", 1, w.branch, "Reason: SIP;cause=487;text=\"changed my mind\"\r\n", "");
    w.send(ALICE, &cancel);
    w.expect(ALICE, "SIP/2.0 200");
    w.expect(ALICE, "SIP/2.0 487");
    let cancel = w.expect(BOB, "CANCEL sip:bob@192.0.2.2:5060");
    assert_eq!(header(&cancel, HeaderId::Reason), "SIP;cause=487;text=\"changed my mind\"");
    assert_eq!(header(&cancel, HeaderId::Via), header(&invite, HeaderId::Via));
    w.answer(BOB, &cancel, 200, "", "");
    w.answer(BOB, &invite, 487, "", "");
    w.expect(BOB, "ACK");
    assert_eq!(w.reason(), "the caller hung up before the answer");
    w.quiet();
}

#[test]
fn cancel_waits_for_the_first_provisional_answer() {
    let mut w = World::registered();
    let alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.send(ALICE, &alice.text("CANCEL", 1, w.branch, "", ""));
    w.expect(ALICE, "SIP/2.0 200");
    w.expect(ALICE, "SIP/2.0 487");
    w.expect_nothing();
    w.answer(BOB, &invite, 100, "", "");
    let cancel = w.expect(BOB, "CANCEL");
    w.answer(BOB, &cancel, 200, "", "");
    w.answer(BOB, &invite, 487, "", "");
    w.expect(BOB, "ACK");
    w.quiet();
}

#[test]
fn cancel_crosses_the_answer() {
    let mut w = World::registered();
    let alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    w.send(ALICE, &alice.text("CANCEL", 1, w.branch, "", ""));
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect(BOB, "CANCEL");
    w.expect(BOB, "ACK");
    let bye = w.expect(BOB, "BYE");
    w.answer(BOB, &bye, 200, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.expect(ALICE, "SIP/2.0 200");
    w.expect(ALICE, "SIP/2.0 487");
    w.expect_nothing();
    // Bob missed the ACK: it comes again, and no second BYE
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect(BOB, "ACK");
    w.expect_nothing();
    w.quiet();
}

#[test]
fn the_answer_overtakes_the_cancel() {
    let mut w = World::registered();
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let branch = w.branch;
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    w.send(ALICE, &alice.text("CANCEL", 1, branch, "", ""));
    w.expect(ALICE, "SIP/2.0 200 OK");
    w.expect_nothing();
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    assert_eq!(w.states(), ["start", "start"]);
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_caller_who_hides_is_hidden() {
    let mut w = World::registered();
    let _ = w.invite(ALICE, "sip:bob@ims.test", "Privacy: header;id\r\n", SDP);
    let invite = w.expect(BOB, "INVITE");
    assert!(
        header(&invite, HeaderId::From).starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="),
        "{invite}"
    );
    assert_eq!(header(&invite, HeaderId::PAssertedIdentity), "");
    assert_eq!(header(&invite, HeaderId::Privacy), "header;id");
}

#[test]
fn the_dialled_identity_is_told_when_configured() {
    let mut w = World::with(|c| c.call.p_called_party_id = true);
    w.register(ALICE, "");
    w.register(BOB, "");
    let _ = w.invite(ALICE, "tel:+33600000002", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(header(&invite, HeaderId::PCalledPartyId), "<tel:+33600000002>");
}

#[test]
fn an_offer_in_the_200_is_answered_in_the_ack() {
    let mut w = World::registered();
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", "");
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(body(&invite), "");
    w.answer(BOB, &invite, 200, "", SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(body(&ok), SDP);
    alice.learn(&ok);
    let answer = SDP.replace("4000", "4002");
    w.ack(&alice, 1, &answer);
    let ack = w.expect(BOB, "ACK");
    assert_eq!(body(&ack), answer);
    // a repeated 200 gets the same ACK
    w.answer(BOB, &invite, 200, "", SDP);
    let again = w.expect(BOB, "ACK");
    assert_eq!((body(&again), header(&again, HeaderId::CSeq)), (answer.as_str(), "1 ACK".to_owned()));
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn the_operator_ends_a_call_in_any_state() {
    let mut w = World::registered();
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    let index = w.core.dialog_views(w.now)[0].index;
    assert_eq!(w.input(|core, cx| core.stop_dialog(cx, 7)), Err("no dialog 7".to_owned()));
    assert_eq!(w.input(|core, cx| core.stop_dialog(cx, index)), Ok(()));
    w.expect(ALICE, "SIP/2.0 480");
    w.expect(BOB, "CANCEL");
    w.answer(BOB, &invite, 487, "", "");
    w.expect(BOB, "ACK");
    assert!(w.input(|core, cx| core.stop_dialog(cx, index)).unwrap_err().contains("has ended already"));
    w.quiet();
    w.call();
    let index = w.core.dialog_views(w.now)[1].index;
    assert_eq!(w.input(|core, cx| core.stop_dialog(cx, index)), Ok(()));
    for phone in [ALICE, BOB] {
        let bye = w.expect(phone, "BYE");
        assert!(header(&bye, HeaderId::Reason).contains("ended by the operator"), "{bye}");
        w.answer(phone, &bye, 200, "", "");
    }
    w.quiet();
}

#[test]
fn unregistering_ends_the_call() {
    let mut w = World::registered();
    w.call();
    let text = "REGISTER sip:ims.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKu\r\nMax-Forwards: 70\r\n\
        From: <sip:bob@ims.test>;tag=r\r\nTo: <sip:bob@ims.test>\r\nCall-ID: unreg\r\nCSeq: 2 REGISTER\r\nContact: *\r\nExpires: 0\r\n\
        Content-Length: 0\r\n\r\n";
    w.send(BOB, text);
    w.expect(BOB, "SIP/2.0 200");
    w.expect(BOB, "BYE");
    w.expect(ALICE, "BYE");
    w.quiet();
}

#[test]
fn shutdown_ends_calls_and_leaves_when_they_have() {
    let mut w = World::registered();
    w.call();
    w.input(|core, cx| core.shutdown(cx));
    w.expect(ALICE, "BYE");
    w.expect(BOB, "BYE");
}

#[test]
fn an_early_bye_ends_the_attempt_and_the_callee_may_not_send_one() {
    let mut w = World::registered();
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    alice.learn(&w.expect(ALICE, "SIP/2.0 180"));
    let mut bob = Side::callee(BOB, &invite);
    w.request(&mut bob, "BYE", "", "");
    w.expect(BOB, "SIP/2.0 481");
    w.request(&mut alice, "BYE", "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.expect(ALICE, "SIP/2.0 487");
    w.expect(BOB, "CANCEL");
    w.quiet();
}

#[test]
fn an_identity_that_only_rings_is_never_answered() {
    let mut w = World::with(|c| c.users[1].impus[0].ring_only = true);
    w.register(ALICE, "");
    w.register(BOB, "");
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect(BOB, "ACK");
    w.expect(BOB, "BYE");
    w.expect(ALICE, "SIP/2.0 480");
    w.quiet();
}

#[test]
fn there_is_room_for_so_many_calls() {
    let mut w = World::registered();
    for _ in 0..crate::ims::call::limits::MAX_CALLS {
        w.invite(ALICE, "sip:bob@ims.test", "", "");
    }
    w.drop_all();
    w.invite(ALICE, "sip:bob@ims.test", "", "");
    let refused = w.expect(ALICE, "SIP/2.0 503");
    assert_ne!(header(&refused, HeaderId::RetryAfter), "");
    w.expect_nothing();
    w.pass(Duration::from_secs(31));
    w.drop_all();
    // those calls have ended and can still be seen: the first of them makes room
    w.invite(ALICE, "sip:bob@ims.test", "", "");
    w.expect(BOB, "INVITE");
    w.quiet();
}
