//! Sessions between users, and with the echo service.

use crate::base::arena::Id;

/// A call.
#[derive(Debug)]
pub struct Call {}

/// What of a call a transaction belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// The call.
    pub call: Id<Call>,
    /// Which of its legs.
    pub leg: u8,
}
