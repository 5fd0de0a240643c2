//! The echo service's session descriptions: which offered media it takes, and what it answers (RFC 3264, RFC 3312, TS 26.114).
//!
//! What comes back is what came, so every codec fits: payload types, `rtpmap`, `fmtp`, header extensions and feedback lines are
//! repeated as offered. What would promise something an echo has not (keys, candidates, bundles, sources) is left out. Nothing
//! is remembered here: [`decide`] and the writers are functions of an offer.

use crate::proto::media::table::{Direction as Flow, Remote};
use crate::wire::sdp::attribute::attribute_value;
use crate::wire::sdp::precondition::{Directions, QosLine, Status, Strength};
use crate::wire::sdp::{Direction, Media, MediaKind, Sdp, SdpWriter};
use std::net::IpAddr;

/// The kinds of media that an echo number takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Audio.
    pub audio: bool,
    /// Video.
    pub video: bool,
    /// Real-time text (T.140).
    pub text: bool,
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
    let kind_fits = match media.kind {
        MediaKind::Audio => allowed.audio,
        MediaKind::Video => allowed.video,
        MediaKind::Text => allowed.text,
        _ => false,
    };
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

/// Writes the answer to `offer`, one slot for each of its `m=` lines; `with_qos` answers precondition lines.
pub fn write_answer(out: &mut Vec<u8>, offer: &Sdp<'_>, origin: Origin, slots: &[Slot], with_qos: bool) {
    let mut w = SdpWriter::new(out, origin.id, origin.version, origin.address);
    for (index, media) in offer.medias().enumerate() {
        let formats: smallvec::SmallVec<[&[u8]; 16]> = media.formats().collect();
        let Some((port, direction)) = slots.get(index).copied().flatten() else {
            // RFC 3264 6: a refused stream has port 0, its formats do not matter, but one must stand there
            w.media_like(&media, 0, &formats[..formats.len().min(1)]);
            continue;
        };
        w.media_like(&media, port, &formats);
        media.bandwidths().for_each(|b| _ = w.raw_line(b'b', b));
        media.attributes().filter(|a| is_repeated(&media, a)).for_each(|a| _ = w.raw_line(b'a', a));
        w.line('a', format_args!("{}", direction.name()));
        if with_qos && media.qos_lines().next().is_some() {
            write_qos(&mut w, &media);
        }
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

/// Writes an offer of ours, for an INVITE without one: the audio codecs that every phone has one of.
pub fn write_offer(out: &mut Vec<u8>, origin: Origin, port: u16) {
    let mut w = SdpWriter::new(out, origin.id, origin.version, origin.address);
    w.line('m', format_args!("audio {port} RTP/AVP 104 105 8 0 101 102"));
    for map in [
        "104 AMR-WB/16000/1",
        "105 AMR/8000/1",
        "8 PCMA/8000",
        "0 PCMU/8000",
        "101 telephone-event/16000",
        "102 telephone-event/8000",
    ] {
        w.line('a', format_args!("rtpmap:{map}"));
    }
    w.line('a', format_args!("fmtp:104 mode-change-capability=2;max-red=0"));
    w.line('a', format_args!("fmtp:105 mode-change-capability=2;max-red=0"));
    w.line('a', format_args!("fmtp:101 0-15")).line('a', format_args!("fmtp:102 0-15"));
    w.line('a', format_args!("ptime:20")).line('a', format_args!("maxptime:240"));
    w.line('a', format_args!("sendrecv"));
}

/// Writes our last description again as a new offer (RFC 3264 8: same media, the next version), all streams in use running.
pub fn write_again(out: &mut Vec<u8>, last: &Sdp<'_>, origin: Origin) {
    let mut w = SdpWriter::new(out, origin.id, origin.version, origin.address);
    for media in last.medias() {
        for line in media.lines() {
            let is_direction = line.letter == b'a' && Direction::parse(line.value).is_some();
            if !is_direction {
                w.raw_line(line.letter, line.value);
            }
        }
        if media.port != 0 {
            w.line('a', format_args!("sendrecv"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Allowed = Allowed { audio: true, video: true, text: true };
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
        write_answer(&mut out, &Sdp::parse(offer.as_bytes()).unwrap(), ORIGIN, slots, qos);
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
        let (mut first, mut again) = (Vec::new(), Vec::new());
        write_offer(&mut first, ORIGIN, 10_000);
        let held =
            String::from_utf8(first).unwrap().replace("sendrecv", "recvonly") + "m=video 0 RTP/AVP 99\r\n";
        write_again(&mut again, &Sdp::parse(held.as_bytes()).unwrap(), Origin { version: 2, ..ORIGIN });
        let sdp = Sdp::parse(&again).unwrap();
        let medias: Vec<_> = sdp.medias().collect();
        assert_eq!(sdp.origin().unwrap().version, b"2");
        assert_eq!((medias.len(), medias[0].port, medias[0].direction()), (2, 10_000, Direction::SendRecv));
        assert_eq!((medias[1].port, medias[1].formats_text()), (0, &b"99"[..]));
        assert_eq!(medias[0].rtpmap(b"104").unwrap().name, b"AMR-WB");
    }
}
