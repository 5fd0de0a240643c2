//! A 200 to a REGISTER waits for the disk, and what follows from it follows it.

use super::phone::{Phone, Secret};
use super::tree::Node;
use super::watcher::{Watcher, contacts, one, open_config, registered};
use super::{DiskPace, Lab, Sent};
use crate::base::time::Duration;
use crate::base::trace::Level;
use crate::ims::call::{Callee, Order};
use crate::ims::disk::Condition;
use crate::ims::limits::{MAX_ACKNOWLEDGEMENTS, REGISTER_PATIENCE, SHUTDOWN_PATIENCE};
use crate::ims::registrar::Gone;

/// A phone that has sent its REGISTER to a core whose disk has not stored the binding.
fn waiting() -> (Lab, Phone, String) {
    let mut lab = Lab::new(open_config());
    lab.disk = DiskPace::Late;
    let mut phone = Phone::alice();
    let text = phone.register_text("Expires: 600\r\n");
    assert_eq!(lab.on_sip(phone.flow(), &text), []);
    (lab, phone, text)
}

fn statuses(sent: &[Sent]) -> Vec<u16> {
    sent.iter().map(Sent::status).collect()
}

/// The core calls the phone.
fn call(lab: &mut Lab) -> (Result<(u32, String), String>, Vec<Sent>) {
    let callee = Callee::Any("sip:alice@ims.test".to_owned());
    let order = Order { callee, caller: None, media: None, duration: None, sos: false };
    lab.with(|core, cx| core.call(cx, order))
}

#[test]
fn a_phone_hears_that_it_is_registered_when_that_is_on_the_disk() {
    let (mut lab, phone, text) = waiting();
    assert_eq!(lab.on_sip(phone.flow(), &text), [], "a repetition changes nothing");
    assert_eq!(call(&mut lab), (Err("the callee is not registered".to_owned()), Vec::new()));
    assert_eq!(statuses(&lab.sync()), [200]);
    assert_eq!(statuses(&lab.on_sip(phone.flow(), &text)), [200], "the same again");
    let (made, _) = call(&mut lab);
    assert!(made.is_ok(), "{made:?}");
}

#[test]
fn who_refreshes_is_called_meanwhile() {
    let (mut lab, mut phone, _) = waiting();
    lab.sync();
    let text = phone.register_text("Expires: 600\r\n");
    assert_eq!(lab.on_sip(phone.flow(), text), []);
    let (made, _) = call(&mut lab);
    assert!(made.is_ok(), "{made:?}");
    assert_eq!(lab.sync().iter().filter(|s| s.text.starts_with("SIP/2.0 200")).count(), 1);
}

#[test]
fn who_goes_hears_it_first_and_what_follows_then() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let mut watcher = Watcher::subscribed(&mut lab, &phone, 600_000);
    lab.disk = DiskPace::Late;
    let text = phone.register_text("Expires: 0\r\n");
    assert_eq!(lab.on_sip(phone.flow(), text), []);
    assert!(lab.records.keys().all(|key| !key.starts_with("binding/")), "the deletion is on its way");
    assert!(call(&mut lab).0.is_err());
    let sent = lab.sync();
    assert_eq!((sent.len(), sent[0].status()), (2, 200));
    watcher.read(&sent[1]);
    assert_eq!(sent[1].one("Subscription-State"), "terminated;reason=timeout");
}

#[test]
fn who_asks_only_waits_for_nothing() {
    let (mut lab, mut phone, _) = waiting();
    lab.sync();
    phone.contact.clear();
    assert_eq!(phone.ask(&mut lab, "").status(), 200);
}

#[test]
fn a_disk_that_refuses_keeps_no_phone_from_registering() {
    let (mut lab, mut phone, _) = waiting();
    assert_eq!(statuses(&lab.on_storage(Condition::Refuses("no space left".to_owned()))), [200]);
    assert!(lab.logged(&["no space left", "registrations do not outlive a restart"]));
    assert_eq!(phone.ask(&mut lab, "Expires: 600\r\n").status(), 200, "nor the next one");
    lab.on_storage(Condition::Well);
    lab.disk = DiskPace::Late;
    let text = phone.register_text("Expires: 600\r\n");
    assert_eq!(lab.on_sip(phone.flow(), text), []);
    assert_eq!(statuses(&lab.sync()), [200]);
}

#[test]
fn a_slow_disk_is_waited_for_a_while() {
    let (mut lab, _, _) = waiting();
    assert_eq!(lab.pass(REGISTER_PATIENCE - Duration::from_nanos(1)), []);
    assert_eq!(statuses(&lab.pass(Duration::from_nanos(1))), [200]);
    assert!(lab.lines(Level::Warn).iter().any(|line| line.contains("answered before the disk has it")));
    assert!(call(&mut lab).0.is_ok());
    assert!(lab.sync().iter().all(|s| !s.text.starts_with("SIP/2.0")), "once");
}

#[test]
fn the_end_of_the_program_stores_what_it_acknowledges() {
    for is_slow in [false, true] {
        let (mut lab, _, _) = waiting();
        let (_, sent) = lab.with(|core, cx| core.shutdown(cx));
        assert_eq!((sent, lab.exited), (vec![], false));
        let sent = if is_slow { lab.pass(SHUTDOWN_PATIENCE) } else { lab.sync() };
        assert_eq!((statuses(&sent), lab.exited), (vec![200], true));
    }
}

#[test]
fn what_was_taken_away_before_its_phone_knew_of_it_is_not_acknowledged() {
    let (mut lab, _, _) = waiting();
    let gone = Gone::Deactivated;
    let (count, sent) = lab.with(|core, cx| core.unregister(cx, "sip:alice@ims.test", gone));
    assert_eq!((count, sent), (Ok(1), vec![]));
    assert_eq!(statuses(&lab.sync()), [500]);
}

#[test]
fn who_listens_is_told_of_others_when_they_know_themselves() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let mut tablet =
        Phone::new("alice@ims.test", "sip:alice@ims.test", "10.0.0.9:5060", Secret::Password("secret"));
    let uris = |document: &Node| contacts(document, "sip:alice@ims.test").len();
    let mut watcher = Watcher::subscribed(&mut lab, &phone, 600_000);
    lab.disk = DiskPace::Late;
    // one that comes
    let text = tablet.register_text("Expires: 600\r\n");
    assert_eq!(lab.on_sip(tablet.flow(), text), []);
    let (_, notify) = watcher.subscribe(&mut lab, "Event: reg\r\nExpires: 600000\r\n");
    assert_eq!(uris(&watcher.read(&notify)), 1);
    watcher.answer(&mut lab, &notify, 200);
    lab.sync();
    let notify = one(lab.pass(Duration::from_secs(5)));
    assert_eq!(uris(&watcher.read(&notify)), 2);
    watcher.answer(&mut lab, &notify, 200);
    // and goes
    lab.pass(Duration::from_secs(10));
    let text = tablet.register_text("Expires: 0\r\n");
    assert_eq!(lab.on_sip(tablet.flow(), text), []);
    let (_, notify) = watcher.subscribe(&mut lab, "Event: reg\r\nExpires: 600000\r\n");
    assert_eq!(uris(&watcher.read(&notify)), 1);
    watcher.answer(&mut lab, &notify, 200);
    let mut sent = lab.sync();
    sent.extend(lab.pass(Duration::from_secs(5)));
    let (answers, notifies): (Vec<_>, Vec<_>) = sent.into_iter().partition(|s| s.text.starts_with("SIP/2.0"));
    assert_eq!(statuses(&answers), [200]);
    let document = watcher.read(&one(notifies));
    let end = ("sip:tablet@10.0.0.9:5060", "terminated", "unregistered");
    let told = contacts(&document, "sip:alice@ims.test");
    assert!(
        told.iter()
            .any(|(uri, state, event)| (uri.contains("10.0.0.9"), &state[..], &event[..])
                == (true, end.1, end.2)),
        "{told:?}"
    );
}

#[test]
fn no_more_wait_than_the_limit_says() {
    let (mut lab, mut phone, _) = waiting();
    for n in 1..=MAX_ACKNOWLEDGEMENTS {
        let text = phone.register_text("Expires: 600\r\n");
        assert_eq!(lab.on_sip(phone.flow(), text).len(), usize::from(n == MAX_ACKNOWLEDGEMENTS), "{n}");
    }
}
