//! The streams of our user agent: one media session, with a port pair of ours, for each stream that is taken.
//!
//! An offer is handled in two steps, as ports open outside of the core: [`Streams::prepare`] asks for those that are missing,
//! [`Streams::answer`] puts the offer into effect. An offer of ours is planned ([`Streams::plan`]), written ([`Streams::offer`])
//! and then answered or withdrawn. Nothing of a running call changes in between.

use super::sdp::{self, Allowed, Decision, Origin, Slot};
use crate::base::time::Instant;
use crate::config::model::Config;
use crate::ims::call::limits::MAX_STREAMS;
use crate::ims::view::MediaView;
use crate::proto::flow::LocalId;
use crate::proto::media::table::{Label, MediaTable, Treatment};
use crate::proto::outbox::{Outbox, Output};
use crate::wire::sdp::edit::QosEdit;
use crate::wire::sdp::{Direction, Media, MediaKind, Sdp, Template};
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;

/// Other ports are tried when a pair cannot be opened (some other program has it); this often for one request.
const OPEN_RETRIES: u8 = 8;

/// One stream.
#[derive(Clone, Copy, Debug)]
struct Stream {
    session: u64,
    port: u16,
    kind: MediaKind,
    direction: Direction,
    /// We hold it: nothing is received.
    held: bool,
    /// Opened for the offer that is being handled: closed again if that fails.
    is_new: bool,
}

/// All streams of one call, by the `m=` lines of its descriptions.
#[derive(Debug)]
pub(in crate::ims::call) struct Streams {
    local: LocalId,
    origin: Origin,
    allowed: Allowed,
    /// The media that are answered, whatever is offered, and offered when we are asked to.
    forced: Option<Arc<Template>>,
    lines: SmallVec<[Option<Stream>; 2]>,
    /// Sessions whose ports are being opened.
    opening: SmallVec<[u64; 2]>,
    retries_left: u8,
    /// The dialog's number, for the log.
    dialog: u32,
    treatment: Treatment,
    /// The last description that we sent.
    description: Vec<u8>,
    /// How it was before an offer of ours that has no answer yet.
    before: Option<Before>,
}

/// What an offer of ours has changed, should nothing come of it.
#[derive(Debug)]
struct Before {
    description: Vec<u8>,
    held: SmallVec<[bool; MAX_STREAMS]>,
}

/// What an offer of ours changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ims::call) enum Change {
    /// Nothing.
    Nothing,
    /// All that is in use is offered in both directions, or what we begin with: somebody asked for an offer.
    All,
    /// The streams of a kind, or all, are held or run again.
    Hold {
        /// Which.
        kind: Option<MediaKind>,
        /// Held.
        on: bool,
    },
    /// The streams of a kind are given up.
    Drop(MediaKind),
    /// These media.
    Media(Arc<Template>),
}

/// What became of [`Streams::prepare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ims::call) enum Prepared {
    /// Every port is there.
    Ready,
    /// Ports are being opened: [`Streams::on_opened`] will tell.
    Waits,
    /// No stream of the offer can be taken.
    NothingFits,
    /// No port or no session is left.
    NoRoom,
}

impl Streams {
    /// No streams yet; they will use the media address of `local`, be of these kinds, and as `forced` says if that is given.
    pub(in crate::ims::call) fn new(
        local: LocalId,
        origin: Origin,
        allowed: Allowed,
        forced: Option<Arc<Template>>,
    ) -> Self {
        Streams {
            local,
            origin,
            allowed,
            forced,
            lines: SmallVec::new(),
            opening: SmallVec::new(),
            retries_left: 0,
            dialog: 0,
            treatment: Treatment::default(),
            description: Vec::new(),
            before: None,
        }
    }

    /// The SIP socket whose media address they use.
    pub(in crate::ims::call) fn local(&self) -> LocalId {
        self.local
    }

    /// Says whose streams they are, by the number of the dialog, and what is done to their packets.
    pub(in crate::ims::call) fn treat(&mut self, dialog: u32, treatment: Treatment) {
        self.dialog = dialog;
        self.treatment = treatment;
    }

    /// What is done to the packets of streams that are opened from now on.
    pub(in crate::ims::call) fn treatment_mut(&mut self) -> &mut Treatment {
        &mut self.treatment
    }

    /// The description that [`Streams::answer`] or [`Streams::offer`] wrote last.
    pub(in crate::ims::call) fn description(&self) -> &[u8] {
        &self.description
    }

    /// Our media address.
    pub(in crate::ims::call) fn address(&self) -> IpAddr {
        self.origin.address
    }

    /// Opens what is missing for an offer, or, without one, for an offer of ours.
    pub(in crate::ims::call) fn prepare(
        &mut self,
        now: Instant,
        media: &mut MediaTable,
        out: &mut Outbox,
        offer: Option<&Sdp<'_>>,
    ) -> Prepared {
        self.retries_left = OPEN_RETRIES;
        let Some(offer) = offer else {
            let runs = self.lines.iter().any(Option::is_some);
            return if runs {
                self.prepared()
            } else {
                self.prepare_media(now, media, out, &self.beginning())
            };
        };
        let mut taken = 0;
        for (index, line) in offer.medias().enumerate() {
            if self.direction_of(&line, index, offer, taken).is_none() {
                continue;
            }
            taken += 1;
            let exists = self.lines.get(index).is_some_and(Option::is_some);
            if !exists && !self.open(now, media, out, index, line.kind) {
                self.undo(media, out);
                return Prepared::NoRoom;
            }
        }
        if taken == 0 { Prepared::NothingFits } else { self.prepared() }
    }

    /// Opens what is missing for an offer of these media.
    pub(in crate::ims::call) fn prepare_media(
        &mut self,
        now: Instant,
        media: &mut MediaTable,
        out: &mut Outbox,
        template: &Template,
    ) -> Prepared {
        self.retries_left = OPEN_RETRIES;
        for (index, place) in self.arrange(template).into_iter().enumerate() {
            let wanted = place.and_then(|at| template.medias().nth(at)).filter(|m| m.port != 0);
            let exists = self.lines.get(index).is_some_and(Option::is_some);
            if let Some(wanted) = wanted
                && !exists
                && !self.open(now, media, out, index, wanted.kind)
            {
                self.undo(media, out);
                return Prepared::NoRoom;
            }
        }
        self.prepared()
    }

    /// What we offer when we are asked to, before anything runs.
    fn beginning(&self) -> Arc<Template> {
        self.forced.clone().unwrap_or_else(|| Arc::new(Template::voice()))
    }

    /// The media of a template by the lines of our descriptions: those that are there keep their place (RFC 3264 8), each with the
    /// next media of its kind, further media come behind.
    fn arrange(&self, template: &Template) -> SmallVec<[Option<usize>; MAX_STREAMS]> {
        let mut left: SmallVec<[(usize, MediaKind); MAX_STREAMS]> =
            template.medias().map(|m| m.kind).enumerate().collect();
        let last = Sdp::parse(&self.description);
        let kinds = last.iter().flat_map(|sdp| sdp.medias()).map(|m| m.kind);
        let mut places: SmallVec<[Option<usize>; MAX_STREAMS]> = kinds
            .map(|kind| {
                let found = left.iter().position(|(_, other)| *other == kind)?;
                Some(left.remove(found).0)
            })
            .collect();
        places.extend(left.into_iter().map(|(at, _)| Some(at)));
        places
    }

    fn prepared(&self) -> Prepared {
        if self.opening.is_empty() { Prepared::Ready } else { Prepared::Waits }
    }

    /// The direction in which an offered stream is taken, if it is: of a kind that is allowed, of our address family, and
    /// not over the cap; and among those that are forced, if any are.
    fn direction_of(
        &self,
        line: &Media<'_>,
        index: usize,
        offer: &Sdp<'_>,
        taken: usize,
    ) -> Option<Direction> {
        let forced = match &self.forced {
            Some(template) => sdp::counterpart(template, offer, index)?.1,
            None => Direction::SendRecv,
        };
        Some(self.taken_direction(line, index, taken)?.within(forced))
    }

    /// The same, whatever is forced: of a stream in an answer.
    fn taken_direction(&self, line: &Media<'_>, index: usize, taken: usize) -> Option<Direction> {
        let same_family = line
            .connection()
            .is_some_and(|ip| ip.is_unspecified() || ip.is_ipv4() == self.origin.address.is_ipv4());
        let held = self.lines.get(index).copied().flatten().is_some_and(|s| s.held);
        match sdp::decide(line, self.allowed) {
            Decision::Take(direction) if same_family && taken < MAX_STREAMS => {
                Some(if held { direction.within(Direction::SendOnly) } else { direction })
            }
            _ => None,
        }
    }

    /// Whether an offer has a stream that waits for the offerer's resources.
    pub(in crate::ims::call) fn waits_for_resources(&self, offer: &Sdp<'_>) -> bool {
        sdp::waits_for_resources(offer, self.allowed)
    }

    fn open(
        &mut self,
        now: Instant,
        media: &mut MediaTable,
        out: &mut Outbox,
        index: usize,
        kind: MediaKind,
    ) -> bool {
        let Ok((session, port)) = media.open(now, self.local) else { return false };
        media.set_label(session, Label { dialog: self.dialog, media: kind.name() });
        media.set_treatment(session, self.treatment);
        out.push(Output::OpenMedia { session, local: self.local, port });
        self.opening.push(session);
        if self.lines.len() <= index {
            self.lines.resize(index + 1, None);
        }
        self.lines[index] =
            Some(Stream { session, port, kind, direction: Direction::SendRecv, held: false, is_new: true });
        true
    }

    /// Ports have been opened, or could not be: then others are tried. `Some` when all is settled: whether it went well.
    pub(in crate::ims::call) fn on_opened(
        &mut self,
        now: Instant,
        media: &mut MediaTable,
        out: &mut Outbox,
        session: u64,
        ok: bool,
    ) -> Option<bool> {
        let at = self.opening.iter().position(|s| *s == session)?;
        self.opening.remove(at);
        if !ok {
            let is_it = |l: &Option<Stream>| l.is_some_and(|s| s.session == session);
            let index = self.lines.iter().position(is_it)?;
            let kind = self.lines[index].take().map_or(MediaKind::Audio, |s| s.kind);
            // its sockets are not open: there is nothing to close outside
            media.close(session);
            let retry = self.retries_left > 0;
            self.retries_left = self.retries_left.saturating_sub(1);
            if !(retry && self.open(now, media, out, index, kind)) {
                self.undo(media, out);
                return Some(false);
            }
        }
        self.opening.is_empty().then_some(true)
    }

    /// Closes what was opened for an offer that came to nothing.
    fn undo(&mut self, media: &mut MediaTable, out: &mut Outbox) {
        self.opening.clear();
        for line in self.lines.iter_mut().filter(|l| l.is_some_and(|s| s.is_new)) {
            close(line.take(), media, out);
        }
    }

    /// Puts an offer into effect and writes our answer to it.
    pub(in crate::ims::call) fn answer(
        &mut self,
        media: &mut MediaTable,
        out: &mut Outbox,
        offer: &Sdp<'_>,
        with_qos: bool,
    ) {
        let mut slots: SmallVec<[Slot; MAX_STREAMS]> = SmallVec::new();
        let mut taken = 0;
        for (index, line) in offer.medias().enumerate() {
            let direction = self.direction_of(&line, index, offer, taken);
            taken += usize::from(direction.is_some());
            slots.push(self.apply(media, out, index, &line, direction));
        }
        self.origin.version += 1;
        let forced = self.forced.as_deref();
        sdp::write_answer(&mut self.description, offer, self.origin, &slots, forced, with_qos);
    }

    /// Puts one line of the peer's description into effect.
    fn apply(
        &mut self,
        media: &mut MediaTable,
        out: &mut Outbox,
        index: usize,
        line: &Media<'_>,
        direction: Option<Direction>,
    ) -> Slot {
        let entry = self.lines.get_mut(index)?;
        let Some(direction) = direction else {
            close(entry.take(), media, out);
            return None;
        };
        let stream = entry.as_mut()?;
        stream.is_new = false;
        stream.direction = direction;
        media.set_direction(stream.session, sdp::flow_direction(direction));
        media.set_remote(stream.session, sdp::remote_of(line));
        Some((stream.port, direction))
    }

    /// Sees whether an offer of ours can be made, and opens what it needs. The error says in words what it lacks.
    pub(in crate::ims::call) fn plan(
        &mut self,
        now: Instant,
        media: &mut MediaTable,
        out: &mut Outbox,
        change: &Change,
    ) -> Result<Prepared, String> {
        let has = |kind: MediaKind| self.lines.iter().flatten().any(|s| s.kind == kind);
        match change {
            Change::Hold { kind: Some(kind), .. } | Change::Drop(kind) if !has(*kind) => {
                Err(format!("the call has no {}", kind.name()))
            }
            Change::Drop(kind) if self.lines.iter().flatten().all(|s| s.kind == *kind) => {
                Err(format!("{} is all that the call has: stop ends it", kind.name()))
            }
            Change::Media(template) => Ok(self.prepare_media(now, media, out, &Arc::clone(template))),
            _ => Ok(self.prepared()),
        }
    }

    /// Whether all streams of a kind, or all there are, are held by us.
    pub(in crate::ims::call) fn are_held(&self, kind: Option<MediaKind>) -> bool {
        self.lines.iter().flatten().filter(|s| kind.is_none_or(|k| s.kind == k)).all(|s| s.held)
    }

    /// Writes an offer of ours. Until it is answered, or withdrawn, what it changes is not in effect.
    pub(in crate::ims::call) fn offer(&mut self, change: &Change) {
        let description = std::mem::take(&mut self.description);
        let held = self.lines.iter().map(|l| l.is_some_and(|s| s.held)).collect();
        self.origin.version += 1;
        match (change, Sdp::parse(&description)) {
            (Change::Media(template), last) => self.offer_media(template, last.ok().as_ref()),
            (_, Ok(last)) => self.offer_again(change, &last),
            (_, Err(_)) => self.offer_media(&self.beginning(), None),
        }
        self.before = Some(Before { description, held });
    }

    /// Writes the media of a template, each in its place, with what runs already on its port.
    fn offer_media(&mut self, template: &Template, last: Option<&Sdp<'_>>) {
        let places = self.arrange(template);
        let line = |(index, place): (usize, &Option<usize>)| {
            let wanted = place.and_then(|at| template.medias().nth(at)).filter(|m| m.port != 0);
            match (wanted, self.lines.get(index).copied().flatten()) {
                (Some(media), Some(stream)) => Some((media, Some(stream.port))),
                _ => {
                    let old = last.and_then(|sdp| sdp.medias().nth(index));
                    old.or_else(|| template.medias().nth((*place)?)).map(|media| (media, None))
                }
            }
        };
        let lines: SmallVec<[_; MAX_STREAMS]> = places.iter().enumerate().filter_map(line).collect();
        let mut out = Vec::new();
        sdp::write_media(&mut out, self.origin, &lines);
        self.lines.iter_mut().flatten().for_each(|s| s.held = false);
        self.description = out;
    }

    /// Writes our last description again, changed.
    fn offer_again(&mut self, change: &Change, last: &Sdp<'_>) {
        let edit = |stream: &mut Option<Stream>| {
            let s = stream.as_mut()?;
            let direction = match change {
                Change::Drop(kind) if s.kind == *kind => return None,
                Change::Hold { kind, on } if kind.is_none_or(|k| k == s.kind) => {
                    s.held = *on;
                    // RFC 6337 5.3: we say what we want; who holds us answers that it does
                    let peer_holds = *on && !s.direction.sends();
                    if peer_holds { Direction::Inactive } else { both_ways(*on) }
                }
                Change::All => both_ways(s.held),
                _ => s.direction,
            };
            Some(direction)
        };
        let directions: SmallVec<[_; MAX_STREAMS]> = self.lines.iter_mut().map(edit).collect();
        self.description = sdp::again(last, self.origin.version, &directions);
    }

    /// The last description with precondition lines: ours are met, as we reserve nothing.
    pub(in crate::ims::call) fn with_preconditions(&self, qos: QosEdit) -> Vec<u8> {
        Sdp::parse(&self.description).map_or_else(|_| Vec::new(), |sdp| sdp::with_qos(&sdp, qos))
    }

    /// Takes what was sent in the place of the last description.
    pub(in crate::ims::call) fn set_description(&mut self, description: Vec<u8>) {
        self.description = description;
    }

    /// Puts the answer to our offer into effect. `false`: it refuses every stream.
    pub(in crate::ims::call) fn take_answer(
        &mut self,
        media: &mut MediaTable,
        out: &mut Outbox,
        answer: &Sdp<'_>,
    ) -> bool {
        self.before = None;
        let offered = Sdp::parse(&self.description).map_or(0, |sdp| sdp.medias().count());
        let mut taken = 0;
        // RFC 3264 6: a line for each of the offer; one that is missing, or too many, is no stream
        for (index, line) in answer.medias().enumerate().take(offered) {
            let direction = self.taken_direction(&line, index, taken);
            let slot = self.apply(media, out, index, &line, direction);
            taken += usize::from(slot.is_some());
        }
        taken > 0
    }

    /// Nothing comes of our offer: what it would have changed is as before (RFC 3261 14.1).
    pub(in crate::ims::call) fn withdraw(&mut self, media: &mut MediaTable, out: &mut Outbox) {
        self.undo(media, out);
        if let Some(before) = self.before.take() {
            self.description = before.description;
            for (line, held) in self.lines.iter_mut().zip(before.held) {
                line.iter_mut().for_each(|s| s.held = held);
            }
        }
    }

    /// The media sessions of the streams of a kind, or of all.
    pub(in crate::ims::call) fn sessions(&self, kind: Option<MediaKind>) -> impl Iterator<Item = u64> + '_ {
        self.lines.iter().flatten().filter(move |s| kind.is_none_or(|k| s.kind == k)).map(|s| s.session)
    }

    /// Closes every stream.
    pub(in crate::ims::call) fn close_all(&mut self, media: &mut MediaTable, out: &mut Outbox) {
        self.opening.clear();
        self.lines.drain(..).for_each(|line| close(line, media, out));
    }

    /// The sessions whose ports are being opened.
    pub(in crate::ims::call) fn opening(&self) -> impl Iterator<Item = u64> + '_ {
        self.opening.iter().copied()
    }

    /// When the peer was heard last, on any stream; `None` when no stream of it is expected, as on hold.
    pub(in crate::ims::call) fn last_heard(&self, media: &MediaTable) -> Option<Instant> {
        let running = self.lines.iter().flatten().filter(|s| s.direction == Direction::SendRecv);
        running.filter_map(|s| Some(media.view(s.session)?.last_activity)).max()
    }

    /// The kinds and directions.
    pub(in crate::ims::call) fn medias(&self) -> SmallVec<[(MediaKind, Direction); 2]> {
        self.lines.iter().flatten().map(|s| (s.kind, s.direction)).collect()
    }

    /// What a person sees of the streams.
    pub(in crate::ims::call) fn views(&self, media: &MediaTable) -> Vec<MediaView> {
        let view = |s: &Stream| {
            let view = MediaView::new(s.kind.name(), s.direction.name());
            Some(view.with_packets(&media.view(s.session)?))
        };
        self.lines.iter().flatten().filter_map(view).collect()
    }
}

/// Both directions, or what is left of them while we hold.
fn both_ways(held: bool) -> Direction {
    if held { Direction::SendOnly } else { Direction::SendRecv }
}

fn close(stream: Option<Stream>, media: &mut MediaTable, out: &mut Outbox) {
    let Some(stream) = stream else { return };
    if let Some((local, port)) = media.close(stream.session) {
        out.push(Output::CloseMedia { session: stream.session, local, port });
    }
}

/// The socket whose media address suits an offer: the one that the call came in on, else one of the offer's address family.
/// `None`: we have no address of that family.
pub(in crate::ims::call) fn local_for(
    config: &Config,
    came_in_on: LocalId,
    offer: Option<&Sdp<'_>>,
) -> Option<LocalId> {
    let wanted = offer
        .and_then(|o| o.medias().filter_map(|m| m.connection()).find(|ip| !ip.is_unspecified()))
        .map(|ip| ip.is_ipv4());
    let fits = |local: usize| wanted.is_none_or(|v4| config.sip[local].addr.is_ipv4() == v4);
    let own = usize::from(came_in_on.0);
    let found = std::iter::once(own).chain(0..config.sip.len()).find(|&l| fits(l))?;
    u8::try_from(found).ok().map(LocalId)
}
