//! SMS over SGs: the VLR that MMEs connect to, for the subscribers of this IMS.
//!
//! What the SMS centre may ask of it and what it is told is here; the protocol is in [`crate::proto::sgsap`].

mod inputs;
#[cfg(test)]
mod tests;

use crate::base::time::Instant;
use crate::config::model::{Config, FilterAction, FilterRule};
use crate::ims::subscriber::Subscribers;
use crate::proto::cx::Cx;
use crate::proto::sgsap::{Action, CpPolicy, Rule, Vlr};
pub use crate::proto::sgsap::{AssociationId, Event as SgsEvent, MmeView, NotNow, State, UeView, Why};
use crate::wire::gsm::cp::CpCause;
use crate::wire::identities::Imsi;
use crate::wire::sgsap::{NodeName, RejectCause};
use std::net::SocketAddr;

/// The phones that are attached through MMEs.
#[derive(Debug)]
pub struct Sgs {
    vlr: Vlr,
}

impl Sgs {
    /// As the configuration wants it; with nobody attached yet.
    pub fn new(config: &Config) -> Self {
        let sms = &config.sms;
        let policy = CpPolicy {
            data: rule(sms.filter.cp_data),
            ack: rule(sms.filter.cp_ack),
            forced_cause: sms.forced_cp_cause.map(CpCause),
        };
        Sgs { vlr: Vlr::new(name(config), policy) }
    }

    /// Whether the phone is attached, so that [`Sgs::send`] can be tried.
    pub fn is_attached(&self, imsi: &Imsi) -> bool {
        self.vlr.is_attached(imsi)
    }

    /// Sends an RPDU to a phone: an RP-DATA, which pages it if need be and whose outcome comes as an event, or the answer to a message
    /// that came from it. One RP-DATA at a time for each phone.
    pub fn send(&mut self, cx: &mut Cx<'_>, imsi: &Imsi, rpdu: &[u8]) -> Result<(), NotNow> {
        self.vlr.send(cx, imsi, rpdu)
    }

    /// The phone's report on the last text has been stored, or cannot be: the phone is told.
    pub fn confirm(&mut self, cx: &mut Cx<'_>, imsi: &Imsi, is_stored: bool) {
        self.vlr.confirm(cx, imsi, is_stored);
    }

    /// The next news.
    pub fn pop_event(&mut self) -> Option<SgsEvent> {
        self.vlr.pop_event()
    }

    /// Lets phones go that nothing more is for. To be called when all events have been dealt with.
    pub fn release_quiet(&mut self, cx: &mut Cx<'_>) {
        self.vlr.release_quiet(cx);
    }

    /// Runs what is due.
    pub fn tick(&mut self, cx: &mut Cx<'_>) {
        self.vlr.tick(cx);
    }

    /// When [`Sgs::tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.vlr.next_deadline()
    }

    /// How many phones something is under way with.
    pub fn busy(&self) -> usize {
        self.vlr.busy()
    }

    /// All MMEs that are known.
    pub fn mme_views(&self, now: Instant) -> Vec<MmeView> {
        self.vlr.mme_views(now)
    }

    /// How the phone with this IMSI is attached; none when it is not.
    pub fn ue_view(&self, imsi: &str) -> Option<UeView> {
        self.vlr.ue_view(&Imsi::parse(imsi.as_bytes())?)
    }

    fn on_up(&mut self, cx: &mut Cx<'_>, association: AssociationId, remote: SocketAddr, streams: u16) {
        self.vlr.on_up(cx, association, remote, streams);
    }

    fn on_down(&mut self, cx: &mut Cx<'_>, association: AssociationId, why: &str) {
        self.vlr.on_down(cx, association, why);
    }

    /// A message of an MME: phones of subscribers may attach, unless the program is about to end.
    fn on_message(
        &mut self,
        cx: &mut Cx<'_>,
        subscribers: &Subscribers,
        is_stopping: bool,
        association: AssociationId,
        octets: &[u8],
    ) {
        let admit = |imsi: &Imsi| match subscribers.by_imsi(imsi.as_str()) {
            _ if is_stopping => Err(RejectCause::NETWORK_FAILURE),
            Some(_) => Ok(()),
            None => Err(RejectCause::IMSI_UNKNOWN_IN_HLR),
        };
        self.vlr.on_message(cx, association, octets, &admit);
    }
}

/// `vlr.` and the IMS's domain; of a domain that is no DNS name, such as an address, a name of our own.
fn name(config: &Config) -> NodeName {
    let domain = config.domain.as_deref().or(config.users.first().map(|user| &*user.domain));
    let name = domain.and_then(|domain| NodeName::of_text(&format!("vlr.{domain}")));
    name.unwrap_or_else(|| NodeName::of_text("vlr.imsbox").expect("two short labels"))
}

fn rule(rule: FilterRule) -> Rule {
    let action = match rule.action {
        FilterAction::Treat => Action::Treat,
        FilterAction::Ignore => Action::Ignore,
        FilterAction::Reject => Action::Reject,
    };
    Rule::new(action, rule.times)
}
