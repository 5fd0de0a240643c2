//! Calls that the network makes, and calls under the operator's hand, with the soft UE and the monitor of the real programs.

use super::calls::monitor;
use super::*;

/// What the monitor says to a command that is refused.
fn refused(ims: &Ims, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imsbox"));
    command.arg("monitor").arg("--socket").arg(ims.folder.join("monitor.sock")).args(args);
    let output = command.output().unwrap();
    assert_ne!(output.status.code(), Some(0), "{args:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn mt_call_rings_a_phone_over_each_transport_and_its_sound_comes_back() {
    let ims = Ims::start("mt-call");
    for on in WAYS {
        let script = "register; auto-answer 0.2; wait ended 60; expect code 200; expect rtp-loss = 0; expect echo = 100";
        let mut phone = ims.phone_on(on, BOB, script);
        phone.until("registered as");
        let text = monitor(&ims, &["mt_call", "bob", "-", "alice", "-d", "1"]);
        assert!(text.contains("\"session_id\": \""), "{on}: {text}");
        let text = phone.succeeds();
        assert!(text.contains("incoming call from"), "{on}: {text}");
        assert!(text.contains("an echo, bit by bit what was sent"), "{on}: {text}");
        let ladder = monitor(&ims, &["dialog", "last"]);
        assert!(
            ladder.contains("  mt_call  stop\n") && ladder.contains("its duration of 1 s is over"),
            "{on}: {ladder}"
        );
    }
}

#[test]
fn a_volte_phone_waits_for_its_resources_before_it_rings() {
    let ims = Ims::start("mt-resources");
    for (on, delay) in [(WAYS[0], "150"), (WAYS[3], "0")] {
        let who =
            [BOB, &["--precondition", "on", "--100rel", "required", "--bearer-delay", delay, "-v"]].concat();
        let script = "register; auto-answer 0.2; wait ended 60; expect code 200; expect echo = 100";
        let mut phone = ims.phone_on(on, &who, script);
        phone.until("registered as");
        monitor(&ims, &["mt_call", "sip:bob@example.org", "--duration", "1"]);
        let text = phone.succeeds();
        for part in [
            "    a=curr:qos local sendrecv",
            "    SIP/2.0 183 Session Progress",
            "    PRACK ",
            "    SIP/2.0 180 ",
        ] {
            assert!(text.contains(part), "{on}: {part}: {text}");
        }
        let at = |part: &str| text.find(part).unwrap();
        assert!(at("    SIP/2.0 183 ") < at("    SIP/2.0 180 "), "{text}");
    }
}

#[test]
fn the_network_holds_resumes_and_ends_its_call_and_an_echo_call() {
    let ims = Ims::start("mt-hold");
    let script = "register; auto-answer on; wait held 60; wait resumed 60; wait ended 60; expect code 200";
    let mut phone = ims.phone(BOB, script);
    phone.until("registered as");
    monitor(&ims, &["mt_call", "bob"]);
    hold_and_end(&ims, phone);
    let script =
        "register; call 666; wait answered; wait held 60; wait resumed 60; wait ended 60; expect code 200";
    let phone = ims.phone(ALICE, script);
    hold_and_end(&ims, phone);
}

fn hold_and_end(ims: &Ims, mut phone: Running) {
    phone.until(" is answered");
    // the prompt of a test is faster than an ACK
    let state = |wanted: &str| {
        let deadline = Instant::now() + DEADLINE;
        while !monitor(ims, &["dialog", "last"]).lines().next().unwrap().ends_with(wanted) {
            assert!(Instant::now() < deadline, "{wanted}: {}", monitor(ims, &["dialog", "last"]));
        }
    };
    state("start");
    monitor(ims, &["dialog_set", "last", "hold"]);
    state("hold");
    monitor(ims, &["dialog_set", "last", "hold", "--media", "audio"]);
    state("start");
    monitor(ims, &["reinvite", "last"]);
    assert!(
        refused(ims, &["dialog_set", "last", "hold", "--media", "video"]).contains("the call has no video")
    );
    assert!(refused(ims, &["dialog_set", "last", "fly"]).contains("action fly: it is one of stop, hold"));
    monitor(
        ims,
        &["dialog_set", "last", "stop", "--code", "16", "--reason_protocol", "Q.850", "--reason", "enough"],
    );
    phone.succeeds();
    let text = monitor(ims, &["dialog", "last"]);
    assert!(text.contains("ended by the operator: enough"), "{text}");
    assert!(refused(ims, &["dialog_set", "last", "hold"]).contains("has ended already"));
}

#[test]
fn the_operator_answers_an_echo_number_and_a_file_says_with_what() {
    let users = USERS.replace(
        "echo: [",
        "mt_call_sdp_file: \"pcmu.sdp\", echo: [{ impu: \"tel:665\", remote_control: true, sdp_file: \"pcmu.sdp\" }, ",
    );
    let ims = Ims::with_files(
        "operator",
        &users,
        &[("pcmu.sdp", "m=audio 1 RTP/AVP 0\na=ptime:20\n"), ("bad.sdp", "m=audio 1 RTP/AVP 99\n")],
    );
    let script =
        "register; call 665; wait answered 60; sleep 0.5; hangup; expect code 200; expect echo = 100";
    let mut phone = ims.phone(ALICE, script);
    phone.until("ringing");
    monitor(&ims, &["dialog_set", "last", "answer"]);
    let text = phone.succeeds();
    assert!(text.contains(" is answered, PCMU"), "{text}");
    let mut phone = ims.phone(BOB, "register; auto-answer on; wait ended 60; expect code 200");
    phone.until("registered as");
    let why = refused(&ims, &["mt_call", "bob", "bad.sdp"]);
    assert!(
        why.contains("bad.sdp is no description of media: media 1 (audio): payload type 99 has no a=rtpmap"),
        "{why}"
    );
    assert!(refused(&ims, &["mt_call", "nobody"]).contains("no contact and no user is nobody"));
    monitor(&ims, &["mt_call", "bob", "-d", "0.5"]);
    let text = phone.succeeds();
    assert!(text.contains(" is answered, PCMU"), "{text}");
}
