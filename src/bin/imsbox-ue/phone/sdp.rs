//! The phone's session descriptions: what it offers, what it answers, what it reads of an answer (RFC 3264, TS 26.114).
//!
//! One audio and one video stream over RTP; all else that is offered is refused with port 0. Lines of preconditions are
//! written and read here, what they lead to is decided in `precondition`.

use super::codec::Codec;
use imsbox::wire::sdp::precondition::{Directions, QosLine, Status, Strength};
use imsbox::wire::sdp::{Direction, Media, MediaKind, Sdp, SdpWriter};
use std::net::SocketAddr;

/// The payload type of telephone events at 8 kHz in our offers.
const EVENTS: u8 = 101;
/// The payload type of telephone events at 16 kHz in our offers.
const EVENTS_WIDE: u8 = 100;
/// The video codecs of the phone.
const VIDEO: &[Codec] = &[Codec::H264];

/// Whose description it is.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// Session id.
    pub id: u64,
    /// Version: one more each time the description changes.
    pub version: u64,
    /// Where sound is wanted.
    pub media: SocketAddr,
    /// The port where pictures are wanted.
    pub video_port: u16,
}

/// A place in the descriptions of a session: they all have the same ones, in the same order (RFC 3264 8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Our sound.
    Audio,
    /// Our pictures.
    Video,
    /// Refused for good: the `m=` value with port 0.
    Refused(Vec<u8>),
}

/// What our next description says.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// Whose it is.
    pub origin: Origin,
    /// The audio codecs, in order of preference.
    pub codecs: &'a [Codec],
    /// What we would do with media.
    pub direction: Direction,
    /// Whether we take pictures.
    pub video: bool,
    /// How our resources stand, and theirs as far as we know; `None` without preconditions.
    pub resources: Option<(bool, bool)>,
}

/// What offer and answer have agreed on for one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Where RTP goes; `None` when the other side has no place for it.
    pub remote: Option<SocketAddr>,
    /// Where RTCP goes.
    pub remote_rtcp: Option<SocketAddr>,
    /// The codec to send.
    pub codec: Codec,
    /// Its payload type on the wire.
    pub payload_type: u8,
    /// AMR: whether payloads are octet-aligned (RFC 4867 8.1).
    pub octet_aligned: bool,
    /// The payload type of telephone events (RFC 4733), where both take them.
    pub events: Option<u8>,
    /// The direction as seen from us.
    pub direction: Direction,
}

/// What their description says of preconditions (RFC 3312 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TheirQos {
    /// Whether their resources are there, in both directions.
    pub is_ready: bool,
    /// Whether they want to be told when ours are.
    pub asks: bool,
}

/// What offer and answer have agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Sound.
    pub audio: Agreed,
    /// Pictures, where both sides have them.
    pub video: Option<Agreed>,
    /// Preconditions, where they name some.
    pub qos: Option<TheirQos>,
    /// The places of the session.
    pub slots: Vec<Slot>,
}

/// Writes an offer with these places.
pub fn offer(own: &Own<'_>, slots: &[Slot]) -> Vec<u8> {
    let mut out = Vec::with_capacity(600);
    let mut w = SdpWriter::new(&mut out, own.origin.id, own.origin.version, own.origin.media.ip());
    for slot in slots {
        match slot {
            Slot::Audio => offer_audio(&mut w, own),
            Slot::Video => offer_video(&mut w, own),
            Slot::Refused(line) => {
                w.raw_line(b'm', line);
                continue;
            }
        }
        write_resources(&mut w, own, false);
        w.line('a', format_args!("{}", own.direction.name()));
    }
    out
}

fn offer_audio(w: &mut SdpWriter<'_>, own: &Own<'_>) {
    let codecs = own.codecs;
    let is_wide = codecs.contains(&Codec::AmrWb);
    let mut formats: Vec<String> = codecs.iter().map(|c| c.payload_type().to_string()).collect();
    formats.extend(is_wide.then(|| EVENTS_WIDE.to_string()));
    formats.push(EVENTS.to_string());
    w.line('m', format_args!("audio {} RTP/AVP {}", own.origin.media.port(), formats.join(" ")));
    for codec in codecs {
        let pt = codec.payload_type();
        w.line('a', format_args!("rtpmap:{pt} {}/{}", codec.name(), codec.clock()));
        if !codec.is_encoded() {
            w.line('a', format_args!("fmtp:{pt} mode-change-capability=2;max-red=0"));
        }
    }
    if is_wide {
        w.line('a', format_args!("rtpmap:{EVENTS_WIDE} telephone-event/16000"));
    }
    w.line('a', format_args!("rtpmap:{EVENTS} telephone-event/8000"));
    w.line('a', format_args!("fmtp:{EVENTS} 0-15"));
    w.line('a', format_args!("ptime:20"));
}

/// TS 26.114 5.2.2: H.264 of the constrained baseline profile, level 1.2.
fn offer_video(w: &mut SdpWriter<'_>, own: &Own<'_>) {
    let pt = Codec::H264.payload_type();
    w.line('m', format_args!("video {} RTP/AVP {pt}", own.origin.video_port));
    w.line('b', format_args!("AS:64"));
    w.line('a', format_args!("rtpmap:{pt} {}/{}", Codec::H264.name(), Codec::H264.clock()));
    w.line('a', format_args!("fmtp:{pt} profile-level-id=42C00C;packetization-mode=1"));
}

/// RFC 3312 5.1, TS 24.229 6.1.2, 6.1.3: ours are needed; theirs are wanted by the one that calls, and needed and asked for by the
/// one that is called.
fn write_resources(w: &mut SdpWriter<'_>, own: &Own<'_>, is_answer: bool) {
    let Some((local, remote)) = own.resources else { return };
    let there = |is_there: bool| if is_there { Directions::BOTH } else { Directions::NONE };
    let strength = if is_answer { Strength::Mandatory } else { Strength::Optional };
    let lines = [
        Some(QosLine::Current(Status::Local, there(local))),
        Some(QosLine::Current(Status::Remote, there(remote))),
        Some(QosLine::Desired(Strength::Mandatory, Status::Local, Directions::BOTH)),
        Some(QosLine::Desired(strength, Status::Remote, Directions::BOTH)),
        (is_answer && !remote).then_some(QosLine::Confirm(Status::Remote, Directions::BOTH)),
    ];
    for line in lines.into_iter().flatten() {
        w.line('a', format_args!("{line}"));
    }
}

/// Reads the answer to an offer of ours with these places; the error says in words what is wrong.
pub fn read_answer(body: &[u8], offered: &[Slot]) -> Result<Agreement, String> {
    let sdp = Sdp::parse(body).map_err(|e| e.to_string())?;
    // RFC 3264 6
    if sdp.medias().count() != offered.len() {
        return Err(format!("it has {} streams, the offer had {}", sdp.medias().count(), offered.len()));
    }
    let (mut audio, mut video, mut slots) = (None, None, Vec::new());
    for (media, slot) in sdp.medias().zip(offered) {
        let found = match slot {
            Slot::Audio if media.kind == MediaKind::Audio => &mut audio,
            Slot::Video if media.kind == MediaKind::Video => &mut video,
            Slot::Refused(_) => {
                slots.push(slot.clone());
                continue;
            }
            _ => return Err("its streams are in another order than those of the offer".to_owned()),
        };
        *found = taken(&media);
        slots.push(if found.is_some() { slot.clone() } else { Slot::Refused(refused(&media)) });
    }
    let qos = sdp.medias().find(|m| m.port != 0).and_then(|m| their_qos(&m));
    let audio = audio.ok_or("no audio of ours in the answer")?;
    Ok(Agreement { audio, video, qos, slots })
}

/// A stream of an answer: it lists what the other side takes; what we can encode goes first.
fn taken(media: &Media<'_>) -> Option<Agreed> {
    if !is_rtp(media) {
        return None;
    }
    let known: Vec<(&[u8], Codec)> = media.formats().filter_map(|f| Some((f, codec_of(media, f)?))).collect();
    let (format, codec) = known.iter().find(|(_, c)| c.is_encoded()).or(known.first()).copied()?;
    Some(agreed(media, format, codec, media.direction().reversed()))
}

/// The `m=` value that refuses a stream: port 0 and some format (RFC 3264 6).
fn refused(media: &Media<'_>) -> Vec<u8> {
    let format = media.formats().next().unwrap_or(b"0");
    [media.kind_token, b" 0 ", media.proto, b" ", format].concat()
}

/// Answers an offer with the first of our codecs that it holds; our direction is what we would do: less when we hold the call.
/// The error is a status for the request.
pub fn answer(body: &[u8], own: &Own<'_>) -> Result<(Vec<u8>, Agreement), u16> {
    let sdp = Sdp::parse(body).map_err(|_| 400u16)?;
    let has_qos = own.resources.is_some();
    let (mut audio, mut video, mut slots) = (None, None, Vec::new());
    let mut out = Vec::with_capacity(600);
    let mut w = SdpWriter::new(&mut out, own.origin.id, own.origin.version, own.origin.media.ip());
    for media in sdp.medias() {
        let (found, codecs, slot) = match media.kind {
            MediaKind::Audio => (&mut audio, own.codecs, Slot::Audio),
            _ => (&mut video, VIDEO, Slot::Video),
        };
        let is_wanted =
            found.is_none() && (slot == Slot::Audio || media.kind == MediaKind::Video && own.video);
        let common = |c: &Codec| Some((media.formats().find(|f| codec_of(&media, f) == Some(*c))?, *c));
        let usable = (is_wanted && is_rtp(&media)).then(|| codecs.iter().find_map(common)).flatten();
        let Some((format, codec)) = usable else {
            let line = refused(&media);
            w.raw_line(b'm', &line);
            slots.push(Slot::Refused(line));
            continue;
        };
        let direction = both(media.direction().reversed(), own.direction);
        *found = Some(agreed(&media, format, codec, direction));
        let port = if slot == Slot::Audio { own.origin.media.port() } else { own.origin.video_port };
        write_answer(&mut w, &media, format, codec, port);
        write_resources(&mut w, own, has_qos);
        w.line('a', format_args!("{}", direction.name()));
        slots.push(slot);
    }
    let qos = sdp.medias().find(|m| m.port != 0).and_then(|m| their_qos(&m));
    let audio = audio.ok_or(488u16)?;
    Ok((out, Agreement { audio, video, qos, slots }))
}

fn write_answer(w: &mut SdpWriter<'_>, media: &Media<'_>, format: &[u8], codec: Codec, port: u16) {
    let events = media.formats().find(|f| is_events(media, f, codec.clock()));
    let formats: Vec<&[u8]> = [Some(format), events].into_iter().flatten().collect();
    w.media_like(media, port, &formats);
    for format in formats {
        write_format(w, media, format, codec);
    }
    if media.kind == MediaKind::Audio {
        w.line('a', format_args!("ptime:20"));
    }
}

fn write_format(w: &mut SdpWriter<'_>, line: &Media<'_>, format: &[u8], codec: Codec) {
    match line.rtpmap(format) {
        Some(map) => {
            let parameters = map.parameters.map_or(Vec::new(), |p| [b"/", p].concat());
            let rate = format!("/{}", map.clock_rate);
            let text = [b"rtpmap:", format, b" ", map.name, rate.as_bytes(), &parameters].concat();
            w.raw_line(b'a', &text);
        }
        None => {
            let rate = format!(" {}/{}", codec.name(), codec.clock());
            w.raw_line(b'a', &[b"rtpmap:", format, rate.as_bytes()].concat());
        }
    }
    if let Some(fmtp) = line.fmtp(format) {
        w.raw_line(b'a', &[b"fmtp:", format, b" ", fmtp.value].concat());
    }
}

/// What a description says of preconditions. What is local to them is remote to us (RFC 3312 5).
fn their_qos(media: &Media<'_>) -> Option<TheirQos> {
    media.qos_lines().next()?;
    let is_ready = |line| match line {
        // of both sides together, or of theirs
        QosLine::Current(Status::Local | Status::E2e, there) => there.covers(Directions::BOTH),
        _ => false,
    };
    let asks = |line| matches!(line, QosLine::Confirm(Status::Remote | Status::E2e, _));
    Some(TheirQos { is_ready: media.qos_lines().any(is_ready), asks: media.qos_lines().any(asks) })
}

/// What a description says of preconditions.
pub fn their_resources(body: &[u8]) -> Option<TheirQos> {
    Sdp::parse(body).ok()?.medias().find(|m| m.port != 0).and_then(|m| their_qos(&m))
}

/// Whether the other side holds: its first stream does not want ours.
pub fn is_held(body: &[u8]) -> bool {
    let first = Sdp::parse(body).ok().and_then(|sdp| sdp.medias().find(|m| m.port != 0));
    first.is_some_and(|m| !m.direction().receives())
}

/// Whether it is a stream over RTP without keys.
fn is_rtp(media: &Media<'_>) -> bool {
    media.port != 0 && [&b"RTP/AVP"[..], b"RTP/AVPF"].contains(&media.proto)
}

/// The codec of a format: by its map, or one of the static types (RFC 3551 6).
fn codec_of(media: &Media<'_>, format: &[u8]) -> Option<Codec> {
    match media.rtpmap(format) {
        Some(map) => Codec::from_name(map.name)
            .filter(|c| c.clock() == map.clock_rate && matches!(map.parameters, None | Some(b"1")))
            .filter(|c| c.is_video() == (media.kind == MediaKind::Video)),
        None => match format {
            b"0" if media.kind == MediaKind::Audio => Some(Codec::Pcmu),
            b"8" if media.kind == MediaKind::Audio => Some(Codec::Pcma),
            _ => None,
        },
    }
}

fn is_events(media: &Media<'_>, format: &[u8], clock: u32) -> bool {
    media
        .rtpmap(format)
        .is_some_and(|m| m.name.eq_ignore_ascii_case(b"telephone-event") && m.clock_rate == clock)
}

fn agreed(media: &Media<'_>, format: &[u8], codec: Codec, direction: Direction) -> Agreed {
    let number = |format: &[u8]| std::str::from_utf8(format).ok()?.parse().ok();
    let aligned = media.fmtp(format).and_then(|f| f.get("octet-align")) == Some(b"1");
    // an address of all zeros is the old way to hold (RFC 3264 8.4)
    let usable = |addr: Option<SocketAddr>| addr.filter(|a| !a.ip().is_unspecified() && a.port() != 0);
    Agreed {
        remote: usable(media.rtp_addr()),
        remote_rtcp: usable(media.rtcp_addr()),
        codec,
        payload_type: number(format).unwrap_or(codec.payload_type()),
        octet_aligned: aligned,
        events: media.formats().find(|f| is_events(media, f, codec.clock())).and_then(number),
        direction,
    }
}

/// What two wishes for one side have in common.
fn both(a: Direction, b: Direction) -> Direction {
    match (a.sends() && b.sends(), a.receives() && b.receives()) {
        (true, true) => Direction::SendRecv,
        (true, false) => Direction::SendOnly,
        (false, true) => Direction::RecvOnly,
        (false, false) => Direction::Inactive,
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::ALL;
    use super::*;

    fn own(direction: Direction) -> Own<'static> {
        let origin = Origin { id: 7, version: 1, media: "192.0.2.9:4000".parse().unwrap(), video_port: 4002 };
        Own { origin, codecs: &ALL, direction, video: false, resources: None }
    }

    fn both_ways() -> Own<'static> {
        own(Direction::SendRecv)
    }

    fn text(octets: &[u8]) -> &str {
        std::str::from_utf8(octets).unwrap()
    }

    const SOUND: &[Slot] = &[Slot::Audio];

    #[test]
    fn two_phones_agree() {
        let offered = offer(&both_ways(), SOUND);
        let there = Origin { id: 8, version: 1, media: "192.0.2.8:5000".parse().unwrap(), video_port: 5002 };
        let (answered, callee) = answer(&offered, &Own { origin: there, ..both_ways() }).unwrap();
        let caller = read_answer(&answered, SOUND).unwrap().audio;
        assert_eq!(
            (caller.codec, caller.payload_type, caller.direction),
            (Codec::Pcma, 8, Direction::SendRecv)
        );
        assert_eq!(caller.remote, Some(there.media));
        assert_eq!(caller.remote_rtcp.map(|a| a.port()), Some(5001));
        assert_eq!((callee.audio.codec, callee.audio.remote), (Codec::Pcma, Some(both_ways().origin.media)));
        assert!(text(&answered).contains("m=audio 5000 RTP/AVP 8 101\r\n"), "{}", text(&answered));
    }

    #[test]
    fn what_is_held_is_answered_with_the_other_half() {
        let held = offer(&own(Direction::SendOnly), SOUND);
        assert!(is_held(&held) && !is_held(&offer(&both_ways(), SOUND)));
        let (answered, callee) = answer(&held, &both_ways()).unwrap();
        assert!(text(&answered).ends_with("a=recvonly\r\n"));
        assert_eq!(callee.audio.direction, Direction::RecvOnly);
        assert_eq!(read_answer(&answered, SOUND).unwrap().audio.direction, Direction::SendOnly);
        // both sides hold
        let (answered, _) = answer(&held, &own(Direction::SendOnly)).unwrap();
        assert!(text(&answered).ends_with("a=inactive\r\n"));
    }

    #[test]
    fn an_offer_of_a_phone_keeps_its_payload_types_and_parameters() {
        let offered =
            b"v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\nm=video 9 RTP/AVP 99\r\n\
            m=audio 6000 RTP/AVP 96 97 110\r\na=rtpmap:96 EVS/16000\r\na=rtpmap:97 AMR-WB/16000/1\r\n\
            a=fmtp:97 octet-align=1; mode-set=2\r\na=rtpmap:110 telephone-event/16000\r\na=fmtp:110 0-15\r\n\
            m=audio 6002 RTP/AVP 8\r\n";
        let (answered, callee) = answer(offered, &both_ways()).unwrap();
        let text = text(&answered);
        for part in [
            "m=video 0 RTP/AVP 99\r\nm=audio 4000 RTP/AVP 97 110\r\na=rtpmap:97 AMR-WB/16000/1\r\n",
            "a=fmtp:97 octet-align=1; mode-set=2\r\n",
            "m=audio 0 RTP/AVP 8\r\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let audio = callee.audio;
        assert_eq!((audio.codec, audio.payload_type, audio.octet_aligned), (Codec::AmrWb, 97, true));
        // our next offer has the same places
        let next = offer(&both_ways(), &callee.slots);
        let lines: Vec<&str> = super::tests::text(&next).lines().filter(|l| l.starts_with("m=")).collect();
        assert!(matches!(
            lines[..],
            ["m=video 0 RTP/AVP 99", audio, "m=audio 0 RTP/AVP 8"] if audio.starts_with("m=audio 4000 ")
        ));
    }

    #[test]
    fn pictures_are_taken_where_both_sides_have_them() {
        let slots = [Slot::Audio, Slot::Video];
        let with = Own { video: true, ..both_ways() };
        let offered = offer(&with, &slots);
        assert!(text(&offered).contains("m=video 4002 RTP/AVP 99\r\n"), "{}", text(&offered));
        let (answered, callee) = answer(&offered, &with).unwrap();
        let video = callee.video.unwrap();
        assert_eq!((video.codec, video.payload_type), (Codec::H264, 99));
        assert_eq!(video.remote, Some("192.0.2.9:4002".parse().unwrap()));
        assert_eq!(read_answer(&answered, &slots).unwrap().video, Some(video));
        let (answered, callee) = answer(&offered, &both_ways()).unwrap();
        assert!(callee.video.is_none() && text(&answered).contains("m=video 0 RTP/AVP 99\r\n"));
        let caller = read_answer(&answered, &slots).unwrap();
        assert_eq!(caller.slots, [Slot::Audio, Slot::Refused(b"video 0 RTP/AVP 99".to_vec())]);
    }

    #[test]
    fn preconditions_are_seen_from_both_sides() {
        let caller = Own { resources: Some((false, false)), ..both_ways() };
        let offered = offer(&caller, SOUND);
        assert!(text(&offered).contains(
            "a=curr:qos local none\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
             a=des:qos optional remote sendrecv\r\na=sendrecv\r\n"
        ));
        assert!(
            their_resources(&offered).is_some() && their_resources(&offer(&both_ways(), SOUND)).is_none()
        );
        let callee = Own { resources: Some((true, false)), ..both_ways() };
        let (answered, agreement) = answer(&offered, &callee).unwrap();
        assert_eq!(agreement.qos, Some(TheirQos { is_ready: false, asks: false }));
        assert!(text(&answered).contains(
            "a=curr:qos local sendrecv\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
             a=des:qos mandatory remote sendrecv\r\na=conf:qos remote sendrecv\r\n"
        ));
        let read = read_answer(&answered, SOUND).unwrap();
        assert_eq!(read.qos, Some(TheirQos { is_ready: true, asks: true }));
        let (answered, _) = answer(&offered, &both_ways()).unwrap();
        assert_eq!(read_answer(&answered, SOUND).unwrap().qos, None);
    }

    #[test]
    fn what_does_not_fit_has_its_status() {
        let with = |media: &str| {
            format!("v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\n{media}")
        };
        for (offer, status) in [
            ("rubbish".to_owned(), 400),
            (with("m=audio 4 RTP/AVP 96\r\na=rtpmap:96 EVS/16000\r\n"), 488),
            (with("m=audio 4 RTP/SAVP 8\r\n"), 488),
            (with("m=video 4 RTP/AVP 8\r\n"), 488),
        ] {
            assert_eq!(answer(offer.as_bytes(), &both_ways()), Err(status), "{offer}");
        }
        for (media, problem) in [
            ("m=audio 0 RTP/AVP 8\r\n", "no audio"),
            ("", "it has 0 streams"),
            ("m=audio 4 RTP/AVP 8\r\nm=video 0 RTP/AVP 99\r\n", "it has 2 streams, the offer had 1"),
            ("m=video 4 RTP/AVP 8\r\n", "another order"),
        ] {
            let error = read_answer(with(media).as_bytes(), SOUND).unwrap_err();
            assert!(error.contains(problem), "{media}: {error}");
        }
    }
}
