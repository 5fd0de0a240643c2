//! Callers whose media is not to be seen where it comes from, and who would rather not call than be seen (RFC 3323 4.2, 5).

use super::*;
use crate::config::model::MediaRelay;

/// An audio stream, and messages that no relay takes.
fn with_messages() -> String {
    format!("{SDP}m=message 9000 TCP/MSRP *\r\na=path:msrp://192.0.2.1:9000/x;tcp\r\n")
}

fn world(change: impl FnOnce(&mut Config)) -> World {
    let mut w = World::with(change);
    w.register(ALICE, "");
    w.register(BOB, "");
    w
}

#[test]
fn the_media_of_who_wants_session_privacy_passes_here() {
    for wish in ["session", "id;session", "session;critical", "user; session; critical"] {
        let mut w = world(|_| {});
        let mut alice =
            w.invite(ALICE, "sip:bob@ims.test", &format!("Privacy: {wish}\r\n"), &with_messages());
        let invite = w.expect(BOB, "INVITE");
        let offer = body(&invite);
        assert!(
            offer.contains("c=IN IP4 198.51.100.1\r\n") && !offer.contains("IN IP4 192.0.2.1"),
            "{offer}"
        );
        assert!(offer.contains("m=message 0 TCP/MSRP *\r\n"), "its address would be seen: {offer}");
        w.answer(BOB, &invite, 200, "", &format!("{SDP}m=message 0 TCP/MSRP *\r\n"));
        alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
        w.ack(&alice, 1, "");
        w.expect(BOB, "ACK");
        assert_eq!(w.open_ports.len(), 2);
        w.request(&mut alice, "BYE", "", "");
        w.quiet();
    }
}

#[test]
fn who_wants_nothing_of_it_is_not_relayed() {
    for wish in ["", "Privacy: id\r\n", "Privacy: none;session;critical\r\n", "Privacy: id;critical\r\n"] {
        let mut w = world(|_| {});
        w.invite(ALICE, "sip:bob@ims.test", wish, &with_messages());
        assert_eq!(body(&w.expect(BOB, "INVITE")), with_messages(), "{wish}");
        assert_eq!(w.open_ports, []);
    }
}

#[test]
fn what_cannot_be_hidden_stops_the_call_where_it_is_critical_and_no_other() {
    for (wish, phrase, words) in [
        ("session", "", ""),
        ("session;critical", "500 Privacy Not Possible: session", "media_relay off"),
        ("header;unheard;critical", "500 Privacy Not Possible: unknown level", "is not known here"),
        ("unheard", "", ""),
    ] {
        let mut w = world(|c| c.call.media_relay = MediaRelay::Off);
        w.invite(ALICE, "sip:bob@ims.test", &format!("Privacy: {wish}\r\n"), SDP);
        if phrase.is_empty() {
            assert_eq!(body(&w.expect(BOB, "INVITE")), SDP, "{wish}");
        } else {
            let refused = w.expect(ALICE, &format!("SIP/2.0 {phrase}\r\n"));
            assert!(header(&refused, HeaderId::Warning).contains(words), "{refused}");
            w.quiet();
        }
    }
}

#[test]
fn media_that_cannot_pass_here_for_want_of_an_address_is_not_shown_either() {
    let offer = SDP.replace("IP4 192.0.2.1", "IP6 2001:db8::a11");
    for (critical, is_called) in [(";critical", false), ("", true)] {
        let mut w = world(|c| {
            c.sip.pop();
        });
        w.invite(ALICE, "sip:bob@ims.test", &format!("Privacy: session{critical}\r\n"), &offer);
        assert_eq!(w.find(BOB, "INVITE").is_some(), is_called);
        if !is_called {
            let refused = w.expect(ALICE, "SIP/2.0 500");
            assert!(header(&refused, HeaderId::Warning).contains("no media address of ours"), "{refused}");
            w.quiet();
        }
    }
}

#[test]
fn an_echo_number_and_an_emergency_call_refuse_nobody_for_its_privacy() {
    let mut w = World::with(|c| {
        c.echo.push(Impu::new("urn:service:sos"));
        c.call.media_relay = MediaRelay::Off;
    });
    w.register(ALICE, "");
    for number in ["tel:666", "urn:service:sos"] {
        let mut alice = w.invite(ALICE, number, "Privacy: session;critical\r\n", SDP);
        alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
        w.ack(&alice, 1, "");
        w.request(&mut alice, "BYE", "", "");
        w.expect(ALICE, "SIP/2.0 200");
    }
    w.quiet();
}
