//! The INVITE of a call between users: whom it reaches, and what each of their contacts is sent (RFC 3261 16.6, TS 24.229).

use super::fork;
use super::forward::{self, Additions};
use super::history::History;
use super::rules::Rules;
use super::session::{Ack, Call, Failure, Leg, LegState, Party, Role};
use super::tag::{self, Place, Side, Tag};
use crate::base::arena::Id;
use crate::config::model::{Config, Impu};
use crate::ims::core::View;
use crate::ims::identity;
use crate::ims::registrar::binding::Binding;
use crate::ims::subscriber::Subscribers;
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::proto::sip::transaction::Token;
use crate::wire::sip::{HeaderId, Message, Method, Writer};
use smallvec::SmallVec;
use std::net::SocketAddr;

/// The CSeq number of the INVITE of every leg.
pub(super) const FIRST_CSEQ: u32 = 1;

/// Starts the call: the first group of contacts rings, or nobody's phone could be sent to.
pub(super) fn start(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    if !fork::start_group(call, view, cx) {
        fork::give_up(call, view, cx);
    }
}

/// Sends the INVITE to one contact. `false`: the contact has gone meanwhile, or there is no room for the transaction.
pub(super) fn start_leg(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>, contact: Id<Binding>) -> bool {
    let (Some(binding), Some(invite)) = (view.registrar.binding(contact), &call.invite) else { return false };
    let number = u8::try_from(call.legs.len()).expect("legs are capped far below 256");
    let tags = [Side::Caller, Side::Callee].map(|side| new_tag(call.place(number, side), view));
    let msg = invite.request.message();
    let plan = Plan {
        flow: binding.flow,
        local: view.txs.local_addr(binding.flow.local).expect("a flow is of one of our sockets"),
        call_id: view.txs.new_token(),
        path: &binding.origin.path,
        tag: &tags[Side::Callee as usize],
        subs: view.subs,
        config: view.config,
        caller: &call.caller,
        callee: &call.callee,
        rules: call.rules,
    };
    let owner = call.owner(Role::Leg(number));
    let uri = &binding.contact.uri;
    let sent =
        view.txs.request(cx, plan.flow, b"INVITE", uri, binding.tcp_allowed, owner, |w| plan.write(w, &msg));
    let client = match sent {
        Ok(client) => client,
        Err(overload) => {
            let failure = Failure { status: overload.status(), response: None };
            if let Some(bridge) = call.bridge_mut() {
                bridge.best.get_or_insert(failure);
            }
            return false;
        }
    };
    let mut history = History::new(call.history.index + 1 + u32::from(number), view.txs.new_token());
    history.sent(cx.now.since(call.created), Method::Invite, 0);
    let cseq = msg.cseq().map_or(0, |c| c.number);
    call.legs.push(Leg {
        state: LegState::Calling,
        binding: Some(contact),
        client: Some(client),
        tags,
        up: None,
        down: None,
        provisional: (0, 0),
        invites: [(cseq, FIRST_CSEQ), (0, 0)],
        acks: [Ack::default(), Ack::default()],
        history,
    });
    true
}

/// What the INVITE of a leg is made of, beside the caller's.
struct Plan<'a> {
    flow: Flow,
    /// Our address as the contact is to see it.
    local: SocketAddr,
    call_id: Token,
    path: &'a [u8],
    tag: &'a Tag,
    subs: &'a Subscribers,
    config: &'a Config,
    caller: &'a Party,
    callee: &'a Party,
    rules: Rules,
}

impl Plan<'_> {
    fn write(&self, mut w: Writer<'_>, msg: &Message<'_>) {
        let hops = msg.max_forwards().unwrap_or(70).saturating_sub(1);
        w.header_fmt("Max-Forwards", format_args!("{hops}"));
        let privacy = self.caller.privacy;
        match msg.header(HeaderId::From) {
            Some(from) if !privacy.hides_from => {
                forward::party(&mut w, "From", from, Some(self.tag), self.display_name(msg));
            }
            _ => forward::anonymous_from(&mut w, self.tag),
        }
        if let Some(to) = msg.header(HeaderId::To) {
            forward::party(&mut w, "To", to, None, None);
        }
        w.header("Call-ID", self.call_id);
        w.header_fmt("CSeq", format_args!("{FIRST_CSEQ} INVITE"));
        let local = self.local;
        if !self.path.is_empty() {
            // RFC 3327 5.3: the way back that the REGISTER has recorded
            w.header("Route", self.path);
        }
        forward::contact(&mut w, local, self.flow.transport, Some(msg));
        let identities = match self.caller.user {
            Some(user) if !privacy.hides_identity => identity::asserted(self.subs, user, msg),
            _ => SmallVec::new(),
        };
        let with = Additions {
            settings: &self.config.protocol,
            identities: &identities,
            called_party: self.called_party(msg),
            rules: self.rules,
            privacy,
            begins: true,
        };
        forward::end_request(w, msg, &with);
    }

    fn caller_impu(&self, msg: &Message<'_>) -> Option<&Impu> {
        let (user, impu) = self.subs.lookup_user(&msg.from()?.uri?)?;
        (Some(user) == self.caller.user).then(|| &self.subs.user(user).impus[impu])
    }

    fn display_name(&self, msg: &Message<'_>) -> Option<&str> {
        self.caller_impu(msg)?.display_name.as_deref()
    }

    /// P-Called-Party-ID (RFC 7315 4.2): the identity that was dialled, or the one that the configuration forces.
    fn called_party<'m>(&'m self, msg: &Message<'m>) -> Option<&'m [u8]> {
        let forced = self.callee.impu(self.subs).and_then(|i| i.p_called_party_id.as_deref());
        forced.map(str::as_bytes).or_else(|| self.config.call.p_called_party_id.then(|| msg.request_uri()))
    }
}

/// A new local tag for a dialog.
pub(super) fn new_tag(place: Place, view: &mut View<'_>) -> Tag {
    tag::make(place, &view.txs.new_token())
}
