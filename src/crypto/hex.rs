//! Hexadecimal, lower case when written, either case when read; no allocation.

use arrayvec::{ArrayString, ArrayVec};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Writes `bytes` as lower-case hex.
///
/// The text holds at most `N` characters; octets beyond `N / 2` are left out, which is a bug of the caller.
pub fn encode<const N: usize>(bytes: &[u8]) -> ArrayString<N> {
    debug_assert!(bytes.len() * 2 <= N, "{} octets in {N} characters", bytes.len());
    let mut text = ArrayString::new();
    for byte in bytes.iter().take(N / 2) {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Reads hex of either case; `None` for an odd length, another character or more than `N` octets.
pub fn decode<const N: usize>(text: &[u8]) -> Option<ArrayVec<u8, N>> {
    if !text.len().is_multiple_of(2) || text.len() / 2 > N {
        return None;
    }
    text.chunks_exact(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}

/// Reads hex that has to give exactly `N` octets.
pub fn decode_array<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    decode::<N>(text)?.into_inner().ok()
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_survives_both_ways() {
        for byte in 0..=255u8 {
            let text = encode::<2>(&[byte]);
            assert_eq!(text.as_str(), format!("{byte:02x}"));
            assert_eq!(decode_array(text.as_bytes()), Some([byte]));
            assert_eq!(decode_array(text.to_uppercase().as_bytes()), Some([byte]));
        }
    }

    #[test]
    fn what_is_not_hex_is_refused() {
        assert_eq!(decode::<4>(b"0"), None);
        assert_eq!(decode::<4>(b"0g"), None);
        assert_eq!(decode::<4>(b" 0"), None);
        assert_eq!(decode::<4>("é".as_bytes()), None);
        assert_eq!(decode::<1>(b"0011"), None);
        assert_eq!(decode_array::<2>(b"00"), None);
        assert_eq!(decode::<0>(b""), Some(ArrayVec::new()));
    }
}
