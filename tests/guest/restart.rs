//! An IMS that is killed and started again: what it left in the kernel goes, what others have there stays, and phones come back.

use crate::network::until;
use crate::people::{MILENAGE, TUAK, USERS, XOR};
use crate::program::Program;
use crate::scene::Scene;
use crate::seen::{Kind, count};
use crate::wire::{CK, IK, protection};
use imsbox::ims::security::limits::NUMBERS_AHEAD;
use imsbox::proto::sip::sec_agree::{Encryption, Integrity, Suite};
use platform::xfrm::{Direction, Lifetime, Traffic};
use serde_json::Value;
use std::net::SocketAddr;

#[test]
fn a_killed_ims_cleans_up_what_it_left_and_nothing_else_and_its_phones_come_back() {
    let mut scene = Scene::new("killed", 2, &format!("{USERS} binding_expires: 20,"));
    // somebody else's association with the same machines, with a number of theirs
    let (from, to) = (scene.network.core.v4, scene.network.phones[0].phone.v4);
    let foreign = Traffic {
        direction: Direction::Out,
        from: SocketAddr::new(from, 4000),
        to: SocketAddr::new(to, 4001),
        spi: 0x00c0_ffee,
        reqid: 42,
    };
    let suite = Suite::new(Integrity::HmacSha1_96, Encryption::AesCbc).unwrap();
    let keys = suite.keys(&CK, &IK);
    scene.network.core.xfrm.install(&[foreign], &protection(suite, &keys, Lifetime::ENDLESS)).unwrap();

    let script = "register; wait sms 60; deregister";
    let options = ["--ipsec", "required", "--timer-t1", "100"];
    let mut first = scene.phone(0, false, &[MILENAGE, &options].concat(), script);
    let mut second = scene.phone(1, true, &[TUAK, &options, &["--tcp"]].concat(), script);
    first.until("registered as");
    second.until("registered as");
    assert_eq!(scene.states(), 2 * 4 + 1);
    let stale: Vec<u32> = scene.network.core.xfrm.states().unwrap().iter().map(|s| s.id.spi).collect();

    scene.ims.kill();
    assert_eq!(scene.states(), 2 * 4 + 1, "nobody was there to remove them");
    scene.ims.run(&scene.network.core);
    let left = scene.network.core.xfrm.states().unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((left[0].id, left[0].reqid), (foreign.state_id(), foreign.reqid));
    let policies = scene.network.core.xfrm.policies().unwrap();
    assert_eq!(policies.iter().filter(|p| p.selector.source_port == Some(4000)).count(), 1, "{policies:?}");

    // nobody tells the phones
    first.until("registered as");
    second.until("registered as");
    let now = scene.network.core.xfrm.states().unwrap();
    assert_eq!(now.len(), 2 * 4 + 1, "{now:?}");
    assert!(now.iter().all(|s| s.id == foreign.state_id() || !stale.contains(&s.id.spi)));
    // and what is for them reaches them
    for number in ["603", "604"] {
        let script = format!("register; sms {number} hello; deregister");
        let options = [XOR, &options[..]].concat();
        scene.phone(0, false, &options, &script).succeeds();
    }
    first.succeeds();
    second.succeeds();
    until("all but the foreign one go", || scene.states() == 1);
    assert_eq!(scene.network.core.xfrm.remove(&[foreign]).unwrap().states, 1);
    scene.ends_clean();
}

/// A phone that stays registered over a restart of the IMS, and is called then: its machine, how it talks, what it is.
struct Stays {
    phone: usize,
    v6: bool,
    who: &'static [&'static str],
    more: &'static [&'static str],
    impi: &'static str,
    number: &'static str,
}

const STAYING: [Stays; 2] = [
    Stays {
        phone: 0,
        v6: false,
        who: MILENAGE,
        more: &["--ipsec-ealg", "aes-cbc"],
        impi: "001010000000003@ims.mnc001.mcc001.3gppnetwork.org",
        number: "603",
    },
    Stays {
        phone: 1,
        v6: true,
        who: TUAK,
        more: &["--ipsec-ealg", "aes-gcm", "--tcp"],
        impi: "001010000000004@ims.mnc001.mcc001.3gppnetwork.org",
        number: "604",
    },
];

/// How phones register here.
const OPTIONS: [&str; 4] = ["--ipsec", "required", "--timer-t1", "100"];

/// Lets phones register for so many seconds, ends the IMS by `end`, and starts it again: the associations are the same. Gives what runs, and
/// where in the log the second run begins.
fn restarted(
    name: &str,
    expires: u32,
    script: &str,
    end: impl FnOnce(&mut Scene),
) -> (Scene, Vec<Program>, usize) {
    let properties = format!("{USERS} binding_expires: {expires}, ue_db_filename: \"state.db\",");
    let mut scene = Scene::new(name, 3, &properties);
    let mut phones: Vec<_> = STAYING
        .iter()
        .map(|s| scene.phone(s.phone, s.v6, &[s.who, &OPTIONS, s.more].concat(), script))
        .collect();
    for phone in &mut phones {
        phone.until("registered as");
    }
    let before: Vec<_> = scene.network.core.xfrm.states().unwrap().iter().map(|s| s.id).collect();
    assert_eq!(before.len(), 8);
    // a phone that says so has its 200, which has waited for the disk
    let mut records = String::new();
    until("the state file can be read", || {
        records = scene.ims.records();
        !records.is_empty()
    });
    for kind in ["\"binding/", "\"association/"] {
        assert_eq!(records.matches(kind).count(), STAYING.len(), "{records}");
    }
    end(&mut scene);
    let from = scene.ims.log().len();
    scene.ims.run(&scene.network.core);
    let now = scene.network.core.xfrm.states().unwrap();
    let is_there = before.iter().all(|id| now.iter().any(|s| s.id == *id));
    assert!(is_there, "the same associations: {}", scene.ims.banner());
    (scene, phones, from)
}

/// After the restart another phone texts the ones that were registered: through the associations that they have, without another REGISTER
/// of theirs. Their refreshes are taken without a challenge.
fn phones_stay(name: &str, end: impl FnOnce(&mut Scene)) {
    // 20 s: the refresh comes within the test
    let script = "register; wait sms 300; wait sms 300; deregister";
    let (mut scene, phones, from) = restarted(name, 20, script, end);
    let text = |scene: &Scene, number: &str| {
        let script = format!("register; sms {number} hello; deregister");
        scene.phone(2, false, &[XOR, &OPTIONS[..]].concat(), &script).succeeds();
    };
    STAYING.iter().for_each(|s| text(&scene, s.number));
    // half of the registration is over, and the phones refresh it
    for s in &STAYING {
        scene.ims.log_with(from, &format!("Register {}: refreshed", s.impi));
        text(&scene, s.number);
    }
    for phone in phones {
        phone.succeeds();
    }
    for s in &STAYING {
        let log = scene.ims.log_with(from, &format!("Unregister {}", s.impi));
        let offered = log.lines().filter(|line| line.contains(&format!("{}: offered", s.impi))).count();
        assert_eq!(offered, 0, "{} was challenged:\n{log}", s.impi);
    }
    until("all associations go", || scene.states() == 0);
    scene.ends_clean();
}

#[test]
fn phones_behind_ipsec_are_reached_after_a_crash_through_the_associations_that_the_kernel_still_has() {
    phones_stay("stay-crash", |scene| scene.ims.kill());
}

#[test]
fn phones_behind_ipsec_are_reached_after_a_clean_stop_which_leaves_nothing_in_the_kernel() {
    phones_stay("stay-stop", |scene| {
        scene.ims.stop();
        scene.network.core.assert_empty();
        // the file has what the kernel had counted, not what is written off for a crash
        let records: Value = serde_json::from_str(&scene.ims.records()).unwrap();
        let sets = records.as_object().unwrap().iter().filter(|(key, _)| key.starts_with("association/"));
        let numbers: Vec<&Value> = sets.map(|(_, set)| &set["numbers"]).collect();
        assert_eq!(numbers.len(), STAYING.len());
        for of_set in numbers {
            // what came in at the server port has begun with the REGISTER that answers the challenge
            let (sent, received) = (of_set[2][0].as_u64().unwrap(), of_set[0][1].as_u64().unwrap());
            assert!(sent < NUMBERS_AHEAD.into() && received > 0, "{of_set}");
        }
    });
}

#[test]
fn phones_behind_ipsec_are_reached_after_a_crash_that_the_kernel_did_not_survive() {
    phones_stay("stay-lost", |scene| {
        scene.ims.kill();
        scene.network.core.xfrm.flush().unwrap();
    });
}

/// After the restart another phone calls the ones that were registered: the INVITE goes through the associations that they have, they
/// answer there, and both hear each other. None of them sends a REGISTER, and nothing goes in clear.
fn phones_are_called(name: &str, end: impl FnOnce(&mut Scene)) {
    // 600 s: no refresh comes within the test
    let script = "register; auto-answer on; wait ended 300; expect rtp-loss = 0; expect rtp-received > 0";
    let (mut scene, phones, from) = restarted(name, 600, script, end);
    (0..STAYING.len()).for_each(|phone| drop(scene.seen(phone)));
    for s in &STAYING {
        let script = format!(
            "register; call {} 2; expect rtp-loss = 0; expect rtp-received > 0; deregister",
            s.number
        );
        scene.phone(2, s.v6, &[XOR, &OPTIONS[..]].concat(), &script).succeeds();
    }
    // they end without leaving
    for phone in phones {
        phone.succeeds();
    }
    for s in &STAYING {
        let seen = scene.seen(s.phone);
        let [sip, esp, media] = [Kind::Sip, Kind::Esp, Kind::Media].map(|kind| count(&seen, kind));
        assert!(sip == 0 && esp > 0 && media > 1, "{}: {seen:#?}", s.impi);
        let log = &scene.ims.log()[from..];
        assert!(!log.contains(&format!("Register {}", s.impi)), "{} has registered anew:\n{log}", s.impi);
    }
    scene.stops_clean();
}

#[test]
fn phones_behind_ipsec_are_called_after_a_crash_and_answer_through_the_associations_that_they_have() {
    phones_are_called("call-crash", |scene| scene.ims.kill());
}

#[test]
fn phones_behind_ipsec_are_called_after_a_crash_that_the_kernel_did_not_survive() {
    phones_are_called("call-lost", |scene| {
        scene.ims.kill();
        scene.network.core.xfrm.flush().unwrap();
    });
}
