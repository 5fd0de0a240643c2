//! The phone's side of the security agreement with its P-CSCF (RFC 3329, TS 33.203 6 and 7, TS 24.229 5.1.1): what is offered,
//! what of the answer is taken, which set of security associations carries a message.
//!
//! At most three sets exist: the old one while a new one has taken its place, the current one, and the one whose challenge is
//! being answered. The kernel is the shell's: it opens ports and installs sets as [`Wish`]es say. Keys and names of algorithms
//! are those of the codec's table; everything that is decided is decided here, apart from the server.

mod agree;
mod offer;
mod set;

pub use agree::Refused;
pub use offer::{Offer, Suites};
pub use set::{Installation, Set};

use super::message::Peer;
use crate::settings::{Protect, Settings, Transport, Trick};
use imsbox::base::rng::Rng;
use imsbox::base::time::{Duration, Instant};
use imsbox::proto::sip::sec_agree::{Parameters, Suite};
use std::net::SocketAddr;

/// The lifetime of a set whose challenge is not answered yet (TS 24.229 table 7.8.1, reg-await-auth).
pub const AWAIT_AUTH: Duration = Duration::from_secs(240);
/// What the kernel lets a set live longer than the registration (TS 24.229 5.1.1.4.1), so that the phone ends it first.
pub const MARGIN: Duration = Duration::from_secs(30);

/// How long a set outlives the end of its registration: longer than the network takes to say what it has to say to that.
pub const PARTING: Duration = Duration::from_secs(5);

/// Something that the shell is to do with the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Open the ports of a new set: [`super::Phone::on_opened`] tells which.
    Open {
        /// The number of the set.
        set: u32,
        /// The protected client port; any if there is none.
        client: Option<u16>,
        /// The protected server port, which all sets share; any if there is none.
        server: Option<u16>,
    },
    /// Install the security associations of a set: [`super::Phone::on_installed`] tells whether it worked.
    Install(Box<Installation>),
    /// Let a set live for so long from now on.
    Extend(u32, Duration),
    /// Remove a set, as far as it is there, and close its client port.
    Remove(u32),
}

/// The agreement with the P-CSCF, or its absence.
#[derive(Debug)]
pub struct Security {
    protect: Protect,
    /// What the kernel has, or why it has none.
    kernel: Result<Vec<Suite>, String>,
    /// What is offered in this registration.
    suites: Suites,
    /// Why none is offered although the settings ask for it.
    lack: Option<String>,
    pinned: Pinned,
    trick: Option<Trick>,
    local: SocketAddr,
    pcscf: SocketAddr,
    /// The protected server port, once it is open.
    server_port: Option<u16>,
    next: u32,
    /// The set whose ports are being opened.
    opening: Option<u32>,
    offer: Option<Offer>,
    pending: Option<Set>,
    current: Option<Set>,
    old: Option<(Set, Instant)>,
    /// When something protected came last.
    heard_at: Option<Instant>,
}

/// Numbers that the settings fix; later sets count up from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Pinned {
    client: Option<u16>,
    server: Option<u16>,
    spi_c: Option<u32>,
    spi_s: Option<u32>,
}

impl Security {
    /// For these settings; nothing is offered before [`Security::enable`].
    pub fn new(settings: &Settings, local: SocketAddr) -> Security {
        let ipsec = &settings.ipsec;
        Security {
            protect: ipsec.protect,
            kernel: Ok(Vec::new()),
            suites: Suites::default(),
            lack: None,
            pinned: Pinned {
                client: ipsec.port_c,
                server: ipsec.port_s,
                spi_c: ipsec.spi_c,
                spi_s: ipsec.spi_s,
            },
            trick: ipsec.trick,
            local,
            pcscf: settings.pcscf,
            server_port: None,
            next: 1,
            opening: None,
            offer: None,
            pending: None,
            current: None,
            old: None,
            heard_at: None,
        }
    }

    /// The pairs of algorithms that the kernel has of those in the settings, best first; or why there are none.
    pub fn enable(&mut self, suites: Result<Vec<Suite>, String>) {
        self.kernel = suites;
        self.start_over();
    }

    /// What an earlier registration could not have is offered again.
    pub fn start_over(&mut self) {
        (self.suites, self.lack) = match self.kernel.clone() {
            Ok(suites) => (Suites::new(suites), None),
            Err(words) => (Suites::default(), Some(words)),
        };
    }

    /// Nothing is offered in this registration, for this reason.
    fn lacks(&mut self, words: &str) {
        (self.suites, self.lack) = (Suites::default(), Some(words.to_owned()));
    }

    /// Whether requests go through a set now.
    pub fn is_on(&self) -> bool {
        self.current.is_some()
    }

    /// Whether the phone must not go on without.
    pub fn is_required(&self) -> bool {
        self.protect == Protect::Required
    }

    /// Why nothing is offered although the settings ask for it.
    pub fn lack(&self) -> Option<&str> {
        self.lack.as_deref()
    }

    /// The sets that are there, and what each is for.
    pub fn sets(&self) -> impl Iterator<Item = (&'static str, &Set)> {
        let old = self.old.as_ref().map(|(set, _)| ("old", set));
        let current = self.current.as_ref().map(|set| ("in use", set));
        old.into_iter().chain(current).chain(self.pending.as_ref().map(|set| ("not confirmed", set)))
    }

    /// The set that answers to challenges go through, else the current one.
    fn newest(&self) -> Option<&Set> {
        self.pending.as_ref().or(self.current.as_ref())
    }

    /// Where requests and the phone's own addresses lead: the protected server port (TS 24.229 5.1.1.2).
    pub fn address(&self) -> SocketAddr {
        match self.server_port.filter(|_| self.newest().is_some()) {
            Some(port) => SocketAddr::new(self.local.ip(), port),
            None => self.local,
        }
    }

    /// The P-CSCF as a route names it: at its protected server port (TS 24.229 5.1.2A.1.1).
    pub fn server(&self) -> SocketAddr {
        self.current.as_ref().map_or(self.pcscf, |set| SocketAddr::new(self.pcscf.ip(), set.theirs.port_s))
    }

    /// The way of a request.
    pub fn way(&self, transport: Transport) -> Peer {
        self.current.as_ref().map_or(Peer::Server, |set| set.way(transport, self.pcscf))
    }

    /// The way of a REGISTER: a challenge is answered through the set that it made (TS 24.229 5.1.1.5.1).
    pub fn way_of_register(&self, transport: Transport) -> Peer {
        if self.pending.is_some() && self.trick == Some(Trick::ClearAnswer) {
            return Peer::Server;
        }
        self.newest().map_or(Peer::Server, |set| set.way(transport, self.pcscf))
    }

    /// Where a message for this peer goes now: a set that is gone is replaced by the current one; `None` when it may not go.
    pub fn redirect(&self, peer: Peer, octets: &[u8]) -> Option<Peer> {
        let Peer::Protected(transport, from, _) = peer else {
            let is_free = octets.starts_with(b"REGISTER ") || !self.forbids_clear();
            return is_free.then_some(peer);
        };
        let has = |set: &Set| set.own.port_c == from || set.own.port_s == from;
        if self.sets().any(|(_, set)| has(set)) {
            return Some(peer);
        }
        self.current.as_ref().map(|set| set.way(transport, self.pcscf))
    }

    /// Whether nothing but a REGISTER may leave in clear, and nothing come.
    pub fn forbids_clear(&self) -> bool {
        self.is_required() || self.newest().is_some()
    }

    /// Where the response to a request goes that came over UDP to the port `ours` from `theirs`: from the client port to the port
    /// of its Via, through the set that it came by (TS 33.203 7.1).
    pub fn answer_way(&self, ours: u16, theirs: SocketAddr, via_port: u16) -> Peer {
        let came = |set: &Set| {
            let client = (ours, theirs.port()) == (set.own.port_c, set.theirs.port_s);
            client || (ours, theirs.port()) == (set.own.port_s, set.theirs.port_c)
        };
        let found = self.sets().find(|(_, set)| came(set)).map(|(_, set)| set).or(self.current.as_ref());
        match found {
            // a P-CSCF that names its client port is answered there
            Some(set) if set.theirs.port_c == via_port => {
                let to = SocketAddr::new(theirs.ip(), via_port);
                Peer::Protected(Transport::Udp, set.own.port_s, to)
            }
            Some(set) => set.way(Transport::Udp, theirs),
            None => Peer::Protected(Transport::Udp, ours, theirs),
        }
    }

    /// Something protected has come.
    pub fn heard(&mut self, now: Instant) {
        self.heard_at = Some(now);
    }

    /// Whether nothing protected has come for so long, although there is a set.
    pub fn is_deaf(&self, now: Instant, time: Duration) -> bool {
        self.is_on() && self.heard_at.is_none_or(|at| at + time <= now)
    }

    /// The headers of each protected request that is no REGISTER (RFC 3329 2.3.1, TS 24.229 5.1.2A.1).
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        match &self.current {
            None => Vec::new(),
            Some(set) => vec![
                ("Require", TAG.to_owned()),
                ("Proxy-Require", TAG.to_owned()),
                ("Security-Verify", set.server.clone()),
            ],
        }
    }

    /// The headers of a REGISTER.
    pub fn register_headers(&self) -> Vec<(&'static str, String)> {
        let client = self.offer.as_ref().map(|offer| ("Security-Client", offer.value()));
        let verify = self.newest().map(|set| ("Security-Verify", self.verify(set)));
        let both: Vec<_> = client.into_iter().chain(verify).collect();
        if both.is_empty() {
            return both;
        }
        let tags = [("Require", TAG.to_owned()), ("Proxy-Require", TAG.to_owned())];
        tags.into_iter().chain(both).collect()
    }

    fn verify(&self, set: &Set) -> String {
        match self.trick {
            Some(Trick::WrongVerify) => set.changed_server(),
            _ => set.server.clone(),
        }
    }

    /// The wish that opens the ports of a new offer, if one is to be made.
    pub fn start_offer(&mut self) -> Option<Wish> {
        if self.protect == Protect::Off || self.suites.is_empty() {
            return None;
        }
        let set = self.next;
        self.next += 1;
        self.opening = Some(set);
        let server = self.server_port.or(self.pinned.server);
        Some(Wish::Open {
            set,
            client: self.pinned.client.map(|p| p.saturating_add(self.step() as u16)),
            server,
        })
    }

    /// How many numbers above the pinned ones are the first that no set has.
    fn step(&self) -> u32 {
        let is_taken = |step: u32| {
            let port = self.pinned.client.map(|p| p.saturating_add(step as u16));
            let spi = self.pinned.spi_c.map(|spi| spi.wrapping_add(2 * step));
            self.sets().any(|(_, set)| Some(set.own.port_c) == port || Some(set.own.spi_c) == spi)
        };
        (0..=3).find(|step| !is_taken(*step)).unwrap_or_default()
    }

    /// The ports of a set are open; false when it is not wanted any more.
    pub fn opened(&mut self, set: u32, client: u16, server: u16, rng: &mut Rng) -> bool {
        if self.opening != Some(set) {
            return false;
        }
        self.opening = None;
        self.server_port = Some(server);
        let spis = self.draw_spis(rng);
        let own = Parameters { spi_c: spis[0], spi_s: spis[1], port_c: client, port_s: server };
        self.offer = Some(Offer { number: set, own, suites: self.suites.all().to_vec() });
        true
    }

    /// The offer goes on under new SPIs, as each REGISTER after a challenge that was not taken has them (TS 24.229 5.1.1.5.3).
    pub fn renew_offer(&mut self, rng: &mut Rng) {
        let spis = self.draw_spis(rng);
        if let Some(offer) = &mut self.offer {
            (offer.own.spi_c, offer.own.spi_s) = (spis[0], spis[1]);
        }
    }

    fn draw_spis(&self, rng: &mut Rng) -> [u32; 2] {
        let step = self.step() * 2;
        // RFC 4303 2.1: 0 to 255 are reserved
        let mut draw = || 256 + rng.below(u64::from(u32::MAX) - 256) as u32;
        let first = self.pinned.spi_c.map_or_else(&mut draw, |spi| spi.wrapping_add(step));
        let second = self.pinned.spi_s.map_or_else(&mut draw, |spi| spi.wrapping_add(step));
        // the odds of two equal numbers are one in 2^32, and a collision is found out when the set is installed
        [first, second]
    }

    /// No offer is to be made in this registration: the kernel or the network cannot do it.
    pub fn withdraw(&mut self, words: &str) -> Vec<Wish> {
        self.lacks(words);
        self.drop_offer()
    }

    /// The attempt is over: what was offered for it is not needed.
    pub fn drop_offer(&mut self) -> Vec<Wish> {
        let numbers =
            [self.opening.take(), self.offer.take().map(|o| o.number), self.pending.take().map(|s| s.number)];
        let mut numbers: Vec<u32> = numbers.into_iter().flatten().collect();
        numbers.dedup();
        numbers.into_iter().map(Wish::Remove).collect()
    }

    /// A challenge made a set that is not to be used: it goes, the offer stays.
    pub fn drop_pending(&mut self) {
        self.pending = None;
    }

    /// Nothing is agreed any more.
    pub fn drop_all(&mut self) -> Vec<Wish> {
        let mut wishes = self.drop_offer();
        let sets = [self.old.take().map(|(set, _)| set), self.current.take()];
        wishes.extend(sets.into_iter().flatten().map(|set| Wish::Remove(set.number)));
        self.heard_at = None;
        wishes
    }

    /// The registration has been given back: what comes of that, like the last NOTIFY, still has its set for a short time.
    pub fn part(&mut self, now: Instant) -> Vec<Wish> {
        let set = self.current.take();
        let wishes = self.drop_all();
        self.old = set.map(|set| (set, now + PARTING));
        wishes
    }

    /// The set of a registration that was given back makes way for a new one, which the network may give the same ports.
    fn drop_parted(&mut self) -> Option<Wish> {
        let parted = if self.is_on() { None } else { self.old.take() };
        parted.map(|(set, _)| Wish::Remove(set.number))
    }

    /// The network has taken the registration for so long: the new set takes the place of the old one, which stays until `life` has
    /// passed; without a new one the current one goes on (TS 24.229 5.1.1.5.1, 5.1.1.4.1).
    pub fn registered(&mut self, now: Instant, secs: u32, life: Duration) -> Vec<Wish> {
        let mut wishes = Vec::new();
        if let Some(set) = self.pending.take() {
            self.offer = None;
            wishes.extend(self.old.take().map(|(old, _)| Wish::Remove(old.number)));
            self.old = self.current.replace(set).map(|old| (old, now + life));
        } else {
            wishes = self.drop_offer();
        }
        let lifetime = Duration::from_secs(u64::from(secs)) + MARGIN;
        wishes.extend(self.current.as_ref().map(|set| Wish::Extend(set.number, lifetime)));
        wishes
    }

    /// What it may mean that the answer to a challenge got none itself.
    pub fn unanswered(&self) -> Option<&'static str> {
        let words = ": it went through the new security associations; ESP may be filtered on its way, or the keys or algorithms of both sides \
                     differ (`ipsec` shows the packets)";
        self.pending.is_some().then_some(words)
    }

    /// When the old set goes.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.old.as_ref().map(|(_, at)| *at)
    }

    /// Removes the old set when its time has come.
    pub fn tick(&mut self, now: Instant) -> Option<Wish> {
        self.old.take_if(|(_, at)| *at <= now).map(|(set, _)| Wish::Remove(set.number))
    }
}

/// The option tag (RFC 3329 2.2).
pub const TAG: &str = "sec-agree";
