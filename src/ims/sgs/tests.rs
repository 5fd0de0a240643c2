use super::*;
use crate::base::time::Duration;
use crate::config::model::{AuthentType, Impu, SipSocket, User};
use crate::ims::disk::Condition;
use crate::ims::tests::{DiskPace, Lab, Sent, udp};
use crate::wire::gsm::cp::{Cp, Cpdu, Transaction};
use crate::wire::gsm::{
    Address, Deliver, Direction, Reference, Rp, RpCause, Rpdu, Submit, UserDataBuf, text,
};
use crate::wire::sgsap::{Kind, Message, Tag, Writer};

const ALICE: &str = "001010123456789";
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
        w.acknowledge_reset(A);
        w
    }

    fn acknowledge_reset(&mut self, association: AssociationId) {
        let mut ack = Vec::new();
        Writer::new(&mut ack, Kind::ResetAck).name(Tag::MmeName, &NodeName::of_text(MME).unwrap());
        self.lab.with(|core, cx| core.on_sgs_message(cx, association, &ack));
    }

    /// Both phones are attached.
    fn new() -> World {
        let mut w = World::with(|_| {});
        w.attach(ALICE);
        w.attach(BOB);
        w.told();
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

    fn attach_with(&mut self, imsi: &str, imeisv: [u8; 8]) {
        let mut out = Vec::new();
        Writer::of(&mut out, Kind::LocationUpdateRequest, &Imsi::parse(imsi.as_bytes()).unwrap())
            .name(Tag::MmeName, &NodeName::of_text(MME).unwrap())
            .octet(Tag::UpdateType, 1)
            .element(Tag::Lai, &[0, 0xf1, 0x10, 0, 1])
            .element(Tag::Imeisv, &imeisv);
        self.hear(&out);
    }

    fn about(&mut self, kind: Kind, imsi: &str, tag: Tag, value: &[u8]) {
        let mut out = Vec::new();
        Writer::of(&mut out, kind, &Imsi::parse(imsi.as_bytes()).unwrap()).element(tag, value);
        self.hear(&out);
    }

    fn answer_page(&mut self, imsi: &str) {
        self.about(Kind::ServiceRequest, imsi, Tag::ServiceIndicator, &[2]);
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

    /// The CPDUs that were sent to a phone; nothing else may have been.
    fn cpdus(&mut self, imsi: &str) -> Vec<Vec<u8>> {
        let sent = std::mem::take(&mut self.lab.to_mmes);
        let read = |octets: &[u8]| {
            let m = Message::parse(octets).unwrap();
            assert_eq!(m.imsi().unwrap().as_str(), imsi, "{m}");
            m.nas_container().unwrap_or_else(|| panic!("{m}")).to_vec()
        };
        sent.iter().map(|(_, octets)| read(octets)).collect()
    }

    /// The one RPDU that was sent to a phone.
    fn rpdu(&mut self, imsi: &str) -> Vec<u8> {
        let cpdus = self.cpdus(imsi);
        assert_eq!(cpdus.len(), 1, "{cpdus:02x?}");
        match Cpdu::parse(&cpdus[0]).unwrap().message {
            Cp::Data(rpdu) => rpdu.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    fn waiting(&self, impi: &str) -> usize {
        let views = self.lab.core.user_views(self.lab.now);
        views.iter().find(|u| u.impi == impi).unwrap().sms.pending
    }

    fn sms(&mut self, to: &str, what: &str) {
        use crate::ims::sms::{Content, Order, Recipient};
        let order = Order {
            to: Recipient::Any(to.to_owned()),
            sender: None,
            content: Content::Text(what.to_owned()),
            validity: None,
            pid: 0,
            dcs: None,
            sos: false,
        };
        self.lab.with(|core, cx| core.send_sms(cx, &order)).0.unwrap();
    }

    /// The phone takes the text that it is sent, and says so.
    fn take(&mut self, imsi: &str, ti: u8) -> String {
        let rpdu = self.rpdu(imsi);
        let rpdu = Rpdu::parse(&rpdu).unwrap();
        let Rp::Data { user_data, .. } = rpdu.message else { panic!("{rpdu:?}") };
        let text = Deliver::parse(user_data).unwrap().user_data.text().unwrap();
        self.uplink(imsi, ti, true, Cp::Ack);
        let ack = Rpdu {
            direction: Direction::Up,
            reference: rpdu.reference,
            message: Rp::Ack { user_data: None },
        };
        self.uplink(imsi, ti, true, Cp::Data(&ack.to_vec()));
        text.to_string()
    }
}

/// The RP-DATA of a phone with a text for Bob.
fn submit(reference: u8, to: &str, what: &str) -> Vec<u8> {
    submit_part(reference, to, &text::split(what, Reference::Eight(1)).unwrap()[0], false)
}

/// The RP-DATA of a phone with a part of a text.
fn submit_part(reference: u8, to: &str, data: &UserDataBuf, wants_report: bool) -> Vec<u8> {
    let number = Address::of_digits(0x91, to.trim_start_matches('+')).unwrap();
    let mut submit = Submit::new(reference, number, data.view());
    submit.status_report = wants_report;
    let tpdu = submit.to_vec();
    let destination = Address::of_digits(0x91, "33609001390");
    let message = Rp::Data { originator: None, destination, user_data: &tpdu };
    Rpdu { direction: Direction::Up, reference, message }.to_vec()
}

/// The same with TP-SRR (TS 23.040 9.2.3.5).
fn wants_report(rpdu: Vec<u8>) -> Vec<u8> {
    let Rpdu { direction, reference, message } = Rpdu::parse(&rpdu).unwrap();
    let Rp::Data { originator, destination, user_data } = message else { panic!("{message:?}") };
    let mut tpdu = user_data.to_vec();
    tpdu[0] |= 0x20;
    Rpdu { direction, reference, message: Rp::Data { originator, destination, user_data: &tpdu } }.to_vec()
}

#[test]
fn a_text_goes_from_phone_to_phone_through_sgs_alone() {
    let mut w = World::new();
    let rpdu = submit(9, "+33600000002", "hello Bob");
    w.uplink(ALICE, 0, false, Cp::Data(&rpdu));
    let sent = std::mem::take(&mut w.lab.to_mmes);
    let words: Vec<String> =
        sent.iter().map(|(_, octets)| Message::parse(octets).unwrap().to_string()).collect();
    // CP-ACK and RP-ACK to Alice, once the text is stored; Bob is paged
    assert_eq!(
        words.iter().filter(|w| **w == format!("DOWNLINK-UNITDATA imsi={ALICE}")).count(),
        2,
        "{words:?}"
    );
    assert_eq!(words.iter().filter(|w| **w == format!("PAGING-REQUEST imsi={BOB}")).count(), 1, "{words:?}");
    w.uplink(ALICE, 0, false, Cp::Ack);
    assert_eq!(w.told(), [format!("RELEASE-REQUEST imsi={ALICE}")]);
    w.answer_page(BOB);
    assert_eq!(w.take(BOB, 0), "hello Bob");
    assert_eq!(w.told(), [format!("DOWNLINK-UNITDATA imsi={BOB}"), format!("RELEASE-REQUEST imsi={BOB}")]);
    assert_eq!((w.waiting("bob@ims.test"), w.lab.core.load().sms), (0, 0));
}

#[test]
fn a_text_that_comes_again_over_sgs_is_the_same_where_it_is_the_same_phone() {
    for (multi_sim, waiting) in [(false, 1), (true, 2)] {
        let mut w = World::with(|config| config.users[0].multi_sim = multi_sim);
        w.attach(ALICE);
        w.told();
        register(&mut w.lab, "alice", "192.0.2.1:5060");
        let rpdu = submit(9, "+33600000002", "hello Bob");
        let sent = by_ims(&mut w.lab, &rpdu);
        assert_eq!((sent[0].status(), w.waiting("bob@ims.test")), (202, 1));
        // its RP-ACK is lost
        w.uplink(ALICE, 0, false, Cp::Data(&rpdu));
        let cpdus = w.cpdus(ALICE);
        let Cp::Data(ack) = Cpdu::parse(cpdus.last().unwrap()).unwrap().message else {
            panic!("{cpdus:02x?}")
        };
        assert!(matches!(Rpdu::parse(ack).unwrap().message, Rp::Ack { .. }), "{cpdus:02x?}");
        assert_eq!(w.waiting("bob@ims.test"), waiting, "multi_sim: {multi_sim}");
    }
}

#[test]
fn what_waits_for_a_phone_goes_through_one_connection_after_one_page() {
    let mut w = World::new();
    ["one", "two"].iter().for_each(|text| w.sms("bob@ims.test", text));
    assert_eq!(w.told(), [format!("PAGING-REQUEST imsi={BOB}")]);
    w.answer_page(BOB);
    assert_eq!(w.take(BOB, 0), "one");
    // the acknowledgement of the report, and the next text
    w.lab.to_mmes.remove(0);
    assert_eq!(w.take(BOB, 1), "two");
    assert_eq!(w.told().last().unwrap(), &format!("RELEASE-REQUEST imsi={BOB}"));
}

#[test]
fn a_report_over_sgs_has_its_acknowledgement_when_the_disk_knows_that_the_text_has_gone() {
    let mut w = World::new();
    w.sms("+33600000001", "one");
    w.sms("+33600000001", "two");
    w.told();
    w.answer_page(ALICE);
    w.lab.disk = DiskPace::Late;
    assert_eq!(w.take(ALICE, 0), "one");
    assert_eq!(w.told(), [""; 0], "neither the acknowledgement nor the next text");
    w.lab.sync();
    let cpdus = w.cpdus(ALICE);
    assert_eq!((cpdus.len(), &cpdus[0][..]), (2, &[0x09, 4][..]));
    assert!(matches!(Cpdu::parse(&cpdus[1]).unwrap().message, Cp::Data(_)));
}

#[test]
fn what_comes_for_a_phone_whose_report_waits_for_the_disk_waits_behind_it() {
    let mut w = World::new();
    w.sms("+33600000001", "one");
    let asked = wants_report(submit(9, "+33600000002", "hello Bob"));
    w.uplink(ALICE, 0, false, Cp::Data(&asked));
    w.answer_page(ALICE);
    w.answer_page(BOB);
    let sent = std::mem::take(&mut w.lab.to_mmes);
    let of = |imsi: &str| {
        let is_its =
            |(_, o): &&(AssociationId, Vec<u8>)| Message::parse(o).unwrap().imsi().unwrap().as_str() == imsi;
        vec![sent.iter().rfind(is_its).unwrap().clone()]
    };
    let (for_alice, for_bob) = (of(ALICE), of(BOB));
    w.uplink(ALICE, 0, false, Cp::Ack);
    w.told();
    w.lab.disk = DiskPace::Late;
    // the status report for Alice is given a record, and a while later her own report waits, too
    w.lab.to_mmes = for_bob;
    assert_eq!(w.take(BOB, 0), "hello Bob");
    w.lab.pass(Duration::from_secs(5));
    w.lab.to_mmes = for_alice;
    assert_eq!(w.take(ALICE, 0), "one");
    w.lab.pass(Duration::from_secs(11));
    assert_eq!(w.waiting("alice@ims.test"), 1);
    w.lab.disk = DiskPace::AtOnce;
    w.lab.sync();
    assert!(
        w.told().contains(&format!("DOWNLINK-UNITDATA imsi={ALICE}")),
        "the acknowledgement, and the status report"
    );
}

#[test]
fn a_report_over_sgs_that_the_disk_does_not_take_is_broken_off() {
    let mut w = World::new();
    w.sms("+33600000001", "one");
    w.told();
    w.answer_page(ALICE);
    w.lab.disk = DiskPace::Late;
    w.take(ALICE, 0);
    w.told();
    w.lab.on_storage(Condition::Refuses("no space left".to_owned()));
    assert_eq!(
        w.told(),
        [format!("DOWNLINK-UNITDATA imsi={ALICE}"), format!("RELEASE-REQUEST imsi={ALICE}")]
    );
    assert_eq!(w.waiting("alice@ims.test"), 0, "it has been taken all the same");
}

#[test]
fn a_text_waits_for_a_phone_that_attaches_later() {
    let mut w = World::with(|_| {});
    w.sms("bob@ims.test", "later");
    assert_eq!((w.told(), w.waiting("bob@ims.test")), (vec![], 1));
    w.attach(BOB);
    let told = w.told();
    assert_eq!(told, [format!("LOCATION-UPDATE-ACCEPT imsi={BOB}"), format!("PAGING-REQUEST imsi={BOB}")]);
    w.answer_page(BOB);
    assert_eq!(w.take(BOB, 0), "later");
}

#[test]
fn a_phone_that_is_not_reached_is_paged_again_when_it_does_something_or_after_the_delay() {
    let mut w = World::new();
    w.sms("bob@ims.test", "hello");
    w.about(Kind::PagingReject, BOB, Tag::SgsCause, &[6]);
    assert_eq!(w.told(), [format!("PAGING-REQUEST imsi={BOB}"), format!("ALERT-REQUEST imsi={BOB}")]);
    w.about(Kind::AlertAck, BOB, Tag::SgsCause, &[0]);
    w.about(Kind::UeActivityIndication, BOB, Tag::SgsCause, &[0]);
    assert_eq!(w.told(), [format!("PAGING-REQUEST imsi={BOB}")]);
    w.about(Kind::UeUnreachable, BOB, Tag::SgsCause, &[14]);
    w.told();
    w.lab.pass(Duration::from_secs(61));
    assert!(w.told().contains(&format!("PAGING-REQUEST imsi={BOB}")));
    assert_eq!(w.waiting("bob@ims.test"), 1);
    assert!(w.lab.logged(&[BOB, "paging rejected, cause 6 (UE unreachable)"]));
}

#[test]
fn a_text_survives_the_loss_of_the_association_and_goes_when_the_mme_is_back() {
    let mut w = World::new();
    w.sms("bob@ims.test", "hello");
    w.lab.with(|core, cx| core.on_sgs_down(cx, A, "lost"));
    w.lab.pass(Duration::from_secs(90));
    w.told();
    assert!(!w.lab.core.mme_views(w.lab.now)[0].is_connected);
    w.lab.with(|core, cx| core.on_sgs_up(cx, AssociationId(2), "127.0.0.2:40001".parse().unwrap(), 1));
    assert_eq!(w.told(), [format!("PAGING-REQUEST imsi={BOB}")]);
}

#[test]
fn a_text_goes_again_at_once_when_its_mme_connects_anew_while_it_is_on_its_way() {
    for is_announced in [false, true] {
        let mut w = World::new();
        w.sms("bob@ims.test", "hello");
        assert_eq!(w.told(), [format!("PAGING-REQUEST imsi={BOB}")]);
        if is_announced {
            w.lab.with(|core, cx| core.on_sgs_down(cx, A, "lost"));
        }
        let remote = if is_announced { "127.0.0.2:40001" } else { "127.0.0.3:40000" };
        let again = AssociationId(2);
        w.lab.with(|core, cx| core.on_sgs_up(cx, again, remote.parse().unwrap(), 10));
        w.acknowledge_reset(again);
        let (association, page) = w.lab.to_mmes.last().unwrap();
        let page = Message::parse(page).unwrap().to_string();
        assert_eq!((*association, page), (again, format!("PAGING-REQUEST imsi={BOB}")));
    }
}

#[test]
fn a_refusal_of_the_phone_reaches_the_centre_and_memory_available_lets_the_text_go_again() {
    let mut w = World::new();
    w.sms("bob@ims.test", "hello");
    w.told();
    w.answer_page(BOB);
    let rpdu = w.rpdu(BOB);
    let reference = Rpdu::parse(&rpdu).unwrap().reference;
    let message = Rp::Error { cause: RpCause::MEMORY_EXCEEDED, diagnostic: None, user_data: None };
    let error = Rpdu { direction: Direction::Up, reference, message }.to_vec();
    w.uplink(BOB, 0, true, Cp::Data(&error));
    assert_eq!(w.told().last().unwrap(), &format!("RELEASE-REQUEST imsi={BOB}"));
    assert_eq!(w.waiting("bob@ims.test"), 1);
    let smma = Rpdu { direction: Direction::Up, reference: 3, message: Rp::Smma }.to_vec();
    w.uplink(BOB, 0, false, Cp::Data(&smma));
    let cpdus = w.cpdus(BOB);
    let names: Vec<bool> =
        cpdus.iter().map(|c| matches!(Cpdu::parse(c).unwrap().message, Cp::Data(_))).collect();
    assert_eq!(names.iter().filter(|is_data| **is_data).count(), 2, "RP-ACK and the text: {cpdus:02x?}");
}

#[test]
fn an_unknown_number_is_answered_by_rp_error_in_the_phones_own_transaction() {
    let mut w = World::new();
    w.uplink(ALICE, 3, false, Cp::Data(&submit(7, "+33699999999", "nobody")));
    let cpdus = w.cpdus(ALICE);
    let last = Cpdu::parse(cpdus.last().unwrap()).unwrap();
    assert_eq!(last.transaction, Transaction { value: 3, to_originator: true });
    let Cp::Data(rpdu) = last.message else { panic!("{last:?}") };
    let rpdu = Rpdu::parse(rpdu).unwrap();
    assert_eq!(rpdu.reference, 7);
    assert!(matches!(rpdu.message, Rp::Error { cause: RpCause::UNASSIGNED, .. }), "{rpdu:?}");
}

#[test]
fn a_forced_user_gets_texts_over_sgs_though_it_is_registered() {
    let mut w = World::with(|config| config.users[1].force_sms_over_sg = true);
    let sent = register(&mut w.lab, "bob", "192.0.2.2:5060");
    assert_eq!(sent[0].status(), 200);
    w.attach(BOB);
    w.told();
    w.sms("bob@ims.test", "by SGs");
    assert_eq!(w.told(), [format!("PAGING-REQUEST imsi={BOB}")]);
}

#[test]
fn a_registered_phone_gets_its_text_over_ims_and_one_that_cannot_take_it_there_over_sgs() {
    let mut w = World::new();
    register(&mut w.lab, "bob", "192.0.2.2:5060");
    w.sms("bob@ims.test", "by IMS");
    assert_eq!(w.told(), Vec::<String>::new());
    // the phone never answers the MESSAGE
    w.lab.pass(Duration::from_secs(200));
    assert!(w.told().contains(&format!("PAGING-REQUEST imsi={BOB}")));
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

/// Alice's phone, registered at this address, sends an RPDU.
fn by_ims(lab: &mut Lab, rpdu: &[u8]) -> Vec<Sent> {
    let mut message = format!(
        "MESSAGE tel:+33609001390 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKm\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@ims.test>;tag=m\r\nTo: <tel:+33609001390>\r\nCall-ID: m\r\nCSeq: 1 MESSAGE\r\n\
         Content-Type: application/vnd.3gpp.sms\r\nContent-Length: {}\r\n\r\n",
        rpdu.len()
    )
    .into_bytes();
    message.extend_from_slice(rpdu);
    lab.on_sip(udp("192.0.2.1:5060"), message)
}

/// Registers a VoLTE phone with SMS over IP, without authentication.
fn register(lab: &mut Lab, user: &str, addr: &str) -> Vec<Sent> {
    register_as(lab, user, addr, "")
}

/// The same, with more parameters of the contact.
fn register_as(lab: &mut Lab, user: &str, addr: &str, more: &str) -> Vec<Sent> {
    let text = format!(
        "REGISTER sip:ims.test SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bK{user}\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@ims.test>;tag=1\r\nTo: <sip:{user}@ims.test>\r\nCall-ID: reg-{user}\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:{user}@{addr}>;+g.3gpp.smsip{more}\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
    );
    lab.on_sip(udp(addr), text)
}

#[test]
fn of_users_who_share_an_imsi_the_first_one_alone_has_the_phone() {
    let mut w = World::with(|config| config.users[1].imsi = ALICE.to_owned());
    w.attach(ALICE);
    w.told();
    w.sms("bob@ims.test", "for Bob");
    assert_eq!((w.told(), w.waiting("bob@ims.test")), (vec![], 1));
    w.sms("alice@ims.test", "for Alice");
    assert_eq!(w.told(), [format!("PAGING-REQUEST imsi={ALICE}")]);
    w.answer_page(ALICE);
    assert_eq!(w.take(ALICE, 0), "for Alice");
    assert_eq!((w.waiting("alice@ims.test"), w.waiting("bob@ims.test")), (0, 1));
    let shown: Vec<bool> = w.lab.core.user_views(w.lab.now).iter().map(|u| u.sgs.is_some()).collect();
    assert_eq!(shown, [true, false]);
}

#[test]
fn of_phones_with_copies_of_one_sim_the_last_that_attached_is_shown_and_gets_the_texts() {
    let mut w = World::with(|config| config.users[0].multi_sim = true);
    w.attach_with(ALICE, [0x53; 8]);
    w.attach_with(ALICE, [0x35; 8]);
    w.told();
    let views = w.lab.core.user_views(w.lab.now);
    assert_eq!(views[0].sgs.as_ref().unwrap().imeisv.as_deref(), Some("5353535353535353"));
    assert_eq!((views[1].sgs.as_ref(), w.lab.core.mme_views(w.lab.now)[0].ues), (None, 1));
    w.sms("alice@ims.test", "one of you");
    assert_eq!(w.told(), [format!("PAGING-REQUEST imsi={ALICE}")]);
    w.answer_page(ALICE);
    assert_eq!(w.take(ALICE, 0), "one of you");
}

#[test]
fn a_text_for_one_phone_of_several_with_copies_of_one_sim_waits_for_that_one() {
    for is_shared in [true, false] {
        let mut w = World::with(|config| {
            config.users[0].multi_sim = is_shared;
            let impu = Impu { imei: Some("53535353-535353-0".to_owned()), ..Impu::new("tel:+33600000009") };
            config.users[0].impus.push(impu);
        });
        w.attach_with(ALICE, [0x21; 8]);
        w.told();
        w.sms("+33600000009", "for the other one");
        let page = format!("PAGING-REQUEST imsi={ALICE}");
        if !is_shared {
            assert_eq!(w.told(), [page], "the property means nothing without multi_sim");
            continue;
        }
        assert_eq!((w.told(), w.waiting("alice@ims.test")), (vec![], 1));
        w.attach_with(ALICE, [0x35; 8]);
        assert_eq!(w.told().last(), Some(&page));
        w.answer_page(ALICE);
        assert_eq!(w.take(ALICE, 0), "for the other one");
        // of a phone whose MME says nothing of it, it may be the one
        w.told();
        w.sms("+33600000009", "again");
        w.attach(ALICE);
        assert_eq!(w.told().last(), Some(&page));
    }
}

/// Alice's SIM is in two phones, each with a number of its own.
fn with_two_phones(config: &mut Config) {
    let phones = [("tel:+33600000008", "21212121-212121-0"), ("tel:+33600000009", "53535353-535353-0")];
    let tied = |(uri, imei): (&str, &str)| Impu { imei: Some(imei.to_owned()), ..Impu::new(uri) };
    let alice = &mut config.users[0];
    alice.multi_sim = true;
    alice.impus = phones.into_iter().map(tied).chain([Impu::new("sip:alice@ims.test")]).collect();
}

#[test]
fn a_phone_of_several_with_copies_of_one_sim_submits_as_itself_and_has_its_status_report() {
    let mut w = World::with(with_two_phones);
    w.attach_with(ALICE, [0x35; 8]);
    w.attach(BOB);
    let hello = text::split("hello", Reference::Eight(1)).unwrap().remove(0);
    w.uplink(ALICE, 0, false, Cp::Data(&submit_part(9, "+33600000002", &hello, true)));
    let from = w.lab.records.values().find_map(|text| text.split("\"from\":\"").nth(1)?.split('"').next());
    assert_eq!(from, Some("tel:+33600000009"));
    w.uplink(ALICE, 0, false, Cp::Ack);
    w.told();
    w.answer_page(BOB);
    assert_eq!(w.take(BOB, 0), "hello");
    assert!(w.told().contains(&format!("PAGING-REQUEST imsi={ALICE}")), "the status report");
}

#[test]
fn parts_of_a_text_are_joined_whatever_way_the_phone_sends_them_and_over_a_restart() {
    use crate::ims::event::{Content, Event, Listeners};
    let world = || {
        let mut w = World::with(|config| {
            with_two_phones(config);
            config.sms.hook_only = true;
        });
        w.lab.core.set_listeners(Listeners { sms: true, users_update: false });
        w
    };
    let there = |w: &mut World| {
        w.attach_with(ALICE, [0x35; 8]);
        let instance = ";+sip.instance=\"<urn:gsma:imei:53535353-535353-0>\"";
        register_as(&mut w.lab, "alice", "192.0.2.1:5060", instance);
    };
    let long = "0123456789".repeat(20);
    let parts = text::split(&long, Reference::Eight(7)).unwrap();
    for (sgs_first, restarts) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut w = world();
        there(&mut w);
        for (n, part) in (0..).zip(&parts) {
            let rpdu = submit_part(n, "+33600000002", part, false);
            if (n == 0) == sgs_first {
                w.uplink(ALICE, n, false, Cp::Data(&rpdu));
            } else {
                by_ims(&mut w.lab, &rpdu);
            }
            if restarts && n == 0 {
                let before = std::mem::replace(&mut w, world()).lab;
                (w.lab.now, w.lab.wall) = (before.now, before.wall);
                for (key, value) in before.records {
                    w.lab.with(|core, cx| core.restore(cx, &key, &value));
                }
                there(&mut w);
            }
        }
        let told = w.lab.core.pop_event();
        let is_it = matches!(&told, Some(Event::Sms { content: Content::Text(text), sender, .. })
            if *text == long && sender == "+33600000009");
        assert!(is_it, "SGs first: {sgs_first}, restart: {restarts}: {told:?}");
    }
}
