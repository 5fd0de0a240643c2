//! A hundred thousand short messages that wait: the time to take one in, what it takes of memory, and how long a start takes that finds
//! them all in the state file. The limit is to put and to read the records alone.

use imsbox::base::rng::Rng;
use imsbox::base::time::{Instant, UnixTime};
use imsbox::base::trace::{Layer, Level, Record, Sink};
use imsbox::config::model::{Config, Impu, SipSocket, User};
use imsbox::ims::core::Core;
use imsbox::ims::sms::{Content, Order, Recipient};
use imsbox::node::storage::Storage;
use imsbox::proto::cx::Cx;
use imsbox::proto::outbox::{Outbox, Output};
use std::fs;
use std::path::Path;
use std::time::Instant as Clock;

/// Texts that wait, and for how many users.
const TEXTS: usize = 100_000;
const USERS: usize = 1000;

/// Nobody reads the log.
struct Silent;

impl Sink for Silent {
    fn wants(&self, _: Layer, _: Level) -> bool {
        false
    }
    fn record(&mut self, _: &Record<'_>) {}
}

fn core(rng: &mut Rng) -> Core {
    let user = |n: usize| User {
        impi: format!("user{n}@ims.test"),
        domain: "ims.test".to_owned(),
        impus: vec![Impu::new(format!("tel:+336{n:08}"))],
        ..User::default()
    };
    let sip = vec![SipSocket::new([127, 0, 0, 1].into(), 5060)];
    Core::new(Config { sip, users: (0..USERS).map(user).collect(), ..Config::default() }, rng)
}

/// Resident memory of this process, octets.
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// Gives the core one input; the records that it wants stored.
fn input(
    core: &mut Core,
    rng: &mut Rng,
    out: &mut Outbox,
    act: impl FnOnce(&mut Core, &mut Cx<'_>),
) -> Vec<(u64, String, Option<String>)> {
    let wall = UnixTime::from_micros(1_700_000_000_000_000);
    let mut cx = Cx { now: Instant::from_nanos(1), wall, rng, out: &mut *out, sink: &mut Silent };
    act(core, &mut cx);
    let mut records = Vec::new();
    for item in out.items() {
        if let Output::Persist { ticket, key, value } = item {
            records.push((*ticket, key.clone(), value.clone()));
        }
    }
    out.clear();
    records
}

/// Takes in all texts; the records, and nanoseconds by text.
fn fill(core: &mut Core, rng: &mut Rng, texts: usize) -> (Vec<(u64, String, Option<String>)>, f64) {
    let (mut out, mut records, mut spent) = (Outbox::new(), Vec::new(), 0);
    for n in 0..texts {
        let order = Order {
            to: Recipient::Impi(format!("user{}@ims.test", n % USERS)),
            sender: Some("+33600000000".to_owned()),
            content: Content::Text(format!(
                "This is the text number {n}, of the length that texts mostly have, or a bit more."
            )),
            validity: None,
            pid: 0,
            dcs: None,
            sos: false,
        };
        let start = Clock::now();
        let new = input(core, rng, &mut out, |core, cx| {
            core.send_sms(cx, &order).expect("there is room");
        });
        let last = new.last().map_or(0, |(ticket, ..)| *ticket);
        input(core, rng, &mut out, |core, cx| core.on_durable(cx, last));
        spent += start.elapsed().as_nanos();
        records.extend(new);
    }
    (records, spent as f64 / texts as f64)
}

/// Stores the records; milliseconds until they are on the disk.
fn store(path: &Path, records: &[(u64, String, Option<String>)]) -> f64 {
    let start = Clock::now();
    let mut storage = Storage::open(path.to_path_buf()).expect("a new file").storage;
    for (ticket, key, value) in records {
        storage.put(*ticket, key.clone(), value.clone());
    }
    storage.close().expect("it is stored");
    start.elapsed().as_secs_f64() * 1000.0
}

fn main() {
    // as the other benches: `--quick` makes a short round, a word keeps only the lines that hold it
    let args: Vec<String> = std::env::args().skip(1).collect();
    let texts = if args.iter().any(|arg| arg == "--quick") { TEXTS / 100 } else { TEXTS };
    let name = format!("{texts} short messages that wait, {USERS} users");
    if args.iter().any(|arg| !arg.starts_with("--") && !name.contains(arg.as_str())) {
        return;
    }
    let mut rng = Rng::from_seed(1);
    let mut first = core(&mut rng);
    let before = resident();
    let (records, each_ns) = fill(&mut first, &mut rng, texts);
    let held: usize = records
        .iter()
        .map(|(_, key, value)| key.capacity() + value.as_ref().map_or(0, String::capacity))
        .sum();
    let memory = resident().saturating_sub(before).saturating_sub(held);
    assert_eq!(first.load().sms, texts);
    let path = std::env::temp_dir().join(format!("imsbox-bench-sms-{}", std::process::id()));
    let stored_ms = store(&path, &records);
    let size = fs::metadata(&path).map_or(0, |meta| meta.len());
    let start = Clock::now();
    let opened = Storage::open(path.clone()).expect("the file");
    let read_ms = start.elapsed().as_secs_f64() * 1000.0;
    let (mut second, mut out) = (core(&mut rng), Outbox::new());
    let start = Clock::now();
    for (key, value) in &opened.records {
        input(&mut second, &mut rng, &mut out, |core, cx| core.restore(cx, key, value));
    }
    let restored_ms = start.elapsed().as_secs_f64() * 1000.0;
    assert_eq!(second.load().sms, texts);
    drop(opened);
    let _ = fs::remove_file(&path);
    println!(
        "{name}: {:.1} us to take one in, {:.1} MB of memory ({:.0} octets each)",
        each_ns / 1000.0,
        memory as f64 / 1e6,
        memory as f64 / texts as f64
    );
    println!(
        "    state file {:.1} MB: stored in {stored_ms:.0} ms, read in {read_ms:.0} ms, taken back in {restored_ms:.0} ms",
        size as f64 / 1e6
    );
}
