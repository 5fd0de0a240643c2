//! The server side: retransmissions, final responses, ACK, CANCEL, merged requests, caps.

use super::fixture::*;
use crate::base::time::Duration;
use crate::proto::flow::{ConnId, Flow, LocalId};
use crate::proto::sip::transaction::*;

const BRANCH: &str = "z9hG4bKabc";

#[test]
fn response_carries_what_the_request_had_and_where_it_came_from() {
    let mut f = Fixture::new();
    let id = f.receive_new(udp(), &incoming("OPTIONS", BRANCH));
    let sent = f.respond(id, 200);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].start(), "SIP/2.0 200 OK");
    assert_eq!(
        sent[0].header("Via"),
        "SIP/2.0/UDP 127.0.0.2:5080;branch=z9hG4bKabc;rport=5080;received=127.0.0.2"
    );
    assert_eq!(sent[0].header("To"), "<sip:b@ims.test>;tag=ours");
    assert_eq!((sent[0].header("Call-ID"), sent[0].header("CSeq")), ("in-1", "1 OPTIONS"));
    assert_eq!(sent[0].flow, udp());
}

#[test]
fn non_invite_retransmissions_get_the_same_response_until_timer_j() {
    let mut f = Fixture::new();
    let text = incoming("MESSAGE", BRANCH);
    let id = f.receive_new(udp(), &text);
    assert_eq!(f.receive(udp(), &text), (Verdict::Absorbed, vec![]));
    let first = f.respond(id, 202);
    assert!(f.txs.server(id).unwrap().has_final());
    assert_eq!(f.receive(udp(), &text), (Verdict::Absorbed, first));
    assert_eq!(f.respond(id, 500), vec![], "a second final response");
    f.pass(Duration::from_secs(31));
    assert!(f.txs.server(id).is_some());
    f.pass(Duration::from_secs(1));
    f.assert_empty();
    f.receive_new(udp(), &text);
}

#[test]
fn provisional_responses_are_repeated_for_a_repeated_request() {
    let mut f = Fixture::new();
    let text = incoming("INVITE", BRANCH);
    let id = f.receive_new(udp(), &text);
    assert_eq!(f.receive(udp(), &text), (Verdict::Absorbed, vec![]), "nothing was said yet");
    f.respond(id, 100);
    let ringing = f.respond(id, 180);
    assert_eq!(f.receive(udp(), &text), (Verdict::Absorbed, ringing));
}

#[test]
fn invite_failure_is_repeated_until_ack_and_forgotten_after_timer_i() {
    let mut f = Fixture::new();
    let id = f.receive_new(udp(), &incoming("INVITE", BRANCH));
    f.respond(id, 486);
    let times: Vec<u64> = f.pass(millis(9_000)).iter().map(|(ms, _)| *ms).collect();
    assert_eq!(times, [500, 1500, 3500, 7500]);
    assert_eq!(f.receive(udp(), &incoming("ACK", BRANCH)), (Verdict::Absorbed, vec![]));
    assert_eq!(f.receive(udp(), &incoming("INVITE", BRANCH)), (Verdict::Absorbed, vec![]));
    assert_eq!(f.receive(udp(), &incoming("ACK", BRANCH)), (Verdict::Absorbed, vec![]));
    assert_eq!(f.pass(millis(5_000)), vec![]);
    f.assert_empty();
    assert_eq!(f.events(), []);
}

#[test]
fn missing_ack_is_reported_to_the_owner() {
    let mut f = Fixture::new();
    let id = f.receive_new(udp(), &incoming("INVITE", BRANCH));
    f.txs.set_server_owner(id, 5);
    f.respond(id, 500);
    assert_eq!(f.pass(Duration::from_secs(32)).len(), 10);
    assert_eq!(f.events(), [TxEvent::ServerTimeout { owner: 5 }]);
    f.assert_empty();
}

#[test]
fn accepted_invite_passes_acks_and_repeats_only_when_the_tu_asks() {
    let mut f = Fixture::new();
    let text = incoming("INVITE", BRANCH);
    let id = f.receive_new(udp(), &text);
    let ok = f.respond(id, 200);
    assert_eq!(f.receive(udp(), &text), (Verdict::Absorbed, vec![]));
    assert_eq!(f.run(|t, cx| t.retransmit_2xx(cx, id)).1, ok);
    // the ACK of a 2xx has its own branch; one that reuses the INVITE's is passed on all the same
    assert_eq!(f.receive(udp(), &incoming("ACK", "z9hG4bKother")), (Verdict::Ack, vec![]));
    assert_eq!(f.receive(udp(), &incoming("ACK", BRANCH)), (Verdict::Ack, vec![]));
    assert_eq!(f.pass(Duration::from_secs(32)), vec![]);
    f.assert_empty();
    assert_eq!(f.run(|t, cx| t.retransmit_2xx(cx, id)).1, vec![]);
}

#[test]
fn branch_without_the_cookie_is_matched_by_the_whole_request() {
    let mut f = Fixture::new();
    let text = incoming("INVITE", "apple1");
    let id = f.receive_new(udp(), &text);
    f.respond(id, 486);
    let ack = incoming("ACK", "apple1").replace("To: <sip:b@ims.test>", "To: <sip:b@ims.test>;tag=ours");
    assert_eq!(f.receive(udp(), &ack), (Verdict::Absorbed, vec![]));
    assert_eq!(f.receive(udp(), &text), (Verdict::Absorbed, vec![]));
    // the next request may well use the same branch again
    let next = text.replace("CSeq: 1", "CSeq: 2");
    f.receive_new(udp(), &next);
}

#[test]
fn cancel_is_answered_and_reported_once() {
    let mut f = Fixture::new();
    let id = f.receive_new(udp(), &incoming("INVITE", BRANCH));
    f.respond(id, 180);
    let cancel = incoming("CANCEL", BRANCH);
    let (verdict, sent) = f.receive(udp(), &cancel);
    assert_eq!(verdict, Verdict::Cancel { invite: id });
    assert_eq!((sent[0].start(), sent[0].header("CSeq")), ("SIP/2.0 200 OK", "1 CANCEL"));
    assert_eq!(sent[0].header("To"), "<sip:b@ims.test>;tag=ours", "the tag of the INVITE's responses");
    assert_eq!(f.receive(udp(), &cancel), (Verdict::Absorbed, sent.clone()));
    f.respond(id, 487);
    assert_eq!(f.receive(udp(), &cancel), (Verdict::Absorbed, sent));
}

#[test]
fn cancel_after_the_final_response_has_no_effect() {
    let mut f = Fixture::new();
    let id = f.receive_new(udp(), &incoming("INVITE", BRANCH));
    f.respond(id, 200);
    let (verdict, sent) = f.receive(udp(), &incoming("CANCEL", BRANCH));
    assert_eq!((verdict, sent[0].start()), (Verdict::Absorbed, "SIP/2.0 200 OK"));
}

#[test]
fn cancel_of_nothing_is_481_with_a_steady_tag() {
    let mut f = Fixture::new();
    let (verdict, sent) = f.receive(udp(), &incoming("CANCEL", BRANCH));
    assert_eq!(verdict, Verdict::Rejected(481));
    assert_eq!(sent[0].start(), "SIP/2.0 481 Call/Transaction Does Not Exist");
    assert!(sent[0].header("To").contains(";tag="));
    assert_eq!(f.receive(udp(), &incoming("CANCEL", BRANCH)).1, sent);
    f.assert_empty();
}

#[test]
fn request_that_comes_by_a_second_way_is_482() {
    let mut f = Fixture::new();
    let id = f.receive_new(udp(), &incoming("INVITE", BRANCH));
    let (verdict, sent) = f.receive(udp(), &incoming("INVITE", "z9hG4bKfork"));
    assert_eq!((verdict, sent[0].start()), (Verdict::Rejected(482), "SIP/2.0 482 Request merged"));
    // inside a dialog there is no merging, nor of another CSeq, nor for REGISTER
    let inside =
        incoming("INVITE", "z9hG4bKin").replace("To: <sip:b@ims.test>", "To: <sip:b@ims.test>;tag=x");
    f.receive_new(udp(), &inside);
    f.receive_new(udp(), &incoming("INVITE", "z9hG4bKnext").replace("CSeq: 1", "CSeq: 2"));
    f.receive_new(udp(), &incoming("REGISTER", "z9hG4bKr1"));
    f.receive_new(udp(), &incoming("REGISTER", "z9hG4bKr2"));
    // when the first has gone, the request is new
    f.respond(id, 486);
    f.pass(Duration::from_secs(32));
    f.receive_new(udp(), &incoming("INVITE", "z9hG4bKlate"));
}

#[test]
fn over_the_cap_is_503_with_retry_after_and_no_state() {
    let mut f = Fixture::with_limits(Limits { server: 1, client: 1 });
    let id = f.receive_new(udp(), &incoming("INVITE", BRANCH));
    let (verdict, sent) = f.receive(udp(), &incoming("OPTIONS", "z9hG4bKo"));
    assert_eq!(verdict, Verdict::Rejected(503));
    assert_eq!((sent[0].header("Retry-After"), sent[0].flow), ("10", udp()));
    // ACK, CANCEL and retransmissions need no room
    assert_eq!(f.receive(udp(), &incoming("CANCEL", BRANCH)).0, Verdict::Cancel { invite: id });
    f.respond(id, 487);
    assert_eq!(f.receive(udp(), &incoming("ACK", BRANCH)).0, Verdict::Absorbed);
}

#[test]
fn at_the_cap_the_first_answered_makes_room_and_unanswered_ones_never_do() {
    let mut f = Fixture::with_limits(Limits { server: 3, client: 1 });
    let open = f.receive_new(udp(), &incoming("INFO", "z9hG4bKopen"));
    let [first, second] = ["z9hG4bK1", "z9hG4bK2"].map(|branch| {
        let id = f.receive_new(udp(), &incoming("REGISTER", branch));
        f.respond(id, 200);
        id
    });
    let third = f.receive_new(udp(), &incoming("REGISTER", "z9hG4bK3"));
    assert!(f.txs.server(first).is_none() && f.txs.server(second).is_some());
    let fourth = f.receive_new(udp(), &incoming("REGISTER", "z9hG4bK4"));
    assert!(f.txs.server(second).is_none());
    // the three that are left wait for their answers: they stay, whatever comes
    let (verdict, _) = f.receive(udp(), &incoming("OPTIONS", "z9hG4bKo"));
    assert_eq!(verdict, Verdict::Rejected(503));
    for id in [open, third, fourth] {
        f.respond(id, 200);
    }
    f.pass(Duration::from_secs(32));
    f.assert_empty();
}

#[test]
fn over_tcp_nothing_is_repeated_and_nothing_lingers() {
    let mut f = Fixture::new();
    let id = f.receive_new(tcp(), &incoming("MESSAGE", "z9hG4bKm"));
    f.respond(id, 200);
    assert!(f.txs.server(id).is_some(), "the TU may still look at it in this turn");
    assert_eq!(f.pass(Duration::ZERO), vec![]);
    assert!(f.txs.server(id).is_none());
    let id = f.receive_new(tcp(), &incoming("INVITE", BRANCH));
    f.respond(id, 486);
    assert_eq!(f.pass(Duration::from_secs(10)), vec![]);
    f.receive(tcp(), &incoming("ACK", BRANCH));
    f.pass(Duration::ZERO);
    f.assert_empty();
}

/// A peer whose connection breaks repeats an INVITE by UDP, and the ACK of what it hears meanwhile may overtake it.
#[test]
fn a_late_copy_over_udp_is_absorbed_by_a_transaction_over_tcp() {
    let mut f = Fixture::new();
    let text = incoming("INVITE", BRANCH);
    let id = f.receive_new(tcp(), &text);
    f.respond(id, 486);
    assert_eq!(f.receive(udp(), &incoming("ACK", BRANCH)), (Verdict::Absorbed, vec![]));
    f.pass(millis(4999));
    assert_eq!(f.receive(udp(), &text), (Verdict::Absorbed, vec![]));
    f.pass(millis(1));
    f.assert_empty();
}

#[test]
fn request_repeated_over_a_new_connection_is_answered_there() {
    let mut f = Fixture::new();
    let text = incoming("MESSAGE", BRANCH);
    let id = f.receive_new(tcp(), &text);
    let again = Flow::tcp(LocalId(0), "127.0.0.2:40001".parse().unwrap(), Some(ConnId(2)));
    assert_eq!(f.receive(again, &text), (Verdict::Absorbed, vec![]));
    // a copy from elsewhere does not draw the answer to itself
    let thief = Flow::tcp(LocalId(0), "127.0.0.66:40001".parse().unwrap(), Some(ConnId(3)));
    assert_eq!(f.receive(thief, &text), (Verdict::Absorbed, vec![]));
    assert_eq!(f.respond(id, 200)[0].flow.conn, again.conn);
}

#[test]
fn unreachable_ends_a_completed_non_invite() {
    let mut f = Fixture::new();
    let id = f.receive_new(udp(), &incoming("MESSAGE", BRANCH));
    let sent = f.respond(id, 200).remove(0);
    f.run(|t, cx| t.on_send_failed(cx, sent.flow, sent.tag));
    f.assert_empty();
    f.run(|t, cx| t.on_send_failed(cx, sent.flow, sent.tag));
    f.run(|t, cx| t.on_send_failed(cx, sent.flow, 0));
}

#[test]
fn non_invite_never_hears_408() {
    let mut f = Fixture::new();
    let text = incoming("MESSAGE", BRANCH);
    let id = f.receive_new(udp(), &text);
    assert_eq!(f.respond(id, 408), vec![]);
    assert!(f.txs.server(id).unwrap().has_final());
    assert_eq!(f.receive(udp(), &text), (Verdict::Absorbed, vec![]));
    f.pass(Duration::from_secs(32));
    f.assert_empty();
    let id = f.receive_new(udp(), &incoming("INVITE", BRANCH));
    assert_eq!(f.respond(id, 408)[0].start(), "SIP/2.0 408 Request Timeout");
}

#[test]
fn response_without_a_tag_of_the_tu_gets_one_except_100() {
    let mut f = Fixture::new();
    let id = f.receive_new(udp(), &incoming("INVITE", BRANCH));
    let mut say = |status, tag: &[u8]| {
        let sent = f.run(|t, cx| t.respond(cx, id, status, None, tag, |w| w.finish())).1;
        sent[0].header("To").split(";tag=").nth(1).map(str::to_owned)
    };
    assert_eq!(say(100, b""), None);
    let invented = say(180, b"").unwrap();
    assert_eq!(say(183, b""), Some(invented));
    assert_eq!(say(183, b"mine").as_deref(), Some("mine"));
    assert_eq!(say(486, b"").as_deref(), Some("mine"));
}

#[test]
fn trying_copies_the_timestamp() {
    let mut f = Fixture::new();
    let text = incoming("INVITE", BRANCH).replace("Max-Forwards", "Timestamp: 54\r\nMax-Forwards");
    let id = f.receive_new(udp(), &text);
    assert_eq!(f.respond(id, 100)[0].header("Timestamp"), "54");
    assert_eq!(f.respond(id, 180)[0].header("Timestamp"), "");
}

#[test]
fn defects_are_answered_without_state_and_an_ack_never_is() {
    let mut f = Fixture::new();
    for (method, answers) in [("OPTIONS", 1), ("ACK", 0)] {
        let text = incoming(method, BRANCH);
        let mut index = crate::wire::sip::Index::new();
        let msg = crate::wire::sip::Message::parse(text.as_bytes(), &mut index).unwrap();
        let (_, sent) =
            f.run(|t, cx| t.respond_stateless(cx, udp(), &msg, 400, Some("malformed To"), |w| w.finish()));
        assert_eq!(sent.len(), answers, "{method}");
    }
    f.assert_empty();
    assert_eq!(f.receive(udp(), "OPTIONS sip:a SIP/2.0\r\nVia: x\r\n\r\n"), (Verdict::Rejected(400), vec![]));
}

/// RFC 4475 3.2.1: a branch that is the cookie alone is no unique branch.
#[test]
fn bare_cookie_does_not_make_two_requests_one() {
    let text =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sip_torture/invalid/badbranch.dat"));
    let mut f = Fixture::new();
    f.receive_new(udp(), text);
    assert_eq!(f.receive(udp(), text).0, Verdict::Absorbed);
    let other = text.replace("CSeq: 8 OPTIONS", "CSeq: 9 OPTIONS");
    assert_ne!(other, text);
    f.receive_new(udp(), &other);
}

#[test]
fn a_flood_of_due_timers_leaves_the_sockets_their_turn() {
    let mut f = Fixture::new();
    for n in 0..MAX_TIMERS_PER_TICK + 1 {
        let text =
            incoming("INVITE", &format!("z9hG4bK{n}")).replace("Call-ID: in-1", &format!("Call-ID: {n}"));
        let id = f.receive_new(udp(), &text);
        f.respond(id, 486);
    }
    f.now = f.now + millis(500);
    assert_eq!(f.run(|t, cx| t.tick(cx)).1.len(), MAX_TIMERS_PER_TICK);
    assert_eq!(f.txs.next_deadline(), Some(f.now), "the rest is due at once");
    assert_eq!(f.run(|t, cx| t.tick(cx)).1.len(), 1);
}

#[test]
fn a_response_that_is_held_is_sent_later_and_repetitions_say_nothing_before() {
    let mut f = Fixture::new();
    let text = incoming("REGISTER", BRANCH);
    let id = f.receive_new(udp(), &text);
    let (held, sent) = f.run(|txs, cx| txs.hold_response(cx, id, 200, None, b"ours", |w| w.finish()));
    assert!(held && sent.is_empty());
    assert_eq!(f.receive(udp(), &text), (Verdict::Absorbed, vec![]));
    assert_eq!(f.respond(id, 500), vec![], "it is answered");
    f.pass(Duration::from_secs(100));
    let (_, sent) = f.run(|txs, cx| txs.send_held(cx, id));
    assert_eq!(sent[0].start(), "SIP/2.0 200 OK");
    assert_eq!(f.receive(udp(), &text), (Verdict::Absorbed, sent));
    f.pass(Duration::from_secs(32));
    f.assert_empty();
    assert_eq!(f.run(|txs, cx| txs.send_held(cx, id)).1, [], "it has ended");
}
