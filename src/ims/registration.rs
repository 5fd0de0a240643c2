//! REGISTER from end to end: whose it is, whether that is proven, what it changes, and the answer (RFC 3261 10.3, TS 24.229
//! 5.4.1.2).

use crate::base::arena::Id;
use crate::base::trace::{Level, Subject};
use crate::config::model::User;
use crate::ims::auth::{Family, Outcome, credentials};
use crate::ims::call::forward;
use crate::ims::core::Service;
use crate::ims::dispatch::{Extra, Refusal, ServerId, challenge, refuse};
use crate::ims::persist;
use crate::ims::registrar::Gone;
use crate::ims::registrar::binding::Binding;
use crate::ims::registrar::expires::shortest;
use crate::ims::registrar::register;
use crate::ims::registrar::register::{Circumstances, Done, Plan};
use crate::ims::registrar::response::{Granted, describe};
use crate::ims::subscriber::{Subscribers, Target, UserId};
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::wire::sip::text::lossy;
use crate::wire::sip::{Message, Uri};

/// A REGISTER that names nobody, or two users.
#[derive(Debug, PartialEq, Eq)]
struct Misnamed {
    status: u16,
    /// For the client.
    reason: &'static str,
    /// For the log.
    words: String,
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
        Err(Misnamed { status, reason, words }) => {
            service.troubles.tell(cx, None, format!("Register from {}: refused, {words}", flow.remote));
            return refuse(service, cx, id, &Refusal::new(status, reason));
        }
    };
    let identity = &service.subscribers.user(user).impus[impu];
    let (must_prove, fresh_each_time) = (identity.authentication, identity.reauthenticate);
    let proven = if must_prove {
        let (auth, subscribers, mut to) = service.auth(cx);
        auth.check(&mut to, subscribers, user, msg, fresh_each_time)
    } else {
        Outcome::Passed { how: "none", info: None }
    };
    match proven {
        Outcome::Passed { how, info } => {
            on_proven(service, cx, id, msg, Proven { user, impu, flow, how, info: info.as_deref() });
        }
        Outcome::Challenge(value) => {
            let proxy = service.subscribers.user(user).proxy_auth;
            challenge(service, cx, id, if proxy { Family::Proxy } else { Family::Www }, &value);
        }
        Outcome::Refused { status, reason } => refuse(service, cx, id, &Refusal::new(status, reason)),
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
        let (impi, text) = (&subscribers.user(binding.user).impi, describe(&binding));
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
    let settings = &config.registration;
    let plan = match Plan::new(registrar, cx, Circumstances { user, impu, auth: how, flow, settings }, msg) {
        Ok(plan) => plan,
        Err(why) => {
            let (impi, status) = (&profile.impi, why.status());
            troubles.tell(cx, Some(user), format!("Register {impi}: refused with {status}, {why}"));
            let refusal = Refusal::new(status, &why.to_string());
            let refusal = match why {
                register::Refusal::TooBrief => refusal.with(Extra::MinExpires(shortest(settings).as_secs())),
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
    let Service { registrar, subscribers, .. } = service;
    let (id, lifetime, verb) = match done {
        Done::Added(id, lifetime) => (*id, lifetime, "bound"),
        Done::Refreshed(id, lifetime) => (*id, lifetime, "refreshed"),
        Done::Removed(binding) => {
            let text = describe(binding);
            let subject = Subject::Id(binding.number);
            cx.ims(Level::Info, subject, format_args!("Unregister {}: {text}", profile.impi));
            return;
        }
    };
    let Some(binding) = registrar.binding(id) else { return };
    let text = describe(binding);
    cx.ims(
        Level::Info,
        Subject::Id(binding.number),
        format_args!("Register {}: {verb} {text}, expires in {} s", profile.impi, lifetime.as_secs()),
    );
    persist::store_binding(cx, subscribers, registrar, id);
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
fn whose(subscribers: &Subscribers, msg: &Message<'_>) -> Result<(UserId, usize), Misnamed> {
    let to = msg.to().map(|to| to.uri_text).unwrap_or_default();
    let registered = msg.to().and_then(|to| to.uri).map_or(Target::Unknown, |uri| subscribers.lookup(&uri));
    let registered = match registered {
        Target::User { user, impu } => Some((user, impu)),
        Target::Echo(_) | Target::Unknown => None,
    };
    let username = credentials(msg).map(|c| c.username).filter(|name| !name.is_empty());
    let Some(username) = username else {
        return registered.ok_or_else(|| Misnamed {
            status: 404,
            reason: "unknown public identity",
            words: format!("IMPU {} is not in ue_db", lossy(to)),
        });
    };
    let Some(private) = subscribers.by_impi(username) else {
        let hint = match subscribers.similar_impi(username) {
            Some(similar) => format!(" (did you mean {similar}?)"),
            None => String::new(),
        };
        return Err(Misnamed {
            status: 403,
            reason: "unknown private identity",
            words: format!("IMPI {} is not in ue_db{hint}", lossy(username)),
        });
    };
    let impi = &subscribers.user(private).impi;
    match registered {
        Some((user, impu)) if user == private => Ok((user, impu)),
        Some((user, _)) => Err(Misnamed {
            status: 403,
            reason: "public identity of another user",
            words: format!("IMPU {} belongs to {}, not to {impi}", lossy(to), subscribers.user(user).impi),
        }),
        None => Err(Misnamed {
            status: 403,
            reason: "unknown public identity",
            words: format!("IMPU {} is not among those of {impi}", lossy(to)),
        }),
    }
}
