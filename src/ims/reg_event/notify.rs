//! NOTIFY: one request inside the subscription's dialog, with the state of the registration (RFC 6665 4.2.2, RFC 3680 4.5).

use super::limits::PACE;
use super::reginfo::{self, Listed, MEDIA_TYPE};
use super::subscription::{News, State, Subscription};
use super::{describe, subject};
use crate::base::arena::Id;
use crate::base::time::Instant;
use crate::base::trace::Level;
use crate::ims::call::forward;
use crate::ims::core::View;
use crate::ims::owner::Owner;
use crate::proto::cx::Cx;
use crate::proto::sip::transaction::Overload;

/// A NOTIFY's place: its subscription, and the version of its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub(super) id: Id<Subscription>,
    pub(super) version: u32,
}

/// The document could not be sent whatever is tried.
#[derive(Debug)]
pub(super) struct TooLong;

/// Sends what there is to tell. When there is no room for another transaction, it is tried again in a while.
pub(super) fn send(
    s: &mut Subscription,
    id: Id<Subscription>,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
) -> Result<(), TooLong> {
    follow_binding(s, view);
    let state = subscription_state(s, cx.now);
    let listed = s.listed(view.registrar, cx.now);
    let active = listed.iter().filter(|l| matches!(l, Listed::Active { .. })).count();
    let gone = listed.len() - active;
    let document = reginfo::write(s.version, view.subs.user(s.user), &listed);
    let cseq = s.dialog.next_cseq();
    let (dialog, settings) = (&s.dialog, &view.config.protocol);
    let (flow, owner) = (dialog.flow(), Owner::Subscription(Part { id, version: s.version }));
    let local = view.txs.local_addr(flow.local).expect("a flow is of one of our sockets");
    let sent = view.txs.request(cx, flow, b"NOTIFY", dialog.request_uri(), s.tcp_allowed, owner, |mut w| {
        dialog.write_head(&mut w, b"NOTIFY", cseq);
        forward::contact(&mut w, local, flow.transport, None);
        match &s.event_id[..] {
            [] => w.header("Event", "reg"),
            id => w.header_parts("Event", &[b"reg;id=", id]),
        };
        w.header("Subscription-State", &state);
        forward::own_request(&mut w, settings);
        w.body(MEDIA_TYPE.as_bytes(), &document);
    });
    s.not_before = cx.now + PACE;
    match sent {
        Ok(_) => {}
        Err(Overload::Transactions) => {
            s.news = News::Change;
            return Ok(());
        }
        Err(Overload::Message) => return Err(TooLong),
    }
    let text = describe(view, s);
    let version = s.version;
    cx.ims(
        Level::Info,
        subject(view, s),
        format_args!("Notify {text}: version {version}, {active} contacts, {gone} gone, {state}"),
    );
    s.in_flight = Some(s.version);
    s.unanswered += 1;
    // RFC 3680 5.1: a number of 32 bits
    s.version = s.version.wrapping_add(1);
    s.on_told(view.registrar);
    if let State::Ending(_) = s.state {
        s.state = State::Terminated;
    }
    Ok(())
}

/// Where the phone is registered now is where it is reached; when it no longer is, where it was.
fn follow_binding(s: &mut Subscription, view: &View<'_>) {
    let binding = s.binding.filter(|_| s.follows_binding).and_then(|id| view.registrar.binding(id));
    if let Some(binding) = binding {
        s.dialog.set_flow(binding.flow);
        s.tcp_allowed = binding.tcp_allowed;
    } else {
        s.dialog.set_flow(view.security.renewed(s.user, s.dialog.flow()));
    }
}

/// RFC 6665 4.1.3.
fn subscription_state(s: &Subscription, now: Instant) -> String {
    match s.state {
        State::Ending(end) => end.subscription_state(),
        State::Active | State::Terminated => {
            let left = s.expires_at.since(now);
            format!("active;expires={}", left.as_secs() + u64::from(left.subsec_nanos() > 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::RegEvents;
    use super::*;
    use crate::base::rng::Rng;
    use crate::base::time::{Duration, UnixTime};
    use crate::base::trace::Silent;
    use crate::config::model::{Config, Impu, SipSocket, User};
    use crate::ims::disk::Disk;
    use crate::ims::emergency::callback::Callbacks;
    use crate::ims::policy::Policy;
    use crate::ims::registrar::Registrar;
    use crate::ims::security::{Ability, Security};
    use crate::ims::subscriber::{Subscribers, UserId};
    use crate::ims::tokens::Tokens;
    use crate::proto::flow::{Flow, LocalId};
    use crate::proto::locals::Locals;
    use crate::proto::media::table::MediaTable;
    use crate::proto::outbox::Outbox;
    use crate::proto::sip::dialog::Dialog;
    use crate::proto::sip::transaction::{Limits, Timers, Transactions};
    use crate::wire::sip::{Index, Message};

    const SUBSCRIBE: &str = "SUBSCRIBE sip:a@h SIP/2.0\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:a@h>\r\nCall-ID: c\r\n\
                             CSeq: 1 SUBSCRIBE\r\nContact: <sip:a@192.0.2.1>\r\n\r\n";

    fn subscription(now: Instant) -> Subscription {
        let mut index = Index::new();
        let request = Message::parse(SUBSCRIBE.as_bytes(), &mut index).unwrap();
        let flow = Flow::udp(LocalId(0), "192.0.2.1:5060".parse().unwrap());
        Subscription {
            user: UserId(0),
            binding: None,
            follows_binding: false,
            is_alone: false,
            dialog: Dialog::uas(&request, b"t", flow),
            tcp_allowed: false,
            event_id: Box::default(),
            state: State::Active,
            expires_at: now + Duration::from_secs(60),
            version: 0,
            in_flight: None,
            unanswered: 0,
            news: News::Urgent,
            not_before: now,
            told: Default::default(),
            gone: Default::default(),
            is_ready: false,
            alarm: Default::default(),
        }
    }

    /// Without room for another transaction a NOTIFY is tried again in a while, and not before.
    #[test]
    fn what_cannot_be_sent_now_is_sent_later() {
        let user = User { impi: "a".into(), impus: vec![Impu::new("sip:a@h")], ..User::default() };
        let sip = vec![SipSocket::new("198.51.100.1".parse().unwrap(), 5060)];
        let config = Config { sip, ..Config::default() };
        let (subs, registrar) = (Subscribers::new(vec![user], &[]).0, Registrar::default());
        let mut rng = Rng::from_seed(1);
        let mut txs = |client| {
            let limits = Limits { server: 1, client };
            Transactions::new(vec![config.sip[0].addr], Timers::default(), limits, 1300, &mut rng)
        };
        let (mut full, mut free) = (txs(0), txs(1));
        let mut tokens = Tokens::new(&mut rng);
        let mut media = MediaTable::new(1, [(5000, 5001)]);
        let mut policy = Policy::default();
        let mut events = RegEvents::new();
        let mut now = Instant::ZERO;
        for (txs, sent) in [(&mut full, 0), (&mut free, 1)] {
            let mut out = Outbox::new();
            let wall = UnixTime::from_micros(0);
            let mut cx = Cx { now, wall, rng: &mut rng, out: &mut out, sink: &mut Silent };
            let ability = Ability::none(Locals::default(), "a test");
            let security = Security::new(ability, &config.ipsec);
            let mut view = View {
                security: &security,
                trunk: None,
                policy: &mut policy,
                callbacks: &Callbacks::default(),
                disk: &Disk::default(),
                txs,
                subs: &subs,
                registrar: &registrar,
                media: &mut media,
                tokens: &mut tokens,
                config: &config,
            };
            if events.is_empty() {
                events.insert(&view, &mut cx, subscription(now)).expect("room");
            }
            events.tick(&cx);
            assert!(events.notify_next(&mut view, &mut cx));
            assert!(!events.notify_next(&mut view, &mut cx), "it is not tried twice at one time");
            assert_eq!(out.items().len(), sent);
            let wait = if sent == 0 { PACE } else { Duration::from_secs(60) };
            assert_eq!(events.next_deadline(), Some(Instant::ZERO + wait));
            now = Instant::ZERO + PACE;
        }
    }
}
