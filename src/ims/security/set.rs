//! One set of security associations, as the service keeps it.

use super::view::{SetView, Stage};
use crate::base::arena::Id;
use crate::base::time::{Duration, Instant};
use crate::base::timer::Alarm;
use crate::ims::auth::challenge::NonceText;
use crate::ims::dispatch::Due;
use crate::ims::subscriber::{Subscribers, UserId};
use crate::proto::flow::{LocalId, Ways};
use crate::proto::sip::sec_agree::{Agreement, Association, Keys, SaSet, SetNumbers, associations};
use smallvec::SmallVec;
use std::net::IpAddr;

/// Names a set.
pub type SetId = Id<Set>;

/// A set: what was agreed, how far it has come, and until when it lives.
#[derive(Debug)]
pub struct Set {
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
    /// The ports of both sides.
    pub ways: Ways,
    /// How far it has come.
    pub stage: Stage,
    /// The nonce of the challenge whose answer is to come through it.
    pub nonce: NonceText,
    /// The set that the challenge goes over, when the user had one.
    pub predecessor: Option<SetId>,
    /// Until when it lives.
    pub expires_at: Instant,
    /// Whether it has carried a registration.
    pub has_carried: bool,
    /// Where its sequence numbers go on should the kernel lose it.
    pub numbers: SetNumbers,
    /// The number of its first pair of associations for the kernel.
    pub reqid: u32,
    /// Whether the state file has it.
    pub(super) is_stored: bool,
    /// The challenge, until the kernel holds the set.
    pub(super) waiting: Option<Due>,
    /// Our client ports that the kernel would not take.
    pub(super) refused: SmallVec<[LocalId; 4]>,
    pub(super) alarm: Alarm,
}

impl Set {
    /// The UE's address.
    pub fn ue_ip(&self) -> IpAddr {
        self.ways.ue_client.ip()
    }

    /// Its associations.
    pub fn associations(&self) -> [Association; 4] {
        associations(self.ue_ip(), &self.agreement.choice().ue, self.own_ip, self.agreement.own())
    }

    /// Whether requests may come through it.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Offered | Stage::Active | Stage::Old | Stage::Leaving)
    }

    /// Whether it has ended without ever carrying a registration: what was agreed does not hold.
    pub fn is_void(&self) -> bool {
        self.stage == Stage::Leaving && !self.has_carried
    }

    pub(super) fn view(
        &self,
        id: SetId,
        subscribers: &Subscribers,
        now: Instant,
        bindings: impl Fn(SetId, &Set) -> Vec<u32>,
    ) -> SetView {
        let choice = self.agreement.choice();
        SetView {
            id: id.to_bits(),
            number: self.number,
            impi: subscribers.user(self.user).impi.clone(),
            stage: self.stage,
            ue: choice.ue,
            own: *self.agreement.own(),
            suite: choice.suite,
            keys: self.keys.clone(),
            associations: self.associations(),
            expires: self.expires_at.since(now).as_secs(),
            bindings: bindings(id, self),
        }
    }

    pub(super) fn for_kernel(&self, id: SetId, lifetime: Duration) -> SaSet {
        SaSet {
            id: id.to_bits(),
            reqid: self.reqid,
            suite: self.agreement.choice().suite,
            keys: self.keys.clone(),
            associations: self.associations(),
            lifetime,
        }
    }
}
