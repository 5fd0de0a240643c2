//! What waits to be written on a connection, and whom it concerns if it never is.

use std::collections::VecDeque;
use std::io::{self, Write};

/// Most octets that may wait for one peer: some 500 messages.
pub const MAX_QUEUED: usize = 1 << 20;
/// Memory that an empty queue keeps: some messages' worth, so that most turns allocate nothing.
const KEPT: usize = 8 * 1024;

/// Tags of written messages that are remembered until the connection goes: more than requests to one peer wait for an answer.
const REMEMBERED: usize = 16;

/// The queue is full.
#[derive(Debug)]
pub struct Full;

/// Octets in order, with the ends of those messages that concern somebody.
#[derive(Debug, Default)]
pub struct WriteQueue {
    octets: Vec<u8>,
    written: usize,
    /// Where in `octets` each tagged message ends.
    tags: VecDeque<(usize, u64)>,
    /// A ring of the tags of the messages that were written last; 0 where there is none.
    written_tags: [u64; REMEMBERED],
    next_written: usize,
}

impl WriteQueue {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets that wait.
    pub fn len(&self) -> usize {
        self.octets.len() - self.written
    }

    /// Adds a message. `tag` is whom its loss concerns, 0 for nobody.
    pub fn push(&mut self, message: &[u8], tag: u64) -> Result<(), Full> {
        if self.len() + message.len() > MAX_QUEUED {
            return Err(Full);
        }
        self.octets.extend_from_slice(message);
        if tag != 0 {
            self.tags.push_back((self.octets.len(), tag));
        }
        Ok(())
    }

    /// Writes until all is written or the socket takes no more. Whether anything was written.
    pub fn write(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        let before = self.written;
        while !self.is_empty() {
            match socket.write(&self.octets[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.written += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let any = self.written > before;
        while let Some(&(_, tag)) = self.tags.front().filter(|(end, _)| *end <= self.written) {
            self.tags.pop_front();
            self.written_tags[self.next_written] = tag;
            self.next_written = (self.next_written + 1) % REMEMBERED;
        }
        self.compact();
        Ok(any)
    }

    /// Forgets everything and gives the tags of the messages that were not wholly written.
    pub fn take_tags(&mut self) -> impl Iterator<Item = u64> {
        self.octets.clear();
        self.written = 0;
        std::mem::take(&mut self.tags).into_iter().map(|(_, tag)| tag)
    }

    /// The tags of the last messages that were wholly written, the oldest first.
    pub fn take_written_tags(&mut self) -> impl Iterator<Item = u64> {
        let mut tags = std::mem::take(&mut self.written_tags);
        tags.rotate_left(self.next_written);
        tags.into_iter().filter(|tag| *tag != 0)
    }

    fn compact(&mut self) {
        if self.is_empty() {
            self.octets.clear();
            self.octets.shrink_to(KEPT);
        } else if self.written >= self.octets.len() / 2 {
            // at most as many octets are moved as were written
            self.octets.drain(..self.written);
        } else {
            return;
        }
        self.tags.iter_mut().for_each(|(end, _)| *end -= self.written);
        self.written = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    /// Takes so many octets, then says `WouldBlock`.
    struct Narrow {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let n = octets.len().min(self.room);
            if n == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room -= n;
            self.taken.extend_from_slice(&octets[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn octets_leave_in_order_whatever_the_socket_takes() {
        let mut rng = Rng::from_seed(2);
        let (mut queue, mut expected) = (WriteQueue::default(), Vec::new());
        let mut socket = Narrow { taken: Vec::new(), room: 0 };
        for tag in 1..2000u64 {
            let message = vec![tag as u8; rng.below(300) as usize];
            queue.push(&message, tag).unwrap();
            expected.extend_from_slice(&message);
            socket.room = rng.below(310) as usize;
            queue.write(&mut socket).unwrap();
        }
        socket.room = usize::MAX;
        queue.write(&mut socket).unwrap();
        assert!(queue.is_empty());
        assert!(socket.taken == expected);
        assert_eq!(queue.take_tags().count(), 0);
    }

    #[test]
    fn what_is_not_wholly_written_concerns_its_sender() {
        let mut queue = WriteQueue::default();
        for (message, tag) in [(&b"one"[..], 1), (b"two", 0), (b"three", 3), (b"four", 4)] {
            queue.push(message, tag).unwrap();
        }
        queue.write(&mut Narrow { taken: Vec::new(), room: 8 }).unwrap();
        assert_eq!(queue.take_written_tags().collect::<Vec<_>>(), [1]);
        assert_eq!(queue.take_written_tags().count(), 0);
        assert_eq!(queue.take_tags().collect::<Vec<_>>(), [3, 4]);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_was_written_last_is_remembered() {
        let mut queue = WriteQueue::default();
        let mut socket = Narrow { taken: Vec::new(), room: usize::MAX };
        for tag in 1..=REMEMBERED as u64 + 3 {
            queue.push(b"x", tag).unwrap();
            queue.write(&mut socket).unwrap();
        }
        let tags: Vec<u64> = queue.take_written_tags().collect();
        assert_eq!(tags, (4..=REMEMBERED as u64 + 3).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_queue_refuses() {
        let mut queue = WriteQueue::default();
        queue.push(&vec![0; MAX_QUEUED], 1).unwrap();
        assert!(queue.push(b"x", 2).is_err());
        queue.write(&mut Narrow { taken: Vec::new(), room: 1 }).unwrap();
        queue.push(b"x", 2).unwrap();
    }
}
