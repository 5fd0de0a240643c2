//! The subscription to the own registration (RFC 3680, RFC 6665, TS 24.229 5.1.1.3, 5.1.1.7): what the network does to the
//! registration is known at once.

use super::Phone;
use super::client::{Purpose, Timers};
use super::dialog::Dialog;
use super::event::Event;
use super::inbound::Reply;
use super::message::{Request, host, refusal, text, texts, to_tag};
use super::reginfo::{self, Change, Contact, MEDIA_TYPE, RegInfo, State};
use super::register::default_identity;
use super::server::ServerId;
use imsbox::base::time::{Duration, Instant};
use imsbox::wire::sip::text::lossy;
use imsbox::wire::sip::{HeaderId, Message, Method, SubscriptionState, subscription_state};

/// The time that is asked for, in seconds (TS 24.229 5.1.1.3).
const ASKED_SECS: u32 = 600_000;
/// A long subscription is refreshed this long before its end, one of less than twice as much at half time (5.1.1.3).
const EARLY: Duration = Duration::from_secs(600);
/// The time after which a subscription that came to nothing is tried again.
const AGAIN: Duration = Duration::from_secs(60);
/// The shortest time of a subscription, whatever the network says: one that has none is not asked for over and over.
const SHORTEST: Duration = Duration::from_secs(2);
/// How long the last NOTIFY is waited for when we have given our registration back.
const PARTING: Duration = Duration::from_secs(1);

/// A subscription.
#[derive(Debug)]
struct Watch {
    dialog: Dialog,
    /// Whether the other side of the dialog is known: by the answer, or by a NOTIFY that was faster.
    is_confirmed: bool,
    version: Option<u32>,
    began: Instant,
    /// When a NOTIFY has to have come (RFC 6665 4.1.2.4, timer N).
    notify_by: Option<Instant>,
    refresh_at: Option<Instant>,
    expires_at: Option<Instant>,
    /// When we no longer wait for the last NOTIFY.
    parts_at: Option<Instant>,
}

/// What is known of the own registration, and how.
#[derive(Debug, Default)]
pub struct Watching {
    watch: Option<Watch>,
    /// When to subscribe again.
    again_at: Option<Instant>,
    /// When to register again (probation).
    register_at: Option<Instant>,
    /// Whether the network does not want to be asked.
    is_refused: bool,
    /// How many documents have come.
    pub notified: u32,
    /// What the last one says of us.
    pub last: Option<Change>,
    /// Identities and active contacts in the last document that said all.
    pub seen: (usize, usize),
}

impl Watching {
    /// Whether there is a subscription.
    pub fn is_on(&self) -> bool {
        self.watch.as_ref().is_some_and(|w| w.is_confirmed)
    }

    /// Whether the last NOTIFY is still to come.
    pub fn is_parting(&self) -> bool {
        self.watch.as_ref().is_some_and(|w| w.parts_at.is_some())
    }

    /// When [`Phone::tick_watch`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let watch = self.watch.as_ref();
        let own = watch.map(|w| [w.notify_by, w.refresh_at, w.expires_at, w.parts_at]);
        own.into_iter().flatten().chain([self.again_at, self.register_at]).flatten().min()
    }

    /// The number of the last request of the dialog with this Call-ID goes on from here.
    pub(super) fn count_up(&mut self, call_id: &str, cseq: u32) {
        if let Some(watch) = self.watch.as_mut().filter(|w| w.dialog.call_id == call_id) {
            watch.dialog.local_cseq = watch.dialog.local_cseq.max(cseq);
        }
    }

    /// The registration has gone: there is nothing to watch.
    pub(super) fn stop(&mut self) {
        (self.watch, self.again_at, self.register_at, self.is_refused) = (None, None, None, false);
    }

    /// We have given the registration back: one more NOTIFY will say so.
    pub(super) fn part(&mut self, now: Instant) {
        self.again_at = None;
        let Some(watch) = self.watch.as_mut() else { return };
        (watch.refresh_at, watch.expires_at, watch.notify_by) = (None, None, None);
        watch.parts_at = Some(now + PARTING);
    }
}

impl Watch {
    /// Whether a NOTIFY belongs to it. As long as nobody has answered, our tag is enough (RFC 6665 4.1.2.4).
    fn owns(&self, notify: &Message<'_>) -> bool {
        if self.is_confirmed {
            return self.dialog.owns(notify);
        }
        let same_call = text(notify, HeaderId::CallId) == self.dialog.call_id;
        same_call && self.dialog.local.ends_with(&format!(";tag={}", to_tag(notify)))
    }

    fn last_until(&mut self, now: Instant, secs: u32) {
        let lasts = Duration::from_secs(u64::from(secs)).max(SHORTEST);
        self.expires_at = Some(now + lasts);
        self.refresh_at = Some(now + if lasts > EARLY * 2 { lasts - EARLY } else { lasts / 2 });
    }
}

impl Phone {
    /// A registration has been made or refreshed: it is to be watched.
    pub(super) fn watch_registration(&mut self, now: Instant, is_refresh: bool) {
        let watching = &self.watching;
        let is_idle = watching.watch.is_none() && watching.again_at.is_none() && !watching.is_refused;
        if !is_refresh || is_idle {
            self.watching.stop();
            self.subscribe(now);
        }
    }

    fn subscribe(&mut self, now: Instant) {
        self.watching.again_at = None;
        // TS 24.229 5.1.6.3: an emergency registration is not watched
        if !self.settings.reg_event || !self.registration.is_on() || self.registration.is_sos {
            return;
        }
        let identity = default_identity(&self.registration, &self.settings.impu).to_owned();
        let dialog = Dialog {
            call_id: format!("{}@{}", super::token(&mut self.rng), host(self.local.ip())),
            local: format!("<{identity}>;tag={}", super::token(&mut self.rng)),
            remote: format!("<{identity}>"),
            target: identity,
            route: self.route(),
            local_cseq: 0,
            remote_cseq: None,
        };
        self.watching.watch = Some(Watch {
            dialog,
            is_confirmed: false,
            version: None,
            began: now,
            notify_by: Some(now + Timers { t1: self.settings.t1 }.life()),
            refresh_at: None,
            expires_at: None,
            parts_at: None,
        });
        self.send_subscribe(now);
    }

    fn send_subscribe(&mut self, now: Instant) {
        let contact = self.contact();
        let identity = default_identity(&self.registration, &self.settings.impu).to_owned();
        let Some(watch) = self.watching.watch.as_mut() else { return };
        watch.refresh_at = None;
        let headers = vec![
            ("Contact", contact),
            ("Event", "reg".to_owned()),
            ("Expires", ASKED_SECS.to_string()),
            ("Accept", MEDIA_TYPE.to_owned()),
            ("P-Preferred-Identity", format!("<{identity}>")),
        ];
        let request = watch.dialog.request(Method::Subscribe, headers);
        self.send_request(now, request, Purpose::Subscribe);
    }

    pub(super) fn on_subscribe_answer(&mut self, now: Instant, request: &Request, answer: &Message<'_>) {
        let ours = |w: &&mut Watch| w.dialog.call_id == request.call_id;
        let Some(watch) = self.watching.watch.as_mut().filter(ours) else { return };
        let was_confirmed = watch.is_confirmed;
        match answer.status() {
            200..300 => {
                if was_confirmed {
                    watch.dialog.refresh(answer);
                } else {
                    let numbers = (watch.dialog.local_cseq, watch.dialog.remote_cseq);
                    watch.dialog = Dialog::of_response(request, answer);
                    (watch.dialog.local_cseq, watch.dialog.remote_cseq) = numbers;
                    watch.is_confirmed = true;
                }
                if watch.parts_at.is_none() {
                    watch.last_until(now, answer.expires().unwrap_or(ASKED_SECS).min(ASKED_SECS));
                }
            }
            // RFC 6665 4.1.2.2: the network has forgotten it
            481 if was_confirmed => self.subscribe(now),
            code => {
                self.watching.watch = None;
                let words = refusal(answer);
                let may_pass = code >= 500 || matches!(code, 408 | 480);
                self.watching.is_refused = !may_pass;
                self.watching.again_at = may_pass.then_some(now + AGAIN);
                self.event(Event::Notice(format!("the registration cannot be watched: {words}")));
            }
        }
    }

    pub(super) fn on_subscribe_failed(&mut self, now: Instant, words: &str) {
        if self.watching.watch.take().is_some() {
            self.watching.again_at = self.registration.is_on().then_some(now + AGAIN);
            self.event(Event::Notice(format!("the registration cannot be watched: {words}")));
        }
    }

    pub(super) fn on_notify(&mut self, now: Instant, id: ServerId, message: &Message<'_>) {
        let Some(watch) = self.watching.watch.as_mut().filter(|w| w.owns(message)) else {
            return self.respond(now, id, 481, Reply::default());
        };
        let package = text(message, HeaderId::Event);
        if package.split(';').next().map(str::trim) != Some("reg") {
            let headers = vec![("Allow-Events", "reg".to_owned())];
            return self.respond(now, id, 489, Reply { headers, ..Reply::default() });
        }
        // RFC 6665 4.1.3: it has to be there
        let Some(state) = message.subscription_state() else {
            return self.respond(now, id, 400, Reply::default());
        };
        if !watch.dialog.take_number(message) {
            return self.respond(now, id, 500, Reply::default());
        }
        if !watch.is_confirmed {
            watch.is_confirmed = true;
            watch.dialog.remote = text(message, HeaderId::From);
            watch.dialog.route = texts(message, HeaderId::RecordRoute);
        }
        watch.dialog.refresh(message);
        watch.notify_by = None;
        let document = match message.body_of(MEDIA_TYPE) {
            None if message.body().is_empty() => None,
            None => {
                let headers = vec![("Accept", MEDIA_TYPE.to_owned())];
                return self.respond(now, id, 415, Reply { headers, ..Reply::default() });
            }
            Some(body) => match reginfo::parse(body) {
                Ok(info) => Some(info),
                Err(words) => {
                    self.event(Event::Notice(format!("a NOTIFY cannot be understood: {words}")));
                    return self.respond(now, id, 400, Reply::default());
                }
            },
        };
        let contact = Some(("Contact", self.contact()));
        self.respond(now, id, 200, Reply { headers: contact.into_iter().collect(), ..Reply::default() });
        // what it says of the subscription first: a registration that begins anew has a new one
        self.on_subscription_state(now, &state);
        if let Some(info) = document {
            self.on_reginfo(now, &info);
        }
    }

    fn on_subscription_state(&mut self, now: Instant, state: &SubscriptionState<'_>) {
        let Some(watch) = self.watching.watch.as_mut() else { return };
        if state.state != subscription_state::State::Terminated {
            if let Some(secs) = state.expires_secs().filter(|_| watch.parts_at.is_none()) {
                watch.last_until(now, secs);
            }
            return;
        }
        let is_young = now.since(watch.began) < AGAIN;
        self.watching.watch = None;
        if !self.registration.is_on() || self.registration.is_busy() {
            return;
        }
        // RFC 6665 4.1.3
        let later = state.retry_after_secs().map(|secs| Duration::from_secs(u64::from(secs)));
        self.watching.again_at = match state.reason() {
            Some(b"rejected" | b"noresource" | b"invariant") => {
                self.watching.is_refused = true;
                let words = lossy(state.reason().unwrap_or_default()).into_owned();
                self.event(Event::Notice(format!("the registration is no longer watched: {words}")));
                None
            }
            Some(b"probation" | b"giveup") => Some(now + later.unwrap_or(AGAIN)),
            // one that ends as soon as it has begun is not begun over and over
            _ if is_young => Some(now + AGAIN),
            _ => Some(now),
        };
    }

    fn on_reginfo(&mut self, now: Instant, info: &RegInfo) {
        let known = self.watching.watch.as_ref().and_then(|w| w.version);
        // RFC 3680 5.1: what is old is not looked at, and what is missing is asked for
        if known.is_some_and(|known| info.version <= known) {
            return;
        }
        let has_gap = known.is_none_or(|known| info.version > known + 1);
        if let Some(watch) = &mut self.watching.watch {
            watch.version = Some(info.version);
        }
        if has_gap && !info.is_full {
            self.send_subscribe(now);
        }
        self.watching.notified += 1;
        let contacts = || info.registrations.iter().flat_map(|r| &r.contacts);
        if info.is_full {
            let uris: std::collections::BTreeSet<&str> =
                contacts().filter(|c| c.is_active).map(|c| c.uri.as_str()).collect();
            self.watching.seen = (info.registrations.len(), uris.len());
        }
        let own = self.own_contacts(info);
        let shortened = own.iter().find(|c| c.is_active && c.change == Change::Shortened);
        let active = shortened.or(own.iter().find(|c| c.is_active));
        let is_over = info.is_full && info.registrations.iter().all(|r| r.state != State::Active);
        match (active, own.first()) {
            (Some(contact), _) => {
                self.watching.last = Some(contact.change);
                if contact.change == Change::Shortened {
                    self.shorten_registration(now, contact.expires_secs.unwrap_or_default());
                }
            }
            (None, Some(contact)) => {
                let after = Duration::from_secs(u64::from(contact.retry_after_secs.unwrap_or_default()));
                self.on_ended_by_network(now, contact.change, after);
            }
            (None, None) if is_over => self.on_ended_by_network(now, Change::Unregistered, AGAIN),
            (None, None) => {}
        }
        self.event(Event::Notified);
    }

    /// What a document says of this phone: of its contact, or where none is like it, of its device.
    fn own_contacts<'a>(&self, info: &'a RegInfo) -> Vec<&'a Contact> {
        let contact = self.contact();
        let uri = contact.trim_start_matches('<').split(['>', ';']).next().unwrap_or_default().to_owned();
        let all = || info.registrations.iter().flat_map(|r| &r.contacts);
        let by_uri: Vec<&Contact> = all().filter(|c| c.uri.split(';').next() == Some(uri.as_str())).collect();
        if !by_uri.is_empty() {
            return by_uri;
        }
        all().filter(|c| c.instance.contains(&self.settings.instance)).collect()
    }

    /// The network has ended the registration (TS 24.229 5.1.1.7, RFC 3680 4.7.2).
    fn on_ended_by_network(&mut self, now: Instant, change: Change, after: Duration) {
        self.watching.last = Some(change);
        // what we have asked for ourselves is no news, and what is under way will tell
        if !self.registration.is_on() || self.registration.is_busy() {
            return;
        }
        self.forget_registration();
        let what = match change {
            Change::Deactivated => "registering again".to_owned(),
            Change::Probation => format!("registering again in {} s", after.as_secs()),
            Change::Rejected => "not to be registered again without asking the operator".to_owned(),
            Change::Expired => "it was not refreshed in time".to_owned(),
            _ => "`register` makes another one".to_owned(),
        };
        self.event(Event::EndedByNetwork(format!("{}: {what}", change.name())));
        match change {
            Change::Deactivated => self.register_again(now),
            Change::Probation => self.watching.register_at = Some(now + after),
            _ => {}
        }
    }

    pub(super) fn tick_watch(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.watching.register_at) {
            self.watching.register_at = None;
            self.register_again(now);
        }
        if due(self.watching.again_at) {
            self.subscribe(now);
        }
        let Some(watch) = &self.watching.watch else { return };
        if due(watch.parts_at) {
            self.watching.watch = None;
        } else if due(watch.notify_by) {
            self.on_subscribe_failed(now, "no NOTIFY has come");
        } else if due(watch.expires_at) {
            self.subscribe(now);
        } else if due(watch.refresh_at) {
            self.send_subscribe(now);
        }
    }
}
