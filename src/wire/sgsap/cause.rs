//! Causes: of SGs (TS 29.118 9.4.18) and of rejected location updates (TS 24.008 10.5.3.6).

use std::fmt;

/// An SGs cause.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SgsCause(pub u8);

impl SgsCause {
    /// IMSI detached for EPS services.
    pub const DETACHED_EPS: SgsCause = SgsCause(1);
    /// IMSI detached for EPS and non-EPS services.
    pub const DETACHED_BOTH: SgsCause = SgsCause(2);
    /// IMSI unknown.
    pub const IMSI_UNKNOWN: SgsCause = SgsCause(3);
    /// IMSI detached for non-EPS services.
    pub const DETACHED_NON_EPS: SgsCause = SgsCause(4);
    /// IMSI implicitly detached for non-EPS services.
    pub const IMPLICITLY_DETACHED_NON_EPS: SgsCause = SgsCause(5);
    /// UE unreachable.
    pub const UE_UNREACHABLE: SgsCause = SgsCause(6);
    /// Message not compatible with the protocol state.
    pub const NOT_COMPATIBLE: SgsCause = SgsCause(7);
    /// Missing mandatory information element.
    pub const MISSING_MANDATORY: SgsCause = SgsCause(8);
    /// Invalid mandatory information.
    pub const INVALID_MANDATORY: SgsCause = SgsCause(9);
    /// Message unknown.
    pub const MESSAGE_UNKNOWN: SgsCause = SgsCause(12);
    /// UE temporarily unreachable.
    pub const TEMPORARILY_UNREACHABLE: SgsCause = SgsCause(14);

    /// What it means.
    pub const fn text(self) -> &'static str {
        match self.0 {
            1 => "IMSI detached for EPS services",
            2 => "IMSI detached for EPS and non-EPS services",
            3 => "IMSI unknown",
            4 => "IMSI detached for non-EPS services",
            5 => "IMSI implicitly detached for non-EPS services",
            6 => "UE unreachable",
            7 => "message not compatible with the protocol state",
            8 => "missing mandatory information element",
            9 => "invalid mandatory information",
            10 => "conditional information element error",
            11 => "semantically incorrect message",
            12 => "message unknown",
            13 => "mobile terminating CS fallback call rejected by the user",
            14 => "UE temporarily unreachable",
            _ => "unspecified",
        }
    }
}

impl fmt::Display for SgsCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.text())
    }
}

/// A reject cause: one of mobility management.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RejectCause(pub u8);

impl RejectCause {
    /// IMSI unknown in HLR.
    pub const IMSI_UNKNOWN_IN_HLR: RejectCause = RejectCause(2);
    /// Network failure.
    pub const NETWORK_FAILURE: RejectCause = RejectCause(17);
    /// Congestion.
    pub const CONGESTION: RejectCause = RejectCause(22);

    /// What it means.
    pub const fn text(self) -> &'static str {
        match self.0 {
            2 => "IMSI unknown in HLR",
            3 => "illegal MS",
            4 => "IMSI unknown in VLR",
            5 => "IMEI not accepted",
            6 => "illegal ME",
            11 => "PLMN not allowed",
            12 => "location area not allowed",
            13 => "roaming not allowed in this location area",
            15 => "no suitable cells in location area",
            17 => "network failure",
            20 => "MAC failure",
            21 => "synch failure",
            22 => "congestion",
            32 => "service option not supported",
            33 => "requested service option not subscribed",
            34 => "service option temporarily out of order",
            95 => "semantically incorrect message",
            96 => "invalid mandatory information",
            97 => "message type not implemented",
            98 => "message type not compatible with the protocol state",
            99 => "information element not implemented",
            111 => "protocol error",
            _ => "unspecified",
        }
    }
}

impl fmt::Display for RejectCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.text())
    }
}
