//! Media as a file describes them (manual 5.2, `mt_call_sdp_file`; `sdp_file`): what is offered or answered, without addresses.
//!
//! Of a file only the media count: kinds, profiles, formats, bandwidth, attributes. Addresses, ports and precondition lines are
//! those of whoever puts the media to use; port 0 stays, for a stream that is refused or left out.

use super::attribute::{Direction, attribute_value};
use super::edit::tells_of_addresses;
use super::precondition::QosLine;
use super::session::{Lines, Sdp, SdpError};
use super::{Media, MediaKind};
use crate::wire::sip::text::{decimal, lossy};
use std::fmt;

/// The most media that a file may describe: audio, video, text and one more.
pub const MAX_TEMPLATE_MEDIA: usize = 4;

/// What every VoLTE phone and every soft client has one of: AMR-WB and AMR in both payload formats, EVS, G.711, and telephone
/// events (TS 26.114 5.2.1).
const VOICE: &str = "v=0\r\n\
    m=audio 1 RTP/AVP 104 110 105 111 106 8 0 101 102\r\n\
    a=rtpmap:104 AMR-WB/16000/1\r\na=fmtp:104 mode-change-capability=2;max-red=0\r\n\
    a=rtpmap:110 AMR-WB/16000/1\r\na=fmtp:110 octet-align=1;mode-change-capability=2;max-red=0\r\n\
    a=rtpmap:105 AMR/8000/1\r\na=fmtp:105 mode-change-capability=2;max-red=0\r\n\
    a=rtpmap:111 AMR/8000/1\r\na=fmtp:111 octet-align=1;mode-change-capability=2;max-red=0\r\n\
    a=rtpmap:106 EVS/16000/1\r\na=fmtp:106 br=5.9-24.4;bw=nb-swb;max-red=0\r\n\
    a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/16000\r\na=fmtp:101 0-15\r\na=rtpmap:102 telephone-event/8000\r\na=fmtp:102 0-15\r\n\
    a=ptime:20\r\na=maxptime:240\r\n";

/// The media of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    /// A description with `v=0` and the media.
    text: Vec<u8>,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&lossy(&self.text)).finish()
    }
}

impl Template {
    /// Voice in the codecs that phones have.
    pub fn voice() -> Template {
        Template { text: VOICE.as_bytes().to_vec() }
    }

    /// Reads a file; a `v=0` may be missing. The error says in words what cannot be used, and where.
    pub fn parse(file: &[u8]) -> Result<Template, String> {
        let text = without_what_is_ours(file)?;
        let sdp = Sdp::parse(&text).map_err(|e| match e {
            SdpError::TooManyMedia => too_many(),
            other => other.to_string(),
        })?;
        let count = sdp.medias().count();
        if count == 0 {
            return Err("it describes no media: there is no m= line".to_owned());
        }
        if count > MAX_TEMPLATE_MEDIA {
            return Err(too_many());
        }
        sdp.medias().enumerate().try_for_each(|(n, media)| {
            check(&media).map_err(|why| format!("media {} ({}): {why}", n + 1, lossy(media.kind_token)))
        })?;
        if sdp.medias().all(|m| m.port == 0) {
            return Err("none of its media is in use: every port is 0".to_owned());
        }
        Ok(Template { text })
    }

    /// The media.
    pub fn medias(&self) -> impl Iterator<Item = Media<'_>> {
        Sdp::parse(&self.text).into_iter().flat_map(|sdp| sdp.medias())
    }
}

fn too_many() -> String {
    format!("it describes more than {MAX_TEMPLATE_MEDIA} media")
}

/// The lines of the media sections that belong to the file, behind a `v=0`.
fn without_what_is_ours(file: &[u8]) -> Result<Vec<u8>, String> {
    let mut text = b"v=0\r\n".to_vec();
    let mut is_media = false;
    for (number, raw) in file.split(|&o| o == b'\n').enumerate() {
        let line = raw.strip_suffix(b"\r").unwrap_or(raw).trim_ascii_end();
        if line.is_empty() {
            continue;
        }
        let words = || lossy(&line[..line.len().min(40)]).into_owned();
        let parsed = Lines::new(line).next();
        let Some(found) = parsed else {
            return Err(format!("line {}: \"{}\" is not letter=value", number + 1, words()));
        };
        is_media |= found.letter == b'm';
        let ours = match found.letter {
            b'm' | b'b' | b'i' => false,
            b'a' => QosLine::parse(found.value).is_some() || tells_of_addresses(found.value),
            _ => true,
        };
        if found.letter == b'm' && super::media::media_line(found.value).is_none() {
            return Err(format!("line {}: \"{}\" is not m=kind port profile formats", number + 1, words()));
        }
        if is_media && !ours {
            text.extend_from_slice(line);
            text.extend_from_slice(b"\r\n");
        }
    }
    Ok(text)
}

/// What is wrong with one media description, in words.
fn check(media: &Media<'_>) -> Result<(), String> {
    if !matches!(media.kind, MediaKind::Audio | MediaKind::Video | MediaKind::Text) {
        return Err("audio, video and text can be used".to_owned());
    }
    if ![&b"RTP/AVP"[..], b"RTP/AVPF"].contains(&media.proto) {
        return Err(format!("its profile is {}; RTP/AVP and RTP/AVPF can be used", lossy(media.proto)));
    }
    let mut formats = media.formats().peekable();
    if formats.peek().is_none() {
        return Err("it has no payload type".to_owned());
    }
    for format in formats {
        match decimal(format) {
            // RFC 3551 6: static up to 95, beyond that only a rtpmap says what it is
            Some(0..=95) => {}
            Some(96..=127) if media.rtpmap(format).is_some() => {}
            Some(96..=127) => return Err(format!("payload type {} has no a=rtpmap", lossy(format))),
            _ => return Err(format!("{} is no payload type: 0 to 127", lossy(format))),
        }
    }
    Ok(())
}

/// The payload type that an attribute of a media description is about, and what follows it: `rtpmap`, `fmtp`, `rtcp-fb`.
pub fn about_format(attribute: &[u8]) -> Option<(&'static str, &[u8], &[u8])> {
    ["rtpmap", "fmtp", "rtcp-fb"].into_iter().find_map(|name| {
        let value = attribute_value(attribute, name)?;
        let end = value.iter().position(|&o| o == b' ')?;
        Some((name, &value[..end], &value[end..]))
    })
}

/// The direction that a media section says itself.
pub fn own_direction(media: &Media<'_>) -> Option<Direction> {
    media.attributes().find_map(Direction::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_file_the_media_count_and_nothing_of_a_place() {
        let file = "v=0\no=- 1 1 IN IP4 nowhere.example\nc=IN IP4 broken address\nt=0 0\na=group:BUNDLE 0\n\
            m=audio 49170 RTP/AVP 97 0\nc=IN IP6 ::1\nb=AS:41\na=rtpmap:97 AMR-WB/16000\na=rtcp:7\na=curr:qos local none\n\
            a=des:qos mandatory local sendrecv\na=candidate:1\na=sendonly\n\nm=video 0 RTP/AVPF 99\na=rtpmap:99 H264/90000\n";
        let template = Template::parse(file.as_bytes()).unwrap();
        assert_eq!(
            lossy(&template.text),
            "v=0\r\nm=audio 49170 RTP/AVP 97 0\r\nb=AS:41\r\na=rtpmap:97 AMR-WB/16000\r\na=sendonly\r\n\
             m=video 0 RTP/AVPF 99\r\na=rtpmap:99 H264/90000\r\n"
        );
        let medias: Vec<_> = template.medias().map(|m| (m.kind, m.port != 0, own_direction(&m))).collect();
        assert_eq!(
            medias,
            [(MediaKind::Audio, true, Some(Direction::SendOnly)), (MediaKind::Video, false, None)]
        );
        assert!(Template::parse(b"m=audio 1 RTP/AVP 0\r\n").is_ok(), "the rest is ours anyway");
    }

    #[test]
    fn voice_is_a_good_file() {
        assert_eq!(Template::parse(VOICE.as_bytes()), Ok(Template::voice()));
    }

    #[test]
    fn what_cannot_be_used_is_said_with_its_place() {
        for (file, words) in [
            ("", "it describes no media: there is no m= line"),
            ("v=0\r\nhello\r\n", "line 2: \"hello\" is not letter=value"),
            (
                "m=audio many RTP/AVP 0\r\n",
                "line 1: \"m=audio many RTP/AVP 0\" is not m=kind port profile formats",
            ),
            (
                "m=audio 1 RTP/SAVP 0\r\n",
                "media 1 (audio): its profile is RTP/SAVP; RTP/AVP and RTP/AVPF can be used",
            ),
            (
                "m=audio 1 RTP/AVP 0\r\nm=image 1 udptl t38\r\n",
                "media 2 (image): audio, video and text can be used",
            ),
            ("m=audio 1 RTP/AVP 96\r\n", "media 1 (audio): payload type 96 has no a=rtpmap"),
            ("m=audio 1 RTP/AVP 128\r\n", "media 1 (audio): 128 is no payload type: 0 to 127"),
            ("m=audio 1 RTP/AVP\r\n", "media 1 (audio): it has no payload type"),
            ("m=audio 0 RTP/AVP 0\r\n", "none of its media is in use: every port is 0"),
        ] {
            assert_eq!(Template::parse(file.as_bytes()), Err(words.to_owned()), "{file}");
        }
        let many = "m=audio 1 RTP/AVP 0\r\n".repeat(MAX_TEMPLATE_MEDIA + 1);
        assert_eq!(Template::parse(many.as_bytes()).unwrap_err(), "it describes more than 4 media");
    }

    #[test]
    fn attributes_about_a_payload_type_are_known() {
        assert_eq!(about_format(b"rtpmap:97 AMR/8000"), Some(("rtpmap", &b"97"[..], &b" AMR/8000"[..])));
        assert_eq!(about_format(b"rtcp-fb:* nack"), Some(("rtcp-fb", &b"*"[..], &b" nack"[..])));
        assert_eq!(about_format(b"ptime:20"), None);
    }
}
