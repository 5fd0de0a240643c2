//! Location update and detach.

use super::*;
use crate::proto::sgsap::limits::MAX_UES_PER_MME;

#[test]
fn a_known_phone_is_accepted_with_its_location_area() {
    let mut f = Fixture::new();
    f.up(A, 1);
    f.sent();
    f.receive_hex(
        A,
        "09010809101010325476980937066d6d65633031096d6d65676938303031036d6d6503657063066d6e63303031066d63633030310b336770706e6574776f726b036f72670a0101040500f1100001",
    );
    assert_eq!(f.sent(), ["0a01080910101032547698040500f1100001"]);
    assert!(f.vlr.is_attached(&imsi(IMSI)));
    assert_eq!(f.state(), Some(State::Associated));
    assert_eq!(f.events(), [Event::Reachable { imsi: imsi(IMSI) }]);
    let mmes = f.vlr.mme_views(f.now);
    assert_eq!((mmes.len(), mmes[0].ues, mmes[0].is_connected), (1, 1, true));
    assert_eq!(mmes[0].name.as_deref(), Some(MME));
}

#[test]
fn what_an_update_says_of_the_phone_is_shown_and_kept_where_the_next_one_is_silent() {
    let mut f = Fixture::attached();
    f.receive_hex(
        A,
        "09010809101010325476980937066d6d65633031096d6d65676938303031036d6d6503657063066d6e63303031066d63633030310b336770706e6574776f726b036f72670a0102040500f1100002040500f110000107010115085396833065340819230500f1100001240700f11001a2d001",
    );
    assert_eq!(f.sent(), ["0a01080910101032547698040500f1100002"]);
    f.update(A, MME, IMSI, 2);
    let ue = f.vlr.ue_view(&imsi(IMSI)).unwrap();
    assert_eq!((ue.lai.to_string(), ue.mme.as_str()), ("001-01-0001".into(), MME));
    assert_eq!(ue.tai.unwrap().to_string(), "001-01-0001");
    assert_eq!(ue.ecgi.unwrap().to_string(), "001-01-1a2d001");
    assert_eq!(ue.imeisv.unwrap().as_str(), "3569380356438091");
    assert_eq!(f.vlr.mme_views(f.now)[0].ues, 1);
}

#[test]
fn an_unknown_imsi_is_rejected_with_cause_2_and_a_phone_that_is_not_ours_any_more_is_forgotten() {
    let mut f = Fixture::attached();
    f.update(A, MME, "208930000000001", 1);
    assert_eq!(f.words(), ["LOCATION-UPDATE-REJECT imsi=208930000000001 cause=2 (IMSI unknown in HLR)"]);
    f.verdict = |_| Err(RejectCause::NETWORK_FAILURE);
    f.update(A, MME, IMSI, 2);
    assert_eq!(f.sent(), ["0b010809101010325476980f0111040500f1100001"]);
    assert!(!f.vlr.is_attached(&imsi(IMSI)));
    assert_eq!((f.vlr.attached(), f.vlr.mme_views(f.now)[0].ues), (0, 0));
    assert_eq!(f.events(), []);
}

#[test]
fn a_phone_beyond_the_limit_of_an_mme_is_rejected_with_congestion_and_one_that_leaves_makes_room() {
    let mut f = Fixture::new();
    f.up(A, 1);
    for n in 0..MAX_UES_PER_MME {
        f.update(A, MME, &format!("00101{n:010}"), 1);
    }
    let beyond = "001019999999999";
    f.outputs();
    f.update(A, MME, beyond, 1);
    assert_eq!(f.words(), [format!("LOCATION-UPDATE-REJECT imsi={beyond} cause=22 (congestion)")]);
    f.update(A, MME, "001010000000000", 2);
    assert_eq!(f.words(), ["LOCATION-UPDATE-ACCEPT imsi=001010000000000"], "who is there stays");
    // another MME has room, for a phone of the first one too
    f.up(B, 2);
    f.outputs();
    f.update(B, MME_2, "001010000000000", 2);
    f.update(A, MME, beyond, 1);
    assert_eq!(f.words().last().unwrap(), &format!("LOCATION-UPDATE-ACCEPT imsi={beyond}"));
    assert_eq!(f.vlr.attached(), MAX_UES_PER_MME + 1);
}

#[test]
fn every_detach_is_acknowledged_and_forgets_the_phone() {
    for (kind, tag, values, ack) in [
        (Kind::EpsDetachIndication, Tag::EpsDetachType, [1, 2, 3], "1201080910101032547698"),
        (Kind::ImsiDetachIndication, Tag::NonEpsDetachType, [1, 2, 3], "1401080910101032547698"),
    ] {
        for value in values {
            let mut f = Fixture::attached();
            f.detach(A, MME, kind, tag, value);
            assert_eq!(f.sent(), [ack]);
            assert_eq!((f.vlr.is_attached(&imsi(IMSI)), f.vlr.attached()), (false, 0));
            // again, and nobody knows it
            f.detach(A, MME, kind, tag, value);
            assert_eq!(f.sent(), [ack]);
            assert_eq!(f.send(MT), Err(NotNow::NotAttached));
            assert_eq!(f.events(), []);
        }
    }
}

#[test]
fn a_detach_ends_the_message_that_is_under_way() {
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    f.detach(A, MME, Kind::ImsiDetachIndication, Tag::NonEpsDetachType, 1);
    assert_eq!(f.why(), Why::Detached);
    f.sent();
    f.pass(100);
    assert_eq!((f.sent(), f.vlr.next_deadline()), (vec![], None));
}

#[test]
fn a_phone_that_moved_belongs_to_its_new_mme_and_a_late_detach_of_the_old_one_changes_nothing() {
    let mut f = Fixture::attached();
    f.up(B, 2);
    f.send(MT).unwrap();
    f.sent();
    f.update(B, MME_2, IMSI, 2);
    assert_eq!(f.why_then_reachable(), Why::Moved);
    f.sent();
    f.detach(A, MME, Kind::ImsiDetachIndication, Tag::NonEpsDetachType, 3);
    assert_eq!(f.sent(), ["1401080910101032547698"]);
    assert!(f.vlr.is_attached(&imsi(IMSI)));
    let ues: Vec<usize> = f.vlr.mme_views(f.now).iter().map(|m| m.ues).collect();
    assert_eq!(ues, [0, 1]);
    f.send(MT).unwrap();
    assert_eq!(f.outputs()[0].0, B);
}

#[test]
fn an_attach_anew_ends_what_is_under_way_and_a_periodic_update_does_not() {
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    f.update(A, MME, IMSI, 2);
    assert_eq!(f.events(), [Event::Reachable { imsi: imsi(IMSI) }]);
    f.update(A, MME, IMSI, 1);
    assert_eq!(f.why_then_reachable(), Why::Moved);
}

#[test]
fn a_call_that_nobody_makes_is_passed_over() {
    let mut f = Fixture::attached();
    f.plain(Kind::MoCsfbIndication);
    assert_eq!((f.sent(), f.events()), (vec![], vec![]));
    assert_eq!(f.state(), Some(State::Associated));
}

#[test]
fn what_was_known_of_the_phone_before_it_attached_anew_counts_no_more() {
    let mut f = Fixture::attached();
    f.receive_hex(
        A,
        "09010809101010325476980937066d6d65633031096d6d65676938303031036d6d6503657063066d6e63303031066d63633030310b336770706e6574776f726b036f72670a0102040500f1100002040500f110000107010115085396833065340819230500f1100001240700f11001a2d001",
    );
    // another phone with a copy of the SIM, perhaps
    f.update(A, MME, IMSI, 1);
    let ue = f.vlr.ue_view(&imsi(IMSI)).unwrap();
    assert_eq!((ue.tai, ue.ecgi, ue.imeisv), (None, None, None));
    assert_eq!(f.vlr.mme_views(f.now)[0].ues, 1);
}

impl Fixture {
    /// Two events: why the message failed, and that the phone can be reached.
    fn why_then_reachable(&mut self) -> Why {
        match &self.events()[..] {
            [Event::Unreachable { why, .. }, Event::Reachable { .. }] => *why,
            other => panic!("{other:?}"),
        }
    }
}
