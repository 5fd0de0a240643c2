//! Reads everything that can be read of octets, with every parser of the wire: nothing of it may panic, whatever they are.

use imsbox::proto::sip::digest::Credentials;
use imsbox::wire::sdp::Sdp;
use imsbox::wire::sip::{
    AccessNetwork, Contact, HeaderId, Index, Mechanism, Message, NameAddr, Part, Parts, Privacy, RAck,
    Reason, RetryAfter, SessionExpires, SubscriptionState, Uri, Via, list, text,
};
use std::hint::black_box;

/// Reads `octets` as a message, and each of its headers as what its name says.
pub fn message(octets: &[u8], index: &mut Index) {
    let Ok(m) = Message::parse(octets, index) else { return };
    let _ = black_box((m.check(), m.method(), m.status(), m.reason(), m.defect(), m.via(), m.from(), m.to()));
    let _ =
        black_box((m.call_id(), m.cseq(), m.max_forwards(), m.expires(), m.contact_star(), m.retry_after()));
    let _ = black_box((
        m.session_expires(),
        m.min_se_secs(),
        m.rseq(),
        m.rack(),
        m.subscription_state(),
        m.privacy(),
    ));
    for field in m.fields() {
        header(field.id, field.value);
    }
    if m.is_request() {
        uri(m.request_uri());
    }
    body(m.header(HeaderId::ContentType).unwrap_or_default(), m.body());
}

/// Reads one header's value with the parser of its kind.
pub fn header(id: HeaderId, value: &[u8]) {
    match id {
        HeaderId::Via => list::values(value).filter_map(Via::parse).for_each(|v| {
            black_box((v.unique_branch(), v.rport(), v.received()));
        }),
        HeaderId::Contact => list::values(value).filter_map(Contact::parse).for_each(|c| {
            black_box((c.q(), c.expires_secs(), c.imei(), c.reg_id(), c.has_video(), c.has_icsi("urn:x")));
        }),
        HeaderId::Authorization | HeaderId::ProxyAuthorization => {
            black_box(Credentials::parse(value).map(|c| c.nonce_count()));
        }
        HeaderId::SecurityClient | HeaderId::SecurityServer | HeaderId::SecurityVerify => {
            let same = |m: Mechanism<'_>| m.same(&m);
            list::values(value).filter_map(Mechanism::parse).for_each(|m| assert!(same(m)));
        }
        HeaderId::From
        | HeaderId::To
        | HeaderId::Route
        | HeaderId::RecordRoute
        | HeaderId::PPreferredIdentity
        | HeaderId::PAssertedIdentity => list::values(value).for_each(address),
        _ => other_header(value),
    }
}

/// Reads a value that has no address in it with every small parser.
fn other_header(value: &[u8]) {
    black_box((
        Privacy::parse(value),
        RAck::parse(value),
        RetryAfter::parse(value),
        SessionExpires::parse(value),
    ));
    black_box((SubscriptionState::parse(value).map(|s| s.expires_secs()), text::qvalue(value)));
    for one in list::values(value) {
        black_box((
            Reason::parse(one).map(|r| (r.cause(), r.text().is_some())),
            AccessNetwork::parse(one).map(|a| a.cell_id()),
        ));
    }
}

/// Reads an address.
pub fn address(value: &[u8]) {
    if let Some(address) = NameAddr::parse(value) {
        black_box((address.tag(), address.params.iter().count()));
        uri(address.uri_text);
    }
}

/// Reads a URI.
pub fn uri(octets: &[u8]) {
    if let Some(uri) = Uri::parse(octets) {
        black_box((uri.user_decoded(), uri.socket_addr(), uri.params.iter().count(), uri.host.to_string()));
    }
}

/// Reads a body as what its type says, one level of parts deep.
pub fn body(content_type: &[u8], octets: &[u8]) {
    if octets.starts_with(b"v=") {
        sdp(octets);
    }
    for part in Parts::new(content_type, octets).into_iter().flatten() {
        let part: Part<'_> = part;
        black_box((part.content_id(), part.has_content_type("application/sdp")));
        sdp(part.body);
    }
}

/// Reads a session description.
pub fn sdp(octets: &[u8]) {
    let Ok(sdp) = Sdp::parse(octets) else { return };
    black_box((sdp.origin(), sdp.connection(), sdp.direction(), sdp.attribute("group")));
    for media in sdp.medias() {
        black_box((media.rtp_addr(), media.rtcp_addr(), media.direction(), media.qos_lines().count()));
        black_box(media.formats().filter_map(|f| media.rtpmap(f).zip(media.fmtp(f))).count());
    }
}
