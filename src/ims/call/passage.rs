//! The session descriptions of a leg on their way from one side to the other: what each side said and was told last, and what
//! is changed in between.
//!
//! Without a reason every octet passes. Reasons are the configuration (`rules`), preconditions that only one side uses, and media
//! that passes through us (`anchor`).

use super::anchor::Anchor;
use super::media::description;
use super::preconditions::{self, Mode};
use super::rules::Rules;
use super::sameness::{adds_nothing, without_origin};
use super::tag::Side;
use crate::proto::media::table::MediaTable;
use crate::proto::outbox::Outbox;
use crate::wire::sdp::edit::{Edit, MediaEdit};
use crate::wire::sdp::{Direction, Media, MediaKind, Sdp};
use crate::wire::sip::text::trim;
use crate::wire::sip::{Message, Method};
use std::sync::Arc;

/// What one side said, and the other was told.
type Pair = (Option<Arc<[u8]>>, Option<Arc<[u8]>>);

/// What a side said and was told, when both are known.
pub(super) type Settled = (Arc<[u8]>, Arc<[u8]>);

/// The descriptions of one leg.
#[derive(Debug, Default)]
pub(super) struct Passage {
    /// The media, where it passes through us.
    pub(super) anchor: Option<Box<Anchor>>,
    /// The offer that begins the call names our addresses: all who answer it share its anchor.
    pub(super) is_relayed: bool,
    /// Who uses preconditions.
    pub(super) mode: Mode,
    /// What each side said last, as it came.
    said: [Option<Arc<[u8]>>; 2],
    /// What each side was told last.
    told: [Option<Arc<[u8]>>; 2],
    /// The highest version that each side was told, also in an offer that it has refused.
    versions: [u64; 2],
    /// By the side whose offer has no answer yet: what was said and told before it. Offers that meet are open on both.
    open: [Option<Pair>; 2],
    /// By the side that has an offer of ours without an answer: what it was told before.
    asked: [Option<Arc<[u8]>>; 2],
    /// The caller has got the answer to its offer in a reliable response.
    has_answered: bool,
    /// A side has been told something of ours: what passes bears our numbers from then on.
    renumbers: bool,
}

impl Passage {
    /// No descriptions yet.
    pub(super) fn new(mode: Mode, anchor: Option<Box<Anchor>>) -> Self {
        Passage { mode, is_relayed: anchor.is_some(), anchor, ..Passage::default() }
    }

    /// The same descriptions, for another who answers them; without the anchor.
    pub(super) fn beside(&self) -> Passage {
        Passage {
            anchor: None,
            is_relayed: self.is_relayed,
            mode: self.mode,
            said: self.said.clone(),
            told: self.told.clone(),
            versions: self.versions,
            open: self.open.clone(),
            asked: self.asked.clone(),
            has_answered: self.has_answered,
            renumbers: self.renumbers,
        }
    }

    /// Takes the description of a message that a side has sent to the other side. Gives the body as it passes; `None`: as it
    /// came. `begins` says that it is the offer which begins a call.
    pub(super) fn carry(
        &mut self,
        rules: &Rules,
        from: Side,
        msg: &Message<'_>,
        begins: bool,
    ) -> Option<Vec<u8>> {
        let came = description(msg)?;
        let sdp = Sdp::parse(came).ok()?;
        if msg.status() >= 300 {
            // RFC 3261 21.4.26: it tells what would be taken, and settles nothing
            let edit = self.edit_streams(rules, from, &sdp, begins);
            return (!edit.is_nothing()).then(|| in_place_of(msg.body(), came, &edit.apply(&sdp)));
        }
        let said = Arc::from(came);
        let is_answer = self.open_or_close(from, msg);
        self.said[from as usize] = Some(Arc::clone(&said));
        let mut edit = self.edit(rules, from, &sdp, begins);
        if is_answer {
            self.answer_waiting(&mut edit, from.other(), &sdp);
        }
        if edit.is_nothing() && !self.renumbers {
            self.told[from.other() as usize] = Some(said);
            return None;
        }
        self.renumbers = true;
        let passed = self.apply(edit, &sdp, from.other());
        let body = in_place_of(msg.body(), came, &passed);
        self.told[from.other() as usize] = Some(passed.into());
        Some(body)
    }

    /// A description in a request is an offer, but for the one in an ACK; that in a response is an answer, if an offer is open, or
    /// was. Gives whether it is an answer.
    fn open_or_close(&mut self, from: Side, msg: &Message<'_>) -> bool {
        let is_answer = !msg.is_request() || msg.method() == Method::Ack;
        let to = from.other();
        if is_answer && self.open[to as usize].take().is_some() {
            return true;
        }
        let repeats = is_answer && self.said[to as usize].is_some();
        if self.open[from as usize].is_none() && !repeats {
            let before = (self.said[from as usize].clone(), self.told[to as usize].clone());
            self.open[from as usize] = Some(before);
        }
        repeats
    }

    /// Keeps the directions of an answer within its offer where that waits for resources and the answerer was told that it runs:
    /// the offerer lets it run by another offer (RFC 3264 6.1, TS 24.229 6.1.2).
    fn answer_waiting(&self, edit: &mut Edit, to: Side, answer: &Sdp<'_>) {
        let offer = self.said(to);
        let offered = offer.iter().flat_map(|s| s.medias());
        for ((edit, ours), theirs) in edit.medias.iter_mut().zip(answer.medias()).zip(offered) {
            if self.mode == Mode::None && preconditions::stream_waits(&theirs) {
                let most = theirs.direction().reversed();
                let within = edit.direction.unwrap_or(ours.direction()).within(most);
                edit.direction = Some(within).filter(|d| *d != ours.direction());
            }
        }
    }

    /// The offer of a side has been refused: all is as before it (RFC 3261 14.1).
    pub(super) fn revert(&mut self, from: Side) {
        if let Some((said, told)) = self.open[from as usize].take() {
            self.said[from as usize] = said;
            self.told[from.other() as usize] = told;
        }
    }

    /// From now on the media passes through us: who is told of it sees a new version (RFC 3264 8).
    pub(super) fn adopt(&mut self, anchor: Anchor) {
        self.anchor = Some(Box::new(anchor));
        self.renumbers = true;
    }

    /// Whether an offer waits for its answer.
    pub(super) fn has_open_offer(&self) -> bool {
        self.open.iter().any(Option::is_some) || self.asked.iter().any(Option::is_some)
    }

    /// What a side said and was told last, when no offer is open.
    pub(super) fn settled(&self, side: Side) -> Option<Settled> {
        let pair = self.said[side as usize].clone().zip(self.told[side as usize].clone());
        pair.filter(|_| !self.has_open_offer())
    }

    /// Takes note of the answer of ours to a side's offer.
    pub(super) fn note(&mut self, side: Side, said: &[u8], told: &[u8]) {
        self.said[side as usize] = Some(said.into());
        self.told[side as usize] = Some(told.into());
    }

    /// Learns from the first description of the callee's phone whether it uses preconditions.
    pub(super) fn learn(&mut self, msg: &Message<'_>) {
        let first = description(msg).filter(|_| self.said[Side::Callee as usize].is_none());
        let offered = self.mode == Mode::Only(Side::Callee)
            || self.said(Side::Caller).is_some_and(|offer| preconditions::has_lines(&offer));
        if let Some(answer) = first.and_then(|d| Sdp::parse(d).ok()) {
            self.mode = self.mode.after_answer(&answer, offered);
        }
    }

    /// Takes note of what a side has answered to an offer of ours. Gives whether it differs from what the side has said before.
    pub(super) fn hear(&mut self, from: Side, msg: &Message<'_>) -> bool {
        self.asked[from as usize] = None;
        let Some(said) = description(msg) else { return false };
        let before = self.said[from as usize].replace(Arc::from(said));
        let both = Sdp::parse(said).ok().zip(before.as_deref().and_then(|d| Sdp::parse(d).ok()));
        let Some(((new, old), answer)) = both.zip(self.said(from.other())) else { return true };
        !adds_nothing(&new, &old, &answer, false)
    }

    /// A side has refused an offer of ours: it knows what it was told before (RFC 3261 14.1).
    pub(super) fn take_back(&mut self, to: Side) {
        if let Some(before) = self.asked[to as usize].take() {
            self.told[to as usize] = Some(before);
        }
    }

    /// An offer of ours goes to a side.
    fn propose(&mut self, to: Side, offer: &[u8]) {
        self.asked[to as usize] = self.told[to as usize].replace(Arc::from(offer));
    }

    /// The answer to an offer that a side has sent, when the other side would hear nothing new of it: the side's resources have
    /// changed and nothing else has. `None`: the offer is to pass. While the call is being set up, `early`, the direction of a
    /// stream says only whether resources are awaited.
    pub(super) fn answer_for_other(
        &mut self,
        rules: &Rules,
        from: Side,
        msg: &Message<'_>,
        early: bool,
    ) -> Option<Vec<u8>> {
        let came = description(msg)?;
        let offer = Sdp::parse(came).ok()?;
        let other = self.said[from.other() as usize].clone()?;
        let answer = Sdp::parse(&other).ok()?;
        if self.mode != Mode::Only(from) || !adds_nothing(&offer, &self.said(from)?, &answer, early) {
            return None;
        }
        self.said[from as usize] = Some(Arc::from(came));
        let mut edit = self.edit(rules, from.other(), &answer, false);
        self.answer_within(&mut edit, from, &answer, &offer);
        let told = self.apply(edit, &answer, from);
        self.told[from as usize] = Some(Arc::from(&told[..]));
        Some(told)
    }

    /// Keeps the directions of an answer of ours within its offer (RFC 3264 6.1): what the other side said last may have been an
    /// offer, which asked for more. Where its stream only waits, as it was told to, it runs as soon as it may.
    fn answer_within(&self, edit: &mut Edit, from: Side, answer: &Sdp<'_>, offer: &Sdp<'_>) {
        let told = self.told(from.other());
        let mut told = told.iter().flat_map(|s| s.medias());
        for (edit, (ours, theirs)) in edit.medias.iter_mut().zip(answer.medias().zip(offer.medias())) {
            let was_told = told.next().map(|m| m.direction());
            let waits = [was_told, Some(ours.direction())] == [Some(Direction::Inactive); 2];
            let most = theirs.direction().reversed();
            let within = if waits { most } else { edit.direction.unwrap_or(ours.direction()).within(most) };
            edit.direction = Some(within).filter(|d| *d != ours.direction());
        }
    }

    /// Whether the callee's phone, which knows of no preconditions, may be told that the caller's streams wait no longer.
    pub(super) fn has_waited(&self) -> bool {
        self.mode == Mode::Only(Side::Caller) && !self.waits(Side::Caller)
    }

    /// An offer that brings a side what the other one has said since it was told something; none when it has heard it all.
    pub(super) fn news_for(&mut self, rules: &Rules, to: Side) -> Option<Vec<u8>> {
        let said = self.said[to.other() as usize].clone()?;
        let said = Sdp::parse(&said).ok()?;
        let edit = self.edit(rules, to.other(), &said, false);
        // where the media passes through us, it is our address that the phone knows
        let (new, answer) = (edit.apply(&said), self.said(to)?);
        if adds_nothing(&Sdp::parse(&new).ok()?, &self.told(to)?, &answer, false) {
            return None;
        }
        self.renumbers = true;
        let offer = self.apply(edit, &said, to);
        self.propose(to, &offer);
        Some(offer)
    }

    /// The description that a side was told last, but for an offer that it has not taken yet.
    pub(super) fn last_told(&self, side: Side) -> Option<&[u8]> {
        match (&self.open[side.other() as usize], &self.asked[side as usize]) {
            (Some((_, before)), _) => before.as_deref(),
            (None, Some(before)) => Some(before),
            (None, None) => self.told[side as usize].as_deref(),
        }
    }

    /// What a side was told last, for an offer of ours: the same, or without the streams of a kind. `None`: it was told nothing, or
    /// has no such stream.
    pub(super) fn again(&mut self, to: Side, without: Option<MediaKind>) -> Option<Vec<u8>> {
        let told = self.last_told(to)?.to_vec();
        let Some(kind) = without else {
            self.propose(to, &told);
            return Some(told);
        };
        let told = Sdp::parse(&told).ok()?;
        if !told.medias().any(|m| m.kind == kind && m.port != 0) {
            return None;
        }
        let one = |m: Media<'_>| MediaEdit { refused: m.kind == kind, ..MediaEdit::default() };
        self.renumbers = true;
        let edit = Edit { medias: told.medias().map(one).collect(), ..Edit::default() };
        let new = self.apply(edit, &told, to);
        self.propose(to, &new);
        Some(new)
    }

    /// Whether a stream of another kind would be left without those of this one.
    pub(super) fn has_other(&self, kind: MediaKind) -> bool {
        self.told(Side::Caller).is_some_and(|told| told.medias().any(|m| m.port != 0 && m.kind != kind))
    }

    /// Whether a side knows of a stream, of this kind if one is given.
    pub(super) fn has(&self, side: Side, kind: Option<MediaKind>) -> bool {
        let told = self.last_told(side).and_then(|told| Sdp::parse(told).ok());
        told.is_some_and(|told| kind.is_none_or(|k| told.medias().any(|m| m.port != 0 && m.kind == k)))
    }

    /// The caller has been told the last description in a reliable response.
    pub(super) fn on_reliable(&mut self) {
        self.has_answered = self.told[Side::Caller as usize].is_some();
    }

    /// Whether the caller has the answer to its offer for good.
    pub(super) fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Whether a response of the callee's phone says again what the caller has had for good, and has gone on from: after the answer
    /// no other one is due (RFC 6337 2.2), though some phones give it twice.
    pub(super) fn is_past(&self, msg: &Message<'_>) -> bool {
        let told = self.told[Side::Caller as usize].as_deref();
        self.has_answered && description(msg).is_some_and(|d| Some(d) != told)
    }

    /// What a 2xx without a description must say all the same: the callee's phone has said it reliably, and the caller has
    /// heard it without reliability, or not at all (RFC 3261 13.2.1).
    pub(super) fn missing_answer(&self, msg: &Message<'_>) -> Option<Vec<u8>> {
        let told = self.told[Side::Caller as usize].as_deref().filter(|_| !self.has_answered)?;
        description(msg).is_none().then(|| told.to_vec())
    }

    /// Whether a side that has us as its partner in preconditions waits for its resources.
    pub(super) fn waits(&self, side: Side) -> bool {
        self.mode == Mode::Only(side) && self.said(side).is_some_and(|sdp| preconditions::waits(&sdp))
    }

    /// What is changed in a description on its way from a side to the other.
    fn edit(&self, rules: &Rules, from: Side, sdp: &Sdp<'_>, begins: bool) -> Edit {
        let mut edit = self.edit_streams(rules, from, sdp, begins);
        if let Some(anchor) = &self.anchor {
            anchor.edit(&mut edit, from.other(), sdp);
        }
        edit
    }

    /// The same, but for addresses.
    fn edit_streams(&self, rules: &Rules, from: Side, sdp: &Sdp<'_>, begins: bool) -> Edit {
        let to = from.other();
        let unholds = begins && rules.unholds(sdp);
        let theirs = self.said(to);
        let mut theirs = theirs.iter().flat_map(|s| s.medias());
        let medias = sdp.medias().map(|media| {
            let theirs = theirs.next();
            let edit = match self.mode {
                Mode::Only(one) if one == to => preconditions::put_in(&media, theirs.as_ref()),
                Mode::EndToEnd => MediaEdit::default(),
                _ => preconditions::take_out(&media, theirs.as_ref()),
            };
            // RFC 3264 6: a stream that the call may not have is not offered, and not taken
            let refused = media.port != 0 && !rules.media.takes(media.kind);
            MediaEdit {
                refused,
                direction: edit.direction.or(unholds.then_some(Direction::SendRecv)),
                ..edit
            }
        });
        Edit { medias: medias.collect(), ..Edit::default() }
    }

    /// Makes the description that a side is told. Where we say something of our own, its version follows from what the side was
    /// told before (RFC 3264 8).
    fn apply(&mut self, mut edit: Edit, sdp: &Sdp<'_>, to: Side) -> Vec<u8> {
        let new = edit.apply(sdp);
        let is_ours = self.renumbers || matches!(self.mode, Mode::Only(_));
        let highest = self.versions[to as usize];
        if let Some(before) = self.told(to).filter(|_| is_ours) {
            let is_same = Sdp::parse(&new).is_ok_and(|new| without_origin(&new).eq(without_origin(&before)));
            edit.version =
                version(&before).map(|v| if is_same && v >= highest { v } else { v.max(highest) + 1 });
        }
        let told = edit.apply(sdp);
        let now = Sdp::parse(&told).ok().and_then(|told| version(&told));
        self.versions[to as usize] = highest.max(now.unwrap_or(0));
        told
    }

    /// Puts into effect, where the media passes through us, what both sides have said last.
    pub(super) fn settle(&mut self, media: &mut MediaTable, out: &mut Outbox) {
        let Some(mut anchor) = self.anchor.take() else { return };
        anchor.settle(media, out, [Side::Caller, Side::Callee].map(|side| self.said(side)));
        self.anchor = Some(anchor);
    }

    /// What a side said last, as it came.
    pub(super) fn said(&self, side: Side) -> Option<Sdp<'_>> {
        Sdp::parse(self.said[side as usize].as_deref()?).ok()
    }

    /// What a side was told last.
    pub(super) fn told(&self, side: Side) -> Option<Sdp<'_>> {
        Sdp::parse(self.told[side as usize].as_deref()?).ok()
    }
}

fn version(sdp: &Sdp<'_>) -> Option<u64> {
    std::str::from_utf8(sdp.origin()?.version).ok()?.parse().ok()
}

/// A body with one piece of it, the description, replaced: other parts of a multipart body pass as they are.
fn in_place_of(body: &[u8], piece: &[u8], new: &[u8]) -> Vec<u8> {
    let start = piece.as_ptr() as usize - body.as_ptr() as usize;
    let (before, after) = (&body[..start], &body[start + piece.len()..]);
    match part_length(before) {
        Some((from, to)) => {
            let length = new.len().to_string();
            [&before[..from], length.as_bytes(), &before[to..], new, after].concat()
        }
        None => [before, new, after].concat(),
    }
}

/// Where the part that begins behind `before` says its own length, as some phones do.
fn part_length(before: &[u8]) -> Option<(usize, usize)> {
    const NAME: &[u8] = b"content-length";
    let mut end = before.len();
    while end > 0 {
        let start = before[..end - 1].iter().rposition(|o| *o == b'\n').map_or(0, |lf| lf + 1);
        let line = &before[start..end];
        if line.starts_with(b"--") {
            return None;
        }
        let colon = line.iter().position(|o| *o == b':').unwrap_or(0);
        if trim(&line[..colon]).eq_ignore_ascii_case(NAME) {
            let digits = line.iter().position(u8::is_ascii_digit)?;
            let count = line[digits..].iter().take_while(|o| o.is_ascii_digit()).count();
            return Some((start + digits, start + digits + count));
        }
        end = start;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip::Index;

    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n\
        a=curr:qos local none\r\n";

    fn carried(passage: &mut Passage, kind: &str, body: &str) -> Option<String> {
        let text = format!(
            "INVITE tel:1 SIP/2.0\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut index = Index::new();
        let msg = Message::parse(text.as_bytes(), &mut index).unwrap();
        let changed = passage.carry(&Rules::default(), Side::Caller, &msg, false);
        changed.map(|b| String::from_utf8(b).unwrap())
    }

    fn end_to_end() -> Passage {
        Passage { mode: Mode::EndToEnd, ..Passage::default() }
    }

    #[test]
    fn what_passes_is_remembered_as_it_came_and_as_it_went() {
        let mut passage = end_to_end();
        assert_eq!(carried(&mut passage, "application/sdp", SDP), None);
        let texts = |p: &Passage| {
            (p.said(Side::Caller).unwrap().octets().len(), p.told(Side::Callee).unwrap().octets().len())
        };
        assert_eq!(texts(&passage), (SDP.len(), SDP.len()));
        let mut passage = Passage::default();
        let passed = carried(&mut passage, "application/sdp", SDP).unwrap();
        assert_eq!(passed, SDP.replace("a=curr:qos local none\r\n", ""));
        assert_eq!(texts(&passage), (SDP.len(), passed.len()));
        assert!(passage.said(Side::Callee).is_none() && passage.told(Side::Caller).is_none());
    }

    #[test]
    fn in_a_multipart_body_only_the_description_changes() {
        let body = |sdp: &str| {
            format!(
                "--b\r\nContent-Type: application/pidf+xml\r\n\r\n<a/>\r\n--b\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b--\r\n"
            )
        };
        let kind = "multipart/mixed;boundary=b";
        assert_eq!(carried(&mut end_to_end(), kind, &body(SDP)), None);
        let passed = carried(&mut Passage::default(), kind, &body(SDP)).unwrap();
        assert_eq!(passed, body(&SDP.replace("a=curr:qos local none\r\n", "")));
    }

    #[test]
    fn a_part_that_says_its_own_length_says_the_new_one() {
        let body = |sdp: &str| {
            let len = sdp.len();
            format!(
                "--b\r\nContent-Length: 4\r\n\r\nlike\r\n--b\r\ncontent-length : {len}\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b--\r\n"
            )
        };
        let passed = carried(&mut Passage::default(), "multipart/mixed;boundary=b", &body(SDP)).unwrap();
        assert_eq!(passed, body(&SDP.replace("a=curr:qos local none\r\n", "")));
    }

    #[test]
    fn no_description_and_a_broken_one_pass() {
        let mut passage = Passage::default();
        assert_eq!(carried(&mut passage, "application/sdp", ""), None);
        assert_eq!(carried(&mut passage, "application/sdp", "no description"), None);
        assert_eq!(carried(&mut passage, "text/plain", SDP), None);
        assert!(passage.said(Side::Caller).is_none());
    }
}
