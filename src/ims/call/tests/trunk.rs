//! Calls to and from the SIP trunk, a scripted PBX.

use super::*;
use crate::config::model::Trunk;
use crate::proto::flow::{ConnId, Transport};

const PBX: Phone = Phone { addr: "192.0.2.9:5060", user: "pbx" };
/// The same host, from a port that nobody listens at.
const PBX_CLIENT: Phone = Phone { addr: "192.0.2.9:41000", user: "pbx" };

fn trunk() -> Trunk {
    Trunk {
        addr: PBX.addr.parse().unwrap(),
        local: LocalId(0),
        name: None,
        domain: "pbx.test".to_owned(),
        tcp_threshold: None,
        anonymous: false,
    }
}

/// Alice and Bob are registered, and there is a trunk.
fn world(change: impl FnOnce(&mut Trunk)) -> World {
    let mut settings = trunk();
    change(&mut settings);
    let mut w = World::with(|config| config.trunk = Some(settings));
    w.register(ALICE, "");
    w.register(BOB, "");
    w
}

/// The PBX calls `uri`, for a caller with this From value.
fn pbx_calls(w: &mut World, from: Phone, uri: &str, caller: &str, headers: &str) -> Side {
    let branch = w.branch();
    let side = Side {
        phone: from,
        call_id: format!("pbx{branch}"),
        local: format!("{caller};tag=P{branch}"),
        remote: format!("<{uri}>"),
        target: uri.to_owned(),
        cseq: 1,
    };
    let contact = format!("Contact: <sip:pbx@{}>\r\n{headers}", PBX.addr);
    let text = side.text("INVITE", 1, branch, &contact, SDP);
    w.send(from, &text);
    side
}

/// A call from Alice to a number behind the trunk, up to her ACK.
fn answered(w: &mut World) -> (Side, Side) {
    let mut alice = w.invite(ALICE, "tel:+49301234", "", SDP);
    let invite = w.expect(PBX, "INVITE");
    let pbx = Side::callee(PBX, &invite);
    w.answer(PBX, &invite, 200, "", SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(PBX, "ACK");
    (alice, pbx)
}

/// The values of all headers of a name.
fn all(text: &str, id: HeaderId) -> Vec<String> {
    let mut index = Index::new();
    let msg = Message::parse(text.as_bytes(), &mut index).unwrap();
    msg.headers(id).map(|v| String::from_utf8(v.to_vec()).unwrap()).collect()
}

#[test]
fn a_number_that_nobody_has_is_called_at_the_trunk_in_its_one_form() {
    for (dialled, called) in [
        ("tel:+49-30-1234", "sip:+49301234@pbx.test;user=phone"),
        ("sip:+49301234@ims.test;user=phone", "sip:+49301234@pbx.test;user=phone"),
        ("tel:301234;phone-context=+49", "sip:+49301234@pbx.test;user=phone"),
        ("tel:0301234;phone-context=ims.test", "sip:0301234@pbx.test;user=phone"),
        ("sip:0301234;phone-context=ims.test@ims.test;user=phone", "sip:0301234@pbx.test;user=phone"),
        ("tel:*21%23", "sip:*21%23@pbx.test;user=phone"),
        ("sip:carol@elsewhere.test", "sip:carol@pbx.test"),
    ] {
        let mut w = world(|_| {});
        w.invite(ALICE, dialled, "", SDP);
        let invite = w.expect(PBX, &format!("INVITE {called} SIP/2.0\r\n"));
        assert_eq!(header(&invite, HeaderId::To), format!("<{called}>"), "{dialled}");
        assert_eq!(body(&invite), SDP);
    }
}

#[test]
fn who_calls_stands_in_from_and_is_asserted() {
    for (account, from) in
        [(None, "<sip:+33600000001@pbx.test;user=phone>"), (Some("ims"), "<sip:ims@pbx.test>")]
    {
        let mut w = world(|trunk| trunk.name = account.map(str::to_owned));
        w.invite(ALICE, "tel:+49301234", "", SDP);
        let invite = w.expect(PBX, "INVITE");
        assert_eq!(header(&invite, HeaderId::From).split(";tag=").next(), Some(from));
        assert_eq!(
            all(&invite, HeaderId::PAssertedIdentity),
            ["<sip:alice@ims.test>", "<tel:+33600000001>"],
            "the trunk is trusted"
        );
        assert_eq!(header(&invite, HeaderId::Contact), "<sip:ims@198.51.100.1:5060>");
        assert_eq!(header(&invite, HeaderId::MaxForwards), "69");
    }
}

#[test]
fn a_call_to_the_trunk_from_ringing_to_bye() {
    let mut w = world(|_| {});
    let mut alice = w.invite(ALICE, "tel:+49301234", "", SDP);
    let invite = w.expect(PBX, "INVITE");
    w.answer(PBX, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    let identity = "P-Asserted-Identity: \"Berlin\" <sip:1234@pbx.test>\r\n";
    w.answer(PBX, &invite, 200, identity, SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(all(&ok, HeaderId::PAssertedIdentity), ["\"Berlin\" <sip:1234@pbx.test>"]);
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(PBX, "ACK sip:pbx@192.0.2.9:5060");
    w.request(
        &mut alice,
        "INVITE",
        "Contact: <sip:alice@192.0.2.1>\r\n",
        &SDP.replace("sendrecv", "sendonly"),
    );
    w.expect(ALICE, "SIP/2.0 100");
    let hold = w.expect(PBX, "INVITE");
    w.answer(PBX, &hold, 200, "", &SDP.replace("sendrecv", "recvonly"));
    w.expect(ALICE, "SIP/2.0 200");
    w.ack(&alice, 2, "");
    w.expect(PBX, "ACK");
    assert_eq!(w.states(), ["hold", "hold"]);
    w.request(&mut alice, "BYE", "", "");
    w.expect(ALICE, "SIP/2.0 200");
    let bye = w.expect(PBX, "BYE");
    w.answer(PBX, &bye, 200, "", "");
    w.quiet();
}

#[test]
fn the_trunk_holds_and_hangs_up() {
    let mut w = world(|_| {});
    let (_, mut pbx) = answered(&mut w);
    w.request(
        &mut pbx,
        "INVITE",
        "Contact: <sip:pbx@192.0.2.9:5070>\r\n",
        &SDP.replace("sendrecv", "sendonly"),
    );
    w.expect(PBX, "SIP/2.0 100");
    let hold = w.expect(ALICE, "INVITE");
    w.answer(ALICE, &hold, 200, "", &SDP.replace("sendrecv", "recvonly"));
    let moved = Phone { addr: "192.0.2.9:5060", ..PBX };
    w.expect(moved, "SIP/2.0 200");
    w.ack(&pbx, 101, "");
    w.expect(ALICE, "ACK");
    w.request(&mut pbx, "BYE", "", "");
    w.expect(PBX, "SIP/2.0 200");
    let bye = w.expect(ALICE, "BYE");
    w.answer(ALICE, &bye, 200, "", "");
    w.quiet();
}

#[test]
fn requests_inside_a_call_go_to_the_contact_at_the_trunks_address_and_else_to_the_trunk() {
    for (contact, goes_to) in [
        ("<sip:x@192.0.2.9:5070>", "192.0.2.9:5070"),
        ("<sip:x@10.9.9.9:5070>", PBX.addr),
        ("<sip:x@pbx.test>", PBX.addr),
    ] {
        let mut w = world(|_| {});
        let mut alice = w.invite(ALICE, "tel:+49301234", "", SDP);
        let invite = w.expect(PBX, "INVITE");
        let text = reply(PBX, &invite, 200, "", SDP).replace("<sip:pbx@192.0.2.9:5060>", contact);
        w.send(PBX, &text);
        let ok = w.expect(ALICE, "SIP/2.0 200");
        alice.learn(&ok);
        w.ack(&alice, 1, "");
        let uri = contact.trim_matches(['<', '>']);
        w.expect(Phone { addr: goes_to, ..PBX }, &format!("ACK {uri} SIP/2.0"));
    }
}

#[test]
fn a_call_that_the_caller_gives_up_is_cancelled_at_the_trunk() {
    let mut w = world(|_| {});
    let alice = w.invite(ALICE, "tel:+49301234", "", SDP);
    let invite = w.expect(PBX, "INVITE");
    w.answer(PBX, &invite, 183, "", SDP);
    w.expect(ALICE, "SIP/2.0 183");
    let cancel = alice.text("CANCEL", 1, 1, "", "");
    let via = header(&invite, HeaderId::Via);
    let invited = format!("z9hG4bK{}", w.branch() - 1);
    w.send(ALICE, &cancel.replace("z9hG4bK1\r\n", &format!("{invited}\r\n")));
    w.expect(ALICE, "SIP/2.0 200");
    w.expect(ALICE, "SIP/2.0 487");
    let cancel = w.expect(PBX, "CANCEL");
    assert_eq!(header(&cancel, HeaderId::Via), via);
    w.answer(PBX, &cancel, 200, "", "");
    w.answer(PBX, &invite, 487, "", "");
    w.quiet();
}

#[test]
fn a_call_from_the_trunk_reaches_every_phone_of_the_callee() {
    let mut w = world(|_| {});
    w.register(BOB_TABLET, "");
    let caller = "\"Berlin\" <sip:+49301234@pbx.test>";
    let mut pbx = pbx_calls(&mut w, PBX, "sip:+33600000002@198.51.100.1", caller, "");
    w.expect(PBX, "SIP/2.0 100");
    let tablet = w.expect(BOB_TABLET, "INVITE sip:bob@192.0.2.3:5060");
    let invite = w.expect(BOB, "INVITE sip:bob@192.0.2.2:5060");
    assert!(header(&invite, HeaderId::From).starts_with(caller), "{invite}");
    assert_eq!(
        all(&invite, HeaderId::PAssertedIdentity),
        ["\"Berlin\" <sip:+49301234@pbx.test>", "<tel:+49301234>"]
    );
    w.answer(BOB, &invite, 180, "", "");
    w.expect(PBX, "SIP/2.0 180");
    w.answer(BOB, &invite, 200, "", SDP);
    let ok = w.expect(PBX, "SIP/2.0 200");
    assert_eq!(
        all(&ok, HeaderId::PAssertedIdentity),
        ["<sip:+33600000002@ims.test;user=phone>", "<tel:+33600000002>"]
    );
    let cancel = w.find(BOB_TABLET, "CANCEL");
    w.answer(BOB_TABLET, &tablet, 180, "", "");
    let cancel = cancel.unwrap_or_else(|| w.expect(BOB_TABLET, "CANCEL"));
    w.answer(BOB_TABLET, &cancel, 200, "", "");
    w.answer(BOB_TABLET, &tablet, 487, "", "");
    w.expect(BOB_TABLET, "ACK");
    pbx.learn(&ok);
    w.ack(&pbx, 1, "");
    w.expect(BOB, "ACK");
    w.request(&mut pbx, "BYE", "", "");
    w.expect(PBX, "SIP/2.0 200");
    let bye = w.expect(BOB, "BYE");
    w.answer(BOB, &bye, 200, "", "");
    w.quiet();
}

#[test]
fn what_the_trunk_asserts_comes_before_what_it_says_in_from() {
    let mut w = world(|_| {});
    let asserted = "P-Asserted-Identity: <sip:+49309999@pbx.test;user=phone>\r\n";
    pbx_calls(&mut w, PBX, "tel:+33600000002", "<sip:100@pbx.test>", asserted);
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(all(&invite, HeaderId::PAssertedIdentity), ["<sip:+49309999@pbx.test;user=phone>"]);
    assert_eq!(w.core.dialog_views(w.now)[0].from, "sip:+49309999@pbx.test;user=phone");
}

#[test]
fn the_side_of_the_trunk_is_shown_as_such() {
    let trunks = |w: &World| {
        w.core.dialog_views(w.now).iter().map(|v| (v.kind, v.is_trunk, v.to.clone())).collect::<Vec<_>>()
    };
    let mut w = world(|_| {});
    w.invite(ALICE, "tel:+49301234", "", SDP);
    let to = "sip:+49301234@pbx.test;user=phone".to_owned();
    assert_eq!(trunks(&w), [("server", false, to.clone()), ("client", true, to)]);
    assert!(w.ladder(10).contains("+49301234@pbx.test (trunk)"), "{}", w.ladder(10));
    let mut w = world(|_| {});
    pbx_calls(&mut w, PBX, "tel:+33600000002", "<sip:100@pbx.test>", "");
    let to = "tel:+33600000002".to_owned();
    assert_eq!(trunks(&w), [("server", true, to.clone()), ("client", false, to)]);
}

#[test]
fn anonymous_calls_pass_only_where_the_configuration_says_so() {
    let nameless = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
    let known = "<sip:100@pbx.test>";
    let asserted = "P-Asserted-Identity: <sip:100@pbx.test>\r\n";
    let private = format!("{asserted}Privacy: id\r\n");
    for (caller, headers) in [(nameless, asserted), (nameless, ""), (known, private.as_str())] {
        let mut w = world(|_| {});
        pbx_calls(&mut w, PBX, "tel:+33600000002", caller, headers);
        w.expect(PBX, "SIP/2.0 100");
        w.expect(PBX, "SIP/2.0 433");
        w.expect_nothing();
        let mut w = world(|trunk| trunk.anonymous = true);
        pbx_calls(&mut w, PBX, "tel:+33600000002", caller, headers);
        let invite = w.expect(BOB, "INVITE");
        assert_eq!(all(&invite, HeaderId::PAssertedIdentity), [""; 0], "{invite}");
    }
    let mut w = world(|_| {});
    w.invite(ALICE, "tel:+49301234", "Privacy: id\r\n", SDP);
    w.expect(ALICE, "SIP/2.0 433");
    w.expect_nothing();
    let mut w = world(|trunk| trunk.anonymous = true);
    w.invite(ALICE, "tel:+49301234", "Privacy: id\r\n", SDP);
    let invite = w.expect(PBX, "INVITE");
    assert!(!invite.contains("alice") && !invite.contains("+33600000001"), "{invite}");
    assert!(invite.contains("From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="), "{invite}");
}

#[test]
fn what_comes_from_the_trunk_never_goes_back_to_it() {
    for uri in ["sip:+49301234@198.51.100.1", "sip:carol@198.51.100.1", "tel:999"] {
        let mut w = world(|_| {});
        pbx_calls(&mut w, PBX, uri, "<sip:100@pbx.test>", "");
        w.expect(PBX, "SIP/2.0 100");
        w.expect(PBX, "SIP/2.0 404");
        w.expect_nothing();
    }
}

#[test]
fn strangers_and_services_do_not_reach_the_trunk() {
    let mut w = world(|_| {});
    let stranger = Phone { addr: "203.0.113.7:5060", user: "mallory" };
    let side = Side {
        phone: stranger,
        call_id: "x".to_owned(),
        local: "<sip:mallory@ims.test>;tag=x".to_owned(),
        remote: "<tel:+49301234>".to_owned(),
        target: "tel:+49301234".to_owned(),
        cseq: 1,
    };
    let text = side.text("INVITE", 1, 999, "Contact: <sip:mallory@203.0.113.7>\r\n", SDP);
    w.send(stranger, &text);
    w.expect(stranger, "SIP/2.0 403");
    for uri in ["urn:service:counseling", "tel:112", "sip:911@ims.test;user=phone"] {
        w.invite(ALICE, uri, "", SDP);
        w.expect(ALICE, "SIP/2.0 404");
    }
    w.expect_nothing();
}

#[test]
fn a_pbx_that_sends_from_another_port_is_known_by_its_address_and_via() {
    let mut w = world(|_| {});
    pbx_calls(&mut w, PBX_CLIENT, "tel:+33600000002", "<sip:100@pbx.test>", "");
    w.expect(BOB, "INVITE");
    // a phone on the same host is that phone
    let mut w = world(|_| {});
    w.register(Phone { addr: "192.0.2.9:5080", user: "alice" }, "");
    w.invite(Phone { addr: "192.0.2.9:5080", user: "alice" }, "tel:+33600000002", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(all(&invite, HeaderId::PAssertedIdentity)[0], "<sip:alice@ims.test>");
    let branch = w.branch();
    let side = pbx_calls(&mut w, PBX, "tel:+33600000002", "<sip:100@pbx.test>", "");
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(all(&invite, HeaderId::PAssertedIdentity)[0], "<sip:100@pbx.test>", "{branch} {side:?}");
    // from a port that nobody listens at, with the trunk's own in Via
    let text = side.text("INVITE", 1, branch, "Contact: <sip:pbx@192.0.2.9:5060>\r\n", SDP);
    let text = text.replace("Call-ID: pbx", "Call-ID: second");
    w.send(PBX_CLIENT, &text);
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(all(&invite, HeaderId::PAssertedIdentity)[0], "<sip:100@pbx.test>");
}

#[test]
fn the_trunks_options_are_answered_and_its_texts_are_not_taken() {
    let mut w = world(|_| {});
    let side = Side {
        phone: PBX,
        call_id: "ping".to_owned(),
        local: "<sip:pbx@pbx.test>;tag=x".to_owned(),
        remote: "<sip:198.51.100.1>".to_owned(),
        target: "sip:198.51.100.1".to_owned(),
        cseq: 1,
    };
    let ping = side.text("OPTIONS", 1, 900, "", "");
    w.send(PBX, &ping);
    w.expect(PBX, "SIP/2.0 200");
    let text = Side { target: "tel:+33600000002".to_owned(), call_id: "text".to_owned(), ..side };
    let text = text.text("MESSAGE", 2, 901, "", "hello");
    w.send(PBX, &text);
    w.expect(PBX, "SIP/2.0 403");
    let mut alice = w.invite(ALICE, "tel:666", "", SDP);
    w.drop_all();
    alice.target = "tel:+49301234".to_owned();
    alice.remote = "<tel:+49301234>".to_owned();
    alice.call_id = "text2".to_owned();
    w.request(&mut alice, "MESSAGE", "", "hello");
    w.expect(ALICE, "SIP/2.0 404");
    w.expect_nothing();
}

#[test]
fn a_trunk_that_asks_for_credentials_is_told_of_in_words() {
    for (status, challenge) in [(401, "WWW-Authenticate"), (407, "Proxy-Authenticate")] {
        let mut w = world(|_| {});
        w.invite(ALICE, "tel:+49301234", "", SDP);
        let invite = w.expect(PBX, "INVITE");
        let value = format!("{challenge}: Digest realm=\"pbx\",nonce=\"1\"\r\n");
        w.answer(PBX, &invite, status, &value, "");
        w.expect(PBX, "ACK");
        let refused = w.expect(ALICE, "SIP/2.0 502");
        assert!(!refused.contains(challenge), "{refused}");
        let words = "the trunk asks for credentials, and must accept unauthenticated requests";
        assert!(header(&refused, HeaderId::Warning).contains(words), "{refused}");
        assert_eq!(w.reason(), words);
        w.quiet();
    }
}

#[test]
fn a_challenge_inside_a_call_is_kept_from_the_phone() {
    let mut w = world(|_| {});
    let (mut alice, _) = answered(&mut w);
    w.request(&mut alice, "INVITE", "Contact: <sip:alice@192.0.2.1>\r\n", SDP);
    w.expect(ALICE, "SIP/2.0 100");
    let again = w.expect(PBX, "INVITE");
    w.answer(PBX, &again, 401, "WWW-Authenticate: Digest realm=\"pbx\",nonce=\"1\"\r\n", "");
    w.expect(PBX, "ACK");
    let refused = w.expect(ALICE, "SIP/2.0 502");
    assert!(!refused.contains("Digest"), "{refused}");
    assert_eq!(w.states(), ["start", "start"], "the call goes on");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_failure_of_the_trunk_reaches_the_caller_in_words() {
    for (status, told, words) in [
        (486, "SIP/2.0 486", "the trunk says 486 Phone says"),
        (404, "SIP/2.0 404", "the trunk says 404 Phone says"),
        (503, "SIP/2.0 500", "the trunk says 503 Phone says"),
    ] {
        let mut w = world(|_| {});
        w.invite(ALICE, "tel:+49301234", "", SDP);
        let invite = w.expect(PBX, "INVITE");
        w.answer(PBX, &invite, status, "", "");
        w.expect(PBX, "ACK");
        w.expect(ALICE, told);
        assert_eq!(w.reason(), words);
        w.quiet();
    }
}

#[test]
fn a_trunk_that_cannot_be_reached_is_told_of_in_words() {
    let mut w = world(|_| {});
    w.invite(ALICE, "tel:+49301234", "", SDP);
    w.expect(PBX, "INVITE");
    let (flow, tag) = (w.last_flow, w.last_tag);
    assert_eq!((flow.transport, flow.local), (Transport::Udp, LocalId(0)));
    w.input(|core, cx| core.on_send_failed(cx, flow, tag));
    w.expect(ALICE, "SIP/2.0 480");
    assert_eq!(w.reason(), "the trunk cannot be reached");
    w.quiet();
    w.invite(ALICE, "tel:+49301234", "", SDP);
    w.pass(T1 * 64);
    w.find(ALICE, "SIP/2.0 408").expect("the call is given up");
    assert_eq!(w.reason(), "the trunk does not answer");
    w.quiet();
}

#[test]
fn long_requests_go_by_tcp_and_for_a_while_by_udp_once_that_has_failed() {
    let mut w = world(|trunk| trunk.tcp_threshold = Some(1));
    w.invite(ALICE, "tel:+49301234", "", SDP);
    let invite = w.expect(PBX, "INVITE");
    assert!(header(&invite, HeaderId::Via).starts_with("SIP/2.0/TCP"), "{invite}");
    let (flow, tag) = (w.last_flow, w.last_tag);
    assert_eq!(flow.transport, Transport::Tcp);
    w.input(|core, cx| core.on_send_failed(cx, flow, tag));
    let again = w.expect(PBX, "INVITE");
    assert!(header(&again, HeaderId::Via).starts_with("SIP/2.0/UDP"), "{again}");
    w.invite(ALICE, "tel:+49301235", "", SDP);
    let next = w.expect(PBX, "INVITE");
    assert!(header(&next, HeaderId::Via).starts_with("SIP/2.0/UDP"), "{next}");
    w.pass(crate::ims::limits::TRUNK_TCP_PAUSE);
    w.drop_all();
    w.invite(ALICE, "tel:+49301236", "", SDP);
    let last = w.expect(PBX, "INVITE");
    assert!(header(&last, HeaderId::Via).starts_with("SIP/2.0/TCP"), "{last}");
    let mut plain = world(|_| {});
    plain.invite(ALICE, "tel:+49301234", "", SDP);
    assert!(header(&plain.expect(PBX, "INVITE"), HeaderId::Via).starts_with("SIP/2.0/UDP"));
}

#[test]
fn a_call_that_the_trunk_made_over_a_connection_goes_on_at_the_trunks_port_when_that_has_gone() {
    let mut w = world(|_| {});
    let branch = w.branch();
    let side = Side {
        phone: PBX,
        call_id: "tcp".to_owned(),
        local: "<sip:100@pbx.test>;tag=x".to_owned(),
        remote: "<tel:+33600000002>".to_owned(),
        target: "tel:+33600000002".to_owned(),
        cseq: 1,
    };
    let contact = format!("Contact: <sip:pbx@{};transport=tcp>\r\n", PBX.addr);
    let text = side.text("INVITE", 1, branch, &contact, SDP).replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    let came = Flow::tcp(LocalId(0), PBX_CLIENT.addr.parse().unwrap(), Some(ConnId(7)));
    w.input(|core, cx| core.on_sip(cx, came, text.as_bytes()));
    let invite = w.expect(BOB, "INVITE");
    let mut bob = Side::callee(BOB, &invite);
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect(PBX, "SIP/2.0 100");
    let ok = w.expect(PBX, "SIP/2.0 200");
    let mut pbx = side;
    pbx.learn(&ok);
    let ack = pbx.text("ACK", 1, 990, "", "").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    w.input(|core, cx| core.on_sip(cx, came, ack.as_bytes()));
    w.expect(BOB, "ACK");
    w.request(&mut bob, "BYE", "", "");
    w.expect(PBX, "BYE");
    let expected = Flow::tcp(LocalId(0), PBX.addr.parse().unwrap(), Some(ConnId(7)));
    assert_eq!(w.last_flow, expected, "the connection, and else the port at which the trunk listens");
}

#[test]
fn what_is_an_ims_phones_alone_does_not_reach_the_trunk() {
    let mut w = world(|_| {});
    let headers = "Supported: 100rel, precondition, sec-agree, timer\r\nRequire: sec-agree\r\nProxy-Require: sec-agree\r\n\
        Security-Verify: ipsec-3gpp;alg=hmac-sha-1-96\r\nP-Access-Network-Info: 3GPP-E-UTRAN-FDD\r\nP-Early-Media: supported\r\n\
        Accept-Contact: *;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"\r\n\
        P-Preferred-Service: urn:urn-7:3gpp-service.ims.icsi.mmtel\r\nSession-Expires: 1800\r\nX-Odd: 1\r\n";
    let waits = "a=inactive\r\na=curr:qos local none\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
        a=des:qos none remote sendrecv\r\n";
    let mut alice = w.invite(ALICE, "tel:+49301234", headers, &SDP.replace("a=sendrecv\r\n", waits));
    let invite = w.expect(PBX, "INVITE");
    assert_eq!(header(&invite, HeaderId::Supported), "100rel,timer", "{invite}");
    for gone in [
        "sec-agree",
        "Security",
        "P-Access",
        "P-Early",
        "Accept-Contact",
        "3gpp",
        "qos",
        "inactive",
        "P-Called",
    ] {
        assert!(!invite.contains(gone), "{gone}: {invite}");
    }
    assert!(
        invite.contains("\r\nSession-Expires: 1800;refresher=uac\r\n") && invite.contains("\r\nX-Odd: 1\r\n"),
        "{invite}"
    );
    assert!(body(&invite).contains("a=sendrecv"), "{invite}");
    w.answer(PBX, &invite, 200, "Require: timer\r\nSession-Expires: 1800;refresher=uac\r\n", SDP);
    w.expect(PBX, "ACK");
    // in preconditions we are the phone's partner
    alice.learn(&w.expect(ALICE, "SIP/2.0 183"));
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    let ready = waits.replace("local none", "local sendrecv").replace("inactive", "sendrecv");
    w.request(&mut alice, "UPDATE", "", &SDP.replace("a=sendrecv\r\n", &ready));
    w.expect(ALICE, "SIP/2.0 200");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(header(&ok, HeaderId::SessionExpires), "1800;refresher=uac");
    w.ack(&alice, 1, "");
    w.expect_nothing();
    let held = SDP.replace("sendrecv", "sendonly");
    w.request(&mut alice, "UPDATE", "Contact: <sip:alice@192.0.2.1>;+g.3gpp.icsi-ref=\"x\"\r\n", &held);
    let update = w.expect(PBX, "UPDATE");
    assert_eq!(header(&update, HeaderId::Contact), "<sip:ims@198.51.100.1:5060>");
}

#[test]
fn the_trunk_is_told_by_which_name_a_call_is_charged() {
    let said = "P-Charging-Vector: icid-value=forged\r\n";
    let mut w = world(|_| {});
    let mut told = |uri: &str, to: Phone| {
        w.invite(ALICE, uri, said, SDP);
        header(&w.expect(to, "INVITE"), HeaderId::PChargingVector)
    };
    let first = told("tel:+49301234", PBX);
    assert!(
        first.starts_with("icid-value=\"") && first.contains("\";icid-generated-at=198.51.100.1"),
        "{first}"
    );
    assert_ne!(first, told("tel:+49301234", PBX), "each call has its own");
    assert_eq!(told("tel:+33600000002", BOB), "", "a phone is not told");
}

/// What a phone behind the PBX answers to a request.
fn behind(request: &str, tag: &str, status: u16, headers: &str, sdp: &str) -> String {
    let own = format!(";tag=T{}", PBX.addr.replace([':', '.'], ""));
    let text = reply(PBX, request, status, headers, sdp);
    text.replace(&own, &format!(";tag={tag}"))
        .replace("<sip:pbx@192.0.2.9:5060>", &format!("<sip:{tag}@10.9.9.9>"))
}

#[test]
fn a_pbx_that_forks_rings_several_phones_and_the_one_that_answers_has_the_call() {
    let mut w = world(|_| {});
    let alice = w.invite(ALICE, "tel:+49301234", "Supported: 100rel\r\n", SDP);
    let invite = w.expect(PBX, "INVITE");
    let mut halves = Vec::new();
    for (tag, rseq) in [("desk", 1), ("cordless", 900)] {
        let reliable = format!("Require: 100rel\r\nRSeq: {rseq}\r\n");
        w.send(PBX, &behind(&invite, tag, 183, &reliable, &SDP.replace("4000", &format!("{}", 6000 + rseq))));
        let mut half = alice.clone();
        half.learn(&w.expect(ALICE, "SIP/2.0 183"));
        w.request(&mut half, "PRACK", &format!("RAck: {rseq} 1 INVITE\r\n"), "");
        // its contact is behind the PBX, which is where requests go
        let prack = w.expect(PBX, &format!("PRACK sip:{tag}@10.9.9.9 "));
        assert_eq!(header(&prack, HeaderId::RAck), format!("{rseq} 1 INVITE"));
        w.send(PBX, &behind(&prack, tag, 200, "", ""));
        w.expect(ALICE, "SIP/2.0 200");
        halves.push(half);
    }
    assert_ne!(halves[0].remote, halves[1].remote);
    w.send(PBX, &behind(&invite, "desk", 200, "", ""));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(header(&ok, HeaderId::To), halves[0].remote);
    w.send(PBX, &behind(&invite, "cordless", 200, "", ""));
    w.expect(PBX, "ACK sip:cordless@10.9.9.9 ");
    let bye = w.expect(PBX, "BYE sip:cordless@10.9.9.9 ");
    w.send(PBX, &behind(&bye, "cordless", 200, "", ""));
    w.ack(&halves[0], 1, "");
    w.expect(PBX, "ACK sip:desk@10.9.9.9 ");
    w.expect_nothing();
    assert!(w.core.dialog_views(w.now)[1..].iter().all(|v| v.is_trunk));
    w.request(&mut halves[0], "BYE", "", "");
    w.expect(ALICE, "SIP/2.0 200");
    let bye = w.expect(PBX, "BYE sip:desk@10.9.9.9 ");
    w.send(PBX, &behind(&bye, "desk", 200, "", ""));
    w.quiet();
}
