//! A whole core with phones, without sockets: what time and memory its inputs take is counted, what the phones do is not.

use imsbox::base::rng::Rng;
use imsbox::base::time::{Duration, Instant, UnixTime};
use imsbox::base::trace::Silent;
use imsbox::config::model::{AuthentType, Config, Impu, OperatorCode, Sim, SimAlgo, SipSocket, User};
use imsbox::crypto::aka;
use imsbox::ims::auth::policy;
use imsbox::ims::core::Core;
use imsbox::proto::cx::Cx;
use imsbox::proto::flow::{Flow, LocalId};
use imsbox::proto::outbox::{Outbox, Output};
use imsbox::proto::sip::digest::{self, Algorithm, Credentials, Inputs};
use imsbox::wire::sip::{HeaderId, Index, Message};
use platform::counting::Counting;
use std::net::SocketAddr;

/// The home domain.
pub const DOMAIN: &str = "ims.mnc001.mcc001.3gppnetwork.org";

/// What inputs took.
#[derive(Clone, Copy, Default, Debug)]
pub struct Spent {
    /// Wall-clock time.
    pub nanos: u64,
    /// Allocations.
    pub allocations: u64,
}

/// A message that the core sent.
#[derive(Debug)]
pub struct Sent {
    /// Where to.
    pub to: SocketAddr,
    /// What.
    pub octets: Vec<u8>,
}

/// The core and its surroundings.
pub struct Stage {
    /// The core.
    pub core: Core,
    /// The virtual time.
    pub now: Instant,
    /// What the inputs took up to now.
    pub spent: Spent,
    rng: Rng,
    out: Outbox,
    sent: Vec<Sent>,
    number: u64,
}

/// The address of a user's phone.
pub fn address(user: usize) -> SocketAddr {
    SocketAddr::from(([10, 45, (user >> 8) as u8, user as u8], 5060))
}

fn user(number: usize, authent_type: AuthentType) -> User {
    let imsi = format!("00101{number:010}");
    let word = |n: u128| n.to_be_bytes();
    let op = OperatorCode::Op(word(0xdbc5_9adc_b6f9_a0ef_7354_77b7_fadf_8374));
    let algo =
        SimAlgo::Milenage { op, r: [64, 0, 32, 64, 96], c: [word(0), word(1), word(2), word(4), word(8)] };
    let k = word(0xfec8_6ba6_eb70_7ed0_8905_757b_1bb4_4b8f).to_vec();
    User {
        impi: format!("{imsi}@{DOMAIN}"),
        domain: DOMAIN.to_owned(),
        impus: vec![Impu::new(format!("sip:{imsi}@{DOMAIN}")), Impu::new(format!("tel:+336{number:08}"))],
        password: Some("secret".to_owned()),
        sim: Some(Sim {
            algo,
            k,
            amf: [0x90, 0x01],
            sqn: 0,
            force_sqn_resync: false,
            res_len: 8,
            unused: Vec::new(),
        }),
        authent_type,
        auth_on_register_only: true,
        imsi,
        ..User::default()
    }
}

impl Stage {
    /// A core with these many users and the echo number 666. The users have the password `secret` and a SIM of 3GPP TS 35.207
    /// test set 3; `authent_type` says what is asked of them.
    pub fn new(users: usize, authent_type: AuthentType) -> Stage {
        let config = Config {
            sip: vec![SipSocket::new([127, 0, 0, 1].into(), 5060)],
            users: (0..users).map(|n| user(n, authent_type)).collect(),
            echo: vec![Impu::new("tel:666")],
            ..Config::default()
        };
        let mut rng = Rng::from_seed(1);
        let core = Core::new(config, &mut rng);
        let (out, spent, now) = (Outbox::new(), Spent::default(), Instant::from_nanos(1_000_000_000));
        Stage { core, now, spent, rng, out, sent: Vec::new(), number: 0 }
    }

    /// Gives the core one input and keeps what it sends; ports that it asks for are opened.
    fn input(&mut self, act: &mut dyn FnMut(&mut Core, &mut Cx<'_>)) {
        let wall = UnixTime::from_micros(1_700_000_000_000_000) + self.now.since(Instant::ZERO);
        let mut cx = Cx { now: self.now, wall, rng: &mut self.rng, out: &mut self.out, sink: &mut Silent };
        let (start, before) = (std::time::Instant::now(), Counting::allocations());
        act(&mut self.core, &mut cx);
        self.spent.allocations += Counting::allocations() - before;
        self.spent.nanos += start.elapsed().as_nanos() as u64;
        let (mut ports, mut stored) = (Vec::new(), None);
        for item in self.out.items() {
            match item {
                Output::Send { flow, range, .. } => {
                    self.sent.push(Sent { to: flow.remote, octets: self.out.bytes(range).to_vec() });
                }
                Output::OpenMedia { session, .. } => ports.push(*session),
                Output::Persist { ticket, .. } => stored = Some(*ticket),
                _ => {}
            }
        }
        self.out.clear();
        if let Some(ticket) = stored {
            self.input(&mut |core, cx| core.on_durable(cx, ticket));
        }
        for session in ports {
            self.input(&mut |core, cx| core.on_media_opened(cx, session, true));
        }
    }

    /// A phone sends a message.
    pub fn send(&mut self, from: usize, octets: &[u8]) {
        let flow = Flow::udp(LocalId(0), address(from));
        self.input(&mut |core, cx| core.on_sip(cx, flow, octets));
    }

    /// The messages that were sent since the last time this was asked, in order.
    pub fn take(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    /// The next message, which goes to the phone of this user.
    pub fn next(&mut self, to: usize) -> Vec<u8> {
        assert!(!self.sent.is_empty(), "nothing was sent to user {to}");
        let sent = self.sent.remove(0);
        assert_eq!(sent.to, address(to), "{}", String::from_utf8_lossy(&sent.octets));
        sent.octets
    }

    /// The next message, which must be this response or request to this user.
    pub fn expect(&mut self, to: usize, start: &str) -> Vec<u8> {
        let octets = self.next(to);
        assert!(octets.starts_with(start.as_bytes()), "{start}, not {}", String::from_utf8_lossy(&octets));
        octets
    }

    /// Lets time pass, and does what is due on the way.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.core.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(&mut Core::tick);
        }
        self.now = end;
    }

    /// A number that was not there before, for branches and Call-IDs.
    pub fn fresh(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// A REGISTER as a phone sends it, with a header line of credentials or none.
    pub fn register_text(&mut self, user: usize, call: u64, cseq: u32, authorization: &str) -> Vec<u8> {
        let (at, branch) = (address(user), self.fresh());
        let me = format!("001010{user:09}");
        format!(
            "REGISTER sip:{DOMAIN} SIP/2.0\r\nTo: <sip:{me}@{DOMAIN}>\r\nFrom: <sip:{me}@{DOMAIN}>;tag=W8dcb{call}\r\n\
             Contact: <sip:{me}@{at}>;+sip.instance=\"<urn:gsma:imei:86130905-{user:06}-0>\";+g.3gpp.accesstype=\"cellular2\";\
             audio;video;+g.3gpp.smsip;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"\r\nExpires: 600000\r\n\
             P-Access-Network-Info: 3GPP-NR-TDD;utran-cell-id-3gpp=00101003132000134001\r\nSupported: path\r\n\
             Allow: INVITE,ACK,OPTIONS,BYE,CANCEL,UPDATE,PRACK,NOTIFY,MESSAGE,REFER\r\n{authorization}\
             Call-ID: Z7dcb95rP{call}@10.45.0.112\r\nCSeq: {cseq} REGISTER\r\nMax-Forwards: 70\r\n\
             Via: SIP/2.0/UDP {at};branch=z9hG4bKX9dcbT3{branch};rport\r\nUser-Agent: IM-client/OMA1.0 HW-Rto/V1.0\r\n\
             Content-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }

    /// Registers a user: the first REGISTER, its challenge, the second one and its 200, or just one if nothing is asked.
    pub fn register(&mut self, user: usize, authent_type: AuthentType) {
        let impi = format!("001010{user:09}@{DOMAIN}");
        let call = self.fresh();
        if authent_type == AuthentType::None {
            let text = self.register_text(user, call, 1, "");
            self.send(user, &text);
            self.expect(user, "SIP/2.0 200");
            return;
        }
        let empty = format!(
            "Authorization: Digest username=\"{impi}\",realm=\"{DOMAIN}\",uri=\"sip:{DOMAIN}\",nonce=\"\",response=\"\"\r\n"
        );
        let text = self.register_text(user, call, 1, &empty);
        self.send(user, &text);
        let challenge = self.expect(user, "SIP/2.0 401");
        let authorization = authorization(&impi, &challenge, authent_type);
        let text = self.register_text(user, call, 2, &authorization);
        self.send(user, &text);
        self.expect(user, "SIP/2.0 200");
    }
}

/// The value of a header of a message.
pub fn header(octets: &[u8], id: HeaderId) -> String {
    let mut index = Index::new();
    let message = Message::parse(octets, &mut index).expect("what the core sends parses");
    String::from_utf8_lossy(message.header(id).unwrap_or_default()).into_owned()
}

/// The header line that answers a challenge.
fn authorization(impi: &str, challenge: &[u8], authent_type: AuthentType) -> String {
    let value = header(challenge, HeaderId::WwwAuthenticate);
    // a challenge and credentials have the same form
    let asked = Credentials::parse(value.as_bytes()).expect("a digest challenge");
    let algorithm = asked.algorithm.unwrap_or(Algorithm::Md5);
    let password = match authent_type {
        AuthentType::AkaV1 => {
            let (rand, _) = digest::aka::parse_nonce(asked.nonce).expect("RAND and AUTN");
            let sim = user(0, authent_type).sim.expect("each user has one");
            digest::aka::password(
                algorithm,
                &aka::generate(&policy::sim(&sim).expect("a whole SIM"), &rand, 0),
            )
            .expect("an AKA algorithm")
            .to_vec()
        }
        _ => b"secret".to_vec(),
    };
    let uri = format!("sip:{DOMAIN}");
    let response = digest::response(&Inputs {
        algorithm,
        username: impi.as_bytes(),
        realm: asked.realm,
        password: &password,
        nonce: asked.nonce,
        method: b"REGISTER",
        uri: uri.as_bytes(),
        body: b"",
        protection: None,
    });
    let text = |octets| std::str::from_utf8(octets).expect("ASCII");
    format!(
        "Authorization: Digest username=\"{impi}\",realm=\"{}\",nonce=\"{}\",uri=\"{uri}\",response=\"{response}\",algorithm={}\r\n",
        text(asked.realm),
        text(asked.nonce),
        algorithm.name(),
    )
}
