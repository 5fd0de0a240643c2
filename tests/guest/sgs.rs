//! SMS over SGs by real SCTP: the program, and model MMEs on machines of their own.

#[path = "../support/mme.rs"]
mod mme;

use crate::network::{Machine, PATIENCE, until};
use crate::people::USERS;
use crate::scene::Scene;
use imsbox::wire::gsm::{Address, Deliver, Direction, Reference, Rp, Rpdu, Submit, text};
use mme::{Mme, Paged};
use platform::sctp::{self, News, Received};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

const MME_1: &str = "mmec01.mmegi8001.mme.epc.mnc001.mcc001.3gppnetwork.org";
const MME_2: &str = "mmec02.mmegi8001.mme.epc.mnc001.mcc001.3gppnetwork.org";
/// The users with the numbers 600 and 603.
const A: &str = "001010123456789";
const B: &str = "001010000000003";

/// A model MME and its association.
struct Peer {
    mme: Mme,
    socket: Option<OwnedFd>,
}

fn scene(name: &str, mmes: usize) -> Scene {
    let scene = Scene::new(
        name,
        mmes,
        &format!(
            "{USERS} sctp_addr: \"10.9.0.1\", log_options: \"all.level=debug,all.max_size=1,sgsap.payload=1\""
        ),
    );
    assert!(scene.ims.banner().contains("SGs on SCTP 10.9.0.1:29118"), "{}", scene.ims.banner());
    scene
}

impl Peer {
    /// An MME that has connected, and acknowledged the reset.
    fn connect(name: &str, machine: &Machine) -> Peer {
        let mut peer = Peer { mme: Mme::new(name), socket: None };
        peer.reconnect(machine);
        peer.until("the VLR's reset", |mme| mme.resets == 1);
        peer
    }

    /// Connects, again or for the first time.
    fn reconnect(&mut self, machine: &Machine) {
        let to: SocketAddr = "10.9.0.1:29118".parse().unwrap();
        let from = SocketAddr::new(machine.v4, 0);
        let deadline = Instant::now() + PATIENCE;
        // until the program listens
        while self.socket.is_none() {
            assert!(Instant::now() < deadline, "no association");
            let socket = machine.within(|| sctp::connect(from, to)).unwrap();
            let mut buffer = [0; 2048];
            let mut outcome = None;
            until("an association", || {
                outcome = match sctp::receive(socket.as_fd(), &mut buffer) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => None,
                    Ok(Received::News(News::Up)) => Some(true),
                    _ => Some(false),
                };
                outcome.is_some()
            });
            self.socket = Some(socket).filter(|_| outcome == Some(true));
        }
    }

    fn send(&self, octets: &[u8]) {
        let socket = self.socket.as_ref().expect("connected");
        // a stream for each message would be allowed to change their order
        sctp::send(socket.as_fd(), octets, 1, 0).unwrap();
    }

    /// Reads what has come and sends what the MME answers.
    fn turn(&mut self) {
        let mut buffer = [0; 2048];
        while let Some(socket) = &self.socket {
            let len = match sctp::receive(socket.as_fd(), &mut buffer) {
                Ok(Received::Message { len, is_end: true }) => len,
                Ok(Received::News(_)) => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Ok(Received::End) | Err(_) => {
                    self.socket = None;
                    return;
                }
                other => panic!("{other:?}"),
            };
            // on a slow machine our acknowledgement is still on its way when the program repeats a CPDU
            let is_again =
                buffer[0] == mme::kind::DOWNLINK && self.mme.heard.iter().any(|m| m == &buffer[..len]);
            if is_again && mme::element(&buffer[..len], 0x16).is_some_and(|cpdu| cpdu[1] == 1) {
                continue;
            }
            for answer in self.mme.on_message(&buffer[..len]) {
                self.send(&answer);
            }
        }
    }

    fn until(&mut self, what: &str, mut is_so: impl FnMut(&Mme) -> bool) {
        until(what, || {
            self.turn();
            is_so(&self.mme)
        });
    }

    fn attach(&mut self, imsi: &str) {
        let request = self.mme.attach(imsi);
        self.attach_by(imsi, &request);
    }

    fn attach_by(&mut self, imsi: &str, request: &[u8]) {
        self.send(request);
        self.mme.phone(imsi).is_attached = false;
        self.until("the phone is attached", |mme| mme.phones[imsi].is_attached);
    }

    /// Waits until the phone has so many RPDUs and was released; its texts.
    fn texts(&mut self, imsi: &str, count: usize) -> Vec<String> {
        self.until("the texts", |mme| {
            let phone = &mme.phones[imsi];
            phone.rpdus.len() == count && !phone.is_connected
        });
        self.mme.phones[imsi].rpdus.iter().filter_map(|rpdu| text_of(rpdu)).collect()
    }
}

/// The text of an RP-DATA to a phone.
fn text_of(rpdu: &[u8]) -> Option<String> {
    match Rpdu::parse(rpdu).unwrap().message {
        Rp::Data { user_data, .. } => {
            Some(Deliver::parse(user_data).unwrap().user_data.text().unwrap().to_string())
        }
        _ => None,
    }
}

/// The RP-DATA of a phone with a text.
fn submit(reference: u8, to: &str, what: &str) -> Vec<u8> {
    let data = text::split(what, Reference::Eight(1)).unwrap().remove(0);
    let tpdu = Submit::new(reference, Address::of_digits(0x81, to).unwrap(), data.view()).to_vec();
    let message =
        Rp::Data { originator: None, destination: Address::of_digits(0x91, "33609001390"), user_data: &tpdu };
    Rpdu { direction: Direction::Up, reference, message }.to_vec()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}

/// The octets of a row of the vectors.
fn vector(id: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sgsap.json");
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let row = file["vectors"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap();
    row["hex"].as_str().unwrap().to_owned()
}

#[test]
fn phones_attach_and_text_each_other_through_one_mme() {
    let s = scene("sgs-texts", 1);
    let mut peer = Peer::connect(MME_1, &s.network.phones[0].phone);
    assert_eq!(hex(&peer.mme.attach(A)), vector("sgs-1"), "the model speaks as the vectors do");
    peer.attach(A);
    assert_eq!(hex(peer.mme.heard.last().unwrap()), vector("sgs-3"));
    peer.attach(B);
    // from the network
    s.ims.monitor(&["sms", "600", "hello, it is the network"]);
    assert_eq!(peer.texts(A, 1), ["hello, it is the network"]);
    assert_eq!(hex(peer.mme.heard.last().unwrap()), vector("sgs-35"), "released");
    // from phone to phone: the RP-ACK, and the text
    let uplink = peer.mme.send(A, 0, &submit(7, "603", "good evening"));
    peer.send(&uplink);
    assert_eq!(peer.texts(B, 1), ["good evening"]);
    peer.until("the RP-ACK", |mme| mme.phones[A].rpdus.len() == 2 && !mme.phones[A].is_connected);
    assert_eq!(peer.mme.phones[A].rpdus[1][..2], [3, 7]);
    assert!(peer.mme.heard.iter().any(|m| hex(m) == vector("sgs-32")), "a CP-ACK by the network");
    let mme = s.ims.monitor(&["mme"]);
    assert!(mme.contains(MME_1) && mme.contains("connected for") && mme.contains("2 phones"), "{mme}");
    let users = s.ims.monitor(&["users", "600"]);
    assert!(users.contains(&format!("SGs      {MME_1} | location area 001-01-0001")), "{users}");
    let log = s.ims.log_with(0, "[SGSAP] FROM 10.9.0.2");
    assert!(log.contains("LOCATION-UPDATE-REQUEST imsi=001010123456789"), "{log}");
    assert!(
        log.contains("\tMME name: mmec01.") && log.contains("CP-DATA, transaction 0 of its sender, RP-DATA"),
        "{log}"
    );
}

#[test]
fn each_of_several_mmes_has_its_phones_and_a_phone_moves_between_them() {
    let s = scene("sgs-two", 2);
    let mut one = Peer::connect(MME_1, &s.network.phones[0].phone);
    let mut two = Peer::connect(MME_2, &s.network.phones[1].phone);
    one.attach(A);
    two.attach(B);
    for number in ["600", "603"] {
        s.ims.monitor(&["sms", number, &format!("for {number}")]);
    }
    assert_eq!(one.texts(A, 1), ["for 600"]);
    assert_eq!(two.texts(B, 1), ["for 603"]);
    two.attach(A);
    s.ims.monitor(&["sms", "600", "you have moved"]);
    assert_eq!(two.texts(A, 1), ["you have moved"]);
    let mme = s.ims.monitor(&["mme"]);
    assert!(mme.contains("0 phones") && mme.contains("2 phones"), "{mme}");
}

#[test]
fn a_text_waits_while_the_association_is_gone_and_goes_when_it_is_back() {
    let s = scene("sgs-lost", 1);
    let machine = &s.network.phones[0].phone;
    let mut peer = Peer::connect(MME_1, machine);
    peer.attach(A);
    peer.socket = None;
    until("the association is gone", || s.ims.monitor(&["mme"]).contains("gone for"));
    s.ims.monitor(&["sms", "600", "are you there?"]);
    assert!(s.ims.monitor(&["users", "600"]).contains("1 wait"), "{}", s.ims.monitor(&["users", "600"]));
    peer.reconnect(machine);
    assert_eq!(peer.texts(A, 1), ["are you there?"]);
    assert_eq!(peer.mme.resets, 1, "we have not restarted");
}

#[test]
fn resets_detaches_and_pages_that_fail_leave_texts_waiting_for_the_phone() {
    let s = scene("sgs-detach", 1);
    let mut peer = Peer::connect(MME_1, &s.network.phones[0].phone);
    peer.attach(A);
    let reset = peer.mme.reset();
    peer.send(&reset);
    peer.until("our reset is acknowledged", |mme| mme.reset_acks == 1);
    assert_eq!(hex(peer.mme.heard.last().unwrap())[..2], *"16");
    assert!(s.ims.monitor(&["users", "600"]).contains("not confirmed"));
    for (number, from_eps) in [(1, false), (2, true)] {
        let detach = peer.mme.detach(A, from_eps);
        peer.send(&detach);
        peer.until("the detach is acknowledged", |mme| mme.detach_acks == number);
        s.ims.monitor(&["sms", "600", &format!("text {number}")]);
        peer.attach(A);
        peer.texts(A, number);
    }
    // the phone is out of reach, then does something
    peer.mme.phone(A).paged = Paged::Rejected(6);
    s.ims.monitor(&["sms", "600", "text 3"]);
    peer.until("the MME is asked to tell", |mme| {
        mme.heard.last().is_some_and(|m| m[0] == mme::kind::ALERT_REQUEST)
    });
    peer.mme.phone(A).paged = Paged::Answers;
    let activity = peer.mme.activity(A);
    peer.send(&activity);
    assert_eq!(peer.texts(A, 3), ["text 1", "text 2", "text 3"]);
    // and on its way a text is lost, until the phone does something again
    peer.mme.phone(A).paged = Paged::Silent;
    s.ims.monitor(&["sms", "600", "text 4"]);
    peer.until("the page", |mme| mme.heard.last().is_some_and(|m| m[0] == mme::kind::PAGING_REQUEST));
    let lost = peer.mme.unreachable(A);
    peer.send(&lost);
    peer.until("the MME is asked to tell again", |mme| {
        mme.heard.last().is_some_and(|m| m[0] == mme::kind::ALERT_REQUEST)
    });
    peer.mme.phone(A).paged = Paged::Answers;
    let activity = peer.mme.activity(A);
    peer.send(&activity);
    assert_eq!(peer.texts(A, 4).last().unwrap(), "text 4");
    // somebody whom nobody knows
    let stranger = "208930000000001";
    let request = peer.mme.attach(stranger);
    peer.send(&request);
    peer.until("the stranger is rejected", |mme| mme.phones[stranger].cause == Some(2));
    // and what is no message
    peer.send(&[0xee, 1, 2]);
    peer.until("a STATUS", |mme| mme.statuses == [12]);
}

#[test]
fn after_our_restart_phones_that_send_attach_anew() {
    let mut s = scene("sgs-restart", 1);
    let machine = &s.network.phones[0].phone;
    let mut peer = Peer::connect(MME_1, machine);
    peer.attach(A);
    s.ims.kill();
    until("the association ends", || {
        peer.turn();
        peer.socket.is_none()
    });
    s.ims.run(&s.network.core);
    let machine = &s.network.phones[0].phone;
    peer.reconnect(machine);
    peer.until("another reset", |mme| mme.resets == 2);
    let uplink = peer.mme.send(A, 0, &submit(1, "603", "lost"));
    peer.send(&uplink);
    peer.until("it is told to attach", |mme| mme.phones[A].is_told_to_attach);
    assert_eq!(hex(peer.mme.heard.last().unwrap()), vector("sgs-36"));
    peer.attach(A);
    s.ims.monitor(&["sms", "600", "back again"]);
    assert_eq!(peer.texts(A, 1), ["back again"]);
}

#[test]
fn an_mme_that_does_not_read_is_not_read_from_and_loses_nothing_while_another_is_served() {
    let s = scene("sgs-slow", 2);
    let mut slow = Peer::connect(MME_1, &s.network.phones[0].phone);
    let stranger = "208930000000001";
    let request = slow.mme.attach(stranger);
    // each is rejected; when nothing more goes, the program has stopped reading what it could not answer
    let mut sent = 0;
    let is_sent = |sent: &mut usize| {
        let socket = slow.socket.as_ref().expect("connected");
        match sctp::send(socket.as_fd(), &request, 1, 0) {
            Ok(()) => *sent += 1,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
            Err(e) => panic!("{e}"),
        }
        true
    };
    while is_sent(&mut sent) {}
    let mut other = Peer::connect(MME_2, &s.network.phones[1].phone);
    other.attach(A);
    while is_sent(&mut sent) {}
    assert!(sent > 500, "{sent}");
    slow.until("all answers", |mme| {
        mme.heard.iter().filter(|m| m[0] == mme::kind::UPDATE_REJECT).count() == sent
    });
    slow.attach(B);
    assert!(!s.ims.log().contains("association with"), "none was lost");
}

#[test]
fn a_phone_without_a_tmsi_is_given_one_and_paged_with_it_when_it_has_confirmed_it() {
    let s = scene("sgs-tmsi", 1);
    let mut peer = Peer::connect(MME_1, &s.network.phones[0].phone);
    let request = peer.mme.attach_without_tmsi(A);
    peer.attach_by(A, &request);
    let tmsi = peer.mme.phones[A].tmsi.expect("a TMSI");
    let shown = format!("TMSI {tmsi:08x}");
    peer.until("the confirmation is taken", |_| s.ims.monitor(&["users", "600"]).contains(&shown));
    s.ims.monitor(&["sms", "600", "paged with it"]);
    assert_eq!(peer.texts(A, 1), ["paged with it"]);
    let page = peer.mme.heard.iter().find(|m| m[0] == mme::kind::PAGING_REQUEST).expect("a page");
    assert_eq!(mme::element(page, 3), Some(&tmsi.to_be_bytes()[..]));
    // until the phone leaves; then it has none of ours
    let detach = peer.mme.detach(A, false);
    peer.send(&detach);
    peer.until("the detach is acknowledged", |mme| mme.detach_acks == 1);
    peer.attach(A);
    assert!(!s.ims.monitor(&["users", "600"]).contains("TMSI"), "it has said nothing of one");
    s.ims.monitor(&["sms", "600", "paged without it"]);
    peer.texts(A, 2);
    let page = peer.mme.heard.iter().rfind(|m| m[0] == mme::kind::PAGING_REQUEST).expect("a page");
    assert_eq!(mme::element(page, 3), None);
}

#[test]
fn an_mme_that_connects_anew_beside_its_former_association_gets_what_was_on_its_way_there() {
    let s = scene("sgs-anew", 1);
    let machine = &s.network.phones[0].phone;
    let mut peer = Peer::connect(MME_1, machine);
    peer.attach(A);
    let former = peer.socket.take().expect("connected");
    s.ims.monitor(&["sms", "600", "where are you?"]);
    peer.reconnect(machine);
    assert_eq!(peer.texts(A, 1), ["where are you?"]);
    let mut buffer = [0; 2048];
    until("the former association is closed", || match sctp::receive(former.as_fd(), &mut buffer) {
        Ok(Received::End) => true,
        Ok(_) => false,
        Err(e) => e.kind() != io::ErrorKind::WouldBlock,
    });
    let mme = s.ims.monitor(&["mme"]);
    assert!(mme.lines().count() == 1 && mme.contains("1 phone"), "{mme}");
}
