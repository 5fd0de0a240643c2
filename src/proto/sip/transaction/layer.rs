//! The layer: the table of transactions, its timers, and the actions of the machines.

use super::entry::{Cancel, ClientTx, ServerTx};
use super::key::{Keys, Token};
use super::machine::{Action, Input};
use super::timers::{Timer, Timers};
use super::trace;
use crate::base::arena::{Arena, Id};
use crate::base::hash::HashedMap;
use crate::base::rng::Rng;
use crate::base::time::{Duration, Instant};
use crate::base::timer::AlarmQueue;
use crate::proto::cx::Cx;
use crate::proto::flow::LocalId;
use crate::wire::sip::{CustomHeader, Index, Method};
use std::collections::VecDeque;
use std::fmt::Debug;
use std::net::SocketAddr;

/// How many transactions there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Server transactions; a request over it is answered 503 with Retry-After.
    pub server: usize,
    /// Client transactions; a request of the TU over it is refused with [`Overload::Transactions`].
    pub client: usize,
}

impl Default for Limits {
    /// 32,768 of each: at about 2 KiB a transaction 128 MiB in all, and at 32 s (timers B and J with RFC 3261's T1) 1,000
    /// requests a second.
    fn default() -> Self {
        Limits { server: 32_768, client: 32_768 }
    }
}

/// Why a request was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overload {
    /// There are as many client transactions as there may be.
    Transactions,
    /// The message came out longer, or with more header fields, than a message may have.
    Message,
}

impl Overload {
    /// The status that answers the request for whose sake this one was to be sent.
    pub const fn status(self) -> u16 {
        match self {
            Overload::Transactions => 503,
            Overload::Message => 513,
        }
    }
}

/// What a request is to the TU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict<O> {
    /// A new request: the TU answers it.
    New(Id<ServerTx<O>>),
    /// An ACK of a 2xx, or a stray one: the TU matches its dialog.
    Ack,
    /// A CANCEL, answered 200, of an INVITE that has no final response yet: the TU ends it with 487.
    Cancel {
        /// The INVITE's transaction.
        invite: Id<ServerTx<O>>,
    },
    /// A retransmission, or the ACK of a non-2xx: nothing to do.
    Absorbed,
    /// The layer has answered it with this status, or dropped it for want of a Via (400).
    Rejected(u16),
}

/// What a response is to the TU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer<O> {
    /// A provisional response.
    Provisional {
        /// The client transaction.
        id: Id<ClientTx<O>>,
        /// Its owner.
        owner: O,
    },
    /// The first final response.
    Final {
        /// The client transaction.
        id: Id<ClientTx<O>>,
        /// Its owner.
        owner: O,
    },
    /// Another 2xx to an INVITE: a retransmission, or of another branch of a fork (RFC 6026 7.2). The TU acknowledges it.
    Repeat2xx {
        /// The client transaction.
        id: Id<ClientTx<O>>,
        /// Its owner.
        owner: O,
    },
    /// A retransmission, or an answer to a CANCEL of the layer's own.
    Absorbed,
    /// It belongs to no transaction, or cannot be read: dropped (RFC 3261 18.1.2, RFC 6026 7.2).
    Stray,
}

/// What time or a failure brings to the TU. A client transaction that is named here without an id has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TxEvent<O> {
    /// No final response in time; as if 408 had come (RFC 3261 8.1.3.1).
    ClientTimeout {
        /// Whose request it was.
        owner: O,
        /// The request's method.
        method: Method,
    },
    /// The transport failed; as if 503 had come (RFC 3261 8.1.3.1).
    ClientFailed {
        /// Whose request it was.
        owner: O,
        /// The request's method.
        method: Method,
    },
    /// No ACK for a non-2xx final response (timer H).
    ServerTimeout {
        /// Whose INVITE it was.
        owner: O,
    },
    /// Timer C has fired: the TU cancels the INVITE (RFC 3261 16.8). Comes again each time it fires.
    ProceedingTimeout {
        /// The INVITE's transaction, which goes on.
        id: Id<ClientTx<O>>,
        /// Its owner.
        owner: O,
    },
}

/// Marks a tag of the outbox as a server transaction's. Slots are far below 2^31.
pub(super) const SERVER_TAG: u64 = 1 << 31;

/// Timers that one [`Transactions::tick`] runs, at some 3 us with what they send; the rest is due at once again, after the sockets
/// had their turn.
pub const MAX_TIMERS_PER_TICK: usize = 1024;

#[derive(Clone, Copy, Debug)]
pub(super) enum AlarmKey<O> {
    Server(Id<ServerTx<O>>),
    Client(Id<ClientTx<O>>),
}

/// All transactions. `O` is the TU's name for one.
#[derive(Debug)]
pub struct Transactions<O: Copy + Debug> {
    pub(super) locals: Vec<SocketAddr>,
    pub(super) timers: Timers,
    pub(super) limits: Limits,
    pub(super) tcp_threshold: usize,
    pub(super) custom: Vec<CustomHeader>,
    pub(super) keys: Keys,
    pub(super) servers: Arena<ServerTx<O>>,
    pub(super) server_ids: HashedMap<Id<ServerTx<O>>>,
    pub(super) merged_ids: HashedMap<Id<ServerTx<O>>>,
    /// Non-INVITE server transactions in Completed, the first answered first; may name some that have ended.
    answered: VecDeque<Id<ServerTx<O>>>,
    evicted: u64,
    pub(super) clients: Arena<ClientTx<O>>,
    pub(super) client_ids: HashedMap<Id<ClientTx<O>>>,
    pub(super) alarms: AlarmQueue<AlarmKey<O>>,
    pub(super) events: VecDeque<TxEvent<O>>,
    pub(super) scratch: Scratch,
}

/// Buffers that are reused for every message.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub message: Vec<u8>,
    pub via: Vec<u8>,
    pub index: Index,
}

impl<O: Copy + Debug> Transactions<O> {
    /// An empty layer. `locals` are the addresses that stand in our Via, one for each `LocalId`; requests longer than
    /// `tcp_threshold` octets go by TCP where that is allowed. The secrets of keys, branches and tags are drawn from `rng`.
    pub fn new(
        locals: Vec<SocketAddr>,
        timers: Timers,
        limits: Limits,
        tcp_threshold: usize,
        rng: &mut Rng,
    ) -> Self {
        // a retransmission timer of zero would fire without end in one tick
        let repeating = [timers.t1, timers.t2, timers.c];
        assert!(repeating.iter().all(|t| !t.is_zero()), "T1, T2 and timer C are longer than nothing");
        Transactions {
            locals,
            timers,
            limits,
            tcp_threshold,
            custom: Vec::new(),
            keys: Keys::new(rng),
            servers: Arena::with_cap(limits.server),
            server_ids: HashedMap::default(),
            merged_ids: HashedMap::default(),
            answered: VecDeque::new(),
            evicted: 0,
            // every INVITE may be cancelled at the cap, too
            clients: Arena::with_cap(limits.client.saturating_mul(2)),
            client_ids: HashedMap::default(),
            alarms: AlarmQueue::new(),
            events: VecDeque::new(),
            scratch: Scratch::default(),
        }
    }

    /// A name that no peer can guess, different each time: for tags and Call-IDs.
    pub fn new_token(&mut self) -> Token {
        self.keys.token()
    }

    /// The address that stands in our Via on this socket.
    pub fn local_addr(&self, local: LocalId) -> Option<SocketAddr> {
        self.locals.get(usize::from(local.0)).copied()
    }

    /// The timer values.
    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Changes the length over which requests go by TCP.
    pub fn set_tcp_threshold(&mut self, octets: usize) {
        self.tcp_threshold = octets;
    }

    /// Changes what the operator adds to, replaces in, or removes from every message that is sent.
    pub fn set_custom_headers(&mut self, headers: Vec<CustomHeader>) {
        self.custom = headers;
    }

    /// When [`Transactions::tick`] must be called next, if ever.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.alarms.next_deadline()
    }

    /// The next event for the TU.
    pub fn pop_event(&mut self) -> Option<TxEvent<O>> {
        self.events.pop_front()
    }

    /// How many server transactions there are.
    pub fn server_count(&self) -> usize {
        self.servers.len()
    }

    /// How many client transactions there are.
    pub fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// Whether a request that we sent still waits for its final response. Looks at every client transaction.
    pub fn is_waiting(&self) -> bool {
        self.clients.iter().any(|(_, tx)| tx.machine.is_waiting())
    }

    /// Runs the timers that are due, up to [`MAX_TIMERS_PER_TICK`].
    pub fn tick(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..MAX_TIMERS_PER_TICK {
            let Some(key) = self.alarms.due(cx.now) else { break };
            match key {
                AlarmKey::Server(id) => {
                    let due = self.servers.get_mut(id).and_then(|tx| tx.timers.take_due(cx.now));
                    let (timer, interval) = due.expect("an alarm stands for a timer that is due");
                    self.drive_server(cx, id, Input::Fired(timer), interval);
                }
                AlarmKey::Client(id) => {
                    let due = self.clients.get_mut(id).and_then(|tx| tx.timers.take_due(cx.now));
                    let (timer, interval) = due.expect("an alarm stands for a timer that is due");
                    if !self.lose_patience_with_tcp(cx, id, timer) {
                        self.drive_client(cx, id, Input::Fired(timer), interval);
                    }
                }
            }
        }
    }

    /// Gives a server transaction an input and does what its machine asks. Returns whether the TU is to be told.
    pub(super) fn drive_server(
        &mut self,
        cx: &mut Cx<'_>,
        id: Id<ServerTx<O>>,
        input: Input,
        last: Duration,
    ) -> bool {
        let Some(tx) = self.servers.get_mut(id) else { return false };
        let mut deliver = false;
        for &action in tx.machine.advance(input) {
            match action {
                // RFC 4320 4.2: a transaction that must not say 408 ends without a word
                Action::Send if tx.response.is_empty() => {}
                Action::Send => {
                    trace::send(cx, tx.response_path(), &tx.response, server_tag(id), tx.trace_id);
                }
                Action::Deliver => deliver = true,
                Action::TimedOut => {
                    trace::warn(cx, tx.trace_id, format_args!("no ACK from {:?}", tx.flow));
                    self.events.extend(tx.owner.map(|owner| TxEvent::ServerTimeout { owner }));
                }
                Action::SendAck | Action::Expired | Action::Failed => {}
                Action::Start(_) | Action::Again(_) | Action::Slow(_) | Action::Stop(_) => {
                    set_timer(&mut tx.timers, action, &self.timers, tx.is_reliable, cx.now, last);
                }
            }
        }
        if tx.machine.is_terminated() {
            self.remove_server(id);
        } else {
            let at = tx.timers.next_deadline();
            self.alarms.set(&mut tx.timers.alarm, AlarmKey::Server(id), at);
            if tx.machine.only_absorbs() && matches!(input, Input::Success | Input::Failure) {
                self.answered.push_back(id);
            }
        }
        deliver
    }

    /// Makes room for a server transaction at the cap: the one that was answered first and is kept only to absorb repetitions
    /// ends before its timer J. A repetition that comes all the same is a new request. Returns whether there is room.
    pub(super) fn make_room(&mut self, cx: &mut Cx<'_>) -> bool {
        if !self.servers.is_full() {
            return true;
        }
        while let Some(id) = self.answered.pop_front() {
            let Some(tx) = self.servers.get(id) else { continue };
            self.evicted += 1;
            // told at 1, 2, 4, 8 … of them: a flood does not fill the log
            if self.evicted.is_power_of_two() {
                let (cap, count) = (self.limits.server, self.evicted);
                trace::warn(
                    cx,
                    tx.trace_id,
                    format_args!("{cap} server transactions: {count} answered ones ended early to make room"),
                );
            }
            self.remove_server(id);
            return true;
        }
        false
    }

    /// Gives a client transaction an input and does what its machine asks. Returns whether the TU is to be told.
    pub(super) fn drive_client(
        &mut self,
        cx: &mut Cx<'_>,
        id: Id<ClientTx<O>>,
        input: Input,
        last: Duration,
    ) -> bool {
        let Some(tx) = self.clients.get_mut(id) else { return false };
        let (owner, method) = (tx.owner, tx.method);
        let mut deliver = false;
        let mut event = None;
        for &action in tx.machine.advance(input) {
            match action {
                Action::Send => {
                    trace::send(cx, tx.flow, tx.request.message().octets(), id.to_bits(), tx.trace_id);
                }
                Action::SendAck => trace::send(cx, tx.flow, &tx.ack, id.to_bits(), tx.trace_id),
                Action::Deliver => deliver = true,
                Action::TimedOut => event = Some(TxEvent::ClientTimeout { owner, method }),
                Action::Failed => event = Some(TxEvent::ClientFailed { owner, method }),
                Action::Expired => event = Some(TxEvent::ProceedingTimeout { id, owner }),
                // RFC 3261 9.1: a cancelled INVITE waits 64*T1 and no longer
                Action::Start(Timer::C) if tx.cancel == Cancel::Sent => {}
                Action::Start(_) | Action::Again(_) | Action::Slow(_) | Action::Stop(_) => {
                    let reliable = tx.flow.transport.is_reliable();
                    set_timer(&mut tx.timers, action, &self.timers, reliable, cx.now, last);
                }
            }
        }
        if !tx.is_internal {
            self.events.extend(event);
        }
        if tx.machine.is_terminated() {
            self.remove_client(id);
        } else {
            let at = tx.timers.next_deadline();
            self.alarms.set(&mut tx.timers.alarm, AlarmKey::Client(id), at);
        }
        deliver
    }

    fn remove_server(&mut self, id: Id<ServerTx<O>>) {
        let Some(mut tx) = self.servers.remove(id) else { return };
        self.alarms.set(&mut tx.timers.alarm, AlarmKey::Server(id), None);
        self.server_ids.remove(&tx.key);
        if let Some(merged) = tx.merged {
            self.merged_ids.remove(&merged);
        }
        // timer J is the same for all, so they mostly end in the order in which they were answered
        while self.answered.front().is_some_and(|&first| self.servers.get(first).is_none()) {
            self.answered.pop_front();
        }
    }

    pub(super) fn remove_client(&mut self, id: Id<ClientTx<O>>) {
        let Some(mut tx) = self.clients.remove(id) else { return };
        self.alarms.set(&mut tx.timers.alarm, AlarmKey::Client(id), None);
        self.client_ids.remove(&tx.key);
    }

    /// Panics unless the tables agree with each other. For tests and simulations.
    pub fn check_invariants(&self) {
        let mut alarms = 0;
        let mut merged = 0;
        for (id, tx) in self.servers.iter() {
            assert_eq!(self.server_ids.get(&tx.key), Some(&id), "{id:?} is not found under its key");
            if let Some(key) = tx.merged {
                merged += 1;
                assert_eq!(self.merged_ids.get(&key), Some(&id), "{id:?} is not found as merged");
            }
            assert!(!tx.machine.is_terminated(), "{id:?} is terminated and still there");
            // one whose response is held runs no timer
            let waits = tx.final_status.is_some() && !tx.machine.holds();
            assert_eq!(tx.timers.alarm.is_set(), waits, "{id:?} {:?}: timer without need", tx.machine);
            alarms += usize::from(tx.timers.alarm.is_set());
        }
        for (id, tx) in self.clients.iter() {
            assert_eq!(self.client_ids.get(&tx.key), Some(&id), "{id:?} is not found under its key");
            assert!(!tx.machine.is_terminated(), "{id:?} is terminated and still there");
            assert!(tx.timers.alarm.is_set(), "{id:?} {:?} would stay for ever", tx.machine);
            alarms += 1;
        }
        assert_eq!(self.server_ids.len(), self.servers.len());
        assert_eq!(self.merged_ids.len(), merged);
        assert_eq!(self.client_ids.len(), self.clients.len());
        assert_eq!(self.alarms.len(), alarms);
    }
}

/// The outbox's tag for a response.
pub(super) fn server_tag<O>(id: Id<ServerTx<O>>) -> u64 {
    id.to_bits() | SERVER_TAG
}

/// Does one timer action.
fn set_timer(
    running: &mut super::timers::RunningTimers,
    action: Action,
    timers: &Timers,
    reliable: bool,
    now: Instant,
    last: Duration,
) {
    match action {
        Action::Start(timer) => match timers.first(timer, reliable) {
            Some(interval) => running.start(timer, now, interval),
            None => running.stop(timer),
        },
        Action::Again(timer) => running.start(timer, now, timers.next(timer, last)),
        Action::Slow(timer) => running.start(timer, now, timers.t2),
        Action::Stop(timer) => running.stop(timer),
        _ => {}
    }
}
