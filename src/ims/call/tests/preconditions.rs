//! Preconditions on both sides, on one, and silently, drawn as the wire saw them (RFC 3312, RFC 3262, TS 24.229 5.1.3, 5.1.4).

use super::*;

const VOLTE: &str = ";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"";
const SUPPORTED: &str = "Supported: 100rel, precondition\r\n";
const RELIABLE: &str = "Require: 100rel,precondition\r\nRSeq: 1\r\n";

/// A description of a phone: version, direction, and what it says of its own resources and the other's.
fn sdp(version: u32, direction: &str, qos: &str) -> String {
    format!(
        "v=0\r\no=- 1 {version} IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na={direction}\r\n{qos}"
    )
}

/// Precondition lines: what is there on either side, how much it is wanted, and whether the other side is to tell.
fn qos(local: &str, remote: &str, wanted: [&str; 2], confirm: bool) -> String {
    let [ours, theirs] = wanted;
    let confirm = if confirm { "a=conf:qos remote sendrecv\r\n" } else { "" };
    format!(
        "a=curr:qos local {local}\r\na=curr:qos remote {remote}\r\na=des:qos {ours} local sendrecv\r\na=des:qos {theirs} remote sendrecv\r\n{confirm}"
    )
}

const BOTH: [&str; 2] = ["mandatory", "mandatory"];

/// A world in which Alice and Bob have phones; Bob's is a VoLTE one if `volte`.
fn world(volte: bool, change: impl FnOnce(&mut Config)) -> World {
    let mut w = World::with(change);
    w.register(ALICE, VOLTE);
    w.register(BOB, if volte { VOLTE } else { "" });
    w
}

fn hangs_up(w: &mut World, alice: &mut Side) {
    w.request(alice, "BYE", "", "");
    w.expect(ALICE, "SIP/2.0 200");
    let bye = w.expect(BOB, "BYE");
    w.answer(BOB, &bye, 200, "", "");
}

#[test]
fn between_phones_that_both_use_them_everything_passes() {
    let mut w = world(true, |_| {});
    let offer = sdp(1, "inactive", &qos("none", "none", ["mandatory", "none"], false));
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", SUPPORTED, &offer);
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(
        (header(&invite, HeaderId::Supported).as_str(), body(&invite)),
        ("100rel,precondition,timer", &offer[..])
    );
    let answer = sdp(1, "inactive", &qos("none", "none", BOTH, true));
    w.answer(BOB, &invite, 183, RELIABLE, &answer);
    let early = w.expect(ALICE, "SIP/2.0 183");
    assert_eq!(
        (header(&early, HeaderId::Require).as_str(), body(&early)),
        ("100rel,precondition", &answer[..])
    );
    alice.learn(&early);
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    let prack = w.expect(BOB, "PRACK");
    w.answer(BOB, &prack, 200, "", "");
    w.expect(ALICE, "SIP/2.0 200");
    let ready = sdp(2, "sendrecv", &qos("sendrecv", "none", BOTH, false));
    w.request(&mut alice, "UPDATE", "Require: precondition\r\n", &ready);
    let update = w.expect(BOB, "UPDATE");
    assert_eq!((header(&update, HeaderId::Require).as_str(), body(&update)), ("precondition", &ready[..]));
    w.answer(BOB, &update, 200, "", &sdp(2, "sendrecv", &qos("sendrecv", "sendrecv", BOTH, false)));
    w.expect(ALICE, "SIP/2.0 200");
    w.answer(BOB, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.answer(BOB, &invite, 200, "", "");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(body(&ok), "", "it has been said reliably");
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    hangs_up(&mut w, &mut alice);
    assert_eq!(
        w.ladder(10),
        "
alice@ims.test                   imsbox                      bob@ims.test
  |--------- INVITE (sdp) --------->|                                 |
  |<--------- 100 INVITE -----------|                                 |
  |                                 |--------- INVITE (sdp) --------->|
  |                                 |<--- 183 INVITE (sdp, rel 1) ----|
* ringing
  |<--- 183 INVITE (sdp, rel 1) ----|                                 |
  |--------- PRACK (rel 1) -------->|                                 |
  |                                 |--------- PRACK (rel 1) -------->|
  |                                 |<---------- 200 PRACK -----------|
  |<---------- 200 PRACK -----------|                                 |
  |--------- UPDATE (sdp) --------->|                                 |
  |                                 |--------- UPDATE (sdp) --------->|
  |                                 |<------ 200 UPDATE (sdp) --------|
  |<------ 200 UPDATE (sdp) --------|                                 |
  |                                 |<--------- 180 INVITE -----------|
  |<--------- 180 INVITE -----------|                                 |
  |                                 |<--------- 200 INVITE -----------|
* start
  |<--------- 200 INVITE -----------|                                 |
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
fn for_a_caller_alone_we_say_that_the_callees_resources_are_there() {
    let mut w = world(false, |_| {});
    let offer = sdp(1, "inactive", &qos("none", "none", ["mandatory", "none"], false));
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", SUPPORTED, &offer);
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(
        (header(&invite, HeaderId::Supported).as_str(), body(&invite)),
        ("100rel,timer", &sdp(1, "sendrecv", "")[..])
    );
    w.answer(BOB, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.answer(BOB, &invite, 200, "", &sdp(7, "sendrecv", ""));
    w.expect(BOB, "ACK");
    let early = w.expect(ALICE, "SIP/2.0 183");
    assert_eq!(header(&early, HeaderId::Require), "100rel,precondition");
    assert_eq!(body(&early), sdp(7, "inactive", &qos("sendrecv", "none", ["none", "mandatory"], true)));
    alice.learn(&early);
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.expect_nothing();
    let ready = sdp(2, "sendrecv", &qos("sendrecv", "none", ["mandatory", "none"], false));
    w.request(&mut alice, "UPDATE", "Require: precondition\r\n", &ready);
    let answer = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(body(&answer), sdp(8, "sendrecv", &qos("sendrecv", "sendrecv", ["none", "mandatory"], false)));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!((header(&ok, HeaderId::CSeq).as_str(), body(&ok)), ("1 INVITE", ""));
    w.ack(&alice, 1, "");
    w.expect_nothing();
    hangs_up(&mut w, &mut alice);
    assert_eq!(
        w.ladder(10),
        "
alice@ims.test                   imsbox                      bob@ims.test
  |--------- INVITE (sdp) --------->|                                 |
  |<--------- 100 INVITE -----------|                                 |
  |                                 |--------- INVITE (sdp) --------->|
  |                                 |<--------- 180 INVITE -----------|
* ringing
  |<--------- 180 INVITE -----------|                                 |
  |                                 |<------ 200 INVITE (sdp) --------|
  |                                 |-------------- ACK ------------->|
  |<--- 183 INVITE (sdp, rel 1) ----|                                 |
  |--------- PRACK (rel 1) -------->|                                 |
  |<---------- 200 PRACK -----------|                                 |
  |--------- UPDATE (sdp) --------->|                                 |
* start
  |<------ 200 UPDATE (sdp) --------|                                 |
  |<--------- 200 INVITE -----------|                                 |
  |-------------- ACK ------------->|                                 |
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
fn for_a_callee_alone_we_say_that_the_callers_resources_are_there() {
    use crate::config::model::Precondition;
    let mut w = world(true, |c| c.users[1].impus[0].precondition = Some(Precondition::On));
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", &sdp(1, "sendrecv", ""));
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(header(&invite, HeaderId::Supported), "100rel,precondition,timer");
    assert_eq!(body(&invite), sdp(1, "sendrecv", &qos("sendrecv", "none", ["mandatory", "none"], false)));
    w.answer(BOB, &invite, 183, RELIABLE, &sdp(1, "inactive", &qos("none", "sendrecv", BOTH, false)));
    let prack = w.expect(BOB, "PRACK");
    w.answer(BOB, &prack, 200, "", "");
    let early = w.expect(ALICE, "SIP/2.0 183");
    assert_eq!((header(&early, HeaderId::Require).as_str(), body(&early)), ("", &sdp(1, "sendrecv", "")[..]));
    let mut bob = Side::callee(BOB, &invite);
    w.request(&mut bob, "UPDATE", "", &sdp(2, "sendrecv", &qos("sendrecv", "sendrecv", BOTH, false)));
    let answer = w.expect(BOB, "SIP/2.0 200");
    assert_eq!(body(&answer), sdp(2, "sendrecv", &qos("sendrecv", "sendrecv", BOTH, false)));
    w.answer(BOB, &invite, 180, "Require: 100rel\r\nRSeq: 2\r\n", "");
    let prack = w.expect(BOB, "PRACK");
    w.answer(BOB, &prack, 200, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.answer(BOB, &invite, 200, "", "");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(body(&ok), sdp(1, "sendrecv", ""));
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    hangs_up(&mut w, &mut alice);
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
  |                                 |<-------- UPDATE (sdp) ----------|
  |                                 |------- 200 UPDATE (sdp) ------->|
  |                                 |<----- 180 INVITE (rel 2) -------|
  |                                 |--------- PRACK (rel 2) -------->|
  |<--------- 180 INVITE -----------|                                 |
  |                                 |<---------- 200 PRACK -----------|
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
fn silently_no_phone_hears_of_them() {
    use crate::config::model::Precondition;
    let mut w = world(true, |c| c.call.precondition = Precondition::Silent);
    let offer = sdp(1, "inactive", &qos("none", "none", ["mandatory", "none"], false));
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", SUPPORTED, &offer);
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(
        (header(&invite, HeaderId::Supported).as_str(), body(&invite)),
        ("100rel,timer", &sdp(1, "sendrecv", "")[..])
    );
    w.answer(BOB, &invite, 180, "Require: 100rel\r\nRSeq: 1\r\n", "");
    alice.learn(&w.expect(ALICE, "SIP/2.0 180"));
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    let prack = w.expect(BOB, "PRACK");
    w.answer(BOB, &prack, 200, "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.answer(BOB, &invite, 200, "", &sdp(1, "sendrecv", ""));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(
        body(&ok),
        sdp(1, "inactive", ""),
        "her stream waits: nobody may answer that it runs (RFC 3264 6.1)"
    );
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    // her bearer has come
    let ready = sdp(2, "sendrecv", &qos("sendrecv", "none", ["mandatory", "none"], false));
    w.request(&mut alice, "UPDATE", "Require: precondition\r\n", &ready);
    let update = w.expect(BOB, "UPDATE");
    assert_eq!(
        (header(&update, HeaderId::Require).as_str(), body(&update)),
        ("", &sdp(1, "sendrecv", "")[..]),
        "to him it runs already"
    );
    w.answer(BOB, &update, 200, "", &sdp(1, "sendrecv", ""));
    assert!(body(&w.expect(ALICE, "SIP/2.0 200")).ends_with("a=sendrecv\r\n"));
    hangs_up(&mut w, &mut alice);
    assert_eq!(
        w.ladder(10),
        "
alice@ims.test                   imsbox                      bob@ims.test
  |--------- INVITE (sdp) --------->|                                 |
  |<--------- 100 INVITE -----------|                                 |
  |                                 |--------- INVITE (sdp) --------->|
  |                                 |<----- 180 INVITE (rel 1) -------|
* ringing
  |<----- 180 INVITE (rel 1) -------|                                 |
  |--------- PRACK (rel 1) -------->|                                 |
  |                                 |--------- PRACK (rel 1) -------->|
  |                                 |<---------- 200 PRACK -----------|
  |<---------- 200 PRACK -----------|                                 |
  |                                 |<------ 200 INVITE (sdp) --------|
* start
  |<------ 200 INVITE (sdp) --------|                                 |
  |-------------- ACK ------------->|                                 |
  |                                 |-------------- ACK ------------->|
  |--------- UPDATE (sdp) --------->|                                 |
  |                                 |--------- UPDATE (sdp) --------->|
  |                                 |<------ 200 UPDATE (sdp) --------|
  |<------ 200 UPDATE (sdp) --------|                                 |
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
fn a_volte_phone_that_does_not_use_them_hears_when_the_streams_run() {
    let mut w = world(true, |_| {});
    let offer = sdp(1, "inactive", &qos("none", "none", ["mandatory", "none"], false));
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", SUPPORTED, &offer);
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(body(&invite), offer, "it may well use them");
    w.answer(BOB, &invite, 183, "", &sdp(1, "inactive", ""));
    let early = w.expect(ALICE, "SIP/2.0 183");
    assert_eq!(body(&early), sdp(1, "inactive", &qos("sendrecv", "none", ["none", "mandatory"], true)));
    alice.learn(&early);
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.answer(BOB, &invite, 200, "", &sdp(1, "inactive", ""));
    w.expect(BOB, "ACK");
    let ready = sdp(2, "sendrecv", &qos("sendrecv", "none", ["mandatory", "none"], false));
    w.request(&mut alice, "UPDATE", "", &ready);
    let answer = w.expect(ALICE, "SIP/2.0 200");
    assert!(body(&answer).contains("a=sendrecv\r\na=curr:qos local sendrecv\r\n"), "{answer}");
    w.expect(ALICE, "SIP/2.0 200");
    w.ack(&alice, 1, "");
    let renewed = w.expect(BOB, "INVITE sip:bob@192.0.2.2:5060");
    assert_eq!(
        (header(&renewed, HeaderId::CSeq).as_str(), body(&renewed)),
        ("2 INVITE", &sdp(2, "sendrecv", "")[..])
    );
    // he changes something himself just now: he hears it later (RFC 3261 14.1)
    w.answer(BOB, &renewed, 491, "", "");
    w.expect(BOB, "ACK");
    w.pass(Duration::from_millis(2090));
    w.expect_nothing();
    let renewed = w.wait_for(BOB, "INVITE sip:bob@192.0.2.2:5060", Duration::from_millis(1910));
    assert!(body(&renewed).ends_with("a=sendrecv\r\n"), "{renewed}");
    assert_eq!(header(&renewed, HeaderId::Supported), "timer", "no lines, no tag");
    w.answer(BOB, &renewed, 200, "", &sdp(2, "sendrecv", ""));
    w.expect(BOB, "ACK");
    w.expect_nothing();
    hangs_up(&mut w, &mut alice);
    w.quiet();
}

/// Alice's phone waits, Bob's plain one has answered, and Alice has acknowledged what there is of it.
fn waits_for_resources(w: &mut World, offer: &str, answer: &str) -> (Side, String) {
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", SUPPORTED, offer);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", answer);
    w.expect(BOB, "ACK");
    alice.learn(&w.expect(ALICE, "SIP/2.0 183"));
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    (alice, invite)
}

#[test]
fn a_caller_that_offers_again_only_what_was_answered_is_ready_without_a_word_to_the_callee() {
    let mut w = world(false, |_| {});
    let codecs = |text: String, all: &str, maps: &str| {
        text.replace("RTP/AVP 0\r\n", &format!("RTP/AVP {all}\r\nb=AS:41\r\n{maps}"))
    };
    let maps = "a=rtpmap:107 AMR-WB/16000/1\r\na=rtpmap:105 AMR/8000/1\r\n";
    let lines = |local: &str| qos(local, "none", ["mandatory", "none"], false);
    let offer = codecs(sdp(1, "inactive", &lines("none")), "107 105", maps);
    let answer = codecs(sdp(7, "sendrecv", ""), "107", &maps[..29]);
    let (mut alice, _) = waits_for_resources(&mut w, &offer, &answer);
    let ready = codecs(sdp(2, "sendrecv", &lines("sendrecv")), "107", &maps[..29]);
    w.request(&mut alice, "UPDATE", "Require: precondition\r\n", &ready);
    let told = w.expect(ALICE, "SIP/2.0 200");
    assert!(
        header(&told, HeaderId::CSeq).ends_with("UPDATE") && body(&told).contains("curr:qos remote sendrecv")
    );
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(header(&ok, HeaderId::CSeq), "1 INVITE");
    w.ack(&alice, 1, "");
    w.expect_nothing();
    hangs_up(&mut w, &mut alice);
    w.quiet();
}

#[test]
fn a_reinvite_of_ours_that_has_lines_names_the_extension() {
    let mut w = world(true, |_| {});
    let lines = |remote: &str| qos("sendrecv", remote, BOTH, false);
    let (offer, answer) = (sdp(1, "sendrecv", &lines("none")), sdp(1, "sendrecv", &lines("sendrecv")));
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", SUPPORTED, &offer);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", &answer);
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    w.set(10, Action::Reinvite(None)).unwrap();
    for (phone, told) in [(ALICE, &answer), (BOB, &offer)] {
        let again = w.expect(phone, "INVITE");
        assert_eq!(body(&again), told);
        assert!(again.contains("\r\nSupported: precondition\r\n"), "{again}");
        w.answer(phone, &again, 200, "", if phone.user == "bob" { &answer } else { &offer });
        w.expect(phone, "ACK");
    }
    w.expect_nothing();
    hangs_up(&mut w, &mut alice);
    w.quiet();
}

#[test]
fn an_offer_in_a_prack_that_ends_here_is_answered_in_its_200() {
    let mut w = world(false, |_| {});
    let lines = |local: &str| qos(local, "none", ["mandatory", "none"], false);
    let several = |text: String| text.replace("RTP/AVP 0", "RTP/AVP 0 8");
    let mut alice =
        w.invite(ALICE, "sip:bob@ims.test", SUPPORTED, &several(sdp(1, "inactive", &lines("none"))));
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", &several(sdp(7, "sendrecv", "")));
    w.expect(BOB, "ACK");
    let early = w.expect(ALICE, "SIP/2.0 183");
    alice.learn(&early);
    // one codec of those that Bob has taken, and no resources yet
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", &sdp(2, "inactive", &lines("none")));
    assert_eq!(body(&w.expect(ALICE, "SIP/2.0 200")), body(&early));
    w.expect_nothing();
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn where_the_media_passes_here_the_callee_is_asked_no_more_than_elsewhere() {
    let mut w = world(false, |c| c.call.media_relay = crate::config::model::MediaRelay::On);
    let lines = |local: &str| qos(local, "none", ["mandatory", "none"], false);
    let (mut alice, _) =
        waits_for_resources(&mut w, &sdp(1, "inactive", &lines("none")), &sdp(7, "sendrecv", ""));
    w.request(&mut alice, "UPDATE", "", &sdp(2, "sendrecv", &lines("sendrecv")));
    w.expect(ALICE, "SIP/2.0 200");
    w.expect(ALICE, "SIP/2.0 200");
    w.ack(&alice, 1, "");
    w.expect_nothing();
    w.request(&mut alice, "INVITE", "", &sdp(3, "sendonly", &lines("sendrecv")));
    w.expect(ALICE, "SIP/2.0 100");
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", &sdp(8, "recvonly", ""));
    w.expect(ALICE, "SIP/2.0 200");
    w.ack(&alice, alice.cseq, "");
    w.expect(BOB, "ACK");
    w.expect_nothing();
    hangs_up(&mut w, &mut alice);
    w.quiet();
}

#[test]
fn a_200_that_is_kept_back_goes_when_the_callee_has_answered_that_the_caller_is_ready() {
    let mut w = world(false, |_| {});
    let lines = |local: &str| qos(local, "none", ["mandatory", "none"], false);
    let (mut alice, _) =
        waits_for_resources(&mut w, &sdp(1, "inactive", &lines("none")), &sdp(7, "sendrecv", ""));
    let moved = sdp(2, "sendrecv", &lines("sendrecv")).replace("4000", "4400");
    w.request(&mut alice, "UPDATE", "Require: precondition\r\n", &moved);
    let update = w.expect(BOB, "UPDATE");
    assert_eq!(body(&update), sdp(2, "sendrecv", "").replace("4000", "4400"));
    w.answer(BOB, &update, 200, "", &sdp(8, "sendrecv", "").replace("4000", "4800"));
    let updated = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(header(&updated, HeaderId::CSeq), "3 UPDATE");
    assert_eq!(header(&w.expect(ALICE, "SIP/2.0 200"), HeaderId::CSeq), "1 INVITE");
    w.ack(&alice, 1, "");
    w.expect_nothing();
    w.pass(Duration::from_secs(900));
    let refresh = w.expect(ALICE, "INVITE");
    assert_eq!(body(&refresh), body(&updated), "the 200 that was kept back is older");
    w.answer(ALICE, &refresh, 200, "", &moved);
    w.expect(ALICE, "ACK");
    let refresh = w.expect(BOB, "INVITE");
    w.answer(BOB, &refresh, 200, "", &sdp(8, "sendrecv", "").replace("4000", "4800"));
    w.expect(BOB, "ACK");
    hangs_up(&mut w, &mut alice);
    w.quiet();
}

#[test]
fn an_offer_that_changes_nothing_is_answered_within_it_whatever_the_other_phone_last_asked_for() {
    let mut w = world(false, |_| {});
    let lines = qos("sendrecv", "none", ["mandatory", "none"], false);
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", SUPPORTED, &sdp(1, "sendrecv", &lines));
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", &sdp(1, "sendrecv", ""));
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    // Alice holds, and Bob asks in vain for both ways
    let mut bob = Side::callee(BOB, &invite);
    w.request(&mut bob, "UPDATE", "", &sdp(2, "sendrecv", ""));
    let update = w.expect(ALICE, "UPDATE");
    w.answer(ALICE, &update, 200, "", &sdp(2, "sendonly", &lines));
    assert_eq!(body(&w.expect(BOB, "SIP/2.0 200")), sdp(2, "sendonly", ""));
    w.request(&mut alice, "UPDATE", "", &sdp(2, "sendonly", &lines));
    let answer = w.expect(ALICE, "SIP/2.0 200");
    assert!(body(&answer).contains("a=recvonly\r\na=curr:qos local sendrecv\r\n"), "{answer}");
    hangs_up(&mut w, &mut alice);
    w.quiet();
}

#[test]
fn a_reliable_answer_that_comes_again_says_what_it_said_whatever_came_meanwhile() {
    let mut w = world(true, |_| {});
    let offer = sdp(1, "inactive", &qos("none", "none", ["mandatory", "none"], false));
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", SUPPORTED, &offer);
    let invite = w.expect(BOB, "INVITE");
    let progress = "Require: 100rel\r\nRSeq: 7\r\n";
    w.answer(BOB, &invite, 183, progress, &sdp(1, "inactive", ""));
    let early = w.expect(ALICE, "SIP/2.0 183");
    alice.learn(&early);
    // her PRACK is late; her UPDATE is not
    let ready = sdp(2, "sendrecv", &qos("sendrecv", "none", ["mandatory", "none"], false));
    w.request(&mut alice, "UPDATE", "", &ready);
    w.expect(ALICE, "SIP/2.0 200");
    w.answer(BOB, &invite, 183, progress, &sdp(1, "inactive", ""));
    assert_eq!(w.expect(ALICE, "SIP/2.0 183"), early);
    w.request(&mut alice, "PRACK", "RAck: 7 1 INVITE\r\n", "");
    let prack = w.expect(BOB, "PRACK");
    w.answer(BOB, &prack, 200, "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn what_a_phone_says_again_in_its_200_does_not_undo_what_was_said_since() {
    let mut w = world(true, |_| {});
    let offer = sdp(1, "inactive", &qos("none", "none", ["mandatory", "none"], false));
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", SUPPORTED, &offer);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 183, "", &sdp(1, "inactive", ""));
    alice.learn(&w.expect(ALICE, "SIP/2.0 183"));
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    let ready = sdp(2, "sendrecv", &qos("sendrecv", "none", ["mandatory", "none"], false));
    w.request(&mut alice, "UPDATE", "", &ready);
    w.expect(ALICE, "SIP/2.0 200");
    for status in [180, 200] {
        w.answer(BOB, &invite, status, "", &sdp(1, "inactive", ""));
        let passed = w.expect(ALICE, &format!("SIP/2.0 {status}"));
        assert_eq!((body(&passed), header(&passed, HeaderId::ContentType).as_str()), ("", ""));
    }
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    w.expect(BOB, "INVITE");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_200_that_waits_is_released_by_an_update_that_passes_because_it_changes_more() {
    let mut w = world(false, |_| {});
    let video = "m=video 4002 RTP/AVP 99\r\n";
    let offer = sdp(1, "inactive", &qos("none", "none", ["mandatory", "none"], false)) + video;
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", SUPPORTED, &offer);
    let invite = w.expect(BOB, "INVITE");
    let refused = "m=video 0 RTP/AVP 99\r\n";
    w.answer(BOB, &invite, 200, "", &(sdp(7, "sendrecv", "") + refused));
    w.expect(BOB, "ACK");
    alice.learn(&w.expect(ALICE, "SIP/2.0 183"));
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    let ready = sdp(2, "sendrecv", &qos("sendrecv", "none", ["mandatory", "none"], false)) + refused;
    // the phone is heard somewhere else now, too
    w.request(&mut alice, "UPDATE", "", &ready.replace("m=audio 4000", "m=audio 4010"));
    let update = w.expect(BOB, "UPDATE");
    w.expect_nothing();
    w.answer(BOB, &update, 200, "", &(sdp(7, "sendrecv", "") + refused));
    let cseqs = [(); 2].map(|()| header(&w.expect(ALICE, "SIP/2.0 200"), HeaderId::CSeq));
    assert_eq!(cseqs, ["3 UPDATE", "1 INVITE"]);
    w.ack(&alice, 1, "");
    hangs_up(&mut w, &mut alice);
    w.quiet();
}

#[test]
fn a_caller_that_hangs_up_while_its_resources_are_awaited_lets_the_callee_go() {
    let mut w = world(false, |_| {});
    let offer = sdp(1, "inactive", &qos("none", "none", ["mandatory", "none"], false));
    let alice = w.invite(ALICE, "sip:bob@ims.test", SUPPORTED, &offer);
    let branch = w.branch;
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", &sdp(7, "sendrecv", ""));
    w.expect(BOB, "ACK");
    w.expect(ALICE, "SIP/2.0 183");
    w.send(ALICE, &alice.text("CANCEL", 1, branch, "", ""));
    w.expect(ALICE, "SIP/2.0 200");
    w.expect(ALICE, "SIP/2.0 487");
    let bye = w.expect(BOB, "BYE");
    w.answer(BOB, &bye, 200, "", "");
    w.quiet();
}

#[test]
fn inside_the_call_hold_passes_with_the_lines_where_they_belong() {
    let mut w = world(false, |_| {});
    let lines = qos("sendrecv", "none", ["mandatory", "none"], false);
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", SUPPORTED, &sdp(1, "sendrecv", &lines));
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", &sdp(1, "sendrecv", ""));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert!(body(&ok).contains("curr:qos remote sendrecv"), "{ok}");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    let mut bob = Side::callee(BOB, &invite);
    w.request(&mut alice, "UPDATE", "", &sdp(2, "sendonly", &lines));
    let update = w.expect(BOB, "UPDATE");
    assert_eq!(body(&update), sdp(2, "sendonly", ""));
    w.answer(BOB, &update, 200, "", &sdp(2, "recvonly", ""));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert!(body(&ok).contains("a=recvonly") && body(&ok).contains("curr:qos local sendrecv"), "{ok}");
    w.request(&mut bob, "INVITE", "", &sdp(3, "sendrecv", ""));
    w.expect(BOB, "SIP/2.0 100");
    let reinvite = w.expect(ALICE, "INVITE");
    assert!(body(&reinvite).contains("des:qos mandatory remote sendrecv"), "{reinvite}");
    w.answer(ALICE, &reinvite, 200, "", &sdp(3, "sendrecv", &lines));
    assert_eq!(body(&w.expect(BOB, "SIP/2.0 200")), sdp(3, "sendrecv", ""));
    w.ack(&bob, 101, "");
    w.expect(ALICE, "ACK");
    hangs_up(&mut w, &mut alice);
    w.quiet();
}

#[test]
fn a_bearer_that_never_comes_is_named_with_what_to_do() {
    let mut w = world(false, |_| {});
    let offer = sdp(1, "inactive", &qos("none", "none", ["mandatory", "none"], false));
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", SUPPORTED, &offer);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", &sdp(7, "sendrecv", ""));
    w.expect(BOB, "ACK");
    alice.learn(&w.expect(ALICE, "SIP/2.0 183"));
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.pass(Duration::from_secs(40));
    w.expect(ALICE, "SIP/2.0 580");
    assert!(w.reason().contains("`precondition` \"off\""), "{}", w.reason());
    w.quiet();
}

#[test]
fn a_stream_that_a_plain_phone_refused_goes_without_news_to_it() {
    let mut w = world(false, |_| {});
    let lines = |ready: &str| qos(ready, "none", ["mandatory", "none"], false);
    let video = |port: u16, rest: &str| format!("m=video {port} RTP/AVP 99\r\na=sendrecv\r\n{rest}");
    let offer = sdp(1, "sendrecv", &lines("none")) + &video(4002, &lines("none"));
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", SUPPORTED, &offer);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 183, "", &(sdp(7, "sendrecv", "") + &video(0, "")));
    alice.learn(&w.expect(ALICE, "SIP/2.0 183"));
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    let ready = sdp(2, "sendrecv", &lines("sendrecv")) + &video(0, "");
    w.request(&mut alice, "UPDATE", "", &ready);
    let answer = w.expect(ALICE, "SIP/2.0 200");
    assert!(
        body(&answer).contains("m=video 0 ") && body(&answer).contains("curr:qos remote sendrecv"),
        "{answer}"
    );
    w.answer(BOB, &invite, 200, "", &(sdp(7, "sendrecv", "") + &video(0, "")));
    w.expect(ALICE, "SIP/2.0 200");
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    hangs_up(&mut w, &mut alice);
    w.quiet();
}
