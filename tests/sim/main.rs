//! The whole core with model phones on a seeded lossy network, under a virtual clock.
//!
//! A seed draws everything: the fault mix, who calls whom and when, who answers, what is lost. Invariants are checked at each
//! message that the core sends, and once all is quiet. A failure names its seed:
//!
//!     SIM_SEED=17 cargo test --test sim -- --nocapture     # this seed alone, with every message
//!     SIM_SEEDS=2000 cargo test --test sim                 # more of them
//!     SIM_FROM=2000 SIM_SEEDS=2000 cargo test --test sim   # others

mod check;
mod kernel;
mod net;
mod phone;
mod sms;
mod text;
mod world;

use imsbox::base::rng::Rng;
use world::{Faults, Outcome, World};

/// Seeds of a normal run.
const SEEDS: u64 = 128;

fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().map(|v| v.parse::<u64>().expect("a seed is a number"));
    match number("SIM_SEED") {
        Some(seed) => vec![seed],
        None => {
            let from = number("SIM_FROM").unwrap_or(0);
            (from..from + number("SIM_SEEDS").unwrap_or(SEEDS)).collect()
        }
    }
}

/// Those of the seeds that leave these remainders when divided by 16; one that was asked for by itself is among them.
fn some(remainders: &[u64]) -> Vec<u64> {
    let is_asked_for = std::env::var("SIM_SEED").is_ok();
    seeds().into_iter().filter(|s| remainders.contains(&(s % 16)) || is_asked_for).collect()
}

fn run(seed: u64, faults: Faults) -> Outcome {
    let verbose = std::env::var("SIM_SEED").is_ok();
    World::new(seed, faults, verbose).run()
}

#[test]
fn invariants_hold_on_a_lossy_network() {
    let mut total = Outcome::default();
    for seed in seeds() {
        let outcome = run(seed, Faults::drawn(&mut Rng::from_seed(seed ^ 0xfa)));
        total.add(&outcome);
    }
    println!("{total:?}");
    if seeds().len() >= 64 {
        // the runs are worth something only if the interesting things happened in them
        assert!(total.registered > 300, "registrations: {total:?}");
        assert!(total.answered > 300, "answered calls: {total:?}");
        assert!(total.cancelled > 30 && total.refused > 30, "cancelled and refused calls: {total:?}");
        assert!(total.echo_packets > 300 && total.relayed_packets > 300, "media: {total:?}");
        let refreshed = (total.refreshed > 10, total.was_refreshed > 100);
        assert_eq!(refreshed, (true, true), "sessions refreshed by phones and by the server: {total:?}");
        assert!(total.subscribed > 1000 && total.notified > 1000, "subscriptions: {total:?}");
        assert!(total.missed * 100 < total.notified, "what is repeated for 128 s arrives: {total:?}");
        assert!(total.pracked > 100 && total.told > 100, "inside calls: {total:?}");
        assert!(total.moves > 300 && total.early_updates > 30, "offers inside calls: {total:?}");
        let help = (total.asked_for_help > 500, total.sent_elsewhere > 50, total.called_back > 50);
        assert_eq!(help, (true, true, true), "emergency calls: {total:?}");
        assert!(
            total.trunked > 100 && total.cut > 100,
            "calls of a trunk, and phones out of reach: {total:?}"
        );
        assert!(total.crashed > 30 && total.stopped > 5, "crashed phones and stopped calls: {total:?}");
        assert!(total.operated > 50 && total.network_calls > 300, "the operator: {total:?}");
        assert!(total.bearers > 300, "the policy server: {total:?}");
        assert!(total.texted > 300 && total.echoed > 30, "texts: {total:?}");
        assert!(total.shielded > 300 && total.renewed > 100, "registrations through IPsec: {total:?}");
        assert!(total.late > 100 && total.denied > 100 && total.lost_sets > 30, "the kernel: {total:?}");
        assert!(total.forged > 100 && total.unreadable > 10, "forged and wrong packets: {total:?}");
        assert!(total.lost > 300 && total.duplicated > 300, "faults: {total:?}");
    }
}

#[test]
fn without_faults_every_phone_registers_and_every_call_ends_as_its_callee_wants() {
    // without faults seeds differ less: a quarter of them, with and without IPsec, trunk and policy server
    for seed in some(&[0, 4, 10, 14]) {
        let outcome = run(seed, Faults::none());
        assert_eq!(outcome.timed_out, 0, "seed {seed}: requests without an answer: {outcome:?}");
        assert_eq!(outcome.unacknowledged, 0, "seed {seed}: 2xx without ACK: {outcome:?}");
        assert_eq!(outcome.failed, 0, "seed {seed}: calls that the server broke: {outcome:?}");
        assert_eq!(
            outcome.expired, 0,
            "seed {seed}: sessions that the server has not refreshed: {outcome:?}"
        );
        assert_eq!(outcome.deaf, 0, "seed {seed}: calls in which nothing runs: {outcome:?}");
        assert_eq!(outcome.odd, 0, "seed {seed}: refusals that nothing calls for: {outcome:?}");
        let late = (outcome.unnotified, outcome.missed);
        assert_eq!(late, (0, 0), "seed {seed}: registration documents: {outcome:?}");
        let ipsec = (outcome.guarded, outcome.refusals);
        assert_eq!(
            ipsec,
            (0, 0),
            "seed {seed}: messages without associations, and refused REGISTERs: {outcome:?}"
        );
    }
}

#[test]
fn a_kernel_that_is_late_or_refuses_leaves_no_request_without_answer() {
    for seed in some(&[2, 14]) {
        let outcome = run(seed, Faults::of_kernel(&mut Rng::from_seed(seed)));
        assert_eq!(outcome.timed_out, 0, "seed {seed}: requests without an answer: {outcome:?}");
        // a call may find its callee not registered yet
        assert_eq!(outcome.guarded, 0, "seed {seed}: messages without associations: {outcome:?}");
    }
}

#[test]
fn one_seed_gives_the_same_bytes_twice() {
    let faults = || Faults::drawn(&mut Rng::from_seed(5));
    // without IPsec, and with it
    for (one, other) in [(5, 8), (7, 10)] {
        let (a, b) = (run(one, faults()), run(one, faults()));
        assert_eq!(a, b);
        assert_ne!(a.digest, run(other, faults()).digest);
    }
}
