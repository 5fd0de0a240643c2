//! A call as it is kept: its legs, their dialogs, and what is under way inside it.
//!
//! Towards each contact of the callee a call has one leg with two dialogs that never mix: `up` faces the caller (we are its UAS,
//! one early dialog per leg, RFC 3261 12.1), `down` faces that contact (we are its UAC). A contact that answers under several To
//! tags has a leg for each (`sibling`). An echo call has one leg without `down`.

use super::again::{self, Later};
use super::anchoring::{Policy, Waiting as WaitingForPorts};
use super::bearers::Bearers;
use super::destination::Destination;
use super::echo::Echo;
use super::forward::Privacy;
use super::history::{History, Way};
use super::limits::{MAX_FORKS, MAX_SETUP_TURNS};
use super::mt::Mt;
use super::own::Own;
use super::passage::Passage;
use super::refresh;
use super::reliable::Reliable;
use super::rules::Rules;
use super::state::State;
use super::tag::{Place, Side, Tag};
use super::timer::Timer;
use crate::base::arena::Id;
use crate::base::time::{Duration, Instant, UnixTime};
use crate::base::timer::Alarm;
use crate::base::trace::Subject;
use crate::config::model::Impu;
use crate::ims::core::View;
use crate::ims::emergency::callback::Stranger;
use crate::ims::event::Event;
use crate::ims::owner::Owner;
use crate::ims::registrar::binding::Binding;
use crate::ims::subscriber::{Subscribers, UserId};
use crate::proto::flow::Flow;
use crate::proto::sip::dialog::Dialog;
use crate::proto::sip::transaction::{ClientTx, ServerTx, Token};
use crate::wire::sdp::{Direction, MediaKind};
use crate::wire::sip::{Message, Method, Stored};
use arrayvec::ArrayString;
use smallvec::SmallVec;
use std::sync::Arc;

/// A server transaction of the call layer's.
pub type ServerId = Id<ServerTx<Owner>>;
/// A client transaction of the call layer's.
pub type ClientId = Id<ClientTx<Owner>>;

/// A transaction's place in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub(super) call: Id<Call>,
    pub(super) role: Role,
}

/// What a transaction of a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The INVITE that sets the call up, from the caller.
    Invite,
    /// The INVITE of a leg, to the callee.
    Leg(u8),
    /// A request passed on inside the call, by its relay's number; both transactions.
    Relay(u16),
    /// Our BYE, whose answer changes nothing.
    Bye,
    /// A request of our own inside the call, by its number.
    Own(u16),
}

/// One call.
#[derive(Debug)]
pub struct Call {
    pub(super) id: Id<Call>,
    pub(super) state: State,
    /// What the configuration changes in it.
    pub(super) rules: Rules,
    /// Names it for those who charge for it (RFC 7315 4.6.1).
    pub(super) icid: Token,
    /// The caller's binding, for the trace.
    pub(super) subject: Subject,
    pub(super) created: Instant,
    pub(super) created_wall: UnixTime,
    pub(super) ended: Option<Ended>,
    pub(super) caller: Party,
    pub(super) callee: Party,
    pub(super) invite: Option<Invite>,
    /// What happened on the caller's side.
    pub(super) history: History,
    pub(super) legs: SmallVec<[Leg; 1]>,
    pub(super) kind: Kind,
    /// The caller of an emergency call who can be called back after it.
    pub(super) stranger: Option<Stranger>,
    /// 2xx to INVITEs that wait for their ACK.
    pub(super) accepted: SmallVec<[Accepted; 1]>,
    /// Requests of our own that wait for their answers.
    pub(super) own: SmallVec<[Own; 1]>,
    pub(super) next_own: u16,
    /// What clients are to be told, until the call is put back.
    pub(super) news: SmallVec<[Event; 1]>,
    pub(super) alarm: Alarm,
    /// When the call ends unless something happens: no final answer, or no media.
    pub(super) idle_deadline: Option<Instant>,
    /// When the callee has last asked for more time: by a provisional answer (RFC 3261 13.3.1.1).
    pub(super) rings_since: Instant,
}

/// The end of a call.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) at: Instant,
    pub(super) reason: String,
}

/// A party of a call.
#[derive(Debug, Default)]
pub(in crate::ims) struct Party {
    /// The user, when it is one of ours.
    pub(in crate::ims) user: Option<UserId>,
    /// Which of the user's identities is called.
    pub(in crate::ims) impu_index: Option<usize>,
    /// The identity that views show.
    pub(in crate::ims) uri: String,
    /// The contact that the party calls from, when it has registered.
    pub(in crate::ims) binding: Option<Id<Binding>>,
    /// The IMEI of the phone that it calls from, when it is known.
    pub(in crate::ims) imei: Option<ArrayString<16>>,
    /// Whether the caller called from where it is registered, so that requests follow when it registers from elsewhere.
    pub(in crate::ims) follows_binding: bool,
    /// Whether it is the SIP trunk, or somebody behind it.
    pub(in crate::ims) is_trunk: bool,
    /// What it wants hidden from the other party.
    pub(in crate::ims) privacy: Privacy,
    /// The identity that is made from its IMEI, for who has no other and can be called back.
    pub(in crate::ims) equipment: Option<String>,
}

impl Party {
    /// The identity that is called.
    pub(in crate::ims) fn impu<'s>(&self, subs: &'s Subscribers) -> Option<&'s Impu> {
        subs.user(self.user?).impus.get(self.impu_index?)
    }
}

/// The caller's INVITE, until it has its final answer.
#[derive(Debug)]
pub(super) struct Invite {
    pub(super) tx: ServerId,
    pub(super) request: Stored,
    pub(super) flow: Flow,
}

/// What the callee is.
#[derive(Debug)]
pub(super) enum Kind {
    /// A registered user.
    Bridge(Box<Bridge>),
    /// The echo service.
    Echo(Box<Echo>),
    /// A user whom we call.
    Mt(Box<Mt>),
}

/// Destinations with their q in thousandths, best first.
pub(in crate::ims) type Waiting = SmallVec<[(Destination, u16); MAX_FORKS]>;

/// The state of a call between users.
#[derive(Debug, Default)]
pub(super) struct Bridge {
    /// Those not tried yet.
    pub(super) waiting: Waiting,
    /// The leg that answered.
    pub(super) winner: Option<u8>,
    /// The best of the final failures so far (RFC 3261 16.7 step 6).
    pub(super) best: Option<Failure>,
    pub(super) relays: SmallVec<[Relay; 2]>,
    pub(super) next_relay: u16,
    /// What is wanted of its media.
    pub(super) policy: Policy,
    pub(super) waiting_for_ports: WaitingForPorts,
    /// What there was no room for, where that is why nobody could be called.
    pub(super) lacks: Option<&'static str>,
    /// Re-INVITEs of ours that wait for their time.
    pub(super) later: SmallVec<[Later; 1]>,
    /// By side, how often one of ours has met another.
    pub(super) glares: [u8; 2],
    /// The streams that the last description names.
    pub(super) medias: SmallVec<[(MediaKind, Direction); 2]>,
}

/// A final answer other than 2xx.
#[derive(Debug)]
pub(in crate::ims) struct Failure {
    pub(in crate::ims) status: u16,
    /// The response; none when the status is our own finding.
    pub(in crate::ims) response: Option<Stored>,
}

/// Where the INVITE of a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LegState {
    /// Sent, no provisional answer but 100.
    Calling,
    /// Rings, or has early media.
    Ringing,
    /// Cancelled; its final answer is awaited.
    Cancelled,
    /// Answered with 2xx, and it is the call.
    Answered,
    /// Over: refused, timed out, or lost the race.
    Over,
}

impl LegState {
    /// Whether the leg may still answer the call.
    pub(super) const fn is_open(self) -> bool {
        matches!(self, LegState::Calling | LegState::Ringing)
    }
}

/// One leg.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) state: LegState,
    /// Whom it reaches; nobody but us in an echo call.
    pub(super) to: Option<Destination>,
    pub(super) client: Option<ClientId>,
    /// Call-ID towards the callee.
    pub(super) call_id: Token,
    pub(super) tags: [Tag; 2],
    pub(super) up: Option<Dialog>,
    pub(super) down: Option<Dialog>,
    /// Status and RSeq of the last provisional answer, to tell a new one from a repeated one.
    pub(super) provisional: (u16, u32),
    /// The last INVITE that came on `up` and on `down`: its CSeq number there, and that of ours on the other side.
    pub(super) invites: [(u32, u32); 2],
    /// The last ACKs that we sent on `up` and on `down`.
    pub(super) acks: [Acks; 2],
    /// The descriptions of its two sides.
    pub(super) passage: Passage,
    /// What they were when the INVITE had gone out, while another early dialog may come of it.
    pub(super) begun: Option<Arc<Passage>>,
    /// Its reliable provisional answers.
    pub(super) reliable: Reliable,
    /// The bearers of its two phones.
    pub(super) bearers: [Bearers; 2],
    /// The 2xx that the caller may not have yet.
    pub(super) held: Option<Stored>,
    /// The session timers of its two sides.
    pub(super) timers: [Timer; 2],
    /// What happened on the callee's side.
    pub(super) history: History,
}

impl Leg {
    /// A leg that leads nowhere yet.
    pub(super) fn new(tags: [Tag; 2], history: History, call_id: Token, rules: &Rules) -> Leg {
        Leg {
            state: LegState::Answered,
            to: None,
            client: None,
            call_id,
            tags,
            up: None,
            down: None,
            provisional: (0, 0),
            invites: [(0, 0), (0, 0)],
            acks: Default::default(),
            passage: Passage::default(),
            begun: None,
            reliable: Reliable::default(),
            bearers: <_>::default(),
            held: None,
            timers: rules.timers.map(Timer::new),
            history,
        }
    }

    /// The dialog that faces a side.
    pub(super) fn dialog(&self, side: Side) -> Option<&Dialog> {
        match side {
            Side::Caller => self.up.as_ref(),
            Side::Callee => self.down.as_ref(),
        }
    }

    /// The dialog that faces a side, to be changed.
    pub(super) fn dialog_mut(&mut self, side: Side) -> Option<&mut Dialog> {
        match side {
            Side::Caller => self.up.as_mut(),
            Side::Callee => self.down.as_mut(),
        }
    }

    /// The contact that it reaches.
    pub(super) fn contact(&self) -> Option<Id<Binding>> {
        self.to.and_then(Destination::contact)
    }

    /// The IMEI of the phone that it leads to, when it is known.
    pub(super) fn imei(&self, view: &View<'_>) -> Option<ArrayString<16>> {
        view.registrar.binding(self.to?.contact()?)?.contact.imei
    }

    /// Our tag towards a side.
    pub(super) fn tag(&self, side: Side) -> &Tag {
        &self.tags[side as usize]
    }
}

/// The ACKs that were sent last on a side, the newest first: a phone that repeats its 2xx because the ACK got lost may have taken a
/// re-INVITE meanwhile.
pub(super) type Acks = [Ack; 2];

/// An ACK that was sent, in what it takes to send it again (RFC 3261 13.2.2.4). The buffers are reused.
#[derive(Debug, Default)]
pub(super) struct Ack {
    pub(super) cseq: Option<u32>,
    pub(super) content_type: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// A request that was passed on and waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relay {
    pub(super) number: u16,
    pub(super) server: ServerId,
    pub(super) client: ClientId,
    pub(super) leg: u8,
    /// The side that it came from.
    pub(super) from: Side,
    pub(super) method: Method,
    /// Whether it has a description, whose refusal takes it back.
    pub(super) offers: bool,
    /// CSeq numbers: the one it came with, the one it left with.
    pub(super) cseq: u32,
    pub(super) far_cseq: u32,
}

/// A 2xx of ours to an INVITE, until its ACK (RFC 3261 13.3.1.4).
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    pub(super) server: ServerId,
    pub(super) leg: u8,
    /// The side that the INVITE came from.
    pub(super) side: Side,
    /// CSeq number of the INVITE.
    pub(super) cseq: u32,
    /// CSeq number of our INVITE to the other side; 0 for an echo call, which has none.
    pub(super) far_cseq: u32,
    /// Whether our 2xx's counterpart has been acknowledged already: the ACK ends here.
    pub(super) is_far_acked: bool,
    pub(super) next_at: Instant,
    pub(super) interval: Duration,
    pub(super) give_up_at: Instant,
    /// The call has ended meanwhile: BYE goes out once the ACK is here or given up (RFC 3261 15).
    pub(super) bye_pending: bool,
}

impl Call {
    /// Moves to another state; no effect on the same state. One trace line is the caller's business, as it knows the reason.
    pub(super) fn become_state(&mut self, now: Instant, to: State) {
        if self.state == to {
            return;
        }
        debug_assert!(self.state.may_become(to), "{:?} -> {to:?}", self.state);
        if self.state.may_become(to) {
            self.state = to;
            let since = now.since(self.created);
            let order = self.event_count();
            self.history.state(order, since, to);
            // a contact that has refused, or that was too late, has no part in what becomes of the call
            let has_part =
                |l: &&mut Leg| to == State::Stop || l.state.is_open() || l.state == LegState::Answered;
            self.legs.iter_mut().filter(has_part).for_each(|l| l.history.state(order, since, to));
        }
    }

    /// The callee rings, or has asked for more time: it has so much from now on.
    pub(super) fn be_patient(&mut self, now: Instant, timeout: Duration) {
        self.rings_since = now;
        self.idle_deadline = Some(now + timeout);
    }

    /// Something was asked in a call that is being set up: what follows from it has its time, too, but not without end.
    pub(super) fn stay_patient(&mut self, now: Instant, timeout: Duration) {
        let most = self.rings_since + timeout * MAX_SETUP_TURNS;
        self.idle_deadline = self.idle_deadline.map(|at| at.max(most.min(now + timeout)));
    }

    /// The call between users, if it is one.
    pub(super) fn bridge_mut(&mut self) -> Option<&mut Bridge> {
        match &mut self.kind {
            Kind::Bridge(bridge) => Some(bridge),
            Kind::Echo(_) | Kind::Mt(_) => None,
        }
    }

    /// The echo service's part, if it is one.
    pub(super) fn echo_mut(&mut self) -> Option<&mut Echo> {
        match &mut self.kind {
            Kind::Echo(echo) => Some(echo),
            Kind::Bridge(_) | Kind::Mt(_) => None,
        }
    }

    /// The dialog at a place of this call.
    pub(super) fn dialog_mut(&mut self, leg: u8, side: Side) -> Option<&mut Dialog> {
        self.legs.get_mut(usize::from(leg))?.dialog_mut(side)
    }

    /// The party on a side.
    pub(super) fn party(&self, side: Side) -> &Party {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }

    /// The leg that carries the answered call.
    pub(super) fn answered_leg(&self) -> Option<u8> {
        match &self.kind {
            Kind::Bridge(bridge) => bridge.winner,
            Kind::Mt(mt) => mt.winner,
            Kind::Echo(_) => self.state.is_answered().then_some(0),
        }
    }

    /// Whether one of its dialogs has this index.
    pub(super) fn has_dialog(&self, index: u32) -> bool {
        self.history.index == index || self.legs.iter().any(|l| l.history.index == index)
    }

    /// Whether the dialog with this index has ended: with the call, or before it as one of its legs.
    pub(super) fn has_ended(&self, index: u32) -> bool {
        let is_over = |l: &Leg| matches!(l.state, LegState::Over | LegState::Cancelled);
        self.state == State::Stop || self.legs.iter().any(|l| l.history.index == index && is_over(l))
    }

    /// Takes note of a message on a side of a leg.
    pub(super) fn note(&mut self, now: Instant, (leg, side): (u8, Side), way: Way, msg: &Message<'_>) {
        let (order, since) = (self.event_count(), now.since(self.created));
        self.history_of(leg, side).passed(order, since, way, msg);
    }

    /// How many events the call has had, on all its sides: the next one's number.
    fn event_count(&self) -> u32 {
        self.history.count() + self.legs.iter().map(|l| l.history.count()).sum::<u32>()
    }

    /// What happened on a side: on the callee's, per leg.
    fn history_of(&mut self, leg: u8, side: Side) -> &mut History {
        match (side, self.legs.get_mut(usize::from(leg))) {
            (Side::Callee, Some(leg)) => &mut leg.history,
            _ => &mut self.history,
        }
    }

    /// The owner of a transaction of this call.
    pub(super) fn owner(&self, role: Role) -> Owner {
        Owner::Call(Part { call: self.id, role })
    }

    /// A place in this call.
    pub(super) fn place(&self, leg: u8, side: Side) -> Place {
        Place { call: self.id, leg, side }
    }

    /// The earliest moment at which the call has something to do by itself.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let linger = self.ended.as_ref().map(|e| e.at + super::limits::LINGER);
        let linger = linger.filter(|_| self.accepted.is_empty());
        let accepted = self.accepted.iter().map(|a| a.next_at.min(a.give_up_at)).min();
        let inner = match &self.kind {
            Kind::Echo(echo) => echo.next_deadline(),
            Kind::Mt(mt) => mt.next_deadline(),
            Kind::Bridge(bridge) => again::next_deadline(bridge),
        };
        let reliable = self.legs.iter().filter_map(|l| l.reliable.next_deadline()).min();
        let reliable = reliable.filter(|_| self.invite.is_some());
        [linger, accepted, inner, reliable, refresh::next_deadline(self), self.idle_deadline]
            .into_iter()
            .flatten()
            .min()
    }
}
