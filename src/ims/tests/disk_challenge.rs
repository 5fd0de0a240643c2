//! The first challenge of a SIM waits for the disk: a crash before its record is there must not give its number once more.

use super::auth::{bob, number_of};
use super::ipsec::{Guarded, install, lab as ipsec_lab};
use super::phone::Phone;
use super::{DiskPace, Lab, Sent, config};
use crate::base::time::Duration;
use crate::base::trace::Level;
use crate::ims::disk::Condition;
use crate::ims::limits::REGISTER_PATIENCE;

/// A core whose disk is late and has nothing.
fn late() -> Lab {
    let mut config = config();
    config.users[1].auth_on_register_only = false;
    let mut lab = Lab::new(config);
    lab.disk = DiskPace::Late;
    lab
}

/// Bob's phone has asked to register.
fn waiting() -> (Lab, Phone, String) {
    let (mut lab, mut phone) = (late(), bob());
    let text = phone.register_text("");
    assert_eq!(lab.on_sip(phone.flow(), &text), []);
    (lab, phone, text)
}

fn statuses(sent: &[Sent]) -> Vec<u16> {
    sent.iter().map(Sent::status).collect()
}

#[test]
fn the_first_challenges_of_a_sim_leave_when_the_disk_has_their_numbers() {
    let (mut lab, mut phone, text) = waiting();
    assert_eq!(lab.on_sip(phone.flow(), &text), [], "a repetition");
    let again = phone.register_text("");
    assert_eq!(lab.on_sip(phone.flow(), again), [], "the record is not there yet");
    let sent = lab.sync();
    assert_eq!(statuses(&sent), [401, 401]);
    assert!(number_of(&sent[0]) < number_of(&sent[1]));
    assert_eq!(lab.on_sip(phone.flow(), &text), sent[..1], "the same again");
    // what follows is in the record
    let next = phone.ask(&mut lab, "");
    assert!(number_of(&next) > number_of(&sent[1]));
    // that which a SIM tells of its number begins a record of its own
    let opc = crate::crypto::milenage::derive_opc(&super::K, &super::OP);
    let line = super::auth::with_auts(&next, 0x10_0000, &opc);
    let text = phone.register_text(&line);
    assert_eq!(lab.on_sip(phone.flow(), text), []);
    let sent = lab.sync();
    assert_eq!((statuses(&sent), number_of(&sent[0])), (vec![401], 0x10_0021));
}

#[test]
fn who_has_no_sim_and_whose_sim_is_known_wait_for_nothing() {
    let mut lab = late();
    assert_eq!(Phone::alice().ask(&mut lab, "").status(), 401);
    let mut phone = bob();
    let first = phone.register_text("");
    lab.on_sip(phone.flow(), first);
    lab.sync();
    let mut after = late();
    let records = lab.records.clone();
    for (key, value) in &records {
        after.with(|core, cx| core.restore(cx, key, value));
    }
    assert_eq!(phone.ask(&mut after, "").status(), 401);
}

#[test]
fn a_disk_that_refuses_or_is_slow_keeps_no_phone_without_a_challenge() {
    let (mut lab, mut phone, _) = waiting();
    assert_eq!(lab.pass(REGISTER_PATIENCE - Duration::from_nanos(1)), []);
    assert_eq!(statuses(&lab.pass(Duration::from_nanos(1))), [401]);
    let words = "answered before the disk has it, for which 4 s were not enough: a crash now would use its sequence number twice";
    assert!(lab.lines(Level::Warn).iter().any(|line| line.contains(words)), "{:?}", lab.log.0);
    let text = phone.register_text("");
    assert_eq!(lab.on_sip(phone.flow(), text), []);
    assert_eq!(statuses(&lab.on_storage(Condition::Refuses("no space left".to_owned()))), [401]);
    assert_eq!(phone.ask(&mut lab, "").status(), 401, "at once");
}

#[test]
fn requests_other_than_register_wait_as_well() {
    for method in ["MESSAGE", "INVITE"] {
        let (mut lab, mut phone) = (late(), bob());
        let headers = format!("Contact: {}\r\n", phone.contact);
        let text = phone.request(method, "sip:alice@ims.test", "sip:alice@ims.test", &headers);
        assert_eq!(lab.on_sip(phone.flow(), &text), [], "{method}");
        let again = lab.on_sip(phone.flow(), &text);
        // RFC 3261 17.2.1: an INVITE has a 100 meanwhile
        assert!(again.iter().all(|sent| sent.status() == 100), "{method}: {again:?}");
        let sent = lab.sync();
        assert_eq!(statuses(&sent), [407], "{method}");
        assert_eq!(lab.on_sip(phone.flow(), &text), sent, "{method}: the same again");
    }
}

#[test]
fn a_call_that_is_given_up_while_its_challenge_waits_ends_with_that() {
    let (mut lab, mut phone) = (late(), bob());
    let headers = format!("Contact: {}\r\n", phone.contact);
    let text = phone.request("INVITE", "sip:alice@ims.test", "sip:alice@ims.test", &headers);
    assert_eq!(lab.on_sip(phone.flow(), &text), []);
    let cancel = text.replace("INVITE", "CANCEL");
    let sent = lab.on_sip(phone.flow(), cancel);
    assert!(sent.iter().any(|sent| sent.status() == 200 && sent.one("CSeq").ends_with("CANCEL")), "{sent:?}");
    assert_eq!(statuses(&lab.sync()), [407]);
}

#[test]
fn a_challenge_that_offers_ipsec_waits_for_the_disk_and_for_the_kernel() {
    for is_disk_first in [true, false] {
        let mut lab = ipsec_lab();
        lab.disk = DiskPace::Late;
        let mut guarded = Guarded::new();
        let text = guarded.phone.register_text(&guarded.offer());
        assert_eq!(lab.on_sip(guarded.phone.flow(), text), []);
        let mut steps = [install, Lab::sync];
        if is_disk_first {
            steps.reverse();
        }
        assert_eq!(steps[0](&mut lab), []);
        let sent = steps[1](&mut lab);
        assert_eq!(statuses(&sent), [401]);
        guarded.agreed = sent[0].one("Security-Server").to_owned();
        lab.disk = DiskPace::AtOnce;
        let headers = guarded.offer() + &guarded.verify();
        assert_eq!(guarded.answer(&mut lab, &sent[0], &headers).status(), 200);
    }
}
