//! Calls that come to this phone (RFC 3261 13.3, RFC 3262 3).

use super::Phone;
use super::call::{Call, State};
use super::dialog::Dialog;
use super::event::{Event, Party};
use super::inbound::Reply;
use super::message::{ALLOW, SDP, sender};
use super::sdp::{self, Origin};
use super::server::ServerId;
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
        // what could not be answered does not ring (13.3.1)
        let origin = Origin { id: self.rng.next_u64() >> 16, version: 1, media: self.media_addr };
        let offer = message.body_of(SDP);
        let tried = offer.map(|body| sdp::answer(body, origin, &self.settings.codecs, Direction::SendRecv));
        if let Some(Err(code)) = tried {
            self.event(Event::Notice(format!("a call from {party} offers nothing that we can take: {code}")));
            return self.respond(now, id, code, Reply::default());
        }
        let tag = super::token(&mut self.rng);
        let mut call =
            Call::new(State::Ringing(id), party.clone(), Dialog::of_request(message, &tag), origin);
        call.answer_at = self.auto_answer.map(|after| now + after);
        call.offers_in_answer = offer.is_none();
        self.call = Some(call);
        let has = |id| message.lists(id, "100rel");
        let reliable = has(HeaderId::Require) || (has(HeaderId::Supported) && self.settings.reliable_ringing);
        // RFC 3262 3: the first number is of the lower half
        let rseq = reliable.then(|| 1 + self.rng.below(1 << 31) as u32);
        let headers = vec![("Contact", self.contact_in_call()), ("Allow", ALLOW.to_owned())];
        self.respond(now, id, 180, Reply { headers, tag: Some(tag), rseq, body: Vec::new() });
        self.event(Event::Incoming(party));
        self.tick_call(now);
    }

    /// Answers the call that rings.
    pub fn answer(&mut self, now: Instant) -> Result<(), String> {
        let (id, tag) = self.ringing()?;
        let codecs = self.settings.codecs.clone();
        let contact = self.contact_in_call();
        let offer = self.servers.request(id).and_then(|m| m.body_of(SDP).map(<[u8]>::to_vec));
        let call = self.call.as_mut().ok_or("no call rings")?;
        let origin = call.origin;
        call.answer_at = None;
        let (body, agreed) = match &offer {
            Some(offer) => match sdp::answer(offer, origin, &codecs, Direction::SendRecv) {
                Ok((body, agreed)) => (body, Some(agreed)),
                Err(code) => return self.reject(now, code),
            },
            None => (sdp::offer(origin, &codecs, Direction::SendRecv), None),
        };
        call.state = State::Up;
        let headers =
            vec![("Contact", contact), ("Allow", ALLOW.to_owned()), ("Supported", "100rel".to_owned())];
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

    /// The INVITE that rings, and our tag.
    fn ringing(&self) -> Result<(ServerId, String), String> {
        let call = self.call.as_ref().ok_or("no call rings")?;
        let State::Ringing(id) = call.state else { return Err("no call rings".to_owned()) };
        let tag = call.dialog.local.rsplit(";tag=").next().unwrap_or_default().to_owned();
        Ok((id, tag))
    }
}
