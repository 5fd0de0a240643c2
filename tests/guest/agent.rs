//! The server's side of the kernel: what a start finds and leaves alone, sets on protected ports, and that nothing stays.

use crate::network::{Machine, Network, PATIENCE, SILENCE, until};
use crate::program::{Program, SIP_PORT};
use crate::seen::{Kind as SeenKind, count, take};
use crate::wire::{CK, IK, protection};
use imsbox::api::cx::{ApiCx, SetReader};
use imsbox::api::log_options::LogConfig;
use imsbox::base::rng::Rng;
use imsbox::config::model::{Config, SipSocket};
use imsbox::ims::core::Core;
use imsbox::ims::security::Ability;
use imsbox::node::event_loop::Node;
use imsbox::node::hooks::{Endpoint, Hooks, Readiness};
use imsbox::node::ipsec::agent::{Agent, Extended};
use imsbox::node::ipsec::{Prepared, prepare};
use imsbox::node::log_file::LogFile;
use imsbox::node::sockets::Sockets;
use imsbox::node::token::{Kind, Source};
use imsbox::proto::flow::{Flow, LocalId};
use imsbox::proto::locals::Locals;
use imsbox::proto::outbox::Output;
use imsbox::proto::sip::sec_agree::{
    Association, Direction, Encryption, Integrity, Parameters, REQIDS, Restored, SaNumbers, SaSet, Suite,
    associations,
};
use mio::{Registry, Waker};
use platform::xfrm::{self, Action, Lifetime, Traffic, Xfrm, guard};
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// The ports that are protected when nothing else is configured.
const SERVER_PORT: u16 = 6100;
const CLIENT_PORT: u16 = 5100;
const MINUTE: Duration = Duration::from_secs(60);

fn suite() -> Suite {
    Suite::new(Integrity::HmacSha1_96, Encryption::AesCbc).unwrap()
}

/// The `n`-th set between a phone and these ports of ours.
fn set(n: u16, ue: IpAddr, own: IpAddr, port_s: u16, port_c: u16) -> SaSet {
    let spi = 1000 + 10 * u32::from(n);
    let ue_side = Parameters { spi_c: spi, spi_s: spi + 1, port_c: 30_000 + 2 * n, port_s: 30_001 + 2 * n };
    let own_side = Parameters { spi_c: spi + 2, spi_s: spi + 3, port_c, port_s };
    SaSet {
        id: u64::from(n),
        reqid: REQIDS.start() + 2 * u32::from(n),
        suite: suite(),
        keys: suite().keys(&CK, &IK),
        associations: associations(ue, &ue_side, own, &own_side),
        lifetime: MINUTE,
    }
}

/// What one side's kernel is told of a set: ours, or the phone's.
fn traffic(set: &SaSet, is_phone: bool) -> [Traffic; 4] {
    let of = |a: Association, reqid| {
        let is_in = (a.direction == Direction::In) != is_phone;
        let direction = if is_in { xfrm::Direction::In } else { xfrm::Direction::Out };
        Traffic { direction, from: a.from, to: a.to, spi: a.spi, reqid }
    };
    let [a, b, c, d] = set.associations;
    let (one, two) = (set.reqid, set.reqid + 1);
    [of(a, one), of(b, one), of(c, two), of(d, two)]
}

fn install(machine: &mut Machine, traffic: &[Traffic]) {
    let keys = suite().keys(&CK, &IK);
    machine.xfrm.install(traffic, &protection(suite(), &keys, Lifetime::ENDLESS)).unwrap();
}

fn config(core: &Machine) -> Config {
    let sip = [core.v4, core.v6].map(|ip| SipSocket::new(ip, SIP_PORT)).to_vec();
    Config { sip, ..Config::default() }
}

/// An agent with its guards before the ports that are usual at both addresses.
fn agent(core: &Machine) -> Agent {
    let mut locals = Locals::clear([core.v4, core.v6].map(|ip| SocketAddr::new(ip, SIP_PORT)));
    for (clear, ip) in [(0, core.v4), (1, core.v6)] {
        let at = |port| SocketAddr::new(ip, port);
        locals.add_protected(LocalId(clear), at(SERVER_PORT), &[at(CLIENT_PORT)]).unwrap();
    }
    core.within(|| Agent::new(Xfrm::open().unwrap(), &locals)).unwrap()
}

fn guards(machine: &mut Machine) -> usize {
    let policies = machine.xfrm.policies().unwrap();
    policies.iter().filter(|p| p.action == Some(Action::Block)).count()
}

type Job = Box<dyn FnOnce(&mut ApiCx<'_>) + Send>;

/// The loop on the IMS's machine, into whose turns a test can reach.
struct Running {
    ability: Ability,
    notices: Vec<String>,
    jobs: Sender<Job>,
    waker: Arc<Waker>,
    thread: JoinHandle<io::Result<()>>,
}

impl Running {
    fn start(core: &Machine) -> Running {
        let mut config = config(core);
        core.within(|| {
            let (jobs, inbox) = channel();
            let (started, starting) = channel();
            let thread = std::thread::spawn(move || {
                let (report, reported) = channel();
                let mut sockets = Sockets::open(&mut config.sip).unwrap();
                let Prepared { ability, mut notices } = prepare(&config, &mut sockets);
                let core = Core::with_ability(config, ability.clone(), &mut Rng::from_seed(1));
                let log = Box::new(LogFile::none(LogConfig::default()));
                let endpoint = Some(Box::new(Door { inbox, report, waker: None }) as Box<dyn Endpoint>);
                let hooks = Hooks { log, endpoint, storage: None };
                let mut node = Node::with_sockets(core, sockets, hooks).unwrap();
                notices.extend(node.settle_restored());
                started.send((ability, notices, reported.recv().unwrap())).unwrap();
                node.run()
            });
            let (ability, notices, waker) = starting.recv_timeout(PATIENCE).unwrap();
            let notices = notices.into_iter().map(|n| n.text).collect();
            Running { ability, notices, jobs, waker, thread }
        })
    }

    /// Runs something in a turn of the loop; what it asks for is carried out when this returns.
    fn ask<T: Send + 'static>(&self, what: impl FnOnce(&mut ApiCx<'_>) -> T + Send + 'static) -> T {
        let result = self.turn(what);
        self.turn(|_| ());
        result
    }

    fn turn<T: Send + 'static>(&self, what: impl FnOnce(&mut ApiCx<'_>) -> T + Send + 'static) -> T {
        let result = self.enqueue(what);
        self.waker.wake().unwrap();
        result.recv_timeout(PATIENCE).unwrap()
    }

    /// Has something run in the turn after what is waiting already.
    fn enqueue<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut ApiCx<'_>) -> T + Send + 'static,
    ) -> Receiver<T> {
        let (answer, result) = channel();
        self.jobs.send(Box::new(move |cx| answer.send(what(cx)).unwrap())).unwrap();
        result
    }

    fn local(&self, at: SocketAddr) -> LocalId {
        self.ability.locals.iter().find(|(_, l)| l.own == at).unwrap().0
    }

    fn stop(self) {
        self.turn(|cx| cx.out.push(Output::Exit));
        self.thread.join().unwrap().unwrap();
    }
}

/// An endpoint that runs closures instead of commands, one a turn.
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
        if let Ok(job) = self.inbox.try_recv() {
            job(cx);
            self.waker.as_ref().unwrap().wake().unwrap();
        }
    }

    fn listening(&self) -> Vec<String> {
        Vec::new()
    }
}

#[test]
fn a_start_removes_what_is_left_and_nothing_of_others_and_the_end_removes_all() {
    let Network { mut core, phones } = Network::new("agent", 1);
    let (v4, v6, ue4, ue6) = (core.v4, core.v6, phones[0].phone.v4, phones[0].phone.v6);
    let left = [set(1, ue4, v4, SERVER_PORT, CLIENT_PORT), set(2, ue6, v6, 7777, 7778)];
    left.iter().for_each(|s| install(&mut core, &traffic(s, false)));
    for port in [SERVER_PORT, 7777] {
        guard(SocketAddr::new(v4, port)).iter().for_each(|p| core.xfrm.update_policy(p).unwrap());
    }
    // a set without its policies
    let [bare, ..] = traffic(&set(3, ue4, v4, 7001, 7002), false);
    install(&mut core, &[bare]);
    core.xfrm.delete_policy(&bare.policy(Lifetime::ENDLESS)).unwrap();

    // another server that runs, one with other numbers, another address
    let others_ports = [7100, 7200].map(|port| core.udp(SocketAddr::new(v4, port)));
    let running = traffic(&set(4, ue4, v4, 7100, 7200), false);
    let foreign = traffic(&set(5, ue4, v4, 7300, 7400), false).map(|t| Traffic { reqid: 77, ..t });
    let elsewhere = traffic(&set(6, ue4, "10.9.0.77".parse().unwrap(), 7300, 7400), false);
    let others: Vec<Traffic> = [running, foreign, elsewhere].concat();
    others.chunks(4).for_each(|t| install(&mut core, t));

    let node = Running::start(&core);
    let kept = |core: &mut Machine| {
        let states = core.xfrm.states().unwrap();
        assert!(states.iter().all(|s| others.iter().any(|t| t.state_id() == s.id)), "{states:#?}");
        assert_eq!(states.len(), others.len());
        core.xfrm.policies().unwrap().len()
    };
    // two server ports with four client ports each, at two addresses, both ways
    let all_guards = 2 * (2 + 8) * 2;
    assert_eq!((guards(&mut core), kept(&mut core)), (all_guards, all_guards + others.len()));
    assert_eq!(node.ability.lack, None);
    assert!(node.ability.suites.contains(&suite()));
    assert_eq!(
        node.notices[0],
        format!(
            "at {v4} ports 6100, 6101, at {v6} ports 6100, 6101; {} pairs of algorithms",
            node.ability.suites.len()
        )
    );
    let removed = "9 security associations and 10 policies of an earlier run removed";
    assert!(node.notices.iter().any(|n| n == removed), "{:?}", node.notices);
    node.stop();
    assert_eq!((guards(&mut core), kept(&mut core)), (0, others.len()));
    drop(others_ports);
    let again = Running::start(&core);
    assert!(again.notices.iter().any(|n| n.starts_with("4 security associations and 4 policies")));
    again.stop();
}

#[test]
fn what_follows_a_set_leaves_through_it_and_connections_end_with_it() {
    let Network { mut core, mut phones } = Network::new("flush", 1);
    let link = &mut phones[0];
    let node = Running::start(&core);
    for v6 in [false, true] {
        let (own, ue) = (core.address(v6), link.phone.address(v6));
        let set = set(1 + u16::from(v6), ue, own, SERVER_PORT, CLIENT_PORT);
        let id = set.id;
        let [to_server, _, to_phone, _] = set.associations;
        install(&mut link.phone, &traffic(&set, true));
        let [us, uc] = [to_phone.to, to_server.from].map(|port| link.phone.udp(port));
        let listener = link.phone.listen(to_phone.to);
        take(link);
        let client = node.local(to_phone.from);
        node.ask(move |cx| {
            cx.out.push(Output::InstallSas(Box::new(set)));
            cx.out.send(Flow::udp(client, to_phone.to), b"by UDP", 0);
            cx.out.send(Flow::tcp(client, to_phone.to, None), b"by TCP", 0);
        });
        let mut buffer = [0; 100];
        let (len, from) = us.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..len], from), (&b"by UDP"[..], to_phone.from));
        let (mut theirs, from) = listener.accept().unwrap();
        assert_eq!(from, to_phone.from, "a connection of ours starts from the client port");
        theirs.set_read_timeout(Some(PATIENCE)).unwrap();
        theirs.read_exact(&mut buffer[..6]).unwrap();
        assert_eq!(&buffer[..6], b"by TCP");
        // the phone opens the other one, and a keep-alive on it is answered
        let mut calling = link.phone.say(to_server.from, to_server.to, b"\r\n\r\n");
        calling.read_exact(&mut buffer[..2]).unwrap();
        uc.send_to(b"\r\n", to_server.to).unwrap();
        until("the kernel counts", || {
            let counted = node.turn(move |cx| cx.sas.counters(id)).expect("it is there");
            counted.iter().all(|c| c.packets > 0 && c.octets > 0 && c.integrity_failed == 0)
        });

        node.ask(move |cx| cx.out.push(Output::RemoveSas { id }));
        for stream in [&mut theirs, &mut calling] {
            assert_eq!(stream.read(&mut buffer).unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
        assert_eq!(node.turn(move |cx| cx.sas.counters(id)), None);
        assert_eq!(core.xfrm.states().unwrap(), []);
        // what leaves after that is dropped
        node.ask(move |cx| cx.out.send(Flow::udp(client, to_phone.to), b"in clear", 0));
        us.set_read_timeout(Some(SILENCE)).unwrap();
        assert!(us.recv(&mut buffer).is_err());
        let seen = take(link);
        assert!(count(&seen, SeenKind::Esp) > 8);
        assert!(seen.iter().all(|s| matches!(s.kind, SeenKind::Esp | SeenKind::Icmp)), "{seen:#?}");
        link.phone.xfrm.flush().unwrap();
    }
    node.stop();
    core.assert_empty();
}

#[test]
fn a_crowd_of_sets_is_installed_over_several_turns() {
    const CROWD: u16 = 300;
    let Network { mut core, phones } = Network::new("crowd", 1);
    let node = Running::start(&core);
    let (ue, own) = (phones[0].phone.v6, core.v6);
    let begun = node.enqueue(move |cx| {
        for n in 1..=CROWD {
            let set = set(n, ue, own, SERVER_PORT, CLIENT_PORT);
            cx.out.push(Output::InstallSas(Box::new(set)));
        }
        cx.out.push(Output::RemoveSas { id: CROWD.into() });
    });
    let counted =
        |cx: &mut ApiCx<'_>| (1..=u64::from(CROWD)).filter(|id| cx.sas.counters(*id).is_some()).count();
    // the very next turn, however long this thread has to wait for its own
    let soon = node.turn(counted);
    begun.recv().unwrap();
    assert!(soon < usize::from(CROWD) - 1, "all in one turn");
    let count = || node.turn(counted);
    until("all but the removed one are there", || count() == usize::from(CROWD) - 1);
    assert_eq!(core.xfrm.states().unwrap().len(), 4 * (usize::from(CROWD) - 1));
    node.stop();
    core.assert_empty();
}

#[test]
fn the_end_of_the_program_cuts_connections_inside_their_associations() {
    let Network { mut core, mut phones } = Network::new("exit", 1);
    let link = &mut phones[0];
    let node = Running::start(&core);
    let set = set(1, link.phone.v4, core.v4, SERVER_PORT, CLIENT_PORT);
    let [to_server, ..] = set.associations;
    install(&mut link.phone, &traffic(&set, true));
    node.ask(move |cx| cx.out.push(Output::InstallSas(Box::new(set))));
    take(link);
    let mut calling = link.phone.say(to_server.from, to_server.to, b"\r\n\r\n");
    calling.read_exact(&mut [0; 2]).unwrap();
    node.stop();
    assert_eq!(calling.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    core.assert_empty();
    let seen = take(link);
    assert!(seen.iter().all(|s| matches!(s.kind, SeenKind::Esp | SeenKind::Icmp)), "{seen:#?}");
}

#[test]
fn the_agent_tells_what_is_taken_what_is_gone_and_what_is_unknown() {
    let Network { mut core, mut phones } = Network::new("tells", 1);
    let phone = &mut phones[0].phone;
    let mut agent = agent(&core);
    let (ue, own) = (phone.v6, core.v6);
    let at = |n| set(n, ue, own, SERVER_PORT, CLIENT_PORT);
    let first = at(1);
    agent.install(&first).unwrap();
    let mut same_spi = at(2);
    same_spi.associations[0].spi = first.associations[0].spi;
    let failure = agent.install(&same_spi).unwrap_err();
    assert!(failure.is_taken && failure.words.contains("SPI 1013"), "{failure:?}");
    assert_eq!(agent.counters(2), None);
    assert!(matches!(agent.extend(1, 10 * MINUTE), Extended::Done(_)));
    let lives =
        |core: &mut Machine| core.xfrm.states().unwrap().iter().all(|s| s.lifetime.hard > Some(9 * MINUTE));
    assert!(lives(&mut core));

    // packets of an association that the kernel does not have
    assert_eq!(core.within(|| agent.unknown_spi()), Some(0));
    let unknown = traffic(&at(3), true);
    install(phone, &unknown);
    let (uc, ps) = (phone.udp(unknown[0].from), unknown[0].to);
    uc.send_to(b"hello", ps).unwrap();
    until("it is counted", || core.within(|| agent.unknown_spi()) == Some(1));

    // somebody takes a state away
    core.xfrm.delete_state(&traffic(&first, false)[2].state_id(), xfrm::Bound::default()).unwrap();
    assert_eq!(agent.counters(1), None);
    assert!(matches!(agent.extend(1, MINUTE), Extended::Lost));
    assert_eq!(agent.remove(1), None);
    let ends = SaSet { lifetime: Duration::from_secs(2), ..at(4) };
    agent.install(&ends).unwrap();
    agent.install(&at(5)).unwrap();
    let mut ended = Vec::new();
    until("a lifetime ends", || {
        ended.extend(agent.ended());
        !ended.is_empty()
    });
    assert_eq!(ended[0], 4);
    assert_eq!(agent.remove(4), None);
    assert!(agent.remove(5).is_some_and(|counters| counters.iter().all(|c| c.packets == 0)));
    assert_eq!(core.xfrm.states().unwrap(), []);
    assert_eq!(guards(&mut core), core.xfrm.policies().unwrap().len());
    drop(agent);
    core.assert_empty();
}

#[test]
fn a_set_that_is_put_there_again_goes_on_where_it_was_and_takes_no_packet_of_before() {
    let Network { mut core, mut phones } = Network::new("goes-on", 1);
    let phone = &mut phones[0].phone;
    let set = set(1, phone.v4, core.v4, SERVER_PORT, CLIENT_PORT);
    let ways = traffic(&set, true);
    let [to_server, to_phone] = [ways[0], ways[2]];
    install(phone, &ways);
    let mut first = agent(&core);
    first.install(&set).unwrap();
    let (uc, ps) = (phone.udp(to_server.from), core.udp(to_server.to));
    let (pc, us) = (core.udp(to_phone.from), phone.udp(to_phone.to));
    let mut buffer = [0; 100];
    for n in 1..=3 {
        uc.send_to(&[n], to_server.to).unwrap();
        pc.send_to(&[n], to_phone.to).unwrap();
        assert_eq!((ps.recv(&mut buffer).unwrap(), us.recv(&mut buffer).unwrap()), (1, 1));
    }
    let known = first.numbers();
    let [(1, numbers)] = known[..] else { panic!("{known:?}") };
    assert_eq!((numbers[0].received, numbers[0].window, numbers[2].sent), (3, 0b111, 3));
    drop(first);
    core.assert_empty();

    // a clean end, or a kernel that began anew; what it says of the set is behind what it was
    let mut second = agent(&core);
    let ahead = numbers.map(|n| SaNumbers { sent: n.sent + 1000, ..n });
    assert_eq!(second.restore(&set, &ahead), Ok(Restored::Installed));
    // whoever has recorded the phone's packets sends them again: so does a phone that counts from 1 once more
    phone.xfrm.remove(&ways[..1]).unwrap();
    install(phone, &ways[..1]);
    let dropped = |agent: &mut Agent| agent.counters(1).unwrap()[0].replayed;
    for n in 1..=3 {
        uc.send_to(&[n], to_server.to).unwrap();
        until("it is dropped", || dropped(&mut second) == u32::from(n));
    }
    uc.send_to(b"new", to_server.to).unwrap();
    assert_eq!((ps.recv(&mut buffer).unwrap(), &buffer[..3]), (3, &b"new"[..]));
    // and the phone takes what goes out
    pc.send_to(b"hello", to_phone.to).unwrap();
    assert_eq!(us.recv(&mut buffer).unwrap(), 5);
    assert_eq!(phone.xfrm.read(&ways).unwrap()[2].as_ref().unwrap().replay.unwrap().received, 1004);
    drop(second);
}

#[test]
fn without_the_capability_all_else_works_and_the_banner_says_what_to_do() {
    let Network { mut core, .. } = Network::new("powerless", 1);
    let folder = std::env::temp_dir().join("imsbox-powerless");
    fs::create_dir_all(&folder).unwrap();
    let text = format!(
        r#"sip_addr: "{}:{SIP_PORT}", monitor_socket: "monitor.sock", log_filename: "ims.log", ue_db: [],"#,
        core.v4
    );
    fs::write(folder.join("ims.cfg"), text).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-net_admin", "--inh-caps=-net_admin", env!("CARGO_BIN_EXE_imsbox")]);
    let mut program = Program::start(&core, command.arg(folder.join("ims.cfg")));
    program.until("ready");
    let text = program.text();
    assert!(text.contains("ipsec     none: the process may not set up IPsec"), "{text}");
    assert!(text.contains("CAP_NET_ADMIN"), "{text}");
    program.terminate();
    program.succeeds();
    let log = fs::read_to_string(folder.join("ims.log")).unwrap();
    assert!(log.contains("IPsec: none: the process may not"), "{log}");
    core.assert_empty();
    let _ = fs::remove_dir_all(folder);
}
