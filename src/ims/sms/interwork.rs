//! Plain texts of soft clients for users of SIMs whose phones take nothing but short messages (TS 29.311 6): each becomes one, or several
//! parts, and is kept like any other.

use super::Sms;
use super::address;
use super::answer::Refusal;
use super::promise::Sender;
use super::submit::new_text;
use super::text::Text;
use super::told::Heading;
use crate::ims::call::ServerId;
use crate::ims::call::forward::Privacy;
use crate::ims::core::View;
use crate::ims::dispatch::Caller;
use crate::ims::identity::{self, Speaker};
use crate::ims::registrar::binding::Contact;
use crate::ims::subscriber::{Target, UserId};
use crate::proto::cx::Cx;
use crate::wire::gsm::{Deliver, Pid, Timestamp};
use crate::wire::sip::text::lossy;
use crate::wire::sip::{Message, Uri};

/// The content that is interworked.
const PLAIN: &str = "text/plain";

/// Whether a contact takes plain texts, too: a soft client, or a phone with instant messages (OMA SIMPLE IM, CPM).
fn takes_plain(contact: &Contact) -> bool {
    let is_im = contact.params().iter().any(|p| {
        let value = p.value.unwrap_or_default().to_ascii_lowercase();
        p.name.eq_ignore_ascii_case(b"+g.oma.sip-im")
            || memchr::memmem::find(&value, b"oma.cpm.msg").is_some()
    });
    !contact.smsip || is_im
}

/// Whom a plain text is for, when it has to become a short message. `is_attached`: the callee's phone can be reached over SGs. For who
/// cannot be reached at all a plain text is not kept, and its sender is told so.
pub fn recipient(
    view: &View<'_>,
    cx: &Cx<'_>,
    msg: &Message<'_>,
    caller: Caller,
    is_attached: bool,
) -> Option<(UserId, usize)> {
    if caller.user.is_none() || caller.is_trunk || !msg.has_content_type(PLAIN) {
        return None;
    }
    let Target::User { user, impu } = view.subs.lookup(&Uri::parse(msg.request_uri())?) else { return None };
    // who has no SIM has no phone that takes short messages alone
    view.subs.user(user).sim.as_ref()?;
    let targets = view.registrar.targets(user, cx.now);
    let takes = |id: &_| view.registrar.binding(*id).is_some_and(|binding| takes_plain(&binding.contact));
    let is_there = !targets.is_empty() || is_attached;
    (is_there && !targets.iter().any(takes)).then_some((user, impu))
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
                new_text(view, cx, to, &from, deliver.to_vec(), view.config.sms.expires)
            })
            .collect();
        if self.take_in(view, cx, sender, texts) {
            self.tell_whole(cx, &Heading::new(&from, &lossy(msg.request_uri()), None), &parts);
        }
    }
}
