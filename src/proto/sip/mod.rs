//! SIP above the wire: transactions, dialogs, transport rules, digest.

pub mod digest;
pub mod framer;
