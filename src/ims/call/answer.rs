//! Final answers to the INVITE of a leg, and the ACK (RFC 3261 13.2.2.4, 13.3.1.4, RFC 6026).
//!
//! The first 2xx is the call; every other one is acknowledged and ended at once. The caller's ACK travels to the callee, so that
//! an answer in it passes; timers on both halves end a call in which it gets lost.

use super::again;
use super::anchoring;
use super::fork;
use super::held;
use super::limits::FORGOTTEN_CSEQ;
use super::pass::{self, Onward};
use super::refresh;
use super::release::{self, End};
use super::reliable::Reliability;
use super::session::{Accepted, Call, ClientId, LegState, ServerId};
use super::setup;
use super::sibling;
use super::state::State;
use super::tag::{self, Place, Side};
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::proto::sip::dialog::{Dialog, State as DialogState};
use crate::wire::sip::Message;

/// A final answer to the INVITE of a leg.
pub(super) fn on_final(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    leg: u8,
    client: ClientId,
    msg: &Message<'_>,
) {
    if msg.status() >= 300 {
        return on_refusal(call, view, cx, leg, msg);
    }
    let leg = sibling::of_answer(call, view, cx, leg, msg).unwrap_or(leg);
    let Some(dialog) = confirmed(view, client, msg) else {
        // RFC 3261 12.1.2: without Contact or To tag there is no dialog to acknowledge it in
        fork::on_failure(call, view, cx, leg, 500, None);
        return;
    };
    let entry = &mut call.legs[usize::from(leg)];
    entry.passage.learn(msg);
    let wins = entry.state.is_open() && call.invite.is_some();
    let only_rings = call.callee.impu(view.subs).is_some_and(|i| i.ring_only);
    entry.down = Some(match entry.down.take() {
        // the early dialog has counted requests already: its numbers go on (RFC 3261 12.2.1.1)
        Some(mut early) if early.id() == dialog.id() => {
            early.on_response(msg);
            early
        }
        _ => dialog,
    });
    if wins && !only_rings {
        refresh::on_success(call, cx.now, (leg, Side::Callee), msg);
    }
    if wins && !only_rings && held::must_wait(call, leg) {
        held::hold(call, view, cx, leg, msg);
    } else if wins && !only_rings {
        take(call, view, cx, leg, msg, FarAck::Due);
    } else {
        // the race was lost: RFC 3261 16.7 step 10, 9.1; or the identity rings and no more (manual 5.2.1, `ring_only`)
        turn_away(call, view, cx, leg, msg);
        fork::on_failure(call, view, cx, leg, 480, None);
    }
}

/// A 2xx that is not the call is acknowledged with the number of its INVITE, which a re-INVITE in the call may have followed since, and
/// its dialog ended (RFC 3261 13.2.2.4).
fn turn_away(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, leg: u8, msg: &Message<'_>) {
    let Some(cseq) = msg.cseq().map(|c| c.number) else { return };
    pass::ack(call, view, cx, (leg, Side::Callee), cseq, None);
    let reason = "SIP;cause=487;text=\"the call was cancelled or taken elsewhere\"";
    release::bye(call, view, cx, leg, Side::Callee, reason, None);
}

/// The phone of a leg has refused the call, or the INVITE as it was.
fn on_refusal(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, leg: u8, msg: &Message<'_>) {
    if refresh::may_ask_again(call, (leg, Side::Callee), msg) && setup::invite_again(call, view, cx, leg) {
        return;
    }
    match msg.status() {
        // a session timer that its phone does not take is no word to the caller, who has one of its own
        422 => fork::on_failure(call, view, cx, leg, 500, None),
        status => fork::on_failure(call, view, cx, leg, status, Some(msg)),
    }
}

/// The dialog that a 2xx confirms, made anew from it.
pub(super) fn confirmed(view: &View<'_>, client: ClientId, msg: &Message<'_>) -> Option<Dialog> {
    let sent = view.txs.client(client)?;
    Dialog::uac(&sent.request(), msg, sent.flow())
}

/// Whether the callee's phone still needs the ACK of its 2xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FarAck {
    /// It does: the caller's ACK passes to it.
    Due,
    /// It has got one from us.
    Sent,
}

/// Why phones stop to ring that another one of the callee's was faster than (RFC 3326).
pub(super) const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// The 2xx that makes the call.
pub(super) fn take(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    leg: u8,
    msg: &Message<'_>,
    far_ack: FarAck,
) {
    sibling::win(call, view, cx, leg);
    fork::cancel_open(call, view, cx, Some(leg), ELSEWHERE);
    let Some(invite) = call.invite.take() else { return };
    let entry = &mut call.legs[usize::from(leg)];
    entry.state = LegState::Answered;
    entry.reliable.stop();
    let request = invite.request.message();
    let mut up =
        entry.up.take().unwrap_or_else(|| Dialog::uas(&request, entry.tag(Side::Caller), invite.flow));
    up.confirm();
    entry.up = Some(up);
    let cseqs = entry.invites[Side::Caller as usize];
    if let Some(bridge) = call.bridge_mut() {
        bridge.winner = Some(leg);
        bridge.waiting.clear();
        bridge.best = None;
    }
    let (to, reliability) = (Side::Caller, Reliability::Without);
    let is_said = far_ack == FarAck::Sent && call.legs[usize::from(leg)].passage.has_answered();
    let onward = Onward { tx: invite.tx, leg, to, status: msg.status(), reliability, is_said };
    pass::response(call, view, cx, onward, msg);
    await_ack(call, view, cx, invite.tx, (leg, Side::Caller), cseqs);
    if let Some(accepted) = call.accepted.last_mut() {
        accepted.is_far_acked = far_ack == FarAck::Sent;
    }
    call.idle_deadline = anchoring::idle_deadline(call, view, leg, cx.now);
    call.become_state(cx.now, State::Start);
    super::media::note(call, cx, msg, Side::Callee);
    super::trace(cx, call, format_args!("{} answered", call.callee.uri));
}

/// Watches over a 2xx of ours until its ACK: repeated from T1 on, doubling up to T2, for 64*T1 (RFC 3261 13.3.1.4).
pub(super) fn await_ack(
    call: &mut Call,
    view: &View<'_>,
    cx: &Cx<'_>,
    server: ServerId,
    (leg, side): (u8, Side),
    (cseq, far_cseq): (u32, u32),
) {
    let t1 = view.config.protocol.timer_t1;
    call.accepted.push(Accepted {
        server,
        leg,
        side,
        cseq,
        far_cseq,
        is_far_acked: false,
        next_at: cx.now + t1,
        interval: t1,
        give_up_at: cx.now + t1 * 64,
        bye_pending: false,
    });
}

/// Repeats what is due and gives up what has waited too long.
pub(super) fn on_tick(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let (t2, now) = (view.config.protocol.timer_t2, cx.now);
    for accepted in call.accepted.iter_mut().filter(|a| a.next_at <= now && a.give_up_at > now) {
        accepted.interval = (accepted.interval * 2).min(t2);
        accepted.next_at = now + accepted.interval;
        view.txs.retransmit_2xx(cx, accepted.server);
    }
    while let Some(lost) = call.accepted.iter().find(|a| a.give_up_at <= cx.now).copied() {
        let party = if lost.side == Side::Caller { &call.caller.uri } else { &call.callee.uri };
        let text = format!("no ACK from {party}");
        release::end(call, view, cx, &End::new(&text, 408));
        call.accepted.retain(|a| a.server != lost.server);
        if lost.bye_pending {
            release::bye(call, view, cx, lost.leg, lost.side, "SIP;cause=408;text=\"no ACK\"", None);
        }
    }
}

/// An ACK of a 2xx, in the dialog of `leg` that faces `side`.
pub(super) fn on_ack(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    leg: u8,
    side: Side,
    msg: &Message<'_>,
) {
    let number = msg.cseq().map(|c| c.number);
    let fits = |a: &Accepted| (a.leg, a.side) == (leg, side) && Some(a.cseq) == number;
    // an ACK that comes again has nothing more to do: the other side repeats its 2xx if it still needs one
    let Some(at) = call.accepted.iter().position(fits) else { return };
    let accepted = call.accepted.remove(at);
    if call.state == State::Stop {
        if accepted.bye_pending {
            let reason = ended_reason(call);
            release::bye(call, view, cx, leg, side, &reason, None);
        }
        return;
    }
    if call.bridge_mut().is_some() {
        if !accepted.is_far_acked {
            pass::ack(call, view, cx, (leg, side.other()), accepted.far_cseq, Some(msg));
            super::media::note(call, cx, msg, side);
        }
        // the callee's phone has answered an offer whose streams waited for the caller's resources, and does not know of that
        if call.legs[usize::from(leg)].passage.has_waited() {
            again::renew(call, view, cx, Side::Callee);
        }
    } else {
        super::agent::on_ack(call, view, cx, msg);
    }
}

fn ended_reason(call: &Call) -> String {
    let text = call.ended.as_ref().map_or("", |e| &e.reason);
    format!("SIP;cause=200;text=\"{}\"", text.replace(['"', '\\'], "'"))
}

/// A 2xx that came again, or one of another phone behind a proxy that forks.
pub(super) fn on_repeated(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    client: ClientId,
    msg: &Message<'_>,
) {
    let Some((place, cseq)) = place_of(call, msg) else { return };
    // an answer to another INVITE than the one that began the leg founds nothing
    let is_first = call.legs[usize::from(place.leg)].client == Some(client);
    let leg = match place.side {
        Side::Callee if is_first => sibling::of_answer(call, view, cx, place.leg, msg),
        _ => Some(place.leg),
    };
    let Some(leg) = leg else { return abandon(view, cx, client, msg, Ending::Bye) };
    let at = (leg, place.side);
    let founded = confirmed(view, client, msg).filter(|_| is_first);
    let entry = &mut call.legs[usize::from(leg)];
    if entry.down.is_none() {
        entry.down = founded;
        return turn_away(call, view, cx, leg, msg);
    }
    let theirs = msg.to().and_then(|to| to.tag()).unwrap_or_default();
    match entry.dialog_mut(place.side).filter(|d| d.remote_tag() == theirs) {
        Some(dialog) if is_first && dialog.state() == DialogState::Early => {
            dialog.on_response(msg);
            turn_away(call, view, cx, leg, msg);
        }
        Some(_) => {
            let was_sent = pass::ack_again(call, view, cx, at, cseq);
            // nothing to repeat yet: the other phone's ACK is awaited, on a timer of ours, unless it has left instead
            if !was_sent && call.state == State::Stop {
                pass::ack(call, view, cx, at, cseq, None);
            }
        }
        None => abandon(view, cx, client, msg, Ending::Bye),
    }
}

/// What becomes of the dialog of a 2xx that nobody waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It has ended already: the ACK stops the repetition.
    Acked,
    /// BYE ends it.
    Bye,
}

/// A 2xx to an INVITE that nobody waits for any more is acknowledged and its dialog ended (RFC 3261 13.2.2.4).
pub(super) fn abandon(
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    client: ClientId,
    msg: &Message<'_>,
    ending: Ending,
) {
    let (Some(mut dialog), Some(invite)) = (confirmed(view, client, msg), msg.cseq()) else { return };
    let (flow, settings) = (dialog.flow(), &view.config.protocol);
    view.txs.send_stateless(cx, flow, b"ACK", dialog.request_uri(), |mut w| {
        dialog.write_head(&mut w, b"ACK", invite.number);
        super::forward::own_request(&mut w, settings);
        w.finish();
    });
    if ending == Ending::Acked {
        return;
    }
    dialog.count_after(FORGOTTEN_CSEQ);
    let cseq = dialog.next_cseq();
    let reliable = flow.transport.is_reliable();
    let owner = crate::ims::owner::Owner::None;
    // without room for the BYE the phone gives its dialog up when its ACK'd call gets no media
    let _ = view.txs.request(cx, flow, b"BYE", dialog.request_uri(), reliable, owner, |mut w| {
        dialog.write_head(&mut w, b"BYE", cseq);
        super::forward::own_request(&mut w, settings);
        w.finish();
    });
}

/// Where the response of a phone belongs, by the tags of its dialog, with its CSeq number.
pub(super) fn place_of(call: &Call, msg: &Message<'_>) -> Option<(Place, u32)> {
    let theirs = msg.to().and_then(|to| to.tag()).unwrap_or_default();
    let place = sibling::with_tag(call, tag::parse(msg.from()?.tag()?)?, theirs)?;
    Some((place, msg.cseq()?.number))
}
