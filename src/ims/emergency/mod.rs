//! Emergency calls (TS 24.229 5.1.6, 5.2.10 and 5.4.8, RFC 5031): which calls are, who may make them without registration, which
//! are told to come another way (`alternative`), and how who made one is called back (`callback`, RFC 7090).
//!
//! An emergency service is an identity, of a user or of the echo service, as a normal callee is: the call layer does the rest.
//! Emergency registrations are bindings whose contact says `sos`; the registrar keeps them beside the normal ones.

pub(super) mod alternative;
pub mod callback;
pub mod limits;

use crate::config::model::{Config, Emergency, Impu};
use crate::ims::dispatch::Caller;
use crate::ims::registrar::{Binding, Registrar};
use crate::ims::subscriber::{Subscribers, Target, UserId};
use crate::wire::sip::{Message, Method, Uri};

/// The identity that a target is.
fn identity<'v>(subs: &'v Subscribers, config: &'v Config, target: Target) -> Option<&'v Impu> {
    match target {
        Target::User { user, impu } => subs.user(user).impus.get(impu),
        Target::Echo(number) => config.echo.get(number),
        Target::Unknown => None,
    }
}

/// The emergency service that a target is.
pub(super) fn service<'v>(subs: &'v Subscribers, config: &'v Config, target: Target) -> Option<&'v Impu> {
    identity(subs, config, target).filter(|impu| impu.emergency != Emergency::No)
}

/// Whether a target takes callers who are not registered: an emergency service when it is `anonymous` (TS 24.229 5.2.10.2), an
/// echo number also when nothing to it is authenticated.
pub(super) fn takes_strangers(subs: &Subscribers, config: &Config, target: Target, method: Method) -> bool {
    match service(subs, config, target) {
        Some(service) => service.anonymous && method == Method::Invite,
        None => match target {
            Target::Echo(number) => config.echo[number].anonymous || !config.echo[number].authentication,
            Target::User { .. } | Target::Unknown => false,
        },
    }
}

/// Whether who sends a request need not prove who it is: to an echo number without `authentication`, or in a call to such an
/// emergency service.
pub(super) fn is_open(subs: &Subscribers, config: &Config, msg: &Message<'_>) -> bool {
    let target = Uri::parse(msg.request_uri()).map_or(Target::Unknown, |uri| subs.lookup(&uri));
    match target {
        Target::Echo(number) => !config.echo[number].authentication,
        Target::User { .. } | Target::Unknown => {
            msg.method() == Method::Invite && service(subs, config, target).is_some_and(|s| !s.authentication)
        }
    }
}

/// Why an emergency call of somebody who is not registered is refused; none when it is no emergency call.
pub(super) fn why_refused(subs: &Subscribers, config: &Config, msg: &Message<'_>) -> Option<String> {
    let uri = Uri::parse(msg.request_uri()).filter(|_| msg.method() == Method::Invite)?;
    match service(subs, config, subs.lookup(&uri)) {
        Some(service) => Some(format!(
            "is not registered, and emergency calls to {} without registration are not taken: it is not `anonymous`",
            service.uri
        )),
        None if uri.is_sos() => Some(
            "is not registered, and nobody takes emergency calls: no echo number and no user is urn:service:sos"
                .to_owned(),
        ),
        None => None,
    }
}

/// Whether the caller's registration is one for emergency calls.
pub(super) fn is_registered_for(registrar: &Registrar, caller: Caller) -> bool {
    let binding: Option<&Binding> = caller.binding.and_then(|id| registrar.binding(id));
    binding.is_some_and(|binding| binding.contact.sos)
}

/// Whether the user answers emergency calls, so that its calls to who has made one are callbacks.
pub(super) fn is_answered_by(subs: &Subscribers, user: UserId) -> bool {
    subs.user(user).impus.iter().any(|impu| impu.emergency != Emergency::No)
}
