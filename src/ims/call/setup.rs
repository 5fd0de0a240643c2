//! The INVITE of a call between users: whom it reaches, and what each of their contacts is sent (RFC 3261 16.6, TS 24.229).

use super::anchor::Anchor;
use super::destination::{Destination, Way};
use super::fork;
use super::forward::Options;
use super::history::History;
use super::media::description;
use super::opening::{FIRST_CSEQ, Opening};
use super::pass::BOTH_TAGS;
use super::passage::Passage;
use super::preconditions::{self, Mode};
use super::refresh;
use super::reliable::{self, Ability};
use super::session::{Call, Failure, Leg, LegState, Role};
use super::sibling;
use super::tag::{self, Place, Side, Tag};
use crate::config::model::Precondition;
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::wire::sdp::Sdp;
use crate::wire::sip::{Message, Method};
use std::sync::Arc;

/// Starts the call: the first group of contacts rings, or nobody's phone could be sent to.
pub(super) fn start(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    if !fork::start_group(call, view, cx) {
        fork::give_up(call, view, cx);
    }
}

/// Sends the INVITE to one destination, by way of its anchor if there is one, which the leg takes over. `false`: it has gone
/// meanwhile, or there is no room for the transaction.
pub(super) fn start_leg(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    to: Destination,
    anchor: &mut Option<Box<Anchor>>,
) -> bool {
    if to.way(view, cx, &call.callee).is_none() || call.invite.is_none() {
        return false;
    }
    let number = u8::try_from(call.legs.len()).expect("legs are capped far below 256");
    let tags = [Side::Caller, Side::Callee].map(|side| new_tag(call.place(number, side), view));
    let history = History::new(call.history.index + 1 + u32::from(number), view.txs.new_token());
    let leg = Leg::new(tags, history, view.txs.new_token(), &call.rules);
    call.legs.push(Leg { state: LegState::Calling, to: Some(to), ..leg });
    let is_sent = invite(call, view, cx, (number, FIRST_CSEQ), anchor);
    if !is_sent {
        call.legs.pop();
    }
    is_sent
}

/// Sends the INVITE of a leg again, because its phone has refused it as it was; what changes is the session timer (RFC 4028 7.3).
/// `false`: it cannot be sent.
pub(super) fn invite_again(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, leg: u8) -> bool {
    sibling::begin_again(call, view, cx, leg);
    let entry = &mut call.legs[usize::from(leg)];
    let (_, cseq) = entry.invites[Side::Caller as usize];
    // no dialog outlives its INVITE's refusal (RFC 3261 12.3)
    entry.down = None;
    let mut anchor = entry.passage.anchor.take();
    let is_sent = entry.state.is_open() && invite(call, view, cx, (leg, cseq + 1), &mut anchor);
    if !is_sent {
        call.legs[usize::from(leg)].passage.anchor = anchor;
    }
    is_sent
}

fn invite(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    (leg, cseq): (u8, u32),
    anchor: &mut Option<Box<Anchor>>,
) -> bool {
    let to = call.legs[usize::from(leg)].to;
    let way = to.and_then(|to| to.way(view, cx, &call.callee));
    let (Some(way), Some(invite)) = (way, &call.invite) else { return false };
    let msg = invite.request.message();
    let entry = &call.legs[usize::from(leg)];
    let offer = description(&msg).and_then(|d| Sdp::parse(d).ok());
    let begin = preconditions::Begin { is_mmtel: way.is_mmtel, may_insert: may_insert(call, view) };
    let mode = Mode::begin(&call.rules, &msg, offer.as_ref(), begin);
    let mut passage = Passage::new(mode, anchor.take());
    let body = passage.carry(&call.rules, Side::Caller, &msg, true);
    let supported = supported(call, &way, &msg, mode);
    let opening = Opening {
        method: Method::Invite,
        call_id: entry.call_id,
        icid: call.icid,
        cseq,
        tag: entry.tag(Side::Callee),
        subs: view.subs,
        config: view.config,
        caller: &call.caller,
        callee: &call.callee,
        rules: call.rules,
        options: Some(Options { negotiated: BOTH_TAGS, supported, required: &[] }),
        timer: refresh::offer(call, (leg, Side::Callee), Method::Invite),
        body: body.as_deref(),
    };
    let sent = opening.send(view.txs, cx, &way, call.owner(Role::Leg(leg)), &msg);
    let caller_cseq = msg.cseq().map_or(0, |c| c.number);
    let is_sent = sent.is_ok();
    match sent {
        Ok(client) => {
            let entry = &mut call.legs[usize::from(leg)];
            if let Some(anchor) = &mut passage.anchor {
                anchor.name(view.media, Side::Callee, entry.history.index);
            }
            passage.settle(view.media, cx.out);
            entry.client = Some(client);
            entry.begun = Some(Arc::new(passage.beside()));
            entry.passage = passage;
            entry.invites[Side::Caller as usize] = (caller_cseq, cseq);
        }
        Err(overload) => {
            let failure = Failure { status: overload.status(), response: None };
            if let Some(bridge) = call.bridge_mut() {
                bridge.best.get_or_insert(failure);
            }
            *anchor = passage.anchor;
        }
    }
    is_sent
}

/// Whether preconditions may be put into an offer without them: only where bearers are set up, or where
/// the callee's identity asks for it. A phone that is made
/// to wait for a bearer that nobody sets up takes no call.
fn may_insert(call: &Call, view: &View<'_>) -> bool {
    let impu = call.callee.impu(view.subs);
    view.policy.has_server() || impu.is_some_and(|impu| impu.precondition == Some(Precondition::On))
}

/// The option tags that a phone is offered.
fn supported(call: &Call, way: &Way<'_>, invite: &Message<'_>, mode: Mode) -> &'static [&'static str] {
    let is_reliable = call.rules.reliable(Side::Callee)
        && (reliable::ability(call) != Ability::No || may_be_reliable(way, invite));
    match (is_reliable, mode.uses(Side::Callee)) {
        (true, true) => BOTH_TAGS,
        (true, false) => &[reliable::TAG],
        (false, true) => &[preconditions::TAG],
        (false, false) => &[],
    }
}

/// Whether a phone is offered reliable answers that the caller does not take: phones of TS 24.229 expect them; we acknowledge
/// for the caller, which needs an offer in the INVITE, for an offer in the answer would want the caller's (RFC 3262 5).
fn may_be_reliable(way: &Way<'_>, invite: &Message<'_>) -> bool {
    way.is_mmtel && description(invite).is_some()
}

/// A new local tag for a dialog.
pub(super) fn new_tag(place: Place, view: &mut View<'_>) -> Tag {
    tag::make(place, &view.txs.new_token())
}
