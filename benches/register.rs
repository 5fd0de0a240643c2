//! Registrations through the whole core, timers included: REGISTER, 401, REGISTER, 200. Time and allocations are those of the
//! core alone; the limit is to parse and check the same two requests.

#[path = "support/spent.rs"]
mod spent;
#[path = "../tests/support/stage.rs"]
mod stage;
#[path = "support/timing.rs"]
mod timing;

use imsbox::base::time::Duration;
use imsbox::config::model::AuthentType;
use imsbox::wire::sip::{Index, Message};
use platform::counting::Counting;
use spent::measure_spent;
use stage::Stage;
use std::hint::black_box;
use timing::{Bench, Measure};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Users, all of them registered, who register again in turn.
const USERS: usize = 1000;

/// Registrations by round.
const ROUND: u32 = 2000;

/// Virtual time between two registrations.
const GAP: Duration = Duration::from_millis(50);

fn parsing(bench: &Bench, messages: f64) -> Measure {
    let text = Stage::new(1, AuthentType::None).register_text(0, 1, 1, "");
    let mut index = Index::new();
    let one = bench.measure(|| Message::parse(black_box(&text), &mut index).is_ok_and(|m| m.check().is_ok()));
    Measure { median_ns: one.median_ns * messages, min_ns: one.min_ns * messages, ..one }
}

fn main() {
    let bench = Bench::from_args();
    for (authent_type, name, messages) in [
        (AuthentType::None, "REGISTER, 200, no authentication", 1.0),
        (AuthentType::Md5, "REGISTER, 401, REGISTER, 200, MD5", 2.0),
        (AuthentType::AkaV1, "REGISTER, 401, REGISTER, 200, AKAv1", 2.0),
    ] {
        let what = format!("{name}, {USERS} users");
        if !bench.wants(&what) {
            continue;
        }
        let mut stage = Stage::new(USERS, authent_type);
        (0..USERS).for_each(|user| stage.register(user, authent_type));
        let mut user = 0;
        let measure = measure_spent(&bench, ROUND, || {
            let before = stage.spent;
            stage.register(user, authent_type);
            stage.pass(GAP);
            user = (user + 1) % USERS;
            (stage.spent.nanos - before.nanos, stage.spent.allocations - before.allocations)
        });
        assert_eq!(stage.core.load().bindings, USERS, "each user has one binding");
        assert!(stage.take().is_empty(), "nothing but the answers was sent");
        bench.report(&what, measure, "parse+check", parsing(&bench, messages));
    }
}
