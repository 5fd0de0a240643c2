//! A message as an index of spans over its octets (RFC 3261 7).

use super::error::{Defect, ParseError};
use super::header::HeaderId;
use super::list;
use super::method::Method;
use super::name_addr::NameAddr;
use super::span::Span;
use super::text::{decimal, decimal_u64, is_token, split_once, trim, trim_end, trim_start};
use super::uri::Uri;
use super::via::Via;

/// The most header fields that a message may have.
pub const MAX_HEADERS: usize = 128;

/// The most octets that a message may have.
pub const MAX_MESSAGE: usize = u16::MAX as usize;

#[derive(Clone, Copy, Debug)]
struct IndexedField {
    id: HeaderId,
    name: Span,
    value: Span,
}

#[derive(Clone, Copy, Debug)]
enum Start {
    Request { method: Method, token: Span, uri: Span },
    Response { status: u16, reason: Span },
}

/// Where everything is in a message. Reuse one for all messages: it allocates only when it is made.
#[derive(Clone, Debug)]
pub struct Index {
    start: Start,
    fields: Vec<IndexedField>,
    /// Where the first field of each header is in `fields`; [`ABSENT`] if there is none.
    first: [u8; HeaderId::COUNT],
    /// One bit by header that has more than one field.
    repeated: u128,
    body: Span,
    defect: Option<Defect>,
}

/// Marks a header that the message does not have. [`MAX_HEADERS`] is lower.
const ABSENT: u8 = u8::MAX;

impl Default for Index {
    fn default() -> Self {
        Self::new()
    }
}

impl Index {
    /// An empty index with room for the largest message.
    pub fn new() -> Self {
        let start = Start::Response { status: 0, reason: Span::default() };
        Index {
            start,
            fields: Vec::with_capacity(MAX_HEADERS),
            first: [ABSENT; HeaderId::COUNT],
            repeated: 0,
            body: Span::default(),
            defect: None,
        }
    }

    fn clear(&mut self) {
        self.fields.clear();
        self.first.fill(ABSENT);
        self.repeated = 0;
        self.defect = None;
    }

    /// Adds a field; there is room for one.
    fn push(&mut self, field: IndexedField) {
        let first = &mut self.first[field.id as usize];
        if *first == ABSENT {
            *first = self.fields.len() as u8;
        } else {
            self.repeated |= 1 << field.id as u8;
        }
        self.fields.push(field);
    }

    /// The fields from the first one of this header on.
    fn tail_of(&self, id: HeaderId) -> &[IndexedField] {
        self.fields.get(usize::from(self.first[id as usize])..).unwrap_or_default()
    }
}

/// A parsed message: octets and their index.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    octets: &'a [u8],
    index: &'a Index,
}

/// One header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Which header.
    pub id: HeaderId,
    /// The name as it came.
    pub name: &'a [u8],
    /// The value, trimmed; folding inside is kept.
    pub value: &'a [u8],
}

/// CSeq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Sequence number, below 2^31.
    pub number: u32,
    /// Method.
    pub method: Method,
    /// Method's token.
    pub token: &'a [u8],
}

impl<'a> Message<'a> {
    /// Indexes one message. Octets behind the body are left out (RFC 3261 18.3); a body without Content-Length reaches to
    /// the end of the datagram.
    pub fn parse(octets: &'a [u8], index: &'a mut Index) -> Result<Message<'a>, ParseError> {
        if octets.len() > MAX_MESSAGE {
            return Err(ParseError::TooLong);
        }
        index.clear();
        // RFC 3261 7.5: empty lines before the start line are ignored
        let mut at = octets
            .iter()
            .position(|o| !matches!(o, b'\r' | b'\n' | b' ' | b'\t' | 0))
            .ok_or(ParseError::Empty)?;
        let line_end = line_end(octets, at).ok_or(ParseError::NoEnd)?;
        let (start, defect) = start_line(octets, at, line_end.text)?;
        index.start = start;
        index.defect = defect;
        at = line_end.next;
        at = index_fields(octets, at, index)?;
        find_body(octets, at, index);
        Ok(Message { octets, index })
    }

    /// What is wrong with the lines, the Content-Length or the request line; [`Message::check`] asks for more.
    pub fn defect(&self) -> Option<Defect> {
        self.index.defect
    }

    /// All octets of the message's buffer.
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.index.start, Start::Request { .. })
    }

    /// A request's method; a response's CSeq method.
    pub fn method(&self) -> Method {
        match self.index.start {
            Start::Request { method, .. } => method,
            Start::Response { .. } => self.cseq().map_or(Method::Other, |c| c.method),
        }
    }

    /// A request's method token; a response's CSeq method token.
    pub fn method_token(&self) -> &'a [u8] {
        match self.index.start {
            Start::Request { token, .. } => token.of(self.octets),
            Start::Response { .. } => self.cseq().map_or(&[], |c| c.token),
        }
    }

    /// A response's status code; 0 for a request.
    pub fn status(&self) -> u16 {
        match self.index.start {
            Start::Request { .. } => 0,
            Start::Response { status, .. } => status,
        }
    }

    /// A response's reason phrase.
    pub fn reason(&self) -> &'a [u8] {
        match self.index.start {
            Start::Request { .. } => &[],
            Start::Response { reason, .. } => reason.of(self.octets),
        }
    }

    /// A request's Request-URI as it came; empty for a response.
    pub fn request_uri(&self) -> &'a [u8] {
        match self.index.start {
            Start::Request { uri, .. } => uri.of(self.octets),
            Start::Response { .. } => &[],
        }
    }

    /// The body.
    pub fn body(&self) -> &'a [u8] {
        self.index.body.of(self.octets)
    }

    /// All header fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + 'a {
        let octets = self.octets;
        self.index.fields.iter().map(move |f| Field {
            id: f.id,
            name: f.name.of(octets),
            value: f.value.of(octets),
        })
    }

    /// The value of the first field of this header.
    pub fn header(&self, id: HeaderId) -> Option<&'a [u8]> {
        self.index.tail_of(id).first().map(|f| f.value.of(self.octets))
    }

    /// The values of all fields of this header, one per line.
    pub fn headers(&self, id: HeaderId) -> impl Iterator<Item = &'a [u8]> + Clone + 'a {
        let octets = self.octets;
        self.index.tail_of(id).iter().filter(move |f| f.id == id).map(move |f| f.value.of(octets))
    }

    /// Whether the header has more than one field.
    pub fn is_repeated(&self, id: HeaderId) -> bool {
        self.index.repeated & 1 << id as u8 != 0
    }

    /// All values of this header: lines split at their commas.
    pub fn values(&self, id: HeaderId) -> impl Iterator<Item = &'a [u8]> + Clone + 'a {
        self.headers(id).flat_map(list::values)
    }

    /// Whether a header that lists option tags (Supported, Require, Allow, …) has this one; no case.
    pub fn lists(&self, id: HeaderId, tag: &str) -> bool {
        self.values(id).any(|v| v.eq_ignore_ascii_case(tag.as_bytes()))
    }

    /// The topmost Via.
    pub fn via(&self) -> Option<Via<'a>> {
        self.values(HeaderId::Via).next().and_then(Via::parse)
    }

    /// From.
    pub fn from(&self) -> Option<NameAddr<'a>> {
        self.header(HeaderId::From).and_then(NameAddr::parse)
    }

    /// To.
    pub fn to(&self) -> Option<NameAddr<'a>> {
        self.header(HeaderId::To).and_then(NameAddr::parse)
    }

    /// Call-ID.
    pub fn call_id(&self) -> Option<&'a [u8]> {
        self.header(HeaderId::CallId).filter(|v| !v.is_empty())
    }

    /// CSeq, when it is a number below 2^31 (RFC 3261 8.1.1.5) and a token.
    pub fn cseq(&self) -> Option<CSeq<'a>> {
        let value = self.header(HeaderId::CSeq)?;
        let end = value.iter().position(|&o| super::text::is_lws(o))?;
        let number = decimal(&value[..end]).filter(|&n| n < 1 << 31)?;
        let token = trim(&value[end..]);
        is_token(token).then(|| CSeq { number, method: Method::from_token(token), token })
    }

    /// Max-Forwards, 0 to 255 (RFC 3261 20.22).
    pub fn max_forwards(&self) -> Option<u8> {
        decimal(self.header(HeaderId::MaxForwards)?).and_then(|n| u8::try_from(n).ok())
    }

    /// Expires in seconds; numbers over 2^32-1 count as 2^32-1 (RFC 4475 3.1.2.4).
    pub fn expires(&self) -> Option<u32> {
        decimal_u64(self.header(HeaderId::Expires)?).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    }

    /// The Contact addresses; `None` for one that cannot be parsed. A lone `*` is not an address: see [`Message::contact_star`].
    pub fn contacts(&self) -> impl Iterator<Item = Option<NameAddr<'a>>> + 'a {
        self.values(HeaderId::Contact).filter(|v| *v != b"*").map(NameAddr::parse)
    }

    /// Whether a Contact is `*` (RFC 3261 10.2.2).
    pub fn contact_star(&self) -> bool {
        self.values(HeaderId::Contact).any(|v| v == b"*")
    }

    /// Whether Content-Type names this media type; parameters and case do not count.
    pub fn has_content_type(&self, media_type: &str) -> bool {
        self.header(HeaderId::ContentType).is_some_and(|v| {
            let end = memchr::memchr(b';', v).unwrap_or(v.len());
            trim(&v[..end]).eq_ignore_ascii_case(media_type.as_bytes())
        })
    }

    /// Looks for what every element needs of a message (RFC 3261 8.1.1, 8.2): the first defect, if any.
    pub fn check(&self) -> Result<(), Defect> {
        if let Some(defect) = self.index.defect {
            return Err(defect);
        }
        self.check_single_headers()?;
        let via = self.values(HeaderId::Via).next().ok_or(Defect::Missing("Via"))?;
        Via::parse(via).ok_or(Defect::Malformed("Via"))?;
        let from = self.from().ok_or(Defect::Malformed("From"))?;
        let to = self.to().ok_or(Defect::Malformed("To"))?;
        if from.uri.is_none() {
            return Err(Defect::Malformed("From"));
        }
        if to.uri.is_none() {
            return Err(Defect::Malformed("To"));
        }
        let cseq = self.cseq().ok_or(Defect::Malformed("CSeq"))?;
        if self.is_request() {
            self.check_request(cseq)?;
        }
        Ok(())
    }

    fn check_single_headers(&self) -> Result<(), Defect> {
        const REQUIRED: [(HeaderId, &str); 4] = [
            (HeaderId::From, "From"),
            (HeaderId::To, "To"),
            (HeaderId::CallId, "Call-ID"),
            (HeaderId::CSeq, "CSeq"),
        ];
        for (id, name) in REQUIRED {
            if self.header(id).is_none() {
                return Err(Defect::Missing(name));
            }
            if self.is_repeated(id) {
                return Err(Defect::Repeated(name));
            }
        }
        if self.is_repeated(HeaderId::MaxForwards) {
            return Err(Defect::Repeated("Max-Forwards"));
        }
        self.call_id().map(|_| ()).ok_or(Defect::Malformed("Call-ID"))
    }

    fn check_request(&self, cseq: CSeq<'_>) -> Result<(), Defect> {
        Uri::parse(self.request_uri()).ok_or(Defect::RequestUri)?;
        if cseq.token != self.method_token() {
            return Err(Defect::CSeqMethod);
        }
        if self.header(HeaderId::MaxForwards).is_some() && self.max_forwards().is_none() {
            return Err(Defect::Malformed("Max-Forwards"));
        }
        // an oversized number in Expires is taken as the largest, anything else but a number is a defect
        if self.header(HeaderId::Expires).is_some() && self.expires().is_none() {
            return Err(Defect::Malformed("Expires"));
        }
        if self.contacts().any(|c| c.is_none_or(|c| c.uri.is_none())) {
            return Err(Defect::Malformed("Contact"));
        }
        Ok(())
    }
}

/// A message that outlives its datagram: one copy of octets and index.
#[derive(Clone, Debug)]
pub struct Stored {
    octets: Box<[u8]>,
    index: Box<Index>,
}

impl Stored {
    /// Copies a message.
    pub fn new(message: &Message<'_>) -> Self {
        Stored { octets: message.octets.into(), index: Box::new(message.index.clone()) }
    }

    /// The message.
    pub fn message(&self) -> Message<'_> {
        Message { octets: &self.octets, index: &self.index }
    }
}

struct LineEnd {
    /// Where the line's text ends.
    text: usize,
    /// Where the next line starts.
    next: usize,
}

/// The end of the line at `at`: CRLF, or a lone LF from lenient senders.
fn line_end(octets: &[u8], at: usize) -> Option<LineEnd> {
    let lf = at + memchr::memchr(b'\n', &octets[at..])?;
    let text = if lf > at && octets[lf - 1] == b'\r' { lf - 1 } else { lf };
    Some(LineEnd { text, next: lf + 1 })
}

fn start_line(octets: &[u8], at: usize, end: usize) -> Result<(Start, Option<Defect>), ParseError> {
    let line = &octets[at..end];
    if line.len() >= 8 && line[..4].eq_ignore_ascii_case(b"SIP/") {
        return status_line(octets, at, end);
    }
    let (token, rest) = split_once(line, b' ').ok_or(ParseError::StartLine)?;
    if !is_token(token) {
        return Err(ParseError::StartLine);
    }
    let last_space = memchr::memrchr(b' ', trim_end(rest)).ok_or(ParseError::StartLine)?;
    let version = trim(&rest[last_space..]);
    if version.len() < 4 || !version[..4].eq_ignore_ascii_case(b"SIP/") {
        return Err(ParseError::StartLine);
    }
    let uri = trim(&rest[..last_space]);
    let uri_at = at + token.len() + 1 + (rest[..last_space].len() - trim_start(&rest[..last_space]).len());
    // RFC 4475 3.1.2.9, 3.1.2.10: more than one space between the elements or behind them
    let spaced = uri.len() != last_space || rest.len() != trim_end(rest).len();
    let defect = if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        Some(Defect::Version)
    } else if spaced {
        Some(Defect::RequestLine)
    } else {
        None
    };
    let method = Method::from_token(token);
    let start = Start::Request {
        method,
        token: Span::new(at, at + token.len()),
        uri: Span::new(uri_at.min(end), (uri_at + uri.len()).min(end)),
    };
    Ok((start, defect))
}

fn status_line(octets: &[u8], at: usize, end: usize) -> Result<(Start, Option<Defect>), ParseError> {
    let line = &octets[at..end];
    let (version, rest) = split_once(line, b' ').ok_or(ParseError::StartLine)?;
    let code_end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    let status =
        decimal(&rest[..code_end]).filter(|c| (100..700).contains(c)).ok_or(ParseError::StartLine)?;
    let reason_at = at + (version.len() + 1 + code_end + 1).min(line.len());
    let defect = (!version.eq_ignore_ascii_case(b"SIP/2.0")).then_some(Defect::Version);
    Ok((Start::Response { status: status as u16, reason: Span::new(reason_at, end) }, defect))
}

/// Indexes the header fields that start at `at`; returns where the body starts.
fn index_fields(octets: &[u8], mut at: usize, index: &mut Index) -> Result<usize, ParseError> {
    loop {
        // a datagram that ends with a whole header line lacks nothing but the empty line (RFC 4475 3.1.2.15 as published)
        if at == octets.len() && !index.fields.is_empty() {
            return Ok(at);
        }
        let mut end = line_end(octets, at).ok_or(ParseError::NoEnd)?;
        if end.text == at {
            return Ok(end.next);
        }
        // RFC 3261 7.3.1: a line that starts with white space continues the one before
        while matches!(octets.get(end.next), Some(b' ' | b'\t')) {
            end = line_end(octets, end.next).ok_or(ParseError::NoEnd)?;
        }
        let line = &octets[at..end.text];
        match memchr::memchr(b':', line) {
            Some(colon) => index_field(at, line, colon, index)?,
            None => index.defect = index.defect.or(Some(Defect::HeaderLine)),
        }
        at = end.next;
    }
}

/// Adds the field whose lines start at `at` and have their colon at `colon`.
fn index_field(at: usize, line: &[u8], colon: usize, index: &mut Index) -> Result<(), ParseError> {
    let name = trim_end(&line[..colon]);
    let id = HeaderId::from_name(name);
    // a name that we know is a token
    if id == HeaderId::Other && !is_token(name) {
        index.defect = index.defect.or(Some(Defect::HeaderLine));
        return Ok(());
    }
    if index.fields.len() == MAX_HEADERS {
        return Err(ParseError::TooManyHeaders);
    }
    let value = trim_start(&line[colon + 1..]);
    let value_at = at + line.len() - value.len();
    index.push(IndexedField {
        id,
        name: Span::new(at, at + name.len()),
        value: Span::new(value_at, value_at + trim_end(value).len()),
    });
    Ok(())
}

fn find_body(octets: &[u8], at: usize, index: &mut Index) {
    let mut length: Option<u64> = None;
    let mut bad = false;
    for field in index.fields.iter().filter(|f| f.id == HeaderId::ContentLength) {
        let value = decimal_u64(field.value.of(octets));
        bad |= value.is_none() || length.is_some_and(|l| Some(l) != value);
        length = length.or(value);
    }
    let available = octets.len() - at;
    let wanted = usize::try_from(length.unwrap_or(available as u64)).unwrap_or(usize::MAX);
    index.body = Span::new(at, at + wanted.min(available));
    if bad {
        index.defect = index.defect.or(Some(Defect::ContentLength));
    } else if wanted > available {
        index.defect = index.defect.or(Some(Defect::BodyTruncated));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTER: &[u8] = b"\r\nREGISTER sip:ims.test SIP/2.0\r\nv: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKa\r\n\
        f: <sip:a@ims.test>;tag=1\r\nt: <sip:a@ims.test>\r\ni: c1\r\nCSeq: 1 REGISTER\r\nm: <sip:a@10.0.0.1>,\r\n <sip:b@10.0.0.1>\r\n\
        X-Odd : 1\r\nl: 2\r\n\r\nhi there";

    #[test]
    fn compact_folded_and_trailing_octets() {
        let mut index = Index::new();
        let m = Message::parse(REGISTER, &mut index).unwrap();
        assert_eq!(m.check(), Ok(()));
        assert_eq!(
            (m.method(), m.request_uri(), m.body()),
            (Method::Register, &b"sip:ims.test"[..], &b"hi"[..])
        );
        assert_eq!(m.contacts().flatten().count(), 2);
        assert_eq!(m.fields().find(|f| f.id == HeaderId::Other).unwrap().name, b"X-Odd");
        let stored = Stored::new(&m);
        assert_eq!(stored.message().call_id(), Some(&b"c1"[..]));
    }

    #[test]
    fn fields_are_found_wherever_and_however_often_they_stand() {
        let mut index = Index::new();
        for _ in 0..2 {
            // the second time from the index of the first
            let m = Message::parse(
                b"SIP/2.0 200 OK\r\nVia: a\r\nY: 1\r\nv: b\r\nY: 2\r\nTo: c\r\n\r\n",
                &mut index,
            )
            .unwrap();
            assert_eq!(m.headers(HeaderId::Via).collect::<Vec<_>>(), [b"a", b"b"]);
            assert_eq!(m.headers(HeaderId::Other).collect::<Vec<_>>(), [b"1", b"2"]);
            assert_eq!((m.header(HeaderId::To), m.header(HeaderId::From)), (Some(&b"c"[..]), None));
            assert!(
                m.is_repeated(HeaderId::Via)
                    && !m.is_repeated(HeaderId::To)
                    && !m.is_repeated(HeaderId::From)
            );
            Message::parse(b"SIP/2.0 200 OK\r\nFrom: x\r\nFrom: x\r\n\r\n", &mut index).unwrap();
        }
    }

    #[test]
    fn sequence_numbers_are_below_2_to_31() {
        let mut index = Index::new();
        for (value, number) in [
            ("2147483647 ACK", Some(2_147_483_647)),
            ("2147483648 ACK", None),
            ("1", None),
            ("1 A,B", None),
            ("x ACK", None),
        ] {
            let text = format!("SIP/2.0 200 OK\r\nCSeq: {value}\r\n\r\n");
            let m = Message::parse(text.as_bytes(), &mut index).unwrap();
            assert_eq!(m.cseq().map(|c| c.number), number, "{value}");
        }
    }

    #[test]
    fn truncation_and_bit_flips_never_panic() {
        let mut index = Index::new();
        for end in 0..REGISTER.len() {
            let _ = Message::parse(&REGISTER[..end], &mut index).map(|m| m.check());
        }
        let mut octets = REGISTER.to_vec();
        for bit in 0..octets.len() * 8 {
            octets[bit / 8] ^= 1 << (bit % 8);
            let _ = Message::parse(&octets, &mut index).map(|m| (m.check(), m.contacts().count()));
            octets[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
