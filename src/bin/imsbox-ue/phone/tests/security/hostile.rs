//! Networks that say anything at any time: right answers, the same ones spoilt, and messages of others. Nothing panics, nothing is
//! sent over and over, nothing leaves in clear that may not. Seeded: the failing seed is in the message.

use super::*;
use mutate::{below, mutate};

#[path = "../../../../../../tests/support/mutate.rs"]
mod mutate;
#[path = "../../../../../../tests/support/vectors.rs"]
mod vectors;

/// Networks that are tried.
const NETWORKS: u64 = if cfg!(debug_assertions) { 150 } else { 5_000 };
/// Messages of each.
const STEPS: usize = 120;
/// What one message may lead a phone to send: a call that ends has a few requests at once.
const MOST_SENT: usize = 12;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n\
                   a=curr:qos local none\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
                   a=des:qos optional remote sendrecv\r\nm=video 4002 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n";

fn corpus() -> Vec<Vec<u8>> {
    let folders = ["phones", "sip_torture/valid", "sip_torture/invalid", "sip_torture/volte"];
    folders.into_iter().flat_map(vectors::messages).map(|(_, octets)| octets).collect()
}

struct Network {
    lab: Lab,
    rng: Rng,
    seed: u64,
    number: u32,
    /// The phone's requests, the last ones: what can be answered.
    asked: Vec<(Peer, String)>,
}

impl Network {
    fn new(seed: u64) -> Network {
        let precondition = ["on", "off"][usize::from(seed % 2 == 1)];
        let options = [("reg_event", "on"), ("precondition", precondition)];
        Network { lab: Lab::new(&options), rng: Rng::from_seed(seed), seed, number: 0, asked: Vec::new() }
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[below(&mut self.rng, of.len())]
    }

    /// Takes what the phone says.
    fn collect(&mut self) {
        self.lab.settle();
        let sent = std::mem::take(&mut self.lab.sent);
        assert!(sent.len() <= MOST_SENT, "seed {}: {} messages at once: {sent:?}", self.seed, sent.len());
        for (peer, text) in sent {
            let is_free = peer.is_protected() || text.starts_with("REGISTER ");
            let may = is_free || !self.lab.phone.security().forbids_clear();
            assert!(may, "seed {}: in clear: {text}", self.seed);
            if !text.starts_with("SIP/2.0 ") && !text.starts_with("ACK ") {
                self.asked.push((peer, text));
            }
        }
        let old = self.asked.len().saturating_sub(4);
        self.asked.drain(..old);
    }

    /// What a person does.
    fn act(&mut self) {
        let (now, number) = (self.lab.now, self.rng.below(8));
        let phone = &mut self.lab.phone;
        let _ = match number {
            0 | 1 => phone.register(now, 600),
            2 => phone.make_call(now, "p2", None, true),
            3 => phone.send_text(now, "p2", "a text"),
            4 => phone.answer(now),
            5 => phone.hold(now, number % 2 == 0),
            6 => phone.hang_up(now),
            _ => phone.register(now, 0),
        };
    }

    /// An answer to one of the last requests.
    fn answer(&mut self) -> Option<(Peer, Vec<u8>)> {
        let at = below(&mut self.rng, self.asked.len().max(1));
        let (peer, request) = self.asked.get(at)?.clone();
        let way = if peer.is_protected() { from_pc(5100) } else { Peer::Server };
        let method = request.split(' ').next().unwrap_or_default();
        let refusals =
            ["420 x", "421 x", "423 x", "422 x", "494 x", "401 x", "407 x", "403 x", "503 x", "302 x"];
        if self.rng.below(8) == 0 {
            let more = format!(
                "Unsupported: sec-agree\r\nRequire: sec-agree\r\nSecurity-Server: {}\r\nMin-Expires: {}\r\nMin-SE: 90000\r\n\
                 Retry-After: 0\r\nContact: <sip:x@h>\r\nWWW-Authenticate: Digest realm=\"h\",nonce=\"bm8=\",algorithm=AKAv1-MD5\r\n",
                server(5100, "hmac-md5-96", "null"),
                self.rng.below(1 << 33),
            );
            let status = self.pick(&refusals);
            return Some((way, answer(&request, status, "t", &more)));
        }
        let with_sdp = |status: &str, more: &str| {
            let more = format!("Contact: <sip:x@192.0.2.2>\r\nContent-Type: application/sdp\r\n{more}");
            [answer(&request, status, "t", &more), SDP.as_bytes().to_vec()].concat()
        };
        let octets = match method {
            "REGISTER" if self.rng.below(2) == 0 => {
                let pairs = ["hmac-sha-1-96/aes-cbc", "null/aes-gcm", "none/none", "hmac-md5-96/null"];
                let (pair, pc) = (self.pick(&pairs), self.pick(&[5100, 5101]));
                self.lab.challenge(&request, pc, pair).0.into_bytes()
            }
            "REGISTER" => answer(&request, "200 OK", "t", OK),
            "INVITE" => match self.rng.below(4) {
                0 => answer(&request, "180 Ringing", "t", "Contact: <sip:x@192.0.2.2>\r\n"),
                1 => with_sdp("183 x", "Require: 100rel\r\nRSeq: 1\r\n"),
                2 => with_sdp("200 OK", "Session-Expires: 90;refresher=uac\r\nRequire: timer\r\n"),
                _ => with_sdp("200 OK", ""),
            },
            "SUBSCRIBE" => {
                answer(&request, "200 OK", "t", self.pick(&["Expires: 0\r\n", "Expires: 600\r\n"]))
            }
            _ => answer(&request, "200 OK", "t", ""),
        };
        Some((way, octets))
    }

    /// A request to the phone, in a dialog that it knows or in none.
    fn ask(&mut self) -> (Peer, Vec<u8>) {
        self.number += 1;
        let of = below(&mut self.rng, self.asked.len().max(1));
        let known = self.asked.get(of).map(|(_, text)| text.clone()).unwrap_or_default();
        let method =
            self.pick(&["INVITE", "UPDATE", "BYE", "MESSAGE", "NOTIFY", "CANCEL", "PRACK", "OPTIONS"]);
        let state = self.pick(&["active;expires=600", "active;expires=0", "terminated;reason=deactivated"]);
        let body = match method {
            "NOTIFY" => format!(
                "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"{}\" state=\"full\"><registration aor=\"sip:p1@h\" \
                 id=\"a\" state=\"active\"><contact id=\"c\" state=\"active\" event=\"{}\" expires=\"1\" retry-after=\"0\"><uri>\
                 sip:p1@192.0.2.1:6500</uri></contact></registration></reginfo>",
                self.rng.below(1 << 33),
                self.pick(&["registered", "shortened", "deactivated", "probation"]),
            ),
            _ => SDP.to_owned(),
        };
        let (to, from) = match self.rng.below(4) {
            0 => ("<sip:p1@h>".to_owned(), "<sip:x@h>;tag=x".to_owned()),
            _ => (header(&known, "From").to_owned(), format!("{};tag=t", header(&known, "To"))),
        };
        let number = self.number;
        let kind = if method == "NOTIFY" { "application/reginfo+xml" } else { "application/sdp" };
        let octets = format!(
            "{method} sip:p1@192.0.2.1:6500 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:6100;branch=z9hG4bKn{number}\r\nMax-Forwards: 70\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {number} {method}\r\nContact: <sip:x@192.0.2.2>\r\nEvent: reg\r\n\
             Subscription-State: {state}\r\nRAck: 1 1 INVITE\r\nSupported: 100rel, timer, precondition\r\nSession-Expires: 90\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            header(&known, "Call-ID"),
            body.len()
        );
        (from_pc(5100), octets.into_bytes())
    }

    /// Something comes, whole or spoilt.
    fn speak(&mut self, corpus: &[Vec<u8>]) {
        let other = &corpus[below(&mut self.rng, corpus.len())];
        let said = match self.rng.below(8) {
            0 => Some((from_pc(5100), other.clone())),
            1 | 2 => Some(self.ask()),
            _ => self.answer(),
        };
        let Some((way, mut octets)) = said else { return };
        if self.rng.below(3) == 0 {
            for _ in 0..=self.rng.below(4) {
                mutate(&mut self.rng, &mut octets, other);
            }
        }
        let way = if self.rng.below(16) == 0 { Peer::Server } else { way };
        self.lab.hear(way, &octets);
    }
}

#[test]
fn nothing_that_a_network_says_makes_the_phone_panic_or_send_without_end() {
    let corpus = corpus();
    let (mut registered, mut called) = (0, 0);
    for seed in 0..NETWORKS {
        let mut network = Network::new(seed);
        for _ in 0..STEPS {
            if network.rng.below(4) == 0 {
                network.act();
            }
            network.collect();
            network.speak(&corpus);
            network.collect();
            if network.rng.below(6) == 0
                && let Some(next) = network.lab.phone.next_deadline()
            {
                network.lab.now = network.lab.now.max(next);
                network.lab.phone.tick(network.lab.now);
                network.collect();
            }
        }
        let has = |what: fn(&Event) -> bool| u64::from(network.lab.events.iter().any(what));
        registered += has(|e| matches!(e, Event::Registered { .. }));
        called += has(|e| matches!(e, Event::Answered(..)));
    }
    // it is no test if nothing works
    assert!(registered > NETWORKS / 2 && called > NETWORKS / 10, "{registered} registered, {called} called");
}
