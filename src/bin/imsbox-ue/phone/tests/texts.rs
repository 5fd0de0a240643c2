//! Texts between two phones, and in the hands of scripted networks.

use super::network::Two;
use super::*;

fn texts(two: &Two, phone: usize) -> Vec<&Event> {
    two.events[phone].iter().filter(|e| matches!(e, Event::Text(..) | Event::Texted(_))).collect()
}

#[test]
fn a_text_arrives_once_whatever_is_lost() {
    for seed in 0..50 {
        let mut two = Two::new(seed, &[]);
        two.loss = 40;
        two.phones[0].send_text(Instant::ZERO, "p2", "Grüße, 你好; 5 € # 1").unwrap();
        two.rest(&format!("seed {seed}"));
        let came = texts(&two, 1);
        let expected = Event::Text("sip:p1@h".to_owned(), "Grüße, 你好; 5 € # 1".to_owned());
        assert!(came.len() <= 1 && came.iter().all(|e| **e == expected), "seed {seed}: {came:?}");
        if texts(&two, 0) == [&Event::Texted("sip:p2@h".to_owned())] {
            assert_eq!((came.len(), two.phones[1].last_text()), (1, Some("Grüße, 你好; 5 € # 1")));
            assert_eq!(two.phones[0].code(), Some(200));
        } else {
            assert!(matches!(two.events[0].last(), Some(Event::TextRefused(None, _))), "seed {seed}");
        }
    }
}

fn sent(text: &str) -> (Phone, String) {
    let mut phone = phone(1, &[]);
    phone.send_text(Instant::ZERO, "+15550002", text).unwrap();
    let (mut messages, _) = said(&mut phone);
    (phone, messages.remove(0))
}

#[test]
fn a_text_is_plain_and_has_no_contact() {
    let (_, message) = sent("hello");
    assert!(message.starts_with("MESSAGE tel:+15550002 SIP/2.0\r\n"), "{message}");
    assert_eq!(header(&message, "Content-Type"), "text/plain;charset=UTF-8");
    assert_eq!(header(&message, "P-Preferred-Identity"), "<sip:p1@h>");
    assert!(
        header(&message, "P-Access-Network-Info").starts_with("3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=00101")
    );
    assert_eq!(message.matches("P-Access-Network-Info").count(), 1);
    assert!(!message.contains("Contact:") && message.ends_with("\r\n\r\nhello"));
}

#[test]
fn a_refusal_says_why() {
    let (mut phone, message) = sent("hello");
    let more = "Warning: 399 h \"no such number\"\r\n";
    phone.on_message(Instant::ZERO, Peer::Server, &answer(&message, "404 Not Found", "t", more));
    let words = "404 Not Found, 399 h \"no such number\"".to_owned();
    assert_eq!(said(&mut phone).1, [Event::TextRefused(Some(404), words)]);
    assert!(!phone.is_busy());
}

#[test]
fn a_challenged_text_comes_again_whole() {
    let (mut phone, message) = sent("hello");
    let challenge = "Proxy-Authenticate: Digest realm=\"r\",nonce=\"n\",qop=\"auth\"\r\n";
    phone.on_message(Instant::ZERO, Peer::Server, &answer(&message, "407 x", "t", challenge));
    let (messages, _) = said(&mut phone);
    assert!(header(&messages[0], "Proxy-Authorization").contains("uri=\"tel:+15550002\""), "{messages:?}");
    assert_eq!(
        (header(&messages[0], "CSeq"), messages[0].matches("P-Access-Network").count()),
        ("2 MESSAGE", 1)
    );
    assert!(messages[0].ends_with("hello") && phone.is_busy());
}

#[test]
fn a_text_that_is_too_long_is_not_sent() {
    let mut phone = phone(1, &[]);
    let error = phone.send_text(Instant::ZERO, "bob", &"x".repeat(1300)).unwrap_err();
    assert!(error.contains("too long for UDP by "), "{error}");
    assert!(said(&mut phone).0.is_empty());
    let mut phone = super::phone(1, &[("transport", "tcp")]);
    phone.send_text(Instant::ZERO, "bob", &"x".repeat(1300)).unwrap();
    assert!(phone.send_text(Instant::ZERO, "bob", &"x".repeat(20_000)).is_err());
}

#[test]
fn what_is_no_text_is_refused_with_what_is_taken() {
    let came = |kind: &str, body: &str| {
        let mut phone = phone(1, &[("sms", "plain")]);
        let message = format!(
            "MESSAGE sip:p1@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKm\r\nMax-Forwards: 70\r\n\
             From: <sip:x@h>;tag=x\r\nTo: <sip:p1@h>\r\nCall-ID: c\r\nCSeq: 1 MESSAGE\r\n\
             P-Asserted-Identity: \"Xaver\" <sip:x@h>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        phone.on_message(Instant::ZERO, Peer::Server, message.as_bytes());
        let (messages, events) = said(&mut phone);
        (messages[0].clone(), events, phone.texts())
    };
    let (answer, events, count) = came("Content-Type: application/vnd.3gpp.sms\r\n", "\x01");
    assert!(answer.starts_with("SIP/2.0 415 ") && header(&answer, "Accept") == "text/plain", "{answer}");
    let words = "a text from Xaver (sip:x@h) is refused: it is application/vnd.3gpp.sms, not text/plain";
    assert_eq!((events, count), (vec![Event::Notice(words.to_owned())], 0));
    let (answer, events, _) = came("c: Text/Plain ;charset=us-ascii\r\n", "hi");
    assert!(answer.starts_with("SIP/2.0 200 OK\r\n") && !answer.contains("Contact:"), "{answer}");
    assert_eq!(events, [Event::Text("Xaver (sip:x@h)".to_owned(), "hi".to_owned())]);
    let (answer, _, count) = came("", "");
    assert!(answer.starts_with("SIP/2.0 200 OK\r\n") && count == 1);
    let (answer, ..) = came("Require: fax\r\n", "");
    assert!(answer.starts_with("SIP/2.0 420 ") && header(&answer, "Unsupported") == "fax", "{answer}");
    assert_eq!(phone(1, &[]).accepted_texts(), "text/plain, application/vnd.3gpp.sms");
}

#[test]
fn a_soft_client_registers_as_one() {
    let contact = |more: &[(&'static str, &str)]| {
        let mut phone = phone(1, more);
        phone.register(Instant::ZERO, 60).unwrap();
        header(&said(&mut phone).0[0], "Contact").to_owned()
    };
    let soft = contact(&[("sms", "plain")]);
    assert!(!soft.contains("smsip") && !soft.contains("mmtel") && soft.contains(";audio;video"), "{soft}");
    let mixed = contact(&[]);
    assert!(mixed.contains(";+g.3gpp.smsip;") && mixed.contains("mmtel"), "{mixed}");
}
