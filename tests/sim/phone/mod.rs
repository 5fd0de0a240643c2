//! A model phone: registers, calls, is called, with a small transaction code of its own, so that mistakes do not cancel out.

mod incoming;
mod inside;
mod message;
mod outgoing;
mod register;
mod shield;
mod subscribe;
mod timer;

use crate::text::{Text, bracketed, challenge_parameter, parameter};
use imsbox::base::time::{Duration, Instant};
use imsbox::crypto::{aka, hex, milenage, xor};
use imsbox::proto::sip::digest::{self, Algorithm, Inputs};
pub use inside::Habits;
pub use shield::{Sealed, Style};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use subscribe::Watch;

const T1: Duration = Duration::from_secs(2);
const T2: Duration = Duration::from_secs(16);
const GIVE_UP: Duration = Duration::from_secs(128);
const EXPIRES: u64 = 600;
/// The RSeq of a phone's reliable answer.
const RSEQ: u32 = 7;
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
    /// Whether the caller holds the call half-way.
    pub hold: bool,
    pub habits: Habits,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Purpose {
    Register,
    Invite(usize),
    Reinvite(usize),
    /// PRACK, UPDATE, INFO.
    Question(usize),
    /// UPDATE without an offer: the session goes on.
    Refresh(usize),
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
    success: bool,
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
    hold: bool,
    echo: bool,
    /// RSeq of the answer that waits for its PRACK.
    unacknowledged: Option<u32>,
    /// To tags of the early dialogs whose reliable answer was acknowledged.
    pracked: HashSet<String>,
    asks: &'static str,
    session: Option<timer::Session>,
    result: Option<u16>,
    expected: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
enum Timer {
    Register,
    Answer(usize),
    RingOut(usize),
    HangUp(usize),
    Hold(usize),
    Ask(usize, &'static str),
    Reliable(usize, Duration),
    Cancel(usize),
    Refresh(usize),
    Expire(usize),
    Rtp(usize, u8),
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
    pub crashed: u64,
    pub unacknowledged: u64,
    /// Sessions that it has refreshed, that the server has, and that the server has not though it had to.
    pub refreshed: u64,
    pub was_refreshed: u64,
    pub expired: u64,
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
    has_timers: bool,
}

impl Phone {
    pub fn new(name: &str, addr: SocketAddr, tcp: bool, secret: Secret) -> Self {
        Phone {
            name: name.to_owned(),
            user: name.to_owned(),
            addr,
            tcp,
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
            has_timers: false,
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

    /// How the calls that this phone made differ from what was planned.
    pub fn broken_plans(&self) -> Vec<String> {
        let broken = |l: &&Leg| l.expected.is_some() && l.expected != l.result;
        let say =
            |l: &Leg| format!("{} {}: wanted {:?}, got {:?}", self.name, l.remote, l.expected, l.result);
        self.legs.iter().filter(broken).map(say).collect()
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        let clients = self.clients.iter().filter(|c| c.answer.is_none());
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
        self.timers.push((now, Timer::Register));
    }

    /// Starts a call.
    pub fn call(&mut self, now: Instant, order: Order<'_>, want: &mut Wants) {
        let Order { to, plan, cancel, talk, hold, habits } = order;
        let echo = to.contains("666");
        let tag = self.fresh("t");
        let me = format!("<sip:{}@{DOMAIN}>;tag={tag}", self.name);
        let expected = match plan {
            _ if to.contains("404") => 404,
            _ if to.contains("away") => 480,
            _ if echo => 200,
            Plan::Answer(_) if cancel.is_some() => 0,
            Plan::Answer(_) => 200,
            Plan::Reject(code) => code,
            Plan::Ring if cancel.is_some() => 487,
            Plan::Ring => 480,
        };
        let mut leg = self.new_leg(self.fresh_copy("c"), me, format!("<{to}>"), tag, to.to_owned(), talk);
        leg.cancel_at = cancel.map(|c| now + c);
        leg.hold = hold;
        leg.echo = echo;
        // who cancels about when the other answers gets either
        leg.expected = Some(expected).filter(|e| *e != 0);
        leg.asks = habits.caller;
        self.counter += 1;
        let index = self.legs.len();
        self.legs.push(leg);
        let extra = format!(
            "X-Plan: {}\r\n{}Supported: 100rel{}\r\n{}P-Preferred-Identity: <sip:{}@{DOMAIN}>\r\n",
            plan.header(),
            habits.header(),
            if self.has_timers { ", timer" } else { "" },
            self.timer_offer(),
            self.name
        );
        let branch =
            self.in_call(now, index, "INVITE", &extra, &self.sdp("sendrecv"), Purpose::Invite(index), want);
        self.legs[index].invite_branch = branch;
        self.legs[index].invite_cseq = self.legs[index].cseq;
        if let Some(at) = self.legs[index].cancel_at {
            self.timers.push((at, Timer::Cancel(index)));
        }
    }

    pub fn on_tick(&mut self, now: Instant, want: &mut Wants) {
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
            Timer::RingOut(leg) if self.legs[leg].state == State::Ringing => self.reject(now, leg, 480, want),
            Timer::HangUp(leg) if self.legs[leg].state == State::Up => self.hang_up(now, leg, want),
            Timer::Hold(leg) if self.legs[leg].state == State::Up => {
                let sdp = self.sdp("sendonly");
                let terms = self.timer_terms(leg);
                self.in_call(now, leg, "INVITE", &terms, &sdp, Purpose::Reinvite(leg), want);
            }
            Timer::Ask(leg, method) if self.legs[leg].state == State::Up => self.ask(now, leg, method, want),
            Timer::Reliable(leg, interval) => self.send_reliable(now, leg, interval, want),
            Timer::Cancel(leg) => self.cancel(now, leg, want),
            Timer::Refresh(leg) if self.legs[leg].state == State::Up => self.refresh(now, leg, want),
            Timer::Expire(leg) if self.legs[leg].state == State::Up => self.on_expire_timer(now, leg, want),
            Timer::Rtp(leg, left) if self.legs[leg].state == State::Up => {
                let to = self.legs[leg].invite.as_ref().and_then(media_address);
                want.packets.extend(to);
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
            hold: false,
            echo: false,
            unacknowledged: None,
            pracked: HashSet::new(),
            asks: "",
            session: None,
            result: None,
            expected: None,
        }
    }

    pub fn contact(&self) -> String {
        self.contact_at(self.addr)
    }

    fn contact_at(&self, addr: SocketAddr) -> String {
        let transport = if self.tcp { ";transport=tcp" } else { "" };
        format!("<sip:{}@{addr}{transport}>", self.name)
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

    fn sdp(&self, direction: &str) -> String {
        let ip = self.addr.ip();
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 104 8 101\r\n\
             a=rtpmap:104 AMR-WB/16000\r\na=fmtp:104 octet-align=1\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
        )
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.counter += 1;
        self.fresh_copy(prefix)
    }

    fn fresh_copy(&self, prefix: &str) -> String {
        format!("{prefix}{}x{}", self.name, self.counter)
    }
}

/// Where an answer wants audio.
fn media_address(answer: &Text) -> Option<SocketAddr> {
    let ip = answer.body.lines().find_map(|l| l.strip_prefix("c=IN IP4 ").or(l.strip_prefix("c=IN IP6 ")))?;
    let port = answer.body.lines().find_map(|l| l.strip_prefix("m=audio "))?.split(' ').next()?;
    Some(SocketAddr::new(ip.trim().parse().ok()?, port.parse().ok()?))
}
