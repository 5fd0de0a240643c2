//! Emergency calls: with a registration, with one for emergency calls, and with none; where they come from, and calls back.

use super::*;
use crate::config::model::Emergency;
use crate::ims::call::{Callee, Order};

/// A phone without a SIM.
pub(super) const STRANGER: Phone = Phone { addr: "192.0.2.9:5060", user: "anonymous" };
const INSTANCE: &str = ";+sip.instance=\"<urn:gsma:imei:35693803-564380-0>\"";
const PLACE: &str = "P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100011A2D001\r\n\
    Cellular-Network-Info: 3GPP-E-UTRAN;utran-cell-id-3gpp=001010a70c0001817;cell-info-age=0\r\n\
    Geolocation: <cid:here@ims.test>\r\n";

pub(super) fn sos(change: impl Fn(&mut Impu)) -> Impu {
    let mut impu = Impu::new("urn:service:sos");
    impu.anonymous = true;
    impu.authentication = false;
    change(&mut impu);
    impu
}

/// Bob answers emergency calls.
pub(super) fn answered_by_bob(change: impl Fn(&mut Impu)) -> World {
    let mut w = World::with(|c| {
        c.users[1].impus.push(sos(change));
        c.domain = Some("ims.test".to_owned());
    });
    w.register(ALICE, "");
    w.register(BOB, "");
    w
}

/// The INVITE of a phone without registration.
pub(super) fn invite(w: &mut World, uri: &str, headers: &str, body: &str) -> (Side, String) {
    let branch = w.branch();
    let side = Side {
        phone: STRANGER,
        call_id: format!("sos{branch}"),
        local: format!("<sip:anonymous@anonymous.invalid>;tag=S{branch}"),
        remote: format!("<{uri}>"),
        target: uri.to_owned(),
        cseq: 1,
    };
    let contact = format!("Contact: <sip:anonymous@{};sos>{INSTANCE}\r\n{headers}", STRANGER.addr);
    let text = side.text("INVITE", 1, branch, &contact, body);
    (side, text)
}

#[test]
fn without_registration_the_service_decides() {
    for (is_there, is_anonymous, words) in [
        (true, false, "emergency calls to urn:service:sos without registration are not taken"),
        (false, false, "nobody takes emergency calls: no echo number and no user is urn:service:sos"),
    ] {
        let mut w = World::with(|c| {
            c.echo.extend(is_there.then(|| sos(|s| s.anonymous = is_anonymous)));
        });
        let (_, text) = invite(&mut w, "urn:service:sos.police", "", SDP);
        w.send(STRANGER, &text);
        let refused = w.expect(STRANGER, "SIP/2.0 403");
        assert!(header(&refused, HeaderId::Warning).contains(words), "{refused}");
        w.quiet();
    }
}

#[test]
fn without_registration_the_echo_answers_and_hears_what_is_said_in_the_call() {
    let mut w = World::with(|c| c.echo.push(sos(|_| {})));
    for uri in ["urn:service:sos", "urn:service:sos.police", "URN:service:SOS.ecall.automatic"] {
        let (mut side, text) = invite(&mut w, uri, "Route: <sip:198.51.100.1:5060;lr>\r\n", SDP);
        w.send(STRANGER, &text);
        w.expect(STRANGER, "SIP/2.0 100");
        let ok = w.expect(STRANGER, "SIP/2.0 200");
        assert!(body(&ok).contains("m=audio"), "{ok}");
        side.learn(&ok);
        w.ack(&side, 1, "");
        w.request(&mut side, "INVITE", "", &SDP.replace("sendrecv", "sendonly"));
        assert!(w.expect(STRANGER, "SIP/2.0 200").contains("a=recvonly"));
        w.ack(&side, 2, "");
        w.request(&mut side, "BYE", "", "");
        w.expect(STRANGER, "SIP/2.0 200");
        w.quiet();
    }
}

#[test]
fn only_an_invite_is_let_in_without_registration() {
    let mut w = answered_by_bob(|_| {});
    let (side, _) = invite(&mut w, "urn:service:sos", "", "");
    let text = side.text("MESSAGE", 1, 1, "", "");
    w.send(STRANGER, &text);
    w.expect(STRANGER, "SIP/2.0 403");
    w.expect_nothing();
}

#[test]
fn who_answers_is_told_where_the_caller_is_octet_by_octet() {
    let mut w = answered_by_bob(|_| {});
    let parts = format!(
        "--b\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b\r\nContent-Type: application/pidf+xml\r\nContent-ID: <here@ims.test>\r\n\r\n\
         <presence/>\r\n--b\r\nContent-Type: application/EmergencyCallData.eCall.MSD\r\n\r\n\u{1}\u{2}\r\n--b--\r\n"
    );
    let (_, text) = invite(&mut w, "urn:service:sos", PLACE, &parts);
    w.send(
        STRANGER,
        &text.replace("application/sdp\r\nContent-Length", "multipart/mixed;boundary=b\r\nContent-Length"),
    );
    w.expect(STRANGER, "SIP/2.0 100");
    let rings = w.expect(BOB, "INVITE sip:bob@192.0.2.2:5060");
    for line in PLACE
        .split_inclusive("\r\n")
        .chain(["To: <urn:service:sos>\r\n", "Content-Type: multipart/mixed;boundary=b\r\n"])
    {
        assert!(rings.contains(line), "{line}: {rings}");
    }
    assert_eq!(body(&rings), parts);
    assert_eq!(header(&rings, HeaderId::PAssertedIdentity), "");
    assert!(!rings.contains("35693803"), "the IMEI is shown where it makes an identity only: {rings}");
    // the way back is none of the caller's business
    w.answer(BOB, &rings, 180, PLACE, "");
    let ringing = w.expect(STRANGER, "SIP/2.0 180");
    assert_eq!(header(&ringing, HeaderId::PAccessNetworkInfo), "", "{ringing}");
}

#[test]
fn a_normal_call_tells_no_place() {
    let mut w = answered_by_bob(|_| {});
    w.invite(ALICE, "sip:bob@ims.test", PLACE, SDP);
    let rings = w.expect(BOB, "INVITE");
    assert!(!rings.contains("utran-cell-id-3gpp"), "{rings}");
}

#[test]
fn a_hidden_caller_is_told_to_who_answers_an_emergency_call() {
    let mut w = answered_by_bob(|_| {});
    w.invite(ALICE, "urn:service:sos", "Privacy: id;user\r\n", SDP);
    let rings = w.expect(BOB, "INVITE");
    assert!(header(&rings, HeaderId::From).contains("sip:alice@ims.test"), "{rings}");
    assert!(header(&rings, HeaderId::PAssertedIdentity).contains("alice@ims.test"), "{rings}");
}

#[test]
fn a_stranger_takes_part_in_its_call_as_anybody() {
    let mut w = answered_by_bob(|_| {});
    let (mut side, text) = invite(&mut w, "urn:service:sos", "Supported: 100rel\r\n", SDP);
    w.send(STRANGER, &text);
    w.expect(STRANGER, "SIP/2.0 100");
    let rings = w.expect(BOB, "INVITE");
    w.answer(BOB, &rings, 183, "Require: 100rel\r\nRSeq: 1\r\n", SDP);
    let early = w.expect(STRANGER, "SIP/2.0 183");
    side.learn(&early);
    let rack = format!("RAck: {} 1 INVITE\r\n", header(&early, HeaderId::RSeq));
    w.request(&mut side, "PRACK", &rack, "");
    let prack = w.expect(BOB, "PRACK");
    w.answer(BOB, &prack, 200, "", "");
    w.expect(STRANGER, "SIP/2.0 200");
    w.request(&mut side, "UPDATE", "", SDP);
    let update = w.expect(BOB, "UPDATE");
    w.answer(BOB, &update, 200, "", SDP);
    w.expect(STRANGER, "SIP/2.0 200");
    w.answer(BOB, &rings, 200, "", "");
    w.expect(STRANGER, "SIP/2.0 200");
    w.ack(&side, 1, "");
    w.expect(BOB, "ACK");
    let mut bob = Side::callee(BOB, &rings);
    w.request(&mut bob, "BYE", "", "");
    w.expect(BOB, "SIP/2.0 200");
    let bye = w.expect(STRANGER, "BYE sip:anonymous@192.0.2.9:5060;sos");
    w.answer(STRANGER, &bye, 200, "", "");
    w.quiet();
}

#[test]
fn a_stranger_gives_up() {
    let mut w = answered_by_bob(|_| {});
    let (_, text) = invite(&mut w, "urn:service:sos", "", SDP);
    w.send(STRANGER, &text);
    w.expect(STRANGER, "SIP/2.0 100");
    let rings = w.expect(BOB, "INVITE");
    w.answer(BOB, &rings, 180, "", "");
    w.expect(STRANGER, "SIP/2.0 180");
    let head = text.split("Content-Type").next().unwrap();
    w.send(STRANGER, &(head.replace("INVITE", "CANCEL") + "Content-Length: 0\r\n\r\n"));
    w.expect(STRANGER, "SIP/2.0 200");
    w.expect(STRANGER, "SIP/2.0 487");
    let cancel = w.expect(BOB, "CANCEL");
    w.answer(BOB, &cancel, 200, "", "");
    w.answer(BOB, &rings, 487, "", "");
    w.expect(BOB, "ACK");
    w.quiet();
}

#[test]
fn a_call_that_is_to_come_another_way_is_told_so() {
    for (wanted, action) in
        [(Emergency::Registered, "emergency-registration"), (Emergency::Anonymous, "anonymous-emergencycall")]
    {
        let mut w = World::with(|c| {
            let mut number = sos(|s| s.emergency = wanted);
            number.uri = "tel:112".into();
            c.echo.push(number);
            c.echo.push(sos(|s| s.emergency = wanted));
        });
        w.register(ALICE, "");
        for (uri, service) in [
            ("sip:112;phone-context=ims.test@ims.test;user=phone", "<urn:service:sos>"),
            ("urn:service:sos.fire", "<urn:service:sos.fire>"),
        ] {
            w.invite(ALICE, uri, "", SDP);
            let told = w.expect(ALICE, "SIP/2.0 380 Alternative Service");
            assert_eq!(
                header(&told, HeaderId::PAssertedIdentity),
                "<sip:ims.mnc001.mcc001.3gppnetwork.org;lr>"
            );
            assert_eq!(header(&told, HeaderId::ContentType), "application/3gpp-ims+xml");
            assert_eq!(header(&told, HeaderId::Contact), service);
            assert!(!header(&told, HeaderId::ContentDisposition).is_empty());
            let xml = body(&told);
            assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"), "{xml}");
            assert!(
                xml.contains("<ims-3gpp version=\"1\"><alternative-service><type>emergency</type><reason>"),
                "{xml}"
            );
            assert!(
                xml.contains(&format!("</reason><action>{action}</action></alternative-service></ims-3gpp>")),
                "{xml}"
            );
        }
        // who does as told is let in, and so is who has no registration
        let (_, text) = invite(&mut w, "urn:service:sos", "", SDP);
        w.send(STRANGER, &text);
        w.expect(STRANGER, "SIP/2.0 100");
        w.expect(STRANGER, "SIP/2.0 200");
        let sos = Phone { addr: "192.0.2.1:5070", ..ALICE };
        w.register(sos, ";sos");
        w.invite(sos, "urn:service:sos", "", SDP);
        w.expect(sos, "SIP/2.0 200");
        w.drop_all();
        w.quiet();
    }
}

#[test]
fn a_number_that_is_no_emergency_number_is_called_as_ever() {
    let mut w = World::with(|c| c.echo.push(Impu::new("tel:112")));
    w.register(ALICE, "");
    w.invite(ALICE, "tel:112", "", SDP);
    w.expect(ALICE, "SIP/2.0 200");
    w.drop_all();
    w.quiet();
}

#[test]
fn an_emergency_registration_is_called_back_and_nothing_else() {
    let mut w = answered_by_bob(|_| {});
    let carol = Phone { addr: "192.0.2.8:5060", user: "alice" };
    let in_need = Phone { addr: "192.0.2.1:5070", ..ALICE };
    w.register(in_need, ";sos");
    // somebody who only says that it is a callback
    let echo = Phone { addr: carol.addr, ..carol };
    w.register(echo, "");
    w.invite(echo, "tel:+33600000001", "Priority: psap-callback\r\n", SDP);
    let rings = w.expect(ALICE, "INVITE");
    assert_eq!(header(&rings, HeaderId::Priority), "", "{rings}");
    assert!(w.find(in_need, "INVITE").is_none());
    w.answer(ALICE, &rings, 486, "", "");
    w.drop_all();
    for mark in ["Priority: psap-callback\r\n", "Priority: urgent\r\n", ""] {
        w.invite(BOB, "tel:+33600000001", mark, SDP);
        let rings = w.expect(in_need, "INVITE sip:alice@192.0.2.1:5070");
        assert_eq!(header(&rings, HeaderId::Priority), "psap-callback");
        assert!(w.find(ALICE, "INVITE").is_none(), "the phones without need come after");
        w.answer(in_need, &rings, 480, "", "");
        w.expect(in_need, "ACK");
        let rings = w.find(ALICE, "INVITE").expect("the normal registration is next");
        w.answer(ALICE, &rings, 486, "", "");
        w.drop_all();
        w.pass(Duration::from_secs(300));
        w.drop_all();
    }
}

#[test]
fn an_emergency_registration_alone_takes_no_normal_call() {
    let mut w = World::new();
    w.register(ALICE, "");
    w.register(BOB, ";sos");
    w.invite(ALICE, "tel:+33600000002", "", SDP);
    w.expect(ALICE, "SIP/2.0 480");
}

#[test]
fn a_phone_without_registration_is_called_back_by_its_imei_for_a_while() {
    let window = Duration::from_secs(60);
    let mut w = answered_by_bob(|s| s.anonymous_callback = window);
    let (mut side, text) = invite(&mut w, "urn:service:sos", "", SDP);
    w.send(STRANGER, &text);
    w.expect(STRANGER, "SIP/2.0 100");
    let rings = w.expect(BOB, "INVITE");
    assert_eq!(header(&rings, HeaderId::PAssertedIdentity), "<sip:356938035643800@ims.test>");
    assert_eq!(w.core.dialog_views(w.now)[0].from, "sip:356938035643800@ims.test");
    w.answer(BOB, &rings, 200, "", SDP);
    side.learn(&w.expect(STRANGER, "SIP/2.0 200"));
    w.ack(&side, 1, "");
    w.expect(BOB, "ACK");
    w.pass(Duration::from_secs(10));
    w.request(&mut side, "BYE", "", "");
    w.expect(STRANGER, "SIP/2.0 200");
    let bye = w.expect(BOB, "BYE");
    w.answer(BOB, &bye, 200, "", "");
    w.pass(window - Duration::from_secs(1));
    let mut bob = w.invite(BOB, "sip:356938035643800@ims.test", "", SDP);
    let rings = w.expect(STRANGER, "INVITE sip:anonymous@192.0.2.9:5060;sos");
    assert_eq!(header(&rings, HeaderId::Priority), "psap-callback");
    w.answer(STRANGER, &rings, 200, "", SDP);
    bob.learn(&w.expect(BOB, "SIP/2.0 200"));
    w.ack(&bob, 1, "");
    w.expect(STRANGER, "ACK");
    let mut side = Side::callee(STRANGER, &rings);
    w.request(&mut side, "BYE", "", "");
    w.expect(STRANGER, "SIP/2.0 200");
    let bye = w.expect(BOB, "BYE");
    w.answer(BOB, &bye, 200, "", "");
    w.pass(Duration::from_secs(2));
    w.invite(BOB, "sip:356938035643800@ims.test", "", SDP);
    w.expect(BOB, "SIP/2.0 404");
    w.drop_all();
    w.quiet();
}

#[test]
fn nobody_is_called_back_by_what_is_somebodys_identity_or_by_strangers() {
    let window = Duration::from_secs(60);
    let mut w = World::with(|c| {
        c.users[0].impus.push(Impu::new("sip:356938035643800@ims.test"));
        c.users[1].impus.push(sos(|s| s.anonymous_callback = window));
        c.domain = Some("ims.test".to_owned());
    });
    w.register(BOB, "");
    let (_, text) = invite(&mut w, "urn:service:sos", "", SDP);
    w.send(STRANGER, &text);
    let rings = w.find(BOB, "INVITE").unwrap();
    assert_eq!(header(&rings, HeaderId::PAssertedIdentity), "", "it is Alice's");
}

#[test]
fn the_network_calls_back_after_a_call_to_the_echo() {
    let mut w = World::with(|c| c.echo.push(sos(|s| s.anonymous_callback = Duration::from_secs(60))));
    let order = |callee: &str| {
        let callee = Callee::Any(callee.to_owned());
        Order { callee, caller: None, media: None, duration: None, sos: false }
    };
    let make = |w: &mut World, callee: &str| w.input(|core, cx| core.call(cx, order(callee)));
    let (mut side, text) = invite(&mut w, "urn:service:sos", "", SDP);
    w.send(STRANGER, &text);
    w.expect(STRANGER, "SIP/2.0 100");
    side.learn(&w.expect(STRANGER, "SIP/2.0 200"));
    w.ack(&side, 1, "");
    assert!(make(&mut w, "356938035643800").is_err(), "it is in a call");
    w.request(&mut side, "BYE", "", "");
    w.expect(STRANGER, "SIP/2.0 200");
    for callee in ["356938035643800", "urn:gsma:imei:35693803-564380-0", "sip:356938035643809@198.51.100.1"] {
        make(&mut w, callee).unwrap_or_else(|why| panic!("{callee}: {why}"));
        let rings = w.expect(STRANGER, "INVITE sip:anonymous@192.0.2.9:5060;sos");
        assert_eq!(header(&rings, HeaderId::Priority), "psap-callback");
        w.answer(STRANGER, &rings, 486, "", "");
        w.expect(STRANGER, "ACK");
    }
    w.pass(Duration::from_secs(61));
    assert!(make(&mut w, "356938035643800").is_err(), "too late");
    w.quiet();
}

/// The INVITE of a handset, with a location whose boundary and name are not those that it says.
const CAPTURED: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/vectors/phones/41_samsung_invite_emergency_sos_multipart_core.sip"
));

#[test]
fn the_captured_call_of_a_handset_is_taken_with_its_location() {
    let text = std::str::from_utf8(CAPTURED).unwrap();
    let handset = Phone { addr: "10.111.129.93:6088", user: "handset" };
    let mut w = World::with(|c| c.echo.push(sos(|_| {})));
    w.send(handset, text);
    w.expect(handset, "SIP/2.0 100");
    w.drop_all();
    let mut w = answered_by_bob(|_| {});
    w.send(handset, text);
    w.expect(handset, "SIP/2.0 100");
    let rings = w.expect(BOB, "INVITE");
    // Bob's phone is spared the preconditions of the other one; nothing else is touched
    let location = |text: &str| body(text).rsplit("--MIME_boundary").take(2).collect::<Vec<_>>().join("|");
    assert_eq!(location(&rings), location(text));
    assert!(location(text).contains("<presence "));
    for id in
        [HeaderId::PAccessNetworkInfo, HeaderId::Geolocation, HeaderId::ContentType, HeaderId::AcceptContact]
    {
        assert_eq!(header(&rings, id), header(text, id));
    }
    assert!(!rings.contains("P-Charging-Vector") && !rings.contains("+9073990000002>\r\n"), "{rings}");
}
