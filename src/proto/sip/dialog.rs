//! Dialogs (RFC 3261 12): what two user agents share between the requests of one call or subscription.
//!
//! A dialog is made by the request and the response that create it, gives the head of each request inside it, and checks the
//! order of those that come. It is lenient: tags may be missing (RFC 2543 peers), and so may Contact. It does not
//! retransmit, send, or know which methods make sense.

use crate::base::hash::HashKey;
use crate::proto::flow::Flow;
use crate::wire::sip::text::{trim, trim_end};
use crate::wire::sip::{HeaderId, Message, Method, NameAddr, Writer};

/// Whether the creating request has its 2xx.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// A provisional response with a tag.
    Early,
    /// A 2xx.
    Confirmed,
}

/// Finds a dialog: Call-ID, local tag and remote tag in one number. The local tag, which no peer can guess, is the hash's key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct DialogKey(u128);

impl DialogKey {
    /// The key of a dialog with these parts.
    pub fn new(call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> Self {
        let mut head = [0; 16];
        let length = local_tag.len().min(head.len());
        head[..length].copy_from_slice(&local_tag[..length]);
        let (k0, k1) = head.split_at(8);
        let word = |half: &[u8]| half.iter().fold(0u64, |w, &o| w << 8 | u64::from(o));
        let mut h = HashKey::new(word(k0), word(k1)).hasher();
        DialogKey(h.field(local_tag).field(call_id).field(remote_tag).finish())
    }

    /// The number, for a `base::hash::HashedMap`.
    pub fn to_bits(self) -> u128 {
        self.0
    }
}

/// One dialog.
#[derive(Clone, Debug)]
pub struct Dialog {
    state: State,
    is_uac: bool,
    call_id: Box<[u8]>,
    local_tag: Box<[u8]>,
    remote_tag: Box<[u8]>,
    /// The local From or To value without its tag.
    local: Box<[u8]>,
    /// The peer's From or To value without its tag.
    remote: Box<[u8]>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    remote_target: Box<[u8]>,
    /// Route values, the next hop first.
    route_set: Vec<Box<[u8]>>,
    flow: Flow,
}

impl Dialog {
    /// The dialog that our response to `request` creates, with `local_tag` in its To (RFC 3261 12.1.1). It is early until
    /// [`Dialog::confirm`].
    pub fn uas(request: &Message<'_>, local_tag: &[u8], flow: Flow) -> Dialog {
        let remote = request.header(HeaderId::From).unwrap_or_default();
        Dialog {
            state: State::Early,
            is_uac: false,
            call_id: request.call_id().unwrap_or_default().into(),
            local_tag: local_tag.into(),
            remote_tag: request.from().and_then(|f| f.tag()).unwrap_or_default().into(),
            local: without_tag(request.header(HeaderId::To).unwrap_or_default()),
            remote: without_tag(remote),
            local_cseq: 0,
            remote_cseq: request.cseq().map(|c| c.number),
            // a request without Contact still says who sent it
            remote_target: contact(request)
                .or_else(|| request.from().map(|f| f.uri_text))
                .unwrap_or_default()
                .into(),
            route_set: request.values(HeaderId::RecordRoute).map(Into::into).collect(),
            flow,
        }
    }

    /// The dialog that `response` to our `request` creates (RFC 3261 12.1.2): early by a provisional response with a To tag,
    /// confirmed by a 2xx. `None` when the response creates none.
    pub fn uac(request: &Message<'_>, response: &Message<'_>, flow: Flow) -> Option<Dialog> {
        let remote_tag = response.to().and_then(|t| t.tag());
        let state = match response.status() {
            101..=199 if remote_tag.is_some() => State::Early,
            200..=299 => State::Confirmed,
            _ => return None,
        };
        Some(Dialog {
            state,
            is_uac: true,
            call_id: request.call_id().unwrap_or_default().into(),
            local_tag: request.from().and_then(|f| f.tag()).unwrap_or_default().into(),
            remote_tag: remote_tag.unwrap_or_default().into(),
            local: without_tag(request.header(HeaderId::From).unwrap_or_default()),
            remote: without_tag(request.header(HeaderId::To).unwrap_or_default()),
            local_cseq: request.cseq().map_or(0, |c| c.number),
            remote_cseq: None,
            remote_target: contact(response).unwrap_or(request.request_uri()).into(),
            route_set: reversed_record_route(response),
            flow,
        })
    }

    /// The key by which it is found.
    pub fn id(&self) -> DialogKey {
        DialogKey::new(&self.call_id, &self.local_tag, &self.remote_tag)
    }

    /// The key of the dialog that a message which came belongs to: of a request, the To tag is ours; of a response, the From
    /// tag is. `None` when our tag or the Call-ID is missing.
    pub fn key_of(msg: &Message<'_>) -> Option<DialogKey> {
        let (from, to) = (msg.from()?.tag(), msg.to()?.tag());
        let (local, remote) = if msg.is_request() { (to, from) } else { (from, to) };
        Some(DialogKey::new(msg.call_id()?, local?, remote.unwrap_or_default()))
    }

    /// Takes a request inside the dialog: checks its order and takes over its Contact where the method refreshes the target. The
    /// error is the status that answers it.
    pub fn on_request(&mut self, msg: &Message<'_>) -> Result<(), u16> {
        let method = msg.method();
        // RFC 3261 12.2.2: ACK and CANCEL have the number of their INVITE
        if !matches!(method, Method::Ack | Method::Cancel) {
            let number = msg.cseq().ok_or(400u16)?.number;
            // what repeats a number is no retransmission, or the transaction had absorbed it
            if self.remote_cseq.is_some_and(|last| number <= last) {
                return Err(500);
            }
            self.remote_cseq = Some(number);
        }
        if refreshes_target(method) {
            self.refresh_target(msg);
        }
        Ok(())
    }

    /// Takes a response to a request of ours inside the dialog, or a further one to the request that created it.
    ///
    /// A 2xx to INVITE confirms the dialog, and then the route set is taken from it (RFC 3261 13.2.2.4). The target is taken
    /// from a 2xx (12.2.1.2), and from any response while the dialog is early.
    pub fn on_response(&mut self, response: &Message<'_>) {
        let (status, method) = (response.status(), response.method());
        let is_success = (200..300).contains(&status);
        let is_early = self.state == State::Early;
        if !refreshes_target(method) || !(is_success || is_early && (101..200).contains(&status)) {
            return;
        }
        self.refresh_target(response);
        if is_success && is_early && self.is_uac && creates_dialog(method) {
            self.state = State::Confirmed;
            self.route_set = reversed_record_route(response);
        }
    }

    /// Our 2xx has gone out.
    pub fn confirm(&mut self) {
        self.state = State::Confirmed;
    }

    /// Early or confirmed.
    pub fn state(&self) -> State {
        self.state
    }

    /// The CSeq number of our next request.
    pub fn next_cseq(&mut self) -> u32 {
        // RFC 3261 8.1.1.5: below 2^31
        self.local_cseq = (self.local_cseq + 1) & 0x7fff_ffff;
        self.local_cseq
    }

    /// The CSeq number of our last request; 0 before the first.
    pub fn local_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// The CSeq number of the peer's last request, once there was one.
    pub fn remote_cseq(&self) -> Option<u32> {
        self.remote_cseq
    }

    /// Writes what every request inside the dialog starts with, behind its Via: Max-Forwards, Route, From, To, Call-ID, CSeq
    /// (RFC 3261 12.2.1.1). An ACK has the number of its INVITE.
    pub fn write_head(&self, w: &mut Writer<'_>, method: &str, cseq: u32) {
        w.header("Max-Forwards", "70");
        let strict = self.strict_next_hop().is_some();
        for route in self.route_set.iter().skip(usize::from(strict)) {
            w.header("Route", route);
        }
        if strict {
            w.header_parts("Route", &[b"<", &self.remote_target, b">"]);
        }
        write_address(w, "From", &self.local, &self.local_tag);
        write_address(w, "To", &self.remote, &self.remote_tag);
        w.header("Call-ID", &self.call_id);
        w.header_fmt("CSeq", format_args!("{cseq} {method}"));
    }

    /// The Request-URI of a request inside the dialog: the remote target, or a strict router's URI (RFC 3261 12.2.1.1).
    pub fn request_uri(&self) -> &[u8] {
        self.strict_next_hop().unwrap_or(&self.remote_target)
    }

    /// The peer's Contact URI.
    pub fn remote_target(&self) -> &[u8] {
        &self.remote_target
    }

    /// The route set, the next hop first: Route values.
    pub fn route_set(&self) -> impl Iterator<Item = &[u8]> {
        self.route_set.iter().map(|r| &r[..])
    }

    /// Call-ID.
    pub fn call_id(&self) -> &[u8] {
        &self.call_id
    }

    /// Our tag.
    pub fn local_tag(&self) -> &[u8] {
        &self.local_tag
    }

    /// The peer's tag; empty for an RFC 2543 peer.
    pub fn remote_tag(&self) -> &[u8] {
        &self.remote_tag
    }

    /// Our From or To value, without tag.
    pub fn local_address(&self) -> &[u8] {
        &self.local
    }

    /// The peer's From or To value, without tag.
    pub fn remote_address(&self) -> &[u8] {
        &self.remote
    }

    /// Whether we sent the request that created it.
    pub fn is_uac(&self) -> bool {
        self.is_uac
    }

    /// The path to the peer.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// Changes the path to the peer.
    pub fn set_flow(&mut self, flow: Flow) {
        self.flow = flow;
    }

    fn refresh_target(&mut self, msg: &Message<'_>) {
        if let Some(uri) = contact(msg).filter(|uri| **uri != *self.remote_target) {
            self.remote_target = uri.into();
        }
    }

    /// The first route's URI when it has no `lr`: a strict router (RFC 3261 12.2.1.1).
    fn strict_next_hop(&self) -> Option<&[u8]> {
        let first = NameAddr::parse(self.route_set.first()?)?;
        let uri = first.uri?;
        (!uri.params.has("lr")).then_some(first.uri_text)
    }
}

fn creates_dialog(method: Method) -> bool {
    matches!(method, Method::Invite | Method::Subscribe | Method::Refer | Method::Notify)
}

/// RFC 3261 12.2.1.2, RFC 3311 5.1, RFC 6665 4.4.1: the methods whose Contact replaces the remote target.
fn refreshes_target(method: Method) -> bool {
    matches!(method, Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer)
}

fn contact<'a>(msg: &Message<'a>) -> Option<&'a [u8]> {
    msg.contacts().flatten().next().map(|c| c.uri_text)
}

fn reversed_record_route(response: &Message<'_>) -> Vec<Box<[u8]>> {
    let mut routes: Vec<Box<[u8]>> = response.values(HeaderId::RecordRoute).map(Into::into).collect();
    routes.reverse();
    routes
}

/// A From or To value without its `tag` parameter; all else stays as it came.
fn without_tag(value: &[u8]) -> Box<[u8]> {
    let value = trim(value);
    let Some(params) = NameAddr::parse(value).map(|a| a.params) else { return value.into() };
    let head = value.len() - params.as_bytes().len();
    let mut out = trim_end(&value[..head]).to_vec();
    for param in params.iter().filter(|p| !p.name.eq_ignore_ascii_case(b"tag")) {
        out.push(b';');
        out.extend_from_slice(param.name);
        if let Some(value) = param.value {
            out.push(b'=');
            out.extend_from_slice(value);
        }
    }
    out.into()
}

fn write_address(w: &mut Writer<'_>, name: &str, address: &[u8], tag: &[u8]) {
    match tag {
        [] => w.header(name, address),
        tag => w.header_parts(name, &[address, b";tag=", tag]),
    };
}
