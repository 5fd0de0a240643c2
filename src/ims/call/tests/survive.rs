//! What passes as it came, and the ways that phones write to get here: Route in every state, unknown headers, bodies of any kind.

use super::*;

/// The location and the MSD that go beside a description; with octets that are not printable.
const MULTIPART: &str = "--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\n\
    t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n\r\n--b1\r\nContent-Type: application/pidf+xml\r\nContent-ID: <alice@ims.test>\r\n\
    Content-Disposition: render;handling=optional\r\n\r\n<?xml version=\"1.0\"?>\n<presence>\u{e9}</presence>\r\n--b1\r\n\
    Content-Type: application/EmergencyCallData.eCall.MSD\r\nContent-ID: <1234567890@ims.test>\r\n\r\n\0\u{1}\u{2}\n\r\r\n--b1--\r\n";

const UNKNOWN: &str = "X-Odd:  a  b ,\"c;d\"\r\nGeolocation: <cid:alice@ims.test>\r\nGeolocation-Routing: no\r\nP-TTA-VoLTE-Info: avchange\r\n\
    Accept-Contact: *;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"\r\nReject-Contact: *;automata\r\n\
    History-Info: <sip:x@ims.test>;index=1\r\nDiversion: <tel:+1>;reason=unconditional\r\nAlert-Info: <urn:alert:service:call-waiting>\r\n\
    Resource-Priority: ets.0\r\nUser-to-User: 00FA;encoding=hex\r\nSession-ID: f81d4fae7dec11d0a76500a0c91e6bf6\r\n";

/// A request or a response as a phone of these tests writes it, with another body.
fn with_body(text: &str, content_type: &str, body: &str) -> String {
    let head = text.split("Content-Length:").next().unwrap();
    let head = head.replace("Content-Type: application/sdp\r\n", "");
    format!("{head}Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn unknown_headers_and_bodies_of_many_parts_pass_octet_by_octet() {
    let kind = "multipart/mixed;boundary=\"b1\"";
    let mut w = World::registered();
    let branch = w.branch();
    let mut alice = Side {
        phone: ALICE,
        call_id: "odd".to_owned(),
        local: "<sip:alice@ims.test>;tag=1".to_owned(),
        remote: "<sip:bob@ims.test>".to_owned(),
        target: "sip:bob@ims.test".to_owned(),
        cseq: 1,
    };
    let headers = format!("Contact: <sip:alice@{}>\r\nMIME-Version: 1.0\r\n{UNKNOWN}", ALICE.addr);
    let text = alice.text("INVITE", 1, branch, &headers, "");
    w.send(ALICE, &with_body(&text, kind, MULTIPART));
    w.expect(ALICE, "SIP/2.0 100");
    let invite = w.expect(BOB, "INVITE");
    for line in UNKNOWN.lines().chain(["MIME-Version: 1.0", "Content-Type: multipart/mixed;boundary=\"b1\""])
    {
        let (name, value) = line.split_once(':').unwrap();
        assert!(invite.contains(&format!("\r\n{name}: {}\r\n", value.trim())), "{line}: {invite}");
    }
    assert_eq!(body(&invite), MULTIPART);
    let ok = reply(BOB, &invite, 200, UNKNOWN, SDP);
    w.send(BOB, &with_body(&ok, kind, MULTIPART));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(body(&ok), MULTIPART);
    assert!(ok.contains("\r\nUser-to-User: 00FA;encoding=hex\r\n"), "{ok}");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    // the MSD again, on demand (RFC 8147 9)
    alice.cseq += 1;
    let branch = w.branch();
    let info = alice.text("INFO", alice.cseq, branch, "Info-Package: EmergencyCallData.eCall.MSD\r\n", "");
    w.send(ALICE, &with_body(&info, "application/EmergencyCallData.eCall.MSD", "\0\u{1}\u{2}\r\n\r\n\0"));
    let passed = w.expect(BOB, "INFO");
    assert_eq!(body(&passed), "\0\u{1}\u{2}\r\n\r\n\0");
    assert!(passed.contains("\r\nInfo-Package: EmergencyCallData.eCall.MSD\r\n"), "{passed}");
}

#[test]
fn a_route_that_is_missing_stale_or_loaded_twice_is_not_minded() {
    for route in [
        "",
        "Route: <sip:orig@198.51.100.1:5060;lr>\r\n",
        "Route: <sip:198.51.100.1;lr>, <sip:orig@198.51.100.1:5060;lr>\r\n",
        "Route: <sip:pcscf.elsewhere.test:6101;lr>\r\nRoute: <sip:scscf.elsewhere.test;lr>\r\n",
        "Route: <sip:[2001:db8:0:0::1]:5060;lr;transport=udp>\r\n",
        "Route: <sip:198.51.100.1>\r\n",
    ] {
        let mut w = World::registered();
        let mut alice = w.invite(ALICE, "sip:bob@ims.test", route, SDP);
        let invite = w.expect(BOB, "INVITE sip:bob@192.0.2.2:5060");
        assert_eq!(header(&invite, HeaderId::Route), "", "{invite}");
        w.answer(BOB, &invite, 200, "", SDP);
        let ok = w.expect(ALICE, "SIP/2.0 200");
        assert_eq!(header(&ok, HeaderId::RecordRoute), "", "our Contact is the way: {ok}");
        alice.learn(&ok);
        w.ack(&alice, 1, "");
        w.expect(BOB, "ACK");
        w.request(&mut alice, "BYE", route, "");
        w.expect(ALICE, "SIP/2.0 200");
        let bye = w.expect(BOB, "BYE sip:bob@192.0.2.2:5060");
        assert_eq!(header(&bye, HeaderId::Route), "", "{bye}");
        w.quiet();
    }
}

#[test]
fn nothing_of_one_legs_way_is_seen_on_the_other() {
    let mut w = World::registered();
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "Record-Route: <sip:p.alice.test;lr>\r\n", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 183, "Record-Route: <sip:p.bob.test;lr>\r\n", "");
    let progress = w.expect(ALICE, "SIP/2.0 183");
    w.answer(BOB, &invite, 200, "Record-Route: <sip:p.bob.test;lr>\r\n", SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    let ack = w.find(BOB, "ACK").unwrap();
    assert_eq!(header(&ack, HeaderId::Route), "<sip:p.bob.test;lr>");
    for (text, hidden) in [
        (&invite, ["192.0.2.1", "p.alice.test", "call1", "tag=L"]),
        (&ack, ["192.0.2.1:", "p.alice.test", "call1", "tag=L"]),
        (&progress, ["192.0.2.2", "p.bob.test", "tag=T", "branch=z9hG4bKr"]),
        (&ok, ["192.0.2.2", "p.bob.test", "tag=T", "branch=z9hG4bKr"]),
    ] {
        let head = text.split("\r\n\r\n").next().unwrap();
        for part in hidden {
            assert!(!head.contains(part), "{part} in {head}");
        }
    }
}
