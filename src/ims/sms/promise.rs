//! What is owed to senders, the operator among them, until the disk has their texts, and to phones until it has their reports.
//!
//! A 202 and an RP-ACK say that the text will be delivered whatever happens to this program, and the 202 of a delivery report that the text
//! will not come again: so they wait for the ticket of the record.

use super::order::OrderId;
use super::recent::Noted;
use super::told::News;
use crate::base::arena::Id;
use crate::base::time::{Instant, UnixTime};
use crate::ims::call::ServerId;
use crate::ims::registrar::Binding;
use crate::ims::subscriber::UserId;
use smallvec::SmallVec;
use std::collections::VecDeque;

/// Whose text it is: how its sender is answered.
#[derive(Debug)]
pub(super) enum Sender {
    /// A phone, by RP-ACK or RP-ERROR.
    Phone {
        /// Whose.
        user: UserId,
        /// Over what.
        line: Line,
        /// RP-MR.
        reference: u8,
        /// When it came; a repetition: when the first came.
        came: UnixTime,
        /// Its SUBMIT or COMMAND, where that is known now: when it comes again it is a repetition.
        noted: Option<Noted>,
    },
    /// A soft client, by a response to its MESSAGE.
    Plain(ServerId),
    /// The operator, who is told of this order.
    Operator(OrderId),
    /// This centre itself.
    Inside,
}

/// The way to a phone that has sent an RPDU.
#[derive(Debug)]
pub(super) enum Line {
    /// In a MESSAGE to a contact.
    Ims {
        /// The transaction of the phone's MESSAGE.
        tx: ServerId,
        /// The contact.
        contact: Id<Binding>,
        /// Call-ID of the phone's MESSAGE.
        call_id: Box<[u8]>,
    },
    /// Over SGs.
    Sgs,
}

/// Something to be said once a record is on the disk.
#[derive(Debug)]
pub(super) enum Promise {
    /// These texts are taken.
    Taken {
        /// Who is told.
        sender: Sender,
        /// Recipients and numbers.
        texts: SmallVec<[(UserId, u64); 1]>,
        /// Who is told the same, having repeated it meanwhile.
        again: Vec<Sender>,
        /// What clients of the remote API are told then.
        news: Option<Box<News>>,
    },
    /// The report on a text is taken.
    Reported(Reporter),
}

impl Promise {
    /// These texts, and with them all that has gone to the disk so far, are taken.
    pub(super) fn taken(sender: Sender, texts: SmallVec<[(UserId, u64); 1]>) -> Promise {
        Promise::Taken { sender, texts, again: Vec::new(), news: None }
    }
}

/// Who has reported on a text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reporter {
    /// A phone in a MESSAGE, which is answered.
    Ims(ServerId),
    /// A user's phone over SGs, where its CP-DATA is acknowledged.
    Sgs(UserId),
}

/// All promises, in the order of their tickets.
#[derive(Debug, Default)]
pub(super) struct Promises(VecDeque<(u64, Instant, Promise)>);

impl Promises {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds one whose record has this ticket, the last one given; it is broken at `give_up_at`.
    pub(super) fn push(&mut self, ticket: u64, give_up_at: Instant, promise: Promise) {
        debug_assert!(self.0.back().is_none_or(|(last, ..)| *last <= ticket), "tickets grow");
        self.0.push_back((ticket, give_up_at, promise));
    }

    /// Adds what clients are told when the promise that was made last is kept.
    pub(super) fn add_news(&mut self, what: News) {
        if let Some((.., Promise::Taken { news, .. })) = self.0.back_mut() {
            *news = Some(Box::new(what));
        }
    }

    /// Who has repeated a text of which the first promise is not kept yet; none when it is.
    pub(super) fn repeated(&mut self, first: Noted) -> Option<&mut Vec<Sender>> {
        self.0.iter_mut().find_map(|(.., promise)| match promise {
            Promise::Taken { sender: Sender::Phone { noted: Some(own), .. }, again, .. } => {
                (*own == first).then_some(again)
            }
            Promise::Taken { .. } | Promise::Reported(_) => None,
        })
    }

    /// The next one whose record is on the disk.
    pub(super) fn pop_kept(&mut self, is_durable: impl Fn(u64) -> bool) -> Option<Promise> {
        is_durable(self.0.front()?.0).then(|| self.0.pop_front())?.map(|(.., promise)| promise)
    }

    /// The next one that has waited too long; any, where the disk refuses.
    pub(super) fn pop_broken(&mut self, now: Instant, is_refused: bool) -> Option<Promise> {
        let is_broken = self.0.front().is_some_and(|(_, at, _)| is_refused || *at <= now);
        is_broken.then(|| self.0.pop_front())?.map(|(.., promise)| promise)
    }

    /// When the next one has waited too long.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.0.front().map(|(_, at, _)| *at)
    }
}
