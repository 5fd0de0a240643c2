//! Calls to an echo number, with media through the media table.

use super::*;
use crate::config::model::{AnswerBody, Precondition};
use crate::proto::media::table::{PacketVerdict, Treatment};
use crate::wire::sdp::Sdp;

const RTP: [u8; 12] = [0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7];
const VOLTE: &str = "v=0\r\no=rue 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 104 100\r\nb=AS:41\r\n\
    a=rtpmap:104 AMR-WB/16000/1\r\na=fmtp:104 mode-change-capability=2;max-red=0\r\na=rtpmap:100 telephone-event/16000\r\n\
    a=inactive\r\na=curr:qos local none\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
    a=des:qos optional remote sendrecv\r\n";

fn world(change: impl FnOnce(&mut Config)) -> World {
    let mut w = World::with(change);
    w.register(ALICE, "");
    w
}

/// A call to the echo number, answered and acknowledged.
fn answered(w: &mut World, offer: &str) -> (Side, String) {
    let mut alice = w.invite(ALICE, "tel:666", "", offer);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect_nothing();
    (alice, ok)
}

fn hear(w: &mut World, session: u64) -> PacketVerdict {
    let (now, from) = (w.now, "192.0.2.1:4000".parse().unwrap());
    w.core.media_mut().on_packet(now, session, false, from, &RTP)
}

#[test]
fn an_echo_call_answers_and_its_media_comes_back() {
    let mut w = world(|_| {});
    let (mut alice, ok) = answered(&mut w, SDP);
    let (session, port) = w.open_ports[0];
    assert!(
        body(&ok).contains(&format!("c=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n")),
        "{ok}"
    );
    assert!(header(&ok, HeaderId::Allow).contains("UPDATE"));
    let to = "192.0.2.1:4000".parse().unwrap();
    assert_eq!(hear(&mut w, session), PacketVerdict::Send { session, rtcp: false, to });
    let view = &w.core.dialog_views(w.now)[0];
    assert_eq!(
        (view.kind, view.state, view.from.as_str(), view.to.as_str()),
        ("echo", "start", "sip:alice@ims.test", "tel:666")
    );
    assert_eq!(
        (view.medias[0].rtp_recv_count, view.medias[0].rtp_send_count, view.medias[0].rtp_addr),
        (1, 1, Some(to))
    );
    w.request(&mut alice, "BYE", "", "");
    w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(w.open_ports, []);
    w.quiet();
}

#[test]
fn the_echo_holds_packets_back_and_blocks_them_as_configured() {
    let delay = Duration::from_millis(300);
    let mut w = world(|c| c.echo[0].packets = Treatment { delay, rtcp_block: true, ..Treatment::default() });
    answered(&mut w, SDP);
    let session = w.open_ports[0].0;
    assert_eq!(hear(&mut w, session), PacketVerdict::Hold { until: w.now + delay });
    let label = w.core.media_mut().view(session).unwrap().label;
    let view = &w.core.dialog_views(w.now)[0];
    assert_eq!((label.dialog, label.media), (view.index, "audio"));
    assert_eq!((view.medias[0].rtp_block, view.medias[0].rtcp_block), (false, true));
}

#[test]
fn audio_and_video_over_ipv6() {
    let phone = Phone { addr: "[2001:db8::7]:5060", user: "alice" };
    let mut w = World::new();
    w.register(phone, "");
    let offer = "v=0\r\no=- 1 1 IN IP6 2001:db8::7\r\ns=-\r\nc=IN IP6 2001:db8::7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n\
        m=video 4002 RTP/AVPF 99\r\na=rtpmap:99 H264/90000\r\na=rtcp-fb:* nack\r\na=rtcp-mux\r\n";
    let mut alice = w.invite(phone, "tel:666", "", offer);
    let ok = w.expect(phone, "SIP/2.0 200");
    assert_eq!(header(&ok, HeaderId::Contact), "<sip:ims@[2001:db8::1]:5060>");
    let sdp = Sdp::parse(body(&ok).as_bytes()).unwrap();
    assert_eq!(sdp.connection(), Some("2001:db8::1".parse().unwrap()));
    assert_eq!(
        sdp.medias().map(|m| m.port).collect::<Vec<_>>(),
        w.open_ports.iter().map(|p| p.1).collect::<Vec<_>>()
    );
    let view = &w.core.dialog_views(w.now)[0];
    assert_eq!(view.medias[1].rtcp_addr, view.medias[1].rtp_addr, "RTCP on the RTP port as offered");
    assert_eq!(view.medias[0].rtcp_addr, Some("[2001:db8::7]:4001".parse().unwrap()));
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn an_ipv4_offer_over_ipv6_gets_an_ipv4_answer() {
    let phone = Phone { addr: "[2001:db8::7]:5060", user: "alice" };
    let mut w = World::new();
    w.register(phone, "");
    w.invite(phone, "tel:666", "", SDP);
    let ok = w.expect(phone, "SIP/2.0 200");
    assert!(body(&ok).contains("c=IN IP4 198.51.100.1"), "{ok}");
    let mut w = World::with(|c| c.sip.truncate(1));
    w.register(ALICE, "");
    w.invite(ALICE, "tel:666", "", &SDP.replace("IN IP4 192.0.2.1", "IN IP6 2001:db8::7"));
    let refused = w.expect(ALICE, "SIP/2.0 488");
    assert!(header(&refused, HeaderId::Warning).starts_with("301 "), "{refused}");
    w.quiet();
}

#[test]
fn what_cannot_be_echoed_is_refused_with_the_reason() {
    for (offer, warning) in [
        (SDP.replace("RTP/AVP", "RTP/SAVP"), "304 "),
        (SDP.replace("audio", "image"), "304 "),
        (SDP.replace("m=audio 4000", "m=audio 0"), "304 "),
        ("v=1\r\n".to_owned(), "399 "),
    ] {
        let mut w = world(|_| {});
        w.invite(ALICE, "tel:666", "", &offer);
        let refused = w.expect(ALICE, "SIP/2.0 488");
        assert!(header(&refused, HeaderId::Warning).starts_with(warning), "{refused}");
        w.quiet();
    }
    let mut w = world(|c| c.echo[0].audio = false);
    w.invite(ALICE, "tel:666", "", SDP);
    w.expect(ALICE, "SIP/2.0 488");
    w.quiet();
}

#[test]
fn ports_that_cannot_be_opened() {
    let mut w = world(|_| {});
    w.ports_open = Some(false);
    w.invite(ALICE, "tel:666", "", SDP);
    let refused = w.expect(ALICE, "SIP/2.0 503");
    assert_ne!(header(&refused, HeaderId::RetryAfter), "");
    assert!(w.core.media_mut().is_empty());
    w.quiet();
    let mut w = world(|c| (c.sip[0].port_min, c.sip[0].port_max) = (10_000, 10_001));
    let (mut first, _) = answered(&mut w, SDP);
    w.invite(ALICE, "tel:666", "", SDP);
    w.expect(ALICE, "SIP/2.0 503");
    w.request(&mut first, "BYE", "", "");
    w.quiet();
}

#[test]
fn other_ports_are_tried_when_one_is_taken() {
    let mut w = world(|_| {});
    w.ports_open = None;
    w.invite(ALICE, "tel:666", "", SDP);
    let first = w.asked.pop().unwrap();
    w.ports_open = Some(true);
    w.input(|core, cx| core.on_media_opened(cx, first, false));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert!(body(&ok).contains("m=audio 10002 "), "{ok}");
    w.quiet();
}

#[test]
fn a_caller_that_hangs_up_while_ports_are_opened() {
    let mut w = world(|_| {});
    w.ports_open = None;
    let alice = w.invite(ALICE, "tel:666", "", SDP);
    let session = w.asked[0];
    w.send(ALICE, &alice.text("CANCEL", 1, w.branch, "", ""));
    w.expect(ALICE, "SIP/2.0 200");
    w.expect(ALICE, "SIP/2.0 487");
    w.input(|core, cx| core.on_media_opened(cx, session, true));
    w.expect_nothing();
    w.quiet();
    // the ports' answer never comes
    let mut w = world(|_| {});
    w.ports_open = None;
    w.invite(ALICE, "tel:666", "", SDP);
    w.pass(Duration::from_secs(30));
    w.expect(ALICE, "SIP/2.0 408");
    w.quiet();
}

#[test]
fn an_invite_without_offer_gets_ours() {
    let mut w = world(|_| {});
    let mut alice = w.invite(ALICE, "tel:666", "", "");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert!(body(&ok).contains("a=rtpmap:104 AMR-WB/16000/1\r\n"), "{ok}");
    alice.learn(&ok);
    w.ack(&alice, 1, SDP);
    let session = w.open_ports[0].0;
    assert!(matches!(hear(&mut w, session), PacketVerdict::Send { .. }));
    w.request(&mut alice, "INVITE", "", "");
    let again = w.expect(ALICE, "SIP/2.0 200");
    let version = |text: &str| Sdp::parse(body(text).as_bytes()).unwrap().origin().unwrap().version.to_vec();
    assert_eq!((version(&ok), version(&again)), (b"1".to_vec(), b"2".to_vec()));
    w.ack(&alice, 2, SDP);
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
    let mut w = world(|_| {});
    let mut alice = w.invite(ALICE, "tel:666", "", "");
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.ack(&alice, 1, "");
    let bye = w.expect(ALICE, "BYE");
    assert!(header(&bye, HeaderId::Reason).contains("no usable answer"), "{bye}");
    w.quiet();
}

#[test]
fn hold_resume_and_another_address() {
    let mut w = world(|_| {});
    let (mut alice, ok) = answered(&mut w, SDP);
    let session = w.open_ports[0].0;
    for (direction, ours, state) in [
        ("sendonly", "recvonly", "hold"),
        ("inactive", "inactive", "hold"),
        ("sendrecv", "sendrecv", "start"),
    ] {
        w.request(&mut alice, "INVITE", "", &SDP.replace("sendrecv", direction));
        let answer = w.expect(ALICE, "SIP/2.0 200");
        w.ack(&alice, alice.cseq, "");
        assert!(body(&answer).contains(&format!("a={ours}\r\n")), "{answer}");
        assert_eq!(w.states(), [state]);
        let echoes = matches!(hear(&mut w, session), PacketVerdict::Send { .. });
        assert_eq!(echoes, state == "start");
    }
    let moved = SDP.replace("192.0.2.1", "192.0.2.77");
    w.request(&mut alice, "UPDATE", "", &moved);
    let answer = w.expect(ALICE, "SIP/2.0 200");
    let sdp = |text: &str| Sdp::parse(body(text).as_bytes()).unwrap().origin().unwrap().version.to_vec();
    assert_eq!((sdp(&ok), sdp(&answer)), (b"1".to_vec(), b"5".to_vec()), "each answer is a new version");
    assert_eq!(w.core.dialog_views(w.now)[0].medias[0].rtp_addr, Some("192.0.2.77:4000".parse().unwrap()));
    w.request(&mut alice, "UPDATE", "", "");
    assert_eq!(body(&w.expect(ALICE, "SIP/2.0 200")), "");
    w.request(&mut alice, "UPDATE", "", &SDP.replace("RTP/AVP", "RTP/SAVP"));
    w.expect(ALICE, "SIP/2.0 488");
    assert_eq!(w.states(), ["start"], "the call goes on as it was");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn video_comes_and_goes() {
    let mut w = world(|_| {});
    let (mut alice, _) = answered(&mut w, SDP);
    let with_video = format!("{SDP}m=video 4002 RTP/AVP 99\r\n");
    w.request(&mut alice, "INVITE", "", &with_video);
    let answer = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(w.open_ports.len(), 2);
    assert!(body(&answer).contains(&format!("m=video {} ", w.open_ports[1].1)), "{answer}");
    w.ack(&alice, alice.cseq, "");
    w.request(&mut alice, "INVITE", "", &with_video.replace("4002", "0"));
    let answer = w.expect(ALICE, "SIP/2.0 200");
    assert!(body(&answer).contains("m=video 0 "), "{answer}");
    assert_eq!(w.open_ports.len(), 1);
    w.ack(&alice, alice.cseq, "");
    w.ports_open = Some(false);
    w.request(&mut alice, "INVITE", "", &with_video);
    w.expect(ALICE, "SIP/2.0 503");
    assert_eq!((w.states(), w.open_ports.len()), (vec!["start"], 1), "the call goes on as it was");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_phone_with_preconditions_is_answered_when_its_resources_are_there() {
    let mut w = world(|_| {});
    let mut alice = w.invite(ALICE, "tel:666", "Supported: 100rel, precondition\r\n", VOLTE);
    let early = w.expect(ALICE, "SIP/2.0 183");
    assert_eq!(
        (header(&early, HeaderId::Require).as_str(), header(&early, HeaderId::RSeq).as_str()),
        ("100rel, precondition", "1")
    );
    for line in
        ["a=curr:qos local sendrecv", "a=curr:qos remote none", "a=conf:qos remote sendrecv", "a=inactive"]
    {
        assert!(body(&early).contains(&format!("{line}\r\n")), "{early}");
    }
    w.pass(T1);
    assert_eq!(w.expect(ALICE, "SIP/2.0 183"), early, "repeated until PRACK");
    alice.learn(&early);
    w.request(&mut alice, "PRACK", "RAck: 2 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 481");
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.pass(Duration::from_secs(5));
    w.expect_nothing();
    let met =
        VOLTE.replace("a=inactive", "a=sendrecv").replace("curr:qos local none", "curr:qos local sendrecv");
    w.request(&mut alice, "UPDATE", "", &met);
    let updated = w.expect(ALICE, "SIP/2.0 200");
    assert!(
        body(&updated).contains("a=curr:qos remote sendrecv\r\n")
            && body(&updated).contains("a=sendrecv\r\n"),
        "{updated}"
    );
    w.expect(ALICE, "SIP/2.0 180");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(
        (header(&ok, HeaderId::CSeq).as_str(), body(&ok)),
        ("1 INVITE", ""),
        "the answer has gone already"
    );
    w.ack(&alice, 1, "");
    let session = w.open_ports[0].0;
    assert!(matches!(hear(&mut w, session), PacketVerdict::Send { .. }));
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn preconditions_that_are_met_or_not_wanted_need_no_detour() {
    let met = VOLTE.replace("curr:qos local none", "curr:qos local sendrecv");
    for (supported, offer, mode) in [
        ("Supported: 100rel, precondition\r\n", met.as_str(), Precondition::On),
        ("Supported: 100rel, precondition\r\n", VOLTE, Precondition::Off),
        ("", VOLTE, Precondition::On),
    ] {
        let mut w = world(|c| c.echo[0].precondition = Some(mode));
        w.invite(ALICE, "tel:666", supported, offer);
        let ok = w.expect(ALICE, "SIP/2.0 200");
        assert_eq!(body(&ok).contains("a=curr:qos local sendrecv"), mode == Precondition::On, "{ok}");
        w.quiet();
    }
}

#[test]
fn without_preconditions_a_stream_that_waits_runs_when_its_phone_says_so() {
    for mode in [Precondition::Off, Precondition::Silent] {
        let mut w = world(|c| c.echo[0].precondition = Some(mode));
        let mut alice = w.invite(ALICE, "tel:666", "Supported: 100rel, precondition\r\n", VOLTE);
        let ok = w.expect(ALICE, "SIP/2.0 200");
        assert!(body(&ok).contains("a=inactive\r\n") && !body(&ok).contains("qos"), "RFC 3264 6.1: {ok}");
        alice.learn(&ok);
        w.ack(&alice, 1, "");
        let session = w.open_ports[0].0;
        assert!(!matches!(hear(&mut w, session), PacketVerdict::Send { .. }));
        let ready = VOLTE.replace("inactive", "sendrecv").replace("local none", "local sendrecv");
        w.request(&mut alice, "UPDATE", "", &ready);
        let ok = w.expect(ALICE, "SIP/2.0 200");
        assert!(body(&ok).contains("a=sendrecv\r\n") && !body(&ok).contains("qos"), "{ok}");
        assert!(matches!(hear(&mut w, session), PacketVerdict::Send { .. }));
        w.request(&mut alice, "BYE", "", "");
        w.quiet();
    }
}

#[test]
fn an_echo_number_without_reliable_answers_gives_none() {
    let mut w = world(|c| c.echo[0].reliable_provisional = false);
    w.invite(ALICE, "tel:666", "Supported: 100rel, precondition\r\n", VOLTE);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert!(body(&ok).contains("a=curr:qos local sendrecv"), "{ok}");
    w.quiet();
    let mut w = world(|c| c.echo[0].reliable_provisional = false);
    w.invite(ALICE, "tel:666", "Require: 100rel\r\n", VOLTE);
    assert_eq!(header(&w.expect(ALICE, "SIP/2.0 420"), HeaderId::Unsupported), "100rel");
    w.quiet();
}

#[test]
fn a_reliable_answer_that_is_never_acknowledged() {
    let mut w = world(|c| c.call.dialog_timeout = Duration::from_secs(100));
    w.invite(ALICE, "tel:666", "Supported: 100rel\r\n", VOLTE);
    w.pass(T1 * 64 - Duration::from_millis(1));
    assert_eq!(w.drop_all(), 7, "0.5, 1, 2, 4, 8 and 16 s, RFC 3262 3");
    w.pass(Duration::from_millis(1));
    w.expect(ALICE, "SIP/2.0 504");
    w.quiet();
    let mut w = world(|_| {});
    let mut alice = w.invite(ALICE, "tel:666", "Supported: 100rel\r\n", VOLTE);
    alice.learn(&w.expect(ALICE, "SIP/2.0 183"));
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.pass(Duration::from_secs(30));
    w.expect(ALICE, "SIP/2.0 580");
    w.quiet();
}

#[test]
fn the_echo_number_obeys_its_configuration() {
    let mut w = world(|c| c.echo[0].answer_delay = Duration::from_secs(3));
    w.invite(ALICE, "tel:666", "", SDP);
    w.expect(ALICE, "SIP/2.0 180");
    w.pass(Duration::from_millis(2999));
    w.expect_nothing();
    w.pass(Duration::from_millis(1));
    w.expect(ALICE, "SIP/2.0 200");
    w.quiet();
    let mut w = world(|c| c.echo[0].ring_only = true);
    w.invite(ALICE, "tel:666", "", SDP);
    w.expect(ALICE, "SIP/2.0 180");
    assert_eq!((w.states(), w.open_ports.len()), (vec!["ringing"], 0));
    w.pass(Duration::from_secs(30));
    w.expect(ALICE, "SIP/2.0 480");
    w.quiet();
    let body = AnswerBody { file: "a".into(), content_type: "text/x".into(), octets: b"sorry".to_vec() };
    let mut w = world(|c| (c.echo[0].code, c.echo[0].content) = (Some(604), Some(body)));
    w.invite(ALICE, "tel:666", "", SDP);
    let refused = w.expect(ALICE, "SIP/2.0 604");
    assert_eq!(
        (header(&refused, HeaderId::ContentType).as_str(), super::body(&refused)),
        ("text/x", "sorry")
    );
    w.quiet();
}

#[test]
fn silence_ends_the_call_and_hold_does_not() {
    let mut w = world(|_| {});
    let (mut alice, _) = answered(&mut w, SDP);
    let session = w.open_ports[0].0;
    w.pass(Duration::from_secs(20));
    hear(&mut w, session);
    w.pass(Duration::from_secs(29));
    assert_eq!(w.states(), ["start"]);
    w.request(&mut alice, "UPDATE", "", &SDP.replace("sendrecv", "sendonly"));
    w.expect(ALICE, "SIP/2.0 200");
    w.pass(Duration::from_secs(100));
    assert_eq!(w.states(), ["hold"]);
    w.request(&mut alice, "UPDATE", "", SDP);
    w.expect(ALICE, "SIP/2.0 200");
    w.pass(Duration::from_secs(29));
    assert_eq!(w.states(), ["start"]);
    w.pass(Duration::from_secs(1));
    let bye = w.expect(ALICE, "BYE");
    assert!(header(&bye, HeaderId::Reason).contains("no media from sip:alice@ims.test for 30 s"), "{bye}");
    assert_eq!(w.open_ports, []);
    w.quiet();
}

#[test]
fn requests_that_an_echo_takes_and_that_it_does_not() {
    let mut w = world(|_| {});
    let (mut alice, _) = answered(&mut w, SDP);
    for (method, status) in
        [("INFO", 200), ("MESSAGE", 200), ("NOTIFY", 481), ("REFER", 405), ("PRACK", 481), ("PUBLISH", 405)]
    {
        w.request(&mut alice, method, "", "");
        w.expect(ALICE, &format!("SIP/2.0 {status} "));
    }
    assert_eq!(w.states(), ["start"]);
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn overlapping_offers_are_refused() {
    let mut w = world(|_| {});
    let mut alice = w.invite(ALICE, "tel:666", "", SDP);
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.request(&mut alice, "INVITE", "", SDP);
    w.expect(ALICE, "SIP/2.0 491");
    w.ack(&alice, 1, "");
    w.ports_open = None;
    let with_video = format!("{SDP}m=video 4002 RTP/AVP 99\r\n");
    w.request(&mut alice, "INVITE", "", &with_video);
    w.request(&mut alice, "UPDATE", "", SDP);
    w.expect(ALICE, "SIP/2.0 500");
    let session = w.asked[0];
    w.input(|core, cx| core.on_media_opened(cx, session, true));
    w.expect(ALICE, "SIP/2.0 200");
    w.ack(&alice, 3, "");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn the_200_of_an_echo_is_repeated_until_the_ack() {
    let mut w = world(|_| {});
    w.invite(ALICE, "tel:666", "", SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    w.pass(T1);
    assert_eq!(w.expect(ALICE, "SIP/2.0 200"), ok);
    w.pass(T1 * 64);
    while w.sent.front().is_some_and(|(_, text)| text.starts_with("SIP/2.0 200")) {
        w.sent.pop_front();
    }
    w.expect(ALICE, "BYE");
    assert!(w.reason().starts_with("no "), "{}", w.reason());
    w.quiet();
}
