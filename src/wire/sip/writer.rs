//! Writing messages into a reusable buffer.

use super::custom::Custom;
use super::header::HeaderId;
use super::message::Message;
use super::status::reason_phrase;
use std::fmt;
use std::io::Write as _;

/// Writes one message: start line, header fields in the order of the calls, then the body, which ends it.
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut Vec<u8>,
    custom: Custom<'b>,
}

impl<'b> Writer<'b> {
    /// Starts a request in `out`, which is cleared.
    pub fn request(out: &'b mut Vec<u8>, method: &[u8], uri: &[u8]) -> Self {
        out.clear();
        let mut w = Writer { out, custom: Custom::default() };
        w.line(0, &[method, b" ", uri, b" SIP/2.0"]);
        w
    }

    /// Starts a response in `out`, which is cleared. `reason` replaces the standard phrase.
    pub fn response(out: &'b mut Vec<u8>, status: u16, reason: Option<&str>) -> Self {
        out.clear();
        let phrase = reason.unwrap_or(reason_phrase(status));
        write!(out, "SIP/2.0 {status} ").expect("writing to a Vec cannot fail");
        let mut w = Writer { out, custom: Custom::default() };
        w.line(0, &[phrase.as_bytes()]);
        w
    }

    /// Starts a response to `request` (RFC 3261 8.2.6): its Via fields, From, To with `to_tag` unless it has a tag, Call-ID,
    /// CSeq. `via_top` replaces the topmost Via value: the one with `received` and `rport` filled in (18.2.1).
    pub fn response_to(
        out: &'b mut Vec<u8>,
        request: &Message<'_>,
        status: u16,
        reason: Option<&str>,
        via_top: Option<&[u8]>,
        to_tag: Option<&[u8]>,
    ) -> Self {
        let mut w = Writer::response(out, status, reason);
        let mut replacement = via_top;
        for value in request.values(HeaderId::Via) {
            w.header("Via", replacement.take().unwrap_or(value));
        }
        w.copy(request, HeaderId::From);
        if let Some(to) = request.header(HeaderId::To) {
            let tagged = request.to().is_some_and(|t| t.tag().is_some());
            match to_tag {
                Some(tag) if !tagged => w.header_parts("To", &[to, b";tag=", tag]),
                _ => w.header("To", to),
            };
        }
        w.copy(request, HeaderId::CallId);
        w.copy(request, HeaderId::CSeq);
        w
    }

    /// From here on leaves out the headers that the operator removes; those that the operator adds come at the end.
    pub fn with_custom(self, custom: Custom<'b>) -> Self {
        Writer { custom, ..self }
    }

    /// Adds a header field.
    pub fn header(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.header_parts(name, &[value.as_ref()])
    }

    /// Adds a header field whose value is the parts one after the other.
    pub fn header_parts(&mut self, name: &str, parts: &[&[u8]]) -> &mut Self {
        self.field(name.as_bytes(), parts)
    }

    /// Adds a header field under a name that is not ours.
    pub fn field(&mut self, name: &[u8], parts: &[&[u8]]) -> &mut Self {
        if self.custom.removes(name) {
            return self;
        }
        self.put(name, parts);
        self
    }

    fn put(&mut self, name: &[u8], parts: &[&[u8]]) {
        let start = self.out.len();
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(b": ");
        self.line(start, parts);
    }

    /// Adds a formatted header field.
    pub fn header_fmt(&mut self, name: &str, value: fmt::Arguments<'_>) -> &mut Self {
        if self.custom.removes(name.as_bytes()) {
            return self;
        }
        let start = self.out.len();
        write!(self.out, "{name}: {value}").expect("writing to a Vec cannot fail");
        self.line(start, &[]);
        self
    }

    /// Adds parts to the line that begins at `start` and ends it. What comes from a peer may be folded or hold a lone CR or LF:
    /// as it passes, each becomes a space (RFC 3261 7.3.1), so that no reader takes the rest for a header field of ours.
    fn line(&mut self, start: usize, parts: &[&[u8]]) {
        for part in parts {
            self.out.extend_from_slice(part);
        }
        let text = &mut self.out[start..];
        if memchr::memchr2(b'\r', b'\n', text).is_some() {
            text.iter_mut().filter(|o| matches!(o, b'\r' | b'\n')).for_each(|o| *o = b' ');
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// Copies all fields of a header from another message, under the header's long name.
    pub fn copy(&mut self, from: &Message<'_>, id: HeaderId) -> &mut Self {
        for value in from.headers(id) {
            self.header(id.name(), value);
        }
        self
    }

    /// Ends the message without a body.
    pub fn finish(mut self) {
        self.add_custom();
        self.out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    }

    /// Ends the message with a body.
    pub fn body(mut self, content_type: &[u8], body: &[u8]) {
        self.add_custom();
        self.header("Content-Type", content_type);
        self.header_fmt("Content-Length", format_args!("{}", body.len()));
        self.out.extend_from_slice(b"\r\n");
        self.out.extend_from_slice(body);
    }

    fn add_custom(&mut self) {
        let custom = std::mem::take(&mut self.custom);
        for (name, value) in custom.added() {
            self.put(name.as_bytes(), &[value.as_bytes()]);
        }
        self.custom = custom;
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Index;
    use super::*;

    #[test]
    fn what_is_written_parses_and_answers() {
        let (mut octets, mut answer) = (Vec::new(), Vec::new());
        let mut w = Writer::request(&mut octets, b"INVITE", b"tel:666");
        w.header("Via", "SIP/2.0/UDP h;branch=z9hG4bK1, SIP/2.0/UDP g;branch=z9hG4bK2")
            .header("From", "<sip:a@h>;tag=1");
        w.header("To", "<tel:666>").header("Call-ID", "x").header("CSeq", "1 INVITE");
        w.body(b"application/sdp", b"v=0\r\n");
        let (mut i, mut j) = (Index::new(), Index::new());
        let m = Message::parse(&octets, &mut i).unwrap();
        assert_eq!(m.check(), Ok(()));
        let via = b"SIP/2.0/UDP h;branch=z9hG4bK1;received=1.2.3.4";
        Writer::response_to(&mut answer, &m, 180, None, Some(via), Some(b"t2")).finish();
        let r = Message::parse(&answer, &mut j).unwrap();
        assert_eq!(r.check(), Ok(()));
        assert_eq!((r.status(), r.reason(), r.to().unwrap().tag()), (180, &b"Ringing"[..], Some(&b"t2"[..])));
        assert_eq!(r.values(HeaderId::Via).collect::<Vec<_>>(), [&via[..], b"SIP/2.0/UDP g;branch=z9hG4bK2"]);
        assert_eq!(m.body(), b"v=0\r\n");
    }

    #[test]
    fn a_line_of_a_message_stays_one_line() {
        let mut out = Vec::new();
        let mut w = Writer::response(&mut out, 486, Some("Busy\rX: 1"));
        w.header("A", "b\r\n c\nd").header_fmt("E", format_args!("f\rg"));
        w.finish();
        assert_eq!(out, b"SIP/2.0 486 Busy X: 1\r\nA: b   c d\r\nE: f g\r\nContent-Length: 0\r\n\r\n");
        Writer::request(&mut out, b"BYE", b"sip:a\n b").finish();
        assert!(out.starts_with(b"BYE sip:a  b SIP/2.0\r\n"));
    }
}
