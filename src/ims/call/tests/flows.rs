//! Whole calls drawn as the wire saw them: reliable answers on one side only, hold, video that comes and goes, an emergency call
//! without registration, a call that the network makes (RFC 3262, RFC 3264 8, TS 24.229 5.1.3, 5.1.4, 5.1.6; GSMA IR.92 2.3.5,
//! IR.94 2.3).

use super::*;
use crate::ims::call::{Callee, Order};

const VOLTE: &str = ";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"";

/// What Bob's phone says of itself: audio, and video at a port (0: none).
fn sdp(version: u32, direction: &str, video: Option<u16>) -> String {
    let audio = format!(
        "v=0\r\no=- 1 {version} IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na={direction}\r\n"
    );
    let video = video.map(|port| format!("m=video {port} RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n"));
    audio + &video.unwrap_or_default()
}

/// A request of one phone with an offer, which the other answers; both descriptions pass octet by octet.
fn exchange(w: &mut World, method: &str, asker: &mut Side, other: Phone, [offer, answer]: [&str; 2]) {
    w.request(asker, method, &format!("Contact: <sip:x@{}>\r\n", asker.phone.addr), offer);
    if method == "INVITE" {
        w.expect(asker.phone, "SIP/2.0 100");
    }
    let passed = w.expect(other, method);
    assert_eq!(body(&passed), offer);
    w.answer(other, &passed, 200, "", answer);
    assert_eq!(body(&w.expect(asker.phone, "SIP/2.0 200")), answer);
    if method == "INVITE" {
        w.ack(asker, asker.cseq, "");
        w.expect(other, "ACK");
    }
    w.expect_nothing();
}

fn hangs_up(w: &mut World, side: &mut Side, other: Phone) {
    w.request(side, "BYE", "", "");
    w.expect(side.phone, "SIP/2.0 200");
    let bye = w.expect(other, "BYE");
    w.answer(other, &bye, 200, "", "");
}

#[test]
fn reliable_answers_that_only_the_callee_has_end_at_us() {
    let mut w = World::new();
    w.register(ALICE, "");
    w.register(BOB, VOLTE);
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(header(&invite, HeaderId::Supported), "100rel,timer");
    w.answer(BOB, &invite, 183, "Require: 100rel\r\nRSeq: 1\r\n", SDP);
    let prack = w.expect(BOB, "PRACK");
    w.expect(ALICE, "SIP/2.0 183");
    w.answer(BOB, &prack, 200, "", "");
    w.answer(BOB, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.answer(BOB, &invite, 200, "", "");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(body(&ok), SDP);
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    hangs_up(&mut w, &mut alice, BOB);
    assert_eq!(
        w.ladder(10),
        "
alice@ims.test                   imsbox                      bob@ims.test
  |--------- INVITE (sdp) --------->|                                 |
  |<--------- 100 INVITE -----------|                                 |
  |                                 |--------- INVITE (sdp) --------->|
  |                                 |<--- 183 INVITE (sdp, rel 1) ----|
* ringing
  |                                 |--------- PRACK (rel 1) -------->|
  |<------ 183 INVITE (sdp) --------|                                 |
  |                                 |<---------- 200 PRACK -----------|
  |                                 |<--------- 180 INVITE -----------|
  |<--------- 180 INVITE -----------|                                 |
  |                                 |<--------- 200 INVITE -----------|
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
fn reliable_answers_that_only_the_caller_has_begin_at_us() {
    let mut w = World::with(|c| c.users[1].impus[0].reliable_provisional = false);
    w.register(ALICE, VOLTE);
    w.register(BOB, VOLTE);
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "Require: 100rel\r\n", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 183, "", SDP);
    alice.learn(&w.expect(ALICE, "SIP/2.0 183"));
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.answer(BOB, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.request(&mut alice, "PRACK", "RAck: 2 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect(ALICE, "SIP/2.0 200");
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    hangs_up(&mut w, &mut alice, BOB);
    assert_eq!(
        w.ladder(10),
        "
alice@ims.test                   imsbox                      bob@ims.test
  |--------- INVITE (sdp) --------->|                                 |
  |<--------- 100 INVITE -----------|                                 |
  |                                 |--------- INVITE (sdp) --------->|
  |                                 |<------ 183 INVITE (sdp) --------|
* ringing
  |<--- 183 INVITE (sdp, rel 1) ----|                                 |
  |--------- PRACK (rel 1) -------->|                                 |
  |<---------- 200 PRACK -----------|                                 |
  |                                 |<--------- 180 INVITE -----------|
  |<----- 180 INVITE (rel 2) -------|                                 |
  |--------- PRACK (rel 2) -------->|                                 |
  |<---------- 200 PRACK -----------|                                 |
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
fn hold_and_resume_pass_in_both_ways_of_asking() {
    let mut w = World::registered();
    let (mut alice, mut bob) = w.call();
    let [held, heard] = [sdp(2, "sendonly", None), sdp(2, "recvonly", None)];
    exchange(&mut w, "INVITE", &mut alice, BOB, [&held, &heard]);
    assert_eq!(w.states(), ["hold", "hold"]);
    let [runs, agrees] = [sdp(3, "sendrecv", None), sdp(3, "sendrecv", None)];
    exchange(&mut w, "UPDATE", &mut alice, BOB, [&runs, &agrees]);
    assert_eq!(w.states(), ["start", "start"]);
    let [held, heard] = [sdp(4, "sendonly", None), sdp(4, "recvonly", None)];
    exchange(&mut w, "INVITE", &mut bob, ALICE, [&held, &heard]);
    assert_eq!(w.states(), ["hold", "hold"]);
    hangs_up(&mut w, &mut bob, ALICE);
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
  |--------- INVITE (sdp) --------->|                                 |
  |                                 |--------- INVITE (sdp) --------->|
  |<--------- 100 INVITE -----------|                                 |
  |                                 |<------ 200 INVITE (sdp) --------|
* hold
  |<------ 200 INVITE (sdp) --------|                                 |
  |-------------- ACK ------------->|                                 |
  |                                 |-------------- ACK ------------->|
  |--------- UPDATE (sdp) --------->|                                 |
  |                                 |--------- UPDATE (sdp) --------->|
  |                                 |<------ 200 UPDATE (sdp) --------|
* start
  |<------ 200 UPDATE (sdp) --------|                                 |
  |                                 |<-------- INVITE (sdp) ----------|
  |<-------- INVITE (sdp) ----------|                                 |
  |                                 |---------- 100 INVITE ---------->|
  |------- 200 INVITE (sdp) ------->|                                 |
* hold
  |                                 |------- 200 INVITE (sdp) ------->|
  |                                 |<------------- ACK --------------|
  |<------------- ACK --------------|                                 |
  |                                 |<------------- BYE --------------|
* stop: the callee hung up
  |                                 |------------ 200 BYE ----------->|
  |<------------- BYE --------------|                                 |
  |------------ 200 BYE ----------->|                                 |
"
    );
    w.quiet();
}

#[test]
fn video_comes_and_goes_and_may_be_refused() {
    let mut w = World::registered();
    let (mut alice, mut bob) = w.call();
    let with = |version| sdp(version, "sendrecv", Some(4002));
    exchange(&mut w, "INVITE", &mut alice, BOB, [&with(2), &with(2)]);
    // taken back by the other side, and asked for again by it, which the first does not want now
    let without = |version| sdp(version, "sendrecv", Some(0));
    exchange(&mut w, "INVITE", &mut bob, ALICE, [&without(3), &without(3)]);
    exchange(&mut w, "INVITE", &mut bob, ALICE, [&with(4), &without(4)]);
    // RFC 3261 14.1: refused as a whole, the call goes on as it was
    w.request(&mut alice, "INVITE", "Contact: <sip:alice@192.0.2.1:5060>\r\n", &with(5));
    w.expect(ALICE, "SIP/2.0 100");
    let asked = w.expect(BOB, "INVITE");
    w.answer(BOB, &asked, 488, "", "");
    w.expect(BOB, "ACK");
    w.expect(ALICE, "SIP/2.0 488");
    assert_eq!(w.states(), ["start", "start"]);
    hangs_up(&mut w, &mut alice, BOB);
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
  |--------- INVITE (sdp) --------->|                                 |
  |                                 |--------- INVITE (sdp) --------->|
  |<--------- 100 INVITE -----------|                                 |
  |                                 |<------ 200 INVITE (sdp) --------|
  |<------ 200 INVITE (sdp) --------|                                 |
  |-------------- ACK ------------->|                                 |
  |                                 |-------------- ACK ------------->|
  |                                 |<-------- INVITE (sdp) ----------|
  |<-------- INVITE (sdp) ----------|                                 |
  |                                 |---------- 100 INVITE ---------->|
  |------- 200 INVITE (sdp) ------->|                                 |
  |                                 |------- 200 INVITE (sdp) ------->|
  |                                 |<------------- ACK --------------|
  |<------------- ACK --------------|                                 |
  |                                 |<-------- INVITE (sdp) ----------|
  |<-------- INVITE (sdp) ----------|                                 |
  |                                 |---------- 100 INVITE ---------->|
  |------- 200 INVITE (sdp) ------->|                                 |
  |                                 |------- 200 INVITE (sdp) ------->|
  |                                 |<------------- ACK --------------|
  |<------------- ACK --------------|                                 |
  |--------- INVITE (sdp) --------->|                                 |
  |                                 |--------- INVITE (sdp) --------->|
  |<--------- 100 INVITE -----------|                                 |
  |                                 |<--------- 488 INVITE -----------|
  |                                 |-------------- ACK ------------->|
  |<--------- 488 INVITE -----------|                                 |
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
fn an_emergency_call_of_a_phone_without_registration_is_answered() {
    let stranger = Phone { addr: "192.0.2.9:5060", user: "anonymous" };
    let mut w = World::with(|c| {
        let mut service = Impu::new("urn:service:sos");
        (service.anonymous, service.authentication) = (true, false);
        c.echo.push(service);
    });
    let mut caller = w.invite(stranger, "urn:service:sos", "Supported: 100rel\r\n", SDP);
    let ok = w.expect(stranger, "SIP/2.0 200");
    assert!(body(&ok).contains("m=audio"), "{ok}");
    caller.learn(&ok);
    w.ack(&caller, 1, "");
    w.request(&mut caller, "BYE", "", "");
    w.expect(stranger, "SIP/2.0 200");
    assert_eq!(
        w.ladder(10),
        "
anonymous@ims.test               imsbox
  |--------- INVITE (sdp) --------->|
  |<--------- 100 INVITE -----------|
* start
  |<------ 200 INVITE (sdp) --------|
  |-------------- ACK ------------->|
  |-------------- BYE ------------->|
* stop: the caller hung up
  |<----------- 200 BYE ------------|
"
    );
    w.quiet();
}

#[test]
fn a_call_of_the_network_is_held_and_resumed_and_ends_when_its_time_is_over() {
    let mut w = World::new();
    w.register(BOB, "");
    let callee = Callee::Any("bob".to_owned());
    let order =
        Order { callee, caller: None, media: None, duration: Some(Duration::from_secs(10)), sos: false };
    let (index, _) = w.input(|core, cx| core.call(cx, order)).unwrap();
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    w.answer(BOB, &invite, 200, "", &SDP.replace("AVP 0", "AVP 8"));
    w.expect(BOB, "ACK");
    let mut bob = Side::callee(BOB, &invite);
    for direction in ["sendonly", "sendrecv"] {
        w.request(&mut bob, "INVITE", "", &SDP.replace("AVP 0", "AVP 8").replace("sendrecv", direction));
        let agreed = body(&w.expect(BOB, "SIP/2.0 200")).to_owned();
        assert_eq!(agreed.contains("a=recvonly"), direction == "sendonly", "{agreed}");
        w.ack(&bob, bob.cseq, "");
    }
    w.pass(Duration::from_secs(10));
    let bye = w.expect(BOB, "BYE");
    w.answer(BOB, &bye, 200, "", "");
    w.expect_nothing();
    assert_eq!(
        w.ladder(index),
        "
imsbox                     bob@ims.test
  |--------- INVITE (sdp) --------->|
  |<--------- 180 INVITE -----------|
* ringing
  |<------ 200 INVITE (sdp) --------|
* start
  |-------------- ACK ------------->|
  |<-------- INVITE (sdp) ----------|
* hold
  |------- 200 INVITE (sdp) ------->|
  |<------------- ACK --------------|
  |<-------- INVITE (sdp) ----------|
* start
  |------- 200 INVITE (sdp) ------->|
  |<------------- ACK --------------|
* stop: its duration of 10 s is over
  |-------------- BYE ------------->|
  |<----------- 200 BYE ------------|
"
    );
    w.quiet();
}
