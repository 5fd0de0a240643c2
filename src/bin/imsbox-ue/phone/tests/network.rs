//! Two phones, each the other's P-CSCF, and a network between them that loses, doubles and delays.

use super::*;
use std::collections::BTreeMap;

/// The two phones and what is on its way.
pub struct Two {
    pub phones: [Phone; 2],
    pub events: [Vec<Event>; 2],
    pub now: Instant,
    /// Messages and packets by the time at which they arrive.
    on_the_way: BTreeMap<(Instant, u64), (usize, Freight)>,
    rng: Rng,
    serial: u64,
    /// How many of a hundred messages are lost.
    pub loss: u64,
    /// Whether messages are kept, and those that were, repeated ones once.
    pub listen: bool,
    pub heard: Vec<String>,
}

enum Freight {
    Sip(Vec<u8>),
    Rtp(Stream, SocketAddr, Vec<u8>),
    Rtcp(Stream, Vec<u8>),
}

impl Two {
    pub fn new(seed: u64, more: &[(&'static str, &str)]) -> Two {
        Two {
            phones: [phone(1, more), phone(2, more)],
            events: [Vec::new(), Vec::new()],
            now: Instant::ZERO,
            on_the_way: BTreeMap::new(),
            rng: Rng::from_seed(seed),
            serial: 0,
            loss: 0,
            listen: false,
            heard: Vec::new(),
        }
    }

    /// Takes what the phones have to say.
    pub fn collect(&mut self) {
        for i in 0..2 {
            while let Some(output) = self.phones[i].pop() {
                let from = |stream| {
                    let port = if matches!(stream, Stream::Audio) { 4000 } else { 4002 };
                    SocketAddr::new([192, 0, 2, i as u8 + 1].into(), port)
                };
                match output {
                    Output::Event(event) => self.events[i].push(event),
                    Output::Recorded(_) | Output::Keep(_) | Output::Ipsec(_) => {}
                    Output::Send(_, octets) => {
                        let text = String::from_utf8_lossy(&octets);
                        if self.listen && !self.heard.iter().any(|m| *m == text) {
                            self.heard.push(text.into_owned());
                        }
                        self.send(1 - i, Freight::Sip(octets), self.loss);
                    }
                    Output::Media(stream, Wanted::Rtp(_, octets)) => {
                        self.send(1 - i, Freight::Rtp(stream, from(stream), octets), 0);
                    }
                    Output::Media(stream, Wanted::Rtcp(_, octets)) => {
                        self.send(1 - i, Freight::Rtcp(stream, octets), 0);
                    }
                }
            }
        }
    }

    fn send(&mut self, to: usize, freight: Freight, loss: u64) {
        if self.rng.below(100) < loss {
            return;
        }
        let delay = match freight {
            Freight::Sip(_) => 5 + self.rng.below(40),
            _ => 10,
        };
        self.serial += 1;
        self.on_the_way.insert((self.now + Duration::from_millis(delay), self.serial), (to, freight));
    }

    /// Lets time pass, step by step, for so long.
    pub fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        self.collect();
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            while let Some(entry) = self.on_the_way.first_entry().filter(|e| e.key().0 <= self.now) {
                let (to, freight) = entry.remove();
                // a phone's shell looks at the clock before each input
                self.phones[to].tick(self.now);
                match freight {
                    Freight::Sip(octets) => {
                        let source = SocketAddr::new([192, 0, 2, 2 - to as u8].into(), 5060);
                        self.phones[to].on_message(self.now, Peer::Udp(source), &octets);
                    }
                    Freight::Rtp(stream, from, octets) => {
                        self.phones[to].on_rtp(self.now, stream, from, &octets);
                    }
                    Freight::Rtcp(stream, octets) => self.phones[to].on_rtcp(stream, &octets),
                }
                self.collect();
            }
            for phone in &mut self.phones {
                phone.tick(self.now);
            }
            self.collect();
        }
        self.now = end;
    }

    fn next(&self) -> Option<Instant> {
        let arrives = self.on_the_way.first_key_value().map(|(key, _)| key.0);
        self.phones.iter().map(Phone::next_deadline).chain([arrives]).flatten().min()
    }

    /// Lets all that is under way come to its end; nothing may be left.
    pub fn rest(&mut self, what: &str) {
        self.run(1_000_000);
        for phone in &self.phones {
            assert!(phone.current_call().is_none(), "{what}: a call is left: {:?}", phone.current_call());
            assert_eq!(phone.next_deadline(), None, "{what}: something still waits");
        }
        assert!(self.on_the_way.is_empty());
    }

    /// How the last call of a phone ended.
    pub fn ended(&self, phone: usize) -> Option<&Ended> {
        self.events[phone].iter().rev().find_map(|e| match e {
            Event::Ended(ended) => Some(ended),
            _ => None,
        })
    }

    pub fn state(&self, phone: usize) -> Option<State> {
        self.phones[phone].current_call().map(|c| c.state.clone())
    }

    pub fn has(&self, phone: usize, wanted: &Event) -> bool {
        self.events[phone].contains(wanted)
    }
}
