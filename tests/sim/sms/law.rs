//! What must be true of every text.

use imsbox::base::time::{Duration, Instant};
use imsbox::wire::gsm::tpdu::Status;
use std::collections::{BTreeMap, BTreeSet};

/// How much later than it was submitted a text may be taken in and so end: the sender's repetitions.
const SLACK: Duration = Duration::from_secs(1);

/// What a repetition's RP-MR is more than the first one's: more than a phone sends where it may have another.
pub const RETRY: u8 = 100;

/// Who sends what no phone has sent.
pub const OPERATOR: usize = usize::MAX;

/// What the world knows of a text, whose words are its number.
#[derive(Debug)]
pub struct Fate {
    pub from: usize,
    pub to: usize,
    /// TP-MR, and RP-MR of the first transfer; a repetition may have [`RETRY`] more.
    pub reference: u8,
    pub submitted: Instant,
    pub validity: Duration,
    /// The runs of the core that were given it: a core that was killed has forgotten what it was told.
    pub epochs: BTreeSet<u64>,
    /// Its place among all that ever were on the disk.
    pub stored: Option<u64>,
    /// The centre has said that it will deliver it, and whether its sender knows.
    pub is_promised: bool,
    pub is_acknowledged: bool,
    /// Its place among all that their recipient took.
    pub taken: Option<u64>,
    pub times: u64,
    /// Its sender has sent it, and may send it again.
    pub is_repeated: bool,
    /// Its recipient's SIM could not take it, so that others may overtake it.
    pub is_aside: bool,
    /// Its recipient has refused it for good.
    pub is_refused: bool,
    /// The log says that it was too old.
    pub is_expired: bool,
    /// Since when the centre is bound by the report that it has arrived.
    pub settled: Option<Instant>,
}

impl Fate {
    /// A text that nobody has seen yet.
    pub fn new(now: Instant, from: usize, to: usize, reference: u8, validity: Duration) -> Fate {
        Fate {
            from,
            to,
            reference,
            submitted: now,
            validity,
            epochs: BTreeSet::new(),
            stored: None,
            is_promised: false,
            is_acknowledged: false,
            taken: None,
            times: 0,
            is_repeated: false,
            is_aside: false,
            is_refused: false,
            is_expired: false,
            settled: None,
        }
    }
}

/// All texts.
#[derive(Debug, Default)]
pub struct Law {
    pub texts: Vec<Fate>,
    /// The texts of the records on the disk, and of those under way to it, by key.
    pub on_disk: BTreeMap<String, usize>,
    pub records: BTreeMap<String, usize>,
    stored: u64,
    taken: u64,
}

impl Law {
    /// A record of a text is on the disk, or gone from it.
    pub fn on_stored(&mut self, key: &str, text: Option<usize>) {
        match text {
            Some(n) => {
                self.on_disk.insert(key.to_owned(), n);
                self.stored += 1;
                self.texts[n].stored.get_or_insert(self.stored);
            }
            None => {
                let Some(n) = self.on_disk.remove(key) else { return };
                let is_there = self.on_disk.values().any(|other| *other == n);
                let text = &mut self.texts[n];
                let has_end = is_there || text.taken.is_some() || text.is_refused || text.is_expired;
                // the disk has refused it, and its sender knows: when it comes again it is another one
                text.stored = text.stored.filter(|_| has_end);
            }
        }
    }

    /// The centre says RP-ACK to a sender, or 202 to a soft client.
    pub fn on_acknowledging(&mut self, n: usize) {
        assert!(self.texts[n].stored.is_some(), "text {n} is acknowledged and was never on the disk");
        self.texts[n].is_promised = true;
    }

    /// The centre offers a text to its recipient; `patience` is how long an attempt may have been under way already.
    pub fn on_offered(&self, now: Instant, n: usize, patience: Duration) {
        let text = &self.texts[n];
        assert!(text.stored.is_some(), "text {n} is on its way and was never on the disk");
        let is_over = text.settled.is_some_and(|at| at + patience < now);
        assert!(!is_over || text.epochs.len() > 1, "text {n} comes again: {text:?}");
    }

    /// The text that a transfer of a phone's is of.
    pub fn submitted(&self, from: usize, rp_reference: u8) -> Option<usize> {
        let is_its = |t: &Fate| {
            t.from == from
                && (t.reference == rp_reference || rp_reference.checked_sub(RETRY) == Some(t.reference))
        };
        self.texts.iter().position(is_its)
    }

    /// A status report is under way to the sender of a text: it says what has become of it.
    pub fn on_status(&self, from: usize, reference: u8, status: Status) {
        let text = self.texts.iter().find(|t| (t.from, t.reference) == (from, reference)).expect("a text");
        let is_so = match status {
            Status::RECEIVED | Status::FORWARDED => text.taken.is_some(),
            Status::NOT_OBTAINABLE => text.is_refused,
            Status::EXPIRED => text.is_expired,
            _ => false,
        };
        assert!(is_so, "its sender is told that it has {status:?}: {text:?}");
    }

    /// The recipient takes a text.
    pub fn on_taken(&mut self, n: usize) {
        self.taken += 1;
        self.texts[n].taken.get_or_insert(self.taken);
        self.texts[n].times += 1;
    }

    /// The centre has heard, and answers, that a text has arrived.
    pub fn on_settled(&mut self, now: Instant, n: usize) {
        let is_there = self.on_disk.values().any(|other| *other == n);
        assert!(
            !is_there || self.texts[n].epochs.len() > 1,
            "text {n}: its report is answered, its record is on the disk"
        );
        self.texts[n].settled.get_or_insert(now);
    }

    /// The log says that a text was too old.
    pub fn on_expired(&mut self, now: Instant, n: usize) {
        let text = &mut self.texts[n];
        assert!(now + SLACK >= text.submitted + text.validity, "text {n} expires too early: {text:?}");
        text.is_expired = true;
    }

    /// In the end: nothing that was acknowledged is lost, and the order is that of the disk.
    pub fn at_the_end(&self, is_perfect: bool) {
        let mut last = BTreeMap::new();
        let mut in_order: Vec<_> =
            self.texts.iter().enumerate().filter(|(_, t)| t.stored.is_some()).collect();
        in_order.sort_by_key(|(_, text)| text.stored);
        for (n, text) in in_order {
            // one that was refused for good came again since the core died before that was on the disk
            if let Some(taken) =
                text.taken.filter(|_| text.epochs.len() == 1 && !text.is_refused && !text.is_aside)
            {
                let before = last.insert((text.from, text.to), taken);
                assert!(before < Some(taken), "text {n} has overtaken one before it: {text:?}");
            }
        }
        for (n, text) in self.texts.iter().enumerate() {
            let has_end = text.taken.is_some() || text.is_refused || text.is_expired;
            assert!(!text.is_acknowledged || has_end, "text {n} is acknowledged and lost: {text:?}");
            assert!(!is_perfect || text.times <= 1, "text {n} came twice without a fault: {text:?}");
        }
    }
}
