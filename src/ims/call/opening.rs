//! The first request of a leg: what becomes of a caller's INVITE, or of a sender's MESSAGE, on its way to one contact (RFC 3261
//! 16.6, TS 24.229 5.4.3.3).

use super::destination::Way;
use super::forward::{self, Additions, Charging, Options};
use super::rules::Rules;
use super::session::{ClientId, Party};
use super::tag::Side;
use super::timer::Terms;
use crate::config::model::{Config, Impu};
use crate::ims::emergency::callback::PRIORITY;
use crate::ims::identity::{self, Speaker};
use crate::ims::owner::Owner;
use crate::ims::subscriber::Subscribers;
use crate::ims::trunk;
use crate::proto::cx::Cx;
use crate::proto::sip::transaction::{Overload, Token, Transactions};
use crate::wire::sip::{HeaderId, Message, Method, Writer};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::net::SocketAddr;

/// The CSeq number of the first request of every leg.
pub(in crate::ims) const FIRST_CSEQ: u32 = 1;

/// What the first request of a leg is made of, beside the one that came.
pub(in crate::ims) struct Opening<'a> {
    pub(in crate::ims) method: Method,
    pub(in crate::ims) call_id: Token,
    /// Names the call, or the text, for those who charge for it: all its legs have the same (RFC 7315 4.6).
    pub(in crate::ims) icid: Token,
    /// CSeq number: [`FIRST_CSEQ`], or more when it is sent again because it was refused as it was.
    pub(in crate::ims) cseq: u32,
    /// The tag of From.
    pub(in crate::ims) tag: &'a [u8],
    pub(in crate::ims) subs: &'a Subscribers,
    pub(in crate::ims) config: &'a Config,
    pub(in crate::ims) caller: &'a Party,
    pub(in crate::ims) callee: &'a Party,
    pub(in crate::ims) rules: Rules,
    /// The option tags that are negotiated with the callee's phone alone.
    pub(in crate::ims) options: Option<Options<'a>>,
    /// What it says of the session timer.
    pub(in crate::ims) timer: Terms,
    /// The body, where it is not as it came.
    pub(in crate::ims) body: Option<&'a [u8]>,
}

impl Opening<'_> {
    /// Sends what has become of `msg` on its way to a destination.
    pub(in crate::ims) fn send(
        &self,
        txs: &mut Transactions<Owner>,
        cx: &mut Cx<'_>,
        way: &Way<'_>,
        owner: Owner,
        msg: &Message<'_>,
    ) -> Result<ClientId, Overload> {
        let method = self.method.name().as_bytes();
        let local = txs.local_addr(way.flow.local).expect("a flow is of one of our sockets");
        let own = self.request_uri(way);
        let uri = own.as_deref().map_or(way.uri, str::as_bytes);
        txs.request(cx, way.flow, method, uri, way.upgrade, owner, |w| self.write(w, way, local, msg))
    }

    /// What an INVITE calls the phone by, where that is not its contact: an identity marked `preferred`.
    fn request_uri(&self, way: &Way<'_>) -> Option<String> {
        let user = self.callee.user.filter(|_| self.method == Method::Invite)?;
        identity::request_uri(self.subs.user(user), self.callee.impu_index, way.imei)
    }

    /// `local` is where the destination is to see us.
    fn write(&self, mut w: Writer<'_>, way: &Way<'_>, local: SocketAddr, msg: &Message<'_>) {
        let hops = msg.max_forwards().unwrap_or(70).saturating_sub(1);
        w.header_fmt("Max-Forwards", format_args!("{hops}"));
        let privacy = self.caller.privacy;
        let identities = self.identities(msg);
        match way.trunk {
            Some(trunk) => self.trunk_parties(&mut w, way, trunk.caller(&identities), msg),
            None => self.parties(&mut w, msg),
        }
        w.header("Call-ID", self.call_id);
        w.header_fmt("CSeq", format_args!("{} {}", self.cseq, self.method.name()));
        if !way.route.is_empty() {
            w.header("Route", way.route);
        }
        // RFC 3428 4: a MESSAGE has no Contact, for it founds no dialog
        if self.method.creates_dialog() {
            // a plain peer has no use for the features of a phone
            let far = (!self.rules.is_plain(Side::Callee)).then_some(msg);
            forward::contact(&mut w, local, way.flow.transport, far);
        }
        if self.rules.is_callback {
            w.header("Priority", PRIORITY);
        }
        let with = Additions {
            settings: &self.config.protocol,
            charging: way.trunk.map(|_| Charging {
                icid: self.icid,
                generated_at: local.ip(),
                ioi: self.config.domain.as_deref(),
            }),
            identities: &identities,
            called_party: self.called_party(msg).filter(|_| way.trunk.is_none()),
            rules: self.rules,
            to: Side::Callee,
            options: self.options,
            has_own_rseq: false,
            timer: self.timer,
            privacy,
            body: self.body,
        };
        forward::end_request(w, msg, &with);
    }

    /// From and To, as the caller named them.
    fn parties(&self, w: &mut Writer<'_>, msg: &Message<'_>) {
        match msg.header(HeaderId::From) {
            Some(from) if !self.caller.privacy.hides_from => {
                forward::party(w, "From", from, Some(self.tag), self.display_name(msg));
            }
            _ => forward::anonymous_from(w, self.tag),
        }
        if let Some(to) = msg.header(HeaderId::To) {
            forward::party(w, "To", to, None, None);
        }
    }

    /// From and To in the trunk's domain: a PBX looks callers and callees up by them.
    fn trunk_parties(&self, w: &mut Writer<'_>, way: &Way<'_>, caller: Option<String>, msg: &Message<'_>) {
        match caller.filter(|_| !self.caller.privacy.hides_anything()) {
            Some(uri) => {
                let display = match self.display_name(msg) {
                    Some(name) => Cow::Owned(identity::quoted(name).into_bytes()),
                    None => Cow::Borrowed(msg.from().map_or(&[][..], |from| from.display)),
                };
                let gap: &[u8] = if display.is_empty() || display.ends_with(b" ") { b"" } else { b" " };
                w.header_parts("From", &[&display, gap, b"<", uri.as_bytes(), b">;tag=", self.tag]);
            }
            None => forward::anonymous_from(w, self.tag),
        }
        w.header_parts("To", &[b"<", way.uri, b">"]);
    }

    /// Values of P-Asserted-Identity (RFC 3325 5): what is known of one of our users, or what the trunk says.
    fn identities(&self, msg: &Message<'_>) -> SmallVec<[String; 2]> {
        match self.caller.user {
            _ if self.caller.privacy.hides_identity => SmallVec::new(),
            Some(user) => {
                let speaker = Speaker { user, imei: self.caller.imei.as_deref(), called: None };
                identity::asserted(self.subs, speaker, msg)
            }
            None if self.caller.is_trunk => trunk::asserted(msg),
            None => self.caller.equipment.iter().map(|uri| format!("<{uri}>")).collect(),
        }
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
