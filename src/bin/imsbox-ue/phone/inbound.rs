//! Requests that come in: told apart, answered; those inside a call (RFC 3261 12.2.2, 14.2, 15.1.2, RFC 3311, RFC 3262 3).

use super::Phone;
use super::event::{Event, Party};
use super::message::{ALLOW, Peer, SDP, USER_AGENT, response_addr, text, texts, via_received};
use super::sdp;
use super::server::{Came, Missed, ServerId};
use super::timer::SessionWish;
use crate::settings::{SIP_PORT, Transport};
use imsbox::base::time::Instant;
use imsbox::wire::sip::{HeaderId, Message, Method, Writer};

/// What an answer says beside its status.
#[derive(Debug, Default)]
pub struct Reply {
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// A session description; empty for none.
    pub body: Vec<u8>,
    /// The tag for To.
    pub tag: Option<String>,
    /// The number of a reliable provisional response.
    pub rseq: Option<u32>,
}

impl Reply {
    /// An answer with a description.
    pub fn described(body: Vec<u8>, headers: Vec<(&'static str, String)>) -> Reply {
        Reply { headers, body, ..Reply::default() }
    }
}

impl Phone {
    pub(super) fn on_request(&mut self, now: Instant, peer: Peer, message: &Message<'_>) {
        if message.check().is_err() {
            // who sends that would not understand an answer either, and it may be no answer that is needed
            return self.event(Event::Notice("a request with a defect came and was dropped".to_owned()));
        }
        let peer = match peer {
            Peer::Udp(source) => Peer::Udp(response_addr(message, source)),
            Peer::Protected(Transport::Udp, ours, theirs) => {
                let port = message.via().and_then(|v| v.port).unwrap_or(SIP_PORT);
                self.security.answer_way(ours, theirs, port)
            }
            other => other,
        };
        let mut sent = Vec::new();
        let came = self.servers.on_request(message, peer, &mut sent);
        self.send_all(sent);
        match came {
            Some(Came::New(id)) => self.on_new_request(now, id, message),
            Some(Came::Cancel(id, invite)) => {
                self.respond(now, id, 200, Reply::default());
                self.on_cancelled(now, invite);
            }
            Some(Came::Ack(_)) => self.on_ack(now, message),
            Some(Came::Again) | None => {}
        }
    }

    fn on_new_request(&mut self, now: Instant, id: ServerId, message: &Message<'_>) {
        let is_inside = message.to().is_some_and(|t| t.tag().is_some());
        match message.method() {
            // RFC 3261 9.2
            Method::Cancel => self.respond(now, id, 481, Reply::default()),
            _ if self.refuse_extensions(now, id, message) => {}
            Method::Notify => self.on_notify(now, id, message),
            _ if is_inside => self.on_request_in_call(now, id, message),
            Method::Invite => self.on_invite(now, id, message),
            Method::Options => {
                let headers = vec![
                    ("Allow", ALLOW.to_owned()),
                    ("Accept", format!("{SDP}, {}", self.accepted_texts())),
                ];
                self.respond(now, id, 200, Reply { headers, ..Reply::default() });
            }
            Method::Message => self.on_text(now, id, message),
            Method::Bye | Method::Prack | Method::Update => {
                self.respond(now, id, 481, Reply::default());
            }
            _ => self.refuse_method(now, id),
        }
    }

    /// RFC 3261 8.2.2.3: whether the request asks for something that the phone does not know, and is refused.
    fn refuse_extensions(&mut self, now: Instant, id: ServerId, message: &Message<'_>) -> bool {
        let supported = self.supported();
        let is_strange = |tag: &String| !supported.split(", ").any(|known| known.eq_ignore_ascii_case(tag));
        let strange: Vec<String> = texts(message, HeaderId::Require).into_iter().filter(is_strange).collect();
        if !strange.is_empty() {
            let headers = vec![("Unsupported", strange.join(", "))];
            self.respond(now, id, 420, Reply { headers, ..Reply::default() });
        }
        !strange.is_empty()
    }

    fn refuse_method(&mut self, now: Instant, id: ServerId) {
        self.respond(now, id, 405, Reply { headers: vec![("Allow", ALLOW.to_owned())], ..Reply::default() });
    }

    fn on_request_in_call(&mut self, now: Instant, id: ServerId, message: &Message<'_>) {
        let owner = self.call.as_mut().filter(|c| c.dialog.owns(message));
        let Some(call) = owner else { return self.respond(now, id, 481, Reply::default()) };
        if !call.dialog.take_number(message) {
            // RFC 3261 12.2.2: out of order
            return self.respond(now, id, 500, Reply::default());
        }
        match message.method() {
            Method::Bye => {
                self.respond(now, id, 200, Reply::default());
                let reason = text(message, HeaderId::Reason);
                let words = if reason.is_empty() { "the other side hung up".to_owned() } else { reason };
                self.end_call(Party::They, 200, &words);
            }
            Method::Prack => {
                match self.servers.on_prack(message) {
                    false => self.respond(now, id, 481, Reply::default()),
                    // RFC 3262 5: it may bring the next offer
                    true if message.body_of(SDP).is_some() => self.on_offer(now, id, message),
                    true => self.respond(now, id, 200, Reply::default()),
                }
                self.resources_changed(now);
            }
            Method::Invite | Method::Update => self.on_offer(now, id, message),
            Method::Message => self.on_text(now, id, message),
            Method::Options => {
                self.respond(
                    now,
                    id,
                    200,
                    Reply { headers: vec![("Allow", ALLOW.to_owned())], ..Reply::default() },
                );
            }
            _ => self.refuse_method(now, id),
        }
    }

    /// A re-INVITE, an UPDATE, or a PRACK with an offer (RFC 3261 14.2, RFC 3311 5.2, RFC 3262 5).
    fn on_offer(&mut self, now: Instant, id: ServerId, message: &Message<'_>) {
        let is_invite = message.method() == Method::Invite;
        let offer = message.body_of(SDP);
        let Some(call) = self.call.as_mut() else { return };
        let (is_up, has_asked) = (call.is_up(), call.has_asked());
        // 14.2, RFC 3311 5.2: two offers at once
        if (is_invite && !is_up) || (has_asked && (is_invite || offer.is_some())) {
            return self.respond(now, id, 491, Reply::default());
        }
        call.dialog.refresh(message);
        call.note_allow(message);
        if is_up && self.refuse_short_session(now, id, message) {
            return;
        }
        self.learn_resources(now, offer.and_then(sdp::their_resources));
        let mut headers = vec![
            ("Contact", self.contact_in_call()),
            ("Allow", ALLOW.to_owned()),
            ("Supported", self.supported()),
        ];
        let codecs = self.settings.codecs.clone();
        let Some(call) = self.call.as_mut() else { return };
        let willing = call.willing();
        let answered = match offer {
            None if is_invite => {
                // 14.2: an INVITE without an offer asks for ours, and the ACK brings the answer
                call.offers_in_answer = true;
                Ok((call.offer(&codecs, willing), None))
            }
            None => Ok((Vec::new(), None)),
            Some(offer) => {
                call.answer(offer, &codecs, willing).map(|(answer, agreement)| (answer, Some(agreement)))
            }
        };
        match answered {
            Err(code) => self.respond(now, id, code, Reply::default()),
            Ok((body, agreement)) => {
                if is_up {
                    headers.extend(self.accept_session(now, SessionWish::of(message)));
                }
                self.respond(now, id, 200, Reply::described(body, headers));
                if let (Some(agreement), Some(offer)) = (agreement, offer) {
                    self.settle(now, agreement);
                    self.note_held_by_them(offer);
                }
                self.resources_changed(now);
            }
        }
    }

    /// Tells when the other side begins or ends to hold.
    fn note_held_by_them(&mut self, offer: &[u8]) {
        let Some(call) = self.call.as_mut().filter(|c| c.is_up()) else { return };
        let is_held = sdp::is_held(offer);
        if call.is_held_by_them != is_held {
            call.is_held_by_them = is_held;
            self.event(Event::HeldByThem(is_held));
        }
    }

    /// An ACK to a success: it may bring the answer to an offer that our 200 made.
    fn on_ack(&mut self, now: Instant, message: &Message<'_>) {
        let Some(call) = self.call.as_mut().filter(|c| c.dialog.owns(message) && c.offers_in_answer) else {
            return;
        };
        call.offers_in_answer = false;
        let was_up = call.media.is_some();
        let slots = call.slots();
        let read = message.body_of(SDP).ok_or("it has no description".to_owned());
        match read.and_then(|body| sdp::read_answer(body, &slots)) {
            Ok(agreed) => {
                self.agree(now, agreed);
                if !was_up {
                    self.begin(now);
                }
            }
            Err(words) => {
                self.send_bye(now);
                self.end_call(Party::We, 488, &format!("the ACK cannot be used: {words}"));
            }
        }
    }

    /// What an answer of ours has waited for in vain.
    pub(super) fn on_missed(&mut self, now: Instant, missed: Missed) {
        match missed {
            // RFC 3261 13.3.1.4, 14.2: no ACK to a success ends the dialog
            Missed::Ack(id, status) if status < 300 => {
                let of_call = |call: &super::Call, phone: &Phone| {
                    phone
                        .servers
                        .request(id)
                        .is_none_or(|invite| super::server::call_id(&invite) == call.dialog.call_id)
                };
                if self.call.as_ref().is_some_and(|call| of_call(call, self)) {
                    self.send_bye(now);
                    self.end_call(Party::They, 408, "our answer was not acknowledged");
                }
            }
            Missed::Ack(..) => {}
            // RFC 3262 3: no PRACK
            Missed::Prack(id) => self.give_up_ringing(now, id),
        }
    }

    /// Answers a request. Every answer but 100 has a tag.
    pub(super) fn respond(&mut self, now: Instant, id: ServerId, status: u16, reply: Reply) {
        let (Some(peer), tag) =
            (self.servers.peer(id), reply.tag.unwrap_or_else(|| super::token(&mut self.rng)))
        else {
            return;
        };
        let Some(request) = self.servers.request(id) else { return };
        let via = match peer {
            Peer::Udp(source) => via_received(&request, source),
            _ => None,
        };
        let mut out = Vec::with_capacity(800);
        let mut w = Writer::response_to(
            &mut out,
            &request,
            status,
            None,
            via.as_deref().map(str::as_bytes),
            Some(tag.as_bytes()),
        );
        // RFC 3261 12.1.1: what makes a dialog repeats the route
        if request.method() == Method::Invite && (101..300).contains(&status) {
            w.copy(&request, HeaderId::RecordRoute);
        }
        for (name, value) in &reply.headers {
            w.header(name, value);
        }
        if let Some(rseq) = reply.rseq {
            w.header("Require", "100rel").header_fmt("RSeq", format_args!("{rseq}"));
        }
        if let Some((name, value)) = self.access_of_answer(request.method()) {
            w.header(name, value);
        }
        w.header("Server", USER_AGENT);
        if reply.body.is_empty() {
            w.finish()
        } else {
            w.body(SDP.as_bytes(), &reply.body)
        }
        self.send(peer, out.clone());
        self.servers.answered(now, id, status, out, reply.rseq);
    }
}
