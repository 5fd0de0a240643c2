//! Requests of our own inside a dialog of a call, in nobody's name: what the other side does not say, or must not hear.
//!
//! What an answer means is its purpose's business; here is how they are sent, matched and forgotten. BYE is not among them: its
//! answer changes nothing.

use super::again;
use super::agent::offer;
use super::forward;
use super::pass;
use super::preconditions;
use super::refresh;
use super::release::{self, End};
use super::session::{Call, ClientId, Role};
use super::state::State;
use super::tag::Side;
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::wire::sdp::{MediaKind, Sdp};
use crate::wire::sip::{Message, Method};

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    number: u16,
    client: ClientId,
    pub(super) leg: u8,
    /// The side that was asked.
    pub(super) to: Side,
    pub(super) method: Method,
    /// Its CSeq number.
    pub(super) cseq: u32,
    pub(super) purpose: Purpose,
}

/// Why a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// PRACK: the other side cannot acknowledge a reliable provisional answer (RFC 3262 4).
    Acknowledge,
    /// A re-INVITE that tells a phone in a call between users what the other one has said to us alone.
    Renew,
    /// UPDATE or re-INVITE: its side's session goes on (RFC 4028 10).
    Refresh,
    /// A re-INVITE with an offer of our user agent's.
    Offer,
    /// A re-INVITE that tells a phone in a call between users what it was told before, without the streams of a kind if one is
    /// given.
    Again(Option<MediaKind>),
}

/// What a request of our own says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) purpose: Purpose,
    /// Headers beside those that every request of ours has.
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// A session description.
    pub(super) sdp: Option<&'a [u8]>,
}

/// Sends a request inside the dialog of a leg that faces a side. `false`: there is no such dialog, or no room for a transaction.
pub(super) fn send(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    (leg, to): (u8, Side),
    request: &Request<'_>,
) -> bool {
    let Some((flow, tcp_allowed)) = pass::flow(call, view, leg, to) else { return false };
    let Some(cseq) = call.dialog_mut(leg, to).map(|d| d.next_cseq()) else { return false };
    let number = call.next_own;
    let owner = call.owner(Role::Own(number));
    let Some(dialog) = call.legs[usize::from(leg)].dialog(to) else { return false };
    let local = view.txs.local_addr(flow.local).expect("a flow is of one of our sockets");
    let (method, settings) = (request.method.name().as_bytes(), &view.config.protocol);
    let terms = refresh::offer(call, (leg, to), request.method);
    let has_lines =
        request.sdp.and_then(|d| Sdp::parse(d).ok()).is_some_and(|sdp| preconditions::has_lines(&sdp));
    let sent = view.txs.request(cx, flow, method, dialog.request_uri(), tcp_allowed, owner, |mut w| {
        dialog.write_head(&mut w, method, cseq);
        // RFC 3261 12.2.1.1, RFC 3311 5.1: requests that may change the target say where we are
        if matches!(request.method, Method::Invite | Method::Update) {
            forward::contact(&mut w, local, flow.transport, None);
        }
        terms.write_all(&mut w);
        // RFC 3312 11: the tag goes with the lines
        if has_lines && !request.headers.iter().any(|(name, _)| *name == "Supported") {
            w.header("Supported", preconditions::TAG);
        }
        for (name, value) in request.headers {
            w.header(name, value);
        }
        forward::own_request(&mut w, settings);
        match request.sdp {
            Some(sdp) => w.body(b"application/sdp", sdp),
            None => w.finish(),
        }
    });
    let Ok(client) = sent else { return false };
    call.next_own = number.wrapping_add(1);
    call.own.push(Own { number, client, leg, to, method: request.method, cseq, purpose: request.purpose });
    true
}

/// An answer to a request of our own.
pub(super) fn on_answer(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    number: u16,
    msg: &Message<'_>,
) {
    let Some(at) = call.own.iter().position(|o| o.number == number) else { return };
    let own = call.own[at];
    if msg.status() < 200 {
        return;
    }
    call.own.remove(at);
    if let Some(dialog) = call.dialog_mut(own.leg, own.to) {
        dialog.on_response(msg);
    }
    if (200..300).contains(&msg.status()) {
        refresh::on_success(call, cx.now, (own.leg, own.to), msg);
    }
    if own.method == Method::Invite && (200..300).contains(&msg.status()) {
        // RFC 3261 13.2.2.4
        pass::ack(call, view, cx, (own.leg, own.to), own.cseq, None);
    }
    match own.purpose {
        // RFC 3262 4: the answer to a PRACK has nothing to say; one that comes too late is answered 481
        Purpose::Acknowledge => {}
        Purpose::Refresh if call.state == State::Stop || matches!(msg.status(), 408 | 481) => {}
        Purpose::Refresh => refresh::on_answer(call, view, cx, &own, msg),
        Purpose::Renew | Purpose::Again(_) => again::on_answer(call, view, cx, &own, msg),
        Purpose::Offer => offer::on_answer(call, view, cx, &own, msg),
    }
    if matches!(msg.status(), 408 | 481) {
        lost(call, view, cx, &own, msg.status());
    }
}

/// Cancels the INVITEs of our own that wait for their answers: the call ends (RFC 3261 15.1.1).
pub(super) fn cancel(call: &Call, view: &mut View<'_>, cx: &mut Cx<'_>, reason: &str) {
    for own in call.own.iter().filter(|o| o.method == Method::Invite) {
        view.txs.cancel(cx, own.client, Some(reason));
    }
}

/// No answer to a request of our own.
pub(super) fn on_no_answer(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, number: u16) {
    let Some(at) = call.own.iter().position(|o| o.number == number) else { return };
    let own = call.own.remove(at);
    lost(call, view, cx, &own, 408);
}

/// RFC 5057 5.1: a phone that answers so, or not at all, has lost the call.
fn lost(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, own: &Own, status: u16) {
    if own.purpose == Purpose::Acknowledge || call.answered_leg() != Some(own.leg) {
        return;
    }
    let text = match status {
        481 => format!("{} does not know the call any more", call.party(own.to).uri),
        _ => format!("{} does not answer any more", call.party(own.to).uri),
    };
    release::end(call, view, cx, &End::new(&text, status));
}
