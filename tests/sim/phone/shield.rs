//! A phone with IPsec (TS 24.229 5.1.1, TS 33.203 7): it offers, answers through the set that was offered to it, renews, and
//! forgets. Codec-free and of its own making, but for the derivation of keys.

use super::*;
use crate::kernel::{Esp, key_octets};
use imsbox::proto::sip::sec_agree::{Encryption, Integrity, Suite};

/// What a phone does wrong on purpose, attempt by attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mischief {
    /// Another K: nothing of it can be read.
    Key,
    /// Another Security-Verify than Security-Server was.
    Verify,
    /// Another Security-Client than the first.
    Client,
    /// The answer comes in clear.
    Clear,
    /// No answer.
    Silence,
    /// Nothing wrong, and de-registered soon.
    None,
}

const MISCHIEF: [Mischief; 6] =
    [Mischief::Key, Mischief::Verify, Mischief::Client, Mischief::None, Mischief::Clear, Mischief::Silence];

/// How a phone is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Style {
    /// Each set has a server port of its own.
    pub moves: bool,
    /// After a crash it draws what it drew first.
    pub repeats: bool,
    /// Its registrations go wrong in all ways.
    pub is_bad: bool,
    /// The user is challenged at each refresh.
    pub reauthenticates: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Offered,
    Active,
    Old,
    Leaving,
}

#[derive(Clone, Copy, Debug)]
struct Side {
    spi_c: u32,
    spi_s: u32,
    port_c: u16,
    port_s: u16,
}

struct Set {
    number: u64,
    stage: Stage,
    own: Side,
    other: Side,
    /// Security-Server as it came.
    agreed: String,
    keys: Vec<u8>,
    until: Instant,
}

/// What a REGISTER goes through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Clear,
    Through(u64),
}

/// The IPsec of one phone.
pub struct Shield {
    pub style: Style,
    /// Where it is without IPsec.
    pub clear: SocketAddr,
    server: std::net::IpAddr,
    base: u32,
    drawn: u32,
    attempts: usize,
    offer: Option<(Side, String)>,
    sets: Vec<Set>,
    next_number: u64,
    ways: HashMap<String, Way>,
    /// The branch of the last REGISTER: answers to those before it come too late.
    latest: String,
    /// CK and IK of the last challenge.
    pub(super) keys: Option<([u8; 16], [u8; 16])>,
}

/// How a message of a phone leaves.
pub enum Sealed {
    Clear(SocketAddr),
    /// In ESP; the response is to come to this address.
    Esp(Esp, SocketAddr, String),
    /// There is no set for it: not at all.
    Dropped,
}

fn number(value: &str, name: &str) -> u32 {
    let found = parameter(value, name).unwrap_or_else(|| panic!("no {name} in {value}"));
    found.parse().unwrap_or_else(|_| panic!("{name} in {value}"))
}

impl Shield {
    fn draw(&mut self) -> (Side, String) {
        let n = self.drawn;
        self.drawn += 1;
        let (spi, port_c) = (self.base + 2 * n, 30_000 + n as u16);
        let port_s = if self.style.moves { 40_000 + n as u16 } else { 31_900 };
        let side = Side { spi_c: spi, spi_s: spi + 1, port_c, port_s };
        let mechanism = |alg: &str, ealg: &str| {
            format!(
                "ipsec-3gpp;alg={alg};ealg={ealg};spi-c={};spi-s={};port-c={port_c};port-s={port_s}",
                side.spi_c, side.spi_s
            )
        };
        let text = match n % 3 {
            0 => mechanism("hmac-sha-1-96", "aes-cbc"),
            1 => mechanism("hmac-md5-96", "null"),
            _ => mechanism("hmac-md5-96", "null") + ", " + &mechanism("hmac-sha-1-96", "null"),
        };
        (side, text)
    }

    fn set(&self, number: u64) -> Option<&Set> {
        self.sets.iter().find(|s| s.number == number)
    }

    fn newest(&self, stage: Stage) -> Option<&Set> {
        self.sets.iter().rev().find(|s| s.stage == stage)
    }

    /// The set for all that is not REGISTER.
    fn usual(&self) -> Option<&Set> {
        let stages = [Stage::Active, Stage::Leaving, Stage::Old];
        stages.into_iter().find_map(|stage| self.newest(stage))
    }

    fn mischief(&self) -> Mischief {
        if self.style.is_bad { MISCHIEF[self.attempts % MISCHIEF.len()] } else { Mischief::None }
    }

    /// The set that a challenge offers.
    fn accept(&mut self, now: Instant, server: &str) -> u64 {
        let (own, _) = self.offer.clone().expect("a challenge answers an offer");
        let (ck, ik) = self.keys.expect("a challenge has keys");
        let suite = Suite::new(
            by_name(Integrity::ALL.into_iter(), parameter(server, "alg")),
            by_name(Encryption::ALL.into_iter(), parameter(server, "ealg")),
        );
        let keys = key_octets(&suite.expect("a pair that goes together").keys(&ck, &ik));
        let port = |name| number(server, name) as u16;
        let other = Side {
            spi_c: number(server, "spi-c"),
            spi_s: number(server, "spi-s"),
            port_c: port("port-c"),
            port_s: port("port-s"),
        };
        for spi in [other.spi_c, other.spi_s] {
            assert!(spi != own.spi_c && spi != own.spi_s, "TS 33.203 7.2: the phone's own SPI {spi}");
        }
        self.sets.retain(|s| s.stage != Stage::Offered);
        self.next_number += 1;
        let until = now + Duration::from_secs(240);
        let agreed = server.to_owned();
        self.sets.push(Set {
            number: self.next_number,
            stage: Stage::Offered,
            own,
            other,
            agreed,
            keys,
            until,
        });
        self.next_number
    }

    /// The registration came through this set.
    fn carry(&mut self, now: Instant, number: u64) {
        for set in &mut self.sets {
            if set.number == number {
                (set.stage, set.until) = (Stage::Active, now + Duration::from_secs(86_400));
            } else if set.stage == Stage::Active {
                (set.stage, set.until) = (Stage::Old, now + GIVE_UP);
            }
        }
        self.sets.retain(|s| s.stage != Stage::Offered && s.until > now);
    }

    fn leave(&mut self, now: Instant) {
        for set in &mut self.sets {
            (set.stage, set.until) = (Stage::Leaving, now + Duration::from_secs(20));
        }
    }

    pub fn forget(&mut self) {
        self.sets.clear();
        self.offer = None;
        if self.style.repeats {
            self.drawn = 0;
        }
    }
}

fn by_name<A: imsbox::proto::sip::sec_agree::Named + Copy>(
    mut all: impl Iterator<Item = A>,
    name: Option<&str>,
) -> A {
    let name = name.expect("Security-Server names the algorithms");
    all.find(|a| a.name() == name).unwrap_or_else(|| panic!("{name} is no algorithm"))
}

impl Phone {
    /// The phone registers through IPsec.
    pub fn shielded(self, style: Style) -> Self {
        let server = if self.addr.is_ipv4() { "10.0.0.1" } else { "2001:db8::1" };
        let clear = self.addr;
        let shield = Shield {
            style,
            clear,
            server: server.parse().expect("an address"),
            base: 100_000,
            drawn: 0,
            attempts: 0,
            offer: None,
            sets: Vec::new(),
            next_number: 0,
            ways: HashMap::new(),
            latest: String::new(),
            keys: None,
        };
        Phone { addr: SocketAddr::new(clear.ip(), 31_900), shield: Some(shield), ..self }
    }

    /// Where it is without IPsec.
    pub fn clear_addr(&self) -> SocketAddr {
        self.shield.as_ref().map_or(self.addr, |s| s.clear)
    }

    /// Whether this is the phone's address, or one of its ports.
    pub fn is_at(&self, addr: SocketAddr) -> bool {
        self.addr == addr || self.shield.is_some() && self.addr.ip() == addr.ip()
    }

    pub fn reauthenticates(&self) -> bool {
        self.shield.as_ref().is_some_and(|s| s.style.reauthenticates)
    }

    pub fn is_bad(&self) -> bool {
        self.shield.as_ref().is_some_and(|s| s.style.is_bad)
    }

    /// The first SPI of the set in use.
    pub fn active_spi(&self) -> Option<u32> {
        self.shield.as_ref()?.newest(Stage::Active).map(|s| s.own.spi_c)
    }

    /// How a message leaves that this phone sends.
    pub fn seal(&self, octets: &str) -> Sealed {
        let Some(shield) = &self.shield else { return Sealed::Clear(self.addr) };
        let text = Text::read(octets.as_bytes());
        let is_request = text.code() == 0;
        let way = shield.ways.get(text.branch()).filter(|_| is_request);
        let set = match way {
            Some(Way::Clear) => return Sealed::Clear(shield.clear),
            Some(Way::Through(number)) => shield.set(*number),
            None => shield.usual(),
        };
        let Some(set) = set else { return Sealed::Dropped };
        let at = |ip, port| SocketAddr::new(ip, port);
        let (ue, server) = (shield.clear.ip(), shield.server);
        // over TCP answers go back on the connection that the server opened
        let esp = match self.tcp && !is_request {
            true => {
                let (from, to) = (at(ue, set.own.port_s), at(server, set.other.port_c));
                Esp { from, to, spi: set.other.spi_c, keys: set.keys.clone() }
            }
            false => {
                let (from, to) = (at(ue, set.own.port_c), at(server, set.other.port_s));
                Esp { from, to, spi: set.other.spi_s, keys: set.keys.clone() }
            }
        };
        Sealed::Esp(esp, at(ue, set.own.port_s), set.agreed.clone())
    }

    /// Whether a packet passes: in ESP of a set of ours; in clear, whatever comes to the clear port.
    pub fn opens(&self, now: Instant, esp: Option<&Esp>) -> bool {
        let Some((shield, esp)) = self.shield.as_ref().zip(esp) else {
            return self.shield.is_none() || esp.is_none();
        };
        shield.sets.iter().filter(|s| s.until > now).any(|s| {
            let client = (s.other.port_s, s.own.port_c, s.own.spi_c);
            let server = (s.other.port_c, s.own.port_s, s.own.spi_s);
            let came = (esp.from.port(), esp.to.port(), esp.spi);
            (came == client || came == server) && s.keys == esp.keys
        })
    }

    /// A new attempt to register, refresh or de-register.
    pub(super) fn begin_shielded(&mut self, now: Instant, want: &mut Wants) {
        let shield = self.shield.as_mut().expect("the caller has seen it");
        shield.sets.retain(|s| s.until > now && s.stage != Stage::Offered);
        if shield.style.is_bad && !self.wants_registration && !self.registered {
            return;
        }
        shield.attempts += usize::from(self.wants_registration);
        shield.offer = Some(shield.draw());
        let way = shield.newest(Stage::Active).map_or(Way::Clear, |s| Way::Through(s.number));
        self.register_shielded(now, way, want);
    }

    fn register_shielded(&mut self, now: Instant, way: Way, want: &mut Wants) {
        self.register_cseq += 1;
        let branch = self.fresh("z9hG4bK");
        let authorization = self.authorization.take().unwrap_or_default();
        let expires = if self.wants_registration { EXPIRES } else { 0 };
        let shield = self.shield.as_mut().expect("the caller has seen it");
        let mischief = shield.mischief();
        let ip = shield.clear.ip();
        let (offered, mut offer) = shield.offer.clone().expect("an attempt begins with an offer");
        let set = match way {
            Way::Clear => None,
            Way::Through(number) => shield.set(number),
        };
        let mut verify = set.map(|s| format!("Security-Verify: {}\r\n", s.agreed)).unwrap_or_default();
        if set.is_some_and(|s| s.stage == Stage::Offered) {
            match mischief {
                Mischief::Verify => verify = verify.replace("spi-c=", "spi-c=1"),
                Mischief::Client => offer = offer.replace("spi-s=", "spi-s=1"),
                _ => {}
            }
        }
        let port = set.map_or(offered.port_s, |s| s.own.port_s);
        let via = if set.is_some() { SocketAddr::new(ip, port) } else { shield.clear };
        shield.ways.insert(branch.clone(), way);
        shield.latest.clone_from(&branch);
        let contact = self.contact_at(SocketAddr::new(ip, port));
        let (name, user, transport) = (&self.name, &self.user, self.transport());
        let octets = format!(
            "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/{transport} {via};branch={branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{DOMAIN}>;tag=r{name}\r\nTo: <sip:{user}@{DOMAIN}>\r\nCall-ID: reg-{name}\r\n\
             CSeq: {c} REGISTER\r\nContact: {contact}{features};+sip.instance=\"<urn:uuid:{user}>\";expires={expires}\r\n\
             Require: sec-agree\r\nProxy-Require: sec-agree\r\nSupported: path,sec-agree\r\nSecurity-Client: {offer}\r\n{verify}\
             {authorization}Content-Length: 0\r\n\r\n",
            c = self.register_cseq,
            features = self.features(),
        );
        self.start(now, branch, "REGISTER", octets, Purpose::Register, want);
    }

    pub(super) fn on_shielded_answer(&mut self, now: Instant, code: u16, text: &Text, want: &mut Wants) {
        let shield = self.shield.as_mut().expect("the caller has seen it");
        let way = shield.ways.get(text.branch()).copied().expect("each REGISTER has its way");
        if shield.latest != text.branch() {
            return;
        }
        match (code, way) {
            (200, Way::Clear) => panic!("{}: registered without IPsec", self.name),
            (200, Way::Through(number)) => self.on_shielded_success(now, number, text),
            (401, _) => self.on_shielded_challenge(now, way, text, want),
            _ => self.on_shielded_failure(now, code, text.branch()),
        }
    }

    fn on_shielded_success(&mut self, now: Instant, number: u64, text: &Text) {
        let shield = self.shield.as_mut().expect("the caller has seen it");
        assert_eq!(shield.mischief(), Mischief::None, "{}: registered all the same", self.name);
        let renewed = shield.set(number).is_some_and(|s| s.stage == Stage::Offered);
        self.challenges = 0;
        self.registered = self.wants_registration;
        shield.carry(now, number);
        let own = text.all("Contact").any(|c| c.contains(&format!("sip:{}@", self.name)));
        if !self.wants_registration {
            shield.leave(now);
            assert!(!own, "{}: still bound after de-registration", self.name);
            if shield.style.is_bad && !self.has_left {
                self.wants_registration = true;
                self.timers.push((now + Duration::from_secs(20), Timer::Register));
            }
            return;
        }
        assert!(own, "{}: no Contact in 200", self.name);
        assert!(text.get("Service-Route").contains(":610"), "{}: {}", self.name, text.get("Service-Route"));
        self.seen.registered += 1;
        self.seen.shielded += 1;
        self.seen.renewed += u64::from(renewed && shield.sets.len() > 1);
        let port = shield.newest(Stage::Active).map_or(0, |s| s.own.port_s);
        self.addr.set_port(port);
        let wait = if shield.style.is_bad { 40 } else { EXPIRES / 4 };
        self.wants_registration = !shield.style.is_bad;
        self.timers.push((now + Duration::from_secs(wait), Timer::Register));
        if self.known_contacts().is_none() {
            self.subscribe_in(now, 0);
        }
    }

    fn on_shielded_challenge(&mut self, now: Instant, way: Way, text: &Text, want: &mut Wants) {
        self.challenges += 1;
        let (name, server) = (self.name.clone(), text.get("Security-Server").to_owned());
        assert!(
            way != Way::Clear || !server.is_empty(),
            "{name}: an offer of IPsec was challenged without it"
        );
        let is_mischief = self.shield.as_ref().map_or(Mischief::None, Shield::mischief);
        if self.challenges > 4 || is_mischief == Mischief::Silence {
            return self.on_shielded_failure(now, 401, text.branch());
        }
        self.authorization = Some(self.authorize(text.get("WWW-Authenticate")));
        let shield = self.shield.as_mut().expect("the caller has seen it");
        if is_mischief == Mischief::Key {
            shield.keys = Some(([1; 16], [2; 16]));
        }
        let way = match server.as_str() {
            "" => way,
            server => Way::Through(shield.accept(now, server)),
        };
        let way = if is_mischief == Mischief::Clear { Way::Clear } else { way };
        self.register_shielded(now, way, want);
    }

    /// No answer counts as 408. What came through the set in use and is refused or lost ends that: the phone begins again in clear.
    pub(super) fn on_shielded_failure(&mut self, now: Instant, code: u16, branch: &str) {
        let shield = self.shield.as_mut().expect("the caller has seen it");
        if shield.latest != branch {
            return;
        }
        let way = shield.ways.get(branch).copied();
        let through = way.and_then(|way| match way {
            Way::Clear => None,
            Way::Through(number) => shield.set(number),
        });
        let was_active = through.is_some_and(|s| s.stage == Stage::Active);
        shield.sets.retain(|s| s.stage != Stage::Offered);
        if was_active && matches!(code, 403 | 408 | 481 | 494) {
            shield.forget();
            self.registered = false;
        }
        self.seen.refusals += u64::from(code != 408);
        self.authorization = None;
        let wait = if shield.style.is_bad { 20 } else { 10 };
        if !self.has_left || self.registered {
            self.timers.push((now + Duration::from_secs(wait), Timer::Register));
        }
    }
}
