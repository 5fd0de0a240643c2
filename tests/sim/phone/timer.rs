//! Session timers (RFC 4028) of the phones that have them: they refresh, or wait to be refreshed, and end what nobody has refreshed.

use super::*;

/// What such a phone asks for, seconds; what it is asked for it grants.
const SESSION: u64 = 90;

/// How long after a refresh that came to nothing it is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// The session of a leg.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    secs: u64,
    /// Whether it is the phone's to refresh it.
    is_ours: bool,
    expires: Instant,
}

impl Phone {
    /// The phone has session timers.
    pub fn timed(self) -> Self {
        Phone { has_timers: true, ..self }
    }

    /// What the INVITE of a call says; every other call leaves the refreshes to the server.
    pub(super) fn timer_offer(&self) -> String {
        match self.has_timers {
            true => {
                let who = if self.legs.len().is_multiple_of(2) { "uac" } else { "uas" };
                format!("Session-Expires: {SESSION};refresher={who}\r\nMin-SE: 90\r\n{ALLOW}")
            }
            false => String::new(),
        }
    }

    /// What a request inside a call says: who refreshes goes on to do so.
    pub(super) fn timer_terms(&self, leg: usize) -> String {
        let Some(Session { secs, is_ours, .. }) = self.legs[leg].session else { return String::new() };
        let who = if is_ours { "uac" } else { "uas" };
        format!("Supported: timer\r\nSession-Expires: {secs};refresher={who}\r\n{ALLOW}")
    }

    /// What a 2xx to a request says that begins or refreshes a session. The session begins.
    pub(super) fn grant_session(&mut self, now: Instant, leg: usize, request: &Text) -> String {
        if !self.has_timers {
            return String::new();
        }
        let (secs, who) = read(request.get("Session-Expires")).expect("the server asks for a timer");
        assert!(request.get("Supported").contains("timer"), "{}: {}", self.name, request.start);
        let who = if who.is_empty() { "uac" } else { who };
        self.begin_session(now, leg, secs, who == "uas");
        self.seen.was_refreshed += u64::from(self.legs[leg].state == State::Up && who == "uac");
        format!("Session-Expires: {secs};refresher={who}\r\nRequire: timer\r\n{ALLOW}")
    }

    /// A 2xx to the phone's INVITE, re-INVITE or UPDATE.
    pub(super) fn on_granted(&mut self, now: Instant, leg: usize, answer: &Text) {
        if !self.has_timers {
            return;
        }
        let (secs, who) = read(answer.get("Session-Expires")).expect("the server grants a timer");
        assert!(secs <= SESSION && !who.is_empty(), "{}: {}", self.name, answer.get("Session-Expires"));
        assert!(answer.get("Require").contains("timer"), "RFC 4028 9: {}", answer.start);
        self.begin_session(now, leg, secs, who == "uac");
    }

    fn begin_session(&mut self, now: Instant, leg: usize, secs: u64, is_ours: bool) {
        let first = self.legs[leg].session.is_none();
        let whole = Duration::from_secs(secs);
        self.legs[leg].session = Some(Session { secs, is_ours, expires: now + whole });
        self.timers.retain(|(_, t)| !matches!(t, Timer::Refresh(at) if *at == leg));
        if is_ours {
            self.timers.push((now + whole / 2, Timer::Refresh(leg)));
        }
        if first {
            self.timers.push((now + whole, Timer::Expire(leg)));
        }
    }

    pub(super) fn refresh(&mut self, now: Instant, leg: usize, want: &mut Wants) {
        let extra = self.timer_terms(leg);
        self.in_call(now, leg, "UPDATE", &extra, "", Purpose::Refresh(leg), want);
    }

    pub(super) fn on_refresh_answer(&mut self, now: Instant, leg: usize, code: u16, text: &Text) {
        match code {
            200 => {
                self.on_granted(now, leg, text);
                self.seen.refreshed += 1;
            }
            _ => self.timers.push((now + AGAIN, Timer::Refresh(leg))),
        }
    }

    /// The session of a leg may have expired.
    pub(super) fn on_expire_timer(&mut self, now: Instant, leg: usize, want: &mut Wants) {
        match self.legs[leg].session {
            Some(session) if session.expires > now => self.timers.push((session.expires, Timer::Expire(leg))),
            Some(session) => {
                self.seen.expired += u64::from(!session.is_ours);
                self.hang_up(now, leg, want);
            }
            None => {}
        }
    }
}

const ALLOW: &str = "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO\r\n";

/// Seconds and refresher.
fn read(value: &str) -> Option<(u64, &str)> {
    let (secs, rest) = value.split_once(';').unwrap_or((value, ""));
    Some((secs.parse().ok()?, rest.strip_prefix("refresher=").unwrap_or("")))
}
