//! Emergency calls: with a registration, with one for emergency calls, and with none (TS 24.229 5.1.6).

use super::Phone;
use super::features::MMTEL;
use super::outgoing::Wanted;
use super::register::default_identity;
use super::xml::{Node, Reader};
use imsbox::base::time::{Duration, Instant};
use imsbox::wire::sip::Message;

/// The type of the body that says how a call is to come instead (TS 24.229 7.6).
pub const ALTERNATIVE: &str = "application/3gpp-ims+xml";

impl Phone {
    /// Registers for emergency calls (TS 24.229 5.1.6.2).
    pub fn register_for_emergency(&mut self, now: Instant, expires_secs: u32) -> Result<(), String> {
        self.register_as(now, expires_secs, true)
    }

    /// Calls an emergency service, without a name when there is no registration (TS 24.229 5.1.6.8).
    pub fn call_for_help(
        &mut self,
        now: Instant,
        service: &str,
        duration: Option<Duration>,
    ) -> Result<(), String> {
        let is_on = self.registration.is_on();
        let identity = is_on.then(|| default_identity(&self.registration, &self.settings.impu).to_owned());
        let (from, contact) = match &identity {
            Some(identity) => (format!("<{identity}>"), self.contact_in_call()),
            None => ("\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned(), self.contact_of_nobody()),
        };
        let uri = service.to_owned();
        self.place_call(now, Wanted { uri, from, identity, contact, duration, video: false })
    }

    /// TS 24.229 5.1.6.8.2: the device is all that is told.
    fn contact_of_nobody(&self) -> String {
        let (contact, instance) = (self.contact_of("anonymous", true), &self.settings.instance);
        format!("{contact};+sip.instance=\"<{instance}>\";{MMTEL};audio")
    }
}

/// What a 380 tells to do instead, in words; none when it tells nothing (TS 24.229 5.1.2A.1.6, 7.6).
pub fn alternative(answer: &Message<'_>) -> Option<&'static str> {
    let body = answer.body_of(ALTERNATIVE).filter(|_| answer.status() == 380)?;
    Some(match texts_of(body, "action").as_deref() {
        Some("emergency-registration") => {
            "; the network wants an emergency registration first: `register sos`, then `emergency`"
        }
        Some("anonymous-emergencycall") => {
            "; the network wants the call without registration: `deregister`, then `emergency`"
        }
        _ => "; the network wants an emergency call: `emergency`",
    })
}

/// The text of the first element with this name.
fn texts_of(document: &[u8], wanted: &str) -> Option<String> {
    let mut reader = Reader::new(document).ok()?;
    let mut is_inside = false;
    while let Some(node) = reader.next().ok()? {
        match node {
            Node::Start(name, _) => is_inside = name.rsplit(':').next() == Some(wanted),
            Node::Text(text) if is_inside => return Some(text.trim().to_owned()),
            Node::Text(_) | Node::End(_) => {}
        }
    }
    None
}
