//! Whether a description of a side says anything that the other side has not heard.

use crate::wire::sdp::precondition::QosLine;
use crate::wire::sdp::session::Line;
use crate::wire::sdp::template::about_format;
use crate::wire::sdp::{Direction, Media, Sdp};

/// All lines but that of the origin.
pub(super) fn without_origin<'a>(sdp: &Sdp<'a>) -> impl Iterator<Item = Line<'a>> {
    let lines = sdp.session_lines().chain(sdp.medias().flat_map(|m| m.lines()).collect::<Vec<_>>());
    lines.filter(|line| line.letter != b'o')
}

/// Whether a new description of one side differs from the old one in nothing but resources, in formats that the other side's
/// `answer` has not taken, and, if that is `free`, in directions.
pub(super) fn adds_nothing(new: &Sdp<'_>, old: &Sdp<'_>, answer: &Sdp<'_>, free: bool) -> bool {
    let session = |sdp: &Sdp<'_>| {
        let lines = sdp.session_lines().filter(|line| line.letter != b'o' && counts(line));
        lines.map(|line| (line.letter, line.value.to_vec())).collect::<Vec<_>>()
    };
    let count = new.medias().count();
    count == old.medias().count()
        && count == answer.medias().count()
        && session(new) == session(old)
        && new.medias().zip(old.medias()).zip(answer.medias()).all(|((new, old), answer)| {
            // a stream that the other side has refused, or that has gone before, is no news when it goes (RFC 3264 8.2)
            let is_gone = new.port == 0 && (answer.port == 0 || old.port == 0);
            let same_way = free || new.direction() == old.direction();
            is_gone || (same_way && stream_adds_nothing(&new, &old, &answer))
        })
}

fn stream_adds_nothing(new: &Media<'_>, old: &Media<'_>, answer: &Media<'_>) -> bool {
    if new.lines().filter(counts).eq(old.lines().filter(counts)) {
        return true;
    }
    // TS 24.229 6.1.2: a phone offers again only what it settles on, and tells the bandwidth of that
    let offers = |format: &[u8]| new.formats().any(|f| f == format);
    let is_narrower = new.formats().all(|format| old.formats().any(|f| f == format));
    let keeps_answer = answer.port == 0 || answer.formats().all(offers);
    let is_same_stream =
        (new.kind_token, new.port, new.proto) == (old.kind_token, old.port, old.proto) && new.port != 0;
    let stays = |line: &Line<'_>| match about_format(line.value) {
        Some(("rtpmap", format, _)) if line.letter == b'a' => offers(format),
        Some(_) if line.letter == b'a' => false,
        _ => !matches!(line.letter, b'm' | b'b') && counts(line),
    };
    is_same_stream && is_narrower && keeps_answer && new.lines().filter(stays).eq(old.lines().filter(stays))
}

/// Whether a line says more than resources and a direction.
fn counts(line: &Line<'_>) -> bool {
    line.letter != b'a' || (QosLine::parse(line.value).is_none() && Direction::parse(line.value).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 107 105 101\r\n\
        b=AS:41\r\na=rtpmap:107 AMR-WB/16000/1\r\na=fmtp:107 mode-change-capability=2\r\na=rtpmap:105 AMR/8000/1\r\n\
        a=rtpmap:101 telephone-event/16000\r\na=ptime:20\r\na=sendrecv\r\na=curr:qos local none\r\n";

    /// What is left of the offer when one format goes.
    fn narrowed() -> String {
        let lines = OFFER.replace(" 105 101", " 101").replace("a=rtpmap:105 AMR/8000/1\r\n", "");
        lines
            .replace("- 1 1 IN", "- 1 2 IN")
            .replace("b=AS:41", "b=AS:37")
            .replace("local none", "local sendrecv")
    }

    fn adds(new: &str, answer: &str, free: bool) -> bool {
        let [new, old, answer] = [new, OFFER, answer].map(|text| Sdp::parse(text.as_bytes()).unwrap());
        !adds_nothing(&new, &old, &answer, free)
    }

    #[test]
    fn resources_and_what_was_not_answered_add_nothing() {
        let answer = OFFER.replace("4000 RTP/AVP 107 105 101", "5000 RTP/AVP 107 101");
        assert!(!adds(OFFER, OFFER, false));
        assert!(!adds(&OFFER.replace("local none", "local sendrecv"), OFFER, false));
        assert!(!adds(&narrowed(), &answer, false));
        assert!(adds(&narrowed(), OFFER, false), "105 was answered");
        let held = OFFER.replace("a=sendrecv", "a=inactive");
        assert_eq!([false, true].map(|free| adds(&held, OFFER, free)), [true, false]);
    }

    #[test]
    fn another_place_stream_or_codec_adds_something() {
        let answer = OFFER.replace("107 105 101", "107");
        for (from, to) in [
            ("4000", "4002"),
            ("4000", "0"),
            ("IP4 192.0.2.1\r\nt=", "IP4 192.0.2.9\r\nt="),
            ("RTP/AVP", "RTP/AVPF"),
            ("a=ptime:20", "a=ptime:40"),
            ("AMR-WB/16000", "EVS/16000"),
            ("107 101", "107 101 8"),
        ] {
            assert!(adds(&narrowed().replace(from, to), &answer, true), "{to}");
        }
        let more = format!("{}m=video 4010 RTP/AVP 99\r\n", narrowed());
        assert!(adds(&more, &answer, true));
    }
}
