//! A node in a thread of its own, into whose turns a test can reach.

use imsbox::api::cx::{ApiCx, LogStatus, Logs};
use imsbox::api::log_options::LogConfig;
use imsbox::base::rng::Rng;
use imsbox::base::trace::{Layer, Level, Record, Sink};
use imsbox::config::model::{Config, SipSocket};
use imsbox::ims::core::Core;
use imsbox::node::event_loop::Node;
use imsbox::node::hooks::{Endpoint, Hooks, Readiness};
use imsbox::node::sockets::Sockets;
use imsbox::node::token::{Kind, Source};
use imsbox::proto::outbox::Output;
use mio::{Registry, Waker};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything may take before the test fails: far longer than it does.
pub const PATIENCE: Duration = Duration::from_secs(60);

type Job = Box<dyn FnOnce(&mut ApiCx<'_>) + Send>;

/// A running node.
pub struct Running {
    /// The bound SIP addresses.
    pub addrs: Vec<SocketAddr>,
    /// The lines of the log.
    pub lines: Lines,
    jobs: Sender<Job>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// Starts a node with one SIP socket on each of these addresses, port 0.
    pub fn start(hosts: &[&str]) -> Running {
        let sip = hosts.iter().map(|h| SipSocket::new(h.parse().unwrap(), 0)).collect();
        Running::with_config(Config { sip, ..Config::default() })
    }

    /// Starts a node.
    pub fn with_config(mut config: Config) -> Running {
        let (jobs, inbox) = channel();
        let (started, starting) = channel();
        let lines = Lines::default();
        let log = Box::new(Recorder { lines: lines.clone(), config: LogConfig::default() });
        let thread = std::thread::spawn(move || {
            let (report, reported) = channel();
            let endpoint = Some(Box::new(Door { inbox, report, waker: None }) as Box<dyn Endpoint>);
            let sockets = Sockets::open(&mut config.sip).unwrap();
            let core = Core::new(config, &mut Rng::from_seed(1));
            let hooks = Hooks { log, endpoint, storage: None };
            let node = Node::with_sockets(core, sockets, hooks).unwrap();
            started.send((node.sip_addrs(), reported.recv().unwrap())).unwrap();
            node.run()
        });
        let (addrs, waker) = starting.recv_timeout(PATIENCE).unwrap();
        Running { addrs, lines, jobs, waker, thread: Some(thread) }
    }

    /// Runs something in a turn of the loop and returns its result.
    pub fn ask<T: Send + 'static>(&self, what: impl FnOnce(&mut ApiCx<'_>) -> T + Send + 'static) -> T {
        let (answer, result) = channel();
        self.jobs.send(Box::new(move |cx| answer.send(what(cx)).unwrap())).unwrap();
        self.waker.wake().unwrap();
        result.recv_timeout(PATIENCE).unwrap()
    }

    /// Lets the loop turn until the log has a line with this text.
    pub fn until_logged(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.lines.any(text) {
            assert!(Instant::now() < deadline, "no line has {text:?}");
            self.ask(|_| ());
        }
    }

    /// Ends the node and waits for it.
    pub fn stop(mut self) {
        self.ask(|cx| cx.out.push(Output::Exit));
        self.join();
    }

    /// Waits until the node has ended by itself.
    pub fn join(&mut self) {
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

/// An endpoint that runs closures instead of commands.
struct Door {
    inbox: Receiver<Job>,
    report: Sender<Arc<Waker>>,
    waker: Option<Arc<Waker>>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

impl Endpoint for Door {
    fn register(&mut self, registry: &Registry) -> io::Result<()> {
        let waker = Arc::new(Waker::new(registry, Source::fixed(Kind::Endpoint, 0).token())?);
        self.report.send(Arc::clone(&waker)).unwrap();
        self.waker = Some(waker);
        Ok(())
    }

    fn on_event(&mut self, _: &Registry, _: u32, _: Readiness, cx: &mut ApiCx<'_>) {
        // one a turn: when the next one runs, what this one asked for has been carried out
        if let Ok(job) = self.inbox.try_recv() {
            job(cx);
            self.waker.as_ref().unwrap().wake().unwrap();
        }
    }

    fn listening(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The log lines of a node.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Whether a line holds this text.
    pub fn any(&self, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|l| l.contains(text))
    }

    /// The number that follows this text where it stands first.
    pub fn number_after(&self, text: &str) -> Option<u64> {
        let lines = self.0.lock().unwrap();
        let rest = lines.iter().find_map(|l| Some(l.split_once(text)?.1.to_owned()))?;
        rest.split(' ').next()?.parse().ok()
    }
}

struct Recorder {
    lines: Lines,
    config: LogConfig,
}

impl Sink for Recorder {
    fn wants(&self, layer: Layer, level: Level) -> bool {
        // as a program in service: no line for each packet
        layer != Layer::Media || level < Level::Debug
    }

    fn record(&mut self, record: &Record<'_>) {
        let content = String::from_utf8_lossy(record.content);
        let line = format!("[{}] {} {content}", record.layer.tag(), record.text);
        self.lines.0.lock().unwrap().push(line);
    }
}

impl Logs for Recorder {
    fn config(&self) -> &LogConfig {
        &self.config
    }
    fn configure(&mut self, config: LogConfig) {
        self.config = config;
    }
    fn cut(&mut self) {}
    fn rotate(&mut self) {
        self.lines.0.lock().unwrap().push("rotated".to_owned());
    }
    fn status(&self) -> LogStatus {
        LogStatus::default()
    }
}

/// A phone's UDP socket on this host, port 0.
pub fn udp(host: &str) -> UdpSocket {
    let ip: IpAddr = host.parse().unwrap();
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The next datagram, as text, and who sent it.
pub fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buf = vec![0; 65_536];
    let (n, from) = socket.recv_from(&mut buf).unwrap();
    buf.truncate(n);
    (buf, from)
}
