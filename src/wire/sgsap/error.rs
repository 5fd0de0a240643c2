//! What can be wrong with a message, and the cause that says so to its sender (TS 29.118 7).

use super::cause::SgsCause;
use super::element::Tag;
use super::kind::Kind;
use crate::wire::identities::Imsi;
use std::fmt;

/// Why a message cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SgsapError {
    /// What is wrong.
    pub problem: Problem,
    /// The IMSI, if it could be read: a STATUS names it.
    pub imsi: Option<Imsi>,
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// No octets.
    Empty,
    /// No message has this type.
    UnknownType(u8),
    /// An element that must be there is not.
    Missing(Kind, Tag),
    /// An element that must be there cannot be read, or is cut off.
    Invalid(Kind, Tag),
}

impl Problem {
    /// The cause of the STATUS that answers it; none where there is none: for nothing (7.2), and for a STATUS, which is never
    /// answered by one.
    pub fn cause(self) -> Option<SgsCause> {
        match self {
            Problem::Empty => None,
            Problem::Missing(Kind::Status, _) | Problem::Invalid(Kind::Status, _) => None,
            Problem::UnknownType(_) => Some(SgsCause::MESSAGE_UNKNOWN),
            Problem::Missing(..) => Some(SgsCause::MISSING_MANDATORY),
            Problem::Invalid(..) => Some(SgsCause::INVALID_MANDATORY),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Empty => f.write_str("a message without octets"),
            Problem::UnknownType(code) => write!(f, "message type {code:#04x} is unknown"),
            Problem::Missing(kind, tag) => write!(f, "{} without {}", kind.name(), tag.name()),
            Problem::Invalid(kind, tag) => write!(f, "{} with an invalid {}", kind.name(), tag.name()),
        }
    }
}

impl fmt::Display for SgsapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for SgsapError {}
