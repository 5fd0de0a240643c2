//! The non-INVITE server transaction (RFC 3261 17.2.2, figure 8).

use super::machine::{Action::*, Input, Machine, Step, to};
use super::timers::Timer;

/// The states of figure 8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the variants are the figure's states")]
pub enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

impl Machine for State {
    const MOVES: &'static [(State, State)] = &[
        (State::Trying, State::Proceeding),
        (State::Trying, State::Completed),
        (State::Proceeding, State::Completed),
        (State::Proceeding, State::Terminated),
        (State::Completed, State::Terminated),
    ];

    fn step(self, input: Input) -> Step<State> {
        use State::*;
        match (self, input) {
            (Trying, Input::Trying | Input::Provisional) => to(Proceeding, &[Send]),
            (Proceeding, Input::Request | Input::Trying | Input::Provisional) => to(Proceeding, &[Send]),
            (Trying | Proceeding, Input::Success | Input::Failure) => to(Completed, &[Send, Start(Timer::J)]),
            (Completed, Input::Request) => to(Completed, &[Send]),
            (Completed, Input::Fired(Timer::J)) => to(Terminated, &[]),
            (Proceeding | Completed, Input::TransportError) => to(Terminated, &[Failed]),
            (state, _) => to(state, &[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::tests::check_figure;
    use super::State::*;
    use super::*;

    #[test]
    fn every_cell_of_the_figure() {
        check_figure(
            &[Trying, Proceeding, Completed, Terminated],
            &[
                (Trying, Input::Trying, Proceeding, &[Send]),
                (Trying, Input::Provisional, Proceeding, &[Send]),
                (Trying, Input::Success, Completed, &[Send, Start(Timer::J)]),
                (Trying, Input::Failure, Completed, &[Send, Start(Timer::J)]),
                (Proceeding, Input::Request, Proceeding, &[Send]),
                (Proceeding, Input::Trying, Proceeding, &[Send]),
                (Proceeding, Input::Provisional, Proceeding, &[Send]),
                (Proceeding, Input::Success, Completed, &[Send, Start(Timer::J)]),
                (Proceeding, Input::Failure, Completed, &[Send, Start(Timer::J)]),
                (Proceeding, Input::TransportError, Terminated, &[Failed]),
                (Completed, Input::Request, Completed, &[Send]),
                (Completed, Input::Fired(Timer::J), Terminated, &[]),
                (Completed, Input::TransportError, Terminated, &[Failed]),
            ],
        );
    }
}
