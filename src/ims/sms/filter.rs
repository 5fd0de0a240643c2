//! `sms_message_filter`: what the operator wants done with RP-DATA and RP-ACK of phones.

use crate::config::model::{FilterAction, FilterRule, SmsFilter};

/// The rules, with how often each is still applied.
#[derive(Debug)]
pub(super) struct Filters {
    pub(super) rp_data: Filter,
    pub(super) rp_ack: Filter,
}

/// One rule.
#[derive(Debug)]
pub(super) struct Filter {
    rule: FilterRule,
}

impl Filters {
    /// The configured rules.
    pub(super) fn new(settings: &SmsFilter) -> Self {
        let filter = |rule| Filter { rule };
        Filters { rp_data: filter(settings.rp_data), rp_ack: filter(settings.rp_ack) }
    }
}

impl Filter {
    /// What is done with the next message.
    pub(super) fn next(&mut self) -> FilterAction {
        match &mut self.rule.times {
            _ if self.rule.action == FilterAction::Treat => FilterAction::Treat,
            Some(0) => FilterAction::Treat,
            Some(times) => {
                *times -= 1;
                self.rule.action
            }
            None => self.rule.action,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_holds_always_or_so_many_times() {
        use FilterAction::{Ignore, Reject, Treat};
        let next = |action, times| {
            let mut filter = Filter { rule: FilterRule { action, times } };
            [filter.next(), filter.next(), filter.next()]
        };
        assert_eq!(next(Reject, Some(2)), [Reject, Reject, Treat]);
        assert_eq!(next(Ignore, None), [Ignore; 3]);
        assert_eq!(next(Treat, Some(1)), [Treat; 3]);
    }
}
