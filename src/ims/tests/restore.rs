//! What survives a restart: bindings with their remaining lifetime, and sequence numbers.

use super::phone::Phone;
use super::{DOMAIN, Lab, config};
use crate::base::time::Duration;
use crate::config::model::{AuthentType, User};
use crate::ims::limits::{MAX_BINDINGS_PER_USER, MAX_SETTLE_STEPS};

const SECOND: Duration = Duration::from_secs(1);

fn restarted(old: &Lab, config: crate::config::model::Config, later: Duration) -> Lab {
    let mut lab = Lab::new(config);
    lab.wall = old.wall + later;
    lab.records = old.records.clone();
    for (key, value) in old.records.clone() {
        lab.with(|core, cx| core.restore(cx, &key, &value));
    }
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
        phone.ask(lab, "");
        lab.records[key].clone()
    };
    let mut lab = Lab::new(config.clone());
    lab.with(|core, cx| core.restore(cx, key, "{\"sqn\":\"0000000a0000\"}"));
    assert_eq!(challenged(&mut lab), "{\"sqn\":\"0000000a0021\"}");
    config.users[1].sim.as_mut().expect("a SIM").sqn = 0xb0000;
    let mut raised = Lab::new(config);
    raised.with(|core, cx| core.restore(cx, key, "{\"sqn\":\"0000000a0000\"}"));
    assert_eq!(challenged(&mut raised), "{\"sqn\":\"0000000b0021\"}");
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
