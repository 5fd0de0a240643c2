//! Calls that this phone makes (RFC 3261 13.2, RFC 3262 4).

use super::Phone;
use super::call::{Call, State};
use super::client::Purpose;
use super::dialog::Dialog;
use super::event::{Event, Party};
use super::features::MMTEL;
use super::message::{ALLOW, Request, SDP, host, refusal, to_tag};
use super::register::default_identity;
use super::sdp::{self, Agreed, Origin};
use imsbox::base::time::{Duration, Instant};
use imsbox::wire::sdp::Direction;
use imsbox::wire::sip::{HeaderId, Message, Method, Uri};

/// The time after which a re-INVITE that met another one is sent again (RFC 3261 14.1).
const GLARE: Duration = Duration::from_millis(2100);

impl Phone {
    /// Calls a number or a URI, to hang up after `duration` of talking.
    pub fn make_call(
        &mut self,
        now: Instant,
        callee: &str,
        duration: Option<Duration>,
    ) -> Result<(), String> {
        if self.call.is_some() {
            return Err("there is a call already".to_owned());
        }
        let uri = callee_uri(callee, &self.settings.domain)?;
        let identity = default_identity(&self.registration, &self.settings.impu).to_owned();
        let origin = Origin { id: self.rng.next_u64() >> 16, version: 1, media: self.media_addr };
        let dialog = Dialog {
            call_id: format!("{}@{}", super::token(&mut self.rng), host(self.local.ip())),
            local: format!("<{identity}>;tag={}", super::token(&mut self.rng)),
            remote: format!("<{uri}>"),
            target: uri.clone(),
            route: self.route(),
            local_cseq: 0,
            remote_cseq: None,
        };
        let mut call = Call::new(State::Calling(String::new()), uri, dialog, origin);
        call.duration = duration;
        let headers = vec![
            ("Contact", self.contact_in_call()),
            ("Accept-Contact", format!("*;{MMTEL}")),
            ("Allow", ALLOW.to_owned()),
            ("Supported", "100rel".to_owned()),
            ("P-Preferred-Identity", format!("<{identity}>")),
            ("P-Preferred-Service", "urn:urn-7:3gpp-service.ims.icsi.mmtel".to_owned()),
            ("Accept", SDP.to_owned()),
        ];
        let mut request = call.dialog.request(Method::Invite, headers);
        request.body = sdp::offer(origin, &self.settings.codecs, Direction::SendRecv);
        self.call = Some(call);
        let branch = self.send_request(now, request, Purpose::Invite);
        self.call_on(branch);
        Ok(())
    }

    /// The routes of a request outside of a dialog: the P-CSCF, then those it gave us (TS 24.229 5.1.2A.1.1).
    pub(super) fn route(&self) -> Vec<String> {
        if self.registration.service_route.is_empty() {
            return Vec::new();
        }
        let pcscf = format!("<sip:{}:{};lr>", host(self.settings.pcscf.ip()), self.settings.pcscf.port());
        // the P-CSCF may have named itself
        let is_it = |route: &String| route.contains(&self.settings.pcscf.to_string());
        let first = (!self.registration.service_route.first().is_some_and(is_it)).then_some(pcscf);
        first.into_iter().chain(self.registration.service_route.iter().cloned()).collect()
    }

    /// The INVITE of the call goes on under this branch.
    pub(super) fn call_on(&mut self, branch: String) {
        if let Some(call) = &mut self.call {
            call.state = State::Calling(branch);
        }
    }

    /// RFC 3261 9.1: a CANCEL waits for a provisional response.
    pub(super) fn cancel_if_possible(&mut self, now: Instant) {
        let Some(State::Cancelling(branch, false)) = self.call.as_ref().map(|c| c.state.clone()) else {
            return;
        };
        let Some((request, true)) = self.clients.invite(&branch) else { return };
        let cancel = request.cancel();
        self.clients.shorten(now, &branch);
        self.send_under(now, branch.clone(), cancel, Purpose::Cancel);
        if let Some(call) = &mut self.call {
            call.state = State::Cancelling(branch, true);
        }
    }

    pub(super) fn on_provisional(&mut self, now: Instant, message: &Message<'_>) {
        self.cancel_if_possible(now);
        let status = message.status();
        if status == 100 || to_tag(message).is_empty() {
            return;
        }
        self.acknowledge_provisional(now, message);
        let Some(call) = self.call.as_mut().filter(|c| matches!(c.state, State::Calling(_))) else { return };
        if let Some(body) = message.body_of(SDP)
            && let Ok(agreed) = sdp::read_answer(body)
        {
            call.early = Some(agreed);
        }
        if status == 180 && !call.has_rung {
            call.has_rung = true;
            self.event(Event::Ringing);
        }
    }

    /// RFC 3262 4: each reliable response of a dialog has one PRACK, in the order of RSeq.
    fn acknowledge_provisional(&mut self, now: Instant, message: &Message<'_>) {
        let Some(rseq) = message.rseq().filter(|_| message.lists(HeaderId::Require, "100rel")) else {
            return;
        };
        let tag = to_tag(message);
        let Some(call) = self.call.as_mut() else { return };
        let (State::Calling(branch) | State::Cancelling(branch, _)) = call.state.clone() else { return };
        match &call.last_rseq {
            // one that came before, or before its predecessor, is not acknowledged
            Some((known, last)) if *known == tag && rseq != last + 1 => return,
            _ => call.last_rseq = Some((tag, rseq)),
        }
        let Some((invite, _)) = self.clients.invite(&branch) else { return };
        let mut early = Dialog::of_response(invite, message);
        let rack = format!("{rseq} {} INVITE", invite.cseq);
        early.local_cseq = call.dialog.local_cseq;
        let prack = early.request(Method::Prack, vec![("RAck", rack)]);
        call.dialog.local_cseq = early.local_cseq;
        self.send_request(now, prack, Purpose::Prack);
    }

    pub(super) fn on_invite_answer(
        &mut self,
        now: Instant,
        request: &Request,
        branch: &str,
        answer: &Message<'_>,
    ) {
        let status = answer.status();
        let Some(call) = self.call.as_mut().filter(|c| c.dialog.call_id == request.call_id) else { return };
        let was_wanted = call.is_wanted();
        if status >= 300 {
            let words = match was_wanted {
                true => refusal(answer),
                false => "cancelled".to_owned(),
            };
            let by = if was_wanted { Party::They } else { Party::We };
            return self.end_call(by, status, &words);
        }
        let number = call.dialog.local_cseq;
        call.dialog = Dialog::of_response(request, answer);
        call.dialog.local_cseq = number;
        let (dialog, early) = (call.dialog.clone(), call.early);
        self.acknowledge(&dialog, request, branch, to_tag(answer));
        if !was_wanted {
            // the answer and the CANCEL have met on the way
            self.send_bye(now);
            return self.end_call(Party::We, 487, "cancelled");
        }
        match agreement(answer, early) {
            Ok(agreed) => {
                self.agree(now, agreed);
                self.begin(now);
            }
            Err(words) => {
                self.send_bye(now);
                self.end_call(Party::We, 488, &format!("the answer cannot be used: {words}"));
            }
        }
    }

    /// RFC 3261 13.2.2.4: a second answer of a fork is acknowledged and ended at once.
    pub(super) fn end_fork(&mut self, now: Instant, request: &Request, branch: &str, answer: &Message<'_>) {
        let mut dialog = Dialog::of_response(request, answer);
        self.acknowledge(&dialog, request, branch, to_tag(answer));
        let bye = dialog.request(Method::Bye, Vec::new());
        self.send_request(now, bye, Purpose::Bye);
        self.event(Event::Notice("a second phone has answered the call: its leg is ended".to_owned()));
    }

    pub(super) fn on_reinvite_answer(
        &mut self,
        now: Instant,
        request: &Request,
        branch: &str,
        answer: &Message<'_>,
    ) {
        let status = answer.status();
        let delay = GLARE + Duration::from_millis(self.rng.below(1900));
        let Some(call) = self.call.as_mut().filter(|c| c.dialog.call_id == request.call_id) else {
            if status < 300 {
                let dialog = Dialog::of_response(request, answer);
                self.acknowledge(&dialog, request, branch, to_tag(answer));
            }
            return;
        };
        if status < 300 {
            call.dialog.refresh(answer);
            let dialog = call.dialog.clone();
            self.acknowledge(&dialog, request, branch, to_tag(answer));
        }
        let Some(call) = self.call.as_mut() else { return };
        let Some((hold, _)) = call.wish.take() else { return };
        match status {
            200..300 => {
                match answer.body_of(SDP).ok_or("no description".to_owned()).and_then(sdp::read_answer) {
                    Ok(agreed) => {
                        call.is_held = hold;
                        self.agree(now, agreed);
                        self.event(Event::Held(hold));
                    }
                    Err(_) => self.event(Event::HoldRefused(488)),
                }
            }
            491 => call.wish = Some((hold, Some(now + delay))),
            // RFC 3261 12.2.1.2: the other side knows nothing of the call
            408 | 481 => {
                self.send_bye(now);
                self.end_call(Party::They, status, "the other side has no such call");
            }
            _ => self.event(Event::HoldRefused(status)),
        }
    }
}

/// What the final answer says of media, or an earlier one did (RFC 3264, RFC 6337 2.1).
fn agreement(answer: &Message<'_>, early: Option<Agreed>) -> Result<Agreed, String> {
    match answer.body_of(SDP) {
        Some(body) => sdp::read_answer(body),
        None => early.ok_or_else(|| "it has no description".to_owned()),
    }
}

/// The URI of what a person dials: a URI as it is, a number with `+` as a global one, another number in the home domain's
/// plan (TS 24.229 5.1.2A.1.3), a name as a user of the home domain.
pub fn callee_uri(callee: &str, domain: &str) -> Result<String, String> {
    let is_number = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '*' | '#' | '-' | '.'))
    };
    let uri = if callee.contains(':') {
        callee.to_owned()
    } else if callee.strip_prefix('+').is_some_and(is_number) {
        format!("tel:{callee}")
    } else if is_number(callee) {
        format!("tel:{};phone-context={domain}", callee.replace('#', "%23"))
    } else if callee.contains('@') {
        format!("sip:{callee}")
    } else {
        format!("sip:{callee}@{domain}")
    };
    match Uri::parse(uri.as_bytes()) {
        Some(_) => Ok(uri),
        None => Err(format!("`{callee}` is neither a number nor a name nor a URI")),
    }
}
