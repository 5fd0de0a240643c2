//! Session timers as phones keep them (RFC 4028): who asks for one, who refreshes, and what becomes of a call that nobody refreshes.

use super::*;
use crate::phone::habits::{Move, What};

/// What both sides have agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    secs: u64,
    refreshes: bool,
    /// Each refresh has its number: timers of earlier ones mean nothing.
    number: u32,
}

/// The value of Session-Expires: seconds, and whether the one who asked refreshes, if it says so.
fn read(text: &Text) -> Option<(u64, Option<bool>)> {
    let value = text.get("Session-Expires");
    let secs = value.split(';').next()?.trim().parse().ok()?;
    let refresher = value.split(';').find_map(|p| p.trim().strip_prefix("refresher="));
    Some((secs, refresher.map(|r| r == "uac")))
}

/// Some phones say that they take UPDATE, and are refreshed by it; others by re-INVITE.
fn allow(secs: u64) -> &'static str {
    if secs == 90 { "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO\r\n" } else { "" }
}

fn supports(text: &Text) -> bool {
    text.all("Supported").flat_map(|v| v.split(',')).any(|t| t.trim() == "timer")
}

impl Phone {
    /// What a request of this phone says of the session (RFC 4028 7.1, 7.4).
    pub(super) fn session_offer(&self, leg: usize) -> String {
        let one = &self.legs[leg];
        let Some(least) = one.ways.timer else { return String::new() };
        // every other call leaves the refreshes to the server
        let first = (least, leg.is_multiple_of(2));
        let (secs, refreshes) = one.session.map_or(first, |s| (s.secs, s.refreshes));
        let who = if refreshes { "uac" } else { "uas" };
        format!("Supported: timer\r\nSession-Expires: {secs};refresher={who}\r\n{}", allow(least))
    }

    /// Takes the session of a request, and says what the 2xx says of it (RFC 4028 9).
    pub(super) fn session_answer(&mut self, now: Instant, leg: usize, request: &Text) -> String {
        if self.legs[leg].ways.timer.is_none() {
            return String::new();
        }
        let Some((secs, asked)) = read(request) else {
            // an UPDATE may cross the answer that begins the session (RFC 4028 7.4)
            assert_eq!(request.method(), "UPDATE", "{}: the server asks for a timer", self.name);
            return String::new();
        };
        assert!(supports(request), "{}: {}", self.name, request.start);
        let is_theirs = asked.unwrap_or(true);
        self.begin_session(now, leg, secs, !is_theirs);
        self.seen.was_refreshed += u64::from(self.legs[leg].state == State::Up && is_theirs);
        let allow = allow(self.legs[leg].ways.timer.unwrap_or_default());
        match is_theirs {
            true => format!("Require: timer\r\nSession-Expires: {secs};refresher=uac\r\n{allow}"),
            false => format!("Session-Expires: {secs};refresher=uas\r\n{allow}"),
        }
    }

    /// Takes the session of a 2xx to a request of this phone (RFC 4028 7.2).
    pub(super) fn session_agreed(&mut self, now: Instant, leg: usize, answer: &Text) {
        match read(answer) {
            // the other side refreshes alone
            Some((_, who)) if self.legs[leg].ways.timer.is_none() => {
                assert_eq!(who, Some(false), "{}: {}", self.name, answer.get("Session-Expires"));
                assert!(!answer.get("Require").contains("timer"), "{}", answer.get("Require"));
            }
            Some((secs, who)) => {
                assert!(answer.get("Require").contains("timer") || who == Some(false), "{}", answer.start);
                self.begin_session(now, leg, secs, who.expect("RFC 4028 9: it is settled who refreshes"));
            }
            None => assert!(self.legs[leg].ways.timer.is_none(), "{}: no timer is granted", self.name),
        }
    }

    fn begin_session(&mut self, now: Instant, leg: usize, secs: u64, refreshes: bool) {
        assert!(secs >= 90, "{}: a session of {secs} s (RFC 4028 5)", self.name);
        let number = self.legs[leg].session.map_or(0, |s| s.number + 1);
        self.legs[leg].session = Some(Session { secs, refreshes, number });
        let wait = if refreshes { secs / 2 } else { secs };
        self.timers.push((now + Duration::from_secs(wait), Timer::Session(leg, number)));
    }

    /// A refresh is due, or has not come.
    pub(super) fn on_session(&mut self, now: Instant, leg: usize, number: u32, want: &mut Wants) {
        let one = &self.legs[leg];
        let Some(session) = one.session.filter(|s| s.number == number && one.state == State::Up) else {
            return;
        };
        if !session.refreshes {
            self.seen.expired += 1;
            return self.hang_up(now, leg, want);
        }
        self.seen.refreshed += 1;
        // some phones refresh by UPDATE without a description, some by re-INVITE
        if session.number.is_multiple_of(2) {
            let offer = self.session_offer(leg);
            self.in_call(now, leg, "UPDATE", &offer, "", Purpose::Refresh(leg), want);
        } else {
            self.make_move(
                now,
                leg,
                Move { what: What::Same, by_update: false, at: Duration::ZERO },
                9,
                want,
            );
        }
    }

    /// The first final answer to an UPDATE that only refreshes.
    pub(super) fn on_refresh_answer(&mut self, now: Instant, leg: usize, text: &Text, want: &mut Wants) {
        match text.code() {
            200 => self.session_agreed(now, leg, text),
            // RFC 5057 5.1
            408 | 481 => self.end(leg),
            // the other side asks something at the same time, or the call is over
            487 | 491 | 500 => {
                if let Some(session) = self.legs[leg].session {
                    let soon = now + Duration::from_secs(3);
                    self.timers.push((soon, Timer::Session(leg, session.number)));
                }
            }
            _ => self.seen.odd += 1,
        }
        _ = want;
    }
}
