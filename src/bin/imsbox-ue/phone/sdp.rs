//! The phone's session descriptions: what it offers, what it answers, what it reads of an answer (RFC 3264, TS 26.114).
//!
//! One audio stream over RTP; all else that is offered is refused with port 0. Preconditions are not taken part in.

use super::codec::Codec;
use imsbox::wire::sdp::{Direction, Media, MediaKind, Sdp, SdpWriter};
use std::net::SocketAddr;

/// The payload type of telephone events at 8 kHz in our offers.
const EVENTS: u8 = 101;
/// The payload type of telephone events at 16 kHz in our offers.
const EVENTS_WIDE: u8 = 100;

/// Whose description it is.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// Session id.
    pub id: u64,
    /// Version: one more each time the description changes.
    pub version: u64,
    /// Where media is wanted.
    pub media: SocketAddr,
}

/// What offer and answer have agreed on.
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
    /// The direction as seen from us.
    pub direction: Direction,
}

/// Writes an offer.
pub fn offer(origin: Origin, codecs: &[Codec], direction: Direction) -> Vec<u8> {
    let mut out = Vec::with_capacity(400);
    let mut w = SdpWriter::new(&mut out, origin.id, origin.version, origin.media.ip());
    let is_wide = codecs.contains(&Codec::AmrWb);
    let mut formats: Vec<String> = codecs.iter().map(|c| c.payload_type().to_string()).collect();
    formats.extend(is_wide.then(|| EVENTS_WIDE.to_string()));
    formats.push(EVENTS.to_string());
    w.line('m', format_args!("audio {} RTP/AVP {}", origin.media.port(), formats.join(" ")));
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
    w.line('a', format_args!("{}", direction.name()));
    out
}

/// Reads the answer to an offer of ours; the error says in words what is wrong.
pub fn read_answer(body: &[u8]) -> Result<Agreed, String> {
    let sdp = Sdp::parse(body).map_err(|e| e.to_string())?;
    let media = audio(&sdp).ok_or("no audio in the answer")?;
    // an answer lists what the other side takes; what we can encode goes first
    let known: Vec<(&[u8], Codec)> =
        media.formats().filter_map(|f| Some((f, codec_of(&media, f)?))).collect();
    let (format, codec) = known
        .iter()
        .find(|(_, c)| c.is_encoded())
        .or(known.first())
        .copied()
        .ok_or("no codec of ours in the answer")?;
    Ok(agreed(&media, format, codec, media.direction().reversed()))
}

/// Answers an offer with the first of `codecs` that it holds. `willing` is what we would do: less when we hold the call. The
/// error is a status for the request.
pub fn answer(
    body: &[u8],
    origin: Origin,
    codecs: &[Codec],
    willing: Direction,
) -> Result<(Vec<u8>, Agreed), u16> {
    let sdp = Sdp::parse(body).map_err(|_| 400u16)?;
    let media = audio(&sdp).ok_or(488u16)?;
    let found =
        codecs.iter().find_map(|c| Some((media.formats().find(|f| codec_of(&media, f) == Some(*c))?, *c)));
    let (format, codec) = found.ok_or(488u16)?;
    let direction = both(media.direction().reversed(), willing);
    let mut out = Vec::with_capacity(400);
    let mut w = SdpWriter::new(&mut out, origin.id, origin.version, origin.media.ip());
    let mut taken = false;
    for line in sdp.medias() {
        if taken || line != media {
            // RFC 3264 6: a refused stream has port 0 and some format
            let formats: Vec<&[u8]> = line.formats().take(1).collect();
            w.media_like(&line, 0, &formats);
            continue;
        }
        taken = true;
        let events = line.formats().find(|f| is_events(&line, f, codec.clock()));
        let formats: Vec<&[u8]> = [Some(format), events].into_iter().flatten().collect();
        w.media_like(&line, origin.media.port(), &formats);
        for format in formats {
            write_format(&mut w, &line, format, codec);
        }
        w.line('a', format_args!("ptime:20"));
        w.line('a', format_args!("{}", direction.name()));
    }
    Ok((out, agreed(&media, format, codec, direction)))
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

/// The first audio stream that is RTP without keys.
fn audio<'a>(sdp: &Sdp<'a>) -> Option<Media<'a>> {
    sdp.medias().find(|m| {
        m.kind == MediaKind::Audio && m.port != 0 && [&b"RTP/AVP"[..], b"RTP/AVPF"].contains(&m.proto)
    })
}

/// The codec of a format: by its map, or one of the static types (RFC 3551 6).
fn codec_of(media: &Media<'_>, format: &[u8]) -> Option<Codec> {
    match media.rtpmap(format) {
        Some(map) => Codec::from_name(map.name)
            .filter(|c| c.clock() == map.clock_rate && matches!(map.parameters, None | Some(b"1"))),
        None => match format {
            b"0" => Some(Codec::Pcmu),
            b"8" => Some(Codec::Pcma),
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
    let text = std::str::from_utf8(format).unwrap_or_default();
    let aligned = media.fmtp(format).and_then(|f| f.get("octet-align")) == Some(b"1");
    // an address of all zeros is the old way to hold (RFC 3264 8.4)
    let usable = |addr: Option<SocketAddr>| addr.filter(|a| !a.ip().is_unspecified() && a.port() != 0);
    Agreed {
        remote: usable(media.rtp_addr()),
        remote_rtcp: usable(media.rtcp_addr()),
        codec,
        payload_type: text.parse().unwrap_or(codec.payload_type()),
        octet_aligned: aligned,
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

    fn origin() -> Origin {
        Origin { id: 7, version: 1, media: "192.0.2.9:4000".parse().unwrap() }
    }

    fn text(octets: &[u8]) -> &str {
        std::str::from_utf8(octets).unwrap()
    }

    #[test]
    fn two_phones_agree() {
        let offered = offer(origin(), &ALL, Direction::SendRecv);
        let there = Origin { id: 8, version: 1, media: "192.0.2.8:5000".parse().unwrap() };
        let (answered, callee) = answer(&offered, there, &ALL, Direction::SendRecv).unwrap();
        let caller = read_answer(&answered).unwrap();
        assert_eq!(
            (caller.codec, caller.payload_type, caller.direction),
            (Codec::Pcma, 8, Direction::SendRecv)
        );
        assert_eq!(caller.remote, Some(there.media));
        assert_eq!(caller.remote_rtcp.map(|a| a.port()), Some(5001));
        assert_eq!((callee.codec, callee.remote), (Codec::Pcma, Some(origin().media)));
        assert!(text(&answered).contains("m=audio 5000 RTP/AVP 8 101\r\n"), "{}", text(&answered));
    }

    #[test]
    fn what_is_held_is_answered_with_the_other_half() {
        let held = offer(origin(), &ALL, Direction::SendOnly);
        let (answered, callee) = answer(&held, origin(), &ALL, Direction::SendRecv).unwrap();
        assert!(text(&answered).ends_with("a=recvonly\r\n"));
        assert_eq!(callee.direction, Direction::RecvOnly);
        assert_eq!(read_answer(&answered).unwrap().direction, Direction::SendOnly);
        // both sides hold
        let (answered, _) = answer(&held, origin(), &ALL, Direction::SendOnly).unwrap();
        assert!(text(&answered).ends_with("a=inactive\r\n"));
    }

    #[test]
    fn an_offer_of_a_phone_keeps_its_payload_types_and_parameters() {
        let offer = b"v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\nm=video 9 RTP/AVP 99\r\n\
            m=audio 6000 RTP/AVP 96 97 110\r\na=rtpmap:96 EVS/16000\r\na=rtpmap:97 AMR-WB/16000/1\r\n\
            a=fmtp:97 octet-align=1; mode-set=2\r\na=rtpmap:110 telephone-event/16000\r\na=fmtp:110 0-15\r\n\
            m=audio 6002 RTP/AVP 8\r\n";
        let (answered, callee) = answer(offer, origin(), &ALL, Direction::SendRecv).unwrap();
        let text = text(&answered);
        for part in [
            "m=video 0 RTP/AVP 99\r\nm=audio 4000 RTP/AVP 97 110\r\na=rtpmap:97 AMR-WB/16000/1\r\n",
            "a=fmtp:97 octet-align=1; mode-set=2\r\n",
            "m=audio 0 RTP/AVP 8\r\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!((callee.codec, callee.payload_type, callee.octet_aligned), (Codec::AmrWb, 97, true));
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
            assert_eq!(answer(offer.as_bytes(), origin(), &ALL, Direction::SendRecv), Err(status), "{offer}");
        }
        assert!(read_answer(with("m=audio 0 RTP/AVP 8\r\n").as_bytes()).is_err());
    }
}
