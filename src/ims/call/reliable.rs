//! Reliable provisional answers (RFC 3262) to the INVITE that begins a call, on each side for itself.
//!
//! Where both phones can, they stay end to end: the callee's phone repeats its answer, and the caller's PRACK passes to it. Where
//! only the callee's can, we acknowledge it ourselves, and the caller gets the answer without reliability. Where the caller
//! demands it and the callee's phone cannot, we repeat the answer until the caller's PRACK, which ends at us.

use super::forward;
use super::held;
use super::limits::{MAX_OPEN_PROVISIONALS, MAX_QUEUED_PROVISIONALS};
use super::media::description;
use super::own::{self, Purpose, Request};
use super::pass::{self, Onward};
use super::release::{self, End};
use super::session::{Call, ServerId};
use super::tag::Side;
use crate::base::time::{Duration, Instant};
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::wire::sip::text::decimal;
use crate::wire::sip::{HeaderId, Message, Method, RAck, Stored};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// The option tag.
pub(super) const TAG: &str = "100rel";

/// What the caller makes of reliable provisional answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ability {
    /// It cannot, or may not.
    No,
    /// It can.
    Supported,
    /// It takes no other.
    Required,
}

/// The reliable provisional answers of one leg.
#[derive(Debug, Default)]
pub(super) struct Reliable {
    /// RSeq of the last one that the caller got; 0: none.
    last: u32,
    /// RSeq of the last one of the callee's phone; 0: none.
    far_last: u32,
    /// What the caller has not acknowledged.
    open: SmallVec<[Open; 1]>,
    /// Answers that wait until the caller has acknowledged ours before them (RFC 3262 3).
    queue: VecDeque<Stored>,
}

/// An answer without its PRACK.
#[derive(Debug)]
struct Open {
    /// RSeq as the caller got it.
    rseq: u32,
    /// The body that the caller got; `None`: as it came.
    body: Option<Vec<u8>>,
    source: Source,
}

/// Who repeats an answer.
#[derive(Debug)]
enum Source {
    /// The callee's phone, with this RSeq.
    Far(u32),
    /// We.
    Ours(Box<Repeat>),
    /// Nobody any more: the INVITE has its final answer, and only the PRACK of ours may still come.
    Nobody,
}

/// An answer that we repeat.
#[derive(Debug)]
struct Repeat {
    response: Stored,
    /// The status that the caller gets: of a 2xx that is kept back, a provisional one.
    status: u16,
    next_at: Instant,
    interval: Duration,
    give_up_at: Instant,
}

/// What becomes of the reliability of a response on its way to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reliability {
    /// It is not the call's first INVITE that is answered: as it came.
    AsItCame,
    /// It goes without.
    Without,
    /// It goes with this RSeq.
    With(u32),
}

impl Reliable {
    /// The earliest moment at which something is to be repeated, or given up.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.ours().map(|(_, r)| r.next_at.min(r.give_up_at)).min()
    }

    /// Whether the caller has not acknowledged an answer of ours with a description: the 2xx must wait for it (RFC 3262 3).
    pub(super) fn delays_success(&self) -> bool {
        self.ours().any(|(open, repeat)| match &open.body {
            Some(body) => !body.is_empty(),
            None => description(&repeat.response.message()).is_some(),
        })
    }

    /// Nothing more is repeated: the INVITE has its final answer. A PRACK that it has overtaken may still come.
    pub(super) fn stop(&mut self) {
        for open in self.open.iter_mut().filter(|o| matches!(o.source, Source::Ours(_))) {
            open.source = Source::Nobody;
        }
        self.queue.clear();
    }

    /// Another INVITE begins: RSeq is counted anew.
    pub(super) fn forget(&mut self) {
        self.open.clear();
    }

    fn ours(&self) -> impl Iterator<Item = (&Open, &Repeat)> {
        self.open.iter().filter_map(|o| match &o.source {
            Source::Ours(repeat) => Some((o, &**repeat)),
            Source::Far(_) | Source::Nobody => None,
        })
    }

    /// What one of the callee's phone is to the caller.
    fn map(&mut self, far: u32) -> Seen {
        let known = self.open.iter().find(|o| matches!(o.source, Source::Far(f) if f == far));
        if let Some(open) = known {
            return Seen::Again(open.rseq, open.body.clone());
        }
        if far <= self.far_last {
            return Seen::Acknowledged;
        }
        let rseq = if self.last == 0 { far } else { after(self.last) };
        self.far_last = far;
        self.last = rseq;
        Seen::New(rseq)
    }
}

/// What a reliable answer of the callee's phone is to the caller.
#[derive(Debug)]
enum Seen {
    /// It has this RSeq there.
    New(u32),
    /// It comes again, with this RSeq and this body.
    Again(u32, Option<Vec<u8>>),
    /// It comes again though its PRACK is under way.
    Acknowledged,
}

/// What the caller can, by its INVITE and the configuration.
pub(super) fn ability(call: &Call) -> Ability {
    let Some(invite) = &call.invite else { return Ability::No };
    let msg = invite.request.message();
    if !call.rules.reliable(Side::Caller) {
        return Ability::No;
    }
    if msg.lists(HeaderId::Require, TAG) {
        Ability::Required
    } else if msg.lists(HeaderId::Supported, TAG) {
        Ability::Supported
    } else {
        Ability::No
    }
}

/// The RSeq of a reliable provisional answer: none is 0 (RFC 3262 7.1).
fn rseq_of(msg: &Message<'_>) -> Option<u32> {
    msg.header(HeaderId::RSeq).and_then(decimal).filter(|rseq| *rseq != 0)
}

/// The next RSeq. A phone may begin with the last number there is, against RFC 3262 3.
fn after(rseq: u32) -> u32 {
    rseq.wrapping_add(1).max(1)
}

/// Passes a provisional answer of a leg's phone on, as the caller can take it.
pub(super) fn pass_on(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    leg: u8,
    msg: &Message<'_>,
) {
    let ability = ability(call);
    let passage = &mut call.legs[usize::from(leg)].passage;
    passage.learn(msg);
    // RFC 3312 5.1: a caller that waits for its resources needs the answer before it can say that they are there
    let is_needed = passage.waits(Side::Caller) && description(msg).is_some();
    let reliable = &mut call.legs[usize::from(leg)].reliable;
    match (rseq_of(msg), ability) {
        (Some(_), Ability::No) => {
            if acknowledge(call, view, cx, leg, msg) {
                _ = send(call, view, cx, (tx, leg), msg, Reliability::Without);
            }
        }
        (Some(far), _) => {
            let to = (tx, leg);
            match reliable.map(far) {
                Seen::New(rseq) => {
                    let body = send(call, view, cx, to, msg, Reliability::With(rseq));
                    let open = &mut call.legs[usize::from(leg)].reliable.open;
                    if open.len() == MAX_OPEN_PROVISIONALS {
                        open.remove(0);
                    }
                    open.push(Open { rseq, body, source: Source::Far(far) });
                }
                Seen::Again(rseq, body) => {
                    let onward = onward(to, msg.status(), Reliability::With(rseq));
                    pass::response_again(call, view, cx, onward, msg, body.as_deref());
                }
                Seen::Acknowledged => {}
            }
        }
        (None, ability) if ability != Ability::Required && !(ability == Ability::Supported && is_needed) => {
            _ = send(call, view, cx, (tx, leg), msg, Reliability::Without);
        }
        (None, _) if !reliable.open.is_empty() => {
            if reliable.queue.len() == MAX_QUEUED_PROVISIONALS {
                reliable.queue.pop_front();
            }
            reliable.queue.push_back(Stored::new(msg));
        }
        (None, _) => send_ours(call, view, cx, (tx, leg), Stored::new(msg), msg.status()),
    }
}

/// Acknowledges a reliable answer that the caller cannot (RFC 3262 4). `false`: it is an old one that came again.
pub(super) fn acknowledge(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    leg: u8,
    msg: &Message<'_>,
) -> bool {
    let Some(rseq) = rseq_of(msg) else { return true };
    let reliable = &mut call.legs[usize::from(leg)].reliable;
    if rseq <= reliable.far_last {
        return false;
    }
    reliable.far_last = rseq;
    let cseq = msg.cseq().map_or(0, |c| c.number);
    let rack = format!("{rseq} {cseq} INVITE");
    let request = Request {
        method: Method::Prack,
        purpose: Purpose::Acknowledge,
        headers: &[("RAck", &rack)],
        sdp: None,
    };
    own::send(call, view, cx, (leg, Side::Callee), &request);
    true
}

/// Sends an answer to the caller as a reliable one of ours, with this status.
pub(super) fn send_ours(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    (tx, leg): (ServerId, u8),
    response: Stored,
    status: u16,
) {
    let t1 = view.config.protocol.timer_t1;
    let reliable = &mut call.legs[usize::from(leg)].reliable;
    let rseq = after(reliable.last);
    reliable.last = rseq;
    // RFC 3261 13.2.1, RFC 6337 3.1: to an INVITE without an offer a description in an unreliable answer is none either; in a reliable
    // one it would be, and its answer would come in the PRACK, of which the phone does not know. Its 200 has its offer
    let is_said = call.invite.as_ref().is_some_and(|i| description(&i.request.message()).is_none());
    let onward = Onward { is_said, ..onward((tx, leg), status, Reliability::With(rseq)) };
    let body = pass::response(call, view, cx, onward, &response.message());
    // RFC 3262 3: from T1 on, doubling, for 64*T1
    let repeat =
        Repeat { response, status, next_at: cx.now + t1, interval: t1, give_up_at: cx.now + t1 * 64 };
    let reliable = &mut call.legs[usize::from(leg)].reliable;
    reliable.open.push(Open { rseq, body, source: Source::Ours(Box::new(repeat)) });
}

fn send(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    to: (ServerId, u8),
    msg: &Message<'_>,
    reliability: Reliability,
) -> Option<Vec<u8>> {
    pass::response(call, view, cx, onward(to, msg.status(), reliability), msg)
}

fn onward((tx, leg): (ServerId, u8), status: u16, reliability: Reliability) -> Onward {
    Onward { tx, leg, to: Side::Caller, status, reliability, is_said: false }
}

/// What a PRACK of the caller's acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acknowledged {
    /// An answer of the callee's phone with this RSeq: the PRACK passes.
    Far(u32),
    /// One of ours: the PRACK ends here.
    Ours,
    /// Nothing that waits for it (RFC 3262 3).
    Nothing,
}

/// Finds, and takes off, what a PRACK in the dialog with the caller acknowledges of the answers to the call's first INVITE. Inside
/// the call the phones are among themselves: there all pass.
pub(super) fn on_prack(call: &mut Call, leg: u8, rack: RAck<'_>) -> Acknowledged {
    let is_inside = call.invite.is_none();
    let open = &mut call.legs[usize::from(leg)].reliable.open;
    match open.iter().position(|o| o.rseq == rack.rseq).map(|at| open.remove(at).source) {
        Some(Source::Far(far)) => Acknowledged::Far(far),
        Some(Source::Ours(_) | Source::Nobody) => Acknowledged::Ours,
        None if is_inside => Acknowledged::Far(rack.rseq),
        None => Acknowledged::Nothing,
    }
}

/// The caller has acknowledged an answer of ours: what has waited for it goes out.
pub(super) fn proceed(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, leg: u8) {
    let Some(tx) = call.invite.as_ref().map(|i| i.tx) else { return };
    if held::is_held(call, leg) {
        return held::release_if_ready(call, view, cx, leg);
    }
    if let Some(next) = call.legs[usize::from(leg)].reliable.queue.pop_front() {
        let status = next.message().status();
        send_ours(call, view, cx, (tx, leg), next, status);
    }
}

/// Repeats what is due. An answer that is never acknowledged ends the call (RFC 3262 3).
pub(super) fn on_tick(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Some(tx) = call.invite.as_ref().map(|i| i.tx) else { return };
    for leg in 0..call.legs.len() {
        let due = call.legs[leg].reliable.open.iter_mut().find_map(|o| match &mut o.source {
            Source::Ours(repeat) if repeat.next_at.min(repeat.give_up_at) <= cx.now => {
                Some((o.rseq, &o.body, repeat))
            }
            _ => None,
        });
        let Some((rseq, body, repeat)) = due else { continue };
        if repeat.give_up_at <= cx.now {
            let text = "the caller does not acknowledge a reliable answer";
            return release::end(call, view, cx, &End::new(text, 500));
        }
        repeat.interval *= 2;
        repeat.next_at = cx.now + repeat.interval;
        let (response, status, body) = (repeat.response.clone(), repeat.status, body.clone());
        let onward = onward((tx, leg as u8), status, Reliability::With(rseq));
        pass::response_again(call, view, cx, onward, &response.message(), body.as_deref());
    }
}

/// Answers a PRACK that ends at us. An offer in it has its answer there (RFC 3262 5): what the caller was told before, for that is
/// what the callee's phone has said.
pub(super) fn respond(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    leg: u8,
    msg: &Message<'_>,
) {
    let settings = &view.config.protocol;
    let entry = &call.legs[usize::from(leg)];
    let told = entry.passage.told(Side::Caller).map(|sdp| sdp.octets());
    let answer = told.filter(|_| description(msg).is_some() && entry.passage.said(Side::Caller).is_some());
    view.txs.respond(cx, tx, 200, None, entry.tag(Side::Caller), |mut w| {
        forward::own_response(&mut w, settings);
        match answer {
            Some(sdp) => w.body(b"application/sdp", sdp),
            None => w.finish(),
        }
    });
}
