//! Emergency registrations beside the normal ones, and who may call for help from where (TS 24.229 5.1.6, 5.2.10, 5.4.8).

use super::auth::bob;
use super::ipsec::{Guarded, lab_of};
use super::phone::{Phone, Secret};
use super::{Lab, config, udp};
use crate::base::time::Duration;
use crate::config::model::{Config, Emergency, Impu};
use crate::ims::registrar::Gone;
use crate::ims::security::Stage;

const INSTANCE: &str = "+sip.instance=\"<urn:gsma:imei:35693803-564380-0>\"";

fn with_service(anonymous: bool, authentication: bool) -> Config {
    let mut config = config();
    let mut service = Impu::new("urn:service:sos");
    (service.anonymous, service.authentication) = (anonymous, authentication);
    config.echo.push(service);
    config
}

fn contacts(lab: &Lab, user: usize) -> Vec<(String, bool)> {
    lab.core.user_views(lab.now)[user].bindings.iter().map(|b| (b.uri.clone(), b.sos)).collect()
}

fn of(uris: &[(&str, bool)]) -> Vec<(String, bool)> {
    uris.iter().map(|(uri, sos)| ((*uri).to_owned(), *sos)).collect()
}

#[test]
fn an_emergency_registration_lives_beside_the_normal_one_of_the_phone() {
    let mut lab = Lab::new(config());
    let mut alice = Phone::alice();
    alice.contact = format!("<sip:phone@10.0.0.1:5060>;{INSTANCE}");
    assert_eq!(alice.register(&mut lab, "Expires: 600\r\n").status(), 200);
    let mut sos = Phone::alice();
    sos.contact = format!("<sip:phone@10.0.0.1:5060;sos>;{INSTANCE}");
    let granted = sos.register(&mut lab, "Expires: 1200\r\n");
    assert_eq!(granted.one("P-Associated-URI"), "<sip:alice@ims.test>, <tel:+33600000001>");
    assert!(
        granted.text.contains(";sos>;+sip.instance=\"<urn:gsma:imei:35693803-564380-0>\";expires=1200"),
        "{}",
        granted.text
    );
    let both = of(&[("sip:phone@10.0.0.1:5060", false), ("sip:phone@10.0.0.1:5060;sos", true)]);
    assert_eq!(contacts(&lab, 0), both);
    // each ends in its own time, and each is refreshed for itself
    lab.pass(Duration::from_secs(601));
    assert_eq!(contacts(&lab, 0), of(&[("sip:phone@10.0.0.1:5060;sos", true)]));
    lab.pass(Duration::from_secs(600));
    assert_eq!(contacts(&lab, 0), []);
}

#[test]
fn neither_the_network_nor_a_star_ends_an_emergency_registration_with_the_others() {
    let mut lab = Lab::new(config());
    let unregister =
        |lab: &mut Lab, uri: &str| lab.with(|core, cx| core.unregister(cx, uri, Gone::Deactivated)).0;
    let mut alice = Phone::alice();
    let mut sos = Phone::alice();
    sos.contact = "<sip:phone@10.0.0.1:5060;sos>".into();
    assert_eq!(sos.register(&mut lab, "").status(), 200);
    let only = of(&[("sip:phone@10.0.0.1:5060;sos", true)]);
    assert_eq!(alice.register(&mut lab, "").status(), 200);
    assert_eq!(unregister(&mut lab, "sip:alice@ims.test"), Ok(1));
    assert_eq!(contacts(&lab, 0), only);
    assert_eq!(alice.register(&mut lab, "").status(), 200);
    alice.contact = "*".into();
    assert_eq!(alice.register(&mut lab, "Expires: 0\r\n").status(), 200);
    assert_eq!(contacts(&lab, 0), only);
    let words = unregister(&mut lab, "sip:alice@ims.test").unwrap_err();
    assert!(words.contains("for emergency calls only; name the contact"), "{words}");
    assert_eq!(unregister(&mut lab, "sip:phone@10.0.0.1:5060;sos"), Ok(1));
    assert_eq!(contacts(&lab, 0), []);
}

#[test]
fn an_emergency_registration_cannot_be_given_back_and_can_be_refreshed() {
    let mut lab = Lab::new(config());
    let mut alice = Phone::alice();
    assert_eq!(alice.register(&mut lab, "").status(), 200);
    let mut sos = Phone::alice();
    sos.contact = "<sip:phone@10.0.0.1:5060;sos>".into();
    assert_eq!(sos.register(&mut lab, "Expires: 600\r\n").status(), 200);
    let both = contacts(&lab, 0);
    let refused = sos.register(&mut lab, "Expires: 0\r\n");
    assert_eq!(
        (refused.status(), refused.one("Warning").contains("runs its time")),
        (501, true),
        "{}",
        refused.text
    );
    assert_eq!(contacts(&lab, 0), both);
    // together with the normal one: nothing of it happens
    sos.contact = "<sip:phone@10.0.0.1:5060>,<sip:phone@10.0.0.1:5060;sos>".into();
    assert_eq!(sos.register(&mut lab, "Expires: 0\r\n").status(), 501);
    assert_eq!(contacts(&lab, 0), both);
    sos.contact = "<sip:phone@10.0.0.1:5060;sos>".into();
    lab.pass(Duration::from_secs(300));
    assert_eq!(sos.register(&mut lab, "Expires: 600\r\n").status(), 200);
    lab.pass(Duration::from_secs(500));
    assert_eq!(contacts(&lab, 0).len(), 2, "it was refreshed");
    assert_eq!(alice.register(&mut lab, "Expires: 0\r\n").status(), 200);
    assert_eq!(contacts(&lab, 0), both[1..]);
    lab.pass(Duration::from_secs(101));
    assert_eq!(contacts(&lab, 0), []);
    // what is not there is gone as far as anybody can tell
    assert_eq!(sos.register(&mut lab, "Expires: 0\r\n").status(), 200);
}

#[test]
fn an_emergency_registration_has_security_associations_of_its_own() {
    let mut lab = lab_of(config());
    let mut normal = Guarded::new();
    assert_eq!(normal.register(&mut lab).status(), 200);
    let mut sos = Guarded::new();
    (sos.client, sos.server, sos.spi) = (32112, 32113, 9000);
    let challenge = sos.challenged(&mut lab);
    let headers = sos.offer() + &sos.verify();
    sos.phone.contact = "<sip:phone@10.0.0.2:32113;sos>".into();
    (sos.phone.address, sos.phone.over) = ("10.0.0.2:32113".into(), Some(sos.flow_of(&sos.agreed, false)));
    assert_eq!(sos.phone.answer(&mut lab, &challenge, &headers).status(), 200);
    let both = of(&[("sip:phone@10.0.0.2:31113", false), ("sip:phone@10.0.0.2:32113;sos", true)]);
    assert_eq!(contacts(&lab, 1), both);
    let stages = |lab: &Lab| -> Vec<(Stage, usize)> {
        lab.core.set_views(lab.now).iter().map(|set| (set.stage, set.bindings.len())).collect()
    };
    assert_eq!(stages(&lab), [(Stage::Active, 1), (Stage::Active, 1)]);
    // each is refreshed through its own set
    for phone in [&mut normal, &mut sos] {
        assert_eq!(phone.refresh(&mut lab, "")[0].status(), 200);
        assert_eq!((stages(&lab), contacts(&lab, 1)), (vec![(Stage::Active, 1); 2], both.clone()));
    }
    // the end of the normal one is not the end of the other
    lab.with(|core, cx| core.unregister(cx, "tel:0600000002", Gone::Deactivated))
        .0
        .expect("it is registered");
    assert_eq!(contacts(&lab, 1), both[1..]);
    assert_eq!(stages(&lab), [(Stage::Leaving, 0), (Stage::Active, 1)]);
    assert_eq!(sos.refresh(&mut lab, "")[0].status(), 200);
}

#[test]
fn a_phone_behind_ipsec_calls_for_help_in_clear_where_strangers_may() {
    for anonymous in [true, false] {
        let mut config = with_service(anonymous, false);
        config.users[1].auth_on_register_only = false;
        let mut lab = lab_of(config);
        assert_eq!(Guarded::new().register(&mut lab).status(), 200);
        let mut clear = bob();
        clear.address = "10.0.0.2:5060".into();
        let help = clear.request(
            "INVITE",
            "urn:service:sos",
            "urn:service:sos",
            "Contact: <sip:p@10.0.0.2:5060>\r\n",
        );
        let answers: Vec<u16> = lab.on_sip(clear.flow(), help).iter().map(|s| s.status()).collect();
        assert_eq!(answers.contains(&403), !anonymous, "{answers:?}");
        let normal = clear.request("INVITE", "tel:666", "tel:666", "");
        assert_eq!(lab.ask(clear.flow(), normal).status(), 403, "other calls come through the set");
    }
}

#[test]
fn a_phone_without_name_is_not_taken_for_the_one_beside_it() {
    // users are told to register for emergency calls, others get through
    let mut config = with_service(true, false);
    config.echo[1].emergency = Emergency::Registered;
    let mut lab = Lab::new(config);
    let mut alice = Phone::alice();
    assert_eq!(alice.register(&mut lab, "").status(), 200);
    let nobody = "sip:anonymous@anonymous.invalid";
    for (address, aor, is_alice) in [
        ("10.0.0.1:5060", nobody, true),
        ("10.0.0.1:40000", "sip:alice@ims.test", true),
        ("10.0.0.1:40000", nobody, false),
    ] {
        let mut phone = Phone::new("x", aor, address, Secret::Password(""));
        let contact = format!("Contact: <sip:phone@{address}>\r\n");
        let help = phone.request("INVITE", "urn:service:sos", "urn:service:sos", &contact);
        let answers: Vec<u16> = lab.on_sip(udp(address), help).iter().map(|s| s.status()).collect();
        assert_eq!(answers.contains(&380), is_alice, "{address} {aor}: {answers:?}");
    }
}

#[test]
fn who_calls_for_help_is_not_asked_for_a_password_where_nobody_has_to_prove_anything() {
    for (authentication, first) in [(false, 100), (true, 407)] {
        let mut config = with_service(true, authentication);
        config.users[0].auth_on_register_only = false;
        let mut lab = Lab::new(config);
        let mut alice = Phone::alice();
        let contact = "Contact: <sip:phone@10.0.0.1:5060>\r\n";
        // not registered, but with a name
        let mut stranger = Phone::new("x", "sip:alice@ims.test", "10.0.0.9:5060", Secret::Password(""));
        let help = stranger.request("INVITE", "urn:service:sos", "urn:service:sos", contact);
        assert_eq!(lab.on_sip(udp("10.0.0.9:5060"), help)[0].status(), 100);
        // registered: who it is counts, and is known already
        assert_eq!(alice.register(&mut lab, "").status(), 200);
        let help = alice.request("INVITE", "urn:service:sos", "urn:service:sos", contact);
        assert_eq!(lab.on_sip(alice.flow(), help)[0].status(), first);
    }
}
