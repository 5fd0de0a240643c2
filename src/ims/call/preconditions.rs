//! Preconditions (RFC 3312, RFC 4032), segmented: each side of a leg uses them or not, and where only one does, we are its
//! partner in them. The other side is then spared the lines, and what they make a phone wait with: an inactive stream.
//!
//! Here is what becomes of descriptions; who waits for whom is `held`'s and `reliable`'s matter, bearers are `bearers`'.

use super::rules::Rules;
use super::tag::Side;
use crate::config::model::Precondition;
use crate::wire::sdp::edit::{MediaEdit, QosEdit, Segments};
use crate::wire::sdp::precondition::{Directions, QosLine, Status, Strength};
use crate::wire::sdp::{Direction, Media, Sdp};
use crate::wire::sip::{HeaderId, Message};

/// The option tag.
pub(super) const TAG: &str = "precondition";

/// What a caller's phone is told, and its operator, when its resources have not come.
pub(super) const NO_BEARER: &str = "the caller's phone waits for a dedicated bearer that has not come: where nobody sets them up, \
    `precondition` \"off\" lets it call without";

/// Who of a leg's sides uses preconditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Mode {
    /// Nobody.
    #[default]
    None,
    /// Both sides, with each other: nothing is changed.
    EndToEnd,
    /// This side alone; we speak for the other one, whose resources are always there.
    Only(Side),
}

/// What is known when a leg begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begin {
    /// The callee's phone is a VoLTE one.
    pub(super) is_mmtel: bool,
    /// Preconditions may be put into an offer that has none.
    pub(super) may_insert: bool,
}

impl Mode {
    /// The mode in which a leg begins, by the caller's INVITE, the configuration, and what the callee's phone is
    /// (manual 5.2.1, `precondition`).
    pub(super) fn begin(rules: &Rules, invite: &Message<'_>, offer: Option<&Sdp<'_>>, with: Begin) -> Mode {
        let on = |side| rules.precondition(side) == Precondition::On;
        let Some(offer) = offer.filter(|o| has_lines(o) || !invite.lists(HeaderId::Supported, TAG)) else {
            // without an offer, or without lines in it, both may come to use them later
            let both = on(Side::Caller) && on(Side::Callee) && invite.lists(HeaderId::Supported, TAG);
            return if both { Mode::EndToEnd } else { Mode::None };
        };
        let caller = on(Side::Caller) && has_lines(offer);
        // a soft client that is not said to know them is asked without, unless nothing depends on it
        let callee = on(Side::Callee) && (with.is_mmtel || !waits(offer));
        match (caller, callee) {
            (true, true) => Mode::EndToEnd,
            (true, false) => Mode::Only(Side::Caller),
            (false, _) if on(Side::Callee) && with.is_mmtel && with.may_insert => Mode::Only(Side::Callee),
            (false, _) => Mode::None,
        }
    }

    /// Whether a side uses preconditions.
    pub(super) fn uses(self, side: Side) -> bool {
        match self {
            Mode::None => false,
            Mode::EndToEnd => true,
            Mode::Only(one) => one == side,
        }
    }

    /// The mode after the first description of the callee's phone: one without lines does not use them. `offered` says that the
    /// caller has offered them.
    pub(super) fn after_answer(self, answer: &Sdp<'_>, offered: bool) -> Mode {
        match self {
            _ if !offered => self,
            Mode::EndToEnd if !has_lines(answer) => Mode::Only(Side::Caller),
            Mode::Only(Side::Callee) if !has_lines(answer) => Mode::None,
            mode => mode,
        }
    }
}

/// The streams that are not refused.
fn streams<'a>(sdp: &Sdp<'a>) -> impl Iterator<Item = Media<'a>> + 'a {
    sdp.medias().filter(|m| m.port != 0)
}

/// Whether a description has precondition lines.
pub(super) fn has_lines(sdp: &Sdp<'_>) -> bool {
    streams(sdp).any(|m| m.qos_lines().next().is_some())
}

/// Whether the sender of a description waits for its own resources (RFC 3312 5.1.1).
pub(super) fn waits(sdp: &Sdp<'_>) -> bool {
    streams(sdp).any(|m| stream_waits(&m))
}

/// The same of one stream.
pub(super) fn stream_waits(media: &Media<'_>) -> bool {
    let wanted = media.qos_lines().find_map(|line| match line {
        QosLine::Desired(Strength::Mandatory, Status::Local, wanted) => Some(wanted),
        _ => None,
    });
    wanted.is_some_and(|wanted| !current(media).covers(wanted))
}

/// What the sender of a description says that it has.
fn current(media: &Media<'_>) -> Directions {
    let local = media.qos_lines().find_map(|line| match line {
        QosLine::Current(Status::Local, directions) => Some(directions),
        _ => None,
    });
    local.unwrap_or(Directions::NONE)
}

fn strength(media: &Media<'_>, of: Status) -> Option<Strength> {
    media.qos_lines().find_map(|line| match line {
        QosLine::Desired(strength, status, _) if status == of => Some(strength),
        _ => None,
    })
}

/// What is changed in a media description for a side that uses preconditions, when the sender does not; `theirs` is what that
/// side has said of the stream last.
pub(super) fn put_in(media: &Media<'_>, theirs: Option<&Media<'_>>) -> MediaEdit {
    if media.port == 0 {
        return MediaEdit::default();
    }
    let remote = theirs.map_or(Directions::NONE, current);
    // TS 24.229 6.1.2: an offer wants its own side's resources, and leaves the other's to the other
    let wanted = theirs.map_or(Some(Strength::None), |m| strength(m, Status::Local));
    let remote_strength = wanted.unwrap_or(Strength::Mandatory);
    let segments = Segments {
        local: Directions::BOTH,
        remote: remote.reversed(),
        local_strength: theirs.and_then(|m| strength(m, Status::Remote)).unwrap_or(Strength::Mandatory),
        remote_strength,
        confirm: remote_strength == Strength::Mandatory && !remote.covers(Directions::BOTH),
    };
    // an answer stays within its offer (RFC 3264 6.1), though the sender has seen one that ran already
    let direction =
        theirs.filter(|m| stream_waits(m)).map(|m| media.direction().within(m.direction().reversed()));
    let direction = direction.filter(|d| *d != media.direction());
    MediaEdit { qos: QosEdit::Set(segments), direction, ..MediaEdit::default() }
}

/// What is changed in a media description for a side that does not use preconditions; `theirs` is what that side has said of
/// the stream last.
pub(super) fn take_out(media: &Media<'_>, theirs: Option<&Media<'_>>) -> MediaEdit {
    if media.qos_lines().next().is_none() {
        return MediaEdit::default();
    }
    // a phone that waits for its resources has its streams wait: without preconditions there is nothing to wait for
    let running = theirs.map_or(Direction::SendRecv, |m| m.direction().reversed());
    let direction = (stream_waits(media) && media.direction() != running).then_some(running);
    MediaEdit { qos: QosEdit::Drop, direction, ..MediaEdit::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sdp::edit::Edit;

    const PLAIN: &str = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 6000 RTP/AVP 8\r\na=sendrecv\r\n";
    const WAITING: &str = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 6000 RTP/AVP 8\r\na=inactive\r\na=curr:qos local none\r\n\
        a=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\na=des:qos optional remote sendrecv\r\n";

    fn edited(text: &str, edit: MediaEdit) -> String {
        let edit = Edit { medias: [edit].into_iter().collect(), ..Edit::default() };
        String::from_utf8(edit.apply(&Sdp::parse(text.as_bytes()).unwrap())).unwrap()
    }

    fn first(text: &str) -> Media<'_> {
        Sdp::parse(text.as_bytes()).unwrap().medias().next().unwrap()
    }

    #[test]
    fn an_answer_of_a_plain_phone_gets_lines_that_mirror_the_offer() {
        let answer = edited(PLAIN, put_in(&first(PLAIN), Some(&first(WAITING))));
        let want = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 6000 RTP/AVP 8\r\na=inactive\r\na=curr:qos local sendrecv\r\n\
            a=curr:qos remote none\r\na=des:qos optional local sendrecv\r\na=des:qos mandatory remote sendrecv\r\n\
            a=conf:qos remote sendrecv\r\n";
        assert_eq!(answer, want);
        let ready = WAITING.replace("local none", "local sendrecv").replace("inactive", "sendrecv");
        let answer = edited(PLAIN, put_in(&first(PLAIN), Some(&first(&ready))));
        assert!(
            answer.contains("a=sendrecv") && answer.contains("remote sendrecv") && !answer.contains("conf")
        );
    }

    #[test]
    fn an_offer_of_a_plain_phone_wants_nothing_of_the_others_side() {
        let offer = edited(PLAIN, put_in(&first(PLAIN), None));
        assert!(offer.ends_with(
            "a=sendrecv\r\na=curr:qos local sendrecv\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
             a=des:qos none remote sendrecv\r\n"
        ), "{offer}");
    }

    #[test]
    fn a_plain_phone_sees_no_lines_and_no_stream_that_waits() {
        assert_eq!(edited(WAITING, take_out(&first(WAITING), None)), PLAIN);
        let one_way = PLAIN.replace("sendrecv", "sendonly");
        let answer = edited(WAITING, take_out(&first(WAITING), Some(&first(&one_way))));
        assert_eq!(answer, PLAIN.replace("sendrecv", "recvonly"));
        let held = WAITING.replace("local none", "local sendrecv");
        assert_eq!(
            edited(&held, take_out(&first(&held), None)),
            PLAIN.replace("sendrecv", "inactive"),
            "hold is hold"
        );
        assert_eq!(take_out(&first(PLAIN), None), MediaEdit::default());
    }

    #[test]
    fn who_says_no_lines_does_not_use_them() {
        let [plain, waiting] = [PLAIN, WAITING].map(|t| Sdp::parse(t.as_bytes()).unwrap());
        let modes = [Mode::None, Mode::EndToEnd, Mode::Only(Side::Caller), Mode::Only(Side::Callee)];
        let after = |sdp| modes.map(|m| m.after_answer(sdp, true));
        assert_eq!(after(&waiting), modes);
        assert_eq!(after(&plain), [Mode::None, modes[2], modes[2], Mode::None]);
        assert_eq!(modes.map(|m| m.uses(Side::Callee)), [false, true, false, true]);
    }
}
