//! The session part of a description, and the lines of which all of it is made.

use super::attribute::{Direction, attribute_value};
use super::media::{Media, media_line};
use crate::wire::sip::text::trim;
use std::fmt;
use std::net::IpAddr;

/// The most `m=` lines that a description may have; an offer with more is refused.
pub const MAX_MEDIA: usize = 16;

/// Why a description cannot be used. The text belongs into a Warning or Reason header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SdpError {
    /// It does not start with `v=0`.
    Version,
    /// A line is not `letter=value`; its number, from 1.
    Line(usize),
    /// An `m=` line cannot be parsed; its number, from 1.
    Media(usize),
    /// A `c=` line cannot be parsed; its number, from 1.
    Connection(usize),
    /// More than [`MAX_MEDIA`] `m=` lines.
    TooManyMedia,
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SdpError::Version => f.write_str("SDP does not start with v=0"),
            SdpError::Line(n) => write!(f, "SDP line {n} is not letter=value"),
            SdpError::Media(n) => write!(f, "SDP line {n}: malformed m="),
            SdpError::Connection(n) => write!(f, "SDP line {n}: malformed c="),
            SdpError::TooManyMedia => write!(f, "SDP with more than {MAX_MEDIA} media"),
        }
    }
}

impl std::error::Error for SdpError {}

/// One line: its letter and its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line<'a> {
    /// The type letter.
    pub letter: u8,
    /// The value, without the line end.
    pub value: &'a [u8],
}

/// The lines of a piece of a description; what is not `letter=value` is skipped here ([`Sdp::parse`] has reported it).
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Lines { rest: octets }
    }

    /// The next line with where it starts behind; `Err` for a line that is not `letter=value`.
    fn step(&mut self) -> Option<Result<Line<'a>, ()>> {
        while !self.rest.is_empty() {
            let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
            let text = &self.rest[..end];
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            match text {
                [] => {}
                [letter, b'=', value @ ..] if letter.is_ascii_alphabetic() => {
                    return Some(Ok(Line { letter: *letter, value }));
                }
                _ => return Some(Err(())),
            }
        }
        None
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            if let Ok(line) = self.step()? {
                return Some(line);
            }
        }
    }
}

/// The origin line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin<'a> {
    /// Username, session id, as they came.
    pub session: (&'a [u8], &'a [u8]),
    /// Session version.
    pub version: &'a [u8],
    /// Address as it came.
    pub address: &'a [u8],
}

/// A session description.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sdp<'a> {
    octets: &'a [u8],
    session_len: usize,
}

impl<'a> Sdp<'a> {
    /// Checks and takes a description.
    pub fn parse(octets: &'a [u8]) -> Result<Sdp<'a>, SdpError> {
        let mut lines = Lines::new(octets);
        match lines.step() {
            Some(Ok(Line { letter: b'v', value })) if trim(value) == b"0" => {}
            _ => return Err(SdpError::Version),
        }
        let (mut number, mut media, mut session_len) = (1, 0, octets.len());
        loop {
            let at = octets.len() - lines.rest.len();
            let Some(line) = lines.step() else { break };
            number += 1;
            let line = line.map_err(|()| SdpError::Line(number))?;
            match line.letter {
                b'm' => {
                    media_line(line.value).ok_or(SdpError::Media(number))?;
                    if media == 0 {
                        session_len = at;
                    }
                    media += 1;
                }
                b'c' => {
                    connection(line.value).ok_or(SdpError::Connection(number))?;
                }
                _ => {}
            }
        }
        if media > MAX_MEDIA {
            return Err(SdpError::TooManyMedia);
        }
        Ok(Sdp { octets, session_len })
    }

    /// The whole text.
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The lines above the first `m=`.
    pub fn session_lines(&self) -> Lines<'a> {
        Lines::new(&self.octets[..self.session_len])
    }

    /// The origin line.
    pub fn origin(&self) -> Option<Origin<'a>> {
        let value = self.session_lines().find(|l| l.letter == b'o')?.value;
        let mut words = value.split(|&o| o == b' ').filter(|w| !w.is_empty());
        let session = (words.next()?, words.next()?);
        let version = words.next()?;
        let address = words.nth(2)?;
        Some(Origin { session, version, address })
    }

    /// The session's connection address; `None` in the place of an address that is a name.
    pub fn connection(&self) -> Option<IpAddr> {
        self.session_lines().find(|l| l.letter == b'c').and_then(|l| connection(l.value)).flatten()
    }

    /// The session's direction attribute, if it has one.
    pub fn direction(&self) -> Option<Direction> {
        self.session_lines().filter(|l| l.letter == b'a').find_map(|l| Direction::parse(l.value))
    }

    /// The value of a session attribute; empty for a flag.
    pub fn attribute(&self, name: &str) -> Option<&'a [u8]> {
        self.session_lines().filter(|l| l.letter == b'a').find_map(|l| attribute_value(l.value, name))
    }

    /// The media, in order.
    pub fn medias(&self) -> impl Iterator<Item = Media<'a>> + use<'a> {
        let sdp = *self;
        let mut rest = &self.octets[self.session_len..];
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let end = next_media(rest);
            let section = &rest[..end];
            rest = &rest[end..];
            Media::new(sdp, section)
        })
    }
}

/// Where the next `m=` line after the first line starts, or the end.
fn next_media(section: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', section)
        .map(|lf| lf + 1)
        .find(|&at| section[at..].starts_with(b"m="))
        .unwrap_or(section.len())
}

/// Parses a `c=` value: `IN IP4 192.0.2.1[/ttl]` or `IN IP6 2001:db8::1`. The inner `None` is a host name.
pub(super) fn connection(value: &[u8]) -> Option<Option<IpAddr>> {
    let mut words = value.split(|&o| o == b' ' || o == b'\t').filter(|w| !w.is_empty());
    let (net, family, address) = (words.next()?, words.next()?, words.next()?);
    if !net.eq_ignore_ascii_case(b"IN")
        || !(family.eq_ignore_ascii_case(b"IP4") || family.eq_ignore_ascii_case(b"IP6"))
    {
        return None;
    }
    let end = memchr::memchr(b'/', address).unwrap_or(address.len());
    let text = std::str::from_utf8(&address[..end]).ok()?;
    Some(text.trim_matches(['[', ']']).parse().ok())
}

#[cfg(test)]
mod tests {
    use super::super::MediaKind;
    use super::*;

    const OFFER: &[u8] = b"v=0\r\no=tel:+331 1 2 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nb=AS:41\r\nt=0 0\r\n\
        m=audio 6000 RTP/AVP 104 8 100\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:104 AMR-WB/16000/1\r\na=fmtp:104 max-red=220; mode-set=0\r\n\
        a=rtpmap:100 AMR /8000\r\na=curr:qos local none\r\na=recvonly\r\nm=video 0 RTP/AVPF 99";

    #[test]
    fn an_offer_in_its_parts() {
        let s = Sdp::parse(OFFER).unwrap();
        assert_eq!(s.origin().unwrap().version, b"2");
        assert_eq!(s.connection(), Some("10.0.0.1".parse().unwrap()));
        let m: Vec<_> = s.medias().collect();
        assert_eq!(m.len(), 2);
        assert_eq!((m[0].kind, m[0].port, m[0].proto), (MediaKind::Audio, 6000, &b"RTP/AVP"[..]));
        assert_eq!(m[0].rtp_addr(), Some("[2001:db8::1]:6000".parse().unwrap()));
        assert_eq!(m[1].rtp_addr(), None);
        assert_eq!(m[0].formats().collect::<Vec<_>>(), [&b"104"[..], b"8", b"100"]);
        assert_eq!(m[0].rtpmap(b"100").unwrap().name, b"AMR");
        assert_eq!(m[0].rtpmap(b"104").unwrap().clock_rate, 16000);
        assert_eq!(m[0].fmtp(b"104").unwrap().value, b"max-red=220; mode-set=0");
        assert_eq!(m[0].direction(), Direction::RecvOnly);
        assert_eq!(m[1].direction(), Direction::SendRecv);
    }

    fn read_all(octets: &[u8]) {
        let Ok(sdp) = Sdp::parse(octets) else { return };
        for media in sdp.medias() {
            let _ = (media.rtp_addr(), media.rtcp_addr(), media.direction(), media.qos_lines().count());
            let _ = media.formats().map(|f| (media.rtpmap(f), media.fmtp(f))).last();
        }
    }

    #[test]
    fn truncation_and_bit_flips_never_panic() {
        (0..OFFER.len()).for_each(|end| read_all(&OFFER[..end]));
        let mut octets = OFFER.to_vec();
        for bit in 0..octets.len() * 8 {
            octets[bit / 8] ^= 1 << (bit % 8);
            read_all(&octets);
            octets[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn refused_with_the_line() {
        assert_eq!(Sdp::parse(b""), Err(SdpError::Version));
        assert_eq!(Sdp::parse(b"v=0\nhello\n"), Err(SdpError::Line(2)));
        assert_eq!(Sdp::parse(b"v=0\nm=audio\n"), Err(SdpError::Media(2)));
        assert_eq!(Sdp::parse(b"v=0\nc=IN IP4\n"), Err(SdpError::Connection(2)));
        let many = [b"v=0\n".to_vec(), b"m=audio 1 RTP/AVP 0\n".repeat(17)].concat();
        assert_eq!(Sdp::parse(&many), Err(SdpError::TooManyMedia));
    }
}
