//! One text under way: the contacts that it is sent to, and their best answer (RFC 3261 16.6 and 16.7, RFC 3428 5).

use super::admit::respond;
use super::echo;
use super::limits::{GROUP_PATIENCE, PATIENCE};
use crate::base::arena::Id;
use crate::base::time::{Duration, Instant};
use crate::base::timer::Alarm;
use crate::base::trace::{Level, Subject};
use crate::ims::call::forward::{self, Additions, Privacy};
use crate::ims::call::{
    ClientId, Destination, FIRST_CSEQ, Failure, Opening, Party, Rules, ServerId, Side, Terms, Waiting,
    next_group, rank,
};
use crate::ims::core::View;
use crate::ims::owner::Owner;
use crate::proto::cx::Cx;
use crate::proto::sip::transaction::{Timers, Token};
use crate::wire::sip::{Message, Method, Stored};
use smallvec::SmallVec;
use std::fmt;

/// A transaction's place: its text, and the number of the contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub(super) relay: Id<Relay>,
    leg: u8,
}

/// Which way a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To a user.
    Onward,
    /// From an echo number back to its sender.
    Back,
}

/// One text.
#[derive(Debug)]
pub struct Relay {
    way: Way,
    /// The sender's transaction, until it has its answer.
    tx: Option<ServerId>,
    request: Stored,
    pub(super) sender: Party,
    to: Party,
    subject: Subject,
    /// All contacts are sent the same Call-ID and From tag, so that a phone which is reached twice can tell (RFC 3261 8.2.2.2).
    call_id: Token,
    tag: Token,
    /// Contacts not tried yet.
    waiting: Waiting,
    /// Of each contact that was tried, the transaction whose answer is awaited.
    legs: SmallVec<[Option<ClientId>; 2]>,
    /// The best of the final failures so far.
    best: Option<Failure>,
    trying_at: Option<Instant>,
    group_at: Instant,
    /// None for an echo, whose sender has its answer: it is sent for as long as any request is.
    give_up_at: Option<Instant>,
    pub(super) alarm: Alarm,
    pub(super) is_over: bool,
}

impl Relay {
    #[expect(clippy::too_many_arguments, reason = "the text's parts, each of its own type")]
    pub(super) fn new(
        view: &mut View<'_>,
        cx: &Cx<'_>,
        tx: ServerId,
        msg: &Message<'_>,
        way: Way,
        sender: Party,
        to: Party,
        waiting: Waiting,
    ) -> Relay {
        let is_awaited = way == Way::Onward;
        let binding = sender.binding.and_then(|id| view.registrar.binding(id));
        Relay {
            way,
            tx: Some(tx),
            request: Stored::new(msg),
            subject: binding.map_or(Subject::None, |b| Subject::Id(b.number)),
            sender,
            to,
            call_id: view.txs.new_token(),
            tag: view.txs.new_token(),
            waiting,
            legs: SmallVec::new(),
            best: None,
            trying_at: is_awaited.then(|| cx.now + trying_after(view.txs.timers())),
            group_at: cx.now,
            give_up_at: is_awaited.then(|| cx.now + PATIENCE),
            alarm: Alarm::default(),
            is_over: false,
        }
    }

    /// Sends the text to the best contacts. What goes to an echo number has arrived with that.
    pub(super) fn start(&mut self, id: Id<Relay>, view: &mut View<'_>, cx: &mut Cx<'_>) {
        if let Some(tx) = self.tx.take_if(|_| self.way == Way::Back) {
            respond(view, cx, tx, 200, None, None);
        }
        self.go_on(id, view, cx);
    }

    /// A contact's final answer.
    pub(super) fn on_final(&mut self, part: Part, view: &mut View<'_>, cx: &mut Cx<'_>, msg: &Message<'_>) {
        if !(200..300).contains(&msg.status()) {
            return self.on_failure(part, view, cx, msg.status(), Some(msg));
        }
        self.pass(view, cx, msg.status(), msg);
        match self.way {
            Way::Onward => self.tell(cx, format_args!("delivered")),
            Way::Back => self.tell(cx, format_args!("echoed")),
        }
        self.is_over = true;
    }

    /// A contact has failed: with a response, or by our own finding when there is none.
    pub(super) fn on_failure(
        &mut self,
        part: Part,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        status: u16,
        response: Option<&Message<'_>>,
    ) {
        if let Some(leg) = self.legs.get_mut(usize::from(part.leg)) {
            *leg = None;
        }
        self.note(status, response);
        if status >= 600 {
            // RFC 3261 16.7 step 5: nobody else is asked after a global failure
            self.waiting.clear();
        }
        if !self.is_open() {
            self.go_on(part.relay, view, cx);
        }
    }

    /// Time has come for what is due.
    pub(super) fn on_tick(&mut self, id: Id<Relay>, view: &mut View<'_>, cx: &mut Cx<'_>) {
        if self.give_up_at.is_some_and(|at| at <= cx.now) {
            self.note(408, None);
            // what its sender believes lost is not delivered later, when it has perhaps been sent anew
            self.legs.drain(..).flatten().for_each(|client| view.txs.abandon(client));
            return self.give_up(view, cx);
        }
        if self.trying_at.take_if(|at| *at <= cx.now).is_some()
            && let Some(tx) = self.tx
        {
            view.txs.respond(cx, tx, 100, None, &[], |w| w.finish());
        }
        if !self.waiting.is_empty() && self.group_at <= cx.now {
            self.go_on(id, view, cx);
        }
    }

    /// The earliest moment at which there is something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let group = (!self.waiting.is_empty()).then_some(self.group_at);
        [self.trying_at, group, self.give_up_at].into_iter().flatten().min()
    }

    /// Tries the next group of contacts: those of equal q. When none is left, and no answer is awaited, that was all.
    fn go_on(&mut self, id: Id<Relay>, view: &mut View<'_>, cx: &mut Cx<'_>) {
        self.group_at = cx.now + GROUP_PATIENCE;
        let mut has_sent = false;
        while !has_sent && let Some(group) = next_group(&mut self.waiting) {
            for to in group {
                has_sent |= self.send(id, view, cx, to);
            }
        }
        if !self.is_open() {
            self.give_up(view, cx);
        }
    }

    /// Sends the text to a destination. `false`: it has gone meanwhile, or there is no room for the transaction.
    fn send(&mut self, id: Id<Relay>, view: &mut View<'_>, cx: &mut Cx<'_>, to: Destination) -> bool {
        let Some(way) = to.way(view, cx, &self.to) else { return false };
        let leg = u8::try_from(self.legs.len()).expect("contacts are capped far below 256");
        let owner = Owner::Message(Part { relay: id, leg });
        let msg = self.request.message();
        let sent = match self.way {
            Way::Onward => {
                let opening = Opening {
                    method: Method::Message,
                    call_id: self.call_id,
                    icid: self.call_id,
                    cseq: FIRST_CSEQ,
                    tag: &self.tag,
                    subs: view.subs,
                    config: view.config,
                    caller: &self.sender,
                    callee: &self.to,
                    rules: Rules::default(),
                    options: None,
                    timer: Terms::default(),
                    body: None,
                };
                opening.send(view.txs, cx, &way, owner, &msg)
            }
            Way::Back => {
                let settings = &view.config.protocol;
                view.txs.request(cx, way.flow, b"MESSAGE", way.uri, way.upgrade, owner, |w| {
                    echo::write(w, &msg, &self.to.uri, way.route, (self.call_id, &self.tag), settings);
                })
            }
        };
        self.legs.push(sent.ok());
        if let Err(overload) = sent {
            self.note(overload.status(), None);
        }
        sent.is_ok()
    }

    /// Whether an answer is awaited.
    fn is_open(&self) -> bool {
        self.legs.iter().any(Option::is_some)
    }

    /// Keeps a failure if it is better than those before.
    fn note(&mut self, status: u16, response: Option<&Message<'_>>) {
        if self.best.as_ref().is_none_or(|best| rank(status) < rank(best.status)) {
            self.best = Some(Failure { status, response: response.map(Stored::new) });
        }
    }

    /// Nobody is left to ask: the sender gets the best answer there was (RFC 3261 16.7 step 6).
    fn give_up(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>) {
        self.is_over = true;
        let best = self.best.take().unwrap_or(Failure { status: 480, response: None });
        let status = match (best.status, &best.response) {
            // RFC 4320 4.2: nobody is told 408; who is not there now may be there later
            (408, _) => 480,
            // what a phone says of itself is not said of us: a 503 would keep the sender away from us (RFC 3261 21.5.4)
            (503, Some(_)) => 500,
            (status, _) => status,
        };
        let text = match (&best.response, best.status) {
            (Some(r), said) => {
                format!("the phone says {said} {}", forward::phrase(&r.message()).unwrap_or_default())
            }
            (None, 408) => "the phone does not answer".to_owned(),
            (None, 503) => "there is no room for another transaction".to_owned(),
            (None, 513) => "the text is too long".to_owned(),
            (None, _) => "the phone cannot be reached".to_owned(),
        };
        match (self.way, &best.response) {
            (Way::Back, _) => return self.tell(cx, format_args!("not echoed: {text}")),
            (Way::Onward, Some(r)) => self.pass(view, cx, status, &r.message()),
            (Way::Onward, None) => {
                if let Some(tx) = self.tx.take() {
                    respond(view, cx, tx, status, Some(&text), None);
                }
            }
        }
        self.tell(cx, format_args!("refused with {status}: {text}"));
    }

    /// Gives the sender the response of a contact; the body and what is unknown as they came.
    fn pass(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, status: u16, msg: &Message<'_>) {
        let Some(tx) = self.tx.take() else { return };
        let with = Additions {
            settings: &view.config.protocol,
            charging: None,
            identities: &[],
            called_party: None,
            rules: Rules::default(),
            to: Side::Caller,
            privacy: Privacy::default(),
            options: None,
            has_own_rseq: false,
            timer: Terms::default(),
            body: None,
        };
        let phrase = (status == msg.status()).then(|| forward::phrase(msg)).flatten();
        view.txs.respond(cx, tx, status, phrase, &[], |w| forward::end_response(w, msg, &with));
    }

    fn tell(&self, cx: &mut Cx<'_>, outcome: fmt::Arguments<'_>) {
        let (from, to) = (&self.sender.uri, &self.to.uri);
        cx.ims(Level::Info, self.subject, format_args!("Message from {from} to {to}: {outcome}"));
    }
}

/// When a request that has no answer yet gets a 100: when its sender's timer E has reached T2 (RFC 4320 4.1).
fn trying_after(timers: &Timers) -> Duration {
    let (mut after, mut interval) = (timers.t1, timers.t1 * 2);
    while interval < timers.t2 {
        after += interval;
        interval *= 2;
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_waits_until_the_sender_repeats_itself_slowly() {
        let secs = Duration::from_millis;
        for (t1, t2, after) in [(500, 4000, 3500), (2000, 16_000, 14_000), (1000, 1000, 1000)] {
            let timers = Timers { t1: secs(t1), t2: secs(t2), ..Timers::default() };
            assert_eq!(trying_after(&timers), secs(after), "{t1} {t2}");
        }
    }
}
