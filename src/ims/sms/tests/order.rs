//! Texts of the operator, what is shown of queues, soft clients, and what clients of the remote API are told.

use super::*;
use crate::ims::disk::Condition;
use crate::ims::event::{self, Event};
use crate::ims::sms::limits::{DISK_PATIENCE, MAX_OUTCOMES};
use crate::ims::sms::{Content, Order, Ordered, Recipient};
use crate::ims::tests::DiskPace;

/// Bob with a soft client.
const SOFT_BOB: Phone = Phone { addr: "192.0.2.4:5060", user: "bob" };

pub(super) fn order(to: &str, what: &str) -> Order {
    Order {
        to: Recipient::Any(to.to_owned()),
        sender: None,
        content: Content::Text(what.to_owned()),
        validity: None,
        pid: 0,
        dcs: None,
        sos: false,
    }
}

impl World {
    /// An order on a disk that takes it at once; in how many parts.
    fn order(&mut self, order: &Order) -> Result<usize, String> {
        let ordered = self.start_order(order)?;
        assert_eq!(self.lab.core.pop_sms_order(), Some((ordered.id, Ok(()))));
        Ok(ordered.parts)
    }

    pub(super) fn start_order(&mut self, order: &Order) -> Result<Ordered, String> {
        let (result, sent) = self.lab.with(|core, cx| core.send_sms(cx, order));
        self.sent.extend(sent);
        result
    }
}

#[test]
fn the_operator_texts_a_user_by_any_name() {
    let mut w = World::registered(|_| {});
    for to in ["bob@ims.test", "bob", "+33600000002", "0600000002", "tel:+33600000002", "sip:bob@ims.test"] {
        assert_eq!(w.order(&order(to, to)), Ok(1));
        let text = w.arrives(BOB, to);
        assert_eq!(deliver(&text).originator.to_string(), "imsbox");
        w.report(BOB, &text, |reference| up(reference, Rp::Ack { user_data: None }));
    }
    assert_eq!(w.order(&order("dave", "x")), Err("no user is dave".to_owned()));
    let unknown = Order { to: Recipient::Impi("tel:+33600000002".to_owned()), ..order("", "x") };
    assert!(w.order(&unknown).is_err_and(|e| e.contains("private identity")));
    w.quiet();
}

#[test]
fn the_operator_is_told_when_the_disk_has_the_text_and_the_phone_gets_it_then() {
    let mut w = World::registered(|_| {});
    w.lab.disk = DiskPace::Late;
    let first = w.start_order(&order("bob", "one")).unwrap();
    let second = w.start_order(&order("bob", &"long ".repeat(40))).unwrap();
    assert_eq!((first.parts, second.parts), (1, 2));
    assert!(first.id != second.id);
    assert_eq!(w.lab.core.pop_sms_order(), None);
    w.expect_nothing();
    let sent = w.lab.sync();
    w.sent.extend(sent);
    assert_eq!(w.lab.core.pop_sms_order(), Some((first.id, Ok(()))));
    assert_eq!(w.lab.core.pop_sms_order(), Some((second.id, Ok(()))));
    assert_eq!(w.lab.core.pop_sms_order(), None);
    w.arrives(BOB, "one");
    w.lab.disk = DiskPace::AtOnce;
    w.quiet();
}

#[test]
fn the_operator_is_told_of_a_disk_that_refuses_and_of_one_that_does_not_answer() {
    let words = "the disk does not take it; try again later";
    for refuses in [true, false] {
        let mut w = World::registered(|_| {});
        w.lab.disk = DiskPace::Late;
        let ordered = w.start_order(&order("bob", &"long ".repeat(40))).unwrap();
        if refuses {
            let sent = w.lab.on_storage(Condition::Refuses("no space left".to_owned()));
            w.sent.extend(sent);
            assert_eq!(w.start_order(&order("bob", "x")), Err(words.to_owned()), "it refuses already");
        } else {
            w.pass(DISK_PATIENCE);
        }
        assert_eq!(w.lab.core.pop_sms_order(), Some((ordered.id, Err(words))));
        assert_eq!((w.lab.core.pop_sms_order(), w.waiting()), (None, 0));
        assert!(!w.lab.records.keys().any(|key| key.starts_with("sms/")), "not delivered after a restart");
        let sent = w.lab.on_storage(Condition::Well);
        w.sent.extend(sent);
        let sent = w.lab.sync();
        w.sent.extend(sent);
        assert_eq!(w.lab.core.pop_sms_order(), None);
        w.expect_nothing();
        w.quiet();
    }
}

#[test]
fn outcomes_that_nobody_asks_for_are_bounded() {
    let mut w = World::registered(|_| {});
    let brief = Order { validity: Some(Duration::ZERO), ..order("carol", "x") };
    let ids: Vec<_> = (0..=MAX_OUTCOMES).map(|_| w.start_order(&brief).unwrap().id).collect();
    for id in &ids[1..] {
        assert_eq!(w.lab.core.pop_sms_order(), Some((*id, Ok(()))));
    }
    assert_eq!(w.lab.core.pop_sms_order(), None);
    w.quiet();
}

#[test]
fn a_clean_end_waits_for_the_disk_that_a_sender_waits_for() {
    let mut w = World::registered(|_| {});
    w.lab.disk = DiskPace::Late;
    let ordered = w.start_order(&order("carol", "x")).unwrap();
    w.lab.with(|core, cx| core.shutdown(cx));
    assert!(!w.lab.exited);
    w.lab.sync();
    assert_eq!(w.lab.core.pop_sms_order(), Some((ordered.id, Ok(()))));
    assert!(w.lab.exited);
}

#[test]
fn everything_about_an_order_can_be_chosen() {
    let mut w = World::registered(|c| {
        c.sms.centre =
            crate::config::model::CentreAddress { digits: Some("33609001390".to_owned()), ton: 1, npi: 1 };
    });
    let octets = Content::Octets { octets: vec![5, 0, 3, 1, 2, 1, 0xff], length: None, has_header: true };
    for (order, sender, pid, dcs) in [
        (order("bob", "x"), "+33609001390", 0, 0),
        (
            Order { sender: Some("My Bank".to_owned()), pid: 0x41, dcs: Some(0x10), ..order("bob", "x") },
            "My Bank",
            0x41,
            0x10,
        ),
        (Order { sender: Some("+336".to_owned()), content: octets, ..order("bob", "") }, "+336", 0, 4),
    ] {
        assert_eq!(w.order(&order), Ok(1));
        let text = w.expect(BOB, "MESSAGE");
        let got = deliver(&text);
        assert_eq!(
            (got.originator.to_string().as_str(), got.pid.0, got.user_data.dcs().0),
            (sender, pid, dcs)
        );
        assert!(text.one("P-Asserted-Identity").contains("+33609001390@ims.test;user=phone"));
        let Rp::Data { originator, .. } = rpdu(&text).message else { panic!() };
        assert_eq!(originator.map(|o| o.to_string()).as_deref(), Some("+33609001390"));
        w.answer(BOB, &text, 200);
        w.report(BOB, &text, |reference| up(reference, Rp::Ack { user_data: None }));
    }
    let wrong = Content::Octets { octets: vec![1, 2], length: Some(9), has_header: false };
    assert!(w.order(&Order { content: wrong, ..order("bob", "") }).is_err_and(|e| e.contains("TP-UD")));
    let lasting = Order { validity: Some(Duration::from_secs(1_000_000_000)), ..order("bob", "x") };
    assert!(w.order(&lasting).is_err_and(|e| e.starts_with("validity")));
    w.quiet();
}

#[test]
fn a_long_order_goes_in_parts_and_a_short_lived_one_goes_soon() {
    let mut w = World::registered(|_| {});
    let long = "0123456789".repeat(40);
    assert_eq!(w.order(&order("bob", &long)), Ok(3));
    let mut got = String::new();
    for number in 1..=3 {
        let text = w.expect(BOB, "MESSAGE");
        let part = deliver(&text);
        let place = part.user_data.concat().expect("a part");
        assert_eq!((place.number, place.total, part.more_messages), (number, 3, number < 3));
        got += &part.user_data.text().expect("text");
        w.answer(BOB, &text, 200);
        w.report(BOB, &text, |reference| up(reference, Rp::Ack { user_data: None }));
    }
    assert_eq!(got, long);
    w.deregister(BOB);
    let brief = Order { validity: Some(Duration::from_secs(60)), ..order("bob", "x") };
    assert_eq!(w.order(&brief), Ok(1));
    w.pass(Duration::from_secs(60));
    assert_eq!(w.waiting(), 0);
    w.quiet();
}

#[test]
fn views_say_how_much_waits_and_why() {
    let mut w = World::registered(|_| {});
    let view = |w: &World| w.lab.core.user_views(w.lab.now)[1].clone();
    assert_eq!((view(&w).sms.pending, view(&w).sms.why), (0, None));
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let text = w.expect(BOB, "MESSAGE");
    let seen = view(&w);
    assert_eq!((seen.sms.pending, seen.sms.why, seen.bindings[0].sms), (1, None, true));
    w.answer(BOB, &text, 486);
    let seen = view(&w);
    assert_eq!(
        (seen.sms.why.as_deref(), seen.sms.retry_in),
        (Some("the phone says 486 Phone says"), Some(60))
    );
    assert!(!seen.bindings[0].sms);
    w.deregister(BOB);
    let seen = view(&w);
    assert_eq!(seen.sms.why.as_deref(), Some("the phone is neither registered nor reachable over SGs"));
    assert_eq!(seen.sms.retry_in, None);
    w.quiet();
}

#[test]
fn sgs_can_be_forced_and_let_go_while_the_program_runs() {
    let mut w = World::registered(|_| {});
    let force = |w: &mut World, forced| {
        let (done, sent) = w.lab.with(|core, cx| core.set_user(cx, "bob@ims.test", Some(forced)));
        w.sent.extend(sent);
        assert_eq!(done, Ok(()));
    };
    force(&mut w, true);
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    w.expect_nothing();
    force(&mut w, false);
    w.is_delivered(BOB, "x");
    assert!(w.lab.with(|core, cx| core.set_user(cx, "dave", None)).0.is_err());
    w.quiet();
}

#[test]
fn a_soft_client_gets_the_text_as_it_is_and_a_long_one_whole() {
    let mut w = World::with(|_| {});
    w.register(ALICE, VOLTE);
    w.register(SOFT_BOB, "");
    w.submitted(ALICE, 1, BOBS_NUMBER, "Grüße 😀");
    let text = w.expect(SOFT_BOB, "MESSAGE sip:bob@192.0.2.4:5060");
    assert_eq!(text.one("Content-Type"), "text/plain;charset=UTF-8");
    assert_eq!(String::from_utf8_lossy(&text.body), "Grüße 😀");
    assert_eq!(text.one("P-Asserted-Identity"), "<tel:+33600000001>");
    assert_eq!(text.one("To"), "<tel:+33600000002>");
    w.answer(SOFT_BOB, &text, 200);
    assert_eq!(w.waiting(), 0);

    let long = "0123456789".repeat(31);
    let parts = text::split(&long, Reference::Eight(9)).expect("short");
    for (n, part) in parts.iter().enumerate() {
        w.expect_nothing();
        let tpdu = submit_data(n as u8, BOBS_NUMBER, part, |_| {});
        let call_id = w.send_rp(ALICE, "tel:1", "", &rp_data(n as u8, &tpdu));
        w.expect_taken(ALICE, &call_id, n as u8);
    }
    let text = w.expect(SOFT_BOB, "MESSAGE");
    assert_eq!(String::from_utf8_lossy(&text.body), long);
    w.answer(SOFT_BOB, &text, 202);
    assert_eq!(w.waiting(), 0);
    w.quiet();
}

#[test]
fn parts_that_do_not_come_are_not_waited_for_for_ever_and_hold_nothing_up() {
    let mut w = World::with(|_| {});
    w.register(ALICE, VOLTE);
    w.register(SOFT_BOB, "");
    let parts = text::split(&"0123456789".repeat(31), Reference::Eight(9)).expect("short");
    let tpdu = submit_data(1, BOBS_NUMBER, &parts[0], |_| {});
    let call_id = w.send_rp(ALICE, "tel:1", "", &rp_data(1, &tpdu));
    w.expect_taken(ALICE, &call_id, 1);
    w.expect_nothing();
    w.submitted(ALICE, 2, BOBS_NUMBER, "y");
    let text = w.expect(SOFT_BOB, "MESSAGE");
    assert_eq!(text.body, b"y");
    w.answer(SOFT_BOB, &text, 200);
    w.pass(crate::ims::sms::limits::PARTS_PATIENCE);
    let text = w.expect(SOFT_BOB, "MESSAGE");
    assert_eq!(text.body.len(), 153);
    w.answer(SOFT_BOB, &text, 200);
    w.quiet();
}

#[test]
fn a_soft_client_that_refuses_is_asked_again_and_octets_are_not_for_it() {
    let mut w = World::with(|_| {});
    w.register(ALICE, VOLTE);
    w.register(SOFT_BOB, "");
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let text = w.expect(SOFT_BOB, "MESSAGE");
    w.answer(SOFT_BOB, &text, 500);
    w.pass(Duration::from_secs(60));
    let text = w.expect(SOFT_BOB, "MESSAGE");
    w.answer(SOFT_BOB, &text, 200);
    let octets = UserDataBuf::of_octets(crate::wire::gsm::Dcs::OCTETS, &[], &[1, 2]).expect("short");
    let tpdu = submit_data(2, BOBS_NUMBER, &octets, |_| {});
    let call_id = w.send_rp(ALICE, "tel:1", "", &rp_data(2, &tpdu));
    w.expect_taken(ALICE, &call_id, 2);
    w.expect_nothing();
    assert!(w.lines().last().is_some_and(|l| l.contains("no text for a soft client")), "{:?}", w.lines());
    w.quiet();
}

#[test]
fn clients_that_listen_are_told_of_users_that_change() {
    let mut w = World::registered(|_| {});
    w.lab.core.set_listeners(event::Listeners { sms: false, users_update: true });
    let told = |w: &mut World| {
        let mut names = Vec::new();
        while let Some(Event::UsersUpdate { impi }) = w.lab.core.pop_event() {
            names.push(impi);
        }
        names
    };
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    assert_eq!(told(&mut w), ["bob@ims.test"]);
    w.is_delivered(BOB, "x");
    assert_eq!(told(&mut w), ["bob@ims.test"]);
    w.deregister(ALICE);
    assert_eq!(told(&mut w), ["alice@ims.test"]);
    w.register(ALICE, VOLTE);
    assert_eq!(told(&mut w), ["alice@ims.test"]);
}
