//! Responses that the TU gives.

use super::entry::ServerTx;
use super::layer::Transactions;
use super::machine::Input;
use super::trace;
use crate::base::arena::Id;
use crate::base::time::Duration;
use crate::proto::cx::Cx;
use crate::proto::flow::Arrival;
use crate::proto::sip::transport;
use crate::wire::sip::{Custom, HeaderId, Message, Method, Writer};
use std::fmt::Debug;

impl<O: Copy + Debug> Transactions<O> {
    /// A server transaction, unless it has ended.
    pub fn server(&self, id: Id<ServerTx<O>>) -> Option<&ServerTx<O>> {
        self.servers.get(id)
    }

    /// Gives a server transaction the TU's name for it.
    pub fn set_server_owner(&mut self, id: Id<ServerTx<O>>, owner: O) {
        if let Some(tx) = self.servers.get_mut(id) {
            tx.owner = Some(owner);
        }
    }

    /// Sends a response. The writer has the start line, Via, From, To (with `to_tag` unless the request has one), Call-ID and
    /// CSeq; `fill` adds the rest and ends the message. With an empty `to_tag` the tag is that of the responses before, or one
    /// of the layer's own; a 100 then has none (RFC 3261 8.2.6.2).
    ///
    /// Does nothing when the transaction has ended or has its final response; a further 2xx to an INVITE goes out while
    /// the transaction is Accepted (RFC 6026 7.1).
    pub fn respond(
        &mut self,
        cx: &mut Cx<'_>,
        id: Id<ServerTx<O>>,
        status: u16,
        reason: Option<&str>,
        to_tag: &[u8],
        fill: impl FnOnce(Writer<'_>),
    ) {
        if self.hold_response(cx, id, status, reason, to_tag, fill) {
            self.drive_server(cx, id, Input::response(status), Duration::ZERO);
        }
    }

    /// Makes the final response to a request other than INVITE that has had no answer yet, to be sent by
    /// [`Transactions::send_held`]; until then repetitions of the request are absorbed in silence. Whether it was made, which
    /// [`Transactions::respond`] says.
    pub fn hold_response(
        &mut self,
        cx: &mut Cx<'_>,
        id: Id<ServerTx<O>>,
        status: u16,
        reason: Option<&str>,
        to_tag: &[u8],
        fill: impl FnOnce(Writer<'_>),
    ) -> bool {
        let Some(tx) = self.servers.get_mut(id) else { return false };
        let input = Input::response(status);
        if tx.has_final() && !(tx.machine.is_accepted() && input == Input::Success) {
            trace::warn(cx, tx.trace_id, format_args!("{status} after a final response is not sent"));
            return false;
        }
        if matches!(input, Input::Success | Input::Failure) {
            tx.final_status = Some(status);
        }
        if !to_tag.is_empty() {
            tx.to_tag = to_tag.into();
        } else if status != 100 && tx.to_tag.is_empty() {
            tx.to_tag = self.keys.stateless_tag(tx.key)[..].into();
        }
        tx.response.clear();
        // RFC 4320 4.2: 408 is not said to a non-INVITE request, whose sender has given up at the same time
        if status != 408 || tx.request.message().method() == Method::Invite {
            let request = tx.request.message();
            let tag = Some(&tx.to_tag[..]).filter(|t| !t.is_empty());
            let custom = Custom::of_response(&self.custom, request.method_token(), status);
            let mut w =
                Writer::response_to(&mut self.scratch.message, &request, status, reason, Some(&tx.via), tag)
                    .with_custom(custom);
            if status == 100 {
                // RFC 3261 8.2.6.1
                w.copy(&request, HeaderId::Timestamp);
            }
            let is_outside = request.to().is_some_and(|to| to.tag().is_none());
            if is_outside && request.method().creates_dialog() && (101..300).contains(&status) {
                // RFC 3261 12.1.1: the way that the dialog's requests go
                w.copy(&request, HeaderId::RecordRoute);
            }
            fill(w);
            tx.response.extend_from_slice(&self.scratch.message);
        }
        true
    }

    /// Forgets the response that is held: another may be given.
    pub fn drop_held(&mut self, id: Id<ServerTx<O>>) {
        if let Some(tx) = self.servers.get_mut(id).filter(|tx| tx.machine.holds()) {
            tx.final_status = None;
        }
    }

    /// Sends the response that was held.
    pub fn send_held(&mut self, cx: &mut Cx<'_>, id: Id<ServerTx<O>>) {
        let status = self.servers.get(id).and_then(ServerTx::final_status);
        if let Some(status) = status {
            self.drive_server(cx, id, Input::response(status), Duration::ZERO);
        }
    }

    /// Sends the 2xx to an INVITE again, while the transaction is Accepted: the dialog asks for it until the ACK comes (RFC 3261
    /// 13.3.1.4).
    pub fn retransmit_2xx(&mut self, cx: &mut Cx<'_>, id: Id<ServerTx<O>>) {
        if self.servers.get(id).is_some_and(|tx| tx.machine.is_accepted()) {
            self.drive_server(cx, id, Input::Success, Duration::ZERO);
        }
    }

    /// Answers a request that has no transaction and shall have none (RFC 3261 8.2.7): over a cap, with a defect. The To tag is
    /// the same for each repetition. An ACK is never answered.
    pub fn respond_stateless(
        &mut self,
        cx: &mut Cx<'_>,
        arrival: impl Into<Arrival>,
        msg: &Message<'_>,
        status: u16,
        reason: Option<&str>,
        fill: impl FnOnce(Writer<'_>),
    ) {
        self.write_stateless(cx, arrival.into(), msg, status, reason, None, fill);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the response's parts, and one more than the public face has"
    )]
    pub(super) fn write_stateless(
        &mut self,
        cx: &mut Cx<'_>,
        arrival: Arrival,
        msg: &Message<'_>,
        status: u16,
        reason: Option<&str>,
        to_tag: Option<&[u8]>,
        fill: impl FnOnce(Writer<'_>),
    ) {
        if msg.method() == Method::Ack {
            return;
        }
        let via = msg.via();
        // without a readable Via the source is all that is known
        let to = via.as_ref().map_or(arrival.flow, |via| {
            transport::with_fallback(
                transport::response_flow(arrival, via),
                transport::response_fallback(arrival, via),
            )
        });
        let stamped = via.as_ref().zip(transport::top_via_text(msg)).map(|(via, text)| {
            transport::stamp_received(&mut self.scratch.via, text, via, arrival.flow.remote);
            self.scratch.via.as_slice()
        });
        let request = via.as_ref().map_or(0, |via| self.keys.server(msg, via));
        let invented = self.keys.stateless_tag(request);
        let tag = to_tag.unwrap_or(&invented);
        let w = Writer::response_to(&mut self.scratch.message, msg, status, reason, stamped, Some(tag));
        fill(w.with_custom(Custom::of_response(&self.custom, msg.method_token(), status)));
        trace::send(cx, to, &self.scratch.message, 0, trace::trace_id_of(msg));
    }
}
