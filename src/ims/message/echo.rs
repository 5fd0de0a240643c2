//! What an echo number sends back: the same body, from the number to the phone that sent it. That is how a newcomer with one
//! phone tries texts.

use crate::config::model::SipSettings;
use crate::ims::call::{FIRST_CSEQ, forward};
use crate::proto::sip::transaction::Token;
use crate::wire::sip::{HeaderId, Message, Writer};

/// Writes what follows Via.
pub(super) fn write(
    mut w: Writer<'_>,
    msg: &Message<'_>,
    number: &str,
    path: &[u8],
    (call_id, tag): (Token, &[u8]),
    settings: &SipSettings,
) {
    let hops = msg.max_forwards().unwrap_or(70).saturating_sub(1);
    w.header_fmt("Max-Forwards", format_args!("{hops}"));
    w.header_parts("From", &[b"<", number.as_bytes(), b">;tag=", tag]);
    if let Some(from) = msg.header(HeaderId::From) {
        forward::party(&mut w, "To", from, None, None);
    }
    w.header("Call-ID", call_id);
    w.header_fmt("CSeq", format_args!("{FIRST_CSEQ} MESSAGE"));
    if !path.is_empty() {
        w.header("Route", path);
    }
    w.header_parts("P-Asserted-Identity", &[b"<", number.as_bytes(), b">"]);
    for field in msg.fields().filter(|f| describes_body(f.id, f.name)) {
        w.field(field.name, &[field.value]);
    }
    forward::own_request(&mut w, settings);
    match msg.body() {
        [] => w.finish(),
        body => w.body(msg.header(HeaderId::ContentType).unwrap_or(b"application/octet-stream"), body),
    }
}

/// Whether a header says how the body is to be read; its type and length are written with it.
fn describes_body(id: HeaderId, name: &[u8]) -> bool {
    let name = if id == HeaderId::Other { name } else { id.name().as_bytes() };
    !matches!(id, HeaderId::ContentType | HeaderId::ContentLength)
        && name.get(..8).is_some_and(|head| head.eq_ignore_ascii_case(b"Content-"))
}
