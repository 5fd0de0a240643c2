//! Sets and bindings: a set lives as long as the registrations that came through it, and a little longer.

use super::begin::Installed;
use super::set::{Set, SetId};
use super::text::SetText;
use super::view::{SetView, Stage};
use crate::base::time::Instant;
use crate::base::trace::{Dir, Layer, Level, Subject};
use crate::ims::attempt::Step;
use crate::ims::core::Service;
use crate::ims::dispatch::{Due, Refusal, challenge, refuse};
use crate::ims::persist::association;
use crate::ims::registrar::Gone;
use crate::ims::subscriber::{Subscribers, UserId};
use crate::proto::cx::Cx;
use crate::proto::sip::sec_agree::{SaFailure, SetCounters};
use smallvec::SmallVec;

impl Service {
    /// Brings the user's sets in line with its bindings: a set that carries one lives for it, another ends. `through` is the
    /// set that the change came through.
    pub(in crate::ims) fn settle_sets(&mut self, cx: &mut Cx<'_>, user: UserId, through: Option<SetId>) {
        let ids: SmallVec<[SetId; 4]> = self.security.of_user(user).map(|(id, _)| id).collect();
        // those that carry first: they tell their predecessors that these are old, not left
        let (carriers, others): (SmallVec<[_; 4]>, SmallVec<[_; 4]>) = ids
            .into_iter()
            .map(|id| (id, self.carried_until(user, id).filter(|_| !self.is_passed(id, through))))
            .partition(|(_, until)| until.is_some());
        for (id, until) in carriers {
            let news = until.and_then(|until| self.security.carry(cx, id, until));
            if let Some(set) = news {
                association::store(cx, &self.subscribers, set);
            }
        }
        for (id, _) in others {
            let Some(set) = self.security.set(id) else { continue };
            let is_outlived = || self.registrar.behind(user, id, set.ue_ip()).is_none();
            let ends = match set.stage {
                Stage::Active => true,
                Stage::Old => is_outlived(),
                _ => Some(id) == through,
            };
            if ends {
                self.security.leave(cx.now, id);
            }
        }
    }

    /// After sets of the user may have ended: a REGISTER whose challenge went with its set is refused, and bindings that no set
    /// carries any more end, as they cannot be reached.
    pub(in crate::ims) fn tidy_sets(&mut self, cx: &mut Cx<'_>, user: UserId) {
        while let Some((user, waiting)) = self.security.pop_orphan() {
            let words = "a later REGISTER took its place";
            self.refuse_waiting(cx, user, &waiting, 500, words);
        }
        let is_open = |id| self.security.set(id).is_some_and(Set::is_open);
        let stranded: SmallVec<[_; 2]> = self
            .registrar
            .of_user(user)
            .filter(|(_, b)| b.set.is_some_and(|id| !is_open(id)))
            .map(|(id, _)| id)
            .collect();
        for binding in stranded {
            self.registrar.remove(binding, Gone::Expired);
        }
    }

    fn refuse_waiting(&mut self, cx: &mut Cx<'_>, user: UserId, waiting: &Due, status: u16, words: &str) {
        let impi = &self.subscribers.user(user).impi;
        self.troubles.tell(cx, Some(user), || format!("Register {impi}: refused with {status}: {words}"));
        let refusal = Refusal::new(status, "the security associations cannot be set up");
        refuse(self, cx, waiting.tx, &refusal);
    }

    /// Whether a newer set has taken the place of this one, and nothing has come through it since: what is bound there ends with it.
    fn is_passed(&self, id: SetId, through: Option<SetId>) -> bool {
        Some(id) != through && self.security.set(id).is_some_and(|set| set.stage == Stage::Old)
    }

    /// Until when the last binding lives that the set carries.
    pub(super) fn carried_until(&self, user: UserId, id: SetId) -> Option<Instant> {
        self.registrar.of_user(user).filter(|(_, b)| b.set == Some(id)).map(|(_, b)| b.expires_at).max()
    }

    /// The kernel has answered: the challenge leaves, or the REGISTER is refused.
    pub(in crate::ims) fn on_set_installed(
        &mut self,
        cx: &mut Cx<'_>,
        id: SetId,
        outcome: Result<(), SaFailure>,
    ) {
        let installed = self.security.on_installed(cx, id, outcome);
        self.answer_installed(cx, installed);
    }

    fn answer_installed(&mut self, cx: &mut Cx<'_>, installed: Installed) {
        match installed {
            Installed::Ready(id, waiting) => {
                let Some(set) = self.security.set(id) else { return };
                tell(cx, &self.subscribers, id, set, "offered");
                let security_server = Some(set.agreement.server().to_owned());
                self.note_installed(cx, id);
                challenge(self, cx, Due { security_server, ..waiting });
            }
            Installed::Failed(user, waiting, words) => {
                self.attempts.failed(user, cx.wall, Step::Associations, &words);
                let words = format!("the kernel does not take its security associations: {words}");
                self.refuse_waiting(cx, user, &waiting, 500, &words);
            }
            Installed::Nothing => {}
        }
    }

    /// The kernel has removed a set. What it has counted tells why a challenge was not answered.
    pub(in crate::ims) fn on_set_removed(
        &mut self,
        cx: &mut Cx<'_>,
        id: SetId,
        counted: Option<SetCounters>,
    ) {
        let Some(set) = self.security.forget(id) else { return };
        let impi = &self.subscribers.user(set.user).impi;
        tell(cx, &self.subscribers, id, &set, "removed");
        self.attempts.ended(set.user, id.to_bits(), &counted.unwrap_or_default());
        let [requests, ..] = counted.unwrap_or_default();
        if !set.has_carried && requests.integrity_failed > 0 {
            let (number, spi) = (requests.integrity_failed, set.agreement.own().spi_s);
            self.troubles.tell(cx, Some(set.user), || {
                format!(
                    "{impi}: {number} ESP packets with SPI {spi} have a wrong integrity check: the phone has other keys; \
                     check K and op or opc"
                )
            });
        }
    }

    /// The kernel has lost a set: what it carried cannot be reached any more.
    pub(in crate::ims) fn on_set_lost(&mut self, cx: &mut Cx<'_>, id: SetId) {
        let Some(set) = self.security.forget(id) else { return };
        let impi = &self.subscribers.user(set.user).impi;
        let text = format_args!(
            "{impi}: its security associations are not in the kernel any more; somebody else removed them"
        );
        cx.trace(Layer::Ipsec, Level::Error, Dir::None, Subject::Id(set.number), text);
        if let Some(waiting) = set.waiting {
            self.refuse_waiting(
                cx,
                set.user,
                &waiting,
                500,
                "somebody else removed its security associations",
            );
        }
        self.tidy_sets(cx, set.user);
    }

    /// Ends the sets whose time is over.
    pub(in crate::ims) fn expire_sets(&mut self, cx: &mut Cx<'_>) {
        while let Some(id) = self.security.due(cx.now) {
            let Some(set) = self.security.set(id) else { return };
            let user = set.user;
            match set.stage {
                Stage::Installing => {
                    let installed = self.security.give_up(cx, id);
                    self.answer_installed(cx, installed);
                }
                Stage::Offered | Stage::Active | Stage::Old | Stage::Leaving => self.security.end(cx, id),
                Stage::Removing => drop(self.security.forget(id)),
            }
            self.tidy_sets(cx, user);
        }
    }

    /// All sets, as shown.
    pub(in crate::ims) fn set_views(&self, now: Instant) -> Vec<SetView> {
        self.security.views(&self.subscribers, now, |id, set| {
            self.registrar
                .of_user(set.user)
                .filter(|(_, b)| b.set == Some(id))
                .map(|(_, b)| b.number)
                .collect()
        })
    }
}

/// One line about a set.
pub(super) fn tell(cx: &mut Cx<'_>, subscribers: &Subscribers, id: SetId, set: &Set, what: &str) {
    if cx.sink.wants(Layer::Ipsec, Level::Info) {
        let impi = &subscribers.user(set.user).impi;
        let in_kernel = set.for_kernel(id, set.expires_at.since(cx.now));
        let text = SetText::new(&in_kernel, &*cx.sink).to_string();
        let subject = Subject::Id(set.number);
        cx.trace(Layer::Ipsec, Level::Info, Dir::None, subject, format_args!("{impi}: {what} {text}"));
    }
}
