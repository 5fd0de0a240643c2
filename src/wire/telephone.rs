//! Telephone numbers in their SIP and tel forms, brought to one form so that all spellings find the same subscriber.
//!
//! RFC 3966 (tel), RFC 3261 19.1.6 (telephone-subscriber inside a SIP URI), RFC 4694 and 2806 (parameters that name no other
//! subscriber: `isub`, `ext`, `npdi`, `rn` and what else there is but `phone-context`). The only rules of dialling are those
//! that hold nearly everywhere: `00` in front of a country code (E.164 appendix, E.123 4.1) and `0` in front of a national
//! number.

use super::sip::text::percent_decode;
use super::sip::{Host, Params, Scheme, Uri};
use arrayvec::{ArrayString, ArrayVec};
use std::fmt;

/// Longest number that is taken, `+` included; E.164 has 15 digits, dialled strings more.
pub const MAX_NUMBER: usize = 40;

/// Spellings that one number has at most: see [`Telephone::forms`].
const MAX_FORMS: usize = 6;

/// The digits of a number that count, last one first.
pub type Ending = ArrayVec<u8, MAX_NUMBER>;

/// A telephone number: an optional `+`, then digits, `*`, `#` and the letters A to F in upper case; no separators.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Number(ArrayString<MAX_NUMBER>);

impl Number {
    /// Reads a number with its visual separators and escapes (RFC 3966 3, 5.1.1); `None` when it holds anything else, has
    /// no digit, or is too long.
    pub fn parse(text: &[u8]) -> Option<Number> {
        let decoded = percent_decode(text);
        let mut number = ArrayString::new();
        let mut digits = 0;
        for (at, &octet) in decoded.iter().enumerate() {
            let kept = match octet {
                b'-' | b'.' | b'(' | b')' | b' ' => continue,
                b'+' if at == 0 => '+',
                b'0'..=b'9' | b'*' | b'#' => char::from(octet),
                b'A'..=b'F' | b'a'..=b'f' => char::from(octet.to_ascii_uppercase()),
                _ => return None,
            };
            digits += usize::from(octet.is_ascii_digit());
            number.try_push(kept).ok()?;
        }
        (digits > 0).then_some(Number(number))
    }

    /// The number as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a global number.
    pub fn is_global(&self) -> bool {
        self.0.starts_with('+')
    }

    /// Whether it is longer than `other` and begins with it.
    pub fn continues(&self, other: &Number) -> bool {
        self.0.len() > other.0.len() && self.0.starts_with(other.as_str())
    }

    /// The number with its `+` taken away, or given one.
    pub fn other_form(&self) -> Option<Number> {
        match self.0.strip_prefix('+') {
            Some(local) => ArrayString::from(local).ok().map(Number),
            None => self.prefixed("+"),
        }
    }

    /// The global number that is dialled with the prefix `00`.
    fn international(&self) -> Option<Number> {
        let rest = self.0.strip_prefix("00").filter(|rest| rest.starts_with(|c| matches!(c, '1'..='9')))?;
        Number(ArrayString::from(rest).ok()?).prefixed("+")
    }

    /// The national number without the `0` that it is dialled with.
    fn without_trunk_prefix(&self) -> Option<Number> {
        let rest = self.0.strip_prefix('0').filter(|rest| !rest.is_empty())?;
        ArrayString::from(rest).ok().map(Number)
    }

    /// The digits without `+`, `00` or `0` in front, last one first; none where there are other signs than digits.
    pub fn ending(&self) -> Option<Ending> {
        let digits = self.0.strip_prefix('+').or(self.0.strip_prefix("00")).unwrap_or(&self.0);
        let digits = digits.strip_prefix('0').unwrap_or(digits);
        digits.bytes().all(|o| o.is_ascii_digit()).then(|| digits.bytes().rev().collect())
    }

    /// `prefix` and the number, one after the other.
    fn prefixed(&self, prefix: &str) -> Option<Number> {
        let mut number = ArrayString::new();
        number.try_push_str(prefix).ok()?;
        number.try_push_str(&self.0).ok()?;
        Some(Number(number))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A telephone number with the context that it was dialled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Telephone<'a> {
    /// The number as dialled.
    pub number: Number,
    /// `phone-context`: a `+` prefix or a domain, for local numbers (RFC 3966 5.1.4); where a SIP URI has none, its domain.
    pub context: Option<&'a [u8]>,
}

impl<'a> Telephone<'a> {
    /// The number that a tel URI holds, or a SIP URI in its user part, `;phone-context` inside it included
    /// (RFC 3261 19.1.6); whether the SIP URI says `user=phone` does not matter. `None` when there is no number.
    pub fn of(uri: &Uri<'a>) -> Option<Telephone<'a>> {
        match uri.scheme {
            Scheme::Tel => {
                Some(Telephone { number: Number::parse(uri.user)?, context: uri.params.get("phone-context") })
            }
            Scheme::Sip | Scheme::Sips => {
                let (user, params) = user_and_params(uri.user);
                let domain = match uri.host {
                    Host::Name(name) => Some(name),
                    Host::Ip(_) => None,
                };
                let given = params.get("phone-context").or_else(|| uri.params.get("phone-context"));
                Some(Telephone { number: Number::parse(user)?, context: given.or(domain) })
            }
            Scheme::Urn | Scheme::Other => None,
        }
    }

    /// The global number, when the number is global or its context is a prefix of global numbers (RFC 3966 5.1.4).
    pub fn global(&self) -> Option<Number> {
        if self.number.is_global() {
            return Some(self.number);
        }
        self.number.prefixed(self.prefix()?.as_str())
    }

    /// Whether it names one subscriber in the world: it is global, or dialled as such.
    pub fn is_global(&self) -> bool {
        self.global().is_some() || self.number.international().is_some()
    }

    /// The numbers under which the subscriber may be known, likeliest first: global, as dialled, with and without `+`, without
    /// the prefixes of dialling. Each once.
    pub fn forms(&self) -> ArrayVec<Number, MAX_FORMS> {
        let global = self.global();
        let national = self.number.without_trunk_prefix().zip(self.prefix());
        let national = national.and_then(|(number, prefix)| number.prefixed(prefix.as_str()));
        let all = [
            global,
            Some(self.number),
            self.number.other_form(),
            global.and_then(|g| g.other_form()),
            self.number.international(),
            national,
        ];
        let mut forms = ArrayVec::new();
        for form in all.into_iter().flatten() {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        forms
    }

    /// The context, when it is a prefix of global numbers.
    fn prefix(&self) -> Option<Number> {
        Number::parse(self.context?).filter(Number::is_global)
    }
}

/// Splits the user part of a SIP URI from the parameters that a telephone-subscriber has inside it.
pub fn user_and_params(user: &[u8]) -> (&[u8], Params<'_>) {
    let end = memchr::memchr(b';', user).unwrap_or(user.len());
    (&user[..end], Params::new(&user[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(uri: &str) -> Vec<String> {
        let uri = Uri::parse(uri.as_bytes()).unwrap_or_else(|| panic!("{uri} is no URI"));
        Telephone::of(&uri).map_or(vec![], |t| t.forms().iter().map(Number::to_string).collect())
    }

    /// What phones put into Request-URI, To and From, and the first form that it becomes.
    const SPELLINGS: &[(&str, &str)] = &[
        // global
        ("tel:+336123456", "+336123456"),
        ("TEL:+336123456", "+336123456"),
        ("tel:+33-6.12(34)56", "+336123456"),
        ("tel:%2B336123456", "+336123456"),
        ("tel:+336123456;phone-context=a.b", "+336123456"),
        ("tel:+336123456;isub=12;ext=7", "+336123456"),
        ("tel:+336123456;npdi;rn=+33700000000", "+336123456"),
        ("sip:+336123456@ims.test", "+336123456"),
        ("SIP:+336123456@IMS.TEST;USER=PHONE", "+336123456"),
        ("sips:+336123456@ims.test;user=phone", "+336123456"),
        ("sip:+336123456@ims.test;user=phone;transport=tcp", "+336123456"),
        ("sip:+33-612-3456@ims.test", "+336123456"),
        ("sip:%2B336123456@ims.test", "+336123456"),
        ("sip:%2b33612%33456@ims.test", "+336123456"),
        ("sip:+336123456;npdi;rn=+33700000000@ims.test;user=phone", "+336123456"),
        ("sip:+336123456;ext=7;phone-context=ims.test@ims.test;user=phone", "+336123456"),
        ("sip:+336123456:secret@ims.test", "+336123456"),
        ("sip:+336123456@192.0.2.1:5060", "+336123456"),
        ("sip:+336123456@[2001:db8::1]", "+336123456"),
        // local, with a prefix of global numbers as context
        ("tel:6123456;phone-context=+33", "+336123456"),
        ("tel:6123456;PHONE-CONTEXT=+3-3", "+336123456"),
        ("sip:6123456;phone-context=+33@ims.test;user=phone", "+336123456"),
        ("sip:6123456;phone-context=%2B33@ims.test;user=phone", "+336123456"),
        ("sip:6123456@ims.test;phone-context=+33;user=phone", "+336123456"),
        // local, with a domain as context: as dialled
        ("tel:0612345678;phone-context=ims.mnc001.mcc001.3gppnetwork.org", "0612345678"),
        ("sip:0612345678;phone-context=ims.test@ims.test;user=phone", "0612345678"),
        ("sip:0612345678;phone-context=ims.test@ims.test", "0612345678"),
        ("sip:0612345678@ims.test;user=phone", "0612345678"),
        ("sip:194;phone-context=ims.test@ims.test;user=phone", "194"),
        ("tel:06-12.34(56)78", "0612345678"),
        ("tel:0612345678", "0612345678"),
        ("sip:666@ims.test", "666"),
        ("sip:1002@192.0.2.1;transport=UDP", "1002"),
        // with * and #, and the letters of DTMF
        ("sip:*%2321%23@ims.test", "*#21#"),
        ("tel:*%2321%23;phone-context=ims.test", "*#21#"),
        ("tel:*21*0612345678#", "*21*0612345678#"),
        ("sip:*43%23;phone-context=ims.test@ims.test;user=phone", "*43#"),
        ("tel:12ab", "12AB"),
        ("tel:12aB;phone-context=h", "12AB"),
    ];

    #[test]
    fn every_spelling_becomes_one_number() {
        for (uri, number) in SPELLINGS {
            assert_eq!(forms(uri).first().map(String::as_str), Some(*number), "{uri}");
        }
    }

    #[test]
    fn what_is_no_number_has_no_form() {
        for uri in [
            "sip:alice@h",
            "sip:abcdef@h",
            "sip:h",
            "sip:1a2g@h",
            "sip:06+12@h",
            "sip:*@h",
            "sip:%20@h",
            "urn:service:sos",
            "http://123",
        ] {
            assert_eq!(forms(uri), [""; 0], "{uri}");
        }
    }

    #[test]
    fn other_forms_follow_in_the_order_of_likelihood() {
        assert_eq!(forms("tel:+336"), ["+336", "336"]);
        assert_eq!(forms("sip:0612;phone-context=h@h;user=phone"), ["0612", "+0612"]);
        assert_eq!(forms("tel:0033612"), ["0033612", "+0033612", "+33612"], "00 before a country code");
        assert_eq!(forms("tel:000"), ["000", "+000"], "Australia's emergency number is none");
        assert_eq!(forms("tel:612;phone-context=+33"), ["+33612", "612", "+612", "33612"]);
        // some countries keep the 0 of national numbers behind the country code, most do not
        assert_eq!(forms("tel:0612;phone-context=+33"), ["+330612", "0612", "+0612", "330612", "+33612"]);
    }

    #[test]
    fn a_number_longer_than_the_limit_is_none() {
        let digits = "1".repeat(MAX_NUMBER);
        assert!(Number::parse(digits.as_bytes()).is_some());
        assert_eq!(Number::parse(digits.as_bytes()).and_then(|n| n.other_form()), None);
        assert_eq!(Number::parse("1".repeat(MAX_NUMBER + 1).as_bytes()), None);
    }

    #[test]
    fn the_digits_that_count_are_those_behind_the_prefixes() {
        let ending = |text: &str| {
            let ending = Number::parse(text.as_bytes()).unwrap().ending()?;
            Some(ending.iter().rev().map(|&o| char::from(o)).collect::<String>())
        };
        for (text, digits) in [
            ("+33612345678", Some("33612345678")),
            ("0033612345678", Some("33612345678")),
            ("0612345678", Some("612345678")),
            ("612345678", Some("612345678")),
            ("*21#", None),
            ("+*1", None),
        ] {
            assert_eq!(ending(text).as_deref(), digits, "{text}");
        }
    }
}
