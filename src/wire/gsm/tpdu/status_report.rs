//! SMS-STATUS-REPORT (TS 23.040 9.2.2.3): what became of a SUBMIT whose sender asked for it, or of a COMMAND.

use super::{
    LOOP_PREVENTION, NO_MORE_MESSAGES, Parameters, STATUS_REPORT as QUALIFIER, TYPE, USER_DATA_HEADER, flag,
};
use crate::wire::gsm::address::Address;
use crate::wire::gsm::error::Malformed;
use crate::wire::gsm::reader::Reader;
use crate::wire::gsm::time::Timestamp;
use std::fmt;

/// TP-MTI of a STATUS-REPORT.
pub(super) const STATUS_REPORT: u8 = 2;

/// TP-ST (TS 23.040 9.2.3.15).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Status(pub u8);

/// What the groups of [`Status`] mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The message has arrived, or is out of our hands.
    Done,
    /// Not yet; the service centre keeps trying.
    StillTrying,
    /// Never.
    Failed,
}

impl Status {
    /// Received by the recipient.
    pub const RECEIVED: Status = Status(0x00);
    /// Forwarded, and the service centre cannot tell whether it arrived.
    pub const FORWARDED: Status = Status(0x01);
    /// Replaced by the service centre.
    pub const REPLACED: Status = Status(0x02);
    /// Congestion, still trying.
    pub const TRYING_CONGESTION: Status = Status(0x20);
    /// The recipient is busy, still trying.
    pub const TRYING_BUSY: Status = Status(0x21);
    /// No response from the recipient, still trying.
    pub const TRYING_NO_RESPONSE: Status = Status(0x22);
    /// Remote procedure error.
    pub const REMOTE_PROCEDURE_ERROR: Status = Status(0x40);
    /// Incompatible destination.
    pub const INCOMPATIBLE_DESTINATION: Status = Status(0x41);
    /// Connection rejected by the recipient.
    pub const CONNECTION_REJECTED: Status = Status(0x42);
    /// Not obtainable.
    pub const NOT_OBTAINABLE: Status = Status(0x43);
    /// The validity period has expired.
    pub const EXPIRED: Status = Status(0x46);
    /// Deleted by the sender.
    pub const DELETED_BY_SENDER: Status = Status(0x47);
    /// Deleted by the service centre's administration.
    pub const DELETED_BY_ADMINISTRATION: Status = Status(0x48);
    /// The message does not exist.
    pub const DOES_NOT_EXIST: Status = Status(0x49);
    /// No response from the recipient, no longer trying.
    pub const NO_RESPONSE: Status = Status(0x62);
    /// Error in the recipient's phone, no longer trying.
    pub const RECIPIENT_ERROR: Status = Status(0x65);

    /// Its group (TS 23.040 9.2.3.15); reserved values are failures.
    pub const fn outcome(self) -> Outcome {
        match self.0 {
            0x00..=0x1f => Outcome::Done,
            0x20..=0x3f => Outcome::StillTrying,
            _ => Outcome::Failed,
        }
    }

    /// The status in words; for a value that has none, those of its group.
    pub const fn words(self) -> &'static str {
        match self.0 {
            0x00 => "received",
            0x01 => "forwarded, not known whether received",
            0x02 => "replaced",
            0x20 | 0x60 => "congestion",
            0x21 | 0x61 => "recipient busy",
            0x22 | 0x62 => "no response from the recipient",
            0x23 | 0x63 => "service rejected",
            0x24 | 0x44 | 0x64 => "quality of service not available",
            0x25 | 0x65 => "error in the recipient",
            0x40 => "remote procedure error",
            0x41 => "incompatible destination",
            0x42 => "connection rejected by the recipient",
            0x43 => "not obtainable",
            0x45 => "no interworking available",
            0x46 => "validity period expired",
            0x47 => "deleted by the sender",
            0x48 => "deleted by the administration",
            0x49 => "message does not exist",
            0x03..=0x1f => "done",
            0x26..=0x3f => "temporary error",
            _ => "failed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trying = if self.outcome() == Outcome::StillTrying { ", still trying" } else { "" };
        write!(f, "{:02x} ({}{trying})", self.0, self.words())
    }
}

/// An SMS-STATUS-REPORT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusReport<'a> {
    /// TP-MMS: more messages wait in the service centre.
    pub more_messages: bool,
    /// TP-LP: not to be forwarded, nor to cause another message.
    pub loop_prevention: bool,
    /// TP-SRQ: it answers a COMMAND, not a SUBMIT.
    pub of_command: bool,
    /// TP-MR of the SUBMIT or COMMAND.
    pub reference: u8,
    /// TP-RA: the recipient of that message.
    pub recipient: Address,
    /// TP-SCTS: when the service centre received that message.
    pub timestamp: Timestamp,
    /// TP-DT: when the outcome was known, or the last attempt was made.
    pub discharge: Timestamp,
    /// TP-ST.
    pub status: Status,
    /// TP-PI and what it announces, when it is there.
    pub parameters: Option<Parameters<'a>>,
}

impl<'a> StatusReport<'a> {
    /// Reads the TPDU.
    pub fn parse(octets: &'a [u8]) -> Result<StatusReport<'a>, Malformed> {
        let mut reader = Reader::new(octets);
        let first = reader.octet("TP-MTI")?;
        if first & TYPE != STATUS_REPORT {
            return Err(Malformed::Type(first & TYPE));
        }
        let reference = reader.octet("TP-MR")?;
        let recipient = Address::parse_tp(&mut reader, "TP-RA")?;
        let timestamp = Timestamp(reader.array("TP-SCTS")?);
        let discharge = Timestamp(reader.array("TP-DT")?);
        let status = Status(reader.octet("TP-ST")?);
        let parameters = if reader.is_empty() {
            None
        } else {
            let indicator = Parameters::parse_indicator(&mut reader)?;
            Some(Parameters::parse(indicator, first & USER_DATA_HEADER != 0, &mut reader)?)
        };
        Ok(StatusReport {
            more_messages: first & NO_MORE_MESSAGES == 0,
            loop_prevention: first & LOOP_PREVENTION != 0,
            of_command: first & QUALIFIER != 0,
            reference,
            recipient,
            timestamp,
            discharge,
            status,
            parameters,
        })
    }

    /// Appends the TPDU.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(
            STATUS_REPORT
                | flag(NO_MORE_MESSAGES, !self.more_messages)
                | flag(LOOP_PREVENTION, self.loop_prevention)
                | flag(QUALIFIER, self.of_command)
                | flag(USER_DATA_HEADER, self.parameters.is_some_and(|p| p.has_header())),
        );
        out.push(self.reference);
        self.recipient.write_tp(out);
        out.extend(self.timestamp.0);
        out.extend(self.discharge.0);
        out.push(self.status.0);
        if let Some(parameters) = self.parameters {
            parameters.write(&[], out);
        }
    }

    /// The TPDU as octets of its own.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_the_status() {
        for (status, outcome) in [
            (Status::RECEIVED, Outcome::Done),
            (Status(0x1f), Outcome::Done),
            (Status::TRYING_CONGESTION, Outcome::StillTrying),
            (Status::EXPIRED, Outcome::Failed),
            (Status::NO_RESPONSE, Outcome::Failed),
            (Status(0xff), Outcome::Failed),
        ] {
            assert_eq!(status.outcome(), outcome, "{status}");
        }
        assert_eq!(Status::TRYING_BUSY.to_string(), "21 (recipient busy, still trying)");
    }
}
