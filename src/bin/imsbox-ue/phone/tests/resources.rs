//! Calls that wait for resources, and reliable provisional responses: two phones, and scripted networks.

use super::network::Two;
use super::*;
use crate::phone::event::Party;

const ON: &[(&str, &str)] = &[("precondition", "on"), ("bearer_delay", "300")];

/// A call that is answered a second after it rings, for two seconds.
fn call(two: &mut Two) {
    two.phones[1].set_auto_answer(Some(Duration::from_secs(1)));
    two.phones[0].make_call(Instant::ZERO, "p2", Some(Duration::from_secs(2)), false).unwrap();
}

fn codes(two: &Two) -> [Option<u16>; 2] {
    [0, 1].map(|i| two.ended(i).map(|e| e.code))
}

#[test]
fn nobody_rings_before_both_have_their_resources() {
    let mut two = Two::new(1, ON);
    call(&mut two);
    two.run(280);
    let resources = two.phones.each_ref().map(|p| p.current_call().unwrap().resources.unwrap());
    assert!(resources.iter().all(|r| r.is_shared && !r.local && !r.remote), "{resources:?}");
    assert!(!two.has(0, &Event::Ringing) && two.events[1].is_empty());
    assert!(two.phones[1].answer(two.now).unwrap_err().contains("waits for resources"));
    two.run(520);
    assert!(two.has(0, &Event::Ringing) && two.has(1, &Event::Incoming("sip:p1@h".to_owned())));
    let resources = two.phones.each_ref().map(|p| p.current_call().unwrap().resources.unwrap());
    assert!(resources[1].are_there() && resources[0].local, "{resources:?}");
    two.run(1300);
    assert_eq!([two.state(0), two.state(1)], [Some(State::Up), Some(State::Up)]);
    two.phones[1].hold(two.now, true).unwrap();
    two.run(300);
    assert!(two.has(0, &Event::HeldByThem(true)), "{:?}", two.events);
    two.rest("resources");
    assert_eq!(codes(&two), [Some(200), Some(200)]);
}

#[test]
fn resources_that_are_there_at_once_need_no_update() {
    let mut two = Two::new(1, &[("precondition", "on"), ("bearer_delay", "0")]);
    two.listen = true;
    call(&mut two);
    two.rest("at once");
    assert_eq!(codes(&two), [Some(200), Some(200)]);
    let methods = |start: &str| two.heard.iter().filter(|m| m.starts_with(start)).count();
    assert_eq!(
        (methods("UPDATE "), methods("SIP/2.0 183 "), methods("PRACK ")),
        (0, 1, 2),
        "183 and 180 are reliable"
    );
    let invite = two.heard.iter().find(|m| m.starts_with("INVITE ")).unwrap();
    assert_eq!(header(invite, "Supported"), "100rel, precondition, timer");
    let answer =
        two.heard.iter().find(|m| m.starts_with("SIP/2.0 200 ") && header(m, "CSeq") == "1 INVITE").unwrap();
    assert!(answer.contains("Content-Length: 0\r\n"), "the 183 has said it all");
}

#[test]
fn with_resources_to_wait_for_the_caller_tells_of_his() {
    let mut two = Two::new(1, ON);
    two.listen = true;
    call(&mut two);
    two.rest("update");
    let updates: Vec<&String> = two.heard.iter().filter(|m| m.starts_with("UPDATE ")).collect();
    assert_eq!(updates.len(), 1, "{updates:?}");
    assert!(updates[0].contains("a=curr:qos local sendrecv\r\n") && updates[0].contains("\r\no=- "));
    let first = two.heard.iter().find(|m| m.starts_with("SIP/2.0 183 ")).unwrap();
    assert!(
        first.contains("Require: precondition\r\n") && first.contains("a=conf:qos remote sendrecv\r\n"),
        "{first}"
    );
}

#[test]
fn a_phone_without_preconditions_is_called_as_ever() {
    for at in [0, 1] {
        let mut two = Two::new(1, &[]);
        two.phones[at] = phone(at as u8 + 1, ON);
        call(&mut two);
        two.rest("one of two");
        assert_eq!(codes(&two), [Some(200), Some(200)], "only phone {at} has preconditions");
    }
}

#[test]
fn a_bad_line_delays_resources_but_leaves_nothing_behind() {
    let mut completed = 0;
    for seed in 0..100 {
        let mut two = Two::new(seed, ON);
        two.loss = 25;
        call(&mut two);
        two.rest(&format!("seed {seed}"));
        assert!(two.ended(0).is_some(), "seed {seed}: the caller was not told of the end");
        completed += u32::from(codes(&two) == [Some(200), Some(200)]);
    }
    assert!(completed > 85, "{completed} of 100");
}

#[test]
fn giving_up_while_resources_come_ends_both_sides() {
    for moment in 0..80 {
        let mut two = Two::new(moment, ON);
        two.loss = if moment % 3 == 0 { 20 } else { 0 };
        call(&mut two);
        two.run(moment * 10);
        two.phones[(moment % 2) as usize].hang_up(two.now).unwrap_or_default();
        two.rest(&format!("given up after {} ms", moment * 10));
    }
}

#[test]
fn an_agreement_on_reliability_is_kept() {
    for (caller, callee, rings, ends) in [
        ("off", "supported", 0, 200),
        ("supported", "supported", 1, 200),
        ("supported", "off", 0, 200),
        ("required", "supported", 1, 200),
        ("required", "off", 0, 420),
        ("off", "required", 0, 421),
        ("required", "required", 1, 200),
    ] {
        let mut two = Two::new(1, &[]);
        two.phones = [phone(1, &[("100rel", caller)]), phone(2, &[("100rel", callee)])];
        two.listen = true;
        call(&mut two);
        two.rest("reliability");
        let pracks = two.heard.iter().filter(|m| m.starts_with("PRACK ")).count();
        assert_eq!((pracks, two.ended(0).unwrap().code), (rings, ends), "{caller} calls {callee}");
    }
}

#[test]
fn a_callers_resources_that_never_come_fail_the_call() {
    let mut phone = phone(1, ON);
    let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n\
               a=curr:qos local none\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
               a=des:qos optional remote sendrecv\r\n";
    let more = "Supported: 100rel, precondition\r\n";
    phone.on_message(Instant::ZERO, Peer::Server, &request("INVITE", 1, "<sip:p1@h>", more, sdp));
    let first = said(&mut phone).0.remove(0);
    assert!(first.starts_with("SIP/2.0 183 "), "{first}");
    let (to, rseq) = (header(&first, "To").to_owned(), header(&first, "RSeq").to_owned());
    let rack = format!("RAck: {rseq} 1 INVITE\r\n");
    // the PRACK brings another offer, with the resources as they were
    phone.on_message(Instant::ZERO, Peer::Server, &request("PRACK", 2, &to, &rack, sdp));
    let (messages, events) = said(&mut phone);
    assert!(messages[0].starts_with("SIP/2.0 200 ") && messages[0].contains("m=audio 4000 "), "{messages:?}");
    assert!(events.is_empty(), "it does not ring");
    let mut ended = Vec::new();
    while phone.current_call().is_some() {
        phone.tick(phone.next_deadline().unwrap());
        ended = said(&mut phone).1;
    }
    assert!(matches!(&ended[..], [Event::Ended(Ended { by: Party::They, code: 580, .. })]), "{ended:?}");
}

#[test]
fn a_caller_takes_the_update_of_a_callee() {
    let mut phone = phone(1, &[("precondition", "on"), ("bearer_delay", "0")]);
    phone.make_call(Instant::ZERO, "bob", None, false).unwrap();
    let invite = said(&mut phone).0.remove(0);
    let sdp = |local: &str| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n\
             a=curr:qos local {local}\r\na=curr:qos remote sendrecv\r\na=des:qos mandatory local sendrecv\r\n\
             a=des:qos mandatory remote sendrecv\r\n"
        )
    };
    let body = sdp("none");
    let more = format!(
        "Contact: <sip:x@192.0.2.2>\r\nRequire: 100rel\r\nRSeq: 7\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n",
        body.len()
    );
    let progress = [answer(&invite, "183 x", "t", &more), body.into_bytes()].concat();
    phone.on_message(Instant::ZERO, Peer::Server, &progress);
    let prack = said(&mut phone).0.remove(0);
    assert_eq!((header(&prack, "RAck"), &prack[..6]), ("7 1 INVITE", "PRACK "));
    assert!(!phone.current_call().unwrap().resources.unwrap().remote);
    let update = request("UPDATE", 1, header(&invite, "From"), "", &sdp("sendrecv"));
    let update = String::from_utf8(update).unwrap();
    let update = update
        .replace("<sip:x@h>;tag=x", header(&prack, "To"))
        .replace("Call-ID: c", &format!("Call-ID: {}", header(&invite, "Call-ID")));
    phone.on_message(Instant::ZERO, Peer::Server, update.as_bytes());
    let (messages, _) = said(&mut phone);
    assert!(
        messages[0].starts_with("SIP/2.0 200 ") && messages[0].contains("a=curr:qos remote sendrecv\r\n"),
        "{messages:?}"
    );
    assert!(phone.current_call().unwrap().resources.unwrap().are_there());
    // the same 183 once more changes nothing
    phone.on_message(Instant::ZERO, Peer::Server, &progress);
    assert!(phone.current_call().unwrap().resources.unwrap().are_there() && said(&mut phone).0.is_empty());
}

#[test]
fn an_unreliable_answer_is_only_a_preview() {
    let mut phone = phone(1, &[("precondition", "on"), ("bearer_delay", "0")]);
    phone.make_call(Instant::ZERO, "bob", None, false).unwrap();
    let invite = said(&mut phone).0.remove(0);
    let sdp = |port: u16| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n\
             a=curr:qos local none\r\na=conf:qos remote sendrecv\r\n"
        )
    };
    let with = |status: &str, body: String| {
        let more = format!(
            "Contact: <sip:x@192.0.2.2>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n",
            body.len()
        );
        [answer(&invite, status, "t", &more), body.into_bytes()].concat()
    };
    phone.on_message(Instant::ZERO, Peer::Server, &with("183 x", sdp(5000)));
    assert_eq!(said(&mut phone).0, [""; 0], "neither PRACK nor UPDATE");
    phone.on_message(Instant::ZERO, Peer::Server, &with("200 OK", sdp(6000)));
    let media = phone.current_call().unwrap().media.as_ref().unwrap();
    assert_eq!(media.agreed().remote.map(|a| a.port()), Some(6000), "the 200 counts");
}

#[test]
fn rubbish_is_survived_while_resources_come() {
    let mut rng = Rng::from_seed(4);
    let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n\
                 a=curr:qos local none\r\na=des:qos mandatory local sendrecv\r\na=conf:qos remote sendrecv\r\n\
                 m=video 4002 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n";
    let more =
        "Supported: 100rel, precondition, timer\r\nSession-Expires: 90;refresher=uas\r\nMin-SE: 90\r\n";
    let good = request("INVITE", 1, "<sip:p1@h>", more, offer);
    for at in 0..good.len() {
        let mut phone = phone(1, ON);
        let mut changed = good.clone();
        changed[at] ^= 1 << rng.below(8);
        phone.on_message(Instant::ZERO, Peer::Server, &good[..at]);
        phone.on_message(Instant::ZERO, Peer::Server, &changed);
        for _ in 0..20 {
            let Some(next) = phone.next_deadline() else { break };
            phone.tick(next);
        }
        let _ = phone.answer(Instant::ZERO);
    }
}
