//! REGISTER: what is bound, refreshed, refused and forgotten.

use super::phone::{Phone, Secret};
use super::{Lab, config, udp};
use crate::base::time::Duration;
use crate::base::trace::Level;
use crate::config::model::{AuthentType, Impu};
use crate::ims::core::Core;
use crate::ims::limits::MAX_BINDINGS_PER_USER;

const SECOND: Duration = Duration::from_secs(1);

/// A lab in which nobody needs to prove anything, for what happens behind that.
fn open_lab() -> Lab {
    let mut config = config();
    config.users.iter_mut().for_each(|user| user.authent_type = AuthentType::None);
    Lab::new(config)
}

/// A phone of alice's at this address that asks for the default lifetime.
fn phone(address: &str) -> Phone {
    Phone::new("alice@ims.test", "sip:alice@ims.test", address, Secret::Password(""))
}

fn contacts(core: &Core, lab_now: crate::base::time::Instant) -> Vec<String> {
    core.user_views(lab_now)[0].bindings.iter().map(|b| b.uri.clone()).collect()
}

#[test]
fn the_200_holds_what_a_phone_needs() {
    let mut lab = open_lab();
    let mut alice = phone("10.0.0.1:5060");
    alice.contact = "<sip:alice@10.0.0.1:5060>;q=0.7;+g.3gpp.smsip;video;+sip.instance=\"<urn:gsma:imei:86130905-000038-0>\";expires=600000".into();
    alice.extra = "Supported: path\r\nUser-Agent: handset\r\n".into();
    let ok = alice.ask(&mut lab, "");
    assert_eq!(ok.status(), 200);
    assert_eq!(ok.flow, udp("10.0.0.1:5060"));
    assert_eq!(
        ok.one("Contact"),
        "<sip:alice@10.0.0.1:5060>;q=0.7;+g.3gpp.smsip;video;+sip.instance=\"<urn:gsma:imei:86130905-000038-0>\";expires=3600"
    );
    assert_eq!(ok.one("P-Associated-URI"), "<sip:alice@ims.test>, <tel:+33600000001>");
    assert_eq!(ok.one("Service-Route"), "<sip:orig@10.0.0.254:5060;lr>");
    assert_eq!(ok.one("Path"), "<sip:ims.mnc001.mcc001.3gppnetwork.org;lr>");
    assert_eq!(ok.one("Date"), "Tue, 14 Nov 2023 22:13:20 GMT");
    assert!(ok.one("To").contains(";tag="));
    let view = &lab.core.user_views(lab.now)[0];
    let binding = &view.bindings[0];
    assert_eq!((binding.q, binding.video, binding.smsip, binding.expires), (700, true, true, 3600));
    assert_eq!(binding.imei.as_deref(), Some("861309050000380"));
    assert_eq!((binding.user_agent.as_str(), binding.transport, binding.auth), ("handset", "UDP", "none"));
    assert_eq!(binding.impus, ["sip:alice@ims.test", "tel:+33600000001"]);
    assert!(lab.logged(&["Register alice@ims.test", "bound sip:alice@10.0.0.1:5060 at UDP", "3600 s"]));
}

#[test]
fn path_of_an_edge_proxy_comes_back_and_none_is_told_to_a_phone_that_knows_none() {
    let mut lab = open_lab();
    let mut alice = phone("10.0.0.1:5060");
    alice.extra = "Path: <sip:edge1;lr>, <sip:edge2;lr>\r\nSupported: path\r\n".into();
    assert_eq!(alice.ask(&mut lab, "").one("Path"), "<sip:edge1;lr>, <sip:edge2;lr>");
    alice.extra.clear();
    assert_eq!(alice.ask(&mut lab, "").all("Path"), [""; 0]);
}

#[test]
fn refresh_keeps_one_binding_and_moves_its_end() {
    let mut lab = open_lab();
    let mut alice = phone("10.0.0.1:5060");
    alice.ask(&mut lab, "Expires: 600\r\n");
    lab.pass(SECOND * 500);
    let again = alice.ask(&mut lab, "Expires: 600\r\n");
    assert_eq!(again.one("Contact"), "<sip:phone@10.0.0.1:5060>;expires=600");
    lab.pass(SECOND * 599);
    assert_eq!(contacts(&lab.core, lab.now).len(), 1);
    lab.pass(SECOND * 2);
    assert_eq!(contacts(&lab.core, lab.now), [""; 0]);
    assert!(lab.logged(&["alice@ims.test", "expired"]));
    assert!(lab.records.is_empty(), "{:?}", lab.records);
}

#[test]
fn several_contacts_live_apart_and_each_goes_by_its_own_expires() {
    let mut lab = open_lab();
    let mut alice = phone("10.0.0.1:5060");
    alice.contact = "<sip:a@10.0.0.1:5060>;expires=100;q=0.1, <sip:b@10.0.0.1:5062>;q=0.9".into();
    let ok = alice.ask(&mut lab, "Expires: 200\r\n");
    assert_eq!(
        ok.all("Contact"),
        ["<sip:a@10.0.0.1:5060>;q=0.1;expires=100", "<sip:b@10.0.0.1:5062>;q=0.9;expires=200"]
    );
    alice.contact = "<sip:a@10.0.0.1:5060>;expires=0".into();
    let left = alice.ask(&mut lab, "");
    assert_eq!(left.all("Contact"), ["<sip:b@10.0.0.1:5062>;q=0.9;expires=200"]);
    alice.contact.clear();
    let query = alice.ask(&mut lab, "");
    assert_eq!((query.status(), query.all("Contact").len()), (200, 1), "no Contact asks what there is");
}

#[test]
fn wildcard_takes_everything_away_and_needs_expires_zero_alone() {
    let mut lab = open_lab();
    let mut one = phone("10.0.0.1:5060");
    let mut two = phone("10.0.0.2:5060");
    one.ask(&mut lab, "");
    assert_eq!(two.ask(&mut lab, "").all("Contact").len(), 2);
    one.contact = "*".into();
    for bad in ["", "Expires: 60\r\n"] {
        assert_eq!(one.ask(&mut lab, bad).status(), 400, "{bad}");
    }
    one.contact = "*, <sip:x@10.0.0.1>".into();
    assert_eq!(one.ask(&mut lab, "Expires: 0\r\n").status(), 400);
    assert_eq!(contacts(&lab.core, lab.now).len(), 2);
    one.contact = "*".into();
    let ok = one.ask(&mut lab, "Expires: 0\r\n");
    assert_eq!((ok.status(), ok.all("Contact").len()), (200, 0));
    assert_eq!(ok.all("P-Associated-URI"), [""; 0]);
    assert!(lab.logged(&["Unregister alice@ims.test", "10.0.0.2"]));
    assert!(lab.records.is_empty());
}

#[test]
fn too_brief_is_423_with_the_least_and_changes_nothing() {
    let mut lab = open_lab();
    let mut alice = phone("10.0.0.1:5060");
    alice.contact = "<sip:a@10.0.0.1:5060>;expires=600, <sip:b@10.0.0.1:5062>;expires=5".into();
    let refused = alice.ask(&mut lab, "");
    assert_eq!((refused.status(), refused.one("Min-Expires")), (423, "60"));
    assert_eq!(contacts(&lab.core, lab.now), [""; 0], "all or nothing");
    let (_, words) = lab.core.user_views(lab.now)[0].last_error.clone().expect("a trouble");
    assert!(words.contains("423"), "{words}");
    alice.contact = "<sip:a@10.0.0.1:5060>".into();
    alice.ask(&mut lab, "");
    assert_eq!(lab.core.user_views(lab.now)[0].last_error, None, "and it is forgotten once all is well");
}

#[test]
fn an_old_register_of_the_same_call_id_is_refused_and_another_call_id_is_not() {
    let mut lab = open_lab();
    let mut alice = phone("10.0.0.1:5060");
    alice.cseq = 10;
    alice.ask(&mut lab, "");
    let mut late = phone("10.0.0.1:5060");
    (late.cseq, late.call_id) = (8, alice.call_id.clone());
    assert_eq!(late.ask(&mut lab, "Expires: 0\r\n").status(), 500);
    assert_eq!(contacts(&lab.core, lab.now).len(), 1);
    late.call_id = "after-a-reboot".into();
    assert_eq!(late.ask(&mut lab, "").all("Contact").len(), 1);
}

#[test]
fn an_instance_takes_its_binding_to_its_new_address_but_not_another_instance_s() {
    let mut lab = open_lab();
    let with = |address: &str, more: &str| {
        let mut phone = phone(address);
        phone.contact =
            format!("<sip:a@{address}>;+sip.instance=\"<urn:gsma:imei:86130905-000038-0>\"{more}");
        phone
    };
    with("10.0.0.1:5060", "").ask(&mut lab, "");
    let moved = with("10.0.0.2:5060", "").ask(&mut lab, "");
    assert_eq!(moved.all("Contact").len(), 1);
    assert_eq!(contacts(&lab.core, lab.now), ["sip:a@10.0.0.2:5060"]);
    let mut other = phone("10.0.0.3:5060");
    other.contact = "<sip:a@10.0.0.3>;+sip.instance=\"<urn:gsma:imei:35693803-564380-0>\"".into();
    assert_eq!(other.ask(&mut lab, "").all("Contact").len(), 2);
    // an emergency registration stands beside the normal one of the same phone
    let mut sos = with("10.0.0.2:5070", "");
    sos.contact = sos.contact.replace("5070>", "5070;sos>");
    assert_eq!(sos.ask(&mut lab, "").all("Contact").len(), 3);
}

#[test]
fn numbered_flows_of_an_outbound_client_are_kept_apart() {
    let mut lab = open_lab();
    let mut alice = phone("10.0.0.1:5060");
    for (reg_id, count) in [(1, 1), (2, 2), (1, 2)] {
        alice.contact = format!("<sip:a@10.0.0.1:5060;ob>;reg-id={reg_id};+sip.instance=\"<urn:uuid:1>\"");
        assert_eq!(alice.ask(&mut lab, "").all("Contact").len(), count);
    }
}

#[test]
fn header_expires_zero_unregisters_a_contact_whose_parameter_is_stale() {
    let mut lab = open_lab();
    let mut alice = phone("10.0.0.1:5060");
    alice.contact = "<sip:a@10.0.0.1:5060>;expires=600000".into();
    alice.ask(&mut lab, "");
    assert_eq!(alice.ask(&mut lab, "Expires: 0\r\n").all("Contact"), [""; 0]);
}

#[test]
fn unknown_identities_are_refused_in_words() {
    let mut lab = open_lab();
    let mut nobody = phone("10.0.0.1:5060");
    nobody.aor = "sip:carol@ims.test".into();
    assert_eq!(nobody.ask(&mut lab, "").status(), 404);
    let mut slip = phone("10.0.0.1:5060");
    let line = |name: &str| {
        format!("Authorization: Digest username=\"{name}\",realm=\"ims.test\",nonce=\"\",response=\"\"\r\n")
    };
    assert_eq!(slip.ask(&mut lab, &line("alcie@ims.test")).status(), 403);
    assert!(lab.logged(&["IMPI alcie@ims.test is not in ue_db", "did you mean alice@ims.test?"]));
    assert_eq!(slip.ask(&mut lab, &line("001010123456789@ims.test")).status(), 403);
    assert!(lab.logged(&["sip:alice@ims.test belongs to alice@ims.test, not to 001010123456789@ims.test"]));
    assert_eq!(nobody.ask(&mut lab, &line("alice@ims.test")).status(), 403);
    assert!(lab.logged(&["sip:carol@ims.test is not among those of alice@ims.test"]));
    assert_eq!(lab.lines(Level::Error).len(), 4, "one line for each");
}

#[test]
fn no_room_is_503_with_retry_after_and_the_old_bindings_stay() {
    let mut lab = open_lab();
    for port in 0..MAX_BINDINGS_PER_USER {
        assert_eq!(phone(&format!("10.0.1.{port}:5060")).ask(&mut lab, "").status(), 200);
    }
    let full = phone("10.0.0.1:5060").ask(&mut lab, "");
    assert_eq!(full.status(), 503);
    assert!(full.one("Retry-After").parse::<u32>().is_ok_and(|secs| secs > 0));
    assert_eq!(contacts(&lab.core, lab.now).len(), MAX_BINDINGS_PER_USER);
    assert_eq!(phone("10.0.1.0:5060").ask(&mut lab, "").status(), 200, "a refresh needs no room");
    let mut more = phone("10.0.0.1:5060");
    more.contact = vec!["<sip:x@10.0.0.1>"; 17].join(",");
    assert_eq!(more.ask(&mut lab, "").status(), 413);
}

#[test]
fn closing_the_connection_is_no_deregistration() {
    let mut lab = open_lab();
    let mut alice = phone("10.0.0.1:40000");
    alice.tcp = true;
    alice.contact = "<sip:a@10.0.0.1:5060>".into();
    let ok = alice.ask(&mut lab, "");
    assert_eq!(ok.flow, alice.flow());
    let conn = alice.flow().conn.expect("a connection");
    lab.with(|core, cx| core.on_stream_closed(cx, conn));
    let view = lab.core.user_views(lab.now)[0].bindings[0].clone();
    assert_eq!((view.uri.as_str(), view.transport), ("sip:a@10.0.0.1:5060", "TCP"));
}

#[test]
fn a_retransmission_gets_the_same_answer_and_changes_nothing() {
    let mut lab = open_lab();
    let mut alice = phone("10.0.0.1:5060");
    let text = alice.register_text("");
    let first = lab.ask(alice.flow(), &text);
    lab.pass(SECOND * 3);
    assert_eq!(lab.ask(alice.flow(), &text), first);
    assert_eq!(lab.core.load().bindings, 1);
}

#[test]
fn after_the_last_expiry_nothing_is_left_to_wait_for() {
    let mut lab = open_lab();
    phone("10.0.0.1:5060").ask(&mut lab, "");
    lab.pass(SECOND * 86_400);
    let load = lab.core.load();
    assert_eq!((load.bindings, load.challenges, load.server_transactions), (0, 0, 0));
    assert_eq!(lab.core.next_deadline(), None);
}

#[test]
fn phones_that_share_a_test_sim_see_their_own_contact() {
    let mut config = config();
    config.users[0].authent_type = AuthentType::None;
    config.users[0].multi_sim = true;
    config.users[0].impus.push(Impu::new("tel:600"));
    let mut lab = Lab::new(config);
    let with = |address: &str, imei: &str| {
        let mut phone = phone(address);
        phone.contact = format!("<sip:a@{address}>;+sip.instance=\"<urn:gsma:imei:{imei}>\"");
        phone
    };
    with("10.0.0.1:5060", "86130905-000038-0").ask(&mut lab, "");
    let ok = with("10.0.0.2:5060", "35693803-564380-0").ask(&mut lab, "");
    assert!(ok.one("Contact").contains("35693803"));
    assert_eq!(lab.core.load().bindings, 2);
}

#[test]
fn phones_that_share_a_test_sim_take_away_their_own_contacts_only() {
    let mut config = config();
    config.users[0].authent_type = AuthentType::None;
    config.users[0].multi_sim = true;
    let mut lab = Lab::new(config);
    let (mut one, mut two) = (phone("10.0.0.1:5060"), phone("10.0.0.2:5060"));
    one.ask(&mut lab, "");
    two.ask(&mut lab, "");
    one.contact = "*".into();
    assert_eq!(one.ask(&mut lab, "Expires: 0\r\n").status(), 200);
    assert_eq!(contacts(&lab.core, lab.now), ["sip:phone@10.0.0.2:5060"]);
}

#[test]
fn a_phone_sees_no_identity_that_is_tied_to_another_imei() {
    let mut config = config();
    config.users[0].authent_type = AuthentType::None;
    config.users[0].multi_sim = true;
    for (uri, imei) in [("tel:+1", "86130905-000038-0"), ("tel:+2", "35693803-564380-0")] {
        config.users[0].impus.push(Impu { imei: Some(imei.into()), ..Impu::new(uri) });
    }
    let mut lab = Lab::new(config);
    let mut alice = phone("10.0.0.1:5060");
    alice.contact = "<sip:a@10.0.0.1>;+sip.instance=\"<urn:gsma:imei:35693803-564380-0>\"".into();
    let seen = alice.ask(&mut lab, "").one("P-Associated-URI").to_owned();
    assert_eq!(seen, "<sip:alice@ims.test>, <tel:+33600000001>, <tel:+2>");
    let mut other = phone("10.0.0.2:5060");
    let seen = other.ask(&mut lab, "").one("P-Associated-URI").to_owned();
    assert_eq!(seen, "<sip:alice@ims.test>, <tel:+33600000001>");
}

#[test]
fn a_phone_that_stops_numbering_its_flow_still_has_one_binding() {
    let mut lab = open_lab();
    let mut alice = phone("10.0.0.1:5060");
    for (more, count) in [(";reg-id=1", 1), ("", 1), (";reg-id=1", 1)] {
        alice.contact = format!("<sip:a@10.0.0.1:5060>;+sip.instance=\"<urn:uuid:1>\"{more}");
        assert_eq!(alice.ask(&mut lab, "").all("Contact").len(), count);
    }
}

#[test]
fn contacts_of_one_request_count_in_their_order() {
    let mut lab = open_lab();
    let mut alice = phone("10.0.0.1:5060");
    alice.ask(&mut lab, "");
    alice.contact = "<sip:phone@10.0.0.1:5060>;expires=0, <sip:phone@10.0.0.1:5060>;expires=100".into();
    assert_eq!(alice.ask(&mut lab, "").all("Contact"), ["<sip:phone@10.0.0.1:5060>;expires=100"]);
    alice.contact = "<sip:phone@10.0.0.1:5060>;expires=100, <sip:phone@10.0.0.1:5060>;expires=0".into();
    assert_eq!(alice.ask(&mut lab, "").all("Contact"), [""; 0]);
}

#[test]
fn a_client_that_restarts_on_ever_new_ports_gets_the_place_of_its_oldest_contact() {
    let mut lab = open_lab();
    phone("10.0.0.2:5060").ask(&mut lab, "");
    for port in 0..2 * MAX_BINDINGS_PER_USER {
        lab.pass(SECOND);
        assert_eq!(phone(&format!("10.0.0.1:{}", 1000 + port)).ask(&mut lab, "").status(), 200, "{port}");
    }
    let left = contacts(&lab.core, lab.now);
    assert_eq!(left.len(), MAX_BINDINGS_PER_USER);
    assert!(left.contains(&"sip:phone@10.0.0.2:5060".to_owned()), "the other host's stays");
    assert!(
        !left.contains(&"sip:phone@10.0.0.1:1000".to_owned())
            && left.contains(&"sip:phone@10.0.0.1:1127".to_owned())
    );
    assert!(lab.logged(&["Unregister alice@ims.test", "sip:phone@10.0.0.1:1000", "makes room"]));
}

#[test]
fn a_contact_that_is_our_own_address_is_refused_in_words() {
    let mut lab = open_lab();
    let mut alice = phone("10.0.0.254:40000");
    alice.contact = "<sip:a@10.0.0.254>".into();
    assert_eq!(alice.ask(&mut lab, "").status(), 403);
    assert!(lab.logged(&["Register alice@ims.test: refused with 403", "own address"]));
    alice.contact = "<sip:a@10.0.0.254:40000>".into();
    assert_eq!(alice.ask(&mut lab, "").status(), 200);
}

#[test]
fn slips_in_names_are_recognised() {
    let mut lab = open_lab();
    let mut slip = phone("10.0.0.1:5060");
    slip.aor = "sip:001010123456798@ims.test".into();
    assert_eq!(slip.ask(&mut lab, "").status(), 404);
    assert!(lab.logged(&[
        "IMPU sip:001010123456798@ims.test is not in ue_db",
        "did you mean 001010123456789@ims.test?"
    ]));
}
