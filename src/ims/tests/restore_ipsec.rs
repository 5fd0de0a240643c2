//! What survives a restart of a phone behind IPsec: its set with SPIs, ports, algorithms and keys, and the binding that it carries.

use super::ipsec::{Guarded, asked, install, lab, lab_of, remove, stages, taken};
use super::phone::Phone;
use super::restore::restored_into;
use super::{Lab, config};
use crate::base::time::Duration;
use crate::base::trace::Level;
use crate::ims::security::Stage;
use crate::ims::security::limits::{NUMBERS_AHEAD, NUMBERS_AT_END};
use crate::proto::flow::{Flow, LocalId};
use crate::proto::outbox::Output;
use crate::proto::sip::sec_agree::{Restored, SaFailure, SaNumbers, SaSet, SetNumbers};

type Records = std::collections::BTreeMap<String, String>;

const SECOND: Duration = Duration::from_secs(1);

/// The sets that the kernel is to have again, with their numbers.
fn wanted(lab: &mut Lab) -> Vec<(Box<SaSet>, SetNumbers)> {
    let restores = taken(lab).into_iter().filter_map(|output| match output {
        Output::RestoreSas { set, numbers } => Some((set, numbers)),
        _ => None,
    });
    restores.collect()
}

/// A phone that is registered, and the set as the kernel was told of it.
fn registered() -> (Lab, Guarded, Box<SaSet>) {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let text = bob.phone.register_text(&bob.offer());
    lab.on_sip(bob.phone.flow(), text);
    let set = asked(&mut lab);
    let sent = lab.with(|core, cx| core.on_sas_installed(cx, set.id, Ok(()))).1;
    bob.agreed = sent[0].one("Security-Server").to_owned();
    let headers = bob.offer() + &bob.verify();
    assert_eq!(bob.answer(&mut lab, &sent[0], &headers).status(), 200);
    taken(&mut lab);
    (lab, bob, set)
}

#[test]
fn a_restarted_core_asks_the_kernel_for_the_same_set_and_reaches_the_phone_through_it() {
    let (old, mut bob, before) = registered();
    let mut lab = restored_into(lab(), &old, SECOND * 100);
    let wanted = wanted(&mut lab);
    let [(set, _)] = &wanted[..] else { panic!("{wanted:?}") };
    let parts = |set: &SaSet| (set.reqid, set.suite, set.keys.clone(), set.associations);
    assert_eq!(parts(set), parts(&before));
    // for what is left of the registration, 30 s, and 60 s in the kernel
    assert_eq!(set.lifetime.as_secs(), 3600 - 100 + 30 + 60);
    lab.with(|core, cx| core.on_sas_restored(cx, set.id, Ok(Restored::TakenOver)));
    assert_eq!(stages(&lab), [Stage::Active]);
    let bindings = |lab: &Lab| {
        let mut records = lab.records.clone();
        records.retain(|key, _| key.starts_with("binding/"));
        records
    };
    assert_eq!(bindings(&lab), bindings(&old));

    // a call to the phone leaves through the set
    let mut alice = Phone::alice();
    assert_eq!(alice.register(&mut lab, "").status(), 200);
    let text = alice.request("INVITE", "tel:0600000002", "tel:0600000002", "Contact: <sip:a@10.0.0.1>\r\n");
    let sent = lab.on_sip(alice.flow(), text);
    let invite = sent.iter().find(|s| s.text.starts_with("INVITE")).expect("an INVITE to bob");
    assert_eq!(invite.flow, Flow::udp(LocalId(2), "10.0.0.2:31113".parse().unwrap()));

    // and its refresh needs no challenge
    taken(&mut lab);
    let sent = bob.refresh(&mut lab, "");
    assert_eq!((sent.len(), sent[0].status()), (1, 200));
    assert!(matches!(taken(&mut lab)[..], [Output::ExtendSas { id, .. }] if id == set.id));
    // the end of the registration ends the set, and nothing of it is left in the file
    lab.pass(SECOND * 3631);
    remove(&mut lab, super::ipsec::NONE);
    let left: Vec<&String> = lab.records.keys().filter(|key| !key.starts_with("sqn/")).collect();
    assert_eq!((lab.core.load().sets, left), (0, Vec::<&String>::new()));
}

#[test]
fn numbers_for_the_kernel_and_spis_of_restored_sets_are_not_given_to_others() {
    let (old, _, before) = registered();
    let mut lab = restored_into(lab(), &old, SECOND);
    wanted(&mut lab);
    let mut other = Guarded::new();
    (other.client, other.server, other.spi) = (31200, 31201, 9000);
    let text = other.phone.register_text(&other.offer());
    lab.on_sip(other.phone.flow(), text);
    let new = asked(&mut lab);
    assert_ne!(new.reqid, before.reqid);
    let ends = |set: &SaSet| set.associations.map(|a| (a.from, a.to));
    assert!(ends(&new).iter().all(|end| !ends(&before).contains(end)));
}

#[test]
fn a_set_whose_registration_has_ended_is_forgotten_with_it() {
    let (old, ..) = registered();
    let mut lab = restored_into(lab(), &old, SECOND * 3601);
    assert!(wanted(&mut lab).is_empty());
    assert_eq!((lab.core.load().sets, lab.core.load().bindings), (0, 0));
    assert_eq!(lab.records.keys().filter(|key| !key.starts_with("sqn/")).count(), 0);
}

#[test]
fn half_made_and_old_sets_are_not_remembered() {
    let mut config = config();
    config.users[1].impus.iter_mut().for_each(|impu| impu.reauthenticate = true);
    let mut lab = lab_of(config);
    let mut bob = Guarded::new();
    bob.challenged(&mut lab);
    assert!(!lab.records.keys().any(|key| key.starts_with("association/")));
    assert_eq!(bob.register(&mut lab).status(), 200);
    let first: Vec<String> =
        lab.records.keys().filter(|key| key.starts_with("association/")).cloned().collect();
    assert_eq!(first.len(), 1);
    (bob.client, bob.spi) = (31114, 8000);
    let headers = bob.offer();
    assert_eq!(bob.refresh(&mut lab, &headers), []);
    let challenge = install(&mut lab).remove(0);
    bob.agreed = challenge.one("Security-Server").to_owned();
    let headers = bob.offer() + &bob.verify();
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 200);
    assert!(stages(&lab).contains(&Stage::Old) && stages(&lab).contains(&Stage::Active));
    let second: Vec<&String> = lab.records.keys().filter(|key| key.starts_with("association/")).collect();
    assert!(second.len() == 1 && *second[0] != first[0], "{second:?}");
}

#[test]
fn a_registration_that_moves_to_another_set_outlives_a_crash_after_any_commit() {
    let mut config = config();
    config.users[1].impus.iter_mut().for_each(|impu| impu.reauthenticate = true);
    let mut lab = lab_of(config);
    let mut bob = Guarded::new();
    bob.challenged(&mut lab);
    assert_eq!(bob.register(&mut lab).status(), 200);
    lab.commits = Some(vec![lab.records.clone()]);
    (bob.client, bob.spi) = (31114, 8000);
    let headers = bob.offer();
    assert_eq!(bob.refresh(&mut lab, &headers), []);
    let challenge = install(&mut lab).remove(0);
    bob.agreed = challenge.one("Security-Server").to_owned();
    let headers = bob.offer() + &bob.verify();
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 200);
    let commits = lab.commits.clone().expect("they are wanted");
    let sets = |records: &Records| records.keys().find(|key| key.starts_with("association/")).cloned();
    assert_ne!(sets(&commits[0]), commits.last().and_then(sets), "it has moved");
    for records in commits {
        lab.records = records;
        let after = restored_into(self::lab(), &lab, SECOND);
        assert_eq!((after.core.load().sets, after.core.load().bindings), (1, 1), "{:?}", lab.records);
    }
}

#[test]
fn a_set_that_the_kernel_refuses_takes_its_binding_along() {
    let (old, ..) = registered();
    let mut lab = restored_into(lab(), &old, SECOND);
    let id = wanted(&mut lab)[0].0.id;
    let refused = SaFailure { is_taken: true, words: "it is there already".to_owned() };
    lab.with(|core, cx| core.on_sas_restored(cx, id, Err(refused)));
    assert_eq!((lab.core.load().sets, lab.core.load().bindings), (0, 0));
    assert_eq!(lab.records.keys().filter(|key| !key.starts_with("sqn/")).count(), 0);
}

#[test]
fn what_can_not_be_used_any_more_is_left_out_with_its_binding() {
    let (old, ..) = registered();
    let none = |lab: &Lab, words: &str| {
        assert_eq!((lab.core.load().sets, lab.core.load().bindings), (0, 0), "{words}");
        assert!(lab.lines(Level::Warn).iter().any(|line| line.contains(words)), "{words}: {:?}", lab.log.0);
    };
    none(&restored_into(Lab::new(config()), &old, SECOND), "there is no IPsec now");
    let mut others = config();
    others.users.remove(1);
    none(&restored_into(lab_of(others), &old, SECOND), "is no user any more");
    let key = old.records.keys().find(|key| key.starts_with("association/")).unwrap();
    for (from, to, words) in [
        ("\"alg\":\"hmac-sha-1-96\"", "\"alg\":\"hmac-md5-96\"", "the keys are no keys"),
        ("\"alg\":\"hmac-sha-1-96\"", "\"alg\":\"rot13\"", "alg is missing or malformed"),
        ("10.0.0.254", "10.0.0.253", "protected ports are not ours"),
        (",5100,", ",5990,", "protected ports are not ours"),
        ("\"own\":[", "\"own\":[[", "expected"),
        ("\"numbers\":[", "\"numbers\":[0,", "numbers is missing or malformed"),
    ] {
        let mut bad = lab();
        bad.records = old.records.clone();
        let record = bad.records.get_mut(key).unwrap();
        assert!(record.contains(from), "{record}");
        *record = record.replace(from, to);
        none(&restored_into(lab(), &bad_with_wall(bad, &old), SECOND), words);
    }
}

fn bad_with_wall(mut lab: Lab, old: &Lab) -> Lab {
    lab.wall = old.wall;
    lab
}

/// The numbers that a set goes on with after so many seconds, which may be less than none: the clock was set back.
fn after_crash(old: &Lab, secs: i64) -> (Lab, SetNumbers) {
    let mut from = lab();
    from.records = old.records.clone();
    from.wall = crate::base::time::UnixTime::from_micros(old.wall.as_micros() + secs * 1_000_000);
    let mut lab = restored_into(lab(), &from, Duration::ZERO);
    let wanted = wanted(&mut lab);
    let [(_, numbers)] = &wanted[..] else { panic!("{wanted:?}") };
    let numbers = *numbers;
    (lab, numbers)
}

/// The last numbers of what goes out; these are the second and the third association.
fn sent(numbers: &SetNumbers) -> [u32; 2] {
    [numbers[1].sent, numbers[2].sent]
}

#[test]
fn a_set_goes_on_with_numbers_that_no_run_has_used_whatever_the_clock_says() {
    let (mut old, ..) = registered();
    let mut before = [0; 2];
    for secs in [100, -3600, 0, 5] {
        let (next, numbers) = after_crash(&old, secs);
        let now = sent(&numbers);
        // what a run has written off is behind: the next one begins after all that it may have sent
        assert!(
            now.iter().zip(before).all(|(now, before)| *now >= before + NUMBERS_AHEAD),
            "{now:?} {before:?}"
        );
        (before, old) = (now, next);
    }
}

#[test]
fn what_the_kernel_has_counted_is_where_a_set_goes_on_and_what_has_come_is_not_taken_again() {
    let (mut old, mut bob, set) = registered();
    let counted = SaNumbers { sent: 70, received: 90, window: 0xffff_fffd };
    let at = |lab: &mut Lab, is_end: bool| {
        lab.with(|core, cx| core.on_sas_numbers(cx, set.id, &[counted; 4], is_end));
    };
    old.pass(SECOND * 1800);
    assert_eq!(bob.refresh(&mut old, "")[0].status(), 200);
    at(&mut old, false);
    let (_, numbers) = after_crash(&old, 1);
    assert_eq!(sent(&numbers), [70 + NUMBERS_AHEAD; 2]);
    for at in [0, 3] {
        assert_eq!(numbers[at], SaNumbers { sent: 0, ..counted }, "what comes in");
    }
    assert_eq!((numbers[1].received, numbers[2].window), (0, 0), "what goes out");
    // a clean end has the last word
    at(&mut old, true);
    let (_, numbers) = after_crash(&old, 1);
    assert_eq!(sent(&numbers), [70 + NUMBERS_AT_END; 2]);
}

#[test]
fn a_set_whose_numbers_may_be_used_up_is_not_restored() {
    let (mut old, _, set) = registered();
    let last = SaNumbers { sent: u32::MAX - 5, ..SaNumbers::default() };
    old.with(|core, cx| core.on_sas_numbers(cx, set.id, &[last; 4], false));
    let mut lab = restored_into(lab(), &old, SECOND);
    assert!(wanted(&mut lab).is_empty());
    assert_eq!((lab.core.load().sets, lab.core.load().bindings), (0, 0));
}
