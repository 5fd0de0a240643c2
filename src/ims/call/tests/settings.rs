//! What the configuration changes in calls between users.

use super::*;
use crate::config::model::Precondition;

const HELD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=inactive\r\n\
    a=curr:qos local none\r\na=des:qos mandatory local sendrecv\r\n";

fn registered(change: impl FnOnce(&mut Config)) -> World {
    let mut w = World::with(change);
    w.register(ALICE, "");
    w.register(BOB, "");
    w
}

/// The INVITE that Bob gets.
fn invited(w: &mut World, headers: &str, sdp: &str) -> String {
    w.invite(ALICE, "sip:bob@ims.test", headers, sdp);
    w.expect(BOB, "INVITE")
}

#[test]
fn reliable_answers_can_be_switched_off() {
    let mut w = registered(|c| c.call.reliable_provisional = false);
    let invite = invited(&mut w, "Supported: timer, 100rel\r\n", SDP);
    assert_eq!(header(&invite, HeaderId::Supported), "timer");
    w.drop_all();
    w.invite(ALICE, "sip:bob@ims.test", "Require: 100rel\r\n", SDP);
    let refused = w.expect(ALICE, "SIP/2.0 420");
    assert_eq!(header(&refused, HeaderId::Unsupported), "100rel");
    w.quiet();
    let mut w = registered(|c| c.users[0].impus[0].reliable_provisional = false);
    assert_eq!(header(&invited(&mut w, "Supported: 100rel\r\n", SDP), HeaderId::Supported), "");
}

#[test]
fn session_progress_can_be_kept_back_unless_it_is_reliable() {
    let mut w = registered(|c| c.users[1].impus[0].use183 = false);
    let invite = invited(&mut w, "Supported: 100rel\r\n", SDP);
    w.answer(BOB, &invite, 183, "", SDP);
    w.expect_nothing();
    w.answer(BOB, &invite, 183, "Require: 100rel\r\nRSeq: 1\r\n", SDP);
    w.expect(ALICE, "SIP/2.0 183");
    w.quiet();
}

#[test]
fn early_media_can_be_switched_off() {
    let mut w = registered(|c| c.call.early_media = false);
    let invite = invited(&mut w, "P-Early-Media: supported\r\n", SDP);
    assert_eq!(header(&invite, HeaderId::PEarlyMedia), "");
    w.answer(BOB, &invite, 180, "P-Early-Media: sendrecv\r\n", "");
    assert_eq!(header(&w.expect(ALICE, "SIP/2.0 180"), HeaderId::PEarlyMedia), "");
    w.quiet();
}

#[test]
fn preconditions_can_be_switched_off() {
    let mut w = registered(|c| c.call.precondition = Precondition::Off);
    let invite = invited(&mut w, "Supported: 100rel, precondition\r\n", HELD);
    assert_eq!(header(&invite, HeaderId::Supported), "100rel");
    assert!(!body(&invite).contains("qos") && !body(&invite).contains("inactive"), "{invite}");
    w.answer(BOB, &invite, 200, "", &SDP.replace("a=sendrecv", "a=curr:qos local none\r\na=sendrecv"));
    assert_eq!(body(&w.expect(ALICE, "SIP/2.0 200")), SDP);
    w.quiet();
    let mut w = registered(|_| {});
    assert_eq!(body(&invited(&mut w, "", HELD)), HELD, "nothing is touched otherwise");
}

#[test]
fn a_call_that_begins_on_hold_can_be_forbidden() {
    let mut w = registered(|c| c.call.allow_held_invite = false);
    let invite = invited(&mut w, "", &SDP.replace("sendrecv", "sendonly"));
    assert!(!body(&invite).contains("sendonly"), "{invite}");
    w.quiet();
}

#[test]
fn custom_headers_reach_both_sides() {
    let custom = |name: &str, value: Option<&str>, methods: &[&str], codes: &[u16]| {
        crate::config::model::CustomHeader {
            name: name.to_owned(),
            value: value.map(str::to_owned),
            replace: false,
            methods: methods.iter().map(|m| (*m).to_owned()).collect(),
            codes: codes.to_vec(),
        }
    };
    let mut w = registered(|c| {
        c.protocol.custom_headers = vec![
            custom("X-Invite", Some("1"), &["INVITE"], &[]),
            custom("X-Ok", Some("2"), &["INVITE"], &[200]),
            custom("X-Phone", None, &["*"], &[0]),
            custom("X-Phone", None, &["*"], &[]),
        ];
    });
    let (mut alice, _) = {
        let mut alice = w.invite(ALICE, "sip:bob@ims.test", "X-Phone: a\r\n", SDP);
        let invite = w.expect(BOB, "INVITE");
        assert!(invite.contains("\r\nX-Invite: 1\r\n") && !invite.contains("X-Phone"), "{invite}");
        w.answer(BOB, &invite, 200, "X-Phone: b\r\n", SDP);
        let ok = w.expect(ALICE, "SIP/2.0 200");
        assert!(ok.contains("\r\nX-Ok: 2\r\n") && !ok.contains("X-Phone"), "{ok}");
        alice.learn(&ok);
        (alice, ok)
    };
    w.ack(&alice, 1, "");
    let ack = w.expect(BOB, "ACK");
    assert!(!ack.contains("X-Invite") && !ack.contains("X-Ok"), "{ack}");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn the_far_phones_user_agent_passes_when_it_may() {
    let mut w = registered(|c| c.protocol.force_user_agent = false);
    let invite = invited(&mut w, "User-Agent: alice's phone\r\n", SDP);
    assert_eq!(header(&invite, HeaderId::UserAgent), "alice's phone");
    w.answer(BOB, &invite, 180, "Server: bob's phone\r\n", "");
    assert_eq!(header(&w.expect(ALICE, "SIP/2.0 180"), HeaderId::Server), "bob's phone");
    w.quiet();
}
