//! Registration information (RFC 3680 5): the document that tells a subscriber which contacts the user's identities have.
//!
//! Every document has full state: what was lost on the way, or never sent, is made good by the next one. What the user has in
//! P-Associated-URI is listed, with the other identities that are not barred (TS 24.229 5.4.2.1.2), each with all contacts,
//! because all are registered together. GRUUs (RFC 5628) are not given out.

use super::limits::PROBATION_SECS;
use super::xml::Xml;
use crate::base::hash::HashKey;
use crate::config::model::User;
use crate::ims::identity;
use crate::ims::registrar::Gone;
use crate::ims::registrar::binding::{Binding, Contact};

/// The media type of the document.
pub const MEDIA_TYPE: &str = "application/reginfo+xml";

/// A contact in the document.
#[derive(Clone, Copy, Debug)]
pub enum Listed<'a> {
    /// It is registered, for so many more seconds.
    Active {
        /// The binding.
        binding: &'a Binding,
        /// Seconds until it expires.
        expires_secs: u64,
        /// Whether it is listed because a REGISTER has changed it.
        is_refreshed: bool,
    },
    /// It was, and this is why it is no more.
    Terminated(&'a Contact, Gone),
}

/// Writes the document: its version, the user, and the contacts.
pub fn write(version: u32, user: &User, contacts: &[Listed<'_>]) -> Vec<u8> {
    let mut xml = Xml::new();
    xml.start("reginfo").attribute("xmlns", "urn:ietf:params:xml:ns:reginfo");
    xml.attribute("version", version.to_string()).attribute("state", "full").line();
    for aor in identities(user) {
        xml.start("registration").attribute("aor", &aor).attribute("id", id('a', &[aor.as_bytes()]));
        xml.attribute("state", state(contacts)).line();
        for contact in contacts {
            write_contact(&mut xml, user, &aor, contact);
        }
        xml.end("registration").line();
    }
    xml.end("reginfo").line();
    xml.finish()
}

/// RFC 3680 4.7.1: terminated is said once, of the contacts that went last; without any to tell of the state is init.
fn state(contacts: &[Listed<'_>]) -> &'static str {
    match contacts {
        [] => "init",
        some if some.iter().any(|c| matches!(c, Listed::Active { .. })) => "active",
        _ => "terminated",
    }
}

/// The user's public identities, the default one first. Where the SIP form of a number has a tel form, that is an identity too.
fn identities(user: &User) -> Vec<String> {
    let mut all = identity::associated(user, None);
    for impu in user.impus.iter().filter(|impu| identity::is_shown(impu)) {
        let uri = identity::uri_of(impu);
        if !all.contains(&uri) {
            all.push(uri);
        }
    }
    all
}

fn write_contact(xml: &mut Xml, user: &User, aor: &str, listed: &Listed<'_>) {
    let contact = match listed {
        Listed::Active { binding, .. } => &binding.contact,
        Listed::Terminated(contact, _) => contact,
    };
    // RFC 3680 5.1: the id differs where the URI differs, and between the registrations of one document
    xml.start("contact").attribute("id", id('c', &[aor.as_bytes(), &contact.uri]));
    match listed {
        Listed::Active { binding, expires_secs, is_refreshed } => {
            xml.attribute("state", "active").attribute("event", event(user, aor, binding, *is_refreshed));
            xml.attribute("expires", expires_secs.to_string());
        }
        Listed::Terminated(_, why) => {
            xml.attribute("state", "terminated").attribute("event", why.name());
            if *why == Gone::Probation {
                xml.attribute("retry-after", PROBATION_SECS.to_string());
            }
        }
    }
    if contact.params().has("q") {
        xml.attribute("q", format!("{}.{:03}", contact.q / 1000, contact.q % 1000));
    }
    xml.start("uri").text(&contact.uri).end("uri");
    if !contact.display.is_empty() {
        xml.start("display-name").text(plain(&contact.display)).end("display-name");
    }
    // all that RFC 3261 does not define, values as they came: RFC 5628 shows them with their quotes
    for param in contact.params().iter().filter(|p| !p.name.eq_ignore_ascii_case(b"q")) {
        xml.start("unknown-param").attribute("name", param.name);
        xml.text(param.value.unwrap_or_default()).end("unknown-param");
    }
    xml.end("contact").line();
}

/// TS 24.229 5.4.2.1.2: registered is the identity that the REGISTER named, created the others that came with it.
fn event(user: &User, aor: &str, binding: &Binding, is_refreshed: bool) -> &'static str {
    let named = user.impus.get(binding.origin.impu).is_some_and(|impu| impu.uri == aor);
    match (is_refreshed, named) {
        // RFC 3680 4.7.1, TS 24.229 5.4.1.6: the network lets it end sooner; so it stays until the next REGISTER
        _ if binding.is_shortened => "shortened",
        (true, _) => "refreshed",
        (false, true) => "registered",
        (false, false) => "created",
    }
}

/// An id that is the same each time it is made from the same parts.
fn id(kind: char, parts: &[&[u8]]) -> String {
    let mut hash = HashKey::new(0, 0).hasher();
    for part in parts {
        hash.field(part);
    }
    format!("{kind}{:016x}", hash.finish() as u64)
}

/// A display name without quotes and without the backslashes that protect its characters (RFC 3261 25.1 quoted-string).
fn plain(display: &[u8]) -> Vec<u8> {
    let Some(inner) = display.strip_prefix(b"\"").and_then(|d| d.strip_suffix(b"\"")) else {
        return display.to_vec();
    };
    let mut is_escaped = false;
    let keep = |octet: &&u8| {
        is_escaped = **octet == b'\\' && !is_escaped;
        !is_escaped
    };
    inner.iter().filter(keep).copied().collect()
}
