//! TP-Failure-Cause (TS 23.040 9.2.3.22): why a report inside RP-ERROR says no.

use std::fmt;

/// A TP-FCS.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FailureCause(pub u8);

impl FailureCause {
    /// Unspecified protocol identifier error.
    pub const PID: FailureCause = FailureCause(0x8f);
    /// Unspecified data coding scheme error.
    pub const DCS: FailureCause = FailureCause(0x9f);
    /// The command cannot be acted upon.
    pub const COMMAND_REFUSED: FailureCause = FailureCause(0xa0);
    /// Unspecified command error.
    pub const COMMAND: FailureCause = FailureCause(0xaf);
    /// The TPDU is not supported.
    pub const TPDU_NOT_SUPPORTED: FailureCause = FailureCause(0xb0);
    /// The service centre is busy.
    pub const SC_BUSY: FailureCause = FailureCause(0xc0);
    /// No subscription at the service centre.
    pub const NO_SUBSCRIPTION: FailureCause = FailureCause(0xc1);
    /// Failure of the service centre.
    pub const SC_FAILURE: FailureCause = FailureCause(0xc2);
    /// Invalid address of the recipient.
    pub const INVALID_ADDRESS: FailureCause = FailureCause(0xc3);
    /// The recipient is barred.
    pub const BARRED: FailureCause = FailureCause(0xc4);
    /// Rejected as a duplicate.
    pub const DUPLICATE: FailureCause = FailureCause(0xc5);
    /// The validity period's format is not supported.
    pub const VALIDITY_FORMAT: FailureCause = FailureCause(0xc6);
    /// The validity period is not supported.
    pub const VALIDITY: FailureCause = FailureCause(0xc7);
    /// The SIM's storage is full.
    pub const SIM_FULL: FailureCause = FailureCause(0xd0);
    /// The SIM cannot store.
    pub const NO_SIM_STORAGE: FailureCause = FailureCause(0xd1);
    /// Error in the phone.
    pub const PHONE: FailureCause = FailureCause(0xd2);
    /// Memory capacity exceeded.
    pub const MEMORY_EXCEEDED: FailureCause = FailureCause(0xd3);
    /// Unspecified.
    pub const UNSPECIFIED: FailureCause = FailureCause(0xff);

    /// The cause in words; empty for a value that has none.
    pub const fn words(self) -> &'static str {
        match self.0 {
            0x80 => "telematic interworking not supported",
            0x81 => "short message type 0 not supported",
            0x82 => "cannot replace short message",
            0x8f => "protocol identifier",
            0x90 => "alphabet not supported",
            0x91 => "message class not supported",
            0x9f => "data coding scheme",
            0xa0 => "command cannot be acted upon",
            0xa1 => "command unsupported",
            0xaf => "command",
            0xb0 => "TPDU not supported",
            0xc0 => "service centre busy",
            0xc1 => "no subscription at the service centre",
            0xc2 => "service centre failure",
            0xc3 => "invalid recipient",
            0xc4 => "recipient barred",
            0xc5 => "duplicate rejected",
            0xc6 => "format of validity period not supported",
            0xc7 => "validity period not supported",
            0xd0 => "SIM storage full",
            0xd1 => "no storage on the SIM",
            0xd2 => "error in the phone",
            0xd3 => "memory capacity exceeded",
            0xd4 => "SIM application toolkit busy",
            0xd5 => "SIM data download error",
            0xff => "unspecified",
            _ => "",
        }
    }
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.words() {
            "" => write!(f, "{:02x}", self.0),
            words => write!(f, "{:02x} ({words})", self.0),
        }
    }
}
