//! The states of a call, as the monitor names them, and the moves between them.

/// Where a call is in its life (manual 6.6, `dialog_get`: `state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The INVITE is here and nobody rings.
    Init,
    /// The callee rings, or sends early media.
    Ringing,
    /// Answered.
    Start,
    /// Answered, and no media flows in at least one direction by the will of a party.
    Hold,
    /// Ended; seen for a while.
    Stop,
}

impl State {
    /// The name that views show.
    pub const fn name(self) -> &'static str {
        match self {
            State::Init => "init",
            State::Ringing => "ringing",
            State::Start => "start",
            State::Hold => "hold",
            State::Stop => "stop",
        }
    }

    /// Whether a call may go from here to `to`. Nothing leaves `Stop`, and nobody rings twice.
    pub const fn may_become(self, to: State) -> bool {
        match self {
            State::Init => matches!(to, State::Ringing | State::Start | State::Stop),
            State::Ringing => matches!(to, State::Start | State::Stop),
            State::Start => matches!(to, State::Hold | State::Stop),
            State::Hold => matches!(to, State::Start | State::Stop),
            State::Stop => false,
        }
    }

    /// Whether the INVITE has been answered with 2xx and the call has not ended.
    pub const fn is_answered(self) -> bool {
        matches!(self, State::Start | State::Hold)
    }
}

#[cfg(test)]
mod tests {
    use super::State::{self, Hold, Init, Ringing, Start, Stop};

    #[test]
    fn the_table_of_moves() {
        const ALL: [State; 5] = [Init, Ringing, Start, Hold, Stop];
        let moves: Vec<(State, State)> = ALL
            .iter()
            .flat_map(|&a| ALL.iter().map(move |&b| (a, b)))
            .filter(|(a, b)| a.may_become(*b))
            .collect();
        assert_eq!(
            moves,
            [
                (Init, Ringing),
                (Init, Start),
                (Init, Stop),
                (Ringing, Start),
                (Ringing, Stop),
                (Start, Hold),
                (Start, Stop),
                (Hold, Start),
                (Hold, Stop)
            ]
        );
    }
}
