//! The timers of the transaction machines (RFC 3261 table 4, RFC 6026): one table, and the timers that run in one machine.

use crate::base::time::{Duration, Instant};
use crate::base::timer::Alarm;

/// A transaction timer, by its letter in the specification.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[allow(missing_docs, reason = "the variants are the timers' letters; the table says what each is")]
pub enum Timer {
    A,
    B,
    C,
    D,
    E,
    F,
    G,
    H,
    I,
    J,
    K,
    L,
    M,
    /// How long a cancelled INVITE waits for its final response.
    Cancelled,
}

impl Timer {
    /// All timers, in the order of the table.
    pub const ALL: [Timer; 14] = {
        use Timer::*;
        [A, B, C, D, E, F, G, H, I, J, K, L, M, Cancelled]
    };

    /// The timer's row of the table.
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

/// How long a timer runs when it is first started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// T1.
    T1,
    /// T4.
    T4,
    /// 64 times T1.
    SixtyFourT1,
    /// The configured timer C.
    C,
    /// 64 times T1, but 32 s at least.
    D,
}

/// What the timer is when the transport is reliable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnReliable {
    /// It runs as it does over UDP.
    Same,
    /// It fires at once.
    Zero,
    /// It is not started.
    Off,
}

/// How the interval changes when a retransmission timer is restarted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Growth {
    /// It fires once.
    Once,
    /// It doubles.
    Double,
    /// It doubles up to T2.
    DoubleToT2,
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The timer.
    pub timer: Timer,
    /// Where it is specified.
    pub clause: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// Its first interval over UDP.
    pub start: Start,
    /// Its value over TCP.
    pub on_reliable: OnReliable,
    /// Its later intervals.
    pub growth: Growth,
}

/// All timers.
pub const TABLE: [Row; 14] = {
    use Growth::*;
    use OnReliable::*;
    use Start::*;
    [
        row(Timer::A, "RFC 3261 17.1.1.2", "INVITE request retransmission", T1, Off, Double),
        row(Timer::B, "RFC 3261 17.1.1.2", "INVITE transaction timeout", SixtyFourT1, Same, Once),
        row(Timer::C, "RFC 3261 16.6", "INVITE without final response", C, Same, Once),
        row(Timer::D, "RFC 3261 17.1.1.2", "absorbs final response retransmissions", D, Zero, Once),
        row(Timer::E, "RFC 3261 17.1.2.2", "request retransmission", T1, Off, DoubleToT2),
        row(Timer::F, "RFC 3261 17.1.2.2", "transaction timeout", SixtyFourT1, Same, Once),
        row(Timer::G, "RFC 3261 17.2.1", "INVITE response retransmission", T1, Off, DoubleToT2),
        row(Timer::H, "RFC 3261 17.2.1", "wait for ACK", SixtyFourT1, Same, Once),
        row(Timer::I, "RFC 3261 17.2.1", "absorbs ACK retransmissions", T4, Zero, Once),
        row(Timer::J, "RFC 3261 17.2.2", "absorbs request retransmissions", SixtyFourT1, Zero, Once),
        row(Timer::K, "RFC 3261 17.1.2.2", "absorbs response retransmissions", T4, Zero, Once),
        row(Timer::L, "RFC 6026 7.1", "absorbs INVITE retransmissions after a 2xx", SixtyFourT1, Same, Once),
        row(Timer::M, "RFC 6026 7.2", "takes 2xx retransmissions", SixtyFourT1, Same, Once),
        row(Timer::Cancelled, "RFC 3261 9.1", "final response after CANCEL", SixtyFourT1, Same, Once),
    ]
};

const fn row(
    timer: Timer,
    clause: &'static str,
    meaning: &'static str,
    start: Start,
    on_reliable: OnReliable,
    growth: Growth,
) -> Row {
    Row { timer, clause, meaning, start, on_reliable, growth }
}

/// The least timer D over UDP (RFC 3261 17.1.1.2).
pub const LEAST_D: Duration = Duration::from_secs(32);

/// The values that the table counts in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// T1, the estimated round trip: 500 ms in RFC 3261, 2 s towards UEs in TS 24.229 table 7.7.1.
    pub t1: Duration,
    /// T2, the longest retransmission interval of non-INVITE requests and INVITE responses: 4 s, 16 s.
    pub t2: Duration,
    /// T4, how long a message may stay in the network: 5 s, 17 s.
    pub t4: Duration,
    /// Timer C: more than 3 minutes (RFC 3261 16.6).
    pub c: Duration,
}

impl Default for Timers {
    /// The values of RFC 3261.
    fn default() -> Self {
        Timers {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            c: Duration::from_secs(181),
        }
    }
}

impl Timers {
    /// How long the timer runs when it is started; `None` when this transport does not start it.
    pub fn first(&self, timer: Timer, reliable: bool) -> Option<Duration> {
        let row = timer.row();
        match row.on_reliable {
            OnReliable::Off if reliable => None,
            OnReliable::Zero if reliable => Some(Duration::ZERO),
            _ => Some(match row.start {
                Start::T1 => self.t1,
                Start::T4 => self.t4,
                Start::SixtyFourT1 => self.t1 * 64,
                Start::C => self.c,
                Start::D => (self.t1 * 64).max(LEAST_D),
            }),
        }
    }

    /// The interval after `last` when the timer is restarted.
    pub fn next(&self, timer: Timer, last: Duration) -> Duration {
        match timer.row().growth {
            Growth::Once => last,
            Growth::Double => last * 2,
            Growth::DoubleToT2 => (last * 2).min(self.t2.max(self.t1)),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Running {
    timer: Timer,
    at: Instant,
    interval: Duration,
}

/// The timers that run in one machine: at most one that retransmits and one that ends the state.
#[derive(Debug, Default)]
pub struct RunningTimers {
    retransmission: Option<Running>,
    end: Option<Running>,
    /// The machine's place in the layer's queue.
    pub alarm: Alarm,
}

impl RunningTimers {
    /// Starts a timer; the machine's other timer of the same use is replaced.
    pub fn start(&mut self, timer: Timer, now: Instant, interval: Duration) {
        *self.slot(timer) = Some(Running { timer, at: now + interval, interval });
    }

    /// Stops a timer, if it runs.
    pub fn stop(&mut self, timer: Timer) {
        let slot = self.slot(timer);
        if slot.is_some_and(|r| r.timer == timer) {
            *slot = None;
        }
    }

    /// Takes one timer whose time has come, with its interval; the one that ends the state first.
    pub fn take_due(&mut self, now: Instant) -> Option<(Timer, Duration)> {
        [&mut self.end, &mut self.retransmission]
            .into_iter()
            .find_map(|slot| slot.take_if(|r| r.at <= now))
            .map(|r| (r.timer, r.interval))
    }

    /// The earliest deadline.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.retransmission, self.end].into_iter().flatten().map(|r| r.at).min()
    }

    /// Whether this timer runs.
    pub fn runs(&self, timer: Timer) -> bool {
        [self.retransmission, self.end].into_iter().flatten().any(|r| r.timer == timer)
    }

    fn slot(&mut self, timer: Timer) -> &mut Option<Running> {
        match timer.row().growth {
            Growth::Once => &mut self.end,
            Growth::Double | Growth::DoubleToT2 => &mut self.retransmission,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_timers() {
        for (at, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!((timer as usize, TABLE[at].timer), (at, timer));
        }
    }

    /// RFC 3261 table 4 and RFC 6026, with T1 = 500 ms, T2 = 4 s, T4 = 5 s; milliseconds over UDP and TCP.
    #[test]
    fn values_of_the_specification() {
        let want = [
            (Timer::A, Some(500), None),
            (Timer::B, Some(32_000), Some(32_000)),
            (Timer::C, Some(181_000), Some(181_000)),
            (Timer::D, Some(32_000), Some(0)),
            (Timer::E, Some(500), None),
            (Timer::F, Some(32_000), Some(32_000)),
            (Timer::G, Some(500), None),
            (Timer::H, Some(32_000), Some(32_000)),
            (Timer::I, Some(5_000), Some(0)),
            (Timer::J, Some(32_000), Some(0)),
            (Timer::K, Some(5_000), Some(0)),
            (Timer::L, Some(32_000), Some(32_000)),
            (Timer::M, Some(32_000), Some(32_000)),
            (Timer::Cancelled, Some(32_000), Some(32_000)),
        ];
        assert_eq!(want.len(), TABLE.len());
        let timers = Timers::default();
        for (timer, udp, tcp) in want {
            assert_eq!(timers.first(timer, false), udp.map(Duration::from_millis), "{timer:?} UDP");
            assert_eq!(timers.first(timer, true), tcp.map(Duration::from_millis), "{timer:?} TCP");
        }
    }

    #[test]
    fn short_t1_leaves_timer_d_at_its_least() {
        let timers = Timers { t1: Duration::from_millis(10), ..Timers::default() };
        assert_eq!(timers.first(Timer::D, false), Some(LEAST_D));
        let timers = Timers { t1: Duration::from_secs(2), ..Timers::default() };
        assert_eq!(timers.first(Timer::D, false), Some(Duration::from_secs(128)));
    }

    #[test]
    fn intervals_grow_as_specified() {
        let timers = Timers::default();
        let grow = |timer| {
            let first = timers.first(timer, false).unwrap();
            let steps = std::iter::successors(Some(first), |&last| Some(timers.next(timer, last)));
            steps.take(6).map(|d| d.as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(grow(Timer::A), [500, 1000, 2000, 4000, 8000, 16000]);
        assert_eq!(grow(Timer::E), [500, 1000, 2000, 4000, 4000, 4000]);
        assert_eq!(grow(Timer::G), grow(Timer::E));
    }

    #[test]
    fn the_end_goes_before_the_retransmission() {
        let mut running = RunningTimers::default();
        let at = Instant::ZERO + Duration::from_secs(1);
        running.start(Timer::A, Instant::ZERO, Duration::from_secs(1));
        running.start(Timer::B, Instant::ZERO, Duration::from_secs(1));
        assert_eq!(running.next_deadline(), Some(at));
        assert_eq!(running.take_due(Instant::ZERO), None);
        running.stop(Timer::M);
        assert_eq!(running.take_due(at).map(|(t, _)| t), Some(Timer::B));
        running.stop(Timer::A);
        assert_eq!((running.take_due(at), running.next_deadline()), (None, None));
    }
}
