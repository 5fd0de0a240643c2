//! The codecs of the phone: what it can name in a description, and what it sends in each.
//!
//! G.711 is encoded and decoded (ITU-T G.711). AMR is named so that any phone can be talked to, but there is no encoder:
//! frames without data are sent (RFC 4867, TS 26.101 frame type 15).

/// Samples of linear sound in one packet: 20 ms at 8 kHz.
pub const SAMPLES: usize = 160;

/// A codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// G.711 A-law.
    Pcma,
    /// G.711 µ-law.
    Pcmu,
    /// AMR wideband.
    AmrWb,
    /// AMR narrowband.
    Amr,
    /// H.264 pictures.
    H264,
}

/// Every codec of sound, those that can be encoded first.
pub const ALL: [Codec; 4] = [Codec::Pcma, Codec::Pcmu, Codec::AmrWb, Codec::Amr];

impl Codec {
    /// The name in `a=rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcma => "PCMA",
            Codec::Pcmu => "PCMU",
            Codec::AmrWb => "AMR-WB",
            Codec::Amr => "AMR",
            Codec::H264 => "H264",
        }
    }

    /// The codec of a name, in any case.
    pub fn from_name(name: &[u8]) -> Option<Codec> {
        ALL.into_iter().chain([Codec::H264]).find(|c| name.eq_ignore_ascii_case(c.name().as_bytes()))
    }

    /// The RTP clock, in Hz.
    pub const fn clock(self) -> u32 {
        match self {
            Codec::AmrWb => 16_000,
            Codec::H264 => 90_000,
            _ => 8_000,
        }
    }

    /// The payload type in our offers: static ones (RFC 3551), else one of the dynamic range.
    pub const fn payload_type(self) -> u8 {
        match self {
            Codec::Pcma => 8,
            Codec::Pcmu => 0,
            Codec::AmrWb => 104,
            Codec::Amr => 102,
            Codec::H264 => 99,
        }
    }

    /// Whether it is for pictures.
    pub const fn is_video(self) -> bool {
        matches!(self, Codec::H264)
    }

    /// The time between two packets, in milliseconds.
    pub const fn interval_ms(self) -> u32 {
        match self {
            Codec::H264 => 100,
            _ => 20,
        }
    }

    /// Whether sound can be put into it.
    pub const fn is_encoded(self) -> bool {
        matches!(self, Codec::Pcma | Codec::Pcmu)
    }

    /// Appends the payload of one packet: encoded sound, or for AMR a frame without data. Pictures have [`note`].
    pub fn payload(self, sound: &[i16; SAMPLES], octet_aligned: bool, out: &mut Vec<u8>) {
        match self {
            Codec::Pcma => out.extend(sound.iter().map(|&s| a_law(s))),
            Codec::Pcmu => out.extend(sound.iter().map(|&s| mu_law(s))),
            // RFC 4867 4.4: CMR 15, then F=0 FT=15 Q=1 as an octet
            Codec::AmrWb | Codec::Amr if octet_aligned => out.extend([0xf0, 0x7c]),
            // 4.3: the same bits without padding between them
            Codec::AmrWb | Codec::Amr => out.extend([0xf7, 0xc0]),
            Codec::H264 => note(0, out),
        }
    }
}

impl Codec {
    /// The sound in a payload of G.711; nothing of other codecs.
    pub fn sound(self, payload: &[u8]) -> Vec<i16> {
        match self {
            Codec::Pcma => payload.iter().map(|&code| from_a_law(code)).collect(),
            Codec::Pcmu => payload.iter().map(|&code| from_mu_law(code)).collect(),
            _ => Vec::new(),
        }
    }
}

/// Appends what is sent for pictures, as there is no encoder: a NAL unit that every decoder steps over, supplemental
/// information of a user (ITU-T H.264 7.3.2.3.1, D.1.6), as a single NAL unit packet (RFC 6184 5.6). Its number is in it.
pub fn note(number: u64, out: &mut Vec<u8>) {
    let text = format!("imsbox-ue picture {number:016x}");
    // no octet is 0, so that nothing looks like a start code: type 6, payload 5, length, a UUID, text, stop bit
    out.extend([0x06, 0x05, (16 + text.len()) as u8]);
    out.extend(b"imsbox-ue-no-pic");
    out.extend(text.as_bytes());
    out.push(0x80);
}

/// One sample in A-law (G.711 table 1), even bits inverted.
pub fn a_law(sample: i16) -> u8 {
    // thirteen bits, the sign apart; negative values mirror the positive ones
    let (sign, magnitude) = if sample < 0 { (0, !sample) } else { (0x80, sample) };
    let magnitude = (magnitude >> 3) as u16;
    let code = if magnitude < 32 {
        magnitude >> 1
    } else {
        let segment = 15 - magnitude.leading_zeros() as u16 - 4;
        segment << 4 | (magnitude >> segment & 15)
    };
    (sign | code as u8) ^ 0x55
}

/// One sample in µ-law (G.711 table 2), all bits inverted.
pub fn mu_law(sample: i16) -> u8 {
    const BIAS: u16 = 33;
    let (sign, magnitude) = if sample < 0 { (0x80, !sample) } else { (0, sample) };
    let magnitude = ((magnitude >> 2) as u16 + BIAS).min(0x1fff);
    let segment = 15 - magnitude.leading_zeros() as u16 - 5;
    !(sign | (segment << 4) as u8 | (magnitude >> (segment + 1) & 15) as u8)
}

/// The value in the middle of a step of A-law (G.711 table 1).
pub fn from_a_law(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (segment, step) = (i16::from(code >> 4 & 7), i16::from(code & 15));
    let value = match segment {
        0 => step * 2 + 1,
        _ => (step * 2 + 33) << (segment - 1),
    };
    8 * if code & 0x80 == 0 { -value } else { value }
}

/// The value in the middle of a step of µ-law (G.711 table 2).
pub fn from_mu_law(code: u8) -> i16 {
    let code = !code;
    let (segment, step) = (i16::from(code >> 4 & 7), i16::from(code & 15));
    let value = ((step * 2 + 33) << segment) - 33;
    4 * if code & 0x80 == 0 { value } else { -value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_as_itself() {
        for code in 0..=255u8 {
            assert_eq!(a_law(from_a_law(code)), code, "A-law {code:#x}");
            // µ-law has a positive and a negative zero, which are one sample
            if code != 0x7f {
                assert_eq!(mu_law(from_mu_law(code)), code, "µ-law {code:#x}");
            }
        }
    }

    #[test]
    fn no_sample_is_further_off_than_its_step() {
        for sample in i16::MIN..=i16::MAX {
            let s = i32::from(sample);
            let limit = (s.abs() / 16).max(16);
            assert!((i32::from(from_a_law(a_law(sample))) - s).abs() <= limit, "A-law {sample}");
            // µ-law ends a little below the range
            let clipped = s.clamp(-32_124, 32_124);
            assert!((i32::from(from_mu_law(mu_law(sample))) - clipped).abs() <= limit, "µ-law {sample}");
        }
    }

    #[test]
    fn silence_has_its_known_codes() {
        assert_eq!((a_law(0), mu_law(0)), (0xd5, 0xff));
    }

    #[test]
    fn amr_frames_without_data_have_their_bits() {
        let mut out = Vec::new();
        Codec::Amr.payload(&[0; SAMPLES], true, &mut out);
        // CMR 1111 and four reserved bits; F 0, FT 1111, Q 1, two padding bits
        assert_eq!(out, [0b1111_0000, 0b0111_1100]);
        out.clear();
        Codec::AmrWb.payload(&[0; SAMPLES], false, &mut out);
        // CMR 1111, F 0, FT 1111, Q 1, padding
        assert_eq!(out, [0b1111_0111, 0b1100_0000]);
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(Codec::from_name(b"amr-wb"), Some(Codec::AmrWb));
        assert_eq!(Codec::from_name(b"EVS"), None);
        assert!(ALL.iter().all(|c| !c.is_video()));
    }
}
