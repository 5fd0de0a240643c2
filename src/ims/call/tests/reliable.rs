//! Reliable provisional answers where only one of the phones can, or may (RFC 3262).

use super::*;

const VOLTE: &str = ";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"";
const RELIABLE: &str = "Require: 100rel\r\nRSeq: 41\r\n";

/// Alice, who says this in her INVITE, calls Bob, who has a VoLTE phone; the INVITE that he gets.
fn calls(w: &mut World, headers: &str, sdp: &str) -> (Side, String) {
    w.register(ALICE, "");
    w.register(BOB, VOLTE);
    let alice = w.invite(ALICE, "sip:bob@ims.test", headers, sdp);
    (alice, w.expect(BOB, "INVITE"))
}

#[test]
fn for_a_caller_that_cannot_we_acknowledge() {
    let mut w = World::new();
    let (mut alice, invite) = calls(&mut w, "", SDP);
    assert_eq!(header(&invite, HeaderId::Supported), "100rel,timer");
    w.answer(BOB, &invite, 183, RELIABLE, SDP);
    let prack = w.expect(BOB, "PRACK sip:bob@192.0.2.2:5060");
    assert_eq!(header(&prack, HeaderId::RAck), "41 1 INVITE");
    let early = w.expect(ALICE, "SIP/2.0 183");
    assert_eq!((header(&early, HeaderId::RSeq), header(&early, HeaderId::Require)), <_>::default());
    assert_eq!(body(&early), SDP);
    // the PRACK is on its way, and the phone says it again
    w.answer(BOB, &invite, 183, RELIABLE, SDP);
    w.expect_nothing();
    w.answer(BOB, &prack, 200, "", "");
    w.answer(BOB, &invite, 180, "Require: 100rel\r\nRSeq: 42\r\n", "");
    let second = w.expect(BOB, "PRACK");
    assert_eq!(header(&second, HeaderId::RAck), "42 1 INVITE");
    w.answer(BOB, &second, 200, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    // what the phone has said reliably it does not say again: to the caller it is said here first (RFC 3261 13.2.1)
    w.answer(BOB, &invite, 200, "", "");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!((body(&ok), header(&ok, HeaderId::ContentType).as_str()), (SDP, "application/sdp"));
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    assert_eq!(body(&w.expect(BOB, "ACK")), "");
    w.request(&mut alice, "BYE", "", "");
    assert_eq!(header(&w.expect(BOB, "BYE"), HeaderId::CSeq), "4 BYE", "two PRACKs came before");
    w.quiet();
}

#[test]
fn an_offer_of_the_phone_waits_until_a_caller_that_cannot_has_its_answer() {
    let mut w = World::new();
    let (alice, invite) = calls(&mut w, "", SDP);
    w.answer(BOB, &invite, 183, RELIABLE, SDP);
    let prack = w.expect(BOB, "PRACK");
    w.answer(BOB, &prack, 200, "", "");
    w.expect(ALICE, "SIP/2.0 183");
    // RFC 3311 5.1 lets him: his answer is acknowledged. She has heard it only by the way
    let mut bob = Side::callee(BOB, &invite);
    w.request(&mut bob, "UPDATE", "", &SDP.replace("o=- 1 1", "o=- 1 2"));
    let refused = w.expect(BOB, "SIP/2.0 500");
    assert_ne!(header(&refused, HeaderId::RetryAfter), "");
    w.expect_nothing();
    w.answer(BOB, &invite, 200, "", "");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(body(&ok), SDP, "what he has answered, not what he has offered");
    let mut alice = alice;
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    w.request(&mut bob, "UPDATE", "", &SDP.replace("o=- 1 1", "o=- 1 2"));
    w.expect(ALICE, "UPDATE");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_phone_that_may_not_is_spared_and_the_caller_that_demands_it_gets_it_from_us() {
    let mut w = World::with(|c| c.users[1].impus[0].reliable_provisional = false);
    let (mut alice, invite) = calls(&mut w, "Require: 100rel\r\n", SDP);
    let tags = [HeaderId::Supported, HeaderId::Require].map(|id| header(&invite, id));
    assert_eq!(tags, ["timer", ""]);
    w.answer(BOB, &invite, 183, "", SDP);
    let early = w.expect(ALICE, "SIP/2.0 183");
    let reliability = |m: &str| (header(m, HeaderId::RSeq), header(m, HeaderId::Require));
    assert_eq!(reliability(&early), ("1".into(), "100rel".into()));
    alice.learn(&early);
    // it is repeated, and what follows waits
    w.answer(BOB, &invite, 180, "", "");
    w.expect_nothing();
    w.pass(T1);
    assert_eq!(w.expect(ALICE, "SIP/2.0 183"), early);
    w.pass(T1 * 2);
    assert_eq!(w.expect(ALICE, "SIP/2.0 183"), early);
    for wrong in ["2 1 INVITE", "1 2 INVITE", "1 1 BYE", "x"] {
        w.request(&mut alice, "PRACK", &format!("RAck: {wrong}\r\n"), "");
        w.expect(ALICE, "SIP/2.0 481");
    }
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    let ringing = w.expect(ALICE, "SIP/2.0 180");
    assert_eq!(reliability(&ringing), ("2".into(), "100rel".into()));
    w.request(&mut alice, "PRACK", "RAck: 2 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.pass(T1 * 32);
    w.expect_nothing();
    w.answer(BOB, &invite, 200, "", SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    assert_eq!(reliability(&ok), <_>::default());
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_prack_that_the_200_overtakes_ends_at_us_if_the_answer_was_ours() {
    let mut w = World::with(|c| c.users[1].impus[0].reliable_provisional = false);
    let (mut alice, invite) = calls(&mut w, "Require: 100rel\r\n", SDP);
    w.answer(BOB, &invite, 180, "", "");
    alice.learn(&w.expect(ALICE, "SIP/2.0 180"));
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect(ALICE, "SIP/2.0 200");
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    assert_eq!(header(&w.expect(ALICE, "SIP/2.0 200"), HeaderId::CSeq), "2 PRACK");
    w.expect_nothing();
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    // a re-INVITE that Bob answers reliably is between them
    w.request(&mut alice, "INVITE", "Supported: 100rel\r\n", SDP);
    w.expect(ALICE, "SIP/2.0 100");
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 183, "Require: 100rel\r\nRSeq: 1\r\n", SDP);
    w.expect(ALICE, "SIP/2.0 183");
    w.request(&mut alice, "PRACK", "RAck: 1 3 INVITE\r\n", "");
    assert_eq!(header(&w.expect(BOB, "PRACK"), HeaderId::RAck), "1 2 INVITE");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn the_bye_to_a_phone_that_answers_a_forgotten_call_counts_on_after_its_pracks() {
    let mut w = World::with(|c| c.protocol.timer_t1 = Duration::from_secs(2));
    let (alice, invite) = calls(&mut w, "", SDP);
    let branch = w.branch;
    w.answer(BOB, &invite, 183, RELIABLE, SDP);
    let prack = w.expect(BOB, "PRACK");
    w.answer(BOB, &prack, 200, "", "");
    w.send(ALICE, &alice.text("CANCEL", 1, branch, "", ""));
    w.pass(Duration::from_secs(60));
    w.drop_all();
    assert_eq!(w.states(), [""; 0]);
    w.answer(BOB, &invite, 200, "", "");
    assert_eq!(header(&w.expect(BOB, "ACK"), HeaderId::CSeq), "1 ACK");
    let bye = header(&w.expect(BOB, "BYE"), HeaderId::CSeq);
    let number: u32 = bye.split(' ').next().and_then(|n| n.parse().ok()).unwrap();
    assert!(number > 2, "{bye}");
    w.quiet();
}

#[test]
fn what_we_repeat_for_one_phone_ends_when_another_answers_or_it_is_out() {
    for refuses in [false, true] {
        let mut w = World::with(|c| c.users[1].impus[0].reliable_provisional = false);
        w.register(BOB_TABLET, VOLTE);
        let (mut alice, invite) = calls(&mut w, "Require: 100rel\r\n", SDP);
        let tablet = w.expect(BOB_TABLET, "INVITE");
        w.answer(BOB_TABLET, &tablet, 180, "", "");
        w.expect(ALICE, "SIP/2.0 180");
        if refuses {
            w.answer(BOB_TABLET, &tablet, 486, "", "");
        }
        w.answer(BOB, &invite, 200, "", SDP);
        alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
        w.ack(&alice, 1, "");
        w.drop_all();
        w.pass(T1 * 2);
        assert_eq!(w.find(ALICE, "SIP/2.0 180"), None);
        w.request(&mut alice, "BYE", "", "");
        w.quiet();
    }
}

#[test]
fn a_200_waits_until_the_caller_has_the_description_before_it() {
    let mut w = World::with(|c| c.users[1].impus[0].reliable_provisional = false);
    let (mut alice, invite) = calls(&mut w, "Require: 100rel\r\n", SDP);
    w.answer(BOB, &invite, 183, "", SDP);
    let early = w.expect(ALICE, "SIP/2.0 183");
    alice.learn(&early);
    let answer = reply(BOB, &invite, 200, "", SDP);
    w.send(BOB, &answer);
    w.expect(BOB, "ACK");
    w.expect_nothing();
    w.send(BOB, &answer);
    w.expect(BOB, "ACK");
    assert_eq!(w.states(), ["ringing", "ringing"]);
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(header(&ok, HeaderId::CSeq), "1 INVITE");
    assert_eq!(w.states(), ["start", "start"]);
    w.ack(&alice, 1, "");
    w.expect_nothing();
    w.request(&mut alice, "BYE", "", "");
    assert_eq!(header(&w.expect(BOB, "BYE"), HeaderId::CSeq), "2 BYE");
    w.quiet();
}

/// A call whose 200 is kept back, Alice's half before there was a dialog, and Bob's.
fn held(patience: Duration) -> (World, Side, Side) {
    let mut w = World::with(|c| {
        c.users[1].impus[0].reliable_provisional = false;
        c.call.dialog_timeout = patience;
    });
    let (alice, invite) = calls(&mut w, "Require: 100rel\r\n", SDP);
    w.answer(BOB, &invite, 183, "", SDP);
    w.expect(ALICE, "SIP/2.0 183");
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect(BOB, "ACK");
    (w, alice, Side::callee(BOB, &invite))
}

#[test]
fn while_the_200_waits_either_side_may_leave() {
    let (mut w, alice, _) = held(T1 * 60);
    // the INVITE's branch: nothing of hers came after it
    w.send(ALICE, &alice.text("CANCEL", 1, w.branch, "", ""));
    w.expect(ALICE, "SIP/2.0 200");
    w.expect(ALICE, "SIP/2.0 487");
    let bye = w.expect(BOB, "BYE");
    w.answer(BOB, &bye, 200, "", "");
    w.quiet();

    let (mut w, _, mut bob) = held(T1 * 60);
    w.request(&mut bob, "BYE", "", "");
    w.expect(BOB, "SIP/2.0 200");
    w.expect(ALICE, "SIP/2.0 480");
    w.quiet();
}

#[test]
fn a_caller_that_never_acknowledges_is_refused_and_the_phone_let_go() {
    let patience = [
        (60, "the caller does not acknowledge a reliable answer"),
        (20, "the caller's phone was not ready for the answer in time"),
    ];
    for (secs, reason) in patience {
        let (mut w, ..) = held(Duration::from_secs(secs));
        w.pass(T1 * 64);
        assert!(w.drop_all() > 5, "it was repeated");
        assert_eq!(w.reason(), reason);
        w.quiet();
    }
}

#[test]
fn a_caller_that_may_not_is_refused_when_it_demands_it() {
    let mut w = World::with(|c| c.users[0].impus[0].reliable_provisional = false);
    w.register(ALICE, "");
    w.register(BOB, VOLTE);
    w.invite(ALICE, "sip:bob@ims.test", "Require: 100rel\r\n", SDP);
    let refused = w.expect(ALICE, "SIP/2.0 420");
    assert_eq!(header(&refused, HeaderId::Unsupported), "100rel");
    w.quiet();
}

#[test]
fn without_an_offer_the_phone_is_offered_no_more_than_the_caller_can_answer() {
    let mut w = World::new();
    let (_, invite) = calls(&mut w, "", "");
    assert_eq!(header(&invite, HeaderId::Supported), "timer");
    w.quiet();
}

#[test]
fn without_an_offer_a_phone_that_cannot_makes_its_own_in_its_200() {
    let mut w = World::with(|c| c.users[1].impus[0].reliable_provisional = false);
    let (mut alice, invite) = calls(&mut w, "Require: 100rel\r\n", "");
    // what it says of its media here is no offer: she would answer it in her PRACK, which it never sees
    w.answer(BOB, &invite, 183, "", SDP);
    let early = w.expect(ALICE, "SIP/2.0 183");
    assert_eq!((header(&early, HeaderId::RSeq).as_str(), body(&early)), ("1", ""));
    w.pass(T1);
    assert_eq!(w.expect(ALICE, "SIP/2.0 183"), early, "nor when it is said again");
    w.answer(BOB, &invite, 180, "", SDP);
    w.expect_nothing();
    alice.learn(&early);
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    let ringing = w.expect(ALICE, "SIP/2.0 180");
    assert_eq!((header(&ringing, HeaderId::RSeq).as_str(), body(&ringing)), ("2", ""));
    // nothing that she must answer first keeps the 200 back, which has the offer
    w.answer(BOB, &invite, 200, "", SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!((header(&ok, HeaderId::CSeq).as_str(), body(&ok)), ("1 INVITE", SDP));
    w.request(&mut alice, "PRACK", "RAck: 2 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    let answer = SDP.replace("4000", "4002");
    w.ack(&alice, 1, &answer);
    assert_eq!(body(&w.expect(BOB, "ACK")), answer);
    w.expect_nothing();
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn without_an_offer_the_answer_in_a_prack_reaches_the_phone_that_has_offered_reliably() {
    let mut w = World::new();
    let (mut alice, invite) = calls(&mut w, "Require: 100rel\r\n", "");
    // without reliability first, then with it
    w.answer(BOB, &invite, 180, "", "");
    let ringing = w.expect(ALICE, "SIP/2.0 180");
    alice.learn(&ringing);
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.answer(BOB, &invite, 183, RELIABLE, SDP);
    let early = w.expect(ALICE, "SIP/2.0 183");
    assert_eq!((header(&early, HeaderId::RSeq).as_str(), body(&early)), ("2", SDP));
    let answer = SDP.replace("4000", "4002");
    w.request(&mut alice, "PRACK", "RAck: 2 1 INVITE\r\n", &answer);
    let prack = w.expect(BOB, "PRACK");
    assert_eq!((header(&prack, HeaderId::RAck).as_str(), body(&prack)), ("41 1 INVITE", &answer[..]));
    w.answer(BOB, &prack, 200, "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.answer(BOB, &invite, 200, "", "");
    assert_eq!(body(&w.expect(ALICE, "SIP/2.0 200")), "");
    w.ack(&alice, 1, "");
    assert_eq!(body(&w.expect(BOB, "ACK")), "");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}
