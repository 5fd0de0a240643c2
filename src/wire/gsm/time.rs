//! Time stamps (TS 23.040 9.2.3.11): local time and its distance from GMT, in swapped semi-octets.

use crate::base::time::UnixTime;
use std::fmt;

/// Years are two digits; these are of this century.
const CENTURY: i64 = 2000;
const MICROS_PER_SEC: i64 = 1_000_000;
const SECS_PER_DAY: i64 = 86_400;
const SECS_PER_QUARTER: i64 = 900;
/// Distance from GMT that can be written, in quarters of an hour: two digits with a sign, of which the first has three bits.
const MAX_QUARTERS: i64 = 79;

/// A TP-SCTS, TP-DT or absolute TP-VP, as the octets stand: what is no valid date is kept and passed on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timestamp(pub [u8; 7]);

/// The parts of a time stamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Civil {
    /// Year, 2000 to 2099.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: i64,
    /// Day of the month, from 1.
    pub day: i64,
    /// Seconds since local midnight.
    pub secs: i64,
    /// Local time's distance from GMT in quarters of an hour.
    pub quarters: i64,
}

/// Two digits of swapped semi-octets; `None` when one is no digit.
fn digits(octet: u8) -> Option<i64> {
    let (tens, ones) = (i64::from(octet & 0xf), i64::from(octet >> 4));
    (tens < 10 && ones < 10).then_some(tens * 10 + ones)
}

/// The octet of a number below 100.
fn swapped(number: i64) -> u8 {
    debug_assert!((0..100).contains(&number));
    (number / 10 % 10) as u8 | ((number % 10) as u8) << 4
}

/// Days from 1970-01-01 to a date of the Gregorian calendar: years begin in March, so that the leap day is their last.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + in_year - 719_468
}

/// Year, month and day of a day counted from 1970-01-01, in this century.
fn date_of(days: i64) -> (i64, i64, i64) {
    let year = (CENTURY..CENTURY + 100).rev().find(|y| days_of(*y, 1, 1) <= days).unwrap_or(CENTURY);
    let month = (1..=12).rev().find(|m| days_of(year, *m, 1) <= days).unwrap_or(1);
    (year, month, days - days_of(year, month, 1) + 1)
}

fn days_in(year: i64, month: i64) -> i64 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_of(next_year, next_month, 1) - days_of(year, month, 1)
}

impl Timestamp {
    /// The local time of `at` that is `quarters` quarters of an hour ahead of GMT; outside of this century its nearest day.
    pub fn of_unix(at: UnixTime, quarters: i64) -> Timestamp {
        let quarters = quarters.clamp(-MAX_QUARTERS, MAX_QUARTERS);
        let first = days_of(CENTURY, 1, 1) * SECS_PER_DAY;
        let last = days_of(CENTURY + 100, 1, 1) * SECS_PER_DAY - 1;
        let local = at.as_secs().saturating_add(quarters * SECS_PER_QUARTER).clamp(first, last);
        let (year, month, day) = date_of(local.div_euclid(SECS_PER_DAY));
        Timestamp::of_civil(Civil { year, month, day, secs: local.rem_euclid(SECS_PER_DAY), quarters })
    }

    fn of_civil(c: Civil) -> Timestamp {
        let zone = swapped(c.quarters.abs()) | if c.quarters < 0 { 8 } else { 0 };
        let (hour, minute, second) = (c.secs / 3600, c.secs / 60 % 60, c.secs % 60);
        let [year, month, day] = [c.year - CENTURY, c.month, c.day].map(swapped);
        let [hour, minute, second] = [hour, minute, second].map(swapped);
        Timestamp([year, month, day, hour, minute, second, zone])
    }

    /// Its parts; `None` when it is no date or time.
    pub fn civil(self) -> Option<Civil> {
        let [year, month, day, hour, minute, second, zone] = self.0;
        let year = CENTURY + digits(year)?;
        let [month, day, hour, minute, second] =
            [digits(month)?, digits(day)?, digits(hour)?, digits(minute)?, digits(second)?];
        let negative = zone & 8 != 0;
        let quarters = digits(zone & !8)?;
        let valid = (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        let quarters = if negative { -quarters } else { quarters };
        valid.then_some(Civil { year, month, day, secs: hour * 3600 + minute * 60 + second, quarters })
    }

    /// The time that it names; `None` when it is no date or time.
    pub fn unix(self) -> Option<UnixTime> {
        let c = self.civil()?;
        let secs = days_of(c.year, c.month, c.day) * SECS_PER_DAY + c.secs - c.quarters * SECS_PER_QUARTER;
        Some(UnixTime::from_micros(secs * MICROS_PER_SEC))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(c) = self.civil() else { return f.write_str("no valid time") };
        let (sign, away) = (if c.quarters < 0 { '-' } else { '+' }, c.quarters.abs() * 15);
        write!(f, "{}-{:02}-{:02}T", c.year, c.month, c.day)?;
        write!(f, "{:02}:{:02}:{:02}", c.secs / 3600, c.secs / 60 % 60, c.secs % 60)?;
        write!(f, "{sign}{:02}:{:02}", away / 60, away % 60)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_century_comes_back() {
        let first = days_of(2000, 1, 1);
        assert_eq!(first * SECS_PER_DAY, 946_684_800);
        for day in first..days_of(2100, 1, 1) {
            let at = UnixTime::from_micros((day * SECS_PER_DAY + 45_296) * MICROS_PER_SEC);
            assert_eq!(Timestamp::of_unix(at, 0).unix(), Some(at), "day {day}");
        }
    }

    #[test]
    fn every_zone_names_the_same_time() {
        let at = UnixTime::from_micros(1_608_111_045 * MICROS_PER_SEC);
        for quarters in -79..=79 {
            let stamp = Timestamp::of_unix(at, quarters);
            assert_eq!((stamp.unix(), stamp.civil().map(|c| c.quarters)), (Some(at), Some(quarters)));
        }
        assert_eq!(Timestamp::of_unix(at, 4).to_string(), "2020-12-16T10:30:45+01:00");
    }

    #[test]
    fn what_is_no_date_is_none() {
        let base = Timestamp::of_unix(UnixTime::from_micros(1_608_111_045 * MICROS_PER_SEC), 0).0;
        for (at, octet) in [(0, 0xfa), (1, 0x31), (1, 0), (2, 0x23), (2, 0), (3, 0x42), (4, 0x06), (5, 0x06)]
        {
            let mut octets = base;
            octets[at] = octet;
            assert_eq!(Timestamp(octets).unix(), None, "octet {at} is {octet:02x}");
            assert_eq!(Timestamp(octets).to_string(), "no valid time");
        }
    }

    #[test]
    fn times_of_other_centuries_become_the_nearest() {
        let text =
            |secs: i64| Timestamp::of_unix(UnixTime::from_micros(secs * MICROS_PER_SEC), 0).to_string();
        assert_eq!(text(0), "2000-01-01T00:00:00+00:00");
        assert_eq!(text(9_000_000_000), "2099-12-31T23:59:59+00:00");
    }
}
