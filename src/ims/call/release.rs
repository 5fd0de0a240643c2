//! The end of a call, whoever ends it: every leg, every dialog and every request under way gets its end (RFC 3261 15, RFC 5057).

use super::fork;
use super::forward;
use super::limits::RETRY_AFTER_SECS;
use super::own;
use super::pass::{self, Onward};
use super::reliable::Reliability;
use super::session::{Call, Ended, Kind, LegState, Role, ServerId};
use super::sibling;
use super::state::State;
use super::tag::Side;
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::proto::sip::dialog::State as DialogState;
use crate::wire::sip::{HeaderId, Message, Method};

/// How a call ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a> {
    /// Why, in words: for the view and the trace.
    text: &'a str,
    /// The answer to an INVITE that is still open.
    status: u16,
    /// The request that ended it, whose headers pass on, and the dialog that it came in.
    by: Option<(&'a Message<'a>, u8, Side)>,
    /// The value of Reason, where it is not what was found here.
    reason: Option<&'a str>,
}

impl<'a> End<'a> {
    /// An end that nobody asked for; `status` answers an INVITE that is still open, and stands in Reason.
    pub(super) fn new(text: &'a str, status: u16) -> Self {
        End { text, status, by: None, reason: None }
    }

    /// The end that a party asked for by BYE or CANCEL.
    pub(super) fn by(text: &'a str, msg: &'a Message<'a>, leg: u8, side: Side) -> Self {
        // the callee that leaves before the caller has its 2xx has not taken the call
        let status = if side == Side::Callee { 480 } else { 487 };
        End { text, status, by: Some((msg, leg, side)), reason: None }
    }

    /// The same, with this value of Reason.
    pub(super) fn with_reason(self, reason: &'a str) -> Self {
        End { reason: Some(reason), ..self }
    }

    /// The Reason header of what we send (RFC 3326): the ending party's own, else what we found.
    fn reason(&self) -> String {
        if let Some(reason) = self.reason {
            return reason.to_owned();
        }
        match self.by.and_then(|(msg, ..)| msg.header(HeaderId::Reason)) {
            Some(reason) => String::from_utf8_lossy(reason).into_owned(),
            None => format!("SIP;cause={};text=\"{}\"", self.status, self.text.replace(['"', '\\'], "'")),
        }
    }
}

/// Ends the call. No effect on one that has ended.
pub(super) fn end(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, end: &End<'_>) {
    if call.state == State::Stop {
        return;
    }
    let reason = end.reason();
    refuse(call, view, cx, end.status, end.by.is_none().then_some(end.text), None);
    call.legs.iter_mut().for_each(|l| l.reliable.stop());
    fork::cancel_open(call, view, cx, None, &reason);
    finish_relays(call, view, cx, &reason);
    own::cancel(call, view, cx, &reason);
    if let Some(leg) = call.answered_leg() {
        for side in [Side::Caller, Side::Callee] {
            let ended_by_it = end.by.is_some_and(|(_, l, s)| (l, s) == (leg, side));
            // a caller whose 2xx was kept back has had its final answer above
            let is_founded = call.dialog_mut(leg, side).is_some_and(|d| d.state() == DialogState::Confirmed);
            if !ended_by_it && is_founded {
                hang_up(call, view, cx, leg, side, &reason, end.by.map(|(msg, ..)| msg));
            }
        }
    }
    match &mut call.kind {
        Kind::Echo(echo) => echo.stop(),
        Kind::Mt(mt) => mt.stop(),
        Kind::Bridge(bridge) => bridge.later.clear(),
    }
    if let Some(agent) = call.agent_mut() {
        agent.close(view, cx);
        if let Some(pending) = agent.take_unanswered(view) {
            answer_pending(view, cx, pending.tx);
        }
    }
    call.become_state(cx.now, State::Stop);
    call.idle_deadline = None;
    call.ended = Some(Ended { at: cx.now, reason: end.text.to_owned() });
    super::trace(cx, call, format_args!("ended: {}", end.text));
}

/// Answers the INVITE of the caller, if it is still open, with a final failure: the callee's response, or our own with these
/// words as Warning.
pub(super) fn refuse(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    status: u16,
    words: Option<&str>,
    response: Option<&Message<'_>>,
) {
    let Some(invite) = call.invite.take() else { return };
    match response.filter(|_| !call.legs.is_empty()) {
        Some(msg) => {
            let reliability = Reliability::Without;
            let onward =
                Onward { tx: invite.tx, leg: 0, to: Side::Caller, status, reliability, is_said: false };
            pass::response(call, view, cx, onward, msg);
        }
        None => {
            let settings = &view.config.protocol;
            let tag = call.legs.first().map(|l| l.tag(Side::Caller).clone()).unwrap_or_default();
            view.txs.respond(cx, invite.tx, status, None, &tag, |mut w| {
                if status == 503 {
                    w.header_fmt("Retry-After", format_args!("{RETRY_AFTER_SECS}"));
                }
                if let Some(words) = words {
                    w.header_fmt(
                        "Warning",
                        format_args!("399 imsbox \"{}\"", words.replace(['"', '\\'], "'")),
                    );
                }
                forward::end_own_response(w, settings);
            });
        }
    }
}

/// Requests that wait for the other side's answer: they get one from us, and what we asked the other side is cancelled.
fn finish_relays(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, reason: &str) {
    let Some(bridge) = call.bridge_mut() else { return };
    bridge.waiting_for_ports.take_offers().for_each(|tx| answer_pending(view, cx, tx));
    let open = std::mem::take(&mut bridge.relays);
    for relay in open {
        answer_pending(view, cx, relay.server);
        if relay.method == Method::Invite {
            view.txs.cancel(cx, relay.client, Some(reason));
        }
    }
}

/// RFC 3261 15.1.2: requests pending when the BYE arrives are answered, 487 is recommended.
pub(super) fn answer_pending(view: &mut View<'_>, cx: &mut Cx<'_>, tx: ServerId) {
    let settings = &view.config.protocol;
    view.txs.respond(cx, tx, 487, None, &[], |w| {
        forward::end_own_response(w, settings);
    });
}

/// Sends BYE on an answered dialog; where the 2xx of ours still waits for its ACK, once that is settled (RFC 3261 15: not
/// before). A 2xx of the callee's that the caller never acknowledged is acknowledged first.
pub(super) fn hang_up(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    leg: u8,
    side: Side,
    reason: &str,
    by: Option<&Message<'_>>,
) {
    let mut unacknowledged = None;
    for accepted in call.accepted.iter_mut().filter(|a| a.leg == leg) {
        if accepted.side == side && cx.now < accepted.give_up_at {
            accepted.bye_pending = true;
            return;
        }
        if accepted.side == side.other() {
            unacknowledged = Some(accepted.far_cseq);
        }
    }
    if let Some(cseq) = unacknowledged.filter(|_| call.legs[usize::from(leg)].dialog(side).is_some()) {
        pass::ack(call, view, cx, (leg, side), cseq, None);
    }
    bye(call, view, cx, leg, side, reason, by);
}

/// Sends BYE.
pub(super) fn bye(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    leg: u8,
    side: Side,
    reason: &str,
    by: Option<&Message<'_>>,
) {
    if let Some(msg) = by.filter(|m| m.method() == Method::Bye) {
        pass::request(call, view, cx, (leg, side), Role::Bye, msg, None);
        return;
    }
    let Some((flow, upgrade)) = pass::flow(call, view, leg, side) else { return };
    let Some(dialog) = call.dialog_mut(leg, side) else { return };
    let cseq = dialog.next_cseq();
    let owner = call.owner(Role::Bye);
    let Some(dialog) = call.legs[usize::from(leg)].dialog(side) else { return };
    let settings = &view.config.protocol;
    // a BYE that finds no room ends the call all the same: the phone's session timer or its user ends the other half
    let _ = view.txs.request(cx, flow, b"BYE", dialog.request_uri(), upgrade, owner, |mut w| {
        dialog.write_head(&mut w, b"BYE", cseq);
        w.header("Reason", reason);
        forward::own_request(&mut w, settings);
        w.finish();
    });
}

/// The caller's CANCEL has ended its INVITE (RFC 3261 9.2): 487 to it, CANCEL to the callee's phones.
pub(super) fn on_cancel(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, msg: &Message<'_>) {
    if call.invite.is_some() {
        end(call, view, cx, &End::by("the caller hung up before the answer", msg, 0, Side::Caller));
    }
}

/// A BYE inside a dialog of the call. It is answered here and now, whatever the other side will say to its own.
pub(super) fn on_bye(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    msg: &Message<'_>,
    (leg, side): (u8, Side),
) {
    let early = call.answered_leg().is_none();
    // a leg that lost the race has had our BYE, and its own crosses it
    let leg_is_over = matches!(call.legs[usize::from(leg)].state, LegState::Over | LegState::Cancelled);
    let is_over = call.state == State::Stop || leg_is_over;
    // RFC 3261 15: the callee may not send BYE in an early dialog
    let status = if is_over || !early || side == Side::Caller { 200 } else { 481 };
    let settings = &view.config.protocol;
    view.txs.respond(cx, tx, status, None, &[], |w| forward::end_own_response(w, settings));
    if status != 200 {
        return;
    }
    if is_over {
        return forget_accepted(call, leg, side);
    }
    if early && sibling::end_one(call, view, cx, leg, ("", Some(msg))) {
        return;
    }
    let open_elsewhere =
        call.legs.iter().enumerate().any(|(n, l)| n != usize::from(leg) && l.state.is_open());
    if early && open_elsewhere && call.legs[usize::from(leg)].state.is_open() {
        // RFC 3261 15: BYE in one of several early dialogs ends that one
        call.legs[usize::from(leg)].state = LegState::Cancelled;
        call.legs[usize::from(leg)].reliable.stop();
        if let Some(client) = call.legs[usize::from(leg)].client {
            view.txs.cancel(cx, client, None);
        }
        return;
    }
    let text = match (early, side) {
        (true, _) => "the caller hung up before the answer",
        (false, Side::Caller) => "the caller hung up",
        (false, Side::Callee) => "the callee hung up",
    };
    end(call, view, cx, &End::by(text, msg, leg, side));
    forget_accepted(call, leg, side);
}

/// A 2xx of ours that waits for its ACK on a dialog whose phone has sent BYE waits in vain.
fn forget_accepted(call: &mut Call, leg: u8, side: Side) {
    call.accepted.retain(|a| (a.leg, a.side) != (leg, side));
}
