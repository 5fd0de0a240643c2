//! The subscription to the own registration, in the hands of scripted networks.

use super::*;
use crate::phone::reginfo::Change;

const OK: &str = "Contact: <sip:p1@192.0.2.1:5060>;expires=3600\r\nP-Associated-URI: <sip:p1@h>, <tel:+123>\r\n\
                  Service-Route: <sip:orig@192.0.2.2;lr>\r\n";
const OWN: &str = "sip:p1@192.0.2.1:5060";

/// A registered phone, and its SUBSCRIBE.
fn registered() -> (Phone, String) {
    let mut phone = phone(1, &[("reg_event", "on")]);
    phone.register(Instant::ZERO, 3600).unwrap();
    let register = said(&mut phone).0.remove(0);
    let (mut messages, _) = hear(&mut phone, at(0), &answer(&register, "200 OK", "t", OK));
    assert_eq!(messages.len(), 1, "{messages:?}");
    (phone, messages.remove(0))
}

/// The same, and the network has answered.
fn subscribed() -> (Phone, String) {
    let (mut phone, subscribe) = registered();
    let more = "Expires: 3600\r\nContact: <sip:192.0.2.2>\r\nRecord-Route: <sip:p2;lr>, <sip:p1;lr>\r\n";
    let (messages, events) = hear(&mut phone, at(0), &answer(&subscribe, "200 OK", "net", more));
    assert!(messages.is_empty() && events.is_empty());
    (phone, subscribe)
}

fn at(secs: u64) -> Instant {
    Instant::from_nanos(secs * 1_000_000_000)
}

fn hear(phone: &mut Phone, now: Instant, octets: &[u8]) -> (Vec<String>, Vec<Event>) {
    phone.on_message(now, Peer::Server, octets);
    said(phone)
}

fn notify_with(subscribe: &str, number: u32, tag: &str, state: &str, body: &str) -> Vec<u8> {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/reginfo+xml\r\n" };
    format!(
        "NOTIFY {OWN} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKn{number}{tag}\r\nMax-Forwards: 70\r\n\
         Record-Route: <sip:p9;lr>\r\nFrom: {};tag={tag}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {number} NOTIFY\r\n\
         Contact: <sip:192.0.2.9>\r\nEvent: reg\r\nSubscription-State: {state}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        header(subscribe, "To"),
        header(subscribe, "From"),
        header(subscribe, "Call-ID"),
        body.len()
    )
    .into_bytes()
}

/// A NOTIFY of the network: its number, the subscription's state, and what it says of our contact: state, event, more.
fn told(subscribe: &str, number: u32, subscription: &str, of: (&str, &str, &str)) -> Vec<u8> {
    let (state, event, more) = of;
    let version = number - 1;
    let body = format!(
        "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"{version}\" state=\"full\">\
         <registration aor=\"sip:p1@h\" id=\"a\" state=\"{state}\">\
         <contact id=\"c\" state=\"{state}\" event=\"{event}\" {more}><uri>{OWN}</uri></contact></registration></reginfo>"
    );
    notify_with(subscribe, number, "net", subscription, &body)
}

#[test]
fn a_registered_phone_watches_its_registration() {
    let (mut phone, subscribe) = subscribed();
    assert!(subscribe.starts_with("SUBSCRIBE sip:p1@h SIP/2.0\r\n"), "{subscribe}");
    for (name, value) in [
        ("Event", "reg"),
        ("Expires", "600000"),
        ("Accept", "application/reginfo+xml"),
        ("Contact", "<sip:p1@192.0.2.1:5060>"),
        ("Route", "<sip:192.0.2.2:5060;lr>"),
    ] {
        assert_eq!(header(&subscribe, name), value, "{subscribe}");
    }
    let octets = told(&subscribe, 1, "active;expires=3600", ("active", "registered", ""));
    let (messages, events) = hear(&mut phone, at(0), &octets);
    assert!(messages[0].starts_with("SIP/2.0 200 OK\r\n"), "{messages:?}");
    assert_eq!(events, [Event::Notified]);
    assert_eq!((phone.watching().last, phone.watching().seen), (Some(Change::Registered), (1, 1)));
    // the same once more is a repetition, an older number is out of order, another dialog is not ours
    assert_eq!(hear(&mut phone, at(0), &octets), (messages, vec![]));
    let (messages, _) = hear(&mut phone, at(0), &notify_with(&subscribe, 1, "fork", "active", ""));
    assert!(messages[0].starts_with("SIP/2.0 481 "), "{messages:?}");
    let late = told(&subscribe, 1, "active", ("active", "created", ""));
    let late = String::from_utf8(late).unwrap().replace("z9hG4bKn1", "z9hG4bKlate");
    assert!(hear(&mut phone, at(0), late.as_bytes()).0[0].starts_with("SIP/2.0 500 "));
    // a refresh goes along the dialog, ten minutes before its end
    phone.tick(at(2999));
    assert!(said(&mut phone).0.iter().all(|m| !m.starts_with("SUBSCRIBE")));
    phone.tick(at(3000));
    let refresh = said(&mut phone).0.into_iter().find(|m| m.starts_with("SUBSCRIBE")).unwrap();
    assert!(refresh.starts_with("SUBSCRIBE sip:192.0.2.9 "), "{refresh}");
    assert_eq!((header(&refresh, "CSeq"), header(&refresh, "Route")), ("2 SUBSCRIBE", "<sip:p1;lr>"));
    // the network has forgotten it: a new one
    let (messages, _) = hear(&mut phone, at(3000), &answer(&refresh, "481 x", "", ""));
    assert_eq!(header(&messages[0], "CSeq"), "1 SUBSCRIBE");
    assert_ne!(header(&messages[0], "Call-ID"), header(&refresh, "Call-ID"));
}

#[test]
fn a_notify_may_be_faster_than_the_answer() {
    let (mut phone, subscribe) = registered();
    assert!(!phone.watching().is_on());
    let (messages, _) =
        hear(&mut phone, at(0), &told(&subscribe, 1, "active;expires=60", ("active", "created", "")));
    assert!(messages[0].starts_with("SIP/2.0 200 ") && phone.watching().is_on());
    hear(
        &mut phone,
        at(0),
        &answer(&subscribe, "200 OK", "net", "Expires: 60\r\nContact: <sip:192.0.2.3>\r\n"),
    );
    phone.tick(at(30));
    let refresh = said(&mut phone).0.into_iter().find(|m| m.starts_with("SUBSCRIBE")).unwrap();
    assert!(refresh.starts_with("SUBSCRIBE sip:192.0.2.3 "), "{refresh}");
    assert_eq!((header(&refresh, "Route"), header(&refresh, "To")), ("<sip:p9;lr>", "<sip:p1@h>;tag=net"));
}

#[test]
fn what_the_network_does_to_the_registration_is_followed() {
    let ended = |event: &str, more: &str, state: &str| {
        let (mut phone, subscribe) = subscribed();
        hear(&mut phone, at(0), &told(&subscribe, 1, "active", ("active", "registered", "")));
        let (messages, events) =
            hear(&mut phone, at(1), &told(&subscribe, 2, state, ("terminated", event, more)));
        assert!(!phone.registration().is_on() && !phone.watching().is_on());
        assert_eq!(phone.watching().last, Change::from_name(event));
        (phone, messages[1..].to_vec(), events)
    };
    let (_, messages, events) = ended("deactivated", "", "terminated;reason=deactivated");
    assert!(messages.len() == 1 && messages[0].starts_with("REGISTER "), "{messages:?}");
    assert!(
        header(&messages[0], "Authorization").contains("nonce=\"\""),
        "a registration from the beginning"
    );
    assert_eq!(events[0], Event::EndedByNetwork("deactivated: registering again".to_owned()));
    for (event, words) in [
        ("rejected", "rejected: not to be registered again without asking the operator"),
        ("unregistered", "unregistered: `register` makes another one"),
        ("expired", "expired: it was not refreshed in time"),
    ] {
        let (phone, messages, events) = ended(event, "", "terminated;reason=noresource");
        assert_eq!(messages, [""; 0]);
        assert!(events.contains(&Event::EndedByNetwork(words.to_owned())), "{events:?}");
        assert!(phone.next_deadline().is_none_or(|at| at.as_nanos() < 40_000_000_000), "nothing more to do");
    }
    let (mut phone, messages, _) = ended("probation", "retry-after=\"90\"", "active");
    assert_eq!(messages, [""; 0]);
    phone.tick(at(90));
    assert!(said(&mut phone).0.is_empty());
    phone.tick(at(91));
    assert!(said(&mut phone).0[0].starts_with("REGISTER "));
}

#[test]
fn a_shortened_registration_is_refreshed_at_half_of_what_is_left() {
    let (mut phone, subscribe) = subscribed();
    let (_, events) =
        hear(&mut phone, at(0), &told(&subscribe, 1, "active", ("active", "shortened", "expires=\"60\"")));
    assert_eq!(events[0], Event::Notice("the network asks for a new registration within 60 s".to_owned()));
    phone.tick(at(29));
    assert!(said(&mut phone).0.is_empty());
    phone.tick(at(30));
    let register = said(&mut phone).0.remove(0);
    assert!(register.starts_with("REGISTER "));
    // a refresh does not begin to watch anew
    let (messages, _) = hear(&mut phone, at(30), &answer(&register, "200 OK", "t", OK));
    assert_eq!(messages, [""; 0]);
}

#[test]
fn what_cannot_be_understood_is_refused_and_named() {
    let (mut phone, subscribe) = subscribed();
    let status = |phone: &mut Phone, octets: Vec<u8>| {
        let (messages, events) = hear(phone, at(0), &octets);
        (messages[0][8..11].to_owned(), events)
    };
    let (code, events) = status(&mut phone, notify_with(&subscribe, 1, "net", "active", "<reginfo/>"));
    assert!(
        code == "400" && matches!(&events[..], [Event::Notice(w)] if w.contains("not reginfo of")),
        "{events:?}"
    );
    let other = String::from_utf8(notify_with(&subscribe, 2, "net", "active", "x")).unwrap();
    assert_eq!(status(&mut phone, other.replace("reginfo+xml", "xml").into_bytes()).0, "415");
    let other = String::from_utf8(notify_with(&subscribe, 3, "net", "active", "")).unwrap();
    assert_eq!(status(&mut phone, other.replace("Event: reg", "Event: presence").into_bytes()).0, "489");
    let other = String::from_utf8(notify_with(&subscribe, 4, "net", "active", "")).unwrap();
    assert_eq!(status(&mut phone, other.replace("Subscription-State: active\r\n", "").into_bytes()).0, "400");
    assert_eq!(
        status(&mut phone, notify_with(&subscribe, 5, "net", "active", "")),
        ("200".to_owned(), vec![])
    );
}

#[test]
fn changes_that_were_missed_are_asked_for() {
    let (mut phone, subscribe) = subscribed();
    hear(&mut phone, at(0), &told(&subscribe, 1, "active", ("active", "registered", "")));
    let partial = |number: u32, version: u32| {
        let body = format!(
            "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"{version}\" state=\"partial\"/>"
        );
        notify_with(&subscribe, number, "net", "active", &body)
    };
    let asks =
        |(messages, _): (Vec<String>, Vec<Event>)| messages.iter().any(|m| m.starts_with("SUBSCRIBE "));
    assert!(!asks(hear(&mut phone, at(0), &partial(2, 1))), "the next one");
    assert!(asks(hear(&mut phone, at(0), &partial(3, 3))), "one is missing");
    assert!(!asks(hear(&mut phone, at(0), &partial(4, 2))), "an old one");
    assert_eq!(phone.watching().notified, 3);
}

#[test]
fn a_network_that_does_not_tell_is_asked_again_only_if_that_may_help() {
    for (status, again) in [("489 Bad Event", false), ("403 x", false), ("500 x", true)] {
        let (mut phone, subscribe) = registered();
        let (_, events) = hear(&mut phone, at(0), &answer(&subscribe, status, "t", ""));
        assert!(matches!(&events[..], [Event::Notice(w)] if w.ends_with(status)), "{events:?}");
        phone.tick(at(61));
        assert_eq!(said(&mut phone).0.iter().any(|m| m.starts_with("SUBSCRIBE")), again, "{status}");
    }
    let (mut phone, subscribe) = registered();
    hear(&mut phone, at(0), &answer(&subscribe, "200 OK", "net", "Expires: 3600\r\n"));
    phone.tick(at(32));
    assert_eq!(
        said(&mut phone).1,
        [Event::Notice("the registration cannot be watched: no NOTIFY has come".to_owned())]
    );
    // one that is ended at once is not begun at once
    let (mut phone, subscribe) = subscribed();
    let (messages, _) =
        hear(&mut phone, at(1), &notify_with(&subscribe, 1, "net", "terminated;reason=timeout", ""));
    assert!(messages.len() == 1 && phone.registration().is_on());
    phone.tick(at(60));
    assert!(said(&mut phone).0.is_empty());
    phone.tick(at(61));
    assert!(said(&mut phone).0[0].starts_with("SUBSCRIBE "));
}

#[test]
fn a_subscription_for_no_time_is_not_asked_for_over_and_over() {
    let (mut phone, mut subscribe) = registered();
    let (mut now, mut asked) = (at(0), 1);
    loop {
        let (messages, _) = hear(&mut phone, now, &answer(&subscribe, "200 OK", "net", "Expires: 0\r\n"));
        assert!(messages.is_empty());
        now = phone.next_deadline().unwrap();
        if now > at(10) {
            break;
        }
        phone.tick(now);
        subscribe = said(&mut phone).0.remove(0);
        asked += 1;
        assert!(asked <= 11, "{asked} times in {now:?}");
    }
}

#[test]
fn who_leaves_waits_a_moment_for_the_last_word() {
    let leaving = || {
        let (mut phone, subscribe) = subscribed();
        hear(&mut phone, at(0), &told(&subscribe, 1, "active", ("active", "registered", "")));
        phone.register(at(1), 0).unwrap();
        let register = said(&mut phone).0.remove(0);
        let (_, events) = hear(&mut phone, at(1), &answer(&register, "200 OK", "t", ""));
        assert_eq!(events, [Event::Deregistered]);
        assert!(phone.is_busy());
        (phone, subscribe)
    };
    let (mut phone, subscribe) = leaving();
    let octets = told(&subscribe, 2, "terminated;reason=noresource", ("terminated", "unregistered", ""));
    let (messages, events) = hear(&mut phone, at(1), &octets);
    assert!(messages.len() == 1 && messages[0].starts_with("SIP/2.0 200 "), "{messages:?}");
    assert_eq!(events, [Event::Notified], "no news");
    assert!(!phone.is_busy());
    let (mut phone, _) = leaving();
    phone.tick(at(2));
    assert!(!phone.is_busy());
}

#[test]
fn a_challenged_subscription_goes_on_counting() {
    let (mut phone, subscribe) = registered();
    let challenge = "Proxy-Authenticate: Digest realm=\"r\",nonce=\"n\",qop=\"auth\"\r\n";
    let (messages, _) = hear(&mut phone, at(0), &answer(&subscribe, "407 x", "t", challenge));
    assert_eq!(header(&messages[0], "CSeq"), "2 SUBSCRIBE");
    assert!(!header(&messages[0], "Proxy-Authorization").is_empty());
    hear(
        &mut phone,
        at(0),
        &answer(&messages[0], "200 OK", "net", "Expires: 60\r\nContact: <sip:192.0.2.2>\r\n"),
    );
    phone.tick(at(30));
    let refresh = said(&mut phone).0.into_iter().find(|m| m.starts_with("SUBSCRIBE")).unwrap();
    assert_eq!(header(&refresh, "CSeq"), "3 SUBSCRIBE");
}
