//! One contact that answers under several To tags: a proxy or a PBX behind it forks (RFC 3261 12.1, 13.2.2.4, RFC 3262 4).

use super::anchored::{RTP, wants};
use super::*;
use crate::config::model::MediaRelay;
use crate::ims::call::limits::MAX_SIBLINGS;
use crate::proto::media::table::{DropReason, PacketVerdict};

const VOLTE: &str = ";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"";
const CAN: &str = "Supported: 100rel\r\n";

/// Alice calls Bob, whose contact is a proxy with several phones behind it.
struct Fork {
    w: World,
    /// Alice's half before there was a dialog.
    alice: Side,
    /// The branch of her INVITE.
    branch: u32,
    /// What the proxy got.
    invite: String,
}

/// Reliable, with this RSeq.
fn rel(rseq: u32) -> String {
    format!("Require: 100rel\r\nRSeq: {rseq}\r\n")
}

/// A description of the phone with this port.
fn sdp(port: u16) -> String {
    SDP.replace("192.0.2.1", "192.0.2.2").replace("4000", &port.to_string())
}

impl Fork {
    fn new(headers: &str, offer: &str, change: impl FnOnce(&mut Config)) -> Fork {
        let mut w = World::with(change);
        w.register(ALICE, "");
        w.register(BOB, VOLTE);
        let alice = w.invite(ALICE, "sip:bob@ims.test", headers, offer);
        let (branch, invite) = (w.branch, w.expect(BOB, "INVITE"));
        Fork { w, alice, branch, invite }
    }

    /// What a phone behind the proxy answers to a request.
    fn text(&self, tag: &str, request: &str, status: u16, headers: &str, body: &str) -> String {
        let own = format!(";tag=T{}", BOB.addr.replace([':', '.'], ""));
        let text = reply(BOB, request, status, headers, body);
        text.replace(&own, &format!(";tag={tag}")).replace("<sip:bob@", &format!("<sip:{tag}@"))
    }

    /// A phone behind the proxy answers the INVITE.
    fn says(&mut self, tag: &str, status: u16, headers: &str, body: &str) {
        let text = self.text(tag, &self.invite, status, headers, body);
        self.w.send(BOB, &text);
    }

    /// The same, with a provisional answer that reaches Alice: her half of that early dialog.
    fn early(&mut self, tag: &str, status: u16, headers: &str, body: &str) -> (Side, String) {
        self.says(tag, status, headers, body);
        let text = self.w.expect(ALICE, &format!("SIP/2.0 {status}"));
        let mut alice = self.alice.clone();
        alice.learn(&text);
        (alice, text)
    }

    /// The half of a phone behind the proxy.
    fn phone(&self, tag: &str) -> Side {
        let callee = Side::callee(BOB, &self.invite);
        Side { local: format!("{};tag={tag}", header(&self.invite, HeaderId::To)), ..callee }
    }

    /// A request of Alice's in one of her dialogs that reaches the phone with this tag, and is answered.
    fn passes(&mut self, alice: &mut Side, method: &str, headers: &str, (tag, body): (&str, &str)) -> String {
        self.w.request(alice, method, headers, body);
        let passed = self.w.expect(BOB, &format!("{method} sip:{tag}@192.0.2.2:5060 "));
        assert!(header(&passed, HeaderId::To).ends_with(&format!(";tag={tag}")), "{passed}");
        let answer = self.text(tag, &passed, 200, "", body);
        self.w.send(BOB, &answer);
        self.w.expect(ALICE, "SIP/2.0 200");
        passed
    }

    /// The 200 of the phone with this tag makes the call, and Alice's BYE ends it.
    fn taken_by(mut self, tag: &str, body: &str) {
        self.says(tag, 200, "", body);
        let ok = self.w.expect(ALICE, "SIP/2.0 200");
        self.alice.learn(&ok);
        self.w.ack(&self.alice, 1, "");
        self.ends(tag);
    }

    /// Alice's ACK reaches the phone with this tag, and her BYE too.
    fn ends(mut self, tag: &str) {
        let ack = self.w.expect(BOB, &format!("ACK sip:{tag}@192.0.2.2:5060 "));
        assert!(header(&ack, HeaderId::To).ends_with(&format!(";tag={tag}")), "{ack}");
        self.w.expect_nothing();
        self.alice.cseq += 100;
        self.w.request(&mut self.alice, "BYE", "", "");
        self.w.expect(ALICE, "SIP/2.0 200");
        let bye = self.w.expect(BOB, &format!("BYE sip:{tag}@192.0.2.2:5060 "));
        self.w.answer(BOB, &bye, 200, "", "");
        self.w.expect_nothing();
        self.w.quiet();
    }
}

fn tag_of(text: &str) -> String {
    header(text, HeaderId::To).split(";tag=").nth(1).unwrap_or_default().to_owned()
}

#[test]
fn each_phone_behind_a_contact_has_an_early_dialog_with_its_own_reliable_answers() {
    let mut f = Fork::new(CAN, SDP, |_| {});
    let (mut one, first) = f.early("one", 183, &rel(41), &sdp(6000));
    let (mut two, second) = f.early("two", 183, &rel(7), &sdp(7000));
    assert_ne!(tag_of(&first), tag_of(&second), "two early dialogs");
    let rseq = |text: &str| header(text, HeaderId::RSeq);
    assert_eq!((rseq(&first).as_str(), rseq(&second).as_str()), ("41", "7"));
    assert_eq!((body(&first), body(&second)), (&sdp(6000)[..], &sdp(7000)[..]));
    // the second before the first, each with its own numbers
    let prack = f.passes(&mut two, "PRACK", "RAck: 7 1 INVITE\r\n", ("two", ""));
    let numbers = |text: &str| [header(text, HeaderId::RAck), header(text, HeaderId::CSeq)];
    assert_eq!(numbers(&prack), ["7 1 INVITE", "2 PRACK"]);
    let prack = f.passes(&mut one, "PRACK", "RAck: 41 1 INVITE\r\n", ("one", ""));
    assert_eq!(numbers(&prack), ["41 1 INVITE", "2 PRACK"]);
    for (alice, tag, rseq) in [(&mut one, "one", 42), (&mut two, "two", 8)] {
        let (_, ringing) = f.early(tag, 180, &rel(rseq), "");
        assert_eq!(header(&ringing, HeaderId::To), alice.remote);
        // what belongs to the other one acknowledges nothing here
        f.w.request(alice, "PRACK", &format!("RAck: {} 1 INVITE\r\n", 50 - rseq), "");
        f.w.expect(ALICE, "SIP/2.0 481");
        let prack = f.passes(alice, "PRACK", &format!("RAck: {rseq} 1 INVITE\r\n"), (tag, ""));
        assert_eq!(header(&prack, HeaderId::CSeq), "3 PRACK");
        // the phone says it again: its PRACK is under way
        f.says(tag, 180, &rel(rseq), "");
        f.w.expect_nothing();
    }
    f.says("two", 200, "", "");
    let ok = f.w.expect(ALICE, "SIP/2.0 200");
    assert_eq!((tag_of(&ok), body(&ok)), (tag_of(&second), ""));
    f.alice.learn(&ok);
    f.w.ack(&f.alice, 1, "");
    f.ends("two");
}

#[test]
fn for_a_caller_that_cannot_each_phone_is_acknowledged_and_what_it_said_is_told() {
    let mut f = Fork::new("", SDP, |_| {});
    for (tag, rseq, port) in [("one", 1, 6000), ("two", 5, 7000)] {
        f.says(tag, 183, &rel(rseq), &sdp(port));
        let prack = f.w.expect(BOB, &format!("PRACK sip:{tag}@192.0.2.2:5060 "));
        assert_eq!(header(&prack, HeaderId::RAck), format!("{rseq} 1 INVITE"));
        assert_eq!(header(&prack, HeaderId::CSeq), "2 PRACK");
        f.w.answer(BOB, &prack, 200, "", "");
        assert_eq!(body(&f.w.expect(ALICE, "SIP/2.0 183")), sdp(port));
    }
    // the 200 says nothing: to the caller it must say what its phone has said, not what the other one has
    f.says("one", 200, "", "");
    let ok = f.w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(body(&ok), sdp(6000));
    f.alice.learn(&ok);
    f.w.ack(&f.alice, 1, "");
    f.ends("one");
}

#[test]
fn the_first_the_second_or_one_that_was_not_heard_before_takes_the_call() {
    for tag in ["one", "two", "three"] {
        let mut f = Fork::new("", SDP, |_| {});
        f.early("one", 180, "", "");
        f.early("two", 183, "", &sdp(7000));
        f.taken_by(tag, &sdp(8000));
    }
}

#[test]
fn an_answer_without_a_tag_is_the_first_ones() {
    let mut f = Fork::new("", SDP, |_| {});
    let (alice, _) = f.early("one", 180, "", "");
    let nameless = f.text("one", &f.invite, 182, "", "").replace(";tag=one", "");
    f.w.send(BOB, &nameless);
    let queued = f.w.expect(ALICE, "SIP/2.0 182");
    assert_eq!(header(&queued, HeaderId::To), alice.remote);
    f.taken_by("one", &sdp(6000));
}

#[test]
fn of_two_that_answer_the_second_is_acknowledged_and_let_go() {
    for late in ["two", "unheard"] {
        let mut f = Fork::new("", SDP, |_| {});
        f.early("one", 180, "", "");
        f.early("two", 180, "", "");
        f.says("one", 200, "", &sdp(6000));
        let ok = f.w.expect(ALICE, "SIP/2.0 200");
        f.alice.learn(&ok);
        f.says(late, 200, "", &sdp(7000));
        let ack = f.w.expect(BOB, &format!("ACK sip:{late}@192.0.2.2:5060 "));
        assert_eq!(header(&ack, HeaderId::CSeq), "1 ACK");
        let bye = f.w.expect(BOB, &format!("BYE sip:{late}@192.0.2.2:5060 "));
        assert!(header(&bye, HeaderId::To).ends_with(&format!(";tag={late}")), "{bye}");
        f.w.answer(BOB, &bye, 200, "", "");
        // its 200 crosses our ACK: it needs that again, and no other BYE
        f.says(late, 200, "", &sdp(7000));
        f.w.expect(BOB, &format!("ACK sip:{late}@192.0.2.2:5060 "));
        f.w.expect_nothing();
        f.w.ack(&f.alice, 1, "");
        f.w.expect(BOB, "ACK sip:one@192.0.2.2:5060 ");
        f.says("one", 200, "", &sdp(6000));
        assert_eq!(f.w.states()[0], "start");
        f.ends("one");
    }
}

#[test]
fn one_that_answers_late_is_acknowledged_with_the_number_of_its_invite_whatever_the_call_has_asked_since() {
    for late in ["two", "unheard"] {
        let mut f = Fork::new("", SDP, |_| {});
        f.early("one", 180, "", "");
        f.early("two", 180, "", "");
        f.says("one", 200, "", &sdp(6000));
        let ok = f.w.expect(ALICE, "SIP/2.0 200");
        f.alice.learn(&ok);
        f.w.ack(&f.alice, 1, "");
        f.w.expect(BOB, "ACK sip:one@192.0.2.2:5060 ");
        let mut alice = f.alice.clone();
        f.w.request(&mut alice, "INVITE", "", SDP);
        f.w.expect(ALICE, "SIP/2.0 100");
        let again = f.w.expect(BOB, "INVITE sip:one@192.0.2.2:5060 ");
        assert_eq!(header(&again, HeaderId::CSeq), "2 INVITE");
        f.says(late, 200, "", &sdp(7000));
        let ack = f.w.expect(BOB, &format!("ACK sip:{late}@192.0.2.2:5060 "));
        assert_eq!(header(&ack, HeaderId::CSeq), "1 ACK");
        let bye = f.w.expect(BOB, &format!("BYE sip:{late}@192.0.2.2:5060 "));
        f.w.answer(BOB, &bye, 200, "", "");
        let answer = f.text("one", &again, 200, "", &sdp(6000));
        f.w.send(BOB, &answer);
        f.w.expect(ALICE, "SIP/2.0 200");
        f.w.ack(&alice, 2, "");
        f.ends("one");
    }
}

#[test]
fn one_failure_is_for_all_of_them() {
    let mut f = Fork::new(CAN, SDP, |_| {});
    let (mut one, _) = f.early("one", 183, &rel(1), &sdp(6000));
    let (mut two, _) = f.early("two", 180, "", "");
    f.says("two", 486, "", "");
    f.w.expect(BOB, "ACK");
    f.w.expect(ALICE, "SIP/2.0 486");
    for alice in [&mut one, &mut two] {
        f.w.request(alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
        f.w.expect(ALICE, "SIP/2.0 481");
    }
    f.w.expect_nothing();
    assert_eq!(f.w.states(), ["stop"; 3]);
    f.w.quiet();
}

#[test]
fn after_a_failure_the_next_contact_rings() {
    let mut w = World::new();
    w.register(ALICE, "");
    w.register(BOB, ";q=0.9");
    w.register(BOB_TABLET, ";q=0.1");
    let alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let (branch, invite) = (w.branch, w.expect(BOB, "INVITE"));
    let mut f = Fork { w, alice, branch, invite };
    f.early("one", 180, "", "");
    f.early("two", 180, "", "");
    f.says("one", 480, "", "");
    f.w.expect(BOB, "ACK");
    let invite = f.w.expect(BOB_TABLET, "INVITE");
    f.w.answer(BOB_TABLET, &invite, 200, "", SDP);
    f.alice.learn(&f.w.expect(ALICE, "SIP/2.0 200"));
    f.w.ack(&f.alice, 1, "");
    f.w.expect(BOB_TABLET, "ACK");
    assert_eq!(f.w.states(), ["start", "stop", "stop", "start"]);
    f.w.request(&mut f.alice, "BYE", "", "");
    f.w.quiet();
}

#[test]
fn the_callers_cancel_is_sent_once() {
    let mut f = Fork::new("", SDP, |_| {});
    f.early("one", 180, "", "");
    f.early("two", 180, "", "");
    f.w.send(ALICE, &f.alice.text("CANCEL", 1, f.branch, "", ""));
    f.w.expect(ALICE, "SIP/2.0 200");
    f.w.expect(ALICE, "SIP/2.0 487");
    let cancel = f.w.expect(BOB, "CANCEL");
    f.w.answer(BOB, &cancel, 200, "", "");
    f.w.expect_nothing();
    // both have answered meanwhile
    for tag in ["one", "two"] {
        f.says(tag, 200, "", &sdp(6000));
        f.w.expect(BOB, &format!("ACK sip:{tag}@192.0.2.2:5060 "));
        let bye = f.w.expect(BOB, &format!("BYE sip:{tag}@192.0.2.2:5060 "));
        f.w.answer(BOB, &bye, 200, "", "");
        f.w.expect_nothing();
    }
    f.w.quiet();
}

#[test]
fn nobody_takes_it() {
    let mut f = Fork::new("", SDP, |_| {});
    f.early("one", 180, "", "");
    f.w.pass(Duration::from_secs(20));
    f.early("two", 180, "", "");
    // another phone is news: the call goes on for as long as it may ring
    f.w.pass(Duration::from_secs(29));
    f.w.expect_nothing();
    f.w.pass(Duration::from_secs(2));
    f.w.expect(ALICE, "SIP/2.0 480");
    f.w.expect(BOB, "CANCEL");
    assert!(f.w.find(BOB, "BYE").is_none());
    assert_eq!(f.w.reason(), "nobody took the call");
    f.w.quiet();
}

#[test]
fn a_phone_that_gives_no_final_answer_to_the_cancel_leaves_nothing() {
    let mut f = Fork::new("", SDP, |c| c.call.dialog_timeout = Duration::from_secs(400));
    f.early("one", 180, "", "");
    f.early("two", 180, "", "");
    // the timer of the INVITE itself (RFC 3261 16.6, timer C)
    f.w.pass(Duration::from_secs(300));
    assert!(f.w.find(BOB, "CANCEL").is_some());
    assert!(f.w.find(ALICE, "SIP/2.0 480").is_some());
    f.w.quiet();
}

#[test]
fn updates_pass_in_each_early_dialog_from_either_side() {
    let mut f = Fork::new(CAN, SDP, |_| {});
    let mut halves = Vec::new();
    for (tag, port) in [("one", 6000), ("two", 7000)] {
        let (mut alice, _) = f.early(tag, 183, &rel(1), &sdp(port));
        f.passes(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", (tag, ""));
        halves.push((alice, f.phone(tag), tag, port));
    }
    let anew = |text: &str, version: u32| text.replace("o=- 1 1", &format!("o=- 1 {version}"));
    for version in [2, 3] {
        for (alice, phone, tag, port) in &mut halves {
            let offer = anew(SDP, version);
            f.w.request(alice, "UPDATE", "", &offer);
            let update = f.w.expect(BOB, &format!("UPDATE sip:{tag}@192.0.2.2:5060 "));
            assert_eq!(body(&update), offer);
            let answer = f.text(tag, &update, 200, "", &anew(&sdp(*port), version));
            f.w.send(BOB, &answer);
            assert_eq!(body(&f.w.expect(ALICE, "SIP/2.0 200")), anew(&sdp(*port), version));
            let back = anew(&sdp(*port + 10), version);
            f.w.request(phone, "UPDATE", "", &back);
            let update = f.w.expect(ALICE, "UPDATE");
            assert!(header(&update, HeaderId::From).ends_with(&tag_of_remote(alice)), "{update}");
            assert_eq!(body(&update), back);
            f.w.answer(ALICE, &update, 200, "", &offer);
            assert_eq!(body(&f.w.expect(BOB, "SIP/2.0 200")), offer);
            f.w.expect_nothing();
        }
    }
    // a phone may not hang up before it has answered (RFC 3261 15), and one whom nobody knows has no say
    f.w.request(&mut halves[1].1, "BYE", "", "");
    f.w.expect(BOB, "SIP/2.0 481");
    let mut stranger = f.phone("nobody");
    f.w.request(&mut stranger, "UPDATE", "", SDP);
    f.w.expect(BOB, "SIP/2.0 481");
    f.taken_by("two", "");
}

fn tag_of_remote(side: &Side) -> String {
    side.remote.split_once(";tag=").unwrap().1.to_owned()
}

#[test]
fn the_callers_bye_in_one_early_dialog_ends_that_one_and_the_last_one_the_call() {
    for ends_all in [false, true] {
        let mut f = Fork::new("", SDP, |_| {});
        let (mut one, _) = f.early("one", 180, "", "");
        let (mut two, _) = f.early("two", 180, "", "");
        f.w.request(&mut one, "BYE", "Reason: Q.850;cause=16\r\n", "");
        f.w.expect(ALICE, "SIP/2.0 200");
        let bye = f.w.expect(BOB, "BYE sip:one@192.0.2.2:5060 ");
        assert_eq!((header(&bye, HeaderId::Reason).as_str(), &*tag_of(&bye)), ("Q.850;cause=16", "one"));
        f.w.answer(BOB, &bye, 200, "", "");
        f.w.expect_nothing();
        f.w.request(&mut one, "UPDATE", "", SDP);
        f.w.expect(ALICE, "SIP/2.0 481");
        f.says("one", 182, "", "");
        f.w.expect_nothing();
        if !ends_all {
            f.taken_by("two", &sdp(7000));
            continue;
        }
        f.w.request(&mut two, "BYE", "", "");
        f.w.expect(ALICE, "SIP/2.0 200");
        f.w.expect(ALICE, "SIP/2.0 487");
        f.w.expect(BOB, "CANCEL");
        f.w.expect_nothing();
        f.says("one", 487, "", "");
        f.w.quiet();
    }
}

#[test]
fn more_phones_than_there_is_room_for_are_not_heard_until_one_of_them_answers() {
    let mut f = Fork::new("", SDP, |_| {});
    let tags: Vec<String> = (0..MAX_SIBLINGS + 3).map(|n| format!("t{n}")).collect();
    for tag in &tags[..=MAX_SIBLINGS] {
        f.early(tag, 180, "", "");
    }
    for tag in &tags[MAX_SIBLINGS + 1..] {
        f.says(tag, 180, &rel(1), "");
        f.w.expect_nothing();
    }
    assert!(f.w.lines.0.iter().any(|l| l.contains("more than 8 further phones answer one INVITE")));
    f.says(&tags[MAX_SIBLINGS + 2], 200, "", &sdp(6000));
    f.alice.learn(&f.w.expect(ALICE, "SIP/2.0 200"));
    // there is no room for the one after it, which is let go all the same
    f.says(&tags[MAX_SIBLINGS + 1], 200, "", &sdp(6000));
    f.w.expect(BOB, "ACK sip:t9@192.0.2.2:5060 ");
    f.w.expect(BOB, "BYE sip:t9@192.0.2.2:5060 ");
    f.w.ack(&f.alice, 1, "");
    f.ends("t10");
}

#[test]
fn the_limit_is_one_for_all_contacts_and_every_dialog_has_a_number_of_its_own() {
    let mut w = World::new();
    w.register(ALICE, "");
    w.register(BOB, "");
    w.register(BOB_TABLET, "");
    let alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let (branch, invite) = (w.branch, w.expect(BOB, "INVITE"));
    let tablet = w.expect(BOB_TABLET, "INVITE");
    let mut f = Fork { w, alice, branch, invite };
    f.w.answer(BOB_TABLET, &tablet, 180, "", "");
    f.w.expect(ALICE, "SIP/2.0 180");
    for n in 0..=MAX_SIBLINGS {
        f.early(&format!("t{n}"), 180, "", "");
    }
    let own = format!(";tag=T{}", BOB_TABLET.addr.replace([':', '.'], ""));
    let further =
        |tag: &str, status| reply(BOB_TABLET, &tablet, status, "", SDP).replace(&own, &format!(";tag={tag}"));
    f.w.send(BOB_TABLET, &further("more", 180));
    f.w.expect_nothing();
    let mut numbers: Vec<u32> = f.w.core.dialog_views(f.w.now).iter().map(|v| v.index).collect();
    numbers.sort_unstable();
    let last = 10 + 2 + MAX_SIBLINGS as u32;
    assert_eq!(numbers, (10..=last).collect::<Vec<_>>());
    f.w.send(BOB_TABLET, &further("more", 200));
    f.alice.learn(&f.w.expect(ALICE, "SIP/2.0 200"));
    f.w.expect(BOB, "CANCEL");
    f.w.expect_nothing();
    f.w.ack(&f.alice, 1, "");
    let ack = f.w.expect(BOB_TABLET, "ACK");
    assert_eq!(tag_of(&ack), "more");
    let mut other = f.w.invite(ALICE, "tel:666", "", SDP);
    let next = f.w.core.dialog_views(f.w.now).iter().map(|v| v.index).max().unwrap();
    assert!(next > last + 1, "the next call's numbers are its own: {next}");
    other.learn(&f.w.expect(ALICE, "SIP/2.0 200"));
    for alice in [&mut f.alice, &mut other] {
        f.w.request(alice, "BYE", "", "");
    }
    f.w.quiet();
}

/// Where a packet of the phone with this port goes, and where Alice's go.
fn media(f: &mut Fork, near: &str, port: u16) -> (bool, Option<String>) {
    let far = wants(&f.invite, 0);
    let comes = match f.w.packet(far, &format!("192.0.2.2:{port}"), &RTP) {
        Ok((to, _)) => to.to_string() == "192.0.2.1:4000",
        Err(PacketVerdict::Drop(DropReason::OtherSource)) => false,
        other => panic!("{other:?}"),
    };
    let goes = f.w.packet(wants(near, 0), "192.0.2.1:4000", &RTP);
    (comes, goes.ok().map(|(to, _)| to.to_string()))
}

#[test]
fn one_relay_is_with_the_phone_that_has_spoken_last_and_then_with_the_one_that_answers() {
    for (winner, port) in [("one", 6000), ("two", 7000), ("three", 8000)] {
        let mut f = Fork::new("", SDP, |c| c.call.media_relay = MediaRelay::On);
        assert_eq!(f.w.open_ports.len(), 2, "one stream, an end towards each side");
        let (_, first) = f.early("one", 183, "", &sdp(6000));
        let near = wants(&first, 0);
        let of = |port: u16| Some(format!("192.0.2.2:{port}"));
        assert_eq!(media(&mut f, &first, 6000), (true, of(6000)));
        // ringing says nothing of the media
        f.early("two", 180, "", "");
        assert_eq!(media(&mut f, &first, 6000), (true, of(6000)));
        let (_, second) = f.early("two", 183, "", &sdp(7000));
        assert_eq!(wants(&second, 0), near, "to the caller it is one receiver");
        assert_eq!(media(&mut f, &second, 7000), (true, of(7000)));
        assert_eq!(media(&mut f, &second, 6000), (false, of(7000)), "one is heard at a time");
        // early media switches back
        f.says("one", 183, "", &sdp(6000));
        f.w.expect(ALICE, "SIP/2.0 183");
        assert_eq!(media(&mut f, &first, 6000), (true, of(6000)));
        assert_eq!(f.w.open_ports.len(), 2);
        f.says(winner, 200, "", &sdp(port));
        let ok = f.w.expect(ALICE, "SIP/2.0 200");
        assert_eq!((wants(&ok, 0), media(&mut f, &ok, port)), (near, (true, of(port))));
        f.alice.learn(&ok);
        f.w.ack(&f.alice, 1, "");
        f.w.expect(BOB, "ACK");
        f.w.request(&mut f.alice, "BYE", "", "");
        assert_eq!(f.w.open_ports, []);
        f.w.quiet();
    }
}

#[test]
fn a_stream_that_one_phone_refuses_is_there_for_the_other_one_and_goes_when_nobody_takes_it() {
    let video =
        |sdp: &str, port: u16| format!("{sdp}m=video {port} RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n");
    for (winner, ports) in [("plain", 2), ("video", 4)] {
        let mut f = Fork::new("", &video(SDP, 4010), |c| c.call.media_relay = MediaRelay::On);
        assert_eq!(f.w.open_ports.len(), 4);
        let (_, plain) = f.early("plain", 183, "", &video(&sdp(6000), 0));
        assert!(body(&plain).contains("m=video 0 "), "{plain}");
        let (_, seen) = f.early("video", 183, "", &video(&sdp(7000), 7010));
        let back = f.w.packet(wants(&seen, 1), "192.0.2.1:4010", &RTP).map(|(to, _)| to.to_string());
        assert_eq!(back, Ok("192.0.2.2:7010".to_owned()));
        assert_eq!(f.w.open_ports.len(), 4);
        f.says(
            winner,
            200,
            "",
            &if winner == "plain" { video(&sdp(6000), 0) } else { video(&sdp(7000), 7010) },
        );
        f.alice.learn(&f.w.expect(ALICE, "SIP/2.0 200"));
        assert_eq!(f.w.open_ports.len(), ports, "{winner}");
        f.w.ack(&f.alice, 1, "");
        f.w.expect(BOB, "ACK");
        f.w.request(&mut f.alice, "BYE", "", "");
        assert_eq!(f.w.open_ports, []);
        f.w.quiet();
    }
}

#[test]
fn the_relay_stays_when_the_early_dialog_that_has_it_ends() {
    let mut f = Fork::new("", SDP, |c| c.call.media_relay = MediaRelay::On);
    let (_, first) = f.early("one", 183, "", &sdp(6000));
    let (mut two, _) = f.early("two", 183, "", &sdp(7000));
    f.w.request(&mut two, "BYE", "", "");
    f.w.expect(ALICE, "SIP/2.0 200");
    let bye = f.w.expect(BOB, "BYE sip:two@");
    f.w.answer(BOB, &bye, 200, "", "");
    assert_eq!(f.w.open_ports.len(), 2);
    assert_eq!(media(&mut f, &first, 6000), (true, Some("192.0.2.2:6000".to_owned())));
    f.taken_by("one", &sdp(6000));
}

#[test]
fn an_offer_that_waits_for_ports_goes_on_though_another_phone_speaks_meanwhile() {
    let mut f = Fork::new(CAN, SDP, |c| c.call.media_relay = MediaRelay::On);
    let (mut one, _) = f.early("one", 183, &rel(1), &sdp(6000));
    f.passes(&mut one, "PRACK", "RAck: 1 1 INVITE\r\n", ("one", ""));
    f.w.ports_open = None;
    let video = format!("{SDP}m=video 4010 RTP/AVP 99\r\n").replace("o=- 1 1", "o=- 1 2");
    f.w.request(&mut one, "UPDATE", "", &video);
    f.w.expect_nothing();
    let (_, second) = f.early("two", 183, &rel(1), &sdp(7000));
    f.w.ports_open = Some(true);
    for session in std::mem::take(&mut f.w.asked) {
        f.w.input(|core, cx| core.on_media_opened(cx, session, true));
    }
    let update = f.w.expect(BOB, "UPDATE sip:one@");
    let answer = format!("{}m=video 6010 RTP/AVP 99\r\n", sdp(6000)).replace("o=- 1 1", "o=- 1 2");
    let answer = f.text("one", &update, 200, "", &answer);
    f.w.send(BOB, &answer);
    let ok = f.w.expect(ALICE, "SIP/2.0 200");
    assert_ne!(wants(&ok, 1).port(), 0);
    assert_eq!(wants(&ok, 0), wants(&second, 0));
    f.taken_by("one", "");
}

const WAITS: &str = "a=inactive\r\na=curr:qos local none\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
    a=des:qos none remote sendrecv\r\n";

#[test]
fn preconditions_are_each_phones_own() {
    let offer = SDP.replace("a=sendrecv\r\n", WAITS);
    let mut f = Fork::new("Supported: 100rel, precondition\r\n", &offer, |_| {});
    assert_eq!(body(&f.invite), offer);
    // one phone uses them, end to end
    let lines = sdp(6000).replace("a=sendrecv\r\n", &WAITS.replace("none remote", "mandatory remote"));
    let both = "Require: 100rel, precondition\r\nRSeq: 1\r\n";
    let (mut one, first) = f.early("one", 183, both, &lines);
    assert_eq!(body(&first), lines);
    f.passes(&mut one, "PRACK", "RAck: 1 1 INVITE\r\n", ("one", ""));
    // the other one does not: we are Alice's partner there, and what we say is ours to repeat
    let (mut two, second) = f.early("two", 180, "", &sdp(7000));
    assert_eq!(header(&second, HeaderId::RSeq), "1");
    assert!(
        body(&second).contains("a=curr:qos local sendrecv") && body(&second).contains("a=inactive"),
        "{second}"
    );
    f.w.pass(T1);
    assert_eq!(f.w.expect(ALICE, "SIP/2.0 180"), second);
    f.w.request(&mut two, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    f.w.expect(ALICE, "SIP/2.0 200");
    f.w.expect_nothing();
    // her resources have come: the first phone hears of it, for the second one there is nothing to hear
    let ready = offer
        .replace("local none", "local sendrecv")
        .replace("inactive", "sendrecv")
        .replace("o=- 1 1", "o=- 1 2");
    f.w.request(&mut one, "UPDATE", "", &ready);
    let update = f.w.expect(BOB, "UPDATE sip:one@");
    assert_eq!(body(&update), ready);
    let answer = f.text("one", &update, 200, "", &lines.replace("o=- 1 1", "o=- 1 2"));
    f.w.send(BOB, &answer);
    f.w.expect(ALICE, "SIP/2.0 200");
    // the second one answers before she has said so there: its 200 waits, for the first one it would not
    f.says("two", 200, "", "");
    f.w.expect(BOB, "ACK sip:two@");
    f.w.expect_nothing();
    assert_eq!(f.w.states()[0], "ringing");
    f.w.request(&mut two, "UPDATE", "", &ready);
    f.w.expect(ALICE, "SIP/2.0 200");
    let ok = f.w.expect(ALICE, "SIP/2.0 200");
    assert_eq!((header(&ok, HeaderId::CSeq), tag_of(&ok)), ("1 INVITE".to_owned(), tag_of(&second)));
    // and meanwhile the first one has answered, too
    f.says("one", 200, "", "");
    f.w.expect(BOB, "ACK sip:one@");
    let bye = f.w.expect(BOB, "BYE sip:one@");
    f.w.answer(BOB, &bye, 200, "", "");
    f.w.ack(&two, 1, "");
    // it was told of streams that wait: now they run
    let renewed = f.w.expect(BOB, "INVITE sip:two@");
    let answer = f.text("two", &renewed, 200, "", &sdp(7000));
    f.w.send(BOB, &answer);
    f.w.expect(BOB, "ACK sip:two@");
    f.w.expect_nothing();
    f.w.request(&mut two, "BYE", "", "");
    f.w.expect(ALICE, "SIP/2.0 200");
    f.w.expect(BOB, "BYE sip:two@");
    f.w.quiet();
}

#[test]
fn without_an_offer_each_phone_makes_its_own() {
    let mut f = Fork::new(CAN, "", |_| {});
    for (tag, port) in [("one", 6000), ("two", 7000)] {
        let (mut alice, early) = f.early(tag, 183, &rel(3), &sdp(port));
        assert_eq!(body(&early), sdp(port));
        let answer = SDP.replace("4000", &(port - 1000).to_string());
        f.w.request(&mut alice, "PRACK", "RAck: 3 1 INVITE\r\n", &answer);
        let prack = f.w.expect(BOB, &format!("PRACK sip:{tag}@"));
        assert_eq!(body(&prack), answer);
        let ok = f.text(tag, &prack, 200, "", "");
        f.w.send(BOB, &ok);
        f.w.expect(ALICE, "SIP/2.0 200");
    }
    f.taken_by("one", "");
}

#[test]
fn a_caller_that_acknowledges_one_of_them_never_is_refused() {
    let mut f = Fork::new("Require: 100rel\r\n", SDP, |c| {
        c.users[1].impus[0].reliable_provisional = false;
        c.call.dialog_timeout = Duration::from_secs(120);
    });
    let (mut one, _) = f.early("one", 180, "", "");
    f.w.request(&mut one, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    f.w.expect(ALICE, "SIP/2.0 200");
    f.early("two", 180, "", "");
    f.w.pass(T1 * 64);
    assert!(f.w.find(ALICE, "SIP/2.0 500").is_some());
    assert!(f.w.find(BOB, "CANCEL").is_some() && f.w.find(BOB, "CANCEL").is_none());
    assert_eq!(f.w.reason(), "the caller does not acknowledge a reliable answer");
    f.w.quiet();
}

#[test]
fn a_proxy_that_wants_a_longer_session_is_asked_again_and_what_rang_before_is_over() {
    let mut f = Fork::new("", SDP, |c| {
        c.call.session_timer.duration = Duration::from_secs(120);
        c.call.media_relay = MediaRelay::On;
    });
    f.early("one", 183, "", &sdp(6000));
    let (mut two, _) = f.early("two", 183, "", &sdp(7000));
    f.says("two", 422, "Min-SE: 600\r\n", "");
    f.w.expect(BOB, "ACK");
    f.invite = f.w.expect(BOB, "INVITE");
    assert_eq!(header(&f.invite, HeaderId::MinSe), "600");
    f.w.request(&mut two, "UPDATE", "", SDP);
    f.w.expect(ALICE, "SIP/2.0 481");
    // the tag may be the same, the dialog is another one
    f.early("two", 183, "", &sdp(7000));
    f.early("three", 183, "", &sdp(8000));
    assert_eq!(f.w.open_ports.len(), 2);
    f.says("three", 200, "", &sdp(8000));
    f.alice.learn(&f.w.expect(ALICE, "SIP/2.0 200"));
    f.w.ack(&f.alice, 1, "");
    f.ends("three");
}

#[test]
fn each_early_dialog_is_seen_with_its_own_messages() {
    let mut f = Fork::new("", SDP, |_| {});
    f.early("one", 183, "", &sdp(6000));
    f.says("two", 183, &rel(5), &sdp(7000).replace("AVP 0", "AVP 8"));
    let prack = f.w.expect(BOB, "PRACK");
    let answer = f.text("two", &prack, 200, "", "");
    f.w.send(BOB, &answer);
    f.says("one", 180, "", "");
    f.says("two", 200, "", "");
    f.w.drop_all();
    f.says("one", 200, "", &sdp(6000));
    let bye = f.w.find(BOB, "BYE").unwrap();
    f.w.answer(BOB, &bye, 200, "", "");
    let seen = |f: &Fork, index: u32| {
        let views = f.w.core.dialog_views(f.w.now);
        let view = views.into_iter().find(|v| v.index == index).unwrap();
        let said = view.events.iter().filter(|e| e.kind != "state").map(|e| format!("{} {}", e.kind, e.text));
        (view.state, view.reason, said.collect::<Vec<_>>())
    };
    let one = [
        "send INVITE (sdp)",
        "recv 183 INVITE (sdp)",
        "recv 180 INVITE",
        "recv 200 INVITE (sdp)",
        "send ACK",
        "send BYE",
        "recv 200 BYE",
    ];
    let two = ["recv 183 INVITE (sdp, rel 1)", "send PRACK (rel 1)", "recv 200 PRACK", "recv 200 INVITE"];
    let own = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    assert_eq!(seen(&f, 11), ("stop", "another phone there answered".to_owned(), own(&one)));
    assert_eq!(seen(&f, 12), ("start", String::new(), own(&two)));
    assert_eq!(
        f.w.ladder(12),
        "
alice@ims.test          imsbox             bob@192.0.2.2:5060 two@192.0.2.2:5060
  |----- INVITE (sdp) ---->|                        |                        |
  |<----- 100 INVITE ------|                        |                        |
  |                        |----- INVITE (sdp) ---->|                        |
  |                        |<-- 183 INVITE (sdp) ---|                        |
* ringing
  |<-- 183 INVITE (sdp) ---|                        |                        |
  |                        |<----------- 183 INVITE (sdp, rel 1) ------------|
  |                        |----------------- PRACK (rel 1) ---------------->|
  |<-- 183 INVITE (sdp) ---|                        |                        |
  |                        |<------------------ 200 PRACK -------------------|
  |                        |<----- 180 INVITE ------|                        |
  |<----- 180 INVITE ------|                        |                        |
  |                        |<----------------- 200 INVITE -------------------|
* start
  |<-- 200 INVITE (sdp) ---|                        |                        |
  |                        |<-- 200 INVITE (sdp) ---|                        |
  |                        |--------- ACK --------->|                        |
  |                        |--------- BYE --------->|                        |
  |                        |<------ 200 BYE --------|                        |
"
    );
    f.w.quiet();
}

#[test]
fn what_a_phone_that_came_too_late_says_of_its_media_reaches_nobody() {
    let mut f = Fork::new(CAN, SDP, |c| c.call.media_relay = MediaRelay::On);
    let (mut one, _) = f.early("one", 183, &rel(1), &sdp(6000));
    f.passes(&mut one, "PRACK", "RAck: 1 1 INVITE\r\n", ("one", ""));
    f.early("two", 180, "", "");
    f.w.request(&mut one, "UPDATE", "", &SDP.replace("o=- 1 1", "o=- 1 2"));
    let update = f.w.expect(BOB, "UPDATE sip:one@");
    f.says("two", 200, "", &sdp(7000));
    let taken = f.w.expect(ALICE, "SIP/2.0 200");
    let answer = f.text("one", &update, 200, "", &sdp(6000));
    f.w.send(BOB, &answer);
    let late = f.w.expect(ALICE, "SIP/2.0 200");
    assert_eq!((header(&late, HeaderId::CSeq).as_str(), body(&late)), ("3 UPDATE", ""));
    assert_eq!(media(&mut f, &taken, 7000), (true, Some("192.0.2.2:7000".to_owned())));
    f.alice.learn(&taken);
    f.w.ack(&f.alice, 1, "");
    f.ends("two");
}
