//! What phones do inside a call beside hanging up: reliable provisional answers (RFC 3262), offers and questions from both
//! sides, also at once; and a phone that crashes.

use super::*;

/// What both phones of a call are in the habit of. The callee's part travels in a header that the server does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Habits {
    /// The callee answers with a reliable 183 first, and with 200 only after its PRACK.
    pub reliable: bool,
    /// What the caller asks in the middle of the call: a method's name.
    pub caller: &'static str,
    /// What the callee asks at the same time.
    pub callee: &'static str,
}

/// When both ask, after the answer.
const MOMENT: Duration = Duration::from_millis(1500);

impl Habits {
    pub fn header(self) -> String {
        let reliable = if self.reliable { "reliable" } else { "plain" };
        format!("X-Habits: {reliable} {}\r\n", self.callee)
    }

    pub fn read(value: &str) -> Habits {
        let (reliable, callee) = value.split_once(' ').unwrap_or((value, ""));
        let callee = ["INVITE", "UPDATE", "INFO"].into_iter().find(|m| *m == callee).unwrap_or("");
        Habits { reliable: reliable == "reliable", caller: "", callee }
    }
}

impl Phone {
    /// Sends the reliable 183, and again until its PRACK.
    pub(super) fn send_reliable(&mut self, now: Instant, leg: usize, interval: Duration, want: &mut Wants) {
        let one = &self.legs[leg];
        let (Some(rseq), State::Ringing) = (one.unacknowledged, one.state) else { return };
        let (invite, tag) =
            (one.invite.clone().expect("a ringing leg has its INVITE"), one.local_tag.clone());
        let body = self.sdp("sendrecv");
        let octets =
            self.response_text(&invite, 183, &tag, &format!("Require: 100rel\r\nRSeq: {rseq}\r\n"), &body);
        // what an INVITE that comes again is answered with
        self.served.insert((invite.branch().to_owned(), "INVITE".to_owned()), octets.clone());
        want.messages.push(octets);
        self.timers.push((now + interval, Timer::Reliable(leg, interval * 2)));
    }

    /// A PRACK names the response by the RSeq and the CSeq that this phone knows.
    pub(super) fn on_prack(&mut self, leg: usize, text: &Text, want: &mut Wants) {
        self.check_cseq(leg, text);
        let one = &mut self.legs[leg];
        let invite = one.invite.as_ref().map_or(0, Text::cseq);
        assert_eq!(text.get("RAck"), format!("{RSEQ} {invite} INVITE"), "{}: RAck", self.name);
        let fits = one.unacknowledged.take().is_some();
        self.respond(text, if fits { 200 } else { 481 }, "", "", want);
    }

    /// A provisional answer: acknowledged once for each dialog, if it is reliable.
    pub(super) fn on_provisional(&mut self, now: Instant, leg: usize, text: &Text, want: &mut Wants) {
        let rseq = text.get("RSeq");
        let tag = text.tag_of_to().to_owned();
        if rseq.is_empty() || self.legs[leg].state != State::Calling || !self.legs[leg].pracked.insert(tag) {
            return;
        }
        assert_eq!(text.get("Require"), "100rel");
        let one = &mut self.legs[leg];
        let first = (one.remote.clone(), one.target.clone());
        (one.remote, one.target) = (text.get("To").to_owned(), bracketed(text.get("Contact")).to_owned());
        let rack = format!("RAck: {rseq} {} INVITE\r\n", text.cseq());
        self.in_call(now, leg, "PRACK", &rack, "", Purpose::Question(leg), want);
        // a CANCEL, and the ACK of a failure, have what the INVITE had
        (self.legs[leg].remote, self.legs[leg].target) = first;
        self.seen.pracked += 1;
    }

    pub(super) fn plan_question(&mut self, now: Instant, leg: usize, method: &'static str) {
        if !method.is_empty() {
            self.timers.push((now + MOMENT, Timer::Ask(leg, method)));
        }
    }

    pub(super) fn ask(&mut self, now: Instant, leg: usize, method: &'static str, want: &mut Wants) {
        let sdp = self.sdp("sendrecv");
        let terms = self.timer_terms(leg);
        match method {
            "INVITE" => self.in_call(now, leg, method, &terms, &sdp, Purpose::Reinvite(leg), want),
            "UPDATE" => self.in_call(now, leg, method, &terms, &sdp, Purpose::Question(leg), want),
            _ => {
                let question = format!("X-Question: {} {leg}\r\n", self.name);
                self.in_call(now, leg, method, &question, "", Purpose::Question(leg), want)
            }
        };
    }

    /// A question of the other phone: an offer is refused while one of ours is under way (RFC 3311 5.2), all else is taken.
    pub(super) fn on_question(&mut self, now: Instant, leg: usize, text: &Text, want: &mut Wants) {
        self.check_cseq(leg, text);
        let is_pending = self.is_offering(leg);
        let body = if text.body.is_empty() { String::new() } else { self.sdp("sendrecv") };
        match self.legs[leg].state {
            State::Done => self.respond(text, 481, "", "", want),
            _ if is_pending && !text.body.is_empty() && text.method() == "UPDATE" => {
                self.respond(text, 491, "", "", want)
            }
            _ => {
                let mut answer = format!("X-Answer: {}\r\n", text.get("X-Question"));
                if text.method() == "UPDATE" && self.legs[leg].state == State::Up {
                    answer += &self.grant_session(now, leg, text);
                }
                let octets = self.response_text(text, 200, "", &answer, &body);
                self.served.insert((text.branch().to_owned(), text.method().to_owned()), octets.clone());
                want.messages.push(octets.clone());
                octets
            }
        };
    }

    pub(super) fn on_question_answer(&mut self, now: Instant, leg: usize, code: u16, text: &Text) {
        if code == 200 && text.method() == "UPDATE" && self.legs[leg].state == State::Up {
            self.on_granted(now, leg, text);
        }
        if code == 200 && text.method() == "INFO" && !self.legs[leg].echo {
            self.seen.told += 1;
            assert_eq!(text.get("X-Answer"), format!("{} {leg}", self.name), "an answer to another question");
        }
    }

    /// Whether an offer of ours waits for its answer.
    pub(super) fn is_offering(&self, leg: usize) -> bool {
        let offers = |c: &&Client| match c.purpose {
            Purpose::Reinvite(at) => at == leg,
            Purpose::Question(at) => at == leg && c.method == "UPDATE",
            _ => false,
        };
        self.clients.iter().filter(offers).any(|c| c.answer.is_none())
    }

    /// The phone loses all that it knew and comes back later; its calls have no plan any more.
    pub fn crash(&mut self, now: Instant, for_as_long: Duration) {
        self.down_until = Some(now + for_as_long);
        let others = self.clients.drain(..).map(|c| c.branch);
        self.forgotten.extend(others);
        self.repeats.clear();
        self.timers.clear();
        self.served.clear();
        self.watches.clear();
        self.authorization = None;
        self.registered = false;
        for leg in &mut self.legs {
            leg.state = State::Done;
            leg.expected = None;
            leg.call_id.clear();
        }
        self.forget_texts();
        if let Some(shield) = &mut self.shield {
            shield.forget();
        }
        self.seen.crashed += 1;
        self.start_registering(now + for_as_long);
    }

    /// Whether the phone hears nothing, or what it hears answers what it asked before its crash.
    pub(super) fn is_deaf(&self, now: Instant, text: &Text) -> bool {
        self.down_until.is_some_and(|at| now < at)
            || text.code() != 0 && self.forgotten.contains(text.branch())
    }
}
