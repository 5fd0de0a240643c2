//! Re-INVITEs of ours in a call between users (manual 6.6, `dialog_set`): each phone is offered what it was told last, once more,
//! or without the streams of a kind.
//!
//! Both are asked at the same time, so that neither has to wait for the other: what they are offered, they have agreed on before.

use super::media;
use super::own::{self, Own, Purpose, Request};
use super::session::Call;
use super::tag::Side;
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::wire::sdp::MediaKind;
use crate::wire::sip::{Message, Method};

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
    // RFC 3261 14.1: not while another INVITE is under way, RFC 3264 4: or another offer
    let asks = call.own.iter().any(|o| matches!(o.method, Method::Invite | Method::Update));
    let passes = call.bridge_mut().is_some_and(|b| !b.relays.is_empty());
    if asks || passes || !call.accepted.is_empty() {
        return Err("a change of the call is under way: try again when it is done".to_owned());
    }
    let passage = &mut call.legs[usize::from(leg)].passage;
    let kind = without.map_or("media", MediaKind::name);
    if let Some(kind) = without
        && passage.told(Side::Caller).is_some_and(|told| told.medias().all(|m| m.port == 0 || m.kind == kind))
    {
        return Err(format!("{} is all that the call has: stop ends it", kind.name()));
    }
    let offers = [Side::Caller, Side::Callee].map(|side| (side, passage.again(side, without)));
    if offers.iter().any(|(_, offer)| offer.is_none()) {
        return Err(format!("the call has no {kind}"));
    }
    for (side, offer) in offers {
        let request =
            Request { method: Method::Invite, purpose: Purpose::Again, headers: &[], sdp: offer.as_deref() };
        if !own::send(call, view, cx, (leg, side), &request) {
            return Err("there is no room for another transaction".to_owned());
        }
    }
    Ok(())
}

/// The final answer of one of the phones.
pub(super) fn on_answer(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, own: &Own, msg: &Message<'_>) {
    if (200..300).contains(&msg.status()) {
        let passage = &mut call.legs[usize::from(own.leg)].passage;
        passage.hear(own.to, msg);
        passage.settle(view.media, cx.out);
        media::note(call, cx, msg, own.to);
    } else {
        let who = &call.party(own.to).uri;
        super::trace(cx, call, format_args!("our re-INVITE to {who} is refused with {}", msg.status()));
    }
}
