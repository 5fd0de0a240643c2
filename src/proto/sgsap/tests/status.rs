//! What cannot be used, message by message.

use super::*;
use crate::wire::sgsap::{Problem, Sender, encode_imsi};

/// A value that each mandatory element may have.
fn value_of(tag: Tag) -> Vec<u8> {
    match tag {
        Tag::Imsi => encode_imsi(&imsi(IMSI)).to_vec(),
        Tag::MmeName | Tag::VlrName => NodeName::of_text(MME).unwrap().name().octets().to_vec(),
        Tag::Lai => octets("00f1100001"),
        Tag::NasContainer => octets("0904"),
        Tag::ErroneousMessage => octets("0601"),
        _ => vec![2],
    }
}

fn message(kind: Kind, elements: &[(Tag, Vec<u8>)]) -> Vec<u8> {
    let element = |(tag, value): &(Tag, Vec<u8>)| [&[tag.code(), value.len() as u8], &value[..]].concat();
    std::iter::once(kind.code()).chain(elements.iter().flat_map(element)).collect()
}

/// The elements that a message must hold, with the name in those that hold one of two.
fn mandatory(kind: Kind) -> Vec<(Tag, Vec<u8>)> {
    let names: &[Tag] =
        if matches!(kind, Kind::ResetIndication | Kind::ResetAck) { &[Tag::MmeName] } else { &[] };
    kind.mandatory().iter().chain(names).map(|tag| (*tag, value_of(*tag))).collect()
}

/// Takes octets that cannot be used; the cause and the IMSI of the STATUS, which returns them, and which changes nothing.
fn status(octets: &[u8]) -> Option<(u8, bool)> {
    let mut f = Fixture::attached();
    f.send(MT).unwrap();
    f.outputs();
    let deadline = f.vlr.next_deadline();
    f.receive(A, octets);
    let sent = f.outputs();
    assert_eq!((f.events(), f.vlr.next_deadline(), f.state()), (vec![], deadline, Some(State::Associated)));
    assert!(sent.len() < 2, "{octets:02x?}");
    let (association, _, sent) = sent.first()?;
    let status = Message::parse(sent).unwrap();
    assert_eq!((*association, status.kind()), (A, Kind::Status));
    assert_eq!(status.erroneous_message(), Some(octets));
    Some((status.sgs_cause().unwrap().0, status.imsi() == Some(imsi(IMSI))))
}

#[test]
fn each_message_without_what_it_must_hold_or_with_what_cannot_be_read_is_answered_by_its_cause() {
    let mut count = 0;
    for kind in Kind::all().filter(|kind| kind.sender() != Sender::Vlr && *kind != Kind::Status) {
        let whole = mandatory(kind);
        assert!(Message::parse(&message(kind, &whole)).is_ok(), "{kind:?}");
        for at in 0..whole.len() {
            let names_phone = whole[0].0 == Tag::Imsi && at > 0;
            let mut elements = whole.clone();
            let (tag, _) = elements.remove(at);
            assert_eq!(status(&message(kind, &elements)), Some((8, names_phone)), "{kind:?} without {tag:?}");
            // an element without a value, and one that ends before its value does
            let mut elements = whole.clone();
            elements[at].1.clear();
            assert_eq!(status(&message(kind, &elements)), Some((9, names_phone)), "{kind:?}, empty {tag:?}");
            let cut = [message(kind, &whole[..at]), vec![tag.code(), 9, 1]].concat();
            assert_eq!(status(&cut), Some((9, names_phone)), "{kind:?}, half a {tag:?}");
            count += 1;
        }
    }
    assert_eq!(count, 26);
}

#[test]
fn what_is_a_vlrs_or_nobodys_is_a_message_that_is_not_known() {
    let known: Vec<u8> = Kind::all().filter(|k| k.sender() != Sender::Vlr).map(Kind::code).collect();
    for code in (0..=255).filter(|code| !known.contains(code)) {
        let elements = Kind::of_code(code).map(mandatory).unwrap_or_else(|| mandatory(Kind::AlertAck));
        let octets = [&[code], &message(Kind::AlertAck, &elements)[1..]].concat();
        assert_eq!(status(&octets), Some((12, true)), "{code:#04x}");
    }
}

#[test]
fn a_status_is_not_answered_whatever_is_wrong_with_it() {
    let whole = mandatory(Kind::Status);
    for at in 0..whole.len() {
        let mut elements = whole.clone();
        elements.remove(at);
        assert_eq!(status(&message(Kind::Status, &elements)), None);
        let mut elements = whole.clone();
        elements[at].1.clear();
        assert_eq!(status(&message(Kind::Status, &elements)), None);
    }
    assert_eq!(Problem::Empty.cause(), None);
    assert_eq!(status(&[]), None);
}
