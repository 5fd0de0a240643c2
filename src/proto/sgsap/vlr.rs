//! The VLR: its tables, and what comes in.

use super::AssociationId;
use super::event::{Event, Why};
use super::limits::MAX_ASSOCIATIONS;
use super::mme::{Link, Mme, Mmes};
use super::policy::CpPolicy;
use super::ue::{Mt, Ue, Ues};
use super::view::{MmeView, UeView};
use crate::base::arena::Id;
use crate::base::time::Instant;
use crate::base::timer::AlarmQueue;
use crate::base::trace::{Dir, Layer, Level, Subject};
use crate::proto::cx::Cx;
use crate::proto::outbox::Output;
use crate::wire::identities::Imsi;
use crate::wire::sgsap::{
    Kind, Message, NodeName, Problem, RejectCause, Sender, SgsCause, SgsapError, Tag, Writer,
};
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;

/// Says whether a phone may attach; the cause of the refusal if not.
pub type Admit<'a> = &'a dyn Fn(&Imsi) -> Result<(), RejectCause>;

/// Whose alarm it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key {
    Mme(Id<Mme>),
    Ue(Id<Ue>),
}

/// The VLR.
#[derive(Debug)]
pub struct Vlr {
    pub(super) name: NodeName,
    pub(super) policy: CpPolicy,
    pub(super) mmes: Mmes,
    pub(super) ues: Ues,
    pub(super) alarms: AlarmQueue<Key>,
    /// Phones with which nothing more may be under way.
    pub(super) quiet: Vec<Id<Ue>>,
    pub(super) events: VecDeque<Event>,
    /// The message that is being written.
    pub(super) octets: Vec<u8>,
}

impl Vlr {
    /// A VLR of this name that knows nobody yet.
    pub fn new(name: NodeName, policy: CpPolicy) -> Self {
        Vlr {
            name,
            policy,
            mmes: Mmes::default(),
            ues: Ues::default(),
            alarms: AlarmQueue::new(),
            quiet: Vec::new(),
            events: VecDeque::new(),
            octets: Vec::new(),
        }
    }

    /// Our name.
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// An association came up, with `streams` streams from us.
    pub fn on_up(&mut self, cx: &mut Cx<'_>, association: AssociationId, remote: SocketAddr, streams: u16) {
        if self.mmes.connected() >= MAX_ASSOCIATIONS {
            let text = format_args!("association refused: {MAX_ASSOCIATIONS} are up, limit MAX_ASSOCIATIONS");
            trace(cx, Level::Warn, remote, text);
            cx.out.push(Output::CloseSgs(association));
            return;
        }
        let Some(id) = self.mmes.gone_from(remote).or_else(|| self.new_mme(cx, remote)) else { return };
        self.connect(cx, id, Link { id: association, streams: streams.max(1) }, remote);
        trace(cx, Level::Info, remote, format_args!("association up, {streams} streams"));
        self.welcome(cx, id, None);
    }

    /// Gives an association to an MME. One that it had still is closed, and what goes on there ends: there is one at a time between
    /// an MME and a VLR.
    pub(super) fn connect(&mut self, cx: &mut Cx<'_>, id: Id<Mme>, link: Link, remote: SocketAddr) {
        if let Some(former) = self.mmes.connect(id, link, remote, cx.now) {
            cx.out.push(Output::CloseSgs(former));
            self.break_off(cx, id);
        }
    }

    /// Ends what is under way with all phones of an MME whose association is gone. Those that were to be sent something are told of
    /// when it has another one.
    pub(super) fn break_off(&mut self, cx: &mut Cx<'_>, mme: Id<Mme>) {
        for id in self.ues.behind(mme) {
            let Some(ue) = self.ues.get_mut(id) else { continue };
            ue.is_wanted |= !matches!(ue.mt, Mt::None);
            self.disconnect(cx, id, Why::AssociationLost);
        }
    }

    /// An association was lost or shut down.
    pub fn on_down(&mut self, cx: &mut Cx<'_>, association: AssociationId, why: &str) {
        let Some((id, _)) = self.mmes.disconnect(association, cx.now) else { return };
        self.stop_reset(id);
        let Some(mme) = self.mmes.get(id) else { return };
        let text = format_args!("association with {} lost: {why}; {} phones attached", mme.label(), mme.ues);
        trace(cx, Level::Warn, mme.remote, text);
        self.break_off(cx, id);
    }

    /// A message of an association. `admit` says who may attach.
    pub fn on_message(
        &mut self,
        cx: &mut Cx<'_>,
        association: AssociationId,
        octets: &[u8],
        admit: Admit<'_>,
    ) {
        let Some(mme) = self.mmes.of(association) else { return };
        let Some(remote) = self.mmes.get(mme).map(|m| m.remote) else { return };
        match Message::parse(octets) {
            Ok(message) if message.kind().sender() == Sender::Vlr => {
                let problem = Problem::UnknownType(message.kind().code());
                let error = SgsapError { problem, imsi: message.imsi() };
                let text = format_args!("{message} is not for a VLR");
                trace_octets(cx, Level::Warn, Dir::From, remote, text, octets);
                self.send_status(cx, mme, &error, octets);
            }
            Ok(message) => {
                trace_octets(cx, Level::Info, Dir::From, remote, format_args!("{message}"), octets);
                self.dispatch(cx, mme, &message, admit);
            }
            Err(error) => {
                trace_octets(cx, Level::Warn, Dir::From, remote, format_args!("{error}"), octets);
                self.send_status(cx, mme, &error, octets);
            }
        }
    }

    /// Runs what is due.
    pub fn tick(&mut self, cx: &mut Cx<'_>) {
        while let Some(key) = self.alarms.due(cx.now) {
            match key {
                Key::Mme(id) => self.on_reset_timer(cx, id),
                Key::Ue(id) => self.on_ue_timer(cx, id),
            }
        }
    }

    /// When [`Vlr::tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.alarms.next_deadline()
    }

    /// The next news for the SMS centre.
    pub fn pop_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether a phone is attached, be its MME connected or not.
    pub fn is_attached(&self, imsi: &Imsi) -> bool {
        self.ues.find(imsi).is_some()
    }

    /// How many phones are attached.
    pub fn attached(&self) -> usize {
        self.ues.len()
    }

    /// How many phones something is under way with.
    pub fn busy(&self) -> usize {
        self.ues.iter().filter(|ue| !ue.is_quiet() || ue.is_connected).count()
    }

    /// All MMEs that are known.
    pub fn mme_views(&self, now: Instant) -> Vec<MmeView> {
        let view = |(_, mme): (Id<Mme>, &Mme)| MmeView {
            name: mme.name.as_ref().map(NodeName::to_string),
            remote: mme.remote,
            is_connected: mme.link.is_some(),
            since: now.since(mme.since),
            ues: mme.ues,
        };
        self.mmes.iter().map(view).collect()
    }

    /// A phone's attachment; none when it is not attached.
    pub fn ue_view(&self, imsi: &Imsi) -> Option<UeView> {
        let ue = self.ues.get(self.ues.find(imsi)?)?;
        let mme = self.mmes.get(ue.mme)?;
        Some(UeView {
            imsi: ue.imsi,
            mme: mme.label(),
            is_connected: mme.link.is_some(),
            state: ue.state,
            tmsi: ue.tmsi.valid(),
            lai: ue.place.lai,
            tai: ue.place.tai,
            ecgi: ue.place.ecgi,
            imeisv: ue.place.imeisv,
        })
    }

    fn dispatch(&mut self, cx: &mut Cx<'_>, mme: Id<Mme>, message: &Message<'_>, admit: Admit<'_>) {
        let mme = match message.mme_name() {
            Some(name) => self.name_mme(cx, mme, &NodeName::of(name)),
            None => mme,
        };
        match message.kind() {
            Kind::LocationUpdateRequest => self.on_location_update(cx, mme, message, admit),
            Kind::EpsDetachIndication => self.on_detach(cx, mme, message, Kind::EpsDetachAck),
            Kind::ImsiDetachIndication => self.on_detach(cx, mme, message, Kind::ImsiDetachAck),
            Kind::PagingReject => self.on_paging_reject(cx, mme, message),
            Kind::UeUnreachable => self.on_unreachable(cx, mme, message),
            Kind::ServiceRequest => self.on_service_request(cx, mme, message),
            Kind::UplinkUnitdata => self.on_unitdata(cx, mme, message),
            Kind::AlertAck => self.on_alert_ack(mme, message),
            Kind::AlertReject => self.on_alert_reject(cx, mme, message),
            Kind::UeActivityIndication => self.on_activity(mme, message),
            Kind::ResetIndication => self.on_reset(cx, mme),
            Kind::ResetAck => self.on_reset_ack(mme),
            Kind::Status => self.on_status(cx, mme, message),
            Kind::TmsiReallocationComplete => self.on_tmsi_complete(cx, mme, message),
            // no calls are made: there is nothing to do about them
            Kind::MoCsfbIndication => {}
            // those of a VLR were answered before
            _ => {}
        }
    }

    /// The phone of a message, if it is attached through this MME.
    pub(super) fn ue_of(&self, mme: Id<Mme>, message: &Message<'_>) -> Option<Id<Ue>> {
        let id = self.ues.find(&message.imsi()?)?;
        self.ues.get(id).filter(|ue| ue.mme == mme).map(|_| id)
    }

    /// Sets a phone's alarm to its earliest timer.
    pub(super) fn set_alarm(&mut self, id: Id<Ue>) {
        if let Some(ue) = self.ues.get_mut(id) {
            let at = ue.deadline();
            self.alarms.set(&mut ue.alarm, Key::Ue(id), at);
        }
    }

    fn on_ue_timer(&mut self, cx: &mut Cx<'_>, id: Id<Ue>) {
        self.on_page_timer(cx, id);
        self.on_alert_timer(cx, id);
        self.on_cp_timer(cx, id);
        self.on_tmsi_timer(cx, id);
        self.set_alarm(id);
    }

    /// Ends what is under way with a phone, without a word to it.
    pub(super) fn disconnect(&mut self, cx: &mut Cx<'_>, id: Id<Ue>, why: Why) {
        let Some(ue) = self.ues.get_mut(id) else { return };
        ue.is_connected = false;
        ue.cp.clear();
        self.fail_mt(cx, id, why);
        self.set_alarm(id);
    }

    /// The RP-DATA that was under way came to nothing.
    pub(super) fn fail_mt(&mut self, cx: &mut Cx<'_>, id: Id<Ue>, why: Why) {
        let Some(ue) = self.ues.get_mut(id) else { return };
        if let Mt::None = std::mem::replace(&mut ue.mt, Mt::None) {
            return;
        }
        self.quiet.push(id);
        let imsi = ue.imsi;
        tell(cx, Level::Warn, format_args!("message not delivered to {imsi} through SGs: {why}"));
        self.events.push_back(Event::Unreachable { imsi, why });
    }

    /// Forgets a phone: SGs-NULL.
    pub(super) fn forget(&mut self, cx: &mut Cx<'_>, id: Id<Ue>, why: Why) {
        self.disconnect(cx, id, why);
        let Some(mut ue) = self.ues.remove(id) else { return };
        self.alarms.set(&mut ue.alarm, Key::Ue(id), None);
        if let Some(mme) = self.mmes.get_mut(ue.mme) {
            mme.ues -= 1;
        }
    }

    /// Sends a message about a phone that holds nothing but its IMSI.
    pub(super) fn send_plain(&mut self, cx: &mut Cx<'_>, mme: Id<Mme>, kind: Kind, imsi: &Imsi) {
        Writer::of(&mut self.octets, kind, imsi);
        self.transmit(cx, mme, Some(imsi));
    }

    /// Sends what has been written.
    pub(super) fn transmit(&self, cx: &mut Cx<'_>, mme: Id<Mme>, imsi: Option<&Imsi>) {
        if let Some(mme) = self.mmes.get(mme) {
            transmit(cx, mme, imsi, &self.octets);
        }
    }

    fn send_status(&mut self, cx: &mut Cx<'_>, mme: Id<Mme>, error: &SgsapError, octets: &[u8]) {
        let Some(SgsCause(cause)) = error.problem.cause() else { return };
        let mut writer = Writer::new(&mut self.octets, Kind::Status);
        if let Some(imsi) = &error.imsi {
            writer = writer.imsi(imsi);
        }
        writer.octet(Tag::SgsCause, cause).element(Tag::ErroneousMessage, octets);
        self.transmit(cx, mme, error.imsi.as_ref());
    }
}

/// Sends a message to an MME; nothing goes to one that is not connected.
pub(super) fn transmit(cx: &mut Cx<'_>, mme: &Mme, imsi: Option<&Imsi>, octets: &[u8]) {
    let Some(link) = mme.link else { return };
    if let Ok(message) = Message::parse(octets) {
        trace_octets(cx, Level::Info, Dir::To, mme.remote, format_args!("{message}"), octets);
    }
    let range = cx.out.append(octets);
    cx.out.push(Output::SendSgs { association: link.id, stream: link.stream_of(imsi), range });
}

/// Traces a line about an MME.
pub(super) fn trace(cx: &mut Cx<'_>, level: Level, remote: SocketAddr, text: fmt::Arguments<'_>) {
    cx.trace(Layer::Sgsap, level, Dir::None, Subject::Addr(remote), text);
}

/// Traces a message.
fn trace_octets(
    cx: &mut Cx<'_>,
    level: Level,
    dir: Dir,
    remote: SocketAddr,
    text: fmt::Arguments<'_>,
    octets: &[u8],
) {
    cx.trace_content(Layer::Sgsap, level, dir, Subject::Addr(remote), text, octets);
}

/// Traces a line for people about a phone.
pub(super) fn tell(cx: &mut Cx<'_>, level: Level, text: fmt::Arguments<'_>) {
    cx.ims(level, Subject::None, text);
}
