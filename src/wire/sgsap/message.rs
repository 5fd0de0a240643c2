//! One message as a view of its octets (TS 29.118 7 and 8).

use super::area::{Ecgi, Lai, Tai};
use super::cause::{RejectCause, SgsCause};
use super::element::{Elements, Tag};
use super::error::{Problem, SgsapError};
use super::identity::{self, MobileIdentity};
use super::kind::Kind;
use super::name::Name;
use super::values::{EpsDetach, NonEpsDetach, Service, UpdateType};
use crate::wire::identities::Imsi;
use arrayvec::ArrayString;

/// A message whose mandatory elements are there and can be read.
///
/// Elements may stand in any order; of two with one tag the first counts; unknown ones, and optional ones that cannot be read, are
/// as if they were not there (7.4 to 7.6).
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    kind: Kind,
    elements: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the octets of one SCTP message.
    pub fn parse(octets: &'a [u8]) -> Result<Message<'a>, SgsapError> {
        let Some((&code, elements)) = octets.split_first() else {
            return Err(SgsapError { problem: Problem::Empty, imsi: None });
        };
        let imsi = find(elements, Tag::Imsi).and_then(identity::imsi);
        let error = |problem| SgsapError { problem, imsi };
        let kind = Kind::of_code(code).ok_or_else(|| error(Problem::UnknownType(code)))?;
        let message = Message { kind, elements };
        message.check().map_err(error)?;
        Ok(message)
    }

    /// The type.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The elements as they stand: tag octet and value.
    pub fn elements(&self) -> impl Iterator<Item = (u8, &'a [u8])> {
        Elements::new(self.elements)
    }

    /// The first element with the tag, if its length is one that it may have.
    pub fn value(&self, tag: Tag) -> Option<&'a [u8]> {
        find(self.elements, tag).filter(|value| tag.lengths().contains(&value.len()))
    }

    /// Whose message it is.
    pub fn imsi(&self) -> Option<Imsi> {
        self.value(Tag::Imsi).and_then(identity::imsi)
    }

    /// The MME that sends it.
    pub fn mme_name(&self) -> Option<Name<'a>> {
        self.value(Tag::MmeName).and_then(Name::parse)
    }

    /// The VLR that sends it.
    pub fn vlr_name(&self) -> Option<Name<'a>> {
        self.value(Tag::VlrName).and_then(Name::parse)
    }

    /// Location area: where the phone is now.
    pub fn lai(&self) -> Option<Lai> {
        self.value(Tag::Lai).and_then(Lai::parse)
    }

    /// The location area that the phone was in before: the second one of a location update.
    pub fn old_lai(&self) -> Option<Lai> {
        let lai = |(tag, value)| if tag == Tag::Lai.code() { Lai::parse(value) } else { None };
        self.elements().filter_map(lai).nth(1)
    }

    /// Tracking area.
    pub fn tai(&self) -> Option<Tai> {
        self.value(Tag::Tai).and_then(Tai::parse)
    }

    /// Cell.
    pub fn ecgi(&self) -> Option<Ecgi> {
        self.value(Tag::Ecgi).and_then(Ecgi::parse)
    }

    /// The phone's equipment and software, 16 digits.
    pub fn imeisv(&self) -> Option<ArrayString<16>> {
        self.value(Tag::Imeisv).and_then(identity::imeisv)
    }

    /// Temporary identity.
    pub fn tmsi(&self) -> Option<u32> {
        self.value(Tag::Tmsi).and_then(|v| v.try_into().ok()).map(u32::from_be_bytes)
    }

    /// The new identity of a phone.
    pub fn mobile_identity(&self) -> Option<MobileIdentity> {
        self.value(Tag::MobileIdentity).and_then(MobileIdentity::parse)
    }

    /// Whether the phone says that it has a valid TMSI; none when it says nothing.
    pub fn has_valid_tmsi(&self) -> Option<bool> {
        self.octet(Tag::TmsiStatus).map(|o| o & 1 == 1)
    }

    /// SGs cause.
    pub fn sgs_cause(&self) -> Option<SgsCause> {
        self.octet(Tag::SgsCause).map(SgsCause)
    }

    /// Reject cause.
    pub fn reject_cause(&self) -> Option<RejectCause> {
        self.octet(Tag::RejectCause).map(RejectCause)
    }

    /// What the phone is paged for, or answers for.
    pub fn service(&self) -> Option<Service> {
        self.octet(Tag::ServiceIndicator).map(Service::of_code)
    }

    /// What a location update is.
    pub fn update_type(&self) -> Option<UpdateType> {
        self.octet(Tag::UpdateType).map(UpdateType::of_code)
    }

    /// Why the phone left EPS.
    pub fn eps_detach(&self) -> Option<EpsDetach> {
        self.octet(Tag::EpsDetachType).map(EpsDetach::of_code)
    }

    /// Why the phone left the other services.
    pub fn non_eps_detach(&self) -> Option<NonEpsDetach> {
        self.octet(Tag::NonEpsDetachType).map(NonEpsDetach::of_code)
    }

    /// Whether the phone was connected when it was paged; none when the MME does not say.
    pub fn is_emm_connected(&self) -> Option<bool> {
        self.octet(Tag::EmmMode).map(|o| o == 1)
    }

    /// The message of the CP layer that is carried (TS 24.011 7.2).
    pub fn nas_container(&self) -> Option<&'a [u8]> {
        self.value(Tag::NasContainer)
    }

    /// What the peer could not use.
    pub fn erroneous_message(&self) -> Option<&'a [u8]> {
        self.value(Tag::ErroneousMessage)
    }

    fn octet(&self, tag: Tag) -> Option<u8> {
        self.value(tag).and_then(|value| value.first().copied())
    }

    fn check(&self) -> Result<(), Problem> {
        for &tag in self.kind.mandatory() {
            self.check_one(tag)?;
        }
        match self.kind {
            // 8.17, 8.18: the name of whoever sends it
            Kind::ResetIndication | Kind::ResetAck if self.has(Tag::VlrName) => self.check_one(Tag::VlrName),
            Kind::ResetIndication | Kind::ResetAck => self.check_one(Tag::MmeName),
            _ => Ok(()),
        }
    }

    fn has(&self, tag: Tag) -> bool {
        find(self.elements, tag).is_some()
    }

    fn check_one(&self, tag: Tag) -> Result<(), Problem> {
        let is_valid = match tag {
            Tag::Imsi => self.imsi().is_some(),
            Tag::MmeName => self.mme_name().is_some(),
            Tag::VlrName => self.vlr_name().is_some(),
            tag => self.value(tag).is_some(),
        };
        match is_valid {
            true => Ok(()),
            false if self.has(tag) || self.is_cut_in(tag) => Err(Problem::Invalid(self.kind, tag)),
            false => Err(Problem::Missing(self.kind, tag)),
        }
    }

    /// Whether the octets end inside an element with this tag.
    fn is_cut_in(&self, tag: Tag) -> bool {
        let mut elements = Elements::new(self.elements);
        elements.by_ref().for_each(drop);
        elements.rest().first() == Some(&tag.code())
    }
}

fn find(elements: &[u8], tag: Tag) -> Option<&[u8]> {
    Elements::new(elements).find(|(code, _)| *code == tag.code()).map(|(_, value)| value)
}
