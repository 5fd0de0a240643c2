//! Paging and alert.

use super::*;
use crate::proto::sgsap::timers::Timer;
use crate::wire::sgsap::SgsCause;

/// PAGING-REQUEST with the location area.
const PAGE: &str = "0101080910101032547698021403766c7203696d73076578616d706c65036f7267200102040500f1100001";
const ALERT: &str = "0d01080910101032547698";

#[test]
fn a_phone_is_paged_with_our_name_and_its_location_area_and_gets_its_message_when_it_answers() {
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    assert_eq!(f.sent(), [PAGE]);
    f.receive_hex(A, "0601080910101032547698200102");
    assert_eq!(f.cpdus(), [hex(&data(0x09, MT))]);
    assert_eq!(f.events(), []);
}

#[test]
fn a_page_is_repeated_once_and_then_the_mme_is_asked_to_tell() {
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    f.pass(9);
    assert_eq!(f.sent(), [PAGE]);
    f.pass(1);
    assert_eq!((f.sent(), f.events()), (vec![hex_of(PAGE)], vec![]));
    f.pass(10);
    assert_eq!(f.why(), Why::Expired(Timer::Ts5));
    assert_eq!(f.sent(), [ALERT]);
    // a late answer of the phone tells that it can be reached, and it is released unless it is sent something
    f.receive_hex(A, "0601080910101032547698200102");
    assert_eq!(f.events(), [Event::Reachable { imsi: imsi(IMSI) }]);
    f.release();
    assert_eq!(f.sent(), ["1b01080910101032547698"]);
}

#[test]
fn causes_1_to_5_forget_the_phone() {
    for cause in 1..=5 {
        for (kind, why) in [
            (Kind::PagingReject, Why::PagingRejected(SgsCause(cause))),
            (Kind::UeUnreachable, Why::Unreachable(SgsCause(cause))),
        ] {
            let mut f = Fixture::attached();
            f.send(MT).unwrap();
            f.sent();
            f.about(kind, Tag::SgsCause, cause);
            assert_eq!(f.why(), why);
            assert_eq!((f.sent(), f.vlr.is_attached(&imsi(IMSI))), (vec![], false), "{cause}");
            assert_eq!(f.vlr.next_deadline(), None);
        }
    }
}

#[test]
fn other_causes_keep_the_phone_and_wait_for_its_activity() {
    for cause in [6, 13, 14, 7, 200] {
        let mut f = Fixture::attached();
        f.send(MT).unwrap();
        f.sent();
        f.about(Kind::PagingReject, Tag::SgsCause, cause);
        assert_eq!(f.why(), Why::PagingRejected(SgsCause(cause)));
        assert_eq!((f.sent(), f.state()), (vec![hex_of(ALERT)], Some(State::Associated)));
        f.receive_hex(A, "0e01080910101032547698");
        f.pass(1000);
        assert_eq!((f.sent(), f.events()), (vec![], vec![]), "an alert that is granted has no end");
        f.receive_hex(A, "1001080910101032547698");
        assert_eq!(f.events(), [Event::Reachable { imsi: imsi(IMSI) }]);
        f.send(MT).unwrap();
        assert_eq!(f.sent(), [PAGE]);
    }
}

#[test]
fn an_alert_is_asked_for_three_times_and_once_for_several_failures() {
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    f.about(Kind::PagingReject, Tag::SgsCause, 6);
    f.send(MT).unwrap();
    f.about(Kind::UeUnreachable, Tag::SgsCause, 14);
    assert_eq!(f.sent(), [PAGE, ALERT, PAGE]);
    f.pass(30);
    assert_eq!(f.sent(), [ALERT, ALERT]);
    assert_eq!(f.vlr.next_deadline(), None);
}

#[test]
fn a_rejected_alert_forgets_a_phone_that_is_gone_and_no_other() {
    for (cause, stays) in [(3, false), (2, false), (6, true)] {
        let mut f = Fixture::attached();
        f.send(MT).unwrap();
        f.about(Kind::PagingReject, Tag::SgsCause, 6);
        f.events();
        f.about(Kind::AlertReject, Tag::SgsCause, cause);
        assert_eq!(f.vlr.is_attached(&imsi(IMSI)), stays, "{cause}");
        assert_eq!((f.events(), f.vlr.next_deadline()), (vec![], None));
    }
}

#[test]
fn a_second_message_waits_for_the_outcome_of_the_first() {
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    assert_eq!(f.send(MT), Err(NotNow::Busy));
    f.about(Kind::ServiceRequest, Tag::ServiceIndicator, 2);
    assert_eq!(f.send(MT), Err(NotNow::Busy));
}

#[test]
fn a_phone_that_sends_while_it_is_paged_gets_its_message_at_the_latest_with_the_timer() {
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    f.sent();
    f.uplink(&data(0x09, MO));
    assert_eq!(f.cpdus(), ["8904"]);
    f.release();
    f.pass(10);
    assert_eq!(f.cpdus(), [hex(&data(0x09, MT))]);
}

#[test]
fn what_comes_for_no_page_and_no_alert_changes_nothing() {
    let mut f = Fixture::attached();
    f.about(Kind::PagingReject, Tag::SgsCause, 6);
    assert_eq!((f.sent(), f.events()), (vec![hex_of(ALERT)], vec![]));
    f.plain(Kind::AlertAck);
    f.plain(Kind::AlertAck);
    assert_eq!((f.sent(), f.events(), f.vlr.next_deadline()), (vec![], vec![], None));
}

#[test]
fn what_is_too_long_or_for_nobody_is_refused() {
    let mut f = Fixture::attached();
    assert_eq!(f.send(&[1; 249]), Err(NotNow::Length));
    assert_eq!(f.send(&[1]), Err(NotNow::Length));
    assert_eq!(f.send_to(OTHER, MT), Err(NotNow::NotAttached));
    assert_eq!(f.send(&[1; 248]), Ok(()));
}

#[test]
fn a_phone_that_is_heard_of_by_itself_ends_the_alert_and_the_next_failure_asks_anew() {
    for is_granted in [false, true] {
        for by_request in [false, true] {
            let mut f = Fixture::attached();
            f.about(Kind::PagingReject, Tag::SgsCause, 6);
            if is_granted {
                f.plain(Kind::AlertAck);
            }
            assert_eq!(f.sent(), [ALERT]);
            match by_request {
                true => f.about(Kind::ServiceRequest, Tag::ServiceIndicator, 2),
                false => f.uplink(&data(0x09, MO)),
            }
            assert_eq!(f.events().last(), Some(&Event::Reachable { imsi: imsi(IMSI) }));
            f.sent();
            f.pass(100);
            assert!(!f.sent().contains(&hex_of(ALERT)), "it is asked no more");
            f.about(Kind::UeUnreachable, Tag::SgsCause, 6);
            assert_eq!(f.sent(), [ALERT]);
        }
    }
}

#[test]
fn a_phone_that_moves_while_it_is_paged_is_paged_where_it_is_now() {
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    f.sent();
    let mut out = Vec::new();
    Writer::of(&mut out, Kind::LocationUpdateRequest, &imsi(IMSI))
        .name(Tag::MmeName, &NodeName::of_text(MME).unwrap())
        .octet(Tag::UpdateType, 2)
        .element(Tag::Lai, &octets("00f1100002"));
    f.receive(A, &out);
    let page = PAGE.replace("00f1100001", "00f1100002");
    assert_eq!(f.sent(), [hex_of("0a01080910101032547698040500f1100002"), page.clone()]);
    // with the time that it had
    f.pass(10);
    assert_eq!(f.sent(), [page]);
    f.events();
    f.pass(10);
    assert_eq!(f.why(), Why::Expired(Timer::Ts5));
}

#[test]
fn a_page_that_is_rejected_ends_nothing_but_the_page() {
    // the phone has come by itself, with a message of its own: it gets its text at once, and its own has an answer
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    f.uplink(&data(0x09, MO));
    f.sent();
    f.about(Kind::PagingReject, Tag::SgsCause, 14);
    assert_eq!((f.cpdus(), f.events()), (vec![hex(&data(0x09, MT))], vec![up_event(MO)]));
    f.send(MO_ACK).unwrap();
    // one that comes late, for a page that was repeated
    f.about(Kind::PagingReject, Tag::SgsCause, 6);
    f.uplink(&data(0x89, MT_ACK));
    assert_eq!(
        (f.cpdus(), f.events()),
        (vec![hex(&data(0x89, MO_ACK)), hex_of("0904")], vec![up_event(MT_ACK)])
    );
    // without a text for it
    let mut f = Fixture::attached();
    f.uplink(&data(0x09, MO));
    f.about(Kind::PagingReject, Tag::SgsCause, 6);
    f.send(MO_ACK).unwrap();
    assert_eq!(f.cpdus(), ["8904".to_owned(), hex(&data(0x89, MO_ACK))]);
}

#[test]
fn a_phone_that_the_mme_cannot_reach_any_more_has_nothing_under_way() {
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    f.about(Kind::ServiceRequest, Tag::ServiceIndicator, 2);
    f.uplink(&data(0x09, MO));
    f.events();
    f.sent();
    f.about(Kind::UeUnreachable, Tag::SgsCause, 6);
    assert_eq!((f.why(), f.sent()), (Why::Unreachable(SgsCause(6)), vec![hex_of(ALERT)]));
    assert_eq!((f.send(MO_ACK), f.vlr.busy()), (Err(NotNow::NoTransaction), 0));
}
