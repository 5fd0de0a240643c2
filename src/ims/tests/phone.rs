//! A phone that registers: it keeps its Call-ID and CSeq and answers challenges.

use super::{DOMAIN, Lab, Sent, udp};
use crate::crypto::aka::{Sim, generate};
use crate::proto::flow::{ConnId, Flow, LocalId};
use crate::proto::sip::digest::{Algorithm, Inputs, Params, Protection, aka, digest_params, response};
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts phones, so that no two share a Call-ID and with it their branches.
static PHONES: AtomicU32 = AtomicU32::new(0);

/// How the phone proves itself.
#[derive(Clone)]
pub(super) enum Secret {
    Password(&'static str),
    Sim(Sim),
}

/// One phone.
pub(super) struct Phone {
    pub(super) username: String,
    pub(super) aor: String,
    pub(super) address: String,
    pub(super) secret: Secret,
    pub(super) contact: String,
    /// Header lines that every REGISTER carries besides.
    pub(super) extra: String,
    pub(super) tcp: bool,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    /// nc of the next answer; 0 answers in the form of RFC 2069.
    pub(super) nc: u32,
    /// The flow that it sends on, when that is not its address to the first socket.
    pub(super) over: Option<Flow>,
    /// qop of answers that have an nc.
    pub(super) qop: &'static str,
    /// The body of every request.
    pub(super) body: &'static str,
}

impl Phone {
    pub(super) fn alice() -> Phone {
        Phone::new("alice@ims.test", "sip:alice@ims.test", "10.0.0.1:5060", Secret::Password("secret"))
    }

    pub(super) fn new(username: &str, aor: &str, address: &str, secret: Secret) -> Phone {
        Phone {
            username: username.into(),
            aor: aor.into(),
            address: address.into(),
            secret,
            contact: format!("<sip:phone@{address}>"),
            extra: String::new(),
            tcp: false,
            call_id: format!("{}-{address}", PHONES.fetch_add(1, Ordering::Relaxed)),
            cseq: 0,
            nc: 0,
            over: None,
            qop: "auth",
            body: "",
        }
    }

    pub(super) fn flow(&self) -> Flow {
        if let Some(flow) = self.over {
            return flow;
        }
        let remote = self.address.parse().expect("an address");
        if self.tcp { Flow::tcp(LocalId(0), remote, Some(ConnId(9))) } else { udp(&self.address) }
    }

    /// A request of this phone, with a new branch and CSeq.
    pub(super) fn request(&mut self, method: &str, uri: &str, to: &str, headers: &str) -> String {
        self.cseq += 1;
        let Phone { address, aor, call_id, cseq, body, .. } = self;
        let length = body.len();
        let transport = if self.tcp { "TCP" } else { "UDP" };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} {address};branch=z9hG4bK{call_id}-{cseq};rport\r\n\
             Max-Forwards: 70\r\nFrom: <{aor}>;tag=f\r\nTo: <{to}>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             {headers}Content-Length: {length}\r\n\r\n{body}"
        )
    }

    /// A REGISTER with the phone's contact, unless there is none, and these headers.
    pub(super) fn register_text(&mut self, headers: &str) -> String {
        let contact = match self.contact.as_str() {
            "" => String::new(),
            contact => format!("Contact: {contact}\r\n"),
        };
        let headers = format!("{contact}{}{headers}", self.extra);
        self.request("REGISTER", &format!("sip:{DOMAIN}"), &self.aor.clone(), &headers)
    }

    /// Registers without credentials.
    pub(super) fn ask(&mut self, lab: &mut Lab, headers: &str) -> Sent {
        let text = self.register_text(headers);
        lab.ask(self.flow(), text)
    }

    /// Registers again with the answer to this challenge.
    pub(super) fn answer(&mut self, lab: &mut Lab, challenge: &Sent, headers: &str) -> Sent {
        let authorization = self.authorization(challenge, "REGISTER", &format!("sip:{DOMAIN}"));
        self.ask(lab, &format!("{authorization}{headers}"))
    }

    /// Registers, answering one challenge.
    pub(super) fn register(&mut self, lab: &mut Lab, headers: &str) -> Sent {
        let challenge = self.ask(lab, headers);
        assert!(matches!(challenge.status(), 401 | 407), "{}", challenge.text);
        self.answer(lab, &challenge, headers)
    }

    /// The header line that answers a challenge.
    pub(super) fn authorization(&self, challenge: &Sent, method: &str, uri: &str) -> String {
        let (value, header) = match challenge.status() {
            401 => (challenge.one("WWW-Authenticate"), "Authorization"),
            _ => (challenge.one("Proxy-Authenticate"), "Proxy-Authorization"),
        };
        let params = digest_params(value.as_bytes()).expect("digest");
        let (realm, nonce) = (param(params.clone(), "realm"), param(params.clone(), "nonce"));
        let algorithm = Algorithm::parse(param(params, "algorithm").as_bytes()).expect("an algorithm");
        let nc = format!("{:08x}", self.nc);
        let protection =
            (self.nc > 0).then_some(Protection { qop: self.qop.as_bytes(), nc: nc.as_bytes(), cnonce: b"c" });
        let password = self.password(algorithm, &nonce);
        let response = response(&Inputs {
            algorithm,
            username: self.username.as_bytes(),
            realm: realm.as_bytes(),
            password: &password,
            nonce: nonce.as_bytes(),
            method: method.as_bytes(),
            uri: uri.as_bytes(),
            body: self.body.as_bytes(),
            protection,
        });
        let counted = match self.nc {
            0 => String::new(),
            _ => format!(",qop={},nc={nc},cnonce=\"c\"", self.qop),
        };
        format!(
            "{header}: Digest username=\"{}\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"{uri}\",response=\"{response}\",\
             algorithm={}{counted}\r\n",
            self.username,
            algorithm.name()
        )
    }

    fn password(&self, algorithm: Algorithm, nonce: &str) -> Vec<u8> {
        match &self.secret {
            Secret::Password(password) => password.as_bytes().to_vec(),
            Secret::Sim(sim) => {
                let (rand, _) = aka::parse_nonce(nonce.as_bytes()).expect("RAND and AUTN");
                // RES does not depend on SQN
                aka::password(algorithm, &generate(sim, &rand, 0)).expect("an AKA algorithm").to_vec()
            }
        }
    }
}

pub(super) fn param(mut params: Params<'_>, name: &str) -> String {
    let found = params.find(|p| p.name.eq_ignore_ascii_case(name.as_bytes()));
    String::from_utf8(found.unwrap_or_else(|| panic!("no {name}")).value.to_vec()).expect("text")
}
