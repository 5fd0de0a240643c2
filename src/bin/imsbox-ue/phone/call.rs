//! A call: its states, and what both sides of it have in common.

use super::change::Pending;
use super::client::Purpose;
use super::codec::Codec;
use super::dialog::Dialog;
use super::event::{Ended, Event, Party};
use super::media::{Media, Report, Stream};
use super::message::Request;
use super::precondition::Resources;
use super::sdp::{self, Agreed, Agreement, Origin, Own, Slot};
use super::server::ServerId;
use super::sound::Sound;
use super::timer::Timing;
use super::{Output, Phone};
use imsbox::base::time::{Duration, Instant};
use imsbox::wire::sdp::Direction;
use imsbox::wire::sip::{HeaderId, Message, Method};

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
    /// The sound.
    pub media: Option<Media>,
    /// The pictures.
    pub video: Option<Media>,
    /// Our description: id and version.
    origin: Origin,
    /// What it has said last.
    described: Vec<u8>,
    /// Whether an offer of ours waits for its answer in the ACK: their INVITE had none.
    pub(super) offers_in_answer: bool,
    /// Whether the ringing has been told.
    pub(super) has_rung: bool,
    /// The last reliable provisional response that was taken, by tag (RFC 3262 4).
    pub(super) last_rseqs: Vec<(String, u32)>,
    /// What was agreed on before the call is answered.
    pub(super) early: Option<Agreement>,
    /// The places of the descriptions.
    slots: Vec<Slot>,
    /// Whether we take pictures.
    takes_video: bool,
    /// Its preconditions, when it has some.
    pub resources: Option<Resources>,
    /// Whether their call rings here.
    pub is_alerting: bool,
    /// The number of our next reliable provisional response, when they are reliable (RFC 3262 3).
    pub(super) next_rseq: Option<u32>,
    /// The timer of the session.
    pub timing: Timing,
    /// Whether the other side takes UPDATE.
    pub(super) allows_update: bool,
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
    /// A change of ours that is under way.
    pub(super) change: Option<Pending>,
}

impl Call {
    pub(super) fn new(
        state: State,
        party: String,
        dialog: Dialog,
        origin: Origin,
        takes_video: bool,
    ) -> Call {
        Call {
            state,
            party,
            dialog,
            media: None,
            video: None,
            origin,
            described: Vec::new(),
            offers_in_answer: false,
            has_rung: false,
            last_rseqs: Vec::new(),
            early: None,
            slots: vec![Slot::Audio],
            takes_video,
            resources: None,
            is_alerting: false,
            next_rseq: None,
            timing: Timing::default(),
            allows_update: false,
            duration: None,
            ends_at: None,
            answer_at: None,
            is_held: false,
            is_held_by_them: false,
            change: None,
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
        let streams = [&self.media, &self.video].map(|m| m.as_ref().map(Media::next_deadline));
        let retry = self.change.and_then(|pending| pending.retry_at);
        let resources = self.resources.and_then(|r| r.next_deadline());
        let session = self.timing.session.filter(|_| self.is_up());
        // a refresh waits for a change that is under way
        let refresh = session.and_then(|s| s.refresh_at).filter(|_| self.change.is_none());
        let own = [self.ends_at, self.answer_at, retry, resources, session.map(|s| s.ends_at), refresh];
        streams.into_iter().chain(own).flatten().min()
    }

    /// Our tag.
    pub(super) fn tag(&self) -> String {
        self.dialog.local.rsplit(";tag=").next().unwrap_or_default().to_owned()
    }

    /// What our description says.
    fn own<'a>(&self, codecs: &'a [Codec], direction: Direction) -> Own<'a> {
        let (origin, video, resources) = (self.origin, self.takes_video, self.resource_lines());
        Own { origin, codecs, direction, video, resources }
    }

    /// The call is to have pictures.
    pub(super) fn add_pictures(&mut self) {
        self.slots.push(Slot::Video);
    }

    /// The places of the offer that began the call.
    pub(super) fn offered(&self) -> Vec<Slot> {
        self.slots.clone()
    }

    /// The places of our next description.
    pub(super) fn slots(&self) -> Vec<Slot> {
        self.early.as_ref().map_or(&self.slots, |early| &early.slots).clone()
    }

    /// Takes note of what the other side can do.
    pub(super) fn note_allow(&mut self, message: &Message<'_>) {
        if message.header(HeaderId::Allow).is_some() {
            self.allows_update = message.lists(HeaderId::Allow, "UPDATE");
        }
    }

    /// What we would do with media: only send while we hold.
    pub(super) fn willing(&self) -> Direction {
        if self.is_held { Direction::SendOnly } else { Direction::SendRecv }
    }

    /// Our next description: with the version of the last one as long as it says the same (RFC 3264 8, RFC 4028 7.4).
    fn describe<T>(
        &mut self,
        codecs: &[Codec],
        direction: Direction,
        render: impl Fn(&Own<'_>) -> Result<(Vec<u8>, T), u16>,
    ) -> Result<(Vec<u8>, T), u16> {
        let mut made = render(&self.own(codecs, direction))?;
        if !self.described.is_empty() && made.0 != self.described {
            self.origin.version += 1;
            made = render(&self.own(codecs, direction))?;
        }
        self.described.clone_from(&made.0);
        Ok(made)
    }

    /// Our next offer.
    pub(super) fn offer(&mut self, codecs: &[Codec], direction: Direction) -> Vec<u8> {
        let slots = self.slots();
        let made = self.describe(codecs, direction, |own| Ok((sdp::offer(own, &slots), ())));
        made.map_or(Vec::new(), |(octets, ())| octets)
    }

    /// Our answer to an offer, or the status that refuses it.
    pub(super) fn answer(
        &mut self,
        offer: &[u8],
        codecs: &[Codec],
        direction: Direction,
    ) -> Result<(Vec<u8>, Agreement), u16> {
        self.describe(codecs, direction, |own| sdp::answer(offer, own))
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
        let peer = self.security.way(self.settings.transport);
        let octets = ack.octets(&self.via(peer, &own));
        self.send(peer, octets.clone());
        self.clients.remember_ack(branch, tag, octets);
    }

    /// Takes an agreement: for the streams of a call that is answered, for later before that.
    pub(super) fn settle(&mut self, now: Instant, agreement: Agreement) {
        let Some(call) = self.call.as_mut() else { return };
        if call.is_up() {
            self.agree(now, agreement);
        } else {
            call.early = Some(agreement);
        }
    }

    /// Starts the streams, or goes on with them under a new agreement.
    pub(super) fn agree(&mut self, now: Instant, agreement: Agreement) {
        let sound = self.sound.clone();
        let Some(call) = self.call.as_mut() else { return };
        let muted = call.is_held;
        call.early = None;
        call.slots = agreement.slots;
        match &mut call.media {
            Some(media) => media.renew(now, agreement.audio, muted),
            None => {
                let mut media = Media::new(now, agreement.audio, sound, &mut self.rng);
                if self.settings.record.is_some() {
                    media.record();
                }
                call.media = Some(media);
            }
        }
        match (&mut call.video, agreement.video) {
            (Some(video), Some(agreed)) => video.renew(now, agreed, muted),
            (Some(video), None) => {
                let silent = Agreed { direction: Direction::Inactive, ..*video.agreed() };
                video.renew(now, silent, true);
            }
            (None, Some(agreed)) => {
                call.video = Some(Media::new(now, agreed, Sound::Tone(0.0), &mut self.rng));
            }
            (None, None) => {}
        }
        self.set_mute(now, self.is_mute);
    }

    /// The call is over: its streams end, and it is told.
    pub(super) fn end_call(&mut self, by: Party, code: u16, words: &str) {
        let Some(mut call) = self.call.take() else { return };
        let recorded = call.media.as_mut().and_then(Media::take_recorded);
        self.out.extend(recorded.map(Output::Recorded));
        let report: Option<Report> = call.media.as_ref().map(Media::report);
        let video: Option<Report> = call.video.as_ref().map(Media::report);
        self.last_reports = (report, video);
        self.last_keys = call.media.map_or(String::new(), |mut media| media.heard().keys().to_owned());
        self.code = Some(code);
        self.event(Event::Ended(Ended { by, code, words: words.to_owned(), report, video }));
    }

    pub(super) fn tick_call(&mut self, now: Instant) {
        let Some(call) = self.call.as_mut() else { return };
        for (stream, media) in [(Stream::Audio, &mut call.media), (Stream::Video, &mut call.video)] {
            let mut out = Vec::new();
            if let Some(media) = media {
                media.tick(now, &mut self.rng, &mut out);
            }
            self.out.extend(out.into_iter().map(|wanted| Output::Media(stream, wanted)));
        }
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let (ends, answers) = (due(call.ends_at), due(call.answer_at));
        let retries = due(call.change.and_then(|pending| pending.retry_at));
        if ends {
            call.ends_at = None;
            // it may have begun to end by itself
            let _ = self.hang_up(now);
        } else if answers {
            call.answer_at = None;
            let _ = self.answer(now);
        } else if retries {
            self.send_change(now);
        }
        self.tick_resources(now);
        self.tick_timer(now);
    }

    /// A call that is up for as long as was asked.
    pub(super) fn begin(&mut self, now: Instant) {
        let Some(call) = self.call.as_mut() else { return };
        call.state = State::Up;
        call.ends_at = call.duration.map(|d| now + d);
        let codecs: Vec<Codec> =
            [&call.media, &call.video].into_iter().flatten().map(|m| m.agreed().codec).collect();
        let party = call.party.clone();
        self.code = Some(200);
        self.event(Event::Answered(codecs, party));
    }
}
