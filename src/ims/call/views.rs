//! Calls as the monitor shows them (manual 6.6, `dialog_get`): one dialog for the caller's side, one for each leg.

use super::bearers::Qos;
use super::history::History;
use super::session::{Call, Kind, Leg, LegState};
use super::state::State;
use super::tag::Side;
use crate::base::time::Instant;
use crate::ims::view::{DialogView, MediaView};
use crate::proto::media::table::MediaTable;
use crate::wire::sdp::{Direction, MediaKind};

/// The dialogs of a call.
pub(super) fn of(call: &Call, now: Instant, media: &MediaTable) -> Vec<DialogView> {
    if let Some(agent) = call.agent() {
        let (kind, history) = match &call.kind {
            Kind::Mt(_) => ("mt_call", shown_leg(call).map_or(&call.history, |l| &l.history)),
            _ => ("echo", &call.history),
        };
        let mut medias = with_codecs(agent.streams.views(media), history);
        medias.iter_mut().for_each(|m| m.qos = qos(shown_leg(call), agent.at.1));
        return vec![DialogView {
            medias,
            events: history.views(),
            ..dialog(call, &call.history, now, kind)
        }];
    }
    let caller = DialogView {
        peer_session_id: shown_leg(call).map(|l| l.history.session_id()),
        medias: with_codecs(bridged(call, shown_leg(call), Side::Caller, media), &call.history),
        ..dialog(call, &call.history, now, "server")
    };
    let callee = |leg: &Leg| {
        let is_over = matches!(leg.state, LegState::Over | LegState::Cancelled);
        let view = dialog(call, &leg.history, now, "client");
        DialogView {
            peer_session_id: Some(call.history.session_id()),
            medias: if is_over {
                Vec::new()
            } else {
                with_codecs(bridged(call, Some(leg), Side::Callee, media), &leg.history)
            },
            state: if is_over { State::Stop.name() } else { view.state },
            reason: if is_over { end_of(call, leg) } else { view.reason },
            ..view
        }
    };
    std::iter::once(caller).chain(call.legs.iter().map(callee)).collect()
}

/// A dialog of the call, but for its media.
fn dialog(call: &Call, history: &History, now: Instant, kind: &'static str) -> DialogView {
    // the contacts of a second group are called later than the call began
    let began = history.began();
    let until = call.ended.as_ref().map_or(now, |e| e.at);
    DialogView {
        index: history.index,
        session_id: history.session_id(),
        state: call.state.name(),
        kind,
        from: call.caller.uri.clone(),
        to: call.callee.uri.clone(),
        is_trunk: if kind == "client" { call.callee.is_trunk } else { call.caller.is_trunk },
        peer_session_id: None,
        date: (call.created_wall + began).as_secs(),
        duration: until.since(call.created + began).as_secs_f64(),
        reason: call.ended.as_ref().map_or_else(String::new, |e| e.reason.clone()),
        events: history.views(),
        medias: Vec::new(),
    }
}

/// Why a leg is over that is not the call.
fn end_of(call: &Call, leg: &Leg) -> String {
    let is_taken = matches!(&call.kind, Kind::Bridge(bridge) if bridge.winner.is_some());
    let winner = call.answered_leg().and_then(|number| call.legs.get(usize::from(number)));
    match (leg.history.failure(), &call.ended) {
        _ if winner.is_some_and(|w| w.tag(Side::Callee) == leg.tag(Side::Callee)) => {
            "another phone there answered".to_owned()
        }
        // RFC 3261 15.1.2: the phone's word for our CANCEL
        (None | Some(487), _) if is_taken => "another contact answered".to_owned(),
        (Some(status), _) if call.legs.len() > 1 && status != 487 => format!("refused with {status}"),
        (_, Some(ended)) => ended.reason.clone(),
        _ => "given up".to_owned(),
    }
}

/// The leg that answered, else the first.
fn shown_leg(call: &Call) -> Option<&Leg> {
    call.legs.get(usize::from(call.answered_leg().unwrap_or(0)))
}

/// The streams of a call between users, with what has gone through them where their packets pass here.
fn bridged(call: &Call, leg: Option<&Leg>, side: Side, media: &MediaTable) -> Vec<MediaView> {
    let Kind::Bridge(bridge) = &call.kind else { return Vec::new() };
    let anchor = leg.and_then(|leg| leg.passage.anchor.as_ref());
    let view = |(at, (kind, direction)): (usize, &(MediaKind, Direction))| {
        let dir = if side == Side::Caller { *direction } else { direction.reversed() };
        let view = MediaView { qos: qos(leg, side), ..MediaView::new(kind.name(), dir.name()) };
        let nth = bridge.medias[..at].iter().filter(|(k, _)| k == kind).count();
        match anchor.and_then(|anchor| anchor.view(media, side, *kind, nth)) {
            Some(packets) => view.with_packets(&packets),
            None => view,
        }
    };
    bridge.medias.iter().enumerate().map(view).collect()
}

/// Where the bearers of a leg's phone are.
fn qos(leg: Option<&Leg>, side: Side) -> &'static str {
    leg.map_or(Qos::Disabled, |l| l.bearers[side as usize].qos).name()
}

/// The streams with the codecs that the last answer on this side names for them.
fn with_codecs(mut medias: Vec<MediaView>, history: &History) -> Vec<MediaView> {
    for (media, codec) in medias.iter_mut().zip(history.codecs()) {
        media.codec = codec.to_string();
    }
    medias
}
