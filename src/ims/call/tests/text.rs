//! Real-time text (T.140 in RTP, RFC 4103) beside voice: between users, through us, to an echo number, and where it is not wanted.

use super::*;
use crate::proto::media::table::PacketVerdict;
use crate::wire::sdp::{MediaKind, Sdp};

const BOB6: Phone = Phone { addr: "[2001:db8::b0b]:5060", user: "bob" };
/// T.140 block "h" (RFC 4103 4), alone in its packet.
const RTP: [u8; 13] = [0x80, 0xe2, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7, b'h'];

/// Text with redundancy, as a phone offers it, or answers.
fn text(port: u16) -> String {
    format!(
        "m=text {port} RTP/AVP 99 98\r\nb=AS:2\r\na=rtpmap:99 red/1000\r\na=rtpmap:98 t140/1000\r\na=fmtp:99 98/98/98\r\n\
         a=fmtp:98 cps=30\r\na=sendrecv\r\n"
    )
}

fn with_text(port: u16) -> String {
    SDP.to_owned() + &text(port)
}

fn world(to: Phone, change: impl FnOnce(&mut Config)) -> World {
    let mut w = World::with(change);
    [ALICE, to].into_iter().for_each(|phone| w.register(phone, ""));
    w
}

fn kinds(w: &World) -> Vec<(&'static str, &'static str)> {
    w.core.dialog_views(w.now)[0].medias.iter().map(|m| (m.kind, m.dir)).collect()
}

#[test]
fn text_beside_voice_passes_as_it_is_and_is_added_and_given_up() {
    let mut w = world(BOB, |_| {});
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", &with_text(4010));
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(body(&invite), with_text(4010));
    w.answer(BOB, &invite, 200, "", &with_text(5010));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(body(&ok), with_text(5010));
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    assert_eq!(kinds(&w), [("audio", "sendrecv"), ("text", "sendrecv")]);
    for (port, shown) in [(0, 1), (4012, 2)] {
        w.request(&mut alice, "INVITE", "", &with_text(port));
        w.expect(ALICE, "SIP/2.0 100");
        let invite = w.expect(BOB, "INVITE");
        assert_eq!(body(&invite), with_text(port));
        w.answer(BOB, &invite, 200, "", &with_text(if port == 0 { 0 } else { 5012 }));
        w.expect(ALICE, "SIP/2.0 200");
        w.ack(&alice, alice.cseq, "");
        w.expect(BOB, "ACK");
        assert_eq!(kinds(&w).len(), shown);
    }
    w.set(10, Action::Downgrade(MediaKind::Text)).unwrap();
    for phone in [ALICE, BOB] {
        let down = w.expect(phone, "INVITE");
        assert!(body(&down).contains("m=text 0 RTP/AVP 99"), "{down}");
        w.answer(phone, &down, 200, "", &with_text(0));
        w.expect(phone, "ACK");
    }
    assert_eq!(kinds(&w), [("audio", "sendrecv")]);
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn text_goes_through_us_from_ipv4_to_ipv6() {
    let mut w = world(BOB6, |_| {});
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", &with_text(4010));
    let invite = w.expect(BOB6, "INVITE");
    let six = |sdp: String| sdp.replace("IP4 192.0.2.1", "IP6 2001:db8::b0b");
    w.answer(BOB6, &invite, 200, "", &six(with_text(5010)));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    let lines = |text: &str| {
        let media = text.rsplit("m=text ").next().unwrap().split_once("\r\n").unwrap().1.to_owned();
        media.lines().filter(|l| !l.starts_with("c=")).collect::<Vec<_>>().join("\r\n")
    };
    assert_eq!(lines(body(&ok)), lines(&with_text(5010)), "all but the address");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(BOB6, "ACK");
    // ports are opened for the caller's side and the callee's of each stream
    let (session, _) = w.open_ports[2];
    let (now, from) = (w.now, "192.0.2.1:4010".parse().unwrap());
    let passed = w.core.media_mut().on_packet(now, session, false, from, &RTP);
    let PacketVerdict::Send { to, .. } = passed else { panic!("{passed:?}") };
    assert_eq!(to, "[2001:db8::b0b]:5010".parse().unwrap());
    assert_eq!(w.core.dialog_views(w.now)[0].medias[1].rtp_recv_count, 1);
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn an_echo_number_answers_text_and_sends_it_back() {
    let mut w = world(BOB, |_| {});
    let mut alice = w.invite(ALICE, "tel:666", "", &with_text(4010));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    let sdp = Sdp::parse(body(&ok).as_bytes()).unwrap();
    let media = sdp.medias().nth(1).unwrap();
    let (session, port) = w.open_ports[1];
    assert_eq!((media.kind, media.port, media.formats_text()), (MediaKind::Text, port, &b"99 98"[..]));
    assert!(body(&ok).ends_with(text(port).split_once("\r\n").unwrap().1), "{ok}");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    let from = "192.0.2.1:4010".parse().unwrap();
    let now = w.now;
    assert_eq!(
        w.core.media_mut().on_packet(now, session, false, from, &RTP),
        PacketVerdict::Send { session, rtcp: false, to: from }
    );
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn text_that_an_identity_may_not_have_is_neither_offered_nor_taken() {
    for forbids in ["caller", "callee", "echo"] {
        let mut w = world(BOB, |c| match forbids {
            "caller" => c.users[0].impus[0].text = false,
            "callee" => c.users[1].impus[0].text = false,
            _ => c.echo[0].text = false,
        });
        let uri = if forbids == "echo" { "tel:666" } else { "sip:bob@ims.test" };
        let mut alice = w.invite(ALICE, uri, "", &with_text(4010));
        if forbids != "echo" {
            let invite = w.expect(BOB, "INVITE");
            assert!(
                body(&invite).contains("m=audio 4000 ") && body(&invite).contains("m=text 0 "),
                "{invite}"
            );
            w.answer(BOB, &invite, 200, "", &with_text(5010).replace("text 5010", "text 0"));
        }
        let ok = w.expect(ALICE, "SIP/2.0 200");
        assert!(body(&ok).contains("m=text 0 RTP/AVP 99"), "{ok}");
        assert_eq!(kinds(&w).len(), 1);
        alice.learn(&ok);
        w.ack(&alice, 1, "");
        w.request(&mut alice, "BYE", "", "");
        w.quiet();
        // text alone
        let mut w = world(BOB, |c| {
            c.users[1].impus[0].text = false;
            c.echo[0].text = false;
        });
        let alone = with_text(4010).replace("audio 4000", "audio 0");
        w.invite(ALICE, uri, "", &alone);
        let refused = w.expect(ALICE, "SIP/2.0 488");
        assert!(header(&refused, HeaderId::Warning).starts_with("304 "), "{refused}");
        w.quiet();
    }
}
