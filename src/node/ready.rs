//! The sources that may have something for us. mio tells of an edge once: a source stays here until it said `WouldBlock`.

use crate::node::token::{Kind, Source};
use std::collections::{HashSet, VecDeque};

/// Ready sources, in the order in which they get their turn: media first, then the rest, each once a turn.
#[derive(Debug, Default)]
pub struct ReadySet {
    media: VecDeque<Source>,
    rest: VecDeque<Source>,
    /// What the last turn left over: already queued, and a new event must not queue it twice.
    queued: HashSet<Source>,
    /// What this turn leaves over.
    left: Vec<Source>,
}

impl ReadySet {
    /// Adds a source that the poll told of; one poll tells of a source once.
    pub fn add(&mut self, source: Source) {
        if self.queued.is_empty() || !self.queued.contains(&source) {
            self.queue(source);
        }
    }

    /// The next source to be drained in this turn.
    pub fn next(&mut self) -> Option<Source> {
        self.media.pop_front().or_else(|| self.rest.pop_front())
    }

    /// The source has more than its share of a turn: it comes again in the next one.
    pub fn keep(&mut self, source: Source) {
        self.left.push(source);
    }

    /// Ends the turn, after [`ReadySet::next`] gave `None`.
    pub fn end_turn(&mut self) {
        self.queued.clear();
        let mut left = std::mem::take(&mut self.left);
        for source in left.drain(..) {
            self.queued.insert(source);
            self.queue(source);
        }
        self.left = left;
    }

    /// Whether nothing waits, so that the poll may sleep.
    pub fn is_empty(&self) -> bool {
        self.media.is_empty() && self.rest.is_empty()
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
    fn media_goes_first_and_what_is_left_comes_once_in_the_next_turn() {
        let (sip, rtp) = (Source::fixed(Kind::Udp, 0), Source::fixed(Kind::Rtp, 3));
        let mut ready = ReadySet::default();
        ready.add(sip);
        ready.add(rtp);
        assert_eq!((ready.next(), ready.next(), ready.next()), (Some(rtp), Some(sip), None));
        ready.keep(rtp);
        ready.end_turn();
        assert!(!ready.is_empty());
        ready.add(rtp);
        ready.add(sip);
        assert_eq!((ready.next(), ready.next(), ready.next()), (Some(rtp), Some(sip), None));
        ready.end_turn();
        assert!(ready.is_empty());
        ready.add(rtp);
        assert_eq!(ready.next(), Some(rtp));
    }
}
