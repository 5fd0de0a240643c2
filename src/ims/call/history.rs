//! What happened on one leg of a call, for its view (manual 6.6, `dialog_get`: `event_list`).

use super::limits::MAX_EVENTS;
use super::state::State;
use crate::base::time::Duration;
use crate::ims::view::EventView;
use crate::proto::sip::transaction::Token;
use crate::wire::sip::Method;
use std::collections::VecDeque;

/// One event; small, because a busy call has many.
#[derive(Clone, Copy, Debug)]
enum Event {
    State,
    Sent(Method, u16),
    Received(Method, u16),
}

/// The events of a leg and its names.
#[derive(Debug)]
pub struct History {
    /// The number that `dialog_stop` takes.
    pub(super) index: u32,
    session: Token,
    state: State,
    events: VecDeque<(Duration, State, Event)>,
}

impl History {
    /// The history of a leg that is about to begin.
    pub(super) fn new(index: u32, session: Token) -> Self {
        History { index, session, state: State::Init, events: VecDeque::with_capacity(8) }
    }

    /// The session id's text.
    pub(super) fn session_id(&self) -> String {
        self.session.to_string()
    }

    /// A change of state, this long after the call's creation.
    pub(super) fn state(&mut self, since: Duration, state: State) {
        self.state = state;
        self.push(since, Event::State);
    }

    /// A message sent; `status` is 0 for a request.
    pub(super) fn sent(&mut self, since: Duration, method: Method, status: u16) {
        self.push(since, Event::Sent(method, status));
    }

    /// A message received; `status` is 0 for a request.
    pub(super) fn received(&mut self, since: Duration, method: Method, status: u16) {
        self.push(since, Event::Received(method, status));
    }

    fn push(&mut self, since: Duration, event: Event) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back((since, self.state, event));
    }

    /// The events as they are shown, oldest first.
    pub(super) fn views(&self) -> Vec<EventView> {
        self.events
            .iter()
            .map(|&(since, state, event)| {
                let (kind, text) = match event {
                    Event::State => ("state", String::new()),
                    Event::Sent(method, status) => ("send", words(method, status)),
                    Event::Received(method, status) => ("recv", words(method, status)),
                };
                EventView { kind, timestamp: since.as_secs_f64(), state: state.name(), text }
            })
            .collect()
    }
}

fn words(method: Method, status: u16) -> String {
    match status {
        0 => method.name().to_owned(),
        _ => format!("{status} {}", method.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::proto::sip::transaction::key::Keys;

    #[test]
    fn the_oldest_event_goes_first() {
        let token = Keys::new(&mut Rng::from_seed(1)).token();
        let mut h = History::new(1, token);
        h.received(Duration::ZERO, Method::Invite, 0);
        h.state(Duration::from_secs(1), State::Ringing);
        h.sent(Duration::from_secs(1), Method::Invite, 180);
        let views = h.views();
        let shown: Vec<_> = views.iter().map(|v| (v.kind, v.state, v.text.as_str())).collect();
        assert_eq!(
            shown,
            [("recv", "init", "INVITE"), ("state", "ringing", ""), ("send", "ringing", "180 INVITE")]
        );
        assert_eq!(h.session_id(), token.as_str());
        for n in 0..MAX_EVENTS as u16 {
            h.sent(Duration::ZERO, Method::Info, n);
        }
        assert_eq!(h.views().len(), MAX_EVENTS);
        assert_eq!(h.views()[0].text, "INFO");
    }
}
