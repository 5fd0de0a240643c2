//! Registration: REGISTER, its challenges, its refreshes, its end (RFC 3261 10.2, TS 24.229 5.1.1).

use super::Phone;
use super::auth::{Credentials, Proof};
use super::client::Purpose;
use super::event::Event;
use super::message::{Request, SDP, host, refusal, texts};
use super::security::Refused;
use crate::settings::{Protect, Settings, Transport};
use imsbox::base::time::{Duration, Instant};
use imsbox::wire::sip::text::lossy;
use imsbox::wire::sip::{Contact, HeaderId, Message, Method, NameAddr};

/// Challenges that are answered in one attempt: one, one more for a stale nonce or a wrong answer, and a synchronisation.
const MOST_CHALLENGES: u8 = 4;
/// TS 24.229 5.1.1.5.3: no more than two challenges in a row that the card refuses are answered.
const MOST_WRONG_MACS: u8 = 2;
/// The shortest time to wait before a refresh is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// One phone here has one registration; those of a real one are two of these.
const BESIDE: &str = "the phone has a registration of the other kind: `deregister`, or start another imsbox-ue with the same settings";

/// Where the registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is none.
    Off,
    /// It is there.
    On,
}

/// An attempt under way.
#[derive(Clone, Copy, Debug, Default)]
struct Attempt {
    expires_secs: u32,
    challenges: u8,
    wrong_macs: u8,
    /// Whether it follows one that was lost.
    is_recovery: bool,
}

/// The registration.
#[derive(Debug)]
pub struct Registration {
    state: State,
    attempt: Option<Attempt>,
    call_id: String,
    tag: String,
    cseq: u32,
    credentials: Option<Credentials>,
    refresh_at: Option<Instant>,
    expires_at: Option<Instant>,
    expires_secs: u32,
    /// It is for emergency calls only (TS 24.229 5.1.6.2).
    pub(super) is_sos: bool,
    /// The public identities that the network named.
    pub identities: Vec<String>,
    /// The route of our requests (RFC 3608).
    pub service_route: Vec<String>,
}

impl Registration {
    /// None yet.
    pub fn new(call_id: String, tag: String) -> Self {
        Registration {
            state: State::Off,
            attempt: None,
            call_id,
            tag,
            cseq: 0,
            credentials: None,
            refresh_at: None,
            expires_at: None,
            expires_secs: 0,
            is_sos: false,
            identities: Vec::new(),
            service_route: Vec::new(),
        }
    }

    /// Whether the network has it.
    pub fn is_on(&self) -> bool {
        self.state == State::On
    }

    /// Whether it is for emergency calls only.
    pub fn is_for_emergency(&self) -> bool {
        self.is_on() && self.is_sos
    }

    /// Whether an attempt is under way.
    pub fn is_busy(&self) -> bool {
        self.attempt.is_some()
    }

    /// How long it lasts still.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.expires_at.map(|at| at.since(now))
    }

    /// When [`Phone::tick_registration`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let refresh = self.refresh_at.filter(|_| self.attempt.is_none());
        [refresh, self.expires_at].into_iter().flatten().min()
    }

    fn forget(&mut self) {
        self.state = State::Off;
        (self.refresh_at, self.expires_at) = (None, None);
        self.credentials = None;
        self.identities.clear();
        self.service_route.clear();
    }
}

impl Phone {
    /// Registers for so long, or gives the registration back with 0.
    pub fn register(&mut self, now: Instant, expires_secs: u32) -> Result<(), String> {
        self.register_as(now, expires_secs, self.registration.is_sos && expires_secs == 0)
    }

    /// The same, for calls of every kind or for emergency calls.
    pub(super) fn register_as(
        &mut self,
        now: Instant,
        expires_secs: u32,
        is_sos: bool,
    ) -> Result<(), String> {
        if self.registration.is_busy() {
            return Err("a registration is under way".to_owned());
        }
        if expires_secs == 0 && !self.registration.is_on() {
            return Err("the phone is not registered".to_owned());
        }
        if self.registration.is_on() && self.registration.is_sos != is_sos {
            return Err(BESIDE.to_owned());
        }
        if expires_secs == 0 && is_sos {
            // TS 24.229 5.1.6.6: the network keeps an emergency registration for its time; the phone may leave
            self.leave(now);
            return Ok(());
        }
        self.registration.is_sos = is_sos;
        if expires_secs > 0 {
            self.registration.expires_secs = expires_secs;
        }
        if !self.registration.is_on() {
            self.security.start_over();
        }
        self.registration.attempt = Some(Attempt { expires_secs, ..Attempt::default() });
        self.begin_register(now);
        Ok(())
    }

    /// Registers again for as long as before, after the registration was lost.
    pub(super) fn recover_registration(&mut self, now: Instant) {
        let expires_secs = self.registration.expires_secs;
        self.registration.forget();
        self.registration.attempt = Some(Attempt { expires_secs, is_recovery: true, ..Attempt::default() });
        self.begin_register(now);
    }

    /// Starts the attempt again from its first REGISTER.
    pub(super) fn restart_register(&mut self, now: Instant) {
        self.registration.credentials = None;
        self.begin_register(now);
    }

    pub(super) fn send_register(&mut self, now: Instant) {
        let Some(attempt) = self.registration.attempt else { return };
        self.registration.cseq += 1;
        let uri = format!("sip:{}", self.settings.domain);
        let impu = self.settings.impu.clone();
        let authorization = match &mut self.registration.credentials {
            Some(credentials) => {
                credentials.header(&self.settings.impi, "REGISTER", &uri, b"", &mut self.rng)
            }
            None => ("Authorization", self.introduction(&uri)),
        };
        let headers = vec![
            authorization,
            ("Contact", self.contact_with_features()),
            ("Expires", attempt.expires_secs.to_string()),
            // RFC 3329 2.3.1
            (
                "Supported",
                if self.settings.ipsec.protect == Protect::Off { "path" } else { "path, sec-agree" }
                    .to_owned(),
            ),
        ];
        let request = Request {
            method: Method::Register,
            uri,
            from: format!("<{impu}>;tag={}", self.registration.tag),
            to: format!("<{impu}>"),
            call_id: self.registration.call_id.clone(),
            cseq: self.registration.cseq,
            route: Vec::new(),
            headers,
            body: Vec::new(),
            kind: SDP,
            challenged: 0,
        };
        self.send_request(now, request, Purpose::Register);
    }

    /// TS 24.229 5.1.1.2.1: the first REGISTER says who it is, and which algorithm it would like, where that is set.
    fn introduction(&self, uri: &str) -> String {
        let Settings { impi, domain, digest, .. } = &self.settings;
        let wish = digest.map(|algorithm| format!(",algorithm={}", algorithm.name())).unwrap_or_default();
        format!("Digest username=\"{impi}\",realm=\"{domain}\",nonce=\"\",uri=\"{uri}\",response=\"\"{wish}")
    }

    /// The contact alone: where requests for this phone go.
    pub(super) fn contact(&self) -> String {
        let user = self.settings.impi.split('@').next().unwrap_or_default();
        self.contact_of(user, self.registration.is_sos)
    }

    /// The contact of somebody at this phone; with the mark of emergency calls (TS 24.229 5.1.6.2), or without.
    pub(super) fn contact_of(&self, user: &str, is_sos: bool) -> String {
        let transport = if self.settings.transport == Transport::Tcp { ";transport=tcp" } else { "" };
        let own = self.security.address();
        let sos = if is_sos { ";sos" } else { "" };
        format!("<sip:{user}@{}:{}{transport}{sos}>", host(own.ip()), own.port())
    }

    pub(super) fn on_register_answer(&mut self, now: Instant, answer: &Message<'_>) {
        let Some(attempt) = self.registration.attempt else { return };
        match self.security_refusal(answer) {
            Some(Refused::Again) => return self.restart_register(now),
            Some(Refused::Failed(words)) => {
                let words = format!("{}: {words}", refusal(answer));
                return self.fail_registration(now, Some(answer.status()), words);
            }
            None => {}
        }
        match answer.status() {
            200..300 => self.on_registered(now, attempt, answer),
            401 | 407 => self.on_register_challenge(now, attempt, answer),
            423 => {
                let least =
                    lossy(answer.header(HeaderId::MinExpires).unwrap_or_default()).parse().unwrap_or(0);
                if least <= attempt.expires_secs {
                    return self.fail_registration(
                        now,
                        Some(423),
                        "the time is too short for the network".into(),
                    );
                }
                self.event(Event::Notice(format!("the network asks for at least {least} s")));
                self.registration.expires_secs = least;
                self.registration.attempt = Some(Attempt { expires_secs: least, ..attempt });
                self.repeat_register(now);
            }
            code => {
                let words = self.why_refused(attempt, answer);
                self.fail_registration(now, Some(code), words);
            }
        }
    }

    fn why_refused(&self, attempt: Attempt, answer: &Message<'_>) -> String {
        let answered = self.registration.credentials.as_ref().is_some_and(Credentials::is_answer);
        let is_wrong_answer = answered && attempt.challenges > 0;
        let why = if attempt.wrong_macs > 0 {
            ": the network's key differs (K, OP or OPc): MAC of its AUTN is wrong for this SIM".to_owned()
        } else if is_wrong_answer && self.prover.card().is_some() {
            ": the network refuses the SIM's RES: K or the algorithm differs, or the length of RES".to_owned()
        } else if is_wrong_answer {
            ": the password is not the one that the network has".to_owned()
        } else if matches!(answer.status(), 403 | 404) {
            format!(": the network does not know {} as {}", self.settings.impu, self.settings.impi)
        } else {
            String::new()
        };
        refusal(answer) + &why
    }

    /// The phone has no registration any more.
    fn leave(&mut self, now: Instant) {
        self.registration.forget();
        self.watching.part(now);
        let wishes = self.security.part(now);
        self.do_all(wishes);
        self.event(Event::Deregistered);
    }

    fn on_registered(&mut self, now: Instant, attempt: Attempt, answer: &Message<'_>) {
        self.registration.attempt = None;
        self.code = Some(answer.status());
        if attempt.expires_secs == 0 {
            return self.leave(now);
        }
        let secs = self.granted(answer).unwrap_or(attempt.expires_secs);
        self.note_security(now, secs);
        if self.security.is_required() && !self.security.is_on() {
            let words = "the network has registered the phone without IPsec, which the settings require";
            self.forget_registration();
            return self.event(Event::NotRegistered(Some(answer.status()), words.to_owned()));
        }
        let is_refresh = self.registration.is_on();
        let uris = |id| texts(answer, id).iter().filter_map(|v| uri_of(v)).collect::<Vec<_>>();
        let registration = &mut self.registration;
        registration.identities = uris(HeaderId::PAssociatedUri);
        registration.service_route = texts(answer, HeaderId::ServiceRoute);
        registration.state = State::On;
        let lifetime = Duration::from_secs(u64::from(secs));
        registration.expires_at = Some(now + lifetime);
        registration.refresh_at = Some(now + lifetime / 2);
        if !registration.credentials.as_ref().is_some_and(Credentials::is_answer) {
            registration.credentials = None;
        }
        let identities = registration.identities.clone();
        self.event(Event::Registered { identities, secs, is_refresh });
        self.watch_registration(now, is_refresh);
    }

    /// How long the network keeps our contact: what it says of it, else Expires (RFC 3261 10.2.4).
    fn granted(&self, answer: &Message<'_>) -> Option<u32> {
        let own = NameAddr::parse(self.contact().as_bytes()).map(|c| lossy(c.uri_text).into_owned())?;
        let is_ours =
            |c: &Contact<'_>| lossy(c.addr.uri_text).starts_with(own.trim_end_matches(";transport=tcp"));
        let is_sos = |c: &Contact<'_>| c.addr.uri.is_some_and(|uri| uri.params.has("sos"));
        let mut contacts = answer.registered_contacts().filter(|c| is_sos(c) == self.registration.is_sos);
        let contact = contacts.find(is_ours);
        contact.and_then(|c| c.expires_secs()).or_else(|| answer.expires())
    }

    fn on_register_challenge(&mut self, now: Instant, mut attempt: Attempt, answer: &Message<'_>) {
        attempt.challenges += 1;
        self.registration.attempt = Some(attempt);
        if attempt.challenges > MOST_CHALLENGES {
            let words = "the network challenges again and again".to_owned();
            return self.fail_registration(now, Some(answer.status()), words);
        }
        let chosen = self.prover.choose(super::auth::challenges(answer));
        let proved = chosen.and_then(|challenge| Ok((self.prover.prove(&challenge)?, challenge)));
        let (proof, challenge) = match proved {
            Ok(proved) => proved,
            Err(words) => return self.fail_registration(now, Some(answer.status()), words),
        };
        match &proof {
            Proof::Password(_) | Proof::Card { .. } => self.save_card(),
            Proof::Synchronise(_, came, highest) => self.event(Event::Notice(format!(
                "the network's SQN {came:012x} is not new, the SIM is at {highest:012x}: asking it to synchronise (AUTS)"
            ))),
            Proof::WrongMac => {
                attempt.wrong_macs += 1;
                if attempt.wrong_macs == 1 {
                    self.event(Event::Notice(
                        "the network's key differs: MAC of its AUTN is wrong for this SIM".to_owned(),
                    ));
                }
            }
        }
        if attempt.wrong_macs > MOST_WRONG_MACS {
            let words = self.why_refused(attempt, answer);
            return self.fail_registration(now, Some(answer.status()), words);
        }
        self.registration.attempt = Some(attempt);
        let credentials = Credentials::new(challenge, proof);
        let keys = credentials.keys();
        let is_refused = !credentials.is_answer();
        self.registration.credentials = Some(credentials);
        if keys.is_some() || is_refused {
            return self.answer_register_challenge(now, answer, keys);
        }
        self.send_register(now);
    }

    /// A REGISTER came to nothing: nobody answered, or the connection was lost.
    pub(super) fn on_register_failed(&mut self, now: Instant, words: String) {
        let Some(attempt) = self.registration.attempt else { return };
        let is_protected = self.security.is_on();
        if is_protected && attempt.expires_secs > 0 && !attempt.is_recovery {
            return self.register_anew(now, &words);
        }
        let words = match self.security.unanswered() {
            Some(why) => format!("{words}{why}"),
            None => format!("{words}; is a P-CSCF running there, and do packets get to it?"),
        };
        self.fail_registration(now, None, words);
    }

    pub(super) fn fail_registration(&mut self, now: Instant, code: Option<u16>, words: String) {
        let Some(attempt) = self.registration.attempt.take() else { return };
        self.code = code.or(self.code);
        let wishes = self.security.drop_offer();
        self.do_all(wishes);
        let left = self.registration.remaining(now).unwrap_or_default();
        let was_refresh = self.registration.is_on() && attempt.expires_secs > 0;
        // what may pass is tried again while the registration lasts (TS 24.229 5.1.1.4)
        if was_refresh && left > RETRY * 2 && code.is_none_or(|c| c >= 500) {
            self.registration.refresh_at = Some(now + (left / 2).max(RETRY));
            return self.event(Event::Notice(format!("the registration is not refreshed: {words}")));
        }
        self.forget_registration();
        self.event(Event::NotRegistered(code, words));
    }

    /// The registration is no more, and with it what belongs to it.
    pub(super) fn forget_registration(&mut self) {
        self.registration.forget();
        self.watching.stop();
        let wishes = self.security.drop_all();
        self.do_all(wishes);
    }

    /// Registers once more for the time that was asked for last.
    pub(super) fn register_again(&mut self, now: Instant) {
        let secs = self.registration.expires_secs;
        // one that is under way, or has been made meanwhile, is as good
        if !self.registration.is_on() {
            let _ = self.register_as(now, secs, self.registration.is_sos);
        }
    }

    /// The network wants to see the phone before these seconds are over (TS 24.229 5.1.1.5.1): at half of them.
    pub(super) fn shorten_registration(&mut self, now: Instant, secs: u32) {
        let end = now + Duration::from_secs(u64::from(secs));
        if self.registration.is_busy() || self.registration.expires_at.is_none_or(|at| at <= end) {
            return;
        }
        self.registration.expires_at = Some(end);
        self.registration.refresh_at = Some(now + end.since(now) / 2);
        self.event(Event::Notice(format!("the network asks for a new registration within {secs} s")));
    }

    pub(super) fn tick_registration(&mut self, now: Instant) {
        if self.registration.expires_at.is_some_and(|at| at <= now) {
            self.forget_registration();
            self.registration.attempt = None;
            self.event(Event::NotRegistered(None, "it has expired".to_owned()));
        }
        if self.registration.refresh_at.is_some_and(|at| at <= now) && !self.registration.is_busy() {
            self.registration.refresh_at = None;
            let secs = self.registration.expires_secs;
            self.registration.attempt = Some(Attempt { expires_secs: secs, ..Attempt::default() });
            self.begin_register(now);
        }
    }
}

/// The URI of a name-addr.
fn uri_of(value: &str) -> Option<String> {
    NameAddr::parse(value.as_bytes()).map(|a| lossy(a.uri_text).into_owned())
}

/// The identity that a call is made under: the default public user identity (TS 24.229 5.1.1.4), else the configured one.
pub fn default_identity<'a>(registration: &'a Registration, impu: &'a str) -> &'a str {
    registration.identities.first().map_or(impu, String::as_str)
}
