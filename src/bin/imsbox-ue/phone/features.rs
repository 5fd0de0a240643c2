//! What the phone says of itself in its requests: features of its contact and the network that it is on (RFC 3840, RFC 7315 5.4,
//! TS 24.229 5.1.1.2.1, 5.1.2A.1).

use super::Phone;
use super::message::Request;
use imsbox::wire::sip::Method;

/// The service of calls, as a feature of a contact: TS 24.173 5.1 in the form of TS 24.229 7.9.2.
pub const MMTEL: &str = "+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"";
/// The header that says which network the phone is on.
const ACCESS: &str = "P-Access-Network-Info";

impl Phone {
    /// The contact of a registration: which device it is, and all that can be done there.
    pub(super) fn contact_with_features(&self) -> String {
        let instance = &self.settings.instance;
        let contact = self.contact();
        let video = if self.settings.video { ";video" } else { "" };
        // A soft client that takes plain texts only is no phone of an operator.
        let services = match self.settings.sms.takes_short {
            true => format!(";{MMTEL};+g.3gpp.smsip"),
            false => String::new(),
        };
        format!("{contact};+sip.instance=\"<{instance}>\"{services};audio{video}")
    }

    /// The contact of a call (TS 24.229 5.1.3.1).
    pub(super) fn contact_in_call(&self) -> String {
        let video = if self.settings.video { ";video" } else { "" };
        format!("{};{MMTEL};audio{video}", self.contact())
    }

    /// Adds the network that the phone is on, where it belongs: not to ACK and CANCEL (TS 24.229 5.1.2A.1.1).
    pub(super) fn name_access(&self, request: &mut Request) {
        let Some(access) = &self.settings.access else { return };
        let is_there = request.headers.iter().any(|(name, _)| *name == ACCESS);
        if !is_there && !matches!(request.method, Method::Ack | Method::Cancel) {
            request.headers.push((ACCESS, access.clone()));
        }
    }

    /// The same for an answer (TS 24.229 5.1.2A.1.2).
    pub(super) fn access_of_answer(&self, to: Method) -> Option<(&'static str, &str)> {
        let access = self.settings.access.as_deref().filter(|_| to != Method::Cancel)?;
        Some((ACCESS, access))
    }
}
