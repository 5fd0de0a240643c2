//! Security agreements with scripted networks and a kernel that does what it is told, or refuses.

mod hostile;

use super::super::security::{Installation, Wish};
use super::*;
use crate::settings::Transport;
use imsbox::crypto::aka::{self, Functions, Sim};
use imsbox::proto::sip::digest::{self, Algorithm, Credentials};
use imsbox::proto::sip::sec_agree::Suite;
use imsbox::wire::sip::list;
use imsbox::wire::sip::sec_agree::{Mechanism, same_list};

const K: &str = "00112233445566778899aabbccddeeff";
const SIM: (&str, &str) = ("K", K);
/// The phone's protected server port.
const US: u16 = 6500;
const PS: u16 = 6100;

/// A phone, its kernel, and the network's view of what it says.
struct Lab {
    phone: Phone,
    now: Instant,
    /// What the kernel answers to an installation.
    refusal: Option<&'static str>,
    ports_opened: u16,
    installed: Vec<Installation>,
    wishes: Vec<Wish>,
    sent: Vec<(Peer, String)>,
    events: Vec<Event>,
    challenges: u64,
}

impl Lab {
    fn new(more: &[(&'static str, &str)]) -> Lab {
        let options: Vec<_> = [SIM, ("reg_event", "off")].iter().chain(more).copied().collect();
        let mut phone = phone(1, &options);
        phone.enable_ipsec(Ok(phone.settings.ipsec.suites.clone()));
        Lab {
            phone,
            now: Instant::ZERO,
            refusal: None,
            ports_opened: 0,
            installed: Vec::new(),
            wishes: Vec::new(),
            sent: Vec::new(),
            events: Vec::new(),
            challenges: 0,
        }
    }

    /// Takes what the phone has to say; its kernel answers at once.
    fn settle(&mut self) {
        while let Some(output) = self.phone.pop() {
            match output {
                Output::Send(peer, octets) => {
                    self.sent.push((peer, String::from_utf8_lossy(&octets).into_owned()));
                }
                Output::Event(event) => self.events.push(event),
                Output::Media(..) | Output::Recorded(_) | Output::Keep(_) => {}
                Output::Ipsec(wish) => self.fulfil(wish),
            }
        }
    }

    fn fulfil(&mut self, wish: Wish) {
        match &wish {
            Wish::Open { set, client, server } => {
                self.ports_opened += 1;
                let ports = (client.unwrap_or(7000 + self.ports_opened), server.unwrap_or(US));
                self.phone.on_opened(self.now, *set, Ok(ports));
            }
            Wish::Install(installation) => {
                let result = self.refusal.map_or(Ok(()), |words| Err(words.to_owned()));
                if result.is_ok() {
                    self.installed.push((**installation).clone());
                }
                self.phone.on_installed(self.now, installation.number, result);
            }
            Wish::Extend(..) => {}
            Wish::Remove(set) => self.installed.retain(|i| i.number != *set),
        }
        self.wishes.push(wish);
    }

    /// The one message that the phone has sent.
    fn message(&mut self) -> (Peer, String) {
        self.settle();
        let mut sent = std::mem::take(&mut self.sent);
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    fn hear(&mut self, peer: Peer, octets: &[u8]) {
        self.phone.on_message(self.now, peer, octets);
    }

    /// A challenge for a REGISTER, with a Security-Server of this client port.
    fn challenge(&mut self, register: &str, pc: u16, pair: &str) -> (String, aka::Vector) {
        self.challenges += 1;
        let k = imsbox::crypto::hex::decode_array(K.as_bytes()).unwrap();
        let sim = Sim::new(Functions::Xor { k }, [0x90, 1], 8).unwrap();
        let vector = aka::generate(&sim, &[self.challenges as u8; 16], self.challenges * 32);
        let nonce = digest::aka::nonce(&vector.rand, &vector.autn);
        let (alg, ealg) = pair.split_once('/').unwrap();
        let server = match pair {
            "none/none" => String::new(),
            _ => format!("Security-Server: {}\r\n", server(pc, alg, ealg)),
        };
        let more =
            format!("WWW-Authenticate: Digest realm=\"h\",nonce=\"{nonce}\",algorithm=AKAv1-MD5\r\n{server}");
        (String::from_utf8(answer(register, "401 Unauthorized", "t", &more)).unwrap(), vector)
    }

    /// Registers with the pair that is offered first, up to the 200; the answer to the challenge.
    fn register(&mut self) -> String {
        self.phone.register(self.now, 600).unwrap();
        let (peer, first) = self.message();
        assert_eq!(peer, Peer::Server);
        let (challenge, vector) = self.challenge(&first, 5100, "hmac-sha-1-96/aes-cbc");
        self.hear(Peer::Server, challenge.as_bytes());
        let (peer, second) = self.message();
        assert_eq!(peer, to_ps(7001));
        verify(&second, &vector);
        self.hear(from_pc(5100), &answer(&second, "200 OK", "t", OK));
        self.settle();
        assert!(self.phone.security().is_on());
        second
    }

    /// Lets time pass up to this second, as its deadlines come.
    fn pass(&mut self, until_secs: u64) {
        let until = Instant::from_nanos(until_secs * 1_000_000_000);
        while let Some(at) = self.phone.next_deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.phone.tick(self.now);
            self.settle();
        }
        self.now = until;
    }

    fn notices(&self) -> String {
        let words = self.events.iter().filter_map(|e| match e {
            Event::Notice(words) => Some(words.as_str()),
            _ => None,
        });
        words.collect::<Vec<_>>().join("\n")
    }

    fn failure(&self) -> Option<(Option<u16>, &str)> {
        self.events.iter().rev().find_map(|e| match e {
            Event::NotRegistered(code, words) => Some((*code, words.as_str())),
            _ => None,
        })
    }
}

const OK: &str = "Contact: <sip:p1@192.0.2.1:6500>;expires=600\r\nP-Associated-URI: <sip:p1@h>\r\n\
                  Service-Route: <sip:orig@192.0.2.2:6100;lr>\r\n";

fn server(pc: u16, alg: &str, ealg: &str) -> String {
    let spi = u32::from(pc) * 2;
    format!("ipsec-3gpp;q=0.1;alg={alg};ealg={ealg};spi-c={spi};spi-s={};port-c={pc};port-s={PS}", spi + 1)
}

fn to_ps(uc: u16) -> Peer {
    Peer::Protected(Transport::Udp, uc, SocketAddr::from(([192, 0, 2, 2], PS)))
}

fn from_pc(pc: u16) -> Peer {
    Peer::Protected(Transport::Udp, US, SocketAddr::from(([192, 0, 2, 2], pc)))
}

fn verify(register: &str, vector: &aka::Vector) {
    let given = Credentials::parse(header(register, "Authorization").as_bytes()).unwrap();
    assert!(given.verify(Algorithm::AkaV1Md5, b"REGISTER", b"", &vector.xres), "{register}");
}

fn mechanisms(value: &str) -> Vec<Mechanism<'_>> {
    list::values(value.as_bytes()).map(|v| Mechanism::parse(v).unwrap()).collect()
}

fn same(a: &str, b: &str) -> bool {
    same_list(list::values(a.as_bytes()), list::values(b.as_bytes()))
}

#[test]
fn the_first_register_offers_and_the_second_goes_through_what_was_agreed() {
    let mut lab = Lab::new(&[]);
    lab.phone.register(lab.now, 600).unwrap();
    let (peer, first) = lab.message();
    assert_eq!(peer, Peer::Server, "in clear");
    assert_eq!(header(&first, "Require"), "sec-agree");
    assert_eq!(header(&first, "Proxy-Require"), "sec-agree");
    assert_eq!(header(&first, "Supported"), "path, sec-agree");
    let offered = mechanisms(header(&first, "Security-Client"));
    assert_eq!(offered.len(), Suite::all().count());
    for m in &offered {
        assert_eq!((m.port_c(), m.port_s()), (Some(7001), Some(US)));
        assert!(m.spi_c().unwrap() > 255 && m.spi_c() != m.spi_s());
    }
    assert_eq!(offered[0].encryption(), b"aes-gcm", "the strongest first");
    let (challenge, vector) = lab.challenge(&first, 5100, "hmac-sha-1-96/aes-cbc");
    lab.hear(Peer::Server, challenge.as_bytes());
    let (peer, second) = lab.message();
    assert_eq!(peer, to_ps(7001));
    verify(&second, &vector);
    assert_eq!(header(&second, "Security-Client"), header(&first, "Security-Client"));
    assert_eq!(header(&second, "Security-Verify"), server(5100, "hmac-sha-1-96", "aes-cbc"));
    assert!(header(&second, "Via").starts_with("SIP/2.0/UDP 192.0.2.1:6500;branch="), "{second}");
    assert!(header(&second, "Contact").starts_with("<sip:p1@192.0.2.1:6500>"), "{second}");
    let installed = &lab.installed[0];
    let suite = installed.suite;
    assert_eq!(installed.keys, suite.keys(&vector.ck, &vector.ik));
    let ways = installed.ways.map(|w| (w.is_outgoing, w.ours, w.theirs));
    assert_eq!(ways, [(true, 7001, PS), (false, 7001, PS), (false, US, 5100), (true, US, 5100)]);
    let own = (offered[0].spi_c().unwrap(), offered[0].spi_s().unwrap());
    assert_eq!(installed.ways.map(|w| w.spi), [10_201, own.0, own.1, 10_200]);
    lab.hear(from_pc(5100), &answer(&second, "200 OK", "t", OK));
    lab.settle();
    assert!(matches!(lab.events.last(), Some(Event::Registered { secs: 600, .. })), "{:?}", lab.events);
    assert!(lab.notices().contains("IPsec hmac-sha-1-96/aes-cbc, ports 7001 to 6100 and 5100 to 6500"));
    assert!(matches!(lab.wishes.last(), Some(Wish::Extend(1, t)) if *t == Duration::from_secs(630)));
}

#[test]
fn calls_go_through_the_set_both_ways() {
    let mut lab = Lab::new(&[]);
    lab.register();
    lab.phone.make_call(lab.now, "bob", None, false).unwrap();
    let (peer, invite) = lab.message();
    assert_eq!(peer, to_ps(7001));
    assert_eq!(header(&invite, "Require"), "sec-agree");
    assert_eq!(header(&invite, "Security-Verify"), server(5100, "hmac-sha-1-96", "aes-cbc"));
    assert!(header(&invite, "Security-Client").is_empty());
    assert_eq!(header(&invite, "Route"), "<sip:orig@192.0.2.2:6100;lr>", "the P-CSCF named itself");
    lab.hear(from_pc(5100), &answer(&invite, "486 Busy Here", "u", ""));
    let (peer, ack) = lab.message();
    assert!(peer == to_ps(7001) && ack.starts_with("ACK "), "{peer:?} {ack}");
    assert!(header(&ack, "Security-Verify").is_empty());
    assert_eq!(header(&ack, "Via"), header(&invite, "Via"));
    // a request to the phone: its answer goes from the client port to the port of the Via
    for (via, way) in [
        (PS, to_ps(7001)),
        (5100, Peer::Protected(Transport::Udp, US, SocketAddr::from(([192, 0, 2, 2], 5100)))),
    ] {
        let options = format!(
            "OPTIONS sip:p1@192.0.2.1:6500 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:{via};rport;branch=z9hG4bK{via}\r\n\
             From: <sip:x@h>;tag=1\r\nTo: <sip:p1@h>\r\nCall-ID: o{via}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\r\n"
        );
        lab.hear(from_pc(5100), options.as_bytes());
        let (peer, response) = lab.message();
        assert!(peer == way && response.starts_with("SIP/2.0 200"), "{peer:?} {response}");
    }
}

#[test]
fn nothing_is_taken_in_clear_and_nothing_leaves_so() {
    let mut lab = Lab::new(&[]);
    lab.register();
    let options = "OPTIONS sip:p1@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKa\r\nFrom: <sip:x@h>;tag=1\r\n\
                   To: <sip:p1@h>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\r\n";
    lab.hear(Peer::Udp("192.0.2.2:5060".parse().unwrap()), options.as_bytes());
    lab.settle();
    assert!(lab.sent.is_empty() && lab.notices().contains("came in clear"), "{:?}", lab.sent);
    // nor the answer to a protected request
    lab.phone.make_call(lab.now, "bob", None, false).unwrap();
    let (_, invite) = lab.message();
    lab.hear(Peer::Server, &answer(&invite, "486 Busy Here", "u", ""));
    lab.settle();
    assert!(lab.sent.is_empty() && lab.phone.current_call().is_some());
}

#[test]
fn a_refresh_that_is_not_challenged_goes_on_with_the_set() {
    let mut lab = Lab::new(&[]);
    lab.register();
    lab.pass(300);
    let (peer, refresh) = lab.message();
    assert_eq!(peer, to_ps(7001));
    let offered = mechanisms(header(&refresh, "Security-Client"));
    assert_eq!((offered[0].port_c(), offered[0].port_s()), (Some(7002), Some(US)), "a new client port");
    assert!(same(header(&refresh, "Security-Verify"), &server(5100, "hmac-sha-1-96", "aes-cbc")));
    lab.hear(from_pc(5100), &answer(&refresh, "200 OK", "t", OK));
    lab.settle();
    let [.., removed, extended] = &lab.wishes[..] else { panic!() };
    assert_eq!((removed, extended), (&Wish::Remove(2), &Wish::Extend(1, Duration::from_secs(630))));
    assert_eq!(lab.installed.len(), 1);
}

#[test]
fn a_refresh_that_is_challenged_moves_to_a_new_set_and_the_old_one_goes_later() {
    let mut lab = Lab::new(&[]);
    lab.register();
    lab.pass(300);
    let (_, refresh) = lab.message();
    let (challenge, vector) = lab.challenge(&refresh, 5101, "hmac-md5-96/null");
    lab.hear(from_pc(5100), challenge.as_bytes());
    let (peer, second) = lab.message();
    assert_eq!(peer, to_ps(7002), "the answer goes through the new set");
    verify(&second, &vector);
    assert_eq!(lab.installed.len(), 2, "beside the old one");
    // until the network has taken it, everything else goes through the old one
    lab.phone.make_call(lab.now, "bob", None, false).unwrap();
    let (peer, invite) = lab.message();
    assert_eq!(peer, to_ps(7001));
    lab.hear(from_pc(5101), &answer(&second, "200 OK", "t", OK));
    lab.settle();
    assert_eq!(lab.phone.security().sets().count(), 2);
    // what began in the old set ends there
    lab.hear(from_pc(5100), &answer(&invite, "486 Busy Here", "u", ""));
    let (peer, _) = lab.message();
    assert_eq!(peer, to_ps(7001));
    lab.pass(340);
    assert_eq!(lab.installed.iter().map(|i| i.number).collect::<Vec<_>>(), [2], "the old one is gone");
    lab.phone.make_call(lab.now, "bob", None, false).unwrap();
    assert_eq!(lab.message().0, to_ps(7002));
}

#[test]
fn the_registration_is_given_back_through_the_set_which_goes_then() {
    let mut lab = Lab::new(&[]);
    lab.register();
    lab.phone.register(lab.now, 0).unwrap();
    let (peer, last) = lab.message();
    assert!(peer == to_ps(7001) && header(&last, "Expires") == "0", "{last}");
    lab.hear(from_pc(5100), &answer(&last, "200 OK", "t", ""));
    lab.settle();
    assert_eq!(lab.events.last(), Some(&Event::Deregistered));
    // what comes of it, like the last NOTIFY, still goes through the set
    assert!(lab.installed.len() == 1 && !lab.phone.security().is_on());
    let notify = "NOTIFY sip:p1@192.0.2.1:6500 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:6100;branch=z9hG4bKn\r\nCSeq: 1 NOTIFY\r\n\
                  From: <sip:p1@h>;tag=1\r\nTo: <sip:p1@h>;tag=2\r\nCall-ID: n\r\nMax-Forwards: 70\r\n\r\n";
    lab.hear(from_pc(5100), notify.as_bytes());
    assert_eq!(lab.message().0, to_ps(7001));
    lab.pass(6);
    assert!(lab.installed.is_empty());
    // and a new registration starts in clear
    lab.phone.register(lab.now, 600).unwrap();
    assert_eq!(lab.message().0, Peer::Server);
}

#[test]
fn a_phone_that_comes_back_at_once_may_get_the_same_ports() {
    let mut lab = Lab::new(&[]);
    lab.register();
    lab.phone.register(lab.now, 0).unwrap();
    let (_, last) = lab.message();
    lab.hear(from_pc(5100), &answer(&last, "200 OK", "t", ""));
    lab.settle();
    lab.phone.register(lab.now, 600).unwrap();
    let (_, first) = lab.message();
    let (challenge, _) = lab.challenge(&first, 5100, "hmac-sha-1-96/aes-cbc");
    lab.hear(Peer::Server, challenge.as_bytes());
    lab.settle();
    // the set that was parted from is in the way of the new one, between whose ends are the same ports
    assert!(matches!(&lab.installed[..], [only] if only.number != 1), "{:?}", lab.installed);
    let at = |wish: fn(&Wish) -> bool| lab.wishes.iter().rposition(wish);
    assert!(at(|w| matches!(w, Wish::Remove(1))) < at(|w| matches!(w, Wish::Install(_))), "{:?}", lab.wishes);
}

#[test]
fn when_the_network_has_lost_the_set_the_phone_starts_anew_in_clear() {
    for is_call in [false, true] {
        let mut lab = Lab::new(&[]);
        lab.register();
        lab.pass(if is_call { 100 } else { 300 });
        if is_call {
            lab.phone.make_call(lab.now, "bob", None, false).unwrap();
        }
        lab.settle();
        assert!(lab.sent.iter().all(|(peer, _)| *peer == to_ps(7001)), "{:?}", lab.sent);
        lab.pass(lab.now.as_nanos() / 1_000_000_000 + 33);
        let (peer, anew) = lab.sent.iter().find(|(peer, _)| !peer.is_protected()).unwrap();
        assert_eq!(*peer, Peer::Server);
        assert!(anew.starts_with("REGISTER ") && header(anew, "Security-Verify").is_empty(), "{anew}");
        assert!(header(anew, "Authorization").contains("nonce=\"\""), "{anew}");
        assert!(lab.notices().contains("registering anew"), "{}", lab.notices());
        assert!(lab.installed.is_empty() && !lab.phone.registration().is_on());
    }
}

#[test]
fn a_challenge_that_the_card_does_not_take_is_answered_without_a_set() {
    let mut lab = Lab::new(&[]);
    lab.challenges = 9;
    lab.register();
    lab.phone.register(lab.now, 0).unwrap();
    let (_, last) = lab.message();
    lab.hear(from_pc(5100), &answer(&last, "200 OK", "t", ""));
    lab.pass(6);
    // a number that is not new: AUTS, with other SPIs
    lab.challenges = 3;
    lab.phone.register(lab.now, 600).unwrap();
    let (_, first) = lab.message();
    let (challenge, _) = lab.challenge(&first, 5100, "hmac-sha-1-96/aes-cbc");
    lab.hear(Peer::Server, challenge.as_bytes());
    let (peer, auts) = lab.message();
    assert!(peer == Peer::Server && header(&auts, "Authorization").contains("auts="), "{auts}");
    let spi = |message: &str| mechanisms(header(message, "Security-Client"))[0].spi_c();
    assert_ne!(spi(&auts), spi(&first));
    assert!(lab.installed.is_empty());
    lab.challenges = 20;
    let (challenge, vector) = lab.challenge(&auts, 5101, "hmac-sha-1-96/aes-cbc");
    lab.hear(Peer::Server, challenge.as_bytes());
    let (peer, answer) = lab.message();
    assert!(peer.is_protected());
    verify(&answer, &vector);
    assert_eq!(lab.installed[0].ways[1].spi, spi(&auts).unwrap());
}

#[test]
fn what_was_not_offered_is_not_taken() {
    for (pair, words) in [
        ("hmac-sha-1-96/null", "the network answers with hmac-sha-1-96/null, which was not offered"),
        ("null/null", "the network answers with null/null, which was not offered"),
    ] {
        let mut lab = Lab::new(&[("ipsec_alg", "hmac-md5-96,hmac-sha-1-96"), ("ipsec_ealg", "aes-cbc")]);
        lab.phone.register(lab.now, 600).unwrap();
        let (_, first) = lab.message();
        assert_eq!(mechanisms(header(&first, "Security-Client")).len(), 2);
        let (challenge, _) = lab.challenge(&first, 5100, pair);
        lab.hear(Peer::Server, challenge.as_bytes());
        lab.settle();
        assert_eq!(lab.failure(), Some((Some(401), words)));
        assert_eq!(lab.wishes.last(), Some(&Wish::Remove(1)), "its port is closed");
        assert!(lab.sent.is_empty() && lab.installed.is_empty());
    }
}

#[test]
fn a_network_without_ipsec_is_registered_with_in_clear_unless_it_is_required() {
    for (ipsec, status) in [("optional", 401), ("required", 401), ("optional", 420), ("required", 420)] {
        let mut lab = Lab::new(&[("ipsec", ipsec)]);
        lab.phone.register(lab.now, 600).unwrap();
        let (_, first) = lab.message();
        let (challenge, _) = lab.challenge(&first, 0, "none/none");
        let refused = match status {
            401 => challenge.into_bytes(),
            _ => answer(&first, "420 Bad Extension", "t", "Unsupported: sec-agree\r\n"),
        };
        lab.hear(Peer::Server, &refused);
        lab.settle();
        if ipsec == "required" {
            let (code, words) = lab.failure().unwrap();
            assert!(code == Some(status) && words.contains("which the settings require"), "{words}");
            assert!(lab.sent.is_empty());
            continue;
        }
        assert!(lab.notices().contains("registering without IPsec: the network does"), "{}", lab.notices());
        let (peer, next) = lab.message();
        assert_eq!(peer, Peer::Server);
        assert!(header(&next, "Security-Client").is_empty() && header(&next, "Require").is_empty(), "{next}");
        assert_eq!(header(&next, "Authorization").contains("nonce=\"\""), status == 420);
        // the refresh asks no more, the next registration does
        let ok = OK.replace("6500", "5060");
        lab.hear(Peer::Server, &answer(&next, "200 OK", "t", &ok));
        lab.pass(300);
        let (_, refresh) = lab.message();
        assert!(header(&refresh, "Security-Client").is_empty(), "{refresh}");
        lab.hear(Peer::Server, &answer(&refresh, "403 Forbidden", "t", ""));
        lab.settle();
        lab.phone.register(lab.now, 600).unwrap();
        assert!(!header(&lab.message().1, "Security-Client").is_empty());
    }
}

#[test]
fn a_network_that_refuses_what_is_not_asked_for_is_not_asked_for_ever() {
    let mut lab = Lab::new(&[]);
    lab.phone.register(lab.now, 600).unwrap();
    for _ in 0..2 {
        let (_, register) = lab.message();
        lab.hear(Peer::Server, &answer(&register, "420 Bad Extension", "t", "Unsupported: sec-agree\r\n"));
        lab.settle();
    }
    assert!(lab.sent.is_empty(), "{:?}", lab.sent);
    let (code, words) = lab.failure().unwrap();
    assert!(code == Some(420) && words.contains("was not asked for"), "{words}");
}

#[test]
fn a_list_of_a_494_narrows_the_offer_once() {
    let mut lab = Lab::new(&[]);
    lab.phone.register(lab.now, 600).unwrap();
    let (_, first) = lab.message();
    let theirs = "Security-Server: ipsec-3gpp;q=0.2;alg=hmac-sha-1-96;ealg=aes-cbc, ipsec-3gpp;q=0.1;alg=x;ealg=null\r\n";
    lab.hear(Peer::Server, &answer(&first, "494 Security Agreement Required", "t", theirs));
    let (_, second) = lab.message();
    assert!(lab.notices().contains("hmac-sha-1-96/aes-cbc"), "{}", lab.notices());
    let offered = mechanisms(header(&second, "Security-Client"));
    assert_eq!((offered.len(), offered[0].port_c()), (1, Some(7002)));
    lab.hear(Peer::Server, &answer(&second, "494 Security Agreement Required", "t", theirs));
    lab.settle();
    let words = "494 Security Agreement Required: the network wants IPsec with hmac-sha-1-96/aes-cbc, x/null; this phone offers \
                 hmac-sha-1-96/aes-cbc";
    assert_eq!(lab.failure(), Some((Some(494), words)));
}

#[test]
fn a_time_that_is_too_short_starts_over_in_clear_when_the_answer_was_refused() {
    let mut lab = Lab::new(&[]);
    lab.phone.register(lab.now, 20).unwrap();
    let (_, first) = lab.message();
    let (challenge, _) = lab.challenge(&first, 5100, "hmac-sha-1-96/aes-cbc");
    lab.hear(Peer::Server, challenge.as_bytes());
    let (_, second) = lab.message();
    lab.hear(from_pc(5100), &answer(&second, "423 Interval Too Brief", "t", "Min-Expires: 60\r\n"));
    let (peer, third) = lab.message();
    assert!(peer == Peer::Server && header(&third, "Expires") == "60", "{third}");
    assert!(header(&third, "Security-Verify").is_empty() && lab.installed.is_empty(), "{third}");
    assert_eq!(mechanisms(header(&third, "Security-Client"))[0].port_c(), Some(7002));
}

#[test]
fn a_kernel_that_refuses_leaves_a_phone_in_clear_or_none() {
    for ipsec in ["optional", "required"] {
        let mut lab = Lab::new(&[("ipsec", ipsec)]);
        lab.refusal = Some("no memory");
        lab.phone.register(lab.now, 600).unwrap();
        let (_, first) = lab.message();
        let (challenge, _) = lab.challenge(&first, 5100, "hmac-sha-1-96/aes-cbc");
        lab.hear(Peer::Server, challenge.as_bytes());
        lab.settle();
        if ipsec == "required" {
            assert_eq!(lab.failure(), Some((None, "no memory")));
            assert!(lab.sent.is_empty());
        } else {
            assert!(lab.notices().contains("registering without IPsec: no memory"), "{}", lab.notices());
            let (peer, plain) = lab.message();
            assert!(peer == Peer::Server && header(&plain, "Security-Client").is_empty(), "{plain}");
        }
    }
}

#[test]
fn a_network_that_wants_it_hears_why_there_is_none() {
    for (options, why) in [(&[("ipsec", "off")][..], "the settings have it off"), (&[], "CAP_NET_ADMIN")] {
        let mut lab = Lab::new(options);
        lab.phone.enable_ipsec(Ok(Vec::new()));
        if options.is_empty() {
            lab.phone.enable_ipsec(Err("it needs CAP_NET_ADMIN".to_owned()));
        }
        lab.phone.register(lab.now, 600).unwrap();
        let (_, first) = lab.message();
        assert!(header(&first, "Require").is_empty(), "{first}");
        let list = "Require: sec-agree\r\nSecurity-Server: ipsec-3gpp;alg=hmac-md5-96\r\n";
        lab.hear(Peer::Server, &answer(&first, "421 Extension Required", "t", list));
        lab.settle();
        let (code, words) = lab.failure().unwrap();
        assert_eq!(code, Some(421));
        assert!(words.contains("wants IPsec (hmac-md5-96/null)") && words.ends_with(why), "{words}");
    }
    let mut lab = Lab::new(&[("ipsec", "required")]);
    lab.phone.enable_ipsec(Err("it needs CAP_NET_ADMIN".to_owned()));
    lab.phone.register(lab.now, 600).unwrap();
    lab.settle();
    assert!(lab.failure().unwrap().1.ends_with("CAP_NET_ADMIN"), "{:?}", lab.failure());
}

#[test]
fn tests_of_a_network_may_do_it_wrongly() {
    let mut lab = Lab::new(&[("ipsec_test", "wrong-verify")]);
    lab.phone.register(lab.now, 600).unwrap();
    let (_, first) = lab.message();
    let (challenge, _) = lab.challenge(&first, 5100, "hmac-sha-1-96/aes-cbc");
    lab.hear(Peer::Server, challenge.as_bytes());
    let (peer, second) = lab.message();
    assert!(peer.is_protected());
    let sent = server(5100, "hmac-sha-1-96", "aes-cbc");
    assert_eq!(header(&second, "Security-Verify"), sent.replace("spi-s=10201", "spi-s=10200"));
    lab.hear(from_pc(5100), &answer(&second, "494 No", "t", &format!("Security-Server: {sent}\r\n")));
    lab.settle();
    assert!(lab.failure().unwrap().1.contains("Security-Verify is not what it sent"), "{:?}", lab.failure());
    assert!(lab.installed.is_empty());

    let mut lab = Lab::new(&[("ipsec_test", "clear-answer")]);
    lab.phone.register(lab.now, 600).unwrap();
    let (_, first) = lab.message();
    let (challenge, _) = lab.challenge(&first, 5100, "hmac-sha-1-96/aes-cbc");
    lab.hear(Peer::Server, challenge.as_bytes());
    let (peer, second) = lab.message();
    assert_eq!(peer, Peer::Server);
    assert_eq!(header(&second, "Security-Verify"), sent);
}

#[test]
fn a_register_may_go_over_tcp_and_the_rest_over_udp() {
    let mut lab = Lab::new(&[("register_transport", "tcp")]);
    lab.phone.register(lab.now, 600).unwrap();
    let (_, first) = lab.message();
    let (challenge, _) = lab.challenge(&first, 5100, "hmac-sha-1-96/aes-cbc");
    lab.hear(Peer::Server, challenge.as_bytes());
    let (peer, second) = lab.message();
    let tcp = Peer::Protected(Transport::Tcp, 7001, SocketAddr::from(([192, 0, 2, 2], PS)));
    assert_eq!(peer, tcp);
    assert!(header(&second, "Via").starts_with("SIP/2.0/TCP 192.0.2.1:6500;"), "{second}");
    lab.hear(tcp, &answer(&second, "200 OK", "t", OK));
    lab.phone.make_call(lab.now, "bob", None, false).unwrap();
    let (peer, invite) = lab.message();
    assert!(peer == to_ps(7001) && header(&invite, "Via").starts_with("SIP/2.0/UDP"), "{invite}");
}

#[test]
fn a_response_whose_connection_has_gone_takes_one_of_its_own() {
    let mut lab = Lab::new(&[("transport", "tcp")]);
    lab.phone.register(lab.now, 600).unwrap();
    let (_, first) = lab.message();
    let (challenge, _) = lab.challenge(&first, 5100, "hmac-sha-1-96/aes-cbc");
    lab.hear(Peer::Server, challenge.as_bytes());
    let (ours, second) = lab.message();
    lab.hear(ours, &answer(&second, "200 OK", "t", OK));
    lab.settle();
    let theirs = Peer::Protected(Transport::Tcp, US, SocketAddr::from(([192, 0, 2, 2], 5100)));
    let options = "OPTIONS sip:p1@192.0.2.1:6500 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.2:6100;branch=z9hG4bKa\r\n\
                   From: <sip:x@h>;tag=1\r\nTo: <sip:p1@h>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\r\n";
    lab.hear(theirs, options.as_bytes());
    let (peer, response) = lab.message();
    assert_eq!(peer, theirs, "on the connection that brought the request");
    lab.phone.on_unsent(lab.now, theirs, response.as_bytes(), "the connection has gone");
    assert_eq!(lab.message(), (ours, response));
}

#[test]
fn pinned_ports_and_spis_are_taken_and_later_sets_count_up() {
    let pinned = [("port_c", "7100"), ("port_s", "6500"), ("spi_c", "1000"), ("spi_s", "1001")];
    let mut lab = Lab::new(&pinned);
    lab.phone.register(lab.now, 600).unwrap();
    let (_, first) = lab.message();
    let numbers = |message: &str| {
        let m = mechanisms(header(message, "Security-Client"))[0];
        (m.spi_c().unwrap(), m.spi_s().unwrap(), m.port_c().unwrap(), m.port_s().unwrap())
    };
    assert_eq!(numbers(&first), (1000, 1001, 7100, 6500));
    let (challenge, _) = lab.challenge(&first, 5100, "hmac-sha-1-96/aes-cbc");
    lab.hear(Peer::Server, challenge.as_bytes());
    let (_, second) = lab.message();
    lab.hear(from_pc(5100), &answer(&second, "200 OK", "t", OK));
    lab.pass(300);
    let (_, refresh) = lab.message();
    assert_eq!(numbers(&refresh), (1002, 1003, 7101, 6500));
}
