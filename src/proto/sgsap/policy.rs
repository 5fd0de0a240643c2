//! What the operator wants done with messages of the connection protocol (`sms_message_filter`, `sms_forced_cp_cause`).

use crate::wire::gsm::cp::CpCause;

/// What is done with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Action {
    /// It is taken as usual.
    #[default]
    Treat,
    /// It is as if it had not come.
    Ignore,
    /// It is answered by CP-ERROR.
    Reject,
}

/// What is done with one kind of message, and how often.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rule {
    action: Action,
    left: Option<u32>,
}

impl Rule {
    /// A rule for so many messages, after which they are treated; none: for all.
    pub const fn new(action: Action, times: Option<u32>) -> Rule {
        Rule { action, left: times }
    }

    /// What is done with the next message.
    pub fn take(&mut self) -> Action {
        match &mut self.left {
            Some(0) => return Action::Treat,
            Some(left) => *left -= 1,
            None => {}
        }
        self.action
    }
}

/// The operator's wishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CpPolicy {
    /// CP-DATA of phones.
    pub data: Rule,
    /// CP-ACK of phones.
    pub ack: Rule,
    /// The cause of every CP-ERROR that we send, instead of ours.
    pub forced_cause: Option<CpCause>,
}

impl CpPolicy {
    /// The cause to be sent for ours.
    pub fn cause(&self, ours: CpCause) -> CpCause {
        self.forced_cause.unwrap_or(ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_holds_as_often_as_it_says() {
        let mut twice = Rule::new(Action::Reject, Some(2));
        assert_eq!([(); 3].map(|()| twice.take()), [Action::Reject, Action::Reject, Action::Treat]);
        let mut always = Rule::new(Action::Ignore, None);
        assert_eq!([(); 3].map(|()| always.take()), [Action::Ignore; 3]);
        assert_eq!(Rule::default().take(), Action::Treat);
    }
}
