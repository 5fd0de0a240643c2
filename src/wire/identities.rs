//! Identities of subscribers and equipment, and telephone numbers in their SIP and tel forms.
//!
//! TS 23.003 (IMSI 2.2, IMEI 6.2), RFC 3966 (tel), RFC 3261 19.1.6 (telephone-subscriber inside a SIP URI), RFC 7254
//! (IMEI as URN). A number is brought to one form, so that all its spellings find the same subscriber; no dial plan is
//! applied here.

use super::sip::text::percent_decode;
use super::sip::{Params, Scheme, Uri};
use arrayvec::{ArrayString, ArrayVec};
use std::fmt;

/// Longest number that is taken, `+` included; E.164 has 15 digits, dialled strings more.
pub const MAX_NUMBER: usize = 40;

/// An IMSI: 6 to 15 digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Imsi(ArrayString<15>);

impl Imsi {
    /// Reads the digits; `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<Imsi> {
        let digits = std::str::from_utf8(text).ok()?;
        let valid = (6..=15).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
        valid.then(|| ArrayString::from(digits).ok().map(Imsi))?
    }

    /// The IMSI of an IMPI or IMPU that is derived from one: the digits before the `@` (TS 23.003 13.3, 13.4B).
    pub fn of_identity(identity: &[u8]) -> Option<Imsi> {
        let end = memchr::memchr(b'@', identity).unwrap_or(identity.len());
        Imsi::parse(&identity[..end]).filter(|imsi| imsi.0.len() >= 14)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Imsi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digits of an IMEI in an instance id, `urn:gsma:imei:TTTTTTTT-SSSSSS-C` with or without angle brackets (RFC 7254 4).
pub fn imei_of_instance(instance: &[u8]) -> Option<ArrayString<16>> {
    const PREFIX: &[u8] = b"urn:gsma:imei:";
    let inner = instance.strip_prefix(b"<").map_or(instance, |i| i.strip_suffix(b">").unwrap_or(i));
    let head = inner.get(..PREFIX.len())?;
    if !head.eq_ignore_ascii_case(PREFIX) {
        return None;
    }
    let mut digits = ArrayString::new();
    for &octet in inner[PREFIX.len()..].iter().take_while(|o| **o != b';').filter(|o| **o != b'-') {
        if !octet.is_ascii_alphanumeric() || digits.try_push(char::from(octet)).is_err() {
            return None;
        }
    }
    (digits.len() >= 14).then_some(digits)
}

/// Whether two IMEIs, with dashes or without, are of one phone: the last digit does not count, as it is a check digit, a spare,
/// or missing (TS 23.003 6.2).
pub fn same_imei(a: &str, b: &str) -> bool {
    let digits =
        |text: &str| -> ArrayVec<u8, 14> { text.bytes().filter(u8::is_ascii_digit).take(14).collect() };
    digits(a).len() == 14 && digits(a) == digits(b)
}

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

    /// The number with its `+` taken away, or given one.
    pub fn other_form(&self) -> Option<Number> {
        match self.0.strip_prefix('+') {
            Some(local) => ArrayString::from(local).ok().map(Number),
            None => self.prefixed("+"),
        }
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
    /// `phone-context`: a `+` prefix or a domain, for local numbers (RFC 3966 5.1.4).
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
                let context = params.get("phone-context").or_else(|| uri.params.get("phone-context"));
                Some(Telephone { number: Number::parse(user)?, context })
            }
            Scheme::Urn | Scheme::Other => None,
        }
    }

    /// The global number, when the number is global or its context is a prefix of global numbers (RFC 3966 5.1.4).
    pub fn global(&self) -> Option<Number> {
        if self.number.is_global() {
            return Some(self.number);
        }
        let prefix = Number::parse(self.context?).filter(Number::is_global)?;
        self.number.prefixed(&prefix.0)
    }

    /// The numbers under which the subscriber may be known, likeliest first: global, as dialled, with and without `+`.
    pub fn forms(&self) -> impl Iterator<Item = Number> + use<> {
        let global = self.global();
        [global, Some(self.number), self.number.other_form(), global.and_then(|g| g.other_form())]
            .into_iter()
            .flatten()
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
        let uri = Uri::parse(uri.as_bytes()).expect("a URI");
        Telephone::of(&uri).map_or(vec![], |t| t.forms().map(|n| n.to_string()).collect())
    }

    #[test]
    fn every_spelling_of_a_global_number_is_one() {
        for uri in [
            "tel:+33-6.12(34)56",
            "tel:+336123456;phone-context=a.b",
            "sip:+336123456@ims.test;user=phone",
            "sip:+336123456@h",
            "tel:6123456;phone-context=+33",
            "sip:6123456;phone-context=+33@ims.test;user=phone",
            "sip:%2B336123456@h",
        ] {
            assert_eq!(forms(uri)[0], "+336123456", "{uri}");
        }
    }

    #[test]
    fn local_numbers_keep_their_digits_whatever_the_context() {
        for uri in [
            "tel:0612;phone-context=ims.mnc001.mcc001.3gppnetwork.org",
            "sip:0612;phone-context=h@h;user=phone",
            "sip:0612@h;phone-context=h;user=phone",
        ] {
            assert_eq!(forms(uri), ["0612", "+0612"], "{uri}");
        }
        assert_eq!(forms("sip:*%2321%23@h"), ["*#21#", "+*#21#"]);
        assert_eq!(forms("sip:alice@h"), [""; 0]);
        assert_eq!(forms("sip:abcdef@h"), [""; 0]);
        assert_eq!(forms("sip:h"), [""; 0]);
    }

    #[test]
    fn a_number_longer_than_the_limit_is_none() {
        let digits = "1".repeat(MAX_NUMBER);
        assert!(Number::parse(digits.as_bytes()).is_some());
        assert_eq!(Number::parse(digits.as_bytes()).and_then(|n| n.other_form()), None);
        assert_eq!(Number::parse("1".repeat(MAX_NUMBER + 1).as_bytes()), None);
    }

    #[test]
    fn imei_from_the_instance_id() {
        let imei = |text: &str| imei_of_instance(text.as_bytes()).map(|i| i.to_string());
        assert_eq!(imei("<urn:gsma:imei:86130905-000038-0>").as_deref(), Some("861309050000380"));
        assert_eq!(imei("urn:gsma:imei:86130905-000038-0;svn=42").as_deref(), Some("861309050000380"));
        assert_eq!(imei("<urn:uuid:00000000-0000-1000-8000-000000000001>"), None);
        assert_eq!(imei("<urn:gsma:imei:1>"), None);
    }

    #[test]
    fn imsi_of_derived_identities() {
        let imsi = |text: &str| Imsi::of_identity(text.as_bytes()).map(|i| i.to_string());
        assert_eq!(imsi("001010123456789@ims.test").as_deref(), Some("001010123456789"));
        assert_eq!(imsi("0600000000@ims.test"), None);
        assert_eq!(imsi("alice@ims.test"), None);
    }
}
