//! The phone: a state machine that knows no socket and no clock.
//!
//! Messages, packets, the passing of time and a person's wishes are method calls; what is to be sent and what has happened
//! come out of [`Phone::pop`]. One call at a time. The decisions of a SIP client are taken here and not shared with the
//! server's, so that the mistakes of one are found by the other.
//!
//! Not here: the kernel's IPsec, video that can be seen.

pub mod auth;
pub mod call;
pub mod change;
pub mod client;
pub mod codec;
pub mod dialog;
pub mod digits;
mod emergency;
pub mod event;
mod features;
mod inbound;
mod incoming;
pub mod media;
pub mod message;
pub mod outgoing;
pub mod precondition;
pub mod reginfo;
pub mod register;
pub mod rtp;
pub mod sdp;
pub mod security;
pub mod server;
mod sms;
pub mod smsip;
pub mod sound;
#[cfg(test)]
mod tests;
pub mod timer;
pub mod watch;
mod xml;

use crate::settings::{Settings, Transport};
use crate::usim::Taken;
use auth::{Prover, challenges};
use call::Call;
use client::{Clients, Heard, Passed, Purpose, Timers};
use event::Event;
use imsbox::base::rng::Rng;
use imsbox::base::time::{Duration, Instant};
use imsbox::crypto::hex;
use imsbox::wire::sip::{Index, Message, Method};
use media::{Report, Stream, Wanted};
use message::{Peer, Request, host};
use register::Registration;
use security::{Security, Wish};
use server::Servers;
use smsip::ShortMessages;
use sound::Sound;
use std::collections::VecDeque;
use std::net::SocketAddr;
use watch::Watching;

/// Something for the shell to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a SIP message.
    Send(Peer, Vec<u8>),
    /// Send a packet of media or of reports.
    Media(Stream, Wanted),
    /// Keep the numbers that the card has taken, before anything that follows.
    Keep(Taken),
    /// Keep what was heard in a call: samples at 8 kHz.
    Recorded(Vec<i16>),
    /// Do this in the kernel.
    Ipsec(Wish),
    /// Tell what happened.
    Event(Event),
}

/// A phone.
#[derive(Debug)]
pub struct Phone {
    settings: Settings,
    /// Where SIP arrives.
    local: SocketAddr,
    /// Where media arrives.
    media_addr: SocketAddr,
    video_port: u16,
    sound: Sound,
    rng: Rng,
    clients: Clients,
    servers: Servers,
    prover: Prover,
    registration: Registration,
    watching: Watching,
    security: Security,
    call: Option<Call>,
    auto_answer: Option<Duration>,
    /// The last final response that settled something: of a registration or a call.
    code: Option<u16>,
    /// What is known of the streams of the last call.
    last_reports: (Option<Report>, Option<Report>),
    /// The keys that the other side pressed in the last call.
    last_keys: String,
    /// Whether nothing is sent in calls.
    is_mute: bool,
    /// Texts that have come: how many, and the last one.
    texts: (u32, String),
    short: ShortMessages,
    out: VecDeque<Output>,
}

impl Phone {
    /// A phone that listens for SIP at `local`, for sound at `media_addr` and for pictures at `video_port`
    /// there.
    pub fn new(
        settings: Settings,
        taken: Taken,
        local: SocketAddr,
        (media_addr, video_port): (SocketAddr, u16),
        sound: Sound,
        mut rng: Rng,
    ) -> Phone {
        let timers = Timers { t1: settings.t1 };
        let prover = Prover::new(&settings.secret, taken);
        let call_id = format!("{}@{}", token(&mut rng), host(local.ip()));
        let registration = Registration::new(call_id, token(&mut rng));
        let security = Security::new(&settings, local);
        let short = ShortMessages::new(&mut rng);
        Phone {
            settings,
            security,
            local,
            media_addr,
            video_port,
            sound,
            rng,
            clients: Clients::new(timers),
            servers: Servers::new(timers),
            prover,
            registration,
            watching: Watching::default(),
            call: None,
            auto_answer: None,
            code: None,
            last_reports: (None, None),
            last_keys: String::new(),
            is_mute: false,
            texts: (0, String::new()),
            short,
            out: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub fn pop(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// The registration time that the settings ask for, in seconds.
    pub fn asked_expires(&self) -> u32 {
        self.settings.expires_secs
    }

    /// The registration.
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// What is known of the registration from the network.
    pub fn watching(&self) -> &Watching {
        &self.watching
    }

    /// The call, if there is one.
    pub fn current_call(&self) -> Option<&Call> {
        self.call.as_ref()
    }

    /// The last final response that settled a registration or a call.
    pub fn code(&self) -> Option<u16> {
        self.code
    }

    /// What is known of the sound of this call, or of the last one.
    pub fn report(&self) -> Option<Report> {
        let running = self.call.as_ref().and_then(|c| c.media.as_ref()).map(media::Media::report);
        running.or(self.last_reports.0)
    }

    /// What is known of the pictures of this call, or of the last one.
    pub fn video_report(&self) -> Option<Report> {
        let running = self.call.as_ref().and_then(|c| c.video.as_ref()).map(media::Media::report);
        running.or(self.last_reports.1)
    }

    /// The keys that the other side has pressed in this call, or in the last one.
    pub fn keys(&mut self) -> &str {
        let running = self.call.as_mut().and_then(|c| c.media.as_mut());
        running.map_or(self.last_keys.as_str(), |media| media.heard().keys())
    }

    /// Whether keys wait to be sent.
    pub fn is_pressing(&self) -> bool {
        self.call.as_ref().and_then(|c| c.media.as_ref()).is_some_and(media::Media::is_pressing)
    }

    /// Presses keys in the call.
    pub fn press(&mut self, keys: &str) -> Result<(), String> {
        let numbers = digits::numbers(keys)?;
        let call = self.call.as_mut().filter(|c| c.is_up()).ok_or("there is no call that is answered")?;
        call.media.as_mut().ok_or("the call has no sound")?.press(&numbers)
    }

    /// Sends nothing in calls any more, neither media nor reports, or goes on.
    pub fn set_mute(&mut self, now: Instant, is_mute: bool) {
        self.is_mute = is_mute;
        let Some(call) = self.call.as_mut() else { return };
        for media in [&mut call.media, &mut call.video].into_iter().flatten() {
            media.silence(now, is_mute);
        }
    }

    /// How many texts have come.
    pub fn texts(&self) -> u32 {
        self.texts.0
    }

    /// The last text that has come.
    pub fn last_text(&self) -> Option<&str> {
        (self.texts.0 > 0).then_some(self.texts.1.as_str())
    }

    /// Whether something waits for the network: what `quit` waits for.
    pub fn is_busy(&self) -> bool {
        self.registration.is_busy()
            || self.watching.is_parting()
            || self.call.is_some()
            || self.short.is_busy()
            || [Purpose::Bye, Purpose::Text, Purpose::Report].iter().any(|open| self.clients.has_open(*open))
    }

    /// Answers calls by itself after this long, or leaves them to a person.
    pub fn set_auto_answer(&mut self, after: Option<Duration>) {
        self.auto_answer = after;
    }

    /// A SIP message came.
    pub fn on_message(&mut self, now: Instant, peer: Peer, octets: &[u8]) {
        let mut index = Index::new();
        let Ok(message) = Message::parse(octets, &mut index) else {
            return self.event(Event::Notice("something that is no SIP message came".to_owned()));
        };
        if !self.admits(now, peer, &message) {
            return self.event(Event::Notice("something came in clear and was dropped".to_owned()));
        }
        if message.is_request() {
            self.on_request(now, peer, &message);
        } else {
            self.on_response(now, &message);
        }
    }

    /// A packet of media came.
    pub fn on_rtp(&mut self, now: Instant, stream: Stream, from: SocketAddr, octets: &[u8]) {
        if let Some(media) = self.stream(stream) {
            media.on_rtp(now, from, octets);
            let keys: Vec<char> = std::iter::from_fn(|| media.heard().pop()).collect();
            self.out.extend(keys.into_iter().map(|key| Output::Event(Event::Key(key))));
        }
    }

    /// A packet of reports came.
    pub fn on_rtcp(&mut self, stream: Stream, octets: &[u8]) {
        if let Some(media) = self.stream(stream) {
            media.on_rtcp(octets);
        }
    }

    fn stream(&mut self, stream: Stream) -> Option<&mut media::Media> {
        let call = self.call.as_mut()?;
        match stream {
            Stream::Audio => call.media.as_mut(),
            Stream::Video => call.video.as_mut(),
        }
    }

    /// Nothing can be sent to this peer, or its connection has gone.
    pub fn on_lost(&mut self, now: Instant, peer: Peer, words: &str) {
        for purpose in self.clients.fail_all(peer) {
            self.on_failed(now, purpose, words);
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        let mut sent = Vec::new();
        let passed = self.clients.tick(now, &mut sent);
        let missed = self.servers.tick(now, &mut sent);
        self.send_all(sent);
        let pcscf = self.settings.pcscf;
        for passed in passed {
            match passed {
                Passed::TimedOut(purpose) => self.on_failed(now, purpose, &format!("no answer from {pcscf}")),
                Passed::Silent(_) => {
                    self.event(Event::Notice(format!("{pcscf} does not answer yet, trying on")));
                }
            }
        }
        for missed in missed {
            self.on_missed(now, missed);
        }
        self.tick_registration(now);
        self.tick_security(now);
        self.tick_watch(now);
        self.tick_short(now);
        self.tick_call(now);
    }

    /// When [`Phone::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let call = self.call.as_ref().and_then(Call::next_deadline);
        let others = [self.clients.next_deadline(), self.servers.next_deadline()];
        let mine =
            [self.registration.next_deadline(), self.security.next_deadline(), self.watching.next_deadline()];
        others.into_iter().chain(mine).chain([call, self.short.next_deadline()]).flatten().min()
    }

    fn on_response(&mut self, now: Instant, message: &Message<'_>) {
        let mut sent = Vec::new();
        let (transport, local, own) = (self.settings.transport, self.local, self.security.address());
        let via = |peer: Peer, branch: &str| via(peer, transport, local, own, branch);
        let heard = self.clients.on_response(now, message, via, &mut sent);
        self.send_all(sent);
        match heard {
            Heard::Nothing => {}
            Heard::Provisional(Purpose::Invite) => self.on_provisional(now, message),
            Heard::Provisional(_) => {}
            Heard::Final(Purpose::Register, ..) => self.on_register_answer(now, message),
            Heard::Final(purpose, request, branch) => {
                let is_challenge = matches!(message.status(), 401 | 407);
                if is_challenge && self.answer_challenge(now, purpose, (*request).clone(), message) {
                    return;
                }
                match purpose {
                    Purpose::Invite => self.on_invite_answer(now, &request, &branch, message),
                    Purpose::Reinvite | Purpose::Update => {
                        self.on_change_answer(now, &request, &branch, message);
                    }
                    Purpose::Prack => self.resources_changed(now),
                    Purpose::Text => self.on_text_answer(&request, message),
                    Purpose::Short => self.on_short_answer(now, &request, message),
                    Purpose::Report => self.on_report_answer(message),
                    Purpose::Subscribe => self.on_subscribe_answer(now, &request, message),
                    _ => {}
                }
            }
            Heard::Fork(request, branch) => self.end_fork(now, &request, &branch, message),
        }
    }

    fn on_failed(&mut self, now: Instant, purpose: Purpose, words: &str) {
        match purpose {
            Purpose::Register => self.on_register_failed(now, words.to_owned()),
            Purpose::Invite => self.end_call(event::Party::They, 408, words),
            Purpose::Reinvite | Purpose::Update => self.on_change_failed(now),
            Purpose::Prack => self.resources_changed(now),
            Purpose::Text => self.event(Event::TextRefused(None, words.to_owned())),
            Purpose::Short => self.fail_short(now, None, words.to_owned()),
            Purpose::Report => self.event(Event::Notice(format!("the report on a text is lost: {words}"))),
            Purpose::Subscribe => self.on_subscribe_failed(now, words),
            Purpose::Bye | Purpose::Cancel => {}
        }
        let is_free = purpose != Purpose::Register && !self.registration.is_busy();
        if is_free && self.security.is_deaf(now, self.clients.life()) {
            self.register_anew(now, words);
        }
    }

    /// Sends a request once more with the answer to its challenge; false when it cannot be answered.
    fn answer_challenge(
        &mut self,
        now: Instant,
        purpose: Purpose,
        mut request: Request,
        message: &Message<'_>,
    ) -> bool {
        let still_wanted = purpose != Purpose::Invite || self.call.as_ref().is_some_and(Call::is_wanted);
        // two, as one nonce may be stale
        if request.challenged >= 2 || !still_wanted {
            return false;
        }
        let chosen = self.prover.choose(challenges(message));
        let proved = chosen.and_then(|challenge| Ok((self.prover.prove(&challenge)?, challenge)));
        let (proof, challenge) = match proved {
            Ok(proved) => proved,
            Err(words) => {
                self.event(Event::Notice(words));
                return false;
            }
        };
        self.save_card();
        let mut credentials = auth::Credentials::new(challenge, proof);
        let method = request.method.name();
        let header =
            credentials.header(&self.settings.impi, method, &request.uri, &request.body, &mut self.rng);
        request.headers.retain(|(name, _)| *name != header.0);
        request.headers.push(header);
        request.challenged += 1;
        // RFC 3261 22.2: a new request, so a new number
        request.cseq += 1;
        if let Some(call) = self.call.as_mut().filter(|c| c.dialog.call_id == request.call_id) {
            call.dialog.local_cseq = call.dialog.local_cseq.max(request.cseq);
        }
        self.watching.count_up(&request.call_id, request.cseq);
        let branch = self.send_request(now, request, purpose);
        if purpose == Purpose::Invite {
            self.call_on(branch);
        }
        true
    }

    /// Sends a request and waits for its answer; its branch.
    fn send_request(&mut self, now: Instant, request: Request, purpose: Purpose) -> String {
        let branch = format!("z9hG4bK{}", token(&mut self.rng));
        self.send_under(now, branch.clone(), request, purpose);
        branch
    }

    fn send_under(&mut self, now: Instant, branch: String, mut request: Request, purpose: Purpose) {
        self.name_access(&mut request);
        let (peer, octets) = self.octets_of(&request, &branch);
        self.send(peer, octets.clone());
        let reliable = peer.is_reliable(self.settings.transport);
        self.clients.start(now, branch, request, (peer, octets), purpose, reliable);
    }

    /// A request as it would go out now, and which way.
    fn octets_of(&self, request: &Request, branch: &str) -> (Peer, Vec<u8>) {
        let (ipsec, transport) = (&self.settings.ipsec, self.settings.transport);
        let (peer, more) = match request.method {
            Method::Register => {
                (self.security.way_of_register(ipsec.register_transport), self.security.register_headers())
            }
            // RFC 3329 2.6: neither has security headers
            Method::Cancel | Method::Ack => (self.security.way(transport), Vec::new()),
            _ => (self.security.way(transport), self.security.headers()),
        };
        (peer, request.octets_with(&self.via(peer, branch), &more))
    }

    fn via(&self, peer: Peer, branch: &str) -> String {
        via(peer, self.settings.transport, self.local, self.security.address(), branch)
    }

    fn send(&mut self, peer: Peer, octets: Vec<u8>) {
        match self.security.redirect(peer, &octets) {
            Some(peer) => self.out.push_back(Output::Send(peer, octets)),
            // what belongs to a set that is gone
            None if peer.is_protected() => {}
            None => self.event(Event::Notice("a message was not sent: it would leave in clear".to_owned())),
        }
    }

    fn send_all(&mut self, sent: Vec<(Peer, Vec<u8>)>) {
        for (peer, octets) in sent {
            self.send(peer, octets);
        }
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// Lets the shell keep the card's numbers before the answer goes out: none is ever taken twice.
    fn save_card(&mut self) {
        if let Some(card) = self.prover.card() {
            self.out.push_back(Output::Keep(card.taken().clone()));
        }
    }
}

/// The Via of a message to this peer. A protected one names the server port (TS 24.229 5.1.1.2), where responses are to go.
fn via(peer: Peer, transport: Transport, local: SocketAddr, own: SocketAddr, branch: &str) -> String {
    let (transport, at, rport) = match peer {
        Peer::Protected(transport, ..) => (transport, own, ""),
        _ => (transport, local, ";rport"),
    };
    format!("SIP/2.0/{} {}:{}{rport};branch={branch}", transport.name(), host(at.ip()), at.port())
}

/// A text that nobody else has: 64 random bits.
fn token(rng: &mut Rng) -> String {
    hex::encode::<16>(&rng.next_u64().to_be_bytes()).to_string()
}
