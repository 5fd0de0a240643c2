//! The agreement in the course of a registration (TS 24.229 5.1.1.2, 5.1.1.4, 5.1.1.5): offered, taken, installed, refused, lost.

use super::super::event::Event;
use super::super::message::branch;
use super::super::{Output, Phone};
use super::offer::names;
use super::{AWAIT_AUTH, Installation, Peer, Security, Set, TAG, Wish};
use imsbox::base::time::Instant;
use imsbox::proto::sip::sec_agree::Suite;
use imsbox::wire::sip::text::lossy;
use imsbox::wire::sip::{HeaderId, Message};

/// The keys that a challenge has given: CK and IK.
pub type CardKeys = ([u8; 16], [u8; 16]);

/// What becomes of a REGISTER that was refused for its security.
pub enum Refused {
    /// It is sent again as things are now.
    Again,
    /// It has failed, with more to say than the status.
    Failed(String),
}

/// What a challenge leads to.
enum Step {
    /// The answer goes out at once.
    Answer,
    /// The answer goes out when this is installed.
    Install(Wish),
    /// There is no answer.
    Fail(String),
}

impl Security {
    /// Takes the Security-Server of a challenge whose keys are known.
    fn on_challenge(&mut self, answer: &Message<'_>, (ck, ik): &CardKeys) -> Step {
        let Some(offer) = &self.offer else { return Step::Answer };
        let values: Vec<&[u8]> = answer.values(HeaderId::SecurityServer).collect();
        if values.is_empty() {
            return match (self.is_on(), self.is_required()) {
                // challenged anew inside the set that there is
                (true, _) | (_, false) => Step::Answer,
                (false, true) => Step::Fail(
                    "the network challenges without Security-Server: it does no IPsec, which the settings require"
                        .to_owned(),
                ),
            };
        }
        let taken = match offer.take(&values) {
            Ok(taken) => taken,
            Err(words) => return Step::Fail(words),
        };
        let set = Set {
            number: offer.number,
            suite: taken.suite,
            own: offer.own,
            theirs: taken.theirs,
            server: lossy(&values.join(&b',')).into_owned(),
        };
        let installation = Installation {
            number: set.number,
            suite: set.suite,
            keys: set.suite.keys(ck, ik),
            ways: set.ways(),
            lifetime: AWAIT_AUTH,
        };
        self.pending = Some(set);
        Step::Install(Wish::Install(Box::new(installation)))
    }

    /// Takes a 420, 421 or 494.
    fn on_refusal(&mut self, answer: &Message<'_>) -> Refused {
        let listed: Vec<&[u8]> = answer.values(HeaderId::SecurityServer).collect();
        if answer.status() == 420 {
            if self.suites.is_empty() {
                let words = "the network refuses a security agreement that was not asked for";
                return Refused::Failed(words.to_owned());
            }
            let words = "the network does not know sec-agree (420): it does no IPsec";
            if self.is_required() || self.is_on() {
                return Refused::Failed(format!("{words}, which the settings require"));
            }
            self.lacks(words);
            return Refused::Again;
        }
        let theirs = names(&listed);
        if self.pending.is_some() {
            return Refused::Failed("the network says that Security-Verify is not what it sent".to_owned());
        }
        if self.suites.is_empty() {
            let why = self.lack.as_deref().unwrap_or("the settings have it off");
            return Refused::Failed(format!("the network wants IPsec ({theirs}), and there is none: {why}"));
        }
        match self.suites.narrow(&listed) {
            true => Refused::Again,
            false => Refused::Failed(format!(
                "the network wants IPsec with {theirs}; this phone offers {}",
                self.suites
            )),
        }
    }
}

impl Phone {
    /// The pairs of algorithms that the kernel has of those in the settings, best first; or why there are none.
    pub fn enable_ipsec(&mut self, suites: Result<Vec<Suite>, String>) {
        self.security.enable(suites);
    }

    /// The security associations.
    pub fn security(&self) -> &Security {
        &self.security
    }

    /// Whether a message may come this way: in clear nothing may but the answer to what went in clear (TS 33.203 7.1).
    pub(in super::super) fn admits(&mut self, now: Instant, peer: Peer, message: &Message<'_>) -> bool {
        if peer.is_protected() {
            self.security.heard(now);
            return true;
        }
        let is_answer = || self.clients.peer(&branch(message)).is_some_and(|peer| !peer.is_protected());
        !self.security.forbids_clear() || !message.is_request() && is_answer()
    }

    /// Begins the REGISTER of an attempt: with an offer, if one is to be made, whose ports have to be opened first.
    pub(in super::super) fn begin_register(&mut self, now: Instant) {
        match self.security.start_offer() {
            Some(wish) => self.out.push_back(Output::Ipsec(wish)),
            None if self.security.is_required() && !self.security.is_on() => {
                let why = self.security.lack().unwrap_or("nothing can be offered").to_owned();
                self.fail_registration(
                    now,
                    None,
                    format!("there is no IPsec, which the settings require: {why}"),
                );
            }
            None => self.send_register(now),
        }
    }

    /// The ports that [`Wish::Open`] asked for are there, the client port and the server port; or why not.
    pub fn on_opened(&mut self, now: Instant, set: u32, ports: Result<(u16, u16), String>) {
        match ports {
            Ok((client, server)) => {
                if self.security.opened(set, client, server, &mut self.rng) {
                    self.send_register(now);
                }
            }
            Err(words) => self.on_kernel_failure(now, format!("no protected ports: {words}")),
        }
    }

    /// A set is installed, or why not.
    pub fn on_installed(&mut self, now: Instant, set: u32, result: Result<(), String>) {
        if self.security.pending.as_ref().is_none_or(|pending| pending.number != set) {
            return;
        }
        match result {
            Ok(()) => self.send_register(now),
            Err(words) => self.on_kernel_failure(now, words),
        }
    }

    /// The kernel cannot do what was agreed: a registration that may be without IPsec starts again so.
    fn on_kernel_failure(&mut self, now: Instant, words: String) {
        if self.security.is_required() || self.security.is_on() {
            return self.fail_registration(now, None, words);
        }
        self.event(Event::Notice(format!("registering without IPsec: {words}")));
        let wishes = self.security.withdraw(&words);
        self.do_all(wishes);
        self.restart_register(now);
    }

    /// Answers a challenge; with `keys` when the card has taken it.
    pub(in super::super) fn answer_register_challenge(
        &mut self,
        now: Instant,
        answer: &Message<'_>,
        keys: Option<CardKeys>,
    ) {
        // TS 24.229 5.1.1.5.3: AUTS and a wrong MAC are told without a new set, and with a new offer
        self.security.drop_pending();
        let Some(keys) = keys else {
            self.security.renew_offer(&mut self.rng);
            return self.send_register(now);
        };
        let step = self.security.on_challenge(answer, &keys);
        match step {
            Step::Install(wish) => {
                let parted = self.security.drop_parted();
                self.do_all(parted.into_iter().collect());
                self.out.push_back(Output::Ipsec(wish));
            }
            Step::Fail(words) => self.fail_registration(now, Some(answer.status()), words),
            Step::Answer => {
                if self.security.offer.is_some() && !self.security.is_on() {
                    let words = "the network does none: its challenge has no Security-Server";
                    self.event(Event::Notice(format!("registering without IPsec: {words}")));
                    let wishes = self.security.withdraw(words);
                    self.do_all(wishes);
                } else {
                    let wishes = self.security.drop_offer();
                    self.do_all(wishes);
                }
                self.send_register(now);
            }
        }
    }

    /// Sends a REGISTER again that was refused for something that has been changed. A set that was not confirmed goes with its
    /// refusal (TS 24.229 5.2.2), so that it starts from the beginning.
    pub(in super::super) fn repeat_register(&mut self, now: Instant) {
        if self.security.pending.is_none() {
            return self.send_register(now);
        }
        let wishes = self.security.drop_offer();
        self.do_all(wishes);
        self.restart_register(now);
    }

    /// Takes the refusal of a REGISTER whose status is about its security; `None` for any other.
    pub(in super::super) fn security_refusal(&mut self, answer: &Message<'_>) -> Option<Refused> {
        let is_ours = match answer.status() {
            420 => answer.lists(HeaderId::Unsupported, TAG),
            421 => answer.lists(HeaderId::Require, TAG) || answer.header(HeaderId::SecurityServer).is_some(),
            status => status == 494,
        };
        if !is_ours {
            return None;
        }
        let refused = self.security.on_refusal(answer);
        if matches!(refused, Refused::Again) {
            let words = match self.security.lack() {
                Some(lack) => format!("registering without IPsec: {lack}"),
                None => format!("the network wants IPsec with {}: trying that", self.security.suites),
            };
            self.event(Event::Notice(words));
            let wishes = self.security.drop_offer();
            self.do_all(wishes);
        }
        Some(refused)
    }

    /// The network has registered the phone for so long.
    pub(in super::super) fn note_security(&mut self, now: Instant, secs: u32) {
        let is_new = self.security.pending.is_some();
        let wishes = self.security.registered(now, secs, self.clients.life());
        self.do_all(wishes);
        if let Some(set) = self.security.current.as_ref().filter(|_| is_new) {
            let words = set.to_string();
            self.event(Event::Notice(words));
        }
    }

    pub(in super::super) fn do_all(&mut self, wishes: Vec<Wish>) {
        self.out.extend(wishes.into_iter().map(Output::Ipsec));
    }

    pub(in super::super) fn tick_security(&mut self, now: Instant) {
        let wish = self.security.tick(now);
        self.do_all(wish.into_iter().collect());
    }

    /// Nobody answers inside the set: the network may have lost it, as when it was started again. So the phone starts with a
    /// REGISTER in clear, as it did at first (TS 24.229 5.1.1.4.1).
    pub(in super::super) fn register_anew(&mut self, now: Instant, words: &str) {
        self.event(Event::Notice(format!("{words}; given up the security associations, registering anew")));
        let wishes = self.security.drop_all();
        self.do_all(wishes);
        self.recover_registration(now);
    }

    /// A message of ours could not be sent; a response whose connection has gone takes a new one (RFC 3261 18.2.2).
    pub fn on_unsent(&mut self, now: Instant, peer: Peer, octets: &[u8], words: &str) {
        let Peer::Protected(transport, ours, _) = peer else {
            return self.on_lost(now, peer, words);
        };
        let way = self.security.way(transport);
        if octets.starts_with(b"SIP/2.0 ") && matches!(way, Peer::Protected(_, from, _) if from != ours) {
            return self.send(way, octets.to_vec());
        }
        self.on_lost(now, peer, words);
    }
}
