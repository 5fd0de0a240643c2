//! SUBSCRIBE: whether it is taken, for how long, and the answer (RFC 6665 4.2.1, RFC 3680 4.4 to 4.6, TS 24.229 5.4.2.1.1).
//!
//! Lenient where phones are odd: Accept may be missing, the Request-URI may be any identity of the user, barred ones too, and
//! Expires may be missing.

use super::limits::{DEFAULT_EXPIRES, MAX_EVENT_ID, MAX_EXPIRES, MAX_UNANSWERED, MIN_EXPIRES};
use super::reginfo::MEDIA_TYPE;
use super::subscription::{End, News, State, Subscription, visible};
use super::{RegEvents, describe, subject};
use crate::base::arena::Id;
use crate::base::time::Duration;
use crate::base::timer::Alarm;
use crate::base::trace::{Level, Subject};
use crate::config::model::RegistrationSettings;
use crate::ims::auth::{Family, Outcome};
use crate::ims::call::forward;
use crate::ims::core::{Service, View};
use crate::ims::dispatch::{
    Caller, Due, Extra, Refusal, ServerId, challenge, claim, identify, is_challenged, refuse,
};
use crate::ims::gate;
use crate::ims::registrar::binding::Binding;
use crate::ims::registrar::{Registrar, route};
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::proto::sip::dialog::Dialog;
use crate::wire::sip::text::lossy;
use crate::wire::sip::{HeaderId, Message, Params, Uri};
use smallvec::SmallVec;

/// What a SUBSCRIBE asks for.
struct Wanted {
    /// How long it is granted; zero ends it.
    expires: Duration,
    /// The `id` of Event.
    event_id: Box<[u8]>,
}

/// Takes a SUBSCRIBE outside of any dialog.
pub(in crate::ims) fn on_subscribe(
    service: &mut Service,
    cx: &mut Cx<'_>,
    id: ServerId,
    flow: Flow,
    msg: &Message<'_>,
) {
    let admitted = wanted(msg, &service.config.registration)
        .and_then(|wanted| Ok((wanted, subscriber(service, flow, msg)?)));
    let (wanted, (user, caller)) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return tell_refusal(service, cx, id, flow, &refusal),
    };
    if is_challenged(service, user, msg) {
        let claim = claim(service, user, caller.binding, flow);
        let (auth, subscribers, mut to) = service.auth(cx);
        match auth.check(&mut to, subscribers, &claim, msg) {
            Outcome::Passed { .. } => {}
            // RFC 6665 4.2.1.3: a notifier is no proxy
            Outcome::Challenge(made) => {
                return challenge(service, cx, Due::new(id, user, Family::Www, made));
            }
            Outcome::Refused { status, reason } => {
                return refuse(service, cx, id, &Refusal::new(status, reason));
            }
            Outcome::TurnedAway { wait_secs } => {
                return refuse(service, cx, id, &Refusal::turned_away(wait_secs));
            }
        }
    }
    let tag = service.tokens.tag(cx.rng);
    let (events, mut view) = service.reg_events();
    let subscription = new_subscription(&view, cx, (user, caller), flow, msg, &wanted, tag.as_bytes());
    let Some(new) = events.insert(&view, cx, subscription) else {
        return tell_refusal(service, cx, id, flow, &Refusal::new(503, "no room for another subscription"));
    };
    accept(events, &mut view, cx, id, new, wanted.expires, tag.as_bytes());
}

/// Takes a SUBSCRIBE inside the dialog of a subscription: a refresh, or its end.
pub(in crate::ims) fn on_refresh(
    service: &mut Service,
    cx: &mut Cx<'_>,
    id: ServerId,
    flow: Flow,
    msg: &Message<'_>,
) {
    let wanted = wanted(msg, &service.config.registration);
    let (events, mut view) = service.reg_events();
    let running = events.find(msg).filter(|found| {
        events.subscriptions.get(*found).is_some_and(|s| s.state == State::Active && s.expires_at > cx.now)
    });
    let found = running.ok_or_else(|| Refusal::new(481, "the subscription is over"));
    let renewed = found.and_then(|found| {
        let s = events.subscriptions.get_mut(found).expect("it was found");
        // the NOTIFYs go where this comes from: who has only seen the tags has no say
        let is_subscriber = || {
            let sender = gate::sender(view.registrar, view.security, view.subs, flow, msg);
            sender.is_some_and(|(user, _)| user == s.user)
        };
        if !gate::is_from_peer(view.security, s.dialog.flow(), flow) && !is_subscriber() {
            return Err(Refusal::new(403, "it does not come from the subscriber"));
        }
        s.dialog.on_request(msg).map_err(|status| Refusal::new(status, "CSeq is not above the last one"))?;
        let wanted = wanted?;
        renew(s, &view, cx, flow, &wanted);
        Ok((found, wanted.expires))
    });
    match renewed {
        Ok((found, expires)) => accept(events, &mut view, cx, id, found, expires, &[]),
        Err(refusal) => tell_refusal(service, cx, id, flow, &refusal),
    }
}

/// What can be said of a SUBSCRIBE without knowing whose it is.
fn wanted(msg: &Message<'_>, settings: &RegistrationSettings) -> Result<Wanted, Refusal> {
    let (package, params) = Params::split(msg.header(HeaderId::Event).unwrap_or_default());
    if !package.eq_ignore_ascii_case(b"reg") {
        let words = format!("event package \"{}\" is not served", lossy(package));
        return Err(Refusal::new(489, &words).with(Extra::AllowEvents));
    }
    if !accepts_reginfo(msg) {
        return Err(Refusal::new(406, "notifications would be reginfo").with(Extra::AcceptReginfo));
    }
    let configured = Some(settings.subscribe_expires).filter(|limit| !limit.is_zero());
    let longest = configured.unwrap_or(MAX_EXPIRES);
    let asked = msg.expires().map_or(DEFAULT_EXPIRES, |secs| Duration::from_secs(u64::from(secs)));
    let shortest = MIN_EXPIRES.min(longest);
    if !asked.is_zero() && asked < shortest {
        let words = "a subscription would not last long enough";
        return Err(Refusal::new(423, words).with(Extra::MinExpires(shortest.as_secs())));
    }
    let event_id = params.get("id").filter(|id| id.len() <= MAX_EVENT_ID).unwrap_or_default().into();
    Ok(Wanted { expires: asked.min(longest), event_id })
}

/// RFC 3680 4.5: without Accept, reginfo is accepted.
fn accepts_reginfo(msg: &Message<'_>) -> bool {
    let mut accepted = msg.values(HeaderId::Accept).map(|value| Params::split(value).0).peekable();
    let fits = |range: &[u8]| {
        [MEDIA_TYPE, "application/*", "*/*"].iter().any(|t| range.eq_ignore_ascii_case(t.as_bytes()))
    };
    accepted.peek().is_none() || accepted.any(fits)
}

/// Whose registration the Request-URI names, and who sent it: only the user itself may know (RFC 3680 4.6).
fn subscriber(service: &Service, flow: Flow, msg: &Message<'_>) -> Result<(UserId, Caller), Refusal> {
    let Service { subscribers, registrar, .. } = service;
    let named = Uri::parse(msg.request_uri()).and_then(|uri| subscribers.lookup_user(&uri));
    let (user, _) = named.ok_or_else(|| Refusal::new(404, "no user has this identity"))?;
    if visible(registrar, user).next().is_none() {
        return Err(Refusal::new(480, "the user is not registered"));
    }
    let caller = identify(service, flow, msg);
    let caller = caller.filter(|caller| caller.user == Some(user));
    Ok((user, caller.ok_or_else(|| Refusal::new(403, "only the user may subscribe"))?))
}

fn new_subscription(
    view: &View<'_>,
    cx: &Cx<'_>,
    (user, caller): (UserId, Caller),
    flow: Flow,
    msg: &Message<'_>,
    wanted: &Wanted,
    tag: &[u8],
) -> Subscription {
    let binding = own_binding(view.registrar, user, caller, msg);
    let mut new = Subscription {
        user,
        binding,
        follows_binding: false,
        is_alone: view.subs.user(user).multi_sim,
        dialog: Dialog::uas(msg, tag, flow),
        tcp_allowed: false,
        event_id: Box::default(),
        state: State::Active,
        expires_at: cx.now,
        version: 0,
        in_flight: None,
        unanswered: 0,
        news: News::None,
        not_before: cx.now,
        told: SmallVec::new(),
        gone: SmallVec::new(),
        is_ready: false,
        alarm: Alarm::default(),
    };
    new.dialog.confirm();
    renew(&mut new, view, cx, flow, wanted);
    new
}

/// The binding of the phone that sent the request: with its Contact's address, else the one that it was recognised by.
fn own_binding(
    registrar: &Registrar,
    user: UserId,
    caller: Caller,
    msg: &Message<'_>,
) -> Option<Id<Binding>> {
    let address = |uri: Option<Uri<'_>>| uri.and_then(|uri| uri.socket_addr());
    let own = address(msg.contacts().flatten().next().and_then(|c| c.uri));
    let mut all = visible(registrar, user);
    let same = all.find(|(_, b)| own.is_some() && address(b.contact.uri()) == own).map(|(id, _)| id);
    same.or_else(|| caller.binding.filter(|id| registrar.binding(*id).is_some_and(|b| !b.contact.sos)))
}

/// Lets a subscription last for what was granted, and a NOTIFY go out at once, also when another is under way (RFC 6665 4.2.1.2).
fn renew(s: &mut Subscription, view: &View<'_>, cx: &Cx<'_>, flow: Flow, wanted: &Wanted) {
    let binding = s.binding.and_then(|id| view.registrar.binding(id));
    // a phone that registers over TCP and subscribes over UDP expects its NOTIFY there
    s.follows_binding = binding.is_some_and(|b| {
        [b.flow.remote, b.origin.source].contains(&flow.remote) && b.flow.transport == flow.transport
    });
    let way = Uri::parse(s.dialog.remote_target()).map(|uri| route::choose(view.security.came(flow), &uri));
    s.dialog.set_flow(way.map_or(flow, |way| way.flow));
    s.tcp_allowed = way.is_some_and(|way| way.tcp_allowed);
    s.event_id.clone_from(&wanted.event_id);
    if s.unanswered < MAX_UNANSWERED {
        s.in_flight = None;
    }
    s.expires_at = cx.now + wanted.expires;
    s.tell(News::Urgent);
    if wanted.expires.is_zero() {
        // also the fetch of RFC 6665 4.4.3: one document, and that is all
        s.end(End::Timeout);
    }
}

/// Answers 200; the NOTIFY follows when this input settles.
fn accept(
    events: &mut RegEvents,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    id: Id<Subscription>,
    expires: Duration,
    tag: &[u8],
) {
    let Some(flow) = view.txs.server(tx).map(|t| t.flow()) else { return };
    let local = view.txs.local_addr(flow.local).expect("a flow is of one of our sockets");
    let settings = &view.config.protocol;
    view.txs.respond(cx, tx, 200, None, tag, |mut w| {
        forward::contact(&mut w, local, flow.transport, None);
        w.header_fmt("Expires", format_args!("{}", expires.as_secs()));
        w.header("Allow-Events", "reg");
        forward::end_own_response(w, settings);
    });
    events.with(cx, id, |_| {});
    let Some(s) = events.subscriptions.get(id) else { return };
    let (subject, text, secs) = (subject(view, s), describe(view, s), expires.as_secs());
    match secs {
        0 => cx.ims(Level::Info, subject, format_args!("Subscribe {text}: ended by the phone")),
        _ => cx.ims(Level::Info, subject, format_args!("Subscribe {text}: to reg for {secs} s")),
    }
}

fn tell_refusal(service: &mut Service, cx: &mut Cx<'_>, id: ServerId, flow: Flow, refusal: &Refusal) {
    cx.ims(
        Level::Info,
        Subject::None,
        format_args!("Subscribe from {}: refused with {refusal}", flow.remote),
    );
    refuse(service, cx, id, refusal);
}
