//! Queues that are full: the centre has limits that a run reaches, and people write more than it may keep.
//!
//! The model counts the records that the centre has made and not deleted. Who is turned away must be so for a reason that it sees, and is
//! told the right cause; what was turned away is not kept.

use super::law::{Fate, OPERATOR};
use super::mme;
use super::{EXPIRES, Sim, split};
use imsbox::base::time::{Duration, Instant};
use imsbox::config::model::{Sim as Card, SimAlgo};
use imsbox::ims::sms::limits::{DISK_PATIENCE, Limits};
use imsbox::ims::sms::{Content, Order, Recipient};
use imsbox::wire::gsm::{Rp, RpCause, Rpdu};
use std::collections::{BTreeMap, VecDeque};

/// What a text of the operator that takes three parts says.
const LONG: usize = 400;
/// How long a text takes when nothing is in its way.
const AT_EASE: Duration = Duration::from_secs(40);

/// Limits that a run reaches; some seeds have few senders that may wait for the disk, too.
pub fn small(seed: u64) -> Limits {
    let promises = if seed.is_multiple_of(4) { 2 } else { Limits::default().promises };
    Limits { texts: 10, texts_per_user: 4, promises }
}

/// Keys of a SIM, which say that its user has a phone that takes short messages.
pub fn card() -> Card {
    Card {
        algo: SimAlgo::Xor,
        k: vec![2; 16],
        amf: [0x90, 1],
        sqn: 0,
        force_sqn_resync: false,
        res_len: 8,
        unused: Vec::new(),
    }
}

/// The queues as the model sees them: recipients of the records that were made and not deleted, and their most in the last input.
#[derive(Debug, Default)]
pub struct Shelf {
    held: BTreeMap<String, usize>,
    most: BTreeMap<usize, usize>,
    most_of_all: usize,
    /// Who waited for the disk before this input, and as many more as it can have added: each has a record of its own.
    promises: usize,
    /// Records that are not on the disk yet.
    late: VecDeque<(u64, Instant)>,
    /// The centre knows that the disk refuses.
    pub refuses: bool,
}

impl Shelf {
    /// What was on the disk when the core was killed.
    pub fn after_crash<'a>(stored: impl Iterator<Item = (&'a String, &'a String)>) -> Shelf {
        let texts = stored.filter(|(key, _)| key.starts_with("sms/"));
        let held = texts.map(|(key, value)| (key.clone(), recipient(value))).collect();
        Shelf { held, ..Shelf::default() }
    }

    fn of(&self, to: usize) -> usize {
        self.held.values().filter(|other| **other == to).count()
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// An input begins, before which so many wait for the disk.
    pub fn begin(&mut self, promises: usize) {
        self.promises = promises;
        self.most.clear();
        self.held.values().for_each(|to| *self.most.entry(*to).or_insert(0) += 1);
        self.most_of_all = self.len();
    }

    /// The centre makes a record or deletes it: a new one only where there is room.
    pub fn on_put(&mut self, now: Instant, ticket: u64, key: &str, value: Option<&str>, limits: &Limits) {
        self.late.push_back((ticket, now));
        if !key.starts_with("sms/") {
            return;
        }
        self.promises += 1;
        let Some(to) = value.map(recipient) else {
            self.held.remove(key);
            return;
        };
        if self.held.insert(key.to_owned(), to).is_none() {
            let (of_user, all) = (self.of(to), self.len());
            assert!(of_user <= limits.texts_per_user, "{of_user} texts are kept for u{to}");
            assert!(all <= limits.texts, "{all} texts are kept");
            let most = self.most.entry(to).or_insert(0);
            *most = of_user.max(*most);
            self.most_of_all = all.max(self.most_of_all);
        }
    }

    /// Whether there is something to wait for that is not on the disk.
    pub fn is_late(&self) -> bool {
        !self.late.is_empty()
    }

    pub fn on_durable(&mut self, ticket: u64) {
        self.late.retain(|(other, _)| *other > ticket);
    }
}

/// The number of a record's recipient.
fn recipient(value: &str) -> usize {
    let rest = value.split_once("\"to\":\"u").expect("a recipient").1;
    rest.split('@').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// Why somebody is turned away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    User,
    All,
    Promises,
    Disk,
}

impl Sim {
    /// Why there is no room for so many texts to a user.
    fn no_room(&self, to: usize, parts: usize) -> Option<Reason> {
        let Shelf { most, most_of_all, promises, .. } = &self.shelf;
        let of_user = most.get(&to).copied().unwrap_or(0);
        match () {
            () if of_user + parts > self.limits.texts_per_user => Some(Reason::User),
            () if most_of_all + parts > self.limits.texts => Some(Reason::All),
            () if *promises >= self.limits.promises => Some(Reason::Promises),
            () => None,
        }
    }

    /// Why the disk is to blame.
    fn no_disk(&self) -> Option<Reason> {
        let is_slow = self.shelf.late.front().is_some_and(|(_, since)| self.now >= *since + DISK_PATIENCE);
        (self.shelf.refuses || is_slow).then_some(Reason::Disk)
    }

    fn turned_away(&mut self, n: usize, reason: Option<Reason>, said: &str) {
        let reason =
            reason.unwrap_or_else(|| panic!("text {n} is turned away with {said}: {:?}", self.shelf));
        *self.seen.turned_away.entry(reason as u8).or_insert(0) += 1;
        let fate = &self.law.texts[n];
        let is_kept =
            self.law.records.iter().any(|(key, text)| *text == n && self.shelf.held.contains_key(key));
        let is_first = !fate.is_promised && fate.epochs.len() < 2;
        assert!(!is_kept || !is_first, "text {n} is turned away with {said}, and kept: {fate:?}");
    }

    /// The centre says RP-ERROR to the sender of a text. TS 24.011 table 8.4: 42 where there is no room, for 22 is a phone's own memory;
    /// 41 where the disk fails; and these senders make no mistakes.
    pub(super) fn on_rp_error(&mut self, n: usize, cause: RpCause) {
        let to = self.law.texts[n].to;
        if cause == RpCause::REJECTED {
            // a core that was killed knows the text by its record alone, and the sender does not want it twice (TP-FCS C5)
            let text = &self.law.texts[n];
            assert!(text.is_repeated && text.epochs.len() > 1 && text.stored.is_some(), "{n}: {text:?}");
            return self.law.on_acknowledging(n);
        }
        let reason = match cause {
            RpCause::CONGESTION => self.no_room(to, 1),
            RpCause::TEMPORARY_FAILURE => self.no_disk(),
            _ => None,
        };
        self.turned_away(n, reason, &format!("RP-ERROR {cause}"));
    }

    /// The centre answers the plain text of a soft client.
    pub(super) fn on_plain_answer(&mut self, n: usize, octets: &[u8]) {
        let answer = split(octets).0;
        match answer.code() {
            100 => {}
            202 => self.law.on_acknowledging(n),
            503 => {
                let to = self.law.texts[n].to;
                let is_full = answer.get("Warning").contains("too many short messages wait");
                let reason = if is_full { self.no_room(to, 1) } else { self.no_disk() };
                self.turned_away(n, reason, &format!("503 {}", answer.get("Warning")));
                self.seen.plain_turned_away += 1;
            }
            other => panic!("a plain text is answered {other}: {answer:?}"),
        }
    }

    /// A message for the MME: it may carry an RP-ERROR.
    pub(super) fn core_sends_mme(&mut self, octets: &[u8]) {
        let rpdu = match (octets[0], mme::element(octets, 0x16)) {
            // CP-DATA (TS 24.011 8.1.3)
            (mme::kind::DOWNLINK, Some([_, 1, _, rpdu @ ..])) => Rpdu::parse(rpdu).expect("an RPDU"),
            _ => return,
        };
        if let Rp::Error { cause, .. } = rpdu.message {
            let imsi = mme::imsi(octets);
            let from = self.phones.iter().position(|p| p.imsi == imsi).expect("a phone");
            let n = self.law.submitted(from, rpdu.reference).expect("a text of its");
            self.on_rp_error(n, cause);
        }
    }

    /// More than the usual: many write to one at a time.
    pub(super) fn act_in_excess(&mut self) {
        let to = self.rng.below(self.phones.len() as u64) as usize;
        match self.rng.below(20) {
            0..=7 => {
                for _ in 0..=self.rng.below(7) {
                    let from = self.rng.below(self.phones.len() as u64) as usize;
                    self.submit(from, to);
                }
            }
            8..=10 => self.operator_writes(to),
            _ => self.act(),
        }
    }

    /// The operator's texts are refused in words, where there is no room, and only there.
    fn operator_writes(&mut self, to: usize) {
        let is_long = self.rng.below(2) == 0;
        let (parts, words) = match is_long {
            true => (3, "long ".repeat(LONG / 5)),
            false => {
                self.law.texts.push(Fate::new(self.now, OPERATOR, to, 0, EXPIRES));
                (1, (self.law.texts.len() - 1).to_string())
            }
        };
        let order = Order {
            to: Recipient::Impi(format!("u{to}@ims.test")),
            sender: None,
            content: Content::Text(words),
            validity: None,
            pid: 0,
            dcs: None,
            sos: false,
        };
        self.shelf.begin(self.core.load().sms_promises);
        let (why, before) = (self.no_disk().or(self.no_room(to, parts)), self.shelf.len());
        let mut said = Err(String::new());
        self.with_core(|core, cx| said = core.send_sms(cx, &order));
        match said {
            Ok(ordered) => {
                assert_eq!(why, None, "{:?}", self.shelf);
                assert_eq!(ordered.parts, parts);
                if !is_long {
                    self.ordered.insert(ordered.id, self.law.texts.len() - 1);
                }
            }
            Err(words) => {
                assert_ne!(why, None, "{words}: {:?}", self.shelf);
                assert_eq!(words.contains("the disk"), why == Some(Reason::Disk), "{words}");
                assert_eq!(self.shelf.len(), before, "some of its parts are kept");
                self.seen.operator_turned_away += 1;
            }
        }
    }

    /// What became of the operator's texts: they are on the disk, or not kept.
    pub(super) fn orders_are_answered(&mut self) {
        while let Some((id, outcome)) = self.core.pop_sms_order() {
            let Some(n) = self.ordered.remove(&id) else { continue };
            match outcome {
                Ok(()) => {
                    self.law.on_acknowledging(n);
                    self.law.texts[n].is_acknowledged = true;
                }
                Err(words) => self.turned_away(n, self.no_disk(), words),
            }
        }
    }

    /// The queues have been emptied: there is room for everybody's texts again, and they arrive.
    pub(super) fn there_is_room_again(&mut self) {
        assert_eq!(self.shelf.len(), 0, "texts wait for people who are there: {:?}", self.shelf);
        for from in 0..self.phones.len() {
            let to = (from + 1) % self.phones.len();
            let n = self.law.texts.len();
            self.submit(from, to);
            self.live_until(self.now + AT_EASE);
            let fate = &self.law.texts[n];
            assert!(fate.is_acknowledged && fate.times == 1, "there is room again, and yet: {fate:?}");
        }
    }
}
