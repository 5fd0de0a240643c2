//! Calls as VoLTE phones make them: reliable ringing, resources to wait for, session timers, pictures.

use super::*;

#[test]
fn phones_wait_for_their_resources_over_each_transport() {
    let ims = Ims::start("resources");
    let on = ["--precondition", "on", "--100rel", "required", "--bearer-delay", "150"];
    for (caller_on, callee_on) in
        [(WAYS[0], WAYS[1]), (WAYS[1], WAYS[0]), (WAYS[2], WAYS[3]), (WAYS[3], WAYS[2])]
    {
        let script = "register; auto-answer 0.1; wait ended 60; expect code 200; expect rtp-lost 0";
        let mut callee = ims.phone_on(callee_on, &[BOB, &on, &["-v"]].concat(), script);
        callee.until("registered as");
        let script = "register; call bob 1; expect code 200; expect rtp-lost 0; expect rtp-received > 20";
        let caller = ims.phone_on(caller_on, &[ALICE, &on].concat(), script).succeeds();
        assert!(caller.contains("\nringing\ncall with sip:bob@example.org is answered"), "{caller}");
        let callee = callee.succeeds();
        for part in [
            "    a=curr:qos local none",
            "    SIP/2.0 183 Session Progress",
            "    a=conf:qos remote sendrecv",
            "    UPDATE sip:bob@",
            "    a=curr:qos local sendrecv",
        ] {
            assert!(callee.contains(part), "{caller_on} to {callee_on}: {part}: {callee}");
        }
        let at = |text: &str| callee.find(text).unwrap_or_else(|| panic!("{text}: {callee}"));
        assert!(
            at("    SIP/2.0 183 ") < at("    UPDATE ") && at("    UPDATE ") < at("incoming call from"),
            "{callee}"
        );
        assert_eq!(callee.matches("    PRACK ").count(), 2, "the 183 and the 180: {callee}");
    }
}

#[test]
fn the_echo_waits_for_the_resources_of_a_phone() {
    let ims = Ims::start("echo-resources");
    for (on, delay) in [(WAYS[0], "0"), (WAYS[1], "200"), (WAYS[2], "200"), (WAYS[3], "0")] {
        let who = [ALICE, &["--precondition", "on", "--bearer-delay", delay]].concat();
        let text =
            ims.phone_on(on, &who, "register; call 666 1; expect rtp-loss = 0; expect echo = 100").succeeds();
        assert!(text.contains("an echo, bit by bit what was sent"), "{on}: {text}");
    }
}

#[test]
fn session_timers_pass_between_phones() {
    let ims = Ims::start("timer");
    let script = "register; auto-answer on; wait answered 60; status; wait ended 60";
    let mut callee = ims.phone_on(WAYS[3], &[BOB, &["--min-se", "600"]].concat(), script);
    callee.until("registered as");
    let who = [ALICE, &["--session-expires", "300", "--refresher", "uas", "-v"]].concat();
    let caller = ims.phone(&who, "register; call bob; wait answered; status; hangup").succeeds();
    assert!(caller.contains("    SIP/2.0 422 ") && caller.contains("    Min-SE: 600"), "{caller}");
    assert!(caller.contains("session of 600 s that the other side refreshes"), "{caller}");
    let callee = callee.succeeds();
    assert!(callee.contains("session of 600 s that we refresh"), "{callee}");
}

#[test]
fn two_phones_see_each_other() {
    let ims = Ims::start("pictures");
    for (caller_on, callee_on) in [(WAYS[0], WAYS[1]), (WAYS[3], WAYS[2])] {
        let script = "register; auto-answer on; wait held 60; wait resumed; wait ended 60; \
                      expect video-lost 0; expect video-received > 3";
        let mut callee = ims.phone_on(callee_on, BOB, script);
        callee.until("registered as");
        let script = "register; video bob; wait answered; sleep 0.6; hold; sleep 0.2; resume; sleep 0.6; hangup; \
                      expect rtp-lost 0; expect video-lost 0; expect video-sent > 3; expect video-received > 3";
        let caller = ims.phone_on(caller_on, ALICE, script).succeeds();
        assert!(caller.contains(" is answered, PCMA, H264 (there is no encoder"), "{caller}");
        assert!(caller.contains("\n  H264: "), "each stream has its own line: {caller}");
        callee.succeeds();
    }
}

#[test]
fn the_echo_sends_pictures_back() {
    let ims = Ims::start("mirror");
    for on in WAYS {
        let script =
            "register; video 666 1; expect echo = 100; expect video-received > 5; expect video-echo = 100";
        let text = ims.phone_on(on, ALICE, script).succeeds();
        assert_eq!(text.matches("an echo, bit by bit what was sent").count(), 2, "{on}: {text}");
    }
    // who has no pictures to take hears all the same
    let script = "register; auto-answer on; wait ended 60; expect rtp-lost 0";
    let mut callee = ims.phone(&[BOB, &["--video", "off"]].concat(), script);
    callee.until("registered as");
    let text = ims.phone(ALICE, "register; video bob 1; expect rtp-lost 0").succeeds();
    assert!(text.contains(" is answered, PCMA\n") && !text.contains("H264"), "{text}");
    callee.succeeds();
}
