//! What is acknowledged is on the disk, and comes back after a restart.

use super::*;
use crate::ims::disk::Condition;
use crate::ims::sms::limits::{DISK_PATIENCE, MAX_REPETITIONS};
use crate::ims::tests::DiskPace;
use std::collections::BTreeMap;

/// Another core with the same configuration and the records of the first.
pub(super) fn restarted(w: &World, change: impl FnOnce(&mut Config)) -> World {
    take_over(w, World::with(change), w.lab.records.clone())
}

/// Another core with the same configuration and these records.
pub(super) fn restarted_with(w: &World, records: BTreeMap<String, String>) -> World {
    take_over(w, World::with(|_| {}), records)
}

fn take_over(w: &World, mut next: World, records: BTreeMap<String, String>) -> World {
    (next.lab.now, next.lab.wall, next.number) = (w.lab.now, w.lab.wall, w.number);
    for (key, value) in records {
        next.lab.with(|core, cx| core.restore(cx, &key, &value));
        next.lab.records.insert(key, value);
    }
    next
}

#[test]
fn nothing_is_acknowledged_or_delivered_before_it_is_on_the_disk() {
    let mut w = World::registered(|_| {});
    w.lab.disk = DiskPace::Late;
    let call_id = w.submit(ALICE, 1, BOBS_NUMBER, "x");
    w.expect_nothing();
    assert_eq!(
        w.lab.core.user_views(w.lab.now)[1].sms.why.as_deref(),
        Some("the disk has not stored it yet")
    );
    let sent = w.lab.sync();
    w.sent.extend(sent);
    w.expect_taken(ALICE, &call_id, 1);
    let text = w.arrives(BOB, "x");
    // nor is a report before it is forgotten there
    let report = up(rpdu(&text).reference, Rp::Ack { user_data: None });
    w.send_rp(BOB, "sip:sms-centre@ims.test", "", &report);
    w.expect_nothing();
    let sent = w.lab.sync();
    w.sent.extend(sent);
    w.expect(BOB, "SIP/2.0 202");
    w.lab.disk = DiskPace::AtOnce;
    w.quiet();
}

#[test]
fn a_repetition_is_not_acknowledged_before_the_text_is_on_the_disk_either() {
    let mut w = World::registered(|_| {});
    w.lab.disk = DiskPace::Late;
    let first = w.submit(ALICE, 1, BOBS_NUMBER, "x");
    let again = w.submit(ALICE, 1, BOBS_NUMBER, "x");
    w.expect_nothing();
    let sent = w.lab.sync();
    w.sent.extend(sent);
    w.expect_taken(ALICE, &first, 1);
    w.expect_taken(ALICE, &again, 1);
    w.lab.disk = DiskPace::AtOnce;
    w.is_delivered(BOB, "x");
    w.quiet();
}

#[test]
fn a_repetition_shares_the_fate_of_its_text_whatever_else_waits_for_the_disk() {
    let mut w = World::registered(|_| {});
    w.lab.disk = DiskPace::Late;
    let first = w.submit(ALICE, 1, BOBS_NUMBER, "x");
    w.pass(Duration::from_secs(1));
    let other = w.submit(BOB, 1, BOBS_NUMBER, "y");
    w.pass(Duration::from_secs(9));
    let again = w.submit(ALICE, 1, BOBS_NUMBER, "x");
    w.expect_nothing();
    // the first has waited too long, and its text is forgotten; the other one has not
    w.pass(DISK_PATIENCE - Duration::from_secs(10));
    for call_id in [&first, &again] {
        let refused = w.expect_refused(ALICE, RpCause::TEMPORARY_FAILURE);
        assert_eq!(refused.one("In-Reply-To"), call_id);
    }
    w.expect_nothing();
    let sent = w.lab.sync();
    w.sent.extend(sent);
    w.expect_taken(BOB, &other, 1);
    w.lab.disk = DiskPace::AtOnce;
    w.is_delivered(BOB, "y");
    w.quiet();
}

#[test]
fn so_many_repetitions_wait_and_no_more() {
    let mut w = World::registered(|_| {});
    w.lab.disk = DiskPace::Late;
    for _ in 0..=MAX_REPETITIONS {
        w.submit(ALICE, 1, BOBS_NUMBER, "x");
    }
    w.expect_nothing();
    w.submit(ALICE, 1, BOBS_NUMBER, "x");
    w.expect_refused(ALICE, RpCause::CONGESTION);
    w.expect_nothing();
}

#[test]
fn a_report_that_comes_again_is_not_answered_before_the_disk_knows_of_it_either() {
    let mut w = World::registered(|_| {});
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let text = w.arrives(BOB, "x");
    w.lab.disk = DiskPace::Late;
    let report = up(rpdu(&text).reference, Rp::Ack { user_data: None });
    let headers = format!("In-Reply-To: {}\r\n", text.one("Call-ID"));
    let ids = [0, 1].map(|_| w.send_rp(BOB, "sip:sms-centre@ims.test", &headers, &report));
    w.expect_nothing();
    let sent = w.lab.sync();
    w.sent.extend(sent);
    for id in ids {
        w.expect_where(BOB, "SIP/2.0 202", |s| s.one("Call-ID") == id);
    }
    w.lab.disk = DiskPace::AtOnce;
    w.quiet();
}

#[test]
fn a_disk_that_refuses_is_a_temporary_failure_at_once() {
    let mut w = World::registered(|_| {});
    let sent = w.lab.on_storage(Condition::Refuses("no space left".to_owned()));
    w.sent.extend(sent);
    w.submit(ALICE, 1, BOBS_NUMBER, "x");
    w.expect_refused(ALICE, RpCause::TEMPORARY_FAILURE);
    w.expect_nothing();
    let sent = w.lab.on_storage(Condition::Well);
    w.sent.extend(sent);
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    w.is_delivered(BOB, "x");
    w.quiet();
}

#[test]
fn who_waits_for_a_disk_that_refuses_or_is_too_slow_is_told() {
    for refuses in [true, false] {
        let mut w = World::registered(|_| {});
        w.lab.disk = DiskPace::Late;
        w.submit(ALICE, 1, BOBS_NUMBER, "x");
        if refuses {
            let sent = w.lab.on_storage(Condition::Refuses("no space left".to_owned()));
            w.sent.extend(sent);
        } else {
            w.pass(crate::ims::sms::limits::DISK_PATIENCE);
        }
        w.expect_refused(ALICE, RpCause::TEMPORARY_FAILURE);
        assert_eq!((w.waiting(), w.lab.records.keys().filter(|k| k.starts_with("sms/")).count()), (0, 0));
        let sent = w.lab.on_storage(Condition::Well);
        w.sent.extend(sent);
        let sent = w.lab.sync();
        w.sent.extend(sent);
        w.expect_nothing();
        // the phone's own repetition is not taken for one of a text that was taken
        w.submitted(ALICE, 1, BOBS_NUMBER, "x");
        w.is_delivered(BOB, "x");
        w.quiet();
    }
}

#[test]
fn what_waits_outlives_a_restart_in_its_order_and_with_its_time() {
    let mut w = World::with(|c| c.sms.expires = Duration::from_secs(7200));
    w.register(ALICE, VOLTE);
    for n in 1..=3 {
        w.submitted(ALICE, n, BOBS_NUMBER, &format!("text {n}"));
    }
    w.pass(Duration::from_secs(3000));
    let mut next = restarted(&w, |c| c.users.swap(0, 2));
    assert_eq!(next.waiting(), 3);
    next.submitted(ALICE, 4, BOBS_NUMBER, "text 4");
    next.register(BOB, VOLTE);
    for n in 1..=4 {
        next.is_delivered(BOB, &format!("text {n}"));
    }
    next.quiet();
    let mut late = restarted(&w, |_| {});
    late.pass(Duration::from_secs(4199));
    assert_eq!(late.waiting(), 3);
    late.pass(Duration::from_secs(1));
    assert_eq!(late.waiting(), 0, "it has lived for two hours");
}

#[test]
fn a_phone_that_is_still_registered_gets_what_waits_after_the_restart() {
    let mut w = World::registered(|_| {});
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    w.arrives(BOB, "x");
    let mut next = restarted(&w, |_| {});
    next.expect_nothing();
    next.pass(crate::ims::sms::limits::AFTER_RESTART);
    next.is_delivered(BOB, "x");
    next.quiet();
}

#[test]
fn wishes_for_reports_outlive_a_restart() {
    let mut w = World::with(|_| {});
    w.register(ALICE, VOLTE);
    let tpdu = submit_with(5, BOBS_NUMBER, "x", |s| s.status_report = true);
    let call_id = w.send_rp(ALICE, "tel:1", "", &rp_data(5, &tpdu));
    w.expect_taken(ALICE, &call_id, 5);
    let mut next = restarted(&w, |_| {});
    next.register(BOB, VOLTE);
    next.is_delivered(BOB, "x");
    let report = next.expect(ALICE, "MESSAGE");
    let Rp::Data { user_data, .. } = rpdu(&report).message else { panic!("{:?}", rpdu(&report)) };
    assert_eq!(user_data[..2], [0x06 | 0x08, 5], "STATUS-REPORT with its TP-MR");
    next.answer(ALICE, &report, 200);
    next.report(ALICE, &report, |reference| up(reference, Rp::Ack { user_data: None }));
    next.quiet();
}

#[test]
fn a_record_that_has_expired_for_nobody_is_deleted_and_a_damaged_one_is_set_aside_as_it_is() {
    let mut w = World::with(|_| {});
    w.register(ALICE, VOLTE);
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let key = "sms/0000000000000001";
    let good = w.lab.records[key].clone();
    let expired = of_nobody(&good).replace("\"expires\":", "\"expires\":-");
    let mut next = World::with(|_| {});
    next.lab.records.insert(key.to_owned(), expired.clone());
    next.lab.with(|core, cx| core.restore(cx, key, &expired));
    assert_eq!((next.waiting(), next.lab.records.len()), (0, 0));
    assert!(next.lab.logged(&[key, "left out"]), "{:?}", next.lab.log.0);
    for (key, bad) in [
        ("sms/ffffffffffffffff", good.clone()),
        (key, good.replace("\"tpdu\":\"", "\"tpdu\":\"0")),
        (key, good.replace("\"expires\"", "\"expire\"")),
        (key, "{".to_owned()),
        ("sms/x", good.clone()),
    ] {
        let mut next = World::with(|_| {});
        next.lab.records.insert(key.to_owned(), bad.clone());
        next.lab.with(|core, cx| core.restore(cx, key, &bad));
        let aside = format!("damaged/{key}");
        let kept = [(aside.clone(), bad.clone())];
        assert_eq!((next.waiting(), next.lab.records.clone()), (0, kept.clone().into()), "{bad}");
        assert!(next.lab.logged(&[key, "is damaged", &aside]), "{:?}", next.lab.log.0);
        // nor does the next start touch it
        let mut again = World::with(|_| {});
        again.lab.records = next.lab.records.clone();
        again.lab.with(|core, cx| core.restore(cx, &aside, &bad));
        assert_eq!((again.lab.records, again.lab.log.0), (kept.into(), Vec::new()));
    }
}

fn of_nobody(record: &str) -> String {
    record.replace("bob@ims.test", "nobody@ims.test")
}

#[test]
fn texts_and_sequence_numbers_of_users_that_are_missing_stay_in_the_file_and_are_never_overwritten() {
    let mut w = World::with(|_| {});
    w.register(ALICE, VOLTE);
    w.submitted(ALICE, 1, BOBS_NUMBER, "x");
    let (kept, sqn) = ("sms/0000000000000007", ("sqn/nobody@ims.test", "{\"sqn\":\"0000000a0000\"}"));
    let record = of_nobody(&w.lab.records["sms/0000000000000001"]);
    w.lab.records = [(kept, record.as_str()), sqn].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let mut next = restarted(&w, |_| {});
    next.lab.with(|core, cx| core.on_restored(cx));
    assert!(next.lab.logged(&["state file: 2 records", "stay in it"]), "{:?}", next.lab.log.0);
    assert!(!next.lab.logged(&["left out"]));
    next.register(ALICE, VOLTE);
    next.submitted(ALICE, 2, BOBS_NUMBER, "y");
    assert_eq!((next.waiting(), next.lab.records[kept].as_str()), (1, record.as_str()));
    assert_eq!(
        (next.lab.records[sqn.0].as_str(), next.lab.records.contains_key("sms/0000000000000008")),
        (sqn.1, true)
    );
    // a start with the right users has them all
    let right = restarted(&next, |c| c.users[1].impi = "nobody@ims.test".to_owned());
    assert_eq!(right.waiting(), 1);
}

/// The status report to Alice, who has it.
fn is_told(w: &mut World, reference: u8) {
    let report = w.expect_where(ALICE, "MESSAGE", |s| s.body[0] == 1);
    assert_eq!(super::report::status_report(&report).reference, reference);
    w.answer(ALICE, &report, 200);
    let headers = format!("In-Reply-To: {}\r\n", report.one("Call-ID"));
    let ack = up(rpdu(&report).reference, Rp::Ack { user_data: None });
    w.send_rp(ALICE, "sip:sms-centre@ims.test", &headers, &ack);
    w.sent.retain(|s| !s.text.starts_with("SIP/2.0"));
}

#[test]
fn a_status_report_needs_no_disk() {
    let refuses = || Condition::Refuses("no space left".to_owned());
    for refuses_before in [true, false] {
        let mut w = World::registered(|_| {});
        let tpdu = submit_with(4, BOBS_NUMBER, "x", |s| s.status_report = true);
        let call_id = w.send_rp(ALICE, "tel:1", "", &rp_data(4, &tpdu));
        w.expect_taken(ALICE, &call_id, 4);
        let text = w.arrives(BOB, "x");
        w.lab.disk = DiskPace::Late;
        let ack = |w: &mut World| {
            let headers = format!("In-Reply-To: {}\r\n", text.one("Call-ID"));
            let ack = up(rpdu(&text).reference, Rp::Ack { user_data: None });
            w.send_rp(BOB, "sip:sms-centre@ims.test", &headers, &ack);
        };
        if !refuses_before {
            ack(&mut w);
            w.expect_nothing();
        }
        let sent = w.lab.on_storage(refuses());
        w.sent.extend(sent);
        if refuses_before {
            ack(&mut w);
        }
        w.expect(BOB, "SIP/2.0 503");
        w.pass(Duration::from_nanos(1));
        is_told(&mut w, 4);
        w.expect_nothing();
        assert_eq!(w.waiting(), 0);
        let sent = w.lab.on_storage(Condition::Well);
        w.sent.extend(sent);
        w.lab.disk = DiskPace::AtOnce;
        let sent = w.lab.sync();
        w.sent.extend(sent);
        w.expect_nothing();
        w.quiet();
    }
}
