//! Dialogs (RFC 3261 12): what two user agents share between the requests of one call or subscription.
//!
//! A dialog is made by the request and the response that create it, gives the head of each request inside it, and checks the
//! order of those that come. It is lenient: tags may be missing (RFC 2543 peers), and so may Contact. It does not
//! retransmit, send, or know which methods make sense.

use crate::base::hash::HashKey;
use crate::proto::flow::Flow;
use crate::wire::sip::text::{lossy, trim, trim_end};
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
        if is_success && is_early && self.is_uac && method.creates_dialog() {
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

    /// Counts on after this number, where requests may have gone out that this dialog does not know of: gaps do no harm (RFC 3261
    /// 12.2.1.1).
    pub fn count_after(&mut self, number: u32) {
        self.local_cseq = self.local_cseq.max(number);
    }

    /// The CSeq number of the peer's last request, once there was one.
    pub fn remote_cseq(&self) -> Option<u32> {
        self.remote_cseq
    }

    /// Writes what every request inside the dialog starts with, behind its Via: Max-Forwards, Route, From, To, Call-ID, CSeq
    /// (RFC 3261 12.2.1.1). An ACK has the number of its INVITE. The Request-URI that belongs to it is [`Dialog::request_uri`].
    pub fn write_head(&self, w: &mut Writer<'_>, method: &[u8], cseq: u32) {
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
        w.header_fmt("CSeq", format_args!("{cseq} {}", lossy(method)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::flow::LocalId;
    use crate::wire::sip::Index;

    fn flow() -> Flow {
        Flow::udp(LocalId(0), "127.0.0.2:5060".parse().unwrap())
    }

    fn parsed<T>(text: &str, ask: impl FnOnce(&Message<'_>) -> T) -> T {
        ask(&Message::parse(text.as_bytes(), &mut Index::new()).unwrap())
    }

    fn request(method: &str, cseq: u32, from: &str, to: &str, more: &str) -> String {
        format!(
            "{method} sip:b@ims.test SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: {from}\r\nTo: {to}\r\n\
             Call-ID: c1\r\nCSeq: {cseq} {method}\r\n{more}\r\n"
        )
    }

    fn response(status: u16, method: &str, to: &str, more: &str) -> String {
        format!(
            "SIP/2.0 {status} x\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@ims.test>;tag=L\r\nTo: {to}\r\n\
             Call-ID: c1\r\nCSeq: 5 {method}\r\n{more}\r\n"
        )
    }

    const ROUTES: &str =
        "Record-Route: <sip:p1.test;lr>, <sip:[2001:db8::1]:5070;lr>\r\nRecord-Route: <sip:p3.test;lr>\r\n";

    fn uas(more: &str) -> Dialog {
        let text = request(
            "INVITE",
            5,
            "\"A; x\" <sip:a@ims.test>;tag=R;x=1",
            "b <tel:666>",
            &format!("{ROUTES}{more}"),
        );
        parsed(&text, |m| Dialog::uas(m, b"L", flow()))
    }

    fn uac(status: u16, to: &str, more: &str) -> Option<Dialog> {
        let sent = request("INVITE", 5, "<sip:a@ims.test>;tag=L", "<sip:b@ims.test>", "");
        parsed(&sent, |r| parsed(&response(status, "INVITE", to, more), |m| Dialog::uac(r, m, flow())))
    }

    fn head(dialog: &Dialog, method: &str, cseq: u32) -> Vec<String> {
        let mut out = Vec::new();
        let mut w = Writer::request(&mut out, method.as_bytes(), dialog.request_uri());
        dialog.write_head(&mut w, method.as_bytes(), cseq);
        w.finish();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn callee_writes_requests_back_to_the_caller() {
        let mut d = uas("Contact: <sip:a@127.0.0.2:5080;ob>;q=1\r\n");
        assert_eq!((d.state(), d.local_cseq(), d.remote_cseq()), (State::Early, 0, Some(5)));
        d.confirm();
        assert_eq!(d.state(), State::Confirmed);
        let cseq = d.next_cseq();
        assert_eq!(
            head(&d, "BYE", cseq),
            [
                "BYE sip:a@127.0.0.2:5080;ob SIP/2.0",
                "Max-Forwards: 70",
                "Route: <sip:p1.test;lr>",
                "Route: <sip:[2001:db8::1]:5070;lr>",
                "Route: <sip:p3.test;lr>",
                "From: b <tel:666>;tag=L",
                "To: \"A; x\" <sip:a@ims.test>;x=1;tag=R",
                "Call-ID: c1",
                "CSeq: 1 BYE",
                "Content-Length: 0",
                "",
            ]
        );
        assert_eq!(d.next_cseq(), 2);
        d.count_after(1);
        assert_eq!(d.local_cseq(), 2, "never back");
        d.count_after(8);
        assert_eq!(d.next_cseq(), 9);
    }

    #[test]
    fn caller_takes_the_route_backwards() {
        let mut d =
            uac(200, "<sip:b@ims.test>;tag=R", &format!("{ROUTES}Contact: sip:b@127.0.0.3\r\n")).unwrap();
        assert_eq!(
            (d.state(), d.remote_target(), d.is_uac()),
            (State::Confirmed, &b"sip:b@127.0.0.3"[..], true)
        );
        let cseq = d.next_cseq();
        assert_eq!(
            head(&d, "INFO", cseq)[1..9],
            [
                "Max-Forwards: 70",
                "Route: <sip:p3.test;lr>",
                "Route: <sip:[2001:db8::1]:5070;lr>",
                "Route: <sip:p1.test;lr>",
                "From: <sip:a@ims.test>;tag=L",
                "To: <sip:b@ims.test>;tag=R",
                "Call-ID: c1",
                "CSeq: 6 INFO",
            ]
        );
    }

    #[test]
    fn strict_router_gets_its_uri_as_request_uri() {
        let more =
            "Record-Route: <sip:strict.test>\r\nRecord-Route: <sip:p2.test;lr>\r\nContact: <sip:a@h>\r\n";
        let text = request("INVITE", 5, "<sip:a@ims.test>;tag=R", "<sip:b@h>", more);
        let d = parsed(&text, |m| Dialog::uas(m, b"L", flow()));
        assert_eq!(d.request_uri(), b"sip:strict.test");
        assert_eq!(head(&d, "BYE", 1)[2..4], ["Route: <sip:p2.test;lr>", "Route: <sip:a@h>"]);
    }

    #[test]
    fn which_responses_create_a_dialog() {
        assert_eq!(uac(180, "<sip:b@ims.test>;tag=R", "").unwrap().state(), State::Early);
        for (status, to) in
            [(100, "<sip:b>;tag=R"), (180, "<sip:b>"), (302, "<sip:b>;tag=R"), (486, "<sip:b>;tag=R")]
        {
            assert!(uac(status, to, "").is_none(), "{status} {to}");
        }
    }

    #[test]
    fn peers_without_tags_and_contacts_are_served() {
        let d = uac(200, "<sip:b@ims.test>", "").unwrap();
        assert_eq!((d.remote_tag(), d.remote_target()), (&b""[..], &b"sip:b@ims.test"[..]));
        assert!(head(&d, "BYE", 6).contains(&"To: <sip:b@ims.test>".to_owned()));
        let bye = request("BYE", 1, "<sip:b@ims.test>", "<sip:a@ims.test>;tag=L", "");
        assert_eq!(parsed(&bye, Dialog::key_of), Some(d.id()));
        let d = parsed(&request("INVITE", 5, "sip:a@h", "sip:b@h", ""), |m| Dialog::uas(m, b"L", flow()));
        assert_eq!((d.remote_tag(), d.remote_target()), (&b""[..], &b"sip:a@h"[..]));
    }

    #[test]
    fn both_directions_find_the_dialog() {
        let d = uas("");
        let bye = request("BYE", 6, "<sip:a@ims.test>;tag=R", "<tel:666>;tag=L", "");
        assert_eq!(parsed(&bye, Dialog::key_of), Some(d.id()));
        let other = request("BYE", 6, "<sip:a@ims.test>;tag=L", "<tel:666>;tag=R", "");
        assert_ne!(parsed(&other, Dialog::key_of), Some(d.id()));
        let initial = request("INVITE", 6, "<sip:a@ims.test>;tag=R", "<tel:666>", "");
        assert_eq!(parsed(&initial, Dialog::key_of), None);
        let d = uac(180, "<sip:b@ims.test>;tag=R", "").unwrap();
        let ok = response(200, "INVITE", "<sip:b@ims.test>;tag=R", "");
        assert_eq!(parsed(&ok, Dialog::key_of), Some(d.id()));
    }

    #[test]
    fn requests_must_come_in_order() {
        let mut d = uas("");
        let mut on = |method: &str, cseq| {
            let text = request(method, cseq, "<sip:a@ims.test>;tag=R", "<tel:666>;tag=L", "");
            parsed(&text, |m| d.on_request(m))
        };
        assert_eq!(on("ACK", 5), Ok(()));
        assert_eq!(on("INFO", 4), Err(500));
        assert_eq!(on("INFO", 5), Err(500));
        assert_eq!(on("INFO", 9), Ok(()));
        assert_eq!(on("CANCEL", 5), Ok(()));
        assert_eq!(on("BYE", 8), Err(500));
        assert_eq!(on("BYE", 10), Ok(()));
    }

    #[test]
    fn target_follows_invite_and_update_and_nothing_else() {
        let mut d = uas("Contact: <sip:a@h1>\r\n");
        let mut on = |method: &str, cseq, contact: &str| {
            let more = if contact.is_empty() { String::new() } else { format!("Contact: <{contact}>\r\n") };
            let text = request(method, cseq, "<sip:a@ims.test>;tag=R", "<tel:666>;tag=L", &more);
            parsed(&text, |m| d.on_request(m)).unwrap();
            String::from_utf8(d.remote_target().to_vec()).unwrap()
        };
        assert_eq!(on("UPDATE", 6, "sip:a@h2"), "sip:a@h2");
        assert_eq!(on("INFO", 7, "sip:a@h3"), "sip:a@h2");
        assert_eq!(on("INVITE", 8, "sip:a@h4"), "sip:a@h4");
        assert_eq!(on("INVITE", 9, ""), "sip:a@h4");
        let answered = |d: &mut Dialog, status, method: &str| {
            parsed(&response(status, method, "<tel:666>;tag=R", "Contact: <sip:a@h5>\r\n"), |m| {
                d.on_response(m)
            });
            d.remote_target().to_vec()
        };
        d.confirm();
        assert_eq!(answered(&mut d, 180, "INVITE"), b"sip:a@h4");
        assert_eq!(answered(&mut d, 488, "UPDATE"), b"sip:a@h4");
        assert_eq!(answered(&mut d, 200, "INFO"), b"sip:a@h4");
        assert_eq!(answered(&mut d, 200, "UPDATE"), b"sip:a@h5");
    }

    #[test]
    fn success_confirms_an_early_dialog_with_its_own_route() {
        let to = "<sip:b@ims.test>;tag=R";
        let mut d = uac(180, to, "Record-Route: <sip:old;lr>\r\n").unwrap();
        assert_eq!(d.remote_target(), b"sip:b@ims.test");
        parsed(&response(183, "INVITE", to, "Contact: <sip:b@h1>\r\n"), |m| d.on_response(m));
        assert_eq!((d.state(), d.remote_target()), (State::Early, &b"sip:b@h1"[..]));
        // an UPDATE's 2xx does not confirm
        parsed(&response(200, "UPDATE", to, ""), |m| d.on_response(m));
        assert_eq!(d.state(), State::Early);
        parsed(&response(200, "INVITE", to, &format!("{ROUTES}Contact: <sip:b@h2>\r\n")), |m| {
            d.on_response(m)
        });
        assert_eq!(
            (d.state(), d.remote_target(), d.route_set().count()),
            (State::Confirmed, &b"sip:b@h2"[..], 3)
        );
        // later ones leave the route set alone (RFC 3261 12.2.1.2)
        parsed(&response(200, "INVITE", to, ""), |m| d.on_response(m));
        assert_eq!(d.route_set().count(), 3);
    }

    #[test]
    fn tags_are_cut_out_of_addresses() {
        for (value, want) in [
            ("<sip:a@h>;tag=x", "<sip:a@h>"),
            ("\"t;tag=9\" <sip:a@h;tag=u> ; tag=x ;y", "\"t;tag=9\" <sip:a@h;tag=u>;y"),
            ("sip:a@h;TAG=x", "sip:a@h"),
            ("<sip:a@h>", "<sip:a@h>"),
            ("no address", "no address"),
        ] {
            assert_eq!(String::from_utf8_lossy(&without_tag(value.as_bytes())), want);
        }
    }
}
