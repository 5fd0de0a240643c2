//! Identities of subscribers and equipment: TS 23.003 (IMSI 2.2, IMEI 6.2), RFC 7254 (IMEI as URN). Telephone numbers have
//! their own module, `telephone`.

use arrayvec::{ArrayString, ArrayVec};
use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

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
