//! A phone behind an MME (TS 29.118 4.2.2).

use super::cp::CpEntity;
use super::limits::MAX_UES;
use super::mme::{Mme, Pending};
use super::tmsi::Tmsi;
use crate::base::arena::{Arena, Id};
use crate::base::time::Instant;
use crate::base::timer::Alarm;
use crate::wire::identities::Imsi;
use crate::wire::sgsap::{Ecgi, Lai, Message, Tai};
use arrayvec::ArrayString;
use std::collections::{BTreeMap, BTreeSet};

/// The state of a phone's SGs association. A phone that is SGs-NULL for good is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// SGs-NULL after its MME restarted, not confirmed by radio contact since: it may be paged in all of the MME's area (5.7.2).
    Null,
    /// SGs-ASSOCIATED.
    Associated,
}

impl State {
    /// The name in the specification.
    pub const fn name(self) -> &'static str {
        match self {
            State::Null => "SGs-NULL",
            State::Associated => "SGs-ASSOCIATED",
        }
    }
}

/// Where a phone was last, and what it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) lai: Lai,
    pub(super) tai: Option<Tai>,
    pub(super) ecgi: Option<Ecgi>,
    pub(super) imeisv: Option<ArrayString<16>>,
}

impl Place {
    /// What is known now; where nothing is, what was known before. The location area is always known.
    pub(super) fn or(self, before: Place) -> Place {
        Place {
            lai: self.lai,
            tai: self.tai.or(before.tai),
            ecgi: self.ecgi.or(before.ecgi),
            imeisv: self.imeisv.or(before.imeisv),
        }
    }

    /// Takes what a message says of it.
    pub(super) fn update(&mut self, message: &Message<'_>) {
        self.tai = message.tai().or(self.tai);
        self.ecgi = message.ecgi().or(self.ecgi);
        self.imeisv = message.imeisv().or(self.imeisv);
    }
}

/// Whether the MME is to tell when a phone does something (5.3).
#[derive(Clone, Copy, Debug)]
pub(super) enum Alert {
    /// Nobody asked.
    None,
    /// It is asked.
    Asked(Pending),
    /// It will tell.
    Granted,
}

/// An RP-DATA for a phone.
#[derive(Debug)]
pub(super) enum Mt {
    /// None is under way.
    None,
    /// It waits for the phone to answer a page.
    Paging { rpdu: Box<[u8]>, page: Pending },
    /// It is in a transaction.
    Sent,
}

/// A phone.
#[derive(Debug)]
pub(super) struct Ue {
    pub(super) imsi: Imsi,
    pub(super) mme: Id<Mme>,
    pub(super) state: State,
    pub(super) place: Place,
    /// Changed by [`Ues::set_tmsi`] alone.
    pub(super) tmsi: Tmsi,
    pub(super) alert: Alert,
    /// Somebody wanted to reach it while its MME was gone.
    pub(super) is_wanted: bool,
    /// The MME holds a connection with it for us, until it is released.
    pub(super) is_connected: bool,
    pub(super) mt: Mt,
    pub(super) cp: CpEntity,
    pub(super) alarm: Alarm,
}

impl Ue {
    pub(super) fn new(imsi: Imsi, mme: Id<Mme>, place: Place) -> Self {
        Ue {
            imsi,
            mme,
            state: State::Associated,
            place,
            tmsi: Tmsi::None,
            alert: Alert::None,
            is_wanted: false,
            is_connected: false,
            mt: Mt::None,
            cp: CpEntity::default(),
            alarm: Alarm::default(),
        }
    }

    /// When the earliest of its timers expires.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let page = match &self.mt {
            Mt::Paging { page, .. } => Some(page.until),
            Mt::None | Mt::Sent => None,
        };
        let alert = match self.alert {
            Alert::Asked(pending) => Some(pending.until),
            Alert::None | Alert::Granted => None,
        };
        let tmsi = match self.tmsi {
            Tmsi::Offered { until, .. } => Some(until),
            Tmsi::None | Tmsi::Valid(_) => None,
        };
        [page, alert, tmsi, self.cp.deadline()].into_iter().flatten().min()
    }

    /// Whether nothing is under way.
    pub(super) fn is_quiet(&self) -> bool {
        matches!(self.mt, Mt::None) && self.cp.is_idle()
    }
}

/// All phones.
#[derive(Debug)]
pub(super) struct Ues {
    all: Arena<Ue>,
    by_imsi: BTreeMap<Imsi, Id<Ue>>,
    /// Those of all phones, confirmed or not.
    tmsis: BTreeSet<u32>,
}

impl Default for Ues {
    fn default() -> Self {
        Ues { all: Arena::with_cap(MAX_UES), by_imsi: BTreeMap::new(), tmsis: BTreeSet::new() }
    }
}

impl Ues {
    pub(super) fn find(&self, imsi: &Imsi) -> Option<Id<Ue>> {
        self.by_imsi.get(imsi).copied()
    }

    pub(super) fn get(&self, id: Id<Ue>) -> Option<&Ue> {
        self.all.get(id)
    }

    pub(super) fn get_mut(&mut self, id: Id<Ue>) -> Option<&mut Ue> {
        self.all.get_mut(id)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.all.is_full()
    }

    /// In the order of their IMSIs.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Ue> {
        self.by_imsi.values().filter_map(|id| self.all.get(*id))
    }

    /// Those behind an MME, in the order of their IMSIs.
    pub(super) fn behind(&self, mme: Id<Mme>) -> Vec<Id<Ue>> {
        let is_behind = |id: &Id<Ue>| self.all.get(*id).is_some_and(|ue| ue.mme == mme);
        self.by_imsi.values().copied().filter(is_behind).collect()
    }

    /// A new phone. None when there is no room.
    pub(super) fn insert(&mut self, ue: Ue) -> Option<Id<Ue>> {
        let imsi = ue.imsi;
        let id = self.all.insert(ue).ok()?;
        self.by_imsi.insert(imsi, id);
        Some(id)
    }

    /// The temporary identities that are taken.
    pub(super) fn tmsis(&self) -> &BTreeSet<u32> {
        &self.tmsis
    }

    /// Changes a phone's temporary identity. The number that it had is free for others, unless it keeps it.
    pub(super) fn set_tmsi(&mut self, id: Id<Ue>, tmsi: Tmsi) {
        let Some(ue) = self.all.get_mut(id) else { return };
        let former = std::mem::replace(&mut ue.tmsi, tmsi);
        former.number().into_iter().for_each(|number| _ = self.tmsis.remove(&number));
        self.tmsis.extend(tmsi.number());
    }

    pub(super) fn remove(&mut self, id: Id<Ue>) -> Option<Ue> {
        self.set_tmsi(id, Tmsi::None);
        let ue = self.all.remove(id)?;
        self.by_imsi.remove(&ue.imsi);
        Some(ue)
    }
}
