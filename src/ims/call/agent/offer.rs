//! Offers that our user agent makes inside a call that runs: hold, other media, or the same again (RFC 3261 14.1, RFC 3264 8).
//!
//! One at a time. What the other side is just changing goes first; where both have started at once (491), we try again after a
//! wait that is drawn.

use super::streams::{Change, Prepared};
use super::{ALLOW, settle};
use crate::base::time::Instant;
use crate::ims::call::glare::{self, BUSY_FOR};
use crate::ims::call::limits::MAX_GLARES;
use crate::ims::call::media::description;
use crate::ims::call::own::{self, Own, Purpose, Request};
use crate::ims::call::release::{self, End};
use crate::ims::call::session::Call;
use crate::ims::call::state::State;
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::wire::sdp::Sdp;
use crate::wire::sip::{Message, Method};

/// An offer that is to be made, or waits for its answer.
#[derive(Debug)]
pub(in crate::ims::call) struct Offer {
    change: Change,
    stage: Stage,
    /// How often it has met one of the other side's.
    glares: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Ports are being opened.
    Ports,
    /// The re-INVITE is out.
    Asked,
    /// It is made at that time.
    Later(Instant),
}

impl Offer {
    /// When it is to be made again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Later(at) => Some(at),
            Stage::Ports | Stage::Asked => None,
        }
    }

    /// Whether a request of the other side's cannot be taken beside it (RFC 3261 14.2, RFC 3311 5.2: 491).
    pub(super) fn crosses(&self, method: Method, has_offer: bool) -> bool {
        !matches!(self.stage, Stage::Later(_)) && (method == Method::Invite || has_offer)
    }
}

/// Offers a change of the call's media. The error says in words why that cannot be.
pub(in crate::ims::call) fn start(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    change: Change,
) -> Result<(), String> {
    if !call.state.is_answered() {
        return Err(format!("the call is in state {}: it has to be answered first", call.state.name()));
    }
    let agent = call.agent_mut().ok_or("the media of a call between users are the users'")?;
    if agent.offer.is_some() {
        return Err("another change of ours is under way".to_owned());
    }
    agent.offer = Some(Offer { change, stage: Stage::Later(cx.now), glares: 0 });
    attempt(call, view, cx)
}

/// Makes the offer, if the other side has no change of its own under way, and the ports are there.
fn attempt(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) -> Result<(), String> {
    let unacknowledged = !call.accepted.is_empty();
    let asks = call.own.iter().any(|o| matches!(o.method, Method::Invite | Method::Update));
    let Some(agent) = call.agent_mut() else { return Ok(()) };
    let Some(offer) = &mut agent.offer else { return Ok(()) };
    // RFC 3261 14.1: not while another INVITE is under way, RFC 3264 4: or another offer
    if agent.pending.is_some() || agent.has_offered || unacknowledged || asks {
        offer.stage = Stage::Later(cx.now + BUSY_FOR);
        return Ok(());
    }
    match agent.streams.plan(cx.now, view.media, cx.out, &offer.change) {
        Ok(Prepared::Ready) => send(call, view, cx),
        Ok(Prepared::Waits) => {
            offer.stage = Stage::Ports;
            Ok(())
        }
        Ok(Prepared::NothingFits | Prepared::NoRoom) => give_up(call, view, cx, "no media port is left"),
        Err(why) => give_up(call, view, cx, &why),
    }
}

fn give_up(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, why: &str) -> Result<(), String> {
    if let Some(agent) = call.agent_mut() {
        agent.streams.withdraw(view.media, cx.out);
        agent.offer = None;
    }
    Err(why.to_owned())
}

/// The ports of the offer are open, or could not be opened.
pub(super) fn on_ports(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, ok: bool) {
    let outcome = match ok {
        true => send(call, view, cx),
        false => give_up(call, view, cx, "media ports cannot be opened"),
    };
    if let Err(why) = outcome {
        super::super::trace(cx, call, format_args!("our change is not made: {why}"));
    }
}

fn send(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) -> Result<(), String> {
    let Some(agent) = call.agent_mut() else { return Ok(()) };
    let Some(offer) = &mut agent.offer else { return Ok(()) };
    agent.streams.offer(&offer.change);
    offer.stage = Stage::Asked;
    let (at, sdp) = (agent.at, agent.streams.description().to_vec());
    let request = Request {
        method: Method::Invite,
        purpose: Purpose::Offer,
        headers: &[("Allow", ALLOW), ("Supported", "100rel, precondition")],
        sdp: Some(&sdp),
    };
    if own::send(call, view, cx, at, &request) {
        return Ok(());
    }
    give_up(call, view, cx, "there is no room for another transaction")
}

/// The final answer to the re-INVITE.
pub(in crate::ims::call) fn on_answer(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    own: &Own,
    msg: &Message<'_>,
) {
    let is_success = (200..300).contains(&msg.status());
    if call.state == State::Stop {
        return;
    }
    let timeout = view.config.call.dialog_timeout;
    let Some(agent) = call.agent_mut() else { return };
    let Some(mut offer) = agent.offer.take() else { return };
    if is_success {
        let answer = description(msg).and_then(|d| Sdp::parse(d).ok());
        if !answer.is_some_and(|a| agent.streams.take_answer(view.media, cx.out, &a)) {
            let text = "our offer has no usable answer";
            return release::end(call, view, cx, &End::new(text, 488));
        }
        call.idle_deadline = Some(cx.now + timeout);
        return settle(call, cx);
    }
    agent.streams.withdraw(view.media, cx.out);
    let wait = glare::wait(call, cx, (own.leg, own.to), msg);
    if let Some(wait) = wait.filter(|_| offer.glares < MAX_GLARES) {
        offer.glares += 1;
        offer.stage = Stage::Later(cx.now + wait);
        if let Some(agent) = call.agent_mut() {
            agent.offer = Some(offer);
        }
        return;
    }
    super::super::trace(cx, call, format_args!("our change is refused with {}", msg.status()));
}

/// Makes an offer whose time has come.
pub(in crate::ims::call) fn on_tick(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let due = call.agent().and_then(|a| a.offer.as_ref()).and_then(Offer::next_deadline);
    if due.is_some_and(|at| at <= cx.now)
        && let Err(why) = attempt(call, view, cx)
    {
        super::super::trace(cx, call, format_args!("our change is not made: {why}"));
    }
}
