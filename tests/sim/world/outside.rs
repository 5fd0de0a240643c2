//! Who else has a say in calls: the operator, who ends them, changes them and has the network call phones; and a policy server,
//! which grants bearers when it likes, or does not.

use super::{Arrival, World};
use crate::phone::DOMAIN;
use imsbox::base::time::Duration;
use imsbox::ims::call::{Action, Callee, Order, Why};
use imsbox::ims::policy::{Command, Outcome, SessionId};
use imsbox::wire::sdp::MediaKind;
use std::collections::BTreeSet;

/// What a policy server says of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    Granted,
    Refused,
    Lost,
}

/// The policy sessions that the core has asked for and not given back.
#[derive(Default)]
pub struct PolicyServer(BTreeSet<SessionId>);

impl World {
    /// Whether there is a policy server in this run.
    pub(super) fn has_policy_server(seed: u64) -> bool {
        seed / 8 % 2 == 1
    }

    /// Lets the policy server hear what the core asks.
    pub(super) fn ask_policy_server(&mut self) {
        while let Some(command) = self.core.pop_bearer_command() {
            match command {
                Command::Reserve { session, needs } => {
                    assert!(self.phones.iter().any(|p| p.addr.ip() == needs.ue), "bearers for {}", needs.ue);
                    self.policy.0.insert(session);
                    self.decide(session);
                }
                Command::Release { session } => {
                    assert!(self.policy.0.remove(&session), "policy session {session} ends twice");
                }
            }
        }
    }

    fn decide(&mut self, session: SessionId) {
        let faults = &self.net.faults;
        let (decision, most) = match self.rng.below(1000) {
            n if n < faults.bearer_refused => (Decision::Refused, 3000),
            // no answer, ever
            n if n < faults.bearer_refused + faults.bearer_late / 4 => return,
            n if n < faults.bearer_refused + faults.bearer_late => (Decision::Granted, 20_000),
            _ => (Decision::Granted, 400),
        };
        let at = self.now + Duration::from_millis(self.rng.below(most));
        self.net.at(at, Arrival::Bearers { session, decision });
        if self.rng.below(1000) < self.net.faults.bearer_refused / 2 {
            let later = at + Duration::from_millis(self.rng.below(40_000));
            self.net.at(later, Arrival::Bearers { session, decision: Decision::Lost });
        }
    }

    /// A decision comes, perhaps when the session has ended.
    pub(super) fn bearers(&mut self, session: SessionId, decision: Decision) {
        self.outcome.bearers += 1;
        self.with_core(|core, cx| {
            let outcome = match decision {
                Decision::Granted => Outcome::Granted,
                Decision::Refused => Outcome::Refused("no room in the cell"),
                Decision::Lost => Outcome::Lost("the radio has gone"),
            };
            core.on_bearers(cx, session, outcome);
        });
    }

    pub(super) fn bearers_are_given_back(&self) {
        assert!(self.policy.0.is_empty(), "policy sessions left: {:?}", self.policy.0);
    }

    /// The network calls somebody.
    pub(super) fn network_calls(&mut self) {
        if self.rng.below(6) != 0 {
            return;
        }
        let users = self.phones.iter().filter(|p| p.name.starts_with('u')).count() as u64;
        let number = self.rng.below(users + 1);
        let name = if number == users { "duo".to_owned() } else { format!("u{number}") };
        let order = Order {
            callee: Callee::Any(format!("sip:{name}@{DOMAIN}")),
            caller: (self.rng.below(2) == 0).then(|| format!("sip:u0@{DOMAIN}")),
            media: None,
            duration: (self.rng.below(3) != 0).then(|| Duration::from_secs(1 + self.rng.below(40))),
            sos: false,
        };
        // who is not registered cannot be called, and that is said
        self.with_core(|core, cx| _ = core.call(cx, order));
        self.outcome.network_calls += 1;
    }

    /// The operator ends a call, or does something in it.
    pub(super) fn operate(&mut self) {
        if self.rng.below(1000) >= self.net.faults.stop {
            return;
        }
        let views = self.core.dialog_views(self.now);
        let running: Vec<u32> = views.iter().filter(|v| v.state != "stop").map(|v| v.index).collect();
        let Some(&index) = running.get(self.rng.below(running.len().max(1) as u64) as usize) else { return };
        let kind = [None, Some(MediaKind::Audio), Some(MediaKind::Video)][self.rng.below(3) as usize];
        let blocked = self.rng.below(2) == 0;
        let action = match self.rng.below(8) {
            0 | 1 => Action::Hold(kind),
            2 | 3 => Action::Reinvite(None),
            4 => Action::Downgrade(MediaKind::Video),
            5 => Action::Media { media: kind, rtp: Some(!blocked), rtcp: None },
            6 => Action::Stop(Why::default()),
            _ => return self.stop(index),
        };
        let is_of_audio = matches!(action, Action::Media { .. }) && kind != Some(MediaKind::Video);
        let mut is_done = false;
        // what cannot be done is said in words
        self.with_core(|core, cx| is_done = core.set_dialog(cx, index, action).is_ok());
        match is_done && is_of_audio {
            true if blocked => _ = self.blocked.insert(index),
            true => _ = self.blocked.remove(&index),
            false => {}
        }
        self.outcome.operated += 1;
    }

    /// Whether the operator lets nothing come back to a phone from the echo number.
    pub(super) fn is_blocked(&self, phone: usize) -> bool {
        let views = self.core.dialog_views(self.now);
        let mut running = views.iter().filter(|v| v.kind == "echo" && self.blocked.contains(&v.index));
        running.any(|v| v.from.contains(&self.phones[phone].name) && v.medias.iter().any(|m| m.rtp_block))
    }

    fn stop(&mut self, index: u32) {
        self.with_core(|core, cx| core.stop_dialog(cx, index).expect("it was running"));
        let views = self.core.dialog_views(self.now);
        assert!(views.iter().any(|v| v.index == index && v.state == "stop"), "dialog {index} runs on");
        self.outcome.stopped += 1;
    }
}
