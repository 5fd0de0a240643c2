//! The loop: sockets feed the core, the core's outputs go to sockets, and between turns the program sleeps in the poll.
//!
//! One turn: sleep until a socket is ready or a deadline has come; read the clocks; send held media that is due; drain the ready
//! sockets, media first and each within its share and the turn's time; let the core's timers run; carry out the outbox; hand the log and the storage what they have. Without a
//! deadline and without a packet nothing wakes the program.

use crate::base::time::{Duration, Instant};
use crate::base::trace::{Layer, Level, Subject};
use crate::ims::core::Core;
use crate::node::hooks::{Endpoint, Hooks, Readiness, Storage};
use crate::node::ipsec::Notice;
use crate::node::ipsec::agent::Agent;
use crate::node::media_plane::MediaPlane;
use crate::node::ready::ReadySet;
use crate::node::sctp::SctpPlane;
use crate::node::service::Service;
use crate::node::signals::{Request, Signals};
use crate::node::sockets::Sockets;
use crate::node::start::StartError;
use crate::node::stream_plane::{MAX_CONNECTIONS, StreamPlane};
use crate::node::token::{Kind, Source};
use crate::node::udp_plane::UdpPlane;
use crate::node::world::World;
use crate::proto::cx::Cx;
use crate::proto::outbox::Outbox;
use crate::proto::sip::sec_agree::SaSet;
use mio::event::Event;
use mio::{Events, Poll};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

/// Poll events taken at once: more come with the next turn.
const MAX_EVENTS: usize = 1024;
/// How long media waits at most while other sources, be they thousands, are drained: a quarter of what is between two packets of a
/// voice stream.
pub(super) const TURN_TIME: Duration = Duration::from_millis(5);
/// How long what is queued on streams may take to leave after the core said that it is done.
pub(super) const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the start waits for the disk: what 100,000 users have in the state file takes less than a second.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// Whether the loop goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// The core works, be it on its clean end.
    Running,
    /// The core is done; what is queued on streams may leave until then.
    Leaving {
        /// The end of patience.
        until: Instant,
    },
}

/// The core with every descriptor of the program.
pub struct Node {
    pub(super) poll: Poll,
    ready: ReadySet,
    pub(super) core: Core,
    pub(super) world: World,
    /// The outbox that is being carried out, while the core fills the other one.
    pub(super) flushing: Outbox,
    pub(super) udp: UdpPlane,
    pub(super) streams: StreamPlane,
    pub(super) media: MediaPlane,
    pub(super) ipsec: Agent,
    pub(super) sctp: SctpPlane,
    /// Sets that this turn has no time for.
    pub(super) waiting_sets: VecDeque<Box<SaSet>>,
    /// How long this turn has been installing sets.
    pub(super) installing: Duration,
    endpoint: Option<Box<dyn Endpoint>>,
    pub(super) storage: Option<Box<dyn Storage>>,
    signals: Signals,
    service: Service,
    pub(super) stage: Stage,
}

impl Node {
    /// Opens every socket of the core's configuration, then as [`Node::with_sockets`].
    pub fn new(core: Core, hooks: Hooks) -> Result<Self, StartError> {
        let mut sockets = Sockets::open(&mut core.config().sip.clone())?;
        sockets.listen_sctp(core.config().sgs)?;
        Self::with_sockets(core, sockets, hooks)
    }

    /// Takes over sockets that were opened before the core was made. To be called in the thread that will run the node, before
    /// other threads are started or with the signals of [`super::signals::TAKEN`] blocked in them.
    pub fn with_sockets(core: Core, sockets: Sockets, hooks: Hooks) -> Result<Self, StartError> {
        let poll = Poll::new().map_err(StartError::system("create a poll"))?;
        let registry = poll.registry();
        let signals = Signals::new(registry).map_err(StartError::system("take signals"))?;
        let Hooks { log, mut endpoint, mut storage } = hooks;
        if let Some(endpoint) = &mut endpoint {
            endpoint.register(registry).map_err(StartError::system("watch the command endpoint"))?;
        }
        if let Some(storage) = &mut storage {
            let token = Source::fixed(Kind::Storage, 0).token();
            storage.register(registry, token).map_err(StartError::system("watch the storage"))?;
        }
        let mut world = World::new(log).map_err(StartError::system("seed the random generator"))?;
        let config = core.config();
        let watch = || StartError::system("watch a socket");
        let udp = UdpPlane::new(sockets.udp, sockets.clear, registry).map_err(watch())?;
        let streams = StreamPlane::new(sockets.tcp, &config.protocol, MAX_CONNECTIONS, registry);
        let streams = streams.map_err(watch())?;
        let media = MediaPlane::new(&config.sip);
        let sctp = SctpPlane::new(sockets.sctp, registry).map_err(watch())?;
        sctp.tell(&mut world);
        sockets.agent.register(registry).map_err(StartError::system("watch the kernel's IPsec"))?;
        Ok(Node {
            ready: ReadySet::default(),
            flushing: Outbox::new(),
            service: Service::from_env(world.now).map_err(StartError::system("reach the service manager"))?,
            stage: Stage::Running,
            poll,
            core,
            world,
            udp,
            streams,
            media,
            ipsec: sockets.agent,
            sctp,
            waiting_sets: VecDeque::new(),
            installing: Duration::ZERO,
            endpoint,
            storage,
            signals,
        })
    }

    /// What is listened on, one line each, for people.
    pub fn listening(&self) -> Vec<String> {
        let mut lines: Vec<String> = ["UDP", "TCP"]
            .iter()
            .flat_map(|transport| self.udp.addrs().map(move |addr| format!("SIP on {transport} {addr}")))
            .collect();
        lines.extend(self.sctp.words());
        lines.extend(self.endpoint.iter().flat_map(|e| e.listening()));
        lines
    }

    /// The bound address of each SIP socket, in the order of the configuration.
    pub fn sip_addrs(&self) -> Vec<SocketAddr> {
        self.udp.addrs().collect()
    }

    /// The core, and the context for an input to it: for what is done before the loop runs, such as restoring the state.
    pub fn core_cx(&mut self) -> (&mut Core, Cx<'_>) {
        (&mut self.core, self.world.cx())
    }

    /// Has what the restored state asks for carried out, removes what is left of an earlier run beside it, and waits until the state is
    /// on the disk: sequence numbers that are skipped after a crash must not be forgotten by the next one. For the operator, what was
    /// removed from the kernel.
    pub fn settle_restored(&mut self) -> Option<Notice> {
        self.flush();
        let left = self.ipsec.remove_left();
        if let Some(Notice { level, text }) = &left {
            let text = format_args!("IPsec: {text}");
            self.world.trace(Layer::Ipsec, *level, Subject::None, text);
        }
        let stored = self.storage.as_mut().is_none_or(|storage| storage.wait(STORE_PATIENCE));
        if !stored {
            let words = "the state file has not taken what is new after the start: sequence numbers of SIMs go on by the clock \
                         until it does";
            self.world.trace(Layer::Ims, Level::Error, Subject::None, format_args!("{words}"));
        }
        left
    }

    /// Runs until the core says that it is done, after a signal or a command. An error is one that the program cannot go on from.
    pub fn run(mut self) -> io::Result<()> {
        self.service.ready(&self.listening().join(", "));
        let mut events = Events::with_capacity(MAX_EVENTS);
        let result = loop {
            match self.turn(&mut events) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(e) => break Err(e),
            }
        };
        self.service.stopping();
        // in this order: as long as the associations are there, the end of a connection leaves through them
        self.streams.abort_protected(&mut self.core, &mut self.world);
        self.note_numbers();
        self.ipsec.clear();
        self.world.log.flush();
        result
    }

    /// Stores where the sequence numbers of all sets are: the next run puts the sets into the kernel again.
    fn note_numbers(&mut self) {
        for (set, numbers) in self.ipsec.numbers() {
            self.core.on_sas_numbers(&mut self.world.cx(), set, &numbers, true);
        }
        self.flush();
        if let Some(storage) = &mut self.storage {
            storage.end_turn();
        }
    }

    /// One turn; false when the program is to end.
    fn turn(&mut self, events: &mut Events) -> io::Result<bool> {
        match self.poll.poll(events, self.timeout()) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => events.clear(),
            result => result?,
        }
        self.world.read_clocks();
        for event in events.iter() {
            self.on_event(event);
        }
        self.media.release(&mut self.core, &mut self.world);
        self.drain_ready();
        self.core.tick(&mut self.world.cx());
        self.streams.tick(&mut self.core, &mut self.world);
        self.flush();
        self.end_commands();
        self.world.log.flush();
        if let Some(storage) = &mut self.storage {
            storage.end_turn();
        }
        self.service.end_turn(self.world.now);
        Ok(!self.is_over())
    }

    /// Commands whose outcome this turn has brought are answered.
    fn end_commands(&mut self) {
        if let Some(endpoint) = &mut self.endpoint {
            let mut cx = self.world.api_cx(&mut self.core, &mut self.ipsec);
            endpoint.end_turn(self.poll.registry(), &mut cx);
        }
    }

    /// How long the poll may sleep; `None` is until something comes.
    fn timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() || !self.world.out.is_empty() || !self.waiting_sets.is_empty() {
            return Some(Duration::ZERO);
        }
        let leaving = match self.stage {
            Stage::Leaving { until } => Some(until),
            Stage::Running => None,
        };
        let deadlines = [
            self.core.next_deadline(),
            self.streams.next_deadline(),
            self.media.next_deadline(),
            self.sctp.next_deadline(),
            self.service.deadline(),
            leaving,
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.since(self.world.clock()))
    }

    fn is_over(&self) -> bool {
        match self.stage {
            Stage::Leaving { until } => self.world.now >= until || !self.streams.has_queued(),
            Stage::Running => false,
        }
    }

    /// Sorts one poll event: what is short is done at once, what has a share of the turn is queued.
    fn on_event(&mut self, event: &Event) {
        let Some(source) = Source::from_token(event.token()) else { return };
        match source.kind {
            Kind::Udp => {
                if event.is_error() {
                    self.udp.take_errors(source.slot, &mut self.core, &mut self.world);
                }
                self.ready.add(source);
            }
            Kind::Stream => {
                if event.is_writable() || event.is_write_closed() || event.is_error() {
                    self.streams.on_writable(source, &mut self.core, &mut self.world);
                }
                if event.is_readable() || event.is_read_closed() {
                    self.ready.add(source);
                }
            }
            Kind::Sctp => {
                if event.is_writable() || event.is_write_closed() || event.is_error() {
                    let held = self.sctp.on_writable(source, &mut self.core, &mut self.world);
                    held.into_iter().for_each(|source| self.ready.add(source));
                }
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.ready.add(source);
                }
            }
            Kind::Listener | Kind::SctpListener | Kind::Rtp | Kind::Rtcp => self.ready.add(source),
            Kind::Signal => self.on_signals(),
            Kind::Sas => self.on_sas_ended(),
            Kind::Endpoint => {
                let ready = Readiness {
                    readable: event.is_readable() || event.is_read_closed(),
                    writable: event.is_writable() || event.is_write_closed(),
                };
                if let Some(endpoint) = &mut self.endpoint {
                    let mut cx = self.world.api_cx(&mut self.core, &mut self.ipsec);
                    endpoint.on_event(self.poll.registry(), source.slot, ready, &mut cx);
                }
            }
            Kind::Storage => {
                if let Some(storage) = &mut self.storage {
                    storage.on_wake(&mut self.world.api_cx(&mut self.core, &mut self.ipsec));
                }
            }
        }
    }

    /// Gives every ready media source its share of the turn, and the others as far as the turn's time reaches.
    fn drain_ready(&mut self) {
        self.sctp.ready_again(self.world.now).into_iter().for_each(|listener| self.ready.add(listener));
        self.streams.ready_again(self.world.now).for_each(|listener| self.ready.add(listener));
        while let Some(source) = self.ready.next_media() {
            self.drain_one(source);
        }
        let until = self.world.clock() + TURN_TIME;
        while let Some(source) = self.ready.next_other() {
            self.drain_one(source);
            if self.world.clock() >= until {
                break;
            }
        }
        self.ready.end_turn();
    }

    fn drain_one(&mut self, source: Source) {
        if self.drain(source) {
            self.ready.keep(source);
        }
    }

    /// Gives one source its share of the turn. Whether it may have more.
    fn drain(&mut self, source: Source) -> bool {
        match source.kind {
            Kind::Udp => self.udp.drain(source.slot, &mut self.core, &mut self.world),
            Kind::Rtp | Kind::Rtcp => self.media.drain(source, &mut self.core, &mut self.world),
            Kind::Stream => self.streams.drain(source, &mut self.core, &mut self.world),
            Kind::Listener => {
                self.streams.accept(source.slot, self.poll.registry(), &mut self.core, &mut self.world)
            }
            Kind::SctpListener => self.sctp.accept(self.poll.registry(), &mut self.core, &mut self.world),
            Kind::Sctp => self.sctp.drain(source, &mut self.core, &mut self.world),
            Kind::Signal | Kind::Endpoint | Kind::Storage | Kind::Sas => false,
        }
    }

    fn on_signals(&mut self) {
        while let Some((request, signal)) = self.signals.next() {
            let text = format_args!("{} received", signal.name());
            self.world.trace(Layer::Ims, Level::Info, Subject::None, text);
            match request {
                Request::RotateLog => self.world.log.rotate(),
                Request::Stop => self.stop(),
            }
        }
    }

    /// Asks the core for a clean end; while it is on its way, by a signal or by a command, ends at once.
    fn stop(&mut self) {
        if self.core.is_ending() {
            self.stage = Stage::Leaving { until: self.world.now };
        } else {
            self.core.shutdown(&mut self.world.cx());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::config::model::{Config, SipSocket};
    use crate::node::log_file::LogFile;
    use std::net::UdpSocket;
    use std::sync::{Arc, Mutex};

    fn node() -> Node {
        let sip = vec![SipSocket::new("127.0.0.1".parse().unwrap(), 0)];
        let log = Box::new(LogFile::none(crate::api::log_options::LogConfig::default()));
        let hooks = Hooks { log, endpoint: None, storage: None };
        Node::new(Core::new(Config { sip, ..Config::default() }, &mut Rng::from_seed(1)), hooks).unwrap()
    }

    #[test]
    fn an_idle_node_sleeps_without_end() {
        let mut node = node();
        assert_eq!(node.timeout(), None);
        let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
        phone.send_to(b"\r\n\r\n", node.sip_addrs()[0]).unwrap();
        let mut events = Events::with_capacity(8);
        assert!(node.turn(&mut events).unwrap());
        assert_eq!(node.timeout(), None, "a keep-alive leaves nothing to do");
    }

    /// Keys in the order in which they are put, and the ends of turns as lines.
    #[derive(Clone, Debug, Default)]
    struct Noted(Arc<Mutex<String>>);

    impl Storage for Noted {
        fn put(&mut self, _: u64, key: &str, _: Option<&str>) {
            *self.0.lock().unwrap() += key;
        }
        fn end_turn(&mut self) {
            self.0.lock().unwrap().push('\n');
        }
    }

    #[test]
    fn the_storage_is_told_of_the_end_of_a_turn_after_all_records_of_it() {
        let mut node = node();
        let noted = Noted::default();
        node.storage = Some(Box::new(noted.clone()));
        for key in ["a", "b"] {
            node.core_cx().1.out.persist(key.to_owned(), None);
        }
        node.turn(&mut Events::with_capacity(8)).unwrap();
        assert_eq!(*noted.0.lock().unwrap(), "ab\n");
    }

    #[test]
    fn the_first_request_to_stop_is_clean_and_the_second_is_at_once() {
        let mut node = node();
        node.stop();
        assert!(!node.is_over());
        node.stop();
        assert!(node.is_over());
    }

    #[test]
    fn a_request_to_stop_after_the_command_is_at_once() {
        let mut node = node();
        let quit = serde_json::json!({ "message": "quit" });
        crate::api::message::respond(&mut node.world.api_cx(&mut node.core, &mut node.ipsec), &quit);
        assert!(!node.is_over());
        node.stop();
        assert!(node.is_over());
    }
}
