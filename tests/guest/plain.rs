//! Phones without IPsec: what they do is seen in clear on the wire, and nobody's kernel is asked for anything.

use crate::network::until;
use crate::people::{ALICE, CLEAR, MILENAGE, USERS};
use crate::scene::Scene;
use crate::seen::{Kind, count};

#[test]
fn a_phone_without_ipsec_registers_calls_and_leaves_and_the_kernels_stay_empty() {
    let mut scene = Scene::new("plain", 1, USERS);
    for v6 in [false, true] {
        for transport in ["--udp", "--tcp"] {
            for who in [ALICE, MILENAGE] {
                scene.seen(0);
                let options = [who, CLEAR, &[transport]].concat();
                let script = "register; expect registered clear; call 666 1.5; expect rtp-loss = 0; expect echo = 100; \
                              sms 666 hello; wait sms; expect sms hello; deregister";
                let text = scene.phone(0, v6, &options, script).succeeds();
                assert!(text.ends_with("\nderegistered"), "{transport} v6 {v6}: {text}");

                // the sniffer sees what there is to be seen, so that seeing none of it means something elsewhere
                let seen = scene.seen(0);
                assert_eq!((count(&seen, Kind::Esp), count(&seen, Kind::Other)), (0, 0), "{seen:#?}");
                assert!(count(&seen, Kind::Sip) >= 2 * 6, "{seen:#?}");
                assert!(count(&seen, Kind::Media) >= 2 * 20, "{seen:#?}");
                assert!(transport == "--udp" || count(&seen, Kind::Bare) > 0, "{seen:#?}");
                for line in ["REGISTER sip:", "SIP/2.0 401 ", "INVITE ", "BYE ", "MESSAGE "] {
                    assert!(
                        seen.iter().any(|s| s.kind == Kind::Sip && s.line.starts_with(line)),
                        "{line}: {seen:#?}"
                    );
                }
            }
        }
    }
    scene.ends_clean();
}

#[test]
fn two_phones_without_ipsec_talk_and_a_wrong_key_is_named() {
    let scene = Scene::new("talk", 2, USERS);
    for v6 in [false, true] {
        let script = "register; auto-answer on; wait ended 60; expect rtp-lost 0; expect rtp-received > 10";
        let mut callee = scene.phone(0, v6, &[MILENAGE, CLEAR].concat(), script);
        callee.until("registered as");
        let script = "register; call 603 0.5; expect rtp-loss = 0; expect rtp-received > 10; expect echo 0";
        scene.phone(1, v6, ALICE, script).succeeds();
        callee.succeeds();
    }
    let wrong = [MILENAGE, CLEAR, &["--k", "00000000000000000000000000000000"]].concat();
    let text = scene.phone(0, false, &wrong, "register").fails();
    assert!(text.contains("the network's key differs"), "{text}");
    let log = scene.ends_clean();
    assert!(log.contains("the SIM rejects our AUTN (MAC failure)"), "{log}");
}

#[test]
fn a_phone_without_ipsec_comes_back_to_an_ims_that_was_killed() {
    let mut scene = Scene::new("back", 1, &format!("{USERS} binding_expires: 6,"));
    let mut phone = scene.phone(0, true, &[MILENAGE, CLEAR].concat(), "register; wait incoming 60");
    phone.until("registered as");
    scene.ims.kill();
    scene.ims.run(&scene.network.core);
    assert!(!scene.ims.monitor(&["users"]).contains("fd09::2"), "nothing is known of it");
    phone.until("registration refreshed");
    until("the IMS knows it again", || scene.ims.monitor(&["users"]).contains("fd09::2"));
}
