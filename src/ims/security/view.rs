//! What is shown of the sets of security associations.

use crate::proto::sip::sec_agree::{Association, Keys, Parameters, Suite};

/// How far a set has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The kernel is asked to take it; the challenge waits for that.
    Installing,
    /// The challenge has been sent; its answer is to come through the set.
    Offered,
    /// It carries a registration.
    Active,
    /// A newer set carries the registration; what is under way may end.
    Old,
    /// The registration has ended; the last messages are under way.
    Leaving,
    /// The kernel is asked to remove it.
    Removing,
}

impl Stage {
    /// For people and for the API: lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Installing => "installing",
            Stage::Offered => "offered",
            Stage::Active => "active",
            Stage::Old => "old",
            Stage::Leaving => "leaving",
            Stage::Removing => "removing",
        }
    }
}

/// One set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetView {
    /// Its name towards the kernel side: that of `Output::InstallSas`, and of its counters.
    pub id: u64,
    /// Its number, as in the log.
    pub number: u32,
    /// Whose it is.
    pub impi: String,
    /// How far it has come.
    pub stage: Stage,
    /// The UE's SPIs and ports.
    pub ue: Parameters,
    /// Ours.
    pub own: Parameters,
    /// The algorithms.
    pub suite: Suite,
    /// The keys, which Debug does not show.
    pub keys: Keys,
    /// The associations, in the order of the counters.
    pub associations: [Association; 4],
    /// Seconds until it ends.
    pub expires: u64,
    /// The numbers of the bindings that it carries.
    pub bindings: Vec<u32>,
}
