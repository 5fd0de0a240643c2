//! The sequence numbers of the SIMs (TS 33.102 6.3, C.3.2), across restarts.
//!
//! A number must not serve twice: the SIM would refuse it. The number of a vector is on its way to the disk before its challenge
//! is on its way to the phone, yet the loop does not wait for the disk; what a crash loses in between is skipped.

use super::policy::NoKeys;
use crate::config::model::User;
use crate::crypto::sqn;
use crate::ims::limits::SQN_SKIPPED;
use crate::ims::persist;
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use std::collections::BTreeMap;

/// The SQN of each user's last vector, where it is not the configured one.
#[derive(Debug, Default)]
pub struct Sequences {
    last: BTreeMap<UserId, u64>,
}

impl Sequences {
    /// The number of the user's next vector; `configured` is where they start. The error says that there is none left.
    pub fn next(
        &mut self,
        cx: &mut Cx<'_>,
        user: UserId,
        profile: &User,
        configured: u64,
    ) -> Result<u64, NoKeys> {
        let last = self.last.get(&user).copied().unwrap_or(configured);
        let next =
            sqn::next(last).ok_or_else(|| NoKeys(format!("SQN {last:012x} is the last one there is")))?;
        self.last.insert(user, next);
        persist::store_sqn(cx, &profile.impi, next);
        Ok(next)
    }

    /// Goes on from the number of the SIM itself (6.3.5), wherever that is.
    pub fn resynchronise(&mut self, user: UserId, sqn_ms: u64) {
        self.last.insert(user, sqn_ms);
    }

    /// Takes the number that was stored before a restart: the last one that is known to have been used. Some more may have been
    /// while the disk lagged behind, so [`SQN_SKIPPED`] are skipped; and since the skipping is stored at once, before any request
    /// comes, another restart that ends as badly is no danger either. Never goes below the configured number.
    pub fn restore(&mut self, cx: &mut Cx<'_>, user: UserId, profile: &User, stored: u64) {
        let configured = profile.sim.as_ref().map_or(0, |sim| sim.sqn);
        let skipped = (0..SQN_SKIPPED).try_fold(stored & sqn::MAX, |sqn, _| sqn::next(sqn));
        let last = skipped.unwrap_or(sqn::MAX).max(configured);
        self.last.insert(user, last);
        persist::store_sqn(cx, &profile.impi, last);
    }
}
