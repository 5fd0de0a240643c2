//! Short messages through the MME (TS 29.118 5.9, TS 24.011): RPDUs to phones and from them, and the release of connections.

use super::cp::{CpEntity, CpEvent, Send};
use super::event::{Event, NotNow};
use super::limits::MAX_RPDU;
use super::mme::Mme;
use super::policy::CpPolicy;
use super::ue::{Alert, Mt, State, Ue};
use super::vlr::{Vlr, tell, transmit};
use crate::base::arena::Id;
use crate::base::time::Instant;
use crate::base::trace::Level;
use crate::proto::cx::Cx;
use crate::wire::identities::Imsi;
use crate::wire::sgsap::{Kind, Message, SgsCause, Tag, Writer};

/// Message type of an RP-DATA to a phone (TS 24.011 8.2.2).
const RP_DATA_DOWN: u8 = 1;

impl Vlr {
    /// Sends an RPDU to a phone: an RP-DATA, which pages it if need be and has its outcome as an event; or the answer to a message
    /// of its own.
    pub fn send(&mut self, cx: &mut Cx<'_>, imsi: &Imsi, rpdu: &[u8]) -> Result<(), NotNow> {
        let id = self.ues.find(imsi).ok_or(NotNow::NotAttached)?;
        if !(2..=MAX_RPDU).contains(&rpdu.len()) {
            return Err(NotNow::Length);
        }
        let ue = self.ues.get_mut(id).ok_or(NotNow::NotAttached)?;
        if self.mmes.get(ue.mme).is_none_or(|mme| mme.link.is_none()) {
            ue.is_wanted = true;
            return Err(NotNow::NoAssociation);
        }
        if rpdu[0] & 7 != RP_DATA_DOWN {
            let found = self.with_cp(cx, id, |cp, now, _, down| cp.answer(now, rpdu, down));
            self.set_alarm(id);
            return if found == Some(true) { Ok(()) } else { Err(NotNow::NoTransaction) };
        }
        match (&ue.mt, ue.is_connected) {
            (Mt::Paging { .. } | Mt::Sent, _) => return Err(NotNow::Busy),
            (Mt::None, true) => self.start_transaction(cx, id, rpdu),
            (Mt::None, false) => self.start_paging(cx, id, rpdu),
        }
        Ok(())
    }

    /// What follows from the phone's answer to the last RP-DATA is stored, or cannot be: it is told. To be said after each RPDU that
    /// came, sooner or later; it means nothing where no answer waits for that.
    pub fn confirm(&mut self, cx: &mut Cx<'_>, imsi: &Imsi, is_stored: bool) {
        let Some(id) = self.ues.find(imsi) else { return };
        self.with_cp(cx, id, |cp, _, policy, down| cp.confirm(is_stored, policy, down));
        self.quiet.push(id);
        self.set_alarm(id);
    }

    /// The phone that was paged can be sent its message.
    pub(super) fn deliver(&mut self, cx: &mut Cx<'_>, id: Id<Ue>) {
        let Some(ue) = self.ues.get_mut(id) else { return };
        let Mt::Paging { rpdu, .. } = &mut ue.mt else { return };
        let rpdu = std::mem::take(rpdu);
        self.start_transaction(cx, id, &rpdu);
    }

    fn start_transaction(&mut self, cx: &mut Cx<'_>, id: Id<Ue>, rpdu: &[u8]) {
        if let Some(ue) = self.ues.get_mut(id) {
            ue.mt = Mt::Sent;
        }
        self.with_cp(cx, id, |cp, now, _, down| cp.start(now, rpdu, down));
        self.set_alarm(id);
    }

    /// UPLINK-UNITDATA: a CPDU of the phone, which is connected as it shows.
    pub(super) fn on_unitdata(&mut self, cx: &mut Cx<'_>, mme: Id<Mme>, message: &Message<'_>) {
        let Some(cpdu) = message.nas_container() else { return };
        let Some(id) = self.ue_of(mme, message) else { return self.refuse_unknown(cx, mme, message) };
        let Some(ue) = self.ues.get_mut(id) else { return };
        ue.place.update(message);
        (ue.state, ue.is_connected) = (State::Associated, true);
        let (imsi, alert) = (ue.imsi, std::mem::replace(&mut ue.alert, Alert::None));
        let event = self.with_cp(cx, id, |cp, now, policy, down| cp.on_cpdu(now, cpdu, policy, down));
        self.on_cp_event(cx, id, event.flatten());
        // 5.3: with this the MME has told what it was asked to tell, and tells no more
        if !matches!(alert, Alert::None) {
            self.events.push_back(Event::Reachable { imsi });
        }
        self.set_alarm(id);
    }

    pub(super) fn on_cp_timer(&mut self, cx: &mut Cx<'_>, id: Id<Ue>) {
        while let Some(event) =
            self.with_cp(cx, id, |cp, now, policy, down| cp.tick(now, policy, down)).flatten()
        {
            self.on_cp_event(cx, id, Some(event));
        }
        self.quiet.push(id);
    }

    fn on_cp_event(&mut self, cx: &mut Cx<'_>, id: Id<Ue>, event: Option<CpEvent>) {
        self.quiet.push(id);
        let Some(ue) = self.ues.get_mut(id) else { return };
        let imsi = ue.imsi;
        match event {
            Some(CpEvent::Up { rpdu, is_answer }) => {
                if is_answer {
                    ue.mt = Mt::None;
                }
                self.events.push_back(Event::Rpdu { imsi, rpdu });
            }
            Some(CpEvent::MtFailed(why)) => self.fail_mt(cx, id, why),
            Some(CpEvent::MoFailed(why)) => {
                tell(cx, Level::Warn, format_args!("message of {imsi} through SGs broken off: {why}"));
            }
            None => {}
        }
    }

    /// Releases the connections that nothing is under way on any more. To be called when whoever took the events has sent what it
    /// wanted: the next message then needs no page.
    pub fn release_quiet(&mut self, cx: &mut Cx<'_>) {
        let mut quiet = std::mem::take(&mut self.quiet);
        for id in quiet.drain(..) {
            let Some(ue) = self.ues.get_mut(id).filter(|ue| ue.is_connected && ue.is_quiet()) else {
                continue;
            };
            ue.is_connected = false;
            let (mme, imsi) = (ue.mme, ue.imsi);
            self.send_plain(cx, mme, Kind::ReleaseRequest, &imsi);
        }
        self.quiet = quiet;
    }

    /// 5.9.2, 5.10: the phone is not attached through this MME, as after our restart. It attaches anew when it is told so.
    pub(super) fn refuse_unknown(&mut self, cx: &mut Cx<'_>, mme: Id<Mme>, message: &Message<'_>) {
        let Some(imsi) = message.imsi() else { return };
        tell(cx, Level::Warn, format_args!("{imsi} is not attached through SGs: it is told to attach anew"));
        Writer::of(&mut self.octets, Kind::ReleaseRequest, &imsi)
            .octet(Tag::SgsCause, SgsCause::IMSI_UNKNOWN.0);
        self.transmit(cx, mme, Some(&imsi));
    }

    /// Lets the connection protocol of a phone do something; what it sends goes to the phone's MME.
    fn with_cp<R>(
        &mut self,
        cx: &mut Cx<'_>,
        id: Id<Ue>,
        what: impl FnOnce(&mut CpEntity, Instant, &mut CpPolicy, Send<'_>) -> R,
    ) -> Option<R> {
        let Vlr { ues, mmes, policy, octets, .. } = self;
        let ue = ues.get_mut(id)?;
        let mme = mmes.get(ue.mme)?;
        let (now, imsi) = (cx.now, ue.imsi);
        let mut down = |cpdu: &[u8]| {
            Writer::of(octets, Kind::DownlinkUnitdata, &imsi).element(Tag::NasContainer, cpdu);
            transmit(cx, mme, Some(&imsi), octets);
        };
        Some(what(&mut ue.cp, now, policy, &mut down))
    }
}
