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
