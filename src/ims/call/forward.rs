//! What becomes of headers on their way through the two dialogs of a call.
//!
//! Unknown headers and most known ones are copied by span, in their order and under the name they came with. What belongs to a
//! dialog, a hop, the trust domain (RFC 3325, TS 24.229 5.2.6) or the security agreement (RFC 3329) is ours: written anew for
//! the other side, or left out. The body is not touched but by
//! the configuration (`rules`).

use super::privacy::{ANONYMOUS, tells_of_sender};
use super::rules::Rules;
use super::tag::Side;
use super::timer::{self, Terms};
use crate::config::model::SipSettings;
use crate::ims::identity;
use crate::proto::flow::Transport;
use crate::proto::sip::transaction::Token;
use crate::wire::sip::{Field, HeaderId, Message, NameAddr, Writer};
use smallvec::SmallVec;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

pub use super::privacy::Privacy;

/// Option tags that are between a phone and us.
const HOP_OPTIONS: &[&str] = &["sec-agree", "path", "gruu", "outbound", timer::TAG];

/// What a forwarded message gets beside what is copied.
#[derive(Clone, Copy, Debug)]
pub struct Additions<'a> {
    /// Header settings.
    pub settings: &'a SipSettings,
    /// What a server is told, and phones are not.
    pub charging: Option<Charging<'a>>,
    /// Values of P-Asserted-Identity, one header each.
    pub identities: &'a [String],
    /// Value of P-Called-Party-ID.
    pub called_party: Option<&'a [u8]>,
    /// What the configuration changes.
    pub rules: Rules,
    /// The side that it goes to.
    pub to: Side,
    /// The option tags that are negotiated on each side for itself; `None`: as they came.
    pub options: Option<Options<'a>>,
    /// RSeq is not what it came with.
    pub has_own_rseq: bool,
    /// What it says of the session timer.
    pub timer: Terms,
    /// What its sender wants hidden.
    pub privacy: Privacy,
    /// The body, where it is not as it came.
    pub body: Option<&'a [u8]>,
}

/// By what a request is charged (RFC 7315 4.6). Where the phone is, P-Access-Network-Info, is for the emergency service and for
/// nobody outside (TS 24.229 4.4.7).
#[derive(Clone, Copy, Debug)]
pub struct Charging<'a> {
    /// The charging identity (RFC 7315 4.6.1).
    pub icid: Token,
    /// The address that has made it.
    pub generated_at: IpAddr,
    /// The network that the request comes from.
    pub ioi: Option<&'a str>,
}

impl Charging<'_> {
    /// Writes P-Charging-Vector.
    fn write(&self, w: &mut Writer<'_>) {
        let (icid, at) = (self.icid, self.generated_at);
        let ioi = self.ioi.map(|ioi| format!(";orig-ioi={ioi}")).unwrap_or_default();
        let icid = String::from_utf8_lossy(&icid).into_owned();
        w.header_fmt("P-Charging-Vector", format_args!("icid-value=\"{icid}\";icid-generated-at={at}{ioi}"));
    }
}

/// Of the option tags that each side negotiates for itself (`100rel`, `precondition`), those that a message has, whatever it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// The tags in question.
    pub negotiated: &'a [&'a str],
    /// In Supported, of a request; a response keeps what it came with.
    pub supported: &'a [&'a str],
    /// In Require.
    pub required: &'a [&'a str],
}

impl<'a> Options<'a> {
    /// Whether the tags of a header are these and not those that came.
    fn replaces(&self, id: HeaderId, is_request: bool) -> bool {
        id == HeaderId::Require || (id == HeaderId::Supported && is_request)
    }

    fn of(&self, id: HeaderId) -> &'a [&'a str] {
        if id == HeaderId::Require { self.required } else { self.supported }
    }
}

/// Copies a request's headers to the other dialog and ends it with its body. The start line, Via, Max-Forwards, From, To,
/// Call-ID, CSeq, Route, Contact and RAck have been written.
pub fn end_request(mut w: Writer<'_>, msg: &Message<'_>, with: &Additions<'_>) {
    copy(&mut w, msg, with, |_| false);
    if with.settings.force_user_agent {
        w.header("User-Agent", &with.settings.user_agent);
    }
    // RFC 6050 4.2: what the phone prefers becomes what the network asserts
    for service in msg.headers(HeaderId::PPreferredService).filter(|_| !with.rules.is_plain(with.to)) {
        w.header("P-Asserted-Service", service);
    }
    if let Some(charging) = &with.charging {
        charging.write(&mut w);
    }
    if let Some(called) = with.called_party {
        called_party(&mut w, called);
    }
    finish(w, msg, with);
}

/// Writes P-Called-Party-ID: a URI, or a whole value where the configuration has one.
pub(in crate::ims) fn called_party(w: &mut Writer<'_>, called: &[u8]) {
    match called.contains(&b'<') {
        true => w.header("P-Called-Party-ID", called),
        false => w.header_parts("P-Called-Party-ID", &[b"<", called, b">"]),
    };
}

/// Copies a response's headers to the other dialog and ends it with its body. The status line, Via, From, To, Call-ID, CSeq,
/// and Contact have been written.
pub fn end_response(mut w: Writer<'_>, msg: &Message<'_>, with: &Additions<'_>) {
    // RFC 3261 21.3, 21.4.23: in a redirection, and in 485, Contact is for the caller
    let redirects = matches!(msg.status(), 300..=399 | 485);
    copy(&mut w, msg, with, |id| redirects && id == HeaderId::Contact);
    if with.settings.force_user_agent {
        w.header("Server", &with.settings.user_agent);
    }
    finish(w, msg, with);
}

/// The reason phrase of a response, when it has one that can be shown.
pub fn phrase<'m>(msg: &Message<'m>) -> Option<&'m str> {
    std::str::from_utf8(msg.reason()).ok().filter(|r| !r.is_empty())
}

/// Ends a response of our own without a body: with Server.
pub fn end_own_response(mut w: Writer<'_>, settings: &SipSettings) {
    own_response(&mut w, settings);
    w.finish();
}

/// Writes Server to a response of our own.
pub fn own_response(w: &mut Writer<'_>, settings: &SipSettings) {
    w.header("Server", &settings.user_agent);
}

/// Writes User-Agent to a request of our own.
pub fn own_request(w: &mut Writer<'_>, settings: &SipSettings) {
    w.header("User-Agent", &settings.user_agent);
}

fn copy(w: &mut Writer<'_>, msg: &Message<'_>, with: &Additions<'_>, exempt: impl Fn(HeaderId) -> bool) {
    for field in msg.fields().filter(|f| !with.rules.removes_header(with.to, *f)) {
        let agent = with.settings.force_user_agent && is_agent(field.id)
            || with.has_own_rseq && field.id == HeaderId::RSeq;
        let stays = !exempt(field.id) && !with.rules.shows_place(with.to, field);
        let ours = (is_ours(field.id) || is_the_networks(field)) && stays
            || with.privacy.hides_from && tells_of_sender(field);
        if !agent && !ours {
            w.field(field.name, &[&with.privacy.shown(field)]);
        }
    }
    for id in [HeaderId::Require, HeaderId::ProxyRequire, HeaderId::Supported] {
        options(w, msg, id, with);
    }
    with.timer.write(w);
    for identity in with.identities {
        w.header("P-Asserted-Identity", identity);
    }
}

/// Writes the option tags of a header, without those that end here.
fn options(w: &mut Writer<'_>, msg: &Message<'_>, id: HeaderId, with: &Additions<'_>) {
    let ours = with.options.filter(|o| o.replaces(id, msg.is_request()));
    let is = |tag: &[u8], all: &[&str]| all.iter().any(|o| tag.eq_ignore_ascii_case(o.as_bytes()));
    let ends_here = |tag: &[u8]| {
        is(tag, HOP_OPTIONS)
            || with.rules.removes_option(with.to, tag)
            || ours.is_some_and(|o| is(tag, o.negotiated))
    };
    let mut parts: SmallVec<[&[u8]; 32]> = SmallVec::new();
    let added = ours.map(|o| o.of(id)).unwrap_or_default().iter().map(|tag| tag.as_bytes());
    let timer = with.timer.has_tag(id).then_some(timer::TAG.as_bytes());
    for tag in added.chain(msg.values(id).filter(|t| !ends_here(t))).chain(timer) {
        if !parts.is_empty() {
            parts.push(b",");
        }
        parts.push(tag);
    }
    if !parts.is_empty() {
        w.header_parts(id.name(), &parts);
    }
}

fn finish(w: Writer<'_>, msg: &Message<'_>, with: &Additions<'_>) {
    let without_type: &[u8] =
        if with.body.is_some() { b"application/sdp" } else { b"application/octet-stream" };
    match with.body.unwrap_or(msg.body()) {
        [] => w.finish(),
        body => w.body(msg.header(HeaderId::ContentType).unwrap_or(without_type), body),
    }
}

const fn is_agent(id: HeaderId) -> bool {
    matches!(id, HeaderId::UserAgent | HeaderId::Server)
}

/// Headers without a use here that one network element tells another (RFC 3325, RFC 7315 and its registry, TS 24.229 5.7 and
/// 7.2A), and the forerunner of P-Asserted-Identity: phones neither say nor see them.
fn is_the_networks(field: Field<'_>) -> bool {
    const NAMES: [&str; 15] = [
        "Additional-Identity",
        "Attestation-Info",
        "Cellular-Network-Info",
        "Origination-Id",
        "P-Private-Network-Indication",
        "P-Profile-Key",
        "P-Served-User",
        "P-User-Database",
        "Priority-Share",
        "Relayed-Charge",
        "Remote-Party-ID",
        "Resource-Share",
        "Response-Source",
        "Restoration-Info",
        "Service-Interact-Info",
    ];
    let is = |name: &&str| field.name.eq_ignore_ascii_case(name.as_bytes());
    // RFC 5503: billing, tracing and lawful interception
    let dcs = field.name.get(..6).is_some_and(|head| head.eq_ignore_ascii_case(b"P-DCS-"));
    field.id == HeaderId::Other && (dcs || NAMES.iter().any(is))
}

/// Headers that never pass as they are.
#[rustfmt::skip]
const fn is_ours(id: HeaderId) -> bool {
    use HeaderId as H;
    matches!(
        id,
        // the dialog and the transaction
        H::Via | H::Route | H::RecordRoute | H::From | H::To | H::CallId | H::CSeq | H::Contact | H::MaxForwards | H::RAck
        | H::Timestamp
        // the body's frame
        | H::ContentLength | H::ContentType
        // the trust domain: RFC 3325 9.1, RFC 7315, RFC 6050
        | H::PPreferredIdentity | H::PAssertedIdentity | H::PPreferredService | H::PAssertedService | H::PAccessNetworkInfo
        | H::PChargingVector | H::PChargingFunctionAddresses | H::PVisitedNetworkId | H::PAssociatedUri | H::PCalledPartyId
        // the security agreement and the challenge, which end at us
        | H::SecurityClient | H::SecurityServer | H::SecurityVerify | H::Authorization | H::ProxyAuthorization
        | H::AuthenticationInfo
        // registration
        | H::Path | H::ServiceRoute
        // the session timer, of which each side has its own
        | H::SessionExpires | H::MinSe
        // filtered
        | H::Require | H::ProxyRequire | H::Supported
    )
}

/// Writes From or To towards the other side: the party as the message names it, without its tag, with ours.
pub fn party(w: &mut Writer<'_>, name: &str, value: &[u8], tag: Option<&[u8]>, display: Option<&str>) {
    let Some(address) = NameAddr::parse(value) else { return };
    let quoted = display.map(identity::quoted).unwrap_or_default();
    let mut parts: SmallVec<[&[u8]; 16]> = SmallVec::new();
    match display {
        Some(_) => parts.push(quoted.as_bytes()),
        None if !address.display.is_empty() => parts.extend([address.display, b" "]),
        None => {}
    }
    parts.extend([&b"<"[..], address.uri_text, b">"]);
    for p in address.params.iter().filter(|p| !p.name.eq_ignore_ascii_case(b"tag")) {
        parts.extend([b";", p.name]);
        if let Some(value) = p.value {
            parts.extend([b"=", value]);
        }
    }
    if let Some(tag) = tag {
        parts.extend([b";tag=", tag]);
    }
    w.header_parts(name, &parts);
}

/// Writes the From of a caller who wants to be unknown.
pub fn anonymous_from(w: &mut Writer<'_>, tag: &[u8]) {
    w.header_parts("From", &[b"\"Anonymous\" ", ANONYMOUS.as_bytes(), b";tag=", tag]);
}

/// Writes our Contact on a leg, with the features that the far end's Contact shows, so that a phone sees what the other phone
/// can do. The instance id, which holds the IMEI, stays with us (RFC 7254 6).
pub fn contact(w: &mut Writer<'_>, local: SocketAddr, transport: Transport, far: Option<&Message<'_>>) {
    let uri = ContactUri { local, transport };
    let Some(far) = far.and_then(|m| m.contacts().next().flatten()) else {
        w.header_fmt("Contact", format_args!("<{uri}>"));
        return;
    };
    const PRIVATE: [&str; 8] =
        ["+sip.instance", "reg-id", "expires", "q", "pub-gruu", "temp-gruu", "tag", "+sip.imei"];
    let features =
        far.params.iter().filter(|p| !PRIVATE.iter().any(|n| p.name.eq_ignore_ascii_case(n.as_bytes())));
    let mut text: SmallVec<[u8; 256]> = SmallVec::new();
    for p in features {
        text.push(b';');
        text.extend_from_slice(p.name);
        if let Some(value) = p.value {
            text.push(b'=');
            text.extend_from_slice(value);
        }
    }
    let mut head = arrayvec::ArrayString::<96>::new();
    fmt::write(&mut head, format_args!("<{uri}>")).expect("an address and a transport are shorter");
    w.header_parts("Contact", &[head.as_bytes(), &text]);
}

/// Writes our Contact where nobody's features but our own show in it: `features` are parameters with their semicolons.
pub fn own_contact(w: &mut Writer<'_>, local: SocketAddr, transport: Transport, features: &str) {
    let uri = ContactUri { local, transport };
    w.header_fmt("Contact", format_args!("<{uri}>{features}"));
}

struct ContactUri {
    local: SocketAddr,
    transport: Transport,
}

impl fmt::Display for ContactUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sip:ims@{}", self.local)?;
        match self.transport {
            Transport::Udp => Ok(()),
            // RFC 3261 19.1.2: without the parameter the phone would take UDP
            Transport::Tcp => f.write_str(";transport=tcp"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::proto::sip::transaction::{Limits, Timers, Transactions};
    use crate::wire::sip::Index;

    const INVITE: &str = "INVITE tel:1 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nRoute: <sip:x;lr>\r\nf: <sip:a@h>;tag=1\r\n\
        To: <tel:1>\r\ni: c\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:a@h>;+sip.instance=\"<urn:x>\";audio;+g.3gpp.x=\"y\"\r\n\
        X-Odd :  kept\r\nP-Preferred-Identity: <sip:a@h>\r\nP-Access-Network-Info: 3GPP\r\nSecurity-Verify: v\r\nAuthorization: Digest\r\n\
        P-Preferred-Service: urn:urn-7:3gpp-service.ims.icsi.mmtel\r\nk: 100rel, sec-agree,timer\r\nRequire: sec-agree\r\n\
        Proxy-Require: sec-agree\r\nUser-Agent: phone\r\nP-Early-Media: supported\r\nContent-Disposition: session\r\n\
        c: application/sdp\r\nl: 5\r\n\r\nv=0\r\n";

    fn written(f: impl FnOnce(Writer<'_>)) -> String {
        let mut out = Vec::new();
        f(Writer::request(&mut out, b"INVITE", b"tel:1"));
        String::from_utf8(out).unwrap()
    }

    fn additions(settings: &SipSettings) -> Additions<'_> {
        let (rules, privacy, to) = (Rules::default(), Privacy::default(), Side::Callee);
        Additions {
            settings,
            charging: None,
            identities: &[],
            called_party: None,
            rules,
            to,
            privacy,
            options: None,
            has_own_rseq: false,
            timer: Terms::default(),
            body: None,
        }
    }

    #[test]
    fn a_request_keeps_what_is_unknown_and_loses_what_ends_here() {
        let mut index = Index::new();
        let msg = Message::parse(INVITE.as_bytes(), &mut index).unwrap();
        let settings = SipSettings { user_agent: "us".to_owned(), ..SipSettings::default() };
        let identities = ["<sip:b@h>".to_owned(), "<tel:+2>".to_owned()];
        let with =
            Additions { identities: &identities, called_party: Some(b"tel:1"), ..additions(&settings) };
        let got = written(|w| end_request(w, &msg, &with));
        let want = "INVITE tel:1 SIP/2.0\r\nX-Odd: kept\r\nP-Early-Media: supported\r\nContent-Disposition: session\r\n\
            Supported: 100rel\r\nP-Asserted-Identity: <sip:b@h>\r\nP-Asserted-Identity: <tel:+2>\r\nUser-Agent: us\r\n\
            P-Asserted-Service: urn:urn-7:3gpp-service.ims.icsi.mmtel\r\nP-Called-Party-ID: <tel:1>\r\n\
            Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n";
        assert_eq!(got, want);
    }

    #[test]
    fn a_server_is_told_by_what_a_call_is_charged_and_phones_are_not() {
        let mut index = Index::new();
        let msg = Message::parse(INVITE.as_bytes(), &mut index).unwrap();
        let settings = SipSettings::default();
        let (timers, limits) = (Timers::default(), Limits::default());
        let icid = Transactions::<()>::new(Vec::new(), timers, limits, 0, &mut Rng::from_seed(1)).new_token();
        let charging = Charging { icid, generated_at: "192.0.2.9".parse().unwrap(), ioi: Some("home.test") };
        let told =
            |charging| written(|w| end_request(w, &msg, &Additions { charging, ..additions(&settings) }));
        let got = told(Some(charging));
        let icid = String::from_utf8_lossy(&icid).into_owned();
        let vector = format!(
            "P-Charging-Vector: icid-value=\"{icid}\";icid-generated-at=192.0.2.9;orig-ioi=home.test\r\n"
        );
        assert!(got.contains(&vector) && !got.contains("P-Access"), "{got}");
        assert!(!got.contains("Security-Verify") && !got.contains("Authorization"), "{got}");
        let got = told(None);
        assert!(!got.contains("P-Charging") && !got.contains("P-Access"), "{got}");
    }

    #[test]
    fn settings_choose_the_agent() {
        let mut index = Index::new();
        let msg = Message::parse(INVITE.as_bytes(), &mut index).unwrap();
        let settings = SipSettings { force_user_agent: false, ..SipSettings::default() };
        let rules = Rules { reliable: [false; 2], early_media: false, ..Rules::default() };
        let with = Additions { rules, ..additions(&settings) };
        let got = written(|w| end_request(w, &msg, &with));
        assert!(got.contains("User-Agent: phone\r\n"), "{got}");
        assert!(!got.contains("P-Early-Media"), "{got}");
    }

    #[test]
    fn a_redirection_keeps_its_contacts_and_others_do_not() {
        for (status, kept) in [(302, true), (486, false), (200, false)] {
            let text = format!(
                "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <tel:1>;tag=2\r\nCall-ID: c\r\n\
                 CSeq: 1 INVITE\r\nContact: <sip:z@h>\r\nRSeq: 7\r\nRequire: 100rel\r\nMax-Forwards: 70\r\n\r\n"
            );
            let mut index = Index::new();
            let msg = Message::parse(text.as_bytes(), &mut index).unwrap();
            let settings = SipSettings::default();
            let got = written(|w| end_response(w, &msg, &additions(&settings)));
            assert_eq!(got.contains("Contact: <sip:z@h>"), kept, "{got}");
            assert!(got.contains("RSeq: 7\r\nRequire: 100rel\r\nServer: imsbox/"), "{got}");
            assert!(!got.contains("Max-Forwards"), "{got}");
        }
    }

    #[test]
    fn parties_lose_their_tag_and_get_brackets() {
        let got = |value: &str, display| {
            written(|mut w| {
                party(&mut w, "From", value.as_bytes(), Some(b"t"), display);
                w.finish();
            })
        };
        assert!(got("sip:a@h;tag=1", None).contains("From: <sip:a@h>;tag=t\r\n"));
        assert!(got("\"A\"<tel:+1> ;x=y;tag=1", None).contains("From: \"A\" <tel:+1>;x=y;tag=t\r\n"));
        assert!(got("A <tel:+1>", Some("Boss")).contains("From: \"Boss\" <tel:+1>;tag=t\r\n"));
    }

    #[test]
    fn our_contact_shows_the_far_phones_features_without_its_imei() {
        let mut index = Index::new();
        let msg = Message::parse(INVITE.as_bytes(), &mut index).unwrap();
        let local: SocketAddr = "[::1]:5060".parse().unwrap();
        let got = written(|mut w| {
            contact(&mut w, local, Transport::Tcp, Some(&msg));
            contact(&mut w, local, Transport::Udp, None);
            w.finish();
        });
        assert!(
            got.contains("Contact: <sip:ims@[::1]:5060;transport=tcp>;audio;+g.3gpp.x=\"y\"\r\n"),
            "{got}"
        );
        assert!(got.contains("Contact: <sip:ims@[::1]:5060>\r\n"), "{got}");
    }
}
