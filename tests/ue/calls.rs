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
        assert_eq!(requests(&callee, "PRACK"), 2, "the 183 and the 180: {callee}");
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
fn each_phone_has_a_session_timer_of_its_own() {
    let ims = Ims::start("timer");
    let script = "register; auto-answer on; wait answered 60; status; wait ended 60";
    let who = [BOB, &["--min-se", "2400", "--session-expires", "2400", "-v"]].concat();
    let mut callee = ims.phone_on(WAYS[3], &who, script);
    callee.until("registered as");
    let who = [ALICE, &["--session-expires", "300", "--refresher", "uas", "-v"]].concat();
    let caller = ims.phone(&who, "register; call bob; wait answered; status; hangup").succeeds();
    assert!(caller.contains("session of 300 s that the other side refreshes"), "{caller}");
    assert!(
        !caller.contains("    SIP/2.0 422 "),
        "what the callee wants is no matter of the caller's: {caller}"
    );
    let callee = callee.succeeds();
    for part in ["    SIP/2.0 422 ", "    Min-SE: 2400", "session of 2400 s that the other side refreshes"] {
        assert!(callee.contains(part), "{part}: {callee}");
    }
    // a session that is too short for the server, asked for again
    let ims = Ims::with("timer-min", &format!("session_expires: {{ duration: 900, min: 600 }}, {USERS}"));
    let who = [ALICE, &["--session-expires", "300", "-v"]].concat();
    let text = ims.phone(&who, "register; call 666; wait answered; status; hangup").succeeds();
    for part in ["    SIP/2.0 422 ", "    Min-SE: 600", "session of 600 s that we refresh"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn the_server_refreshes_a_phone_and_a_phone_the_server() {
    let ims = Ims::with("refresh", &format!("session_expires: 90, {USERS}"));
    let script = "register; auto-answer on; wait answered 60; status; wait ended 90; expect code 200";
    let mut callee = ims.phone_on(WAYS[1], &[BOB, &["-v"]].concat(), script);
    callee.until("registered as");
    let who = [ALICE, &["--session-expires", "90", "--refresher", "uac", "-v"]].concat();
    // the refreshes come when half of the shortest session has passed
    let mut caller = ims.phone(&who, "register; call bob 50; expect code 200");
    callee.until("session of 90 s that the other side refreshes");
    caller
        .until("    UPDATE sip:ims@")
        .until("    SIP/2.0 200 OK")
        .until("    Session-Expires: 90;refresher=uac");
    callee
        .until("    UPDATE sip:bob@")
        .until("    SIP/2.0 200 OK")
        .until("    Session-Expires: 90;refresher=uac");
    for text in [caller.succeeds(), callee.succeeds()] {
        assert_eq!(requests(&text, "UPDATE"), 1, "neither hears of the other's refresh: {text}");
    }
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

/// What a monitor command prints.
pub(super) fn monitor(ims: &Ims, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imsbox"));
    command.arg("monitor").arg("--socket").arg(ims.folder.join("monitor.sock")).args(args);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_monitor_draws_a_call_as_a_ladder() {
    let ims = Ims::start("ladder");
    let on = ["--precondition", "on", "--100rel", "required"];
    let mut callee =
        ims.phone(&[BOB, &on].concat(), "register; auto-answer on; wait ended 60; expect code 200");
    callee.until("registered as");
    ims.phone(&[ALICE, &on, &["--codecs", "AMR-WB"]].concat(), "register; call bob 1; expect code 200")
        .succeeds();
    callee.succeeds();

    let listed = monitor(&ims, &["dialog"]);
    for part in [
        "   10  stop   server  alice@example.org  bob@example.org",
        "   11  stop   client  alice@example.org  bob@example.org",
        "AMR-WB sendrecv",
        "the caller hung up",
    ] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    let text = monitor(&ims, &["dialog", "10"]);
    assert!(text.starts_with("Dialog 10  server  stop\n  From     sip:alice@example.org\n"), "{text}");
    // the ladder of either side, by any name, is the whole call's
    let ladder = text.split_once("\n\n").unwrap().1;
    for name in ["11", "last", "*"] {
        assert_eq!(monitor(&ims, &["dialog", name]).split_once("\n\n").unwrap().1, ladder);
    }
    assert!(ladder.lines().all(|l| l.chars().count() <= 80), "{ladder}");
    let mut rest = ladder;
    for step in [
        "alice@example.org",
        "---- INVITE (sdp) ---",
        "<---",
        "100 INVITE",
        "183 INVITE (sdp, rel 1)",
        "* ringing",
        "PRACK (rel 1)",
        "200 PRACK",
        "UPDATE (sdp)",
        "200 UPDATE (sdp)",
        "180 INVITE (rel 2)",
        "200 INVITE",
        "* start",
        "ACK",
        "BYE",
        "* stop: the caller hung up",
        "200 BYE",
    ] {
        let at = rest.find(step).unwrap_or_else(|| panic!("{step} does not follow: {ladder}"));
        rest = &rest[at + step.len()..];
    }

    let json: serde_json::Value = serde_json::from_str(&monitor(&ims, &["--json", "dialog"])).unwrap();
    let [server, client] = json["dialogs"].as_array().unwrap().as_slice() else { panic!("{json:#}") };
    assert_eq!((&server["type"], &client["type"]), (&"server".into(), &"client".into()));
    assert_eq!((&server["mt_dialog"], &client["mo_dialog"]), (&client["session_id"], &server["session_id"]));
    for member in ["session_id", "state", "type", "to", "from", "date", "duration", "event_list", "medias"] {
        assert!(!server[member].is_null() && !client[member].is_null(), "{member}: {json:#}");
    }
    let events = server["event_list"].as_array().unwrap();
    assert_eq!(events[0]["type"], "recv");
    assert!(events.iter().any(|e| e["type"] == "state" && e["state"] == "stop"), "{json:#}");
    for member in
        ["type", "qos", "dir", "rtp_recv_count", "rtp_send_count", "rtcp_recv_count", "rtcp_send_count"]
    {
        assert!(!server["medias"][0][member].is_null(), "{member}: {json:#}");
    }
}

#[test]
fn the_monitor_shows_where_the_packets_of_an_echo_call_go() {
    let ims = Ims::start("echo-dialog");
    ims.phone(ALICE, "register; call 666 1; expect echo = 100").succeeds();
    let text = monitor(&ims, &["dialog", "last"]);
    assert!(text.starts_with("Dialog ") && text.contains("  echo  stop\n"), "{text}");
    assert!(text.contains("  Ended    the caller hung up\n"), "{text}");
    let ladder = text.split_once("\n\n").unwrap().1;
    assert!(ladder.lines().next().unwrap().split_whitespace().eq(["alice@example.org", "imsbox"]), "{text}");
    let mut phone = ims.phone(ALICE, "register; call 666; wait answered; wait ended 60");
    phone.until("is answered");
    let text = monitor(&ims, &["dialog", "last"]);
    assert!(text.starts_with("Dialog ") && text.contains("  echo  start\n"), "{text}");
    assert!(text.contains("\n           RTP to 127.0.0.1:"), "{text}");
    let index = text.split_whitespace().nth(1).unwrap();
    monitor(&ims, &["dialog_stop", index]);
    phone.succeeds();
}
