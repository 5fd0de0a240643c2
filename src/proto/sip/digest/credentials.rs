//! The value of Authorization and Proxy-Authorization (RFC 3261 20.7, 20.28): views into the received octets.

use super::algorithm::Algorithm;
use super::params::digest_params;

/// Digest credentials as sent: values without their quotes, escapes kept, nothing copied.
///
/// A first REGISTER of an IMS phone has an empty `nonce` and `response` (TS 24.229 5.1.1.2.1); absent and empty are
/// the same for the fields that are not options. Where a parameter comes twice the first one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// `username`: the IMPI, empty when absent.
    pub username: &'a [u8],
    /// `realm`.
    pub realm: &'a [u8],
    /// `nonce`.
    pub nonce: &'a [u8],
    /// `uri`: the digest-uri, hashed as sent.
    pub uri: &'a [u8],
    /// `response`.
    pub response: &'a [u8],
    /// `algorithm`, when it is one we know.
    pub algorithm: Option<Algorithm>,
    /// `algorithm` as sent; present with `algorithm` absent means one that we do not know.
    pub algorithm_name: Option<&'a [u8]>,
    /// `cnonce`.
    pub cnonce: Option<&'a [u8]>,
    /// `qop`; `None` when empty.
    pub qop: Option<&'a [u8]>,
    /// `nc`.
    pub nc: Option<&'a [u8]>,
    /// `opaque`.
    pub opaque: Option<&'a [u8]>,
    /// `auts`: the base64 text of a synchronisation failure (RFC 3310 3.4).
    pub auts: Option<&'a [u8]>,
}

impl<'a> Credentials<'a> {
    /// Reads a header value; `None` when its scheme is not Digest. Never fails otherwise: what cannot be read is
    /// absent, and the verification says no.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut credentials = Credentials::default();
        let mut seen = 0u16;
        for param in digest_params(value)? {
            let Some(index) = NAMES.iter().position(|name| param.name.eq_ignore_ascii_case(name)) else {
                continue;
            };
            if seen & 1 << index == 0 {
                seen |= 1 << index;
                credentials.set(index, param.value);
            }
        }
        Some(credentials)
    }

    fn set(&mut self, index: usize, value: &'a [u8]) {
        match NAMES[index] {
            b"username" => self.username = value,
            b"realm" => self.realm = value,
            b"nonce" => self.nonce = value,
            b"uri" => self.uri = value,
            b"response" => self.response = value,
            b"algorithm" => {
                self.algorithm = Algorithm::parse(value);
                self.algorithm_name = Some(value);
            }
            b"cnonce" => self.cnonce = Some(value),
            b"qop" => self.qop = (!value.is_empty()).then_some(value),
            b"nc" => self.nc = Some(value),
            b"opaque" => self.opaque = Some(value),
            _ => self.auts = Some(value),
        }
    }

    /// The number in `nc` (RFC 2617 3.2.2); `None` when absent or not up to 8 hex digits.
    pub fn nonce_count(&self) -> Option<u32> {
        let digits = self.nc.filter(|nc| nc.len() <= 8 && nc.iter().all(u8::is_ascii_hexdigit))?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}

/// The parameters that are read; all others are stepped over.
const NAMES: [&[u8]; 11] = [
    b"username",
    b"realm",
    b"nonce",
    b"uri",
    b"response",
    b"algorithm",
    b"cnonce",
    b"qop",
    b"nc",
    b"opaque",
    b"auts",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_register_of_a_phone() {
        let value = b"Digest uri=\"sip:ims.mnc001.mcc001.3gppnetwork.org\",username=\"001010000000001@ims.mnc001.mcc001.\
            3gppnetwork.org\",response=\"\",realm=\"ims.mnc001.mcc001.3gppnetwork.org\",nonce=\"\"";
        let c = Credentials::parse(value).expect("digest");
        assert_eq!(c.username, b"001010000000001@ims.mnc001.mcc001.3gppnetwork.org");
        assert_eq!(c.realm, b"ims.mnc001.mcc001.3gppnetwork.org");
        assert_eq!(c.uri, b"sip:ims.mnc001.mcc001.3gppnetwork.org");
        assert_eq!((c.nonce, c.response), (&b""[..], &b""[..]));
        assert_eq!((c.algorithm, c.algorithm_name, c.qop, c.nc, c.cnonce), (None, None, None, None, None));
    }

    #[test]
    fn quoting_of_every_parameter_is_free() {
        let quoted = b"Digest username=\"u\",realm=\"r\",nonce=\"n\",uri=\"sip:d\",response=\"0a\",algorithm=\"akav1-md5\",\
            cnonce=\"c\",qop=\"auth\",nc=\"0000000F\",opaque=\"o\",auts=\"YQ==\",integrity-protected=\"no\"";
        let c = Credentials::parse(quoted).expect("digest");
        let bare: Vec<u8> = quoted.iter().copied().filter(|b| *b != b'"').collect();
        assert_eq!(Credentials::parse(&bare), Some(c));
        let expected = Credentials {
            username: b"u",
            realm: b"r",
            nonce: b"n",
            uri: b"sip:d",
            response: b"0a",
            algorithm: Some(Algorithm::AkaV1Md5),
            algorithm_name: Some(b"akav1-md5"),
            cnonce: Some(b"c"),
            qop: Some(b"auth"),
            nc: Some(b"0000000F"),
            opaque: Some(b"o"),
            auts: Some(b"YQ=="),
        };
        assert_eq!(c, expected);
        assert_eq!(c.nonce_count(), Some(15));
    }

    #[test]
    fn the_first_of_two_counts_even_when_empty() {
        let c = Credentials::parse(b"Digest username=\"\",username=\"b\",QOP=,qop=auth").expect("digest");
        assert_eq!((c.username, c.qop), (&b""[..], None));
    }

    #[test]
    fn an_unknown_algorithm_is_told_from_an_absent_one() {
        let c = Credentials::parse(b"Digest algorithm=AKAv3-MD5").expect("digest");
        assert_eq!((c.algorithm, c.algorithm_name), (None, Some(&b"AKAv3-MD5"[..])));
    }

    #[test]
    fn only_hex_is_a_nonce_count() {
        for (nc, count) in
            [("1", Some(1)), ("ffffffff", Some(u32::MAX)), ("+1", None), ("", None), ("100000000", None)]
        {
            let c = Credentials { nc: Some(nc.as_bytes()), ..Default::default() };
            assert_eq!(c.nonce_count(), count, "{nc:?}");
        }
        assert_eq!(Credentials::default().nonce_count(), None);
    }

    #[test]
    fn credentials_own_nothing() {
        assert!(!std::mem::needs_drop::<Credentials<'_>>());
    }
}
