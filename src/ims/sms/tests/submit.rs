//! Texts of phones: taken, refused, repeated.

use super::*;
use crate::ims::sms::limits::Limits;

#[test]
fn a_text_is_acknowledged_delivered_and_forgotten() {
    let mut w = World::registered(|_| {});
    let call_id = w.submit(ALICE, 7, BOBS_NUMBER, "Hello Bob");
    let accepted = w.expect(ALICE, "SIP/2.0 202 Accepted\r\n");
    assert_eq!((accepted.one("Call-ID"), accepted.one("CSeq")), (call_id.as_str(), "7 MESSAGE"));

    let ack = w.expect(ALICE, "MESSAGE sip:alice@192.0.2.1:5060 SIP/2.0\r\n");
    assert_eq!((ack.one("In-Reply-To"), ack.one("Request-Disposition")), (call_id.as_str(), "no-fork"));
    assert_eq!(ack.one("Accept-Contact"), "*;+g.3gpp.smsip;require;explicit");
    assert_eq!(ack.one("P-Asserted-Identity"), "<sip:sms-centre@ims.test>");
    assert!(ack.one("From").starts_with("<sip:sms-centre@ims.test>;tag="), "{}", ack.text);
    assert_eq!((ack.one("To"), ack.one("CSeq")), ("<sip:alice@ims.test>", "1 MESSAGE"));
    assert_ne!(ack.one("Call-ID"), call_id);
    assert_eq!(ack.one("Content-Type"), "application/vnd.3gpp.sms");
    assert!(ack.all("Contact").is_empty());
    assert_eq!(ack.body[..2], [3, 7], "RP-ACK of the network");
    w.answer(ALICE, &ack, 200);

    let text = w.expect(BOB, "MESSAGE sip:bob@192.0.2.2:5060 SIP/2.0\r\n");
    assert_eq!((text.one("To"), text.one("P-Called-Party-ID")), ("<tel:+33600000002>", "<tel:+33600000002>"));
    assert_eq!(text.one("P-Asserted-Identity"), "<sip:sms-centre@ims.test>");
    assert_eq!(text.one("Accept-Contact"), "*;+g.3gpp.smsip;require;explicit");
    assert_eq!(text.one("Request-Disposition"), "no-fork");
    assert!(text.all("In-Reply-To").is_empty());
    assert_eq!(text.body[0], 1, "RP-DATA of the network");
    let got = deliver(&text);
    assert_eq!((got.originator.to_string().as_str(), got.more_messages), ("+33600000001", false));
    assert_eq!(got.user_data.text().as_deref(), Some("Hello Bob"));
    assert_eq!(got.timestamp.unix().map(|at| at.as_secs()), Some(1_700_000_000));
    assert!(matches!(rpdu(&text).message, Rp::Data { originator: Some(_), destination: None, .. }));
    w.answer(BOB, &text, 200);
    assert_eq!((w.waiting(), w.lab.records.len() - 2), (1, 1), "it waits for the report");
    w.report(BOB, &text, |reference| up(reference, Rp::Ack { user_data: None }));
    w.expect_nothing();
    assert_eq!(w.waiting(), 0);
    assert_eq!(w.lines(), ["SMS 1 from tel:+33600000001 to tel:+33600000002: delivered"]);
    w.quiet();
}

#[test]
fn whatever_the_centre_is_called_it_is_meant() {
    let mut w = World::registered(|_| {});
    for (n, uri) in [
        "tel:+33609001390",
        "tel:0609001390;phone-context=ims.test",
        "sip:+33609001390@ims.test;user=phone",
        "sip:sms-centre@ims.test",
        "sip:192.0.2.99",
        "tel:+33600000002",
        "sip:bob@ims.test",
    ]
    .into_iter()
    .enumerate()
    {
        let reference = n as u8;
        let call_id = w.send_rp(ALICE, uri, "", &rp_data(reference, &submit(reference, BOBS_NUMBER, uri)));
        w.expect_taken(ALICE, &call_id, reference);
        w.is_delivered(BOB, uri);
    }
    w.quiet();
}

#[test]
fn a_recipient_is_found_by_each_form_of_the_number() {
    let mut w = World::registered(|_| {});
    for (n, to) in [BOBS_NUMBER, "0600000002", "0033600000002", "600000002"].into_iter().enumerate() {
        w.submitted(ALICE, n as u8, to, to);
        w.is_delivered(BOB, to);
    }
    w.quiet();
}

#[test]
fn who_is_not_known_or_not_wholly_dialled_is_said_to_be_unassigned() {
    let mut w = World::registered(|_| {});
    for (to, words) in [
        ("+491", "nobody has this number"),
        ("123456789", "nobody has this number"),
        ("+3360", "the number is incomplete"),
    ] {
        w.submit(ALICE, 1, to, "x");
        // TS 24.011 E-2: 28, unidentified subscriber, would be Alice herself
        let error = w.expect_refused(ALICE, RpCause::UNASSIGNED);
        let Rp::Error { user_data: Some(report), .. } = rpdu(&error).message else { panic!("{to}") };
        assert_eq!(report[..2], [1, 0xc3], "invalid SME address");
        assert!(w.lines().last().is_some_and(|l| l.ends_with(words)), "{:?}", w.lines());
    }
    assert_eq!(w.waiting(), 0);
    w.quiet();
}

#[test]
fn what_is_malformed_gets_the_cause_that_names_it() {
    let mut w = World::registered(|_| {});
    let good = rp_data(9, &submit(9, BOBS_NUMBER, "x"));
    let mut tpdu = submit(9, BOBS_NUMBER, "x");
    tpdu.truncate(6);
    for (octets, cause) in [
        (good[..good.len() - 1].to_vec(), RpCause::MANDATORY_INFORMATION),
        (vec![7, 9], RpCause::MESSAGE_TYPE),
        (rp_data(9, &tpdu), RpCause::PROTOCOL),
        (rp_data(9, &[]), RpCause::PROTOCOL),
        (rp_data(9, &[0, 0, 0]), RpCause::NOT_IMPLEMENTED),
    ] {
        w.send_rp(ALICE, "tel:1", "", &octets);
        let report = w.expect_refused(ALICE, cause);
        assert_eq!(rpdu(&report).reference, 9, "{octets:02x?}");
    }
    for octets in [&[][..], &[0], &[2], &[4, 1, 0]] {
        w.send_rp(ALICE, "tel:1", "", octets);
        w.expect(ALICE, "SIP/2.0 400");
    }
    w.quiet();
}

#[test]
fn a_text_that_comes_again_is_acknowledged_again_and_delivered_once() {
    let mut w = World::registered(|_| {});
    w.submitted(ALICE, 1, BOBS_NUMBER, "once");
    w.is_delivered(BOB, "once");
    let again = submit_with(1, BOBS_NUMBER, "once", |s| s.reject_duplicates = true);
    for tpdu in [submit(1, BOBS_NUMBER, "once"), again] {
        let call_id = w.send_rp(ALICE, "tel:1", "", &rp_data(1, &tpdu));
        w.expect_taken(ALICE, &call_id, 1);
        w.expect_nothing();
    }
    // another text with the same references is another text
    w.submitted(ALICE, 1, BOBS_NUMBER, "twice");
    w.is_delivered(BOB, "twice");
    w.pass(Duration::from_secs(121));
    w.submitted(ALICE, 1, BOBS_NUMBER, "twice");
    w.is_delivered(BOB, "twice");
    w.quiet();
}

#[test]
fn phones_with_copies_of_a_sim_may_use_the_same_references_and_say_the_same() {
    let mut w = World::registered(|c| c.users[0].multi_sim = true);
    let second = Phone { addr: "192.0.2.9:5060", user: "alice" };
    let imei = |number: &str| format!("{VOLTE};+sip.instance=\"<urn:gsma:imei:{number}>\"");
    w.register(ALICE, &imei("35693803-564380-0"));
    w.register(second, &imei("86130905-000038-0"));
    for phone in [ALICE, second] {
        w.submitted(phone, 1, BOBS_NUMBER, "I am here");
        w.is_delivered(BOB, "I am here");
    }
    for phone in [second, ALICE] {
        w.submitted(phone, 1, BOBS_NUMBER, "I am here");
        w.expect_nothing();
    }
    w.quiet();
}

#[test]
fn a_text_that_is_refused_does_not_make_a_repetition_of_another_a_new_text() {
    let mut w = World::registered(|_| {});
    w.submitted(ALICE, 1, BOBS_NUMBER, "once");
    w.is_delivered(BOB, "once");
    // the same RP-MR, another text
    w.send_rp(ALICE, "tel:1", "", &rp_data(1, &submit(2, "+491", "x")));
    w.expect_refused(ALICE, RpCause::UNASSIGNED);
    w.submitted(ALICE, 1, BOBS_NUMBER, "once");
    w.expect_nothing();
    w.quiet();
}

#[test]
fn a_phone_that_tries_again_says_so_and_has_another_relay_reference() {
    for is_delivered in [true, false] {
        let mut w = World::registered(|_| {});
        w.submitted(ALICE, 1, BOBS_NUMBER, "once");
        let text = w.arrives(BOB, "once");
        let ack = |reference| up(reference, Rp::Ack { user_data: None });
        if is_delivered {
            w.report(BOB, &text, ack);
        }
        // TS 24.011 6.2.2: RP-MR is of the transfer, TP-MR of the text
        let again = submit_with(1, BOBS_NUMBER, "once", |s| s.reject_duplicates = true);
        for reference in [2, 3, 3] {
            let call_id = w.send_rp(ALICE, "tel:1", "", &rp_data(reference, &again));
            w.expect_taken(ALICE, &call_id, reference);
            w.expect_nothing();
        }
        if !is_delivered {
            w.report(BOB, &text, ack);
        }
        // whoever does not say that it tries again does not
        let call_id = w.send_rp(ALICE, "tel:1", "", &rp_data(4, &submit(1, BOBS_NUMBER, "once")));
        w.expect_taken(ALICE, &call_id, 4);
        w.is_delivered(BOB, "once");
        let other = submit_with(1, BOBS_NUMBER, "another", |s| s.reject_duplicates = true);
        let call_id = w.send_rp(ALICE, "tel:1", "", &rp_data(5, &other));
        w.expect_taken(ALICE, &call_id, 5);
        w.is_delivered(BOB, "another");
        w.quiet();
    }
}

#[test]
fn a_sender_may_have_duplicates_of_what_waits_rejected() {
    let mut w = World::with(|_| {});
    w.register(ALICE, VOLTE);
    w.submitted(ALICE, 1, BOBS_NUMBER, "one");
    let another = submit_with(1, BOBS_NUMBER, "another", |s| s.reject_duplicates = true);
    w.send_rp(ALICE, "tel:1", "", &rp_data(2, &another));
    w.expect_refused(ALICE, RpCause::REJECTED);
    // the same is known for a while to be a repetition, and then not to be another one for as long as it waits
    w.pass(Duration::from_secs(121));
    let again = submit_with(1, BOBS_NUMBER, "one", |s| s.reject_duplicates = true);
    w.send_rp(ALICE, "tel:1", "", &rp_data(2, &again));
    w.expect_refused(ALICE, RpCause::REJECTED);
    let other = submit_with(2, BOBS_NUMBER, "one", |s| s.reject_duplicates = true);
    let call_id = w.send_rp(ALICE, "tel:1", "", &rp_data(3, &other));
    w.expect_taken(ALICE, &call_id, 3);
    assert_eq!(w.waiting(), 2);
    w.quiet();
}

#[test]
fn phones_of_a_user_count_their_references_each_for_itself() {
    const TABLET: Phone = Phone { addr: "192.0.2.9:5060", user: "alice" };
    for restarts in [false, true] {
        let mut w = World::with(|_| {});
        for phone in [ALICE, TABLET] {
            w.register(phone, VOLTE);
        }
        w.submitted(ALICE, 5, BOBS_NUMBER, "hi");
        if restarts {
            w = disk::restarted(&w, |_| {});
            for phone in [ALICE, TABLET] {
                w.register(phone, VOLTE);
            }
        }
        // neither is what one phone waits for in the way of another's, nor has that one power over it
        let hello = submit_with(5, BOBS_NUMBER, "hello", |s| s.reject_duplicates = true);
        let call_id = w.send_rp(TABLET, "tel:1", "", &rp_data(5, &hello));
        w.expect_taken(TABLET, &call_id, 5);
        let call_id = w.delete(ALICE, 6, 5);
        w.expect_taken(ALICE, &call_id, 6);
        w.delete(ALICE, 7, 5);
        w.expect_refused(ALICE, RpCause::REJECTED);
        assert_eq!(w.waiting(), 1);
        w.register(BOB, VOLTE);
        w.is_delivered(BOB, "hello");
        w.quiet();
    }
}

#[test]
fn an_echo_number_answers_in_kind() {
    let mut w = World::registered(|_| {});
    w.submitted(ALICE, 1, "666", "is anybody there?");
    let echo = w.arrives(ALICE, "is anybody there?");
    assert_eq!(deliver(&echo).originator.to_string(), "666");
    w.report(ALICE, &echo, |reference| up(reference, Rp::Ack { user_data: None }));
    w.quiet();

    let mut w = World::registered(|c| c.echo[0].code = Some(486));
    w.submit(ALICE, 1, "666", "x");
    w.expect_refused(ALICE, RpCause::REJECTED);
}

#[test]
fn only_registered_phones_submit_and_only_with_identities_that_may() {
    let mut w = World::with(|_| {});
    w.submit(ALICE, 1, BOBS_NUMBER, "x");
    w.expect(ALICE, "SIP/2.0 403");
    let mut w = World::registered(|c| c.users[0].impus[0].sms = false);
    w.submit(ALICE, 1, BOBS_NUMBER, "x");
    let refusal = w.expect(ALICE, "SIP/2.0 403");
    assert!(refusal.one("Warning").contains("sms: false"), "{}", refusal.text);
    assert_eq!(w.waiting(), 0);
}

#[test]
fn a_full_queue_is_a_congestion() {
    let mut w = World::with(|_| {});
    w.lab.core.set_sms_limits(Limits { texts_per_user: 3, ..Limits::default() });
    w.register(ALICE, VOLTE);
    for n in 0..3 {
        w.submitted(ALICE, n, BOBS_NUMBER, &format!("text {n}"));
    }
    w.submit(ALICE, 200, BOBS_NUMBER, "too much");
    w.expect_refused(ALICE, RpCause::CONGESTION);
    w.submitted(ALICE, 201, "+33600000003", "carol has room");
    w.quiet();
}

#[test]
fn the_configured_cause_and_filter_come_first() {
    use crate::config::model::{FilterAction, FilterRule};
    let mut w = World::registered(|c| {
        c.sms.forced_rp_cause = Some(69);
        c.sms.filter.rp_data = FilterRule { action: FilterAction::Reject, times: Some(1) };
    });
    w.submit(ALICE, 1, BOBS_NUMBER, "x");
    w.expect_refused(ALICE, RpCause(69));
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    w.is_delivered(BOB, "x");
    let mut w = World::registered(|c| c.sms.filter.rp_data.action = FilterAction::Ignore);
    w.submit(ALICE, 1, BOBS_NUMBER, "x");
    w.expect(ALICE, "SIP/2.0 202");
    w.expect_nothing();
    assert_eq!(w.waiting(), 0);
    w.quiet();
}
