//! The MESSAGEs of the IP-SM-GW (TS 24.341 5.3.3, RFC 3428), and those that take a text to a soft client.

use crate::config::model::SipSettings;
use crate::ims::call::{FIRST_CSEQ, forward};
use crate::proto::sip::transaction::Token;
use crate::wire::sip::Writer;

/// The body of a short message on its way to or from its service centre (TS 24.341).
pub const SHORT_MESSAGE: &str = "application/vnd.3gpp.sms";

/// What the MESSAGEs of ours have in common.
pub(super) struct Head<'a> {
    /// Value of From: a URI.
    pub(super) from: &'a str,
    /// Value of To: the user's identity.
    pub(super) to: &'a str,
    /// Route values; empty: none.
    pub(super) route: &'a [u8],
    pub(super) call_id: Token,
    pub(super) tag: Token,
    pub(super) settings: &'a SipSettings,
}

impl Head<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.header("Max-Forwards", "70");
        w.header_parts("From", &[b"<", self.from.as_bytes(), b">;tag=", &self.tag]);
        w.header_parts("To", &[b"<", self.to.as_bytes(), b">"]);
        w.header("Call-ID", self.call_id);
        w.header_fmt("CSeq", format_args!("{FIRST_CSEQ} MESSAGE"));
        if !self.route.is_empty() {
            w.header("Route", self.route);
        }
        w.header_parts("P-Asserted-Identity", &[b"<", self.from.as_bytes(), b">"]);
    }
}

/// Writes what follows Via of a MESSAGE with an RPDU. `in_reply_to` is the Call-ID of the MESSAGE that a report answers, `called` the
/// identity that a text is for.
pub(super) fn relay(
    mut w: Writer<'_>,
    head: &Head<'_>,
    in_reply_to: Option<&[u8]>,
    called: Option<&str>,
    rpdu: &[u8],
) {
    head.write(&mut w);
    // TS 24.341 5.3.3.4.1: one phone, and one that takes short messages
    w.header("Request-Disposition", "no-fork");
    w.header("Accept-Contact", "*;+g.3gpp.smsip;require;explicit");
    if let Some(call_id) = in_reply_to {
        w.header("In-Reply-To", call_id);
    }
    if let Some(called) = called {
        forward::called_party(&mut w, called.as_bytes());
    }
    forward::own_request(&mut w, head.settings);
    w.header("Content-Transfer-Encoding", "binary");
    w.body(SHORT_MESSAGE.as_bytes(), rpdu);
}

/// Writes what follows Via of a MESSAGE with a text for a soft client; `called` is the identity that it is for, where that is to be said.
pub(super) fn plain(mut w: Writer<'_>, head: &Head<'_>, called: Option<&str>, text: &str) {
    head.write(&mut w);
    if let Some(called) = called {
        forward::called_party(&mut w, called.as_bytes());
    }
    forward::own_request(&mut w, head.settings);
    w.body(b"text/plain;charset=UTF-8", text.as_bytes());
}
