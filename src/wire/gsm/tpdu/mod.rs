//! The six TPDUs (TS 23.040 9.2.2), a file each, with every TP field.

pub mod command;
pub mod deliver;
pub mod deliver_report;
pub mod parameters;
pub mod status_report;
pub mod submit;
pub mod submit_report;

pub use command::Command;
pub use deliver::Deliver;
pub use deliver_report::DeliverReport;
pub use parameters::Parameters;
pub use status_report::{Status, StatusReport};
pub use submit::Submit;
pub use submit_report::SubmitReport;

use super::Direction;
use super::error::Malformed;

/// TP-MTI (TS 23.040 9.2.3.1).
const TYPE: u8 = 0x03;
/// TP-MMS, inverted: no more messages.
const NO_MORE_MESSAGES: u8 = 0x04;
/// TP-RD, in the same place.
const REJECT_DUPLICATES: u8 = 0x04;
/// TP-LP.
const LOOP_PREVENTION: u8 = 0x08;
/// TP-SRI, TP-SRR, TP-SRQ.
const STATUS_REPORT: u8 = 0x20;
/// TP-UDHI.
const USER_DATA_HEADER: u8 = 0x40;
/// TP-RP.
const REPLY_PATH: u8 = 0x80;

/// `bit` when `set`.
const fn flag(bit: u8, set: bool) -> u8 {
    if set { bit } else { 0 }
}

/// What carries a TPDU: a report inside RP-ERROR has a failure cause that it has not inside RP-ACK (TS 23.040 9.2.2.1a, 9.2.2.2a).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Carrier {
    /// RP-DATA.
    Data,
    /// RP-ACK.
    Ack,
    /// RP-ERROR.
    Error,
}

/// Any TPDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tpdu<'a> {
    /// SMS-DELIVER.
    Deliver(Deliver<'a>),
    /// SMS-DELIVER-REPORT.
    DeliverReport(DeliverReport<'a>),
    /// SMS-SUBMIT.
    Submit(Submit<'a>),
    /// SMS-SUBMIT-REPORT.
    SubmitReport(SubmitReport<'a>),
    /// SMS-STATUS-REPORT.
    StatusReport(StatusReport<'a>),
    /// SMS-COMMAND.
    Command(Command<'a>),
}

impl<'a> Tpdu<'a> {
    /// Reads the TPDU that its type, way and carrier say it is.
    pub fn parse(octets: &'a [u8], direction: Direction, carrier: Carrier) -> Result<Tpdu<'a>, Malformed> {
        let kind = octets.first().ok_or(Malformed::Truncated("TP-MTI"))? & TYPE;
        let failed = carrier == Carrier::Error;
        match (direction, kind) {
            (Direction::Up, 0) => DeliverReport::parse(octets, failed).map(Tpdu::DeliverReport),
            (Direction::Up, submit::SUBMIT) => Submit::parse(octets).map(Tpdu::Submit),
            (Direction::Up, command::COMMAND) => Command::parse(octets).map(Tpdu::Command),
            (Direction::Down, submit_report::SUBMIT_REPORT) => {
                SubmitReport::parse(octets, failed).map(Tpdu::SubmitReport)
            }
            (Direction::Down, status_report::STATUS_REPORT) => {
                StatusReport::parse(octets).map(Tpdu::StatusReport)
            }
            // The reserved type is read as a DELIVER (TS 23.040 9.2.3.1).
            (Direction::Down, _) => Deliver::parse(octets).map(Tpdu::Deliver),
            (Direction::Up, _) => Err(Malformed::Type(kind)),
        }
    }

    /// Appends the TPDU.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Tpdu::Deliver(tpdu) => tpdu.write(out),
            Tpdu::DeliverReport(tpdu) => tpdu.write(out),
            Tpdu::Submit(tpdu) => tpdu.write(out),
            Tpdu::SubmitReport(tpdu) => tpdu.write(out),
            Tpdu::StatusReport(tpdu) => tpdu.write(out),
            Tpdu::Command(tpdu) => tpdu.write(out),
        }
    }

    /// The TPDU as octets of its own.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}
