//! A callee's part in the set-up of a call: provisional answers, reliable where both sides can (RFC 3262), its bearer (RFC 3312),
//! and the answer.

use super::*;

/// How long a callee waits for its bearer.
const BEARER_WAIT: Duration = Duration::from_secs(5);
/// Between two things that a callee says.
const STEP: Duration = Duration::from_millis(300);
/// How soon it looks again whether it may answer.
const AGAIN: Duration = Duration::from_millis(500);

fn lists(text: &Text, header: &str, tag: &str) -> bool {
    text.all(header).flat_map(|v| v.split(',')).any(|t| t.trim() == tag)
}

impl Phone {
    pub(super) fn on_invite(&mut self, now: Instant, text: &Text, want: &mut Wants) {
        let plan = Plan::read(text.get("X-Plan"));
        assert!(text.get("P-Preferred-Identity").is_empty(), "P-Preferred-Identity was passed on");
        // the network calls in nobody's name
        let is_of_network = text.get("X-Plan").is_empty();
        assert!(is_of_network || text.get("P-Asserted-Identity").contains("sip:"), "no P-Asserted-Identity");
        let target = text.start.split(' ').nth(1).unwrap_or_default();
        assert!(self.is_peer() || self.is_own(target), "Request-URI is not our contact: {target}");
        self.is_called_rightly(text);
        let mut ways = Habits::read(text.get("X-Habits"));
        ways.qos &= !self.is_peer();
        for (tag, can) in [("100rel", ways.rel != Rel::No), ("precondition", ways.qos)] {
            if lists(text, "Require", tag) && !can {
                self.seen.odd += 1;
            }
        }
        let plan = if self.is_peer() && target.contains("404") { Plan::Reject(404) } else { plan };
        for plan in self.forked(plan) {
            self.ring(now, text, ways, plan, want);
        }
    }

    /// A phone begins to ring, or one of those that a peer has.
    fn ring(&mut self, now: Instant, text: &Text, ways: Ways, plan: Plan, want: &mut Wants) {
        let offers = |tag| lists(text, "Supported", tag) || lists(text, "Require", tag);
        let index = self.new_callee(text, ways);
        let leg = &mut self.legs[index];
        leg.is_reliable = ways.rel != Rel::No && offers("100rel");
        if !text.body.is_empty() {
            let uses = leg.is_reliable && ways.qos && offers("precondition");
            if uses && text.body.contains("a=curr:qos") {
                leg.media.qos = Some(Qos { local: ways.bearer == Some(Duration::ZERO), ..Qos::default() });
            }
            leg.media.hear_offer(&text.body);
        }
        let early = if leg.media.qos.is_some() { Early::Both } else { ways.early };
        leg.steps = match early {
            Early::Nothing => vec![],
            Early::Ringing => vec![180],
            Early::Progress => vec![183],
            Early::Both => vec![183, 180],
        }
        .into();
        let has_qos = leg.media.qos.is_some();
        // a phone whose caller has silently gone does not ring for ever
        self.timers.push((now + GIVE_UP * 2, Timer::RingOut(index)));
        if has_qos {
            let (at, timer) = match ways.bearer {
                Some(after) => (now + after, Timer::Bearer(index)),
                None => (now + BEARER_WAIT, Timer::Fail(index)),
            };
            self.timers.push((at, timer));
        }
        match plan {
            Plan::Reject(code) => return self.reject(now, index, code, want),
            Plan::Answer(after) => self.timers.push((now + after, Timer::Answer(index))),
            Plan::Ring => {}
        }
        self.step(now, index, want);
    }

    fn new_callee(&mut self, text: &Text, ways: Ways) -> usize {
        let tag = self.fresh("t");
        let local = format!("{};tag={tag}", text.get("To"));
        let target = bracketed(text.get("Contact")).to_owned();
        let talk = Duration::from_secs(5 + self.counter % 60);
        let (call_id, from) = (text.get("Call-ID").to_owned(), text.get("From").to_owned());
        let mut leg = self.new_leg(call_id, local, from, tag, target, talk);
        leg.remote_tag = text.tag_of_from().to_owned();
        leg.state = State::Ringing;
        leg.invite = Some(text.clone());
        leg.remote_cseq = text.cseq();
        leg.ways = ways;
        leg.media.takes_video = ways.video;
        self.legs.push(leg);
        self.legs.len() - 1
    }

    /// Says the next thing before the answer, unless something must come first: a PRACK, or bearers.
    pub(super) fn step(&mut self, now: Instant, leg: usize, want: &mut Wants) {
        let one = &mut self.legs[leg];
        let waits =
            one.unacknowledged.is_some() || (one.steps.front() == Some(&180) && !one.media.is_ready());
        if one.state != State::Ringing || waits {
            return;
        }
        let Some(code) = one.steps.pop_front() else { return };
        let has_offer = one.invite.as_ref().is_some_and(|i| !i.body.is_empty());
        let body = match (code, one.media.turn) {
            (183, Turn::Theirs) => one.media.answer(),
            (183, Turn::Nobody) if !has_offer && one.is_reliable => one.media.offer(),
            _ => String::new(),
        };
        let is_reliable = one.is_reliable;
        if is_reliable {
            one.rseq = if one.rseq == 0 { FIRST_RSEQ } else { one.rseq + 1 };
            one.unacknowledged = Some(one.rseq);
            if one.media.turn == Turn::Theirs && !body.is_empty() {
                one.has_answered = true;
                one.media.answered();
            }
        }
        let (invite, tag) =
            (one.invite.clone().expect("a ringing leg has its INVITE"), one.local_tag.clone());
        let qos = one.media.qos.is_some() && !body.is_empty();
        let require = match (is_reliable, qos) {
            (true, true) => format!("Require: 100rel,precondition\r\nRSeq: {}\r\n", one.rseq),
            (true, false) => format!("Require: 100rel\r\nRSeq: {}\r\n", one.rseq),
            _ => String::new(),
        };
        let octets = self.response_text(&invite, code, &tag, &require, &body);
        // what an INVITE that comes again is answered with
        self.served.insert((invite.branch().to_owned(), "INVITE".to_owned()), octets.clone());
        want.messages.push(octets.clone());
        self.legs[leg].provisional = octets;
        let rseq = self.legs[leg].rseq;
        match is_reliable {
            true => self.timers.push((now + T1, Timer::Reliable(leg, rseq, T1 * 2))),
            false => self.timers.push((now + STEP, Timer::Step(leg))),
        }
    }

    /// Sends a reliable answer again until its PRACK.
    pub(super) fn repeat_reliable(
        &mut self,
        now: Instant,
        leg: usize,
        rseq: u32,
        wait: Duration,
        want: &mut Wants,
    ) {
        let one = &self.legs[leg];
        if one.state == State::Ringing && one.unacknowledged == Some(rseq) {
            want.messages.push(one.provisional.clone());
            self.timers.push((now + wait, Timer::Reliable(leg, rseq, wait * 2)));
        }
    }

    /// A PRACK names the response by the RSeq and the CSeq that this phone knows.
    pub(super) fn on_prack(&mut self, now: Instant, leg: usize, text: &Text, want: &mut Wants) {
        self.check_cseq(leg, text);
        let one = &mut self.legs[leg];
        let invite = one.invite.as_ref().map_or(0, Text::cseq);
        let fits = one.unacknowledged.is_some_and(|n| text.get("RAck") == format!("{n} {invite} INVITE"));
        if !fits {
            let known = (FIRST_RSEQ..=one.rseq).any(|n| text.get("RAck") == format!("{n} {invite} INVITE"));
            assert!(known, "{}: RAck: {}", self.name, text.get("RAck"));
            self.respond(text, 481, "", "", want);
            return;
        }
        one.unacknowledged = None;
        // our offer was in the answer; one in an UPDATE is none of the PRACK's
        if one.media.turn == Turn::Ours && !one.has_answered {
            one.media.hear_answer(&text.body);
            one.has_answered = true;
        } else {
            assert_eq!(text.body, "", "{}: a PRACK with an offer", self.name);
        }
        self.respond(text, 200, "", "", want);
        self.timers.push((now + STEP, Timer::Step(leg)));
        self.tell_resources(now, leg, want);
        let one = &self.legs[leg];
        if one.ways.early_update && one.has_answered && one.media.qos.is_none() && one.state == State::Ringing
        {
            self.timers.push((now + STEP, Timer::EarlyUpdate(leg)));
        }
    }

    /// The bearer is there, or the other side's has come.
    pub(super) fn resources(&mut self, now: Instant, leg: usize, want: &mut Wants) {
        if self.legs[leg].media.qos.is_some() {
            self.tell_resources(now, leg, want);
            self.step(now, leg, want);
        }
    }

    /// Who has said that its own bearer was not there says that it is, as soon as it may offer again.
    fn tell_resources(&mut self, now: Instant, leg: usize, want: &mut Wants) {
        let one = &mut self.legs[leg];
        let Some(qos) = one.media.qos else { return };
        let is_due = qos.local && qos.remote && !qos.told && one.has_answered && one.unacknowledged.is_none();
        if is_due && one.state == State::Ringing && one.media.turn == Turn::Nobody {
            one.media.want(false, one.media.video);
            let offer = one.media.offer();
            self.in_call(now, leg, "UPDATE", "", &offer, Purpose::Question(leg), want);
        }
    }

    pub(super) fn answer(&mut self, now: Instant, leg: usize, want: &mut Wants) {
        let one = &mut self.legs[leg];
        if one.state != State::Ringing {
            return;
        }
        // RFC 3262 3: no 200 before the PRACK; RFC 3312: nor before the bearers; RFC 6337: nor beside an offer
        let is_offering = one.media.turn == Turn::Ours;
        if one.unacknowledged.is_some() || !one.media.is_ready() || is_offering {
            return self.timers.push((now + AGAIN, Timer::Answer(leg)));
        }
        let body = match one.media.turn {
            _ if one.has_answered => String::new(),
            Turn::Theirs => one.media.answer(),
            _ => one.media.offer(),
        };
        if one.media.turn == Turn::Theirs {
            one.media.answered();
        }
        one.result = Some(200);
        let (invite, tag) =
            (one.invite.clone().expect("a ringing leg has its INVITE"), one.local_tag.clone());
        let session = self.session_answer(now, leg, &invite);
        let octets = self.accept(&invite, &tag, &session, &body, want);
        self.legs[leg].state = State::Up;
        self.repeat(now, leg, &invite, true, octets);
        let talk = self.legs[leg].talk;
        self.timers.extend([(now + talk, Timer::HangUp(leg)), (now, Timer::Speak(leg))]);
        self.plan_moves(now, leg);
        self.let_others_go(leg);
    }

    pub(super) fn reject(&mut self, now: Instant, leg: usize, code: u16, want: &mut Wants) {
        if self.legs[leg].state != State::Ringing {
            return;
        }
        self.legs[leg].result = Some(code);
        self.end(leg);
        if self.has_open_sibling(leg) {
            return;
        }
        let invite = self.legs[leg].invite.clone().expect("a ringing leg has its INVITE");
        let tag = self.legs[leg].local_tag.clone();
        let octets = self.respond_tagged(&invite, code, &tag, "", want);
        self.repeat(now, leg, &invite, false, octets);
    }
}
