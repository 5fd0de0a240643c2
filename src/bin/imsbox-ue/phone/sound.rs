//! What the phone says: a tone, or a recording.
//!
//! The tone has a little noise of its own in it, so that no two packets are alike and what an echo brings back can be told
//! from another phone's tone.

use super::codec::SAMPLES;
use imsbox::base::rng::Rng;
use std::f64::consts::TAU;

/// The concert pitch.
const HERTZ: f64 = 440.0;
/// Samples a second.
const RATE: f64 = 8000.0;
/// How loud the tone is: a tenth of the range would be quiet, all of it painful.
const LOUD: f64 = 8000.0;
/// How much noise: 40 dB below the tone.
const NOISE: u64 = 81;

/// An endless sound.
#[derive(Clone, Debug)]
pub enum Sound {
    /// The tone, with the angle that it has reached, in turns.
    Tone(f64),
    /// Samples at 8 kHz, from the beginning again at their end, and where it is.
    Recording(Vec<i16>, usize),
}

impl Sound {
    /// The next 20 ms.
    pub fn next(&mut self, rng: &mut Rng) -> [i16; SAMPLES] {
        match self {
            Sound::Tone(angle) => std::array::from_fn(|_| {
                *angle = (*angle + HERTZ / RATE).fract();
                let noise = rng.below(NOISE) as i16 - (NOISE / 2) as i16;
                ((*angle * TAU).sin() * LOUD) as i16 + noise
            }),
            Sound::Recording(samples, at) => std::array::from_fn(|_| {
                let sample = samples.get(*at).copied().unwrap_or(0);
                *at = if *at + 1 < samples.len() { *at + 1 } else { 0 };
                sample
            }),
        }
    }
}

/// Reads a WAV file: PCM, 8 kHz, mono, 16 bits. The error says what is wrong with it.
pub fn read_wav(octets: &[u8]) -> Result<Vec<i16>, String> {
    let number = |at: usize, len: usize| {
        let octets = octets.get(at..at + len).unwrap_or_default();
        octets.iter().rev().fold(0u32, |n, o| n << 8 | u32::from(*o))
    };
    if octets.get(..4) != Some(b"RIFF") || octets.get(8..12) != Some(b"WAVE") {
        return Err("not a WAV file".to_owned());
    }
    let (mut at, mut is_fit) = (12, false);
    while let Some(name) = octets.get(at..at + 4) {
        let len = number(at + 4, 4) as usize;
        let body = at + 8;
        match name {
            b"fmt " => {
                let found = (number(body, 2), number(body + 2, 2), number(body + 4, 4), number(body + 14, 2));
                if found != (1, 1, 8000, 16) {
                    let (format, channels, rate, bits) = found;
                    return Err(format!(
                        "format {format} with {channels} channels, {rate} Hz, {bits} bits: PCM (1), mono, 8000 Hz, 16 \
                         bits is needed"
                    ));
                }
                is_fit = true;
            }
            b"data" if is_fit => {
                let data = &octets[body.min(octets.len())..body.saturating_add(len).min(octets.len())];
                let samples: Vec<i16> =
                    data.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
                return if samples.is_empty() { Err("no sound in it".to_owned()) } else { Ok(samples) };
            }
            _ => {}
        }
        // chunks begin at even places
        at = body.saturating_add(len).saturating_add(len & 1);
    }
    Err("no sound in it".to_owned())
}

/// Writes a WAV file that [`read_wav`] reads.
pub fn write_wav(samples: &[i16]) -> Vec<u8> {
    let len = samples.len() as u32 * 2;
    let rate = RATE as u32;
    let mut out = Vec::with_capacity(44 + samples.len() * 2);
    out.extend(b"RIFF");
    out.extend((36 + len).to_le_bytes());
    // 16 octets of format: PCM, one channel; then octets a second, octets and bits of a sample
    out.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    out.extend([rate, rate * 2].map(u32::to_le_bytes).concat());
    out.extend(b"\x02\0\x10\0data");
    out.extend(len.to_le_bytes());
    out.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(rate: u32, data: &[i16]) -> Vec<u8> {
        let mut out = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0\x01\0".to_vec();
        out.extend(rate.to_le_bytes());
        out.extend((rate * 2).to_le_bytes());
        out.extend([2, 0, 16, 0]);
        out.extend(b"data");
        out.extend((data.len() as u32 * 2).to_le_bytes());
        out.extend(data.iter().flat_map(|s| s.to_le_bytes()));
        out
    }

    #[test]
    fn a_recording_is_read_and_starts_again_at_its_end() {
        let samples = read_wav(&wav(8000, &[1, -2, 3])).unwrap();
        assert_eq!(samples, [1, -2, 3]);
        let mut sound = Sound::Recording(samples, 0);
        let out = sound.next(&mut Rng::from_seed(1));
        assert_eq!(out[..7], [1, -2, 3, 1, -2, 3, 1]);
        assert_eq!(sound.next(&mut Rng::from_seed(1))[0], -2);
    }

    #[test]
    fn what_was_written_is_read() {
        let samples = [0, 1, -1, i16::MAX, i16::MIN];
        assert_eq!(read_wav(&write_wav(&samples)).unwrap(), samples);
    }

    #[test]
    fn what_is_wrong_with_a_recording_is_said() {
        assert!(read_wav(&wav(44_100, &[1])).unwrap_err().contains("44100 Hz"));
        assert_eq!(read_wav(b"RIFF").unwrap_err(), "not a WAV file");
        let whole = wav(8000, &[1]);
        for len in 0..whole.len() {
            assert!(read_wav(&whole[..len.min(whole.len() - 1)]).is_err(), "{len}");
        }
    }

    #[test]
    fn the_tone_has_its_pitch_and_no_two_packets_are_alike() {
        let (mut sound, mut rng) = (Sound::Tone(0.0), Rng::from_seed(3));
        let packets: Vec<[i16; SAMPLES]> = (0..50).map(|_| sound.next(&mut rng)).collect();
        let all = packets.concat();
        // one second crosses zero upwards 440 times; noise may cross once more here and there, so only far ones count
        let mut up = 0;
        let mut low = false;
        for sample in all {
            if sample < -2000 {
                low = true;
            } else if sample > 2000 && low {
                (low, up) = (false, up + 1);
            }
        }
        assert!((439..=441).contains(&up), "{up}");
        for (i, a) in packets.iter().enumerate() {
            assert!(packets[..i].iter().all(|b| a != b));
        }
    }
}
