//! Contact (RFC 3261 20.10) as phones register it: preference, lifetime, instance and features (RFC 3840, RFC 5626, TS 24.229).

use super::name_addr::NameAddr;
use super::params::Params;
use super::text::{decimal_u64, percent_eq, qvalue, trim};
use std::fmt;

/// One Contact value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contact<'a> {
    /// The address and its parameters.
    pub addr: NameAddr<'a>,
}

impl<'a> Contact<'a> {
    /// Parses one value; `None` for `*` and for what is no address.
    pub fn parse(value: &'a [u8]) -> Option<Contact<'a>> {
        NameAddr::parse(value).filter(|a| a.uri_text != b"*").map(|addr| Contact { addr })
    }

    fn params(&self) -> Params<'a> {
        self.addr.params
    }

    /// The preference in thousandths; 1000 when there is none, or one that is no qvalue.
    pub fn q(&self) -> u16 {
        self.params().get("q").and_then(qvalue).unwrap_or(1000)
    }

    /// The lifetime in seconds, if the contact has one of its own; numbers over 2^32-1 count as 2^32-1, and what is no number
    /// as 3600 (RFC 3261 10.2.1.1).
    pub fn expires_secs(&self) -> Option<u32> {
        let text = self.params().get("expires")?;
        Some(decimal_u64(text).map_or(3600, |n| u32::try_from(n).unwrap_or(u32::MAX)))
    }

    /// The instance: the URN of `+sip.instance` without quotes and brackets (RFC 5626 4.1).
    pub fn instance(&self) -> Option<&'a [u8]> {
        let text = trim(self.params().get("+sip.instance")?);
        let urn = text.strip_prefix(b"<").and_then(|t| t.strip_suffix(b">")).unwrap_or(text);
        Some(trim(urn)).filter(|u| !u.is_empty())
    }

    /// The IMEI, when the instance is one.
    pub fn imei(&self) -> Option<Imei> {
        self.instance().and_then(Imei::from_urn)
    }

    /// `reg-id` (RFC 5626 4.2).
    pub fn reg_id(&self) -> Option<u32> {
        self.params().number("reg-id")
    }

    /// Whether it has this feature; a value `FALSE` denies it (RFC 3840 9).
    pub fn has(&self, feature: &str) -> bool {
        self.params().get(feature).is_some_and(|v| !v.eq_ignore_ascii_case(b"FALSE"))
    }

    /// Whether SMS over IP is wanted here (TS 24.341 5.3.2.2).
    pub fn has_smsip(&self) -> bool {
        self.has("+g.3gpp.smsip")
    }

    /// Whether video can be received here (RFC 3840 10).
    pub fn has_video(&self) -> bool {
        self.has("video")
    }

    /// Whether the list of communication services has this URN, percent-encoded or not: `urn:urn-7:3gpp-service.ims.icsi.mmtel`.
    pub fn has_icsi(&self, urn: &str) -> bool {
        let list = self.params().get("+g.3gpp.icsi-ref").unwrap_or_default();
        list.split(|&o| o == b',').any(|item| percent_eq(trim(item), urn.as_bytes()))
    }
}

/// An International Mobile Equipment Identity: 15 digits, the last one a check digit or, in SIP, a spare 0 (RFC 7254 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Imei([u8; 15]);

impl Imei {
    /// From `urn:gsma:imei:86130905-000038-0`; hyphens may be missing, parameters such as `svn` are left out.
    pub fn from_urn(urn: &[u8]) -> Option<Imei> {
        const PREFIX: &[u8] = b"urn:gsma:imei:";
        let (head, rest) = urn.split_at_checked(PREFIX.len())?;
        if !head.eq_ignore_ascii_case(PREFIX) {
            return None;
        }
        let (digits, _) = Params::split(rest);
        let mut imei = [0; 15];
        let mut count = 0;
        for &octet in digits.iter().filter(|&&o| o != b'-') {
            *imei.get_mut(count)? = octet.is_ascii_digit().then_some(octet)?;
            count += 1;
        }
        (count == imei.len()).then_some(Imei(imei))
    }

    /// The 15 digits.
    pub fn digits(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only ASCII digits are taken")
    }

    /// Whether both name the same device: the last digit, check or spare, does not count (TS 23.003 6.2.1).
    pub fn same_device(&self, other: &Imei) -> bool {
        self.0[..14] == other.0[..14]
    }
}

impl fmt::Display for Imei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_phone_registers() {
        let c = Contact::parse(
            b"<sip:001010123456712@10.45.0.112:5060>;q=0.5;expires=99999999999;\
            +sip.instance=\"<urn:gsma:imei:86130905-000038-0>\";audio;video;+g.3gpp.smsip;\
            +g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel,urn%3Aurn-7%3Ax\"",
        )
        .unwrap();
        assert_eq!((c.q(), c.expires_secs(), c.reg_id()), (500, Some(u32::MAX), None));
        assert_eq!(c.imei().unwrap().to_string(), "861309050000380");
        assert!(c.has_video() && c.has_smsip() && !c.has("isfocus"));
        assert!(c.has_icsi("urn:urn-7:3gpp-service.ims.icsi.mmtel") && c.has_icsi("urn:urn-7:x"));
        assert!(!c.has_icsi("urn:urn-7"));
        assert_eq!(Contact::parse(b"*"), None);
    }

    #[test]
    fn bad_parameters_have_their_defaults() {
        let c = Contact::parse(b"<sip:h>;q=7;expires=soon;video=\"FALSE\";+sip.instance=\"<>\"").unwrap();
        assert_eq!((c.q(), c.expires_secs(), c.has_video(), c.instance()), (1000, Some(3600), false, None));
        assert_eq!(Contact::parse(b"<sip:h>").unwrap().expires_secs(), None);
    }

    #[test]
    fn imei_with_and_without_hyphens() {
        let a = Imei::from_urn(b"urn:gsma:imei:35411400-000000-2").unwrap();
        let b = Imei::from_urn(b"URN:GSMA:IMEI:354114000000000;svn=42").unwrap();
        assert_ne!(a, b);
        assert!(a.same_device(&b));
        for bad in [
            "urn:uuid:00000000-0000",
            "urn:gsma:imei:3541140000000",
            "urn:gsma:imei:3541140000000022",
            "urn:gsma:imei:35411400-00000x-2",
        ] {
            assert_eq!(Imei::from_urn(bad.as_bytes()), None, "{bad}");
        }
    }
}
