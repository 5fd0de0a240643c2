//! What changes inside a call at our wish: hold and resume, the refresh of its session, resources that have come
//! (RFC 3261 14.1, RFC 3311 5.1, RFC 4028 7.4, RFC 3312 7). One at a time.

use super::Phone;
use super::call::Call;
use super::client::Purpose;
use super::dialog::Dialog;
use super::event::{Event, Party};
use super::message::{ALLOW, Request, SDP, to_tag};
use super::sdp;
use imsbox::base::time::{Duration, Instant};
use imsbox::wire::sdp::Direction;
use imsbox::wire::sip::{Message, Method};

/// The time after which a request that met another one is sent again (RFC 3261 14.1).
const GLARE: Duration = Duration::from_millis(2100);
/// The time after which a refresh that was refused is tried again.
const REFRESH_AGAIN: Duration = Duration::from_secs(10);

/// What is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// We hold the call, or no longer.
    Hold(bool),
    /// The session goes on.
    Refresh,
    /// Our resources have come.
    Resources,
}

/// A change under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What is to change.
    pub what: Change,
    /// When it is to be tried again; `None` while its request waits for an answer.
    pub retry_at: Option<Instant>,
}

impl Call {
    /// Whether an offer of ours waits for its answer.
    pub(super) fn has_asked(&self) -> bool {
        self.change.is_some_and(|pending| pending.retry_at.is_none())
    }

    /// The direction of an offer in which we hold, or not.
    fn direction(&self, hold: bool) -> Direction {
        match (hold, self.is_held_by_them) {
            (true, false) => Direction::SendOnly,
            (true, true) => Direction::Inactive,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::SendRecv,
        }
    }
}

impl Phone {
    /// Holds the call, or no longer.
    pub fn hold(&mut self, now: Instant, hold: bool) -> Result<(), String> {
        let call = self.call.as_mut().filter(|c| c.is_up()).ok_or("there is no call to hold or resume")?;
        if call.is_held == hold {
            return Err(if hold { "the call is held already" } else { "the call is not held" }.to_owned());
        }
        if call.change.is_some() {
            return Err("the last change of the call waits for its answer".to_owned());
        }
        self.start_change(now, Change::Hold(hold));
        Ok(())
    }

    pub(super) fn start_change(&mut self, now: Instant, what: Change) {
        if let Some(call) = &mut self.call {
            call.change = Some(Pending { what, retry_at: None });
            self.send_change(now);
        }
    }

    pub(super) fn send_change(&mut self, now: Instant) {
        let contact = self.contact_in_call();
        let codecs = self.settings.codecs.clone();
        let mut headers =
            vec![("Contact", contact), ("Allow", ALLOW.to_owned()), ("Supported", self.supported())];
        let Some(call) = self.call.as_ref() else { return };
        if call.is_up() {
            headers.extend(self.timer_headers());
        }
        let Some(call) = self.call.as_mut() else { return };
        let Some(pending) = call.change.as_mut() else { return };
        pending.retry_at = None;
        let what = pending.what;
        let is_update = match what {
            Change::Hold(_) => false,
            Change::Refresh => call.allows_update,
            Change::Resources => true,
        };
        let hold = if let Change::Hold(hold) = what { hold } else { call.is_held };
        let direction = call.direction(hold);
        let method = if is_update { Method::Update } else { Method::Invite };
        let mut request = call.dialog.request(method, headers);
        // RFC 4028 7.4: an UPDATE needs no offer to refresh
        if !(is_update && what == Change::Refresh) {
            request.body = call.offer(&codecs, direction);
        }
        self.send_request(now, request, if is_update { Purpose::Update } else { Purpose::Reinvite });
    }

    /// A change was not answered at all.
    pub(super) fn on_change_failed(&mut self, now: Instant) {
        let Some(call) = self.call.as_mut() else { return };
        if call.change.take().is_none() {
            return;
        }
        if call.is_up() {
            // RFC 3261 12.2.1.2: no answer at all ends the dialog
            self.send_bye(now);
            self.end_call(Party::They, 408, "no answer to a request inside the call");
        } else {
            // it may have begun to end by itself
            let _ = self.hang_up(now);
        }
    }

    pub(super) fn on_change_answer(
        &mut self,
        now: Instant,
        request: &Request,
        branch: &str,
        answer: &Message<'_>,
    ) {
        let status = answer.status();
        let is_ours = |c: &&mut Call| c.dialog.call_id == request.call_id;
        let is_taken_invite = status < 300 && request.method == Method::Invite;
        let Some(call) = self.call.as_mut().filter(is_ours) else {
            if is_taken_invite {
                let dialog = Dialog::of_response(request, answer);
                self.acknowledge(&dialog, request, branch, to_tag(answer));
            }
            return;
        };
        if status < 300 {
            call.dialog.refresh(answer);
            call.note_allow(answer);
            let dialog = call.dialog.clone();
            if is_taken_invite {
                self.acknowledge(&dialog, request, branch, to_tag(answer));
            }
        }
        let Some(call) = self.call.as_mut() else { return };
        let Some(Pending { what, .. }) = call.change.take() else { return };
        match status {
            200..300 => self.on_change_taken(now, what, request, answer),
            _ => self.on_change_refused(now, what, request, answer),
        }
        self.resources_changed(now);
    }

    fn on_change_taken(&mut self, now: Instant, what: Change, request: &Request, answer: &Message<'_>) {
        let Some(call) = self.call.as_mut() else { return };
        let is_up = call.is_up();
        let slots = call.slots();
        if is_up {
            self.on_timer_answered(now, answer);
        }
        if request.body.is_empty() {
            return;
        }
        let read = answer.body_of(SDP).ok_or("no description".to_owned());
        match read.and_then(|body| sdp::read_answer(body, &slots)) {
            Ok(agreement) => {
                self.learn_resources(now, agreement.qos);
                if let (Change::Hold(hold), Some(call)) = (what, self.call.as_mut()) {
                    call.is_held = hold;
                }
                self.settle(now, agreement);
                if let Change::Hold(hold) = what {
                    self.event(Event::Held(hold));
                }
            }
            Err(_) if matches!(what, Change::Hold(_)) => self.event(Event::HoldRefused(488)),
            Err(words) => {
                self.event(Event::Notice(format!("an answer inside the call cannot be used: {words}")))
            }
        }
    }

    fn on_change_refused(&mut self, now: Instant, what: Change, request: &Request, answer: &Message<'_>) {
        let delay = GLARE + Duration::from_millis(self.rng.below(1900));
        let is_too_short = self.is_too_short(answer);
        let Some(call) = self.call.as_mut() else { return };
        match answer.status() {
            491 => call.change = Some(Pending { what, retry_at: Some(now + delay) }),
            422 if is_too_short => self.start_change(now, what),
            // RFC 3261 12.2.1.2: the other side knows nothing of the call
            code @ (408 | 481) if call.is_up() => {
                self.send_bye(now);
                self.end_call(Party::They, code, "the other side has no such call");
            }
            405 | 501 if what == Change::Refresh && request.method == Method::Update => {
                call.allows_update = false;
                self.start_change(now, what);
            }
            code => match what {
                Change::Hold(_) => self.event(Event::HoldRefused(code)),
                Change::Refresh => self.refresh_later(now, REFRESH_AGAIN),
                Change::Resources => {
                    self.event(Event::Notice(format!("our resources are not wanted: {code}")));
                    let _ = self.hang_up(now);
                }
            },
        }
    }
}
