//! REGISTER from end to end: whose it is, whether that is proven, what it changes, and the answer (RFC 3261 10.3, TS 24.229
//! 5.4.1.2).

use crate::base::trace::{Level, Subject};
use crate::config::model::User;
use crate::ims::acknowledgement::{Acknowledgement, Owed};
use crate::ims::attempt::Step;
use crate::ims::auth::card::Claim;
use crate::ims::auth::{Challenged, Family, Outcome, credentials};
use crate::ims::call::forward;
use crate::ims::core::Service;
use crate::ims::dispatch::{Due, Extra, Refusal, ServerId, challenge, claim, refuse};
use crate::ims::persist;
use crate::ims::registrar::expires::shortest;
use crate::ims::registrar::register;
use crate::ims::registrar::register::{Circumstances, Done, Plan};
use crate::ims::registrar::response::{Described, Granted};
use crate::ims::registrar::route::Came;
use crate::ims::registrar::{Gone, Removed};
use crate::ims::security::register::{Shield, Unfit};
use crate::ims::security::{self, NoSet, Proposal, SetId, Stage};
use crate::ims::subscriber::{Subscribers, UserId};
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::proto::sip::sec_agree::Policy;
use crate::wire::sip::text::lossy;
use crate::wire::sip::{HeaderId, Message};
use smallvec::SmallVec;

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
            // what is not told is not remembered either: looking for a similar name takes time, and anybody can ask
            let mut told = None;
            service.troubles.tell(cx, None, || told.insert(words()).clone());
            if let Some(words) = told {
                service.attempts.misnamed(&words);
            }
            return refuse(service, cx, id, &Refusal::new(status, reason));
        }
    };
    service.note_register(cx, user, flow, msg);
    let shield = match security::register::judge(service, user, flow, msg) {
        Ok(shield) => shield,
        Err(unfit) => return on_unfit(service, cx, id, (user, flow), &unfit),
    };
    service.note_shield(cx, user, &shield);
    let came = Came { arrival: service.security.arrival(flow), set: shield.through };
    let proven = prove(service, cx, msg, (user, impu), flow, &shield);
    if shield.through.is_none() && !matches!(proven, Outcome::TurnedAway { .. }) {
        let nonce = credentials(msg).map(|given| given.nonce).unwrap_or_default();
        // an answer in clear that does not count leaves the challenge as it was, and its set too
        if !service.auth.is_pending(user, nonce) {
            service.security.end_unused(cx, user, nonce);
        }
    }
    match proven {
        Outcome::Passed { .. } if shield.through.is_none() && is_required(service, user) => {
            let words = "ipsec is \"required\" of this user, and what proves it gives no keys for that";
            on_unfit(service, cx, id, (user, flow), &Unfit::new(403, words));
        }
        Outcome::Passed { how, info } => {
            service.attempts.proven(user, cx.wall, how);
            let begins = shield.is_answer && !follows(service, shield.through);
            let proven = Proven { user, impu, came, begins, how, info: info.as_deref() };
            on_proven(service, cx, id, msg, proven);
            service.settle_sets(cx, user, shield.through);
        }
        Outcome::Challenge(made) => offer(service, cx, id, (user, flow), msg, &shield, made),
        Outcome::Refused { status, reason } => {
            service.note_wrong(cx, user, msg, reason);
            leave_unanswered(service, cx, &shield);
            refuse(service, cx, id, &Refusal::new(status, reason));
        }
        Outcome::TurnedAway { wait_secs } => {
            service.note_wrong(cx, user, msg, "too many wrong answers have come from there: wait a minute");
            refuse(service, cx, id, &Refusal::turned_away(wait_secs));
        }
    }
}

fn is_required(service: &Service, user: UserId) -> bool {
    service.subscribers.user(user).ipsec == Policy::Required
}

/// Whether a set takes the place of another that it was asked for through.
fn follows(service: &Service, set: Option<SetId>) -> bool {
    set.and_then(|id| service.security.set(id)).is_some_and(|set| set.predecessor.is_some())
}

/// What the credentials are worth. Through security associations that carry a registration of the user's, nobody else can have
/// sent the request, so that it is challenged only where the settings say so (TS 24.229 5.4.1.2.2E).
fn prove(
    service: &mut Service,
    cx: &mut Cx<'_>,
    msg: &Message<'_>,
    (user, impu): (UserId, usize),
    flow: Flow,
    shield: &Shield,
) -> Outcome {
    let identity = &service.subscribers.user(user).impus[impu];
    let fresh_each_time = identity.reauthenticate || service.registrar.awaits_proof(user);
    let must_prove = identity.authentication;
    if !must_prove {
        return Outcome::Passed { how: "none", info: None };
    }
    let mut own = service.registrar.of_user(user);
    let binding = match shield.through {
        Some(set) => service.registrar.behind(user, set, flow.remote.ip()),
        None => own.find(|(_, b)| b.origin.source == flow.remote).map(|(id, _)| id),
    };
    drop(own);
    let nonce = credentials(msg).map(|given| given.nonce).unwrap_or_default();
    if shield.is_trusted && !fresh_each_time && !service.auth.is_pending(user, nonce) {
        let how = binding.and_then(|id| service.registrar.binding(id)).map_or("IPsec", |b| b.origin.auth);
        return Outcome::Passed { how, info: None };
    }
    let claim = Claim {
        fresh_each_time,
        is_protected: shield.through.is_some(),
        is_offered: shield.offer.is_some(),
        is_last: shield.is_answer,
        ..claim(service, user, binding, flow)
    };
    let (auth, subscribers, mut to) = service.auth(cx);
    auth.check(&mut to, subscribers, &claim, msg)
}

fn on_unfit(
    service: &mut Service,
    cx: &mut Cx<'_>,
    id: ServerId,
    (user, flow): (UserId, Flow),
    unfit: &Unfit,
) {
    let Unfit { refusal, words } = unfit;
    let impi = &service.subscribers.user(user).impi;
    let status = refusal.status();
    let text = || format!("Register {impi} from {}: refused with {status}: {words}", flow.remote);
    service.troubles.tell(cx, Some(user), text);
    let through = service.security.at(flow).map(|(id, _)| id);
    service.note_unfit(cx, user, through.is_some(), words);
    leave_unanswered(service, cx, &Shield { through, ..Shield::default() });
    refuse(service, cx, id, refusal);
}

/// A set whose challenge has had its only answer ends, when that was wrong.
fn leave_unanswered(service: &mut Service, cx: &mut Cx<'_>, shield: &Shield) {
    let offered = |id: &SetId| service.security.set(*id).is_some_and(|set| set.stage == Stage::Offered);
    if let Some(id) = shield.through.filter(offered) {
        service.security.leave(cx.now, id);
    }
}

/// Sends a challenge, with security associations for its answer where they are to be.
fn offer(
    service: &mut Service,
    cx: &mut Cx<'_>,
    id: ServerId,
    (user, flow): (UserId, Flow),
    msg: &Message<'_>,
    shield: &Shield,
    made: Challenged,
) {
    let family = Family::of(service.subscribers.user(user));
    let (Some(choice), Some((ck, ik))) = (shield.offer, made.keys) else {
        service.note_challenge(cx, user, msg, &made.value, None);
        return challenge(service, cx, Due::new(id, user, family, made));
    };
    let (nonce, predecessor) = (made.nonce, shield.through);
    let proposal = Proposal { user, choice, flow, predecessor, ck: &ck, ik: &ik, nonce };
    let due = Due::new(id, user, family, made);
    let begun = service.security.begin(cx, proposal, msg.values(HeaderId::SecurityClient), due.clone());
    service.tidy_sets(cx, user);
    match begun {
        Ok(set) => service.note_challenge(cx, user, msg, &due.value, Some(set)),
        // it has not drawn new SPIs to renew its set: the answer comes through the one that it has
        Err(NoSet::OwnSpi(_)) if shield.is_trusted => {
            service.note_challenge(cx, user, msg, &due.value, None);
            challenge(service, cx, due);
        }
        Err(why) => {
            service.attempts.failed(user, cx.wall, Step::Associations, &why.to_string());
            let impi = &service.subscribers.user(user).impi;
            service.troubles.tell(cx, Some(user), || format!("Register {impi}: refused with 503: {why}"));
            refuse(service, cx, id, &Refusal::new(503, &why.to_string()));
        }
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
    let ids = registrar.named(subscribers, uri)?;
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
    came: Came,
    /// Whether the phone begins anew through IPsec.
    begins: bool,
    how: &'static str,
    info: Option<&'a str>,
}

fn on_proven(service: &mut Service, cx: &mut Cx<'_>, id: ServerId, msg: &Message<'_>, proven: Proven<'_>) {
    let Proven { user, impu, came, begins, how, .. } = proven;
    let Service { registrar, subscribers, config, troubles, attempts, .. } = service;
    let profile = subscribers.user(user);
    if how != "none" {
        cx.ims(Level::Info, Subject::None, format_args!("{} authenticated ({how})", profile.impi));
    }
    let shared = profile.multi_sim;
    let circumstances = Circumstances { user, impu, shared, auth: how, came, begins, config };
    let plan = match Plan::new(registrar, cx, circumstances, msg) {
        Ok(plan) => plan,
        Err(why) => {
            let (impi, status) = (&profile.impi, why.status());
            troubles.tell(cx, Some(user), || format!("Register {impi}: refused with {status}: {why}"));
            attempts.failed(user, cx.wall, Step::Bound, &format!("refused with {status}: {why}"));
            let refusal = Refusal::new(status, &why.to_string());
            let least = shortest(&config.registration).as_secs();
            let refusal = match why {
                register::Refusal::TooBrief => refusal.with(Extra::MinExpires(least)),
                _ => refusal,
            };
            return refuse(service, cx, id, &refusal);
        }
    };
    let (done, gone) = plan.carry_out(registrar, user);
    troubles.clear(user);
    service.note_done(cx, user, &done);
    for step in &done {
        tell(cx, service, service.subscribers.user(user), step);
    }
    answer(service, cx, id, msg, proven, (&done, gone));
}

/// Traces a change, and stores it.
fn tell(cx: &mut Cx<'_>, service: &Service, profile: &User, done: &Done) {
    let Service { registrar, subscribers, config, security, .. } = service;
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
    persist::store_binding(cx, &persist::Known::of(subscribers, &config.sip, security), binding);
}

/// Makes the 200, which leaves when what it acknowledges is on the disk.
fn answer(
    service: &mut Service,
    cx: &mut Cx<'_>,
    id: ServerId,
    msg: &Message<'_>,
    proven: Proven<'_>,
    (done, gone): (&[Done], SmallVec<[Removed; 1]>),
) {
    let tag = service.tokens.tag(cx.rng);
    let Service { registrar, subscribers, config, txs, acknowledgements, .. } = service;
    let local = txs.local_addr(proven.came.arrival.flow.local).expect("a flow is of one of our sockets");
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
    txs.hold_response(cx, id, 200, None, tag.as_bytes(), |mut w| {
        granted.write(&mut w, msg);
        forward::end_own_response(w, &config.protocol);
    });
    let bound = done.iter().filter_map(|step| match step {
        Done::Added(binding, _) | Done::Refreshed(binding, _) => Some(*binding),
        Done::Removed(_) | Done::Displaced(_) => None,
    });
    for removed in &gone {
        persist::forget_binding(cx, removed.number);
    }
    acknowledgements.push(Owed::Ok(Acknowledgement {
        tx: id,
        user: proven.user,
        bound: bound.collect(),
        gone,
    }));
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
