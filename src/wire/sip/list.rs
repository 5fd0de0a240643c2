//! Comma-separated values (RFC 3261 7.3.1), with commas inside quotes and angle brackets left alone.

use super::text::{quoted_end, trim};

/// The values of one header field, trimmed; empty values are left out.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    rest: &'a [u8],
}

/// Splits a header field's value at its commas.
pub fn values(field: &[u8]) -> Values<'_> {
    Values { rest: field }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = value_end(self.rest);
            let value = trim(&self.rest[..end]);
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if !value.is_empty() {
                return Some(value);
            }
        }
        None
    }
}

/// The position of the comma that ends the first value, or the end.
fn value_end(text: &[u8]) -> usize {
    let mut at = 0;
    let mut in_brackets = false;
    while let Some(&octet) = text.get(at) {
        match octet {
            b'"' if !in_brackets => {
                at += quoted_end(&text[at..]);
                continue;
            }
            b'<' => in_brackets = true,
            b'>' => in_brackets = false,
            b',' if !in_brackets => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_split() {
        let got: Vec<_> = values(b"\"a, b\" <sip:x@y;p=1,2>;q=1 ,, <sip:z>,t=\"en,fr\"").collect();
        let want: [&[u8]; 3] = [b"\"a, b\" <sip:x@y;p=1,2>;q=1", b"<sip:z>", b"t=\"en,fr\""];
        assert_eq!(got, want);
    }
}
