//! Echo calls under the hand of the operator: who answers, with what media, and hold from our side.

use super::*;
use crate::ims::event::Event;
use crate::proto::media::table::PacketVerdict;
use crate::wire::sdp::{MediaKind, Sdp, Template};
use std::sync::Arc;

const RTP: [u8; 12] = [0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7];
/// Alice's phone: AMR-WB under a number of its own.
const PHONE: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 116 8\r\n\
    a=rtpmap:116 AMR-WB/16000/1\r\na=sendrecv\r\nm=video 4002 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n";

fn world(change: impl FnOnce(&mut Config)) -> World {
    let mut w = World::with(change);
    w.register(ALICE, "");
    w
}

fn answered(w: &mut World, offer: &str) -> (u32, Side) {
    let mut alice = w.invite(ALICE, "tel:666", "", offer);
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.ack(&alice, 1, "");
    w.expect_nothing();
    (w.core.dialog_views(w.now)[0].index, alice)
}

fn echoes(w: &mut World) -> bool {
    let (now, from, session) = (w.now, "192.0.2.1:4000".parse().unwrap(), w.open_ports[0].0);
    matches!(w.core.media_mut().on_packet(now, session, false, from, &RTP), PacketVerdict::Send { .. })
}

#[test]
fn a_file_forces_the_answer_and_the_offer() {
    let file = "m=audio 1 RTP/AVP 97\r\na=rtpmap:97 AMR-WB/16000\r\na=fmtp:97 mode-set=2\r\na=ptime:40\r\n";
    let template = Arc::new(Template::parse(file.as_bytes()).unwrap());
    let mut w = world(|c| c.echo[0].sdp = Some(Arc::clone(&template)));
    let mut alice = w.invite(ALICE, "tel:666", "", PHONE);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    let media = format!(
        "m=audio {} RTP/AVP 116\r\na=rtpmap:116 AMR-WB/16000\r\na=fmtp:116 mode-set=2\r\na=ptime:40\r\na=sendrecv\r\n\
         m=video 0 RTP/AVP 99\r\n",
        w.open_ports[0].1
    );
    assert!(body(&ok).ends_with(&media), "{ok}");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
    // who asks for our offer gets the file's
    let mut w = world(|c| c.echo[0].sdp = Some(template));
    w.invite(ALICE, "tel:666", "", "");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert!(body(&ok).contains(" RTP/AVP 97\r\na=rtpmap:97 AMR-WB/16000\r\n"), "{ok}");
    w.quiet();
    // a file without what is offered takes nothing
    let text = Arc::new(Template::parse(b"m=text 1 RTP/AVP 98\r\na=rtpmap:98 t140/1000\r\n").unwrap());
    let mut w = world(|c| c.echo[0].sdp = Some(text));
    w.invite(ALICE, "tel:666", "", PHONE);
    w.expect(ALICE, "SIP/2.0 488");
    w.quiet();
}

#[test]
fn the_operator_answers() {
    for (code, start) in [(200, "SIP/2.0 200"), (486, "SIP/2.0 486"), (603, "SIP/2.0 603")] {
        let mut w = world(|c| c.echo[0].remote_control = true);
        w.invite(ALICE, "tel:666", "", PHONE);
        w.expect(ALICE, "SIP/2.0 180");
        w.expect_nothing();
        let view = &w.core.dialog_views(w.now)[0];
        let (index, session_id) = (view.index, view.session_id.clone());
        let from = "sip:alice@ims.test".to_owned();
        let event = Event::Invite { session_id, from, to: "tel:666".to_owned() };
        assert_eq!(
            (w.core.pop_event(), w.core.pop_event(), event.name()),
            (Some(event.clone()), None, "invite")
        );
        assert!(w.set(index, Action::Answer(404 - 200)).unwrap_err().contains("code 204 is no answer"));
        w.set(index, Action::Answer(183)).unwrap();
        w.expect(ALICE, "SIP/2.0 183");
        w.set(index, Action::Answer(code)).unwrap();
        w.expect(ALICE, start);
        assert!(w.set(index, Action::Answer(200)).is_err(), "once");
        w.quiet();
    }
    let mut w = world(|c| c.echo[0].remote_control = true);
    w.invite(ALICE, "tel:666", "", PHONE);
    w.expect(ALICE, "SIP/2.0 180");
    w.pass(Duration::from_secs(30));
    w.expect(ALICE, "SIP/2.0 480");
    assert_eq!(w.reason(), "refused with 480: the operator has not answered");
    w.quiet();
    let mut w = world(|_| {});
    let (index, _) = answered(&mut w, PHONE);
    let why = w.set(index, Action::Answer(200)).unwrap_err();
    assert!(why.contains("it is in state start and without remote_control"), "{why}");
    w.quiet();
}

#[test]
fn a_provisional_code_is_all_that_the_caller_hears() {
    let mut w = world(|c| c.echo[0].code = Some(183));
    w.invite(ALICE, "tel:666", "", PHONE);
    w.expect(ALICE, "SIP/2.0 183");
    w.pass(Duration::from_secs(29));
    w.expect_nothing();
    w.pass(Duration::from_secs(1));
    w.expect(ALICE, "SIP/2.0 480");
    w.quiet();
}

#[test]
fn the_echo_holds_its_caller_and_the_caller_the_echo() {
    let mut w = world(|_| {});
    let (index, mut alice) = answered(&mut w, PHONE);
    w.set(index, Action::Hold(Some(MediaKind::Audio))).unwrap();
    let hold = w.expect(ALICE, "INVITE sip:alice@192.0.2.1:5060");
    let version = |text: &str| Sdp::parse(body(text).as_bytes()).unwrap().origin().unwrap().version.to_vec();
    assert_eq!(version(&hold), b"2");
    assert!(
        body(&hold).contains(" RTP/AVP 116 8\r\n") && body(&hold).matches("a=sendonly").count() == 1,
        "{hold}"
    );
    w.answer(ALICE, &hold, 200, "", &PHONE.replace("a=sendrecv", "a=recvonly"));
    assert_eq!(header(&w.expect(ALICE, "ACK"), HeaderId::CSeq), "1 ACK", "our first request in this dialog");
    assert_eq!(w.states(), ["start"], "video runs on");
    assert!(!echoes(&mut w));
    // a change of the caller's leaves what we hold held
    w.request(&mut alice, "UPDATE", "", PHONE);
    let updated = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(body(&updated).matches("a=sendonly").count(), 1, "{updated}");
    w.set(index, Action::Hold(None)).unwrap();
    let all = w.expect(ALICE, "INVITE");
    assert_eq!(body(&all).matches("a=sendonly").count(), 2, "not all was held, so all is now: {all}");
    w.answer(
        ALICE,
        &all,
        200,
        "",
        &PHONE.replace("a=sendrecv", "a=recvonly").replace("H264/90000\r\n", "H264/90000\r\na=recvonly\r\n"),
    );
    w.expect(ALICE, "ACK");
    assert_eq!(w.states(), ["hold"]);
    w.pass(Duration::from_secs(100));
    assert_eq!(w.states(), ["hold"], "nothing is expected");
    w.set(index, Action::Hold(None)).unwrap();
    let resume = w.expect(ALICE, "INVITE");
    w.answer(ALICE, &resume, 200, "", PHONE);
    w.expect(ALICE, "ACK");
    assert_eq!(w.states(), ["start"]);
    assert!(echoes(&mut w));
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_change_of_ours_waits_for_one_of_the_callers() {
    let mut w = world(|_| {});
    let mut alice = w.invite(ALICE, "tel:666", "", PHONE);
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    let index = w.core.dialog_views(w.now)[0].index;
    // its 2xx has no ACK yet
    w.set(index, Action::Downgrade(MediaKind::Video)).unwrap();
    w.expect_nothing();
    w.ack(&alice, 1, "");
    w.pass(Duration::from_millis(500));
    let down = w.expect(ALICE, "INVITE");
    assert!(body(&down).contains("m=video 0 RTP/AVP 99\r\n"), "{down}");
    // RFC 3261 14.1: the Call-ID is the caller's
    w.answer(ALICE, &down, 491, "", "");
    w.expect(ALICE, "ACK");
    let again = (0..=200).find_map(|_| {
        let found = w.find(ALICE, "INVITE");
        if found.is_none() {
            w.pass(Duration::from_millis(10));
        }
        found
    });
    let again = again.expect("within 2 s");
    // while it is out, the caller's own is refused, a sign of life is not
    w.request(&mut alice, "UPDATE", "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.request(&mut alice, "UPDATE", "", PHONE);
    w.expect(ALICE, "SIP/2.0 491");
    w.answer(ALICE, &again, 200, "", &PHONE.replace("video 4002", "video 0"));
    w.expect(ALICE, "ACK");
    assert_eq!(w.open_ports.len(), 1);
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}
