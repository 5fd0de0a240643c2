//! Requests inside an echo call: new offers, PRACK, what needs only a 200, and the ACK (RFC 3261 14, RFC 3262, RFC 3311).

use super::answer;
use super::echo::{self, ALLOW, Pending, Stage};
use super::forward;
use super::media::{self, description};
use super::refresh;
use super::reinvite;
use super::release::{self, End};
use super::session::{Call, Kind, ServerId};
use super::state::State;
use super::tag::Side;
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::wire::sdp::Sdp;
use crate::wire::sip::{HeaderId, Message, Method, RAck};

/// A request other than BYE in the call's dialog; its CSeq has been checked.
pub(super) fn on_request(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    msg: &Message<'_>,
) {
    if call.state == State::Stop {
        return reinvite::refuse(view, cx, tx, 481);
    }
    if refresh::refuse_short(call, view, cx, tx, msg, (0, Side::Caller)) {
        return;
    }
    if let Some(deadline) = &mut call.idle_deadline {
        *deadline = (*deadline).max(cx.now + view.config.call.dialog_timeout);
    }
    match msg.method() {
        Method::Invite | Method::Update => on_offer(call, view, cx, tx, msg),
        Method::Prack => on_prack(call, view, cx, tx, msg),
        Method::Info | Method::Message | Method::Options => {
            echo::respond_success(call, view, cx, tx, msg.method(), false);
        }
        // no subscription of ours lives in this dialog (RFC 6665 4.1.3)
        Method::Notify => reinvite::refuse(view, cx, tx, 481),
        _ => {
            let settings = &view.config.protocol;
            view.txs.respond(cx, tx, 405, None, &[], |mut w| {
                w.header("Allow", ALLOW);
                forward::end_own_response(w, settings);
            });
        }
    }
}

/// A re-INVITE or an UPDATE: a new offer, a wish for one of ours, or only a sign of life.
fn on_offer(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, tx: ServerId, msg: &Message<'_>) {
    let is_invite = msg.method() == Method::Invite;
    let unacknowledged = !call.accepted.is_empty();
    let open = call.invite.is_some();
    let meets_ours = refresh::meets_ours(call, (0, Side::Caller), msg);
    let Some(echo) = call.echo_mut() else { return };
    // RFC 3261 14.2 and RFC 3311 5.2: an offer of theirs is being answered; RFC 3264 4: one of ours is
    if echo.pending.is_some() || (is_invite && open) {
        return reinvite::refuse(view, cx, tx, 500);
    }
    if meets_ours || echo.has_offered || (is_invite && unacknowledged) {
        return reinvite::refuse(view, cx, tx, 491);
    }
    let offer = description(msg).map(<[u8]>::to_vec);
    if offer.is_none() && !is_invite {
        return echo::respond_success(call, view, cx, tx, Method::Update, false);
    }
    let cseq = msg.cseq().map_or(0, |c| c.number);
    echo.pending = Some(Pending { tx, method: msg.method(), cseq, offer });
    echo::prepare(call, view, cx);
}

fn on_prack(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, tx: ServerId, msg: &Message<'_>) {
    let invite = call.invite.as_ref().and_then(|i| i.request.message().cseq()).map(|c| c.number);
    let Some(echo) = call.echo_mut() else { return };
    let rack = msg.header(HeaderId::RAck).and_then(RAck::parse).filter(|r| r.method == Method::Invite);
    if !rack.is_some_and(|r| echo.reliable.is_some_and(|e| e.rseq == r.rseq) && invite == Some(r.cseq)) {
        return reinvite::refuse(view, cx, tx, 481);
    }
    echo.reliable = None;
    match description(msg) {
        Some(offer) if echo.pending.is_none() => {
            let cseq = msg.cseq().map_or(0, |c| c.number);
            echo.pending = Some(Pending { tx, method: Method::Prack, cseq, offer: Some(offer.to_vec()) });
            echo::prepare(call, view, cx);
        }
        _ => {
            echo::respond_success(call, view, cx, tx, Method::Prack, false);
            echo::alert_if_ready(call, view, cx);
        }
    }
}

/// The ACK of a 2xx: with the answer, when the offer was ours.
pub(super) fn on_ack(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, msg: &Message<'_>) {
    let Kind::Echo(echo) = &mut call.kind else { return };
    if !std::mem::take(&mut echo.has_offered) {
        return;
    }
    if !take_answer(call, view, cx, msg) {
        // RFC 3261 13.2.1: the ACK must carry the answer
        release::end(call, view, cx, &End::new("the ACK has no usable answer to the offer", 488));
    }
}

/// The 2xx to our re-INVITE, which has offered what there was.
pub(super) fn on_answer_to_refresh(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, msg: &Message<'_>) {
    if !take_answer(call, view, cx, msg) {
        super::trace(cx, call, format_args!("the answer to a refresh has no usable description"));
    }
}

/// Takes the answer to an offer of ours. `false`: there is none that can be used.
fn take_answer(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, msg: &Message<'_>) -> bool {
    let Kind::Echo(echo) = &mut call.kind else { return false };
    let allowed = echo::allowed(echo::impu(view, echo));
    let answer = description(msg).and_then(|d| Sdp::parse(d).ok());
    let taken = answer.is_some_and(|a| echo.streams.take_answer(view.media, cx.out, &a, allowed));
    let held = media::is_held(&echo.streams.medias());
    if taken {
        media::set_held(call, cx, held);
    }
    taken
}

/// Answers the UPDATE, PRACK or re-INVITE that has waited for its ports.
pub(super) fn finish_reoffer(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    pending: &Pending,
    waits: bool,
) {
    echo::respond_success(call, view, cx, pending.tx, pending.method, true);
    if pending.method == Method::Invite {
        answer::await_ack(call, view, cx, pending.tx, (0, Side::Caller), (pending.cseq, 0));
    }
    let Some(echo) = call.echo_mut() else { return };
    let held = media::is_held(&echo.streams.medias());
    if let Stage::Resources { ready } = &mut echo.stage {
        *ready |= !waits;
    }
    media::set_held(call, cx, held);
    echo::alert_if_ready(call, view, cx);
}
