//! The network asks phones to authenticate again (TS 24.229 5.4.1.6).
//!
//! There is no request for that: the registration is let end soon, and a NOTIFY with event "shortened" says so to a phone that has
//! subscribed to it. Such a phone registers at half of the time that is left (TS 24.229 5.1.1.4.1) and is challenged. Another comes
//! too late and is told by its next request; until it comes back its registration has expired.

use crate::base::time::Duration;
use crate::base::trace::{Level, Subject};
use crate::ims::core::Service;
use crate::ims::limits::REAUTHENTICATE_AT_LEAST;
use crate::ims::persist;
use crate::ims::registrar::response::Described;
use crate::proto::cx::Cx;

/// Lets the bindings that `uri` names end after `within`. How many there were; the error says in words why there are none.
pub(super) fn start(
    service: &mut Service,
    cx: &mut Cx<'_>,
    uri: &str,
    within: Duration,
) -> Result<usize, String> {
    let secs = within.as_secs();
    if within < REAUTHENTICATE_AT_LEAST {
        let least = REAUTHENTICATE_AT_LEAST.as_secs();
        return Err(format!("{secs} s is too soon: no phone registers again in less than {least} s"));
    }
    let Service { registrar, subscribers, auth, reg_events, config, security, .. } = service;
    let named = registrar.named(subscribers, uri)?;
    let mut count = 0;
    for id in named {
        if registrar.binding(id).is_none_or(|b| b.contact.sos) || !registrar.shorten(id, cx.now + within) {
            continue;
        }
        count += 1;
        let Some(binding) = registrar.binding(id) else { continue };
        auth.forget_proof(binding.user, cx.now);
        let advice = match reg_events.has_subscriber(binding.user) {
            true => "",
            false => "; no phone of the user has subscribed to its registration, so it is not told",
        };
        let (impi, text) = (&subscribers.user(binding.user).impi, Described(binding));
        let subject = Subject::Id(binding.number);
        let words = format_args!(
            "Reauthenticate {impi}: {text} is to register again within {secs} s, by command{advice}"
        );
        cx.ims(Level::Info, subject, words);
        persist::store_binding(cx, &persist::Known::of(subscribers, &config.sip, security), binding);
    }
    match count {
        0 => Err(format!("every registration of {uri} ends within {secs} s anyway")),
        count => Ok(count),
    }
}
