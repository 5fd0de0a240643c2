//! RTP through the sockets: CPU time and rate of the echo and the relay, beside the plainest echo there is, a page of C
//! (`support/echo.c`: epoll, recvmmsg, sendmmsg), in the same run.
//!
//! One thread serves all streams, fed by the same generator. "spread": each stream has one packet on its way, as phones do.
//! "burst": each has 32, as much as a batch takes. The server thread's CPU time for each packet and its ratio to the C program's
//! say what the code costs; the rate is that of the whole run, generator and machine included. The loop's allocations must be 0.
//!
//! `scripts/bench media` compiles the C program and runs this; `cargo bench --bench media -- [--quick] [WORD]` takes the
//! program's path from `IMSBOX_BENCH_ECHO`.

#[path = "../tests/loopback/harness.rs"]
#[allow(dead_code)] // shared with the loopback tests, which use all of it
mod harness;
#[path = "support/timing.rs"]
#[allow(dead_code)] // the arguments are all that is needed of it
mod timing;

use harness::{Running, udp};
use imsbox::config::model::{Config, SipSocket};
use imsbox::proto::flow::LocalId;
use imsbox::proto::media::table::{Action, Remote};
use imsbox::proto::outbox::Output;
use platform::batch::{BATCH, RecvBatch, SendBatch};
use platform::counting::Counting;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use timing::Bench;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const V4: &str = "127.0.0.1";
const V6: &str = "::1";

/// An RTP packet of 20 ms of G.711.
const PACKET: [u8; 172] = {
    let mut packet = [0x55; 172];
    packet[0] = 0x80;
    packet[1] = 8;
    packet
};

/// One way through the server: who sends where, and who receives it.
struct Stream {
    sender: UdpSocket,
    to: SocketAddr,
    /// `None`: the sender itself.
    receiver: Option<UdpSocket>,
}

/// How the packets come.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    streams: usize,
    /// Packets of one stream at once.
    burst: usize,
    rounds: usize,
}

const LOADS: [Load; 2] = [
    Load { name: "spread", streams: 200, burst: 1, rounds: 1000 },
    Load { name: "burst", streams: 4, burst: BATCH, rounds: 1600 },
];

/// What one run took.
#[derive(Clone, Copy)]
struct Cost {
    /// The server thread's CPU time for a packet, nanoseconds.
    cpu: f64,
    /// Packets a second through the whole run.
    rate: f64,
}

fn main() {
    let bench = Bench::from_args();
    if !["media", "echo", "relay"].iter().any(|what| bench.wants(what)) {
        return;
    }
    let Some(program) = std::env::var_os("IMSBOX_BENCH_ECHO") else {
        eprintln!("media: IMSBOX_BENCH_ECHO names no echo program in C; scripts/bench compiles it");
        std::process::exit(1);
    };
    for mut load in LOADS {
        load.rounds /= if bench.quick { 50 } else { 1 };
        println!(
            "{}: {} streams, {} rounds of {} packets of {} octets each",
            load.name,
            load.streams,
            load.rounds,
            load.burst,
            PACKET.len()
        );
        let mut runs: Vec<[Cost; 5]> = Vec::new();
        for _ in 0..if bench.quick { 1 } else { 5 } {
            runs.push([
                in_c(&program, V4, load),
                node([V4, V4], false, load),
                node([V4, V4], true, load),
                node([V4, V6], true, load),
                in_c(&program, V6, load),
            ]);
        }
        let of = |n: usize| median(runs.iter().map(|run| run[n]));
        let (limit, limit_v6) = (of(0), of(4));
        report("echo in C, IPv4", limit, limit);
        report("imsbox echo, IPv4", of(1), limit);
        report("imsbox relay, IPv4 to IPv4", of(2), limit);
        report("imsbox relay, IPv4 to IPv6", of(3), limit);
        report("echo in C, IPv6", limit_v6, limit);
    }
}

fn median(runs: impl Iterator<Item = Cost> + Clone) -> Cost {
    let middle = |of: fn(&Cost) -> f64| {
        let mut all: Vec<f64> = runs.clone().map(|run| of(&run)).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Cost { cpu: middle(|c| c.cpu), rate: middle(|c| c.rate) }
}

fn report(what: &str, cost: Cost, limit: Cost) {
    println!(
        "  {what:<28} {:>6.0} ns CPU/packet {:>6.2} x C   {:>8.0} packets/s {:>6.2} x C",
        cost.cpu,
        cost.cpu / limit.cpu,
        cost.rate,
        cost.rate / limit.rate,
    );
}

/// Sends a burst on each stream and takes what comes back, so many times.
fn generate(streams: &[Stream], burst: usize, rounds: usize) {
    let mut buffers = RecvBatch::new(BATCH, 256);
    for _ in 0..rounds {
        for stream in streams {
            let mut batch = SendBatch::new();
            (0..burst).for_each(|_| batch.push(stream.to, None, &PACKET));
            batch.send(stream.sender.as_fd(), |_, _, e| panic!("loopback takes it: {e}"));
        }
        for stream in streams {
            let socket = stream.receiver.as_ref().unwrap_or(&stream.sender);
            let mut left = burst;
            while left > 0 {
                match buffers.recv(socket.as_fd(), left) {
                    Ok(n) => left -= n,
                    // sleeps, with the patience of the harness, until there is one
                    Err(_) => drop(socket.peek(&mut [0; 1]).expect("all of them come")),
                }
            }
        }
    }
}

/// Runs a load against streams; `cpu` tells the server thread's CPU time so far, nanoseconds.
fn measure(streams: &[Stream], load: Load, cpu: impl Fn() -> u64) -> Cost {
    generate(streams, load.burst, 10);
    let (before, began) = (cpu(), Instant::now());
    generate(streams, load.burst, load.rounds);
    let (after, took) = (cpu(), began.elapsed());
    let packets = (streams.len() * load.burst * load.rounds) as f64;
    Cost { cpu: (after - before) as f64 / packets, rate: packets / took.as_secs_f64() }
}

/// CPU time of a thread so far, nanoseconds.
fn cpu_nanos(thread: &str) -> u64 {
    let text =
        std::fs::read_to_string(format!("/proc/{thread}/schedstat")).expect("the kernel keeps schedstat");
    text.split(' ').next().and_then(|digits| digits.parse().ok()).expect("its first number is nanoseconds")
}

/// The program in C.
fn in_c(program: &std::ffi::OsStr, host: &str, load: Load) -> Cost {
    let mut child: Child = Command::new(program)
        .args([host, &load.streams.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the echo program runs");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let ports = lines.map_while(Result::ok).take_while(|line| line != "ready");
    let ip = host.parse().expect("an address");
    let stream = |port: String| Stream {
        sender: udp(host),
        to: SocketAddr::new(ip, port.parse().expect("a port")),
        receiver: None,
    };
    let streams: Vec<Stream> = ports.map(stream).collect();
    let id = child.id().to_string();
    let cost = measure(&streams, load, || cpu_nanos(&id));
    drop(child.stdin.take());
    child.wait().expect("it ends with its input");
    cost
}

/// Our loop: an echo, or a relay from the first host's phones to the second's.
fn node(hosts: [&str; 2], relays: bool, load: Load) -> Cost {
    let socket = |host: &&str| SipSocket {
        port_min: 10_000,
        port_max: 30_000,
        ..SipSocket::new(host.parse().expect("an address"), 0)
    };
    let hosts_used = if hosts[0] == hosts[1] { &hosts[..1] } else { &hosts[..] };
    let sip = hosts_used.iter().map(socket).collect();
    let node = Running::with_config(Config { sip, ..Config::default() });
    let far = LocalId(hosts_used.len() as u8 - 1);
    let stream = |_| {
        let (id, port) = open(&node, LocalId(0));
        let (sender, to) = (udp(hosts[0]), SocketAddr::new(node.addrs[0].ip(), port));
        if !relays {
            return Stream { sender, to, receiver: None };
        }
        let (other, _) = open(&node, far);
        let receiver = udp(hosts[1]);
        let remote = Remote::new(receiver.local_addr().expect("bound"));
        node.ask(move |cx| {
            cx.core.media_mut().set_action(id, Action::Forward { to: other });
            cx.core.media_mut().set_remote(other, Some(remote));
        });
        Stream { sender, to, receiver: Some(receiver) }
    };
    let streams: Vec<Stream> = (0..load.streams).map(stream).collect();
    generate(&streams, load.burst, 10);
    let allocations = || node.ask(|_| Counting::allocations());
    let (idle, before) = (allocations(), allocations());
    generate(&streams, load.burst, 10);
    let asking = before - idle;
    assert_eq!(allocations() - before, asking, "the packet path allocates");
    let cost = measure(&streams, load, || node.ask(|_| cpu_nanos("thread-self")));
    node.stop();
    cost
}

/// Opens a session; its number and RTP port.
fn open(node: &Running, local: LocalId) -> (u64, u16) {
    loop {
        let (session, port) = node.ask(move |cx| {
            let (session, port) = cx.core.media_mut().open(cx.now, local).expect("there are ports");
            cx.out.push(Output::OpenMedia { session, local, port });
            (session, port)
        });
        node.ask(|_| ());
        if !node.lines.any(&format!("media ports {port} and")) {
            return (session, port);
        }
    }
}
