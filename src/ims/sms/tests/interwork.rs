//! Texts between soft clients and phones that take short messages only.

use super::*;
use crate::config::model::OperatorCode;
use crate::ims::tests::{OP, sim};

/// Bob has a SIM; Alice has a soft client, and no SIM.
fn world() -> World {
    let mut w = World::with(|c| c.users[1].sim = Some(sim(OperatorCode::Op(OP))));
    w.register(ALICE, "");
    w
}

fn text(w: &mut World, headers: &str, what: &str) -> String {
    let headers = format!("Content-Type: text/plain;charset=UTF-8\r\n{headers}");
    w.message(ALICE, "tel:+33600000002", &headers, what.as_bytes())
}

#[test]
fn a_plain_text_becomes_a_short_message_and_the_answer_comes_back_plain() {
    let mut w = world();
    w.register(BOB, VOLTE);
    text(&mut w, "", "Grüße 你好");
    w.expect(ALICE, "SIP/2.0 202");
    let got = w.arrives(BOB, "Grüße 你好");
    assert_eq!(deliver(&got).originator.to_string(), "+33600000001");
    w.report(BOB, &got, |reference| up(reference, Rp::Ack { user_data: None }));
    w.submitted(BOB, 1, "+33600000001", "and you?");
    let back = w.expect(ALICE, "MESSAGE");
    assert_eq!((back.one("Content-Type"), &back.body[..]), ("text/plain;charset=UTF-8", &b"and you?"[..]));
    w.answer(ALICE, &back, 200);
    w.quiet();
}

#[test]
fn a_long_plain_text_goes_in_parts_and_none_is_kept_for_who_is_not_there() {
    let mut w = world();
    text(&mut w, "", "x");
    w.expect(ALICE, "SIP/2.0 480");
    w.register(BOB, VOLTE);
    let long = "0123456789".repeat(20);
    text(&mut w, "", &long);
    w.expect(ALICE, "SIP/2.0 202");
    assert_eq!(w.waiting(), 2);
    w.is_delivered(BOB, &long[..153]);
    w.is_delivered(BOB, &long[153..]);
    w.quiet();
}

#[test]
fn phones_that_take_plain_texts_get_them_as_they_are() {
    for features in [
        "",
        ";+g.3gpp.smsip;+g.oma.sip-im",
        ";+g.3gpp.smsip;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg\"",
    ] {
        let mut w = world();
        w.register(BOB, features);
        text(&mut w, "", "x");
        let got = w.expect(BOB, "MESSAGE");
        assert_eq!(got.body, b"x", "{features}");
        w.answer(BOB, &got, 200);
        w.expect(ALICE, "SIP/2.0 200");
        w.quiet();
    }
}

#[test]
fn who_hides_is_hidden_and_who_writes_too_much_is_told() {
    let mut w = world();
    w.register(BOB, VOLTE);
    text(&mut w, "Privacy: id\r\n", "x");
    w.expect(ALICE, "SIP/2.0 202");
    let got = w.arrives(BOB, "x");
    assert_eq!(deliver(&got).originator.to_string(), "anonymous");
    w.report(BOB, &got, |reference| up(reference, Rp::Ack { user_data: None }));
    text(&mut w, "", &"x".repeat(40_001));
    w.expect(ALICE, "SIP/2.0 413");
    text(&mut w, "", &"x".repeat(153 * 21));
    w.expect(ALICE, "SIP/2.0 503");
    assert_eq!(w.waiting(), 0, "all parts or none");
    w.quiet();
}

#[test]
fn a_phone_that_claims_to_take_short_messages_and_knows_none_gets_the_text_plain() {
    let mut w = world();
    w.register(BOB, VOLTE);
    text(&mut w, "", "x");
    w.expect(ALICE, "SIP/2.0 202");
    let got = w.expect(BOB, "MESSAGE");
    w.answer(BOB, &got, 415);
    let got = w.expect(BOB, "MESSAGE");
    assert_eq!(got.body, b"x");
    w.answer(BOB, &got, 200);
    w.expect_nothing();
    assert_eq!(w.waiting(), 0);
    text(&mut w, "", "y");
    let got = w.expect(BOB, "MESSAGE");
    w.answer(BOB, &got, 415);
    let got = w.expect(BOB, "MESSAGE");
    w.answer(BOB, &got, 415);
    w.expect(ALICE, "SIP/2.0 202");
    w.expect_nothing();
    assert_eq!(w.waiting(), 1, "it is tried again later");
    w.quiet();
}

#[test]
fn the_centre_takes_nothing_else() {
    let mut w = world();
    w.message(ALICE, "sip:sms-centre@ims.test", "Content-Type: text/plain\r\n", b"x");
    assert_eq!(w.expect(ALICE, "SIP/2.0 415").one("Accept"), "application/vnd.3gpp.sms");
    w.quiet();
}
