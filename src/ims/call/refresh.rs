//! Session refreshes on each side of a call for itself (RFC 4028): what messages of a dialog say of its timer, requests that
//! refresh and end at us, those that we send, and the end of a call whose phone does not refresh, or is no longer there.
//!
//! What is agreed stands in `timer`. A request with an offer passes and refreshes both sides, whoever sent it.

use super::again;
use super::agent;
use super::forward;
use super::glare;
use super::limits::REFRESH_WAITS;
use super::media::description;
use super::own::{self, Own, Purpose, Request};
use super::release::{self, End};
use super::session::{Call, Relay, ServerId};
use super::tag::Side;
use super::timer::{Ask, Due, Terms, Timer, Who};
use crate::base::time::{Duration, Instant};
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::proto::sip::dialog::State as DialogState;
use crate::wire::sip::{Message, Method};

/// Whether a request begins or refreshes the session of its dialog: an early one has none (RFC 4028 7.1, 7.4).
fn is_of_session(call: &Call, (leg, side): (u8, Side), method: Method) -> bool {
    let dialog = call.legs.get(usize::from(leg)).and_then(|l| l.dialog(side));
    match method {
        Method::Invite => true,
        Method::Update => dialog.is_some_and(|d| d.state() == DialogState::Confirmed),
        _ => false,
    }
}

fn timer_mut(call: &mut Call, (leg, side): (u8, Side)) -> Option<&mut Timer> {
    call.legs.get_mut(usize::from(leg)).map(|l| &mut l.timers[side as usize])
}

/// What a request of ours to a side says of its timer.
pub(super) fn offer(call: &Call, (leg, to): (u8, Side), method: Method) -> Terms {
    match call.legs.get(usize::from(leg)) {
        Some(entry) if is_of_session(call, (leg, to), method) => entry.timers[to as usize].offer(),
        _ => Terms::default(),
    }
}

/// What a response to a side's request says of its timer. A 2xx begins the session, or refreshes it.
pub(super) fn accept(
    call: &mut Call,
    view: &View<'_>,
    now: Instant,
    tx: ServerId,
    (at, status): ((u8, Side), u16),
) -> Terms {
    let Some(request) = view.txs.server(tx).map(|s| s.request()) else { return Terms::default() };
    // a callee whose 2xx is still on its way refreshes what is an early dialog to us
    let asks = request.method() == Method::Update && request.session_expires().is_some();
    if !(200..300).contains(&status) || !(asks || is_of_session(call, at, request.method())) {
        return Terms::default();
    }
    timer_mut(call, at).map_or(Terms::default(), |timer| timer.accept(now, &Ask::of(&request)))
}

/// A side has answered a request of ours with 2xx.
pub(super) fn on_success(call: &mut Call, now: Instant, at: (u8, Side), msg: &Message<'_>) {
    if is_of_session(call, at, msg.method())
        && let Some(timer) = timer_mut(call, at)
    {
        timer.on_success(now, msg);
    }
}

/// Whether a request of ours that a side has answered with 422 may be sent again, with a longer session.
pub(super) fn may_ask_again(call: &mut Call, at: (u8, Side), msg: &Message<'_>) -> bool {
    msg.status() == 422 && timer_mut(call, at).is_some_and(|timer| timer.on_too_short(msg))
}

/// Refuses a request of a side's whose session is too short. `true`: it has its answer.
pub(super) fn refuse_short(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    msg: &Message<'_>,
    at: (u8, Side),
) -> bool {
    if !is_of_session(call, at, msg.method()) {
        return false;
    }
    let Some(least) = timer_mut(call, at).and_then(|timer| timer.refuses(&Ask::of(msg))) else {
        return false;
    };
    let settings = &view.config.protocol;
    view.txs.respond(cx, tx, 422, None, &[], |mut w| {
        w.header_fmt("Min-SE", format_args!("{least}"));
        forward::end_own_response(w, settings);
    });
    true
}

/// Takes an UPDATE without a description inside an answered call: it says that its phone is there, and nothing to the other one.
/// `false`: it is something else.
pub(super) fn take(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    msg: &Message<'_>,
    (leg, from): (u8, Side),
) -> bool {
    if !ends_here(call, leg, msg) {
        return false;
    }
    let terms = accept(call, view, cx.now, tx, ((leg, from), 200));
    let Some(flow) = view.txs.server(tx).map(|s| s.flow()) else { return true };
    let local = view.txs.local_addr(flow.local).expect("a flow is of one of our sockets");
    let settings = &view.config.protocol;
    view.txs.respond(cx, tx, 200, None, &[], |mut w| {
        forward::contact(&mut w, local, flow.transport, None);
        terms.write_all(&mut w);
        forward::end_own_response(w, settings);
    });
    true
}

/// Whether a request inside an answered call is no more than a refresh of its own side.
fn ends_here(call: &Call, leg: u8, msg: &Message<'_>) -> bool {
    let is_it = msg.method() == Method::Update && msg.body().is_empty();
    is_it && call.answered_leg() == Some(leg) && call.invite.is_none()
}

/// When the call has something to do for its sessions.
pub(super) fn next_deadline(call: &Call) -> Option<Instant> {
    let leg = call.legs.get(usize::from(call.answered_leg()?))?;
    leg.timers.iter().filter_map(Timer::next_deadline).min().filter(|_| call.ended.is_none())
}

/// Refreshes what is due, and ends a call whose session was not refreshed.
pub(super) fn on_tick(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Some(leg) = call.answered_leg() else { return };
    for side in [Side::Caller, Side::Callee] {
        if call.ended.is_some() {
            return;
        }
        match timer_mut(call, (leg, side)).and_then(|timer| timer.take_due(cx.now)) {
            Some(Due::Refresh) => refresh(call, view, cx, (leg, side)),
            Some(Due::End(secs, who)) => expire(call, view, cx, side, (secs, who)),
            None => {}
        }
    }
}

/// RFC 4028 10: who waits for a refresh in vain ends the call, a little before the session does.
fn expire(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, side: Side, (secs, who): (u32, Who)) {
    let uri = &call.party(side).uri;
    let text = match who {
        Who::Them => format!("{uri} has not refreshed its session of {secs} s"),
        Who::Us => format!("{uri} has taken no refresh of its session of {secs} s"),
    };
    release::end(call, view, cx, &End::new(&text, 408));
}

/// Sends a refresh: UPDATE without a description where the phone takes it, else a re-INVITE with the last one (RFC 4028 7.4).
fn refresh(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, (leg, side): (u8, Side)) {
    let Some(&timer) = timer_mut(call, (leg, side)).map(|t| &*t) else { return };
    let last = last_description(call, leg, side).filter(|_| !timer.takes_update());
    if is_busy(call, (leg, side), last.is_some()) {
        // what is under way refreshes the session, too, if all goes well
        return retry_after(call, cx.now, (leg, side), REFRESH_WAITS);
    }
    // without any description there is nothing to offer
    let method = if last.is_some() { Method::Invite } else { Method::Update };
    let request = Request { method, purpose: Purpose::Refresh, headers: &[], sdp: last.as_deref() };
    if !own::send(call, view, cx, (leg, side), &request) {
        retry_after(call, cx.now, (leg, side), timer.pause());
    }
}

fn retry_after(call: &mut Call, now: Instant, at: (u8, Side), pause: Duration) {
    if let Some(timer) = timer_mut(call, at) {
        timer.retry_after(now, pause);
    }
}

/// What a side was told last.
fn last_description(call: &mut Call, leg: u8, side: Side) -> Option<Vec<u8>> {
    match call.agent() {
        Some(agent) => Some(agent.streams.description().to_vec()).filter(|d| !d.is_empty()),
        None => call.legs[usize::from(leg)].passage.last_told(side).map(<[u8]>::to_vec),
    }
}

/// Whether a refresh has to wait. RFC 3261 14.1: no INVITE while another one is under way on either side or lacks its ACK;
/// RFC 3264 4: no offer beside another.
fn is_busy(call: &mut Call, (leg, side): (u8, Side), offers: bool) -> bool {
    let owns = call.own.iter().any(|o| (o.leg, o.to) == (leg, side));
    let unacknowledged = call.accepted.iter().any(|a| a.leg == leg);
    let agrees = call.agent().is_some_and(|a| a.pending.is_some() || a.has_offered || a.offer.is_some());
    let relays = call.bridge_mut().map_or(&[][..], |b| &b.relays);
    // RFC 3311 5.2: one UPDATE at a time
    let meets = |r: &Relay| r.leg == leg && (offers || (r.method == Method::Update && r.from != side));
    owns || relays.iter().any(meets) || (offers && (unacknowledged || agrees))
}

/// Whether a request of a side's has to wait for one of ours on its leg: an offer, or a re-INVITE, for a re-INVITE (RFC 3261 14.1,
/// 14.2), an UPDATE for the UPDATE that its phone is to answer first (RFC 3311 5.2).
pub(super) fn meets_ours(call: &Call, (leg, from): (u8, Side), msg: &Message<'_>) -> bool {
    let is_update = msg.method() == Method::Update;
    let may_offer = msg.method() == Method::Invite || (is_update && description(msg).is_some());
    let meets = |o: &Own| match o.method {
        Method::Invite => may_offer,
        Method::Update => is_update && o.to != from && !ends_here(call, leg, msg),
        _ => false,
    };
    call.own.iter().any(|o| o.leg == leg && meets(o))
}

/// The final answer to a refresh, if it is not the end of the call.
pub(super) fn on_answer(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, own: &Own, msg: &Message<'_>) {
    let at = (own.leg, own.to);
    match msg.status() {
        200..300 if own.method != Method::Invite => {}
        200..300 if call.agent().is_some() => agent::on_answer_to_refresh(call, view, cx, msg),
        200..300 => {
            let passage = &mut call.legs[usize::from(own.leg)].passage;
            let is_new = passage.hear(own.to, msg);
            passage.settle(view.media, cx.out);
            // RFC 4028 7.4, RFC 3264 5: an answer may be another one than before, and the other phone does not know of it
            if is_new {
                again::renew(call, view, cx, own.to.other());
            }
        }
        _ if may_ask_again(call, at, msg) => refresh(call, view, cx, at),
        491 => {
            let pause = glare::wait(call, cx, at, msg).unwrap_or_default();
            retry_after(call, cx.now, at, pause);
        }
        405 | 420 | 501
            if own.method == Method::Update && last_description(call, own.leg, own.to).is_some() =>
        {
            if let Some(timer) = timer_mut(call, at) {
                timer.forget_update();
            }
            refresh(call, view, cx, at);
        }
        // RFC 4028 10: others are tried again, not without end
        _ => {
            let asked = msg.retry_after().map(|r| r.delay_secs);
            let pause = timer_mut(call, at).map_or(Duration::ZERO, |t| t.pause());
            let pause = pause.max(Duration::from_secs(u64::from(asked.unwrap_or_default())));
            retry_after(call, cx.now, at, pause);
        }
    }
}

/// On the side that a dialog index belongs to, refreshes nothing any more, and does not end the call for want of a refresh.
pub(super) fn stop(call: &mut Call, index: u32) {
    // a call that we make has one dialog to be seen, and the callee's side alone
    let is_caller = call.history.index == index;
    let is_ours = is_caller && call.agent().is_some();
    for leg in &mut call.legs {
        if is_caller {
            leg.timers[Side::Caller as usize].stop();
            if is_ours {
                leg.timers[Side::Callee as usize].stop();
            }
        } else if leg.history.index == index {
            leg.timers[Side::Callee as usize].stop();
        }
    }
}
