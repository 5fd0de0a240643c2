//! Texts on their way to phones: parked, in order, put off, given up.

use super::*;

const RETRY: Duration = Duration::from_secs(60);

#[test]
fn a_text_is_parked_while_the_phone_is_away_and_delivered_when_it_registers() {
    let mut w = World::with(|_| {});
    w.register(ALICE, VOLTE);
    for n in 1..=3 {
        w.submitted(ALICE, n, BOBS_NUMBER, &format!("text {n}"));
    }
    w.expect_nothing();
    w.pass(Duration::from_secs(3000));
    w.expect_nothing();
    assert_eq!(w.waiting(), 3);
    w.register(BOB, VOLTE);
    let first = w.arrives(BOB, "text 1");
    assert!(deliver(&first).more_messages, "others wait");
    w.expect_nothing();
    w.report(BOB, &first, |reference| up(reference, Rp::Ack { user_data: None }));
    let second = w.arrives(BOB, "text 2");
    assert_ne!(rpdu(&first).reference, rpdu(&second).reference);
    w.report(BOB, &second, |reference| up(reference, Rp::Ack { user_data: None }));
    let third = w.arrives(BOB, "text 3");
    assert!(!deliver(&third).more_messages, "it is the last");
    w.report(BOB, &third, |reference| up(reference, Rp::Ack { user_data: None }));
    w.expect_nothing();
    w.quiet();
}

#[test]
fn a_report_is_known_by_its_reference_where_it_names_no_message() {
    let mut w = World::registered(|_| {});
    for header in ["", "In-Reply-To: 4ee646d0-6274eee0@[2001:1234:1234::d]\r\n"] {
        w.submitted(ALICE, 1, BOBS_NUMBER, &format!("x{header}"));
        let text = w.expect(BOB, "MESSAGE");
        w.answer(BOB, &text, 200);
        // as a phone was seen to write it: with a DELIVER-REPORT
        let report = up(rpdu(&text).reference, Rp::Ack { user_data: Some(&[0, 0]) });
        w.send_rp(BOB, "sip:ssg-m-07-f0.smsc.imsnw.exmp.ne.jp", header, &report);
        w.expect(BOB, "SIP/2.0 202");
        assert_eq!(w.waiting(), 0, "{header}");
    }
    w.quiet();
}

#[test]
fn a_report_of_nothing_means_nothing() {
    let mut w = World::registered(|_| {});
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let text = w.arrives(BOB, "x");
    let other = rpdu(&text).reference.wrapping_add(1);
    w.send_rp(BOB, "sip:sms-centre@ims.test", "", &up(other, Rp::Ack { user_data: None }));
    w.expect(BOB, "SIP/2.0 481");
    w.send_rp(ALICE, "sip:sms-centre@ims.test", "", &up(rpdu(&text).reference, Rp::Ack { user_data: None }));
    w.expect(ALICE, "SIP/2.0 202");
    assert_eq!(w.waiting(), 1, "neither another reference nor another phone");
    w.report(BOB, &text, |reference| up(reference, Rp::Ack { user_data: None }));
    w.quiet();
}

#[test]
fn a_report_that_comes_too_late_still_counts() {
    let mut w = World::registered(|_| {});
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let first = w.arrives(BOB, "x");
    w.pass(Duration::from_secs(45) + RETRY);
    let again = w.expect(BOB, "MESSAGE");
    w.report(BOB, &first, |_| up(99, Rp::Ack { user_data: None }));
    assert_eq!(w.waiting(), 0);
    w.answer(BOB, &again, 200);
    w.quiet();
}

#[test]
fn a_report_may_overtake_the_answer_to_its_message() {
    let mut w = World::registered(|_| {});
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let text = w.expect(BOB, "MESSAGE");
    w.report(BOB, &text, |reference| up(reference, Rp::Ack { user_data: None }));
    assert_eq!(w.waiting(), 0);
    w.answer(BOB, &text, 200);
    w.quiet();
}

#[test]
fn temporary_refusals_are_tried_again_after_the_delay() {
    for cause in [27, 38, 41, 42] {
        let mut w = World::registered(|_| {});
        w.submitted(ALICE, 1, BOBS_NUMBER, "x");
        let text = w.arrives(BOB, "x");
        w.report(BOB, &text, |reference| rp_error(reference, RpCause(cause)));
        w.expect_nothing();
        w.pass(RETRY - Duration::from_nanos(1));
        w.expect_nothing();
        w.pass(Duration::from_nanos(1));
        w.is_delivered(BOB, "x");
        w.quiet();
    }
}

#[test]
fn final_refusals_are_final_and_do_not_block_the_queue() {
    for cause in [1, 21, 28, 30, 50, 69, 95, 111, 127] {
        let mut w = World::registered(|_| {});
        w.submitted(ALICE, 1, BOBS_NUMBER, "x");
        w.submitted(ALICE, 2, BOBS_NUMBER, "y");
        let text = w.arrives(BOB, "x");
        w.report(BOB, &text, |reference| rp_error(reference, RpCause(cause)));
        assert_eq!(w.waiting(), 1, "{cause}");
        w.is_delivered(BOB, "y");
        w.quiet();
    }
}

#[test]
fn a_full_memory_waits_for_room_or_for_the_delay() {
    for by_smma in [true, false] {
        let mut w = World::registered(|_| {});
        w.submitted(ALICE, 1, BOBS_NUMBER, "x");
        w.submitted(ALICE, 2, BOBS_NUMBER, "y");
        let text = w.arrives(BOB, "x");
        w.report(BOB, &text, |reference| rp_error(reference, RpCause::MEMORY_EXCEEDED));
        w.pass(RETRY / 2);
        w.expect_nothing();
        if by_smma {
            let call_id = w.send_rp(BOB, "sip:sms-centre@ims.test", "", &up(77, Rp::Smma));
            w.expect_taken(BOB, &call_id, 77);
        } else {
            w.pass(RETRY / 2);
        }
        w.is_delivered(BOB, "x");
        w.is_delivered(BOB, "y");
        w.quiet();
    }
}

#[test]
fn a_phone_that_answers_nothing_is_asked_again_later() {
    let mut w = World::registered(|_| {});
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let first = w.expect(BOB, "MESSAGE");
    w.pass(Duration::from_secs(45));
    w.sent.retain(|s| s.one("Call-ID") != first.one("Call-ID"));
    w.expect_nothing();
    assert!(
        w.lines()
            .last()
            .is_some_and(|l| l.ends_with("waits: the phone does not answer; next attempt in 60 s")),
        "{:?}",
        w.lines()
    );
    w.pass(RETRY);
    w.is_delivered(BOB, "x");
    w.quiet();
}

#[test]
fn a_phone_that_answers_and_does_not_report_is_asked_again_later() {
    let mut w = World::registered(|_| {});
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    w.arrives(BOB, "x");
    w.pass(Duration::from_secs(45));
    w.expect_nothing();
    w.pass(RETRY);
    w.is_delivered(BOB, "x");
    w.quiet();
}

#[test]
fn a_refused_message_goes_to_the_next_phone_and_then_waits() {
    let mut w = World::registered(|_| {});
    w.register(BOB_TABLET, VOLTE);
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let text = w.expect(BOB, "MESSAGE");
    w.answer(BOB, &text, 480);
    let text = w.expect(BOB_TABLET, "MESSAGE");
    w.answer(BOB_TABLET, &text, 503);
    w.expect_nothing();
    assert!(
        w.lines()
            .last()
            .is_some_and(|l| l.contains("waits: the phone says 503 Phone says; next attempt in 60 s"))
    );
    w.pass(RETRY);
    w.is_delivered(BOB, "x");
    w.quiet();
}

#[test]
fn a_phone_that_goes_while_a_text_is_under_way_gets_it_when_it_is_back() {
    let mut w = World::registered(|_| {});
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let lost = w.expect(BOB, "MESSAGE");
    w.deregister(BOB);
    w.expect_nothing();
    w.answer(BOB, &lost, 200);
    w.pass(Duration::from_secs(600));
    w.expect_nothing();
    w.register(BOB, VOLTE);
    w.is_delivered(BOB, "x");
    w.quiet();
}

#[test]
fn contacts_without_the_feature_tag_get_no_short_message() {
    let mut w = World::with(|_| {});
    w.register(ALICE, VOLTE);
    w.register(BOB, ";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"");
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    w.expect_nothing();
    assert!(
        w.lines()[0]
            .contains("waits: no contact takes SMS (+g.3gpp.smsip), and the phone is not reachable over SGs")
    );
    w.register(BOB, VOLTE);
    w.is_delivered(BOB, "x");
    w.quiet();
}

#[test]
fn neither_an_identity_without_sms_nor_a_user_with_sgs_forced_gets_any_over_ims() {
    for (change, words) in [
        ((|c| c.users[1].impus[1].sms = false) as fn(&mut Config), "sms: false"),
        (|c| c.users[1].force_sms_over_sg = true, "force_sms_over_sg"),
    ] {
        let mut w = World::registered(change);
        w.submitted(ALICE, 1, BOBS_NUMBER, "x");
        w.expect_nothing();
        assert!(w.lines()[0].contains(words), "{:?}", w.lines());
        w.quiet();
    }
}

#[test]
fn a_text_is_given_up_when_it_is_too_old() {
    use crate::wire::gsm::Validity;
    for (validity, lives) in
        [(None, 7200), (Some(Validity::Relative(0)), 300), (Some(Validity::Relative(143)), 43_200)]
    {
        let mut w = World::with(|c| c.sms.expires = Duration::from_secs(7200));
        w.register(ALICE, VOLTE);
        let tpdu = submit_with(1, BOBS_NUMBER, "x", |s| s.validity = validity);
        let call_id = w.send_rp(ALICE, "tel:1", "", &rp_data(1, &tpdu));
        w.expect_taken(ALICE, &call_id, 1);
        w.pass(Duration::from_secs(lives - 1));
        assert_eq!(w.waiting(), 1);
        w.pass(Duration::from_secs(1));
        assert_eq!((w.waiting(), w.lab.core.load().sms), (0, 0));
        assert!(w.lines().last().is_some_and(|l| l.ends_with("given up: it is too old")));
        w.register(BOB, VOLTE);
        w.expect_nothing();
        w.quiet();
    }
}

#[test]
fn an_identity_may_want_its_texts_later() {
    let mut w = World::registered(|c| c.users[1].impus[1].sms_delay = Duration::from_secs(5));
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    w.pass(Duration::from_millis(4999));
    w.expect_nothing();
    w.pass(Duration::from_millis(1));
    w.is_delivered(BOB, "x");
    w.quiet();
}

#[test]
fn an_rp_ack_may_be_ignored_or_rejected() {
    use crate::config::model::{FilterAction, FilterRule};
    for (action, status) in [(FilterAction::Ignore, 202), (FilterAction::Reject, 403)] {
        let mut w = World::registered(|c| c.sms.filter.rp_ack = FilterRule { action, times: Some(1) });
        w.submitted(ALICE, 1, BOBS_NUMBER, "x");
        let text = w.arrives(BOB, "x");
        let headers = format!("In-Reply-To: {}\r\n", text.one("Call-ID"));
        w.send_rp(
            BOB,
            "sip:sms-centre@ims.test",
            &headers,
            &up(rpdu(&text).reference, Rp::Ack { user_data: None }),
        );
        w.expect(BOB, &format!("SIP/2.0 {status}"));
        assert_eq!(w.waiting(), 1);
        w.pass(Duration::from_secs(45) + RETRY);
        w.is_delivered(BOB, "x");
        w.quiet();
    }
}
