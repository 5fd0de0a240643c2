//! Callbacks to who has made an emergency call (RFC 7090, TS 24.229 5.1.6.10 and 5.4.3.3).
//!
//! A phone that had no registration is known by the IMEI in its Contact, which makes an identity of it for a while after its
//! call (`anonymous_callback`); one that has registered for emergency calls is reached at that registration.

use super::limits::MAX_CALLBACKS;
use crate::base::arena::{Arena, Id};
use crate::base::time::{Duration, Instant};
use crate::config::model::Config;
use crate::ims::registrar::binding::Contact;
use crate::ims::registrar::route::{Came, Route, choose};
use crate::proto::flow::Flow;
use crate::wire::identities::{imei_of_instance, same_imei};
use crate::wire::sip::{Message, Scheme, Uri};
use arrayvec::ArrayString;

/// The value of Priority that a callback has (RFC 7090 5).
pub const PRIORITY: &str = "psap-callback";

/// A caller without registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// The IMEI of its phone.
    pub imei: ArrayString<16>,
    /// Its Contact.
    pub contact: Contact,
    /// The way there.
    pub route: Route,
    /// How long after its call it can be called back.
    pub window: Duration,
}

impl Stranger {
    /// The caller whose INVITE came this way, when its phone says its IMEI: in `+sip.instance` of Contact (RFC 7254), or as the
    /// name in From.
    pub fn of(msg: &Message<'_>, flow: Flow, window: Duration) -> Option<Stranger> {
        let address = msg.contacts().next().flatten()?;
        let contact = Contact::new(&address);
        let from = msg.from().and_then(|from| from.uri);
        let imei = contact.imei.or_else(|| from.as_ref().and_then(imei_in))?;
        let route = choose(Came::from(flow), &address.uri?);
        Some(Stranger { imei, contact, route, window })
    }

    /// The identity that is made from its IMEI.
    pub fn identity(&self, config: &Config) -> String {
        match &config.domain {
            Some(domain) => format!("sip:{}@{domain}", self.imei),
            None => format!("sip:{}@{}", self.imei, config.sip[0].addr),
        }
    }
}

/// A caller whose call has ended.
#[derive(Debug)]
pub struct Recallable {
    stranger: Stranger,
    /// Until when it can be called back.
    until: Instant,
}

/// Those who can be called back.
#[derive(Debug)]
pub struct Callbacks {
    strangers: Arena<Recallable>,
}

impl Default for Callbacks {
    fn default() -> Self {
        Callbacks { strangers: Arena::with_cap(MAX_CALLBACKS) }
    }
}

impl Callbacks {
    /// The call of a stranger has ended: it can be called back from now on.
    pub fn open(&mut self, now: Instant, stranger: Stranger) {
        let is_over = |r: &Recallable| r.until <= now || same_imei(&r.stranger.imei, &stranger.imei);
        let over: Vec<_> = self.strangers.iter().filter(|(_, r)| is_over(r)).map(|(id, _)| id).collect();
        over.into_iter().for_each(|id| drop(self.strangers.remove(id)));
        if self.strangers.is_full() {
            let first = self.strangers.iter().min_by_key(|(_, r)| r.until).map(|(id, _)| id);
            first.into_iter().for_each(|id| drop(self.strangers.remove(id)));
        }
        let until = now + stranger.window;
        self.strangers.insert(Recallable { stranger, until }).expect("room was made");
    }

    /// The stranger whom a URI names by its IMEI.
    pub fn find(&self, uri: &Uri<'_>, now: Instant) -> Option<Id<Recallable>> {
        let imei = imei_in(uri)?;
        let is_meant = |(_, r): &(_, &Recallable)| r.until > now && same_imei(&r.stranger.imei, &imei);
        self.strangers.iter().find(is_meant).map(|(id, _)| id)
    }

    /// A stranger, unless it has been forgotten.
    pub fn stranger(&self, id: Id<Recallable>) -> Option<&Stranger> {
        self.strangers.get(id).map(|r| &r.stranger)
    }
}

/// The IMEI that a URI names: as a URN (RFC 7254), or in the user part, with its dashes or without.
fn imei_in(uri: &Uri<'_>) -> Option<ArrayString<16>> {
    if uri.scheme == Scheme::Urn {
        return imei_of_instance(uri.text);
    }
    let user = uri.user_decoded();
    let is_digits = user.iter().all(|o| o.is_ascii_digit() || *o == b'-');
    let digits = || user.iter().filter(|o| o.is_ascii_digit());
    let is_imei = is_digits && (14..=16).contains(&digits().count());
    is_imei
        .then(|| digits().map(|o| char::from(*o)).collect::<String>())
        .and_then(|d| ArrayString::from(&d).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::flow::LocalId;
    use crate::wire::sip::Index;

    fn stranger(contact: &str, from: &str) -> Option<Stranger> {
        let text =
            format!("INVITE urn:service:sos SIP/2.0\r\nFrom: {from};tag=1\r\nContact: {contact}\r\n\r\n");
        let mut index = Index::new();
        let msg = Message::parse(text.as_bytes(), &mut index).expect("a message");
        let flow = Flow::udp(LocalId(0), "192.0.2.9:5060".parse().expect("an address"));
        Stranger::of(&msg, flow, Duration::from_secs(60))
    }

    fn of_imei(imei: &str) -> Stranger {
        let contact = format!("<sip:anonymous@192.0.2.9>;+sip.instance=\"<urn:gsma:imei:{imei}>\"");
        stranger(&contact, "<sip:anonymous@anonymous.invalid>").expect("it says its IMEI")
    }

    fn find(callbacks: &Callbacks, uri: &str, secs: u64) -> bool {
        let now = Instant::ZERO + Duration::from_secs(secs);
        callbacks.find(&Uri::parse(uri.as_bytes()).expect("a URI"), now).is_some()
    }

    #[test]
    fn a_phone_is_known_by_the_imei_in_contact_or_from() {
        let nobody = "<sip:anonymous@anonymous.invalid>";
        let instance = "<sip:a@192.0.2.9>;+sip.instance=\"<urn:gsma:imei:35693803-564380-0>\"";
        let of = |contact: &str, from: &str| stranger(contact, from).map(|s| s.imei.to_string());
        assert_eq!(of(instance, nobody).as_deref(), Some("356938035643800"));
        assert_eq!(of("<sip:a@192.0.2.9>", "<sip:35693803-564380-0@h>").as_deref(), Some("356938035643800"));
        assert_eq!(
            of("<sip:a@192.0.2.9>", "<urn:gsma:imei:35693803-564380-0>").as_deref(),
            Some("356938035643800")
        );
        for from in [nobody, "<sip:112@h>", "<tel:+35693803564380>", "<urn:service:sos>"] {
            assert_eq!(of("<sip:a@192.0.2.9>;+sip.instance=\"<urn:uuid:1>\"", from), None, "{from}");
        }
    }

    #[test]
    fn a_phone_is_called_back_for_a_while_after_its_last_call() {
        let mut callbacks = Callbacks::default();
        let at = |secs| Instant::ZERO + Duration::from_secs(secs);
        callbacks.open(at(0), of_imei("35693803-564380-0"));
        for uri in ["sip:356938035643800@h", "tel:35693803564380", "urn:gsma:imei:35693803-564380-0"] {
            assert!(find(&callbacks, uri, 59), "{uri}");
            assert!(!find(&callbacks, uri, 60), "{uri}");
        }
        assert!(!find(&callbacks, "sip:356938035643900@h", 1) && !find(&callbacks, "sip:3569@h", 1));
        callbacks.open(at(30), of_imei("35693803-564380-0"));
        assert!(find(&callbacks, "sip:356938035643800@h", 89));
        assert_eq!(callbacks.strangers.len(), 1);
    }

    #[test]
    fn of_more_than_there_may_be_the_first_is_forgotten() {
        let mut callbacks = Callbacks::default();
        let imei = |n: usize| format!("35693803-{n:06}-0");
        for n in 0..=MAX_CALLBACKS {
            callbacks.open(Instant::ZERO + Duration::from_millis(n as u64), of_imei(&imei(n)));
        }
        assert_eq!(callbacks.strangers.len(), MAX_CALLBACKS);
        let known = |n: usize| find(&callbacks, &format!("urn:gsma:imei:{}", imei(n)), 1);
        assert!(!known(0) && known(1) && known(MAX_CALLBACKS));
        // those whose time is over go when room is looked for
        callbacks.open(Instant::ZERO + Duration::from_secs(100), of_imei(&imei(0)));
        assert_eq!(callbacks.strangers.len(), 1);
    }
}
