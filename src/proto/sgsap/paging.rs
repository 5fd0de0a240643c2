//! Paging (TS 29.118 5.1).

use super::event::{Event, Why};
use super::mme::{Mme, Pending};
use super::timers::Timer;
use super::ue::{Alert, Mt, State, Ue};
use super::vlr::Vlr;
use crate::base::arena::Id;
use crate::proto::cx::Cx;
use crate::wire::sgsap::{Kind, Message, Service, SgsCause, Tag, Writer};

/// Whether a cause says that the phone is not attached (5.1.2.3, 5.3.2.3): 1 to 5, all others are about being reached.
pub(super) fn is_gone(cause: SgsCause) -> bool {
    (1..=5).contains(&cause.0)
}

impl Vlr {
    /// Pages a phone for an RP-DATA.
    pub(super) fn start_paging(&mut self, cx: &mut Cx<'_>, id: Id<Ue>, rpdu: &[u8]) {
        self.send_page(cx, id);
        let page = Pending { repeated: 0, until: cx.now + Timer::Ts5.duration() };
        if let Some(ue) = self.ues.get_mut(id) {
            ue.mt = Mt::Paging { rpdu: rpdu.into(), page };
        }
        self.set_alarm(id);
    }

    /// 5.2.3.2: a phone that has said where it is now while it is paged is paged there, in the time that it has. One that is connected
    /// needs no page.
    pub(super) fn page_there(&mut self, cx: &mut Cx<'_>, id: Id<Ue>) {
        if self.ues.get(id).is_some_and(|ue| matches!(ue.mt, Mt::Paging { .. }) && !ue.is_connected) {
            self.send_page(cx, id);
        }
    }

    fn send_page(&mut self, cx: &mut Cx<'_>, id: Id<Ue>) {
        let Some(ue) = self.ues.get(id) else { return };
        let mut writer = Writer::of(&mut self.octets, Kind::PagingRequest, &ue.imsi)
            .name(Tag::VlrName, &self.name)
            .octet(Tag::ServiceIndicator, Service::Sms.code());
        if let Some(tmsi) = ue.tmsi.valid() {
            writer = writer.element(Tag::Tmsi, &tmsi.to_be_bytes());
        }
        // 5.1.2.1: where it is, unless that is to be confirmed
        if ue.state == State::Associated {
            writer.element(Tag::Lai, &ue.place.lai.octets());
        }
        self.transmit(cx, ue.mme, Some(&ue.imsi));
    }

    /// Ts5: the page is repeated, then given up. A phone that is connected meanwhile for a message of its own needs none.
    pub(super) fn on_page_timer(&mut self, cx: &mut Cx<'_>, id: Id<Ue>) {
        let Some(ue) = self.ues.get_mut(id) else { return };
        let Mt::Paging { page, .. } = &mut ue.mt else { return };
        if page.until > cx.now {
            return;
        }
        if ue.is_connected {
            self.deliver(cx, id);
        } else if page.repeated < Timer::Ts5.repetitions() {
            *page = Pending { repeated: page.repeated + 1, until: cx.now + Timer::Ts5.duration() };
            self.send_page(cx, id);
        } else {
            self.fail_mt(cx, id, Why::Expired(Timer::Ts5));
            self.start_alert(cx, id);
        }
    }

    /// SERVICE-REQUEST: the phone answers the page, whatever service the MME names. One that was not paged, or not any more, shows
    /// that it can be reached.
    pub(super) fn on_service_request(&mut self, cx: &mut Cx<'_>, mme: Id<Mme>, message: &Message<'_>) {
        let Some(id) = self.ue_of(mme, message) else { return self.refuse_unknown(cx, mme, message) };
        let Some(ue) = self.ues.get_mut(id) else { return };
        ue.place.update(message);
        (ue.state, ue.is_connected) = (State::Associated, true);
        // 5.3: with this the MME has told what it was asked to tell, and tells no more
        ue.alert = Alert::None;
        if let Mt::Paging { .. } = ue.mt {
            return self.deliver(cx, id);
        }
        let imsi = ue.imsi;
        self.set_alarm(id);
        self.quiet.push(id);
        self.events.push_back(Event::Reachable { imsi });
    }

    /// PAGING-REJECT: the page has failed, and nothing else. A phone that is gone is forgotten; of another the MME is to tell when it
    /// can be reached, unless it has come by itself meanwhile.
    pub(super) fn on_paging_reject(&mut self, cx: &mut Cx<'_>, mme: Id<Mme>, message: &Message<'_>) {
        let Some((id, cause)) = self.ue_of(mme, message).zip(message.sgs_cause()) else { return };
        let why = Why::PagingRejected(cause);
        if is_gone(cause) {
            return self.forget(cx, id, why);
        }
        if self.ues.get(id).is_some_and(|ue| ue.is_connected) {
            return self.deliver(cx, id);
        }
        self.fail_mt(cx, id, why);
        self.start_alert(cx, id);
        self.set_alarm(id);
    }

    /// UE-UNREACHABLE: all that was under way has failed.
    pub(super) fn on_unreachable(&mut self, cx: &mut Cx<'_>, mme: Id<Mme>, message: &Message<'_>) {
        let Some((id, cause)) = self.ue_of(mme, message).zip(message.sgs_cause()) else { return };
        let why = Why::Unreachable(cause);
        if is_gone(cause) {
            return self.forget(cx, id, why);
        }
        self.disconnect(cx, id, why);
        self.start_alert(cx, id);
    }
}
