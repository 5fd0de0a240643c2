//! What waits for one user, and what is tried to deliver it: one short message at a time, in order (TS 23.040 3.2.3, TS 24.011 6.2.1).

use super::limits::MAX_LATE;
use super::text::{Class, Text};
use crate::base::arena::Id;
use crate::base::time::Instant;
use crate::base::timer::Alarm;
use crate::ims::call::ClientId;
use crate::ims::registrar::Binding;
use crate::proto::sip::transaction::Token;
use crate::wire::gsm::RpCause;
use crate::wire::gsm::failure::FailureCause;
use arrayvec::ArrayVec;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::fmt;

/// One user's texts.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Oldest first.
    pub(super) texts: VecDeque<Text>,
    /// The one under way.
    pub(super) attempt: Option<Attempt>,
    /// Call-IDs of MESSAGEs that were given up, with their texts, the last ones: a report on them may still come.
    pub(super) late: ArrayVec<(Token, u64), MAX_LATE>,
    /// The ways that have failed for the text that was tried last.
    pub(super) tried: Tried,
    /// The classes of texts that nobody is there for; those behind them that go another way do not wait for them.
    pub(super) stuck: SmallVec<[Class; 2]>,
    /// Nothing is tried before.
    pub(super) pause: Option<Instant>,
    /// Why the next text waits.
    pub(super) why: Option<Why>,
    pub(super) alarm: Alarm,
}

/// The ways that have failed in this round.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// The text for which they have.
    pub(super) number: u64,
    pub(super) contacts: SmallVec<[Id<Binding>; 2]>,
    pub(super) sgs: bool,
    /// Contacts that say that they take short messages, and then that they know no such content (415): those who claim too much. They
    /// may take the text as it is.
    pub(super) plain: SmallVec<[Id<Binding>; 2]>,
    /// Whether a phone was asked at all: who was not there is waited for, who failed is asked again later.
    pub(super) has_sent: bool,
}

/// A text under way.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Which: several where a soft client is given a long text whole.
    pub(super) numbers: SmallVec<[u64; 1]>,
    pub(super) way: Way,
    /// The contacts that it was sent to: one phone, or all soft clients that are asked together.
    pub(super) legs: SmallVec<[Leg; 1]>,
    /// Tells its answers from those of earlier ones.
    pub(super) serial: u32,
    /// RP-MR.
    pub(super) reference: u8,
    pub(super) give_up_at: Instant,
}

/// One contact of an attempt.
#[derive(Debug)]
pub(super) struct Leg {
    to: Id<Binding>,
    /// The MESSAGE's transaction, until it has its answer.
    client: Option<ClientId>,
    has_failed: bool,
}

impl Leg {
    /// A MESSAGE has been sent.
    pub(super) fn new(to: Id<Binding>, client: ClientId) -> Leg {
        Leg { to, client: Some(client), has_failed: false }
    }
}

impl Attempt {
    /// The contacts that may still take it.
    pub(super) fn contacts(&self) -> impl Iterator<Item = Id<Binding>> + '_ {
        self.legs.iter().filter(|leg| !leg.has_failed).map(|leg| leg.to)
    }

    /// The MESSAGEs whose answers are awaited.
    pub(super) fn clients(&self) -> impl Iterator<Item = ClientId> + '_ {
        self.legs.iter().filter_map(|leg| leg.client)
    }

    /// A MESSAGE has its answer, or will have none; the contact that it went to.
    pub(super) fn answered(&mut self, leg: u8) -> Option<Id<Binding>> {
        let leg = self.legs.get_mut(usize::from(leg))?;
        leg.client = None;
        Some(leg.to)
    }

    /// A contact does not take it; its MESSAGE, if the answer to that is still awaited.
    pub(super) fn fail(&mut self, contact: Id<Binding>) -> Option<ClientId> {
        let leg = self.legs.iter_mut().find(|leg| leg.to == contact)?;
        leg.has_failed = true;
        leg.client.take()
    }
}

/// The way that a text takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// An RP-DATA in a MESSAGE to a contact.
    Ims {
        /// Call-ID of the MESSAGE, which the report names (TS 24.341 5.3.2.4).
        call_id: Token,
    },
    /// An RP-DATA over SGs.
    Sgs,
    /// A text/plain in a MESSAGE to each of some contacts.
    Plain,
}

/// Why a text waits, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Nobody is there.
    Nowhere(&'static str),
    /// The phone has answered the MESSAGE with this status, and words.
    Status(u16, Box<str>),
    /// The phone has not reported on it.
    NoReport,
    /// The phone has refused it: RP-Cause, and TP-FCS where it says.
    Cause(RpCause, Option<FailureCause>),
    /// The phone has said with this cause that its memory is full (TS 23.040 3.2.8, MCEF).
    Full(RpCause),
    /// SGs could not hand it over.
    Sgs(Box<str>),
    /// The server has no room for it.
    NoRoom,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Nowhere(words) => f.write_str(words),
            Why::Status(408, _) => f.write_str("the phone does not answer"),
            Why::Status(status, words) if words.is_empty() => write!(f, "the phone says {status}"),
            Why::Status(status, words) => write!(f, "the phone says {status} {words}"),
            Why::NoReport => f.write_str("the phone has not reported on it"),
            Why::Full(cause) => {
                write!(
                    f,
                    "the phone's memory is full: RP-ERROR {}; it waits until the phone has room",
                    cause.0
                )
            }
            Why::Cause(cause, None) => write!(f, "the phone says RP-ERROR {cause}"),
            Why::Cause(cause, Some(failure)) => write!(f, "the phone says RP-ERROR {cause}, {failure}"),
            Why::Sgs(words) => write!(f, "over SGs: {words}"),
            Why::NoRoom => f.write_str("there is no room for another transaction"),
        }
    }
}

impl Inbox {
    /// Where a text is in the queue.
    pub(super) fn position(&self, number: u64) -> Option<usize> {
        self.texts.binary_search_by_key(&number, |text| text.number).ok()
    }

    /// The text.
    pub(super) fn text(&self, number: u64) -> Option<&Text> {
        self.texts.get(self.position(number)?)
    }

    /// The text, to be changed.
    pub(super) fn text_mut(&mut self, number: u64) -> Option<&mut Text> {
        let at = self.position(number)?;
        self.texts.get_mut(at)
    }

    /// Takes a text out.
    pub(super) fn take(&mut self, number: u64) -> Option<Text> {
        let at = self.position(number)?;
        self.texts.remove(at)
    }

    /// Whether a text is under way.
    pub(super) fn is_under_way(&self, number: u64) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.numbers.contains(&number))
    }

    /// Whether there is nothing to remember of it.
    pub(super) fn is_idle(&self) -> bool {
        self.texts.is_empty() && self.attempt.is_none()
    }

    /// Whether, beside those under way, another text waits for the phone.
    pub(super) fn has_more_than(&self, numbers: &[u64]) -> bool {
        self.texts.iter().any(|text| text.is_durable && !numbers.contains(&text.number))
    }

    /// Takes note of an attempt that is given up.
    pub(super) fn note_late(&mut self, attempt: &Attempt) {
        let Way::Ims { call_id, .. } = attempt.way else { return };
        if self.late.is_full() {
            self.late.remove(0);
        }
        self.late.extend(attempt.numbers.first().map(|number| (call_id, *number)));
    }

    /// The text whose MESSAGE had this Call-ID, when it was given up before its report came.
    pub(super) fn take_late(&mut self, call_id: &[u8]) -> Option<u64> {
        let at = self.late.iter().position(|(known, _)| known[..] == *call_id)?;
        Some(self.late.remove(at).1).filter(|number| self.text(*number).is_some())
    }

    /// A new round begins: all ways are open.
    pub(super) fn reset(&mut self) {
        self.tried = Tried::default();
        self.stuck.clear();
        self.pause = None;
    }

    /// The first text that has waited too long and is not under way.
    pub(super) fn expired(&self, now: Instant) -> Option<u64> {
        let is_old =
            |text: &&Text| text.expires_at <= now && text.is_durable && !self.is_under_way(text.number);
        self.texts.iter().find(is_old).map(|text| text.number)
    }

    /// The next text to be tried: the first whose time has come and for whose class a way may be open.
    pub(super) fn ready(&self, now: Instant) -> Option<u64> {
        let is_ready = |text: &&Text| {
            let is_stuck = || !self.stuck.is_empty() && self.stuck.contains(&text.class());
            text.is_durable && text.ready_at() <= now && !is_stuck()
        };
        self.texts.iter().find(is_ready).map(|text| text.number)
    }

    /// The next moment at which there is something to do. `is_held`: nothing is sent before the phone's last report has its
    /// acknowledgement, which then sets the alarm anew.
    pub(super) fn next_deadline(&self, now: Instant, is_held: bool) -> Option<Instant> {
        // what the disk has not got yet has a deadline of its own, the promise's
        let waiting = || self.texts.iter().filter(|text| text.is_durable && !self.is_under_way(text.number));
        let expiry = waiting().map(|text| text.expires_at).min();
        let due = waiting().map(Text::ready_at).filter(|at| *at > now).min();
        let attempt = self.attempt.as_ref().map(|attempt| attempt.give_up_at);
        let next = match (&self.attempt, self.pause) {
            (Some(_), _) => None,
            _ if is_held => None,
            (None, Some(pause)) => (!self.texts.is_empty()).then_some(pause),
            (None, None) => due,
        };
        [expiry, attempt, next].into_iter().flatten().min()
    }
}
