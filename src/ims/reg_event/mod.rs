//! The registration event package: phones subscribe to the state of their own registration (RFC 3680, RFC 6665, TS 24.229
//! 5.4.2.1).
//!
//! [`RegEvents`] owns every subscription and hands each input to it: `subscribe` judges SUBSCRIBEs, `notify` sends NOTIFYs,
//! `reginfo` writes their documents, `subscription` remembers what was told. A subscription has one NOTIFY under way at most,
//! except where a SUBSCRIBE asks for another; what changes meanwhile goes into the next one.
//!
//! Subscriptions do not outlive the program: a phone's next refresh is answered 481, and it subscribes anew. Not here: who may
//! register (registration), partial state, filters (RFC 3680 4.3), other packages.

pub mod limits;
mod notify;
pub(super) mod reginfo;
mod subscribe;
mod subscription;
mod xml;

pub use notify::Part;
use notify::TooLong;
pub(super) use subscribe::{on_refresh, on_subscribe};
pub use subscription::Subscription;

use crate::base::arena::{Arena, Id};
use crate::base::hash::HashedMap;
use crate::base::time::Instant;
use crate::base::timer::AlarmQueue;
use crate::base::trace::{Level, Subject};
use crate::ims::core::View;
use crate::ims::owner::Owner;
use crate::ims::registrar::Removed;
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::proto::sip::dialog::Dialog;
use crate::proto::sip::transaction::{Answer, TxEvent};
use crate::wire::sip::Message;
use crate::wire::sip::text::lossy;
use limits::{MAX_SUBSCRIPTIONS, MAX_SUBSCRIPTIONS_PER_CONTACT, MAX_SUBSCRIPTIONS_PER_USER};
use smallvec::SmallVec;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use subscription::{End, State};

/// All subscriptions.
#[derive(Debug)]
pub struct RegEvents {
    subscriptions: Arena<Subscription>,
    by_dialog: HashedMap<Id<Subscription>>,
    /// Oldest first.
    by_user: BTreeMap<UserId, SmallVec<[Id<Subscription>; 2]>>,
    alarms: AlarmQueue<Id<Subscription>>,
    /// Those that have something to tell, and may.
    ready: VecDeque<Id<Subscription>>,
}

impl Default for RegEvents {
    fn default() -> Self {
        Self::new()
    }
}

impl RegEvents {
    /// No subscriptions.
    pub fn new() -> Self {
        RegEvents {
            subscriptions: Arena::with_cap(MAX_SUBSCRIPTIONS),
            by_dialog: HashedMap::default(),
            by_user: BTreeMap::new(),
            alarms: AlarmQueue::new(),
            ready: VecDeque::new(),
        }
    }

    /// How many subscriptions there are, those whose last NOTIFY is under way among them.
    pub fn len(&self) -> usize {
        self.subscriptions.len()
    }

    /// Whether there is no subscription.
    pub fn is_empty(&self) -> bool {
        self.subscriptions.is_empty()
    }

    /// Whether a phone of the user is told of its registration.
    pub fn has_subscriber(&self, user: UserId) -> bool {
        self.of_user(user)
            .iter()
            .any(|id| self.subscriptions.get(*id).is_some_and(|s| s.state == State::Active))
    }

    /// The subscription that a request inside a dialog belongs to.
    pub fn find(&self, msg: &Message<'_>) -> Option<Id<Subscription>> {
        self.by_dialog.get(&Dialog::key_of(msg)?.to_bits()).copied()
    }

    /// Bindings of a user were made or refreshed.
    pub fn on_changed(&mut self, view: &View<'_>, cx: &Cx<'_>, user: UserId) {
        for id in self.of_user(user) {
            self.with(cx, id, |s| s.on_changed(view.registrar));
        }
    }

    /// A binding has gone.
    pub fn on_removed(&mut self, view: &View<'_>, cx: &Cx<'_>, removed: Removed) {
        for id in self.of_user(removed.user) {
            self.with(cx, id, |s| s.on_removed(view.registrar, removed));
        }
    }

    /// A response to a NOTIFY.
    pub fn on_answer(
        &mut self,
        view: &View<'_>,
        cx: &mut Cx<'_>,
        part: Part,
        answer: Answer<Owner>,
        msg: &Message<'_>,
    ) {
        if !matches!(answer, Answer::Final { .. }) {
            return;
        }
        let status = msg.status();
        if (200..300).contains(&status)
            && let Some(s) = self.subscriptions.get_mut(part.id)
        {
            s.dialog.on_response(msg);
        }
        self.on_outcome(view, cx, part, status);
    }

    /// Time or a failure has ended a NOTIFY's transaction.
    pub fn on_tx_event(&mut self, view: &View<'_>, cx: &mut Cx<'_>, part: Part, event: TxEvent<Owner>) {
        match event {
            TxEvent::ClientTimeout { .. } => self.on_outcome(view, cx, part, 408),
            TxEvent::ClientFailed { .. } => self.on_outcome(view, cx, part, 503),
            TxEvent::ServerTimeout { .. } | TxEvent::ProceedingTimeout { .. } => {}
        }
    }

    /// Runs what is due.
    pub fn tick(&mut self, cx: &Cx<'_>) {
        while let Some(id) = self.alarms.due(cx.now) {
            self.with(cx, id, |s| {
                if s.expires_at <= cx.now {
                    s.end(End::Timeout);
                }
            });
        }
    }

    /// When [`RegEvents::tick`] must be called next, if ever.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.alarms.next_deadline()
    }

    /// Sends the NOTIFY of the next subscription that has something to tell; whether there was one.
    pub fn notify_next(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>) -> bool {
        let Some(id) = self.ready.pop_front() else { return false };
        let Some(s) = self.subscriptions.get_mut(id) else { return true };
        s.is_ready = false;
        if !s.is_due(cx.now) {
            return true;
        }
        match notify::send(s, id, view, cx) {
            Ok(()) => self.with(cx, id, |_| {}),
            Err(TooLong) => self.forget(view, cx, id, format_args!("its NOTIFY is too long")),
        }
        true
    }

    /// Whether the user may have one more subscription.
    fn has_room(&self, user: UserId) -> bool {
        !self.subscriptions.is_full() && self.of_user(user).len() < MAX_SUBSCRIPTIONS_PER_USER
    }

    /// Takes a subscription in; `None` when there is no room. Where its contact has many, the oldest goes.
    fn insert(&mut self, view: &View<'_>, cx: &mut Cx<'_>, new: Subscription) -> Option<Id<Subscription>> {
        let (user, binding) = (new.user, new.binding);
        let mut of_contact = self.of_user(user);
        of_contact.retain(|id| {
            binding.is_some() && self.subscriptions.get(*id).is_some_and(|s| s.binding == binding)
        });
        if of_contact.len() >= MAX_SUBSCRIPTIONS_PER_CONTACT {
            self.forget(view, cx, of_contact[0], format_args!("the phone has newer ones"));
        }
        let key = new.dialog.id().to_bits();
        let id = Some(new).filter(|_| self.has_room(user)).and_then(|s| self.subscriptions.insert(s).ok())?;
        self.by_dialog.insert(key, id);
        self.by_user.entry(user).or_default().push(id);
        self.with(cx, id, |_| {});
        Some(id)
    }

    /// What became of a NOTIFY, as a status.
    fn on_outcome(&mut self, view: &View<'_>, cx: &mut Cx<'_>, part: Part, status: u16) {
        let Some(s) = self.subscriptions.get_mut(part.id) else { return };
        s.unanswered = s.unanswered.saturating_sub(1);
        if s.in_flight != Some(part.version) {
            // a SUBSCRIBE since then has made it the business of a later NOTIFY
            return;
        }
        s.in_flight = None;
        let is_over = s.state == State::Terminated;
        match status {
            200..300 if is_over => self.forget(view, cx, part.id, format_args!("the phone knows")),
            200..300 => self.with(cx, part.id, |_| {}),
            408 => self.forget(view, cx, part.id, format_args!("its NOTIFY had no answer")),
            _ if is_over || ends_subscription(status) => {
                self.forget(view, cx, part.id, format_args!("its NOTIFY was answered {status}"));
            }
            _ => {
                let subject = subject(view, s);
                let text = describe(view, s);
                cx.ims(Level::Warn, subject, format_args!("Notify {text}: failed with {status}"));
                self.with(cx, part.id, |_| {});
            }
        }
    }

    fn of_user(&self, user: UserId) -> SmallVec<[Id<Subscription>; 2]> {
        self.by_user.get(&user).cloned().unwrap_or_default()
    }

    /// Lets something happen to a subscription, and sees to its alarm and to what it has to tell.
    fn with(&mut self, cx: &Cx<'_>, id: Id<Subscription>, what: impl FnOnce(&mut Subscription)) {
        let Some(s) = self.subscriptions.get_mut(id) else { return };
        what(s);
        let is_due = s.is_due(cx.now);
        let at = s.next_deadline().filter(|_| !is_due);
        self.alarms.set(&mut s.alarm, id, at);
        if is_due && !std::mem::replace(&mut s.is_ready, true) {
            self.ready.push_back(id);
        }
    }

    /// Drops a subscription without another word to the phone.
    fn forget(&mut self, view: &View<'_>, cx: &mut Cx<'_>, id: Id<Subscription>, why: fmt::Arguments<'_>) {
        let Some(mut s) = self.subscriptions.remove(id) else { return };
        self.alarms.set(&mut s.alarm, id, None);
        self.by_dialog.remove(&s.dialog.id().to_bits());
        if let Some(ids) = self.by_user.get_mut(&s.user) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_user.remove(&s.user);
            }
        }
        debug_assert_eq!(self.by_dialog.len(), self.subscriptions.len(), "each is found by its dialog");
        let (subject, text) = (subject(view, &s), describe(view, &s));
        cx.ims(Level::Info, subject, format_args!("Subscription of {text} is gone: {why}"));
    }
}

/// RFC 6665 4.2.2, and 408 as RFC 5057 has it: the answers to a NOTIFY that take the subscription away.
fn ends_subscription(status: u16) -> bool {
    matches!(status, 404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604)
}

/// What the log says a subscription is.
fn describe(view: &View<'_>, s: &Subscription) -> String {
    format!("{} at {}", view.subs.user(s.user).impi, lossy(s.dialog.remote_target()))
}

/// The binding that lines about the subscription belong to.
fn subject(view: &View<'_>, s: &Subscription) -> Subject {
    s.binding.and_then(|id| view.registrar.binding(id)).map_or(Subject::None, |b| Subject::Id(b.number))
}
