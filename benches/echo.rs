//! The decision about one RTP packet of an echo call, against copying the packet once. The sockets are not part of it.

#[path = "support/timing.rs"]
mod timing;

use imsbox::base::time::{Duration, Instant};
use imsbox::proto::flow::LocalId;
use imsbox::proto::media::table::{MediaTable, Remote};
use platform::counting::Counting;
use std::hint::black_box;
use std::net::SocketAddr;
use timing::Bench;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Octets of a packet: 20 ms of G.711 behind an RTP header.
const PACKET: usize = 172;

/// Echo sessions that run at once.
const SESSIONS: [usize; 2] = [1, 5000];

fn main() {
    let bench = Bench::from_args();
    let mut packet = [0u8; PACKET];
    packet[0] = 0x80;
    let mut copy = [0u8; PACKET];
    let limit = bench.measure(|| {
        copy.copy_from_slice(black_box(&packet));
        black_box(&mut copy)[0]
    });
    for sessions in SESSIONS {
        let what = format!("echo of RTP, {sessions} sessions");
        if !bench.wants(&what) {
            continue;
        }
        let mut table = MediaTable::new(sessions, [(10_000, 10_001 + 2 * sessions as u16)]);
        let all: Vec<(u64, SocketAddr)> = (0..sessions)
            .map(|n| {
                let (session, _) = table.open(Instant::ZERO, LocalId(0)).expect("room for all");
                let peer = SocketAddr::from(([192, 0, 2, 1], 20_000 + 2 * n as u16));
                table.set_remote(session, Some(Remote::new(peer)));
                (session, peer)
            })
            .collect();
        let (mut at, mut now) = (0, Instant::ZERO);
        let measure = bench.measure(|| {
            let (session, peer) = all[at];
            at = (at + 1) % all.len();
            now = now + Duration::from_micros(1);
            table.on_packet(now, session, false, peer, black_box(&packet))
        });
        bench.report(&what, measure, "copy of the packet", limit);
    }
}
