//! What comes from the wire, handed to the part of the service that it is for, in the order of checks of RFC 3261 8.2:
//! defects, method, Request-URI, Require, content; then who sent it (TS 24.229 5.2.6.3), then the method's own handler.
//!
//! A Route that names us is taken as read, and one that is missing or stale is not missed: every request that comes here is
//! for us, because this is the only server there is (TS 24.229 5.2.6.3.2 would refuse it with 400).

use crate::base::arena::Id;
use crate::base::trace::{Dir, Layer, Level, Subject};
use crate::config::model::AuthentType;
use crate::ims::acknowledgement::Owed;
use crate::ims::auth::card::Claim;
use crate::ims::auth::{Challenged, Family, Outcome};
use crate::ims::call::forward;
use crate::ims::core::Service;
use crate::ims::emergency;
use crate::ims::gate;
use crate::ims::limits::RETRY_AFTER_SECS;
use crate::ims::owner::Owner;
use crate::ims::reg_event;
use crate::ims::reg_event::reginfo::MEDIA_TYPE;
use crate::ims::registrar::{Binding, claimed_user};
use crate::ims::registration;
use crate::ims::sms::{SHORT_MESSAGE, interwork};
use crate::ims::subscriber::{Target, UserId};
use crate::ims::trunk::Trunk;
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::proto::sip::transaction::{Answer, ServerTx, Verdict, trace_id};
use crate::wire::sip::text::{lossy, trim};
use crate::wire::sip::{Defect, HeaderId, Message, Method, Scheme, Uri, Writer};
use std::fmt;

/// The methods that are served, for Allow.
pub const ALLOW: &str =
    "INVITE, ACK, BYE, CANCEL, REGISTER, SUBSCRIBE, OPTIONS, PRACK, UPDATE, INFO, MESSAGE";

/// The extensions that are served, for Supported.
pub const SUPPORTED: &str = "100rel, timer, precondition, path";

/// Option tags that a request may require. Beyond those that are served, the ones that phones require as a habit and whose
/// absence does them no harm here: `sec-agree` without IPsec is registered plainly, as phones without it are.
const TAKEN: [&str; 9] =
    ["100rel", "timer", "precondition", "path", "sec-agree", "gruu", "outbound", "norefersub", "histinfo"];

/// A server transaction of the service's.
pub(super) type ServerId = Id<ServerTx<Owner>>;

/// Who sent a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The user; nobody for an anonymous call where that is allowed.
    pub user: Option<UserId>,
    /// The contact that it comes from, when that is registered.
    pub binding: Option<Id<Binding>>,
    /// Whether it is the SIP trunk, for somebody behind it.
    pub is_trunk: bool,
}

/// Takes a request that parses.
pub(super) fn on_request(service: &mut Service, cx: &mut Cx<'_>, flow: Flow, msg: &Message<'_>) {
    if let Err(defect) = msg.check() {
        return on_defect(service, cx, flow, msg, defect);
    }
    if !gate::lets_in(service, cx, flow, msg) {
        return;
    }
    if msg.method() == Method::Invite && turned_away(service, cx, flow, msg) {
        return;
    }
    service.calls.on_received(cx.now, msg);
    let arrival = service.security.arrival(flow);
    match service.txs.on_request(cx, arrival, msg) {
        Verdict::New(id) => on_new(service, cx, id, flow, msg),
        Verdict::Ack => {
            let (calls, mut view) = service.calls();
            calls.on_ack(&mut view, cx, msg, flow);
        }
        Verdict::Cancel { invite } => {
            let (calls, mut view) = service.calls();
            calls.on_cancel(&mut view, cx, invite, msg);
        }
        Verdict::Absorbed | Verdict::Rejected(_) => {}
    }
}

/// An INVITE of a stranger gets no transaction, which would stay until an ACK comes or has been waited for: strangers could take
/// all room. Whether it was one, and has its answer.
fn turned_away(service: &mut Service, cx: &mut Cx<'_>, flow: Flow, msg: &Message<'_>) -> bool {
    let in_dialog = msg.to().is_some_and(|to| to.tag().is_some());
    if in_dialog
        || service.txs.knows(service.security.arrival(flow), msg)
        || identify(service, flow, msg).is_some()
    {
        return false;
    }
    let refusal = admissible(msg).err().unwrap_or_else(|| stranger(service, cx, flow, msg));
    reply_stateless(service, cx, flow, msg, refusal.status, refusal.reason.as_deref(), |w| refusal.write(w));
    true
}

/// Refuses a request of somebody who may not send it, without keeping anything of it.
pub(super) fn turn_away(service: &mut Service, cx: &mut Cx<'_>, flow: Flow, msg: &Message<'_>, why: &str) {
    let refusal = admissible(msg).err().unwrap_or_else(|| unregistered(service, cx, flow, msg, why));
    reply_stateless(service, cx, flow, msg, refusal.status, refusal.reason.as_deref(), |w| refusal.write(w));
}

/// The refusal of a request whose sender is not known.
fn stranger(service: &mut Service, cx: &mut Cx<'_>, flow: Flow, msg: &Message<'_>) -> Refusal {
    if let Some(why) = emergency::why_refused(&service.subscribers, &service.config, msg) {
        return unregistered(service, cx, flow, msg, &why);
    }
    let why = match service.security.protects(flow) {
        true => "has registered through IPsec, and this came in clear",
        false => "has no registration; REGISTER comes first",
    };
    unregistered(service, cx, flow, msg, why)
}

fn unregistered(service: &mut Service, cx: &mut Cx<'_>, flow: Flow, msg: &Message<'_>, why: &str) -> Refusal {
    let words = format!("{} {why}", flow.remote);
    service.troubles.tell(cx, None, || format!("{} refused: {words}", msg.method().name()));
    Refusal { reason: Some("Not registered".to_owned()), ..Refusal::new(403, &words) }
}

/// Takes a response that parses.
pub(super) fn on_response(service: &mut Service, cx: &mut Cx<'_>, flow: Flow, msg: &Message<'_>) {
    if let Err(defect) = msg.check() {
        // RFC 3261 8.1.3, 18.1.2: a response that cannot be used is dropped
        trace_odd(cx, flow, msg, format_args!("response dropped: {defect}"));
        return;
    }
    if !gate::lets_response_in(service, flow, msg) {
        trace_odd(cx, flow, msg, format_args!("response dropped: it came without the IPsec of its request"));
        return;
    }
    service.calls.on_received(cx.now, msg);
    let answer = service.txs.on_response(cx, flow, msg);
    let owner = match answer {
        Answer::Provisional { owner, .. } | Answer::Final { owner, .. } | Answer::Repeat2xx { owner, .. } => {
            owner
        }
        Answer::Absorbed | Answer::Stray => return,
    };
    match owner {
        Owner::Call(part) => {
            let (calls, mut view) = service.calls();
            calls.on_answer(&mut view, cx, part, answer, msg);
        }
        Owner::Message(part) => {
            let (messages, mut view) = service.messages();
            messages.on_answer(&mut view, cx, part, answer, msg);
        }
        Owner::Sms(part) => {
            let (sms, mut view) = service.sms();
            sms.on_answer(&mut view, cx, part, answer, msg);
        }
        Owner::Subscription(part) => {
            let (events, view) = service.reg_events();
            events.on_answer(&view, cx, part, answer, msg);
        }
        Owner::None => {}
    }
}

/// RFC 3261 8.2.7, 21.4.1: answered without state, with what is wrong as reason.
fn on_defect(service: &mut Service, cx: &mut Cx<'_>, flow: Flow, msg: &Message<'_>, defect: Defect) {
    trace_odd(cx, flow, msg, format_args!("request with a defect: {defect}"));
    let reason = (defect.status() == 400).then(|| defect.to_string());
    let words = defect.to_string();
    reply_stateless(service, cx, flow, msg, defect.status(), reason.as_deref(), |w| warning(w, &words));
}

fn on_new(service: &mut Service, cx: &mut Cx<'_>, id: ServerId, flow: Flow, msg: &Message<'_>) {
    if let Err(refusal) = admissible(msg) {
        return refuse(service, cx, id, &refusal);
    }
    let in_dialog = msg.to().is_some_and(|to| to.tag().is_some());
    match msg.method() {
        Method::Register | Method::Invite | Method::Subscribe | Method::Message
            if service.is_stopping && !in_dialog =>
        {
            let refusal = Refusal::new(503, "shutting down");
            refuse(service, cx, id, &refusal);
        }
        Method::Register => registration::on_register(service, cx, id, flow, msg),
        Method::Options if !in_dialog => reply(service, cx, id, 200, None, |w| {
            w.header("Allow", ALLOW).header("Accept", "application/sdp").header("Supported", SUPPORTED);
            w.header("Allow-Events", "reg");
        }),
        Method::Subscribe if service.reg_events.find(msg).is_some() => {
            reg_event::on_refresh(service, cx, id, flow, msg);
        }
        _ if in_dialog => {
            let (calls, mut view) = service.calls();
            calls.on_in_dialog(&mut view, cx, id, msg, flow);
        }
        Method::Invite => on_invite(service, cx, id, flow, msg),
        Method::Subscribe => reg_event::on_subscribe(service, cx, id, flow, msg),
        Method::Message => on_message(service, cx, id, flow, msg),
        Method::Publish | Method::Refer => {
            let words = format_args!("{} from {}: not served", msg.method().name(), flow.remote);
            service.troubles.mention(cx, Level::Warn, words);
            refuse(service, cx, id, &Refusal::new(405, "method not served").with(Extra::Allow));
        }
        // BYE, PRACK, UPDATE, INFO, NOTIFY belong to a dialog (RFC 3261 12.2.2)
        _ => refuse(service, cx, id, &Refusal::new(481, "no dialog")),
    }
}

fn on_invite(service: &mut Service, cx: &mut Cx<'_>, id: ServerId, flow: Flow, msg: &Message<'_>) {
    let Some(caller) = admit(service, cx, id, flow, msg) else { return };
    let (calls, mut view) = service.calls();
    calls.on_invite(&mut view, cx, id, msg, caller);
}

fn on_message(service: &mut Service, cx: &mut Cx<'_>, id: ServerId, flow: Flow, msg: &Message<'_>) {
    let Some(caller) = admit(service, cx, id, flow, msg) else { return };
    let (sms, mut view) = service.sms();
    if msg.has_content_type(SHORT_MESSAGE) && !caller.is_trunk {
        return sms.on_message(&mut view, cx, id, msg, caller);
    }
    if let Some(to) = interwork::recipient(&view, cx, msg, caller) {
        return sms.on_plain(&mut view, cx, id, msg, (caller, to));
    }
    if interwork::is_for_centre(&view, msg) {
        let refusal = Refusal::new(415, "the SMS centre takes short messages only").with(Extra::AcceptSms);
        return refuse(service, cx, id, &refusal);
    }
    let (messages, mut view) = service.messages();
    messages.on_message(&mut view, cx, id, msg, caller);
}

/// Who calls, or sends a text, when that is known and proven; nobody when the request has its answer: a challenge or a refusal.
fn admit(
    service: &mut Service,
    cx: &mut Cx<'_>,
    id: ServerId,
    flow: Flow,
    msg: &Message<'_>,
) -> Option<Caller> {
    let Some(caller) = identify(service, flow, msg) else {
        let refusal = stranger(service, cx, flow, msg);
        refuse(service, cx, id, &refusal);
        return None;
    };
    let Some(user) = caller.user.filter(|&user| is_challenged(service, user, msg)) else {
        return Some(caller);
    };
    let claim = claim(service, user, caller.binding, flow);
    let (auth, subscribers, mut to) = service.auth(cx);
    let refusal = match auth.check(&mut to, subscribers, &claim, msg) {
        Outcome::Passed { .. } => return Some(caller),
        Outcome::Challenge(made) => {
            challenge(service, cx, Due::new(id, user, Family::Proxy, made));
            return None;
        }
        Outcome::Refused { status, reason } => Refusal::new(status, reason),
        Outcome::TurnedAway { wait_secs } => Refusal::turned_away(wait_secs),
    };
    refuse(service, cx, id, &refusal);
    None
}

/// Who sent the request: a registered user; else a user who need not prove anything or will be challenged; else nobody
/// in particular, towards an emergency service or an echo number that takes such callers.
pub(super) fn identify(service: &Service, flow: Flow, msg: &Message<'_>) -> Option<Caller> {
    let Service { registrar, subscribers, config, security, .. } = service;
    let is_trunk = |trunk: &Trunk| trunk.is_sender(security.locals(), registrar, flow, msg);
    if service.trunk.as_ref().is_some_and(is_trunk) {
        return Some(Caller { user: None, binding: None, is_trunk: true });
    }
    let target = || Uri::parse(msg.request_uri()).map_or(Target::Unknown, |uri| subscribers.lookup(&uri));
    let is_emergency = || emergency::service(subscribers, config, target()).is_some();
    let takes_strangers = || emergency::takes_strangers(subscribers, config, target(), msg.method());
    let sender = gate::sender(registrar, &service.security, subscribers, flow, msg);
    // a phone beside a registered one need not be it: who calls for help without a name is nobody, as it says
    let is_nameless = |binding| !registrar.is_at(binding, flow) && claimed_user(subscribers, msg).is_none();
    let sender = sender.filter(|(_, id)| !(is_nameless(*id) && is_emergency() && takes_strangers()));
    if let Some((user, binding)) = sender {
        let in_need = registrar.emergency_of(binding).filter(|_| is_emergency());
        return Some(Caller { user: Some(user), binding: in_need.or(Some(binding)), is_trunk: false });
    }
    if let Some(user) = claimed_user(subscribers, msg).filter(|&user| gate::may_be_of(service, user, flow)) {
        let profile = subscribers.user(user);
        let open = profile.authent_type == AuthentType::None || !from_authentication(service, msg);
        // nobody in need has to answer a challenge where it is not asked who they are
        let is_excused = profile.auth_on_register_only || (is_emergency() && takes_strangers());
        if open || !is_excused {
            return Some(Caller { user: Some(user), binding: None, is_trunk: false });
        }
    }
    takes_strangers().then_some(Caller { user: None, binding: None, is_trunk: false })
}

/// What a request of the user says of itself, and the registration that it comes from.
pub(super) fn claim(service: &Service, user: UserId, binding: Option<Id<Binding>>, flow: Flow) -> Claim {
    let binding = binding.and_then(|id| service.registrar.binding(id));
    let imei = binding.and_then(|binding| binding.contact.imei);
    Claim {
        user,
        imei,
        source: flow.remote.ip(),
        fresh_each_time: false,
        is_protected: false,
        is_offered: false,
        is_last: false,
    }
}

/// Whether requests other than REGISTER prove themselves too: where the user's settings say so, and neither the identity they
/// come under nor the emergency service or the echo number that they are for says otherwise.
pub(super) fn is_challenged(service: &Service, user: UserId, msg: &Message<'_>) -> bool {
    !service.subscribers.user(user).auth_on_register_only
        && from_authentication(service, msg)
        && !emergency::is_open(&service.subscribers, &service.config, msg)
}

/// `authentication` of the identity in From; true when it is nobody's.
fn from_authentication(service: &Service, msg: &Message<'_>) -> bool {
    let found = msg.from().and_then(|f| f.uri).and_then(|uri| service.subscribers.lookup_user(&uri));
    found.is_none_or(|(user, impu)| service.subscribers.user(user).impus[impu].authentication)
}

/// Why a request is not taken.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    /// The reason phrase, when it is not the standard one.
    reason: Option<String>,
    /// The text of Warning.
    words: String,
    extra: Extra,
}

/// The header that goes with a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Extra {
    None,
    Allow,
    Accept,
    AcceptReginfo,
    AcceptSms,
    AcceptEncoding,
    AllowEvents,
    Unsupported(String),
    MinExpires(u64),
    /// Seconds.
    RetryAfter(u64),
    /// The mechanisms of a 421 or 494 (RFC 3329 2.3.1).
    Mechanisms(Vec<String>),
}

impl Refusal {
    pub(super) fn new(status: u16, words: &str) -> Self {
        Refusal { status, reason: None, words: words.to_owned(), extra: Extra::None }
    }

    /// Of a host whose credentials are not looked at for a while.
    pub(super) fn turned_away(wait_secs: u64) -> Self {
        Refusal::new(503, "too many wrong answers to challenges").with(Extra::RetryAfter(wait_secs))
    }

    pub(super) fn with(self, extra: Extra) -> Self {
        Refusal { extra, ..self }
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    fn write(&self, w: &mut Writer<'_>) {
        match &self.extra {
            Extra::None => {}
            Extra::Allow => drop(w.header("Allow", ALLOW)),
            Extra::Accept => drop(w.header("Accept", "application/sdp")),
            Extra::AcceptSms => drop(w.header("Accept", SHORT_MESSAGE)),
            Extra::AcceptReginfo => drop(w.header("Accept", MEDIA_TYPE)),
            Extra::AllowEvents => drop(w.header("Allow-Events", "reg")),
            Extra::AcceptEncoding => drop(w.header("Accept-Encoding", "identity")),
            Extra::Unsupported(list) => drop(w.header("Unsupported", list)),
            Extra::Mechanisms(list) => {
                w.header("Require", "sec-agree");
                for mechanism in list {
                    w.header("Security-Server", mechanism);
                }
            }
            Extra::MinExpires(secs) => drop(w.header_fmt("Min-Expires", format_args!("{secs}"))),
            Extra::RetryAfter(secs) => drop(w.header_fmt("Retry-After", format_args!("{secs}"))),
        }
        if self.status == 503 && !matches!(self.extra, Extra::RetryAfter(_)) {
            w.header_fmt("Retry-After", format_args!("{RETRY_AFTER_SECS}"));
        }
        warning(w, &self.words);
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.status, self.words)
    }
}

/// RFC 3261 8.2.1 to 8.2.3, and 16.3 step 3: what can be said without knowing the sender.
fn admissible(msg: &Message<'_>) -> Result<(), Refusal> {
    if msg.method() == Method::Other {
        return Err(Refusal::new(501, "unknown method").with(Extra::Allow));
    }
    if Uri::parse(msg.request_uri()).is_none_or(|uri| uri.scheme == Scheme::Other) {
        return Err(Refusal::new(416, "only sip, sips, tel and urn are understood"));
    }
    let outside = msg.to().is_none_or(|to| to.tag().is_none());
    let ends_here = !outside || matches!(msg.method(), Method::Register | Method::Options);
    if msg.max_forwards() == Some(0) && !ends_here {
        return Err(Refusal::new(483, "Max-Forwards is 0"));
    }
    let required = msg.values(HeaderId::Require).chain(msg.values(HeaderId::ProxyRequire));
    let unknown: Vec<_> = required.filter(|tag| !is_taken(tag)).map(|tag| lossy(tag).into_owned()).collect();
    if !unknown.is_empty() {
        let list = unknown.join(", ");
        return Err(Refusal::new(420, &format!("not supported: {list}")).with(Extra::Unsupported(list)));
    }
    if msg.method() == Method::Invite { content(msg) } else { Ok(()) }
}

fn is_taken(tag: &[u8]) -> bool {
    TAKEN.iter().any(|taken| tag.eq_ignore_ascii_case(taken.as_bytes()))
}

/// RFC 3261 8.2.3 and 20.1: an INVITE brings SDP, alone or as a part, or nothing, and takes SDP in return.
fn content(msg: &Message<'_>) -> Result<(), Refusal> {
    let encoded = msg.values(HeaderId::ContentEncoding).any(|e| !e.eq_ignore_ascii_case(b"identity"));
    if encoded && !msg.body().is_empty() {
        return Err(Refusal::new(415, "the body is encoded").with(Extra::AcceptEncoding));
    }
    let optional = msg
        .header(HeaderId::ContentDisposition)
        .is_some_and(|d| String::from_utf8_lossy(d).to_ascii_lowercase().contains("handling=optional"));
    let given = msg.header(HeaderId::ContentType).map(media_type);
    let understood = given.is_none_or(|t| is_type(t, "application/sdp") || starts_with(t, b"multipart/"));
    if !understood && !optional && !msg.body().is_empty() {
        return Err(Refusal::new(415, "only SDP is understood").with(Extra::Accept));
    }
    let mut accepted = msg.values(HeaderId::Accept).map(media_type).peekable();
    let takes_sdp =
        |t: &[u8]| is_type(t, "application/sdp") || is_type(t, "application/*") || is_type(t, "*/*");
    if accepted.peek().is_some() && !accepted.any(takes_sdp) {
        return Err(Refusal::new(406, "the answer would be SDP").with(Extra::Accept));
    }
    Ok(())
}

/// A media type without its parameters.
fn media_type(value: &[u8]) -> &[u8] {
    trim(&value[..memchr::memchr(b';', value).unwrap_or(value.len())])
}

fn is_type(given: &[u8], wanted: &str) -> bool {
    given.eq_ignore_ascii_case(wanted.as_bytes())
}

fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

/// Answers with a refusal.
pub(super) fn refuse(service: &mut Service, cx: &mut Cx<'_>, id: ServerId, refusal: &Refusal) {
    reply(service, cx, id, refusal.status, refusal.reason.as_deref(), |w| refusal.write(w));
}

/// Sends a final response to a request that has no transaction.
fn reply_stateless(
    service: &mut Service,
    cx: &mut Cx<'_>,
    flow: Flow,
    msg: &Message<'_>,
    status: u16,
    reason: Option<&str>,
    fill: impl FnOnce(&mut Writer<'_>),
) {
    let settings = &service.config.protocol;
    let arrival = service.security.arrival(flow);
    service.txs.respond_stateless(cx, arrival, msg, status, reason, |mut w| {
        fill(&mut w);
        forward::end_own_response(w, settings);
    });
}

/// A challenge to a request.
#[derive(Clone, Debug)]
pub struct Due {
    /// The request.
    pub tx: ServerId,
    /// Whose it is.
    pub user: UserId,
    /// Which headers it has.
    pub family: Family,
    /// The value of its header.
    pub value: Vec<u8>,
    /// The value of Security-Server, when what follows is to come protected (TS 24.229 5.2.2).
    pub security_server: Option<String>,
    /// The record that has its sequence number, when it waits for the disk to have that.
    pub ticket: Option<u64>,
}

impl Due {
    /// One that offers no security associations.
    pub(super) fn new(tx: ServerId, user: UserId, family: Family, made: Challenged) -> Due {
        let Challenged { value, ticket, .. } = made;
        Due { tx, user, family, value, security_server: None, ticket }
    }
}

/// Answers with a challenge, or will when the disk has what it waits for: a request other than REGISTER, too, goes without an answer for so long.
pub(super) fn challenge(service: &mut Service, cx: &mut Cx<'_>, due: Due) {
    if due.ticket.is_some_and(|ticket| !service.disk.is_durable(ticket)) {
        service.acknowledgements.push(Owed::Challenge(due));
    } else {
        send_challenge(service, cx, &due);
    }
}

/// Answers with a challenge.
pub(super) fn send_challenge(service: &mut Service, cx: &mut Cx<'_>, due: &Due) {
    reply(service, cx, due.tx, due.family.status(), None, |w| {
        w.header(due.family.challenge_header(), &due.value);
        if let Some(server) = &due.security_server {
            w.header("Security-Server", server);
        }
    });
}

/// Sends a final response with a new To tag, the headers that `fill` adds, and Server.
pub(super) fn reply(
    service: &mut Service,
    cx: &mut Cx<'_>,
    id: ServerId,
    status: u16,
    reason: Option<&str>,
    fill: impl FnOnce(&mut Writer<'_>),
) {
    let tag = service.tokens.tag(cx.rng);
    let settings = &service.config.protocol;
    service.txs.respond(cx, id, status, reason, tag.as_bytes(), |mut w| {
        fill(&mut w);
        forward::end_own_response(w, settings);
    });
}

/// RFC 3261 20.43: 399 is a text for people.
pub(super) fn warning(w: &mut Writer<'_>, words: &str) {
    let clean: String =
        words.chars().map(|c| if c.is_control() || matches!(c, '"' | '\\') { '\'' } else { c }).collect();
    w.header_fmt("Warning", format_args!("399 imsbox \"{clean}\""));
}

fn trace_odd(cx: &mut Cx<'_>, flow: Flow, msg: &Message<'_>, words: std::fmt::Arguments<'_>) {
    let subject = Subject::Id(msg.call_id().map_or(0, trace_id));
    let text = format_args!("{words} (from {})", flow.remote);
    cx.trace_content(Layer::Sip, Level::Warn, Dir::From, subject, text, msg.octets());
}
