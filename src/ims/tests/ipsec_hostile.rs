//! What goes wrong around IPsec on purpose or by chance: forged packets, bursts, SPIs that come twice, sets that vanish.

use super::ipsec::{Guarded, NONE, asked, install, lab, lab_of, remove, stages, taken};
use super::phone::Phone;
use super::{Lab, Sent, config, udp};
use crate::base::time::Duration;
use crate::ims::registrar::Gone;
use crate::ims::security::Stage;
use crate::proto::flow::{Flow, LocalId};
use crate::proto::sip::sec_agree::Policy;

/// Everybody hears that it is over, and nothing is left.
fn ends_clean(lab: &mut Lab) {
    for _ in 0..4 {
        lab.pass(Duration::from_secs(4000));
        remove(lab, NONE);
    }
    let load = lab.core.load();
    assert_eq!((load.sets, load.bindings, load.challenges, load.server_transactions), (0, 0, 0, 0));
}

fn reauthenticating() -> Lab {
    let mut config = config();
    config.users[1].impus.iter_mut().for_each(|impu| impu.reauthenticate = true);
    lab_of(config)
}

/// A response to a request that was sent, with another Via if that is given.
fn response(to: &Sent, status: u16, via: Option<&str>) -> String {
    let mut text = format!("SIP/2.0 {status} Word\r\nVia: {}\r\n", via.unwrap_or(to.one("Via")));
    for name in ["From", "To", "Call-ID", "CSeq"] {
        let tag = if name == "To" { ";tag=b" } else { "" };
        text += &format!("{name}: {}{tag}\r\n", to.one(name));
    }
    text + "Contact: <sip:b@10.0.0.2:31113>\r\nContent-Length: 0\r\n\r\n"
}

#[test]
fn a_phone_that_starts_again_while_the_kernel_thinks_hears_of_both_attempts() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let text = bob.phone.register_text(&bob.offer());
    assert_eq!(lab.on_sip(bob.phone.flow(), text), []);
    let text = bob.phone.register_text(&bob.offer());
    let sent = lab.on_sip(bob.phone.flow(), text);
    assert_eq!((sent.len(), sent[0].status(), sent[0].one("CSeq")), (1, 503, "2 REGISTER"));
    let sent = install(&mut lab);
    assert_eq!((sent.len(), sent[0].status(), sent[0].one("CSeq")), (1, 401, "1 REGISTER"));
    ends_clean(&mut lab);
}

#[test]
fn a_burst_of_registers_makes_no_more_sets_than_may_wait() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let mut answered = 0;
    for n in 0..100 {
        (bob.client, bob.server, bob.spi) = (20_000 + n, 30_000 + n, 9000 + 2 * u32::from(n));
        let text = bob.phone.register_text(&bob.offer());
        answered += lab.on_sip(bob.phone.flow(), text).len();
    }
    let waiting = stages(&lab).iter().filter(|s| **s == Stage::Installing).count();
    assert_eq!((waiting, answered), (8, 92), "the others are refused");
    remove(&mut lab, NONE);
    assert_eq!(lab.core.load().sets, 8);
    ends_clean(&mut lab);
}

#[test]
fn a_set_that_vanishes_before_its_challenge_has_left_ends_the_attempt() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let text = bob.phone.register_text(&bob.offer());
    lab.on_sip(bob.phone.flow(), text);
    let set = asked(&mut lab);
    let sent = lab.with(|core, cx| core.on_sas_lost(cx, set.id)).1;
    assert_eq!((sent.len(), sent[0].status()), (1, 500));
    ends_clean(&mut lab);
}

#[test]
fn a_contact_that_stays_behind_on_the_old_set_ends_with_it() {
    let mut lab = reauthenticating();
    let mut bob = Guarded::new();
    let second = "Contact: <sip:second@10.0.0.2:31113>\r\n";
    let challenge = bob.challenged(&mut lab);
    let headers = bob.offer() + &bob.verify() + second;
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 200);
    assert_eq!(lab.core.load().bindings, 2);
    taken(&mut lab);
    (bob.client, bob.spi) = (31114, 8000);
    let headers = bob.offer();
    assert_eq!(bob.refresh(&mut lab, &headers), []);
    let challenge = install(&mut lab).remove(0);
    bob.agreed = challenge.one("Security-Server").to_owned();
    let headers = bob.offer() + &bob.verify();
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 200);
    assert_eq!((stages(&lab), lab.core.load().bindings), (vec![Stage::Old, Stage::Active], 2));
    lab.pass(Duration::from_secs(129));
    remove(&mut lab, NONE);
    // what is sent to it would leave without protection
    assert_eq!((stages(&lab), lab.core.load().bindings), (vec![Stage::Active], 1));
}

#[test]
fn what_failed_once_does_not_register_later_through_the_same_set() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let challenge = bob.challenged(&mut lab);
    bob.algorithms = "alg=hmac-md5-96;ealg=null";
    let headers = bob.offer() + &bob.verify();
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 494);
    let headers = bob.verify();
    assert_eq!(bob.phone.ask(&mut lab, &headers).status(), 403);
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 403);
    for method in ["INVITE", "MESSAGE", "OPTIONS"] {
        let text = bob.phone.request(method, "tel:666", "tel:666", "Contact: <sip:b@10.0.0.2:31113>\r\n");
        assert_eq!(lab.ask(bob.phone.flow(), text).status(), 403, "{method}");
    }
    assert_eq!((stages(&lab), lab.core.load().bindings), (vec![Stage::Leaving], 0));
    ends_clean(&mut lab);
}

#[test]
fn where_ipsec_is_required_nobody_is_bound_in_clear() {
    let mut config = config();
    config.users[1].ipsec = Policy::Required;
    config.users[1].impus.iter_mut().for_each(|impu| impu.authentication = false);
    let mut lab = lab_of(config);
    let mut bob = Guarded::new();
    let headers = bob.offer();
    assert_eq!(bob.phone.ask(&mut lab, &headers).status(), 403);
    assert_eq!(lab.core.load().bindings, 0);
    assert!(lab.logged(&["ipsec is \"required\"", "gives no keys"]));
}

#[test]
fn who_has_read_the_challenge_cannot_spoil_the_registration_from_the_clear_port() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let challenge = bob.challenged(&mut lab);
    let mut forger = super::auth::bob();
    forger.secret = super::phone::Secret::Sim(
        crate::ims::auth::policy::sim(&super::sim(crate::config::model::OperatorCode::Opc(super::OP)))
            .expect("a SIM"),
    );
    for _ in 0..3 {
        assert_eq!(forger.answer(&mut lab, &challenge, "").status(), 403);
    }
    let headers = bob.offer() + &bob.verify();
    let ok = bob.answer(&mut lab, &challenge, &headers);
    assert_eq!(ok.status(), 200, "{}", ok.text);
}

#[test]
fn a_cancel_or_a_repetition_in_clear_does_not_touch_a_protected_call() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    assert_eq!(bob.register(&mut lab).status(), 200);
    let mut alice = Phone::alice();
    alice.register(&mut lab, "");
    let to = "sip:alice@ims.test";
    let headers = format!("Contact: <sip:b@10.0.0.2:31113>\r\n{}", bob.verify());
    let invite = bob.phone.request("INVITE", to, to, &headers);
    let sent = lab.on_sip(bob.phone.flow(), &invite);
    assert!(sent.iter().any(|s| s.flow == alice.flow()), "{sent:?}");
    // ESP may leave the branch readable
    let clear = udp("10.0.0.2:5060");
    assert_eq!(lab.ask(clear, invite.replace("INVITE", "CANCEL")).status(), 481);
    assert_eq!(lab.ask(clear, &invite).status(), 403);
    assert_eq!(lab.on_sip(clear, invite.replace("INVITE", "ACK")), []);
    let cancelled = lab.on_sip(bob.phone.flow(), invite.replace("INVITE", "CANCEL"));
    assert!(cancelled.iter().any(|s| s.text.starts_with("SIP/2.0 200")), "{cancelled:?}");
}

#[test]
fn a_copy_in_clear_that_comes_first_does_not_take_the_requests_place() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    assert_eq!(bob.register(&mut lab).status(), 200);
    for method in ["MESSAGE", "SUBSCRIBE", "INVITE", "OPTIONS"] {
        let headers = "Event: reg\r\nContact: <sip:b@10.0.0.2:31113>\r\n";
        let text = bob.phone.request(method, "tel:0600000099", "tel:0600000099", headers);
        let in_clear = lab.on_sip(udp("10.0.0.2:5060"), &text);
        assert!(in_clear.iter().all(|s| s.flow == udp("10.0.0.2:5060")), "{in_clear:?}");
        let inside = lab.on_sip(bob.phone.flow(), &text);
        assert!(
            !inside.is_empty() && inside.iter().all(|s| s.flow.remote.port() == 31113),
            "{method} {inside:?}"
        );
        assert!(!inside.iter().any(|s| s.text.starts_with("SIP/2.0 482")), "{method} {inside:?}");
    }
}

#[test]
fn a_response_in_clear_does_not_answer_a_protected_request_whatever_its_via_says() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    assert_eq!(bob.register(&mut lab).status(), 200);
    let mut alice = Phone::alice();
    alice.register(&mut lab, "");
    let text = alice.request("INVITE", "tel:0600000002", "tel:0600000002", "Contact: <sip:a@10.0.0.1>\r\n");
    let sent = lab.on_sip(alice.flow(), text);
    let invite = sent.iter().find(|s| s.text.starts_with("INVITE")).expect("an INVITE to bob");
    let via = invite.one("Via").replace(":6100", ":5060");
    for from in ["10.0.0.2:31113", "10.0.0.2:5060", "10.0.0.9:5060"] {
        assert_eq!(lab.on_sip(udp(from), response(invite, 486, Some(&via))), [], "{from}");
    }
    let heard = lab.on_sip(bob.phone.flow(), response(invite, 180, None));
    assert!(heard.iter().any(|s| s.flow == alice.flow() && s.status() == 180), "{heard:?}");
}

#[test]
fn a_subscription_over_another_transport_goes_on_through_the_renewed_set() {
    let mut lab = reauthenticating();
    let mut bob = Guarded::new();
    let challenge = bob.challenged(&mut lab);
    (bob.phone.tcp, bob.phone.over) = (true, Some(bob.flow_of(&bob.agreed, true)));
    bob.phone.address = "10.0.0.2:31113".into();
    bob.phone.contact = "<sip:phone@10.0.0.2:31113>".into();
    let headers = bob.offer() + &bob.verify();
    assert_eq!(bob.phone.answer(&mut lab, &challenge, &headers).status(), 200);
    // REGISTER over TCP, all else over UDP in the same set
    let notified =
        |sent: &[Sent]| sent.iter().find(|s| s.text.starts_with("NOTIFY")).expect("a NOTIFY").clone();
    (bob.phone.tcp, bob.phone.over) = (false, Some(bob.flow_of(&bob.agreed, false)));
    let aor = bob.phone.aor.clone();
    let headers = "Event: reg\r\nContact: <sip:phone@10.0.0.2:31113>\r\nExpires: 3600\r\n";
    let text = bob.phone.request("SUBSCRIBE", &aor, &aor, headers);
    let notify = notified(&lab.on_sip(bob.phone.flow(), text));
    assert_eq!(notify.flow, Flow::udp(LocalId(2), "10.0.0.2:31113".parse().expect("an address")));
    lab.on_sip(bob.phone.flow(), response(&notify, 200, None));

    taken(&mut lab);
    (bob.phone.tcp, bob.phone.over) = (true, Some(bob.flow_of(&bob.agreed, true)));
    (bob.client, bob.spi) = (31114, 8000);
    let headers = bob.offer();
    bob.refresh(&mut lab, &headers);
    let challenge = install(&mut lab).remove(0);
    bob.agreed = challenge.one("Security-Server").to_owned();
    bob.phone.over = Some(bob.flow_of(&bob.agreed, true));
    let authorization = bob.phone.authorization(&challenge, "REGISTER", "sip:ims.test");
    let text = bob.phone.register_text(&(authorization + &bob.offer() + &bob.verify()));
    let sent = lab.on_sip(bob.phone.flow(), text);
    assert!(sent.iter().any(|s| s.text.starts_with("SIP/2.0 200")), "{sent:?}");
    for sent in sent.iter().filter(|s| s.text.starts_with("NOTIFY")) {
        lab.on_sip(bob.flow_of(&bob.agreed, false), response(sent, 200, None));
    }
    lab.pass(Duration::from_secs(129));
    remove(&mut lab, NONE);
    assert_eq!(stages(&lab), [Stage::Active]);
    let sent = lab.with(|core, cx| core.unregister(cx, &aor, Gone::Deactivated)).1;
    let to_ue = Flow::udp(LocalId(3), "10.0.0.2:31113".parse().expect("an address"));
    assert_eq!(notified(&sent).flow, to_ue, "the old set has ended");
}
