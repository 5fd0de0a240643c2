//! The INVITE of a call that the network makes, to one contact (TS 24.229 5.4.3.3, 5.2.7.3).

use super::{Said, mt as mt_of};
use crate::config::model::Precondition;
use crate::ims::call::agent::ALLOW;
use crate::ims::call::destination::{Destination, Way};
use crate::ims::call::forward;
use crate::ims::call::history::History;
use crate::ims::call::opening::FIRST_CSEQ;
use crate::ims::call::refresh;
use crate::ims::call::reliable;
use crate::ims::call::session::{Call, Kind, Leg, LegState, Role};
use crate::ims::call::setup::new_tag;
use crate::ims::call::sibling;
use crate::ims::call::tag::Side;
use crate::ims::call::timer::Terms;
use crate::ims::core::View;
use crate::ims::emergency::callback::PRIORITY;
use crate::ims::identity;
use crate::ims::registrar::binding::MMTEL;
use crate::proto::cx::Cx;
use crate::wire::sdp::edit::{QosEdit, Segments};
use crate::wire::sdp::precondition::{Directions, Strength};
use crate::wire::sip::{Method, Writer};
use std::net::SocketAddr;
use std::sync::Arc;

/// What an INVITE says that is not the call's.
struct Invite<'a> {
    way: Way<'a>,
    /// Where the phone is to see us.
    local: SocketAddr,
    cseq: u32,
    leg: &'a Leg,
    has_preconditions: bool,
    /// What it says of the session timer.
    terms: Terms,
    sdp: &'a [u8],
}

/// Calls one contact. `false`: it has gone meanwhile, or there is no room for the transaction.
pub(super) fn send(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, to: Destination) -> bool {
    let number = u8::try_from(call.legs.len()).expect("legs are capped far below 256");
    let tags = [Side::Caller, Side::Callee].map(|side| new_tag(call.place(number, side), view));
    let history = History::new(call.history.index + 1 + u32::from(number), view.txs.new_token());
    let leg = Leg::new(tags, history, view.txs.new_token(), &call.rules);
    call.legs.push(Leg { state: LegState::Calling, to: Some(to), ..leg });
    let is_sent = ask(call, view, cx, (number, FIRST_CSEQ));
    if !is_sent {
        call.legs.pop();
    }
    is_sent
}

/// Sends the INVITE of a leg again, because its phone wants a longer session (RFC 4028 7.3). `false`: it cannot be sent.
pub(super) fn send_again(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, leg: u8) -> bool {
    sibling::begin_again(call, view, cx, leg);
    let entry = &mut call.legs[usize::from(leg)];
    let (_, cseq) = entry.invites[Side::Caller as usize];
    // no dialog outlives its INVITE's refusal (RFC 3261 12.3)
    entry.down = None;
    entry.state.is_open() && ask(call, view, cx, (leg, cseq + 1))
}

fn ask(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, (leg, cseq): (u8, u32)) -> bool {
    let entry = &call.legs[usize::from(leg)];
    let way = entry.to.and_then(|to| to.way(view, cx, &call.callee));
    let (Some(way), Kind::Mt(mt)) = (way, &call.kind) else { return false };
    // TS 24.229 5.1.4: a VoLTE phone waits for its resources before it rings; ours need none
    let has_preconditions = call.rules.precondition(Side::Callee) == Precondition::On && way.is_mmtel;
    let qos = if has_preconditions { QosEdit::Set(OURS_ARE_THERE) } else { QosEdit::Keep };
    let sdp = mt.agent.streams.with_preconditions(qos);
    let local = view.txs.local_addr(way.flow.local).expect("a flow is of one of our sockets");
    let named = call
        .callee
        .user
        .and_then(|user| identity::request_uri(view.subs.user(user), call.callee.impu_index, way.imei));
    let (flow, upgrade) = (way.flow, way.upgrade);
    let uri = named.as_deref().map_or(way.uri, str::as_bytes);
    let terms = refresh::offer(call, (leg, Side::Callee), Method::Invite);
    let invite = Invite { way, local, cseq, leg: entry, has_preconditions, terms, sdp: &sdp };
    let owner = call.owner(Role::Leg(leg));
    let sent = view.txs.request(cx, flow, b"INVITE", uri, upgrade, owner, |w| {
        write(call, &invite, view.config, view.subs, w);
    });
    let Ok(client) = sent else {
        super::note_failure(call, 503, "there is no room for another transaction");
        return false;
    };
    let entry = &mut call.legs[usize::from(leg)];
    entry.client = Some(client);
    entry.invites[Side::Caller as usize] = (0, cseq);
    if let Some(mt) = mt_of(call) {
        let sent = sdp.into();
        let said = Said::new(Arc::clone(&sent));
        *mt.said_at(leg, &sent) = said;
    }
    true
}

/// RFC 3312 5.1: the offerer's resources are there; those of the phone it may want itself.
const OURS_ARE_THERE: Segments = Segments {
    local: Directions::BOTH,
    remote: Directions::NONE,
    local_strength: Strength::Mandatory,
    remote_strength: Strength::Optional,
    confirm: false,
};

fn write(
    call: &Call,
    invite: &Invite<'_>,
    config: &crate::config::model::Config,
    subs: &crate::ims::subscriber::Subscribers,
    mut w: Writer<'_>,
) {
    let Kind::Mt(mt) = &call.kind else { return w.finish() };
    let (settings, way) = (&config.protocol, &invite.way);
    w.header("Max-Forwards", "70");
    let tag = invite.leg.tag(Side::Callee);
    match &mt.caller.from {
        Some(from) => _ = w.header_parts("From", &[from.as_bytes(), b";tag=", tag]),
        None => forward::anonymous_from(&mut w, tag),
    }
    w.header_parts("To", &[b"<", call.callee.uri.as_bytes(), b">"]);
    w.header("Call-ID", invite.leg.call_id);
    w.header_fmt("CSeq", format_args!("{} INVITE", invite.cseq));
    if !way.route.is_empty() {
        w.header("Route", way.route);
    }
    let features =
        if way.is_mmtel { ";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"" } else { "" };
    forward::own_contact(&mut w, invite.local, way.flow.transport, features);
    w.header("Allow", ALLOW);
    let reliable = call.rules.reliable(Side::Callee);
    let tags = [(reliable, reliable::TAG), (invite.has_preconditions, "precondition")];
    let supported: Vec<&str> = tags.iter().filter(|(has, _)| *has).map(|(_, tag)| *tag).collect();
    if !supported.is_empty() {
        w.header("Supported", supported.join(", "));
    }
    invite.terms.write_all(&mut w);
    if call.rules.is_callback {
        w.header("Priority", PRIORITY);
    }
    for identity in &mt.caller.asserted {
        w.header("P-Asserted-Identity", identity);
    }
    if mt.caller.from.is_none() {
        w.header("Privacy", "id");
    }
    if way.is_mmtel {
        // TS 24.229 5.4.3.3, RFC 6050, RFC 3841: for the phone's telephony
        w.header("P-Asserted-Service", MMTEL);
        w.header("Accept-Contact", "*;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"");
    }
    if call.rules.early_media {
        // RFC 5009 4.1
        w.header("P-Early-Media", "supported");
    }
    let forced = call.callee.impu(subs).and_then(|i| i.p_called_party_id.as_deref());
    if let Some(called) = forced.or(config.call.p_called_party_id.then_some(call.callee.uri.as_str())) {
        forward::called_party(&mut w, called.as_bytes());
    }
    forward::own_request(&mut w, settings);
    w.body(b"application/sdp", invite.sdp);
}
