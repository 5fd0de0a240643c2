//! Calls between two phones, on good lines and bad ones, and in the hands of scripted networks.

use super::network::Two;
use super::*;
use crate::phone::event::Party;

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";

/// A call of five seconds that is answered after one.
fn five_seconds(two: &mut Two) {
    two.phones[1].set_auto_answer(Some(Duration::from_secs(1)));
    two.phones[0].make_call(Instant::ZERO, "p2", Some(Duration::from_secs(5)), false).unwrap();
}

#[test]
fn a_call_rings_talks_and_ends() {
    for reliable in ["true", "false"] {
        let mut two = Two::new(1, &[("100rel", reliable)]);
        five_seconds(&mut two);
        two.run(500);
        assert!(two.has(0, &Event::Ringing) && two.has(1, &Event::Incoming("sip:p1@h".to_owned())));
        two.run(1500);
        assert_eq!([two.state(0), two.state(1)], [Some(State::Up), Some(State::Up)]);
        two.rest("a call");
        let (caller, callee) = (two.ended(0).unwrap(), two.ended(1).unwrap());
        assert_eq!((caller.by, caller.code), (Party::We, 200));
        assert_eq!((callee.by, callee.code), (Party::They, 200));
        let (caller, callee) = (caller.report.unwrap(), callee.report.unwrap());
        assert!((248..=252).contains(&caller.sent), "{caller:?}");
        assert_eq!((caller.lost, callee.lost, caller.echoed), (0, 0, 0));
        assert!(callee.received >= caller.sent - 3 && caller.jitter_ms < 1.0, "{caller:?} {callee:?}");
    }
}

#[test]
fn a_bad_line_delays_a_call_but_leaves_nothing_behind() {
    let mut completed = 0;
    for seed in 0..150 {
        let mut two = Two::new(seed, &[]);
        two.loss = 30;
        five_seconds(&mut two);
        two.rest(&format!("seed {seed}"));
        let (caller, callee) = (two.ended(0), two.ended(1));
        assert!(caller.is_some(), "seed {seed}: the caller was not told of the end");
        // who was called has heard of the end, too
        let rang = two.events[1].iter().any(|e| matches!(e, Event::Incoming(_)));
        assert_eq!(callee.is_some(), rang, "seed {seed}");
        completed +=
            u32::from(caller.is_some_and(|e| e.code == 200) && callee.is_some_and(|e| e.code == 200));
    }
    assert!(completed > 135, "{completed} of 150");
}

#[test]
fn giving_up_at_any_moment_ends_both_sides() {
    for moment in 0..120 {
        let mut two = Two::new(moment, &[]);
        two.loss = if moment % 3 == 0 { 20 } else { 0 };
        two.phones[1].set_auto_answer(Some(Duration::from_millis(50)));
        two.phones[0].make_call(Instant::ZERO, "p2", None, false).unwrap();
        two.run(moment * 2);
        two.phones[0].hang_up(two.now).unwrap();
        two.rest(&format!("given up after {} ms", moment * 2));
        let code = two.ended(0).map(|e| e.code);
        assert!(matches!(code, Some(487 | 200)) || two.loss > 0, "{moment}: {code:?}");
    }
}

#[test]
fn hold_and_resume_are_known_on_both_sides() {
    let mut two = Two::new(1, &[]);
    two.phones[1].set_auto_answer(Some(Duration::ZERO));
    two.phones[0].make_call(Instant::ZERO, "p2", None, false).unwrap();
    two.run(1000);
    two.phones[0].hold(two.now, true).unwrap();
    assert!(two.phones[0].hold(two.now, false).is_err(), "the first one is not answered");
    two.run(500);
    assert!(two.has(0, &Event::Held(true)) && two.has(1, &Event::HeldByThem(true)));
    let sent = two.phones.each_ref().map(|p| p.report().unwrap().sent);
    two.run(1000);
    assert_eq!(two.phones.each_ref().map(|p| p.report().unwrap().sent), sent, "silence while held");
    // both hold, one lets go, then the other
    two.phones[1].hold(two.now, true).unwrap();
    two.run(500);
    two.phones[0].hold(two.now, false).unwrap();
    two.run(500);
    assert_eq!(two.phones.each_ref().map(|p| p.report().unwrap().sent), sent, "still held by the other side");
    two.phones[1].hold(two.now, false).unwrap();
    two.run(1000);
    let now = two.phones.each_ref().map(|p| p.report().unwrap().sent);
    assert!(now[0] > sent[0] + 40 && now[1] > sent[1] + 40, "{sent:?} {now:?}");
    two.phones[1].hang_up(two.now).unwrap();
    two.rest("held");
    assert_eq!(two.ended(0).map(|e| e.report.unwrap().lost), Some(0));
}

#[test]
fn two_holds_at_once_are_both_done_in_the_end() {
    for seed in 0..20 {
        let mut two = Two::new(seed, &[]);
        two.phones[1].set_auto_answer(Some(Duration::ZERO));
        two.phones[0].make_call(Instant::ZERO, "p2", None, false).unwrap();
        two.run(1000);
        let now = two.now;
        two.phones.iter_mut().for_each(|p| p.hold(now, true).unwrap());
        two.run(20_000);
        for i in 0..2 {
            let call = two.phones[i].current_call().unwrap();
            assert!(call.is_held && call.is_held_by_them, "seed {seed}: {i}");
        }
    }
}

#[test]
fn a_busy_phone_says_so_and_a_rejection_is_heard() {
    let mut two = Two::new(1, &[]);
    two.phones[0].make_call(Instant::ZERO, "p2", None, false).unwrap();
    two.run(200);
    assert!(two.phones[1].reject(two.now, 200).is_err());
    two.phones[1].reject(two.now, 486).unwrap();
    two.rest("rejected");
    assert_eq!(two.ended(0).map(|e| (e.by, e.code)), Some((Party::They, 486)));
    assert!(two.phones[0].answer(two.now).is_err() && two.phones[0].hang_up(two.now).is_err());
    // both call each other at once: both are busy
    two.events = [Vec::new(), Vec::new()];
    let now = two.now;
    two.phones[0].make_call(now, "p2", None, false).unwrap();
    two.phones[1].make_call(now, "p1", None, false).unwrap();
    two.rest("both call");
    assert_eq!([0, 1].map(|i| two.ended(i).map(|e| e.code)), [Some(486), Some(486)]);
}

#[test]
fn what_has_met_the_cancel_on_its_way_is_told_as_it_is() {
    for (status, by, words) in
        [("487 Request Terminated", Party::We, "cancelled"), ("404 Not Found", Party::They, "404 Not Found")]
    {
        let (mut phone, invite) = calling();
        hear(&mut phone, &answer(&invite, "100 Trying", "", ""));
        phone.hang_up(Instant::ZERO).unwrap();
        let (_, events) = hear(&mut phone, &answer(&invite, status, "t", ""));
        let Some(Event::Ended(ended)) = events.last() else { panic!("{events:?}") };
        assert_eq!((ended.by, ended.words.as_str()), (by, words));
    }
}

/// A phone that calls, and its INVITE.
fn calling() -> (Phone, String) {
    let mut phone = phone(1, &[]);
    phone.make_call(Instant::ZERO, "+123", None, false).unwrap();
    let (messages, _) = said(&mut phone);
    (phone, messages[0].clone())
}

fn hear(phone: &mut Phone, octets: &[u8]) -> (Vec<String>, Vec<Event>) {
    phone.on_message(Instant::ZERO, Peer::Server, octets);
    said(phone)
}

fn described(more: &str) -> String {
    format!(
        "Contact: <sip:x@192.0.2.2>\r\n{more}Content-Type: application/sdp\r\nContent-Length: {}\r\n",
        SDP.len()
    )
}

fn with_sdp(invite: &str, tag: &str) -> Vec<u8> {
    [answer(invite, "200 OK", tag, &described("")), SDP.as_bytes().to_vec()].concat()
}

#[test]
fn a_challenged_invite_comes_again_with_its_proof_until_it_makes_no_sense() {
    let (mut phone, mut invite) = calling();
    let challenge = "Proxy-Authenticate: Digest realm=\"r\",nonce=\"n\",qop=\"auth\"\r\n";
    for number in 2..=3 {
        let (messages, events) = hear(&mut phone, &answer(&invite, "407 x", "t", challenge));
        assert!(messages[0].starts_with("ACK tel:+123 "), "{messages:?}");
        assert!(messages[1].starts_with("INVITE tel:+123 ") && events.is_empty());
        assert_eq!(header(&messages[1], "CSeq"), format!("{number} INVITE"));
        assert!(header(&messages[1], "Proxy-Authorization").contains("nc=00000001"));
        invite = messages[1].clone();
    }
    let (messages, events) = hear(&mut phone, &answer(&invite, "407 No", "t", challenge));
    assert!(messages.len() == 1 && messages[0].starts_with("ACK"));
    assert!(matches!(&events[..], [Event::Ended(Ended { code: 407, .. })]), "{events:?}");
}

#[test]
fn a_second_answer_of_a_fork_is_ended() {
    let (mut phone, invite) = calling();
    let (messages, events) = hear(&mut phone, &with_sdp(&invite, "one"));
    assert!(messages[0].starts_with("ACK sip:x@192.0.2.2 ") && matches!(events[..], [Event::Answered(..)]));
    let (again, _) = hear(&mut phone, &with_sdp(&invite, "one"));
    assert_eq!(again, messages, "the same ACK for the same answer");
    let (messages, _) = hear(&mut phone, &with_sdp(&invite, "two"));
    assert!(messages[0].starts_with("ACK") && messages[1].starts_with("BYE"), "{messages:?}");
    assert!(messages.iter().all(|m| header(m, "To").ends_with(";tag=two")));
    assert!(phone.current_call().unwrap().is_up());
}

#[test]
fn reliable_responses_are_acknowledged_once_and_in_order() {
    let (mut phone, invite) = calling();
    let ring = |tag: &str, rseq: u32| {
        let more = format!("Require: 100rel\r\nRSeq: {rseq}\r\nContact: <sip:x@192.0.2.2>\r\n");
        answer(&invite, "180 Ringing", tag, &more)
    };
    let racks = |said: (Vec<String>, Vec<Event>)| -> Vec<String> {
        said.0.iter().map(|m| format!("{} {}", header(m, "CSeq"), header(m, "RAck"))).collect()
    };
    assert_eq!(racks(hear(&mut phone, &ring("a", 9))), ["2 PRACK 9 1 INVITE"]);
    assert_eq!(racks(hear(&mut phone, &ring("a", 9))), [""; 0], "a repetition");
    assert_eq!(racks(hear(&mut phone, &ring("a", 11))), [""; 0], "the one before is missing");
    assert_eq!(racks(hear(&mut phone, &ring("a", 10))), ["3 PRACK 10 1 INVITE"]);
    assert_eq!(racks(hear(&mut phone, &ring("b", 5))), ["4 PRACK 5 1 INVITE"], "another leg of a fork");
    assert_eq!(racks(hear(&mut phone, &ring("a", 10))), [""; 0], "a repetition of the first leg");
    let (messages, _) = hear(&mut phone, &ring("a", 11));
    assert!(header(&messages[0], "To").ends_with(";tag=a") && header(&messages[0], "RAck") == "11 1 INVITE");
    let (messages, _) = hear(&mut phone, &with_sdp(&invite, "b"));
    assert_eq!(header(&messages[0], "CSeq"), "1 ACK");
    phone.hang_up(Instant::ZERO).unwrap();
    let bye = said(&mut phone).0.remove(0);
    assert_eq!((header(&bye, "CSeq"), header(&bye, "To")), ("6 BYE", "<tel:+123>;tag=b"));
}

#[test]
fn an_answer_that_cannot_be_used_ends_the_call() {
    let (mut phone, invite) = calling();
    let (messages, events) = hear(&mut phone, &answer(&invite, "200 OK", "t", "Contact: <sip:x@h>\r\n"));
    assert!(messages[0].starts_with("ACK") && messages[1].starts_with("BYE"));
    assert!(matches!(&events[..], [Event::Ended(Ended { by: Party::We, code: 488, .. })]), "{events:?}");
}

const ME: &str = "<sip:p1@h>";

#[test]
fn requests_that_are_no_call_have_their_answers() {
    for (method, more, body, status) in [
        ("OPTIONS", "", "", "200 OK"),
        ("INFO", "", "", "405 Method Not Allowed"),
        ("BYE", "", "", "481 "),
        ("CANCEL", "", "", "481 "),
        ("INVITE", "Require: precondition\r\n", SDP, "420 Bad Extension"),
        ("INVITE", "", "v=0\r\nm=audio 4 RTP/SAVP 8\r\n", "488 "),
        ("INVITE", "", "rubbish", "400 "),
    ] {
        let mut phone = phone(1, &[]);
        let (messages, _) = hear(&mut phone, &request(method, 1, ME, more, body));
        let line = messages[0].lines().next().unwrap();
        assert!(line.starts_with(&format!("SIP/2.0 {status}")), "{method} {more}: {line}");
        assert!(phone.current_call().is_none());
    }
}

#[test]
fn an_invite_without_an_offer_has_one_in_its_answer() {
    let mut phone = phone(1, &[]);
    let (messages, _) = hear(&mut phone, &request("INVITE", 1, ME, "", ""));
    assert!(messages[0].starts_with("SIP/2.0 180"));
    phone.answer(Instant::ZERO).unwrap();
    let (messages, events) = said(&mut phone);
    assert!(messages[0].starts_with("SIP/2.0 200") && messages[0].contains("m=audio 4000 RTP/AVP 8 0 104"));
    assert!(events.is_empty(), "it begins with the ACK: {events:?}");
    let to = header(&messages[0], "To").to_owned();
    let (_, events) = hear(&mut phone, &request("ACK", 1, &to, "", SDP));
    assert!(matches!(events[..], [Event::Answered(..)]), "{events:?}");
    // the same in an INVITE inside the call, and an UPDATE without anything
    let (messages, _) = hear(&mut phone, &request("INVITE", 2, &to, "", ""));
    assert!(messages[0].starts_with("SIP/2.0 200") && messages[0].contains("m=audio 4000"));
    hear(&mut phone, &request("ACK", 2, &to, "", SDP));
    let (messages, _) = hear(&mut phone, &request("UPDATE", 3, &to, "", ""));
    assert!(messages[0].starts_with("SIP/2.0 200") && messages[0].ends_with("Content-Length: 0\r\n\r\n"));
    let (messages, _) = hear(&mut phone, &request("UPDATE", 3, &to, "X: 1\r\n", ""));
    assert_eq!(messages.len(), 1, "a repetition has the same answer");
    let (messages, _) = hear(&mut phone, &request("BYE", 2, &to, "", ""));
    assert!(messages[0].starts_with("SIP/2.0 500"), "an old number: {messages:?}");
    let (messages, events) = hear(&mut phone, &request("BYE", 9, &to, "", ""));
    assert!(messages[0].starts_with("SIP/2.0 200") && matches!(events[..], [Event::Ended(_)]));
}

#[test]
fn an_answer_without_its_ack_ends_the_call() {
    let mut phone = phone(1, &[]);
    hear(&mut phone, &request("INVITE", 1, ME, "", SDP));
    phone.answer(Instant::ZERO).unwrap();
    let mut now = Instant::ZERO;
    let mut events = Vec::new();
    while phone.current_call().is_some() && now.as_nanos() < 60_000_000_000 {
        now = phone.next_deadline().unwrap();
        phone.tick(now);
        events.extend(said(&mut phone).1);
    }
    assert_eq!(now.as_nanos(), 32_000_000_000);
    assert!(matches!(events.last(), Some(Event::Ended(Ended { code: 408, .. }))), "{events:?}");
}

#[test]
fn rubbish_is_survived() {
    let mut rng = Rng::from_seed(9);
    let (_, invite) = calling();
    let good: Vec<Vec<u8>> = vec![
        with_sdp(&invite, "t"),
        answer(
            &invite,
            "401 x",
            "t",
            "WWW-Authenticate: Digest realm=\"r\",nonce=\"bm8=\",algorithm=AKAv1-MD5\r\n",
        ),
        answer(&invite, "180 x", "t", "Require: 100rel\r\nRSeq: 1\r\n"),
        request("INVITE", 1, ME, "Supported: 100rel\r\n", SDP),
        request("UPDATE", 2, ME, "", SDP),
    ];
    for octets in good {
        for cut in 0..octets.len() {
            let (mut phone, _) = calling();
            hear(&mut phone, &octets[..cut]);
            let mut changed = octets.clone();
            changed[cut] ^= 1 << rng.below(8);
            hear(&mut phone, &changed);
            let _ = phone.hang_up(Instant::ZERO);
        }
    }
}
