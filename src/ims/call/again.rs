//! Re-INVITEs of ours in a call between users: the operator's (manual 6.6, `dialog_set`), in which each phone is offered what it was
//! told last, once more, or without the streams of a kind; and those that tell a phone what the other one has said to us alone.
//!
//! The operator's go to both at the same time, so that neither has to wait for the other: what they are offered, they have agreed
//! on before. One that meets a change of a phone's waits and is made again (RFC 3261 14.1).

use super::glare::{self, BUSY_FOR};
use super::limits::MAX_GLARES;
use super::media;
use super::own::{self, Own, Purpose, Request};
use super::session::{Bridge, Call, Kind};
use super::tag::Side;
use crate::base::time::Instant;
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::wire::sdp::MediaKind;
use crate::wire::sip::{Message, Method};

/// A re-INVITE that is made at its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Later {
    at: Instant,
    to: Side,
    purpose: Purpose,
}

/// Asks both phones again. The error says in words why that cannot be.
pub(super) fn start(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    without: Option<MediaKind>,
) -> Result<(), String> {
    let Some(leg) = call.answered_leg().filter(|_| call.state.is_answered()) else {
        return Err(format!("the call is in state {}: it has to be answered first", call.state.name()));
    };
    if is_busy(call) {
        return Err("a change of the call is under way: try again when it is done".to_owned());
    }
    let passage = &call.legs[usize::from(leg)].passage;
    let kind = without.map_or("media", MediaKind::name);
    if without.is_some_and(|kind| passage.has(Side::Caller, Some(kind)) && !passage.has_other(kind)) {
        return Err(format!("{kind} is all that the call has: stop ends it"));
    }
    if ![Side::Caller, Side::Callee].iter().all(|side| passage.has(*side, without)) {
        return Err(format!("the call has no {kind}"));
    }
    let asked = [Side::Caller, Side::Callee].map(|to| ask(call, view, cx, to, Purpose::Again(without)));
    match asked {
        [true, true] => Ok(()),
        _ => Err("there is no room for another transaction".to_owned()),
    }
}

/// Tells a phone what the other one has said to us alone, if it is news.
pub(super) fn renew(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, to: Side) {
    if call.answered_leg().is_none() || !call.state.is_answered() {
        return;
    }
    let is_busy = is_busy(call);
    let waits = call.bridge_mut().and_then(|b| b.later.iter().filter(|l| l.to == to).map(|l| l.at).max());
    match waits.or(is_busy.then(|| cx.now + BUSY_FOR)) {
        Some(at) => put_off(call, Later { at, to, purpose: Purpose::Renew }),
        None => _ = ask(call, view, cx, to, Purpose::Renew),
    }
}

/// RFC 3261 14.1: no re-INVITE while another INVITE is under way, RFC 3264 4: or another offer.
fn is_busy(call: &mut Call) -> bool {
    let asks = call.own.iter().any(|o| matches!(o.method, Method::Invite | Method::Update));
    let passes =
        call.bridge_mut().is_some_and(|b| !b.relays.is_empty() || b.waiting_for_ports.offer_count() > 0);
    asks || passes || !call.accepted.is_empty()
}

/// Sends the re-INVITE to a phone, if it has anything to hear. `false`: there is no room.
fn ask(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, to: Side, purpose: Purpose) -> bool {
    let Some(leg) = call.answered_leg() else { return true };
    let Call { legs, rules, .. } = call;
    let passage = &mut legs[usize::from(leg)].passage;
    let offer = match purpose {
        Purpose::Again(without) => passage.again(to, without),
        _ => passage.news_for(rules, to),
    };
    let Some(offer) = offer else { return true };
    let request = Request { method: Method::Invite, purpose, headers: &[], sdp: Some(&offer) };
    let is_sent = own::send(call, view, cx, (leg, to), &request);
    if !is_sent {
        call.legs[usize::from(leg)].passage.take_back(to);
    }
    is_sent
}

fn put_off(call: &mut Call, later: Later) {
    if let Some(bridge) = call.bridge_mut() {
        // what is told then is what there is to tell then
        bridge.later.retain(|l| (l.to, l.purpose) != (later.to, later.purpose));
        bridge.later.push(later);
    }
}

/// The final answer of one of the phones.
pub(super) fn on_answer(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, own: &Own, msg: &Message<'_>) {
    if !(200..300).contains(&msg.status()) {
        return on_refusal(call, cx, own, msg);
    }
    if let Some(bridge) = call.bridge_mut() {
        bridge.glares[own.to as usize] = 0;
    }
    let passage = &mut call.legs[usize::from(own.leg)].passage;
    let is_new = passage.hear(own.to, msg);
    passage.settle(view.media, cx.out);
    media::note(call, cx, msg, own.to);
    // an answer to what is news itself is no news: two phones could go on for ever
    if is_new && own.purpose != Purpose::Renew {
        renew(call, view, cx, own.to.other());
    }
}

/// One of the phones stays with what there was (RFC 3261 14.1), for now or for good.
fn on_refusal(call: &mut Call, cx: &mut Cx<'_>, own: &Own, msg: &Message<'_>) {
    call.legs[usize::from(own.leg)].passage.take_back(own.to);
    let wait = glare::wait(call, cx, (own.leg, own.to), msg);
    let running = call.state.is_answered();
    if let Some(bridge) = call.bridge_mut() {
        let glares = &mut bridge.glares[own.to as usize];
        if let Some(wait) = wait.filter(|_| running && *glares < MAX_GLARES) {
            *glares += 1;
            return put_off(call, Later { at: cx.now + wait, to: own.to, purpose: own.purpose });
        }
        *glares = 0;
    }
    let who = &call.party(own.to).uri;
    super::trace(cx, call, format_args!("our re-INVITE to {who} is refused with {}", msg.status()));
}

/// When one of those that wait is made.
pub(super) fn next_deadline(bridge: &Bridge) -> Option<Instant> {
    bridge.later.iter().map(|l| l.at).min()
}

/// Makes those whose time has come.
pub(super) fn on_tick(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    while let Some(later) = take_due(call, cx.now) {
        if is_busy(call) {
            put_off(call, Later { at: cx.now + BUSY_FOR, ..later });
            continue;
        }
        match later.purpose {
            Purpose::Again(Some(kind)) => drop_again(call, view, cx, kind),
            purpose => _ = ask(call, view, cx, later.to, purpose),
        }
    }
}

fn take_due(call: &mut Call, now: Instant) -> Option<Later> {
    let Kind::Bridge(bridge) = &mut call.kind else { return None };
    let at = bridge.later.iter().position(|l| l.at <= now)?;
    Some(bridge.later.remove(at))
}

/// The streams of a kind are given up by whoever has them still: what has met our offer may have brought them back.
fn drop_again(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, kind: MediaKind) {
    let passage = call.answered_leg().map(|leg| &call.legs[usize::from(leg)].passage);
    if !passage.is_some_and(|p| p.has_other(kind)) {
        return;
    }
    for to in [Side::Caller, Side::Callee] {
        ask(call, view, cx, to, Purpose::Again(Some(kind)));
    }
}
