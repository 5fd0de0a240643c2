//! The bounded queue between the loop and the log's thread: one pending batch under a lock, swapped against an empty one.

use crate::api::cx::LogStatus;
use crate::api::log_options::LogConfig;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Octets that may wait for the thread; records beyond are dropped and counted.
pub(super) const QUEUE_BYTES: usize = 8 << 20;

/// Commands that may wait; more than anybody types before the thread has run, further ones are dropped and counted.
const QUEUE_COMMANDS: usize = 64;

/// What the thread does between two records.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Take the rotation settings and the header from this configuration.
    Configure(Box<LogConfig>),
    /// Start the file anew.
    Cut,
    /// Rename the file and start a new one.
    Rotate,
}

/// Formatted records with their ends, and commands with the number of records that come before them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    commands: Vec<(usize, Command)>,
}

impl Batch {
    /// Adds the record that `write` appends.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Adds a command after the records so far.
    pub(super) fn command(&mut self, command: Command) {
        self.commands.push((self.ends.len(), command));
    }

    /// Octets of all records.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has neither records nor commands.
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.commands.is_empty()
    }

    /// Forgets everything and keeps the buffers.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.commands.clear();
    }

    /// The octets of all records.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each record ends.
    pub(super) fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// The commands, each with the number of records before it.
    pub(super) fn take_commands(&mut self) -> std::vec::Drain<'_, (usize, Command)> {
        self.commands.drain(..)
    }

    /// Moves `from` behind this batch as far as the limits allow; returns how many records and commands were dropped.
    fn append(&mut self, from: &mut Batch) -> u64 {
        let room = QUEUE_BYTES.saturating_sub(self.bytes.len());
        let fits = from.ends.partition_point(|end| *end <= room);
        let (base, first) = (self.bytes.len(), self.ends.len());
        let cut = fits.checked_sub(1).map_or(0, |last| from.ends[last]);
        self.bytes.extend_from_slice(&from.bytes[..cut]);
        self.ends.extend(from.ends[..fits].iter().map(|end| base + end));
        let mut dropped = (from.ends.len() - fits) as u64;
        for (after, command) in from.commands.drain(..) {
            if self.commands.len() < QUEUE_COMMANDS {
                self.commands.push((first + after.min(fits), command));
            } else {
                dropped += 1;
            }
        }
        from.clear();
        dropped
    }
}

#[derive(Debug, Default)]
struct State {
    pending: Batch,
    dropped_unsaid: u64,
    closing: bool,
    /// Batches that the loop has handed over, and that the thread has written.
    pushed: u64,
    written: u64,
    status: LogStatus,
}

/// What the loop and the thread share.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    done: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // the state is consistent at every point where a holder could panic
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the turn's records over and leaves `turn` empty.
    pub(super) fn push(&self, turn: &mut Batch) {
        let mut state = self.lock();
        if state.pending.is_empty() && turn.len() <= QUEUE_BYTES {
            std::mem::swap(&mut state.pending, turn);
        } else {
            let dropped = state.pending.append(turn);
            state.dropped_unsaid += dropped;
            state.status.dropped += dropped;
        }
        state.pushed += 1;
        drop(state);
        self.work.notify_one();
    }

    /// Waits until everything that was handed over has been written, or has failed to be.
    pub(super) fn wait_written(&self) {
        let mut state = self.lock();
        let target = state.pushed;
        while state.written < target {
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Asks the thread to write what is left and end.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.work.notify_one();
    }

    /// The counters.
    pub(super) fn status(&self) -> LogStatus {
        self.lock().status.clone()
    }

    /// Waits for a batch, which is swapped into the empty `batch`; the number of records dropped behind it. `None`: the end.
    pub(super) fn pop(&self, batch: &mut Batch) -> Option<(u64, u64)> {
        let mut state = self.lock();
        while state.pending.is_empty() {
            if state.closing {
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut state.pending, batch);
        Some((state.pushed, std::mem::take(&mut state.dropped_unsaid)))
    }

    /// The thread has written all batches up to `pushed`; what it could not is counted with the reason.
    pub(super) fn written(&self, pushed: u64, failed: u64, error: Option<String>) {
        let mut state = self.lock();
        state.written = pushed;
        state.status.failed += failed;
        if error.is_some() {
            state.status.last_error = error;
        }
        drop(state);
        self.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(record: &[u8], times: usize) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..times {
            batch.add(|out| out.extend_from_slice(record));
        }
        batch
    }

    #[test]
    fn a_full_queue_drops_whole_records_and_counts_them() {
        let queue = Queue::default();
        let record = vec![b'x'; QUEUE_BYTES / 4];
        queue.push(&mut batch(&record, 3));
        let mut turn = batch(&record, 3);
        queue.push(&mut turn);
        assert!(turn.is_empty());
        assert_eq!(queue.status().dropped, 2);
        let mut taken = Batch::default();
        assert_eq!(queue.pop(&mut taken), Some((2, 2)));
        assert_eq!(taken.len(), QUEUE_BYTES);
        assert_eq!(taken.ends().len(), 4);
        // said once
        taken.clear();
        queue.push(&mut batch(b"y", 1));
        assert_eq!(queue.pop(&mut taken), Some((3, 0)));
    }

    #[test]
    fn commands_keep_their_place_among_the_records() {
        let queue = Queue::default();
        queue.push(&mut batch(b"a", 2));
        let mut turn = batch(b"b", 1);
        turn.command(Command::Cut);
        turn.add(|out| out.push(b'c'));
        queue.push(&mut turn);
        let mut taken = Batch::default();
        queue.pop(&mut taken);
        assert_eq!((taken.bytes(), taken.ends()), (&b"aabc"[..], &[1, 2, 3, 4][..]));
        assert_eq!(taken.take_commands().collect::<Vec<_>>(), [(3, Command::Cut)]);
    }

    #[test]
    fn commands_are_bounded_too() {
        let queue = Queue::default();
        for _ in 0..=QUEUE_COMMANDS {
            let mut turn = Batch::default();
            turn.command(Command::Rotate);
            queue.push(&mut turn);
        }
        assert_eq!(queue.status().dropped, 1);
    }

    #[test]
    fn a_closed_queue_gives_what_is_left_and_then_ends() {
        let queue = Queue::default();
        queue.push(&mut batch(b"a", 1));
        queue.close();
        let mut taken = Batch::default();
        assert!(queue.pop(&mut taken).is_some());
        taken.clear();
        assert_eq!(queue.pop(&mut taken), None);
    }
}
