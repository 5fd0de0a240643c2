//! Authentication of requests: digest with a password or with AKA (RFC 3261 22, RFC 2617, RFC 7616, RFC 3310, TS 24.229 5.4.1.2,
//! TS 33.203 6.1).
//!
//! A nonce is ours while the challenge that carried it waits in `challenge`, or its seal tells so: an AKA nonce serves one
//! answer, another serves as long as its count rises. A wrong answer gets one fresh challenge, then 403, and a log line that says what is wrong.

pub mod card;
pub mod challenge;
mod diagnose;
pub mod policy;
mod seal;
mod sequence;
mod slip;
mod throttle;

use crate::base::time::{Instant, UnixTime};
use crate::base::trace::{Level, Subject};
use crate::config::model::{AuthentType, User};
use crate::crypto::aka::{self, Vector};
use crate::crypto::hex;
use crate::ims::disk::Disk;
use crate::ims::limits::{AWAIT_AUTH, MAX_FAILURES_PER_SOURCE, MAX_RESYNCS, MAX_WRONG_ANSWERS};
use crate::ims::persist::{self, Misfit};
use crate::ims::subscriber::{Subscribers, UserId};
use crate::ims::tokens::Tokens;
use crate::ims::trouble::Troubles;
use crate::proto::cx::Cx;
use crate::proto::sip::digest::{Algorithm, Challenge, Credentials, aka as aka_digest};
use crate::wire::sip::text::lossy;
use crate::wire::sip::{HeaderId, Message};
use card::{Card, Claim};
use challenge::{Challenges, NonceText, Pending};
use policy::NoKeys;
use sequence::{Drawn, NoVector, Sequences};
use std::net::IpAddr;
use throttle::Throttle;

/// Which pair of headers carries the challenge and its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// 401, WWW-Authenticate, Authorization.
    Www,
    /// 407, Proxy-Authenticate, Proxy-Authorization.
    Proxy,
}

impl Family {
    /// The one that the user's REGISTER is challenged with.
    pub const fn of(user: &User) -> Family {
        if user.proxy_auth { Family::Proxy } else { Family::Www }
    }

    /// The status of a challenge.
    pub const fn status(self) -> u16 {
        match self {
            Family::Www => 401,
            Family::Proxy => 407,
        }
    }

    /// The header of a challenge.
    pub const fn challenge_header(self) -> &'static str {
        match self {
            Family::Www => "WWW-Authenticate",
            Family::Proxy => "Proxy-Authenticate",
        }
    }
}

/// What a request's credentials are worth.
#[derive(Debug)]
pub enum Outcome {
    /// It is the user.
    Passed {
        /// How that was found: `none` or the algorithm.
        how: &'static str,
        /// The value of Authentication-Info for the answer, when the client can check it (RFC 7616 3.5).
        info: Option<String>,
    },
    /// A challenge to answer.
    Challenge(Challenged),
    /// No more challenges: 403, or 500 when the configuration has no keys.
    Refused {
        /// The status.
        status: u16,
        /// For the reason phrase.
        reason: &'static str,
    },
    /// Its host has given too many wrong answers lately: 503, nothing was looked at.
    TurnedAway {
        /// Until when: Retry-After, seconds.
        wait_secs: u64,
    },
}

/// A challenge that was made.
#[derive(Debug)]
pub struct Challenged {
    /// The value of its header.
    pub value: Vec<u8>,
    /// Its nonce.
    pub nonce: NonceText,
    /// CK and IK, when it is one of AKA: they protect what follows (TS 33.203 6.1).
    pub keys: Option<([u8; 16], [u8; 16])>,
    /// The record that the challenge waits for, see [`sequence::Drawn`].
    pub ticket: Option<u64>,
}

/// Everything that the checks write on, lent by the core.
pub struct AuthCx<'a, 'b> {
    /// The context.
    pub cx: &'a mut Cx<'b>,
    /// Unguessable values.
    pub tokens: &'a mut Tokens,
    /// Where troubles are told.
    pub troubles: &'a mut Troubles,
    /// What the disk has of sequence numbers.
    pub disk: &'a Disk,
}

/// Challenges under way, and the sequence numbers of the SIMs.
#[derive(Debug, Default)]
pub struct Auth {
    challenges: Challenges,
    sequences: Sequences,
    throttle: Throttle,
}

/// Who is challenged, and judged.
#[derive(Clone, Copy)]
struct Who<'a> {
    card: Card,
    source: IpAddr,
    profile: &'a User,
    /// Whether the answer to a challenge with keys counts only through security associations.
    is_offered: bool,
}

/// A round of a user's attempt: what led to the next challenge.
#[derive(Clone, Copy, Default)]
struct Round {
    wrong: u8,
    resyncs: u8,
    stale: bool,
    proposed: Option<Algorithm>,
}

/// A nonce that was made.
struct Minted {
    rand: [u8; 16],
    nonce: NonceText,
    vector: Option<Vector>,
    ticket: Option<u64>,
}

/// The digest credentials of a request, in whichever header they stand: the ones with a nonce before those without.
pub fn credentials<'m>(message: &Message<'m>) -> Option<Credentials<'m>> {
    let headers =
        message.headers(HeaderId::Authorization).chain(message.headers(HeaderId::ProxyAuthorization));
    let mut found = None;
    for credentials in headers.filter_map(Credentials::parse) {
        if !credentials.nonce.is_empty() {
            return Some(credentials);
        }
        found = found.or(Some(credentials));
    }
    found
}

impl Auth {
    /// Judges a request that claims to be a user's.
    pub fn check(
        &mut self,
        to: &mut AuthCx<'_, '_>,
        subscribers: &Subscribers,
        claim: &Claim,
        message: &Message<'_>,
    ) -> Outcome {
        let profile = subscribers.user(claim.user);
        if profile.authent_type == AuthentType::None {
            return Outcome::Passed { how: "none", info: None };
        }
        let given = credentials(message);
        let proposed = given.and_then(|c| c.algorithm);
        let card = Card::of(profile, claim, message);
        let who = Who { card, source: claim.source, profile, is_offered: claim.is_offered };
        let fresh = Round { proposed, ..Round::default() };
        let Some(given) = given.filter(|c| !c.nonce.is_empty()) else {
            return self.challenge(to, who, fresh);
        };
        let now = to.cx.now;
        if let Some(wait_secs) = self.throttle.wait_secs(claim.source, now) {
            return Outcome::TurnedAway { wait_secs };
        }
        if self.challenges.find(card, given.nonce, now).is_none() {
            match self.returning(to.tokens, who, &given, now) {
                Some(pushed_out) => self.challenges.add(pushed_out),
                None => return self.on_unknown_nonce(to, who, &given, message),
            }
        }
        let pending = self.challenges.find(card, given.nonce, now).expect("it was there, or came back");
        let is_bare = pending.is_protected && !claim.is_protected;
        // a SIM that finds the challenge wrong has no keys to say so with (TS 24.229 5.1.1.5.3)
        let is_silence = given.response.is_empty() && pending.source == claim.source;
        if let Some(auts) = given.auts.filter(|_| pending.vector.is_some()) {
            return self.on_auts(to, who, &given, auts, (message, is_bare));
        }
        if is_bare && !is_silence {
            return self.on_bare(to, who);
        }
        let secret = secret(profile, pending);
        let right = secret.as_ref().is_some_and(|secret| {
            given.verify(pending.algorithm, message.method_token(), message.body(), secret)
        });
        if !right || !policy::takes_qop(profile, given.qop) {
            return self.on_wrong(to, who, &given, message, claim.is_last);
        }
        let secret = secret.unwrap_or_default();
        self.on_right(to, who, &given, &secret, claim.fresh_each_time)
    }

    /// Whether a challenge with this nonce waits for an answer of the user's.
    pub fn is_pending(&mut self, user: UserId, nonce: &[u8]) -> bool {
        self.challenges.of_nonce(user, nonce).is_some()
    }

    /// Takes a sequence number that was stored before a restart, and the name that it was stored under. The error says what does
    /// not fit.
    pub fn restore_sqn(
        &mut self,
        to: &mut AuthCx<'_, '_>,
        subscribers: &Subscribers,
        name: &str,
        value: &str,
    ) -> Result<(), Misfit> {
        let (impi, phone) = persist::read_sqn_key(name);
        let numbers = persist::read_sqn(value).ok_or_else(|| Misfit::damaged("no sequence number in it"))?;
        let user = subscribers.by_impi(impi.as_bytes()).ok_or(Misfit::NoUser)?;
        let profile = subscribers.user(user);
        if phone.is_some() && !profile.multi_sim {
            return Err(format!("{impi} is not multi_sim any more").into());
        }
        self.sequences.restore(to, Card { user, phone }, profile, numbers);
        Ok(())
    }

    /// What there is to say of a user whose sequence numbers the disk has not taken: since when, and the words.
    pub fn lag(&self, user: UserId, disk: &Disk) -> Option<(UnixTime, String)> {
        self.sequences.lag(user, disk)
    }

    /// The user is to prove itself anew: no nonce that has served serves again.
    pub fn forget_proof(&mut self, user: UserId, now: Instant) {
        self.challenges.spend_used(user, now);
    }

    /// Forgets challenges whose time is over, and tells of those that nobody ever answered.
    pub fn tick(&mut self, cx: &mut Cx<'_>, subscribers: &Subscribers, troubles: &mut Troubles) {
        while let Some((user, expired)) = self.challenges.pop_expired(cx.now) {
            if expired.accepted_count == 0 {
                let profile = subscribers.user(user);
                let cause = diagnose::no_answer(profile, expired.vector.is_some());
                let words = format_args!("{} has not answered its challenge: {cause}", profile.impi);
                troubles.mention(cx, Level::Info, words);
            }
        }
    }

    /// When [`Auth::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.challenges.next_deadline()
    }

    /// How many challenges wait for an answer.
    pub fn pending(&self) -> usize {
        self.challenges.len()
    }

    /// The challenge with this nonce, when it is ours and was pushed out of the table before it served.
    fn returning(
        &self,
        tokens: &Tokens,
        who: Who<'_>,
        given: &Credentials<'_>,
        now: Instant,
    ) -> Option<Pending> {
        let Who { card, source, profile, .. } = who;
        let opened = seal::open(tokens, card, given.nonce, now)?;
        let may = self.challenges.may_return(card.user, &opened.0);
        may.then(|| seal::challenge(profile, card, given, opened, source, now))?
    }

    /// A nonce that is not ours, or no longer: `stale` tells a client with the right password that it need not ask for it
    /// (RFC 7616 3.3).
    fn on_unknown_nonce(
        &mut self,
        to: &mut AuthCx<'_, '_>,
        who: Who<'_>,
        given: &Credentials<'_>,
        message: &Message<'_>,
    ) -> Outcome {
        let proposed = given.algorithm;
        let algorithm = proposed.unwrap_or(Algorithm::Md5);
        let password = who.profile.password.as_ref().filter(|_| algorithm.aka().is_none());
        let is_right = password.is_some_and(|password| {
            given.verify(algorithm, message.method_token(), message.body(), password.as_bytes())
        });
        // who may try passwords on nonces of its own must not be told for ever which of them is right
        let may_know = password.is_none() || self.throttle.on_stray(who.source, to.cx.now);
        self.challenge(to, who, Round { stale: is_right && may_know, proposed, ..Round::default() })
    }

    /// The answer came in clear, though security associations were offered with the challenge: somebody may have taken the offer
    /// out on its way (RFC 3329 4). The challenge still waits for the answer that comes through them: who has only read its nonce
    /// cannot spoil the registration.
    fn on_bare(&mut self, to: &mut AuthCx<'_, '_>, who: Who<'_>) -> Outcome {
        to.troubles.tell(to.cx, Some(who.card.user), || {
            let impi = &who.profile.impi;
            format!(
                "{impi}: refused with 403: the answer to a challenge with Security-Server came without IPsec"
            )
        });
        Outcome::Refused { status: 403, reason: "IPsec was agreed" }
    }

    /// The answer is that of the user: it counts unless it was there before.
    fn on_right(
        &mut self,
        to: &mut AuthCx<'_, '_>,
        who: Who<'_>,
        given: &Credentials<'_>,
        secret: &[u8],
        fresh_each_time: bool,
    ) -> Outcome {
        let Who { card, profile, .. } = who;
        let now = to.cx.now;
        let pending = self.challenges.find(card, given.nonce, now).expect("the caller found it");
        let counted = given.qop.and_then(|_| given.nonce_count());
        let count = counted.unwrap_or(0);
        if count <= pending.accepted_count && pending.accepted_count > 0 {
            // RFC 7616 3.3 nc: a count that was there before is a replay
            let words = match counted {
                Some(count) => format!("nonce count {count} again, a replay"),
                None => "an answer without a nonce count to a nonce that has served".to_owned(),
            };
            to.troubles.mention(to.cx, Level::Warn, format_args!("{}: {words}", profile.impi));
            let round = Round { stale: true, proposed: given.algorithm, ..Round::default() };
            return self.challenge(to, who, round);
        }
        if let Some(nc) = given.nc.filter(|_| given.qop.is_some() && counted.is_none()) {
            let nc = lossy(&nc[..nc.len().min(16)]);
            let words =
                format_args!("{}: nc {nc} is no hexadecimal number, so its nonce serves once", profile.impi);
            to.troubles.mention(to.cx, Level::Info, words);
        }
        let how = pending.algorithm.name();
        let info = authentication_info(given, pending.algorithm, secret);
        let is_aka = pending.vector.is_some();
        if is_aka || count == 0 || fresh_each_time {
            let rand = pending.rand;
            self.challenges.take(card, given.nonce);
            self.challenges.spend(card.user, rand, now);
        } else {
            pending.accepted_count = count;
        }
        if is_aka {
            self.sequences.confirm(to, card, profile);
        }
        Outcome::Passed { how, info }
    }

    fn on_wrong(
        &mut self,
        to: &mut AuthCx<'_, '_>,
        who: Who<'_>,
        given: &Credentials<'_>,
        message: &Message<'_>,
        is_last: bool,
    ) -> Outcome {
        let Who { card, profile, .. } = who;
        let Some(pending) = self.challenges.take(card, given.nonce) else {
            return self.challenge(to, who, Round::default());
        };
        self.count_failure(to, pending.source);
        let last = is_last || pending.wrong >= MAX_WRONG_ANSWERS;
        let words = diagnose::wrong_answer(profile, &pending, given, message);
        if last {
            to.troubles
                .tell(to.cx, Some(card.user), || format!("{}: refused with 403: {words}", profile.impi));
            return Outcome::Refused { status: 403, reason: "Authentication failed" };
        }
        // some give up here: what is wrong is said now, and stays with the user
        let words = format!("{}: wrong answer, challenged once more: {words}", profile.impi);
        to.troubles.mention(to.cx, Level::Warn, format_args!("{words}"));
        to.troubles.note(to.cx.wall, card.user, words);
        let round = Round {
            wrong: pending.wrong + 1,
            resyncs: pending.resyncs,
            stale: false,
            proposed: Some(pending.algorithm),
        };
        self.challenge(to, who, round)
    }

    /// RFC 3310 3.4, TS 33.102 6.3.5: the SIM found SQN out of range and tells its own. MAC-S proves that, on a request with or
    /// without protection; the response beside it, of an empty password, proves nothing and need not be right. `is_bare`: it came in
    /// clear, where security associations were offered for the answer; anybody who has read the challenge may have sent it.
    fn on_auts(
        &mut self,
        to: &mut AuthCx<'_, '_>,
        who: Who<'_>,
        given: &Credentials<'_>,
        auts: &[u8],
        (message, is_bare): (&Message<'_>, bool),
    ) -> Outcome {
        let Who { card, profile, .. } = who;
        let pending = self.challenges.take(card, given.nonce).expect("the caller found it");
        let rand = pending.vector.as_ref().expect("the caller saw the vector").rand;
        let sim = profile.sim.as_ref().and_then(|sim| policy::sim(sim).ok());
        let auts = aka_digest::parse_auts(auts);
        let found = sim.zip(auts).and_then(|(sim, auts)| aka::resynchronise(&sim, &rand, &auts).ok());
        let Some(sqn_ms) = found.filter(|_| pending.resyncs < MAX_RESYNCS) else {
            match found {
                // who is to answer has done nothing yet
                None if is_bare => self.challenges.add(pending),
                _ => self.count_failure(to, pending.source),
            }
            let words = match found {
                Some(_) => "the SIM asks for SQN again and again".to_owned(),
                None => diagnose::wrong_auts(profile, &rand, auts.as_ref()),
            };
            to.troubles
                .tell(to.cx, Some(card.user), || format!("{}: refused with 403: {words}", profile.impi));
            return Outcome::Refused { status: 403, reason: "Authentication failed" };
        };
        to.cx.ims(
            Level::Info,
            Subject::None,
            format_args!("{}: SQN re-synchronised to {sqn_ms:012x} of the SIM", profile.impi),
        );
        let is_regular = given.response.is_empty()
            || given.verify(pending.algorithm, message.method_token(), message.body(), b"");
        if !is_regular {
            let words = "the response beside auts is not the one of an empty password (RFC 3310 3.4); taken all the same";
            to.cx.ims(Level::Info, Subject::None, format_args!("{}: {words}", profile.impi));
        }
        self.challenges.spend(card.user, rand, to.cx.now);
        self.sequences.resynchronise(to, card, profile, sqn_ms);
        let round = Round {
            wrong: pending.wrong,
            resyncs: pending.resyncs + 1,
            stale: false,
            proposed: Some(pending.algorithm),
        };
        self.challenge(to, who, round)
    }

    /// Counts a wrong answer to a challenge that went to `source`, and says so when it was the last one that is judged.
    fn count_failure(&mut self, to: &mut AuthCx<'_, '_>, source: IpAddr) {
        if !self.throttle.on_wrong(source, to.cx.now) {
            return;
        }
        let secs = self.throttle.wait_secs(source, to.cx.now).unwrap_or_default();
        to.troubles.mention(
            to.cx,
            Level::Warn,
            format_args!(
                "{source} has given {MAX_FAILURES_PER_SOURCE} wrong answers to challenges; for {secs} s its credentials are \
                 refused with 503"
            ),
        );
    }

    fn challenge(&mut self, to: &mut AuthCx<'_, '_>, who: Who<'_>, round: Round) -> Outcome {
        let Who { card, source, profile, .. } = who;
        // the keys of IPsec come from the SIM: who offers it has one, also where the user has a password for other clients
        let proposed = round.proposed.or(who.is_offered.then_some(Algorithm::AkaV1Md5));
        let made = policy::algorithm(profile, proposed)
            .map_err(NoVector::from)
            .and_then(|algorithm| Ok((algorithm, self.nonce(to, who, algorithm)?)));
        let (algorithm, Minted { rand, nonce, vector, ticket }) = match made {
            Ok(made) => made,
            Err(why) => return on_no_vector(to, card.user, why),
        };
        let mut value = Vec::with_capacity(160);
        Challenge {
            realm: &profile.domain,
            nonce: &nonce,
            algorithm,
            qop: &policy::offered_qop(profile),
            stale: round.stale,
            opaque: None,
        }
        .write(&mut value);
        let keys = vector.as_ref().map(|v| (v.ck, v.ik));
        self.challenges.add(Pending {
            card,
            source,
            nonce,
            rand,
            algorithm,
            vector,
            expires_at: to.cx.now + AWAIT_AUTH,
            wrong: round.wrong,
            resyncs: round.resyncs,
            accepted_count: 0,
            is_protected: who.is_offered && keys.is_some(),
        });
        Outcome::Challenge(Challenged { value, nonce, keys, ticket })
    }

    fn nonce(
        &mut self,
        to: &mut AuthCx<'_, '_>,
        who: Who<'_>,
        algorithm: Algorithm,
    ) -> Result<Minted, NoVector> {
        let is_aka = algorithm.aka().is_some();
        let rand = to.tokens.sealed(to.cx.rng, &seal::label(who.card, is_aka && who.is_offered, to.cx.now));
        if !is_aka {
            return Ok(Minted { rand, nonce: hex::encode(&rand), vector: None, ticket: None });
        }
        let (vector, ticket) = self.vector(to, who, &rand)?;
        let nonce = aka_digest::nonce(&rand, &vector.autn);
        Ok(Minted { rand, nonce, vector: Some(vector), ticket })
    }

    /// The next vector of the user's SIM, and the record that it waits for.
    fn vector(
        &mut self,
        to: &mut AuthCx<'_, '_>,
        who: Who<'_>,
        rand: &[u8; 16],
    ) -> Result<(Vector, Option<u64>), NoVector> {
        let Who { card, profile, .. } = who;
        let named = |NoKeys(words)| NoKeys(format!("IMPI {}: {words}", profile.impi));
        let configured = profile.sim.as_ref().ok_or_else(|| named(NoKeys("it has no SIM keys".into())))?;
        let sim = policy::sim(configured).map_err(named)?;
        let Drawn { sqn, ticket } = self.sequences.next(to, card, profile, configured)?;
        Ok((aka::generate(&sim, rand, sqn), ticket))
    }
}

/// There is no challenge with a SIM's keys now.
fn on_no_vector(to: &mut AuthCx<'_, '_>, user: UserId, why: NoVector) -> Outcome {
    let (status, reason, words) = match why {
        NoVector::Keys(NoKeys(words)) => (500, "User has no usable keys", words),
        NoVector::Later(words) => (503, "the state file lags behind", words),
    };
    to.troubles.tell(to.cx, Some(user), || words);
    Outcome::Refused { status, reason }
}

/// The digest password that answers a challenge.
fn secret(profile: &User, pending: &Pending) -> Option<Vec<u8>> {
    match &pending.vector {
        Some(vector) => aka_digest::password(pending.algorithm, vector).map(|p| p.to_vec()),
        None => profile.password.as_ref().map(|p| p.as_bytes().to_vec()),
    }
}

/// RFC 7616 3.5: proves to the client that we know the password too.
fn authentication_info(given: &Credentials<'_>, algorithm: Algorithm, secret: &[u8]) -> Option<String> {
    let rspauth = given.rspauth(algorithm, b"", secret)?;
    let text = |octets: Option<&[u8]>| octets.and_then(|o| std::str::from_utf8(o).ok()).map(str::to_owned);
    let (qop, cnonce, nc) = (text(given.qop)?, text(given.cnonce)?, text(given.nc)?);
    Some(format!("qop={qop},rspauth=\"{rspauth}\",cnonce=\"{cnonce}\",nc={nc}"))
}
