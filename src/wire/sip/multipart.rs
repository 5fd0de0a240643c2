//! Multipart bodies (RFC 2046 5.1, RFC 5621): the parts of one level. A part that is itself multipart is handed out whole.
//!
//! Phones do not always agree with themselves: when the boundary that Content-Type names does not occur in the body, the body's
//! first line that starts with two hyphens is taken for it. A part's own Content-Length is not looked at: the boundary ends it.

use super::header::HeaderId;
use super::params::Params;
use super::text::{is_token, split_once, trim, trim_end};

/// One part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part<'a> {
    headers: &'a [u8],
    /// The part's body.
    pub body: &'a [u8],
}

impl<'a> Part<'a> {
    /// The value of the first header of this name.
    pub fn header(&self, id: HeaderId) -> Option<&'a [u8]> {
        let mut rest = self.headers;
        while !rest.is_empty() {
            let end = field_end(rest);
            let field = trim_end(&rest[..end]);
            rest = &rest[end..];
            if let Some((name, value)) = split_once(field, b':')
                && is_token(trim_end(name))
                && HeaderId::from_name(trim_end(name)) == id
            {
                return Some(trim(value));
            }
        }
        None
    }

    /// Whether Content-Type names this media type; no case, parameters do not count. Without one a part is plain text.
    pub fn has_content_type(&self, media_type: &str) -> bool {
        let (own, _) = Params::split(self.header(HeaderId::ContentType).unwrap_or(b"text/plain"));
        own.eq_ignore_ascii_case(media_type.as_bytes())
    }

    /// Content-ID without its brackets.
    pub fn content_id(&self) -> Option<&'a [u8]> {
        self.header(HeaderId::ContentId).map(without_brackets)
    }
}

/// The parts of a body, in order.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    delimiter: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Looks for the parts of a body whose Content-Type this is; `None` when that is not multipart.
    pub fn new(content_type: &'a [u8], body: &'a [u8]) -> Option<Parts<'a>> {
        let (media_type, params) = Params::split(content_type);
        if !media_type.get(..10).is_some_and(|t| t.eq_ignore_ascii_case(b"multipart/")) {
            return None;
        }
        let declared = params.get("boundary").filter(|b| !b.is_empty());
        let found = declared.and_then(|b| Delimited::next(body, b).map(|first| (b, first)));
        let (delimiter, first) = match found {
            Some(found) => found,
            None => {
                let own = first_delimiter(body)?;
                (own, Delimited::next(body, own)?)
            }
        };
        Some(Parts { delimiter, rest: &body[first.after..] })
    }

    /// The part with this Content-ID, as `<…>`, `cid:…` or `<cid:…>` names it.
    pub fn by_content_id(mut self, id: &[u8]) -> Option<Part<'a>> {
        let id = without_brackets(id);
        let id = id.strip_prefix(b"cid:").unwrap_or(id);
        self.find(|p| p.content_id() == Some(id))
    }

    /// The first part of this media type.
    pub fn by_type(mut self, media_type: &str) -> Option<Part<'a>> {
        self.find(|p| p.has_content_type(media_type))
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    /// The next part. What follows the last delimiter is no part; a part that no delimiter ends is one to the end.
    fn next(&mut self) -> Option<Part<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let part = match Delimited::next(self.rest, self.delimiter) {
            Some(found) => {
                let part = &self.rest[..found.before];
                self.rest = if found.last { &[] } else { &self.rest[found.after..] };
                part
            }
            None => std::mem::take(&mut self.rest),
        };
        Some(split_part(part))
    }
}

/// A line that delimits parts.
struct Delimited {
    /// Where the text before it ends, the line end before it left out.
    before: usize,
    /// Where the line after it starts.
    after: usize,
    /// Whether it closes the last part.
    last: bool,
}

impl Delimited {
    /// The first line of `text` that is `--boundary` or `--boundary--`, with nothing but white space behind it.
    fn next(text: &[u8], boundary: &[u8]) -> Option<Delimited> {
        let mut at = 0;
        loop {
            let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |lf| at + lf + 1);
            let line = trim_end(&text[at..end]);
            if let Some(behind) = line.strip_prefix(b"--").and_then(|l| l.strip_prefix(boundary))
                && (behind.is_empty() || behind == b"--")
            {
                let before = text[..at].strip_suffix(b"\n").unwrap_or_default();
                let before = before.strip_suffix(b"\r").unwrap_or(before).len();
                return Some(Delimited { before, after: end, last: !behind.is_empty() });
            }
            at = end;
            if at == text.len() {
                return None;
            }
        }
    }
}

/// The boundary that the first line starting with two hyphens would be.
fn first_delimiter(body: &[u8]) -> Option<&[u8]> {
    let line = body.split(|&o| o == b'\n').map(trim_end).find(|l| l.len() > 2 && l.starts_with(b"--"))?;
    Some(&line[2..])
}

/// Where the header field at the start ends, the lines that continue it included.
fn field_end(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match memchr::memchr(b'\n', &text[at..]) {
            Some(lf) => at += lf + 1,
            None => return text.len(),
        }
        if !matches!(text.get(at), Some(b' ' | b'\t')) {
            return at;
        }
    }
}

/// Splits a part at its first empty line. Without one it is all headers.
fn split_part(text: &[u8]) -> Part<'_> {
    let mut at = 0;
    while at < text.len() {
        let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |lf| at + lf + 1);
        if matches!(&text[at..end], b"\n" | b"\r\n") {
            return Part { headers: &text[..at], body: &text[end..] };
        }
        at = end;
    }
    Part { headers: text, body: &[] }
}

fn without_brackets(id: &[u8]) -> &[u8] {
    let id = trim(id);
    id.strip_prefix(b"<").and_then(|i| i.strip_suffix(b">")).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &[u8] = b"Multipart/Mixed ; boundary=\"b 1\"";
    const BODY: &[u8] = b"preamble\r\n--b 1\r\nContent-Type: application/sdp;x=y\r\nContent-Length:  99\r\n\r\nv=0\r\n\r\n--b 1 \r\n\
        content-id:\r\n <a@b>\r\n\r\n\x00--b 1\x00\r\n--b 12\r\n--b 1\r\n\r\nplain\r\n--b 1--\r\nepilogue";

    #[test]
    fn parts_end_before_the_line_end_of_their_delimiter() {
        let parts = Parts::new(TYPE, BODY).unwrap();
        let bodies: Vec<_> = parts.map(|p| p.body).collect();
        assert_eq!(bodies, [&b"v=0\r\n"[..], b"\x00--b 1\x00\r\n--b 12", b"plain"]);
        assert_eq!(parts.by_type("APPLICATION/SDP").unwrap().body, b"v=0\r\n");
        assert_eq!(parts.by_type("text/plain").unwrap().content_id(), Some(&b"a@b"[..]));
        for id in ["<a@b>", "cid:a@b", "<cid:a@b>", "a@b"] {
            assert!(parts.by_content_id(id.as_bytes()).is_some(), "{id}");
        }
        assert!(parts.by_content_id(b"cid:other").is_none());
    }

    #[test]
    fn a_boundary_that_does_not_occur_is_replaced_by_the_one_that_does() {
        for declared in ["multipart/mixed;boundary=other", "multipart/mixed", "multipart/mixed;boundary=\"\""]
        {
            assert_eq!(Parts::new(declared.as_bytes(), BODY).unwrap().count(), 3, "{declared}");
        }
        assert!(Parts::new(b"multipart/mixed", b"no delimiter\r\n--\r\n").is_none());
        assert!(Parts::new(b"application/sdp", BODY).is_none());
        assert!(Parts::new(TYPE, b"").is_none());
    }

    #[test]
    fn an_open_part_reaches_to_the_end() {
        let all: Vec<_> = Parts::new(TYPE, b"--b 1\nA: b\n\nx\ny").unwrap().map(|p| p.body).collect();
        assert_eq!(all, [b"x\ny"]);
        assert_eq!(Parts::new(TYPE, b"--b 1--").unwrap().count(), 0);
        assert_eq!(Parts::new(TYPE, b"--b 1\n--b 1\n").unwrap().count(), 1);
    }
}
