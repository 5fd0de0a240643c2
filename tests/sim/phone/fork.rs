//! A peer that forks: several phones behind it ring for one INVITE, each under a To tag of its own, and it passes on what each
//! says before the answer, each answer, and one failure when all have failed (RFC 3261 16.7).

use super::*;

/// How soon after the first one others answer, where they do.
const RACE: Duration = Duration::from_millis(30);

impl Phone {
    /// What each of the phones that a call rings does: one for a phone; of a peer's up to three, of which one follows the plan, and the
    /// others ring along or answer at almost the same time.
    pub(super) fn forked(&self, plan: Plan) -> Vec<Plan> {
        if !self.is_peer() {
            return vec![plan];
        }
        let draw = self.counter as usize;
        let (phones, is_race) = (1 + draw % 3, draw % 4 < 2);
        let first = draw / 3 % phones;
        let of = |number: usize| match plan {
            _ if number == first => plan,
            Plan::Answer(after) if is_race => Plan::Answer(after + RACE * number as u32),
            Plan::Answer(_) => Plan::Ring,
            plan => plan,
        };
        (0..phones).map(of).collect()
    }

    /// The other phones that one INVITE rings, or has rung.
    fn siblings(&self, leg: usize) -> Vec<usize> {
        let branch = |at: usize| self.legs[at].invite.as_ref().map(Text::branch);
        let is_one =
            |at: &usize| *at != leg && !self.legs[*at].call_id.is_empty() && branch(*at) == branch(leg);
        if self.is_peer() { (0..self.legs.len()).filter(is_one).collect() } else { Vec::new() }
    }

    /// Whether another phone may still answer, or has answered: then the failure of this one is nobody's news.
    pub(super) fn has_open_sibling(&self, leg: usize) -> bool {
        let may_answer =
            |at: usize| self.legs[at].state == State::Ringing || self.legs[at].result == Some(200);
        self.siblings(leg).into_iter().any(may_answer)
    }

    /// A phone has answered: those that merely ring are cancelled.
    pub(super) fn let_others_go(&mut self, leg: usize) {
        let answers =
            |at: usize| self.timers.iter().any(|(_, t)| matches!(t, Timer::Answer(other) if *other == at));
        let over: Vec<usize> = self.siblings(leg).into_iter().filter(|at| !answers(*at)).collect();
        self.end_ringing(over);
    }

    /// A phone has the call: no other one answers any more.
    pub(super) fn is_taken(&mut self, leg: usize) {
        if self.legs[leg].result == Some(200) {
            self.end_ringing(self.siblings(leg));
        }
    }

    fn end_ringing(&mut self, legs: Vec<usize>) {
        for leg in legs {
            if self.legs[leg].state == State::Ringing {
                self.end(leg);
            }
        }
    }
}
