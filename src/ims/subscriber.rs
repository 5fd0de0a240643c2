//! Who is who: users by private identity, users and echo numbers by any form of a public identity.
//!
//! A public identity is found by its user part whatever the domain (phones put their own idea of the home domain), and a
//! telephone number in each of its spellings, then by its last digits (`numbers`); what is found under no name is tried
//! against the `match` patterns in the order of the configuration. Users come before echo numbers.

use crate::base::ere::Ere;
use crate::config::model::{Impu, User};
use crate::config::suggest::did_you_mean;
use crate::ims::identity::default_impu;
use crate::ims::numbers::Numbers;
use crate::wire::sip::{Scheme, Uri};
use crate::wire::telephone::{Telephone, user_and_params};
use std::collections::BTreeMap;

/// Longest name that slips are looked for in, and that patterns are tried on, octets: no identity is longer, and the work that
/// a request can cause stays small.
const MAX_NAME: usize = 256;

/// A user: its place in the configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UserId(pub u32);

/// Whom a public identity names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// A user.
    User {
        /// The user.
        user: UserId,
        /// The identity, as an index into [`User::impus`].
        impu: usize,
    },
    /// An echo number, as an index into [`Config::echo`].
    Echo(usize),
    /// Nobody.
    Unknown,
}

impl Target {
    /// Whether both are the same user, by whatever identity, or both the echo service.
    pub(super) fn is_same_party(self, other: Target) -> bool {
        match (self, other) {
            (Target::User { user: a, .. }, Target::User { user: b, .. }) => a == b,
            (Target::Echo(_), Target::Echo(_)) => true,
            _ => self == other,
        }
    }
}

/// The users and the indexes over their identities.
#[derive(Debug)]
pub struct Subscribers {
    users: Vec<User>,
    by_impi: BTreeMap<Box<[u8]>, UserId>,
    /// IMPIs without their domain, and IMSIs: for clients that send a bare user name. `None` where several share it.
    by_impi_user: BTreeMap<Box<[u8]>, Option<UserId>>,
    /// `user@domain`, domain in lower case; URNs whole.
    by_address: BTreeMap<Box<[u8]>, Target>,
    /// User parts.
    by_name: BTreeMap<Box<[u8]>, Target>,
    numbers: Numbers,
    patterns: Vec<(Ere, Target)>,
}

impl Subscribers {
    /// Indexes the users and echo numbers of a configuration. Where two share an identity, the first has it; both that and
    /// a pattern that cannot be compiled are told in the list of complaints.
    pub fn new(users: Vec<User>, echo: &[Impu]) -> (Self, Vec<String>) {
        let mut subscribers = Subscribers {
            users: Vec::new(),
            by_impi: BTreeMap::new(),
            by_impi_user: BTreeMap::new(),
            by_address: BTreeMap::new(),
            by_name: BTreeMap::new(),
            numbers: Numbers::default(),
            patterns: Vec::new(),
        };
        let mut complaints = Vec::new();
        for (index, user) in users.iter().enumerate() {
            let id = UserId(u32::try_from(index).expect("the configuration's size is limited"));
            subscribers.index_private(id, user, &mut complaints);
            for (impu, identity) in user.impus.iter().enumerate() {
                let target = Target::User { user: id, impu };
                subscribers.index_public(identity, target, &user.imsi, &mut complaints);
            }
            subscribers.index_msisdn(id, user);
        }
        for (index, identity) in echo.iter().enumerate() {
            subscribers.index_public(identity, Target::Echo(index), "", &mut complaints);
        }
        subscribers.users = users;
        (subscribers, complaints)
    }

    /// The user.
    pub fn user(&self, id: UserId) -> &User {
        &self.users[id.0 as usize]
    }

    /// Changes whether the user's short messages go over SGs only.
    pub fn set_force_sms_over_sg(&mut self, id: UserId, forced: bool) {
        self.users[id.0 as usize].force_sms_over_sg = forced;
    }

    /// All users, in configuration order.
    pub fn users(&self) -> impl Iterator<Item = (UserId, &User)> {
        self.users.iter().enumerate().map(|(i, user)| (UserId(i as u32), user))
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is no user.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// The user with this private identity; its domain may be missing or another where that leaves one user.
    pub fn by_impi(&self, impi: &[u8]) -> Option<UserId> {
        if let Some(id) = self.by_impi.get(impi) {
            return Some(*id);
        }
        *self.by_impi_user.get(before_at(impi))?
    }

    /// The user with this IMSI; the first of several.
    pub fn by_imsi(&self, imsi: &str) -> Option<UserId> {
        let has = |id: &UserId| self.user(*id).imsi == imsi;
        match self.by_impi_user.get(imsi.as_bytes())? {
            Some(id) => Some(*id).filter(has),
            None => self.users().map(|(id, _)| id).find(has),
        }
    }

    /// The user whom people mean by a name: a private identity, or a public one with or without its scheme and domain.
    pub fn by_name(&self, name: &str) -> Option<UserId> {
        let public = |uri: String| self.lookup_user(&Uri::parse(uri.as_bytes())?).map(|(user, _)| user);
        let at_host =
            if name.contains('@') { format!("sip:{name}") } else { format!("sip:{name}@localhost") };
        let forms = [name.to_owned(), at_host, format!("tel:{name}")];
        self.by_impi(name.as_bytes()).or_else(|| forms.into_iter().find_map(public))
    }

    /// Whom the URI names.
    pub fn lookup(&self, uri: &Uri<'_>) -> Target {
        match uri.scheme {
            Scheme::Sip | Scheme::Sips => self.lookup_sip(uri),
            Scheme::Tel => self.lookup_number(uri).unwrap_or_else(|| self.lookup_pattern(uri)),
            Scheme::Urn => self.lookup_urn(uri).unwrap_or_else(|| self.lookup_pattern(uri)),
            Scheme::Other => Target::Unknown,
        }
    }

    /// The user whom the URI names, with the identity's index.
    pub fn lookup_user(&self, uri: &Uri<'_>) -> Option<(UserId, usize)> {
        match self.lookup(uri) {
            Target::User { user, impu } => Some((user, impu)),
            Target::Echo(_) | Target::Unknown => None,
        }
    }

    /// The status and the words for a URI that names nobody (RFC 3261 21.4.5, 21.4.22).
    pub fn refusal(&self, uri: &[u8]) -> (u16, &'static str) {
        let telephone = Uri::parse(uri).as_ref().and_then(Telephone::of);
        let is_number = uri.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"tel:"));
        match telephone.map(|telephone| self.numbers.is_incomplete(telephone)) {
            None if is_number => (484, "there is no number in it"),
            Some(true) => (484, "the number is incomplete: nobody has it, and longer ones begin with it"),
            Some(false) => (404, "nobody has this number"),
            None => (404, "nobody has this identity"),
        }
    }

    /// The private identity whose user part is closest to that of a name that is none, when it is close enough to be a slip;
    /// with many users only the first thousand are looked at, since anybody can ask.
    pub fn similar_impi(&self, name: &[u8]) -> Option<&str> {
        let user_part = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
        let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= MAX_NAME)?;
        let users: Vec<String> = self.users.iter().take(1000).map(|user| user_part(&user.impi)).collect();
        let found = did_you_mean(&user_part(name), users.iter().map(String::as_str))?;
        let at = users.iter().position(|user| user == found)?;
        Some(&self.users[at].impi)
    }

    fn lookup_sip(&self, uri: &Uri<'_>) -> Target {
        let decoded = uri.user_decoded();
        if decoded.is_empty() {
            return Target::Unknown;
        }
        let (name, _) = user_and_params(&decoded);
        let address = address(name, uri.host.to_string().as_bytes());
        let named = self.by_address.get(&address[..]).or_else(|| self.by_name.get(&decoded[..]));
        named
            .or_else(|| self.by_name.get(name))
            .copied()
            .or_else(|| self.lookup_number(uri))
            .unwrap_or_else(|| self.lookup_pattern(uri))
    }

    fn lookup_number(&self, uri: &Uri<'_>) -> Option<Target> {
        self.numbers.find(Telephone::of(uri)?)
    }

    /// RFC 5031 4.1: a sub-service that is not known is taken as the service above it.
    fn lookup_urn(&self, uri: &Uri<'_>) -> Option<Target> {
        let text = urn_key(uri);
        let mut name = &text[..];
        loop {
            if let Some(target) = self.by_address.get(name) {
                return Some(*target);
            }
            name = &name[..memchr::memrchr(b'.', name)?];
        }
    }

    /// A pattern sees the number in each of its spellings, or the user part, and the whole URI without parameters.
    fn lookup_pattern(&self, uri: &Uri<'_>) -> Target {
        if self.patterns.is_empty() || uri.text.len() > MAX_NAME {
            return Target::Unknown;
        }
        let numbers = Telephone::of(uri).map(|t| t.forms()).unwrap_or_default();
        let decoded = uri.user_decoded();
        let (name, _) = user_and_params(&decoded);
        let whole = &uri.text[..memchr::memchr2(b';', b'?', uri.text).unwrap_or(uri.text.len())];
        let matches = |ere: &Ere| {
            let number = numbers.iter().any(|n| ere.is_match(n.as_str().as_bytes()));
            number || (numbers.is_empty() && ere.is_match(name)) || ere.is_match(whole)
        };
        let hit = self.patterns.iter().find(|(ere, _)| matches(ere));
        hit.map_or(Target::Unknown, |(_, target)| *target)
    }

    fn index_private(&mut self, id: UserId, user: &User, complaints: &mut Vec<String>) {
        if self.by_impi.contains_key(user.impi.as_bytes()) {
            complaints.push(format!("two users have the IMPI {}; the first one counts", user.impi));
            return;
        }
        self.by_impi.insert(user.impi.as_bytes().into(), id);
        for name in [before_at(user.impi.as_bytes()), user.imsi.as_bytes()] {
            if name.is_empty() {
                continue;
            }
            let entry = self.by_impi_user.entry(name.into()).or_insert(Some(id));
            if *entry != Some(id) {
                *entry = None;
            }
        }
    }

    /// The MSISDN finds the user's default identity, unless an identity has that number.
    fn index_msisdn(&mut self, user: UserId, profile: &User) {
        let uri = profile.msisdn.as_deref().map(|m| format!("tel:+{}", m.trim_start_matches('+')));
        let uri = uri.as_deref().and_then(|uri| Uri::parse(uri.as_bytes()));
        if let Some((telephone, impu)) = uri.as_ref().and_then(Telephone::of).zip(default_impu(profile)) {
            self.numbers.put(telephone, Target::User { user, impu }, false);
        }
    }

    fn index_public(&mut self, identity: &Impu, target: Target, imsi: &str, complaints: &mut Vec<String>) {
        if let Some(pattern) = &identity.pattern {
            match Ere::new(pattern) {
                Ok(ere) => self.patterns.push((ere, target)),
                Err(error) => complaints.push(format!("match {pattern:?} of {}: {error}", identity.uri)),
            }
        }
        let Some(uri) = Uri::parse(identity.uri.as_bytes()) else {
            if identity.pattern.is_none() {
                complaints.push(format!("{} is no URI: nobody can use this identity", identity.uri));
            }
            return;
        };
        if !self.index_uri(&uri, target, imsi) {
            complaints.push(format!("{} is the identity of two users; the first one has it", identity.uri));
        }
    }

    /// Whether the identity was free. The same user, or the echo service, may name it in several forms.
    fn index_uri(&mut self, uri: &Uri<'_>, target: Target, imsi: &str) -> bool {
        let decoded = uri.user_decoded();
        match uri.scheme {
            Scheme::Urn => put(&mut self.by_address, urn_key(uri).into(), target),
            Scheme::Tel => self.index_number(uri, target, imsi),
            Scheme::Sip | Scheme::Sips if !decoded.is_empty() => {
                let (name, _) = user_and_params(&decoded);
                let host = uri.host.to_string();
                let free = put(&mut self.by_address, address(name, host.as_bytes()), target);
                // users of two domains may have one name: the name alone then finds the first
                put(&mut self.by_name, name.into(), target);
                self.index_number(uri, target, imsi);
                free
            }
            Scheme::Sip | Scheme::Sips | Scheme::Other => false,
        }
    }

    fn index_number(&mut self, uri: &Uri<'_>, target: Target, imsi: &str) -> bool {
        let Some(telephone) = Telephone::of(uri) else { return false };
        self.numbers.put(telephone, target, telephone.number.as_str() == imsi)
    }
}

/// Whether the key was free, or the same party's.
fn put<K: Ord>(map: &mut BTreeMap<K, Target>, key: K, target: Target) -> bool {
    map.entry(key).or_insert(target).is_same_party(target)
}

fn address(name: &[u8], host: &[u8]) -> Box<[u8]> {
    [name, b"@", &host.to_ascii_lowercase()].concat().into()
}

/// A URN without case (RFC 5031 4.2: the service labels are compared so).
fn urn_key(uri: &Uri<'_>) -> Vec<u8> {
    let end = memchr::memchr3(b';', b'?', b'@', uri.user).unwrap_or(uri.user.len());
    [b"urn:", &uri.user[..end]].concat().to_ascii_lowercase()
}

fn before_at(identity: &[u8]) -> &[u8] {
    &identity[..memchr::memchr(b'@', identity).unwrap_or(identity.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Config;

    fn user(impi: &str, imsi: &str, impus: &[&str]) -> User {
        let impus = impus.iter().map(|uri| Impu::new(*uri)).collect();
        User { impi: impi.into(), imsi: imsi.into(), domain: "ims.test".into(), impus, ..User::default() }
    }

    fn subscribers() -> Subscribers {
        let mut barring = Impu::new("sip:barred@ims.test");
        barring.pattern = Some("^\\+3389".into());
        let config = Config {
            users: vec![
                user("alice@ims.test", "001010000000001", &["sip:alice@ims.test", "tel:+33600000001"]),
                user("bob@ims.test", "001010000000002", &["sip:bob@ims.test", "tel:0600000002", "tel:600"]),
                user("bob@other.test", "", &["sip:bob@other.test"]),
            ],
            echo: vec![Impu::new("tel:666"), Impu::new("urn:service:sos"), barring],
            ..Config::default()
        };
        let (subscribers, complaints) = Subscribers::new(config.users, &config.echo);
        assert_eq!(complaints, [""; 0]);
        subscribers
    }

    fn found(subscribers: &Subscribers, uri: &str) -> Target {
        subscribers.lookup(&Uri::parse(uri.as_bytes()).unwrap_or_else(|| panic!("{uri}")))
    }

    #[test]
    fn callee_is_found_by_each_form_of_its_identity() {
        let s = subscribers();
        for (uri, user, impu) in [
            ("sip:alice@ims.test", 0, 0),
            ("sip:alice@IMS.test:5060;transport=udp", 0, 0),
            ("sip:alice@127.0.0.1", 0, 0),
            ("sip:%61lice@ims.test", 0, 0),
            ("tel:+33-600-000-001", 0, 1),
            ("tel:33600000001", 0, 1),
            ("sip:+33600000001@ims.test;user=phone", 0, 1),
            ("tel:600000001;phone-context=+33", 0, 1),
            ("sip:0600000002;phone-context=ims.test@ims.test;user=phone", 1, 1),
            ("tel:0600000002;phone-context=ims.mnc001.mcc001.3gppnetwork.org", 1, 1),
            ("tel:+600", 1, 2),
            ("sip:bob@ims.test", 1, 0),
            ("sip:bob@other.test", 2, 0),
            ("sip:bob@10.0.0.1", 1, 0),
        ] {
            assert_eq!(found(&s, uri), Target::User { user: UserId(user), impu }, "{uri}");
        }
    }

    #[test]
    fn echo_numbers_urns_and_patterns() {
        let s = subscribers();
        for uri in ["tel:666", "sip:666@ims.test", "tel:+666", "sip:666;phone-context=a@b;user=phone"] {
            assert_eq!(found(&s, uri), Target::Echo(0), "{uri}");
        }
        for uri in ["urn:service:sos", "URN:service:SOS.police", "urn:service:sos.fire;x=y"] {
            assert_eq!(found(&s, uri), Target::Echo(1), "{uri}");
        }
        assert_eq!(found(&s, "tel:+33891234"), Target::Echo(2));
        let long = format!("sip:+3389{}@h", "1".repeat(MAX_NAME));
        assert_eq!(found(&s, &long), Target::Unknown, "longer than any identity");
        for uri in ["tel:+33881234", "sip:carol@ims.test", "sip:ims.test", "urn:service:counseling", "http:x"]
        {
            assert_eq!(found(&s, uri), Target::Unknown, "{uri}");
        }
    }

    #[test]
    fn private_identity_with_and_without_its_domain() {
        let s = subscribers();
        assert_eq!(s.by_impi(b"bob@other.test"), Some(UserId(2)));
        assert_eq!(s.by_impi(b"alice"), Some(UserId(0)));
        assert_eq!(s.by_impi(b"alice@wrong.test"), Some(UserId(0)));
        assert_eq!(s.by_impi(b"001010000000002@ims.mnc001.mcc001.3gppnetwork.org"), Some(UserId(1)));
        assert_eq!(s.by_impi(b"bob"), None, "two users have this name");
        assert_eq!(s.by_impi(b""), None);
    }

    #[test]
    fn a_slip_in_a_private_identity_is_recognised() {
        let s = subscribers();
        assert_eq!(s.similar_impi(b"alcie@ims.test"), Some("alice@ims.test"));
        assert_eq!(s.similar_impi(b"somebody.else@example.com"), None);
    }

    #[test]
    fn what_the_configuration_says_twice_is_told() {
        let mut odd = Impu::new("sip:x@ims.test");
        odd.pattern = Some("(".into());
        let config = Config {
            users: vec![user("a@h", "", &["tel:1"]), user("a@h", "", &["tel:1"])],
            echo: vec![odd],
            ..Config::default()
        };
        let (s, complaints) = Subscribers::new(config.users, &config.echo);
        assert_eq!(complaints.len(), 3, "{complaints:?}");
        assert_eq!(found(&s, "tel:1"), Target::User { user: UserId(0), impu: 0 });
    }
}
