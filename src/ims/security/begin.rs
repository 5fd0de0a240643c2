//! A new set: its ports and SPIs, and the kernel's answer.

use super::Security;
use super::limits::{
    KERNEL_MARGIN, KERNEL_PATIENCE, MAX_INSTALLS, MAX_OFFERED, MAX_OFFERED_PER_USER, OFFERED_LIFE,
};
use super::numbers;
use super::set::{Set, SetId};
use super::view::Stage;
use crate::base::timer::Alarm;
use crate::ims::auth::challenge::NonceText;
use crate::ims::dispatch::Due;
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::proto::flow::{Flow, LocalId, Ways};
use crate::proto::outbox::Output;
use crate::proto::sip::sec_agree::{Agreement, Choice, MAX_SETS, Parameters, REQIDS, SaFailure};
use smallvec::SmallVec;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The lowest SPI that we draw: those below 256 are reserved (RFC 4303 2.1), and people know numbers from 4096 on.
const FIRST_SPI: u64 = 4096;

/// What a new set is made of.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'p> {
    /// Whose.
    pub user: UserId,
    /// What was chosen from the UE's offer.
    pub choice: Choice,
    /// How the REGISTER came.
    pub flow: Flow,
    /// The set that it came through.
    pub predecessor: Option<SetId>,
    /// CK of the challenge.
    pub ck: &'p [u8; 16],
    /// IK of the challenge.
    pub ik: &'p [u8; 16],
    /// The nonce of the challenge.
    pub nonce: NonceText,
}

/// Why there is no set for a UE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoSet {
    /// There are as many as may be.
    Full,
    /// All ports are taken that could be told apart from those of the UE's other sets.
    Ports,
    /// Another user at the same address uses one of the UE's SPIs.
    UeSpi(u32),
    /// The UE's own registration uses one of the SPIs. Anybody on the way of the first REGISTER has read them, so a request that
    /// has proven nothing must not end what they belong to.
    OwnSpi(u32),
}

impl fmt::Display for NoSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoSet::Full => f.write_str(
                "there are as many sets of security associations as may be; the command ipsec shows whose they are",
            ),
            NoSet::Ports => f.write_str(
                "all protected ports are in use with the ports that the phone offers; the phone may offer others",
            ),
            NoSet::OwnSpi(spi) => write!(
                f,
                "the phone's SPI {spi} is that of its registration; it may offer others, or `unregister` ends the registration"
            ),
            NoSet::UeSpi(spi) => {
                write!(f, "the phone's SPI {spi} is in use by another phone at its address; it may offer others")
            }
        }
    }
}

/// What came of the kernel's answer.
#[derive(Debug)]
pub enum Installed {
    /// The challenge may leave.
    Ready(SetId, Due),
    /// There is no set; the REGISTER is to be refused, for this reason.
    Failed(UserId, Due, String),
    /// Nothing is to be done.
    Nothing,
}

impl Security {
    /// Makes a set and asks the kernel for it; the challenge waits for its answer.
    pub(in crate::ims) fn begin<'o>(
        &mut self,
        cx: &mut Cx<'_>,
        p: Proposal<'_>,
        offers: impl Iterator<Item = &'o [u8]>,
        waiting: Due,
    ) -> Result<SetId, NoSet> {
        let own_ip = self.locals().get(p.flow.local).ok_or(NoSet::Ports)?.own.ip();
        let ue_ip = p.flow.remote.ip();
        self.make_way(cx, &p, ue_ip)?;
        let keep = p.predecessor.and_then(|id| self.sets.get(id)).map(|old| old.ways.server);
        let ways = self.ways(own_ip, ue_ip, &p.choice.ue, keep, &[]).ok_or(NoSet::Ports)?;
        let own = self.parameters(cx, &ways, &p.choice.ue);
        if self.sets.is_full() {
            return Err(NoSet::Full);
        }
        let set = Set {
            number: self.next_number,
            user: p.user,
            agreement: Agreement::new(p.choice, own, offers),
            keys: p.choice.suite.keys(p.ck, p.ik),
            own_ip,
            ways,
            stage: Stage::Installing,
            nonce: p.nonce,
            predecessor: p.predecessor,
            expires_at: cx.now + KERNEL_PATIENCE,
            has_carried: false,
            numbers: numbers::FRESH,
            reqid: self.draw_reqid(),
            is_stored: false,
            waiting: Some(waiting),
            refused: SmallVec::new(),
            alarm: Alarm::default(),
        };
        let id = self.sets.insert(set).map_err(|_| NoSet::Full)?;
        self.next_number = self.next_number.wrapping_add(1).max(1);
        self.turn(id, Stage::Installing);
        self.link(id);
        self.ask(cx, id);
        Ok(id)
    }

    /// Takes the kernel's answer.
    pub(super) fn on_installed(
        &mut self,
        cx: &mut Cx<'_>,
        id: SetId,
        outcome: Result<(), SaFailure>,
    ) -> Installed {
        let Some(set) = self.sets.get_mut(id) else { return Installed::Nothing };
        if set.stage != Stage::Installing {
            // too late: it is being removed
            return Installed::Nothing;
        }
        match outcome {
            Ok(()) => {
                let waiting = set.waiting.take();
                self.turn(id, Stage::Offered);
                self.live_until(id, cx.now + OFFERED_LIFE);
                waiting.map_or(Installed::Nothing, |waiting| Installed::Ready(id, waiting))
            }
            Err(failure) if failure.is_taken && self.try_again(cx, id) => Installed::Nothing,
            Err(failure) => self.fail(id, failure.words),
        }
    }

    /// The kernel does not answer: as if it had refused. A late answer finds the set being removed.
    pub(super) fn give_up(&mut self, cx: &mut Cx<'_>, id: SetId) -> Installed {
        let waiting = self.sets.get_mut(id).and_then(|set| Some((set.user, set.waiting.take()?)));
        self.end(cx, id);
        let words = || "the kernel does not answer".to_owned();
        waiting.map_or(Installed::Nothing, |(user, waiting)| Installed::Failed(user, waiting, words()))
    }

    fn fail(&mut self, id: SetId, words: String) -> Installed {
        let failed = self.forget(id).and_then(|set| Some((set.user, set.waiting?)));
        failed.map_or(Installed::Nothing, |(user, waiting)| Installed::Failed(user, waiting, words))
    }

    /// Something is in the set's place in the kernel, put there by others: other SPIs, and another client port.
    fn try_again(&mut self, cx: &mut Cx<'_>, id: SetId) -> bool {
        self.unlink(id);
        let Some(set) = self.sets.get_mut(id) else { return false };
        set.refused.push(set.ways.client);
        let (own_ip, ue, keep) = (set.own_ip, set.agreement.choice().ue, set.ways.server);
        let refused = set.refused.clone();
        if refused.len() >= MAX_INSTALLS {
            return false;
        }
        let ue_ip = set.ue_ip();
        let Some(ways) = self.ways(own_ip, ue_ip, &ue, Some(keep), &refused) else { return false };
        let own = self.parameters(cx, &ways, &ue);
        let Some(set) = self.sets.get_mut(id) else { return false };
        set.ways = ways;
        set.agreement.draw_again(own);
        self.link(id);
        self.ask(cx, id);
        true
    }

    fn ask(&mut self, cx: &mut Cx<'_>, id: SetId) {
        self.live_until(id, cx.now + KERNEL_PATIENCE);
        let set = self.sets.get(id).expect("the caller has made it");
        let set = set.for_kernel(id, OFFERED_LIFE + KERNEL_MARGIN);
        cx.out.push(Output::InstallSas(Box::new(set)));
    }

    /// Removes what a new attempt of the same phone replaces: sets whose challenge was not answered, and those that have ended.
    fn make_way(&mut self, cx: &mut Cx<'_>, p: &Proposal<'_>, ue_ip: IpAddr) -> Result<(), NoSet> {
        let ue = p.choice.ue;
        for spi in [ue.spi_c, ue.spi_s] {
            let holder = self.ue_spis.get(&(ue_ip, spi)).copied();
            let Some((id, set)) = holder.and_then(|id| Some((id, self.sets.get(id)?))) else { continue };
            if set.user != p.user {
                return Err(NoSet::UeSpi(spi));
            }
            if matches!(set.stage, Stage::Active | Stage::Installing) {
                return Err(NoSet::OwnSpi(spi));
            }
            self.end(cx, id);
        }
        let same_phone = |set: &Set| set.ue_ip() == ue_ip && set.ways.ue_server.port() == ue.port_s;
        let is_over = |set: &Set| matches!(set.stage, Stage::Offered | Stage::Leaving);
        let mine: SmallVec<[SetId; 8]> = self
            .of_user(p.user)
            .filter(|(id, set)| Some(*id) != p.predecessor && is_over(set) && same_phone(set))
            .map(|(id, _)| id)
            .collect();
        mine.into_iter().for_each(|id| self.end(cx, id));
        // those that the kernel has not answered yet count too: a burst of REGISTERs comes faster than it answers
        let is_open = |set: &Set| matches!(set.stage, Stage::Installing | Stage::Offered);
        let unanswered = || self.of_user(p.user).filter(|(_, set)| is_open(set));
        if unanswered().count() >= MAX_OFFERED_PER_USER {
            // a host that asks again and again gets its own out of the way, not that of a phone elsewhere
            let own = unanswered().find(|(_, set)| set.ue_ip() == ue_ip);
            let oldest = own.or_else(|| unanswered().next()).map(|(id, _)| id);
            oldest.into_iter().for_each(|id| self.end(cx, id));
        }
        if self.unanswered.len() >= MAX_OFFERED {
            let oldest = self.unanswered.first_key_value().map(|(_, id)| *id);
            oldest.into_iter().for_each(|id| self.end(cx, id));
        }
        Ok(())
    }

    /// Ports that tell the set from every other of the same UE. A UE that renews its set keeps our server port, which stands in
    /// its dialogs, and gets another client port (TS 33.203 7.4).
    fn ways(
        &self,
        own_ip: IpAddr,
        ue_ip: IpAddr,
        ue: &Parameters,
        keep: Option<LocalId>,
        refused: &[LocalId],
    ) -> Option<Ways> {
        let (ue_client, ue_server) = (SocketAddr::new(ue_ip, ue.port_c), SocketAddr::new(ue_ip, ue.port_s));
        let servers = keep.into_iter().chain(self.locals().servers_of(own_ip));
        servers.filter(|server| !self.by_ends.contains_key(&(*server, ue_client))).find_map(|server| {
            let mut clients = self.locals().clients_of(server);
            let is_free = |c: &LocalId| !refused.contains(c) && !self.by_ends.contains_key(&(*c, ue_server));
            clients.find(is_free).map(|client| Ways { server, client, ue_client, ue_server })
        })
    }

    /// A number for the kernel that no other set has: there are as many as there may be sets.
    pub(super) fn draw_reqid(&mut self) -> u32 {
        loop {
            let reqid = REQIDS.start() + 2 * self.next_pair;
            self.next_pair = (self.next_pair + 1) % MAX_SETS as u32;
            if self.reqids.insert(reqid) {
                return reqid;
            }
        }
    }

    /// Our SPIs, which nobody else has and the UE has not offered (TS 33.203 7.2), with the ports.
    fn parameters(&self, cx: &mut Cx<'_>, ways: &Ways, ue: &Parameters) -> Parameters {
        let mut draw = |other: u32| loop {
            let spi = (FIRST_SPI + cx.rng.below(u64::from(u32::MAX) - FIRST_SPI)) as u32;
            if spi != other && ![ue.spi_c, ue.spi_s].contains(&spi) && !self.own_spis.contains(&spi) {
                break spi;
            }
        };
        let spi_c = draw(0);
        let spi_s = draw(spi_c);
        let port = |local| self.locals().get(local).map_or(0, |l| l.own.port());
        Parameters { spi_c, spi_s, port_c: port(ways.client), port_s: port(ways.server) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::arena::Id;
    use crate::base::rng::Rng;
    use crate::base::time::{Duration, Instant, UnixTime};
    use crate::base::trace::Silent;
    use crate::config::model::IpsecSettings;
    use crate::ims::auth::Family;
    use crate::ims::security::Ability;
    use crate::proto::locals::Locals;
    use crate::proto::outbox::Outbox;
    use crate::proto::sip::sec_agree::{Suite, Verdict, choose};

    fn security() -> Security {
        let addr = |port| SocketAddr::from(([10, 0, 0, 254], port));
        let mut locals = Locals::clear([addr(5060)]);
        locals.add_protected(LocalId(0), addr(6100), &[addr(5100)]).expect("few");
        let ability = Ability { locals, suites: Suite::all().collect(), lack: None };
        Security::new(ability, &IpsecSettings::default())
    }

    /// Each of so many users at an address of its own asks once.
    fn asked(security: &mut Security, cx: &mut Cx<'_>, users: usize) -> Vec<SetId> {
        let offer: &[u8] = b"ipsec-3gpp;alg=hmac-sha-1-96;spi-c=4096;spi-s=4097;port-c=5103;port-s=5104";
        let Verdict::Chosen(choice) = choose([offer].into_iter(), security.preferences()) else {
            panic!("it is a good offer")
        };
        let keys = [0; 16];
        let mut ids = Vec::new();
        for n in 0..users as u32 {
            let ip = IpAddr::from((0x0a01_0000 + n).to_be_bytes());
            let flow = Flow::udp(LocalId(0), SocketAddr::new(ip, 5060));
            let (user, nonce) = (UserId(n), NonceText::new());
            let proposal = Proposal { user, choice, flow, predecessor: None, ck: &keys, ik: &keys, nonce };
            let waiting = Due {
                tx: Id::from_bits(0),
                user,
                family: Family::Www,
                value: Vec::new(),
                security_server: None,
                ticket: None,
            };
            ids.push(security.begin(cx, proposal, [offer].into_iter(), waiting).expect("there is room"));
        }
        ids
    }

    #[test]
    fn however_many_are_asked_for_the_newest_wait_and_nothing_is_left_of_any() {
        let (mut rng, mut out, mut sink) = (Rng::from_seed(1), Outbox::new(), Silent);
        let mut cx = Cx {
            now: Instant::ZERO,
            wall: UnixTime::from_micros(0),
            rng: &mut rng,
            out: &mut out,
            sink: &mut sink,
        };
        let mut security = security();
        let ids = asked(&mut security, &mut cx, MAX_OFFERED + 2);
        let stage = |security: &Security, at: usize| security.set(ids[at]).map(|set| set.stage);
        assert_eq!([0, 1].map(|at| stage(&security, at)), [Some(Stage::Removing); 2]);
        assert_eq!(stage(&security, 2), Some(Stage::Installing));
        // their REGISTERs still have their answer
        let orphans: Vec<UserId> =
            std::iter::from_fn(|| security.pop_orphan()).map(|(user, _)| user).collect();
        assert_eq!(orphans, [UserId(1), UserId(0)]);
        // what carries a registration is not pushed out, and makes room
        assert!(matches!(security.on_installed(&mut cx, ids[2], Ok(())), Installed::Ready(..)));
        security.carry(&mut cx, ids[2], Instant::ZERO + Duration::from_secs(3600));
        assert_eq!(security.unanswered.len(), MAX_OFFERED - 1);
        for id in ids {
            security.end(&mut cx, id);
            security.forget(id);
        }
        assert!(security.is_empty() && security.unanswered.is_empty() && security.own_spis.is_empty());
        assert!(security.by_ends.is_empty() && security.ue_spis.is_empty() && security.by_user.is_empty());
    }
}
