//! Requests inside a call with our user agent: new offers, PRACK, what needs only a 200, and the ACK (RFC 3261 14, RFC 3262, RFC
//! 3311).

use super::{ALLOW, Pending};
use crate::ims::call::answer;
use crate::ims::call::echo;
use crate::ims::call::forward;
use crate::ims::call::media::description;
use crate::ims::call::mt;
use crate::ims::call::refresh;
use crate::ims::call::reinvite;
use crate::ims::call::release::{self, End};
use crate::ims::call::session::{Call, ServerId};
use crate::ims::call::state::State;
use crate::ims::call::tag::Side;
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::wire::sdp::Sdp;
use crate::wire::sip::{Message, Method};

/// A request other than BYE in a dialog of the call; its CSeq has been checked.
pub(in crate::ims::call) fn on_request(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    msg: &Message<'_>,
    at: (u8, Side),
) {
    if call.state == State::Stop || mt::is_over(call, at.0) {
        return reinvite::refuse(view, cx, tx, 481);
    }
    if refresh::refuse_short(call, view, cx, tx, msg, at) {
        return;
    }
    let timeout = view.config.call.dialog_timeout;
    match &mut call.idle_deadline {
        Some(deadline) if call.state.is_answered() => *deadline = (*deadline).max(cx.now + timeout),
        _ => call.stay_patient(cx.now, timeout),
    }
    match msg.method() {
        Method::Invite | Method::Update => on_offer(call, view, cx, tx, msg, at),
        Method::Prack => echo::on_prack(call, view, cx, tx, msg),
        Method::Info | Method::Message | Method::Options => {
            respond_success(call, view, cx, (tx, at), msg.method(), false);
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
fn on_offer(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    msg: &Message<'_>,
    at: (u8, Side),
) {
    let is_invite = msg.method() == Method::Invite;
    let unacknowledged = !call.accepted.is_empty();
    let open = call.invite.is_some();
    let meets_ours = mt::awaits_answer(call, at.0) || refresh::meets_ours(call, at, msg);
    let Some(agent) = call.agent_mut() else { return };
    // RFC 3261 14.2 and RFC 3311 5.2: an offer of theirs is being answered; RFC 3264 4: one of ours is
    if agent.pending.is_some() || (is_invite && open) {
        return reinvite::refuse(view, cx, tx, 500);
    }
    let offer = description(msg).map(<[u8]>::to_vec);
    let crosses = agent.offer.as_ref().is_some_and(|o| o.crosses(msg.method(), offer.is_some()));
    if agent.has_offered || meets_ours || crosses || (is_invite && unacknowledged) {
        return reinvite::refuse(view, cx, tx, 491);
    }
    if offer.is_none() && !is_invite {
        return respond_success(call, view, cx, (tx, at), Method::Update, false);
    }
    let cseq = msg.cseq().map_or(0, |c| c.number);
    agent.pending = Some(Pending { tx, method: msg.method(), cseq, offer, at });
    super::prepare(call, view, cx);
}

/// The ACK of a 2xx: with the answer, when the offer was ours.
pub(in crate::ims::call) fn on_ack(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, msg: &Message<'_>) {
    let Some(agent) = call.agent_mut() else { return };
    if !std::mem::take(&mut agent.has_offered) {
        return;
    }
    if !take_answer(call, view, cx, msg) {
        // RFC 3261 13.2.1: the ACK must carry the answer
        release::end(call, view, cx, &End::new("the ACK has no usable answer to the offer", 488));
    }
}

/// The 2xx to our re-INVITE, which has offered what there was.
pub(in crate::ims::call) fn on_answer_to_refresh(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    msg: &Message<'_>,
) {
    if !take_answer(call, view, cx, msg) {
        crate::ims::call::trace(cx, call, format_args!("the answer to a refresh has no usable description"));
    }
}

/// Takes the answer to an offer of ours. `false`: there is none that can be used.
fn take_answer(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, msg: &Message<'_>) -> bool {
    let Some(agent) = call.agent_mut() else { return false };
    let answer = description(msg).and_then(|d| Sdp::parse(d).ok());
    let taken = answer.is_some_and(|a| agent.streams.take_answer(view.media, cx.out, &a));
    if taken {
        let ours = agent.streams.description().to_vec();
        let (leg, side) = agent.at;
        let theirs = description(msg).unwrap_or_default();
        call.legs[usize::from(leg)].passage.note(side, theirs, &ours);
        super::settle(call, cx);
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
    respond_success(call, view, cx, (pending.tx, pending.at), pending.method, true);
    if pending.method == Method::Invite {
        answer::await_ack(call, view, cx, pending.tx, pending.at, (pending.cseq, 0));
    }
    super::settle(call, cx);
    mt::on_reoffered(call, pending.at.0, pending.offer.as_deref());
    echo::on_reoffered(call, view, cx, waits);
}

/// Answers a request in this dialog with 200, with our description or without.
pub(in crate::ims::call) fn respond_success(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    (tx, (leg, side)): (ServerId, (u8, Side)),
    method: Method,
    with_body: bool,
) {
    let terms = refresh::accept(call, view, cx.now, tx, ((leg, side), 200));
    let (Some(agent), Some(leg)) = (call.agent(), call.legs.get(usize::from(leg))) else { return };
    let Some(flow) = view.txs.server(tx).map(|s| s.flow()) else { return };
    let local = view.txs.local_addr(flow.local).expect("a flow is of one of our sockets");
    let settings = &view.config.protocol;
    let identities = echo::identities(call, view);
    view.txs.respond(cx, tx, 200, None, leg.tag(side), |mut w| {
        if method == Method::Invite {
            echo::write_identities(&mut w, &identities);
        }
        if matches!(method, Method::Invite | Method::Update) {
            forward::contact(&mut w, local, flow.transport, None);
            w.header("Supported", "100rel, precondition, timer");
            terms.write_grant(&mut w);
        }
        w.header("Allow", ALLOW);
        forward::own_response(&mut w, settings);
        match agent.streams.description() {
            [] => w.finish(),
            _ if !with_body => w.finish(),
            body => w.body(b"application/sdp", body),
        }
    });
}
