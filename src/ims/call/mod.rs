//! Sessions (TS 24.229 5.4, RFC 3261 12-15): a back-to-back user agent between registered users, and the echo service.
//!
//! [`Calls`] owns every call and hands each input to the part that knows what to do: `setup` and `fork` start legs, `early` and
//! `answer` bring their answers back, `reinvite` passes what happens inside a call, `release` ends it; `echo` is a callee of our
//! own. `forward` says what becomes of headers, `pass` moves one message from one dialog to the other.
//!
//! Not here: who may call (dispatch), where contacts are (registrar), retransmission (transaction layer), packets (media table).

mod admit;
mod again;
mod agent;
mod anchor;
mod anchoring;
mod answer;
mod bearers;
mod control;
mod destination;
mod early;
mod echo;
mod fork;
pub mod forward;
mod glare;
mod held;
mod history;
mod in_need;
mod ladder;
pub mod limits;
mod media;
mod mt;
mod opening;
mod own;
mod pass;
mod passage;
mod preconditions;
mod preferences;
mod privacy;
mod refresh;
mod reinvite;
mod release;
mod reliable;
mod rules;
mod sameness;
mod session;
mod setup;
mod sibling;
pub mod state;
mod tag;
mod timer;
mod views;
mod watch;

#[cfg(test)]
mod tests;

pub(in crate::ims) use admit::{Refusal, calling_party, contacts};
pub use control::{Action, Why};
pub(in crate::ims) use destination::{Destination, next_group};
pub(in crate::ims) use fork::rank;
pub use mt::{Callee, Order};
pub(in crate::ims) use opening::{FIRST_CSEQ, Opening};
pub(in crate::ims) use rules::Rules;
pub use session::{Call, Part};
pub(in crate::ims) use session::{ClientId, Failure, Party, ServerId, Waiting};
pub(in crate::ims) use tag::{Place, Side};
pub(in crate::ims) use timer::Terms;

use crate::base::arena::{Arena, Id};
use crate::base::time::Instant;
use crate::base::timer::AlarmQueue;
use crate::base::trace::Level;
use crate::ims::core::View;
use crate::ims::dispatch::Caller;
use crate::ims::emergency::callback::Stranger;
use crate::ims::event::Event;
use crate::ims::gate;
use crate::ims::owner::Owner;
use crate::ims::policy::{Outcome, SessionId};
use crate::ims::registrar::{Gone, Removed};
use crate::ims::subscriber::UserId;
use crate::ims::view::{DialogView, LadderView};
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::proto::media::table::MediaTable;
use crate::proto::sip::dialog::Dialog;
use crate::proto::sip::transaction::{Answer, TxEvent};
use crate::wire::sip::{Message, Method, Stored};
use admit::Draft;
use history::Way;
use limits::{LINGER, MAX_CALLS, MAX_FORKS, MAX_NEWS, MAX_SIBLINGS};
use release::End;
use session::{Invite, Kind, Role};
use smallvec::SmallVec;
use state::State;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// Each call takes this many dialog indexes: its own, one for each leg, and one for the sibling that may answer beyond its limit.
const INDEXES: u32 = 20;
const _: () = assert!(2 + MAX_FORKS + MAX_SIBLINGS <= INDEXES as usize);

/// The index of the first call.
const FIRST_INDEX: u32 = 10;

/// All calls.
#[derive(Debug)]
pub struct Calls {
    calls: Arena<Call>,
    alarms: AlarmQueue<Id<Call>>,
    /// Calls that have ended, the first first.
    ended: VecDeque<Id<Call>>,
    /// Media sessions whose ports are being opened.
    opening: BTreeMap<u64, Id<Call>>,
    next_index: u32,
    /// Callers of emergency calls that have ended.
    recallable: VecDeque<Stranger>,
    watch: watch::Watch,
    /// What clients are to be told.
    news: VecDeque<Event>,
    /// Users whose call has changed its state.
    touched: VecDeque<UserId>,
}

impl Default for Calls {
    fn default() -> Self {
        Self::new()
    }
}

impl Calls {
    /// No calls.
    pub fn new() -> Self {
        Calls {
            calls: Arena::with_cap(MAX_CALLS),
            alarms: AlarmQueue::new(),
            ended: VecDeque::new(),
            opening: BTreeMap::new(),
            next_index: FIRST_INDEX,
            recallable: VecDeque::new(),
            watch: watch::Watch::default(),
            news: VecDeque::new(),
            touched: VecDeque::new(),
        }
    }

    /// Makes a call to a user. Gives its dialog's index and session id; the error says in words why it cannot be made.
    pub fn call(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        order: Order,
    ) -> Result<(u32, String), String> {
        let found = mt::read(view, cx, &order)?;
        let draft = mt::draft(view, cx, order, found)?;
        let id = self.insert(view, cx, draft).ok_or("there is no room for another call")?;
        self.watch.is_touched = true;
        self.with(view, cx, id, mt::start);
        let call = self.calls.get(id).ok_or("the call has ended")?;
        Ok((call.history.index, call.history.session_id()))
    }

    /// The next thing that clients are to be told.
    pub fn pop_event(&mut self) -> Option<Event> {
        self.news.pop_front()
    }

    /// The next user whose call has changed its state.
    pub fn pop_touched(&mut self) -> Option<UserId> {
        self.touched.pop_front()
    }

    /// An INVITE outside of any dialog, from `caller` if that is known. Whether the caller may call has been decided.
    pub fn on_invite(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        tx: ServerId,
        msg: &Message<'_>,
        caller: Caller,
    ) {
        let Some(flow) = view.txs.server(tx).map(|s| s.flow()) else { return };
        view.txs.respond(cx, tx, 100, None, &[], |w| w.finish());
        let refusal = match Draft::new(view, cx, msg, caller, flow) {
            Err(refusal) => refusal,
            Ok(draft) => match self.insert(view, cx, draft) {
                None => Refusal::NO_ROOM,
                Some(id) => {
                    return self.with(view, cx, id, |call, view, cx| begin(call, view, cx, tx, msg, flow));
                }
            },
        };
        refusal.send(view, cx, tx, msg);
    }

    /// A request inside a dialog: with a To tag, and no ACK or CANCEL.
    pub fn on_in_dialog(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        tx: ServerId,
        msg: &Message<'_>,
        flow: Flow,
    ) {
        let Some(place) = self.place(msg) else { return reinvite::refuse(view, cx, tx, 481) };
        self.with(view, cx, place.call, |call, view, cx| {
            let at = (place.leg, place.side);
            let order = enter(call, view, cx, at, msg, flow);
            match (order, msg.method()) {
                (Err(status), _) => reinvite::refuse(view, cx, tx, status),
                (Ok(()), Method::Bye) => release::on_bye(call, view, cx, tx, msg, at),
                (Ok(()), _) if call.agent().is_some() => agent::on_request(call, view, cx, tx, msg, at),
                (Ok(()), _) => reinvite::on_request(call, view, cx, tx, msg, at),
            }
        });
    }

    /// An ACK that ends no transaction of a failure: of a 2xx, or stray.
    pub fn on_ack(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, msg: &Message<'_>, flow: Flow) {
        let Some(place) = self.place(msg) else { return };
        self.with(view, cx, place.call, |call, view, cx| {
            if is_from_party(call, view, (place.leg, place.side), msg, flow) {
                answer::on_ack(call, view, cx, place.leg, place.side, msg);
            }
        });
    }

    /// A CANCEL, answered already, of an INVITE that has no final answer yet.
    pub fn on_cancel(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, invite: ServerId, msg: &Message<'_>) {
        let Some(Owner::Call(part)) = view.txs.server(invite).and_then(|s| s.owner()) else { return };
        self.with(view, cx, part.call, |call, view, cx| match part.role {
            Role::Invite => {
                call.note(cx.now, (0, Side::Caller), Way::Received, msg);
                release::on_cancel(call, view, cx, msg);
            }
            Role::Relay(number) => reinvite::on_cancel(call, view, cx, number, msg),
            Role::Leg(_) | Role::Bye | Role::Own(_) => {}
        });
    }

    /// A response to a request of a call's.
    pub fn on_answer(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        part: Part,
        answer: Answer<Owner>,
        msg: &Message<'_>,
    ) {
        let (client, is_repeated) = match answer {
            Answer::Provisional { id, .. } | Answer::Final { id, .. } => (id, false),
            Answer::Repeat2xx { id, .. } => (id, true),
            Answer::Absorbed | Answer::Stray => return,
        };
        if self.calls.get(part.call).is_none() {
            return on_orphan(view, cx, client, msg, is_repeated);
        }
        self.with(view, cx, part.call, |call, view, cx| match part.role {
            _ if is_repeated => answer::on_repeated(call, view, cx, client, msg),
            Role::Leg(leg) if matches!(call.kind, Kind::Mt(_)) => match msg.status() {
                ..200 => mt::on_provisional(call, view, cx, leg, msg),
                _ => mt::on_final(call, view, cx, leg, client, msg),
            },
            Role::Leg(leg) if msg.status() < 200 => early::on_provisional(call, view, cx, leg, msg),
            Role::Leg(leg) => answer::on_final(call, view, cx, leg, client, msg),
            Role::Relay(number) => reinvite::on_answer(call, view, cx, number, client, msg),
            Role::Own(number) => own::on_answer(call, view, cx, number, msg),
            Role::Invite | Role::Bye => {}
        });
    }

    /// Time or a failure has ended a transaction of a call's.
    pub fn on_tx_event(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, part: Part, event: TxEvent<Owner>) {
        let status = match event {
            TxEvent::ClientTimeout { .. } | TxEvent::ProceedingTimeout { .. } => 408,
            TxEvent::ClientFailed { .. } => 480,
            TxEvent::ServerTimeout { .. } => return,
        };
        self.with(view, cx, part.call, |call, view, cx| match (part.role, event) {
            (Role::Relay(_) | Role::Own(_), TxEvent::ProceedingTimeout { id, .. }) => give_up(view, cx, id),
            (Role::Leg(leg), event) => {
                // what the phone says to our CANCEL, 487, is no answer to the caller
                if let TxEvent::ProceedingTimeout { id, .. } = event {
                    give_up(view, cx, id);
                }
                match call.kind {
                    Kind::Mt(_) => {
                        mt::on_failure(call, view, cx, leg, status, "the callee's phone does not answer");
                    }
                    _ => fork::on_failure(call, view, cx, leg, status, None),
                }
            }
            (Role::Relay(number), _) => reinvite::on_no_answer(call, view, cx, number, status),
            (Role::Own(number), _) => own::on_no_answer(call, view, cx, number),
            (Role::Invite | Role::Bye, _) => {}
        });
    }

    /// The policy server says something of a session.
    pub fn on_bearers(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        session: SessionId,
        outcome: Outcome<'_>,
    ) {
        let Some(place) = view.policy.place(session) else { return };
        self.with(view, cx, place.call, |call, view, cx| bearers::on_outcome(call, view, cx, place, outcome));
    }

    /// The ports of a media session are open, or could not be opened. `false`: no call has that session.
    pub fn on_media_opened(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, session: u64, ok: bool) {
        let Some(id) = self.opening.remove(&session) else { return };
        self.with(view, cx, id, |call, view, cx| match call.kind {
            Kind::Echo(_) | Kind::Mt(_) => agent::on_media_opened(call, view, cx, session, ok),
            Kind::Bridge(_) => anchoring::on_media_opened(call, view, cx, session, ok),
        });
    }

    /// Runs what is due.
    pub fn tick(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>) {
        // the transaction layer repeats by time what belongs to calls
        self.watch.is_touched = true;
        while let Some(id) = self.alarms.due(cx.now) {
            self.with(view, cx, id, |call, view, cx| {
                answer::on_tick(call, view, cx);
                reliable::on_tick(call, view, cx);
                refresh::on_tick(call, view, cx);
                match call.kind {
                    Kind::Echo(_) => echo::on_tick(call, view, cx),
                    Kind::Mt(_) => mt::on_tick(call, view, cx),
                    Kind::Bridge(_) => again::on_tick(call, view, cx),
                }
                agent::offer::on_tick(call, view, cx);
                if call.idle_deadline.is_some_and(|at| at <= cx.now) {
                    on_idle(call, view, cx);
                }
            });
        }
    }

    /// When [`Calls::tick`] must be called next, if ever.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.alarms.next_deadline()
    }

    /// The call that a dialog index belongs to, if that has not ended.
    fn running(&self, index: u32) -> Result<Id<Call>, String> {
        let found = self.calls.iter().find(|(_, c)| c.has_dialog(index));
        match found.map(|(id, call)| (id, call.has_ended(index))) {
            None => Err(format!("no dialog {index}")),
            Some((_, true)) => Err(format!("dialog {index} has ended already")),
            Some((id, false)) => Ok(id),
        }
    }

    /// Does what the operator wants with the call that this dialog index belongs to. The error says why it cannot be done, in
    /// words.
    pub fn act(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        index: u32,
        action: Action,
    ) -> Result<(), String> {
        let id = self.running(index)?;
        self.watch.is_touched = true;
        let mut outcome = Ok(());
        self.with(view, cx, id, |call, view, cx| outcome = control::act(call, view, cx, index, action));
        outcome.map_err(|why| format!("dialog {index}: {why}"))
    }

    /// A contact is no longer registered. Its calls end if that is somebody's will, the user's or the network's (TS 24.229
    /// 5.4.1.5). A registration that merely ran out ends none: whether the phone is still there is the session timer's matter.
    pub fn on_binding_removed(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, removed: Removed) {
        if removed.why == Gone::Expired {
            return;
        }
        let uses = |c: &Call| {
            let winner = c.answered_leg().and_then(|l| c.legs.get(usize::from(l)));
            c.caller.binding == Some(removed.id) || winner.is_some_and(|l| l.contact() == Some(removed.id))
        };
        let ids: SmallVec<[Id<Call>; 4]> =
            self.calls.iter().filter(|(_, c)| c.state != State::Stop && uses(c)).map(|(id, _)| id).collect();
        for id in ids {
            self.with(view, cx, id, |call, view, cx| {
                release::end(call, view, cx, &End::new("a party is no longer registered", 480));
            });
        }
    }

    /// Ends every call.
    pub fn shutdown(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>) {
        let ids: Vec<Id<Call>> = self.calls.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.with(view, cx, id, |call, view, cx| {
                release::end(call, view, cx, &End::new("the IMS is shut down", 503));
            });
        }
    }

    /// Whether every call has ended, and no end of one waits for an ACK.
    pub fn is_idle(&self) -> bool {
        self.calls.len() == self.ended.len() && self.calls.iter().all(|(_, c)| c.accepted.is_empty())
    }

    /// Who has made an emergency call that has ended, and can be called back.
    pub fn pop_recallable(&mut self) -> Option<Stranger> {
        self.recallable.pop_front()
    }

    /// How many calls there are, those that ended a short while ago among them.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is no call.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// All calls for the monitor, a dialog for each leg.
    pub fn views(&self, media: &MediaTable, now: Instant) -> Vec<DialogView> {
        self.calls.iter().flat_map(|(_, call)| views::of(call, now, media)).collect()
    }

    /// The ladder of the call that this dialog index belongs to.
    pub fn ladder(&self, index: u32) -> Option<LadderView> {
        self.calls.iter().find(|(_, call)| call.has_dialog(index)).map(|(_, call)| ladder::of(call))
    }

    /// The place that a request's To tag names, if the dialog there is the request's.
    fn place(&self, msg: &Message<'_>) -> Option<Place> {
        let place = tag::parse(msg.to()?.tag()?)?;
        let call = self.calls.get(place.call)?;
        let theirs = msg.from().and_then(|from| from.tag()).unwrap_or_default();
        let place = sibling::with_tag(call, place, theirs)?;
        let dialog = call.legs[usize::from(place.leg)].dialog(place.side)?;
        (Dialog::key_of(msg)? == dialog.id()).then_some(place)
    }

    /// Lets something happen to a call, and sees to its alarm and its end.
    fn with(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        id: Id<Call>,
        what: impl FnOnce(&mut Call, &mut View<'_>, &mut Cx<'_>),
    ) {
        let Some(call) = self.calls.get_mut(id) else { return };
        (self.watch.is_touched, self.watch.call) = (true, Some(id));
        let was_running = call.ended.is_none();
        let before = call.state;
        what(call, view, cx);
        if call.state != before {
            self.touched.extend([call.caller.user, call.callee.user].into_iter().flatten());
        }
        anchoring::sweep(call, view, cx);
        bearers::settle(call, view);
        if was_running && call.ended.is_some() {
            self.ended.push_back(id);
            self.recallable.extend(call.stranger.take());
        }
        match call.agent() {
            Some(agent) => self.opening.extend(agent.streams.opening().map(|session| (session, id))),
            None => self.opening.extend(anchoring::opening(call).map(|session| (session, id))),
        }
        for event in call.news.drain(..) {
            if self.news.len() == MAX_NEWS {
                self.news.pop_front();
            }
            self.news.push_back(event);
        }
        let is_over =
            call.ended.as_ref().is_some_and(|e| e.at + LINGER <= cx.now) && call.accepted.is_empty();
        if is_over {
            self.forget(id);
        } else {
            let at = call.next_deadline();
            self.alarms.set(&mut call.alarm, id, at);
        }
    }

    fn forget(&mut self, id: Id<Call>) {
        if let Some(mut call) = self.calls.remove(id) {
            self.alarms.set(&mut call.alarm, id, None);
            if self.ended.front() == Some(&id) {
                self.ended.pop_front();
            } else {
                self.ended.retain(|e| *e != id);
            }
        }
    }

    /// Makes room for a call and puts it there.
    fn insert(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, draft: Draft) -> Option<Id<Call>> {
        if self.calls.is_full() {
            self.forget(*self.ended.front()?);
        }
        let index = self.next_index;
        let id = self.calls.insert(draft.into_call(view, cx, index)).ok()?;
        self.next_index = index.wrapping_add(INDEXES).max(FIRST_INDEX);
        let call = self.calls.get_mut(id)?;
        call.id = id;
        if call.echo_mut().is_some() {
            let leg = admit::echo_leg(call, view);
            call.legs.push(leg);
        }
        Some(id)
    }
}

/// The call has gone, and an answer to an INVITE of its comes all the same (RFC 3261 13.2.2.4). The first 2xx founds a dialog,
/// which is ended at once; one that comes again, or answers a re-INVITE, needs its ACK only: its dialog was ended with the call.
fn on_orphan(view: &mut View<'_>, cx: &mut Cx<'_>, client: ClientId, msg: &Message<'_>, is_repeated: bool) {
    if msg.method() != Method::Invite || !(200..300).contains(&msg.status()) {
        return;
    }
    let sent_to = view.txs.client(client).and_then(|c| c.request().to());
    let is_reinvite = sent_to.is_some_and(|to| to.tag().is_some());
    let ending = if is_repeated || is_reinvite { answer::Ending::Acked } else { answer::Ending::Bye };
    answer::abandon(view, cx, client, msg, ending);
}

/// Nobody answers an INVITE of ours for too long (RFC 3261 16.8).
fn give_up(view: &mut View<'_>, cx: &mut Cx<'_>, client: ClientId) {
    view.txs.cancel(cx, client, Some("SIP;cause=408;text=\"no answer\""));
}

/// The first moment of a call.
fn begin(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, tx: ServerId, msg: &Message<'_>, flow: Flow) {
    call.invite = Some(Invite { tx, request: Stored::new(msg), flow });
    view.txs.set_server_owner(tx, call.owner(Role::Invite));
    call.note(cx.now, (0, Side::Caller), Way::Received, msg);
    trace(cx, call, format_args!("{} calls {}", call.caller.uri, call.callee.uri));
    match call.kind {
        Kind::Bridge(_) => setup::start(call, view, cx),
        Kind::Echo(_) => echo::start(call, view, cx, msg),
        // nobody calls us into a call that we make
        Kind::Mt(_) => {}
    }
}

/// Lets a request into the dialog that it names; the error is the status that refuses it.
fn enter(
    call: &mut Call,
    view: &View<'_>,
    cx: &mut Cx<'_>,
    at: (u8, Side),
    msg: &Message<'_>,
    flow: Flow,
) -> Result<(), u16> {
    if !is_from_party(call, view, at, msg, flow) {
        trace(cx, call, format_args!("{} from {} refused: it is no party", msg.method().name(), flow.remote));
        return Err(403);
    }
    let back = view.security.back(flow);
    let dialog = call.dialog_mut(at.0, at.1).ok_or(481u16)?;
    dialog.on_request(msg)?;
    // where the phone is now, should it not be registered (pass::flow prefers its registration)
    dialog.set_flow(back);
    Ok(())
}

/// Whether a message inside a dialog comes from where the dialog's phone was, or from where its user is registered now. Who
/// has only seen the tags has no say.
fn is_from_party(call: &Call, view: &View<'_>, at: (u8, Side), msg: &Message<'_>, flow: Flow) -> bool {
    let dialog = call.legs.get(usize::from(at.0)).and_then(|l| l.dialog(at.1));
    dialog.is_some_and(|d| gate::is_from_peer(view.security, d.flow(), flow))
        || gate::sender(view.registrar, view.security, view.subs, flow, msg)
            .is_some_and(|(user, _)| Some(user) == call.party(at.1).user)
}

/// Nothing has happened for `dialog_timeout`.
fn on_idle(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    call.idle_deadline = None;
    match &call.kind {
        Kind::Echo(_) | Kind::Mt(_) if call.state.is_answered() => return agent::on_idle(call, view, cx),
        Kind::Echo(_) => return echo::on_silence(call, view, cx),
        Kind::Mt(_) => return mt::on_silence(call, view, cx),
        Kind::Bridge(_) => {}
    }
    if let Some(end) = held::given_up(call) {
        return release::end(call, view, cx, &end);
    }
    if call.state.is_answered() {
        return anchoring::on_idle(call, view, cx);
    }
    fork::on_silence(call, view, cx);
}

/// Traces one line about a call, under the number of its caller's dialog.
fn trace(cx: &mut Cx<'_>, call: &Call, text: fmt::Arguments<'_>) {
    cx.ims(Level::Info, call.subject, format_args!("call {}: {text}", call.history.index));
}
