//! Echo numbers as they are configured, and calls that nobody speaks in, with the real programs over each transport.

use super::calls::monitor;
use super::*;

/// Echo numbers of every kind; a call ends after three seconds of silence.
const NUMBERS: &str = r#"
domain: "example.org", dialog_timeout: 3,
echo: [
  "tel:666",
  { impu: "tel:661", answer_delay: 0.7 },
  { impu: "tel:662", code: 480, content: "gone.txt", content_type: "text/x-gone" },
  { impu: "tel:663", anonymous: true, authentication: false },
  { impu: "tel:664", media_delay: 0.5 },
  { impu: "tel:665", ring_only: true },
  { impu: "tel:667", code: 183 },
  { impu: "tel:668", rtp: false },
  { impu: "tel:669", audio: true, video: false },
],
ue_db: [
  { impi: "alice", pwd: "alice-secret", impu: ["sip:alice", "tel:0001"] },
  { impi: "bob", pwd: "bob-secret", impu: ["sip:bob", "tel:0002"] },
  { impi: "carol", pwd: "carol-secret", impu: ["sip:carol", "tel:0003"] },
  { impi: "dave", pwd: "dave-secret", impu: ["sip:dave", "tel:0004"] },
],
"#;

const DAVE: &[&str] = &["--impi", "dave", "--domain", "example.org", "--password", "dave-secret"];

/// A user for each transport and version of IP.
const EACH: [(&str, &[&str]); 4] = [(WAYS[0], ALICE), (WAYS[1], BOB), (WAYS[2], CAROL), (WAYS[3], DAVE)];

/// A network with these numbers in which silence is no matter.
fn patient(name: &str) -> Ims {
    let users = NUMBERS.replace("dialog_timeout: 3", "dialog_timeout: 60");
    Ims::with_files(name, &users, &[("gone.txt", "gone fishing")])
}

/// A network in which calls end in silence.
fn impatient(name: &str) -> Ims {
    Ims::with_files(name, NUMBERS, &[("gone.txt", "")])
}

/// When a message of this name was noted first in each call, in seconds: by the server's clock, which no load moves.
fn noted(ims: &Ims, text: &str) -> Vec<f64> {
    let answer: serde_json::Value = serde_json::from_str(&monitor(ims, &["--json", "dialog"])).unwrap();
    let is_it = |event: &&serde_json::Value| event["text"].as_str().is_some_and(|t| t.starts_with(text));
    let first = |dialog: &serde_json::Value| {
        let found = dialog["event_list"].as_array().unwrap().iter().find(is_it);
        found.unwrap_or_else(|| panic!("{text}: {dialog:#}"))["timestamp"].as_f64().unwrap()
    };
    answer["dialogs"].as_array().unwrap().iter().map(first).collect()
}

#[test]
fn an_answer_is_delayed_and_comes_back_whole() {
    let ims = patient("echo-answer");
    at_once(&EACH, |(on, who)| {
        let script = "register; call 661; wait ringing; wait answered; sleep 0.5; hangup; expect code 200; \
                      expect echo = 100; expect rtp-received > 0";
        ims.phone_on(on, who, script).succeeds();
    });
    let (rings, answers) = (noted(&ims, "180"), noted(&ims, "200"));
    assert_eq!(rings.len(), WAYS.len());
    assert!(rings.iter().zip(&answers).all(|(ring, answer)| answer - ring >= 0.7), "{rings:?} {answers:?}");
}

#[test]
fn a_code_and_a_body_of_ones_own_are_heard() {
    let ims = patient("echo-code");
    at_once(&EACH, |(on, who)| {
        let who = [who, &["-v"]].concat();
        let text = ims.phone_on(on, &who, "register; call 662; wait ended; expect code 480").succeeds();
        assert!(
            text.contains("    Content-Type: text/x-gone") && text.contains("    gone fishing"),
            "{on}: {text}"
        );
        // a provisional one is all that is heard, until the caller gives up
        let mut phone =
            ims.phone_on(on, &who, "register; call 667; sleep 0.5; hangup; wait ended; expect code 487");
        phone.until("    SIP/2.0 183 ");
        let text = phone.succeeds();
        assert!(!text.contains("    SIP/2.0 180 "), "{on}: {text}");
    });
}

#[test]
fn who_has_not_registered_is_let_in_where_it_may_be() {
    let ims = patient("echo-anonymous");
    at_once(&EACH, |(on, who)| {
        let script = "call 663 0.5; expect code 200; expect echo = 100; call 666; wait ended; expect code 403; expect unregistered";
        ims.phone_on(on, who, script).succeeds();
    });
}

#[test]
fn what_only_rings_rings_until_the_caller_gives_up_or_its_time_is_over() {
    let ims = patient("echo-rings");
    at_once(&EACH, |(on, who)| {
        ims.phone_on(on, who, "register; call 665; wait ringing; hangup; wait ended; expect code 487")
            .succeeds();
    });
    let ims = impatient("echo-rings-out");
    at_once(&EACH, |(on, who)| {
        ims.phone_on(on, who, "register; call 665; wait ringing; wait ended; expect code 480").succeeds();
    });
}

#[test]
fn packets_are_kept_for_as_long_as_is_configured() {
    let ims = patient("echo-media");
    at_once(&EACH, |(on, who)| {
        let script = "register; call 664 1.5; expect echo = 100; expect rtp-received > 5; expect echo-delay >= 500; \
                      call 668 0.5; expect rtp-received 0; expect rtp-sent > 0; \
                      video 669 0.5; expect echo = 100; expect rtp-received > 0";
        let text = ims.phone_on(on, who, script).succeeds();
        assert!(!text.contains("H264"), "the number takes no pictures: {text}");
    });
}

#[test]
fn keys_come_back_and_reach_the_other_phone() {
    let ims = patient("keys");
    let heard = "wait dtmf 60; wait dtmf 60; wait dtmf 60; expect dtmf 0*D";
    at_once(&EACH, |(on, who)| {
        let script = format!(
            "register; call 666; wait answered; dtmf 0*d; {heard}; hangup; expect echo = 100; expect dtmf 0*D"
        );
        let text = ims.phone_on(on, &[who, &["--codecs", "PCMU"]].concat(), &script).succeeds();
        assert!(text.contains("\nthe other side presses *\n"), "{on}: {text}");
    });
    // from phone to phone, and through the program from IPv4 to IPv6, at 8 and at 16 kHz
    for (caller_on, callee_on, codec) in [
        (WAYS[0], WAYS[1], "PCMA"),
        (WAYS[0], WAYS[2], "AMR-WB"),
        (WAYS[3], WAYS[1], "PCMA"),
        (WAYS[2], WAYS[3], "AMR-WB"),
    ] {
        let script = format!("register; auto-answer on; wait answered 60; {heard}; hangup");
        let mut callee = ims.phone_on(callee_on, &[BOB, &["--codecs", codec]].concat(), &script);
        callee.until("registered as");
        let who = [ALICE, &["--codecs", codec]].concat();
        ims.phone_on(caller_on, &who, "register; call bob; wait answered; dtmf 0*d; wait ended 60")
            .succeeds();
        callee.succeeds();
    }
}

#[test]
fn a_call_in_which_nobody_speaks_ends() {
    let ims = impatient("silence");
    at_once(&EACH, |(on, who)| {
        let script =
            "register; mute on; call 666; wait answered; wait ended; expect code 200; expect rtp-sent 0";
        let text = ims.phone_on(on, &[who, &["-v"]].concat(), script).succeeds();
        assert!(text.contains("no media from sip:") && text.contains(" for 3 s"), "{on}: {text}");
    });
}

#[test]
fn a_call_through_the_program_lasts_as_long_as_somebody_speaks() {
    let ims = impatient("half-silence");
    at_once(&[(WAYS[0], ALICE, WAYS[2], BOB, "bob"), (WAYS[3], CAROL, WAYS[1], DAVE, "dave")], |pair| {
        let (caller_on, caller, callee_on, callee, name) = pair;
        let script =
            "register; mute on; auto-answer on; wait ended 60; expect code 200; expect rtp-received > 100";
        let mut phone = ims.phone_on(callee_on, callee, script);
        phone.until("registered as");
        let script = format!(
            "register; call {name}; wait answered; sleep 4; expect in-call; mute on; wait ended; expect code 200"
        );
        ims.phone_on(caller_on, caller, &script).succeeds();
        phone.succeeds();
    });
    let why = monitor(&ims, &["dialog"]);
    assert_eq!(
        why.matches("neither media nor signalling for 3 s").count(),
        4,
        "both sides of both calls: {why}"
    );
}
