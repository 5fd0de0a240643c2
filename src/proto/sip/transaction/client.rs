//! The non-INVITE client transaction (RFC 3261 17.1.2, figure 6).

use super::machine::{Action::*, Input, Machine, Step, to};
use super::timers::Timer;

/// The states of figure 6.
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
        (State::Trying, State::Terminated),
        (State::Proceeding, State::Completed),
        (State::Proceeding, State::Terminated),
        (State::Completed, State::Terminated),
    ];

    fn step(self, input: Input) -> Step<State> {
        use State::*;
        match (self, input) {
            (Trying, Input::Fired(Timer::E)) => to(Trying, &[Send, Again(Timer::E)]),
            // RFC 3261 17.1.2.2: a provisional response slows the retransmissions down, it does not end them
            (Proceeding, Input::Fired(Timer::E)) => to(Proceeding, &[Send, Slow(Timer::E)]),
            (Trying | Proceeding, Input::Fired(Timer::F)) => to(Terminated, &[TimedOut]),
            (Trying | Proceeding, Input::TransportError) => to(Terminated, &[Failed]),
            (Trying | Proceeding, Input::Trying | Input::Provisional) => to(Proceeding, &[Deliver]),
            (Trying | Proceeding, Input::Success | Input::Failure) => {
                to(Completed, &[Stop(Timer::E), Start(Timer::K), Deliver])
            }
            (Completed, Input::Fired(Timer::K)) => to(Terminated, &[]),
            (state, _) => to(state, &[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::Action;
    use super::super::machine::tests::check_figure;
    use super::State::*;
    use super::*;

    #[test]
    fn every_cell_of_the_figure() {
        const DONE: &[Action] = &[Stop(Timer::E), Start(Timer::K), Deliver];
        check_figure(
            &[Trying, Proceeding, Completed, Terminated],
            &[
                (Trying, Input::Fired(Timer::E), Trying, &[Send, Again(Timer::E)]),
                (Trying, Input::Fired(Timer::F), Terminated, &[TimedOut]),
                (Trying, Input::TransportError, Terminated, &[Failed]),
                (Trying, Input::Trying, Proceeding, &[Deliver]),
                (Trying, Input::Provisional, Proceeding, &[Deliver]),
                (Trying, Input::Success, Completed, DONE),
                (Trying, Input::Failure, Completed, DONE),
                (Proceeding, Input::Fired(Timer::E), Proceeding, &[Send, Slow(Timer::E)]),
                (Proceeding, Input::Fired(Timer::F), Terminated, &[TimedOut]),
                (Proceeding, Input::TransportError, Terminated, &[Failed]),
                (Proceeding, Input::Trying, Proceeding, &[Deliver]),
                (Proceeding, Input::Provisional, Proceeding, &[Deliver]),
                (Proceeding, Input::Success, Completed, DONE),
                (Proceeding, Input::Failure, Completed, DONE),
                (Completed, Input::Fired(Timer::K), Terminated, &[]),
            ],
        );
    }
}
