//! How much the core holds.

use super::core::{Core, Service};

/// How many of each thing there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// Registered contacts.
    pub bindings: usize,
    /// Sets of security associations.
    pub sets: usize,
    /// Challenges that wait for an answer.
    pub challenges: usize,
    /// Calls, those that ended a short while ago among them.
    pub calls: usize,
    /// Texts under way.
    pub messages: usize,
    /// Short messages that wait.
    pub sms: usize,
    /// Who waits for the disk to have a short message, or a report on one.
    pub sms_promises: usize,
    /// Subscriptions, those whose last NOTIFY is under way among them.
    pub subscriptions: usize,
    /// Server transactions.
    pub server_transactions: usize,
    /// Client transactions.
    pub client_transactions: usize,
}

impl Core {
    /// How many bindings, challenges, calls, subscriptions and transactions there are: what must be none when all is quiet.
    pub fn load(&self) -> Load {
        let Service { registrar, auth, security, txs, calls, messages, sms, reg_events, .. } = &self.service;
        Load {
            bindings: registrar.len(),
            sets: security.len(),
            challenges: auth.pending(),
            calls: calls.len(),
            messages: messages.len(),
            sms: sms.len(),
            sms_promises: sms.promises(),
            subscriptions: reg_events.len(),
            server_transactions: txs.server_count(),
            client_transactions: txs.client_count(),
        }
    }
}
