//! What the VLR tells the SMS centre.

use crate::proto::sgsap::timers::Timer;
use crate::wire::gsm::cp::CpCause;
use crate::wire::identities::Imsi;
use crate::wire::sgsap::SgsCause;
use std::fmt;

/// News of a phone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The phone sent an RPDU: RP-DATA, RP-ACK, RP-ERROR or RP-SMMA, not looked at. RP-DATA and RP-SMMA want an answer, given with
    /// `Vlr::send` within TR2N.
    Rpdu {
        /// The phone.
        imsi: Imsi,
        /// What it sent.
        rpdu: Vec<u8>,
    },
    /// The RP-DATA that was to be sent to the phone did not get there, or has no answer.
    Unreachable {
        /// The phone.
        imsi: Imsi,
        /// Why.
        why: Why,
    },
    /// The phone can be reached, now if not before: what waits for it should be tried.
    Reachable {
        /// The phone.
        imsi: Imsi,
    },
}

/// Why a message did not reach a phone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The MME refused to page it.
    PagingRejected(SgsCause),
    /// The MME could not reach it.
    Unreachable(SgsCause),
    /// The MME could not use what it was sent.
    Status(SgsCause),
    /// A timer expired, for the last time.
    Expired(Timer),
    /// The phone refused it below the relay protocol.
    CpError(CpCause),
    /// We broke it off with this cause.
    Aborted(CpCause),
    /// The association with the MME was lost.
    AssociationLost,
    /// The MME restarted.
    MmeReset,
    /// The phone left.
    Detached,
    /// The phone attached anew, or is behind another MME now.
    Moved,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::PagingRejected(cause) => write!(f, "paging rejected, cause {cause}"),
            Why::Unreachable(cause) => write!(f, "not reached, cause {cause}"),
            Why::Status(cause) => write!(f, "the MME could not use our message, cause {cause}"),
            Why::Expired(timer) => write!(f, "{}: {}", timer.row().name, timer.row().meaning),
            Why::CpError(cause) => write!(f, "CP-ERROR of the phone, cause {cause}"),
            Why::Aborted(cause) => write!(f, "broken off with CP-ERROR, cause {cause}"),
            Why::AssociationLost => f.write_str("the association with the MME was lost"),
            Why::MmeReset => f.write_str("the MME restarted"),
            Why::Detached => f.write_str("it detached"),
            Why::Moved => f.write_str("it attached anew"),
        }
    }
}

/// Why an RPDU cannot be sent to a phone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotNow {
    /// The phone is not attached.
    NotAttached,
    /// The MME that it is attached to is not connected; [`Event::Reachable`] tells when it is.
    NoAssociation,
    /// An RP-DATA for it is under way; its outcome comes first.
    Busy,
    /// No transaction of the phone waits for this answer: it took too long, or was broken off.
    NoTransaction,
    /// Fewer than two octets, or more than 248.
    Length,
}

impl fmt::Display for NotNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotNow::NotAttached => "not attached through SGs",
            NotNow::NoAssociation => "its MME is not connected",
            NotNow::Busy => "another message is under way to it",
            NotNow::NoTransaction => "nothing waits for this answer",
            NotNow::Length => "the RPDU is too short or too long for SGs",
        })
    }
}
