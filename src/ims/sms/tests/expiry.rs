//! Texts that are too old when they come, that get too old behind another, and that wait for nobody but their own phone.

use super::*;
use crate::ims::tests::DiskPace;

#[test]
fn a_text_that_is_not_to_be_kept_is_tried_once_when_it_is_on_the_disk() {
    let mut w = World::registered(|c| c.sms.expires = Duration::ZERO);
    w.lab.disk = DiskPace::Late;
    let call_id = w.submit(ALICE, 1, BOBS_NUMBER, "now");
    w.pass(Duration::from_secs(1));
    w.expect_nothing();
    let sent = w.lab.sync();
    w.sent.extend(sent);
    w.lab.disk = DiskPace::AtOnce;
    w.expect_taken(ALICE, &call_id, 1);
    w.is_delivered(BOB, "now");
    // to somebody who is not there it does not wait
    w.submitted(ALICE, 2, "+33600000003", "nobody");
    assert_eq!(w.waiting(), 0, "{:#?}", w.lines());
    w.quiet();
}

#[test]
fn a_text_gets_too_old_behind_one_that_is_under_way() {
    let mut w = World::registered(|c| c.sms.expires = Duration::from_secs(20));
    w.submitted(ALICE, 1, BOBS_NUMBER, "first");
    let first = w.arrives(BOB, "first");
    w.pass(Duration::from_secs(10));
    w.submitted(ALICE, 2, BOBS_NUMBER, "second");
    w.pass(Duration::from_secs(25));
    assert_eq!(w.waiting(), 1, "the one under way may still be reported on");
    w.report(BOB, &first, |reference| up(reference, Rp::Ack { user_data: None }));
    assert_eq!(w.waiting(), 0);
    w.quiet();
}

#[test]
fn a_text_that_nobody_is_there_for_does_not_hold_up_those_that_go_another_way() {
    let shut = "+33600000022";
    let mut w = World::registered(|c| {
        let mut impu = Impu::new(format!("tel:{shut}"));
        impu.sms = false;
        c.users[1].impus.push(impu);
    });
    w.submitted(ALICE, 1, shut, "waits");
    w.expect_nothing();
    for (reference, what) in [(2, "goes"), (3, "goes too")] {
        w.submitted(ALICE, reference, BOBS_NUMBER, what);
        w.is_delivered(BOB, what);
    }
    assert_eq!(w.waiting(), 1);
    w.quiet();
}
