//! What the four transaction machines share: their inputs, their actions, and the check of a transition.
//!
//! A machine is its state alone. [`Machine::step`] says, for one state and one input, the next state and what is to be done; the
//! layer does it. An input that a figure does not show in a state leaves the state and does nothing.

use super::timers::Timer;
use std::fmt::Debug;

/// What may happen to a transaction. Responses are received by a client transaction, and come from the TU in a server one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// The request has come again.
    Request,
    /// An ACK has come.
    Ack,
    /// A 100 response.
    Trying,
    /// A response from 101 to 199.
    Provisional,
    /// A 2xx response.
    Success,
    /// A response from 300 to 699.
    Failure,
    /// A timer has fired.
    Fired(Timer),
    /// The transport could not deliver what was last sent.
    TransportError,
}

impl Input {
    /// The input that a response with this status is.
    pub const fn response(status: u16) -> Input {
        match status {
            0..=100 => Input::Trying,
            101..=199 => Input::Provisional,
            200..=299 => Input::Success,
            _ => Input::Failure,
        }
    }
}

/// What a transition asks of the layer, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send the request, or the last response.
    Send,
    /// Send the ACK of a non-2xx final response.
    SendAck,
    /// Pass what came to the TU.
    Deliver,
    /// Start a timer.
    Start(Timer),
    /// Start a retransmission timer again with its next interval.
    Again(Timer),
    /// Start timer E again with T2 (RFC 3261 17.1.2.2, Proceeding).
    Slow(Timer),
    /// Stop a timer.
    Stop(Timer),
    /// Tell the TU that nothing came in time.
    TimedOut,
    /// Tell the TU that timer C has fired.
    Expired,
    /// Tell the TU that the transport failed.
    Failed,
}

/// The outcome of one input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step<S: 'static> {
    /// The state from now on.
    pub next: S,
    /// What is to be done.
    pub actions: &'static [Action],
}

/// One of the four machines.
pub trait Machine: Copy + PartialEq + Debug + 'static {
    /// The moves from one state to another that the figure draws; staying is always allowed.
    const MOVES: &'static [(Self, Self)];

    /// The transition, as the figure draws it.
    fn step(self, input: Input) -> Step<Self>;

    /// The transition, checked against [`Machine::MOVES`].
    fn advance(self, input: Input) -> Step<Self> {
        let step = self.step(input);
        debug_assert!(
            step.next == self || Self::MOVES.contains(&(self, step.next)),
            "{self:?} may not become {:?} on {input:?}",
            step.next
        );
        step
    }
}

/// Shorthand for the machines.
pub(super) const fn to<S>(next: S, actions: &'static [Action]) -> Step<S> {
    Step { next, actions }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// All inputs that there are.
    pub fn all_inputs() -> Vec<Input> {
        let mut inputs = vec![
            Input::Request,
            Input::Ack,
            Input::Trying,
            Input::Provisional,
            Input::Success,
            Input::Failure,
            Input::TransportError,
        ];
        inputs.extend(Timer::ALL.map(Input::Fired));
        inputs
    }

    /// Checks every cell of a machine: those of `figure` as it says, all others do nothing; every move is drawn and every
    /// drawn move is made.
    pub fn check_figure<S: Machine>(states: &[S], figure: &[(S, Input, S, &[Action])]) {
        let mut made = Vec::new();
        for &state in states {
            for input in all_inputs() {
                let rows: Vec<_> = figure.iter().filter(|r| r.0 == state && r.1 == input).collect();
                assert!(rows.len() <= 1, "{state:?} {input:?} stands twice in the figure");
                let want =
                    rows.first().map_or(to(state, &[][..]), |r| Step { next: r.2, actions: leak(r.3) });
                let got = state.advance(input);
                assert_eq!(got, want, "{state:?} on {input:?}");
                if got.next != state {
                    made.push((state, got.next));
                }
            }
        }
        for drawn in S::MOVES {
            assert!(made.contains(drawn), "{drawn:?} is allowed but never made");
        }
    }

    fn leak(actions: &[Action]) -> &'static [Action] {
        Box::leak(actions.to_vec().into_boxed_slice())
    }

    #[test]
    fn statuses_are_classed() {
        for (status, input) in [
            (100, Input::Trying),
            (101, Input::Provisional),
            (199, Input::Provisional),
            (200, Input::Success),
            (299, Input::Success),
            (300, Input::Failure),
            (699, Input::Failure),
        ] {
            assert_eq!(Input::response(status), input, "{status}");
        }
    }
}
