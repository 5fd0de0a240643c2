//! The echo service: a callee of our own that answers and sends back what it hears (manual 5.2, `echo`).
//!
//! Life of a call: ports are asked for, then the answer goes: at once, after `answer_delay`, or, when the caller's resources have
//! to come up first (RFC 3312), in a reliable 183 (RFC 3262) that is followed by its UPDATE and our 200. Media runs in
//! `proto::media`; here is the signalling. Bodies of `code` answers come from the configuration.

use super::agent::{self, ALLOW, Agent, Allowed, Origin, Pending, Streams};
use super::answer;
use super::forward;
use super::media::description;
use super::preconditions;
use super::reinvite;
use super::release::{self, End};
use super::rules::Rules;
use super::session::{Call, Invite, Kind, ServerId};
use super::state::State;
use super::tag::Side;
use crate::base::time::{Duration, Instant};
use crate::config::model::{AnswerBody, Impu, Precondition};
use crate::ims::core::View;
use crate::ims::event::Event;
use crate::ims::identity;
use crate::proto::cx::Cx;
use crate::proto::flow::LocalId;
use crate::proto::sip::dialog::Dialog;
use crate::wire::sdp::edit::{Edit, MediaEdit, QosEdit};
use crate::wire::sdp::{Direction, Sdp};
use crate::wire::sip::{HeaderId, Message, Method, RAck, Writer};
use smallvec::SmallVec;

/// The echo service's side of a call.
#[derive(Debug)]
pub(super) struct Echo {
    /// Its number, in the configuration's order.
    number: usize,
    pub(super) agent: Agent,
    stage: Stage,
    /// The answer to the INVITE has gone in a reliable provisional response.
    has_answered_early: bool,
    reliable: Option<Reliable>,
    next_rseq: u32,
}

/// What an echo call waits for before its 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The ports.
    Ports,
    /// The caller's PRACK, and its resources.
    Resources {
        /// They are there.
        ready: bool,
    },
    /// The moment to answer.
    Delay(Instant),
    /// The operator's word.
    Operator,
    /// Nothing: it never answers.
    RingOnly,
    /// Nothing: the 200 has gone.
    Answered,
}

/// A reliable provisional response that waits for its PRACK.
#[derive(Clone, Copy, Debug)]
struct Reliable {
    rseq: u32,
    next_at: Instant,
    interval: Duration,
    give_up_at: Instant,
}

impl Echo {
    /// A call to the echo number at this place of the configuration.
    pub(super) fn new(number: usize, impu: &Impu, local: LocalId, origin: Origin) -> Self {
        let allowed = Allowed { audio: impu.audio, video: impu.video, text: impu.text };
        Echo {
            number,
            agent: Agent::new((0, Side::Caller), Streams::new(local, origin, allowed, impu.sdp.clone())),
            stage: Stage::Ports,
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
        [delay, reliable, self.agent.next_deadline()].into_iter().flatten().min()
    }

    /// Nothing more is answered: the call has ended.
    pub(super) fn stop(&mut self) {
        self.reliable = None;
        self.stage = Stage::Answered;
    }
}

/// The configuration of the echo number of a call.
fn impu<'c>(view: &View<'c>, echo: &Echo) -> &'c Impu {
    &view.config.echo[echo.number]
}

/// Starts an echo call: answers it, refuses it, lets it ring for ever, or asks for its ports.
pub(super) fn start(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, msg: &Message<'_>) {
    call.idle_deadline = Some(cx.now + view.config.call.dialog_timeout);
    let (Kind::Echo(echo), Some(invite)) = (&mut call.kind, &call.invite) else { return };
    let (tx, impu) = (invite.tx, impu(view, echo));
    echo.agent.streams.treat(call.history.index, impu.packets);
    if let Some(code) = impu.code.filter(|c| *c >= 300) {
        let body = impu.content.as_ref();
        return refuse(call, view, cx, code, "the configuration says so", None, body);
    }
    // a provisional code is all that the caller hears
    let code = impu.code.filter(|c| (101..200).contains(c)).or(impu.ring_only.then_some(180));
    if let Some(code) = code {
        echo.stage = Stage::RingOnly;
        return ring(call, view, cx, code);
    }
    let cseq = msg.cseq().map_or(0, |c| c.number);
    let offer = description(msg).map(|d| opening_offer(&call.rules, d));
    let at = echo.agent.at;
    echo.agent.pending = Some(Pending { tx, method: Method::Invite, cseq, offer, at });
    agent::prepare(call, view, cx);
}

/// The offer that begins a call, as the echo takes it.
fn opening_offer(rules: &Rules, offer: &[u8]) -> Vec<u8> {
    let Ok(sdp) = Sdp::parse(offer) else { return offer.to_vec() };
    let takes_qos = rules.precondition(Side::Caller) == Precondition::On;
    let unholds = rules.unholds(&sdp).then_some(Direction::SendRecv);
    // RFC 3264 6.1: a stream that waits is answered as one that waits; its phone lets it run by another offer (TS 24.229 6.1.2)
    let qos = if takes_qos { QosEdit::Keep } else { QosEdit::Drop };
    let medias = sdp.medias().map(|_| MediaEdit { qos, direction: unholds, ..MediaEdit::default() });
    Edit { medias: medias.collect(), ..Edit::default() }.apply(&sdp)
}

/// Answers the INVITE with a failure and ends the call.
pub(super) fn refuse(
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

/// The call's INVITE can be answered, unless the caller's resources have to come up first.
pub(super) fn begin_answering(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, waits: bool) {
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
    let (delay, is_remote) = (impu(view, echo).answer_delay, impu(view, echo).remote_control);
    if is_remote {
        return ask_operator(call, view, cx);
    }
    if delay.is_zero() {
        return accept(call, view, cx);
    }
    echo.stage = Stage::Delay(cx.now + delay);
    // ringing for long is not doing nothing
    call.idle_deadline = Some(cx.now + delay + view.config.call.dialog_timeout);
    if call.state == State::Init {
        ring(call, view, cx, 180);
    }
}

/// Rings until the operator says how the call is answered, for `dialog_timeout` at most (`remote_control`).
fn ask_operator(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Some(echo) = call.echo_mut() else { return };
    echo.stage = Stage::Operator;
    call.idle_deadline = Some(cx.now + view.config.call.dialog_timeout);
    if call.state == State::Init {
        ring(call, view, cx, 180);
    }
    call.news.push(Event::Invite {
        session_id: call.history.session_id(),
        from: call.caller.uri.clone(),
        to: call.callee.uri.clone(),
    });
}

/// The operator's answer to a call that waits for it, with a status: 180 to 699, but not 3xx without a Contact. The error says in
/// words why it cannot be given.
pub(super) fn on_operator(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    code: u16,
) -> Result<(), String> {
    let Kind::Echo(echo) = &call.kind else {
        return Err("only a call to an echo number is answered here".to_owned());
    };
    if echo.stage != Stage::Operator {
        let waits =
            if impu(view, echo).remote_control { "not waiting for it" } else { "without remote_control" };
        return Err(format!("the call cannot be answered: it is in state {} and {waits}", call.state.name()));
    }
    match code {
        200 => accept(call, view, cx),
        180 | 183 => respond_provisional(call, view, cx, code, None),
        300..=699 => refuse(call, view, cx, code, "the operator says so", None, None),
        _ => return Err(format!("code {code} is no answer: 180, 183, 200, or 300 to 699")),
    }
    Ok(())
}

/// Sends 180, or another such answer; not to a caller that takes reliable answers only, as this one is none (RFC 3262 3).
fn ring(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, status: u16) {
    let requires = |i: &Invite| i.request.message().lists(HeaderId::Require, "100rel");
    if !call.invite.as_ref().is_some_and(requires) {
        respond_provisional(call, view, cx, status, None);
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
    let (transport, body) = (invite.flow.transport, echo.agent.streams.description());
    let identities = identities(call, view);
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
    let cseq = invite.request.message().cseq().map_or(0, |c| c.number);
    if let Some(dialog) = &mut call.legs[0].up {
        dialog.confirm();
    }
    agent::respond_success(call, view, cx, (invite.tx, (0, Side::Caller)), Method::Invite, with_body);
    answer::await_ack(call, view, cx, invite.tx, (0, Side::Caller), (cseq, 0));
    call.idle_deadline = Some(cx.now + view.config.call.dialog_timeout);
    call.become_state(cx.now, State::Start);
    super::trace(cx, call, format_args!("{} answered: echo runs", call.callee.uri));
    agent::settle(call, cx);
}

/// Values of P-Asserted-Identity of the echo number; none in a call of another kind.
pub(super) fn identities(call: &Call, view: &View<'_>) -> SmallVec<[String; 2]> {
    match &call.kind {
        Kind::Echo(echo) => {
            identity::of_echo(impu(view, echo), view.config.domain.as_deref()).into_iter().collect()
        }
        Kind::Bridge(_) | Kind::Mt(_) => SmallVec::new(),
    }
}

pub(super) fn write_identities(w: &mut Writer<'_>, identities: &[String]) {
    for identity in identities {
        w.header("P-Asserted-Identity", identity);
    }
}

/// The PRACK of our reliable answer, perhaps with another offer.
pub(super) fn on_prack(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    msg: &Message<'_>,
) {
    let invite = call.invite.as_ref().and_then(|i| i.request.message().cseq()).map(|c| c.number);
    let rack = msg.header(HeaderId::RAck).and_then(RAck::parse).filter(|r| r.method == Method::Invite);
    let fits = |echo: &&mut Echo| {
        rack.is_some_and(|r| echo.reliable.is_some_and(|e| e.rseq == r.rseq) && invite == Some(r.cseq))
    };
    let Some(echo) = call.echo_mut().filter(fits) else { return reinvite::refuse(view, cx, tx, 481) };
    echo.reliable = None;
    let at = echo.agent.at;
    match description(msg) {
        Some(offer) if echo.agent.pending.is_none() => {
            let cseq = msg.cseq().map_or(0, |c| c.number);
            let offer = Some(offer.to_vec());
            echo.agent.pending = Some(Pending { tx, method: Method::Prack, cseq, offer, at });
            agent::prepare(call, view, cx);
        }
        _ => {
            agent::respond_success(call, view, cx, (tx, at), Method::Prack, false);
            alert_if_ready(call, view, cx);
        }
    }
}

/// A new offer has been answered, in which the caller's resources are there, or are waited for.
pub(super) fn on_reoffered(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, waits: bool) {
    let Some(echo) = call.echo_mut() else { return };
    if let Stage::Resources { ready } = &mut echo.stage {
        *ready |= !waits;
    }
    alert_if_ready(call, view, cx);
}

/// RFC 3262 3, RFC 3312 5: no 2xx before the reliable answer is acknowledged, no alerting before the resources are there.
fn alert_if_ready(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Some(echo) = call.echo_mut() else { return };
    if echo.stage == (Stage::Resources { ready: true }) && echo.reliable.is_none() {
        ring(call, view, cx, 180);
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

/// `dialog_timeout` has passed before the answer: that ends the call.
pub(super) fn on_silence(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let Kind::Echo(echo) = &call.kind else { return };
    let (status, text) = match echo.stage {
        Stage::Resources { .. } => (580, preconditions::NO_BEARER),
        Stage::RingOnly => (480, "it only rings"),
        Stage::Operator => (480, "the operator has not answered"),
        _ => (408, "nothing happened for too long"),
    };
    refuse(call, view, cx, status, text, None, None);
}
