//! Calls, texts and probes of the other vendors' phones.

use crate::call::Play;
use crate::capture::{body, captured, fitted, header};
use crate::stage::{Phone, Stage};
use imsbox::wire::gsm::{Deliver, Direction, Rp, Rpdu, Submit};
use imsbox::wire::sip::HeaderId;

#[test]
fn a_samsung_calls_with_a_telephone_context_in_the_user_part() {
    let caller = ["sip:15550100284@ims.mnc001.mcc001.3gppnetwork.org", "tel:+15550100284"];
    let callee = ["sip:partner@ims.test", "tel:15550100275;phone-context=ims.mnc001.mcc001.3gppnetwork.org"];
    Play::new(captured("02"), &caller, &callee).through(None);
}

#[test]
fn a_qualcomm_modem_calls_in_compact_names() {
    let caller = ["sip:+8613800000767@sh.ims.mnc001.mcc001.3gppnetwork.org", "tel:+8613800000767"];
    let callee = ["sip:partner@ims.test", "tel:13800000925;phone-context=ims.mnc001.mcc001.3gppnetwork.org"];
    Play::new(captured("30"), &caller, &callee).through(Some("26"));
}

#[test]
fn korean_samsungs_call_with_headers_of_their_own() {
    let callee = ["sip:partner@ims.test", "tel:01000007389;phone-context=lte-example.co.kr"];
    Play::new(captured("31"), &["sip:01000007539@lte-example.co.kr"], &callee).through(None);
    let callee = ["sip:partner@ims.test", "tel:01000000212;phone-context=expims.net"];
    Play::new(captured("38"), &["sip:01000009012@expims.net"], &callee).through(None);
}

#[test]
fn a_unisoc_calls_with_video_over_tcp() {
    let callee = ["sip:partner@ims.test", "tel:13800011103;phone-context=one.exa.net"];
    Play::new(captured("53"), &["sip:13800011101@one.exa.net"], &callee).through(None);
}

#[test]
fn a_probe_for_capabilities_is_answered() {
    let probe = captured("22");
    let phone = Phone::of(&probe);
    let mut stage = Stage::new(&[&["tel:+8613800000839"]]);
    stage.register(&phone);
    stage.send(&phone, &probe);
    let ok = stage.expect(&phone, "SIP/2.0 200");
    for method in ["INVITE", "PRACK", "UPDATE"] {
        assert!(header(&ok, HeaderId::Allow).contains(method));
    }
    assert_eq!(header(&ok, HeaderId::CSeq), "633029490 OPTIONS");
    stage.quiet();
}

/// A phone's contact for short messages.
fn takes_sms(phone: Phone, user: &str) -> Phone {
    let address = phone.flow.remote;
    phone.with_contact(&format!("<sip:{user}@{address}>;+g.3gpp.smsip"))
}

/// The RPDU of a MESSAGE that must have one.
fn rpdu_of(octets: &[u8]) -> Vec<u8> {
    assert_eq!(header(octets, HeaderId::ContentType), "application/vnd.3gpp.sms");
    body(octets)
}

/// A captured short message goes to the phone whose captured report answers it (TS 24.341 5.3.1, 5.3.2): its text arrives as the
/// one phone wrote it, and the other one's acknowledgement is taken.
#[test]
fn a_short_message_goes_from_one_captured_phone_to_the_other_and_is_acknowledged() {
    let (submit, report) = (captured("33"), captured("27"));
    let sender = ["sip:+15550100001@ims.mnc001.mcc001.3gppnetwork.org"];
    let recipient = ["sip:+818012341234@ims.mnc001.mcc001.3gppnetwork.org", "tel:+17003330053"];
    let mut stage = Stage::new(&[&sender, &recipient]);
    let from = takes_sms(Phone::of(&submit), "one");
    let to = takes_sms(Phone::of(&report), "other");
    stage.register(&from);
    stage.register(&to);

    stage.send(&from, &submit);
    stage.expect(&from, "SIP/2.0 202");
    let ack = stage.expect(&from, "MESSAGE sip:one@");
    assert_eq!(header(&ack, HeaderId::InReplyTo), "0jtmK65R2oW3njSKz3wB3pYV");
    let ack_octets = rpdu_of(&ack);
    let Rpdu { direction: Direction::Down, reference: 1, message: Rp::Ack { .. } } =
        Rpdu::parse(&ack_octets).expect("an RPDU")
    else {
        panic!("{ack_octets:02x?}");
    };
    stage.send(&from, &plain_answer(&ack, "200 OK"));

    let passed = stage.expect(&to, "MESSAGE sip:other@");
    let octets = rpdu_of(&passed);
    let rpdu = Rpdu::parse(&octets).expect("an RPDU");
    let Rp::Data { user_data, .. } = rpdu.message else { panic!("{rpdu:?}") };
    let deliver = Deliver::parse(user_data).expect("a DELIVER");
    assert_eq!(deliver.originator.to_string(), "+15550100001");
    let written = Rpdu::parse(&body(&submit)).map(|r| r.message).map(|m| match m {
        Rp::Data { user_data, .. } => Submit::parse(user_data).expect("a SUBMIT").user_data.text(),
        other => panic!("{other:?}"),
    });
    assert_eq!(Ok(deliver.user_data.text()), written);
    stage.send(&to, &plain_answer(&passed, "200 OK"));

    let target = format!("MESSAGE {} SIP/2.0", uri_of(&header(&passed, HeaderId::PAssertedIdentity)));
    let call_id = header(&passed, HeaderId::CallId);
    let mut answer = fitted(&report, Some(&target), &[(HeaderId::InReplyTo, &call_id)]);
    // the reference is the only octet of the report that belongs to another message
    let reference_at = answer.len() - body(&report).len() + 1;
    answer[reference_at] = rpdu.reference;
    stage.send(&to, &answer);
    stage.expect(&to, "SIP/2.0 202");
    stage.expect_nothing();
    stage.quiet();
    stage.expect_nothing();
}

/// What stands in the brackets of an address.
fn uri_of(address: &str) -> &str {
    address.trim_start_matches('<').split('>').next().expect("split gives something")
}

/// A phone's answer to a request, with nothing but what it must have.
fn plain_answer(request: &[u8], status: &str) -> Vec<u8> {
    let same = [HeaderId::Via, HeaderId::From, HeaderId::CallId, HeaderId::CSeq];
    let lines: String = same.map(|id| format!("{}: {}\r\n", id.name(), header(request, id))).concat();
    let to = header(request, HeaderId::To);
    format!("SIP/2.0 {status}\r\n{lines}To: {to};tag=phone\r\nContent-Length: 0\r\n\r\n").into_bytes()
}
