//! What a registration over IPsec must not let through: answers that do not verify, agreements that were changed, requests from
//! elsewhere, and a kernel that has something in the way.

use crate::client::{Challenge, Client};
use crate::network::until;
use crate::people::{Card, cards};
use crate::scene::Scene;
use crate::seen::{Kind, count};
use imsbox::proto::sip::sec_agree::{Encryption, Integrity, Suite};
use platform::xfrm::{
    Action, Bound, Direction, Lifetime, Policy, Protection, Replay, State, StateId, Template, Traffic,
};
use std::net::SocketAddr;

fn suite() -> Suite {
    Suite::new(Integrity::HmacSha1_96, Encryption::AesCbc).unwrap()
}

/// An IMS with a few cards, and a network to it.
fn scene(name: &str) -> Scene {
    Scene::new(name, 1, &cards(&[0, 1, 2].map(Card::number)))
}

/// A phone with a card of the IMS, or what says so.
fn client(scene: &Scene, v6: bool, card: Card) -> Client {
    let phone = &scene.network.phones[0].phone;
    Client::new(phone, phone.address(v6), scene.network.core.address(v6), card, suite())
}

fn is_registered(scene: &Scene, card: &Card) -> bool {
    let users = scene.ims.monitor(&["users"]);
    let line = users.lines().find(|l| l.starts_with(&card.imsi)).unwrap_or_else(|| panic!("{users}"));
    !line.contains("not registered")
}

/// The card's associations end, the phone's at once.
fn gone(scene: &mut Scene, client: &mut Client, challenge: &Challenge) {
    client.unprotect(challenge);
    until("the IMS's associations go", || scene.states() == 0);
}

#[test]
fn a_phone_made_by_hand_registers_and_a_replayed_answer_gets_nobody_in() {
    let scene = scene("replay");
    for v6 in [false, true] {
        let mut phone = client(&scene, v6, Card::number(0));
        let challenge = phone.challenge();
        phone.protect(&challenge);
        let authorization = phone.authorization(&challenge, &challenge.res);
        let request = phone.second_register(&authorization, &challenge.security_server, 600);
        assert_eq!(phone.ask(&challenge, &request).status, 200);
        assert!(is_registered(&scene, &phone.card));
        // somebody who has seen the answer, at another port of the same machine, in clear
        let mut thief = client(&scene, v6, Card::number(0));
        let request = thief.first_register(&authorization);
        let reply = thief.ask_clear(&request);
        assert_ne!(reply.status, 200, "{}", reply.text);
        assert_eq!(scene.ims.monitor(&["users"]).matches("Binding").count(), 1);
        // the phone leaves, as it came
        let request = phone.second_register(&authorization, &challenge.security_server, 0);
        assert_eq!(phone.ask(&challenge, &request).status, 200);
        assert!(!is_registered(&scene, &phone.card));
        phone.unprotect(&challenge);
    }
}

#[test]
fn a_wrong_response_in_the_set_registers_nobody_and_is_named() {
    let mut scene = scene("res");
    let mut phone = client(&scene, false, Card::number(0));
    let challenge = phone.challenge();
    phone.protect(&challenge);
    let authorization = phone.authorization(&challenge, b"not this");
    let request = phone.second_register(&authorization, &challenge.security_server, 600);
    let reply = phone.ask(&challenge, &request);
    assert!([401, 403].contains(&reply.status), "{}", reply.text);
    assert!(!is_registered(&scene, &phone.card));
    scene.ims.log_with(0, "RES does not match");
    gone(&mut scene, &mut phone, &challenge);
}

#[test]
fn a_security_verify_that_is_not_what_was_sent_is_refused_and_the_set_goes() {
    let mut scene = scene("verify");
    for v6 in [false, true] {
        let mut phone = client(&scene, v6, Card::number(1));
        let challenge = phone.challenge();
        phone.protect(&challenge);
        let authorization = phone.authorization(&challenge, &challenge.res);
        let changed = challenge.security_server.replace("hmac-sha-1-96", "hmac-md5-96");
        assert_ne!(changed, challenge.security_server);
        let request = phone.second_register(&authorization, &changed, 600);
        let reply = phone.ask(&challenge, &request);
        assert_eq!(reply.status, 494, "{}", reply.text);
        assert!(!is_registered(&scene, &phone.card));
        scene.ims.log_with(0, "Security-Verify differs");
        gone(&mut scene, &mut phone, &challenge);
    }
}

#[test]
fn a_phone_with_another_key_is_told_by_the_kernels_counters() {
    let mut scene = scene("key");
    let card = Card { k: *b"not the same key", ..Card::number(2) };
    let mut phone = client(&scene, false, card);
    let challenge = phone.challenge();
    phone.protect(&challenge);
    let authorization = phone.authorization(&challenge, &challenge.res);
    let request = phone.second_register(&authorization, &challenge.security_server, 600);
    // it sends it again as it gets no answer
    (0..3).for_each(|_| phone.send(&challenge, &request));
    let failed = |scene: &mut Scene| -> u32 {
        let states = scene.network.core.xfrm.states().unwrap();
        states.iter().map(|s| s.counters.integrity_failed).sum()
    };
    until("the kernel counts it", || failed(&mut scene) == 3);
    assert!(!is_registered(&scene, &phone.card));
    phone.unprotect(&challenge);
    // it tries again, and the set that came to nothing goes with what was counted in it
    let challenge = phone.challenge();
    scene.ims.log_with(0, "have a wrong integrity check: the phone has other keys");
    phone.protect(&challenge);
    phone.unprotect(&challenge);
}

#[test]
fn an_answer_to_a_challenge_that_was_never_made_gets_a_challenge_or_nothing() {
    let scene = scene("never");
    let mut phone = client(&scene, true, Card::number(0));
    let mut challenge = phone.challenge();
    for (nonce, res) in [("AAAA", &b"x"[..]), ("", b""), (&"/".repeat(600), &[0xff; 40])] {
        challenge.nonce = nonce.to_owned();
        let authorization = phone.authorization(&challenge, res);
        let request = phone.first_register(&authorization);
        let reply = phone.ask_clear(&request);
        assert!([400, 401, 403].contains(&reply.status), "{}", reply.text);
    }
    assert!(!is_registered(&scene, &phone.card));
}

#[test]
fn what_comes_in_clear_from_a_protected_phones_address_has_no_effect() {
    let mut scene = scene("forged");
    for v6 in [false, true] {
        let mut phone = client(&scene, v6, Card::number(0));
        let challenge = phone.register();
        scene.seen(0);
        let port = phone.clear_port();
        for method in ["INVITE", "MESSAGE", "SUBSCRIBE", "BYE"] {
            // a SUBSCRIBE is for the phone's own registration
            let other = if method == "SUBSCRIBE" { 0 } else { 1 };
            let uri = Card::number(other).impu();
            let request = phone.request(method, &uri, port, "Event: reg\r\n");
            let reply = phone.ask_clear(&request);
            // there is no dialog that a BYE could end
            let expected = if method == "BYE" { 481 } else { 403 };
            assert_eq!(reply.status, expected, "{method}: {}", reply.text);
        }
        assert!(!scene.ims.monitor(&["users"]).contains("Dialog"), "{}", scene.ims.monitor(&["users"]));
        let seen = scene.seen(0);
        assert_eq!((count(&seen, Kind::Esp), count(&seen, Kind::Sip)), (0, 8), "{seen:#?}");
        // also a REGISTER that wants to end the registration changes nothing without an answer to its challenge
        let mut forger = client(&scene, v6, Card::number(0));
        let authorization = forger.nobody();
        let end = forger.first_register(&authorization).replace("Expires: 600", "Expires: 0");
        assert_eq!(forger.ask_clear(&end).status, 401);
        // nor with the SPIs and ports that everybody has read in the phone's first one
        let again = phone.first_register(&authorization);
        let reply = phone.ask_clear(&again);
        assert!(reply.status >= 400 && reply.status != 401, "{}", reply.text);
        assert!(is_registered(&scene, &phone.card));
        let authorization = phone.authorization(&challenge, &challenge.res);
        let request = phone.second_register(&authorization, &challenge.security_server, 0);
        assert_eq!(phone.ask(&challenge, &request).status, 200, "the phone is served as before");
        phone.unprotect(&challenge);
    }
}

/// What somebody else's policy protects with.
fn foreign(traffic: &Traffic) -> Policy {
    let template = Template { source: traffic.from.ip(), destination: traffic.to.ip(), spi: 0, reqid: 77 };
    Policy { action: Action::Protect(template), priority: 1, ..traffic.policy(Lifetime::ENDLESS) }
}

#[test]
fn what_is_in_the_way_in_the_kernel_makes_no_challenge_without_associations() {
    let mut scene = scene("taken");
    // the ports: somebody's policy is there already for the phone's ports and those that the IMS would take
    let mut first = client(&scene, false, Card::number(0));
    let registered = first.register();
    let mut phone = client(&scene, false, Card::number(1));
    let (here, there) = (scene.network.core.v4, scene.network.phones[0].phone.v4);
    let (ps, pc) = (registered.server.port_s, registered.server.port_c);
    let mut placed = Vec::new();
    for (ours, theirs) in [(ps, phone.own.port_c), (pc, phone.own.port_s)] {
        let (ours, theirs) = (SocketAddr::new(here, ours), SocketAddr::new(there, theirs));
        let out = Traffic { direction: Direction::Out, from: ours, to: theirs, spi: 0, reqid: 77 };
        let inward = Traffic { direction: Direction::In, from: theirs, to: ours, ..out };
        for traffic in [out, inward] {
            scene.network.core.xfrm.add_policy(&foreign(&traffic)).unwrap();
            placed.push(foreign(&traffic));
        }
    }
    let before = scene.states();
    let authorization = phone.nobody();
    let request = phone.first_register(&authorization);
    let reply = phone.ask_clear(&request);
    match reply.status {
        // other ports were free
        401 => {
            assert_eq!(scene.states(), before + 4, "{}", reply.text);
            let challenge = Challenge::of(&reply, &phone.card);
            assert_ne!((challenge.server.port_c, challenge.server.port_s), (pc, ps));
            phone.protect(&challenge);
            let authorization = phone.authorization(&challenge, &challenge.res);
            let request = phone.second_register(&authorization, &challenge.security_server, 600);
            assert_eq!(phone.ask(&challenge, &request).status, 200);
            phone.unprotect(&challenge);
        }
        status => {
            assert!((500..600).contains(&status), "{}", reply.text);
            assert_eq!(scene.states(), before);
        }
    }
    for policy in placed {
        assert!(scene.network.core.xfrm.delete_policy(&policy).unwrap(), "somebody else's is still there");
    }

    // the phone's own SPI: nothing that the IMS could draw anew
    let mut phone = client(&scene, false, Card::number(2));
    let keys = suite().keys(&[1; 16], &[2; 16]);
    let Protection { algorithms, lifetime } = crate::wire::protection(suite(), &keys, Lifetime::ENDLESS);
    let id = StateId { source: here, destination: there, spi: phone.own.spi_s };
    let bound = Bound::default();
    let state =
        State { id, reqid: 77, algorithms, lifetime, replay_window: 0, replay: Replay::default(), bound };
    scene.network.core.xfrm.add_state(&state).unwrap();
    let before = scene.states();
    let authorization = phone.nobody();
    let request = phone.first_register(&authorization);
    let reply = phone.ask_clear(&request);
    assert!((500..600).contains(&reply.status), "{}", reply.text);
    assert_eq!((scene.states(), reply.header("Security-Server")), (before, ""), "{}", reply.text);
    assert!(scene.network.core.xfrm.delete_state(&id, bound).unwrap());
    // with that out of the way it is served
    let challenge = phone.register();
    phone.unprotect(&challenge);
    first.unprotect(&registered);
}
