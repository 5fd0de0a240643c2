//! Texts for users with several soft clients.

use super::*;

const SOFT: Phone = Phone { addr: "192.0.2.4:5060", user: "bob" };
const DESK: Phone = Phone { addr: "192.0.2.5:5060", user: "bob" };
const RETRY: Duration = Duration::from_secs(60);

/// Bob has two soft clients, with these parameters of their contacts.
fn world(soft: &str, desk: &str) -> World {
    let mut w = World::with(|_| {});
    w.register(ALICE, VOLTE);
    w.register(SOFT, soft);
    w.register(DESK, desk);
    w
}

impl World {
    /// A client is sent this text.
    #[track_caller]
    fn shown(&mut self, phone: Phone, what: &str) -> Sent {
        let message = self.expect(phone, "MESSAGE");
        assert_eq!(message.body, what.as_bytes(), "{}", message.text);
        message
    }
}

#[test]
fn every_soft_client_shows_a_text_and_one_that_takes_it_is_enough() {
    let mut w = world("", "");
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let (soft, desk) = (w.shown(SOFT, "x"), w.shown(DESK, "x"));
    for name in ["Call-ID", "From", "CSeq"] {
        assert_eq!(soft.one(name), desk.one(name), "one text, sent to several");
    }
    let view = w.lab.core.user_views(w.lab.now)[1].clone();
    assert_eq!(view.bindings.iter().map(|b| b.sms).collect::<Vec<_>>(), [true, true]);
    w.answer(DESK, &desk, 200);
    assert_eq!(w.waiting(), 0);
    assert_eq!(w.lines(), ["SMS 1 from tel:+33600000001 to tel:+33600000002: delivered"]);
    // the other one takes its time, and the next text does not wait for it
    w.submitted(ALICE, 2, BOBS_NUMBER, "y");
    let (next, other) = (w.shown(SOFT, "y"), w.shown(DESK, "y"));
    w.answer(SOFT, &soft, 200);
    assert_eq!(w.waiting(), 1, "that was the answer to another text");
    w.answer(SOFT, &next, 200);
    w.answer(DESK, &other, 486);
    w.expect_nothing();
    w.pass(RETRY);
    w.expect_nothing();
    w.quiet();
}

#[test]
fn a_client_that_refuses_or_never_answers_is_not_sent_again_what_another_has_taken() {
    for refuses in [true, false] {
        let mut w = world("", "");
        let long = "0123456789".repeat(40);
        let parts = text::split(&long, Reference::Eight(1)).expect("three parts");
        for (at, part) in parts.iter().enumerate() {
            let tpdu = submit_data(at as u8, BOBS_NUMBER, part, |_| {});
            let call_id = w.send_rp(ALICE, "tel:1", "", &rp_data(at as u8, &tpdu));
            w.expect_taken(ALICE, &call_id, at as u8);
        }
        let (soft, desk) = (w.shown(SOFT, &long), w.shown(DESK, &long));
        if refuses {
            w.answer(SOFT, &soft, 603);
            let view = w.lab.core.user_views(w.lab.now)[1].clone();
            assert_eq!(view.bindings.iter().map(|b| b.sms).collect::<Vec<_>>(), [false, true]);
            assert_eq!(w.waiting(), 3);
        }
        w.answer(DESK, &desk, 200);
        assert_eq!(w.waiting(), 0);
        w.pass(RETRY * 2);
        // what repeats is the MESSAGE that has no answer
        w.sent.retain(|s| s.one("Call-ID") != soft.one("Call-ID"));
        w.expect_nothing();
        w.quiet();
    }
}

#[test]
fn a_text_that_no_client_takes_is_sent_to_all_again_later() {
    let mut w = world("", "");
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    for (phone, status) in [(SOFT, 486), (DESK, 503)] {
        let text = w.shown(phone, "x");
        w.answer(phone, &text, status);
    }
    w.expect_nothing();
    assert!(
        w.lines()
            .last()
            .is_some_and(|l| l.ends_with("waits: the phone says 503 Phone says; next attempt in 60 s")),
        "{:?}",
        w.lines()
    );
    w.pass(RETRY);
    let (soft, _) = (w.shown(SOFT, "x"), w.shown(DESK, "x"));
    w.answer(SOFT, &soft, 200);
    assert_eq!(w.waiting(), 0);
    w.quiet();
}

#[test]
fn clients_of_a_lower_q_are_asked_when_those_of_a_higher_one_have_failed() {
    let mut w = world(";q=0.5", ";q=0.9");
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let desk = w.shown(DESK, "x");
    w.expect_nothing();
    w.answer(DESK, &desk, 480);
    let soft = w.shown(SOFT, "x");
    w.answer(SOFT, &soft, 200);
    w.expect_nothing();
    assert_eq!(w.waiting(), 0);
    w.quiet();
}

#[test]
fn a_client_that_goes_does_not_take_the_text_with_it() {
    let mut w = world("", "");
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let (_, desk) = (w.shown(SOFT, "x"), w.shown(DESK, "x"));
    w.deregister(SOFT);
    w.expect_nothing();
    w.answer(DESK, &desk, 200);
    assert_eq!(w.waiting(), 0);
    w.submitted(ALICE, 2, BOBS_NUMBER, "y");
    w.shown(DESK, "y");
    w.deregister(DESK);
    assert_eq!(w.waiting(), 1);
    w.register(SOFT, "");
    let soft = w.shown(SOFT, "y");
    w.answer(SOFT, &soft, 200);
    assert_eq!(w.waiting(), 0);
    w.quiet();
}
