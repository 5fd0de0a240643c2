//! The sequence numbers of the SIMs (TS 33.102 6.3, C.3.2), across restarts.
//!
//! A number must not serve twice: the SIM would refuse it. So a record of the state file reserves the numbers of the next vectors,
//! and a restart goes on behind them. While the disk does not take the next record, which may be long, phones are to register all the
//! same: numbers go on behind the reserved ones as fast as the clock allows, and what a restart skips beyond the reserve is what the clock has
//! allowed since the record was written. Faster there are none (503): who has no credentials and asks for more challenges of one IMPI than that
//! keeps its phone at 503, for as long as the disk refuses. Numbers come twice, and the SIM asks for re-synchronisation, where a clock was set
//! back between two such runs or the record does not say when it was written (the clock then counts from the start), where they are less than a
//! second apart, and where the disk refuses or is slow and has no record of the SIM at all. A disk that is well has one before the first
//! challenge leaves.
//!
//! Phones that share a SIM (`multi_sim`) have copies that count for themselves. One that has proven itself has a number of its
//! own; before that it draws from the user's common one, so that nobody makes us remember phones that there are not.

use super::AuthCx;
use super::card::{Card, Equipment};
use super::policy::NoKeys;
use crate::base::time::UnixTime;
use crate::base::trace::Level;
use crate::config::model::{Sim, User};
use crate::crypto::sqn;
use crate::ims::disk::Disk;
use crate::ims::limits::{
    MAX_PHONES_PER_SIM, MAX_SQN_BY_CLOCK, SQN_AT_START, SQN_PER_SECOND, SQN_RESERVE_LEAST, SQN_RESERVED,
};
use crate::ims::persist::{self, Numbers};
use crate::ims::subscriber::UserId;
use std::collections::BTreeMap;

/// SQN of a vector that a SIM must refuse: it takes a SEQ above the highest it has seen, and none is below 0 (C.2.2).
const REFUSED: u64 = 0;

/// Why there is no number for a vector.
#[derive(Debug)]
pub enum NoVector {
    /// There are no keys, or no numbers any more.
    Keys(NoKeys),
    /// The disk has to take what is reserved first, why in words.
    Later(String),
}

/// The number of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The number.
    pub sqn: u64,
    /// The record that it is in, where the disk has none of the SIM yet: before that is there a crash would have it used twice.
    pub ticket: Option<u64>,
}

impl From<NoKeys> for NoVector {
    fn from(why: NoKeys) -> Self {
        NoVector::Keys(why)
    }
}

/// What a record lets use: so many numbers, and more by the clock.
#[derive(Clone, Copy, Debug)]
struct Kept {
    record: Numbers,
    /// The greatest number at `since`.
    from: u64,
    since: UnixTime,
}

impl Kept {
    /// A record as a run finds it at `wall`. The clock counts from then where the record's own time says nothing.
    fn found(record: Numbers, wall: UnixTime) -> Kept {
        Kept { record, from: record.reserved, since: record.at.filter(|at| *at <= wall).unwrap_or(wall) }
    }

    /// The greatest number that may be used at `wall`: a restart that finds the record then goes on behind it.
    fn limit(&self, wall: UnixTime) -> u64 {
        let micros = wall.as_micros().saturating_sub(self.since.as_micros());
        let by_clock = u64::try_from(micros).unwrap_or(0).saturating_mul(SQN_PER_SECOND) / 1_000_000;
        sqn::after(self.from, by_clock.min(MAX_SQN_BY_CLOCK)).unwrap_or(sqn::MAX)
    }

    /// With what a run may use at once that begins on a disk that refuses.
    fn at_start(self) -> Kept {
        Kept { from: sqn::after(self.from, SQN_AT_START).unwrap_or(sqn::MAX), ..self }
    }

    /// Takes note of a clock that was set back: it counts from there.
    fn follow(&mut self, wall: UnixTime, last: u64) {
        if wall < self.since {
            (self.from, self.since) = (self.from.max(last), wall);
        }
    }
}

/// A record that is on its way to the disk.
#[derive(Clone, Copy, Debug)]
struct Asked {
    ticket: u64,
    kept: Kept,
}

/// The count of one card.
#[derive(Clone, Copy, Debug)]
struct Counter {
    /// The SQN of the last vector.
    last: u64,
    /// Whether the SIM has shown since the start that it takes our numbers, or has told its own.
    is_known_to_fit: bool,
    /// The record that the disk has; none before the first.
    durable: Option<Kept>,
    /// Until then, of a phone's: the common one that was on its way to the disk when it began.
    common: Option<Kept>,
    /// The next one: one at a time, or a disk that is always late would never be heard of.
    asked: Option<Asked>,
}

impl Counter {
    fn new(last: u64) -> Counter {
        Counter { last, is_known_to_fit: false, durable: None, common: None, asked: None }
    }

    /// Reserves the numbers behind `last`. `whose`: the IMPI, and the phone that the counter is kept for.
    fn reserve(&mut self, to: &mut AuthCx<'_, '_>, whose: (&str, Option<Equipment>), last: u64) {
        let reserved = sqn::after(last, SQN_RESERVED).unwrap_or(sqn::MAX);
        self.ask(to, whose, Numbers { last, reserved, at: Some(to.cx.wall) });
    }

    fn ask(&mut self, to: &mut AuthCx<'_, '_>, (impi, phone): (&str, Option<Equipment>), record: Numbers) {
        let ticket = persist::store_sqn(to.cx, impi, phone, record);
        self.asked = Some(Asked { ticket, kept: Kept::found(record, to.cx.wall) });
    }

    /// Takes note of what the disk has taken meanwhile, and sees to it that `next` is followed by numbers that are reserved.
    fn prepare(&mut self, to: &mut AuthCx<'_, '_>, whose: (&str, Option<Equipment>), next: u64) {
        if let Some(asked) = self.asked.take_if(|asked| to.disk.is_durable(asked.ticket)) {
            match to.disk.has_for_certain(asked.ticket) {
                true => (self.durable, self.common) = (Some(asked.kept), None),
                false => self.ask(to, whose, asked.kept.record),
            }
        }
        let left = |kept: Kept| sqn::seq(kept.record.reserved).saturating_sub(sqn::seq(next));
        if self.asked.is_none() && self.durable.is_none_or(|kept| left(kept) < SQN_RESERVE_LEAST) {
            self.reserve(to, whose, next);
        }
    }

    /// The records that a restart may find.
    fn records(&mut self) -> impl Iterator<Item = &mut Kept> {
        let asked = self.asked.as_mut().map(|asked| &mut asked.kept);
        self.durable.iter_mut().chain(&mut self.common).chain(asked)
    }

    /// Whether `next` may be used: whichever record a restart finds, it goes on behind it.
    fn allows(&mut self, next: u64, wall: UnixTime) -> bool {
        let last = self.last;
        self.records().for_each(|kept| kept.follow(wall, last));
        self.records().all(|kept| next <= kept.limit(wall))
    }

    /// The record that a restart has to find before a number is told to anybody.
    fn awaited(&self) -> Option<u64> {
        self.asked.filter(|_| self.durable.is_none()).map(|asked| asked.ticket)
    }

    /// Whether `number` is beyond what the disk has reserved.
    fn is_by_clock(&self, number: u64) -> bool {
        self.durable.is_some_and(|kept| number > kept.record.reserved)
    }

    /// What there is to say of numbers that the disk has not reserved: since when, and the words.
    fn lag(&self, disk: &Disk) -> Option<(UnixTime, String)> {
        let asked = self.asked.filter(|asked| !disk.is_durable(asked.ticket))?;
        let follows = match self.durable {
            Some(_) if self.is_by_clock(self.last) => BY_CLOCK,
            None if disk.refusal().is_some() => "if imsbox dies before, the SIM asks for re-synchronisation",
            _ => return None,
        };
        Some((asked.kept.record.at.unwrap_or_default(), format!("{}: {follows}", waits_for(disk))))
    }
}

/// What becomes of numbers that are not reserved.
const BY_CLOCK: &str = "they go on by the clock";

/// That the disk has not taken the numbers, and why as far as is known.
fn waits_for(disk: &Disk) -> String {
    let why = disk.refusal().unwrap_or("the disk is slow");
    format!("the state file has not taken the SIM's next sequence numbers ({why})")
}

/// The counts of a user's cards.
#[derive(Debug)]
struct OfUser {
    common: Counter,
    /// Those of the phones that have proven themselves, the one that was heard of last at the end.
    phones: Vec<(Equipment, Counter)>,
}

/// The SQN of each card's last vector, where it is not the configured one.
#[derive(Debug, Default)]
pub struct Sequences {
    of_user: BTreeMap<UserId, OfUser>,
}

impl Sequences {
    /// The number of the card's next vector; `sim` says where they start, and with `force_sqn_resync` the SIM is made to tell its
    /// own number first. The error says that there is none left, or none yet.
    pub fn next(
        &mut self,
        to: &mut AuthCx<'_, '_>,
        card: Card,
        profile: &User,
        sim: &Sim,
    ) -> Result<Drawn, NoVector> {
        let (kept_for, counter) = self.counter(card, sim.sqn);
        if sim.force_sqn_resync && !counter.is_known_to_fit {
            return Ok(Drawn { sqn: REFUSED, ticket: None });
        }
        let (last, impi, wall) = (counter.last, &profile.impi, to.cx.wall);
        let next = sqn::next(last)
            .ok_or_else(|| NoKeys(format!("IMPI {impi}: SQN {last:012x} is the last one there is")))?;
        counter.prepare(to, (impi, kept_for), next);
        if !counter.allows(next, wall) {
            let (why, words) = (waits_for(to.disk), "more of them are asked for than the clock allows");
            return Err(NoVector::Later(format!("{impi}: refused with 503: {why}, and {words}")));
        }
        counter.last = next;
        if counter.is_by_clock(next) && !counter.is_by_clock(last) {
            let words = format!("{impi}: {}: {BY_CLOCK}", waits_for(to.disk));
            to.troubles.mention(to.cx, Level::Warn, format_args!("{words}"));
        }
        Ok(Drawn { sqn: next, ticket: counter.awaited() })
    }

    /// What there is to say of a user whose numbers the disk has not taken: since when, and the words.
    pub fn lag(&self, user: UserId, disk: &Disk) -> Option<(UnixTime, String)> {
        let OfUser { common, phones } = self.of_user.get(&user)?;
        std::iter::once(common).chain(phones.iter().map(|(_, counter)| counter)).find_map(|c| c.lag(disk))
    }

    /// The SIM has answered with the right RES: it takes our numbers.
    pub fn confirm(&mut self, to: &mut AuthCx<'_, '_>, card: Card, profile: &User) {
        let configured = profile.sim.as_ref().map_or(0, |sim| sim.sqn);
        self.keep(to, card, profile);
        self.counter(card, configured).1.is_known_to_fit = true;
    }

    /// Goes on from the number of the SIM itself (6.3.5), wherever that is. What was reserved says nothing of the numbers from there: a
    /// restart that finds it has the SIM tell its number once more.
    pub fn resynchronise(&mut self, to: &mut AuthCx<'_, '_>, card: Card, profile: &User, sqn_ms: u64) {
        self.keep(to, card, profile);
        *self.counter(card, sqn_ms).1 = Counter { is_known_to_fit: true, ..Counter::new(sqn_ms) };
    }

    /// Takes the numbers that were stored before a restart, and goes on behind all that may have been used. Reserves the next ones: the
    /// start waits until that is on the disk, so that another restart that ends as badly is no danger either. Never goes below the
    /// configured number.
    pub fn restore(&mut self, to: &mut AuthCx<'_, '_>, card: Card, profile: &User, stored: Numbers) {
        let configured = profile.sim.as_ref().map_or(0, |sim| sim.sqn);
        let found = Kept::found(stored, to.cx.wall);
        let last = found.limit(to.cx.wall).max(configured);
        self.keep(to, card, profile);
        let counter = self.counter(card, configured).1;
        // a configured number that is higher has no record yet
        let durable = (last > configured).then(|| found.at_start());
        *counter = Counter { durable, ..Counter::new(last) };
        counter.reserve(to, (&profile.impi, card.phone), last);
    }

    /// The counter that a card draws from, and whose it is: the phone's own when it has one.
    fn counter(&mut self, card: Card, configured: u64) -> (Option<Equipment>, &mut Counter) {
        let OfUser { common, phones } = self.of_user(card.user, configured);
        match phones.iter_mut().find(|(phone, _)| Some(*phone) == card.phone) {
            Some((phone, counter)) => (Some(*phone), counter),
            None => (None, common),
        }
    }

    /// Sees to it that a phone has a number of its own, which goes on from where it drew so far. Beyond
    /// [`MAX_PHONES_PER_SIM`] the one that was not heard of for longest draws from the common number again.
    fn keep(&mut self, to: &mut AuthCx<'_, '_>, card: Card, profile: &User) {
        let Some(phone) = card.phone else { return };
        let configured = profile.sim.as_ref().map_or(0, |sim| sim.sqn);
        let OfUser { common, phones } = self.of_user(card.user, configured);
        if let Some(at) = phones.iter().position(|(other, _)| *other == phone) {
            let known = phones.remove(at);
            return phones.push(known);
        }
        if phones.len() >= MAX_PHONES_PER_SIM {
            let (oldest, _) = phones.remove(0);
            persist::forget_sqn(to.cx, &profile.impi, oldest);
        }
        // until it has a record, a restart has it draw from the common number again
        let on_its_way = common.asked.map(|asked| asked.kept);
        let drawn_from = Counter::new(common.last);
        let mut counter = Counter { durable: common.durable, common: on_its_way, ..drawn_from };
        counter.reserve(to, (&profile.impi, Some(phone)), common.last);
        phones.push((phone, counter));
    }

    fn of_user(&mut self, user: UserId, configured: u64) -> &mut OfUser {
        let common = Counter::new(configured);
        self.of_user.entry(user).or_insert(OfUser { common, phones: Vec::new() })
    }
}
