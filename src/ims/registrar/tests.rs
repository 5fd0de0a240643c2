//! Whose a request is, which contacts are tried, and what a failing transport does to a binding.

use super::*;
use crate::base::time::Duration;
use crate::config::model::{Impu, User};
use crate::proto::flow::LocalId;
use crate::wire::sip::Index;

const ALICE: UserId = UserId(0);
const BOB: UserId = UserId(1);
const NOW: Instant = Instant::from_nanos(5);

fn subscribers() -> Subscribers {
    let user = |name: &str| User {
        impi: format!("{name}@ims.test"),
        impus: vec![Impu::new(format!("sip:{name}@ims.test"))],
        ..User::default()
    };
    Subscribers::new(vec![user("alice"), user("bob")], &[]).0
}

fn udp(remote: &str) -> Flow {
    Flow::udp(LocalId(0), remote.parse().expect("an address"))
}

fn tcp(remote: &str, conn: u64) -> Flow {
    Flow::tcp(LocalId(0), remote.parse().expect("an address"), Some(ConnId(conn)))
}

/// Binds a contact that was registered over this flow.
fn bind(registrar: &mut Registrar, user: UserId, source: Flow, contact: &str) -> Id<Binding> {
    let address = NameAddr::parse(contact.as_bytes()).expect("a contact");
    let draft = Draft {
        contact: Contact::new(&address),
        route: route::choose(source.into(), &address.uri.expect("a URI")),
        expires_at: NOW + Duration::from_secs(60),
        origin: Origin {
            impu: 0,
            call_id: [].into(),
            cseq: 1,
            source: source.remote,
            at: UnixTime::default(),
            path: [].into(),
            user_agent: String::new(),
            auth: "none",
        },
    };
    let id = registrar.add(user, draft).expect("room");
    registrar.acknowledge(id);
    id
}

/// Who the registrar says sent a request with this From over this flow.
fn caller(registrar: &Registrar, flow: Flow, from: &str) -> Option<UserId> {
    let text = format!("INVITE sip:x SIP/2.0\r\nFrom: {from};tag=1\r\n\r\n");
    let mut index = Index::new();
    let message = Message::parse(text.as_bytes(), &mut index).expect("a message");
    registrar.caller(&subscribers(), flow, &message).map(|(user, _)| user)
}

const FROM_ALICE: &str = "<sip:alice@ims.test>";
const FROM_BOB: &str = "<sip:bob@ims.test>";
const FROM_NOBODY: &str = "<sip:anonymous@anonymous.invalid>";

#[test]
fn the_registered_address_tells_whose_a_request_is_whatever_it_says() {
    let mut registrar = Registrar::default();
    bind(&mut registrar, ALICE, udp("10.0.0.1:5060"), "<sip:a@10.0.0.1:5060>");
    bind(&mut registrar, BOB, udp("10.0.0.1:5070"), "<sip:b@10.0.0.1:5070>");
    for from in [FROM_ALICE, FROM_BOB, FROM_NOBODY] {
        assert_eq!(caller(&registrar, udp("10.0.0.1:5060"), from), Some(ALICE), "{from}");
        assert_eq!(caller(&registrar, udp("10.0.0.1:5070"), from), Some(BOB), "{from}");
        assert_eq!(caller(&registrar, udp("10.0.0.9:5060"), from), None, "{from}");
    }
}

#[test]
fn from_another_port_of_the_host_the_identity_tells() {
    let mut registrar = Registrar::default();
    bind(&mut registrar, ALICE, udp("10.0.0.1:5060"), "<sip:a@10.0.0.1:5060>");
    assert_eq!(caller(&registrar, tcp("10.0.0.1:40001", 4), FROM_ALICE), Some(ALICE));
    assert_eq!(caller(&registrar, tcp("10.0.0.1:40001", 4), FROM_NOBODY), Some(ALICE), "the only one there");
    bind(&mut registrar, BOB, udp("10.0.0.1:5070"), "<sip:b@10.0.0.1:5070>");
    assert_eq!(caller(&registrar, tcp("10.0.0.1:40001", 4), FROM_BOB), Some(BOB));
    assert_eq!(caller(&registrar, tcp("10.0.0.1:40001", 4), FROM_NOBODY), None, "one of two");
}

#[test]
fn behind_one_address_the_identity_tells_users_apart() {
    let mut registrar = Registrar::default();
    let shared = udp("10.0.0.1:5060");
    bind(&mut registrar, ALICE, shared, "<sip:a@10.0.0.1:5060>");
    bind(&mut registrar, BOB, shared, "<sip:b@10.0.0.1:5060>");
    assert_eq!(caller(&registrar, shared, FROM_ALICE), Some(ALICE));
    assert_eq!(caller(&registrar, shared, FROM_BOB), Some(BOB));
    assert_eq!(caller(&registrar, shared, FROM_NOBODY), None);
}

#[test]
fn contacts_are_tried_by_priority_and_emergency_ones_not_at_all() {
    let mut registrar = Registrar::default();
    let flow = udp("10.0.0.1:5060");
    let low = bind(&mut registrar, ALICE, flow, "<sip:1@10.0.0.1>;q=0.1");
    let high = bind(&mut registrar, ALICE, flow, "<sip:2@10.0.0.1>");
    bind(&mut registrar, ALICE, flow, "<sip:3@10.0.0.1;sos>");
    let middle = bind(&mut registrar, ALICE, flow, "<sip:4@10.0.0.1>;q=0.5");
    assert_eq!(registrar.targets(ALICE, NOW)[..], [high, middle, low]);
    assert!(registrar.targets(BOB, NOW).is_empty());
    assert!(registrar.targets(ALICE, NOW + Duration::from_secs(60)).is_empty(), "all over");
}

#[test]
fn a_contact_is_no_target_before_its_phone_knows() {
    let mut registrar = Registrar::default();
    let id = bind(&mut registrar, ALICE, udp("10.0.0.1:5060"), "<sip:1@10.0.0.1>");
    let known = registrar.binding(id).expect("bound");
    let draft = |route| Draft {
        contact: known.contact.clone(),
        route,
        expires_at: known.expires_at,
        origin: known.origin.clone(),
    };
    let (again, other) = (draft(known.route()), draft(known.route()));
    registrar.pop_changed().expect("told");
    registrar.refresh(id, again);
    assert_eq!(registrar.targets(ALICE, NOW)[..], [id], "a refreshed one stays a target");
    assert_eq!(registrar.pop_changed(), None);
    let new = registrar.add(BOB, other).expect("room");
    assert!(registrar.targets(BOB, NOW).is_empty() && registrar.pop_changed().is_none());
    registrar.acknowledge(new);
    assert_eq!((&registrar.targets(BOB, NOW)[..], registrar.pop_changed()), (&[new][..], Some(BOB)));
}

#[test]
fn imei_is_compared_without_its_last_digit_and_dashes() {
    let mut registrar = Registrar::default();
    let contact = "<sip:1@10.0.0.1>;+sip.instance=\"<urn:gsma:imei:86130905-000038-0>\"";
    let id = bind(&mut registrar, ALICE, udp("10.0.0.1:5060"), contact);
    let binding = registrar.binding(id).expect("bound");
    for (imei, same) in [
        ("86130905000038", true),
        ("861309050000385", true),
        ("86130905-000038-0", true),
        ("86130905000039", false),
        ("8613", false),
    ] {
        assert_eq!(binding.has_imei(imei), same, "{imei}");
    }
}

#[test]
fn tcp_that_fails_is_not_tried_again_for_the_same_way() {
    let mut registrar = Registrar::default();
    let udp_only = bind(&mut registrar, ALICE, udp("10.0.0.1:5060"), "<sip:a@10.0.0.1:5060>");
    let failed = Flow::tcp(LocalId(0), "10.0.0.1:5060".parse().expect("an address"), None);
    assert!(registrar.binding(udp_only).is_some_and(|b| b.tcp_allowed));
    registrar.on_send_failed(udp("10.0.0.1:5060"));
    assert!(registrar.binding(udp_only).is_some_and(|b| b.tcp_allowed), "UDP says nothing about TCP");
    registrar.on_send_failed(failed);
    assert!(registrar.binding(udp_only).is_some_and(|b| !b.tcp_allowed && b.flow == udp("10.0.0.1:5060")));
}

#[test]
fn a_phone_that_cannot_be_reached_by_tcp_any_more_is_reached_by_udp() {
    let mut registrar = Registrar::default();
    let id = bind(&mut registrar, ALICE, tcp("10.0.0.1:40000", 7), "<sip:a@10.0.0.1:5060>");
    let flow = |registrar: &Registrar| registrar.binding(id).expect("bound").flow;
    assert_eq!(flow(&registrar), tcp("10.0.0.1:5060", 7));
    registrar.on_stream_closed(ConnId(7));
    let without = Flow::tcp(LocalId(0), "10.0.0.1:5060".parse().expect("an address"), None);
    assert_eq!(flow(&registrar), without, "a new connection goes to the contact");
    registrar.on_send_failed(without);
    assert_eq!(flow(&registrar), udp("10.0.0.1:5060"));
    assert_eq!(caller(&registrar, udp("10.0.0.1:5060"), FROM_NOBODY), Some(ALICE), "indexes follow");
    registrar.remove(id, Gone::Expired);
    assert_eq!(caller(&registrar, udp("10.0.0.1:5060"), FROM_ALICE), None);
    let Registrar { by_user, by_address, by_ip, by_conn, alarms, .. } = &registrar;
    assert!(by_user.is_empty() && by_address.is_empty() && by_ip.is_empty() && by_conn.is_empty());
    assert!(alarms.is_empty());
}
