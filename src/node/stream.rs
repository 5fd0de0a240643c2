//! One SIP TCP connection: octets in, frames out; messages in, octets out; and when its peer's patience or ours ends.

mod write_queue;

use crate::base::time::{Duration, Instant};
use crate::base::timer::Alarm;
use crate::proto::flow::LocalId;
use crate::proto::sip::framer::{Frame, FrameError, Framer};
use mio::net::TcpStream;
use std::fmt;
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use write_queue::WriteQueue;

/// Octets read from one connection before another source has its turn.
const READ_LIMIT: usize = 64 * 1024;
/// A connection that we open must be up by then: long enough to page a sleeping phone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// A peer that connects must have sent something by then.
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(120);
/// A message that has begun must be whole by then.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(32);
/// A peer must take some of what waits for it by then.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// A peer must have closed its side by then after we closed ours.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);

/// The life of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// We connect; nothing is written yet.
    Connecting,
    /// Both sides talk.
    Open,
    /// We have nothing to say any more: what is queued is written, then our side is closed; what comes in is thrown away.
    Finishing,
}

/// Why a connection ends.
#[derive(Debug)]
pub enum Closed {
    /// The peer has closed it, or we have and the peer followed.
    ByPeer,
    /// It could not be opened, or broke.
    Failed(io::Error),
    /// What came in was not SIP.
    NotSip(FrameError),
    /// Somebody took too long to do this.
    TimedOut(&'static str),
    /// More waits to be written than one connection may have.
    QueueFull,
    /// It was the one idle for longest when there were too many.
    Evicted,
    /// The security associations that it goes through end.
    Unprotected,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Closed::ByPeer => f.write_str("closed"),
            Closed::Failed(e) => write!(f, "failed: {e}"),
            Closed::NotSip(e) => write!(f, "closed by us: {e}"),
            Closed::TimedOut(what) => write!(f, "closed by us: timed out {what}"),
            Closed::QueueFull => {
                write!(f, "closed by us: more than {} octets wait for the peer", write_queue::MAX_QUEUED)
            }
            Closed::Evicted => {
                f.write_str("closed by us: too many connections, and this was idle for longest")
            }
            Closed::Unprotected => f.write_str("closed by us: its security associations end"),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
    local: LocalId,
    remote: SocketAddr,
    state: State,
    framer: Framer,
    queue: WriteQueue,
    /// When the present state began.
    since: Instant,
    has_spoken: bool,
    /// It is to be finished as soon as it is up.
    is_ending: bool,
    /// The peer has closed its side: what is queued, and what this turn adds to it, is still written.
    peer_is_done: bool,
    /// When the message began that is not whole yet.
    message_since: Option<Instant>,
    /// When what is queued began to wait, or was last written of.
    waiting_since: Option<Instant>,
    /// When anything came in or went out.
    last_used: Instant,
    /// The alarm for [`Stream::deadline`].
    pub alarm: Alarm,
    /// Octets of [`Stream::queued_len`] that are counted among those of all connections.
    pub counted: usize,
}

impl Stream {
    /// A connection that a peer has opened.
    pub fn accepted(socket: TcpStream, local: LocalId, remote: SocketAddr, now: Instant) -> Self {
        Self::new(socket, local, remote, now, State::Open)
    }

    /// A connection that we are opening.
    pub fn connecting(socket: TcpStream, local: LocalId, remote: SocketAddr, now: Instant) -> Self {
        Stream { has_spoken: true, ..Self::new(socket, local, remote, now, State::Connecting) }
    }

    fn new(socket: TcpStream, local: LocalId, remote: SocketAddr, now: Instant, state: State) -> Self {
        Stream {
            socket,
            local,
            remote,
            state,
            framer: Framer::new(),
            queue: WriteQueue::default(),
            since: now,
            has_spoken: false,
            is_ending: false,
            peer_is_done: false,
            message_since: None,
            waiting_since: None,
            last_used: now,
            alarm: Alarm::default(),
            counted: 0,
        }
    }

    /// The SIP socket that it belongs to.
    pub fn local(&self) -> LocalId {
        self.local
    }

    /// The peer.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// The socket, to be watched.
    pub fn socket_mut(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// When anything last came in or went out.
    pub fn last_used(&self) -> Instant {
        self.last_used
    }

    /// Whether it is not up yet.
    pub fn is_connecting(&self) -> bool {
        self.state == State::Connecting
    }

    /// Whether this message may be queued. A peer that has closed its side reads no request any more, but perhaps the answer that
    /// it waits for.
    pub fn takes(&self, message: &[u8]) -> bool {
        let is_response = message.starts_with(b"SIP/2.0 ");
        self.state != State::Finishing && !self.is_ending && (is_response || !self.peer_is_done)
    }

    /// Whether [`Stream::write`] is to be called at the end of the turn.
    pub fn wants_write(&self) -> bool {
        self.peer_is_done || !self.queue.is_empty()
    }

    /// Whether something waits to be written.
    pub fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Octets that wait to be written.
    pub fn queued_len(&self) -> usize {
        self.queue.len()
    }

    /// When somebody will have taken too long, and for what.
    pub fn deadline(&self) -> Option<(Instant, &'static str)> {
        let first = match self.state {
            State::Connecting => Some((self.since + CONNECT_TIMEOUT, "connecting")),
            State::Finishing => Some((self.since + FINISH_TIMEOUT, "waiting for the peer to close")),
            State::Open if !self.has_spoken => {
                Some((self.since + FIRST_MESSAGE_TIMEOUT, "waiting for a first message"))
            }
            State::Open => None,
        };
        let message = self.message_since.map(|t| (t + MESSAGE_TIMEOUT, "waiting for the rest of a message"));
        let write = self.waiting_since.map(|t| (t + WRITE_TIMEOUT, "waiting for the peer to read"));
        [first, message, write].into_iter().flatten().min()
    }

    /// Reads up to a limit and gives each message to `deliver`. Whether there may be more.
    pub fn read(&mut self, now: Instant, mut deliver: impl FnMut(&[u8])) -> Result<bool, Closed> {
        if self.state == State::Connecting {
            return Ok(false); // the edge came with the failure or the success, which the writable side tells apart
        }
        let mut taken = 0;
        while taken < READ_LIMIT {
            match self.socket.read(self.framer.room()) {
                Ok(0) => {
                    self.peer_is_done = true;
                    return Ok(false);
                }
                Ok(_) if self.state == State::Finishing => taken += 1024,
                Ok(n) => {
                    taken += n;
                    self.framer.received(n);
                    self.last_used = now;
                    self.take_frames(now, &mut deliver)?;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Closed::Failed(e)),
            }
        }
        Ok(true)
    }

    fn take_frames(&mut self, now: Instant, deliver: &mut impl FnMut(&[u8])) -> Result<(), Closed> {
        while let Some(frame) = self.framer.next_frame().map_err(Closed::NotSip)? {
            self.has_spoken = true;
            self.message_since = None;
            match frame {
                Frame::Message(octets) => deliver(octets),
                // RFC 5626 4.4.1: a ping is answered with a single line end
                Frame::Ping => self.queue.push(b"\r\n", 0).map_err(|_| Closed::QueueFull)?,
            }
        }
        if self.framer.is_within_message() {
            self.message_since.get_or_insert(now);
        }
        Ok(())
    }

    /// Queues a message; `tag` is whom a failure concerns.
    pub fn push(&mut self, octets: &[u8], tag: u64) -> Result<(), Closed> {
        self.queue.push(octets, tag).map_err(|_| Closed::QueueFull)
    }

    /// Writes what the socket takes. [`Closed::ByPeer`]: all is written, and the peer had closed its side.
    pub fn write(&mut self, now: Instant) -> Result<(), Closed> {
        if self.state == State::Connecting {
            return Ok(());
        }
        let wrote = self.queue.write(&mut self.socket).map_err(Closed::Failed)?;
        if wrote {
            self.last_used = now;
        }
        self.waiting_since = match self.waiting_since {
            _ if self.queue.is_empty() => None,
            Some(since) if !wrote => Some(since),
            _ => Some(now),
        };
        if self.peer_is_done && self.queue.is_empty() {
            return Err(Closed::ByPeer);
        }
        if self.state == State::Finishing && self.queue.is_empty() {
            // a peer that is gone already cannot be told
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    /// The socket has become writable: a connection is up or has failed, or there is room again.
    pub fn on_writable(&mut self, now: Instant) -> Result<(), Closed> {
        if self.state == State::Connecting {
            if let Some(error) = self.socket.take_error().map_err(Closed::Failed)? {
                return Err(Closed::Failed(error));
            }
            match self.socket.peer_addr() {
                Ok(_) => {
                    self.state = if self.is_ending { State::Finishing } else { State::Open };
                    self.since = now;
                }
                Err(e) if e.kind() == io::ErrorKind::NotConnected => return Ok(()),
                Err(e) => return Err(Closed::Failed(e)),
            }
        }
        self.write(now)
    }

    /// Closes our side once what is queued is written.
    pub fn finish(&mut self, now: Instant) -> Result<(), Closed> {
        match self.state {
            State::Finishing => Ok(()),
            State::Connecting if self.queue.is_empty() => Err(Closed::ByPeer),
            State::Connecting => {
                self.is_ending = true;
                Ok(())
            }
            State::Open => {
                (self.state, self.since) = (State::Finishing, now);
                self.message_since = None;
                self.write(now)
            }
        }
    }

    /// The tags of messages that were not wholly written.
    pub fn take_unsent(&mut self) -> impl Iterator<Item = u64> {
        self.queue.take_tags()
    }

    /// The tags of messages that were written last.
    pub fn take_written(&mut self) -> impl Iterator<Item = u64> {
        self.queue.take_written_tags()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream as StdStream};

    const MESSAGE: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\n\r\n";

    fn at(secs: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(secs)
    }

    /// A phone, and the connection as we accept it at second 0.
    fn pair() -> (StdStream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let phone = StdStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, remote) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        (phone, Stream::accepted(TcpStream::from_std(ours), LocalId(0), remote, at(0)))
    }

    /// Reads at second `secs` until so many messages have come.
    fn read(stream: &mut Stream, secs: u64, count: usize) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        // loopback delivers within the call that sends, so that this loop does not turn often
        while messages.len() < count {
            stream.read(at(secs), |m| messages.push(m.to_vec())).unwrap();
        }
        messages
    }

    #[test]
    fn messages_come_whole_however_they_are_sent() {
        let (mut phone, mut stream) = pair();
        phone.write_all(&MESSAGE.repeat(3)).unwrap();
        assert_eq!(read(&mut stream, 1, 3), [MESSAGE; 3]);
        let (head, tail) = MESSAGE.split_at(20);
        phone.write_all(head).unwrap();
        assert!(read(&mut stream, 2, 0).is_empty());
        phone.write_all(tail).unwrap();
        assert_eq!(read(&mut stream, 3, 1), [MESSAGE]);
    }

    #[test]
    fn a_peer_must_speak_and_must_end_what_it_began() {
        let (mut phone, mut stream) = pair();
        assert_eq!(stream.deadline(), Some((at(120), "waiting for a first message")));
        phone.write_all(MESSAGE).unwrap();
        read(&mut stream, 5, 1);
        assert_eq!(stream.deadline(), None, "an idle connection may stay");
        phone.write_all(b"OPTIONS").unwrap();
        while stream.deadline().is_none() {
            stream.read(at(10), |_| ()).unwrap();
        }
        phone.write_all(b" sip").unwrap();
        stream.read(at(20), |_| ()).unwrap();
        assert_eq!(
            stream.deadline(),
            Some((at(42), "waiting for the rest of a message")),
            "drops do not extend it"
        );
    }

    #[test]
    fn a_peer_must_read_what_waits_for_it() {
        let (_phone, mut stream) = pair();
        stream.has_spoken = true;
        while !stream.has_queued() {
            stream.push(&[b'x'; 500_000], 7).unwrap();
            stream.write(at(1)).unwrap();
        }
        stream.write(at(30)).unwrap();
        assert_eq!(stream.deadline(), Some((at(61), "waiting for the peer to read")));
        assert_eq!(stream.take_unsent().collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn an_answer_still_reaches_a_peer_that_has_closed_its_side() {
        let (mut phone, mut stream) = pair();
        phone.write_all(MESSAGE).unwrap();
        phone.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read(&mut stream, 1, 1), [MESSAGE]);
        while !stream.wants_write() {
            stream.read(at(1), |_| ()).unwrap();
        }
        assert!(stream.takes(b"SIP/2.0 200 OK") && !stream.takes(MESSAGE));
        stream.push(b"answer", 0).unwrap();
        assert!(matches!(stream.write(at(1)), Err(Closed::ByPeer)));
        drop(stream);
        let mut answer = String::new();
        phone.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
    }

    #[test]
    fn what_is_finished_takes_no_messages_and_waits_for_the_peer_only_so_long() {
        let (mut phone, mut stream) = pair();
        stream.push(b"last", 0).unwrap();
        stream.finish(at(10)).unwrap();
        assert!(!stream.takes(MESSAGE));
        assert_eq!(stream.deadline(), Some((at(15), "waiting for the peer to close")));
        let mut text = String::new();
        phone.read_to_string(&mut text).unwrap();
        assert_eq!(text, "last");
        phone.write_all(MESSAGE).unwrap();
        drop(phone);
        while !stream.wants_write() {
            stream.read(at(11), |m| panic!("{m:?} after the end")).unwrap();
        }
        assert!(matches!(stream.write(at(11)), Err(Closed::ByPeer)));
    }

    #[test]
    fn a_connection_of_ours_must_come_up_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let socket = platform::socket::connect_tcp("127.0.0.1:0".parse().unwrap(), to).unwrap();
        let mut stream = Stream::connecting(TcpStream::from_std(socket), LocalId(0), to, at(0));
        stream.push(b"hello", 1).unwrap();
        assert_eq!(stream.deadline(), Some((at(20), "connecting")));
        stream.finish(at(1)).unwrap();
        assert!(!stream.takes(MESSAGE));
        let (mut phone, _) = listener.accept().unwrap();
        stream.on_writable(at(2)).unwrap();
        let mut text = String::new();
        phone.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }
}
