//! Requests inside a call between users, passed end to end: re-INVITE, UPDATE, PRACK, INFO, MESSAGE, REFER, NOTIFY and whatever
//! else the phones agree on (RFC 3261 12.2, 14, RFC 3262, 3311, 6086).
//!
//! Each of the two dialogs counts its own CSeq. Offers, answers and glare (491) are the phones' business, unless a re-INVITE of
//! ours is under way; each side has its own session timer (`refresh`).

use super::anchoring;
use super::answer;
use super::fork::TRUNK_CHALLENGES;
use super::forward;
use super::held;
use super::limits::{MAX_RELAYS, RETRY_AFTER_SECS};
use super::media::description;
use super::pass::{self, Onward};
use super::refresh;
use super::release::{self, End};
use super::reliable::{self, Acknowledged, Reliability};
use super::session::{Call, ClientId, LegState, Relay, Role, ServerId};
use super::sibling;
use super::state::State;
use super::tag::Side;
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::wire::sip::{HeaderId, Message, Method, RAck, Stored};

/// A request other than BYE in the dialog of `leg` that faces `from`; its CSeq has been checked.
pub(super) fn on_request(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    msg: &Message<'_>,
    (leg, from): (u8, Side),
) {
    let refusal = admit(call, msg, leg, from);
    if let Some(status) = refusal {
        refuse(view, cx, tx, status);
        return;
    }
    if description(msg).is_some() {
        sibling::take_relay(call, view.media, cx.out, leg);
    }
    if refresh::refuse_short(call, view, cx, tx, msg, (leg, from))
        || refresh::take(call, view, cx, tx, msg, (leg, from))
    {
        return;
    }
    if msg.method() == Method::Update && answer_for_other(call, view, cx, tx, msg, (leg, from)) {
        return held::release_if_ready(call, view, cx, leg);
    }
    if offers_too_early(call, msg, (leg, from)) {
        return refuse(view, cx, tx, 500);
    }
    if !anchoring::admit(call, view, cx, tx, msg, (leg, from)) {
        return;
    }
    let rack = match msg.method() {
        Method::Prack => match prack(call, view, cx, tx, msg, (leg, from)) {
            Some(rack) => Some(rack),
            None => return,
        },
        _ => None,
    };
    let Some(number) = call.bridge_mut().map(|b| b.next_relay) else { return };
    let cseq = msg.cseq().map_or(0, |c| c.number);
    let offers = description(msg).is_some();
    let Some((client, far_cseq)) =
        pass::request(call, view, cx, (leg, from.other()), Role::Relay(number), msg, rack)
    else {
        if offers {
            anchoring::withdraw(call, view, cx, (leg, from));
        }
        return refuse(view, cx, tx, 503);
    };
    view.txs.set_server_owner(tx, call.owner(Role::Relay(number)));
    if msg.method() == Method::Invite {
        view.txs.respond(cx, tx, 100, None, &[], |w| w.finish());
        let entry = &mut call.legs[usize::from(leg)];
        entry.invites[from as usize] = (cseq, far_cseq);
        if from == Side::Caller {
            entry.reliable.forget();
        }
    }
    let relay = Relay { number, server: tx, client, leg, from, method: msg.method(), offers, cseq, far_cseq };
    if let Some(bridge) = call.bridge_mut() {
        bridge.next_relay = number.wrapping_add(1);
        bridge.relays.push(relay);
    }
    if call.invite.is_some() {
        call.stay_patient(cx.now, view.config.call.dialog_timeout);
    }
    anchoring::touch(call, view, cx.now);
}

/// The status that a request is refused with, if it is not passed on.
fn admit(call: &mut Call, msg: &Message<'_>, leg: u8, from: Side) -> Option<u16> {
    let entry = &call.legs[usize::from(leg)];
    let is_over = matches!(entry.state, LegState::Over | LegState::Cancelled) || call.state == State::Stop;
    if is_over || entry.dialog(from.other()).is_none() {
        return Some(481);
    }
    let bridge = call.bridge_mut()?;
    let (relays, waiting) = (&bridge.relays, &bridge.waiting_for_ports);
    if relays.len() + waiting.offer_count() >= MAX_RELAYS {
        return Some(500);
    }
    // RFC 3261 14.2: a second INVITE of one side before the first has its final answer
    let overlaps = |r: &Relay| r.method == Method::Invite && r.from == from && r.leg == leg;
    let is_second = relays.iter().any(overlaps) || waiting.has_invite(leg, from);
    if msg.method() == Method::Invite && is_second {
        return Some(500);
    }
    if refresh::meets_ours(call, (leg, from), msg) {
        return Some(491);
    }
    // RFC 3261 14.1: no re-INVITE while the first INVITE is open, or one of that side's waits for its ACK: the far phone has
    // no ACK either
    let unacknowledged = call.accepted.iter().any(|a| (a.leg, a.side) == (leg, from));
    (msg.method() == Method::Invite && (call.invite.is_some() || unacknowledged)).then_some(491)
}

/// Whether the callee's phone offers anew before the caller has an answer to its own offer that it can count on: we have
/// acknowledged that answer for a caller who cannot, and who must refuse another offer now (RFC 3311 5.2).
fn offers_too_early(call: &Call, msg: &Message<'_>, (leg, from): (u8, Side)) -> bool {
    let waits = call.invite.as_ref().is_some_and(|i| description(&i.request.message()).is_some());
    let is_new = msg.method() == Method::Update && description(msg).is_some() && from == Side::Callee;
    is_new && waits && !call.legs[usize::from(leg)].passage.has_answered()
}

/// RAck of a PRACK for the other dialog: the RSeq is the far phone's own, the CSeq number that of our INVITE there. `None`: the
/// PRACK does not pass, and has its answer.
fn prack(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    msg: &Message<'_>,
    (leg, from): (u8, Side),
) -> Option<(u32, u32)> {
    let rack = msg.header(HeaderId::RAck).and_then(RAck::parse);
    let (known, far) = call.legs[usize::from(leg)].invites[from as usize];
    let fits = rack.filter(|r| r.cseq == known && r.method == Method::Invite);
    let acknowledged = match fits {
        Some(rack) if from == Side::Callee => Acknowledged::Far(rack.rseq),
        Some(rack) => reliable::on_prack(call, leg, rack),
        None => Acknowledged::Nothing,
    };
    match acknowledged {
        Acknowledged::Far(rseq) => return Some((rseq, far)),
        Acknowledged::Ours => {
            if !answer_for_other(call, view, cx, tx, msg, (leg, from)) {
                reliable::respond(call, view, cx, tx, leg, msg);
            }
            reliable::proceed(call, view, cx, leg);
        }
        // RFC 3262 3: a PRACK that matches no unacknowledged provisional response
        Acknowledged::Nothing => refuse(view, cx, tx, 481),
    }
    None
}

/// Answers an offer that says nothing to the other side: only that the resources of one that has us as its partner in
/// preconditions have changed (RFC 3312 6). `false`: it is to pass.
fn answer_for_other(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    msg: &Message<'_>,
    (leg, from): (u8, Side),
) -> bool {
    let early = call.invite.is_some();
    let Call { legs, rules, .. } = call;
    let entry = &mut legs[usize::from(leg)];
    let Some(answer) = entry.passage.answer_for_other(rules, from, msg, early) else { return false };
    let terms = refresh::accept(call, view, cx.now, tx, ((leg, from), 200));
    let Some(flow) = view.txs.server(tx).map(|s| s.flow()) else { return true };
    let local = view.txs.local_addr(flow.local).expect("a flow is of one of our sockets");
    let settings = &view.config.protocol;
    view.txs.respond(cx, tx, 200, None, call.legs[usize::from(leg)].tag(from), |mut w| {
        if msg.method() == Method::Update {
            forward::contact(&mut w, local, flow.transport, None);
        }
        terms.write_all(&mut w);
        forward::own_response(&mut w, settings);
        w.body(b"application/sdp", &answer);
    });
    true
}

/// Answers a request that is not passed on.
pub(super) fn refuse(view: &mut View<'_>, cx: &mut Cx<'_>, tx: ServerId, status: u16) {
    let settings = &view.config.protocol;
    view.txs.respond(cx, tx, status, None, &[], |mut w| {
        if matches!(status, 500 | 503) {
            w.header_fmt("Retry-After", format_args!("{RETRY_AFTER_SECS}"));
        }
        forward::end_own_response(w, settings);
    });
}

/// An answer of the other side to a request that was passed on.
pub(super) fn on_answer(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    number: u16,
    client: ClientId,
    msg: &Message<'_>,
) {
    let Some(relay) = find(call, number) else {
        // the call has ended meanwhile; a 2xx to a re-INVITE wants its ACK all the same
        if msg.method() == Method::Invite && (200..300).contains(&msg.status()) {
            acknowledge_late(call, view, cx, client, msg);
        }
        return;
    };
    let far = relay.from.other();
    if msg.status() <= 100 {
        return;
    }
    if refresh::may_ask_again(call, (relay.leg, far), msg) && pass_again(call, view, cx, number) {
        return;
    }
    if msg.status() >= 200 {
        remove(call, number);
        settle(call, cx, &relay, msg);
    }
    if call.party(far).is_trunk && matches!(msg.status(), 401 | 407) {
        if relay.offers {
            anchoring::withdraw(call, view, cx, (relay.leg, relay.from));
        }
        return refuse(view, cx, relay.server, TRUNK_CHALLENGES);
    }
    let reliability = Reliability::AsItCame;
    // a session timer that the far phone does not take is no word to this one, which has its own
    let status = if msg.status() == 422 { 500 } else { msg.status() };
    let Relay { server: tx, leg, from: to, .. } = relay;
    let onward = Onward { tx, leg, to, status, reliability, is_said: false };
    pass::response(call, view, cx, onward, msg);
    if msg.status() >= 300 && relay.offers {
        anchoring::withdraw(call, view, cx, (leg, to));
    }
    super::media::note(call, cx, msg, far);
    anchoring::touch(call, view, cx.now);
    match msg.status() {
        200..300 if relay.method == Method::Invite => {
            let at = (relay.leg, relay.from);
            answer::await_ack(call, view, cx, relay.server, at, (relay.cseq, relay.far_cseq));
        }
        // with it the caller's resources may have come
        200..300 if held::is_held(call, leg) => held::release_if_ready(call, view, cx, leg),
        status @ (408 | 481) => lost(call, view, cx, &relay, status),
        // what has passed may have been that the caller is ready for its 2xx
        200..300 => held::release_if_ready(call, view, cx, relay.leg),
        _ => {}
    }
}

/// The final answer of the far phone to what was passed on has its effect on that side.
fn settle(call: &mut Call, cx: &Cx<'_>, relay: &Relay, msg: &Message<'_>) {
    let at = (relay.leg, relay.from.other());
    if let Some(dialog) = call.dialog_mut(at.0, at.1) {
        dialog.on_response(msg);
    }
    if (200..300).contains(&msg.status()) {
        refresh::on_success(call, cx.now, at, msg);
    }
}

/// Sends a request again that the far phone has refused for its session timer. `false`: it cannot be sent.
fn pass_again(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, number: u16) -> bool {
    let Some(relay) = find(call, number) else { return false };
    let Some(request) = view.txs.server(relay.server).map(|s| Stored::new(&s.request())) else {
        return false;
    };
    let (at, role) = ((relay.leg, relay.from.other()), Role::Relay(number));
    let Some((client, far_cseq)) = pass::request(call, view, cx, at, role, &request.message(), None) else {
        return false;
    };
    if relay.method == Method::Invite {
        call.legs[usize::from(relay.leg)].invites[relay.from as usize] = (relay.cseq, far_cseq);
    }
    let relays = call.bridge_mut().map(|b| &mut b.relays);
    if let Some(known) = relays.and_then(|r| r.iter_mut().find(|r| r.number == number)) {
        (known.client, known.far_cseq) = (client, far_cseq);
    }
    true
}

/// No answer to a request that was passed on: our own finding, by timeout (408) or transport (503).
pub(super) fn on_no_answer(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, number: u16, status: u16) {
    let Some(relay) = remove(call, number) else { return };
    if relay.offers {
        anchoring::withdraw(call, view, cx, (relay.leg, relay.from));
    }
    let settings = &view.config.protocol;
    view.txs.respond(cx, relay.server, status, None, &[], |w| {
        forward::end_own_response(w, settings);
    });
    lost(call, view, cx, &relay, 408);
}

/// RFC 5057 5.1: 481 and 408 to a request inside a dialog say that the far phone has lost it. A PRACK that comes too late is
/// answered 481 too, and is no loss (RFC 3262 3).
fn lost(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, relay: &Relay, status: u16) {
    if relay.method == Method::Prack || call.answered_leg() != Some(relay.leg) {
        return;
    }
    let party = if relay.from == Side::Caller { &call.callee.uri } else { &call.caller.uri };
    let text = match status {
        481 => format!("{party} does not know the call any more"),
        _ => format!("{party} does not answer any more"),
    };
    release::end(call, view, cx, &End::new(&text, status));
}

fn acknowledge_late(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    client: ClientId,
    msg: &Message<'_>,
) {
    let Some((place, cseq)) = answer::place_of(call, msg) else { return };
    if call.legs.get(usize::from(place.leg)).is_some_and(|l| l.dialog(place.side).is_some()) {
        pass::ack(call, view, cx, (place.leg, place.side), cseq, None);
    } else {
        answer::abandon(view, cx, client, msg, answer::Ending::Acked);
    }
}

/// The CANCEL of a re-INVITE (RFC 3261 14.1): it goes on; the far phone's 487, or its 2xx, comes back as the answer.
pub(super) fn on_cancel(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    number: u16,
    msg: &Message<'_>,
) {
    let Some(relay) = find(call, number) else { return };
    let reason = msg.header(HeaderId::Reason).map(String::from_utf8_lossy);
    view.txs.cancel(cx, relay.client, reason.as_deref());
}

fn find(call: &mut Call, number: u16) -> Option<Relay> {
    call.bridge_mut()?.relays.iter().find(|r| r.number == number).copied()
}

fn remove(call: &mut Call, number: u16) -> Option<Relay> {
    let relays = &mut call.bridge_mut()?.relays;
    let at = relays.iter().position(|r| r.number == number)?;
    Some(relays.remove(at))
}
