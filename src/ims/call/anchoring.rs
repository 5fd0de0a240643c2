//! Which legs have their media pass through us (`media_relay`), and what waits while ports are being opened: the INVITE to a
//! destination, and requests inside the call that offer a new stream.

use super::agent::local_for;
use super::anchor::{Anchor, Facing, Prepared};
use super::destination::Destination;
use super::fork;
use super::forward;
use super::limits::RETRY_AFTER_SECS;
use super::media::description;
use super::reinvite;
use super::release::{self, End};
use super::session::{Call, Failure, Kind, LegState, ServerId};
use super::setup;
use super::sibling;
use super::state::State;
use super::tag::Side;
use crate::base::time::Instant;
use crate::config::model::{CallSettings, Impu, MediaRelay};
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::proto::flow::{Flow, LocalId};
use crate::proto::media::table::{MediaTable, Treatment};
use crate::proto::outbox::Outbox;
use crate::wire::sdp::Sdp;
use crate::wire::sip::{Message, Method, Stored};
use smallvec::SmallVec;

/// What is said when there is no room.
const NO_PORTS: &str = "no media port is left";

/// What is said when the media cannot pass here.
const NO_ADDRESS: &str =
    "no media address of ours is of the caller's family: its media would be seen where it comes from";

/// What the configuration wants of the media of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Policy {
    relay: MediaRelay,
    /// The caller's media is not to be seen where it comes from (RFC 3323 5.2).
    hides: bool,
    /// What is done to the packets of each side.
    treatments: [Treatment; 2],
}

/// A request inside the call that waits for the ports of what it offers.
#[derive(Debug)]
pub(super) struct Offer {
    tx: ServerId,
    leg: u8,
    from: Side,
    request: Stored,
}

/// What waits for ports in a call.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Destinations whose INVITE has not gone out yet.
    legs: SmallVec<[(Destination, Box<Anchor>); 1]>,
    offers: SmallVec<[Offer; 1]>,
}

impl Policy {
    /// The policy of a call between these identities, the caller's and the callee's, where they are known: what one of them
    /// says comes before what is said for all, and of two that disagree on comes before off.
    pub(super) fn of(settings: &CallSettings, impus: [Option<&Impu>; 2]) -> Policy {
        let says = |relay| impus.iter().flatten().any(|i| i.media_relay == Some(relay));
        let relay = [MediaRelay::On, MediaRelay::Off, MediaRelay::Auto].into_iter().find(|r| says(*r));
        Policy {
            relay: relay.unwrap_or(settings.media_relay),
            hides: false,
            treatments: impus.map(|i| i.map_or(Treatment::default(), |i| i.packets)),
        }
    }

    /// The same for a caller whose media is not to be seen where it comes from.
    pub(super) fn hiding(self) -> Policy {
        Policy { hides: true, ..self }
    }

    /// Whether nobody sees where the caller's media comes from.
    pub(super) fn hides(&self) -> bool {
        self.hides && self.relay != MediaRelay::Off
    }

    fn anchors(&self, families_differ: bool) -> bool {
        match self.relay {
            MediaRelay::On => true,
            MediaRelay::Off => false,
            MediaRelay::Auto => {
                families_differ || self.hides || self.treatments.iter().any(|t| *t != Treatment::default())
            }
        }
    }
}

impl Waiting {
    /// Whether a destination's INVITE waits.
    pub(super) fn has_legs(&self) -> bool {
        !self.legs.is_empty()
    }

    /// How many requests wait.
    pub(super) fn offer_count(&self) -> usize {
        self.offers.len()
    }

    /// Whether an INVITE of that side waits.
    pub(super) fn has_invite(&self, leg: u8, from: Side) -> bool {
        self.offers
            .iter()
            .any(|o| (o.leg, o.from) == (leg, from) && o.request.message().method() == Method::Invite)
    }

    /// Takes all requests that wait.
    pub(super) fn take_offers(&mut self) -> impl Iterator<Item = ServerId> + use<> {
        std::mem::take(&mut self.offers).into_iter().map(|o| o.tx)
    }

    /// Gives up the destinations whose INVITE waits.
    pub(super) fn drop_legs(&mut self, media: &mut MediaTable, out: &mut Outbox) {
        self.legs.drain(..).for_each(|(_, mut anchor)| anchor.close_all(media, out));
    }

    fn anchors(&self) -> impl Iterator<Item = &Anchor> {
        self.legs.iter().map(|(_, anchor)| &**anchor)
    }
}

/// Starts a leg: sends the INVITE to a destination, or has it wait for ports. `false`: neither is possible.
pub(super) fn start(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, to: Destination) -> bool {
    let Some(mut anchor) = anchor_for(call, view, cx, to) else {
        if must_hide(call) {
            note_lack(call, 500, NO_ADDRESS);
            return false;
        }
        return setup::start_leg(call, view, cx, to, &mut None);
    };
    let Some(invite) = &call.invite else { return false };
    let msg = invite.request.message();
    let offer = description(&msg).and_then(|d| Sdp::parse(d).ok());
    match anchor.prepare(cx.now, view.media, cx.out, offer.as_ref()) {
        Prepared::Ready => launch(call, view, cx, to, anchor),
        Prepared::Waits => {
            let waiting = call.bridge_mut().map(|b| &mut b.waiting_for_ports);
            waiting.map(|w| w.legs.push((to, anchor))).is_some()
        }
        Prepared::NoRoom => {
            note_lack(call, 503, NO_PORTS);
            false
        }
    }
}

/// Whether the caller would rather not call than have its media seen where it comes from.
fn must_hide(call: &Call) -> bool {
    let hides = matches!(&call.kind, Kind::Bridge(bridge) if bridge.policy.hides);
    hides && call.caller.privacy.is_critical
}

/// Sends the INVITE to a destination whose ports are open.
fn launch(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    to: Destination,
    anchor: Box<Anchor>,
) -> bool {
    let mut anchor = Some(anchor);
    let started = setup::start_leg(call, view, cx, to, &mut anchor);
    if let Some(mut left) = anchor {
        left.close_all(view.media, cx.out);
    }
    started
}

/// Nobody can be called without that.
fn note_lack(call: &mut Call, status: u16, what: &'static str) {
    if let Some(bridge) = call.bridge_mut() {
        bridge.lacks = Some(what);
        bridge.best.get_or_insert(Failure { status, response: None });
    }
}

/// The anchor of a leg to a destination, if it has one.
fn anchor_for(call: &Call, view: &View<'_>, cx: &Cx<'_>, to: Destination) -> Option<Box<Anchor>> {
    let (Kind::Bridge(bridge), Some(invite)) = (&call.kind, &call.invite) else { return None };
    let (near, far) = (invite.flow, to.way(view, cx, &call.callee)?.flow);
    let msg = invite.request.message();
    let offer = description(&msg).and_then(|d| Sdp::parse(d).ok());
    let near_is_v4 = offer.as_ref().and_then(family).unwrap_or(near.remote.is_ipv4());
    if !bridge.policy.anchors(near_is_v4 != far.remote.is_ipv4()) {
        return None;
    }
    let facing = [facing(call, view, Side::Caller, near, offer.as_ref())?, {
        let number = call.legs.len() as u32;
        Facing { dialog: call.history.index + 1 + number, ..facing(call, view, Side::Callee, far, None)? }
    }];
    Some(Box::new(Anchor::new(facing, bridge.policy.hides)))
}

/// Our end towards a side that signals over this flow and has said this. `None`: we have no address of its family.
fn facing(call: &Call, view: &View<'_>, side: Side, flow: Flow, said: Option<&Sdp<'_>>) -> Option<Facing> {
    let Kind::Bridge(bridge) = &call.kind else { return None };
    let own: LocalId = view.security.locals().clear_of(flow.local);
    let local = local_for(view.config, own, said)?;
    Some(Facing {
        local,
        address: view.config.sip[usize::from(local.0)].addr.ip(),
        treatment: bridge.policy.treatments[side as usize],
        dialog: call.history.index,
    })
}

/// Whether a description's streams are received by IPv4; `None`: it does not say.
fn family(sdp: &Sdp<'_>) -> Option<bool> {
    let addresses = sdp.medias().filter(|m| m.port != 0).filter_map(|m| m.connection());
    addresses.filter(|ip| !ip.is_unspecified()).map(|ip| ip.is_ipv4()).next()
}

/// Sees to the ports of what a request inside the call offers. `false`: the request waits for them, or has been refused.
pub(super) fn admit(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    msg: &Message<'_>,
    (leg, from): (u8, Side),
) -> bool {
    let may_offer = matches!(msg.method(), Method::Invite | Method::Update | Method::Prack);
    let Some(sdp) = description(msg).filter(|_| may_offer).and_then(|d| Sdp::parse(d).ok()) else {
        return true;
    };
    adopt(call, view, cx.now, (leg, from), &sdp);
    let Some(anchor) = &mut call.legs[usize::from(leg)].passage.anchor else { return true };
    match anchor.prepare(cx.now, view.media, cx.out, Some(&sdp)) {
        Prepared::Ready => true,
        Prepared::Waits => {
            let offer = Offer { tx, leg, from, request: Stored::new(msg) };
            if let Some(bridge) = call.bridge_mut() {
                bridge.waiting_for_ports.offers.push(offer);
            }
            false
        }
        Prepared::NoRoom => {
            refuse(call, view, cx, tx);
            false
        }
    }
}

/// Anchors a leg of a running call when a phone has moved to the other address family.
fn adopt(call: &mut Call, view: &View<'_>, now: Instant, (leg, from): (u8, Side), sdp: &Sdp<'_>) {
    let entry = &call.legs[usize::from(leg)];
    let Kind::Bridge(bridge) = &call.kind else { return };
    let Some(far) = entry.passage.said(from.other()) else { return };
    let differ = family(sdp).zip(family(&far)).is_some_and(|(one, other)| one != other);
    if entry.passage.anchor.is_some() || !differ || !bridge.policy.anchors(true) {
        return;
    }
    let (Some(up), Some(down)) = (entry.dialog(Side::Caller), entry.dialog(Side::Callee)) else { return };
    let said = match from {
        Side::Caller => [*sdp, far],
        Side::Callee => [far, *sdp],
    };
    let near = facing(call, view, Side::Caller, up.flow(), Some(&said[0]));
    let far = facing(call, view, Side::Callee, down.flow(), Some(&said[1]));
    let (Some(near), Some(far)) = (near, far) else { return };
    let far = Facing { dialog: entry.history.index, ..far };
    let hides = bridge.policy.hides;
    call.legs[usize::from(leg)].passage.adopt(Anchor::new([near, far], hides));
    if call.state.is_answered() {
        call.idle_deadline = Some(now + view.config.call.dialog_timeout);
    }
}

/// A request inside the call finds no ports: it is refused, and the call goes on as it was (RFC 3261 14.2).
fn refuse(call: &Call, view: &mut View<'_>, cx: &mut Cx<'_>, tx: ServerId) {
    let settings = &view.config.protocol;
    view.txs.respond(cx, tx, 503, None, &[], |mut w| {
        w.header_fmt("Retry-After", format_args!("{RETRY_AFTER_SECS}"));
        w.header_fmt("Warning", format_args!("399 imsbox \"{NO_PORTS}\""));
        forward::end_own_response(w, settings);
    });
    super::trace(cx, call, format_args!("a new stream is refused: {NO_PORTS}"));
}

/// The offer of a side has come to nothing: all is as before it, and what was opened for it is closed.
pub(super) fn withdraw(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, (leg, from): (u8, Side)) {
    let passage = &mut call.legs[usize::from(leg)].passage;
    passage.revert(from);
    let is_early = call.invite.is_some();
    if is_early || passage.has_open_offer() || waits_for_ports(call, leg) {
        return;
    }
    let passage = &mut call.legs[usize::from(leg)].passage;
    let Some(anchor) = &mut passage.anchor else { return };
    anchor.undo(view.media, cx.out);
    if !anchor.is_settled() {
        // the phones have never been told of it: their media goes on without us, unseen
        passage.anchor = None;
        call.idle_deadline = None;
    }
}

/// Whether a request of a leg, or of another one with the same anchor, waits for ports.
fn waits_for_ports(call: &mut Call, leg: u8) -> bool {
    let of_leg: SmallVec<[u8; 8]> = sibling::all(call, leg).collect();
    call.bridge_mut().is_some_and(|b| b.waiting_for_ports.offers.iter().any(|o| of_leg.contains(&o.leg)))
}

/// The ports of a session are open, or could not be opened: what has waited for them goes on.
pub(super) fn on_media_opened(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, session: u64, ok: bool) {
    let Some(bridge) = call.bridge_mut() else { return };
    let legs = &mut bridge.waiting_for_ports.legs;
    let opens = |anchor: &Anchor| anchor.opening().any(|s| s == session);
    if let Some(at) = legs.iter().position(|(_, anchor)| opens(anchor)) {
        let opened = legs[at].1.on_opened(cx.now, view.media, cx.out, session, ok);
        let Some(is_open) = opened else { return };
        let (to, anchor) = legs.remove(at);
        return start_waiting(call, view, cx, to, anchor, is_open);
    }
    let of_leg = |leg: &super::session::Leg| leg.passage.anchor.as_ref().is_some_and(|anchor| opens(anchor));
    let Some(leg) = call.legs.iter().position(of_leg) else { return };
    let opened = call.legs[leg]
        .passage
        .anchor
        .as_mut()
        .and_then(|anchor| anchor.on_opened(cx.now, view.media, cx.out, session, ok));
    if let Some(is_open) = opened {
        proceed(call, view, cx, leg as u8, is_open);
    }
}

/// A destination has its ports, or gets none.
fn start_waiting(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    to: Destination,
    anchor: Box<Anchor>,
    is_open: bool,
) {
    if is_open && launch(call, view, cx, to, anchor) {
        return;
    }
    if !is_open {
        note_lack(call, 503, NO_PORTS);
    }
    fork::go_on(call, view, cx);
}

/// Requests that have waited for the ports of a leg go on.
fn proceed(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, leg: u8, is_open: bool) {
    // its anchor may be that of others, one of which had an offer while it was theirs
    let of_leg: SmallVec<[u8; 8]> = sibling::all(call, leg).collect();
    let is_its = |leg: u8| of_leg.contains(&leg);
    let Some(bridge) = call.bridge_mut() else { return };
    let all = std::mem::take(&mut bridge.waiting_for_ports.offers);
    let (ready, rest) = all.into_iter().partition::<SmallVec<[Offer; 1]>, _>(|o| is_its(o.leg));
    bridge.waiting_for_ports.offers = rest;
    for offer in ready {
        if is_open {
            let msg = offer.request.message();
            reinvite::on_request(call, view, cx, offer.tx, &msg, (offer.leg, offer.from));
        } else {
            refuse(call, view, cx, offer.tx);
        }
    }
}

/// The sessions of a call whose ports are being opened.
pub(super) fn opening(call: &Call) -> impl Iterator<Item = u64> + '_ {
    let waiting = match &call.kind {
        Kind::Bridge(bridge) => Some(bridge.waiting_for_ports.anchors()),
        Kind::Echo(_) | Kind::Mt(_) => None,
    };
    let legs = call.legs.iter().filter_map(|leg| leg.passage.anchor.as_deref());
    waiting.into_iter().flatten().chain(legs).flat_map(Anchor::opening)
}

/// Frees the ports of legs that are over, all of them when the call is.
pub(super) fn sweep(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let is_over = call.state == State::Stop;
    if !is_over {
        sibling::hand_relays_on(call, view.media, cx.out);
        forget_offers(call, view, cx);
    }
    let (media, out) = (&mut *view.media, &mut *cx.out);
    for leg in &mut call.legs {
        let ends = is_over || matches!(leg.state, LegState::Over | LegState::Cancelled);
        if let Some(anchor) = leg.passage.anchor.as_mut().filter(|_| ends) {
            anchor.close_all(media, out);
        }
    }
    if let Some(bridge) = call.bridge_mut().filter(|_| is_over) {
        bridge.waiting_for_ports.drop_legs(media, out);
    }
}

/// Requests of legs that are over wait for ports no longer.
fn forget_offers(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Some(bridge) = call.bridge_mut().filter(|b| !b.waiting_for_ports.offers.is_empty()) else { return };
    let offers = std::mem::take(&mut bridge.waiting_for_ports.offers);
    let is_over = |leg: u8| matches!(call.legs[usize::from(leg)].state, LegState::Over | LegState::Cancelled);
    let (gone, rest) = offers.into_iter().partition::<SmallVec<[Offer; 1]>, _>(|o| is_over(o.leg));
    if let Some(bridge) = call.bridge_mut() {
        bridge.waiting_for_ports.offers = rest;
    }
    gone.into_iter().for_each(|offer| release::answer_pending(view, cx, offer.tx));
}

/// Something was signalled in an answered call that is watched for activity.
pub(super) fn touch(call: &mut Call, view: &View<'_>, now: Instant) {
    if call.state.is_answered() && call.idle_deadline.is_some() {
        call.idle_deadline = Some(now + view.config.call.dialog_timeout);
    }
}

/// When an answered leg is to be looked after: only where its media passes here can we tell that there is none.
pub(super) fn idle_deadline(call: &Call, view: &View<'_>, leg: u8, now: Instant) -> Option<Instant> {
    let anchor = call.legs[usize::from(leg)].passage.anchor.as_ref();
    anchor.map(|_| now + view.config.call.dialog_timeout)
}

/// Nothing was signalled for `dialog_timeout` in an answered call: it ends if no media, RTP or RTCP, was heard for as long.
pub(super) fn on_idle(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let timeout = view.config.call.dialog_timeout;
    let winner = call.answered_leg().and_then(|leg| call.legs.get(usize::from(leg)));
    let Some(anchor) = winner.and_then(|leg| leg.passage.anchor.as_ref()) else { return };
    match anchor.last_heard(view.media) {
        Some(heard) if heard + timeout > cx.now => call.idle_deadline = Some(heard + timeout),
        // on hold nothing is expected
        _ if call.state == State::Hold => call.idle_deadline = Some(cx.now + timeout),
        _ => {
            let text = format!("neither media nor signalling for {} s", timeout.as_secs());
            release::end(call, view, cx, &End::new(&text, 408));
        }
    }
}
