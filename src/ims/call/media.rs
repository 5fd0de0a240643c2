//! What the two phones of a call say about their media, as it passes: for the view, and to tell a call on hold.
//!
//! What becomes of the descriptions themselves is `passage`'s matter.

use super::session::Call;
use super::state::State;
use super::tag::Side;
use crate::proto::cx::Cx;
use crate::wire::sdp::{Direction, MediaKind, Sdp};
use crate::wire::sip::multipart::Parts;
use crate::wire::sip::{HeaderId, Message, Method};
use smallvec::SmallVec;

/// Takes note of the description in a response, or in an ACK, that came from a side. Requests only propose.
pub(super) fn note(call: &mut Call, cx: &mut Cx<'_>, msg: &Message<'_>, from: Side) {
    let settles = msg.method() == Method::Ack || (101..300).contains(&msg.status());
    let Some(sdp) = description(msg).filter(|_| settles).and_then(|d| Sdp::parse(d).ok()) else { return };
    let streams = sdp.medias().filter(|m| m.port != 0).map(|m| {
        // directions are kept as the caller sees them
        let direction = m.direction();
        (m.kind, if from == Side::Caller { direction } else { direction.reversed() })
    });
    let medias: SmallVec<[(MediaKind, Direction); 2]> = streams.collect();
    let held = is_held(&medias);
    if let Some(bridge) = call.bridge_mut() {
        bridge.medias = medias;
    }
    set_held(call, cx, held);
}

/// Moves an answered call to hold or back.
pub(super) fn set_held(call: &mut Call, cx: &mut Cx<'_>, held: bool) {
    let to = if held { State::Hold } else { State::Start };
    if call.state.is_answered() && call.state != to {
        call.become_state(cx.now, to);
        super::trace(cx, call, format_args!("{}", if held { "on hold" } else { "running again" }));
    }
}

/// A call is on hold when none of its streams runs in both directions.
pub(super) fn is_held(medias: &[(MediaKind, Direction)]) -> bool {
    !medias.is_empty() && medias.iter().all(|(_, d)| *d != Direction::SendRecv)
}

/// The session description of a message: its body, or a part of it (RFC 5621 3.1; phones put a location beside it in an
/// emergency call). None in a message that neither offers nor answers: what a 200 to OPTIONS tells is what a phone could do
/// (RFC 3261 11.2).
pub(super) fn description<'m>(msg: &Message<'m>) -> Option<&'m [u8]> {
    if !matches!(msg.method(), Method::Invite | Method::Ack | Method::Prack | Method::Update) {
        return None;
    }
    let found = if msg.has_content_type("application/sdp") {
        msg.body()
    } else {
        let parts = Parts::new(msg.header(HeaderId::ContentType)?, msg.body())?;
        parts.by_type("application/sdp")?.body
    };
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip::Index;

    #[test]
    fn the_description_is_found_in_a_multipart_body() {
        let sdp = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 5 RTP/AVP 0\r\n";
        for (kind, start) in [("multipart/mixed;boundary=other", ""), ("Multipart/Mixed", "preamble\r\n")] {
            let body = format!(
                "{start}--b1\r\nContent-Type: application/pidf+xml\r\n\r\n<a/>\r\n--b1\r\ncontent-type : application/sdp\r\n\
                 Content-ID: x\r\n\r\n{sdp}\r\n--b1--\r\n"
            );
            let text = format!("INVITE urn:service:sos SIP/2.0\r\nContent-Type: {kind}\r\n\r\n{body}");
            let mut index = Index::new();
            let msg = Message::parse(text.as_bytes(), &mut index).unwrap();
            let found = description(&msg).map(|d| Sdp::parse(d).unwrap().medias().count());
            assert_eq!(found, Some(1), "{kind}");
        }
        let mut index = Index::new();
        let text = "INVITE tel:1 SIP/2.0\r\nContent-Type: text/plain\r\n\r\nv=0\r\n";
        assert_eq!(description(&Message::parse(text.as_bytes(), &mut index).unwrap()), None);
    }

    #[test]
    fn hold_means_that_nothing_runs_both_ways() {
        use Direction::{Inactive, RecvOnly, SendRecv};
        let held =
            |all: &[Direction]| is_held(&all.iter().map(|d| (MediaKind::Audio, *d)).collect::<Vec<_>>());
        assert!(held(&[RecvOnly]) && held(&[Inactive, RecvOnly]));
        assert!(!held(&[SendRecv]) && !held(&[Inactive, SendRecv]) && !held(&[]));
    }
}
