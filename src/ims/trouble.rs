//! What went wrong, in words: one log line for each trouble, and the last one of each user for those who look at the user.

use crate::base::time::UnixTime;
use crate::base::trace::{Level, Subject};
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use std::collections::BTreeMap;

/// The last trouble of each user; bounded by the number of users.
#[derive(Debug, Default)]
pub struct Troubles {
    last: BTreeMap<UserId, (UnixTime, String)>,
}

impl Troubles {
    /// Logs a trouble as an error of the IMS layer, and keeps it with the user when it is known whose it is.
    pub fn tell(&mut self, cx: &mut Cx<'_>, user: Option<UserId>, words: String) {
        cx.ims(Level::Error, Subject::None, format_args!("{words}"));
        if let Some(user) = user {
            self.last.insert(user, (cx.wall, words));
        }
    }

    /// The user's last trouble: when (Unix seconds) and what.
    pub fn of(&self, user: UserId) -> Option<(i64, String)> {
        self.last.get(&user).map(|(at, words)| (at.as_secs(), words.clone()))
    }

    /// All is well with the user again.
    pub fn clear(&mut self, user: UserId) {
        self.last.remove(&user);
    }
}
