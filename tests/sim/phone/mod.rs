//! A model phone: registers, calls, is called, with a small transaction code of its own, so that mistakes do not cancel out.

mod crash;
mod early;
mod fork;
mod habits;
mod incoming;
mod media;
mod message;
mod moves;
mod need;
mod outgoing;
mod register;
mod setup;
mod shield;
mod subscribe;
mod timer;

use crate::text::{Text, bracketed, challenge_parameter, parameter};
use early::EarlyDialog;
pub use habits::Habits;
use habits::{Early, Move, Rel, Ways};
use imsbox::base::time::{Duration, Instant};
use imsbox::crypto::{aka, hex, milenage, xor};
use imsbox::proto::sip::digest::{self, Algorithm, Inputs};
use media::{Media, Qos, Turn};
use need::Kind;
pub use need::{Help, Need, Outlook};
pub use shield::{Sealed, Style};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use subscribe::Watch;
use timer::Session;

const T1: Duration = Duration::from_secs(2);
const T2: Duration = Duration::from_secs(16);
const GIVE_UP: Duration = Duration::from_secs(128);
const EXPIRES: u64 = 600;
/// The RSeq of a phone's first reliable answer.
const FIRST_RSEQ: u32 = 7;
/// When a caller whose bearer does not come gives up.
const NO_BEARER: Duration = Duration::from_secs(6);
/// The home domain of all phones.
pub const DOMAIN: &str = "ims.mnc001.mcc001.3gppnetwork.org";

/// What a phone authenticates with.
#[derive(Clone, Debug)]
pub enum Secret {
    Password(&'static str),
    Milenage { k: [u8; 16], op: [u8; 16] },
    Xor { k: [u8; 16] },
}

/// What a call is to become. The callee's part travels in a header that the server does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The callee answers after this long.
    Answer(Duration),
    /// The callee rejects with this code.
    Reject(u16),
    /// The callee rings until somebody ends it.
    Ring,
}

impl Plan {
    fn header(self) -> String {
        match self {
            Plan::Answer(after) => format!("answer {}", after.as_millis()),
            Plan::Reject(code) => format!("reject {code}"),
            Plan::Ring => "ring 0".to_owned(),
        }
    }

    fn read(value: &str) -> Plan {
        if value.is_empty() {
            return Plan::Answer(Duration::from_secs(1));
        }
        let (verb, number) = value.split_once(' ').expect("unknown headers are passed on unchanged");
        let number: u64 = number.parse().expect("unknown headers are passed on unchanged");
        match verb {
            "answer" => Plan::Answer(Duration::from_millis(number)),
            "reject" => Plan::Reject(number as u16),
            _ => Plan::Ring,
        }
    }
}

/// A call to be made.
pub struct Order<'a> {
    /// Whom to call.
    pub to: &'a str,
    /// What the callee is to do.
    pub plan: Plan,
    /// When the caller gives up.
    pub cancel: Option<Duration>,
    /// How long the caller talks.
    pub talk: Duration,
    pub habits: Habits,
    /// What comes of it beside the plan, when it goes to an emergency service.
    pub help: Option<Help>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Purpose {
    Register,
    Invite(usize),
    /// Moves by re-INVITE, and by UPDATE, with the tries that are left.
    Reinvite(usize, Move, u8),
    Update(usize, Move, u8),
    /// An UPDATE that only refreshes the session.
    Refresh(usize),
    /// PRACK, INFO, and UPDATE before the answer.
    Question(usize),
    Bye(usize),
    Cancel,
    Subscribe(usize),
    Text(usize),
}

struct Client {
    branch: String,
    method: &'static str,
    octets: String,
    repeat: Option<(Instant, Duration)>,
    deadline: Instant,
    provisional: bool,
    answer: Option<u16>,
    purpose: Purpose,
}

/// A final response to an INVITE, sent again until its ACK comes.
struct Repeat {
    leg: usize,
    branch: String,
    cseq: u32,
    success: bool,
    /// It has an offer, which the ACK answers.
    offers: bool,
    octets: String,
    next: Instant,
    interval: Duration,
    deadline: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Calling,
    Ringing,
    Up,
    Ending,
    Done,
}

struct Leg {
    state: State,
    call_id: String,
    local: String,
    remote: String,
    remote_tag: String,
    local_tag: String,
    target: String,
    cseq: u32,
    invite_cseq: u32,
    invite_branch: String,
    invite: Option<Text>,
    last_ack: Option<String>,
    remote_cseq: u32,
    talk: Duration,
    cancel_at: Option<Instant>,
    echo: bool,
    ways: Ways,
    /// The descriptions of its dialog; of a caller's INVITE, until there is one.
    media: Media,
    /// A caller's early dialogs, by To tag.
    early: BTreeMap<String, EarlyDialog>,
    /// A caller's INVITE has an offer.
    has_offered: bool,
    /// The first offer was answered in a reliable response.
    has_answered: bool,
    /// When the bearer is there.
    bearer_at: Option<Instant>,
    /// Reliable answers are in use; the RSeq of the last one, and of the one that waits for its PRACK.
    is_reliable: bool,
    rseq: u32,
    /// A PRACK of ours came out of order, and was refused for that.
    has_failed_prack: bool,
    unacknowledged: Option<u32>,
    /// The provisional answer that was sent last, and the codes of those to come.
    provisional: String,
    steps: VecDeque<u16>,
    /// The session timer.
    session: Option<Session>,
    /// One of its phones may hold; as the caller knows.
    may_hold: bool,
    /// It calls for help, or back.
    is_for_help: bool,
    ended_at: Option<Instant>,
    /// Its next message must be a BYE.
    is_doomed: bool,
    result: Option<u16>,
    expected: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
enum Timer {
    Register,
    Answer(usize),
    RingOut(usize),
    HangUp(usize),
    Move(usize, Move, u8),
    /// The next provisional answer is due.
    Step(usize),
    /// The bearer may be there.
    Bearer(usize),
    /// The bearer has not come.
    Fail(usize),
    EarlyUpdate(usize),
    /// The session of this number is to be refreshed, or was not.
    Session(usize, u32),
    Reliable(usize, u32, Duration),
    Cancel(usize),
    Rtp(usize, u8),
    /// A packet in a call between phones, so that nobody takes it for dead.
    Speak(usize),
    Subscribe,
    Unsubscribe,
    Notified(usize, usize),
}

/// What a phone wants of the world after an input.
#[derive(Default)]
pub struct Wants {
    pub messages: Vec<String>,
    pub packets: Vec<SocketAddr>,
}

/// What a phone has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub registered: u64,
    pub answered: u64,
    pub refused: u64,
    pub cancelled: u64,
    pub timed_out: u64,
    pub failed: u64,
    pub subscribed: u64,
    pub notified: u64,
    pub unnotified: u64,
    pub pracked: u64,
    pub told: u64,
    /// Offers inside calls, and before the answer.
    pub moves: u64,
    pub early_updates: u64,
    /// Refusals that nothing calls for, and calls in which nobody holds and nothing runs.
    pub odd: u64,
    pub deaf: u64,
    /// Refreshes of sessions, and those that did not come.
    pub refreshed: u64,
    pub was_refreshed: u64,
    pub expired: u64,
    /// Calls back to who was in need.
    pub called_back: u64,
    /// Emergency calls that were told to come another way.
    pub sent_elsewhere: u64,
    pub crashed: u64,
    pub unacknowledged: u64,
    /// Texts that were delivered, and that came back from the echo number.
    pub texted: u64,
    pub echoed: u64,
    /// Registrations through IPsec, those that took another set's place, and REGISTERs that were refused.
    pub shielded: u64,
    pub renewed: u64,
    pub refusals: u64,
}

pub struct Phone {
    pub name: String,
    /// Whose phone it is.
    pub user: String,
    pub addr: SocketAddr,
    pub tcp: bool,
    kind: Kind,
    /// It says of itself that it is a VoLTE phone.
    is_mmtel: bool,
    pub seen: Seen,
    /// For how long it subscribes to its registration; 0 not at all.
    watch_secs: u64,
    watches: Vec<Watch>,
    secret: Secret,
    sqn_used: HashSet<[u8; 6]>,
    registered: bool,
    wants_registration: bool,
    register_cseq: u32,
    challenges: u32,
    authorization: Option<String>,
    clients: Vec<Client>,
    /// Those without a final answer.
    open: Vec<usize>,
    served: HashMap<(String, String), String>,
    repeats: Vec<Repeat>,
    legs: Vec<Leg>,
    texts: Vec<message::Sent>,
    /// The texts that came, each with its branch.
    inbox: HashMap<String, String>,
    timers: Vec<(Instant, Timer)>,
    counter: u64,
    down_until: Option<Instant>,
    /// Branches of requests from before a crash.
    forgotten: HashSet<String>,
    shield: Option<shield::Shield>,
    /// It is told to end everything.
    has_left: bool,
    /// What it has to do with emergency calls.
    need: Need,
    /// When something last came to it.
    clock: Instant,
}

impl Phone {
    pub fn new(name: &str, addr: SocketAddr, tcp: bool, secret: Secret) -> Self {
        Phone {
            name: name.to_owned(),
            user: name.to_owned(),
            addr,
            tcp,
            kind: Kind::Subscriber,
            need: Need::default(),
            clock: Instant::ZERO,
            is_mmtel: false,
            seen: Seen::default(),
            watch_secs: 0,
            watches: Vec::new(),
            secret,
            sqn_used: HashSet::new(),
            registered: false,
            wants_registration: false,
            register_cseq: 0,
            challenges: 0,
            authorization: None,
            clients: Vec::new(),
            open: Vec::new(),
            served: HashMap::new(),
            repeats: Vec::new(),
            legs: Vec::new(),
            texts: Vec::new(),
            inbox: HashMap::new(),
            timers: Vec::new(),
            counter: 0,
            down_until: None,
            forgotten: HashSet::new(),
            shield: None,
            has_left: false,
        }
    }

    /// The phone subscribes to its registration, and refreshes that a few times in a run.
    pub fn watching(self) -> Self {
        Phone { watch_secs: 240, ..self }
    }

    /// The phone subscribes once and for all: what it knows it was told when it happened.
    pub fn watch_without_refresh(&mut self) {
        self.watch_secs = 3600;
    }

    /// The phone is another user's than its name says.
    pub fn of(self, user: &str) -> Self {
        Phone { user: user.to_owned(), ..self }
    }

    /// Whether the phone wants to be registered and is not.
    pub fn is_silent(&self) -> bool {
        self.wants_registration && !self.registered && !self.is_bad()
    }

    /// A VoLTE phone.
    pub fn mmtel(self) -> Self {
        Phone { is_mmtel: true, ..self }
    }

    /// A server of another network.
    pub fn peer(self) -> Self {
        Phone { kind: Kind::Peer, ..self }
    }

    pub fn is_peer(&self) -> bool {
        self.kind == Kind::Peer
    }

    /// Whether it registers at all.
    pub fn registers(&self) -> bool {
        matches!(self.kind, Kind::Subscriber | Kind::InNeed)
    }

    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    pub fn is_registered(&self) -> bool {
        self.registered
    }

    pub fn is_watching(&self) -> bool {
        self.watch_secs > 0
    }

    /// Whether nothing is under way on this phone.
    pub fn is_quiet(&self) -> bool {
        self.legs.iter().all(|l| l.state == State::Done) && self.repeats.is_empty()
    }

    /// How many calls it had.
    pub fn calls(&self) -> u64 {
        self.legs.len() as u64
    }

    /// Transactions that are still open.
    pub fn waiting(&self) -> usize {
        self.clients.iter().filter(|c| c.answer.is_none()).count()
    }

    /// How the calls that this phone made differ from what was planned.
    pub fn broken_plans(&self) -> Vec<String> {
        let broken = |l: &&Leg| l.expected.is_some() && l.expected != l.result;
        let say =
            |l: &Leg| format!("{} {}: wanted {:?}, got {:?}", self.name, l.remote, l.expected, l.result);
        self.legs.iter().filter(broken).map(say).collect()
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        let clients = self.open.iter().map(|at| &self.clients[*at]).filter(|c| c.answer.is_none());
        let clients = clients.map(|c| c.repeat.map_or(c.deadline, |(at, _)| at.min(c.deadline)));
        let repeats = self.repeats.iter().map(|r| r.next.min(r.deadline));
        clients.chain(repeats).chain(self.timers.iter().map(|(at, _)| *at)).min()
    }

    pub fn start_registering(&mut self, now: Instant) {
        self.wants_registration = true;
        self.timers.push((now, Timer::Register));
    }

    /// Registers, or unregisters, unless either is under way.
    pub fn toggle(&mut self, now: Instant) {
        if self.clients.iter().any(|c| c.purpose == Purpose::Register && c.answer.is_none()) {
            return;
        }
        self.wants_registration = !self.wants_registration;
        self.timers.retain(|(_, timer)| !matches!(timer, Timer::Register));
        self.timers.push((now, Timer::Register));
    }

    /// Ends all calls and the registration.
    pub fn leave(&mut self, now: Instant) {
        self.has_left = true;
        self.wants_registration = false;
        self.timers.clear();
        // some end their subscription, some leave it to the server
        if self.counter.is_multiple_of(2) && self.known_contacts().is_some() {
            self.timers.push((now, Timer::Unsubscribe));
        }
        for leg in 0..self.legs.len() {
            match self.legs[leg].state {
                State::Up => self.timers.push((now, Timer::HangUp(leg))),
                State::Calling => self.timers.push((now, Timer::Cancel(leg))),
                _ => {}
            }
        }
        // TS 24.229 5.1.6.6: a registration for emergency calls cannot be given back, and runs its time
        self.registered &= self.kind != Kind::InNeed;
        if self.kind == Kind::Subscriber {
            self.timers.push((now, Timer::Register));
        }
    }

    /// Starts a call.
    pub fn call(&mut self, now: Instant, order: Order<'_>, want: &mut Wants) {
        let Order { to, plan, cancel, talk, mut habits, help } = order;
        self.clock = now;
        habits.caller.qos &= !self.is_peer();
        let ways = habits.caller;
        let echo = to.contains("666") || help.is_some_and(|h| h.is_echo);
        let tag = self.fresh("t");
        let me = format!("{};tag={tag}", self.says_it_is());
        let gives_up = ways.qos && ways.bearer.is_none();
        let cancel = if gives_up { Some(cancel.unwrap_or(NO_BEARER).min(NO_BEARER)) } else { cancel };
        let mut leg = self.new_leg(self.fresh_copy("c"), me, format!("<{to}>"), tag, to.to_owned(), talk);
        leg.cancel_at = cancel.map(|c| now + c);
        leg.echo = echo;
        leg.expected = match help.map_or(Outlook::Planned, |h| h.outlook) {
            Outlook::Refused(code) => Some(code),
            Outlook::Planned => expected(to, echo, plan, cancel.is_some(), &habits),
            Outlook::Open => None,
        };
        leg.is_for_help = help.is_some_and(|h| h.outlook != Outlook::Refused(403));
        leg.ways = ways;
        leg.has_offered = !habits.offerless;
        leg.may_hold = habits.may_hold();
        leg.bearer_at = ways.bearer.map(|after| now + after);
        leg.media.takes_video = ways.video;
        leg.media.qos =
            ways.qos.then(|| Qos { local: ways.bearer == Some(Duration::ZERO), ..Qos::default() });
        leg.media.want(false, ways.video && self.counter.is_multiple_of(3));
        let offer = if habits.offerless { String::new() } else { leg.media.offer() };
        self.counter += 1;
        let index = self.legs.len();
        self.legs.push(leg);
        let preferred = self.identity_and_place();
        let options = match (ways.rel, ways.qos) {
            (Rel::No, _) => "",
            (Rel::Supported, false) => "Supported: 100rel\r\n",
            (Rel::Supported, true) => "Supported: 100rel,precondition\r\n",
            (Rel::Required, false) => "Require: 100rel\r\n",
            (Rel::Required, true) => "Require: 100rel\r\nSupported: precondition\r\n",
        };
        let session = self.session_offer(index);
        let extra = format!("X-Plan: {}\r\n{}{session}{options}{preferred}", plan.header(), habits.header());
        let branch = self.in_call(now, index, "INVITE", &extra, &offer, Purpose::Invite(index), want);
        self.legs[index].invite_branch = branch;
        self.legs[index].invite_cseq = self.legs[index].cseq;
        if let Some(at) = self.legs[index].cancel_at {
            self.timers.push((at, Timer::Cancel(index)));
        }
        if let Some(at) = self.legs[index].bearer_at.filter(|_| ways.qos) {
            self.timers.push((at, Timer::Bearer(index)));
        }
    }

    pub fn on_tick(&mut self, now: Instant, want: &mut Wants) {
        self.clock = now;
        self.repeat_requests(now, want);
        self.repeat_answers(now, want);
        let due: Vec<Timer> = self.timers.iter().filter(|(at, _)| *at <= now).map(|(_, t)| *t).collect();
        self.timers.retain(|(at, _)| *at > now);
        for timer in due {
            self.on_timer(now, timer, want);
        }
    }

    pub fn on_message(&mut self, now: Instant, octets: &[u8], want: &mut Wants) {
        let text = Text::read(octets);
        self.clock = now;
        if self.is_deaf(now, &text) {
            return;
        }
        match text.code() {
            0 => self.on_request(now, &text, want),
            code => self.on_response(now, code, &text, want),
        }
    }

    fn on_timer(&mut self, now: Instant, timer: Timer, want: &mut Wants) {
        match timer {
            Timer::Register => {
                self.challenges = 0;
                match self.shield.is_some() {
                    true => self.begin_shielded(now, want),
                    false => self.send_register(now, want),
                }
            }
            Timer::Subscribe => self.on_subscribe_timer(now, want),
            Timer::Unsubscribe => self.send_subscribe(now, 0, want),
            Timer::Notified(at, before) => self.on_notified_timer(at, before),
            Timer::Answer(leg) => self.answer(now, leg, want),
            Timer::RingOut(leg) => self.reject(now, leg, 480, want),
            // RFC 3312 8: the resources cannot be had
            Timer::Fail(leg) => self.reject(now, leg, 580, want),
            Timer::Step(leg) => self.step(now, leg, want),
            Timer::Bearer(leg) => self.on_bearer(now, leg, want),
            Timer::Session(leg, number) => self.on_session(now, leg, number, want),
            Timer::EarlyUpdate(leg) => self.early_update(now, leg, want),
            Timer::HangUp(leg) if self.legs[leg].state == State::Up => self.hang_up(now, leg, want),
            Timer::Move(leg, it, tries) => self.make_move(now, leg, it, tries, want),
            Timer::Reliable(leg, rseq, wait) => self.repeat_reliable(now, leg, rseq, wait, want),
            Timer::Cancel(leg) => self.cancel(now, leg, want),
            Timer::Speak(leg) if self.legs[leg].state == State::Up => {
                want.packets.extend(self.legs[leg].media.heard_address());
                self.timers.push((now + Duration::from_secs(9), Timer::Speak(leg)));
            }
            Timer::Rtp(leg, left) if self.legs[leg].state == State::Up => {
                want.packets.extend(self.legs[leg].media.heard_address());
                if left > 0 {
                    self.timers.push((now + Duration::from_millis(20), Timer::Rtp(leg, left - 1)));
                }
            }
            _ => {}
        }
    }

    fn check_cseq(&mut self, leg: usize, text: &Text) {
        // a reordering network brings them out of order; what must never come is the same number twice
        assert_ne!(text.cseq(), self.legs[leg].remote_cseq, "{}: CSeq repeated in {}", self.name, text.start);
        self.legs[leg].remote_cseq = self.legs[leg].remote_cseq.max(text.cseq());
    }

    fn end(&mut self, leg: usize) {
        self.legs[leg].state = State::Done;
        self.legs[leg].ended_at = Some(self.clock);
    }

    fn new_leg(
        &self,
        call_id: String,
        local: String,
        remote: String,
        local_tag: String,
        target: String,
        talk: Duration,
    ) -> Leg {
        Leg {
            state: State::Calling,
            call_id,
            local,
            remote,
            remote_tag: String::new(),
            local_tag,
            target,
            cseq: 0,
            invite_cseq: 0,
            invite_branch: String::new(),
            invite: None,
            last_ack: None,
            remote_cseq: 0,
            talk,
            cancel_at: None,
            echo: false,
            ways: Ways::default(),
            media: Media::new(self.addr.ip(), false),
            early: BTreeMap::new(),
            has_offered: false,
            has_answered: false,
            bearer_at: None,
            is_reliable: false,
            rseq: 0,
            has_failed_prack: false,
            unacknowledged: None,
            provisional: String::new(),
            steps: VecDeque::new(),
            session: None,
            may_hold: true,
            is_for_help: false,
            ended_at: None,
            is_doomed: false,
            result: None,
            expected: None,
        }
    }

    /// What a phone says of itself when it registers (TS 24.229 5.1.1.2).
    fn features(&self) -> &'static str {
        match self.is_mmtel {
            true => ";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"",
            false => "",
        }
    }

    /// Whether what is sent there is to come back.
    pub fn expects_echo(&self, to: SocketAddr) -> bool {
        self.legs.iter().any(|l| l.echo && l.media.heard_address() == Some(to))
    }

    /// Whether the phone has a call that is answered.
    pub fn is_talking(&self) -> bool {
        self.legs.iter().any(|l| l.state == State::Up)
    }

    pub fn contact(&self) -> String {
        self.contact_at(self.addr)
    }

    fn contact_at(&self, addr: SocketAddr) -> String {
        let transport = if self.tcp { ";transport=tcp" } else { "" };
        format!("<sip:{}@{addr}{transport}{}>{}", self.name, self.sos(), self.equipment())
    }

    /// Whether a URI is a contact of this phone, now or before it renewed its ports.
    fn is_own(&self, uri: &str) -> bool {
        let own = self.contact();
        let host = self.addr.ip().to_string();
        bracketed(&own) == uri
            || self.shield.is_some() && uri.starts_with(&format!("sip:{}@", self.name)) && uri.contains(&host)
    }

    fn transport(&self) -> &'static str {
        if self.tcp { "TCP" } else { "UDP" }
    }

    fn on_bearer(&mut self, now: Instant, leg: usize, want: &mut Wants) {
        match self.legs[leg].state {
            State::Calling => self.caller_resources(now, leg, want),
            State::Ringing => {
                self.legs[leg].media.qos.iter_mut().for_each(|q| q.local = true);
                self.resources(now, leg, want);
            }
            _ => {}
        }
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.counter += 1;
        self.fresh_copy(prefix)
    }

    fn fresh_copy(&self, prefix: &str) -> String {
        format!("{prefix}{}x{}", self.name, self.counter)
    }
}

/// The only final answer that a call may have on a perfect network; `None`: several are right.
fn expected(to: &str, echo: bool, plan: Plan, cancels: bool, habits: &Habits) -> Option<u16> {
    let (caller, callee) = (&habits.caller, &habits.callee);
    // the callee's preconditions may come from the network
    let may_fail = (caller.qos && caller.bearer.is_none()) || (callee.qos && callee.bearer.is_none());
    match plan {
        _ if to.contains("404") => Some(404),
        _ if to.contains("away") => Some(480),
        // one of its phones comes and goes
        _ if to.contains("duo") => None,
        _ if echo => (!cancels).then_some(200),
        Plan::Reject(code) => Some(code),
        _ if may_fail => None,
        // who cancels about when the other answers gets either
        Plan::Answer(_) => (!cancels).then_some(200),
        Plan::Ring if cancels => Some(487),
        // a phone that says nothing at all may as well not be there
        Plan::Ring if callee.early == Early::Nothing => None,
        Plan::Ring => Some(480),
    }
}
