//! Calls that the network makes, from the order to the end.

use super::*;
use crate::config::model::Precondition;
use crate::ims::call::{Callee, Order};
use crate::ims::registrar::Gone;
use crate::proto::media::table::PacketVerdict;
use crate::wire::sdp::{MediaKind, Sdp, Template};
use std::sync::Arc;

const RTP: [u8; 12] = [0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7];
const VOLTE: &str = ";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"";
/// Bob's answer: one codec of ours.
const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=sendrecv\r\n";

fn order(callee: &str) -> Order {
    Order { callee: Callee::Any(callee.to_owned()), caller: None, media: None, duration: None, sos: false }
}

fn world(change: impl FnOnce(&mut Config)) -> World {
    let mut w = World::with(change);
    w.register(BOB, "");
    w
}

fn make(w: &mut World, order: Order) -> Result<u32, String> {
    w.input(|core, cx| core.call(cx, order)).map(|(index, _)| index)
}

/// A call to Bob that he has answered; its index, his half, and the INVITE.
fn answered(w: &mut World, order: Order) -> (u32, Side, String) {
    let index = make(w, order).unwrap();
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    w.answer(BOB, &invite, 200, "", ANSWER);
    w.expect(BOB, "ACK");
    w.expect_nothing();
    (index, Side::callee(BOB, &invite), invite)
}

fn hear(w: &mut World) -> PacketVerdict {
    let (now, from, session) = (w.now, "192.0.2.2:4000".parse().unwrap(), w.open_ports[0].0);
    w.core.media_mut().on_packet(now, session, false, from, &RTP)
}

/// The next re-INVITE to Bob within 4 s, as soon as it is there.
fn next_try(w: &mut World) -> Option<String> {
    (0..=400).find_map(|_| {
        let found = w.find(BOB, "INVITE");
        if found.is_none() {
            w.pass(Duration::from_millis(10));
        }
        found
    })
}

fn echoes(w: &mut World) -> bool {
    matches!(hear(w), PacketVerdict::Send { .. })
}

#[test]
fn the_network_calls_a_user_and_sends_back_what_it_hears() {
    let mut w = world(|_| {});
    let index = make(&mut w, order("bob")).unwrap();
    let invite = w.expect(BOB, "INVITE sip:bob@192.0.2.2:5060 SIP/2.0");
    assert!(header(&invite, HeaderId::From).starts_with("<sip:ims@ims.test>;tag="), "{invite}");
    assert_eq!(header(&invite, HeaderId::To), "<sip:bob@ims.test>");
    assert_eq!(header(&invite, HeaderId::Supported), "100rel");
    assert_eq!(header(&invite, HeaderId::PAssertedIdentity), "");
    assert_eq!(header(&invite, HeaderId::PEarlyMedia), "supported");
    let offer = Sdp::parse(body(&invite).as_bytes()).unwrap();
    let media = offer.medias().next().unwrap();
    assert_eq!(media.rtp_addr().unwrap().to_string(), format!("198.51.100.1:{}", w.open_ports[0].1));
    assert_eq!(media.rtpmap(b"104").unwrap().name, b"AMR-WB");
    assert_eq!(w.states(), ["init"]);
    w.answer(BOB, &invite, 100, "", "");
    w.answer(BOB, &invite, 180, "", "");
    assert_eq!(w.states(), ["ringing"]);
    w.answer(BOB, &invite, 200, "", ANSWER);
    let ack = w.expect(BOB, "ACK sip:bob@192.0.2.2:5060");
    assert_eq!(header(&ack, HeaderId::CSeq), "1 ACK");
    w.answer(BOB, &invite, 200, "", ANSWER);
    assert_eq!(
        header(&w.expect(BOB, "ACK"), HeaderId::CSeq),
        "1 ACK",
        "a 2xx that comes again is acknowledged again"
    );
    assert!(echoes(&mut w));
    let view = &w.core.dialog_views(w.now)[0];
    assert_eq!((view.index, view.kind, view.state), (index, "mt_call", "start"));
    assert_eq!((view.from.as_str(), view.to.as_str()), ("sip:ims@ims.test", "sip:bob@ims.test"));
    assert_eq!((view.medias[0].rtp_recv_count, view.medias[0].rtp_send_count), (1, 1));
    assert_eq!(view.medias[0].codec, "PCMA/8000");
    let mut bob = Side::callee(BOB, &invite);
    for method in ["INFO", "OPTIONS"] {
        w.request(&mut bob, method, "", "");
        w.expect(BOB, "SIP/2.0 200");
    }
    w.request(&mut bob, "BYE", "", "");
    w.expect(BOB, "SIP/2.0 200");
    assert_eq!(w.reason(), "the callee hung up");
    assert_eq!(w.open_ports, []);
    w.quiet();
}

#[test]
fn a_callee_is_named_in_any_way_and_who_is_not_there_is_told() {
    let mut w = world(|_| {});
    for name in [
        "bob",
        "sip:bob@ims.test",
        "tel:+33600000002",
        "+33600000002",
        "bob@ims.test",
        "sip:bob@192.0.2.2:5060",
    ] {
        let index = make(&mut w, order(name)).unwrap_or_else(|why| panic!("{name}: {why}"));
        w.expect(BOB, "INVITE sip:bob@192.0.2.2:5060");
        w.core_stop(index).unwrap();
    }
    let of = |callee| Order { callee, ..order("") };
    let text = |t: &str| t.to_owned();
    for (callee, why) in [
        (Callee::Any(text("carol")), "no contact and no user is carol"),
        (Callee::Impi(text("carol@ims.test")), "no user has the private identity carol@ims.test"),
        (Callee::Impu(text("tel:7")), "no user has the identity tel:7"),
        (Callee::Contact(text("sip:x@y")), "no contact is sip:x@y"),
        (Callee::Any(text("alice")), "the callee is not registered"),
    ] {
        assert_eq!(make(&mut w, of(callee)), Err(text(why)));
    }
    assert_eq!(
        make(&mut w, Order { sos: true, ..order("bob") }),
        Err(text("the callee has no emergency registration"))
    );
    w.register(Phone { addr: "192.0.2.9:5060", user: "bob" }, ";sos");
    make(&mut w, Order { sos: true, ..order("bob") }).unwrap();
    let rings = w.expect(Phone { addr: "192.0.2.9:5060", user: "bob" }, "INVITE");
    assert_eq!(header(&rings, HeaderId::Priority), "psap-callback");
    w.drop_all();
    w.quiet();
}

#[test]
fn a_caller_that_is_known_is_asserted_and_another_is_not() {
    for (caller, from, asserted) in [
        ("alice", "<sip:alice@ims.test>", "<sip:alice@ims.test>"),
        ("+33600000001", "<tel:+33600000001>", "<sip:+33600000001@ims.test;user=phone>"),
        ("+49301234", "<tel:+49301234>", ""),
        ("0301234", "<tel:0301234;phone-context=ims.test>", ""),
        ("mallory", "<sip:mallory@ims.test>", ""),
        ("sip:x@y.example", "<sip:x@y.example>", ""),
        ("666", "<tel:666>", ""),
    ] {
        let mut w = world(|_| {});
        let index = make(&mut w, Order { caller: Some(caller.to_owned()), ..order("bob") }).unwrap();
        let invite = w.expect(BOB, "INVITE");
        assert!(header(&invite, HeaderId::From).starts_with(&format!("{from};tag=")), "{caller}: {invite}");
        assert_eq!(header(&invite, HeaderId::PAssertedIdentity), asserted, "{caller}");
        w.core_stop(index).unwrap();
    }
    let mut w = world(|c| c.users[0].impus[0].anonymous = true);
    make(&mut w, Order { caller: Some("alice".to_owned()), ..order("bob") }).unwrap();
    let invite = w.expect(BOB, "INVITE");
    assert!(header(&invite, HeaderId::From).contains("anonymous.invalid"), "{invite}");
    assert_eq!(
        (header(&invite, HeaderId::PAssertedIdentity), header(&invite, HeaderId::Privacy)),
        (String::new(), "id".into())
    );
    for bad in ["", "a b", "<x>", "sip:x\r\nX: y"] {
        let why = make(&mut w, Order { caller: Some(bad.to_owned()), ..order("bob") }).unwrap_err();
        assert!(why.starts_with("caller ") && why.ends_with("is no identity"), "{bad:?}: {why}");
    }
    w.drop_all();
    w.quiet();
}

#[test]
fn a_phone_with_preconditions_is_told_that_our_resources_are_there() {
    let mut w = World::new();
    w.register(BOB, VOLTE);
    let index = make(&mut w, order("bob")).unwrap();
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(header(&invite, HeaderId::Supported), "100rel, precondition");
    assert!(
        header(&invite, HeaderId::Contact).contains("mmtel")
            && header(&invite, HeaderId::AcceptContact).contains("mmtel")
    );
    for line in ["a=curr:qos local sendrecv", "a=curr:qos remote none", "a=des:qos mandatory local sendrecv"]
    {
        assert!(body(&invite).contains(&format!("{line}\r\n")), "{invite}");
    }
    let waiting = format!(
        "{}a=curr:qos local none\r\na=curr:qos remote sendrecv\r\na=des:qos mandatory local sendrecv\r\na=des:qos mandatory remote sendrecv\r\n",
        ANSWER.replace("sendrecv\r\n", "inactive\r\n")
    );
    let early = reply(BOB, &invite, 183, "Require: 100rel, precondition\r\nRSeq: 5\r\n", &waiting);
    w.send(BOB, &early);
    let prack = w.expect(BOB, "PRACK sip:bob@192.0.2.2:5060");
    assert_eq!(
        (header(&prack, HeaderId::RAck), header(&prack, HeaderId::CSeq)),
        ("5 1 INVITE".into(), "2 PRACK".into())
    );
    w.send(BOB, &early);
    w.expect_nothing();
    w.answer(BOB, &prack, 200, "", "");
    let mut bob = Side::callee(BOB, &invite);
    let ready = waiting
        .replace("a=inactive", "a=sendrecv")
        .replace("local none", "local sendrecv")
        .replace("1 1 IN", "1 2 IN");
    w.request(&mut bob, "UPDATE", "", &ready);
    let updated = w.expect(BOB, "SIP/2.0 200");
    assert!(
        body(&updated).contains("a=curr:qos remote sendrecv\r\n")
            && body(&updated).contains("a=sendrecv\r\n"),
        "{updated}"
    );
    w.answer(BOB, &invite, 180, "", "");
    w.answer(BOB, &invite, 200, "", "");
    w.expect(BOB, "ACK");
    assert_eq!(w.states(), ["start"]);
    assert!(echoes(&mut w));
    w.core_stop(index).unwrap();
    assert_eq!(header(&w.expect(BOB, "BYE"), HeaderId::CSeq), "3 BYE");
    w.quiet();
    // off: nothing of it
    let mut w = World::with(|c| c.call.precondition = Precondition::Off);
    w.register(BOB, VOLTE);
    make(&mut w, order("bob")).unwrap();
    let invite = w.expect(BOB, "INVITE");
    assert!(!invite.contains("precondition") && !invite.contains("qos"), "{invite}");
    w.quiet();
}

#[test]
fn contacts_ring_together_and_one_after_the_other() {
    let mut w = World::new();
    w.register(BOB, ";q=0.5");
    w.register(BOB_TABLET, ";q=0.5");
    let six = Phone { addr: "[2001:db8::7]:5060", user: "bob" };
    w.register(six, ";q=0.5");
    let index = make(&mut w, order("bob")).unwrap();
    let (phone, tablet) = (w.expect(BOB, "INVITE"), w.expect(BOB_TABLET, "INVITE"));
    w.expect_nothing();
    assert_eq!(body(&phone), body(&tablet), "one offer for all that can hear each other");
    w.answer(BOB, &phone, 486, "", "");
    w.expect(BOB, "ACK");
    w.answer(BOB_TABLET, &tablet, 480, "", "");
    w.expect(BOB_TABLET, "ACK");
    // a phone of the other address family gets media of its own
    let other = w.expect(six, "INVITE");
    assert!(body(&other).contains("c=IN IP6 2001:db8::1\r\n"), "{other}");
    assert_eq!(w.open_ports.len(), 1);
    w.answer(six, &other, 480, "", "");
    w.expect(six, "ACK");
    assert_eq!(w.reason(), "486 Phone says");
    assert_eq!(w.core_stop(index), Err(format!("dialog {index} has ended already")));
    w.quiet();
    let mut w = World::new();
    w.register(BOB, "");
    w.register(BOB_TABLET, "");
    make(&mut w, order("bob")).unwrap();
    let (phone, tablet) = (w.expect(BOB, "INVITE"), w.expect(BOB_TABLET, "INVITE"));
    w.answer(BOB_TABLET, &tablet, 180, "", ANSWER);
    w.answer(BOB, &phone, 180, "", "");
    w.answer(BOB, &phone, 200, "", ANSWER);
    w.expect(BOB, "ACK");
    assert!(header(&w.expect(BOB_TABLET, "CANCEL"), HeaderId::Reason).contains("completed elsewhere"));
    w.answer(BOB_TABLET, &tablet, 200, "", ANSWER);
    w.expect(BOB_TABLET, "ACK");
    w.expect(BOB_TABLET, "BYE");
    assert_eq!(w.states(), ["start"], "the CANCEL came too late for it, and the call is the other's");
    w.quiet();
}

#[test]
fn a_call_ends_unanswered_refused_or_cancelled() {
    let mut w = world(|_| {});
    make(&mut w, order("bob")).unwrap();
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    w.pass(Duration::from_secs(30));
    assert!(header(&w.expect(BOB, "CANCEL"), HeaderId::Reason).contains("cause=408"));
    assert_eq!(w.reason(), "nobody took the call");
    w.answer(BOB, &invite, 487, "", "");
    w.expect(BOB, "ACK");
    w.quiet();
    let mut w = world(|_| {});
    make(&mut w, order("bob")).unwrap();
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 603, "", "");
    w.expect(BOB, "ACK");
    assert_eq!((w.reason().as_str(), w.open_ports.len()), ("603 Phone says", 0));
    w.quiet();
    let mut w = world(|_| {});
    let index = make(&mut w, order("bob")).unwrap();
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 183, "", "");
    let why = crate::ims::call::Why {
        cause: Some(16),
        text: Some("test \"over\"".into()),
        protocol: Some("Q.850".into()),
    };
    w.set(index, Action::Stop(why)).unwrap();
    assert_eq!(header(&w.expect(BOB, "CANCEL"), HeaderId::Reason), "Q.850;cause=16;text=\"test 'over'\"");
    w.answer(BOB, &invite, 200, "", ANSWER);
    w.expect(BOB, "ACK");
    w.expect(BOB, "BYE");
    assert_eq!(w.reason(), "ended by the operator: test \"over\"");
    w.quiet();
    let mut w = world(|c| c.users[1].impus[0].ring_only = true);
    make(&mut w, order("bob")).unwrap();
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", ANSWER);
    w.expect(BOB, "ACK");
    w.expect(BOB, "BYE");
    assert_eq!(w.reason(), "it only rings");
    w.quiet();
}

#[test]
fn ports_that_cannot_be_opened_and_answers_without_media_end_the_call() {
    let mut w = world(|_| {});
    w.ports_open = Some(false);
    make(&mut w, order("bob")).unwrap();
    w.expect_nothing();
    assert_eq!(w.reason(), "media ports cannot be opened");
    w.quiet();
    let mut w = world(|_| {});
    w.ports_open = None;
    let index = make(&mut w, order("bob")).unwrap();
    w.core_stop(index).unwrap();
    let session = w.asked[0];
    w.input(|core, cx| core.on_media_opened(cx, session, true));
    w.expect_nothing();
    w.quiet();
    for answer in ["", "v=0\r\nnonsense", &ANSWER.replace("audio 4000", "audio 0")] {
        let mut w = world(|_| {});
        make(&mut w, order("bob")).unwrap();
        let invite = w.expect(BOB, "INVITE");
        w.answer(BOB, &invite, 200, "", answer);
        w.expect(BOB, "ACK");
        w.expect(BOB, "BYE");
        assert_eq!(w.reason(), "the answer has no usable media");
        w.quiet();
    }
}

#[test]
fn duration_silence_and_registration_end_it() {
    let mut w = world(|_| {});
    answered(&mut w, Order { duration: Some(Duration::from_secs(7)), ..order("bob") });
    w.pass(Duration::from_millis(6999));
    w.expect_nothing();
    w.pass(Duration::from_millis(1));
    assert!(header(&w.expect(BOB, "BYE"), HeaderId::Reason).contains("duration of 7 s"));
    w.quiet();
    let mut w = world(|_| {});
    answered(&mut w, order("bob"));
    w.pass(Duration::from_secs(20));
    assert!(echoes(&mut w));
    w.pass(Duration::from_secs(29));
    assert_eq!(w.states(), ["start"]);
    w.pass(Duration::from_secs(1));
    assert!(
        header(&w.expect(BOB, "BYE"), HeaderId::Reason).contains("no media from sip:bob@ims.test for 30 s")
    );
    w.quiet();
    let mut w = world(|_| {});
    answered(&mut w, order("bob"));
    w.input(|core, cx| core.unregister(cx, "bob@ims.test", Gone::Deactivated)).unwrap();
    w.expect(BOB, "BYE");
    w.quiet();
}

#[test]
fn media_are_those_of_the_order_the_user_or_all() {
    let media = |payload: u8| {
        let text = format!(
            "m=audio 1 RTP/AVP {payload}\r\nm=video 1 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\na=sendonly\r\n"
        );
        Some(Arc::new(Template::parse(text.as_bytes()).unwrap()))
    };
    for (own, users, global, want) in [(3, 8, 0, "3"), (0, 8, 9, "8"), (0, 0, 9, "9")] {
        let some = |payload: u8| (payload > 0).then(|| media(payload)).flatten();
        let mut w = world(|c| (c.users[1].mt_call_sdp, c.call.mt_call_sdp) = (some(users), some(global)));
        make(&mut w, Order { media: some(own), ..order("bob") }).unwrap();
        let invite = w.expect(BOB, "INVITE");
        assert!(body(&invite).contains(&format!(" RTP/AVP {want}\r\n")), "{invite}");
        assert!(body(&invite).contains("a=sendonly\r\n") && w.open_ports.len() == 2, "{invite}");
        w.quiet();
    }
}

#[test]
fn the_phone_and_the_network_hold_and_both_at_once() {
    let mut w = world(|_| {});
    let (index, mut bob, _) = answered(&mut w, order("bob"));
    // the network holds
    w.set(index, Action::Hold(None)).unwrap();
    let hold = w.expect(BOB, "INVITE sip:bob@192.0.2.2:5060");
    assert_eq!(header(&hold, HeaderId::CSeq), "2 INVITE");
    assert!(body(&hold).contains("a=sendonly\r\n"), "{hold}");
    assert_eq!(
        w.set(index, Action::Hold(None)).unwrap_err(),
        format!("dialog {index}: another change of ours is under way")
    );
    w.answer(BOB, &hold, 200, "", &ANSWER.replace("sendrecv", "recvonly"));
    assert_eq!(header(&w.expect(BOB, "ACK"), HeaderId::CSeq), "2 ACK");
    assert_eq!(w.states(), ["hold"]);
    assert!(!echoes(&mut w));
    // the phone holds, too
    w.request(&mut bob, "INVITE", "", &ANSWER.replace("sendrecv", "sendonly"));
    let both = w.expect(BOB, "SIP/2.0 200");
    assert!(body(&both).contains("a=inactive\r\n"), "{both}");
    w.ack(&bob, bob.cseq, "");
    // the network resumes; the phone does not
    w.set(index, Action::Hold(None)).unwrap();
    let resume = w.expect(BOB, "INVITE");
    assert!(body(&resume).contains("a=sendrecv\r\n"), "{resume}");
    w.answer(BOB, &resume, 200, "", &ANSWER.replace("sendrecv", "sendonly"));
    w.expect(BOB, "ACK");
    assert_eq!(w.states(), ["hold"]);
    w.request(&mut bob, "UPDATE", "", ANSWER);
    assert!(body(&w.expect(BOB, "SIP/2.0 200")).contains("a=sendrecv\r\n"));
    assert_eq!(w.states(), ["start"]);
    assert!(echoes(&mut w));
    w.request(&mut bob, "BYE", "", "");
    w.quiet();
}

#[test]
fn offers_that_meet_are_made_again_and_one_that_is_refused_changes_nothing() {
    let mut w = world(|_| {});
    let (index, mut bob, _) = answered(&mut w, order("bob"));
    w.set(index, Action::Hold(None)).unwrap();
    let hold = w.expect(BOB, "INVITE");
    // both have started: each refuses the other's
    w.request(&mut bob, "INVITE", "", &ANSWER.replace("sendrecv", "sendonly"));
    w.expect(BOB, "SIP/2.0 491");
    w.send(BOB, &bob.text("ACK", bob.cseq, w.branch, "", ""));
    w.answer(BOB, &hold, 491, "", "");
    w.expect(BOB, "ACK");
    assert_eq!(w.states(), ["start"]);
    assert!(echoes(&mut w), "nothing has changed");
    // RFC 3261 14.1: we have chosen the Call-ID
    w.pass(Duration::from_millis(2099));
    w.expect_nothing();
    let again = next_try(&mut w).expect("within 4 s");
    assert_eq!(body(&again).matches("a=sendonly").count(), 1, "{again}");
    w.answer(BOB, &again, 488, "", "");
    w.expect(BOB, "ACK");
    assert_eq!(w.states(), ["start"]);
    assert!(echoes(&mut w));
    w.pass(Duration::from_secs(5));
    w.expect_nothing();
    // it was no hold, so the next one is
    w.set(index, Action::Hold(None)).unwrap();
    let hold = w.expect(BOB, "INVITE");
    assert!(body(&hold).contains("a=sendonly\r\n"), "{hold}");
    w.answer(BOB, &hold, 481, "", "");
    w.expect(BOB, "ACK");
    w.expect(BOB, "BYE");
    assert_eq!(w.reason(), "sip:bob@ims.test does not know the call any more");
    w.quiet();
}

#[test]
fn what_meets_again_and_again_is_given_up() {
    let mut w = world(|c| c.call.dialog_timeout = Duration::from_secs(100));
    let (index, ..) = answered(&mut w, order("bob"));
    w.set(index, Action::Reinvite(None)).unwrap();
    let mut tries = 0;
    while let Some(invite) = next_try(&mut w) {
        tries += 1;
        w.answer(BOB, &invite, 491, "", "");
        w.expect(BOB, "ACK");
    }
    assert_eq!(tries, 1 + crate::ims::call::limits::MAX_GLARES);
    assert_eq!(w.states(), ["start"]);
    w.set(index, Action::Reinvite(None)).unwrap();
    let last = w.expect(BOB, "INVITE");
    w.answer(BOB, &last, 100, "", "");
    w.core_stop(index).unwrap();
    w.expect(BOB, "CANCEL");
    w.expect(BOB, "BYE");
    w.quiet();
}

#[test]
fn media_are_added_blocked_and_given_up() {
    let mut w = world(|_| {});
    let (index, _, _) = answered(&mut w, order("bob"));
    let why = |w: &mut World, action| w.set(index, action).unwrap_err();
    assert_eq!(
        why(&mut w, Action::Hold(Some(MediaKind::Video))),
        format!("dialog {index}: the call has no video")
    );
    assert!(why(&mut w, Action::Downgrade(MediaKind::Audio)).contains("audio is all that the call has"));
    let text = "m=audio 1 RTP/AVP 8\r\nm=video 1 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n";
    let template = Arc::new(Template::parse(text.as_bytes()).unwrap());
    w.set(index, Action::Reinvite(Some(template))).unwrap();
    let invite = w.expect(BOB, "INVITE");
    let ports: Vec<u16> = w.open_ports.iter().map(|p| p.1).collect();
    assert!(body(&invite).contains(&format!("m=audio {} RTP/AVP 8\r\n", ports[0])), "{invite}");
    assert!(body(&invite).contains(&format!("m=video {} RTP/AVP 99\r\n", ports[1])), "{invite}");
    let with_video = format!("{ANSWER}m=video 4002 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n");
    w.answer(BOB, &invite, 200, "", &with_video);
    w.expect(BOB, "ACK");
    assert_eq!(w.core.dialog_views(w.now)[0].medias.len(), 2);
    w.set(index, Action::Hold(Some(MediaKind::Video))).unwrap();
    let hold = w.expect(BOB, "INVITE");
    assert_eq!(
        (body(&hold).matches("a=sendonly").count(), body(&hold).matches("a=sendrecv").count()),
        (1, 1),
        "{hold}"
    );
    w.answer(BOB, &hold, 200, "", &with_video);
    w.expect(BOB, "ACK");
    let dirs: Vec<_> = w.core.dialog_views(w.now)[0].medias.iter().map(|m| m.dir).collect();
    assert_eq!((dirs, w.states()), (vec!["sendrecv", "sendonly"], vec!["start"]));
    w.set(index, Action::Downgrade(MediaKind::Video)).unwrap();
    let down = w.expect(BOB, "INVITE");
    assert!(body(&down).contains("m=video 0 RTP/AVP 99\r\n"), "{down}");
    w.answer(BOB, &down, 200, "", &with_video.replace("video 4002", "video 0"));
    w.expect(BOB, "ACK");
    assert_eq!(w.open_ports.len(), 1);
    w.set(index, Action::Media { media: None, rtp: Some(false), rtcp: None }).unwrap();
    assert!(!echoes(&mut w));
    assert!(w.core.dialog_views(w.now)[0].medias[0].rtp_block);
    let template = Arc::new(
        Template::parse(b"m=audio 1 RTP/AVP 8\r\nm=video 1 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n")
            .unwrap(),
    );
    w.set(index, Action::Reinvite(Some(template))).unwrap();
    let up = w.expect(BOB, "INVITE");
    w.answer(BOB, &up, 200, "", &with_video);
    w.expect(BOB, "ACK");
    let blocked: Vec<bool> = w.core.dialog_views(w.now)[0].medias.iter().map(|m| m.rtp_block).collect();
    assert_eq!(blocked, [true, true], "what comes later, too");
    w.set(index, Action::Media { media: Some(MediaKind::Audio), rtp: Some(true), rtcp: None }).unwrap();
    assert!(echoes(&mut w));
    w.core_stop(index).unwrap();
    w.quiet();
}

#[test]
fn a_phone_chooses_the_length_of_its_session_and_we_refresh_it() {
    let mut w = world(|c| c.call.dialog_timeout = Duration::from_secs(4000));
    let index = make(&mut w, order("bob")).unwrap();
    let invite = w.expect(BOB, "INVITE");
    assert!(invite.contains("Supported: timer\r\n") && invite.contains("Session-Expires: 1800"), "{invite}");
    w.answer(BOB, &invite, 422, "Min-SE: 2400\r\n", "");
    w.expect(BOB, "ACK");
    let longer = w.expect(BOB, "INVITE");
    assert!(longer.contains("Session-Expires: 2400") && longer.contains("Min-SE: 2400"), "{longer}");
    assert_eq!(header(&longer, HeaderId::CSeq), "2 INVITE");
    let grant = "Supported: timer\r\nRequire: timer\r\nAllow: UPDATE, INVITE\r\nSession-Expires: 2400;refresher=uac\r\n";
    w.answer(BOB, &longer, 200, grant, ANSWER);
    assert_eq!(header(&w.expect(BOB, "ACK"), HeaderId::CSeq), "2 ACK");
    assert_eq!(w.states(), ["start"]);
    w.pass(Duration::from_secs(1200));
    let refresh = w.expect(BOB, "UPDATE");
    w.answer(BOB, &refresh, 200, grant, "");
    w.set(index, Action::StopSessionTimer).unwrap();
    w.pass(Duration::from_secs(2500));
    w.expect_nothing();
    assert_eq!(w.states(), ["start"], "nothing is refreshed, and nothing ended for it");
    w.core_stop(index).unwrap();
    w.quiet();
}

#[test]
fn a_phone_that_says_again_and_again_that_it_rings_does_not_ring_for_ever() {
    let mut w = world(|_| {});
    make(&mut w, order("sip:bob@ims.test")).unwrap();
    let invite = w.expect(BOB, "INVITE");
    for _ in 0..3 {
        w.answer(BOB, &invite, 180, "", "");
        w.pass(Duration::from_secs(10));
    }
    let cancel = w.expect(BOB, "CANCEL");
    w.answer(BOB, &cancel, 200, "", "");
    w.answer(BOB, &invite, 487, "", "");
    w.expect(BOB, "ACK");
    w.quiet();
}

#[test]
fn phones_behind_one_contact_are_acknowledged_each_and_the_one_that_answers_has_the_call() {
    let mut w = world(|_| {});
    let index = make(&mut w, order("bob")).unwrap();
    let invite = w.expect(BOB, "INVITE");
    let own = format!(";tag=T{}", BOB.addr.replace([':', '.'], ""));
    let behind = |request: &str, tag: &str, status: u16, headers: &str, sdp: &str| {
        reply(BOB, request, status, headers, sdp).replace(&own, &format!(";tag={tag}"))
    };
    for (tag, rseq) in [("one", 3), ("two", 1)] {
        let answer = ANSWER.replace("4000", if tag == "one" { "4000" } else { "5000" });
        w.send(BOB, &behind(&invite, tag, 183, &format!("Require: 100rel\r\nRSeq: {rseq}\r\n"), &answer));
        let prack = w.expect(BOB, "PRACK");
        assert!(header(&prack, HeaderId::To).ends_with(&format!(";tag={tag}")), "{prack}");
        assert_eq!(header(&prack, HeaderId::RAck), format!("{rseq} 1 INVITE"));
        assert_eq!(header(&prack, HeaderId::CSeq), "2 PRACK");
        w.answer(BOB, &prack, 200, "", "");
    }
    // before its 2xx a phone may say something else (RFC 3311 5.1), and has our answer in its own dialog
    let mut two = Side::callee(BOB, &invite);
    two.local = two.local.replace(&own, ";tag=two");
    w.request(&mut two, "UPDATE", "", &ANSWER.replace("4000", "5000").replace("o=- 1 1", "o=- 1 2"));
    w.expect(BOB, "SIP/2.0 200");
    w.send(BOB, &behind(&invite, "one", 200, "", ""));
    let ack = w.expect(BOB, "ACK");
    assert!(header(&ack, HeaderId::To).ends_with(";tag=one"), "{ack}");
    w.send(BOB, &behind(&invite, "two", 200, "", ""));
    for method in ["ACK", "BYE"] {
        let text = w.expect(BOB, method);
        assert!(header(&text, HeaderId::To).ends_with(";tag=two"), "{text}");
    }
    w.expect_nothing();
    assert!(echoes(&mut w), "the media are those of the one that answered");
    w.core_stop(index).unwrap();
    let bye = w.expect(BOB, "BYE");
    assert!(header(&bye, HeaderId::To).ends_with(";tag=one"), "{bye}");
    w.quiet();
}

#[test]
fn two_answers_of_a_contact_that_was_given_up_leave_the_next_one_its_media() {
    let mut w = World::new();
    w.register(BOB, ";q=0.9");
    w.register(BOB_TABLET, ";q=0.5");
    make(&mut w, order("bob")).unwrap();
    let first = w.expect(BOB, "INVITE");
    w.answer(BOB, &first, 180, "", "");
    let next = (0..100).find_map(|_| {
        w.pass(Duration::from_secs(5));
        w.find(BOB_TABLET, "INVITE")
    });
    let next = next.expect("the next contact is tried");
    w.expect(BOB, "CANCEL");
    let forked = |phone: Phone, request: &str, status: u16, sdp: &str| {
        let own = format!(";tag=T{}", phone.addr.replace([':', '.'], ""));
        reply(phone, request, status, "", sdp).replace(&own, ";tag=two")
    };
    for late in [reply(BOB, &first, 200, "", ANSWER), forked(BOB, &first, 200, ANSWER)] {
        w.send(BOB, &late);
        w.expect(BOB, "ACK");
        w.expect(BOB, "BYE");
    }
    w.answer(BOB_TABLET, &next, 180, "", "");
    w.send(BOB_TABLET, &forked(BOB_TABLET, &next, 180, ""));
    w.send(BOB_TABLET, &forked(BOB_TABLET, &next, 200, ANSWER));
    w.expect(BOB_TABLET, "ACK");
    assert_eq!(w.states(), ["start"]);
    assert!(echoes(&mut w), "the media are those of the one that answered");
    w.quiet();
}

#[test]
fn a_failure_behind_one_contact_ends_all_that_rang_there() {
    let mut w = world(|_| {});
    make(&mut w, order("bob")).unwrap();
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 180, "", "");
    let own = format!(";tag=T{}", BOB.addr.replace([':', '.'], ""));
    w.send(BOB, &reply(BOB, &invite, 180, "", "").replace(&own, ";tag=two"));
    w.answer(BOB, &invite, 486, "", "");
    w.expect(BOB, "ACK");
    w.expect_nothing();
    assert_eq!(w.states(), ["stop"]);
    w.quiet();
}

#[test]
fn a_called_phone_that_sends_update_without_end_does_not_ring_for_ever() {
    let mut w = world(|_| {});
    make(&mut w, order("bob")).unwrap();
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 183, "", ANSWER);
    let mut bob = Side::callee(BOB, &invite);
    let mut rang = 0;
    while rang < 90 && w.find(BOB, "CANCEL").is_none() {
        w.request(&mut bob, "UPDATE", "", "");
        w.expect(BOB, "SIP/2.0 200");
        w.pass(Duration::from_secs(5));
        rang += 5;
    }
    assert_eq!(rang, 60);
    assert_eq!(w.reason(), "nobody took the call");
    w.quiet();
}
