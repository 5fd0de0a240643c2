//! What happened on one side of a call, for its view (manual 6.6, `dialog_get`: `event_list`) and for the call's ladder.
//!
//! Messages are noted as they come and as they leave (`watch`), whoever wrote them: nothing here is told by the parts that handle
//! them. A message that comes or goes again is counted with the first.

use super::limits::{FIRST_EVENTS, MAX_CODECS, MAX_EVENTS, MAX_TARGET};
use super::media::description;
use super::state::State;
use crate::base::time::Duration;
use crate::ims::view::EventView;
use crate::proto::sip::transaction::Token;
use crate::wire::sdp::{Media, Sdp};
use crate::wire::sip::text::{decimal, lossy};
use crate::wire::sip::{HeaderId, Message, Method, RAck};
use arrayvec::ArrayString;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::fmt::{self, Write as _};

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

/// A message's words, with the RSeq from which those of its dialog are counted.
struct Words<'p>(&'p Passed, u32);

impl fmt::Display for Words<'_> {
    /// `INVITE (sdp)`, `183 INVITE (sdp, rel 1)`, `PRACK (rel 1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Words(passed, first) = self;
        if passed.status != 0 {
            write!(f, "{} ", passed.status)?;
        }
        f.write_str(if passed.method == Method::Other { "other" } else { passed.method.name() })?;
        // RFC 3262 3: phones begin anywhere below 2^31; that one number follows the other is all there is to it
        match (passed.has_sdp, passed.reliable.wrapping_sub(*first).wrapping_add(1)) {
            (false, _) if passed.reliable == 0 => Ok(()),
            (true, _) if passed.reliable == 0 => f.write_str(" (sdp)"),
            (false, n) => write!(f, " (rel {n})"),
            (true, n) => write!(f, " (sdp, rel {n})"),
        }
    }
}

/// What a stream is coded in; empty when the name is longer than any.
type Codec = ArrayString<24>;

/// The payload types that need no rtpmap (RFC 3551 6) and that phones use.
const STATIC: [(&[u8], &str); 4] =
    [(b"0", "PCMU/8000"), (b"3", "GSM/8000"), (b"8", "PCMA/8000"), (b"9", "G722/8000")];

fn codec(media: &Media<'_>) -> Codec {
    let mut out = Codec::new();
    let Some(format) = media.formats().next() else { return out };
    let written = match media.rtpmap(format) {
        Some(map) => write!(out, "{}/{}", lossy(map.name), map.clock_rate),
        None => match STATIC.iter().find(|(number, _)| *number == format) {
            Some((_, name)) => out.write_str(name),
            None => write!(out, "format {}", lossy(format)),
        },
    };
    if written.is_err() {
        out.clear();
    }
    out
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
    /// The codec of each stream that the last answer takes.
    codecs: SmallVec<[Codec; 2]>,
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
            codecs: SmallVec::new(),
            trace_id: None,
        }
    }

    /// That of another early dialog of the INVITE whose history is `first`: begun by an answer, at the contact that this names.
    pub(super) fn beside(first: &History, index: u32, session: Token, answer: &Message<'_>) -> Self {
        let contact = answer
            .contacts()
            .next()
            .flatten()
            .map(|c| lossy(&c.uri_text[..c.uri_text.len().min(MAX_TARGET)]).into());
        History {
            state: first.state,
            target: contact.unwrap_or_else(|| first.target.clone()),
            trace_id: first.trace_id,
            ..History::new(index, session)
        }
    }

    /// The session id's text.
    pub(super) fn session_id(&self) -> String {
        self.session.to_string()
    }

    /// When it began, since the call's creation.
    pub(super) fn began(&self) -> Duration {
        self.events.front().map_or(Duration::ZERO, |first| first.at)
    }

    /// The status with which the INVITE to this party has failed.
    pub(super) fn failure(&self) -> Option<u16> {
        let is_it = |p: &Passed| (p.way, p.method) == (Way::Received, Method::Invite) && p.status >= 300;
        self.events.iter().find_map(|e| match e.what {
            What::Message(passed) => Some(passed).filter(is_it).map(|p| p.status),
            What::State => None,
        })
    }

    /// The codec of each stream that the last answer here takes: name and clock rate.
    pub(super) fn codecs(&self) -> impl Iterator<Item = &str> {
        self.codecs.iter().map(|c| c.as_str())
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

    /// What a message of this side says.
    pub(super) fn text(&self, passed: &Passed) -> String {
        let in_dialog = |e: &Event| match e.what {
            What::Message(other) if other.dialog == passed.dialog => Some(other.reliable).filter(|n| *n != 0),
            _ => None,
        };
        let first = self.events.iter().find_map(in_dialog).unwrap_or(passed.reliable);
        Words(passed, first).to_string()
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
        self.note_codecs(msg);
        if self.trace_id.is_none() && msg.is_request() {
            let uri = msg.request_uri();
            self.target = lossy(&uri[..uri.len().min(MAX_TARGET)]).into();
            self.trace_id = msg.call_id().map(crate::proto::sip::transaction::trace_id);
        }
        self.push(order, at, What::Message(passed));
    }

    /// Takes note of what an answer chooses, the first format of each stream; an offer only proposes.
    fn note_codecs(&mut self, msg: &Message<'_>) {
        let settles =
            msg.method() == Method::Ack || (!msg.is_request() && (101..300).contains(&msg.status()));
        let Some(sdp) = description(msg).filter(|_| settles).and_then(|d| Sdp::parse(d).ok()) else { return };
        self.codecs = sdp.medias().filter(|m| m.port != 0).take(MAX_CODECS).map(|m| codec(&m)).collect();
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
                What::Message(passed) if passed.way == Way::Sent => ("send", self.text(&passed)),
                What::Message(passed) => ("recv", self.text(&passed)),
            };
            let timestamp = event.at.saturating_sub(self.began()).as_secs_f64();
            EventView { kind, timestamp, state: event.state.name(), text }
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
        pass(&mut h, Way::Sent, "SIP/2.0 180 Ringing", "1 INVITE", "RSeq: 8\r\n");
        pass(&mut h, Way::Received, "FLY tel:1 SIP/2.0", "3 FLY", "");
        let want = [
            ("recv", "init", "INVITE (sdp)"),
            ("state", "ringing", ""),
            ("send", "ringing", "183 INVITE (sdp, rel 1)"),
            ("recv", "ringing", "PRACK (rel 1)"),
            ("send", "ringing", "180 INVITE (rel 2)"),
            ("recv", "ringing", "other"),
        ];
        assert_eq!(shown(&h), want.map(|(kind, state, text)| (kind, state, text.to_owned())));
        assert_eq!((&*h.target, h.trace_id.is_some()), ("tel:1", true));
    }

    #[test]
    fn what_a_phone_writes_at_length_is_cut() {
        let mut h = history();
        let media: String = (0..12).map(|n| format!("m=audio 4000 RTP/AVP {n}\r\n")).collect();
        let body = format!("Content-Type: application/sdp\r\n\r\nv=0\r\nc=IN IP4 192.0.2.1\r\n{media}");
        pass(&mut h, Way::Received, &format!("INVITE sip:{}@h SIP/2.0", "x".repeat(5000)), "1 INVITE", "");
        pass(&mut h, Way::Sent, "SIP/2.0 200 OK", "1 INVITE", &body);
        assert_eq!(h.target.len(), MAX_TARGET);
        let codecs: Vec<&str> = h.codecs().collect();
        assert_eq!(codecs.len(), MAX_CODECS);
        assert_eq!(codecs[..4], ["PCMU/8000", "format 1", "format 2", "GSM/8000"]);
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
