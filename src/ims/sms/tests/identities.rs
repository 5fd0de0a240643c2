//! Texts for one identity of several: the phones that it is tied to, and what they are told it is.

use super::report::status_report;
use super::*;

pub(super) const PHONES: [&str; 2] = ["35693803-564380-0", "86130905-000038-0"];
const ALICE_2: Phone = Phone { addr: "192.0.2.9:5060", user: "alice" };

/// What a phone with this IMEI registers.
pub(super) fn with_imei(imei: &str) -> String {
    format!("{VOLTE};+sip.instance=\"<urn:gsma:imei:{imei}>\"")
}

pub(super) fn tied(uri: &str, imei: &str) -> Impu {
    Impu { imei: Some(imei.to_owned()), ..Impu::new(uri) }
}

#[test]
fn an_identity_that_is_tied_to_several_phones_gets_its_texts_on_each() {
    for there in [PHONES[0], PHONES[1], "01234567-890123-0"] {
        let mut w = World::with(|c| {
            c.users[1].multi_sim = true;
            c.users[1].impus.truncate(1);
            c.users[1].impus.extend(PHONES.map(|imei| tied("tel:+33600000002", imei)));
        });
        w.register(ALICE, VOLTE);
        w.register(BOB, &with_imei(there));
        w.submitted(ALICE, 1, BOBS_NUMBER, "x");
        if PHONES.contains(&there) {
            w.is_delivered(BOB, "x");
        }
        w.expect_nothing();
        w.quiet();
    }
}

#[test]
fn a_status_report_comes_to_the_phone_that_has_submitted() {
    for restarts in [false, true] {
        let change = |c: &mut Config| {
            c.users[0].multi_sim = true;
            c.users[0].impus.truncate(1);
            let numbers = ["tel:+33600000001", "tel:+33600000011"];
            let of_phones = numbers.iter().zip(PHONES).map(|(uri, imei)| tied(uri, imei));
            c.users[0].impus = of_phones.chain(c.users[0].impus.clone()).collect();
        };
        let mut w = World::with(change);
        w.register(ALICE, &with_imei(PHONES[0]));
        w.register(ALICE_2, &with_imei(PHONES[1]));
        let tpdu = submit_with(5, BOBS_NUMBER, "x", |s| s.status_report = true);
        let call_id = w.send_rp(ALICE_2, "tel:1", "", &rp_data(5, &tpdu));
        w.expect_taken(ALICE_2, &call_id, 5);
        if restarts {
            w = disk::restarted(&w, change);
        }
        w.register(BOB, VOLTE);
        w.is_delivered(BOB, "x");
        let report = w.expect(ALICE_2, "MESSAGE");
        assert_eq!(status_report(&report).reference, 5);
        assert_eq!(report.one("P-Called-Party-ID"), "<tel:+33600000011>");
        w.answer(ALICE_2, &report, 200);
        w.report(ALICE_2, &report, |reference| up(reference, Rp::Ack { user_data: None }));
        w.expect_nothing();
        w.quiet();
    }
}

#[test]
fn a_phone_is_told_which_identity_is_called_or_what_is_configured() {
    let called = |features: &str, change: fn(&mut Config)| {
        let mut w = World::with(change);
        w.register(ALICE, VOLTE);
        w.register(BOB, features);
        w.submitted(ALICE, 1, BOBS_NUMBER, "x");
        let message = w.expect(BOB, "MESSAGE");
        w.answer(BOB, &message, if features.is_empty() { 200 } else { 488 });
        message.all("P-Called-Party-ID").join(";")
    };
    let forced: fn(&mut Config) = |c| c.users[1].impus[1].p_called_party_id = Some("sip:x@y".to_owned());
    let named: fn(&mut Config) =
        |c| c.users[1].impus[1].p_called_party_id = Some("\"X\" <sip:x@y>;p".to_owned());
    let global: fn(&mut Config) = |c| c.call.p_called_party_id = true;
    for (features, change, value) in [
        (VOLTE, (|_| {}) as fn(&mut Config), "<tel:+33600000002>"),
        (VOLTE, global, "<tel:+33600000002>"),
        (VOLTE, forced, "<sip:x@y>"),
        (VOLTE, named, "\"X\" <sip:x@y>;p"),
        ("", |_| {}, ""),
        ("", global, "<tel:+33600000002>"),
        ("", forced, "<sip:x@y>"),
        ("", named, "\"X\" <sip:x@y>;p"),
    ] {
        assert_eq!(called(features, change), value, "{features}");
    }
}
