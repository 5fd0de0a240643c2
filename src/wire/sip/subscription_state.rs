//! Subscription-State (RFC 6665 4.1.3, 8.2.3).

use super::params::Params;
use super::text::is_token;

/// A subscription's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// `active`.
    Active,
    /// `pending`.
    Pending,
    /// `terminated`.
    Terminated,
    /// A word of an extension.
    Other,
}

/// The value of Subscription-State.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubscriptionState<'a> {
    /// The state.
    pub state: State,
    /// Parameters as they came.
    pub params: Params<'a>,
}

impl<'a> SubscriptionState<'a> {
    /// Parses the header's value.
    pub fn parse(value: &'a [u8]) -> Option<SubscriptionState<'a>> {
        let (word, params) = Params::split(value);
        let state = match word {
            w if w.eq_ignore_ascii_case(b"active") => State::Active,
            w if w.eq_ignore_ascii_case(b"pending") => State::Pending,
            w if w.eq_ignore_ascii_case(b"terminated") => State::Terminated,
            w if is_token(w) => State::Other,
            _ => return None,
        };
        Some(SubscriptionState { state, params })
    }

    /// How long it still lasts, in seconds.
    pub fn expires_secs(&self) -> Option<u32> {
        self.params.number("expires")
    }

    /// Why it was ended: `deactivated`, `rejected`, `timeout`, ….
    pub fn reason(&self) -> Option<&'a [u8]> {
        self.params.get("reason")
    }

    /// When to subscribe again, in seconds.
    pub fn retry_after_secs(&self) -> Option<u32> {
        self.params.number("retry-after")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_parameters() {
        let s = SubscriptionState::parse(b"Active ; expires=600").unwrap();
        assert_eq!((s.state, s.expires_secs(), s.reason()), (State::Active, Some(600), None));
        let s = SubscriptionState::parse(b"terminated;reason=deactivated;retry-after=5").unwrap();
        assert_eq!(
            (s.state, s.reason(), s.retry_after_secs()),
            (State::Terminated, Some(&b"deactivated"[..]), Some(5))
        );
        assert_eq!(SubscriptionState::parse(b"x").unwrap().state, State::Other);
        assert_eq!(SubscriptionState::parse(b";expires=1"), None);
    }
}
