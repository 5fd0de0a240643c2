//! The echo number sends a text back.

use crate::base::time::Duration;
use crate::config::model::AnswerBody;

use super::{ALICE, BOB, Phone, World, body};

#[test]
fn a_text_to_the_echo_number_comes_back() {
    let mut w = World::registered(|_| {});
    let headers = "Content-Type: text/plain;charset=UTF-8\r\nContent-Encoding: identity\r\nPrivacy: id;header\r\nX-Odd: x\r\n";
    w.text(ALICE, "tel:666", headers, "Grüße");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert!(ok.one("To").starts_with("<tel:666>;tag="));
    let back = w.expect(ALICE, "MESSAGE sip:alice@192.0.2.1:5060 SIP/2.0\r\n");
    assert!(back.one("From").starts_with("<tel:666>;tag="));
    assert_eq!((back.one("To"), back.one("P-Asserted-Identity")), ("<sip:alice@ims.test>", "<tel:666>"));
    assert_eq!((back.one("CSeq"), back.one("Max-Forwards")), ("1 MESSAGE", "69"));
    assert_eq!((back.one("Content-Type"), body(&back)), ("text/plain;charset=UTF-8", "Grüße"));
    assert_eq!((back.one("Content-Encoding"), back.all("X-Odd").len()), ("identity", 0));
    assert_ne!(back.one("Call-ID"), ok.one("Call-ID"));
    w.answer(ALICE, &back, 200, "");
    w.expect_nothing();
    assert_eq!(w.lines(), ["Message from sip:alice@ims.test to tel:666: echoed"]);
    w.quiet();
}

#[test]
fn a_phone_that_does_not_take_its_text_back_is_told_of_in_the_log() {
    let mut w = World::registered(|_| {});
    w.text(BOB, "sip:666@ims.test", "", "x");
    w.expect(BOB, "SIP/2.0 200");
    let back = w.expect(BOB, "MESSAGE");
    w.answer(BOB, &back, 405, "");
    w.expect_nothing();
    assert_eq!(
        w.lines(),
        ["Message from sip:bob@ims.test to tel:666: not echoed: the phone says 405 Phone says"]
    );
    w.quiet();
}

#[test]
fn a_number_that_is_to_refuse_calls_refuses_texts_too() {
    let mut w = World::registered(|c| {
        c.echo[0].code = Some(486);
        let file = "busy.txt".into();
        let body = AnswerBody { file, content_type: "text/plain".to_owned(), octets: b"busy".to_vec() };
        c.echo[0].content = Some(body);
    });
    w.text(ALICE, "tel:666", "", "x");
    assert_eq!(body(&w.expect(ALICE, "SIP/2.0 486")), "busy");
    w.expect_nothing();
    w.quiet();
}

#[test]
fn an_echo_is_sent_for_as_long_as_any_request() {
    let mut w = World::registered(|_| {});
    w.text(ALICE, "tel:666", "", "x");
    w.expect(ALICE, "SIP/2.0 200");
    w.pass(Duration::from_secs(127));
    assert_eq!(w.lab.core.load().messages, 1);
    w.pass_silently(Duration::from_secs(1));
    assert_eq!(
        w.lines(),
        ["Message from sip:alice@ims.test to tel:666: not echoed: the phone does not answer"]
    );
    w.quiet();
}

#[test]
fn nothing_is_sent_to_where_nobody_has_registered() {
    let mut w = World::registered(|c| c.echo[0].anonymous = true);
    let stranger = Phone { addr: "203.0.113.9:5060", user: "nobody" };
    w.text(stranger, "tel:666", "", "x");
    assert!(w.expect(stranger, "SIP/2.0 480").one("Warning").contains("REGISTER comes first"));
    w.expect_nothing();
    w.quiet();
}
