//! An IMS that is killed and started again: what it left in the kernel goes, what others have there stays, and phones come back.

use crate::network::until;
use crate::people::{MILENAGE, TUAK, USERS};
use crate::scene::Scene;
use crate::wire::{CK, IK, protection};
use imsbox::proto::sip::sec_agree::{Encryption, Integrity, Suite};
use platform::xfrm::{Direction, Lifetime, Traffic};
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
        let options = [crate::people::XOR, &options[..]].concat();
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

/// Lets phones register, ends the IMS by `end`, starts it again, and has another phone text the first ones: through the associations
/// that they have, without another REGISTER of theirs. Their refreshes are taken without a challenge.
fn phones_stay(name: &str, end: impl FnOnce(&mut Scene)) {
    // 20 s: the refresh comes within the test
    let properties = format!("{USERS} binding_expires: 20, ue_db_filename: \"state.db\",");
    let mut scene = Scene::new(name, 3, &properties);
    let script = "register; wait sms 300; wait sms 300; deregister";
    let options = ["--ipsec", "required", "--timer-t1", "100"];
    let mut phones: Vec<_> = STAYING
        .iter()
        .map(|s| scene.phone(s.phone, s.v6, &[s.who, &options, s.more].concat(), script))
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
    let same = |scene: &mut Scene| {
        let now = scene.network.core.xfrm.states().unwrap();
        before.iter().all(|id| now.iter().any(|s| s.id == *id))
    };
    assert!(same(&mut scene), "the same associations: {}", scene.ims.banner());
    let text = |scene: &Scene, number: &str| {
        let script = format!("register; sms {number} hello; deregister");
        scene.phone(2, false, &[crate::people::XOR, &options[..]].concat(), &script).succeeds();
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
    });
}

#[test]
fn phones_behind_ipsec_are_reached_after_a_crash_that_the_kernel_did_not_survive() {
    phones_stay("stay-lost", |scene| {
        scene.ims.kill();
        scene.network.core.xfrm.flush().unwrap();
    });
}
