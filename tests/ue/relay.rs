//! Calls whose media passes through the program: real packets between a phone on IPv4 and one on IPv6.

use super::calls::monitor;
use super::*;

/// Both directions, UDP and TCP.
const ACROSS: [(&str, &str); 3] = [(WAYS[0], WAYS[2]), (WAYS[2], WAYS[0]), (WAYS[1], WAYS[3])];

#[test]
fn a_phone_on_ipv4_and_one_on_ipv6_hear_and_see_each_other() {
    let ims = Ims::start("across");
    for (caller_on, callee_on) in ACROSS {
        let script = "register; auto-answer on; wait held 60; wait resumed; wait ended 60; expect code 200; \
                      expect rtp-lost 0; expect rtp-received > 30; expect video-lost 0; expect video-received > 3";
        let mut callee = ims.phone_on(callee_on, BOB, script);
        callee.until("registered as");
        let script = "register; video bob; wait answered; sleep 0.8; hold; sleep 0.2; resume; sleep 0.8; hangup; \
                      expect rtp-lost 0; expect rtp-received > 30; expect echo 0; expect video-lost 0; \
                      expect video-received > 3";
        ims.phone_on(caller_on, ALICE, script).succeeds();
        callee.succeeds();
        let text = monitor(&ims, &["dialog", "last"]);
        // two streams on two sides
        let has_run = |line: &&str| line.contains(" RTP to ") && !line.contains(": 0 received");
        let counted = text.lines().filter(has_run).count();
        assert!(counted >= 2, "{caller_on} to {callee_on}: {text}");
    }
}

#[test]
fn across_families_resources_are_waited_for_as_well() {
    let ims = Ims::start("across-resources");
    let on = ["--precondition", "on", "--100rel", "required", "--bearer-delay", "100"];
    for plain in [false, true] {
        let callee_has: &[&str] = if plain { &["--precondition", "off"] } else { &on };
        let script = "register; auto-answer 0.1; wait ended 60; expect code 200; expect rtp-lost 0";
        let mut callee = ims.phone_on(WAYS[2], &[BOB, callee_has].concat(), script);
        callee.until("registered as");
        let script = "register; call bob 1; expect code 200; expect rtp-lost 0; expect rtp-received > 20";
        ims.phone_on(WAYS[0], &[ALICE, &on].concat(), script).succeeds();
        callee.succeeds();
    }
}

#[test]
fn phones_of_one_family_are_relayed_where_the_configuration_says_so() {
    let ims = Ims::with("relayed", &format!("media_relay: \"on\", {USERS}"));
    let script = "register; auto-answer on; wait ended 60; expect rtp-lost 0; expect rtp-received > 20";
    let mut callee = ims.phone(BOB, script);
    callee.until("registered as");
    ims.phone(ALICE, "register; call bob 1; expect rtp-lost 0; expect rtp-received > 20").succeeds();
    callee.succeeds();
    let text = monitor(&ims, &["dialog", "last"]);
    assert!(text.contains("RTP to 127.0.0.1:"), "{text}");
}

#[test]
fn what_a_user_s_settings_do_to_packets_is_heard_by_the_other() {
    let users = USERS.replace(
        r#"impu: ["sip:alice", "tel:0001"]"#,
        r#"impu: [{ impu: "sip:alice", rtp: false }, "tel:0001"]"#,
    );
    assert_ne!(users, USERS);
    let ims = Ims::with("muted", &users);
    let mut callee = ims
        .phone(BOB, "register; auto-answer on; wait ended 60; expect rtp-received 0; expect rtp-sent > 20");
    callee.until("registered as");
    ims.phone(ALICE, "register; call bob 1; expect rtp-received > 20; expect rtp-sent > 20").succeeds();
    callee.succeeds();
}
