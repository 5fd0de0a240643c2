//! A crash after any commit: each input is one, so that what replaces what was promised is on the disk with it, and a text is there with
//! all its parts.

use super::disk::restarted_with;
use super::order::order;
use super::*;
use crate::wire::gsm::tpdu::Status;

/// How many short messages each commit left on the disk since `from`.
fn kept(w: &World, from: usize) -> Vec<usize> {
    let commits = w.lab.commits.as_ref().expect("they are wanted");
    let texts = |records: &std::collections::BTreeMap<String, String>| {
        records.keys().filter(|key| key.starts_with("sms/")).count()
    };
    commits[from..].iter().map(texts).collect()
}

fn watched() -> World {
    let mut w = World::registered(|_| {});
    w.lab.commits = Some(vec![w.lab.records.clone()]);
    w
}

#[test]
fn a_status_report_is_on_the_disk_with_the_end_of_its_text() {
    let mut w = watched();
    w.submit_reported(9, None);
    let taken = w.lab.commits.as_ref().expect("they are wanted").len() - 1;
    w.is_delivered(BOB, "x");
    let kept = kept(&w, taken);
    assert!(kept.len() > 1 && kept.iter().all(|texts| *texts == 1), "the text or the report on it: {kept:?}");
    // wherever it died, the sender is told in the end
    for records in w.lab.commits.clone().expect("they are wanted").split_off(taken) {
        let mut next = restarted_with(&w, records);
        next.register(ALICE, VOLTE);
        next.register(BOB, VOLTE);
        if next.sent.iter().any(|sent| sent.flow.remote.to_string() == BOB.addr) {
            next.is_delivered(BOB, "x");
        }
        next.expect_status(9, false, Status::RECEIVED);
        next.quiet();
    }
}

#[test]
fn a_long_text_is_on_the_disk_whole_or_not_at_all() {
    let mut w = watched();
    let parts = w.start_order(&order("carol", &"long ".repeat(100))).expect("it is taken").parts;
    assert_eq!((parts, kept(&w, 0)), (4, vec![0, 4]));
}
