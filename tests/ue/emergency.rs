//! Emergency calls with the real programs: without registration, with one of either kind, to the echo and to a user, and back.

use super::calls::monitor;
use super::*;

/// The echo takes fire and police; Bob answers everything else, and calls back; 112 is a number that is to be called otherwise.
const SERVICES: &str = r#"
domain: "example.org",
echo: ["tel:666", { impu: "urn:service:sos.police", anonymous: true, authentication: false },
       { impu: "tel:112", emergency: "emergency-registration" },
       { impu: "urn:service:sos.marine", authentication: false }],
ue_db: [
  { impi: "alice", pwd: "alice-secret", impu: ["sip:alice", "tel:0001"] },
  { impi: "bob", pwd: "bob-secret", impu: ["sip:bob", "tel:0002",
      { impu: "urn:service:sos", anonymous: true, anonymous_callback: 60, authentication: false }] },
],
"#;

const DEVICE: &[&str] =
    &["--imei", "356938035643809", "--access", "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100011A2D001"];

#[test]
fn without_registration_the_echo_answers_over_each_transport() {
    let ims = Ims::with("sos-echo", SERVICES);
    for on in WAYS {
        let who = [ALICE, DEVICE].concat();
        let script = "emergency police 1; expect code 200; expect rtp-loss = 0; expect echo = 100; expect unregistered";
        ims.phone_on(on, &who, script).succeeds();
        let text = ims.phone_on(on, &who, "try emergency marine; wait ended; expect code 403").succeeds();
        assert!(text.contains("without registration are not taken: it is not `anonymous`"), "{on}: {text}");
    }
}

#[test]
fn who_dials_112_is_told_to_register_for_emergency_calls_and_gets_through() {
    let ims = Ims::with("sos-380", SERVICES);
    let script = "register; call 112; wait ended; expect code 380; deregister; register sos; expect registered; status; \
                  call 112 1; expect code 200; expect echo = 100; emergency police 1; expect code 200";
    let text = ims.phone(ALICE, script).succeeds();
    assert!(
        text.contains("the network wants an emergency registration first: `register sos`, then `emergency`"),
        "{text}"
    );
    assert!(text.contains("\nregistered for emergency calls for "), "{text}");
}

#[test]
fn who_answers_hears_where_the_caller_is_and_calls_back_a_phone_without_registration() {
    let ims = Ims::with("sos-callback", SERVICES);
    let both_ways = [(WAYS[0], WAYS[1]), (WAYS[1], WAYS[3]), (WAYS[2], WAYS[0]), (WAYS[3], WAYS[2])];
    for (caller_on, help_on) in both_ways {
        call_for_help(&ims, caller_on, help_on);
    }
}

/// A phone without registration calls for help, is called back, and talks both times.
fn call_for_help(ims: &Ims, caller_on: &str, help_on: &str) {
    let mut help = ims.phone_on(
        help_on,
        &[BOB, &["-v"]].concat(),
        "register; auto-answer on; wait ended 60; expect code 200; expect rtp-lost 0; call 356938035643809 1; expect code 200; \
         expect rtp-lost 0; expect rtp-received > 20",
    );
    help.until("registered as");
    let who = [ALICE, DEVICE, &["-v"]].concat();
    let script = "emergency sos 1; expect code 200; expect rtp-lost 0; auto-answer on; wait incoming; wait ended 60; expect code 200";
    let text = ims.phone_on(caller_on, &who, script).succeeds();
    assert!(text.contains("    Priority: psap-callback"), "{text}");
    let text = help.succeeds();
    for part in [
        "    To: <urn:service:sos>",
        "    P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100011A2D001",
        "    P-Asserted-Identity: <sip:356938035643800@example.org>",
        "    From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn an_emergency_registration_beside_the_normal_one_takes_the_callback_alone() {
    let ims = Ims::with("sos-beside", SERVICES);
    let who = [ALICE, &["--imei", "356938035643809"]].concat();
    let mut normal = ims.phone(&who, "register; auto-answer on; wait ended 60; expect code 200");
    normal.until("registered as");
    let mut sos =
        ims.phone(&who, "register sos; auto-answer on; wait ended 60; expect code 200; expect rtp-lost 0");
    sos.until("registered as");
    let users = monitor(&ims, &["users"]);
    assert_eq!(users.matches("for emergency calls").count(), 1, "{users}");
    assert_eq!(users.matches("IMEI 356938035643800").count(), 2, "{users}");
    ims.phone(BOB, "register; call alice 1; expect code 200").succeeds();
    sos.succeeds();
    monitor(&ims, &["mt_call", "alice", "-d", "0.5"]);
    normal.succeeds();
}
