//! What happened on one side of a call, for its view (manual 6.6, `dialog_get`: `event_list`) and for the call's ladder.
//!
//! Messages are noted as they come and as they leave (`watch`), whoever wrote them: nothing here is told by the parts that handle
//! them. A message that comes or goes again is counted with the first.

use super::limits::{FIRST_EVENTS, MAX_EVENTS};
use super::media::description;
use super::state::State;
use crate::base::time::Duration;
use crate::ims::view::EventView;
use crate::proto::sip::transaction::Token;
use crate::wire::sip::text::{decimal, lossy};
use crate::wire::sip::{HeaderId, Message, Method, RAck};
use std::collections::VecDeque;
use std::fmt;

/// Which way a message went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// From us to the party.
    Sent,
    /// From the party to us.
    Received,
}

/// One message, in what tells it from others; small, because a busy call has many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Passed {
    pub(super) way: Way,
    method: Method,
    /// 0 for a request.
    status: u16,
    /// RSeq, or the RSeq in RAck (RFC 3262); 0 without.
    reliable: u32,
    /// Whether it carries a session description.
    has_sdp: bool,
    /// CSeq number.
    cseq: u32,
    /// Its dialog: early ones of one INVITE differ in the To tag.
    dialog: u32,
}

impl Passed {
    pub(super) fn new(way: Way, msg: &Message<'_>) -> Self {
        let rseq = || msg.header(HeaderId::RSeq).and_then(decimal);
        let rack = || msg.header(HeaderId::RAck).and_then(RAck::parse).map(|rack| rack.rseq);
        Passed {
            way,
            method: msg.method(),
            status: if msg.is_request() { 0 } else { msg.status() },
            reliable: rseq().or_else(rack).unwrap_or(0),
            has_sdp: description(msg).is_some(),
            cseq: msg.cseq().map_or(0, |c| c.number),
            dialog: msg.to().and_then(|to| to.tag()).map_or(0, digest),
        }
    }
}

impl fmt::Display for Passed {
    /// `INVITE (sdp)`, `183 INVITE (sdp, RSeq 1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.status != 0 {
            write!(f, "{} ", self.status)?;
        }
        f.write_str(if self.method == Method::Other { "other" } else { self.method.name() })?;
        let sequence = if self.status == 0 { "RAck" } else { "RSeq" };
        match (self.has_sdp, self.reliable) {
            (false, 0) => Ok(()),
            (true, 0) => f.write_str(" (sdp)"),
            (false, n) => write!(f, " ({sequence} {n})"),
            (true, n) => write!(f, " (sdp, {sequence} {n})"),
        }
    }
}

/// A few bits of a tag, to tell it from the other tags of the same call.
fn digest(tag: &[u8]) -> u32 {
    tag.iter().fold(0x811c_9dc5u32, |h, &o| (h ^ u32::from(o)).wrapping_mul(0x0100_0193))
}

/// What an event is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// The call has come into its state.
    State,
    /// A message.
    Message(Passed),
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// Its place among all events of the call.
    pub(super) order: u32,
    /// Since the call's creation.
    pub(super) at: Duration,
    /// The state then.
    pub(super) state: State,
    pub(super) what: What,
    /// How often the message was seen.
    pub(super) times: u16,
}

/// The events of a leg and its names.
#[derive(Debug)]
pub struct History {
    /// The number that `dialog_stop` takes.
    pub(super) index: u32,
    session: Token,
    state: State,
    events: VecDeque<Event>,
    /// Events that there was no room for: after the first [`FIRST_EVENTS`].
    forgotten: u32,
    /// Request-URI of the first INVITE here: what was dialled, or the contact that was called.
    pub(super) target: Box<str>,
    /// The number that SIP trace lines of the first INVITE here bear.
    pub(super) trace_id: Option<u32>,
}

impl History {
    /// The history of a leg that is about to begin.
    pub(super) fn new(index: u32, session: Token) -> Self {
        History {
            index,
            session,
            state: State::Init,
            events: VecDeque::with_capacity(8),
            forgotten: 0,
            target: Box::default(),
            trace_id: None,
        }
    }

    /// The session id's text.
    pub(super) fn session_id(&self) -> String {
        self.session.to_string()
    }

    /// How many events there have been.
    pub(super) fn count(&self) -> u32 {
        self.events.len() as u32 + self.forgotten
    }

    /// How many of them are forgotten.
    pub(super) fn forgotten(&self) -> u32 {
        self.forgotten
    }

    /// The first event after those that are forgotten.
    pub(super) fn after_gap(&self) -> Option<&Event> {
        self.events.get(FIRST_EVENTS).filter(|_| self.forgotten > 0)
    }

    /// The events that are remembered, oldest first.
    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    /// A change of state, this long after the call's creation.
    pub(super) fn state(&mut self, order: u32, at: Duration, state: State) {
        self.state = state;
        self.push(order, at, What::State);
    }

    /// A message that came or left.
    pub(super) fn passed(&mut self, order: u32, at: Duration, way: Way, msg: &Message<'_>) {
        let passed = Passed::new(way, msg);
        if let Some(first) = self.events.iter_mut().rev().find(|e| e.what == What::Message(passed)) {
            first.times = first.times.saturating_add(1);
            return;
        }
        if self.trace_id.is_none() && msg.is_request() {
            self.target = lossy(msg.request_uri()).into();
            self.trace_id = msg.call_id().map(crate::proto::sip::transaction::trace_id);
        }
        self.push(order, at, What::Message(passed));
    }

    fn push(&mut self, order: u32, at: Duration, what: What) {
        if self.events.len() == MAX_EVENTS {
            // how the call was set up tells more than what went on in it
            self.events.remove(FIRST_EVENTS);
            self.forgotten += 1;
        }
        self.events.push_back(Event { order, at, state: self.state, what, times: 1 });
    }

    /// The events as they are shown, oldest first.
    pub(super) fn views(&self) -> Vec<EventView> {
        let view = |event: &Event| {
            let (kind, text) = match event.what {
                What::State => ("state", String::new()),
                What::Message(passed) if passed.way == Way::Sent => ("send", passed.to_string()),
                What::Message(passed) => ("recv", passed.to_string()),
            };
            EventView { kind, timestamp: event.at.as_secs_f64(), state: event.state.name(), text }
        };
        self.events.iter().map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::proto::sip::transaction::key::Keys;
    use crate::wire::sip::Index;

    /// A message of three lines and perhaps a body, noted.
    fn pass(h: &mut History, way: Way, first: &str, cseq: &str, more: &str) {
        let text = format!("{first}\r\nTo: <tel:1>;tag=t\r\nCall-ID: c\r\nCSeq: {cseq}\r\n{more}\r\n");
        let mut index = Index::new();
        let msg = Message::parse(text.as_bytes(), &mut index).unwrap();
        h.passed(h.count(), Duration::ZERO, way, &msg);
    }

    fn shown(h: &History) -> Vec<(&'static str, &'static str, String)> {
        h.views().into_iter().map(|v| (v.kind, v.state, v.text)).collect()
    }

    fn history() -> History {
        History::new(1, Keys::new(&mut Rng::from_seed(1)).token())
    }

    #[test]
    fn messages_are_told_with_what_matters_in_a_call() {
        let sdp = "Content-Type: application/sdp\r\n\r\nv=0\r\n";
        let mut h = history();
        pass(&mut h, Way::Received, "INVITE tel:1 SIP/2.0", "1 INVITE", sdp);
        h.state(1, Duration::from_secs(1), State::Ringing);
        let reliable = format!("RSeq: 7\r\n{sdp}");
        pass(&mut h, Way::Sent, "SIP/2.0 183 Progress", "1 INVITE", &reliable);
        pass(&mut h, Way::Received, "PRACK tel:1 SIP/2.0", "2 PRACK", "RAck: 7 1 INVITE\r\n");
        pass(&mut h, Way::Received, "FLY tel:1 SIP/2.0", "3 FLY", "");
        let want = [
            ("recv", "init", "INVITE (sdp)"),
            ("state", "ringing", ""),
            ("send", "ringing", "183 INVITE (sdp, RSeq 7)"),
            ("recv", "ringing", "PRACK (RAck 7)"),
            ("recv", "ringing", "other"),
        ];
        assert_eq!(shown(&h), want.map(|(kind, state, text)| (kind, state, text.to_owned())));
        assert_eq!((&*h.target, h.trace_id.is_some()), ("tel:1", true));
    }

    #[test]
    fn what_comes_again_is_counted_and_what_differs_is_not() {
        let mut h = history();
        for (way, first, cseq) in [
            (Way::Received, "INVITE tel:1 SIP/2.0", "1 INVITE"),
            (Way::Sent, "SIP/2.0 180 Ringing", "1 INVITE"),
            (Way::Received, "INVITE tel:1 SIP/2.0", "1 INVITE"),
            (Way::Sent, "SIP/2.0 180 Ringing", "1 INVITE"),
            (Way::Received, "INVITE tel:1 SIP/2.0", "2 INVITE"),
            (Way::Sent, "INVITE tel:1 SIP/2.0", "2 INVITE"),
        ] {
            pass(&mut h, way, first, cseq, "");
        }
        assert_eq!(h.events().map(|e| e.times).collect::<Vec<_>>(), [2, 2, 1, 1]);
    }

    #[test]
    fn a_long_call_remembers_its_beginning_and_its_latest() {
        let mut h = history();
        for n in 0..MAX_EVENTS + 10 {
            pass(&mut h, Way::Sent, "INFO tel:1 SIP/2.0", &format!("{n} INFO"), "");
        }
        assert_eq!((h.events().count(), h.forgotten(), h.count()), (MAX_EVENTS, 10, MAX_EVENTS as u32 + 10));
        let orders: Vec<u32> = h.events().map(|e| e.order).collect();
        let first = FIRST_EVENTS as u32;
        assert_eq!(orders[FIRST_EVENTS - 1..=FIRST_EVENTS], [first - 1, first + 10]);
        assert_eq!(orders.last(), Some(&(MAX_EVENTS as u32 + 9)));
    }
}
