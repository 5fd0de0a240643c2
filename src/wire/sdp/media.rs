//! One media description: an `m=` line and what follows it.

use super::attribute::{Direction, Fmtp, RtpMap, attribute_value};
use super::precondition::QosLine;
use super::session::{Line, Lines, Sdp, connection};
use crate::wire::sip::text::{decimal, split_once};
use std::net::{IpAddr, SocketAddr};

/// A kind of media.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the variants are the kinds' names")]
pub enum MediaKind {
    Audio,
    Video,
    Text,
    Message,
    Application,
    Other,
}

impl MediaKind {
    /// The kind that an `m=` line names.
    pub fn from_token(token: &[u8]) -> Self {
        match token {
            b"audio" => MediaKind::Audio,
            b"video" => MediaKind::Video,
            b"text" => MediaKind::Text,
            b"message" => MediaKind::Message,
            b"application" => MediaKind::Application,
            _ => MediaKind::Other,
        }
    }

    /// The name in an `m=` line; `other` for a kind we do not know.
    pub const fn name(self) -> &'static str {
        match self {
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
            MediaKind::Text => "text",
            MediaKind::Message => "message",
            MediaKind::Application => "application",
            MediaKind::Other => "other",
        }
    }
}

/// One media description, borrowed from its session's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Media<'a> {
    session: Sdp<'a>,
    section: &'a [u8],
    formats: &'a [u8],
    /// What it is.
    pub kind: MediaKind,
    /// The kind's token as it came.
    pub kind_token: &'a [u8],
    /// RTP port; 0 refuses or removes the stream.
    pub port: u16,
    /// Profile as it came: `RTP/AVP`, `RTP/AVPF`, `RTP/SAVP`, ….
    pub proto: &'a [u8],
}

/// The fields of an `m=` value.
pub(super) struct MediaLine<'a> {
    kind: &'a [u8],
    port: u16,
    proto: &'a [u8],
    formats: &'a [u8],
}

/// Parses `audio 6000[/2] RTP/AVP 104 8`.
pub(super) fn media_line(value: &[u8]) -> Option<MediaLine<'_>> {
    let (kind, rest) = word(value)?;
    let (port, rest) = word(rest)?;
    let (proto, formats) = word(rest)?;
    let port = split_once(port, b'/').map_or(port, |(p, _)| p);
    let port = u16::try_from(decimal(port)?).ok()?;
    Some(MediaLine { kind, port, proto, formats })
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = text.iter().position(|&o| o != b' ')?;
    let end = text[start..].iter().position(|&o| o == b' ').map_or(text.len(), |e| start + e);
    Some((&text[start..end], &text[end..]))
}

impl<'a> Media<'a> {
    pub(super) fn new(session: Sdp<'a>, section: &'a [u8]) -> Option<Media<'a>> {
        let line = Lines::new(section).next()?;
        let MediaLine { kind, port, proto, formats } = media_line(line.value)?;
        Some(Media {
            session,
            section,
            formats,
            kind: MediaKind::from_token(kind),
            kind_token: kind,
            port,
            proto,
        })
    }

    /// All lines, the `m=` line first.
    pub fn lines(&self) -> Lines<'a> {
        Lines::new(self.section)
    }

    /// The formats (payload types of RTP), in order of preference.
    pub fn formats(&self) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.formats.split(|&o| o == b' ').filter(|f| !f.is_empty())
    }

    /// The formats' text as it came, without leading spaces.
    pub fn formats_text(&self) -> &'a [u8] {
        crate::wire::sip::text::trim(self.formats)
    }

    /// The connection address: the media's own, else the session's.
    pub fn connection(&self) -> Option<IpAddr> {
        let own = self.lines().find(|l| l.letter == b'c').and_then(|l| connection(l.value));
        own.unwrap_or_else(|| self.session.connection())
    }

    /// Where RTP is wanted; `None` when the port is 0 or the address is not one.
    pub fn rtp_addr(&self) -> Option<SocketAddr> {
        let ip = self.connection()?;
        (self.port != 0).then_some(SocketAddr::new(ip, self.port))
    }

    /// Where RTCP is wanted: `a=rtcp` (RFC 3605), RTP's port with `a=rtcp-mux` (RFC 5761), else the port above RTP's.
    pub fn rtcp_addr(&self) -> Option<SocketAddr> {
        let rtp = self.rtp_addr()?;
        if self.attribute("rtcp-mux").is_some() {
            return Some(rtp);
        }
        let Some(value) = self.attribute("rtcp") else {
            return Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?));
        };
        let (port, rest) = word(value)?;
        let port = u16::try_from(decimal(port)?).ok()?;
        let ip = connection(rest).flatten().unwrap_or(rtp.ip());
        Some(SocketAddr::new(ip, port))
    }

    /// The direction: the media's own, else the session's, else sendrecv (RFC 8866 6.7). An address of all zeros is the old
    /// way to hold (RFC 3264 8.4) and counts as inactive for what we would send.
    pub fn direction(&self) -> Direction {
        let own = self.attributes().find_map(Direction::parse);
        let direction = own.or_else(|| self.session.direction()).unwrap_or_default();
        match self.connection() {
            Some(ip) if ip.is_unspecified() => direction.without_receiving(),
            _ => direction,
        }
    }

    /// All attribute values (`a=`), in order.
    pub fn attributes(&self) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.lines().filter(|l: &Line<'_>| l.letter == b'a').map(|l| l.value)
    }

    /// The value of the first attribute of this name; empty for a flag.
    pub fn attribute(&self, name: &str) -> Option<&'a [u8]> {
        self.attributes().find_map(|a| attribute_value(a, name))
    }

    /// The `b=` values, in order.
    pub fn bandwidths(&self) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.lines().filter(|l| l.letter == b'b').map(|l| l.value)
    }

    /// The `a=rtpmap` of a payload type.
    pub fn rtpmap(&self, format: &[u8]) -> Option<RtpMap<'a>> {
        self.attributes().filter_map(RtpMap::parse).find(|m| m.format == format)
    }

    /// The `a=fmtp` of a payload type.
    pub fn fmtp(&self, format: &[u8]) -> Option<Fmtp<'a>> {
        self.attributes().filter_map(Fmtp::parse).find(|m| m.format == format)
    }

    /// The precondition lines (RFC 3312), in order.
    pub fn qos_lines(&self) -> impl Iterator<Item = QosLine> + 'a {
        self.attributes().filter_map(QosLine::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(text: &str) -> Media<'_> {
        Sdp::parse(text.as_bytes()).unwrap().medias().next().unwrap()
    }

    #[test]
    fn rtcp_address_forms() {
        let with = |line: &str| {
            let text = format!("v=0\nc=IN IP4 10.0.0.1\nm=audio 6000 RTP/AVP 0\n{line}\n");
            media(&text).rtcp_addr().unwrap().to_string()
        };
        assert_eq!(with("a=x"), "10.0.0.1:6001");
        assert_eq!(with("a=rtcp:7000"), "10.0.0.1:7000");
        assert_eq!(with("a=rtcp:7000 IN IP4 10.0.0.2"), "10.0.0.2:7000");
        assert_eq!(with("a=rtcp-mux"), "10.0.0.1:6000");
    }

    #[test]
    fn old_hold_is_not_receiving() {
        let held = media("v=0\nc=IN IP4 0.0.0.0\nm=audio 6000 RTP/AVP 0\n");
        assert_eq!(held.direction(), Direction::SendOnly);
        let held = media("v=0\nc=IN IP4 10.0.0.1\na=inactive\nm=audio 6000/2 RTP/AVP 0\n");
        assert_eq!((held.direction(), held.port), (Direction::Inactive, 6000));
    }
}
