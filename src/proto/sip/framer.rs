//! Cutting SIP messages out of a byte stream (RFC 3261 18.3, RFC 5626 3.5.1).
//!
//! Only the end of the header and Content-Length are looked at; what a message says is the parser's affair. The buffer grows to
//! what the longest message needed, is reused, and is given back when the stream is quiet.

use memchr::memchr;
use memchr::memmem;
use std::fmt;

/// Most octets of a start line with its headers. Real INVITEs have 2 to 4 KiB.
pub const MAX_HEADER: usize = 16 * 1024;
/// Most octets of a message, as over UDP.
pub const MAX_MESSAGE: usize = 65_535;
/// Octets that are read at once.
const READ_CHUNK: usize = 8 * 1024;

/// What was cut out of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// One whole message.
    Message(&'a [u8]),
    /// A keep-alive (two line ends): to be answered with one (RFC 5626 4.4.1).
    Ping,
}

/// Why the stream cannot be cut any further. The connection must be closed: where the next message starts is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// No end of the header within [`MAX_HEADER`] octets.
    HeaderTooLong,
    /// The message would have more than [`MAX_MESSAGE`] octets.
    MessageTooLong,
    /// No Content-Length, which a stream needs (RFC 3261 20.14).
    NoContentLength,
    /// Content-Length is not a number, or is there twice with different numbers.
    BadContentLength,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::HeaderTooLong => write!(f, "no end of the header within {MAX_HEADER} octets"),
            FrameError::MessageTooLong => write!(f, "a message of more than {MAX_MESSAGE} octets"),
            FrameError::NoContentLength => f.write_str("a message without Content-Length on a stream"),
            FrameError::BadContentLength => f.write_str("a Content-Length that is not one number"),
        }
    }
}

/// The receive buffer of one stream.
#[derive(Debug, Default)]
pub struct Framer {
    /// All of it is initialised; `start..end` is received and not yet cut.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Octets from `start` that hold no end of a header.
    searched: usize,
    /// The length of the message at `start`, once its header is whole.
    message: Option<usize>,
    /// One line end has come between messages: another one makes a ping.
    half_ping: bool,
}

impl Framer {
    /// An empty buffer without memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Room to receive into, never empty. What is put there counts after [`Framer::received`].
    pub fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.buffer.len() - self.end < READ_CHUNK && self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.buffer.len() - self.end < READ_CHUNK {
            self.buffer.resize(self.end + READ_CHUNK, 0);
        }
        &mut self.buffer[self.end..]
    }

    /// `len` octets have been received into [`Framer::room`].
    pub fn received(&mut self, len: usize) {
        self.end = (self.end + len).min(self.buffer.len());
    }

    /// Whether a message has begun and is not whole yet. To be asked after [`Framer::next_frame`] gave nothing.
    pub fn is_within_message(&self) -> bool {
        self.start < self.end
    }

    /// The next frame; `None` until more is received.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        if self.message.is_none() {
            if self.skip_line_ends() {
                return Ok(Some(Frame::Ping));
            }
            self.message = self.message_len()?;
        }
        match self.message {
            Some(len) if self.end - self.start >= len => {
                let start = self.start;
                self.start += len;
                self.searched = 0;
                self.message = None;
                Ok(Some(Frame::Message(&self.buffer[start..start + len])))
            }
            _ => {
                self.give_back();
                Ok(None)
            }
        }
    }

    /// RFC 3261 7.5: line ends before a start line are skipped; RFC 5626 3.5.1: two of them are a ping. Whether that is so.
    fn skip_line_ends(&mut self) -> bool {
        while self.buffer[self.start..self.end].starts_with(b"\r\n") {
            self.start += 2;
            self.searched = 0;
            self.half_ping = !self.half_ping;
            if !self.half_ping {
                return true;
            }
        }
        // a lone CR may be half a line end; anything else starts a message
        if !matches!(self.buffer[self.start..self.end], [] | [b'\r']) {
            self.half_ping = false;
        }
        false
    }

    /// The length of the message at `start`, once its header is whole.
    fn message_len(&mut self) -> Result<Option<usize>, FrameError> {
        let octets = &self.buffer[self.start..self.end];
        // the end of the header may begin in the last three octets already searched
        let from = self.searched.saturating_sub(3);
        let Some(found) = memmem::find(&octets[from..], b"\r\n\r\n") else {
            self.searched = octets.len();
            return if octets.len() > MAX_HEADER { Err(FrameError::HeaderTooLong) } else { Ok(None) };
        };
        let header = from + found + 4;
        if header > MAX_HEADER {
            return Err(FrameError::HeaderTooLong);
        }
        // all lines but the empty one, each with its line end
        let len = header + content_length(&octets[..header - 2])?;
        if len > MAX_MESSAGE { Err(FrameError::MessageTooLong) } else { Ok(Some(len)) }
    }

    /// Frees the memory of a long message once nothing of it is left.
    fn give_back(&mut self) {
        if self.start == self.end && self.buffer.len() > 2 * READ_CHUNK {
            self.buffer = Vec::new();
            (self.start, self.end) = (0, 0);
        }
    }
}

/// The value of Content-Length in a header whose lines all end in CRLF.
fn content_length(header: &[u8]) -> Result<usize, FrameError> {
    let mut found = None;
    let mut rest = header;
    while let Some(end) = memchr(b'\n', rest) {
        let (line, after) = rest.split_at(end + 1);
        rest = after;
        let Some(mut value) = value_of(line) else { continue };
        // RFC 3261 7.3.1: a line that starts with white space goes on with the one before
        let folded;
        if after.first().is_some_and(|b| matches!(b, b' ' | b'\t')) {
            let lines = folded_lines(after);
            folded = [value, &after[..lines]].concat();
            value = &folded;
            rest = &after[lines..];
        }
        let length = number(value)?;
        if found.is_some_and(|f| f != length) {
            return Err(FrameError::BadContentLength);
        }
        found = Some(length);
    }
    found.ok_or(FrameError::NoContentLength)
}

/// The value, if the line is a Content-Length header (RFC 3261 20.14, compact form `l`).
fn value_of(line: &[u8]) -> Option<&[u8]> {
    let colon = memchr(b':', line)?;
    let name = line[..colon].trim_ascii_end();
    let is_it = name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l");
    is_it.then(|| &line[colon + 1..])
}

/// Octets of the lines at the start of `rest` that begin with white space.
fn folded_lines(rest: &[u8]) -> usize {
    let mut len = 0;
    while rest[len..].first().is_some_and(|b| matches!(b, b' ' | b'\t')) {
        match memchr(b'\n', &rest[len..]) {
            Some(end) => len += end + 1,
            None => return rest.len(),
        }
    }
    len
}

/// A decimal number amid white space. What is too long for a message is [`FrameError::MessageTooLong`] here already.
fn number(text: &[u8]) -> Result<usize, FrameError> {
    let digits = text.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(FrameError::BadContentLength);
    }
    let value = digits
        .iter()
        .try_fold(0usize, |n, d| Some(n * 10 + usize::from(d - b'0')).filter(|n| *n <= MAX_MESSAGE));
    value.ok_or(FrameError::MessageTooLong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[derive(Clone, PartialEq, Eq, Debug)]
    enum Owned {
        Message(Vec<u8>),
        Ping,
    }

    /// Feeds `stream` in pieces of the lengths that `piece` gives, and takes every frame.
    fn cut(stream: &[u8], mut piece: impl FnMut() -> usize) -> (Vec<Owned>, Option<FrameError>, Framer) {
        let (mut framer, mut frames, mut rest) = (Framer::new(), Vec::new(), stream);
        loop {
            loop {
                match framer.next_frame() {
                    Ok(Some(Frame::Message(m))) => frames.push(Owned::Message(m.to_vec())),
                    Ok(Some(Frame::Ping)) => frames.push(Owned::Ping),
                    Ok(None) => break,
                    Err(e) => return (frames, Some(e), framer),
                }
            }
            if rest.is_empty() {
                return (frames, None, framer);
            }
            let room = framer.room();
            let len = piece().clamp(1, rest.len().min(room.len()));
            room[..len].copy_from_slice(&rest[..len]);
            framer.received(len);
            rest = &rest[len..];
        }
    }

    fn whole(stream: &[u8]) -> (Vec<Owned>, Option<FrameError>) {
        let (frames, error, _) = cut(stream, || usize::MAX);
        (frames, error)
    }

    fn message(length_header: &str, body: &str) -> Vec<u8> {
        format!("INFO sip:a@b SIP/2.0\r\nCall-ID: 1\r\n{length_header}\r\nTo: <sip:a@b>\r\n\r\n{body}")
            .into_bytes()
    }

    #[test]
    fn content_length_is_found_in_all_its_forms() {
        for header in [
            "Content-Length: 4",
            "content-length:4",
            "CONTENT-LENGTH \t:   4  ",
            "l: 4",
            "L:0004",
            "Content-Length:\r\n 4",
            "Content-Length:\r\n\t \r\n 4",
            "l: 4\r\nContent-Length: 4",
        ] {
            let one = message(header, "body");
            let expected = (vec![Owned::Message(one.clone())], None);
            assert_eq!(whole(&one), expected, "{header:?}");
        }
    }

    #[test]
    fn a_length_that_is_not_one_number_is_an_error() {
        for (header, error) in [
            ("Max-Forwards: 70", FrameError::NoContentLength),
            ("X: 1\r\n Content-Length: 4", FrameError::NoContentLength),
            ("Content-Length: ", FrameError::BadContentLength),
            ("Content-Length: -1", FrameError::BadContentLength),
            ("Content-Length: 4, 4", FrameError::BadContentLength),
            ("Content-Length: 4\r\n 4", FrameError::BadContentLength),
            ("l: 4\r\nl: 5", FrameError::BadContentLength),
            ("l: 65535", FrameError::MessageTooLong),
            ("l: 99999999999999999999999999", FrameError::MessageTooLong),
        ] {
            assert_eq!(whole(&message(header, "body")), (vec![], Some(error)), "{header:?}");
        }
    }

    #[test]
    fn headers_and_messages_have_a_longest_length() {
        let padded = |len: usize, body: usize| {
            let fixed = format!("INFO sip:a@b SIP/2.0\r\nl: {body}\r\nX: \r\n\r\n").len();
            format!("INFO sip:a@b SIP/2.0\r\nl: {body}\r\nX: {}\r\n\r\n", "x".repeat(len - fixed))
                .into_bytes()
        };
        let header = padded(MAX_HEADER, 0);
        assert_eq!(whole(&header), (vec![Owned::Message(header.clone())], None));
        assert_eq!(whole(&padded(MAX_HEADER + 1, 0)).1, Some(FrameError::HeaderTooLong));
        assert_eq!(whole(&vec![b'x'; MAX_HEADER + 1]).1, Some(FrameError::HeaderTooLong));
        let mut longest = padded(535, 65_000);
        longest.resize(MAX_MESSAGE, b'b');
        assert_eq!(whole(&longest), (vec![Owned::Message(longest.clone())], None));
        assert_eq!(whole(&padded(536, 65_000)).1, Some(FrameError::MessageTooLong));
    }

    #[test]
    fn line_ends_between_messages_are_pings_in_pairs() {
        let one = Owned::Message(message("l: 0", ""));
        let text = message("l: 0", "");
        let stream = |parts: &[&[u8]]| parts.concat();
        assert_eq!(whole(b"\r\n\r\n"), (vec![Owned::Ping], None));
        assert_eq!(whole(b"\r\n\r\n\r\n\r\n\r\n"), (vec![Owned::Ping, Owned::Ping], None));
        assert_eq!(whole(&stream(&[b"\r\n", &text, b"\r\n", &text])), (vec![one.clone(), one.clone()], None));
        assert_eq!(
            whole(&stream(&[&text, b"\r\n\r\n\r\n", &text])),
            (vec![one.clone(), Owned::Ping, one], None)
        );
    }

    #[test]
    fn any_split_yields_the_same_frames() {
        let mut rng = Rng::from_seed(11);
        let mut long = message("l: 40000", "");
        long.resize(long.len() + 40_000, b'\n');
        let mut stream = Vec::new();
        for n in 0..60 {
            match rng.below(8) {
                0 => stream.extend_from_slice(b"\r\n"),
                1 => stream.extend_from_slice(b"\r\n\r\n"),
                2 if n % 7 == 0 => stream.extend_from_slice(&long),
                _ => {
                    let body = "\r\n\r\nl: 3\r\n".repeat(rng.below(5) as usize);
                    stream.extend_from_slice(&message(&format!("Content-Length: {}", body.len()), &body));
                }
            }
        }
        let expected = whole(&stream);
        assert!(expected.0.len() > 40 && expected.1.is_none());
        let (one_by_one, error, _) = cut(&stream, || 1);
        assert_eq!((one_by_one, error), expected);
        for round in 0..200 {
            let most = 1 + rng.below(if round % 2 == 0 { 5 } else { 5000 });
            let (frames, error, _) = cut(&stream, || 1 + rng.below(most) as usize);
            assert_eq!((frames, error), expected);
        }
    }

    #[test]
    fn the_buffer_is_bounded_and_given_back() {
        let mut long = message("l: 60000", "");
        long.resize(long.len() + 60_000, b'b');
        let (_, _, framer) = cut(&long[..60_000], || usize::MAX);
        assert!(framer.is_within_message());
        assert!(framer.buffer.len() <= MAX_MESSAGE + READ_CHUNK);
        let (frames, _, framer) = cut(&long, || usize::MAX);
        assert_eq!((frames.len(), framer.is_within_message(), framer.buffer.len()), (1, false, 0));
        let many = message("l: 0", "").repeat(10_000);
        let (frames, _, framer) = cut(&many, || 7919);
        assert_eq!(frames.len(), 10_000);
        assert!(framer.buffer.len() <= 2 * READ_CHUNK, "short messages never make it grow");
    }

    #[test]
    fn no_octets_panic() {
        let mut rng = Rng::from_seed(12);
        let words: [&[u8]; 8] = [b"\r", b"\n", b"\r\n", b"l:", b" ", b"4", b"Content-Length:", b"x"];
        for _ in 0..5000 {
            let stream: Vec<u8> =
                (0..rng.below(60)).flat_map(|_| words[rng.below(8) as usize]).copied().collect();
            cut(&stream, || 3);
        }
    }
}
