//! Requests that the TU sends.

use super::entry::{Cancel, ClientMachine, ClientTx};
use super::failure::UPGRADE_PATIENCE;
use super::key::Token;
use super::layer::{Overload, Transactions};
use super::timers::{RunningTimers, Timer};
use super::{client_invite, trace};
use crate::base::arena::Id;
use crate::proto::cx::Cx;
use crate::proto::flow::{Flow, Transport};
use crate::proto::sip::transport::{SentBy, top_via_text};
use crate::proto::upgrade::Upgrade;
use crate::wire::sip::via::BRANCH_COOKIE;
use crate::wire::sip::{Custom, CustomHeader, HeaderId, Message, Method, ParseError, Stored, Writer};
use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddr};

/// The Max-Forwards of requests that start here (RFC 3261 8.1.1.6).
pub const MAX_FORWARDS: &str = "70";

impl<O: Copy + Debug> Transactions<O> {
    /// A client transaction, unless it has ended.
    pub fn client(&self, id: Id<ClientTx<O>>) -> Option<&ClientTx<O>> {
        self.clients.get(id)
    }

    /// Gives a client transaction another owner.
    pub fn set_client_owner(&mut self, id: Id<ClientTx<O>>, owner: O) {
        if let Some(tx) = self.clients.get_mut(id) {
            tx.owner = owner;
        }
    }

    /// Sends a request in a transaction of its own. The writer has the request line and Via; `fill` adds the rest and ends the
    /// message.
    ///
    /// A request that would go by UDP and is longer than `upgrade` allows goes by TCP to the same address, and by UDP all the
    /// same should there be no connection within [`UPGRADE_PATIENCE`] (RFC 3261 18.1.1). The error says why nothing was sent.
    #[expect(clippy::too_many_arguments, reason = "the request's parts, each of its own type")]
    pub fn request(
        &mut self,
        cx: &mut Cx<'_>,
        flow: Flow,
        method: &[u8],
        uri: &[u8],
        upgrade: impl Into<Upgrade>,
        owner: O,
        fill: impl FnOnce(Writer<'_>),
    ) -> Result<Id<ClientTx<O>>, Overload> {
        if self.clients.len() >= self.limits.client {
            return Err(Overload::Transactions);
        }
        let (mut flow, mut before_upgrade) = (flow, None);
        let branch = self.write_request(flow, method, uri, fill);
        let threshold = upgrade.into().threshold(self.tcp_threshold);
        let is_long = threshold.is_some_and(|octets| self.scratch.message.len() > octets);
        if is_long && flow.transport == Transport::Udp {
            before_upgrade = Some(flow);
            flow = Flow::tcp(flow.local, flow.remote, None);
            set_via_transport(&mut self.scratch.message, Transport::Tcp);
        }
        let message = Message::parse(&self.scratch.message, &mut self.scratch.index).map_err(too_large)?;
        let method = message.method();
        let entry = ClientTx {
            key: self.keys.client(&branch_of(&branch), message.method_token()),
            machine: ClientMachine::new(method),
            method,
            request: Stored::new(&message),
            ack: Vec::new(),
            flow,
            before_upgrade,
            owner,
            is_internal: false,
            is_repeated: false,
            cancel: Cancel::None,
            timers: RunningTimers::default(),
            trace_id: trace::trace_id_of(&message),
        };
        self.start_client(cx, entry)
    }

    /// Sends a request that has no transaction: the ACK of a 2xx. Its branch is new; nobody hears of a failure.
    pub fn send_stateless(
        &mut self,
        cx: &mut Cx<'_>,
        flow: Flow,
        method: &[u8],
        uri: &[u8],
        fill: impl FnOnce(Writer<'_>),
    ) {
        self.write_request(flow, method, uri, fill);
        let message = Message::parse(&self.scratch.message, &mut self.scratch.index);
        let id = message.map_or(0, |m| trace::trace_id_of(&m));
        trace::send(cx, flow, &self.scratch.message, 0, id);
    }

    /// Cancels an INVITE that has no final response (RFC 3261 9.1): at once if it has a provisional one, else when that comes.
    /// `reason` is the value of the CANCEL's Reason header. The final response still comes, mostly 487; or a timeout.
    pub fn cancel(&mut self, cx: &mut Cx<'_>, id: Id<ClientTx<O>>, reason: Option<&str>) {
        let Some(tx) = self.clients.get_mut(id).filter(|tx| tx.cancel == Cancel::None) else { return };
        match tx.machine {
            ClientMachine::Invite(client_invite::State::Calling) => {
                tx.cancel = Cancel::Waiting(reason.map(Into::into));
            }
            ClientMachine::Invite(client_invite::State::Proceeding) => self.send_cancel(cx, id, reason),
            _ => {}
        }
    }

    /// Ends the transaction of a request that is no INVITE: it is not sent again, and what still answers it is a stray. Nobody is
    /// told.
    pub fn abandon(&mut self, id: Id<ClientTx<O>>) {
        let is_invite = self.clients.get(id).is_some_and(|tx| tx.method == Method::Invite);
        debug_assert!(!is_invite, "an INVITE is cancelled, and its answer acknowledged");
        if !is_invite {
            self.remove_client(id);
        }
    }

    pub(super) fn send_cancel(&mut self, cx: &mut Cx<'_>, id: Id<ClientTx<O>>, reason: Option<&str>) {
        let Some(tx) = self.clients.get_mut(id) else { return };
        tx.cancel = Cancel::Sent;
        let wait = self.timers.first(Timer::Cancelled, false).unwrap_or_default();
        tx.timers.start(Timer::Cancelled, cx.now, wait);
        let invite = tx.request.message();
        let mut w = like_invite(&mut self.scratch.message, b"CANCEL", &invite, &self.custom);
        w.copy(&invite, HeaderId::To);
        if let Some(reason) = reason {
            w.header("Reason", reason);
        }
        w.finish();
        let message = Message::parse(&self.scratch.message, &mut self.scratch.index)
            .expect("a CANCEL has fewer headers than its INVITE");
        let branch = invite.via().and_then(|via| via.branch()).unwrap_or_default();
        let entry = ClientTx {
            key: self.keys.client(branch, b"CANCEL"),
            machine: ClientMachine::new(Method::Cancel),
            method: Method::Cancel,
            request: Stored::new(&message),
            ack: Vec::new(),
            flow: tx.flow,
            before_upgrade: None,
            owner: tx.owner,
            is_internal: true,
            is_repeated: false,
            cancel: Cancel::None,
            timers: RunningTimers::default(),
            trace_id: tx.trace_id,
        };
        // the INVITE's alarm follows its new timer
        let at = tx.timers.next_deadline();
        self.alarms.set(&mut tx.timers.alarm, super::layer::AlarmKey::Client(id), at);
        if self.start_client(cx, entry).is_err() {
            trace::warn(cx, 0, format_args!("no room for a CANCEL"));
        }
    }

    fn start_client(&mut self, cx: &mut Cx<'_>, entry: ClientTx<O>) -> Result<Id<ClientTx<O>>, Overload> {
        let key = entry.key;
        let id = self.clients.insert(entry).map_err(|_| Overload::Transactions)?;
        self.client_ids.insert(key, id);
        self.begin(cx, id);
        Ok(id)
    }

    /// Sends the request for the first time and starts its timers.
    pub(super) fn begin(&mut self, cx: &mut Cx<'_>, id: Id<ClientTx<O>>) {
        let Some(tx) = self.clients.get_mut(id) else { return };
        let (repeat, end) = match tx.machine {
            ClientMachine::Invite(_) => (Timer::A, Timer::B),
            ClientMachine::Other(_) => (Timer::E, Timer::F),
        };
        let reliable = tx.flow.transport.is_reliable();
        for timer in [repeat, end] {
            if let Some(interval) = self.timers.first(timer, reliable) {
                tx.timers.start(timer, cx.now, interval);
            }
        }
        if tx.before_upgrade.is_some() {
            tx.timers.start(repeat, cx.now, UPGRADE_PATIENCE);
        }
        let at = tx.timers.next_deadline();
        self.alarms.set(&mut tx.timers.alarm, super::layer::AlarmKey::Client(id), at);
        trace::send(cx, tx.flow, tx.request.message().octets(), id.to_bits(), tx.trace_id);
    }

    /// Writes a request into the scratch buffer; returns what is new in its branch.
    fn write_request(
        &mut self,
        flow: Flow,
        method: &[u8],
        uri: &[u8],
        fill: impl FnOnce(Writer<'_>),
    ) -> Token {
        let branch = self.keys.token();
        let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let sent_by = SentBy(self.local_addr(flow.local).unwrap_or(unknown));
        debug_assert!(sent_by.0 != unknown, "{flow:?} is on no socket of ours");
        let mut w = Writer::request(&mut self.scratch.message, method, uri);
        let token = flow.transport.via_token();
        w.header_fmt("Via", format_args!("SIP/2.0/{token} {sent_by};branch=z9hG4bK{branch};rport"));
        fill(w.with_custom(Custom::of_request(&self.custom, method)));
        branch
    }
}

/// Starts a request that goes the way of an INVITE: its Request-URI, topmost Via, Route, From, Call-ID and CSeq number (RFC 3261
/// 9.1, 17.1.1.3). To is missing.
pub(super) fn like_invite<'b>(
    out: &'b mut Vec<u8>,
    method: &[u8],
    invite: &Message<'_>,
    custom: &'b [CustomHeader],
) -> Writer<'b> {
    let custom = Custom::of_request(custom, method);
    let mut w = Writer::request(out, method, invite.request_uri()).with_custom(custom);
    w.header("Via", top_via_text(invite).unwrap_or_default());
    w.header("Max-Forwards", MAX_FORWARDS);
    w.copy(invite, HeaderId::Route);
    w.copy(invite, HeaderId::From);
    w.copy(invite, HeaderId::CallId);
    let number = invite.cseq().map_or(0, |c| c.number);
    w.header_fmt("CSeq", format_args!("{number} {}", String::from_utf8_lossy(method)));
    w
}

/// What was written cannot be sent: it is over the limits, or `fill` has left it without an end.
fn too_large(error: ParseError) -> Overload {
    debug_assert!(error != ParseError::NoEnd, "whoever fills a message ends it");
    Overload::Message
}

fn branch_of(token: &Token) -> [u8; BRANCH_COOKIE.len() + Token::LEN] {
    let mut branch = [0; BRANCH_COOKIE.len() + Token::LEN];
    branch[..BRANCH_COOKIE.len()].copy_from_slice(BRANCH_COOKIE);
    branch[BRANCH_COOKIE.len()..].copy_from_slice(token);
    branch
}

/// Rewrites the transport of the Via that [`Transactions::write_request`] wrote as the first header; both have the same length.
pub(super) fn set_via_transport(message: &mut [u8], transport: Transport) {
    const BEFORE: usize = "\nVia: SIP/2.0/".len();
    let Some(line_end) = memchr::memchr(b'\n', message) else { return };
    let at = line_end + BEFORE;
    message[at..at + 3].copy_from_slice(transport.via_token().as_bytes());
}
