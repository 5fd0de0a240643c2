//! Associations, RESET, STATUS.

use super::*;
use crate::proto::sgsap::limits::{MAX_ASSOCIATIONS, MAX_MMES};
use crate::wire::sgsap::SgsCause;
use std::collections::{BTreeMap, BTreeSet};

const RESET: &str = "15021403766c7203696d73076578616d706c65036f7267";
const RESET_ACK: &str = "16021403766c7203696d73076578616d706c65036f7267";

#[test]
fn a_new_mme_is_told_that_we_have_started_three_times_at_most() {
    let mut f = Fixture::new();
    f.up(A, 1);
    f.pass(100);
    assert_eq!(f.sent(), [RESET, RESET, RESET]);
    assert_eq!(f.vlr.next_deadline(), None);
    let mut f = Fixture::new();
    f.up(A, 1);
    f.name_only(A, Kind::ResetAck, MME);
    f.pass(100);
    assert_eq!(f.sent(), [RESET]);
    assert_eq!(f.vlr.mme_views(f.now)[0].name.as_deref(), Some(MME));
}

#[test]
fn the_reset_of_an_mme_is_acknowledged_and_its_phones_are_paged_everywhere_until_they_are_heard_of() {
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    f.sent();
    f.name_only(A, Kind::ResetIndication, MME);
    assert_eq!(f.sent(), [RESET_ACK]);
    assert_eq!((f.why(), f.state()), (Why::MmeReset, Some(State::Null)));
    assert!(f.vlr.is_attached(&imsi(IMSI)));
    f.send(MT).unwrap();
    assert_eq!(
        f.sent(),
        ["0101080910101032547698021403766c7203696d73076578616d706c65036f7267200102"],
        "without a location area"
    );
    f.about(Kind::ServiceRequest, Tag::ServiceIndicator, 2);
    assert_eq!(f.state(), Some(State::Associated));
}

#[test]
fn a_reset_of_one_mme_is_nothing_to_the_phones_of_another() {
    let mut f = Fixture::attached();
    f.up(B, 2);
    f.name_only(B, Kind::ResetIndication, MME_2);
    assert_eq!(f.state(), Some(State::Associated));
    f.sent();
    f.name_only(A, Kind::ResetIndication, MME);
    f.update(A, MME, IMSI, 1);
    assert_eq!(f.state(), Some(State::Associated));
}

#[test]
fn a_lost_association_ends_what_is_under_way_and_its_return_tells_who_was_wanted() {
    let mut f = Fixture::attached();
    f.update(A, MME, OTHER, 1);
    f.events();
    f.send(MT).unwrap();
    f.down(A);
    assert_eq!(f.why(), Why::AssociationLost);
    assert!(f.vlr.is_attached(&imsi(IMSI)));
    assert_eq!(f.send(MT), Err(NotNow::NoAssociation));
    f.sent();
    f.pass(1000);
    assert_eq!((f.sent(), f.vlr.next_deadline()), (vec![], None));
    // another port of the same host
    f.input(|vlr, cx| vlr.on_up(cx, B, SocketAddr::from(([127, 0, 0, 1], 40_000)), 1));
    assert_eq!((f.sent(), f.events()), (vec![], vec![Event::Reachable { imsi: imsi(IMSI) }]), "and no RESET");
    f.send(MT).unwrap();
    assert_eq!(f.outputs()[0].0, B);
    assert_eq!(f.vlr.mme_views(f.now).len(), 1);
}

#[test]
fn an_mme_that_returns_from_another_host_is_known_by_its_name() {
    let mut f = Fixture::attached();
    f.down(A);
    assert_eq!(f.send(MT), Err(NotNow::NoAssociation));
    f.up(B, 2);
    assert_eq!(f.sent(), [RESET]);
    f.name_only(B, Kind::ResetAck, MME);
    assert_eq!(f.events(), [Event::Reachable { imsi: imsi(IMSI) }]);
    f.pass(60);
    assert_eq!(f.sent(), Vec::<String>::new());
    let mmes = f.vlr.mme_views(f.now);
    assert_eq!((mmes.len(), mmes[0].ues, mmes[0].remote, mmes[0].is_connected), (1, 1, remote(2), true));
    // the old association, should it end only now, is nobody's
    f.down(A);
    assert!(f.vlr.mme_views(f.now)[0].is_connected);
}

#[test]
fn another_mme_on_the_same_host_is_not_taken_for_the_one_that_went() {
    let mut f = Fixture::attached();
    f.down(A);
    f.up(B, 1);
    f.update(B, MME_2, OTHER, 1);
    let words = f.words();
    assert_eq!(words, ["RESET-INDICATION".to_owned(), format!("LOCATION-UPDATE-ACCEPT imsi={OTHER}")]);
    assert_eq!(f.send(MT), Err(NotNow::NoAssociation));
    let mmes = f.vlr.mme_views(f.now);
    let shown: Vec<_> = mmes.iter().map(|m| (m.name.as_deref().unwrap(), m.is_connected, m.ues)).collect();
    assert_eq!(shown, [(MME, false, 1), (MME_2, true, 1)]);
}

#[test]
fn of_two_that_went_from_one_host_the_one_that_comes_back_has_to_say_who_it_is() {
    let mut f = Fixture::attached();
    f.input(|vlr, cx| vlr.on_up(cx, B, (remote(1).ip(), 40_002).into(), 10));
    f.update(B, MME_2, OTHER, 1);
    f.name_only(B, Kind::ResetAck, MME_2);
    f.down(B);
    f.down(A);
    f.outputs();
    // on a port that neither had
    f.input(|vlr, cx| vlr.on_up(cx, AssociationId(3), (remote(1).ip(), 40_003).into(), 10));
    assert_eq!(f.words(), ["RESET-INDICATION"]);
    assert_eq!(f.send(MT), Err(NotNow::NoAssociation), "it may be the other one");
    f.name_only(AssociationId(3), Kind::ResetAck, MME_2);
    assert_eq!(f.send_to(IMSI, MT), Err(NotNow::NoAssociation));
    assert_eq!(f.send_to(OTHER, MT), Ok(()));
    assert_eq!(f.words(), [format!("PAGING-REQUEST imsi={OTHER}")]);
    let mmes = f.vlr.mme_views(f.now);
    let shown: Vec<_> = mmes.iter().map(|m| (m.name.as_deref().unwrap(), m.is_connected)).collect();
    assert_eq!(shown, [(MME, false), (MME_2, true)], "and no third one");
}

#[test]
fn every_imsi_has_its_stream() {
    let mut f = Fixture::new();
    f.up(A, 1);
    f.outputs();
    for n in 0..1000 {
        f.update(A, MME, &format!("00101012345{n:04}"), 1);
    }
    let streams: std::collections::BTreeSet<u16> = f.outputs().iter().map(|(_, stream, _)| *stream).collect();
    assert_eq!(streams, (1..10).collect());
}

#[test]
fn more_associations_than_may_be_are_closed_and_the_mme_that_went_first_is_forgotten() {
    let mut f = Fixture::attached();
    for n in 2..=MAX_ASSOCIATIONS as u64 {
        f.up(AssociationId(n), n as u8);
    }
    assert_eq!(f.closed(), []);
    f.up(AssociationId(1000), 250);
    assert_eq!(f.closed(), [AssociationId(1000)]);
    f.down(A);
    for n in 2..=MAX_ASSOCIATIONS as u64 {
        f.pass(1);
        f.down(AssociationId(n));
    }
    for n in 1..=MAX_MMES as u64 {
        f.up(AssociationId(2000 + n), 100 + (n % 100) as u8);
        f.down(AssociationId(2000 + n));
    }
    for n in 0..MAX_MMES as u64 {
        f.input(|vlr, cx| {
            vlr.on_up(cx, AssociationId(9000 + n), SocketAddr::from(([10, 0, 0, n as u8], 1)), 1)
        });
        f.down(AssociationId(9000 + n));
    }
    assert_eq!(f.vlr.mme_views(f.now).len(), MAX_MMES);
    assert!(!f.vlr.is_attached(&imsi(IMSI)), "it went with its MME");
}

#[test]
fn what_cannot_be_used_is_answered_by_a_status_with_its_cause() {
    for (text, status) in [
        ("ee01080910101032547698", "1d010809101010325476980801 0c1b0bee01080910101032547698"),
        ("0816028904", "1d0801081b050816028904"),
        ("09010809101010325476980937", "1d01080910101032547698 0801091b0d09010809101010325476980937"),
        ("09", "1d0801081b0109"),
        // of a VLR
        ("1b01080910101032547698", "1d01080910101032547698 08010c1b0b1b01080910101032547698"),
        ("1701080910101032547698", "1d01080910101032547698 08010c1b0b1701080910101032547698"),
    ] {
        let mut f = Fixture::attached();
        f.receive_hex(A, text);
        assert_eq!(f.sent(), [status.replace(' ', "")], "{text}");
    }
}

#[test]
fn a_status_is_never_answered_by_one_nor_is_nothing() {
    let mut f = Fixture::attached();
    for text in
        ["", "1d", "1d080108", "1d08010c1b031c0108", "1d010809101010325476980801081b0b06010809101010214365f7"]
    {
        f.receive_hex(A, text);
        assert_eq!((f.sent(), f.events()), (vec![], vec![]), "{text}");
    }
}

#[test]
fn a_status_for_a_page_or_a_cpdu_ends_what_it_was_part_of() {
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    let page = f.outputs().remove(0).2;
    let mut out = Vec::new();
    Writer::of(&mut out, Kind::Status, &imsi(IMSI))
        .octet(Tag::SgsCause, 8)
        .element(Tag::ErroneousMessage, &page);
    f.receive(A, &out);
    assert_eq!(f.why(), Why::Status(SgsCause::MISSING_MANDATORY));
}

#[test]
fn a_phone_keeps_its_stream_and_the_first_is_for_messages_of_no_phone() {
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    f.about(Kind::ServiceRequest, Tag::ServiceIndicator, 2);
    let streams: Vec<u16> = f.outputs().iter().map(|o| o.1).collect();
    assert!(streams.len() == 2 && streams[0] == streams[1] && (1..10).contains(&streams[0]), "{streams:?}");
    f.name_only(A, Kind::ResetIndication, MME);
    assert_eq!(f.outputs()[0].1, 0);
    // an association with one stream
    let mut f = Fixture::new();
    f.input(|vlr, cx| vlr.on_up(cx, A, remote(1), 0));
    f.update(A, MME, IMSI, 1);
    assert!(f.outputs().iter().all(|o| o.1 == 0));
}

#[test]
fn whatever_comes_leaves_nothing_under_way_after_a_day() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sgsap.json");
    let file: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut all: Vec<Vec<u8>> =
        file["vectors"].as_array().unwrap().iter().map(|row| octets(row["hex"].as_str().unwrap())).collect();
    // a phone without a TMSI
    let request = [&all[0][..], &[Tag::TmsiStatus.code(), 1, 0]].concat();
    all.extend(std::iter::repeat_n(request, 4));
    let mut rng = Rng::from_seed(7);
    let mut f = Fixture::new();
    f.up(A, 1);
    f.up(B, 2);
    for _ in 0..20_000 {
        let mut message = all[rng.below(all.len() as u64) as usize].clone();
        if rng.below(3) == 0 {
            let bit = rng.below(message.len() as u64 * 8) as usize;
            message[bit / 8] ^= 1 << (bit % 8);
        }
        match rng.below(12) {
            0 => drop(f.send(MT)),
            1 => drop(f.send(MO_ACK)),
            2 => f.pass(rng.below(15)),
            3 => f.release(),
            6 => f.confirm(rng.below(4) > 0),
            4 if rng.below(20) == 0 => {
                let which = [A, B][rng.below(2) as usize];
                f.down(which);
                f.up(which, 1 + rng.below(3) as u8);
            }
            n => f.receive(if n == 5 { B } else { A }, &message),
        }
        f.events();
        f.outputs();
        f.is_in_order();
    }
    for _ in 0..4 {
        f.pass(86_400);
        f.release();
    }
    assert_eq!((f.vlr.next_deadline(), f.vlr.busy()), (None, 0));
}

#[test]
fn an_association_that_another_one_of_the_same_mme_replaces_is_closed() {
    let mut f = Fixture::attached();
    f.up(B, 2);
    assert_eq!(f.closed(), []);
    f.name_only(B, Kind::ResetAck, MME);
    assert_eq!(f.closed(), [A]);
    f.down(A);
    f.send(MT).unwrap();
    assert_eq!(f.outputs()[0].0, B);
    let mmes = f.vlr.mme_views(f.now);
    assert_eq!((mmes.len(), mmes[0].is_connected), (1, true));
}

#[test]
fn what_is_under_way_ends_with_the_association_that_is_replaced_and_goes_again_over_the_new_one() {
    for is_answered in [false, true] {
        let mut f = Fixture::attached();
        f.update(A, MME, OTHER, 1);
        f.events();
        f.send(MT).unwrap();
        if is_answered {
            f.about(Kind::ServiceRequest, Tag::ServiceIndicator, 2);
        }
        f.uplink(&data(0x29, MO));
        assert_eq!(f.events(), [up_event(MO)]);
        f.up(B, 2);
        assert_eq!(f.events(), []);
        f.name_only(B, Kind::ResetAck, MME);
        let unreachable = Event::Unreachable { imsi: imsi(IMSI), why: Why::AssociationLost };
        assert_eq!(f.events(), [unreachable, Event::Reachable { imsi: imsi(IMSI) }]);
        assert_eq!((f.send(MO_ACK), f.vlr.busy()), (Err(NotNow::NoTransaction), 0));
        assert_eq!(f.vlr.next_deadline(), None);
        f.outputs();
        f.send(MT).unwrap();
        let sent = f.outputs();
        assert_eq!((sent.len(), sent[0].0, sent[0].2[0]), (1, B, Kind::PagingRequest.code()));
    }
}

#[test]
fn a_phone_whose_page_ended_with_the_association_is_told_of_as_soon_as_the_mme_is_back() {
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    f.down(A);
    assert_eq!(f.why(), Why::AssociationLost);
    f.up(B, 1);
    assert_eq!(f.events(), [Event::Reachable { imsi: imsi(IMSI) }]);
}

#[test]
fn what_was_sent_to_an_mme_that_turns_out_to_be_another_one_ends_at_once() {
    let mut f = Fixture::attached();
    f.down(A);
    f.up(B, 1);
    f.send(MT).unwrap();
    f.update(B, MME_2, OTHER, 1);
    let unreachable = Event::Unreachable { imsi: imsi(IMSI), why: Why::AssociationLost };
    assert_eq!(f.events(), [unreachable, Event::Reachable { imsi: imsi(OTHER) }]);
    // it waits for its own
    f.up(AssociationId(3), 3);
    f.name_only(AssociationId(3), Kind::ResetAck, MME);
    assert_eq!(f.events(), [Event::Reachable { imsi: imsi(IMSI) }]);
}

#[test]
fn an_mme_that_has_not_acknowledged_our_reset_is_told_again_when_it_is_back() {
    // by its address, acknowledged or not
    for is_acknowledged in [false, true] {
        let mut f = Fixture::new();
        f.up(A, 1);
        if is_acknowledged {
            f.name_only(A, Kind::ResetAck, MME);
        } else {
            f.update(A, MME, IMSI, 1);
        }
        f.outputs();
        f.down(A);
        f.up(B, 1);
        assert_eq!(f.sent().len(), usize::from(!is_acknowledged));
        f.name_only(B, Kind::ResetAck, MME);
        f.pass(60);
        f.down(B);
        f.up(A, 1);
        assert_eq!((f.sent(), f.vlr.next_deadline()), (vec![], None));
    }
    // by its name, once over each association, and repeated until it is acknowledged
    let mut f = Fixture::new();
    f.up(A, 1);
    f.update(A, MME, IMSI, 1);
    f.down(A);
    f.outputs();
    f.up(B, 2);
    f.update(B, MME, IMSI, 2);
    assert_eq!(f.words(), ["RESET-INDICATION".to_owned(), format!("LOCATION-UPDATE-ACCEPT imsi={IMSI}")]);
    f.pass(4);
    assert_eq!(f.sent(), [RESET]);
    f.name_only(B, Kind::ResetAck, MME);
    f.pass(60);
    assert_eq!((f.sent(), f.vlr.next_deadline()), (vec![], None));
}

impl Fixture {
    /// What is kept twice is the same: phones by their MMEs, and the numbers that are taken.
    fn is_in_order(&self) {
        let vlr = &self.vlr;
        let mut counts = BTreeMap::new();
        vlr.ues.iter().for_each(|ue| *counts.entry(ue.mme).or_insert(0) += 1);
        let told = vlr.mmes.iter().filter(|(_, mme)| mme.ues > 0).map(|(id, mme)| (id, mme.ues)).collect();
        assert_eq!(counts, told);
        let taken: Vec<u32> = vlr.ues.iter().filter_map(|ue| ue.tmsi.number()).collect();
        assert_eq!(taken.iter().collect::<BTreeSet<_>>(), vlr.ues.tmsis().iter().collect());
        assert_eq!(taken.len(), vlr.ues.tmsis().len(), "each is one phone's");
        let up = vlr.mmes.iter().filter(|(_, mme)| mme.link.is_some()).count();
        assert_eq!(up, vlr.mmes.connected());
    }

    /// The MME says that it could not use a message of ours about the phone.
    fn status(&mut self, cause: u8, about: &[u8]) {
        let mut out = Vec::new();
        Writer::of(&mut out, Kind::Status, &imsi(IMSI))
            .octet(Tag::SgsCause, cause)
            .element(Tag::ErroneousMessage, about);
        self.receive(A, &out);
    }
}

#[test]
fn a_status_that_says_that_the_phone_is_not_attached_forgets_it() {
    for cause in 1..=5 {
        for is_answered in [false, true] {
            let mut f = Fixture::attached();
            f.send(MT).unwrap();
            if is_answered {
                f.about(Kind::ServiceRequest, Tag::ServiceIndicator, 2);
            }
            let last = f.outputs().pop().unwrap().2;
            f.status(cause, &last);
            assert_eq!(f.why(), Why::Status(SgsCause(cause)));
            assert_eq!((f.sent(), f.vlr.is_attached(&imsi(IMSI))), (vec![], false), "{cause}");
        }
    }
}

#[test]
fn an_mme_that_does_not_know_the_alert_is_asked_once() {
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    f.about(Kind::PagingReject, Tag::SgsCause, 6);
    f.events();
    let alert = f.outputs().pop().unwrap().2;
    f.status(12, &alert);
    assert_eq!((f.vlr.next_deadline(), f.state()), (None, Some(State::Associated)));
    f.pass(100);
    assert_eq!((f.sent(), f.events()), (vec![], vec![]));
    f.about(Kind::PagingReject, Tag::SgsCause, 6);
    let alert = f.outputs().pop().unwrap().2;
    f.status(3, &alert);
    assert!(!f.vlr.is_attached(&imsi(IMSI)), "nobody is there");
}
