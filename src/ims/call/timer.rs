//! The session timer of one dialog (RFC 4028): what is offered and granted, who refreshes, and until when the session lasts.
//!
//! A call has one towards each side, and they have nothing to do with each other: a phone that knows of timers is watched over
//! whatever the other phone knows. Here is what is agreed and when something is due; `refresh` sends and takes the requests.

use super::limits::{MAX_SESSION_SECS, MAX_TOO_SHORT, MIN_GRANTED_SECS, MIN_SESSION_SECS, REFRESH_PAUSE};
use crate::base::time::{Duration, Instant};
use crate::config::model::SessionTimer as Settings;
use crate::wire::sip::{HeaderId, Message, Refresher, Writer};

/// The option tag.
pub(super) const TAG: &str = "timer";

/// RFC 4028 10: a session that was not refreshed is ended this much before it expires, or a third of it if that is less.
const BEFORE_THE_END: Duration = Duration::from_secs(32);

/// Which of the two refreshes a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// We.
    Us,
    /// The phone.
    Them,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Our refresh.
    Refresh,
    /// The end of the call: a session of so many seconds was not refreshed by who had to.
    End(u32, Who),
}

/// What a message of ours says of the timer; nothing by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Terms {
    /// Session-Expires, seconds, and its refresher.
    expires: Option<(u32, Option<Refresher>)>,
    /// Min-SE, seconds.
    min_secs: Option<u32>,
    /// Supported has `timer`.
    is_supported: bool,
    /// Require has `timer`.
    is_required: bool,
}

impl Terms {
    /// Whether the tag is among those of this header.
    pub fn has_tag(&self, id: HeaderId) -> bool {
        self.is_supported && id == HeaderId::Supported || self.is_required && id == HeaderId::Require
    }

    /// Writes Session-Expires and Min-SE.
    pub fn write(&self, w: &mut Writer<'_>) {
        match self.expires {
            Some((secs, Some(who))) => {
                w.header_fmt("Session-Expires", format_args!("{secs};refresher={}", who.name()));
            }
            Some((secs, None)) => _ = w.header_fmt("Session-Expires", format_args!("{secs}")),
            None => {}
        }
        if let Some(secs) = self.min_secs {
            w.header_fmt("Min-SE", format_args!("{secs}"));
        }
    }

    /// Writes them with their option tags, where no others are to stand beside them.
    pub fn write_all(&self, w: &mut Writer<'_>) {
        if self.is_supported {
            w.header("Supported", TAG);
        }
        self.write_grant(w);
    }

    /// Writes all but Supported, where `timer` is in that already.
    pub fn write_grant(&self, w: &mut Writer<'_>) {
        if self.is_required {
            w.header("Require", TAG);
        }
        self.write(w);
    }
}

/// What a request of a phone says of the timer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    secs: Option<u32>,
    refresher: Option<Refresher>,
    min_secs: u32,
    knows: bool,
    allows_update: Option<bool>,
}

impl Ask {
    /// Reads it.
    pub(super) fn of(request: &Message<'_>) -> Ask {
        let asked = request.session_expires();
        Ask {
            secs: asked.map(|s| s.interval_secs),
            refresher: asked.and_then(|s| s.refresher),
            min_secs: request.min_se_secs().unwrap_or_default(),
            knows: [HeaderId::Supported, HeaderId::Require].iter().any(|id| request.lists(*id, TAG)),
            allows_update: allows_update(request),
        }
    }
}

/// Whether Allow names UPDATE; `None`: there is no Allow.
fn allows_update(msg: &Message<'_>) -> Option<bool> {
    msg.header(HeaderId::Allow).is_some().then(|| msg.lists(HeaderId::Allow, "UPDATE"))
}

/// The timer of one dialog.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    settings: Settings,
    /// The longest Min-SE that the phone has spoken of in this dialog (RFC 4028 7.4).
    least_secs: u32,
    /// Whether the phone takes UPDATE.
    allows_update: bool,
    session: Option<Session>,
    /// How often in a row the phone has found a session too short.
    too_short: u8,
    is_stopped: bool,
}

/// A session that is agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Session {
    secs: u32,
    refresher: Who,
    refresh_at: Option<Instant>,
    ends_at: Instant,
}

impl Session {
    /// One that begins now.
    fn new(now: Instant, secs: u32, refresher: Who) -> Session {
        let whole = Duration::from_secs(u64::from(secs));
        // RFC 4028 7.2, 9: once half of it has passed
        let refresh_at = (refresher == Who::Us).then_some(now + whole / 2);
        Session { secs, refresher, refresh_at, ends_at: now + (whole - BEFORE_THE_END.min(whole / 3)) }
    }
}

impl Timer {
    /// That of a dialog which begins.
    pub(super) fn new(settings: Settings) -> Timer {
        Timer {
            settings,
            least_secs: 0,
            allows_update: false,
            session: None,
            too_short: 0,
            is_stopped: false,
        }
    }

    /// What a request of ours says that begins or refreshes the session: INVITE, re-INVITE, UPDATE (RFC 4028 7.1, 7.4).
    pub(super) fn offer(&self) -> Terms {
        let refresher = match self.session {
            // who refreshes goes on to do so
            Some(session) if session.refresher == Who::Us => Some(Refresher::Uac),
            Some(_) => Some(Refresher::Uas),
            None => self.settings.force.then_some(self.wanted_refresher()),
        };
        Terms {
            expires: Some((self.offered_secs(), refresher)),
            min_secs: Some(self.min_secs()),
            is_supported: true,
            is_required: false,
        }
    }

    /// The Min-SE of the 422 that a request of the phone's is refused with, whose session is too short for us (RFC 4028 9).
    pub(super) fn refuses(&self, ask: &Ask) -> Option<u32> {
        let least = secs_of(self.settings.min).max(MIN_SESSION_SECS);
        // one that knows nothing of timers could make nothing of a 422
        (ask.knows && ask.secs.is_some_and(|secs| secs < least)).then_some(least)
    }

    /// Grants the session that a request of the phone's begins or refreshes; what its 2xx says (RFC 4028 9).
    pub(super) fn accept(&mut self, now: Instant, ask: &Ask) -> Terms {
        self.least_secs = self.least_secs.max(ask.min_secs.min(MAX_SESSION_SECS));
        self.allows_update = ask.allows_update.unwrap_or(self.allows_update);
        let own = self.session.map_or(secs_of(self.settings.duration), |s| s.secs).max(self.least_secs);
        let secs = match ask.secs {
            // it may be made shorter, not longer
            Some(asked) if ask.knows => asked.min(own.max(secs_of(self.settings.duration))),
            // whoever has put it into the request of a phone without timers
            Some(asked) => asked.clamp(self.min_secs(), MAX_SESSION_SECS),
            None => own,
        };
        let refresher = match (ask.knows, ask.refresher, self.session) {
            // table 2
            (false, ..) | (true, Some(Refresher::Uas), _) => Who::Us,
            (true, Some(Refresher::Uac), _) => Who::Them,
            (true, None, Some(session)) => session.refresher,
            (true, None, None) if self.wanted_refresher() == Refresher::Uac => Who::Them,
            (true, None, None) => Who::Us,
        };
        self.session = Some(Session::new(now, secs, refresher));
        let named = if refresher == Who::Us { Refresher::Uas } else { Refresher::Uac };
        let is_longer = ask.secs.is_some_and(|asked| secs > asked);
        Terms {
            expires: (!is_longer).then_some((secs, Some(named))),
            min_secs: None,
            is_supported: true,
            is_required: ask.knows,
        }
    }

    /// The phone has answered a request of ours that begins or refreshes the session with 2xx (RFC 4028 7.2).
    pub(super) fn on_success(&mut self, now: Instant, response: &Message<'_>) {
        self.allows_update = allows_update(response).unwrap_or(self.allows_update);
        self.too_short = 0;
        // a session that is over as it begins is nobody's wish
        let granted = response.session_expires().filter(|s| s.interval_secs > 0);
        let named = granted.and_then(|g| g.refresher).or(granted.and_then(|_| self.offered_refresher()));
        let refresher = match named {
            Some(Refresher::Uas) => Who::Them,
            // a phone that says nothing knows nothing of timers: we refresh alone
            Some(Refresher::Uac) | None => Who::Us,
        };
        let secs = granted.map_or(self.offered_secs(), |g| g.interval_secs);
        let secs = secs.clamp(MIN_GRANTED_SECS, MAX_SESSION_SECS);
        self.session = Some(Session::new(now, secs, refresher));
    }

    /// The phone has answered a request of ours with 422. Whether it may be sent again, with a longer session (RFC 4028 7.3).
    pub(super) fn on_too_short(&mut self, response: &Message<'_>) -> bool {
        let least = response.min_se_secs().unwrap_or_default();
        let may_help = (self.offered_secs() + 1..=MAX_SESSION_SECS).contains(&least);
        if !may_help || self.too_short == MAX_TOO_SHORT {
            return false;
        }
        self.least_secs = least;
        self.too_short += 1;
        true
    }

    /// The refresh could not be sent, or came to nothing: once more after this long, as long as the session lasts.
    pub(super) fn retry_after(&mut self, now: Instant, pause: Duration) {
        if let Some(session) = self.session.as_mut().filter(|s| s.refresher == Who::Us) {
            session.refresh_at = Some(now + pause);
        }
    }

    /// How long to wait after a refresh that was refused.
    pub(super) fn pause(&self) -> Duration {
        let secs = self.session.map_or(0, |s| s.secs);
        (Duration::from_secs(u64::from(secs)) / 8).max(REFRESH_PAUSE)
    }

    /// What is due, if anything. A refresh that is due is so once.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Due> {
        let session = self.session.as_mut().filter(|_| !self.is_stopped)?;
        if session.ends_at <= now {
            return Some(Due::End(session.secs, session.refresher));
        }
        session.refresh_at.take_if(|at| *at <= now).map(|_| Due::Refresh)
    }

    /// When something is due next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let session = self.session.filter(|_| !self.is_stopped)?;
        Some(session.refresh_at.map_or(session.ends_at, |at| at.min(session.ends_at)))
    }

    /// From now on nothing is refreshed, and the session does not end.
    pub(super) fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// Whether an UPDATE refreshes, and not a re-INVITE.
    pub(super) fn takes_update(&self) -> bool {
        self.settings.with_update && self.allows_update
    }

    /// The phone has refused UPDATE as such.
    pub(super) fn forget_update(&mut self) {
        self.allows_update = false;
    }

    fn wanted_refresher(&self) -> Refresher {
        if self.settings.refresher_is_uac { Refresher::Uac } else { Refresher::Uas }
    }

    fn offered_refresher(&self) -> Option<Refresher> {
        self.offer().expires.and_then(|(_, refresher)| refresher)
    }

    fn min_secs(&self) -> u32 {
        secs_of(self.settings.min).max(self.least_secs)
    }

    /// RFC 4028 7.4: the session that there is, or the shortest possible one if that is longer.
    fn offered_secs(&self) -> u32 {
        self.session.map_or(secs_of(self.settings.duration), |s| s.secs).max(self.min_secs())
    }
}

fn secs_of(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(MAX_SESSION_SECS)
}

#[cfg(test)]
mod tests;
