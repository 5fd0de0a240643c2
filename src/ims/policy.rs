//! The policy interface: bearers for the media of calls, asked of the network's policy server (TS 29.213 6.2, over Rx or N5).
//!
//! A session is the media of one phone in one call; what it needs follows from what the phone and its partner have said. The
//! server answers when it likes. Where there is none, every bearer counts as granted. How a server is spoken to is not here:
//! [`Policy::pop_command`] gives what it is to be asked, [`crate::ims::core::Core::on_bearers`] takes its answers.

use crate::ims::call::Place;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

/// A policy session's number.
pub type SessionId = u64;

/// Who decides on bearers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Server {
    /// Nobody: what is asked for is granted.
    #[default]
    None,
    /// A policy server.
    External,
}

/// What a phone's media need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The phone's address.
    pub ue: IpAddr,
    /// The description that the phone gave last.
    pub said: Arc<[u8]>,
    /// The description that the phone was given last.
    pub told: Arc<[u8]>,
}

/// What the policy server is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Bearers for a new session, or other ones for a known session.
    Reserve {
        /// The session.
        session: SessionId,
        /// What it needs.
        needs: Needs,
    },
    /// The session has ended.
    Release {
        /// The session.
        session: SessionId,
    },
}

/// What the policy server says of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// The bearers are there.
    Granted,
    /// There will be none, in the server's words.
    Refused(&'a str),
    /// They were there, and are no longer.
    Lost(&'a str),
}

/// The policy sessions.
#[derive(Debug, Default)]
pub struct Policy {
    server: Server,
    sessions: BTreeMap<SessionId, Place>,
    commands: VecDeque<Command>,
    last: SessionId,
}

impl Policy {
    /// No sessions; this server decides.
    pub fn new(server: Server) -> Self {
        Policy { server, ..Policy::default() }
    }

    /// Whether there is a policy server.
    pub fn has_server(&self) -> bool {
        self.server != Server::None
    }

    /// Asks for the bearers of a session, a new one unless it is given. `None`: they count as granted.
    pub(super) fn reserve(
        &mut self,
        session: Option<SessionId>,
        place: Place,
        needs: Needs,
    ) -> Option<SessionId> {
        if !self.has_server() {
            return None;
        }
        let session = session.unwrap_or_else(|| {
            self.last += 1;
            self.last
        });
        self.sessions.insert(session, place);
        self.commands.push_back(Command::Reserve { session, needs });
        Some(session)
    }

    /// Ends a session.
    pub(super) fn release(&mut self, session: SessionId) {
        if self.sessions.remove(&session).is_some() {
            self.commands.push_back(Command::Release { session });
        }
    }

    /// Whose a session is; none when it has ended.
    pub(super) fn place(&self, session: SessionId) -> Option<Place> {
        self.sessions.get(&session).copied()
    }

    /// What the server is to be asked next.
    pub fn pop_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is no session.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}
