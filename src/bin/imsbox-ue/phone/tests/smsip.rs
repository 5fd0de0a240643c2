//! Short messages over IP in the hands of a scripted service centre.

use super::*;
use crate::command::{self, Command};
use crate::phone::smsip::Report;
use imsbox::base::time::UnixTime;
use imsbox::wire::gsm::concat::Reference;
use imsbox::wire::gsm::tpdu::Status;
use imsbox::wire::gsm::user_data::UserDataBuf;
use imsbox::wire::gsm::{
    Address, Carrier, Dcs, Deliver, DeliverReport, Direction, FailureCause, Pid, Rp, RpCause, Rpdu,
    StatusReport, Submit, Timestamp, Tpdu, text as texts,
};
use imsbox::wire::sip::{HeaderId, Index, Message};

const K: (&str, &str) = ("K", "00112233445566778899aabbccddeeff");
const CENTRE: &str = "+33609001390";

/// A phone with a card, its time, and what it has said.
struct Scene {
    phone: Phone,
    now: Instant,
    events: Vec<Event>,
    serial: u32,
}

/// A MESSAGE of the phone's.
struct Said {
    text: String,
    body: Vec<u8>,
}

impl Said {
    fn rpdu(&self) -> Rpdu<'_> {
        Rpdu::parse(&self.body).expect("an RPDU")
    }

    fn submit(&self) -> Submit<'_> {
        let Rp::Data { originator: None, destination: Some(centre), user_data } = self.rpdu().message else {
            panic!("{:?}", self.rpdu());
        };
        assert_eq!(centre.to_string(), CENTRE);
        Submit::parse(user_data).expect("a SUBMIT")
    }
}

impl Scene {
    fn new() -> Scene {
        let phone = phone(1, &[K, ("smsc", CENTRE), ("ipsec", "off")]);
        Scene { phone, now: Instant::ZERO, events: Vec::new(), serial: 0 }
    }

    /// The requests that the phone has sent since the last time, and the codes that it has answered with.
    fn said(&mut self) -> (Vec<Said>, Vec<u16>) {
        let (mut requests, mut codes) = (Vec::new(), Vec::new());
        while let Some(output) = self.phone.pop() {
            match output {
                Output::Send(_, octets) => {
                    let mut index = Index::new();
                    let message = Message::parse(&octets, &mut index).expect("a message");
                    assert_eq!(message.check(), Ok(()));
                    if message.is_request() {
                        let text = String::from_utf8_lossy(&octets).into_owned();
                        assert!(message.has_content_type("application/vnd.3gpp.sms"), "{text}");
                        assert!(message.header(HeaderId::Contact).is_none(), "{text}");
                        requests.push(Said { text, body: message.body().to_vec() });
                    } else {
                        codes.push(message.status());
                    }
                }
                Output::Event(event) => self.events.push(event),
                Output::Media(..) | Output::Keep(_) | Output::Ipsec(_) | Output::Recorded(_) => {}
            }
        }
        (requests, codes)
    }

    /// The one request that the phone has sent.
    fn one(&mut self) -> Said {
        let (mut requests, codes) = self.said();
        assert_eq!((requests.len(), codes.as_slice()), (1, &[][..]));
        requests.remove(0)
    }

    fn answer(&mut self, request: &Said, status: &str) {
        self.phone.on_message(self.now, Peer::Server, &answer(&request.text, status, "t", ""));
    }

    /// The network sends an RPDU; what the phone answers and says.
    fn network(&mut self, rpdu: &[u8], in_reply_to: &str) -> (Vec<Said>, Vec<u16>) {
        self.serial += 1;
        let reply =
            if in_reply_to.is_empty() { String::new() } else { format!("In-Reply-To: {in_reply_to}\r\n") };
        let head = format!(
            "MESSAGE sip:p1@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKm{0}\r\nMax-Forwards: 70\r\n\
             From: <sip:gw@h>;tag=x\r\nTo: <sip:p1@h>\r\nCall-ID: mt{0}\r\nCSeq: 1 MESSAGE\r\n\
             P-Asserted-Identity: <sip:ipsmgw@h>\r\nRequest-Disposition: no-fork\r\n{reply}\
             Accept-Contact: *;+g.3gpp.smsip;require;explicit\r\n\
             Content-Type: application/vnd.3gpp.sms\r\nContent-Length: {1}\r\n\r\n",
            self.serial,
            rpdu.len()
        );
        let octets = [head.as_bytes(), rpdu].concat();
        self.phone.on_message(self.now, Peer::Server, &octets);
        self.said()
    }

    fn down(&mut self, reference: u8, message: Rp<'_>, in_reply_to: &str) -> (Vec<Said>, Vec<u16>) {
        let rpdu = Rpdu { direction: Direction::Down, reference, message }.to_vec();
        self.network(&rpdu, in_reply_to)
    }

    fn ack(&mut self, request: &Said) {
        let reference = request.rpdu().reference;
        let call_id = header(&request.text, "Call-ID").to_owned();
        let (said, codes) = self.down(reference, Rp::Ack { user_data: None }, &call_id);
        assert_eq!(codes, [200]);
        // the next part, if there is one
        said.into_iter().for_each(|s| self.phone.out.push_front(Output::Send(Peer::Server, octets_of(&s))));
    }

    /// A DELIVER comes; the code and the report that it is answered with.
    fn deliver(&mut self, user_data: &UserDataBuf, pid: Pid) -> (u16, Option<Said>) {
        let tpdu = Deliver {
            more_messages: false,
            loop_prevention: false,
            status_report: false,
            reply_path: false,
            originator: Address::of_digits(0x91, "33612345678").expect("digits"),
            pid,
            timestamp: Timestamp::of_unix(UnixTime::from_micros(1_608_111_045_000_000), 4),
            user_data: user_data.view(),
        }
        .to_vec();
        self.data(&tpdu)
    }

    fn data(&mut self, tpdu: &[u8]) -> (u16, Option<Said>) {
        let originator = Address::of_digits(0x91, &CENTRE[1..]);
        let (mut said, codes) = self.down(9, Rp::Data { originator, destination: None, user_data: tpdu }, "");
        assert!(codes.len() == 1 && said.len() <= 1);
        (codes[0], said.pop())
    }

    fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

fn octets_of(said: &Said) -> Vec<u8> {
    let head = said.text.split("\r\n\r\n").next().expect("a header");
    [head.as_bytes(), b"\r\n\r\n", &said.body].concat()
}

fn text(text: &str) -> UserDataBuf {
    texts::split(text, Reference::Eight(1)).expect("short").remove(0)
}

#[test]
fn a_text_is_a_submit_to_the_service_centre_and_done_when_both_answers_have_come() {
    for ack_first in [false, true] {
        let mut scene = Scene::new();
        scene.phone.send_text(scene.now, "+15550002", "hello {€}").unwrap();
        let said = scene.one();
        assert!(said.text.starts_with("MESSAGE tel:+33609001390 SIP/2.0\r\n"), "{}", said.text);
        for (name, value) in [
            ("P-Preferred-Identity", "<sip:p1@h>"),
            ("To", "<tel:+33609001390>"),
            ("Request-Disposition", "no-fork"),
            ("Accept-Contact", "*;+g.3gpp.smsip;require;explicit"),
        ] {
            assert_eq!(header(&said.text, name), value);
        }
        let submit = said.submit();
        assert_eq!((submit.destination.to_string().as_str(), submit.status_report), ("+15550002", false));
        assert_eq!((submit.user_data.text().as_deref(), submit.validity), (Some("hello {€}"), None));
        let taken = Event::Texted("+15550002".to_owned());
        if ack_first {
            scene.ack(&said);
            assert!(scene.phone.is_busy() && scene.events().is_empty());
            scene.answer(&said, "202 Accepted");
        } else {
            scene.answer(&said, "202 Accepted");
            assert!(scene.phone.is_busy() && scene.said().0.is_empty() && scene.events().is_empty());
            scene.ack(&said);
        }
        scene.said();
        assert_eq!((scene.events(), scene.phone.code()), (vec![taken], Some(202)));
        assert!(!scene.phone.is_busy());
    }
}

#[test]
fn the_parts_of_a_long_text_go_one_after_the_other() {
    let mut scene = Scene::new();
    let long = "lang und breit 😀 ".repeat(20);
    scene.phone.send_text(scene.now, "0612345678", &long).unwrap();
    let (mut parts, mut references) = (Vec::new(), Vec::new());
    while scene.phone.is_busy() {
        let said = scene.one();
        let submit = said.submit();
        references.push((said.rpdu().reference, submit.reference));
        parts.push(submit.user_data.to_buf());
        scene.answer(&said, "202 Accepted");
        assert!(scene.said().0.is_empty(), "the next one waits for the RP-ACK");
        scene.ack(&said);
    }
    scene.said();
    assert!(parts.len() > 4);
    assert_eq!(texts::join(parts.iter().map(UserDataBuf::view)), Some(long));
    assert!(references.windows(2).all(|w| w[1] == (w[0].0.wrapping_add(1), w[0].1.wrapping_add(1))));
    assert_eq!(scene.events(), [Event::Texted("0612345678".to_owned())]);
}

#[test]
fn a_name_is_no_address_of_a_short_message() {
    let mut phone = phone(1, &[K]);
    phone.send_text(Instant::ZERO, "bob", "hello").unwrap();
    let (messages, _) = super::said(&mut phone);
    assert_eq!(header(&messages[0], "Content-Type"), "text/plain;charset=UTF-8");
    assert!(phone.send_text(Instant::ZERO, "123456789012345678901", "x").unwrap_err().contains("too long"));
}

#[test]
fn a_text_is_refused_by_sip_by_the_centre_or_by_silence() {
    let refused = |how: fn(&mut Scene, &Said)| {
        let mut scene = Scene::new();
        let long = "x".repeat(400);
        scene.phone.send_text(scene.now, "1234", &long).unwrap();
        let said = scene.one();
        how(&mut scene, &said);
        let (more, _) = scene.said();
        assert!(more.is_empty() && !scene.phone.is_busy(), "the other parts are not sent");
        match scene.events().pop() {
            Some(Event::TextRefused(code, words)) => (code, words),
            other => panic!("{other:?}"),
        }
    };
    let (code, words) = refused(|scene, said| scene.answer(said, "403 Forbidden"));
    assert_eq!((code, words.as_str()), (Some(403), "403 Forbidden"));
    let (code, words) = refused(|scene, said| {
        scene.answer(said, "202 Accepted");
        let error = Rp::Error { cause: RpCause::CONGESTION, diagnostic: None, user_data: None };
        scene.down(said.rpdu().reference, error, "");
    });
    assert_eq!((code, words.as_str()), (None, "RP-ERROR 42 (congestion)"));
    let (code, words) = refused(|scene, said| {
        scene.answer(said, "202 Accepted");
        let at = scene.phone.next_deadline().unwrap();
        scene.phone.tick(at);
        while let Some(at) = scene.phone.next_deadline() {
            scene.phone.tick(at);
        }
    });
    assert_eq!((code, words.as_str()), (None, "no RP-ACK within 40 s"));
}

#[test]
fn a_report_for_something_else_settles_nothing() {
    let mut scene = Scene::new();
    scene.phone.send_text(scene.now, "1234", "x").unwrap();
    let said = scene.one();
    scene.answer(&said, "202 Accepted");
    let reference = said.rpdu().reference;
    let ack = Rp::Ack { user_data: None };
    scene.down(reference, ack, "another");
    scene.down(reference.wrapping_add(1), ack, "");
    assert!(scene.phone.is_busy());
    assert!(scene.events().iter().all(|e| matches!(e, Event::Notice(_))));
    let (_, codes) = scene.down(reference, ack, "");
    assert_eq!((codes, scene.phone.is_busy()), (vec![200], false));
}

#[test]
fn a_text_that_comes_is_acknowledged_to_who_sent_it() {
    let mut scene = Scene::new();
    let (code, report) = scene.deliver(&text("Grüße"), Pid::PLAIN);
    let report = report.expect("a report");
    assert_eq!(code, 200);
    assert!(report.text.starts_with("MESSAGE sip:ipsmgw@h SIP/2.0\r\n"), "{}", report.text);
    for (name, value) in [
        ("To", "<sip:ipsmgw@h>"),
        ("In-Reply-To", "mt1"),
        ("Request-Disposition", "no-fork"),
        ("P-Preferred-Identity", "<sip:p1@h>"),
    ] {
        assert_eq!(header(&report.text, name), value);
    }
    let ack = Rpdu { direction: Direction::Up, reference: 9, message: Rp::Ack { user_data: Some(&[0, 0]) } };
    assert_eq!(report.rpdu(), ack);
    assert_eq!(scene.events(), [Event::Text("+33612345678".to_owned(), "Grüße".to_owned())]);
    assert!(scene.phone.is_busy(), "until the report is taken");
    scene.answer(&report, "202 Accepted");
    assert!(!scene.phone.is_busy() && scene.said().0.is_empty() && scene.events().is_empty());
}

#[test]
fn parts_that_come_in_any_order_are_one_text() {
    let mut scene = Scene::new();
    let long = "naïve 😀 ".repeat(30);
    let parts = texts::split(&long, Reference::Sixteen(777)).expect("short");
    for part in parts.iter().rev().chain(&parts[..1]) {
        let (code, report) = scene.deliver(part, Pid::PLAIN);
        assert!(code == 200 && matches!(report.expect("a report").rpdu().message, Rp::Ack { .. }));
    }
    assert_eq!(scene.events(), [Event::Text("+33612345678".to_owned(), long.clone())]);
    assert_eq!((scene.phone.texts(), scene.phone.last_text()), (1, Some(long.as_str())));
}

#[test]
fn octets_are_shown_as_such_and_type_0_is_not_shown() {
    let mut scene = Scene::new();
    let octets = UserDataBuf::of_octets(Dcs::OCTETS, &[5, 4, 0, 1, 0, 2], &[0xde, 0xad]).expect("short");
    assert!(scene.deliver(&octets, Pid::PLAIN).1.is_some());
    assert_eq!(scene.events(), [Event::Text("+33612345678".to_owned(), "dead".to_owned())]);
    assert!(scene.deliver(&text("ping"), Pid::TYPE_0).1.is_some());
    assert_eq!(scene.events(), []);
}

#[test]
fn the_phone_says_what_it_was_told_to_say() {
    let mut scene = Scene::new();
    scene.phone.set_report(Report::Nothing);
    assert!(scene.deliver(&text("a"), Pid::PLAIN).1.is_none());
    assert_eq!(scene.phone.texts(), 1);
    for (cause, failure) in [
        (RpCause::MEMORY_EXCEEDED, FailureCause::MEMORY_EXCEEDED),
        (RpCause::PROTOCOL, FailureCause::UNSPECIFIED),
    ] {
        scene.phone.set_report(Report::Error(cause));
        let report = scene.deliver(&text("b"), Pid::PLAIN).1.expect("a report");
        let Rp::Error { cause: said, diagnostic: None, user_data: Some(tpdu) } = report.rpdu().message else {
            panic!("{:?}", report.rpdu());
        };
        let Ok(Tpdu::DeliverReport(DeliverReport { failure: found, .. })) =
            Tpdu::parse(tpdu, Direction::Up, Carrier::Error)
        else {
            panic!("{tpdu:02x?}");
        };
        assert_eq!((said, found), (cause, Some(failure)));
    }
    assert_eq!(scene.phone.texts(), 1, "what is refused is not there");
    let words = "RP-ERROR 111 (protocol error)".to_owned();
    assert_eq!(scene.events().pop(), Some(Event::NotTaken("+33612345678".to_owned(), words)));
    scene.phone.send_smma(scene.now).unwrap();
    assert!(scene.phone.send_smma(scene.now).unwrap_err().contains("under way"));
    let smma = scene.one();
    assert_eq!(smma.rpdu().message, Rp::Smma);
    assert!(smma.text.starts_with("MESSAGE tel:+33609001390 SIP/2.0\r\n"));
    scene.answer(&smma, "202 Accepted");
    scene.ack(&smma);
    assert_eq!(scene.events(), [Event::MemoryTold]);
    let report = scene.deliver(&text("b"), Pid::PLAIN).1.expect("a report");
    assert!(matches!(report.rpdu().message, Rp::Ack { .. }) && scene.phone.texts() == 2);
}

#[test]
fn a_status_report_is_asked_for_once_a_text_and_told() {
    let mut scene = Scene::new();
    scene.phone.set_wants_status(true);
    scene.phone.send_text(scene.now, "1234", &"x".repeat(300)).unwrap();
    let mut wants = Vec::new();
    while scene.phone.is_busy() {
        let said = scene.one();
        wants.push(said.submit().status_report);
        scene.answer(&said, "202 Accepted");
        scene.ack(&said);
    }
    assert_eq!(wants, [false, true], "for the last part");
    scene.events();
    let at = Timestamp::of_unix(UnixTime::from_micros(1_608_111_045_000_000), 0);
    let tpdu = StatusReport {
        more_messages: false,
        loop_prevention: false,
        of_command: false,
        reference: 1,
        recipient: Address::of_digits(0x81, "1234").expect("digits"),
        timestamp: at,
        discharge: at,
        status: Status::EXPIRED,
        parameters: None,
    }
    .to_vec();
    let (code, report) = scene.data(&tpdu);
    assert!(code == 200 && matches!(report.expect("a report").rpdu().message, Rp::Ack { .. }));
    assert_eq!(scene.events(), [Event::Status("1234".to_owned(), Status::EXPIRED)]);
    assert_eq!((scene.phone.short_messages().statuses(), scene.phone.texts()), (1, 0));
    assert_eq!(scene.phone.short_messages().last_status(), Some(Status::EXPIRED));
}

#[test]
fn what_cannot_be_read_is_refused_at_its_own_level() {
    let mut scene = Scene::new();
    for rubbish in [&[][..], &[1], &[7, 1], &[0, 1, 0, 0, 0], &[1, 2, 0, 0, 9, 9]] {
        let (said, codes) = scene.network(rubbish, "");
        assert!(said.is_empty() && codes == [400], "{rubbish:02x?}: {codes:?}");
    }
    let (code, report) = scene.data(&[4, 9]);
    let report = report.expect("a report");
    assert!(code == 200 && matches!(report.rpdu().message, Rp::Error { cause: RpCause::PROTOCOL, .. }));
    let (said, codes) = scene.down(9, Rp::Data { originator: None, destination: None, user_data: &[] }, "");
    assert!(codes == [200] && matches!(said[0].rpdu().message, Rp::Error { cause: RpCause(96), .. }));
    assert_eq!(scene.phone.texts(), 0);
    assert!(scene.events().iter().all(|e| matches!(e, Event::Notice(_))));
}

#[test]
fn commands_of_short_messages() {
    for (line, command) in [
        ("sms-report ack", Command::SmsReport(Report::Ack)),
        ("sms-report none", Command::SmsReport(Report::Nothing)),
        ("sms-report full", Command::SmsReport(Report::Error(RpCause(22)))),
        ("sms-report 111", Command::SmsReport(Report::Error(RpCause(111)))),
        ("sms-status on", Command::SmsStatus(true)),
        ("sms-status off", Command::SmsStatus(false)),
        ("smma", Command::Smma),
    ] {
        assert_eq!(command::parse(line), Ok(Some(command)), "{line}");
    }
    for bad in ["sms-report", "sms-report 128", "sms-report 0", "sms-report x", "sms-status", "smma 1"] {
        assert!(command::parse(bad).is_err(), "{bad}");
    }
}
