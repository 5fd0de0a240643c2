//! The sources that may have something for us. mio tells of an edge once: a source stays here until it said `WouldBlock`.

use crate::node::token::{Kind, Source};
use std::collections::{HashSet, VecDeque};

/// Sources for which there is room from the beginning, so that a busy turn allocates nothing.
const EXPECTED: usize = 1024;

/// Ready sources: media, and the rest, each in the order in which it became ready.
#[derive(Debug)]
pub struct ReadySet {
    media: VecDeque<Source>,
    rest: VecDeque<Source>,
    /// Who waits in one of the two.
    queued: HashSet<Source>,
    /// What has had its share of this turn and wants more.
    left: Vec<Source>,
}

impl Default for ReadySet {
    fn default() -> Self {
        ReadySet {
            media: VecDeque::with_capacity(EXPECTED),
            rest: VecDeque::with_capacity(EXPECTED),
            queued: HashSet::with_capacity(EXPECTED),
            left: Vec::with_capacity(EXPECTED),
        }
    }
}

impl ReadySet {
    /// Adds a source that the poll told of, unless it waits already.
    pub fn add(&mut self, source: Source) {
        if self.queued.insert(source) {
            self.queue(source);
        }
    }

    /// The next media source to be drained in this turn.
    pub fn next_media(&mut self) -> Option<Source> {
        let next = self.media.pop_front()?;
        self.queued.remove(&next);
        Some(next)
    }

    /// The next other source to be drained in this turn. Those that are not asked for wait for the next turn.
    pub fn next_other(&mut self) -> Option<Source> {
        let next = self.rest.pop_front()?;
        self.queued.remove(&next);
        Some(next)
    }

    /// The source has more than its share of a turn: it comes again in the next one, behind those that had nothing yet.
    pub fn keep(&mut self, source: Source) {
        self.left.push(source);
    }

    /// Ends the turn.
    pub fn end_turn(&mut self) {
        let mut left = std::mem::take(&mut self.left);
        left.drain(..).for_each(|source| self.add(source));
        self.left = left;
    }

    /// Whether nothing waits, so that the poll may sleep.
    pub fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    fn queue(&mut self, source: Source) {
        match source.kind {
            Kind::Rtp | Kind::Rtcp => self.media.push_back(source),
            _ => self.rest.push_back(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_comes_once_in_the_next_turn_and_behind_who_had_no_turn() {
        let (one, two, rtp) =
            (Source::fixed(Kind::Stream, 0), Source::fixed(Kind::Stream, 1), Source::fixed(Kind::Rtp, 3));
        let mut ready = ReadySet::default();
        [one, two, rtp].into_iter().for_each(|source| ready.add(source));
        assert_eq!((ready.next_media(), ready.next_media()), (Some(rtp), None));
        assert_eq!(ready.next_other(), Some(one));
        ready.keep(one);
        // the turn's time is over
        ready.end_turn();
        assert!(!ready.is_empty());
        [one, two, rtp].into_iter().for_each(|source| ready.add(source));
        assert_eq!((ready.next_media(), ready.next_media()), (Some(rtp), None));
        assert_eq!(
            (ready.next_other(), ready.next_other(), ready.next_other()),
            (Some(two), Some(one), None)
        );
        ready.end_turn();
        assert!(ready.is_empty());
        ready.add(rtp);
        assert_eq!(ready.next_media(), Some(rtp));
    }
}
