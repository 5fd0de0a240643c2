//! Two phones that text: what one is told of its texts, and what the other gets, over all crashes. Both are at one address, told apart by
//! their names, so that one socket has everything that the program has said before it died.

use crate::PATIENCE;
use imsbox::base::rng::Rng;
use imsbox::wire::gsm::{Address, Deliver, Direction, Reference, Rp, Rpdu, Submit, text};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long a phone waits before it sends again what has no answer.
const AGAIN: Duration = Duration::from_millis(500);
/// Texts of one round.
const MOST_TEXTS: u64 = 4;

/// What a request of ours was about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum About {
    Registration,
    /// A text of the one phone.
    Text(u64),
    /// The report of the other phone on a text.
    Report(u64),
}

pub struct Texts {
    socket: UdpSocket,
    own: SocketAddr,
    /// Requests without an answer, by Call-ID.
    open: BTreeMap<String, (About, Vec<u8>)>,
    number: u64,
    /// Texts of which their sender was told that they are taken, that have come, and whose report was taken.
    taken: BTreeSet<u64>,
    come: BTreeSet<u64>,
    reported: BTreeSet<u64>,
    /// Deliveries by Call-ID: one that is repeated is answered again, and is no other.
    deliveries: BTreeSet<String>,
    /// Which REGISTER made the registration of each phone, as that was told last; none when it was told that it has none.
    registered: BTreeMap<&'static str, Option<u64>>,
    /// The last 200 to a REGISTER.
    answer: String,
}

impl Texts {
    pub fn new() -> Texts {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let own = socket.local_addr().unwrap();
        Texts {
            socket,
            own,
            open: BTreeMap::new(),
            number: 0,
            taken: BTreeSet::new(),
            come: BTreeSet::new(),
            reported: BTreeSet::new(),
            deliveries: BTreeSet::new(),
            registered: BTreeMap::new(),
            answer: String::new(),
        }
    }

    /// Both phones register, the one sends texts, and both answer what comes, until so much has come that it is time for a crash.
    pub fn exchange(&mut self, sip: SocketAddr, rng: &mut Rng) {
        // what the last run has not answered is lost with it
        self.open.clear();
        self.still_registered(sip);
        self.register(sip, "alice");
        self.register(sip, "bob");
        let count = 1 + rng.below(MOST_TEXTS);
        for _ in 0..count {
            self.submit(sip);
        }
        // each text has a 202 and an RP-ACK at least
        let last = rng.below(2 * count + 1);
        for _ in 0..last {
            self.take_one(sip);
        }
    }

    /// The one phone registers again, or goes: the last that it is told before the crash.
    pub fn last_word(&mut self, sip: SocketAddr, rng: &mut Rng) {
        match rng.below(3) {
            0 => self.unregister(sip, "alice"),
            _ => self.register(sip, "alice"),
        }
    }

    /// Registrations are as the phones were told.
    fn still_registered(&mut self, sip: SocketAddr) {
        for (name, told) in self.registered.clone() {
            self.ask(sip, name, "");
            let bound = self.answer.lines().filter(|line| line.starts_with("Contact: ")).collect::<Vec<_>>();
            match told {
                Some(number) => {
                    let mark = format!(";x-number={number};");
                    assert!(bound.len() == 1 && bound[0].contains(&mark), "{name} {told:?}: {bound:?}");
                }
                None => assert!(bound.is_empty(), "{name} has gone: {bound:?}"),
            }
        }
    }

    /// Takes what the program has said before it died.
    pub fn drain(&mut self) {
        self.socket.set_nonblocking(true).unwrap();
        let mut octets = [0; 8192];
        loop {
            match self.socket.recv_from(&mut octets) {
                Ok((length, from)) => self.on_datagram(from, &octets[..length]),
                // nobody listens where the last answers went
                Err(e) if e.kind() == ErrorKind::ConnectionRefused => {}
                Err(e) => break assert_eq!(e.kind(), ErrorKind::WouldBlock, "{e}"),
            }
        }
        self.socket.set_nonblocking(false).unwrap();
    }

    /// Everything that was taken comes.
    pub fn finish(&mut self, sip: SocketAddr) {
        self.open.clear();
        self.register(sip, "alice");
        self.register(sip, "bob");
        let deadline = Instant::now() + PATIENCE;
        while !self.taken.is_subset(&self.come) {
            let missing = || self.taken.difference(&self.come).collect::<Vec<_>>();
            assert!(Instant::now() < deadline, "texts {:?} were taken and never came", missing());
            self.take_one(sip);
        }
        // the loop was no idle one
        assert!(self.taken.len() > crate::CRASHES / 4, "{} texts were taken", self.taken.len());
    }

    fn register(&mut self, sip: SocketAddr, name: &'static str) {
        let number = self.number + 1;
        let contact = format!("<sip:{name}@{}>;+g.3gpp.smsip;x-number={number}", self.own);
        self.ask(sip, name, &format!("Contact: {contact}\r\nExpires: 3600\r\n"));
        self.registered.insert(name, Some(number));
    }

    fn unregister(&mut self, sip: SocketAddr, name: &'static str) {
        self.ask(sip, name, "Contact: *\r\nExpires: 0\r\n");
        self.registered.insert(name, None);
    }

    /// Sends a REGISTER and waits for its 200.
    fn ask(&mut self, sip: SocketAddr, name: &str, headers: &str) {
        let call_id =
            self.request(sip, About::Registration, "REGISTER", name, "sip:example.org", headers, &[]);
        while self.open.contains_key(&call_id) {
            self.take_one(sip);
        }
    }

    fn submit(&mut self, sip: SocketAddr) {
        let number = self.number + 1;
        let data = text::split(&format!("text {number}"), Reference::Eight(1)).unwrap().remove(0);
        let submit = Submit::new(number as u8, Address::of_digits(0x81, "602").unwrap(), data.view());
        let destination = Address::of_digits(0x91, "33609001390");
        let message = Rp::Data { originator: None, destination, user_data: &submit.to_vec() };
        let rpdu = Rpdu { direction: Direction::Up, reference: number as u8, message }.to_vec();
        let kind = "Content-Type: application/vnd.3gpp.sms\r\n";
        self.request(sip, About::Text(number), "MESSAGE", "alice", "tel:+33609001390", kind, &rpdu);
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of a request")]
    fn request(
        &mut self,
        sip: SocketAddr,
        about: About,
        method: &str,
        name: &str,
        uri: &str,
        headers: &str,
        body: &[u8],
    ) -> String {
        self.number += 1;
        let (n, own) = (self.number, self.own);
        let to = if method == "REGISTER" { format!("sip:{name}@example.org") } else { uri.to_owned() };
        let mut octets = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKt{n};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{name}@example.org>;tag={n}\r\nTo: <{to}>\r\nCall-ID: call{n}\r\nCSeq: {n} {method}\r\n{headers}\
             Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        octets.extend_from_slice(body);
        self.socket.send_to(&octets, sip).unwrap();
        let call_id = format!("call{n}");
        self.open.insert(call_id.clone(), (about, octets));
        call_id
    }

    /// Waits for the next datagram; what has no answer for a while is sent again.
    fn take_one(&mut self, sip: SocketAddr) {
        let deadline = Instant::now() + PATIENCE;
        self.socket.set_read_timeout(Some(AGAIN)).unwrap();
        let mut octets = [0; 8192];
        loop {
            match self.socket.recv_from(&mut octets) {
                Ok((length, from)) if from == sip => {
                    return self.on_datagram(from, &octets[..length]);
                }
                // of a run before
                Ok(_) => {}
                Err(_) if Instant::now() > deadline => {
                    panic!("nothing comes any more; open: {:?}", self.open.keys())
                }
                Err(_) => {
                    for (_, octets) in self.open.values() {
                        self.socket.send_to(octets, sip).unwrap();
                    }
                }
            }
        }
    }

    fn on_datagram(&mut self, from: SocketAddr, octets: &[u8]) {
        let end = octets.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(octets[..end].to_vec()).unwrap();
        if head.starts_with("SIP/2.0 ") {
            return self.on_response(&head);
        }
        assert!(head.starts_with("MESSAGE "), "{head}");
        let answer: String = ["Via", "From", "To", "Call-ID", "CSeq"]
            .map(|name| {
                let tag = if name == "To" { ";tag=phone" } else { "" };
                format!("{name}: {}{tag}\r\n", header(&head, name))
            })
            .concat();
        // a program that has died does not hear it
        let _ = self
            .socket
            .send_to(format!("SIP/2.0 200 OK\r\n{answer}Content-Length: 0\r\n\r\n").as_bytes(), from);
        let rpdu = Rpdu::parse(&octets[end..]).unwrap();
        match rpdu.message {
            Rp::Data { user_data, .. } => self.on_text(from, &head, rpdu.reference, user_data),
            Rp::Ack { .. } => {
                // it names the MESSAGE, and so does its reference in part
                let about = self.about(header(&head, "In-Reply-To"));
                if let Some(About::Text(number)) = about {
                    self.taken.insert(number);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn on_response(&mut self, head: &str) {
        let call_id = header(head, "Call-ID");
        let Some((about, _)) = self.open.get(call_id) else { return };
        let about = *about;
        assert!(head.starts_with("SIP/2.0 20"), "{about:?}: {head}");
        match about {
            About::Registration => self.answer = head.to_owned(),
            About::Text(number) => drop(self.taken.insert(number)),
            About::Report(number) => drop(self.reported.insert(number)),
        }
        self.open.remove(call_id);
    }

    /// What a request was about, whether it is answered or not: texts are numbered as their Call-IDs.
    fn about(&self, call_id: &str) -> Option<About> {
        let number = call_id.strip_prefix("call")?.parse().ok()?;
        Some(About::Text(number))
    }

    fn on_text(&mut self, from: SocketAddr, head: &str, reference: u8, tpdu: &[u8]) {
        let call_id = header(head, "Call-ID");
        if !self.deliveries.insert(call_id.to_owned()) {
            return;
        }
        let what = Deliver::parse(tpdu).unwrap().user_data.text().unwrap();
        let number: u64 = what.strip_prefix("text ").unwrap().parse().unwrap();
        assert!(!self.reported.contains(&number), "{what} came again, although its report was taken");
        self.come.insert(number);
        let report =
            Rpdu { direction: Direction::Up, reference, message: Rp::Ack { user_data: None } }.to_vec();
        let uri = header(head, "P-Asserted-Identity").trim_matches(['<', '>']).to_owned();
        let headers = format!("In-Reply-To: {call_id}\r\nContent-Type: application/vnd.3gpp.sms\r\n");
        self.request(from, About::Report(number), "MESSAGE", "bob", &uri, &headers, &report);
    }
}

/// The value of a header that is there once.
fn header<'h>(head: &'h str, name: &str) -> &'h str {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).unwrap_or_else(|| panic!("no {name} in\n{head}")).1
}
