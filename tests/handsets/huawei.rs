//! Calls of Huawei phones, of which both sides were captured.

use crate::call::{Half, Play, mirrored, reply};
use crate::capture::{answer, captured, fitted, header, message, request_uri, survives, text_body};
use crate::stage::{Phone, Stage};
use imsbox::wire::sip::{HeaderId, Index};

const ALICE: &[&str] = &["sip:+8616500000061@ims.mnc000.mcc000.3gppnetwork.org", "tel:+8616500000061"];
const BOB: &[&str] = &["sip:+8616500000062@ims.mnc000.mcc000.3gppnetwork.org", "tel:+8616500000062"];

/// The captured call, message by message: both phones' own words, with preconditions on both sides.
#[test]
fn a_call_with_preconditions_goes_through_as_both_phones_say_it() {
    let mut stage = Stage::new(&[ALICE, BOB]);
    let invite = captured("13");
    let alice = Phone::of(&invite);
    let bob = Phone::new(BOB[0], "172.16.106.38:5060");
    stage.register(&alice);
    stage.register(&bob);
    stage.send(&alice, &invite);
    stage.expect(&alice, "SIP/2.0 100");
    let called = stage.expect(&bob, "INVITE");
    survives(&invite, &called, true);
    let mut index = Index::new();
    let asserted: Vec<_> = {
        let msg = message(&called, &mut index);
        msg.values(HeaderId::PAssertedIdentity).map(|v| String::from_utf8_lossy(v).into_owned()).collect()
    };
    assert_eq!(asserted, [format!("<{};user=phone>", ALICE[0]), format!("<{}>", ALICE[1])]);
    // 183 with Session-Expires and Max-Forwards, which a response has no use for
    let early = captured("17");
    stage.send(&bob, &answer(&early, &called));
    let passed = stage.expect(&alice, "SIP/2.0 183");
    survives(&early, &passed, true);
    assert_eq!(header(&passed, HeaderId::Require), "100rel,precondition");
    assert_eq!(header(&passed, HeaderId::MaxForwards), "");
    let mut caller = Half::caller(&alice, &invite);
    caller.learn(&passed);
    // PRACK without sec-agree, UPDATE with it
    for number in ["21", "23"] {
        let capture = captured(number);
        let mut text = caller.fits(&capture, stage.fresh());
        if number == "21" {
            let rack = format!("{} 1 INVITE", header(&passed, HeaderId::RSeq));
            text = fitted(&text, None, &[(HeaderId::RAck, &rack)]);
        }
        stage.send(&alice, &text);
        let there = stage.expect(&bob, &header(&text, HeaderId::CSeq)[2..]);
        survives(&capture, &there, true);
        assert_eq!(header(&there, HeaderId::Require), if number == "23" { "precondition" } else { "" });
        let sdp = if number == "23" { ready(&text_body(&early)) } else { String::new() };
        reply(&mut stage, &bob, &there, 200, "", &sdp);
        assert_eq!(text_body(&stage.expect(&alice, "SIP/2.0 200")), sdp);
    }
    // 180 with P-Preferred-Identity; 200 without an answer, which has been given
    for number in ["06", "25"] {
        let capture = captured(number);
        let said = fitted(
            &answer(&capture, &called),
            None,
            &[(HeaderId::To, &header_with_tag(&called, "464889803917"))],
        );
        stage.send(&bob, &said);
        let passed = stage.expect(&alice, &format!("SIP/2.0 {}", if number == "06" { "180" } else { "200" }));
        survives(&capture, &passed, true);
        assert_eq!(header(&passed, HeaderId::PPreferredIdentity), "");
        assert_eq!(header(&passed, HeaderId::PAssertedIdentity), format!("<{};user=phone>", BOB[0]));
    }
    caller.ack(&mut stage, 1);
    stage.expect(&bob, "ACK");
    // the callee hangs up; the caller's 200 writes From in its own way
    let mut callee = Half::callee(&bob, &called, "464889803917");
    callee.request(&mut stage, "BYE", "Reason: SIP;cause=200;text=\"User term the call.\"\r\n", "");
    stage.expect(&bob, "SIP/2.0 200");
    let bye = stage.expect(&alice, "BYE");
    assert_eq!(header(&bye, HeaderId::Reason), "SIP;cause=200;text=\"User term the call.\"");
    let from = header(&bye, HeaderId::From);
    let own = fitted(&answer(&captured("35"), &bye), None, &[(HeaderId::From, &from.replace("\" <", "\"<"))]);
    stage.send(&alice, &own);
    stage.expect_nothing();
    stage.quiet();
}

fn header_with_tag(request: &[u8], tag: &str) -> String {
    format!("{};tag={tag}", header(request, HeaderId::To))
}

/// The callee's description when both sides have what they need.
fn ready(sdp: &str) -> String {
    sdp.replace("qos local none", "qos local sendrecv")
        .replace("qos remote none", "qos remote sendrecv")
        .replace("a=conf:qos remote sendrecv\r\n", "")
}

#[test]
fn the_caller_hangs_up_and_says_why() {
    Play::new(captured("13"), ALICE, BOB).through(Some("07"));
}

#[test]
fn a_video_call_keeps_its_capabilities_and_its_picture_sizes() {
    Play::new(captured("37"), ALICE, BOB).through(Some("07"));
}

const CALLER: &[&str] = &["sip:+8613800000906@ims.exampl.com", "tel:+8613800000906"];
const CALLEE: &[&str] =
    &["sip:13800000907@ims.exampl.com", "tel:13800000907;phone-context=ims.mnc001.mcc001.3gppnetwork.org"];

#[test]
fn a_call_over_ipv6_goes_through() {
    Play::new(captured("46"), CALLER, CALLEE).through(Some("07"));
}

/// The first reliable answer is a 183 and the second a 180: the PRACK of the second and the UPDATE are captures, with a Route in
/// another spelling and with the Security-Verify of a set that is not there.
#[test]
fn prack_and_update_keep_their_order_whatever_their_routes() {
    let mut play = Play::new(captured("46"), CALLER, CALLEE);
    let invite = play.rings();
    let mut caller = Half::caller(&play.caller, &play.invite);
    let offer = text_body(&invite);
    reply(
        &mut play.stage,
        &play.partner,
        &invite,
        183,
        "Require: 100rel,precondition\r\nRSeq: 1\r\n",
        &mirrored(&offer),
    );
    let early = play.stage.expect(&play.caller, "SIP/2.0 183");
    caller.learn(&early);
    caller.request(&mut play.stage, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    let prack = play.stage.expect(&play.partner, "PRACK");
    reply(&mut play.stage, &play.partner, &prack, 200, "", "");
    play.stage.expect(&play.caller, "SIP/2.0 200");
    let capture = captured("54");
    let text = caller.fits(&capture, play.stage.fresh());
    play.stage.send(&play.caller, &text);
    let update = play.stage.expect(&play.partner, "UPDATE");
    survives(&capture, &update, true);
    let narrowed = text_body(&update).replacen("o=rue", "o=partner", 1);
    reply(&mut play.stage, &play.partner, &update, 200, "", &narrowed);
    assert_eq!(text_body(&play.stage.expect(&play.caller, "SIP/2.0 200")), narrowed);
    reply(&mut play.stage, &play.partner, &invite, 180, "Require: 100rel\r\nRSeq: 2\r\n", "");
    let ringing = play.stage.expect(&play.caller, "SIP/2.0 180");
    assert_eq!(header(&ringing, HeaderId::RSeq), "2");
    let capture = captured("49");
    let text = caller.fits(&capture, play.stage.fresh());
    play.stage.send(&play.caller, &text);
    let prack = play.stage.expect(&play.partner, "PRACK");
    survives(&capture, &prack, true);
    assert_eq!(header(&prack, HeaderId::RAck), "2 1 INVITE");
    reply(&mut play.stage, &play.partner, &prack, 200, "", "");
    play.stage.expect(&play.caller, "SIP/2.0 200");
    reply(&mut play.stage, &play.partner, &invite, 200, "", "");
    play.stage.expect(&play.caller, "SIP/2.0 200");
    caller.ack(&mut play.stage, 1);
    play.stage.expect(&play.partner, "ACK");
    play.hangs_up(&mut caller, None);
}

#[test]
fn a_cancel_says_why_and_ends_the_ringing() {
    let mut play = Play::new(captured("46"), CALLER, CALLEE);
    let invite = play.rings();
    reply(&mut play.stage, &play.partner, &invite, 180, "", "");
    play.stage.expect(&play.caller, "SIP/2.0 180");
    let capture = captured("55");
    assert_eq!(request_uri(&capture), request_uri(&play.invite));
    play.stage.send(&play.caller, &capture);
    play.stage.expect(&play.caller, "SIP/2.0 200");
    play.stage.expect(&play.caller, "SIP/2.0 487");
    let cancel = play.stage.expect(&play.partner, "CANCEL");
    assert_eq!(header(&cancel, HeaderId::Reason), "SIP;cause=487;text=\"request terminated\"");
    reply(&mut play.stage, &play.partner, &cancel, 200, "", "");
    reply(&mut play.stage, &play.partner, &invite, 487, "", "");
    play.stage.expect(&play.partner, "ACK");
    play.stage.quiet();
}
