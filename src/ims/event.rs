//! What happens here that clients of the remote API can ask to be told of (manual 6.7).

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call to an echo number with `remote_control` waits for its answer, which `dialog_set` gives.
    Invite {
        /// The dialog.
        session_id: String,
        /// Caller.
        from: String,
        /// Callee.
        to: String,
    },
}

impl Event {
    /// The API's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Event::Invite { .. } => "invite",
        }
    }
}
