//! Captured messages: as they are, fitted into the call that runs, and compared with what becomes of them.

use imsbox::wire::sip::{HeaderId, Index, Message};
use std::fmt;

/// Octets for people.
pub struct Text<'a>(pub &'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0))
    }
}

/// The captured message whose file starts with this number.
pub fn captured(number: &str) -> Vec<u8> {
    let all = crate::vectors::messages("phones");
    let found = all.into_iter().find(|(name, _)| name.starts_with(&format!("{number}_")));
    found.unwrap_or_else(|| panic!("no capture {number}")).1
}

/// A message that parses.
pub fn message<'a>(octets: &'a [u8], index: &'a mut Index) -> Message<'a> {
    Message::parse(octets, index).unwrap_or_else(|e| panic!("{e}: {}", Text(octets)))
}

/// The first value of a header; empty when there is none.
pub fn header(octets: &[u8], id: HeaderId) -> String {
    let mut index = Index::new();
    String::from_utf8_lossy(message(octets, &mut index).header(id).unwrap_or_default()).into_owned()
}

/// The body.
pub fn body(octets: &[u8]) -> Vec<u8> {
    message(octets, &mut Index::new()).body().to_vec()
}

/// The body of text.
pub fn text_body(octets: &[u8]) -> String {
    String::from_utf8(body(octets)).expect("text")
}

/// The URI of the first Contact.
pub fn contact_uri(octets: &[u8]) -> String {
    let mut index = Index::new();
    let contact =
        message(octets, &mut index).contacts().flatten().next().expect("a Contact").uri_text.to_vec();
    String::from_utf8(contact).expect("text")
}

/// The Request-URI.
pub fn request_uri(octets: &[u8]) -> String {
    String::from_utf8_lossy(message(octets, &mut Index::new()).request_uri()).into_owned()
}

/// A capture with other values in some headers and, where given, another start line: all else stands where and as the phone
/// wrote it. Of a header that it has several times, the first gets the value and the others go.
pub fn fitted(octets: &[u8], start: Option<&str>, values: &[(HeaderId, &str)]) -> Vec<u8> {
    let mut index = Index::new();
    let msg = message(octets, &mut index);
    let end = octets.windows(4).position(|w| w == b"\r\n\r\n").expect("an empty line");
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).expect("the head is text");
    let head = text(&octets[..end]);
    let mut lines = head.split("\r\n");
    let first = lines.next().expect("a start line");
    let mut made = start.unwrap_or(first).to_owned();
    let mut done = Vec::new();
    for (line, field) in lines.zip(msg.fields()) {
        let new = values.iter().find(|(id, _)| *id == field.id);
        let Some((id, value)) = new else {
            made = made + "\r\n" + line;
            continue;
        };
        if !done.contains(id) {
            done.push(*id);
            made = made + "\r\n" + &line.replacen(&text(field.value), value, 1);
        }
    }
    [made.as_bytes(), &octets[end..]].concat()
}

/// A captured response fitted to the request that it answers here; its own To tag stays.
pub fn answer(capture: &[u8], request: &[u8]) -> Vec<u8> {
    let mut index = Index::new();
    let tag = message(capture, &mut index).to().expect("a To").tag().map(<[u8]>::to_vec).unwrap_or_default();
    let mut to = header(request, HeaderId::To);
    if !to.contains(";tag=") {
        to = format!("{to};tag={}", Text(&tag));
    }
    let same = [HeaderId::Via, HeaderId::From, HeaderId::CallId, HeaderId::CSeq];
    let values = same.map(|id| (id, header(request, id)));
    let mut all: Vec<_> = values.iter().map(|(id, value)| (*id, value.as_str())).collect();
    all.push((HeaderId::To, &to));
    fitted(capture, None, &all)
}

/// Headers that end at the core or are written anew for the other phone: the hop's, the dialog's, the trust domain's, the security
/// agreement's, the option tags' (looked at for themselves), and the timers', which each side has for itself.
const NOT_PASSED: &[HeaderId] = {
    use HeaderId as H;
    &[
        H::Via,
        H::Route,
        H::RecordRoute,
        H::From,
        H::To,
        H::CallId,
        H::CSeq,
        H::Contact,
        H::MaxForwards,
        H::RAck,
        H::RSeq,
        H::ContentLength,
        H::PPreferredIdentity,
        H::PAssertedIdentity,
        H::PPreferredService,
        H::PAssertedService,
        H::PAccessNetworkInfo,
        H::PChargingVector,
        H::PVisitedNetworkId,
        H::SecurityClient,
        H::SecurityVerify,
        H::Require,
        H::ProxyRequire,
        H::Supported,
        H::UserAgent,
        H::Server,
        H::SessionExpires,
        H::MinSe,
    ]
};

/// Headers of phones and of the network about where a phone is (RFC 7315 4.4, TS 24.229 7.2.15).
fn is_place(id: HeaderId, name: &[u8]) -> bool {
    id == HeaderId::PAccessNetworkInfo || name.eq_ignore_ascii_case(b"Cellular-Network-Info")
}

/// Headers that only elements of the network tell each other.
const NETWORKS: [&str; 2] = ["P-Served-User", "Cellular-Network-Info"];

/// Every header of the capture that concerns the other phone is in what was passed on, with its value, in its order; so are the
/// features of the phone in Contact (without its IMEI) and its option tags. The body is there octet by octet if `with_body`.
pub fn survives(capture: &[u8], passed: &[u8], with_body: bool) {
    let (mut ours, mut theirs) = (Index::new(), Index::new());
    let (captured, passed) = (message(capture, &mut ours), message(passed, &mut theirs));
    let concerns = |m: &Message<'_>| -> Vec<(String, String)> {
        let own = m.fields().filter(|f| !NOT_PASSED.contains(&f.id) && f.id != HeaderId::ContentType);
        let named = own.map(|f| (Text(f.name).to_string(), Text(f.value).to_string()));
        named.filter(|(name, _)| !NETWORKS.contains(&name.as_str())).collect()
    };
    let there = concerns(&passed);
    let mut rest = there.iter();
    for wanted in concerns(&captured) {
        assert!(rest.any(|field| *field == wanted), "{wanted:?} is not, or not in its place, in {there:?}");
    }
    if let (Some(theirs), Some(ours)) =
        (captured.contacts().flatten().next(), passed.contacts().flatten().next())
    {
        for param in theirs.params.iter().filter(|p| p.name != b"+sip.instance" && p.name != b"expires") {
            assert!(ours.params.iter().any(|p| p == param), "{param:?} of Contact is lost");
        }
        assert!(!ours.params.has("+sip.instance"), "the IMEI is the phone's own affair");
    }
    let hops = ["sec-agree", "path", "gruu", "outbound"];
    // session timers are each side's own, with us
    let tags = captured.values(HeaderId::Supported).map(|tag| Text(tag).to_string());
    for tag in tags.filter(|tag| tag != "timer") {
        let passes = !hops.contains(&tag.as_str());
        assert_eq!(passed.lists(HeaderId::Supported, &tag), passes, "{tag}");
    }
    for id in [HeaderId::SecurityVerify, HeaderId::Route] {
        assert_eq!(passed.header(id), None, "{id:?}");
    }
    // TS 24.229 5.11.2: who answers an emergency call is told where the caller is, in the phone's own words, and nobody else
    let place = |m: &Message<'_>| -> Vec<String> {
        let told = m.fields().filter(|f| is_place(f.id, f.name));
        told.map(|f| Text(f.value).to_string()).collect()
    };
    let calls_for_help = captured.request_uri().starts_with(b"urn:service:sos");
    let known = if calls_for_help { place(&captured) } else { Vec::new() };
    assert_eq!(place(&passed), known, "where the phone is");
    assert!(!calls_for_help || !known.is_empty(), "this capture says nothing of it");
    if with_body {
        assert_eq!(Text(passed.body()).to_string(), Text(captured.body()).to_string());
        assert_eq!(passed.body(), captured.body());
        let kind = |m: &Message<'_>| m.header(HeaderId::ContentType).map(<[u8]>::to_vec);
        assert_eq!(kind(&passed), kind(&captured));
    }
}
