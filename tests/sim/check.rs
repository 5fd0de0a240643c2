//! The invariants: one function each, over what the core sends and what is left when all is quiet.

use crate::text::{Text, bracketed};
use imsbox::base::time::{Duration, Instant};
use imsbox::proto::flow::Flow;
use imsbox::wire::sip::{Index, Message};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;

/// 64*T1.
const TRANSACTION: Duration = Duration::from_secs(128);

/// Call-ID, the sender's tag and the other's; the latter empty in what founds a dialog.
type DialogKey = (String, String, String);

/// What the checks remember of a run.
#[derive(Default)]
pub struct Checks {
    /// Where the answers to each request may go, by branch: a repetition may go through newer security associations.
    requests: HashMap<String, Vec<SocketAddr>>,
    /// What somebody forged: branch and method.
    forged: HashSet<(String, String)>,
    /// The requests that we sent, by Call-ID, From tag and To tag: the branch and the method of each CSeq.
    cseq: HashMap<DialogKey, BTreeMap<u32, (String, String)>>,
    /// The RSeq of the last reliable answer that we sent, by Call-ID and To tag, with what it said.
    rseq: HashMap<(String, String), BTreeMap<u32, String>>,
    /// The session descriptions that we sent, by Call-ID, our tag and the other's: the version and the text of the last one, and the
    /// messages.
    versions: HashMap<DialogKey, (u64, String, HashSet<String>)>,
    /// Requests that came to us in clear text, by branch and method.
    came: HashSet<(String, String)>,
    /// The final code that each request was answered with, by branch and method.
    finals: HashMap<(String, String), (Instant, u16)>,
}

impl Checks {
    /// Remembers a request that a phone sent.
    pub fn phone_sent(&mut self, octets: &str, from: SocketAddr) {
        let text = Text::read(octets.as_bytes());
        if text.code() == 0 {
            let known = self.requests.entry(text.branch().to_owned()).or_default();
            if !known.contains(&from) {
                known.push(from);
            }
        }
    }

    /// Remembers a request that somebody forged in clear.
    pub fn forger_sent(&mut self, octets: &str) {
        let text = Text::read(octets.as_bytes());
        self.forged.insert((text.branch().to_owned(), text.method().to_owned()));
    }

    /// Whether a message of the core, in clear, answers what somebody forged; it must be a refusal.
    pub fn answers_forgery(&self, text: &Text) -> bool {
        let is_it = self.forged.contains(&(text.branch().to_owned(), text.method().to_owned()));
        // RFC 3261 9.2: a CANCEL is answered 200 where it finds an INVITE, be it only the forger's own, refused already
        let is_own = text.method() == "CANCEL"
            && self.forged.contains(&(text.branch().to_owned(), "INVITE".to_owned()));
        let is_taken = is_it && !is_own && (101..300).contains(&text.code());
        assert!(!is_taken, "a forged {} was taken", text.get("CSeq"));
        is_it && text.code() != 0
    }

    /// Whether a request came from this address.
    pub fn came_from(&self, branch: &str, addr: SocketAddr) -> bool {
        self.requests.get(branch).is_some_and(|known| known.contains(&addr))
    }

    /// Checks one message of the core.
    pub fn core_sent(&mut self, now: Instant, octets: &[u8], flow: Flow) {
        parses_strictly(octets);
        let text = Text::read(octets);
        match text.code() {
            0 => {
                keeps_the_agreement(&text);
                self.cseq_rises(&text);
            }
            _ => {
                self.response_goes_where_via_says(&text, flow);
                self.one_final_answer(now, &text);
                self.rseq_rises(&text);
            }
        }
    }

    /// Takes note of a request that came to the core.
    pub fn core_got(&mut self, octets: &[u8]) {
        let text = Text::read(octets);
        // RFC 4320 4.2: nobody says 408 to other requests, so that those which nobody answers have no answer
        let always = matches!(text.method(), "INVITE" | "BYE" | "CANCEL" | "REGISTER" | "SUBSCRIBE");
        if text.code() == 0 && always {
            self.came.insert((text.branch().to_owned(), text.method().to_owned()));
        }
    }

    /// Each request that came has had its final answer.
    pub fn everything_was_answered(&self) {
        let left: Vec<_> = self.came.iter().filter(|key| !self.finals.contains_key(*key)).collect();
        assert!(left.is_empty(), "requests that were never answered: {left:?}");
    }

    /// A new request of a dialog has a higher CSeq than all before it in its direction (RFC 3261 12.2.1.1); an ACK of a 2xx has
    /// that of its INVITE (13.2.2.4).
    fn cseq_rises(&mut self, text: &Text) {
        if text.method() == "CANCEL" {
            return;
        }
        // a text goes to several contacts as one (RFC 3261 16.6), to each of them once
        let contact = if text.method() == "MESSAGE" { text.start.as_str() } else { "" };
        let call_id = text.get("Call-ID").to_owned() + contact;
        let key = |to: &str| (call_id.clone(), text.tag_of_from().to_owned(), to.to_owned());
        // each dialog that an INVITE has founded goes on from there
        let founding = self.cseq.get(&key("")).cloned().unwrap_or_default();
        let sent = self.cseq.entry(key(text.tag_of_to())).or_insert(founding);
        let known = sent.get(&text.cseq());
        if text.method() == "ACK" {
            assert!(known.is_some_and(|(_, method)| method == "INVITE"), "an ACK of nothing: {}", text.start);
            return;
        }
        let this = (text.branch().to_owned(), text.method().to_owned());
        if let Some(known) = known {
            assert_eq!(*known, this, "CSeq {} used twice in one direction: {}", text.cseq(), text.start);
            return;
        }
        let last = sent.last_key_value().map_or(0, |(number, _)| *number);
        assert!(text.cseq() > last, "CSeq {} after {last}: {}", text.cseq(), text.start);
        sent.insert(text.cseq(), this);
    }

    /// RFC 3262 3: each reliable answer has the next number, and one that comes again says the same.
    fn rseq_rises(&mut self, text: &Text) {
        let Ok(rseq) = text.get("RSeq").parse::<u32>() else { return };
        let key = (text.get("Call-ID").to_owned(), text.tag_of_to().to_owned());
        let sent = self.rseq.entry(key).or_default();
        let this = format!("{} {}", text.start, text.body);
        match (sent.get(&rseq), sent.last_key_value()) {
            (Some(before), _) => assert_eq!(*before, this, "RSeq {rseq} twice"),
            (None, Some((last, _))) => assert_eq!(rseq, last + 1, "RSeq after {last}: {}", text.start),
            (None, None) => {}
        }
        sent.insert(rseq, this);
    }

    /// RFC 3264 8: on a network that keeps the order, what a phone is told has a version that never goes back, and another one
    /// when it says something else.
    pub fn versions_rise(&mut self, octets: &[u8]) {
        let text = Text::read(octets);
        let Some(origin) = text.body.lines().find_map(|l| l.strip_prefix("o=")) else { return };
        let (from, to) = (text.tag_of_from().to_owned(), text.tag_of_to().to_owned());
        let (ours, theirs) = if text.code() == 0 { (from, to) } else { (to, from) };
        let key = |theirs: String| (text.get("Call-ID").to_owned(), ours.clone(), theirs);
        let version: u64 = origin.split(' ').nth(2).and_then(|v| v.parse().ok()).expect("a version");
        let what = format!("{} {} {} {}", text.start, text.get("CSeq"), text.branch(), text.get("RSeq"));
        let first = || (version, text.body.clone(), HashSet::new());
        let founding = self.versions.get(&key(String::new())).cloned().unwrap_or_else(first);
        let (last, said, messages) = self.versions.entry(key(theirs)).or_insert(founding);
        // a message that goes again says what it has said
        if !messages.insert(what) {
            return;
        }
        assert!(version >= *last, "version {version} after {last}: {}", text.start);
        let same = version > *last || text.body == *said;
        assert!(same, "version {version} says another thing: {}\n{said}\n{}", text.start, text.body);
        (*last, *said) = (version, text.body.clone());
    }

    /// RFC 3261 18.2.2, RFC 3581 4: the source of the request.
    fn response_goes_where_via_says(&self, text: &Text, flow: Flow) {
        let from = self
            .requests
            .get(text.branch())
            .unwrap_or_else(|| panic!("a response without request: {}", text.start));
        assert!(
            from.contains(&flow.remote),
            "{} for {} went to {}, not {from:?}",
            text.start,
            text.get("CSeq"),
            flow.remote
        );
    }

    /// Every request has one final response, as long as its transaction lives (64*T1 from the answer on); a copy of the request
    /// that the network held back for longer than that is a new one to anybody.
    fn one_final_answer(&mut self, now: Instant, text: &Text) {
        let code = text.code();
        if code < 200 {
            return;
        }
        let key = (text.branch().to_owned(), text.method().to_owned());
        let (since, first) = *self.finals.entry(key).or_insert((now, code));
        let lives = now.since(since) < TRANSACTION;
        assert!(first == code || !lives, "two final answers to one {}: {first}, {code}", text.get("CSeq"));
    }
}

/// TS 24.229 5.2.6.3: what a phone and its P-CSCF agreed is not for others.
fn keeps_the_agreement(text: &Text) {
    let is_of_it = |(name, value): &&(String, String)| {
        name.starts_with("Security-") || name.ends_with("Require") && value.contains("sec-agree")
    };
    let found = text.headers.iter().find(is_of_it);
    assert!(found.is_none(), "{} was passed on with {found:?}", text.start);
}

/// What we send has every header that a message needs, once, and a body as long as it says.
fn parses_strictly(octets: &[u8]) {
    let mut index = Index::new();
    let shown = || String::from_utf8_lossy(octets).into_owned();
    let message = Message::parse(octets, &mut index).unwrap_or_else(|e| panic!("{e}: {}", shown()));
    message.check().unwrap_or_else(|d| panic!("{d}: {}", shown()));
    let text = Text::read(octets);
    assert_eq!(text.get("Content-Length"), text.body.len().to_string(), "{}", shown());
    assert!(text.code() != 0 || message.max_forwards().is_some(), "no Max-Forwards: {}", shown());
    let needs_contact = match text.method() {
        "INVITE" => text.code() == 0 || (200..300).contains(&text.code()),
        "NOTIFY" => text.code() == 0,
        "SUBSCRIBE" => (200..300).contains(&text.code()),
        _ => false,
    };
    assert!(!needs_contact || bracketed(text.get("Contact")).starts_with("sip:"), "no Contact: {}", shown());
}
