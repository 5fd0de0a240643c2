//! `name-addr` and `addr-spec` header values: From, To, Contact, Route, P-Asserted-Identity and their like.

use super::params::Params;
use super::text::{quoted_end, trim, trim_start};
use super::uri::Uri;

/// An address with an optional display name and header parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameAddr<'a> {
    /// Display name as it came, quotes included; empty if there is none.
    pub display: &'a [u8],
    /// The URI's text.
    pub uri_text: &'a [u8],
    /// The URI, when its grammar is known and followed.
    pub uri: Option<Uri<'a>>,
    /// Header parameters.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Parses one value. `None` when there is no address in it, or brackets do not match.
    ///
    /// Without brackets, what follows the first `;` belongs to the header (RFC 3261 20.10), and `?` or `,` in the URI is an
    /// error (RFC 4475 3.1.2.13).
    pub fn parse(value: &'a [u8]) -> Option<NameAddr<'a>> {
        let value = trim(value);
        let bracket = find_bracket(value);
        let (display, uri_text, params) = match bracket {
            Some(open) => {
                let close = open + memchr::memchr(b'>', &value[open..])?;
                // RFC 4475 3.1.2.14: spaces beside the URI are not taken off, so that it is no URI
                (trim(&value[..open]), &value[open + 1..close], trim_start(&value[close + 1..]))
            }
            None => {
                let end = memchr::memchr(b';', value).unwrap_or(value.len());
                let uri = trim(&value[..end]);
                if uri.iter().any(|o| matches!(o, b'?' | b',' | b'>')) {
                    return None;
                }
                (&[][..], uri, &value[end..])
            }
        };
        if uri_text.is_empty() || !matches!(params, [] | [b';', ..]) {
            return None;
        }
        Some(NameAddr { display, uri_text, uri: Uri::parse(uri_text), params: Params::new(params) })
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.get("tag").filter(|t| !t.is_empty())
    }
}

/// The position of `<`, not looking inside a quoted display name.
fn find_bracket(value: &[u8]) -> Option<usize> {
    let start = if value.first() == Some(&b'"') { quoted_end(value) } else { 0 };
    memchr::memchr(b'<', value.get(start..)?).map(|at| start + at).filter(|&open| {
        // in `sip:a@b;p="<x>"` the bracket belongs to a parameter, not to a name-addr
        start > 0 || memchr::memchr(b'"', &value[..open]).is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_phones_send() {
        let a = NameAddr::parse(b"\"A <b>\" <sip:a@h;lr>;tag=1").unwrap();
        assert_eq!(
            (a.display, a.uri_text, a.tag()),
            (&b"\"A <b>\""[..], &b"sip:a@h;lr"[..], Some(&b"1"[..]))
        );
        let a = NameAddr::parse(b"+331<tel:+331> ;tag=x").unwrap();
        assert_eq!((a.display, a.tag()), (&b"+331"[..], Some(&b"x"[..])));
        let a = NameAddr::parse(b"sip:a@h;tag=2").unwrap();
        assert_eq!((a.uri_text, a.tag()), (&b"sip:a@h"[..], Some(&b"2"[..])));
        let a = NameAddr::parse(b"sip:a@h;+sip.instance=\"<urn:x>\"").unwrap();
        assert_eq!(a.params.get("+sip.instance"), Some(&b"<urn:x>"[..]));
        assert_eq!(NameAddr::parse(b"< sip:a@h >").unwrap().uri, None);
    }

    #[test]
    fn refused() {
        for bad in ["", "<>", "<sip:a@h", "sip:a@h?x=y", "<sip:a@h>x", "sip:a@h>"] {
            assert_eq!(NameAddr::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
