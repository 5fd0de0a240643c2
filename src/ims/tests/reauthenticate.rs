//! The operator asks a phone to authenticate again: the NOTIFY, the challenge, and what becomes of a phone that does not come.

use super::auth::nonce;
use super::phone::Phone;
use super::watcher::{Watcher, contacts, one, open_config};
use super::{Lab, Sent, config};
use crate::base::time::Duration;
use crate::config::model::Config;
use crate::ims::limits::{REAUTHENTICATE_AT_LEAST, REAUTHENTICATE_WITHIN};

const SECOND: Duration = Duration::from_secs(1);
const AOR: &str = "sip:alice@ims.test";

fn with_qop() -> Config {
    let mut config = config();
    config.users[0].qop = vec!["auth".into()];
    config
}

/// alice, registered for an hour with a nonce that still counts, and subscribed.
fn watched() -> (Lab, Phone, Watcher, Sent) {
    let mut lab = Lab::new(with_qop());
    let mut alice = Phone::alice();
    alice.nc = 1;
    let challenge = alice.ask(&mut lab, "Expires: 3600\r\n");
    assert_eq!(alice.answer(&mut lab, &challenge, "Expires: 3600\r\n").status(), 200);
    let watcher = Watcher::subscribed(&mut lab, &alice, 7200);
    (lab, alice, watcher, challenge)
}

fn reauthenticate(lab: &mut Lab, uri: &str, secs: u64) -> (Result<usize, String>, Vec<Sent>) {
    lab.with(|core, cx| core.reauthenticate(cx, uri, Duration::from_secs(secs)))
}

fn event(uri: &str, state: &str, event: &str) -> (String, String, String) {
    (uri.into(), state.into(), event.into())
}

#[test]
fn the_phone_is_told_at_once_of_how_long_it_has_and_is_challenged_when_it_comes() {
    let (mut lab, mut alice, mut watcher, challenge) = watched();
    let (count, sent) = reauthenticate(&mut lab, AOR, 60);
    assert_eq!(count, Ok(1));
    let notify = one(sent);
    let document = watcher.read(&notify);
    assert!(notify.one("Subscription-State").starts_with("active;expires="));
    for registration in document.all("registration") {
        assert_eq!(registration.get("state"), "active");
        let [contact] = &registration.children[..] else { panic!("{registration:#?}") };
        let said = ["state", "event", "expires"].map(|name| contact.get(name));
        assert_eq!(said, ["active", "shortened", "60"], "of every identity");
    }
    assert_eq!(document.all("registration").count(), 2);
    watcher.answer(&mut lab, &notify, 200);
    assert!(lab.logged(&["Reauthenticate alice@ims.test", "is to register again within 60 s, by command"]));
    assert!(!lab.logged(&["is not told"]));
    // at half of the time, with the nonce that it has
    lab.pass(SECOND * 30);
    alice.nc = 2;
    let fresh = alice.answer(&mut lab, &challenge, "Expires: 3600\r\n");
    assert_eq!(fresh.status(), 401);
    assert_ne!(nonce(&fresh), nonce(&challenge));
    assert!(fresh.one("WWW-Authenticate").contains("stale=true"), "the password need not be asked for");
    alice.nc = 1;
    let mut sent = lab.on_sip(alice.flow(), {
        let line = alice.authorization(&fresh, "REGISTER", "sip:ims.test");
        alice.register_text(&format!("{line}Expires: 3600\r\n"))
    });
    assert_eq!(sent.remove(0).status(), 200);
    assert_eq!(lab.core.user_views(lab.now)[0].bindings[0].expires, 3600);
    lab.pass(SECOND * 3600);
    assert_eq!(lab.core.load().bindings, 0, "for as long as it was granted then");
}

#[test]
fn a_phone_that_does_not_come_is_no_longer_registered() {
    let (mut lab, alice, mut watcher, _) = watched();
    let (count, sent) = reauthenticate(&mut lab, &alice.contact.replace(['<', '>'], ""), 240);
    assert_eq!(count, Ok(1));
    watcher.answer(&mut lab, &one(sent.clone()), 200);
    watcher.read(&sent[0]);
    assert_eq!(lab.pass(SECOND * 239), []);
    let last = one(lab.pass(SECOND));
    let document = watcher.read(&last);
    assert_eq!(contacts(&document, AOR), [event("sip:phone@10.0.0.1:5060", "terminated", "expired")]);
    assert_eq!(last.one("Subscription-State"), "terminated;reason=timeout");
    assert_eq!(lab.core.load().bindings, 0);
    assert!(lab.records.keys().all(|key| !key.starts_with("binding/")));
}

#[test]
fn a_later_look_shows_it_shortened_and_a_refresh_shows_it_registered_again() {
    let mut phone = Phone::alice();
    let mut lab = Lab::new(open_config());
    assert_eq!(phone.ask(&mut lab, "Expires: 3600\r\n").status(), 200);
    assert_eq!(reauthenticate(&mut lab, "alice@ims.test", 100).0, Ok(1), "by IMPI");
    assert!(lab.logged(&["no phone of the user has subscribed to its registration, so it is not told"]));
    let mut watcher = Watcher::new(&phone);
    let (_, notify) = watcher.subscribe(&mut lab, "Event: reg\r\n");
    let document = watcher.read(&notify);
    assert_eq!(contacts(&document, AOR), [event("sip:phone@10.0.0.1:5060", "active", "shortened")]);
    watcher.answer(&mut lab, &notify, 200);
    lab.pass(SECOND * 10);
    assert_eq!(phone.ask(&mut lab, "Expires: 3600\r\n").status(), 200);
    lab.pass(SECOND * 10);
    let (_, notify) = watcher.subscribe(&mut lab, "Event: reg\r\nExpires: 0\r\n");
    let document = watcher.read_any_version(&notify);
    assert_eq!(contacts(&document, AOR), [event("sip:phone@10.0.0.1:5060", "active", "registered")]);
}

#[test]
fn what_cannot_be_shortened_is_said_in_words() {
    let (mut lab, ..) = watched();
    let least = REAUTHENTICATE_AT_LEAST.as_secs();
    let mut refused = |uri: &str, secs| {
        let (count, sent) = reauthenticate(&mut lab, uri, secs);
        assert_eq!(sent, []);
        count.expect_err("nothing to do")
    };
    assert_eq!(refused("sip:nobody@ims.test", 60), "no contact and no user is sip:nobody@ims.test");
    assert_eq!(refused("tel:0600000002", 60), "001010123456789@ims.test is not registered");
    assert_eq!(refused(AOR, 3600), format!("every registration of {AOR} ends within 3600 s anyway"));
    assert_eq!(
        refused(AOR, least - 1),
        format!("{} s is too soon: no phone registers again in less than {least} s", least - 1)
    );
    assert_eq!(reauthenticate(&mut lab, AOR, least).0, Ok(1));
    assert!(REAUTHENTICATE_WITHIN > REAUTHENTICATE_AT_LEAST);
}

#[test]
fn the_shorter_time_is_kept_over_a_restart() {
    let (mut lab, ..) = watched();
    reauthenticate(&mut lab, AOR, 100).0.expect("registered");
    let records = lab.records.clone();
    let mut after = Lab::new(with_qop());
    after.wall = lab.wall + SECOND * 40;
    records.iter().for_each(|(key, value)| after.with(|core, cx| core.restore(cx, key, value)).0);
    assert_eq!(after.core.user_views(after.now)[0].bindings[0].expires, 60);
}
