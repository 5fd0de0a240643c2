//! Re-INVITEs of ours in a call between users.

use super::*;
use crate::wire::sdp::{MediaKind, Sdp};

const VIDEO: &str = "m=video 4002 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n";

fn offer_of(addr: &str, version: u32) -> String {
    SDP.replace("192.0.2.1", addr).replace("- 1 1 IN", &format!("- 1 {version} IN")) + VIDEO
}

/// A video call between Alice and Bob, and its index.
fn video_call() -> (World, Side, Side, u32) {
    let mut w = World::registered();
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", &offer_of("192.0.2.1", 1));
    let invite = w.expect(BOB, "INVITE");
    let bob = Side::callee(BOB, &invite);
    w.answer(BOB, &invite, 200, "", &offer_of("192.0.2.2", 1));
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    let index = w.core.dialog_views(w.now)[0].index;
    (w, alice, bob, index)
}

fn version(text: &str) -> Vec<u8> {
    Sdp::parse(body(text).as_bytes()).unwrap().origin().unwrap().version.to_vec()
}

#[test]
fn both_phones_are_asked_again_and_the_session_stays() {
    let (mut w, mut alice, _, index) = video_call();
    w.set(index, Action::Reinvite(None)).unwrap();
    let (to_alice, to_bob) = (w.expect(ALICE, "INVITE sip:alice@"), w.expect(BOB, "INVITE sip:bob@"));
    assert_eq!(body(&to_alice), offer_of("192.0.2.2", 1), "what she was told before, word for word");
    assert_eq!(body(&to_bob), offer_of("192.0.2.1", 1));
    assert!(w.set(index, Action::Reinvite(None)).unwrap_err().contains("a change of the call is under way"));
    // a change of hers meets ours
    w.request(&mut alice, "INVITE", "", &offer_of("192.0.2.1", 2));
    w.expect(ALICE, "SIP/2.0 491");
    w.send(ALICE, &alice.text("ACK", alice.cseq, w.branch, "", ""));
    w.answer(ALICE, &to_alice, 200, "", &offer_of("192.0.2.1", 1));
    w.expect(ALICE, "ACK");
    w.answer(BOB, &to_bob, 488, "", "");
    w.expect(BOB, "ACK");
    assert_eq!(w.states(), ["start", "start"]);
    w.request(&mut alice, "BYE", "", "");
    w.expect(BOB, "BYE");
    w.quiet();
}

#[test]
fn video_is_given_up_and_comes_back() {
    let (mut w, mut alice, _, index) = video_call();
    w.set(index, Action::Downgrade(MediaKind::Video)).unwrap();
    let (to_alice, to_bob) = (w.expect(ALICE, "INVITE"), w.expect(BOB, "INVITE"));
    for (phone, request, own) in [(ALICE, &to_alice, "192.0.2.1"), (BOB, &to_bob, "192.0.2.2")] {
        assert!(body(request).contains("m=video 0 RTP/AVP 99\r\n"), "{request}");
        assert_eq!(version(request), b"2");
        w.answer(phone, request, 200, "", &offer_of(own, 2).replace("video 4002", "video 0"));
        w.expect(phone, "ACK");
    }
    let views = w.core.dialog_views(w.now);
    assert_eq!(views[0].medias.iter().map(|m| m.kind).collect::<Vec<_>>(), ["audio"]);
    let why = w.set(index, Action::Downgrade(MediaKind::Video)).unwrap_err();
    assert_eq!(why, format!("dialog {index}: the call has no video"));
    assert!(
        w.set(index, Action::Downgrade(MediaKind::Audio))
            .unwrap_err()
            .contains("audio is all that the call has")
    );
    assert!(
        w.set(index, Action::Hold(None)).unwrap_err().contains("hold is for calls of type echo and mt_call")
    );
    // RFC 3264 8: what passes later has a later version than what we have said
    w.request(&mut alice, "INVITE", "", &offer_of("192.0.2.1", 3));
    let up = w.expect(BOB, "INVITE");
    assert_eq!(version(&up), b"3");
    w.answer(BOB, &up, 200, "", &offer_of("192.0.2.2", 2));
    w.expect(ALICE, "SIP/2.0 100");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(version(&ok), b"3", "Bob's own number is the one that she has seen already");
    w.ack(&alice, alice.cseq, "");
    w.expect(BOB, "ACK");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}
