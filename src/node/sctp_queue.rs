//! Messages that wait for an MME: each leaves whole, on its stream.

use std::collections::VecDeque;
use std::io;

/// Octets that may wait for one MME; beyond it the association is closed, since the MME does not read. A thousand messages of 250.
const MAX_QUEUED: usize = 256 * 1024;

/// Too much waits.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// The messages, oldest first.
#[derive(Debug, Default)]
pub struct SctpQueue {
    messages: VecDeque<(u16, Box<[u8]>)>,
    octets: usize,
}

impl SctpQueue {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.octets = 0;
    }

    /// Adds a message for a stream.
    pub fn push(&mut self, octets: &[u8], stream: u16) -> Result<(), Full> {
        if self.octets + octets.len() > MAX_QUEUED {
            return Err(Full);
        }
        self.octets += octets.len();
        self.messages.push_back((stream, octets.into()));
        Ok(())
    }

    /// Sends what waits, until `send` says `WouldBlock`. Another error is the association's.
    pub fn write(&mut self, mut send: impl FnMut(&[u8], u16) -> io::Result<()>) -> io::Result<()> {
        while let Some((stream, octets)) = self.messages.front() {
            match send(octets, *stream) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
            self.octets -= octets.len();
            self.messages.pop_front();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_leave_in_order_as_far_as_the_peer_takes_them() {
        let mut queue = SctpQueue::default();
        [(1, b"one"), (2, b"two")].iter().for_each(|(stream, text)| queue.push(*text, *stream).unwrap());
        let mut taken = Vec::new();
        let mut room = 1;
        let mut send = |octets: &[u8], stream: u16| {
            if room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            room -= 1;
            taken.push((octets.to_vec(), stream));
            Ok(())
        };
        queue.write(&mut send).unwrap();
        assert!(!queue.is_empty());
        queue
            .write(|octets, stream| {
                taken.push((octets.to_vec(), stream));
                Ok(())
            })
            .unwrap();
        assert_eq!(taken, [(b"one".to_vec(), 1), (b"two".to_vec(), 2)]);
        assert!(queue.is_empty() && queue.octets == 0);
    }

    #[test]
    fn what_waits_is_bounded_and_an_error_is_told() {
        let mut queue = SctpQueue::default();
        let message = [0; 1024];
        (0..256).for_each(|_| queue.push(&message, 0).unwrap());
        assert_eq!(queue.push(&[0], 0), Err(Full));
        let error = queue.write(|_, _| Err(io::ErrorKind::BrokenPipe.into())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        queue.clear();
        assert_eq!(queue.push(&message, 0), Ok(()));
    }
}
