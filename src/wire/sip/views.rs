//! Typed views of a message's headers, one method per header that a service reads.

use super::access_network::AccessNetwork;
use super::contact::Contact;
use super::header::HeaderId;
use super::message::Message;
use super::multipart::{Part, Parts};
use super::name_addr::NameAddr;
use super::privacy::Privacy;
use super::rack::RAck;
use super::reason::Reason;
use super::retry_after::RetryAfter;
use super::sec_agree::Mechanism;
use super::session_expires::SessionExpires;
use super::subscription_state::SubscriptionState;
use super::text::decimal;

impl<'a> Message<'a> {
    /// The addresses of a header that lists them (Route, Record-Route, Path, P-Asserted-Identity, …); `None` for one that
    /// cannot be parsed.
    pub fn addresses(&self, id: HeaderId) -> impl Iterator<Item = Option<NameAddr<'a>>> + 'a {
        self.values(id).map(NameAddr::parse)
    }

    /// The Contact values as phones register them; what cannot be parsed is left out ([`Message::check`] has seen it).
    pub fn registered_contacts(&self) -> impl Iterator<Item = Contact<'a>> + 'a {
        self.values(HeaderId::Contact).filter_map(Contact::parse)
    }

    /// The mechanisms of Security-Client, Security-Server or Security-Verify; what cannot be parsed is left out.
    pub fn mechanisms(&self, id: HeaderId) -> impl Iterator<Item = Mechanism<'a>> + 'a {
        self.values(id).filter_map(Mechanism::parse)
    }

    /// The Reason values; what cannot be parsed is left out.
    pub fn reasons(&self) -> impl Iterator<Item = Reason<'a>> + 'a {
        self.values(HeaderId::Reason).filter_map(Reason::parse)
    }

    /// The P-Access-Network-Info values; what cannot be parsed is left out.
    pub fn access_networks(&self) -> impl Iterator<Item = AccessNetwork<'a>> + 'a {
        self.values(HeaderId::PAccessNetworkInfo).filter_map(AccessNetwork::parse)
    }

    /// Session-Expires.
    pub fn session_expires(&self) -> Option<SessionExpires> {
        self.header(HeaderId::SessionExpires).and_then(SessionExpires::parse)
    }

    /// Min-SE, in seconds.
    pub fn min_se_secs(&self) -> Option<u32> {
        self.header(HeaderId::MinSe).and_then(SessionExpires::parse).map(|s| s.interval_secs)
    }

    /// RSeq (RFC 3262 7.1).
    pub fn rseq(&self) -> Option<u32> {
        self.header(HeaderId::RSeq).and_then(decimal)
    }

    /// RAck.
    pub fn rack(&self) -> Option<RAck<'a>> {
        self.header(HeaderId::RAck).and_then(RAck::parse)
    }

    /// Retry-After.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        self.header(HeaderId::RetryAfter).and_then(RetryAfter::parse)
    }

    /// Subscription-State.
    pub fn subscription_state(&self) -> Option<SubscriptionState<'a>> {
        self.header(HeaderId::SubscriptionState).and_then(SubscriptionState::parse)
    }

    /// What all Privacy fields ask for.
    pub fn privacy(&self) -> Privacy {
        self.headers(HeaderId::Privacy).fold(Privacy::default(), |all, value| all.and(Privacy::parse(value)))
    }

    /// The parts of a multipart body.
    pub fn parts(&self) -> Option<Parts<'a>> {
        self.header(HeaderId::ContentType).and_then(|t| Parts::new(t, self.body()))
    }

    /// The body of this media type: the whole body, or the first such part of a multipart body.
    pub fn body_of(&self, media_type: &str) -> Option<&'a [u8]> {
        if self.has_content_type(media_type) {
            return Some(self.body()).filter(|b| !b.is_empty());
        }
        self.parts().and_then(|parts| parts.by_type(media_type)).map(|part: Part<'a>| part.body)
    }
}
