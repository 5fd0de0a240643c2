use super::*;
use crate::config::model::{AuthentType, Impu, SipSocket, User};
use crate::ims::tests::Lab;
use crate::wire::gsm::cp::{Cp, Cpdu, Transaction};
use crate::wire::gsm::{Address, Direction, Reference, Rp, Rpdu, Submit, text};
use crate::wire::sgsap::{Kind, Message, Tag, Writer};

const ALICE: &str = "001010123456789";
/// Another user.
const BOB: &str = "001010123456780";
const MME: &str = "mmec01.mmegi8001.mme.epc.mnc001.mcc001.3gppnetwork.org";
const A: AssociationId = AssociationId(1);

fn config() -> Config {
    let user = |name: &str, imsi: &str, number: &str| User {
        impi: format!("{name}@ims.test"),
        imsi: imsi.to_owned(),
        domain: "ims.test".to_owned(),
        impus: vec![Impu::new(format!("sip:{name}@ims.test")), Impu::new(format!("tel:{number}"))],
        authent_type: AuthentType::None,
        auth_on_register_only: true,
        ..User::default()
    };
    Config {
        sip: vec![SipSocket::new("198.51.100.1".parse().unwrap(), 5060)],
        sgs: Some("127.0.0.1:29118".parse().unwrap()),
        users: vec![user("alice", ALICE, "+33600000001"), user("bob", BOB, "+33600000002")],
        ..Config::default()
    }
}

/// A core to which an MME has connected.
struct World {
    lab: Lab,
}

impl World {
    fn with(change: impl FnOnce(&mut Config)) -> World {
        let mut config = config();
        change(&mut config);
        let mut w = World { lab: Lab::new(config) };
        w.lab.with(|core, cx| core.on_sgs_up(cx, A, "127.0.0.2:40000".parse().unwrap(), 10));
        assert_eq!(w.told(), ["RESET-INDICATION"]);
        w
    }

    fn hear(&mut self, octets: &[u8]) {
        self.lab.with(|core, cx| core.on_sgs_message(cx, A, octets));
    }

    fn attach(&mut self, imsi: &str) {
        let mut out = Vec::new();
        Writer::of(&mut out, Kind::LocationUpdateRequest, &Imsi::parse(imsi.as_bytes()).unwrap())
            .name(Tag::MmeName, &NodeName::of_text(MME).unwrap())
            .octet(Tag::UpdateType, 1)
            .element(Tag::Lai, &[0, 0xf1, 0x10, 0, 1]);
        self.hear(&out);
    }

    fn about(&mut self, kind: Kind, imsi: &str, tag: Tag, value: &[u8]) {
        let mut out = Vec::new();
        Writer::of(&mut out, kind, &Imsi::parse(imsi.as_bytes()).unwrap()).element(tag, value);
        self.hear(&out);
    }

    /// A CPDU of a phone: in its own transaction 0, or in ours.
    fn uplink(&mut self, imsi: &str, ti: u8, is_ours: bool, message: Cp<'_>) {
        let cpdu = Cpdu { transaction: Transaction { value: ti, to_originator: is_ours }, message };
        self.about(Kind::UplinkUnitdata, imsi, Tag::NasContainer, &cpdu.to_vec());
    }

    /// What was sent to the MME, in words.
    fn told(&mut self) -> Vec<String> {
        let sent = std::mem::take(&mut self.lab.to_mmes);
        sent.iter().map(|(_, octets)| Message::parse(octets).unwrap().to_string()).collect()
    }
}

/// The RP-DATA of a phone with a text for Bob.
fn submit(reference: u8, to: &str, what: &str) -> Vec<u8> {
    let data = text::split(what, Reference::Eight(1)).unwrap().remove(0);
    let number = Address::of_digits(0x91, to.trim_start_matches('+')).unwrap();
    let tpdu = Submit::new(reference, number, data.view()).to_vec();
    let destination = Address::of_digits(0x91, "33609001390");
    let message = Rp::Data { originator: None, destination, user_data: &tpdu };
    Rpdu { direction: Direction::Up, reference, message }.to_vec()
}

#[test]
fn unknown_phones_and_those_that_come_at_the_end_of_the_program_are_rejected() {
    let mut w = World::with(|_| {});
    w.attach("208930000000001");
    assert_eq!(w.told(), ["LOCATION-UPDATE-REJECT imsi=208930000000001 cause=2 (IMSI unknown in HLR)"]);
    w.lab.with(|core, cx| core.shutdown(cx));
    w.attach(ALICE);
    assert_eq!(w.told(), [format!("LOCATION-UPDATE-REJECT imsi={ALICE} cause=17 (network failure)")]);
}

#[test]
fn the_configuration_is_applied_and_the_attachment_shown() {
    let mut w = World::with(|config| {
        config.domain = Some("ims.example.org".into());
        config.sms.forced_cp_cause = Some(95);
        config.sms.filter.cp_data = FilterRule { action: FilterAction::Reject, times: Some(1) };
    });
    w.attach(ALICE);
    w.told();
    w.uplink(ALICE, 0, false, Cp::Data(&submit(1, "+33600000002", "hello")));
    let sent = std::mem::take(&mut w.lab.to_mmes);
    let refused = Message::parse(&sent[0].1).unwrap();
    assert_eq!(refused.nas_container(), Some(&[0x89, 0x10, 95][..]));
    let views = w.lab.core.user_views(w.lab.now);
    let sgs = views[0].sgs.as_ref().unwrap();
    assert_eq!((sgs.mme.as_str(), sgs.lai.to_string().as_str()), (MME, "001-01-0001"));
    assert_eq!(views[1].sgs, None);
    assert_eq!(w.lab.core.sgs_view(ALICE).as_ref(), Some(sgs));
    for (domain, name) in
        [(Some("ims.example.org"), "vlr.ims.example.org"), (Some("a b"), "vlr.imsbox"), (None, "vlr.imsbox")]
    {
        let config = Config { domain: domain.map(str::to_owned), ..Config::default() };
        assert_eq!(super::name(&config).to_string(), name);
    }
}
