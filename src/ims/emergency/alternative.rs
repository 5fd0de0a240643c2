//! The 380 (Alternative Service) to an emergency call that is to come another way, with the IM CN subsystem XML body (TS 24.229
//! 5.2.10.4, 5.2.10.5 and 7.6).

use super::is_registered_for;
use crate::config::model::{Config, Emergency, Impu};
use crate::ims::dispatch::Caller;
use crate::ims::registrar::{Registrar, response};
use crate::wire::sip::{Message, Uri, Writer};
use std::net::SocketAddr;

/// The status.
pub const STATUS: u16 = 380;

/// The body's type (TS 24.229 7.6.1).
const CONTENT_TYPE: &str = "application/3gpp-ims+xml";

/// The service that a phone is told when it has dialled a number.
const SOS: &[u8] = b"service:sos";

/// What the phone is to do (TS 24.229 7.6.3, the element `action`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// To register for emergency calls, and call again.
    EmergencyRegistration,
    /// To call again without registration.
    AnonymousEmergencyCall,
}

impl Action {
    /// The word in the body.
    const fn name(self) -> &'static str {
        match self {
            Action::EmergencyRegistration => "emergency-registration",
            Action::AnonymousEmergencyCall => "anonymous-emergencycall",
        }
    }

    /// What is said of it.
    pub const fn words(self) -> &'static str {
        match self {
            Action::EmergencyRegistration => "an emergency call needs an emergency registration first",
            Action::AnonymousEmergencyCall => "an emergency call has to come without registration",
        }
    }
}

/// What the caller of an emergency service has to do first. Nothing when it has registered for emergency calls, or cannot: who
/// calls without registration has been let in, and has no better way.
pub fn demanded(service: &Impu, registrar: &Registrar, caller: Caller) -> Option<Action> {
    if caller.user.is_none() || is_registered_for(registrar, caller) {
        return None;
    }
    match service.emergency {
        Emergency::Registered => Some(Action::EmergencyRegistration),
        Emergency::Anonymous => Some(Action::AnonymousEmergencyCall),
        Emergency::Any | Emergency::No => None,
    }
}

/// Ends the 380 to `invite`. `local` is where the phone sees us.
pub fn finish(mut w: Writer<'_>, config: &Config, local: SocketAddr, action: Action, invite: &Message<'_>) {
    // TS 24.229 5.1.2A.1.6: the phone holds this against the Path that it has registered with
    w.header_fmt("P-Asserted-Identity", format_args!("<{}>", response::own_path(config, local)));
    let dialled = Uri::parse(invite.request_uri()).filter(Uri::is_sos);
    // 5.2.10.4: which service it is
    w.header_parts("Contact", &[b"<urn:", dialled.map_or(SOS, |uri| uri.user), b">"]);
    w.header("Content-Disposition", "render;handling=optional");
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<ims-3gpp version=\"1\"><alternative-service><type>emergency</type>\
         <reason>{}</reason><action>{}</action></alternative-service></ims-3gpp>\r\n",
        action.words(),
        action.name()
    );
    w.body(CONTENT_TYPE.as_bytes(), body.as_bytes());
}
