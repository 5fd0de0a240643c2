//! Notes every message of a call as it comes and as it leaves, at the edge of the core: what the wire has seen is what the ladder
//! shows, with what the transaction layer answers and repeats by itself.
//!
//! A message of a call bears our tag, which names its place; responses to the caller before there is one belong to the call
//! that the same input was for, and have its Call-ID.

use super::history::Way;
use super::sibling;
use super::tag::{self, Place, Side};
use super::{Call, Calls};
use crate::base::arena::{Arena, Id};
use crate::base::time::Instant;
use crate::proto::cx::Cx;
use crate::proto::outbox::Output;
use crate::proto::sip::transaction::trace_id;
use crate::wire::sip::{Index, Message};

/// What the input has to do with calls.
#[derive(Debug, Default)]
pub(super) struct Watch {
    index: Index,
    /// What was sent may be of a call.
    pub(super) is_touched: bool,
    /// The call that the input was for.
    pub(super) call: Option<Id<Call>>,
}

impl Calls {
    /// Takes note of a message that came in a dialog of a call.
    pub(in crate::ims) fn on_received(&mut self, now: Instant, msg: &Message<'_>) {
        if let Some(place) = place_of(&self.calls, Way::Received, msg) {
            self.watch.is_touched = true;
            note(&mut self.calls, now, place, Way::Received, msg);
        }
    }

    /// Takes note of the messages that the input has sent: to be called at the end of each.
    pub(in crate::ims) fn on_sent(&mut self, cx: &mut Cx<'_>) {
        let new = cx.out.take_unseen();
        let call = self.watch.call.take();
        if !std::mem::take(&mut self.watch.is_touched) || self.calls.is_empty() {
            return;
        }
        for item in &cx.out.items()[new] {
            let Output::Send { range, .. } = item else { continue };
            let Ok(msg) = Message::parse(cx.out.bytes(range), &mut self.watch.index) else { continue };
            let place = place_of(&self.calls, Way::Sent, &msg);
            if let Some(place) = place.or_else(|| opening_of(&self.calls, call?, &msg)) {
                note(&mut self.calls, cx.now, place, Way::Sent, &msg);
            }
        }
    }
}

/// The place that our tag in a message names: it is in From of what we ask, in To of what we answer.
fn place_of(calls: &Arena<Call>, way: Way, msg: &Message<'_>) -> Option<Place> {
    // our tag is in From of what we ask and of what answers us
    let is_from = (way == Way::Sent) == msg.is_request();
    let ours = if is_from { msg.from()? } else { msg.to()? };
    let tag = ours.tag()?;
    let place = tag::parse(tag)?;
    let call = calls.get(place.call)?;
    let leg = call.legs.get(usize::from(place.leg))?;
    // a peer may write anything that looks like a tag of ours, and gets it back in our answer
    let is_ours = leg.tag(place.side)[..] == *tag;
    let is_noted_later =
        place.side == Side::Callee && way == Way::Received && sibling::founds(call, place.leg, msg);
    if !is_ours || is_noted_later {
        return None;
    }
    let theirs = if is_from { msg.to() } else { msg.from() };
    sibling::with_tag(call, place, theirs.and_then(|t| t.tag()).unwrap_or_default())
}

/// The caller's side of the call that the input was for, if that is whose INVITE is answered.
fn opening_of(calls: &Arena<Call>, call: Id<Call>, msg: &Message<'_>) -> Option<Place> {
    let known = calls.get(call)?.history.trace_id?;
    let is_its = !msg.is_request() && msg.call_id().map(trace_id) == Some(known);
    is_its.then_some(Place { call, leg: 0, side: Side::Caller })
}

fn note(calls: &mut Arena<Call>, now: Instant, place: Place, way: Way, msg: &Message<'_>) {
    if let Some(call) = calls.get_mut(place.call) {
        call.note(now, (place.leg, place.side), way, msg);
    }
}
