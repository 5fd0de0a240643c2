//! SMS-SUBMIT (TS 23.040 9.2.2.2): a short message from the phone to the service centre.

use super::{REJECT_DUPLICATES, REPLY_PATH, STATUS_REPORT, TYPE, USER_DATA_HEADER, flag};
use crate::wire::gsm::address::Address;
use crate::wire::gsm::dcs::Dcs;
use crate::wire::gsm::error::Malformed;
use crate::wire::gsm::pid::Pid;
use crate::wire::gsm::reader::Reader;
use crate::wire::gsm::user_data::UserData;
use crate::wire::gsm::validity::Validity;

/// TP-MTI of a SUBMIT.
pub(super) const SUBMIT: u8 = 1;

/// An SMS-SUBMIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Submit<'a> {
    /// TP-RD: the service centre rejects it when it already has one with this reference for this destination.
    pub reject_duplicates: bool,
    /// TP-SRR: the sender asks for a status report.
    pub status_report: bool,
    /// TP-RP: the reply may go through the service centre of this message.
    pub reply_path: bool,
    /// TP-MR.
    pub reference: u8,
    /// TP-DA: the recipient.
    pub destination: Address,
    /// TP-PID.
    pub pid: Pid,
    /// TP-VPF and TP-VP.
    pub validity: Option<Validity>,
    /// TP-DCS, TP-UDHI, TP-UDL and TP-UD.
    pub user_data: UserData<'a>,
}

impl<'a> Submit<'a> {
    /// A SUBMIT with nothing but what there must be.
    pub const fn new(reference: u8, destination: Address, user_data: UserData<'a>) -> Submit<'a> {
        Submit {
            reject_duplicates: false,
            status_report: false,
            reply_path: false,
            reference,
            destination,
            pid: Pid::PLAIN,
            validity: None,
            user_data,
        }
    }

    /// Reads the TPDU.
    pub fn parse(octets: &'a [u8]) -> Result<Submit<'a>, Malformed> {
        let mut reader = Reader::new(octets);
        let first = reader.octet("TP-MTI")?;
        if first & TYPE != SUBMIT {
            return Err(Malformed::Type(first & TYPE));
        }
        let reference = reader.octet("TP-MR")?;
        let destination = Address::parse_tp(&mut reader, "TP-DA")?;
        let pid = Pid(reader.octet("TP-PID")?);
        let dcs = Dcs(reader.octet("TP-DCS")?);
        Ok(Submit {
            reject_duplicates: first & REJECT_DUPLICATES != 0,
            status_report: first & STATUS_REPORT != 0,
            reply_path: first & REPLY_PATH != 0,
            reference,
            destination,
            pid,
            validity: Validity::parse(first, &mut reader)?,
            user_data: UserData::parse(dcs, first & USER_DATA_HEADER != 0, &mut reader)?,
        })
    }

    /// Appends the TPDU.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(
            SUBMIT
                | flag(REJECT_DUPLICATES, self.reject_duplicates)
                | Validity::format(self.validity)
                | flag(STATUS_REPORT, self.status_report)
                | flag(USER_DATA_HEADER, self.user_data.has_header())
                | flag(REPLY_PATH, self.reply_path),
        );
        out.push(self.reference);
        self.destination.write_tp(out);
        out.extend([self.pid.0, self.user_data.dcs().0]);
        if let Some(validity) = self.validity {
            validity.write(out);
        }
        self.user_data.write(out);
    }

    /// The TPDU as octets of its own.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}
