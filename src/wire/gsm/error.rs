//! What can be wrong with a PDU, and the cause that answers it.

use super::rp::RpCause;
use std::fmt;

/// Why octets cannot be read. Each names the part that is wrong as the specification does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// The octets end inside this part.
    Truncated(&'static str),
    /// This part is longer than it may be.
    TooLong(&'static str),
    /// The lengths inside this part contradict each other.
    Length(&'static str),
    /// No message has this type.
    Type(u8),
    /// It is a message of another protocol.
    Discriminator,
}

impl Malformed {
    /// The cause of the RP-ERROR that answers an RPDU with this fault (TS 24.011 table 8.4, 9.3).
    pub const fn rp_cause(self) -> RpCause {
        match self {
            Malformed::Type(_) => RpCause::MESSAGE_TYPE,
            _ => RpCause::MANDATORY_INFORMATION,
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Truncated(part) => write!(f, "it ends inside {part}"),
            Malformed::TooLong(part) => write!(f, "{part} is too long"),
            Malformed::Length(part) => write!(f, "wrong length inside {part}"),
            Malformed::Type(value) => write!(f, "unknown message type {value}"),
            Malformed::Discriminator => f.write_str("a message of another protocol"),
        }
    }
}

impl std::error::Error for Malformed {}
