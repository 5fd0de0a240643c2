//! Whose telephone number it is: first as it is spelt, then by its last digits.
//!
//! [`Telephone::forms`] says which spellings are one number; two local numbers of different contexts are two (RFC 3966 4). A
//! phone that dials the national form of a number known as a global one, or the other way round, names the same subscriber
//! when the shorter of both is the end of the longer one and nobody else's number fits: a lab has no dial plan.

use super::subscriber::Target;
use crate::wire::telephone::{Ending, Number, Telephone};
use std::collections::{BTreeMap, BTreeSet};

/// Digits in which two numbers of different forms agree at least, prefixes of dialling apart, to be taken as one: a local
/// number of the shortest national plans has seven, and no service number is so long. There is no property for it.
pub const MIN_ENDING: usize = 7;

/// The numbers of users and of the echo service.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    by_number: BTreeMap<Number, Target>,
    /// Local numbers with the domain that is their context, in lower case.
    by_context: BTreeMap<(Number, Box<[u8]>), Target>,
    /// The digits that count, last one first, and whether the number is global. `None` where several share them.
    by_ending: BTreeMap<(Ending, bool), Option<Target>>,
    /// Those that are dialled: no IMSIs.
    dialled: BTreeSet<Number>,
}

impl Numbers {
    /// Adds a number; whether it was free. `is_imsi` says that nobody dials it.
    pub(super) fn put(&mut self, telephone: Telephone<'_>, target: Target, is_imsi: bool) -> bool {
        let number = telephone.global().unwrap_or(telephone.number);
        if !is_imsi {
            self.dialled.insert(number);
            self.put_ending(number, target);
        }
        let held = *self.by_number.entry(number).or_insert(target);
        match context(telephone) {
            Some(context) => self.by_context.entry((number, context)).or_insert(target).is_same_party(target),
            None => held.is_same_party(target),
        }
    }

    /// Whose number it is.
    pub(super) fn find(&self, telephone: Telephone<'_>) -> Option<Target> {
        let local = context(telephone).and_then(|context| self.by_context.get(&(telephone.number, context)));
        local
            .copied()
            .or_else(|| telephone.forms().iter().find_map(|number| self.by_number.get(number).copied()))
            .or_else(|| self.find_by_ending(telephone))
    }

    /// Whether longer numbers begin with this one, which is nobody's (RFC 3261 21.4.22).
    pub(super) fn is_incomplete(&self, telephone: Telephone<'_>) -> bool {
        let longer = |number: &Number| self.dialled.range(*number..).find(|n| *n != number);
        telephone.forms().iter().any(|number| longer(number).is_some_and(|l| l.continues(number)))
    }

    fn put_ending(&mut self, number: Number, target: Target) {
        let Some(ending) = number.ending().filter(|ending| ending.len() >= MIN_ENDING) else { return };
        let held = self.by_ending.entry((ending, number.is_global())).or_insert(Some(target));
        if held.is_some_and(|held| !held.is_same_party(target)) {
            *held = None;
        }
    }

    /// The only party whose number is the end of this one, or has this one as its end. A global number is complete, so that two
    /// of them are never one.
    fn find_by_ending(&self, telephone: Telephone<'_>) -> Option<Target> {
        let dialled = telephone.forms().first()?.ending().filter(|ending| ending.len() >= MIN_ENDING)?;
        let is_global = telephone.is_global();
        let longer = self.by_ending.range((dialled.clone(), false)..);
        let longer = longer.take_while(|((ending, _), _)| ending.starts_with(&dialled));
        let shorter = (MIN_ENDING..dialled.len()).rev().flat_map(|length| {
            let ending: Ending = dialled[..length].iter().copied().collect();
            [false, true].map(|global| self.by_ending.get_key_value(&(ending.clone(), global)))
        });
        let fits = |((_, global), _): &(&(Ending, bool), &Option<Target>)| !(is_global && *global);
        let mut found = longer.chain(shorter.flatten()).filter(fits).map(|(_, target)| *target);
        let first = found.next()??;
        found.all(|other| other.is_some_and(|other| other.is_same_party(first))).then_some(first)
    }
}

/// The domain in which a local number holds.
fn context(telephone: Telephone<'_>) -> Option<Box<[u8]>> {
    let domain = telephone.context.filter(|_| telephone.global().is_none())?;
    Some(domain.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ims::subscriber::UserId;
    use crate::wire::sip::Uri;

    fn target(user: u32) -> Target {
        Target::User { user: UserId(user), impu: 0 }
    }

    fn telephone(uri: &str) -> Telephone<'_> {
        Telephone::of(&Uri::parse(uri.as_bytes()).unwrap()).unwrap()
    }

    /// Each URI is the number of the user with its place.
    fn numbers(uris: &[&str]) -> Numbers {
        let mut numbers = Numbers::default();
        for (user, uri) in uris.iter().enumerate() {
            assert!(numbers.put(telephone(uri), target(user as u32), false), "{uri}");
        }
        numbers
    }

    #[test]
    fn the_exact_form_comes_before_the_others() {
        let n = numbers(&["tel:+336", "tel:336", "tel:+0336", "tel:0336"]);
        for (uri, user) in
            [("tel:+336", 0), ("tel:336", 1), ("tel:+0336", 2), ("tel:0336", 3), ("tel:00336", 0)]
        {
            assert_eq!(n.find(telephone(uri)), Some(target(user)), "{uri}");
        }
    }

    #[test]
    fn local_numbers_of_two_contexts_are_two() {
        let n = numbers(&["tel:600;phone-context=a.test", "tel:600;phone-context=B.test"]);
        for (uri, user) in [
            ("tel:600;phone-context=A.test", 0),
            ("tel:600;phone-context=b.test", 1),
            ("sip:600@b.test;user=phone", 1),
            ("sip:600;phone-context=b.test@a.test;user=phone", 1),
            ("tel:600;phone-context=c.test", 0),
            ("tel:600", 0),
        ] {
            assert_eq!(n.find(telephone(uri)), Some(target(user)), "{uri}");
        }
    }

    #[test]
    fn national_and_international_forms_meet_in_their_last_digits() {
        let n = numbers(&["tel:+33612345678", "tel:0687654321", "tel:+15551234567"]);
        for (uri, user) in [
            ("tel:0612345678", Some(0)),
            ("sip:612345678;phone-context=ims.test@ims.test;user=phone", Some(0)),
            ("tel:2345678", Some(0)),
            ("tel:+33687654321", Some(1)),
            ("tel:0033687654321", Some(1)),
            ("tel:33687654321", Some(1)),
            ("tel:5551234567", Some(2)),
            ("tel:1234567", Some(2)),
            // too short, and global numbers of other countries
            ("tel:345678", None),
            ("tel:+49612345678", None),
            ("tel:0049612345678", None),
            ("tel:0712345678", None),
            ("tel:612345678*1", None),
        ] {
            assert_eq!(n.find(telephone(uri)), user.map(target), "{uri}");
        }
    }

    #[test]
    fn last_digits_that_several_parties_share_name_nobody() {
        let n = numbers(&["tel:+33612345678", "tel:+49612345678", "tel:0712345678", "tel:712345678"]);
        for uri in ["tel:0612345678", "tel:12345678", "tel:+33712345678"] {
            assert_eq!(n.find(telephone(uri)), None, "{uri}");
        }
        let mut same = numbers(&["tel:+33612345678"]);
        assert!(same.put(telephone("tel:612345678"), Target::User { user: UserId(0), impu: 4 }, false));
        assert!(same.find(telephone("tel:12345678")).is_some_and(|t| t.is_same_party(target(0))));
    }

    #[test]
    fn a_beginning_of_longer_numbers_is_incomplete() {
        let mut n = numbers(&["tel:+33612345678", "tel:0687654321"]);
        n.put(telephone("sip:001010123456789@h"), target(2), true);
        for (uri, incomplete) in [
            ("tel:+336", true),
            ("tel:06876", true),
            ("sip:0033612@h;user=phone", true),
            ("tel:336", true),
            ("tel:+34", false),
            ("tel:06876543219", false),
            ("tel:001010", false),
        ] {
            assert_eq!(n.is_incomplete(telephone(uri)), incomplete, "{uri}");
        }
    }

    #[test]
    fn an_imsi_is_found_whole_and_by_nothing_else() {
        let mut n = Numbers::default();
        n.put(telephone("sip:001010123456789@h"), target(0), true);
        assert_eq!(n.find(telephone("tel:001010123456789")), Some(target(0)));
        assert_eq!(n.find(telephone("tel:123456789")), None);
    }
}
