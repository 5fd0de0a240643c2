//! A callee with several contacts.

use super::*;

fn two_phones(q_phone: &str, q_tablet: &str) -> World {
    let mut w = World::new();
    w.register(ALICE, "");
    w.register(BOB, q_phone);
    w.register(BOB_TABLET, q_tablet);
    w
}

#[test]
fn contacts_of_equal_priority_ring_together_and_the_first_answer_wins() {
    let mut w = two_phones("", "");
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let (phone, tablet) = (w.expect(BOB, "INVITE"), w.expect(BOB_TABLET, "INVITE"));
    assert_ne!(header(&phone, HeaderId::CallId), header(&tablet, HeaderId::CallId));
    w.answer(BOB, &phone, 180, "", "");
    let first = w.expect(ALICE, "SIP/2.0 180");
    w.answer(BOB_TABLET, &tablet, 180, "", "");
    let second = w.expect(ALICE, "SIP/2.0 180");
    assert_ne!(header(&first, HeaderId::To), header(&second, HeaderId::To), "two early dialogs");
    w.answer(BOB_TABLET, &tablet, 200, "", SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(header(&ok, HeaderId::To), header(&second, HeaderId::To));
    let cancel = w.expect(BOB, "CANCEL");
    assert!(header(&cancel, HeaderId::Reason).contains("Call completed elsewhere"), "{cancel}");
    w.answer(BOB, &cancel, 200, "", "");
    w.answer(BOB, &phone, 487, "", "");
    w.expect(BOB, "ACK");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(BOB_TABLET, "ACK");
    w.expect_nothing();
    w.request(&mut alice, "BYE", "", "");
    w.expect(ALICE, "SIP/2.0 200");
    let bye = w.expect(BOB_TABLET, "BYE");
    w.answer(BOB_TABLET, &bye, 200, "", "");
    w.expect_nothing();
    w.quiet();
}

#[test]
fn two_answers_at_once_leave_one_call() {
    let mut w = two_phones("", "");
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let (phone, tablet) = (w.expect(BOB, "INVITE"), w.expect(BOB_TABLET, "INVITE"));
    w.answer(BOB, &phone, 200, "", SDP);
    w.answer(BOB_TABLET, &tablet, 200, "", SDP);
    w.expect(ALICE, "SIP/2.0 200");
    w.expect(BOB_TABLET, "ACK");
    let bye = w.expect(BOB_TABLET, "BYE");
    w.answer(BOB_TABLET, &bye, 200, "", "");
    w.expect_nothing();
    w.quiet();
}

#[test]
fn the_next_priority_rings_when_the_one_above_has_failed() {
    let mut w = two_phones(";q=0.5", ";q=0.9");
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let tablet = w.expect(BOB_TABLET, "INVITE");
    w.expect_nothing();
    w.answer(BOB_TABLET, &tablet, 480, "", "");
    w.expect(BOB_TABLET, "ACK");
    let phone = w.expect(BOB, "INVITE");
    w.answer(BOB, &phone, 486, "", "");
    w.expect(BOB, "ACK");
    w.expect(ALICE, "SIP/2.0 486");
    w.quiet();
}

#[test]
fn silence_of_the_first_group_lets_the_next_one_ring() {
    let mut w = two_phones(";q=0.5", ";q=0.9");
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let tablet = w.expect(BOB_TABLET, "INVITE");
    w.answer(BOB_TABLET, &tablet, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.pass(Duration::from_secs(30));
    w.expect(BOB_TABLET, "CANCEL");
    let phone = w.expect(BOB, "INVITE");
    w.answer(BOB, &phone, 200, "", SDP);
    w.expect(ALICE, "SIP/2.0 200");
    w.quiet();
}

#[test]
fn a_global_failure_ends_it_for_all() {
    let mut w = World::new();
    let watch = Phone { addr: "192.0.2.4:5060", user: "bob" };
    w.register(ALICE, "");
    w.register(BOB, ";q=0.9");
    w.register(BOB_TABLET, ";q=0.9");
    w.register(watch, ";q=0.1");
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let (phone, tablet) = (w.expect(BOB, "INVITE"), w.expect(BOB_TABLET, "INVITE"));
    w.answer(BOB, &phone, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.answer(BOB_TABLET, &tablet, 603, "", "");
    w.expect(BOB_TABLET, "ACK");
    let cancel = w.expect(BOB, "CANCEL");
    w.expect(ALICE, "SIP/2.0 603");
    w.answer(BOB, &cancel, 200, "", "");
    w.answer(BOB, &phone, 487, "", "");
    w.expect(BOB, "ACK");
    w.expect_nothing();
    w.quiet();
}

#[test]
fn the_best_of_the_failures_is_told() {
    let mut w = two_phones("", "");
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let (phone, tablet) = (w.expect(BOB, "INVITE"), w.expect(BOB_TABLET, "INVITE"));
    w.answer(BOB, &phone, 486, "Warning: 399 x \"phone\"\r\n", "");
    w.expect(BOB, "ACK");
    w.expect_nothing();
    w.answer(BOB_TABLET, &tablet, 500, "", "");
    w.expect(BOB_TABLET, "ACK");
    let refused = w.expect(ALICE, "SIP/2.0 486");
    assert_eq!(header(&refused, HeaderId::Warning), "399 x \"phone\"");
    w.quiet();
}

#[test]
fn cancel_reaches_every_contact() {
    let mut w = two_phones("", "");
    let alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    for phone in [BOB, BOB_TABLET] {
        let invite = w.expect(phone, "INVITE");
        w.answer(phone, &invite, 180, "", "");
        w.expect(ALICE, "SIP/2.0 180");
    }
    w.send(ALICE, &alice.text("CANCEL", 1, 4, "", ""));
    w.expect(BOB, "CANCEL");
    w.expect(BOB_TABLET, "CANCEL");
    w.expect(ALICE, "SIP/2.0 200");
    w.expect(ALICE, "SIP/2.0 487");
    w.quiet();
}

#[test]
fn a_phone_that_lost_the_race_and_hangs_up_does_not_end_the_call() {
    let mut w = two_phones("", "");
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let (phone, tablet) = (w.expect(BOB, "INVITE"), w.expect(BOB_TABLET, "INVITE"));
    w.answer(BOB, &phone, 200, "", SDP);
    w.answer(BOB_TABLET, &tablet, 200, "", SDP);
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    w.drop_all();
    let mut loser = Side::callee(BOB_TABLET, &tablet);
    w.request(&mut loser, "UPDATE", "", SDP);
    w.expect(BOB_TABLET, "SIP/2.0 481");
    w.request(&mut loser, "BYE", "", "");
    w.expect(BOB_TABLET, "SIP/2.0 200");
    w.expect_nothing();
    assert_eq!(w.states()[0], "start");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn bye_in_one_early_dialog_ends_that_one() {
    let mut w = two_phones("", "");
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let (phone, tablet) = (w.expect(BOB, "INVITE"), w.expect(BOB_TABLET, "INVITE"));
    w.answer(BOB, &phone, 180, "", "");
    alice.learn(&w.expect(ALICE, "SIP/2.0 180"));
    w.request(&mut alice, "BYE", "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.expect(BOB, "CANCEL");
    w.expect_nothing();
    w.answer(BOB_TABLET, &tablet, 486, "", "");
    w.expect(BOB_TABLET, "ACK");
    w.expect(ALICE, "SIP/2.0 486");
    w.quiet();
}
