//! What went wrong, in words: one log line for each trouble, and the last one of each user for those who look at the user.
//!
//! Anybody who reaches the SIP port can make trouble, so no more lines are told in a time than a reader can bear.

use crate::base::time::{Instant, UnixTime};
use crate::base::trace::{Level, Subject};
use crate::ims::limits::{TROUBLE_BURST, TROUBLE_GAP};
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use std::collections::BTreeMap;
use std::fmt;

/// The last trouble of each user; bounded by the number of users.
#[derive(Debug, Default)]
pub struct Troubles {
    last: BTreeMap<UserId, (UnixTime, String)>,
    voice: Voice,
}

/// How much may still be said: each line takes up a [`TROUBLE_GAP`] of time, up to [`TROUBLE_BURST`] of them in advance.
#[derive(Debug, Default)]
struct Voice {
    taken_until: Instant,
    untold: u32,
}

impl Voice {
    /// How many lines were left out since the last one, when the next one may be told.
    fn take(&mut self, now: Instant) -> Option<u32> {
        let taken_until = self.taken_until.max(now);
        if taken_until.since(now) >= TROUBLE_GAP * TROUBLE_BURST {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.taken_until = taken_until + TROUBLE_GAP;
        Some(std::mem::take(&mut self.untold))
    }
}

impl Troubles {
    /// Logs a trouble as an error of the IMS layer, and keeps it with the user when it is known whose it is. `words` are not
    /// asked for when nobody gets to see them.
    pub fn tell(&mut self, cx: &mut Cx<'_>, user: Option<UserId>, words: impl FnOnce() -> String) {
        let voice = self.voice.take(cx.now);
        if voice.is_none() && user.is_none() {
            return;
        }
        let words = words();
        if let Some(untold) = voice {
            say(cx, Level::Error, untold, format_args!("{words}"));
        }
        if let Some(user) = user {
            self.note(cx.wall, user, words);
        }
    }

    /// Logs a line about what anybody can cause.
    pub fn mention(&mut self, cx: &mut Cx<'_>, level: Level, words: fmt::Arguments<'_>) {
        if let Some(untold) = self.voice.take(cx.now) {
            say(cx, level, untold, words);
        }
    }

    /// Keeps a trouble with the user without a line.
    pub fn note(&mut self, wall: UnixTime, user: UserId, words: String) {
        self.last.insert(user, (wall, words));
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

fn say(cx: &mut Cx<'_>, level: Level, untold: u32, words: fmt::Arguments<'_>) {
    match untold {
        0 => cx.ims(level, Subject::None, words),
        _ => cx.ims(level, Subject::None, format_args!("{words} (and {untold} more that were not told)")),
    }
}
