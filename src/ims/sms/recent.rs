//! The texts and commands that phones have submitted lately: one that comes again because its sender missed the RP-ACK is not another one.
//!
//! The same octets with the same RP-MR and TP-MR are the same transfer. A phone that tries anew does so with another RP-MR (TS 24.011 6.2.2)
//! and says that it does by TP-RD (TS 23.040 9.2.3.6).
//!
//! References are counted by phones, each for itself: of users whose phones share a SIM (`multi_sim`) two may use the same ones, and say
//! the same. One phone counts on whatever way it speaks, and may try SGs when a MESSAGE of its has no answer: the same octets with the same
//! references are a repetition there, too, where it is certain that it is the same phone - by its IMEI, or because its SIM is in one phone
//! only. A text that is taken for a repetition by mistake is lost, and one that is not comes twice: so there is no guessing.

use super::limits::{DUPLICATE_WINDOW, MAX_RECENT};
use crate::base::time::{Instant, UnixTime};
use crate::ims::auth::card::Equipment;
use crate::ims::registrar::binding::Contact;
use crate::ims::subscriber::UserId;
use smallvec::SmallVec;
use std::collections::{BTreeMap, VecDeque};

/// A phone of a user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phone {
    pub(super) name: Name,
    /// Whether it has spoken over SGs, and not over IMS.
    over_sgs: bool,
}

/// What a phone is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// Its IMEI.
    Imei(Equipment),
    /// `+sip.instance` without an IMEI, else the contact's URI.
    Contact(Box<[u8]>),
    /// The one that is attached with the user's IMSI.
    Attached,
}

impl Phone {
    /// The phone of a registered contact.
    pub(super) fn of_contact(contact: &Contact) -> Phone {
        let imei = contact.imei.and_then(|imei| Equipment::of_imei(&imei)).map(Name::Imei);
        let other = || Name::Contact(contact.instance.as_ref().unwrap_or(&contact.uri).clone());
        Phone { name: imei.unwrap_or_else(other), over_sgs: false }
    }

    /// The phone that is attached through SGs, with its IMEISV where the MME has told it.
    pub(super) fn attached(imeisv: Option<&str>) -> Phone {
        let imei = imeisv.and_then(Equipment::of_imei).map(Name::Imei);
        Phone { name: imei.unwrap_or(Name::Attached), over_sgs: true }
    }

    /// In a record: the way, and what it is known by.
    pub(super) fn write(&self) -> String {
        let way = if self.over_sgs { "sgs" } else { "ims" };
        match &self.name {
            Name::Imei(imei) => format!("{way} imei {}", imei.digits()),
            Name::Contact(contact) => format!("{way} contact {}", String::from_utf8_lossy(contact)),
            Name::Attached => way.to_owned(),
        }
    }

    /// The phone of a record; none when it is malformed.
    pub(super) fn read(text: &str) -> Option<Phone> {
        let (way, name) = text.split_once(' ').unwrap_or((text, ""));
        let over_sgs = match way {
            "sgs" => true,
            "ims" => false,
            _ => return None,
        };
        let name = match name.split_once(' ') {
            Some(("imei", imei)) => Name::Imei(Equipment::of_imei(imei)?),
            Some(("contact", contact)) => Name::Contact(contact.as_bytes().into()),
            None if name.is_empty() => Name::Attached,
            _ => return None,
        };
        Some(Phone { name, over_sgs })
    }

    /// Whether it is certainly the same one. `alone`: the user has a SIM, which is in one phone only. That phone registers from other
    /// ports, and the MME may tell its IMEI late.
    pub(super) fn is(&self, other: &Phone, alone: bool) -> bool {
        let are_two = matches!((&self.name, &other.name), (Name::Imei(_), Name::Imei(_)));
        self.name == other.name || (alone && (self.over_sgs != other.over_sgs || !are_two))
    }
}

/// Who has submitted a text: a user, and the phone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) user: UserId,
    pub(super) phone: &'a Phone,
    /// Whether the user has a SIM, which is in one phone only (no `multi_sim`).
    pub(super) alone: bool,
}

/// The name of a SUBMIT, or COMMAND, that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noted {
    key: Key,
    serial: u64,
}

/// A sender, its TP-MR.
type Key = (UserId, u8);

#[derive(Debug)]
struct Known {
    serial: u64,
    at: Instant,
    came: UnixTime,
    phone: Phone,
    rp: u8,
    tpdu: Box<[u8]>,
}

/// Submitted texts.
#[derive(Debug, Default)]
pub(super) struct Recent {
    last: BTreeMap<Key, SmallVec<[Known; 1]>>,
    order: VecDeque<(Instant, Noted)>,
    next_serial: u64,
}

/// TP-RD of a SUBMIT, which a phone may set when it repeats itself (TS 23.040 9.2.3.25).
const REJECT_DUPLICATES: u8 = 0x04;

impl Recent {
    /// The same SUBMIT, if it has come from the phone a short time ago, and when it came.
    pub(super) fn find(
        &self,
        now: Instant,
        from: Origin<'_>,
        rp: u8,
        tpdu: &[u8],
    ) -> Option<(Noted, UnixTime)> {
        let key = (from.user, reference(tpdu)?);
        let known = self.last.get(&key)?.iter().find(|known| {
            (known.rp == rp || rejects_duplicates(tpdu))
                && known.phone.is(from.phone, from.alone)
                && is_same(&known.tpdu, tpdu)
                && now.since(known.at) < DUPLICATE_WINDOW
        })?;
        Some((Noted { key, serial: known.serial }, known.came))
    }

    /// Takes note of a SUBMIT, in the place of another one of its phone with the same references. None: it has no TP-MR.
    pub(super) fn note(
        &mut self,
        (now, came): (Instant, UnixTime),
        from: Origin<'_>,
        rp: u8,
        tpdu: &[u8],
    ) -> Option<Noted> {
        let key = (from.user, reference(tpdu)?);
        self.next_serial += 1;
        let serial = self.next_serial;
        let known = self.last.entry(key).or_default();
        known.retain(|known| (known.rp, &known.phone) != (rp, from.phone));
        known.push(Known { serial, at: now, came, phone: from.phone.clone(), rp, tpdu: tpdu.into() });
        let noted = Noted { key, serial };
        self.order.push_back((now, noted));
        while self.order.len() > MAX_RECENT {
            self.forget_first();
        }
        Some(noted)
    }

    /// A SUBMIT was not taken after all: when it comes again it is new. Others with its references stay known.
    pub(super) fn forget(&mut self, noted: Noted) {
        let Some(known) = self.last.get_mut(&noted.key) else { return };
        known.retain(|known| known.serial != noted.serial);
        if known.is_empty() {
            self.last.remove(&noted.key);
        }
    }

    /// Forgets what is too old to come again.
    pub(super) fn tick(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(at, _)| now.since(*at) >= DUPLICATE_WINDOW) {
            self.forget_first();
        }
    }

    /// When there is something to forget.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.order.front().map(|(at, _)| *at + DUPLICATE_WINDOW)
    }

    fn forget_first(&mut self) {
        if let Some((_, noted)) = self.order.pop_front() {
            self.forget(noted);
        }
    }
}

/// TP-MR.
fn reference(tpdu: &[u8]) -> Option<u8> {
    tpdu.get(1).copied()
}

/// Whether it is a SUBMIT that is to be rejected where it is a repetition.
fn rejects_duplicates(tpdu: &[u8]) -> bool {
    tpdu.first().is_some_and(|first| first & (3 | REJECT_DUPLICATES) == 1 | REJECT_DUPLICATES)
}

/// Whether two SUBMITs are the same but for TP-RD.
fn is_same(known: &[u8], tpdu: &[u8]) -> bool {
    let first = known.first().zip(tpdu.first()).is_some_and(|(a, b)| (a ^ b) & !REJECT_DUPLICATES == 0);
    first && known.get(1..) == tpdu.get(1..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;

    const IMEI: &str = "35693803-564380-0";
    const IMEISV: &str = "3569380356438091";
    const OTHER: &str = "86130905-000038-0";
    const WALL: UnixTime = UnixTime::from_micros(7);

    fn phone(contact: &str) -> Phone {
        Phone { name: Name::Contact(contact.as_bytes().into()), over_sgs: false }
    }

    fn with_imei(imei: &str) -> Phone {
        Phone { name: Name::Imei(Equipment::of_imei(imei).unwrap()), over_sgs: false }
    }

    fn from(user: u32, phone: &Phone) -> Origin<'_> {
        Origin { user: UserId(user), phone, alone: false }
    }

    fn has_it(recent: &Recent, now: Instant, from: Origin<'_>, rp: u8, tpdu: &[u8]) -> bool {
        recent.find(now, from, rp, tpdu).is_some()
    }

    #[test]
    fn the_same_again_is_known_for_a_while_and_anything_else_is_not() {
        let mut recent = Recent::default();
        let (phone, now) = (phone("sip:a"), Instant::from_nanos(1));
        let alice = from(1, &phone);
        recent.note((now, WALL), alice, 7, &[0x01, 9, 1, 2]);
        assert!(
            has_it(&recent, now, alice, 7, &[0x01, 9, 1, 2])
                && has_it(&recent, now, alice, 7, &[0x05, 9, 1, 2])
        );
        for (who, rp, tpdu) in [
            (2, 7, [0x01, 9, 1, 2]),
            (1, 8, [0x01, 9, 1, 2]),
            (1, 7, [0x01, 8, 1, 2]),
            (1, 7, [0x01, 9, 1, 3]),
        ] {
            assert!(!has_it(&recent, now, from(who, &phone), rp, &tpdu), "{who} {rp} {tpdu:?}");
        }
        // with another RP-MR where the phone says that it repeats itself, and it is a text
        assert!(has_it(&recent, now, alice, 8, &[0x05, 9, 1, 2]));
        assert!(!has_it(&recent, now, alice, 8, &[0x05, 9, 1, 3]));
        recent.note((now, WALL), alice, 7, &[0x02, 8, 1, 2]);
        assert!(has_it(&recent, now, alice, 7, &[0x02, 8, 1, 2]));
        assert!(!has_it(&recent, now, alice, 8, &[0x06, 8, 1, 2]));
        let later = now + DUPLICATE_WINDOW;
        assert!(has_it(&recent, later - Duration::from_nanos(1), alice, 7, &[0x01, 9, 1, 2]));
        recent.tick(later);
        assert!(!has_it(&recent, later, alice, 7, &[0x01, 9, 1, 2]) && recent.next_deadline().is_none());
        assert!(recent.last.is_empty());
    }

    #[test]
    fn phones_are_told_apart_and_one_is_known_on_another_way() {
        let (a, b) = (with_imei(IMEI), with_imei(OTHER));
        let (soft, desk) = (phone("sip:soft"), phone("sip:desk"));
        let (sgs, named) = (Phone::attached(None), Phone::attached(Some(IMEISV)));
        let (now, tpdu) = (Instant::from_nanos(1), [0x01, 9, 1, 2]);
        for (first, again, alone, shared) in [
            (&a, &a, true, true),
            (&a, &b, false, false),
            // nor where it has come with another contact
            (&soft, &desk, true, false),
            (&a, &soft, true, false),
            (&sgs, &named, true, false),
            // the IMEI tells, whatever the way
            (&a, &named, true, true),
            (&named, &a, true, true),
            // without one it is the same where there is no other
            (&a, &sgs, true, false),
            (&sgs, &soft, true, false),
            (&b, &named, true, false),
            (&sgs, &sgs, true, true),
        ] {
            for (alone, same) in [(true, alone), (false, shared)] {
                let mut recent = Recent::default();
                let origin = |phone| Origin { user: UserId(1), phone, alone };
                recent.note((now, WALL), origin(first), 7, &tpdu);
                assert_eq!(
                    has_it(&recent, now, origin(again), 7, &tpdu),
                    same,
                    "{first:?} {again:?} {alone}"
                );
            }
        }
    }

    #[test]
    fn phones_are_the_same_in_a_record() {
        for one in [
            with_imei(IMEI),
            phone("\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\" x"),
            phone(""),
            Phone::attached(None),
            Phone::attached(Some(IMEISV)),
        ] {
            assert_eq!(Phone::read(&one.write()).as_ref(), Some(&one), "{}", one.write());
        }
        for other in ["", "x", "ims imei 1", "sgs else", "gsm imei 35693803564380"] {
            assert_eq!(Phone::read(other), None, "{other}");
        }
    }

    #[test]
    fn texts_with_the_same_reference_are_known_side_by_side() {
        // of a phone that does not count
        let mut recent = Recent::default();
        let (phone, now) = (phone("sip:a"), Instant::from_nanos(1));
        let alice = from(1, &phone);
        for rp in [1, 2] {
            recent.note((now, UnixTime::from_micros(rp.into())), alice, rp, &[0x01, 0, rp]);
        }
        for rp in [1, 2] {
            let came = recent.find(now, alice, rp, &[0x01, 0, rp]).map(|(_, came)| came);
            assert_eq!(came, Some(UnixTime::from_micros(rp.into())));
        }
    }

    #[test]
    fn what_was_not_taken_is_forgotten_and_nothing_else() {
        let mut recent = Recent::default();
        let (a, b, now) = (phone("sip:a"), phone("sip:b"), Instant::from_nanos(1));
        let texts = [[0x01, 9, 1, 2], [0x01, 8, 1, 2]];
        let noted = recent.note((now, WALL), from(1, &a), 7, &texts[0]).unwrap();
        recent.note((now, WALL), from(1, &a), 7, &texts[1]);
        recent.note((now, WALL), from(1, &b), 7, &texts[0]);
        recent.forget(noted);
        let has = |recent: &Recent, phone, text: usize| has_it(recent, now, from(1, phone), 7, &texts[text]);
        assert!(!has(&recent, &a, 0) && has(&recent, &a, 1) && has(&recent, &b, 0));
        // nor one that has taken its place meanwhile
        recent.note((now, WALL), from(1, &a), 7, &texts[0]);
        recent.forget(noted);
        assert!(has(&recent, &a, 0));
    }

    #[test]
    fn no_more_is_kept_than_the_limit_says() {
        let mut recent = Recent::default();
        let phones = [phone("sip:a"), phone("sip:b")];
        for n in 0..2 * MAX_RECENT as u32 {
            recent.note(
                (Instant::from_nanos(n.into()), WALL),
                from(n / 4, &phones[n as usize % 2]),
                0,
                &[1, 0],
            );
        }
        let known: usize = recent.last.values().map(SmallVec::len).sum();
        assert_eq!((known, recent.order.len()), (MAX_RECENT / 2, MAX_RECENT), "of a phone the last one");
    }
}
