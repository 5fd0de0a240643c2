//! `sms_hook_only`: what is submitted is for clients of the remote API alone, while there are some.

use super::*;
use crate::base::time::UnixTime;
use crate::ims::disk::Condition;
use crate::ims::event::{Content, Event, Listeners};
use crate::ims::sms::limits::Limits;
use crate::ims::tests::DiskPace;
use crate::wire::gsm::Validity;
use crate::wire::gsm::tpdu::Status;

const PATIENCE: Duration = crate::ims::sms::limits::TELL_PATIENCE;
/// Nobody's: that is the clients' business.
const OUTSIDE: &str = "+4912345";

fn listen(w: &mut World, is: bool) {
    w.lab.core.set_listeners(Listeners { sms: is, users_update: false });
}

/// Alice and Bob are registered, and a client listens.
fn world() -> World {
    let mut w = World::registered(|c| c.sms.hook_only = true);
    listen(&mut w, true);
    w
}

/// The SUBMITs of a text of three parts.
fn parts(to: &str, text: &str) -> Vec<Vec<u8>> {
    let parts = text::split(text, Reference::Eight(7)).expect("not too long");
    parts.iter().enumerate().map(|(at, part)| submit_data(at as u8, to, part, |_| {})).collect()
}

fn long() -> String {
    "0123456789".repeat(40)
}

/// What clients are told now, with how many parts are missing.
fn told(w: &mut World) -> Vec<(String, u8)> {
    let mut told = Vec::new();
    while let Some(event) = w.lab.core.pop_event() {
        let Event::Sms { content: Content::Text(text), missing, .. } = event else { panic!("{event:?}") };
        told.push((text, missing));
    }
    told
}

fn send(w: &mut World, tpdu: &[u8]) -> String {
    w.send_rp(ALICE, "tel:1", "", &rp_data(tpdu[1], tpdu))
}

fn sent(w: &mut World, tpdu: &[u8]) {
    let call_id = send(w, tpdu);
    w.expect_taken(ALICE, &call_id, tpdu[1]);
}

/// How many parts are kept.
fn kept(w: &World) -> usize {
    w.lab.records.keys().filter(|key| key.starts_with("sms_part/")).count()
}

fn synced(w: &mut World) {
    let sent = w.lab.sync();
    w.sent.extend(sent);
}

/// A later run with the parts that this one has kept.
fn restarted(w: &World) -> World {
    let mut next = World::with(|c| c.sms.hook_only = true);
    next.lab.wall = w.lab.wall;
    let records = w.lab.records.clone();
    for (key, value) in records.into_iter().filter(|(key, _)| key.starts_with("sms_part/")) {
        next.lab.with(|core, cx| core.restore(cx, &key, &value));
        next.lab.records.insert(key, value);
    }
    next
}

#[test]
fn a_long_text_is_told_whole_and_each_part_acknowledged_when_it_is_safe() {
    let mut w = world();
    let tpdus = parts(OUTSIDE, &long());
    w.lab.disk = DiskPace::Late;
    let call_id = send(&mut w, &tpdus[0]);
    w.expect_nothing();
    synced(&mut w);
    w.expect_taken(ALICE, &call_id, 0);
    w.lab.disk = DiskPace::AtOnce;
    sent(&mut w, &tpdus[2]);
    assert_eq!((told(&mut w), kept(&w)), (vec![], 2));
    // its RP-ACK was lost, and its TP-MR is another one
    let mut again = tpdus[2].clone();
    again[1] = 99;
    sent(&mut w, &again);
    assert_eq!(kept(&w), 2);
    w.lab.disk = DiskPace::Late;
    let call_id = send(&mut w, &tpdus[1]);
    assert_eq!((told(&mut w), kept(&w)), (vec![(long(), 0)], 0));
    // that it is told is all that there was to do
    w.expect_taken(ALICE, &call_id, 1);
    assert_eq!(w.waiting(), 0);
    w.lab.disk = DiskPace::AtOnce;
    w.quiet();
}

#[test]
fn a_long_text_that_was_told_is_taken_whatever_the_disk_does_then() {
    let mut w = world();
    let tpdus = parts(OUTSIDE, &long());
    sent(&mut w, &tpdus[0]);
    sent(&mut w, &tpdus[1]);
    w.lab.disk = DiskPace::Late;
    sent(&mut w, &tpdus[2]);
    let told_so = w.lab.on_storage(Condition::Refuses("no space left".to_owned()));
    w.sent.extend(told_so);
    w.expect_nothing();
    assert_eq!(told(&mut w), [(long(), 0)]);
    // its RP-ACK is lost
    sent(&mut w, &tpdus[2]);
    w.lab.on_storage(Condition::Well);
    w.lab.disk = DiskPace::AtOnce;
    w.pass(PATIENCE * 2);
    assert_eq!(told(&mut w), []);
    w.quiet();
}

#[test]
fn what_has_come_of_a_text_is_told_when_the_wait_is_over() {
    let mut w = world();
    let tpdus = parts(OUTSIDE, &long());
    sent(&mut w, &tpdus[0]);
    sent(&mut w, &tpdus[1]);
    w.pass(PATIENCE);
    assert_eq!((told(&mut w), kept(&w)), (vec![(long()[..306].to_owned(), 1)], 0));
    w.expect_nothing();
    w.quiet();
}

#[test]
fn parts_of_a_text_that_no_client_waits_for_any_more_are_delivered() {
    let mut w = world();
    let tpdus = parts(BOBS_NUMBER, &long());
    sent(&mut w, &tpdus[0]);
    listen(&mut w, false);
    // this one is as any other
    sent(&mut w, &tpdus[1]);
    w.is_delivered(BOB, &long()[153..306]);
    w.expect_nothing();
    w.pass(PATIENCE);
    w.is_delivered(BOB, &long()[..153]);
    assert_eq!((told(&mut w), kept(&w), w.waiting()), (vec![], 0, 0));
    // one for nobody goes nowhere, and is not forgotten in silence
    listen(&mut w, true);
    sent(&mut w, &parts(OUTSIDE, &long())[0]);
    listen(&mut w, false);
    w.pass(PATIENCE);
    assert!(
        w.lab.logged(&["SMS from +33600000001 to +4912345 is given up", "no client"]),
        "{:#?}",
        w.lab.log.0
    );
    assert_eq!(kept(&w), 0);
    w.quiet();
}

#[test]
fn a_part_that_is_delivered_in_the_end_is_as_old_as_it_is() {
    let mut w = world();
    // one that lives for five minutes, and one for which there is no room at first
    let mut parts = text::split(&long(), Reference::Eight(7)).expect("not too long");
    parts.truncate(2);
    for (n, part) in (0..).zip(&parts) {
        let validity = (n == 0).then_some(Validity::Relative(0));
        let tpdu = submit_data(n, BOBS_NUMBER, part, |s| (s.validity, s.status_report) = (validity, n == 0));
        sent(&mut w, &tpdu);
    }
    listen(&mut w, false);
    w.deregister(BOB);
    w.lab.core.set_sms_limits(Limits { texts_per_user: 1, ..Limits::default() });
    w.submitted(ALICE, 9, BOBS_NUMBER, "before");
    w.pass(PATIENCE * 2);
    assert_eq!((kept(&w), w.waiting()), (2, 1), "both wait for room");
    w.register(BOB, VOLTE);
    w.is_delivered(BOB, "before");
    w.deregister(BOB);
    w.lab.core.set_sms_limits(Limits::default());
    w.pass(PATIENCE);
    assert_eq!((kept(&w), w.waiting()), (0, 2));
    // five minutes after it came, and not after it was let go
    w.pass(Duration::from_secs(300) - PATIENCE * 3);
    w.expect_status(0, false, Status::EXPIRED);
    w.register(BOB, VOLTE);
    let second = w.arrives(BOB, &long()[153..306]);
    assert_eq!(deliver(&second).timestamp.unix().map(UnixTime::as_secs), Some(1_700_000_000));
    w.report(BOB, &second, |reference| up(reference, Rp::Ack { user_data: None }));
    w.quiet();
}

#[test]
fn a_part_that_never_has_room_is_given_up_when_it_is_too_old_and_its_sender_is_told() {
    let lives = Duration::from_secs(600);
    let mut w = World::registered(|c| (c.sms.hook_only, c.sms.expires) = (true, lives));
    listen(&mut w, true);
    let part = text::split(&long(), Reference::Eight(7)).expect("not too long").remove(0);
    sent(&mut w, &submit_data(5, BOBS_NUMBER, &part, |s| s.status_report = true));
    listen(&mut w, false);
    w.deregister(BOB);
    w.lab.core.set_sms_limits(Limits { texts_per_user: 1, ..Limits::default() });
    // twelve hours
    let before = submit_with(9, BOBS_NUMBER, "before", |s| s.validity = Some(Validity::Relative(143)));
    sent(&mut w, &before);
    w.pass(lives - PATIENCE);
    assert_eq!((kept(&w), w.waiting()), (1, 1), "it waits for room");
    w.pass(PATIENCE);
    w.expect_status(5, false, Status::EXPIRED);
    assert!(w.lab.logged(&["SMS from +33600000001 to +33600000002 is given up"]), "{:#?}", w.lab.log.0);
    assert_eq!((kept(&w), w.waiting()), (0, 1));
}

#[test]
fn parts_outlive_a_restart_and_are_told_or_delivered() {
    for listens in [true, false] {
        let mut w = world();
        let tpdus = parts(BOBS_NUMBER, &long());
        sent(&mut w, &tpdus[0]);
        sent(&mut w, &tpdus[1]);
        let mut next = restarted(&w);
        assert_eq!(kept(&next), 2);
        next.register(ALICE, VOLTE);
        if listens {
            listen(&mut next, true);
            sent(&mut next, &tpdus[2]);
            assert_eq!(told(&mut next), [(long(), 0)]);
        } else {
            next.pass(PATIENCE);
            next.register(BOB, VOLTE);
            next.is_delivered(BOB, &long()[..153]);
            next.is_delivered(BOB, &long()[153..306]);
        }
        assert_eq!((kept(&next), next.waiting()), (0, 0));
        next.quiet();
    }
}

#[test]
fn a_part_that_the_disk_does_not_take_is_refused_and_one_that_cannot_go_on_waits() {
    let mut w = world();
    let tpdus = parts(BOBS_NUMBER, &long());
    w.lab.disk = DiskPace::Late;
    send(&mut w, &tpdus[0]);
    let told_so = w.lab.on_storage(Condition::Refuses("no space left".to_owned()));
    w.sent.extend(told_so);
    w.expect_refused(ALICE, RpCause::TEMPORARY_FAILURE);
    send(&mut w, &tpdus[1]);
    w.expect_refused(ALICE, RpCause::TEMPORARY_FAILURE);
    // who is told at once needs no disk
    sent(&mut w, &submit(50, OUTSIDE, "short"));
    assert_eq!(told(&mut w), [("short".to_owned(), 0)]);
    let told_so = w.lab.on_storage(Condition::Well);
    w.sent.extend(told_so);
    sent(&mut w, &tpdus[0]);
    assert_eq!((told(&mut w), kept(&w)), (vec![], 1));
    listen(&mut w, false);
    w.lab.on_storage(Condition::Refuses("no space left".to_owned()));
    w.pass(PATIENCE * 3);
    w.expect_nothing();
    w.lab.on_storage(Condition::Well);
    w.pass(PATIENCE);
    w.is_delivered(BOB, &long()[..153]);
    assert_eq!((kept(&w), w.waiting()), (0, 0));
    w.quiet();
}

#[test]
fn records_of_parts_that_do_not_fit_are_left_out() {
    let mut w = world();
    sent(&mut w, &parts(OUTSIDE, &long())[0]);
    let (key, good) =
        w.lab.records.iter().find(|(key, _)| key.starts_with("sms_part/")).expect("one is kept");
    let (key, good) = (key.clone(), good.clone());
    let single: String = submit(1, OUTSIDE, "short").iter().map(|octet| format!("{octet:02x}")).collect();
    let whole = good.split("\"tpdu\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a tpdu");
    for (key, bad) in [
        (key.as_str(), "{".to_owned()),
        (key.as_str(), good.replace(whole, "01")),
        (key.as_str(), good.replace(whole, &single)),
        (key.as_str(), good.replace("\"at\"", "\"ad\"")),
        ("sms_part/x", good.clone()),
    ] {
        let mut next = World::with(|_| {});
        next.lab.records.insert(key.to_owned(), bad.clone());
        next.lab.with(|core, cx| core.restore(cx, key, &bad));
        assert_eq!(next.lab.records, [(format!("damaged/{key}"), bad.clone())].into(), "set aside");
        assert!(next.lab.logged(&[key]), "{bad}");
    }
    // one without its phone is of the one that is attached
    let old = good.replace("\"phone\"", "\"fone\"");
    let mut next = World::with(|_| {});
    next.lab.with(|core, cx| core.restore(cx, &key, &old));
    assert!(!next.lab.logged(&[&key]));
    // whose sender is missing stays for a start with the right users
    let other = good.replace("alice@ims.test", "nobody@ims.test");
    let mut next = World::with(|_| {});
    next.lab.records.insert(key.clone(), other.clone());
    next.lab.with(|core, cx| core.restore(cx, &key, &other));
    assert_eq!(next.lab.records[&key], other);
}
