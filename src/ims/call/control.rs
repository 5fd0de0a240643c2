//! What the operator does to a call that is there (manual 6.6, `dialog_set`).

use super::agent::{Change, offer};
use super::echo;
use super::release::{self, End};
use super::session::Call;
use super::state::State;
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::wire::sdp::{MediaKind, Template};
use std::sync::Arc;

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The call ends.
    Stop(Why),
    /// Our side holds the streams of a kind, or all, or lets them run again when they are held.
    Hold(Option<MediaKind>),
    /// A re-INVITE of ours, with these media or with what runs already.
    Reinvite(Option<Arc<Template>>),
    /// The streams of a kind are given up.
    Downgrade(MediaKind),
    /// RTP or RTCP of the streams of a kind, or of all, passes or not; what is not said stays.
    Media {
        /// Which.
        media: Option<MediaKind>,
        /// Whether RTP passes.
        rtp: Option<bool>,
        /// Whether RTCP passes.
        rtcp: Option<bool>,
    },
    /// A call to an echo number that waits for it is answered with this status.
    Answer(u16),
}

/// Why a call is ended: what Reason says (RFC 3326).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Why {
    /// `cause`.
    pub cause: Option<u16>,
    /// `text`.
    pub text: Option<String>,
    /// The protocol of the cause, `SIP` unless given.
    pub protocol: Option<String>,
}

impl Why {
    /// The value of Reason; none when the operator has not said anything. The error says in words what cannot stand there.
    fn reason(&self) -> Result<Option<String>, String> {
        if *self == Why::default() {
            return Ok(None);
        }
        let protocol = self.protocol.as_deref().unwrap_or("SIP");
        if protocol.is_empty() || !crate::wire::sip::text::is_token(protocol.as_bytes()) {
            return Err(format!("reason_protocol {protocol:?} is no protocol: SIP, Q.850 and the like"));
        }
        let mut out = protocol.to_owned();
        if let Some(cause) = self.cause {
            out += &format!(";cause={cause}");
        }
        if let Some(text) = &self.text {
            let clean: String = text.chars().filter(|c| !c.is_control()).collect();
            out += &format!(";text=\"{}\"", clean.replace(['"', '\\'], "'"));
        }
        Ok(Some(out))
    }
}

/// Does it. The error says in words why it cannot be done.
pub(super) fn act(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    action: Action,
) -> Result<(), String> {
    if call.state == State::Stop {
        return Err("the call has ended already".to_owned());
    }
    match action {
        Action::Stop(why) => stop(call, view, cx, &why),
        Action::Answer(code) => echo::on_operator(call, view, cx, code),
        Action::Hold(kind) => {
            let agent = call
                .agent()
                .ok_or("hold is for calls of type echo and mt_call: we are no party of this one")?;
            let on = !agent.streams.are_held(kind);
            offer::start(call, view, cx, Change::Hold { kind, on })
        }
        Action::Reinvite(media) => {
            let change = media.map_or(Change::Nothing, Change::Media);
            offer::start(call, view, cx, change)
        }
        Action::Downgrade(kind) => offer::start(call, view, cx, Change::Drop(kind)),
        Action::Media { media, rtp, rtcp } => {
            let agent = call.agent_mut().ok_or("the media of this call do not pass here")?;
            agent.streams.block(view.media, media, (rtp, rtcp))
        }
    }
}

/// Ends the call.
fn stop(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, why: &Why) -> Result<(), String> {
    let reason = why.reason()?;
    let text = match &why.text {
        Some(text) => format!("ended by the operator: {text}"),
        None => "ended by the operator".to_owned(),
    };
    let end = End::new(&text, 480);
    release::end(
        call,
        view,
        cx,
        &match &reason {
            Some(reason) => end.with_reason(reason),
            None => end,
        },
    );
    Ok(())
}
