//! Which SUBSCRIBEs are taken, for how long, and with which answer the others are refused.

use super::phone::Phone;
use super::watcher::{Watcher, open_config, registered};
use super::{Lab, udp};
use crate::base::time::Duration;
use crate::config::model::User;
use crate::ims::reg_event::limits::{MAX_SUBSCRIPTIONS_PER_CONTACT, MAX_SUBSCRIPTIONS_PER_USER};

const REG: &str = "Event: reg\r\nExpires: 600000\r\nAccept: application/reginfo+xml\r\n";

#[test]
fn a_registered_phone_gets_its_200_with_what_it_needs() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let (ok, notify) = Watcher::new(&phone).subscribe(&mut lab, REG);
    assert_eq!((ok.status(), ok.one("Expires")), (200, "600000"));
    assert_eq!((ok.one("Contact"), ok.one("Allow-Events")), ("<sip:ims@10.0.0.254:5060>", "reg"));
    assert!(ok.one("To").contains(";tag="));
    assert_eq!((ok.flow, notify.flow), (phone.flow(), phone.flow()));
    assert_eq!((notify.one("Event"), notify.one("Subscription-State")), ("reg", "active;expires=600000"));
    assert!(lab.logged(&["Subscribe alice@ims.test", "to reg for 600000 s"]));
    assert!(lab.logged(&["Notify alice@ims.test", "version 0, 1 contacts, 0 gone, active;expires=600000"]));
    assert_eq!(lab.core.load().subscriptions, 1);
}

#[test]
fn odd_ways_to_ask_are_understood() {
    let mut phone = Phone::alice();
    for headers in [
        // ZTE says no Accept, Huawei requires what it does not use
        "Event: reg\r\nExpires: 600000\r\n",
        "Event: reg\r\nAccept: application/reginfo+xml\r\nRequire: sec-agree\r\nProxy-Require: sec-agree\r\n",
        "o: reg\r\nAccept: text/plain, */*;q=0.1\r\n",
        "Event: REG ;id=7\r\nAccept: application/*\r\n",
    ] {
        let mut lab = registered(&mut phone);
        let mut watcher = Watcher::new(&phone);
        let (ok, notify) = watcher.subscribe(&mut lab, headers);
        assert_eq!(ok.status(), 200, "{headers}");
        watcher.read(&notify);
        assert_eq!(notify.one("Event"), if headers.contains("id=7") { "reg;id=7" } else { "reg" });
    }
    // any identity of the user will do, a barred one too
    for uri in ["tel:+33600000001", "sip:+33600000001@ims.test;user=phone", "sip:001010000000001@ims.test"] {
        let mut lab = registered(&mut phone);
        let mut watcher = Watcher { uri: uri.into(), ..Watcher::new(&phone) };
        assert_eq!(watcher.subscribe(&mut lab, REG).0.status(), 200, "{uri}");
    }
}

#[test]
fn what_cannot_be_served_is_refused_by_name() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    for headers in ["Event: presence\r\n", "Event: reg.winfo\r\n", ""] {
        let refused = Watcher::new(&phone).refused(&mut lab, headers);
        assert_eq!((refused.status(), refused.one("Allow-Events")), (489, "reg"), "{headers}");
    }
    let refused = Watcher::new(&phone).refused(&mut lab, "Event: reg\r\nAccept: application/sdp\r\n");
    assert_eq!((refused.status(), refused.one("Accept")), (406, "application/reginfo+xml"));
    let refused = Watcher::new(&phone).refused(&mut lab, "Event: reg\r\nExpires: 59\r\n");
    assert_eq!((refused.status(), refused.one("Min-Expires")), (423, "60"));
    let refused = Watcher::new(&phone).refused(&mut lab, "Event: reg\r\nRequire: eventlist\r\n");
    assert_eq!((refused.status(), refused.one("Unsupported")), (420, "eventlist"));
    assert!(lab.logged(&["Subscribe from 10.0.0.1:5060: refused with 423"]));
    assert_eq!(lab.core.load().subscriptions, 0);
}

#[test]
fn only_the_registered_user_may_know() {
    let mut phone = Phone::alice();
    let mut lab = Lab::new(super::config());
    assert_eq!(phone.register(&mut lab, "").status(), 200);
    let mut to = |uri: &str, from: &Phone| {
        Watcher { uri: uri.into(), ..Watcher::new(from) }.refused(&mut lab, REG).status()
    };
    assert_eq!(to("sip:nobody@ims.test", &phone), 404);
    assert_eq!(to("tel:666", &phone), 404);
    assert_eq!(to("tel:0600000002", &phone), 480, "bob is not registered");
    let mut stranger = Phone::alice();
    stranger.address = "10.0.0.66:5060".into();
    assert_eq!(to("sip:alice@ims.test", &stranger), 403);
    let mut bob = Phone::alice();
    bob.aor = "tel:0600000002".into();
    bob.address = "10.0.0.2:5060".into();
    bob.contact = "<sip:bob@10.0.0.2:5060>".into();
    let mut config = open_config();
    config.users[1].authent_type = config.users[0].authent_type;
    let mut lab = Lab::new(config);
    assert_eq!(Phone::alice().ask(&mut lab, "").status(), 200);
    assert_eq!(bob.ask(&mut lab, "").status(), 200);
    let mut curious = Watcher { uri: "sip:alice@ims.test".into(), ..Watcher::new(&bob) };
    assert_eq!(curious.refused(&mut lab, REG).status(), 403);
}

#[test]
fn an_emergency_registration_is_none_that_one_subscribes_to() {
    let mut phone = Phone::alice();
    phone.contact = "<sip:phone@10.0.0.1:5060;sos>".into();
    let mut lab = registered(&mut phone);
    assert_eq!(Watcher::new(&phone).refused(&mut lab, REG).status(), 480);
}

#[test]
fn granted_is_what_was_asked_up_to_the_limit() {
    let mut phone = Phone::alice();
    for (limit, asked, granted) in [
        (0, "", "3761"),
        (0, "Expires: 4294967295\r\n", "864000"),
        (0, "Expires: 60\r\n", "60"),
        (7200, "Expires: 600000\r\n", "7200"),
        (7200, "Expires: 100\r\n", "100"),
        (7200, "", "3761"),
        (30, "Expires: 600000\r\n", "30"),
        (30, "Expires: 30\r\n", "30"),
    ] {
        let mut config = open_config();
        config.registration.subscribe_expires = Duration::from_secs(limit);
        let mut lab = Lab::new(config);
        phone.ask(&mut lab, "");
        let (ok, notify) = Watcher::new(&phone).subscribe(&mut lab, &format!("Event: reg\r\n{asked}"));
        assert_eq!(ok.one("Expires"), granted, "{limit} {asked}");
        assert_eq!(notify.one("Subscription-State"), format!("active;expires={granted}"));
    }
}

#[test]
fn a_user_who_proves_every_request_is_challenged_as_by_a_server() {
    let mut phone = Phone::alice();
    let mut config = super::config();
    config.users[0].auth_on_register_only = false;
    let mut lab = Lab::new(config);
    assert_eq!(phone.register(&mut lab, "").status(), 200);
    let mut watcher = Watcher::new(&phone);
    let challenge = watcher.refused(&mut lab, REG);
    assert_eq!(challenge.status(), 401);
    let authorization = phone.authorization(&challenge, "SUBSCRIBE", "sip:alice@ims.test");
    let (ok, _) = watcher.subscribe(&mut lab, &format!("{REG}{authorization}"));
    assert_eq!(ok.status(), 200);
}

#[test]
fn a_dialog_that_is_no_subscription_is_told_so() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let mut watcher = Watcher::subscribed(&mut lab, &phone, 600);
    let to = watcher.to.clone();
    watcher.to = "<sip:alice@ims.test>;tag=stranger".into();
    assert_eq!(watcher.refused(&mut lab, REG).status(), 481);
    // inside the dialog: order, package and duration count as outside
    watcher.to = to;
    watcher.cseq = 10;
    assert_eq!(watcher.refused(&mut lab, "Event: presence\r\n").status(), 489);
    watcher.cseq = 5;
    assert_eq!(watcher.refused(&mut lab, REG).status(), 500);
    watcher.cseq = 20;
    assert_eq!(watcher.refused(&mut lab, "Event: presence\r\n").status(), 489);
    assert_eq!(watcher.refused(&mut lab, "Event: reg\r\nExpires: 5\r\n").status(), 423);
    let (ok, notify) = watcher.subscribe(&mut lab, REG);
    assert_eq!(ok.status(), 200);
    watcher.read(&notify);
}

#[test]
fn a_phone_that_forgets_its_subscriptions_keeps_the_newest() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let watchers: Vec<_> =
        (0..MAX_SUBSCRIPTIONS_PER_CONTACT + 2).map(|_| Watcher::subscribed(&mut lab, &phone, 600)).collect();
    assert_eq!(lab.core.load().subscriptions, MAX_SUBSCRIPTIONS_PER_CONTACT);
    assert!(lab.logged(&["Subscription of alice@ims.test", "is gone: the phone has newer ones"]));
    for (at, mut watcher) in watchers.into_iter().enumerate() {
        let text = watcher.text(REG);
        let status = lab.on_sip(watcher.flow, text)[0].status();
        assert_eq!(status, if at < 2 { 481 } else { 200 }, "{at}");
    }
}

#[test]
fn a_user_has_so_many_subscriptions_and_no_more() {
    let mut lab = Lab::new(open_config());
    let phones: Vec<Phone> = (0..17)
        .map(|n| {
            let mut phone = Phone::alice();
            phone.address = format!("10.0.1.{n}:5060");
            phone.contact = format!("<sip:a@10.0.1.{n}:5060>");
            assert_eq!(phone.ask(&mut lab, "").status(), 200);
            phone
        })
        .collect();
    for phone in &phones[..16] {
        (0..4).for_each(|_| drop(Watcher::subscribed(&mut lab, phone, 600)));
    }
    assert_eq!(lab.core.load().subscriptions, MAX_SUBSCRIPTIONS_PER_USER);
    let refused = Watcher::new(&phones[16]).refused(&mut lab, REG);
    assert_eq!((refused.status(), refused.one("Retry-After")), (503, "5"));
}

#[test]
fn nobody_subscribes_to_a_server_that_goes() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    Watcher::subscribed(&mut lab, &phone, 600);
    lab.with(|core, cx| core.shutdown(cx));
    assert!(lab.exited, "a subscription keeps nobody waiting");
    assert_eq!(Watcher::new(&phone).refused(&mut lab, REG).status(), 503);
}

#[test]
fn options_tells_of_the_package() {
    let mut phone = Phone::alice();
    let mut lab = Lab::new(open_config());
    let ok = lab.ask(udp("10.0.0.1:5060"), phone.request("OPTIONS", "sip:ims.test", "sip:ims.test", ""));
    assert!(ok.one("Allow").contains("SUBSCRIBE"));
    assert_eq!(ok.one("Allow-Events"), "reg");
}

/// Two users behind one address are told apart by the identity that they claim.
#[test]
fn users_of_one_address_see_their_own() {
    let mut config = open_config();
    let carol = User { impi: "carol@ims.test".into(), ..config.users[0].clone() };
    let impus = vec![crate::config::model::Impu::new("sip:carol@ims.test")];
    config.users.push(User { impus, ..carol });
    let mut lab = Lab::new(config);
    let mut alice = Phone::alice();
    let mut carol = Phone::alice();
    (carol.aor, carol.contact) = ("sip:carol@ims.test".into(), "<sip:carol@10.0.0.1:5060>".into());
    assert_eq!((alice.ask(&mut lab, "").status(), carol.ask(&mut lab, "").status()), (200, 200));
    for (phone, other) in [(&alice, &carol), (&carol, &alice)] {
        let mut watcher = Watcher::new(phone);
        let (_, notify) = watcher.subscribe(&mut lab, REG);
        let document = watcher.read(&notify);
        assert!(document.all("registration").any(|r| r.get("aor") == phone.aor));
        assert!(document.all("registration").all(|r| r.get("aor") != other.aor));
    }
}
