//! The registrar: which contacts each user has, and how they are reached (RFC 3261 10, TS 24.229 5.4.1).
//!
//! Bindings live in a capped arena with indexes by user, by address and by connection, and one alarm each. This file keeps
//! them consistent; `register` decides what a REGISTER does to them, `response` writes the answer.

pub mod binding;
pub mod expires;
pub mod register;
pub mod response;
pub mod route;

#[cfg(test)]
mod tests;

use crate::base::arena::{Arena, Id};
use crate::base::time::{Duration, Instant, UnixTime};
use crate::base::timer::{Alarm, AlarmQueue};
use crate::ims::limits::{MAX_BINDINGS, MAX_BINDINGS_PER_USER};
use crate::ims::security::SetId;
use crate::ims::subscriber::{Subscribers, UserId};
use crate::proto::flow::{ConnId, Flow, Transport};
use crate::wire::identities::same_imei;
use crate::wire::sip::text::lossy;
use crate::wire::sip::{HeaderId, Message, NameAddr};
pub use binding::Binding;
use binding::{Contact, Origin};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// Why a binding has gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gone {
    /// The user took it away.
    Unregistered,
    /// It was not refreshed in time.
    Expired,
    /// The network took it away; the phone is to register again at once.
    Deactivated,
    /// The network took it away; the phone is to register again later.
    Probation,
    /// The network took it away; the phone need not try again.
    Rejected,
}

impl Gone {
    /// All reasons.
    pub const ALL: [Gone; 5] =
        [Gone::Deactivated, Gone::Rejected, Gone::Probation, Gone::Unregistered, Gone::Expired];

    /// The event of the contact's state machine that it is (RFC 3680 4.7.1).
    pub const fn name(self) -> &'static str {
        match self {
            Gone::Unregistered => "unregistered",
            Gone::Expired => "expired",
            Gone::Deactivated => "deactivated",
            Gone::Probation => "probation",
            Gone::Rejected => "rejected",
        }
    }
}

/// Something that happened to a binding, for the rest of the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Removed {
    /// The binding; its id finds nothing any more.
    pub id: Id<Binding>,
    /// Its number.
    pub number: u32,
    /// Whose it was.
    pub user: UserId,
    /// Why it went.
    pub why: Gone,
    /// Where requests for it went.
    pub route: route::Route,
}

/// A binding to be made or refreshed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The contact.
    pub contact: Contact,
    /// The way to it.
    pub route: route::Route,
    /// Until when.
    pub expires_at: Instant,
    /// The REGISTER behind it.
    pub origin: Origin,
}

/// There is no room for another binding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRoom;

/// All bindings.
#[derive(Debug)]
pub struct Registrar {
    bindings: Arena<Binding>,
    by_user: BTreeMap<UserId, SmallVec<[Id<Binding>; 2]>>,
    /// By the address that a REGISTER came from, and the one that requests go to.
    by_address: BTreeSet<(SocketAddr, Id<Binding>)>,
    by_ip: BTreeSet<(IpAddr, UserId, Id<Binding>)>,
    by_conn: BTreeSet<(ConnId, Id<Binding>)>,
    alarms: AlarmQueue<Id<Binding>>,
    removed: VecDeque<Removed>,
    changed: VecDeque<UserId>,
    next_number: u32,
    cap: usize,
}

impl Default for Registrar {
    fn default() -> Self {
        Self::new(MAX_BINDINGS)
    }
}

impl Registrar {
    /// A registrar without bindings, which takes `cap` of them.
    pub fn new(cap: usize) -> Self {
        Registrar {
            bindings: Arena::with_cap(cap),
            by_user: BTreeMap::new(),
            by_address: BTreeSet::new(),
            by_ip: BTreeSet::new(),
            by_conn: BTreeSet::new(),
            alarms: AlarmQueue::new(),
            removed: VecDeque::new(),
            changed: VecDeque::new(),
            next_number: 1,
            cap,
        }
    }

    /// The binding, unless it has gone.
    pub fn binding(&self, id: Id<Binding>) -> Option<&Binding> {
        self.bindings.get(id)
    }

    /// How many bindings there are.
    pub fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Whether nobody is registered.
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    /// All bindings.
    pub fn iter(&self) -> impl Iterator<Item = (Id<Binding>, &Binding)> {
        self.bindings.iter()
    }

    /// The user's bindings, in the order in which they were made.
    pub fn of_user(&self, user: UserId) -> impl Iterator<Item = (Id<Binding>, &Binding)> {
        let ids = self.by_user.get(&user).map_or(&[][..], |ids| &ids[..]);
        ids.iter().map(|&id| (id, self.bindings.get(id).expect("the index names living bindings")))
    }

    /// The contacts to try for the user, highest q first; emergency registrations take no ordinary requests. Which of them
    /// an identity that is tied to an IMEI reaches, [`Binding::has_imei`] tells.
    pub fn targets(&self, user: UserId, now: Instant) -> SmallVec<[Id<Binding>; 4]> {
        let mut found: SmallVec<[(u16, Id<Binding>); 4]> = self
            .of_user(user)
            .filter(|(_, b)| b.is_target(now) && !b.contact.sos)
            .map(|(id, b)| (b.contact.q, id))
            .collect();
        found.sort_by_key(|(q, _)| std::cmp::Reverse(*q));
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// The contacts to try for a callback to the user after an emergency call: its emergency registrations, newest first.
    pub fn emergency_targets(&self, user: UserId, now: Instant) -> SmallVec<[Id<Binding>; 4]> {
        let own = self.of_user(user).filter(|(_, b)| b.is_target(now) && b.contact.sos);
        let mut found: SmallVec<[_; 4]> = own.map(|(id, b)| (b.origin.at, id)).collect();
        found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// The emergency registration that a phone has beside this one, reached the same way: a request that comes from there may be
    /// of either.
    pub fn emergency_of(&self, id: Id<Binding>) -> Option<Id<Binding>> {
        let binding = self.bindings.get(id)?;
        let is_beside = |b: &Binding| {
            let same_way = b.flow.remote == binding.flow.remote || b.origin.source == binding.origin.source;
            b.contact.sos && b.set == binding.set && same_way
        };
        self.of_user(binding.user).find(|(_, b)| is_beside(b)).map(|(id, _)| id)
    }

    /// Whether a flow is from an address, or through the security associations, of the phone behind this binding, and not merely from
    /// its host.
    pub fn is_at(&self, id: Id<Binding>, flow: Flow) -> bool {
        let Some(binding) = self.bindings.get(id) else { return false };
        binding.set.is_some() || [binding.origin.source, binding.flow.remote].contains(&flow.remote)
    }

    /// Who sent this request in clear: the user whose registration it comes from, unless that is protected by IPsec.
    ///
    /// The address tells; where several users share it, the identity in P-Preferred-Identity or From tells them apart.
    /// A phone also sends from other ports of its address than the registered one (TS 33.203 7.1, TCP), so the address
    /// without port is tried with that identity, and without it when one user only is registered from there.
    pub fn caller(
        &self,
        subscribers: &Subscribers,
        flow: Flow,
        message: &Message<'_>,
    ) -> Option<(UserId, Id<Binding>)> {
        let claimed = claimed_user(subscribers, message);
        let exact = || {
            let range = (flow.remote, Id::from_bits(0))..=(flow.remote, Id::from_bits(u64::MAX));
            let bindings =
                self.by_address.range(range).filter_map(|&(_, id)| Some((id, self.bindings.get(id)?)));
            bindings.filter(|(_, b)| b.set.is_none()).map(|(id, b)| (b.user, id))
        };
        if let Some(found) = exact().find(|(user, _)| Some(*user) == claimed) {
            return Some(found);
        }
        if let Some(found) = only_user(exact()) {
            return Some(found);
        }
        let ip = flow.remote.ip();
        let of_ip = |first: UserId, last: UserId| {
            let range = (ip, first, Id::from_bits(0))..=(ip, last, Id::from_bits(u64::MAX));
            let is_clear = |id| self.bindings.get(id).is_some_and(|b| b.set.is_none());
            self.by_ip.range(range).map(|&(_, user, id)| (user, id)).filter(move |(_, id)| is_clear(*id))
        };
        if exact().next().is_some() {
            return None;
        }
        claimed
            .and_then(|user| of_ip(user, user).next())
            .or_else(|| only_user(of_ip(UserId(0), UserId(u32::MAX))))
    }

    /// Whether contacts are registered from this host, in clear or not.
    pub fn is_host(&self, ip: IpAddr) -> bool {
        let range = (ip, UserId(0), Id::from_bits(0))..=(ip, UserId(u32::MAX), Id::from_bits(u64::MAX));
        self.by_ip.range(range).next().is_some()
    }

    /// The user's binding behind these security associations, or behind newer ones of the same phone: what is under way when a
    /// set is renewed still comes through the old one. An emergency registration has its own.
    pub fn behind(&self, user: UserId, set: SetId, ue: IpAddr) -> Option<Id<Binding>> {
        let protected = || self.of_user(user).filter(|(_, b)| b.set.is_some());
        let exact = protected().find(|(_, b)| b.set == Some(set));
        let there =
            || protected().filter(|(_, b)| b.flow.remote.ip() == ue).min_by_key(|(_, b)| b.contact.sos);
        exact.or_else(there).map(|(id, _)| id)
    }

    /// The user's binding that `contact` replaces or refreshes.
    pub fn same_contact(&self, user: UserId, contact: &Contact) -> Option<Id<Binding>> {
        self.of_user(user).find(|(_, b)| b.contact.is_replaced_by(contact)).map(|(id, _)| id)
    }

    /// The user's bindings that its phone has left behind when it registers `contact` through new security associations: a SIM is in
    /// one phone, which draws new ports when it begins anew (TS 33.203 7.4), so that it listens no more where it was bound at the
    /// same address before. What is bound through the same associations is not; nor other flows of the phone (RFC 5626), nor what
    /// another client has registered with a password.
    pub fn left_behind<'a>(
        &'a self,
        user: UserId,
        contact: &'a Contact,
        came: route::Came,
    ) -> impl Iterator<Item = Id<Binding>> + 'a {
        let ip = came.arrival.flow.remote.ip();
        let is_of_sim = |b: &Binding| b.set.is_some() || b.origin.auth.starts_with("AKA");
        let here = self.of_user(user).filter(move |(_, b)| b.flow.remote.ip() == ip && b.set != came.set);
        let left = here.filter(move |(_, b)| is_of_sim(b) && b.contact.is_left_for(contact));
        left.map(|(id, _)| id)
    }

    /// Whether `more` new bindings of the user, registered from `host`, have room, or get it from [`Registrar::make_room`].
    pub fn has_room(&self, user: UserId, host: IpAddr, more: usize) -> bool {
        let fixed = self.of_user(user).filter(|(_, b)| b.origin.source.ip() != host).count();
        fixed + more <= MAX_BINDINGS_PER_USER && self.bindings.len() + more <= self.cap
    }

    /// Takes away the user's oldest binding of `host` when the user has as many as a user may have: a client that is started
    /// again and again on new ports leaves contacts behind that nobody listens on.
    pub fn make_room(&mut self, user: UserId, host: IpAddr) -> Option<Binding> {
        if self.of_user(user).count() < MAX_BINDINGS_PER_USER {
            return None;
        }
        let of_host = self.of_user(user).filter(|(_, b)| b.origin.source.ip() == host);
        let (oldest, _) = of_host.min_by_key(|(_, b)| b.origin.at)?;
        self.remove(oldest, Gone::Expired)
    }

    /// Makes a binding, which is no target before [`Registrar::acknowledge`].
    pub fn add(&mut self, user: UserId, draft: Draft) -> Result<Id<Binding>, NoRoom> {
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1).max(1);
        self.insert(user, number, draft)
    }

    /// Makes a binding that had its number before a restart, and whose phone knows of it.
    pub fn add_numbered(&mut self, user: UserId, number: u32, draft: Draft) -> Result<Id<Binding>, NoRoom> {
        let id = self.insert(user, number, draft)?;
        if let Some(binding) = self.bindings.get_mut(id) {
            binding.is_acknowledged = true;
        }
        Ok(id)
    }

    fn insert(&mut self, user: UserId, number: u32, draft: Draft) -> Result<Id<Binding>, NoRoom> {
        let Draft { contact, route, expires_at, origin } = draft;
        let binding = Binding {
            number,
            user,
            contact,
            flow: route.flow,
            tcp_allowed: route.tcp_allowed,
            set: route.set,
            expires_at,
            is_shortened: false,
            is_acknowledged: false,
            origin,
            alarm: Alarm::default(),
        };
        let id = self.bindings.insert(binding).map_err(|_| NoRoom)?;
        self.next_number = self.next_number.max(number.wrapping_add(1));
        self.by_user.entry(user).or_default().push(id);
        self.link(id);
        Ok(id)
    }

    /// Refreshes a binding with what its new REGISTER says. It stays a target, or none, until that is acknowledged.
    pub fn refresh(&mut self, id: Id<Binding>, draft: Draft) {
        self.unlink(id);
        if let Some(binding) = self.bindings.get_mut(id) {
            // what failed once for this way stays known for as long as the way is the same
            let tcp_failed = !binding.tcp_allowed && binding.flow == draft.route.flow;
            binding.contact = draft.contact;
            binding.flow = draft.route.flow;
            binding.tcp_allowed = draft.route.tcp_allowed && !tcp_failed;
            binding.set = draft.route.set;
            binding.expires_at = draft.expires_at;
            binding.is_shortened = false;
            binding.origin = draft.origin;
        }
        self.link(id);
    }

    /// The phone is told that this binding was made or refreshed: whoever waits for it may send to it now.
    pub fn acknowledge(&mut self, id: Id<Binding>) {
        let Some(binding) = self.bindings.get_mut(id) else { return };
        binding.is_acknowledged = true;
        self.changed.push_back(binding.user);
    }

    /// The bindings that an operator means: the one whose contact is `uri`, or all of the user whose identity it is but for those for
    /// emergency calls, which the network does not end with the others (TS 24.229 5.4.8.4). The error says in words that there are none.
    pub fn named(&self, subscribers: &Subscribers, uri: &str) -> Result<Vec<Id<Binding>>, String> {
        let has_uri = self.iter().filter(|(_, b)| b.contact.has_uri(uri.as_bytes()));
        let ids: Vec<Id<Binding>> = has_uri.map(|(id, _)| id).collect();
        if !ids.is_empty() {
            return Ok(ids);
        }
        let user = subscribers.by_name(uri).ok_or_else(|| format!("no contact and no user is {uri}"))?;
        let normal = self.of_user(user).filter(|(_, b)| !b.contact.sos);
        let ids: Vec<Id<Binding>> = normal.map(|(id, _)| id).collect();
        match self.of_user(user).next() {
            _ if !ids.is_empty() => Ok(ids),
            None => Err(format!("{} is not registered", subscribers.user(user).impi)),
            Some((_, binding)) => Err(format!(
                "{} is registered for emergency calls only; name the contact to end that: {}",
                subscribers.user(user).impi,
                lossy(&binding.contact.uri)
            )),
        }
    }

    /// Lets a binding end at `at`, so that its phone registers again before; false when it ends sooner anyway.
    pub fn shorten(&mut self, id: Id<Binding>, at: Instant) -> bool {
        let Some(binding) = self.bindings.get_mut(id).filter(|binding| binding.expires_at > at) else {
            return false;
        };
        binding.expires_at = at;
        binding.is_shortened = true;
        self.alarms.set(&mut binding.alarm, id, Some(at));
        self.changed.push_back(binding.user);
        true
    }

    /// Whether the network waits for the user to authenticate again, so that no REGISTER is taken without a fresh challenge.
    pub fn awaits_proof(&self, user: UserId) -> bool {
        self.of_user(user).any(|(_, binding)| binding.is_shortened)
    }

    /// Takes a binding away; the news of it waits in [`Registrar::pop_removed`].
    pub fn remove(&mut self, id: Id<Binding>, why: Gone) -> Option<Binding> {
        self.unlink(id);
        let mut binding = self.bindings.remove(id)?;
        self.alarms.set(&mut binding.alarm, id, None);
        if let Some(ids) = self.by_user.get_mut(&binding.user) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_user.remove(&binding.user);
            }
        }
        let route = binding.route();
        self.removed.push_back(Removed { id, number: binding.number, user: binding.user, why, route });
        Some(binding)
    }

    /// The next binding whose time is over.
    pub fn due(&self, now: Instant) -> Option<Id<Binding>> {
        self.alarms.due(now)
    }

    /// When the next binding ends.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.alarms.next_deadline()
    }

    /// News of a binding that has gone.
    pub fn pop_removed(&mut self) -> Option<Removed> {
        self.removed.pop_front()
    }

    /// A user whose phone knows that a binding was made or refreshed.
    pub fn pop_changed(&mut self) -> Option<UserId> {
        self.changed.pop_front()
    }

    /// A connection has gone: its bindings stay (a phone that goes idle closes it), reached by a new one.
    pub fn on_stream_closed(&mut self, conn: ConnId) {
        while let Some(&(_, id)) =
            self.by_conn.range((conn, Id::from_bits(0))..=(conn, Id::from_bits(u64::MAX))).next()
        {
            self.unlink(id);
            if let Some(binding) = self.bindings.get_mut(id) {
                binding.flow.conn = None;
            }
            self.link(id);
        }
    }

    /// Something could not be sent on a TCP flow: bindings that this way leads to are no longer tried by TCP, where UDP
    /// is left (RFC 3261 18.1.1).
    pub fn on_send_failed(&mut self, flow: Flow) {
        if flow.transport != Transport::Tcp {
            return;
        }
        let range = (flow.remote, Id::from_bits(0))..=(flow.remote, Id::from_bits(u64::MAX));
        let ids: SmallVec<[Id<Binding>; 4]> = self.by_address.range(range).map(|&(_, id)| id).collect();
        for id in ids {
            self.unlink(id);
            if let Some(binding) = self.bindings.get_mut(id).filter(|b| b.flow.remote == flow.remote) {
                binding.lose_tcp();
            }
            self.link(id);
        }
    }

    fn link(&mut self, id: Id<Binding>) {
        let Some(binding) = self.bindings.get_mut(id) else { return };
        self.alarms.set(&mut binding.alarm, id, Some(binding.expires_at));
        for address in [binding.origin.source, binding.flow.remote] {
            self.by_address.insert((address, id));
            self.by_ip.insert((address.ip(), binding.user, id));
        }
        if let Some(conn) = binding.flow.conn {
            self.by_conn.insert((conn, id));
        }
    }

    fn unlink(&mut self, id: Id<Binding>) {
        let Some(binding) = self.bindings.get(id) else { return };
        for address in [binding.origin.source, binding.flow.remote] {
            self.by_address.remove(&(address, id));
            self.by_ip.remove(&(address.ip(), binding.user, id));
        }
        if let Some(conn) = binding.flow.conn {
            self.by_conn.remove(&(conn, id));
        }
    }
}

impl Binding {
    fn is_target(&self, now: Instant) -> bool {
        self.is_acknowledged && self.expires_at > now
    }

    /// Seconds until it ends, rounded up.
    pub fn remaining_secs(&self, now: Instant) -> u64 {
        let left = self.expires_at.since(now);
        left.as_secs() + u64::from(left.subsec_nanos() > 0)
    }

    /// The way to it.
    pub fn route(&self) -> route::Route {
        route::Route { flow: self.flow, tcp_allowed: self.tcp_allowed, set: self.set }
    }

    /// Whether the phone behind it has this IMEI.
    pub fn has_imei(&self, imei: &str) -> bool {
        self.contact.imei.is_some_and(|own| same_imei(&own, imei))
    }

    /// When it ends by the wall clock.
    pub fn expires_wall(&self, now: Instant, wall: UnixTime) -> UnixTime {
        wall + Duration::from_secs(self.remaining_secs(now))
    }

    fn lose_tcp(&mut self) {
        self.tcp_allowed = false;
        let udp = self.contact.uri().and_then(|uri| route::without_tcp(self.flow, &uri));
        match udp {
            Some(udp) if self.flow.conn.is_none() => self.flow = udp,
            _ => self.flow.conn = None,
        }
    }
}

/// The user whom the sender says to be.
pub fn claimed_user(subscribers: &Subscribers, message: &Message<'_>) -> Option<UserId> {
    let preferred = message.values(HeaderId::PPreferredIdentity).filter_map(NameAddr::parse);
    let addresses = preferred.chain(message.from());
    addresses.filter_map(|a| a.uri).find_map(|uri| subscribers.lookup_user(&uri)).map(|(user, _)| user)
}

/// The first of the bindings, when all are one user's.
fn only_user(mut bindings: impl Iterator<Item = (UserId, Id<Binding>)>) -> Option<(UserId, Id<Binding>)> {
    let first = bindings.next()?;
    bindings.all(|(user, _)| user == first.0).then_some(first)
}
