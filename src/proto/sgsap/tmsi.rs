//! Temporary identities: given with a location update, confirmed by TMSI-REALLOCATION-COMPLETE (TS 29.118 5.2.3).
//!
//! A phone that says that it has no valid one is given one. Until it has confirmed that, it is paged by its IMSI alone; when Ts6-2
//! expires nobody knows whether it has it, and it is not used. All others keep what they have: it is not asked for.

use super::limits::MAX_TMSI_DRAWS;
use super::mme::Mme;
use super::timers::Timer;
use super::ue::Ue;
use super::vlr::{Vlr, tell, trace};
use crate::base::arena::Id;
use crate::base::time::Instant;
use crate::base::trace::Level;
use crate::crypto::hash::Hash;
use crate::proto::cx::Cx;
use crate::wire::sgsap::{Lai, Message};
use std::collections::BTreeSet;

/// The temporary identity of a phone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tmsi {
    /// We have given it none, or none that counts.
    None,
    /// It was given and is to be confirmed.
    Offered {
        /// What was given.
        tmsi: u32,
        /// When Ts6-2 expires.
        until: Instant,
    },
    /// The phone has it.
    Valid(u32),
}

impl Tmsi {
    /// What no other phone may have.
    pub(super) fn number(self) -> Option<u32> {
        match self {
            Tmsi::None => None,
            Tmsi::Offered { tmsi, .. } | Tmsi::Valid(tmsi) => Some(tmsi),
        }
    }

    /// What the phone can be paged with.
    pub(super) fn valid(self) -> Option<u32> {
        match self {
            Tmsi::Valid(tmsi) => Some(tmsi),
            Tmsi::None | Tmsi::Offered { .. } => None,
        }
    }
}

/// A number that is free. The two top bits are not both set: with those an SGSN's begin, and the one that stands for none (TS 23.003
/// 2.4). None when all that were drawn are taken.
fn draw(taken: &BTreeSet<u32>, mut next: impl FnMut() -> u32) -> Option<u32> {
    let below_an_sgsns = |n: u32| (u64::from(n) * 3 / 4) as u32;
    (0..MAX_TMSI_DRAWS).map(|_| below_an_sgsns(next())).find(|tmsi| !taken.contains(tmsi))
}

impl Vlr {
    /// The phone says what location area it was in before, if it says so: another one than it was in here is another VLR's, and so is
    /// its TMSI.
    pub(super) fn compare_area(&mut self, id: Id<Ue>, old: Option<Lai>) {
        let Some(ue) = self.ues.get(id) else { return };
        if old.is_some_and(|old| old != ue.place.lai) {
            self.ues.set_tmsi(id, Tmsi::None);
        }
    }

    /// Gives a phone a TMSI that says that it has none; gives what it is to be told. What it had counts no more. One that was given and
    /// is not confirmed is given again: whichever of the answers gets there, it is the same.
    pub(super) fn renew_tmsi(&mut self, cx: &mut Cx<'_>, id: Id<Ue>, has_valid: Option<bool>) -> Option<u32> {
        if has_valid != Some(false) {
            return None;
        }
        let former = match self.ues.get(id)?.tmsi {
            Tmsi::Offered { tmsi, .. } => Some(tmsi),
            Tmsi::None | Tmsi::Valid(_) => None,
        };
        // nothing of the generator itself may leave
        let next = || {
            let hash = Hash::Sha256.of(&[&cx.rng.next_u64().to_le_bytes()]);
            u32::from_be_bytes(std::array::from_fn(|i| hash[i]))
        };
        let tmsi = former.or_else(|| draw(self.ues.tmsis(), next));
        let until = cx.now + Timer::Ts6_2.duration();
        self.ues.set_tmsi(id, tmsi.map_or(Tmsi::None, |tmsi| Tmsi::Offered { tmsi, until }));
        self.set_alarm(id);
        tmsi
    }

    /// TMSI-REALLOCATION-COMPLETE: the phone has it. One that comes unasked changes nothing.
    pub(super) fn on_tmsi_complete(&mut self, cx: &mut Cx<'_>, mme: Id<Mme>, message: &Message<'_>) {
        let id = self.ue_of(mme, message);
        let offered = id.and_then(|id| Some((id, self.ues.get(id)?.tmsi)));
        if let Some((id, Tmsi::Offered { tmsi, .. })) = offered {
            self.ues.set_tmsi(id, Tmsi::Valid(tmsi));
            return self.set_alarm(id);
        }
        let Some(remote) = self.mmes.get(mme).map(|m| m.remote) else { return };
        trace(cx, Level::Info, remote, format_args!("{message} for a TMSI that was not given, or long ago"));
    }

    /// Ts6-2: given up; the phone stays attached.
    pub(super) fn on_tmsi_timer(&mut self, cx: &mut Cx<'_>, id: Id<Ue>) {
        let Some(ue) = self.ues.get(id) else { return };
        let Tmsi::Offered { until, .. } = ue.tmsi else { return };
        if until > cx.now {
            return;
        }
        let text = format_args!("{} has not confirmed its TMSI: it is paged by its IMSI", ue.imsi);
        tell(cx, Level::Warn, text);
        self.ues.set_tmsi(id, Tmsi::None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_drawn_are_free_and_no_sgsns() {
        for (n, tmsi) in [(0, 0), (u32::MAX, 0xbfff_ffff), (0x8000_0000, 0x6000_0000), (7, 5)] {
            assert_eq!(draw(&BTreeSet::new(), || n), Some(tmsi), "{n:08x}");
        }
        let taken = BTreeSet::from([0, 3]);
        let mut numbers = [0, 4, 0, 8].into_iter();
        assert_eq!(draw(&taken, || numbers.next().unwrap()), Some(6));
        let mut count = 0;
        assert_eq!(
            draw(&taken, || {
                count += 1;
                4
            }),
            None
        );
        assert_eq!(count, MAX_TMSI_DRAWS);
    }
}
