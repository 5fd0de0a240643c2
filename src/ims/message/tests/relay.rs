//! A text reaches the other phone, and the answer comes back.

use super::{ALICE, BOB, BOBS_NUMBER, World, body};
use crate::base::time::Duration;
use crate::config::model::{CustomHeader, Impu};

#[test]
fn a_text_is_delivered_and_its_answer_comes_back() {
    let mut w = World::registered(|_| {});
    let headers = "X-Odd: kept\r\nAccept-Contact: *;+g.3gpp.icsi-ref=\"x\";require\r\nP-Preferred-Identity: <sip:alice@ims.test>\r\n\
                   P-Access-Network-Info: 3GPP\r\nContact: <sip:alice@192.0.2.1>\r\n";
    w.text(ALICE, BOBS_NUMBER, headers, "Hello Bob");
    let text = w.expect(BOB, "MESSAGE sip:bob@192.0.2.2:5060 SIP/2.0\r\n");
    assert_eq!(
        (text.one("From").starts_with("<sip:alice@ims.test>;tag="), text.one("To")),
        (true, "<tel:+33600000002>")
    );
    assert!(!text.one("From").ends_with("tag=f3") && text.one("Call-ID") != "m3", "each side has its own");
    assert_eq!((text.one("CSeq"), text.one("Max-Forwards")), ("1 MESSAGE", "69"));
    assert_eq!(text.all("P-Asserted-Identity"), ["<sip:alice@ims.test>", "<tel:+33600000001>"]);
    assert_eq!((text.one("X-Odd"), text.one("Accept-Contact")), ("kept", "*;+g.3gpp.icsi-ref=\"x\";require"));
    for gone in ["Contact", "P-Preferred-Identity", "P-Access-Network-Info", "P-Called-Party-ID"] {
        assert_eq!(text.all(gone), [""; 0], "{gone}");
    }
    assert_eq!((text.one("Content-Type"), body(&text)), ("text/plain", "Hello Bob"));
    w.expect_nothing();
    assert_eq!(w.lab.core.load().messages, 1);
    w.answer(BOB, &text, 200, "X-Answer: kept\r\nContact: <sip:bob@192.0.2.2>\r\n");
    let ok = w.expect(ALICE, "SIP/2.0 200 Phone says\r\n");
    assert_eq!((ok.one("Call-ID"), ok.one("CSeq"), ok.one("X-Answer")), ("m3", "7 MESSAGE", "kept"));
    assert!(ok.one("To").starts_with("<tel:+33600000002>;tag=") && ok.all("Contact").is_empty());
    w.expect_nothing();
    assert_eq!(w.lines(), ["Message from sip:alice@ims.test to tel:+33600000002: delivered"]);
    assert_eq!(w.lab.core.load().messages, 0);
    w.quiet();
}

#[test]
fn a_callee_is_found_by_each_form_of_an_identity_and_202_is_an_answer_too() {
    let mut w = World::registered(|_| {});
    for uri in [
        "sip:bob@ims.test",
        "sip:+33600000002@ims.test;user=phone",
        "tel:+33-600-000-002",
        "sip:bob@10.0.0.1",
    ] {
        w.text(ALICE, uri, "", "x");
        let text = w.expect(BOB, "MESSAGE sip:bob@192.0.2.2:5060");
        w.answer(BOB, &text, 202, "");
        w.expect(ALICE, "SIP/2.0 202");
    }
    w.quiet();
}

#[test]
fn bodies_of_any_type_pass_as_they_are() {
    let mut w = World::registered(|_| {});
    for (kind, content) in [
        ("text/plain;charset=UTF-8", "Grüße \u{1F600}"),
        ("message/cpim", "From: <im:a@h>\r\n\r\nContent-Type: text/plain\r\n\r\nhi"),
        ("application/octet-stream", "\0\x01\x02\x7f\r\n\0"),
        ("application/im-iscomposing+xml", "<x/>"),
        ("application/sdp", "v=0\r\n"),
    ] {
        let headers = format!(
            "Content-Type: {kind}\r\nContent-Transfer-Encoding: binary\r\nContent-Disposition: render\r\n"
        );
        w.text(ALICE, BOBS_NUMBER, &headers, content);
        let text = w.expect(BOB, "MESSAGE");
        assert_eq!((text.one("Content-Type"), body(&text)), (kind, content));
        assert_eq!(text.one("Content-Length"), content.len().to_string());
        assert_eq!(
            (text.one("Content-Transfer-Encoding"), text.one("Content-Disposition")),
            ("binary", "render")
        );
        w.answer(BOB, &text, 200, "");
        w.expect(ALICE, "SIP/2.0 200");
    }
    w.text(ALICE, BOBS_NUMBER, "", "");
    assert_eq!(body(&w.expect(BOB, "MESSAGE")), "", "an empty text is a text");
}

#[test]
fn a_user_texts_himself() {
    let mut w = World::registered(|_| {});
    w.text(ALICE, "sip:alice@ims.test", "", "milk");
    let text = w.expect(ALICE, "MESSAGE sip:alice@192.0.2.1:5060");
    w.answer(ALICE, &text, 200, "");
    w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(w.lines(), ["Message from sip:alice@ims.test to sip:alice@ims.test: delivered"]);
    w.quiet();
}

#[test]
fn settings_of_identities_count_for_texts_too() {
    let mut w = World::registered(|c| {
        c.users[0].impus[0].display_name = Some("Al Ice".to_owned());
        c.users[1].impus[1].p_called_party_id = Some("tel:0602".to_owned());
    });
    w.text(ALICE, BOBS_NUMBER, "", "x");
    let text = w.expect(BOB, "MESSAGE");
    assert!(text.one("From").starts_with("\"Al Ice\" <sip:alice@ims.test>;tag="), "{}", text.text);
    assert_eq!(text.one("P-Called-Party-ID"), "<tel:0602>");

    let mut w = World::registered(|c| c.call.p_called_party_id = true);
    w.text(ALICE, BOBS_NUMBER, "", "x");
    assert_eq!(w.expect(BOB, "MESSAGE").one("P-Called-Party-ID"), "<tel:+33600000002>");
}

#[test]
fn who_wants_to_be_unknown_is() {
    for (headers, hidden_by_setting) in [("Privacy: header;id\r\n", false), ("", true)] {
        let mut w = World::registered(|c| c.users[0].impus[0].anonymous = hidden_by_setting);
        w.text(ALICE, BOBS_NUMBER, headers, "x");
        let text = w.expect(BOB, "MESSAGE");
        assert!(text.one("From").starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="));
        assert_eq!(text.all("P-Asserted-Identity"), [""; 0]);
        assert!(!text.text.contains("alice"), "{}", text.text);
    }
}

#[test]
fn custom_headers_reach_both_sides() {
    let custom = |name: &str, methods: &[&str], codes: &[u16]| CustomHeader {
        name: name.to_owned(),
        value: Some("1".to_owned()),
        replace: false,
        methods: methods.iter().map(|m| (*m).to_owned()).collect(),
        codes: codes.to_vec(),
    };
    let mut w = World::registered(|c| {
        c.protocol.custom_headers =
            vec![custom("X-Request", &["MESSAGE"], &[]), custom("X-Response", &[], &[200])];
    });
    w.text(ALICE, BOBS_NUMBER, "", "x");
    let text = w.expect(BOB, "MESSAGE");
    assert_eq!((text.one("X-Request"), text.all("X-Response").len()), ("1", 0));
    w.answer(BOB, &text, 200, "");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!((ok.one("X-Response"), ok.all("X-Request").len()), ("1", 0));
}

#[test]
fn a_text_that_comes_again_is_not_delivered_again() {
    let mut w = World::registered(|_| {});
    let octets = w.text(ALICE, BOBS_NUMBER, "", "once");
    let text = w.expect(BOB, "MESSAGE");
    w.send(ALICE, &octets);
    w.expect_nothing();
    w.answer(BOB, &text, 200, "");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    w.send(ALICE, &octets);
    assert_eq!(w.expect(ALICE, "SIP/2.0 200"), ok);
    w.answer(BOB, &text, 200, "");
    w.expect_nothing();
    assert_eq!(w.lines().len(), 1);
    w.quiet();
}

#[test]
fn a_sender_who_waits_long_hears_that_the_text_is_under_way() {
    let mut w = World::registered(|_| {});
    w.text(ALICE, BOBS_NUMBER, "", "x");
    let text = w.expect(BOB, "MESSAGE");
    w.pass_silently(Duration::from_millis(13_999));
    w.pass(Duration::from_millis(1));
    w.sent.retain(|s| !s.text.starts_with("MESSAGE "));
    let trying = w.expect(ALICE, "SIP/2.0 100");
    assert!(!trying.one("To").contains("tag="));
    w.answer(BOB, &text, 200, "");
    w.expect(ALICE, "SIP/2.0 200");
    w.quiet();
}

#[test]
fn an_identity_of_one_phone_gets_its_texts_there_only() {
    let mut w = World::with(|c| {
        let mut tied = Impu::new("tel:0777");
        tied.imei = Some("861309050000380".to_owned());
        c.users[1].impus.push(tied);
        c.users[1].multi_sim = true;
    });
    w.register(ALICE, "");
    w.register(BOB, "");
    w.register(super::BOB_TABLET, ";+sip.instance=\"<urn:gsma:imei:86130905-000038-0>\"");
    w.text(ALICE, "tel:0777", "", "x");
    w.expect(super::BOB_TABLET, "MESSAGE");
    w.expect_nothing();
}
