//! One subscription: its dialog, how long it lasts, what the subscriber has been told, and what is still to be told.

use super::limits::PROBATION_SECS;
use super::reginfo::Listed;
use crate::base::arena::Id;
use crate::base::time::Instant;
use crate::base::timer::Alarm;
use crate::ims::registrar::binding::{Binding, Contact};
use crate::ims::registrar::{Gone, Registrar, Removed};
use crate::ims::subscriber::UserId;
use crate::proto::sip::dialog::Dialog;
use smallvec::SmallVec;

/// One subscriber's subscription.
#[derive(Debug)]
pub struct Subscription {
    pub(super) user: UserId,
    /// The contact that subscribed, when it is registered.
    pub(super) binding: Option<Id<Binding>>,
    /// Whether the SUBSCRIBE came from where that contact is registered, so that NOTIFYs follow when it registers from elsewhere.
    pub(super) follows_binding: bool,
    /// Whether the subscriber is told of its own contact only: it shares its user with other phones.
    pub(super) is_alone: bool,
    pub(super) dialog: Dialog,
    /// Whether a NOTIFY too long for UDP may go by TCP.
    pub(super) tcp_allowed: bool,
    /// The `id` of Event, which comes back in every NOTIFY (RFC 3265 7.2.1); empty when there is none.
    pub(super) event_id: Box<[u8]>,
    pub(super) state: State,
    pub(super) expires_at: Instant,
    /// The version of the next document.
    pub(super) version: u32,
    /// The version of the NOTIFY whose answer is awaited.
    pub(super) in_flight: Option<u32>,
    /// How many NOTIFYs have no answer yet, those among them whose answer does not matter any more.
    pub(super) unanswered: u8,
    pub(super) news: News,
    /// When changes may be told at the earliest.
    pub(super) not_before: Instant,
    /// The contacts of the last document.
    pub(super) told: SmallVec<[Told; 1]>,
    /// Contacts of the last document that have gone since, and why.
    pub(super) gone: SmallVec<[(Id<Binding>, Gone); 1]>,
    /// Whether it stands in the queue of those that may tell something.
    pub(super) is_ready: bool,
    pub(super) alarm: Alarm,
}

/// Where the subscription stands; the names are those of RFC 6665 4.2.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// It runs.
    Active,
    /// It is over; the NOTIFY that says so has not gone out.
    Ending(End),
    /// It is over, and the NOTIFY that says so is under way.
    Terminated,
}

/// Why a subscription is over: `reason` of RFC 6665 4.1.3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// It ran out, or the subscriber ended it, or the subscriber has unregistered.
    Timeout,
    /// The contact is to register again, and then to subscribe again.
    Deactivated,
    /// Likewise, but later.
    Probation,
    /// The subscriber need not come back.
    Rejected,
}

impl End {
    /// What the end of the subscriber's registration means for its subscription. One who leaves is taken to have unsubscribed
    /// (TS 24.229 5.4.1.4).
    pub(super) const fn of(why: Gone) -> End {
        match why {
            Gone::Unregistered | Gone::Expired => End::Timeout,
            Gone::Deactivated => End::Deactivated,
            Gone::Probation => End::Probation,
            Gone::Rejected => End::Rejected,
        }
    }

    /// The value of Subscription-State.
    pub(super) fn subscription_state(self) -> String {
        match self {
            End::Timeout => "terminated;reason=timeout".to_owned(),
            End::Deactivated => "terminated;reason=deactivated".to_owned(),
            End::Probation => format!("terminated;reason=probation;retry-after={PROBATION_SECS}"),
            End::Rejected => "terminated;reason=rejected".to_owned(),
        }
    }
}

/// What is to be told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum News {
    /// Nothing.
    None,
    /// A change, at the pace of changes.
    Change,
    /// Whatever there is, at once.
    Urgent,
}

/// A contact as the subscriber was told of it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) id: Id<Binding>,
    pub(super) contact: Contact,
    pub(super) expires_at: Instant,
}

impl Told {
    /// Whether the binding is no longer as it was told. A REGISTER that only makes it last longer is no news: the one who sent
    /// it knows, and to others a contact that goes on is no change (RFC 3680 4.7.2 leaves `refreshed` to the notifier).
    fn differs(&self, binding: &Binding) -> bool {
        self.contact != binding.contact || binding.expires_at < self.expires_at
    }
}

impl Subscription {
    /// The user's contacts that this subscriber is told of. Emergency registrations are none of its business (TS 24.229
    /// 5.1.6.1: nobody subscribes to them).
    pub(super) fn visible<'r>(
        &self,
        registrar: &'r Registrar,
    ) -> impl Iterator<Item = (Id<Binding>, &'r Binding)> + use<'r> {
        let only = self.binding.filter(|_| self.is_alone);
        visible(registrar, self.user).filter(move |(id, _)| only.is_none_or(|own| own == *id))
    }

    /// Takes note that something is to be told.
    pub(super) fn tell(&mut self, news: News) {
        self.news = self.news.max(news);
    }

    /// The user's bindings have changed; whether that is news.
    pub(super) fn on_changed(&mut self, registrar: &Registrar) {
        let told = |id| self.told.iter().find(|t| t.id == id);
        let news = self.visible(registrar).filter(|(id, b)| told(*id).is_none_or(|t| t.differs(b)));
        // the time of a phone that is to authenticate again runs already
        let urgency = news.map(|(_, b)| if b.is_shortened { News::Urgent } else { News::Change }).max();
        if let Some(urgency) = urgency.filter(|_| self.state == State::Active) {
            self.tell(urgency);
        }
    }

    /// A binding of the user has gone. The subscription ends with the contact that made it, and with the last one.
    pub(super) fn on_removed(&mut self, registrar: &Registrar, removed: Removed) {
        let Removed { id, why, route, .. } = removed;
        if self.binding == Some(id) && self.follows_binding {
            // the last way that is known is the one by which the phone hears of it
            self.dialog.set_flow(route.flow);
            self.tcp_allowed = route.tcp_allowed;
        }
        if self.told.iter().any(|t| t.id == id) {
            self.gone.push((id, why));
            self.tell(News::Change);
        }
        if self.state != State::Active {
            return;
        }
        if self.binding == Some(id) || self.visible(registrar).next().is_none() {
            self.end(End::of(why));
        }
    }

    /// The subscription is over, which is told at once.
    pub(super) fn end(&mut self, end: End) {
        if self.state == State::Active {
            self.state = State::Ending(end);
            self.tell(News::Urgent);
        }
    }

    /// Whether a NOTIFY is to go out now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let waits = self.in_flight.is_some() || self.state == State::Terminated;
        !waits && (self.news == News::Urgent || self.news == News::Change && self.not_before <= now)
    }

    /// When something is to be done about it, if only time has to pass.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let pending = Some(self.not_before).filter(|_| self.in_flight.is_none() && self.news != News::None);
        match self.state {
            State::Active => Some(pending.map_or(self.expires_at, |at| at.min(self.expires_at))),
            State::Ending(_) => pending,
            State::Terminated => None,
        }
    }

    /// The contacts that the next document lists.
    pub(super) fn listed<'a>(&'a self, registrar: &'a Registrar, now: Instant) -> Vec<Listed<'a>> {
        let told = |id| self.told.iter().find(|t| t.id == id);
        let active = self.visible(registrar).map(|(id, binding)| Listed::Active {
            binding,
            expires_secs: binding.remaining_secs(now),
            is_refreshed: told(id).is_some_and(|t| t.differs(binding)),
        });
        let gone =
            self.gone.iter().filter_map(|(id, why)| Some(Listed::Terminated(&told(*id)?.contact, *why)));
        active.chain(gone).collect()
    }

    /// A document with what [`Subscription::listed`] says has gone out.
    pub(super) fn on_told(&mut self, registrar: &Registrar) {
        let told = |(id, b): (_, &Binding)| Told { id, contact: b.contact.clone(), expires_at: b.expires_at };
        let now: Vec<Told> = self.visible(registrar).map(told).collect();
        // what has left the registrar and is not said to be gone yet will be
        let gone = &self.gone;
        self.told.retain(|t| registrar.binding(t.id).is_none() && gone.iter().all(|(id, _)| *id != t.id));
        self.told.extend(now);
        self.gone.clear();
        self.news = News::None;
    }
}

/// The user's ordinary bindings, of which their phones know.
pub(super) fn visible(registrar: &Registrar, user: UserId) -> impl Iterator<Item = (Id<Binding>, &Binding)> {
    registrar.of_user(user).filter(|(_, binding)| !binding.contact.sos && binding.is_acknowledged)
}
