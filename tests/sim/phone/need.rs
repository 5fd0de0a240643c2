//! Phones and emergency calls (RFC 5031, TS 24.229 5.1.6): what a phone is for the network, what it says of itself and of its
//! place when it calls, and how it is called back (RFC 7090).

use super::*;

/// What a phone is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It registers.
    Subscriber,
    /// It registers for emergency calls alone, beside another phone of its user, or another registration of the same phone.
    InNeed,
    /// It has no registration, and calls for help all the same.
    Stranger,
    /// A server of another network.
    Peer,
}

/// What a phone has to do with emergency calls.
#[derive(Clone, Debug, Default)]
pub struct Need {
    /// The IMEI that it shows.
    imei: &'static str,
    /// Its user has registered for emergency calls as well.
    is_beside: bool,
    /// Who answers emergency calls; empty: the echo.
    answerer: &'static str,
}

/// What comes of a call for help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Help {
    /// An echo number answers it.
    pub is_echo: bool,
    pub outlook: Outlook,
}

/// What a caller may expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// What the plan of the call says.
    Planned,
    /// It is refused with this code.
    Refused(u16),
    /// Several answers are right.
    Open,
}

impl Phone {
    /// The phone has no registration.
    pub fn stranger(self, imei: &'static str) -> Self {
        Phone { kind: Kind::Stranger, need: Need { imei, ..self.need }, ..self }
    }

    /// The phone registers for emergency calls.
    pub fn in_need(self) -> Self {
        Phone { kind: Kind::InNeed, ..self }
    }

    /// Whether another phone of its user registers for emergency calls.
    pub fn is_beside_need(&mut self, is_it: bool) {
        self.need.is_beside = is_it;
    }

    /// Who answers emergency calls.
    pub fn is_helped_by(&mut self, answerer: &'static str) {
        self.need.answerer = answerer;
    }

    pub fn is_stranger(&self) -> bool {
        self.kind == Kind::Stranger
    }

    pub fn is_in_need(&self) -> bool {
        self.kind == Kind::InNeed
    }

    pub fn imei(&self) -> &'static str {
        self.need.imei
    }

    /// How long ago its last call for help ended that was answered.
    pub fn helped_since(&self, now: Instant) -> Option<Duration> {
        let helped = self.legs.iter().filter(|l| l.is_for_help && l.result == Some(200));
        helped.filter_map(|l| l.ended_at).max().map(|at| now.since(at))
    }

    /// Whether it has ever called for help where that is taken.
    pub fn has_called_for_help(&self) -> bool {
        self.legs.iter().any(|l| l.is_for_help)
    }

    /// From, without tag.
    pub(super) fn says_it_is(&self) -> String {
        match self.kind {
            Kind::Peer => format!("<sip:+4930{}@pbx.test>", self.counter),
            Kind::Stranger => "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned(),
            Kind::Subscriber | Kind::InNeed => format!("<sip:{}@{DOMAIN}>", self.user),
        }
    }

    /// What a caller says beside From: who it is, and where.
    pub(super) fn identity_and_place(&self) -> String {
        let place = format!("P-Access-Network-Info: {}\r\n", self.place());
        match self.kind {
            Kind::Peer => String::new(),
            Kind::Stranger => place,
            Kind::Subscriber | Kind::InNeed => {
                format!("P-Preferred-Identity: <sip:{}@{DOMAIN}>\r\n{place}", self.user)
            }
        }
    }

    fn place(&self) -> String {
        format!("3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100011A2D{:03}", self.name.len())
    }

    /// The parameter of the contact's URI that makes it one for emergency calls.
    pub(super) fn sos(&self) -> &'static str {
        if matches!(self.kind, Kind::InNeed | Kind::Stranger) { ";sos" } else { "" }
    }

    /// The parameter of Contact that shows the IMEI.
    pub(super) fn equipment(&self) -> String {
        match self.need.imei {
            "" => String::new(),
            imei => format!(";+sip.instance=\"<urn:gsma:imei:{imei}>\""),
        }
    }

    /// A call comes: who is in need is called back by who answers emergency calls, and by nobody else; where the caller is, who
    /// answers its emergency call is told, and nobody else.
    pub(super) fn is_called_rightly(&mut self, text: &Text) {
        let (priority, name) = (text.get("Priority"), &self.name);
        let is_of_network = text.get("X-Plan").is_empty();
        let answerer = self.need.answerer;
        let is_of_answerer = is_of_network
            || !answerer.is_empty() && text.get("P-Asserted-Identity").contains(&format!("sip:{answerer}@"));
        match self.kind {
            Kind::InNeed | Kind::Stranger => {
                assert_eq!(priority, "psap-callback", "{name} takes no normal call: {}", text.start);
                let is_known = self.kind == Kind::InNeed || self.legs.iter().any(|l| l.is_for_help);
                assert!(is_known, "{name} was called back, but has not called");
                assert!(is_of_answerer, "{name} was called back by {}", text.get("P-Asserted-Identity"));
                self.seen.called_back += 1;
            }
            Kind::Subscriber if self.need.is_beside => {
                assert!(priority.is_empty() || is_of_answerer, "{name}: a callback of somebody else");
            }
            Kind::Subscriber | Kind::Peer => {
                assert_eq!(priority, "", "{name}: a callback to who was not in need")
            }
        }
        let is_for_help = text.get("To").contains("urn:service:sos");
        assert!(!is_for_help || *name == answerer, "{name} does not answer emergency calls");
        assert_eq!(!text.get("P-Access-Network-Info").is_empty(), is_for_help, "{name}: {}", text.start);
    }

    /// RFC 3261 21.3.5, TS 24.229 5.1.6.8.3: the call is to come another way, which the body says.
    pub(super) fn on_alternative(&mut self, leg: usize, text: &Text) {
        let name = &self.name;
        assert_eq!(self.kind, Kind::Subscriber, "{name} has called as it should");
        assert_eq!(text.get("Content-Type"), "application/3gpp-ims+xml", "{name}");
        let target = &self.legs[leg].target;
        let (action, service) = match target.strip_prefix("urn:") {
            Some(service) => ("emergency-registration", service),
            None => ("anonymous-emergencycall", "service:sos"),
        };
        assert!(text.body.contains(&format!("<action>{action}</action>")), "{name}: {}", text.body);
        assert_eq!(text.get("Contact"), format!("<urn:{service}>"), "{name}");
        self.seen.sent_elsewhere += 1;
    }
}
