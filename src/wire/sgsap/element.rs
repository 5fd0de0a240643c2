//! Information elements (TS 29.118 9.3 and 9.4): tag, length of the value, value.

use std::ops::RangeInclusive;

/// The tag of an information element.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the variants are the names of TS 29.118 9.4")]
#[repr(u8)]
pub enum Tag {
    Imsi = 0x01,
    VlrName = 0x02,
    Tmsi = 0x03,
    Lai = 0x04,
    ChannelNeeded = 0x05,
    EmlppPriority = 0x06,
    TmsiStatus = 0x07,
    SgsCause = 0x08,
    MmeName = 0x09,
    UpdateType = 0x0a,
    GlobalCnId = 0x0b,
    MobileIdentity = 0x0e,
    RejectCause = 0x0f,
    EpsDetachType = 0x10,
    NonEpsDetachType = 0x11,
    Imeisv = 0x15,
    NasContainer = 0x16,
    MmInformation = 0x17,
    ErroneousMessage = 0x1b,
    Cli = 0x1c,
    LcsClientIdentity = 0x1d,
    LcsIndicator = 0x1e,
    SsCode = 0x1f,
    ServiceIndicator = 0x20,
    UeTimeZone = 0x21,
    Classmark2 = 0x22,
    Tai = 0x23,
    Ecgi = 0x24,
    EmmMode = 0x25,
    AdditionalPagingIndicators = 0x26,
    NriContainer = 0x27,
    MoFallbackValue = 0xf1,
}

/// Tag, name in messages for people, octets of the value. Lengths are those that can be read, where the specification is
/// stricter: an MME name has 55 octets, but one of another length names an MME as well.
const TABLE: &[(Tag, &str, RangeInclusive<usize>)] = &[
    (Tag::Imsi, "IMSI", 4..=8),
    (Tag::VlrName, "VLR name", 1..=255),
    (Tag::Tmsi, "TMSI", 4..=4),
    (Tag::Lai, "location area identifier", 5..=5),
    (Tag::ChannelNeeded, "channel needed", 1..=1),
    (Tag::EmlppPriority, "eMLPP priority", 1..=1),
    (Tag::TmsiStatus, "TMSI status", 1..=1),
    (Tag::SgsCause, "SGs cause", 1..=1),
    (Tag::MmeName, "MME name", 1..=255),
    (Tag::UpdateType, "EPS location update type", 1..=1),
    (Tag::GlobalCnId, "global CN-Id", 5..=5),
    (Tag::MobileIdentity, "mobile identity", 4..=8),
    (Tag::RejectCause, "reject cause", 1..=1),
    (Tag::EpsDetachType, "IMSI detach from EPS service type", 1..=1),
    (Tag::NonEpsDetachType, "IMSI detach from non-EPS service type", 1..=1),
    (Tag::Imeisv, "IMEISV", 8..=9),
    (Tag::NasContainer, "NAS message container", 2..=251),
    (Tag::MmInformation, "MM information", 1..=255),
    (Tag::ErroneousMessage, "erroneous message", 1..=255),
    (Tag::Cli, "CLI", 1..=12),
    (Tag::LcsClientIdentity, "LCS client identity", 1..=255),
    (Tag::LcsIndicator, "LCS indicator", 1..=1),
    (Tag::SsCode, "SS code", 1..=1),
    (Tag::ServiceIndicator, "service indicator", 1..=1),
    (Tag::UeTimeZone, "UE time zone", 1..=1),
    (Tag::Classmark2, "mobile station classmark 2", 3..=3),
    (Tag::Tai, "TAI", 5..=5),
    (Tag::Ecgi, "E-CGI", 7..=7),
    (Tag::EmmMode, "UE EMM mode", 1..=1),
    (Tag::AdditionalPagingIndicators, "additional paging indicators", 1..=255),
    (Tag::NriContainer, "TMSI based NRI container", 2..=2),
    (Tag::MoFallbackValue, "MO fallback value", 1..=1),
];

impl Tag {
    /// The element of a tag; none for unknown ones.
    pub fn of_code(code: u8) -> Option<Tag> {
        TABLE.iter().map(|(tag, ..)| *tag).find(|tag| tag.code() == code)
    }

    /// The tag's octet.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name, for people.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// How many octets a value may have.
    pub fn lengths(self) -> RangeInclusive<usize> {
        self.row().2.clone()
    }

    fn row(self) -> &'static (Tag, &'static str, RangeInclusive<usize>) {
        TABLE.iter().find(|(tag, ..)| *tag == self).expect("every tag has its row")
    }
}

/// The elements of a message in the order in which they stand: tag octet and value. What is cut off ends the list.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// The elements behind the message type.
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Elements { rest: octets }
    }

    /// The octets that no whole element could be read from.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [tag, length, rest @ ..] = self.rest else { return None };
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        self.rest = rest;
        Some((*tag, value))
    }
}
