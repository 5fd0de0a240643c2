//! A phone that crashes in the middle of whatever it does.

use super::*;

impl Phone {
    /// The phone loses all that it knew and comes back later; its calls have no plan any more.
    pub fn crash(&mut self, now: Instant, for_as_long: Duration) {
        self.down_until = Some(now + for_as_long);
        let others = self.clients.drain(..).map(|c| c.branch);
        self.forgotten.extend(others);
        self.open.clear();
        self.repeats.clear();
        self.timers.clear();
        self.served.clear();
        self.watches.clear();
        self.authorization = None;
        self.registered = false;
        for leg in &mut self.legs {
            leg.state = State::Done;
            leg.expected = None;
            leg.call_id.clear();
            leg.early.clear();
        }
        self.forget_texts();
        if let Some(shield) = &mut self.shield {
            shield.forget();
        }
        self.seen.crashed += 1;
        if self.registers() {
            self.start_registering(now + for_as_long);
        }
    }

    /// Whether the phone hears nothing, or what it hears answers what it asked before its crash.
    pub(super) fn is_deaf(&self, now: Instant, text: &Text) -> bool {
        self.down_until.is_some_and(|at| now < at)
            || text.code() != 0 && self.forgotten.contains(text.branch())
    }
}
