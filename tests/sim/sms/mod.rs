//! Short messages: the whole core, phones on IMS over a lossy network, on SGs behind a model MME, or on both, a disk that is late and
//! refuses, and crashes. A seed draws everything.

mod act;
mod full;
mod law;
#[path = "../../support/mme.rs"]
#[allow(dead_code, reason = "tests of the wire use the rest")]
mod mme;
mod phone;
mod take;

use crate::net::{Arrival, Faults, Net};
use crate::text::Text;
use crate::world::{Disk, DiskNews};
use full::{Reason, Shelf};
use imsbox::base::rng::Rng;
use imsbox::base::time::{Duration, Instant, UnixTime};
use imsbox::base::trace::{Layer, Level, Record, Sink};
use imsbox::config::model::{AuthentType, Config, Impu, SipSocket, User};
use imsbox::crypto::hex;
use imsbox::ims::core::Core;
use imsbox::ims::disk::Condition;
use imsbox::ims::sms::OrderId;
use imsbox::ims::sms::limits::Limits;
use imsbox::proto::cx::Cx;
use imsbox::proto::flow::{Flow, LocalId};
use imsbox::proto::outbox::{Outbox, Output};
use imsbox::proto::sgsap::AssociationId;
use imsbox::wire::gsm::Deliver;
use law::Law;
use mme::Mme;
use phone::Phone;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

/// When the faults end, when everybody leaves, and when nothing may be left.
const FAULTS_END: u64 = 600;
const LEAVE: u64 = 3000;
const QUIET: u64 = 2 * 86_400;
/// Far more than any run has.
const MAX_TURNS: u64 = 100_000;
const EXPIRES: Duration = Duration::from_secs(900);

/// What happened, over all seeds.
#[derive(Debug, Default)]
struct Seen {
    acknowledged: usize,
    taken: usize,
    over_sgs: usize,
    expired: usize,
    refused: usize,
    put_off: usize,
    aside: usize,
    /// Repetitions as transfers of their own, and status reports.
    anew: usize,
    statuses: usize,
    twice: usize,
    crashes: usize,
    losses: usize,
    resets: usize,
    /// By [`Reason`].
    turned_away: BTreeMap<u8, usize>,
    plain_turned_away: usize,
    operator_turned_away: usize,
}

/// The last lines of the log, and those that nobody has looked at.
#[derive(Default)]
struct Log {
    tail: VecDeque<String>,
    news: Vec<String>,
}

impl Sink for Log {
    fn wants(&self, _: Layer, level: Level) -> bool {
        level <= Level::Info
    }

    fn record(&mut self, record: &Record<'_>) {
        if self.tail.len() == 60 && std::env::var("SIM_SEED").is_err() {
            self.tail.pop_front();
        }
        self.tail.push_back(format!("{:.3} {}", record.at.as_micros() as f64 / 1e6, record.text));
        self.news.push(record.text.to_string());
    }
}

struct Sim {
    now: Instant,
    rng: Rng,
    core_rng: Rng,
    core: Core,
    out: Outbox,
    log: Log,
    net: Net,
    disk: Disk,
    news: VecDeque<(Instant, DiskNews)>,
    /// Records on their way to the disk, and those on it.
    pending: VecDeque<(u64, String, Option<String>)>,
    stored: BTreeMap<String, String>,
    phones: Vec<Phone>,
    mme: Mme,
    association: Option<AssociationId>,
    associations: u64,
    /// The association that the core has closed.
    closed: Option<AssociationId>,
    to_mme: VecDeque<Vec<u8>>,
    /// Texts that a phone on SGs has acknowledged, with the ticket after which that lasts.
    sgs_reports: Vec<(u64, usize)>,
    epoch: u64,
    law: Law,
    shelf: Shelf,
    ordered: BTreeMap<OrderId, usize>,
    limits: Limits,
    /// Of each phone.
    most_texts: u8,
    faults_end: u64,
    /// How often people look after their phones when nothing is wrong any more.
    pace: usize,
    /// The texts of submissions and of reports, by the Call-ID of their MESSAGE.
    asked: HashMap<String, usize>,
    reported: HashMap<String, usize>,
    /// Call-IDs of what has been sent: what comes again is no news.
    offered: HashSet<String>,
    /// When a sender asks again.
    again: Vec<(Instant, usize)>,
    is_perfect: bool,
    is_kind: bool,
    seen: Seen,
}

fn config(phones: &[Phone]) -> Config {
    let user = |p: &Phone| User {
        impi: format!("u{}@ims.test", p.user),
        domain: "ims.test".to_owned(),
        imsi: p.imsi.clone(),
        impus: vec![
            Impu::new(format!("sip:u{}@ims.test", p.user)),
            Impu::new(format!("tel:+3360000000{}", p.user)),
        ],
        sim: p.has_card().then(full::card),
        authent_type: AuthentType::None,
        auth_on_register_only: true,
        ..User::default()
    };
    let mut config = Config {
        sip: vec![SipSocket::new("198.51.100.1".parse().expect("an address"), 5060)],
        sgs: Some("127.0.0.1:29118".parse().expect("an address")),
        users: phones.iter().map(user).collect(),
        ..Config::default()
    };
    config.sms.expires = EXPIRES;
    config.sms.retry_delay = Duration::from_secs(20);
    config
}

/// The text of a record, which has its number for words; none of a status report.
fn text_of(value: &str) -> Option<usize> {
    let octets = value.split_once("\"tpdu\":\"")?.1.split('"').next()?;
    let octets = hex::decode::<256>(octets.as_bytes())?.to_vec();
    Deliver::parse(&octets).ok()?.user_data.text()?.parse().ok()
}

impl Sim {
    fn new(seed: u64) -> Sim {
        let mut rng = Rng::from_seed(seed);
        let is_perfect = seed.is_multiple_of(8);
        let mut up_to = |most| if is_perfect || rng.below(3) == 0 { 0 } else { rng.below(most) };
        let faults = Faults {
            loss: up_to(350),
            duplication: up_to(300),
            reordering: up_to(400),
            disk_late: up_to(400),
            disk_refuses: up_to(100),
            ..Faults::none()
        };
        // on IMS, on SGs, on both, and one who is never there
        let ways = [(true, false), (true, false), (false, true), (true, true), (true, true), (false, false)];
        let phones: Vec<_> = ways.iter().enumerate().map(|(n, way)| Phone::new(n, way.0, way.1)).collect();
        let mut core_rng = Rng::from_seed(seed.wrapping_mul(31) + 1);
        Sim {
            now: Instant::ZERO,
            rng,
            core: Core::new(config(&phones), &mut core_rng),
            core_rng,
            out: Outbox::new(),
            log: Log::default(),
            net: Net::new(faults),
            disk: Disk::new(seed),
            news: VecDeque::new(),
            pending: VecDeque::new(),
            stored: BTreeMap::new(),
            phones,
            mme: Mme::new("mmec01.mmegi8001.mme.epc.mnc001.mcc001.3gppnetwork.org"),
            association: None,
            associations: 0,
            closed: None,
            to_mme: VecDeque::new(),
            sgs_reports: Vec::new(),
            epoch: 0,
            law: Law::default(),
            shelf: Shelf::default(),
            ordered: BTreeMap::new(),
            limits: Limits::default(),
            most_texts: 40,
            faults_end: FAULTS_END,
            pace: 60,
            asked: HashMap::new(),
            reported: HashMap::new(),
            offered: HashSet::new(),
            again: Vec::new(),
            is_perfect,
            is_kind: is_perfect,
            seen: Seen::default(),
        }
    }

    /// The same with limits that are reached, and a soft client instead of the one who is never there.
    fn in_excess(seed: u64) -> Sim {
        let mut sim = Sim::new(seed);
        sim.limits = full::small(seed);
        (sim.most_texts, sim.faults_end, sim.pace) = (200, FAULTS_END / 2, 150);
        let soft = sim.phones.last_mut().expect("there are phones");
        (soft.has_ims, soft.is_soft) = (true, true);
        sim.core = Core::new(config(&sim.phones), &mut sim.core_rng);
        sim.core.set_sms_limits(sim.limits);
        sim
    }

    fn run(&mut self, act: fn(&mut Sim)) {
        let second = Duration::from_secs(1);
        let mut act_at = Instant::ZERO;
        let at = |secs: u64| Instant::ZERO + second * secs as u32;
        while act_at < at(self.faults_end) {
            self.live_until(act_at);
            act(self);
            act_at = act_at + Duration::from_millis(self.rng.below(8000));
        }
        self.net.faults = Faults::none();
        self.is_kind = true;
        for secs in (self.faults_end + 10..LEAVE).step_by(self.pace) {
            self.live_until(at(secs));
            self.everybody_is_there();
        }
        self.live_until(at(LEAVE));
        if self.phones.iter().any(|p| p.is_soft) {
            self.there_is_room_again();
        }
        self.law.at_the_end(self.is_perfect);
        self.everybody_leaves();
        self.live_until(at(LEAVE + 1000 + QUIET));
        self.nothing_is_left();
    }

    /// Lets time pass.
    fn live_until(&mut self, end: Instant) {
        for turn in 0.. {
            assert!(
                turn < MAX_TURNS,
                "it goes on and on: {:?}, {:?}",
                self.core.next_deadline(),
                self.core.load()
            );
            let phones = self.phones.iter().filter_map(Phone::next_deadline).min();
            let again = self.again.iter().map(|(at, _)| *at).min();
            let news = self.news.front().map(|(at, _)| *at);
            let all = [self.net.next(), self.core.next_deadline(), phones, again, news];
            let Some(next) = all.into_iter().flatten().min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.turn();
        }
        self.now = end;
    }

    fn turn(&mut self) {
        while self.news.front().is_some_and(|(at, _)| *at <= self.now) {
            let (_, news) = self.news.pop_front().expect("it was seen");
            self.disk_tells(&news);
        }
        while let Some(arrival) = self.net.pop(self.now) {
            match arrival {
                Arrival::AtServer { phone, octets, .. } => self.at_server(phone, &octets),
                Arrival::AtPhone { phone, octets, .. } => self.at_phone(phone, &octets),
                other => panic!("nothing else travels here: {other:?}"),
            }
        }
        for p in 0..self.phones.len() {
            for octets in self.phones[p].tick(self.now) {
                self.leaves(p, octets);
            }
        }
        while let Some(at) = self.again.iter().position(|(at, _)| *at <= self.now) {
            let (_, n) = self.again.swap_remove(at);
            self.submit_again(n);
        }
        if self.core.next_deadline().is_some_and(|at| at <= self.now) {
            self.with_core(|core, cx| core.tick(cx));
        }
        let load = self.core.load();
        assert_eq!(load.sms, self.shelf.len(), "each text has its record: {:?}", self.shelf);
        assert!(load.sms_promises == 0 || self.shelf.is_late(), "the disk has what is waited for: {load:?}");
    }

    /// Gives the core one input, and the MME what comes of it.
    fn with_core(&mut self, input: impl FnOnce(&mut Core, &mut Cx<'_>)) {
        self.one_input(input);
        while let Some(octets) = self.to_mme.pop_front() {
            self.at_mme(&octets);
        }
    }

    fn one_input(&mut self, input: impl FnOnce(&mut Core, &mut Cx<'_>)) {
        let wall = UnixTime::from_micros(1_800_000_000_000_000 + (self.now.as_nanos() / 1000) as i64);
        self.shelf.begin(self.core.load().sms_promises);
        let (rng, out, sink) = (&mut self.core_rng, &mut self.out, &mut self.log);
        input(&mut self.core, &mut Cx { now: self.now, wall, rng, out, sink });
        let out = std::mem::take(&mut self.out);
        for output in out.items() {
            self.carry_out(output, &out);
        }
        self.out = out;
        self.out.clear();
        self.orders_are_answered();
        self.read_log();
        self.news.extend(self.disk.work(self.now, &self.net.faults));
    }

    fn carry_out(&mut self, output: &Output, out: &Outbox) {
        match output {
            Output::Send { flow, range, .. } => {
                let phone =
                    self.phones.iter().position(|p| p.addr == flow.remote).expect("somebody is there");
                let octets = out.bytes(range).to_vec();
                self.core_sends(&octets);
                let arrival = Arrival::AtPhone { phone, octets, esp: None };
                self.net.datagram(self.now, &mut self.rng, arrival);
            }
            Output::Persist { ticket, key, value } => {
                self.disk.put(*ticket);
                self.shelf.on_put(self.now, *ticket, key, value.as_deref(), &self.limits);
                if let Some(n) = value.as_deref().filter(|_| key.starts_with("sms/")).and_then(text_of) {
                    self.law.records.insert(key.clone(), n);
                }
                self.pending.push_back((*ticket, key.clone(), value.clone()));
            }
            Output::SendSgs { association, range, .. } if Some(*association) == self.association => {
                self.core_sends_mme(out.bytes(range));
                self.to_mme.push_back(out.bytes(range).to_vec());
            }
            Output::SendSgs { .. } => {}
            Output::CloseSgs(association) => self.closed = Some(*association),
            other => panic!("no such thing is asked for here: {other:?}"),
        }
    }

    fn read_log(&mut self) {
        for line in std::mem::take(&mut self.log.news) {
            let number =
                line.strip_prefix("SMS ").and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
            let key = number.map(|number| format!("sms/{number:016x}"));
            let text = key.and_then(|key| self.law.records.get(&key).copied());
            if let Some(n) = text.filter(|_| line.contains("given up: it is too old")) {
                self.law.on_expired(self.now, n);
            }
        }
    }

    fn disk_tells(&mut self, news: &DiskNews) {
        match news {
            DiskNews::Durable(ticket) => {
                let ticket = *ticket;
                self.write_until(ticket);
                self.with_core(|core, cx| core.on_durable(cx, ticket));
            }
            DiskNews::Refuses => {
                self.shelf.refuses = true;
                let full = Condition::Refuses("no space left on device".to_owned());
                self.with_core(|core, cx| core.on_storage(cx, full));
            }
            DiskNews::Well => {
                self.shelf.refuses = false;
                self.with_core(|core, cx| core.on_storage(cx, Condition::Well));
            }
        }
    }

    /// The records up to this one are on the disk.
    fn write_until(&mut self, ticket: u64) {
        self.shelf.on_durable(ticket);
        while self.pending.front().is_some_and(|(t, ..)| *t <= ticket) {
            let (_, key, value) = self.pending.pop_front().expect("it was seen");
            if key.starts_with("sms/") {
                let text = value.as_deref().and_then(text_of);
                self.law.on_stored(&key, text);
            }
            match value {
                Some(value) => _ = self.stored.insert(key, value),
                None => _ = self.stored.remove(&key),
            }
        }
        for (_, n) in self.sgs_reports.extract_if(.., |(last, _)| *last <= ticket) {
            // a report that came too late binds nobody
            if !self.law.on_disk.values().any(|other| *other == n) {
                self.law.on_settled(self.now, n);
            }
        }
    }

    fn leaves(&mut self, phone: usize, octets: Vec<u8>) {
        let arrival = Arrival::AtServer { phone, conn: 0, octets, esp: None };
        self.net.datagram(self.now, &mut self.rng, arrival);
    }

    fn at_server(&mut self, phone: usize, octets: &[u8]) {
        if let Some(n) = self.asked.get(split(octets).0.get("Call-ID")) {
            self.law.texts[*n].epochs.insert(self.epoch);
        }
        let flow = Flow::udp(LocalId(0), self.phones[phone].addr);
        self.with_core(|core, cx| core.on_sip(cx, flow, octets));
    }

    /// Everybody has gone for two days: nothing is left of anything.
    fn nothing_is_left(&self) {
        let load = self.core.load();
        let left =
            (load.sms, load.messages, load.server_transactions, load.client_transactions, load.bindings);
        assert_eq!(left, (0, 0, 0, 0, 0), "something is left");
        assert_eq!(self.core.next_deadline(), None, "a timer is left");
        let records: Vec<_> = self.stored.keys().filter(|key| key.starts_with("sms/")).collect();
        assert!(records.is_empty() && self.pending.is_empty(), "records are left: {records:?}");
        assert!(
            self.phones.iter().all(|p| self.core.sgs_view(&p.imsi).is_none()),
            "a phone is left attached"
        );
    }
}

/// The head of a message, and its body.
fn split(octets: &[u8]) -> (Text, &[u8]) {
    let end = octets.windows(4).position(|w| w == b"\r\n\r\n").expect("an empty line") + 4;
    (Text::read(&octets[..end]), &octets[end..])
}

/// Runs all seeds; what happened.
fn run_all(test: &str, new: fn(u64) -> Sim, act: fn(&mut Sim)) -> Seen {
    let mut total = Seen::default();
    for seed in crate::seeds() {
        let mut sim = new(seed);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sim.run(act)));
        if let Err(panic) = result {
            sim.log.tail.iter().for_each(|line| eprintln!("  {line}"));
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or(panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default();
            let replay = format!("SIM_SEED={seed} cargo test --test sim {test}");
            panic!("seed {seed} at {:?}: {words}; replay: {replay}", sim.now);
        }
        sim.count(&mut total);
    }
    println!("{total:?}");
    total
}

#[test]
fn short_messages_arrive_whatever_happens_to_phones_networks_disk_and_core() {
    let total = run_all("short_messages_arrive", Sim::new, Sim::act);
    if crate::seeds().len() >= 64 {
        let Seen {
            acknowledged,
            taken,
            over_sgs,
            expired,
            refused,
            put_off,
            aside,
            anew,
            statuses,
            twice,
            crashes,
            losses,
            resets,
            ..
        } = total;
        assert!(acknowledged > 1000 && taken > 1000 && over_sgs > 200, "{total:?}");
        assert!(expired > 100 && refused > 20 && put_off > 50 && twice > 5, "{total:?}");
        assert!(aside > 10 && anew > 15 && statuses > 100, "{total:?}");
        assert!(crashes > 100 && losses > 100 && resets > 20, "{total:?}");
    }
}

#[test]
fn whom_a_full_queue_turns_away_is_told_so_and_the_others_texts_arrive() {
    let total = run_all("whom_a_full_queue", Sim::in_excess, Sim::act_in_excess);
    if crate::seeds().len() >= 64 {
        let of = |reason: Reason| total.turned_away.get(&(reason as u8)).copied().unwrap_or(0);
        assert!(of(Reason::User) > 300 && of(Reason::All) > 300, "{total:?}");
        assert!(of(Reason::Promises) > 4 && of(Reason::Disk) > 20, "{total:?}");
        assert!(total.plain_turned_away > 30 && total.operator_turned_away > 200, "{total:?}");
        assert!(total.acknowledged > 1000 && total.taken > 1000 && total.crashes > 20, "{total:?}");
    }
}
