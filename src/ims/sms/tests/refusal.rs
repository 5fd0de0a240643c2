//! What phones say of texts that they do not take, and what that means for the text itself and for those behind it.

use super::report::status_report;
use super::*;
use crate::wire::gsm::tpdu::Status;
use crate::wire::gsm::validity::Enhanced;
use crate::wire::gsm::{Dcs, Validity};

const RETRY: Duration = Duration::from_secs(60);

/// An RP-ERROR whose DELIVER-REPORT has a TP-FCS.
fn failure(reference: u8, cause: RpCause, failure: u8) -> Vec<u8> {
    let report = [0, failure, 0];
    up(reference, Rp::Error { cause, diagnostic: None, user_data: Some(&report) })
}

impl World {
    fn has_room(&mut self, phone: Phone) {
        let call_id = self.send_rp(phone, "sip:sms-centre@ims.test", "", &up(77, Rp::Smma));
        self.expect_taken(phone, &call_id, 77);
    }

    /// Alice submits a text that is to be tried once, and wants to know what becomes of it.
    fn submit_once(&mut self, reference: u8, what: &str) {
        let once = Validity::Enhanced(Enhanced([0x40, 0, 0, 0, 0, 0, 0]));
        let tpdu = submit_with(reference, BOBS_NUMBER, what, |s| {
            (s.validity, s.status_report) = (Some(once), true);
        });
        let call_id = self.send_rp(ALICE, "tel:1", "", &rp_data(reference, &tpdu));
        self.expect_taken(ALICE, &call_id, reference);
    }
}

#[test]
fn a_sim_that_cannot_take_a_text_delays_it_alone_whatever_the_rp_cause() {
    for (cause, fcs) in [(22, 0xd4), (111, 0xd4), (111, 0xd0), (127, 0xd1), (41, 0xd2), (95, 0xd5)] {
        let mut w = World::registered(|_| {});
        w.submitted(ALICE, 1, BOBS_NUMBER, "x");
        w.submitted(ALICE, 2, BOBS_NUMBER, "y");
        let text = w.arrives(BOB, "x");
        w.report(BOB, &text, |reference| failure(reference, RpCause(cause), fcs));
        w.is_delivered(BOB, "y");
        w.expect_nothing();
        w.pass(RETRY);
        w.is_delivered(BOB, "x");
        w.quiet();
    }
}

#[test]
fn a_memory_that_is_full_is_full_whatever_the_rp_cause() {
    let mut w = World::registered(|_| {});
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    w.submitted(ALICE, 2, BOBS_NUMBER, "y");
    let text = w.arrives(BOB, "x");
    w.report(BOB, &text, |reference| failure(reference, RpCause::PROTOCOL, 0xd3));
    w.expect_nothing();
    w.has_room(BOB);
    w.is_delivered(BOB, "x");
    w.is_delivered(BOB, "y");
    w.quiet();
}

/// A SUBMIT of this class.
fn of_class(reference: u8, class: u8, what: &str) -> Vec<u8> {
    let data = UserDataBuf::of_text(Dcs(0xf0 | class), &[], what).expect("short");
    submit_data(reference, BOBS_NUMBER, &data, |_| {})
}

#[test]
fn a_full_sim_is_the_memory_of_all_texts_but_those_that_are_for_the_sim_itself() {
    for class in [1, 2] {
        let mut w = World::registered(|_| {});
        for (n, what) in [(1, "x"), (2, "y")] {
            let call_id = w.send_rp(ALICE, "tel:1", "", &rp_data(n, &of_class(n, class, what)));
            w.expect_taken(ALICE, &call_id, n);
        }
        let text = w.arrives(BOB, "x");
        w.report(BOB, &text, |reference| failure(reference, RpCause::MEMORY_EXCEEDED, 0xd0));
        if class == 1 {
            w.expect_nothing();
            w.has_room(BOB);
            w.is_delivered(BOB, "x");
            w.is_delivered(BOB, "y");
        } else {
            w.is_delivered(BOB, "y");
            w.expect_nothing();
            w.pass(RETRY);
            w.is_delivered(BOB, "x");
        }
        w.quiet();
    }
}

#[test]
fn the_log_has_the_cause_and_the_failure() {
    let mut w = World::registered(|_| {});
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let text = w.arrives(BOB, "x");
    w.report(BOB, &text, |reference| failure(reference, RpCause::PROTOCOL, 0xd4));
    let words = "waits: the phone says RP-ERROR 111 (protocol error), d4 (SIM application toolkit busy); next attempt in 60 s";
    assert!(w.lines().last().is_some_and(|l| l.ends_with(words)), "{:?}", w.lines());
    w.pass(RETRY);
    let text = w.arrives(BOB, "x");
    w.report(BOB, &text, |reference| failure(reference, RpCause::PROTOCOL, 0x81));
    let words =
        "given up: the phone says RP-ERROR 111 (protocol error), 81 (short message type 0 not supported)";
    assert!(w.lines().iter().any(|l| l.ends_with(words)), "{:?}", w.lines());
    w.quiet();
}

#[test]
fn a_text_that_is_to_be_tried_once_is_tried_once_whatever_the_phone_says() {
    for (cause, fcs) in [(22, Some(0xd0)), (22, None), (22, Some(0xd3)), (41, None), (111, Some(0xd4))] {
        let mut w = World::registered(|_| {});
        w.submit_once(1, "once");
        let text = w.arrives(BOB, "once");
        w.report(BOB, &text, |reference| match fcs {
            Some(fcs) => failure(reference, RpCause(cause), fcs),
            None => rp_error(reference, RpCause(cause)),
        });
        let report = w.expect(ALICE, "MESSAGE");
        assert_eq!(status_report(&report).status, Status::RECIPIENT_ERROR, "{cause} {fcs:?}");
        w.answer(ALICE, &report, 200);
        w.report(ALICE, &report, |reference| up(reference, Rp::Ack { user_data: None }));
        assert_eq!(w.waiting(), 0, "{cause} {fcs:?}");
        w.submitted(ALICE, 2, BOBS_NUMBER, "another");
        w.is_delivered(BOB, "another");
        w.quiet();
    }
    let mut w = World::registered(|_| {});
    w.submit_once(1, "once");
    w.arrives(BOB, "once");
    w.pass(Duration::from_secs(45));
    let report = w.expect(ALICE, "MESSAGE");
    assert_eq!(status_report(&report).status, Status::NO_RESPONSE, "it has said nothing");
    w.expect_nothing();
}

#[test]
fn room_in_the_phone_does_not_hurry_what_its_identity_wants_later() {
    let mut w = World::registered(|c| c.users[1].impus[1].sms_delay = Duration::from_secs(30));
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    w.pass(Duration::from_secs(30));
    let text = w.arrives(BOB, "x");
    w.report(BOB, &text, |reference| failure(reference, RpCause::MEMORY_EXCEEDED, 0xd0));
    w.submitted(ALICE, 2, BOBS_NUMBER, "y");
    w.has_room(BOB);
    w.is_delivered(BOB, "x");
    w.expect_nothing();
    w.pass(Duration::from_secs(30));
    w.is_delivered(BOB, "y");
    w.quiet();
}

#[test]
fn a_damaged_element_of_an_rp_ack_makes_it_no_less_an_acknowledgement() {
    let mut w = World::registered(|_| {});
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let text = w.arrives(BOB, "x");
    w.report(BOB, &text, |reference| vec![2, reference, 0x41, 3, 0]);
    assert_eq!(w.waiting(), 0);
    w.quiet();
}

#[test]
fn a_way_that_has_failed_stays_closed_when_a_text_behind_gets_too_old() {
    let mut w = World::registered(|_| {});
    w.register(BOB_TABLET, VOLTE);
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let text = w.expect(BOB, "MESSAGE");
    let brief = submit_with(2, BOBS_NUMBER, "brief", |s| s.validity = Some(BRIEF));
    let call_id = w.send_rp(ALICE, "tel:1", "", &rp_data(2, &brief));
    w.expect_taken(ALICE, &call_id, 2);
    // what is behind becomes too old in the moment in which the first way fails
    w.lab.now = w.lab.now + Duration::from_secs(5);
    w.answer(BOB, &text, 480);
    w.is_delivered(BOB_TABLET, "x");
    w.expect_nothing();
    assert_eq!(w.waiting(), 0);
    w.quiet();
}

/// Five seconds.
const BRIEF: Validity = Validity::Enhanced(Enhanced([0x02, 5, 0, 0, 0, 0, 0]));
