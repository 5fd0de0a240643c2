//! One connection of a monitor: lines in, lines out, both bounded. Responses leave in the order of their requests, also where one has
//! to be waited for.

use crate::api::message::{Pending, Reply};
use crate::ims::sms::OrderId;
use mio::net::UnixStream;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};

/// Octets of one request line; a longer one is answered with an error and the connection is closed.
pub(super) const LINE_BYTES: usize = 64 << 10;

/// Octets of unread responses above which no further request of this client is read until it has read them.
const OUTPUT_HIGH: usize = 1 << 20;

/// Requests of one client in one turn of the loop; the rest waits for the next.
const REQUESTS_A_TURN: usize = 16;

/// Responses of one client that wait, for an outcome or behind one that does; beyond it no further request of this client is read until
/// one of them has left.
const WAITING: usize = 256;

/// What carries out one request line and gives each answer to the closure.
pub(super) type Serve<'a> = dyn FnMut(&[u8], &mut dyn FnMut(Reply)) + 'a;

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
    queue: Queue,
    /// No more is read: the end of file came, or the line was too long.
    finished: bool,
}

impl Client {
    pub(super) fn new(stream: UnixStream) -> Client {
        Client {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            queue: Queue::default(),
            finished: false,
        }
    }

    /// An order has its outcome. Whether this client waits for it; then it is to be served.
    pub(super) fn settle(&mut self, order: OrderId, response: impl FnOnce(Pending) -> Value) -> bool {
        self.queue.settle(order, response, &mut self.output)
    }

    /// Goes on until the socket blocks or the turn's share is used up.
    pub(super) fn advance(&mut self, serve: &mut Serve<'_>) -> Outcome {
        let mut requests = 0;
        loop {
            if self.write().is_err() {
                return Outcome::Closed;
            }
            if self.output.len() + self.queue.octets > OUTPUT_HIGH || self.queue.places.len() >= WAITING {
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
                let is_done = self.output.is_empty() && self.queue.places.is_empty();
                return if is_done { Outcome::Closed } else { Outcome::Waits };
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
                self.queue.push(Reply::Now(json!({ "error": problem })), &mut self.output);
                return true;
            }
            return false;
        };
        let line = &self.input[..end];
        if !line.trim_ascii().is_empty() {
            let Client { output, queue, .. } = self;
            serve(line, &mut |reply| queue.push(reply, output));
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

/// Responses that cannot leave yet. The first is waited for.
#[derive(Debug, Default)]
struct Queue {
    places: VecDeque<Place>,
    /// Octets of those that are known.
    octets: usize,
}

#[derive(Debug)]
enum Place {
    Known(Vec<u8>),
    Waits(Pending),
}

impl Queue {
    /// Takes an answer in; what need not wait goes to `output`.
    fn push(&mut self, reply: Reply, output: &mut Vec<u8>) {
        match reply {
            Reply::Now(response) if self.places.is_empty() => push_line(output, &response),
            Reply::Now(response) => {
                let line = line_of(&response);
                self.octets += line.len();
                self.places.push_back(Place::Known(line));
            }
            Reply::Later(pending) => self.places.push_back(Place::Waits(pending)),
        }
    }

    /// An order has its outcome; what can leave now goes to `output`. Whether somebody waits for it.
    fn settle(
        &mut self,
        order: OrderId,
        response: impl FnOnce(Pending) -> Value,
        output: &mut Vec<u8>,
    ) -> bool {
        let is_meant = |place: &Place| matches!(place, Place::Waits(pending) if pending.order() == order);
        let Some(place) = self.places.iter_mut().find(|place| is_meant(place)) else { return false };
        if let Place::Waits(pending) = std::mem::replace(place, Place::Known(Vec::new())) {
            let line = line_of(&response(pending));
            self.octets += line.len();
            *place = Place::Known(line);
        }
        while let Some(Place::Known(line)) = self.places.front() {
            output.extend_from_slice(line);
            self.octets -= line.len();
            self.places.pop_front();
        }
        true
    }
}

fn line_of(response: &Value) -> Vec<u8> {
    let mut line = Vec::new();
    push_line(&mut line, response);
    line
}

fn push_line(output: &mut Vec<u8>, response: &Value) {
    serde_json::to_writer(&mut *output, response).expect("a JSON value is written to memory");
    output.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::cx::NoSets;
    use crate::api::log_options::LogConfig;
    use crate::api::message;
    use crate::base::rng::Rng;
    use crate::config::model::{Config, Impu, User};
    use crate::ims::core::Core;
    use crate::node::log_file::LogFile;
    use crate::node::world::World;
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

    fn echo(line: &[u8], reply: &mut dyn FnMut(Reply)) {
        reply(Reply::Now(json!(String::from_utf8_lossy(line))));
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

    /// Takes orders whose outcome the test gives.
    struct Desk {
        world: World,
        core: Core,
    }

    impl Desk {
        fn new() -> Desk {
            let user = User {
                impi: "alice@example.org".into(),
                impus: vec![Impu::new("tel:600")],
                ..User::default()
            };
            let config = Config { users: vec![user], ..Config::default() };
            let log = Box::new(LogFile::none(LogConfig::default()));
            Desk { core: Core::new(config, &mut Rng::from_seed(1)), world: World::new(log).unwrap() }
        }

        /// `text` is an order; all else is echoed.
        fn serve(&mut self, line: &[u8], reply: &mut dyn FnMut(Reply)) {
            match line {
                b"text" => {
                    let request = json!({ "message": "sms", "user": "600", "text": "x" });
                    let mut sets = NoSets;
                    reply(message::respond(&mut self.world.api_cx(&mut self.core, &mut sets), &request));
                }
                line => echo(line, reply),
            }
        }

        /// The disk has taken everything; the client is told.
        fn store(&mut self, client: &mut Client) {
            let ticket = self.world.out.last_ticket();
            self.core.on_durable(&mut self.world.cx(), ticket);
            while let Some((order, outcome)) = self.core.pop_sms_order() {
                let mut sets = NoSets;
                let cx = self.world.api_cx(&mut self.core, &mut sets);
                assert!(client.settle(order, |pending| pending.response(&cx, outcome)));
            }
        }
    }

    #[test]
    fn what_waits_is_answered_in_its_order_also_to_who_has_closed_its_side() {
        let (mut client, mut peer) = pair();
        let mut desk = Desk::new();
        peer.write_all(b"one\ntext\ntwo\ntext\n").unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(client.advance(&mut |line, reply| desk.serve(line, reply)), Outcome::Waits);
        assert_eq!(received(&mut peer), "\"one\"\n");
        desk.store(&mut client);
        assert_eq!(client.advance(&mut |line, reply| desk.serve(line, reply)), Outcome::Closed);
        let lines = received(&mut peer);
        let lines: Vec<&str> = lines.lines().collect();
        assert!(lines[0].contains("\"parts\":1") && lines[2].contains("\"parts\":1"), "{lines:?}");
        assert_eq!((lines[1], lines.len(), client.queue.octets), ("\"two\"", 3, 0));
    }

    #[test]
    fn who_waits_for_much_is_not_served_further_until_it_has_its_answers() {
        let (mut client, mut peer) = pair();
        let mut desk = Desk::new();
        peer.write_all(&b"text\n".repeat(WAITING + 9)).unwrap();
        for _ in 0..2 * WAITING {
            client.advance(&mut |line, reply| desk.serve(line, reply));
        }
        assert_eq!(client.queue.places.len(), WAITING);
        let mut lines = 0;
        while lines < WAITING + 9 {
            desk.store(&mut client);
            while client.advance(&mut |line, reply| desk.serve(line, reply)) == Outcome::More {}
            lines += received(&mut peer).lines().count();
        }
        assert!(client.queue.places.is_empty() && client.output.is_empty());
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
        let mut serve = |_: &[u8], reply: &mut dyn FnMut(Reply)| {
            served += 1;
            reply(Reply::Now(json!(big)));
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
