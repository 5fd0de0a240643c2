//! A user with several phones.

use super::super::limits::{GROUP_PATIENCE, PATIENCE};
use super::{ALICE, BOB, BOB_TABLET, BOBS_NUMBER, World};
use crate::base::time::Duration;

fn world(phone: &str, tablet: &str) -> World {
    let mut w = World::with(|_| {});
    w.register(ALICE, "");
    w.register(BOB, phone);
    w.register(BOB_TABLET, tablet);
    w
}

#[test]
fn all_phones_get_the_text_and_the_first_that_takes_it_answers() {
    let mut w = world("", "");
    w.text(ALICE, BOBS_NUMBER, "", "both");
    let (at_phone, at_tablet) = (w.expect(BOB, "MESSAGE"), w.expect(BOB_TABLET, "MESSAGE"));
    assert_eq!(at_phone.one("Call-ID"), at_tablet.one("Call-ID"), "it is one text");
    assert_eq!(at_phone.one("From"), at_tablet.one("From"));
    assert_ne!(at_phone.one("Via"), at_tablet.one("Via"));
    w.answer(BOB, &at_phone, 486, "");
    w.expect_nothing();
    w.answer(BOB_TABLET, &at_tablet, 200, "");
    w.expect(ALICE, "SIP/2.0 200");
    w.quiet();

    let mut w = world("", "");
    w.text(ALICE, BOBS_NUMBER, "", "both");
    let (at_phone, at_tablet) = (w.expect(BOB, "MESSAGE"), w.expect(BOB_TABLET, "MESSAGE"));
    w.answer(BOB_TABLET, &at_tablet, 200, "");
    w.expect(ALICE, "SIP/2.0 200");
    w.answer(BOB, &at_phone, 603, "");
    w.expect_nothing();
    assert_eq!(w.lines().len(), 1);
    w.quiet();
}

#[test]
fn a_phone_with_less_q_gets_it_when_the_others_refuse() {
    let mut w = world(";q=0.5", ";q=0.9");
    w.text(ALICE, BOBS_NUMBER, "", "x");
    let text = w.expect(BOB_TABLET, "MESSAGE");
    w.expect_nothing();
    w.answer(BOB_TABLET, &text, 486, "");
    let text = w.expect(BOB, "MESSAGE");
    w.answer(BOB, &text, 480, "");
    w.expect(ALICE, "SIP/2.0 486");
    w.expect_nothing();
    w.quiet();
}

#[test]
fn a_phone_with_less_q_gets_it_when_the_others_are_silent() {
    let mut w = world(";q=0.5", ";q=0.9");
    w.text(ALICE, BOBS_NUMBER, "", "x");
    w.expect(BOB_TABLET, "MESSAGE");
    w.pass(GROUP_PATIENCE - Duration::from_millis(1));
    assert!(w.sent.drain(..).all(|s| s.flow.remote.to_string() == BOB_TABLET.addr));
    w.pass(Duration::from_millis(1));
    let text = w.expect(BOB, "MESSAGE");
    w.answer(BOB, &text, 200, "");
    w.expect(ALICE, "SIP/2.0 200");
    w.quiet();
}

#[test]
fn a_global_failure_asks_nobody_else() {
    let mut w = world(";q=0.5", ";q=0.9");
    w.text(ALICE, BOBS_NUMBER, "", "x");
    let text = w.expect(BOB_TABLET, "MESSAGE");
    w.answer(BOB_TABLET, &text, 603, "");
    w.expect(ALICE, "SIP/2.0 603");
    w.expect_nothing();
    w.quiet();
}

#[test]
fn what_one_phone_said_is_told_when_the_other_stays_silent() {
    let mut w = world("", "");
    w.text(ALICE, BOBS_NUMBER, "", "x");
    let (text, _) = (w.expect(BOB, "MESSAGE"), w.expect(BOB_TABLET, "MESSAGE"));
    w.answer(BOB, &text, 415, "");
    w.pass(PATIENCE);
    w.sent.retain(|s| s.text.starts_with("SIP/2.0 4"));
    w.expect(ALICE, "SIP/2.0 415");
    w.expect_nothing();
    w.quiet();
}

#[test]
fn a_contact_that_goes_meanwhile_is_passed_over() {
    let mut w = world(";q=0.5", ";q=0.9");
    w.text(ALICE, BOBS_NUMBER, "", "x");
    let text = w.expect(BOB_TABLET, "MESSAGE");
    w.lab.with(|core, cx| {
        core.unregister(cx, "sip:bob@192.0.2.2:5060", crate::ims::registrar::Gone::Deactivated)
            .expect("it was there")
    });
    w.answer(BOB_TABLET, &text, 486, "");
    w.expect(ALICE, "SIP/2.0 486");
    w.quiet();
}
