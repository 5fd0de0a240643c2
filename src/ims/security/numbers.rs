//! Where the sequence numbers of sets are (RFC 4303 3.3.3 and 3.4.3), as the state file remembers them for a kernel that loses them.
//!
//! The UE drops what has a number that it has seen, and a counter mode must not use one twice. So no clock is asked: the record of a set
//! always names numbers that are not used yet, which is written before they are. Of what comes in it has what the kernel said last, at the
//! last refresh or at the clean end; after a crash that the kernel did not survive, what came since may be sent again by who recorded it.

use super::limits::{NUMBERS_AHEAD, NUMBERS_AT_END};
use super::set::{Set, SetId};
use crate::ims::core::Service;
use crate::ims::persist::association;
use crate::proto::cx::Cx;
use crate::proto::sip::sec_agree::{Direction, SaNumbers, SetNumbers};

/// The numbers of a set of which nothing has gone out yet.
pub(super) const FRESH: SetNumbers = [SaNumbers { sent: NUMBERS_AHEAD, received: 0, window: 0 }; 4];

impl Set {
    /// Where the kernel is to go on with the set, after which as many more numbers are written off; none when too few are left.
    pub(super) fn take_numbers(&mut self) -> Option<SetNumbers> {
        let mut numbers = self.numbers;
        for (association, n) in self.associations().iter().zip(&mut numbers) {
            match association.direction {
                Direction::In => n.sent = 0,
                Direction::Out => (n.received, n.window) = (0, 0),
            }
        }
        for n in &mut self.numbers {
            n.sent = n.sent.checked_add(NUMBERS_AHEAD)?;
        }
        Some(numbers)
    }
}

impl Service {
    /// The kernel has said where the numbers of a set are, at a refresh or, `is_end`, at the clean end.
    pub(in crate::ims) fn on_set_numbers(
        &mut self,
        cx: &mut Cx<'_>,
        id: SetId,
        numbers: &SetNumbers,
        is_end: bool,
    ) {
        let Some(set) = self.security.sets.get_mut(id).filter(|set| set.is_stored) else { return };
        let ahead = if is_end { NUMBERS_AT_END } else { NUMBERS_AHEAD };
        set.numbers = numbers.map(|n| SaNumbers { sent: n.sent.saturating_add(ahead), ..n });
        association::store(cx, &self.subscribers, set);
    }
}
