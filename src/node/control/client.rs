//! One connection of a monitor: lines in, lines out, both bounded.

use mio::net::UnixStream;
use serde_json::{Value, json};
use std::io::{self, Read as _, Write as _};

/// Octets of one request line; a longer one is answered with an error and the connection is closed.
pub(super) const LINE_BYTES: usize = 64 << 10;

/// Octets of unread responses above which no further request of this client is read until it has read them.
const OUTPUT_HIGH: usize = 1 << 20;

/// Requests of one client in one turn of the loop; the rest waits for the next.
const REQUESTS_A_TURN: usize = 16;

/// What carries out one request line and gives each response to the closure.
pub(super) type Serve<'a> = dyn FnMut(&[u8], &mut dyn FnMut(&Value)) + 'a;

/// What is to become of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It waits for the socket.
    Waits,
    /// It has more to do, in a later turn.
    More,
    /// It is to be closed.
    Closed,
}

/// A client and what is under way.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    /// No more is read: the end of file came, or the line was too long.
    finished: bool,
}

impl Client {
    pub(super) fn new(stream: UnixStream) -> Client {
        Client { stream, input: Vec::new(), output: Vec::new(), written: 0, finished: false }
    }

    /// Goes on until the socket blocks or the turn's share is used up.
    pub(super) fn advance(&mut self, serve: &mut Serve<'_>) -> Outcome {
        let mut requests = 0;
        loop {
            if self.write().is_err() {
                return Outcome::Closed;
            }
            if self.output.len() > OUTPUT_HIGH {
                return Outcome::Waits;
            }
            if requests == REQUESTS_A_TURN {
                return Outcome::More;
            }
            if self.serve_line(serve) {
                requests += 1;
                continue;
            }
            if self.finished {
                return if self.output.is_empty() { Outcome::Closed } else { Outcome::Waits };
            }
            match self.read() {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Outcome::Waits,
                Err(_) => return Outcome::Closed,
            }
        }
    }

    /// Serves the first line of the input, if it is whole.
    fn serve_line(&mut self, serve: &mut Serve<'_>) -> bool {
        let Some(end) = memchr::memchr(b'\n', &self.input) else {
            if self.input.len() > LINE_BYTES {
                self.input.clear();
                self.finished = true;
                let problem = format!("the request has more than {LINE_BYTES} octets");
                push_line(&mut self.output, &json!({ "error": problem }));
                return true;
            }
            return false;
        };
        let line = &self.input[..end];
        if !line.trim_ascii().is_empty() {
            let output = &mut self.output;
            serve(line, &mut |response| push_line(output, response));
        }
        self.input.drain(..=end);
        true
    }

    fn read(&mut self) -> io::Result<()> {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => self.finished = true,
            Ok(n) => self.input.extend_from_slice(&chunk[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Writes as much output as the socket takes; that it blocks is no error.
    fn write(&mut self) -> io::Result<()> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.written += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.output.drain(..self.written);
        self.written = 0;
        Ok(())
    }
}

fn push_line(output: &mut Vec<u8>, response: &Value) {
    serde_json::to_writer(&mut *output, response).expect("a JSON value is written to memory");
    output.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream as Blocking;

    fn pair() -> (Client, Blocking) {
        let (ours, theirs) = Blocking::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        (Client::new(UnixStream::from_std(ours)), theirs)
    }

    fn received(peer: &mut Blocking) -> String {
        let mut all = Vec::new();
        // ends with WouldBlock; what was read before it is kept
        let _ = peer.read_to_end(&mut all);
        String::from_utf8(all).unwrap()
    }

    fn echo(line: &[u8], reply: &mut dyn FnMut(&Value)) {
        reply(&json!(String::from_utf8_lossy(line)));
    }

    #[test]
    fn whole_lines_are_served_in_order_however_they_are_cut() {
        let (mut client, mut peer) = pair();
        peer.write_all(b"on").unwrap();
        assert_eq!(client.advance(&mut echo), Outcome::Waits);
        assert_eq!(received(&mut peer), "");
        peer.write_all(b"e\n\ntwo\nthr").unwrap();
        assert_eq!(client.advance(&mut echo), Outcome::Waits);
        assert_eq!(received(&mut peer), "\"one\"\n\"two\"\n");
        drop(peer);
        assert_eq!(client.advance(&mut echo), Outcome::Closed);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let (mut client, mut peer) = pair();
        peer.set_nonblocking(false).unwrap();
        peer.write_all(&vec![b'x'; LINE_BYTES + 1]).unwrap();
        peer.set_nonblocking(true).unwrap();
        assert_eq!(client.advance(&mut echo), Outcome::Closed);
        assert!(received(&mut peer).contains("more than 65536 octets"));
    }

    #[test]
    fn a_client_gets_its_share_of_a_turn() {
        let (mut client, mut peer) = pair();
        peer.write_all(&b"a\n".repeat(REQUESTS_A_TURN + 1)).unwrap();
        assert_eq!(client.advance(&mut echo), Outcome::More);
        assert_eq!(client.advance(&mut echo), Outcome::Waits);
        assert_eq!(received(&mut peer).lines().count(), REQUESTS_A_TURN + 1);
    }

    #[test]
    fn a_client_that_does_not_read_is_not_served_further() {
        let (mut client, mut peer) = pair();
        let big = "x".repeat(OUTPUT_HIGH / 2);
        let mut served = 0;
        let mut serve = |_: &[u8], reply: &mut dyn FnMut(&Value)| {
            served += 1;
            reply(&json!(big));
        };
        peer.write_all(&b"a\n".repeat(10)).unwrap();
        assert_eq!(client.advance(&mut serve), Outcome::Waits);
        assert!(client.output.len() <= OUTPUT_HIGH * 2);
        let mut lines = 0;
        while client.advance(&mut serve) != Outcome::Waits || lines < 10 {
            lines += received(&mut peer).matches('\n').count();
        }
        assert_eq!((served, lines), (10, 10));
    }
}
