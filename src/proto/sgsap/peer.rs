//! What concerns an MME as a whole: its name, RESET (TS 29.118 5.7), STATUS (7).

use super::event::Why;
use super::mme::{Mme, Pending};
use super::paging::is_gone;
use super::timers::Timer;
use super::tmsi::Tmsi;
use super::ue::{Alert, State};
use super::vlr::{Key, Vlr, tell, trace};
use crate::base::arena::Id;
use crate::base::trace::Level;
use crate::proto::cx::Cx;
use crate::wire::sgsap::{Kind, Message, NodeName, Tag, Writer};
use std::net::SocketAddr;

impl Vlr {
    /// Makes room for an MME that was never seen, and takes it in.
    pub(super) fn new_mme(&mut self, cx: &mut Cx<'_>, remote: SocketAddr) -> Option<Id<Mme>> {
        if let Some(first) = self.mmes.to_forget() {
            let gone = self.mmes.get(first).map(Mme::label).unwrap_or_default();
            trace(
                cx,
                Level::Warn,
                remote,
                format_args!("{gone} is forgotten with its phones, limit MAX_MMES"),
            );
            for ue in self.ues.behind(first) {
                self.forget(cx, ue, Why::AssociationLost);
            }
            self.mmes.remove(first);
        }
        self.mmes.insert(remote, cx.now)
    }

    /// A message says the name of the MME behind an association. Gives the MME of that name, which has the association from now on.
    pub(super) fn name_mme(&mut self, cx: &mut Cx<'_>, id: Id<Mme>, name: &NodeName) -> Id<Mme> {
        let Some(mme) = self.mmes.get_mut(id) else { return id };
        let (remote, reset) = (mme.remote, mme.reset);
        if mme.name.as_ref() == Some(name) {
            return id;
        }
        let Some(link) = mme.link else { return id };
        let was_nameless = mme.name.is_none() && mme.ues == 0;
        let known = self.mmes.named(name);
        if known.is_none() && was_nameless {
            trace(cx, Level::Info, remote, format_args!("this is {name}"));
            self.mmes.get_mut(id).into_iter().for_each(|mme| mme.name = Some(name.clone()));
            return id;
        }
        // it is not the one that it was taken for, or that one has come back from another address
        self.stop_reset(id);
        self.mmes.disconnect(link.id, cx.now);
        self.break_off(cx, id);
        let Some(right) = known.or_else(|| self.new_mme(cx, remote)) else { return id };
        self.connect(cx, right, link, remote);
        self.mmes.get_mut(right).into_iter().for_each(|mme| mme.name = Some(name.clone()));
        trace(cx, Level::Info, remote, format_args!("this is {name}"));
        if was_nameless {
            self.mmes.remove(id);
        }
        self.welcome(cx, right, reset);
        right
    }

    /// An MME has an association again, or for the first time. `reset` is the RESET-INDICATION that it was sent over that, before it
    /// was known for who it is.
    pub(super) fn welcome(&mut self, cx: &mut Cx<'_>, id: Id<Mme>, reset: Option<Pending>) {
        let knows_us = self.mmes.get(id).is_none_or(|mme| mme.knows_us);
        match reset {
            _ if knows_us => {}
            Some(_) => self.wait_for_reset(id, reset),
            None => self.start_reset(cx, id),
        }
        self.tell_reachable(id);
    }

    /// 5.7.3: we know nothing of the phones that this MME may take for attached, since we have started after it.
    fn start_reset(&mut self, cx: &mut Cx<'_>, id: Id<Mme>) {
        self.send_reset(cx, id);
        self.wait_for_reset(id, Some(Pending { repeated: 0, until: cx.now + Timer::Ts11.duration() }));
    }

    pub(super) fn on_reset_ack(&mut self, id: Id<Mme>) {
        self.mmes.get_mut(id).into_iter().for_each(|mme| mme.knows_us = true);
        self.stop_reset(id);
    }

    /// It is acknowledged, or the association is lost.
    pub(super) fn stop_reset(&mut self, id: Id<Mme>) {
        self.wait_for_reset(id, None);
    }

    pub(super) fn on_reset_timer(&mut self, cx: &mut Cx<'_>, id: Id<Mme>) {
        let Some(mme) = self.mmes.get(id) else { return };
        let Some(pending) = mme.reset else { return self.stop_reset(id) };
        if pending.repeated < Timer::Ts11.repetitions() {
            let (repeated, until) = (pending.repeated + 1, cx.now + Timer::Ts11.duration());
            self.send_reset(cx, id);
            return self.wait_for_reset(id, Some(Pending { repeated, until }));
        }
        // 5.7.3.3: it is told, and that is all
        let text =
            format_args!("no RESET-ACK of {}: it may take phones for attached that are not", mme.label());
        trace(cx, Level::Error, mme.remote, text);
        self.stop_reset(id);
    }

    fn send_reset(&mut self, cx: &mut Cx<'_>, id: Id<Mme>) {
        Writer::new(&mut self.octets, Kind::ResetIndication).name(Tag::VlrName, &self.name);
        self.transmit(cx, id, None);
    }

    fn wait_for_reset(&mut self, id: Id<Mme>, pending: Option<Pending>) {
        if let Some(mme) = self.mmes.get_mut(id) {
            mme.reset = pending;
            self.alarms.set(&mut mme.alarm, Key::Mme(id), pending.map(|p| p.until));
        }
    }

    /// 5.7.2: the MME has forgotten its phones; what we know of them is to be confirmed by radio contact.
    pub(super) fn on_reset(&mut self, cx: &mut Cx<'_>, id: Id<Mme>) {
        for ue in self.ues.behind(id) {
            self.disconnect(cx, ue, Why::MmeReset);
            self.ues.set_tmsi(ue, Tmsi::None);
            if let Some(ue) = self.ues.get_mut(ue) {
                ue.state = State::Null;
                ue.alert = Alert::None;
            }
            self.set_alarm(ue);
        }
        let Some(mme) = self.mmes.get(id) else { return };
        tell(
            cx,
            Level::Info,
            format_args!("MME {} restarted; {} phones to be confirmed", mme.label(), mme.ues),
        );
        Writer::new(&mut self.octets, Kind::ResetAck).name(Tag::VlrName, &self.name);
        self.transmit(cx, id, None);
    }

    /// The MME could not use what we sent: what that was part of ends. Some say in this way that a phone is not attached.
    pub(super) fn on_status(&mut self, cx: &mut Cx<'_>, mme: Id<Mme>, message: &Message<'_>) {
        let Some((cause, erroneous)) = message.sgs_cause().zip(message.erroneous_message()) else { return };
        let kind = erroneous.first().copied().and_then(Kind::of_code);
        let what = kind.map_or("a message", Kind::name);
        let label = self.mmes.get(mme).map(Mme::label).unwrap_or_default();
        tell(cx, Level::Warn, format_args!("MME {label} could not use our {what}: cause {cause}"));
        let Some((ue, kind)) = self.ue_of(mme, message).zip(kind) else { return };
        let why = Why::Status(cause);
        match kind {
            Kind::PagingRequest | Kind::DownlinkUnitdata | Kind::AlertRequest if is_gone(cause) => {
                self.forget(cx, ue, why)
            }
            Kind::PagingRequest | Kind::DownlinkUnitdata => self.disconnect(cx, ue, why),
            Kind::AlertRequest => self.stop_alert(ue),
            _ => {}
        }
    }
}
