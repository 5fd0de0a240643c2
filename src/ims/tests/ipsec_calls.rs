//! Calls that the network makes to a phone behind IPsec.

use super::ipsec::{Guarded, lab};
use super::{Lab, Sent, udp};
use crate::base::time::Duration;
use crate::ims::call::{Action, Callee, Order};
use crate::proto::flow::{Flow, LocalId};

const ANSWER: &str =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";

/// Bob's answer to a request.
fn reply(request: &Sent, status: &str, body: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let tag = if name == "To" && !request.one("To").contains(";tag=") { ";tag=b" } else { "" };
        text += &format!("{name}: {}{tag}\r\n", request.one(name));
    }
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    text + &format!(
        "Contact: <sip:phone@10.0.0.2:31113>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The one request that was sent; it goes through Bob's set.
fn guarded(sent: Vec<Sent>, start: &str) -> Sent {
    let [request] = &sent[..] else { panic!("{start}: {sent:?}") };
    assert!(request.text.starts_with(start), "{start}: {}", request.text);
    assert_eq!(request.flow, Flow::udp(LocalId(2), "10.0.0.2:31113".parse().unwrap()), "{}", request.text);
    request.clone()
}

fn states(lab: &Lab) -> Vec<&'static str> {
    lab.core.dialog_views(lab.now).iter().map(|d| d.state).collect()
}

#[test]
fn the_network_calls_a_phone_through_its_security_associations() {
    let mut lab = lab();
    let mut bob = Guarded::new();
    assert_eq!(bob.register(&mut lab).status(), 200);
    let callee = Callee::Impu("tel:0600000002".to_owned());
    let order = Order { callee, caller: None, media: None, duration: None, sos: false };
    let (made, sent) = lab.with(|core, cx| core.call(cx, order));
    let (index, _) = made.unwrap();
    assert_eq!(sent, [], "its ports come first");
    let session = lab.ports.pop().expect("a port is wanted");
    let sent = lab.with(|core, cx| core.on_media_opened(cx, session, true)).1;
    let invite = guarded(sent, "INVITE sip:phone@10.0.0.2:31113 SIP/2.0");
    assert!(invite.one("Via").starts_with("SIP/2.0/UDP 10.0.0.254:6100;"), "{}", invite.text);
    assert_eq!(invite.one("Contact"), "<sip:ims@10.0.0.254:6100>");
    // media has no association of its own: it goes beside them, from our clear address
    assert!(invite.text.contains("c=IN IP4 10.0.0.254\r\n"), "{}", invite.text);

    let forged = reply(&invite, "200 OK", ANSWER);
    assert_eq!(lab.on_sip(udp("10.0.0.2:31113"), &forged), [], "in clear");
    assert_eq!(states(&lab), ["init"]);
    lab.on_sip(bob.phone.flow(), reply(&invite, "180 Ringing", ""));
    guarded(lab.on_sip(bob.phone.flow(), forged), "ACK sip:phone@10.0.0.2:31113");
    assert_eq!(states(&lab), ["start"]);

    let hold = Action::Hold(None);
    let (done, sent) = lab.with(|core, cx| core.set_dialog(cx, index, hold));
    assert_eq!(done, Ok(()));
    let hold = guarded(sent, "INVITE");
    guarded(lab.on_sip(bob.phone.flow(), reply(&hold, "200 OK", &format!("{ANSWER}a=recvonly\r\n"))), "ACK");
    assert_eq!(states(&lab), ["hold"]);
    let (done, sent) = lab.with(|core, cx| core.stop_dialog(cx, index));
    assert_eq!(done, Ok(()));
    let bye = guarded(sent, "BYE");
    assert_eq!(lab.on_sip(bob.phone.flow(), reply(&bye, "200 OK", "")), []);
    assert_eq!(states(&lab), ["stop"]);
    lab.pass(Duration::from_secs(31));
    assert_eq!(states(&lab), [""; 0]);
}
