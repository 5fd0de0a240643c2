//! The media of one leg, where it passes through us: for each stream one media session faces the caller and one the callee's
//! phone, and each forwards to the other.
//!
//! Ports open outside of the core, so an offer is handled in two steps: [`Anchor::prepare`] asks for those that are missing,
//! [`Anchor::edit`] then writes them in place of the phones' own. [`Anchor::settle`] puts what both sides have said into effect.
//! When a leg is anchored, and what waits meanwhile, is `anchoring`'s business.

use super::limits::MAX_ANCHORED_STREAMS;
use super::tag::Side;
use crate::base::time::Instant;
use crate::proto::flow::LocalId;
use crate::proto::media::table::{Action, Label, MediaTable, Remote, SessionView, Treatment};
use crate::proto::outbox::{Outbox, Output};
use crate::wire::sdp::edit::{Edit, MediaEdit};
use crate::wire::sdp::{Media, MediaKind, Sdp};
use smallvec::SmallVec;
use std::net::{IpAddr, SocketAddr};

/// Other ports are tried when a pair cannot be opened (some other program has it); this often for one offer.
const OPEN_RETRIES: u8 = 8;

const SIDES: [Side; 2] = [Side::Caller, Side::Callee];

/// What is the same for all sessions that face a side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facing {
    /// The socket whose media address is used.
    pub(super) local: LocalId,
    /// That address.
    pub(super) address: IpAddr,
    /// What is done to the packets that come from that side.
    pub(super) treatment: Treatment,
    /// The number of the dialog with it, for the log.
    pub(super) dialog: u32,
}

/// The anchored media of a leg.
#[derive(Debug)]
pub(super) struct Anchor {
    facing: [Facing; 2],
    /// By the place of the `m=` line.
    lines: SmallVec<[Option<Line>; 2]>,
    /// Sessions whose ports are being opened.
    opening: SmallVec<[u64; 4]>,
    retries_left: u8,
    /// No address of a phone passes: streams that are not relayed are refused (RFC 3323 5.2).
    hides: bool,
    /// Both sides have been told of it, or are being told as the call begins.
    is_settled: bool,
    /// Several early dialogs stand behind it, and what one of them refuses another may take.
    is_shared: bool,
    /// What was seen last of streams that were closed with all others.
    past: Vec<(MediaKind, [Option<SessionView>; 2])>,
}

/// One stream.
#[derive(Clone, Copy, Debug)]
struct Line {
    kind: MediaKind,
    ends: [End; 2],
    /// Opened for an offer that has no answer yet.
    is_new: bool,
}

/// A session, and its RTP port.
#[derive(Clone, Copy, Debug)]
struct End {
    session: u64,
    port: u16,
}

/// What became of [`Anchor::prepare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prepared {
    /// Every port is there.
    Ready,
    /// Ports are being opened: [`Anchor::on_opened`] will tell.
    Waits,
    /// No port or no session is left; nothing was opened.
    NoRoom,
}

impl Anchor {
    /// No streams yet; `hides` says that nobody may see where the media comes from.
    pub(super) fn new(facing: [Facing; 2], hides: bool) -> Self {
        let (lines, opening) = (SmallVec::new(), SmallVec::new());
        Anchor {
            facing,
            lines,
            opening,
            retries_left: 0,
            hides,
            is_settled: false,
            is_shared: false,
            past: Vec::new(),
        }
    }

    /// Opens what is missing for a description, or, without one, for the audio stream that will most likely be in the answer.
    pub(super) fn prepare(
        &mut self,
        now: Instant,
        media: &mut MediaTable,
        out: &mut Outbox,
        sdp: Option<&Sdp<'_>>,
    ) -> Prepared {
        self.retries_left = OPEN_RETRIES;
        let mut has_room = true;
        match sdp {
            Some(sdp) => {
                let streams = sdp.medias().enumerate().filter(|(_, line)| is_relayed(line));
                for (index, line) in streams.take(MAX_ANCHORED_STREAMS) {
                    has_room = has_room && self.open_line(now, media, out, index, line.kind);
                }
            }
            None => has_room = self.open_line(now, media, out, 0, MediaKind::Audio),
        }
        if !has_room {
            self.undo(media, out);
            return Prepared::NoRoom;
        }
        if self.opening.is_empty() { Prepared::Ready } else { Prepared::Waits }
    }

    /// Opens both ends of a stream, unless they are there. `false`: there is no room.
    fn open_line(
        &mut self,
        now: Instant,
        media: &mut MediaTable,
        out: &mut Outbox,
        index: usize,
        kind: MediaKind,
    ) -> bool {
        if self.lines.get(index).is_some_and(Option::is_some) {
            return true;
        }
        let Some(near) = self.open(now, media, out, Side::Caller, kind) else { return false };
        let Some(far) = self.open(now, media, out, Side::Callee, kind) else {
            self.close(near, media, out);
            return false;
        };
        if self.lines.len() <= index {
            self.lines.resize(index + 1, None);
        }
        let line = Line { kind, ends: [near, far], is_new: true };
        self.lines[index] = Some(line);
        line.join(media);
        true
    }

    fn open(
        &mut self,
        now: Instant,
        media: &mut MediaTable,
        out: &mut Outbox,
        side: Side,
        kind: MediaKind,
    ) -> Option<End> {
        let Facing { local, treatment, dialog, .. } = self.facing[side as usize];
        let (session, port) = media.open(now, local).ok()?;
        media.set_label(session, Label { dialog, media: kind.name() });
        media.set_treatment(session, treatment);
        out.push(Output::OpenMedia { session, local, port });
        self.opening.push(session);
        Some(End { session, port })
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
            // its sockets are not open: there is nothing to close outside
            media.close(session);
            let retry = self.retries_left > 0;
            self.retries_left = self.retries_left.saturating_sub(1);
            if !(retry && self.reopen(now, media, out, session)) {
                // the other end of that stream has its ports still
                self.undo(media, out);
                return Some(false);
            }
        }
        self.opening.is_empty().then_some(true)
    }

    /// Opens another session in the place of one that has no ports. `false`: there is no room, or no such place any more.
    fn reopen(&mut self, now: Instant, media: &mut MediaTable, out: &mut Outbox, session: u64) -> bool {
        let is_it = |line: &Option<Line>| {
            SIDES.into_iter().find(|side| line.is_some_and(|l| l.ends[*side as usize].session == session))
        };
        let found = self.lines.iter().enumerate().find_map(|(index, line)| Some((index, is_it(line)?)));
        let Some((index, side)) = found else { return false };
        let Some(mut line) = self.lines[index] else { return false };
        let Some(end) = self.open(now, media, out, side, line.kind) else { return false };
        line.ends[side as usize] = end;
        self.lines[index] = Some(line);
        line.join(media);
        true
    }

    /// Closes what was opened for an offer that came to nothing.
    pub(super) fn undo(&mut self, media: &mut MediaTable, out: &mut Outbox) {
        for index in 0..self.lines.len() {
            if self.lines[index].is_some_and(|l| l.is_new) {
                self.close_line(index, media, out);
            }
        }
    }

    fn close_line(&mut self, index: usize, media: &mut MediaTable, out: &mut Outbox) {
        if let Some(line) = self.lines[index].take() {
            line.ends.into_iter().for_each(|end| self.close(end, media, out));
        }
    }

    fn close(&mut self, end: End, media: &mut MediaTable, out: &mut Outbox) {
        self.opening.retain(|s| *s != end.session);
        if let Some((local, port)) = media.close(end.session) {
            out.push(Output::CloseMedia { session: end.session, local, port });
        }
    }

    /// Closes every stream; what was counted can still be seen.
    pub(super) fn close_all(&mut self, media: &mut MediaTable, out: &mut Outbox) {
        let views = self.lines.iter().flatten().map(|line| (line.kind, line.views(media)));
        self.past.extend(views);
        (0..self.lines.len()).for_each(|index| self.close_line(index, media, out));
    }

    /// What is done to the packets that come from a side in streams that are opened from now on.
    pub(super) fn treatment_mut(&mut self, side: Side) -> &mut Treatment {
        &mut self.facing[side as usize].treatment
    }

    /// The number of the dialog with a side, once it is known.
    pub(super) fn name(&mut self, media: &mut MediaTable, side: Side, dialog: u32) {
        self.facing[side as usize].dialog = dialog;
        for line in self.lines.iter().flatten() {
            let label = Label { dialog, media: line.kind.name() };
            media.set_label(line.ends[side as usize].session, label);
        }
    }

    /// Puts our addresses into a description on its way to a side. A stream without ports is refused.
    pub(super) fn edit(&self, edit: &mut Edit, to: Side, sdp: &Sdp<'_>) {
        let address = self.facing[to as usize].address;
        edit.address = Some(address);
        for (index, media) in sdp.medias().enumerate() {
            if edit.medias.len() <= index {
                edit.medias.push(MediaEdit::default());
            }
            let change = &mut edit.medias[index];
            if media.port == 0 {
                continue;
            }
            if !is_rtp(&media) && self.hides {
                change.refused = true;
                continue;
            }
            if !is_rtp(&media) {
                change.keeps = media.connection();
                continue;
            }
            match self.lines.get(index).copied().flatten() {
                Some(line) => {
                    change.receiver = Some(SocketAddr::new(address, line.ends[to as usize].port));
                    if media.connection().is_some_and(|ip| ip.is_unspecified()) {
                        // RFC 3264 8.4: who holds by an address of all zeros is understood by its direction, now that the
                        // address is ours
                        change.direction = change.direction.or(Some(media.direction()));
                    }
                }
                None => change.refused = true,
            }
        }
    }

    /// Puts into effect what the two sides have said last: where they receive, and which streams there are not.
    pub(super) fn settle(&mut self, media: &mut MediaTable, out: &mut Outbox, said: [Option<Sdp<'_>>; 2]) {
        self.is_settled = true;
        for index in 0..self.lines.len() {
            let Some(line) = self.lines[index].as_mut() else { continue };
            let of = said.map(|sdp| sdp.map(|sdp| sdp.medias().nth(index)));
            let is_off = |m: &Option<Option<Media<'_>>>| m.is_some_and(|m| m.is_none_or(|m| m.port == 0));
            let is_off = of.iter().any(is_off);
            if is_off && !self.is_shared {
                self.close_line(index, media, out);
                continue;
            }
            let of = of.map(Option::flatten);
            line.is_new = line.is_new && of.iter().any(Option::is_none);
            // RFC 5761 5.1.1: both must say so
            let is_muxed = of.iter().all(|m| m.is_some_and(|m| m.attribute("rtcp-mux").is_some()));
            let ends = line.ends;
            for side in SIDES {
                let address = self.facing[side as usize].address;
                let said = of[side as usize].filter(|_| !is_off);
                let remote = said.and_then(|m| remote_of(&m, is_muxed, address));
                media.set_remote(ends[side as usize].session, remote);
            }
        }
    }

    /// Several early dialogs stand behind it from now on, or one alone.
    pub(super) fn share(&mut self, is_shared: bool) {
        self.is_shared = is_shared;
    }

    /// Whether several early dialogs stand behind it.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Whether [`Anchor::settle`] was called.
    pub(super) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// The sessions whose ports are being opened.
    pub(super) fn opening(&self) -> impl Iterator<Item = u64> + '_ {
        self.opening.iter().copied()
    }

    /// When either side was heard last, on any stream.
    pub(super) fn last_heard(&self, media: &MediaTable) -> Option<Instant> {
        let ends = self.lines.iter().flatten().flat_map(|line| line.ends);
        ends.filter_map(|end| Some(media.view(end.session)?.last_activity)).max()
    }

    /// The sessions that face a side, of the streams of a kind or of all.
    pub(super) fn facing(&self, side: Side, kind: Option<MediaKind>) -> impl Iterator<Item = u64> + '_ {
        let lines = self.lines.iter().flatten().filter(move |line| kind.is_none_or(|k| line.kind == k));
        lines.map(move |line| line.ends[side as usize].session)
    }

    /// What can be seen of the packets on a side: of the `index`-th stream of that kind.
    pub(super) fn view(
        &self,
        media: &MediaTable,
        side: Side,
        kind: MediaKind,
        index: usize,
    ) -> Option<SessionView> {
        let running = self.lines.iter().flatten().map(|line| (line.kind, line.views(media)));
        let all = running.chain(self.past.iter().copied());
        all.filter(|(k, _)| *k == kind).nth(index).and_then(|(_, ends)| ends[side as usize])
    }
}

impl Line {
    fn views(self, media: &MediaTable) -> [Option<SessionView>; 2] {
        self.ends.map(|end| media.view(end.session))
    }

    /// Lets each end forward to the other.
    fn join(self, media: &mut MediaTable) {
        let [near, far] = self.ends.map(|end| end.session);
        media.set_action(near, Action::Forward { to: far });
        media.set_action(far, Action::Forward { to: near });
    }
}

/// Whether a stream is of RTP over UDP, in whatever profile.
fn is_rtp(media: &Media<'_>) -> bool {
    let proto = media.proto;
    let has = |part: &[u8]| proto.windows(part.len()).any(|w| w.eq_ignore_ascii_case(part));
    has(b"RTP/") && !has(b"TCP")
}

/// Whether a stream of a description passes through us.
fn is_relayed(media: &Media<'_>) -> bool {
    media.port != 0 && is_rtp(media)
}

/// Where a side receives a stream; `None` where that is not of the family of our address towards it.
fn remote_of(media: &Media<'_>, is_muxed: bool, ours: IpAddr) -> Option<Remote> {
    let rtp = media.rtp_addr().filter(|at| at.is_ipv4() == ours.is_ipv4())?;
    if is_muxed {
        return Some(Remote::muxed(rtp));
    }
    let stated = media.rtcp_addr().filter(|at| at.is_ipv4() == ours.is_ipv4() && *at != rtp);
    Some(stated.map_or(Remote::new(rtp), |rtcp| Remote { rtp, rtcp }))
}
