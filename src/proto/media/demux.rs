//! What a datagram on a media port is: RTP, RTCP or neither (RFC 3550 A.1, RFC 5761 4, RFC 7983 7).
//!
//! Only what decides whether a packet may be passed on is looked at; nothing is decoded.

/// The fixed RTP header (RFC 3550 5.1).
const RTP_HEADER: usize = 12;
/// The smallest RTCP packet: a BYE or RR of no source has 4 octets, every packet with a sender has 8 (RFC 3550 6.4).
const RTCP_HEADER: usize = 8;

/// What a valid datagram holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One RTP packet.
    Rtp,
    /// One compound or reduced-size RTCP packet.
    Rtcp,
}

/// Sorts a datagram by its first octets. `None`: neither RTP nor RTCP of version 2, or shorter than its own header says.
pub fn classify(packet: &[u8]) -> Option<Kind> {
    let (&first, &second) = (packet.first()?, packet.get(1)?);
    if first >> 6 != 2 {
        return None; // STUN, DTLS and ZRTP lie outside 128..=191 (RFC 7983 7)
    }
    // RFC 5761 4: with the marker bit left out, the packet types 192..=223 are payload types 64..=95, which RTP does not use.
    if (64..=95).contains(&(second & 0x7f)) {
        is_rtcp(packet).then_some(Kind::Rtcp)
    } else {
        is_rtp(packet).then_some(Kind::Rtp)
    }
}

fn is_rtp(packet: &[u8]) -> bool {
    let Some(&first) = packet.first() else { return false };
    let mut header = RTP_HEADER + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        // RFC 3550 5.3.1: profile, then the extension's length in 32-bit words
        let Some(&[high, low]) = packet.get(header + 2..header + 4) else { return false };
        header += 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
    }
    let padding = if first & 0x20 != 0 { usize::from(*packet.last().unwrap_or(&0)).max(1) } else { 0 };
    packet.len() >= header + padding
}

fn is_rtcp(packet: &[u8]) -> bool {
    // RFC 3550 6.4.1: the length is in 32-bit words minus one, and the first packet of a compound is never padded out of it.
    // RFC 5506 3.1 lets a compound start with any type, so only the range is asked for.
    packet.len() >= RTCP_HEADER
        && packet[1] >= 192
        && packet[1] <= 223
        && 4 * (usize::from(u16::from_be_bytes([packet[2], packet[3]])) + 1) <= packet.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtp(first: u8, len: usize) -> Vec<u8> {
        let mut p = vec![0; len];
        p[0] = first;
        p
    }

    #[test]
    fn rtp_must_hold_its_header() {
        assert_eq!(classify(&rtp(0x80, 12)), Some(Kind::Rtp));
        assert_eq!(classify(&rtp(0x80, 11)), None);
        assert_eq!(classify(&rtp(0x82, 19)), None, "two CSRCs need 20 octets");
        assert_eq!(classify(&rtp(0x82, 20)), Some(Kind::Rtp));
        let mut extended = rtp(0x90, 20);
        extended[15] = 1;
        assert_eq!(classify(&extended), Some(Kind::Rtp));
        extended[15] = 2;
        assert_eq!(classify(&extended), None);
        assert_eq!(classify(&rtp(0x90, 12)), None, "extension bit without extension");
    }

    #[test]
    fn padding_must_fit() {
        let mut p = rtp(0xa0, 16);
        p[15] = 4;
        assert_eq!(classify(&p), Some(Kind::Rtp));
        p[15] = 5;
        assert_eq!(classify(&p), None);
        p[15] = 0;
        assert_eq!(classify(&p), Some(Kind::Rtp), "a zero count is odd but harmless");
        assert_eq!(classify(&rtp(0xa0, 12)), None, "no room for the count itself");
    }

    #[test]
    fn other_protocols_are_neither() {
        assert_eq!(classify(&[]), None);
        assert_eq!(classify(&[0x80]), None);
        assert_eq!(classify(&rtp(0x00, 40)), None, "STUN");
        assert_eq!(classify(&rtp(0x16, 40)), None, "DTLS");
        assert_eq!(classify(&rtp(0x40, 40)), None, "version 1");
        assert_eq!(classify(&rtp(0xc0, 40)), None, "version 3");
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_its_type() {
        let sender_report = [0x80, 200, 0, 1, 0, 0, 0, 1];
        assert_eq!(classify(&sender_report), Some(Kind::Rtcp));
        assert_eq!(classify(&sender_report[..7]), None);
        assert_eq!(classify(&[0x80, 200, 0, 2, 0, 0, 0, 1]), None, "says 12 octets, has 8");
        assert_eq!(
            classify(&[0x81, 206, 0, 1, 0, 0, 0, 1]),
            Some(Kind::Rtcp),
            "reduced size: feedback first"
        );
        assert_eq!(
            classify(&[0x80, 72, 0, 1, 0, 0, 0, 1]),
            None,
            "payload type 72 without the high bit is no RTCP"
        );
        let mut dynamic = rtp(0x80, 12);
        dynamic[1] = 0x80 | 96;
        assert_eq!(classify(&dynamic), Some(Kind::Rtp), "marker and payload type 96");
    }

    #[test]
    fn no_octets_panic() {
        let mut rng = crate::base::rng::Rng::from_seed(5);
        for _ in 0..20_000 {
            let mut p = vec![0; rng.below(64) as usize];
            rng.fill(&mut p);
            if let Some(first) = p.first_mut() {
                *first = 0x80 | *first & 0x3f;
            }
            classify(&p);
        }
    }
}
