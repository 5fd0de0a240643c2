//! Calls that the network makes (manual 6.6 and 7, `mt_call`): our user agent calls a user's phones and sends back what it hears.
//!
//! `order` says who is called, by whom and with what media; `invite` writes the INVITE of each contact; here are the answers. There
//! is no caller's side: each leg has the dialog with its phone only.

mod invite;
mod order;

pub use order::{Callee, Order};
pub(super) use order::{draft, read};

use super::agent::{self, Agent, Change, Prepared, Streams};
use super::answer;
use super::destination::{Destination, next_group};
use super::early;
use super::fork::{self, rank};
use super::forward;
use super::media::description;
use super::pass;
use super::refresh;
use super::release::{self, End};
use super::reliable;
use super::session::{Call, ClientId, Kind, LegState, Waiting};
use super::sibling;
use super::state::State;
use super::tag::Side;
use crate::base::time::{Duration, Instant};
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::proto::flow::LocalId;
use crate::proto::sip::dialog::Dialog;
use crate::wire::sdp::{Sdp, Template};
use crate::wire::sip::{HeaderId, Message};
use smallvec::SmallVec;
use std::sync::Arc;

/// Our side of a call that the network makes.
#[derive(Debug)]
pub(super) struct Mt {
    pub(super) agent: Agent,
    /// Contacts that were not tried yet.
    waiting: Waiting,
    /// Those that are called once the ports are open.
    group: SmallVec<[Destination; 4]>,
    /// The media that are offered.
    template: Arc<Template>,
    /// Whom phones see as the caller.
    caller: order::Calling,
    /// What we and each leg's phone have said of the media.
    said: SmallVec<[Said; 1]>,
    /// The leg that answered.
    pub(super) winner: Option<u8>,
    /// The best of the failures so far, with its words.
    best: Option<(u16, String)>,
    /// How long the answered call lasts; none: until somebody ends it.
    duration: Option<Duration>,
    ends_at: Option<Instant>,
}

/// The descriptions of one leg.
#[derive(Debug)]
struct Said {
    /// What our INVITE said.
    sent: Arc<[u8]>,
    /// What we said last.
    ours: Vec<u8>,
    /// What the phone said last; none before its answer.
    theirs: Option<Vec<u8>>,
    /// The answer came reliably, or an UPDATE after it: the 2xx says nothing new (RFC 6337 2.2).
    is_settled: bool,
}

impl Said {
    /// Of a phone that has said nothing to this yet.
    fn new(sent: Arc<[u8]>) -> Said {
        Said { ours: sent.to_vec(), sent, theirs: None, is_settled: false }
    }
}

impl Mt {
    /// The earliest moment at which it has something to do by itself.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.agent.next_deadline().into_iter().chain(self.ends_at).min()
    }

    /// What was said on a leg. One of which nothing is known yet, and any before it, has been sent this.
    fn said_at(&mut self, leg: u8, sent: &Arc<[u8]>) -> &mut Said {
        let at = usize::from(leg);
        if self.said.len() <= at {
            self.said.resize_with(at + 1, || Said::new(Arc::clone(sent)));
        }
        &mut self.said[at]
    }

    /// Nothing more is tried: the call has ended.
    pub(super) fn stop(&mut self) {
        self.waiting.clear();
        self.group.clear();
        self.ends_at = None;
    }
}

fn mt(call: &mut Call) -> Option<&mut Mt> {
    match &mut call.kind {
        Kind::Mt(mt) => Some(mt),
        Kind::Bridge(_) | Kind::Echo(_) => None,
    }
}

/// Starts the call: ports for its media, then the first contacts. `false`: none of them can be called; why, `give_up` knows.
pub(super) fn start(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    super::trace(cx, call, format_args!("{} calls {}", call.caller.uri, call.callee.uri));
    if !start_group(call, view, cx) {
        give_up(call, view, cx);
    }
}

/// Calls the best contacts that were not tried yet. `false`: there are none left.
fn start_group(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) -> bool {
    call.be_patient(cx.now, view.config.call.dialog_timeout);
    let index = call.history.index;
    let treatment = call.callee.impu(view.subs).map(|i| i.packets).unwrap_or_default();
    loop {
        let Some(mt) = mt(call) else { return false };
        let Some(group) = next_group(&mut mt.waiting) else { return false };
        let Some(local) = group.iter().find_map(|to| media_local(view, *to)) else { continue };
        // phones behind another address of ours get another offer, so they come next
        let (here, elsewhere): (SmallVec<[_; 4]>, SmallVec<[_; 4]>) =
            group.into_iter().partition(|to| media_local(view, *to).is_none_or(|other| other == local));
        mt.waiting.insert_many(0, elsewhere.into_iter().map(|to| (to, u16::MAX)));
        mt.group = here;
        if mt.agent.streams.local() != local {
            mt.agent.streams.close_all(view.media, cx.out);
            mt.agent.streams = streams(view, cx, local);
        }
        mt.agent.streams.treat(index, treatment);
        let template = Arc::clone(&mt.template);
        match mt.agent.streams.prepare_media(cx.now, view.media, cx.out, &template) {
            Prepared::Waits => return true,
            Prepared::Ready if call_group(call, view, cx) => return true,
            Prepared::Ready => {}
            Prepared::NoRoom | Prepared::NothingFits => {
                note_failure(call, 503, "no media port is left");
                return false;
            }
        }
    }
}

/// The SIP socket whose media address suits a contact.
fn media_local(view: &View<'_>, to: Destination) -> Option<LocalId> {
    Some(view.security.locals().clear_of(to.phone(view)?.local))
}

/// No streams yet, for phones behind a SIP socket of ours.
fn streams(view: &View<'_>, cx: &Cx<'_>, local: LocalId) -> Streams {
    // RFC 8866 5.2: session id and version of the o= line follow the clock
    let id = cx.wall.as_micros().unsigned_abs();
    let address = view.config.sip[usize::from(local.0)].addr.ip();
    Streams::new(local, agent::Origin { id, version: 0, address }, agent::Allowed::ALL, None)
}

/// The ports are open, or could not be opened.
pub(super) fn on_ports(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, ok: bool) {
    if mt(call).is_none_or(|mt| mt.group.is_empty()) {
        return;
    }
    if !ok {
        return release::end(call, view, cx, &End::new("media ports cannot be opened", 503));
    }
    if !call_group(call, view, cx) && !start_group(call, view, cx) {
        give_up(call, view, cx);
    }
}

/// Sends the INVITEs of the group. `false`: none could be sent.
fn call_group(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) -> bool {
    let Some(mt) = mt(call) else { return false };
    if mt.agent.streams.description().is_empty() {
        let change = Change::Media(Arc::clone(&mt.template));
        mt.agent.streams.offer(&change);
    }
    let group = std::mem::take(&mut mt.group);
    group.into_iter().filter(|to| invite::send(call, view, cx, *to)).count() > 0
}

/// A provisional answer of a leg's phone.
pub(super) fn on_provisional(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    number: u8,
    msg: &Message<'_>,
) {
    if msg.status() <= 100 {
        return;
    }
    let Some(number) = leg_of(call, view, cx, number, msg) else { return };
    let leg = &mut call.legs[usize::from(number)];
    if !leg.state.is_open() {
        return;
    }
    leg.state = LegState::Ringing;
    let is_new = early::note(leg, msg);
    found_dialog(call, view, number, msg);
    // RFC 3262 4: one that comes again, or out of order, has nothing more to say
    if msg.header(HeaderId::RSeq).is_some() && !reliable::acknowledge(call, view, cx, number, msg) {
        return;
    }
    if is_new {
        call.be_patient(cx.now, view.config.call.dialog_timeout);
    }
    hear(call, view, cx, number, msg);
    if call.state == State::Init {
        call.become_state(cx.now, State::Ringing);
        super::trace(cx, call, format_args!("{} rings", call.callee.uri));
    }
}

/// The leg that an answer to the INVITE of `first` belongs to: another one for another To tag (`sibling`). `None`: there is no room.
fn leg_of(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, first: u8, msg: &Message<'_>) -> Option<u8> {
    let number = sibling::of_answer(call, view, cx, first, msg)?;
    let mt = mt(call)?;
    let sent = Arc::clone(&mt.said.get(usize::from(first))?.sent);
    mt.said_at(number, &sent);
    Some(number)
}

/// The early dialog of an answer with a To tag (RFC 3261 12.1.2).
fn found_dialog(call: &mut Call, view: &View<'_>, number: u8, msg: &Message<'_>) {
    let leg = &mut call.legs[usize::from(number)];
    let request = leg.client.and_then(|c| view.txs.client(c)).filter(|_| leg.down.is_none());
    if let Some(request) = request {
        leg.down = Dialog::uac(&request.request(), msg, request.flow());
    }
}

/// Takes note of what a phone says of the media; puts it into effect where no other phone can still answer the call.
fn hear(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, number: u8, msg: &Message<'_>) {
    let Some(sdp) = description(msg) else { return };
    let is_only = call.legs.iter().filter(|l| l.state.is_open()).count() == 1;
    let Some(mt) = mt(call) else { return };
    let is_only = is_only && mt.waiting.is_empty();
    let Some(said) = mt.said.get_mut(usize::from(number)) else { return };
    if said.is_settled {
        return;
    }
    said.theirs = Some(sdp.to_vec());
    said.is_settled = msg.header(HeaderId::RSeq).is_some();
    if is_only && let Ok(answer) = Sdp::parse(sdp) {
        mt.agent.streams.take_answer(view.media, cx.out, &answer);
    }
    note(call, number);
}

/// Takes note of what a phone and we have said, for its bearers.
fn note(call: &mut Call, leg: u8) {
    let Some(said) = mt(call).and_then(|mt| mt.said.get(usize::from(leg))) else { return };
    if let (ours, Some(theirs)) = (said.ours.clone(), said.theirs.clone()) {
        call.legs[usize::from(leg)].passage.note(Side::Callee, &theirs, &ours);
    }
}

/// A phone has offered something else before its 2xx, or later, and has our answer.
pub(super) fn on_reoffered(call: &mut Call, leg: u8, offer: Option<&[u8]>) {
    let Some(mt) = mt(call) else { return };
    let ours = mt.agent.streams.description().to_vec();
    if let (Some(said), Some(offer)) = (mt.said.get_mut(usize::from(leg)), offer) {
        (said.ours, said.theirs, said.is_settled) = (ours, Some(offer.to_vec()), true);
    }
}

/// A final answer of a leg's phone.
pub(super) fn on_final(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    leg: u8,
    client: ClientId,
    msg: &Message<'_>,
) {
    if msg.status() >= 300 {
        if refresh::may_ask_again(call, (leg, Side::Callee), msg) && invite::send_again(call, view, cx, leg) {
            return;
        }
        let words = format!("{} {}", msg.status(), forward::phrase(msg).unwrap_or_default());
        return on_failure(call, view, cx, leg, msg.status(), words.trim_end());
    }
    let leg = leg_of(call, view, cx, leg, msg).unwrap_or(leg);
    let Some(dialog) = answer::confirmed(view, client, msg) else {
        // RFC 3261 12.1.2: without Contact or To tag there is no dialog to acknowledge it in
        return on_failure(call, view, cx, leg, 500, "the answer founds no dialog");
    };
    let entry = &mut call.legs[usize::from(leg)];
    let wins = entry.state.is_open() && call.state != State::Stop;
    entry.down = Some(match entry.down.take() {
        // the early dialog has counted requests already: its numbers go on (RFC 3261 12.2.1.1)
        Some(mut early) if early.id() == dialog.id() => {
            early.on_response(msg);
            early
        }
        _ => dialog,
    });
    let (_, cseq) = call.legs[usize::from(leg)].invites[Side::Caller as usize];
    pass::ack(call, view, cx, (leg, Side::Callee), cseq, None);
    let only_rings = call.callee.impu(view.subs).is_some_and(|i| i.ring_only);
    if wins && !only_rings {
        refresh::on_success(call, cx.now, (leg, Side::Callee), msg);
        return take(call, view, cx, leg, msg);
    }
    // RFC 3261 9.1: the CANCEL came too late; or the identity rings and no more (manual 5.2.1, `ring_only`)
    let reason = "SIP;cause=487;text=\"the call was cancelled or taken elsewhere\"";
    release::bye(call, view, cx, leg, Side::Callee, reason, None);
    on_failure(call, view, cx, leg, 480, "it only rings");
}

/// The 2xx that makes the call.
fn take(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, leg: u8, msg: &Message<'_>) {
    sibling::win(call, view, cx, leg);
    fork::cancel_open(call, view, cx, Some(leg), answer::ELSEWHERE);
    call.legs[usize::from(leg)].state = LegState::Answered;
    hear_nobody_else(call, leg, msg);
    call.idle_deadline = Some(cx.now + view.config.call.dialog_timeout);
    call.become_state(cx.now, State::Start);
    super::trace(cx, call, format_args!("{} answered", call.callee.uri));
    let Some(mt) = mt(call) else { return };
    mt.ends_at = mt.duration.map(|d| cx.now + d);
    // a leg of which nothing is known has no media either
    let said = mt.said_at(leg, &Arc::default());
    let (theirs, ours) = (said.theirs.clone(), said.ours.clone());
    let answer = theirs.as_deref().and_then(|sdp| Sdp::parse(sdp).ok());
    mt.agent.streams.set_description(ours);
    if answer.is_some_and(|a| mt.agent.streams.take_answer(view.media, cx.out, &a)) {
        note(call, leg);
        agent::settle(call, cx);
    } else {
        release::end(call, view, cx, &End::new("the answer has no usable media", 488));
    }
}

/// The call is this leg's.
fn hear_nobody_else(call: &mut Call, leg: u8, msg: &Message<'_>) {
    let Some(mt) = mt(call) else { return };
    mt.winner = Some(leg);
    mt.agent.at = (leg, Side::Callee);
    mt.waiting.clear();
    if let (Some(sdp), Some(said)) = (description(msg), mt.said.get_mut(usize::from(leg)))
        && !said.is_settled
    {
        said.theirs = Some(sdp.to_vec());
    }
}

/// A leg has failed.
pub(super) fn on_failure(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    leg: u8,
    status: u16,
    words: &str,
) {
    let was_open = sibling::end_all(call, leg);
    if !was_open || call.state == State::Stop || call.answered_leg().is_some() {
        return;
    }
    note_failure(call, status, words);
    if status >= 600 {
        // RFC 3261 16.7 step 5: nobody else is asked after a global failure
        fork::cancel_open(call, view, cx, None, "SIP;cause=603;text=\"declined elsewhere\"");
        mt(call).into_iter().for_each(|mt| mt.waiting.clear());
    }
    if !call.legs.iter().any(|l| l.state.is_open()) && !start_group(call, view, cx) {
        give_up(call, view, cx);
    }
}

fn note_failure(call: &mut Call, status: u16, words: &str) {
    let Some(mt) = mt(call) else { return };
    if mt.best.as_ref().is_none_or(|(best, _)| rank(status) < rank(*best)) {
        mt.best = Some((status, words.to_owned()));
    }
}

/// Nobody has answered for too long: the phones that ring are given up, the next ones are called.
pub(super) fn on_silence(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let words = match call.state {
        State::Ringing => "nobody took the call",
        _ => "the callee's phone does not answer",
    };
    fork::cancel_open(call, view, cx, None, "SIP;cause=408;text=\"no answer\"");
    note_failure(call, 408, words);
    if !start_group(call, view, cx) {
        give_up(call, view, cx);
    }
}

/// Nobody is left to call.
fn give_up(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let best = mt(call).and_then(|mt| mt.best.take());
    let (status, words) = best.unwrap_or_else(|| (480, "the callee's phone cannot be reached".to_owned()));
    release::end(call, view, cx, &End::new(&words, status));
}

/// Does what is due by time.
pub(super) fn on_tick(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Some(mt) = mt(call) else { return };
    if mt.ends_at.is_some_and(|at| at <= cx.now) {
        let secs = mt.duration.unwrap_or_default().as_secs_f64();
        release::end(call, view, cx, &End::new(&format!("its duration of {secs} s is over"), 200));
    }
}

/// Whether the phone of a leg has no part in the call any more.
pub(super) fn is_over(call: &Call, leg: u8) -> bool {
    matches!(call.kind, Kind::Mt(_))
        && call
            .legs
            .get(usize::from(leg))
            .is_none_or(|l| matches!(l.state, LegState::Over | LegState::Cancelled))
}

/// Whether the offer in our INVITE has no answer of this leg's phone yet.
pub(super) fn awaits_answer(call: &Call, leg: u8) -> bool {
    match &call.kind {
        Kind::Mt(mt) => mt.said.get(usize::from(leg)).is_none_or(|said| said.theirs.is_none()),
        Kind::Bridge(_) | Kind::Echo(_) => false,
    }
}
