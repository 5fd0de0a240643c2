//! What is seen on a wire: what kind of thing each packet is, whoever sent it.

use crate::network::Link;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// ESP, whatever it carries.
    Esp,
    /// SIP in clear: whatever comes over TCP, fragments of UDP, and what looks so.
    Sip,
    /// RTP or RTCP.
    Media,
    /// TCP that carries nothing: a connection that begins, confirms or ends.
    Bare,
    /// ICMP that quotes no SIP: neighbours of IPv6, a media port that is closed.
    Icmp,
    /// Anything else.
    Other,
}

/// A packet on a wire.
#[derive(Clone, PartialEq, Eq)]
pub struct Seen {
    pub kind: Kind,
    pub from: (IpAddr, u16),
    pub to: (IpAddr, u16),
    /// Its first line, as far as it is text.
    pub line: String,
    /// What it carries, hashed.
    pub content: u64,
}

impl fmt::Debug for Seen {
    /// In one line, as there are many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen { kind, from, to, line, .. } = self;
        write!(f, "{kind:?} {} {} to {} {}", from.0, from.1, to.0, to.1)?;
        if *kind == Kind::Esp { Ok(()) } else { write!(f, " {}", line.escape_debug()) }
    }
}

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ESP: u8 = 50;
const HOP_BY_HOP: u8 = 0;
const FRAGMENT: u8 = 44;
const ICMPV6: u8 = 58;

/// The IP packets on a phone's wire since the last call.
pub fn take(link: &mut Link) -> Vec<Seen> {
    link.tap.take().unwrap().iter().filter_map(|frame| Seen::of(frame)).collect()
}

/// How many of a kind there are.
pub fn count(seen: &[Seen], kind: Kind) -> usize {
    seen.iter().filter(|s| s.kind == kind).count()
}

impl Seen {
    /// Reads an Ethernet frame; `None` for what is not IP.
    fn of(frame: &[u8]) -> Option<Seen> {
        let packet = frame.get(14..)?;
        match frame.get(12..14)? {
            [0x08, 0x00] => {
                let address =
                    |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
                let header = usize::from(packet.first()? & 15) * 4;
                let end = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
                let is_first = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1fff == 0;
                let content = packet.get(header..end.min(packet.len()))?;
                Some(Seen::new(*packet.get(9)?, is_first, address(12)?.into(), address(16)?.into(), content))
            }
            [0x86, 0xdd] => {
                let address =
                    |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?));
                let (mut protocol, mut content) = (*packet.get(6)?, packet.get(40..)?);
                let mut is_first = true;
                while [HOP_BY_HOP, FRAGMENT].contains(&protocol) {
                    is_first &=
                        protocol != FRAGMENT || u16::from_be_bytes([content[2], content[3]]) >> 3 == 0;
                    let len = if protocol == FRAGMENT { 8 } else { 8 + 8 * usize::from(*content.get(1)?) };
                    (protocol, content) = (*content.first()?, content.get(len..)?);
                }
                Some(Seen::new(protocol, is_first, address(8)?.into(), address(24)?.into(), content))
            }
            _ => None,
        }
    }

    fn new(protocol: u8, is_first: bool, from: IpAddr, to: IpAddr, content: &[u8]) -> Seen {
        let port = |at: usize| match (protocol, content.get(at..at + 2)) {
            (TCP | UDP, Some(&[high, low])) if is_first => u16::from_be_bytes([high, low]),
            _ => 0,
        };
        let payload = match (protocol, is_first) {
            (UDP, true) => content.get(8..).unwrap_or_default(),
            (TCP, true) => {
                content.get(12).and_then(|o| content.get(usize::from(o >> 4) * 4..)).unwrap_or_default()
            }
            _ => content,
        };
        let is_sip = payload.windows(7).any(|w| w == b"SIP/2.0");
        let kind = match protocol {
            ESP => Kind::Esp,
            // what follows in further packets has no sign of its own
            UDP | ICMP | ICMPV6 if is_sip => Kind::Sip,
            UDP if !is_first => Kind::Sip,
            TCP if !payload.is_empty() => Kind::Sip,
            // RFC 3550 5.1: version 2
            UDP if payload.first().is_some_and(|o| o >> 6 == 2) => Kind::Media,
            TCP => Kind::Bare,
            ICMP | ICMPV6 => Kind::Icmp,
            _ => Kind::Other,
        };
        let line = payload.split(|o| *o == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        let mut hasher = DefaultHasher::new();
        payload.hash(&mut hasher);
        Seen { kind, from: (from, port(0)), to: (to, port(2)), line, content: hasher.finish() }
    }
}
