//! RTP and RTCP packets as the phone needs them (RFC 3550 5.1, 6.4, 6.5): one source, no CSRC of our own.

/// An RTP packet that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number.
    pub seq: u16,
    /// Timestamp.
    pub stamp: u32,
    /// Source.
    pub ssrc: u32,
    /// Payload, padding taken off.
    pub payload: &'a [u8],
}

/// Reads a packet; `None` for what is not RTP.
pub fn parse(octets: &[u8]) -> Option<Packet<'_>> {
    let head: &[u8; 12] = octets.first_chunk()?;
    if head[0] >> 6 != 2 {
        return None;
    }
    let mut at = 12 + 4 * usize::from(head[0] & 15);
    if head[0] & 0x10 != 0 {
        let words = u16::from_be_bytes([*octets.get(at + 2)?, *octets.get(at + 3)?]);
        at += 4 + 4 * usize::from(words);
    }
    let padding = if head[0] & 0x20 != 0 { usize::from(*octets.last()?) } else { 0 };
    Some(Packet {
        payload_type: head[1] & 0x7f,
        seq: u16::from_be_bytes([head[2], head[3]]),
        stamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        ssrc: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
        payload: octets.get(at..octets.len().checked_sub(padding)?)?,
    })
}

/// Writes the head of a packet; the payload is to be appended.
pub fn write_head(payload_type: u8, is_first: bool, seq: u16, stamp: u32, ssrc: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(12 + 160);
    out.extend([0x80, payload_type | if is_first { 0x80 } else { 0 }]);
    out.extend(seq.to_be_bytes());
    out.extend(stamp.to_be_bytes());
    out.extend(ssrc.to_be_bytes());
    out
}

/// What is told of the other side's stream (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Whose stream.
    pub ssrc: u32,
    /// Lost since the last report, in 256ths.
    pub fraction: u8,
    /// Lost in all.
    pub lost: u32,
    /// The highest sequence number with its cycles.
    pub highest: u32,
    /// Jitter in units of the clock.
    pub jitter: u32,
}

/// What is told of the own stream.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// NTP time; any clock that goes on will do where there is no wall clock.
    pub ntp: u64,
    /// The RTP timestamp of the same time.
    pub stamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Octets of payload sent.
    pub octets: u32,
}

/// Writes a sender report, or a receiver report when nothing was sent, with the source's name (6.1: compound).
pub fn write_report(ssrc: u32, sent: Option<Sent>, block: Option<Block>, name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    let words = 1 + if sent.is_some() { 5 } else { 0 } + if block.is_some() { 6 } else { 0 };
    out.extend([0x80 | u8::from(block.is_some()), if sent.is_some() { 200 } else { 201 }, 0, words]);
    out.extend(ssrc.to_be_bytes());
    if let Some(sent) = sent {
        out.extend(sent.ntp.to_be_bytes());
        out.extend([sent.stamp, sent.packets, sent.octets].map(u32::to_be_bytes).concat());
    }
    if let Some(block) = block {
        out.extend(block.ssrc.to_be_bytes());
        out.extend((u32::from(block.fraction) << 24 | block.lost.min(0x7f_ffff)).to_be_bytes());
        out.extend([block.highest, block.jitter, 0, 0].map(u32::to_be_bytes).concat());
    }
    // 6.5: SDES with CNAME, ended by a null octet, filled up to a word
    let name = &name.as_bytes()[..name.len().min(64)];
    let len = (4 + 2 + name.len() + 1).next_multiple_of(4);
    out.extend([0x81, 202, 0, (len / 4) as u8]);
    out.extend(ssrc.to_be_bytes());
    out.extend([1, name.len() as u8]);
    out.extend(name);
    out.resize(out.len() + len - 6 - name.len(), 0);
    out
}

/// What a compound packet tells of the stream `ssrc`.
pub fn find_block(mut octets: &[u8], ssrc: u32) -> Option<Block> {
    while let Some(&[first, kind, high, low]) = octets.first_chunk() {
        let len = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        let packet = octets.get(..len).filter(|_| first >> 6 == 2)?;
        let skip = match kind {
            200 => 28,
            201 => 8,
            _ => len,
        };
        let blocks = packet.get(skip..).unwrap_or_default().chunks_exact(24).take(usize::from(first & 31));
        for block in blocks {
            let word = |i: usize| u32::from_be_bytes([block[i], block[i + 1], block[i + 2], block[i + 3]]);
            if word(0) == ssrc {
                let lost = word(4) & 0xff_ffff;
                // a negative number says that more came than was sent
                let lost = if lost & 0x80_0000 == 0 { lost } else { 0 };
                return Some(Block { ssrc, fraction: block[4], lost, highest: word(8), jitter: word(12) });
            }
        }
        octets = &octets[len..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_comes_back_as_it_was_written() {
        let mut octets = write_head(8, true, 65_535, 160, 7);
        octets.extend(b"payload");
        let packet = Packet { payload_type: 8, seq: 65_535, stamp: 160, ssrc: 7, payload: b"payload" };
        assert_eq!(parse(&octets), Some(packet));
    }

    #[test]
    fn extensions_sources_and_padding_are_stepped_over() {
        let mut octets = write_head(0, false, 1, 2, 3);
        octets[0] = 0x80 | 0x20 | 0x10 | 1;
        octets.extend([0; 4]);
        octets.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        octets.extend(b"xy\0\x02");
        assert_eq!(parse(&octets).unwrap().payload, b"xy");
        for len in 0..octets.len() {
            // shorter ones are something else or nothing, but never a fault
            let _ = parse(&octets[..len]);
        }
        assert_eq!(parse(b"SIP/2.0 200 OK\r\n"), None);
    }

    #[test]
    fn a_report_tells_the_other_side() {
        let sent = Sent { ntp: 1 << 40, stamp: 5, packets: 6, octets: 7 };
        let block = Block { ssrc: 9, fraction: 3, lost: 4, highest: 0x1_0005, jitter: 11 };
        for sent in [Some(sent), None] {
            let octets = write_report(1, sent, Some(block), "me@here");
            assert!(octets.len().is_multiple_of(4));
            assert_eq!(find_block(&octets, 9), Some(block));
            assert_eq!(find_block(&octets, 8), None);
            for len in 0..octets.len() {
                let _ = find_block(&octets[..len], 9);
            }
        }
        assert_eq!(find_block(&write_report(1, Some(sent), None, ""), 9), None);
    }
}
