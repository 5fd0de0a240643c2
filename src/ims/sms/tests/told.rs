//! What clients of the remote API are told of texts.

use super::*;
use crate::config::model::OperatorCode;
use crate::ims::event::{self, Event};
use crate::ims::sms::Recipient;
use crate::ims::tests::{OP, sim};

#[test]
fn clients_that_listen_are_told_of_texts_and_may_have_them_for_themselves() {
    for hook_only in [false, true] {
        let mut w = World::registered(|c| c.sms.hook_only = hook_only);
        w.submitted(ALICE, 1, BOBS_NUMBER, "nobody listens");
        w.is_delivered(BOB, "nobody listens");
        assert_eq!(w.lab.core.pop_event(), None);
        w.lab.core.set_listeners(event::Listeners { sms: true, users_update: false });
        // whom a hook is for need not be a user
        let to = if hook_only { "+4912345" } else { BOBS_NUMBER };
        w.submitted(ALICE, 2, to, "x");
        let sms = Event::Sms {
            sender: "+33600000001".to_owned(),
            destination: to.to_owned(),
            content: event::Content::Text("x".to_owned()),
            dcs: 0,
            date: 1_700_000_000,
            missing: 0,
        };
        assert_eq!((w.lab.core.pop_event(), w.lab.core.pop_event()), (Some(sms), None));
        if !hook_only {
            w.is_delivered(BOB, "x");
        }
        w.expect_nothing();
        w.quiet();
    }
}

/// Alice's phone sends a long text in parts.
fn long(reference: u8, text: &str) -> Vec<Vec<u8>> {
    let parts = text::split(text, Reference::Eight(reference)).expect("not too long");
    let place = |at: usize| reference.wrapping_add(at as u8);
    parts.iter().enumerate().map(|(at, part)| submit_data(place(at), BOBS_NUMBER, part, |_| {})).collect()
}

impl World {
    fn sends(&mut self, from: Phone, tpdu: &[u8]) {
        let call_id = self.send_rp(from, "tel:1", "", &rp_data(tpdu[1], tpdu));
        self.expect_taken(from, &call_id, tpdu[1]);
    }

    /// The texts that clients are told of now, with how many parts are missing.
    fn told(&mut self) -> Vec<(String, u8, i64)> {
        let mut told = Vec::new();
        while let Some(event) = self.lab.core.pop_event() {
            match event {
                Event::Sms { content: event::Content::Text(text), missing, date, .. } => {
                    told.push((text, missing, date - 1_700_000_000));
                }
                other => panic!("{other:?}"),
            }
        }
        told
    }
}

fn listening(change: impl FnOnce(&mut Config)) -> World {
    let mut w = World::registered(change);
    w.lab.core.set_listeners(event::Listeners { sms: true, users_update: false });
    w
}

#[test]
fn clients_are_told_of_a_long_text_once_and_whole() {
    let mut w = listening(|_| {});
    let text = "0123456789".repeat(40);
    let parts = long(1, &text);
    w.sends(ALICE, &parts[2]);
    w.sends(ALICE, &parts[0]);
    // its RP-ACK is lost, or a person sends it again
    w.sends(ALICE, &parts[0]);
    let mut again = parts[0].clone();
    again[1] = 200;
    w.sends(ALICE, &again);
    assert_eq!(w.told(), []);
    w.pass(Duration::from_secs(59));
    w.sends(ALICE, &parts[1]);
    assert_eq!(w.told(), [(text, 0, 59)]);
    w.sends(ALICE, &long(9, "short")[0]);
    assert_eq!(w.told(), [("short".to_owned(), 0, 59)]);
    w.quiet();
    assert_eq!(w.told(), []);
}

#[test]
fn clients_are_told_of_a_text_when_it_is_stored_and_not_of_one_that_is_refused() {
    use crate::ims::disk::Condition;
    use crate::ims::tests::DiskPace;
    let mut w = listening(|c| c.users[1].sim = Some(sim(OperatorCode::Op(OP))));
    let text = "0123456789".repeat(20);
    let parts = long(1, &text);
    w.sends(ALICE, &parts[0]);
    w.lab.disk = DiskPace::Late;
    w.send_rp(ALICE, "tel:1", "", &rp_data(2, &parts[1]));
    w.message(ALICE, "tel:+33600000002", "Content-Type: text/plain\r\n", b"soft");
    assert_eq!(w.told(), []);
    let sent = w.lab.on_storage(Condition::Refuses("no space left".to_owned()));
    w.sent.extend(sent);
    w.expect_refused(ALICE, RpCause::TEMPORARY_FAILURE);
    w.expect(ALICE, "SIP/2.0 503");
    assert_eq!(w.told(), []);
    let sent = w.lab.on_storage(Condition::Well);
    w.sent.extend(sent);
    w.sends(ALICE, &parts[1]);
    assert_eq!(w.told(), [(text, 0, 0)]);
    w.quiet();
    assert_eq!(w.told(), []);
}

#[test]
fn clients_are_told_what_came_of_a_text_whose_parts_do_not_all_come() {
    let mut w = listening(|_| {});
    let text = "0123456789".repeat(40);
    let parts = long(1, &text);
    w.sends(ALICE, &parts[0]);
    w.pass(Duration::from_secs(10));
    w.sends(ALICE, &parts[2]);
    w.pass(Duration::from_millis(59_999));
    assert_eq!(w.told(), []);
    w.pass(Duration::from_millis(1));
    assert_eq!(w.told(), [(format!("{}{}", &text[..153], &text[306..]), 1, 10)]);
    // the last one comes after all: nothing is lost
    w.sends(ALICE, &parts[1]);
    w.pass(Duration::from_secs(60));
    assert_eq!(w.told(), [(text[153..306].to_owned(), 2, 70)]);
    // another text with the same reference ends the wait for the first
    let other = "abcdefghij".repeat(40);
    w.sends(ALICE, &parts[0]);
    w.sends(ALICE, &long(1, &other)[0]);
    assert_eq!(w.told(), [(text[..153].to_owned(), 2, 130)]);
    w.quiet();
    assert_eq!(w.told(), [(other[..153].to_owned(), 2, 130)]);
}

#[test]
fn parts_of_several_senders_are_kept_apart_and_bounded() {
    use crate::proto::sms::limits::MAX_INCOMPLETE;
    let mut w = listening(|c| c.users[0].multi_sim = true);
    let second = Phone { addr: "192.0.2.9:5060", user: "alice" };
    w.register(ALICE, &format!("{VOLTE};+sip.instance=\"<urn:gsma:imei:35693803-564380-0>\""));
    w.register(second, &format!("{VOLTE};+sip.instance=\"<urn:gsma:imei:86130905-000038-0>\""));
    let texts = ["0123456789".repeat(20), "abcdefghij".repeat(20)];
    let [one, two] = [0, 1].map(|at: usize| long(1, &texts[at]));
    w.sends(ALICE, &one[0]);
    w.sends(second, &two[0]);
    w.sends(second, &two[1]);
    w.sends(ALICE, &one[1]);
    assert_eq!(w.told(), [(texts[1].clone(), 0, 0), (texts[0].clone(), 0, 0)]);
    for reference in 10..=10 + MAX_INCOMPLETE as u8 {
        // Bob's queue is short in tests
        w.lab.with(|core, cx| core.flush_sms(cx, &Recipient::Any("bob".to_owned()))).0.unwrap();
        w.sends(ALICE, &long(reference, &texts[0])[0]);
    }
    assert_eq!(w.told(), [(texts[0][..153].to_owned(), 1, 0)], "the first makes room");
    w.lab.core.set_listeners(event::Listeners::default());
    w.quiet();
    assert_eq!(w.told(), []);
}

#[test]
fn clients_are_told_of_a_soft_clients_long_text_once() {
    let mut w = listening(|c| c.users[1].sim = Some(sim(OperatorCode::Op(OP))));
    w.register(ALICE, "");
    let text = "0123456789".repeat(40);
    w.message(ALICE, "tel:+33600000002", "Content-Type: text/plain\r\n", text.as_bytes());
    w.expect(ALICE, "SIP/2.0 202");
    assert_eq!(w.told(), [(text, 0, 0)]);
    w.quiet();
}
