//! REGISTER from end to end: whose it is, whether that is proven, what it changes, and the answer (RFC 3261 10.3, TS 24.229
//! 5.4.1.2).

use crate::base::arena::Id;
use crate::base::trace::{Level, Subject};
use crate::config::model::User;
use crate::ims::auth::card::Claim;
use crate::ims::auth::{Family, Outcome, credentials};
use crate::ims::call::forward;
use crate::ims::core::Service;
use crate::ims::dispatch::{Extra, Refusal, ServerId, challenge, claim, refuse};
use crate::ims::persist;
use crate::ims::registrar::Gone;
use crate::ims::registrar::binding::Binding;
use crate::ims::registrar::expires::shortest;
use crate::ims::registrar::register;
use crate::ims::registrar::register::{Circumstances, Done, Plan};
use crate::ims::registrar::response::{Described, Granted};
use crate::ims::subscriber::{Subscribers, UserId};
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::wire::sip::text::lossy;
use crate::wire::sip::{Message, Uri};

/// A REGISTER that names nobody, or two users.
#[derive(Debug, PartialEq, Eq)]
enum Misnamed<'m> {
    /// Neither IMPI nor IMPU is known.
    Impu(&'m [u8]),
    /// The IMPI is nobody's.
    Impi(&'m [u8]),
    /// The IMPU is another user's than the IMPI.
    Others { impu: &'m [u8], owner: UserId, user: UserId },
    /// The IMPU is nobody's.
    NotOf { impu: &'m [u8], user: UserId },
}

impl Misnamed<'_> {
    /// The status, and the reason for the client.
    const fn refusal(&self) -> (u16, &'static str) {
        match self {
            Misnamed::Impu(_) => (404, "unknown public identity"),
            Misnamed::Impi(_) => (403, "unknown private identity"),
            Misnamed::Others { .. } => (403, "public identity of another user"),
            Misnamed::NotOf { .. } => (403, "unknown public identity"),
        }
    }

    /// For the log.
    fn words(&self, subscribers: &Subscribers) -> String {
        let impi = |user| &subscribers.user(user).impi;
        let hint = |name: &[u8]| {
            let similar = subscribers.similar_impi(name);
            similar.map(|similar| format!(" (did you mean {similar}?)")).unwrap_or_default()
        };
        match *self {
            Misnamed::Impu(impu) => {
                let name = impu.strip_prefix(b"sip:").unwrap_or(impu);
                format!("IMPU {} is not in ue_db{}", lossy(impu), hint(name))
            }
            Misnamed::Impi(name) => format!("IMPI {} is not in ue_db{}", lossy(name), hint(name)),
            Misnamed::Others { impu, owner, user } => {
                format!("IMPU {} belongs to {}, not to {}", lossy(impu), impi(owner), impi(user))
            }
            Misnamed::NotOf { impu, user } => {
                format!("IMPU {} is not among those of {}", lossy(impu), impi(user))
            }
        }
    }
}

/// Takes a REGISTER.
pub(super) fn on_register(
    service: &mut Service,
    cx: &mut Cx<'_>,
    id: ServerId,
    flow: Flow,
    msg: &Message<'_>,
) {
    let (user, impu) = match whose(&service.subscribers, msg) {
        Ok(found) => found,
        Err(misnamed) => {
            let (status, reason) = misnamed.refusal();
            let words = || {
                format!(
                    "Register from {}: refused with {status}: {}",
                    flow.remote,
                    misnamed.words(&service.subscribers)
                )
            };
            service.troubles.tell(cx, None, words);
            return refuse(service, cx, id, &Refusal::new(status, reason));
        }
    };
    let identity = &service.subscribers.user(user).impus[impu];
    let (must_prove, fresh_each_time) = (identity.authentication, identity.reauthenticate);
    let proven = if must_prove {
        let mut own = service.registrar.of_user(user);
        let binding = own.find(|(_, b)| b.origin.source == flow.remote).map(|(id, _)| id);
        drop(own);
        let claim = Claim { fresh_each_time, ..claim(service, user, binding, flow) };
        let (auth, subscribers, mut to) = service.auth(cx);
        auth.check(&mut to, subscribers, &claim, msg)
    } else {
        Outcome::Passed { how: "none", info: None }
    };
    match proven {
        Outcome::Passed { how, info } => {
            on_proven(service, cx, id, msg, Proven { user, impu, flow, how, info: info.as_deref() });
        }
        Outcome::Challenge(value) => {
            let family = Family::of(service.subscribers.user(user));
            challenge(service, cx, id, family, &value);
        }
        Outcome::Refused { status, reason } => refuse(service, cx, id, &Refusal::new(status, reason)),
        Outcome::TurnedAway { wait_secs } => refuse(service, cx, id, &Refusal::turned_away(wait_secs)),
    }
}

/// Takes bindings away in the network's name (TS 24.229 5.4.1.5): the one whose contact is `uri`, or all of the user whose
/// identity it is. How many there were; the error says in words that there are none.
pub(super) fn unregister(
    service: &mut Service,
    cx: &mut Cx<'_>,
    uri: &str,
    why: Gone,
) -> Result<usize, String> {
    let Service { registrar, subscribers, .. } = service;
    let has_uri = registrar.iter().filter(|(_, b)| b.contact.has_uri(uri.as_bytes()));
    let mut ids: Vec<Id<Binding>> = has_uri.map(|(id, _)| id).collect();
    if ids.is_empty() {
        let named = Uri::parse(uri.as_bytes()).and_then(|uri| subscribers.lookup_user(&uri));
        let user = named.map(|(user, _)| user).or_else(|| subscribers.by_impi(uri.as_bytes()));
        let user = user.ok_or_else(|| format!("no contact and no user is {uri}"))?;
        ids.extend(registrar.of_user(user).map(|(id, _)| id));
        if ids.is_empty() {
            return Err(format!("{} is not registered", subscribers.user(user).impi));
        }
    }
    for id in &ids {
        let Some(binding) = registrar.remove(*id, why) else { continue };
        let (impi, text) = (&subscribers.user(binding.user).impi, Described(&binding));
        let subject = Subject::Id(binding.number);
        cx.ims(Level::Info, subject, format_args!("Unregister {impi}: {text} by command, {}", why.name()));
    }
    Ok(ids.len())
}

/// A REGISTER whose sender is known.
struct Proven<'a> {
    user: UserId,
    impu: usize,
    flow: Flow,
    how: &'static str,
    info: Option<&'a str>,
}

fn on_proven(service: &mut Service, cx: &mut Cx<'_>, id: ServerId, msg: &Message<'_>, proven: Proven<'_>) {
    let Proven { user, impu, flow, how, .. } = proven;
    let Service { registrar, subscribers, config, troubles, .. } = service;
    let profile = subscribers.user(user);
    if how != "none" {
        cx.ims(Level::Info, Subject::None, format_args!("{} authenticated ({how})", profile.impi));
    }
    let shared = profile.multi_sim;
    let circumstances = Circumstances { user, impu, shared, auth: how, flow, config };
    let plan = match Plan::new(registrar, cx, circumstances, msg) {
        Ok(plan) => plan,
        Err(why) => {
            let (impi, status) = (&profile.impi, why.status());
            troubles.tell(cx, Some(user), || format!("Register {impi}: refused with {status}: {why}"));
            let refusal = Refusal::new(status, &why.to_string());
            let least = shortest(&config.registration).as_secs();
            let refusal = match why {
                register::Refusal::TooBrief => refusal.with(Extra::MinExpires(least)),
                _ => refusal,
            };
            return refuse(service, cx, id, &refusal);
        }
    };
    let done = plan.carry_out(registrar, user);
    troubles.clear(user);
    for step in &done {
        tell(cx, service, service.subscribers.user(user), step);
    }
    answer(service, cx, id, msg, proven);
}

/// Traces a change, and stores it.
fn tell(cx: &mut Cx<'_>, service: &Service, profile: &User, done: &Done) {
    let Service { registrar, subscribers, config, .. } = service;
    let impi = &profile.impi;
    let (id, lifetime, verb) = match done {
        Done::Added(id, lifetime) => (*id, lifetime, "bound"),
        Done::Refreshed(id, lifetime) => (*id, lifetime, "refreshed"),
        Done::Removed(binding) | Done::Displaced(binding) => {
            let why = if matches!(done, Done::Displaced(_)) { " makes room for a newer one" } else { "" };
            let text = Described(binding);
            let subject = Subject::Id(binding.number);
            return cx.ims(Level::Info, subject, format_args!("Unregister {impi}: {text}{why}"));
        }
    };
    let Some(binding) = registrar.binding(id) else { return };
    let (text, secs) = (Described(binding), lifetime.as_secs());
    let subject = Subject::Id(binding.number);
    cx.ims(Level::Info, subject, format_args!("Register {impi}: {verb} {text}, expires in {secs} s"));
    persist::store_binding(cx, subscribers, &config.sip, binding);
}

fn answer(service: &mut Service, cx: &mut Cx<'_>, id: ServerId, msg: &Message<'_>, proven: Proven<'_>) {
    let tag = service.tokens.tag(cx.rng);
    let Service { registrar, subscribers, config, txs, .. } = service;
    let local = txs.local_addr(proven.flow.local).expect("a flow is of one of our sockets");
    let granted = Granted {
        registrar,
        subscribers,
        config,
        user: proven.user,
        local,
        authentication_info: proven.info,
        now: cx.now,
        wall: cx.wall,
    };
    txs.respond(cx, id, 200, None, tag.as_bytes(), |mut w| {
        granted.write(&mut w, msg);
        forward::end_own_response(w, &config.protocol, b"REGISTER", 200);
    });
}

/// The user whom a REGISTER is of, by the IMPI in its credentials and the IMPU in To, which must belong together; without
/// credentials the IMPU tells (TS 24.229 5.4.1.2.1). The index is that of the IMPU.
fn whose<'m>(subscribers: &Subscribers, msg: &Message<'m>) -> Result<(UserId, usize), Misnamed<'m>> {
    let to = msg.to();
    let impu = to.as_ref().map(|to| to.uri_text).unwrap_or_default();
    let registered = to.and_then(|to| to.uri).and_then(|uri| subscribers.lookup_user(&uri));
    let username = credentials(msg).map(|c| c.username).filter(|name| !name.is_empty());
    let Some(username) = username else {
        return registered.ok_or(Misnamed::Impu(impu));
    };
    let user = subscribers.by_impi(username).ok_or(Misnamed::Impi(username))?;
    match registered {
        Some((owner, at)) if owner == user => Ok((user, at)),
        Some((owner, _)) => Err(Misnamed::Others { impu, owner, user }),
        None => Err(Misnamed::NotOf { impu, user }),
    }
}
