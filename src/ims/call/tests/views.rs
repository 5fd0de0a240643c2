//! What the monitor shows of calls.

use super::*;

#[test]
fn a_call_is_two_dialogs_that_name_each_other() {
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    w.pass(Duration::from_secs(2));
    let views = w.core.dialog_views(w.now);
    let [server, client] = &views[..] else { panic!("{views:#?}") };
    assert_eq!((server.kind, client.kind), ("server", "client"));
    assert_eq!((server.index, client.index), (10, 11));
    assert_eq!(server.peer_session_id.as_ref(), Some(&client.session_id));
    assert_eq!(client.peer_session_id.as_ref(), Some(&server.session_id));
    assert_eq!((server.from.as_str(), server.to.as_str()), ("sip:alice@ims.test", "tel:+33600000002"));
    assert_eq!((server.date, server.duration), (1_700_000_000, 2.0));
    let shown = |v: &crate::ims::view::DialogView| {
        v.events.iter().map(|e| format!("{} {} {}", e.kind, e.state, e.text)).collect::<Vec<_>>()
    };
    assert_eq!(
        shown(server),
        [
            "recv init INVITE (sdp)",
            "send init 100 INVITE",
            "state ringing ",
            "send ringing 180 INVITE",
            "state start ",
            "send start 200 INVITE (sdp)",
            "recv start ACK"
        ]
    );
    assert_eq!(
        shown(client),
        [
            "send init INVITE (sdp)",
            "recv init 180 INVITE",
            "state ringing ",
            "recv ringing 200 INVITE (sdp)",
            "state start ",
            "send start ACK"
        ]
    );
    let of_users = |w: &World| w.core.user_views(w.now).into_iter().map(|u| u.dialogs).collect::<Vec<_>>();
    assert_eq!(of_users(&w)[..2], [vec![10], vec![11]], "each party has its own side");
    w.request(&mut alice, "BYE", "", "");
    assert!(of_users(&w).iter().all(Vec::is_empty), "a user's dialogs are those that go on");
    w.pass(Duration::from_secs(29));
    assert_eq!(w.states(), ["stop", "stop"]);
    assert_eq!(w.core.dialog_views(w.now)[0].duration, 2.0, "the clock has stopped");
    w.pass(Duration::from_secs(1));
    assert_eq!(w.states(), [""; 0]);
    w.quiet();
}

#[test]
fn the_log_tells_a_call_in_words() {
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    w.request(&mut alice, "BYE", "", "");
    let calls: Vec<&String> = w.lines.0.iter().filter(|l| l.starts_with("call ")).collect();
    assert_eq!(
        calls,
        [
            "call 10: sip:alice@ims.test calls tel:+33600000002",
            "call 10: tel:+33600000002 rings",
            "call 10: tel:+33600000002 answered",
            "call 10: ended: the caller hung up"
        ]
    );
}

#[test]
fn a_call_is_drawn_message_by_message() {
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    w.request(&mut alice, "BYE", "", "");
    w.expect(ALICE, "SIP/2.0 200");
    let bye = w.expect(BOB, "BYE");
    w.answer(BOB, &bye, 200, "", "");
    assert_eq!(w.ladder(11), w.ladder(10), "either dialog names the call");
    assert_eq!(
        w.ladder(10),
        "
alice@ims.test                   imsbox                      +33600000002
  |--------- INVITE (sdp) --------->|                                 |
  |<--------- 100 INVITE -----------|                                 |
  |                                 |--------- INVITE (sdp) --------->|
  |                                 |<--------- 180 INVITE -----------|
* ringing
  |<--------- 180 INVITE -----------|                                 |
  |                                 |<------ 200 INVITE (sdp) --------|
* start
  |<------ 200 INVITE (sdp) --------|                                 |
  |-------------- ACK ------------->|                                 |
  |                                 |-------------- ACK ------------->|
  |-------------- BYE ------------->|                                 |
* stop: the caller hung up
  |<----------- 200 BYE ------------|                                 |
  |                                 |-------------- BYE ------------->|
  |                                 |<----------- 200 BYE ------------|
"
    );
    w.quiet();
}

#[test]
fn a_refused_a_cancelled_and_a_forked_call_are_drawn_as_the_wire_saw_them() {
    let mut w = World::new();
    w.register(ALICE, "");
    w.register(BOB, "");
    w.register(BOB_TABLET, "");
    let alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let (phone, tablet) = (w.expect(BOB, "INVITE"), w.expect(BOB_TABLET, "INVITE"));
    w.answer(BOB, &phone, 180, "", "");
    w.answer(BOB_TABLET, &tablet, 486, "", "");
    w.pass(Duration::from_secs(1));
    let cancel = alice.text("CANCEL", 1, 3, "", "");
    let cancel = cancel.replace("branch=z9hG4bK3", &format!("branch=z9hG4bK{}", &alice.call_id[4..]));
    w.send(ALICE, &cancel);
    let cancel = w.find(BOB, "CANCEL").expect("a CANCEL");
    w.answer(BOB, &cancel, 200, "", "");
    w.answer(BOB, &phone, 487, "", "");
    assert_eq!(
        w.ladder(10),
        "
alice@ims.test          imsbox             bob@192.0.2.2:5060 bob@192.0.2.3:5060
  |----- INVITE (sdp) ---->|                        |                        |
  |<----- 100 INVITE ------|                        |                        |
  |                        |----- INVITE (sdp) ---->|                        |
  |                        |----------------- INVITE (sdp) ----------------->|
  |                        |<----- 180 INVITE ------|                        |
* ringing
  |<----- 180 INVITE ------|                        |                        |
  |                        |<----------------- 486 INVITE -------------------|
  |                        |---------------------- ACK --------------------->|
  |-------- CANCEL ------->|                        |                        |
* stop: the caller hung up before the answer
  |<----- 200 CANCEL ------|                        |                        |
  |<----- 487 INVITE ------|                        |                        |
  |                        |-------- CANCEL ------->|                        |
  |                        |<----- 200 CANCEL ------|                        |
  |                        |<----- 487 INVITE ------|                        |
  |                        |--------- ACK --------->|                        |
"
    );
    w.quiet();
}

#[test]
fn repetitions_are_counted_and_a_strangers_copy_of_a_tag_is_no_part_of_the_call() {
    let mut w = World::registered();
    let _ = w.invite(ALICE, "tel:+33600000002", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.pass(Duration::from_secs(4));
    w.answer(BOB, &invite, 180, "", "");
    w.answer(BOB, &invite, 180, "", "");
    let ringing = w.expect(ALICE, "SIP/2.0 180");
    let tag = header(&ringing, HeaderId::To).split_once(";tag=").unwrap().1.to_owned();
    let forged = &tag[..tag.rfind('-').unwrap()];
    let to = format!("<tel:+33600000002>;tag={forged}-aaaa");
    let stranger = Side { remote: to, ..Side::callee(BOB, &invite) };
    w.send(BOB, &stranger.text("BYE", 5, 900, "", ""));
    w.drop_all();
    assert_eq!(
        w.ladder(10),
        "
alice@ims.test                   imsbox                      +33600000002
  |--------- INVITE (sdp) --------->|                                 |
  |<--------- 100 INVITE -----------|                                 |
  |                                 |-------- INVITE (sdp) x4 ------->|
  |                                 |<-------- 180 INVITE x2 ---------|
* ringing
  |<-------- 180 INVITE x2 ---------|                                 |
"
    );
    w.quiet();
}

#[test]
fn each_contact_of_a_forked_call_says_how_it_ended() {
    let mut w = World::new();
    w.register(ALICE, "");
    w.register(BOB, ";q=0.5");
    w.register(BOB_TABLET, ";q=0.9");
    w.register(Phone { addr: "192.0.2.4:5060", user: "bob" }, ";q=0.5");
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let tablet = w.expect(BOB_TABLET, "INVITE");
    w.pass(Duration::from_millis(2500));
    w.answer(BOB_TABLET, &tablet, 480, "", "");
    let phone = w.expect(BOB, "INVITE");
    w.answer(BOB, &phone, 200, "", &SDP.replace("RTP/AVP 0", "RTP/AVP 97\r\na=rtpmap:97 AMR-WB/16000"));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.pass(Duration::from_secs(1));
    let mut views = w.core.dialog_views(w.now);
    views.sort_by_key(|v| v.index);
    let shown: Vec<_> = views.iter().map(|v| (v.index, v.state, v.reason.as_str())).collect();
    assert_eq!(
        shown,
        [
            (10, "start", ""),
            (11, "stop", "refused with 480"),
            (12, "start", ""),
            (13, "stop", "another contact answered")
        ]
    );
    assert_eq!(
        (views[2].date - views[0].date, views[2].duration, views[2].events[0].timestamp),
        (2, 1.0, 0.0)
    );
    assert_eq!(views[0].duration, 3.5);
    let states = |at: usize| {
        views[at].events.iter().filter(|e| e.kind == "state").map(|e| e.state).collect::<Vec<_>>()
    };
    assert_eq!((states(2), states(3)), (vec!["start"], vec![]), "who is out has no part in it");
    let codecs: Vec<_> = views.iter().map(|v| v.medias.first().map(|m| m.codec.as_str())).collect();
    assert_eq!(codecs, [Some("AMR-WB/16000"), None, Some("AMR-WB/16000"), None]);
    let late = w.input(|core, cx| core.stop_dialog(cx, 13));
    assert_eq!(late, Err("dialog 13 has ended already".to_owned()));
    assert_eq!(w.states(), ["start", "stop", "start", "stop"], "the call goes on");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_long_call_shows_its_beginning_and_its_latest_and_says_what_is_missing() {
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    for _ in 0..60 {
        w.request(&mut alice, "INFO", "", "");
        let info = w.expect(BOB, "INFO");
        w.answer(BOB, &info, 200, "", "");
        w.expect(ALICE, "SIP/2.0 200");
    }
    w.request(&mut alice, "BYE", "", "");
    let ladder = w.ladder(10);
    let lines: Vec<&str> = ladder.lines().collect();
    assert!(lines[2].contains("INVITE (sdp)") && lines.last().unwrap().contains("BYE"), "{ladder}");
    let missing: Vec<_> = lines.iter().filter(|l| l.contains("not shown")).collect();
    assert_eq!(
        missing,
        [&"* 64 steps with +33600000002 are not shown", &"* 66 steps with alice@ims.test are not shown"],
        "{ladder}"
    );
    w.quiet();
}
