//! Message types (TS 29.118 9.2): code, name, who sends it, and what it must hold (8).

use super::element::Tag;

/// A message type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the variants are the names of TS 29.118 8")]
#[repr(u8)]
pub enum Kind {
    PagingRequest = 0x01,
    PagingReject = 0x02,
    ServiceRequest = 0x06,
    DownlinkUnitdata = 0x07,
    UplinkUnitdata = 0x08,
    LocationUpdateRequest = 0x09,
    LocationUpdateAccept = 0x0a,
    LocationUpdateReject = 0x0b,
    TmsiReallocationComplete = 0x0c,
    AlertRequest = 0x0d,
    AlertAck = 0x0e,
    AlertReject = 0x0f,
    UeActivityIndication = 0x10,
    EpsDetachIndication = 0x11,
    EpsDetachAck = 0x12,
    ImsiDetachIndication = 0x13,
    ImsiDetachAck = 0x14,
    ResetIndication = 0x15,
    ResetAck = 0x16,
    ServiceAbortRequest = 0x17,
    MoCsfbIndication = 0x18,
    MmInformationRequest = 0x1a,
    ReleaseRequest = 0x1b,
    Status = 0x1d,
    UeUnreachable = 0x1f,
}

/// Who sends a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sender {
    /// The MME.
    Mme,
    /// The VLR.
    Vlr,
    /// Either.
    Both,
}

struct Row {
    kind: Kind,
    name: &'static str,
    from: Sender,
    mandatory: &'static [Tag],
}

const fn row(kind: Kind, name: &'static str, from: Sender, mandatory: &'static [Tag]) -> Row {
    Row { kind, name, from, mandatory }
}

const IMSI: &[Tag] = &[Tag::Imsi];
const IMSI_CAUSE: &[Tag] = &[Tag::Imsi, Tag::SgsCause];

/// The table of TS 29.118 8. A RESET message has one of two names; `Message::parse` looks after that.
const TABLE: &[Row] = &[
    row(
        Kind::PagingRequest,
        "PAGING-REQUEST",
        Sender::Vlr,
        &[Tag::Imsi, Tag::VlrName, Tag::ServiceIndicator],
    ),
    row(Kind::PagingReject, "PAGING-REJECT", Sender::Mme, IMSI_CAUSE),
    row(Kind::ServiceRequest, "SERVICE-REQUEST", Sender::Mme, &[Tag::Imsi, Tag::ServiceIndicator]),
    row(Kind::DownlinkUnitdata, "DOWNLINK-UNITDATA", Sender::Vlr, &[Tag::Imsi, Tag::NasContainer]),
    row(Kind::UplinkUnitdata, "UPLINK-UNITDATA", Sender::Mme, &[Tag::Imsi, Tag::NasContainer]),
    row(
        Kind::LocationUpdateRequest,
        "LOCATION-UPDATE-REQUEST",
        Sender::Mme,
        &[Tag::Imsi, Tag::MmeName, Tag::UpdateType, Tag::Lai],
    ),
    row(Kind::LocationUpdateAccept, "LOCATION-UPDATE-ACCEPT", Sender::Vlr, &[Tag::Imsi, Tag::Lai]),
    row(Kind::LocationUpdateReject, "LOCATION-UPDATE-REJECT", Sender::Vlr, &[Tag::Imsi, Tag::RejectCause]),
    row(Kind::TmsiReallocationComplete, "TMSI-REALLOCATION-COMPLETE", Sender::Mme, IMSI),
    row(Kind::AlertRequest, "ALERT-REQUEST", Sender::Vlr, IMSI),
    row(Kind::AlertAck, "ALERT-ACK", Sender::Mme, IMSI),
    row(Kind::AlertReject, "ALERT-REJECT", Sender::Mme, IMSI_CAUSE),
    row(Kind::UeActivityIndication, "UE-ACTIVITY-INDICATION", Sender::Mme, IMSI),
    row(
        Kind::EpsDetachIndication,
        "EPS-DETACH-INDICATION",
        Sender::Mme,
        &[Tag::Imsi, Tag::MmeName, Tag::EpsDetachType],
    ),
    row(Kind::EpsDetachAck, "EPS-DETACH-ACK", Sender::Vlr, IMSI),
    row(
        Kind::ImsiDetachIndication,
        "IMSI-DETACH-INDICATION",
        Sender::Mme,
        &[Tag::Imsi, Tag::MmeName, Tag::NonEpsDetachType],
    ),
    row(Kind::ImsiDetachAck, "IMSI-DETACH-ACK", Sender::Vlr, IMSI),
    row(Kind::ResetIndication, "RESET-INDICATION", Sender::Both, &[]),
    row(Kind::ResetAck, "RESET-ACK", Sender::Both, &[]),
    row(Kind::ServiceAbortRequest, "SERVICE-ABORT-REQUEST", Sender::Vlr, IMSI),
    row(Kind::MoCsfbIndication, "MO-CSFB-INDICATION", Sender::Mme, IMSI),
    row(Kind::MmInformationRequest, "MM-INFORMATION-REQUEST", Sender::Vlr, &[Tag::Imsi, Tag::MmInformation]),
    row(Kind::ReleaseRequest, "RELEASE-REQUEST", Sender::Vlr, IMSI),
    row(Kind::Status, "STATUS", Sender::Both, &[Tag::SgsCause, Tag::ErroneousMessage]),
    row(Kind::UeUnreachable, "UE-UNREACHABLE", Sender::Mme, IMSI_CAUSE),
];

impl Kind {
    /// The type of a code; none for codes without a message.
    pub fn of_code(code: u8) -> Option<Kind> {
        TABLE.iter().map(|row| row.kind).find(|kind| kind.code() == code)
    }

    /// All types, in the order of their codes.
    pub fn all() -> impl Iterator<Item = Kind> {
        TABLE.iter().map(|row| row.kind)
    }

    /// The code: the first octet of the message.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name without `SGsAP-`, upper case.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Who sends it.
    pub fn sender(self) -> Sender {
        self.row().from
    }

    /// The elements without which it means nothing, in the order in which they are sent.
    pub fn mandatory(self) -> &'static [Tag] {
        self.row().mandatory
    }

    fn row(self) -> &'static Row {
        TABLE.iter().find(|row| row.kind == self).expect("every type has its row")
    }
}
