//! Session timers: two phones, and scripted networks.

use super::network::Two;
use super::*;
use crate::phone::event::Party;

/// Two phones in a call; what they have said is kept.
fn talking(caller: &[(&'static str, &str)], callee: &[(&'static str, &str)]) -> Two {
    let mut two = Two::new(1, &[]);
    two.phones = [phone(1, caller), phone(2, callee)];
    two.listen = true;
    two.phones[1].set_auto_answer(Some(Duration::ZERO));
    two.phones[0].make_call(Instant::ZERO, "p2", None, false).unwrap();
    two.run(1000);
    two
}

fn count(two: &Two, start: &str) -> usize {
    two.heard.iter().filter(|m| m.starts_with(start)).count()
}

#[test]
fn the_one_that_was_agreed_on_refreshes_at_half_time() {
    for (wish, other, refreshes) in
        [("uac", "uas", 0), ("uas", "uac", 1), ("auto", "uas", 1), ("auto", "auto", 0)]
    {
        let mut two = talking(
            &[("session_expires", "100"), ("refresher", wish)],
            &[("session_expires", "400"), ("refresher", other)],
        );
        let sessions = two.phones.each_ref().map(|p| p.current_call().unwrap().timing.session.unwrap());
        assert_eq!(sessions.map(|s| s.secs), [100, 100]);
        assert_eq!(sessions.map(|s| s.is_ours), [refreshes == 0, refreshes == 1], "{wish} {other}");
        two.run(499_000);
        assert_eq!(count(&two, "UPDATE "), 9, "{wish} {other}: every 50 s");
        let update = two.heard.iter().find(|m| m.starts_with("UPDATE ")).unwrap();
        assert_eq!(header(update, "Session-Expires"), "100;refresher=uac");
        assert!(update.ends_with("Content-Length: 0\r\n\r\n"), "{update}");
        two.phones[0].hang_up(two.now).unwrap();
        two.rest("refreshed");
        assert_eq!(two.ended(0).map(|e| (e.by, e.code)), Some((Party::We, 200)));
    }
}

#[test]
fn a_session_that_is_not_refreshed_ends() {
    // the caller is to refresh, and is gone
    let mut two = talking(&[("session_expires", "120"), ("refresher", "uac")], &[]);
    two.phones[0] = phone(1, &[]);
    two.events[1].clear();
    two.run(86_000);
    assert!(two.ended(1).is_none(), "120 s less 32 s from the answer on");
    two.run(3_000);
    let ended = two.ended(1).unwrap();
    assert_eq!((ended.by, ended.code), (Party::We, 408));
    assert_eq!(ended.words, "the session has expired: the other side has not refreshed it");
    assert!(count(&two, "BYE ") >= 1);
}

#[test]
fn a_session_that_is_too_short_is_offered_again_with_a_longer_time() {
    let mut two = talking(&[("session_expires", "100")], &[("min_se", "300")]);
    let sessions = two.phones.each_ref().map(|p| p.current_call().unwrap().timing.session.unwrap().secs);
    assert_eq!(sessions, [300, 300]);
    let invites: Vec<&String> = two.heard.iter().filter(|m| m.starts_with("INVITE ")).collect();
    assert_eq!(invites.len(), 2);
    assert_eq!((header(invites[0], "Session-Expires"), header(invites[0], "Min-SE")), ("100", "90"));
    assert_eq!((header(invites[1], "Session-Expires"), header(invites[1], "Min-SE")), ("300", "300"));
    assert_eq!((header(invites[1], "CSeq"), count(&two, "SIP/2.0 422 ")), ("2 INVITE", 1));
    assert_eq!(header(invites[0], "Call-ID"), header(invites[1], "Call-ID"));
    two.phones[1].hang_up(two.now).unwrap();
    two.rest("longer");
}

#[test]
fn without_timers_on_one_side_the_other_may_refresh_alone() {
    // RFC 4028 table 2: the callee refreshes for a caller that knows nothing of it
    let mut two = talking(&[("session_expires", "0")], &[("session_expires", "100")]);
    let timing = two.phones.each_ref().map(|p| p.current_call().unwrap().timing.session);
    assert!(timing[0].is_none() && timing[1].is_some_and(|s| s.is_ours), "{timing:?}");
    two.run(120_000);
    assert_eq!(count(&two, "UPDATE "), 2, "every 50 s");
    two.phones[0].hang_up(two.now).unwrap();
    two.rest("alone");
    // and a callee without timers has none
    let two = talking(&[("session_expires", "100")], &[("session_expires", "0")]);
    assert!(two.phones.iter().all(|p| p.current_call().unwrap().timing.session.is_none()));
}

#[test]
fn a_hold_refreshes_too_and_a_held_call_goes_on() {
    let mut two = talking(&[("session_expires", "100"), ("refresher", "uac")], &[]);
    two.run(39_000);
    two.phones[0].hold(two.now, true).unwrap();
    two.run(1_000);
    let ends = two.phones[1].current_call().unwrap().timing.session.unwrap().ends_at;
    assert!(ends.since(two.now) > Duration::from_secs(60), "{ends:?}");
    two.run(200_000);
    assert!(two.phones.iter().all(|p| p.current_call().is_some()));
    assert!(two.phones[0].current_call().unwrap().is_held);
    assert_eq!(count(&two, "UPDATE "), 4);
    two.phones[0].hang_up(two.now).unwrap();
    two.rest("held");
}

/// A call of ours that a network has answered, and its INVITE.
fn answered(allow: &str) -> (Phone, String) {
    let mut phone = phone(1, &[("session_expires", "100"), ("refresher", "uac")]);
    phone.make_call(Instant::ZERO, "bob", None, false).unwrap();
    let invite = said(&mut phone).0.remove(0);
    let sdp =
        "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
    let more = format!(
        "Contact: <sip:x@192.0.2.2>\r\nAllow: {allow}\r\nRequire: timer\r\nSession-Expires: 100;refresher=uac\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n",
        sdp.len()
    );
    let ok = [answer(&invite, "200 OK", "t", &more), sdp.as_bytes().to_vec()].concat();
    phone.on_message(Instant::ZERO, Peer::Server, &ok);
    said(&mut phone);
    (phone, invite)
}

/// The next request of this method, sent when it is due.
fn next(phone: &mut Phone, method: &str) -> (Instant, String) {
    for _ in 0..100_000 {
        let now = phone.next_deadline().unwrap();
        phone.tick(now);
        if let Some(message) = said(phone).0.into_iter().find(|m| m.starts_with(method)) {
            return (now, message);
        }
    }
    panic!("no {method}");
}

#[test]
fn who_takes_no_update_is_refreshed_by_an_invite() {
    let origin = |m: &str| m.lines().find(|l| l.starts_with("o=")).map(str::to_owned).unwrap();
    let (mut phone, first) = answered("INVITE, ACK, BYE");
    let (now, invite) = next(&mut phone, "INVITE ");
    assert_eq!((now, header(&invite, "CSeq")), (Instant::from_nanos(50_000_000_000), "2 INVITE"));
    assert_eq!(origin(&invite), origin(&first), "nothing has changed");
    assert!(
        invite.contains("\r\na=sendrecv\r\n") && header(&invite, "Session-Expires") == "100;refresher=uac"
    );
    // one that says so only now
    let (mut phone, _) = answered("INVITE, ACK, BYE, UPDATE");
    let (now, update) = next(&mut phone, "UPDATE ");
    phone.on_message(now, Peer::Server, &answer(&update, "405 x", "", ""));
    assert!(said(&mut phone).0[0].starts_with("INVITE "));
}

#[test]
fn a_refresh_that_is_refused_is_tried_again_until_the_end() {
    let (mut phone, _) = answered("UPDATE");
    let (mut times, mut now) = (Vec::new(), Instant::ZERO);
    while phone.current_call().is_some() {
        now = phone.next_deadline().unwrap();
        phone.tick(now);
        for message in said(&mut phone).0.into_iter().filter(|m| m.starts_with("UPDATE ")) {
            times.push(now.as_nanos() / 1_000_000_000);
            phone.on_message(now, Peer::Server, &answer(&message, "503 x", "", ""));
        }
    }
    assert_eq!((times, now), (vec![50, 60], Instant::from_nanos(68_000_000_000)), "100 s less 32 s");
    // one that is too short for somebody on the way is longer at once
    let (mut phone, _) = answered("UPDATE");
    let (now, update) = next(&mut phone, "UPDATE ");
    phone.on_message(now, Peer::Server, &answer(&update, "422 x", "", "Min-SE: 200\r\n"));
    let again = said(&mut phone).0.remove(0);
    assert_eq!((header(&again, "Session-Expires"), header(&again, "Min-SE")), ("200;refresher=uac", "200"));
    // and one that nobody knows ends the call
    phone.on_message(now, Peer::Server, &answer(&again, "481 x", "", ""));
    assert!(phone.current_call().is_none() && said(&mut phone).0[0].starts_with("BYE "));
}
