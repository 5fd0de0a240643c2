//! The connection protocol: both directions, repetitions, errors, the operator's rules.

use super::*;
use crate::proto::sgsap::limits::CONFIRM_PATIENCE;
use crate::proto::sgsap::timers::Timer;
use crate::wire::gsm::cp::CpCause;

impl Fixture {
    /// Attached, paged, and our CP-DATA sent.
    fn delivering() -> Self {
        Fixture::delivering_with(CpPolicy::default())
    }

    fn delivering_with(policy: CpPolicy) -> Self {
        let mut f = Fixture::with(policy);
        f.attach();
        f.send(MT).unwrap();
        f.about(Kind::ServiceRequest, Tag::ServiceIndicator, 2);
        f.outputs();
        f
    }

    fn released(&mut self) -> bool {
        self.release();
        self.sent() == ["1b01080910101032547698"]
    }
}

#[test]
fn a_message_of_the_phone_is_acknowledged_answered_and_the_connection_released() {
    let mut f = Fixture::attached();
    f.receive_hex(
        A,
        "0801080910101032547698162109011e00000007913306091093f01201010b913316325476f8000005c8329bfd06",
    );
    assert_eq!(f.sent(), ["070108091010103254769816028904"]);
    let rpdu = octets("00000007913306091093f01201010b913316325476f8000005c8329bfd06");
    assert_eq!(f.events(), [up_event(&rpdu)]);
    f.release();
    assert_eq!(f.sent(), Vec::<String>::new(), "its answer is to come");
    f.send(&octets("030041090100022161010354400f")[..13]).unwrap();
    assert_eq!(f.cpdus(), ["89010d03004109010002216101035440"]);
    f.release();
    assert_eq!(f.sent(), Vec::<String>::new(), "its acknowledgement is to come");
    f.uplink(&octets("0904"));
    assert!(f.released());
    assert_eq!((f.vlr.busy(), f.vlr.next_deadline()), (0, None));
}

#[test]
fn a_message_to_the_phone_ends_with_its_answer_and_the_next_one_needs_no_page() {
    let mut f = Fixture::delivering();
    f.receive_hex(A, "080108091010103254769816028904");
    assert_eq!((f.sent(), f.events()), (vec![], vec![]));
    f.uplink(&data(0x89, MT_ACK));
    assert_eq!(f.cpdus(), ["0904"]);
    assert_eq!(f.events(), [up_event(MT_ACK)]);
    f.send(MT).unwrap();
    assert_eq!(f.cpdus(), [hex(&data(0x19, MT))], "the next transaction identifier");
    f.release();
    assert_eq!(f.sent(), Vec::<String>::new());
    f.uplink(&octets("9904"));
    f.uplink(&data(0x99, &[4, 7, 1, 22]));
    assert_eq!(f.events(), [up_event(&[4, 7, 1, 22])]);
    f.sent();
    assert!(f.released());
    assert_eq!((f.vlr.busy(), f.vlr.next_deadline()), (0, None));
}

#[test]
fn the_answer_of_the_phone_acknowledges_what_it_answers() {
    let mut f = Fixture::delivering();
    f.uplink(&data(0x89, MT_ACK));
    assert_eq!((f.cpdus(), f.events()), (vec![hex_of("0904")], vec![up_event(MT_ACK)]));
    f.pass(100);
    assert_eq!(f.sent(), Vec::<String>::new());
}

#[test]
fn an_answer_that_the_phone_repeats_is_acknowledged_again_and_told_once() {
    let mut f = Fixture::delivering();
    f.uplink(&data(0x89, MT_ACK));
    f.events();
    f.sent();
    assert!(f.released());
    f.uplink(&data(0x89, MT_ACK));
    assert_eq!((f.cpdus(), f.events()), (vec![hex_of("0904")], vec![]));
    assert!(f.released());
}

#[test]
fn a_message_that_the_phone_repeats_is_acknowledged_again_and_told_once() {
    let mut f = Fixture::attached();
    f.uplink(&data(0x29, MO));
    f.uplink(&data(0x29, MO));
    assert_eq!((f.cpdus(), f.events()), (vec![hex_of("a904"), hex_of("a904")], vec![up_event(MO)]));
    f.send(MO_ACK).unwrap();
    f.uplink(&data(0x29, MO));
    assert_eq!(f.cpdus(), [hex(&data(0xa9, MO_ACK)), hex_of("a904")]);
    assert_eq!(f.events(), []);
}

#[test]
fn cp_data_without_acknowledgement_is_repeated_twice_and_then_given_up() {
    let mut f = Fixture::delivering();
    f.pass(8);
    f.pass(8);
    assert_eq!(f.cpdus(), [hex(&data(0x09, MT)), hex(&data(0x09, MT))]);
    assert_eq!(f.events(), []);
    f.pass(8);
    assert_eq!(f.why(), Why::Expired(Timer::Tc1));
    assert!(f.released());
    // the same for the answer to a message of the phone, of which nobody is told
    f.uplink(&data(0x09, MO));
    f.send(MO_ACK).unwrap();
    f.events();
    f.cpdus();
    f.pass(24);
    assert_eq!((f.cpdus().len(), f.events()), (2, vec![]));
    assert!(f.released());
}

#[test]
fn a_phone_that_never_answers_is_waited_for_as_long_as_tr1n_says() {
    let mut f = Fixture::delivering();
    f.uplink(&octets("8904"));
    f.pass(39);
    assert_eq!((f.sent(), f.events()), (vec![], vec![]));
    f.pass(1);
    assert_eq!(f.cpdus(), ["091011"]);
    assert_eq!(f.why(), Why::Expired(Timer::Tr1n));
    assert!(f.released());
}

#[test]
fn a_centre_that_never_answers_has_the_transaction_ended_as_tr2n_says() {
    let mut f = Fixture::attached();
    f.uplink(&data(0x09, MO));
    f.sent();
    f.pass(20);
    assert_eq!(f.cpdus(), ["891011"]);
    assert_eq!(f.send(MO_ACK), Err(NotNow::NoTransaction));
    assert!(f.released());
}

#[test]
fn an_answer_goes_to_the_transaction_of_its_reference() {
    let mut f = Fixture::attached();
    f.uplink(&data(0x09, &[0, 1, 0, 0, 0]));
    f.uplink(&data(0x39, &[6, 2]));
    f.sent();
    assert_eq!(f.send(&[3, 5]), Err(NotNow::NoTransaction));
    f.send(&[5, 2, 1, 22]).unwrap();
    f.send(&[3, 1]).unwrap();
    assert_eq!(f.cpdus(), [hex(&data(0xb9, &[5, 2, 1, 22])), hex(&data(0x89, &[3, 1]))]);
    assert_eq!(f.send(&[3, 1]), Err(NotNow::NoTransaction), "once");
}

#[test]
fn both_directions_go_on_beside_each_other_with_one_identifier() {
    let mut f = Fixture::delivering();
    f.uplink(&data(0x09, MO));
    assert_eq!(f.cpdus(), ["8904"]);
    f.uplink(&octets("8904"));
    f.send(MO_ACK).unwrap();
    f.uplink(&data(0x89, MT_ACK));
    assert_eq!(f.cpdus(), [hex(&data(0x89, MO_ACK)), hex_of("0904")]);
    assert_eq!(f.events(), [up_event(MO), up_event(MT_ACK)]);
    f.release();
    assert_eq!(f.sent(), Vec::<String>::new());
    f.uplink(&octets("0904"));
    assert!(f.released());
}

#[test]
fn a_new_message_of_the_phone_acknowledges_the_answer_to_the_one_before() {
    let mut f = Fixture::attached();
    f.uplink(&data(0x09, MO));
    f.send(MO_ACK).unwrap();
    f.uplink(&data(0x19, &[0, 10, 0, 0, 0]));
    f.sent();
    f.send(&[3, 10]).unwrap();
    f.sent();
    f.pass(8);
    assert_eq!(f.cpdus(), [hex(&data(0x99, &[3, 10]))], "the first answer is repeated no more");
}

#[test]
fn a_phone_that_was_switched_off_begins_anew_with_the_same_identifier() {
    let mut f = Fixture::attached();
    f.uplink(&data(0x09, MO));
    f.uplink(&data(0x09, &[0, 0x30, 0, 0, 0]));
    assert_eq!(f.events(), [up_event(MO), up_event(&[0, 0x30, 0, 0, 0])]);
    assert_eq!(f.send(MO_ACK), Err(NotNow::NoTransaction));
    assert_eq!(f.send(&[3, 0x30]), Ok(()));
}

#[test]
fn a_fifth_message_that_is_not_answered_yet_is_refused_with_congestion() {
    let mut f = Fixture::attached();
    for ti in 0..4u8 {
        f.uplink(&data(ti << 4 | 9, &[0, ti, 0, 0, 0]));
    }
    assert_eq!(f.events().len(), 4);
    f.sent();
    f.uplink(&data(0x49, &[0, 4, 0, 0, 0]));
    assert_eq!((f.cpdus(), f.events()), (vec![hex_of("c91016")], vec![]));
}

#[test]
fn cp_error_of_the_phone_ends_the_transaction() {
    let mut f = Fixture::delivering();
    f.uplink(&octets("891016"));
    assert_eq!(f.why(), Why::CpError(CpCause::CONGESTION));
    assert!(f.released());
    let mut f = Fixture::attached();
    f.uplink(&data(0x09, MO));
    f.uplink(&octets("091011"));
    f.events();
    f.sent();
    assert_eq!(f.send(MO_ACK), Err(NotNow::NoTransaction));
    f.uplink(&octets("091011"));
    assert_eq!(f.cpdus(), Vec::<String>::new(), "one for nothing is ignored");
    assert!(f.released());
}

#[test]
fn what_the_phone_may_not_send_is_answered_by_cp_error_with_its_cause() {
    for (cpdu, answer) in [
        ("a9010102", Some("291060")),   // user data of one octet
        ("a901", Some("291060")),       // none at all
        ("a902", Some("291061")),       // unknown type
        ("a901020207", Some("291051")), // answer in a transaction that nobody started
        ("2901020207", Some("a91062")), // answer that begins a transaction
        ("a904", None),                 // acknowledgement for nothing
        ("7904", None),                 // reserved identifier
        ("0504", None),                 // mobility management
    ] {
        let mut f = Fixture::attached();
        f.uplink(&octets(cpdu));
        let expected: Vec<String> = answer.into_iter().map(hex_of).collect();
        assert_eq!((f.cpdus(), f.events()), (expected, vec![]), "{cpdu}");
        assert!(f.released(), "{cpdu}");
    }
}

#[test]
fn a_message_in_the_transaction_that_is_for_an_answer_breaks_it_off() {
    let mut f = Fixture::delivering();
    f.uplink(&data(0x89, MO));
    assert_eq!(f.cpdus(), ["091062"]);
    assert_eq!(f.why(), Why::Aborted(CpCause::STATE));
}

#[test]
fn a_phone_that_is_not_attached_is_told_to_attach_anew() {
    let mut f = Fixture::new();
    f.up(A, 1);
    f.sent();
    f.uplink(&data(0x09, MO));
    assert_eq!((f.sent(), f.events()), (vec![hex_of("1b01080910101032547698080103")], vec![]));
    f.about(Kind::ServiceRequest, Tag::ServiceIndicator, 2);
    assert_eq!(f.sent(), ["1b01080910101032547698080103"]);
}

#[test]
fn a_phone_that_sends_is_confirmed_by_radio_contact_and_its_place_is_kept() {
    let mut f = Fixture::attached();
    f.name_only(A, Kind::ResetIndication, MME);
    assert_eq!(f.state(), Some(State::Null));
    f.receive_hex(
        A,
        "0801080910101032547698162109011e00000007913306091093f01201010b913316325476f8000005c8329bfd0615085396833065340819210140220353580a230500f1100001240700f11001a2d001",
    );
    assert_eq!(f.state(), Some(State::Associated));
    assert_eq!(f.vlr.ue_view(&imsi(IMSI)).unwrap().ecgi.unwrap().to_string(), "001-01-1a2d001");
}

#[test]
fn the_operator_has_cp_data_ignored_or_refused_so_many_times() {
    let rule = |action| Rule::new(action, Some(1));
    let mut f = Fixture::with(CpPolicy { data: rule(Action::Ignore), ..CpPolicy::default() });
    f.attach();
    f.uplink(&data(0x09, MO));
    assert_eq!((f.cpdus(), f.events()), (vec![], vec![]));
    f.uplink(&data(0x09, MO));
    assert_eq!((f.cpdus(), f.events()), (vec![hex_of("8904")], vec![up_event(MO)]));
    let mut f = Fixture::with(CpPolicy { data: rule(Action::Reject), ..CpPolicy::default() });
    f.attach();
    f.uplink(&data(0x09, MO));
    assert_eq!((f.cpdus(), f.events()), (vec![hex_of("89106f")], vec![]));
    f.uplink(&data(0x09, MO));
    assert_eq!(f.cpdus(), ["8904"]);
}

#[test]
fn the_operator_has_cp_ack_ignored_or_refused() {
    let mut f =
        Fixture::delivering_with(CpPolicy { ack: Rule::new(Action::Ignore, None), ..CpPolicy::default() });
    f.uplink(&octets("8904"));
    f.pass(8);
    assert_eq!(f.cpdus(), [hex(&data(0x09, MT))], "as if it had not come");
    let mut f =
        Fixture::delivering_with(CpPolicy { ack: Rule::new(Action::Reject, None), ..CpPolicy::default() });
    f.uplink(&octets("8904"));
    assert_eq!((f.cpdus(), f.why()), (vec![hex_of("09106f")], Why::Aborted(CpCause::PROTOCOL)));
    assert!(f.released());
}

#[test]
fn the_operator_chooses_the_cause_of_every_cp_error() {
    let policy = CpPolicy { forced_cause: Some(CpCause(95)), ..CpPolicy::default() };
    let mut f = Fixture::delivering_with(policy);
    f.uplink(&octets("a902"));
    f.uplink(&data(0x99, MT_ACK));
    f.uplink(&octets("8904"));
    f.pass(40);
    assert_eq!(f.cpdus(), ["29105f", "19105f", "09105f"]);
    f.uplink(&data(0x09, MO));
    f.pass(20);
    assert_eq!(f.cpdus(), ["8904", "89105f"]);
}

#[test]
fn a_report_is_acknowledged_when_what_follows_from_it_is_stored() {
    for is_stored in [true, false] {
        let mut f = Fixture::delivering();
        f.stores_slowly = true;
        f.uplink(&data(0x89, MT_ACK));
        assert_eq!((f.cpdus(), f.events()), (vec![], vec![up_event(MT_ACK)]));
        // the phone repeats it meanwhile
        f.uplink(&data(0x89, MT_ACK));
        f.release();
        assert_eq!((f.outputs(), f.events()), (vec![], vec![]));
        f.confirm(is_stored);
        assert_eq!(f.cpdus(), [if is_stored { "0904" } else { "091011" }]);
        assert!(f.released());
        f.confirm(is_stored);
        assert_eq!(f.outputs(), [], "once");
    }
}

#[test]
fn a_report_that_nobody_stores_is_broken_off_in_the_end() {
    let mut f = Fixture::delivering();
    f.stores_slowly = true;
    f.uplink(&data(0x89, MT_ACK));
    f.events();
    f.pass(CONFIRM_PATIENCE.as_secs() - 1);
    assert_eq!(f.outputs(), []);
    f.pass(1);
    assert_eq!((f.cpdus(), f.events()), (vec!["091011".to_owned()], vec![]));
    assert!(f.released());
}

#[test]
fn a_report_of_another_message_is_no_answer_and_the_right_one_may_still_come() {
    for is_acknowledged in [false, true] {
        let mut f = Fixture::delivering();
        if is_acknowledged {
            f.uplink(&octets("8904"));
        }
        for other in [&[2, 8][..], &[4, 8, 1, 22]] {
            f.uplink(&data(0x89, other));
            assert_eq!((f.cpdus(), f.events()), (vec![hex_of("0904")], vec![]));
        }
        f.pass(39);
        assert_eq!(f.sent(), Vec::<String>::new(), "what is answered has arrived");
        f.uplink(&data(0x89, MT_ACK));
        assert_eq!((f.cpdus(), f.events()), (vec![hex_of("0904")], vec![up_event(MT_ACK)]));
        assert!(f.released());
    }
    let mut f = Fixture::delivering();
    f.uplink(&data(0x89, &[2, 8]));
    f.sent();
    f.pass(40);
    assert_eq!((f.why(), f.cpdus()), (Why::Expired(Timer::Tr1n), vec![hex_of("091011")]));
}

#[test]
fn a_message_that_only_a_network_sends_is_no_answer() {
    for kind in [1, 3, 5, 7] {
        let mut f = Fixture::delivering();
        f.uplink(&data(0x89, &[kind, 7, 0, 0, 0]));
        assert_eq!((f.cpdus(), f.why()), (vec![hex_of("091062")], Why::Aborted(CpCause::STATE)));
        assert!(f.released());
    }
}

#[test]
fn a_report_whose_association_was_lost_is_acknowledged_when_it_comes_again_and_is_stored() {
    for (stored, answers) in
        [(None, vec![]), (Some(true), vec!["0904".to_owned()]), (Some(false), vec!["091051".to_owned()])]
    {
        let mut f = Fixture::delivering();
        f.stores_slowly = true;
        f.uplink(&data(0x89, MT_ACK));
        f.down(A);
        stored.into_iter().for_each(|is_stored| f.confirm(is_stored));
        f.events();
        f.up(A, 1);
        f.outputs();
        f.uplink(&data(0x89, MT_ACK));
        assert_eq!((f.cpdus(), f.events()), (answers, vec![]), "{stored:?}");
    }
}
