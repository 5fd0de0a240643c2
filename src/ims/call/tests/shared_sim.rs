//! Phones that share a SIM: which of them an identity reaches, and stands for.

use super::*;
use crate::config::model::Impu;

const ONE: &str = ";+sip.instance=\"<urn:gsma:imei:86130905-000038-0>\"";
const TWO: &str = ";+sip.instance=\"<urn:gsma:imei:35693803-564380-0>\"";

/// bob's SIM is in two phones; these identities are tied to IMEIs.
fn world(tied: &[(&str, &str)]) -> World {
    let mut w = World::with(|c| {
        c.users[1].multi_sim = true;
        for (uri, imei) in tied {
            c.users[1].impus.push(Impu { imei: Some((*imei).to_owned()), ..Impu::new(*uri) });
        }
    });
    w.register(ALICE, "");
    w.register(BOB, ONE);
    w.register(BOB_TABLET, TWO);
    w
}

#[test]
fn an_identity_with_an_imei_reaches_that_phone_alone_and_one_without_all() {
    for (number, rings) in [("tel:0777", BOB), ("tel:0778", BOB_TABLET)] {
        let mut w = world(&[("tel:0777", "861309050000380"), ("tel:0778", "35693803564380")]);
        let _ = w.invite(ALICE, number, "", SDP);
        w.expect(rings, "INVITE");
        w.expect_nothing();
    }
    let mut w = world(&[("tel:0777", "861309050000380")]);
    let _ = w.invite(ALICE, "tel:+33600000002", "", SDP);
    w.expect(BOB, "INVITE");
    w.expect(BOB_TABLET, "INVITE");
    w.expect_nothing();
}

#[test]
fn an_identity_that_is_there_for_two_imeis_reaches_both_phones_and_no_third() {
    let mut w = world(&[("tel:0777", "861309050000380"), ("tel:0777", "35693803564380")]);
    w.register(Phone { addr: "192.0.2.9:5060", user: "bob" }, "");
    let _ = w.invite(ALICE, "tel:0777", "", SDP);
    w.expect(BOB, "INVITE");
    w.expect(BOB_TABLET, "INVITE");
    w.expect_nothing();
}

#[test]
fn a_call_to_a_phone_that_is_not_there_is_refused() {
    let mut w = world(&[("tel:0777", "490154203237518")]);
    let _ = w.invite(ALICE, "tel:0777", "", SDP);
    w.expect(ALICE, "SIP/2.0 480");
    w.expect_nothing();
}

#[test]
fn a_phone_is_known_by_its_own_identity_and_not_by_that_of_another() {
    let tied = [("tel:0777", "861309050000380"), ("tel:0778", "35693803564380")];
    let asserted = |from: Phone, contact: &str, preferred: &str| {
        let mut w = World::with(|c| {
            c.users[1].multi_sim = true;
            let identity = |(uri, imei): (&str, &str)| Impu { imei: Some(imei.to_owned()), ..Impu::new(uri) };
            c.users[1].impus = tied.into_iter().map(identity).chain(c.users[1].impus.clone()).collect();
        });
        w.register(ALICE, "");
        w.register(BOB, ONE);
        w.register(BOB_TABLET, TWO);
        let headers = format!("P-Preferred-Identity: <{preferred}>\r\n");
        let branch = w.branch();
        let addr = from.addr;
        let text = format!(
            "INVITE tel:+33600000001 SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:bob@ims.test>;tag=1\r\nTo: <tel:+33600000001>\r\nCall-ID: shared{branch}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:bob@{addr}>{contact}\r\n{headers}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            SDP.len()
        );
        w.send(from, &text);
        w.expect(from, "SIP/2.0 100");
        let invite = w.expect(ALICE, "INVITE");
        let mut numbers: Vec<&str> =
            invite.lines().filter_map(|l| l.strip_prefix("P-Asserted-Identity: <tel:")).collect();
        numbers.sort_unstable();
        numbers.concat()
    };
    assert_eq!(asserted(BOB, ONE, "sip:nobody@x"), "0777>");
    assert_eq!(asserted(BOB_TABLET, TWO, "sip:nobody@x"), "0778>", "not the first of all");
    assert_eq!(asserted(BOB_TABLET, TWO, "tel:0777"), "0778>", "what it prefers is another phone's");
    assert_eq!(
        asserted(BOB_TABLET, "", "tel:0778"),
        "0778>",
        "without an IMEI in the request it is believed"
    );
}
