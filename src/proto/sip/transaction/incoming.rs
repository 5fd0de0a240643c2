//! Messages that come: matched to their transactions (RFC 3261 17.1.3, 17.2.3), CANCEL (9.2), merged requests (8.2.2.2), caps.

use super::client_invite;
use super::entry::{Cancel, ClientMachine, ServerMachine, ServerTx};
use super::key::Key;
use super::layer::{Answer, Transactions, Verdict};
use super::machine::Input;
use super::timers::{RunningTimers, Timer};
use super::trace;
use crate::base::arena::Id;
use crate::base::time::Duration;
use crate::proto::cx::Cx;
use crate::proto::flow::{Arrival, Flow};
use crate::proto::sip::transport;
use crate::wire::sip::{CustomHeader, HeaderId, Message, Method, Stored, Via};
use smallvec::SmallVec;
use std::fmt::Debug;

/// What Retry-After says beside a 503 over the cap, seconds.
pub const RETRY_AFTER_SECS: u32 = 10;

impl<O: Copy + Debug> Transactions<O> {
    /// Takes a request. It should have passed `Message::check`; one without a readable Via is dropped.
    pub fn on_request(
        &mut self,
        cx: &mut Cx<'_>,
        arrival: impl Into<Arrival>,
        msg: &Message<'_>,
    ) -> Verdict<O> {
        let arrival = arrival.into();
        trace::received(cx, msg);
        let Some(via) = msg.via() else {
            trace::warn(
                cx,
                trace::trace_id_of(msg),
                format_args!("request without a readable Via is dropped"),
            );
            return Verdict::Rejected(400);
        };
        let key = self.keys.through(self.keys.server(msg, &via), arrival.ue());
        let found = self.server_ids.get(&key).copied();
        if let Some(tx) = found.and_then(|id| self.servers.get_mut(id)) {
            tx.is_reliable &= arrival.flow.transport.is_reliable();
        }
        match (msg.method(), found) {
            (Method::Ack, Some(id)) => match self.drive_server(cx, id, Input::Ack, Duration::ZERO) {
                true => Verdict::Ack,
                false => Verdict::Absorbed,
            },
            (Method::Ack, None) => Verdict::Ack,
            (Method::Cancel, None) => self.on_cancel(cx, arrival, msg, &via, key),
            (_, Some(id)) => {
                self.follow_connection(id, arrival, &via);
                self.drive_server(cx, id, Input::Request, Duration::ZERO);
                Verdict::Absorbed
            }
            (_, None) => self.on_new_request(cx, arrival, msg, &via, key),
        }
    }

    /// Whether a request that came this way belongs to a transaction that there is: a retransmission.
    pub fn knows(&self, arrival: impl Into<Arrival>, msg: &Message<'_>) -> bool {
        let ue = arrival.into().ue();
        let key = msg.via().map(|via| self.keys.through(self.keys.server(msg, &via), ue));
        key.is_some_and(|key| self.server_ids.contains_key(&key))
    }

    /// Where the request went that a response answers.
    pub fn request_way(&self, msg: &Message<'_>) -> Option<Flow> {
        let (via, cseq) = (msg.via()?, msg.cseq()?);
        let id = self.client_ids.get(&self.keys.client(via.branch()?, cseq.token))?;
        self.clients.get(*id).map(|tx| tx.flow)
    }

    /// Takes a response.
    pub fn on_response(&mut self, cx: &mut Cx<'_>, _flow: Flow, msg: &Message<'_>) -> Answer<O> {
        trace::received(cx, msg);
        let Some(key) = self.response_key(cx, msg) else { return Answer::Stray };
        let Some(&id) = self.client_ids.get(&key) else {
            trace::warn(cx, trace::trace_id_of(msg), format_args!("response to no transaction of ours"));
            return Answer::Stray;
        };
        let Some(tx) = self.clients.get_mut(id) else { return Answer::Stray };
        let repeated = tx.machine == ClientMachine::Invite(client_invite::State::Accepted);
        let input = Input::response(msg.status());
        if input == Input::Failure && tx.ack.is_empty() && tx.method == Method::Invite {
            write_ack(&mut tx.ack, &tx.request.message(), msg, &self.custom);
        }
        if tx.before_upgrade.take().is_some() {
            // TCP works: no need for UDP
            tx.timers.stop(Timer::A);
            tx.timers.stop(Timer::E);
        }
        let (owner, is_internal) = (tx.owner, tx.is_internal);
        let deliver = self.drive_client(cx, id, input, Duration::ZERO);
        self.send_waiting_cancel(cx, id);
        match input {
            _ if !deliver || is_internal => Answer::Absorbed,
            Input::Trying | Input::Provisional => Answer::Provisional { id, owner },
            _ if repeated => Answer::Repeat2xx { id, owner },
            _ => Answer::Final { id, owner },
        }
    }

    /// The key of a response that may be ours.
    fn response_key(&self, cx: &mut Cx<'_>, msg: &Message<'_>) -> Option<Key> {
        let id = trace::trace_id_of(msg);
        let (Some(via), Some(cseq)) = (msg.via(), msg.cseq()) else {
            trace::warn(cx, id, format_args!("response without a readable Via or CSeq"));
            return None;
        };
        // RFC 3261 18.1.2, 8.1.3.3: the topmost Via is the one that we wrote, and there is no other
        if !transport::is_our_via(&via, &self.locals) {
            trace::warn(cx, id, format_args!("response whose Via is not ours"));
            return None;
        }
        if msg.values(HeaderId::Via).nth(1).is_some() {
            trace::warn(cx, id, format_args!("response with more than one Via"));
            return None;
        }
        Some(self.keys.client(via.branch()?, cseq.token))
    }

    /// RFC 3261 9.2: answered 200 when there is an INVITE to cancel, else 481. Without room for a transaction of its own, one that
    /// is repeated gets its answer made again.
    fn on_cancel(
        &mut self,
        cx: &mut Cx<'_>,
        arrival: Arrival,
        msg: &Message<'_>,
        via: &Via<'_>,
        key: Key,
    ) -> Verdict<O> {
        let cancelled = self.keys.through(self.keys.cancelled(msg, via), arrival.ue());
        let invite = self.server_ids.get(&cancelled).copied();
        let found = invite.and_then(|id| Some((id, self.servers.get_mut(id)?)));
        let Some((invite, tx)) = found else {
            self.respond_stateless(cx, arrival, msg, 481, None, |w| w.finish());
            return Verdict::Rejected(481);
        };
        let is_news = !tx.has_final() && !tx.is_cancelled;
        tx.is_cancelled = true;
        // the To tag is that of the INVITE's responses
        let to_tag = tx.to_tag.clone();
        match self.admit(cx, arrival, msg, via, key, None) {
            Some(cancel) => self.respond(cx, cancel, 200, None, &to_tag, |w| w.finish()),
            None => {
                let to_tag = (!to_tag.is_empty()).then_some(&to_tag[..]);
                self.write_stateless(cx, arrival, msg, 200, None, to_tag, |w| w.finish());
            }
        }
        if is_news { Verdict::Cancel { invite } } else { Verdict::Absorbed }
    }

    fn on_new_request(
        &mut self,
        cx: &mut Cx<'_>,
        arrival: Arrival,
        msg: &Message<'_>,
        via: &Via<'_>,
        key: Key,
    ) -> Verdict<O> {
        let merged = self.merged_key(arrival, msg);
        if merged.is_some_and(|k| self.merged_ids.contains_key(&k)) {
            self.respond_stateless(cx, arrival, msg, 482, Some("Request merged"), |w| w.finish());
            return Verdict::Rejected(482);
        }
        match self.admit(cx, arrival, msg, via, key, merged) {
            Some(id) => Verdict::New(id),
            None => {
                self.respond_stateless(cx, arrival, msg, 503, None, |mut w| {
                    w.header_fmt("Retry-After", format_args!("{RETRY_AFTER_SECS}"));
                    w.finish();
                });
                Verdict::Rejected(503)
            }
        }
    }

    /// Founds a server transaction, if there is room.
    fn admit(
        &mut self,
        cx: &mut Cx<'_>,
        arrival: Arrival,
        msg: &Message<'_>,
        via: &Via<'_>,
        key: Key,
        merged: Option<Key>,
    ) -> Option<Id<ServerTx<O>>> {
        if !self.make_room(cx) {
            return None;
        }
        let text = transport::top_via_text(msg).unwrap_or_default();
        transport::stamp_received(&mut self.scratch.via, text, via, arrival.flow.remote);
        let entry = ServerTx {
            key,
            merged,
            machine: ServerMachine::new(msg.method()),
            request: Stored::new(msg),
            via: self.scratch.via.as_slice().into(),
            to_tag: SmallVec::new(),
            flow: transport::response_flow(arrival, via),
            is_reliable: arrival.flow.transport.is_reliable(),
            fallback: transport::response_fallback(arrival, via),
            owner: None,
            response: Vec::new(),
            final_status: None,
            is_cancelled: false,
            timers: RunningTimers::default(),
            trace_id: trace::trace_id_of(msg),
        };
        let id = self.servers.insert(entry).ok()?;
        self.server_ids.insert(key, id);
        if let Some(merged) = merged {
            self.merged_ids.insert(merged, id);
        }
        Some(id)
    }

    /// The key under which a request may turn out to be one that came another way (RFC 3261 8.2.2.2): one without a To tag. A
    /// REGISTER is left out: no proxy forks it, and phones repeat one with the same CSeq when they change the transport.
    fn merged_key(&self, arrival: Arrival, msg: &Message<'_>) -> Option<Key> {
        let outside_dialog = msg.to().is_none_or(|to| to.tag().is_none());
        (outside_dialog && msg.method() != Method::Register)
            .then(|| self.keys.through(self.keys.merged(msg), arrival.ue()))
    }

    /// A request that is repeated over another connection of the same host is answered there (RFC 3261 18.2.2: the connection
    /// that the request came on).
    fn follow_connection(&mut self, id: Id<ServerTx<O>>, arrival: Arrival, via: &Via<'_>) {
        let flow = arrival.flow;
        let Some(tx) = self.servers.get_mut(id) else { return };
        let is_moved = flow.conn != tx.flow.conn && flow.transport == tx.flow.transport;
        if is_moved && flow.remote.ip() == tx.flow.remote.ip() {
            tx.flow = transport::response_flow(arrival, via);
            tx.fallback = transport::response_fallback(arrival, via);
        }
    }

    fn send_waiting_cancel(&mut self, cx: &mut Cx<'_>, id: Id<super::ClientTx<O>>) {
        let Some(tx) = self.clients.get_mut(id) else { return };
        if tx.machine != ClientMachine::Invite(client_invite::State::Proceeding) {
            return;
        }
        if let Cancel::Waiting(reason) = &mut tx.cancel {
            let reason = reason.take();
            self.send_cancel(cx, id, reason.as_deref());
        }
    }
}

/// The ACK of a non-2xx final response (RFC 3261 17.1.1.3): from the INVITE but for To.
fn write_ack(out: &mut Vec<u8>, invite: &Message<'_>, response: &Message<'_>, custom: &[CustomHeader]) {
    let mut w = super::client_side::like_invite(out, b"ACK", invite, custom);
    w.copy(response, HeaderId::To);
    w.finish();
}
