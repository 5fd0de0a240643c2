//! Who is meant by a short message's addresses, and by what addresses people are meant (TS 23.040 9.1.2.5, TS 24.341 5.3).

use crate::config::model::{CentreAddress, User};
use crate::ims::identity;
use crate::ims::subscriber::{Subscribers, Target};
use crate::wire::gsm::Address;
use crate::wire::sip::{Scheme, Uri};
use crate::wire::telephone::Telephone;

/// The centre's address where none is configured: a phone needs one to be told (TS 24.011 8.2.5.1), and dials none of zeros.
const NOWHERE: &str = "0000";

/// The user part of the centre's URI where it has no number.
const NAME: &str = "sms-centre";

/// Who sends what the operator sends without saying for whom, where the centre has no number.
pub(super) const OPERATOR: &str = "imsbox";

/// Whom texts come from whose sender wants to be unknown (RFC 3323 4.1.1.3).
pub(super) const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

/// RP-OA of what goes to phones.
pub(super) fn centre(settings: &CentreAddress) -> Address {
    let CentreAddress { digits, ton, npi } = settings;
    let kind = 0x80 | ton << 4 | npi;
    let configured = digits.as_deref().and_then(|digits| Address::of_digits(kind, digits));
    configured.or_else(|| Address::of_digits(0x81, NOWHERE)).unwrap_or(Address::NONE)
}

/// The URI of the IP-SM-GW, which phones send their reports to (TS 24.341 5.3.3.4).
pub(super) fn gateway(settings: &CentreAddress, domain: &str) -> String {
    match (&settings.digits, settings.ton) {
        (Some(digits), 1) => format!("sip:+{digits}@{domain};user=phone"),
        (Some(digits), _) => format!("sip:{digits}@{domain};user=phone"),
        (None, _) => format!("sip:{NAME}@{domain}"),
    }
}

/// Whether a Request-URI names the centre itself.
pub(super) fn is_gateway(settings: &CentreAddress, uri: &Uri<'_>) -> bool {
    let same_number = |digits: &String| {
        Telephone::of(uri).is_some_and(|t| t.number.as_str().trim_start_matches('+') == digits.as_str())
    };
    uri.user.eq_ignore_ascii_case(NAME.as_bytes()) || settings.digits.as_ref().is_some_and(same_number)
}

/// The URI of an address; a name is one in `domain`.
pub(super) fn uri_of(address: &Address, domain: &str) -> String {
    match address.number() {
        Some(number) => format!("tel:{}", number.as_str()),
        None => format!("sip:{}@{domain}", escaped(&address.to_string())),
    }
}

/// A user part that holds any text (RFC 3261 25.1).
fn escaped(text: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&octet);
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match plain(octet) {
            true => out.push(char::from(octet)),
            false => out.push_str(&format!("%{octet:02X}")),
        }
    }
    out
}

/// Whom an address names: by number in each of its forms, or by name.
pub(super) fn lookup(subs: &Subscribers, address: &Address, domain: &str) -> Target {
    let text = uri_of(address, domain);
    Uri::parse(text.as_bytes()).map_or(Target::Unknown, |uri| subs.lookup(&uri))
}

/// The address of a URI or of a name: its number, else as much of its user part as an address holds.
pub(super) fn of_uri(text: &str) -> Address {
    if let Some(uri) = Uri::parse(text.as_bytes()) {
        let number = Telephone::of(&uri).and_then(|t| Address::of_number(&t.number));
        return number.unwrap_or_else(|| of_name(&String::from_utf8_lossy(&uri.user_decoded())));
    }
    let is_number = text.trim_start_matches('+').bytes().all(|o| o.is_ascii_digit()) && !text.is_empty();
    let number = is_number.then(|| {
        Uri::parse(format!("tel:{text}").as_bytes()).as_ref().and_then(Telephone::of).map(|t| t.number)
    });
    number.flatten().and_then(|n| Address::of_number(&n)).unwrap_or_else(|| of_name(text))
}

/// As much of a name as an address holds.
fn of_name(name: &str) -> Address {
    let mut short = name;
    loop {
        if let Some(address) = Address::of_name(short) {
            return address;
        }
        match short.char_indices().next_back() {
            Some((at, _)) => short = &short[..at],
            None => return Address::NONE,
        }
    }
}

/// The URI that a user's texts come from: the number where there is one, for that is what a phone can answer to.
pub(super) fn of_user(user: &User, imei: Option<&str>, impu: Option<usize>) -> String {
    let shown = impu.and_then(|at| user.impus.get(at)).filter(|impu| identity::is_shown(impu));
    if shown.is_some_and(|impu| impu.anonymous) {
        return ANONYMOUS.to_owned();
    }
    // the digits of an IMSI are no number that could be called
    let is_number = |uri: &str| {
        let uri = Uri::parse(uri.as_bytes());
        uri.is_some_and(|uri| uri.scheme == Scheme::Tel || identity::tel_number(&uri).is_some())
    };
    let all = || identity::associated(user, imei);
    let named = shown.map(|impu| impu.uri.clone()).filter(|uri| is_number(uri));
    named
        .or_else(|| all().into_iter().find(|uri| uri.starts_with("tel:")))
        .or_else(|| shown.map(|impu| impu.uri.clone()))
        .or_else(|| all().into_iter().next())
        .unwrap_or_else(|| format!("sip:{}", user.impi))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Impu;

    #[test]
    fn texts_come_from_the_number_of_a_user_and_not_from_the_imsi() {
        let of = |impus: &[&str], speaks: usize| {
            let impus = impus.iter().map(|uri| Impu::new((*uri).to_owned())).collect();
            let user = User { impi: "001010123456789@ims.test".to_owned(), impus, ..User::default() };
            of_user(&user, None, Some(speaks))
        };
        let imsi = "sip:001010123456789@ims.test";
        assert_eq!(of(&[imsi, "tel:600"], 0), "tel:600");
        assert_eq!(of(&[imsi, "tel:600", "tel:601"], 2), "tel:601");
        assert_eq!(of(&[imsi, "sip:+33600000001@ims.test"], 0), "tel:+33600000001");
        assert_eq!(of(&["sip:bob@ims.test"], 0), "sip:bob@ims.test");
        assert_eq!(of(&["sip:600@ims.test"], 0), "sip:600@ims.test");
    }

    #[test]
    fn the_centre_has_an_address_and_a_uri_with_and_without_a_number() {
        let none = CentreAddress::default();
        assert_eq!(
            (centre(&none).to_string().as_str(), gateway(&none, "x.org").as_str()),
            ("0000", "sip:sms-centre@x.org")
        );
        let some = CentreAddress { digits: Some("33609001390".to_owned()), ton: 1, npi: 9 };
        let address = centre(&some);
        assert_eq!((address.to_string().as_str(), address.numbering_plan()), ("+33609001390", 9));
        assert_eq!(gateway(&some, "x.org"), "sip:+33609001390@x.org;user=phone");
        for (uri, is) in [
            ("tel:+33609001390", true),
            ("sip:33609001390@y", true),
            ("sip:sms-centre@x", true),
            ("tel:666", false),
        ] {
            assert_eq!(is_gateway(&some, &Uri::parse(uri.as_bytes()).unwrap()), is, "{uri}");
        }
    }

    #[test]
    fn addresses_become_uris_and_uris_addresses() {
        for (text, shown) in [
            ("tel:+33612345678", "+33612345678"),
            ("sip:0612@h;user=phone", "0612"),
            ("sip:alice@h", "alice"),
            ("sip:a.very.long.name@h", "a.very.long"),
            ("+336", "+336"),
            ("666", "666"),
            ("My Bank", "My Bank"),
            ("银行", ""),
            ("a银", "a"),
        ] {
            assert_eq!(of_uri(text).to_string(), shown, "{text}");
        }
        assert_eq!(uri_of(&of_uri("My Bank"), "x.org"), "sip:My%20Bank@x.org");
        assert_eq!(uri_of(&of_uri("tel:+336"), "x.org"), "tel:+336");
    }
}
