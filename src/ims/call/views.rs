//! Calls as the monitor shows them (manual 6.6, `dialog_get`): one dialog for the caller's side, one for each leg.

use super::history::History;
use super::session::{Call, Kind, Leg};
use super::tag::Side;
use crate::base::time::Instant;
use crate::ims::view::{DialogView, MediaView};
use crate::proto::media::table::MediaTable;

/// The dialogs of a call.
pub(super) fn of(call: &Call, now: Instant, media: &MediaTable) -> Vec<DialogView> {
    let own = |history: &History, kind: &'static str, peer: Option<String>, medias: Vec<MediaView>| {
        let until = call.ended.as_ref().map_or(now, |e| e.at);
        DialogView {
            index: history.index,
            session_id: history.session_id(),
            state: call.state.name(),
            kind,
            from: call.caller.uri.clone(),
            to: call.callee.uri.clone(),
            peer_session_id: peer,
            date: call.created_wall.as_secs(),
            duration: until.since(call.created).as_secs_f64(),
            reason: call.ended.as_ref().map_or_else(String::new, |e| e.reason.clone()),
            events: history.views(),
            medias,
        }
    };
    if let Kind::Echo(echo) = &call.kind {
        return vec![own(&call.history, "echo", None, echo.streams.views(media))];
    }
    let peer = shown_leg(call).map(|l| l.history.session_id());
    let mut out = vec![own(&call.history, "server", peer, bridged(call, Side::Caller))];
    out.extend(
        call.legs
            .iter()
            .map(|l| own(&l.history, "client", Some(call.history.session_id()), bridged(call, Side::Callee))),
    );
    out
}

/// The leg that answered, else the first.
fn shown_leg(call: &Call) -> Option<&Leg> {
    call.legs.get(usize::from(call.answered_leg().unwrap_or(0)))
}

/// The streams of a call between users, whose packets do not pass here.
fn bridged(call: &Call, side: Side) -> Vec<MediaView> {
    let Kind::Bridge(bridge) = &call.kind else { return Vec::new() };
    let view = |(kind, direction): &(crate::wire::sdp::MediaKind, crate::wire::sdp::Direction)| {
        let dir = if side == Side::Caller { *direction } else { direction.reversed() };
        MediaView::new(kind.name(), dir.name())
    };
    bridge.medias.iter().map(view).collect()
}
