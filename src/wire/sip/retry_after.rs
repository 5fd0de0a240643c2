//! Retry-After (RFC 3261 20.33): when to try again.

use super::params::Params;
use super::text::{decimal_u64, trim};

/// The value of Retry-After; its comment is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryAfter {
    /// After how long; numbers over 2^32-1 count as 2^32-1 (RFC 4475 3.1.2.5).
    pub delay_secs: u32,
    /// For how long the called one is then there.
    pub duration_secs: Option<u32>,
}

impl RetryAfter {
    /// Parses the header's value: `120 (in a meeting);duration=60`.
    pub fn parse(value: &[u8]) -> Option<RetryAfter> {
        let digits = value.iter().position(|o| !o.is_ascii_digit()).unwrap_or(value.len());
        let delay = decimal_u64(&value[..digits])?;
        let mut rest = trim(&value[digits..]);
        if rest.first() == Some(&b'(') {
            rest = &rest[comment_end(rest)..];
        }
        let (behind, params) = Params::split(rest);
        behind.is_empty().then(|| RetryAfter {
            delay_secs: u32::try_from(delay).unwrap_or(u32::MAX),
            duration_secs: params.number("duration"),
        })
    }
}

/// The position just after the comment that starts at `text[0] == '('`; comments nest (RFC 3261 25.1).
fn comment_end(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while let Some(&octet) = text.get(at) {
        at += 1;
        match octet {
            b'\\' => at += 1,
            b'(' => depth += 1,
            b')' if depth == 1 => return at,
            b')' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comment_and_duration() {
        let parse = |v: &str| RetryAfter::parse(v.as_bytes()).map(|r| (r.delay_secs, r.duration_secs));
        assert_eq!(parse("18000;duration=3600"), Some((18_000, Some(3600))));
        assert_eq!(parse("120 (I'm (really) in a meeting; duration=9 \\))"), Some((120, None)));
        assert_eq!(parse("5 (x) ; duration=7"), Some((5, Some(7))));
        assert_eq!(parse("949302838503028349304023988"), Some((u32::MAX, None)));
        assert_eq!(parse("1 (open"), Some((1, None)));
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("1 x"), None);
    }
}
