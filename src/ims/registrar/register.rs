//! What a REGISTER does to the bindings (RFC 3261 10.3 steps 6 to 8, TS 24.229 5.4.1.2.2F): decided as a whole first, then
//! carried out as a whole.

use super::binding::{Binding, Contact, Origin};
use super::expires::{Expires, granted};
use super::route::Came;
use super::{Draft, Gone, Registrar, Removed, route};
use crate::base::arena::Id;
use crate::base::time::Duration;
use crate::config::model::Config;
use crate::ims::limits::{MAX_CONTACT, MAX_CONTACTS_PER_REGISTER, MAX_ORIGIN, MAX_USER_AGENT};
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::wire::sip::text::lossy;
use crate::wire::sip::{HeaderId, Message, NameAddr};
use smallvec::SmallVec;
use std::fmt;

/// What a REGISTER asks for.
#[derive(Debug, Default)]
pub struct Plan {
    steps: SmallVec<[Step; 2]>,
}

#[derive(Debug)]
enum Step {
    /// Make a binding, or refresh the one of the same contact.
    Bind(Box<Draft>, Duration),
    /// Take away the binding of this contact, if there is one.
    Unbind(Box<Contact>),
    /// Take away this binding.
    Remove(Id<Binding>),
    /// Take away this binding, which its phone has left behind.
    Displace(Id<Binding>),
}

/// What was done to one binding.
#[derive(Debug)]
pub enum Done {
    /// A new binding.
    Added(Id<Binding>, Duration),
    /// A binding that was there.
    Refreshed(Id<Binding>, Duration),
    /// A binding that has gone: the binding as it was.
    Removed(Box<Binding>),
    /// A binding of the same host that made room for a new one, or that the phone has left behind.
    Displaced(Box<Binding>),
}

/// Why a REGISTER is refused; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// `*` beside another contact, or without `Expires: 0` (RFC 3261 10.3 step 6): 400.
    Wildcard,
    /// A contact that is no address: 400.
    Contact,
    /// A contact that leads to ourselves: 403. Calls to it would come back for ever.
    OwnAddress,
    /// More than [`MAX_CONTACTS_PER_REGISTER`] contacts, one longer than [`MAX_CONTACT`], or a Call-ID or Path longer than
    /// [`MAX_ORIGIN`]: 413.
    TooLarge,
    /// A lifetime below `min_expires`: 423.
    TooBrief,
    /// Older than what the registrar has from the same Call-ID (RFC 3261 10.3 step 7): 500.
    OutOfOrder,
    /// An emergency registration is to end, which runs its time (TS 24.229 5.4.8.4): 501.
    Emergency,
    /// The table of bindings is full: 503.
    NoRoom,
}

impl Refusal {
    /// The status that tells the client.
    pub const fn status(self) -> u16 {
        match self {
            Refusal::Wildcard | Refusal::Contact => 400,
            Refusal::OwnAddress => 403,
            Refusal::TooLarge => 413,
            Refusal::TooBrief => 423,
            Refusal::OutOfOrder => 500,
            Refusal::Emergency => 501,
            Refusal::NoRoom => 503,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Wildcard => "Contact * needs Expires 0 and no other contact",
            Refusal::Contact => "malformed Contact",
            Refusal::OwnAddress => "Contact is our own address, not the client's",
            Refusal::TooLarge => "too many contacts, or Contact, Call-ID or Path too long",
            Refusal::TooBrief => "expires is too brief",
            Refusal::OutOfOrder => "CSeq not above the last one of this Call-ID",
            Refusal::Emergency => "an emergency registration runs its time: it cannot be given back",
            Refusal::NoRoom => "no room for another binding",
        })
    }
}

/// What a plan is made from, beside the request itself.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Whose registration it is.
    pub user: UserId,
    /// Which of the user's public identities is registered by name.
    pub impu: usize,
    /// Whether several phones share the user's SIM (`multi_sim`).
    pub shared: bool,
    /// How the user authenticated.
    pub auth: &'static str,
    /// How the request came.
    pub came: Came,
    /// Whether the phone begins anew with it: it answers a challenge that went out in clear, through the security associations that
    /// came with that.
    pub begins: bool,
    /// The limits, and our addresses.
    pub config: &'a Config,
}

impl Plan {
    /// Decides what the request does, or why it does nothing. A request without Contact asks what there is.
    pub fn new(
        registrar: &Registrar,
        cx: &Cx<'_>,
        circumstances: Circumstances<'_>,
        message: &Message<'_>,
    ) -> Result<Plan, Refusal> {
        let contacts = message.contacts().take(MAX_CONTACTS_PER_REGISTER + 1).count();
        let path: usize = message.values(HeaderId::Path).map(|value| value.len() + 1).sum();
        let call_id = message.call_id().unwrap_or_default();
        if contacts > MAX_CONTACTS_PER_REGISTER || call_id.len().max(path) > MAX_ORIGIN {
            return Err(Refusal::TooLarge);
        }
        if message.contact_star() {
            if contacts > 0 || message.expires() != Some(0) {
                return Err(Refusal::Wildcard);
            }
            return Plan::remove_all(registrar, circumstances, message);
        }
        let mut plan = Plan::default();
        let mut new = 0;
        for address in message.contacts() {
            let address = address.ok_or(Refusal::Contact)?;
            new += usize::from(plan.add_contact(registrar, cx, circumstances, &address, message)?);
        }
        if new > 0
            && !registrar.has_room(circumstances.user, circumstances.came.arrival.flow.remote.ip(), new)
        {
            return Err(Refusal::NoRoom);
        }
        Ok(plan)
    }

    /// `Contact: *`. A phone that shares its SIM with others takes away what it registered itself; an emergency registration runs
    /// its time (TS 24.229 5.1.6.6).
    fn remove_all(
        registrar: &Registrar,
        circumstances: Circumstances<'_>,
        message: &Message<'_>,
    ) -> Result<Plan, Refusal> {
        let Circumstances { user, shared, came, .. } = circumstances;
        let source = came.arrival.flow.remote;
        let call_id = message.call_id().unwrap_or_default();
        let mut plan = Plan::default();
        for (id, binding) in registrar.of_user(user).filter(|(_, b)| !b.contact.sos) {
            let own = *binding.origin.call_id == *call_id || binding.origin.source == source;
            if own || !shared {
                in_order(binding, message)?;
                plan.steps.push(Step::Remove(id));
            }
        }
        Ok(plan)
    }

    /// Whether it takes a new binding.
    fn add_contact(
        &mut self,
        registrar: &Registrar,
        cx: &Cx<'_>,
        circumstances: Circumstances<'_>,
        address: &NameAddr<'_>,
        message: &Message<'_>,
    ) -> Result<bool, Refusal> {
        let uri = address.uri.ok_or(Refusal::Contact)?;
        if address.uri_text.len() + address.params.as_bytes().len() + address.display.len() > MAX_CONTACT {
            return Err(Refusal::TooLarge);
        }
        let Circumstances { user, came, config, .. } = circumstances;
        let contact = Contact::new(address);
        let existing = registrar.same_contact(user, &contact).and_then(|id| registrar.binding(id));
        if let Some(binding) = existing {
            in_order(binding, message)?;
        }
        let lifetime = match granted(address.params, message.expires(), &config.registration) {
            Expires::TooBrief => return Err(Refusal::TooBrief),
            Expires::Granted(lifetime) => lifetime,
            // TS 24.229 5.1.6.6: whoever answers the emergency call can call back until then
            Expires::Remove if existing.is_some_and(|b| b.contact.sos) => return Err(Refusal::Emergency),
            Expires::Remove => {
                self.steps.push(Step::Unbind(Box::new(contact)));
                return Ok(false);
            }
        };
        if circumstances.begins && !circumstances.shared {
            let left = registrar.left_behind(user, &contact, came);
            self.steps.extend(left.map(Step::Displace));
        }
        let route = route::choose(came, &uri);
        if config.sip.iter().any(|socket| socket.addr == route.flow.remote) {
            return Err(Refusal::OwnAddress);
        }
        let origin = origin(cx, circumstances, message);
        let draft = Draft { contact, route, expires_at: cx.now + lifetime, origin };
        self.steps.push(Step::Bind(Box::new(draft), lifetime));
        Ok(existing.is_none())
    }

    /// Carries the plan out, in the order of the contacts. Gives what was done, and what has gone with it, of which
    /// [`Registrar::pop_removed`] does not tell.
    pub fn carry_out(
        self,
        registrar: &mut Registrar,
        user: UserId,
    ) -> (SmallVec<[Done; 2]>, SmallVec<[Removed; 1]>) {
        let before = registrar.removed.len();
        let mut done = SmallVec::new();
        for step in self.steps {
            match step {
                Step::Bind(draft, lifetime) => bind(registrar, user, *draft, lifetime, &mut done),
                Step::Unbind(contact) => {
                    let id = registrar.same_contact(user, &contact);
                    let gone = id.and_then(|id| registrar.remove(id, Gone::Unregistered));
                    done.extend(gone.map(|binding| Done::Removed(Box::new(binding))));
                }
                Step::Displace(id) => {
                    let gone = registrar.remove(id, Gone::Expired);
                    done.extend(gone.map(|binding| Done::Displaced(Box::new(binding))));
                }
                Step::Remove(id) => {
                    let gone = registrar.remove(id, Gone::Unregistered);
                    done.extend(gone.map(|binding| Done::Removed(Box::new(binding))));
                }
            }
        }
        (done, registrar.removed.drain(before..).collect())
    }
}

fn bind(
    registrar: &mut Registrar,
    user: UserId,
    draft: Draft,
    lifetime: Duration,
    done: &mut SmallVec<[Done; 2]>,
) {
    if let Some(id) = registrar.same_contact(user, &draft.contact) {
        registrar.refresh(id, draft);
        return done.push(Done::Refreshed(id, lifetime));
    }
    let displaced = registrar.make_room(user, draft.origin.source.ip());
    done.extend(displaced.map(|binding| Done::Displaced(Box::new(binding))));
    if let Ok(id) = registrar.add(user, draft) {
        done.push(Done::Added(id, lifetime));
    }
}

/// RFC 3261 10.3 steps 6 and 7: within one Call-ID a REGISTER counts only with a higher CSeq.
fn in_order(binding: &Binding, message: &Message<'_>) -> Result<(), Refusal> {
    let same_call = Some(&*binding.origin.call_id) == message.call_id();
    let is_older = message.cseq().is_none_or(|cseq| cseq.number <= binding.origin.cseq);
    if same_call && is_older { Err(Refusal::OutOfOrder) } else { Ok(()) }
}

fn origin(cx: &Cx<'_>, circumstances: Circumstances<'_>, message: &Message<'_>) -> Origin {
    let path: SmallVec<[&[u8]; 4]> = message.values(HeaderId::Path).collect();
    let user_agent = message.header(HeaderId::UserAgent).unwrap_or_default();
    Origin {
        impu: circumstances.impu,
        call_id: message.call_id().unwrap_or_default().into(),
        cseq: message.cseq().map_or(0, |c| c.number),
        source: circumstances.came.arrival.flow.remote,
        at: cx.wall,
        path: path.join(&b","[..]).into(),
        user_agent: lossy(&user_agent[..user_agent.len().min(MAX_USER_AGENT)]).into_owned(),
        auth: circumstances.auth,
    }
}
