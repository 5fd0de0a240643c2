//! Our own user agent in a call: the party that has media of its own, towards the caller of an echo number, and towards the callee
//! in a call that the network makes.
//!
//! `streams` are its media and `sdp` what it says of them, `inside` answers the other side's requests, `offer` makes offers of
//! ours. What is said before the call is answered is the business of `echo` and of `mt`.

mod inside;
pub(super) mod offer;
mod sdp;
mod streams;

pub(super) use inside::{on_ack, on_answer_to_refresh, on_request, respond_success};
pub(super) use sdp::{Allowed, Origin};
pub(super) use streams::{Change, Prepared, Streams, local_for};

use super::echo;
use super::forward;
use super::mt;
use super::release::{self, End};
use super::session::{Call, Kind, ServerId};
use super::tag::Side;
use crate::base::time::Instant;
use crate::config::model::Precondition;
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::wire::sdp::Sdp;
use crate::wire::sip::Method;
use offer::Offer;

/// The methods that it takes.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, MESSAGE, OPTIONS";

/// Our user agent in a call.
#[derive(Debug)]
pub(super) struct Agent {
    /// The dialog that it speaks in, once the call is answered.
    pub(super) at: (u8, Side),
    pub(super) streams: Streams,
    /// The request whose answer waits for ports.
    pub(super) pending: Option<Pending>,
    /// Our offer is out in a 2xx and its answer comes in the ACK.
    pub(super) has_offered: bool,
    /// An offer of ours inside the call.
    pub(super) offer: Option<Offer>,
}

/// A request that waits for ports: the INVITE of an echo call, a re-INVITE, an UPDATE or a PRACK.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) tx: ServerId,
    pub(super) method: Method,
    /// CSeq number.
    pub(super) cseq: u32,
    /// The offer; `None` asks for ours.
    pub(super) offer: Option<Vec<u8>>,
    /// The dialog that it came in.
    pub(super) at: (u8, Side),
}

impl Agent {
    /// Our user agent in this dialog, without any stream yet.
    pub(super) fn new(at: (u8, Side), streams: Streams) -> Self {
        Agent { at, streams, pending: None, has_offered: false, offer: None }
    }

    /// The earliest moment at which it has something to do by itself.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.offer.as_ref().and_then(Offer::next_deadline)
    }

    /// Frees the ports; nothing more is offered.
    pub(super) fn close(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>) {
        self.streams.close_all(view.media, cx.out);
        self.offer = None;
    }

    /// Takes the request whose answer waits for ports, unless it has been answered with the call's end.
    pub(super) fn take_unanswered(&mut self, view: &View<'_>) -> Option<Pending> {
        self.pending.take().filter(|p| view.txs.server(p.tx).is_some_and(|tx| !tx.has_final()))
    }
}

/// Asks for the ports that the pending request needs, and goes on at once when none is missing.
pub(super) fn prepare(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Some(agent) = call.agent_mut() else { return };
    let Some(pending) = &agent.pending else { return };
    let offer = match pending.offer.as_deref().map(Sdp::parse) {
        Some(Err(error)) => return decline(call, view, cx, 488, 399, &error.to_string()),
        Some(Ok(offer)) => Some(offer),
        None => None,
    };
    match agent.streams.prepare(cx.now, view.media, cx.out, offer.as_ref()) {
        Prepared::Ready => proceed(call, view, cx),
        Prepared::Waits => {}
        Prepared::NothingFits => decline(call, view, cx, 488, 304, "no media of the offer can be taken"),
        Prepared::NoRoom => decline(call, view, cx, 503, 399, "no media port is left"),
    }
}

/// The ports of a session are open, or could not be opened.
pub(super) fn on_media_opened(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, session: u64, ok: bool) {
    let Some(agent) = call.agent_mut() else { return };
    let Some(ok) = agent.streams.on_opened(cx.now, view.media, cx.out, session, ok) else { return };
    match (agent.pending.is_some(), ok) {
        (true, true) => proceed(call, view, cx),
        (true, false) => decline(call, view, cx, 503, 399, "media ports cannot be opened"),
        (false, _) if agent.offer.is_some() => offer::on_ports(call, view, cx, ok),
        (false, _) => mt::on_ports(call, view, cx, ok),
    }
}

/// Refuses the pending request: the call's INVITE ends the call, another leaves it as it was (RFC 3261 14.2).
fn decline(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, status: u16, code: u16, text: &str) {
    let Some(agent) = call.agent_mut() else { return };
    let Some(pending) = agent.pending.take() else { return };
    // RFC 3261 20.43: warn-code, who warns, text
    let us = agent.streams.address();
    let warning = format!("{code} {us} \"{}\"", text.replace(['"', '\\'], "'"));
    if call.invite.is_some() && pending.method == Method::Invite {
        return echo::refuse(call, view, cx, status, text, Some(("Warning", warning)), None);
    }
    let settings = &view.config.protocol;
    view.txs.respond(cx, pending.tx, status, None, &[], |mut w| {
        w.header("Warning", &warning);
        forward::end_own_response(w, settings);
    });
    super::trace(cx, call, format_args!("{} refused: {text}", pending.method.name()));
}

/// The ports of the pending request are there.
fn proceed(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let rules = call.rules;
    let Some(agent) = call.agent_mut() else { return };
    let Some(pending) = agent.pending.take() else { return };
    let qos = rules.precondition(pending.at.1) == Precondition::On;
    let mut waits = false;
    match pending.offer.as_deref().map(Sdp::parse) {
        Some(Ok(offer)) => {
            agent.streams.answer(view.media, cx.out, &offer, qos);
            waits = qos && agent.streams.waits_for_resources(&offer);
            let (leg, side) = pending.at;
            let told = agent.streams.description().to_vec();
            call.legs[usize::from(leg)].passage.note(side, offer.octets(), &told);
        }
        _ => {
            agent.streams.offer(&Change::All);
            agent.has_offered = true;
        }
    }
    if call.invite.is_some() && pending.method == Method::Invite {
        echo::begin_answering(call, view, cx, waits);
    } else {
        inside::finish_reoffer(call, view, cx, &pending, waits);
    }
}

/// `dialog_timeout` has passed in an answered call: it ends if nothing was heard for as long.
pub(super) fn on_idle(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let timeout = view.config.call.dialog_timeout;
    let Some(agent) = call.agent_mut() else { return };
    let (_, side) = agent.at;
    match agent.streams.last_heard(view.media) {
        // on hold nothing is expected: the session timer ends the call of a phone that has vanished
        None => call.idle_deadline = Some(cx.now + timeout),
        Some(heard) if heard + timeout > cx.now => call.idle_deadline = Some(heard + timeout),
        Some(_) => {
            let text = format!("no media from {} for {} s", call.party(side).uri, timeout.as_secs());
            release::end(call, view, cx, &End::new(&text, 408));
        }
    }
}

/// The call is answered with this description of ours and theirs: it runs, or begins on hold.
pub(super) fn settle(call: &mut Call, cx: &mut Cx<'_>) {
    if let Some(agent) = call.agent_mut() {
        let held = super::media::is_held(&agent.streams.medias());
        super::media::set_held(call, cx, held);
    }
}

impl Call {
    /// Our user agent, where we are a party of the call.
    pub(super) fn agent(&self) -> Option<&Agent> {
        match &self.kind {
            Kind::Echo(echo) => Some(&echo.agent),
            Kind::Mt(mt) => Some(&mt.agent),
            Kind::Bridge(_) => None,
        }
    }

    /// Our user agent, to be changed.
    pub(super) fn agent_mut(&mut self) -> Option<&mut Agent> {
        match &mut self.kind {
            Kind::Echo(echo) => Some(&mut echo.agent),
            Kind::Mt(mt) => Some(&mut mt.agent),
            Kind::Bridge(_) => None,
        }
    }
}
