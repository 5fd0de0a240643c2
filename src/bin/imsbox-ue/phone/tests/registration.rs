//! Registrations in the hands of scripted networks.

use super::*;
use imsbox::crypto::aka::{self, Functions, Sim};
use imsbox::proto::sip::digest::{self, Algorithm, Credentials};

const K: &str = "00112233445566778899aabbccddeeff";
const SIM: &[(&str, &str)] = &[("K", K)];

fn network() -> Sim {
    let k = imsbox::crypto::hex::decode_array(K.as_bytes()).unwrap();
    Sim::new(Functions::Xor { k }, [0x90, 1], 8).unwrap()
}

/// A challenge with this number.
fn challenge(number: u64) -> (String, aka::Vector) {
    let vector = aka::generate(&network(), &[number as u8; 16], number);
    let nonce = digest::aka::nonce(&vector.rand, &vector.autn);
    (format!("WWW-Authenticate: Digest realm=\"h\",nonce=\"{nonce}\",algorithm=AKAv1-MD5\r\n"), vector)
}

fn registering(more: &[(&'static str, &str)]) -> (Phone, String) {
    let mut phone = phone(1, more);
    phone.register(Instant::ZERO, 3600).unwrap();
    let (messages, _) = said(&mut phone);
    (phone, messages[0].clone())
}

fn hear(phone: &mut Phone, now: Instant, octets: &[u8]) -> (Vec<String>, Vec<Event>) {
    phone.on_message(now, Peer::Server, octets);
    said(phone)
}

const OK: &str = "Contact: <sip:other@192.0.2.9>;expires=5\r\nContact: <sip:p1@192.0.2.1:5060>;expires=600\r\n\
                  P-Associated-URI: <sip:p1@h>, <tel:+123>\r\nService-Route: <sip:orig@192.0.2.2;lr>\r\n";

#[test]
fn a_sim_answers_its_challenge_and_keeps_its_numbers_first() {
    let (mut phone, first) = registering(SIM);
    assert!(header(&first, "Authorization").contains("nonce=\"\""), "{first}");
    let (text, vector) = challenge(33);
    phone.on_message(Instant::ZERO, Peer::Server, &answer(&first, "401 x", "t", &text));
    let Some(Output::Keep(taken)) = phone.pop() else {
        panic!("the numbers are kept before the answer goes")
    };
    assert_eq!(taken.highest(), 33);
    let second = said(&mut phone).0.remove(0);
    let value = header(&second, "Authorization").to_owned();
    let given = Credentials::parse(value.as_bytes()).unwrap();
    assert!(given.verify(Algorithm::AkaV1Md5, b"REGISTER", b"", &vector.xres));
    let (_, events) = hear(&mut phone, Instant::ZERO, &answer(&second, "200 OK", "t", OK));
    let identities = vec!["sip:p1@h".to_owned(), "tel:+123".to_owned()];
    assert_eq!(events, [Event::Registered { identities, secs: 600, is_refresh: false }]);
    // calls go the way that the network told
    phone.make_call(Instant::ZERO, "bob", None, false).unwrap();
    let invite = said(&mut phone).0.remove(0);
    let routes: Vec<&str> = invite.lines().filter_map(|l| l.strip_prefix("Route: ")).collect();
    assert_eq!(routes, ["<sip:192.0.2.2:5060;lr>", "<sip:orig@192.0.2.2;lr>"]);
    assert_eq!(header(&invite, "P-Preferred-Identity"), "<sip:p1@h>");
}

#[test]
fn a_registration_names_the_device_and_what_it_can_do() {
    for (more, instance) in [
        (&[("imei", "356938035643809")][..], "urn:gsma:imei:35693803-564380-0"),
        (&[], "urn:uuid:a4718bce-2aad-39ff-bc13-a0b12b660448"),
    ] {
        let (_, message) = registering(more);
        let contact = header(&message, "Contact");
        let start = format!("<sip:p1@192.0.2.1:5060>;+sip.instance=\"<{instance}>\";");
        assert!(contact.starts_with(&start), "{contact}");
        let parsed = imsbox::wire::sip::Contact::parse(contact.as_bytes()).unwrap();
        assert!(parsed.has_smsip() && parsed.has_video() && parsed.has("audio"), "{contact}");
        assert!(parsed.has_icsi("urn:urn-7:3gpp-service.ims.icsi.mmtel"), "{contact}");
    }
    let (_, message) = registering(&[("access", "IEEE-802.11;i-wlan-node-id=02005e000001")]);
    assert_eq!(header(&message, "P-Access-Network-Info"), "IEEE-802.11;i-wlan-node-id=02005e000001");
    let (_, message) = registering(&[("access", "none")]);
    assert!(!message.contains("P-Access-Network-Info"), "{message}");
}

#[test]
fn it_is_refreshed_at_half_time_and_expires_when_nobody_answers() {
    let (mut phone, first) = registering(&[]);
    hear(&mut phone, Instant::ZERO, &answer(&first, "200 OK", "t", OK));
    assert_eq!(phone.next_deadline(), Some(Instant::from_nanos(32_000_000_000)), "the transaction's memory");
    phone.tick(Instant::from_nanos(32_000_000_000));
    let half = Instant::from_nanos(300_000_000_000);
    assert_eq!(phone.next_deadline(), Some(half));
    phone.tick(half);
    let refresh = said(&mut phone).0.remove(0);
    assert!(refresh.starts_with("REGISTER") && header(&refresh, "Expires") == "3600");
    let mut events = Vec::new();
    while let Some(at) = phone.next_deadline() {
        phone.tick(at);
        events.extend(said(&mut phone).1);
        if at.as_nanos() > 601_000_000_000 {
            break;
        }
    }
    let lost = events.iter().filter(|e| matches!(e, Event::NotRegistered(..))).count();
    assert_eq!(lost, 1, "{events:?}");
    assert!(!phone.registration().is_on());
}

#[test]
fn an_old_number_is_answered_with_auts() {
    let (mut phone, mut message) = registering(SIM);
    for number in [64, 32] {
        let (text, _) = challenge(number);
        message = hear(&mut phone, Instant::ZERO, &answer(&message, "401 x", "t", &text)).0.remove(0);
    }
    let value = header(&message, "Authorization").to_owned();
    let given = Credentials::parse(value.as_bytes()).unwrap();
    let auts = digest::aka::parse_auts(given.auts.unwrap()).unwrap();
    assert_eq!(aka::resynchronise(&network(), &[32; 16], &auts), Ok(64));
}

#[test]
fn a_network_with_another_key_is_named_and_answered_twice_only() {
    let (mut phone, mut message) = registering(&[("K", "f0112233445566778899aabbccddeeff")]);
    let mut said_so = 0;
    for number in 1..=3 {
        let (text, _) = challenge(number * 33);
        let (messages, events) =
            hear(&mut phone, Instant::ZERO, &answer(&message, "401 Unauthorized", "t", &text));
        said_so +=
            events.iter().filter(|e| matches!(e, Event::Notice(w) if w.contains("key differs"))).count();
        if number == 3 {
            assert_eq!(messages, [""; 0], "two are enough");
            let words = "401 Unauthorized: the network's key differs (K, OP or OPc): MAC of its AUTN is wrong for this SIM";
            assert_eq!(events.last(), Some(&Event::NotRegistered(Some(401), words.to_owned())));
        } else {
            message = messages[0].clone();
            assert!(header(&message, "Authorization").ends_with("response=\"\""), "{message}");
        }
    }
    assert_eq!(said_so, 1, "the end says it again");
}

#[test]
fn a_network_that_challenges_for_ever_is_left() {
    for stale in ["", ",stale=true"] {
        let (mut phone, mut message) = registering(&[]);
        let mut answers = 0;
        loop {
            let text = format!("WWW-Authenticate: Digest realm=\"h\",nonce=\"n{answers}\"{stale}\r\n");
            let (messages, events) = hear(&mut phone, Instant::ZERO, &answer(&message, "401 x", "t", &text));
            if let [Event::NotRegistered(Some(401), words)] = &events[..] {
                assert_eq!(words, "the network challenges again and again");
                break;
            }
            message = messages[0].clone();
            answers += 1;
            assert!(answers < 10, "no end");
        }
        assert!(!phone.registration().is_busy());
    }
}

#[test]
fn refusals_say_what_is_likely() {
    for (status, words) in [
        ("403 Forbidden", "403 Forbidden: the network does not know sip:p1@h as p1"),
        ("404 Not Found", "404 Not Found: the network does not know sip:p1@h as p1"),
        ("503 Full", "503 Full"),
    ] {
        let (mut phone, message) = registering(&[]);
        let (_, events) = hear(&mut phone, Instant::ZERO, &answer(&message, status, "t", ""));
        assert!(matches!(&events[..], [Event::NotRegistered(Some(_), w)] if w == words), "{events:?}");
    }
    // and what the network says itself
    let (mut phone, message) = registering(&[]);
    let text = "Warning: 399 ims \"the SPI 5000 is in use\"\r\n";
    let (_, events) = hear(&mut phone, Instant::ZERO, &answer(&message, "503 Full", "t", text));
    let Some(Event::NotRegistered(_, words)) = events.last() else { panic!("{events:?}") };
    assert_eq!(words, "503 Full, 399 ims \"the SPI 5000 is in use\"");
    let (mut phone, message) = registering(&[]);
    let text = "WWW-Authenticate: Digest realm=\"h\",nonce=\"n\"\r\n";
    let message = hear(&mut phone, Instant::ZERO, &answer(&message, "401 x", "t", text)).0.remove(0);
    let (_, events) = hear(&mut phone, Instant::ZERO, &answer(&message, "403 No", "t", ""));
    let Some(Event::NotRegistered(_, words)) = events.last() else { panic!("{events:?}") };
    assert_eq!(words, "403 No: the password is not the one that the network has");
}

#[test]
fn what_cannot_be_asked_is_refused_in_words() {
    let (mut phone, message) = registering(&[]);
    assert_eq!(phone.register(Instant::ZERO, 60).unwrap_err(), "a registration is under way");
    hear(&mut phone, Instant::ZERO, &answer(&message, "403 No", "t", ""));
    assert_eq!(phone.register(Instant::ZERO, 0).unwrap_err(), "the phone is not registered");
    phone.register(Instant::ZERO, 60).unwrap();
    said(&mut phone);
    phone.on_lost(Instant::ZERO, Peer::Server, "no connection");
    let words = "no connection; is a P-CSCF running there, and do packets get to it?";
    assert_eq!(said(&mut phone).1, [Event::NotRegistered(None, words.to_owned())]);
}
