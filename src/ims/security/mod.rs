//! Security associations with UEs (RFC 3329, TS 33.203, TS 24.229 5.2): which sets there are, whose they are, and how long they live.

mod ability;
mod text;
mod view;

use crate::proto::locals::Locals;
pub use ability::Ability;
pub use text::SetText;
pub use view::{SetView, Stage};

/// All sets of security associations.
#[derive(Debug)]
pub struct Security {
    ability: Ability,
}

impl Security {
    /// None, on a machine that can do this.
    pub fn new(ability: Ability) -> Security {
        Security { ability }
    }

    /// All our ends of flows.
    pub fn locals(&self) -> &Locals {
        &self.ability.locals
    }
}
