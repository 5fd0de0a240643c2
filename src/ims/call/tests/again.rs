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

/// A phone refuses a request of ours.
fn refuses(w: &mut World, phone: Phone, request: &str, status: u16) {
    w.answer(phone, request, status, "", "");
    w.expect(phone, "ACK");
}

/// How long until the next INVITE to a phone, in steps of 10 ms.
fn waits(w: &mut World, phone: Phone) -> (Duration, String) {
    let start = w.now;
    let text = w.wait_for(phone, "INVITE", Duration::from_secs(5));
    (w.now.since(start), text)
}

#[test]
fn one_that_meets_a_change_of_a_phones_is_made_again_after_a_wait_that_is_drawn() {
    let (mut w, mut alice, _, index) = video_call();
    w.set(index, Action::Reinvite(None)).unwrap();
    let (to_alice, to_bob) = (w.expect(ALICE, "INVITE"), w.expect(BOB, "INVITE"));
    refuses(&mut w, ALICE, &to_alice, 491);
    refuses(&mut w, BOB, &to_bob, 491);
    w.expect_nothing();
    // RFC 3261 14.1: the Call-ID is Alice's on her side, and ours on Bob's
    let (short, to_alice) = waits(&mut w, ALICE);
    w.answer(ALICE, &to_alice, 200, "", &offer_of("192.0.2.1", 1));
    w.expect(ALICE, "ACK");
    let (more, to_bob) = waits(&mut w, BOB);
    let (short, long) = (short.as_millis(), (short + more).as_millis());
    assert!(short <= 2000 && (2100..=4000).contains(&long), "{short} ms, {long} ms");
    assert_eq!(body(&to_alice), offer_of("192.0.2.2", 1));
    assert_eq!(body(&to_bob), offer_of("192.0.2.1", 1));
    w.answer(BOB, &to_bob, 200, "", &offer_of("192.0.2.2", 1));
    w.expect(BOB, "ACK");
    w.pass(Duration::from_secs(10));
    w.expect_nothing();
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_phone_that_never_has_time_is_left_alone_after_a_while() {
    let (mut w, mut alice, _, index) = video_call();
    w.set(index, Action::Reinvite(None)).unwrap();
    let to_alice = w.expect(ALICE, "INVITE");
    refuses(&mut w, ALICE, &to_alice, 200 + 288);
    let mut times = 0;
    while let Some(to_bob) = w.find(BOB, "INVITE") {
        times += 1;
        // RFC 3261 14.2: a phone that is still answering another one says for how long
        w.answer(BOB, &to_bob, 500, "Retry-After: 3\r\n", "");
        w.expect(BOB, "ACK");
        w.pass(Duration::from_millis(2990));
        w.expect_nothing();
        w.pass(Duration::from_millis(20));
    }
    assert_eq!(times, 1 + u32::from(crate::ims::call::limits::MAX_GLARES));
    w.set(index, Action::Reinvite(None)).unwrap();
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_refused_downgrade_leaves_what_the_phone_knows() {
    let (mut w, mut alice, _, index) = video_call();
    w.set(index, Action::Downgrade(MediaKind::Video)).unwrap();
    let (to_alice, to_bob) = (w.expect(ALICE, "INVITE"), w.expect(BOB, "INVITE"));
    refuses(&mut w, ALICE, &to_alice, 488);
    refuses(&mut w, BOB, &to_bob, 488);
    w.pass(Duration::from_secs(5));
    w.expect_nothing();
    w.set(index, Action::Reinvite(None)).unwrap();
    for (phone, other) in [(ALICE, "192.0.2.2"), (BOB, "192.0.2.1")] {
        let again = w.expect(phone, "INVITE");
        assert_eq!(body(&again), offer_of(other, 1), "what was agreed on");
        refuses(&mut w, phone, &again, 488);
    }
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_downgrade_that_one_phone_takes_at_once_and_the_other_later_is_whole() {
    let (mut w, mut alice, _, index) = video_call();
    let without = |own: &str| offer_of(own, 2).replace("video 4002", "video 0");
    w.set(index, Action::Downgrade(MediaKind::Video)).unwrap();
    let (to_alice, to_bob) = (w.expect(ALICE, "INVITE"), w.expect(BOB, "INVITE"));
    refuses(&mut w, BOB, &to_bob, 491);
    w.answer(ALICE, &to_alice, 200, "", &without("192.0.2.1"));
    w.expect(ALICE, "ACK");
    let (_, to_bob) = waits(&mut w, BOB);
    assert!(body(&to_bob).contains("m=video 0 RTP/AVP 99\r\n"), "{to_bob}");
    w.answer(BOB, &to_bob, 200, "", &without("192.0.2.2"));
    w.expect(BOB, "ACK");
    w.pass(Duration::from_secs(10));
    w.expect_nothing();
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_downgrade_that_has_met_a_change_of_one_phone_drops_what_that_has_brought_back() {
    let (mut w, mut alice, mut bob, index) = video_call();
    let without = |own: &str, version| offer_of(own, version).replace("video 4002", "video 0");
    w.set(index, Action::Downgrade(MediaKind::Video)).unwrap();
    let (to_alice, to_bob) = (w.expect(ALICE, "INVITE"), w.expect(BOB, "INVITE"));
    refuses(&mut w, BOB, &to_bob, 491);
    w.answer(ALICE, &to_alice, 200, "", &without("192.0.2.1", 2));
    w.expect(ALICE, "ACK");
    // Bob's own change goes first: his video is still there, and Alice takes it
    w.request(&mut bob, "INVITE", "", &offer_of("192.0.2.2", 2));
    w.expect(BOB, "SIP/2.0 100");
    let theirs = w.expect(ALICE, "INVITE");
    w.answer(ALICE, &theirs, 200, "", &offer_of("192.0.2.1", 3));
    w.expect(BOB, "SIP/2.0 200");
    w.ack(&bob, bob.cseq, "");
    w.expect(ALICE, "ACK");
    let (_, to_bob) = waits(&mut w, BOB);
    let to_alice = w.expect(ALICE, "INVITE");
    for (phone, request, own) in [(ALICE, &to_alice, "192.0.2.1"), (BOB, &to_bob, "192.0.2.2")] {
        assert!(body(request).contains("m=video 0 RTP/AVP 99\r\n"), "{request}");
        w.answer(phone, request, 200, "", &without(own, 4));
        w.expect(phone, "ACK");
    }
    w.pass(Duration::from_secs(10));
    w.expect_nothing();
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

/// A call in which a session timer is ours to keep alive on both sides; the first refresh is due, and goes to Bob's phone.
fn refreshed_call() -> (World, Side, String) {
    let (mut w, alice, ..) = video_call();
    w.pass(Duration::from_secs(900));
    let to_alice = w.expect(ALICE, "INVITE");
    w.answer(ALICE, &to_alice, 200, "", &offer_of("192.0.2.1", 1));
    w.expect(ALICE, "ACK");
    let to_bob = w.expect(BOB, "INVITE");
    (w, alice, to_bob)
}

#[test]
fn an_answer_to_a_refresh_that_says_something_else_is_told_to_the_other_phone() {
    let (mut w, mut alice, to_bob) = refreshed_call();
    assert_eq!(body(&to_bob), offer_of("192.0.2.1", 1));
    // Bob's phone has moved, and lost its camera
    let moved = offer_of("192.0.2.9", 2).replace("audio 4000", "audio 4700").replace("video 4002", "video 0");
    w.answer(BOB, &to_bob, 200, "", &moved);
    w.expect(BOB, "ACK");
    let told = w.expect(ALICE, "INVITE");
    assert_eq!(body(&told), moved);
    // she is busy: it is said again
    refuses(&mut w, ALICE, &told, 491);
    let (_, told) = waits(&mut w, ALICE);
    assert_eq!(body(&told).replace("- 1 3 IN", "- 1 2 IN"), moved);
    w.answer(ALICE, &told, 200, "", &offer_of("192.0.2.1", 2).replace("video 4002", "video 0"));
    w.expect(ALICE, "ACK");
    w.expect_nothing();
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn an_answer_to_a_refresh_that_says_the_same_tells_nobody_anything() {
    let (mut w, mut alice, to_bob) = refreshed_call();
    w.answer(BOB, &to_bob, 200, "", &offer_of("192.0.2.2", 7));
    w.expect(BOB, "ACK");
    w.pass(Duration::from_secs(30));
    w.expect_nothing();
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}
