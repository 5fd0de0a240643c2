//! A 2xx of the callee's phone that the caller may not have yet: an answer before it is not acknowledged (RFC 3262 3), or the
//! caller's resources are not there (RFC 3312).
//!
//! The phone gets its ACK at once, so that it does not repeat itself. From then on the call is its and nobody else rings; to the
//! caller it still rings.

use super::answer;
use super::fork;
use super::media::description;
use super::pass;
use super::preconditions;
use super::release::End;
use super::reliable::{self, Ability};
use super::session::{Call, LegState};
use super::sibling;
use super::tag::Side;
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::proto::sip::dialog::Dialog;
use crate::wire::sip::{Message, Stored};

/// Whether the 2xx of a leg must wait.
pub(super) fn must_wait(call: &Call, leg: u8) -> bool {
    let entry = &call.legs[usize::from(leg)];
    let has_to = reliable::ability(call) != Ability::No;
    entry.reliable.delays_success() || (has_to && entry.passage.waits(Side::Caller))
}

/// Takes the 2xx of a leg and keeps it back.
pub(super) fn hold(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, leg: u8, msg: &Message<'_>) {
    sibling::win(call, view, cx, leg);
    fork::cancel_open(call, view, cx, Some(leg), answer::ELSEWHERE);
    let Call { legs, invite, .. } = call;
    let entry = &mut legs[usize::from(leg)];
    if let Some(invite) = invite.as_ref().filter(|_| entry.up.is_none()) {
        // the phone has taken the call without ringing
        entry.up = Some(Dialog::uas(&invite.request.message(), entry.tag(Side::Caller), invite.flow));
    }
    entry.state = LegState::Answered;
    entry.held = Some(Stored::new(msg));
    let (_, cseq) = entry.invites[Side::Caller as usize];
    pass::ack(call, view, cx, (leg, Side::Callee), cseq, None);
    if let Some(bridge) = call.bridge_mut() {
        bridge.winner = Some(leg);
        bridge.waiting.clear();
    }
    if let Some(tx) = call.invite.as_ref().map(|i| i.tx).filter(|_| needs_answer(call, leg, msg)) {
        // what the caller needs to get its resources, as a provisional answer
        reliable::send_ours(call, view, cx, (tx, leg), Stored::new(msg), 183);
    }
    call.be_patient(cx.now, view.config.call.dialog_timeout);
    super::trace(cx, call, format_args!("{} answered; the caller is not ready yet", call.callee.uri));
}

/// Whether the 2xx has the description that the caller waits for.
fn needs_answer(call: &Call, leg: u8, msg: &Message<'_>) -> bool {
    let entry = &call.legs[usize::from(leg)];
    entry.passage.waits(Side::Caller) && !entry.passage.has_answered() && description(msg).is_some()
}

/// Whether the 2xx of a leg is kept back.
pub(super) fn is_held(call: &Call, leg: u8) -> bool {
    call.legs.get(usize::from(leg)).is_some_and(|l| l.held.is_some())
}

/// How a call ends whose 2xx has been kept back for too long; none when there is no such.
pub(super) fn given_up(call: &Call) -> Option<End<'static>> {
    let leg = call.legs.iter().find(|l| l.held.is_some())?;
    Some(match leg.passage.waits(Side::Caller) {
        true => End::new(preconditions::NO_BEARER, 580),
        false => End::new("the caller's phone was not ready for the answer in time", 480),
    })
}

/// Gives the caller the 2xx that was kept back, when nothing keeps it any longer.
pub(super) fn release_if_ready(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, leg: u8) {
    if must_wait(call, leg) || call.invite.is_none() {
        return;
    }
    if let Some(response) = call.legs[usize::from(leg)].held.take() {
        answer::take(call, view, cx, leg, &response.message(), answer::FarAck::Sent);
    }
}
