//! SMS-COMMAND (TS 23.040 9.2.2.4): the phone asks the service centre to do something about a message that it sent before.

use super::{STATUS_REPORT, TYPE, USER_DATA_HEADER, flag};
use crate::wire::gsm::address::Address;
use crate::wire::gsm::error::Malformed;
use crate::wire::gsm::pid::Pid;
use crate::wire::gsm::reader::Reader;
use crate::wire::gsm::udh::Udh;

/// TP-MTI of a COMMAND.
pub(super) const COMMAND: u8 = 2;

/// Octets that TP-Command-Data has at most (TS 23.040 9.2.3.21: 0 to 156 octets).
pub const MAX_DATA: usize = 156;

/// TP-CT (TS 23.040 9.2.3.19).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CommandType(pub u8);

impl CommandType {
    /// What became of the message.
    pub const ENQUIRY: CommandType = CommandType(0);
    /// No status report is wanted any more.
    pub const CANCEL_STATUS_REPORT: CommandType = CommandType(1);
    /// Delete the message.
    pub const DELETE: CommandType = CommandType(2);
    /// A status report is wanted.
    pub const ENABLE_STATUS_REPORT: CommandType = CommandType(3);
}

/// An SMS-COMMAND.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Command<'a> {
    /// TP-SRR: the sender asks for a status report on the command.
    pub status_report: bool,
    /// TP-UDHI: the data begin with a header.
    pub has_header: bool,
    /// TP-MR of the command.
    pub reference: u8,
    /// TP-PID.
    pub pid: Pid,
    /// TP-CT.
    pub command: CommandType,
    /// TP-MN: the TP-MR of the SUBMIT that it is about.
    pub message_number: u8,
    /// TP-DA: the recipient of that message.
    pub destination: Address,
    /// TP-CD.
    pub data: &'a [u8],
}

impl<'a> Command<'a> {
    /// Reads the TPDU.
    pub fn parse(octets: &'a [u8]) -> Result<Command<'a>, Malformed> {
        let mut reader = Reader::new(octets);
        let first = reader.octet("TP-MTI")?;
        if first & TYPE != COMMAND {
            return Err(Malformed::Type(first & TYPE));
        }
        let reference = reader.octet("TP-MR")?;
        let pid = Pid(reader.octet("TP-PID")?);
        let command = CommandType(reader.octet("TP-CT")?);
        let message_number = reader.octet("TP-MN")?;
        let destination = Address::parse_tp(&mut reader, "TP-DA")?;
        let data = reader.counted("TP-CD")?;
        if data.len() > MAX_DATA {
            return Err(Malformed::TooLong("TP-CD"));
        }
        let has_header = first & USER_DATA_HEADER != 0;
        if has_header && data.first().is_none_or(|&len| usize::from(len) >= data.len()) {
            return Err(Malformed::Length("TP-UDH"));
        }
        let status_report = first & STATUS_REPORT != 0;
        Ok(Command { status_report, has_header, reference, pid, command, message_number, destination, data })
    }

    /// The header that the data begin with.
    pub fn header(&self) -> Option<Udh<'a>> {
        let (&len, rest) = self.data.split_first().filter(|_| self.has_header)?;
        rest.get(..usize::from(len)).map(Udh::new)
    }

    /// Appends the TPDU.
    ///
    /// # Panics
    ///
    /// When there are more than [`MAX_DATA`] octets of data.
    pub fn write(&self, out: &mut Vec<u8>) {
        assert!(self.data.len() <= MAX_DATA, "TP-CD has at most {MAX_DATA} octets");
        out.push(COMMAND | flag(STATUS_REPORT, self.status_report) | flag(USER_DATA_HEADER, self.has_header));
        out.extend([self.reference, self.pid.0, self.command.0, self.message_number]);
        self.destination.write_tp(out);
        out.push(self.data.len() as u8);
        out.extend_from_slice(self.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_comes_back_and_wrong_lengths_are_named() {
        let octets = [0x62, 9, 0, 2, 7, 4, 0x81, 0x21, 0x43, 5, 3, 0x70, 1, 9, 0xaa];
        let command = Command::parse(&octets).expect("a COMMAND");
        assert!(command.status_report && command.has_header);
        assert_eq!((command.reference, command.command, command.message_number), (9, CommandType::DELETE, 7));
        assert_eq!(command.destination.to_string(), "1234");
        assert_eq!(command.header().and_then(|h| h.element(0x70)).map(|e| e.data), Some(&[9][..]));
        let mut out = Vec::new();
        command.write(&mut out);
        assert_eq!(out, octets);
        for end in 0..octets.len() {
            assert!(matches!(Command::parse(&octets[..end]), Err(Malformed::Truncated(_))), "{end}");
        }
        let mut wrong = octets;
        wrong[10] = 5;
        assert_eq!(Command::parse(&wrong), Err(Malformed::Length("TP-UDH")));
        let long = [&[2, 9, 0, 0, 7, 0, 0x81, 157][..], &[0; 157]].concat();
        assert_eq!(Command::parse(&long), Err(Malformed::TooLong("TP-CD")));
    }
}
