//! Session timers (RFC 4028): each side of a call has its own.

use super::*;
use crate::config::model::SessionTimer;

const TIMER: &str = "Supported: timer\r\n";
const ALLOW: &str = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n";

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn registered(change: impl FnOnce(&mut SessionTimer)) -> World {
    let mut w = World::with(|c| change(&mut c.call.session_timer));
    w.register(ALICE, "");
    w.register(BOB, "");
    w
}

/// What a message says of the timer: Session-Expires, Min-SE, and `timer` in Supported and Require.
fn terms(text: &str) -> (String, String, bool, bool) {
    let has = |id| header(text, id).split(',').any(|t| t.trim() == "timer");
    (
        header(text, HeaderId::SessionExpires),
        header(text, HeaderId::MinSe),
        has(HeaderId::Supported),
        has(HeaderId::Require),
    )
}

/// A call whose phones say this of their timers; with Bob's INVITE and Alice's 200.
fn call(w: &mut World, alice: &str, bob: &str) -> (Side, Side, String, String) {
    let mut caller = w.invite(ALICE, "sip:bob@ims.test", alice, SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, bob, SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    caller.learn(&ok);
    w.ack(&caller, 1, "");
    w.expect(BOB, "ACK");
    (caller, Side::callee(BOB, &invite), invite, ok)
}

fn minimal(interval: u64) -> impl FnOnce(&mut SessionTimer) {
    move |t| t.duration = secs(interval)
}

#[test]
fn each_side_has_its_own_timer_whatever_the_other_says() {
    let mut w = registered(|_| {});
    let alice = format!("Session-Expires: 600;refresher=uac\r\n{TIMER}{ALLOW}");
    let bob = format!("Session-Expires: 900;refresher=uas\r\nRequire: timer\r\n{ALLOW}");
    let (.., invite, ok) = call(&mut w, &alice, &bob);
    assert_eq!(terms(&invite), ("1800;refresher=uac".into(), "90".into(), true, false));
    assert_eq!(terms(&ok), ("600;refresher=uac".into(), "".into(), true, true));
    // both phones are to refresh and neither does: the shorter session ends first
    w.pass(secs(567));
    w.expect_nothing();
    w.pass(secs(1));
    for phone in [ALICE, BOB] {
        let reason = header(&w.expect(phone, "BYE"), HeaderId::Reason);
        assert_eq!(
            reason,
            "SIP;cause=408;text=\"sip:alice@ims.test has not refreshed its session of 600 s\""
        );
    }
    w.quiet();
}

#[test]
fn too_short_a_session_is_refused_with_what_would_do() {
    let mut w = registered(|t| t.min = secs(300));
    for uri in ["sip:bob@ims.test", "tel:666"] {
        let headers = format!("Session-Expires: 200\r\n{TIMER}");
        w.invite(ALICE, uri, &headers, SDP);
        let refused = w.expect(ALICE, "SIP/2.0 422 Session Interval Too Small");
        assert_eq!(header(&refused, HeaderId::MinSe), "300");
        w.expect_nothing();
    }
    // of a phone without timers it is no matter
    w.invite(ALICE, "sip:bob@ims.test", "Session-Expires: 200\r\n", SDP);
    w.expect(BOB, "INVITE");
    w.quiet();
    // nor inside a call another one than outside
    let mut w = registered(|t| t.min = secs(300));
    let (mut alice, mut bob, ..) = call(&mut w, TIMER, "");
    for (method, body) in [("UPDATE", ""), ("UPDATE", SDP), ("INVITE", SDP)] {
        for side in [&mut alice, &mut bob] {
            w.request(side, method, &format!("Session-Expires: 299\r\n{TIMER}"), body);
            let refused = w.expect(side.phone, "SIP/2.0 422");
            assert_eq!(header(&refused, HeaderId::MinSe), "300");
        }
    }
    w.expect_nothing();
    assert_eq!(w.states(), ["start", "start"]);
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_phone_that_finds_our_session_too_short_is_asked_again() {
    let mut w = registered(minimal(200));
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let first = w.expect(BOB, "INVITE");
    w.answer(BOB, &first, 422, "Min-SE: 500\r\n", "");
    w.expect(BOB, "ACK");
    let second = w.expect(BOB, "INVITE");
    assert_eq!(terms(&second), ("500;refresher=uac".into(), "500".into(), true, false));
    let same = |id| (header(&first, id), header(&second, id));
    for id in [HeaderId::CallId, HeaderId::From, HeaderId::To] {
        assert_eq!(same(id).0, same(id).1);
    }
    assert_eq!(same(HeaderId::CSeq), ("1 INVITE".into(), "2 INVITE".into()));
    assert_eq!(body(&first), body(&second));
    w.answer(BOB, &second, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.answer(BOB, &second, 200, "Session-Expires: 500;refresher=uac\r\nRequire: timer\r\n", SDP);
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.ack(&alice, 1, "");
    assert_eq!(header(&w.expect(BOB, "ACK"), HeaderId::CSeq), "2 ACK");
    w.request(&mut alice, "BYE", "", "");
    assert_eq!(header(&w.expect(BOB, "BYE"), HeaderId::CSeq), "3 BYE");
    w.quiet();
    // one that always wants more is none to call
    let mut w = registered(minimal(200));
    w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    for least in [300, 400, 500, 600] {
        let invite = w.expect(BOB, "INVITE");
        w.answer(BOB, &invite, 422, &format!("Min-SE: {least}\r\n"), "");
        w.expect(BOB, "ACK");
    }
    w.expect(ALICE, "SIP/2.0 500");
    w.quiet();
}

#[test]
fn we_refresh_who_cannot_with_what_it_takes() {
    for (phone, allow, method) in [(ALICE, ALLOW, "UPDATE"), (ALICE, "", "INVITE"), (BOB, ALLOW, "UPDATE")] {
        let mut w = registered(minimal(200));
        let has = |p: Phone| if p.addr == phone.addr { allow } else { "" };
        let (mut alice, ..) = call(&mut w, has(ALICE), has(BOB));
        for round in 1..=3 {
            w.pass(secs(99));
            w.expect_nothing();
            w.pass(secs(1));
            for to in [ALICE, BOB] {
                let method = if to.addr == phone.addr { method } else { "INVITE" };
                let refresh = w.expect(to, method);
                assert_eq!(terms(&refresh), ("200;refresher=uac".into(), "90".into(), true, false));
                let first = if to.addr == BOB.addr { 1 } else { 0 };
                assert_eq!(header(&refresh, HeaderId::CSeq), format!("{} {method}", first + round));
                assert_eq!(body(&refresh), if method == "INVITE" { SDP } else { "" });
                w.answer(to, &refresh, 200, "", if method == "INVITE" { SDP } else { "" });
                if method == "INVITE" {
                    let ack = w.expect(to, "ACK");
                    assert_eq!(header(&ack, HeaderId::CSeq), format!("{} ACK", first + round));
                    // a 200 that comes again has its ACK again
                    w.answer(to, &refresh, 200, "", SDP);
                    w.expect(to, "ACK");
                }
            }
            w.expect_nothing();
        }
        assert_eq!(w.states(), ["start", "start"]);
        w.request(&mut alice, "BYE", "", "");
        w.quiet();
    }
}

#[test]
fn the_configuration_chooses_the_method_and_the_refresher() {
    let mut w = registered(|t| (t.with_update, t.refresher_is_uac) = (false, false));
    let (.., invite, ok) = call(&mut w, &format!("{TIMER}{ALLOW}"), ALLOW);
    assert_eq!(terms(&invite).0, "1800;refresher=uas");
    assert_eq!(terms(&ok), ("1800;refresher=uas".into(), "".into(), true, true));
    w.pass(secs(900));
    w.expect(ALICE, "INVITE");
    w.expect(BOB, "INVITE");
    w.quiet();
    let mut w = registered(|t| t.force = false);
    w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    assert_eq!(terms(&w.expect(BOB, "INVITE")).0, "1800", "the phone chooses");
    w.quiet();
}

#[test]
fn each_identity_has_its_own_settings_on_its_side() {
    let own = |interval| Some(SessionTimer { duration: secs(interval), ..SessionTimer::default() });
    let mut w = World::with(|c| {
        c.users[0].impus[0].session_timer = own(300);
        c.users[1].impus[0].session_timer = own(700);
        c.echo[0].session_timer = own(800);
    });
    w.register(ALICE, "");
    w.register(BOB, "");
    let (mut alice, _, invite, ok) = call(&mut w, TIMER, "");
    assert_eq!((terms(&invite).0, terms(&ok).0), ("700;refresher=uac".into(), "300;refresher=uac".into()));
    w.request(&mut alice, "BYE", "", "");
    w.drop_all();
    w.invite(ALICE, "tel:666", TIMER, SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(terms(&ok).0, "300;refresher=uac", "the caller's counts");
    w.quiet();
    let mut w = World::with(|c| c.echo[0].session_timer = own(800));
    w.register(ALICE, "");
    w.invite(ALICE, "tel:666", TIMER, SDP);
    assert_eq!(
        terms(&w.expect(ALICE, "SIP/2.0 200")).0,
        "800;refresher=uac",
        "who has none has the number's"
    );
    w.quiet();
}

#[test]
fn a_refresh_of_a_phone_ends_at_us() {
    let mut w = registered(|_| {});
    let granted = "Session-Expires: 600;refresher=uas\r\nRequire: timer\r\n";
    let asked = format!("Session-Expires: 600;refresher=uac\r\n{TIMER}");
    let (mut alice, mut bob, ..) = call(&mut w, &asked, granted);
    for _ in 0..3 {
        w.pass(secs(300));
        for side in [&mut alice, &mut bob] {
            let contact = format!("Contact: <sip:{}@{}>\r\n", side.phone.user, side.phone.addr);
            w.request(side, "UPDATE", &format!("{asked}{contact}"), "");
            let ok = w.expect(side.phone, "SIP/2.0 200");
            assert_eq!(terms(&ok), ("600;refresher=uac".into(), "".into(), true, true));
            assert!(header(&ok, HeaderId::Contact).starts_with("<sip:ims@"), "{ok}");
        }
        w.expect_nothing();
    }
    w.pass(secs(567));
    w.expect_nothing();
    w.pass(secs(1));
    w.expect(ALICE, "BYE");
    w.expect(BOB, "BYE");
    w.quiet();
}

#[test]
fn a_callee_whose_200_is_on_its_way_is_granted_its_session() {
    let mut w = registered(|_| {});
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    let mut bob = Side::callee(BOB, &invite);
    w.request(&mut bob, "UPDATE", &format!("Session-Expires: 600;refresher=uac\r\n{TIMER}"), "");
    let update = w.expect(ALICE, "UPDATE");
    assert_eq!(terms(&update), ("".into(), "".into(), false, false), "to the caller it is early");
    w.answer(ALICE, &update, 200, "", "");
    assert_eq!(terms(&w.expect(BOB, "SIP/2.0 200")), ("600;refresher=uac".into(), "".into(), true, true));
    w.answer(BOB, &invite, 200, "Session-Expires: 600;refresher=uas\r\nRequire: timer\r\n", SDP);
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    w.pass(secs(568));
    w.expect(BOB, "BYE");
    w.expect(ALICE, "BYE");
    w.quiet();
}

#[test]
fn a_request_with_an_offer_passes_and_refreshes_both_sides() {
    for (method, from_alice) in [("INVITE", true), ("INVITE", false), ("UPDATE", true), ("UPDATE", false)] {
        let mut w = registered(minimal(600));
        let granted = "Session-Expires: 600;refresher=uas\r\nRequire: timer\r\n";
        let (mut alice, mut bob, ..) = call(&mut w, TIMER, granted);
        w.pass(secs(500));
        let (one, other) = if from_alice { (&mut alice, BOB) } else { (&mut bob, ALICE) };
        w.request(one, method, &format!("Session-Expires: 600;refresher=uac\r\n{TIMER}"), SDP);
        if method == "INVITE" {
            w.expect(one.phone, "SIP/2.0 100");
        }
        let passed = w.expect(other, method);
        assert_eq!(terms(&passed), ("600;refresher=uas".into(), "90".into(), true, false), "{method}");
        w.answer(other, &passed, 200, granted, SDP);
        let ok = w.expect(one.phone, "SIP/2.0 200");
        assert_eq!(terms(&ok), ("600;refresher=uac".into(), "".into(), true, true), "{method}");
        if method == "INVITE" {
            let side = one.clone();
            w.ack(&side, side.cseq, "");
            w.expect(other, "ACK");
        }
        w.pass(secs(567));
        w.expect_nothing();
        w.pass(secs(1));
        assert_eq!(w.states(), ["stop", "stop"]);
        w.quiet();
    }
}

#[test]
fn what_a_far_phone_finds_too_short_is_asked_again_and_never_the_other_phones_matter() {
    for method in ["INVITE", "UPDATE"] {
        let mut w = registered(minimal(200));
        let (mut alice, ..) = call(&mut w, TIMER, "");
        w.request(&mut alice, method, TIMER, SDP);
        w.find(ALICE, "SIP/2.0 100");
        let first = w.expect(BOB, method);
        w.answer(BOB, &first, 422, "Min-SE: 500\r\n", "");
        w.find(BOB, "ACK");
        let second = w.expect(BOB, method);
        assert_eq!(terms(&second), ("500;refresher=uac".into(), "500".into(), true, false));
        assert_eq!(header(&second, HeaderId::CSeq), format!("3 {method}"));
        w.answer(BOB, &second, 200, "", SDP);
        assert_eq!(terms(&w.expect(ALICE, "SIP/2.0 200")).0, "200;refresher=uac");
        if method == "INVITE" {
            w.ack(&alice, 2, "");
            assert_eq!(header(&w.expect(BOB, "ACK"), HeaderId::CSeq), "3 ACK");
        }
        w.request(&mut alice, method, TIMER, SDP);
        w.find(ALICE, "SIP/2.0 100");
        let third = w.expect(BOB, method);
        w.answer(BOB, &third, 422, "Min-SE: 500\r\n", "");
        w.find(BOB, "ACK");
        w.expect(ALICE, "SIP/2.0 500");
        w.request(&mut alice, "BYE", "", "");
        w.quiet();
    }
}

#[test]
fn a_refresh_that_nobody_knows_or_answers_ends_the_call_on_both_sides() {
    for (status, cause) in [(408, 408), (481, 481), (0, 408)] {
        let mut w = registered(|_| {});
        call(&mut w, TIMER, ALLOW);
        w.pass(secs(900));
        let update = w.expect(BOB, "UPDATE");
        match status {
            0 => w.pass(T1 * 64),
            _ => w.answer(BOB, &update, status, "", ""),
        }
        while w.find(BOB, "UPDATE").is_some() {}
        for phone in [ALICE, BOB] {
            let reason = header(&w.expect(phone, "BYE"), HeaderId::Reason);
            assert!(
                reason.starts_with(&format!("SIP;cause={cause};text=\"sip:bob@ims.test does not ")),
                "{reason}"
            );
        }
        w.quiet();
    }
}

#[test]
fn a_refresh_that_is_refused_is_tried_again_until_the_session_ends() {
    let mut w = registered(minimal(800));
    let (mut alice, ..) = call(&mut w, &format!("Session-Expires: 86400\r\n{TIMER}{ALLOW}"), ALLOW);
    let (start, mut times) = (w.now, Vec::new());
    while w.states() == ["start", "start"] {
        w.pass(secs(1));
        if w.now.since(start) == secs(350) {
            w.request(&mut alice, "UPDATE", TIMER, "");
            w.expect(ALICE, "SIP/2.0 200");
        }
        while let Some(update) = w.find(BOB, "UPDATE") {
            times.push(w.now.since(start).as_secs());
            w.answer(BOB, &update, 503, "", "");
        }
    }
    assert_eq!(times, [400, 500, 600, 700], "an eighth of the session lies between");
    assert_eq!(w.now.since(start), secs(768));
    let reason = header(&w.expect(BOB, "BYE"), HeaderId::Reason);
    assert!(reason.contains("has taken no refresh of its session of 800 s"), "{reason}");
    w.expect(ALICE, "BYE");
    w.quiet();
    // Retry-After is believed
    let mut w = registered(minimal(800));
    call(&mut w, TIMER, ALLOW);
    w.pass(secs(400));
    let update = w.expect(BOB, "UPDATE");
    w.answer(BOB, &update, 500, "Retry-After: 200\r\n", "");
    w.pass(secs(199));
    w.expect_nothing();
    w.pass(secs(1));
    w.expect(BOB, "UPDATE");
    w.quiet();
}

#[test]
fn a_refresh_goes_on_with_a_longer_session_or_another_method() {
    let mut w = registered(minimal(200));
    let (mut alice, ..) = call(&mut w, "", ALLOW);
    w.pass(secs(100));
    let refresh = w.expect(ALICE, "INVITE");
    w.answer(ALICE, &refresh, 422, "Min-SE: 400\r\n", "");
    w.expect(ALICE, "ACK");
    let again = w.expect(ALICE, "INVITE");
    assert_eq!(terms(&again), ("400;refresher=uac".into(), "400".into(), true, false));
    assert_eq!(header(&again, HeaderId::CSeq), "2 INVITE");
    w.answer(ALICE, &again, 200, "", SDP);
    w.expect(ALICE, "ACK");
    let update = w.expect(BOB, "UPDATE");
    w.answer(BOB, &update, 405, "", "");
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(body(&invite), SDP);
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect(BOB, "ACK");
    w.pass(secs(100));
    w.expect(BOB, "INVITE");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn glare_waits_for_a_while_that_nobody_else_waits_for() {
    // RFC 3261 14.1: the caller has made the Call-ID on its side, we on the other
    for (phone, from, to) in [(ALICE, 0, 2000), (BOB, 2100, 4000)] {
        let mut w = registered(minimal(200));
        let (mut alice, ..) = call(&mut w, "", "");
        w.pass(secs(100));
        let refresh = w.expect(phone, "INVITE");
        let (other, since) = (if phone.addr == BOB.addr { ALICE } else { BOB }, w.now);
        let theirs = w.expect(other, "INVITE");
        w.answer(other, &theirs, 200, "", SDP);
        w.expect(other, "ACK");
        w.answer(phone, &refresh, 491, "", "");
        w.expect(phone, "ACK");
        let again = loop {
            w.pass(Duration::from_millis(10));
            if let Some(again) = w.find(phone, "INVITE") {
                break again;
            }
        };
        let waited = w.now.since(since).as_millis();
        assert!((from..=to + 10).contains(&waited), "{waited}");
        w.answer(phone, &again, 200, "", SDP);
        w.expect(phone, "ACK");
        w.request(&mut alice, "BYE", "", "");
        w.quiet();
    }
}

#[test]
fn a_refresh_of_one_side_does_not_wait_for_ours_of_the_other() {
    let mut w = registered(minimal(200));
    let hers = format!("Session-Expires: 200;refresher=uac\r\n{TIMER}");
    let (mut alice, ..) = call(&mut w, &hers, ALLOW);
    w.pass(secs(100));
    let ours = w.expect(BOB, "UPDATE");
    w.request(&mut alice, "UPDATE", &hers, "");
    w.expect(ALICE, "SIP/2.0 200");
    w.answer(BOB, &ours, 200, "", "");
    w.expect_nothing();
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn offers_wait_for_our_reinvite_and_our_reinvite_for_offers() {
    let mut w = registered(minimal(200));
    let (mut alice, mut bob, ..) = call(&mut w, "", ALLOW);
    w.pass(secs(100));
    let refresh = w.expect(ALICE, "INVITE");
    let update = w.expect(BOB, "UPDATE");
    w.answer(BOB, &update, 200, "", "");
    for (method, status) in [("INVITE", 491), ("UPDATE", 491)] {
        for side in [&mut alice, &mut bob] {
            w.request(side, method, "", SDP);
            w.expect(side.phone, &format!("SIP/2.0 {status}"));
            if method == "INVITE" {
                let side = side.clone();
                w.ack_failure(&side);
            }
        }
    }
    w.request(&mut bob, "UPDATE", "", "");
    w.expect(BOB, "SIP/2.0 200");
    w.request(&mut bob, "INFO", "", "");
    let info = w.expect(ALICE, "INFO");
    w.answer(ALICE, &info, 200, "", "");
    w.expect(BOB, "SIP/2.0 200");
    w.expect_nothing();
    w.answer(ALICE, &refresh, 200, "", SDP);
    w.expect(ALICE, "ACK");
    // now the other way round: Bob's re-INVITE is under way when Alice's refresh is due
    w.pass(secs(99));
    w.expect_nothing();
    w.request(&mut bob, "INVITE", "", SDP);
    w.expect(BOB, "SIP/2.0 100");
    let passed = w.expect(ALICE, "INVITE");
    w.answer(ALICE, &passed, 180, "", "");
    w.expect(BOB, "SIP/2.0 180");
    w.pass(secs(5));
    while let Some(update) = w.find(BOB, "UPDATE") {
        w.answer(BOB, &update, 200, "", "");
    }
    assert!(w.find(ALICE, "INVITE").is_none(), "it waits");
    w.answer(ALICE, &passed, 200, "", SDP);
    w.expect(BOB, "SIP/2.0 200");
    w.pass(Duration::from_millis(100));
    w.ack(&bob, bob.cseq, "");
    w.expect(ALICE, "ACK");
    w.pass(secs(90));
    assert!(w.find(ALICE, "INVITE").is_none(), "the offer has refreshed the session");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_refresh_repeats_what_was_agreed_and_not_what_was_refused() {
    let held = SDP.replace("sendrecv", "sendonly");
    let mut w = registered(minimal(400));
    let (mut alice, ..) = call(&mut w, TIMER, "");
    w.request(&mut alice, "INVITE", "", &held);
    w.expect(ALICE, "SIP/2.0 100");
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 488, "", "");
    w.expect(BOB, "ACK");
    w.expect(ALICE, "SIP/2.0 488");
    w.ack_failure(&alice);
    w.pass(secs(200));
    let refresh = w.expect(BOB, "INVITE");
    assert_eq!(body(&refresh), SDP, "the offer was refused");
    w.answer(BOB, &refresh, 200, "", SDP);
    w.expect(BOB, "ACK");
    w.request(&mut alice, "UPDATE", TIMER, &held);
    let update = w.expect(BOB, "UPDATE");
    w.answer(BOB, &update, 200, "", &SDP.replace("sendrecv", "recvonly"));
    w.expect(ALICE, "SIP/2.0 200");
    w.pass(secs(200));
    let refresh = w.expect(BOB, "INVITE");
    assert_eq!(body(&refresh), held);
    w.answer(BOB, &refresh, 200, "", &SDP.replace("sendrecv", "recvonly"));
    w.expect(BOB, "ACK");
    assert_eq!(w.states(), ["hold", "hold"]);
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_refresh_repeats_what_was_agreed_after_offers_that_met() {
    let held = SDP.replace("sendrecv", "sendonly");
    let mut w = registered(minimal(400));
    let (mut alice, mut bob, ..) = call(&mut w, "", "");
    w.request(&mut alice, "INVITE", "", &held);
    w.expect(ALICE, "SIP/2.0 100");
    let to_bob = w.expect(BOB, "INVITE");
    let branch = w.branch;
    w.request(&mut bob, "INVITE", "", &held);
    w.expect(BOB, "SIP/2.0 100");
    let to_alice = w.expect(ALICE, "INVITE");
    w.answer(BOB, &to_bob, 491, "", "");
    w.answer(ALICE, &to_alice, 491, "", "");
    w.expect(ALICE, "SIP/2.0 491");
    w.send(ALICE, &alice.text("ACK", alice.cseq, branch, "", ""));
    w.expect(ALICE, "ACK");
    w.expect(BOB, "ACK");
    w.expect(BOB, "SIP/2.0 491");
    w.ack_failure(&bob);
    w.pass(secs(200));
    for phone in [ALICE, BOB] {
        let refresh = w.expect(phone, "INVITE");
        assert_eq!(body(&refresh), SDP, "both offers were refused");
        w.answer(phone, &refresh, 200, "", SDP);
        w.expect(phone, "ACK");
    }
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_refresh_repeats_an_offer_beside_which_something_else_was_refused() {
    let (held, taken) = (SDP.replace("sendrecv", "sendonly"), SDP.replace("sendrecv", "recvonly"));
    let mut w = registered(minimal(400));
    let (mut alice, ..) = call(&mut w, TIMER, "");
    w.request(&mut alice, "INVITE", "", &held);
    w.expect(ALICE, "SIP/2.0 100");
    let invite = w.expect(BOB, "INVITE");
    w.request(&mut alice, "INFO", "", "");
    let info = w.expect(BOB, "INFO");
    w.answer(BOB, &info, 405, "", "");
    w.expect(ALICE, "SIP/2.0 405");
    w.answer(BOB, &invite, 200, "", &taken);
    w.expect(ALICE, "SIP/2.0 200");
    w.ack(&alice, 2, "");
    w.expect(BOB, "ACK");
    w.pass(secs(200));
    let refresh = w.expect(BOB, "INVITE");
    assert_eq!(body(&refresh), held);
    w.answer(BOB, &refresh, 200, "", &taken);
    w.expect(BOB, "ACK");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn phones_that_have_vanished_leave_no_call_and_registrations_end_none() {
    let mut w = registered(|_| {});
    call(&mut w, &format!("{TIMER}{ALLOW}"), ALLOW);
    w.pass(secs(900 + 32));
    assert_eq!(w.states(), ["stop", "stop"], "Bob does not answer the refresh");
    w.quiet();
    // a call outlives the registrations of its phones
    let mut w = registered(|_| {});
    let (mut alice, ..) = call(&mut w, ALLOW, ALLOW);
    for _ in 0..10 {
        w.pass(secs(900));
        for phone in [ALICE, BOB] {
            let update = w.expect(phone, "UPDATE");
            w.answer(phone, &update, 200, "", "");
        }
    }
    assert_eq!(w.core.load().bindings, 0, "both registrations have run out");
    assert_eq!(w.states(), ["start", "start"]);
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn the_echo_refreshes_and_is_refreshed() {
    for (headers, method) in [(ALLOW, "UPDATE"), ("", "INVITE")] {
        let mut w = World::with(|c| {
            c.call.session_timer.duration = secs(200);
            c.call.dialog_timeout = secs(1000);
        });
        w.register(ALICE, "");
        let mut alice = w.invite(ALICE, "tel:666", headers, SDP);
        let ok = w.expect(ALICE, "SIP/2.0 200");
        assert_eq!(terms(&ok), ("200;refresher=uas".into(), "".into(), true, false));
        alice.learn(&ok);
        w.ack(&alice, 1, "");
        for _ in 0..3 {
            w.pass(secs(100));
            let refresh = w.expect(ALICE, method);
            assert_eq!(body(&refresh), if method == "INVITE" { body(&ok) } else { "" });
            if method == "INVITE" {
                w.request(&mut alice, "INVITE", "", SDP);
                w.expect(ALICE, "SIP/2.0 491");
                w.ack_failure(&alice);
            }
            w.answer(ALICE, &refresh, 200, "", if method == "INVITE" { SDP } else { "" });
            w.find(ALICE, "ACK");
            w.expect_nothing();
        }
        w.pass(secs(100));
        w.expect(ALICE, method);
        w.pass(T1 * 64);
        assert_eq!(w.states(), ["stop"], "it does not answer");
        w.quiet();
    }
    let mut w = registered(|_| {});
    let mut alice = w.invite(ALICE, "tel:666", TIMER, &SDP.replace("sendrecv", "sendonly"));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(terms(&ok), ("1800;refresher=uac".into(), "".into(), true, true));
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.pass(secs(1000));
    w.request(&mut alice, "UPDATE", TIMER, "");
    assert_eq!(terms(&w.expect(ALICE, "SIP/2.0 200")).0, "1800;refresher=uac");
    w.pass(secs(1767));
    assert_eq!(w.states(), ["hold"]);
    w.pass(secs(1));
    let reason = header(&w.expect(ALICE, "BYE"), HeaderId::Reason);
    assert!(reason.contains("has not refreshed its session of 1800 s"), "{reason}");
    w.quiet();
}

#[test]
fn the_operator_can_stop_the_timer_of_a_side() {
    let mut w = registered(minimal(200));
    let (mut alice, ..) = call(&mut w, ALLOW, ALLOW);
    let indexes: Vec<u32> = w.core.dialog_views(w.now).iter().map(|v| v.index).collect();
    assert_eq!(w.input(|core, cx| core.stop_session_timer(cx, indexes[1])), Ok(()));
    assert_eq!(w.input(|core, cx| core.stop_session_timer(cx, 999)), Err("no dialog 999".to_owned()));
    for _ in 0..5 {
        w.pass(secs(100));
        let update = w.expect(ALICE, "UPDATE");
        w.answer(ALICE, &update, 200, "", "");
        w.expect_nothing();
    }
    assert_eq!(w.input(|core, cx| core.stop_session_timer(cx, indexes[0])), Ok(()));
    w.pass(secs(5000));
    w.expect_nothing();
    assert_eq!(w.states(), ["start", "start"]);
    w.request(&mut alice, "BYE", "", "");
    w.pass(secs(1));
    let ended = w.input(|core, cx| core.stop_session_timer(cx, indexes[0]));
    assert_eq!(ended, Err(format!("dialog {} has ended already", indexes[0])));
    w.quiet();
}

#[test]
fn a_call_that_ends_while_our_reinvite_is_under_way_leaves_nothing() {
    for (first, then) in [(true, 200), (false, 200), (true, 487), (false, 481)] {
        let mut w = registered(minimal(200));
        let (mut alice, ..) = call(&mut w, "", ALLOW);
        w.pass(secs(100));
        let refresh = w.expect(ALICE, "INVITE");
        if first {
            w.answer(ALICE, &refresh, then, "", SDP);
            w.expect(ALICE, "ACK");
        }
        w.request(&mut alice, "BYE", "", "");
        w.expect(ALICE, "SIP/2.0 200");
        if !first {
            w.answer(ALICE, &refresh, then, "", SDP);
            w.expect(ALICE, "ACK");
        }
        w.quiet();
    }
}
