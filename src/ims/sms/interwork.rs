//! Plain texts of soft clients for users of SIMs whose phones take nothing but short messages (TS 29.311 6), and for users who are not there
//! (RFC 3428 7): each becomes a short message, or several parts, and is kept like any other. A user without a SIM, whose clients are
//! all soft, gets it as a plain text again. What is no text, or is to be gone at once, stays a matter between clients, and so does a text for
//! a user whom no short message will ever reach.

use super::Sms;
use super::address;
use super::answer::Refusal;
use super::promise::Sender;
use super::submit::new_text;
use super::text::Text;
use super::told::Heading;
use super::ways::{self, Ways};
use crate::base::time::Duration;
use crate::ims::call::ServerId;
use crate::ims::call::forward::Privacy;
use crate::ims::core::View;
use crate::ims::dispatch::Caller;
use crate::ims::identity::{self, Speaker};
use crate::ims::subscriber::{Target, UserId};
use crate::proto::cx::Cx;
use crate::wire::gsm::{Deliver, Pid, Timestamp};
use crate::wire::sip::text::{lossy, unquote};
use crate::wire::sip::{HeaderId, Message, Params, Uri};

/// The content that is interworked.
const PLAIN: &str = "text/plain";

/// Whether a MESSAGE is a text that a short message can hold, and that may be kept.
fn is_text(msg: &Message<'_>) -> bool {
    let encoded = msg.values(HeaderId::ContentEncoding).any(|e| !e.eq_ignore_ascii_case(b"identity"));
    let (_, params) = Params::split(msg.header(HeaderId::ContentType).unwrap_or_default());
    let charset = params.get("charset").map(unquote);
    let is_known = charset.is_none_or(|charset| {
        charset.eq_ignore_ascii_case(b"utf-8") || charset.eq_ignore_ascii_case(b"us-ascii")
    });
    // RFC 3428 6: one that is worth nothing later is not kept until then
    msg.has_content_type(PLAIN) && is_known && !encoded && msg.expires() != Some(0)
}

/// Whom a plain text is for, when it has to become a short message: nobody is there for it, or nobody who takes it as it is.
pub fn recipient(view: &View<'_>, cx: &Cx<'_>, msg: &Message<'_>, caller: Caller) -> Option<(UserId, usize)> {
    if caller.user.is_none() || caller.is_trunk || !is_text(msg) {
        return None;
    }
    let Target::User { user, impu } = view.subs.lookup(&Uri::parse(msg.request_uri())?) else { return None };
    let ways = Ways::to(view, (user, impu));
    let contacts = ways::contacts(view, cx.now, (user, impu), false);
    let is_kept = match contacts.is_empty() {
        true => ways.has_any(),
        // who has no SIM has no phone that takes short messages alone
        false => {
            let has_sim = view.subs.user(user).sim.is_some();
            has_sim && !contacts.iter().any(|(_, contact)| ways.is_for_plain(contact))
        }
    };
    is_kept.then_some((user, impu))
}

/// Whether a MESSAGE is for the centre itself, which takes nothing but short messages.
pub fn is_for_centre(view: &View<'_>, msg: &Message<'_>) -> bool {
    let Some(uri) = Uri::parse(msg.request_uri()) else { return false };
    view.subs.lookup(&uri) == Target::Unknown && address::is_gateway(&view.config.sms.centre, &uri)
}

impl Sms {
    /// A plain text for `to`. Its sender is told 202 when it is kept (RFC 3428 7: it will be delivered later).
    pub fn on_plain(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        tx: ServerId,
        msg: &Message<'_>,
        (caller, to): (Caller, (UserId, usize)),
    ) {
        let Some(user) = caller.user else { return };
        let sender = Sender::Plain(tx);
        let text = lossy(msg.body());
        let Ok(parts) = self.split(&text) else { return self.refuse(view, cx, sender, Refusal::TOO_LONG) };
        let binding = caller.binding.and_then(|id| view.registrar.binding(id));
        let imei = binding.and_then(|binding| binding.contact.imei);
        let impu = identity::speaking(view.subs, Speaker { user, imei: imei.as_deref(), called: None }, msg);
        let from = match Privacy::of(msg).hides_identity {
            true => address::ANONYMOUS.to_owned(),
            false => address::of_user(view.subs.user(user), imei.as_deref(), impu),
        };
        let heading = Heading::new(&from, &lossy(msg.request_uri()), None);
        if view.config.sms.hook_only && self.is_listened_to {
            self.tell_whole(cx, &heading, &parts);
            return self.accept(view, cx, sender);
        }
        // RFC 3428 6: what is too old for its sender is delivered to nobody
        let wanted = msg.expires().map(|secs| Duration::from_secs(secs.into()));
        let lives = wanted.map_or(view.config.sms.expires, |wanted| wanted.min(view.config.sms.expires));
        let texts: Vec<Text> = parts
            .iter()
            .map(|part| {
                let deliver = Deliver {
                    more_messages: false,
                    loop_prevention: false,
                    status_report: false,
                    reply_path: false,
                    originator: address::of_uri(&from),
                    pid: Pid::PLAIN,
                    timestamp: Timestamp::of_unix(cx.wall, 0),
                    user_data: part.view(),
                };
                Text { is_plain: true, ..new_text(view, cx, to, &from, deliver.to_vec(), lives) }
            })
            .collect();
        if self.take_in(view, cx, sender, texts) {
            self.tell_when_stored(heading, parts);
        }
    }
}
