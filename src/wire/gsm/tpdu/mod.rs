//! The six TPDUs (TS 23.040 9.2.2), a file each, with every TP field.

pub mod deliver;
pub mod submit;

pub use deliver::Deliver;
pub use submit::Submit;

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
