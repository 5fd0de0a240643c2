//! What people, networks and operators do.

use super::full::Shelf;
use super::law::{Fate, RETRY};
use super::mme::Paged;
use super::{Disk, EXPIRES, Sim, config};
use imsbox::base::rng::Rng;
use imsbox::base::time::Duration;
use imsbox::ims::core::Core;
use imsbox::proto::outbox::Outbox;
use imsbox::proto::sgsap::AssociationId;
use imsbox::wire::gsm::{Address, Direction, Reference, Rp, Rpdu, Submit, Validity, text};

/// A reference that is of no text.
const SMMA: u8 = 255;
/// When a sender without an RP-ACK asks again, and until when: within the time in which the centre knows a text again.
const ASK_AGAIN: Duration = Duration::from_secs(40);
const ASK_UNTIL: Duration = Duration::from_secs(70);

impl Sim {
    /// Does one thing.
    pub(super) fn act(&mut self) {
        let p = self.rng.below(self.phones.len() as u64) as usize;
        match self.rng.below(20) {
            0..=8 => {
                let to = self.rng.below(self.phones.len() as u64) as usize;
                self.submit(p, to);
            }
            9..=11 if self.phones[p].has_ims => {
                let comes = self.is_perfect || !self.phones[p].is_registered;
                self.register(p, comes);
            }
            12 | 13 if self.phones[p].has_sgs => match self.is_attached(p) {
                true if !self.is_perfect => self.detach(p),
                _ => self.attach(p),
            },
            14 if !self.is_perfect && self.phones[p].has_sgs => {
                self.change_mind(p);
                self.is_active(p);
            }
            15 | 16 => match self.rng.below(6) {
                _ if self.is_perfect || self.association.is_none() => self.association_comes(),
                0..=2 => self.association_goes(),
                3 => self.association_comes_anew(),
                4 => self.mme_restarts(),
                _ => self.is_lost(p),
            },
            17 => self.has_room(p),
            18 if !self.is_perfect && self.rng.below(3) == 0 => self.crash(),
            _ => {}
        }
    }

    pub(super) fn submit(&mut self, from: usize, to: usize) {
        let way = self.phones[from].is_registered || self.can_use_sgs(from);
        if from == to || !way || self.phones[from].sent > self.most_texts {
            return;
        }
        self.phones[from].sent += 1;
        let validity = if self.rng.below(3) == 0 { Duration::from_secs(300) } else { EXPIRES };
        let validity = if self.phones[from].is_soft { EXPIRES } else { validity };
        self.law.texts.push(Fate::new(self.now, from, to, self.phones[from].sent, validity));
        self.submit_again(self.law.texts.len() - 1);
    }

    /// A sender submits a text, or the same one again.
    pub(super) fn submit_again(&mut self, n: usize) {
        let fate = &self.law.texts[n];
        if fate.is_acknowledged || self.now > fate.submitted + ASK_UNTIL {
            return;
        }
        if self.phones[fate.from].is_soft {
            return self.say_plainly(n);
        }
        // TS 23.040 9.2.3.6: a transfer of its own, and TP-RD
        let is_anew = fate.is_repeated && self.most_texts < RETRY && self.rng.below(2) == 0;
        let (from, rpdu) = (fate.from, rp_data(n, fate, is_anew));
        self.law.texts[n].is_repeated = true;
        self.seen.anew += usize::from(is_anew);
        self.again.push((self.now + ASK_AGAIN, n));
        let call_id = self.say(from, &rpdu);
        match call_id {
            Some(call_id) => _ = self.asked.insert(call_id, n),
            None => _ = self.law.texts[n].epochs.insert(self.epoch),
        }
    }

    /// A soft client sends a text as it is. It does not repeat it: who repeats a plain text sends another.
    fn say_plainly(&mut self, n: usize) {
        let Fate { from, to, .. } = self.law.texts[n];
        let (call_id, octets) = self.phones[from].plain(self.now, to, &n.to_string());
        self.asked.insert(call_id, n);
        self.leaves(from, octets);
    }

    /// A phone sends an RPDU, over IMS if it can, else over SGs; the Call-ID of its MESSAGE.
    fn say(&mut self, p: usize, rpdu: &[u8]) -> Option<String> {
        if self.phones[p].is_registered {
            let (call_id, octets) = self.phones[p].message(self.now, None, rpdu);
            self.leaves(p, octets);
            return Some(call_id);
        }
        if self.can_use_sgs(p) {
            let phone = &mut self.phones[p];
            phone.ti = (phone.ti + 1) % 7;
            let octets = self.mme.send(&phone.imsi, phone.ti, rpdu);
            self.mme_says(&octets);
        }
        None
    }

    /// A phone that had no room has room again, and says so.
    pub(super) fn has_room(&mut self, p: usize) {
        if (self.phones[p].is_registered || self.can_use_sgs(p)) && self.phones[p].is_full {
            self.phones[p].is_full = false;
            let smma = Rpdu { direction: Direction::Up, reference: SMMA, message: Rp::Smma }.to_vec();
            self.say(p, &smma);
        }
    }

    fn register(&mut self, p: usize, comes: bool) {
        let octets = self.phones[p].register(self.now, comes);
        self.leaves(p, octets);
    }

    fn is_attached(&self, p: usize) -> bool {
        self.mme.phones.get(&self.phones[p].imsi).is_some_and(|phone| phone.is_attached)
    }

    pub(super) fn can_use_sgs(&self, p: usize) -> bool {
        self.association.is_some() && self.is_attached(p)
    }

    fn attach(&mut self, p: usize) {
        if self.association.is_some() && !self.is_attached(p) {
            let imsi = self.phones[p].imsi.clone();
            let octets = match self.rng.below(2) == 0 {
                true => self.mme.attach(&imsi),
                false => self.mme.attach_without_tmsi(&imsi),
            };
            self.mme_says(&octets);
        }
    }

    fn detach(&mut self, p: usize) {
        if self.can_use_sgs(p) {
            let from_eps = self.rng.below(2) == 0;
            let octets = self.mme.detach(&self.phones[p].imsi, from_eps);
            self.mme_says(&octets);
        }
    }

    /// What comes of the next pages of a phone.
    fn change_mind(&mut self, p: usize) {
        self.phones[p].is_silent = self.rng.below(3) == 0;
        let paged = match self.rng.below(5) {
            // SGs cause (TS 29.118 9.4.18): UE unreachable, UE temporarily unreachable
            0 => Paged::Rejected(6),
            1 => Paged::Rejected(14),
            _ => Paged::Answers,
        };
        if let Some(phone) = self.mme.phones.get_mut(&self.phones[p].imsi) {
            phone.paged = paged;
        }
    }

    fn is_active(&mut self, p: usize) {
        if self.can_use_sgs(p) {
            let octets = self.mme.activity(&self.phones[p].imsi);
            self.mme_says(&octets);
        }
    }

    /// The MME sends a message, and what comes of it is carried out.
    fn mme_says(&mut self, octets: &[u8]) {
        let association = self.association.expect("it is up");
        self.with_core(|core, cx| core.on_sgs_message(cx, association, octets));
    }

    fn association_comes(&mut self) {
        if self.association.is_none() {
            self.associations += 1;
            let association = AssociationId(self.associations);
            self.association = Some(association);
            // it has several addresses, and is known by its name
            let host = 2 + (self.associations % 3) as u8;
            let remote = ([127, 0, 0, host], 40_000).into();
            self.with_core(|core, cx| core.on_sgs_up(cx, association, remote, 10));
        }
    }

    /// The MME connects again while its association is up, which is closed then.
    fn association_comes_anew(&mut self) {
        let former = self.association.take();
        self.seen.losses += 1;
        self.nobody_is_connected();
        self.association_comes();
        assert_eq!(
            std::mem::take(&mut self.closed),
            former,
            "the MME has acknowledged our reset, with its name"
        );
    }

    /// The MME has forgotten its phones, and finds them when they are paged.
    fn mme_restarts(&mut self) {
        self.nobody_is_connected();
        let reset = self.mme.reset();
        self.mme_says(&reset);
        self.seen.resets += 1;
    }

    /// The MME has lost a phone on the way, for now.
    fn is_lost(&mut self, p: usize) {
        if self.can_use_sgs(p) {
            let imsi = self.phones[p].imsi.clone();
            self.mme.phone(&imsi).is_connected = false;
            let octets = self.mme.unreachable(&imsi);
            self.mme_says(&octets);
        }
    }

    fn nobody_is_connected(&mut self) {
        self.mme.phones.values_mut().for_each(|phone| phone.is_connected = false);
    }

    fn association_goes(&mut self) {
        if let Some(association) = self.association.take() {
            self.seen.losses += 1;
            self.nobody_is_connected();
            self.with_core(|core, cx| core.on_sgs_down(cx, association, "lost"));
        }
    }

    /// The core dies, and starts again with what was on the disk: what it was told of, and perhaps some more.
    fn crash(&mut self) {
        self.seen.crashes += 1;
        let more = self.rng.below(self.pending.len() as u64 + 1) as usize;
        if let Some((ticket, ..)) = more.checked_sub(1).map(|at| self.pending[at].clone()) {
            self.write_until(ticket);
        }
        self.pending.clear();
        self.news.clear();
        self.sgs_reports.clear();
        self.to_mme.clear();
        self.association = None;
        for phone in self.mme.phones.values_mut() {
            (phone.is_attached, phone.is_connected) = (false, false);
        }
        self.epoch += 1;
        self.disk = Disk::new(Rng::next_u64(&mut self.rng));
        self.out = Outbox::new();
        self.law.records = self.law.on_disk.clone();
        self.core = Core::new(config(&self.phones), &mut self.core_rng);
        self.core.set_sms_limits(self.limits);
        self.ordered.clear();
        self.shelf = Shelf::after_crash(self.stored.iter());
        for (key, value) in self.stored.clone() {
            self.with_core(|core, cx| core.restore(cx, &key, &value));
        }
    }

    /// Nothing is wrong with anybody any more.
    pub(super) fn everybody_is_there(&mut self) {
        self.association_comes();
        for p in 0..self.phones.len() {
            self.phones[p].is_silent = false;
            if let Some(phone) = self.mme.phones.get_mut(&self.phones[p].imsi) {
                phone.paged = Paged::Answers;
            }
            if self.phones[p].has_ims {
                self.register(p, true);
            }
            if self.phones[p].has_sgs {
                self.attach(p);
                self.is_active(p);
            }
            self.has_room(p);
        }
    }

    pub(super) fn everybody_leaves(&mut self) {
        for p in 0..self.phones.len() {
            if self.phones[p].is_registered {
                self.register(p, false);
            }
            self.detach(p);
        }
        self.association_goes();
    }

    /// Adds up what happened.
    pub(super) fn count(&self, total: &mut super::Seen) {
        let of = |what: fn(&Fate) -> bool| self.law.texts.iter().filter(|t| what(t)).count();
        total.acknowledged += of(|t| t.is_acknowledged);
        total.taken += of(|t| t.taken.is_some());
        total.expired += of(|t| t.is_expired);
        total.refused += of(|t| t.is_refused);
        total.twice += of(|t| t.times > 1);
        total.over_sgs += self.seen.over_sgs;
        total.put_off += self.seen.put_off;
        total.aside += of(|t| t.is_aside);
        total.anew += self.seen.anew;
        total.statuses += self.seen.statuses;
        total.crashes += self.seen.crashes;
        total.losses += self.seen.losses;
        total.resets += self.seen.resets;
        for (reason, count) in &self.seen.turned_away {
            *total.turned_away.entry(*reason).or_insert(0) += count;
        }
        total.plain_turned_away += self.seen.plain_turned_away;
        total.operator_turned_away += self.seen.operator_turned_away;
    }
}

/// The RP-DATA of a text, whose words are its number.
fn rp_data(n: usize, fate: &Fate, is_anew: bool) -> Vec<u8> {
    let data = text::split(&n.to_string(), Reference::Eight(1)).expect("short").remove(0);
    let to = Address::of_digits(0x91, &format!("3360000000{}", fate.to)).expect("a number");
    let mut submit = Submit::new(fate.reference, to, data.view());
    (submit.status_report, submit.reject_duplicates) = (n.is_multiple_of(5), is_anew);
    // TS 23.040 9.2.3.12.1: five minutes
    submit.validity = (fate.validity < EXPIRES).then_some(Validity::Relative(0));
    let tpdu = submit.to_vec();
    let destination = Address::of_digits(0x91, "33609001390");
    let message = Rp::Data { originator: None, destination, user_data: &tpdu };
    let reference = fate.reference + if is_anew { RETRY } else { 0 };
    Rpdu { direction: Direction::Up, reference, message }.to_vec()
}
