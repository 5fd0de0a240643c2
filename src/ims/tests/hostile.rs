//! Floods, replays and spoofed requests: what they cost others, and that a phone with the right keys still gets through.

use super::auth::bob;
use super::phone::Phone;
use super::{Lab, config, udp};
use crate::base::time::Duration;
use crate::base::trace::Level;
use crate::ims::limits::MAX_CHALLENGES_PER_USER;

const SECOND: Duration = Duration::from_secs(1);

/// A REGISTER without credentials for the phone's user, from somebody else; each of its own source.
fn spoofed(phone: &Phone, number: u32) -> (crate::proto::flow::Flow, String) {
    let source = format!("10.{}.{}.{}:5060", 66 + (number >> 16), number >> 8 & 255, number & 255);
    let text = format!(
        "REGISTER sip:ims.test SIP/2.0\r\nVia: SIP/2.0/UDP {source};branch=z9hG4bKspoof{number}\r\nMax-Forwards: 70\r\n\
         From: <{0}>;tag=s\r\nTo: <{0}>\r\nCall-ID: spoof{number}\r\nCSeq: 1 REGISTER\r\nContact: <sip:x@{source}>\r\n\
         Content-Length: 0\r\n\r\n",
        phone.aor
    );
    (udp(&source), text)
}

fn flood(lab: &mut Lab, phone: &Phone, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let (flow, text) = spoofed(phone, number);
        assert_eq!(lab.ask(flow, text).status(), 401);
    }
}

#[test]
fn a_flood_of_first_registers_does_not_keep_the_user_out() {
    let mut lab = Lab::new(config());
    for mut phone in [Phone::alice(), bob()] {
        let challenge = phone.ask(&mut lab, "");
        flood(&mut lab, &phone, 0..200);
        assert_eq!(phone.answer(&mut lab, &challenge, "").status(), 200);
        assert!(lab.core.load().challenges <= 2 * MAX_CHALLENGES_PER_USER);
    }
}

#[test]
fn a_nonce_that_was_pushed_out_serves_once_and_not_longer_than_others() {
    let mut lab = Lab::new(config());
    for mut phone in [Phone::alice(), bob()] {
        let challenge = phone.ask(&mut lab, "");
        assert_eq!(phone.answer(&mut lab, &challenge, "").status(), 200);
        flood(&mut lab, &phone, 0..200);
        assert_eq!(phone.answer(&mut lab, &challenge, "").status(), 401, "a replay");
        let challenge = phone.ask(&mut lab, "");
        flood(&mut lab, &phone, 200..400);
        assert_eq!(phone.answer(&mut lab, &challenge, "").status(), 200);
        assert_eq!(phone.answer(&mut lab, &challenge, "").status(), 401, "a replay of one pushed out");
        let challenge = phone.ask(&mut lab, "");
        flood(&mut lab, &phone, 400..600);
        lab.pass(SECOND * 241);
        assert_eq!(phone.answer(&mut lab, &challenge, "").status(), 401, "too late");
    }
    lab.pass(SECOND * 86_400);
    assert_eq!(lab.core.next_deadline(), None, "nothing is left of it");
}

#[test]
fn a_counted_nonce_that_was_pushed_out_does_not_forget_its_count() {
    let mut config = config();
    config.users[0].qop = vec!["auth".into()];
    let mut lab = Lab::new(config);
    let mut alice = Phone::alice();
    let challenge = alice.ask(&mut lab, "");
    alice.nc = 5;
    assert_eq!(alice.answer(&mut lab, &challenge, "").status(), 200);
    flood(&mut lab, &alice, 0..200);
    assert_eq!(alice.answer(&mut lab, &challenge, "").status(), 401);
    alice.nc = 1;
    assert_eq!(alice.answer(&mut lab, &challenge, "").status(), 401);
}

#[test]
fn a_nonce_that_was_pushed_out_is_still_its_users_alone() {
    let mut config = config();
    let mut carol = config.users[0].clone();
    (carol.impi, carol.impus) =
        ("carol@ims.test".into(), vec![crate::config::model::Impu::new("sip:carol@ims.test")]);
    config.users.push(carol);
    let mut lab = Lab::new(config);
    let mut carol = Phone::new(
        "carol@ims.test",
        "sip:carol@ims.test",
        "10.0.0.3:5060",
        super::phone::Secret::Password("secret"),
    );
    let alice = Phone::alice();
    let challenge = carol.ask(&mut lab, "");
    let (flow, text) = spoofed(&alice, 1);
    let of_alice = lab.ask(flow, text);
    flood(&mut lab, &alice, 2..200);
    assert_eq!(carol.answer(&mut lab, &of_alice, "").status(), 401);
    assert_eq!(carol.answer(&mut lab, &challenge, "").status(), 200);
}

#[test]
fn calls_of_strangers_take_no_room() {
    let mut lab = Lab::new(config());
    let stranger = udp("10.9.0.1:5060");
    let mut zoe = Phone::alice();
    zoe.aor = "sip:zoe@ims.test".into();
    for _ in 0..100 {
        let call = zoe.request("INVITE", "tel:0600000002", "tel:0600000002", "");
        let refused = lab.ask(stranger, &call);
        assert!(refused.text.starts_with("SIP/2.0 403 Not registered\r\n"), "{}", refused.text);
        assert_eq!(lab.ask(stranger, &call), refused, "a repetition");
        let ack = call
            .replace("INVITE", "ACK")
            .replace("To: <tel:0600000002>", &format!("To: {}", refused.one("To")));
        assert_eq!(lab.on_sip(stranger, ack), []);
    }
    let odd = zoe.request("INVITE", "tel:0600000002", "tel:0600000002", "Require: x-one\r\n");
    assert_eq!(lab.ask(stranger, odd).status(), 420);
    assert_eq!(lab.core.load().server_transactions, 0);
}

#[test]
fn a_flood_of_refused_registers_does_not_flood_the_log() {
    let mut lab = Lab::new(config());
    let zoe = |number: u32| {
        let (flow, text) = spoofed(&Phone::alice(), number);
        (flow, text.replace("alice", "zoe"))
    };
    for number in 0..2000 {
        let (flow, text) = zoe(number);
        assert_eq!(lab.ask(flow, text).status(), 404);
    }
    let told = lab.lines(Level::Error).len();
    assert!((10..200).contains(&told), "{told}");
    lab.pass(SECOND * 10);
    let (flow, text) = zoe(2001);
    lab.ask(flow, text);
    assert!(lab.logged(&["sip:zoe@ims.test is not in ue_db", &format!("{} more", 2000 - told)]));
}

#[test]
fn what_a_registration_keeps_is_bounded() {
    let mut config = config();
    config.users[0].authent_type = crate::config::model::AuthentType::None;
    let mut lab = Lab::new(config);
    let mut alice = Phone::alice();
    alice.extra = format!("User-Agent: {}\r\n", "x".repeat(10_000));
    assert_eq!(alice.ask(&mut lab, "").status(), 200);
    assert!(lab.core.user_views(lab.now)[0].bindings[0].user_agent.len() < 300);
    alice.extra = format!("Path: <sip:{}>\r\n", "x".repeat(10_000));
    assert_eq!(alice.ask(&mut lab, "").status(), 413);
    alice.extra.clear();
    alice.call_id = "x".repeat(10_000);
    assert_eq!(alice.ask(&mut lab, "").status(), 413);
}
