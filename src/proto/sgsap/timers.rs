//! Timers and counters of SGs and of the connection protocol: one table.

use crate::base::time::Duration;

/// A timer, by its name in the specification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the variants are the timers' names; the table says what each is")]
pub enum Timer {
    Ts5,
    Ts6_2,
    Ts7,
    Ts11,
    Tc1,
    Tr1n,
    Tr2n,
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The timer.
    pub timer: Timer,
    /// Its name.
    pub name: &'static str,
    /// Where it is specified.
    pub clause: &'static str,
    /// What it guards.
    pub meaning: &'static str,
    /// How long it runs.
    pub duration: Duration,
    /// How often what it guards is repeated when it expires, before it is given up.
    pub repetitions: u8,
}

const fn row(
    timer: Timer,
    name: &'static str,
    clause: &'static str,
    meaning: &'static str,
    secs: u64,
    repetitions: u8,
) -> Row {
    Row { timer, name, clause, meaning, duration: Duration::from_secs(secs), repetitions }
}

/// All timers. Ts8 to Ts10, Ts12 and Ts13 are not among them, since they are the MME's; Ts14 and Ts15 belong to CS fallback. How often a page is repeated is ours to choose. TC1* is left to implementations, with three repetitions at most: all
/// of them end before TR1M, the 35 s that a phone waits for the answer to its own message.
pub const TABLE: [Row; 7] = [
    row(Timer::Ts5, "Ts5", "TS 29.118 10.1", "PAGING-REQUEST without SERVICE-REQUEST", 10, 1),
    row(Timer::Ts6_2, "Ts6-2", "TS 29.118 10.1", "a new TMSI without TMSI-REALLOCATION-COMPLETE", 40, 0),
    row(Timer::Ts7, "Ts7", "TS 29.118 10.1, Ns7", "ALERT-REQUEST without ALERT-ACK", 4, 2),
    row(Timer::Ts11, "Ts11", "TS 29.118 10.1, Ns11", "RESET-INDICATION without RESET-ACK", 4, 2),
    row(Timer::Tc1, "TC1*", "TS 24.011 5.3.2, 10.2", "CP-DATA without CP-ACK", 8, 2),
    row(Timer::Tr1n, "TR1N", "TS 24.011 6.3, 10.1", "RP-DATA to a phone without RP-ACK or RP-ERROR", 40, 0),
    row(
        Timer::Tr2n,
        "TR2N",
        "TS 24.011 6.3, 10.1",
        "RP-DATA of a phone without answer of the SMS centre",
        20,
        0,
    ),
];

impl Timer {
    /// The timer's row of the table.
    pub const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// How long it runs.
    pub const fn duration(self) -> Duration {
        self.row().duration
    }

    /// How often what it guards is repeated.
    pub const fn repetitions(self) -> u8 {
        self.row().repetitions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timer_is_in_its_row_and_repetitions_end_in_time() {
        let all = [Timer::Ts5, Timer::Ts6_2, Timer::Ts7, Timer::Ts11, Timer::Tc1, Timer::Tr1n, Timer::Tr2n];
        assert!(all.iter().zip(&TABLE).all(|(timer, row)| *timer == row.timer && timer.row() == row));
        assert!(Timer::Tc1.repetitions() <= 3);
        let acknowledged = Timer::Tc1.duration() * (1 + u32::from(Timer::Tc1.repetitions()));
        assert!(acknowledged < Duration::from_secs(35) && acknowledged < Timer::Tr1n.duration());
    }
}
