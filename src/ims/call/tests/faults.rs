//! Loss, silence and phones that vanish: both sides are cleaned up, whoever has gone.

use super::*;

#[test]
fn a_callee_that_never_answers_is_given_up() {
    let mut w = World::registered();
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    w.expect(BOB, "INVITE");
    w.pass(Duration::from_secs(31));
    assert!(w.drop_all() >= 4, "the INVITE was repeated");
    assert_eq!(w.reason(), "the callee's phone does not answer");
    w.quiet();
    let mut w = World::with(|c| c.call.dialog_timeout = Duration::from_secs(300));
    w.register(ALICE, "");
    w.register(BOB, "");
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    w.pass(T1 * 64 + Duration::from_secs(1));
    while w.sent.front().is_some_and(|(to, _)| to == BOB.addr) {
        w.expect(BOB, "INVITE");
    }
    w.expect(ALICE, "SIP/2.0 408");
    w.quiet();
}

#[test]
fn nobody_takes_the_call() {
    let mut w = World::registered();
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.pass(Duration::from_secs(20));
    w.drop_all();
    w.answer(BOB, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.pass(Duration::from_secs(29));
    w.expect_nothing();
    w.pass(Duration::from_secs(1));
    let cancel = w.expect(BOB, "CANCEL");
    assert!(header(&cancel, HeaderId::Reason).contains("cause=408"), "{cancel}");
    let refused = w.expect(ALICE, "SIP/2.0 480");
    assert_eq!(header(&refused, HeaderId::Warning), "399 imsbox \"nobody took the call\"");
    assert_eq!(w.reason(), "nobody took the call");
    w.quiet();
}

#[test]
fn a_callee_that_cannot_be_sent_to() {
    let mut w = World::registered();
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    w.expect(BOB, "INVITE");
    let flow = Flow::udp(LocalId(0), BOB.addr.parse().unwrap());
    let tag = w.last_tag;
    w.input(|core, cx| core.on_send_failed(cx, flow, tag));
    w.expect(ALICE, "SIP/2.0 480");
    assert_eq!(w.reason(), "the callee's phone cannot be reached");
    w.quiet();
}

#[test]
fn the_200_is_repeated_until_the_ack() {
    let mut w = World::registered();
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    w.pass(T1);
    assert_eq!(w.expect(ALICE, "SIP/2.0 200"), ok);
    // Bob's own repetitions are not answered as long as Alice's ACK is missing
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect_nothing();
    w.pass(T1 * 2);
    w.expect(ALICE, "SIP/2.0 200");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    w.ack(&alice, 1, "");
    w.pass(Duration::from_secs(5));
    w.expect_nothing();
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect(BOB, "ACK");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_caller_that_never_acknowledges() {
    let mut w = World::registered();
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", SDP);
    w.pass(T1 * 64 - Duration::from_millis(1));
    let repeated = w.drop_all();
    assert_eq!(repeated, 11, "T1 doubling to T2 for 64*T1, as RFC 3261 13.3.1.4 has it");
    w.pass(Duration::from_millis(1));
    w.expect(BOB, "ACK");
    let bye = w.expect(BOB, "BYE");
    w.answer(BOB, &bye, 200, "", "");
    w.expect(ALICE, "BYE");
    assert_eq!(w.reason(), "no ACK from sip:alice@ims.test");
    w.quiet();
}

#[test]
fn bye_to_the_caller_waits_for_its_ack() {
    let mut w = World::registered();
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    let mut bob = Side::callee(BOB, &invite);
    w.request(&mut bob, "BYE", "", "");
    w.expect(BOB, "SIP/2.0 200");
    w.expect_nothing();
    w.pass(T1);
    w.expect(ALICE, "SIP/2.0 200");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(ALICE, "BYE");
    w.expect_nothing();
    w.quiet();
}

#[test]
fn a_phone_that_does_not_answer_its_bye_is_forgotten() {
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    w.request(&mut alice, "BYE", "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.pass(Duration::from_secs(40));
    assert!(w.drop_all() > 5, "BYE was repeated");
    w.quiet();
}

#[test]
fn a_phone_that_has_lost_the_call_ends_it() {
    for (status, words) in [(481, "does not know the call any more"), (408, "does not answer any more")] {
        let mut w = World::registered();
        let (mut alice, _) = w.call();
        w.request(&mut alice, "INFO", "", "");
        let info = w.expect(BOB, "INFO");
        w.answer(BOB, &info, status, "", "");
        if status == 481 {
            w.expect(ALICE, "SIP/2.0 481");
        }
        w.expect(ALICE, "BYE");
        w.expect(BOB, "BYE");
        assert_eq!(
            w.reason(),
            format!("tel:+33600000002 {words}")
                .replace("tel:+33600000002", &w.core.dialog_views(w.now)[0].to)
        );
        w.quiet();
    }
}

#[test]
fn a_phone_that_vanishes_in_a_call_is_noticed_by_the_next_request() {
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    w.request(&mut alice, "INFO", "", "");
    w.pass(T1 * 64);
    assert_eq!(w.states(), ["stop", "stop"]);
    w.quiet();
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    w.request(&mut alice, "INVITE", "", SDP);
    w.expect(ALICE, "SIP/2.0 100");
    w.pass(T1 * 64);
    while w.sent.front().is_some_and(|(to, _)| to == BOB.addr) {
        w.expect(BOB, "");
    }
    w.expect(ALICE, "SIP/2.0 408");
    w.expect(ALICE, "BYE");
    w.quiet();
}

#[test]
fn an_answer_after_everything_is_over_is_still_ended_properly() {
    let mut w = World::with(|c| c.protocol.timer_t1 = Duration::from_secs(2));
    w.register(ALICE, "");
    w.register(BOB, "");
    let alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let branch = w.branch;
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    w.send(ALICE, &alice.text("CANCEL", 1, branch, "", ""));
    // nothing of this reaches Bob, who answers when the call is no longer even shown
    w.pass(Duration::from_secs(60));
    w.drop_all();
    assert_eq!(w.states(), [""; 0]);
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect(BOB, "ACK");
    let bye = w.expect(BOB, "BYE");
    w.answer(BOB, &bye, 200, "", "");
    w.quiet();
}

#[test]
fn every_message_lost_or_doubled_leaves_nothing_behind() {
    // each message of a whole call in turn is lost, and in a second run comes twice
    for lost in 0..12 {
        for copies in [0, 2] {
            let mut w = World::registered();
            let mut step = 0;
            let mut deliver = |w: &mut World, from: Phone, text: &str| {
                let times = if step == lost { copies } else { 1 };
                step += 1;
                (0..times).for_each(|_| w.send(from, text));
            };
            let alice = Side {
                phone: ALICE,
                call_id: "c".into(),
                local: "<sip:alice@ims.test>;tag=a".into(),
                remote: "<sip:bob@ims.test>".into(),
                target: "sip:bob@ims.test".into(),
                cseq: 1,
            };
            deliver(&mut w, ALICE, &alice.text("INVITE", 1, 1, "Contact: <sip:alice@192.0.2.1>\r\n", SDP));
            let Some(invite) = w.find(BOB, "INVITE") else { continue };
            for (status, body) in [(100, ""), (180, ""), (200, SDP)] {
                deliver(&mut w, BOB, &reply(BOB, &invite, status, "", body));
            }
            let Some(ok) = w.find(ALICE, "SIP/2.0 200") else {
                w.quiet();
                continue;
            };
            let mut alice = alice;
            alice.learn(&ok);
            deliver(&mut w, ALICE, &alice.text("ACK", 1, 9, "", ""));
            deliver(&mut w, ALICE, &alice.text("BYE", 2, 10, "", ""));
            if let Some(bye) = w.find(BOB, "BYE") {
                deliver(&mut w, BOB, &reply(BOB, &bye, 200, "", ""));
            }
            // these phones do not repeat themselves: a call whose BYE was lost is ended by hand
            let _ = w.input(|core, cx| core.stop_dialog(cx, 10));
            w.quiet();
        }
    }
}
