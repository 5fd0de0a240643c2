//! What is different in a call to an emergency service, and in one back to who has made it.

use super::admit::{Refusal, contacts as normal_contacts};
use super::destination::Destination;
use super::forward::Privacy;
use super::limits::MAX_FORKS;
use super::session::{Party, Waiting};
use crate::base::arena::Id;
use crate::config::model::Impu;
use crate::ims::core::View;
use crate::ims::dispatch::Caller;
use crate::ims::emergency::callback::Stranger;
use crate::ims::registrar::binding::{Binding, DEFAULT_Q};
use crate::ims::subscriber::{Target, UserId};
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::wire::sip::{Message, Uri};

/// Makes the caller known to the emergency service: hiding ends there, and who has no registration is known by the IMEI where it
/// is to be called back, in the way that is given.
pub(super) fn caller(
    view: &View<'_>,
    msg: &Message<'_>,
    calling: &mut Party,
    flow: Flow,
    service: &Impu,
) -> Option<Stranger> {
    if calling.is_trunk {
        return None;
    }
    // TS 22.101 10.1.2: who answers an emergency call is told who calls
    calling.privacy = Privacy::default();
    let window = service.anonymous_callback;
    let has_none = calling.user.is_none() && !window.is_zero();
    let stranger = has_none.then(|| Stranger::of(msg, flow, window)).flatten()?;
    let identity = stranger.identity(view.config);
    let is_free = Uri::parse(identity.as_bytes()).map(|uri| view.subs.lookup(&uri)) == Some(Target::Unknown);
    if !is_free {
        return None;
    }
    calling.uri.clone_from(&identity);
    calling.equipment = Some(identity);
    Some(stranger)
}

/// A callback to who has made an emergency call without registration: where it goes, and to whom. None when it is none, or
/// comes from somebody who is not known either.
pub(super) fn called_back(
    view: &View<'_>,
    cx: &Cx<'_>,
    msg: &Message<'_>,
    caller: Caller,
) -> Option<(Waiting, Party)> {
    let uri = Uri::parse(msg.request_uri()).filter(|_| caller.user.is_some() || caller.is_trunk)?;
    stranger(view, cx, &uri)
}

/// Who has made an emergency call without registration, by the IMEI in a URI.
pub(super) fn stranger(view: &View<'_>, cx: &Cx<'_>, uri: &Uri<'_>) -> Option<(Waiting, Party)> {
    let id = view.callbacks.find(uri, cx.now)?;
    let uri = view.callbacks.stranger(id)?.identity(view.config);
    Some((Waiting::from_iter([(Destination::Stranger(id), DEFAULT_Q)]), Party { uri, ..Party::default() }))
}

/// Whether a call to these destinations is a callback to who has made an emergency call.
pub(super) fn is_callback(view: &View<'_>, waiting: &Waiting) -> bool {
    waiting.iter().any(|(to, _)| to.is_in_need(view))
}

/// The contacts to try for a callback to a user: those that have registered for emergency calls, then the others (TS 24.229
/// 5.4.3.3).
pub(super) fn contacts(
    view: &View<'_>,
    cx: &Cx<'_>,
    (user, impu): (UserId, usize),
    caller: Option<Id<Binding>>,
    msg: &Message<'_>,
) -> Result<Waiting, Refusal> {
    // they come before every contact of the normal kind, whatever its q
    const FIRST: u16 = DEFAULT_Q + 1;
    let emergency = view.registrar.emergency_targets(user, cx.now);
    let emergency = emergency.into_iter().map(|id| (Destination::Contact(id), FIRST));
    let mut waiting: Waiting = emergency.take(MAX_FORKS).collect();
    match normal_contacts(view, cx, user, impu, caller, msg) {
        Err(refusal) if waiting.is_empty() => return Err(refusal),
        normal => {
            let room = MAX_FORKS - waiting.len();
            waiting.extend(normal.unwrap_or_default().into_iter().take(room));
        }
    }
    Ok(waiting)
}
