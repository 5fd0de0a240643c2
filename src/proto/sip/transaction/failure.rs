//! Messages that could not be sent, or were lost with their connection (RFC 3261 17.1.4, 18.1.1, 18.2.2, 18.4).
//!
//! Before it counts as a transport error, a request gets a second way: UDP if it went by TCP only for its length, a new
//! connection if the one it was sent on has gone. A response gets the address of its Via (18.2.2). The second copy has the branch
//! of the first, so that a peer that reads both takes the second for a retransmission (17.2.3).

use super::client_side::set_via_transport;
use super::entry::{ClientTx, ServerTx};
use super::layer::{AlarmKey, SERVER_TAG, Transactions, server_tag};
use super::machine::Input;
use super::timers::Timer;
use super::trace;
use crate::base::arena::Id;
use crate::base::time::Duration;
use crate::proto::cx::Cx;
use crate::proto::flow::{Flow, Transport};
use crate::proto::outbox::Output;
use crate::wire::sip::{Message, Method, Stored};
use std::fmt::Debug;

/// How long a request that goes by TCP for its length waits for a new connection before it goes by UDP. Three SYNs leave in that
/// time; whom none of them reaches (a filter drops TCP) would else be called only after the caller has given up.
pub const UPGRADE_PATIENCE: Duration = Duration::from_secs(4);

impl<O: Copy + Debug> Transactions<O> {
    /// A message could not be sent; `flow` is that of the outbox or of the connection, `tag` that of the outbox.
    ///
    /// A request that went by TCP for its length goes by UDP once (RFC 3261 18.1.1); one whose connection has gone gets another
    /// connection once; a response whose connection has gone goes to sent-by's port once (18.2.2). Otherwise it is a transport
    /// error of the transaction.
    pub fn on_send_failed(&mut self, cx: &mut Cx<'_>, flow: Flow, tag: u64) {
        if tag == 0 {
            return;
        }
        if tag & SERVER_TAG != 0 {
            self.on_response_failed(cx, flow, Id::from_bits(tag & !SERVER_TAG));
        } else {
            self.on_request_failed(cx, flow, Id::from_bits(tag), false);
        }
    }

    /// The connection that a message was written on has gone, perhaps before the peer read it: a phone that goes idle may close
    /// its side while a request is on its way.
    ///
    /// An unanswered INVITE is sent again on another connection, once: the peer's transaction outlives its answer, and absorbs
    /// what it has read before. Another request might be served twice, so that its transaction ends with a failure.
    pub fn on_connection_lost(&mut self, cx: &mut Cx<'_>, flow: Flow, tag: u64) {
        // a lost response is asked for by a repeated request, or repeated by the TU if it is a 2xx
        if tag == 0 || tag & SERVER_TAG != 0 {
            return;
        }
        let id = Id::from_bits(tag);
        if self.clients.get(id).is_some_and(|tx| tx.machine.is_unanswered()) {
            self.on_request_failed(cx, flow, id, true);
        }
    }

    fn on_response_failed(&mut self, cx: &mut Cx<'_>, flow: Flow, id: Id<ServerTx<O>>) {
        let Some(tx) = self.servers.get_mut(id) else { return };
        if !is_way_of(flow, tx.flow) && !is_way_of(flow, tx.response_path()) {
            return;
        }
        // a failure on the connection leaves a new one to sent-by; that of a new one leaves nothing
        match tx.fallback.take().filter(|_| flow.conn.is_some() && flow.conn == tx.flow.conn) {
            Some(fallback) => {
                tx.flow = fallback;
                trace::send(cx, tx.flow, &tx.response, server_tag(id), tx.trace_id);
            }
            None => {
                trace::warn(cx, tx.trace_id, format_args!("cannot send a response to {flow:?}"));
                self.drive_server(cx, id, Input::TransportError, Duration::ZERO);
            }
        }
    }

    fn on_request_failed(&mut self, cx: &mut Cx<'_>, flow: Flow, id: Id<ClientTx<O>>, was_written: bool) {
        let Some(tx) = self.clients.get_mut(id).filter(|tx| is_way_of(flow, tx.flow)) else { return };
        let is_unanswered = tx.machine.is_unanswered();
        if flow.transport == Transport::Tcp && tx.method != Method::Invite && !is_unanswered {
            return; // it was read, and its final response may come by another connection (RFC 3261 18.2.2)
        }
        let may_be_read = was_written && tx.method != Method::Invite;
        if !may_be_read && self.fall_back_to_udp(cx, id) {
            return;
        }
        let Some(tx) = self.clients.get_mut(id) else { return };
        let had_connection = was_written || tx.flow.conn.is_some();
        if is_unanswered && !may_be_read && had_connection && !tx.is_repeated {
            tx.is_repeated = true;
            tx.flow.conn = None;
            trace::warn(cx, tx.trace_id, format_args!("{flow:?} has gone: request goes by a new connection"));
            return trace::send(cx, tx.flow, tx.request.message().octets(), id.to_bits(), tx.trace_id);
        }
        trace::warn(cx, tx.trace_id, format_args!("cannot send a request to {flow:?}"));
        self.drive_client(cx, id, Input::TransportError, Duration::ZERO);
    }

    /// A timer of a request has fired that may be the end of [`UPGRADE_PATIENCE`]. Whether it was: a connection that is still not
    /// there is given up, and its failure brings the request back here.
    pub(super) fn lose_patience_with_tcp(
        &mut self,
        cx: &mut Cx<'_>,
        id: Id<ClientTx<O>>,
        timer: Timer,
    ) -> bool {
        let upgraded = self.clients.get_mut(id).filter(|tx| tx.before_upgrade.is_some());
        let Some(tx) = upgraded.filter(|_| matches!(timer, Timer::A | Timer::E)) else { return false };
        cx.out.push(Output::GiveUpConnecting(tx.flow));
        let at = tx.timers.next_deadline();
        self.alarms.set(&mut tx.timers.alarm, AlarmKey::Client(id), at);
        true
    }

    /// Sends an unanswered request that went by TCP for its length by UDP (RFC 3261 18.1.1). Whether there was one.
    fn fall_back_to_udp(&mut self, cx: &mut Cx<'_>, id: Id<ClientTx<O>>) -> bool {
        let Some(tx) = self.clients.get_mut(id).filter(|tx| tx.machine.is_unanswered()) else { return false };
        let Some(udp) = tx.before_upgrade.take() else { return false };
        self.scratch.message.clear();
        self.scratch.message.extend_from_slice(tx.request.message().octets());
        set_via_transport(&mut self.scratch.message, Transport::Udp);
        let message = Message::parse(&self.scratch.message, &mut self.scratch.index)
            .expect("the request was parsed before, and its length is the same");
        tx.request = Stored::new(&message);
        tx.flow = udp;
        trace::warn(cx, tx.trace_id, format_args!("no TCP to {}: request goes by UDP", udp.remote));
        self.begin(cx, id);
        true
    }
}

/// Whether something that failed on `failed` was sent on `sent`: the same connection, or the same two ends.
fn is_way_of(failed: Flow, sent: Flow) -> bool {
    let same_ends = failed.remote == sent.remote || failed.conn.is_some() && failed.conn == sent.conn;
    same_ends && (failed.local, failed.transport) == (sent.local, sent.transport)
}
