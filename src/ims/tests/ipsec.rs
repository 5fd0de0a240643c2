//! Registration through IPsec: the agreement, the life of the sets, and what is refused.

use super::auth::bob;
use super::phone::Phone;
use super::{Lab, Sent, config};
use crate::base::time::Duration;
use crate::config::model::Config;
use crate::ims::core::Core;
use crate::ims::security::{Ability, Stage};
use crate::proto::flow::{ConnId, Flow, LocalId};
use crate::proto::locals::Locals;
use crate::proto::outbox::Output;
use crate::proto::sip::sec_agree::{Direction, Policy, SaCounters, SaFailure, SaSet, Suite};
use std::net::SocketAddr;

fn addr(port: u16) -> SocketAddr {
    SocketAddr::new("10.0.0.254".parse().unwrap(), port)
}

fn locals() -> Locals {
    let mut locals = Locals::clear([addr(5060)]);
    for (server, client) in [(6100, 5100), (6101, 5104)] {
        let clients: Vec<SocketAddr> = (client..client + 4).map(addr).collect();
        locals.add_protected(LocalId(0), addr(server), &clients).unwrap();
    }
    locals
}

pub(super) fn lab_of(config: Config) -> Lab {
    let ability = Ability { locals: locals(), suites: Suite::all().collect(), lack: None };
    Lab::with_core(|rng| Core::with_ability(config, ability, rng))
}

pub(super) fn lab() -> Lab {
    lab_of(config())
}

/// A phone with a SIM that can do IPsec.
pub(super) struct Guarded {
    pub(super) phone: Phone,
    pub(super) client: u16,
    pub(super) server: u16,
    pub(super) spi: u32,
    pub(super) algorithms: &'static str,
    /// Security-Server of the last challenge.
    pub(super) agreed: String,
}

impl Guarded {
    pub(super) fn new() -> Guarded {
        let phone = bob();
        Guarded {
            phone,
            client: 31112,
            server: 31113,
            spi: 7000,
            algorithms: "alg=hmac-sha-1-96;ealg=aes-cbc",
            agreed: String::new(),
        }
    }

    /// The header lines of a request before anything is agreed.
    pub(super) fn offer(&self) -> String {
        let Guarded { client, server, spi, algorithms, .. } = self;
        format!(
            "Require: sec-agree\r\nProxy-Require: sec-agree\r\nSupported: path,sec-agree\r\n\
             Security-Client: ipsec-3gpp;{algorithms};spi-c={spi};spi-s={};port-c={client};port-s={server}\r\n",
            spi + 1
        )
    }

    pub(super) fn verify(&self) -> String {
        format!("Security-Verify: {}\r\n", self.agreed)
    }

    pub(super) fn flow_of(&self, agreed: &str, tcp: bool) -> Flow {
        let port: u16 =
            agreed.split("port-s=").nth(1).and_then(|t| t.split(';').next()).unwrap().parse().unwrap();
        let local = locals().iter().find(|(_, l)| l.own == addr(port)).unwrap().0;
        let remote = SocketAddr::new("10.0.0.2".parse().unwrap(), self.client);
        if tcp { Flow::tcp(local, remote, Some(ConnId(77))) } else { Flow::udp(local, remote) }
    }

    /// Asks to register; the kernel takes the set. Gives the challenge.
    pub(super) fn challenged(&mut self, lab: &mut Lab) -> Sent {
        let text = self.phone.register_text(&self.offer());
        let sent = lab.on_sip(self.phone.flow(), text);
        assert_eq!(sent, [], "nothing leaves before the kernel has the set");
        let challenge = install(lab).remove(0);
        assert_eq!(challenge.status(), 401, "{}", challenge.text);
        self.agreed = challenge.one("Security-Server").to_owned();
        challenge
    }

    /// Answers through the set.
    pub(super) fn answer(&mut self, lab: &mut Lab, challenge: &Sent, headers: &str) -> Sent {
        let address = format!("10.0.0.2:{}", self.server);
        self.phone.contact = format!("<sip:phone@{address}>");
        self.phone.address = address;
        self.phone.over = Some(self.flow_of(&self.agreed, false));
        self.phone.answer(lab, challenge, headers)
    }

    pub(super) fn register(&mut self, lab: &mut Lab) -> Sent {
        let challenge = self.challenged(lab);
        let headers = self.offer() + &self.verify();
        self.answer(lab, &challenge, &headers)
    }

    /// A REGISTER through the set that is there.
    pub(super) fn refresh(&mut self, lab: &mut Lab, headers: &str) -> Vec<Sent> {
        let headers = format!("{}{headers}", self.verify());
        let text = self.phone.register_text(&headers);
        lab.on_sip(self.phone.flow(), text)
    }
}

pub(super) fn taken(lab: &mut Lab) -> Vec<Output> {
    std::mem::take(&mut lab.kernel)
}

pub(super) fn asked(lab: &mut Lab) -> Box<SaSet> {
    let commands = taken(lab);
    let mut installs = commands.into_iter().filter_map(|c| match c {
        Output::InstallSas(set) => Some(set),
        _ => None,
    });
    installs.next_back().expect("a set to install")
}

/// The kernel takes what it is asked for.
pub(super) fn install(lab: &mut Lab) -> Vec<Sent> {
    let set = asked(lab);
    lab.with(|core, cx| core.on_sas_installed(cx, set.id, Ok(()))).1
}

/// The kernel removes what it is asked to; how many sets.
pub(super) fn remove(lab: &mut Lab, counted: [SaCounters; 4]) -> usize {
    let removed: Vec<u64> = taken(lab)
        .into_iter()
        .filter_map(|c| match c {
            Output::RemoveSas { id } => Some(id),
            _ => None,
        })
        .collect();
    for id in &removed {
        lab.with(|core, cx| core.on_sas_removed(cx, *id, Some(counted)));
    }
    removed.len()
}

pub(super) fn stages(lab: &Lab) -> Vec<Stage> {
    lab.core.set_views(lab.now).iter().map(|v| v.stage).collect()
}

pub(super) const NONE: [SaCounters; 4] =
    [SaCounters { packets: 0, octets: 0, replayed: 0, integrity_failed: 0 }; 4];

#[test]
fn a_phone_registers_through_the_set_that_its_challenge_offered() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let text = bob.phone.register_text(&bob.offer());
    assert_eq!(lab.on_sip(bob.phone.flow(), text.clone()), []);
    let set = asked(&mut lab);
    let ends = set.associations.map(|a| (a.direction, a.from.port(), a.to.port()));
    let (inward, outward) = (Direction::In, Direction::Out);
    assert_eq!(
        ends,
        [(inward, 31112, 6100), (outward, 6100, 31112), (outward, 5100, 31113), (inward, 31113, 5100)]
    );
    assert_eq!((set.associations[1].spi, set.associations[2].spi), (7000, 7001));
    assert_eq!(lab.on_sip(bob.phone.flow(), text), [], "a repetition waits too");
    let sent = lab.with(|core, cx| core.on_sas_installed(cx, set.id, Ok(()))).1;
    let [challenge] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((challenge.status(), challenge.flow), (401, super::udp("10.0.0.2:5060")));
    bob.agreed = challenge.one("Security-Server").to_owned();
    assert!(bob.agreed.ends_with("port-c=5100;port-s=6100;alg=hmac-sha-1-96;ealg=aes-cbc"), "{}", bob.agreed);

    let headers = bob.offer() + &bob.verify();
    let ok = bob.answer(&mut lab, challenge, &headers);
    assert_eq!(ok.status(), 200, "{}", ok.text);
    // from our client port to the phone's server port, which Via names
    assert_eq!(ok.flow, Flow::udp(LocalId(2), "10.0.0.2:31113".parse().unwrap()));
    assert_eq!(ok.one("Service-Route"), "<sip:orig@10.0.0.254:6100;lr>");
    assert_eq!(stages(&lab), [Stage::Active]);
    assert!(
        matches!(taken(&mut lab)[..], [Output::ExtendSas { lifetime, .. }] if lifetime > Duration::from_secs(3630))
    );
    let kinds: Vec<&str> = lab.records.keys().filter_map(|key| key.split('/').next()).collect();
    assert_eq!(kinds, ["association", "binding", "sqn"], "it is reached after a restart");
}

#[test]
fn requests_to_a_protected_phone_leave_through_its_set_and_name_the_server_port() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    assert_eq!(bob.register(&mut lab).status(), 200);
    let mut alice = Phone::alice();
    assert_eq!(alice.register(&mut lab, "").status(), 200);
    let text = alice.request("INVITE", "tel:0600000002", "tel:0600000002", "Contact: <sip:a@10.0.0.1>\r\n");
    let sent = lab.on_sip(alice.flow(), text);
    let invite = sent.iter().find(|s| s.text.starts_with("INVITE")).expect("an INVITE to bob");
    assert_eq!(invite.flow, Flow::udp(LocalId(2), "10.0.0.2:31113".parse().unwrap()));
    assert!(invite.one("Via").starts_with("SIP/2.0/UDP 10.0.0.254:6100;"), "{}", invite.text);
    assert!(invite.one("Contact").contains("10.0.0.254:6100"), "{}", invite.text);
    // its answer counts only through the set
    let mut ringing = String::from("SIP/2.0 180 Ringing\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let tag = if name == "To" { ";tag=b" } else { "" };
        ringing += &format!("{name}: {}{tag}\r\n", invite.one(name));
    }
    ringing += "Content-Length: 0\r\n\r\n";
    assert_eq!(lab.on_sip(super::udp("10.0.0.2:31113"), &ringing), [], "forged in clear");
    let heard = lab.on_sip(bob.phone.flow(), &ringing);
    assert!(heard.iter().any(|s| s.flow == alice.flow() && s.status() == 180), "{heard:?}");
}

#[test]
fn over_tcp_the_connection_of_the_phone_carries_answers_and_ours_carries_requests() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    bob.phone.tcp = true;
    let challenge = bob.challenged(&mut lab);
    let flow = bob.flow_of(&bob.agreed, true);
    bob.phone.over = Some(flow);
    bob.phone.address = "10.0.0.2:31113".into();
    bob.phone.contact = "<sip:phone@10.0.0.2:31113>".into();
    let headers = bob.offer() + &bob.verify();
    let ok = bob.phone.answer(&mut lab, &challenge, &headers);
    // should the connection be gone, a new one goes from our client port
    assert_eq!(ok.flow, Flow::tcp(LocalId(2), "10.0.0.2:31113".parse().unwrap(), Some(ConnId(77))));
    assert_eq!(ok.status(), 200);
    let view = &lab.core.user_views(lab.now)[1].bindings[0];
    assert_eq!(view.transport, "TCP");
    let mut alice = Phone::alice();
    alice.register(&mut lab, "");
    let text = alice.request("INVITE", "tel:0600000002", "tel:0600000002", "Contact: <sip:a@10.0.0.1>\r\n");
    let sent = lab.on_sip(alice.flow(), text);
    let invite = sent.iter().find(|s| s.text.starts_with("INVITE")).expect("an INVITE to bob");
    assert_eq!(invite.flow, Flow::tcp(LocalId(2), "10.0.0.2:31113".parse().unwrap(), None));
}

#[test]
fn a_refresh_through_the_set_needs_no_challenge_and_extends_it() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    bob.register(&mut lab);
    lab.pass(Duration::from_secs(1800));
    taken(&mut lab);
    let sent = bob.refresh(&mut lab, "");
    assert_eq!((sent.len(), sent[0].status()), (1, 200));
    assert!(matches!(taken(&mut lab)[..], [Output::ExtendSas { .. }]));
    lab.pass(Duration::from_secs(3599));
    assert_eq!(stages(&lab), [Stage::Active]);
    // the registration ends, and the set a little later
    lab.pass(Duration::from_secs(12));
    assert_eq!((lab.core.load().bindings, remove(&mut lab, NONE), lab.core.load().sets), (0, 1, 0));
}

/// TS 24.229 5.4.1.6: what comes through the set is believed, and yet challenged once the operator wants proof.
#[test]
fn a_phone_that_is_to_authenticate_again_is_challenged_through_its_set() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    bob.register(&mut lab);
    taken(&mut lab);
    let within = Duration::from_secs(60);
    let asked = lab.with(|core, cx| core.reauthenticate(cx, "tel:0600000002", within)).0;
    assert_eq!(asked, Ok(1));
    lab.pass(Duration::from_secs(30));
    (bob.client, bob.spi) = (31114, 8000);
    let headers = bob.offer();
    assert_eq!(bob.refresh(&mut lab, &headers), []);
    let challenge = install(&mut lab).remove(0);
    assert_eq!(challenge.status(), 401);
    bob.agreed = challenge.one("Security-Server").to_owned();
    let headers = bob.offer() + &bob.verify();
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 200);
    assert_eq!(stages(&lab), [Stage::Old, Stage::Active]);
    // proven: the next refresh needs no challenge
    taken(&mut lab);
    assert_eq!(bob.refresh(&mut lab, "")[0].status(), 200);
    lab.pass(Duration::from_secs(100));
    assert_eq!(lab.core.load().bindings, 1, "for as long as it was granted then");
}

#[test]
fn a_set_is_renewed_beside_the_old_one_on_the_same_server_port() {
    let mut config = config();
    config.users[1].impus.iter_mut().for_each(|impu| impu.reauthenticate = true);
    let mut lab = lab_of(config);
    let mut bob = Guarded::new();
    assert_eq!(bob.register(&mut lab).status(), 200);
    let (old, old_flow) = (bob.agreed.clone(), bob.phone.flow());
    taken(&mut lab);
    (bob.client, bob.spi) = (31114, 8000);
    let headers = bob.offer();
    assert_eq!(bob.refresh(&mut lab, &headers), []);
    let challenge = install(&mut lab).remove(0);
    assert_eq!((challenge.status(), challenge.flow.remote.port()), (401, 31113), "over the old set");
    bob.agreed = challenge.one("Security-Server").to_owned();
    assert!(bob.agreed.contains("port-c=5101;port-s=6100"), "{}", bob.agreed);
    assert_eq!(stages(&lab), [Stage::Active, Stage::Offered]);
    let headers = bob.offer() + &bob.verify();
    let ok = bob.answer(&mut lab, &challenge, &headers);
    assert_eq!((ok.status(), ok.flow.local), (200, LocalId(3)), "{}", ok.text);
    assert_eq!(stages(&lab), [Stage::Old, Stage::Active]);
    // what is under way through the old one is still taken
    let text =
        bob.phone.request("OPTIONS", "sip:ims.test", "sip:ims.test", &format!("Security-Verify: {old}\r\n"));
    assert_eq!(lab.on_sip(old_flow, text)[0].status(), 200);
    taken(&mut lab);
    lab.pass(Duration::from_secs(129));
    assert_eq!(remove(&mut lab, NONE), 1);
    assert_eq!(stages(&lab), [Stage::Active]);
    assert_eq!(lab.core.load().bindings, 1);
}

#[test]
fn a_phone_has_one_old_set_at_most_and_none_after_its_registration() {
    let mut config = config();
    config.users[1].impus.iter_mut().for_each(|impu| impu.reauthenticate = true);
    let mut lab = lab_of(config);
    let mut bob = Guarded::new();
    bob.register(&mut lab);
    for round in 1..4u16 {
        (bob.client, bob.spi) = (31112 + 2 * round, 8000 + 10 * u32::from(round));
        let headers = bob.offer();
        bob.refresh(&mut lab, &headers);
        let challenge = install(&mut lab).remove(0);
        bob.agreed = challenge.one("Security-Server").to_owned();
        let headers = bob.offer() + &bob.verify();
        assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 200);
        assert_eq!(remove(&mut lab, NONE), usize::from(round > 1));
        assert_eq!(stages(&lab), [Stage::Old, Stage::Active]);
    }
    let gone = lab
        .with(|core, cx| {
            core.unregister(cx, "001010123456789@ims.test", crate::ims::registrar::Gone::Rejected)
        })
        .0;
    assert_eq!(gone, Ok(1));
    assert_eq!(stages(&lab), [Stage::Leaving, Stage::Leaving]);
    lab.pass(Duration::from_secs(11));
    assert_eq!((remove(&mut lab, NONE), lab.core.load().sets), (2, 0));
}

#[test]
fn a_set_goes_at_once_when_the_sim_rejects_its_challenge() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let challenge = bob.challenged(&mut lab);
    // MAC failure: in clear, with an empty response and from other ports
    let nonce = super::auth::nonce(&challenge);
    (bob.client, bob.server, bob.spi) = (40000, 40001, 9000);
    let empty = format!(
        "Authorization: Digest username=\"{}\",realm=\"ims.test\",nonce=\"{nonce}\",uri=\"sip:ims.test\",response=\"\"\r\n{}",
        bob.phone.username,
        bob.offer()
    );
    let text = bob.phone.register_text(&empty);
    lab.on_sip(bob.phone.flow(), text);
    assert_eq!(remove(&mut lab, NONE), 1);
}

#[test]
fn a_phone_that_does_not_draw_new_spis_answers_through_the_set_that_it_has() {
    let mut config = config();
    config.users[1].impus.iter_mut().for_each(|impu| impu.reauthenticate = true);
    let mut lab = lab_of(config);
    let mut bob = Guarded::new();
    bob.register(&mut lab);
    taken(&mut lab);
    let headers = bob.offer();
    let challenge = bob.refresh(&mut lab, &headers).remove(0);
    assert_eq!((challenge.status(), challenge.all("Security-Server").len()), (401, 0));
    let headers = bob.verify();
    assert_eq!(bob.phone.answer(&mut lab, &challenge, &headers).status(), 200);
    assert_eq!(stages(&lab), [Stage::Active]);
}

#[test]
fn a_renewal_that_is_not_answered_leaves_everything_as_it_was() {
    let mut config = config();
    config.users[1].impus.iter_mut().for_each(|impu| impu.reauthenticate = true);
    let mut lab = lab_of(config);
    let mut bob = Guarded::new();
    bob.register(&mut lab);
    (bob.client, bob.spi) = (31114, 8000);
    let headers = bob.offer();
    bob.refresh(&mut lab, &headers);
    install(&mut lab);
    lab.pass(Duration::from_secs(241));
    assert_eq!(remove(&mut lab, NONE), 1);
    assert_eq!((stages(&lab), lab.core.load().bindings), (vec![Stage::Active], 1));
}

#[test]
fn a_de_registration_is_answered_inside_and_the_set_goes_later() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    bob.register(&mut lab);
    let sent = bob.refresh(&mut lab, "Expires: 0\r\n");
    assert_eq!((sent[0].status(), sent[0].flow.local), (200, LocalId(2)));
    assert_eq!((stages(&lab), lab.core.load().bindings), (vec![Stage::Leaving], 0));
    assert_eq!(remove(&mut lab, NONE), 0);
    lab.pass(Duration::from_secs(11));
    assert_eq!((remove(&mut lab, NONE), lab.core.load().sets), (1, 0));
}

#[test]
fn a_wrong_or_missing_security_verify_ends_the_agreement() {
    for change in [|_: &str| String::new(), |v: &str| v.replace("port-s=6100", "port-s=6101")] {
        let mut lab = lab();
        let mut bob = Guarded::new();
        let challenge = bob.challenged(&mut lab);
        let headers = bob.offer() + &change(&bob.verify());
        let refused = bob.answer(&mut lab, &challenge, &headers);
        assert_eq!(refused.status(), 494, "{}", refused.text);
        assert!(refused.all("Security-Server").len() > 1 && refused.one("Require") == "sec-agree");
        assert!(lab.logged(&["Security-Verify", "494"]));
        assert_eq!((stages(&lab), lab.core.load().bindings), (vec![Stage::Leaving], 0));
        lab.pass(Duration::from_secs(11));
        assert_eq!((remove(&mut lab, NONE), lab.core.load().sets), (1, 0));
    }
}

#[test]
fn an_offer_that_was_weakened_on_its_way_is_found_out() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let challenge = bob.challenged(&mut lab);
    bob.algorithms = "alg=hmac-md5-96;ealg=null";
    let headers = bob.offer() + &bob.verify();
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 494);
    assert!(lab.logged(&["Security-Client differs", "alg is hmac-sha-1-96, came as hmac-md5-96"]));
}

#[test]
fn an_answer_in_clear_does_not_register() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let challenge = bob.challenged(&mut lab);
    for headers in [bob.offer(), String::new()] {
        let refused = bob.phone.answer(&mut lab, &challenge, &headers);
        assert!(matches!(refused.status(), 403 | 401), "{}", refused.text);
        assert_eq!(lab.core.load().bindings, 0);
    }
    assert!(lab.logged(&["came without IPsec"]));
}

#[test]
fn in_clear_a_protected_phone_may_register_and_nothing_else() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    bob.register(&mut lab);
    let mut forger = super::auth::bob();
    for (method, address) in
        [("INVITE", "10.0.0.2:31112"), ("SUBSCRIBE", "10.0.0.2:31113"), ("INVITE", "10.0.0.2:5060")]
    {
        forger.address = address.into();
        let text = forger.request(
            method,
            "tel:0600000002",
            "tel:0600000002",
            "Event: reg\r\nContact: <sip:b@10.0.0.2>\r\n",
        );
        let refused = lab.ask(forger.flow(), text);
        assert_eq!(refused.status(), 403, "{method} {address}");
    }
    assert!(lab.logged(&["INVITE refused", "registered through IPsec"]));
    // switched off and on again: the first REGISTER comes in clear, and the old set and its contact go when the new one carries
    let mut again = Guarded::new();
    (again.client, again.server, again.spi) = (32000, 32001, 9000);
    taken(&mut lab);
    assert_eq!(again.register(&mut lab).status(), 200);
    assert_eq!((stages(&lab), lab.core.load().bindings), (vec![Stage::Leaving, Stage::Active], 1));
}

#[test]
fn a_phone_that_comes_back_with_its_old_ports_gets_another_server_port() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    bob.register(&mut lab);
    let mut again = Guarded::new();
    again.spi = 9000;
    let challenge = again.challenged(&mut lab);
    assert!(again.agreed.contains("port-c=5104;port-s=6101"), "{}", again.agreed);
    let headers = again.offer() + &again.verify();
    assert_eq!(again.answer(&mut lab, &challenge, &headers).status(), 200);
    assert_eq!(stages(&lab), [Stage::Leaving, Stage::Active], "the same contact");
    // its SPIs were to be read on the way of its first REGISTER: who repeats them in clear ends nothing
    let mut third = Guarded::new();
    third.spi = 9000;
    taken(&mut lab);
    let text = third.phone.register_text(&third.offer());
    let refused = lab.on_sip(third.phone.flow(), text).remove(0);
    assert_eq!((refused.status(), lab.kernel.len()), (503, 0), "{}", refused.text);
    assert!(lab.logged(&["SPI 9000 is that of its registration"]));
}

#[test]
fn what_the_kernel_refuses_is_tried_with_other_numbers_or_told() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let text = bob.phone.register_text(&bob.offer());
    lab.on_sip(bob.phone.flow(), text);
    let first = asked(&mut lab);
    let failure = |is_taken| Err(SaFailure { is_taken, words: "File exists".into() });
    assert_eq!(lab.with(|core, cx| core.on_sas_installed(cx, first.id, failure(true))).1, []);
    let second = asked(&mut lab);
    assert_eq!((second.id, second.reqid), (first.id, first.reqid));
    assert_ne!(second.associations[0].spi, first.associations[0].spi);
    assert_eq!(second.associations[2].from.port(), 5101);
    let sent = lab.with(|core, cx| core.on_sas_installed(cx, second.id, failure(false))).1;
    assert_eq!((sent.len(), sent[0].status()), (1, 500));
    assert!(lab.logged(&["the kernel does not take", "File exists"]));
    assert_eq!(lab.core.load().sets, 0);
    // taken for ever: a few tries, then the same
    let text = bob.phone.register_text(&bob.offer());
    lab.on_sip(bob.phone.flow(), text);
    let mut tries = 0;
    let sent = loop {
        tries += 1;
        let set = asked(&mut lab);
        let sent = lab.with(|core, cx| core.on_sas_installed(cx, set.id, failure(true))).1;
        if !sent.is_empty() {
            break sent;
        }
    };
    assert_eq!((tries, sent[0].status(), lab.core.load().sets), (4, 500, 0));
}

#[test]
fn a_kernel_that_does_not_answer_is_waited_for_a_while() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let text = bob.phone.register_text(&bob.offer());
    lab.on_sip(bob.phone.flow(), text);
    let set = asked(&mut lab);
    let sent = lab.pass(Duration::from_secs(6));
    assert_eq!((sent.len(), sent[0].status()), (1, 500));
    assert_eq!(lab.with(|core, cx| core.on_sas_installed(cx, set.id, Ok(()))).1, [], "too late");
    assert_eq!((remove(&mut lab, NONE), lab.core.load().sets), (1, 0));
}

#[test]
fn a_challenge_without_answer_ends_with_what_the_kernel_counted() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    bob.challenged(&mut lab);
    lab.pass(Duration::from_secs(241));
    let mut counted = NONE;
    counted[0].integrity_failed = 3;
    assert_eq!(remove(&mut lab, counted), 1);
    assert_eq!(lab.core.load().sets, 0);
    let (_, words) = lab.core.user_views(lab.now)[1].last_error.clone().expect("a trouble");
    assert!(words.contains("wrong integrity check") && words.contains("check K and op or opc"), "{words}");
}

#[test]
fn what_the_policy_and_the_machine_make_of_a_register() {
    let ask = |policy, ability: &dyn Fn(Locals) -> Ability, headers: &str| {
        let mut config = config();
        config.users[1].ipsec = policy;
        let ability = ability(locals());
        let mut lab = Lab::with_core(|rng| Core::with_ability(config, ability, rng));
        let mut bob = bob();
        let text = bob.register_text(headers);
        let mut sent = lab.on_sip(bob.flow(), text);
        let (installs, load) = (lab.kernel.len(), lab.core.load().sets);
        assert_eq!(installs, load);
        if sent.is_empty() { (0, String::new()) } else { (sent[0].status(), sent.remove(0).text) }
    };
    let can = |locals| Ability { locals, suites: Suite::all().collect(), lack: None };
    let cannot = |_| Ability::none(Locals::clear([addr(5060)]), "CAP_NET_ADMIN is missing");
    let offer = Guarded::new().offer();
    let unknown = offer.replace("hmac-sha-1-96", "hmac-sha-512");
    for (policy, offered, expected) in [
        (Policy::Optional, offer.as_str(), 0),
        (Policy::Optional, "", 401),
        (Policy::Optional, unknown.as_str(), 494),
        (Policy::Off, offer.as_str(), 401),
        (Policy::Required, "", 421),
        (Policy::Required, unknown.as_str(), 494),
    ] {
        let (status, text) = ask(policy, &can, offered);
        assert_eq!(status, expected, "{policy:?} {offered}");
        assert_eq!(text.contains("Security-Server"), [421, 494].contains(&status), "{text}");
    }
    let (status, text) = ask(Policy::Optional, &cannot, &offer);
    assert_eq!(status, 420);
    assert!(text.contains("Unsupported: sec-agree") && text.contains("CAP_NET_ADMIN is missing"), "{text}");
    assert_eq!(ask(Policy::Optional, &cannot, "").0, 401);
    assert_eq!(ask(Policy::Required, &cannot, "").0, 503);
}

#[test]
fn a_wrong_res_through_the_set_is_refused_at_once() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let challenge = bob.challenged(&mut lab);
    bob.phone.secret = super::phone::Secret::Sim(
        crate::ims::auth::policy::sim(&super::sim(crate::config::model::OperatorCode::Opc(super::OP)))
            .unwrap(),
    );
    let headers = bob.offer() + &bob.verify();
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 403);
    assert_eq!(stages(&lab), [Stage::Leaving]);
    assert!(lab.logged(&["configure it as opc"]));
}

#[test]
fn what_a_sim_has_bound_at_the_address_before_goes_and_what_others_have_stays() {
    let mut config = config();
    config.users[1].password = Some("secret".into());
    config.users[1].authent_type = crate::config::model::AuthentType::Md5;
    let mut lab = lab_of(config);
    // the phone, before it knew of IPsec; an emergency call of it; a second client of the user's beside it
    let mut before = bob();
    before.extra = "Authorization: Digest username=\"001010123456789@ims.test\",realm=\"ims.test\",nonce=\"\",response=\"\",\
                    uri=\"sip:ims.test\",algorithm=AKAv1-MD5\r\n"
        .into();
    for contact in ["<sip:phone@10.0.0.2:5060>", "<sip:phone@10.0.0.2:5060;sos>"] {
        before.contact = contact.into();
        let challenge = before.ask(&mut lab, "");
        let extra = std::mem::take(&mut before.extra);
        assert_eq!(before.answer(&mut lab, &challenge, "").status(), 200);
        before.extra = extra;
    }
    let mut soft = bob();
    soft.secret = super::phone::Secret::Password("secret");
    (soft.contact, soft.address) = ("<sip:soft@10.0.0.2:5070>".into(), "10.0.0.2:5070".into());
    let extra = before.extra.replace("AKAv1-MD5", "MD5");
    let challenge = soft.ask(&mut lab, &extra);
    assert_eq!(soft.answer(&mut lab, &challenge, "").status(), 200);
    assert_eq!(lab.core.load().bindings, 3);
    let mut bob = Guarded::new();
    bob.phone.extra = before.extra;
    let challenge = bob.challenged(&mut lab);
    bob.phone.extra.clear();
    let headers = bob.offer() + &bob.verify();
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 200);
    let view = &lab.core.user_views(lab.now)[1];
    let contacts: Vec<&str> = view.bindings.iter().map(|b| b.uri.as_str()).collect();
    assert_eq!(
        contacts,
        ["sip:phone@10.0.0.2:5060;sos", "sip:soft@10.0.0.2:5070", "sip:phone@10.0.0.2:31113"]
    );
}

#[test]
fn a_contact_that_was_not_renewed_does_not_bring_the_old_set_back() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    let challenge = bob.challenged(&mut lab);
    let headers = bob.offer() + &bob.verify() + "Contact: <sip:second@10.0.0.2:31113>\r\n";
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 200);
    lab.with(|core, cx| core.reauthenticate(cx, "tel:0600000002", Duration::from_secs(600)))
        .0
        .expect("it is registered");
    taken(&mut lab);
    (bob.client, bob.spi) = (31114, 8000);
    let headers = bob.offer();
    assert_eq!(bob.refresh(&mut lab, &headers), []);
    let challenge = install(&mut lab).remove(0);
    bob.agreed = challenge.one("Security-Server").to_owned();
    let headers = bob.offer() + &bob.verify();
    assert_eq!(bob.answer(&mut lab, &challenge, &headers).status(), 200);
    assert_eq!((stages(&lab), lab.core.load().bindings), (vec![Stage::Old, Stage::Active], 2));
    let challenge = bob.refresh(&mut lab, "").remove(0);
    let headers = bob.verify();
    assert_eq!(bob.phone.answer(&mut lab, &challenge, &headers).status(), 200);
    assert_eq!(stages(&lab), [Stage::Old, Stage::Active]);
    lab.pass(Duration::from_secs(129));
    remove(&mut lab, NONE);
    assert_eq!((stages(&lab), lab.core.load().bindings), (vec![Stage::Active], 1));
}

#[test]
fn a_phone_that_offers_ipsec_is_asked_for_its_sim_though_the_user_has_a_password_too() {
    let mut config = config();
    config.users[1].password = Some("secret".into());
    config.users[1].authent_type = crate::config::model::AuthentType::Md5;
    let mut lab = lab_of(config);
    let mut soft = bob();
    assert!(soft.ask(&mut lab, "").one("WWW-Authenticate").contains("algorithm=MD5"));
    assert_eq!(Guarded::new().register(&mut lab).status(), 200);
}
