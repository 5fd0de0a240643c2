//! What can be wrong with a message: errors that leave nothing to answer, and defects that are answered.

use std::fmt;

/// The octets are not a SIP message, or one over our limits; there is nothing to answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParseError {
    /// No octets but white space: a keep-alive (RFC 5626 3.5.1, RFC 3261 7.5).
    Empty,
    /// Longer than 65,535 octets.
    TooLong,
    /// The first line is neither a request line nor a status line.
    StartLine,
    /// The octets end inside the header section.
    NoEnd,
    /// More than [`MAX_HEADERS`](super::message::MAX_HEADERS) header fields.
    TooManyHeaders,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseError::Empty => "no message",
            ParseError::TooLong => "longer than 65535 octets",
            ParseError::StartLine => "the first line is neither a request line nor a status line",
            ParseError::NoEnd => "it ends inside the header section",
            ParseError::TooManyHeaders => "more than 128 header fields",
        })
    }
}

impl std::error::Error for ParseError {}

/// What makes a message unusable although its parts can be told apart. A request with a defect is answered with
/// [`Defect::status`] and the defect's text as reason; a response is discarded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Defect {
    /// The SIP version is not 2.0.
    Version,
    /// White space or brackets inside the request line (RFC 4475 3.1.2.7-10).
    RequestLine,
    /// The Request-URI cannot be parsed.
    RequestUri,
    /// A header line has no colon or no name.
    HeaderLine,
    /// A header that must stand there does not.
    Missing(&'static str),
    /// A header that may stand there once stands there more often.
    Repeated(&'static str),
    /// A header's value cannot be parsed.
    Malformed(&'static str),
    /// Two Content-Length headers differ, or it is no number.
    ContentLength,
    /// The body is shorter than Content-Length says.
    BodyTruncated,
    /// CSeq's method is not the request's.
    CSeqMethod,
}

impl Defect {
    /// The status that answers a request with this defect.
    pub const fn status(self) -> u16 {
        match self {
            Defect::Version => 505,
            _ => 400,
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Defect::Version => f.write_str("SIP version not supported"),
            Defect::RequestLine => f.write_str("malformed request line"),
            Defect::RequestUri => f.write_str("malformed Request-URI"),
            Defect::HeaderLine => f.write_str("header line without name or colon"),
            Defect::Missing(name) => write!(f, "missing {name}"),
            Defect::Repeated(name) => write!(f, "more than one {name}"),
            Defect::Malformed(name) => write!(f, "malformed {name}"),
            Defect::ContentLength => f.write_str("invalid Content-Length"),
            Defect::BodyTruncated => f.write_str("body shorter than Content-Length"),
            Defect::CSeqMethod => f.write_str("CSeq method differs from request method"),
        }
    }
}
