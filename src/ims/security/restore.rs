//! Sets that an earlier run of the program has made, and that its state file remembers: they go on where the phones have them.
//!
//! Only what carried a registration is remembered; half-made sets and old ones are not. What is restored is asked of the kernel when all
//! records are read, as a binding tells how long its set lives.

use super::Security;
use super::attach::tell;
use super::limits::{KERNEL_MARGIN, MARGIN};
use super::set::{Set, SetId};
use super::view::Stage;
use crate::base::time::Instant;
use crate::base::timer::Alarm;
use crate::base::trace::{Dir, Layer, Level, Subject};
use crate::ims::auth::challenge::NonceText;
use crate::ims::core::Service;
use crate::ims::persist::association;
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::proto::flow::Ways;
use crate::proto::locals::Role;
use crate::proto::outbox::Output;
use crate::proto::sip::sec_agree::{Agreement, Keys, REQIDS, Restored, SaFailure, SetNumbers};
use smallvec::SmallVec;
use std::net::{IpAddr, SocketAddr};

/// A set as a record remembers it.
#[derive(Debug)]
pub struct Kept {
    /// Its number, as in the log.
    pub number: u32,
    /// Whose it is.
    pub user: UserId,
    /// What was agreed.
    pub agreement: Agreement,
    /// The keys.
    pub keys: Keys,
    /// Our address.
    pub own_ip: IpAddr,
    /// The UE's address.
    pub ue_ip: IpAddr,
    /// The number of its first pair of associations for the kernel.
    pub reqid: u32,
    /// Where its sequence numbers go on.
    pub numbers: SetNumbers,
}

impl Security {
    /// Takes a set that an earlier run has made. The error says why it cannot be used any more.
    pub(in crate::ims) fn restore(&mut self, kept: Kept) -> Result<(), String> {
        if let Some(lack) = self.lack() {
            return Err(format!("there is no IPsec now: {lack}"));
        }
        let suite = kept.agreement.choice().suite;
        if !self.ability.suites.contains(&suite) {
            return Err("the kernel has its algorithms no more".to_owned());
        }
        let ways = self.ways_of(&kept).ok_or("its protected ports are not ours any more")?;
        let (ue, own) = (kept.agreement.choice().ue, *kept.agreement.own());
        let is_taken = self.by_ends.contains_key(&(ways.server, ways.ue_client))
            || self.by_ends.contains_key(&(ways.client, ways.ue_server))
            || [own.spi_c, own.spi_s].iter().any(|spi| self.own_spis.contains(spi))
            || [ue.spi_c, ue.spi_s].iter().any(|spi| self.ue_spis.contains_key(&(kept.ue_ip, *spi)));
        if is_taken {
            return Err("another set has its ports or SPIs".to_owned());
        }
        let Kept { number, user, agreement, keys, own_ip, reqid, numbers, .. } = kept;
        if self.sets.is_full() {
            return Err("there are as many sets as may be".to_owned());
        }
        let set = Set {
            number,
            user,
            agreement,
            keys,
            own_ip,
            ways,
            stage: Stage::Active,
            nonce: NonceText::new(),
            predecessor: None,
            expires_at: Instant::ZERO,
            has_carried: true,
            numbers,
            reqid: self.take_reqid(reqid),
            is_stored: true,
            waiting: None,
            refused: SmallVec::new(),
            alarm: Alarm::default(),
        };
        let id = self.sets.insert(set).map_err(|_| "there are as many sets as may be")?;
        self.next_number = self.next_number.max(number.wrapping_add(1)).max(1);
        self.link(id);
        self.restored.insert(number, id);
        Ok(())
    }

    /// A set that was restored, by its number, as long as records are read.
    pub(in crate::ims) fn restored(&self, number: u32) -> Option<(SetId, &Set)> {
        let id = *self.restored.get(&number)?;
        Some((id, self.sets.get(id)?))
    }

    fn ways_of(&self, kept: &Kept) -> Option<Ways> {
        let own = kept.agreement.own();
        let ours = |port| SocketAddr::new(kept.own_ip, port);
        let mut servers = self.locals().iter().filter(|(_, local)| local.role == Role::Server);
        let (server, _) = servers.find(|(_, local)| local.own == ours(own.port_s))?;
        let is_client = |id| self.locals().get(id).is_some_and(|local| local.own == ours(own.port_c));
        let client = self.locals().clients_of(server).find(|id| is_client(*id))?;
        let ue = kept.agreement.choice().ue;
        let theirs = |port| SocketAddr::new(kept.ue_ip, port);
        Some(Ways { server, client, ue_client: theirs(ue.port_c), ue_server: theirs(ue.port_s) })
    }

    /// The number that the kernel's associations have from the run before, or another when it is taken.
    fn take_reqid(&mut self, wanted: u32) -> u32 {
        let is_of_pairs = REQIDS.contains(&wanted) && (wanted - REQIDS.start()).is_multiple_of(2);
        if is_of_pairs && self.reqids.insert(wanted) { wanted } else { self.draw_reqid() }
    }

    /// Asks the kernel for a set that was restored and carries a registration until then. The set, whose record is to be written before
    /// its numbers are used; none when it has not enough of them.
    fn ask_again(&mut self, cx: &mut Cx<'_>, id: SetId, until: Instant) -> Option<&Set> {
        self.live_until(id, until + MARGIN);
        let set = self.sets.get_mut(id)?;
        let numbers = set.take_numbers()?;
        let lifetime = until.since(cx.now) + MARGIN + KERNEL_MARGIN;
        cx.out.push(Output::RestoreSas { set: Box::new(set.for_kernel(id, lifetime)), numbers });
        Some(set)
    }
}

impl Service {
    /// All records are read: the kernel is asked for the sets that carry a registration, and the others are forgotten.
    pub(in crate::ims) fn on_restored(&mut self, cx: &mut Cx<'_>) {
        for (_, id) in std::mem::take(&mut self.security.restored) {
            let Some(user) = self.security.set(id).map(|set| set.user) else { continue };
            match self.carried_until(user, id) {
                Some(until) => match self.security.ask_again(cx, id, until) {
                    Some(set) => association::store(cx, &self.subscribers, set),
                    None => {
                        let words = "its sequence numbers may be used up".to_owned();
                        self.on_set_restored(cx, id, Err(SaFailure { is_taken: false, words }));
                    }
                },
                None => drop(self.security.forget(id)),
            }
        }
    }

    /// The kernel holds a set that an earlier run has made, or would not.
    pub(in crate::ims) fn on_set_restored(
        &mut self,
        cx: &mut Cx<'_>,
        id: SetId,
        outcome: Result<Restored, SaFailure>,
    ) {
        let Some(set) = self.security.set(id) else { return };
        let (user, number) = (set.user, set.number);
        match outcome {
            Ok(Restored::TakenOver) => tell(cx, &self.subscribers, id, set, "taken over"),
            Ok(Restored::Installed) => tell(cx, &self.subscribers, id, set, "restored"),
            Err(failure) => {
                let impi = &self.subscribers.user(user).impi;
                let text = format_args!(
                    "{impi}: its security associations of before the restart are lost: {}; the phone has to register again",
                    failure.words
                );
                cx.trace(Layer::Ipsec, Level::Warn, Dir::None, Subject::Id(number), text);
                self.security.forget(id);
                self.tidy_sets(cx, user);
            }
        }
    }
}
