//! The soft UE and the IMS over IPsec: every pair of algorithms, both IP versions, both transports.

use crate::network::until;
use crate::people::{MILENAGE, REQUIRED, TUAK, USERS, XOR};
use crate::scene::{Scene, assert_protected};
use crate::seen::{Kind, count};
use imsbox::proto::sip::sec_agree::{Named, Suite};
use std::collections::HashSet;

/// The pairs of algorithms that go together: of five that only authenticate and four that only encrypt or do nothing each pair,
/// AES-GMAC alone, AES-GCM alone.
const PAIRS: usize = 5 * 4 + 2;

/// How REGISTER and everything else goes, and what the soft UE is told for it.
const WAYS: [(&str, &str, &[&str]); 3] = [
    ("UDP", "UDP", &["--udp"]),
    ("TCP", "TCP", &["--tcp"]),
    ("TCP", "UDP", &["--udp", "--register-by", "tcp"]),
];

/// The transports that the protected requests of a method came by, of a log: each request once, however often UDP needed it.
fn transports<'a>(log: &'a str, method: &str) -> Vec<&'a str> {
    let begin = format!(" {method} ");
    let requests = log.split("[SIP] FROM ").skip(1).filter(|m| {
        m.lines().next().is_some_and(|l| l.contains(&begin)) && m.contains("\n\tSecurity-Verify:")
    });
    let vias = requests.filter_map(|m| m.split_once("Via: SIP/2.0/")?.1.lines().next());
    let mut known = HashSet::new();
    vias.filter(|via| known.insert(*via)).map(|via| &via[..3]).collect()
}

#[test]
fn every_pair_of_algorithms_registers_texts_and_leaves_by_every_way() {
    assert_eq!(Suite::all().count(), PAIRS);
    let mut scene = Scene::new("pairs", 1, USERS);
    let (mut registers, mut texts) = (Vec::new(), Vec::new());
    for v6 in [false, true] {
        for suite in Suite::all() {
            for (register, other, how) in WAYS {
                let (alg, ealg) = (suite.integrity().name(), suite.encryption().name());
                let case = format!("{alg} {ealg} v6 {v6} {register} {other}");
                let options = [MILENAGE, REQUIRED, &["--ipsec-alg", alg, "--ipsec-ealg", ealg], how].concat();
                let script = "register; expect registered ipsec; sms 666 hello; wait sms; expect sms hello; deregister";
                scene.seen(0);
                let text = scene.phone(0, v6, &options, script).succeeds();
                assert!(text.ends_with("\nderegistered"), "{case}: {text}");
                assert_protected(&scene.seen(0), &case);
                scene.network.phones[0].phone.assert_empty();
                // the log is written a moment later
                registers.extend([register; 2]);
                // the text, and the report on its echo
                texts.extend([other; 2]);
                until(&format!("{case}: two protected REGISTERs and MESSAGEs are in the log"), || {
                    let log = scene.ims.log();
                    let by = |method| transports(&log, method);
                    (by("REGISTER"), by("MESSAGE")) == (registers.clone(), texts.clone())
                });
            }
        }
    }
    scene.ends_clean();
}

#[test]
fn with_all_algorithms_offered_each_kind_of_card_calls_the_echo() {
    let mut scene = Scene::new("echo", 1, USERS);
    for v6 in [false, true] {
        for (who, how, digest) in [
            (MILENAGE, WAYS[0], "AKAv1-MD5"),
            // CK and IK protect as they are, whichever version the answer is of (TS 33.203 annex I)
            (XOR, WAYS[1], "AKAv2-MD5"),
            (TUAK, WAYS[2], "AKAv2-SHA-256"),
        ] {
            let case = format!("{} v6 {v6} {how:?} {digest}", who[1]);
            let from = scene.ims.log().len();
            let script = "register; call 666 0.5; expect rtp-loss = 0; expect rtp-received > 10; expect echo = 100; deregister";
            scene.seen(0);
            let options = [who, REQUIRED, how.2, &["--digest", digest]].concat();
            let text = scene.phone(0, v6, &options, script).succeeds();
            assert!(text.ends_with("\nderegistered"), "{case}: {text}");
            scene.ims.log_with(from, &format!("authenticated ({digest})"));
            let seen = scene.seen(0);
            assert_protected(&seen, &case);
            assert!(count(&seen, Kind::Media) > 2 * 10, "{case}: media goes beside ESP: {seen:#?}");
        }
    }
    scene.ends_clean();
}

#[test]
fn two_phones_call_and_text_each_other_through_sets_of_their_own() {
    let mut scene = Scene::new("two", 2, USERS);
    for v6 in [false, true] {
        for (caller_how, callee_how) in [(WAYS[0], WAYS[1]), (WAYS[1], WAYS[2])] {
            let case = format!("v6 {v6} {caller_how:?} {callee_how:?}");
            (0..2).for_each(|i| drop(scene.seen(i)));
            // longer than a short message, with characters of two septets and of two UTF-16 units
            let (long, emoji) =
                ("do you hear me {€}? ".repeat(20) + "!", "Grüße 😀, 你好; ".repeat(12) + "!");
            let script = format!(
                "register; auto-answer on; wait sms; expect sms \"{long}\"; sms 600 \"{emoji}\"; wait ended 60; \
                 expect rtp-lost 0; expect rtp-received > 10; deregister"
            );
            let mut callee = scene.phone(1, v6, &[TUAK, REQUIRED, callee_how.2].concat(), &script);
            callee.until("registered as");
            let script = format!(
                "register; sms 604 \"{long}\"; expect code 202; wait sms; expect sms \"{emoji}\"; call 604 0.5; \
                 expect rtp-loss = 0; expect rtp-received > 10; deregister"
            );
            let caller = scene.phone(0, v6, &[XOR, REQUIRED, caller_how.2].concat(), &script);
            caller.succeeds();
            callee.succeeds();
            for i in 0..2 {
                let seen = scene.seen(i);
                assert_protected(&seen, &case);
                assert!(count(&seen, Kind::Media) > 2 * 10, "{case}: {seen:#?}");
            }
        }
    }
    scene.ends_clean();
}

#[test]
fn a_refresh_keeps_the_set_and_a_challenged_one_makes_a_new_set() {
    // the second user's every REGISTER is challenged
    let users =
        USERS.replace("[\"001010000000004\", ", "[{ impu: \"001010000000004\", reauthenticate: true }, ");
    assert_ne!(users, USERS);
    let mut scene = Scene::new("fresh", 2, &format!("{users} binding_expires: 16,"));
    for (v6, how) in [(false, WAYS[0]), (true, WAYS[1])] {
        let case = format!("v6 {v6} {how:?}");
        (0..2).for_each(|i| drop(scene.seen(i)));
        let script = "register; wait sms 120; deregister";
        let start = |i: usize, who: &[&str]| scene.phone(i, v6, &[who, REQUIRED, how.2].concat(), script);
        let (mut kept, mut renewed) = (start(0, MILENAGE), start(1, TUAK));
        kept.until("registered as");
        renewed.until("registered as");
        let spis = |scene: &mut Scene, i: usize| {
            let ip = scene.network.phones[i].phone.address(v6);
            let states = scene.network.core.xfrm.states().unwrap();
            states.iter().filter(|s| s.id.destination == ip).map(|s| s.id.spi).collect::<Vec<_>>()
        };
        let before = [spis(&mut scene, 0), spis(&mut scene, 1)];
        assert_eq!([before[0].len(), before[1].len()], [2, 2], "{case}");
        // three refreshes outlive the first registration
        for phone in [&mut kept, &mut renewed] {
            for _ in 0..3 {
                phone.until("registration refreshed for");
            }
        }
        assert_eq!(spis(&mut scene, 0), before[0], "{case}: the same set");
        let now = spis(&mut scene, 1);
        assert!(now.iter().any(|spi| !before[1].contains(spi)), "{case}: new sets: {before:?} {now:?}");
        // each still hears what comes
        for number in ["603", "604"] {
            let options = [XOR, REQUIRED, how.2].concat();
            scene.phone(0, v6, &options, &format!("register; sms {number} hello; deregister")).succeeds();
        }
        for phone in [kept, renewed] {
            assert!(phone.succeeds().ends_with("deregistered"), "{case}");
        }
        let (first, second) = (scene.seen(0), scene.seen(1));
        assert_protected(&second, &case);
        assert_eq!(count(&first, Kind::Other) + count(&second, Kind::Other), 0, "{case}");
    }
    // an old set stays for what was under way in it, but not longer than the IMS is there
    scene.stops_clean();
}

#[test]
fn a_call_goes_on_through_the_sets_that_its_phones_make_meanwhile() {
    let mut scene = Scene::new("renew", 2, USERS);
    for (v6, callee_how, caller_how) in [(false, WAYS[1], WAYS[0]), (true, WAYS[0], WAYS[2])] {
        let case = format!("v6 {v6} {callee_how:?} {caller_how:?}");
        until("the sets of phones that have left go", || scene.states() == 0);
        (0..2).for_each(|i| drop(scene.seen(i)));
        let options = [TUAK, REQUIRED, callee_how.2].concat();
        let script = "register; auto-answer on; wait ended 90; expect rtp-lost 0; sms 600 bye; deregister";
        let mut callee = scene.phone(1, v6, &options, script);
        callee.until("registered as");
        let options = [XOR, REQUIRED, caller_how.2].concat();
        let script = "register; call 604; wait answered; wait sms 90; hangup; wait ended; expect rtp-loss = 0; wait sms; \
                      expect sms bye; deregister";
        let mut caller = scene.phone(0, v6, &options, script);
        caller.until("is answered");
        // each is told by its reg event, and comes at half of the time
        for who in ["tel:600", "604"] {
            scene.ims.monitor(&["reauthenticate", who, "20"]);
        }
        caller.until("registration refreshed for");
        callee.until("registration refreshed for");
        assert_eq!(scene.states(), 2 * 2 * 4, "{case}: the old sets beside the new ones");
        // what comes, the call's end and the text go through the new ones
        let third = [MILENAGE, REQUIRED].concat();
        scene.phone(0, v6, &third, "register; sms 600 \"that is all\"; deregister").succeeds();
        caller.succeeds();
        callee.succeeds();
        // the other machine's wire has seen two phones register
        assert_protected(&scene.seen(1), &case);
        assert_eq!(count(&scene.seen(0), Kind::Other), 0, "{case}");
    }
    scene.ends_clean();
}
