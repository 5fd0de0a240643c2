//! Preconditions of a call: nobody rings before the resources of both sides are there (RFC 3312, RFC 4032, TS 24.229 5.1.3.1,
//! 5.1.4.1).
//!
//! The phone has no radio: its bearer is simulated, and is there some time after both sides know of the session.

use super::Phone;
use super::call::{Call, State};
use super::change::Change;
use super::client::{Purpose, Timers};
use super::event::Party;
use super::inbound::Reply;
use super::sdp::TheirQos;
use super::server::ServerId;
use imsbox::base::time::{Duration, Instant};

/// The resources of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Whether ours are there.
    pub local: bool,
    /// Whether theirs are there, as far as we know.
    pub remote: bool,
    /// When ours will be there.
    pub ready_at: Option<Instant>,
    /// Whether the other side takes part.
    pub is_shared: bool,
    /// Whether they are to be told when ours are there, and have not been.
    pub owes: bool,
    /// When nobody waits any longer.
    pub fails_at: Option<Instant>,
}

impl Resources {
    /// Those of a call that begins: without a delay ours are there at once.
    pub fn new(delay: Duration) -> Resources {
        let local = delay.is_zero();
        Resources { local, remote: false, ready_at: None, is_shared: false, owes: false, fails_at: None }
    }

    /// Whether both sides can be heard.
    pub fn are_there(&self) -> bool {
        self.local && self.remote
    }

    /// When something happens to them.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.ready_at, self.fails_at].into_iter().flatten().min()
    }

    /// Takes what a description of theirs says. Ours is on its way from the first time on.
    fn learn(&mut self, now: Instant, delay: Duration, qos: TheirQos) {
        self.is_shared = true;
        self.remote = qos.is_ready;
        self.owes |= qos.asks && !self.local;
        if !self.local && self.ready_at.is_none() {
            self.ready_at = Some(now + delay);
        }
    }
}

impl Call {
    /// How the resources stand in our next description.
    pub(super) fn resource_lines(&self) -> Option<(bool, bool)> {
        self.resources.map(|r| (r.local, r.remote))
    }
}

impl Phone {
    /// Takes what their description says of preconditions, if it does.
    pub(super) fn learn_resources(&mut self, now: Instant, qos: Option<TheirQos>) {
        let delay = self.settings.bearer_delay;
        let Some(call) = self.call.as_mut() else { return };
        let is_caller = matches!(call.state, State::Calling(_));
        if let (Some(qos), Some(resources)) = (qos, &mut call.resources) {
            resources.learn(now, delay, qos);
            // TS 24.229 5.1.3.1: the caller tells without being asked
            resources.owes |= is_caller && !resources.local;
        }
    }

    /// The INVITE of a call that waits for resources: how long that may take.
    pub(super) fn wait_for_resources(&mut self, now: Instant) {
        let life = Timers { t1: self.settings.t1 }.life();
        if let Some(resources) = self.call.as_mut().and_then(|c| c.resources.as_mut()) {
            resources.fails_at = Some(now + life);
        }
    }

    pub(super) fn tick_resources(&mut self, now: Instant) {
        let Some(resources) = self.call.as_mut().and_then(|c| c.resources.as_mut()) else { return };
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(resources.fails_at) {
            resources.fails_at = None;
            return self.give_up_waiting(now);
        }
        if due(resources.ready_at) {
            resources.ready_at = None;
            resources.local = true;
            self.resources_changed(now);
        }
    }

    /// Tells the other side of our resources, and rings when all are there.
    pub(super) fn resources_changed(&mut self, now: Instant) {
        let has_open_prack = self.clients.has_open(Purpose::Prack);
        let Some(call) = self.call.as_mut() else { return };
        // RFC 3311 5.1: an UPDATE with an offer waits until the last offer has its answer, and the answer its PRACK
        let is_settled = !has_open_prack && !call.waits_for_prack(&self.servers);
        let is_free = call.change.is_none() && call.is_wanted() && is_settled;
        let Some(resources) = call.resources.as_mut().filter(|r| r.is_shared) else { return };
        if resources.local && resources.owes && is_free {
            resources.owes = false;
            self.start_change(now, Change::Resources);
        }
        self.alert_if_ready(now);
    }

    /// Rings when the resources of both sides are there, and our 183 has arrived.
    fn alert_if_ready(&mut self, now: Instant) {
        let Some(call) = self.call.as_ref() else { return };
        let State::Ringing(id) = call.state else { return };
        let is_ready = call.resources.is_none_or(|r| r.are_there());
        if is_ready && !call.is_alerting && !call.waits_for_prack(&self.servers) {
            self.alert(now, id);
        }
    }

    fn give_up_waiting(&mut self, now: Instant) {
        let Some(call) = self.call.as_ref().filter(|c| !c.is_alerting) else { return };
        let State::Ringing(id) = call.state else { return };
        let tag = call.tag();
        // RFC 3312 8: 580 Precondition Failure
        self.respond(now, id, 580, Reply { tag: Some(tag), ..Reply::default() });
        self.end_call(Party::They, 580, "the caller's resources have not come");
    }
}

impl Call {
    /// Whether a reliable provisional response of ours is not acknowledged yet.
    pub(super) fn waits_for_prack(&self, servers: &super::server::Servers) -> bool {
        let id: Option<ServerId> = match self.state {
            State::Ringing(id) => Some(id),
            _ => None,
        };
        id.is_some_and(|id| servers.waits_for_prack(id))
    }
}
