//! The soft UE with something wrong about it, over IPsec: it does not get in, and the log says what it is.

use crate::people::{MILENAGE, REQUIRED, USERS};
use crate::scene::Scene;
use crate::seen::{Kind, count};

/// Asserts that a phone with these options does not register by any way, and that the log says why; its output.
fn refused(scene: &Scene, options: &[&str], case: &str, why: &str) -> [String; 2] {
    let ways = [(false, "--udp"), (true, "--tcp")];
    let said = ways.map(|(v6, how)| {
        let from = scene.ims.log().len();
        let text = scene
            .phone(0, v6, &[MILENAGE, REQUIRED, &["--timer-t1", "100", how], options].concat(), "register")
            .fails();
        assert!(!text.contains("registered as"), "{case}: {text}");
        scene.ims.log_with(from, why);
        text
    });
    assert!(scene.ims.monitor(&["users"]).contains(", 0 registered"), "{case}");
    said
}

#[test]
fn a_wrong_key_and_an_op_given_as_opc_are_named_on_both_sides() {
    let scene = Scene::new("wrongk", 1, USERS);
    let other = ["--k", "00000000000000000000000000000000"];
    let op_as_opc = ["--opc", MILENAGE[5]];
    for (options, case) in [(&other[..], "another K"), (&op_as_opc, "OP given as OPc")] {
        for text in refused(&scene, options, case, "the SIM rejects our AUTN (MAC failure)") {
            assert!(text.contains("the network's key differs"), "{case}: {text}");
        }
    }
    // sets whose challenge was not answered wait for the answer, but not longer than the IMS is there
    scene.stops_clean();
}

#[test]
fn an_agreement_that_is_not_confirmed_or_not_kept_registers_nobody() {
    let scene = Scene::new("knobs", 1, USERS);
    for text in refused(&scene, &["--ipsec-test", "wrong-verify"], "wrong-verify", "Security-Verify differs")
    {
        assert!(text.contains("494"), "{text}");
    }
    refused(&scene, &["--ipsec-test", "clear-answer"], "clear-answer", "REGISTER");
    scene.stops_clean();
}

#[test]
fn a_network_that_has_lost_its_sequence_numbers_is_synchronised_and_then_protected() {
    let mut scene = Scene::new("sqn", 1, USERS);
    let state = std::env::temp_dir().join("imsbox-guest-sqn");
    let kept = [MILENAGE, REQUIRED, &["--state", state.to_str().unwrap()]].concat();
    let script = "register; deregister; register; deregister";
    let first = scene.phone(0, false, &kept, script).succeeds();
    assert!(!first.contains("AUTS"), "{first}");
    for (v6, how) in [(false, "--tcp"), (true, "--udp")] {
        // the network begins with its first number again
        scene.ims.stop();
        scene.ims.run(&scene.network.core);
        let from = scene.ims.log().len();
        scene.seen(0);
        let text = scene.phone(0, v6, &[&kept[..], &[how]].concat(), script).succeeds();
        assert_eq!(text.matches("AUTS").count(), 1, "{text}");
        let seen = scene.seen(0);
        // only what comes before the first challenge that the card takes is in clear
        let last = seen.iter().rposition(|s| s.kind == Kind::Sip).unwrap();
        assert!(seen[last].line.starts_with("SIP/2.0 401"), "{seen:#?}");
        assert!(count(&seen[last..], Kind::Esp) > 0 && count(&seen, Kind::Other) == 0, "{seen:#?}");
        scene.ims.log_with(from, "SQN re-synchronised");
    }
    scene.ends_clean();
}
