//! The SMS centre (TS 23.040) with its IP-SM-GW (TS 24.341): takes short messages from phones, soft clients and the operator, keeps them
//! until they are delivered or too old, and tells senders.
//!
//! [`Sms`] owns an inbox for each user for whom something waits. `submit` takes texts in, `promise` holds the answer back until
//! the disk has them, `deliver` sends them on, one at a time and in order: over IMS to phones that take short messages, else over SGs,
//! else as text/plain to a soft client. `report` is what phones say of them. `record` is their form in the state file.
//!
//! Not here: who may send (dispatch), texts between soft clients (message), the connection protocol of SGs.

mod address;
mod answer;
mod command;
mod deliver;
mod filter;
mod flush;
pub mod hook;
mod inbox;
pub mod interwork;
pub mod limits;
mod order;
mod plain;
mod promise;
mod recent;
pub mod record;
mod report;
mod submit;
mod text;
mod told;
mod view;
mod ways;
mod write;

#[cfg(test)]
mod tests;

pub use order::{Content, Order, OrderId, Ordered, Recipient};
pub use view::SmsView;
pub use write::SHORT_MESSAGE;

use crate::base::time::Instant;
use crate::base::timer::AlarmQueue;
use crate::base::trace::{Level, Subject};
use crate::config::model::SmsSettings;
use crate::ims::core::View;
use crate::ims::event::{Event, News};
use crate::ims::persist::Misfit;
use crate::ims::registrar::Removed;
use crate::ims::subscriber::{Subscribers, UserId};
use crate::proto::cx::Cx;
use answer::{DISK_FAILS, Refusal};
use filter::Filters;
use hook::HeldPart;
use inbox::{Inbox, Why};
use limits::{AFTER_RESTART, DISK_PATIENCE, Limits};
use order::Orders;
use promise::{Promise, Promises, Sender};
use recent::Recent;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use text::Text;
use told::Untold;

/// A MESSAGE of ours with a text: whose, and which attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    user: UserId,
    serial: u32,
    /// Which of the contacts that it goes to.
    leg: u8,
}

/// Something for a user's phone, over SGs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downlink {
    /// The user.
    pub user: UserId,
    /// What it is.
    pub what: Down,
}

/// What goes to a phone over SGs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Down {
    /// RP-DATA with a text.
    Text {
        /// The IMEIs of the phones that it is for, where phones share a SIM; none: all.
        imeis: Option<Vec<String>>,
        /// The RP-DATA.
        rpdu: Vec<u8>,
    },
    /// The RP-ACK or RP-ERROR that answers the phone's RP-DATA or RP-SMMA.
    Answer(Vec<u8>),
    /// Its report on the last text has its acknowledgement.
    Confirm {
        /// Whether what follows from the report is stored.
        is_stored: bool,
    },
}

/// The SMS centre.
#[derive(Debug)]
pub struct Sms {
    limits: Limits,
    /// Of the users for whom something waits; of nobody else.
    inboxes: BTreeMap<UserId, Inbox>,
    /// Texts in all inboxes.
    held: usize,
    alarms: AlarmQueue<UserId>,
    promises: Promises,
    orders: Orders,
    recent: Recent,
    filters: Filters,
    next_number: u64,
    next_serial: u32,
    next_reference: u8,
    next_concat: u8,
    downlinks: VecDeque<Downlink>,
    /// Users whose phone waits at SGs for the acknowledgement of its report; its next text waits, too.
    unconfirmed: BTreeSet<UserId>,
    news: News,
    untold: Untold,
    held_parts: Vec<HeldPart>,
    /// Users whose queue has changed.
    touched: VecDeque<UserId>,
    /// Whether a client of the remote API wants to be told of texts.
    is_listened_to: bool,
}

impl Sms {
    /// A centre without texts.
    pub fn new(settings: &SmsSettings) -> Self {
        Sms {
            limits: Limits::default(),
            inboxes: BTreeMap::new(),
            held: 0,
            alarms: AlarmQueue::new(),
            promises: Promises::default(),
            orders: Orders::default(),
            recent: Recent::default(),
            filters: Filters::new(&settings.filter),
            next_number: 1,
            next_serial: 0,
            next_reference: 0,
            next_concat: 0,
            downlinks: VecDeque::new(),
            unconfirmed: BTreeSet::new(),
            news: News::default(),
            untold: Untold::default(),
            held_parts: Vec::new(),
            touched: VecDeque::new(),
            is_listened_to: false,
        }
    }

    /// Keeps so much at most from now on; what waits already stays.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// How many texts wait.
    pub fn len(&self) -> usize {
        self.held
    }

    /// Whether no text waits, and nobody waits for an answer.
    pub fn is_empty(&self) -> bool {
        self.held == 0 && self.inboxes.is_empty() && self.promises.len() == 0
    }

    /// How many wait for the disk.
    pub fn promises(&self) -> usize {
        self.promises.len()
    }

    /// Whether somebody waits for the disk.
    pub fn owes_answers(&self) -> bool {
        self.promises.len() > 0
    }

    /// Whether a client of the remote API wants to be told of texts (`sms_hook_only`).
    pub fn set_listened_to(&mut self, is: bool) {
        self.is_listened_to = is;
        if !is && self.held_parts.is_empty() {
            // nobody wants to be told any more
            self.untold = Untold::default();
        }
    }

    /// The next thing that clients of the remote API are to be told.
    pub fn pop_event(&mut self) -> Option<Event> {
        self.news.pop()
    }

    /// The next user whose queue has changed.
    pub fn pop_touched(&mut self) -> Option<UserId> {
        self.touched.pop_front()
    }

    /// The next thing for a phone over SGs. One with RP-DATA that cannot be handed over comes back as [`Sms::on_sgs_failed`].
    pub fn pop_downlink(&mut self) -> Option<Downlink> {
        self.downlinks.pop_front()
    }

    /// Takes a text of the state file in, before any other input; the error says why it cannot. A new text never gets the key of
    /// one that stays there.
    pub fn restore(&mut self, cx: &Cx<'_>, subs: &Subscribers, key: &str, value: &str) -> Result<(), Misfit> {
        let number = record::number(key).ok_or_else(|| Misfit::damaged("the key is no short message's"))?;
        let text = record::read(cx, subs, number, value);
        if matches!(text, Ok(_) | Err(Misfit::NoUser)) {
            self.next_number = self.next_number.max(number + 1);
        }
        let text = text?;
        let user = text.to;
        let inbox = self.inboxes.entry(user).or_default();
        match inbox.texts.binary_search_by_key(&number, |other| other.number) {
            Ok(_) => return Err(Misfit::damaged("there is another with its number")),
            Err(at) => inbox.texts.insert(at, text),
        }
        // the phones' security associations come to the kernel first
        inbox.pause = Some(cx.now + AFTER_RESTART);
        self.held += 1;
        self.set_alarm(cx.now, user);
        Ok(())
    }

    /// A user has registered, or registered again: what waits is tried now.
    pub fn on_registered(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, user: UserId) {
        self.on_reachable(view, cx, user);
    }

    /// A user's phone can be reached over SGs (TS 29.118 5.7): what waits is tried now.
    pub fn on_reachable(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, user: UserId) {
        let Some(inbox) = self.inboxes.get_mut(&user) else { return };
        inbox.stuck.clear();
        for text in &mut inbox.texts {
            // only a soft client gets the parts of a text whole; whether there is still none but such is seen anew
            text.parts_at = Instant::ZERO;
        }
        if inbox.attempt.is_none() {
            inbox.reset();
        }
        self.next(view, cx, user);
    }

    /// A contact has gone: a text on its way there goes another.
    pub fn on_binding_removed(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, removed: Removed) {
        let Some(inbox) = self.inboxes.get_mut(&removed.user) else { return };
        if inbox.attempt.as_ref().is_some_and(|attempt| attempt.contacts().any(|id| id == removed.id)) {
            self.on_contact_failed(view, cx, (removed.user, removed.id), Why::Nowhere("the phone has gone"));
        }
        // whose phone has gone is not asked again until it is back
        if let Some(inbox) = self.inboxes.get_mut(&removed.user).filter(|inbox| inbox.attempt.is_none()) {
            inbox.reset();
        }
        self.next(view, cx, removed.user);
    }

    /// The disk has more records than before. Whether somebody has waited for that.
    pub fn on_durable(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>) -> bool {
        let (disk, before) = (view.disk, self.promises.len());
        while let Some(promise) = self.promises.pop_kept(|ticket| disk.is_durable(ticket)) {
            self.keep(view, cx, promise);
        }
        self.promises.len() != before
    }

    /// The disk refuses: who waits for it is told, and what was not promised is forgotten.
    pub fn on_refusal(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>) {
        while let Some(promise) = self.promises.pop_broken(cx.now, true) {
            self.break_promise(view, cx, promise);
        }
    }

    /// Runs what is due.
    pub fn tick(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>) {
        self.recent.tick(cx.now);
        self.untold.0.tick(cx.now);
        self.tell_given_up(view, cx);
        while let Some(promise) = self.promises.pop_broken(cx.now, false) {
            self.break_promise(view, cx, promise);
        }
        while let Some(user) = self.alarms.due(cx.now) {
            self.on_alarm(view, cx, user);
        }
    }

    /// When [`Sms::tick`] must be called next, if ever.
    pub fn next_deadline(&self) -> Option<Instant> {
        let all = [
            self.alarms.next_deadline(),
            self.promises.next_deadline(),
            self.recent.next_deadline(),
            self.untold.0.next_deadline(),
        ];
        all.into_iter().flatten().min()
    }

    /// Puts a text into its inbox and its record on the way to the disk, whose ticket is given. `None`: there is no room.
    fn insert(&mut self, view: &View<'_>, cx: &mut Cx<'_>, mut text: Text) -> Option<(u64, u64)> {
        let user = text.to;
        if !self.has_room(user, 1) {
            return None;
        }
        let number = self.next_number;
        self.next_number += 1;
        text.number = number;
        let ticket = cx.out.persist(record::key(number), Some(record::write(cx, view.subs, &text)));
        self.inboxes.entry(user).or_default().texts.push_back(text);
        self.held += 1;
        self.touch(user);
        self.set_alarm(cx.now, user);
        Some((number, ticket))
    }

    /// Whether there is room for so many more texts to a user.
    fn has_room(&self, user: UserId, count: usize) -> bool {
        let of_user = self.inboxes.get(&user).map_or(0, |inbox| inbox.texts.len());
        self.held + count <= self.limits.texts && of_user + count <= self.limits.texts_per_user
    }

    /// Whether one more sender may wait for the disk.
    fn has_promise(&self) -> bool {
        self.promises.len() < self.limits.promises
    }

    /// Takes a text out for good; gives it with the ticket of its record's deletion.
    fn take(&mut self, cx: &mut Cx<'_>, user: UserId, number: u64) -> Option<(Text, u64)> {
        let text = self.inboxes.get_mut(&user)?.take(number)?;
        self.held -= 1;
        self.touch(user);
        Some((text, cx.out.persist(record::key(number), None)))
    }

    /// Says `promise` once its record, the last one that went out, is on the disk.
    fn promise(&mut self, cx: &Cx<'_>, ticket: u64, promise: Promise) {
        self.promises.push(ticket, cx.now + DISK_PATIENCE, promise);
    }

    /// A record is on the disk: who waits for that is told, and the texts go on.
    fn keep(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, promise: Promise) {
        let (sender, again, texts, news) = match promise {
            Promise::Reported(reporter) => return self.confirm(view, cx, reporter, true),
            Promise::Taken { sender, again, texts, news } => (sender, again, texts, news),
        };
        for sender in std::iter::once(sender).chain(again) {
            self.accept(view, cx, sender);
        }
        if let Some(news) = news {
            self.tell_news(view, cx, *news);
        }
        for (user, number) in &texts {
            if let Some(text) = self.inboxes.get_mut(user).and_then(|inbox| inbox.text_mut(*number)) {
                text.is_durable = true;
            }
            self.release_parts(cx, *user, *number);
        }
        for (at, (user, _)) in texts.iter().enumerate() {
            if !texts[..at].iter().any(|(before, _)| before == user) {
                if let Some(inbox) = self.inboxes.get_mut(user) {
                    inbox.stuck.clear();
                }
                self.next(view, cx, *user);
            }
        }
    }

    /// What the centre itself sends on account of something that is on the disk goes on without it: a status report, or a part that was
    /// acknowledged before. Nobody was promised it on the strength of its own record, which is on the way all the same; until that is
    /// there, so is what it comes of, which does so again after a crash.
    fn release(&mut self, cx: &Cx<'_>, user: UserId, number: u64) {
        let Some(inbox) = self.inboxes.get_mut(&user) else { return };
        let Some(text) = inbox.text_mut(number) else { return };
        text.is_durable = true;
        // in its turn, as whoever sends it may be about to send another
        inbox.pause.get_or_insert(cx.now);
        self.set_alarm(cx.now, user);
    }

    /// The disk does not take a record: its text is as if it had never come, and its sender is told to try later.
    fn break_promise(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, promise: Promise) {
        let (sender, again, texts) = match promise {
            Promise::Reported(reporter) => return self.confirm(view, cx, reporter, false),
            Promise::Taken { sender: Sender::Inside, texts, .. } => {
                return texts.into_iter().for_each(|(user, number)| self.release(cx, user, number));
            }
            Promise::Taken { sender, again, texts, .. } => (sender, again, texts),
        };
        for (user, number) in texts {
            let Some((text, _)) = self.take(cx, user, number) else { continue };
            tell(view, cx, &text, Level::Warn, format_args!("not taken: {DISK_FAILS}"));
            self.tidy(cx.now, user);
        }
        for sender in std::iter::once(sender).chain(again) {
            self.refuse(view, cx, sender, Refusal::DISK);
        }
    }

    /// Lets the texts of a user that are too old go, and what is due go on.
    fn on_alarm(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, user: UserId) {
        let Some(inbox) = self.inboxes.get_mut(&user) else { return };
        if inbox.attempt.as_ref().is_some_and(|attempt| attempt.give_up_at <= cx.now) {
            self.on_silence(view, cx, user);
        }
        self.next(view, cx, user);
    }

    /// Forgets a user for whom nothing waits, and sets the alarm of any other.
    fn tidy(&mut self, now: Instant, user: UserId) {
        if self.inboxes.get(&user).is_some_and(Inbox::is_idle) {
            let mut inbox = self.inboxes.remove(&user).expect("it is there");
            self.alarms.set(&mut inbox.alarm, user, None);
        } else {
            self.set_alarm(now, user);
        }
    }

    fn set_alarm(&mut self, now: Instant, user: UserId) {
        let Some(inbox) = self.inboxes.get_mut(&user) else { return };
        let at = inbox.next_deadline(now, self.unconfirmed.contains(&user));
        self.alarms.set(&mut inbox.alarm, user, at);
    }

    fn touch(&mut self, user: UserId) {
        if self.touched.back() != Some(&user) {
            self.touched.push_back(user);
        }
    }
}

/// Says in the log what happens to a text.
fn tell(view: &View<'_>, cx: &mut Cx<'_>, text: &Text, level: Level, words: std::fmt::Arguments<'_>) {
    let to = view.subs.user(text.to);
    let uri = to.impus.get(text.impu).map_or(to.impi.as_str(), |impu| &impu.uri);
    let what = if text.deliver().is_some() { "SMS" } else { "SMS status report" };
    let (from, number) = (&text.from, text.number);
    cx.ims(level, Subject::None, format_args!("{what} {number} from {from} to {uri}: {words}"));
}
