//! Whole registration attempts as those see them who ask why a phone does not register.

use super::auth::{bob, with_auts};
use super::ipsec::{Guarded, NONE, asked, install, lab, lab_of, remove};
use super::phone::{Phone, Secret};
use super::{K, Lab, OP, Sent, config};
use crate::base::time::Duration;
use crate::base::trace::{Layer, Level, Record, Sink};
use crate::config::model::OperatorCode;
use crate::crypto::milenage::derive_opc;
use crate::ims::attempt::{Attempt, Live, Report, State, report};
use crate::ims::auth::policy;
use crate::proto::cx::Cx;
use crate::proto::sip::sec_agree::{Policy, SaCounters, SaFailure};

const BOB: &str = "001010123456789@ims.test";

/// The user's last attempt, a while later.
fn told(lab: &mut Lab, impi: &str, counters: Option<[SaCounters; 4]>) -> Report {
    lab.pass(Duration::from_secs(9));
    let live = Live { counters, unknown_spi: Some(0) };
    report(lab.core.attempt(impi), lab.core.misnamed(), live, lab.wall)
}

#[track_caller]
fn state(report: &Report, name: &str) -> (State, String) {
    let step = report.steps.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("{name}: {report:?}"));
    (step.state, step.text.clone())
}

/// Where it stopped, and why.
#[track_caller]
fn stopped(report: &Report, step: &str, cause: &str) {
    let trouble = report.trouble.as_ref().expect("a trouble");
    assert_eq!(trouble.step, step, "{report:?}");
    assert!(trouble.cause.contains(cause), "{}", trouble.cause);
}

/// Right ESP, and wrong ESP, that the phone sent.
fn counted(packets: u64, integrity_failed: u32) -> Option<[SaCounters; 4]> {
    let mut all = NONE;
    all[0] = SaCounters { packets, octets: 500 * packets, replayed: 0, integrity_failed };
    Some(all)
}

#[test]
fn a_phone_that_registers_through_ipsec_and_refreshes_has_no_trouble() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    assert_eq!(bob.register(&mut lab).status(), 200);
    let first = told(&mut lab, BOB, counted(1, 0));
    assert!(first.trouble.is_none() && first.steps.iter().all(|s| s.state == State::Done), "{first:?}");
    assert_eq!(first.steps.len(), 12);
    assert_eq!(state(&first, "REGISTER seen").1, "UDP from 10.0.0.2:5060 to 10.0.0.254:5060");
    assert_eq!(state(&first, "Answer seen").1, "UDP from 10.0.0.2:31112 to 10.0.0.254:6100");
    assert_eq!(state(&first, "401 sent").1, "AKAv1-MD5");
    assert!(state(&first, "In the kernel").1.starts_with("phone ports 31112, 31113 SPIs 0x00001b58"));
    assert_eq!(state(&first, "Bound").1, "binding 0001 for 3600 s");
    let set = lab.core.attempt(BOB).and_then(Attempt::set_id);
    assert_eq!(set, Some(lab.core.set_views(lab.now)[0].id));
    assert_eq!(bob.refresh(&mut lab, "")[0].status(), 200);
    let refresh = told(&mut lab, BOB, None);
    assert!(refresh.trouble.is_none(), "{refresh:?}");
    assert_eq!(state(&refresh, "401 sent").0, State::Needless);
    assert_eq!(bob.refresh(&mut lab, "Expires: 0\r\n")[0].status(), 200);
    assert_eq!(state(&told(&mut lab, BOB, None), "Bound").1, "de-registered");
}

#[test]
fn what_comes_after_the_401_tells_where_a_phone_stopped() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    bob.challenged(&mut lab);
    stopped(&told(&mut lab, BOB, Some(NONE)), "ESP seen", "no ESP came back");
    stopped(&told(&mut lab, BOB, counted(0, 2)), "Integrity right", "wrong check value");
    stopped(&told(&mut lab, BOB, counted(3, 0)), "Answer seen", "no REGISTER in it");
    // when the set has gone, what it had counted is still known
    lab.pass(Duration::from_secs(241 - 27));
    assert_eq!(remove(&mut lab, counted(0, 5).unwrap()), 1);
    stopped(&told(&mut lab, BOB, None), "Integrity right", "wrong check value");
}

#[test]
fn a_phone_behind_an_address_translation_is_told_apart() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let text = bob.phone.register_text(&bob.offer()).replace("UDP 10.0.0.2", "UDP 192.168.0.9");
    lab.on_sip(bob.phone.flow(), text);
    assert_eq!(install(&mut lab)[0].status(), 401);
    stopped(&told(&mut lab, BOB, Some(NONE)), "ESP seen", "calls itself 192.168.0.9 and comes from 10.0.0.2");
}

#[test]
fn a_kernel_that_refuses_is_named() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let text = bob.phone.register_text(&bob.offer());
    lab.on_sip(bob.phone.flow(), text);
    let under_way = report(lab.core.attempt(BOB), &[], Live::default(), lab.wall);
    assert_eq!((state(&under_way, "In the kernel").0, &under_way.trouble), (State::NotYet, &None));
    let set = asked(&mut lab);
    let failure = SaFailure { is_taken: false, words: "Protocol not supported".to_owned() };
    lab.with(|core, cx| core.on_sas_installed(cx, set.id, Err(failure)));
    stopped(&told(&mut lab, BOB, None), "In the kernel", "Protocol not supported");
}

#[test]
fn numbers_that_are_in_use_are_no_lack_of_the_machine() {
    let mut lab = lab();
    assert_eq!(Guarded::new().register(&mut lab).status(), 200);
    // started again with the numbers that it had
    let again = Guarded::new();
    let mut phone = bob();
    let text = phone.register_text(&again.offer());
    let refused = lab.on_sip(phone.flow(), text).remove(0);
    assert_eq!((refused.status(), refused.one("Retry-After")), (503, "5"));
    let report = told(&mut lab, BOB, None);
    stopped(&report, "In the kernel", "SPI 7000 is that of its registration");
    let cure = report.trouble.expect("a trouble").cure;
    assert_eq!(cure, "it may offer others, or `unregister` ends the registration");
    // which a phone does with its next attempt
    let mut next = Guarded::new();
    (next.client, next.server, next.spi) = (31114, 31115, 7002);
    assert_eq!(next.register(&mut lab).status(), 200);
}

#[test]
fn a_changed_agreement_and_an_answer_in_clear_are_named() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let challenge = bob.challenged(&mut lab);
    let headers = bob.offer() + &bob.verify().replace("port-s=6100", "port-s=6101");
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 494);
    let report = told(&mut lab, BOB, counted(1, 0));
    stopped(&report, "Agreement same", "port-s is 6100, came as 6101");
    assert_eq!(state(&report, "ESP seen").0, State::Done);

    let mut lab = self::lab();
    let mut bob = Guarded::new();
    let challenge = bob.challenged(&mut lab);
    let headers = bob.offer();
    assert_eq!(bob.phone.answer(&mut lab, &challenge, &headers).status(), 403);
    stopped(&told(&mut lab, BOB, Some(NONE)), "Answer seen", "came without IPsec");
}

#[test]
fn an_offer_that_cannot_be_met_is_named() {
    let mut config = config();
    config.users[1].ipsec = Policy::Required;
    let mut lab = lab_of(config);
    let mut phone = bob();
    assert_eq!(phone.ask(&mut lab, "").status(), 421);
    stopped(&told(&mut lab, BOB, None), "IPsec agreed", "the phone offers none");
    let mut bob = Guarded::new();
    bob.algorithms = "alg=hmac-sha-512;ealg=aes-cbc";
    let text = bob.phone.register_text(&bob.offer());
    assert_eq!(lab.on_sip(bob.phone.flow(), text)[0].status(), 494);
    stopped(&told(&mut lab, BOB, None), "IPsec agreed", "hmac-sha-512");
}

#[test]
fn a_wrong_answer_says_which_key_would_have_been_right() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let challenge = bob.challenged(&mut lab);
    bob.phone.secret = Secret::Sim(policy::sim(&super::sim(OperatorCode::Opc(OP))).unwrap());
    let headers = bob.offer() + &bob.verify();
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 403);
    stopped(&told(&mut lab, BOB, counted(1, 0)), "Digest right", "configure it as opc");
}

#[test]
fn without_ipsec_the_same_is_told() {
    let mut lab = Lab::new(config());
    let mut alice = Phone::alice();
    assert_eq!(alice.register(&mut lab, "").status(), 200);
    let report = told(&mut lab, "alice@ims.test", None);
    assert!(report.trouble.is_none() && state(&report, "Digest right").1 == "MD5", "{report:?}");
    assert_eq!(state(&report, "IPsec agreed").0, State::Needless);
    // a wrong password: asked for once more, and then refused
    alice.secret = Secret::Password("wrong");
    let again = alice.register(&mut lab, "");
    assert_eq!(again.status(), 401);
    let report = told(&mut lab, "alice@ims.test", None);
    stopped(&report, "Answer seen", "nothing came back");
    let text = state(&report, "401 sent").1;
    assert!(text.starts_with("MD5, once more: wrong password: "), "{text}");
    assert_eq!(alice.answer(&mut lab, &again, "").status(), 403);
    stopped(&told(&mut lab, "alice@ims.test", None), "Digest right", "wrong password");
    // credentials of before begin anew
    alice.secret = Secret::Password("secret");
    let old = Sent { text: again.text.replace("nonce=\"", "nonce=\"0"), ..again };
    assert_eq!(alice.answer(&mut lab, &old, "").status(), 401);
    let report = told(&mut lab, "alice@ims.test", None);
    stopped(&report, "Answer seen", "nothing came back");
    assert_eq!(state(&report, "401 sent").1, "MD5");
    // brief registrations are refused at the end
    alice.secret = Secret::Password("secret");
    assert_eq!(alice.register(&mut lab, "Expires: 1\r\n").status(), 423);
    stopped(&told(&mut lab, "alice@ims.test", None), "Bound", "refused with 423");
}

#[test]
fn a_sim_that_tells_its_sequence_number_is_no_trouble() {
    let mut lab = Lab::new(config());
    let mut phone = bob();
    let first = phone.ask(&mut lab, "");
    let line = with_auts(&first, 0x1000, &derive_opc(&K, &OP));
    let second = phone.ask(&mut lab, &line);
    assert_eq!(phone.answer(&mut lab, &second, "").status(), 200);
    let report = told(&mut lab, BOB, None);
    assert!(report.trouble.is_none(), "{report:?}");
    assert!(
        state(&report, "401 sent").1.contains("once more: the SIM told its sequence number"),
        "{report:?}"
    );
}

#[test]
fn a_sim_that_rejects_the_challenge_says_so() {
    let mut lab = Lab::new(config());
    let mut phone = bob();
    let challenge = phone.ask(&mut lab, "");
    let mut reject = |challenge: &Sent, lab: &mut Lab| {
        let full = phone.authorization(challenge, "REGISTER", "sip:ims.test");
        let (before, after) = full.split_once("response=\"").unwrap();
        let empty = format!("{before}response=\"{}", &after[32..]);
        phone.ask(lab, &empty)
    };
    let second = reject(&challenge, &mut lab);
    assert_eq!((second.status(), reject(&second, &mut lab).status()), (401, 403));
    let report = told(&mut lab, BOB, None);
    stopped(&report, "Digest right", "MAC failure");
    assert_eq!(state(&report, "Answer seen").0, State::Done);
    let cure = report.trouble.expect("a trouble").cure;
    assert!(cure.starts_with("compare K digit by digit; ") && cure.contains("isim_auth"), "{cure}");
}

/// TS 24.229 5.1.1.5.3: such an answer comes in clear, because the SIM gave no keys for anything else.
#[test]
fn a_sim_that_rejects_the_challenge_of_associations_is_not_taken_for_a_phone_without_ipsec() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let mut challenge = bob.challenged(&mut lab);
    for _ in 0..2 {
        let full = bob.phone.authorization(&challenge, "REGISTER", "sip:ims.test");
        let (before, after) = full.split_once("response=\"").unwrap();
        let silent = format!("{before}response=\"{}{}", &after[32..], bob.offer());
        let text = bob.phone.register_text(&silent);
        let mut sent = lab.on_sip(bob.phone.flow(), text);
        if sent.is_empty() {
            sent = install(&mut lab);
        }
        challenge = sent.remove(0);
    }
    assert_eq!(challenge.status(), 403);
    let report = told(&mut lab, BOB, Some(NONE));
    stopped(&report, "Digest right", "MAC failure");
    assert_eq!(
        (state(&report, "Answer seen").0, state(&report, "ESP seen").0),
        (State::Done, State::Needless)
    );
    let cure = report.trouble.expect("a trouble").cure;
    assert!(cure.starts_with("compare K digit by digit"), "{cure}");
}

#[test]
fn who_never_came_may_have_come_under_another_name() {
    let mut lab = Lab::new(config());
    stopped(&told(&mut lab, BOB, None), "REGISTER seen", "no REGISTER of this user");
    for n in 0..6 {
        let aor = format!("sip:00101012345678{n}x@ims.test");
        let mut stranger = Phone::new("", &aor, "10.0.0.7:5060", Secret::Password(""));
        assert_eq!(stranger.ask(&mut lab, "").status(), 404);
    }
    assert_eq!(lab.core.misnamed().len(), 4);
    let report = told(&mut lab, BOB, None);
    stopped(&report, "REGISTER seen", "001010123456785x@ims.test is not in ue_db");
    assert!(lab.core.attempt(BOB).is_none());
    // what nobody is told of any more costs nothing either
    for n in 0..100 {
        let aor = format!("sip:flood{n:02}@ims.test");
        Phone::new("", &aor, "10.0.0.7:5060", Secret::Password("")).ask(&mut lab, "");
    }
    assert!(lab.core.misnamed().iter().all(|words| !words.contains("flood99")), "{:?}", lab.core.misnamed());
}

/// A log that wants what happens to security associations, and perhaps keys.
struct Log {
    keys: bool,
    lines: Vec<String>,
}

impl Sink for Log {
    fn wants(&self, layer: Layer, level: Level) -> bool {
        layer == Layer::Ipsec && level <= Level::Info
    }
    fn record(&mut self, record: &Record<'_>) {
        self.lines.push(record.text.to_string());
    }
    fn shows_keys(&self, layer: Layer) -> bool {
        self.keys && layer == Layer::Ipsec
    }
}

#[test]
fn the_log_names_ports_spis_and_algorithms_and_keys_where_it_is_asked_to() {
    for keys in [false, true] {
        let mut lab = lab();
        let mut bob = Guarded::new();
        let text = bob.phone.register_text(&bob.offer());
        lab.on_sip(bob.phone.flow(), text);
        let set = asked(&mut lab);
        let mut log = Log { keys, lines: Vec::new() };
        let Lab { core, now, wall, rng, out, .. } = &mut lab;
        let mut cx = Cx { now: *now, wall: *wall, rng, out, sink: &mut log };
        core.on_sas_installed(&mut cx, set.id, Ok(()));
        let [line] = &log.lines[..] else { panic!("{:?}", log.lines) };
        let start = format!(
            "{BOB}: offered UE 10.0.0.2 (port-c 31112 spi-c 0x00001b58, port-s 31113 spi-s 0x00001b59), P-CSCF"
        );
        assert!(line.starts_with(&start), "{line}");
        assert!(line.contains(", alg hmac-sha-1-96, ealg aes-cbc, 240 s"), "{line}");
        assert_eq!(line.contains("key 0x"), keys, "{line}");
    }
}
