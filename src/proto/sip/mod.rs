//! SIP above the wire: transactions, dialogs, transport rules, digest, framing.

pub mod dialog;
pub mod digest;
pub mod framer;
pub mod sec_agree;
pub mod transaction;
pub mod transport;
