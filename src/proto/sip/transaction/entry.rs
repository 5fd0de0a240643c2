//! One transaction, as the layer keeps it.

use super::key::Key;
use super::machine::{Action, Input, Machine};
use super::timers::RunningTimers;
use super::{client, client_invite, server, server_invite};
use crate::proto::flow::Flow;
use crate::proto::sip::transport;
use crate::wire::sip::{Message, Method, Stored};
use smallvec::SmallVec;

/// The machine of a server transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ServerMachine {
    Invite(server_invite::State),
    Other(server::State),
}

impl ServerMachine {
    /// The machine that a new request starts.
    pub fn new(method: Method) -> Self {
        match method {
            Method::Invite => ServerMachine::Invite(server_invite::State::Proceeding),
            _ => ServerMachine::Other(server::State::Trying),
        }
    }

    /// Takes the transition and says what is to be done.
    pub fn advance(&mut self, input: Input) -> &'static [Action] {
        match self {
            ServerMachine::Invite(state) => advance(state, input),
            ServerMachine::Other(state) => advance(state, input),
        }
    }

    /// Whether it has answered and waits only for repetitions of the request (RFC 3261 17.2.2, Completed).
    pub fn only_absorbs(self) -> bool {
        self == ServerMachine::Other(server::State::Completed)
    }

    /// Whether nothing was sent yet to a request other than INVITE: what was answered is held.
    pub fn holds(self) -> bool {
        self == ServerMachine::Other(server::State::Trying)
    }

    pub fn is_terminated(self) -> bool {
        matches!(
            self,
            ServerMachine::Invite(server_invite::State::Terminated)
                | ServerMachine::Other(server::State::Terminated)
        )
    }

    pub fn is_accepted(self) -> bool {
        self == ServerMachine::Invite(server_invite::State::Accepted)
    }
}

/// The machine of a client transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ClientMachine {
    Invite(client_invite::State),
    Other(client::State),
}

impl ClientMachine {
    /// The machine that a request which is sent starts.
    pub fn new(method: Method) -> Self {
        match method {
            Method::Invite => ClientMachine::Invite(client_invite::State::Calling),
            _ => ClientMachine::Other(client::State::Trying),
        }
    }

    /// Takes the transition and says what is to be done.
    pub fn advance(&mut self, input: Input) -> &'static [Action] {
        match self {
            ClientMachine::Invite(state) => advance(state, input),
            ClientMachine::Other(state) => advance(state, input),
        }
    }

    /// Whether no response has come.
    pub fn is_unanswered(self) -> bool {
        matches!(
            self,
            ClientMachine::Invite(client_invite::State::Calling)
                | ClientMachine::Other(client::State::Trying)
        )
    }

    pub fn is_terminated(self) -> bool {
        matches!(
            self,
            ClientMachine::Invite(client_invite::State::Terminated)
                | ClientMachine::Other(client::State::Terminated)
        )
    }

    /// Whether the final response is still to come.
    pub fn is_waiting(self) -> bool {
        use {client::State as Other, client_invite::State as Invite};
        matches!(
            self,
            ClientMachine::Invite(Invite::Calling | Invite::Proceeding)
                | ClientMachine::Other(Other::Trying | Other::Proceeding)
        )
    }
}

fn advance<M: Machine>(state: &mut M, input: Input) -> &'static [Action] {
    let step = state.advance(input);
    *state = step.next;
    step.actions
}

/// A server transaction: a request that came, and the last response to it.
#[derive(Debug)]
pub struct ServerTx<O> {
    pub(super) key: Key,
    /// The key under which requests that are this one by another way find it.
    pub(super) merged: Option<Key>,
    pub(super) machine: ServerMachine,
    pub(super) request: Stored,
    /// The topmost Via as responses carry it.
    pub(super) via: Box<[u8]>,
    /// The To tag of the last response that had one of ours.
    pub(super) to_tag: SmallVec<[u8; 24]>,
    pub(super) flow: Flow,
    /// Whether every copy of the request and the ACK came over TCP: one over UDP may be late, and others be later still.
    pub(super) is_reliable: bool,
    /// Where responses go when the connection has gone; taken when it is used.
    pub(super) fallback: Option<Flow>,
    pub(super) owner: Option<O>,
    /// The last response's octets; empty before the first.
    pub(super) response: Vec<u8>,
    pub(super) final_status: Option<u16>,
    pub(super) is_cancelled: bool,
    pub(super) timers: RunningTimers,
    pub(super) trace_id: u32,
}

impl<O: Copy> ServerTx<O> {
    /// The request as it came.
    pub fn request(&self) -> Message<'_> {
        self.request.message()
    }

    /// Where responses go.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// The path of the next response: [`ServerTx::flow`], and where to connect should its connection have gone.
    pub(super) fn response_path(&self) -> Flow {
        transport::with_fallback(self.flow, self.fallback)
    }

    /// The TU's name for it, once it has given one.
    pub fn owner(&self) -> Option<O> {
        self.owner
    }

    /// Whether a final response was given.
    pub fn has_final(&self) -> bool {
        self.final_status.is_some()
    }

    /// The status of the final response, once there is one.
    pub fn final_status(&self) -> Option<u16> {
        self.final_status
    }

    /// The To tag of the responses so far; empty before the first that had one.
    pub fn to_tag(&self) -> &[u8] {
        &self.to_tag
    }
}

/// Where an INVITE client transaction stands with its CANCEL (RFC 3261 9.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Cancel {
    /// Not asked for.
    None,
    /// Asked for; goes out after the first provisional response. With the value of its Reason header.
    Waiting(Option<Box<str>>),
    /// Sent.
    Sent,
}

/// A client transaction: a request that we sent.
#[derive(Debug)]
pub struct ClientTx<O> {
    pub(super) key: Key,
    pub(super) machine: ClientMachine,
    pub(super) method: Method,
    /// The request as it was sent.
    pub(super) request: Stored,
    /// The ACK of the non-2xx final response, once there is one.
    pub(super) ack: Vec<u8>,
    pub(super) flow: Flow,
    /// The UDP flow that the request would have taken had it been shorter; taken when TCP fails or is answered.
    pub(super) before_upgrade: Option<Flow>,
    pub(super) owner: O,
    /// Whether it is a CANCEL of the layer's own, of which the TU hears nothing.
    pub(super) is_internal: bool,
    /// Whether it was sent a second time because its first connection had gone.
    pub(super) is_repeated: bool,
    pub(super) cancel: Cancel,
    pub(super) timers: RunningTimers,
    pub(super) trace_id: u32,
}

impl<O: Copy> ClientTx<O> {
    /// The request as it was sent.
    pub fn request(&self) -> Message<'_> {
        self.request.message()
    }

    /// Where the request went.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// The TU's name for it.
    pub fn owner(&self) -> O {
        self.owner
    }

    /// The request's method.
    pub fn method(&self) -> Method {
        self.method
    }
}
