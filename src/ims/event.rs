//! What happens here that clients of the remote API can ask to be told of (manual 6.7).

use crate::ims::limits::MAX_NEWS;
use std::collections::VecDeque;

/// Which events somebody wants to be told of; others do not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Listeners {
    /// `sms`.
    pub sms: bool,
    /// `users_update`.
    pub users_update: bool,
}

/// Events that wait to be told; beyond [`MAX_NEWS`] the oldest is forgotten.
#[derive(Debug, Default)]
pub struct News {
    events: VecDeque<Event>,
}

impl News {
    /// Adds one, unless the last one says the same.
    pub fn push(&mut self, event: Event) {
        if matches!(event, Event::UsersUpdate { .. }) && self.events.back() == Some(&event) {
            return;
        }
        if self.events.len() == MAX_NEWS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// The oldest.
    pub fn pop(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

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
    /// A short message has come; a long one whole.
    Sms {
        /// Who sends it: a number or a name.
        sender: String,
        /// Whom it is for.
        destination: String,
        /// What it says.
        content: Content,
        /// Its data coding scheme (TS 23.038 4).
        dcs: u8,
        /// When it came, of a long text its last part, Unix seconds.
        date: i64,
        /// Parts of a long text that have not come in time: 0 of one that is whole.
        missing: u8,
    },
    /// Something has changed about a user: registration, calls, short messages.
    UsersUpdate {
        /// The user's private identity.
        impi: String,
    },
}

/// What a short message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text(String),
    /// Octets that are no text.
    Binary(Vec<u8>),
}

impl Event {
    /// The API's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Event::Invite { .. } => "invite",
            Event::Sms { .. } => "sms",
            Event::UsersUpdate { .. } => "users_update",
        }
    }
}
