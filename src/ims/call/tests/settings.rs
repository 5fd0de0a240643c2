//! What the configuration changes in calls between users.

use super::*;
use crate::config::model::{CustomHeader, Precondition};

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
    assert_eq!(header(&invited(&mut w, "Supported: 100rel\r\n", SDP), HeaderId::Supported), "timer");
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
    assert_eq!(header(&invite, HeaderId::Supported), "100rel,timer");
    assert!(!body(&invite).contains("qos") && !body(&invite).contains("inactive"), "{invite}");
    w.answer(BOB, &invite, 200, "", &SDP.replace("a=sendrecv", "a=curr:qos local none\r\na=sendrecv"));
    let waiting = SDP.replace("sendrecv", "inactive");
    assert_eq!(body(&w.expect(ALICE, "SIP/2.0 200")).replace("- 1 2 IN", "- 1 1 IN"), waiting);
    w.quiet();
    let mut w = registered(|_| {});
    w.register(BOB, ";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"");
    assert_eq!(body(&invited(&mut w, "", HELD)), HELD, "nothing is touched otherwise");
}

#[test]
fn a_call_that_begins_on_hold_can_be_forbidden() {
    let mut w = registered(|c| c.call.allow_held_invite = false);
    let invite = invited(&mut w, "", &SDP.replace("sendrecv", "sendonly"));
    assert!(!body(&invite).contains("sendonly"), "{invite}");
    w.quiet();
}

fn custom(name: &str, value: Option<&str>, methods: &[&str], codes: &[u16]) -> CustomHeader {
    CustomHeader {
        name: name.to_owned(),
        value: value.map(str::to_owned),
        replace: false,
        methods: methods.iter().map(|m| (*m).to_owned()).collect(),
        codes: codes.to_vec(),
    }
}

#[test]
fn custom_headers_reach_both_sides() {
    let mut w = registered(|c| {
        c.protocol.custom_headers = vec![
            custom("X-Invite", Some("1"), &["INVITE"], &[]),
            custom("X-Ok", Some("2"), &["INVITE"], &[200]),
            custom("X-Phone", None, &["*"], &[0]),
            custom("X-Phone", None, &["*"], &[]),
        ];
    });
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "X-Phone: a\r\n", SDP);
    let invite = w.expect(BOB, "INVITE");
    assert!(invite.contains("\r\nX-Invite: 1\r\n") && !invite.contains("X-Phone"), "{invite}");
    w.answer(BOB, &invite, 200, "X-Phone: b\r\n", SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert!(ok.contains("\r\nX-Ok: 2\r\n") && !ok.contains("X-Phone"), "{ok}");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    let ack = w.expect(BOB, "ACK");
    assert!(!ack.contains("X-Invite") && !ack.contains("X-Ok"), "{ack}");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

/// A world in which everything that is sent has X-All once, and nothing has User-Agent, Server or Supported.
fn marked() -> World {
    registered(|c| {
        let all = |name: &str, value| [custom(name, value, &["*"], &[]), custom(name, value, &[], &[0])];
        c.protocol.custom_headers = [all("X-All", Some("1")), all("x-all", None), all("User-Agent", None)]
            .into_iter()
            .chain([all("server", None), all("k", None)])
            .flatten()
            .collect();
        c.protocol.custom_headers[2].replace = true;
    })
}

/// Whether a message bears the marks of [`marked`], and which one it is.
fn assert_marked(text: &str) {
    assert_eq!(text.matches("\r\nX-All: 1\r\n").count(), 1, "{text}");
    for name in ["User-Agent:", "Server:", "Supported:", "X-All: phone"] {
        assert!(!text.contains(name), "{name} in {text}");
    }
}

#[test]
fn custom_headers_are_in_all_that_is_sent() {
    let headers = "Supported: 100rel, timer\r\nX-All: phone\r\nUser-Agent: phone\r\nServer: phone\r\n";
    let mut w = marked();
    // a call that is cancelled: 100, INVITE, 180, CANCEL and its 200, 487, ACK of a failure
    let alice = w.invite(ALICE, "sip:bob@ims.test", headers, SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, headers, "");
    w.send(ALICE, &alice.text("CANCEL", 1, w.branch, headers, ""));
    let cancel = w.find(BOB, "CANCEL").unwrap();
    w.answer(BOB, &cancel, 200, headers, "");
    w.answer(BOB, &invite, 487, headers, "");
    let mut sent = vec![invite, cancel, w.expect(BOB, "ACK")];
    sent.extend(["SIP/2.0 180", "SIP/2.0 200", "SIP/2.0 487"].map(|start| w.expect(ALICE, start)));
    // a call with a reliable answer, and what belongs to no call
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", headers, SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 183, "Require: 100rel\r\nRSeq: 1\r\n", SDP);
    let progress = w.expect(ALICE, "SIP/2.0 183");
    alice.learn(&progress);
    w.request(&mut alice, "PRACK", &format!("RAck: 1 1 INVITE\r\n{headers}"), "");
    let prack = w.expect(BOB, "PRACK");
    w.answer(BOB, &prack, 200, headers, "");
    sent.extend([progress, prack, w.expect(ALICE, "SIP/2.0 200")]);
    w.answer(BOB, &invite, 200, headers, "");
    sent.push(w.expect(ALICE, "SIP/2.0 200"));
    w.ack(&alice, 1, "");
    sent.push(w.expect(BOB, "ACK"));
    w.request(&mut alice, "BYE", headers, "");
    sent.extend([w.expect(ALICE, "SIP/2.0 200"), w.expect(BOB, "BYE")]);
    w.quiet();
    w.request(&mut alice, "BYE", headers, "");
    sent.push(w.expect(ALICE, "SIP/2.0 481"));
    sent.iter().for_each(|text| assert_marked(text));
}

#[test]
fn custom_headers_are_in_what_the_echo_service_sends() {
    let mut w = marked();
    let mut alice = w.invite(ALICE, "tel:666", "X-All: phone\r\nSupported: timer\r\n", SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.request(&mut alice, "INFO", "X-All: phone\r\n", "");
    let info = w.expect(ALICE, "SIP/2.0 ");
    let index = w.core.dialog_views(w.now)[0].index;
    w.input(|core, cx| core.stop_dialog(cx, index)).unwrap();
    for text in [ok, info, w.find(ALICE, "BYE").unwrap()] {
        assert_marked(&text);
    }
    w.quiet();
}

#[test]
fn a_custom_header_can_replace_one_of_ours() {
    let mut w = registered(|c| {
        let mut ours = ["Allow", "P-Asserted-Identity", "Contact", "From"]
            .map(|name| custom(name, Some("<sip:custom@h>"), &["*"], &[0]))
            .to_vec();
        ours.extend(ours.clone().into_iter().map(|h| CustomHeader { codes: vec![], ..h }));
        c.protocol.custom_headers = ours.into_iter().map(|h| CustomHeader { replace: true, ..h }).collect();
    });
    let invite = invited(&mut w, "Allow: INVITE\r\n", SDP);
    for name in [HeaderId::Allow, HeaderId::PAssertedIdentity, HeaderId::Contact] {
        assert_eq!(header(&invite, name), "<sip:custom@h>", "{invite}");
        assert_eq!(invite.matches(&format!("\r\n{}: ", name.name())).count(), 1, "{invite}");
    }
    assert!(header(&invite, HeaderId::From).starts_with("<sip:alice@ims.test>"), "{invite}");
    w.drop_all();
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

#[test]
fn a_kind_of_media_can_be_kept_out_of_calls() {
    let video = format!("{SDP}m=video 4002 RTP/AVP 99\r\na=sendrecv\r\n");
    let mut w = registered(|c| c.users[1].impus[0].video = false);
    let invite = invited(&mut w, "", &video);
    let without = video.replace("m=video 4002", "m=video 0");
    assert_eq!(body(&invite), without);
    w.answer(BOB, &invite, 200, "", &without);
    assert_eq!(body(&w.expect(ALICE, "SIP/2.0 200")), without);
    w.drop_all();
    w.invite(ALICE, "sip:bob@ims.test", "", &SDP.replace("m=audio", "m=video"));
    let refused = w.expect(ALICE, "SIP/2.0 488");
    assert!(header(&refused, HeaderId::Warning).starts_with("304 "), "{refused}");
}

#[test]
fn video_that_is_added_later_stays_out_too() {
    let mut w = registered(|c| c.users[0].impus[0].video = false);
    let (mut alice, mut bob) = w.call();
    let video = format!("{SDP}m=video 4002 RTP/AVP 99\r\na=sendrecv\r\n");
    w.request(&mut bob, "INVITE", "", &video);
    w.expect(BOB, "SIP/2.0 100");
    let invite = w.expect(ALICE, "INVITE");
    assert!(body(&invite).contains("m=video 0 "), "{invite}");
    w.answer(ALICE, &invite, 200, "", &video.replace("m=video 4002", "m=video 0"));
    w.expect(BOB, "SIP/2.0 200");
    w.ack(&bob, 101, "");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}
