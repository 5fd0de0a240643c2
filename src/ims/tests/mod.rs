//! Narrated scenarios through the core's face: raw SIP text in, raw SIP text out, a clock that the test turns.

mod acknowledgement;
mod attempt;
mod auth;
mod auth_limit;
mod auth_qop;
mod auth_sim;
mod auth_sqn;
mod disk_challenge;
mod dispatch;
mod echo_numbers;
mod emergency;
mod hostile;
mod ipsec;
mod ipsec_calls;
mod ipsec_hostile;
mod ipsec_strangers;
mod loss;
mod phone;
mod reauthenticate;
mod reg_event;
mod register;
mod restore;
mod restore_ipsec;
mod subscribe;
pub(in crate::ims) mod tree;
mod watcher;

use crate::base::rng::Rng;
use crate::base::time::{Duration, Instant, UnixTime};
use crate::base::trace::{Layer, Level, Record, Sink};
use crate::config::model::{AuthentType, Config, Impu, OperatorCode, Sim, SimAlgo, SipSocket, User};
use crate::ims::core::Core;
use crate::ims::disk::Condition;
use crate::proto::cx::Cx;
use crate::proto::flow::{Flow, LocalId};
use crate::proto::outbox::{Outbox, Output};
use crate::proto::sgsap::AssociationId;

/// The realm of the test users.
pub(super) const DOMAIN: &str = "ims.test";

/// 3GPP TS 35.207 test set 3.
pub(super) const K: [u8; 16] = 0xfec86ba6eb707ed08905757b1bb44b8fu128.to_be_bytes();
/// Its OP.
pub(super) const OP: [u8; 16] = 0xdbc59adcb6f9a0ef735477b7fadf8374u128.to_be_bytes();

/// Keeps the lines of the log.
#[derive(Default)]
pub(super) struct Lines(pub(super) Vec<(Level, String)>);

impl Sink for Lines {
    fn wants(&self, layer: Layer, _: Level) -> bool {
        layer == Layer::Ims
    }
    fn record(&mut self, record: &Record<'_>) {
        self.0.push((record.level, record.text.to_string()));
    }
}

/// A core and its world.
pub(super) struct Lab {
    pub(super) core: Core,
    pub(super) now: Instant,
    pub(super) wall: UnixTime,
    rng: Rng,
    out: Outbox,
    pub(super) log: Lines,
    /// Records of the state file, as the core asked for them.
    pub(super) records: std::collections::BTreeMap<String, String>,
    /// What the disk held after each commit, for tests that let the program die after one.
    pub(super) commits: Option<Vec<std::collections::BTreeMap<String, String>>>,
    /// Whether the disk takes records at once, as it does unless a test makes it late.
    pub(super) disk: DiskPace,
    pub(super) exited: bool,
    /// The outbox's tag of the message that was sent last.
    pub(super) last_tag: u64,
    /// What the core wants the kernel to do about security associations, until a test takes it.
    pub(super) kernel: Vec<Output>,
    /// Media sessions whose ports the core wants opened, until a test opens them.
    pub(super) ports: Vec<u64>,
    /// What the core sent to MMEs, until a test takes it.
    pub(super) to_mmes: Vec<(AssociationId, Vec<u8>)>,
}

/// When the disk takes records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::ims) enum DiskPace {
    /// With the input that asks for it.
    AtOnce,
    /// When the test says [`Lab::sync`].
    Late,
}

/// A message that the core sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) flow: Flow,
    pub(super) text: String,
    /// What follows the empty line, as it is.
    pub(super) body: Vec<u8>,
}

impl Sent {
    pub(super) fn status(&self) -> u16 {
        let code = self.text.strip_prefix("SIP/2.0 ").and_then(|t| t.get(..3));
        code.and_then(|c| c.parse().ok()).unwrap_or_else(|| panic!("no response: {}", self.text))
    }

    /// The values of a header, in order.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.text.lines().take_while(|l| !l.is_empty());
        let fields = lines.filter_map(|l| l.split_once(": "));
        fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// The value of a header that must be there once.
    pub(super) fn one(&self, name: &str) -> &str {
        match self.all(name)[..] {
            [value] => value,
            ref other => panic!("{name} {} times in\n{}", other.len(), self.text),
        }
    }
}

impl Lab {
    pub(super) fn new(config: Config) -> Lab {
        Lab::with_core(|rng| Core::new(config, rng))
    }

    pub(super) fn with_core(make: impl FnOnce(&mut Rng) -> Core) -> Lab {
        let mut rng = Rng::from_seed(1);
        Lab {
            core: make(&mut rng),
            now: Instant::from_nanos(1_000_000_000),
            wall: UnixTime::from_micros(1_700_000_000_000_000),
            rng,
            out: Outbox::new(),
            log: Lines::default(),
            records: Default::default(),
            commits: None,
            disk: DiskPace::AtOnce,
            exited: false,
            last_tag: 0,
            kernel: Vec::new(),
            ports: Vec::new(),
            to_mmes: Vec::new(),
        }
    }

    pub(super) fn with<R>(&mut self, act: impl FnOnce(&mut Core, &mut Cx<'_>) -> R) -> (R, Vec<Sent>) {
        let before = self.out.last_ticket();
        let (result, mut sent) = self.turn(act);
        if self.disk == DiskPace::AtOnce && self.out.last_ticket() > before {
            sent.extend(self.sync());
        }
        (result, sent)
    }

    /// Everything is on the disk; gives what the core sent for it.
    pub(super) fn sync(&mut self) -> Vec<Sent> {
        let ticket = self.out.last_ticket();
        if let Some(commits) = &mut self.commits {
            commits.push(self.records.clone());
        }
        self.with(|core, cx| core.on_durable(cx, ticket)).1
    }

    /// The disk refuses, or takes records again; gives what the core sent for it. A disk that refuses is one that is late.
    pub(super) fn on_storage(&mut self, condition: Condition) -> Vec<Sent> {
        self.disk = match condition {
            Condition::Refuses(_) => DiskPace::Late,
            Condition::Well => DiskPace::AtOnce,
        };
        self.with(|core, cx| core.on_storage(cx, condition)).1
    }

    fn turn<R>(&mut self, act: impl FnOnce(&mut Core, &mut Cx<'_>) -> R) -> (R, Vec<Sent>) {
        let mut cx = Cx {
            now: self.now,
            wall: self.wall,
            rng: &mut self.rng,
            out: &mut self.out,
            sink: &mut self.log,
        };
        let result = act(&mut self.core, &mut cx);
        let mut sent = Vec::new();
        for item in self.out.items() {
            match item {
                Output::Send { flow, range, tag } => {
                    self.last_tag = *tag;
                    let octets = self.out.bytes(range);
                    let text = String::from_utf8_lossy(octets).into_owned();
                    let head = memchr::memmem::find(octets, b"\r\n\r\n").map_or(octets.len(), |at| at + 4);
                    sent.push(Sent { flow: *flow, text, body: octets[head..].to_vec() });
                }
                Output::Persist { key, value: Some(value), .. } => {
                    drop(self.records.insert(key.clone(), value.clone()))
                }
                Output::Persist { key, value: None, .. } => drop(self.records.remove(key)),
                Output::InstallSas(_)
                | Output::RestoreSas { .. }
                | Output::ExtendSas { .. }
                | Output::RemoveSas { .. } => {
                    self.kernel.push(item.clone());
                }
                Output::OpenMedia { session, .. } => self.ports.push(*session),
                Output::SendSgs { association, range, .. } => {
                    self.to_mmes.push((*association, self.out.bytes(range).to_vec()));
                }
                Output::Exit => self.exited = true,
                _ => {}
            }
        }
        self.out.clear();
        (result, sent)
    }

    /// Hands in one message; gives what the core sent for it.
    pub(super) fn on_sip(&mut self, flow: Flow, text: impl AsRef<[u8]>) -> Vec<Sent> {
        self.with(|core, cx| core.on_sip(cx, flow, text.as_ref())).1
    }

    /// Hands in one message that must get one answer.
    pub(super) fn ask(&mut self, flow: Flow, text: impl AsRef<[u8]>) -> Sent {
        let mut sent = self.on_sip(flow, text.as_ref());
        assert_eq!(sent.len(), 1, "{}\ngot {sent:?}", String::from_utf8_lossy(text.as_ref()));
        sent.remove(0)
    }

    /// Lets time pass, running what is due on the way, at its time.
    pub(super) fn pass(&mut self, time: Duration) -> Vec<Sent> {
        let end = self.now + time;
        let mut sent = Vec::new();
        while let Some(at) = self.core.next_deadline().filter(|at| *at <= end) {
            self.advance_to(at.max(self.now));
            sent.extend(self.with(|core, cx| core.tick(cx)).1);
        }
        self.advance_to(end);
        sent
    }

    fn advance_to(&mut self, at: Instant) {
        self.wall = self.wall + at.since(self.now);
        self.now = at;
    }

    /// Whether a line of the log holds all of `words`.
    pub(super) fn logged(&self, words: &[&str]) -> bool {
        self.log.0.iter().any(|(_, line)| words.iter().all(|w| line.contains(w)))
    }

    /// The lines of this level.
    pub(super) fn lines(&self, level: Level) -> Vec<&str> {
        self.log.0.iter().filter(|(l, _)| *l == level).map(|(_, line)| line.as_str()).collect()
    }
}

pub(super) fn udp(remote: &str) -> Flow {
    Flow::udp(LocalId(0), remote.parse().expect("an address"))
}

/// A Milenage SIM with OP.
pub(super) fn sim(op: OperatorCode) -> Sim {
    let c = |n: u128| n.to_be_bytes();
    let algo = SimAlgo::Milenage { op, r: [64, 0, 32, 64, 96], c: [c(0), c(1), c(2), c(4), c(8)] };
    Sim {
        algo,
        k: K.to_vec(),
        amf: [0x90, 0x01],
        sqn: 0,
        force_sqn_resync: false,
        res_len: 8,
        unused: Vec::new(),
    }
}

/// alice with a password, bob with a SIM, and whom the echo number lets in; on one socket.
pub(super) fn config() -> Config {
    let alice = User {
        impi: "alice@ims.test".into(),
        domain: DOMAIN.into(),
        password: Some("secret".into()),
        authent_type: AuthentType::Md5,
        impus: vec![Impu::new("sip:alice@ims.test"), Impu::new("tel:+33600000001")],
        auth_on_register_only: true,
        ..User::default()
    };
    let imsi = "001010123456789";
    let mut barred = Impu::new(format!("sip:{imsi}@{DOMAIN}"));
    barred.barred = true;
    let bob = User {
        imsi: imsi.into(),
        impi: format!("{imsi}@{DOMAIN}"),
        domain: DOMAIN.into(),
        sim: Some(sim(OperatorCode::Op(OP))),
        authent_type: AuthentType::AkaV1,
        impus: vec![Impu::new("tel:0600000002"), barred],
        auth_on_register_only: true,
        ..User::default()
    };
    Config {
        sip: vec![SipSocket::new("10.0.0.254".parse().expect("an address"), 5060)],
        echo: vec![Impu::new("tel:666")],
        users: vec![alice, bob],
        ..Config::default()
    }
}
