//! The life of a subscription: what it is told, when, and how it ends.

use super::phone::Phone;
use super::watcher::{Watcher, contacts, one, open_config, registered};
use super::{Lab, Sent};
use crate::base::time::Duration;
use crate::ims::reg_event::limits::MAX_UNANSWERED;
use crate::ims::registrar::Gone;
use crate::proto::flow::{ConnId, Flow, LocalId};

const SECOND: Duration = Duration::from_secs(1);
const AOR: &str = "sip:alice@ims.test";

/// A second phone of alice's.
fn tablet() -> Phone {
    let mut phone = Phone::alice();
    phone.address = "10.0.0.9:5060".into();
    phone.contact = "<sip:tablet@10.0.0.9:5060>".into();
    phone
}

fn listed(uri: &str, state: &str, event: &str) -> (String, String, String) {
    (uri.into(), state.into(), event.into())
}

fn unregister(lab: &mut Lab, uri: &str, why: Gone) -> Vec<Sent> {
    let (count, sent) = lab.with(|core, cx| core.unregister(cx, uri, why));
    assert!(count.expect("something is registered") > 0);
    sent
}

/// After everything has died down, nothing is left but what `bindings` says.
fn quiet(lab: &mut Lab, subscriptions: usize) {
    lab.pass(SECOND * 300);
    let load = lab.core.load();
    assert_eq!(
        (load.subscriptions, load.client_transactions, load.server_transactions),
        (subscriptions, 0, 0)
    );
}

#[test]
fn the_first_document_lists_every_identity_that_may_be_seen() {
    let mut phone = Phone::alice();
    phone.contact = "\"Al \\\"x\\\" <&>\" <sip:phone@10.0.0.1:5060;a=b&c>;q=0.5;+g.3gpp.smsip;\
                     +sip.instance=\"<urn:gsma:imei:86130905-000038-0>\";video"
        .into();
    let mut lab = registered(&mut phone);
    lab.pass(SECOND * 100);
    let mut watcher = Watcher::new(&phone);
    watcher.contact = "<sip:phone@10.0.0.1:5060>".into();
    let (_, notify) = watcher.subscribe(&mut lab, "Event: reg\r\n");
    let document = watcher.read(&notify);
    let aors: Vec<_> = document.all("registration").map(|r| (r.get("aor"), r.get("state"))).collect();
    assert_eq!(aors, [(AOR, "active"), ("tel:+33600000001", "active")]);
    let ids: std::collections::BTreeSet<_> = document
        .all("registration")
        .flat_map(|r| [r.get("id")].into_iter().chain(r.all("contact").map(|c| c.get("id"))))
        .collect();
    assert_eq!(ids.len(), 4, "every id is another: {ids:?}");
    // the identity that was registered by name, and the one that came with it
    for (registration, event) in document.all("registration").zip(["registered", "created"]) {
        let [contact] = &registration.children[..] else { panic!("{registration:#?}") };
        let said = ["state", "event", "expires", "q"].map(|name| contact.get(name));
        assert_eq!(said, ["active", event, "3500", "0.500"]);
        assert_eq!(contact.text_of("uri"), "sip:phone@10.0.0.1:5060;a=b&c");
        assert_eq!(contact.text_of("display-name"), "Al \"x\" <&>");
        let params: Vec<_> = contact.all("unknown-param").map(|p| (p.get("name"), p.text.as_str())).collect();
        let instance = "\"<urn:gsma:imei:86130905-000038-0>\"";
        assert_eq!(params, [("+g.3gpp.smsip", ""), ("+sip.instance", instance), ("video", "")]);
    }
}

#[test]
fn a_contact_that_comes_and_goes_is_told_and_keeps_its_id() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let mut watcher = Watcher::subscribed(&mut lab, &phone, 600_000);
    let mut tablet = tablet();
    assert_eq!(tablet.ask(&mut lab, "").status(), 200);
    // changes have their pace (RFC 3680 4.10)
    let notify = one(lab.pass(SECOND * 5));
    let with_two = watcher.read(&notify);
    let active = listed("sip:phone@10.0.0.1:5060", "active", "registered");
    let other = listed("sip:tablet@10.0.0.9:5060", "active", "registered");
    assert_eq!(contacts(&with_two, AOR), [active.clone(), other]);
    watcher.answer(&mut lab, &notify, 200);
    lab.pass(SECOND * 10);
    let sent = lab.on_sip(tablet.flow(), tablet.register_text("Expires: 0\r\n"));
    assert_eq!((sent.len(), sent[0].status()), (2, 200), "the 200 comes first");
    let after = watcher.read(&sent[1]);
    assert_eq!(
        contacts(&after, AOR),
        [active.clone(), listed("sip:tablet@10.0.0.9:5060", "terminated", "unregistered")]
    );
    let ids = |document: &super::tree::Node| -> Vec<String> {
        let contacts = document.all("registration").flat_map(|r| r.children.iter());
        contacts.map(|c| c.get("id").to_owned()).collect()
    };
    assert_eq!(ids(&with_two), ids(&after));
    watcher.answer(&mut lab, &sent[1], 200);
    // once told, it is forgotten
    let (_, notify) = watcher.subscribe(&mut lab, "Event: reg\r\nExpires: 600000\r\n");
    assert_eq!(contacts(&watcher.read(&notify), AOR), [active]);
    watcher.answer(&mut lab, &notify, 200);
    quiet(&mut lab, 1);
}

#[test]
fn a_mere_refresh_is_no_news_and_another_contact_is() {
    let mut phone = Phone::alice();
    phone.contact = "<sip:phone@10.0.0.1:5060>;+sip.instance=\"<urn:x>\"".into();
    let mut lab = registered(&mut phone);
    let plain = Watcher::new(&phone);
    let mut watcher = Watcher { contact: "<sip:phone@10.0.0.1:5060>".into(), ..plain };
    let (_, notify) = watcher.subscribe(&mut lab, "Event: reg\r\n");
    watcher.read(&notify);
    watcher.answer(&mut lab, &notify, 200);
    lab.pass(SECOND * 60);
    assert_eq!(phone.ask(&mut lab, "Expires: 3600\r\n").status(), 200);
    assert_eq!(lab.pass(SECOND * 60), []);
    // the same instance with another feature, then for a shorter time, then at another URI
    for (contact, expires) in [
        ("sip:phone@10.0.0.1:5060>;video", 3600),
        ("sip:phone@10.0.0.1:5060>;video", 900),
        ("sip:new@10.0.0.1:5060>", 900),
    ] {
        phone.contact = format!("<{contact};+sip.instance=\"<urn:x>\"");
        let mut sent = lab.on_sip(phone.flow(), phone.register_text(&format!("Expires: {expires}\r\n")));
        assert_eq!(sent.remove(0).status(), 200);
        let notify = one(sent);
        let uri = contact.split_once('>').expect("a bracket").0;
        assert_eq!(contacts(&watcher.read(&notify), AOR), [listed(uri, "active", "refreshed")]);
        watcher.answer(&mut lab, &notify, 200);
        lab.pass(SECOND * 5);
    }
}

#[test]
fn changes_wait_for_the_answer_and_come_together() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let mut watcher = Watcher::new(&phone);
    let (_, first) = watcher.subscribe(&mut lab, "Event: reg\r\n");
    watcher.read(&first);
    let mut tablet = tablet();
    tablet.ask(&mut lab, "");
    lab.pass(SECOND);
    tablet.ask(&mut lab, "Expires: 0\r\n");
    let mut third = super::phone::Phone::alice();
    (third.address, third.contact) = ("10.0.0.8:5060".into(), "<sip:third@10.0.0.8:5060>".into());
    third.ask(&mut lab, "");
    // repetitions of the first, nothing else
    let repeated = lab.pass(SECOND * 20);
    assert!(!repeated.is_empty() && repeated.iter().all(|s| s.text == first.text), "{repeated:#?}");
    let notify = one(watcher.answer(&mut lab, &first, 200));
    // what came and went in between was never there
    let state = |uri| listed(uri, "active", "registered");
    assert_eq!(
        contacts(&watcher.read(&notify), AOR),
        [state("sip:phone@10.0.0.1:5060"), state("sip:third@10.0.0.8:5060")]
    );
    watcher.answer(&mut lab, &notify, 200);
    assert_eq!(lab.pass(SECOND * 60), []);
}

#[test]
fn a_refresh_is_answered_with_full_state_at_once() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let mut watcher = Watcher::new(&phone);
    let (_, lost) = watcher.subscribe(&mut lab, "Event: reg\r\nExpires: 600\r\n");
    watcher.read(&lost);
    lab.pass(SECOND * 20);
    // even while another NOTIFY has no answer, which does not matter any more then
    let (ok, notify) = watcher.subscribe(&mut lab, "Event: reg\r\nExpires: 600\r\n");
    assert_eq!((ok.one("Expires"), notify.one("Subscription-State")), ("600", "active;expires=600"));
    watcher.read(&notify);
    watcher.answer(&mut lab, &notify, 200);
    lab.pass(SECOND * 200);
    assert_eq!(lab.core.load().subscriptions, 1, "the lost one has timed out meanwhile");
    let later = lab.pass(SECOND * 399);
    assert_eq!(later, []);
    assert_eq!(one(lab.pass(SECOND * 2)).one("Subscription-State"), "terminated;reason=timeout");
}

#[test]
fn a_phone_that_asks_and_never_answers_is_not_told_without_end() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let mut watcher = Watcher::new(&phone);
    let headers = "Event: reg\r\nExpires: 600\r\n";
    let (_, first) = watcher.subscribe(&mut lab, headers);
    let mut unanswered = vec![first];
    for _ in 1..MAX_UNANSWERED {
        unanswered.push(watcher.subscribe(&mut lab, headers).1);
    }
    let text = watcher.text(headers);
    assert_eq!(lab.ask(watcher.flow, text).status(), 200, "and no NOTIFY");
    assert_eq!(lab.core.load().client_transactions, usize::from(MAX_UNANSWERED));
    unanswered.iter().for_each(|notify| drop(watcher.read(notify)));
    let newest = unanswered.pop().expect("there are some");
    assert_eq!(watcher.answer(&mut lab, &unanswered[0], 200), [], "it is the newest that counts");
    let next = one(watcher.answer(&mut lab, &newest, 200));
    watcher.read(&next);
}

#[test]
fn a_subscription_ends_when_its_time_is_over_or_the_phone_says_so() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let mut watcher = Watcher::subscribed(&mut lab, &phone, 600);
    assert_eq!(lab.pass(SECOND * 599), []);
    let end = one(lab.pass(SECOND));
    let document = watcher.read(&end);
    assert_eq!(end.one("Subscription-State"), "terminated;reason=timeout");
    assert_eq!(contacts(&document, AOR), [listed("sip:phone@10.0.0.1:5060", "active", "registered")]);
    assert_eq!(watcher.refused(&mut lab, "Event: reg\r\n").status(), 481);
    assert_eq!(watcher.answer(&mut lab, &end, 200), []);
    assert!(lab.logged(&["Subscription of alice@ims.test", "is gone: the phone knows"]));
    let mut watcher = Watcher::subscribed(&mut lab, &phone, 600);
    let (ok, end) = watcher.subscribe(&mut lab, "Event: reg\r\nExpires: 0\r\n");
    assert_eq!((ok.one("Expires"), end.one("Subscription-State")), ("0", "terminated;reason=timeout"));
    watcher.read(&end);
    watcher.answer(&mut lab, &end, 200);
    // a fetch: one document without a subscription
    let mut fetch = Watcher::new(&phone);
    let (ok, only) = fetch.subscribe(&mut lab, "Event: reg\r\nExpires: 0\r\n");
    assert_eq!((ok.status(), only.one("Subscription-State")), (200, "terminated;reason=timeout"));
    assert_eq!(contacts(&fetch.read(&only), AOR).len(), 1);
    fetch.answer(&mut lab, &only, 200);
    quiet(&mut lab, 0);
}

#[test]
fn who_unregisters_is_told_so_and_need_not_listen() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let mut watcher = Watcher::subscribed(&mut lab, &phone, 600_000);
    let sent = lab.on_sip(phone.flow(), phone.register_text("Expires: 0\r\n"));
    assert_eq!((sent.len(), sent[0].status()), (2, 200));
    let document = watcher.read(&sent[1]);
    assert_eq!(sent[1].one("Subscription-State"), "terminated;reason=timeout");
    assert!(document.all("registration").all(|r| r.get("state") == "terminated"));
    for aor in [AOR, "tel:+33600000001"] {
        assert_eq!(
            contacts(&document, aor),
            [listed("sip:phone@10.0.0.1:5060", "terminated", "unregistered")]
        );
    }
    // the phone is off: repetitions, then nothing
    assert!(lab.pass(SECOND * 200).iter().all(|s| s.text == sent[1].text));
    assert!(lab.logged(&["Subscription of alice@ims.test", "is gone: its NOTIFY had no answer"]));
    quiet(&mut lab, 0);
}

#[test]
fn all_contacts_at_once_are_told_in_one_document() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let mut tablet = tablet();
    tablet.ask(&mut lab, "");
    let mut watcher = Watcher::subscribed(&mut lab, &phone, 600_000);
    let mut other = Watcher::subscribed(&mut lab, &tablet, 600_000);
    phone.contact = "*".into();
    let sent = lab.on_sip(phone.flow(), phone.register_text("Expires: 0\r\n"));
    assert_eq!((sent.len(), sent[0].status()), (3, 200));
    for (watcher, notify) in [(&mut watcher, &sent[1]), (&mut other, &sent[2])] {
        let document = watcher.read(notify);
        let mut all = contacts(&document, AOR);
        all.sort();
        let gone = |uri| listed(uri, "terminated", "unregistered");
        assert_eq!(all, [gone("sip:phone@10.0.0.1:5060"), gone("sip:tablet@10.0.0.9:5060")]);
        assert_eq!(notify.one("Subscription-State"), "terminated;reason=timeout");
        watcher.answer(&mut lab, notify, 200);
    }
    quiet(&mut lab, 0);
}

#[test]
fn a_registration_that_runs_out_ends_the_subscription() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let mut watcher = Watcher::subscribed(&mut lab, &phone, 600_000);
    let end = one(lab.pass(SECOND * 3600));
    assert_eq!(end.one("Subscription-State"), "terminated;reason=timeout");
    let document = watcher.read(&end);
    assert_eq!(contacts(&document, AOR), [listed("sip:phone@10.0.0.1:5060", "terminated", "expired")]);
    watcher.answer(&mut lab, &end, 200);
    quiet(&mut lab, 0);
}

#[test]
fn what_the_network_takes_away_is_told_with_its_reason() {
    for (why, state, event, retry_after) in [
        (Gone::Deactivated, "terminated;reason=deactivated", "deactivated", ""),
        (Gone::Rejected, "terminated;reason=rejected", "rejected", ""),
        (Gone::Probation, "terminated;reason=probation;retry-after=60", "probation", "60"),
        (Gone::Unregistered, "terminated;reason=timeout", "unregistered", ""),
        (Gone::Expired, "terminated;reason=timeout", "expired", ""),
    ] {
        let mut phone = Phone::alice();
        let mut lab = registered(&mut phone);
        let mut watcher = Watcher::subscribed(&mut lab, &phone, 600_000);
        let end = one(unregister(&mut lab, "sip:phone@10.0.0.1:5060", why));
        assert_eq!(end.one("Subscription-State"), state);
        let document = watcher.read(&end);
        assert_eq!(contacts(&document, AOR), [listed("sip:phone@10.0.0.1:5060", "terminated", event)]);
        assert_eq!(document.children[0].children[0].get("retry-after"), retry_after);
        watcher.answer(&mut lab, &end, 200);
        assert!(lab.logged(&["Unregister alice@ims.test", "by command", event]));
        assert_eq!(lab.core.load().bindings, 0);
        assert!(
            lab.records.keys().all(|k| !k.starts_with("binding/")),
            "it does not come back with a restart"
        );
        quiet(&mut lab, 0);
    }
}

#[test]
fn the_network_takes_away_one_contact_or_all_of_a_user() {
    let (mut phone, mut tablet) = (Phone::alice(), tablet());
    let mut lab = registered(&mut phone);
    tablet.ask(&mut lab, "");
    for (uri, left) in
        [("sip:tablet@10.0.0.9", 2), ("sip:TABLET@10.0.0.9:5060", 2), ("sip:nobody@ims.test", 2)]
    {
        let (failed, _) = lab.with(|core, cx| core.unregister(cx, uri, Gone::Deactivated));
        assert!(failed.is_err(), "{uri}");
        assert_eq!(lab.core.load().bindings, left);
    }
    unregister(&mut lab, "sip:tablet@10.0.0.9:5060", Gone::Deactivated);
    assert_eq!(lab.core.load().bindings, 1);
    for name in ["tel:+33600000001", "alice@ims.test", "alice", "+33600000001", "sip:alice@ims.test"] {
        tablet.ask(&mut lab, "");
        unregister(&mut lab, name, Gone::Deactivated);
        assert_eq!(lab.core.load().bindings, 0, "{name}");
    }
    let (failed, _) = lab.with(|core, cx| core.unregister(cx, AOR, Gone::Deactivated));
    assert_eq!(failed, Err("alice@ims.test is not registered".to_owned()));
}

#[test]
fn the_other_phone_of_a_user_stays_subscribed() {
    let (mut phone, mut tablet) = (Phone::alice(), tablet());
    let mut lab = registered(&mut phone);
    tablet.ask(&mut lab, "");
    let mut watcher = Watcher::subscribed(&mut lab, &phone, 600_000);
    let mut other = Watcher::subscribed(&mut lab, &tablet, 600_000);
    lab.pass(SECOND * 10);
    let sent = unregister(&mut lab, "sip:tablet@10.0.0.9:5060", Gone::Deactivated);
    assert_eq!(sent.len(), 2);
    let (stays, goes) = (&sent[0], &sent[1]);
    assert_eq!(stays.one("Subscription-State"), "active;expires=599990");
    assert_eq!(goes.one("Subscription-State"), "terminated;reason=deactivated");
    let (a, b) = (watcher.read(stays), other.read(goes));
    let both = [
        listed("sip:phone@10.0.0.1:5060", "active", "registered"),
        listed("sip:tablet@10.0.0.9:5060", "terminated", "deactivated"),
    ];
    assert_eq!((contacts(&a, AOR), contacts(&b, AOR)), (both.to_vec(), both.to_vec()));
    watcher.answer(&mut lab, stays, 200);
    other.answer(&mut lab, goes, 200);
    quiet(&mut lab, 1);
}

#[test]
fn phones_that_share_a_sim_see_themselves_only() {
    let mut config = open_config();
    config.users[0].multi_sim = true;
    let mut lab = Lab::new(config);
    let (mut phone, mut tablet) = (Phone::alice(), tablet());
    phone.ask(&mut lab, "");
    tablet.ask(&mut lab, "");
    let mut watcher = Watcher::new(&phone);
    let (_, notify) = watcher.subscribe(&mut lab, "Event: reg\r\n");
    let own = listed("sip:phone@10.0.0.1:5060", "active", "registered");
    assert_eq!(contacts(&watcher.read(&notify), AOR), [own]);
    watcher.answer(&mut lab, &notify, 200);
    lab.pass(SECOND * 10);
    tablet.ask(&mut lab, "Expires: 0\r\n");
    assert_eq!(lab.pass(SECOND * 10), [], "the other phone is none of its business");
    let sent = lab.on_sip(phone.flow(), phone.register_text("Expires: 0\r\n"));
    assert_eq!(sent[1].one("Subscription-State"), "terminated;reason=timeout");
}

#[test]
fn an_answer_that_says_so_takes_the_subscription_away() {
    for (status, left) in
        [(481, 0), (404, 0), (408, 0), (489, 0), (604, 0), (500, 1), (503, 1), (400, 1), (202, 1)]
    {
        let mut phone = Phone::alice();
        let mut lab = registered(&mut phone);
        let mut watcher = Watcher::new(&phone);
        let (_, notify) = watcher.subscribe(&mut lab, "Event: reg\r\n");
        watcher.read(&notify);
        assert_eq!(watcher.answer(&mut lab, &notify, status), []);
        assert_eq!(lab.core.load().subscriptions, left, "{status}");
        assert_eq!(lab.logged(&["Subscription of alice@ims.test", "is gone"]), left == 0, "{status}");
        // who stays hears of the next change, with the next version
        let mut tablet = tablet();
        tablet.ask(&mut lab, "");
        let later: Vec<Sent> = lab.pass(SECOND * 6);
        assert_eq!(later.len(), left, "{status}");
        later.iter().for_each(|notify| assert_eq!(contacts(&watcher.read(notify), AOR).len(), 2));
    }
}

#[test]
fn a_notify_that_gets_lost_is_repeated_until_it_is_answered() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let mut watcher = Watcher::new(&phone);
    let (_, notify) = watcher.subscribe(&mut lab, "Event: reg\r\n");
    watcher.read(&notify);
    let repeated = lab.pass(SECOND * 10);
    assert!(repeated.len() >= 2 && repeated.iter().all(|s| s.text == notify.text));
    watcher.answer(&mut lab, &notify, 200);
    quiet(&mut lab, 1);
    // a phone that has silently gone is forgotten at the next change
    let mut tablet = tablet();
    assert_eq!(lab.on_sip(tablet.flow(), tablet.register_text("")).len(), 2);
    quiet(&mut lab, 0);
}

#[test]
fn notifies_follow_the_phone_to_where_it_registers() {
    let mut phone = Phone::alice();
    phone.contact = "<sip:phone@192.168.1.2:5060>;+sip.instance=\"<urn:x>\"".into();
    // behind a NAT: only the source of its requests reaches it
    let mut lab = registered(&mut phone);
    let mut watcher = Watcher { contact: "<sip:phone@192.168.1.2:5060>".into(), ..Watcher::new(&phone) };
    let (_, notify) = watcher.subscribe(&mut lab, "Event: reg\r\n");
    assert_eq!(notify.flow, phone.flow());
    watcher.answer(&mut lab, &notify, 200);
    phone.address = "10.0.0.1:61000".into();
    phone.ask(&mut lab, "");
    tablet().ask(&mut lab, "");
    let notify = one(lab.pass(SECOND * 6));
    assert_eq!(notify.flow, phone.flow());
}

#[test]
fn a_phone_on_tcp_and_ipv6_is_notified_there() {
    let mut config = open_config();
    config.sip =
        vec![crate::config::model::SipSocket::new("2001:db8::fe".parse().expect("an address"), 5060)];
    let mut lab = Lab::new(config);
    let mut phone = Phone::alice();
    phone.tcp = true;
    phone.address = "[2001:db8::1]:49152".into();
    phone.contact = "<sip:phone@[2001:db8::1]:5060;transport=tcp>".into();
    assert_eq!(phone.ask(&mut lab, "").status(), 200);
    let mut watcher = Watcher::new(&phone);
    let (ok, notify) = watcher.subscribe(&mut lab, "Event: reg\r\n");
    watcher.read(&notify);
    assert_eq!(ok.one("Contact"), "<sip:ims@[2001:db8::fe]:5060;transport=tcp>");
    assert_eq!(notify.one("Contact"), "<sip:ims@[2001:db8::fe]:5060;transport=tcp>");
    let there = "[2001:db8::1]:5060".parse().expect("an address");
    assert_eq!(notify.flow, Flow::tcp(LocalId(0), there, Some(ConnId(9))));
    assert!(notify.one("Via").starts_with("SIP/2.0/TCP [2001:db8::fe]:5060;"));
    watcher.answer(&mut lab, &notify, 200);
    // the connection goes; the next one leads to where the phone listens
    lab.with(|core, cx| core.on_stream_closed(cx, ConnId(9)));
    let end = one(unregister(&mut lab, AOR, Gone::Deactivated));
    assert_eq!(end.flow, Flow::tcp(LocalId(0), there, None));
}

/// A user who need not prove anything may look on from elsewhere.
#[test]
fn a_subscriber_that_is_not_registered_itself_hears_of_the_end_too() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let mut watcher = Watcher::subscribed(&mut lab, &tablet(), 600_000);
    let end = one(unregister(&mut lab, AOR, Gone::Deactivated));
    assert_eq!(end.one("Subscription-State"), "terminated;reason=deactivated");
    let document = watcher.read(&end);
    assert_eq!(contacts(&document, AOR), [listed("sip:phone@10.0.0.1:5060", "terminated", "deactivated")]);
    watcher.answer(&mut lab, &end, 200);
    quiet(&mut lab, 0);
}

/// A phone that registers over TCP and subscribes over UDP is notified over UDP.
#[test]
fn a_phone_that_subscribes_by_another_transport_is_notified_by_that() {
    let mut phone = Phone::alice();
    phone.tcp = true;
    phone.address = "10.0.0.1:49152".into();
    phone.contact = "<sip:10.0.0.1:5060>".into();
    let mut lab = registered(&mut phone);
    let mut watcher = Watcher { flow: super::udp("10.0.0.1:5060"), ..Watcher::new(&phone) };
    let (ok, notify) = watcher.subscribe(&mut lab, "Event: reg\r\n");
    assert_eq!((ok.flow, notify.flow), (watcher.flow, watcher.flow));
    watcher.read(&notify);
}

#[test]
fn the_route_that_the_subscribe_recorded_is_taken_back() {
    let mut phone = Phone::alice();
    let mut lab = registered(&mut phone);
    let mut watcher = Watcher::new(&phone);
    let headers = "Event: reg\r\nRecord-Route: <sip:p1.test;lr>, <sip:p2.test;lr>\r\n";
    let (ok, notify) = watcher.subscribe(&mut lab, headers);
    assert_eq!(ok.one("Record-Route"), "<sip:p1.test;lr>, <sip:p2.test;lr>");
    assert_eq!(notify.all("Route"), ["<sip:p1.test;lr>", "<sip:p2.test;lr>"]);
    watcher.read(&notify);
}

#[test]
fn configured_headers_go_into_notifies_too() {
    let mut config = open_config();
    config.protocol.custom_headers.push(crate::config::model::CustomHeader {
        name: "X-Lab".into(),
        value: Some("1".into()),
        replace: false,
        methods: vec!["NOTIFY".into()],
        codes: vec![],
    });
    let mut lab = Lab::new(config);
    let mut phone = Phone::alice();
    phone.ask(&mut lab, "");
    let (ok, notify) = Watcher::new(&phone).subscribe(&mut lab, "Event: reg\r\n");
    assert_eq!((notify.one("X-Lab"), ok.all("X-Lab").len()), ("1", 0));
}
