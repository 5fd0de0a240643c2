//! Texts for soft clients, which get long ones whole.

use super::*;
use crate::ims::sms::limits::{PARTS_PATIENCE, TELL_PATIENCE};
use crate::wire::gsm::{Concat, Dcs};

/// Bob with a soft client.
const SOFT_BOB: Phone = Phone { addr: "192.0.2.4:5060", user: "bob" };

/// The header of one of two parts.
fn of_two(number: u8) -> Vec<u8> {
    let mut header = Vec::new();
    Concat { reference: Reference::Eight(9), total: 2, number }.write(&mut header);
    header
}

impl World {
    /// Alice has a phone, and Bob a soft client.
    fn with_soft_bob(change: impl FnOnce(&mut Config)) -> World {
        let mut w = World::with(change);
        w.register(ALICE, VOLTE);
        w.register(SOFT_BOB, "");
        w
    }

    fn submit_part(&mut self, reference: u8, data: &UserDataBuf) {
        let tpdu = submit_data(reference, BOBS_NUMBER, data, |_| {});
        let call_id = self.send_rp(ALICE, "tel:1", "", &rp_data(reference, &tpdu));
        self.expect_taken(ALICE, &call_id, reference);
    }
}

#[test]
fn octets_with_the_reference_of_a_text_are_no_part_of_it() {
    for text_first in [true, false] {
        let mut w = World::with_soft_bob(|_| {});
        let (text_place, octets_place) = if text_first { (1, 2) } else { (2, 1) };
        let text = UserDataBuf::of_text(Dcs::GSM7, &of_two(text_place), "readable").expect("short");
        let octets = UserDataBuf::of_octets(Dcs::OCTETS, &of_two(octets_place), &[1, 2, 3]).expect("short");
        let both = if text_first { [text, octets] } else { [octets, text] };
        for (n, data) in both.iter().enumerate() {
            w.submit_part(n as u8, data);
        }
        w.pass(PARTS_PATIENCE);
        let got = w.expect(SOFT_BOB, "MESSAGE");
        assert_eq!(got.body, b"readable");
        w.answer(SOFT_BOB, &got, 200);
        w.expect_nothing();
        assert_eq!(w.waiting(), 1, "the octets wait for a phone");
        w.register(BOB, VOLTE);
        let got = w.expect(BOB, "MESSAGE");
        assert_eq!(deliver(&got).user_data.payload(), [1, 2, 3]);
        w.answer(BOB, &got, 200);
        w.report(BOB, &got, |reference| up(reference, Rp::Ack { user_data: None }));
        w.quiet();
    }
}

#[test]
fn parts_that_no_client_has_waited_for_come_together_to_a_soft_client() {
    let mut w = World::with_soft_bob(|c| c.sms.hook_only = true);
    let listen = |w: &mut World, sms| {
        w.lab.core.set_listeners(crate::ims::event::Listeners { sms, users_update: false });
    };
    listen(&mut w, true);
    let text = "0123456789".repeat(40);
    let parts = text::split(&text, Reference::Eight(7)).expect("not too long");
    for (n, data) in parts[..2].iter().enumerate() {
        w.submit_part(n as u8, data);
    }
    listen(&mut w, false);
    w.expect_nothing();
    w.pass(TELL_PATIENCE);
    let got = w.expect(SOFT_BOB, "MESSAGE");
    assert_eq!(got.body, text.as_bytes()[..306]);
    w.answer(SOFT_BOB, &got, 200);
    w.expect_nothing();
    w.quiet();
}

#[test]
fn a_phone_that_comes_gets_the_parts_that_have_waited_for_others_first() {
    let mut w = World::with_soft_bob(|_| {});
    let parts = text::split(&"0123456789".repeat(31), Reference::Eight(9)).expect("short");
    w.submit_part(1, &parts[0]);
    w.expect_nothing();
    // for a soft client these are nothing
    w.submit_part(2, &UserDataBuf::of_octets(Dcs::OCTETS, &[], &[1, 2, 3]).expect("short"));
    w.expect_nothing();
    w.register(BOB, VOLTE);
    w.is_delivered(BOB, &"0123456789".repeat(31)[..153]);
    let octets = w.expect(BOB, "MESSAGE");
    assert_eq!(deliver(&octets).user_data.payload(), [1, 2, 3]);
    w.answer(BOB, &octets, 200);
    w.report(BOB, &octets, |reference| up(reference, Rp::Ack { user_data: None }));
    w.quiet();
}
