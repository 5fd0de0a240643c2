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
        forward::own_request(&mut w, settings, b"NOTIFY");
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
