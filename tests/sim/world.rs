//! One run: the core, the phones, the network and the clock.

mod cast;
mod disk;
mod ipsec;
mod need;
mod outcome;
mod outside;

use crate::check::Checks;
use crate::kernel::{Esp, Kernel};
pub use crate::net::Faults;
use crate::net::{Arrival, Net};
use crate::phone::{DOMAIN, Habits, Order, Phone, Plan, Sealed, Wants};
use crate::text::{Text, bracketed};
pub use disk::{Disk, DiskNews};
use imsbox::base::rng::Rng;
use imsbox::base::time::{Duration, Instant, UnixTime};
use imsbox::base::trace::{Layer, Level, Record, Sink};
use imsbox::ims::core::Core;
use imsbox::ims::load::Load;
use imsbox::ims::security::Ability;
use imsbox::proto::cx::Cx;
use imsbox::proto::flow::{ConnId, Flow, LocalId, Transport};
use imsbox::proto::locals::Locals;
use imsbox::proto::media::table::{DropReason, PacketVerdict};
use imsbox::proto::outbox::{Outbox, Output};
use imsbox::proto::sip::sec_agree::Suite;
pub use outcome::Outcome;
pub use outside::Decision;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;

/// When the network becomes perfect, and when the phones leave.
const FAULTS_END: u64 = 500;
const LEAVE: u64 = 900;
/// The longest that anything may be left behind: a registration, and then some.
const QUIET: Duration = Duration::from_secs(86_400);

/// Far more than any run has: something is due again and again, and time all but stands still.
const MAX_TURNS: u64 = 1_000_000;

/// The last trace lines, printed when a run fails.
#[derive(Default)]
struct Tail(VecDeque<String>);

impl Sink for Tail {
    fn wants(&self, _: Layer, level: Level) -> bool {
        level <= Level::Info
    }

    fn record(&mut self, record: &Record<'_>) {
        if self.0.len() == 80 {
            self.0.pop_front();
        }
        let seconds = record.at.as_micros() as f64 / 1e6;
        self.0.push_back(format!(
            "{seconds:.3} [{}] {:?} {:?} {}",
            record.layer.tag(),
            record.dir,
            record.subject,
            record.text
        ));
    }
}

/// A phone, and both protected ends.
type Way = (usize, Option<(SocketAddr, SocketAddr)>);

pub struct World {
    seed: u64,
    verbose: bool,
    now: Instant,
    rng: Rng,
    core_rng: Rng,
    core: Core,
    out: Outbox,
    tail: Tail,
    net: Net,
    phones: Vec<Phone>,
    checks: Checks,
    /// The connections that are open, by phone, and the protected ends that they have: ours first.
    conns: BTreeMap<Way, u64>,
    next_conn: u64,
    /// Open port pairs: the RTP port, its session.
    ports: HashMap<(LocalId, u16), u64>,
    /// What could not be sent.
    failed: Vec<(Flow, u64)>,
    outcome: Outcome,
    left: bool,
    locals: Locals,
    kernel: Kernel,
    /// Nothing goes wrong in this run.
    is_perfect: bool,
    /// What phones sent through IPsec, for who reads it.
    overheard: VecDeque<(usize, String)>,
    /// A phone that is out of reach, and until when.
    cut: (usize, Instant),
    policy: outside::PolicyServer,
    /// The dialogs whose audio the operator does not let pass.
    blocked: BTreeSet<u32>,
    disk: disk::Disk,
}

impl World {
    pub fn new(seed: u64, faults: Faults, verbose: bool) -> Self {
        let mut phones = cast::phones(seed);
        let locals = ipsec::locals();
        let ability = Ability { locals: locals.clone(), suites: Suite::all().collect(), lack: None };
        if faults.is_none() {
            let desk = phones.iter_mut().find(|p| p.name == "desk").expect("there is one");
            desk.watch_without_refresh();
        }
        let is_perfect = faults.is_none() && faults.kernel_late == 0;
        let mut core_rng = Rng::from_seed(seed.wrapping_mul(31));
        let mut world = World {
            seed,
            verbose,
            now: Instant::ZERO,
            rng: Rng::from_seed(seed),
            core: Core::with_ability(cast::config(seed, &phones), ability, &mut core_rng),
            core_rng,
            out: Outbox::new(),
            tail: Tail::default(),
            net: Net::new(faults),
            phones,
            checks: Checks::default(),
            conns: BTreeMap::new(),
            next_conn: 0,
            ports: HashMap::new(),
            failed: Vec::new(),
            outcome: Outcome::default(),
            left: false,
            locals,
            kernel: Kernel::default(),
            is_perfect,
            overheard: VecDeque::new(),
            cut: (0, Instant::ZERO),
            policy: outside::PolicyServer::default(),
            blocked: BTreeSet::new(),
            disk: disk::Disk::new(seed),
        };
        if Self::has_policy_server(seed) {
            world.core.set_policy_server(imsbox::ims::policy::Server::External);
        }
        world
    }

    /// Runs to the end of all activity and says what happened; panics with the seed and the last trace lines.
    pub fn run(mut self) -> Outcome {
        let seed = self.seed;
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.live();
            self.nothing_is_left();
        }));
        if let Err(panic) = result {
            eprintln!(
                "seed {seed} at {:?}; replay: SIM_SEED={seed} cargo test --test sim -- --nocapture",
                self.now
            );
            self.tail.0.iter().for_each(|line| eprintln!("  {line}"));
            std::panic::resume_unwind(panic);
        }
        let mut outcome = self.outcome;
        for phone in &self.phones {
            outcome.registered += phone.seen.registered;
            outcome.answered += phone.seen.answered;
            outcome.refused += phone.seen.refused;
            outcome.cancelled += phone.seen.cancelled;
            outcome.timed_out += phone.seen.timed_out;
            outcome.subscribed += phone.seen.subscribed;
            outcome.notified += phone.seen.notified;
            outcome.unnotified += phone.seen.unnotified;
            outcome.missed += phone.missed_versions();
            outcome.pracked += phone.seen.pracked;
            outcome.told += phone.seen.told;
            outcome.moves += phone.seen.moves;
            outcome.early_updates += phone.seen.early_updates;
            outcome.odd += phone.seen.odd;
            outcome.deaf += phone.seen.deaf;
            outcome.refreshed += phone.seen.refreshed;
            outcome.was_refreshed += phone.seen.was_refreshed;
            outcome.expired += phone.seen.expired;
            outcome.called_back += phone.seen.called_back;
            outcome.sent_elsewhere += phone.seen.sent_elsewhere;
            outcome.trunked += if phone.is_peer() { phone.calls() } else { 0 };
            outcome.crashed += phone.seen.crashed;
            outcome.unacknowledged += phone.seen.unacknowledged;
            outcome.texted += phone.seen.texted;
            outcome.echoed += phone.seen.echoed;
            outcome.shielded += phone.seen.shielded;
            outcome.renewed += phone.seen.renewed;
            outcome.refusals += if phone.is_bad() { 0 } else { phone.seen.refusals };
            let broken = [phone.broken_plans(), phone.broken_texts()].concat();
            if self.verbose {
                broken.iter().for_each(|b| eprintln!("{b}"));
            }
            outcome.failed += broken.len() as u64;
        }
        outcome.late = self.kernel.late;
        outcome.denied = self.kernel.refused;
        outcome.lost_sets = self.kernel.lost;
        outcome.unreadable = self.kernel.unreadable;
        outcome.lost = self.net.lost;
        outcome.duplicated = self.net.duplicated;
        outcome
    }

    fn live(&mut self) {
        let mut work: VecDeque<Instant> = self.schedule();
        for phone in self.phones.iter_mut().filter(|p| p.name != "away" && p.registers()) {
            let delay = Duration::from_millis(self.rng.below(3000));
            phone.start_registering(Instant::ZERO + delay);
        }
        let leave = Instant::ZERO + Duration::from_secs(LEAVE);
        let end = leave + QUIET;
        let mut turns = 0;
        loop {
            turns += 1;
            assert!(
                turns < MAX_TURNS,
                "it goes on and on: {:?}, {:?}",
                self.core.next_deadline(),
                self.core.load()
            );
            let phones = self.phones.iter().filter_map(Phone::next_deadline).min();
            let leaving = (!self.left).then_some(leave);
            let candidates = [
                phones,
                self.net.next(),
                self.core.next_deadline(),
                work.front().copied(),
                leaving,
                self.kernel.next(),
            ];
            let Some(next) = candidates.into_iter().flatten().min() else { break };
            assert!(
                next <= end,
                "something is still under way a day after the phones have left: core {:?}, {:?}, {:?}",
                candidates[2],
                self.core.load(),
                self.core.dialog_views(self.now)
            );
            self.now = self.now.max(next);
            if self.now >= Instant::ZERO + Duration::from_secs(FAULTS_END) {
                self.net.faults = Faults::none();
            }
            if work.front().is_some_and(|at| *at <= self.now) {
                work.pop_front();
                self.act();
                self.call_for_help();
                self.text();
                self.meddle();
                self.forge();
            }
            if !self.left && self.now >= leave {
                self.leave();
            }
            self.kernel_tells();
            self.deliver();
            self.tick();
            while let Some((flow, tag)) = self.failed.pop() {
                self.with_core(|core, cx| core.on_send_failed(cx, flow, tag));
            }
        }
    }

    fn leave(&mut self) {
        let want = self.phones.iter().filter(|p| p.name != "away");
        let silent: Vec<_> = want.filter(|p| p.is_silent()).map(|p| p.name.clone()).collect();
        assert!(silent.is_empty(), "not registered long after the faults have ended: {silent:?}");
        self.watchers_know_everything();
        self.sets_are_held();
        self.left = true;
        self.phones.iter_mut().filter(|p| p.name != "away").for_each(|p| p.leave(self.now));
    }

    /// Long after the faults have ended every phone that subscribes knows who is registered: what the phones themselves say.
    fn watchers_know_everything(&self) {
        for phone in self.phones.iter().filter(|p| p.is_watching() && p.is_registered()) {
            // TS 24.229 5.4.2.1.2: of emergency registrations nobody is told
            let is_listed = |p: &&Phone| p.user == phone.user && p.is_registered() && !p.is_in_need();
            let of_user = self.phones.iter().filter(is_listed);
            let mut expected: Vec<_> =
                of_user.map(|p| (bracketed(&p.contact()).to_owned(), "active".to_owned())).collect();
            expected.sort();
            let known =
                phone.known_contacts().unwrap_or_else(|| panic!("{} has no subscription", phone.name));
            assert_eq!(known.len(), 2, "{}: both identities are listed", phone.name);
            for (identity, contacts) in known {
                // what has gone was told, and is still in the document that told it
                let mut active: Vec<_> = contacts.iter().filter(|c| c.1 == "active").cloned().collect();
                active.sort();
                assert_eq!(active, expected, "{} knows something else of {identity}", phone.name);
            }
        }
    }

    fn schedule(&mut self) -> VecDeque<Instant> {
        let mut at: Vec<u64> = (0..38).map(|_| 20_000 + self.rng.below((FAULTS_END - 20) * 1000)).collect();
        at.sort_unstable();
        at.into_iter().map(|ms| Instant::ZERO + Duration::from_millis(ms)).collect()
    }

    /// Does one thing that people do with phones.
    fn act(&mut self) {
        if self.rng.below(5) == 0 {
            let pad = self.phones.iter_mut().find(|p| p.name == "pad").expect("there is one");
            return pad.toggle(self.now);
        }
        let users = self.phones.iter().filter(|p| p.name.starts_with('u')).count() as u64;
        let caller = match self.phones.iter().position(Phone::is_peer) {
            Some(peer) if self.rng.below(6) == 0 => peer,
            _ => self.rng.below(users) as usize,
        };
        let callee = (caller + 1 + self.rng.below(users - 1) as usize) % users as usize;
        let to = match self.rng.below(12) {
            0 | 1 => "tel:666".to_owned(),
            2 => "sip:404@".to_owned() + DOMAIN,
            3 => "sip:away@".to_owned() + DOMAIN,
            4 | 5 => format!("tel:{}", 100 + callee),
            6 => format!("sip:{}@{DOMAIN};user=phone", 100 + callee),
            7 => format!("sip:duo@{DOMAIN}"),
            8 if self.has_trunk() && !self.phones[caller].is_peer() => "tel:+49-30-1234".to_owned(),
            _ => format!("sip:{}@{DOMAIN}", self.phones[callee].name),
        };
        if self.phones[caller].is_registered() || self.phones[caller].is_peer() {
            let order = self.order(&to);
            let mut want = Wants::default();
            self.phones[caller].call(self.now, order, &mut want);
            self.carry(caller, want);
        }
    }

    pub(super) fn has_trunk(&self) -> bool {
        self.phones.iter().any(Phone::is_peer)
    }

    fn order<'a>(&mut self, to: &'a str) -> Order<'a> {
        let rng = &mut self.rng;
        let plan = match rng.below(8) {
            0 => Plan::Reject(486),
            1 => Plan::Reject(603),
            2 | 3 => Plan::Ring,
            _ => Plan::Answer(Duration::from_millis(rng.below(8000))),
        };
        let cancel = match plan {
            Plan::Ring if rng.below(3) != 0 => Some(Duration::from_millis(rng.below(9000))),
            // half of them at the very moment of the answer
            Plan::Answer(after) if rng.below(4) == 0 => Some(match rng.below(2) {
                0 => after + Duration::from_millis(rng.below(150)),
                _ => Duration::from_millis(rng.below(9000)),
            }),
            _ => None,
        };
        let cancel = cancel.filter(|_| !to.contains("666"));
        // some talk so long that sessions are refreshed
        let talk = Duration::from_secs(2 + if rng.below(3) == 0 { rng.below(300) } else { rng.below(60) });
        Order { to, plan, cancel, talk, habits: Habits::drawn(rng, talk), help: None }
    }

    /// Lets somebody send a text: to another, to himself, to the user with two phones, to nobody.
    fn text(&mut self) {
        let senders = self.phones.iter().filter(|p| p.name.starts_with('u')).count() as u64;
        let sender = self.rng.below(senders) as usize;
        let to = match self.rng.below(10) {
            0 => "tel:666".to_owned(),
            1 => format!("sip:404@{DOMAIN}"),
            2 => format!("sip:away@{DOMAIN}"),
            3 | 4 => format!("sip:duo@{DOMAIN}"),
            _ => format!("tel:{}", 100 + self.rng.below(senders)),
        };
        let reply = [200, 200, 200, 486, 0][self.rng.below(5) as usize];
        if self.phones[sender].is_registered() {
            let mut want = Wants::default();
            self.phones[sender].text(self.now, &to, reply, &mut want);
            self.carry(sender, want);
        }
    }

    /// Each dialog belongs to a ladder, whose messages are in order and go from or to us.
    fn ladders_are_sound(&self) {
        for dialog in self.core.dialog_views(self.now) {
            let ladder = self.core.ladder(dialog.index).expect("each dialog has a ladder");
            let us = ladder.parties.iter().position(|p| p == "imsbox").expect("we take part");
            assert!(ladder.steps.is_sorted_by(|a, b| a.at <= b.at), "out of order: {ladder:#?}");
            for (from, to) in ladder.steps.iter().filter_map(|s| s.ends) {
                let known = from.max(to) < ladder.parties.len();
                assert!(known && from != to && (from == us || to == us), "{from} to {to}: {ladder:#?}");
            }
            // a call of the network waits for its ports first, and its phone may have gone by then
            let is_of_network = dialog.kind == "mt_call";
            let begins =
                |text: &str| text.starts_with("INVITE") || is_of_network && text.starts_with("stop: ");
            assert!(ladder.steps.first().is_none_or(|first| begins(&first.text)), "{ladder:#?}");
        }
    }

    /// Lets a phone crash, or the operator end a call.
    fn meddle(&mut self) {
        self.ladders_are_sound();
        if self.rng.below(1000) < self.net.faults.crash {
            let phone = self.somebody();
            let down = Duration::from_millis(1000 + self.rng.below(30_000));
            self.phones[phone].crash(self.now, down);
            self.close(|way| way.0 == phone);
        }
        if self.rng.below(1000) < self.net.faults.cut {
            self.cut = (self.somebody(), self.now + Duration::from_millis(500 + self.rng.below(60_000)));
            self.outcome.cut += 1;
        }
        self.operate();
        self.network_calls();
    }

    /// A phone: mostly one that is in a call, if there is one.
    fn somebody(&mut self) -> usize {
        let talking: Vec<usize> = (0..self.phones.len()).filter(|p| self.phones[*p].is_talking()).collect();
        match self.rng.below(3) {
            1 | 2 if !talking.is_empty() => talking[self.rng.below(talking.len() as u64) as usize],
            _ => self.rng.below(self.phones.len() as u64 - 1) as usize,
        }
    }

    /// Until when a phone is out of reach: a datagram is lost meanwhile, a stream is late.
    fn cut_until(&self, phone: usize) -> Option<Instant> {
        let (who, until) = self.cut;
        (who == phone && until > self.now && !self.net.faults.is_none()).then_some(until)
    }

    fn deliver(&mut self) {
        while let Some(arrival) = self.net.pop(self.now) {
            match arrival {
                Arrival::AtPhone { phone, esp, .. } if !self.phones[phone].opens(self.now, esp.as_ref()) => {}
                Arrival::AtServer { esp: Some(esp), .. } if !self.kernel.lets_in(&esp) => {}
                Arrival::AtPhone { phone, octets, .. } => {
                    let mut want = Wants::default();
                    self.phones[phone].on_message(self.now, &octets, &mut want);
                    self.carry(phone, want);
                }
                Arrival::Forged { from, octets } => {
                    let flow = Flow::udp(LocalId(u8::from(from.is_ipv6())), from);
                    self.with_core(|core, cx| core.on_sip(cx, flow, &octets));
                }
                Arrival::AtServer { phone, conn, octets, esp } => {
                    let flow = self.flow(phone, conn, esp.as_ref());
                    self.show(&octets, "->", phone);
                    self.checks.core_got(&octets);
                    self.with_core(|core, cx| core.on_sip(cx, flow, &octets));
                }
                Arrival::Disk(news) => self.disk_tells(news),
                Arrival::Bearers { session, decision } => self.bearers(session, decision),
                Arrival::MediaOpened { session, ok } => self.media_opened(session, ok),
                Arrival::Closed { conn } => {
                    self.with_core(|core, cx| core.on_stream_closed(cx, ConnId(conn)))
                }
            }
        }
    }

    fn media_opened(&mut self, session: u64, ok: bool) {
        if !ok {
            // what could not be opened is not closed either
            self.ports.retain(|_, s| *s != session);
        }
        self.with_core(|core, cx| core.on_media_opened(cx, session, ok));
    }

    fn tick(&mut self) {
        for index in 0..self.phones.len() {
            if self.phones[index].next_deadline().is_some_and(|at| at <= self.now) {
                let mut want = Wants::default();
                self.phones[index].on_tick(self.now, &mut want);
                self.carry(index, want);
            }
        }
        // what a tick starts may be due at once, as the end of a transaction over TCP is; but that ends
        let mut ticks = 0;
        while let Some(due) = self.core.next_deadline().filter(|at| *at <= self.now) {
            ticks += 1;
            assert!(ticks < 4, "a timer of {due:?} is still due after its tick");
            self.with_core(|core, cx| core.tick(cx));
        }
    }

    /// Sends what a phone wants to send.
    fn carry(&mut self, phone: usize, want: Wants) {
        for octets in want.messages {
            match self.phones[phone].seal(&octets) {
                Sealed::Dropped => {}
                Sealed::Clear(from) => {
                    self.checks.phone_sent(&octets, from);
                    self.put(phone, octets, None);
                }
                Sealed::Esp(esp, answers_to, agreed) => {
                    self.checks.phone_sent(&octets, answers_to);
                    let octets = ipsec::with_agreement(octets, &agreed);
                    self.overhear(phone, &octets);
                    self.put(phone, octets, Some(esp));
                }
            }
        }
        for to in want.packets {
            self.media(phone, to);
        }
    }

    fn put(&mut self, phone: usize, octets: String, esp: Option<Esp>) {
        let octets = octets.into_bytes();
        let until = self.cut_until(phone);
        if !self.phones[phone].tcp && until.is_some() {
            return self.net.lost += 1;
        }
        if !self.phones[phone].tcp {
            let arrival = Arrival::AtServer { phone, conn: 0, octets, esp };
            return self.net.datagram(self.now, &mut self.rng, arrival);
        }
        let way = (phone, esp.as_ref().map(|esp| (esp.to, esp.from)));
        let conn = self.connection(way);
        self.net.stream(until.unwrap_or(self.now), Arrival::AtServer { phone, conn, octets, esp });
        if self.rng.below(1000) < self.net.faults.reset {
            self.close(|other| *other == way);
        }
    }

    fn close(&mut self, is_it: impl Fn(&Way) -> bool) {
        let (now, net) = (self.now, &mut self.net);
        self.conns.retain(|way, conn| {
            let closes = is_it(way);
            if closes {
                net.stream(now, Arrival::Closed { conn: *conn });
            }
            !closes
        });
    }

    /// One RTP packet to an echo port must come back, and one to a port of a relay must go to a phone of the other family.
    fn media(&mut self, phone: usize, to: SocketAddr) {
        let is_v4 = self.phones[phone].addr.is_ipv4();
        assert_eq!(to.is_ipv4(), is_v4, "{} was told {to}, which it cannot reach", self.phones[phone].name);
        let local = LocalId(u8::from(to.is_ipv6()));
        let Some(&session) = self.ports.get(&(local, to.port())) else { return };
        let from = SocketAddr::new(self.phones[phone].addr.ip(), 4000);
        let packet = [0x80, 8, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 0x55, 0x55];
        let verdict = self.core.media_mut().on_packet(self.now, session, false, from, &packet);
        match verdict {
            PacketVerdict::Send { session: by, rtcp: false, to } if by == session && to == from => {
                self.outcome.echo_packets += 1
            }
            PacketVerdict::Send { session: by, rtcp: false, to } if by != session => {
                let is_phone = self.phones.iter().any(|p| p.addr.ip() == to.ip());
                assert!(is_phone && to.is_ipv4() != is_v4, "an RTP packet from {from} was relayed to {to}");
                self.outcome.relayed_packets += 1;
            }
            // the other side holds, or is not there yet
            _ if !self.phones[phone].expects_echo(to) => {}
            PacketVerdict::Drop(DropReason::Blocked) if self.is_blocked(phone) => {}
            other => assert!(self.net.faults.loss > 0, "an RTP packet was not echoed: {other:?}"),
        }
    }

    fn connection(&mut self, way: Way) -> u64 {
        let next = &mut self.next_conn;
        *self.conns.entry(way).or_insert_with(|| {
            *next += 1;
            *next
        })
    }

    fn flow(&self, phone: usize, conn: u64, esp: Option<&Esp>) -> Flow {
        let (local, addr) = match esp {
            Some(esp) => (ipsec::local_at(&self.locals, esp.to), esp.from),
            None => {
                let addr = self.phones[phone].clear_addr();
                (LocalId(u8::from(addr.is_ipv6())), addr)
            }
        };
        match conn {
            0 => Flow::udp(local, addr),
            conn => Flow::tcp(local, addr, Some(ConnId(conn))),
        }
    }

    /// Gives the core one input and carries out what it wants.
    fn with_core(&mut self, input: impl FnOnce(&mut Core, &mut Cx<'_>)) {
        let wall = UnixTime::from_micros(1_800_000_000_000_000 + (self.now.as_nanos() / 1000) as i64);
        let (rng, out, sink) = (&mut self.core_rng, &mut self.out, &mut self.tail);
        input(&mut self.core, &mut Cx { now: self.now, wall, rng, out, sink });
        let out = std::mem::take(&mut self.out);
        for output in out.items() {
            self.carry_out(output, &out);
        }
        self.out = out;
        self.out.clear();
        self.ask_policy_server();
        self.run_disk();
    }

    fn carry_out(&mut self, output: &Output, out: &Outbox) {
        match output {
            Output::Send { flow, range, tag } => self.send(*flow, out.bytes(range), *tag),
            Output::OpenMedia { session, local, port } => {
                let taken = self.ports.insert((*local, *port), *session);
                assert!(taken.is_none() && port % 2 == 0, "port {port} opened twice, or odd");
                let ok = self.rng.below(1000) >= self.net.faults.media_refused;
                let at = self.now + Duration::from_millis(self.rng.below(50));
                self.net.at(at, Arrival::MediaOpened { session: *session, ok });
            }
            Output::CloseMedia { session, local, port } => {
                assert_eq!(
                    self.ports.remove(&(*local, *port)),
                    Some(*session),
                    "port {port} closed, but not open"
                );
            }
            Output::GiveUpConnecting(_) => {} // connections are up at once
            Output::CloseStream(conn) => self.conns.retain(|_, c| *c != conn.0),
            Output::SendMedia { .. } => {}
            Output::Persist { ticket, .. } => self.disk.put(*ticket),
            Output::InstallSas(_) | Output::ExtendSas { .. } | Output::RemoveSas { .. } => {
                self.command_kernel(output);
            }
            Output::RestoreSas { .. } => panic!("nothing was restored"),
            Output::SendSgs { .. } | Output::CloseSgs(_) => panic!("no MME has connected"),
            Output::Exit => panic!("nobody asked the core to end"),
        }
    }

    fn send(&mut self, flow: Flow, octets: &[u8], tag: u64) {
        let text = Text::read(octets);
        if !self.locals.is_protected(flow.local) && self.checks.answers_forgery(&text) {
            return;
        }
        self.checks.core_sent(self.now, octets, flow);
        if self.net.faults.is_none() && self.is_perfect {
            self.checks.versions_rise(octets);
        }
        let hash = |h: u64, o: &u8| (h ^ u64::from(*o)).wrapping_mul(0x0100_0000_01b3);
        self.outcome.digest = octets.iter().fold(self.outcome.digest, hash);
        let Some(phone) = self.phones.iter().position(|p| p.is_at(flow.remote)) else {
            panic!("sent to {}, where nobody is", flow.remote);
        };
        self.show(octets, "<-", phone);
        let (way, esp) = self.protect(phone, flow, &text);
        if way.1.is_some() && esp.is_none() {
            // the kernel lets nothing out of these ports that it cannot protect
            self.outcome.guarded += 1;
            if flow.transport == Transport::Tcp {
                self.failed.push((flow, tag));
            }
            return;
        }
        let arrival = Arrival::AtPhone { phone, octets: octets.to_vec(), esp };
        let until = self.cut_until(phone);
        match flow.transport {
            Transport::Udp if until.is_some() => self.net.lost += 1,
            Transport::Udp => {
                assert!(!self.phones[phone].tcp, "UDP to {}, which is on TCP", self.phones[phone].name);
                self.net.datagram(self.now, &mut self.rng, arrival);
            }
            // too long for UDP, and nobody listens
            Transport::Tcp if !self.phones[phone].tcp => {
                assert!(octets.len() > 1300, "TCP to {}, which is on UDP", self.phones[phone].name);
                self.failed.push((flow, tag));
            }
            Transport::Tcp => {
                self.connection(way);
                self.net.stream(until.unwrap_or(self.now), arrival);
            }
        }
    }

    fn show(&self, octets: &[u8], arrow: &str, phone: usize) {
        if self.verbose {
            let text = String::from_utf8_lossy(octets);
            eprintln!("{:?} {} {arrow}\n{}", self.now, self.phones[phone].name, text.trim_end());
        }
    }

    /// A day after the phones have left, nothing is left of them.
    fn nothing_is_left(&mut self) {
        for phone in &self.phones {
            assert!(phone.is_quiet(), "{} still has a call", phone.name);
            assert_eq!(phone.waiting(), 0, "{}: offers without an answer", phone.name);
        }
        assert!(self.ports.is_empty(), "ports left open: {:?}", self.ports);
        assert!(self.core.media_mut().is_empty(), "media sessions left");
        assert_eq!(self.core.next_deadline(), None, "timers left");
        let dialogs = self.core.dialog_views(self.now);
        assert!(dialogs.is_empty(), "dialogs left: {dialogs:?}");
        let users = self.core.user_views(self.now);
        assert!(users.iter().all(|u| u.bindings.is_empty()), "bindings left");
        let load = self.core.load();
        let none = Load {
            bindings: 0,
            sets: 0,
            challenges: 0,
            calls: 0,
            messages: 0,
            sms: 0,
            sms_promises: 0,
            subscriptions: 0,
            server_transactions: 0,
            client_transactions: 0,
        };
        assert_eq!(load, none, "something is left");
        self.checks.everything_was_answered();
        self.bearers_are_given_back();
        assert_eq!(self.kernel.settled(), Some(Vec::new()), "security associations left");
        for body in self.phones.iter().flat_map(Phone::delivered) {
            assert!(self.phones.iter().any(|p| p.has_text(body)), "{body} was answered 200 and came nowhere");
        }
    }
}
