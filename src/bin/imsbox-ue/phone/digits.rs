//! Digits as telephone events (RFC 4733): keys that a person presses in a call, and those that come from the other side.

use super::rtp;
use std::collections::VecDeque;

/// The keys by the number of their event (RFC 4733 3.2).
const KEYS: &str = "0123456789*#ABCD";
/// Packets of a key while it is held down: 100 ms.
const HELD: u16 = 5;
/// Packets that tell of its end (2.5.1.4: the last one three times).
const ENDS: u16 = 3;
/// Packets of sound between two keys.
const APART: u16 = 3;
/// How loud: 10 dB below the reference (2.3.3).
const VOLUME: u8 = 10;
/// Keys that may wait to be pressed, and keys of the other side that are remembered.
const MOST: usize = 64;

/// The numbers of these keys; the error names what is none.
pub fn numbers(keys: &str) -> Result<Vec<u8>, String> {
    if keys.len() > MOST {
        return Err(format!("{} keys are more than {MOST}", keys.len()));
    }
    let number = |key: char| {
        let found = KEYS.find(key.to_ascii_uppercase()).filter(|_| key.is_ascii());
        found.map(|at| at as u8).ok_or_else(|| format!("`{key}` is no key of a telephone: {KEYS}"))
    };
    keys.chars().map(number).collect()
}

/// One packet of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The timestamp of the key's begin.
    pub stamp: u32,
    /// Whether it is the first of its key: it has the marker (2.5.1.2).
    pub is_first: bool,
    /// Event, end, volume and duration.
    pub payload: [u8; 4],
}

/// The keys that are pressed here.
#[derive(Debug, Default)]
pub struct Pressed {
    waiting: VecDeque<u8>,
    /// The key that is being sent, the timestamp of its begin, and its packets so far.
    current: Option<(u8, u32, u16)>,
    /// Packets of sound that come first.
    pause: u16,
}

impl Pressed {
    /// Presses keys, after those that wait.
    pub fn press(&mut self, numbers: &[u8]) -> Result<(), String> {
        if self.waiting.len() + numbers.len() > MOST {
            return Err(format!("more than {MOST} keys wait to be sent"));
        }
        self.waiting.extend(numbers);
        Ok(())
    }

    /// Whether some are not sent yet.
    pub fn is_busy(&self) -> bool {
        self.current.is_some() || !self.waiting.is_empty()
    }

    /// The packet that goes now, at this timestamp, each being `step` long; `None` when it is one of sound.
    pub fn next(&mut self, stamp: u32, step: u32) -> Option<Packet> {
        if self.current.is_none() {
            if self.pause > 0 {
                self.pause -= 1;
                return None;
            }
            self.current = self.waiting.pop_front().map(|key| (key, stamp, 0));
        }
        let (key, begin, sent) = self.current.as_mut()?;
        *sent += 1;
        let ends = *sent > HELD;
        let lasts = ((*sent).min(HELD) as u32 * step).min(u32::from(u16::MAX)) as u16;
        let [high, low] = lasts.to_be_bytes();
        let payload = [*key, if ends { 0x80 | VOLUME } else { VOLUME }, high, low];
        let packet = Packet { stamp: *begin, is_first: *sent == 1, payload };
        if *sent == HELD + ENDS {
            (self.current, self.pause) = (None, APART);
        }
        Some(packet)
    }
}

/// The keys that the other side presses.
#[derive(Debug, Default)]
pub struct Heard {
    /// Source and timestamp of the last one.
    last: Option<(u32, u32)>,
    keys: String,
    news: VecDeque<char>,
}

impl Heard {
    /// Takes a packet of events: the first one of each key counts, whichever of them that is.
    pub fn take(&mut self, packet: &rtp::Packet<'_>) {
        // one that comes late belongs to a key that was counted
        let is_old = |(source, stamp): (u32, u32)| {
            source == packet.ssrc && packet.stamp.wrapping_sub(stamp).cast_signed() <= 0
        };
        let key = packet.payload.first().and_then(|number| KEYS.chars().nth(usize::from(*number)));
        let Some(key) = key.filter(|_| packet.payload.len() >= 4 && !self.last.is_some_and(is_old)) else {
            return;
        };
        self.last = Some((packet.ssrc, packet.stamp));
        if self.keys.len() < MOST {
            self.keys.push(key);
        }
        if self.news.len() < MOST {
            self.news.push_back(key);
        }
    }

    /// A key that has not been told.
    pub fn pop(&mut self) -> Option<char> {
        self.news.pop_front()
    }

    /// All keys so far.
    pub fn keys(&self) -> &str {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The packets of these keys at 8 kHz, sound left out.
    fn sent(keys: &str) -> Vec<Packet> {
        let mut pressed = Pressed::default();
        pressed.press(&numbers(keys).unwrap()).unwrap();
        let all: Vec<_> = (0..1000).map(|n| pressed.next(n * 160, 160)).collect();
        assert!(!pressed.is_busy());
        all.into_iter().flatten().collect()
    }

    fn heard(heard: &mut Heard, ssrc: u32, packet: &Packet) {
        heard.take(&rtp::Packet {
            payload_type: 101,
            seq: 0,
            stamp: packet.stamp,
            ssrc,
            payload: &packet.payload,
        });
    }

    #[test]
    fn a_key_lasts_a_tenth_of_a_second_and_ends_three_times() {
        let packets = sent("5");
        let first = Packet { stamp: 0, is_first: true, payload: [5, 10, 0, 160] };
        assert_eq!(packets[0], first);
        assert_eq!(packets[4].payload, [5, 10, 3, 32], "five packets of 20 ms");
        let end = Packet { stamp: 0, is_first: false, payload: [5, 0x8a, 3, 32] };
        assert_eq!(packets[5..], [end; 3]);
    }

    #[test]
    fn keys_are_apart_and_each_counts_once() {
        let packets = sent("11#d");
        assert_eq!(packets.len(), 4 * 8);
        assert_eq!(packets[8].stamp, (8 + 3) * 160, "sound lies between them");
        let mut ear = Heard::default();
        for (n, packet) in packets.iter().enumerate() {
            // the first packets of a key are lost, its last ones come again
            if n % 8 > 2 {
                heard(&mut ear, 1, packet);
                heard(&mut ear, 1, packet);
            }
        }
        heard(&mut ear, 1, &packets[0]);
        assert_eq!(ear.keys(), "11#D");
        assert_eq!(std::iter::from_fn(|| ear.pop()).collect::<String>(), "11#D");
        heard(&mut ear, 2, &packets[0]);
        assert_eq!(ear.keys(), "11#D1", "another source has numbers of its own");
    }

    #[test]
    fn what_is_no_key_is_named() {
        assert_eq!(numbers("0*#a").unwrap(), [0, 10, 11, 12]);
        assert!(numbers("1x").unwrap_err().starts_with("`x` is no key of a telephone"));
        assert!(numbers(&"1".repeat(65)).is_err());
        let mut ear = Heard::default();
        heard(&mut ear, 1, &Packet { stamp: 0, is_first: true, payload: [16, 10, 0, 160] });
        assert_eq!(ear.keys(), "", "a flash of the hook is no key");
    }
}
