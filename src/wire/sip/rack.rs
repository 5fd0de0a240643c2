//! RAck (RFC 3262 7.2): which reliable provisional response a PRACK acknowledges. RSeq is a plain number.

use super::method::Method;
use super::text::{decimal, is_lws, is_token};

/// The value of RAck.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RAck<'a> {
    /// The response's RSeq.
    pub rseq: u32,
    /// The number in the response's CSeq.
    pub cseq: u32,
    /// The method in the response's CSeq.
    pub method: Method,
    /// That method's token.
    pub token: &'a [u8],
}

impl<'a> RAck<'a> {
    /// Parses the header's value.
    pub fn parse(value: &'a [u8]) -> Option<RAck<'a>> {
        let mut words = value.split(|&o| is_lws(o)).filter(|w| !w.is_empty());
        let (rseq, cseq, token) = (decimal(words.next()?)?, decimal(words.next()?)?, words.next()?);
        (words.next().is_none() && is_token(token)).then(|| RAck {
            rseq,
            cseq,
            method: Method::from_token(token),
            token,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_words() {
        let r = RAck::parse(b"776656 \r\n 1  INVITE").unwrap();
        assert_eq!((r.rseq, r.cseq, r.method), (776_656, 1, Method::Invite));
        for bad in ["", "1 INVITE", "1 x INVITE", "1 1 INV,ITE", "1 1 INVITE x", "4294967296 1 INVITE"] {
            assert_eq!(RAck::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
