//! Passing one message of a call to the other side: the frame that belongs to that side's dialog, then what is copied.

use super::forward::{self, Additions, Options, Privacy};
use super::media::description;
use super::preconditions;
use super::refresh;
use super::reliable::{self, Reliability};
use super::session::{Call, ClientId, Role, ServerId};
use super::sibling;
use super::tag::Side;
use super::timer::Terms;
use crate::config::model::SipSettings;
use crate::ims::core::View;
use crate::ims::identity::{self, Speaker};
use crate::ims::trunk;
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::proto::upgrade::Upgrade;
use crate::wire::sdp::Sdp;
use crate::wire::sip::{HeaderId, Message, Method};
use smallvec::SmallVec;

/// Where a response goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Onward {
    /// The transaction that it answers.
    pub(super) tx: ServerId,
    /// The leg it belongs to.
    pub(super) leg: u8,
    /// The side that asked.
    pub(super) to: Side,
    /// The status there: mostly the response's own.
    pub(super) status: u16,
    /// What becomes of its RSeq.
    pub(super) reliability: Reliability,
    /// Its description has gone before, and is not said again (RFC 6337 2.2).
    pub(super) is_said: bool,
}

/// The option tags that the two sides of a call negotiate each for itself.
pub(super) const BOTH_TAGS: &[&str] = &[reliable::TAG, preconditions::TAG];

/// Passes a response on. Gives the body with which it went; `None`: as it came.
pub(super) fn response(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    onward: Onward,
    msg: &Message<'_>,
) -> Option<Vec<u8>> {
    let body = answer(call, view, cx, onward, msg);
    response_again(call, view, cx, onward, msg, body.as_deref());
    body
}

/// Passes a response on with the body that it had before: what a response says does not change when it comes again, whatever has
/// been said meanwhile.
pub(super) fn response_again(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    onward: Onward,
    msg: &Message<'_>,
    body: Option<&[u8]>,
) {
    let timer = refresh::accept(call, view, cx.now, onward.tx, ((onward.leg, onward.to), onward.status));
    let leg = &call.legs[usize::from(onward.leg)];
    let Some(flow) = view.txs.server(onward.tx).map(|s| s.flow()) else { return };
    let local = view.txs.local_addr(flow.local).expect("a flow is of one of our sockets");
    let answerer = call.party(onward.to.other());
    let privacy = answerer.privacy.or(Privacy::of(msg));
    let shows = msg.method() == Method::Invite && (101..300).contains(&msg.status());
    let identities = match answerer.user {
        Some(user) if shows && !privacy.hides_identity => {
            let callee = (onward.to == Side::Caller).then(|| leg.imei(view)).flatten();
            let imei = answerer.imei.or(callee);
            let speaker = Speaker { user, imei: imei.as_deref(), called: answerer.impu_index };
            identity::asserted(view.subs, speaker, msg)
        }
        None if answerer.is_trunk && shows && !privacy.hides_identity => trunk::asserted(msg),
        _ => SmallVec::new(),
    };
    let with = Additions {
        identities: &identities,
        body,
        privacy,
        ..additions(&view.config.protocol, call, onward.leg, onward.to)
    };
    // RFC 3312 11: the tag goes with the lines, which a caller that can may still have done without, or is the callee's own
    let has_description = body.map_or(description(msg).is_some(), |b| !b.is_empty());
    let told = leg.passage.told(onward.to).filter(|_| has_description);
    let has_lines = leg.passage.mode.uses(onward.to)
        && told.is_some_and(|t| {
            preconditions::has_lines(&t) || msg.lists(HeaderId::Require, preconditions::TAG)
        });
    let required: &[&str] = match onward.reliability {
        Reliability::With(_) if has_lines => &[reliable::TAG, preconditions::TAG],
        Reliability::With(_) => &[reliable::TAG],
        _ => &[],
    };
    let own = Options { negotiated: BOTH_TAGS, required, supported: &[] };
    let has_own_rseq = onward.reliability != Reliability::AsItCame;
    let options = if has_own_rseq { Some(own) } else { with.options };
    let with = Additions { options, has_own_rseq, timer, ..with };
    let features = far(call, onward.to, msg);
    let refreshes = onward.status < 300 && msg.header(HeaderId::Contact).is_some();
    let phrase = (onward.status == msg.status()).then(|| forward::phrase(msg)).flatten();
    view.txs.respond(cx, onward.tx, onward.status, phrase, leg.tag(onward.to), |mut w| {
        if refreshes {
            forward::contact(&mut w, local, flow.transport, features);
        }
        if let Reliability::With(rseq) = onward.reliability {
            w.header_fmt("RSeq", format_args!("{rseq}"));
        }
        forward::end_response(w, msg, &with);
    });
}

/// The body of a response as it passes to the side that asked; `None`: as it came.
fn answer(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    onward: Onward,
    msg: &Message<'_>,
) -> Option<Vec<u8>> {
    let is_first = onward.reliability != Reliability::AsItCame && onward.status < 300;
    let is_past = is_first && call.legs[usize::from(onward.leg)].passage.is_past(msg);
    if onward.is_said || is_past {
        // what was said before may have been changed since: it is not taken again
        return Some(Vec::new());
    }
    let body = carry(call, view, cx, onward.leg, onward.to.other(), msg);
    let passage = &mut call.legs[usize::from(onward.leg)].passage;
    match onward.reliability {
        Reliability::With(_) if description(msg).is_some() => passage.on_reliable(),
        Reliability::Without if (200..300).contains(&onward.status) => {
            return body.or_else(|| passage.missing_answer(msg));
        }
        _ => {}
    }
    body
}

/// Passes a request on inside the dialog of `leg` that faces `to`. Gives the transaction and the CSeq number used; `None`: that
/// dialog does not exist, or there is no room for a transaction.
pub(super) fn request(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    (leg, to): (u8, Side),
    role: Role,
    msg: &Message<'_>,
    rack: Option<(u32, u32)>,
) -> Option<(ClientId, u32)> {
    let (flow, upgrade) = flow(call, view, leg, to)?;
    let body = carry(call, view, cx, leg, to.other(), msg);
    let cseq = call.dialog_mut(leg, to)?.next_cseq();
    let owner = call.owner(role);
    let dialog = call.legs[usize::from(leg)].dialog(to)?;
    let local = view.txs.local_addr(flow.local).expect("a flow is of one of our sockets");
    let timer = refresh::offer(call, (leg, to), msg.method());
    let with = Additions { body: body.as_deref(), timer, ..additions(&view.config.protocol, call, leg, to) };
    let features = far(call, to, msg);
    let (method, target) = (msg.method_token(), dialog.request_uri());
    let sent = view.txs.request(cx, flow, method, target, upgrade, owner, |mut w| {
        dialog.write_head(&mut w, method, cseq);
        if msg.header(HeaderId::Contact).is_some() {
            forward::contact(&mut w, local, flow.transport, features);
        }
        if let Some((rseq, invite)) = rack {
            w.header_fmt("RAck", format_args!("{rseq} {invite} INVITE"));
        }
        forward::end_request(w, msg, &with);
    });
    sent.ok().map(|client| (client, cseq))
}

/// Sends an ACK for a 2xx inside the dialog of `leg` that faces `to`, with the headers and the body of the ACK that came from
/// the other side, if one came, and remembers it.
pub(super) fn ack(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    (leg, to): (u8, Side),
    cseq: u32,
    msg: Option<&Message<'_>>,
) {
    let body = msg.and_then(|msg| carry(call, view, cx, leg, to.other(), msg));
    let entry = &mut call.legs[usize::from(leg)];
    let memos = &mut entry.acks[to as usize];
    if memos[0].cseq != Some(cseq) {
        memos.rotate_right(1);
    }
    let memo = &mut memos[0];
    memo.cseq = Some(cseq);
    memo.content_type.clear();
    memo.body.clear();
    if let Some(msg) = msg {
        memo.content_type.extend_from_slice(msg.header(HeaderId::ContentType).unwrap_or_default());
        memo.body.extend_from_slice(body.as_deref().unwrap_or(msg.body()));
    }
    let Some((flow, _)) = flow(call, view, leg, to) else { return };
    let Some(dialog) = call.legs[usize::from(leg)].dialog(to) else { return };
    let with = Additions { body: body.as_deref(), ..additions(&view.config.protocol, call, leg, to) };
    view.txs.send_stateless(cx, flow, b"ACK", dialog.request_uri(), |mut w| {
        dialog.write_head(&mut w, b"ACK", cseq);
        match msg {
            Some(msg) => forward::end_request(w, msg, &with),
            None => {
                forward::own_request(&mut w, with.settings);
                w.finish();
            }
        }
    });
}

/// Sends the ACK again, because the 2xx came again (RFC 3261 13.2.2.4). `false`: no ACK for that CSeq was sent yet.
pub(super) fn ack_again(
    call: &Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    (leg, to): (u8, Side),
    cseq: u32,
) -> bool {
    let entry = &call.legs[usize::from(leg)];
    let Some(memo) = entry.acks[to as usize].iter().find(|a| a.cseq == Some(cseq)) else { return false };
    let (Some((flow, _)), Some(dialog)) = (flow(call, view, leg, to), entry.dialog(to)) else { return false };
    let settings = &view.config.protocol;
    view.txs.send_stateless(cx, flow, b"ACK", dialog.request_uri(), |mut w| {
        dialog.write_head(&mut w, b"ACK", cseq);
        forward::own_request(&mut w, settings);
        match &memo.body[..] {
            [] => w.finish(),
            body => w.body(&memo.content_type, body),
        }
    });
    true
}

/// Where requests inside a dialog go, and when a long one goes by TCP: where the phone is registered now, else where the
/// dialog came from.
pub(super) fn flow(call: &Call, view: &View<'_>, leg: u8, side: Side) -> Option<(Flow, Upgrade)> {
    let leg = call.legs.get(usize::from(leg))?;
    let dialog = leg.dialog(side)?;
    if let Some(trunk) = view.trunk.filter(|_| call.party(side).is_trunk) {
        return Some(trunk.way_inside(dialog));
    }
    let binding = match side {
        Side::Caller => call.caller.binding.filter(|_| call.caller.follows_binding),
        Side::Callee => leg.contact(),
    };
    let binding = binding.and_then(|id| view.registrar.binding(id));
    Some(match binding {
        Some(binding) => (binding.flow, binding.tcp_allowed.into()),
        None => {
            let flow = dialog.flow();
            let renewed = call.party(side).user.map_or(flow, |user| view.security.renewed(user, flow));
            (renewed, renewed.transport.is_reliable().into())
        }
    })
}

/// What a message inside a call gets that goes to a side.
fn additions<'a>(settings: &'a SipSettings, call: &Call, leg: u8, to: Side) -> Additions<'a> {
    let privacy = call.party(to.other()).privacy;
    let rules = call.rules;
    let uses = call.legs[usize::from(leg)].passage.mode.uses(to);
    let none = Options { negotiated: &[preconditions::TAG], required: &[], supported: &[] };
    let options = (!uses).then_some(none);
    Additions {
        settings,
        charging: None,
        identities: &[],
        called_party: None,
        rules,
        to,
        privacy,
        options,
        has_own_rseq: false,
        timer: Terms::default(),
        body: None,
    }
}

/// The message whose features our Contact shows to a side: a plain peer has no use for those of a phone.
fn far<'m, 'b>(call: &Call, to: Side, msg: &'m Message<'b>) -> Option<&'m Message<'b>> {
    (!call.rules.is_plain(to)).then_some(msg)
}

/// The body of a message as it passes from one side of a leg to the other; `None`: as it came. What it says of addresses is put
/// into effect where the media passes through us.
fn carry(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    leg: u8,
    from: Side,
    msg: &Message<'_>,
) -> Option<Vec<u8>> {
    if description(msg).is_some() {
        sibling::take_relay(call, view.media, cx.out, leg);
    }
    let Call { legs, rules, .. } = call;
    let passage = &mut legs.get_mut(usize::from(leg))?.passage;
    if passage.is_relayed && passage.anchor.is_none() && description(msg).is_some() {
        // an early dialog that is over, whose relay another one has: what it says of its media is nobody's business any more
        return Some(Vec::new());
    }
    let sdp = description(msg).filter(|_| msg.status() < 300).and_then(|d| Sdp::parse(d).ok());
    let (Some(anchor), Some(sdp)) = (&mut passage.anchor, sdp) else {
        return passage.carry(rules, from, msg, false);
    };
    // a request has seen to its ports before (anchoring); a response or an ACK does not wait for them
    anchor.prepare(cx.now, view.media, cx.out, Some(&sdp));
    let is_first = passage.said(from).is_none();
    let body = passage.carry(rules, from, msg, false);
    // RFC 3264 8: until it is answered, an offer changes nothing of a session that runs
    let proposes = msg.status() == 0 && matches!(msg.method(), Method::Invite | Method::Update);
    if is_first || !proposes {
        passage.settle(view.media, cx.out);
    }
    body
}
