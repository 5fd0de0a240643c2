//! How long a short message may wait (TS 23.040 9.2.3.12): relative, absolute or enhanced.

use super::error::Malformed;
use super::reader::Reader;
use super::time::Timestamp;
use crate::base::time::{Duration, UnixTime};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

/// A TP-VP. Without one the service centre chooses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Validity {
    /// One octet, see [`relative`].
    Relative(u8),
    /// The time at which it ends.
    Absolute(Timestamp),
    /// Seven octets with a functionality indicator.
    Enhanced(Enhanced),
}

/// The seven octets of the enhanced format (TS 23.040 9.2.3.12.3), as they stand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Enhanced(pub [u8; 7]);

/// The time that a relative validity octet stands for (TS 23.040 9.2.3.12.1).
pub const fn relative(octet: u8) -> Duration {
    let value = octet as u64;
    Duration::from_secs(match octet {
        0..=143 => (value + 1) * 5 * MINUTE,
        144..=167 => 12 * HOUR + (value - 143) * 30 * MINUTE,
        168..=196 => (value - 166) * DAY,
        197..=255 => (value - 192) * WEEK,
    })
}

/// The relative validity octet of the shortest time that is not below `period`; the longest when none is.
pub fn relative_octet(period: Duration) -> u8 {
    (0..=u8::MAX).find(|&octet| relative(octet) >= period).unwrap_or(u8::MAX)
}

impl Enhanced {
    /// Whether the message is to be tried once only.
    pub const fn is_single_shot(self) -> bool {
        self.0[0] & 0x40 != 0
    }

    /// The period, counted from when the service centre received the message; `None` when none is given, or in a format that
    /// is reserved or extended.
    pub fn period(self) -> Option<Duration> {
        let [indicator, a, b, c, ..] = self.0;
        let digits = |o: u8| {
            let (tens, ones) = (o & 0xf, o >> 4);
            (tens < 10 && ones < 10).then_some(u64::from(tens) * 10 + u64::from(ones))
        };
        match (indicator & 0x80 != 0, indicator & 7) {
            (false, 1) => Some(relative(a)),
            (false, 2) => Some(Duration::from_secs(a.into())),
            (false, 3) => Some(Duration::from_secs(digits(a)? * HOUR + digits(b)? * MINUTE + digits(c)?)),
            _ => None,
        }
    }
}

impl Validity {
    /// When a message that arrived at `submitted` ends; `None` when the octets name no time.
    pub fn end(self, submitted: UnixTime) -> Option<UnixTime> {
        match self {
            Validity::Relative(octet) => Some(submitted + relative(octet)),
            Validity::Absolute(time) => time.unix(),
            Validity::Enhanced(enhanced) => enhanced.period().map(|p| submitted + p),
        }
    }

    /// Whether the message is to be tried once only.
    pub fn is_single_shot(self) -> bool {
        matches!(self, Validity::Enhanced(enhanced) if enhanced.is_single_shot())
    }

    /// The TP-VPF, in the place that it has in the first octet of a SUBMIT (TS 23.040 9.2.3.3).
    pub(super) const fn format(this: Option<Validity>) -> u8 {
        match this {
            None => 0x00,
            Some(Validity::Enhanced(_)) => 0x08,
            Some(Validity::Relative(_)) => 0x10,
            Some(Validity::Absolute(_)) => 0x18,
        }
    }

    /// Reads the TP-VP that the first octet of a SUBMIT announces.
    pub(super) fn parse(first: u8, reader: &mut Reader<'_>) -> Result<Option<Validity>, Malformed> {
        Ok(match first & 0x18 {
            0x08 => Some(Validity::Enhanced(Enhanced(reader.array("TP-VP")?))),
            0x10 => Some(Validity::Relative(reader.octet("TP-VP")?)),
            0x18 => Some(Validity::Absolute(Timestamp(reader.array("TP-VP")?))),
            _ => None,
        })
    }

    /// Appends the TP-VP.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Validity::Relative(octet) => out.push(octet),
            Validity::Absolute(Timestamp(octets)) | Validity::Enhanced(Enhanced(octets)) => {
                out.extend_from_slice(&octets)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_periods_grow_and_each_is_found_again() {
        for octet in 0..=u8::MAX {
            assert_eq!(relative_octet(relative(octet)), octet);
            assert!(octet == 0 || relative(octet) > relative(octet - 1), "{octet}");
        }
        assert_eq!(relative_octet(Duration::from_secs(24 * HOUR)), 167);
        assert_eq!(relative_octet(Duration::MAX), 255);
        assert_eq!(relative_octet(Duration::ZERO), 0);
    }

    #[test]
    fn enhanced_periods() {
        let secs = |octets: [u8; 4]| {
            let [a, b, c, d] = octets;
            Enhanced([a, b, c, d, 0, 0, 0]).period().map(|p| p.as_secs())
        };
        assert_eq!(secs([0, 9, 9, 9]), None, "no period");
        assert_eq!(secs([1, 0, 0, 0]), Some(300));
        assert_eq!(secs([0x42, 30, 0, 0]), Some(30));
        assert_eq!(secs([3, 0x10, 0x20, 0x30]), Some(HOUR + 2 * MINUTE + 3));
        assert_eq!(secs([3, 0xfa, 0, 0]), None, "no digits");
        assert_eq!(secs([0x82, 30, 0, 0]), None, "an extension that we do not know");
        assert_eq!(secs([4, 1, 1, 1]), None, "reserved");
        assert!(Validity::Enhanced(Enhanced([0x40, 0, 0, 0, 0, 0, 0])).is_single_shot());
    }

    #[test]
    fn the_end_follows_from_when_it_arrived() {
        let at = UnixTime::from_micros(1_608_111_045_000_000);
        assert_eq!(Validity::Relative(11).end(at), Some(at + Duration::from_secs(HOUR)));
        let then = at + Duration::from_secs(90);
        assert_eq!(Validity::Absolute(Timestamp::of_unix(then, -20)).end(at), Some(then));
        assert_eq!(Validity::Absolute(Timestamp([0xff; 7])).end(at), None);
    }
}
