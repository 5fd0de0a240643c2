//! The control protocol (TS 24.011 8.1): what NAS and SGs carry an RPDU in.

use super::error::Malformed;
use super::reader::Reader;
use std::fmt;

/// Octets that CP-User-Data has at most: the longest RPDU (TS 24.011 8.1.4.1).
pub const MAX_USER_DATA: usize = 248;

/// Protocol discriminator of short message service messages (TS 24.007 11.2.3.1.1).
const DISCRIMINATOR: u8 = 9;

const DATA: u8 = 0x01;
const ACK: u8 = 0x04;
const ERROR: u8 = 0x10;

/// Why the control protocol failed (TS 24.011 8.1.4.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CpCause(pub u8);

impl CpCause {
    /// Network failure.
    pub const NETWORK_FAILURE: CpCause = CpCause(17);
    /// Congestion.
    pub const CONGESTION: CpCause = CpCause(22);
    /// Invalid transaction identifier.
    pub const INVALID_TRANSACTION: CpCause = CpCause(81);
    /// Semantically incorrect message.
    pub const SEMANTIC: CpCause = CpCause(95);
    /// Invalid mandatory information.
    pub const MANDATORY_INFORMATION: CpCause = CpCause(96);
    /// Message type non-existent or not implemented.
    pub const MESSAGE_TYPE: CpCause = CpCause(97);
    /// Message not compatible with the protocol state.
    pub const STATE: CpCause = CpCause(98);
    /// Information element non-existent or not implemented.
    pub const ELEMENT: CpCause = CpCause(99);
    /// Protocol error, unspecified.
    pub const PROTOCOL: CpCause = CpCause(111);

    /// The cause in words; empty for a value that has none.
    pub const fn words(self) -> &'static str {
        match self.0 {
            17 => "network failure",
            22 => "congestion",
            81 => "invalid transaction identifier",
            95 => "semantically incorrect message",
            96 => "invalid mandatory information",
            97 => "unknown message type",
            98 => "not compatible with the state",
            99 => "unknown information element",
            111 => "protocol error",
            _ => "",
        }
    }
}

impl fmt::Display for CpCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.words() {
            "" => write!(f, "{}", self.0),
            words => write!(f, "{} ({words})", self.0),
        }
    }
}

impl Malformed {
    /// The cause of the CP-ERROR that answers a CPDU with this fault (TS 24.011 9.2).
    pub const fn cp_cause(self) -> CpCause {
        match self {
            Malformed::Type(_) => CpCause::MESSAGE_TYPE,
            _ => CpCause::MANDATORY_INFORMATION,
        }
    }
}

/// A transaction identifier (TS 24.007 11.2.3.1.3) as one side writes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Transaction {
    /// Value, 0 to 6; 7 is reserved.
    pub value: u8,
    /// TI flag: set in what goes to the side that chose the value.
    pub to_originator: bool,
}

impl Transaction {
    /// The reserved value, which extends the identifier: no short message transaction has it.
    pub const RESERVED: u8 = 7;

    /// The same transaction as the other side writes it.
    pub const fn reversed(self) -> Transaction {
        Transaction { value: self.value, to_originator: !self.to_originator }
    }
}

/// A CPDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cpdu<'a> {
    /// The transaction.
    pub transaction: Transaction,
    /// The message.
    pub message: Cp<'a>,
}

/// A message of the control protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cp<'a> {
    /// CP-DATA (TS 24.011 7.2.1): an RPDU.
    Data(&'a [u8]),
    /// CP-ACK (7.2.2).
    Ack,
    /// CP-ERROR (7.2.3).
    Error(CpCause),
}

/// The transaction, also of octets that cannot be read any further; what the CP-ERROR that answers them needs. `None` when
/// they are of another protocol.
pub fn transaction_of(octets: &[u8]) -> Option<Transaction> {
    let first = *octets.first()?;
    let transaction = Transaction { value: first >> 4 & 7, to_originator: first & 0x80 != 0 };
    (first & 0xf == DISCRIMINATOR).then_some(transaction)
}

impl<'a> Cpdu<'a> {
    /// Reads a CPDU; octets behind its elements are ignored.
    pub fn parse(octets: &'a [u8]) -> Result<Cpdu<'a>, Malformed> {
        let mut reader = Reader::new(octets);
        reader.octet("protocol discriminator")?;
        let transaction = transaction_of(octets).ok_or(Malformed::Discriminator)?;
        let message = match reader.octet("CP-Message-Type")? {
            DATA => Cp::Data(reader.counted("CP-User-Data")?),
            ACK => Cp::Ack,
            ERROR => Cp::Error(CpCause(reader.octet("CP-Cause")?)),
            other => return Err(Malformed::Type(other)),
        };
        Ok(Cpdu { transaction, message })
    }

    /// Appends the CPDU.
    ///
    /// # Panics
    ///
    /// When a user data has more than 255 octets; an RPDU has at most [`MAX_USER_DATA`].
    pub fn write(&self, out: &mut Vec<u8>) {
        let Transaction { value, to_originator } = self.transaction;
        out.push(u8::from(to_originator) << 7 | (value & 7) << 4 | DISCRIMINATOR);
        match self.message {
            Cp::Data(rpdu) => {
                out.extend([DATA, u8::try_from(rpdu.len()).expect("an RPDU has at most 248 octets")]);
                out.extend_from_slice(rpdu);
            }
            Cp::Ack => out.push(ACK),
            Cp::Error(cause) => out.extend([ERROR, cause.0]),
        }
    }

    /// The CPDU as octets of its own; panics as [`Cpdu::write`] does.
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
    fn lengths_and_types_that_do_not_fit_are_named() {
        for (octets, error) in [
            (&[][..], Malformed::Truncated("protocol discriminator")),
            (&[0x05, 1], Malformed::Discriminator),
            (&[0x09], Malformed::Truncated("CP-Message-Type")),
            (&[0x09, 1], Malformed::Truncated("CP-User-Data")),
            (&[0x09, 1, 2, 0], Malformed::Truncated("CP-User-Data")),
            (&[0x09, 0x10], Malformed::Truncated("CP-Cause")),
            (&[0x09, 2], Malformed::Type(2)),
        ] {
            assert_eq!(Cpdu::parse(octets), Err(error), "{octets:02x?}");
        }
        assert_eq!(Malformed::Type(2).cp_cause(), CpCause::MESSAGE_TYPE);
        assert_eq!(Malformed::Truncated("CP-Cause").cp_cause(), CpCause::MANDATORY_INFORMATION);
    }

    #[test]
    fn the_transaction_is_known_when_nothing_else_is() {
        let transaction = Transaction { value: 6, to_originator: true };
        assert_eq!(transaction_of(&[0xe9, 0x77]), Some(transaction));
        assert_eq!(transaction.reversed(), Transaction { value: 6, to_originator: false });
        assert_eq!(transaction_of(&[0xe8, 0x77]), None);
    }
}
