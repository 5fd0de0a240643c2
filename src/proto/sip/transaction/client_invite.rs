//! The INVITE client transaction (RFC 3261 17.1.1 and figure 5 as RFC 6026 7.2 changes it).
//!
//! Timer C of a proxy (RFC 3261 16.6) runs here while the transaction is Proceeding, because a B2BUA needs it as much.

use super::machine::{Action::*, Input, Machine, Step, to};
use super::timers::Timer;

/// The states of figure 5.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the variants are the figure's states")]
pub enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
    Terminated,
}

impl Machine for State {
    const MOVES: &'static [(State, State)] = &[
        (State::Calling, State::Proceeding),
        (State::Calling, State::Completed),
        (State::Calling, State::Accepted),
        (State::Calling, State::Terminated),
        (State::Proceeding, State::Completed),
        (State::Proceeding, State::Accepted),
        (State::Proceeding, State::Terminated),
        (State::Completed, State::Terminated),
        (State::Accepted, State::Terminated),
    ];

    fn step(self, input: Input) -> Step<State> {
        use State::*;
        match (self, input) {
            // RFC 3261 17.1.1.2: timer A doubles while nothing comes; timer B ends it
            (Calling, Input::Fired(Timer::A)) => to(Calling, &[Send, Again(Timer::A)]),
            (Calling, Input::Fired(Timer::B)) => to(Terminated, &[TimedOut]),
            (Calling, Input::TransportError) => to(Terminated, &[Failed]),
            // timer C takes the place of timer B
            (Calling, Input::Trying | Input::Provisional) => {
                to(Proceeding, &[Stop(Timer::A), Start(Timer::C), Deliver])
            }
            (Proceeding, Input::Trying) => to(Proceeding, &[Deliver]),
            // RFC 3261 16.7 (2): a provisional response other than 100 starts timer C again
            (Proceeding, Input::Provisional) => to(Proceeding, &[Start(Timer::C), Deliver]),
            // RFC 3261 16.8: the TU cancels; it is told again should it not
            (Proceeding, Input::Fired(Timer::C)) => to(Proceeding, &[Start(Timer::C), Expired]),
            // RFC 3261 9.1: 64*T1 after a CANCEL the transaction counts as cancelled
            (Proceeding, Input::Fired(Timer::Cancelled)) => to(Terminated, &[TimedOut]),
            (Calling | Proceeding, Input::Success) => {
                to(Accepted, &[Stop(Timer::A), Start(Timer::M), Deliver])
            }
            (Calling | Proceeding, Input::Failure) => {
                to(Completed, &[Stop(Timer::A), SendAck, Start(Timer::D), Deliver])
            }
            (Completed, Input::Failure) => to(Completed, &[SendAck]),
            // the TU has its final response, so that it is not told that the ACK failed
            (Completed, Input::Fired(Timer::D) | Input::TransportError) => to(Terminated, &[]),
            (Accepted, Input::Success) => to(Accepted, &[Deliver]),
            (Accepted, Input::Fired(Timer::M)) => to(Terminated, &[]),
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
        let states = [Calling, Proceeding, Completed, Accepted, Terminated];
        check_figure(
            &states,
            &[
                (Calling, Input::Fired(Timer::A), Calling, &[Send, Again(Timer::A)]),
                (Calling, Input::Fired(Timer::B), Terminated, &[TimedOut]),
                (Calling, Input::TransportError, Terminated, &[Failed]),
                (Calling, Input::Trying, Proceeding, &[Stop(Timer::A), Start(Timer::C), Deliver]),
                (Calling, Input::Provisional, Proceeding, &[Stop(Timer::A), Start(Timer::C), Deliver]),
                (Calling, Input::Success, Accepted, &[Stop(Timer::A), Start(Timer::M), Deliver]),
                (Calling, Input::Failure, Completed, &[Stop(Timer::A), SendAck, Start(Timer::D), Deliver]),
                (Proceeding, Input::Trying, Proceeding, &[Deliver]),
                (Proceeding, Input::Provisional, Proceeding, &[Start(Timer::C), Deliver]),
                (Proceeding, Input::Fired(Timer::C), Proceeding, &[Start(Timer::C), Expired]),
                (Proceeding, Input::Fired(Timer::Cancelled), Terminated, &[TimedOut]),
                (Proceeding, Input::Success, Accepted, &[Stop(Timer::A), Start(Timer::M), Deliver]),
                (Proceeding, Input::Failure, Completed, &[Stop(Timer::A), SendAck, Start(Timer::D), Deliver]),
                (Completed, Input::Failure, Completed, &[SendAck]),
                (Completed, Input::Fired(Timer::D), Terminated, &[]),
                (Completed, Input::TransportError, Terminated, &[]),
                (Accepted, Input::Success, Accepted, &[Deliver]),
                (Accepted, Input::Fired(Timer::M), Terminated, &[]),
            ],
        );
    }
}
