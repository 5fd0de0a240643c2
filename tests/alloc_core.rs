//! What a phone repeats costs the whole core no allocation: a REGISTER, an INVITE, the ACK of a call. Nor does the first ACK.

#[path = "support/stage.rs"]
mod stage;

use imsbox::base::time::Duration;
use imsbox::config::model::AuthentType;
use imsbox::wire::sip::{HeaderId, Index, Message, Writer};
use platform::counting::Counting;
use stage::{DOMAIN, Stage, address, header};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often each message comes again.
const TIMES: usize = 50;

/// Allocations of the core when it gets this message again, several times; and how many messages that sent.
fn repeated(stage: &mut Stage, octets: &[u8]) -> (u64, usize) {
    // the first repetition may fill tables and buffers for good
    stage.send(0, octets);
    stage.take();
    let before = stage.spent.allocations;
    let mut sent = 0;
    for _ in 0..TIMES {
        stage.send(0, octets);
        sent += stage.take().len();
    }
    (stage.spent.allocations - before, sent)
}

#[test]
fn a_repeated_register_is_answered_again_without_allocation() {
    let mut stage = Stage::new(1, AuthentType::None);
    let text = stage.register_text(0, 1, 1, "");
    stage.send(0, &text);
    let answer = stage.take().remove(0);
    assert_eq!((answer.to, answer.octets.starts_with(b"SIP/2.0 200")), (address(0), true));
    assert_eq!(repeated(&mut stage, &text), (0, TIMES));
}

/// A request of a call to the echo number.
fn request(method: &str, uri: &str, to: &str, branch: &str, body: &str) -> Vec<u8> {
    let (at, me) = (address(0), format!("001010{:09}", 0));
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:{me}@{DOMAIN}>;tag=rvecbSk\r\nTo: {to}\r\nCall-ID: quecbSk9i@10.45.0.0\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:{me}@{at}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[test]
fn a_call_to_the_echo_takes_repetitions_without_allocation() {
    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 10.45.0.0\r\ns=-\r\nc=IN IP4 10.45.0.0\r\nt=0 0\r\nm=audio 31022 RTP/AVP 0\r\n";
    for kind in [AuthentType::None, AuthentType::AkaV1] {
        let mut stage = Stage::new(1, kind);
        stage.register(0, kind);
        let invite = request("INVITE", "tel:666", "<tel:666>", "1", OFFER);
        stage.send(0, &invite);
        let ok = stage.take().pop().expect("an answer").octets;
        assert!(ok.starts_with(b"SIP/2.0 200"), "{}", String::from_utf8_lossy(&ok));
        // RFC 6026 7.1: while Accepted a repeated INVITE is swallowed, the 2xx is the dialog's to repeat
        assert_eq!(repeated(&mut stage, &invite), (0, 0));
        let contact = header(&ok, HeaderId::Contact);
        let target = contact.split(['<', '>']).nth(1).expect("an address");
        let ack = request("ACK", target, &header(&ok, HeaderId::To), "2", "");
        assert_eq!(repeated(&mut stage, &ack), (0, 0));
        // less than a silent call may last
        stage.pass(Duration::from_secs(20));
        assert!(stage.take().is_empty(), "the ACK ended the repetition of the 200");
    }
}

/// The answer of a user's phone to a request.
fn answer(stage: &mut Stage, user: usize, request: &[u8], status: u16) {
    let mut index = Index::new();
    let msg = Message::parse(request, &mut index).expect("the core sends messages");
    let mut octets = Vec::new();
    let mut w = Writer::response_to(&mut octets, &msg, status, None, None, Some(b"callee"));
    w.header("Contact", format!("<sip:callee@{}>", address(user)));
    w.finish();
    stage.send(user, &octets);
}

#[test]
fn the_ack_of_a_call_between_users_passes_without_allocation() {
    let mut stage = Stage::new(2, AuthentType::None);
    stage.register(0, AuthentType::None);
    stage.register(1, AuthentType::None);
    let uri = format!("sip:001010{:09}@{DOMAIN}", 1);
    let mut spent = Vec::new();
    for branch in ["1", "2"] {
        let octets = request("INVITE", &uri, &format!("<{uri}>"), branch, "");
        let other_call = String::from_utf8(octets).expect("text").replace("quecbSk9i", branch);
        stage.send(0, other_call.as_bytes());
        stage.expect(0, "SIP/2.0 100");
        let invite = stage.expect(1, "INVITE");
        answer(&mut stage, 1, &invite, 180);
        stage.expect(0, "SIP/2.0 180");
        answer(&mut stage, 1, &invite, 200);
        let ok = stage.expect(0, "SIP/2.0 200");
        let contact = header(&ok, HeaderId::Contact);
        let target = contact.split(['<', '>']).nth(1).expect("an address");
        let ack = request("ACK", target, &header(&ok, HeaderId::To), &format!("ack{branch}"), "");
        let ack = String::from_utf8(ack).expect("text").replace("quecbSk9i", branch);
        let before = stage.spent.allocations;
        stage.send(0, ack.as_bytes());
        spent.push(stage.spent.allocations - before);
        stage.expect(1, "ACK");
    }
    // the first call may fill tables and buffers for good
    assert_eq!(spent[1], 0, "{spent:?}");
}
