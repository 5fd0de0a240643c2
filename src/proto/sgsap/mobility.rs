//! Location update and detach (TS 29.118 5.2, 5.4, 5.5).

use super::event::{Event, Why};
use super::mme::Mme;
use super::ue::{Alert, Place, State, Ue};
use super::vlr::{Admit, Vlr, tell};
use crate::base::arena::Id;
use crate::base::trace::Level;
use crate::proto::cx::Cx;
use crate::wire::identities::Imsi;
use crate::wire::sgsap::{Kind, Lai, Message, MobileIdentity, RejectCause, Tag, UpdateType, Writer};

impl Vlr {
    /// 5.2.2: the phone attaches, moves, or shows that it is still there.
    pub(super) fn on_location_update(
        &mut self,
        cx: &mut Cx<'_>,
        mme: Id<Mme>,
        message: &Message<'_>,
        admit: Admit<'_>,
    ) {
        let Some((imsi, lai)) = message.imsi().zip(message.lai()) else { return };
        let known = self.ues.find(&imsi);
        known.into_iter().for_each(|id| self.compare_area(id, message.old_lai()));
        let place = Place { lai, tai: message.tai(), ecgi: message.ecgi(), imeisv: message.imeisv() };
        let admitted = admit(&imsi).and_then(|()| self.attach(cx, mme, imsi, place, message.update_type()));
        let id = match admitted {
            Ok(id) => id,
            Err(cause) => {
                known.into_iter().for_each(|id| self.forget(cx, id, Why::Detached));
                return self.reject(cx, mme, &imsi, lai, cause);
            }
        };
        let new_tmsi = self.renew_tmsi(cx, id, message.has_valid_tmsi());
        let writer =
            Writer::of(&mut self.octets, Kind::LocationUpdateAccept, &imsi).element(Tag::Lai, &lai.octets());
        if let Some(tmsi) = new_tmsi {
            writer.element(Tag::MobileIdentity, &MobileIdentity::Tmsi(tmsi).octets());
        }
        self.transmit(cx, mme, Some(&imsi));
        self.page_there(cx, id);
        if known.is_none() {
            let label = self.mmes.get(mme).map(Mme::label).unwrap_or_default();
            tell(cx, Level::Info, format_args!("{imsi} attached through SGs: {label}, location area {lai}"));
        }
        self.events.push_back(Event::Reachable { imsi });
    }

    /// Takes the phone in, or takes over what is new.
    fn attach(
        &mut self,
        cx: &mut Cx<'_>,
        mme: Id<Mme>,
        imsi: Imsi,
        place: Place,
        update: Option<UpdateType>,
    ) -> Result<Id<Ue>, RejectCause> {
        let known = self.ues.find(&imsi).and_then(|id| Some((id, self.ues.get(id)?.mme)));
        let is_here = known.is_some_and(|(_, there)| there == mme);
        let is_full = !is_here && self.mmes.get(mme).is_none_or(Mme::is_full);
        if is_full || (known.is_none() && self.ues.is_full()) {
            return Err(RejectCause::CONGESTION);
        }
        let Some((id, there)) = known else {
            let id = self.ues.insert(Ue::new(imsi, mme, place)).ok_or(RejectCause::CONGESTION)?;
            self.mmes.get_mut(mme).into_iter().for_each(|mme| mme.ues += 1);
            return Ok(id);
        };
        let is_new = update == Some(UpdateType::ImsiAttach);
        if !is_here || is_new {
            self.disconnect(cx, id, Why::Moved);
        }
        self.mmes.get_mut(there).into_iter().for_each(|mme| mme.ues -= 1);
        self.mmes.get_mut(mme).into_iter().for_each(|mme| mme.ues += 1);
        if let Some(ue) = self.ues.get_mut(id) {
            // of a phone that attaches anew it may be another one with the same IMSI
            ue.place = if is_new { place } else { place.or(ue.place) };
            (ue.mme, ue.state, ue.alert, ue.is_wanted) = (mme, State::Associated, Alert::None, false);
        }
        self.set_alarm(id);
        Ok(id)
    }

    fn reject(&mut self, cx: &mut Cx<'_>, mme: Id<Mme>, imsi: &Imsi, lai: Lai, cause: RejectCause) {
        tell(cx, Level::Warn, format_args!("{imsi} cannot attach through SGs: cause {cause}"));
        Writer::of(&mut self.octets, Kind::LocationUpdateReject, imsi)
            .octet(Tag::RejectCause, cause.0)
            .element(Tag::Lai, &lai.octets());
        self.transmit(cx, mme, Some(imsi));
    }

    /// 5.4.3 and 5.5.3: whatever the reason, the phone is SGs-NULL, and the MME is told so also when nobody knew it. One that is
    /// behind another MME now stays.
    pub(super) fn on_detach(&mut self, cx: &mut Cx<'_>, mme: Id<Mme>, message: &Message<'_>, ack: Kind) {
        let Some(imsi) = message.imsi() else { return };
        self.send_plain(cx, mme, ack, &imsi);
        let Some(id) = self.ue_of(mme, message) else { return };
        let eps = message.eps_detach().filter(|_| ack == Kind::EpsDetachAck);
        let why = eps.map(|d| d.text()).or(message.non_eps_detach().map(|d| d.text())).unwrap_or_default();
        tell(cx, Level::Info, format_args!("{imsi} detached from SGs: {why}"));
        self.forget(cx, id, Why::Detached);
    }
}
