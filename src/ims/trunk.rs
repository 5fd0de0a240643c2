//! The SIP trunk: an outside SIP server, mostly a PBX, to which calls to unknown numbers go and whose calls are taken.
//!
//! Both trust each other's word about callers (RFC 3325 5: configured, by address), and neither asks the other for credentials.
//! Nothing that came from the trunk goes back to it.
//!
//! Not here: what becomes of headers on the way (`call::opening`, `call::forward`), and texts, which do not pass.

use crate::base::time::Instant;
use crate::config::model::Trunk as Settings;
use crate::ims::call::forward::Privacy;
use crate::ims::limits::TRUNK_TCP_PAUSE;
use crate::ims::registrar::Registrar;
use crate::ims::registrar::route::choose;
use crate::proto::flow::{Flow, Transport};
use crate::proto::locals::Locals;
use crate::proto::sip::dialog::Dialog;
use crate::proto::sip::transport::DEFAULT_PORT;
use crate::proto::upgrade::Upgrade;
use crate::wire::sip::text::lossy;
use crate::wire::sip::{HeaderId, Host, Message, NameAddr, Scheme, Uri};
use crate::wire::telephone::{Number, Telephone, user_and_params};
use smallvec::SmallVec;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// Emergency numbers everywhere (TS 22.101 10.1.1). Behind a PBX they may ring where nobody expects a test.
const EMERGENCY: [&str; 2] = ["112", "911"];

/// The trunk, and what was found out about it.
#[derive(Debug)]
pub struct Trunk {
    settings: Settings,
    /// TCP to it has failed lately.
    no_tcp_until: Option<Instant>,
}

impl Trunk {
    /// The trunk of a configuration.
    pub fn new(settings: Settings) -> Trunk {
        Trunk { settings, no_tcp_until: None }
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.settings.addr
    }

    /// Whether callers who want to be unknown may call to it and from it.
    pub fn takes_anonymous(&self) -> bool {
        self.settings.anonymous
    }

    /// Whether a request came from the trunk: from its address, in clear. A server also sends from other ports than the one
    /// it listens at, and may share its host with phones: then what it writes into Via tells it from them.
    pub fn is_sender(&self, locals: &Locals, registrar: &Registrar, flow: Flow, msg: &Message<'_>) -> bool {
        let addr = self.settings.addr;
        if flow.remote.ip() != addr.ip() || locals.is_protected(flow.local) {
            return false;
        }
        let via_port = msg.via().map(|via| via.port.unwrap_or(DEFAULT_PORT));
        flow.remote.port() == addr.port() || via_port == Some(addr.port()) || !registrar.is_host(addr.ip())
    }

    /// The way of a first request.
    pub fn way(&self, now: Instant) -> (Flow, Upgrade) {
        let has_tcp = self.no_tcp_until.is_none_or(|until| until <= now);
        let upgrade = if has_tcp { self.upgrade() } else { Upgrade::Never };
        (Flow::udp(self.settings.local, self.settings.addr), upgrade)
    }

    /// The way of a request inside a dialog (RFC 3261 12.2.1.1, 8.1.2): to the first Route or the Contact, where that is at the
    /// trunk's address, and to the trunk where it is not; over the dialog's connection while that lives.
    pub fn way_inside(&self, dialog: &Dialog) -> (Flow, Upgrade) {
        let source = Flow { remote: self.settings.addr, ..dialog.flow() };
        let route = dialog.route_set().next().and_then(NameAddr::parse).and_then(|route| route.uri);
        let Some(hop) = route.or_else(|| Uri::parse(dialog.remote_target())) else {
            return (source, Upgrade::Never);
        };
        let way = choose(source.into(), &hop);
        let upgrade = if way.tcp_allowed { self.upgrade() } else { Upgrade::Never };
        (way.flow, upgrade)
    }

    fn upgrade(&self) -> Upgrade {
        self.settings.tcp_threshold.map_or(Upgrade::Long, Upgrade::Over)
    }

    /// A message could not be sent. What needs TCP for its length only goes by UDP for a while.
    pub fn on_send_failed(&mut self, flow: Flow, now: Instant) {
        if flow.transport == Transport::Tcp && flow.remote == self.settings.addr {
            self.no_tcp_until = Some(now + TRUNK_TCP_PAUSE);
        }
    }

    /// What the callee that a phone dialled is called at the trunk (RFC 3261 19.1.6): a number in its one form, another name as
    /// it was dialled. None when it is nothing that a trunk could know: a URN, or no user.
    pub fn callee(&self, dialled: &Uri<'_>) -> Option<String> {
        let domain = &self.settings.domain;
        if let Some(telephone) = Telephone::of(dialled) {
            return Some(number_at(telephone.global().unwrap_or(telephone.number), domain));
        }
        let is_sip = matches!(dialled.scheme, Scheme::Sip | Scheme::Sips);
        let (name, _) = user_and_params(dialled.user);
        (is_sip && !name.is_empty()).then(|| format!("sip:{}@{domain}", lossy(name)))
    }

    /// The URI of From in a call to the trunk, for a caller who is known by these values of P-Asserted-Identity: the account, else
    /// the caller's number, else the caller's name. None where there is nothing that may be shown.
    pub fn caller(&self, identities: &[String]) -> Option<String> {
        let domain = &self.settings.domain;
        if let Some(name) = &self.settings.name {
            return Some(format!("sip:{name}@{domain}"));
        }
        let uris = || identities.iter().filter_map(|value| NameAddr::parse(value.as_bytes())?.uri);
        let number = uris().find_map(|uri| Telephone::of(&uri)?.global());
        number.map(|number| number_at(number, domain)).or_else(|| uris().find_map(|uri| self.callee(&uri)))
    }
}

/// Whether a number is dialled that calls for help: it never goes to the trunk.
pub fn is_emergency(dialled: &Uri<'_>) -> bool {
    let number = Telephone::of(dialled).map(|telephone| telephone.number);
    number.is_some_and(|number| EMERGENCY.contains(&number.as_str().trim_start_matches('+')))
}

/// The SIP URI of a telephone number.
fn number_at(number: Number, domain: &str) -> String {
    // RFC 3261 25.1: `#` cannot stand in a user part as it is
    format!("sip:{}@{domain};user=phone", number.as_str().replace('#', "%23"))
}

/// Who calls from the trunk: values for P-Asserted-Identity, what it asserts, else what From says, with the tel form of a number.
pub fn asserted(msg: &Message<'_>) -> SmallVec<[String; 2]> {
    let is_address = |value: &&[u8]| NameAddr::parse(value).is_some_and(|address| address.uri.is_some());
    let own = msg.values(HeaderId::PAssertedIdentity).filter(is_address);
    // RFC 3325 9.1: one or two of them
    let own: SmallVec<[String; 2]> = own.take(2).map(|value| lossy(value).into_owned()).collect();
    let Some(from) = msg.from().filter(|_| own.is_empty() && msg.is_request()) else { return own };
    let mut found = SmallVec::new();
    if let Some(uri) = from.uri.filter(|uri| !uri.user.is_empty()) {
        let mut value = String::new();
        if !from.display.is_empty() {
            let _ = write!(value, "{} ", lossy(from.display));
        }
        let _ = write!(value, "<{}>", lossy(from.uri_text));
        found.push(value);
        let number = Telephone::of(&uri).and_then(|t| t.global()).filter(|_| uri.scheme != Scheme::Tel);
        found.extend(number.map(|number| format!("<tel:{number}>")));
    }
    found
}

/// Whether the caller wants to be unknown, by Privacy or by an anonymous From (RFC 3323 4.1.1.3).
pub fn privacy(msg: &Message<'_>) -> Privacy {
    let asked = Privacy::of(msg);
    let nameless = msg.from().and_then(|from| from.uri).is_some_and(|uri| {
        uri.user.eq_ignore_ascii_case(b"anonymous")
            || matches!(uri.host, Host::Name(name) if name.eq_ignore_ascii_case(b"anonymous.invalid"))
    });
    Privacy { hides_identity: asked.hides_identity || nameless, ..asked }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::flow::LocalId;
    use crate::wire::sip::Index;

    fn trunk(name: Option<&str>) -> Trunk {
        Trunk::new(Settings {
            addr: "192.0.2.9:5060".parse().unwrap(),
            local: LocalId(0),
            name: name.map(str::to_owned),
            domain: "pbx".to_owned(),
            tcp_threshold: None,
            anonymous: false,
        })
    }

    #[test]
    fn a_callee_has_one_name_at_the_trunk() {
        let callee = |uri: &str| trunk(None).callee(&Uri::parse(uri.as_bytes()).unwrap());
        for (dialled, named) in [
            ("tel:+49.30(12)-34", Some("sip:+49301234@pbx;user=phone".to_owned())),
            ("sip:0301234;phone-context=a.b@c;user=phone", Some("sip:0301234@pbx;user=phone".to_owned())),
            ("tel:301234;phone-context=+49", Some("sip:+49301234@pbx;user=phone".to_owned())),
            ("sip:#31#0301234@a", Some("sip:%2331%230301234@pbx;user=phone".to_owned())),
            ("sips:carol;x=y:secret@a:5061;transport=tls?Subject=x", Some("sip:carol@pbx".to_owned())),
            ("sip:c%C3%A9@a", Some("sip:c%C3%A9@pbx".to_owned())),
            ("sip:a.test", None),
            ("urn:service:sos", None),
        ] {
            assert_eq!(callee(dialled), named, "{dialled}");
        }
    }

    #[test]
    fn numbers_that_call_for_help() {
        for (uri, is) in [
            ("tel:112", true),
            ("tel:911;phone-context=ims.test", true),
            ("sip:+1-1-2@ims.test;user=phone", true),
            ("tel:1123", false),
            ("sip:help@ims.test", false),
        ] {
            assert_eq!(is_emergency(&Uri::parse(uri.as_bytes()).unwrap()), is, "{uri}");
        }
    }

    #[test]
    fn a_caller_is_the_account_or_the_number_or_the_name() {
        let name = "\"A\" <sip:alice@ims.test>".to_owned();
        let number = "<tel:+33600000001>".to_owned();
        let local = "<tel:600;phone-context=ims.test>".to_owned();
        let caller = |account, identities: &[&String]| {
            trunk(account).caller(&identities.iter().map(|&i| i.clone()).collect::<Vec<_>>())
        };
        for (account, identities, uri) in [
            (None, &[&name, &number][..], Some("sip:+33600000001@pbx;user=phone")),
            (None, &[&local], Some("sip:600@pbx;user=phone")),
            (None, &[&name], Some("sip:alice@pbx")),
            (None, &[], None),
            (Some("ims"), &[&name, &number], Some("sip:ims@pbx")),
        ] {
            assert_eq!(caller(account, identities).as_deref(), uri, "{identities:?}");
        }
    }

    #[test]
    fn who_calls_from_the_trunk() {
        for (headers, identities, hidden) in [
            ("From: <sip:100@pbx>;tag=1", &["<sip:100@pbx>"][..], false),
            ("From: B <sip:+49301@pbx>;tag=1", &["B <sip:+49301@pbx>", "<tel:+49301>"], false),
            ("From: tel:+49301;tag=1", &["<tel:+49301>"], false),
            ("From: <sip:pbx>;tag=1", &[], false),
            (
                "From: <sip:1@pbx>\r\nP-Asserted-Identity: <sip:2@pbx>, <tel:+2>",
                &["<sip:2@pbx>", "<tel:+2>"],
                false,
            ),
            ("From: <sip:1@pbx>\r\nP-Asserted-Identity: nonsense\r\nPrivacy: none", &["<sip:1@pbx>"], false),
            ("From: <sip:1@pbx>\r\nPrivacy: id", &["<sip:1@pbx>"], true),
            ("From: <sip:Anonymous@pbx>", &["<sip:Anonymous@pbx>"], true),
            ("From: <sip:x@anonymous.invalid>", &["<sip:x@anonymous.invalid>"], true),
        ] {
            let text = format!("INVITE tel:1 SIP/2.0\r\n{headers}\r\n\r\n");
            let mut index = Index::new();
            let msg = Message::parse(text.as_bytes(), &mut index).unwrap();
            assert_eq!(asserted(&msg).as_slice(), identities, "{headers}");
            assert_eq!(privacy(&msg).hides_identity, hidden, "{headers}");
        }
    }
}
