//! What a REGISTER does to the bindings (RFC 3261 10.3 steps 6 to 8, TS 24.229 5.4.1.2.2F): decided as a whole first, then
//! carried out as a whole.

use super::binding::{Binding, Contact, Origin};
use super::expires::{Expires, granted};
use super::{Draft, Gone, Registrar, route};
use crate::base::arena::Id;
use crate::base::time::Duration;
use crate::config::model::RegistrationSettings;
use crate::ims::limits::{MAX_CONTACT, MAX_CONTACTS_PER_REGISTER};
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
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
    Add(Box<Draft>, Duration),
    Refresh(Id<Binding>, Box<Draft>, Duration),
    Remove(Id<Binding>),
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
}

/// Why a REGISTER is refused; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// `*` beside another contact, or without `Expires: 0` (RFC 3261 10.3 step 6): 400.
    Wildcard,
    /// A contact that is no address: 400.
    Contact,
    /// More than [`MAX_CONTACTS_PER_REGISTER`] contacts, or one longer than [`MAX_CONTACT`]: 413.
    TooLarge,
    /// A lifetime below `min_expires`: 423.
    TooBrief,
    /// Older than what the registrar has from the same Call-ID (RFC 3261 10.3 step 7): 500.
    OutOfOrder,
    /// The table of bindings is full: 503.
    NoRoom,
}

impl Refusal {
    /// The status that tells the client.
    pub const fn status(self) -> u16 {
        match self {
            Refusal::Wildcard | Refusal::Contact => 400,
            Refusal::TooLarge => 413,
            Refusal::TooBrief => 423,
            Refusal::OutOfOrder => 500,
            Refusal::NoRoom => 503,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Wildcard => "Contact * needs Expires 0 and no other contact",
            Refusal::Contact => "malformed Contact",
            Refusal::TooLarge => "too many contacts or a contact too long",
            Refusal::TooBrief => "expires is too brief",
            Refusal::OutOfOrder => "CSeq not above the last one of this Call-ID",
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
    /// How the user authenticated.
    pub auth: &'static str,
    /// Where the request came from.
    pub flow: Flow,
    /// The limits.
    pub settings: &'a RegistrationSettings,
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
        if contacts > MAX_CONTACTS_PER_REGISTER {
            return Err(Refusal::TooLarge);
        }
        let call_id = message.call_id().unwrap_or_default();
        let cseq = message.cseq().map_or(0, |c| c.number);
        let mut plan = Plan::default();
        if message.contact_star() {
            if contacts > 0 || message.expires() != Some(0) {
                return Err(Refusal::Wildcard);
            }
            for (id, binding) in registrar.of_user(circumstances.user) {
                in_order(binding, call_id, cseq)?;
                plan.steps.push(Step::Remove(id));
            }
            return Ok(plan);
        }
        let origin = origin(cx, circumstances, message);
        for address in message.contacts() {
            let address = address.ok_or(Refusal::Contact)?;
            plan.add_contact(registrar, cx, circumstances, &origin, &address, message.expires())?;
        }
        let added = plan.steps.iter().filter(|s| matches!(s, Step::Add(..))).count();
        if added > 0 && !registrar.has_room(circumstances.user, added) {
            return Err(Refusal::NoRoom);
        }
        Ok(plan)
    }

    fn add_contact(
        &mut self,
        registrar: &Registrar,
        cx: &Cx<'_>,
        circumstances: Circumstances<'_>,
        origin: &Origin,
        address: &NameAddr<'_>,
        header: Option<u32>,
    ) -> Result<(), Refusal> {
        let uri = address.uri.ok_or(Refusal::Contact)?;
        if address.uri_text.len() + address.params.as_bytes().len() + address.display.len() > MAX_CONTACT {
            return Err(Refusal::TooLarge);
        }
        let contact = Contact::new(address);
        let existing = registrar.same_contact(circumstances.user, &contact);
        if let Some(binding) = existing.and_then(|id| registrar.binding(id)) {
            in_order(binding, &origin.call_id, origin.cseq)?;
        }
        let lifetime = match granted(address.params, header, circumstances.settings) {
            Expires::TooBrief => return Err(Refusal::TooBrief),
            Expires::Granted(lifetime) => lifetime,
            Expires::Remove => {
                self.steps.extend(existing.map(Step::Remove));
                return Ok(());
            }
        };
        let draft = Box::new(Draft {
            route: route::choose(circumstances.flow, &uri),
            expires_at: cx.now + lifetime,
            origin: origin.clone(),
            contact,
        });
        self.steps.push(match existing {
            Some(id) => Step::Refresh(id, draft, lifetime),
            None => Step::Add(draft, lifetime),
        });
        Ok(())
    }

    /// Carries the plan out.
    pub fn carry_out(self, registrar: &mut Registrar, user: UserId) -> SmallVec<[Done; 2]> {
        let mut done = SmallVec::new();
        for step in self.steps {
            match step {
                Step::Add(draft, lifetime) => {
                    // two values for one contact in one request: the later one refreshes the earlier one
                    if let Some(id) = registrar.same_contact(user, &draft.contact) {
                        registrar.refresh(id, *draft);
                        done.push(Done::Refreshed(id, lifetime));
                    } else if let Ok(id) = registrar.add(user, *draft) {
                        done.push(Done::Added(id, lifetime));
                    }
                }
                Step::Refresh(id, draft, lifetime) => {
                    registrar.refresh(id, *draft);
                    done.push(Done::Refreshed(id, lifetime));
                }
                Step::Remove(id) => {
                    let gone = registrar.remove(id, Gone::Unregistered);
                    done.extend(gone.map(|binding| Done::Removed(Box::new(binding))));
                }
            }
        }
        done
    }
}

/// RFC 3261 10.3 steps 6 and 7: within one Call-ID a REGISTER counts only with a higher CSeq.
fn in_order(binding: &Binding, call_id: &[u8], cseq: u32) -> Result<(), Refusal> {
    let older = *binding.origin.call_id == *call_id && cseq <= binding.origin.cseq;
    if older { Err(Refusal::OutOfOrder) } else { Ok(()) }
}

fn origin(cx: &Cx<'_>, circumstances: Circumstances<'_>, message: &Message<'_>) -> Origin {
    let path: Vec<&[u8]> = message.values(HeaderId::Path).collect();
    Origin {
        impu: circumstances.impu,
        call_id: message.call_id().unwrap_or_default().into(),
        cseq: message.cseq().map_or(0, |c| c.number),
        source: circumstances.flow.remote,
        at: cx.wall,
        path: path.join(&b","[..]).into(),
        user_agent: message.header(HeaderId::UserAgent).map(lossy).unwrap_or_default().into_owned(),
        auth: circumstances.auth,
    }
}
