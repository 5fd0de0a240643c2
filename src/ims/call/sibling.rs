//! Siblings: the early dialogs of one INVITE of ours beyond its first (RFC 3261 12.1, 13.2.2.4). A PBX or a proxy behind a contact
//! forks, and each phone there answers under a To tag of its own.
//!
//! Each is a leg with dialogs, reliable answers, descriptions, bearers and a history of its own, and to the caller an early
//! dialog like that of another contact. What the legs of an INVITE share is what they have of it: the transaction, the
//! Call-ID, our tag in From, and the relay of its media. One CANCEL, and one failure, is for all of them.

use super::history::{History, Way};
use super::limits::MAX_SIBLINGS;
use super::passage::Passage;
use super::release;
use super::session::{Call, Leg, LegState};
use super::setup;
use super::tag::{self, Place, Side};
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::proto::media::table::MediaTable;
use crate::proto::outbox::Outbox;
use crate::wire::sip::{Message, Method};
use smallvec::SmallVec;

/// The legs that share the INVITE of one of them, by their numbers; it is among them.
fn family(call: &Call, leg: u8) -> impl Iterator<Item = (u8, &Leg)> {
    let tag = call.legs.get(usize::from(leg)).map(|l| l.tag(Side::Callee));
    let all = call.legs.iter().enumerate().map(|(number, leg)| (number as u8, leg));
    all.filter(move |(_, other)| Some(other.tag(Side::Callee)) == tag)
}

/// The legs that share an INVITE with one, to be changed; it is among them.
fn family_mut(call: &mut Call, leg: u8) -> impl Iterator<Item = &mut Leg> {
    let tag = call.legs.get(usize::from(leg)).map(|l| l.tag(Side::Callee).clone());
    call.legs.iter_mut().filter(move |other| Some(other.tag(Side::Callee)) == tag.as_ref())
}

/// The numbers of the legs that share an INVITE with one; it is among them.
pub(super) fn all(call: &Call, leg: u8) -> impl Iterator<Item = u8> + '_ {
    family(call, leg).map(|(number, _)| number)
}

/// Whether an early dialog of the same INVITE beside this leg's may still answer the call.
pub(super) fn has_open(call: &Call, leg: u8) -> bool {
    family(call, leg).any(|(number, other)| number != leg && other.state.is_open())
}

/// The place of the dialog with this remote tag, of those that share the local tag of `place`; itself when there is none.
pub(super) fn with_tag(call: &Call, place: Place, theirs: &[u8]) -> Option<Place> {
    let own = call.legs.get(usize::from(place.leg))?;
    if place.side == Side::Caller || is_with(own, theirs) {
        return Some(place);
    }
    let found = family(call, place.leg).find(|(_, leg)| is_with(leg, theirs));
    Some(Place { leg: found.map_or(place.leg, |(number, _)| number), ..place })
}

fn is_with(leg: &Leg, theirs: &[u8]) -> bool {
    leg.down.as_ref().is_some_and(|d| d.remote_tag() == theirs)
}

/// How many legs of a call are siblings of one before them.
fn count(call: &Call) -> usize {
    let is_first = |number: usize, leg: &Leg| {
        tag::parse(leg.tag(Side::Callee)).is_none_or(|place| usize::from(place.leg) == number)
    };
    call.legs.iter().enumerate().filter(|(number, leg)| !is_first(*number, leg)).count()
}

/// What an answer to the INVITE of a leg has to do with its early dialogs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belongs {
    /// It is this leg's.
    To(u8),
    /// It founds another one.
    Founds,
    /// It would, and there is no room.
    Nowhere,
}

fn belongs(call: &Call, leg: u8, msg: &Message<'_>) -> Belongs {
    let client = call.legs[usize::from(leg)].client;
    let theirs = msg.to().and_then(|to| to.tag());
    let (Some(theirs), 101..300, Method::Invite) = (theirs, msg.status(), msg.method()) else {
        return Belongs::To(leg);
    };
    let same = |l: &&(u8, &Leg)| l.1.client == client;
    if let Some((known, _)) = family(call, leg).find(|l| same(&l) && is_with(l.1, theirs)) {
        return Belongs::To(known);
    }
    if call.legs[usize::from(leg)].down.is_none() {
        return Belongs::To(leg);
    }
    let (is_final, is_open) = (msg.status() >= 200, family(call, leg).any(|(_, l)| l.state.is_open()));
    // one that answers beyond the limit has the call all the same, and no other one comes after it
    let most = MAX_SIBLINGS + usize::from(is_final && is_open);
    match is_final || is_open {
        true if count(call) < most => Belongs::Founds,
        true => Belongs::Nowhere,
        false => Belongs::To(leg),
    }
}

/// Whether an answer to the INVITE of a leg founds a dialog beside those that there are.
pub(super) fn founds(call: &Call, leg: u8, msg: &Message<'_>) -> bool {
    usize::from(leg) < call.legs.len() && belongs(call, leg, msg) == Belongs::Founds
}

/// The leg that an answer to the INVITE of `leg` belongs to, founded by it if need be. `None`: there is no room for it.
pub(super) fn of_answer(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    leg: u8,
    msg: &Message<'_>,
) -> Option<u8> {
    match belongs(call, leg, msg) {
        Belongs::To(known) => Some(known),
        Belongs::Founds => Some(found(call, view, cx, leg, msg)),
        Belongs::Nowhere => {
            super::trace(cx, call, format_args!("more than {MAX_SIBLINGS} further phones answer one INVITE"));
            None
        }
    }
}

fn found(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, leg: u8, msg: &Message<'_>) -> u8 {
    let number = u8::try_from(call.legs.len()).expect("legs are capped far below 256");
    let is_open = family(call, leg).any(|(_, l)| l.state.is_open());
    let near = setup::new_tag(call.place(number, Side::Caller), view);
    let token = view.txs.new_token();
    let first = &call.legs[usize::from(leg)];
    let history = History::beside(&first.history, call.history.index + 1 + u32::from(number), token, msg);
    let tags = [near, first.tag(Side::Callee).clone()];
    let sibling = Leg {
        state: if is_open { LegState::Calling } else { LegState::Over },
        to: first.to,
        client: first.client,
        invites: first.invites,
        timers: first.timers,
        passage: first.begun.as_deref().map(Passage::beside).unwrap_or_default(),
        begun: first.begun.clone(),
        ..Leg::new(tags, history, first.call_id, &call.rules)
    };
    call.legs.push(sibling);
    call.note(cx.now, (number, Side::Callee), Way::Received, msg);
    if is_open {
        family_mut(call, leg).filter_map(|l| l.passage.anchor.as_mut()).for_each(|a| a.share(true));
    }
    super::trace(cx, call, format_args!("another phone of {} answers the same INVITE", call.callee.uri));
    number
}

/// The INVITE of a leg has its final failure, which is one for all of its early dialogs (RFC 3261 13.2.2.3). Whether one of them could
/// still have answered.
pub(super) fn end_all(call: &mut Call, leg: u8) -> bool {
    let mut was_open = false;
    for leg in family_mut(call, leg) {
        was_open |= leg.state.is_open();
        end(leg);
    }
    was_open
}

/// The INVITE of a leg goes out once more, in another transaction: its early dialogs but for the first are over (RFC 3261 12.3).
pub(super) fn begin_again(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, leg: u8) {
    take_relay(call, view.media, cx.out, leg);
    end_others(call, leg);
    // who answers again may do so with the tag that it had
    let others: SmallVec<[u8; 8]> = all(call, leg).filter(|number| *number != leg).collect();
    others.into_iter().for_each(|number| call.legs[usize::from(number)].down = None);
}

fn end_others(call: &mut Call, leg: u8) {
    let others: SmallVec<[u8; 8]> = all(call, leg).filter(|number| *number != leg).collect();
    others.into_iter().for_each(|number| end(&mut call.legs[usize::from(number)]));
}

/// A leg has the 2xx: the other early dialogs of its INVITE are over (RFC 3261 13.2.2.4), and the relay is its own.
pub(super) fn win(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, leg: u8) {
    take_relay(call, view.media, cx.out, leg);
    end_others(call, leg);
    let entry = &mut call.legs[usize::from(leg)];
    entry.begun = None;
    if let Some(anchor) = entry.passage.anchor.as_mut().filter(|a| a.is_shared()) {
        anchor.share(false);
        entry.passage.settle(view.media, cx.out);
    }
}

fn end(leg: &mut Leg) {
    leg.state = LegState::Over;
    leg.reliable.stop();
    leg.begun = None;
}

/// Ends one early dialog of several: CANCEL would end them all, a BYE inside it does not (RFC 3261 15). `false`: no other one of its
/// INVITE may answer any more.
pub(super) fn end_one(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    leg: u8,
    (reason, by): (&str, Option<&Message<'_>>),
) -> bool {
    if !has_open(call, leg) {
        return false;
    }
    let entry = &mut call.legs[usize::from(leg)];
    entry.state = LegState::Over;
    entry.reliable.stop();
    release::bye(call, view, cx, leg, Side::Callee, reason, by);
    true
}

/// The media of an INVITE passes through one relay, for its offer named that to all who answer: it is with the early dialog that
/// has spoken last of the media, and packets of the others' phones are dropped (`proto::media`).
pub(super) fn take_relay(call: &mut Call, media: &mut MediaTable, out: &mut Outbox, leg: u8) {
    let entry = &call.legs[usize::from(leg)];
    let lives = entry.state.is_open() || entry.state == LegState::Answered;
    if !lives || !entry.passage.is_relayed || entry.passage.anchor.is_some() {
        return;
    }
    let index = entry.history.index;
    let holder = family_mut(call, leg).find(|l| l.passage.is_relayed && l.passage.anchor.is_some());
    let Some(mut anchor) = holder.and_then(|l| l.passage.anchor.take()) else { return };
    anchor.name(media, Side::Callee, index);
    let passage = &mut call.legs[usize::from(leg)].passage;
    passage.anchor = Some(anchor);
    passage.settle(media, out);
}

/// An early dialog that is over leaves the relay to one that is not.
pub(super) fn hand_relays_on(call: &mut Call, media: &mut MediaTable, out: &mut Outbox) {
    for leg in 0..call.legs.len() as u8 {
        let entry = &call.legs[usize::from(leg)];
        if entry.state == LegState::Over && entry.passage.is_relayed && entry.passage.anchor.is_some() {
            let heir = family(call, leg).find(|(_, l)| l.state.is_open()).map(|(number, _)| number);
            heir.into_iter().for_each(|heir| take_relay(call, media, out, heir));
        }
    }
}
