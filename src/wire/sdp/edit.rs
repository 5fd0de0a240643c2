//! Changing a description on its way: single lines are written anew or left out, every other line passes octet by octet.

use super::attribute::{Direction, attribute_value};
use super::media::Media;
use super::precondition::{Directions, QosLine, Status, Strength};
use super::session::{Line, Sdp};
use super::writer::{SdpWriter, family};
use crate::wire::sip::text::trim;
use smallvec::SmallVec;
use std::net::{IpAddr, SocketAddr};

/// What is changed in a description. The default changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Edit {
    /// The version of the `o=` line.
    pub version: Option<u64>,
    /// The address of the `o=` line and of the session's `c=` line.
    pub address: Option<IpAddr>,
    /// The changes of each media description, by its place; one behind the last has none.
    pub medias: SmallVec<[MediaEdit; 2]>,
}

/// What is changed in one media description. The default changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MediaEdit {
    /// The stream is refused, or taken away: port 0 (RFC 3264 6, 8.2).
    pub refused: bool,
    /// Where the stream is received instead: RTP there, RTCP one port above, or on the same port with `a=rtcp-mux`.
    pub receiver: Option<SocketAddr>,
    /// The address that stays, though the session's changes: it is put in where the stream has no `c=` line of its own.
    pub keeps: Option<IpAddr>,
    /// Its precondition lines.
    pub qos: QosEdit,
    /// Its direction.
    pub direction: Option<Direction>,
}

/// What becomes of the precondition lines (RFC 3312) of a media description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum QosEdit {
    /// They pass.
    #[default]
    Keep,
    /// They are taken out.
    Drop,
    /// These stand in their place.
    Set(Segments),
}

/// The precondition lines of one media description, of the segmented status type (RFC 3312 5.1), as its sender says them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// The sender's resources that are there.
    pub local: Directions,
    /// The receiver's resources that are there, as far as the sender knows.
    pub remote: Directions,
    /// How much the sender's are wanted, in both directions.
    pub local_strength: Strength,
    /// How much the receiver's are wanted, in both directions.
    pub remote_strength: Strength,
    /// Whether the receiver is asked to tell when its own are there (RFC 3312 5.1.2).
    pub confirm: bool,
}

impl Edit {
    /// Whether nothing is changed.
    pub fn is_nothing(&self) -> bool {
        self.version.is_none()
            && self.address.is_none()
            && self.medias.iter().all(|m| *m == MediaEdit::default())
    }

    /// The description with these changes.
    pub fn apply(&self, sdp: &Sdp<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(sdp.octets().len() + 64);
        let mut w = SdpWriter::onto(&mut out);
        for line in sdp.session_lines() {
            self.session_line(&mut w, line);
        }
        for (index, media) in sdp.medias().enumerate() {
            let edit = self.medias.get(index).copied().unwrap_or_default();
            edit.apply(&mut w, &media);
        }
        out
    }

    fn session_line(&self, w: &mut SdpWriter<'_>, line: Line<'_>) {
        match (line.letter, self.address) {
            (b'o', _) => self.origin(w, line.value),
            (b'c', Some(ip)) => _ = w.line('c', format_args!("IN {} {ip}", family(ip))),
            (b'a', Some(_)) if tells_of_paths(line.value) => {}
            _ => _ = w.raw_line(line.letter, line.value),
        }
    }

    /// `o=username id version IN IP4 address`.
    fn origin(&self, w: &mut SdpWriter<'_>, value: &[u8]) {
        let words: SmallVec<[&[u8]; 6]> = value.split(|&o| o == b' ').filter(|w| !w.is_empty()).collect();
        let [user, id, version, net, kind, address] = words[..] else {
            w.raw_line(b'o', value);
            return;
        };
        let own = self.version.map(|v| v.to_string());
        let version = own.as_deref().map_or(version, str::as_bytes);
        let ip = self.address.map(|ip| (family(ip), ip.to_string()));
        let (kind, address) =
            ip.as_ref().map_or((kind, address), |(kind, ip)| (kind.as_bytes(), ip.as_bytes()));
        w.raw_line(b'o', &[user, id, version, net, kind, address].join(&b' '));
    }
}

impl MediaEdit {
    fn apply(&self, w: &mut SdpWriter<'_>, media: &Media<'_>) {
        let mut lines = media.lines();
        let Some(first) = lines.next() else { return };
        match (self.refused, self.receiver) {
            (true, _) => _ = w.media_line(media, 0),
            (false, Some(at)) if media.port != 0 => _ = w.media_line(media, at.port()),
            _ => _ = w.raw_line(first.letter, first.value),
        }
        let own = media.lines().any(|line| line.letter == b'c');
        if let Some(ip) = self.receiver.map(|at| at.ip()).or(self.keeps.filter(|_| !own)) {
            w.line('c', format_args!("IN {} {ip}", family(ip)));
        }
        lines.filter(|line| self.keeps(line)).for_each(|line| _ = w.raw_line(line.letter, line.value));
        if let Some(direction) = self.direction {
            w.line('a', format_args!("{}", direction.name()));
        }
        if let QosEdit::Set(segments) = self.qos {
            segments.write(w);
        }
    }

    fn keeps(&self, line: &Line<'_>) -> bool {
        if line.letter == b'c' {
            return self.receiver.is_none();
        }
        let replaced = line.letter == b'a'
            && ((self.qos != QosEdit::Keep && QosLine::parse(line.value).is_some())
                || (self.direction.is_some() && Direction::parse(line.value).is_some())
                || (self.receiver.is_some() && tells_of_addresses(line.value)));
        !replaced
    }
}

/// Attributes that say where a stream is received: RFC 3605, RFC 8839.
pub(super) fn tells_of_addresses(attribute: &[u8]) -> bool {
    const NAMES: [&str; 6] =
        ["rtcp", "candidate", "remote-candidates", "ice-ufrag", "ice-pwd", "end-of-candidates"];
    NAMES.iter().any(|name| attribute_value(trim(attribute), name).is_some())
}

/// Attributes of a session that say how its streams share addresses, or how paths are looked for: RFC 9143, RFC 8839.
fn tells_of_paths(attribute: &[u8]) -> bool {
    const NAMES: [&str; 4] = ["ice-lite", "ice-options", "ice-ufrag", "ice-pwd"];
    let attribute = trim(attribute);
    NAMES.iter().any(|name| attribute_value(attribute, name).is_some())
        || attribute_value(attribute, "group").is_some_and(|group| group.starts_with(b"BUNDLE"))
}

impl Segments {
    fn write(self, w: &mut SdpWriter<'_>) {
        let lines = [
            QosLine::Current(Status::Local, self.local),
            QosLine::Current(Status::Remote, self.remote),
            QosLine::Desired(self.local_strength, Status::Local, Directions::BOTH),
            QosLine::Desired(self.remote_strength, Status::Remote, Directions::BOTH),
        ];
        let confirm = self.confirm.then_some(QosLine::Confirm(Status::Remote, Directions::BOTH));
        for line in lines.into_iter().chain(confirm) {
            w.line('a', format_args!("{line}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=rue 7 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nb=AS:41\r\nt=0 0\r\na=x-odd:1\r\n\
        m=audio 6000 RTP/AVP 104 8\r\nc=IN IP4 10.0.0.9\r\na=rtpmap:104 AMR-WB/16000/1\r\na=rtcp:7000\r\na=inactive\r\n\
        a=curr:qos local none\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
        m=video 6002 RTP/AVP 99\r\na=sendrecv\r\n";

    fn edited(edit: &Edit) -> String {
        String::from_utf8(edit.apply(&Sdp::parse(OFFER.as_bytes()).unwrap())).unwrap()
    }

    #[test]
    fn without_changes_every_octet_passes() {
        assert!(Edit::default().is_nothing());
        assert_eq!(edited(&Edit::default()), OFFER);
    }

    #[test]
    fn only_the_named_lines_change() {
        let edit = Edit {
            version: Some(2),
            address: Some("2001:db8::1".parse().unwrap()),
            medias: [
                MediaEdit {
                    receiver: Some("[2001:db8::1]:10000".parse().unwrap()),
                    qos: QosEdit::Drop,
                    direction: Some(Direction::SendRecv),
                    ..MediaEdit::default()
                },
                MediaEdit { refused: true, ..MediaEdit::default() },
            ]
            .into_iter()
            .collect(),
        };
        assert!(!edit.is_nothing());
        let want = "v=0\r\no=rue 7 2 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nb=AS:41\r\nt=0 0\r\na=x-odd:1\r\n\
            m=audio 10000 RTP/AVP 104 8\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:104 AMR-WB/16000/1\r\na=sendrecv\r\n\
            m=video 0 RTP/AVP 99\r\na=sendrecv\r\n";
        assert_eq!(edited(&edit), want);
    }

    #[test]
    fn what_says_how_streams_share_addresses_goes_with_the_addresses() {
        let offer = OFFER.replace(
            "a=x-odd:1\r\n",
            "a=x-odd:1\r\na=group:BUNDLE 0 1\r\na=group:LS 0 1\r\na=ice-options:x\r\n",
        );
        let sdp = Sdp::parse(offer.as_bytes()).unwrap();
        assert_eq!(Edit::default().apply(&sdp), offer.as_bytes());
        let edit = Edit { address: Some("10.0.0.1".parse().unwrap()), ..Edit::default() };
        let want = offer.replace("a=group:BUNDLE 0 1\r\n", "").replace("a=ice-options:x\r\n", "");
        assert_eq!(String::from_utf8(edit.apply(&sdp)).unwrap(), want);
    }

    #[test]
    fn a_stream_can_keep_the_session_s_address() {
        let keeps = MediaEdit { keeps: Some("10.0.0.1".parse().unwrap()), ..MediaEdit::default() };
        let address = Some("192.0.2.1".parse().unwrap());
        let edit = Edit { address, medias: [keeps; 2].into_iter().collect(), ..Edit::default() };
        let want = OFFER
            .replace(
                "IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1",
                "IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1",
            )
            .replace("RTP/AVP 99\r\n", "RTP/AVP 99\r\nc=IN IP4 10.0.0.1\r\n");
        assert_eq!(edited(&edit), want);
    }

    #[test]
    fn preconditions_are_put_in() {
        let segments = Segments {
            local: Directions::BOTH,
            remote: Directions::NONE,
            local_strength: Strength::Mandatory,
            remote_strength: Strength::Optional,
            confirm: true,
        };
        let video = MediaEdit { qos: QosEdit::Set(segments), ..MediaEdit::default() };
        let edit = Edit { medias: [MediaEdit::default(), video].into_iter().collect(), ..Edit::default() };
        let want = format!(
            "{OFFER}a=curr:qos local sendrecv\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
             a=des:qos optional remote sendrecv\r\na=conf:qos remote sendrecv\r\n"
        );
        assert_eq!(edited(&edit), want);
    }

    #[test]
    fn what_is_refused_already_stays_so() {
        let refused = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=video 0 RTP/AVP 99\r\n";
        let at = MediaEdit { receiver: Some("192.0.2.1:10000".parse().unwrap()), ..MediaEdit::default() };
        let edit = Edit { medias: [at].into_iter().collect(), ..Edit::default() };
        let out = edit.apply(&Sdp::parse(refused.as_bytes()).unwrap());
        assert_eq!(Sdp::parse(&out).unwrap().medias().next().unwrap().port, 0);
    }
}
