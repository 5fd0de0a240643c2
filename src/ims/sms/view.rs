//! What the centre shows of a user's queue.

use super::Sms;
use super::inbox::{Inbox, Why};
use crate::base::arena::Id;
use crate::base::time::Instant;
use crate::ims::registrar::Binding;
use crate::ims::subscriber::UserId;

/// A user's queue.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SmsView {
    /// How many short messages wait.
    pub pending: usize,
    /// The contacts that one is on its way to.
    pub under_way_to: Vec<Id<Binding>>,
    /// Why the next one waits, in words; none when one is under way.
    pub why: Option<String>,
    /// Seconds until the next attempt, when there is a time for it.
    pub retry_in: Option<u64>,
}

impl Sms {
    /// The queue of a user.
    pub fn view_of(&self, user: UserId, now: Instant) -> SmsView {
        let Some(inbox) = self.inboxes.get(&user) else { return SmsView::default() };
        let under_way_to = inbox.attempt.iter().flat_map(|attempt| attempt.contacts()).collect();
        let is_waiting = inbox.attempt.is_none() && !inbox.texts.is_empty();
        let retry_at = inbox
            .pause
            .or_else(|| inbox.texts.iter().map(|text| text.ready_at()).min().filter(|at| *at > now));
        SmsView {
            pending: inbox.texts.len(),
            under_way_to,
            why: is_waiting.then(|| words(inbox, now)),
            retry_in: retry_at.filter(|_| is_waiting).map(|at| at.since(now).as_secs()),
        }
    }
}

fn words(inbox: &Inbox, now: Instant) -> String {
    match &inbox.why {
        Some(why) => why.to_string(),
        None if inbox.texts.iter().all(|text| !text.is_durable) => {
            "the disk has not stored it yet".to_owned()
        }
        None if inbox.texts.iter().all(|text| text.due_at > now) => "it is held back (sms_delay)".to_owned(),
        None => Why::Nowhere("it was not tried yet").to_string(),
    }
}
