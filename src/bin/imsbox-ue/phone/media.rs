//! The stream of a call: a packet every 20 ms, and what is found about those that come (RFC 3550 6.4.1, A.1, A.3, A.8).

use super::codec::{self, Codec, SAMPLES};
use super::digits::{self, Heard, Pressed};
use super::rtp::{self, Block, Sent};
use super::sdp::Agreed;
use super::sound::Sound;
use imsbox::base::rng::Rng;
use imsbox::base::time::{Duration, Instant};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// The time between two reports (RFC 3550 6.2: at least 5 s for small sessions).
const REPORT: Duration = Duration::from_secs(5);
/// Packets that are made up for when the program was late; what is more is left out.
const MOST_LATE: u32 = 10;
/// Samples of sound that are recorded: ten minutes.
const RECORDED: usize = 8000 * 600;
/// Payloads that are remembered to be known again: five seconds.
const REMEMBERED: usize = 250;

/// Which stream of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// What a stream wants to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A packet of media.
    Rtp(SocketAddr, Vec<u8>),
    /// A packet of reports.
    Rtcp(SocketAddr, Vec<u8>),
}

/// What is known of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// The codec that is sent.
    pub codec: Codec,
    /// Packets sent.
    pub sent: u64,
    /// Packets received, each number once.
    pub received: u64,
    /// Packets that did not come although later ones did.
    pub lost: u64,
    /// Mean deviation of the spacing, in milliseconds.
    pub jitter_ms: f64,
    /// Packets that were the ones we sent, in their order, bit by bit.
    pub echoed: u64,
    /// The shortest time in which one of them came back, in milliseconds.
    pub echo_delay_ms: Option<f64>,
    /// What the other side reports as lost, when it does.
    pub peer_lost: Option<u32>,
}

impl Report {
    /// Lost packets of those that should have come, in percent.
    pub fn loss_percent(&self) -> f64 {
        percent(self.lost, self.lost + self.received)
    }

    /// Packets that came back as they were sent, of those that came, in percent.
    pub fn echo_percent(&self) -> f64 {
        percent(self.echoed, self.received)
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// A stream.
#[derive(Debug)]
pub struct Media {
    agreed: Agreed,
    sound: Sound,
    /// Whether we hold the call: nothing is sent then.
    is_muted: bool,
    /// Whether a person wants nothing sent, neither media nor reports.
    is_silent: bool,
    pressed: Pressed,
    heard: Heard,
    ssrc: u32,
    seq: u16,
    stamp: u32,
    sent: u64,
    octets: u32,
    next_at: Instant,
    /// Whether the next packet is the first after silence: it has the marker (RFC 3551 4.1).
    is_first: bool,
    report_at: Instant,
    received: Received,
    echo: Echo,
    peer_lost: Option<u32>,
    /// What was heard, where it is recorded.
    recorded: Option<Vec<i16>>,
}

impl Media {
    /// A stream that starts now.
    pub fn new(now: Instant, agreed: Agreed, sound: Sound, rng: &mut Rng) -> Media {
        Media {
            agreed,
            sound,
            is_muted: false,
            is_silent: false,
            pressed: Pressed::default(),
            heard: Heard::default(),
            ssrc: rng.next_u64() as u32,
            seq: rng.next_u64() as u16,
            stamp: rng.next_u64() as u32,
            sent: 0,
            octets: 0,
            next_at: now,
            is_first: true,
            report_at: now + REPORT,
            received: Received::default(),
            echo: Echo::default(),
            peer_lost: None,
            recorded: None,
        }
    }

    /// Records what is heard from now on: G.711, packet after packet as they come.
    pub fn record(&mut self) {
        self.recorded.get_or_insert_default();
    }

    /// What was recorded.
    pub fn take_recorded(&mut self) -> Option<Vec<i16>> {
        self.recorded.take()
    }

    /// Goes on under another agreement; the sender of a held call says nothing.
    pub fn renew(&mut self, now: Instant, agreed: Agreed, is_muted: bool) {
        self.change(now, |media| (media.agreed, media.is_muted) = (agreed, is_muted));
    }

    /// Sends nothing at all any more, or goes on.
    pub fn silence(&mut self, now: Instant, is_silent: bool) {
        self.change(now, |media| media.is_silent = is_silent);
    }

    fn change(&mut self, now: Instant, change: impl FnOnce(&mut Media)) {
        let was_silent = !self.sends();
        change(self);
        if was_silent && self.sends() {
            self.skip_to(now);
            self.is_first = true;
        }
    }

    /// Presses keys, where the other side takes them.
    pub fn press(&mut self, numbers: &[u8]) -> Result<(), String> {
        self.agreed.events.ok_or("the other side takes no keys: it has not agreed to telephone-event")?;
        self.pressed.press(numbers)
    }

    /// Whether keys wait to be sent.
    pub fn is_pressing(&self) -> bool {
        self.pressed.is_busy()
    }

    /// The keys of the other side.
    pub fn heard(&mut self) -> &mut Heard {
        &mut self.heard
    }

    /// What has been agreed on.
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    fn sends(&self) -> bool {
        self.agreed.direction.sends() && self.agreed.remote.is_some() && !self.is_muted && !self.is_silent
    }

    /// When [`Media::tick`] has something to do.
    pub fn next_deadline(&self) -> Instant {
        if self.sends() { self.next_at.min(self.report_at) } else { self.report_at }
    }

    /// Sends what is due.
    pub fn tick(&mut self, now: Instant, rng: &mut Rng, out: &mut Vec<Wanted>) {
        let late = now.since(self.next_at);
        if self.sends() && late > self.interval() * MOST_LATE {
            // far behind: the time that was slept through is silence
            self.skip_to(now);
        }
        while self.sends() && self.next_at <= now {
            let packet = self.packet(now, rng);
            if let Some(remote) = self.agreed.remote {
                out.push(Wanted::Rtp(remote, packet));
            }
            self.next_at = self.next_at + self.interval();
        }
        if self.report_at <= now {
            self.report_at = now + REPORT;
            out.extend(self.rtcp(now));
        }
    }

    /// The clock of the stream goes on through silence (RFC 3550 5.1).
    fn skip_to(&mut self, now: Instant) {
        let ticks =
            now.since(self.next_at).as_nanos() * u128::from(self.agreed.codec.clock()) / 1_000_000_000;
        self.stamp = self.stamp.wrapping_add(ticks as u32);
        self.next_at = self.next_at.max(now);
    }

    /// The time between two packets.
    fn interval(&self) -> Duration {
        Duration::from_millis(u64::from(self.agreed.codec.interval_ms()))
    }

    /// Timestamp units of one packet.
    fn step(&self) -> u32 {
        self.agreed.codec.clock() / 1000 * self.agreed.codec.interval_ms()
    }

    fn packet(&mut self, now: Instant, rng: &mut Rng) -> Vec<u8> {
        let codec = self.agreed.codec;
        let step = self.step();
        let key = self.agreed.events.and_then(|pt| Some((pt, self.pressed.next(self.stamp, step)?)));
        // RFC 6184 5.1: the marker is on the last packet of a picture, and each is one
        let plain = (self.agreed.payload_type, self.stamp, self.is_first || codec.is_video());
        let (payload_type, stamp, is_marked) =
            key.map_or(plain, |(pt, digits::Packet { stamp, is_first, .. })| (pt, stamp, is_first));
        let mut packet = rtp::write_head(payload_type, is_marked, self.seq, stamp, self.ssrc);
        self.is_first = false;
        if let Some((_, key)) = key {
            packet.extend(key.payload);
        } else if codec.is_video() {
            codec::note(u64::from(self.ssrc) << 32 | self.sent, &mut packet);
        } else {
            let sound: [i16; SAMPLES] = self.sound.next(rng);
            codec.payload(&sound, self.agreed.octet_aligned, &mut packet);
        }
        // AMR's frames without data are all alike: nothing could be known again
        if codec.is_encoded() || codec.is_video() {
            self.echo.remember(now, &packet[12..]);
        }
        self.octets = self.octets.wrapping_add(packet.len() as u32 - 12);
        self.sent += 1;
        self.seq = self.seq.wrapping_add(1);
        self.stamp = self.stamp.wrapping_add(step);
        packet
    }

    /// A packet came. Whether it belongs to the stream.
    pub fn on_rtp(&mut self, now: Instant, from: SocketAddr, octets: &[u8]) -> bool {
        // RFC 4961 4: RTP comes from where it goes to; what others send to a port that was theirs a moment ago does not count
        let expected = self.agreed.remote.is_none_or(|remote| remote == from);
        let Some(packet) = rtp::parse(octets).filter(|_| expected) else { return false };
        let is_key = self.agreed.events == Some(packet.payload_type);
        // the packets of a key have all the same time, which says nothing of their spacing
        let clock = (!is_key).then_some(self.agreed.codec.clock());
        if let Some(number) = self.received.take(now, &packet, clock) {
            self.echo.compare(now, number, packet.payload);
            if is_key {
                self.heard.take(&packet);
            } else if let Some(recorded) = self.recorded.as_mut().filter(|r| r.len() < RECORDED) {
                recorded.extend(self.agreed.codec.sound(packet.payload));
            }
        }
        true
    }

    /// A packet of reports came.
    pub fn on_rtcp(&mut self, octets: &[u8]) {
        if let Some(block) = rtp::find_block(octets, self.ssrc) {
            self.peer_lost = Some(block.lost);
        }
    }

    fn rtcp(&mut self, now: Instant) -> Option<Wanted> {
        let remote = self.agreed.remote_rtcp.filter(|_| !self.is_silent)?;
        let nanos = now.as_nanos();
        let fraction = u128::from(nanos % 1_000_000_000) * (1 << 32) / 1_000_000_000;
        let sent = Sent {
            ntp: (nanos / 1_000_000_000) << 32 | fraction as u64,
            stamp: self.stamp,
            packets: self.sent as u32,
            octets: self.octets,
        };
        let sent = (self.sent > 0).then_some(sent);
        let block = self.received.block();
        let name = format!("{:08x}@imsbox-ue", self.ssrc);
        Some(Wanted::Rtcp(remote, rtp::write_report(self.ssrc, sent, block, &name)))
    }

    /// What is known so far.
    pub fn report(&self) -> Report {
        let (expected, received) = self.received.counts();
        Report {
            codec: self.agreed.codec,
            sent: self.sent,
            received,
            lost: expected.saturating_sub(received),
            jitter_ms: self.received.jitter * 1000.0 / f64::from(self.agreed.codec.clock()),
            echoed: self.echo.exact,
            echo_delay_ms: self.echo.shortest.map(|d| d.as_nanos() as f64 / 1e6),
            peer_lost: self.peer_lost,
        }
    }
}

/// What has come of one source after the other.
#[derive(Debug, Default)]
struct Received {
    source: Option<Source>,
    /// Expected and received of the sources before.
    before: (u64, u64),
    jitter: f64,
    /// Expected and received when the last report was made.
    reported: (u64, u64),
}

#[derive(Debug)]
struct Source {
    ssrc: u32,
    first: u64,
    highest: u64,
    received: u64,
    /// Which of the 64 numbers up to `highest` have come.
    seen: u64,
    transit: Option<f64>,
}

impl Received {
    /// Takes a packet; its number with cycles, or `None` for one that was there before or is far too old. `clock` is that of its
    /// timestamp, where that tells of its time.
    fn take(&mut self, now: Instant, packet: &rtp::Packet<'_>, clock: Option<u32>) -> Option<u64> {
        let arrival = clock.map(|clock| now.as_nanos() as f64 * f64::from(clock) / 1e9);
        let transit = arrival.map(|at| at - f64::from(packet.stamp));
        let source = match &mut self.source {
            Some(source) if source.ssrc == packet.ssrc => source,
            _ => {
                self.before = self.counts();
                let seq = u64::from(packet.seq) + (1 << 16);
                let source =
                    Source { ssrc: packet.ssrc, first: seq, highest: seq, received: 1, seen: 1, transit };
                self.source = Some(source);
                return Some(seq);
            }
        };
        // A.8: mean deviation, smoothed by 16; the timestamp may go round
        let change = transit.zip(source.transit).map(|(now, before)| (now - before).abs());
        if let Some(change) = change.filter(|change| *change < 1e8) {
            self.jitter += (change - self.jitter) / 16.0;
        }
        source.transit = transit.or(source.transit);
        source.count(packet.seq)
    }

    fn counts(&self) -> (u64, u64) {
        let own = self.source.as_ref().map_or((0, 0), |s| (s.highest - s.first + 1, s.received));
        (self.before.0 + own.0, self.before.1 + own.1)
    }

    fn block(&mut self) -> Option<Block> {
        let (expected, received) = self.counts();
        let (new, came) = (expected - self.reported.0, received - self.reported.1);
        self.reported = (expected, received);
        let source = self.source.as_ref()?;
        Some(Block {
            ssrc: source.ssrc,
            // A.3
            fraction: (new.saturating_sub(came) * 256).checked_div(new).unwrap_or(0).min(255) as u8,
            lost: expected.saturating_sub(received) as u32,
            highest: source.highest as u32,
            jitter: self.jitter as u32,
        })
    }
}

impl Source {
    /// Counts a number once; it is extended to the one nearest to the highest.
    fn count(&mut self, seq: u16) -> Option<u64> {
        let ahead = seq.wrapping_sub(self.highest as u16) as i16;
        let number = self.highest.checked_add_signed(i64::from(ahead))?;
        if ahead > 0 {
            self.seen = if ahead < 64 { self.seen << ahead } else { 0 };
            self.highest = number;
        }
        let back = self.highest - number;
        if back >= 64 || self.seen & 1 << back != 0 {
            return None;
        }
        self.seen |= 1 << back;
        // one that was sent before the first that came
        self.first = self.first.min(number);
        self.received += 1;
        Some(number)
    }
}

/// Whether what comes is what was sent: found by the first payload that is known again, then number by number.
#[derive(Debug, Default)]
struct Echo {
    sent: VecDeque<(Instant, Vec<u8>)>,
    /// The number of the first of `sent`.
    base: u64,
    /// What is to be taken from a received number to have that of the sent one.
    offset: Option<i64>,
    exact: u64,
    /// The shortest time between sending one and getting it back.
    shortest: Option<Duration>,
}

impl Echo {
    fn remember(&mut self, now: Instant, payload: &[u8]) {
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
            self.base += 1;
        }
        self.sent.push_back((now, payload.to_vec()));
    }

    fn compare(&mut self, now: Instant, number: u64, payload: &[u8]) {
        let expected =
            self.offset.and_then(|offset| usize::try_from(number as i64 - offset - self.base as i64).ok());
        let is_it = |(_, sent): &(Instant, Vec<u8>)| sent == payload;
        let here = expected.filter(|at| self.sent.get(*at).is_some_and(is_it));
        let Some(at) = here.or_else(|| self.sent.iter().position(is_it)) else { return };
        self.offset = Some(number as i64 - (self.base + at as u64) as i64);
        self.exact += 1;
        let took = now.since(self.sent[at].0);
        self.shortest = Some(self.shortest.map_or(took, |shortest| shortest.min(took)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imsbox::wire::sdp::Direction;

    fn peer() -> SocketAddr {
        "192.0.2.1:4000".parse().unwrap()
    }

    fn media(direction: Direction) -> (Media, Rng) {
        let agreed = Agreed {
            remote: Some(peer()),
            remote_rtcp: Some("192.0.2.1:4001".parse().unwrap()),
            codec: Codec::Pcma,
            payload_type: 8,
            octet_aligned: false,
            events: Some(101),
            direction,
        };
        let mut rng = Rng::from_seed(5);
        (Media::new(Instant::ZERO, agreed, Sound::Tone(0.0), &mut rng), rng)
    }

    /// Runs for so long, handing each packet with its number to `each`.
    fn run(
        media: &mut Media,
        rng: &mut Rng,
        ms: u64,
        mut each: impl FnMut(&mut Media, Instant, u64, Vec<u8>),
    ) {
        let mut number = 0;
        loop {
            let now = media.next_deadline();
            if now.as_nanos() >= ms * 1_000_000 {
                return;
            }
            let mut out = Vec::new();
            media.tick(now, rng, &mut out);
            for wanted in out {
                if let Wanted::Rtp(_, packet) = wanted {
                    each(media, now, number, packet);
                    number += 1;
                }
            }
        }
    }

    #[test]
    fn an_echo_comes_back_bit_by_bit() {
        let (mut media, mut rng) = media(Direction::SendRecv);
        run(&mut media, &mut rng, 2000, |media, now, _, packet| {
            assert!(media.on_rtp(now, peer(), &packet));
        });
        let report = media.report();
        assert_eq!((report.sent, report.received, report.lost, report.echoed), (100, 100, 0, 100));
        assert!(report.jitter_ms < 0.01, "{report:?}");
        assert_eq!((report.loss_percent(), report.echo_percent()), (0.0, 100.0));
    }

    #[test]
    fn lost_late_doubled_and_changed_packets_are_counted() {
        let (mut media, mut rng) = media(Direction::SendRecv);
        let mut late = Vec::new();
        run(&mut media, &mut rng, 2000, |media, now, number, mut packet| match number {
            10..20 => {}
            30 => late = packet,
            31 => {
                media.on_rtp(now, peer(), &packet);
                media.on_rtp(now, peer(), &late);
                media.on_rtp(now, peer(), &late);
            }
            40 => {
                packet[100] ^= 1;
                media.on_rtp(now, peer(), &packet);
            }
            _ => assert!(media.on_rtp(now, peer(), &packet)),
        });
        let report = media.report();
        assert_eq!((report.received, report.lost, report.echoed), (90, 10, 89));
        assert_eq!(report.loss_percent(), 10.0);
    }

    #[test]
    fn packets_that_come_unevenly_have_jitter_and_those_that_are_all_late_have_none() {
        for (late_ms, expected) in [([5u64, 5], 0.0), ([0, 8], 8.0), ([3, 9], 6.0)] {
            let (mut media, mut rng) = media(Direction::SendRecv);
            run(&mut media, &mut rng, 4000, |media, now, number, packet| {
                let late = Duration::from_millis(late_ms[number as usize % 2]);
                assert!(media.on_rtp(now + late, peer(), &packet));
            });
            // RFC 3550 A.8: the mean of the change from each packet to the next
            let found = media.report().jitter_ms;
            assert!((found - expected).abs() < 0.1, "{late_ms:?}: {found}");
        }
    }

    #[test]
    fn another_phones_tone_is_no_echo_and_a_new_source_starts_anew() {
        let (mut media, mut rng) = media(Direction::SendRecv);
        let (mut other, mut other_rng) = self::media(Direction::SendRecv);
        other_rng.next_u64();
        run(&mut other, &mut other_rng, 1000, |_, now, _, packet| {
            media.on_rtp(now, peer(), &packet);
            media.tick(now, &mut rng, &mut Vec::new());
        });
        let (mut third, mut third_rng) =
            (Media::new(Instant::ZERO, *other.agreed(), Sound::Tone(0.5), &mut rng), rng);
        run(&mut third, &mut third_rng, 100, |_, now, _, packet| {
            media.on_rtp(now, peer(), &packet);
        });
        let report = media.report();
        assert_eq!((report.received, report.lost, report.echoed), (55, 0, 0));
    }

    #[test]
    fn strangers_do_not_count() {
        let (mut media, _) = media(Direction::SendRecv);
        let packet = rtp::write_head(8, true, 1, 1, 1);
        assert!(!media.on_rtp(Instant::ZERO, "192.0.2.2:4000".parse().unwrap(), &packet));
        assert!(!media.on_rtp(Instant::ZERO, peer(), b"hello"));
        assert_eq!(media.report().received, 0);
    }

    #[test]
    fn a_held_stream_is_silent_and_goes_on_with_its_numbers() {
        let (mut media, mut rng) = media(Direction::SendRecv);
        let begin = media.stamp;
        run(&mut media, &mut rng, 100, |_, _, _, _| {});
        let held = Agreed { direction: Direction::SendOnly, ..*media.agreed() };
        media.renew(Instant::from_nanos(100_000_000), held, true);
        run(&mut media, &mut rng, 1000, |_, _, _, _| panic!("a held stream speaks"));
        let back = Agreed { direction: Direction::SendRecv, ..held };
        media.renew(Instant::from_nanos(1_000_000_000), back, false);
        let mut first = None;
        let stamp = media.stamp;
        run(&mut media, &mut rng, 1100, |_, now, _, packet| {
            first.get_or_insert((now, packet[1] & 0x80 != 0, rtp::parse(&packet).map(|p| p.stamp)));
        });
        // the clock has gone on, and the marker tells of the silence
        assert_eq!(first, Some((Instant::from_nanos(1_000_000_000), true, Some(stamp))));
        assert_eq!(stamp, begin.wrapping_add(8000));
        assert_eq!(media.report().sent, 10);
    }

    #[test]
    fn a_long_sleep_is_not_made_up_for() {
        let (mut media, mut rng) = media(Direction::SendRecv);
        let mut out = Vec::new();
        media.tick(Instant::from_nanos(60_000_000_000), &mut rng, &mut out);
        let packets = out.iter().filter(|w| matches!(w, Wanted::Rtp(..))).count();
        assert!(packets <= MOST_LATE as usize, "{packets}");
    }

    #[test]
    fn pictures_are_few_marked_and_known_again() {
        let (media, mut rng) = media(Direction::SendRecv);
        let agreed = Agreed { codec: Codec::H264, payload_type: 99, ..*media.agreed() };
        let mut video = Media::new(Instant::ZERO, agreed, Sound::Tone(0.0), &mut rng);
        let mut stamps = Vec::new();
        run(&mut video, &mut rng, 1000, |media, now, _, packet| {
            assert_eq!(packet[1], 0x80 | 99, "each is a whole picture");
            let read = rtp::parse(&packet).unwrap();
            assert!(read.payload[0] == 6 && !read.payload.contains(&0), "a NAL unit that is stepped over");
            stamps.push(read.stamp);
            assert!(media.on_rtp(now, peer(), &packet));
        });
        assert!(stamps.windows(2).all(|w| w[1].wrapping_sub(w[0]) == 9000), "{stamps:?}");
        let report = video.report();
        assert_eq!((report.sent, report.received, report.echoed, report.lost), (10, 10, 10, 0));
    }

    #[test]
    fn reports_are_sent_and_read() {
        let (mut a, mut rng) = media(Direction::SendRecv);
        let (mut b, mut rng_b) = media(Direction::SendRecv);
        b.ssrc = 77;
        let mut out = Vec::new();
        run(&mut b, &mut rng_b, 4990, |_, now, number, packet| {
            if number % 5 != 0 || number == 0 {
                a.on_rtp(now, peer(), &packet);
            }
        });
        a.tick(Instant::from_nanos(5_000_000_000), &mut rng, &mut out);
        let Some(Wanted::Rtcp(_, report)) = out.last() else { panic!("{out:?}") };
        b.on_rtcp(report);
        assert_eq!(b.report().peer_lost, Some(49));
    }
}
