use super::report::name;
use super::*;
use crate::proto::sip::sec_agree::{Encryption, Integrity, SaCounters};

const USER: UserId = UserId(7);

fn at(millis: i64) -> UnixTime {
    UnixTime::from_micros(1_608_093_067_000_000 + millis * 1000)
}

/// Long after the attempt.
fn later() -> UnixTime {
    at(60_000)
}

fn packet(to_port: u16) -> Packet {
    Packet {
        from: "10.0.0.1:31112".parse().unwrap(),
        to: SocketAddr::new("10.0.0.254".parse().unwrap(), to_port),
        transport: Transport::Udp,
        told: Some("10.0.0.1".parse().unwrap()),
    }
}

fn offer() -> Offer {
    Offer {
        set: 5,
        suite: Suite::new(Integrity::HmacSha1_96, Encryption::AesCbc).unwrap(),
        ue: Parameters { spi_c: 0x1001, spi_s: 0x1002, port_c: 31_112, port_s: 31_113 },
        own: Parameters { spi_c: 0x2001, spi_s: 0x2002, port_c: 5100, port_s: 6100 },
    }
}

/// A REGISTER with Security-Client has been challenged.
fn challenged() -> Attempts {
    let mut attempts = Attempts::default();
    attempts.seen(USER, at(0), packet(5060), false);
    attempts.offered(USER, at(1), offer());
    attempts.installed(USER, at(2));
    attempts.asked(USER, "AKAv1-MD5");
    attempts.challenged(USER, at(3));
    attempts
}

/// A REGISTER without IPsec has been challenged.
fn challenged_plainly(algorithm: &'static str) -> Attempts {
    let mut attempts = Attempts::default();
    attempts.seen(USER, at(0), packet(5060), false);
    attempts.plain(USER);
    attempts.asked(USER, algorithm);
    attempts.challenged(USER, at(3));
    attempts
}

/// Counters of the four associations, of which the first brings the phone's requests.
fn counters(packets: u64, integrity_failed: u32, replayed: u32) -> Live {
    let from_phone = SaCounters { packets, octets: 400 * packets, replayed, integrity_failed };
    let to_phone = SaCounters { packets: 9, ..SaCounters::default() };
    let all = [from_phone, to_phone, to_phone, SaCounters::default()];
    Live { counters: Some(all), unknown_spi: Some(0) }
}

fn states(report: &Report) -> Vec<(&'static str, State)> {
    report.steps.iter().map(|step| (step.name, step.state)).collect()
}

#[track_caller]
fn stopped_at(attempts: &Attempts, live: Live, step: &str, cause: &str, cure: &str) -> Report {
    let report = report(attempts.of(USER), &[], live, later());
    let trouble = report.trouble.as_ref().expect("a trouble");
    assert_eq!(trouble.step, step, "{trouble:?}");
    assert!(trouble.cause.contains(cause), "{}", trouble.cause);
    assert!(trouble.cure.contains(cure), "{}", trouble.cure);
    let done = |s: &&StepView| matches!(s.state, State::Failed | State::NotYet);
    if !report.steps.is_empty() {
        assert_eq!(report.steps.iter().find(done).map(|s| s.name), Some(trouble.step));
    }
    report
}

#[test]
fn a_registration_through_ipsec_takes_every_step() {
    let mut attempts = challenged();
    attempts.seen(USER, at(300), packet(6100), true);
    attempts.verified(USER, at(301));
    attempts.proven(USER, at(302), "AKAv1-MD5");
    attempts.bound(USER, at(303), 0x1f, Duration::from_secs(3600));
    let report = report(attempts.of(USER), &[], counters(1, 0, 0), later());
    assert!(states(&report).iter().all(|(_, state)| *state == State::Done), "{report:?}");
    assert_eq!(report.trouble, None);
    let texts: Vec<String> = report.steps.iter().map(|s| format!("{}: {}", s.name, s.text)).collect();
    assert_eq!(
        texts,
        [
            "REGISTER seen: UDP from 10.0.0.1:31112 to 10.0.0.254:5060",
            "Parsed: ",
            "User known: ",
            "IPsec agreed: aes-cbc with hmac-sha-1-96",
            "In the kernel: phone ports 31112, 31113 SPIs 0x00001001, 0x00001002; here ports 5100, 6100 SPIs 0x00002001, 0x00002002",
            "401 sent: AKAv1-MD5",
            "ESP seen: 1 packet",
            "Integrity right: ",
            "Answer seen: UDP from 10.0.0.1:31112 to 10.0.0.254:6100",
            "Agreement same: ",
            "Digest right: AKAv1-MD5",
            "Bound: binding 001f for 3600 s",
        ]
    );
    assert_eq!(report.steps.last().unwrap().at, Some(at(303)));
}

#[test]
fn without_ipsec_its_steps_are_not_needed() {
    let mut attempts = challenged_plainly("MD5");
    attempts.seen(USER, at(300), packet(5060), true);
    attempts.proven(USER, at(302), "MD5");
    attempts.bound(USER, at(303), 1, Duration::ZERO);
    let report = report(attempts.of(USER), &[], Live::default(), later());
    assert_eq!((&report.trouble, report.steps.last().map(|s| &*s.text)), (&None, Some("de-registered")));
    let needless: Vec<_> = states(&report).into_iter().filter(|(_, s)| *s == State::Needless).collect();
    let names = [name::AGREEMENT, name::ASSOCIATIONS, name::VERIFY];
    assert_eq!(needless, names.map(|name| (name, State::Needless)));
    assert!(report.steps.iter().all(|s| s.name != name::ESP));
}

#[test]
fn a_refresh_that_is_not_challenged_leaves_nothing_open() {
    let mut attempts = Attempts::default();
    attempts.seen(USER, at(0), packet(6100), false);
    attempts.bound(USER, at(3), 1, Duration::from_secs(60));
    let report = report(attempts.of(USER), &[], Live::default(), later());
    assert_eq!(report.trouble, None);
    assert!(states(&report).iter().all(|(_, state)| matches!(state, State::Done | State::Needless)));
}

#[test]
fn nobody_is_told_of_a_trouble_while_the_phone_may_still_answer() {
    let attempts = challenged();
    assert_eq!(report(attempts.of(USER), &[], counters(0, 0, 0), at(2000)).trouble, None);
    assert!(report(attempts.of(USER), &[], counters(0, 0, 0), at(20_000)).trouble.is_some());
}

#[test]
fn a_phone_that_never_came_is_looked_for_before_the_sip_port() {
    let report = report(None, &[], Live::default(), later());
    let trouble = report.trouble.unwrap();
    assert_eq!((report.steps.len(), trouble.step), (0, name::SEEN));
    assert!(trouble.cause.contains("P-CSCF") && trouble.cure.contains("APN"), "{trouble:?}");
}

#[test]
fn silence_after_the_401_means_the_keys_or_the_way() {
    let report = stopped_at(&challenged(), counters(0, 0, 0), name::ESP, "K, OP or OPc", "tcpdump esp");
    assert!(!report.trouble.unwrap().cause.contains("no association"));
    let unknown = Live { unknown_spi: Some(4), ..counters(0, 0, 0) };
    stopped_at(
        &challenged(),
        unknown,
        name::ESP,
        "4 ESP packets have come for no association",
        "K and op/opc",
    );
    // what was counted before the set went is as good
    let mut attempts = challenged();
    attempts.ended(USER, 5, &counters(0, 3, 0).counters.unwrap());
    stopped_at(&attempts, Live::default(), name::INTEGRITY, "wrong check value", "isim_auth");
    attempts.ended(USER, 6, &counters(2, 0, 0).counters.unwrap());
    stopped_at(&attempts, Live::default(), name::INTEGRITY, "wrong check value", "isim_auth");
}

#[test]
fn a_phone_that_begins_anew_again_and_again_got_the_401() {
    let mut attempts = challenged();
    for _ in 0..2 {
        attempts.seen(USER, at(5000), packet(5060), false);
        attempts.offered(USER, at(5000), offer());
        attempts.installed(USER, at(5000));
        attempts.asked(USER, "AKAv1-MD5");
        attempts.challenged(USER, at(5000));
    }
    let report = stopped_at(&attempts, counters(0, 0, 0), name::ESP, "begun anew before", "K and op/opc");
    assert_eq!(report.steps[5].text, "AKAv1-MD5, after 2 that nothing came back to");
}

#[test]
fn an_address_translation_is_named() {
    let mut attempts = Attempts::default();
    let told = Some("192.168.1.20".parse().unwrap());
    attempts.seen(USER, at(0), Packet { told, ..packet(5060) }, false);
    attempts.offered(USER, at(1), offer());
    attempts.installed(USER, at(2));
    attempts.asked(USER, "AKAv1-MD5");
    attempts.challenged(USER, at(3));
    let cause = "calls itself 192.168.1.20 and comes from 10.0.0.1";
    stopped_at(&attempts, counters(0, 0, 0), name::ESP, cause, "MASQUERADE");
}

#[test]
fn esp_that_comes_tells_keys_from_the_way() {
    let attempts = challenged();
    stopped_at(&attempts, counters(0, 3, 0), name::INTEGRITY, "keys are others than ours", "sim_algo");
    stopped_at(&attempts, counters(0, 0, 2), name::INTEGRITY, "a second time or too late", "airplane");
    stopped_at(&attempts, counters(4, 0, 0), name::ANSWER, "right keys, and no REGISTER", "--wireshark");
    let report = stopped_at(&attempts, counters(4, 1, 0), name::ANSWER, "right keys", "MTU");
    assert_eq!(
        report.steps[7].text,
        "but also 1 packet with a wrong check value, 0 packets repeated or too late"
    );
}

#[test]
fn silence_without_ipsec_is_the_clients_password_or_the_sims_keys() {
    let none = Live::default();
    stopped_at(&challenged_plainly("AKAv1-MD5"), none, name::ANSWER, "SIM rejects the challenge", "op/opc");
    stopped_at(&challenged_plainly("MD5"), none, name::ANSWER, "no password", "pwd");
}

#[test]
fn each_step_that_fails_says_what_was_wrong_and_what_to_do() {
    for (step, shown, cure) in [
        (Step::Agreement, name::AGREEMENT, "ipsec_aalg_list"),
        (Step::Associations, name::ASSOCIATIONS, "CAP_NET_ADMIN"),
        (Step::Challenge, name::CHALLENGE, "log"),
    ] {
        let mut attempts = Attempts::default();
        attempts.seen(USER, at(0), packet(5060), false);
        if step != Step::Agreement {
            attempts.offered(USER, at(1), offer());
        }
        if step == Step::Challenge {
            attempts.installed(USER, at(1));
        }
        attempts.failed(USER, at(2), step, "the kernel says no");
        stopped_at(&attempts, Live::default(), shown, "the kernel says no", cure);
    }
    for (step, shown, cure) in [
        (Step::Verify, name::VERIFY, "SIP ALG"),
        (Step::Digest, name::DIGEST, "ue_db"),
        (Step::Bound, name::BOUND, "log"),
    ] {
        let mut attempts = challenged();
        attempts.seen(USER, at(300), packet(6100), true);
        if step != Step::Verify {
            attempts.verified(USER, at(301));
        }
        if step == Step::Bound {
            attempts.proven(USER, at(301), "AKAv1-MD5");
        }
        attempts.failed(USER, at(302), step, "spi-c is 1, came as 2");
        stopped_at(&attempts, counters(1, 0, 0), shown, "spi-c is 1, came as 2", cure);
    }
}

#[test]
fn a_second_challenge_keeps_what_was_wrong_with_the_first() {
    let mut attempts = challenged_plainly("AKAv1-MD5");
    attempts.seen(USER, at(300), packet(5060), true);
    attempts.failed(USER, at(301), Step::Digest, "the SIM asks for another SQN");
    attempts.asked(USER, "AKAv1-MD5");
    attempts.challenged(USER, at(302));
    let told = report(attempts.of(USER), &[], Live::default(), at(400));
    assert_eq!(told.trouble, None);
    let text = "AKAv1-MD5, once more: the SIM asks for another SQN";
    assert_eq!((&*told.steps[5].text, told.steps[6].state), (text, State::NotYet));
    attempts.seen(USER, at(600), packet(5060), true);
    attempts.proven(USER, at(601), "AKAv1-MD5");
    attempts.bound(USER, at(602), 1, Duration::from_secs(60));
    assert_eq!(report(attempts.of(USER), &[], Live::default(), later()).trouble, None);
}

#[test]
fn little_is_kept_of_each_user() {
    assert!(size_of::<Attempt>() <= 384, "{} octets", size_of::<Attempt>());
    let mut attempts = Attempts::default();
    for user in 0..100 {
        attempts.seen(UserId(user), at(0), packet(5060), false);
        attempts.seen(UserId(user), at(0), packet(5060), true);
    }
    assert_eq!(attempts.of_user.len(), 100);
    // nothing is noted of a user whom nobody saw
    attempts.proven(UserId(1000), at(0), "MD5");
    assert!(attempts.of(UserId(1000)).is_none());
}

#[test]
fn long_words_are_cut_between_characters() {
    let mut attempts = Attempts::default();
    let long = format!("x{}", "é".repeat(MAX_WORDS));
    for _ in 0..=MAX_MISNAMED {
        attempts.misnamed(&long);
    }
    let kept = attempts.misnamed_words();
    assert_eq!((kept.len(), kept[0].len(), kept[0].chars().last()), (MAX_MISNAMED, MAX_WORDS - 1, Some('é')));
}
