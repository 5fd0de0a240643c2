//! RTP echo through the sockets: CPU time of the loop for each packet, beside the plainest echo there is, in the same run.
//!
//! Both serve the same sockets' worth of streams from one thread, fed by the same generator: a round sends one packet on each
//! stream and takes each echo. What is printed is the server thread's CPU time for each packet, its ratio, and the loop's
//! allocations, of which there must be none. Wall-clock rates of a shared machine mean little and are left out.
//!
//! `cargo bench --bench echo_loop [-- STREAMS ROUNDS]`

#[path = "../tests/loopback/harness.rs"]
#[allow(dead_code)] // shared with the loopback tests, which use all of it
mod harness;

use harness::{Running, udp};
use imsbox::config::model::{Config, SipSocket};
use imsbox::proto::flow::LocalId;
use imsbox::proto::outbox::Output;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use platform::counting::Counting;
use std::fs::File;
use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// An RTP packet of 20 ms of G.711.
const PACKET: [u8; 172] = {
    let mut packet = [0x55; 172];
    packet[0] = 0x80;
    packet[1] = 8;
    packet
};

fn main() {
    // cargo passes `--bench`
    let mut numbers = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let streams = numbers.next().unwrap_or(200).min(4000);
    let rounds = numbers.next().unwrap_or(2000);
    let packets = (streams * rounds) as f64;
    println!("{streams} streams, {rounds} rounds of one packet each, of {} octets", PACKET.len());
    let mut best = [f64::MAX; 2];
    for _ in 0..3 {
        let plain = plain(streams, rounds) as f64 / packets;
        let (nanos, allocations) = node(streams, rounds);
        let node = nanos as f64 / packets;
        println!(
            "plain loop {plain:6.0} ns/packet   imsbox {node:6.0} ns/packet   {:.2}   {allocations} allocations",
            node / plain
        );
        assert_eq!(allocations, 0, "the echo path allocates");
        best = [best[0].min(plain), best[1].min(node)];
    }
    println!(
        "best       {:6.0} ns/packet   imsbox {:6.0} ns/packet   {:.2}",
        best[0],
        best[1],
        best[1] / best[0]
    );
}

/// CPU time of the calling thread so far, nanoseconds.
fn cpu_nanos() -> u64 {
    let mut text = [0; 128];
    let mut file = File::open("/proc/thread-self/schedstat").expect("the kernel keeps schedstat");
    let n = file.read(&mut text).expect("it can be read");
    let digits = text[..n].iter().take_while(|b| b.is_ascii_digit());
    digits.fold(0, |nanos, digit| nanos * 10 + u64::from(digit - b'0'))
}

/// Sends one packet on each stream and takes each echo, so many times.
fn generate(phones: &[(UdpSocket, SocketAddr)], rounds: usize) {
    let mut buf = [0; 256];
    for _ in 0..rounds {
        for (phone, to) in phones {
            phone.send_to(&PACKET, to).expect("loopback takes it");
        }
        for (phone, _) in phones {
            assert_eq!(phone.recv(&mut buf).expect("the echo comes"), PACKET.len());
        }
    }
}

fn phones(targets: Vec<SocketAddr>) -> Vec<(UdpSocket, SocketAddr)> {
    targets.into_iter().map(|to| (udp("127.0.0.1"), to)).collect()
}

/// The loop's CPU time in nanoseconds, and its allocations.
fn node(streams: usize, rounds: usize) -> (u64, u64) {
    let sip = SipSocket { port_min: 10_000, port_max: 30_000, ..SipSocket::new([127, 0, 0, 1].into(), 0) };
    let node = Running::with_config(Config { sip: vec![sip], ..Config::default() });
    let targets = (0..streams).map(|_| SocketAddr::new(node.addrs[0].ip(), open(&node))).collect();
    let phones = phones(targets);
    generate(&phones, 10);
    let asked = || node.ask(|_| (cpu_nanos(), Counting::allocations()));
    let (idle, before) = (asked(), asked());
    generate(&phones, rounds);
    let after = asked();
    let asking = before.1 - idle.1;
    node.stop();
    (after.0 - before.0, after.1 - before.1 - asking)
}

/// Opens an echo session and returns its RTP port.
fn open(node: &Running) -> u16 {
    loop {
        let port = node.ask(|cx| {
            let (session, port) = cx.core.media_mut().open(cx.now, LocalId(0)).expect("there are ports");
            cx.out.push(Output::OpenMedia { session, local: LocalId(0), port });
            port
        });
        node.ask(|_| ());
        if !node.lines.any(&format!("media ports {port} and")) {
            return port;
        }
    }
}

/// The CPU time in nanoseconds of a loop that does nothing but poll, `recvfrom` and `sendto`.
fn plain(streams: usize, rounds: usize) -> u64 {
    let sockets: Vec<UdpSocket> = (0..streams).map(|_| udp("127.0.0.1")).collect();
    let targets = sockets.iter().map(|s| s.local_addr().expect("bound")).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let server = std::thread::spawn(move || {
        let mut poll = Poll::new().expect("a poll");
        for (i, socket) in sockets.iter().enumerate() {
            socket.set_nonblocking(true).expect("a socket can be");
            let fd = socket.as_raw_fd();
            poll.registry().register(&mut SourceFd(&fd), Token(i), Interest::READABLE).expect("watched");
        }
        let (mut events, mut buf) = (Events::with_capacity(1024), [0; 2048]);
        let start = cpu_nanos();
        while !stopped.load(Ordering::Relaxed) {
            poll.poll(&mut events, Some(Duration::from_millis(100))).expect("polled");
            for event in events.iter() {
                let socket = &sockets[event.token().0];
                while let Ok((n, from)) = socket.recv_from(&mut buf) {
                    socket.send_to(&buf[..n], from).expect("loopback takes it");
                }
            }
        }
        cpu_nanos() - start
    });
    let phones = phones(targets);
    generate(&phones, rounds);
    stop.store(true, Ordering::Relaxed);
    server.join().expect("the plain loop ends")
}
