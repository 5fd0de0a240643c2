//! What waits until the disk has what it stands for. The 200s to REGISTERs: a phone that is told it is registered stays so when this
//! program is killed the next moment, and one that is told it is not does not come back. And the first challenge of a SIM, or the next ones while
//! the disk is not that far: its sequence number serves no second time.
//!
//! What follows from a registration follows from its 200: nothing is sent to a new contact before, and calls to one that was taken away
//! go on for so long. A contact that is refreshed is reached at its new place at once, as it has left the old one.
//!
//! Nobody is refused where the disk fails or is slow: it would keep phones from their calls for the sake of a restart that may never
//! come, and the next REGISTER mends what that costs. It is said in the log instead.

use super::core::Service;
use super::limits::{MAX_ACKNOWLEDGEMENTS, REGISTER_PATIENCE};
use super::registrar::{Binding, Removed};
use super::subscriber::UserId;
use crate::base::arena::Id;
use crate::base::time::Instant;
use crate::base::trace::Level;
use crate::ims::call::ServerId;
use crate::ims::dispatch::{Due, Refusal, refuse, send_challenge};
use crate::proto::cx::Cx;
use smallvec::SmallVec;
use std::collections::VecDeque;

/// What was not sent yet.
#[derive(Debug)]
pub(super) enum Owed {
    /// A 200 to a REGISTER.
    Ok(Acknowledgement),
    /// A challenge to any request.
    Challenge(Due),
}

impl Owed {
    fn user(&self) -> UserId {
        match self {
            Owed::Ok(ok) => ok.user,
            Owed::Challenge(due) => due.user,
        }
    }

    /// What a crash costs when it leaves too early.
    const fn risk(&self) -> &'static str {
        match self {
            Owed::Ok(_) => "would lose it",
            Owed::Challenge(_) => "would use its sequence number twice",
        }
    }
}

/// A 200 that was made and not sent.
#[derive(Debug)]
pub(super) struct Acknowledgement {
    /// The transaction that holds it.
    pub(super) tx: ServerId,
    /// Whose registration it is.
    pub(super) user: UserId,
    /// What was made or refreshed.
    pub(super) bound: SmallVec<[Id<Binding>; 1]>,
    /// What was taken away; the records are deleted already.
    pub(super) gone: SmallVec<[Removed; 1]>,
}

/// All of them, in the order of their tickets.
#[derive(Debug, Default)]
pub(super) struct Acknowledgements {
    /// Those whose records are not all on their way yet: security associations are stored and deleted when all is settled.
    unsettled: VecDeque<Owed>,
    waiting: VecDeque<(u64, Instant, Owed)>,
}

impl Acknowledgements {
    /// Adds one, whose records go out before the input is settled.
    pub(super) fn push(&mut self, owed: Owed) {
        self.unsettled.push_back(owed);
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.unsettled.is_empty() && self.waiting.is_empty()
    }

    /// When the first has waited too long.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|(_, at, _)| *at)
    }

    fn pop_kept(&mut self, is_kept: impl Fn(u64, Instant) -> bool) -> Option<Owed> {
        is_kept(self.waiting.front()?.0, self.waiting.front()?.1)
            .then(|| self.waiting.pop_front())?
            .map(|(.., owed)| owed)
    }
}

impl Service {
    /// All records of an input are on their way: what they are for waits for the last of them, or leaves at once. Whether any left.
    pub(super) fn settle_acknowledgements(&mut self, cx: &mut Cx<'_>) -> bool {
        let ticket = cx.out.last_ticket();
        let mut any = false;
        while let Some(owed) = self.acknowledgements.unsettled.pop_front() {
            // anybody can ask for challenges, which leave room for the 200s
            let most = match owed {
                Owed::Ok(_) => MAX_ACKNOWLEDGEMENTS,
                Owed::Challenge(_) => MAX_ACKNOWLEDGEMENTS / 2,
            };
            let is_full = self.acknowledgements.waiting.len() >= most;
            if is_full || self.disk.is_durable(ticket) || self.disk.refusal().is_some() {
                self.give(cx, &owed);
                any = true;
            } else {
                self.acknowledgements.waiting.push_back((ticket, cx.now + REGISTER_PATIENCE, owed));
            }
        }
        any
    }

    /// The disk has more records than before, or refuses them: what need not or cannot be waited for leaves. Whether anything did.
    pub(super) fn keep_acknowledgements(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut any = false;
        let is_refused = self.disk.refusal().is_some();
        while let Some(owed) =
            self.acknowledgements.pop_kept(|ticket, _| is_refused || self.disk.is_durable(ticket))
        {
            self.give(cx, &owed);
            any = true;
        }
        any
    }

    /// The program ends now: all leave.
    pub(super) fn give_acknowledgements(&mut self, cx: &mut Cx<'_>) {
        while let Some(owed) = self.acknowledgements.pop_kept(|_, _| true) {
            self.give(cx, &owed);
        }
    }

    /// Those that have waited too long leave, too.
    pub(super) fn expire_acknowledgements(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        while let Some(owed) = self.acknowledgements.pop_kept(|_, give_up_at| give_up_at <= now) {
            let impi = &self.subscribers.user(owed.user()).impi;
            let (secs, risk) = (REGISTER_PATIENCE.as_secs(), owed.risk());
            let text = format_args!(
                "{impi}: answered before the disk has it, for which {secs} s were not enough: a crash now {risk}"
            );
            self.troubles.mention(cx, Level::Warn, text);
            self.give(cx, &owed);
        }
    }

    fn give(&mut self, cx: &mut Cx<'_>, owed: &Owed) {
        match owed {
            Owed::Ok(ok) => self.acknowledge(cx, ok),
            Owed::Challenge(due) => send_challenge(self, cx, due),
        }
    }

    fn acknowledge(&mut self, cx: &mut Cx<'_>, owed: &Acknowledgement) {
        let is_alive = |binding: &Id<Binding>| self.registrar.binding(*binding).is_some();
        if owed.bound.is_empty() || owed.bound.iter().any(is_alive) {
            self.txs.send_held(cx, owed.tx);
        } else {
            self.txs.drop_held(owed.tx);
            let refusal = Refusal::new(500, "what was registered has been taken away meanwhile");
            refuse(self, cx, owed.tx, &refusal);
        }
        for binding in &owed.bound {
            self.registrar.acknowledge(*binding);
        }
        for removed in &owed.gone {
            self.on_gone(cx, *removed);
        }
    }
}
