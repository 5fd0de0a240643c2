//! Races: what two sides do at the same moment, what comes after all is over, and phones that lose their memory in a call.
//!
//! Others stand where they belong: a CANCEL that crosses the 200 in `bridge`, BYE and offers in `crossing`, a 200 whose ACK is
//! lost in `faults`, glare in `inside`, two phones that answer in `forks`.

use super::*;

fn sdp(version: u32, direction: &str) -> String {
    SDP.replace("o=- 1 1", &format!("o=- 1 {version}")).replace("a=sendrecv", &format!("a={direction}"))
}

/// One side offers by re-INVITE, the other answers; all of it passes.
fn renegotiates(w: &mut World, from: &mut Side, to: Phone, offer: &str, answer: &str) {
    let asks = from.phone;
    w.request(from, "INVITE", "", offer);
    w.expect(asks, "SIP/2.0 100");
    let invite = w.expect(to, "INVITE");
    assert_eq!(body(&invite), offer);
    w.answer(to, &invite, 200, "", answer);
    assert_eq!(body(&w.expect(asks, "SIP/2.0 200")), answer);
    w.ack(from, from.cseq, "");
    w.expect(to, "ACK");
    w.expect_nothing();
}

#[test]
fn a_call_that_both_have_put_on_hold_runs_when_both_have_resumed_it() {
    let mut w = World::registered();
    let (mut alice, mut bob) = w.call();
    renegotiates(&mut w, &mut alice, BOB, &sdp(2, "sendonly"), &sdp(2, "recvonly"));
    assert_eq!(w.states(), ["hold", "hold"]);
    renegotiates(&mut w, &mut bob, ALICE, &sdp(3, "inactive"), &sdp(3, "inactive"));
    assert_eq!(w.states(), ["hold", "hold"]);
    // Alice resumes: Bob, who still holds, sends only
    renegotiates(&mut w, &mut alice, BOB, &sdp(4, "sendrecv"), &sdp(4, "sendonly"));
    assert_eq!(w.states(), ["hold", "hold"]);
    renegotiates(&mut w, &mut bob, ALICE, &sdp(5, "sendrecv"), &sdp(5, "sendrecv"));
    assert_eq!(w.states(), ["start", "start"]);
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn two_holds_at_once_are_refused_by_both_and_the_first_to_try_again_holds() {
    let mut w = World::registered();
    let (mut alice, mut bob) = w.call();
    w.request(&mut alice, "INVITE", "", &sdp(2, "sendonly"));
    w.request(&mut bob, "INVITE", "", &sdp(2, "sendonly"));
    let (to_bob, to_alice) = (w.expect(BOB, "INVITE"), w.find(ALICE, "INVITE").unwrap());
    w.answer(BOB, &to_bob, 491, "", "");
    w.answer(ALICE, &to_alice, 491, "", "");
    let statuses = [ALICE, BOB].map(|p| (w.find(p, "SIP/2.0 491").is_some(), w.find(p, "ACK").is_some()));
    assert_eq!(statuses, [(true, true); 2]);
    w.drop_all();
    assert_eq!(w.states(), ["start", "start"]);
    renegotiates(&mut w, &mut bob, ALICE, &sdp(2, "sendonly"), &sdp(2, "recvonly"));
    assert_eq!(w.states(), ["hold", "hold"]);
    w.request(&mut bob, "BYE", "", "");
    w.quiet();
}

#[test]
fn an_offer_that_crosses_the_bye_to_its_phone_is_told_that_the_call_is_over() {
    for method in ["INVITE", "UPDATE"] {
        let mut w = World::registered();
        let (mut alice, mut bob) = w.call();
        w.request(&mut alice, "BYE", "", "");
        w.expect(ALICE, "SIP/2.0 200");
        let bye = w.expect(BOB, "BYE");
        w.request(&mut bob, method, "", &sdp(2, "sendonly"));
        w.expect(BOB, "SIP/2.0 481");
        w.answer(BOB, &bye, 200, "", "");
        w.expect_nothing();
        w.quiet();
    }
}

#[test]
fn byes_and_reinvites_of_both_sides_at_once_are_all_answered() {
    let mut w = World::registered();
    let (mut alice, mut bob) = w.call();
    for side in [&mut alice, &mut bob] {
        w.request(side, "INVITE", "", SDP);
    }
    for side in [&mut alice, &mut bob] {
        w.request(side, "BYE", "", "");
    }
    for phone in [ALICE, BOB] {
        w.find(phone, "INVITE").expect("each hears of the other's");
        w.find(phone, "SIP/2.0 487").expect("RFC 3261 15.1.2: the open re-INVITE is answered");
        w.find(phone, "SIP/2.0 200").expect("and so is the BYE");
    }
    let byes = [ALICE, BOB].map(|p| w.find(p, "BYE").is_some());
    assert_eq!(byes, [false, true], "who was first has had its own");
    w.quiet();
}

#[test]
fn cancel_crosses_the_200_of_one_of_two_phones() {
    let mut w = World::registered();
    w.register(BOB_TABLET, "");
    let alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let branch = w.branch;
    let [phone, tablet] = [BOB, BOB_TABLET].map(|p| {
        let invite = w.expect(p, "INVITE");
        w.answer(p, &invite, 180, "", "");
        w.expect(ALICE, "SIP/2.0 180");
        invite
    });
    w.send(ALICE, &alice.text("CANCEL", 1, branch, "", ""));
    w.expect(ALICE, "SIP/2.0 200");
    w.expect(ALICE, "SIP/2.0 487");
    w.answer(BOB_TABLET, &tablet, 200, "", SDP);
    w.expect(BOB_TABLET, "CANCEL");
    w.expect(BOB_TABLET, "ACK");
    w.expect(BOB_TABLET, "BYE");
    let cancel = w.expect(BOB, "CANCEL");
    w.answer(BOB, &cancel, 200, "", "");
    w.answer(BOB, &phone, 487, "", "");
    w.expect(BOB, "ACK");
    w.expect_nothing();
    w.quiet();
}

#[test]
fn a_second_200_from_behind_a_proxy_is_acknowledged_and_ended_whenever_it_comes() {
    for ended in [false, true] {
        let mut w = World::registered();
        let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
        let invite = w.expect(BOB, "INVITE");
        w.answer(BOB, &invite, 200, "", SDP);
        alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
        w.ack(&alice, 1, "");
        w.expect(BOB, "ACK");
        if ended {
            w.request(&mut alice, "BYE", "", "");
            w.expect(ALICE, "SIP/2.0 200");
            let bye = w.expect(BOB, "BYE");
            w.answer(BOB, &bye, 200, "", "");
        }
        // RFC 3261 13.2.2.4: another phone behind Bob's contact
        let other = reply(BOB, &invite, 200, "", SDP).replace(";tag=T", ";tag=other");
        w.send(BOB, &other);
        let (ack, bye) = (w.expect(BOB, "ACK"), w.expect(BOB, "BYE"));
        assert!([ack, bye].iter().all(|m| header(m, HeaderId::To).contains(";tag=other")));
        w.expect_nothing();
        assert_eq!(w.states()[0], if ended { "stop" } else { "start" });
        if !ended {
            w.request(&mut alice, "BYE", "", "");
        }
        w.quiet();
    }
}

#[test]
fn a_200_whose_ack_was_lost_is_acknowledged_again_after_a_reinvite() {
    let mut w = World::registered();
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", "");
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", SDP);
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.ack(&alice, 1, &sdp(1, "sendonly"));
    let first = w.expect(BOB, "ACK");
    // lost on its way to Bob; Alice goes on
    renegotiates(&mut w, &mut alice, BOB, &sdp(2, "sendrecv"), &sdp(2, "sendrecv"));
    w.answer(BOB, &invite, 200, "", SDP);
    let again = w.expect(BOB, "ACK");
    let said = |ack: &str| (header(ack, HeaderId::CSeq), body(ack).to_owned());
    assert_eq!(said(&again), said(&first));
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_callee_that_reboots_in_a_call_is_found_out_by_the_next_request() {
    for (method, offer) in [("INFO", ""), ("INVITE", SDP), ("UPDATE", SDP)] {
        let mut w = World::registered();
        let (mut alice, _) = w.call();
        w.register(BOB, "");
        assert_eq!(w.states(), ["start", "start"], "nothing was heard of the call");
        w.request(&mut alice, method, "", offer);
        let asked = w.find(BOB, method).unwrap();
        w.answer(BOB, &asked, 481, "", "");
        w.find(ALICE, "SIP/2.0 481").expect("RFC 5057 5.1");
        w.find(ALICE, "BYE").expect("the call has ended for her, too");
        assert_eq!(
            w.reason(),
            "sip:bob@ims.test does not know the call any more"
                .replace("sip:bob@ims.test", &w.core.dialog_views(w.now)[0].to)
        );
        // he may be called at once
        let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
        w.find(BOB, "INVITE").expect("a new call");
        w.quiet();
    }
}

#[test]
fn a_caller_that_reboots_while_the_callee_rings_is_noticed_when_it_answers() {
    let mut w = World::registered();
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.register(ALICE, "");
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect(ALICE, "SIP/2.0 200");
    // she does not know what that answers
    w.pass(T1 * 64);
    w.find(BOB, "ACK").expect("RFC 3261 13.3.1.4: without her ACK");
    w.find(BOB, "BYE").expect("the call ends");
    assert_eq!(w.reason(), "no ACK from sip:alice@ims.test");
    w.quiet();
}

#[test]
fn a_callee_that_reboots_while_it_rings_is_given_up_and_rings_again_when_called_again() {
    let mut w = World::registered();
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.register(BOB, "");
    w.pass(Duration::from_secs(30));
    let cancel = w.expect(BOB, "CANCEL");
    w.answer(BOB, &cancel, 481, "", "");
    w.expect(ALICE, "SIP/2.0 480");
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.quiet();
}

#[test]
fn a_phone_that_reboots_and_hangs_up_by_hand_ends_no_other_call() {
    let mut w = World::registered();
    let (mut alice, bob) = w.call();
    w.register(BOB, "");
    // from memory that was not all lost: the dialog's names, and a CSeq from the beginning
    let mut again = Side { cseq: 0, ..bob };
    w.request(&mut again, "INFO", "", "");
    w.expect(ALICE, "INFO");
    w.request(&mut Side { cseq: 0, ..again.clone() }, "BYE", "", "");
    w.expect(BOB, "SIP/2.0 500");
    assert_eq!(w.states(), ["start", "start"], "RFC 3261 12.2.2: out of order");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_phone_that_sends_update_without_end_does_not_ring_for_ever() {
    let mut w = World::registered();
    w.invite(ALICE, "tel:+33600000002", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 100, "", "");
    w.pass(Duration::from_secs(20));
    w.answer(BOB, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    let mut bob = Side::callee(BOB, &invite);
    let mut rang = 0;
    while rang < 90 && w.find(ALICE, "SIP/2.0 480").is_none() {
        w.request(&mut bob, "UPDATE", "", "");
        if let Some(update) = w.find(ALICE, "UPDATE") {
            w.answer(ALICE, &update, 200, "", "");
            w.expect(BOB, "SIP/2.0 200");
        }
        w.pass(Duration::from_secs(5));
        rang += 5;
    }
    // once `dialog_timeout` since it rang, and once more for what is asked meanwhile
    assert_eq!(rang, 60);
    assert_eq!(w.reason(), "nobody took the call");
    assert!(w.find(BOB, "CANCEL").is_some());
    w.quiet();
}

#[test]
fn a_phone_that_asks_for_more_time_gets_it_each_time() {
    let mut w = World::registered();
    w.invite(ALICE, "tel:+33600000002", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    for status in [180, 182, 180, 182, 183] {
        w.answer(BOB, &invite, status, "", "");
        w.expect(ALICE, &format!("SIP/2.0 {status}"));
        w.pass(Duration::from_secs(29));
    }
    w.expect_nothing();
    w.answer(BOB, &invite, 200, "", SDP);
    w.expect(ALICE, "SIP/2.0 200");
    w.quiet();
}

#[test]
fn what_a_phone_says_to_our_cancel_is_no_answer_to_the_caller() {
    // the patience of the INVITE itself ends before that of the call (RFC 3261 16.6, timer C)
    for next in [false, true] {
        let mut w = World::with(|c| c.call.dialog_timeout = Duration::from_secs(400));
        w.register(ALICE, "");
        w.register(BOB, ";q=0.9");
        if next {
            w.register(BOB_TABLET, ";q=0.1");
        }
        w.invite(ALICE, "tel:+33600000002", "", SDP);
        let invite = w.expect(BOB, "INVITE");
        w.answer(BOB, &invite, 180, "", "");
        w.expect(ALICE, "SIP/2.0 180");
        w.pass(Duration::from_secs(200));
        let cancel = w.find(BOB, "CANCEL").expect("nobody answers");
        if next {
            w.expect(BOB_TABLET, "INVITE");
        } else {
            w.expect(ALICE, "SIP/2.0 480");
            assert_eq!(w.reason(), "nobody took the call");
        }
        w.drop_all();
        w.answer(BOB, &cancel, 200, "", "");
        w.answer(BOB, &invite, 487, "", "");
        w.expect(BOB, "ACK");
        assert_eq!(w.find(ALICE, "SIP/2.0 487"), None);
        w.quiet();
    }
}
