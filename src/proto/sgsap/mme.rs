//! MMEs: which are known, over which association each is reached, and by what name.
//!
//! An association says no name: only messages do. A new one from an address whose MME went is taken for that MME's, until a
//! name says otherwise.

use super::AssociationId;
use super::limits::{MAX_MMES, MAX_UES_PER_MME};
use crate::base::arena::{Arena, Id};
use crate::base::time::Instant;
use crate::base::timer::Alarm;
use crate::wire::identities::Imsi;
use crate::wire::sgsap::NodeName;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// An MME.
#[derive(Debug)]
pub(super) struct Mme {
    /// Its name, once a message has said it.
    pub(super) name: Option<NodeName>,
    /// Where it is, or was last.
    pub(super) remote: SocketAddr,
    /// How it is reached.
    pub(super) link: Option<Link>,
    /// Phones that are attached through it.
    pub(super) ues: usize,
    /// When the association came up, or went.
    pub(super) since: Instant,
    /// It has acknowledged a RESET-INDICATION: it takes no phone for attached that we do not know.
    pub(super) knows_us: bool,
    /// A RESET-INDICATION of ours that waits for its acknowledgement.
    pub(super) reset: Option<Pending>,
    pub(super) alarm: Alarm,
}

/// A message that is repeated until it is acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// How often it was repeated.
    pub(super) repeated: u8,
    /// When it is next repeated, or given up.
    pub(super) until: Instant,
}

/// An association that is up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) id: AssociationId,
    /// Streams from us to the MME, at least one.
    pub(super) streams: u16,
}

impl Link {
    /// The stream of a phone's messages, which must keep their order; the first is for those of none (TS 29.118 6.3).
    pub(super) fn stream_of(&self, imsi: Option<&Imsi>) -> u16 {
        let others = self.streams.saturating_sub(1);
        match imsi {
            Some(imsi) if others > 0 => {
                let sum = imsi
                    .as_str()
                    .bytes()
                    .fold(0u16, |sum, digit| sum.wrapping_mul(31).wrapping_add(u16::from(digit)));
                1 + sum % others
            }
            _ => 0,
        }
    }
}

impl Mme {
    fn new(remote: SocketAddr, now: Instant) -> Self {
        Mme {
            name: None,
            remote,
            link: None,
            ues: 0,
            since: now,
            knows_us: false,
            reset: None,
            alarm: Alarm::default(),
        }
    }

    /// Whether no more phones may attach through it.
    pub(super) fn is_full(&self) -> bool {
        self.ues >= MAX_UES_PER_MME
    }

    /// The name, or the address while it is not known.
    pub(super) fn label(&self) -> String {
        self.name.as_ref().map_or_else(|| self.remote.to_string(), NodeName::to_string)
    }
}

/// All MMEs.
#[derive(Debug)]
pub(super) struct Mmes {
    all: Arena<Mme>,
    by_association: BTreeMap<AssociationId, Id<Mme>>,
}

impl Default for Mmes {
    fn default() -> Self {
        Mmes { all: Arena::with_cap(MAX_MMES), by_association: BTreeMap::new() }
    }
}

impl Mmes {
    pub(super) fn get(&self, id: Id<Mme>) -> Option<&Mme> {
        self.all.get(id)
    }

    pub(super) fn get_mut(&mut self, id: Id<Mme>) -> Option<&mut Mme> {
        self.all.get_mut(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Id<Mme>, &Mme)> {
        self.all.iter()
    }

    /// Associations that are up.
    pub(super) fn connected(&self) -> usize {
        self.by_association.len()
    }

    /// The MME behind an association.
    pub(super) fn of(&self, association: AssociationId) -> Option<Id<Mme>> {
        self.by_association.get(&association).copied()
    }

    /// The MME that went from this host and has not come back: the one with this very port, else the only one there that has said its
    /// name, else one that has not. Of several that have, a new association may be any one's, which it has to say.
    pub(super) fn gone_from(&self, remote: SocketAddr) -> Option<Id<Mme>> {
        let there: SmallVec<[_; 2]> = self.all.iter().filter(|(_, m)| m.remote.ip() == remote.ip()).collect();
        let mut named = there.iter().filter(|(_, m)| m.name.is_some());
        let alone = named.next().filter(|_| named.next().is_none());
        let gone =
            |found: Option<&(Id<Mme>, &Mme)>| found.filter(|(_, m)| m.link.is_none()).map(|(id, _)| *id);
        gone(there.iter().find(|(_, m)| m.remote == remote))
            .or_else(|| gone(alone))
            .or_else(|| gone(there.iter().find(|(_, m)| m.name.is_none() && m.link.is_none())))
    }

    /// The MME with this name.
    pub(super) fn named(&self, name: &NodeName) -> Option<Id<Mme>> {
        self.all.iter().find(|(_, m)| m.name.as_ref() == Some(name)).map(|(id, _)| id)
    }

    /// The MME that went first, when there is no room for another one.
    pub(super) fn to_forget(&self) -> Option<Id<Mme>> {
        let gone = self.all.iter().filter(|(_, m)| m.link.is_none());
        gone.min_by_key(|(_, m)| m.since).map(|(id, _)| id).filter(|_| self.all.is_full())
    }

    /// A new MME. None when there is no room.
    pub(super) fn insert(&mut self, remote: SocketAddr, now: Instant) -> Option<Id<Mme>> {
        self.all.insert(Mme::new(remote, now)).ok()
    }

    /// Gives an association to an MME. Gives its former one, if it had one still: that belongs to nobody, and is to be closed.
    #[must_use]
    pub(super) fn connect(
        &mut self,
        id: Id<Mme>,
        link: Link,
        remote: SocketAddr,
        now: Instant,
    ) -> Option<AssociationId> {
        let mme = self.all.get_mut(id)?;
        (mme.remote, mme.since) = (remote, now);
        let former = mme.link.replace(link).map(|former| former.id);
        if let Some(former) = former {
            self.by_association.remove(&former);
        }
        self.by_association.insert(link.id, id);
        former
    }

    /// Takes an association from its MME.
    pub(super) fn disconnect(&mut self, association: AssociationId, now: Instant) -> Option<(Id<Mme>, Link)> {
        let id = self.by_association.remove(&association)?;
        let mme = self.all.get_mut(id)?;
        mme.since = now;
        Some((id, mme.link.take()?))
    }

    /// Forgets an MME.
    pub(super) fn remove(&mut self, id: Id<Mme>) -> Option<Mme> {
        let mme = self.all.remove(id)?;
        if let Some(link) = mme.link {
            self.by_association.remove(&link.id);
        }
        Some(mme)
    }
}
