//! Which public identities of a user are shown: P-Asserted-Identity, P-Associated-URI and the default identity.
//!
//! RFC 3325, RFC 7315 4.1, TS 24.229 5.2.6.3 and 5.4.1.2.2F. A barred identity is never shown (TS 23.003 13.4B).

use crate::config::model::{Impu, User};
use crate::ims::subscriber::{Subscribers, UserId};
use crate::wire::identities::same_imei;
use crate::wire::sip::{HeaderId, Message, NameAddr, Scheme, Uri};
use crate::wire::telephone::{Number, Telephone};
use smallvec::SmallVec;

/// Whose identity is asserted: a user, on one of the user's phones.
#[derive(Clone, Copy, Debug)]
pub struct Speaker<'a> {
    /// The user.
    pub user: UserId,
    /// The phone's IMEI, when it is known.
    pub imei: Option<&'a str>,
    /// The identity that was called, as an index into [`User::impus`], where the user answers.
    pub called: Option<usize>,
}

/// The identity that stands for who sends `message`: the preferred one if it is one of the user's that may be shown (RFC 3325
/// 9.2); else the one marked `asserted`, the one that was called (TS 24.229 5.2.6.4.4), the default one. Where phones share a
/// SIM, none stands for what is tied to another's IMEI. An index into [`User::impus`]; none when all are barred.
pub fn speaking(subscribers: &Subscribers, speaker: Speaker<'_>, message: &Message<'_>) -> Option<usize> {
    let profile = subscribers.user(speaker.user);
    let imei = speaker.imei;
    let preferred = message
        .values(HeaderId::PPreferredIdentity)
        .filter_map(|value| NameAddr::parse(value)?.uri)
        .find_map(|uri| shown_identity(subscribers, speaker.user, &uri))
        // a phone that does not say which it is may be the one that it names
        .filter(|&at| imei.is_none() || is_for(profile, &profile.impus[at], imei));
    let default = || default_of(profile, imei);
    let is_marked = |at: usize| profile.impus[at].asserted;
    let called = speaker.called.filter(|&at| {
        is_shown(&profile.impus[at])
            && is_for(profile, &profile.impus[at], imei)
            && !default().is_some_and(is_marked)
    });
    preferred.or(called).or_else(default)
}

/// Header values for P-Asserted-Identity of what a user sends: of [`speaking`], with the tel and the SIP form of a number (RFC
/// 3325 9.1 allows one of each). Empty when every identity is barred.
pub fn asserted(
    subscribers: &Subscribers,
    speaker: Speaker<'_>,
    message: &Message<'_>,
) -> SmallVec<[String; 2]> {
    let profile = subscribers.user(speaker.user);
    let Some(impu) = speaking(subscribers, speaker, message) else { return SmallVec::new() };
    let mut forms = asserted_forms(&profile.impus[impu], Some(&profile.domain));
    // TS 24.229 5.4.3.2: a name is accompanied by the user's number, which is what a phone shows of a caller
    if !forms.iter().any(|form| form.contains("<tel:")) {
        let number = associated(profile, speaker.imei).into_iter().find(|uri| uri.starts_with("tel:"));
        forms.extend(number.map(|uri| format!("<{uri}>")));
    }
    forms
}

/// Header values for P-Asserted-Identity of an echo number, which `domain` has; none of one that is `anonymous` or no number or
/// name of its own.
pub fn of_echo(echo: &Impu, domain: Option<&str>) -> SmallVec<[String; 2]> {
    let is_urn = Uri::parse(echo.uri.as_bytes()).is_none_or(|uri| uri.scheme == Scheme::Urn);
    if echo.anonymous || is_urn { SmallVec::new() } else { asserted_forms(echo, domain) }
}

/// The identity that phones of the user are called by instead of their contact: the called one if it is `preferred`, else the
/// first of the phone's that is.
pub fn request_uri(user: &User, called: Option<usize>, imei: Option<&str>) -> Option<String> {
    let is_one = |impu: &&Impu| impu.preferred && is_for(user, impu, imei);
    let called = called.map(|at| &user.impus[at]).filter(is_one);
    called.or_else(|| user.impus.iter().find(is_one)).map(uri_of)
}

/// The URI of an identity as it is shown, with `;user=phone` where `phone` is set.
pub fn uri_of(impu: &Impu) -> String {
    match Uri::parse(impu.uri.as_bytes()) {
        Some(uri) if matches!(uri.scheme, Scheme::Sip | Scheme::Sips) => with_phone(&uri, impu, impu.phone),
        _ => impu.uri.clone(),
    }
}

/// Header values for P-Asserted-Identity of one identity of a user: its SIP and its tel form, with the user's number where it has
/// none; empty when it is barred.
pub fn forms_of(subscribers: &Subscribers, user: UserId, impu: usize) -> SmallVec<[String; 2]> {
    let profile = subscribers.user(user);
    if !is_shown(&profile.impus[impu]) {
        return SmallVec::new();
    }
    let mut forms = asserted_forms(&profile.impus[impu], Some(&profile.domain));
    // TS 24.229 5.4.3.2: a name is accompanied by the user's number, which is what a phone shows of a caller
    if !forms.iter().any(|form| form.contains("<tel:")) {
        let number = associated(profile, None).into_iter().find(|uri| uri.starts_with("tel:"));
        forms.extend(number.map(|uri| format!("<{uri}>")));
    }
    forms
}

/// The identity that stands first in P-Associated-URI and is asserted when the user prefers none: the one marked `asserted`,
/// else `preferred`, else the first that is not barred. An index into [`User::impus`].
pub fn default_impu(user: &User) -> Option<usize> {
    default_among(user, is_shown)
}

/// The identity that stands for a phone with this IMEI (or IMEISV) which names none: its own default one, else the user's. An index into
/// [`User::impus`]; none when all are barred.
pub fn default_of(user: &User, imei: Option<&str>) -> Option<usize> {
    default_for(user, imei).or_else(|| default_impu(user))
}

/// The default identity of a phone with this IMEI.
fn default_for(user: &User, imei: Option<&str>) -> Option<usize> {
    default_among(user, |impu| is_shown(impu) && is_for(user, impu, imei))
}

/// The IMEIs of the phones that an identity is for, where phones share a SIM; none: it is for all. It may be there several times, tied to
/// one phone each; without `multi_sim` that means nothing (manual 5.2.1 `imei`).
pub fn phones_of(user: &User, impu: usize) -> Option<SmallVec<[&str; 2]>> {
    let uri = &user.impus.get(impu).filter(|_| user.multi_sim)?.uri;
    user.impus.iter().filter(|same| same.uri == *uri).map(|same| same.imei.as_deref()).collect()
}

/// Whether an identity is one of the phone's with this IMEI: what is tied to no IMEI is every phone's.
fn is_for(user: &User, impu: &Impu, imei: Option<&str>) -> bool {
    let tied = impu.imei.as_deref().filter(|_| user.multi_sim);
    tied.is_none_or(|tied| imei.is_some_and(|imei| same_imei(tied, imei)))
}

fn default_among(user: &User, takes: impl Fn(&Impu) -> bool) -> Option<usize> {
    let shown = || user.impus.iter().enumerate().filter(|(_, impu)| takes(impu));
    let marked = |mark: fn(&Impu) -> bool| shown().find(|(_, impu)| mark(impu));
    marked(|i| i.asserted).or_else(|| marked(|i| i.preferred)).or_else(|| shown().next()).map(|(at, _)| at)
}

/// The URIs for P-Associated-URI: the default identity, then the others that are `associated`, in configuration order; a number
/// known in SIP form is given in tel form too, because phones take their number from there. Where phones share a SIM, one with
/// this IMEI is not shown what is tied to another.
pub fn associated(user: &User, imei: Option<&str>) -> Vec<String> {
    let default = default_for(user, imei);
    let others = (0..user.impus.len()).filter(|&at| Some(at) != default && user.impus[at].associated);
    let mut uris: Vec<String> = Vec::with_capacity(4);
    for impu in
        default.into_iter().chain(others).map(|at| &user.impus[at]).filter(|impu| is_for(user, impu, imei))
    {
        let Some(uri) = shown_uri(impu) else { continue };
        push_new(&mut uris, uri_of(impu));
        if let Some(number) = tel_number(&uri) {
            push_new(&mut uris, format!("tel:{number}"));
        }
    }
    // the MSISDN is the user's number even when no identity says so, but only where somebody calling it would find the user
    let has_tel = uris.iter().any(|uri| uri.starts_with("tel:"));
    if let Some(msisdn) = user.msisdn.as_deref().filter(|_| !has_tel && !uris.is_empty()) {
        push_new(&mut uris, format!("tel:+{}", msisdn.trim_start_matches('+')));
    }
    uris
}

/// Whether an identity may be seen by others.
pub fn is_shown(impu: &Impu) -> bool {
    shown_uri(impu).is_some()
}

/// The URI of an identity that may be seen by others: a service that the user answers for is nobody's name (RFC 5031 1).
fn shown_uri(impu: &Impu) -> Option<Uri<'_>> {
    let uri = if impu.barred { None } else { Uri::parse(impu.uri.as_bytes()) };
    uri.filter(|uri| !uri.is_sos())
}

/// The index of the identity that the URI names, when it is the user's and may be shown.
fn shown_identity(subscribers: &Subscribers, user: UserId, uri: &Uri<'_>) -> Option<usize> {
    let (owner, impu) = subscribers.lookup_user(uri)?;
    (owner == user && is_shown(&subscribers.user(user).impus[impu])).then_some(impu)
}

fn asserted_forms(impu: &Impu, domain: Option<&str>) -> SmallVec<[String; 2]> {
    let Some(uri) = Uri::parse(impu.uri.as_bytes()) else { return SmallVec::new() };
    let display = impu.display_name.as_deref().map(quoted).unwrap_or_default();
    let verstat = impu.verstat.as_deref().map(|v| format!(";verstat={v}")).unwrap_or_default();
    let domain = impu.domain.as_deref().or(domain);
    let (sip, tel) = match uri.scheme {
        Scheme::Tel => (domain.and_then(|domain| sip_form(&uri, domain)), Some(impu.uri.clone())),
        Scheme::Sip | Scheme::Sips => {
            let is_global = Telephone::of(&uri).is_some_and(|t| t.number.is_global());
            let tel = tel_number(&uri).map(|number| format!("tel:{number}"));
            (Some(with_phone(&uri, impu, impu.phone || is_global)), tel)
        }
        Scheme::Urn | Scheme::Other => (Some(impu.uri.clone()), None),
    };
    // RFC 8224: verstat is a parameter of the telephone number, so it stands inside the user part
    let sip = sip.map(|text| match text.split_once('@') {
        Some((user, rest)) if !verstat.is_empty() => format!("{user}{verstat}@{rest}"),
        _ => text,
    });
    let tel = tel.map(|text| format!("{text}{verstat}"));
    [sip, tel].into_iter().flatten().map(|text| format!("{display}<{text}>")).collect()
}

/// The SIP URI as configured, with `user=phone` if `phone`.
fn with_phone(uri: &Uri<'_>, impu: &Impu, phone: bool) -> String {
    let add = phone && !uri.params.has("user");
    format!("{}{}", impu.uri, if add { ";user=phone" } else { "" })
}

/// RFC 3261 19.1.6: the SIP URI that is equal to a tel URI.
fn sip_form(uri: &Uri<'_>, domain: &str) -> Option<String> {
    let number = Telephone::of(uri)?.number;
    Some(format!("sip:{}@{domain};user=phone", escaped(number.as_str())))
}

/// The global number in a SIP URI.
pub(in crate::ims) fn tel_number(uri: &Uri<'_>) -> Option<Number> {
    let sip = matches!(uri.scheme, Scheme::Sip | Scheme::Sips);
    Telephone::of(uri).filter(|_| sip)?.global()
}

/// `#` cannot stand in a SIP user part as it is (RFC 3261 25.1).
fn escaped(number: &str) -> String {
    number.replace('#', "%23")
}

/// A display name as a quoted string, with the space behind it.
pub(super) fn quoted(display: &str) -> String {
    let escaped = display.replace('\\', "\\\\").replace('"', "\\\"");
    let clean: String = escaped.chars().filter(|c| !c.is_control()).collect();
    format!("\"{clean}\" ")
}

fn push_new(uris: &mut Vec<String>, uri: String) {
    if !uris.contains(&uri) {
        uris.push(uri);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip::Index;

    fn subscribers() -> Subscribers {
        let mut imsi = Impu::new("sip:001010000000001@ims.test");
        imsi.barred = true;
        let mut name = Impu::new("sip:alice@ims.test");
        name.display_name = Some("Al \"Ice\"".into());
        let mut number = Impu::new("sip:+33600000001@ims.test");
        number.asserted = true;
        let mut hidden = Impu::new("tel:777");
        hidden.associated = false;
        let impus = vec![imsi, name, number, Impu::new("tel:0600"), hidden];
        let alice = User { impi: "alice".into(), domain: "ims.test".into(), impus, ..User::default() };
        let bob = User { impi: "bob".into(), impus: vec![Impu::new("sip:bob@ims.test")], ..User::default() };
        Subscribers::new(vec![alice, bob], &[]).0
    }

    fn asserted_for(preferred: &str) -> Vec<String> {
        let text = format!("INVITE tel:1 SIP/2.0\r\nP-Preferred-Identity: {preferred}\r\n\r\n");
        let mut index = Index::new();
        let message = Message::parse(text.as_bytes(), &mut index).expect("a message");
        let alice = Speaker { user: UserId(0), imei: None, called: None };
        asserted(&subscribers(), alice, &message).into_vec()
    }

    #[test]
    fn preferred_identity_counts_only_if_it_is_the_users_and_not_barred() {
        let default = ["<sip:+33600000001@ims.test;user=phone>", "<tel:+33600000001>"];
        let with_number = ["\"Al \\\"Ice\\\"\" <sip:alice@ims.test>", "<tel:+33600000001>"];
        assert_eq!(asserted_for("<sip:alice@10.0.0.1>"), with_number);
        assert_eq!(asserted_for("tel:0600"), ["<sip:0600@ims.test;user=phone>", "<tel:0600>"]);
        for not_hers in ["", "<sip:001010000000001@ims.test>", "<sip:bob@ims.test>", "<tel:+999>", "%%"] {
            assert_eq!(asserted_for(not_hers), default, "{not_hers}");
        }
    }

    #[test]
    fn associated_identities_start_with_the_default_and_leave_out_the_barred() {
        let s = subscribers();
        assert_eq!(
            associated(s.user(UserId(0)), None),
            ["sip:+33600000001@ims.test", "tel:+33600000001", "sip:alice@ims.test", "tel:0600"]
        );
        assert_eq!(associated(s.user(UserId(1)), None), ["sip:bob@ims.test"]);
    }

    #[test]
    fn msisdn_gives_the_tel_form_where_no_identity_has_one() {
        let mut user = subscribers().user(UserId(1)).clone();
        user.msisdn = Some("33612".into());
        assert_eq!(associated(&user, None), ["sip:bob@ims.test", "tel:+33612"]);
        user.impus.insert(0, Impu::new("urn:service:sos"));
        assert_eq!(associated(&user, None), ["sip:bob@ims.test", "tel:+33612"], "a service is no name");
        user.impus.iter_mut().for_each(|impu| impu.barred = true);
        assert_eq!(associated(&user, None), [""; 0]);
        assert_eq!(default_impu(&user), None);
    }
}
