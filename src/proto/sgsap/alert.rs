//! Non-EPS alert (TS 29.118 5.3): the MME is asked to tell when a phone that could not be reached does something.

use super::event::{Event, Why};
use super::mme::{Mme, Pending};
use super::paging::is_gone;
use super::timers::Timer;
use super::ue::{Alert, Ue};
use super::vlr::{Vlr, tell};
use crate::base::arena::Id;
use crate::base::trace::Level;
use crate::proto::cx::Cx;
use crate::wire::sgsap::{Kind, Message};

impl Vlr {
    /// Asks, unless it has been asked.
    pub(super) fn start_alert(&mut self, cx: &mut Cx<'_>, id: Id<Ue>) {
        let Some(ue) = self.ues.get_mut(id) else { return };
        let Alert::None = ue.alert else { return };
        ue.alert = Alert::Asked(Pending { repeated: 0, until: cx.now + Timer::Ts7.duration() });
        let (mme, imsi) = (ue.mme, ue.imsi);
        self.send_plain(cx, mme, Kind::AlertRequest, &imsi);
        self.set_alarm(id);
    }

    /// Ts7: repeated, then given up (5.3.3.2).
    pub(super) fn on_alert_timer(&mut self, cx: &mut Cx<'_>, id: Id<Ue>) {
        let Some(ue) = self.ues.get_mut(id) else { return };
        let Alert::Asked(pending) = ue.alert else { return };
        if pending.until > cx.now {
            return;
        }
        let (mme, imsi) = (ue.mme, ue.imsi);
        if pending.repeated < Timer::Ts7.repetitions() {
            let (repeated, until) = (pending.repeated + 1, cx.now + Timer::Ts7.duration());
            ue.alert = Alert::Asked(Pending { repeated, until });
            self.send_plain(cx, mme, Kind::AlertRequest, &imsi);
        } else {
            ue.alert = Alert::None;
            tell(
                cx,
                Level::Warn,
                format_args!("no ALERT-ACK for {imsi}: nobody tells when it can be reached"),
            );
        }
    }

    pub(super) fn on_alert_ack(&mut self, mme: Id<Mme>, message: &Message<'_>) {
        let Some(id) = self.ue_of(mme, message) else { return };
        if let Some(ue) = self.ues.get_mut(id)
            && let Alert::Asked(_) = ue.alert
        {
            ue.alert = Alert::Granted;
        }
        self.set_alarm(id);
    }

    /// 5.3.2.3: the MME does not know the phone, or will not tell.
    pub(super) fn on_alert_reject(&mut self, cx: &mut Cx<'_>, mme: Id<Mme>, message: &Message<'_>) {
        let Some((id, cause)) = self.ue_of(mme, message).zip(message.sgs_cause()) else { return };
        if is_gone(cause) {
            return self.forget(cx, id, Why::Unreachable(cause));
        }
        self.stop_alert(id);
    }

    /// The MME will not tell.
    pub(super) fn stop_alert(&mut self, id: Id<Ue>) {
        if let Some(ue) = self.ues.get_mut(id) {
            ue.alert = Alert::None;
        }
        self.set_alarm(id);
    }

    /// UE-ACTIVITY-INDICATION: the phone did something.
    pub(super) fn on_activity(&mut self, mme: Id<Mme>, message: &Message<'_>) {
        let Some(id) = self.ue_of(mme, message) else { return };
        let Some(ue) = self.ues.get_mut(id) else { return };
        ue.alert = Alert::None;
        let imsi = ue.imsi;
        self.set_alarm(id);
        self.events.push_back(Event::Reachable { imsi });
    }

    /// An MME is there again: so are those of its phones that were wanted meanwhile.
    pub(super) fn tell_reachable(&mut self, mme: Id<Mme>) {
        for id in self.ues.behind(mme) {
            let Some(ue) = self.ues.get_mut(id) else { continue };
            if std::mem::take(&mut ue.is_wanted) {
                self.events.push_back(Event::Reachable { imsi: ue.imsi });
            }
        }
    }
}
