//! What the operator does to a call that is there (manual 6.6, `dialog_set`).

use super::again;
use super::agent::{Change, offer};
use super::echo;
use super::limits::MAX_STREAMS;
use super::refresh;
use super::release::{self, End};
use super::session::Call;
use super::state::State;
use super::tag::Side;
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::proto::media::table::Treatment;
use crate::wire::sdp::{MediaKind, Template};
use smallvec::SmallVec;
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
    /// RTP or RTCP of the streams of a kind, or of all and of those that come later, passes or not; what is not said stays.
    Media {
        /// Which; none: all.
        media: Option<MediaKind>,
        /// Whether RTP passes.
        rtp: Option<bool>,
        /// Whether RTCP passes.
        rtcp: Option<bool>,
    },
    /// A call to an echo number that waits for it is answered with this status.
    Answer(u16),
    /// The session of the dialog is refreshed no more, and the call ends no more for want of a refresh (RFC 4028).
    StopSessionTimer,
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

/// Does it to the dialog with this index. The error says in words why it cannot be done.
pub(super) fn act(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    index: u32,
    action: Action,
) -> Result<(), String> {
    if call.state == State::Stop {
        return Err("the call has ended already".to_owned());
    }
    match action {
        Action::Stop(why) => stop(call, view, cx, &why),
        Action::Answer(code) => echo::on_operator(call, view, cx, code),
        Action::StopSessionTimer => {
            refresh::stop(call, index);
            Ok(())
        }
        Action::Hold(kind) => {
            let agent = call
                .agent()
                .ok_or("hold is for calls of type echo and mt_call: we are no party of this one")?;
            let on = !agent.streams.are_held(kind);
            offer::start(call, view, cx, Change::Hold { kind, on })
        }
        Action::Reinvite(None) if call.agent().is_none() => again::start(call, view, cx, None),
        Action::Downgrade(kind) if call.agent().is_none() => again::start(call, view, cx, Some(kind)),
        Action::Reinvite(media) => {
            let change = media.map_or(Change::Nothing, Change::Media);
            offer::start(call, view, cx, change)
        }
        Action::Downgrade(kind) => offer::start(call, view, cx, Change::Drop(kind)),
        Action::Media { media, rtp, rtcp } => {
            let side = if call.history.index == index { Side::Caller } else { Side::Callee };
            block(call, view, (side, media), (rtp, rtcp))
        }
    }
}

/// Lets RTP and RTCP that come from a side pass or not, of the streams of a kind, or of all and of those that come later: then it
/// takes the place of what `rtp` and `rtcp` of the identity say (manual 5.2.1).
fn block(
    call: &mut Call,
    view: &mut View<'_>,
    (side, kind): (Side, Option<MediaKind>),
    (rtp, rtcp): (Option<bool>, Option<bool>),
) -> Result<(), String> {
    let change = |treatment: &mut Treatment| {
        treatment.rtp_block = rtp.map_or(treatment.rtp_block, |passes| !passes);
        treatment.rtcp_block = rtcp.map_or(treatment.rtcp_block, |passes| !passes);
    };
    let leg = call.answered_leg().map(usize::from);
    let sessions: SmallVec<[u64; MAX_STREAMS]> = if let Some(agent) = call.agent() {
        agent.streams.sessions(kind).collect()
    } else if let Some(anchor) = leg.and_then(|leg| call.legs[leg].passage.anchor.as_deref()) {
        anchor.facing(side, kind).collect()
    } else {
        return Err("the media of this call do not pass here".to_owned());
    };
    if sessions.is_empty() {
        return Err(format!("the call has no {}", kind.map_or("media", MediaKind::name)));
    }
    for session in sessions {
        let Some(mut treatment) = view.media.view(session).map(|v| v.treatment) else { continue };
        change(&mut treatment);
        view.media.set_treatment(session, treatment);
    }
    if kind.is_none() {
        match call.agent_mut() {
            Some(agent) => change(agent.streams.treatment_mut()),
            None => {
                let anchor = leg.and_then(|leg| call.legs[leg].passage.anchor.as_deref_mut());
                anchor.into_iter().for_each(|anchor| change(anchor.treatment_mut(side)));
            }
        }
    }
    Ok(())
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
