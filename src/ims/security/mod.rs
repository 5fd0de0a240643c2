//! Security associations with UEs (RFC 3329, TS 33.203, TS 24.229 5.2): which sets there are, whose they are, and how long they live.
//!
//! A set is made for a challenge, is offered with it once the kernel holds it, carries the registration that comes through it,
//! and ends after that registration or after a newer set has taken its place. This file keeps the tables; `register` holds a
//! REGISTER against them, `attach` ties sets to bindings.

mod ability;
mod attach;
mod begin;
pub mod limits;
mod numbers;
pub(super) mod register;
mod restore;
mod set;
mod text;
mod view;

use crate::base::arena::Arena;
use crate::base::time::{Duration, Instant};
use crate::base::timer::AlarmQueue;
use crate::config::model::IpsecSettings;
use crate::ims::dispatch::Due;
use crate::ims::registrar::route::Came;
use crate::ims::subscriber::{Subscribers, UserId};
use crate::proto::cx::Cx;
use crate::proto::flow::{Arrival, Flow, LocalId};
use crate::proto::locals::Locals;
use crate::proto::outbox::Output;
use crate::proto::sip::sec_agree::{MAX_SETS, Preferences};
pub use ability::Ability;
pub use begin::{NoSet, Proposal};
use limits::{KERNEL_MARGIN, KERNEL_PATIENCE, LEAVING_LIFE, OLD_LIFE};
pub use restore::Kept;
pub use set::{Set, SetId};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
pub use text::SetText;
pub use view::{SetView, Stage};

/// All sets of security associations.
#[derive(Debug)]
pub struct Security {
    ability: Ability,
    preferences: Preferences,
    sets: Arena<Set>,
    by_user: BTreeMap<UserId, SmallVec<[SetId; 2]>>,
    /// By our end and the UE's: server port and client port, client port and server port.
    by_ends: BTreeMap<(LocalId, SocketAddr), SetId>,
    /// The SPIs that we drew.
    own_spis: BTreeSet<u32>,
    /// The SPIs that UEs drew, by their address.
    ue_spis: BTreeMap<(IpAddr, u32), SetId>,
    /// Those whose challenge waits for its answer, by their number: oldest first.
    unanswered: BTreeMap<u32, SetId>,
    alarms: AlarmQueue<SetId>,
    /// Challenges whose set ended before the kernel had taken it: their REGISTERs still want an answer.
    orphans: Vec<(UserId, Due)>,
    next_number: u32,
    /// The numbers for the kernel that are in use, the first of each pair, and the pair to be tried next.
    reqids: BTreeSet<u32>,
    next_pair: u32,
    /// Sets of an earlier run by their numbers, as long as the state file is read.
    restored: BTreeMap<u32, SetId>,
    /// The numbers of those that the state file has and that it need not have any more.
    unstored: Vec<u32>,
}

impl Security {
    /// None, on a machine that can do this.
    pub fn new(ability: Ability, settings: &IpsecSettings) -> Security {
        let has = |suite| ability.suites.contains(&suite);
        let preferences = Preferences::new(&settings.integrity, &settings.encryption, has);
        Security {
            ability,
            preferences,
            sets: Arena::with_cap(MAX_SETS),
            by_user: BTreeMap::new(),
            by_ends: BTreeMap::new(),
            own_spis: BTreeSet::new(),
            ue_spis: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            alarms: AlarmQueue::new(),
            orphans: Vec::new(),
            next_number: 1,
            reqids: BTreeSet::new(),
            next_pair: 0,
            restored: BTreeMap::new(),
            unstored: Vec::new(),
        }
    }

    /// All our ends of flows.
    pub fn locals(&self) -> &Locals {
        &self.ability.locals
    }

    /// Why there is no IPsec on this machine, in words; none when there is.
    pub fn lack(&self) -> Option<&str> {
        self.ability.lack.as_deref()
    }

    /// Whether phones that reach us at this end can be protected.
    pub fn is_possible(&self, local: LocalId) -> bool {
        let own = self.locals().get(local).map(|l| l.own.ip());
        !self.preferences.suites().is_empty()
            && own.is_some_and(|ip| self.locals().servers_of(ip).next().is_some())
    }

    /// The pairs of algorithms that are accepted, best first.
    pub fn preferences(&self) -> &Preferences {
        &self.preferences
    }

    /// A set, unless it has gone.
    pub fn set(&self, id: SetId) -> Option<&Set> {
        self.sets.get(id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// All sets.
    pub fn iter(&self) -> impl Iterator<Item = (SetId, &Set)> {
        self.sets.iter()
    }

    /// The user's sets that are in use, oldest first.
    pub fn of_user(&self, user: UserId) -> impl DoubleEndedIterator<Item = (SetId, &Set)> {
        let ids = self.by_user.get(&user).map_or(&[][..], |ids| &ids[..]);
        ids.iter().filter_map(|&id| Some((id, self.sets.get(id)?)))
    }

    /// The set that a message came through.
    pub fn at(&self, flow: Flow) -> Option<(SetId, &Set)> {
        if !self.locals().is_protected(flow.local) {
            return None;
        }
        let id = *self.by_ends.get(&(flow.local, flow.remote))?;
        Some((id, self.sets.get(id)?))
    }

    /// Whether somebody at this address has security associations that carry a registration.
    pub fn protects(&self, flow: Flow) -> bool {
        let ip = flow.remote.ip();
        let sets = self.ue_spis.range((ip, 0)..=(ip, u32::MAX)).filter_map(|(_, id)| self.sets.get(*id));
        !self.locals().is_protected(flow.local) && sets.into_iter().any(|set| set.stage == Stage::Active)
    }

    /// A flow with the ways of its set.
    pub fn arrival(&self, flow: Flow) -> Arrival {
        Arrival { flow, ways: self.at(flow).map(|(_, set)| set.ways) }
    }

    /// How a REGISTER or SUBSCRIBE came.
    pub fn came(&self, flow: Flow) -> Came {
        Came { arrival: self.arrival(flow), set: self.at(flow).map(|(id, _)| id) }
    }

    /// The flow of requests to whom a request came from: the same one in clear, and the other pair of ports through a set.
    pub fn back(&self, flow: Flow) -> Flow {
        self.at(flow).map_or(flow, |(_, set)| set.ways.to_ue(flow.transport))
    }

    /// The flow to where `flow` leads, through the set that the user's phone has there now: a set that was renewed ends, and what
    /// was founded through it goes on through the new one (TS 24.229 5.2.2).
    pub fn renewed(&self, user: UserId, flow: Flow) -> Flow {
        if !self.locals().is_protected(flow.local) {
            return flow;
        }
        let carries = |set: &&Set| set.is_open() && set.has_carried && set.stage != Stage::Old;
        let mut sets = self.of_user(user).map(|(_, set)| set).filter(carries);
        let there = sets.rfind(|set| set.ways.ue_server == flow.remote);
        there.filter(|set| set.ways.client != flow.local).map_or(flow, |set| set.ways.to_ue(flow.transport))
    }

    /// When [`Security::due`] has something.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.alarms.next_deadline()
    }

    /// A set whose time is over; the caller ends it.
    pub(super) fn due(&self, now: Instant) -> Option<SetId> {
        self.alarms.due(now)
    }

    /// Lets a set come to another stage.
    fn turn(&mut self, id: SetId, stage: Stage) {
        let Some(set) = self.sets.get_mut(id) else { return };
        set.stage = stage;
        if stage != Stage::Active && std::mem::take(&mut set.is_stored) {
            self.unstored.push(set.number);
        }
        match stage {
            Stage::Installing | Stage::Offered => self.unanswered.insert(set.number, id),
            Stage::Active | Stage::Old | Stage::Leaving | Stage::Removing => {
                self.unanswered.remove(&set.number)
            }
        };
    }

    /// Gives a set another time to live.
    fn live_until(&mut self, id: SetId, at: Instant) {
        if let Some(set) = self.sets.get_mut(id) {
            set.expires_at = at;
            self.alarms.set(&mut set.alarm, id, Some(at));
        }
    }

    /// The set carries a registration that lasts until then. The set, if its record is to be written.
    pub(super) fn carry(&mut self, cx: &mut Cx<'_>, id: SetId, until: Instant) -> Option<&Set> {
        let set = self.sets.get_mut(id)?;
        let predecessor = set.predecessor.take();
        let is_same = set.stage == Stage::Active && set.expires_at == until + limits::MARGIN;
        set.has_carried = true;
        self.turn(id, Stage::Active);
        if !is_same {
            self.live_until(id, until + limits::MARGIN);
            let lifetime = until.since(cx.now) + limits::MARGIN + KERNEL_MARGIN;
            cx.out.push(Output::ExtendSas { id: id.to_bits(), lifetime });
        }
        if let Some(old) = predecessor {
            self.end_older(cx, id, old);
            self.shorten(cx.now, old, Stage::Old, OLD_LIFE);
        }
        let set = self.sets.get_mut(id).filter(|_| !is_same)?;
        set.is_stored = true;
        Some(set)
    }

    /// The number of a set whose record is to go.
    pub(super) fn pop_unstored(&mut self) -> Option<u32> {
        self.unstored.pop()
    }

    /// Ends what is older still than the set that `id` has taken the place of: a phone has one old set at most (TS 33.203 7.4).
    fn end_older(&mut self, cx: &mut Cx<'_>, id: SetId, old: SetId) {
        let Some(ways) = self.sets.get(id).map(|set| (set.user, set.ways.ue_server)) else { return };
        let is_older = |(other, set): &(SetId, &Set)| {
            *other != old && set.stage == Stage::Old && (set.user, set.ways.ue_server) == ways
        };
        let older: SmallVec<[SetId; 2]> = self.of_user(ways.0).filter(is_older).map(|(id, _)| id).collect();
        older.into_iter().for_each(|id| self.end(cx, id));
    }

    /// Ends a set whose challenge was answered in clear: with an AUTS, or with nothing because the SIM found it wrong (TS 24.229
    /// 5.1.1.5.3). No other answer will come.
    pub(in crate::ims) fn end_unused(&mut self, cx: &mut Cx<'_>, user: UserId, nonce: &[u8]) {
        let is_of = |(_, set): &(SetId, &Set)| set.stage == Stage::Offered && set.nonce.as_bytes() == nonce;
        let unused = self.of_user(user).find(is_of).map(|(id, _)| id);
        if let Some(id) = unused {
            self.end(cx, id);
        }
    }

    /// The set's registration has ended, or it will not come to one.
    pub(super) fn leave(&mut self, now: Instant, id: SetId) {
        self.shorten(now, id, Stage::Leaving, LEAVING_LIFE);
    }

    fn shorten(&mut self, now: Instant, id: SetId, stage: Stage, life: Duration) {
        let Some(set) = self.sets.get(id).filter(|set| set.is_open()) else { return };
        let at = set.expires_at.min(now + life);
        self.turn(id, stage);
        self.live_until(id, at);
    }

    /// Has the kernel remove a set. It is no more found by user or ends, and goes when the kernel has answered.
    pub(super) fn end(&mut self, cx: &mut Cx<'_>, id: SetId) {
        self.unlink(id);
        let Some(set) = self.sets.get_mut(id).filter(|set| set.stage != Stage::Removing) else { return };
        self.orphans.extend(set.waiting.take().map(|waiting| (set.user, waiting)));
        self.turn(id, Stage::Removing);
        self.live_until(id, cx.now + KERNEL_PATIENCE);
        cx.out.push(Output::RemoveSas { id: id.to_bits() });
    }

    /// A REGISTER whose challenge will not come.
    pub(super) fn pop_orphan(&mut self) -> Option<(UserId, Due)> {
        self.orphans.pop()
    }

    /// Forgets a set that the kernel does not have any more.
    pub(super) fn forget(&mut self, id: SetId) -> Option<Set> {
        self.unlink(id);
        let mut set = self.sets.remove(id)?;
        self.alarms.set(&mut set.alarm, id, None);
        self.unanswered.remove(&set.number);
        self.reqids.remove(&set.reqid);
        if set.is_stored {
            self.unstored.push(set.number);
        }
        Some(set)
    }

    fn link(&mut self, id: SetId) {
        let Some(set) = self.sets.get(id) else { return };
        let (ways, ue, own) = (set.ways, set.agreement.choice().ue, *set.agreement.own());
        self.by_ends.insert((ways.server, ways.ue_client), id);
        self.by_ends.insert((ways.client, ways.ue_server), id);
        self.own_spis.extend([own.spi_c, own.spi_s]);
        for spi in [ue.spi_c, ue.spi_s] {
            self.ue_spis.insert((ways.ue_client.ip(), spi), id);
        }
        self.by_user.entry(set.user).or_default().push(id);
    }

    fn unlink(&mut self, id: SetId) {
        let Some(set) = self.sets.get(id) else { return };
        let (ways, ue, own) = (set.ways, set.agreement.choice().ue, *set.agreement.own());
        if self.by_ends.get(&(ways.server, ways.ue_client)) != Some(&id) {
            return;
        }
        self.by_ends.remove(&(ways.server, ways.ue_client));
        self.by_ends.remove(&(ways.client, ways.ue_server));
        for spi in [own.spi_c, own.spi_s] {
            self.own_spis.remove(&spi);
        }
        for spi in [ue.spi_c, ue.spi_s] {
            self.ue_spis.remove(&(ways.ue_client.ip(), spi));
        }
        if let Some(ids) = self.by_user.get_mut(&set.user) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_user.remove(&set.user);
            }
        }
    }

    /// What is shown of every set, oldest first. `bindings` gives the numbers of those that a set carries.
    pub fn views(
        &self,
        subscribers: &Subscribers,
        now: Instant,
        bindings: impl Fn(SetId, &Set) -> Vec<u32>,
    ) -> Vec<SetView> {
        let mut views: Vec<SetView> =
            self.sets.iter().map(|(id, set)| set.view(id, subscribers, now, &bindings)).collect();
        views.sort_by_key(|view| view.number);
        views
    }
}
