//! Sequence numbers that never serve twice: reserved on the disk before they are used, whatever the disk does and whenever the program
//! dies.

use super::auth::{bob, number_of};
use super::phone::Phone;
use super::{Lab, config};
use crate::base::time::Duration;
use crate::base::trace::Level;
use crate::config::model::Config;
use crate::crypto::sqn;
use crate::ims::disk::Condition;
use crate::ims::limits::{SQN_PER_SECOND, SQN_RESERVED};
use crate::ims::persist::read_sqn;

const SECOND: Duration = Duration::from_secs(1);
/// The key of the records of bob's SIM.
const KEY: &str = "sqn/001010123456789@ims.test";

type Records = std::collections::BTreeMap<String, String>;

/// A core with the records that a crash has left, so much later, on a disk that takes more or does not.
fn after_crash(old: &Lab, config: Config, later: Duration, refuses: bool) -> Lab {
    let found = on_disk(old);
    let mut lab = Lab::new(config);
    lab.wall = old.wall + later;
    lab.records = found.clone();
    lab.commits = Some(vec![found.clone()]);
    if refuses {
        lab.on_storage(no_space());
    }
    for (key, value) in found {
        lab.with(|core, cx| core.restore(cx, &key, &value));
    }
    lab.with(|core, cx| core.on_restored(cx));
    lab
}

fn on_disk(lab: &Lab) -> Records {
    lab.commits.as_ref().expect("it is wanted").last().cloned().unwrap_or_default()
}

fn no_space() -> Condition {
    Condition::Refuses("No space left on device".to_owned())
}

fn fresh(config: Config) -> Lab {
    let mut lab = Lab::new(config);
    lab.commits = Some(Vec::new());
    lab
}

/// The number of a challenge that is asked for without credentials, or that there is none for now.
fn drawn(lab: &mut Lab, phone: &mut Phone) -> Option<u64> {
    let answer = phone.ask(lab, "");
    (answer.status() != 503).then(|| number_of(&answer))
}

/// What the user is said to have wrong.
fn trouble(lab: &Lab) -> String {
    lab.core.user_views(lab.now)[1].last_error.clone().map_or_else(String::new, |(_, words)| words)
}

#[test]
fn a_record_is_written_for_many_challenges_and_reserves_them_before() {
    let mut lab = fresh(config());
    let mut phone = bob();
    let mut written: Vec<String> = Vec::new();
    for _ in 0..100 {
        let number = drawn(&mut lab, &mut phone).expect("a challenge");
        let record = lab.records[KEY].clone();
        let numbers = read_sqn(&record).expect("a record");
        assert!(numbers.last <= number && number <= numbers.reserved, "{number:012x} {record}");
        if written.last() != Some(&record) {
            written.push(record);
        }
    }
    assert_eq!(written.len(), 4, "{written:?}");
    let reserves = |record: &String| {
        let numbers = read_sqn(record).expect("a record");
        sqn::seq(numbers.reserved) - sqn::seq(numbers.last)
    };
    assert!(written.iter().all(|record| reserves(record) == SQN_RESERVED));
}

#[test]
fn no_number_comes_twice_whichever_commit_a_crash_follows() {
    let mut lab = fresh(config());
    let mut phone = bob();
    let mut used = drawn(&mut lab, &mut phone).expect("a challenge");
    lab.disk = super::DiskPace::Late;
    for step in 0..300 {
        // late by up to twenty challenges
        if step % 20 == 0 {
            lab.sync();
        }
        used = used.max(drawn(&mut lab, &mut phone).expect("a challenge"));
        let mut after = after_crash(&lab, config(), Duration::ZERO, false);
        let first = drawn(&mut after, &mut bob()).expect("a challenge");
        assert!(first > used, "step {step}: {first:012x} after {used:012x}");
    }
}

#[test]
fn two_runs_on_a_disk_that_refuses_from_the_start_use_different_numbers() {
    let mut lab = fresh(config());
    drawn(&mut lab, &mut bob());
    let before = on_disk(&lab);
    let mut used = 0;
    for run in 0..4 {
        lab = after_crash(&lab, config(), SECOND * 2, true);
        for _ in 0..3 {
            lab.pass(SECOND);
            let number = drawn(&mut lab, &mut bob()).expect("a challenge: phones register all the same");
            assert!(number > used, "run {run}: {number:012x} after {used:012x}");
            used = number;
        }
        assert_eq!(on_disk(&lab), before, "nothing reaches the disk");
    }
}

#[test]
fn beyond_what_is_reserved_numbers_follow_the_clock_and_that_is_said() {
    let mut lab = fresh(config());
    let mut phone = bob();
    drawn(&mut lab, &mut phone);
    let reserved = read_sqn(&on_disk(&lab)[KEY]).expect("a record").reserved;
    lab.on_storage(no_space());
    let mut used = 0;
    let mut draw = |lab: &mut Lab, most: usize| {
        let numbers = (0..most).map_while(|_| drawn(lab, &mut phone));
        numbers.inspect(|number| used = *number).count()
    };
    assert!(draw(&mut lab, 1000) >= 62, "what is reserved");
    // a minute later as many as the clock allows, at once or not
    lab.pass(SECOND * 60);
    let allowed = 60 * usize::try_from(SQN_PER_SECOND).expect("a small number");
    assert_eq!(draw(&mut lab, 1000), allowed);
    let limit = read_sqn(&on_disk(&lab)[KEY]).expect("the old record").reserved;
    assert_eq!(limit, reserved);
    assert!(
        lab.lines(Level::Warn).iter().any(|line| {
            line.contains("next sequence numbers (No space left on device): they go on by the clock")
        }),
        "{:?}",
        lab.log.0
    );
    assert!(lab.logged(&["refused with 503", "more of them are asked for than the clock allows"]));
    assert!(trouble(&lab).contains("refused with 503: the state file has not taken"), "{}", trouble(&lab));
    // who comes through the crowd registers, and what is the matter stays to be seen
    lab.pass(SECOND);
    assert_eq!(bob().register(&mut lab, "").status(), 200);
    assert!(trouble(&lab).contains("they go on by the clock"), "{}", trouble(&lab));
    // a crash now, and one after the disk was well again
    let mut after = after_crash(&lab, config(), SECOND, false);
    assert!(drawn(&mut after, &mut bob()).expect("a challenge") > used);
    lab.on_storage(Condition::Well);
    lab.sync();
    assert_eq!(bob().register(&mut lab, "").status(), 200);
    assert_eq!(trouble(&lab), "");
    let last = (0..200).filter_map(|_| drawn(&mut lab, &mut bob())).last().expect("as many as one likes");
    let mut after = after_crash(&lab, config(), Duration::ZERO, false);
    assert!(drawn(&mut after, &mut bob()).expect("a challenge") > last);
}

#[test]
fn a_record_that_was_refused_for_good_is_written_again_before_it_counts() {
    let mut lab = fresh(config());
    lab.disk = super::DiskPace::Late;
    let mut phone = bob();
    let text = phone.register_text("");
    assert_eq!(lab.on_sip(phone.flow(), text), []);
    // too much waited for the disk: this one is not tried again, and then all later ones are stored
    lab.on_storage(no_space());
    lab.records.clear();
    lab.on_storage(Condition::Well);
    lab.sync();
    assert!(on_disk(&lab).is_empty());
    let used = (0..10).filter_map(|_| drawn(&mut lab, &mut bob())).last().expect("a challenge");
    let mut after = after_crash(&lab, config(), Duration::ZERO, false);
    assert!(drawn(&mut after, &mut bob()).expect("a challenge") > used);
}

#[test]
fn copies_of_a_sim_have_their_own_numbers_reserved() {
    let mut config = config();
    config.users[1].multi_sim = true;
    let phone = |imei: &str| {
        let mut phone = bob();
        phone.contact = format!("<sip:phone@10.0.0.2:5060>;+sip.instance=\"<urn:gsma:imei:{imei}>\"");
        phone
    };
    let phones = || [phone("86130905-000038-0"), phone("35693803-564380-0")];
    let mut lab = fresh(config.clone());
    for mut phone in phones() {
        assert_eq!(phone.register(&mut lab, "").status(), 200);
    }
    lab.on_storage(no_space());
    let mut used = [0; 2];
    for (used, phone) in used.iter_mut().zip(&mut phones()) {
        *used = std::iter::from_fn(|| drawn(&mut lab, phone)).last().expect("what is reserved");
    }
    assert!(lab.logged(&["refused with 503"]));
    let mut after = after_crash(&lab, config, SECOND, true);
    after.pass(SECOND);
    for (used, phone) in used.iter().zip(&mut phones()) {
        assert!(drawn(&mut after, phone).expect("a challenge") > *used);
    }
}

#[test]
fn what_a_sim_tells_of_its_number_moves_what_is_reserved() {
    let mut lab = fresh(config());
    let first = bob().ask(&mut lab, "");
    let opc = crate::crypto::milenage::derive_opc(&super::K, &super::OP);
    let line = super::auth::with_auts(&first, 0x10_0000, &opc);
    let second = bob().ask(&mut lab, &line);
    assert_eq!(number_of(&second), 0x10_0021);
    let numbers = read_sqn(&on_disk(&lab)[KEY]).expect("a record");
    assert_eq!((numbers.last, numbers.reserved), (0x10_0021, 0x10_0821));
    let used = (0..50).filter_map(|_| drawn(&mut lab, &mut bob())).last().expect("a challenge");
    let mut after = after_crash(&lab, config(), Duration::ZERO, false);
    assert!(drawn(&mut after, &mut bob()).expect("a challenge") > used);
}

#[test]
fn a_clock_that_was_set_back_skips_what_is_reserved_and_an_age_without_a_record_is_bounded() {
    let mut lab = fresh(config());
    let used = drawn(&mut lab, &mut bob()).expect("a challenge");
    lab.wall = crate::base::time::UnixTime::from_micros(0);
    let back = drawn(&mut after_crash(&lab, config(), SECOND, false), &mut bob()).expect("a challenge");
    assert_eq!(sqn::seq(back) - sqn::seq(used), SQN_RESERVED + 1);
    lab.wall = crate::base::time::UnixTime::from_micros(i64::MAX / 2);
    let late = drawn(&mut after_crash(&lab, config(), SECOND, false), &mut bob()).expect("a challenge");
    // TS 33.102 C.2.1: the SIM takes what is less than 2^28 ahead
    assert!(sqn::seq(late) - sqn::seq(used) < 1 << 28);
}

/// Bob's record with another time, or none.
fn with_time(lab: &Lab, at: Option<i64>) -> String {
    let mut record: serde_json::Value = serde_json::from_str(&on_disk(lab)[KEY]).expect("a record");
    match at {
        Some(at) => record["at"] = at.into(),
        None => drop(record.as_object_mut().expect("an object").remove("at")),
    }
    record.to_string()
}

#[test]
fn a_start_on_a_disk_that_refuses_challenges_at_once_whenever_the_record_says_that_it_was_written() {
    let mut lab = fresh(config());
    let used = drawn(&mut lab, &mut bob()).expect("a challenge");
    let now = lab.wall.as_micros();
    // just now, long ago, by a clock that was ahead, and by a program that did not say
    for at in [Some(now), Some(now - 3_600_000_000), Some(now + 3_600_000_000), Some(i64::MAX), None] {
        let record = with_time(&lab, at);
        lab.commits.as_mut().expect("it is wanted").push([(KEY.to_owned(), record.clone())].into());
        let mut after = after_crash(&lab, config(), Duration::ZERO, true);
        let first = bob().ask(&mut after, "");
        assert_eq!(first.status(), 401, "{record}");
        assert!(number_of(&first) > used, "{record}");
        let more = std::iter::from_fn(|| drawn(&mut after, &mut bob())).take(1000).count();
        assert!(more < 64, "{record}: {more} at once");
        let refused = bob().ask(&mut after, "");
        assert_eq!((refused.status(), refused.one("Retry-After")), (503, "5"));
        after.pass(SECOND);
        let more = u64::try_from(std::iter::from_fn(|| drawn(&mut after, &mut bob())).count());
        assert_eq!(more, Ok(SQN_PER_SECOND), "{record}");
    }
}

#[test]
fn a_clock_that_is_set_back_while_the_disk_refuses_goes_on_from_there() {
    let mut lab = fresh(config());
    drawn(&mut lab, &mut bob());
    lab.on_storage(no_space());
    lab.pass(SECOND * 60);
    let mut used = std::iter::from_fn(|| drawn(&mut lab, &mut bob())).last().expect("a challenge");
    for years in 1..=3 {
        lab.wall =
            crate::base::time::UnixTime::from_micros(lab.wall.as_micros() - years * 31_536_000_000_000);
        assert_eq!(drawn(&mut lab, &mut bob()), None, "{years}: what it allowed is used");
        lab.pass(SECOND);
        let next = drawn(&mut lab, &mut bob()).expect("a challenge");
        assert!(next > used, "{years}: {next:012x} after {used:012x}");
        used = std::iter::from_fn(|| drawn(&mut lab, &mut bob())).last().unwrap_or(next);
    }
}

#[test]
fn a_copy_of_a_sim_that_is_known_now_uses_nothing_that_a_restart_gives_to_others() {
    let mut config = config();
    config.users[1].multi_sim = true;
    let mut phone = bob();
    phone.contact =
        "<sip:phone@10.0.0.2:5060>;+sip.instance=\"<urn:gsma:imei:86130905-000038-0>\"".to_owned();
    let mut lab = fresh(config.clone());
    drawn(&mut lab, &mut bob());
    // the next common record is written much later, and is on its way when the phone proves itself
    lab.disk = super::DiskPace::Late;
    lab.pass(SECOND * 3600);
    let mut known = Records::new();
    for _ in 0..40 {
        drawn(&mut lab, &mut bob());
        known = lab.records.clone();
    }
    assert_ne!(known, on_disk(&lab));
    lab.on_storage(no_space());
    assert_eq!(phone.register(&mut lab, "").status(), 200);
    let used = std::iter::from_fn(|| drawn(&mut lab, &mut phone)).last().expect("what is reserved");
    // of all that waits, the disk has taken that record when the program dies
    lab.commits = Some(vec![known]);
    let mut after = after_crash(&lab, config, Duration::ZERO, false);
    let next = drawn(&mut after, &mut phone).expect("a challenge");
    assert!(next > used, "{next:012x} after {used:012x}");
}
