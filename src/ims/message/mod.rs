//! Texts (page-mode MESSAGE, RFC 3428): relayed from a registered user to another's phones, or sent back by an echo number.
//!
//! [`Messages`] owns every text under way: `admit` decides what becomes of a MESSAGE, `relay` sends it to the contacts and brings
//! the answer back, `echo` writes what an echo number sends. As in a call, each side has a transaction of its own and what
//! belongs to it (Call-ID, tags, CSeq); all else passes as it came, whatever the type of the body.
//!
//! A text whose phone cannot be reached now is refused, and its sender told: nothing is stored here. Not here: who may send
//! (dispatch), a MESSAGE inside a call (call), short messages, and plain texts that are kept as such for who is not there (sms).

mod admit;
mod echo;
pub mod limits;
mod relay;

#[cfg(test)]
mod tests;

pub(in crate::ims) use admit::respond;
pub use relay::{Part, Relay};

use crate::base::arena::{Arena, Id};
use crate::base::time::Instant;
use crate::base::timer::AlarmQueue;
use crate::ims::call::ServerId;
use crate::ims::core::View;
use crate::ims::dispatch::Caller;
use crate::ims::owner::Owner;
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::proto::sip::transaction::{Answer, TxEvent};
use crate::wire::sip::Message;
use admit::Refusal;
use limits::{MAX_RELAYS, MAX_RELAYS_PER_SENDER};
use std::collections::BTreeMap;

/// All texts under way.
#[derive(Debug)]
pub struct Messages {
    relays: Arena<Relay>,
    alarms: AlarmQueue<Id<Relay>>,
    /// How many are whose; nobody with none.
    by_sender: BTreeMap<UserId, usize>,
}

impl Default for Messages {
    fn default() -> Self {
        Self::new()
    }
}

impl Messages {
    /// No texts.
    pub fn new() -> Self {
        Messages {
            relays: Arena::with_cap(MAX_RELAYS),
            alarms: AlarmQueue::new(),
            by_sender: BTreeMap::new(),
        }
    }

    /// How many texts are under way.
    pub fn len(&self) -> usize {
        self.relays.len()
    }

    /// Whether no text is under way.
    pub fn is_empty(&self) -> bool {
        self.relays.is_empty()
    }

    /// A MESSAGE outside of any dialog. Whether the sender may send has been decided.
    pub fn on_message(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        tx: ServerId,
        msg: &Message<'_>,
        caller: Caller,
    ) {
        let relay = admit::relay(view, cx, tx, msg, caller);
        match relay.and_then(|relay| self.insert(relay)) {
            Ok(id) => self.with(view, cx, id, Relay::start),
            Err(refusal) => refusal.send(view, cx, tx, msg, caller),
        }
    }

    /// A response to a MESSAGE of ours.
    pub fn on_answer(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        part: Part,
        answer: Answer<Owner>,
        msg: &Message<'_>,
    ) {
        if matches!(answer, Answer::Final { .. }) {
            self.with(view, cx, part.relay, |r, _, view, cx| r.on_final(part, view, cx, msg));
        }
    }

    /// Time or a failure has ended the transaction of a MESSAGE of ours.
    pub fn on_tx_event(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, part: Part, event: TxEvent<Owner>) {
        let status = match event {
            TxEvent::ClientTimeout { .. } => 408,
            TxEvent::ClientFailed { .. } => 480,
            TxEvent::ServerTimeout { .. } | TxEvent::ProceedingTimeout { .. } => return,
        };
        self.with(view, cx, part.relay, |r, _, view, cx| r.on_failure(part, view, cx, status, None));
    }

    /// Runs what is due.
    pub fn tick(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>) {
        while let Some(id) = self.alarms.due(cx.now) {
            self.with(view, cx, id, Relay::on_tick);
        }
    }

    /// When [`Messages::tick`] must be called next, if ever.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.alarms.next_deadline()
    }

    /// Takes a text in, unless there is no room.
    fn insert(&mut self, relay: Relay) -> Result<Id<Relay>, Refusal> {
        let sender = relay.sender.user;
        let has_many = |user| self.by_sender.get(&user).is_some_and(|n| *n >= MAX_RELAYS_PER_SENDER);
        if sender.is_some_and(has_many) {
            return Err(Refusal::NO_ROOM);
        }
        let id = self.relays.insert(relay).map_err(|_| Refusal::NO_ROOM)?;
        if let Some(user) = sender {
            *self.by_sender.entry(user).or_default() += 1;
        }
        Ok(id)
    }

    /// Lets something happen to a text, and sees to its alarm and its end.
    fn with(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        id: Id<Relay>,
        what: impl FnOnce(&mut Relay, Id<Relay>, &mut View<'_>, &mut Cx<'_>),
    ) {
        let Some(relay) = self.relays.get_mut(id) else { return };
        what(relay, id, view, cx);
        let at = relay.next_deadline().filter(|_| !relay.is_over);
        self.alarms.set(&mut relay.alarm, id, at);
        if !relay.is_over {
            return;
        }
        let sender = self.relays.remove(id).and_then(|r| r.sender.user);
        if let Some(user) = sender
            && let Some(n) = self.by_sender.get_mut(&user)
        {
            *n -= 1;
            if *n == 0 {
                self.by_sender.remove(&user);
            }
        }
    }
}
