//! An IMS that may not do IPsec, because it lacks the capability.

use crate::people::{ALICE, CLEAR, MILENAGE, REQUIRED, USERS};
use crate::program::Rights;
use crate::scene::Scene;

#[test]
fn without_the_capability_it_starts_says_what_is_missing_and_serves_who_needs_no_ipsec() {
    let scene = Scene::with("lack", 1, Rights::NoNetAdmin, USERS);
    let banner = scene.ims.banner();
    let lines: Vec<&str> = banner.lines().filter(|l| l.contains("CAP_NET_ADMIN")).collect();
    assert_eq!(lines.len(), 1, "one line says it: {banner}");
    for v6 in [false, true] {
        for how in ["--udp", "--tcp"] {
            for who in [ALICE, MILENAGE] {
                let options = [who, CLEAR, &[how]].concat();
                scene.phone(0, v6, &options, "register; deregister").succeeds();
            }
            // who can do without does without
            let options = [MILENAGE, &[how, "--ipsec", "optional"]].concat();
            scene.phone(0, v6, &options, "register; call 666 0.3; expect echo = 100; deregister").succeeds();
            // who cannot is told
            let options = [MILENAGE, REQUIRED, &[how]].concat();
            let text = scene.phone(0, v6, &options, "register").fails();
            assert!(text.contains("420"), "{text}");
        }
    }
    let log = scene.ends_clean();
    let lines: Vec<&str> = log.lines().filter(|l| l.contains("[IPSEC]")).collect();
    assert!(matches!(lines[..], [only] if only.contains("CAP_NET_ADMIN")), "{lines:?}");
}
