//! Parameters `;name=value`, of headers and of URIs.

use super::text::{decimal, quoted_end, trim, unquote};

/// The parameters of a header value or a URI, as they came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Params<'a>(&'a [u8]);

/// One parameter. A flag has no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Param<'a> {
    /// The name, without surrounding white space.
    pub name: &'a [u8],
    /// The value as it came, quotes included.
    pub value: Option<&'a [u8]>,
}

impl<'a> Param<'a> {
    /// The value without quotes; empty for a flag.
    pub fn text(&self) -> &'a [u8] {
        self.value.map_or(&[][..], unquote)
    }
}

impl<'a> Params<'a> {
    /// Parameters from their text, with or without the leading semicolon.
    pub fn new(text: &'a [u8]) -> Self {
        Params(text)
    }

    /// Splits `value ;name=value…` at the first semicolon outside quotes: the value, trimmed, and its parameters.
    pub fn split(text: &'a [u8]) -> (&'a [u8], Self) {
        let end = param_end(text);
        (trim(&text[..end]), Params(&text[end..]))
    }

    /// The text as it came.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The value of the first parameter of this name (no case), without quotes; empty for a flag.
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|p| p.name.eq_ignore_ascii_case(name.as_bytes())).map(|p| p.text())
    }

    /// Whether there is a parameter of this name.
    pub fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The value of a parameter that is a number, below 2^32.
    pub fn number(self, name: &str) -> Option<u32> {
        self.get(name).and_then(decimal)
    }

    /// All parameters, in order.
    pub fn iter(self) -> Iter<'a> {
        Iter { rest: self.0 }
    }
}

/// Walks parameters.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        while !self.rest.is_empty() {
            let end = param_end(self.rest);
            let text = trim(&self.rest[..end]);
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if text.is_empty() {
                continue;
            }
            return Some(match memchr::memchr(b'=', text) {
                Some(at) => Param { name: trim(&text[..at]), value: Some(trim(&text[at + 1..])) },
                None => Param { name: text, value: None },
            });
        }
        None
    }
}

fn param_end(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&octet) = text.get(at) {
        match octet {
            b';' => return at,
            b'"' => at += quoted_end(&text[at..]),
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_flags_quotes_and_stray_semicolons() {
        let p = Params::new(b"; lr;expires = 60 ;;text=\"a;b\"; +sip.instance=\"<urn:x>\"");
        assert_eq!(p.get("LR"), Some(&b""[..]));
        assert_eq!(p.get("expires"), Some(&b"60"[..]));
        assert_eq!(p.get("text"), Some(&b"a;b"[..]));
        assert_eq!(p.get("+sip.instance"), Some(&b"<urn:x>"[..]));
        assert_eq!(p.get("q"), None);
        assert_eq!(p.iter().count(), 4);
        assert_eq!((p.number("expires"), p.number("text"), p.number("x")), (Some(60), None, None));
    }

    #[test]
    fn a_value_before_its_parameters() {
        assert_eq!(Params::split(b" RELEASE_CAUSE ;cause=1"), (&b"RELEASE_CAUSE"[..], Params(b";cause=1")));
        assert_eq!(Params::split(b"\"a;b\""), (&b"\"a;b\""[..], Params(b"")));
    }
}
