//! Dedicated bearers for the media of a call, one policy session for each phone on each leg (TS 24.229 5.2.7.2, 5.2.7.3, TS 23.228
//! 5.4.7): asked for when offer and answer are there, again when they change, and given back at the end.
//!
//! Preconditions and bearers go together: `on` asks for them where the phone uses preconditions or is a VoLTE one, `silent`
//! always, `off` never (manual 5.2.1). What a refusal does to the call depends on that too.

use super::destination::Destination;
use super::fork;
use super::mt;
use super::passage::Settled;
use super::release::{self, End};
use super::session::{Call, Kind, LegState};
use super::sibling;
use super::tag::{Place, Side};
use crate::config::model::Precondition;
use crate::ims::core::View;
use crate::ims::policy::{Needs, Outcome, SessionId};
use crate::proto::cx::Cx;
use std::sync::Arc;

/// Why a phone without the bearers that it needs is given up (RFC 3326).
const REASON: &str = "SIP;cause=580;text=\"Precondition Failure\"";

/// Where the bearers of one phone are (manual 6.6, `dialog_get`: `qos`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Qos {
    /// None are wanted.
    #[default]
    Disabled,
    /// They are wanted, and not asked for yet, or not to be had.
    Required,
    /// They have been asked for.
    Pending,
    /// They are there.
    Set,
}

impl Qos {
    /// The name that views show.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Qos::Disabled => "disabled",
            Qos::Required => "required",
            Qos::Pending => "pending",
            Qos::Set => "erab_set",
        }
    }
}

/// The bearers of one phone on one leg.
#[derive(Debug, Default)]
pub(super) struct Bearers {
    pub(super) qos: Qos,
    session: Option<SessionId>,
    /// What they were asked for with: what the phone said, and what it was told.
    asked: Option<Settled>,
}

/// Sees to the bearers of a call after anything happened to it.
pub(super) fn settle(call: &mut Call, view: &mut View<'_>) {
    for leg in 0..call.legs.len() {
        let lives =
            call.ended.is_none() && !matches!(call.legs[leg].state, LegState::Over | LegState::Cancelled);
        for side in [Side::Caller, Side::Callee] {
            let place = call.place(leg as u8, side);
            if lives { ask(call, view, place) } else { give_back(call, view, place) }
        }
    }
}

fn ask(call: &mut Call, view: &mut View<'_>, place: Place) {
    if !wants(call, view, place) {
        return give_back(call, view, place);
    }
    let leg = &call.legs[usize::from(place.leg)];
    let ue = leg.dialog(place.side).map(|d| d.flow().remote.ip());
    let settled = leg.passage.settled(place.side);
    let bearers = &mut call.legs[usize::from(place.leg)].bearers[place.side as usize];
    if bearers.qos == Qos::Disabled {
        bearers.qos = Qos::Required;
    }
    let (Some(ue), Some((said, told))) = (ue, settled) else { return };
    let is = |a: &Arc<[u8]>, b: &Arc<[u8]>| Arc::ptr_eq(a, b) || a == b;
    if bearers.asked.as_ref().is_some_and(|(s, t)| is(s, &said) && is(t, &told)) {
        return;
    }
    bearers.asked = Some((Arc::clone(&said), Arc::clone(&told)));
    bearers.session = view.policy.reserve(bearers.session, place, Needs { ue, said, told });
    bearers.qos = if bearers.session.is_some() { Qos::Pending } else { Qos::Set };
}

fn give_back(call: &mut Call, view: &mut View<'_>, place: Place) {
    let bearers = std::mem::take(&mut call.legs[usize::from(place.leg)].bearers[place.side as usize]);
    if let Some(session) = bearers.session {
        view.policy.release(session);
    }
}

/// Whether the phone on a side of a leg is to have bearers of its own.
fn wants(call: &Call, view: &View<'_>, place: Place) -> bool {
    let leg = &call.legs[usize::from(place.leg)];
    // where we are a party ourselves, only the other one is a phone
    let is_phone = match call.kind {
        Kind::Bridge(_) => true,
        Kind::Echo(_) => place.side == Side::Caller,
        Kind::Mt(_) => place.side == Side::Callee,
    };
    if !is_phone || call.party(place.side).user.is_none() {
        return false;
    }
    match call.rules.precondition(place.side) {
        Precondition::Off => false,
        Precondition::Silent => true,
        Precondition::On => leg.passage.mode.uses(place.side) || is_volte(call, view, place),
    }
}

fn is_volte(call: &Call, view: &View<'_>, place: Place) -> bool {
    let contact = match place.side {
        Side::Caller => call.caller.binding,
        Side::Callee => call.legs[usize::from(place.leg)].to.and_then(Destination::contact),
    };
    contact.and_then(|id| view.registrar.binding(id)).is_some_and(|b| b.contact.mmtel)
}

/// The policy server has decided about a session.
pub(super) fn on_outcome(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    place: Place,
    outcome: Outcome<'_>,
) {
    let Some(leg) = call.legs.get_mut(usize::from(place.leg)) else { return };
    let bearers = &mut leg.bearers[place.side as usize];
    let (text, status) = match outcome {
        Outcome::Granted => {
            bearers.qos = Qos::Set;
            return super::trace(cx, call, format_args!("bearers of {} are there", party(call, place.side)));
        }
        // RFC 3312 7: a resource that is wanted cannot be had
        Outcome::Refused(why) => (format!("no bearer for {}: {why}", party(call, place.side)), 580),
        // TS 24.229 5.2.8.1.2: the call of a phone whose resources are gone is released
        Outcome::Lost(why) => (format!("the bearer of {} is gone: {why}", party(call, place.side)), 503),
    };
    let leg = &mut call.legs[usize::from(place.leg)];
    leg.bearers[place.side as usize].qos = Qos::Required;
    let is_needed = call.rules.precondition(place.side) == Precondition::On;
    let is_open = leg.state.is_open();
    match (is_needed, call.state.is_answered()) {
        (true, false) if place.side == Side::Callee && is_open => {
            let client = leg.client;
            super::trace(cx, call, format_args!("{text}"));
            // another phone behind the same contact may have what this one lacks
            if sibling::end_one(call, view, cx, place.leg, (REASON, None)) {
                return;
            }
            if let Some(client) = client {
                view.txs.cancel(cx, client, Some(REASON));
            }
            match call.kind {
                Kind::Mt(_) => mt::on_failure(call, view, cx, place.leg, status, &text),
                _ => fork::on_failure(call, view, cx, place.leg, status, None),
            }
        }
        (true, false) => release::end(call, view, cx, &End::new(&text, status)),
        (true, true) if matches!(outcome, Outcome::Lost(_)) => {
            release::end(call, view, cx, &End::new(&text, status));
        }
        // what is asked for silently, or for a change inside a call, is not missed
        _ => super::trace(cx, call, format_args!("{text}; the call goes on without")),
    }
}

fn party(call: &Call, side: Side) -> &str {
    &call.party(side).uri
}
