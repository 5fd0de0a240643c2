//! Calls that come to this phone (RFC 3261 13.3, RFC 3262 3).

use super::Phone;
use super::call::{Call, State};
use super::dialog::Dialog;
use super::event::{Event, Party};
use super::inbound::Reply;
use super::message::{ALLOW, SDP, sender};
use super::precondition::Resources;
use super::sdp;
use super::server::ServerId;
use super::timer::SessionWish;
use crate::settings::Reliable;
use imsbox::base::time::Instant;
use imsbox::wire::sdp::Direction;
use imsbox::wire::sip::{HeaderId, Message};

impl Phone {
    pub(super) fn on_invite(&mut self, now: Instant, id: ServerId, message: &Message<'_>) {
        let party = sender(message);
        if self.call.is_some() {
            self.event(Event::Notice(format!("a second call, from {party}, hears that we are busy")));
            return self.respond(now, id, 486, Reply::default());
        }
        if self.settings.reliable == Reliable::Required && !knows(message, "100rel") {
            // RFC 3261 21.4.15
            let headers = vec![("Require", "100rel".to_owned())];
            return self.respond(now, id, 421, Reply { headers, ..Reply::default() });
        }
        if self.refuse_short_session(now, id, message) {
            return;
        }
        let tag = super::token(&mut self.rng);
        let (dialog, origin) = (Dialog::of_request(message, &tag), self.new_origin());
        let mut call = Call::new(State::Ringing(id), party.clone(), dialog, origin, self.settings.video);
        call.note_allow(message);
        let reliable = self.settings.reliable != Reliable::Off && knows(message, "100rel");
        // RFC 3262 3: the first number is of the lower half
        call.next_rseq = reliable.then(|| 1 + self.rng.below(1 << 31) as u32);
        let offer = message.body_of(SDP);
        call.offers_in_answer = offer.is_none();
        let theirs = offer.and_then(sdp::their_resources);
        let waits = self.settings.precondition && reliable && knows(message, "precondition");
        if waits && theirs.is_some() {
            call.resources = Some(Resources::new(self.settings.bearer_delay));
        }
        self.call = Some(call);
        self.learn_resources(now, theirs);
        let Some(call) = self.call.as_mut() else { return };
        // what could not be answered does not ring (13.3.1)
        let tried = offer.map(|body| call.answer(body, &self.settings.codecs, Direction::SendRecv));
        match tried {
            Some(Err(code)) => {
                self.call = None;
                self.event(Event::Notice(format!(
                    "a call from {party} offers nothing that we can take: {code}"
                )));
                self.respond(now, id, code, Reply::default());
            }
            Some(Ok((body, agreement))) if call.resources.is_some() => {
                self.answer_early(now, id, body);
                self.settle(now, agreement);
                self.wait_for_resources(now);
                self.resources_changed(now);
            }
            _ => self.alert(now, id),
        }
    }

    /// The first answer of a call that waits for resources: a reliable 183 with our description (TS 24.229 5.1.4.1).
    fn answer_early(&mut self, now: Instant, id: ServerId, body: Vec<u8>) {
        let contact = self.contact_in_call();
        let Some(call) = self.call.as_mut() else { return };
        let headers =
            vec![("Contact", contact), ("Allow", ALLOW.to_owned()), ("Require", "precondition".to_owned())];
        let reply = Reply { headers, body, tag: Some(call.tag()), rseq: call.take_rseq() };
        self.respond(now, id, 183, reply);
    }

    /// Nothing is missing any more: the call rings.
    pub(super) fn alert(&mut self, now: Instant, id: ServerId) {
        let contact = self.contact_in_call();
        let answer_at = self.auto_answer.map(|after| now + after);
        let Some(call) = self.call.as_mut() else { return };
        call.is_alerting = true;
        call.answer_at = answer_at;
        if let Some(resources) = &mut call.resources {
            resources.fails_at = None;
        }
        let headers = vec![("Contact", contact), ("Allow", ALLOW.to_owned())];
        let reply = Reply { headers, tag: Some(call.tag()), rseq: call.take_rseq(), body: Vec::new() };
        let party = call.party.clone();
        self.respond(now, id, 180, reply);
        self.event(Event::Incoming(party));
        self.tick_call(now);
    }

    /// Answers the call that rings.
    pub fn answer(&mut self, now: Instant) -> Result<(), String> {
        let (id, tag) = self.ringing()?;
        let codecs = self.settings.codecs.clone();
        let mut headers = vec![
            ("Contact", self.contact_in_call()),
            ("Allow", ALLOW.to_owned()),
            ("Supported", self.supported()),
        ];
        let invite = self.servers.request(id);
        let offer = invite.and_then(|m| m.body_of(SDP).map(<[u8]>::to_vec));
        let wish = invite.map(|m| SessionWish::of(&m));
        let call = self.call.as_mut().ok_or("no call rings")?;
        if !call.is_alerting {
            return Err("the call does not ring yet: it waits for resources".to_owned());
        }
        call.answer_at = None;
        let (body, agreed) = match (call.early.take(), &offer) {
            // RFC 6337 3.1.1: what a reliable response has said is not said again
            (Some(early), _) => (Vec::new(), Some(early)),
            (None, Some(offer)) => match call.answer(offer, &codecs, Direction::SendRecv) {
                Ok((body, agreed)) => (body, Some(agreed)),
                Err(code) => return self.reject(now, code),
            },
            (None, None) => (call.offer(&codecs, Direction::SendRecv), None),
        };
        call.state = State::Up;
        headers.extend(wish.map_or(Vec::new(), |wish| self.accept_session(now, wish)));
        self.respond(now, id, 200, Reply { headers, body, tag: Some(tag), rseq: None });
        if let Some(agreed) = agreed {
            self.agree(now, agreed);
            self.begin(now);
        }
        Ok(())
    }

    /// Refuses the call that rings.
    pub fn reject(&mut self, now: Instant, code: u16) -> Result<(), String> {
        let (id, tag) = self.ringing()?;
        if !(300..700).contains(&code) {
            return Err(format!("{code} does not reject a call: 300 to 699 do"));
        }
        self.respond(now, id, code, Reply { tag: Some(tag), ..Reply::default() });
        self.end_call(Party::We, code, "we rejected it");
        Ok(())
    }

    /// The caller has given up (RFC 3261 9.2).
    pub(super) fn on_cancelled(&mut self, now: Instant, invite: ServerId) {
        if self.servers.is_answered(invite) {
            return;
        }
        match self.ringing() {
            Ok((id, tag)) if id == invite => {
                self.respond(now, id, 487, Reply { tag: Some(tag), ..Reply::default() });
                self.end_call(Party::They, 487, "the caller gave up");
            }
            _ => self.respond(now, invite, 487, Reply::default()),
        }
    }

    /// RFC 3262 3: a reliable response without its PRACK rejects the call.
    pub(super) fn give_up_ringing(&mut self, now: Instant, invite: ServerId) {
        if let Ok((id, tag)) = self.ringing()
            && id == invite
        {
            self.respond(now, id, 504, Reply { tag: Some(tag), ..Reply::default() });
            self.end_call(Party::They, 504, "our ringing was not acknowledged (no PRACK)");
        }
    }

    /// The INVITE that has no answer yet, and our tag.
    fn ringing(&self) -> Result<(ServerId, String), String> {
        let call = self.call.as_ref().ok_or("no call rings")?;
        let State::Ringing(id) = call.state else { return Err("no call rings".to_owned()) };
        Ok((id, call.tag()))
    }
}

impl Call {
    /// The number of a reliable provisional response, when they are reliable.
    fn take_rseq(&mut self) -> Option<u32> {
        let number = self.next_rseq?;
        self.next_rseq = Some(number + 1);
        Some(number)
    }
}

/// Whether the sender of a request knows an extension.
fn knows(message: &Message<'_>, extension: &str) -> bool {
    [HeaderId::Supported, HeaderId::Require].iter().any(|id| message.lists(*id, extension))
}
