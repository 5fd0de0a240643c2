//! What the handling of REGISTER notes of its steps.

use super::{Offer, Packet, Step};
use crate::base::time::Duration;
use crate::ims::auth::credentials;
use crate::ims::core::Service;
use crate::ims::registrar::register::Done;
use crate::ims::security::SetId;
use crate::ims::security::register::Shield;
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::proto::sip::digest::Algorithm;
use crate::wire::sip::{Host, Message};

/// The algorithm that a challenge names, MD5 when it names none (RFC 7616 3.3).
fn algorithm(challenge: &[u8]) -> Algorithm {
    let text = std::str::from_utf8(challenge).unwrap_or_default();
    let name = text.split_once("algorithm=").and_then(|(_, value)| value.split([',', ' ']).next());
    name.and_then(|name| Algorithm::parse(name.trim_matches('"').as_bytes())).unwrap_or(Algorithm::Md5)
}

impl Service {
    /// A REGISTER of the user has come.
    pub(in crate::ims) fn note_register(&mut self, cx: &Cx<'_>, user: UserId, flow: Flow, msg: &Message<'_>) {
        let Some(local) = self.security.locals().get(flow.local) else { return };
        let told = msg.via().and_then(|via| match via.host {
            Host::Ip(ip) => Some(ip),
            Host::Name(_) => None,
        });
        let packet = Packet { from: flow.remote, to: local.own, transport: flow.transport, told };
        let answers = credentials(msg).is_some_and(|given| !given.nonce.is_empty());
        self.attempts.seen(user, cx.wall, packet, answers);
    }

    /// It agrees with what was agreed before, or asks for what can be given.
    pub(in crate::ims) fn note_shield(&mut self, cx: &Cx<'_>, user: UserId, shield: &Shield) {
        if shield.through.is_some() {
            self.attempts.verified(user, cx.wall);
        } else if shield.offer.is_none() {
            self.attempts.plain(user);
        }
    }

    /// It does not. `through`: it came through security associations.
    pub(in crate::ims) fn note_unfit(&mut self, cx: &Cx<'_>, user: UserId, through: bool, words: &str) {
        let step = if through { Step::Verify } else { Step::Agreement };
        self.attempts.failed(user, cx.wall, step, words);
    }

    /// It is refused for its credentials: the trouble that was just told says why.
    pub(in crate::ims) fn note_wrong(
        &mut self,
        cx: &Cx<'_>,
        user: UserId,
        msg: &Message<'_>,
        otherwise: &str,
    ) {
        let told = self.troubles.of(user).filter(|(at, _)| *at == cx.wall.as_secs()).map(|(_, words)| words);
        // a response that should have come through the associations proves nothing, whatever it is; a SIM that rejects the
        // challenge has no keys for them (TS 24.229 5.1.1.5.3)
        let responds =
            credentials(msg).is_some_and(|given| !given.response.is_empty() && given.auts.is_none());
        let step = if responds && self.attempts.is_bare(user) { Step::Answer } else { Step::Digest };
        self.attempts.failed(user, cx.wall, step, told.as_deref().unwrap_or(otherwise));
    }

    /// A challenge with this header value is made for a request; `set` is to carry its answer.
    pub(in crate::ims) fn note_challenge(
        &mut self,
        cx: &Cx<'_>,
        user: UserId,
        msg: &Message<'_>,
        value: &[u8],
        set: Option<SetId>,
    ) {
        // whoever brings old credentials to a new attempt is asked for the first time
        if self.attempts.has_answer(user) {
            match credentials(msg).is_some_and(|given| given.auts.is_some()) {
                true => {
                    let words = "the SIM told its sequence number (AUTS)";
                    self.attempts.failed(user, cx.wall, Step::Digest, words);
                }
                false => self.note_wrong(cx, user, msg, "the nonce was old"),
            }
        }
        self.attempts.asked(user, algorithm(value).name());
        match set {
            Some(id) => self.note_offer(cx, id),
            None => self.attempts.challenged(user, cx.wall),
        }
    }

    /// What a set is made of, which another answer of the kernel's may change.
    fn note_offer(&mut self, cx: &Cx<'_>, id: SetId) {
        let Some(set) = self.security.set(id) else { return };
        let choice = set.agreement.choice();
        let offer =
            Offer { set: id.to_bits(), suite: choice.suite, ue: choice.ue, own: *set.agreement.own() };
        self.attempts.offered(set.user, cx.wall, offer);
    }

    /// The kernel holds the set, and the challenge leaves.
    pub(in crate::ims) fn note_installed(&mut self, cx: &Cx<'_>, id: SetId) {
        self.note_offer(cx, id);
        let Some(user) = self.security.set(id).map(|set| set.user) else { return };
        self.attempts.installed(user, cx.wall);
        self.attempts.challenged(user, cx.wall);
    }

    /// What the REGISTER has changed.
    pub(in crate::ims) fn note_done(&mut self, cx: &Cx<'_>, user: UserId, done: &[Done]) {
        for step in done {
            match step {
                Done::Added(id, lifetime) | Done::Refreshed(id, lifetime) => {
                    let number = self.registrar.binding(*id).map_or(0, |binding| binding.number);
                    self.attempts.bound(user, cx.wall, number, *lifetime);
                }
                Done::Removed(binding) => {
                    self.attempts.bound(user, cx.wall, binding.number, Duration::ZERO);
                }
                Done::Displaced(_) => {}
            }
        }
    }
}
