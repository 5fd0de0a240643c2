//! The echo service: a callee of our own that answers and sends back what it hears (manual 5.2, `echo`).
//!
//! Life of a call: ports are asked for, then the answer goes: at once, after `answer_delay`, or, when the caller's resources have
//! to come up first (RFC 3312), in a reliable 183 (RFC 3262) that is followed by its UPDATE and our 200. Media runs in
//! `proto::media`; here is the signalling. Bodies of `code` answers come from the configuration.

use super::answer;
use super::echo_inside;
use super::echo_media::{Prepared, Streams};
use super::echo_sdp::{self, Allowed, Origin};
use super::forward;
use super::media::description;
use super::preconditions;
use super::refresh;
use super::release::{self, End};
use super::rules::Rules;
use super::session::{Call, Invite, Kind, ServerId};
use super::state::State;
use super::tag::Side;
use crate::base::time::{Duration, Instant};
use crate::config::model::{AnswerBody, Impu, Precondition};
use crate::ims::core::View;
use crate::ims::identity;
use crate::proto::cx::Cx;
use crate::proto::flow::LocalId;
use crate::proto::sip::dialog::Dialog;
use crate::wire::sdp::edit::{Edit, MediaEdit};
use crate::wire::sdp::{Direction, Sdp};
use crate::wire::sip::{HeaderId, Message, Method, Writer};

/// The methods that an echo call takes.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, MESSAGE, OPTIONS";

/// The echo service's side of a call.
#[derive(Debug)]
pub(super) struct Echo {
    /// Its number, in the configuration's order.
    number: usize,
    pub(super) streams: Streams,
    pub(super) stage: Stage,
    /// The request whose answer waits for ports.
    pub(super) pending: Option<Pending>,
    /// Our offer is out and its answer comes in the ACK.
    pub(super) has_offered: bool,
    /// The answer to the INVITE has gone in a reliable provisional response.
    has_answered_early: bool,
    pub(super) reliable: Option<Reliable>,
    next_rseq: u32,
}

/// What an echo call waits for before its 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The ports.
    Ports,
    /// The caller's PRACK, and its resources.
    Resources {
        /// They are there.
        ready: bool,
    },
    /// The moment to answer.
    Delay(Instant),
    /// Nothing: it never answers.
    RingOnly,
    /// Nothing: the 200 has gone.
    Answered,
}

/// A request that waits for ports: the INVITE, a re-INVITE or an UPDATE.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) tx: ServerId,
    pub(super) method: Method,
    /// CSeq number.
    pub(super) cseq: u32,
    /// The offer; `None` asks for ours.
    pub(super) offer: Option<Vec<u8>>,
}

/// A reliable provisional response that waits for its PRACK.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reliable {
    pub(super) rseq: u32,
    next_at: Instant,
    interval: Duration,
    give_up_at: Instant,
}

impl Echo {
    /// A call to the echo number at this place of the configuration.
    pub(super) fn new(number: usize, local: LocalId, origin: Origin) -> Self {
        Echo {
            number,
            streams: Streams::new(local, origin),
            stage: Stage::Ports,
            pending: None,
            has_offered: false,
            has_answered_early: false,
            reliable: None,
            next_rseq: 1,
        }
    }

    /// The earliest moment at which it has something to do by itself.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let delay = match self.stage {
            Stage::Delay(at) => Some(at),
            _ => None,
        };
        let reliable = self.reliable.map(|r| r.next_at.min(r.give_up_at));
        delay.into_iter().chain(reliable).min()
    }

    /// Frees the ports.
    pub(super) fn close_media(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>) {
        self.streams.close_all(view.media, cx.out);
        self.reliable = None;
        self.stage = Stage::Answered;
    }

    /// Takes the request whose answer waits for ports, unless it has been answered with the call's end.
    pub(super) fn take_unanswered(&mut self, view: &View<'_>) -> Option<Pending> {
        self.pending.take().filter(|p| view.txs.server(p.tx).is_some_and(|tx| !tx.has_final()))
    }
}

/// The configuration of the echo number of a call.
pub(super) fn impu<'c>(view: &View<'c>, echo: &Echo) -> &'c Impu {
    &view.config.echo[echo.number]
}

pub(super) fn allowed(impu: &Impu) -> Allowed {
    Allowed { audio: impu.audio, video: impu.video, text: impu.text }
}

/// Starts an echo call: answers it, refuses it, lets it ring for ever, or asks for its ports.
pub(super) fn start(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, msg: &Message<'_>) {
    call.idle_deadline = Some(cx.now + view.config.call.dialog_timeout);
    let (Kind::Echo(echo), Some(invite)) = (&mut call.kind, &call.invite) else { return };
    let (tx, impu) = (invite.tx, impu(view, echo));
    echo.streams.treat(call.history.index, impu.packets);
    if let Some(code) = impu.code.filter(|c| !(200..300).contains(c)) {
        let body = impu.content.as_ref();
        return refuse(call, view, cx, code, "the configuration says so", None, body);
    }
    if impu.ring_only {
        echo.stage = Stage::RingOnly;
        return ring(call, view, cx);
    }
    let cseq = msg.cseq().map_or(0, |c| c.number);
    let offer = description(msg).map(|d| opening_offer(&call.rules, d));
    echo.pending = Some(Pending { tx, method: Method::Invite, cseq, offer });
    prepare(call, view, cx);
}

/// The offer that begins a call, as the echo takes it.
fn opening_offer(rules: &Rules, offer: &[u8]) -> Vec<u8> {
    let Ok(sdp) = Sdp::parse(offer) else { return offer.to_vec() };
    let takes_qos = rules.precondition(Side::Caller) == Precondition::On;
    let unholds = rules.unholds(&sdp).then_some(Direction::SendRecv);
    let medias = sdp.medias().map(|media| {
        let edit = if takes_qos { MediaEdit::default() } else { preconditions::take_out(&media, None) };
        MediaEdit { direction: edit.direction.or(unholds), ..edit }
    });
    Edit { medias: medias.collect(), ..Edit::default() }.apply(&sdp)
}

/// Asks for the ports that the pending request needs, and goes on at once when none is missing.
pub(super) fn prepare(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Kind::Echo(echo) = &mut call.kind else { return };
    let Some(pending) = &echo.pending else { return };
    let allowed = allowed(impu(view, echo));
    let offer = match pending.offer.as_deref().map(Sdp::parse) {
        Some(Err(error)) => return decline(call, view, cx, 488, 399, &error.to_string()),
        Some(Ok(offer)) => Some(offer),
        None => None,
    };
    match echo.streams.prepare(cx.now, view.media, cx.out, offer.as_ref(), allowed) {
        Prepared::Ready => proceed(call, view, cx),
        Prepared::Waits => {}
        Prepared::NothingFits => decline(call, view, cx, 488, 304, "no media of the offer can be echoed"),
        Prepared::NoRoom => decline(call, view, cx, 503, 399, "no media port is left"),
    }
}

/// The ports of a session are open, or could not be opened.
pub(super) fn on_media_opened(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, session: u64, ok: bool) {
    let Kind::Echo(echo) = &mut call.kind else { return };
    match echo.streams.on_opened(cx.now, view.media, cx.out, session, ok) {
        Some(true) => proceed(call, view, cx),
        Some(false) => decline(call, view, cx, 503, 399, "media ports cannot be opened"),
        None => {}
    }
}

/// Refuses the pending request: the call's INVITE ends the call, another leaves it as it was (RFC 3261 14.2).
fn decline(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, status: u16, code: u16, text: &str) {
    let Kind::Echo(echo) = &mut call.kind else { return };
    let Some(pending) = echo.pending.take() else { return };
    // RFC 3261 20.43: warn-code, who warns, text
    let agent = echo.streams.address();
    let warning = format!("{code} {agent} \"{}\"", text.replace(['"', '\\'], "'"));
    if call.invite.is_some() && pending.method == Method::Invite {
        return refuse(call, view, cx, status, text, Some(("Warning", warning)), None);
    }
    let settings = &view.config.protocol;
    view.txs.respond(cx, pending.tx, status, None, &[], |mut w| {
        w.header("Warning", &warning);
        forward::end_own_response(w, settings);
    });
    super::trace(cx, call, format_args!("{} refused: {text}", pending.method.name()));
}

/// Answers the INVITE with a failure and ends the call.
fn refuse(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    status: u16,
    text: &str,
    header: Option<(&str, String)>,
    body: Option<&AnswerBody>,
) {
    let Some(invite) = call.invite.take() else { return };
    let settings = &view.config.protocol;
    let tag = call.legs[0].tag(Side::Caller);
    view.txs.respond(cx, invite.tx, status, None, tag, |mut w| {
        if let Some((name, value)) = &header {
            w.header(name, value);
        }
        if status == 503 {
            w.header_fmt("Retry-After", format_args!("{}", super::limits::RETRY_AFTER_SECS));
        }
        forward::own_response(&mut w, settings);
        match body {
            Some(body) => w.body(body.content_type.as_bytes(), &body.octets),
            None => w.finish(),
        }
    });
    release::end(call, view, cx, &End::new(&format!("refused with {status}: {text}"), status));
}

/// The ports of the pending request are there.
fn proceed(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Kind::Echo(echo) = &mut call.kind else { return };
    let Some(pending) = echo.pending.take() else { return };
    let impu = impu(view, echo);
    let mut waits = false;
    match pending.offer.as_deref().map(Sdp::parse) {
        Some(Ok(offer)) => {
            let qos = call.rules.precondition(Side::Caller) == Precondition::On;
            echo.streams.answer(view.media, cx.out, &offer, allowed(impu), qos);
            call.legs[0].passage.note(Side::Caller, offer.octets(), echo.streams.description());
            waits = qos && echo_sdp::waits_for_resources(&offer, allowed(impu));
        }
        _ => {
            echo.streams.offer();
            echo.has_offered = true;
        }
    }
    if call.invite.is_some() && pending.method == Method::Invite {
        begin_answering(call, view, cx, waits);
    } else {
        echo_inside::finish_reoffer(call, view, cx, &pending, waits);
    }
}

/// The call's INVITE can be answered, unless the caller's resources have to come up first.
fn begin_answering(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, waits: bool) {
    let (Kind::Echo(echo), Some(invite)) = (&mut call.kind, &call.invite) else { return };
    let msg = invite.request.message();
    let lists = |tag| msg.lists(HeaderId::Supported, tag) || msg.lists(HeaderId::Require, tag);
    let reliable = lists("100rel") && call.rules.reliable(Side::Caller) && call.rules.use183;
    if call.legs[0].up.is_none() {
        let tag = call.legs[0].tag(Side::Caller);
        call.legs[0].up = Some(Dialog::uas(&msg, tag, invite.flow));
    }
    if waits && reliable {
        echo.stage = Stage::Resources { ready: false };
        echo.has_answered_early = true;
        let t1 = view.config.protocol.timer_t1;
        // RFC 3262 3: from T1 on, doubling, for 64*T1
        echo.reliable = Some(Reliable {
            rseq: echo.next_rseq,
            next_at: cx.now + t1,
            interval: t1,
            give_up_at: cx.now + t1 * 64,
        });
        echo.next_rseq += 1;
        return send_reliable(call, view, cx);
    }
    // a caller that cannot do 100rel cannot be told of our resources early: it is answered as if its own were there
    alert(call, view, cx);
}

/// Rings for as long as the configuration says, then answers.
fn alert(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Kind::Echo(echo) = &mut call.kind else { return };
    let delay = impu(view, echo).answer_delay;
    if delay.is_zero() {
        return accept(call, view, cx);
    }
    echo.stage = Stage::Delay(cx.now + delay);
    // ringing for long is not doing nothing
    call.idle_deadline = Some(cx.now + delay + view.config.call.dialog_timeout);
    if call.state == State::Init {
        ring(call, view, cx);
    }
}

/// Sends 180; not to a caller that takes reliable answers only, as this one is none (RFC 3262 3).
fn ring(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let requires = |i: &Invite| i.request.message().lists(HeaderId::Require, "100rel");
    if !call.invite.as_ref().is_some_and(requires) {
        respond_provisional(call, view, cx, 180, None);
    }
    call.become_state(cx.now, State::Ringing);
    super::trace(cx, call, format_args!("{} rings", call.callee.uri));
}

/// Sends the 183 with our answer, again if need be.
fn send_reliable(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Some(rseq) = call.echo_mut().and_then(|e| e.reliable).map(|r| r.rseq) else { return };
    respond_provisional(call, view, cx, 183, Some(rseq));
}

fn respond_provisional(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    status: u16,
    rseq: Option<u32>,
) {
    let (Kind::Echo(echo), Some(invite)) = (&call.kind, &call.invite) else { return };
    let local = view.txs.local_addr(invite.flow.local).expect("a flow is of one of our sockets");
    let settings = &view.config.protocol;
    let (transport, body) = (invite.flow.transport, echo.streams.description());
    let identities = identity::of_echo(impu(view, echo), view.config.domain.as_deref());
    view.txs.respond(cx, invite.tx, status, None, call.legs[0].tag(Side::Caller), |mut w| {
        forward::contact(&mut w, local, transport, None);
        write_identities(&mut w, &identities);
        w.header("Allow", ALLOW);
        let Some(rseq) = rseq else { return forward::end_own_response(w, settings) };
        w.header("Require", "100rel, precondition");
        w.header_fmt("RSeq", format_args!("{rseq}"));
        forward::own_response(&mut w, settings);
        w.body(b"application/sdp", body);
    });
}

/// Sends the 200 to the call's INVITE.
fn accept(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Some(invite) = call.invite.take() else { return };
    let Kind::Echo(echo) = &mut call.kind else { return };
    echo.stage = Stage::Answered;
    // RFC 6337 2.2: an answer that has gone reliably is not said again
    let with_body = !echo.has_answered_early;
    let held = super::media::is_held(&echo.streams.medias());
    let cseq = invite.request.message().cseq().map_or(0, |c| c.number);
    if let Some(dialog) = &mut call.legs[0].up {
        dialog.confirm();
    }
    respond_success(call, view, cx, invite.tx, Method::Invite, with_body);
    answer::await_ack(call, view, cx, invite.tx, (0, Side::Caller), (cseq, 0));
    call.idle_deadline = Some(cx.now + view.config.call.dialog_timeout);
    call.become_state(cx.now, State::Start);
    super::trace(cx, call, format_args!("{} answered: echo runs", call.callee.uri));
    super::media::set_held(call, cx, held);
}

fn write_identities(w: &mut Writer<'_>, identities: &[String]) {
    for identity in identities {
        w.header("P-Asserted-Identity", identity);
    }
}

pub(super) fn respond_success(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    method: Method,
    with_body: bool,
) {
    let terms = refresh::accept(call, view, cx.now, tx, ((0, Side::Caller), 200));
    let Kind::Echo(echo) = &call.kind else { return };
    let Some(flow) = view.txs.server(tx).map(|s| s.flow()) else { return };
    let local = view.txs.local_addr(flow.local).expect("a flow is of one of our sockets");
    let settings = &view.config.protocol;
    let identities = identity::of_echo(impu(view, echo), view.config.domain.as_deref());
    view.txs.respond(cx, tx, 200, None, call.legs[0].tag(Side::Caller), |mut w| {
        if method == Method::Invite {
            write_identities(&mut w, &identities);
        }
        if matches!(method, Method::Invite | Method::Update) {
            forward::contact(&mut w, local, flow.transport, None);
            w.header("Supported", "100rel, precondition, timer");
            terms.write_grant(&mut w);
        }
        w.header("Allow", ALLOW);
        forward::own_response(&mut w, settings);
        match echo.streams.description() {
            [] => w.finish(),
            _ if !with_body => w.finish(),
            body => w.body(b"application/sdp", body),
        }
    });
}

/// RFC 3262 3, RFC 3312 5: no 2xx before the reliable answer is acknowledged, no alerting before the resources are there.
pub(super) fn alert_if_ready(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Some(echo) = call.echo_mut() else { return };
    if echo.stage == (Stage::Resources { ready: true }) && echo.reliable.is_none() {
        ring(call, view, cx);
        alert(call, view, cx);
    }
}

/// Does what is due by time.
pub(super) fn on_tick(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Some(echo) = call.echo_mut() else { return };
    if let Stage::Delay(at) = echo.stage
        && at <= cx.now
    {
        return accept(call, view, cx);
    }
    let Some(reliable) = &mut echo.reliable else { return };
    if reliable.give_up_at <= cx.now {
        echo.reliable = None;
        // RFC 3262 3: rejected with a 5xx
        refuse(call, view, cx, 504, "no PRACK for the reliable answer", None, None);
    } else if reliable.next_at <= cx.now {
        reliable.interval *= 2;
        reliable.next_at = cx.now + reliable.interval;
        send_reliable(call, view, cx);
    }
}

/// `dialog_timeout` has passed: before the answer it ends the call; after it, only if nothing was heard for as long.
pub(super) fn on_idle(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Kind::Echo(echo) = &mut call.kind else { return };
    let timeout = view.config.call.dialog_timeout;
    if !call.state.is_answered() {
        let (status, text) = match echo.stage {
            Stage::Resources { .. } => (580, "the caller's resources did not come up"),
            Stage::RingOnly => (480, "it only rings"),
            _ => (408, "nothing happened for too long"),
        };
        return refuse(call, view, cx, status, text, None, None);
    }
    match echo.streams.last_heard(view.media) {
        // on hold nothing is expected: the session timer ends the call of a phone that has vanished
        None => call.idle_deadline = Some(cx.now + timeout),
        Some(heard) if heard + timeout > cx.now => call.idle_deadline = Some(heard + timeout),
        Some(_) => {
            let text = format!("no media from {} for {} s", call.caller.uri, timeout.as_secs());
            release::end(call, view, cx, &End::new(&text, 408));
        }
    }
}
