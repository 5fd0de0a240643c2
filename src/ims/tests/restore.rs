//! What survives a restart: bindings with their remaining lifetime, and sequence numbers.

use super::auth::number_of;
use super::phone::Phone;
use super::{DOMAIN, Lab, config};
use crate::base::time::Duration;
use crate::base::trace::Level;
use crate::config::model::{AuthentType, User};
use crate::ims::disk::Condition;
use crate::ims::limits::{MAX_BINDINGS_PER_USER, MAX_SETTLE_STEPS};

const SECOND: Duration = Duration::from_secs(1);

fn restarted(old: &Lab, config: crate::config::model::Config, later: Duration) -> Lab {
    restored_into(Lab::new(config), old, later)
}

/// The records of `old`, so much later, in a core that has just started.
pub(super) fn restored_into(mut lab: Lab, old: &Lab, later: Duration) -> Lab {
    lab.wall = old.wall + later;
    lab.records = old.records.clone();
    for (key, value) in old.records.clone() {
        lab.with(|core, cx| core.restore(cx, &key, &value));
    }
    lab.with(|core, cx| core.on_restored(cx));
    lab
}

#[test]
fn a_binding_lives_on_for_what_is_left_of_it() {
    let mut lab = Lab::new(config());
    let mut alice = Phone::alice();
    alice.contact =
        "\"A\" <sip:a@10.0.0.1:5060>;q=0.3;video;+sip.instance=\"<urn:gsma:imei:86130905-000038-0>\"".into();
    assert_eq!(alice.register(&mut lab, "Expires: 600\r\n").status(), 200);
    let before = lab.core.user_views(lab.now)[0].bindings[0].clone();
    let mut lab = restarted(&lab, config(), SECOND * 100);
    let after = lab.core.user_views(lab.now)[0].bindings[0].clone();
    assert_eq!(after, crate::ims::view::BindingView { expires: 500, ..before });
    // its Call-ID and CSeq count on
    let mut late = Phone::alice();
    late.call_id = alice.call_id.clone();
    late.contact = alice.contact.clone();
    assert_eq!(late.register(&mut lab, "").status(), 500);
    assert_eq!(alice.register(&mut lab, "Expires: 600\r\n").all("Contact").len(), 1);
    lab.pass(SECOND * 601);
    assert!(lab.records.keys().all(|key| !key.starts_with("binding/")), "{:?}", lab.records);
}

#[test]
fn what_does_not_fit_any_more_is_left_out_and_deleted() {
    let mut lab = Lab::new(config());
    Phone::alice().register(&mut lab, "Expires: 600\r\n");
    let expired = restarted(&lab, config(), SECOND * 601);
    assert_eq!((expired.core.load().bindings, expired.records.len()), (0, 0));
    assert!(expired.logged(&["binding/", "left out", "expired"]));
    let mut others = config();
    others.users.remove(0);
    let gone = restarted(&lab, others, SECOND);
    assert!(gone.core.load().bindings == 0 && gone.logged(&["alice@ims.test is no user any more"]));
    let mut lab = Lab::new(config());
    for value in ["", "{}", "[1]", "{\"impi\":\"alice@ims.test\"}", "nonsense"] {
        lab.with(|core, cx| core.restore(cx, "binding/00000001", value));
        lab.with(|core, cx| core.restore(cx, "sqn/alice@ims.test", value));
        assert!(lab.logged(&["sqn/alice@ims.test is damaged", "set aside as damaged/sqn/alice@ims.test"]));
        assert_eq!(lab.records["damaged/sqn/alice@ims.test"], value);
        assert_eq!(lab.records.len(), 1, "{:?}", lab.records);
    }
    assert_eq!(lab.core.load().bindings, 0);
}

#[test]
fn sequence_numbers_never_go_back() {
    let mut config = config();
    config.users[1].authent_type = AuthentType::AkaV1;
    let key = "sqn/001010123456789@ims.test";
    let challenged = |lab: &mut Lab| {
        let mut phone = Phone::alice();
        phone.aor = "sip:001010123456789@ims.test".into();
        number_of(&phone.ask(lab, ""))
    };
    let mut lab = Lab::new(config.clone());
    lab.with(|core, cx| core.restore(cx, key, "{\"sqn\":\"0000000a0000\"}"));
    assert_eq!(challenged(&mut lab), 0xa_0821);
    config.users[1].sim.as_mut().expect("a SIM").sqn = 0xb0000;
    let mut raised = Lab::new(config);
    raised.with(|core, cx| core.restore(cx, key, "{\"sqn\":\"0000000a0000\"}"));
    assert_eq!(challenged(&mut raised), 0xb_0021);
}

#[test]
fn more_bindings_than_one_input_settles_end_without_another_input() {
    let mut config = config();
    let users = MAX_SETTLE_STEPS / MAX_BINDINGS_PER_USER + 1;
    let alice = config.users[0].clone();
    config.users = (0..users).map(|n| User { impi: format!("{n}@{DOMAIN}"), ..alice.clone() }).collect();
    let mut first = Lab::new(super::config());
    Phone::alice().register(&mut first, "Expires: 600\r\n");
    let record = first.records.values().next().expect("a record").clone();
    let mut lab = Lab::new(config);
    lab.wall = first.wall;
    for n in 0..users * MAX_BINDINGS_PER_USER {
        let impi = format!("\"{}@{DOMAIN}\"", n / MAX_BINDINGS_PER_USER);
        let record = record.replace("\"alice@ims.test\"", &impi).replace("sip:phone@", &format!("sip:{n}@"));
        lab.with(|core, cx| core.restore(cx, &format!("binding/{n:08x}"), &record));
    }
    assert_eq!(lab.core.load().bindings, users * MAX_BINDINGS_PER_USER);
    lab.now = lab.now + SECOND * 600;
    lab.with(|core, cx| core.tick(cx));
    assert_eq!(lab.core.load().bindings, 0);
    assert!(lab.core.next_deadline().is_some_and(|at| at <= lab.now), "some news waits");
    lab.with(|core, cx| core.tick(cx));
    assert_eq!(lab.core.next_deadline(), None);
}

#[test]
fn a_clock_that_was_set_back_does_not_make_bindings_last_for_years() {
    let mut lab = Lab::new(config());
    Phone::alice().register(&mut lab, "");
    let mut later = Lab::new(config());
    later.wall = crate::base::time::UnixTime::from_micros(0);
    for (key, value) in lab.records.clone() {
        later.with(|core, cx| core.restore(cx, &key, &value));
    }
    assert_eq!(later.core.user_views(later.now)[0].bindings[0].expires, 3600);
    later.pass(SECOND * 3601);
    assert_eq!(later.core.load().bindings, 0);
}

#[test]
fn a_number_that_was_used_but_not_stored_before_a_crash_is_not_used_again() {
    let challenged = |lab: &mut Lab| {
        let mut phone = Phone::alice();
        phone.aor = "sip:001010123456789@ims.test".into();
        number_of(&phone.ask(lab, ""))
    };
    let mut lab = Lab::new(config());
    challenged(&mut lab);
    let durable = lab.records.clone();
    // these are sent, and their records never reach the disk
    let used = (0..20).map(|_| challenged(&mut lab)).max().expect("some");
    lab.records = durable;
    let mut after = restarted(&lab, config(), SECOND);
    let restored = after.records.clone();
    let first = challenged(&mut after);
    assert!(first > used, "{first:012x} {used:012x}");
    after.records = restored;
    let mut again = restarted(&after, config(), SECOND);
    assert!(challenged(&mut again) > first, "nor after a second crash");
}

#[test]
fn a_binding_finds_its_socket_although_others_came_before_it() {
    let second = crate::config::model::SipSocket::new("10.0.1.254".parse().expect("an address"), 5060);
    let mut lab = Lab::new(config());
    Phone::alice().register(&mut lab, "");
    let mut more = config();
    more.sip.insert(0, second.clone());
    let mut moved = restarted(&lab, more, SECOND);
    let called_from = |lab: &mut Lab| {
        let mut bob = super::auth::bob();
        bob.register(lab, "");
        let text = bob.request("INVITE", "sip:alice@ims.test", "sip:alice@ims.test", "");
        let sent = lab.on_sip(bob.flow(), text);
        sent.iter().find(|s| s.text.starts_with("INVITE")).expect("a call").flow.local.0
    };
    assert_eq!((called_from(&mut lab), called_from(&mut moved)), (0, 1));
    let mut other = config();
    other.sip = vec![second];
    let gone = restarted(&lab, other, SECOND);
    assert!(gone.core.load().bindings == 0 && gone.logged(&["10.0.0.254:5060 is not configured any more"]));
}

#[test]
fn a_disk_that_refuses_is_said_once_and_once_when_it_is_well_again() {
    let mut lab = Lab::new(config());
    let refuses = |why: &str| Condition::Refuses(why.to_owned());
    lab.on_storage(Condition::Well);
    assert!(lab.log.0.is_empty());
    for why in ["No space left on device", "No space left on device", "Read-only file system"] {
        lab.on_storage(refuses(why));
    }
    assert_eq!(lab.lines(Level::Error).len(), 1);
    assert!(lab.logged(&["state file: No space left on device"]));
    lab.on_storage(Condition::Well);
    lab.on_storage(Condition::Well);
    assert_eq!(lab.lines(Level::Warn), ["state file: the disk takes records again"]);
}
