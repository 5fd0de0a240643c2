//! Calls that this phone makes (RFC 3261 13.2, RFC 3262 4).

use super::Phone;
use super::call::{Call, State};
use super::client::Purpose;
use super::dialog::Dialog;
use super::emergency::{ALTERNATIVE, alternative};
use super::event::{Event, Party};
use super::features::MMTEL;
use super::message::{ALLOW, Request, SDP, host, refusal, to_tag};
use super::precondition::Resources;
use super::register::default_identity;
use super::sdp::{self, Agreement, Origin, Slot};
use crate::settings::Reliable;
use imsbox::base::time::{Duration, Instant};
use imsbox::wire::sdp::Direction;
use imsbox::wire::sip::{HeaderId, Message, Method, Uri};

/// A call that is to be made.
pub(super) struct Wanted {
    pub(super) uri: String,
    /// From, without a tag.
    pub(super) from: String,
    /// The identity that it is made under; none without registration.
    pub(super) identity: Option<String>,
    pub(super) contact: String,
    pub(super) duration: Option<Duration>,
    pub(super) video: bool,
}

impl Phone {
    /// Calls a number or a URI, with pictures or without, to hang up after `duration` of talking.
    pub fn make_call(
        &mut self,
        now: Instant,
        callee: &str,
        duration: Option<Duration>,
        video: bool,
    ) -> Result<(), String> {
        let uri = callee_uri(callee, &self.settings.domain)?;
        let identity = default_identity(&self.registration, &self.settings.impu).to_owned();
        let from = format!("<{identity}>");
        let wanted =
            Wanted { uri, from, identity: Some(identity), contact: self.contact_in_call(), duration, video };
        self.place_call(now, wanted)
    }

    pub(super) fn place_call(&mut self, now: Instant, wanted: Wanted) -> Result<(), String> {
        if self.call.is_some() {
            return Err("there is a call already: `hangup` or `wait ended` first".to_owned());
        }
        let Wanted { uri, from, identity, contact, duration, video } = wanted;
        let origin = self.new_origin();
        let dialog = Dialog {
            call_id: format!("{}@{}", super::token(&mut self.rng), host(self.local.ip())),
            local: format!("{from};tag={}", super::token(&mut self.rng)),
            remote: format!("<{uri}>"),
            target: uri.clone(),
            route: self.route(),
            local_cseq: 0,
            remote_cseq: None,
        };
        let mut call = Call::new(State::Calling(String::new()), uri, dialog, origin, self.settings.video);
        call.duration = duration;
        if video {
            call.add_pictures();
        }
        if self.settings.precondition {
            call.resources = Some(Resources::new(self.settings.bearer_delay));
        }
        let mut headers = vec![
            ("Contact", contact),
            ("Accept-Contact", format!("*;{MMTEL}")),
            ("Allow", ALLOW.to_owned()),
            ("Supported", self.supported()),
            ("P-Preferred-Service", "urn:urn-7:3gpp-service.ims.icsi.mmtel".to_owned()),
            // TS 24.229 5.1.3.1: what is to come another way is told in the XML body of a 380
            ("Accept", format!("{SDP}, {ALTERNATIVE}")),
        ];
        headers.extend(identity.map(|identity| ("P-Preferred-Identity", format!("<{identity}>"))));
        if self.settings.reliable == Reliable::Required {
            headers.push(("Require", "100rel".to_owned()));
        }
        headers.extend(self.timer_headers());
        let mut request = call.dialog.request(Method::Invite, headers);
        request.body = call.offer(&self.settings.codecs, Direction::SendRecv);
        self.call = Some(call);
        let branch = self.send_request(now, request, Purpose::Invite);
        self.call_on(branch);
        Ok(())
    }

    /// Whose a new description is.
    pub(super) fn new_origin(&mut self) -> Origin {
        let (media, video_port) = (self.media_addr, self.video_port);
        Origin { id: self.rng.next_u64() >> 16, version: 1, media, video_port }
    }

    /// The extensions that the phone knows, for Supported.
    pub(super) fn supported(&self) -> String {
        let settings = &self.settings;
        let known = [
            (settings.reliable != Reliable::Off, "100rel"),
            (settings.precondition, "precondition"),
            (settings.session_secs > 0, "timer"),
        ];
        let names: Vec<&str> = known.iter().filter(|(is_on, _)| *is_on).map(|(_, name)| *name).collect();
        names.join(", ")
    }

    /// The routes of a request outside of a dialog: the P-CSCF, then those it gave us (TS 24.229 5.1.2A.1.1).
    pub(super) fn route(&self) -> Vec<String> {
        if self.registration.service_route.is_empty() {
            return Vec::new();
        }
        let server = self.security.server();
        let pcscf = format!("<sip:{}:{};lr>", host(server.ip()), server.port());
        // the P-CSCF may have named itself
        let is_it = |route: &String| route.contains(&server.to_string());
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
        self.follow_leg(message);
        if !self.acknowledge_provisional(now, message) {
            return;
        }
        let Some(call) = self.call.as_mut().filter(|c| matches!(c.state, State::Calling(_))) else { return };
        call.note_allow(message);
        let rings = status == 180 && !call.has_rung;
        call.has_rung |= rings;
        // each leg answers the offer that was made first
        if let Some(body) = message.body_of(SDP)
            && let Ok(mut agreement) = sdp::read_answer(body, &call.offered())
        {
            // one that may be lost is no answer yet (RFC 6337 3.1.1): resources wait for one that is
            if message.rseq().is_none() {
                agreement.qos = None;
            }
            if agreement.qos.is_none() && message.rseq().is_some() {
                call.resources = None;
            }
            self.learn_resources(now, agreement.qos);
            self.settle(now, agreement);
        }
        if rings {
            self.event(Event::Ringing);
        }
        self.resources_changed(now);
    }

    /// Our requests go to the leg that has answered last: an early dialog of its own (RFC 3261 12.1.2).
    fn follow_leg(&mut self, message: &Message<'_>) {
        let Some(call) = self.call.as_mut() else { return };
        let (State::Calling(branch) | State::Cancelling(branch, _)) = &call.state else { return };
        let Some((invite, _)) = self.clients.invite(branch) else { return };
        let leg = Dialog::of_response(invite, message);
        if leg.remote == call.dialog.remote {
            return call.dialog.refresh(message);
        }
        call.dialog = Dialog { local_cseq: call.dialog.local_cseq, ..leg };
    }

    /// RFC 3262 4: each reliable response of a dialog has one PRACK, in the order of RSeq. Whether it is a new one, or an
    /// unreliable one.
    fn acknowledge_provisional(&mut self, now: Instant, message: &Message<'_>) -> bool {
        let Some(rseq) = message.rseq().filter(|_| message.lists(HeaderId::Require, "100rel")) else {
            return true;
        };
        let tag = to_tag(message);
        let Some(call) = self.call.as_mut() else { return false };
        let Some(cseq) = message.cseq().map(|c| c.number) else { return false };
        match call.last_rseqs.iter_mut().find(|(known, _)| *known == tag) {
            // one that came before, or before its predecessor, is not acknowledged
            Some((_, last)) if rseq != last.wrapping_add(1) => return false,
            Some((_, last)) => *last = rseq,
            None => call.last_rseqs.push((tag, rseq)),
        }
        let prack = call.dialog.request(Method::Prack, vec![("RAck", format!("{rseq} {cseq} INVITE"))]);
        self.send_request(now, prack, Purpose::Prack);
        true
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
        if was_wanted && self.is_too_short(answer) {
            return self.invite_for_longer(now, request.clone());
        }
        let Some(call) = self.call.as_mut() else { return };
        if status >= 300 {
            // what has met the CANCEL on its way is the other side's own answer
            return match !was_wanted && status == 487 {
                true => self.end_call(Party::We, status, "cancelled"),
                false => {
                    let told = alternative(answer).unwrap_or_default();
                    self.end_call(Party::They, status, &(refusal(answer) + told));
                }
            };
        }
        let leg = Dialog::of_response(request, answer);
        let is_known = leg.remote == call.dialog.remote;
        let remote_cseq = call.dialog.remote_cseq.filter(|_| is_known);
        call.dialog = Dialog { local_cseq: call.dialog.local_cseq, remote_cseq, ..leg };
        call.note_allow(answer);
        // what another leg has said does not count for this one
        let early = call.early.take().filter(|_| is_known);
        let (dialog, offered) = (call.dialog.clone(), call.offered());
        self.acknowledge(&dialog, request, branch, to_tag(answer));
        if !was_wanted {
            // the answer and the CANCEL have met on the way
            self.send_bye(now);
            return self.end_call(Party::We, 487, "cancelled");
        }
        self.on_timer_answered(now, answer);
        match agreement(answer, early, &offered) {
            Ok(agreement) => {
                self.agree(now, agreement);
                self.begin(now);
                self.resources_changed(now);
            }
            Err(words) => {
                self.send_bye(now);
                self.end_call(Party::We, 488, &format!("the answer cannot be used: {words}"));
            }
        }
    }

    /// RFC 4028 7.3: somebody finds the session too short, so it is offered with the time that he names.
    fn invite_for_longer(&mut self, now: Instant, mut request: Request) {
        request.headers.retain(|(name, _)| !matches!(*name, "Session-Expires" | "Min-SE"));
        request.headers.extend(self.timer_headers());
        request.cseq += 1;
        if let Some(call) = &mut self.call {
            call.dialog.local_cseq = call.dialog.local_cseq.max(request.cseq);
        }
        let branch = self.send_request(now, request, Purpose::Invite);
        self.call_on(branch);
    }

    /// RFC 3261 13.2.2.4: a second answer of a fork is acknowledged and ended at once.
    pub(super) fn end_fork(&mut self, now: Instant, request: &Request, branch: &str, answer: &Message<'_>) {
        let mut dialog = Dialog::of_response(request, answer);
        self.acknowledge(&dialog, request, branch, to_tag(answer));
        let bye = dialog.request(Method::Bye, Vec::new());
        self.send_request(now, bye, Purpose::Bye);
        self.event(Event::Notice("a second phone has answered the call: its leg is ended".to_owned()));
    }
}

/// What the final answer says of media, or an earlier one did (RFC 3264, RFC 6337 2.1).
fn agreement(answer: &Message<'_>, early: Option<Agreement>, offered: &[Slot]) -> Result<Agreement, String> {
    match answer.body_of(SDP) {
        // RFC 6337 3.1.1: what was answered reliably is only repeated, and may have changed since
        Some(_) if early.as_ref().is_some_and(|e| e.qos.is_some()) => early.ok_or_else(String::new),
        Some(body) => sdp::read_answer(body, offered),
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
