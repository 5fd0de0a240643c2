//! What may come over which port, once phones are protected (TS 24.229 5.2.6.3, TS 33.203 7.1): through a set of security
//! associations only what its state allows, and in clear nothing of a phone that has registered through IPsec but REGISTER and
//! emergency calls.

use crate::base::arena::Id;
use crate::base::trace::Level;
use crate::ims::core::Service;
use crate::ims::dispatch::turn_away;
use crate::ims::registrar::{Binding, Registrar};
use crate::ims::security::{Security, Set, Stage};
use crate::ims::subscriber::{Subscribers, UserId};
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::proto::sip::sec_agree::Policy;
use crate::wire::sip::{Message, Method};

/// Whether a request is taken at this end; it has its answer when it is not.
pub(super) fn lets_in(service: &mut Service, cx: &mut Cx<'_>, flow: Flow, msg: &Message<'_>) -> bool {
    if !service.security.locals().is_protected(flow.local) {
        return true;
    }
    let method = msg.method();
    let Some((_, set)) = service.security.at(flow) else {
        // the kernel lets nothing through without a set: this one has ended since
        let text =
            format_args!("{} from {} dropped: it is of no security association", method.name(), flow.remote);
        service.troubles.mention(cx, Level::Warn, text);
        return false;
    };
    match set.stage {
        _ if set.is_void() && !matches!(method, Method::Register | Method::Ack) => {
            turn_away(service, cx, flow, msg, "has security associations that came to no registration");
            false
        }
        Stage::Active | Stage::Old | Stage::Leaving => true,
        _ if matches!(method, Method::Register | Method::Ack) => true,
        Stage::Installing | Stage::Offered | Stage::Removing => {
            turn_away(
                service,
                cx,
                flow,
                msg,
                "has new security associations, which carry the answer to their challenge first",
            );
            false
        }
    }
}

/// Who sent a request: the user whose registration it comes from. Through security associations that is their user; in clear the
/// address tells, among registrations in clear.
pub(super) fn sender(
    registrar: &Registrar,
    security: &Security,
    subscribers: &Subscribers,
    flow: Flow,
    msg: &Message<'_>,
) -> Option<(UserId, Id<Binding>)> {
    if !security.locals().is_protected(flow.local) {
        return registrar.caller(subscribers, flow, msg);
    }
    let (id, set) = security.at(flow)?;
    Some((set.user, registrar.behind(set.user, id, set.ue_ip())?))
}

/// Whether a response came the way that its request went: through IPsec of the same phone, or in clear. What it says of itself, in
/// Via, proves nothing: ESP may leave branches readable.
pub(super) fn lets_response_in(service: &Service, flow: Flow, msg: &Message<'_>) -> bool {
    service.txs.request_way(msg).is_none_or(|went| is_same_side(&service.security, went, flow))
}

/// Whether a request inside a dialog comes from the host that the dialog leads to, and in clear only when the dialog does.
pub(super) fn is_from_peer(security: &Security, dialog: Flow, flow: Flow) -> bool {
    dialog.remote.ip() == flow.remote.ip() && is_same_side(security, dialog, flow)
}

/// Whether two flows are both of the same phone's security associations, or both in clear.
fn is_same_side(security: &Security, a: Flow, b: Flow) -> bool {
    let locals = security.locals();
    let is_protected = locals.is_protected(a.local);
    is_protected == locals.is_protected(b.local) && (!is_protected || a.remote.ip() == b.remote.ip())
}

/// Whether a request may be the user's without a registration. Through security associations: when they are the user's. In clear:
/// not when IPsec is demanded of it, nor from the address of a phone of its that has it.
pub(super) fn may_be_of(service: &Service, user: UserId, flow: Flow) -> bool {
    if let Some((_, set)) = service.security.at(flow) {
        return set.user == user;
    }
    let is_required = service.subscribers.user(user).ipsec == Policy::Required;
    let has_set = |(_, set): (_, &Set)| set.ue_ip() == flow.remote.ip();
    !(is_required || service.security.of_user(user).any(has_set))
}
