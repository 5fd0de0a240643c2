//! Octet classes and small text operations of RFC 3261 25.1.

use std::borrow::Cow;

/// Space, tab, and the line ends that folding leaves inside a value.
pub const fn is_lws(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// Whether the octet may stand in a `token`.
pub const fn is_token_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(octet, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// Whether the text is a non-empty `token`.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&o| is_token_octet(o))
}

/// The text without white space and folding at either end.
pub fn trim(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

/// The text without leading white space.
pub fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_lws(*first)
    {
        text = rest;
    }
    text
}

/// The text without trailing white space.
pub fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., last] = text
        && is_lws(*last)
    {
        text = rest;
    }
    text
}

/// A decimal number without sign; `None` if empty, not all digits, or over `u32::MAX`.
pub fn decimal(text: &[u8]) -> Option<u32> {
    let wide = decimal_u64(text)?;
    u32::try_from(wide).ok()
}

/// A decimal number without sign; numbers over `u64::MAX` saturate.
pub fn decimal_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |n, &o| {
        o.is_ascii_digit().then(|| n.saturating_mul(10).saturating_add(u64::from(o - b'0')))
    })
}

/// A `qvalue` in thousandths (RFC 3261 25.1): `0.5` is 500; further digits are cut off. `None` when it is no number or over 1.
pub fn qvalue(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = split_once(text, b'.').unwrap_or((text, &[]));
    let whole = match whole {
        [] if !fraction.is_empty() => 0,
        digits => decimal(digits)?,
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |at: usize| fraction.get(at).map_or(0, |o| u32::from(o - b'0'));
    let thousandths = whole.checked_mul(1000)? + digit(0) * 100 + digit(1) * 10 + digit(2);
    (thousandths <= 1000).then_some(thousandths as u16)
}

/// Splits at the first `octet`.
pub fn split_once(text: &[u8], octet: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(octet, text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// The text inside a quoted string, escapes left as they are; the text itself when it is not quoted.
pub fn unquote(text: &[u8]) -> &[u8] {
    match text {
        [b'"', inner @ .., b'"'] => inner,
        _ => text,
    }
}

/// Percent-decodes (RFC 3261 19.1.2); a `%` without two hexadecimal digits stays.
pub fn percent_decode(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let decoded = match tail {
            [a, b, ..] if *first == b'%' => hex_digit(*a).zip(hex_digit(*b)),
            _ => None,
        };
        match decoded {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = &tail[2..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    Cow::Owned(out)
}

/// Whether a percent-encoded text stands for `plain`; case does not count.
pub fn percent_eq(text: &[u8], plain: &[u8]) -> bool {
    let mut rest = text;
    for &wanted in plain {
        let (octet, tail) = match rest {
            [b'%', a, b, tail @ ..] => match hex_digit(*a).zip(hex_digit(*b)) {
                Some((high, low)) => (high << 4 | low, tail),
                None => (b'%', &rest[1..]),
            },
            [first, tail @ ..] => (*first, tail),
            [] => return false,
        };
        if !octet.eq_ignore_ascii_case(&wanted) {
            return false;
        }
        rest = tail;
    }
    rest.is_empty()
}

fn hex_digit(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).map(|d| d as u8)
}

/// The position just after the quoted string that starts at `text[0] == '"'`, or the end when it is not closed.
pub fn quoted_end(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(&octet) = text.get(at) {
        match octet {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// Octets shown as text, whatever they are; for traces and reasons, not for protocol.
pub fn lossy(text: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_decoding_keeps_what_is_not_an_escape() {
        assert_eq!(percent_decode(b"a%62c%").as_ref(), b"abc%");
        assert_eq!(percent_decode(b"%2").as_ref(), b"%2");
        assert_eq!(percent_decode(b"%23%zz").as_ref(), b"#%zz");
    }

    #[test]
    fn percent_encoded_and_plain_text_compare() {
        assert!(percent_eq(b"urn%3aURN-7%3A3gpp", b"urn:urn-7:3gpp"));
        assert!(percent_eq(b"100%", b"100%"));
        assert!(!percent_eq(b"urn%3", b"urn:"));
        assert!(!percent_eq(b"urn%3A", b"urn"));
        assert!(!percent_eq(b"urn", b"urn%3A"));
    }

    #[test]
    fn qvalues_in_thousandths() {
        for (text, q) in [("1", 1000), ("1.00", 1000), ("0.33", 330), ("0", 0), ("0.5", 500), (".1", 100)] {
            assert_eq!(qvalue(text.as_bytes()), Some(q), "{text}");
        }
        for bad in ["", ".", "2", "1.001", "0.x", "-1", "4294967296", "4294967"] {
            assert_eq!(qvalue(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn quoted_end_knows_escapes() {
        assert_eq!(quoted_end(br#""a\"b";c"#), 6);
        assert_eq!(quoted_end(br#""open"#), 5);
        assert_eq!(quoted_end(br#""open\"#), 6);
    }

    #[test]
    fn decimal_refuses_signs_and_overflow() {
        assert_eq!(decimal(b"4294967295"), Some(u32::MAX));
        assert_eq!(decimal(b"4294967296"), None);
        assert_eq!(decimal(b"-1"), None);
        assert_eq!(decimal(b""), None);
        assert_eq!(decimal_u64(b"99999999999999999999999"), Some(u64::MAX));
    }
}
