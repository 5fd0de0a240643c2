//! Alarms: one deadline per state machine, in an indexed 4-ary heap.
//!
//! A machine with several timers keeps them in its own small table and puts only the earliest here. Setting, moving and
//! cancelling are exact (no stale entry ever wakes the loop), O(log n), and allocate nothing once the heap has grown.

use crate::base::time::Instant;

/// A machine's place in the queue. Keep it in the machine; cancel it before the machine goes.
#[derive(Debug, Default)]
pub struct Alarm(Option<u32>);

impl Alarm {
    /// Whether a deadline is set.
    pub fn is_set(&self) -> bool {
        self.0.is_some()
    }
}

#[derive(Debug)]
struct Entry<K> {
    at: Instant,
    sequence: u64,
    key: K,
    heap_position: u32,
}

/// The alarms of all machines, keyed by what names the machine.
#[derive(Debug)]
pub struct AlarmQueue<K> {
    entries: slab::Slab<Entry<K>>,
    heap: Vec<u32>,
    next_sequence: u64,
}

const ARITY: usize = 4;

impl<K: Copy> Default for AlarmQueue<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Copy> AlarmQueue<K> {
    /// An empty queue.
    pub fn new() -> Self {
        AlarmQueue { entries: slab::Slab::new(), heap: Vec::new(), next_sequence: 0 }
    }

    /// Sets, moves (`Some`) or cancels (`None`) a machine's alarm. Equal deadlines fire in the order they were set.
    pub fn set(&mut self, alarm: &mut Alarm, key: K, at: Option<Instant>) {
        match (alarm.0, at) {
            (None, None) => {}
            (Some(index), None) => {
                self.take(index);
                alarm.0 = None;
            }
            (Some(index), Some(at)) if self.entries[index as usize].at == at => {
                self.entries[index as usize].key = key;
            }
            (existing, Some(at)) => {
                if let Some(index) = existing {
                    self.take(index);
                }
                alarm.0 = Some(self.put(key, at));
            }
        }
    }

    /// The earliest deadline.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.heap.first().map(|&i| self.entries[i as usize].at)
    }

    /// The earliest machine whose deadline has come. Its alarm is still set: the machine sets or cancels it when it runs.
    pub fn due(&self, now: Instant) -> Option<K> {
        let entry = &self.entries[*self.heap.first()? as usize];
        (entry.at <= now).then_some(entry.key)
    }

    /// How many alarms are set.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether no alarm is set.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    fn put(&mut self, key: K, at: Instant) -> u32 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let position = self.heap.len();
        let index = self.entries.insert(Entry { at, sequence, key, heap_position: position as u32 }) as u32;
        self.heap.push(index);
        self.sift_up(position);
        index
    }

    fn take(&mut self, index: u32) {
        let position = self.entries.remove(index as usize).heap_position as usize;
        let last = self.heap.pop().expect("the entry was in the heap");
        if position < self.heap.len() {
            self.heap[position] = last;
            self.entries[last as usize].heap_position = position as u32;
            let position = self.sift_up(position);
            self.sift_down(position);
        }
    }

    fn order(&self, position: usize) -> (Instant, u64) {
        let entry = &self.entries[self.heap[position] as usize];
        (entry.at, entry.sequence)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.entries[self.heap[a] as usize].heap_position = a as u32;
        self.entries[self.heap[b] as usize].heap_position = b as u32;
    }

    fn sift_up(&mut self, mut position: usize) -> usize {
        while position > 0 {
            let parent = (position - 1) / ARITY;
            if self.order(parent) <= self.order(position) {
                break;
            }
            self.swap(parent, position);
            position = parent;
        }
        position
    }

    fn sift_down(&mut self, mut position: usize) {
        loop {
            let first = position * ARITY + 1;
            let last = (first + ARITY).min(self.heap.len());
            let Some(least) = (first..last).min_by_key(|&c| self.order(c)) else { return };
            if self.order(position) <= self.order(least) {
                return;
            }
            self.swap(position, least);
            position = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn agrees_with_a_sorted_list_over_random_operations() {
        let mut rng = Rng::from_seed(3);
        let mut queue = AlarmQueue::new();
        let mut alarms: Vec<Alarm> = (0..64).map(|_| Alarm::default()).collect();
        let mut model: Vec<Option<Instant>> = vec![None; 64];
        for _ in 0..20_000 {
            let k = rng.below(64) as usize;
            let at = (rng.below(4) != 0).then(|| Instant::from_nanos(rng.below(50)));
            queue.set(&mut alarms[k], k, at);
            model[k] = at;
            assert_eq!(queue.next_deadline(), model.iter().flatten().min().copied());
            assert_eq!(queue.len(), model.iter().flatten().count());
        }
        while let Some(k) = queue.due(Instant::from_nanos(u64::MAX)) {
            assert_eq!(model[k], model.iter().flatten().min().copied());
            queue.set(&mut alarms[k], k, None);
            model[k] = None;
        }
        assert!(queue.is_empty());
    }
}
