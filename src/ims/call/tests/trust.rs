//! What a phone may not do to the other one: forge, look behind a mask, or speak in a call that is not its own.

use super::*;

const STRANGER: Phone = Phone { addr: "203.0.113.66:5060", user: "mallory" };

/// The lines of a message's head as a reader sees them that takes a lone CR or LF for the end of a line.
fn careless_lines(text: &str) -> Vec<&str> {
    text.split("\r\n\r\n").next().unwrap().split(['\r', '\n']).map(str::trim_start).collect()
}

#[test]
fn no_header_is_smuggled_in_by_folding_or_lone_line_ends() {
    let mut w = World::registered();
    let headers = "Subject: hi\rP-Asserted-Identity: <tel:+1>\r\nX-Odd: a\r\n P-Asserted-Identity: <tel:+2>\r\n\
        X-Other: b\n\tP-Asserted-Identity: <tel:+3>\r\nReason: SIP\rP-Asserted-Identity: <tel:+4>\r\n";
    w.invite(ALICE, "sip:bob@ims.test", headers, SDP);
    let invite = w.expect(BOB, "INVITE");
    for number in ["+1", "+2", "+3", "+4"] {
        let forged = format!("P-Asserted-Identity: <tel:{number}>");
        assert!(!careless_lines(&invite).iter().any(|l| l.starts_with(&forged)), "{invite}");
    }
    assert!(invite.contains("X-Odd: a   P-Asserted-Identity: <tel:+2>\r\n"), "unfolded: {invite}");
    let text = reply(BOB, &invite, 486, "", "").replace("Phone says", "Busy\rP-Asserted-Identity: <tel:+5>");
    w.send(BOB, &text);
    let refused = w.expect(ALICE, "SIP/2.0 486 Busy P-Asserted");
    assert!(!careless_lines(&refused).iter().any(|l| l.starts_with("P-Asserted-Identity: <tel:+5>")));
}

#[test]
fn what_only_the_network_may_say_is_not_taken_from_a_phone() {
    let names = [
        "Remote-Party-ID",
        "P-Served-User",
        "P-Charging-Vector",
        "P-Charging-Function-Addresses",
        "P-DCS-Billing-Info",
        "p-profile-key",
        "Cellular-Network-Info",
        "P-Asserted-Identity",
        "Route",
        "Path",
    ];
    let headers: String = names.iter().map(|n| format!("{n}: <sip:boss@ims.test;lr>\r\n")).collect();
    let mut w = World::registered();
    w.invite(ALICE, "sip:bob@ims.test", &headers, SDP);
    let invite = w.expect(BOB, "INVITE");
    assert!(!invite.contains("boss"), "{invite}");
    w.answer(BOB, &invite, 180, &headers, "");
    let ringing = w.expect(ALICE, "SIP/2.0 180");
    assert!(!ringing.contains("boss"), "{ringing}");
}

#[test]
fn a_hidden_caller_stays_hidden_when_it_answers_later() {
    for hides_by in ["header", "settings"] {
        let mut w = World::with(|c| c.users[0].impus[0].anonymous = hides_by == "settings");
        w.register(ALICE, "");
        w.register(BOB, "");
        let wish = if hides_by == "header" { "Privacy: id\r\n" } else { "" };
        let mut alice = w.invite(ALICE, "sip:bob@ims.test", wish, SDP);
        let invite = w.expect(BOB, "INVITE");
        w.answer(BOB, &invite, 200, "", SDP);
        alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
        w.ack(&alice, 1, "");
        w.expect(BOB, "ACK");
        let mut bob = Side::callee(BOB, &invite);
        w.request(&mut bob, "INVITE", "", SDP);
        w.expect(BOB, "SIP/2.0 100");
        let again = w.expect(ALICE, "INVITE");
        w.answer(ALICE, &again, 200, "", SDP);
        let ok = w.expect(BOB, "SIP/2.0 200");
        assert_eq!(header(&ok, HeaderId::PAssertedIdentity), "", "{ok}");
    }
}

#[test]
fn a_callee_whose_identity_is_anonymous_is_not_told_to_the_caller() {
    let mut w = World::with(|c| c.users[1].impus[1].anonymous = true);
    w.register(ALICE, "");
    w.register(BOB, "");
    w.invite(ALICE, "tel:+33600000002", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    assert_eq!(header(&w.expect(ALICE, "SIP/2.0 180"), HeaderId::PAssertedIdentity), "");
}

#[test]
fn a_caller_unknown_to_all_shows_nothing_of_itself() {
    let mut w = World::registered();
    let telling = "Privacy: user\r\nSubject: from Alice\r\nReply-To: <sip:alice@home>\r\nOrganization: Alice Inc\r\n\
        Call-Info: <http://alice>\r\nReferred-By: <sip:alice@ims.test>\r\nX-Odd: kept\r\n";
    w.invite(ALICE, "sip:bob@ims.test", telling, SDP);
    let invite = w.expect(BOB, "INVITE");
    assert!(!invite.to_ascii_lowercase().contains("alice") && invite.contains("X-Odd: kept"), "{invite}");
}

#[test]
fn a_display_name_with_quotes_is_one_quoted_string() {
    let mut w = World::with(|c| c.users[0].impus[0].display_name = Some("Al \"Ice\"".to_owned()));
    w.register(ALICE, "");
    w.register(BOB, "");
    w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let from = header(&w.expect(BOB, "INVITE"), HeaderId::From);
    assert!(from.starts_with("\"Al \\\"Ice\\\"\" <sip:alice@ims.test>;tag="), "{from}");
}

#[test]
fn a_stranger_who_knows_the_call_cannot_speak_in_it() {
    let mut w = World::registered();
    let (mut alice, mut bob) = w.call();
    for (side, other) in [(&alice, BOB), (&bob, ALICE)] {
        let mut thief = Side { phone: STRANGER, ..side.clone() };
        for method in ["INFO", "INVITE", "BYE"] {
            w.request(&mut thief, method, "Contact: <sip:mallory@203.0.113.66>\r\n", "");
            w.expect(STRANGER, "SIP/2.0 403");
            assert!(w.find(other, method).is_none());
        }
    }
    assert_eq!(w.states(), ["start", "start"]);
    // neither the flow nor the order of the dialog's own phones has suffered
    w.request(&mut alice, "INFO", "", "");
    let info = w.expect(BOB, "INFO sip:bob@192.0.2.2:5060");
    w.answer(BOB, &info, 200, "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.request(&mut bob, "BYE", "", "");
    w.expect(BOB, "SIP/2.0 200");
    w.expect(ALICE, "BYE sip:alice@192.0.2.1:5060");
    w.quiet();
}

#[test]
fn the_ack_of_a_stranger_does_not_count() {
    let mut w = World::registered();
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", "");
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", SDP);
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.ack(&Side { phone: STRANGER, ..alice.clone() }, 1, &SDP.replace("192.0.2.1", "203.0.113.66"));
    w.expect_nothing();
    w.ack(&alice, 1, SDP);
    assert_eq!(body(&w.expect(BOB, "ACK")), SDP);
}

#[test]
fn a_phone_that_has_registered_from_elsewhere_goes_on_with_its_call() {
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    let moved = Phone { addr: "203.0.113.7:5060", ..ALICE };
    w.register(moved, "");
    alice.phone = moved;
    w.request(&mut alice, "BYE", "", "");
    w.expect(moved, "SIP/2.0 200");
    w.expect(BOB, "BYE");
    w.quiet();
}

#[test]
fn a_request_out_of_order_does_not_move_the_call() {
    let mut w = World::with(|c| c.echo[0].anonymous = true);
    let first = Phone { addr: "192.0.2.8:1111", user: "alice" };
    let mut alice = w.invite(first, "tel:666", "", SDP);
    alice.learn(&w.expect(first, "SIP/2.0 200"));
    w.ack(&alice, 1, "");
    let second = Phone { addr: "192.0.2.8:2222", ..first };
    let mut old = Side { phone: second, cseq: 0, ..alice.clone() };
    w.request(&mut old, "INFO", "", "");
    w.expect(second, "SIP/2.0 500");
    let index = w.core.dialog_views(w.now)[0].index;
    w.input(|core, cx| core.stop_dialog(cx, index)).unwrap();
    w.expect(first, "BYE");
    w.quiet();
}

#[test]
fn the_way_through_a_proxy_is_recorded_in_the_answer() {
    let mut w = World::registered();
    let routes = "Record-Route: <sip:p2.test;lr>, <sip:p1.test;lr>\r\n";
    for (uri, rings) in [("sip:bob@ims.test", true), ("tel:666", false)] {
        let mut alice = w.invite(ALICE, uri, routes, SDP);
        if rings {
            let invite = w.expect(BOB, "INVITE");
            assert_eq!(header(&invite, HeaderId::RecordRoute), "");
            w.answer(BOB, &invite, 180, "", "");
            assert!(w.expect(ALICE, "SIP/2.0 180").contains(routes), "RFC 3261 12.1.1");
            w.answer(BOB, &invite, 200, "", SDP);
        }
        let ok = w.expect(ALICE, "SIP/2.0 200");
        assert!(ok.contains(routes), "{ok}");
        alice.learn(&ok);
        w.ack(&alice, 1, "");
        w.drop_all();
        let index = w.core.dialog_views(w.now).last().unwrap().index;
        w.input(|core, cx| core.stop_dialog(cx, index)).unwrap();
        let bye = w.find(ALICE, "BYE").unwrap();
        assert!(bye.contains("Route: <sip:p2.test;lr>\r\nRoute: <sip:p1.test;lr>\r\n"), "{bye}");
        w.quiet();
    }
}
