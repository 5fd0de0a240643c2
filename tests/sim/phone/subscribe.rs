//! A phone subscribes to its own registration (RFC 3680), and holds every NOTIFY against what it must be.

use super::*;
use std::collections::BTreeMap;

/// How long strict phones wait for the NOTIFY before they give their registration up.
const STRICT: Duration = Duration::from_secs(21);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    Asking,
    Active,
    Ended,
}

/// One subscription.
pub(super) struct Watch {
    pub(super) life: Life,
    pub(super) call_id: String,
    pub(super) local_tag: String,
    remote: String,
    target: String,
    cseq: u32,
    /// The documents that came: version and CSeq.
    versions: BTreeMap<u32, u32>,
    /// How many NOTIFYs had come when the last SUBSCRIBE was taken.
    notified_before: usize,
    /// The contacts of the newest document, for each identity: URI and state.
    pub(super) newest: BTreeMap<String, Vec<(String, String)>>,
}

impl Phone {
    /// Has a subscription made, refreshed or ended.
    pub(super) fn send_subscribe(&mut self, now: Instant, expires: u64, want: &mut Wants) {
        let live = self.watches.iter().position(|w| w.life != Life::Ended);
        if live.is_some_and(|at| self.watches[at].life == Life::Asking) {
            return;
        }
        let at = live.unwrap_or_else(|| {
            let (call_id, local_tag) = (self.fresh("w"), self.fresh("t"));
            self.watches.push(Watch {
                life: Life::Asking,
                call_id,
                local_tag,
                remote: format!("<sip:{}@{DOMAIN}>", self.user),
                target: format!("sip:{}@{DOMAIN}", self.user),
                cseq: 0,
                versions: BTreeMap::new(),
                notified_before: 0,
                newest: BTreeMap::new(),
            });
            self.watches.len() - 1
        });
        self.watches[at].cseq += 1;
        let branch = self.fresh("z9hG4bK");
        let (watch, transport, user) = (&self.watches[at], self.transport(), &self.user);
        let octets = format!(
            "SUBSCRIBE {} SIP/2.0\r\nVia: SIP/2.0/{transport} {a};branch={branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{DOMAIN}>;tag={}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} SUBSCRIBE\r\nContact: {}\r\n\
             Event: reg\r\nAccept: application/reginfo+xml\r\nExpires: {expires}\r\nContent-Length: 0\r\n\r\n",
            watch.target,
            watch.local_tag,
            watch.remote,
            watch.call_id,
            watch.cseq,
            self.contact(),
            a = self.addr,
        );
        self.start(now, branch, "SUBSCRIBE", octets, Purpose::Subscribe(at), want);
    }

    pub(super) fn on_subscribe_answer(&mut self, now: Instant, at: usize, code: u16, text: &Text) {
        let watch = &mut self.watches[at];
        if code == 200 {
            self.seen.subscribed += 1;
            if watch.life == Life::Asking {
                watch.life = Life::Active;
            }
            watch.remote = text.get("To").to_owned();
            watch.target = bracketed(text.get("Contact")).to_owned();
            let expires: u64 = text.get("Expires").parse().expect("a 200 to SUBSCRIBE says how long");
            assert!(expires <= self.watch_secs, "{}: longer than was asked for", self.name);
            self.timers.push((now + STRICT, Timer::Notified(at, watch.notified_before)));
            watch.notified_before = watch.versions.len();
            if expires > 0 {
                self.subscribe_in(now, expires / 2);
            }
            return;
        }
        let never = [400, 405, 406, 420, 423, 489];
        assert!(!never.contains(&code), "{}: SUBSCRIBE answered {}", self.name, text.start);
        self.on_subscribe_failure(now, at, code);
    }

    /// No subscription after all, or no more; or, after 500 and 503, not yet.
    pub(super) fn on_subscribe_failure(&mut self, now: Instant, at: usize, code: u16) {
        if !matches!(code, 500 | 503) || self.watches[at].life == Life::Asking {
            self.watches[at].life = Life::Ended;
        }
        self.subscribe_in(now, 5);
    }

    /// A SUBSCRIBE is due; a registered phone sends it.
    pub(super) fn subscribe_in(&mut self, now: Instant, secs: u64) {
        self.timers.retain(|(_, timer)| !matches!(timer, Timer::Subscribe));
        if self.is_watching() && self.wants_registration {
            self.timers.push((now + Duration::from_secs(secs), Timer::Subscribe));
        }
    }

    pub(super) fn on_subscribe_timer(&mut self, now: Instant, want: &mut Wants) {
        if self.registered && self.wants_registration {
            self.send_subscribe(now, self.watch_secs, want);
        }
    }

    /// A strict phone would give up now.
    pub(super) fn on_notified_timer(&mut self, at: usize, before: usize) {
        if self.watches[at].versions.len() <= before {
            self.seen.unnotified += 1;
        }
    }

    /// A NOTIFY in the dialog of a subscription.
    pub(super) fn on_notify(&mut self, now: Instant, at: usize, text: &Text, want: &mut Wants) {
        if self.watches[at].life == Life::Ended {
            self.respond(text, 481, "", "", want);
            return;
        }
        self.seen.notified += 1;
        let (name, own) = (self.name.clone(), bracketed(&self.contact()).to_owned());
        assert_eq!(text.start, format!("NOTIFY {own} SIP/2.0"), "{name}");
        assert_eq!(
            (text.get("Event"), text.get("Content-Type")),
            ("reg", "application/reginfo+xml"),
            "{name}"
        );
        let watch = &mut self.watches[at];
        if watch.remote.contains(";tag=") {
            assert_eq!(watch.remote, text.get("From"), "{name}: another dialog");
        }
        watch.remote = text.get("From").to_owned();
        let version: u32 = attribute(&text.body, "version").parse().expect("a version");
        let cseq = text.cseq();
        let is_newest = watch.versions.keys().all(|v| *v < version);
        for (v, c) in &watch.versions {
            assert_eq!(*v < version, *c < cseq, "{name}: version {version} has CSeq {cseq}, {v} had {c}");
        }
        assert_eq!(watch.versions.insert(version, cseq), None, "{name}: version {version} twice");
        let contacts = read_contacts(&text.body);
        let states: Vec<&(String, String)> = contacts.values().flatten().filter(|c| c.0 == own).collect();
        assert_eq!(states.len(), contacts.len(), "{name}: each identity has this phone: {}", text.body);
        let is_gone = states.iter().all(|c| c.1 == "terminated");
        assert!(version > 0 || !is_gone, "{name}: the first document has this phone registered");
        let state = text.get("Subscription-State");
        let is_over = state.starts_with("terminated;reason=");
        assert!(is_over || state.starts_with("active;expires="), "{name}: {state}");
        assert!(is_over || !is_gone, "{name}: {state} although the phone is no longer registered");
        if is_newest {
            watch.newest = contacts;
        }
        if is_over {
            watch.life = Life::Ended;
            self.subscribe_in(now, 1);
        }
        self.respond(text, 200, "", "", want);
    }

    /// The contacts of each identity, as this phone knows them; `None` when it has no subscription.
    pub fn known_contacts(&self) -> Option<&BTreeMap<String, Vec<(String, String)>>> {
        self.watches.iter().find(|w| w.life == Life::Active).map(|w| &w.newest)
    }

    /// Versions that never came although later ones did.
    pub fn missed_versions(&self) -> u64 {
        let missed = |w: &Watch| {
            w.versions.keys().last().map_or(0, |last| u64::from(*last) + 1) - w.versions.len() as u64
        };
        self.watches.iter().map(missed).sum()
    }
}

/// The value of the first attribute of this name.
fn attribute<'a>(text: &'a str, name: &str) -> &'a str {
    // the XML declaration has a version too
    let text = text.split_once("?>").map_or(text, |(_, rest)| rest);
    let at = text.find(&format!(" {name}=\"")).unwrap_or_else(|| panic!("no {name} in {text}"));
    text[at + name.len() + 3..].split('"').next().expect("a closing quote")
}

fn read_contacts(body: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let registrations = body.split("<registration").skip(1);
    let read = |registration: &str| {
        let contacts = registration.split("<contact").skip(1);
        let contact = |c: &str| {
            let uri = c.split_once("<uri>").and_then(|(_, rest)| rest.split_once("</uri>")).expect("a URI").0;
            (uri.to_owned(), attribute(c, "state").to_owned())
        };
        (attribute(registration, "aor").to_owned(), contacts.map(contact).collect())
    };
    registrations.map(read).collect()
}
