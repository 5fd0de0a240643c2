//! How the last registration attempt of each user went, step by step (TS 24.229 5.1.1, 5.2.2, 5.4.1.2): for those who ask why a
//! phone does not register.
//!
//! This file notes what happens; [`report`] tells it, and what is likely to be wrong. An attempt begins with a REGISTER that
//! answers no challenge, so that a refresh is one too. Less than 400 octets are kept of the last one of each user who made one: 40
//! MB for 100,000 users. Not here: who is nobody's user, which is in the log.

mod report;
mod verdict;
mod watch;

use crate::base::time::{Duration, UnixTime};
use crate::ims::subscriber::UserId;
use crate::proto::flow::Transport;
use crate::proto::sip::sec_agree::{Direction, Parameters, SetCounters, Suite, associations};
use arrayvec::ArrayVec;
pub use report::{Live, Report, State, StepView, Trouble, report};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The steps that are noted; those between follow from what the kernel counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// What protects the answer to the challenge is agreed.
    Agreement,
    /// The kernel holds the security associations.
    Associations,
    /// The challenge is sent.
    Challenge,
    /// The answer to it has come.
    Answer,
    /// Security-Verify and Security-Client are what was agreed.
    Verify,
    /// The answer is right.
    Digest,
    /// The contact is bound.
    Bound,
}

/// How many there are.
const STEPS: usize = 7;

/// How a step went, and how long after the first REGISTER of the attempt.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Mark {
    #[default]
    None,
    Done(u32),
    Failed(u32),
    /// It is not to be taken.
    Needless,
}

/// Where a REGISTER came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// The phone's address.
    pub from: SocketAddr,
    /// Our end.
    pub to: SocketAddr,
    /// UDP or TCP.
    pub transport: Transport,
    /// The phone's address in its own words, in Via; none where it is a name.
    pub told: Option<IpAddr>,
}

/// What is agreed of a set of security associations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer {
    /// The set's name towards the kernel.
    pub set: u64,
    /// The algorithms.
    pub suite: Suite,
    /// The phone's SPIs and ports.
    pub ue: Parameters,
    /// Ours.
    pub own: Parameters,
}

/// The last attempt of one user.
#[derive(Clone, Debug)]
pub struct Attempt {
    began: UnixTime,
    packet: Packet,
    /// Where the answer came from.
    answer: Option<Packet>,
    offer: Option<Offer>,
    /// What was counted when the set went.
    counted: Option<Counted>,
    algorithm: &'static str,
    marks: [Mark; STEPS],
    /// Why the step failed that failed.
    words: Option<Box<str>>,
    /// What went wrong before in this attempt, and was made good with another challenge.
    note: Option<Box<str>>,
    /// Attempts before this one whose challenge was never answered.
    unanswered: u16,
    binding: u32,
    expires_secs: u32,
}

/// ESP that came from the phone.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counted {
    /// Packets that were right.
    pub packets: u64,
    /// Packets whose integrity was wrong.
    pub integrity_failed: u64,
    /// Packets that came a second time, or too late.
    pub replayed: u64,
}

impl Counted {
    /// What came in, of the counters of the four associations.
    pub fn of(counters: &SetCounters) -> Counted {
        let none = Parameters { spi_c: 0, spi_s: 0, port_c: 0, port_s: 0 };
        let nowhere = IpAddr::from([0, 0, 0, 0]);
        let directions = associations(nowhere, &none, nowhere, &none).map(|sa| sa.direction);
        let from_phone = directions.iter().zip(counters).filter(|(way, _)| **way == Direction::In);
        from_phone.fold(Counted::default(), |sum, (_, sa)| Counted {
            packets: sum.packets + sa.packets,
            integrity_failed: sum.integrity_failed + u64::from(sa.integrity_failed),
            replayed: sum.replayed + u64::from(sa.replayed),
        })
    }
}

/// Longest text that is kept of what went wrong, octets.
const MAX_WORDS: usize = 512;

/// REGISTERs that named nobody and are remembered: for those who look for a user who never came.
const MAX_MISNAMED: usize = 4;

/// The text, or as much of it as is kept.
fn bounded(words: &str) -> Box<str> {
    let is_end = |at: &usize| words.is_char_boundary(*at);
    let end = (0..=words.len().min(MAX_WORDS)).rev().find(is_end).unwrap_or(0);
    words[..end].into()
}

/// The last attempt of each user; bounded by the number of users.
#[derive(Debug, Default)]
pub struct Attempts {
    of_user: BTreeMap<UserId, Box<Attempt>>,
    /// What is wrong with the last REGISTERs that named nobody, the last one last.
    misnamed: ArrayVec<Box<str>, MAX_MISNAMED>,
}

impl Attempts {
    /// A REGISTER of the user came. `answers`: it brings credentials, which are an answer when a challenge waits for one.
    pub fn seen(&mut self, user: UserId, at: UnixTime, packet: Packet, answers: bool) {
        let last = self.of_user.get_mut(&user);
        if let Some(attempt) = last.filter(|a| answers && a.is_unanswered()) {
            attempt.answer = Some(packet);
            attempt.set(Step::Answer, at, true);
            return;
        }
        let unanswered = self.of_user.get(&user).map_or(0, |last| match last.is_unanswered() {
            true => last.unanswered.saturating_add(1),
            false => 0,
        });
        self.of_user.insert(user, Box::new(Attempt::new(at, packet, unanswered)));
    }

    /// Nothing is to protect the answer: `needless` for a user without IPsec.
    pub fn plain(&mut self, user: UserId) {
        self.change(user, |a| {
            for step in [Step::Agreement, Step::Associations, Step::Verify] {
                a.marks[step as usize] = Mark::Needless;
            }
        });
    }

    /// A set of security associations is to protect the answer.
    pub fn offered(&mut self, user: UserId, at: UnixTime, offer: Offer) {
        self.change(user, |a| {
            a.offer = Some(offer);
            a.counted = None;
            a.set(Step::Agreement, at, true);
        });
    }

    /// The kernel holds the set.
    pub fn installed(&mut self, user: UserId, at: UnixTime) {
        self.change(user, |a| a.set(Step::Associations, at, true));
    }

    /// A challenge is made. What an earlier one of the attempt came to is over.
    pub fn asked(&mut self, user: UserId, algorithm: &'static str) {
        self.change(user, |a| {
            if let Some(words) = a.words.take() {
                a.note = Some(words);
            }
            for step in [Step::Challenge, Step::Answer, Step::Digest, Step::Bound] {
                a.marks[step as usize] = Mark::None;
            }
            if a.mark(Step::Verify) != Mark::Needless {
                a.marks[Step::Verify as usize] = Mark::None;
            }
            a.answer = None;
            a.algorithm = algorithm;
        });
    }

    /// It is sent.
    pub fn challenged(&mut self, user: UserId, at: UnixTime) {
        self.change(user, |a| a.set(Step::Challenge, at, true));
    }

    /// The answer says of the agreement what was agreed.
    pub fn verified(&mut self, user: UserId, at: UnixTime) {
        self.change(user, |a| a.set(Step::Verify, at, true));
    }

    /// The credentials are right; `none` when none were asked for.
    pub fn proven(&mut self, user: UserId, at: UnixTime, how: &'static str) {
        self.change(user, |a| {
            a.algorithm = how;
            a.set(Step::Digest, at, true);
        });
    }

    /// The contact is bound, or with 0 seconds none is any more.
    pub fn bound(&mut self, user: UserId, at: UnixTime, binding: u32, expires: Duration) {
        self.change(user, |a| {
            (a.binding, a.expires_secs) = (binding, u32::try_from(expires.as_secs()).unwrap_or(u32::MAX));
            a.set(Step::Bound, at, true);
        });
    }

    /// A step failed; why, in words.
    pub fn failed(&mut self, user: UserId, at: UnixTime, step: Step, words: &str) {
        self.change(user, |a| {
            a.words = Some(bounded(words));
            a.set(step, at, false);
        });
    }

    /// A REGISTER came that names nobody; what is wrong with it.
    pub fn misnamed(&mut self, words: &str) {
        if self.misnamed.is_full() {
            self.misnamed.remove(0);
        }
        self.misnamed.push(bounded(words));
    }

    /// What was wrong with the last REGISTERs that named nobody.
    pub fn misnamed_words(&self) -> &[Box<str>] {
        &self.misnamed
    }

    /// Whether the user has answered the challenge of the attempt.
    pub fn has_answer(&self, user: UserId) -> bool {
        self.of(user).is_some_and(|a| a.answer.is_some())
    }

    /// Whether that answer came without the security associations that it should have come through.
    pub fn is_bare(&self, user: UserId) -> bool {
        self.of(user).is_some_and(|a| a.offer.is_some() && a.answer.is_some() && !a.is_answer_protected())
    }

    /// A set has gone: what the kernel had counted.
    pub fn ended(&mut self, user: UserId, set: u64, counters: &SetCounters) {
        self.change(user, |a| {
            if a.offer.is_some_and(|offer| offer.set == set) {
                a.counted = Some(Counted::of(counters));
            }
        });
    }

    /// The user's last attempt.
    pub fn of(&self, user: UserId) -> Option<&Attempt> {
        self.of_user.get(&user).map(|attempt| &**attempt)
    }

    fn change(&mut self, user: UserId, change: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = self.of_user.get_mut(&user) {
            change(attempt);
        }
    }
}

impl Attempt {
    fn new(began: UnixTime, packet: Packet, unanswered: u16) -> Attempt {
        Attempt {
            began,
            packet,
            answer: None,
            offer: None,
            counted: None,
            algorithm: "",
            marks: [Mark::None; STEPS],
            words: None,
            note: None,
            unanswered,
            binding: 0,
            expires_secs: 0,
        }
    }

    /// The set that protects its answer, as the kernel is asked for its counters.
    pub fn set_id(&self) -> Option<u64> {
        self.offer.map(|offer| offer.set)
    }

    fn mark(&self, step: Step) -> Mark {
        self.marks[step as usize]
    }

    fn is_done(&self, step: Step) -> bool {
        matches!(self.mark(step), Mark::Done(_))
    }

    /// Whether it stopped at a challenge that nothing came back to.
    fn is_unanswered(&self) -> bool {
        self.is_done(Step::Challenge) && self.mark(Step::Answer) == Mark::None
    }

    /// Whether its answer came through the security associations.
    fn is_answer_protected(&self) -> bool {
        let ports = self.offer.map(|offer| [offer.own.port_s, offer.own.port_c]);
        self.answer.zip(ports).is_some_and(|(answer, ports)| ports.contains(&answer.to.port()))
    }

    /// Whether it ended well.
    fn is_bound(&self) -> bool {
        self.is_done(Step::Bound)
    }

    fn set(&mut self, step: Step, at: UnixTime, went_well: bool) {
        let micros = at.as_micros().saturating_sub(self.began.as_micros());
        let millis = u32::try_from(micros / 1000).unwrap_or(0);
        self.marks[step as usize] = if went_well { Mark::Done(millis) } else { Mark::Failed(millis) };
    }
}

#[cfg(test)]
mod tests;
