//! What this machine can do about IPsec.

use crate::proto::locals::Locals;
use crate::proto::sip::sec_agree::Suite;

/// Our ends, and what the kernel can protect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ability {
    /// All our ends; protected ports for each address that IPsec is possible with.
    pub locals: Locals,
    /// The pairs of algorithms that the kernel has.
    pub suites: Vec<Suite>,
    /// Why there is no IPsec, in words for the operator that say what to do; none when there is.
    pub lack: Option<String>,
}

impl Ability {
    /// No IPsec, for this reason.
    pub fn none(locals: Locals, lack: &str) -> Ability {
        Ability { locals, suites: Vec::new(), lack: Some(lack.to_owned()) }
    }
}
