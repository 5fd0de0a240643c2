//! What strangers can do to a phone with IPsec, having read what passed in clear: nothing.

use super::ipsec::{Guarded, NONE, install, lab, lab_of, remove, stages, taken};
use super::watcher::{Watcher, one};
use super::{Lab, config, udp};
use crate::config::model::AuthentType;
use crate::ims::security::Stage;

/// A host that has nothing to do with bob's phone.
const ELSEWHERE: &str = "10.0.0.9:5060";

fn registered() -> (Lab, Guarded) {
    let (mut lab, mut bob) = (lab(), Guarded::new());
    assert_eq!(bob.register(&mut lab).status(), 200);
    (lab, bob)
}

#[test]
fn what_a_phone_watches_through_ipsec_is_not_moved_to_the_clear() {
    let (mut lab, bob) = registered();
    let mut watcher = Watcher::subscribed(&mut lab, &bob.phone, 600);
    let protected = watcher.flow;
    watcher.flow = udp("10.0.0.2:31113");
    let refused = watcher.refused(&mut lab, "Event: reg\r\nExpires: 600\r\n");
    assert_eq!(refused.status(), 403);
    watcher.flow = protected;
    let (ok, notify) = watcher.subscribe(&mut lab, "Event: reg\r\nExpires: 600\r\n");
    assert_eq!((ok.status(), notify.flow.remote.port()), (200, 31113));
    assert_ne!(notify.flow.local, udp("10.0.0.2:31113").local);
    watcher.answer(&mut lab, &notify, 200);
    let told =
        lab.with(|core, cx| core.unregister(cx, "tel:0600000002", crate::ims::registrar::Gone::Rejected)).1;
    assert_eq!(one(told).flow.local, notify.flow.local);
}

#[test]
fn what_anybody_may_have_answered_in_clear_leaves_the_challenge_to_the_phone() {
    let (mut lab, mut bob) = (lab(), Guarded::new());
    let challenge = bob.challenged(&mut lab);
    taken(&mut lab);
    let mut liar = super::auth::bob();
    let right = liar.authorization(&challenge, "REGISTER", "sip:ims.test");
    let response = super::phone::param(
        crate::proto::sip::digest::digest_params(right.trim_end().split_once(": ").unwrap().1.as_bytes())
            .unwrap(),
        "response",
    );
    let auts = "AAAAAAAAAAAAAAAAAAA=";
    for (from, authorization) in [
        ("10.0.0.2:5060", right.replace(&response, "00000000000000000000000000000000")),
        ("10.0.0.2:5060", right.replace("\r\n", &format!(",auts=\"{auts}\"\r\n"))),
        (ELSEWHERE, right.replace(&response, "")),
        (ELSEWHERE, right.replace("\r\n", &format!(",auts=\"{auts}\"\r\n"))),
    ] {
        for _ in 0..20 {
            liar.address = from.into();
            assert_eq!(liar.ask(&mut lab, &authorization).status(), 403, "{from} {authorization}");
        }
    }
    assert_eq!(stages(&lab), [Stage::Offered]);
    let headers = bob.offer() + &bob.verify();
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 200);
}

#[test]
fn a_host_that_has_challenges_made_for_others_pushes_out_none_but_its_own() {
    let (mut lab, mut bob) = (lab(), Guarded::new());
    let challenge = bob.challenged(&mut lab);
    for n in 0..40 {
        let mut other = Guarded::new();
        other.phone.address = ELSEWHERE.into();
        (other.client, other.server, other.spi) =
            (20_000 + 2 * n, 20_001 + 2 * n, 100_000 + 2 * u32::from(n));
        let text = other.phone.register_text(&other.offer());
        lab.on_sip(other.phone.flow(), text);
        let commands = lab.kernel.clone();
        install(&mut lab);
        lab.kernel = commands;
        remove(&mut lab, NONE);
    }
    assert_eq!(stages(&lab), [Stage::Offered; 8]);
    let headers = bob.offer() + &bob.verify();
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 200);
}

#[test]
fn associations_prove_the_identity_of_their_user_and_of_nobody_else() {
    let mut config = config();
    config.users[0].authent_type = AuthentType::None;
    let mut lab = lab_of(config);
    let mut bob = Guarded::new();
    bob.register(&mut lab);
    assert_eq!(bob.refresh(&mut lab, "Expires: 0\r\n")[0].status(), 200);
    assert_eq!(stages(&lab), [Stage::Leaving]);
    bob.phone.aor = "sip:alice@ims.test".into();
    let text = bob.phone.request("MESSAGE", "tel:666", "tel:666", "Content-Type: text/plain\r\n");
    assert_eq!(lab.ask(bob.phone.flow(), text).status(), 403);
}
