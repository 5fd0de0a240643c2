//! Which device the phone is: the instance that it names itself with (RFC 5626 4.1, RFC 7254, RFC 4122).

use imsbox::crypto::hash::Hash;
use imsbox::crypto::hex;

/// The name space of URLs (RFC 4122 appendix C).
const NAME_SPACE: [u8; 16] =
    [0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];

/// The URN of the device: its IMEI, or for one without, a UUID that is always the same for this name.
pub fn urn(imei: Option<&str>, name: &str) -> String {
    imei.and_then(of_imei).unwrap_or_else(|| of_name(name))
}

/// RFC 7254 4.1: eight digits of type, six of serial number, and a spare 0 in the place of the check digit.
fn of_imei(imei: &str) -> Option<String> {
    Some(format!("urn:gsma:imei:{}-{}-0", imei.get(..8)?, imei.get(8..14)?))
}

/// RFC 4122 4.3: a UUID of version 3, which is made from a name with MD5.
fn of_name(name: &str) -> String {
    let hash = Hash::Md5.of(&[&NAME_SPACE, name.as_bytes()]);
    let mut octets = [0; 16];
    octets.copy_from_slice(&hash);
    octets[6] = octets[6] & 0x0f | 0x30;
    octets[8] = octets[8] & 0x3f | 0x80;
    let text = hex::encode::<32>(&octets);
    let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
    format!("urn:uuid:{}", parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use imsbox::wire::sip::{Contact, Imei};

    #[test]
    fn an_imei_with_and_without_its_check_digit_is_one_device() {
        for imei in ["35693803564380", "356938035643809"] {
            let urn = urn(Some(imei), "001010123456789");
            assert_eq!(urn, "urn:gsma:imei:35693803-564380-0");
            let read = Imei::from_urn(urn.as_bytes()).unwrap();
            assert_eq!(&read.digits()[..14], "35693803564380");
        }
    }

    #[test]
    fn a_name_has_the_uuid_that_others_make_of_it() {
        // what uuid3 of Python's library makes
        let urn = urn(None, "001010123456789");
        assert_eq!(urn, "urn:uuid:5a235a70-c902-3c16-9ad4-1e20229172ad");
        let contact = format!("<sip:a@h>;+sip.instance=\"<{urn}>\"");
        assert_eq!(Contact::parse(contact.as_bytes()).unwrap().instance(), Some(urn.as_bytes()));
    }
}
