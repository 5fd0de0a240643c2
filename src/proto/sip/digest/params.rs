//! The parameter list of digest header values (RFC 3261 25.1 `digest-response`, `digest-cln`), read leniently.
//!
//! A value may be a token or a quoted string whatever the grammar wants; folding and other white space, empty list
//! items and words without a value are stepped over. The octets are the sender's: quotes are taken off, escapes stay.

/// One `name=value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name as sent; compare it in any case.
    pub name: &'a [u8],
    /// The value without its quotes, escapes kept.
    pub value: &'a [u8],
}

/// The parameters of a digest header value, in order.
#[derive(Clone, Debug)]
pub struct Params<'a> {
    rest: &'a [u8],
}

/// The parameters that follow the scheme `Digest`; `None` for another scheme or no scheme at all.
pub fn digest_params(value: &[u8]) -> Option<Params<'_>> {
    let value = value.trim_ascii_start();
    let (scheme, rest) = value.split_at(position(value, is_lws));
    scheme.eq_ignore_ascii_case(b"Digest").then_some(Params { rest })
}

impl<'a> Iterator for Params<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        loop {
            self.skip(|b| is_lws(b) || b == b',');
            let name = self.take(|b| is_lws(b) || matches!(b, b',' | b'=' | b'"'));
            self.skip(is_lws);
            match (name, *self.rest.first()?) {
                // A quoted string or an equals sign without a name means nothing.
                (_, b'"') => drop(self.quoted()),
                (b"", b'=') => drop(self.value()),
                (name, b'=') => return Some(Param { name, value: self.value() }),
                // A word without a value means nothing either.
                _ => {}
            }
        }
    }
}

impl<'a> Params<'a> {
    /// The value behind `=`, which is next.
    fn value(&mut self) -> &'a [u8] {
        self.rest = &self.rest[1..];
        self.skip(is_lws);
        match self.rest.first() {
            Some(b'"') => self.quoted(),
            _ => self.take(|b| is_lws(b) || b == b','),
        }
    }

    /// The content of a quoted string, whose opening quote is next; without a closing one it is all that is left.
    fn quoted(&mut self) -> &'a [u8] {
        let text = &self.rest[1..];
        let mut escaped = false;
        let end = text.iter().position(|&byte| {
            let closing = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closing
        });
        let end = end.unwrap_or(text.len());
        self.rest = text.get(end + 1..).unwrap_or_default();
        &text[..end]
    }

    fn take(&mut self, stop: impl Fn(u8) -> bool) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(position(self.rest, stop));
        self.rest = rest;
        taken
    }

    fn skip(&mut self, what: impl Fn(u8) -> bool) {
        self.take(|b| !what(b));
    }
}

/// Where the first octet is that `stop` says, or the end.
fn position(text: &[u8], stop: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|b| stop(*b)).unwrap_or(text.len())
}

/// Linear white space; CR and LF are those of a folded line.
fn is_lws(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(value: &str) -> Option<Vec<(&str, &str)>> {
        let text = |bytes| std::str::from_utf8(bytes).expect("ASCII");
        Some(digest_params(value.as_bytes())?.map(|p| (text(p.name), text(p.value))).collect())
    }

    #[test]
    fn tokens_and_quoted_strings() {
        let params = list("Digest realm=\"a b, c=d\",nonce=x==, stale=TRUE,opaque=\"\"").expect("digest");
        assert_eq!(params, [("realm", "a b, c=d"), ("nonce", "x=="), ("stale", "TRUE"), ("opaque", "")]);
    }

    #[test]
    fn white_space_and_folding_anywhere() {
        let params = list("  dIGEST\r\n a =\t\"1\" ,\r\n\tb\r\n =\r\n 2 , c=3 ").expect("digest");
        assert_eq!(params, [("a", "1"), ("b", "2"), ("c", "3")]);
    }

    #[test]
    fn escapes_do_not_end_a_quoted_string() {
        assert_eq!(list(r#"Digest a="x\"y\\",b=1"#), Some(vec![("a", r#"x\"y\\"#), ("b", "1")]));
    }

    #[test]
    fn what_has_no_name_or_no_value_is_stepped_over() {
        assert_eq!(list("Digest ,,a=1,,word,b=2,\"x,y=3\",=4,=\"5\",c=6"), {
            Some(vec![("a", "1"), ("b", "2"), ("c", "6")])
        });
        assert_eq!(list("Digest a=\"1\" b=2"), Some(vec![("a", "1"), ("b", "2")]), "a missing comma");
        assert_eq!(list("Digest a=,b=2"), Some(vec![("a", ""), ("b", "2")]));
        assert_eq!(list("Digest a="), Some(vec![("a", "")]));
        assert_eq!(list("Digest a=\"open"), Some(vec![("a", "open")]));
        assert_eq!(list("Digest a"), Some(vec![]));
        assert_eq!(list("Digest"), Some(vec![]));
    }

    #[test]
    fn other_schemes_are_none() {
        for value in ["", " ", "Basic QWxhZGRpbg==", "Digestive a=1", "NoOneKnowsThisScheme opaque-data=here"]
        {
            assert_eq!(list(value), None, "{value}");
        }
    }
}
