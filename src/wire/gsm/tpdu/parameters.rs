//! The optional end of the reports (TS 23.040 9.2.3.27): TP-PI says which of TP-PID, TP-DCS and TP-UD follow.

use crate::wire::gsm::dcs::Dcs;
use crate::wire::gsm::error::Malformed;
use crate::wire::gsm::pid::Pid;
use crate::wire::gsm::reader::Reader;
use crate::wire::gsm::user_data::UserData;

const PID: u8 = 0x01;
const DCS: u8 = 0x02;
const USER_DATA: u8 = 0x04;
/// Another octet of the indicator follows.
const EXTENSION: u8 = 0x80;

/// What a report may say beyond what it must.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Parameters<'a> {
    /// TP-PID.
    pub pid: Option<Pid>,
    /// TP-DCS; written as that of the user data where there is one.
    pub dcs: Option<Dcs>,
    /// TP-UDL and TP-UD.
    pub user_data: Option<UserData<'a>>,
}

impl<'a> Parameters<'a> {
    /// Nothing.
    pub const NONE: Parameters<'static> = Parameters { pid: None, dcs: None, user_data: None };

    /// Reads TP-PI; the octets that extend it are passed over.
    pub(super) fn parse_indicator(reader: &mut Reader<'_>) -> Result<u8, Malformed> {
        let indicator = reader.octet("TP-PI")?;
        let mut last = indicator;
        while last & EXTENSION != 0 {
            last = reader.octet("TP-PI")?;
        }
        Ok(indicator)
    }

    /// Reads what the TP-PI `indicator` announces.
    pub(super) fn parse(
        indicator: u8,
        has_header: bool,
        reader: &mut Reader<'a>,
    ) -> Result<Parameters<'a>, Malformed> {
        let mut parameters = Parameters::NONE;
        if indicator & PID != 0 {
            parameters.pid = Some(Pid(reader.octet("TP-PID")?));
        }
        if indicator & DCS != 0 {
            parameters.dcs = Some(Dcs(reader.octet("TP-DCS")?));
        }
        if indicator & USER_DATA != 0 {
            // Without TP-DCS it is the default alphabet (TS 23.040 9.2.3.27).
            let dcs = parameters.dcs.unwrap_or(Dcs::GSM7);
            parameters.user_data = Some(UserData::parse(dcs, has_header, reader)?);
        }
        Ok(parameters)
    }

    /// Whether the user data begins with a header: the TP-UDHI.
    pub(super) fn has_header(&self) -> bool {
        self.user_data.is_some_and(|u| u.has_header())
    }

    /// The TP-DCS that is written: it may be left out in front of the default alphabet only.
    fn written_dcs(&self) -> Option<Dcs> {
        match self.user_data {
            Some(user_data) if self.dcs.is_some() || user_data.dcs() != Dcs::GSM7 => Some(user_data.dcs()),
            Some(_) => None,
            None => self.dcs,
        }
    }

    /// TP-PI.
    fn indicator(&self) -> u8 {
        super::flag(PID, self.pid.is_some())
            | super::flag(DCS, self.written_dcs().is_some())
            | super::flag(USER_DATA, self.user_data.is_some())
    }

    /// Appends what TP-PI announces, behind `between`: what stands between it and the TP-PI.
    pub(super) fn write(&self, between: &[u8], out: &mut Vec<u8>) {
        out.push(self.indicator());
        out.extend_from_slice(between);
        out.extend(self.pid.map(|pid| pid.0));
        out.extend(self.written_dcs().map(|dcs| dcs.0));
        if let Some(user_data) = self.user_data {
            user_data.write(out);
        }
    }
}
