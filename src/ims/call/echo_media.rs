//! The streams of an echo call: one media session, with a port pair of ours, for each stream that is taken.
//!
//! An offer is handled in two steps, as ports open outside of the core: [`Streams::prepare`] asks for those that are missing,
//! [`Streams::answer`] puts the offer into effect. Nothing of a running call changes in between.

use super::echo_sdp::{self, Allowed, Decision, Origin, Slot};
use super::limits::MAX_ECHO_STREAMS;
use crate::base::time::Instant;
use crate::config::model::Config;
use crate::ims::view::MediaView;
use crate::proto::flow::LocalId;
use crate::proto::media::table::{Label, MediaTable, Treatment};
use crate::proto::outbox::{Outbox, Output};
use crate::wire::sdp::{Direction, Media, MediaKind, Sdp};
use smallvec::SmallVec;
use std::net::IpAddr;

/// Other ports are tried when a pair cannot be opened (some other program has it); this often for one request.
const OPEN_RETRIES: u8 = 8;

/// One stream.
#[derive(Clone, Copy, Debug)]
struct Stream {
    session: u64,
    port: u16,
    kind: MediaKind,
    direction: Direction,
    /// Opened for the offer that is being handled: closed again if that fails.
    is_new: bool,
}

/// All streams of one call, by the `m=` lines of its descriptions.
#[derive(Debug)]
pub(super) struct Streams {
    local: LocalId,
    origin: Origin,
    lines: SmallVec<[Option<Stream>; 2]>,
    /// Sessions whose ports are being opened.
    opening: SmallVec<[u64; 2]>,
    retries_left: u8,
    /// The dialog's number, for the log.
    dialog: u32,
    treatment: Treatment,
    /// The last description that we sent.
    description: Vec<u8>,
}

/// What became of [`Streams::prepare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prepared {
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
    /// No streams yet; they will use the media address of `local`.
    pub(super) fn new(local: LocalId, origin: Origin) -> Self {
        Streams {
            local,
            origin,
            lines: SmallVec::new(),
            opening: SmallVec::new(),
            retries_left: 0,
            dialog: 0,
            treatment: Treatment::default(),
            description: Vec::new(),
        }
    }

    /// Says whose streams they are, by the number of the dialog, and what is done to their packets.
    pub(super) fn treat(&mut self, dialog: u32, treatment: Treatment) {
        self.dialog = dialog;
        self.treatment = treatment;
    }

    /// The description that [`Streams::answer`] or [`Streams::offer`] wrote last.
    pub(super) fn description(&self) -> &[u8] {
        &self.description
    }

    /// Our media address.
    pub(super) fn address(&self) -> IpAddr {
        self.origin.address
    }

    /// Opens what is missing for an offer, or, without one, for an audio stream of ours.
    pub(super) fn prepare(
        &mut self,
        now: Instant,
        media: &mut MediaTable,
        out: &mut Outbox,
        offer: Option<&Sdp<'_>>,
        allowed: Allowed,
    ) -> Prepared {
        self.retries_left = OPEN_RETRIES;
        let Some(offer) = offer else {
            let has_some = self.lines.iter().any(Option::is_some);
            return if has_some || self.open(now, media, out, 0, MediaKind::Audio) {
                self.prepared()
            } else {
                Prepared::NoRoom
            };
        };
        let mut taken = 0;
        for (index, line) in offer.medias().enumerate() {
            if self.direction_of(&line, allowed, taken).is_none() {
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

    fn prepared(&self) -> Prepared {
        if self.opening.is_empty() { Prepared::Ready } else { Prepared::Waits }
    }

    /// The direction in which an offered stream is taken, if it is: of a kind that is allowed, of our address family, and
    /// not over the cap.
    fn direction_of(&self, line: &Media<'_>, allowed: Allowed, taken: usize) -> Option<Direction> {
        let same_family = line
            .connection()
            .is_some_and(|ip| ip.is_unspecified() || ip.is_ipv4() == self.origin.address.is_ipv4());
        match echo_sdp::decide(line, allowed) {
            Decision::Take(direction) if same_family && taken < MAX_ECHO_STREAMS => Some(direction),
            _ => None,
        }
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
            Some(Stream { session, port, kind, direction: Direction::SendRecv, is_new: true });
        true
    }

    /// Ports have been opened, or could not be: then others are tried. `Some` when all is settled: whether it went well.
    pub(super) fn on_opened(
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
    pub(super) fn answer(
        &mut self,
        media: &mut MediaTable,
        out: &mut Outbox,
        offer: &Sdp<'_>,
        allowed: Allowed,
        with_qos: bool,
    ) {
        let mut slots: SmallVec<[Slot; 4]> = SmallVec::new();
        let mut taken = 0;
        for (index, line) in offer.medias().enumerate() {
            let direction = self.direction_of(&line, allowed, taken);
            taken += usize::from(direction.is_some());
            slots.push(self.apply(media, out, index, &line, direction));
        }
        self.origin.version += 1;
        echo_sdp::write_answer(&mut self.description, offer, self.origin, &slots, with_qos);
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
        media.set_direction(stream.session, echo_sdp::flow_direction(direction));
        media.set_remote(stream.session, echo_sdp::remote_of(line));
        Some((stream.port, direction))
    }

    /// Writes an offer of ours: the first, or what runs already.
    pub(super) fn offer(&mut self) {
        self.origin.version += 1;
        let last = std::mem::take(&mut self.description);
        match (Sdp::parse(&last), self.lines.first().copied().flatten()) {
            (Ok(last), _) => echo_sdp::write_again(&mut self.description, &last, self.origin),
            (Err(_), first) => {
                echo_sdp::write_offer(&mut self.description, self.origin, first.map_or(0, |s| s.port));
            }
        }
    }

    /// Puts the answer to our offer into effect. `false`: it refuses every stream.
    pub(super) fn take_answer(
        &mut self,
        media: &mut MediaTable,
        out: &mut Outbox,
        answer: &Sdp<'_>,
        allowed: Allowed,
    ) -> bool {
        let mut taken = 0;
        for (index, line) in answer.medias().enumerate() {
            let direction = self.direction_of(&line, allowed, taken);
            let slot = self.apply(media, out, index, &line, direction);
            taken += usize::from(slot.is_some());
        }
        taken > 0
    }

    /// Closes every stream.
    pub(super) fn close_all(&mut self, media: &mut MediaTable, out: &mut Outbox) {
        self.opening.clear();
        self.lines.drain(..).for_each(|line| close(line, media, out));
    }

    /// The sessions whose ports are being opened.
    pub(super) fn opening(&self) -> impl Iterator<Item = u64> + '_ {
        self.opening.iter().copied()
    }

    /// When the peer was heard last, on any stream; `None` when no stream of it is expected, as on hold.
    pub(super) fn last_heard(&self, media: &MediaTable) -> Option<Instant> {
        let running = self.lines.iter().flatten().filter(|s| s.direction == Direction::SendRecv);
        running.filter_map(|s| Some(media.view(s.session)?.last_activity)).max()
    }

    /// The kinds and directions.
    pub(super) fn medias(&self) -> SmallVec<[(MediaKind, Direction); 2]> {
        self.lines.iter().flatten().map(|s| (s.kind, s.direction)).collect()
    }

    /// What a person sees of the streams.
    pub(super) fn views(&self, media: &MediaTable) -> Vec<MediaView> {
        let view = |s: &Stream| {
            let view = MediaView::new(s.kind.name(), s.direction.name());
            Some(view.with_packets(&media.view(s.session)?))
        };
        self.lines.iter().flatten().filter_map(view).collect()
    }
}

fn close(stream: Option<Stream>, media: &mut MediaTable, out: &mut Outbox) {
    let Some(stream) = stream else { return };
    if let Some((local, port)) = media.close(stream.session) {
        out.push(Output::CloseMedia { session: stream.session, local, port });
    }
}

/// The socket whose media address suits an offer: the one that the call came in on, else one of the offer's address family.
/// `None`: we have no address of that family.
pub(super) fn local_for(config: &Config, came_in_on: LocalId, offer: Option<&Sdp<'_>>) -> Option<LocalId> {
    let wanted = offer
        .and_then(|o| o.medias().filter_map(|m| m.connection()).find(|ip| !ip.is_unspecified()))
        .map(|ip| ip.is_ipv4());
    let fits = |local: usize| wanted.is_none_or(|v4| config.sip[local].addr.is_ipv4() == v4);
    let own = usize::from(came_in_on.0);
    let found = std::iter::once(own).chain(0..config.sip.len()).find(|&l| fits(l))?;
    u8::try_from(found).ok().map(LocalId)
}
