//! Who may call an echo number, or send a text to it: `authentication`, `anonymous` and `match` of its object (manual 5.2, 5.2.1).

use super::phone::{Phone, Secret};
use super::{Lab, config};
use crate::config::model::{Config, Impu};

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
const NOBODY: &str = "sip:anonymous@anonymous.invalid";

/// Numbers with every pair of settings: 6, then whether strangers may call, and whether who calls must prove it.
fn numbers() -> Config {
    let mut config = config();
    for (number, anonymous, authentication) in [
        ("tel:601", false, true),
        ("tel:600", false, false),
        ("tel:611", true, true),
        ("tel:610", true, false),
    ] {
        config.echo.push(Impu { anonymous, authentication, ..Impu::new(number) });
    }
    config
}

/// The last that a phone hears when it calls a number, where 100 says that the ports of the echo are being opened, and when it
/// sends a text to it.
fn tries(lab: &mut Lab, phone: &mut Phone, number: &str) -> [u16; 2] {
    ["INVITE", "MESSAGE"].map(|method| {
        phone.call_id = format!("{method}{number}{}", phone.address);
        phone.body = if method == "INVITE" { SDP } else { "hello" };
        let kind = if method == "INVITE" { "application/sdp" } else { "text/plain" };
        let contact = format!("Contact: <sip:p@{}>\r\n", phone.address);
        let headers = if method == "INVITE" { &contact[..] } else { "" };
        let text = phone.request(method, number, number, &format!("{headers}Content-Type: {kind}\r\n"));
        let heard = lab.on_sip(phone.flow(), text).into_iter();
        let mut answers = heard.filter(|s| s.flow == phone.flow() && s.text.starts_with("SIP/2.0 "));
        answers.next_back().expect("an answer").status()
    })
}

#[test]
fn a_registered_phone_proves_itself_again_only_where_it_has_to() {
    for each_time in [false, true] {
        let mut config = numbers();
        config.users[0].auth_on_register_only = !each_time;
        let mut lab = Lab::new(config);
        let mut alice = Phone::alice();
        assert_eq!(alice.register(&mut lab, "").status(), 200);
        for number in ["tel:601", "tel:611", "tel:600", "tel:610"] {
            let proves = each_time && number.ends_with('1');
            let first = if proves { [407, 407] } else { [100, 200] };
            assert_eq!(tries(&mut lab, &mut alice, number), first, "{number}, each time: {each_time}");
        }
        // a user is no echo number: what its identity says is of its own requests
        assert_eq!(tries(&mut lab, &mut alice, "tel:0600000002")[0], if each_time { 407 } else { 480 });
    }
}

#[test]
fn a_phone_without_registration_reaches_the_numbers_that_take_it() {
    for each_time in [false, true] {
        let mut config = numbers();
        config.users[0].auth_on_register_only = !each_time;
        let mut lab = Lab::new(config);
        let mut nobody = Phone::new("x", NOBODY, "10.0.0.9:5060", Secret::Password(""));
        let mut alice = Phone::new("x", "sip:alice@ims.test", "10.0.0.8:5060", Secret::Password(""));
        for (number, is_open) in [("tel:601", false), ("tel:611", true), ("tel:600", true), ("tel:610", true)]
        {
            let nameless = if is_open { [100, 480] } else { [403, 403] };
            let heard = tries(&mut lab, &mut nobody, number);
            assert_eq!(heard, nameless, "{number}: a text has nowhere to come back to");
            // who names a user that has to prove itself is asked, unless nobody is asked there
            let named = if each_time && number.ends_with('1') { [407, 407] } else { nameless };
            assert_eq!(tries(&mut lab, &mut alice, number), named, "{number}, each time: {each_time}");
        }
    }
}

#[test]
fn a_pattern_is_as_good_as_a_number_for_calls_and_texts() {
    let mut config = config();
    let range = |uri: &str, pattern: &str| Impu { pattern: Some(pattern.to_owned()), ..Impu::new(uri) };
    config.echo.push(Impu { code: Some(603), ..range("tel:barred", "^(\\+338|08)[0-9]*$") });
    config.echo.push(range("tel:range", "^77[0-9]{2}$"));
    config.echo.push(Impu { anonymous: true, authentication: false, ..range("sip:lab", "^lab-[a-z]+$") });
    let mut lab = Lab::new(config);
    let mut alice = Phone::alice();
    assert_eq!(alice.register(&mut lab, "").status(), 200);
    for (number, call, text) in [
        ("tel:7700", 100, 200),
        ("tel:77-99", 100, 200),
        ("sip:7712@ims.test;user=phone", 100, 200),
        ("tel:77000", 404, 404),
        ("tel:+33812345", 603, 603),
        ("tel:0812345", 603, 603),
        ("sip:lab-a@ims.test", 100, 200),
        ("sip:lab-1@ims.test", 404, 404),
        // a number that somebody has comes before any pattern; a text for who is away is kept
        ("tel:0600000002", 480, 202),
    ] {
        assert_eq!(tries(&mut lab, &mut alice, number), [call, text], "{number}");
    }
    let mut stranger = Phone::new("x", NOBODY, "10.0.0.9:5060", Secret::Password(""));
    assert_eq!(tries(&mut lab, &mut stranger, "sip:lab-b@ims.test")[0], 100);
    assert_eq!(tries(&mut lab, &mut stranger, "tel:7700")[0], 403);
}
