//! Measures: several rounds of many operations, median and best round, allocations by operation; one line each.
//!
//! `--quick` makes one short round, to see that a bench still runs; a word among the arguments keeps only the lines that hold it.

use platform::counting::Counting;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// What was measured of one operation.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// Median round, in nanoseconds by operation.
    pub median_ns: f64,
    /// Best round.
    pub min_ns: f64,
    /// Allocations by operation.
    pub allocations: f64,
}

/// How much is measured, and of what.
#[derive(Debug)]
pub struct Bench {
    /// Whether to run just once.
    pub quick: bool,
    filter: Option<String>,
}

/// How long a round takes.
const ROUND: Duration = Duration::from_millis(60);
/// Rounds.
pub const ROUNDS: usize = 15;

impl Bench {
    /// From the arguments of the program; those of cargo (`--bench`) are left out.
    pub fn from_args() -> Self {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let filter = args.iter().find(|a| !a.starts_with("--")).cloned();
        Bench { quick: args.iter().any(|a| a == "--quick"), filter }
    }

    /// Whether a line is wanted.
    pub fn wants(&self, what: &str) -> bool {
        self.filter.as_ref().is_none_or(|f| what.contains(f.as_str()))
    }

    /// Measures `operation` after a warm-up.
    pub fn measure<R>(&self, mut operation: impl FnMut() -> R) -> Measure {
        let mut round = |operations: u32| {
            let start = Instant::now();
            for _ in 0..operations {
                black_box(operation());
            }
            start.elapsed()
        };
        let mut operations = 1;
        while !self.quick && round(operations) < ROUND / 4 {
            operations *= 2;
        }
        round(operations);
        let before = Counting::allocations();
        round(operations);
        let allocations = (Counting::allocations() - before) as f64 / f64::from(operations);
        let rounds = if self.quick { 1 } else { ROUNDS };
        let mut times: Vec<f64> = (0..rounds)
            .map(|_| round(operations * 4).as_nanos() as f64 / f64::from(operations * 4))
            .collect();
        times.sort_by(f64::total_cmp);
        Measure { median_ns: times[rounds / 2], min_ns: times[0], allocations }
    }

    /// Prints one line: what, time, allocations, and how many times the limit that is.
    pub fn report(&self, what: &str, measure: Measure, limit: &str, limit_measure: Measure) {
        println!(
            "{what:<44} {:>9.1} ns median {:>9.1} ns best {:>6.2} allocations   {:>6.1} x {limit} ({:.1} ns)",
            measure.median_ns,
            measure.min_ns,
            measure.allocations,
            measure.median_ns / limit_measure.median_ns,
            limit_measure.median_ns,
        );
    }
}
