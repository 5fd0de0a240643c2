//! A call: its states, and what both sides of it have in common.

use super::client::Purpose;
use super::dialog::Dialog;
use super::event::{Ended, Event, Party};
use super::media::{Media, Report};
use super::message::{ALLOW, Request};
use super::sdp::{self, Agreed, Origin};
use super::server::ServerId;
use super::{Output, Phone};
use imsbox::base::time::{Duration, Instant};
use imsbox::wire::sdp::Direction;
use imsbox::wire::sip::Method;

/// Where a call stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Our INVITE is out, under this branch.
    Calling(String),
    /// We have given up; what is left of the INVITE under this branch ends. Whether the CANCEL is out.
    Cancelling(String, bool),
    /// Their INVITE waits for a person.
    Ringing(ServerId),
    /// It goes on.
    Up,
}

/// A call.
#[derive(Debug)]
pub struct Call {
    /// Where it stands.
    pub state: State,
    /// Who the other side is, for a person.
    pub party: String,
    /// The dialog; as long as we are calling, what it will be made from.
    pub dialog: Dialog,
    /// The stream.
    pub media: Option<Media>,
    /// Our description: id and version.
    pub(super) origin: Origin,
    /// Whether an offer of ours waits for its answer in the ACK: their INVITE had none.
    pub(super) offers_in_answer: bool,
    /// Whether the ringing has been told.
    pub(super) has_rung: bool,
    /// The last reliable provisional response that was taken, by tag (RFC 3262 4).
    pub(super) last_rseq: Option<(String, u32)>,
    /// What early media has agreed on.
    pub(super) early: Option<Agreed>,
    /// How long it is to last.
    pub(super) duration: Option<Duration>,
    /// When it is to end.
    pub(super) ends_at: Option<Instant>,
    /// When it is to be answered.
    pub(super) answer_at: Option<Instant>,
    /// Whether we hold it.
    pub is_held: bool,
    /// Whether they hold it.
    pub is_held_by_them: bool,
    /// What a re-INVITE of ours asks for, and when it is to be tried again.
    pub(super) wish: Option<(bool, Option<Instant>)>,
}

impl Call {
    pub(super) fn new(state: State, party: String, dialog: Dialog, origin: Origin) -> Call {
        Call {
            state,
            party,
            dialog,
            media: None,
            origin,
            offers_in_answer: false,
            has_rung: false,
            last_rseq: None,
            early: None,
            duration: None,
            ends_at: None,
            answer_at: None,
            is_held: false,
            is_held_by_them: false,
            wish: None,
        }
    }

    /// Whether it is answered.
    pub fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// Whether nobody has given it up.
    pub fn is_wanted(&self) -> bool {
        !matches!(self.state, State::Cancelling(..))
    }

    /// When [`Phone::tick_call`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let media = self.media.as_ref().map(Media::next_deadline);
        let retry = self.wish.and_then(|(_, at)| at);
        [media, self.ends_at, self.answer_at, retry].into_iter().flatten().min()
    }

    /// What we would do with media: only send while we hold.
    pub(super) fn willing(&self) -> Direction {
        if self.is_held { Direction::SendOnly } else { Direction::SendRecv }
    }

    /// Our next description.
    pub(super) fn next_origin(&mut self) -> Origin {
        self.origin.version += 1;
        self.origin
    }
}

impl Phone {
    /// Ends the call, whatever it needs for that: CANCEL, a rejection, or BYE.
    pub fn hang_up(&mut self, now: Instant) -> Result<(), String> {
        let call = self.call.as_mut().ok_or("there is no call")?;
        match call.state.clone() {
            State::Calling(branch) => {
                call.state = State::Cancelling(branch, false);
                self.cancel_if_possible(now);
            }
            State::Cancelling(..) => return Err("the call is ending already".to_owned()),
            // RFC 3261 21.6.2: the person declines
            State::Ringing(_) => self.reject(now, 603)?,
            State::Up => {
                self.send_bye(now);
                self.end_call(Party::We, 200, "we hung up");
            }
        }
        Ok(())
    }

    /// Holds the call, or no longer.
    pub fn hold(&mut self, now: Instant, hold: bool) -> Result<(), String> {
        let call = self.call.as_mut().filter(|c| c.is_up()).ok_or("there is no call to hold or resume")?;
        if call.is_held == hold {
            return Err(if hold { "the call is held already" } else { "the call is not held" }.to_owned());
        }
        if call.wish.is_some() {
            return Err("the last hold or resume waits for its answer".to_owned());
        }
        call.wish = Some((hold, None));
        self.send_reinvite(now);
        Ok(())
    }

    pub(super) fn send_reinvite(&mut self, now: Instant) {
        let contact = self.contact_in_call();
        let codecs = self.settings.codecs.clone();
        let Some(call) = self.call.as_mut() else { return };
        let Some((hold, _)) = call.wish else { return };
        call.wish = Some((hold, None));
        let direction = match (hold, call.is_held_by_them) {
            (true, false) => Direction::SendOnly,
            (true, true) => Direction::Inactive,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::SendRecv,
        };
        let origin = call.next_origin();
        let headers =
            vec![("Contact", contact), ("Allow", ALLOW.to_owned()), ("Supported", "100rel".to_owned())];
        let mut request = call.dialog.request(Method::Invite, headers);
        request.body = sdp::offer(origin, &codecs, direction);
        self.send_request(now, request, Purpose::Reinvite);
    }

    /// The hold or resume could not be done: as if it had not been asked for.
    pub(super) fn on_reinvite_failed(&mut self, now: Instant) {
        if self.call.as_mut().and_then(|c| c.wish.take()).is_some() {
            // RFC 3261 12.2.1.2: no answer at all ends the dialog
            self.send_bye(now);
            self.end_call(Party::They, 408, "no answer to the re-INVITE");
        }
    }

    pub(super) fn send_bye(&mut self, now: Instant) {
        let Some(call) = self.call.as_mut() else { return };
        let bye = call.dialog.request(Method::Bye, Vec::new());
        self.send_request(now, bye, Purpose::Bye);
    }

    /// The ACK to a 2xx (RFC 3261 13.2.2.4): a request without a transaction, sent again for each 2xx that comes again.
    pub(super) fn acknowledge(&mut self, dialog: &Dialog, request: &Request, branch: &str, tag: String) {
        let mut ack = dialog.with_number(Method::Ack, request.cseq, Vec::new());
        // 22.2: with the credentials of its INVITE
        let is_proof = |(name, _): &&(&str, String)| name.ends_with("uthorization");
        ack.headers.extend(request.headers.iter().filter(is_proof).cloned());
        let own = format!("z9hG4bK{}", super::token(&mut self.rng));
        let octets = ack.octets(&self.via(&own));
        self.send(super::Peer::Server, octets.clone());
        self.clients.remember_ack(branch, tag, octets);
    }

    /// Starts the stream, or goes on with it under a new agreement.
    pub(super) fn agree(&mut self, now: Instant, agreed: Agreed) {
        let sound = self.sound.clone();
        let Some(call) = self.call.as_mut() else { return };
        let muted = call.is_held;
        match &mut call.media {
            Some(media) => media.renew(now, agreed, muted),
            None => call.media = Some(Media::new(now, agreed, sound, &mut self.rng)),
        }
    }

    /// The call is over: its stream ends, and it is told.
    pub(super) fn end_call(&mut self, by: Party, code: u16, words: &str) {
        let Some(call) = self.call.take() else { return };
        let report: Option<Report> = call.media.as_ref().map(Media::report);
        self.last_report = report;
        self.code = Some(code);
        self.event(Event::Ended(Ended { by, code, words: words.to_owned(), report }));
    }

    pub(super) fn tick_call(&mut self, now: Instant) {
        let Some(call) = self.call.as_mut() else { return };
        if let Some(media) = &mut call.media {
            let mut out = Vec::new();
            media.tick(now, &mut self.rng, &mut out);
            self.out.extend(out.into_iter().map(Output::Media));
        }
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let (ends, answers) = (due(call.ends_at), due(call.answer_at));
        let retries = due(call.wish.and_then(|(_, at)| at));
        if ends {
            call.ends_at = None;
            // it may have begun to end by itself
            let _ = self.hang_up(now);
        } else if answers {
            call.answer_at = None;
            let _ = self.answer(now);
        } else if retries {
            self.send_reinvite(now);
        }
    }

    /// A call that is up for as long as was asked.
    pub(super) fn begin(&mut self, now: Instant) {
        let Some(call) = self.call.as_mut() else { return };
        call.state = State::Up;
        call.ends_at = call.duration.map(|d| now + d);
        let agreed = call.media.as_ref().map(|m| *m.agreed());
        let party = call.party.clone();
        self.code = Some(200);
        self.event(Event::Answered(agreed.map(|a| a.codec), party));
    }
}
