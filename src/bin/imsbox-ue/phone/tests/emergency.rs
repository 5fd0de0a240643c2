//! Emergency calls and registrations in the hands of scripted networks.

use super::*;

const OK: &str = "Contact: <sip:p1@192.0.2.1:5060>;expires=60, <sip:p1@192.0.2.1:5060;sos>;expires=1200\r\n\
                  P-Associated-URI: <sip:p1@h>\r\n";

fn hear(phone: &mut Phone, octets: &[u8]) -> Vec<Event> {
    phone.on_message(Instant::ZERO, Peer::Server, octets);
    said(phone).1
}

#[test]
fn without_registration_only_the_device_is_told() {
    let mut phone = phone(1, &[("imei", "356938035643809")]);
    phone.call_for_help(Instant::ZERO, "urn:service:sos.police", None).unwrap();
    let invite = said(&mut phone).0.remove(0);
    assert!(invite.starts_with("INVITE urn:service:sos.police SIP/2.0\r\n"), "{invite}");
    assert!(header(&invite, "From").starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="));
    assert_eq!(header(&invite, "To"), "<urn:service:sos.police>");
    let contact = header(&invite, "Contact");
    assert!(
        contact.starts_with(
            "<sip:anonymous@192.0.2.1:5060;sos>;+sip.instance=\"<urn:gsma:imei:35693803-564380-0>\""
        ),
        "{contact}"
    );
    assert!(!invite.contains("p1@") && header(&invite, "P-Preferred-Identity").is_empty(), "{invite}");
}

#[test]
fn an_emergency_registration_is_marked_and_is_one_of_its_own_kind() {
    let mut phone = phone(1, &[]);
    phone.register_for_emergency(Instant::ZERO, 3600).unwrap();
    let register = said(&mut phone).0.remove(0);
    assert!(header(&register, "Contact").starts_with("<sip:p1@192.0.2.1:5060;sos>;"), "{register}");
    let events = hear(&mut phone, &answer(&register, "200 OK", "t", OK));
    let identities = vec!["sip:p1@h".to_owned()];
    assert_eq!(
        events,
        [Event::Registered { identities, secs: 1200, is_refresh: false }],
        "it has its own time"
    );
    assert!(phone.registration().is_for_emergency());
    assert!(phone.register(Instant::ZERO, 60).unwrap_err().contains("of the other kind"));
    phone.call_for_help(Instant::ZERO, "urn:service:sos", None).unwrap();
    let invite = said(&mut phone).0.remove(0);
    assert!(header(&invite, "From").starts_with("<sip:p1@h>;tag="), "{invite}");
    assert!(header(&invite, "Contact").starts_with("<sip:p1@192.0.2.1:5060;sos>;"), "{invite}");
    assert_eq!(header(&invite, "P-Preferred-Identity"), "<sip:p1@h>");
}

#[test]
fn an_emergency_registration_is_left_without_a_word_to_the_network() {
    let mut phone = phone(1, &[]);
    phone.register_for_emergency(Instant::ZERO, 3600).unwrap();
    let register = said(&mut phone).0.remove(0);
    hear(&mut phone, &answer(&register, "200 OK", "t", OK));
    phone.register(Instant::ZERO, 0).unwrap();
    assert_eq!(said(&mut phone), (vec![], vec![Event::Deregistered]));
    assert!(!phone.registration().is_on());
}

#[test]
fn a_380_is_told_in_words() {
    for (action, words) in [
        ("<action>emergency-registration</action>", "wants an emergency registration first: `register sos`"),
        ("<action>anonymous-emergencycall</action>", "wants the call without registration"),
        ("", "the network wants an emergency call"),
    ] {
        let mut phone = phone(1, &[]);
        phone.make_call(Instant::ZERO, "112", None, false).unwrap();
        let invite = said(&mut phone).0.remove(0);
        assert!(header(&invite, "Accept").contains("application/3gpp-ims+xml"));
        let xml = format!(
            "<?xml version=\"1.0\"?><ims-3gpp version=\"1\"><alternative-service><type>emergency</type><reason>r</reason>{action}\
             </alternative-service></ims-3gpp>"
        );
        let more = format!("Content-Type: application/3gpp-ims+xml\r\nContent-Length: {}\r\n", xml.len());
        let mut octets = answer(&invite, "380 Alternative Service", "t", &more);
        octets.extend_from_slice(xml.as_bytes());
        let events = hear(&mut phone, &octets);
        let [Event::Ended(ended)] = &events[..] else { panic!("{events:?}") };
        assert!(ended.code == 380 && ended.words.contains(words), "{}", ended.words);
    }
}
