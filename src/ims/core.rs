//! The whole service behind one face: inputs are the methods below, outputs go to the context's outbox.
//!
//! An input goes down to the handler that it is for; what it brings up for others (a transaction that timed out, a binding that
//! went) waits as an event until [`Core`] settles, at the end of the same input.

use crate::base::arena::Id;
use crate::base::rng::Rng;
use crate::base::time::{Duration, Instant};
use crate::base::trace::{Level, Subject};
use crate::config::model::Config;
use crate::ims::acknowledgement::Acknowledgements;
use crate::ims::attempt::{Attempt, Attempts};
use crate::ims::auth::{Auth, AuthCx};
use crate::ims::call::state::State;
use crate::ims::call::{Action, Calls, Order, Why};
use crate::ims::disk::{Condition, Disk};
use crate::ims::dispatch;
use crate::ims::emergency::callback::Callbacks;
use crate::ims::event::{Event, Listeners, News};
pub use crate::ims::limits::MAX_MEDIA_SESSIONS;
use crate::ims::limits::{
    MAX_CLIENT_TRANSACTIONS, MAX_SERVER_TRANSACTIONS, MAX_SETTLE_STEPS, SHUTDOWN_PATIENCE,
};
use crate::ims::message::Messages;
use crate::ims::owner::Owner;
use crate::ims::persist::{self, Misfit, association};
use crate::ims::policy::{self, Policy};
use crate::ims::reauthentication;
use crate::ims::reg_event::RegEvents;
use crate::ims::registrar::response::Described;
use crate::ims::registrar::{Gone, Registrar, Removed};
use crate::ims::registration;
use crate::ims::security::{Ability, Security, SetView};
use crate::ims::sgs::Sgs;
use crate::ims::sms::{self, Sms};
use crate::ims::stranger::Strangers;
use crate::ims::subscriber::{Subscribers, UserId};
use crate::ims::tokens::Tokens;
use crate::ims::trouble::Troubles;
use crate::ims::trunk::Trunk;
use crate::ims::view::{DialogView, LadderView, UserView};
use crate::proto::cx::Cx;
use crate::proto::flow::{ConnId, Flow};
use crate::proto::locals::Locals;
use crate::proto::media::table::MediaTable;
use crate::proto::outbox::Output;
use crate::proto::sip::sec_agree::{Restored, SaFailure, SetCounters, SetNumbers};
use crate::proto::sip::transaction::{Limits, Timers, Transactions, TxEvent};
use crate::wire::sip::{Index, Message, ParseError};
use std::collections::BTreeMap;

/// The IMS core.
#[derive(Debug)]
pub struct Core {
    pub(super) service: Service,
    index: Index,
    strangers: Strangers,
    /// What was odd in the configuration, until there is a log to tell it to.
    complaints: Vec<String>,
    /// Records of the state file that are left there, since nobody here is their user.
    unclaimed: usize,
    end: End,
    /// Whether there were more events than one input may route.
    is_unsettled: bool,
}

/// How far the end of the program has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Running,
    /// Calls are being ended, until this time at the latest.
    Stopping(Instant),
    Done,
}

/// The tables.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) config: Config,
    pub(super) subscribers: Subscribers,
    pub(super) registrar: Registrar,
    pub(super) auth: Auth,
    pub(super) txs: Transactions<Owner>,
    pub(super) calls: Calls,
    pub(super) messages: Messages,
    pub(super) sms: Sms,
    pub(super) reg_events: RegEvents,
    pub(super) media: MediaTable,
    pub(super) tokens: Tokens,
    pub(super) security: Security,
    pub(super) troubles: Troubles,
    pub(super) attempts: Attempts,
    pub(super) trunk: Option<Trunk>,
    pub(super) policy: Policy,
    pub(super) callbacks: Callbacks,
    pub(super) sgs: Sgs,
    pub(super) disk: Disk,
    pub(super) acknowledgements: Acknowledgements,
    pub(super) news: News,
    pub(super) listeners: Listeners,
    pub(super) is_stopping: bool,
}

/// The tables that a call touches.
pub struct View<'a> {
    /// Transactions.
    pub txs: &'a mut Transactions<Owner>,
    /// Users and identities.
    pub subs: &'a Subscribers,
    /// Bindings.
    pub registrar: &'a Registrar,
    /// Media sessions.
    pub media: &'a mut MediaTable,
    /// Unguessable values.
    pub tokens: &'a mut Tokens,
    /// Security associations.
    pub security: &'a Security,
    /// The SIP trunk.
    pub trunk: Option<&'a Trunk>,
    /// Bearers.
    pub policy: &'a mut Policy,
    /// Who can be called back after an emergency call.
    pub callbacks: &'a Callbacks,
    /// The disk that the state file is on.
    pub disk: &'a Disk,
    /// The configuration.
    pub config: &'a Config,
}

/// One of the tables, and beside it the view of those that all of its kind touch: a borrow of fields, which no function could give.
macro_rules! view_beside {
    ($service:expr, $table:ident) => {{
        let Service { $table, txs, subscribers, registrar, media, tokens, security, .. } = $service;
        let Service { trunk, policy, callbacks, disk, config, .. } = $service;
        let (subs, trunk) = (&*subscribers, trunk.as_ref());
        let (registrar, security, callbacks, disk) = (&*registrar, &*security, &*callbacks, &*disk);
        let view =
            View { txs, subs, registrar, media, tokens, security, trunk, policy, callbacks, disk, config };
        ($table, view)
    }};
}

impl Service {
    fn new(mut config: Config, ability: Ability, rng: &mut Rng) -> (Self, Vec<String>) {
        let users = std::mem::take(&mut config.users);
        let (subscribers, complaints) = Subscribers::new(users, &config.echo);
        let protocol = &config.protocol;
        let timers = Timers {
            t1: protocol.timer_t1,
            t2: protocol.timer_t2,
            t4: protocol.timer_t4,
            ..Timers::default()
        };
        let limits = Limits { server: MAX_SERVER_TRANSACTIONS, client: MAX_CLIENT_TRANSACTIONS };
        let locals = ability.locals.shown();
        let mut txs = Transactions::new(locals, timers, limits, protocol.tcp_threshold, rng);
        txs.set_custom_headers(protocol.custom_headers.clone());
        let service = Service {
            subscribers,
            registrar: Registrar::default(),
            auth: Auth::default(),
            txs,
            calls: Calls::default(),
            messages: Messages::default(),
            sms: Sms::new(&config.sms),
            reg_events: RegEvents::default(),
            media: MediaTable::new(MAX_MEDIA_SESSIONS, config.sip.iter().map(|s| (s.port_min, s.port_max))),
            tokens: Tokens::new(rng),
            security: Security::new(ability, &config.ipsec),
            troubles: Troubles::default(),
            attempts: Attempts::default(),
            trunk: config.trunk.clone().map(Trunk::new),
            policy: Policy::default(),
            callbacks: Callbacks::default(),
            sgs: Sgs::new(&config),
            disk: Disk::default(),
            acknowledgements: Acknowledgements::default(),
            news: News::default(),
            listeners: Listeners::default(),
            is_stopping: false,
            config,
        };
        (service, complaints)
    }

    /// The calls, and the tables that they touch.
    pub(super) fn calls(&mut self) -> (&mut Calls, View<'_>) {
        view_beside!(self, calls)
    }

    /// The texts, and the tables that they touch.
    pub(super) fn messages(&mut self) -> (&mut Messages, View<'_>) {
        view_beside!(self, messages)
    }

    /// The SMS centre, and the tables that it touches.
    pub(super) fn sms(&mut self) -> (&mut Sms, View<'_>) {
        view_beside!(self, sms)
    }

    /// The subscriptions, and the tables that they touch.
    pub(super) fn reg_events(&mut self) -> (&mut RegEvents, View<'_>) {
        view_beside!(self, reg_events)
    }

    /// The authentication, the users, and what a check writes on.
    pub(super) fn auth<'a, 'b>(
        &'a mut self,
        cx: &'a mut Cx<'b>,
    ) -> (&'a mut Auth, &'a Subscribers, AuthCx<'a, 'b>) {
        let Service { auth, subscribers, tokens, troubles, disk, .. } = self;
        (auth, subscribers, AuthCx { cx, tokens, troubles, disk })
    }

    /// The users with their bindings, and with those of `dialogs` that go on and are theirs.
    fn user_views(&self, now: Instant, dialogs: &[DialogView]) -> Vec<UserView> {
        let mut running: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for dialog in dialogs.iter().filter(|d| d.state != State::Stop.name()) {
            running.entry(dialog.party()).or_default().push(dialog.index);
        }
        let views = self.subscribers.users().map(|(id, user)| {
            let mut view = UserView::of(user, self.registrar.of_user(id).map(|(_, b)| b), now);
            let theirs = view.impus.iter().filter_map(|impu| running.get(impu.as_str()));
            view.dialogs = theirs.flatten().copied().collect();
            let lag = || self.auth.lag(id, &self.disk).map(|(at, words)| (at.as_secs(), words));
            view.last_error = self.troubles.of(id).or_else(lag);
            view.sgs = self.sgs_of(id);
            view.sms = self.sms.view_of(id, now);
            let under_way = view.sms.under_way_to.iter().filter_map(|id| self.registrar.binding(*id));
            let numbers: Vec<u32> = under_way.map(|b| b.number).collect();
            for binding in &mut view.bindings {
                binding.sms = numbers.contains(&binding.id);
            }
            view
        });
        views.collect()
    }

    fn on_removed(&mut self, cx: &mut Cx<'_>, removed: Removed) {
        persist::forget_binding(cx, removed.number);
        self.on_gone(cx, removed);
    }

    /// What was sent to a contact that has gone ends.
    pub(super) fn on_gone(&mut self, cx: &mut Cx<'_>, removed: Removed) {
        let (calls, mut view) = self.calls();
        calls.on_binding_removed(&mut view, cx, removed);
        let (events, view) = self.reg_events();
        events.on_removed(&view, cx, removed);
        let (sms, mut view) = self.sms();
        sms.on_binding_removed(&mut view, cx, removed);
        self.tell_update(removed.user);
        self.settle_sets(cx, removed.user, None);
    }

    fn on_changed(&mut self, cx: &mut Cx<'_>, user: UserId) {
        let (events, view) = self.reg_events();
        events.on_changed(&view, cx, user);
        let (sms, mut view) = self.sms();
        sms.on_registered(&mut view, cx, user);
        self.tell_update(user);
    }

    /// Something has changed about a user.
    fn tell_update(&mut self, user: UserId) {
        if self.listeners.users_update {
            let impi = self.subscribers.user(user).impi.clone();
            self.news.push(Event::UsersUpdate { impi });
        }
    }

    fn notify_next(&mut self, cx: &mut Cx<'_>) -> bool {
        let (events, mut view) = self.reg_events();
        events.notify_next(&mut view, cx)
    }

    fn on_tx_event(&mut self, cx: &mut Cx<'_>, event: TxEvent<Owner>) {
        let owner = match event {
            TxEvent::ClientTimeout { owner, .. }
            | TxEvent::ClientFailed { owner, .. }
            | TxEvent::ServerTimeout { owner }
            | TxEvent::ProceedingTimeout { owner, .. } => owner,
        };
        match owner {
            Owner::Call(part) => {
                let (calls, mut view) = self.calls();
                calls.on_tx_event(&mut view, cx, part, event);
            }
            Owner::Message(part) => {
                let (messages, mut view) = self.messages();
                messages.on_tx_event(&mut view, cx, part, event);
            }
            Owner::Sms(part) => {
                let (sms, mut view) = self.sms();
                sms.on_tx_event(&mut view, cx, part, event);
            }
            Owner::Subscription(part) => {
                let (events, view) = self.reg_events();
                events.on_tx_event(&view, cx, part, event);
            }
            Owner::None => {}
        }
    }

    fn expire_bindings(&mut self, cx: &mut Cx<'_>) {
        while let Some(id) = self.registrar.due(cx.now) {
            let Some(binding) = self.registrar.remove(id, Gone::Expired) else { continue };
            let impi = &self.subscribers.user(binding.user).impi;
            let text = Described(&binding);
            cx.ims(Level::Info, Subject::Id(binding.number), format_args!("Register {impi}: {text} expired"));
        }
    }
}

impl Core {
    /// A core with the configured users, none of them registered, and without IPsec. The keys of nonces, tags and branches are
    /// drawn from `rng`.
    pub fn new(config: Config, rng: &mut Rng) -> Self {
        let locals = Locals::clear(config.sip.iter().map(|s| s.addr));
        Self::with_ability(config, Ability::none(locals, "nobody asked for it"), rng)
    }

    /// The same, with what this machine can do about IPsec.
    pub fn with_ability(config: Config, ability: Ability, rng: &mut Rng) -> Self {
        let (service, complaints) = Service::new(config, ability, rng);
        Core {
            service,
            index: Index::new(),
            strangers: Strangers::default(),
            complaints,
            unclaimed: 0,
            end: End::Running,
            is_unsettled: false,
        }
    }

    /// The media sessions; the loop asks them about every RTP and RTCP packet.
    pub fn media_mut(&mut self) -> &mut MediaTable {
        &mut self.service.media
    }

    /// The configuration, but for its users, whom the subscriber index has taken over.
    pub fn config(&self) -> &Config {
        &self.service.config
    }

    /// The private identity of the user whom a private or public identity or an IMSI names.
    pub fn user_named(&self, name: &str) -> Option<&str> {
        let subscribers = &self.service.subscribers;
        subscribers.by_name(name).map(|user| &*subscribers.user(user).impi)
    }

    /// How the user's last registration attempt went; none when there was none.
    pub fn attempt(&self, impi: &str) -> Option<&Attempt> {
        let user = self.service.subscribers.by_impi(impi.as_bytes())?;
        self.service.attempts.of(user)
    }

    /// What was wrong with the last REGISTERs that named no user.
    pub fn misnamed(&self) -> &[Box<str>] {
        self.service.attempts.misnamed_words()
    }

    /// Takes one record of the state file, before any other input. A record that does not fit is traced and deleted; a text and a
    /// sequence number whose user is not known stay in the file, as a start with the wrong users must not cost them, and one that is
    /// damaged stays there under another key.
    pub fn restore(&mut self, cx: &mut Cx<'_>, key: &str, value: &str) {
        self.tell_complaints(cx);
        match self.service.restore(cx, key, value) {
            Ok(()) => {}
            Err(Misfit::NoUser) => self.unclaimed += 1,
            Err(Misfit::Useless(why)) => {
                cx.ims(Level::Warn, Subject::None, format_args!("state record {key} is left out: {why}"));
                cx.out.persist(key.to_owned(), None);
            }
            Err(Misfit::Damaged(why)) => {
                let aside = format!("{}{key}", persist::DAMAGED);
                let words = format_args!("state record {key} is damaged: {why}; it is set aside as {aside}");
                cx.ims(Level::Error, Subject::None, words);
                cx.out.persist(aside, Some(value.to_owned()));
                cx.out.persist(key.to_owned(), None);
            }
        }
    }

    /// All records of the state file have been taken.
    pub fn on_restored(&mut self, cx: &mut Cx<'_>) {
        if self.unclaimed > 0 {
            let text = format_args!(
                "state file: {} records (short messages, sequence numbers) of users that are not configured stay in it",
                self.unclaimed
            );
            cx.ims(Level::Warn, Subject::None, text);
        }
        self.service.on_restored(cx);
        self.settle(cx);
    }

    /// Takes one SIP message: a UDP datagram, or one message cut from a stream.
    pub fn on_sip(&mut self, cx: &mut Cx<'_>, flow: Flow, octets: &[u8]) {
        self.tell_complaints(cx);
        let Core { service, index, strangers, .. } = self;
        match Message::parse(octets, index) {
            // RFC 5626 3.5.1, RFC 3261 7.5: a keep-alive
            Err(ParseError::Empty) => return,
            Err(error) => strangers.tell(cx, flow, error, octets),
            Ok(message) if message.is_request() => dispatch::on_request(service, cx, flow, &message),
            Ok(message) => dispatch::on_response(service, cx, flow, &message),
        }
        self.settle(cx);
    }

    /// A stream connection has gone.
    pub fn on_stream_closed(&mut self, _cx: &mut Cx<'_>, conn: ConnId) {
        self.service.registrar.on_stream_closed(conn);
    }

    /// A message could not be sent: no route, connection refused, port unreachable.
    pub fn on_send_failed(&mut self, cx: &mut Cx<'_>, flow: Flow, tag: u64) {
        self.service.registrar.on_send_failed(flow);
        if let Some(trunk) = &mut self.service.trunk {
            trunk.on_send_failed(flow, cx.now);
        }
        self.service.txs.on_send_failed(cx, flow, tag);
        self.settle(cx);
    }

    /// The connection has gone that a message was written on, perhaps before the peer read it.
    pub fn on_connection_lost(&mut self, cx: &mut Cx<'_>, flow: Flow, tag: u64) {
        self.service.txs.on_connection_lost(cx, flow, tag);
        self.settle(cx);
    }

    /// Lets the SMS centre keep so many texts at most, from now on. The default is [`sms::limits::Limits::default`].
    pub fn set_sms_limits(&mut self, limits: sms::limits::Limits) {
        self.service.sms.set_limits(limits);
    }

    /// Leaves decisions on bearers to a policy server, from now on. The default grants all.
    pub fn set_policy_server(&mut self, server: policy::Server) {
        self.service.policy = Policy::new(server);
    }

    /// What the policy server is to be asked.
    pub fn pop_bearer_command(&mut self) -> Option<policy::Command> {
        self.service.policy.pop_command()
    }

    /// The policy server says something of a session. No effect when the session has ended.
    pub fn on_bearers(&mut self, cx: &mut Cx<'_>, session: policy::SessionId, outcome: policy::Outcome<'_>) {
        let (calls, mut view) = self.service.calls();
        calls.on_bearers(&mut view, cx, session, outcome);
        self.settle(cx);
    }

    /// The ports of a media session are open, or could not be opened.
    pub fn on_media_opened(&mut self, cx: &mut Cx<'_>, session: u64, ok: bool) {
        let (calls, mut view) = self.service.calls();
        calls.on_media_opened(&mut view, cx, session, ok);
        self.settle(cx);
    }

    /// The kernel holds a set of security associations, or would not take it.
    pub fn on_sas_installed(&mut self, cx: &mut Cx<'_>, set: u64, outcome: Result<(), SaFailure>) {
        self.service.on_set_installed(cx, Id::from_bits(set), outcome);
        self.settle(cx);
    }

    /// The kernel holds a set that an earlier run of the program has made, or would not.
    pub fn on_sas_restored(&mut self, cx: &mut Cx<'_>, set: u64, outcome: Result<Restored, SaFailure>) {
        self.service.on_set_restored(cx, Id::from_bits(set), outcome);
        self.settle(cx);
    }

    /// The kernel has said where the sequence numbers of a set are, at a refresh or, `is_end`, before the program ends.
    pub fn on_sas_numbers(&mut self, cx: &mut Cx<'_>, set: u64, numbers: &SetNumbers, is_end: bool) {
        self.service.on_set_numbers(cx, Id::from_bits(set), numbers, is_end);
    }

    /// A set is not in the kernel any more, though nobody here took it out.
    pub fn on_sas_lost(&mut self, cx: &mut Cx<'_>, set: u64) {
        self.service.on_set_lost(cx, Id::from_bits(set));
        self.settle(cx);
    }

    /// A set has been taken out of the kernel, with what it had counted; none when it had gone already.
    pub fn on_sas_removed(&mut self, cx: &mut Cx<'_>, set: u64, counted: Option<SetCounters>) {
        self.service.on_set_removed(cx, Id::from_bits(set), counted);
        self.settle(cx);
    }

    /// The records of all tickets up to this one are on the disk, or there is no state file.
    pub fn on_durable(&mut self, cx: &mut Cx<'_>, ticket: u64) {
        if self.service.disk.on_durable(ticket) {
            let any = self.service.keep_acknowledgements(cx);
            let (sms, mut view) = self.service.sms();
            if sms.on_durable(&mut view, cx) || any {
                self.settle(cx);
            }
        }
    }

    /// The disk takes no records now, or takes them again. A put that was refused is told here before [`Core::on_durable`] names its
    /// ticket or a greater one; what was put otherwise is kept and tried again.
    pub fn on_storage(&mut self, cx: &mut Cx<'_>, condition: Condition) {
        if !self.service.disk.on_condition(condition, cx.out.last_ticket()) {
            return;
        }
        match self.service.disk.refusal() {
            Some(why) => cx.ims(
                Level::Error,
                Subject::None,
                format_args!(
                    "state file: {why}; until the disk takes records again texts are refused that would have to be kept, and \
                     registrations do not outlive a restart"
                ),
            ),
            None => {
                cx.ims(Level::Warn, Subject::None, format_args!("state file: the disk takes records again"))
            }
        }
        if self.service.disk.refusal().is_some() {
            self.service.keep_acknowledgements(cx);
            let (sms, mut view) = self.service.sms();
            sms.on_refusal(&mut view, cx);
            self.settle(cx);
        }
    }

    /// Runs whatever is due at `cx.now`.
    pub fn tick(&mut self, cx: &mut Cx<'_>) {
        self.tell_complaints(cx);
        self.service.txs.tick(cx);
        self.service.auth.tick(cx, &self.service.subscribers, &mut self.service.troubles);
        self.service.expire_bindings(cx);
        self.service.expire_sets(cx);
        self.service.expire_acknowledgements(cx);
        let (calls, mut view) = self.service.calls();
        calls.tick(&mut view, cx);
        let (messages, mut view) = self.service.messages();
        messages.tick(&mut view, cx);
        let (sms, mut view) = self.service.sms();
        sms.tick(&mut view, cx);
        self.service.reg_events.tick(cx);
        self.service.sgs.tick(cx);
        self.settle(cx);
    }

    /// When [`Core::tick`] must be called next, if ever.
    pub fn next_deadline(&self) -> Option<Instant> {
        let Service { txs, auth, registrar, security, calls, messages, sms, reg_events, .. } = &self.service;
        let end = match self.end {
            End::Stopping(at) => Some(at),
            End::Running | End::Done => None,
        };
        // what one input could not route all of is due at once
        let unsettled = self.is_unsettled.then_some(Instant::ZERO);
        let all = [
            unsettled,
            txs.next_deadline(),
            auth.next_deadline(),
            registrar.next_deadline(),
            security.next_deadline(),
            calls.next_deadline(),
            messages.next_deadline(),
            sms.next_deadline(),
            reg_events.next_deadline(),
            self.service.sgs.next_deadline(),
            self.service.acknowledgements.next_deadline(),
            end,
        ];
        all.into_iter().flatten().min()
    }

    /// Whether a clean end has been started.
    pub fn is_ending(&self) -> bool {
        self.end != End::Running
    }

    /// Starts a clean end: ends the calls, stores the state, and pushes `Output::Exit` when that is done or has taken too long.
    pub fn shutdown(&mut self, cx: &mut Cx<'_>) {
        if self.end != End::Running {
            return;
        }
        self.end = End::Stopping(cx.now + SHUTDOWN_PATIENCE);
        self.service.is_stopping = true;
        let (calls, mut view) = self.service.calls();
        calls.shutdown(&mut view, cx);
        self.settle(cx);
    }

    /// All users in configuration order, with what is registered.
    pub fn user_views(&self, now: Instant) -> Vec<UserView> {
        self.service.user_views(now, &self.dialog_views(now))
    }

    /// All calls, also those that ended less than 30 s ago.
    pub fn dialog_views(&self, now: Instant) -> Vec<DialogView> {
        self.service.calls.views(&self.service.media, now)
    }

    /// The call that this dialog index belongs to, message by message.
    pub fn ladder(&self, index: u32) -> Option<LadderView> {
        self.service.calls.ladder(index)
    }

    /// All sets of security associations, oldest first.
    pub fn set_views(&self, now: Instant) -> Vec<SetView> {
        self.service.set_views(now)
    }

    /// Why there is no IPsec on this machine, in words; none when there is.
    pub fn ipsec_lack(&self) -> Option<&str> {
        self.service.security.lack()
    }

    /// Makes a call to a user. Gives its dialog's index and session id; the error says in words why it cannot be made.
    pub fn call(&mut self, cx: &mut Cx<'_>, order: Order) -> Result<(u32, String), String> {
        let (calls, mut view) = self.service.calls();
        let made = calls.call(&mut view, cx, order);
        self.settle(cx);
        made
    }

    /// Sends a short message to a user, or keeps it until it can be: [`Core::pop_sms_order`] says when it is safe on the disk. The
    /// error says in words why it is not taken.
    pub fn send_sms(&mut self, cx: &mut Cx<'_>, order: &sms::Order) -> Result<sms::Ordered, String> {
        let (sms, mut view) = self.service.sms();
        let taken = sms.order(&mut view, cx, order);
        self.settle(cx);
        taken
    }

    /// The next of the operator's short messages that is on the disk, or is not taken, with why in words.
    pub fn pop_sms_order(&mut self) -> Option<(sms::OrderId, Result<(), &'static str>)> {
        self.service.sms.pop_order()
    }

    /// Forgets the short messages that wait for a user. Gives how many there were; the error says in words that there is no such user.
    pub fn flush_sms(&mut self, cx: &mut Cx<'_>, to: &sms::Recipient) -> Result<usize, String> {
        let (sms, mut view) = self.service.sms();
        let count = sms.flush(&mut view, cx, to);
        self.settle(cx);
        count
    }

    /// Changes whether a user's short messages go over SGs only; `None` changes nothing. The error says in words that there is no
    /// such user.
    pub fn set_user(
        &mut self,
        cx: &mut Cx<'_>,
        impi: &str,
        force_sms_over_sg: Option<bool>,
    ) -> Result<(), String> {
        let found = self.service.subscribers.by_impi(impi.as_bytes());
        let user = found.ok_or_else(|| format!("no user has the private identity {impi}"))?;
        if let Some(forced) = force_sms_over_sg {
            self.service.subscribers.set_force_sms_over_sg(user, forced);
            let (sms, mut view) = self.service.sms();
            sms.on_reachable(&mut view, cx, user);
            self.settle(cx);
        }
        Ok(())
    }

    /// Which events clients of the remote API have registered for: `sms_hook_only` depends on it, and what nobody wants is not made.
    pub fn set_listeners(&mut self, listeners: Listeners) {
        self.service.listeners = listeners;
        self.service.sms.set_listened_to(listeners.sms);
    }

    /// The next thing that clients of the remote API are to be told.
    pub fn pop_event(&mut self) -> Option<Event> {
        let Service { calls, sms, news, .. } = &mut self.service;
        calls.pop_event().or_else(|| sms.pop_event()).or_else(|| news.pop())
    }

    /// Ends the call with this dialog index. The error says, in words, why it could not.
    pub fn stop_dialog(&mut self, cx: &mut Cx<'_>, index: u32) -> Result<(), String> {
        self.set_dialog(cx, index, Action::Stop(Why::default()))
    }

    /// Does what the operator wants with the call that has this dialog index. The error says, in words, why it cannot be done.
    pub fn set_dialog(&mut self, cx: &mut Cx<'_>, index: u32, action: Action) -> Result<(), String> {
        let (calls, mut view) = self.service.calls();
        let done = calls.act(&mut view, cx, index, action);
        self.settle(cx);
        done
    }

    /// Refreshes the session of the dialog with this index no more, and ends its call no more for want of a refresh. The error
    /// says, in words, why it could not.
    pub fn stop_session_timer(&mut self, cx: &mut Cx<'_>, index: u32) -> Result<(), String> {
        self.set_dialog(cx, index, Action::StopSessionTimer)
    }

    /// Takes away the binding whose contact this URI is, or all bindings of the user whose identity it is, and tells the phones
    /// why (TS 24.229 5.4.1.5). How many there were; the error says in words that there are none.
    pub fn unregister(&mut self, cx: &mut Cx<'_>, uri: &str, why: Gone) -> Result<usize, String> {
        let removed = registration::unregister(&mut self.service, cx, uri, why);
        self.settle(cx);
        removed
    }

    /// Lets the bindings that `uri` names end after `within`, as [`Core::unregister`] finds them, and tells the phones, so that they
    /// authenticate again before (TS 24.229 5.4.1.6). How many there were; the error says in words why there are none.
    pub fn reauthenticate(&mut self, cx: &mut Cx<'_>, uri: &str, within: Duration) -> Result<usize, String> {
        let shortened = reauthentication::start(&mut self.service, cx, uri, within);
        self.settle(cx);
        shortened
    }

    /// Routes what the input brought up, a bounded number of steps; the rest stays for the next input, which is due at once.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>) {
        self.is_unsettled = true;
        for _ in 0..MAX_SETTLE_STEPS {
            if let Some(event) = self.service.txs.pop_event() {
                self.service.on_tx_event(cx, event);
            } else if let Some(removed) = self.service.registrar.pop_removed() {
                self.service.on_removed(cx, removed);
            } else if let Some(number) = self.service.security.pop_unstored() {
                association::forget(cx, number);
            } else if let Some(stranger) = self.service.calls.pop_recallable() {
                self.service.callbacks.open(cx.now, stranger);
            } else if let Some(event) = self.service.sgs.pop_event() {
                self.service.on_sgs_event(cx, event);
            } else if let Some(user) = self.service.registrar.pop_changed() {
                self.service.on_changed(cx, user);
            } else if let Some(user) =
                self.service.sms.pop_touched().or_else(|| self.service.calls.pop_touched())
            {
                self.service.tell_update(user);
            } else if let Some(downlink) = self.service.sms.pop_downlink() {
                self.service.send_over_sgs(cx, &downlink);
            } else if !self.service.notify_next(cx) && !self.service.settle_acknowledgements(cx) {
                self.is_unsettled = false;
                break;
            }
        }
        self.service.calls.on_sent(cx);
        self.service.sgs.release_quiet(cx);
        // a BYE is answered before the sockets close, or its sender finds them closed
        let Service { calls, txs, sms, acknowledgements, .. } = &self.service;
        let idle =
            || calls.is_idle() && !txs.is_waiting() && !sms.owes_answers() && acknowledgements.is_empty();
        if let End::Stopping(at) = self.end
            && (cx.now >= at || idle())
        {
            self.end = End::Done;
            self.service.give_acknowledgements(cx);
            cx.out.push(Output::Exit);
        }
    }

    fn tell_complaints(&mut self, cx: &mut Cx<'_>) {
        for complaint in self.complaints.drain(..) {
            cx.ims(Level::Warn, Subject::None, format_args!("{complaint}"));
        }
    }
}

impl Service {
    fn restore(&mut self, cx: &mut Cx<'_>, key: &str, value: &str) -> Result<(), Misfit> {
        if let Some(name) = key.strip_prefix(persist::SQN) {
            let (auth, subscribers, mut to) = self.auth(cx);
            return auth.restore_sqn(&mut to, subscribers, name, value);
        }
        if key.starts_with(association::ASSOCIATION) {
            let kept = association::read(&self.subscribers, key, value)?;
            return Ok(self.security.restore(kept)?);
        }
        if key.starts_with(sms::record::SMS) {
            return self.sms.restore(cx, &self.subscribers, key, value);
        }
        if key.starts_with(sms::hook::PART) {
            return self.sms.restore_part(cx, &self.subscribers, key, value);
        }
        if !key.starts_with(persist::BINDING) {
            return Ok(());
        }
        let known = persist::Known::of(&self.subscribers, &self.config.sip, &self.security);
        let (user, number, mut draft) = persist::read_binding(cx, &known, key, value)?;
        // the wall clock may have been set back meanwhile, and the limit lowered
        draft.expires_at = draft.expires_at.min(cx.now + self.config.registration.binding_expires);
        self.registrar.add_numbered(user, number, draft).map_err(|_| "no room for another binding")?;
        Ok(())
    }
}
