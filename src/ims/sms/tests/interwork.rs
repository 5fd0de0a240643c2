//! Texts between soft clients and phones that take short messages only.

use super::*;
use crate::config::model::OperatorCode;
use crate::ims::sms::limits::Limits;
use crate::ims::tests::{OP, sim};

/// Bob has a SIM; Alice has a soft client, and no SIM.
fn world() -> World {
    let mut w = World::with(|c| c.users[1].sim = Some(sim(OperatorCode::Op(OP))));
    w.register(ALICE, "");
    w
}

const BOBS_NUMBER_URI: &str = "tel:+33600000002";

fn text(w: &mut World, headers: &str, what: &str) -> String {
    let headers = format!("Content-Type: text/plain;charset=UTF-8\r\n{headers}");
    w.message(ALICE, BOBS_NUMBER_URI, &headers, what.as_bytes())
}

#[test]
fn a_plain_text_becomes_a_short_message_and_the_answer_comes_back_plain() {
    let mut w = world();
    w.register(BOB, VOLTE);
    text(&mut w, "", "Grüße 你好");
    w.expect(ALICE, "SIP/2.0 202");
    let got = w.arrives(BOB, "Grüße 你好");
    assert_eq!(deliver(&got).originator.to_string(), "+33600000001");
    w.report(BOB, &got, |reference| up(reference, Rp::Ack { user_data: None }));
    w.submitted(BOB, 1, "+33600000001", "and you?");
    let back = w.expect(ALICE, "MESSAGE");
    assert_eq!((back.one("Content-Type"), &back.body[..]), ("text/plain;charset=UTF-8", &b"and you?"[..]));
    w.answer(ALICE, &back, 200);
    w.quiet();
}

#[test]
fn a_text_for_who_is_away_is_kept_and_comes_when_the_phone_does() {
    for (with_sim, features) in [(true, VOLTE), (true, ""), (false, ""), (false, VOLTE)] {
        let mut w = World::with(|c| c.users[1].sim = with_sim.then(|| sim(OperatorCode::Op(OP))));
        w.register(ALICE, "");
        let long = "0123456789".repeat(20);
        for what in ["Grüße 😀", &long] {
            text(&mut w, "", what);
            w.expect(ALICE, "SIP/2.0 202");
        }
        assert_eq!(w.waiting(), 3);
        assert!(w.lines()[0].ends_with(
            "waits: the phone is neither registered nor reachable over SGs; it is delivered when the phone is there"
        ));
        w.expect_nothing();
        w.pass(Duration::from_secs(3000));
        w.register(BOB, features);
        if features == VOLTE {
            w.is_delivered(BOB, "Grüße 😀");
            w.is_delivered(BOB, &long[..153]);
            w.is_delivered(BOB, &long[153..]);
        } else {
            for what in ["Grüße 😀", &long] {
                let got = w.expect(BOB, "MESSAGE");
                assert_eq!(
                    (got.one("From").starts_with("<tel:+33600000001>"), &got.body[..]),
                    (true, what.as_bytes())
                );
                w.answer(BOB, &got, 200);
            }
        }
        assert_eq!(w.waiting(), 0);
        w.quiet();
    }
}

#[test]
fn a_text_for_who_is_away_is_accepted_when_the_disk_has_it_and_not_before() {
    use crate::ims::disk::Condition;
    use crate::ims::tests::DiskPace;
    let mut w = world();
    w.lab.disk = DiskPace::Late;
    text(&mut w, "", "x");
    w.expect_nothing();
    let sent = w.lab.sync();
    w.sent.extend(sent);
    w.expect(ALICE, "SIP/2.0 202");
    text(&mut w, "", "y");
    let sent = w.lab.on_storage(Condition::Refuses("no space left".to_owned()));
    w.sent.extend(sent);
    let refusal = w.expect(ALICE, "SIP/2.0 503");
    assert!(refusal.one("Warning").contains("the disk does not take it"), "{}", refusal.text);
    assert_eq!(w.waiting(), 1);
    let sent = w.lab.on_storage(Condition::Well);
    w.sent.extend(sent);
    w.quiet();
}

#[test]
fn what_cannot_be_kept_for_who_is_away_is_refused() {
    let refused = |change: fn(&mut Config), headers: &str| {
        let mut w = World::with(|c| {
            c.users[1].sim = Some(sim(OperatorCode::Op(OP)));
            change(c);
        });
        w.register(ALICE, "");
        w.message(ALICE, BOBS_NUMBER_URI, headers, b"x");
        let status = if w.sent.iter().any(|s| s.text.starts_with("SIP/2.0 480")) { 480 } else { 202 };
        w.expect(ALICE, &format!("SIP/2.0 {status}"));
        w.quiet();
        status == 480
    };
    let plain = "Content-Type: text/plain\r\n";
    for headers in [
        "Content-Type: message/cpim\r\n",
        "",
        "Content-Type: text/plain;charset=ISO-8859-1\r\n",
        "Content-Type: text/plain\r\nContent-Encoding: gzip\r\n",
        "Content-Type: text/plain\r\nExpires: 0\r\n",
    ] {
        assert!(refused(|_| {}, headers), "{headers}");
    }
    for headers in [plain, "Content-Type: text/plain; charset=\"utf-8\"\r\nContent-Encoding: identity\r\n"] {
        assert!(!refused(|_| {}, headers), "{headers}");
    }
    // no way to the phone will ever open: there is no SGs, and nothing else is allowed
    let forced: fn(&mut Config) = |c| {
        c.users[1].force_sms_over_sg = true;
        c.users[1].imsi = "001010123456780".to_owned();
    };
    assert!(refused(forced, plain));
    let with_sgs: fn(&mut Config) = |c| {
        c.users[1].force_sms_over_sg = true;
        c.users[1].imsi = "001010123456780".to_owned();
        c.sgs = Some("127.0.0.1:29118".parse().expect("an address"));
    };
    assert!(!refused(with_sgs, plain));
    let without_sim: fn(&mut Config) = |c| {
        c.users[1].force_sms_over_sg = true;
        c.sgs = Some("127.0.0.1:29118".parse().expect("an address"));
    };
    assert!(refused(without_sim, plain));
}

#[test]
fn a_text_is_kept_no_longer_than_its_sender_wants() {
    let mut w = world();
    text(&mut w, "Expires: 600\r\n", "x");
    w.expect(ALICE, "SIP/2.0 202");
    w.pass(Duration::from_secs(599));
    assert_eq!(w.waiting(), 1);
    w.pass(Duration::from_secs(1));
    assert_eq!(w.waiting(), 0);
    w.register(BOB, VOLTE);
    w.expect_nothing();
    w.quiet();
}

#[test]
fn texts_that_become_short_messages_may_be_for_clients_of_the_api_alone() {
    use crate::ims::event::{Content, Event, Listeners};
    let mut w = World::with(|c| c.sms.hook_only = true);
    w.register(ALICE, "");
    w.lab.core.set_listeners(Listeners { sms: true, users_update: false });
    let long = "0123456789".repeat(20);
    text(&mut w, "", &long);
    w.expect(ALICE, "SIP/2.0 202");
    let told = w.lab.core.pop_event();
    assert!(
        matches!(&told, Some(Event::Sms { content: Content::Text(text), missing: 0, .. }) if *text == long)
    );
    assert_eq!((w.lab.core.pop_event(), w.waiting()), (None, 0));
    w.quiet();
}

#[test]
fn a_long_plain_text_goes_in_parts() {
    let mut w = world();
    w.register(BOB, VOLTE);
    let long = "0123456789".repeat(20);
    text(&mut w, "", &long);
    w.expect(ALICE, "SIP/2.0 202");
    assert_eq!(w.waiting(), 2);
    w.is_delivered(BOB, &long[..153]);
    w.is_delivered(BOB, &long[153..]);
    w.quiet();
}

#[test]
fn phones_that_take_plain_texts_get_them_as_they_are() {
    for features in [
        "",
        ";+g.3gpp.smsip;+g.oma.sip-im",
        ";+g.3gpp.smsip;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg\"",
    ] {
        let mut w = world();
        w.register(BOB, features);
        text(&mut w, "", "x");
        let got = w.expect(BOB, "MESSAGE");
        assert_eq!(got.body, b"x", "{features}");
        w.answer(BOB, &got, 200);
        w.expect(ALICE, "SIP/2.0 200");
        w.quiet();
    }
}

#[test]
fn a_phone_without_sms_over_ims_gets_a_text_over_sgs_where_there_is_sgs() {
    let world = |has_sgs: bool, features: &str| {
        let mut w = World::with(|c| {
            c.users[1].sim = Some(sim(OperatorCode::Op(OP)));
            c.users[1].imsi = "001010123456780".to_owned();
            c.sgs = has_sgs.then(|| "127.0.0.1:29118".parse().expect("an address"));
        });
        w.register(ALICE, "");
        w.register(BOB, features);
        text(&mut w, "", "x");
        w
    };
    let mut w = world(true, MMTEL);
    w.expect(ALICE, "SIP/2.0 202");
    w.expect_nothing();
    assert_eq!(w.waiting(), 1, "until it is attached, or takes short messages");
    w.register(BOB, VOLTE);
    w.is_delivered(BOB, "x");
    w.quiet();
    // where no other way can be, and to who says that it takes instant messages, it goes as it is
    for (has_sgs, features) in
        [(false, MMTEL.to_owned()), (true, format!("{MMTEL};+g.oma.sip-im")), (true, String::new())]
    {
        let mut w = world(has_sgs, &features);
        let got = w.expect(BOB, "MESSAGE");
        assert_eq!(got.body, b"x", "{has_sgs} {features}");
        w.answer(BOB, &got, 200);
        w.expect(ALICE, "SIP/2.0 200");
        w.quiet();
    }
}

/// What becomes of a plain text for Bob.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It goes to his client as it is.
    Relayed,
    /// It is kept, and arrives when his phone is there as a short message or as it is.
    Kept,
    /// It is kept for SGs.
    KeptForSgs,
    /// It is refused.
    Refused,
}

/// Sends Bob, who registers with these features before or after, a text; what becomes of it, which is never that it waits in vain.
fn fate(is_there: bool, features: &str, has_sgs: bool, change: fn(&mut Config)) -> Fate {
    let mut w = World::with(|c| {
        c.users[1].imsi = "001010123456780".to_owned();
        c.users[1].sim = Some(sim(OperatorCode::Op(OP)));
        c.sgs = has_sgs.then(|| "127.0.0.1:29118".parse().expect("an address"));
        change(c);
    });
    w.register(ALICE, "");
    if is_there {
        w.register(BOB, features);
    }
    text(&mut w, "", "x");
    if w.sent.iter().any(|s| s.text.starts_with("SIP/2.0 480")) {
        return Fate::Refused;
    }
    let is_kept = w.waiting() == 1;
    if is_kept {
        w.expect(ALICE, "SIP/2.0 202");
    }
    if !is_there {
        assert!(is_kept, "{:?}", w.sent);
        w.register(BOB, features);
    }
    if w.sent.is_empty() {
        assert!(is_kept && has_sgs, "{:?}", w.lines());
        return Fate::KeptForSgs;
    }
    let got = w.expect(BOB, "MESSAGE");
    w.answer(BOB, &got, 200);
    if got.body != b"x" {
        w.report(BOB, &got, |reference| up(reference, Rp::Ack { user_data: None }));
    }
    assert_eq!(w.waiting(), 0);
    if is_kept { Fate::Kept } else { Fate::Relayed }
}

const MMTEL: &str = ";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"";

#[test]
fn a_text_that_is_accepted_has_a_way_whatever_the_phone_turns_out_to_be() {
    let any: fn(&mut Config) = |_| {};
    let forced: fn(&mut Config) = |c| c.users[1].force_sms_over_sg = true;
    let without: fn(&mut Config) = |c| c.users[1].impus[1].sms = false;
    let no_sim: fn(&mut Config) = |c| (c.users[1].sim, c.users[1].imsi) = (None, String::new());
    use Fate::{Kept, KeptForSgs, Refused, Relayed};
    for (change, features, has_sgs, away, there) in [
        (any, VOLTE, false, Kept, Kept),
        (any, VOLTE, true, Kept, Kept),
        (any, MMTEL, false, Kept, Relayed),
        (any, MMTEL, true, KeptForSgs, KeptForSgs),
        (any, "", false, Kept, Relayed),
        (any, "", true, Kept, Relayed),
        (forced, VOLTE, false, Refused, Relayed),
        (forced, VOLTE, true, KeptForSgs, KeptForSgs),
        (forced, MMTEL, false, Refused, Relayed),
        (forced, MMTEL, true, KeptForSgs, KeptForSgs),
        (without, VOLTE, false, Kept, Relayed),
        (without, VOLTE, true, KeptForSgs, KeptForSgs),
        (without, MMTEL, false, Kept, Relayed),
        (no_sim, MMTEL, false, Kept, Relayed),
        (no_sim, MMTEL, true, Kept, Relayed),
        (no_sim, VOLTE, true, Kept, Relayed),
    ] {
        for (is_there, expected) in [(false, away), (true, there)] {
            let got = fate(is_there, features, has_sgs, change);
            assert_eq!(got, expected, "there: {is_there}, {features}, SGs: {has_sgs}");
        }
    }
}

#[test]
fn a_short_message_is_no_plain_text_for_a_phone_that_may_not_show_it() {
    let mut w = World::with(|c| c.users[1].sim = Some(sim(OperatorCode::Op(OP))));
    w.register(ALICE, "");
    w.register(CAROL, VOLTE);
    // both are texts, and wait; what was written as a plain one may be shown as one
    text(&mut w, "", "plain");
    w.expect(ALICE, "SIP/2.0 202");
    w.submitted(CAROL, 1, BOBS_NUMBER, "short");
    let mut w = disk::restarted(&w, |c| c.users[1].sim = Some(sim(OperatorCode::Op(OP))));
    w.register(BOB, MMTEL);
    let got = w.expect(BOB, "MESSAGE");
    assert_eq!(got.body, b"plain");
    w.answer(BOB, &got, 200);
    w.expect_nothing();
    assert_eq!(w.waiting(), 1);
    w.register(BOB, VOLTE);
    w.is_delivered(BOB, "short");
    w.quiet();
}

const CAROL: Phone = Phone { addr: "192.0.2.6:5060", user: "carol" };
const SECOND_BOB: Phone = Phone { addr: "192.0.2.7:5060", user: "bob" };

#[test]
fn whether_a_text_is_kept_depends_on_the_phones_that_the_identity_is_tied_to() {
    let phones = identities::PHONES;
    let world = || {
        let mut w = World::with(|c| {
            c.users[1].sim = Some(sim(OperatorCode::Op(OP)));
            c.users[1].multi_sim = true;
            c.users[1].impus.truncate(1);
            c.users[1].impus.push(identities::tied("tel:+33600000002", phones[1]));
        });
        w.register(ALICE, "");
        // the other phone takes plain texts
        w.register(BOB, &format!(";+sip.instance=\"<urn:gsma:imei:{}>\"", phones[0]));
        w
    };
    // it is not there
    let mut w = world();
    text(&mut w, "", "x");
    w.expect(ALICE, "SIP/2.0 202");
    w.expect_nothing();
    w.register(SECOND_BOB, &identities::with_imei(phones[1]));
    w.is_delivered(SECOND_BOB, "x");
    // it is, and takes no plain text
    text(&mut w, "", "y");
    w.expect(ALICE, "SIP/2.0 202");
    w.is_delivered(SECOND_BOB, "y");
    w.quiet();
}

#[test]
fn who_hides_is_hidden_and_who_writes_too_much_is_told() {
    let mut w = world();
    w.register(BOB, VOLTE);
    text(&mut w, "Privacy: id\r\n", "x");
    w.expect(ALICE, "SIP/2.0 202");
    let got = w.arrives(BOB, "x");
    assert_eq!(deliver(&got).originator.to_string(), "anonymous");
    w.report(BOB, &got, |reference| up(reference, Rp::Ack { user_data: None }));
    text(&mut w, "", &"x".repeat(40_001));
    w.expect(ALICE, "SIP/2.0 413");
    w.lab.core.set_sms_limits(Limits { texts_per_user: 2, ..Limits::default() });
    text(&mut w, "", &"x".repeat(153 * 3));
    w.expect(ALICE, "SIP/2.0 503");
    assert_eq!(w.waiting(), 0, "all parts or none");
    w.quiet();
}

#[test]
fn a_phone_that_claims_to_take_short_messages_and_knows_none_gets_the_text_plain() {
    let mut w = world();
    w.register(BOB, VOLTE);
    text(&mut w, "", "x");
    w.expect(ALICE, "SIP/2.0 202");
    let got = w.expect(BOB, "MESSAGE");
    w.answer(BOB, &got, 415);
    let got = w.expect(BOB, "MESSAGE");
    assert_eq!(got.body, b"x");
    w.answer(BOB, &got, 200);
    w.expect_nothing();
    assert_eq!(w.waiting(), 0);
    text(&mut w, "", "y");
    let got = w.expect(BOB, "MESSAGE");
    w.answer(BOB, &got, 415);
    let got = w.expect(BOB, "MESSAGE");
    w.answer(BOB, &got, 415);
    w.expect(ALICE, "SIP/2.0 202");
    w.expect_nothing();
    assert_eq!(w.waiting(), 1, "it is tried again later");
    w.quiet();
}

#[test]
fn the_centre_takes_nothing_else() {
    let mut w = world();
    w.message(ALICE, "sip:sms-centre@ims.test", "Content-Type: text/plain\r\n", b"x");
    assert_eq!(w.expect(ALICE, "SIP/2.0 415").one("Accept"), "application/vnd.3gpp.sms");
    w.quiet();
}
