//! Measures operations that count by themselves what they take.

use crate::timing::{Bench, Measure, ROUNDS};

/// Measures an operation that returns the nanoseconds and the allocations that count, this many times a round.
pub fn measure_spent(bench: &Bench, operations: u32, mut operation: impl FnMut() -> (u64, u64)) -> Measure {
    let (rounds, operations) = if bench.quick { (1, 1) } else { (ROUNDS, operations) };
    let mut round = || {
        let all = (0..operations).map(|_| operation()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        (all.0 as f64 / f64::from(operations), all.1 as f64 / f64::from(operations))
    };
    round();
    let mut times: Vec<(f64, f64)> = (0..rounds).map(|_| round()).collect();
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (median_ns, allocations) = times[rounds / 2];
    Measure { median_ns, min_ns: times[0].0, allocations }
}
