//! The session descriptions of our user agent: which offered media it takes, and what it answers and offers (RFC 3264, RFC 3312,
//! TS 26.114).
//!
//! What goes back is what came, so every codec fits: payload types, `rtpmap`, `fmtp`, header extensions and feedback lines are
//! repeated as offered, unless a file says what is answered. What would promise something an echo has not (keys, candidates,
//! bundles, sources) is left out. Nothing is remembered here: [`decide`] and the writers are functions of a description.

use crate::proto::media::table::{Direction as Flow, Remote};
use crate::wire::sdp::attribute::attribute_value;
use crate::wire::sdp::edit::{Edit, MediaEdit, QosEdit, Segments};
use crate::wire::sdp::precondition::{Directions, QosLine, Status, Strength};
use crate::wire::sdp::template::{about_format, own_direction};
use crate::wire::sdp::{Direction, Media, MediaKind, Sdp, SdpWriter, Template};
use smallvec::SmallVec;
use std::net::IpAddr;

/// The kinds of media that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Audio.
    pub audio: bool,
    /// Video.
    pub video: bool,
    /// Real-time text (T.140).
    pub text: bool,
}

impl Allowed {
    /// Every kind.
    pub const ALL: Allowed = Allowed { audio: true, video: true, text: true };

    /// Whether a call may have media of a kind; nothing is said of other kinds.
    pub const fn takes(self, kind: MediaKind) -> bool {
        match kind {
            MediaKind::Audio => self.audio,
            MediaKind::Video => self.video,
            MediaKind::Text => self.text,
            _ => true,
        }
    }
}

/// What is done with one offered `m=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is echoed, in this direction as seen from us.
    Take(Direction),
    /// It is refused with port 0 (RFC 3264 6).
    Refuse,
}

/// Who a description of ours comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Session id of the `o=` line.
    pub id: u64,
    /// Version of the `o=` line.
    pub version: u64,
    /// Our media address.
    pub address: IpAddr,
}

/// One line of our answer: our port, and the direction.
pub type Slot = Option<(u16, Direction)>;

/// Whether, and how, an offered stream is taken: RTP without keys, to an address, of a kind that is allowed.
pub fn decide(media: &Media<'_>, allowed: Allowed) -> Decision {
    let is_known = matches!(media.kind, MediaKind::Audio | MediaKind::Video | MediaKind::Text);
    let kind_fits = is_known && allowed.takes(media.kind);
    let profile_fits = [&b"RTP/AVP"[..], b"RTP/AVPF"].iter().any(|p| media.proto.eq_ignore_ascii_case(p));
    let usable = media.rtp_addr().is_some() && media.formats().next().is_some();
    if kind_fits && profile_fits && usable {
        Decision::Take(media.direction().reversed())
    } else {
        Decision::Refuse
    }
}

/// The peer's addresses for a stream.
pub fn remote_of(media: &Media<'_>) -> Option<Remote> {
    let rtp = media.rtp_addr()?;
    Some(Remote { rtp, rtcp: media.rtcp_addr().unwrap_or(rtp) })
}

/// The media table's word for a direction of ours.
pub fn flow_direction(direction: Direction) -> Flow {
    match direction {
        Direction::SendRecv => Flow::SendRecv,
        Direction::SendOnly => Flow::SendOnly,
        Direction::RecvOnly => Flow::RecvOnly,
        Direction::Inactive => Flow::Inactive,
    }
}

/// Whether a taken stream waits for the offerer's resources: a mandatory `des` of its side is not covered by its `curr`
/// (RFC 3312 5.1.1: alerting must wait). Ours are there from the start: an echo reserves nothing.
pub fn waits_for_resources(offer: &Sdp<'_>, allowed: Allowed) -> bool {
    offer.medias().filter(|m| decide(m, allowed) != Decision::Refuse).any(|m| {
        m.qos_lines().any(|line| match line {
            QosLine::Desired(Strength::Mandatory, Status::Local, wanted) => !local_current(&m).covers(wanted),
            _ => false,
        })
    })
}

/// The offerer's own reservation as it states it.
fn local_current(media: &Media<'_>) -> Directions {
    media
        .qos_lines()
        .find_map(|l| match l {
            QosLine::Current(Status::Local, directions) => Some(directions),
            _ => None,
        })
        .unwrap_or(Directions::NONE)
}

/// The media of a template that answer the offered media at a place, and their direction: the first of a kind answers the first of
/// that kind, and so on. `None`: the template has none for it, or has put port 0 there.
pub fn counterpart<'t>(
    template: &'t Template,
    offer: &Sdp<'_>,
    index: usize,
) -> Option<(Media<'t>, Direction)> {
    let kind = offer.medias().nth(index)?.kind;
    let before = offer.medias().take(index).filter(|m| m.kind == kind).count();
    let media = template.medias().filter(|m| m.kind == kind).nth(before).filter(|m| m.port != 0)?;
    Some((media, own_direction(&media).unwrap_or_default()))
}

/// Writes the answer to `offer`, one slot for each of its `m=` lines, in the words of a template if one is `forced`; `with_qos`
/// answers precondition lines.
pub fn write_answer(
    out: &mut Vec<u8>,
    offer: &Sdp<'_>,
    origin: Origin,
    slots: &[Slot],
    forced: Option<&Template>,
    with_qos: bool,
) {
    let mut w = SdpWriter::new(out, origin.id, origin.version, origin.address);
    for (index, media) in offer.medias().enumerate() {
        let formats: SmallVec<[&[u8]; 16]> = media.formats().collect();
        let Some((port, direction)) = slots.get(index).copied().flatten() else {
            // RFC 3264 6: a refused stream has port 0, its formats do not matter, but one must stand there
            w.media_like(&media, 0, &formats[..formats.len().min(1)]);
            continue;
        };
        match forced.and_then(|template| counterpart(template, offer, index)) {
            Some((ours, _)) => write_forced(&mut w, &ours, &media, port),
            None => {
                w.media_like(&media, port, &formats);
                media.bandwidths().for_each(|b| _ = w.raw_line(b'b', b));
                media.attributes().filter(|a| is_repeated(&media, a)).for_each(|a| _ = w.raw_line(b'a', a));
            }
        }
        w.line('a', format_args!("{}", direction.name()));
        if with_qos && media.qos_lines().next().is_some() {
            write_qos(&mut w, &media);
        }
    }
}

/// Writes media of a template as the answer to offered ones: with the offer's profile, and its payload types for the codecs that
/// both have (RFC 3264 6.1); others as the file has them.
fn write_forced(w: &mut SdpWriter<'_>, ours: &Media<'_>, offered: &Media<'_>, port: u16) {
    let as_offered = |format| offered.formats().find(|f| is_same_codec((ours, format), (offered, f)));
    let formats: SmallVec<[&[u8]; 16]> = ours.formats().map(|f| as_offered(f).unwrap_or(f)).collect();
    w.media_like(offered, port, &formats);
    ours.bandwidths().for_each(|b| _ = w.raw_line(b'b', b));
    for attribute in ours.attributes().filter(|a| Direction::parse(a).is_none()) {
        match about_format(attribute) {
            Some((name, format, rest)) => {
                let format = as_offered(format).unwrap_or(format);
                w.raw_line(b'a', &[name.as_bytes(), b":", format, rest].concat());
            }
            None => _ = w.raw_line(b'a', attribute),
        }
    }
}

/// Whether two payload types are the same codec in the same payload format (RFC 4867 8.1: octet-align is another one).
fn is_same_codec((a, x): (&Media<'_>, &[u8]), (b, y): (&Media<'_>, &[u8])) -> bool {
    let aligned = |media: &Media<'_>, format: &[u8]| {
        media.fmtp(format).and_then(|f| f.get("octet-align")).is_some_and(|v| v == b"1")
    };
    match (a.rtpmap(x), b.rtpmap(y)) {
        (Some(p), Some(q)) => {
            let mono = |parameters: Option<&[u8]>| parameters.is_none_or(|p| p == b"1");
            p.name.eq_ignore_ascii_case(q.name)
                && p.clock_rate == q.clock_rate
                && (p.parameters == q.parameters || mono(p.parameters) && mono(q.parameters))
                && aligned(a, x) == aligned(b, y)
        }
        // RFC 3551 6: a static number says it all
        _ => x == y && x.len() < 3 && x < b"96".as_slice(),
    }
}

/// Whether an offered attribute belongs into the answer as it is.
fn is_repeated(media: &Media<'_>, attribute: &[u8]) -> bool {
    const ALWAYS: [&str; 9] =
        ["rtpmap", "fmtp", "ptime", "maxptime", "framerate", "framesize", "extmap", "rtcp-mux", "rtcp-rsize"];
    let named = |name: &&str| attribute_value(attribute, name).is_some();
    // RFC 4585 4.2: feedback lines belong to the AVPF profile only
    ALWAYS.iter().any(named) || (named(&"rtcp-fb") && media.proto.eq_ignore_ascii_case(b"RTP/AVPF"))
}

/// The precondition lines of an answer (RFC 3312 5.1): the offerer's local status is our remote one, and the other way round.
fn write_qos(w: &mut SdpWriter<'_>, media: &Media<'_>) {
    let theirs = local_current(media);
    let strength = |of: Status| {
        media.qos_lines().find_map(|l| match l {
            QosLine::Desired(strength, status, _) if status == of => Some(strength),
            _ => None,
        })
    };
    let mut add = |line: QosLine| _ = w.line('a', format_args!("{line}"));
    add(QosLine::Current(Status::Local, Directions::BOTH));
    add(QosLine::Current(Status::Remote, theirs.reversed()));
    let ours = strength(Status::Remote).unwrap_or(Strength::Mandatory);
    add(QosLine::Desired(ours, Status::Local, Directions::BOTH));
    let wanted = strength(Status::Local).unwrap_or(Strength::Mandatory);
    add(QosLine::Desired(wanted, Status::Remote, Directions::BOTH));
    if wanted == Strength::Mandatory && !theirs.covers(Directions::BOTH) {
        // RFC 3312 5.1.2: asks the offerer to tell, by an UPDATE, when its side is ready
        add(QosLine::Confirm(Status::Remote, Directions::BOTH));
    }
}

/// Writes an offer of ours: each media with our port, or port 0 where there is none.
pub fn write_media(out: &mut Vec<u8>, origin: Origin, lines: &[(Media<'_>, Option<u16>)]) {
    let mut w = SdpWriter::new(out, origin.id, origin.version, origin.address);
    for (media, port) in lines {
        let formats: SmallVec<[&[u8]; 16]> = media.formats().collect();
        let Some(port) = *port else {
            w.media_like(media, 0, &formats[..formats.len().min(1)]);
            continue;
        };
        w.media_like(media, port, &formats);
        media.bandwidths().for_each(|b| _ = w.raw_line(b'b', b));
        media.attributes().filter(|a| Direction::parse(a).is_none()).for_each(|a| _ = w.raw_line(b'a', a));
        w.line('a', format_args!("{}", own_direction(media).unwrap_or_default().name()));
    }
}

/// Our last description as a new offer (RFC 3264 8: the same media, the next version), its streams in these directions; a stream
/// without one has port 0. Preconditions stay and are met.
pub fn again(last: &Sdp<'_>, version: u64, directions: &[Option<Direction>]) -> Vec<u8> {
    let one = |(index, media): (usize, Media<'_>)| {
        let direction = directions.get(index).copied().flatten();
        let has_qos = direction.is_some() && media.qos_lines().next().is_some();
        MediaEdit {
            refused: direction.is_none(),
            direction,
            qos: if has_qos { QosEdit::Set(met()) } else { QosEdit::Drop },
            ..MediaEdit::default()
        }
    };
    let medias = last.medias().enumerate().map(one).collect();
    Edit { version: Some(version), medias, ..Edit::default() }.apply(last)
}

/// A description with precondition lines for each stream in use.
pub fn with_qos(sdp: &Sdp<'_>, qos: QosEdit) -> Vec<u8> {
    let one = |media: Media<'_>| MediaEdit {
        qos: if media.port == 0 { QosEdit::Keep } else { qos },
        ..MediaEdit::default()
    };
    Edit { medias: sdp.medias().map(one).collect(), ..Edit::default() }.apply(sdp)
}

/// Preconditions in a session that runs (RFC 3312 5.1): everything is there.
const fn met() -> Segments {
    Segments {
        local: Directions::BOTH,
        remote: Directions::BOTH,
        local_strength: Strength::Mandatory,
        remote_strength: Strength::Mandatory,
        confirm: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Allowed = Allowed::ALL;
    const ORIGIN: Origin = Origin { id: 9, version: 1, address: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST) };
    const PHONE: &str = "v=0\r\no=rue 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n\
        m=audio 5000 RTP/AVP 107 101\r\nb=AS:41\r\na=rtpmap:107 AMR-WB/16000/1\r\na=fmtp:107 octet-align=1; max-red=0\r\n\
        a=rtpmap:101 telephone-event/16000\r\na=ptime:20\r\na=ssrc:1 cname:x\r\na=crypto:1 k\r\na=candidate:1\r\na=mid:0\r\na=rtcp:5001\r\n\
        a=sendrecv\r\na=curr:qos local none\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
        a=des:qos optional remote sendrecv\r\n";
    const VIDEO: &str = "m=video 5002 RTP/AVP 120\r\na=tcap:1 RTP/AVPF\r\na=pcfg:1 t=1\r\na=rtpmap:120 H264/90000\r\n\
        a=rtcp-fb:* nack\r\na=imageattr:120 send [x=480,y=640]\r\na=extmap:7 urn:3gpp:video-orientation\r\na=sendonly\r\n";

    fn answer(offer: &str, slots: &[Slot], qos: bool) -> String {
        let mut out = Vec::new();
        write_answer(&mut out, &Sdp::parse(offer.as_bytes()).unwrap(), ORIGIN, slots, None, qos);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn codecs_come_back_as_offered_and_promises_do_not() {
        let got = answer(&format!("{PHONE}{VIDEO}"), &[Some((10_000, Direction::SendRecv)), None], false);
        let want = "v=0\r\no=- 9 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 10000 RTP/AVP 107 101\r\n\
            b=AS:41\r\na=rtpmap:107 AMR-WB/16000/1\r\na=fmtp:107 octet-align=1; max-red=0\r\n\
            a=rtpmap:101 telephone-event/16000\r\na=ptime:20\r\na=sendrecv\r\nm=video 0 RTP/AVP 120\r\n";
        assert_eq!(got, want);
    }

    #[test]
    fn offered_capabilities_are_answered_by_the_plain_profile() {
        let offer = format!("{PHONE}{VIDEO}");
        let got =
            answer(&offer, &[None, Some((10_002, Decision::take(&offer, 1).expect("the video fits")))], true);
        assert!(
            got.ends_with(
                "m=audio 0 RTP/AVP 107\r\nm=video 10002 RTP/AVP 120\r\na=rtpmap:120 H264/90000\r\n\
                 a=extmap:7 urn:3gpp:video-orientation\r\na=recvonly\r\n"
            ),
            "{got}"
        );
        let feedback = offer.replace("m=video 5002 RTP/AVP ", "m=video 5002 RTP/AVPF ");
        let got = answer(&feedback, &[None, Some((10_002, Direction::RecvOnly))], true);
        assert!(got.contains("RTP/AVPF 120\r\n") && got.contains("a=rtcp-fb:* nack\r\n"), "{got}");
    }

    impl Decision {
        fn take(offer: &str, index: usize) -> Option<Direction> {
            match decide(&Sdp::parse(offer.as_bytes()).unwrap().medias().nth(index)?, ALL) {
                Decision::Take(direction) => Some(direction),
                Decision::Refuse => None,
            }
        }
    }

    #[test]
    fn preconditions_are_mirrored_and_our_side_is_ready() {
        let got = answer(PHONE, &[Some((10_000, Direction::SendRecv))], true);
        assert!(
            got.ends_with(
                "a=sendrecv\r\na=curr:qos local sendrecv\r\na=curr:qos remote none\r\na=des:qos optional local sendrecv\r\n\
                 a=des:qos mandatory remote sendrecv\r\na=conf:qos remote sendrecv\r\n"
            ),
            "{got}"
        );
        let met = PHONE.replace("curr:qos local none", "curr:qos local sendrecv");
        let got = answer(&met, &[Some((10_000, Direction::SendRecv))], true);
        assert!(got.contains("a=curr:qos remote sendrecv\r\n") && !got.contains("conf:qos"), "{got}");
        let parsed = |text: &str| waits_for_resources(&Sdp::parse(text.as_bytes()).unwrap(), ALL);
        assert!(parsed(PHONE) && !parsed(&met));
        assert!(!parsed("v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 5000 RTP/AVP 0\r\n"));
    }

    #[test]
    fn what_an_echo_cannot_do_is_refused() {
        let one = |line: &str| format!("v=0\r\nc=IN IP4 10.0.0.1\r\n{line}\r\n");
        for bad in [
            "m=audio 0 RTP/AVP 0",
            "m=audio 5 RTP/SAVP 0",
            "m=application 5 RTP/AVP 0",
            "m=message 5 TCP/MSRP *",
        ] {
            assert_eq!(Decision::take(&one(bad), 0), None, "{bad}");
        }
        let name = "v=0\r\nc=IN IP4 phone.example\r\nm=audio 5 RTP/AVP 0\r\n";
        assert_eq!(Decision::take(name, 0), None, "no address");
        let offer = one("m=text 5 RTP/AVP 98");
        assert_eq!(Decision::take(&offer, 0), Some(Direction::SendRecv));
        let sdp = Sdp::parse(offer.as_bytes()).unwrap();
        assert_eq!(
            decide(&sdp.medias().next().unwrap(), Allowed { text: false, ..ALL }),
            Decision::Refuse,
            "not wanted"
        );
    }

    #[test]
    fn directions_are_mirrored_and_the_old_hold_is_understood() {
        for (line, want) in [
            ("sendonly", "recvonly"),
            ("recvonly", "sendonly"),
            ("inactive", "inactive"),
            ("sendrecv", "sendrecv"),
        ] {
            let offer = format!("v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 5 RTP/AVP 0\r\na={line}\r\n");
            assert_eq!(Decision::take(&offer, 0).map(Direction::name), Some(want));
        }
        let old = "v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 5 RTP/AVP 0\r\n";
        assert_eq!(Decision::take(old, 0), Some(Direction::RecvOnly));
    }

    #[test]
    fn our_offer_and_its_repetition_parse() {
        let template = Template::voice();
        let voice = template.medias().next().unwrap();
        let video = Sdp::parse(b"v=0\r\nm=video 9 RTP/AVP 99 98\r\n").unwrap();
        let mut first = Vec::new();
        write_media(&mut first, ORIGIN, &[(voice, Some(10_000)), (video.medias().next().unwrap(), None)]);
        let sdp = Sdp::parse(&first).unwrap();
        let held = again(&sdp, 2, &[Some(Direction::SendOnly), None]);
        let sdp = Sdp::parse(&held).unwrap();
        let medias: Vec<_> = sdp.medias().collect();
        assert_eq!(sdp.origin().unwrap().version, b"2");
        assert_eq!((medias.len(), medias[0].port, medias[0].direction()), (2, 10_000, Direction::SendOnly));
        assert_eq!((medias[1].port, medias[1].formats_text()), (0, &b"99"[..]));
        assert_eq!(medias[0].rtpmap(b"104").unwrap().name, b"AMR-WB");
        assert_eq!(sdp.connection(), Some(ORIGIN.address));
    }

    #[test]
    fn a_forced_answer_has_the_files_media_and_the_offers_numbers() {
        let file = "m=audio 9 RTP/AVP 97 98 18 0\r\nb=AS:30\r\na=rtpmap:97 amr-wb/16000\r\na=rtpmap:98 AMR-WB/16000/1\r\n\
            a=fmtp:98 octet-align=1;mode-set=2\r\na=rtcp-fb:98 nack\r\na=ptime:40\r\na=recvonly\r\nm=video 0 RTP/AVP 31\r\n";
        let template = Template::parse(file.as_bytes()).unwrap();
        let offer = format!("{PHONE}{VIDEO}");
        let sdp = Sdp::parse(offer.as_bytes()).unwrap();
        assert_eq!(counterpart(&template, &sdp, 0).unwrap().1, Direction::RecvOnly);
        assert!(counterpart(&template, &sdp, 1).is_none(), "the file has taken video away");
        let mut out = Vec::new();
        let slots = [Some((10_000, Direction::RecvOnly)), None];
        write_answer(&mut out, &sdp, ORIGIN, &slots, Some(&template), true);
        let got = String::from_utf8(out).unwrap();
        let media = got.split_once("m=").unwrap().1;
        assert!(
            media.starts_with(
                "audio 10000 RTP/AVP 97 107 18 0\r\nb=AS:30\r\na=rtpmap:97 amr-wb/16000\r\na=rtpmap:107 AMR-WB/16000/1\r\n\
                 a=fmtp:107 octet-align=1;mode-set=2\r\na=rtcp-fb:107 nack\r\na=ptime:40\r\na=recvonly\r\n\
                 a=curr:qos local sendrecv\r\n"
            ),
            "{got}"
        );
        assert!(got.ends_with("m=video 0 RTP/AVP 120\r\n"), "{got}");
    }
}
