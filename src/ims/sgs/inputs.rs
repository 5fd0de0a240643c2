//! What the loop hands the core of SGs, and what the operator is shown.

use super::{AssociationId, MmeView, SgsEvent, UeView};
use crate::base::time::Instant;
use crate::base::trace::{Level, Subject};
use crate::ims::core::{Core, Service};
use crate::proto::cx::Cx;
use crate::wire::gsm::{Direction, Rp, RpCause, Rpdu};
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
    /// News of a phone. There is no SMS centre to take a text: the phone is told so.
    pub(in crate::ims) fn on_sgs_event(&mut self, cx: &mut Cx<'_>, event: SgsEvent) {
        let SgsEvent::Rpdu { imsi, rpdu } = event else { return };
        let Ok(Rpdu { reference, message: Rp::Data { .. } | Rp::Smma, .. }) = Rpdu::parse(&rpdu) else {
            return;
        };
        let message = Rp::Error { cause: RpCause::NOT_IMPLEMENTED, diagnostic: None, user_data: None };
        let error = Rpdu { direction: Direction::Down, reference, message }.to_vec();
        if let Err(why) = self.sgs.send(cx, &imsi, &error) {
            cx.ims(Level::Warn, Subject::None, format_args!("no answer to {imsi} through SGs: {why}"));
        }
    }
}
