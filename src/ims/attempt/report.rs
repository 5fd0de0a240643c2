//! An attempt told: each step with its state, and where it stopped with the likely cause and the cure.

use super::verdict;
use super::{Attempt, Counted, Mark, Offer, Packet, Step};
use crate::base::time::{Duration, UnixTime};
use crate::proto::sip::sec_agree::{Named, Parameters, SetCounters};

/// How a step went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Well.
    Done,
    /// Not well.
    Failed,
    /// It is still to come.
    NotYet,
    /// It is not to be taken.
    Needless,
}

impl State {
    /// For people and for the API.
    pub const fn name(self) -> &'static str {
        match self {
            State::Done => "ok",
            State::Failed => "failed",
            State::NotYet => "not yet",
            State::Needless => "not needed",
        }
    }
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StepView {
    /// What is done in it.
    pub name: &'static str,
    /// How it went.
    pub state: State,
    /// When, where that is known.
    pub at: Option<UnixTime>,
    /// What is to be known of it; empty for nothing.
    pub text: String,
}

/// Where an attempt stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// The step.
    pub step: &'static str,
    /// Why, as far as can be told.
    pub cause: String,
    /// What to do.
    pub cure: String,
}

/// An attempt, or that there was none.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Report {
    /// All steps in order; none when no REGISTER came.
    pub steps: Vec<StepView>,
    /// The first step that failed, or that is missing.
    pub trouble: Option<Trouble>,
}

/// What only the kernel knows, asked when somebody wants to know.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Live {
    /// The counters of the attempt's set.
    pub counters: Option<SetCounters>,
    /// ESP packets that came for no association, of anybody.
    pub unknown_spi: Option<u64>,
}

/// How long a step may take before its absence is a trouble.
const PATIENCE: Duration = Duration::from_secs(8);

/// Tells an attempt, as it is at `now`. `misnamed`: what is wrong with REGISTERs that named nobody, which may have been this
/// user's.
pub fn report(attempt: Option<&Attempt>, misnamed: &[Box<str>], live: Live, now: UnixTime) -> Report {
    let Some(attempt) = attempt else {
        return Report { steps: Vec::new(), trouble: Some(verdict::nothing_came(misnamed)) };
    };
    let counted = live.counters.as_ref().map(Counted::of).or(attempt.counted);
    let steps = Telling { attempt, counted }.steps();
    let stopped = steps.iter().find(|step| matches!(step.state, State::Failed | State::NotYet));
    let waited = now.as_micros().saturating_sub(attempt.last_mark().as_micros());
    let is_under_way = waited < PATIENCE.as_micros() as i64;
    let trouble =
        stopped.filter(|step| !attempt.is_bound() && (step.state == State::Failed || !is_under_way));
    let trouble =
        trouble.map(|step| verdict::of(attempt, step, counted.unwrap_or_default(), live.unknown_spi));
    Report { steps, trouble }
}

/// Names of steps, in their order.
pub(super) mod name {
    pub const SEEN: &str = "REGISTER seen";
    pub const PARSED: &str = "Parsed";
    pub const USER: &str = "User known";
    pub const AGREEMENT: &str = "IPsec agreed";
    pub const ASSOCIATIONS: &str = "In the kernel";
    pub const CHALLENGE: &str = "401 sent";
    pub const ESP: &str = "ESP seen";
    pub const INTEGRITY: &str = "Integrity right";
    pub const ANSWER: &str = "Answer seen";
    pub const VERIFY: &str = "Agreement same";
    pub const DIGEST: &str = "Digest right";
    pub const BOUND: &str = "Bound";
}

impl Attempt {
    /// When the last thing happened.
    fn last_mark(&self) -> UnixTime {
        let last = self.marks.iter().filter_map(|mark| match mark {
            Mark::Done(millis) | Mark::Failed(millis) => Some(*millis),
            Mark::None | Mark::Needless => None,
        });
        self.time(last.max().unwrap_or(0))
    }

    fn time(&self, millis: u32) -> UnixTime {
        self.began + Duration::from_millis(u64::from(millis))
    }
}

struct Telling<'a> {
    attempt: &'a Attempt,
    counted: Option<Counted>,
}

impl Telling<'_> {
    fn steps(&self) -> Vec<StepView> {
        let a = self.attempt;
        let began = Some(a.began);
        let done = |name, text: String| StepView { name, state: State::Done, at: began, text };
        let mut steps = vec![
            done(name::SEEN, packet(&a.packet)),
            done(name::PARSED, String::new()),
            done(name::USER, String::new()),
            self.noted(Step::Agreement, name::AGREEMENT, a.offer.map(|o| agreement(&o))),
            self.noted(Step::Associations, name::ASSOCIATIONS, a.offer.map(|o| spis(&o))),
            self.noted(Step::Challenge, name::CHALLENGE, Some(self.challenge())),
        ];
        if a.mark(Step::Associations) != Mark::Needless {
            steps.extend(self.esp());
        }
        let answer = a.answer.as_ref().map(packet);
        steps.push(self.noted(Step::Answer, name::ANSWER, answer));
        steps.push(self.noted(Step::Verify, name::VERIFY, None));
        steps.push(self.noted(Step::Digest, name::DIGEST, Some(a.algorithm.to_owned())));
        steps.push(self.noted(Step::Bound, name::BOUND, Some(self.bound())));
        let is_taken = |step: &StepView| matches!(step.state, State::Done | State::Failed);
        let end = steps.iter().rposition(is_taken).unwrap_or(0);
        // what was passed over was not needed: a refresh through IPsec is not challenged, a trusted user proves nothing
        for step in steps.iter_mut().take(end).filter(|step| step.state == State::NotYet) {
            step.state = State::Needless;
        }
        steps
    }

    /// A step that was noted, with `text` when it went well.
    fn noted(&self, step: Step, name: &'static str, text: Option<String>) -> StepView {
        let a = self.attempt;
        let (state, at) = match a.mark(step) {
            Mark::None => (State::NotYet, None),
            Mark::Needless => (State::Needless, None),
            Mark::Done(millis) => (State::Done, Some(a.time(millis))),
            Mark::Failed(millis) => (State::Failed, Some(a.time(millis))),
        };
        let text = match state {
            State::Done => text.unwrap_or_default(),
            State::Failed => brief(a.words.as_deref().unwrap_or_default()),
            State::NotYet | State::Needless => String::new(),
        };
        StepView { name, state, at, text }
    }

    fn challenge(&self) -> String {
        let a = self.attempt;
        let mut text = a.algorithm.to_owned();
        if let Some(note) = &a.note {
            text += &format!(", once more: {}", brief(note));
        }
        if a.unanswered > 0 {
            text += &format!(", after {} that nothing came back to", a.unanswered);
        }
        text
    }

    /// What the kernel counted tells both whether ESP came and whether its keys were right.
    fn esp(&self) -> [StepView; 2] {
        let through_it = self.attempt.is_answer_protected();
        let counted = self.counted.unwrap_or_default();
        let Counted { packets, integrity_failed, replayed } = counted;
        let right = through_it || packets > 0;
        let came = right || integrity_failed > 0 || replayed > 0;
        let step = |name, state, text| StepView { name, state, at: None, text };
        let seen = match came {
            true => step(name::ESP, State::Done, packets_of(packets + integrity_failed + replayed)),
            false => step(name::ESP, State::NotYet, String::new()),
        };
        let (wrong, again) = (packets_of(integrity_failed), packets_of(replayed));
        let bad = format!("{wrong} with a wrong check value, {again} repeated or too late");
        let integrity = match (right, came) {
            (true, _) if integrity_failed + replayed == 0 => {
                step(name::INTEGRITY, State::Done, String::new())
            }
            (true, _) => step(name::INTEGRITY, State::Done, format!("but also {bad}")),
            (false, true) => step(name::INTEGRITY, State::Failed, bad),
            (false, false) => step(name::INTEGRITY, State::NotYet, String::new()),
        };
        [seen, integrity]
    }

    fn bound(&self) -> String {
        match self.attempt {
            Attempt { expires_secs: 0, .. } => "de-registered".to_owned(),
            Attempt { binding, expires_secs, .. } => format!("binding {binding:04x} for {expires_secs} s"),
        }
    }
}

/// Words of the log without whom they are of, which the report says anyhow, and without the advice at their end.
fn brief(words: &str) -> String {
    const AGAIN: &str = "wrong answer, challenged once more: ";
    let is_about = |what: &str| what.starts_with("refused with ") || what.starts_with(AGAIN);
    let words = words.split_once(": ").filter(|(_, what)| is_about(what)).map_or(words, |(_, what)| what);
    let words = words.strip_prefix(AGAIN).unwrap_or(words);
    words.split("; ").next().unwrap_or_default().to_owned()
}

/// The advice at the end of words of the log, if there is any.
pub(super) fn advice(words: &str) -> Option<&str> {
    words.split_once("; ").map(|(_, advice)| advice)
}

fn packets_of(count: u64) -> String {
    format!("{count} packet{}", if count == 1 { "" } else { "s" })
}

/// `UDP from 10.0.0.1:5060 to 192.0.2.1:5060`.
fn packet(packet: &Packet) -> String {
    let Packet { from, to, transport, .. } = packet;
    format!("{} from {from} to {to}", transport.via_token())
}

fn agreement(offer: &Offer) -> String {
    format!("{} with {}", offer.suite.encryption().name(), offer.suite.integrity().name())
}

/// `phone ports 31112, 31113 SPIs 0x…, 0x…; here …`: client first.
fn spis(offer: &Offer) -> String {
    let side = |who, p: &Parameters| {
        format!("{who} ports {}, {} SPIs {:#010x}, {:#010x}", p.port_c, p.port_s, p.spi_c, p.spi_s)
    };
    format!("{}; {}", side("phone", &offer.ue), side("here", &offer.own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_says_what_happened_and_not_what_to_do() {
        for (words, said) in [
            (
                "001@h: refused with 403: RES does not match; compare K",
                "refused with 403: RES does not match",
            ),
            ("001@h: wrong answer, challenged once more: MAC failure; x; y", "MAC failure"),
            ("the nonce was old", "the nonce was old"),
            ("refused: no room", "refused: no room"),
        ] {
            assert_eq!(brief(words), said);
        }
        assert_eq!([advice("wrong; compare K; or op"), advice("wrong")], [Some("compare K; or op"), None]);
    }
}
