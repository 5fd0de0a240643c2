//! What an INVITE is to become: a call to a user, an echo call, or a refusal, before anything is kept of it.

use super::agent::{self, Origin};
use super::anchoring::Policy;
use super::destination::Destination;
use super::echo::Echo;
use super::forward::{self, Privacy};
use super::history::History;
use super::in_need;
use super::limits::{MAX_FORKS, RETRY_AFTER_SECS};
use super::media::description;
use super::preferences::{Preferences, Rating};
use super::rules::Rules;
use super::session::{Bridge, Call, Kind, Leg, Party, ServerId, Waiting};
use super::setup::new_tag;
use super::state::State;
use super::tag::Side;
use super::timer::{Ask, Timer};
use crate::base::arena::Id;
use crate::base::timer::Alarm;
use crate::base::trace::{Level, Subject};
use crate::config::model::Impu;
use crate::ims::core::View;
use crate::ims::dispatch::Caller;
use crate::ims::emergency;
use crate::ims::emergency::alternative::{self, Action};
use crate::ims::emergency::callback::Stranger;
use crate::ims::identity::{self, Speaker};
use crate::ims::registrar::binding::{Binding, DEFAULT_Q};
use crate::ims::subscriber::{Target, UserId};
use crate::ims::trunk;
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::wire::identities::imei_of_instance;
use crate::wire::sdp::Sdp;
use crate::wire::sip::text::lossy;
use crate::wire::sip::{HeaderId, Message, NameAddr, Uri};
use arrayvec::ArrayString;
use smallvec::SmallVec;

/// The warn-code of a text for people (RFC 3261 20.43).
const MISCELLANEOUS: u16 = 399;

/// Why an INVITE starts no call, or a MESSAGE reaches nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ims) struct Refusal {
    pub(in crate::ims) status: u16,
    pub(in crate::ims) text: &'static str,
    /// Warn-code (RFC 3261 20.43), where there is one for it.
    warning: Option<u16>,
    /// What the caller requires and may not have.
    unsupported: Option<&'static str>,
    /// Min-SE, seconds.
    min_secs: Option<u32>,
    /// How an emergency call is to come instead.
    alternative: Option<Action>,
    /// What the status line says, where that is not the status's usual phrase.
    phrase: Option<&'static str>,
}

impl Refusal {
    /// RFC 5079: the caller is to say who it is.
    const ANONYMOUS: Refusal = Refusal::new(433, "the trunk is configured without anonymous calls");

    /// As many calls run as there may be.
    pub(super) const NO_ROOM: Refusal = Refusal::new(503, "there is no room for another call");

    const fn new(status: u16, text: &'static str) -> Self {
        let (warning, unsupported, min_secs) = (None, None, None);
        Refusal { status, text, warning, unsupported, min_secs, alternative: None, phrase: None }
    }

    /// The caller would rather not call than be seen so far (RFC 3323 5).
    const fn privacy(phrase: &'static str, text: &'static str) -> Self {
        Refusal { phrase: Some(phrase), ..Refusal::new(500, text) }
    }

    /// An emergency call is to come another way.
    fn alternative(action: Action) -> Self {
        Refusal { alternative: Some(action), ..Refusal::new(alternative::STATUS, action.words()) }
    }

    /// The caller requires an extension that the configuration forbids.
    fn extension(option: &[u8]) -> Self {
        let name = if option.eq_ignore_ascii_case(b"100rel") { "100rel" } else { "precondition" };
        let text = "it requires an extension that the configuration forbids";
        Refusal { unsupported: Some(name), ..Refusal::new(420, text) }
    }

    /// The caller asks for a session timer that is too short (RFC 4028 9).
    fn session_too_short(least_secs: u32) -> Self {
        let text = "its session timer is below the configured minimum";
        Refusal { min_secs: Some(least_secs), ..Refusal::new(422, text) }
    }

    /// Answers the INVITE.
    pub(super) fn send(&self, view: &mut View<'_>, cx: &mut Cx<'_>, tx: ServerId, msg: &Message<'_>) {
        let who = msg.from().map_or_else(Default::default, |f| lossy(f.uri_text));
        let whom = lossy(msg.request_uri());
        cx.ims(
            Level::Info,
            Subject::None,
            format_args!("call from {who} to {whom} refused with {}: {}", self.status, self.text),
        );
        let tag = view.txs.new_token();
        let settings = &view.config.protocol;
        let config = view.config;
        let agent = config.sip[0].addr;
        let came = view.txs.server(tx).and_then(|s| view.txs.local_addr(s.flow().local)).unwrap_or(agent);
        view.txs.respond(cx, tx, self.status, self.phrase, &tag, |mut w| {
            if self.status == 503 {
                w.header_fmt("Retry-After", format_args!("{RETRY_AFTER_SECS}"));
            }
            let code = self.warning.unwrap_or(MISCELLANEOUS);
            w.header_fmt("Warning", format_args!("{code} {agent} \"{}\"", self.text));
            if let Some(secs) = self.min_secs {
                w.header_fmt("Min-SE", format_args!("{secs}"));
            }
            if let Some(option) = self.unsupported {
                w.header("Unsupported", option);
            }
            forward::own_response(&mut w, settings);
            match self.alternative {
                Some(action) => alternative::finish(w, config, came, action, msg),
                None => w.finish(),
            }
        });
    }
}

/// A call that can be made.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) kind: Kind,
    pub(super) caller: Party,
    pub(super) callee: Party,
    pub(super) rules: Rules,
    /// The caller, where it can be called back after an emergency call.
    pub(super) stranger: Option<Stranger>,
}

impl Draft {
    /// Decides what the INVITE becomes.
    pub(super) fn new(
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        msg: &Message<'_>,
        caller: Caller,
        flow: Flow,
    ) -> Result<Draft, Refusal> {
        let uri = Uri::parse(msg.request_uri());
        let target = uri.map_or(Target::Unknown, |uri| view.subs.lookup(&uri));
        let service = emergency::service(view.subs, view.config, target);
        if let Some(action) = service.and_then(|s| alternative::demanded(s, view.registrar, caller)) {
            return Err(Refusal::alternative(action));
        }
        let (mut calling, from) = calling_party(view, msg, caller, flow);
        admit_anonymous(view, &calling)?;
        let stranger = service.and_then(|service| in_need::caller(view, msg, &mut calling, flow, service));
        let (mut kind, callee) = called_party(view, cx, msg, (caller, flow), target, &calling)?;
        let is_callback = matches!(&kind, Kind::Bridge(b) if in_need::is_callback(view, &b.waiting));
        let called = match target {
            Target::Echo(number) => view.config.echo.get(number),
            _ => callee.impu(view.subs),
        };
        let plain = [calling.is_trunk, callee.is_trunk];
        let mut rules = Rules::of(&view.config.call, [from, called]).with_plain(plain);
        (rules.is_emergency, rules.is_callback) = (service.is_some(), is_callback);
        if let (Target::Echo(_), Some(own)) = (target, called.and_then(|i| i.session_timer)) {
            // the caller's own comes first
            rules.timers[Side::Caller as usize] = from.and_then(|i| i.session_timer).unwrap_or(own);
        }
        if let (Target::Echo(_), Some(own)) = (target, called.and_then(|i| i.precondition)) {
            // an echo number is the caller's partner
            rules.precondition[Side::Caller as usize] = own;
        }
        if let Target::Echo(_) = target {
            // whichever of the two has no reliable answers
            rules.reliable[Side::Caller as usize] &= rules.reliable[Side::Callee as usize];
        }
        if let Kind::Bridge(bridge) = &mut kind {
            let policy = Policy::of(&view.config.call, [from, called]);
            bridge.policy = if calling.privacy.hides_media { policy.hiding() } else { policy };
            admit_critical(&calling, &bridge.policy)?;
        }
        let offer = description(msg).and_then(|d| Sdp::parse(d).ok());
        if matches!(kind, Kind::Bridge(_)) && offer.is_some_and(|o| rules.refuses_all(&o)) {
            let text = "no media of the offer may be used in this call";
            return Err(Refusal { warning: Some(304), ..Refusal::new(488, text) });
        }
        if let Some(option) = rules.refused_option(msg) {
            return Err(Refusal::extension(option));
        }
        let least = Timer::new(rules.timers[Side::Caller as usize]).refuses(&Ask::of(msg));
        match least {
            Some(secs) => Err(Refusal::session_too_short(secs)),
            None => Ok(Draft { kind, caller: calling, callee, rules, stranger }),
        }
    }

    /// The call; its id is not known yet.
    pub(super) fn into_call(self, view: &mut View<'_>, cx: &mut Cx<'_>, index: u32) -> Call {
        let binding = self.caller.binding.and_then(|id| view.registrar.binding(id));
        Call {
            subject: binding.map_or(Subject::None, |b| Subject::Id(b.number)),
            id: Id::from_bits(0),
            icid: view.txs.new_token(),
            state: State::Init,
            created: cx.now,
            created_wall: cx.wall,
            ended: None,
            caller: self.caller,
            callee: self.callee,
            invite: None,
            history: History::new(index, view.txs.new_token()),
            legs: SmallVec::new(),
            kind: self.kind,
            rules: self.rules,
            stranger: self.stranger,
            accepted: SmallVec::new(),
            own: SmallVec::new(),
            next_own: 0,
            news: SmallVec::new(),
            alarm: Alarm::default(),
            idle_deadline: None,
            rings_since: cx.now,
        }
    }
}

/// Who is called, and how the call gets there.
fn called_party(
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    msg: &Message<'_>,
    (caller, flow): (Caller, Flow),
    target: Target,
    calling: &Party,
) -> Result<(Kind, Party), Refusal> {
    match target {
        Target::Unknown => match in_need::called_back(view, cx, msg, caller) {
            Some((waiting, callee)) => Ok((bridge(waiting), callee)),
            None => to_trunk(view, msg, calling),
        },
        Target::User { user, impu } => {
            let own = caller.binding.filter(|id| is_registered_at(view, *id, msg, flow));
            let is_service = caller.user.is_some_and(|id| emergency::is_answered_by(view.subs, id));
            let waiting = match is_service {
                true => in_need::contacts(view, cx, (user, impu), own, msg)?,
                false => contacts(view, cx, user, impu, own, msg)?,
            };
            let called = &view.subs.user(user).impus[impu];
            let privacy = if called.anonymous { Privacy::ALL } else { Privacy::default() };
            let (user, impu_index, uri) = (Some(user), Some(impu), called.uri.clone());
            Ok((bridge(waiting), Party { user, impu_index, uri, privacy, ..Party::default() }))
        }
        Target::Echo(number) => {
            let uri = view.config.echo[number].uri.clone();
            Ok((echo(view, cx, msg, flow, number)?, Party { uri, ..Party::default() }))
        }
    }
}

fn bridge(waiting: Waiting) -> Kind {
    Kind::Bridge(Box::new(Bridge { waiting, ..Bridge::default() }))
}

/// Callers from the trunk who want to be unknown need its leave.
fn admit_anonymous(view: &View<'_>, calling: &Party) -> Result<(), Refusal> {
    let refused = view.trunk.filter(|trunk| calling.is_trunk && !trunk.takes_anonymous());
    match refused.filter(|_| calling.privacy.hides_anything()) {
        Some(_) => Err(Refusal::ANONYMOUS),
        None => Ok(()),
    }
}

/// A caller to whom its privacy is critical is not shown more than it wants (RFC 3323 5).
fn admit_critical(calling: &Party, policy: &Policy) -> Result<(), Refusal> {
    let privacy = calling.privacy;
    let shows_media = privacy.hides_media && !policy.hides();
    match (privacy.is_critical, shows_media, privacy.wants_more) {
        (true, true, _) => Err(Refusal::privacy(
            "Privacy Not Possible: session",
            "media_relay off: the callee would see where the caller's media comes from",
        )),
        (true, false, true) => Err(Refusal::privacy(
            "Privacy Not Possible: unknown level",
            "the caller wants privacy of a kind that is not known here",
        )),
        _ => Ok(()),
    }
}

/// A callee whom nobody here knows is the trunk's, where there is one. Calls from the trunk do not go back to it, and strangers
/// do not call on its account.
fn to_trunk(view: &View<'_>, msg: &Message<'_>, calling: &Party) -> Result<(Kind, Party), Refusal> {
    let trunk = view.trunk.filter(|_| calling.user.is_some());
    let dialled = Uri::parse(msg.request_uri());
    if trunk.is_some() && dialled.as_ref().is_some_and(trunk::is_emergency) {
        return Err(Refusal::new(
            404,
            "an emergency number that nobody here has; such calls never go to the trunk",
        ));
    }
    let called = trunk.zip(dialled).and_then(|(trunk, uri)| Some((trunk, trunk.callee(&uri)?)));
    let Some((trunk, uri)) = called else {
        let (status, text) = view.subs.refusal(msg.request_uri());
        return Err(Refusal::new(status, text));
    };
    if calling.privacy.hides_anything() && !trunk.takes_anonymous() {
        return Err(Refusal::ANONYMOUS);
    }
    let waiting = Waiting::from_iter([(Destination::Trunk, DEFAULT_Q)]);
    Ok((bridge(waiting), Party { uri, is_trunk: true, ..Party::default() }))
}

/// The contacts to try for an identity of a user, best first: those that the caller wants, without the one that the call comes
/// from.
pub(in crate::ims) fn contacts(
    view: &View<'_>,
    cx: &Cx<'_>,
    user: UserId,
    impu: usize,
    caller: Option<Id<Binding>>,
    msg: &Message<'_>,
) -> Result<Waiting, Refusal> {
    contacts_for(view, cx, (user, impu), caller, &Preferences::of(msg))
}

/// The same, for a caller with these preferences.
pub(super) fn contacts_for(
    view: &View<'_>,
    cx: &Cx<'_>,
    (user, impu): (UserId, usize),
    caller: Option<Id<Binding>>,
    preferences: &Preferences<'_>,
) -> Result<Waiting, Refusal> {
    let all = view.registrar.targets(user, cx.now);
    let profile = view.subs.user(user);
    let phones = identity::phones_of(profile, impu);
    let rated = |id: Id<Binding>| {
        let binding = view.registrar.binding(id)?;
        let is_for = phones.as_ref().is_none_or(|imeis| imeis.iter().any(|imei| binding.has_imei(imei)));
        is_for.then(|| (id, binding.contact.q, preferences.rate(binding.contact.params())))
    };
    let others = all.iter().filter(|id| Some(**id) != caller);
    let mut found: SmallVec<[_; MAX_FORKS]> = others.filter_map(|id| rated(*id)).collect();
    let has_any = !found.is_empty();
    // those that say that they have what is required, else those that do not say
    let least = found
        .iter()
        .map(|(.., rating)| *rating)
        .max()
        .map_or(Rating::Silent, |best| best.min(Rating::Wanted(0)));
    found.retain(|(.., rating)| *rating >= least.max(Rating::Silent));
    // RFC 3841 7.2.4: the callee's order first, then the caller's
    found.sort_by_key(|(_, q, rating)| std::cmp::Reverse((*q, *rating)));
    found.truncate(if preferences.no_fork { 1 } else { MAX_FORKS });
    match (found.is_empty(), all.is_empty()) {
        (false, _) => Ok(found.into_iter().map(|(id, q, _)| (Destination::Contact(id), q)).collect()),
        (true, _) if has_any => {
            Err(Refusal::new(480, "no phone of the callee has the features that the caller requires"))
        }
        // RFC 3261 21.4.18
        (true, true) => Err(Refusal::new(480, "the callee is not registered")),
        (true, false) if all.iter().all(|id| Some(*id) != caller) => {
            Err(Refusal::new(480, "no phone of the callee has the identity's IMEI"))
        }
        (true, false) => Err(Refusal::new(486, "the callee's only phone is the one that calls")),
    }
}

fn echo(
    view: &mut View<'_>,
    cx: &Cx<'_>,
    msg: &Message<'_>,
    flow: Flow,
    number: usize,
) -> Result<Kind, Refusal> {
    let offer = description(msg).and_then(|d| Sdp::parse(d).ok());
    let Some(local) =
        agent::local_for(view.config, view.security.locals().clear_of(flow.local), offer.as_ref())
    else {
        let text = "no media address of the offer's family";
        return Err(Refusal { warning: Some(301), ..Refusal::new(488, text) });
    };
    // RFC 8866 5.2: session id and version of the o= line follow the clock
    let id = cx.wall.as_micros().unsigned_abs();
    let address = view.config.sip[usize::from(local.0)].addr.ip();
    let origin = Origin { id, version: 0, address };
    Ok(Kind::Echo(Box::new(Echo::new(number, &view.config.echo[number], local, origin))))
}

/// The caller as views show it: the identity it is known by, with its settings, else what From says.
pub(in crate::ims) fn calling_party<'v>(
    view: &View<'v>,
    msg: &Message<'_>,
    caller: Caller,
    flow: Flow,
) -> (Party, Option<&'v Impu>) {
    let from = msg.from();
    if caller.is_trunk {
        return (trunk_party(msg), None);
    }
    let user = caller.user;
    let preferred = msg.values(HeaderId::PPreferredIdentity).filter_map(|v| NameAddr::parse(v)?.uri);
    let known = preferred
        .chain(from.and_then(|f| f.uri))
        .find_map(|uri| view.subs.lookup_user(&uri).filter(|(id, _)| Some(*id) == user));
    let known = known.map(|(user, impu)| &view.subs.user(user).impus[impu]);
    let imei = imei_of(view, msg, caller.binding);
    let speaker = user.map(|user| Speaker { user, imei: imei.as_deref(), called: None });
    let shown = speaker.and_then(|speaker| {
        identity::speaking(view.subs, speaker, msg).map(|at| &view.subs.user(speaker.user).impus[at])
    });
    let uri = match known {
        Some(impu) => impu.uri.clone(),
        None => from.map_or_else(String::new, |f| lossy(f.uri_text).into_owned()),
    };
    let binding = caller.binding;
    let follows_binding = binding.is_some_and(|id| is_registered_at(view, id, msg, flow));
    // TS 24.607 4.5.2.4: what is withheld for good stays so, whatever the phone says of a single call
    let asked = Privacy::of(msg);
    let is_withheld = [known, shown].into_iter().flatten().any(|impu| impu.anonymous);
    let privacy = if is_withheld { Privacy::ALL.or(asked) } else { asked };
    (Party { user, uri, binding, imei, follows_binding, privacy, ..Party::default() }, known)
}

/// Somebody behind the trunk.
fn trunk_party(msg: &Message<'_>) -> Party {
    let asserted = trunk::asserted(msg);
    let known = asserted.first().and_then(|value| NameAddr::parse(value.as_bytes()));
    let named = known.or(msg.from()).map(|address| lossy(address.uri_text).into_owned());
    let privacy = trunk::privacy(msg);
    Party { uri: named.unwrap_or_default(), is_trunk: true, privacy, ..Party::default() }
}

/// The IMEI of the phone that sent a request: as it has registered it, else as Contact says.
fn imei_of(view: &View<'_>, msg: &Message<'_>, binding: Option<Id<Binding>>) -> Option<ArrayString<16>> {
    let registered = binding.and_then(|id| view.registrar.binding(id)?.contact.imei);
    registered.or_else(|| {
        let instance = msg.contacts().flatten().find_map(|contact| contact.params.get("+sip.instance"));
        instance.and_then(imei_of_instance)
    })
}

/// Whether an INVITE that came over this flow comes from the phone that registered this contact: over the same connection, from
/// one of its addresses, or, where a phone has opened a connection for this INVITE, with the same address in Contact.
fn is_registered_at(view: &View<'_>, id: Id<Binding>, msg: &Message<'_>, flow: Flow) -> bool {
    let Some(binding) = view.registrar.binding(id) else { return false };
    let contact = msg.contacts().flatten().next().and_then(|c| c.uri?.socket_addr());
    (flow.conn.is_some() && flow.conn == binding.flow.conn)
        || [binding.flow.remote, binding.origin.source].contains(&flow.remote)
        || (contact.is_some_and(|c| c.ip() == flow.remote.ip())
            && contact == binding.contact.uri().and_then(|u| u.socket_addr()))
}

/// The one leg of an echo call.
pub(super) fn echo_leg(call: &Call, view: &mut View<'_>) -> Leg {
    let tags = [Side::Caller, Side::Callee].map(|side| new_tag(call.place(0, side), view));
    let history = History::new(call.history.index, view.txs.new_token());
    Leg::new(tags, history, view.txs.new_token(), &call.rules)
}
