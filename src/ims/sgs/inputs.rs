//! What the loop hands the core of SGs, and what the operator is shown.

use super::{AssociationId, MmeView, NotNow, SgsEvent, UeView};
use crate::base::time::Instant;
use crate::base::trace::{Level, Subject};
use crate::ims::core::{Core, Service};
use crate::ims::sms::{Down, Downlink};
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::wire::identities::{Imsi, same_imei};
use std::net::SocketAddr;

impl Core {
    /// An MME has connected, with so many streams from us to it.
    pub fn on_sgs_up(
        &mut self,
        cx: &mut Cx<'_>,
        association: AssociationId,
        remote: SocketAddr,
        streams: u16,
    ) {
        self.service.sgs.on_up(cx, association, remote, streams);
        self.settle(cx);
    }

    /// The association with an MME was lost, or ended, for this reason in words.
    pub fn on_sgs_down(&mut self, cx: &mut Cx<'_>, association: AssociationId, why: &str) {
        self.service.sgs.on_down(cx, association, why);
        self.settle(cx);
    }

    /// One message of an MME.
    pub fn on_sgs_message(&mut self, cx: &mut Cx<'_>, association: AssociationId, octets: &[u8]) {
        let Service { sgs, subscribers, is_stopping, .. } = &mut self.service;
        sgs.on_message(cx, subscribers, *is_stopping, association, octets);
        self.settle(cx);
    }

    /// The MMEs that are known, connected or not.
    pub fn mme_views(&self, now: Instant) -> Vec<MmeView> {
        self.service.sgs.mme_views(now)
    }

    /// How the phone with this IMSI is attached through SGs.
    pub fn sgs_view(&self, imsi: &str) -> Option<UeView> {
        self.service.sgs.ue_view(imsi)
    }
}

impl Service {
    /// How a user's phone is attached through SGs. Of users who share an IMSI the phone is the first one's; of a user's phones that
    /// share one it is the last that attached, since SGs knows them by nothing else.
    pub(in crate::ims) fn sgs_of(&self, user: UserId) -> Option<UeView> {
        let imsi = &self.subscribers.user(user).imsi;
        self.sgs.ue_view(imsi).filter(|_| self.subscribers.by_imsi(imsi) == Some(user))
    }

    /// News of a phone, for the SMS centre.
    pub(in crate::ims) fn on_sgs_event(&mut self, cx: &mut Cx<'_>, event: SgsEvent) {
        let (SgsEvent::Rpdu { imsi, .. } | SgsEvent::Unreachable { imsi, .. } | SgsEvent::Reachable { imsi }) =
            &event;
        // whose phone it is was a user when it attached, and users do not go
        let Some(user) = self.subscribers.by_imsi(imsi.as_str()) else { return };
        let is_attached = self.sgs.is_attached(imsi);
        let imeisv = self.sgs.ue_view(imsi.as_str()).and_then(|ue| ue.imeisv);
        let (sms, mut view) = self.sms();
        match event {
            SgsEvent::Rpdu { rpdu, .. } => sms.on_uplink(&mut view, cx, (user, imeisv.as_deref()), &rpdu),
            SgsEvent::Unreachable { why, .. } => {
                sms.on_sgs_failed(&mut view, cx, user, &why.to_string(), is_attached)
            }
            SgsEvent::Reachable { .. } => sms.on_reachable(&mut view, cx, user),
        }
    }

    /// Whether the phone that is attached with this IMSI is known to be another one than those with these IMEIs.
    fn is_another(&self, imsi: &str, imeis: &[String]) -> bool {
        let attached = self.sgs.ue_view(imsi).and_then(|ue| ue.imeisv);
        attached.is_some_and(|imeisv| !imeis.iter().any(|imei| same_imei(imei, &imeisv)))
    }

    /// Sends what the SMS centre has for a user's phone. What becomes of an RP-DATA the centre is told, now or later.
    pub(in crate::ims) fn send_over_sgs(&mut self, cx: &mut Cx<'_>, downlink: &Downlink) {
        let Downlink { user, what } = downlink;
        // of users who share an IMSI the phone is the first one's: what it sends is taken for that one's as well
        let imsi = &self.subscribers.user(*user).imsi;
        let is_its_own = self.subscribers.by_imsi(imsi) == Some(*user);
        let found = Imsi::parse(imsi.as_bytes()).filter(|_| is_its_own);
        let (imsi, rpdu) = match what {
            Down::Text { imeis: Some(imeis), rpdu } => {
                (found.filter(|_| !self.is_another(imsi, imeis)), rpdu)
            }
            Down::Text { imeis: None, rpdu } | Down::Answer(rpdu) => (found, rpdu),
            Down::Confirm { is_stored } => {
                return found.into_iter().for_each(|imsi| self.sgs.confirm(cx, &imsi, *is_stored));
            }
        };
        let sent = imsi.map_or(Err(NotNow::NotAttached), |imsi| self.sgs.send(cx, &imsi, rpdu));
        let Err(why) = sent else { return };
        if why == NotNow::NoTransaction {
            let impi = &self.subscribers.user(*user).impi;
            let text = format_args!("SMS of {impi} through SGs has its answer too late: {why}");
            return cx.ims(Level::Warn, Subject::None, text);
        }
        let is_there = !matches!(why, NotNow::NotAttached | NotNow::NoAssociation);
        let (sms, mut view) = self.sms();
        sms.on_sgs_failed(&mut view, cx, *user, &why.to_string(), is_there);
    }
}
