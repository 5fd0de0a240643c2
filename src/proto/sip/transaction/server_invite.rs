//! The INVITE server transaction (RFC 3261 17.2.1 and figure 7 as RFC 6026 7.1 changes it).
//!
//! The TU sends its own 100 at once; the machine does not send one after 200 ms.

use super::machine::{Action::*, Input, Machine, Step, to};
use super::timers::Timer;

/// The states of figure 7.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the variants are the figure's states")]
pub enum State {
    Proceeding,
    Accepted,
    Completed,
    Confirmed,
    Terminated,
}

impl Machine for State {
    const MOVES: &'static [(State, State)] = &[
        (State::Proceeding, State::Accepted),
        (State::Proceeding, State::Completed),
        (State::Accepted, State::Terminated),
        (State::Completed, State::Confirmed),
        (State::Completed, State::Terminated),
        (State::Confirmed, State::Terminated),
    ];

    fn step(self, input: Input) -> Step<State> {
        use State::*;
        match (self, input) {
            (Proceeding, Input::Request | Input::Trying | Input::Provisional) => to(Proceeding, &[Send]),
            (Proceeding, Input::Success) => to(Accepted, &[Send, Start(Timer::L)]),
            (Proceeding, Input::Failure) => to(Completed, &[Send, Start(Timer::G), Start(Timer::H)]),
            // RFC 6026 7.1: the TU repeats its 2xx itself, so that a repeated INVITE asks for nothing
            (Accepted, Input::Success) => to(Accepted, &[Send]),
            (Accepted, Input::Ack) => to(Accepted, &[Deliver]),
            (Accepted, Input::Fired(Timer::L)) => to(Terminated, &[]),
            (Completed, Input::Request) => to(Completed, &[Send]),
            (Completed, Input::Fired(Timer::G)) => to(Completed, &[Send, Again(Timer::G)]),
            (Completed, Input::Ack) => to(Confirmed, &[Stop(Timer::G), Start(Timer::I)]),
            (Completed, Input::Fired(Timer::H)) => to(Terminated, &[TimedOut]),
            (Confirmed, Input::Fired(Timer::I)) => to(Terminated, &[]),
            // RFC 6026 7.1: a transport error does not end the transaction, or a repeated INVITE would be a new one
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
            &[Proceeding, Accepted, Completed, Confirmed, Terminated],
            &[
                (Proceeding, Input::Request, Proceeding, &[Send]),
                (Proceeding, Input::Trying, Proceeding, &[Send]),
                (Proceeding, Input::Provisional, Proceeding, &[Send]),
                (Proceeding, Input::Success, Accepted, &[Send, Start(Timer::L)]),
                (Proceeding, Input::Failure, Completed, &[Send, Start(Timer::G), Start(Timer::H)]),
                (Accepted, Input::Success, Accepted, &[Send]),
                (Accepted, Input::Ack, Accepted, &[Deliver]),
                (Accepted, Input::Fired(Timer::L), Terminated, &[]),
                (Completed, Input::Request, Completed, &[Send]),
                (Completed, Input::Ack, Confirmed, &[Stop(Timer::G), Start(Timer::I)]),
                (Completed, Input::Fired(Timer::G), Completed, &[Send, Again(Timer::G)]),
                (Completed, Input::Fired(Timer::H), Terminated, &[TimedOut]),
                (Confirmed, Input::Fired(Timer::I), Terminated, &[]),
            ],
        );
    }
}
