//! A binding: one contact of a user, for as long as it is registered (RFC 3261 10, TS 24.229 5.4.1.2).

use crate::base::time::{Instant, UnixTime};
use crate::base::timer::Alarm;
use crate::ims::security::SetId;
use crate::ims::subscriber::UserId;
use crate::proto::flow::Flow;
use crate::wire::identities::imei_of_instance;
use crate::wire::sip::text::decimal;
use crate::wire::sip::{self, NameAddr, Params, Uri};
use arrayvec::ArrayString;
use std::net::SocketAddr;

/// The priority of a contact without `q`, thousandths.
pub const DEFAULT_Q: u16 = 1000;

/// One contact binding.
#[derive(Debug)]
pub struct Binding {
    /// Its number, as in the `id` field of the log; kept over a restart.
    pub number: u32,
    /// Whose it is.
    pub user: UserId,
    /// The contact.
    pub contact: Contact,
    /// Where requests for it go.
    pub flow: Flow,
    /// Whether a request too long for UDP may go by TCP instead (RFC 3261 18.1.1).
    pub tcp_allowed: bool,
    /// The security associations that requests for it go through.
    pub set: Option<SetId>,
    /// When it ends.
    pub expires_at: Instant,
    /// The network has let it end sooner, so that the phone authenticates again (TS 24.229 5.4.1.6); over with its next REGISTER.
    pub is_shortened: bool,
    /// Whether its phone has been told that it is registered: nothing is sent to it before, for which it would not be ready.
    pub is_acknowledged: bool,
    /// The REGISTER that made or refreshed it last.
    pub origin: Origin,
    pub(super) alarm: Alarm,
}

/// A Contact value with what the service reads from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The URI's text.
    pub uri: Box<[u8]>,
    /// Display name as it came, quotes included.
    pub display: Box<[u8]>,
    /// Header parameters as they came, each with its semicolon, without `expires`.
    pub params: Box<[u8]>,
    /// Priority, thousandths.
    pub q: u16,
    /// `+sip.instance`.
    pub instance: Option<Box<[u8]>>,
    /// `reg-id` (RFC 5626); 0 when absent.
    pub reg_id: u32,
    /// The IMEI in the instance id.
    pub imei: Option<ArrayString<16>>,
    /// `video`: takes video calls.
    pub video: bool,
    /// `+g.3gpp.smsip`: takes SMS over IP.
    pub smsip: bool,
    /// `+g.3gpp.icsi-ref` names multimedia telephony: a VoLTE phone (TS 24.229 5.1.1.2.1, TS 24.173 4.1).
    pub mmtel: bool,
    /// `sos` in the URI: an emergency registration (TS 24.229 5.1.6.2).
    pub sos: bool,
}

/// Multimedia telephony (TS 24.173 4.1).
pub const MMTEL: &str = "urn:urn-7:3gpp-service.ims.icsi.mmtel";

/// Where a binding comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The public identity in its To, as an index into `User::impus`: the one that was registered by name, all others came with
    /// it.
    pub impu: usize,
    /// Call-ID of the REGISTER.
    pub call_id: Box<[u8]>,
    /// CSeq of the REGISTER.
    pub cseq: u32,
    /// The transport address it came from.
    pub source: SocketAddr,
    /// When it came.
    pub at: UnixTime,
    /// Path values, as they came, joined by commas (RFC 3327): the route back.
    pub path: Box<[u8]>,
    /// User-Agent.
    pub user_agent: String,
    /// How the user authenticated: `none` or the algorithm.
    pub auth: &'static str,
}

impl Contact {
    /// Reads a Contact value whose URI has been parsed.
    pub fn new(address: &NameAddr<'_>) -> Contact {
        let mut params = Vec::with_capacity(address.params.as_bytes().len());
        for param in address.params.iter().filter(|p| !p.name.eq_ignore_ascii_case(b"expires")) {
            params.push(b';');
            params.extend_from_slice(param.name);
            if let Some(value) = param.value {
                params.push(b'=');
                params.extend_from_slice(value);
            }
        }
        let instance = address.params.get("+sip.instance");
        Contact {
            uri: address.uri_text.into(),
            display: address.display.into(),
            params: params.into(),
            q: address.params.get("q").and_then(q_value).unwrap_or(DEFAULT_Q),
            instance: instance.map(Into::into),
            reg_id: address.params.get("reg-id").and_then(decimal).unwrap_or(0),
            imei: instance.and_then(imei_of_instance),
            video: address.params.has("video"),
            smsip: address.params.has("+g.3gpp.smsip"),
            mmtel: sip::Contact { addr: *address }.has_icsi(MMTEL),
            sos: address.uri.is_some_and(|uri| uri.params.has("sos")) || address.params.has("sos"),
        }
    }

    /// The URI; `None` when its scheme's grammar is not known.
    pub fn uri(&self) -> Option<Uri<'_>> {
        Uri::parse(&self.uri)
    }

    /// The header parameters, without `expires`.
    pub fn params(&self) -> Params<'_> {
        Params::new(&self.params)
    }

    /// Whether its URI is this one (RFC 3261 19.1.4).
    pub fn has_uri(&self, text: &[u8]) -> bool {
        match (self.uri(), Uri::parse(text)) {
            (Some(own), Some(other)) => same_uri(&own, &other),
            _ => *self.uri == *text,
        }
    }

    /// The value without `expires`: display name, URI in angle brackets, parameters.
    pub fn write(&self, out: &mut Vec<u8>) {
        if !self.display.is_empty() {
            out.extend_from_slice(&self.display);
            out.push(b' ');
        }
        for part in [b"<", &self.uri[..], b">", &self.params[..]] {
            out.extend_from_slice(part);
        }
    }

    /// Whether a new registration of `other` takes the place of this one: the same UA instance in the same registration
    /// flow where both number theirs (RFC 5626 6), else an equal URI (RFC 3261 10.3). An emergency registration stands beside
    /// the normal one.
    pub fn is_replaced_by(&self, other: &Contact) -> bool {
        if self.sos != other.sos {
            return false;
        }
        if let (Some(mine), Some(others)) = (&self.instance, &other.instance) {
            let same_flow = self.reg_id == other.reg_id || self.reg_id == 0 || other.reg_id == 0;
            return mine.eq_ignore_ascii_case(others) && same_flow;
        }
        self.has_uri(&other.uri)
    }

    /// Whether it is another contact than `other`, of the same kind, which a phone that has one only would not have beside it.
    pub fn is_left_for(&self, other: &Contact) -> bool {
        let are_flows = self.reg_id != 0 && other.reg_id != 0;
        self.sos == other.sos && !are_flows && !self.is_replaced_by(other)
    }
}

/// A q value in thousandths (RFC 3261 25.1 qvalue); more than three decimals are cut, more than 1 counts as 1.
fn q_value(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = match memchr::memchr(b'.', text) {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &[][..]),
    };
    let whole = if whole.is_empty() { 0 } else { decimal(whole)? };
    if !fraction.iter().all(u8::is_ascii_digit) || text.is_empty() {
        return None;
    }
    let digit = |at: usize| fraction.get(at).map_or(0, |d| u16::from(d - b'0'));
    let thousandths = digit(0) * 100 + digit(1) * 10 + digit(2);
    Some(if whole >= 1 { DEFAULT_Q } else { thousandths })
}

/// RFC 3261 19.1.4, as far as it tells contacts apart: scheme, user, host, port, and the parameters that count even when one
/// side lacks them.
fn same_uri(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    const COUNTED: [&str; 5] = ["transport", "user", "ttl", "method", "maddr"];
    let same_param = |name: &&str| match (a.params.get(name), b.params.get(name)) {
        (Some(x), Some(y)) => x.eq_ignore_ascii_case(y),
        (None, None) => true,
        _ => false,
    };
    // a parameter that both have must be equal, whichever it is
    let shared_equal = a.params.iter().all(|p| {
        let name = std::str::from_utf8(p.name).unwrap_or_default();
        b.params
            .get(name)
            .is_none_or(|other| a.params.get(name).is_some_and(|v| v.eq_ignore_ascii_case(other)))
    });
    a.scheme == b.scheme
        && a.user_decoded() == b.user_decoded()
        && a.host.same(&b.host)
        && a.port == b.port
        && COUNTED.iter().all(same_param)
        && shared_equal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(value: &str) -> Contact {
        Contact::new(&NameAddr::parse(value.as_bytes()).unwrap_or_else(|| panic!("{value}")))
    }

    #[test]
    fn what_is_read_and_what_is_kept() {
        let c = contact(
            "\"A\" <sip:a@10.0.0.1;sos>;q=0.7; expires=60;+sip.instance=\"<urn:gsma:imei:86130905-000038-0>\";video;reg-id=2;x=\"y;z\"",
        );
        assert_eq!((c.q, c.reg_id, c.video, c.smsip, c.sos), (700, 2, true, false, true));
        assert_eq!(c.imei.as_deref(), Some("861309050000380"));
        let mut out = Vec::new();
        c.write(&mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "\"A\" <sip:a@10.0.0.1;sos>;q=0.7;+sip.instance=\"<urn:gsma:imei:86130905-000038-0>\";video;reg-id=2;x=\"y;z\""
        );
        assert_eq!(contact(&String::from_utf8_lossy(&out)), c);
    }

    #[test]
    fn q_values() {
        for (text, q) in [
            ("1", Some(1000)),
            ("1.00", Some(1000)),
            ("0.25", Some(250)),
            ("0", Some(0)),
            (".5", Some(500)),
            ("7", Some(1000)),
            ("x", None),
            ("", None),
            ("0.x", None),
        ] {
            assert_eq!(q_value(text.as_bytes()), q, "{text}");
        }
    }

    #[test]
    fn who_replaces_whom() {
        let same = [
            ("<sip:a@10.0.0.1>", "<sip:%61@10.0.0.1;lr>;q=0.5"),
            ("<sip:a@[2001:db8::1]:5060>", "<sip:a@[2001:0DB8:0::1]:5060>"),
            ("<sip:a@1.1.1.1>;+sip.instance=\"<urn:x>\"", "<sip:b@2.2.2.2>;+sip.instance=\"<URN:X>\""),
        ];
        let other = [
            ("<sip:a@10.0.0.1>", "<sip:a@10.0.0.1:5060>"),
            ("<sip:a@10.0.0.1>", "<sip:a@10.0.0.1;transport=tcp>"),
            ("<sip:a@h;ob=1>", "<sip:a@h;ob=2>"),
            ("<sip:a@10.0.0.1>", "<sip:a@10.0.0.1;sos>"),
            ("<sip:a@h>;+sip.instance=\"<urn:x>\"", "<sip:a@h>;+sip.instance=\"<urn:y>\""),
            ("<sip:a@h>;+sip.instance=\"<urn:x>\";reg-id=1", "<sip:b@h>;+sip.instance=\"<urn:x>\";reg-id=2"),
            ("<sip:a@h>", "<sips:a@h>"),
        ];
        for (a, b) in same {
            assert!(
                contact(a).is_replaced_by(&contact(b)) && contact(b).is_replaced_by(&contact(a)),
                "{a} {b}"
            );
        }
        for (a, b) in other {
            assert!(
                !contact(a).is_replaced_by(&contact(b)) && !contact(b).is_replaced_by(&contact(a)),
                "{a} {b}"
            );
        }
    }
}
