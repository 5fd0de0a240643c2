//! Two phones that do anything at any time, a disk that is late, and crashes: what was acknowledged arrives, in order, and what the
//! recipient's acknowledgement was answered for comes no more. The seed is in every message.

use super::*;
use crate::base::rng::Rng;
use crate::ims::tests::DiskPace;
use std::collections::{BTreeMap, BTreeSet};

const SEEDS: u64 = 256;
const STEPS: usize = 120;
/// Texts of one run: fewer than a queue holds in tests.
const TEXTS: usize = 15;

/// Alice sends, Bob receives; what each of them knows.
struct Chaos {
    w: World,
    rng: Rng,
    seed: u64,
    /// What was on the disk at the last sync.
    disk: BTreeMap<String, String>,
    sent: usize,
    /// Texts that Alice has an RP-ACK for.
    acknowledged: BTreeSet<usize>,
    /// The texts of the MESSAGEs that Alice waits for an answer to, by Call-ID.
    asked: BTreeMap<String, usize>,
    /// MESSAGEs that Bob has seen, by Call-ID.
    seen: BTreeSet<String>,
    /// The texts of Bob's RP-ACKs without an answer, by Call-ID.
    reported: BTreeMap<String, usize>,
    /// Texts that Bob has acknowledged, in the order of the first time.
    taken: Vec<usize>,
    /// Those for which he knows that the centre knows.
    settled: BTreeSet<usize>,
    is_kind: bool,
}

impl Chaos {
    fn new(seed: u64) -> Chaos {
        let mut w = World::registered(|c| c.sms.expires = Duration::from_secs(30 * 86_400));
        let disk = w.lab.records.clone();
        w.sent.clear();
        Chaos {
            w,
            rng: Rng::from_seed(seed),
            seed,
            disk,
            sent: 0,
            acknowledged: BTreeSet::new(),
            asked: BTreeMap::new(),
            seen: BTreeSet::new(),
            reported: BTreeMap::new(),
            taken: Vec::new(),
            settled: BTreeSet::new(),
            is_kind: false,
        }
    }

    fn chance(&mut self, of: u64) -> bool {
        self.rng.below(of) == 0
    }

    fn step(&mut self) {
        match self.rng.below(10) {
            0..=2 if self.sent < TEXTS => {
                let n = self.sent;
                self.sent += 1;
                let call_id = self.w.submit(ALICE, n as u8, BOBS_NUMBER, &format!("{n}"));
                self.asked.insert(call_id, n);
            }
            3 => self.w.deregister_quietly(BOB),
            4 => self.w.register_quietly(BOB),
            5 => {
                let tens = self.rng.below(10);
                self.pass(tens);
            }
            6 => drop(self.w.send_rp(BOB, "sip:sms-centre@ims.test", "", &up(0, Rp::Smma))),
            7 => self.w.lab.disk = if self.chance(2) { DiskPace::Late } else { DiskPace::AtOnce },
            8 => self.sync(),
            _ if self.chance(4) => self.crash(),
            _ => {}
        }
        self.listen();
        if self.w.lab.disk == DiskPace::AtOnce {
            self.sync();
            self.listen();
            self.disk = self.w.lab.records.clone();
        }
    }

    /// Time passes, and phones listen: one that hears nothing for a minute may get a text twice.
    fn pass(&mut self, tens: u64) {
        for _ in 0..tens {
            self.w.pass(Duration::from_secs(10));
            self.listen();
        }
    }

    fn sync(&mut self) {
        // in this order: what is said because it is stored is stored
        self.disk = self.w.lab.records.clone();
        let sent = self.w.lab.sync();
        self.w.sent.extend(sent);
    }

    /// The program dies, and starts again with what was on the disk.
    fn crash(&mut self) {
        let mut config = config();
        config.sms.expires = Duration::from_secs(30 * 86_400);
        // no start has the tokens of another one
        let starts = self.w.number;
        let lab = Lab::with_core(|rng| {
            (0..starts).for_each(|_| _ = rng.next_u64());
            crate::ims::core::Core::new(config, rng)
        });
        let mut next = World { lab, sent: Vec::new(), number: 0 };
        (next.lab.now, next.lab.wall, next.number) = (self.w.lab.now, self.w.lab.wall, self.w.number);
        next.lab.records = self.disk.clone();
        for (key, value) in self.disk.clone() {
            next.lab.with(|core, cx| core.restore(cx, &key, &value));
        }
        self.w = next;
    }

    /// Both phones take what has come for them, until nothing more comes.
    fn listen(&mut self) {
        while !self.w.sent.is_empty() {
            let message = self.w.sent.remove(0);
            let is_bobs = message.flow.remote.to_string() == BOB.addr;
            if message.text.starts_with("SIP/2.0 202") {
                let settled = self.reported.remove(message.one("Call-ID"));
                self.settled.extend(settled);
            } else if message.text.starts_with("MESSAGE") && is_bobs {
                self.on_text(&message);
            } else if message.text.starts_with("MESSAGE") {
                self.on_answer(&message);
            }
        }
    }

    fn on_answer(&mut self, message: &Sent) {
        self.w.answer(ALICE, message, 200);
        let asked = message.all("In-Reply-To").first().and_then(|call_id| self.asked.get(*call_id)).copied();
        if let (Some(n), Rp::Ack { .. }) = (asked, rpdu(message).message) {
            self.acknowledged.insert(n);
        }
    }

    fn on_text(&mut self, message: &Sent) {
        if !matches!(rpdu(message).message, Rp::Data { .. })
            || !self.seen.insert(message.one("Call-ID").to_owned())
        {
            return;
        }
        let n: usize = deliver(message).user_data.text().expect("text").parse().expect("a number");
        assert!(!self.settled.contains(&n), "seed {}: {n} comes again", self.seed);
        let mood = if self.is_kind { 9 } else { self.rng.below(10) };
        match mood {
            0 => {}
            1 => self.w.answer(BOB, message, 480),
            2 => self.w.answer(BOB, message, 200),
            3 | 4 => {
                self.w.answer(BOB, message, 200);
                let cause = [22, 27, 41, 42][self.rng.below(4) as usize];
                self.say(message, |reference| rp_error(reference, RpCause(cause)));
            }
            _ => {
                self.w.answer(BOB, message, 200);
                if !self.taken.contains(&n) {
                    self.taken.push(n);
                }
                let call_id = self.say(message, |reference| up(reference, Rp::Ack { user_data: None }));
                self.reported.insert(call_id, n);
            }
        }
    }

    fn say(&mut self, message: &Sent, report: impl FnOnce(u8) -> Vec<u8>) -> String {
        let headers = format!("In-Reply-To: {}\r\n", message.one("Call-ID"));
        self.w.send_rp(BOB, "sip:sms-centre@ims.test", &headers, &report(rpdu(message).reference))
    }
}

impl World {
    fn register_quietly(&mut self, phone: Phone) {
        self.register_for_quietly(phone, VOLTE, 3600);
    }

    fn deregister_quietly(&mut self, phone: Phone) {
        self.register_for_quietly(phone, "", 0);
    }
}

#[test]
fn what_is_acknowledged_arrives_in_order_and_not_again() {
    for seed in 0..SEEDS {
        let mut c = Chaos::new(seed);
        (0..STEPS).for_each(|_| c.step());
        // from here on everybody behaves
        c.is_kind = true;
        c.w.lab.disk = DiskPace::AtOnce;
        c.sync();
        c.listen();
        for _ in 0..2 * TEXTS {
            c.w.register_quietly(BOB);
            c.pass(12);
            c.sync();
            c.listen();
        }
        let missing: Vec<_> = c.acknowledged.iter().filter(|n| !c.taken.contains(n)).collect();
        assert!(missing.is_empty(), "seed {seed}: acknowledged and lost: {missing:?}");
        let in_order: Vec<_> = c.taken.iter().filter(|n| c.acknowledged.contains(n)).collect();
        assert!(in_order.is_sorted(), "seed {seed}: out of order: {in_order:?}");
        assert!(
            c.sent == 0 || !c.acknowledged.is_empty() || c.sent < 3,
            "seed {seed}: nothing is ever acknowledged"
        );
        c.w.quiet();
    }
}
