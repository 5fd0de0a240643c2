//! Hosts that give wrong answers again and again: turned away for a while, without harm to others.

use super::phone::{Phone, Secret};
use super::{Lab, Sent, config};
use crate::base::time::Duration;
use crate::base::trace::Level;
use crate::ims::limits::{FAILURE_WINDOW, MAX_FAILURES_PER_SOURCE};

const SECOND: Duration = Duration::from_secs(1);

/// Answers wrongly until the door closes; the answer that says so.
fn turned_away(lab: &mut Lab, guesser: &mut Phone) -> Sent {
    let mut wrong = 0;
    loop {
        let first = guesser.ask(lab, "");
        let second = guesser.answer(lab, &first, "");
        if second.status() == 503 {
            assert_eq!(wrong, MAX_FAILURES_PER_SOURCE);
            return second;
        }
        let last = guesser.answer(lab, &second, "");
        assert_eq!((second.status(), last.status()), (401, 403));
        wrong += 2;
    }
}

#[test]
fn wrong_answers_without_end_are_turned_away_unread_for_a_while() {
    let mut lab = Lab::new(config());
    let mut guesser = Phone::alice();
    guesser.secret = Secret::Password("guess");
    let refusal = turned_away(&mut lab, &mut guesser);
    assert_eq!(refusal.one("Retry-After"), FAILURE_WINDOW.as_secs().to_string());
    assert!(lab.logged(&["10.0.0.1 has given 30 wrong answers", "for 60 s", "refused with 503"]));
    let lines = lab.log.0.len();
    let challenge = guesser.ask(&mut lab, "");
    assert_eq!(challenge.status(), 401, "a question without credentials is answered");
    for _ in 0..100 {
        assert_eq!(guesser.answer(&mut lab, &challenge, "").status(), 503);
    }
    assert_eq!(lab.log.0.len(), lines, "and nothing more is said");
    assert!(
        lab.lines(Level::Warn).iter().filter(|line| line.contains("wrong answers to challenges")).count()
            == 1
    );
}

#[test]
fn another_host_is_not_shut_out_and_the_phone_with_its_key_put_right_waits_for_a_window_at_most() {
    let mut lab = Lab::new(config());
    let mut guesser = Phone::alice();
    guesser.secret = Secret::Password("guess");
    turned_away(&mut lab, &mut guesser);
    let mut elsewhere = Phone::alice();
    elsewhere.address = "10.0.0.7:5060".into();
    assert_eq!(elsewhere.register(&mut lab, "").status(), 200);
    guesser.secret = Secret::Password("secret");
    lab.pass(FAILURE_WINDOW - SECOND);
    let early = guesser.register(&mut lab, "");
    assert_eq!((early.status(), early.one("Retry-After")), (503, "1"));
    lab.pass(SECOND);
    assert_eq!(guesser.register(&mut lab, "").status(), 200);
}

/// What is answered from a forged address counts against the host that had the challenge made.
#[test]
fn nobody_is_shut_out_by_what_others_send_in_its_name() {
    let mut lab = Lab::new(config());
    let mut forger = Phone::alice();
    forger.secret = Secret::Password("guess");
    for _ in 0..2 * MAX_FAILURES_PER_SOURCE {
        forger.address = "10.0.0.66:5060".into();
        let challenge = forger.ask(&mut lab, "");
        forger.address = "10.0.0.1:5060".into();
        forger.answer(&mut lab, &challenge, "");
    }
    assert!(lab.logged(&["10.0.0.66 has given 30 wrong answers"]));
    assert_eq!(Phone::alice().register(&mut lab, "").status(), 200);
}

#[test]
fn passwords_tried_on_made_up_nonces_are_not_told_right_from_wrong_for_ever() {
    let mut lab = Lab::new(config());
    let mut guesser = Phone::alice();
    let challenge = guesser.ask(&mut lab, "");
    let made_up = |lab: &mut Lab, guesser: &mut Phone| {
        let old = super::auth::nonce(&challenge);
        let bent = Sent { text: challenge.text.replace(&old, &"a".repeat(32)), ..challenge.clone() };
        let answer = guesser.answer(lab, &bent, "");
        assert_eq!(answer.status(), 401);
        answer.one("WWW-Authenticate").contains("stale=true")
    };
    assert!(made_up(&mut lab, &mut guesser), "a phone with an old nonce need not ask for its password");
    guesser.secret = Secret::Password("guess");
    for _ in 0..MAX_FAILURES_PER_SOURCE {
        assert!(!made_up(&mut lab, &mut guesser));
    }
    guesser.secret = Secret::Password("secret");
    assert!(!made_up(&mut lab, &mut guesser));
    assert_eq!(guesser.register(&mut lab, "").status(), 200, "nobody is shut out for it");
}
