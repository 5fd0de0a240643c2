//! The client side: retransmissions, ACK, CANCEL, timeouts, transport failures, responses that are not ours.

use super::fixture::*;
use crate::base::time::Duration;
use crate::proto::flow::{Flow, LocalId};
use crate::proto::sip::transaction::*;
use crate::wire::sip::Method;

#[test]
fn request_has_our_via_first() {
    let mut f = Fixture::new();
    let (id, sent) = f.request(udp(), Method::Message, false, 0);
    assert_eq!(sent.start(), "MESSAGE sip:b@127.0.0.2:5080 SIP/2.0");
    let via = sent.text.lines().nth(1).unwrap();
    assert!(
        via.starts_with("Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK") && via.ends_with(";rport"),
        "{via}"
    );
    assert_eq!((sent.flow, sent.tag), (udp(), id.to_bits()));
    let v6 = Flow::udp(LocalId(1), "[::2]:5080".parse().unwrap());
    let (_, other) = f.request(v6, Method::Message, false, 0);
    assert!(other.header("Via").starts_with("SIP/2.0/UDP [::1]:5070;branch="));
    assert_ne!(other.branch(), sent.branch());
}

#[test]
fn unanswered_non_invite_is_repeated_up_to_t2_and_times_out() {
    let mut f = Fixture::new();
    let (id, first) = f.request(udp(), Method::Message, false, 0);
    let sent = f.pass(Duration::from_secs(32));
    let times: Vec<u64> = sent.iter().map(|(ms, _)| *ms).collect();
    assert_eq!(times, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    assert!(sent.iter().all(|(_, s)| s.text == first.text));
    assert_eq!(f.events(), [TxEvent::ClientTimeout { owner: 7, method: Method::Message }]);
    assert!(f.txs.client(id).is_none());
    f.assert_empty();
}

#[test]
fn an_abandoned_request_is_not_sent_again_and_its_answer_is_a_stray() {
    let mut f = Fixture::new();
    let (id, sent) = f.request(udp(), Method::Message, false, 0);
    f.txs.abandon(id);
    f.txs.abandon(id);
    assert_eq!(f.pass(Duration::from_secs(40)), vec![]);
    assert_eq!(f.answer(udp(), &response(&sent, 200)), (Answer::Stray, vec![]));
    assert_eq!(f.events(), vec![]);
    f.assert_empty();
}

#[test]
fn provisional_slows_non_invite_retransmissions_to_t2() {
    let mut f = Fixture::new();
    let (id, sent) = f.request(udp(), Method::Message, false, 0);
    assert_eq!(f.answer(udp(), &response(&sent, 100)).0, Answer::Provisional { id, owner: 7 });
    let times: Vec<u64> = f.pass(Duration::from_secs(10)).iter().map(|(ms, _)| *ms).collect();
    assert_eq!(times, [500, 4500, 8500]);
    assert_eq!(f.answer(udp(), &response(&sent, 200)).0, Answer::Final { id, owner: 7 });
    assert_eq!(f.answer(udp(), &response(&sent, 200)), (Answer::Absorbed, vec![]));
    assert_eq!(f.pass(Duration::from_secs(5)), vec![]);
    f.assert_empty();
    assert_eq!(f.answer(udp(), &response(&sent, 200)), (Answer::Stray, vec![]));
}

#[test]
fn unanswered_invite_is_repeated_doubling_and_times_out() {
    let mut f = Fixture::new();
    f.request(udp(), Method::Invite, false, 0);
    let times: Vec<u64> = f.pass(Duration::from_secs(32)).iter().map(|(ms, _)| *ms).collect();
    assert_eq!(times, [500, 1500, 3500, 7500, 15500, 31500]);
    assert_eq!(f.events(), [TxEvent::ClientTimeout { owner: 7, method: Method::Invite }]);
    f.assert_empty();
}

#[test]
fn failed_invite_is_acknowledged_each_time() {
    let mut f = Fixture::new();
    let (id, invite) = f.request(udp(), Method::Invite, false, 0);
    let busy = response(&invite, 486);
    let (answer, sent) = f.answer(udp(), &busy);
    assert_eq!(answer, Answer::Final { id, owner: 7 });
    let ack = &sent[0];
    // RFC 3261 17.1.1.3
    assert_eq!(ack.start(), "ACK sip:b@127.0.0.2:5080 SIP/2.0");
    assert_eq!(ack.headers("Via"), [invite.header("Via")]);
    assert_eq!(ack.headers("Route"), invite.headers("Route"));
    assert_eq!(
        (ack.header("From"), ack.header("Call-ID")),
        (invite.header("From"), invite.header("Call-ID"))
    );
    assert_eq!((ack.header("To"), ack.header("CSeq")), ("<sip:b@ims.test>;tag=b486", "3 ACK"));
    assert_eq!(f.answer(udp(), &busy), (Answer::Absorbed, sent));
    assert_eq!(f.answer(udp(), &response(&invite, 200)), (Answer::Absorbed, vec![]));
    assert_eq!(f.pass(Duration::from_secs(32)), vec![]);
    f.assert_empty();
}

#[test]
fn accepted_invite_passes_every_2xx_and_acknowledges_none() {
    let mut f = Fixture::new();
    let (id, invite) = f.request(udp(), Method::Invite, false, 0);
    let ok = response(&invite, 200);
    assert_eq!(f.answer(udp(), &ok), (Answer::Final { id, owner: 7 }, vec![]));
    assert_eq!(f.answer(udp(), &ok), (Answer::Repeat2xx { id, owner: 7 }, vec![]));
    let fork = ok.replace("tag=b200", "tag=fork");
    assert_eq!(f.answer(udp(), &fork), (Answer::Repeat2xx { id, owner: 7 }, vec![]));
    assert_eq!(f.answer(udp(), &response(&invite, 180)), (Answer::Absorbed, vec![]));
    assert_eq!(f.answer(udp(), &response(&invite, 486)), (Answer::Absorbed, vec![]));
    f.pass(Duration::from_secs(32));
    f.assert_empty();
    assert_eq!(f.events(), []);
}

#[test]
fn timer_c_is_refreshed_by_provisionals_but_not_by_100() {
    let mut f = Fixture::new();
    let (id, invite) = f.request(udp(), Method::Invite, false, 0);
    f.answer(udp(), &response(&invite, 100));
    f.pass(Duration::from_secs(100));
    f.answer(udp(), &response(&invite, 180));
    f.pass(Duration::from_secs(100));
    f.answer(udp(), &response(&invite, 100));
    assert_eq!(f.events(), []);
    f.pass(Duration::from_secs(81));
    assert_eq!(f.events(), [TxEvent::ProceedingTimeout { id, owner: 7 }]);
    // a TU that does nothing is told again
    f.pass(Duration::from_secs(181));
    assert_eq!(f.events(), [TxEvent::ProceedingTimeout { id, owner: 7 }]);
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut f = Fixture::new();
    let (id, invite) = f.request(udp(), Method::Invite, false, 0);
    f.run(|t, cx| t.cancel(cx, id, Some("SIP;cause=200")));
    let (answer, sent) = f.answer(udp(), &response(&invite, 180));
    assert_eq!(answer, Answer::Provisional { id, owner: 7 });
    let cancel = &sent[0];
    // RFC 3261 9.1
    assert_eq!(cancel.start(), "CANCEL sip:b@127.0.0.2:5080 SIP/2.0");
    assert_eq!(cancel.headers("Via"), [invite.header("Via")]);
    assert_eq!(cancel.headers("Route"), invite.headers("Route"));
    assert_eq!((cancel.header("To"), cancel.header("CSeq")), (invite.header("To"), "3 CANCEL"));
    assert_eq!(cancel.header("Reason"), "SIP;cause=200");
    assert_eq!(f.run(|t, cx| t.cancel(cx, id, None)).1, vec![], "once is enough");
    assert_eq!(f.pass_lines(millis(500)), [(500, cancel.start().to_owned())]);
    // the TU hears nothing of the CANCEL's own response
    assert_eq!(f.answer(udp(), &response(cancel, 200)), (Answer::Absorbed, vec![]));
    let (answer, sent) = f.answer(udp(), &response(&invite, 487));
    assert_eq!(
        (answer, sent[0].start()),
        (Answer::Final { id, owner: 7 }, "ACK sip:b@127.0.0.2:5080 SIP/2.0")
    );
    f.pass(Duration::from_secs(32));
    f.assert_empty();
    assert_eq!(f.events(), []);
}

#[test]
fn cancelled_invite_without_final_response_times_out() {
    let mut f = Fixture::new();
    let (id, invite) = f.request(udp(), Method::Invite, false, 0);
    f.answer(udp(), &response(&invite, 180));
    let (_, cancel) = f.run(|t, cx| t.cancel(cx, id, None));
    assert_eq!(cancel.len(), 1);
    f.pass(Duration::from_secs(20));
    // a provisional response does not keep it alive
    f.answer(udp(), &response(&invite, 183));
    f.pass(Duration::from_secs(12));
    assert_eq!(f.events(), [TxEvent::ClientTimeout { owner: 7, method: Method::Invite }]);
    f.assert_empty();
}

#[test]
fn cancel_after_the_final_response_sends_nothing() {
    let mut f = Fixture::new();
    let (id, invite) = f.request(udp(), Method::Invite, false, 0);
    f.run(|t, cx| t.cancel(cx, id, None));
    f.answer(udp(), &response(&invite, 200));
    let (id2, options) = f.request(udp(), Method::Options, false, 0);
    assert_eq!(f.run(|t, cx| t.cancel(cx, id2, None)).1, vec![]);
    f.answer(udp(), &response(&options, 200));
    assert_eq!(f.pass(Duration::from_secs(32)), vec![]);
    f.assert_empty();
}

#[test]
fn cap_refuses_requests_but_not_their_cancel() {
    let mut f = Fixture::with_limits(Limits { server: 1, client: 1 });
    let (id, invite) = f.request(udp(), Method::Invite, false, 0);
    let (refused, sent) = f.run(|t, cx| t.request(cx, udp(), b"BYE", b"sip:b", false, 8, |w| w.finish()));
    assert_eq!((refused, sent), (Err(Overload::Transactions), vec![]));
    f.answer(udp(), &response(&invite, 180));
    assert_eq!(f.run(|t, cx| t.cancel(cx, id, None)).1.len(), 1);
}

#[test]
fn message_over_the_limits_is_refused() {
    let mut f = Fixture::new();
    let (refused, sent) = f.run(|t, cx| {
        t.request(cx, udp(), b"MESSAGE", b"sip:b", false, 8, |w| w.body(b"text/plain", &[b'x'; 65_536]))
    });
    assert_eq!((refused, sent), (Err(Overload::Message), vec![]));
    f.assert_empty();
}

#[test]
fn over_tcp_nothing_is_repeated_and_timeouts_stay() {
    let mut f = Fixture::new();
    let (id, sent) = f.request(tcp(), Method::Message, false, 0);
    assert_eq!(f.answer(tcp(), &response(&sent, 200)).0, Answer::Final { id, owner: 7 });
    assert!(f.txs.client(id).is_some(), "the TU may still look at its request in this turn");
    f.pass(Duration::ZERO);
    assert!(f.txs.client(id).is_none());
    f.request(tcp(), Method::Message, false, 0);
    assert_eq!(f.pass(Duration::from_secs(32)), vec![]);
    assert_eq!(f.events(), [TxEvent::ClientTimeout { owner: 7, method: Method::Message }]);
    f.assert_empty();
}

#[test]
fn responses_that_are_not_ours_are_dropped() {
    let mut f = Fixture::new();
    let (id, sent) = f.request(udp(), Method::Message, false, 0);
    let good = response(&sent, 200);
    let bad = [
        good.replace("127.0.0.1:5060", "192.0.2.198"),
        good.replace(sent.branch(), "z9hG4bKnobody"),
        good.replace("3 MESSAGE", "3 INVITE"),
        good.replace("CSeq: 3", "CSeq: x"),
        good.replace("From:", "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK2\r\nFrom:"),
        good.replace("Via:", "X-Via:"),
    ];
    for text in &bad {
        assert_ne!(*text, good);
        assert_eq!(f.answer(udp(), text), (Answer::Stray, vec![]), "{text}");
    }
    assert_eq!(f.answer(udp(), &good).0, Answer::Final { id, owner: 7 });
}

#[test]
fn stateless_requests_have_a_new_branch_and_no_tag() {
    let mut f = Fixture::new();
    let send = |f: &mut Fixture| {
        f.run(|t, cx| {
            t.send_stateless(cx, udp(), b"ACK", b"sip:b", |mut w| {
                w.header("CSeq", "3 ACK");
                w.finish();
            })
        })
        .1
        .remove(0)
    };
    let (a, b) = (send(&mut f), send(&mut f));
    assert_ne!(a.branch(), b.branch());
    assert_eq!((a.tag, a.flow), (0, udp()));
    f.assert_empty();
}

/// RFC 4475 3.3.9: a response to somebody else, which a broadcast address in its second Via shall not make us spread.
#[test]
fn unknown_response_with_a_broadcast_via_is_dropped() {
    let text =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sip_torture/valid/bcast.dat"));
    assert_eq!(Fixture::new().answer(udp(), text), (Answer::Stray, vec![]));
}
