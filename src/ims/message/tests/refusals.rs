//! Texts that reach nobody: each sender hears why, once.

use super::super::limits::{MAX_BODY, MAX_RELAYS, MAX_RELAYS_PER_SENDER, PATIENCE};
use super::{ALICE, BOB, BOBS_NUMBER, Phone, World};
use crate::base::time::Duration;
use crate::config::model::AuthentType;

/// One text that must be refused at once; the Warning.
fn refused(w: &mut World, from: Phone, uri: &str, status: u16) -> String {
    w.text(from, uri, "", "x");
    let refusal = w.expect(from, &format!("SIP/2.0 {status} "));
    w.expect_nothing();
    refusal.one("Warning").to_owned()
}

#[test]
fn who_is_unknown_or_away_is_said_in_words() {
    let mut w = World::with(|_| {});
    w.register(ALICE, "");
    assert_eq!(refused(&mut w, ALICE, "tel:+999", 404), "399 imsbox \"nobody has this number\"");
    assert_eq!(refused(&mut w, ALICE, "sip:ims.test", 404), "399 imsbox \"nobody has this identity\"");
    // a text/plain is kept by the SMS centre; what no short message can hold is not
    w.text(ALICE, BOBS_NUMBER, "Content-Type: message/cpim\r\n", "x");
    assert_eq!(w.expect(ALICE, "SIP/2.0 480 ").one("Warning"), "399 imsbox \"the callee is not registered\"");
    w.expect_nothing();
    assert_eq!(
        w.lines()[2],
        "Message from sip:alice@ims.test to tel:+33600000002: refused with 480: the callee is not registered"
    );
    assert_eq!(w.lines().len(), 3);
    w.quiet();
}

#[test]
fn a_stranger_is_told_to_register() {
    let mut w = World::with(|c| c.users[0].authent_type = AuthentType::Md5);
    w.register(BOB, "");
    let stranger = Phone { addr: "203.0.113.9:5060", user: "alice" };
    assert!(refused(&mut w, stranger, BOBS_NUMBER, 403).contains("REGISTER comes first"));
    assert!(w.lab.logged(&["MESSAGE refused: 203.0.113.9:5060 has no registration"]));
    w.quiet();
}

#[test]
fn a_text_is_challenged_where_registration_alone_is_no_proof() {
    let mut w = World::with(|c| {
        c.users[0].authent_type = AuthentType::Md5;
        c.users[0].password = Some("secret".to_owned());
        c.users[0].auth_on_register_only = false;
    });
    w.register(BOB, "");
    w.text(ALICE, BOBS_NUMBER, "", "x");
    let challenge = w.expect(ALICE, "SIP/2.0 407");
    assert!(challenge.one("Proxy-Authenticate").contains("algorithm=MD5"));
    w.expect_nothing();
    w.text(BOB, BOBS_NUMBER, "", "x");
    w.expect(BOB, "MESSAGE");
}

#[test]
fn what_is_too_long_or_has_gone_too_far_is_refused() {
    let mut w = World::registered(|_| {});
    w.text(ALICE, BOBS_NUMBER, "", &"x".repeat(MAX_BODY + 1));
    assert!(w.expect(ALICE, "SIP/2.0 413").one("Warning").contains("too long"));
    w.text(ALICE, BOBS_NUMBER, "", &"x".repeat(MAX_BODY));
    let text = w.expect(BOB, "MESSAGE");
    assert_eq!(text.one("Content-Length"), MAX_BODY.to_string());
    w.answer(BOB, &text, 200, "");
    w.expect(ALICE, "SIP/2.0 200");
    let octets = w.text(ALICE, "tel:+999", "", "x").replace("Max-Forwards: 70", "Max-Forwards: 0");
    w.expect(ALICE, "SIP/2.0 404");
    w.send(ALICE, &octets.replace("z9hG4bKm", "z9hG4bKn").replace("Call-ID: m", "Call-ID: n"));
    w.expect(ALICE, "SIP/2.0 483");
    w.quiet();
}

#[test]
fn a_silent_phone_is_given_up_before_its_sender_gives_up() {
    let mut w = World::registered(|_| {});
    w.text(ALICE, BOBS_NUMBER, "", "x");
    let text = w.expect(BOB, "MESSAGE");
    w.pass(PATIENCE);
    w.sent.retain(|s| !s.text.starts_with("MESSAGE ") && !s.text.starts_with("SIP/2.0 100"));
    // RFC 4320 4.2: not 408, which nobody would hear
    let refusal = w.expect(ALICE, "SIP/2.0 480 ");
    assert_eq!(refusal.one("Warning"), "399 imsbox \"the phone does not answer\"");
    assert_eq!(w.lab.core.load().messages, 0);
    w.answer(BOB, &text, 200, "");
    w.pass(Duration::from_secs(200));
    w.expect_nothing();
    assert_eq!(
        w.lines(),
        ["Message from sip:alice@ims.test to tel:+33600000002: refused with 480: the phone does not answer"]
    );
    w.quiet();
}

#[test]
fn the_phones_own_no_is_passed_but_for_what_would_mean_us() {
    for (said, heard) in [(486, 486), (415, 415), (603, 603), (302, 302), (503, 500), (408, 480), (481, 481)]
    {
        let mut w = World::registered(|_| {});
        w.text(ALICE, BOBS_NUMBER, "", "x");
        let text = w.expect(BOB, "MESSAGE");
        w.answer(BOB, &text, said, "X-Why: x\r\n");
        let refusal = w.expect(ALICE, &format!("SIP/2.0 {heard} "));
        assert_eq!(refusal.one("X-Why"), "x");
        let line = format!("refused with {heard}: the phone says {said} Phone says");
        assert!(w.lines()[0].ends_with(&line), "{:?}", w.lines());
        w.quiet();
    }
}

#[test]
fn a_phone_that_cannot_be_sent_to_is_not_waited_for() {
    let mut w = World::registered(|_| {});
    w.text(ALICE, BOBS_NUMBER, "", "x");
    let text = w.expect(BOB, "MESSAGE");
    // the outbox's tag of the first client transaction
    let tag = w.lab.last_tag;
    let sent = w.lab.with(|core, cx| core.on_send_failed(cx, text.flow, tag)).1;
    w.sent.extend(sent);
    assert!(w.expect(ALICE, "SIP/2.0 480 ").one("Warning").contains("cannot be reached"));
    w.quiet();
}

#[test]
fn one_sender_does_not_take_all_room_and_more_than_there_is_is_refused() {
    let mut w = World::registered(|_| {});
    for _ in 0..MAX_RELAYS_PER_SENDER {
        w.text(ALICE, BOBS_NUMBER, "", "x");
        w.expect(BOB, "MESSAGE");
    }
    assert!(refused(&mut w, ALICE, BOBS_NUMBER, 503).contains("too many texts"));
    for _ in MAX_RELAYS_PER_SENDER..MAX_RELAYS {
        w.text(BOB, "sip:alice@ims.test", "", "x");
        w.expect(ALICE, "MESSAGE");
    }
    w.text(BOB, "sip:alice@ims.test", "", "x");
    assert_eq!(w.expect(BOB, "SIP/2.0 503").one("Retry-After"), "5");
    w.pass(PATIENCE);
    w.sent.clear();
    w.text(ALICE, BOBS_NUMBER, "", "x");
    w.expect(BOB, "MESSAGE");
    w.pass(Duration::from_secs(1));
    w.quiet();
}

#[test]
fn nothing_new_is_taken_at_the_end() {
    let mut w = World::registered(|_| {});
    w.text(BOB, "tel:+33600000001", "", "x");
    w.expect(ALICE, "MESSAGE");
    let sent = w.lab.with(|core, cx| core.shutdown(cx)).1;
    w.sent.extend(sent);
    assert!(refused(&mut w, ALICE, BOBS_NUMBER, 503).contains("shutting down"));
}
