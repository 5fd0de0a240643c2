//! SMS-SUBMIT-REPORT (TS 23.040 9.2.2.2a): what the service centre says to a SUBMIT or a COMMAND.

use super::{Parameters, TYPE, USER_DATA_HEADER, flag};
use crate::wire::gsm::error::Malformed;
use crate::wire::gsm::failure::FailureCause;
use crate::wire::gsm::reader::Reader;
use crate::wire::gsm::time::Timestamp;

/// TP-MTI of a SUBMIT-REPORT.
pub(super) const SUBMIT_REPORT: u8 = 1;

/// An SMS-SUBMIT-REPORT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubmitReport<'a> {
    /// TP-FCS: inside RP-ERROR only.
    pub failure: Option<FailureCause>,
    /// TP-SCTS: when the service centre received what this answers.
    pub timestamp: Timestamp,
    /// TP-PI and what it announces.
    pub parameters: Parameters<'a>,
}

impl<'a> SubmitReport<'a> {
    /// Reads the TPDU; `failed` when RP-ERROR carries it.
    pub fn parse(octets: &'a [u8], failed: bool) -> Result<SubmitReport<'a>, Malformed> {
        let mut reader = Reader::new(octets);
        let first = reader.octet("TP-MTI")?;
        if first & TYPE != SUBMIT_REPORT {
            return Err(Malformed::Type(first & TYPE));
        }
        let failure = if failed { Some(FailureCause(reader.octet("TP-FCS")?)) } else { None };
        let indicator = Parameters::parse_indicator(&mut reader)?;
        let timestamp = Timestamp(reader.array("TP-SCTS")?);
        let parameters = Parameters::parse(indicator, first & USER_DATA_HEADER != 0, &mut reader)?;
        Ok(SubmitReport { failure, timestamp, parameters })
    }

    /// Appends the TPDU.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(SUBMIT_REPORT | flag(USER_DATA_HEADER, self.parameters.has_header()));
        out.extend(self.failure.map(|f| f.0));
        self.parameters.write(&self.timestamp.0, out);
    }
}
