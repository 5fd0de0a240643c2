//! The session descriptions of one dialog as a phone keeps them (RFC 3264, RFC 3312): what it says, what it hears, and whose
//! offer waits for its answer.

use crate::text::Text;
use std::net::{IpAddr, SocketAddr};

/// Whose offer waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Nobody,
    Ours,
    Theirs,
}

/// Preconditions, while they are in use: whose bearer is there, as this phone knows, and what it has said of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Qos {
    pub local: bool,
    pub remote: bool,
    pub told: bool,
}

#[derive(Clone, Debug)]
pub struct Media {
    ip: IpAddr,
    version: u32,
    said: String,
    heard: String,
    /// What it heard first: a 2xx that is late says that again, whatever has been agreed since (RFC 3261 13.2.1).
    first: String,
    pub holds: bool,
    pub video: bool,
    has_video_line: bool,
    pub takes_video: bool,
    pub qos: Option<Qos>,
    pub turn: Turn,
    /// Whether it held, had video and had a line for it before the offer that waits.
    before: (bool, bool, bool),
}

/// The part of a description from one media line to the next.
fn stream<'a>(body: &'a str, kind: &str) -> Option<&'a str> {
    let at = body.find(&format!("m={kind} "))?;
    let rest = &body[at..];
    Some(rest[2..].find("m=").map_or(rest, |end| &rest[..end + 2]))
}

fn runs(stream: &str) -> bool {
    !stream.split(' ').nth(1).expect("a port").starts_with('0')
}

/// Whether its sender sends, and receives.
fn direction(stream: &str) -> (bool, bool) {
    let is = |word: &str| stream.contains(&format!("a={word}\r\n"));
    match () {
        () if is("inactive") => (false, false),
        () if is("sendonly") => (true, false),
        () if is("recvonly") => (false, true),
        () => (true, true),
    }
}

fn word((sends, receives): (bool, bool)) -> &'static str {
    match (sends, receives) {
        (true, true) => "sendrecv",
        (true, false) => "sendonly",
        (false, true) => "recvonly",
        (false, false) => "inactive",
    }
}

fn lines(body: &str) -> usize {
    body.matches("\r\nm=").count()
}

fn without_origin(body: &str) -> String {
    body.lines().filter(|l| !l.starts_with("o=")).collect()
}

impl Media {
    pub fn new(ip: IpAddr, takes_video: bool) -> Media {
        Media {
            ip,
            version: 0,
            said: String::new(),
            heard: String::new(),
            first: String::new(),
            holds: false,
            video: false,
            has_video_line: false,
            takes_video,
            qos: None,
            turn: Turn::Nobody,
            before: (false, false, false),
        }
    }

    /// Whether both bearers are there, as far as that is asked.
    pub fn is_ready(&self) -> bool {
        self.qos.is_none_or(|q| q.local && q.remote)
    }

    /// Where the other side wants audio.
    pub fn heard_address(&self) -> Option<SocketAddr> {
        let lines = || self.heard.lines();
        let ip = lines().find_map(|l| l.strip_prefix("c=IN IP4 ").or(l.strip_prefix("c=IN IP6 ")))?;
        let port = lines().find_map(|l| l.strip_prefix("m=audio "))?.split(' ').next()?;
        Some(SocketAddr::new(ip.trim().parse().ok()?, port.parse().ok()?))
    }

    /// Whether both sides send and receive, as this one knows.
    pub fn runs_both_ways(&self) -> bool {
        let both = |body: &str| stream(body, "audio").is_some_and(|s| direction(s) == (true, true));
        both(&self.said) && both(&self.heard)
    }

    /// An offer of what the phone wants now.
    pub fn offer(&mut self) -> String {
        assert_eq!(self.turn, Turn::Nobody, "two offers at a time");
        self.turn = Turn::Ours;
        let wants = (true, !self.holds);
        self.write(wants, false)
    }

    /// Sets what the next offer is to say; it can be taken back.
    pub fn want(&mut self, holds: bool, video: bool) {
        self.before = (self.holds, self.video, self.has_video_line);
        (self.holds, self.video) = (holds, video && self.takes_video);
        self.has_video_line |= self.video;
    }

    /// The answer to the offer that was heard; said again as it was if nothing has changed.
    pub fn answer(&mut self) -> String {
        let (sends, receives) = direction(stream(&self.heard, "audio").expect("audio is offered"));
        self.write((receives, sends && !self.holds), true)
    }

    fn write(&mut self, (mut sends, mut receives): (bool, bool), is_answer: bool) -> String {
        if self.qos.is_some_and(|q| !q.local) {
            (sends, receives) = (false, false);
        }
        let mut body = format!(
            "s=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 104 8 101\r\na=rtpmap:104 AMR-WB/16000\r\n\
             a=fmtp:104 octet-align=1\r\na=rtpmap:101 telephone-event/8000\r\na={}\r\n{}",
            word((sends, receives)),
            self.qos_lines(is_answer),
            family = self.family(),
            ip = self.ip,
        );
        if self.has_video_line {
            let port = if self.video { 4002 } else { 0 };
            body += &format!("m=video {port} RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n");
        }
        if without_origin(&self.said) != without_origin(&format!("v=0\r\n{body}")) {
            self.version += 1;
        }
        let (family, ip) = (self.family(), self.ip);
        self.said = format!("v=0\r\no=- 1 {} IN {family} {ip}\r\n{body}", self.version);
        self.said.clone()
    }

    fn family(&self) -> &'static str {
        if self.ip.is_ipv4() { "IP4" } else { "IP6" }
    }

    fn qos_lines(&mut self, is_answer: bool) -> String {
        let Some(qos) = &mut self.qos else { return String::new() };
        qos.told = qos.local;
        let state = |is_there| if is_there { "sendrecv" } else { "none" };
        let is_first = !is_answer && self.heard.is_empty();
        let remote = if is_first { "none" } else { "mandatory" };
        let confirm = if is_answer && !qos.remote { "a=conf:qos remote sendrecv\r\n" } else { "" };
        format!(
            "a=curr:qos local {}\r\na=curr:qos remote {}\r\na=des:qos mandatory local sendrecv\r\n\
             a=des:qos {remote} remote sendrecv\r\n{confirm}",
            state(qos.local),
            state(qos.remote)
        )
    }

    /// The other side offers.
    pub fn hear_offer(&mut self, body: &str) {
        assert_eq!(self.turn, Turn::Nobody, "an offer beside another");
        self.turn = Turn::Theirs;
        self.hear(body);
        self.has_video_line = lines(body) > 1;
        self.video = self.takes_video && stream(body, "video").is_some_and(runs);
    }

    /// The other side answers our offer: each of its streams, and within what was offered (RFC 3264 6).
    pub fn hear_answer(&mut self, body: &str) {
        assert_eq!(self.turn, Turn::Ours, "an answer without offer: {body}");
        self.turn = Turn::Nobody;
        self.hear(body);
        assert_eq!(lines(body), lines(&self.said), "not each stream is answered: {body}");
        let ours = direction(stream(&self.said, "audio").expect("audio is offered"));
        let theirs = direction(stream(body, "audio").expect("audio is answered"));
        assert!(
            ours.1 >= theirs.0 && ours.0 >= theirs.1,
            "{ours:?} was offered, {theirs:?} answered: {body}"
        );
        if !body.contains("a=curr:qos") {
            self.qos = None;
        }
        self.video &= stream(body, "video").is_some_and(runs);
    }

    /// The answer has gone out for good.
    pub fn answered(&mut self) {
        self.turn = Turn::Nobody;
    }

    /// The offer was refused: what was, is (RFC 3261 14.1).
    pub fn take_back(&mut self) {
        if self.turn == Turn::Ours {
            self.turn = Turn::Nobody;
            (self.holds, self.video, self.has_video_line) = self.before;
        }
    }

    fn hear(&mut self, body: &str) {
        assert!(stream(body, "audio").is_some(), "no audio: {body}");
        let is_there = body.contains("a=curr:qos local sendrecv\r\n");
        if let Some(qos) = &mut self.qos {
            qos.remote = is_there;
        }
        body.clone_into(&mut self.heard);
        self.keep_first();
    }

    fn keep_first(&mut self) {
        if self.first.is_empty() {
            self.first.clone_from(&self.heard);
        }
    }

    /// What comes beside the answer says nothing else (RFC 3261 13.2.1).
    pub fn hear_again(&mut self, text: &Text) {
        let is_known = [&self.heard, &self.first].contains(&&text.body);
        let same = text.body.is_empty() || self.heard.is_empty() || is_known;
        assert!(same, "another answer in {}: {}, after {}", text.start, text.body, self.heard);
        if self.heard.is_empty() {
            self.heard.clone_from(&text.body);
            self.keep_first();
        }
    }
}
