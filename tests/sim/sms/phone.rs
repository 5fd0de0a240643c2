//! A phone that takes short messages over IMS: it repeats its requests, and knows a request that comes again.

use crate::text::Text;
use imsbox::base::time::{Duration, Instant};
use std::collections::HashMap;
use std::net::SocketAddr;

/// Timers E and F of a phone.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const TIMER_F: Duration = Duration::from_secs(32);

/// A request without an answer yet.
struct Try {
    branch: String,
    is_register: bool,
    octets: Vec<u8>,
    next: Instant,
    wait: Duration,
    until: Instant,
}

pub struct Phone {
    pub user: usize,
    pub addr: SocketAddr,
    pub imsi: String,
    pub has_ims: bool,
    pub has_sgs: bool,
    /// A client that takes and sends texts as they are.
    pub is_soft: bool,
    pub is_registered: bool,
    /// It has told the centre that it has no room.
    pub is_full: bool,
    /// Nobody answers its pages.
    pub is_silent: bool,
    /// Texts that it has sent, each with a reference of its own.
    pub sent: u8,
    /// The identifier of its last transaction over SGs.
    pub ti: u8,
    number: u64,
    tries: Vec<Try>,
    /// Its answers, by branch.
    answers: HashMap<String, Option<Vec<u8>>>,
}

impl Phone {
    pub fn new(user: usize, has_ims: bool, has_sgs: bool) -> Phone {
        Phone {
            user,
            addr: SocketAddr::from(([192, 0, 2, 1 + user as u8], 5060)),
            imsi: format!("0010100000000{user:02}"),
            has_ims,
            has_sgs,
            is_soft: false,
            is_registered: false,
            is_full: false,
            is_silent: false,
            sent: 0,
            ti: 0,
            number: 0,
            tries: Vec::new(),
            answers: HashMap::new(),
        }
    }

    /// Whether its user has a SIM: those who can be reached, but for soft clients.
    pub fn has_card(&self) -> bool {
        (self.has_ims || self.has_sgs) && !self.is_soft
    }

    /// The REGISTER with which it comes or goes.
    pub fn register(&mut self, now: Instant, comes: bool) -> Vec<u8> {
        self.is_registered = comes;
        self.tries.retain(|t| !t.is_register);
        let (addr, user) = (self.addr, self.user);
        let expires = if comes { 3600 } else { 0 };
        let feature = if self.is_soft { "" } else { ";+g.3gpp.smsip" };
        let contact = format!("Contact: <sip:u{user}@{addr}>{feature}\r\nExpires: {expires}\r\n");
        self.request(now, "REGISTER", "sip:ims.test", &format!("reg{user}"), &contact, b"").1
    }

    /// A MESSAGE with an RPDU: its Call-ID, and itself.
    pub fn message(&mut self, now: Instant, in_reply_to: Option<&str>, rpdu: &[u8]) -> (String, Vec<u8>) {
        let reply = in_reply_to.map_or(String::new(), |id| format!("In-Reply-To: {id}\r\n"));
        let headers = format!("{reply}Content-Type: application/vnd.3gpp.sms\r\n");
        let call_id = format!("m{}.{}", self.user, self.number);
        self.request(now, "MESSAGE", "tel:+33609001390", &call_id, &headers, rpdu)
    }

    /// A MESSAGE with a text for a user: its Call-ID, and itself.
    pub fn plain(&mut self, now: Instant, to: usize, text: &str) -> (String, Vec<u8>) {
        let call_id = format!("m{}.{}", self.user, self.number);
        let (uri, headers) = (format!("sip:u{to}@ims.test"), "Content-Type: text/plain\r\n");
        self.request(now, "MESSAGE", &uri, &call_id, headers, text.as_bytes())
    }

    fn request(
        &mut self,
        now: Instant,
        method: &str,
        uri: &str,
        call_id: &str,
        headers: &str,
        body: &[u8],
    ) -> (String, Vec<u8>) {
        self.number += 1;
        let (addr, user, n) = (self.addr, self.user, self.number);
        let branch = format!("z9hG4bKp{user}.{n}");
        let to = if method == "REGISTER" { format!("sip:u{user}@ims.test") } else { uri.to_owned() };
        let head = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch={branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:u{user}@ims.test>;tag=f{n}\r\nTo: <{to}>\r\nCall-ID: {call_id}\r\nCSeq: {n} {method}\r\n\
             {headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let octets = [head.as_bytes(), body].concat();
        let is_register = method == "REGISTER";
        let (next, until) = (now + T1, now + TIMER_F);
        self.tries.push(Try { branch, is_register, octets: octets.clone(), next, wait: T1, until });
        (call_id.to_owned(), octets)
    }

    /// Its answer to this very request, if it has seen it before: none where it does not answer.
    pub fn known(&self, request: &Text) -> Option<Option<Vec<u8>>> {
        self.answers.get(request.branch()).cloned()
    }

    /// Answers a request, or decides not to.
    pub fn answer(&mut self, request: &Text, status: Option<u16>) -> Option<Vec<u8>> {
        let line = |name| format!("{name}: {}\r\n", request.get(name));
        let octets = status.map(|status| {
            let copied = [line("Via"), line("From")].concat();
            let rest = [line("Call-ID"), line("CSeq")].concat();
            let (to, user) = (request.get("To"), self.user);
            format!(
                "SIP/2.0 {status} Says\r\n{copied}To: {to};tag=t{user}\r\n{rest}Content-Length: 0\r\n\r\n"
            )
            .into_bytes()
        });
        self.answers.insert(request.branch().to_owned(), octets.clone());
        octets
    }

    pub fn on_response(&mut self, response: &Text) {
        if response.code() >= 200 {
            self.tries.retain(|t| t.branch != response.branch());
        }
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.tries.iter().map(|t| t.next).min()
    }

    /// What is to be repeated now.
    pub fn tick(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.tries.retain(|t| t.until > now);
        let mut again = Vec::new();
        for t in self.tries.iter_mut().filter(|t| t.next <= now) {
            again.push(t.octets.clone());
            t.wait = (t.wait * 2).min(T2);
            t.next = now + t.wait;
        }
        again
    }
}
