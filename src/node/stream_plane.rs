//! All SIP TCP listeners and connections.
//!
//! A connection to a phone with IPsec starts from a protected client port itself, which all of them share; it ends abruptly, since
//! what the kernel still sent for it might find no association to go through.

use crate::base::arena::{Arena, Id};
use crate::base::time::{Duration, Instant};
use crate::base::timer::AlarmQueue;
use crate::base::trace::{Layer, Level, Subject};
use crate::config::model::SipSettings;
use crate::ims::core::Core;
use crate::node::listener::{Accepted, TcpEnd};
use crate::node::stream::{Closed, Stream};
use crate::node::token::{Kind, Source};
use crate::node::world::World;
use crate::proto::flow::{ConnId, Flow, LocalId};
use mio::net::TcpStream;
use mio::{Interest, Registry};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

/// Most connections at a time, of all listeners together: one for each of as many phones, at some 20 KiB each.
pub const MAX_CONNECTIONS: usize = 8192;
/// Most octets that may wait for all peers together; beyond it the connection is closed for which most waits, whose peer does not
/// read.
const MAX_QUEUED_IN_ALL: usize = 64 << 20;
/// A connection that was idle for less is never closed to make room: 64*T1, the life of a transaction (TS 24.229 table 7.7.1).
const EVICTION_AGE: Duration = Duration::from_secs(128);
/// How long connections wait after the kernel would not give us one.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Connections taken from one listener before another source has its turn.
const ACCEPT_LIMIT: usize = 64;

/// Our ends by `LocalId`, and every connection by `ConnId`.
#[derive(Debug)]
pub struct StreamPlane {
    ends: Vec<TcpEnd>,
    streams: Arena<Stream>,
    /// The newest connection to each peer, for flows that name none.
    by_peer: HashMap<(LocalId, SocketAddr), Id<Stream>>,
    alarms: AlarmQueue<Id<Stream>>,
    /// Those that have something new to write.
    dirty: Vec<Id<Stream>>,
    /// Octets that wait to be written, on all connections.
    queued: usize,
    max_queued: usize,
    keepalive: (Duration, u32),
    /// When the listeners are to be tried again after one of them failed.
    accept_again: Option<Instant>,
}

impl StreamPlane {
    /// Takes the listeners over and watches them. `cap` is how many connections there may be at a time.
    pub fn new(
        mut ends: Vec<TcpEnd>,
        settings: &SipSettings,
        cap: usize,
        registry: &Registry,
    ) -> io::Result<Self> {
        for (local, end) in (0..=u8::MAX).zip(&mut ends) {
            end.listener.iter_mut().try_for_each(|l| l.register(LocalId(local), registry))?;
        }
        Ok(StreamPlane {
            ends,
            streams: Arena::with_cap(cap),
            by_peer: HashMap::new(),
            alarms: AlarmQueue::new(),
            dirty: Vec::new(),
            queued: 0,
            max_queued: MAX_QUEUED_IN_ALL,
            keepalive: (settings.tcp_keepalive, settings.tcp_keepcount),
            accept_again: None,
        })
    }

    /// Takes new connections of one listener, up to a limit. Whether there may be more.
    pub fn accept(&mut self, slot: u32, registry: &Registry, core: &mut Core, world: &mut World) -> bool {
        for _ in 0..ACCEPT_LIMIT {
            let end = self.ends.get_mut(slot as usize);
            let Some(listener) = end.and_then(|e| e.listener.as_mut()) else { return false };
            let accepted = listener.accept();
            match accepted {
                Ok(Accepted::Nothing) => return false,
                Ok(Accepted::NoDescriptor) => {
                    let text = format_args!("TCP connection refused: this process has no more descriptors");
                    world.trace(Layer::Sip, Level::Error, Subject::None, text);
                }
                Ok(Accepted::Stream(socket, remote)) => {
                    let local = LocalId(slot as u8);
                    let stream = Stream::accepted(socket, local, remote, world.now);
                    if let Some(id) = self.admit(stream, registry, core, world) {
                        self.refresh(id);
                        let text = format_args!("TCP connection {} from {remote}", id.to_bits());
                        world.trace(Layer::Sip, Level::Debug, Subject::None, text);
                    }
                }
                Err(e) => {
                    let text = format_args!("accepting a TCP connection failed: {e}");
                    world.trace(Layer::Sip, Level::Error, Subject::None, text);
                    // those that wait give no further edge
                    self.accept_again = Some(world.now + ACCEPT_PAUSE);
                    return false;
                }
            }
        }
        true
    }

    /// The listeners, if it is time to try them again.
    pub fn ready_again(&mut self, now: Instant) -> impl Iterator<Item = Source> + use<> {
        let is_time = self.accept_again.take_if(|at| *at <= now).is_some();
        let slots = (0..).zip(&self.ends).filter(|(_, end)| is_time && end.listener.is_some());
        let sources: Vec<Source> = slots.map(|(slot, _)| Source::fixed(Kind::Listener, slot)).collect();
        sources.into_iter()
    }

    /// Reads one connection up to a limit. Whether there may be more.
    pub fn drain(&mut self, source: Source, core: &mut Core, world: &mut World) -> bool {
        let Some(id) = self.find(source) else { return false };
        let Some(stream) = self.streams.get_mut(id) else { return false };
        let flow = Flow::tcp(stream.local(), stream.remote(), Some(ConnId(id.to_bits())));
        let result = stream.read(world.now, |octets| core.on_sip(&mut world.cx(), flow, octets));
        match result {
            Ok(more) => {
                if stream.wants_write() {
                    self.dirty.push(id);
                }
                self.refresh(id);
                more
            }
            Err(why) => {
                self.close_now(id, &why, core, world);
                false
            }
        }
    }

    /// One connection has become writable, is up, or has failed.
    pub fn on_writable(&mut self, source: Source, core: &mut Core, world: &mut World) {
        if let Some(id) = self.find(source) {
            self.with(id, core, world, |stream, now| stream.on_writable(now));
        }
    }

    /// Queues a message for the flow's connection, or another one to the same peer, or a new one. `Err`: it cannot be sent, and
    /// its sender is to be told.
    pub fn send(
        &mut self,
        flow: Flow,
        octets: &[u8],
        tag: u64,
        registry: &Registry,
        core: &mut Core,
        world: &mut World,
    ) -> io::Result<()> {
        let named = flow.conn.map(|c| Id::from_bits(c.0));
        let to_peer = self.by_peer.get(&(flow.local, flow.remote)).copied();
        let usable = |id: &Id<Stream>| self.streams.get(*id).is_some_and(|s| s.takes(octets));
        let id = match named.filter(usable).or(to_peer.filter(usable)) {
            Some(id) => id,
            None => self.connect(flow, registry, core, world)?,
        };
        let Some(stream) = self.streams.get_mut(id) else { return Err(io::ErrorKind::NotConnected.into()) };
        match stream.push(octets, tag) {
            Ok(()) => {
                self.dirty.push(id);
                self.refresh(id);
                self.relieve(core, world);
                Ok(())
            }
            Err(why) => {
                self.close_now(id, &why, core, world);
                Err(io::Error::other("too much waits for the peer"))
            }
        }
    }

    /// Closes a connection once what is queued on it is written.
    pub fn finish(&mut self, conn: ConnId, core: &mut Core, world: &mut World) {
        self.with(Id::from_bits(conn.0), core, world, |stream, now| stream.finish(now));
    }

    /// Gives up the connection that a flow waits for, if it is not up yet.
    pub fn give_up_connecting(&mut self, flow: Flow, core: &mut Core, world: &mut World) {
        let to_peer = self.by_peer.get(&(flow.local, flow.remote)).copied();
        if let Some(id) = to_peer.filter(|id| self.streams.get(*id).is_some_and(Stream::is_connecting)) {
            self.close_now(id, &Closed::TimedOut("connecting, for who has another way"), core, world);
        }
    }

    /// Closes the connection between a protected end of ours and a peer at once, if there is one: nothing more leaves on it. Between
    /// two ports there is one at most.
    pub fn abort(&mut self, local: LocalId, remote: SocketAddr, core: &mut Core, world: &mut World) {
        if let Some(id) = self.by_peer.get(&(local, remote)).copied() {
            self.close_now(id, &Closed::Unprotected, core, world);
        }
    }

    /// Does so with all connections at protected ends, for the end of the program.
    pub fn abort_protected(&mut self, core: &mut Core, world: &mut World) {
        let protected = |s: &Stream| self.is_protected(s.local());
        let all: Vec<Id<Stream>> =
            self.streams.iter().filter(|(_, s)| protected(s)).map(|(id, _)| id).collect();
        all.into_iter().for_each(|id| self.close_now(id, &Closed::Unprotected, core, world));
    }

    /// Writes what was queued in this turn.
    pub fn write_queued(&mut self, core: &mut Core, world: &mut World) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for id in dirty.drain(..) {
            self.with(id, core, world, |stream, now| stream.write(now));
        }
        self.dirty = dirty;
    }

    /// When a peer will have taken too long, or listeners are to be tried again.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.alarms.next_deadline().into_iter().chain(self.accept_again).min()
    }

    /// Closes the connections whose peers have taken too long.
    pub fn tick(&mut self, core: &mut Core, world: &mut World) {
        while let Some(id) = self.alarms.due(world.now) {
            let late = self.streams.get(id).and_then(Stream::deadline);
            let what = late.map_or("", |(_, what)| what);
            self.close_now(id, &Closed::TimedOut(what), core, world);
        }
    }

    /// Whether some connection has something to write.
    pub fn has_queued(&self) -> bool {
        self.streams.iter().any(|(_, s)| s.has_queued())
    }

    fn is_protected(&self, local: LocalId) -> bool {
        self.ends.get(usize::from(local.0)).is_some_and(|end| end.is_protected)
    }

    fn find(&self, source: Source) -> Option<Id<Stream>> {
        self.streams.id_at(source.slot).filter(|id| Source::of(Kind::Stream, *id) == source)
    }

    /// Does something with a connection, and closes it if that fails.
    fn with(
        &mut self,
        id: Id<Stream>,
        core: &mut Core,
        world: &mut World,
        what: impl FnOnce(&mut Stream, Instant) -> Result<(), Closed>,
    ) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        match what(stream, world.now) {
            Ok(()) => self.refresh(id),
            Err(why) => self.close_now(id, &why, core, world),
        }
    }

    /// Brings what the plane keeps about a connection up to date: its alarm and its part of what is queued.
    fn refresh(&mut self, id: Id<Stream>) {
        if let Some(stream) = self.streams.get_mut(id) {
            let at = stream.deadline().map(|(at, _)| at);
            self.alarms.set(&mut stream.alarm, id, at);
            self.queued = self.queued - stream.counted + stream.queued_len();
            stream.counted = stream.queued_len();
        }
    }

    /// Closes connections, those first for which most waits, until no more waits than may.
    fn relieve(&mut self, core: &mut Core, world: &mut World) {
        while self.queued > self.max_queued {
            let Some((_, most)) = self.streams.iter().map(|(id, s)| (s.queued_len(), id)).max() else {
                return;
            };
            self.close_now(most, &Closed::QueueFull, core, world);
        }
    }

    fn connect(
        &mut self,
        flow: Flow,
        registry: &Registry,
        core: &mut Core,
        world: &mut World,
    ) -> io::Result<Id<Stream>> {
        let end = self.ends.get(usize::from(flow.local.0)).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let never = || io::Error::other("no connection is opened from a protected server port");
        let from = end.from.ok_or_else(never)?;
        let socket = TcpStream::from_std(platform::socket::connect_tcp(from, flow.remote)?);
        let stream = Stream::connecting(socket, flow.local, flow.remote, world.now);
        let id = self.admit(stream, registry, core, world);
        let id = id.ok_or_else(|| io::Error::other("too many connections"))?;
        self.refresh(id);
        let text = format_args!("TCP connection {} to {}", id.to_bits(), flow.remote);
        world.trace(Layer::Sip, Level::Debug, Subject::None, text);
        Ok(id)
    }

    /// Takes a connection into the table and watches it; makes room if there is none. `None`: it was refused, and is closed.
    fn admit(
        &mut self,
        mut stream: Stream,
        registry: &Registry,
        core: &mut Core,
        world: &mut World,
    ) -> Option<Id<Stream>> {
        if self.streams.is_full() {
            self.evict(core, world);
        }
        // small messages are to leave at once, and a dead peer is to be noticed; without either it works all the same
        let _ = stream.socket_mut().set_nodelay(true);
        let (idle, count) = self.keepalive;
        let _ = platform::socket::set_keepalive(stream.socket_mut().as_fd(), idle, count);
        let peer = (stream.local(), stream.remote());
        let Ok(id) = self.streams.insert(stream) else {
            let text =
                format_args!("TCP connection with {} refused: {} are in use", peer.1, self.streams.len());
            world.trace(Layer::Sip, Level::Warn, Subject::None, text);
            return None;
        };
        let watched = self.streams.get_mut(id).map(|stream| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            registry.register(stream.socket_mut(), Source::of(Kind::Stream, id).token(), interest)
        });
        if let Some(Err(e)) = watched {
            let text = format_args!("TCP connection with {} refused: {e}", peer.1);
            world.trace(Layer::Sip, Level::Error, Subject::None, text);
            self.streams.remove(id);
            return None;
        }
        self.by_peer.insert(peer, id);
        Some(id)
    }

    /// Closes the connection that was idle for longest, if that is long.
    fn evict(&mut self, core: &mut Core, world: &mut World) {
        let oldest = self.streams.iter().map(|(id, s)| (s.last_used(), id)).min();
        if let Some((_, id)) = oldest.filter(|(used, _)| world.now.since(*used) >= EVICTION_AGE) {
            self.close_now(id, &Closed::Evicted, core, world);
        }
    }

    /// Forgets a connection, which closes it, and tells the core: what was not sent, that it has gone, and what was sent last.
    fn close_now(&mut self, id: Id<Stream>, why: &Closed, core: &mut Core, world: &mut World) {
        let Some(mut stream) = self.streams.remove(id) else { return };
        self.alarms.set(&mut stream.alarm, id, None);
        self.queued -= stream.counted;
        let (peer, conn) = ((stream.local(), stream.remote()), ConnId(id.to_bits()));
        if self.by_peer.get(&peer) == Some(&id) {
            self.by_peer.remove(&peer);
        }
        if self.is_protected(peer.0) && !matches!(why, Closed::ByPeer) {
            // a lingering connection would send when its associations have gone, and keep the next one from these two ports
            let _ = platform::socket::set_abortive(stream.socket_mut().as_fd());
        }
        let level =
            if matches!(why, Closed::ByPeer | Closed::Unprotected) { Level::Debug } else { Level::Warn };
        let text = format_args!("TCP connection {} with {}: {why}", conn.0, peer.1);
        world.trace(Layer::Sip, level, Subject::None, text);
        let flow = Flow::tcp(peer.0, peer.1, Some(conn));
        for tag in stream.take_unsent() {
            core.on_send_failed(&mut world.cx(), flow, tag);
        }
        core.on_stream_closed(&mut world.cx(), conn);
        for tag in stream.take_written() {
            core.on_connection_lost(&mut world.cx(), flow, tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::log_options::LogConfig;
    use crate::config::model::{Config, SipSocket};
    use crate::node::listener::Listener;
    use crate::node::log_file::LogFile;
    use crate::node::sockets::Sockets;
    use mio::{Events, Poll};
    use std::io::{ErrorKind, Read};
    use std::net::TcpStream as StdStream;

    /// A plane of at most two connections, its poll, and what else a turn needs.
    struct Fixture {
        poll: Poll,
        plane: StreamPlane,
        core: Core,
        world: World,
        addr: SocketAddr,
        /// A protected server port, and its client port.
        protected: [SocketAddr; 2],
        _held: std::net::UdpSocket,
    }

    const SERVER: LocalId = LocalId(1);
    const CLIENT: LocalId = LocalId(2);

    impl Fixture {
        fn new() -> Self {
            let mut sip = vec![SipSocket::new("127.0.0.1".parse().unwrap(), 0)];
            let mut sockets = Sockets::open(&mut sip).unwrap();
            let (server, client) = (SERVER.0.into(), CLIENT.0.into());
            let held = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let listener = Listener::open("127.0.0.1:0".parse().unwrap(), "test").unwrap();
            let protected = [listener.addr(), held.local_addr().unwrap()];
            let end = |listener, from| TcpEnd { listener, from, is_protected: true };
            sockets.tcp.insert(server, end(Some(listener), None));
            sockets.tcp.insert(client, end(None, Some(protected[1])));
            let poll = Poll::new().unwrap();
            let settings = SipSettings::default();
            let plane = StreamPlane::new(sockets.tcp, &settings, 2, poll.registry()).unwrap();
            let addr = sip[0].addr;
            let mut world = World::new(Box::new(LogFile::none(LogConfig::default()))).unwrap();
            let core = Core::new(Config { sip, ..Config::default() }, &mut world.rng);
            Fixture { poll, plane, core, world, addr, protected, _held: held }
        }

        /// Lets the plane do what its connections are ready for, once something is.
        fn turn(&mut self) {
            let mut events = Events::with_capacity(8);
            self.poll.poll(&mut events, Some(Duration::from_secs(20))).unwrap();
            for event in &events {
                let source = Source::from_token(event.token()).unwrap();
                match source.kind {
                    Kind::Stream => self.plane.on_writable(source, &mut self.core, &mut self.world),
                    _ => {
                        let slot = source.slot;
                        self.plane.accept(slot, self.poll.registry(), &mut self.core, &mut self.world);
                    }
                }
            }
        }

        fn send(&mut self, local: LocalId, to: SocketAddr, octets: &[u8]) -> io::Result<()> {
            let (flow, registry) = (Flow::tcp(local, to, None), self.poll.registry());
            self.plane.send(flow, octets, 0, registry, &mut self.core, &mut self.world)?;
            self.plane.write_queued(&mut self.core, &mut self.world);
            Ok(())
        }

        /// Connects a phone and lets the plane accept it.
        fn connect(&mut self) -> StdStream {
            let phone = StdStream::connect(self.addr).unwrap();
            let mut events = Events::with_capacity(8);
            loop {
                self.poll.poll(&mut events, Some(Duration::from_secs(20))).unwrap();
                let is_listener = |e: &mio::event::Event| {
                    Source::from_token(e.token()).is_some_and(|s| s.kind == Kind::Listener)
                };
                if events.iter().any(is_listener) {
                    self.plane.accept(0, self.poll.registry(), &mut self.core, &mut self.world);
                    return phone;
                }
            }
        }

        fn pass(&mut self, time: Duration) {
            self.world.now = self.world.now + time;
        }
    }

    fn is_closed(phone: &StdStream) -> bool {
        phone.set_nonblocking(true).unwrap();
        match (&*phone).read(&mut [0; 1]) {
            Ok(n) => n == 0,
            Err(e) => e.kind() != ErrorKind::WouldBlock,
        }
    }

    #[test]
    fn a_full_table_refuses_until_a_connection_is_idle_for_long() {
        let mut f = Fixture::new();
        let first = f.connect();
        f.pass(Duration::from_secs(1));
        let second = f.connect();
        f.pass(EVICTION_AGE - Duration::from_secs(2));
        assert!(is_closed(&f.connect()), "nobody was idle for long enough");
        f.pass(Duration::from_secs(1));
        let third = f.connect();
        assert_eq!([&first, &second, &third].map(is_closed), [true, false, false]);
        assert_eq!(f.plane.streams.len(), 2);
        assert_eq!((f.plane.by_peer.len(), f.plane.alarms.len()), (2, 2));
    }

    #[test]
    fn who_does_not_read_gives_way_when_too_much_waits_for_all() {
        let mut f = Fixture::new();
        f.plane.max_queued = 500_000;
        let phones = [f.connect(), f.connect()];
        let send = |f: &mut Fixture, phone: &StdStream, len| {
            let flow = Flow::tcp(LocalId(0), phone.local_addr().unwrap(), None);
            let octets = vec![b'x'; len];
            f.plane.send(flow, &octets, 0, f.poll.registry(), &mut f.core, &mut f.world).unwrap();
            f.plane.queued
        };
        assert_eq!(send(&mut f, &phones[0], 300_000), 300_000);
        assert_eq!(send(&mut f, &phones[1], 200_000), 500_000);
        assert_eq!(send(&mut f, &phones[1], 1), 200_001);
        assert_eq!(phones.each_ref().map(is_closed), [true, false]);
        f.plane.write_queued(&mut f.core, &mut f.world);
        let waits: usize = f.plane.streams.iter().map(|(_, s)| s.queued_len()).sum();
        assert!(f.plane.queued == waits && waits < 200_001);
    }

    #[test]
    fn listeners_that_failed_are_tried_again_after_a_pause() {
        let mut f = Fixture::new();
        let at = f.world.now + ACCEPT_PAUSE;
        f.plane.accept_again = Some(at);
        assert_eq!(f.plane.next_deadline(), Some(at));
        assert_eq!(f.plane.ready_again(f.world.now).count(), 0);
        f.pass(ACCEPT_PAUSE);
        let listeners: Vec<Source> = f.plane.ready_again(f.world.now).collect();
        assert_eq!(listeners, [0, SERVER.0.into()].map(|slot| Source::fixed(Kind::Listener, slot)));
        assert_eq!((f.plane.next_deadline(), f.plane.ready_again(f.world.now).count()), (None, 0));
    }

    #[test]
    fn who_says_nothing_is_closed_in_time() {
        let mut f = Fixture::new();
        let start = f.world.now;
        let phone = f.connect();
        assert_eq!(f.plane.next_deadline(), Some(start + Duration::from_secs(120)));
        f.pass(Duration::from_secs(119));
        f.plane.tick(&mut f.core, &mut f.world);
        assert!(!is_closed(&phone));
        f.pass(Duration::from_secs(1));
        f.plane.tick(&mut f.core, &mut f.world);
        assert!(is_closed(&phone));
        assert_eq!(f.plane.next_deadline(), None);
        assert!(f.plane.streams.is_empty() && f.plane.by_peer.is_empty());
    }

    #[test]
    fn connections_to_phones_start_from_the_one_protected_client_port_and_never_from_the_server_port() {
        let mut f = Fixture::new();
        let phones = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        for phone in &phones {
            f.send(CLIENT, phone.local_addr().unwrap(), b"hello").unwrap();
        }
        for phone in &phones {
            let (mut stream, from) = phone.accept().unwrap();
            assert_eq!(from, f.protected[1]);
            f.turn();
            let mut text = [0; 5];
            stream.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"hello");
        }
        let error = f.send(SERVER, phones[0].local_addr().unwrap(), b"hello").unwrap_err();
        assert!(error.to_string().contains("protected server port"), "{error}");
        assert_eq!(f.plane.streams.len(), 2);
    }

    #[test]
    fn an_aborted_connection_is_gone_at_once_on_both_sides_and_the_next_may_follow() {
        let mut f = Fixture::new();
        let phone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = phone.local_addr().unwrap();
        for _ in 0..2 {
            f.send(CLIENT, to, b"hello").unwrap();
            let (mut theirs, _) = phone.accept().unwrap();
            f.turn();
            f.plane.abort(CLIENT, to, &mut f.core, &mut f.world);
            f.plane.abort(CLIENT, to, &mut f.core, &mut f.world);
            let error = theirs.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        let (clear, mut theirs) = (f.connect(), StdStream::connect(f.protected[0]).unwrap());
        while f.plane.streams.len() < 2 {
            f.turn();
        }
        f.plane.abort_protected(&mut f.core, &mut f.world);
        assert_eq!(theirs.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert!(!is_closed(&clear));
    }
}
