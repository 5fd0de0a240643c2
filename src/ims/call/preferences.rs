//! Which of the callee's contacts the caller wants to reach: Accept-Contact, Reject-Contact and `no-fork` (RFC 3841, TS 24.229
//! 5.4.3.3), matched with the features that the contacts have registered (RFC 3840).
//!
//! What the caller prefers filters and orders contacts of equal q; it does not make groups of its own, so that a user's phones ring
//! together. Beyond the RFC: where `explicit` would leave nobody, contacts that merely say nothing of a feature are taken, as
//! VoLTE phones demand the mark of a VoLTE phone from whomever they call, and soft phones do not bear it. Preferences that follow
//! from the method (7.2.2) are not drawn: phones do not register methods.

use super::limits::MAX_PREFERENCES;
use crate::wire::sip::params::Param;
use crate::wire::sip::text::{decimal, percent_decode, trim};
use crate::wire::sip::{HeaderId, Message, Params};
use smallvec::SmallVec;

/// Feature tags that have no `+` (RFC 3840 9).
const BASE_TAGS: [&str; 19] = [
    "audio",
    "automata",
    "class",
    "duplex",
    "data",
    "control",
    "mobility",
    "description",
    "events",
    "priority",
    "methods",
    "extensions",
    "schemes",
    "application",
    "video",
    "language",
    "type",
    "isfocus",
    "actor",
];

/// What a caller wants.
#[derive(Debug, Default)]
pub(super) struct Preferences<'m> {
    accept: SmallVec<[Predicate<'m>; 2]>,
    reject: SmallVec<[Predicate<'m>; 2]>,
    /// `Request-Disposition: no-fork`: one contact alone.
    pub(super) no_fork: bool,
}

/// One value of Accept-Contact or Reject-Contact.
#[derive(Clone, Copy, Debug)]
struct Predicate<'m> {
    params: Params<'m>,
    require: bool,
    explicit: bool,
}

/// What a contact is to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rating {
    /// It has what is not wanted, or has not what is required.
    Unwanted,
    /// It does not say that it has what is required, nor that it has not.
    Silent,
    /// It is wanted this much, in thousandths.
    Wanted(u32),
}

impl<'m> Preferences<'m> {
    /// Reads what a request says, up to [`MAX_PREFERENCES`] of each.
    pub(super) fn of(msg: &Message<'m>) -> Preferences<'m> {
        let all = |id| {
            let predicates = msg.values(id).map(|value| {
                let (_, params) = Params::split(value);
                Predicate { params, require: params.has("require"), explicit: params.has("explicit") }
            });
            predicates.filter(|p| p.terms().next().is_some()).take(MAX_PREFERENCES).collect()
        };
        let mut wishes = msg.values(HeaderId::RequestDisposition);
        Preferences {
            accept: all(HeaderId::AcceptContact),
            reject: all(HeaderId::RejectContact),
            no_fork: wishes.any(|word| word.eq_ignore_ascii_case(b"no-fork")),
        }
    }

    /// Rates a contact by the parameters that it has registered (RFC 3841 7.2.4).
    pub(super) fn rate(&self, contact: Params<'_>) -> Rating {
        // RFC 3841 7.2.3: who says nothing of features is immune; the instance alone says nothing but who it is
        let says = |p: Param<'_>| is_feature(p.name) && !p.name.eq_ignore_ascii_case(b"+sip.instance");
        let names_instance = |p: &Predicate<'_>| p.params.has("+sip.instance");
        let is_immune =
            !contact.iter().any(says) && !self.accept.iter().chain(&self.reject).any(names_instance);
        if is_immune {
            return Rating::Wanted(1000);
        }
        if self.reject.iter().any(|predicate| predicate.rejects(contact)) {
            return Rating::Unwanted;
        }
        let (mut sum, mut count, mut is_silent) = (0, 0, false);
        for predicate in &self.accept {
            match predicate.score(contact) {
                None if predicate.require => return Rating::Unwanted,
                None => {}
                Some(score) if predicate.explicit && score < 1000 => {
                    is_silent |= predicate.require;
                    count += 1;
                }
                Some(score) => (sum, count) = (sum + score, count + 1),
            }
        }
        match (is_silent, count) {
            (true, _) => Rating::Silent,
            (false, 0) if self.accept.is_empty() => Rating::Wanted(1000),
            (false, count) => Rating::Wanted(sum / count.max(1)),
        }
    }
}

impl<'m> Predicate<'m> {
    fn terms(self) -> impl Iterator<Item = Param<'m>> {
        self.params.iter().filter(|p| is_feature(p.name))
    }

    /// Whether the contact says of every feature that it has it.
    fn rejects(self, contact: Params<'_>) -> bool {
        self.terms().all(|term| value_of(contact, term.name).is_some_and(|given| matches(term, given)))
    }

    /// How many of the features the contact speaks of, in thousandths of all; none when it contradicts one.
    fn score(self, contact: Params<'_>) -> Option<u32> {
        let (mut said, mut all) = (0, 0);
        for term in self.terms() {
            all += 1;
            if let Some(given) = value_of(contact, term.name) {
                if !matches(term, given) {
                    return None;
                }
                said += 1;
            }
        }
        Some(1000 * said / all.max(1))
    }
}

fn is_feature(name: &[u8]) -> bool {
    name.starts_with(b"+") || BASE_TAGS.iter().any(|tag| name.eq_ignore_ascii_case(tag.as_bytes()))
}

fn value_of<'c>(contact: Params<'c>, name: &[u8]) -> Option<&'c [u8]> {
    contact.iter().find(|p| p.name.eq_ignore_ascii_case(name)).map(text_of)
}

/// A feature without a value is one that is there (RFC 3840 9).
fn text_of(param: Param<'_>) -> &[u8] {
    if param.value.is_none() { b"TRUE" } else { param.text() }
}

/// Whether one of the values that are wanted is one of those that are given.
fn matches(term: Param<'_>, given: &[u8]) -> bool {
    let items = |text| <[u8]>::split(text, |&o| o == b',').map(trim);
    items(text_of(term)).any(|wanted| match wanted.strip_prefix(b"!") {
        Some(unwanted) => !items(given).any(|item| is_value(unwanted, item)),
        None => items(given).any(|item| is_value(wanted, item)),
    })
}

/// RFC 3840 9: numbers by value, strings in angle brackets as they are, tokens without case and escapes.
fn is_value(wanted: &[u8], given: &[u8]) -> bool {
    if let (Some(wanted), Some(given)) =
        (wanted.strip_prefix(b"#"), given.strip_prefix(b"#").and_then(number))
    {
        return is_in_range(wanted, given);
    }
    if wanted.starts_with(b"<") {
        return wanted == given;
    }
    percent_decode(wanted).eq_ignore_ascii_case(&percent_decode(given))
}

fn number(text: &[u8]) -> Option<u32> {
    decimal(text.strip_prefix(b"=").unwrap_or(text))
}

/// `=n`, `>=n`, `<=n`, `n:m` (RFC 3840 5).
fn is_in_range(wanted: &[u8], given: u32) -> bool {
    let bound = |text: &[u8]| decimal(text);
    if let Some(least) = wanted.strip_prefix(b">=") {
        return bound(least).is_some_and(|least| given >= least);
    }
    if let Some(most) = wanted.strip_prefix(b"<=") {
        return bound(most).is_some_and(|most| given <= most);
    }
    match memchr::memchr(b':', wanted) {
        Some(at) => {
            bound(&wanted[..at]).zip(bound(&wanted[at + 1..])).is_some_and(|(a, b)| (a..=b).contains(&given))
        }
        None => number(wanted) == Some(given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip::Index;

    const MMTEL: &str = "+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"";
    const VOLTE: &str =
        ";audio;video;+g.3gpp.smsip;+g.3gpp.icsi-ref=\"urn:urn-7:3gpp-service.ims.icsi.mmtel,urn:x\"";

    fn rate(headers: &str, contact: &str) -> Rating {
        let text = format!("INVITE tel:1 SIP/2.0\r\n{headers}\r\n\r\n");
        let mut index = Index::new();
        let msg = Message::parse(text.as_bytes(), &mut index).unwrap();
        Preferences::of(&msg).rate(Params::new(contact.as_bytes()))
    }

    #[test]
    fn what_a_volte_phone_asks_for() {
        let plain = format!("Accept-Contact: *;{MMTEL}");
        let strict = format!("a: *;{MMTEL};require;explicit");
        for (headers, contact, rating) in [
            (plain.as_str(), VOLTE, Rating::Wanted(1000)),
            (&plain, ";audio", Rating::Wanted(0)),
            (&plain, ";+g.3gpp.icsi-ref=\"urn%3Ax\"", Rating::Wanted(0)),
            (&plain, "", Rating::Wanted(1000)),
            (&strict, VOLTE, Rating::Wanted(1000)),
            (&strict, ";audio", Rating::Silent),
            (&strict, ";+g.3gpp.icsi-ref=\"urn%3Ax\"", Rating::Unwanted),
            (&strict, ";+sip.instance=\"<urn:x>\";reg-id=1", Rating::Wanted(1000)),
            ("", ";audio", Rating::Wanted(1000)),
        ] {
            assert_eq!(rate(headers, contact), rating, "{headers} {contact}");
        }
    }

    #[test]
    fn require_and_explicit_as_the_figure_says() {
        for (params, none, half, all) in [
            ("", Rating::Wanted(0), Rating::Wanted(500), Rating::Wanted(1000)),
            (";explicit", Rating::Wanted(0), Rating::Wanted(0), Rating::Wanted(1000)),
            (";require", Rating::Wanted(0), Rating::Wanted(500), Rating::Wanted(1000)),
            (";require;explicit", Rating::Silent, Rating::Silent, Rating::Wanted(1000)),
        ] {
            let headers = format!("Accept-Contact: *;audio;video{params}");
            assert_eq!(rate(&headers, ";isfocus"), none, "{params}");
            assert_eq!(rate(&headers, ";audio"), half, "{params}");
            assert_eq!(rate(&headers, ";audio;video"), all, "{params}");
        }
        assert_eq!(rate("Accept-Contact: *;video;require", ";audio;video=\"FALSE\""), Rating::Unwanted);
        assert_eq!(rate("Accept-Contact: *;video", ";audio;video=\"FALSE\""), Rating::Wanted(0));
        assert_eq!(rate("Accept-Contact: *;video, *;audio", ";audio"), Rating::Wanted(500), "the mean");
    }

    #[test]
    fn who_says_that_it_has_what_is_rejected_is_left_out() {
        let reject = "Reject-Contact: *;automata;video";
        assert_eq!(rate(reject, ";automata;video;audio"), Rating::Unwanted);
        assert_eq!(rate(reject, ";automata"), Rating::Wanted(1000), "it says nothing of video");
        assert_eq!(rate(reject, ";automata;video=\"FALSE\""), Rating::Wanted(1000));
        assert_eq!(rate("j: *;mobility=\"mobile\"", ";mobility=\"fixed\""), Rating::Wanted(1000));
    }

    #[test]
    fn one_phone_can_be_named() {
        let one = "Accept-Contact: *;+sip.instance=\"<urn:gsma:imei:35033005-000015-0>\";require;explicit";
        assert_eq!(rate(one, ";+sip.instance=\"<urn:gsma:imei:35033005-000015-0>\""), Rating::Wanted(1000));
        assert_eq!(rate(one, ";+sip.instance=\"<urn:gsma:imei:35033005-000016-0>\""), Rating::Unwanted);
        assert_eq!(rate(one, ""), Rating::Silent);
    }

    #[test]
    fn values_are_compared_by_their_kind() {
        let fits = |wanted: &str, given: &str| {
            rate(&format!("Accept-Contact: *;{wanted};require"), &format!(";{given}")) == Rating::Wanted(1000)
        };
        assert!(fits("class=\"BUSINESS\"", "class=\"business,personal\""));
        assert!(fits("class=\"!personal\"", "class=\"business\""));
        assert!(!fits("class=\"!personal\"", "class=\"business,personal\""));
        assert!(!fits("description=\"<PC>\"", "description=\"<pc>\""));
        for (wanted, fit) in
            [("#=5", true), ("#>=5", true), ("#<=4", false), ("#3:5", true), ("#6:9", false), ("#x", false)]
        {
            assert_eq!(fits(&format!("priority=\"{wanted}\""), "priority=\"#5\""), fit, "{wanted}");
        }
    }
}
