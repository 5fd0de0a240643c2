//! Messages for people: one line, or a line for each element.

use super::area::{Ecgi, Lai, Tai};
use super::cause::{RejectCause, SgsCause};
use super::element::Tag;
use super::identity::{self, MobileIdentity};
use super::message::Message;
use super::name::Name;
use super::values::{EpsDetach, NonEpsDetach, Service, UpdateType};
use crate::wire::gsm::cp::{Cp, Cpdu};
use crate::wire::gsm::{Rp, Rpdu};
use std::fmt;

/// The elements of a message, a line each: `name: value`.
#[derive(Clone, Copy, Debug)]
pub struct Details<'a>(pub Message<'a>);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind().name())?;
        if let Some(imsi) = self.imsi() {
            write!(f, " imsi={imsi}")?;
        }
        if let Some(cause) = self.sgs_cause() {
            write!(f, " cause={cause}")?;
        }
        if let Some(cause) = self.reject_cause() {
            write!(f, " cause={cause}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (code, value) in self.0.elements() {
            match Tag::of_code(code) {
                Some(tag) => writeln!(f, "{}: {}", tag.name(), Value(tag, value))?,
                None => writeln!(f, "element {code:#04x}: {}", Hex(value))?,
            }
        }
        Ok(())
    }
}

/// Octets as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// The value of an element, in words where it has some; what cannot be read is shown as it is.
struct Value<'a>(Tag, &'a [u8]);

impl Value<'_> {
    fn words(&self, f: &mut fmt::Formatter<'_>) -> Option<fmt::Result> {
        let Value(tag, value) = *self;
        let octet = || value.first().copied();
        Some(match tag {
            Tag::Imsi => write!(f, "{}", identity::imsi(value)?),
            Tag::VlrName | Tag::MmeName => write!(f, "{}", Name::parse(value)?),
            Tag::Lai => write!(f, "{}", Lai::parse(value)?),
            Tag::Tai => write!(f, "{}", Tai::parse(value)?),
            Tag::Ecgi => write!(f, "{}", Ecgi::parse(value)?),
            Tag::Imeisv => f.write_str(&identity::imeisv(value)?),
            Tag::SgsCause => write!(f, "{}", SgsCause(octet()?)),
            Tag::RejectCause => write!(f, "{}", RejectCause(octet()?)),
            Tag::ServiceIndicator => f.write_str(Service::of_code(octet()?).text()),
            Tag::UpdateType => f.write_str(UpdateType::of_code(octet()?).text()),
            Tag::EpsDetachType => f.write_str(EpsDetach::of_code(octet()?).text()),
            Tag::NonEpsDetachType => f.write_str(NonEpsDetach::of_code(octet()?).text()),
            Tag::EmmMode => f.write_str(if octet()? == 1 { "connected" } else { "idle" }),
            Tag::TmsiStatus => f.write_str(if octet()? & 1 == 1 { "valid TMSI" } else { "no valid TMSI" }),
            Tag::MobileIdentity => match MobileIdentity::parse(value)? {
                MobileIdentity::Imsi(imsi) => write!(f, "IMSI {imsi}"),
                MobileIdentity::Tmsi(tmsi) => write!(f, "TMSI {tmsi:08x}"),
            },
            Tag::NasContainer => return nas(value, f),
            _ => return None,
        })
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words(f).unwrap_or_else(|| write!(f, "{}", Hex(self.1)))
    }
}

/// The messages of the connection and the relay protocol that are carried, then the octets.
fn nas(value: &[u8], f: &mut fmt::Formatter<'_>) -> Option<fmt::Result> {
    let cpdu = Cpdu::parse(value).ok()?;
    let ti = cpdu.transaction;
    // the flag is set in what goes to the side that started the transaction
    let side = if ti.to_originator { "receiver" } else { "sender" };
    let name = match cpdu.message {
        Cp::Data(_) => "CP-DATA",
        Cp::Ack => "CP-ACK",
        Cp::Error(_) => "CP-ERROR",
    };
    let write = |f: &mut fmt::Formatter<'_>| {
        write!(f, "{name}, transaction {} of its {side}", ti.value)?;
        match cpdu.message {
            Cp::Data(rpdu) => relay(rpdu, f)?,
            Cp::Ack => {}
            Cp::Error(cause) => write!(f, ", cause {cause}")?,
        }
        write!(f, ": {}", Hex(value))
    };
    Some(write(f))
}

fn relay(rpdu: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let rpdu = match Rpdu::parse(rpdu) {
        Ok(rpdu) => rpdu,
        Err(e) => return write!(f, ", an RPDU that cannot be read: {e}"),
    };
    match rpdu.message {
        Rp::Data { .. } => write!(f, ", RP-DATA {}", rpdu.reference),
        Rp::Ack { .. } => write!(f, ", RP-ACK {}", rpdu.reference),
        Rp::Error { cause, .. } => write!(f, ", RP-ERROR {} cause {cause}", rpdu.reference),
        Rp::Smma => write!(f, ", RP-SMMA {}", rpdu.reference),
    }
}
