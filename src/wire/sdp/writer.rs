//! Writing descriptions.

use super::media::Media;
use std::fmt;
use std::io::Write as _;
use std::net::IpAddr;

/// Writes a description line by line into a reusable buffer.
#[derive(Debug)]
pub struct SdpWriter<'b> {
    out: &'b mut Vec<u8>,
}

impl<'b> SdpWriter<'b> {
    /// Starts a description in `out`, which is cleared: `v=`, `o=`, `s=`, `c=`, `t=`.
    pub fn new(out: &'b mut Vec<u8>, session_id: u64, version: u64, address: IpAddr) -> Self {
        out.clear();
        let mut w = SdpWriter { out };
        let family = family(address);
        w.line('v', format_args!("0"));
        w.line('o', format_args!("- {session_id} {version} IN {family} {address}"));
        w.line('s', format_args!("-"));
        w.line('c', format_args!("IN {family} {address}"));
        w.line('t', format_args!("0 0"));
        w
    }

    /// Writes lines behind what stands in `out`.
    pub(super) fn onto(out: &'b mut Vec<u8>) -> Self {
        SdpWriter { out }
    }

    /// Adds a line.
    pub fn line(&mut self, letter: char, value: fmt::Arguments<'_>) -> &mut Self {
        write!(self.out, "{letter}={value}\r\n").expect("writing to a Vec cannot fail");
        self
    }

    /// Adds a line whose value is octets.
    pub fn raw_line(&mut self, letter: u8, value: &[u8]) -> &mut Self {
        self.out.extend_from_slice(&[letter, b'=']);
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Adds the `m=` line of a media description with another port.
    pub(super) fn media_line(&mut self, media: &Media<'_>, port: u16) -> &mut Self {
        let formats: smallvec::SmallVec<[&[u8]; 16]> = media.formats().collect();
        self.media_like(media, port, &formats)
    }

    /// Adds an `m=` line with the kind and profile of an offered media, and these formats; port 0 refuses it (RFC 3264 6).
    pub fn media_like(&mut self, offered: &Media<'_>, port: u16, formats: &[&[u8]]) -> &mut Self {
        self.out.extend_from_slice(b"m=");
        self.out.extend_from_slice(offered.kind_token);
        write!(self.out, " {port} ").expect("writing to a Vec cannot fail");
        self.out.extend_from_slice(offered.proto);
        for format in formats {
            self.out.push(b' ');
            self.out.extend_from_slice(format);
        }
        self.out.extend_from_slice(b"\r\n");
        self
    }
}

/// `IP4` or `IP6`.
pub const fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IP4",
        IpAddr::V6(_) => "IP6",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sdp;
    use super::*;

    #[test]
    fn what_is_written_parses() {
        let offer = Sdp::parse(b"v=0\nc=IN IP4 10.0.0.1\nm=audio 6000 RTP/AVP 104 8\n").unwrap();
        let mut out = Vec::new();
        let mut w = SdpWriter::new(&mut out, 7, 1, "::1".parse().unwrap());
        w.media_like(&offer.medias().next().unwrap(), 10_000, &[b"8"]).raw_line(b'a', b"sendrecv");
        let answer = Sdp::parse(&out).unwrap();
        assert_eq!(answer.medias().next().unwrap().rtp_addr(), Some("[::1]:10000".parse().unwrap()));
        assert_eq!(answer.origin().unwrap().session.1, b"7");
    }
}
