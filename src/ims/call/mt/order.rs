//! What is ordered: who is called, by whom, with what media, for how long; and the words for what cannot be (manual 7, `mt_call`).

use super::{Mt, Said, streams};
use crate::base::arena::Id;
use crate::base::time::Duration;
use crate::config::model::Impu;
use crate::ims::call::admit::{Draft, contacts_for};
use crate::ims::call::agent::Agent;
use crate::ims::call::destination::Destination;
use crate::ims::call::forward::Privacy;
use crate::ims::call::in_need;
use crate::ims::call::preferences::Preferences;
use crate::ims::call::rules::Rules;
use crate::ims::call::session::{Kind, Party, Waiting};
use crate::ims::call::tag::Side;
use crate::ims::core::View;
use crate::ims::identity;
use crate::ims::registrar::Binding;
use crate::ims::registrar::binding::DEFAULT_Q;
use crate::ims::subscriber::{Target, UserId};
use crate::proto::cx::Cx;
use crate::proto::flow::LocalId;
use crate::wire::sdp::Template;
use crate::wire::sip::Uri;
use smallvec::SmallVec;
use std::sync::Arc;

/// Whom a call that the network makes reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callee {
    /// The user with this private identity, by the default identity.
    Impi(String),
    /// The user with this public identity.
    Impu(String),
    /// A contact, by its URI.
    Contact(String),
    /// Whatever of the three it is: a contact, else a public, else a private identity.
    Any(String),
}

/// A call that the network is to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Whom it reaches.
    pub callee: Callee,
    /// Who calls, as the phone sees it: an identity; none: we.
    pub caller: Option<String>,
    /// The media that are offered; none: the user's, the global ones, or voice.
    pub media: Option<Arc<Template>>,
    /// How long the answered call lasts; none: until somebody ends it.
    pub duration: Option<Duration>,
    /// To the phones' emergency registrations instead of the others.
    pub sos: bool,
}

/// Who calls, as phones see it.
#[derive(Debug)]
pub(super) struct Calling {
    /// Value of From, without its tag; none for who wants to be unknown.
    pub(super) from: Option<String>,
    /// Values of P-Asserted-Identity.
    pub(super) asserted: SmallVec<[String; 2]>,
}

/// The callee and its contacts.
#[derive(Debug)]
pub(in crate::ims::call) struct Found {
    callee: Party,
    waiting: Waiting,
}

/// Finds the callee of an order and its contacts. The error says in words why there are none.
pub(in crate::ims::call) fn read(view: &View<'_>, cx: &Cx<'_>, order: &Order) -> Result<Found, String> {
    let contact = |uri: &str| {
        let found = view.registrar.iter().find(|(_, b)| b.contact.has_uri(uri.as_bytes()));
        found.map(|(id, binding)| of_contact(view, id, binding))
    };
    let public = |name: &str| public_identity(view, name);
    let private = |name: &str| {
        let user = view.subs.by_impi(name.as_bytes())?;
        Some((user, identity::default_impu(view.subs.user(user)).unwrap_or(0)))
    };
    if let Some(found) = stranger(view, cx, &order.callee) {
        return Ok(found);
    }
    let (user, impu) = match &order.callee {
        Callee::Contact(uri) => return contact(uri).ok_or_else(|| format!("no contact is {uri}")),
        Callee::Impu(name) => public(name).ok_or_else(|| format!("no user has the identity {name}"))?,
        Callee::Impi(name) => {
            private(name).ok_or_else(|| format!("no user has the private identity {name}"))?
        }
        Callee::Any(name) => match contact(name) {
            Some(found) => return Ok(found),
            None => public(name)
                .or_else(|| private(name))
                .ok_or_else(|| format!("no contact and no user is {name}"))?,
        },
    };
    let waiting = match order.sos {
        true => emergency_contacts(view, cx, user)?,
        false => contacts_for(view, cx, (user, impu), None, &Preferences::default())
            .map_err(|refusal| refusal.text.to_owned())?,
    };
    Ok(Found { callee: party(view, user, impu), waiting })
}

/// Who has made an emergency call without registration, when no user has the identity (manual 5.2.1 `anonymous_callback`).
fn stranger(view: &View<'_>, cx: &Cx<'_>, callee: &Callee) -> Option<Found> {
    let (Callee::Impu(name) | Callee::Any(name)) = callee else { return None };
    if public_identity(view, name).is_some() {
        return None;
    }
    let named = |uri: &String| in_need::stranger(view, cx, &Uri::parse(uri.as_bytes())?);
    spellings(name).iter().find_map(named).map(|(waiting, callee)| Found { callee, waiting })
}

/// The contact is called, and no other of its user's.
fn of_contact(view: &View<'_>, id: Id<Binding>, binding: &Binding) -> Found {
    let callee = party(view, binding.user, binding.origin.impu);
    Found { callee, waiting: Waiting::from_iter([(Destination::Contact(id), DEFAULT_Q)]) }
}

fn party(view: &View<'_>, user: UserId, impu: usize) -> Party {
    let uri = view.subs.user(user).impus[impu].uri.clone();
    Party { user: Some(user), impu_index: Some(impu), uri, ..Party::default() }
}

/// The contacts of the user's emergency registrations (TS 24.229 5.1.6).
fn emergency_contacts(view: &View<'_>, cx: &Cx<'_>, user: UserId) -> Result<Waiting, String> {
    let found = view.registrar.emergency_targets(user, cx.now);
    let found: Waiting = found.into_iter().map(|id| (Destination::Contact(id), DEFAULT_Q)).collect();
    if found.is_empty() { Err("the callee has no emergency registration".to_owned()) } else { Ok(found) }
}

/// The user with a public identity, which may be written without scheme and host.
fn public_identity(view: &View<'_>, name: &str) -> Option<(UserId, usize)> {
    spellings(name).iter().find_map(|uri| view.subs.lookup_user(&Uri::parse(uri.as_bytes())?))
}

/// What a person may mean by an identity.
fn spellings(name: &str) -> [String; 3] {
    let host = if name.contains('@') { "" } else { "@localhost" };
    [name.to_owned(), format!("sip:{name}{host}"), format!("tel:{name}")]
}

/// The call of an order to the callee that [`read`] has found.
pub(in crate::ims::call) fn draft(
    view: &View<'_>,
    cx: &Cx<'_>,
    order: Order,
    found: Found,
) -> Result<Draft, String> {
    let Found { callee, waiting } = found;
    let user = callee.user.map(|user| view.subs.user(user));
    let domain = user.map(|u| u.domain.as_str()).filter(|d| !d.is_empty()).unwrap_or("localhost");
    let (calling, caller, calling_impu) = caller(view, order.caller.as_deref(), domain)?;
    let files = [user.and_then(|u| u.mt_call_sdp.clone()), view.config.call.mt_call_sdp.clone()];
    let media = order.media.or_else(|| files.into_iter().flatten().next());
    let mut rules = Rules::of(&view.config.call, [calling_impu, callee.impu(view.subs)]);
    let local = waiting.iter().find_map(|(to, _)| super::media_local(view, *to)).unwrap_or(LocalId(0));
    let mt = Mt {
        agent: Agent::new((0, Side::Callee), streams(view, cx, local)),
        waiting,
        group: SmallVec::new(),
        template: media.unwrap_or_else(|| Arc::new(Template::voice())),
        caller: calling,
        said: SmallVec::<[Said; 1]>::new(),
        winner: None,
        best: None,
        duration: order.duration,
        ends_at: None,
    };
    rules.is_callback = in_need::is_callback(view, &mt.waiting);
    Ok(Draft { kind: Kind::Mt(Box::new(mt)), caller, callee, rules, stranger: None })
}

/// Who calls: a user of ours, whose identity is asserted; an echo number, or anybody else, whose is not; or we.
fn caller<'v>(
    view: &View<'v>,
    name: Option<&str>,
    domain: &str,
) -> Result<(Calling, Party, Option<&'v Impu>), String> {
    let stranger = |uri: String| {
        let calling = Calling { from: Some(format!("<{uri}>")), asserted: SmallVec::new() };
        (calling, Party { uri, ..Party::default() }, None)
    };
    let Some(name) = name else { return Ok(stranger(format!("sip:ims@{domain}"))) };
    let is_bad = |c: char| c.is_control() || c.is_whitespace() || "<>\",".contains(c);
    if name.is_empty() || name.contains(is_bad) {
        return Err(format!("caller \"{}\" is no identity", name.escape_default()));
    }
    let known = spellings(name).iter().find_map(|uri| {
        Some(view.subs.lookup(&Uri::parse(uri.as_bytes())?)).filter(|t| *t != Target::Unknown)
    });
    match known {
        Some(Target::User { user, impu }) => Ok(user_calls(view, user, impu)),
        Some(Target::Echo(number)) => Ok(stranger(view.config.echo[number].uri.clone())),
        Some(Target::Unknown) | None => Ok(stranger(unknown_uri(name, domain)?)),
    }
}

fn user_calls<'v>(view: &View<'v>, user: UserId, at: usize) -> (Calling, Party, Option<&'v Impu>) {
    let subs: &'v _ = view.subs;
    let impu = &subs.user(user).impus[at];
    let display = impu.display_name.as_deref().map(identity::quoted).unwrap_or_default();
    let hidden = impu.anonymous;
    let calling = Calling {
        from: (!hidden).then(|| format!("{display}<{}>", impu.uri)),
        asserted: if hidden { SmallVec::new() } else { identity::forms_of(subs, user, at) },
    };
    let privacy = if hidden { Privacy::ALL } else { Privacy::default() };
    let party =
        Party { user: Some(user), impu_index: Some(at), uri: impu.uri.clone(), privacy, ..Party::default() };
    (calling, party, Some(impu))
}

/// The URI of a caller whom nobody here knows: as it is written, or made of a number or a name.
fn unknown_uri(name: &str, domain: &str) -> Result<String, String> {
    let has_scheme = ["sip:", "sips:", "tel:", "urn:"]
        .iter()
        .any(|s| name.get(..s.len()).is_some_and(|head| head.eq_ignore_ascii_case(s)));
    let number = name.strip_prefix('+').unwrap_or(name);
    let is_number =
        !number.is_empty() && number.bytes().all(|o| o.is_ascii_digit() || b"*#-.()".contains(&o));
    let uri = match (has_scheme, is_number) {
        (true, _) => name.to_owned(),
        (false, true) if name.starts_with('+') => format!("tel:{name}"),
        // RFC 3966 5.1.5: a local number means something only in its context
        (false, true) => format!("tel:{name};phone-context={domain}"),
        (false, false) if name.contains('@') => format!("sip:{name}"),
        (false, false) => format!("sip:{name}@{domain}"),
    };
    match Uri::parse(uri.as_bytes()) {
        Some(_) => Ok(uri),
        None => Err(format!("caller {name} is no identity")),
    }
}
