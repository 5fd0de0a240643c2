//! The relay protocol (TS 24.011 8.2): what a MESSAGE of type `application/vnd.3gpp.sms` carries (TS 24.341), and on SGs the
//! user data of CP-DATA.

use super::Direction;
use super::address::Address;
use super::error::Malformed;
use super::reader::Reader;
use std::fmt;

/// Octets that the TPDU in an RPDU has at most (TS 24.011 8.2.5.3).
pub const MAX_TPDU: usize = 232;

/// Identifier of the user data in RP-ACK and RP-ERROR (TS 24.011 table 8.2).
const USER_DATA: u8 = 0x41;

/// Why a short message was not taken (TS 24.011 8.2.5.4), without the extension bit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RpCause(pub u8);

impl RpCause {
    /// Unassigned number.
    pub const UNASSIGNED: RpCause = RpCause(1);
    /// Operator determined barring.
    pub const OPERATOR_BARRING: RpCause = RpCause(8);
    /// Call barred.
    pub const CALL_BARRED: RpCause = RpCause(10);
    /// Short message transfer rejected.
    pub const REJECTED: RpCause = RpCause(21);
    /// Memory capacity exceeded.
    pub const MEMORY_EXCEEDED: RpCause = RpCause(22);
    /// Destination out of order.
    pub const DESTINATION_OUT_OF_ORDER: RpCause = RpCause(27);
    /// Unidentified subscriber.
    pub const UNIDENTIFIED: RpCause = RpCause(28);
    /// Facility rejected.
    pub const FACILITY_REJECTED: RpCause = RpCause(29);
    /// Unknown subscriber.
    pub const UNKNOWN_SUBSCRIBER: RpCause = RpCause(30);
    /// Network out of order.
    pub const NETWORK_OUT_OF_ORDER: RpCause = RpCause(38);
    /// Temporary failure.
    pub const TEMPORARY_FAILURE: RpCause = RpCause(41);
    /// Congestion.
    pub const CONGESTION: RpCause = RpCause(42);
    /// Resources unavailable.
    pub const RESOURCES: RpCause = RpCause(47);
    /// Requested facility not subscribed.
    pub const NOT_SUBSCRIBED: RpCause = RpCause(50);
    /// Requested facility not implemented.
    pub const NOT_IMPLEMENTED: RpCause = RpCause(69);
    /// Invalid short message transfer reference value.
    pub const INVALID_REFERENCE: RpCause = RpCause(81);
    /// Semantically incorrect message.
    pub const SEMANTIC: RpCause = RpCause(95);
    /// Invalid mandatory information.
    pub const MANDATORY_INFORMATION: RpCause = RpCause(96);
    /// Message type non-existent or not implemented.
    pub const MESSAGE_TYPE: RpCause = RpCause(97);
    /// Message not compatible with the protocol state.
    pub const STATE: RpCause = RpCause(98);
    /// Information element non-existent or not implemented.
    pub const ELEMENT: RpCause = RpCause(99);
    /// Protocol error, unspecified.
    pub const PROTOCOL: RpCause = RpCause(111);
    /// Interworking, unspecified.
    pub const INTERWORKING: RpCause = RpCause(127);

    /// The cause in words; empty for a value that has none.
    pub const fn words(self) -> &'static str {
        match self.0 {
            1 => "unassigned number",
            8 => "operator determined barring",
            10 => "call barred",
            11 => "reserved",
            21 => "short message transfer rejected",
            22 => "memory capacity exceeded",
            27 => "destination out of order",
            28 => "unidentified subscriber",
            29 => "facility rejected",
            30 => "unknown subscriber",
            38 => "network out of order",
            41 => "temporary failure",
            42 => "congestion",
            47 => "resources unavailable",
            50 => "requested facility not subscribed",
            69 => "requested facility not implemented",
            81 => "invalid reference",
            95 => "semantically incorrect message",
            96 => "invalid mandatory information",
            97 => "unknown message type",
            98 => "not compatible with the state",
            99 => "unknown information element",
            111 => "protocol error",
            127 => "interworking",
            _ => "",
        }
    }
}

impl fmt::Display for RpCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.words() {
            "" => write!(f, "{}", self.0),
            words => write!(f, "{} ({words})", self.0),
        }
    }
}

/// An RPDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rpdu<'a> {
    /// Which way it goes.
    pub direction: Direction,
    /// RP-Message-Reference: an answer has that of what it answers.
    pub reference: u8,
    /// The message.
    pub message: Rp<'a>,
}

/// A message of the relay protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rp<'a> {
    /// RP-DATA (TS 24.011 7.3.1): a TPDU.
    Data {
        /// RP-Originator-Address: the service centre, when the message goes to the phone.
        originator: Option<Address>,
        /// RP-Destination-Address: the service centre, when the message comes from the phone.
        destination: Option<Address>,
        /// RP-User-Data: the TPDU.
        user_data: &'a [u8],
    },
    /// RP-ACK (7.3.3): it was taken.
    Ack {
        /// RP-User-Data: the TPDU of a report.
        user_data: Option<&'a [u8]>,
    },
    /// RP-ERROR (7.3.4): it was not taken.
    Error {
        /// RP-Cause.
        cause: RpCause,
        /// The diagnostic that may follow the cause.
        diagnostic: Option<u8>,
        /// RP-User-Data: the TPDU of a report.
        user_data: Option<&'a [u8]>,
    },
    /// RP-SMMA (7.3.2): the phone has memory again.
    Smma,
}

/// The message reference, also of octets that cannot be read any further; what the RP-ERROR that answers them needs.
pub fn reference_of(octets: &[u8]) -> Option<u8> {
    octets.get(1).copied()
}

impl<'a> Rpdu<'a> {
    /// Reads an RPDU. Spare bits and unknown information elements are ignored (TS 24.011 9.3).
    pub fn parse(octets: &'a [u8]) -> Result<Rpdu<'a>, Malformed> {
        let mut reader = Reader::new(octets);
        let kind = reader.octet("RP-Message-Type")? & 7;
        let reference = reader.octet("RP-Message-Reference")?;
        let message = match kind {
            0 | 1 => Rp::Data {
                originator: Address::parse_rp(&mut reader, "RP-Originator-Address")?,
                destination: Address::parse_rp(&mut reader, "RP-Destination-Address")?,
                user_data: reader.counted("RP-User-Data")?,
            },
            2 | 3 => Rp::Ack { user_data: optional_user_data(reader) },
            4 | 5 => {
                let (&first, rest) =
                    reader.counted("RP-Cause")?.split_first().ok_or(Malformed::Length("RP-Cause"))?;
                let diagnostic = rest.first().copied();
                Rp::Error { cause: RpCause(first & 0x7f), diagnostic, user_data: optional_user_data(reader) }
            }
            6 => Rp::Smma,
            other => return Err(Malformed::Type(other)),
        };
        let direction = if kind % 2 == 0 { Direction::Up } else { Direction::Down };
        Ok(Rpdu { direction, reference, message })
    }

    /// Appends the RPDU.
    ///
    /// # Panics
    ///
    /// When a user data has more than 255 octets; a TPDU has at most [`MAX_TPDU`].
    pub fn write(&self, out: &mut Vec<u8>) {
        let down = u8::from(self.direction == Direction::Down);
        match self.message {
            Rp::Data { originator, destination, user_data } => {
                out.extend([down, self.reference]);
                for address in [originator, destination] {
                    match address {
                        Some(address) => address.write_rp(out),
                        None => out.push(0),
                    }
                }
                write_counted(user_data, out);
            }
            Rp::Ack { user_data } => {
                out.extend([2 | down, self.reference]);
                write_optional(user_data, out);
            }
            Rp::Error { cause, diagnostic, user_data } => {
                out.extend([4 | down, self.reference, 1 + u8::from(diagnostic.is_some()), cause.0 & 0x7f]);
                out.extend(diagnostic);
                write_optional(user_data, out);
            }
            // It goes to the network only (7.3.2).
            Rp::Smma => out.extend([6, self.reference]),
        }
    }

    /// The RPDU as octets of its own; panics as [`Rpdu::write`] does.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}

/// Looks for the user data among the optional elements: type 1 and 2 elements are one octet with bit 8 set, all others have a
/// length (TS 24.007 11.2.4). One that does not fit is as if it were not there (TS 24.011 9.3, as TS 24.008 8.7.1): the message is
/// what its type says all the same, and what follows cannot be told apart.
fn optional_user_data(mut reader: Reader<'_>) -> Option<&[u8]> {
    while let Ok(id) = reader.octet("RP-User-Data") {
        match id {
            USER_DATA => return reader.counted("RP-User-Data").ok(),
            0x80.. => {}
            _ => drop(reader.counted("RP-User-Data").ok()?),
        }
    }
    None
}

fn write_optional(user_data: Option<&[u8]>, out: &mut Vec<u8>) {
    if let Some(user_data) = user_data {
        out.push(USER_DATA);
        write_counted(user_data, out);
    }
}

fn write_counted(octets: &[u8], out: &mut Vec<u8>) {
    out.push(u8::try_from(octets.len()).expect("a TPDU has at most 232 octets"));
    out.extend_from_slice(octets);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_types_that_do_not_fit_are_named() {
        for (octets, error) in [
            (&[][..], Malformed::Truncated("RP-Message-Type")),
            (&[0], Malformed::Truncated("RP-Message-Reference")),
            (&[0, 1], Malformed::Truncated("RP-Originator-Address")),
            (&[0, 1, 0, 3, 0x91, 0x21], Malformed::Truncated("RP-Destination-Address")),
            (&[0, 1, 0, 0], Malformed::Truncated("RP-User-Data")),
            (&[0, 1, 0, 0, 4, 1, 2], Malformed::Truncated("RP-User-Data")),
            (&[4, 1], Malformed::Truncated("RP-Cause")),
            (&[4, 1, 0], Malformed::Length("RP-Cause")),
            (&[7, 1], Malformed::Type(7)),
        ] {
            assert_eq!(Rpdu::parse(octets), Err(error), "{octets:02x?}");
        }
        assert_eq!(Malformed::Type(7).rp_cause(), RpCause::MESSAGE_TYPE);
        assert_eq!(Malformed::Length("RP-Cause").rp_cause(), RpCause::MANDATORY_INFORMATION);
        assert_eq!(reference_of(&[7, 9]), Some(9));
    }

    #[test]
    fn unknown_and_damaged_elements_and_spare_bits_are_ignored() {
        let ack = |octets| Rpdu::parse(octets).map(|r| r.message);
        assert_eq!(ack(&[0xfa, 1, 0x91, 0x30, 1, 9, 0x41, 1, 0]), Ok(Rp::Ack { user_data: Some(&[0]) }));
        assert_eq!(ack(&[2, 1, 0x30, 9]), Ok(Rp::Ack { user_data: None }));
        assert_eq!(ack(&[2, 1, 0x41, 3, 0]), Ok(Rp::Ack { user_data: None }));
        assert_eq!(ack(&[2, 1, 0x41]), Ok(Rp::Ack { user_data: None }));
        let extended = Rp::Error { cause: RpCause::MEMORY_EXCEEDED, diagnostic: None, user_data: None };
        assert_eq!(ack(&[4, 1, 1, 22, 0x41, 3, 0]), Ok(extended));
        assert_eq!(ack(&[4, 1, 1, 0x96]), Ok(extended), "the extension bit is no part of the cause");
        assert_eq!(ack(&[6, 1, 9, 9]), Ok(Rp::Smma));
    }

    #[test]
    fn causes_have_words() {
        assert_eq!(RpCause::MEMORY_EXCEEDED.to_string(), "22 (memory capacity exceeded)");
        assert_eq!(RpCause(2).to_string(), "2");
    }
}
