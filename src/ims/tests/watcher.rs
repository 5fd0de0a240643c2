//! A phone that subscribes to its registration: it keeps the dialog, and holds every NOTIFY against what it must be.

use super::phone::Phone;
use super::tree::Node;
use super::{Lab, Sent, config};
use crate::config::model::{AuthentType, Config};
use crate::proto::flow::Flow;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts subscribers, so that no two share a Call-ID and with it their branches.
static WATCHERS: AtomicU32 = AtomicU32::new(0);

/// One subscriber.
pub(super) struct Watcher {
    pub(super) flow: Flow,
    /// From and To value of its requests.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) contact: String,
    pub(super) uri: String,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    /// The version that the next document must have, and the CSeq number that its NOTIFY must exceed.
    pub(super) version: u32,
    pub(super) notify_cseq: u32,
}

/// alice, who need not prove anything, has two identities that may be seen and a barred one; bob is as in [`config`].
pub(super) fn open_config() -> Config {
    let mut config = config();
    config.users[0].authent_type = AuthentType::None;
    let mut barred = crate::config::model::Impu::new("sip:001010000000001@ims.test");
    barred.barred = true;
    config.users[0].impus.push(barred);
    config
}

/// A core at which this phone has registered.
pub(super) fn registered(phone: &mut Phone) -> Lab {
    let mut lab = Lab::new(open_config());
    assert_eq!(phone.ask(&mut lab, "Expires: 3600\r\n").status(), 200);
    lab
}

impl Watcher {
    /// A subscriber on this phone.
    pub(super) fn new(phone: &Phone) -> Watcher {
        let number = WATCHERS.fetch_add(1, Ordering::Relaxed);
        Watcher {
            flow: phone.flow(),
            from: format!("<{}>;tag=w{number}", phone.aor),
            to: format!("<{}>", phone.aor),
            contact: phone.contact.clone(),
            uri: phone.aor.clone(),
            call_id: format!("watch{number}"),
            cseq: 0,
            version: 0,
            notify_cseq: 0,
        }
    }

    /// A subscriber on this phone whose SUBSCRIBE got its 200 and its first NOTIFY, which is answered.
    pub(super) fn subscribed(lab: &mut Lab, phone: &Phone, expires: u32) -> Watcher {
        let mut watcher = Watcher::new(phone);
        let (ok, notify) = watcher.subscribe(lab, &format!("Event: reg\r\nExpires: {expires}\r\n"));
        assert_eq!(ok.status(), 200, "{}", ok.text);
        watcher.read(&notify);
        watcher.answer(lab, &notify, 200);
        watcher
    }

    /// A SUBSCRIBE with these headers.
    pub(super) fn text(&mut self, headers: &str) -> String {
        self.cseq += 1;
        let Watcher { flow, from, to, contact, uri, call_id, cseq, .. } = self;
        let (transport, address) = (flow.transport.via_token(), flow.remote);
        format!(
            "SUBSCRIBE {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} {address};branch=z9hG4bK{call_id}-{cseq};rport\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} SUBSCRIBE\r\n\
             Contact: {contact}\r\n{headers}Content-Length: 0\r\n\r\n"
        )
    }

    /// Sends a SUBSCRIBE that is refused.
    pub(super) fn refused(&mut self, lab: &mut Lab, headers: &str) -> Sent {
        let text = self.text(headers);
        lab.ask(self.flow, text)
    }

    /// Sends a SUBSCRIBE that is taken: the 200 and the NOTIFY.
    pub(super) fn subscribe(&mut self, lab: &mut Lab, headers: &str) -> (Sent, Sent) {
        let text = self.text(headers);
        let mut sent = lab.on_sip(self.flow, text);
        assert_eq!(sent.len(), 2, "{sent:#?}");
        let notify = sent.pop().expect("two");
        let ok = sent.pop().expect("two");
        self.to = ok.one("To").to_owned();
        self.uri = ok.one("Contact").trim_matches(['<', '>']).to_owned();
        (ok, notify)
    }

    /// Holds a NOTIFY against the dialog, the version and the form that it must have; gives the document.
    pub(super) fn read(&mut self, notify: &Sent) -> Node {
        let document = self.read_any_version(notify);
        assert_eq!(document.get("version"), self.version.to_string());
        self.version += 1;
        document
    }

    /// Likewise, but a version may have been missed.
    pub(super) fn read_any_version(&mut self, notify: &Sent) -> Node {
        let target = self.contact.trim_matches(['<', '>']);
        assert!(notify.text.starts_with(&format!("NOTIFY {target} SIP/2.0\r\n")), "{}", notify.text);
        assert_eq!((notify.one("From"), notify.one("To")), (self.to.as_str(), self.from.as_str()));
        assert_eq!((notify.one("Call-ID"), notify.one("Max-Forwards")), (self.call_id.as_str(), "70"));
        let cseq: u32 = notify.one("CSeq").trim_end_matches(" NOTIFY").parse().expect("a number");
        assert!(cseq > self.notify_cseq, "CSeq {cseq} after {}", self.notify_cseq);
        self.notify_cseq = cseq;
        assert!(notify.one("Contact").starts_with("<sip:"), "{}", notify.text);
        assert!(notify.one("Event").starts_with("reg"), "{}", notify.text);
        assert_eq!(notify.one("Content-Type"), "application/reginfo+xml");
        let body = notify.text.split_once("\r\n\r\n").expect("an empty line").1;
        assert_eq!(notify.one("Content-Length"), body.len().to_string());
        let document = Node::read(body);
        assert_eq!((document.name.as_str(), document.get("state")), ("reginfo", "full"));
        assert_eq!(document.get("xmlns"), "urn:ietf:params:xml:ns:reginfo");
        document
    }

    /// Answers a NOTIFY; gives what the core sends upon that.
    pub(super) fn answer(&self, lab: &mut Lab, notify: &Sent, status: u16) -> Vec<Sent> {
        let mut text = format!("SIP/2.0 {status} Phone says\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            text += &format!("{name}: {}\r\n", notify.one(name));
        }
        lab.on_sip(self.flow, text + "Content-Length: 0\r\n\r\n")
    }
}

/// The contacts of a document's registration of this identity: URI, state and event.
pub(super) fn contacts(document: &Node, aor: &str) -> Vec<(String, String, String)> {
    let registration = document.all("registration").find(|r| r.get("aor") == aor);
    let registration = registration.unwrap_or_else(|| panic!("no {aor} in {document:#?}"));
    let contact = |c: &Node| (c.text_of("uri").into(), c.get("state").into(), c.get("event").into());
    registration.all("contact").map(contact).collect()
}

/// One message, which must be a NOTIFY.
pub(super) fn one(mut sent: Vec<Sent>) -> Sent {
    assert_eq!(sent.len(), 1, "{sent:#?}");
    assert!(sent[0].text.starts_with("NOTIFY "), "{}", sent[0].text);
    sent.remove(0)
}
