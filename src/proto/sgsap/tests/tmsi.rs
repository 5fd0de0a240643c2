//! Temporary identities.

use super::*;
use crate::proto::sgsap::tmsi::Tmsi;
use crate::wire::sgsap::MobileIdentity;
use std::collections::BTreeSet;

const COMPLETE: &str = "0c01080910101032547698";
const HERE: &str = "00f1100001";

impl Fixture {
    /// A location update with TMSI status and old location area, as they are given; the new TMSI in its answer.
    fn asks(
        &mut self,
        (to, mme): (AssociationId, &str),
        digits: &str,
        status: Option<u8>,
        old: Option<&str>,
    ) -> Option<u32> {
        let mut out = Vec::new();
        let mut writer = Writer::of(&mut out, Kind::LocationUpdateRequest, &imsi(digits))
            .name(Tag::MmeName, &NodeName::of_text(mme).unwrap())
            .octet(Tag::UpdateType, 2)
            .element(Tag::Lai, &octets(HERE));
        if let Some(old) = old {
            writer = writer.element(Tag::Lai, &octets(old));
        }
        if let Some(status) = status {
            writer.octet(Tag::TmsiStatus, status);
        }
        self.receive(to, &out);
        let sent = self.outputs().pop().unwrap().2;
        let answer = Message::parse(&sent).unwrap();
        assert_eq!((answer.kind(), answer.imsi()), (Kind::LocationUpdateAccept, Some(imsi(digits))));
        answer.mobile_identity().map(|identity| match identity {
            MobileIdentity::Tmsi(tmsi) => tmsi,
            MobileIdentity::Imsi(imsi) => panic!("{imsi}"),
        })
    }

    fn without_tmsi(&mut self) -> u32 {
        self.asks((A, MME), IMSI, Some(0), None).expect("a TMSI")
    }

    /// The TMSI in the page for a message, which is then given up.
    fn paged_with(&mut self) -> Option<u32> {
        self.send(MT).unwrap();
        let sent = self.outputs().pop().unwrap().2;
        let page = Message::parse(&sent).unwrap();
        assert_eq!(page.kind(), Kind::PagingRequest);
        self.about(Kind::PagingReject, Tag::SgsCause, 6);
        self.outputs();
        page.tmsi()
    }

    fn taken(&self) -> Vec<u32> {
        self.vlr.ues.tmsis().iter().copied().collect()
    }

    fn shown(&self) -> Option<u32> {
        self.vlr.ue_view(&imsi(IMSI)).unwrap().tmsi
    }
}

#[test]
fn a_phone_without_a_valid_tmsi_is_given_one_and_paged_with_it_once_it_has_confirmed_it() {
    let mut f = Fixture::attached();
    let tmsi = f.without_tmsi();
    assert!(tmsi >> 30 != 3, "{tmsi:08x}");
    assert_eq!((f.paged_with(), f.shown()), (None, None));
    f.receive_hex(A, COMPLETE);
    assert_eq!(f.sent(), Vec::<String>::new());
    f.pass(1000);
    assert_eq!((f.paged_with(), f.shown()), (Some(tmsi), Some(tmsi)));
    // between the service and the location area
    f.send(MT).unwrap();
    let page = format!(
        "0101080910101032547698021403766c7203696d73076578616d706c65036f72672001020304{tmsi:08x}0405{HERE}"
    );
    assert_eq!(f.sent(), [page]);
}

#[test]
fn the_answer_holds_the_tmsi_behind_the_location_area() {
    let mut f = Fixture::attached();
    let mut request = octets(
        "09010809101010325476980937066d6d65633031096d6d65676938303031036d6d6503657063066d6e63303031066d63633030310b336770706e6574776f726b036f72670a0101040500f1100001",
    );
    request.extend([7, 1, 0]);
    f.receive(A, &request);
    let [tmsi] = f.taken()[..] else { panic!("{:?}", f.taken()) };
    assert_eq!(f.sent(), [format!("0a01080910101032547698040500f11000010e05f4{tmsi:08x}")]);
}

#[test]
fn phones_that_have_a_valid_tmsi_or_say_nothing_of_it_are_given_none_and_keep_the_one_that_we_gave() {
    for status in [None, Some(1), Some(0xff)] {
        let mut f = Fixture::attached();
        assert_eq!(f.asks((A, MME), IMSI, status, None), None);
        assert_eq!((f.paged_with(), f.taken()), (None, vec![]));
        let tmsi = f.without_tmsi();
        f.receive_hex(A, COMPLETE);
        assert_eq!(f.asks((A, MME), IMSI, status, Some(HERE)), None);
        assert_eq!(f.paged_with(), Some(tmsi));
    }
}

#[test]
fn a_tmsi_that_is_not_confirmed_in_time_is_not_used_and_free_again() {
    let mut f = Fixture::attached();
    let tmsi = f.without_tmsi();
    f.pass(39);
    assert_eq!(f.taken(), [tmsi]);
    f.pass(1);
    assert_eq!((f.taken(), f.vlr.next_deadline()), (vec![], None));
    assert_eq!((f.paged_with(), f.state()), (None, Some(State::Associated)));
    // too late
    f.receive_hex(A, COMPLETE);
    assert_eq!((f.sent(), f.paged_with()), (vec![], None));
    assert_ne!(f.without_tmsi(), tmsi);
}

#[test]
fn a_phone_that_asks_again_before_it_has_confirmed_is_given_the_same_and_later_another_one() {
    let mut f = Fixture::attached();
    let tmsi = f.without_tmsi();
    f.pass(30);
    assert_eq!(f.without_tmsi(), tmsi);
    f.pass(30);
    f.receive_hex(A, COMPLETE);
    assert_eq!(f.shown(), Some(tmsi));
    let next = f.without_tmsi();
    assert_ne!(next, tmsi);
    assert_eq!((f.shown(), f.taken()), (None, vec![next]), "it has said that it lost the former one");
}

#[test]
fn phones_have_different_ones_and_they_are_free_again_when_a_phone_leaves() {
    let mut f = Fixture::attached();
    let given: BTreeSet<u32> = (0..500)
        .map(|n| f.asks((A, MME), &format!("00101{n:010}"), Some(0), None).expect("a TMSI"))
        .collect();
    assert_eq!(given.len(), 500);
    for n in 0..250 {
        let mut out = Vec::new();
        Writer::of(&mut out, Kind::ImsiDetachIndication, &imsi(&format!("00101{n:010}")))
            .name(Tag::MmeName, &NodeName::of_text(MME).unwrap())
            .octet(Tag::NonEpsDetachType, 3);
        f.receive(A, &out);
    }
    assert_eq!(f.taken().len(), 250);
    f.name_only(A, Kind::ResetIndication, MME);
    assert_eq!(f.taken(), Vec::<u32>::new());
}

#[test]
fn every_end_of_an_attachment_releases_the_tmsi_and_stops_its_timer() {
    type End = fn(&mut Fixture);
    let ends: [End; 6] = [
        |f| f.detach(A, MME, Kind::EpsDetachIndication, Tag::EpsDetachType, 1),
        |f| f.detach(A, MME, Kind::ImsiDetachIndication, Tag::NonEpsDetachType, 3),
        |f| f.about(Kind::PagingReject, Tag::SgsCause, 4),
        |f| f.about(Kind::AlertReject, Tag::SgsCause, 3),
        |f| f.name_only(A, Kind::ResetIndication, MME),
        |f| {
            f.verdict = |_| Err(RejectCause::NETWORK_FAILURE);
            f.update(A, MME, IMSI, 2);
        },
    ];
    for (n, end) in ends.into_iter().enumerate() {
        for is_confirmed in [false, true] {
            let mut f = Fixture::attached();
            f.without_tmsi();
            if is_confirmed {
                f.receive_hex(A, COMPLETE);
            }
            end(&mut f);
            assert_eq!((f.taken(), f.vlr.next_deadline()), (vec![], None), "{n}");
        }
    }
}

#[test]
fn a_confirmation_that_nobody_waits_for_is_passed_over() {
    let mut f = Fixture::attached();
    f.up(B, 2);
    f.name_only(B, Kind::ResetAck, MME_2);
    f.outputs();
    for association in [A, B] {
        f.receive_hex(association, COMPLETE);
        f.receive_hex(association, "0c01080910101032547608");
    }
    assert_eq!((f.sent(), f.events(), f.state()), (vec![], vec![], Some(State::Associated)));
    // of another MME than the phone's
    let tmsi = f.without_tmsi();
    f.receive_hex(B, COMPLETE);
    assert_eq!((f.shown(), f.sent()), (None, vec![]));
    f.receive_hex(A, COMPLETE);
    assert_eq!(f.shown(), Some(tmsi));
}

#[test]
fn a_phone_takes_its_tmsi_along_to_another_mme_and_not_back_from_another_vlr() {
    let mut f = Fixture::attached();
    f.up(B, 2);
    let tmsi = f.without_tmsi();
    f.receive_hex(A, COMPLETE);
    assert_eq!(f.asks((B, MME_2), IMSI, None, Some(HERE)), None);
    assert_eq!(f.shown(), Some(tmsi));
    // it was in an area that we know nothing of
    assert_eq!(f.asks((B, MME_2), IMSI, None, Some("00f1107777")), None);
    assert_eq!((f.shown(), f.taken()), (None, vec![]));
}

#[test]
fn a_lost_association_takes_no_tmsi_away() {
    let mut f = Fixture::attached();
    let tmsi = f.without_tmsi();
    f.receive_hex(A, COMPLETE);
    f.down(A);
    f.up(B, 1);
    f.name_only(B, Kind::ResetAck, MME);
    f.outputs();
    f.send(MT).unwrap();
    let sent = f.outputs();
    assert_eq!(Message::parse(&sent[0].2).unwrap().tmsi(), Some(tmsi));
}

#[test]
fn where_no_number_is_free_the_phone_goes_without() {
    let mut f = Fixture::attached();
    let id = f.vlr.ues.find(&imsi(IMSI)).unwrap();
    f.without_tmsi();
    f.vlr.ues.set_tmsi(id, Tmsi::None);
    // the generator's next draws, taken by somebody else
    let mut other = f.rng.clone();
    let mut drawn = Vec::new();
    for n in 0..crate::proto::sgsap::limits::MAX_TMSI_DRAWS {
        std::mem::swap(&mut f.rng, &mut other);
        drawn.push(f.asks((A, MME), &format!("00101{n:010}"), Some(0), None).unwrap());
        std::mem::swap(&mut f.rng, &mut other);
    }
    assert_eq!(f.asks((A, MME), IMSI, Some(0), None), None);
    assert_eq!(f.taken().len(), drawn.len());
    assert_eq!((f.shown(), f.paged_with()), (None, None));
}
