//! Texts: a phone sends one outside of any call (RFC 3428), and takes those of others. Each body is different, so that everybody
//! can tell whose it is and whether it came before.

use super::*;

/// How a phone answers a text; its sender decides that, in a header that the server does not know. 0: not at all.
pub type Reply = u16;

/// A text that was sent.
pub struct Sent {
    body: String,
    to_echo: bool,
    result: Option<u16>,
    /// The only answer that it may have on a perfect network.
    expected: Option<u16>,
}

impl Phone {
    /// Sends a text.
    pub fn text(&mut self, now: Instant, to: &str, reply: Reply, want: &mut Wants) {
        let (call_id, tag, branch) = (self.fresh("m"), self.fresh("t"), self.fresh("z9hG4bK"));
        let body = format!("text {} of {}", self.texts.len(), self.name);
        let octets = format!(
            "MESSAGE {to} SIP/2.0\r\nVia: SIP/2.0/{} {a};branch={branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{}@{DOMAIN}>;tag={tag}\r\nTo: <{to}>\r\nCall-ID: {call_id}\r\nCSeq: 1 MESSAGE\r\nX-Reply: {reply}\r\n\
             Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            self.transport(),
            self.user,
            body.len(),
            a = self.addr,
        );
        let expected = match reply {
            _ if to.contains("404") => 404,
            // who is never there has it kept
            _ if to.contains("away") => 202,
            _ if to.contains("666") => 200,
            0 => 480,
            code => code,
        };
        let at = self.texts.len();
        self.texts.push(Sent { body, to_echo: to.contains("666"), result: None, expected: Some(expected) });
        self.start(now, branch, "MESSAGE", octets, Purpose::Text(at), want);
    }

    /// The final answer to a text: the first one counts, and there is no other.
    pub(super) fn on_text_answer(&mut self, at: usize, code: u16) {
        let text = &mut self.texts[at];
        assert_ne!(code, 408, "{}: RFC 4320 4.2: nobody says 408 to a MESSAGE", self.name);
        assert_eq!(text.result.replace(code), None, "{}: another answer to {}", self.name, text.body);
        self.seen.texted += u64::from(code == 200);
    }

    /// A text comes: from another phone, or back from the echo number.
    pub(super) fn on_text(&mut self, text: &Text, want: &mut Wants) {
        assert!(
            self.is_own(text.start.split(' ').nth(1).unwrap_or_default()),
            "{}: {}",
            self.name,
            text.start
        );
        assert!(
            self.kind == Kind::Subscriber,
            "{}: a text to who has registered to call for help",
            self.name
        );
        assert!(!text.get("P-Asserted-Identity").is_empty(), "{}: whose is it", self.name);
        assert!(text.get("Contact").is_empty(), "{}: a MESSAGE founds no dialog", self.name);
        let is_echo = text.get("From").contains("<tel:666>");
        // what was kept while the phone was away comes as the SMS centre writes it
        if !is_echo && text.get("X-Reply").is_empty() {
            return self.on_kept_text(text, want);
        }
        assert_eq!(text.get("Content-Type"), "text/plain", "{}", self.name);
        let before = self.inbox.insert(text.body.clone(), text.branch().to_owned());
        assert_eq!(before.filter(|b| b != text.branch()), None, "{}: {} came twice", self.name, text.body);
        if is_echo {
            let is_own = self.texts.iter().any(|t| t.body == text.body);
            assert!(is_own, "{}: the echo of nothing: {}", self.name, text.body);
            self.seen.echoed += 1;
        }
        let reply = if is_echo { 200 } else { text.get("X-Reply").parse().expect("unknown headers pass") };
        if reply != 0 {
            self.respond(text, reply, "reply", "", want);
        }
    }

    /// A text that waited for the phone. It comes again where its answer was lost, and never as another's.
    fn on_kept_text(&mut self, text: &Text, want: &mut Wants) {
        assert_eq!(text.get("Content-Type"), "text/plain;charset=UTF-8", "{}", self.name);
        let before = self.inbox.insert(text.body.clone(), String::new());
        assert!(before.is_none_or(|b| b.is_empty()), "{}: {} came twice", self.name, text.body);
        self.respond(text, 200, "reply", "", want);
    }

    /// The texts that were answered 200 by another phone, by their bodies.
    pub fn delivered(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().filter(|t| t.result == Some(200) && !t.to_echo).map(|t| t.body.as_str())
    }

    /// Whether a text came here.
    pub fn has_text(&self, body: &str) -> bool {
        self.inbox.contains_key(body)
    }

    /// How the answers to this phone's texts differ from what was planned.
    pub fn broken_texts(&self) -> Vec<String> {
        let is_missed = |t: &Sent| t.to_echo && !self.has_text(&t.body);
        let broken = |t: &&Sent| t.expected.is_some() && (t.expected != t.result || is_missed(t));
        let say =
            |t: &Sent| format!("{}: {}: wanted {:?}, got {:?}", self.name, t.body, t.expected, t.result);
        self.texts.iter().filter(broken).map(say).collect()
    }

    /// The phone has lost all that it knew: nobody waits for the answers any more.
    pub(super) fn forget_texts(&mut self) {
        self.texts.iter_mut().filter(|t| t.result.is_none()).for_each(|t| t.expected = None);
    }
}
