//! What a MESSAGE is to become: a text to a user, one that an echo number sends back, or a refusal.

use super::limits::{MAX_BODY, RETRY_AFTER_SECS};
use super::relay::{Relay, Way};
use crate::base::trace::{Level, Subject};
use crate::config::model::AnswerBody;
use crate::ims::call;
use crate::ims::call::forward::{self, Privacy};
use crate::ims::call::{Destination, Party, ServerId, Waiting, calling_party, contacts};
use crate::ims::core::View;
use crate::ims::dispatch::{Caller, warning};
use crate::ims::registrar::binding::DEFAULT_Q;
use crate::ims::subscriber::Target;
use crate::proto::cx::Cx;
use crate::wire::sip::text::lossy;
use crate::wire::sip::{Message, Uri};

/// Why a MESSAGE is not relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    text: &'static str,
    /// The echo number whose `content` goes with it.
    number: Option<usize>,
}

impl Refusal {
    /// As many texts are under way as there may be, of all or of one sender.
    pub(super) const NO_ROOM: Refusal = Refusal::new(503, "too many texts are under way");

    const fn new(status: u16, text: &'static str) -> Self {
        Refusal { status, text, number: None }
    }

    /// Answers the MESSAGE.
    pub(super) fn send(
        &self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        tx: ServerId,
        msg: &Message<'_>,
        caller: Caller,
    ) {
        let binding = caller.binding.and_then(|id| view.registrar.binding(id));
        let subject = binding.map_or(Subject::None, |b| Subject::Id(b.number));
        let from = msg.from().map_or_else(Default::default, |f| lossy(f.uri_text));
        let to = lossy(msg.request_uri());
        let Refusal { status, text, number } = *self;
        let words = format_args!("Message from {from} to {to}: refused with {status}: {text}");
        cx.ims(Level::Info, subject, words);
        let body = number.and_then(|number| view.config.echo[number].content.as_ref());
        respond(view, cx, tx, status, Some(text), body);
    }
}

/// Decides what the MESSAGE becomes.
pub(super) fn relay(
    view: &mut View<'_>,
    cx: &Cx<'_>,
    tx: ServerId,
    msg: &Message<'_>,
    caller: Caller,
) -> Result<Relay, Refusal> {
    if msg.body().len() > MAX_BODY {
        return Err(Refusal::new(413, "the text is too long"));
    }
    if caller.is_trunk {
        return Err(Refusal::new(403, "the trunk has calls, and no texts"));
    }
    let target = Uri::parse(msg.request_uri()).map_or(Target::Unknown, |uri| view.subs.lookup(&uri));
    let (way, to, waiting) = match target {
        Target::Unknown => return Err(unknown(view, msg)),
        Target::User { user, impu } => {
            // unlike a call a text reaches the phone that it comes from, too: people text themselves
            let refusal = |r: call::Refusal| Refusal::new(r.status, r.text);
            let waiting = contacts(view, cx, user, impu, None, msg).map_err(refusal)?;
            let uri = view.subs.user(user).impus[impu].uri.clone();
            (
                Way::Onward,
                Party { user: Some(user), impu_index: Some(impu), uri, ..Party::default() },
                waiting,
            )
        }
        Target::Echo(number) => {
            let echo = &view.config.echo[number];
            if let Some(status) = echo.code.filter(|code| *code >= 300) {
                let text = "the configuration says so";
                return Err(Refusal { number: Some(number), ..Refusal::new(status, text) });
            }
            // what comes from a phone that is not registered is not sent where it says that it comes from
            let text = "the echo goes to a registered phone; REGISTER comes first";
            let binding = caller.binding.ok_or(Refusal::new(480, text))?;
            let uri = echo.uri.clone();
            (
                Way::Back,
                Party { uri, ..Party::default() },
                Waiting::from_iter([(Destination::Contact(binding), DEFAULT_Q)]),
            )
        }
    };
    let flow = view.txs.server(tx).map(|s| s.flow()).ok_or(Refusal::NO_ROOM)?;
    let (sender, _) = calling_party(view, msg, caller, flow);
    let privacy = if way == Way::Back { Privacy::default() } else { sender.privacy };
    Ok(Relay::new(view, cx, tx, msg, way, Party { privacy, ..sender }, to, waiting))
}

fn unknown(view: &View<'_>, msg: &Message<'_>) -> Refusal {
    let (status, text) = view.subs.refusal(msg.request_uri());
    Refusal::new(status, text)
}

/// Answers a MESSAGE with a response of our own.
pub(in crate::ims) fn respond(
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    tx: ServerId,
    status: u16,
    words: Option<&str>,
    body: Option<&AnswerBody>,
) {
    let settings = &view.config.protocol;
    view.txs.respond(cx, tx, status, None, &[], |mut w| {
        if status == 503 {
            w.header_fmt("Retry-After", format_args!("{RETRY_AFTER_SECS}"));
        }
        if let Some(words) = words {
            warning(&mut w, words);
        }
        forward::own_response(&mut w, settings);
        match body {
            Some(body) => w.body(body.content_type.as_bytes(), &body.octets),
            None => w.finish(),
        }
    });
}
