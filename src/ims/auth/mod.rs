//! Authentication of requests: digest with a password or with AKA (RFC 3261 22, RFC 2617, RFC 7616, RFC 3310, TS 24.229 5.4.1.2,
//! TS 33.203 6.1).
//!
//! A nonce is ours while the challenge that carried it waits in `challenge`, or its seal tells so: an AKA nonce serves one
//! answer, another serves as long as its count rises. A wrong answer gets one fresh challenge, then 403, and a log line that says what is wrong.

pub mod challenge;
mod diagnose;
pub mod policy;
mod seal;
mod sequence;

use crate::base::time::Instant;
use crate::base::trace::{Level, Subject};
use crate::config::model::{AuthentType, User};
use crate::crypto::aka::{self, Vector};
use crate::crypto::hex;
use crate::ims::limits::{AWAIT_AUTH, MAX_RESYNCS, MAX_WRONG_ANSWERS};
use crate::ims::subscriber::{Subscribers, UserId};
use crate::ims::tokens::Tokens;
use crate::ims::trouble::Troubles;
use crate::proto::cx::Cx;
use crate::proto::sip::digest::{Algorithm, Challenge, Credentials, aka as aka_digest};
use crate::wire::sip::{HeaderId, Message};
use challenge::{Challenges, NonceText, Pending};
use policy::NoKeys;
use sequence::Sequences;

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
    /// The value of a challenge to answer.
    Challenge(Vec<u8>),
    /// No more challenges: 403, or 500 when the configuration has no keys.
    Refused {
        /// The status.
        status: u16,
        /// For the reason phrase.
        reason: &'static str,
    },
}

/// Everything that the checks write on, lent by the core.
pub struct AuthCx<'a, 'b> {
    /// The context.
    pub cx: &'a mut Cx<'b>,
    /// Unguessable values.
    pub tokens: &'a mut Tokens,
    /// Where troubles are told.
    pub troubles: &'a mut Troubles,
}

/// Challenges under way, and the sequence numbers of the SIMs.
#[derive(Debug, Default)]
pub struct Auth {
    challenges: Challenges,
    sequences: Sequences,
}

/// A round of a user's attempt: what led to the next challenge.
#[derive(Clone, Copy, Default)]
struct Round {
    wrong: u8,
    resyncs: u8,
    stale: bool,
    proposed: Option<Algorithm>,
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
    /// Judges a request that claims to be of `user`. With `fresh_each_time` every nonce serves one request.
    pub fn check(
        &mut self,
        to: &mut AuthCx<'_, '_>,
        subscribers: &Subscribers,
        user: UserId,
        message: &Message<'_>,
        fresh_each_time: bool,
    ) -> Outcome {
        let profile = subscribers.user(user);
        if profile.authent_type == AuthentType::None {
            return Outcome::Passed { how: "none", info: None };
        }
        let given = credentials(message);
        let proposed = given.and_then(|c| c.algorithm);
        let fresh = Round { proposed, ..Round::default() };
        let Some(given) = given.filter(|c| !c.nonce.is_empty()) else {
            return self.challenge(to, user, profile, fresh);
        };
        let now = to.cx.now;
        if self.challenges.find(user, given.nonce, now).is_none() {
            match self.returning(to.tokens, user, profile, &given, now) {
                Some(pushed_out) => self.challenges.add(user, pushed_out),
                None => return self.on_unknown_nonce(to, user, profile, &given, message),
            }
        }
        let pending = self.challenges.find(user, given.nonce, now).expect("it was there, or came back");
        if let Some(auts) = given.auts.filter(|_| pending.vector.is_some()) {
            return self.on_auts(to, user, profile, &given, auts);
        }
        let secret = secret(profile, pending);
        let right = secret.as_ref().is_some_and(|secret| {
            given.verify(pending.algorithm, message.method_token(), message.body(), secret)
        });
        if !right {
            return self.on_wrong(to, user, profile, &given, message);
        }
        let count = given.qop.and_then(|_| given.nonce_count()).unwrap_or(0);
        if count <= pending.accepted_count && pending.accepted_count > 0 {
            // RFC 7616 3.3 nc: a count that was there before is a replay
            to.cx.ims(
                Level::Warn,
                Subject::None,
                format_args!("{}: nonce count {count} again, a replay", profile.impi),
            );
            return self.challenge(to, user, profile, Round { stale: true, ..fresh });
        }
        let how = pending.algorithm.name();
        let info = secret.and_then(|secret| authentication_info(&given, pending.algorithm, &secret));
        if pending.vector.is_some() || count == 0 || fresh_each_time {
            let rand = pending.rand;
            self.challenges.take(user, given.nonce);
            self.challenges.spend(user, rand, now);
        } else {
            pending.accepted_count = count;
        }
        Outcome::Passed { how, info }
    }

    /// Takes the sequence number of a user that was stored before a restart.
    pub fn restore_sqn(&mut self, cx: &mut Cx<'_>, subscribers: &Subscribers, user: UserId, stored: u64) {
        self.sequences.restore(cx, user, subscribers.user(user), stored);
    }

    /// Forgets challenges whose time is over, and tells of those that nobody ever answered.
    pub fn tick(&mut self, cx: &mut Cx<'_>, subscribers: &Subscribers, troubles: &mut Troubles) {
        while let Some((user, expired)) = self.challenges.pop_expired(cx.now) {
            if expired.accepted_count == 0 {
                let impi = &subscribers.user(user).impi;
                troubles.mention(cx, Level::Info, format_args!("{impi} has not answered its challenge"));
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
        user: UserId,
        profile: &User,
        given: &Credentials<'_>,
        now: Instant,
    ) -> Option<Pending> {
        let rand = seal::open(tokens, user, given.nonce, now)?;
        let may = self.challenges.may_return(user, &rand);
        may.then(|| seal::challenge(profile, given, rand, now))?
    }

    /// A nonce that is not ours, or no longer: `stale` tells a client with the right password that it need not ask for it
    /// (RFC 7616 3.3).
    fn on_unknown_nonce(
        &mut self,
        to: &mut AuthCx<'_, '_>,
        user: UserId,
        profile: &User,
        given: &Credentials<'_>,
        message: &Message<'_>,
    ) -> Outcome {
        let proposed = given.algorithm;
        let algorithm = proposed.unwrap_or(Algorithm::Md5);
        let stale = algorithm.aka().is_none()
            && profile.password.as_ref().is_some_and(|password| {
                given.verify(algorithm, message.method_token(), message.body(), password.as_bytes())
            });
        self.challenge(to, user, profile, Round { stale, proposed, ..Round::default() })
    }

    fn on_wrong(
        &mut self,
        to: &mut AuthCx<'_, '_>,
        user: UserId,
        profile: &User,
        given: &Credentials<'_>,
        message: &Message<'_>,
    ) -> Outcome {
        let Some(pending) = self.challenges.take(user, given.nonce) else {
            return self.challenge(to, user, profile, Round::default());
        };
        let last = pending.wrong >= MAX_WRONG_ANSWERS;
        let words = diagnose::wrong_answer(profile, &pending, given, message);
        if last {
            to.troubles.tell(to.cx, Some(user), || format!("{}: refused with 403: {words}", profile.impi));
            return Outcome::Refused { status: 403, reason: "Authentication failed" };
        }
        // some give up here: what is wrong is said now, and stays with the user
        let words = format!("{}: wrong answer, challenged once more: {words}", profile.impi);
        to.troubles.mention(to.cx, Level::Warn, format_args!("{words}"));
        to.troubles.note(to.cx.wall, user, words);
        let round = Round {
            wrong: pending.wrong + 1,
            resyncs: pending.resyncs,
            stale: false,
            proposed: Some(pending.algorithm),
        };
        self.challenge(to, user, profile, round)
    }

    /// RFC 3310 3.4, TS 33.102 6.3.5: the SIM found SQN out of range and tells its own.
    fn on_auts(
        &mut self,
        to: &mut AuthCx<'_, '_>,
        user: UserId,
        profile: &User,
        given: &Credentials<'_>,
        auts: &[u8],
    ) -> Outcome {
        let pending = self.challenges.take(user, given.nonce).expect("the caller found it");
        let rand = pending.vector.as_ref().expect("the caller saw the vector").rand;
        let sim = profile.sim.as_ref().and_then(|sim| policy::sim(sim).ok());
        let auts = aka_digest::parse_auts(auts);
        let found = sim.zip(auts).and_then(|(sim, auts)| aka::resynchronise(&sim, &rand, &auts).ok());
        let Some(sqn_ms) = found.filter(|_| pending.resyncs < MAX_RESYNCS) else {
            let words = match found {
                Some(_) => "the SIM asks for SQN again and again".to_owned(),
                None => diagnose::wrong_auts(profile, &rand, auts.as_ref()),
            };
            to.troubles.tell(to.cx, Some(user), || format!("{}: refused with 403: {words}", profile.impi));
            return Outcome::Refused { status: 403, reason: "Authentication failed" };
        };
        to.cx.ims(
            Level::Info,
            Subject::None,
            format_args!("{}: SQN re-synchronised to {sqn_ms:012x} of the SIM", profile.impi),
        );
        self.challenges.spend(user, rand, to.cx.now);
        self.sequences.resynchronise(user, sqn_ms);
        let round = Round {
            wrong: pending.wrong,
            resyncs: pending.resyncs + 1,
            stale: false,
            proposed: Some(pending.algorithm),
        };
        self.challenge(to, user, profile, round)
    }

    fn challenge(&mut self, to: &mut AuthCx<'_, '_>, user: UserId, profile: &User, round: Round) -> Outcome {
        let made = policy::algorithm(profile, round.proposed)
            .and_then(|algorithm| Ok((algorithm, self.nonce(to, user, profile, algorithm)?)));
        let (algorithm, (rand, nonce, vector)) = match made {
            Ok(made) => made,
            Err(NoKeys(words)) => {
                to.troubles.tell(to.cx, Some(user), || words);
                return Outcome::Refused { status: 500, reason: "User has no usable keys" };
            }
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
        self.challenges.add(
            user,
            Pending {
                nonce,
                rand,
                algorithm,
                vector,
                expires_at: to.cx.now + AWAIT_AUTH,
                wrong: round.wrong,
                resyncs: round.resyncs,
                accepted_count: 0,
            },
        );
        Outcome::Challenge(value)
    }

    fn nonce(
        &mut self,
        to: &mut AuthCx<'_, '_>,
        user: UserId,
        profile: &User,
        algorithm: Algorithm,
    ) -> Result<([u8; 16], NonceText, Option<Vector>), NoKeys> {
        let rand = to.tokens.sealed(to.cx.rng, &seal::label(user, to.cx.now));
        if algorithm.aka().is_none() {
            return Ok((rand, hex::encode(&rand), None));
        }
        let vector = self.vector(to.cx, user, profile, &rand)?;
        Ok((rand, aka_digest::nonce(&rand, &vector.autn), Some(vector)))
    }

    /// The next vector of the user's SIM.
    fn vector(
        &mut self,
        cx: &mut Cx<'_>,
        user: UserId,
        profile: &User,
        rand: &[u8; 16],
    ) -> Result<Vector, NoKeys> {
        let named = |NoKeys(words)| NoKeys(format!("IMPI {}: {words}", profile.impi));
        let configured = profile.sim.as_ref().ok_or_else(|| named(NoKeys("it has no SIM keys".into())))?;
        let sim = policy::sim(configured).map_err(named)?;
        let sqn = self.sequences.next(cx, user, profile, configured.sqn).map_err(named)?;
        Ok(aka::generate(&sim, rand, sqn))
    }
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
