//! Session timers (RFC 4028): a call whose other side has gone without a word comes to an end.

use super::Phone;
use super::change::Change;
use super::event::Party;
use super::inbound::Reply;
use super::server::ServerId;
use imsbox::base::time::{Duration, Instant};
use imsbox::wire::sip::{HeaderId, Message, Refresher, SessionExpires};

/// RFC 4028 10: the call is ended this much before the session expires, or a third of its time if that is less.
const BEFORE_THE_END: Duration = Duration::from_secs(32);
/// How often a session is offered that the other side finds too short.
const MOST_REFUSALS: u8 = 3;

/// The timer of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its time, in seconds.
    pub secs: u32,
    /// Whether it is ours to refresh it.
    pub is_ours: bool,
    /// When it is to be refreshed.
    pub refresh_at: Option<Instant>,
    /// When the call is ended for want of a refresh.
    pub ends_at: Instant,
}

impl Session {
    /// One that begins now.
    pub fn new(now: Instant, secs: u32, is_ours: bool) -> Session {
        let whole = Duration::from_secs(u64::from(secs));
        let ends_at = now + (whole - BEFORE_THE_END.min(whole / 3));
        Session { secs, is_ours, refresh_at: is_ours.then_some(now + whole / 2), ends_at }
    }
}

/// What a call has found out about the timer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// The session, when it has a timer.
    pub session: Option<Session>,
    /// The shortest time that the other side, or somebody on the way, takes.
    pub least_secs: u32,
    /// Whether the other side knows nothing of timers, so that we refresh alone.
    is_alone: bool,
    /// How often ours was too short.
    refusals: u8,
}

/// What a request of theirs says of the timer.
#[derive(Clone, Copy, Debug)]
pub struct SessionWish {
    asked: Option<SessionExpires>,
    least_secs: u32,
    /// Whether the sender knows timers.
    knows: bool,
}

impl SessionWish {
    /// Reads it.
    pub fn of(request: &Message<'_>) -> SessionWish {
        SessionWish {
            asked: request.session_expires(),
            least_secs: request.min_se_secs().unwrap_or_default(),
            knows: [HeaderId::Supported, HeaderId::Require].iter().any(|id| request.lists(*id, "timer")),
        }
    }
}

impl Phone {
    /// The headers that offer a timer with a request of ours (RFC 4028 7.1, 7.4).
    pub(super) fn timer_headers(&self) -> Vec<(&'static str, String)> {
        let wanted = self.settings.session_secs;
        if wanted == 0 {
            return Vec::new();
        }
        let timing = self.call.as_ref().map(|c| c.timing).unwrap_or_default();
        let secs = timing.session.map_or(wanted, |s| s.secs).max(timing.least_secs);
        // who refreshes goes on to
        let who = timing.session.map(|s| if s.is_ours { Refresher::Uac } else { Refresher::Uas });
        let who = who.or(self.settings.refresher).map(|r| format!(";refresher={}", r.name()));
        vec![
            ("Session-Expires", format!("{secs}{}", who.unwrap_or_default())),
            ("Min-SE", self.settings.min_se_secs.max(timing.least_secs).to_string()),
        ]
    }

    /// Takes what the success of a request of ours says of the timer (RFC 4028 7.2).
    pub(super) fn on_timer_answered(&mut self, now: Instant, answer: &Message<'_>) {
        let is_on = self.settings.session_secs > 0;
        let Some(call) = self.call.as_mut() else { return };
        let said = answer.session_expires().filter(|_| is_on);
        // one that the other side does not know of is ours alone (table 2)
        if call.timing.is_alone && said.is_none() {
            let secs = call.timing.session.map(|s| s.secs);
            call.timing.session = secs.map(|secs| Session::new(now, secs, true));
            return;
        }
        // one without a refresher leaves it to the one that has asked
        let ours = |refresher| refresher != Some(Refresher::Uas);
        call.timing.session = said.map(|s| Session::new(now, s.interval_secs, ours(s.refresher)));
    }

    /// Whether a request of ours was refused for its time, and may be sent again with a longer one (RFC 4028 7.3).
    pub(super) fn is_too_short(&mut self, answer: &Message<'_>) -> bool {
        let Some(call) = self.call.as_mut().filter(|_| answer.status() == 422) else { return false };
        let least = answer.min_se_secs().unwrap_or_default();
        let may_help = least > call.timing.least_secs && call.timing.refusals < MOST_REFUSALS;
        if may_help {
            call.timing.least_secs = least;
            call.timing.refusals += 1;
        }
        may_help
    }

    /// Whether a request of theirs asks for too short a session, and is refused (RFC 4028 9).
    pub(super) fn refuse_short_session(&mut self, now: Instant, id: ServerId, request: &Message<'_>) -> bool {
        let least = self.settings.min_se_secs;
        let wish = SessionWish::of(request);
        let is_short = wish.asked.is_some_and(|s| s.interval_secs < least);
        let is_refused = self.settings.session_secs > 0 && is_short && wish.knows;
        if is_refused {
            let headers = vec![("Min-SE", least.to_string())];
            self.respond(now, id, 422, Reply { headers, ..Reply::default() });
        }
        is_refused
    }

    /// The timer of a session that a request of theirs begins or refreshes, and the headers of its success (RFC 4028 9).
    pub(super) fn accept_session(&mut self, now: Instant, wish: SessionWish) -> Vec<(&'static str, String)> {
        let wanted = self.settings.session_secs;
        let own = self.settings.refresher;
        let Some(call) = self.call.as_mut().filter(|_| wanted > 0) else { return Vec::new() };
        let secs = wish.asked.map_or(wanted.max(wish.least_secs), |s| s.interval_secs);
        // table 2: who does not know timers does not refresh
        let refresher = match wish.asked.and_then(|s| s.refresher) {
            _ if !wish.knows => Refresher::Uas,
            Some(named) => named,
            None => own.unwrap_or(Refresher::Uac),
        };
        call.timing.is_alone = !wish.knows;
        call.timing.session = Some(Session::new(now, secs, refresher == Refresher::Uas));
        let mut headers = vec![("Session-Expires", format!("{secs};refresher={}", refresher.name()))];
        if refresher == Refresher::Uac {
            headers.push(("Require", "timer".to_owned()));
        }
        headers
    }

    pub(super) fn tick_timer(&mut self, now: Instant) {
        let Some(call) = self.call.as_mut().filter(|c| c.is_up()) else { return };
        let Some(session) = call.timing.session.as_mut() else { return };
        if session.ends_at <= now {
            let whose = if session.is_ours {
                "our refreshes have not been answered"
            } else {
                "the other side has not refreshed it"
            };
            self.send_bye(now);
            return self.end_call(Party::We, 408, &format!("the session has expired: {whose}"));
        }
        if session.refresh_at.is_some_and(|at| at <= now) && call.change.is_none() {
            session.refresh_at = None;
            self.start_change(now, Change::Refresh);
        }
    }

    /// A refresh of ours came to nothing: once more, in a while, as long as the session lasts.
    pub(super) fn refresh_later(&mut self, now: Instant, pause: Duration) {
        if let Some(session) = self.call.as_mut().and_then(|c| c.timing.session.as_mut()) {
            session.refresh_at = Some(now + pause);
        }
    }
}
