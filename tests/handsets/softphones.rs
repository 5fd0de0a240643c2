//! Calls of clients on computers and on phones without a SIM's ways.

use crate::call::{Half, Play, reply};
use crate::capture::{answer, captured, contact_uri, fitted, header, survives, text_body};
use crate::stage::{Phone, Stage};
use imsbox::wire::sip::HeaderId;

#[test]
fn linphone_calls_a_name_without_brackets() {
    Play::new(captured("09"), &["sip:alice@192.168.25.116"], &["sip:bob@192.168.25.116"]).through(None);
}

#[test]
fn zoiper_calls_with_a_transport_in_every_uri() {
    Play::new(captured("18"), &["sip:1002@192.168.66.113"], &["sip:1003@192.168.66.113"]).through(None);
}

#[test]
fn microsip_calls_with_a_session_timer() {
    Play::new(captured("51"), &["sip:admin@10.1.58.85"], &["sip:23@10.1.58.85"]).through(None);
}

/// Both sides are captures: the INVITE of one baresip, the 180 of the other.
#[test]
fn baresip_calls_baresip_over_ipv6() {
    let invite = captured("14");
    let ringing = captured("43");
    let (caller, callee) = ("sip:202@[fde1:c0fe::777]", "sip:202@[fde1:c0fe::7]");
    let mut stage = Stage::new(&[&[caller], &[callee]]);
    let alice = Phone::of(&invite);
    let bob = Phone::new(callee, "[fde1:c0fe::7]:5060").with_contact(&header(&ringing, HeaderId::Contact));
    stage.register(&alice);
    stage.register(&bob);
    stage.send(&alice, &invite);
    stage.expect(&alice, "SIP/2.0 100");
    let called = stage.expect(&bob, &format!("INVITE {}", contact_uri(&ringing)));
    survives(&invite, &called, true);
    stage.send(&bob, &answer(&ringing, &called));
    let passed = stage.expect(&alice, "SIP/2.0 180");
    survives(&ringing, &passed, true);
    let mut half = Half::caller(&alice, &invite);
    half.learn(&passed);
    // the caller thinks better of it
    let via = header(&invite, HeaderId::Via);
    let values =
        [(HeaderId::CSeq, "64909 CANCEL"), (HeaderId::Via, via.as_str()), (HeaderId::ContentLength, "0")];
    let cancel = fitted(&invite, Some("CANCEL sip:202@[fde1:c0fe::7]:5061 SIP/2.0"), &values);
    let head = cancel.windows(4).position(|w| w == b"\r\n\r\n").expect("an empty line") + 4;
    stage.send(&alice, &cancel[..head]);
    stage.expect(&alice, "SIP/2.0 200");
    stage.expect(&alice, "SIP/2.0 487");
    let cancel = stage.expect(&bob, "CANCEL");
    reply(&mut stage, &bob, &cancel, 200, "", "");
    reply(&mut stage, &bob, &called, 487, "", "");
    stage.expect(&bob, "ACK");
    stage.quiet();
}

/// The 200 of a Linphone, whose long Contact with its push parameters is where the call goes on.
#[test]
fn linphone_answers_with_push_parameters_in_its_contact() {
    let capture = captured("50");
    let mut stage = Stage::new(&[&["sip:Walter@192.168.43.236"], &["sip:Nokia@192.168.43.58"]]);
    let walter = Phone::new("sip:Walter@192.168.43.236", "192.168.43.236:5060");
    let nokia = Phone::new("sip:Nokia@192.168.43.58", "192.168.43.58:5060")
        .with_contact(&header(&capture, HeaderId::Contact));
    stage.register(&walter);
    stage.register(&nokia);
    let offer = text_body(&capture).replace("Nokia", "Walter").replace("192.168.43.58", "192.168.43.236");
    let mut index = imsbox::wire::sip::Index::new();
    let head = crate::capture::message(&capture, &mut index);
    let from = String::from_utf8_lossy(head.header(HeaderId::From).expect("From")).into_owned();
    let invite = format!(
        "INVITE sip:Nokia@192.168.43.58 SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.43.236:5060;branch=z9hG4bK.bwnakQ5Yt;rport\r\nFrom: {from}\r\n\
         To: sip:Nokia@192.168.43.58\r\nCSeq: 20 INVITE\r\nCall-ID: xGYHcL0tNy\r\nMax-Forwards: 70\r\nContact: <sip:Walter@192.168.43.236>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{offer}",
        offer.len()
    );
    stage.send(&walter, invite.as_bytes());
    stage.expect(&walter, "SIP/2.0 100");
    let target = contact_uri(&capture);
    let called = stage.expect(&nokia, &format!("INVITE {target} SIP/2.0"));
    assert_eq!(text_body(&called), offer);
    stage.send(&nokia, &answer(&capture, &called));
    let ok = stage.expect(&walter, "SIP/2.0 200 Ok");
    survives(&capture, &ok, true);
    let mut half = Half::caller(&walter, invite.as_bytes());
    half.learn(&ok);
    half.ack(&mut stage, 20);
    stage.expect(&nokia, &format!("ACK {target} SIP/2.0"));
    half.request(&mut stage, "BYE", "", "");
    stage.expect(&walter, "SIP/2.0 200");
    let bye = stage.expect(&nokia, &format!("BYE {target} SIP/2.0"));
    reply(&mut stage, &nokia, &bye, 200, "", "");
    stage.quiet();
}
