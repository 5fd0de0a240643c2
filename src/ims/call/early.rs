//! Provisional answers of the callee's phones, on their way to the caller (RFC 3261 13.3.1.1, RFC 3262).
//!
//! Each leg is an early dialog of its own towards the caller, and each To tag of a contact a leg. What becomes of reliable ones is `reliable`'s matter.

use super::reliable;
use super::session::{Call, Leg, LegState};
use super::sibling;
use super::state::State;
use super::tag::Side;
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::proto::sip::dialog::Dialog;
use crate::wire::sip::text::decimal;
use crate::wire::sip::{HeaderId, Message};

/// A provisional answer to the INVITE of a leg.
pub(super) fn on_provisional(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    number: u8,
    msg: &Message<'_>,
) {
    // 100 is hop by hop (RFC 3261 16.7 step 5); we have answered 100 ourselves
    let Some(invite) = call.invite.as_ref().filter(|_| msg.status() > 100) else { return };
    let tx = invite.tx;
    let Some(number) = sibling::of_answer(call, view, cx, number, msg) else { return };
    let (Some(invite), leg) = (&call.invite, &mut call.legs[usize::from(number)]) else { return };
    if !leg.state.is_open() {
        return;
    }
    leg.state = LegState::Ringing;
    let new = note(leg, msg);
    let request = leg.client.and_then(|c| view.txs.client(c));
    if leg.down.is_none()
        && let Some(request) = request
    {
        leg.down = Dialog::uac(&request.request(), msg, request.flow());
    }
    if leg.up.is_none() {
        leg.up = Some(Dialog::uas(&invite.request.message(), leg.tag(Side::Caller), invite.flow));
    }
    if new {
        call.be_patient(cx.now, view.config.call.dialog_timeout);
    }
    if msg.status() == 183 && !call.rules.use183 && msg.header(HeaderId::RSeq).is_none() {
        return;
    }
    reliable::pass_on(call, view, cx, tx, number, msg);
    super::media::note(call, cx, msg, Side::Callee);
    if call.state == State::Init {
        call.become_state(cx.now, State::Ringing);
        super::trace(cx, call, format_args!("{} rings", call.callee.uri));
    }
}

/// Remembers a provisional answer; whether it is not the one before again.
pub(super) fn note(leg: &mut Leg, msg: &Message<'_>) -> bool {
    let rseq = msg.header(HeaderId::RSeq).and_then(decimal).unwrap_or(0);
    let this = (msg.status(), rseq);
    std::mem::replace(&mut leg.provisional, this) != this
}
