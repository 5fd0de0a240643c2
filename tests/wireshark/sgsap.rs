//! What the VLR sends, held against tshark: an evening of two phones and their MME with the whole core, as SCTP packets.

#[path = "../support/mme.rs"]
mod mme;

use super::Folder;
use imsbox::base::rng::Rng;
use imsbox::base::time::{Duration, Instant, UnixTime};
use imsbox::base::trace::Silent;
use imsbox::config::model::{AuthentType, Config, Impu, SipSocket, User};
use imsbox::ims::core::Core;
use imsbox::ims::sms::{Content, Order, Recipient};
use imsbox::proto::cx::Cx;
use imsbox::proto::outbox::{Outbox, Output};
use imsbox::proto::sgsap::AssociationId;
use imsbox::wire::gsm::{Address, Direction, Reference, Rp, Rpdu, Submit, text};
use mme::{Mme, Paged, kind};
use std::process::Command;

const A: &str = "001010123456789";
const B: &str = "001010123456780";
const ASSOCIATION: AssociationId = AssociationId(1);

/// The core, the MME, and everything that passed between them.
struct Evening {
    core: Core,
    mme: Mme,
    now: Instant,
    rng: Rng,
    out: Outbox,
    /// Whether we sent it, and the octets.
    passed: Vec<(bool, Vec<u8>)>,
}

fn user(name: &str, imsi: &str, number: &str) -> User {
    User {
        impi: format!("{name}@ims.example.org"),
        imsi: imsi.to_owned(),
        domain: "ims.example.org".to_owned(),
        impus: vec![Impu::new(format!("tel:{number}"))],
        authent_type: AuthentType::None,
        ..User::default()
    }
}

impl Evening {
    fn new() -> Evening {
        let config = Config {
            sip: vec![SipSocket::new("198.51.100.1".parse().unwrap(), 5060)],
            domain: Some("ims.example.org".to_owned()),
            users: vec![user("a", A, "+33600000001"), user("b", B, "+33600000002")],
            ..Config::default()
        };
        let mut rng = Rng::from_seed(1);
        let mut evening = Evening {
            core: Core::new(config, &mut rng),
            mme: Mme::new("mmec01.mmegi8001.mme.epc.mnc001.mcc001.3gppnetwork.org"),
            now: Instant::ZERO + Duration::from_secs(1),
            rng,
            out: Outbox::new(),
            passed: Vec::new(),
        };
        evening.input(&|core, cx| core.on_sgs_up(cx, ASSOCIATION, "192.0.2.77:40000".parse().unwrap(), 10));
        evening
    }

    /// One input, all that follows from it at the MME and back, and the disk.
    fn input(&mut self, what: &dyn Fn(&mut Core, &mut Cx<'_>)) {
        let wall = UnixTime::from_micros(1_700_000_000_000_000);
        let Evening { core, now, rng, out, .. } = self;
        what(core, &mut Cx { now: *now, wall, rng, out, sink: &mut Silent });
        let items = self.out.items().to_vec();
        let mut answers = Vec::new();
        for item in &items {
            if let Output::SendSgs { range, .. } = item {
                let octets = self.out.bytes(range).to_vec();
                self.passed.push((true, octets.clone()));
                answers.extend(self.mme.on_message(&octets));
            }
        }
        self.out.clear();
        let stored = items.iter().rev().find_map(|item| match item {
            Output::Persist { ticket, .. } => Some(*ticket),
            _ => None,
        });
        if let Some(ticket) = stored {
            self.input(&|core, cx| core.on_durable(cx, ticket));
        }
        answers.iter().for_each(|answer| self.hear(answer));
    }

    fn hear(&mut self, octets: &[u8]) {
        self.passed.push((false, octets.to_vec()));
        self.input(&|core, cx| core.on_sgs_message(cx, ASSOCIATION, octets));
    }

    fn sms(&mut self, what: &str) {
        let order = Order {
            to: Recipient::Any("+33600000002".to_owned()),
            sender: None,
            content: Content::Text(what.to_owned()),
            validity: None,
            pid: 0,
            dcs: None,
            sos: false,
        };
        self.input(&|core, cx| assert!(core.send_sms(cx, &order).is_ok()));
    }

    fn pass(&mut self, secs: u64) {
        let end = self.now + Duration::from_secs(secs);
        while let Some(at) = self.core.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(&|core, cx| core.tick(cx));
        }
        self.now = end;
    }

    /// As a capture file (pcap, LINKTYPE_RAW): a DATA chunk in each packet.
    fn capture(&self) -> Vec<u8> {
        let header: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 101];
        let mut out: Vec<u8> = header.iter().flat_map(|n| n.to_le_bytes()).collect();
        for (n, (is_ours, octets)) in self.passed.iter().enumerate() {
            let packet = packet(*is_ours, n as u32, octets);
            let record = [n as u32, 0, packet.len() as u32, packet.len() as u32];
            out.extend(record.iter().flat_map(|n| n.to_le_bytes()));
            out.extend(packet);
        }
        out
    }
}

/// IPv4 and SCTP (RFC 9260 3.1, 3.3.1) around a message, with a checksum that nobody checks.
fn packet(is_ours: bool, tsn: u32, octets: &[u8]) -> Vec<u8> {
    let (us, mme) = (([192, 0, 2, 1], 29_118u16), ([192, 0, 2, 77], 40_000u16));
    let (from, to) = if is_ours { (us, mme) } else { (mme, us) };
    let mut chunk = vec![0, 3];
    chunk.extend((16 + octets.len() as u16).to_be_bytes());
    chunk.extend(tsn.to_be_bytes());
    chunk.extend([0, 1]);
    chunk.extend((tsn as u16).to_be_bytes());
    chunk.extend([0; 4]); // the payload protocol of TS 29.118 6.3
    chunk.extend(octets);
    chunk.resize(chunk.len().next_multiple_of(4), 0);
    let mut packet = vec![0x45, 0];
    packet.extend((20 + 12 + chunk.len() as u16).to_be_bytes());
    packet.extend([0, 1, 0, 0, 64, 132, 0, 0]);
    packet.extend(from.0);
    packet.extend(to.0);
    packet.extend(from.1.to_be_bytes());
    packet.extend(to.1.to_be_bytes());
    packet.extend([0, 0, 0, 7, 0, 0, 0, 0]);
    packet.extend(chunk);
    packet
}

/// The RP-DATA of a phone with a text.
fn submit(reference: u8, to: &str, what: &str) -> Vec<u8> {
    let data = text::split(what, Reference::Eight(1)).unwrap().remove(0);
    let tpdu = Submit::new(reference, Address::of_digits(0x91, to).unwrap(), data.view()).to_vec();
    let destination = Address::of_digits(0x91, "33609001390");
    let message = Rp::Data { originator: None, destination, user_data: &tpdu };
    Rpdu { direction: Direction::Up, reference, message }.to_vec()
}

/// Everything that can happen, and with it every message that a VLR for SMS sends.
fn evening() -> Evening {
    let mut e = Evening::new();
    let request = e.mme.attach(A);
    e.hear(&request);
    let request = e.mme.attach_without_tmsi(B);
    e.hear(&request);
    assert!(e.mme.phones[B].tmsi.is_some());
    let stranger = e.mme.attach("208930000000001");
    e.hear(&stranger);
    e.sms("from the network: Grüße, €, {} and a text that is so long that it goes in two parts, since a short message has room for \
           one hundred and sixty characters and no more");
    let uplink = e.mme.send(A, 0, &submit(7, "33600000002", "你好, 😀"));
    e.hear(&uplink);
    let uplink = e.mme.send(A, 1, &submit(8, "33699999999", "to nobody"));
    e.hear(&uplink);
    let uplink = e.mme.send(A, 2, &[2, 9]);
    e.hear(&uplink);
    assert_eq!(e.mme.phones[A].cp_errors, [98], "an answer to nothing");
    e.mme.phone(B).paged = Paged::Rejected(6);
    e.sms("not now");
    e.mme.phone(B).paged = Paged::Answers;
    let activity = e.mme.activity(B);
    e.hear(&activity);
    e.mme.phone(B).paged = Paged::Silent;
    e.sms("lost on its way");
    let lost = e.mme.unreachable(B);
    e.hear(&lost);
    e.mme.phone(B).paged = Paged::Answers;
    let reset = e.mme.reset();
    e.hear(&reset);
    e.sms("after the reset");
    for (imsi, from_eps) in [(A, true), (B, false)] {
        let detach = e.mme.detach(imsi, from_eps);
        e.hear(&detach);
    }
    let uplink = e.mme.send(A, 0, &submit(9, "33600000002", "detached"));
    e.hear(&uplink);
    // a message without what it must hold, and one of no known type
    e.hear(&[kind::UPLINK, 0x16, 2, 0x89, 4]);
    e.hear(&[0xee, 1, 8, 9, 0x10, 0x10, 0x10, 0x32, 0x54, 0x76, 0x98]);
    assert_eq!(e.mme.statuses, [8, 12]);
    e.pass(300);
    e
}

#[test]
fn tshark_finds_nothing_wrong_with_what_the_vlr_sends() {
    let e = evening();
    let folder = Folder::new("sgsap");
    let file = folder.0.join("capture");
    std::fs::write(&file, e.capture()).unwrap();
    let tshark = Command::new("tshark")
        .env("WIRESHARK_CONFIG_DIR", &folder.0)
        .env("HOME", &folder.0)
        .args(["-n", "-r"])
        .arg(&file)
        .args(["-d", "sctp.port==29118,sgsap", "-T", "fields"])
        .args([
            "-e",
            "sgsap.msg_type",
            "-e",
            "_ws.malformed",
            "-e",
            "_ws.expert.message",
            "-e",
            "frame.protocols",
        ])
        .output()
        .expect("tshark is installed (scripts/setup peers)");
    let has = |kind, tag| e.passed.iter().any(|(_, o)| o[0] == kind && mme::element(o, tag).is_some());
    assert!(has(kind::UPDATE_ACCEPT, 0x0e) && has(kind::PAGING_REQUEST, 3), "a TMSI is given and used");
    let lines = String::from_utf8_lossy(&tshark.stdout).into_owned();
    let lines: Vec<Vec<&str>> = lines.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), e.passed.len(), "{}", String::from_utf8_lossy(&tshark.stderr));
    let mut seen = std::collections::BTreeSet::new();
    for (line, (_, octets)) in lines.iter().zip(&e.passed).filter(|(_, (is_ours, _))| *is_ours) {
        assert_eq!(
            line[0].split(',').next().unwrap(),
            format!("0x{:02x}", octets[0]),
            "{octets:02x?}: {line:?}"
        );
        // the message that a STATUS returns is shown as one, with what is wrong with it
        let is_status = octets[0] == kind::STATUS;
        assert!(is_status || (line[1].is_empty() && line[2].is_empty()), "{octets:02x?}: {line:?}");
        assert!(octets[0] != kind::DOWNLINK || line[3].contains(":gsm_a.dtap"), "{line:?}");
        seen.insert(octets[0]);
    }
    let sent = [
        kind::PAGING_REQUEST,
        kind::DOWNLINK,
        kind::UPDATE_ACCEPT,
        kind::UPDATE_REJECT,
        kind::ALERT_REQUEST,
        kind::EPS_DETACH_ACK,
        kind::IMSI_DETACH_ACK,
        kind::RESET,
        kind::RESET_ACK,
        kind::RELEASE,
        kind::STATUS,
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), sent);
}
