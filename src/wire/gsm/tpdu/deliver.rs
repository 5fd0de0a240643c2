//! SMS-DELIVER (TS 23.040 9.2.2.1): a short message on its way to the phone.

use super::{LOOP_PREVENTION, NO_MORE_MESSAGES, REPLY_PATH, STATUS_REPORT, TYPE, USER_DATA_HEADER, flag};
use crate::wire::gsm::address::Address;
use crate::wire::gsm::dcs::Dcs;
use crate::wire::gsm::error::Malformed;
use crate::wire::gsm::pid::Pid;
use crate::wire::gsm::reader::Reader;
use crate::wire::gsm::time::Timestamp;
use crate::wire::gsm::user_data::UserData;

/// An SMS-DELIVER.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deliver<'a> {
    /// TP-MMS: more messages wait in the service centre.
    pub more_messages: bool,
    /// TP-LP: not to be forwarded, nor to cause another message.
    pub loop_prevention: bool,
    /// TP-SRI: the sender asked for a status report.
    pub status_report: bool,
    /// TP-RP: the reply may go through the service centre of this message.
    pub reply_path: bool,
    /// TP-OA: the sender.
    pub originator: Address,
    /// TP-PID.
    pub pid: Pid,
    /// TP-SCTS: when the service centre received it.
    pub timestamp: Timestamp,
    /// TP-DCS, TP-UDHI, TP-UDL and TP-UD.
    pub user_data: UserData<'a>,
}

impl<'a> Deliver<'a> {
    /// Reads the TPDU. The reserved type is read as a DELIVER (TS 23.040 9.2.3.1).
    pub fn parse(octets: &'a [u8]) -> Result<Deliver<'a>, Malformed> {
        let mut reader = Reader::new(octets);
        let first = reader.octet("TP-MTI")?;
        if !matches!(first & TYPE, 0 | 3) {
            return Err(Malformed::Type(first & TYPE));
        }
        let originator = Address::parse_tp(&mut reader, "TP-OA")?;
        let pid = Pid(reader.octet("TP-PID")?);
        let dcs = Dcs(reader.octet("TP-DCS")?);
        Ok(Deliver {
            more_messages: first & NO_MORE_MESSAGES == 0,
            loop_prevention: first & LOOP_PREVENTION != 0,
            status_report: first & STATUS_REPORT != 0,
            reply_path: first & REPLY_PATH != 0,
            originator,
            pid,
            timestamp: Timestamp(reader.array("TP-SCTS")?),
            user_data: UserData::parse(dcs, first & USER_DATA_HEADER != 0, &mut reader)?,
        })
    }

    /// Appends the TPDU.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(
            flag(NO_MORE_MESSAGES, !self.more_messages)
                | flag(LOOP_PREVENTION, self.loop_prevention)
                | flag(STATUS_REPORT, self.status_report)
                | flag(USER_DATA_HEADER, self.user_data.has_header())
                | flag(REPLY_PATH, self.reply_path),
        );
        self.originator.write_tp(out);
        out.extend([self.pid.0, self.user_data.dcs().0]);
        out.extend(self.timestamp.0);
        self.user_data.write(out);
    }

    /// The TPDU as octets of its own.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}
