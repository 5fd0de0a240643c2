//! SMS-DELIVER-REPORT (TS 23.040 9.2.2.1a): what the phone says to a DELIVER or a STATUS-REPORT.

use super::{Parameters, TYPE, USER_DATA_HEADER, flag};
use crate::wire::gsm::error::Malformed;
use crate::wire::gsm::failure::FailureCause;
use crate::wire::gsm::reader::Reader;

/// An SMS-DELIVER-REPORT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeliverReport<'a> {
    /// TP-FCS: inside RP-ERROR only.
    pub failure: Option<FailureCause>,
    /// TP-PI and what it announces.
    pub parameters: Parameters<'a>,
}

impl<'a> DeliverReport<'a> {
    /// Reads the TPDU; `failed` when RP-ERROR carries it. One that ends in front of TP-PI says nothing.
    pub fn parse(octets: &'a [u8], failed: bool) -> Result<DeliverReport<'a>, Malformed> {
        let mut reader = Reader::new(octets);
        let first = reader.octet("TP-MTI")?;
        if first & TYPE != 0 {
            return Err(Malformed::Type(first & TYPE));
        }
        let failure = if failed { Some(FailureCause(reader.octet("TP-FCS")?)) } else { None };
        if reader.is_empty() {
            return Ok(DeliverReport { failure, parameters: Parameters::NONE });
        }
        let indicator = Parameters::parse_indicator(&mut reader)?;
        let parameters = Parameters::parse(indicator, first & USER_DATA_HEADER != 0, &mut reader)?;
        Ok(DeliverReport { failure, parameters })
    }

    /// Appends the TPDU.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(flag(USER_DATA_HEADER, self.parameters.has_header()));
        out.extend(self.failure.map(|f| f.0));
        self.parameters.write(&[], out);
    }
}
